/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lvaContextTable: the daemons that the agent serves, and lvaTables: how many rows each table
 * has. */
#include <string.h>

#include "agent/mib-private.h"

/* The index of a string that is not IMPLIED: its length, then its octets (RFC 2578 section 7.7).
 * FALSE: the table is not here, there is no name, or it is longer than an index can be. */
static gboolean
vadm_context_index(const VadmRow *row, VadmMibOid *index)
{
    const char *name = row->daemon->name;
    gsize length = name ? strlen(name) : 0;

    if (!vadm_mib_has_contexts(row->mib) || length < 1 || length > VADM_SNMP_NAME_MAX)
        return FALSE;
    index->arcs[0] = (guint32)length;
    for (gsize i = 0; i < length; i++)
        index->arcs[i + 1] = (guint8)name[i];
    index->length = (guint)length + 1;
    return TRUE;
}

static int
vadm_index_compare(const VadmMibOid *a, const VadmMibOid *b)
{
    for (guint i = 0; i < MIN(a->length, b->length); i++) {
        if (a->arcs[i] != b->arcs[i])
            return a->arcs[i] < b->arcs[i] ? -1 : 1;
    }
    return (a->length > b->length) - (a->length < b->length);
}

/* The one daemon of this agent. Its row stays when the daemon cannot be reached: it says so. */
static gboolean
vadm_mib_find_context(VadmView *view, VadmMatch match, VadmRow *row)
{
    VadmMibOid index;
    int order;

    (void)view;
    if (!vadm_context_index(row, &index))
        return FALSE;
    order = vadm_index_compare(&index, &row->index);
    if (match == VADM_MATCH_EQ ? order != 0 : order <= 0)
        return FALSE;
    row->index = index;
    row->row = row->daemon;
    return TRUE;
}

static gboolean
vadm_mib_find_tables(VadmView *view, VadmMatch match, VadmRow *row)
{
    (void)view;
    row->row = row->daemon;
    return vadm_mib_match_scalar(match, row);
}

/* Tables of a daemon that cannot be reached are empty, whatever was counted before. */
static gboolean
vadm_get_count(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    return vadm_mib_is_reachable(row) ? vadm_get_u32(column, row, out)
                                      : vadm_datum_set_number(out, 0);
}

static gboolean
vadm_get_context_count(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    VadmMibOid index;

    (void)column;
    return vadm_datum_set_number(out, vadm_context_index(row, &index) ? 1 : 0);
}

/* In the order of the arcs. */
static const VadmColumn vadm_mib_context_columns[] = {
    VADM_COLUMN_TEXT(lvaContextDaemonName, NONE, VadmDaemonRow, name, VADM_SNMP_NAME_MAX),
    VADM_COLUMN(lvaContextState, INTEGER, NONE, vadm_get_enum, VadmDaemonRow, state),
    VADM_COLUMN_TEXT(lvaContextUri, NONE, VadmDaemonRow, uri, VADM_SNMP_STRING_MAX),
};

static const VadmColumn vadm_mib_tables_columns[] = {
    VADM_COLUMN(lvaServerNumber, GAUGE, NONE, vadm_get_count, VadmDaemonRow, server_number),
    VADM_COLUMN(lvaServiceNumber, GAUGE, NONE, vadm_get_count, VadmDaemonRow, service_number),
    VADM_COLUMN(lvaClientNumber, GAUGE, NONE, vadm_get_count, VadmDaemonRow, client_number),
    VADM_COLUMN_OWN(lvaContextNumber, GAUGE, NONE, vadm_get_context_count, 0),
};

const VadmTable vadm_mib_context_table = {
    .path = {1, LVA_GROUP_lvaContextTable, 1},
    .path_length = 3,
    .columns = vadm_mib_context_columns,
    .n_columns = G_N_ELEMENTS(vadm_mib_context_columns),
    .find = vadm_mib_find_context,
};

const VadmTable vadm_mib_tables_scalars = {
    .path = {1, LVA_GROUP_lvaTables},
    .path_length = 2,
    .columns = vadm_mib_tables_columns,
    .n_columns = G_N_ELEMENTS(vadm_mib_tables_columns),
    .find = vadm_mib_find_tables,
};
