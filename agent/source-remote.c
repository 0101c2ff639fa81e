/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/remote-private.h"

/*
 * A view holds a reference of the snapshot that was the newest when it began, and judges then
 * whether it may still be served. Rows are those of the snapshot; what depends on the time of
 * reading is put into copies, and is as of the beginning of the view.
 */
typedef struct {
    VadmView base;
    VadmRemoteSnapshot *snapshot;
    gboolean fresh;
    gint64 now; /* microseconds since the epoch */
    VadmDaemonRow daemon;
    VadmConfigRow config;
    GHashTable *clients; /* VadmRemoteClient -> VadmClientRow; NULL: none yet */
} RemoteView;

static RemoteView *
remote_view(VadmView *view)
{
    return (RemoteView *)view;
}

/* The column "remote" of docs/mib.md, "Which source serves what". */
static VadmAccess
remote_access(VadmSource *source, VadmField field)
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
    case VADM_FIELD_CLIENT_ADMIN_STATUS:
        return VADM_ACCESS_WRITE;
    case VADM_FIELD_DAEMON_NAME:
    case VADM_FIELD_DAEMON_VERSION:
    case VADM_FIELD_DAEMON_URI:
    case VADM_FIELD_DAEMON_STATE:
    case VADM_FIELD_CONFIG_GENERATION:
    case VADM_FIELD_CONFIG_LAST_CHANGE:
    case VADM_FIELD_CONFIG_LAST_ORIGIN:
    case VADM_FIELD_CONFIG_AGE:
    case VADM_FIELD_SERVER_NAME:
    case VADM_FIELD_SERVER_WORKERS_CURRENT:
    case VADM_FIELD_SERVER_WORKERS_FREE:
    case VADM_FIELD_SERVER_JOB_QUEUE_DEPTH:
    case VADM_FIELD_SERVER_CLIENTS_CURRENT:
    case VADM_FIELD_SERVER_CLIENTS_UNAUTH_CURRENT:
    case VADM_FIELD_SERVER_CLIENTS_STATE:
    case VADM_FIELD_SERVER_CLIENTS_UNAUTH_STATE:
    case VADM_FIELD_SERVER_CLIENTS_FULL_EVENTS:
    case VADM_FIELD_CLIENT_ID:
    case VADM_FIELD_CLIENT_TRANSPORT:
    case VADM_FIELD_CLIENT_CONNECTED_SINCE:
    case VADM_FIELD_CLIENT_READ_ONLY:
    case VADM_FIELD_CLIENT_ADDRESS_TYPE:
    case VADM_FIELD_CLIENT_ADDRESS:
    case VADM_FIELD_CLIENT_PORT:
    case VADM_FIELD_CLIENT_SASL_USER_NAME:
    case VADM_FIELD_CLIENT_X509_DN:
    case VADM_FIELD_CLIENT_UNIX_USER_ID:
    case VADM_FIELD_CLIENT_UNIX_USER_NAME:
    case VADM_FIELD_CLIENT_UNIX_GROUP_ID:
    case VADM_FIELD_CLIENT_UNIX_GROUP_NAME:
    case VADM_FIELD_CLIENT_UNIX_PROCESS_ID:
    case VADM_FIELD_CLIENT_SELINUX_CONTEXT:
    case VADM_FIELD_CLIENT_PEER:
    case VADM_FIELD_CLIENT_AGE:
        return VADM_ACCESS_READ;
    default: /* what admin RPC does not carry, and what is the agent's own */
        return VADM_ACCESS_NONE;
    }
}

VadmRemoteSnapshot *
vadm_remote_get_snapshot(VadmRemoteSource *source)
{
    VADM_LOCK_SCOPE(&source->lock);
    return vadm_remote_snapshot_ref(source->snapshot);
}

gboolean
vadm_remote_is_fresh(const VadmRemoteSource *source, const VadmRemoteSnapshot *snapshot, gint64 now)
{
    return snapshot->reachable &&
           now - snapshot->taken <= VADM_REMOTE_STALE_INTERVALS * source->interval;
}

