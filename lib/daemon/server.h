/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A server: its services (listening sockets), clients, limits and worker pool. Clients stand
 * in a tree ordered by lvaClientIndex under a short mutex, so that readers of other threads find
 * the next one in O(log n).
 */
#ifndef VADM_DAEMON_SERVER_H
#define VADM_DAEMON_SERVER_H

#include "daemon/client.h"
#include "daemon/config.h"
#include "daemon/pool.h"

typedef struct _VadmDaemon VadmDaemon;

/* Constant; any thread. */
const char *vadm_server_get_name(const VadmServer *server);
guint32 vadm_server_get_index(const VadmServer *server);
VadmDaemon *vadm_server_get_daemon(const VadmServer *server);
VadmPool *vadm_server_get_pool(const VadmServer *server);
/* The server's part of the configuration as it was at start: for what cannot change. */
const VadmServerConfig *vadm_server_get_config(const VadmServer *server);

/**
 * vadm_server_fill_row:
 * @config: the server's part of the configuration that the caller has pinned; row->name
 *     borrows from it
 *
 * Any thread. All numbers of clients are from one moment, those of the pool from one moment.
 */
void vadm_server_fill_row(VadmServer *server, const VadmServerConfig *config, VadmServerRow *row);

/** vadm_server_count_services, _fill_service: @index from 1. Any thread. row->listen borrows
 * from the server. */
guint32 vadm_server_count_services(const VadmServer *server);
gboolean vadm_server_fill_service(VadmServer *server, guint32 index, VadmServiceRow *row);

/** vadm_server_find_client: the client with lvaClientIndex == @index, or the first behind it.
 * Returns: (transfer full) (nullable). Any thread, O(log n). */
VadmClient *vadm_server_find_client(VadmServer *server, VadmMatch match, guint32 index);
/** vadm_server_lookup_client: by libvirt's 64-bit id. (transfer full) (nullable). Any thread. */
VadmClient *vadm_server_lookup_client(VadmServer *server, guint64 id);
/** vadm_server_list_clients: Returns: (transfer full): of VadmClient references, in the order
 * they connected. Any thread. */
GPtrArray *vadm_server_list_clients(VadmServer *server);
guint32 vadm_server_count_clients(VadmServer *server);

/** vadm_server_set_sasl_user: @client has authenticated itself as @user: it does not count as
 * unauthenticated any more, and a new identity with @user takes the place of the one that it had,
 * in one step for those who look. Main thread. */
void vadm_server_set_sasl_user(VadmServer *server, VadmClient *client, const char *user);
/** vadm_server_note_auth_failure: @client has failed to authenticate: counts, logs and tells it,
 * with the client's row. Once for each client: nothing happens when it has been closed for that
 * reason. Closing the client is the caller's. Main thread. */
void vadm_server_note_auth_failure(VadmServer *server, VadmClient *client);

/** vadm_server_may_complain: may a line be logged now about a client that does not behave? They
 * come as fast as clients do. Any thread. */
gboolean vadm_server_may_complain(VadmServer *server);

/**
 * vadm_server_update_tls: reads the files of TLS again
 * @error: VADM_ERROR_INTERNAL: no service wants TLS; else as vadm_tls_new()
 *
 * Clients that come from now on get what was read; those that are there go on. Returns: FALSE:
 * nothing has changed. Workers only
 */
gboolean vadm_server_update_tls(VadmServer *server, GError **error);

/** vadm_server_set_upstream_state: main thread (the relay). Told as an event, but for the first one
 * when it is up. */
void vadm_server_set_upstream_state(VadmServer *server, VadmUpstreamState state);

/** vadm_server_set_limits: puts new client limits in force: limit states are computed at once,
 * accepting is resumed or suspended from the main loop. Any thread; called in commit and
 * undo. */
void vadm_server_set_limits(VadmServer *server, const VadmServerLimits *limits);

#endif
