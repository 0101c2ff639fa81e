/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * In which contexts the master agent has us. Another agent may hold one of them: the others are
 * served all the same, and that one is asked for again from time to time, until the other agent
 * leaves. Calls net-snmp. snmp thread.
 */
#ifndef VADM_AGENT_REGISTRATIONS_H
#define VADM_AGENT_REGISTRATIONS_H

#include "agent/handler.h"

typedef struct _VadmRegistrations VadmRegistrations;

/**
 * vadm_registrations_new:
 * @master: for messages
 * @interval: seconds between two attempts to register what the master agent has refused
 */
VadmRegistrations *vadm_registrations_new(const char *master, guint interval);
/** vadm_registrations_free: (nullable): after vadm_registrations_close(). */
void vadm_registrations_free(VadmRegistrations *registrations);

/** vadm_registrations_open: sees from now on what net-snmp registers. After init_agent(). */
void vadm_registrations_open(VadmRegistrations *registrations);
/** vadm_registrations_close: before snmp_shutdown(). */
void vadm_registrations_close(VadmRegistrations *registrations);

/** vadm_registrations_add: registers @handler in @context, once for each of them, before
 * init_snmp(): from then on it is registered with the master agent in every session. Returns:
 * FALSE: net-snmp refused */
gboolean vadm_registrations_add(VadmRegistrations *registrations, VadmHandler *handler,
                                const char *context);

/** vadm_registrations_session_started: @session is open and nothing registered yet. @fd: of
 * @session */
void vadm_registrations_session_started(VadmRegistrations *registrations, netsnmp_session *session,
                                        int fd);
/** vadm_registrations_session_stopped: may come twice. */
void vadm_registrations_session_stopped(VadmRegistrations *registrations);

/** vadm_registrations_note_message: @message of net-snmp: the only sign of a refusal, whose result
 * it ignores. */
void vadm_registrations_note_message(VadmRegistrations *registrations, const char *message);

/** vadm_registrations_retry: registers again the first that was refused and is due. It waits for
 * the answer of the master agent, and our handlers may be called meanwhile. @now: monotonic time,
 * microseconds. Returns: when it is due next, on that scale; 0: never in this session */
gint64 vadm_registrations_retry(VadmRegistrations *registrations, gint64 now);

/** vadm_registrations_get_context: Returns: (transfer none) (nullable): the first context of
 * @handler that the master agent has us in, "" being the default one; NULL: none. @handler: NULL:
 * any */
const char *vadm_registrations_get_context(const VadmRegistrations *registrations,
                                           const VadmHandler *handler);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmRegistrations, vadm_registrations_free)

#endif