/* Whole seconds from @since to @now; 0 when the clock was set back. */
static guint32
remote_seconds(gint64 since, gint64 now)
{
    return (guint32)CLAMP((now - since) / G_USEC_PER_SEC, 0, G_MAXUINT32);
}

void
vadm_remote_fill_daemon(const VadmRemoteSource *source, const VadmRemoteSnapshot *snapshot,
                        gboolean fresh, VadmDaemonRow *row)
{
    *row = (VadmDaemonRow){
        .name = source->name,
        .version = fresh ? snapshot->version : NULL,
        .uri = source->uri,
        .state = fresh ? VADM_REACH_UP : VADM_REACH_UNREACHABLE,
    };
    for (guint i = 0; fresh && i < snapshot->servers->len; i++) {
        const VadmRemoteServer *server = snapshot->servers->pdata[i];

        row->server_number++;
        row->client_number += server->clients->len;
    }
}

void
vadm_remote_fill_config(const VadmRemoteSnapshot *snapshot, gboolean fresh, gint64 now,
                        VadmConfigRow *row)
{
    *row = (VadmConfigRow){
        .generation = snapshot->generation,
        .last_change = snapshot->last_change,
        .last_origin = snapshot->last_origin,
        .age = remote_seconds(snapshot->last_change, now),
        .log_level = fresh ? snapshot->log_level : 0,
        .log_filters = fresh ? snapshot->filters : NULL,
        .log_outputs = fresh ? snapshot->outputs : NULL,
    };
}

static VadmView *
remote_view_begin(VadmSource *base)
{
    VadmRemoteSource *source = (VadmRemoteSource *)base;
    RemoteView *view = g_new0(RemoteView, 1);

    view->base.source = base;
    view->snapshot = vadm_remote_get_snapshot(source);
    view->fresh = vadm_remote_is_fresh(source, view->snapshot, g_get_monotonic_time());
    view->now = g_get_real_time();
    vadm_remote_fill_daemon(source, view->snapshot, view->fresh, &view->daemon);
    vadm_remote_fill_config(view->snapshot, view->fresh, view->now, &view->config);
    return &view->base;
}

static void
remote_view_end(VadmView *base)
{
    RemoteView *view = remote_view(base);

    g_clear_pointer(&view->clients, g_hash_table_unref);
    vadm_remote_snapshot_unref(view->snapshot);
    g_free(view);
}

static const VadmDaemonRow *
remote_daemon(VadmView *view)
{
    return &remote_view(view)->daemon;
}

static const VadmConfigRow *
remote_config(VadmView *view)
{
    return &remote_view(view)->config;
}

static const VadmServerRow *
remote_server(VadmView *base, VadmMatch match, guint32 index)
{
    RemoteView *view = remote_view(base);
    VadmRemoteServer *server =
        view->fresh ? vadm_remote_find_server(view->snapshot, match, index) : NULL;

    return server ? &server->row : NULL;
}

/* Admin RPC does not carry the services. */
static const VadmServiceRow *
remote_service(VadmView *view, VadmMatch match, guint32 server, guint32 index)
{
    (void)view;
    (void)match;
    (void)server;
    (void)index;
    return NULL;
}

static const VadmClientRow *
remote_client_row(RemoteView *view, VadmRemoteClient *client)
{
    VadmClientRow *row;

    if (!view->clients)
        view->clients = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    row = g_hash_table_lookup(view->clients, client);
    if (row)
        return row;
    row = g_memdup2(&client->row, sizeof(client->row)); /* the snapshot holds its identity */
    if (row->connected_since > 0)
        row->age = remote_seconds(row->connected_since, view->now);
    g_hash_table_insert(view->clients, client, row);
    return row;
}

