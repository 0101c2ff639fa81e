/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net-snmp as the snmp thread needs it: without files, with time limits, with its messages in our
 * log. docs/agent.md tells why each of these settings is made. Calls net-snmp. snmp thread.
 */
#ifndef VADM_AGENT_SNMP_LIBRARY_H
#define VADM_AGENT_SNMP_LIBRARY_H

#include "agent/netsnmp.h"
#include "common/error.h"

/** vadm_snmp_library_configure: before init_agent(). */
void vadm_snmp_library_configure(void);

/** vadm_snmp_library_limit_internal: what net-snmp opens next within itself is made with our time
 * limits: before init_agent(), and when a session has stopped, since after a ping that failed it
 * is opened anew. The transport sets others for the session with the master. */
void vadm_snmp_library_limit_internal(void);

/** vadm_snmp_library_unblock_pipes: net-snmp's internal pipes do not block any more. For each
 * session, as they are new ones after a ping that failed. */
void vadm_snmp_library_unblock_pipes(void);

/** vadm_snmp_library_flush: lets net-snmp pass on, within itself, what the handlers have answered.
 * @master: the descriptor of its session with the master, which is not read meanwhile */
void vadm_snmp_library_flush(int master);

/** vadm_snmp_library_log: logs a message of net-snmp.
 * @priority: of syslog(3)
 * @message: without a line break at the end
 * @last: (inout): what was logged last: a repetition is for debugging only */
void vadm_snmp_library_log(int priority, const char *message, char **last);

#endif
