/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Puts a new snapshot into the place of the one before, and makes events of the difference.
 * Readers see the new one before anybody is told of it.
 */
#include "agent/remote-memory.h"

#include <string.h>

#define VADM_LOG_CATEGORY "agent.remote"
#include "common/log.h"

/* Priority workers that were to go may have a call to finish first. */
#define VADM_REMOTE_EXPECT_TIME (60 * G_USEC_PER_SEC)

/* What has happened to a server since the snapshot before. */
typedef struct {
    gboolean clients_state, unauth_state;
    GPtrArray *gone; /* (nullable): of VadmRemoteClient */
    GPtrArray *come;
} VadmRemoteDifference;

static void
vadm_remote_difference_free(gpointer data)
{
    VadmRemoteDifference *difference = data;

    g_clear_pointer(&difference->gone, g_ptr_array_unref);
    g_clear_pointer(&difference->come, g_ptr_array_unref);
    g_free(difference);
}

/* Telling */

static void
vadm_remote_tell(VadmRemoteSource *source, VadmEventKind kind, const VadmServerRow *server,
                 const VadmClientRow *client)
{
    const VadmRemoteSnapshot *snapshot = source->snapshot; /* only this thread replaces it */
    VadmEvent event = {.kind = kind, .at = g_get_monotonic_time()};
    gboolean fresh = vadm_remote_is_fresh(source, snapshot, event.at);
    gint64 now = g_get_real_time();

    if (!vadm_events_wanted(&source->events))
        return;
    vadm_remote_fill_daemon(source, snapshot, fresh, &event.daemon);
    vadm_remote_fill_config(snapshot, fresh, now, &event.config);
    if (server)
        event.server = *server;
    if (client) {
        event.client = *client;
        if (client->connected_since > 0)
            event.client.age =
                (guint32)CLAMP((now - client->connected_since) / G_USEC_PER_SEC, 0, G_MAXUINT32);
        if (kind == VADM_EVENT_CLIENT_DISCONNECTED)
            event.client.disconnect_reason = VADM_DISCONNECT_UNKNOWN;
    }
    vadm_events_tell(&source->events, &event);
}

static void
vadm_remote_tell_state(VadmRemoteSource *source, VadmReachability state)
{
    VadmRemoteMemory *memory = source->memory;
    VadmReachability before = memory->told;

    if (before == state)
        return;
    memory->told = state;
    /* A daemon that was there from the beginning is no news. */
    if (before != 0 || state != VADM_REACH_UP)
        vadm_remote_tell(source, VADM_EVENT_DAEMON, NULL, NULL);
}

static void
vadm_remote_tell_server(VadmRemoteSource *source, const VadmRemoteServer *server,
                        const VadmRemoteDifference *difference)
{
    for (guint i = 0; difference->gone && i < difference->gone->len; i++) {
        const VadmRemoteClient *client = difference->gone->pdata[i];

        vadm_remote_tell(source, VADM_EVENT_CLIENT_DISCONNECTED, &server->row, &client->row);
    }
    for (guint i = 0; difference->come && i < difference->come->len; i++) {
        const VadmRemoteClient *client = difference->come->pdata[i];

        vadm_remote_tell(source, VADM_EVENT_CLIENT_CONNECTED, &server->row, &client->row);
    }
    if (difference->clients_state)
        vadm_remote_tell(source, VADM_EVENT_CLIENT_LIMIT, &server->row, NULL);
    if (difference->unauth_state)
        vadm_remote_tell(source, VADM_EVENT_UNAUTH_LIMIT, &server->row, NULL);
}

/* Comparing */

static gboolean
vadm_remote_is_known(const VadmServerRow *row, VadmField field)
{
    return (row->unknown & VADM_SERVER_UNKNOWN(field)) == 0;
}

static gboolean
vadm_remote_update_limit(VadmLimit *limit, VadmServerRow *row, VadmField state_field,
                         gboolean known, guint32 current, guint32 max, guint32 percent,
                         VadmLimitZero zero)
{
    if (known)
        return vadm_limit_update(limit, current, max, percent, zero);
    row->unknown |= VADM_SERVER_UNKNOWN(state_field);
    return FALSE;
}

