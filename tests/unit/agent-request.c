/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-request.h"

#include <string.h>

#include "mib/lva-mib.h"

static const oid agent_root[] = {LVA_ROOT};

void
agent_bed_init(AgentBed *bed, gboolean writable)
{
    snmp_disable_log();
    bed->fake = fake_source_new();
    bed->settings = vadm_settings_new(0x3e7, 5);
    bed->handler = vadm_handler_new(&bed->fake->base, bed->settings, writable);
}

void
agent_bed_clear(AgentBed *bed)
{
    vadm_handler_free(bed->handler);
    g_assert(bed->fake->views_open == 0);
    g_assert(bed->fake->open == 0);
    vadm_settings_free(bed->settings);
    fake_source_free(bed->fake);
}

void
agent_pdu_clear(AgentPdu *pdu)
{
    for (guint i = 0; i < pdu->n; i++)
        snmp_reset_var_buffers(&pdu->varbinds[i]);
    memset(pdu, 0, sizeof(*pdu));
}

static netsnmp_variable_list *
agent_append(AgentPdu *pdu, const oid *name, gsize length)
{
    netsnmp_variable_list *varbind = &pdu->varbinds[pdu->n];
    netsnmp_request_info *request = &pdu->requests[pdu->n];

    g_assert(pdu->n < AGENT_VARBINDS_MAX);
    varbind->type = ASN_NULL;
    snmp_set_var_objid(varbind, name, length);
    request->requestvb = varbind;
    request->index = (int)pdu->n + 1;
    if (pdu->n > 0) {
        pdu->requests[pdu->n - 1].next = request;
        request->prev = &pdu->requests[pdu->n - 1];
    }
    pdu->n++;
    return varbind;
}

void
agent_add(AgentPdu *pdu, const char *text, u_char type, const void *value, gsize length)
{
    g_auto(GStrv) arcs = g_strsplit(text, ".", -1);
    oid name[MAX_OID_LEN];
    gsize n = G_N_ELEMENTS(agent_root);
    netsnmp_variable_list *varbind;

    memcpy(name, agent_root, sizeof(agent_root));
    for (guint i = 0; arcs[i] && n < MAX_OID_LEN; i++)
        name[n++] = strtoul(arcs[i], NULL, 10);
    varbind = agent_append(pdu, name, n);
    if (type != ASN_NULL)
        snmp_set_var_typed_value(varbind, type, value, length);
}

void
agent_add_long(AgentPdu *pdu, const char *oid, u_char type, long value)
{
    agent_add(pdu, oid, type, &value, sizeof(value));
    /* the library's setter cuts to 32 bits what its parser may well deliver */
    *pdu->varbinds[pdu->n - 1].val.integer = value;
}

void
agent_add_text(AgentPdu *pdu, const char *oid, const char *value)
{
    agent_add(pdu, oid, ASN_OCTET_STR, value, strlen(value));
}

void
agent_add_absolute(AgentPdu *pdu, const oid *name, gsize length)
{
    agent_append(pdu, name, length);
}

int
agent_send(AgentBed *bed, AgentPdu *pdu, int mode, guint *at)
{
    netsnmp_mib_handler node = {.myvoid = bed->handler};
    netsnmp_pdu raw = {.transid = pdu->transaction};
    netsnmp_handler_registration registration = {.contextName = pdu->context};
    netsnmp_agent_session asp = {.pdu = &raw, .mode = mode};
    netsnmp_agent_request_info info = {.mode = mode, .asp = &asp};

    for (guint i = 0; i < pdu->n; i++) {
        pdu->requests[i].agent_req_info = &info;
        pdu->requests[i].status = 0;
        pdu->requests[i].processed = 0;
    }
    g_assert(vadm_handler_request(&node, &registration, &info, pdu->requests) == SNMP_ERR_NOERROR);
    for (guint i = 0; i < pdu->n; i++) {
        if (pdu->requests[i].status == 0)
            continue;
        if (at)
            *at = i;
        return pdu->requests[i].status;
    }
    return 0;
}

static void
agent_append_octets(GString *out, const u_char *octets, gsize length)
{
    gboolean text = TRUE;

    for (gsize i = 0; i < length; i++)
        text = text && g_ascii_isprint((char)octets[i]);
    if (text) {
        g_string_append_len(out, (const char *)octets, (gssize)length);
        return;
    }
    g_string_append(out, "x:");
    for (gsize i = 0; i < length; i++)
        g_string_append_printf(out, "%02x", octets[i]);
}

static void
agent_append_value(GString *out, const netsnmp_variable_list *varbind)
{
    switch (varbind->type) {
    case SNMP_NOSUCHOBJECT:
        g_string_append(out, "noSuchObject");
        return;
    case SNMP_NOSUCHINSTANCE:
        g_string_append(out, "noSuchInstance");
        return;
    case ASN_NULL:
        g_string_append(out, "untouched");
        return;
    case ASN_OCTET_STR:
        g_string_append_printf(out, "%u ", varbind->type);
        agent_append_octets(out, varbind->val.string, varbind->val_len);
        return;
    case ASN_COUNTER64:
        g_assert(varbind->val_len == sizeof(struct counter64));
        g_string_append_printf(out, "%u %" G_GUINT64_FORMAT, varbind->type,
                               ((guint64)varbind->val.counter64->high << 32) |
                                   varbind->val.counter64->low);
        return;
    default:
        g_assert(varbind->val_len == sizeof(long));
        g_string_append_printf(out, "%u %ld", varbind->type, *varbind->val.integer);
        return;
    }
}

char *
agent_result(const AgentPdu *pdu, guint at)
{
    const netsnmp_variable_list *varbind = &pdu->varbinds[at];
    GString *out = g_string_new(NULL);

    for (gsize i = G_N_ELEMENTS(agent_root); i < varbind->name_length; i++)
        g_string_append_printf(out, "%s%lu", i > G_N_ELEMENTS(agent_root) ? "." : "",
                               varbind->name[i]);
    g_string_append_c(out, ' ');
    agent_append_value(out, varbind);
    return g_string_free(out, FALSE);
}
