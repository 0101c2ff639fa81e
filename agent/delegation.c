/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls net-snmp. */
#include "agent/delegation.h"

#define VADM_LOG_CATEGORY "agent.handler"
#include "common/log.h"

struct _VadmDelegation {
    netsnmp_delegated_cache *cache;
    netsnmp_request_info **counted;
};

VadmDelegation *
vadm_delegation_new(netsnmp_mib_handler *node, netsnmp_handler_registration *registration,
                    netsnmp_agent_request_info *info, netsnmp_request_info *requests,
                    netsnmp_request_info **counted)
{
    netsnmp_delegated_cache *cache =
        netsnmp_create_delegated_cache(node, registration, info, requests, NULL);
    VadmDelegation *delegation;

    if (!cache) {
        g_free(counted);
        return NULL;
    }
    delegation = g_new0(VadmDelegation, 1);
    delegation->cache = cache;
    delegation->counted = counted;
    netsnmp_handler_mark_requests_as_delegated(requests, REQUEST_IS_DELEGATED);
    return delegation;
}

void
vadm_delegation_answer(VadmStatus status, guint at, gpointer user)
{
    VadmDelegation *delegation = user;
    netsnmp_delegated_cache *cache = delegation->cache;

    if (netsnmp_handler_check_cache(cache)) {
        netsnmp_handler_mark_requests_as_delegated(cache->requests, REQUEST_IS_NOT_DELEGATED);
        if (status != VADM_STATUS_OK)
            netsnmp_set_request_error(cache->reqinfo, delegation->counted[at], (int)status);
    } else
        VADM_DEBUG("nobody waits for the answer to a SET any more");
    netsnmp_free_delegated_cache(cache);
    g_free(delegation->counted);
    g_free(delegation);
}