static const VadmClientRow *
remote_client(VadmView *base, VadmMatch match, guint32 server_index, guint32 index)
{
    RemoteView *view = remote_view(base);
    VadmRemoteServer *server;
    VadmRemoteClient *client;

    if (!view->fresh)
        return NULL;
    server = vadm_remote_find_server(view->snapshot, VADM_MATCH_EQ, server_index);
    client = server ? vadm_remote_find_client(server, match, index) : NULL;
    if (match == VADM_MATCH_EQ)
        return client ? remote_client_row(view, client) : NULL;
    while (!client &&
           (server = vadm_remote_find_server(view->snapshot, VADM_MATCH_GT, server_index))) {
        server_index = server->row.index;
        client = vadm_remote_find_client(server, VADM_MATCH_GT, 0);
    }
    return client ? remote_client_row(view, client) : NULL;
}

static guint
remote_subscribe(VadmSource *base, VadmEventFn tell, gpointer user)
{
    return vadm_events_subscribe(&((VadmRemoteSource *)base)->events, tell, user);
}

static void
remote_unsubscribe(VadmSource *base, guint id)
{
    vadm_events_unsubscribe(&((VadmRemoteSource *)base)->events, id);
}

static const VadmSourceClass remote_class = {
    .access = remote_access,
    .view_begin = remote_view_begin,
    .view_end = remote_view_end,
    .daemon = remote_daemon,
    .config = remote_config,
    .server = remote_server,
    .service = remote_service,
    .client = remote_client,
    .prepare = vadm_remote_prepare,
    .commit = vadm_remote_commit,
    .undo = vadm_remote_undo,
    .finish = vadm_remote_finish,
    .abort = vadm_remote_abort,
    .subscribe = remote_subscribe,
    .unsubscribe = remote_unsubscribe,
};

/* What is served until the daemon has been read for the first time. */
static VadmRemoteSnapshot *
remote_nothing_yet(void)
{
    VadmRemoteSnapshot *snapshot = vadm_remote_snapshot_new();

    snapshot->taken = g_get_monotonic_time();
    snapshot->generation = 1;
    snapshot->last_change = g_get_real_time();
    snapshot->last_origin = VADM_ORIGIN_STARTUP;
    return snapshot;
}

VadmSource *
vadm_source_remote_new(const VadmRemoteConfig *config)
{
    VadmRemoteSource *source = g_new0(VadmRemoteSource, 1);

    source->base.class = &remote_class;
    source->name = g_strdup(config->name);
    source->uri = g_strdup(config->uri);
    source->path = g_strdup(config->path);
    source->interval = (gint64)MAX(config->refresh_interval, 1) * G_USEC_PER_SEC;
    source->silence_min_ms = VADM_REMOTE_SILENCE_MIN_MS;
    source->commit_us = VADM_REMOTE_COMMIT_US;
    source->look_us = VADM_REMOTE_LOOK_US;
    source->log_directories = g_strdupv((char **)config->log_directories);
    vadm_events_init(&source->events);
    source->inbox = vadm_mailbox_new(NULL);
    vadm_mutex_init(&source->lock);
    source->snapshot = remote_nothing_yet();
    source->memory = vadm_remote_memory_new(config);
    source->reader = vadm_remote_reader_new(source);
    source->writer = vadm_remote_writer_new(source);
    source->link = vadm_remote_link_new(source);
    return &source->base;
}

void
vadm_source_remote_close(VadmSource *base, guint timeout_ms, void (*closed)(gpointer user),
                         gpointer user)
{
    vadm_remote_link_close(((VadmRemoteSource *)base)->link, timeout_ms, closed, user);
}

/* The link and the reader go first: who waits for them is told that nothing will come, and lives to
 * hear it. */
void
vadm_source_remote_free(VadmSource *base)
{
    VadmRemoteSource *source = (VadmRemoteSource *)base;

    if (!source)
        return;
    vadm_remote_link_free(source->link);
    vadm_remote_reader_free(source->reader);
    vadm_mailbox_close(source->inbox);
    vadm_remote_writer_free(source->writer);
    vadm_remote_memory_free(source->memory);
    vadm_remote_snapshot_unref(source->snapshot);
    vadm_mutex_clear(&source->lock);
    vadm_mailbox_unref(source->inbox);
    vadm_events_clear(&source->events);
    g_strfreev(source->log_directories);
    g_free(source->path);
    g_free(source->uri);
    g_free(source->name);
    g_free(source);
}
