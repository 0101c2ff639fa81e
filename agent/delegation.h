/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests of net-snmp that are answered later. Calls net-snmp: agent_check_and_process(), or
 * netsnmp_check_outstanding_agent_requests(), sends the answers. All functions: snmp thread.
 */
#ifndef VADM_AGENT_DELEGATION_H
#define VADM_AGENT_DELEGATION_H

#include "agent/netsnmp.h"
#include "agent/set.h"

typedef struct _VadmDelegation VadmDelegation;

/**
 * vadm_delegation_new:
 * @node, @registration, @info, @requests: of the call of the handler
 * @counted: (transfer full): those of @requests that were given to the SET, in its order
 *
 * Returns: (nullable): NULL: no memory: @requests are to be answered at once
 */
VadmDelegation *vadm_delegation_new(netsnmp_mib_handler *node,
                                    netsnmp_handler_registration *registration,
                                    netsnmp_agent_request_info *info,
                                    netsnmp_request_info *requests, netsnmp_request_info **counted);

/** vadm_delegation_answer: a VadmSetAnswer; consumes @user, the delegation. Touches nothing of
 * requests that net-snmp has given up meanwhile. */
void vadm_delegation_answer(VadmStatus status, guint at, gpointer user);

#endif
