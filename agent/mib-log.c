/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lvaLog: what is logged, and the counted messages of each level. */
#include "agent/mib-private.h"

#define VADM_LOG_LEVELS 4u /* debug(1) to error(4) have statistics */

static gboolean
vadm_mib_find_log(VadmView *view, VadmMatch match, VadmRow *row)
{
    if (!vadm_mib_is_reachable(row))
        return FALSE;
    row->row = view->source->class->config(view);
    return row->row && vadm_mib_match_scalar(match, row);
}

static gboolean
vadm_get_log_level(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    return ((const VadmConfigRow *)row->row)->log_level > 0 && vadm_get_u32(column, row, out);
}

static gboolean
vadm_mib_find_log_stats(VadmView *view, VadmMatch match, VadmRow *row)
{
    const VadmConfigRow *config = view->source->class->config(view);
    guint32 level;

    if (!config || !vadm_mib_is_reachable(row) || !vadm_mib_match_numbers(match, row, 1, &level))
        return FALSE;
    if (match == VADM_MATCH_GT && level < VADM_LOG_LEVELS)
        level++;
    else if (match == VADM_MATCH_GT)
        return FALSE;
    if (level < 1 || level > VADM_LOG_LEVELS)
        return FALSE;
    row->row = &config->log_stats[level];
    vadm_mib_set_index(row, 1, level, 0);
    return TRUE;
}

/* In the order of the arcs. */
static const VadmColumn vadm_mib_log_columns[] = {
    VADM_COLUMN_RW(lvaLogLevel, INTEGER, LOG_LEVEL, vadm_get_log_level, VadmConfigRow, log_level, 0,
                   VADM_RANGE(1, 5)),
    VADM_COLUMN_RW(lvaLogFilters, OCTET_STR, LOG_FILTERS, vadm_get_string, VadmConfigRow,
                   log_filters, VADM_SNMP_LONG_STRING_MAX, VADM_TEXT(VADM_SNMP_LONG_STRING_MAX)),
    VADM_COLUMN_RW(lvaLogOutputs, OCTET_STR, LOG_OUTPUTS, vadm_get_string, VadmConfigRow,
                   log_outputs, VADM_SNMP_LONG_STRING_MAX, VADM_TEXT(VADM_SNMP_LONG_STRING_MAX)),
};

static const VadmColumn vadm_mib_log_stats_columns[] = {
    VADM_COLUMN(lvaLogStatsEmitted, COUNTER64, LOG_EMITTED, vadm_get_u64, VadmLogStatsRow, emitted),
    VADM_COLUMN(lvaLogStatsFiltered, COUNTER64, LOG_FILTERED, vadm_get_u64, VadmLogStatsRow,
                filtered),
    VADM_COLUMN(lvaLogStatsDropped, COUNTER64, LOG_DROPPED, vadm_get_u64, VadmLogStatsRow, dropped),
};

const VadmTable vadm_mib_log_scalars = {
    .path = {1, LVA_GROUP_lvaLog},
    .path_length = 2,
    .columns = vadm_mib_log_columns,
    .n_columns = G_N_ELEMENTS(vadm_mib_log_columns),
    .find = vadm_mib_find_log,
};

const VadmTable vadm_mib_log_stats_table = {
    .path = {1, LVA_GROUP_lvaLog, LVA_ARC_lvaLogStatsTable, 1},
    .path_length = 4,
    .columns = vadm_mib_log_stats_columns,
    .n_columns = G_N_ELEMENTS(vadm_mib_log_stats_columns),
    .find = vadm_mib_find_log_stats,
};
