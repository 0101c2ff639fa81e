/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/source-local.h"

#include <unistd.h>

#include "agent/source-local-private.h"

#include <config.h>

/*
 * A view pins one configuration. Each row is copied once, when it is first asked for, and kept
 * until the view ends: all columns of a row come from one moment, whatever happens to the client
 * meanwhile.
 */
typedef struct {
    VadmView base;
    VadmDaemon *daemon;
    VadmConfig *config;
    VadmDaemonRow *daemon_row;
    VadmConfigRow *config_row;
    GHashTable *servers;  /* index -> VadmServerRow */
    GHashTable *services; /* server << 32 | index -> VadmServiceRow */
    GHashTable *clients;  /* server << 32 | index -> VadmClientRow */
} LocalView;

static LocalView *
local_view(VadmView *view)
{
    return (LocalView *)view;
}

static VadmAccess
local_access(VadmSource *source, VadmField field)
{
    (void)source;
    switch (field) {
    case VADM_FIELD_LOG_LEVEL:
    case VADM_FIELD_LOG_FILTERS:
    case VADM_FIELD_LOG_OUTPUTS:
    case VADM_FIELD_SERVER_WORKERS_MIN:
    case VADM_FIELD_SERVER_WORKERS_MAX:
    case VADM_FIELD_SERVER_WORKERS_PRIORITY:
    case VADM_FIELD_SERVER_CLIENTS_MAX:
    case VADM_FIELD_SERVER_CLIENTS_UNAUTH_MAX:
    case VADM_FIELD_SERVER_CLIENTS_HIGH_PERCENT:
    case VADM_FIELD_SERVER_CLIENT_REQUESTS_MAX:
    case VADM_FIELD_CLIENT_ADMIN_STATUS:
    case VADM_FIELD_CONFIG_STORAGE:
    case VADM_FIELD_CONFIG_CONFIRM_TIMEOUT:
    case VADM_FIELD_NOTIFY_ENABLE:
    case VADM_FIELD_NOTIFY_MIN_INTERVAL:
        return VADM_ACCESS_WRITE;
    case VADM_FIELD_CONFIG_LOCK: /* the agent's own */
    case VADM_FIELD_CONFIG_LAST_ERROR:
    case VADM_FIELD_NOTIFY_SENT:
    case VADM_FIELD_NOTIFY_SUPPRESSED:
    case VADM_FIELD_NOTIFY_DISCONTINUITY_TIME:
    case VADM_FIELD_CLIENT_DISCONNECT_REASON: /* in events only */
        return VADM_ACCESS_NONE;
    default:
        return VADM_ACCESS_READ;
    }
}

static void
local_client_row_free(gpointer data)
{
    VadmClientRow *row = data;

    vadm_identity_unref(row->identity);
    g_free(row);
}

static VadmView *
local_view_begin(VadmSource *source)
{
    VadmLocalSource *self = (VadmLocalSource *)source;
    LocalView *view = g_new0(LocalView, 1);

    view->base.source = source;
    view->daemon = self->daemon;
    view->config = vadm_daemon_get_config(self->daemon);
    view->servers = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    view->services = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    view->clients =
        g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, local_client_row_free);
    return &view->base;
}

static void
local_view_end(VadmView *base)
{
    LocalView *view = local_view(base);

    g_hash_table_unref(view->clients);
    g_hash_table_unref(view->services);
    g_hash_table_unref(view->servers);
    g_free(view->config_row);
    g_free(view->daemon_row);
    vadm_config_unref(view->config);
    g_free(view);
}

static guint64
local_key(guint32 server, guint32 index)
{
    return (guint64)server << 32 | index;
}

static gpointer
local_remember(GHashTable *table, guint64 key, gpointer row)
{
    guint64 *stored = g_new(guint64, 1);

    *stored = key;
    g_hash_table_insert(table, stored, row);
    return row;
}

/* Whole seconds from @since to now; 0 when the clock was set back. */
static guint32
local_seconds(gint64 since)
{
    gint64 age = (g_get_real_time() - since) / G_USEC_PER_SEC;

    return (guint32)CLAMP(age, 0, G_MAXUINT32);
}

static const VadmDaemonRow *
local_daemon(VadmView *base)
{
    LocalView *view = local_view(base);
    VadmDaemonRow *row;
    VadmServer *server;

    if (view->daemon_row)
        return view->daemon_row;
    row = view->daemon_row = g_new0(VadmDaemonRow, 1);
    row->name = view->config->name;
    row->version = PACKAGE_VERSION;
    row->uri = vadm_daemon_get_uri(view->daemon);
    row->state = VADM_REACH_UP;
    row->start_time = vadm_daemon_get_start_time(view->daemon);
    row->pid = (guint32)getpid();
    row->up_time = local_seconds(row->start_time);
    for (server = vadm_daemon_server(view->daemon, VADM_MATCH_GT, 0); server;
         server = vadm_daemon_server(view->daemon, VADM_MATCH_GT, vadm_server_get_index(server))) {
        row->server_number++;
        row->service_number += vadm_server_count_services(server);
        row->client_number += vadm_server_count_clients(server);
    }
    return row;
}

