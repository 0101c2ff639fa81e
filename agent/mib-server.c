/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lvaServerTable. */
#include "agent/mib-private.h"

static gboolean
vadm_mib_find_server(VadmView *view, VadmMatch match, VadmRow *row)
{
    const VadmServerRow *server;
    guint32 index;

    if (!vadm_mib_is_reachable(row) || !vadm_mib_match_numbers(match, row, 1, &index))
        return FALSE;
    server = view->source->class->server(view, match, index);
    if (!server)
        return FALSE;
    row->row = server;
    vadm_mib_set_index(row, 1, server->index, 0);
    return TRUE;
}

/* A number that the source may not have been told for this one server. */
static gboolean
vadm_get_server_u32(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    const VadmServerRow *server = row->row;

    return (server->unknown & VADM_SERVER_UNKNOWN(column->field)) == 0 &&
           vadm_get_u32(column, row, out);
}

/* In the order of the arcs. */
static const VadmColumn vadm_mib_server_columns[] = {
    VADM_COLUMN_TEXT(lvaServerName, SERVER_NAME, VadmServerRow, name, VADM_SNMP_STRING_MAX),
    VADM_COLUMN_RW(lvaServerWorkersMin, UNSIGNED, SERVER_WORKERS_MIN, vadm_get_server_u32,
                   VadmServerRow, workers_min, 0, VADM_RANGE(0, G_MAXUINT32)),
    VADM_COLUMN_RW(lvaServerWorkersMax, UNSIGNED, SERVER_WORKERS_MAX, vadm_get_server_u32,
                   VadmServerRow, workers_max, 0, VADM_RANGE(0, G_MAXUINT32)),
    VADM_COLUMN_RW(lvaServerWorkersPriority, UNSIGNED, SERVER_WORKERS_PRIORITY, vadm_get_server_u32,
                   VadmServerRow, workers_priority, 0, VADM_RANGE(0, G_MAXUINT32)),
    VADM_COLUMN(lvaServerWorkersCurrent, GAUGE, SERVER_WORKERS_CURRENT, vadm_get_server_u32,
                VadmServerRow, workers_current),
    VADM_COLUMN(lvaServerWorkersFree, GAUGE, SERVER_WORKERS_FREE, vadm_get_server_u32,
                VadmServerRow, workers_free),
    VADM_COLUMN(lvaServerJobQueueDepth, GAUGE, SERVER_JOB_QUEUE_DEPTH, vadm_get_server_u32,
                VadmServerRow, job_queue_depth),
    VADM_COLUMN_RW(lvaServerClientsMax, UNSIGNED, SERVER_CLIENTS_MAX, vadm_get_server_u32,
                   VadmServerRow, clients_max, 0, VADM_RANGE(0, G_MAXUINT32)),
    VADM_COLUMN(lvaServerClientsCurrent, GAUGE, SERVER_CLIENTS_CURRENT, vadm_get_server_u32,
                VadmServerRow, clients_current),
    VADM_COLUMN_RW(lvaServerClientsUnauthMax, UNSIGNED, SERVER_CLIENTS_UNAUTH_MAX,
                   vadm_get_server_u32, VadmServerRow, clients_unauth_max, 0,
                   VADM_RANGE(0, G_MAXUINT32)),
    VADM_COLUMN(lvaServerClientsUnauthCurrent, GAUGE, SERVER_CLIENTS_UNAUTH_CURRENT,
                vadm_get_server_u32, VadmServerRow, clients_unauth_current),
    VADM_COLUMN_RW(lvaServerClientsHighPercent, UNSIGNED, SERVER_CLIENTS_HIGH_PERCENT, vadm_get_u32,
                   VadmServerRow, clients_high_percent, 0, VADM_RANGE(0, 100)),
    VADM_COLUMN(lvaServerClientsState, INTEGER, SERVER_CLIENTS_STATE, vadm_get_server_u32,
                VadmServerRow, clients_state),
    VADM_COLUMN(lvaServerClientsUnauthState, INTEGER, SERVER_CLIENTS_UNAUTH_STATE,
                vadm_get_server_u32, VadmServerRow, clients_unauth_state),
    VADM_COLUMN(lvaServerClientsAccepted, COUNTER64, SERVER_CLIENTS_ACCEPTED, vadm_get_u64,
                VadmServerRow, clients_accepted),
    VADM_COLUMN(lvaServerClientsFullEvents, COUNTER32, SERVER_CLIENTS_FULL_EVENTS, vadm_get_u32,
                VadmServerRow, clients_full_events),
    VADM_COLUMN(lvaServerAuthFailures, COUNTER32, SERVER_AUTH_FAILURES, vadm_get_u32, VadmServerRow,
                auth_failures),
    VADM_COLUMN_RW(lvaServerClientRequestsMax, UNSIGNED, SERVER_CLIENT_REQUESTS_MAX, vadm_get_u32,
                   VadmServerRow, client_requests_max, 0, VADM_RANGE(1, G_MAXUINT32)),
    VADM_COLUMN(lvaServerClientRequestsDelayed, COUNTER64, SERVER_CLIENT_REQUESTS_DELAYED,
                vadm_get_u64, VadmServerRow, client_requests_delayed),
    VADM_COLUMN(lvaServerJobsDone, COUNTER64, SERVER_JOBS_DONE, vadm_get_u64, VadmServerRow,
                jobs_done),
    VADM_COLUMN(lvaServerJobsFailed, COUNTER64, SERVER_JOBS_FAILED, vadm_get_u64, VadmServerRow,
                jobs_failed),
    VADM_COLUMN(lvaServerJobWaitTime, COUNTER64, SERVER_JOB_WAIT_TIME, vadm_get_u64, VadmServerRow,
                job_wait_time),
    VADM_COLUMN(lvaServerJobRunTime, COUNTER64, SERVER_JOB_RUN_TIME, vadm_get_u64, VadmServerRow,
                job_run_time),
    VADM_COLUMN(lvaServerUpstreamState, INTEGER, SERVER_UPSTREAM_STATE, vadm_get_enum,
                VadmServerRow, upstream_state),
};

const VadmTable vadm_mib_server_table = {
    .path = {1, LVA_GROUP_lvaServerTable, 1},
    .path_length = 3,
    .n_index = 1,
    .columns = vadm_mib_server_columns,
    .n_columns = G_N_ELEMENTS(vadm_mib_server_columns),
    .find = vadm_mib_find_server,
};