/* The alarms of @row's server with the numbers in @row; their states are put into it. */
static void
vadm_remote_update_limits(VadmRemoteKnown *known, VadmServerRow *row,
                          VadmRemoteDifference *difference)
{
    difference->clients_state = vadm_remote_update_limit(
        &known->clients_limit, row, VADM_FIELD_SERVER_CLIENTS_STATE,
        vadm_remote_is_known(row, VADM_FIELD_SERVER_CLIENTS_CURRENT) &&
            vadm_remote_is_known(row, VADM_FIELD_SERVER_CLIENTS_MAX),
        row->clients_current, row->clients_max, known->high_percent, VADM_LIMIT_ZERO_IS_FULL);
    difference->unauth_state = vadm_remote_update_limit(
        &known->unauth_limit, row, VADM_FIELD_SERVER_CLIENTS_UNAUTH_STATE,
        vadm_remote_is_known(row, VADM_FIELD_SERVER_CLIENTS_UNAUTH_CURRENT) &&
            vadm_remote_is_known(row, VADM_FIELD_SERVER_CLIENTS_UNAUTH_MAX),
        row->clients_unauth_current, row->clients_unauth_max, 0, VADM_LIMIT_ZERO_IS_NONE);
    row->clients_high_percent = known->high_percent;
    row->clients_state = known->clients_limit.state;
    row->clients_unauth_state = known->unauth_limit.state;
    row->clients_full_events = known->clients_limit.full_events;
}

static gboolean
vadm_remote_text_changed(char **seen, const char *now)
{
    gboolean changed = *seen && now && g_strcmp0(*seen, now) != 0;

    if (now && (changed || !*seen)) {
        g_free(*seen);
        *seen = g_strdup(now);
    }
    return changed;
}

static gboolean
vadm_remote_setting_changed(VadmRemoteKnown *known, VadmRemoteSetting setting, guint32 value)
{
    gboolean changed = (known->seen & 1u << setting) && known->settings[setting] != value;

    known->seen |= 1u << setting;
    known->settings[setting] = value;
    return changed;
}

/* Until as many as were wanted are there, the number on its way is no configuration. */
static guint32
vadm_remote_priority(VadmRemoteKnown *known, const VadmServerRow *row)
{
    if (known->expected == 0)
        return row->workers_priority;
    if (row->workers_priority != known->priority && g_get_monotonic_time() < known->expected)
        return known->priority;
    known->expected = 0;
    return row->workers_priority;
}

static gboolean
vadm_remote_settings_changed(VadmRemoteKnown *known, const VadmServerRow *row)
{
    const struct {
        VadmRemoteSetting setting;
        VadmField field;
        guint32 value;
    } values[] = {
        {VADM_REMOTE_WORKERS_MIN, VADM_FIELD_SERVER_WORKERS_MIN, row->workers_min},
        {VADM_REMOTE_WORKERS_MAX, VADM_FIELD_SERVER_WORKERS_MAX, row->workers_max},
        {VADM_REMOTE_WORKERS_PRIORITY, VADM_FIELD_SERVER_WORKERS_PRIORITY,
         vadm_remote_priority(known, row)},
        {VADM_REMOTE_CLIENTS_MAX, VADM_FIELD_SERVER_CLIENTS_MAX, row->clients_max},
        {VADM_REMOTE_CLIENTS_UNAUTH_MAX, VADM_FIELD_SERVER_CLIENTS_UNAUTH_MAX,
         row->clients_unauth_max},
    };
    gboolean changed = FALSE;

    G_STATIC_ASSERT(G_N_ELEMENTS(values) == VADM_REMOTE_SETTING_LAST);
    for (guint i = 0; i < G_N_ELEMENTS(values); i++) {
        if (vadm_remote_is_known(row, values[i].field))
            changed |= vadm_remote_setting_changed(known, values[i].setting, values[i].value);
    }
    return changed;
}

