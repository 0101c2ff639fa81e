/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/mib.h"

#include <string.h>

#include "agent/mib-private.h"

struct _VadmMib {
    VadmSource *source;
    VadmSettings *settings;
    const VadmContexts *contexts; /* NULL: none */
    gboolean writable;
};

/* In the order of their OIDs: GETNEXT relies on it and a test checks it. */
static const VadmTable *const vadm_mib_all_tables[] = {
    &vadm_mib_daemon_scalars,  &vadm_mib_config_scalars, &vadm_mib_log_scalars,
    &vadm_mib_log_stats_table, &vadm_mib_server_table,   &vadm_mib_service_table,
    &vadm_mib_client_table,    &vadm_mib_notify_scalars, &vadm_mib_context_table,
    &vadm_mib_tables_scalars,
};

VadmMib *
vadm_mib_new(VadmSource *source, VadmSettings *settings, const VadmContexts *contexts,
             gboolean writable)
{
    VadmMib *mib = g_new0(VadmMib, 1);

    mib->source = source;
    mib->settings = settings;
    mib->contexts = contexts;
    mib->writable = writable;
    return mib;
}

void
vadm_mib_free(VadmMib *mib)
{
    g_free(mib);
}

VadmSource *
vadm_mib_get_source(VadmMib *mib)
{
    return mib->source;
}

VadmSettings *
vadm_mib_get_settings(VadmMib *mib)
{
    return mib->settings;
}

const VadmContexts *
vadm_mib_get_contexts(VadmMib *mib)
{
    return mib->contexts;
}

gboolean
vadm_mib_is_writable(VadmMib *mib)
{
    return mib->writable;
}

const VadmTable *const *
vadm_mib_tables(gsize *n_tables)
{
    *n_tables = G_N_ELEMENTS(vadm_mib_all_tables);
    return vadm_mib_all_tables;
}

gboolean
vadm_mib_is_own(VadmMib *mib, VadmField field)
{
    return mib->source->class->access(mib->source, field) == VADM_ACCESS_NONE &&
           vadm_settings_access(field) != VADM_ACCESS_NONE;
}

VadmAccess
vadm_mib_access(VadmMib *mib, const VadmColumn *column)
{
    VadmAccess access = column->access;

    if (column->field != VADM_FIELD_NONE) {
        VadmAccess granted = mib->source->class->access(mib->source, column->field);
        if (granted == VADM_ACCESS_NONE)
            granted = vadm_settings_access(column->field);
        access = MIN(access, granted);
    }
    return mib->writable ? access : MIN(access, VADM_ACCESS_READ);
}

gboolean
vadm_mib_match_scalar(VadmMatch match, VadmRow *row)
{
    if (match == VADM_MATCH_EQ)
        return row->index.length == 1 && row->index.arcs[0] == 0;
    if (row->index.length > 0)
        return FALSE;
    row->index.arcs[0] = 0;
    row->index.length = 1;
    return TRUE;
}

/* Rows have no index 0, so what is behind "5" is what is behind "5.0"; and what is behind
 * "5.7.1" is what is behind "5.7". */
gboolean
vadm_mib_match_numbers(VadmMatch match, const VadmRow *row, guint n, guint32 *numbers)
{
    if (match == VADM_MATCH_EQ && row->index.length != n)
        return FALSE;
    for (guint i = 0; i < n; i++)
        numbers[i] = i < row->index.length ? row->index.arcs[i] : 0;
    return TRUE;
}

void
vadm_mib_set_index(VadmRow *row, guint n, guint32 first, guint32 second)
{
    row->index.arcs[0] = first;
    row->index.arcs[1] = second;
    row->index.length = n;
}

gboolean
vadm_mib_is_reachable(const VadmRow *row)
{
    return row->daemon->state == VADM_REACH_UP;
}

gboolean
vadm_mib_is_up(VadmView *view)
{
    const VadmDaemonRow *daemon = view->source->class->daemon(view);

    return daemon && daemon->state == VADM_REACH_UP;
}

static gboolean
vadm_mib_find(VadmMib *mib, VadmView *view, const VadmTable *table, VadmMatch match, VadmRow *row)
{
    row->mib = mib;
    row->daemon = mib->source->class->daemon(view);
    return row->daemon && table->find(view, match, row);
}

static gboolean
vadm_mib_read(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    out->type = column->type;
    out->number = 0;
    out->bytes = out->buffer;
    out->length = 0;
    return column->get(column, row, out);
}

