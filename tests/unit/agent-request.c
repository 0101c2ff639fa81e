/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-request.h"

#include <string.h>

#include "mib/lva-mib.h"

/* net-snmp's list of what is delegated; its headers do not tell of it. */
extern netsnmp_agent_session *agent_delegated_list;

static const oid agent_root[] = {LVA_ROOT};

void
agent_bed_init(AgentBed *bed, gboolean writable)
{
    snmp_disable_log();
    bed->fake = fake_source_new();
    bed->settings = vadm_settings_new(bed->fake->daemon.name, 0x3e7, 5);
    bed->contexts = vadm_contexts_new();
    vadm_contexts_add(bed->contexts, bed->fake->daemon.name, &bed->fake->base, NULL);
    bed->handler = vadm_handler_new(&bed->fake->base, bed->settings, bed->contexts, writable);
}

void
agent_bed_clear(AgentBed *bed)
{
    vadm_handler_free(bed->handler);
    g_assert(bed->fake->views_open == 0);
    g_assert(bed->fake->open == 0);
    vadm_contexts_free(bed->contexts);
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

static void
agent_link(AgentSent *sent)
{
    for (guint i = 0; i < sent->n; i++) {
        sent->requests[i].next = i + 1 < sent->n ? &sent->requests[i + 1] : NULL;
        sent->requests[i].prev = i > 0 ? &sent->requests[i - 1] : NULL;
        sent->requests[i].agent_req_info = &sent->info;
        sent->requests[i].status = 0;
        sent->requests[i].processed = 0;
    }
}

AgentSent *
agent_post(AgentBed *bed, const AgentPdu *pdu, int mode)
{
    netsnmp_mib_handler node = {.myvoid = bed->handler};
    AgentSent *sent = g_new0(AgentSent, 1);

    memcpy(sent->requests, pdu->requests, sizeof(sent->requests));
    sent->n = pdu->n;
    sent->raw.transid = pdu->transaction;
    sent->registration.contextName = pdu->context;
    sent->asp.pdu = &sent->raw;
    sent->asp.mode = sent->info.mode = mode;
    sent->info.asp = &sent->asp;
    agent_link(sent);
    g_assert(vadm_handler_request(&node, &sent->registration, &sent->info, sent->requests) ==
             SNMP_ERR_NOERROR);
    if (agent_is_pending(sent)) {
        sent->asp.next = agent_delegated_list;
        agent_delegated_list = &sent->asp;
    }
    return sent;
}

gboolean
agent_is_pending(const AgentSent *sent)
{
    for (guint i = 0; i < sent->n; i++)
        g_assert(sent->requests[i].delegated == sent->requests[0].delegated);
    return sent->requests[0].delegated != 0;
}

int
agent_outcome(const AgentSent *sent, guint *at)
{
    g_assert(!agent_is_pending(sent));
    for (guint i = 0; i < sent->n; i++) {
        if (sent->requests[i].status == 0)
            continue;
        if (at)
            *at = i;
        return sent->requests[i].status;
    }
    return 0;
}

void
agent_forget(AgentSent *sent)
{
    netsnmp_agent_session **place = &agent_delegated_list;

    while (*place && *place != &sent->asp)
        place = &(*place)->next;
    if (*place)
        *place = sent->asp.next;
    g_free(sent);
}

void
agent_sent_free(AgentSent *sent)
{
    g_assert(!agent_is_pending(sent));
    agent_forget(sent);
}

int
agent_send(AgentBed *bed, AgentPdu *pdu, int mode, guint *at)
{
    AgentSent *sent = agent_post(bed, pdu, mode);
    int status = agent_outcome(sent, at);

    agent_sent_free(sent);
    return status;
}

static void
agent_send_well(AgentBed *bed, AgentPdu *pdu, int mode)
{
    int status = agent_send(bed, pdu, mode, NULL);

    g_assert(status == 0);
}

int
agent_test_set(AgentBed *bed, AgentPdu *pdu, guint *at)
{
    int status = agent_send(bed, pdu, MODE_SET_RESERVE1, at);

    if (status == 0)
        status = agent_send(bed, pdu, MODE_SET_RESERVE2, at);
    if (status != 0)
        agent_send_well(bed, pdu, MODE_SET_FREE);
    return status;
}

int
agent_whole_set(AgentBed *bed, AgentPdu *pdu, guint *at)
{
    int status = agent_test_set(bed, pdu, at);

    if (status != 0)
        return status;
    status = agent_send(bed, pdu, MODE_SET_ACTION, at);
    if (status != 0)
        agent_send(bed, pdu, MODE_SET_UNDO, NULL);
    else
        agent_send_well(bed, pdu, MODE_SET_COMMIT);
    return status;
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