static gboolean
vadm_remote_config_changed(VadmRemoteMemory *memory, const VadmRemoteSnapshot *snapshot)
{
    gboolean changed = vadm_remote_text_changed(&memory->filters, snapshot->raw_filters);

    changed |= vadm_remote_text_changed(&memory->outputs, snapshot->outputs);
    for (guint i = 0; i < snapshot->servers->len; i++) {
        const VadmRemoteServer *server = snapshot->servers->pdata[i];
        VadmRemoteKnown *known = vadm_remote_memory_find(memory, server->row.name);

        changed |= vadm_remote_settings_changed(known, &server->row);
    }
    return changed;
}

static GPtrArray *
vadm_remote_missing(const GPtrArray *clients, GHashTable *among)
{
    GPtrArray *missing = NULL;

    for (guint i = 0; i < clients->len; i++) {
        VadmRemoteClient *client = clients->pdata[i];

        if (g_hash_table_contains(among, &client->row.id))
            continue;
        if (!missing)
            missing = g_ptr_array_new_with_free_func((GDestroyNotify)vadm_remote_client_unref);
        g_ptr_array_add(missing, vadm_remote_client_ref(client));
    }
    return missing;
}

/* Mostly nobody has come or gone, and the same clients are shared by both lists. */
static gboolean
vadm_remote_same_clients(const GPtrArray *a, const GPtrArray *b)
{
    return a->len == b->len &&
           (a->len == 0 || memcmp(a->pdata, b->pdata, a->len * sizeof(gpointer)) == 0);
}

/* Who has come and gone, as far as both lists are of one connection. */
static void
vadm_remote_compare_clients(VadmRemoteKnown *known, const VadmRemoteServer *server,
                            VadmRemoteDifference *difference)
{
    g_autoptr(GPtrArray) before = NULL;
    gboolean comparable = known->listed;

    if (!server->listed ||
        (comparable && vadm_remote_same_clients(known->clients, server->clients)))
        return;
    if (comparable) {
        before = g_steal_pointer(&known->clients);
        known->clients = g_ptr_array_new();
        difference->come = vadm_remote_missing(server->clients, known->by_id);
    }
    vadm_remote_memory_list(known, server->clients);
    if (comparable)
        difference->gone = vadm_remote_missing(before, known->by_id);
}

static void
vadm_remote_compare_server(VadmRemoteMemory *memory, VadmRemoteServer *server,
                           VadmRemoteDifference *difference)
{
    VadmRemoteKnown *known = vadm_remote_memory_find(memory, server->row.name);

    vadm_remote_update_limits(known, &server->row, difference);
    vadm_remote_compare_clients(known, server, difference);
}

/* Publishing */

static void
vadm_remote_swap(VadmRemoteSource *source, VadmRemoteSnapshot *snapshot)
{
    VadmRemoteSnapshot *before;

    vadm_mutex_lock(&source->lock);
    before = source->snapshot;
    source->snapshot = snapshot;
    vadm_mutex_unlock(&source->lock);
    vadm_remote_snapshot_unref(before);
}

static void
vadm_remote_inherit_config(VadmRemoteSnapshot *snapshot, const VadmRemoteSnapshot *before)
{
    snapshot->generation = before->generation;
    snapshot->last_change = before->last_change;
    snapshot->last_origin = before->last_origin;
}

static void
vadm_remote_count_change(VadmRemoteSnapshot *snapshot, VadmOrigin origin)
{
    snapshot->generation++;
    snapshot->last_change = g_get_real_time();
    snapshot->last_origin = origin;
}

/* What a SET changes here, in the agent, is counted together with what it changes in the daemon. */
static void
vadm_remote_forget_percents(VadmRemoteMemory *memory)
{
    memory->counted = FALSE;
    for (guint i = 0; i < memory->servers->len; i++)
        ((VadmRemoteKnown *)memory->servers->pdata[i])->percent_counted = FALSE;
}

static void
vadm_remote_count_percent(VadmRemoteMemory *memory, VadmRemoteKnown *known,
                          VadmRemoteSnapshot *snapshot)
{
    if (!memory->counted || known->percent_counted) {
        vadm_remote_forget_percents(memory);
        vadm_remote_count_change(snapshot, VADM_ORIGIN_SNMP);
    }
    memory->counted = known->percent_counted = TRUE;
}

