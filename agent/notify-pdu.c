/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls net-snmp. */
#include "agent/notify-pdu.h"

#include <string.h>

#include "agent/handler.h"
#include "mib/lva-mib.h"

/* The type of the PDU (RFC 2741 section 6.1), which net-snmp takes for the command. */
#define VADM_AGENTX_NOTIFY 12

/* What net-snmp gets for its callback. It is called once more than promised in some ways in which
 * sending fails; the ticket is then gone. */
typedef struct {
    VadmNotifyPdus *pdus;
    gsize ticket; /* 0: free */
    gpointer user;
} VadmNotifySlot;

struct _VadmNotifyPdus {
    VadmNotifyPduDone done;
    VadmNotifySlot slots[VADM_NOTIFY_WINDOW];
};

static const oid vadm_notify_root[] = {LVA_ROOT};

VadmNotifyPdus *
vadm_notify_pdus_new(VadmNotifyPduDone done)
{
    VadmNotifyPdus *pdus = g_new0(VadmNotifyPdus, 1);

    pdus->done = done;
    for (guint i = 0; i < VADM_NOTIFY_WINDOW; i++)
        pdus->slots[i].pdus = pdus;
    return pdus;
}

void
vadm_notify_pdus_free(VadmNotifyPdus *pdus)
{
    g_free(pdus);
}

static int
vadm_notify_pdu_ended(int operation, netsnmp_session *session, int request, netsnmp_pdu *pdu,
                      void *magic)
{
    VadmNotifySlot *slot = magic;
    gboolean answered = operation == NETSNMP_CALLBACK_OP_RECEIVED_MESSAGE;
    gsize ticket = slot->ticket;

    (void)session;
    (void)request;
    if (operation == NETSNMP_CALLBACK_OP_RESEND || ticket == 0)
        return 1;
    slot->ticket = 0;
    slot->pdus->done(ticket, answered, answered ? pdu->errstat : 0, slot->user);
    return 1;
}

static void
vadm_notify_pdu_add(netsnmp_pdu *pdu, const VadmVarbind *varbind)
{
    oid name[G_N_ELEMENTS(vadm_notify_root) + VADM_MIB_OID_MAX];
    gsize length = G_N_ELEMENTS(vadm_notify_root);

    memcpy(name, vadm_notify_root, sizeof(vadm_notify_root));
    for (guint i = 0; i < varbind->oid.length; i++)
        name[length++] = varbind->oid.arcs[i];
    vadm_handler_answer(snmp_pdu_add_variable(pdu, name, length, ASN_NULL, NULL, 0),
                        &varbind->datum);
}

static netsnmp_pdu *
vadm_notify_pdu_build(const VadmNotifyPdu *notify)
{
    static const oid trap_oid[] = {1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0}; /* snmpTrapOID.0, RFC 3418 */
    const oid value[] = {LVA_ROOT, 0, notify->notification->arc};
    netsnmp_pdu *pdu = snmp_pdu_create(VADM_AGENTX_NOTIFY);

    snmp_pdu_add_variable(pdu, trap_oid, G_N_ELEMENTS(trap_oid), ASN_OBJECT_ID, value,
                          sizeof(value));
    for (guint i = 0; i < notify->n_varbinds; i++)
        vadm_notify_pdu_add(pdu, &notify->varbinds[i]);
    if (*notify->context) {
        pdu->contextName = strdup(notify->context);
        pdu->contextNameLen = strlen(notify->context);
    }
    return pdu;
}

static VadmNotifySlot *
vadm_notify_find_slot(VadmNotifyPdus *pdus)
{
    for (guint i = 0; i < VADM_NOTIFY_WINDOW; i++) {
        if (pdus->slots[i].ticket == 0)
            return &pdus->slots[i];
    }
    return NULL;
}

gboolean
vadm_notify_pdus_send(VadmNotifyPdus *pdus, netsnmp_session *session, const VadmNotifyPdu *notify,
                      gsize ticket, gpointer user)
{
    VadmNotifySlot *slot = vadm_notify_find_slot(pdus);
    netsnmp_pdu *pdu;

    if (!slot)
        return FALSE;
    pdu = vadm_notify_pdu_build(notify);
    pdu->version = session->version;
    pdu->sessid = session->sessid;
    pdu->reqid = snmp_get_next_reqid();
    pdu->msgid = snmp_get_next_msgid();
    if (snmp_async_send(session, pdu, vadm_notify_pdu_ended, slot) == 0) {
        snmp_free_pdu(pdu);
        return FALSE;
    }
    slot->ticket = ticket;
    slot->user = user;
    return TRUE;
}
