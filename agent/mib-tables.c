/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lvaContextTable: the daemons that the agent serves, and lvaTables: how many rows each table
 * has. */
#include "agent/contexts.h"
#include "agent/mib-private.h"

/* The row stays when the daemon cannot be reached: it says so. */
static gboolean
vadm_mib_find_context(VadmView *view, VadmMatch match, VadmRow *row)
{
    const VadmContexts *contexts = vadm_mib_get_contexts(row->mib);
    VadmMibOid found;

    (void)view;
    row->row = contexts ? vadm_contexts_find(contexts, match, &row->index, &found) : NULL;
    if (!row->row)
        return FALSE;
    row->index = found;
    return TRUE;
}

/* A look at the daemon of a row of lvaContextTable. What is read there must be copied before the
 * look ends. */
typedef struct {
    VadmView *view; /* NULL: it is the daemon of the request, whose view is open anyhow */
    const VadmDaemonRow *daemon;
} VadmContextLook;

static VadmContextLook
vadm_context_look(const VadmRow *row)
{
    VadmSource *source = ((const VadmContext *)row->row)->source;
    VadmContextLook look = {.daemon = row->daemon};

    if (source == vadm_mib_get_source(row->mib))
        return look;
    look.view = source->class->view_begin(source);
    look.daemon = look.view ? source->class->daemon(look.view) : NULL;
    return look;
}

static void
vadm_context_look_end(VadmContextLook *look)
{
    if (look->view)
        look->view->source->class->view_end(look->view);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VadmContextLook, vadm_context_look_end)

static gboolean
vadm_get_context_daemon(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    g_auto(VadmContextLook) look = vadm_context_look(row);

    return look.daemon && vadm_datum_copy_text(out, column, look.daemon->name);
}

static gboolean
vadm_get_context_state(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    g_auto(VadmContextLook) look = vadm_context_look(row);

    (void)column;
    return look.daemon && vadm_datum_set_number(out, look.daemon->state);
}

static gboolean
vadm_get_context_uri(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    g_auto(VadmContextLook) look = vadm_context_look(row);

    return look.daemon && vadm_datum_copy_text(out, column, look.daemon->uri);
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
    const VadmContexts *contexts = vadm_mib_get_contexts(row->mib);

    (void)column;
    return vadm_datum_set_number(out, contexts ? vadm_contexts_get_number(contexts) : 0);
}

/* In the order of the arcs. */
static const VadmColumn vadm_mib_context_columns[] = {
    VADM_COLUMN_OWN(lvaContextDaemonName, OCTET_STR, NONE, vadm_get_context_daemon,
                    VADM_SNMP_NAME_MAX),
    VADM_COLUMN_OWN(lvaContextState, INTEGER, NONE, vadm_get_context_state, 0),
    VADM_COLUMN_OWN(lvaContextUri, OCTET_STR, NONE, vadm_get_context_uri, VADM_SNMP_STRING_MAX),
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