void
vadm_remote_publish(VadmRemoteSource *source, VadmRemoteSnapshot *snapshot, VadmOrigin origin)
{
    VadmRemoteMemory *memory = source->memory;
    g_autoptr(GPtrArray) differences = g_ptr_array_new_with_free_func(vadm_remote_difference_free);
    gboolean settling = origin == VADM_ORIGIN_SNMP; /* told by vadm_remote_tell_change() */
    gboolean changed;

    /* What is another after a reconnect was so when the daemon started, or was changed while we
     * had no answer. */
    if (memory->anew && !settling)
        origin = memory->origin;
    changed = vadm_remote_config_changed(memory, snapshot);
    vadm_remote_inherit_config(snapshot, source->snapshot);
    if (changed && !(memory->counted && settling))
        vadm_remote_count_change(snapshot, origin);
    if (settling)
        vadm_remote_forget_percents(memory);
    for (guint i = 0; i < snapshot->servers->len; i++) {
        g_ptr_array_add(differences, g_new0(VadmRemoteDifference, 1));
        vadm_remote_compare_server(memory, snapshot->servers->pdata[i], differences->pdata[i]);
    }
    snapshot->reachable = TRUE;
    memory->anew = FALSE;
    memory->origin = VADM_ORIGIN_STARTUP;
    vadm_remote_swap(source, vadm_remote_snapshot_ref(snapshot));
    if (vadm_remote_is_fresh(source, snapshot, g_get_monotonic_time()))
        vadm_remote_tell_state(source, VADM_REACH_UP);
    for (guint i = 0; i < snapshot->servers->len; i++)
        vadm_remote_tell_server(source, snapshot->servers->pdata[i], differences->pdata[i]);
    if (changed && !settling)
        vadm_remote_tell(source, VADM_EVENT_CONFIG, NULL, NULL);
    vadm_remote_snapshot_unref(snapshot);
}

/* Whether it is too early to say that a daemon that was never seen cannot be reached. */
static gboolean
vadm_remote_is_patient(const VadmRemoteSource *source)
{
    return source->memory->told == 0 && g_get_monotonic_time() - source->snapshot->taken <=
                                            VADM_REMOTE_STALE_INTERVALS * source->interval;
}

void
vadm_remote_lost(VadmRemoteSource *source)
{
    if (source->snapshot->reachable) {
        VadmRemoteSnapshot *nothing = vadm_remote_snapshot_new();

        vadm_remote_inherit_config(nothing, source->snapshot);
        nothing->taken = source->snapshot->taken;
        vadm_remote_swap(source, nothing);
    }
    if (!vadm_remote_is_patient(source))
        vadm_remote_tell_state(source, VADM_REACH_UNREACHABLE);
}

void
vadm_remote_tell_change(VadmRemoteSource *source)
{
    vadm_remote_forget_percents(source->memory);
    vadm_remote_tell(source, VADM_EVENT_CONFIG, NULL, NULL);
}

void
vadm_remote_forget_change(VadmRemoteSource *source)
{
    vadm_remote_forget_percents(source->memory);
}

void
vadm_remote_expect_priority(VadmRemoteSource *source, guint32 server, guint32 wanted)
{
    VadmRemoteKnown *known = vadm_remote_memory_find_index(source->memory, server);

    if (!known)
        return;
    known->priority = wanted;
    known->expected = g_get_monotonic_time() + VADM_REMOTE_EXPECT_TIME;
}

void
vadm_remote_set_high_percent(VadmRemoteSource *source, guint32 server, guint32 percent)
{
    VadmRemoteKnown *known = vadm_remote_memory_find_index(source->memory, server);
    VadmRemoteDifference difference = {0};
    VadmRemoteSnapshot *snapshot;
    VadmRemoteServer *row;

    if (!known || known->high_percent == percent)
        return;
    known->high_percent = percent;
    snapshot = vadm_remote_snapshot_copy(source->snapshot);
    row = vadm_remote_find_server(snapshot, VADM_MATCH_EQ, server);
    if (row)
        vadm_remote_update_limits(known, &row->row, &difference);
    vadm_remote_count_percent(source->memory, known, snapshot);
    vadm_remote_swap(source, snapshot);
    if (row)
        vadm_remote_tell_server(source, row, &difference);
}
