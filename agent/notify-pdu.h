/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Notifications on their way to the master agent: the agentx-Notify-PDU (RFC 2741 section 6.2.10),
 * sent without waiting, and the answer to each. Calls net-snmp. snmp thread.
 *
 * net-snmp's own send_v2trap() does not tell when the master has answered, and to send without
 * knowing is what blocks subagent and master for ever (docs/agent.md).
 */
#ifndef VADM_AGENT_NOTIFY_PDU_H
#define VADM_AGENT_NOTIFY_PDU_H

#include "agent/netsnmp.h"
#include "agent/notify.h"

typedef struct _VadmNotifyPdus VadmNotifyPdus;

/* One to be sent. @context: of the daemon that it is about; "": the default one */
typedef struct {
    const VadmNotification *notification;
    const VadmVarbind *varbinds;
    guint n_varbinds;
    const char *context;
} VadmNotifyPdu;

/* The end of a notification. @answered: FALSE: not in time, or the session was closed; @error: of
 * the answer (RFC 2741 section 6.2.16), 0: noAgentXError; @user: that it was sent with */
typedef void (*VadmNotifyPduDone)(gsize ticket, gboolean answered, long error, gpointer user);

VadmNotifyPdus *vadm_notify_pdus_new(VadmNotifyPduDone done);
/** vadm_notify_pdus_free: (nullable): after net-snmp has closed the session. */
void vadm_notify_pdus_free(VadmNotifyPdus *pdus);

/**
 * vadm_notify_pdus_send:
 * @session: that is open with the master agent
 * @ticket: not 0; given, with @user, to the VadmNotifyPduDone, which is called once, but not from
 *     here
 *
 * Without sysUpTime.0, which is then the master's own. Returns: FALSE: net-snmp cannot send it, or
 * VADM_NOTIFY_WINDOW are on their way; nobody is called then
 */
gboolean vadm_notify_pdus_send(VadmNotifyPdus *pdus, netsnmp_session *session,
                               const VadmNotifyPdu *notify, gsize ticket, gpointer user);

#endif