/* The first column whose arc is not below @arc; n_columns: none. */
static gsize
vadm_mib_first_column(const VadmTable *table, guint32 arc)
{
    gsize low = 0, high = table->n_columns;

    while (low < high) {
        gsize middle = low + (high - low) / 2;
        if (table->columns[middle].arc < arc)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* <0: @oid is before everything below the table's path (a prefix of the path is); 0: below it
 * or the path itself; >0: behind. */
static int
vadm_mib_compare_path(const guint32 *oid, gsize length, const VadmTable *table)
{
    for (guint i = 0; i < table->path_length; i++) {
        if (i >= length || oid[i] < table->path[i])
            return -1;
        if (oid[i] > table->path[i])
            return 1;
    }
    return 0;
}

/* An index longer than any of ours cannot name a row; for GETNEXT the first sub-identifiers
 * decide, and cutting what is behind them keeps the order. */
static void
vadm_mib_copy_index(VadmMibOid *index, const guint32 *arcs, gsize length)
{
    index->length = (guint)MIN(length, G_N_ELEMENTS(index->arcs));
    if (index->length > 0)
        memcpy(index->arcs, arcs, index->length * sizeof(*arcs));
}

const VadmColumn *
vadm_mib_locate(const guint32 *oid, gsize length, const VadmTable **table, VadmMibOid *index)
{
    for (gsize i = 0; i < G_N_ELEMENTS(vadm_mib_all_tables); i++) {
        const VadmTable *candidate = vadm_mib_all_tables[i];
        gsize place;

        if (length <= candidate->path_length || vadm_mib_compare_path(oid, length, candidate) != 0)
            continue;
        place = vadm_mib_first_column(candidate, oid[candidate->path_length]);
        if (place == candidate->n_columns ||
            candidate->columns[place].arc != oid[candidate->path_length])
            continue;
        *table = candidate;
        vadm_mib_copy_index(index, oid + candidate->path_length + 1,
                            length - candidate->path_length - 1);
        return &candidate->columns[place];
    }
    return NULL;
}

gboolean
vadm_mib_has_row(VadmMib *mib, VadmView *view, const VadmTable *table, const VadmMibOid *index)
{
    VadmRow row = {.index = *index};

    return vadm_mib_find(mib, view, table, VADM_MATCH_EQ, &row);
}

VadmGetResult
vadm_mib_get(VadmMib *mib, VadmView *view, const guint32 *oid, gsize length, VadmDatum *out)
{
    const VadmTable *table;
    const VadmColumn *column;
    VadmRow row;

    column = vadm_mib_locate(oid, length, &table, &row.index);
    if (!column)
        return VADM_GET_NO_OBJECT;
    if (vadm_mib_access(mib, column) == VADM_ACCESS_NONE ||
        !vadm_mib_find(mib, view, table, VADM_MATCH_EQ, &row) || !vadm_mib_read(column, &row, out))
        return VADM_GET_NO_INSTANCE;
    return VADM_GET_OK;
}

/* The first instance of @column behind row->index. A row in which it is not instantiated (a
 * string too long for its type) is passed over. */
static gboolean
vadm_mib_next_in_column(VadmMib *mib, VadmView *view, const VadmTable *table,
                        const VadmColumn *column, VadmRow *row, VadmDatum *out)
{
    while (vadm_mib_find(mib, view, table, VADM_MATCH_GT, row)) {
        if (vadm_mib_read(column, row, out))
            return TRUE;
    }
    return FALSE;
}

static void
vadm_mib_compose(const VadmTable *table, const VadmColumn *column, const VadmMibOid *index,
                 VadmMibOid *found)
{
    memcpy(found->arcs, table->path, table->path_length * sizeof(*found->arcs));
    found->length = table->path_length;
    found->arcs[found->length++] = column->arc;
    memcpy(found->arcs + found->length, index->arcs, index->length * sizeof(*found->arcs));
    found->length += index->length;
}

static gboolean
vadm_mib_next_in_table(VadmMib *mib, VadmView *view, const VadmTable *table, const guint32 *oid,
                       gsize length, VadmMibOid *found, VadmDatum *out)
{
    gboolean inside = vadm_mib_compare_path(oid, length, table) == 0;
    gboolean in_column = inside && length > table->path_length;
    gsize first = in_column ? vadm_mib_first_column(table, oid[table->path_length]) : 0;

    for (gsize i = first; i < table->n_columns; i++) {
        const VadmColumn *column = &table->columns[i];
        VadmRow row = {.index.length = 0};

        if (vadm_mib_access(mib, column) == VADM_ACCESS_NONE)
            continue;
        if (in_column && column->arc == oid[table->path_length])
            vadm_mib_copy_index(&row.index, oid + table->path_length + 1,
                                length - table->path_length - 1);
        if (!vadm_mib_next_in_column(mib, view, table, column, &row, out))
            continue;
        vadm_mib_compose(table, column, &row.index, found);
        return TRUE;
    }
    return FALSE;
}

gboolean
vadm_mib_next(VadmMib *mib, VadmView *view, const guint32 *oid, gsize length, VadmMibOid *found,
              VadmDatum *out)
{
    for (gsize i = 0; i < G_N_ELEMENTS(vadm_mib_all_tables); i++) {
        const VadmTable *table = vadm_mib_all_tables[i];

        if (vadm_mib_compare_path(oid, length, table) <= 0 &&
            vadm_mib_next_in_table(mib, view, table, oid, length, found, out))
            return TRUE;
    }
    return FALSE;
}

static const VadmColumn *
vadm_mib_find_object(const VadmTable *table, guint32 arc)
{
    gsize place = vadm_mib_first_column(table, arc);

    if (place < table->n_columns && table->columns[place].arc == arc)
        return &table->columns[place];
    for (gsize i = 0; i < table->n_notify_columns; i++) {
        if (table->notify_columns[i].arc == arc)
            return &table->notify_columns[i];
    }
    g_assert_not_reached();
}

void
vadm_mib_read_object(const VadmTable *table, guint32 arc, const VadmRow *row, VadmMibOid *oid,
                     VadmDatum *out)
{
    const VadmColumn *column = vadm_mib_find_object(table, arc);

    vadm_mib_compose(table, column, &row->index, oid);
    if (!vadm_mib_read(column, row, out))
        out->length = 0;
}
