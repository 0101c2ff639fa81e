/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Between net-snmp and the MIB of a daemon: the handler of its registrations, one for each context
 * that it is served in, which gets all varbinds of a PDU in one call per phase. It translates OIDs,
 * values and error statuses, and decides nothing. Calls net-snmp. All functions: snmp thread.
 */
#ifndef VADM_AGENT_HANDLER_H
#define VADM_AGENT_HANDLER_H

#include "agent/mib.h"
#include "agent/netsnmp.h"

typedef struct _VadmHandler VadmHandler;

/** vadm_handler_new: of one daemon. @source, @settings: (transfer none); @contexts: (transfer none)
 * (nullable): what lvaContextTable lists in the default context; the rest as in vadm_mib_new(). */
VadmHandler *vadm_handler_new(VadmSource *source, VadmSettings *settings,
                              const VadmContexts *contexts, gboolean writable);
/** vadm_handler_get_mib: (transfer none) */
VadmMib *vadm_handler_get_mib(VadmHandler *handler);
/** vadm_handler_answer: gives @varbind the type and the value of @datum, which is copied. */
void vadm_handler_answer(netsnmp_variable_list *varbind, const VadmDatum *datum);
/** vadm_handler_free: settles an open transaction. After the registrations are gone, and after
 * vadm_handler_session_stopped() if net-snmp has ended by then. */
void vadm_handler_free(VadmHandler *handler);

/**
 * vadm_handler_register:
 * @context: "" for the default one, the only one in which there is lvaContextTable
 *
 * Registers the root of the MIB with net-snmp, after init_agent(); once for each context.
 * Returns: (transfer none) (nullable): the registration, which is net-snmp's; NULL: it refused
 */
netsnmp_handler_registration *vadm_handler_register(VadmHandler *handler, const char *context);

/** vadm_handler_request: a Netsnmp_Node_Handler; @node->myvoid is the VadmHandler. */
int vadm_handler_request(netsnmp_mib_handler *node, netsnmp_handler_registration *registration,
                         netsnmp_agent_request_info *info, netsnmp_request_info *requests);

/** vadm_handler_session_started, _stopped: a session with the master agent began or ended: its
 * transaction ids mean nothing to another one. Stopped may come twice; it answers what is
 * delegated, and until the next start no SET begins. */
void vadm_handler_session_started(VadmHandler *handler);
void vadm_handler_session_stopped(VadmHandler *handler);

/** vadm_handler_expire: ends views, transactions and pending phases whose time is over. Returns:
 * when it must be called again, on the scale of @now; 0: not before the next request. */
gint64 vadm_handler_expire(VadmHandler *handler, gint64 now);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmHandler, vadm_handler_free)

#endif