static const VadmConfigRow *
local_config(VadmView *base)
{
    LocalView *view = local_view(base);
    const VadmConfig *config = view->config;
    VadmConfigRow *row;

    if (view->config_row)
        return view->config_row;
    row = view->config_row = g_new0(VadmConfigRow, 1);
    row->generation = config->generation;
    row->last_change = config->changed_at;
    row->last_origin = config->origin;
    row->storage = config->storage;
    row->confirm_left = vadm_config_confirm_left(config);
    row->age = local_seconds(config->changed_at);
    row->log_level = config->log_level;
    row->log_filters = config->log_filters;
    row->log_outputs = config->log_outputs;
    row->notify_enable = config->notify_enable;
    row->notify_min_interval = config->notify_min_interval;
    for (int level = VADM_LOG_DEBUG; level < VADM_LOG_LEVEL_LAST; level++) {
        VadmLogStats stats;

        vadm_log_get_stats(vadm_daemon_get_log(view->daemon), level, &stats);
        row->log_stats[level].emitted = stats.emitted;
        row->log_stats[level].filtered = stats.filtered;
        row->log_stats[level].dropped = stats.dropped;
    }
    return row;
}

static const VadmServerRow *
local_server(VadmView *base, VadmMatch match, guint32 index)
{
    LocalView *view = local_view(base);
    VadmServer *server = vadm_daemon_server(view->daemon, match, index);
    const VadmServerConfig *config;
    VadmServerRow *row;
    guint64 key;

    if (!server)
        return NULL;
    key = vadm_server_get_index(server);
    row = g_hash_table_lookup(view->servers, &key);
    if (row)
        return row;
    config = vadm_config_find_server_index(view->config, vadm_server_get_index(server));
    if (!config)
        return NULL;
    row = g_new0(VadmServerRow, 1);
    vadm_server_fill_row(server, config, row);
    return local_remember(view->servers, key, row);
}

static const VadmServiceRow *
local_service_row(LocalView *view, VadmServer *server, guint32 index)
{
    guint64 key = local_key(vadm_server_get_index(server), index);
    VadmServiceRow *row = g_hash_table_lookup(view->services, &key);

    if (row)
        return row;
    row = g_new0(VadmServiceRow, 1);
    if (!vadm_server_fill_service(server, index, row)) {
        g_free(row);
        return NULL;
    }
    return local_remember(view->services, key, row);
}

static const VadmServiceRow *
local_service(VadmView *base, VadmMatch match, guint32 server_index, guint32 index)
{
    LocalView *view = local_view(base);
    VadmServer *server = vadm_daemon_server(view->daemon, VADM_MATCH_EQ, server_index);

    if (match == VADM_MATCH_EQ)
        return server && index > 0 ? local_service_row(view, server, index) : NULL;
    if (server && index < vadm_server_count_services(server))
        return local_service_row(view, server, index + 1);
    while ((server = vadm_daemon_server(view->daemon, VADM_MATCH_GT, server_index))) {
        if (vadm_server_count_services(server) > 0)
            return local_service_row(view, server, 1);
        server_index = vadm_server_get_index(server);
    }
    return NULL;
}

static const VadmClientRow *
local_client_row(LocalView *view, VadmClient *client)
{
    guint64 key = local_key(vadm_server_get_index(vadm_client_get_server(client)),
                            vadm_client_get_index(client));
    VadmClientRow *row = g_hash_table_lookup(view->clients, &key);

    if (row)
        return row;
    row = g_new0(VadmClientRow, 1);
    vadm_client_fill_row(client, row);
    return local_remember(view->clients, key, row);
}

static const VadmClientRow *
local_client(VadmView *base, VadmMatch match, guint32 server_index, guint32 index)
{
    LocalView *view = local_view(base);
    guint64 key = local_key(server_index, index);
    VadmServer *server = vadm_daemon_server(view->daemon, VADM_MATCH_EQ, server_index);
    g_autoptr(VadmClient) client = NULL;

    if (match == VADM_MATCH_EQ) {
        const VadmClientRow *row = g_hash_table_lookup(view->clients, &key);

        /* A client that left since this view first saw it is still its row here. */
        if (row || !server)
            return row;
        client = vadm_server_find_client(server, VADM_MATCH_EQ, index);
        return client ? local_client_row(view, client) : NULL;
    }
    if (server)
        client = vadm_server_find_client(server, VADM_MATCH_GT, index);
    while (!client && (server = vadm_daemon_server(view->daemon, VADM_MATCH_GT, server_index))) {
        server_index = vadm_server_get_index(server);
        client = vadm_server_find_client(server, VADM_MATCH_GT, 0);
    }
    return client ? local_client_row(view, client) : NULL;
}

static guint
local_subscribe(VadmSource *source, VadmEventFn tell, gpointer user)
{
    VadmLocalSource *self = (VadmLocalSource *)source;

    return vadm_events_subscribe(vadm_daemon_get_events(self->daemon), tell, user);
}

static void
local_unsubscribe(VadmSource *source, guint id)
{
    VadmLocalSource *self = (VadmLocalSource *)source;

    vadm_events_unsubscribe(vadm_daemon_get_events(self->daemon), id);
}

static const VadmSourceClass local_class = {
    .access = local_access,
    .view_begin = local_view_begin,
    .view_end = local_view_end,
    .daemon = local_daemon,
    .config = local_config,
    .server = local_server,
    .service = local_service,
    .client = local_client,
    .prepare = vadm_local_prepare,
    .commit = vadm_local_commit,
    .undo = vadm_local_undo,
    .finish = vadm_local_finish,
    .abort = vadm_local_abort,
    .subscribe = local_subscribe,
    .unsubscribe = local_unsubscribe,
};

VadmSource *
vadm_source_local_new(VadmDaemon *daemon)
{
    VadmLocalSource *self = g_new0(VadmLocalSource, 1);

    self->base.class = &local_class;
    self->daemon = daemon;
    return &self->base;
}

void
vadm_source_local_free(VadmSource *source)
{
    g_free(source);
}
