/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What others get to see of a server: rows for readers, and rows of the moment for events. */
#include "daemon/server-private.h"

#include "daemon/daemon-private.h"

/* Under lock. */
static void
vadm_server_fill_state(VadmServer *server, VadmServerRow *row)
{
    row->clients_current = (guint32)g_tree_nnodes(server->clients);
    row->clients_unauth_current = server->unauth;
    row->clients_state = server->clients_limit.state;
    row->clients_unauth_state = server->unauth_limit.state;
    row->clients_accepted = server->accepted;
    row->clients_full_events = server->clients_limit.full_events;
    row->auth_failures = server->auth_failures;
    row->client_requests_delayed = atomic_load(&server->requests_delayed);
    row->upstream_state = server->upstream_state;
    row->workers_exhausted = server->workers_exhausted;
}

static void
vadm_server_fill_jobs(const VadmPoolStats *stats, VadmServerRow *row)
{
    row->workers_current = stats->current;
    row->workers_free = stats->free;
    row->job_queue_depth = stats->queue_depth;
    row->jobs_done = stats->done;
    row->jobs_failed = stats->failed;
    row->job_wait_time = stats->wait_time;
    row->job_run_time = stats->run_time;
}

static void
vadm_server_begin_row(const VadmServerConfig *config, const VadmServerLimits *limits,
                      VadmServerRow *row)
{
    *row = (VadmServerRow){
        .index = config->index,
        .name = config->name,
        .workers_min = limits->workers_min,
        .workers_max = limits->workers_max,
        .workers_priority = limits->workers_priority,
        .clients_max = limits->clients_max,
        .clients_unauth_max = limits->clients_unauth_max,
        .clients_high_percent = limits->clients_high_percent,
        .client_requests_max = limits->client_requests_max,
    };
}

void
vadm_server_fill_row(VadmServer *server, const VadmServerConfig *config, VadmServerRow *row)
{
    VadmPoolStats stats;

    vadm_server_begin_row(config, &config->limits, row);
    vadm_mutex_lock(&server->lock);
    vadm_server_fill_state(server, row);
    vadm_mutex_unlock(&server->lock);
    vadm_pool_get_stats(server->pool, &stats);
    vadm_server_fill_jobs(&stats, row);
}

guint32
vadm_server_count_services(const VadmServer *server)
{
    return server->services->len;
}

gboolean
vadm_server_fill_service(VadmServer *server, guint32 index, VadmServiceRow *row)
{
    const VadmListenConfig *listen;
    VadmService *service;

    if (index < 1 || index > server->services->len)
        return FALSE;
    service = g_ptr_array_index(server->services, index - 1);
    listen = vadm_service_get_config(service);
    *row = (VadmServiceRow){
        .server = server->config->index,
        .index = index,
        .transport = listen->transport,
        .address = listen->address,
        .listen = listen->text,
        .readonly = listen->readonly,
        .auth = listen->auth,
        .accepting = vadm_service_is_accepting(service),
    };
    return TRUE;
}

/* Events */

/* The limits are those that the states follow, which a change that is being made or undone by
 * another thread may have put in force already, or not yet, while the configuration says
 * otherwise. */
static void
vadm_server_tell_rows(VadmServer *server, VadmEventKind kind, const VadmPoolStats *stats,
                      const VadmClientRow *client)
{
    VadmEvent event;

    vadm_daemon_begin_event(server->daemon, kind, &event);
    vadm_server_begin_row(server->config, &server->limits, &event.server);
    vadm_server_fill_state(server, &event.server);
    vadm_server_fill_jobs(stats, &event.server);
    if (client)
        event.client = *client;
    vadm_events_tell(vadm_daemon_get_events(server->daemon), &event);
}

static gboolean
vadm_server_is_heard(const VadmServer *server)
{
    return vadm_events_wanted(vadm_daemon_get_events(server->daemon));
}

void
vadm_server_tell(VadmServer *server, VadmEventKind kind, const VadmClientRow *client)
{
    VadmPoolStats stats;

    if (!vadm_server_is_heard(server))
        return;
    vadm_pool_get_stats(server->pool, &stats);
    vadm_server_tell_rows(server, kind, &stats, client);
}

void
vadm_server_tell_workers(VadmServer *server, const VadmPoolStats *stats)
{
    if (vadm_server_is_heard(server))
        vadm_server_tell_rows(server, VADM_EVENT_WORKERS, stats, NULL);
}

void
vadm_server_tell_client(VadmServer *server, VadmEventKind kind, VadmClient *client)
{
    VadmClientRow row;

    if (!vadm_server_is_heard(server))
        return;
    vadm_client_fill_row_locked(client, &row);
    if (kind == VADM_EVENT_CLIENT_DISCONNECTED)
        row.disconnect_reason = client->reason;
    vadm_server_tell(server, kind, &row);
    vadm_identity_unref(row.identity);
}
