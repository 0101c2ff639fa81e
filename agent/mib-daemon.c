/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lvaDaemon: the daemon itself. */
#include "agent/mib-private.h"

static gboolean
vadm_mib_find_daemon(VadmView *view, VadmMatch match, VadmRow *row)
{
    (void)view;
    row->row = row->daemon;
    return vadm_mib_match_scalar(match, row);
}

/* That of a daemon which cannot be reached may be another one by now. */
static gboolean
vadm_get_version(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    return vadm_mib_is_reachable(row) && vadm_get_string(column, row, out);
}

/* In the order of the arcs. */
static const VadmColumn vadm_mib_daemon_columns[] = {
    VADM_COLUMN_TEXT(lvaDaemonName, DAEMON_NAME, VadmDaemonRow, name, VADM_SNMP_NAME_MAX),
    {.arc = LVA_ARC_lvaDaemonVersion,
     .name = "lvaDaemonVersion",
     .type = VADM_SNMP_OCTET_STR,
     .access = VADM_ACCESS_READ,
     .field = VADM_FIELD_DAEMON_VERSION,
     .get = vadm_get_version,
     .offset = offsetof(VadmDaemonRow, version),
     .max_length = VADM_SNMP_STRING_MAX},
    VADM_COLUMN_TEXT(lvaDaemonUri, DAEMON_URI, VadmDaemonRow, uri, VADM_SNMP_STRING_MAX),
    VADM_COLUMN(lvaDaemonState, INTEGER, DAEMON_STATE, vadm_get_enum, VadmDaemonRow, state),
    VADM_COLUMN(lvaDaemonStartTime, OCTET_STR, DAEMON_START_TIME, vadm_get_time, VadmDaemonRow,
                start_time),
    VADM_COLUMN(lvaDaemonProcessId, UNSIGNED, DAEMON_PROCESS_ID, vadm_get_u32, VadmDaemonRow, pid),
    VADM_COLUMN(lvaDaemonUpTime, GAUGE, DAEMON_UP_TIME, vadm_get_u32, VadmDaemonRow, up_time),
};

const VadmTable vadm_mib_daemon_scalars = {
    .path = {1, LVA_GROUP_lvaDaemon},
    .path_length = 2,
    .columns = vadm_mib_daemon_columns,
    .n_columns = G_N_ELEMENTS(vadm_mib_daemon_columns),
    .find = vadm_mib_find_daemon,
};
