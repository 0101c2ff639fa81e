/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/server-private.h"

#include <gio/gunixconnection.h>
#include <unistd.h>

#include "common/spare-fds.h"
#include "daemon/daemon-private.h"

#define VADM_LOG_CATEGORY "daemon.server"
#include "common/log.h"

const char *
vadm_server_get_name(const VadmServer *server)
{
    return server->config->name;
}

guint32
vadm_server_get_index(const VadmServer *server)
{
    return server->config->index;
}

VadmDaemon *
vadm_server_get_daemon(const VadmServer *server)
{
    return server->daemon;
}

VadmPool *
vadm_server_get_pool(const VadmServer *server)
{
    return server->pool;
}

const VadmServerConfig *
vadm_server_get_config(const VadmServer *server)
{
    return server->config;
}

/* Limits and accepting */

/* Which of the limits' states are others than before. */
typedef struct {
    gboolean clients, unauth;
} VadmLimitsChanged;

/* Under lock: after each change of a number of clients or a limit. Telling is a step of its own,
 * since the states are part of the rows that other events of the same moment bring along. */
static VadmLimitsChanged
vadm_server_update_limits(VadmServer *server)
{
    const VadmServerLimits *limits = &server->limits;
    guint32 clients = (guint32)g_tree_nnodes(server->clients);
    VadmLimitsChanged changed;

    changed.clients = vadm_limit_update(&server->clients_limit, clients, limits->clients_max,
                                        limits->clients_high_percent, VADM_LIMIT_ZERO_IS_FULL);
    changed.unauth = vadm_limit_update(&server->unauth_limit, server->unauth,
                                       limits->clients_unauth_max, 0, VADM_LIMIT_ZERO_IS_NONE);
    return changed;
}

/* Under lock, in the same hold as the update. */
static void
vadm_server_tell_limits(VadmServer *server, VadmLimitsChanged changed)
{
    if (changed.clients)
        vadm_server_tell(server, VADM_EVENT_CLIENT_LIMIT, NULL);
    if (changed.unauth)
        vadm_server_tell(server, VADM_EVENT_UNAUTH_LIMIT, NULL);
}

/* For any client, and for one that has to show first who it is. */
typedef struct {
    gboolean any, stranger;
} VadmServerRoom;

static VadmServerRoom
vadm_server_get_room(VadmServer *server)
{
    VadmServerRoom room;
    VADM_LOCK_SCOPE(&server->lock);

    room.any = vadm_limit_has_room((guint32)g_tree_nnodes(server->clients),
                                   server->limits.clients_max, VADM_LIMIT_ZERO_IS_FULL);
    room.stranger =
        room.any && vadm_limit_has_room(server->unauth, server->limits.clients_unauth_max,
                                        VADM_LIMIT_ZERO_IS_NONE);
    return room;
}

/* Do clients begin as authenticated ones here? */
static gboolean
vadm_server_trusts(const VadmListenConfig *listen)
{
    return listen->auth == VADM_AUTH_NONE && listen->transport != VADM_TRANSPORT_TLS;
}

/* Main thread. A full server refuses nobody: connections wait in the kernel's backlog. Strangers
 * who fill their places keep out strangers only, not who comes where nothing is asked for. The
 * service that goes on first gets the place that has become free: the one behind that which has got
 * the last, lest a flood at one socket starves the others. */
static void
vadm_server_update_accepting(VadmServer *server)
{
    VadmServerRoom room = vadm_server_get_room(server);
    guint count = server->services->len;

    for (guint i = 0; i < count; i++) {
        VadmService *service =
            g_ptr_array_index(server->services, (server->next_service + i) % count);
        gboolean has_room =
            vadm_server_trusts(vadm_service_get_config(service)) ? room.any : room.stranger;

        vadm_service_set_accepting(service, server->listening && has_room);
    }
}

static void
vadm_server_limits_changed(gpointer data)
{
    VadmServer *server = data;
    g_autoptr(GPtrArray) clients = vadm_server_list_clients(server);

    vadm_server_update_accepting(server);
    for (guint i = 0; i < clients->len; i++)
        vadm_client_pump(g_ptr_array_index(clients, i));
}

void
vadm_server_set_limits(VadmServer *server, const VadmServerLimits *limits)
{
    vadm_mutex_lock(&server->lock);
    server->limits = *limits;
    atomic_store(&server->requests_max, limits->client_requests_max);
    vadm_server_tell_limits(server, vadm_server_update_limits(server));
    vadm_mutex_unlock(&server->lock);
    vadm_mailbox_post(vadm_daemon_get_mailbox(server->daemon), vadm_server_limits_changed, server,
                      NULL);
}

/* Who comes */

/* Who administers a daemon may do what the daemon may do: root, and the daemon's own user. The
 * mode of the socket is not enough, since a descriptor can be handed on. */
static gboolean
vadm_server_may_enter(VadmServer *server, const VadmIdentity *identity)
{
    if (server->config->program != VADM_PROGRAM_ADMIN)
        return TRUE;
    return identity->local && (identity->uid == 0 || identity->uid == geteuid());
}

static guint64
vadm_server_next_id(VadmServer *server)
{
    VADM_LOCK_SCOPE(&server->lock);
    return ++server->last_id;
}

/* Under lock: the low 32 bits of the id; an id whose bits are 0, or in use by a client from 2^32
 * ids ago, gets the next free number. */
static guint32
vadm_server_free_index_locked(VadmServer *server, guint64 id)
{
    guint32 index = (guint32)id;

    while (index == 0 || g_tree_lookup(server->clients, GUINT_TO_POINTER(index)))
        index++;
    return index;
}

/* Stays free until it is used: by the main thread, which alone inserts. */
static guint32
vadm_server_free_index(VadmServer *server, guint64 id)
{
    VADM_LOCK_SCOPE(&server->lock);
    return vadm_server_free_index_locked(server, id);
}

/* The event has the row that the client would have got. */
static void
vadm_server_refuse(VadmServer *server, const VadmListenConfig *listen, guint64 id,
                   VadmIdentity *identity)
{
    VadmClientRow row = {
        .server = server->config->index,
        .id = id,
        .transport = listen->transport,
        .connected_since = g_get_real_time(),
        .readonly = listen->readonly,
        .identity = identity,
    };

    if (vadm_server_may_complain(server))
        VADM_WARN("operation forbidden: Disallowing client %u with uid %u", identity->pid,
                  identity->uid);
    VADM_LOCK_SCOPE(&server->lock);
    row.index = vadm_server_free_index_locked(server, id);
    server->auth_failures++;
    vadm_server_tell(server, VADM_EVENT_AUTH_FAILURE, &row);
}

gboolean
vadm_server_may_complain(VadmServer *server)
{
    return vadm_complaints_allow(server->complaints);
}

void
vadm_server_note_auth_failure(VadmServer *server, VadmClient *client)
{
    g_autoptr(VadmIdentity) identity = vadm_client_get_identity(client);
    g_autofree char *peer = vadm_identity_peer(identity, client->transport);

    if (client->reason == VADM_DISCONNECT_AUTH_FAILURE)
        return;
    if (vadm_server_may_complain(server))
        VADM_WARN("Client %" G_GUINT64_FORMAT " of server '%s' failed to authenticate: %s",
                  client->id, server->config->name, peer);
    VADM_LOCK_SCOPE(&server->lock);
    server->auth_failures++;
    vadm_server_tell_client(server, VADM_EVENT_AUTH_FAILURE, client);
}

static void
vadm_server_insert(VadmServer *server, VadmClient *client)
{
    VadmLimitsChanged changed;

    VADM_LOCK_SCOPE(&server->lock);
    g_tree_insert(server->clients, GUINT_TO_POINTER(client->index), vadm_client_ref(client));
    server->accepted++;
    if (!client->authenticated) {
        server->unauth++;
        vadm_auth_deadline_add(server->auth_deadline, client);
    }
    changed = vadm_server_update_limits(server);
    vadm_server_tell_client(server, VADM_EVENT_CLIENT_CONNECTED, client);
    vadm_server_tell_limits(server, changed);
}

static GIOStream *
vadm_server_make_stream(int fd, GError **error)
{
    g_autoptr(GSocket) socket = g_socket_new_from_fd(fd, error);

    if (!socket) {
        close(fd);
        return NULL;
    }
    g_socket_set_blocking(socket, FALSE);
    return G_IO_STREAM(g_socket_connection_factory_create_connection(socket));
}

typedef struct {
    VadmServer *server;
    VadmClient *client;
} VadmNaming;

static void
vadm_naming_done(VadmIdentity *named, gpointer user)
{
    VadmNaming *naming = user;

    vadm_server_set_names(naming->server, naming->client, named);
}

static void
vadm_naming_free(gpointer user)
{
    VadmNaming *naming = user;

    vadm_client_unref(naming->client);
    g_free(naming);
}

/* Who comes from another host has no names to look up. */
static void
vadm_server_name_client(VadmServer *server, VadmClient *client, VadmIdentity *identity)
{
    VadmNaming *naming;

    if (identity->named)
        return;
    naming = g_new(VadmNaming, 1);
    naming->server = server;
    naming->client = vadm_client_ref(client);
    vadm_resolver_look_up(vadm_daemon_get_resolver(server->daemon), identity, vadm_naming_done,
                          naming, vadm_naming_free);
}

static void
vadm_server_admit(VadmServer *server, const VadmListenConfig *listen, guint64 id,
                  VadmIdentity *identity, GIOStream *stream)
{
    VadmClientInit init = {
        .id = id,
        .index = vadm_server_free_index(server, id),
        .transport = listen->transport,
        .readonly = listen->readonly,
        .auth = listen->auth,
        .authenticated = vadm_server_trusts(listen),
        .identity = vadm_identity_ref(identity),
    };
    g_autoptr(VadmClient) client = vadm_client_new(server, stream, &init);
    g_autofree char *peer = vadm_identity_peer(identity, init.transport);

    VADM_INFO("Client %" G_GUINT64_FORMAT " of server '%s' connected: %s", id, server->config->name,
              peer);
    vadm_server_insert(server, client);
    vadm_daemon_client_came(server->daemon);
    vadm_server_name_client(server, client, identity);
    if (listen->transport == VADM_TRANSPORT_TLS)
        vadm_server_begin_tls(server, client, G_SOCKET_CONNECTION(stream));
    else
        vadm_client_start(client);
    vadm_server_update_accepting(server);
}

static void
vadm_server_accepted(VadmService *service, int fd, const VadmInetAddress *peer, gpointer user)
{
    VadmServer *server = user;
    const VadmListenConfig *listen = vadm_service_get_config(service);
    guint64 id = vadm_server_next_id(server);
    g_autoptr(VadmIdentity) identity = vadm_server_peer_identity(fd, listen->transport, peer);
    g_autoptr(GIOStream) stream = NULL;
    g_autoptr(GError) error = NULL;

    g_ptr_array_find(server->services, service, &server->next_service);
    server->next_service++;
    if (!vadm_server_may_enter(server, identity)) {
        vadm_server_refuse(server, listen, id, identity);
        close(fd);
        return;
    }
    stream = vadm_server_make_stream(fd, &error);
    if (!stream) {
        VADM_ERR("Dropping client %" G_GUINT64_FORMAT " of server '%s': %s", id,
                 server->config->name, error->message);
        return;
    }
    vadm_server_admit(server, listen, id, identity, stream);
}

void
vadm_server_remove_client(VadmServer *server, VadmClient *client)
{
    VadmLimitsChanged changed;

    vadm_mutex_lock(&server->lock);
    if (!client->authenticated)
        server->unauth--;
    vadm_auth_deadline_remove(server->auth_deadline, client);
    /* gives up the tree's reference; the caller has one */
    g_tree_remove(server->clients, GUINT_TO_POINTER(client->index));
    changed = vadm_server_update_limits(server);
    vadm_server_tell_client(server, VADM_EVENT_CLIENT_DISCONNECTED, client);
    vadm_server_tell_limits(server, changed);
    vadm_mutex_unlock(&server->lock);
    vadm_server_update_accepting(server);
    for (guint i = 0; i < server->services->len; i++)
        vadm_service_retry(g_ptr_array_index(server->services, i));
}

/* Under lock; main thread. */
static void
vadm_server_authenticate(VadmServer *server, VadmClient *client)
{
    if (!client->authenticated && !vadm_client_is_closed(client))
        server->unauth--;
    client->authenticated = TRUE;
    vadm_auth_deadline_remove(server->auth_deadline, client);
    vadm_client_admit(client);
    vadm_server_tell_limits(server, vadm_server_update_limits(server));
}

/* Under lock: what is known by now and cannot be altered gives way to a copy. Returns: the copy */
static VadmIdentity *
vadm_server_renew_identity(VadmClient *client)
{
    VadmIdentity *identity = vadm_identity_copy(client->identity);

    vadm_identity_unref(client->identity);
    client->identity = identity;
    return identity;
}

void
vadm_server_set_sasl_user(VadmServer *server, VadmClient *client, const char *user)
{
    VadmIdentity *identity;

    vadm_mutex_lock(&server->lock);
    identity = vadm_server_renew_identity(client);
    g_free(identity->sasl_user_name);
    identity->sasl_user_name = g_strdup(user);
    vadm_server_authenticate(server, client);
    vadm_mutex_unlock(&server->lock);
    vadm_server_update_accepting(server);
}

void
vadm_server_set_x509_dn(VadmServer *server, VadmClient *client, const char *dn)
{
    VadmIdentity *identity;

    vadm_mutex_lock(&server->lock);
    identity = vadm_server_renew_identity(client);
    g_free(identity->x509_dn);
    identity->x509_dn = g_strdup(dn);
    if (client->auth == VADM_AUTH_NONE)
        vadm_server_authenticate(server, client);
    vadm_mutex_unlock(&server->lock);
    vadm_server_update_accepting(server);
}

/* Into what is known by now, not what was known when the look-up began. */
void
vadm_server_set_names(VadmServer *server, VadmClient *client, const VadmIdentity *named)
{
    VadmIdentity *merged;

    VADM_LOCK_SCOPE(&server->lock);
    merged = vadm_server_renew_identity(client);
    g_free(merged->user_name);
    g_free(merged->group_name);
    merged->user_name = g_strdup(named->user_name);
    merged->group_name = g_strdup(named->group_name);
    merged->named = TRUE;
    /* Names of one who has just come may be out of the cache: they prove nothing. */
    if (vadm_client_is_long_connected(client))
        server->names_hang = FALSE;
    vadm_cond_broadcast(&server->named);
}

void
vadm_server_preset_id(VadmServer *server, guint64 last_id)
{
    VADM_LOCK_SCOPE(&server->lock);
    server->last_id = last_id;
}

void
vadm_server_set_upstream_state(VadmServer *server, VadmUpstreamState state)
{
    VadmUpstreamState before;

    VADM_LOCK_SCOPE(&server->lock);
    before = server->upstream_state;
    server->upstream_state = state;
    if (before != state && (before != VADM_UPSTREAM_NONE || state != VADM_UPSTREAM_UP))
        vadm_server_tell(server, VADM_EVENT_UPSTREAM, NULL);
}

/* Life */

static gint
vadm_server_compare_indexes(gconstpointer a, gconstpointer b, gpointer user)
{
    guint one = GPOINTER_TO_UINT(a), two = GPOINTER_TO_UINT(b);

    (void)user;
    return one < two ? -1 : one > two;
}

static void
vadm_server_release_client(gpointer client)
{
    vadm_client_unref(client);
}

static void
vadm_server_release_service(gpointer service)
{
    vadm_service_free(service);
}

static void
vadm_server_add_services(VadmServer *server, GMainContext *context)
{
    const VadmServerConfig *config = server->config;

    for (guint i = 0; i < config->listens->len; i++) {
        const VadmListenConfig *listen = g_ptr_array_index(config->listens, i);
        VadmServiceAccess access = {
            .mode = listen->readonly ? config->socket_mode_ro : config->socket_mode,
            .gid = config->socket_gid,
            .backlog = config->max_queued_clients,
            .spare_fds = VADM_SPARE_FDS,
        };

        if (config->program == VADM_PROGRAM_ADMIN) {
            access.mode = 0600;
            access.gid = (gid_t)-1;
            access.spare_fds = VADM_SPARE_FDS_ADMIN;
        }
        g_ptr_array_add(server->services,
                        vadm_service_new(listen, &access, context, vadm_server_accepted, server));
    }
}

VadmServer *
vadm_server_new(VadmDaemon *daemon, const VadmServerConfig *config, GMainContext *context,
                GError **error)
{
    const VadmServerLimits *limits = &config->limits;
    VadmPoolLimits workers = {limits->workers_min, limits->workers_max, limits->workers_priority};
    VadmPool *pool = vadm_pool_new(config->name, &workers, error);
    VadmServer *server;

    if (!pool)
        return NULL;
    server = g_new0(VadmServer, 1);
    server->daemon = daemon;
    server->config = config;
    server->pool = pool;
    server->limits = *limits;
    server->services = g_ptr_array_new_with_free_func(vadm_server_release_service);
    server->clients =
        g_tree_new_full(vadm_server_compare_indexes, NULL, NULL, vadm_server_release_client);
    vadm_mutex_init(&server->lock);
    vadm_mutex_init(&server->tls_update);
    vadm_cond_init(&server->named);
    vadm_limit_init(&server->clients_limit);
    vadm_limit_init(&server->unauth_limit);
    /* Not told: nobody can listen yet, and who comes later reads the states first. */
    vadm_server_update_limits(server);
    atomic_init(&server->requests_max, limits->client_requests_max);
    atomic_init(&server->requests_delayed, 0);
    server->upstream_state = VADM_UPSTREAM_NONE;
    vadm_server_add_services(server, context);
    server->watch = vadm_worker_watch_new(server, context);
    server->complaints = vadm_complaints_new(config->name, context);
    server->auth_deadline = vadm_auth_deadline_new(server, context);
    return server;
}

void
vadm_server_take_program(VadmServer *server, VadmProgram *program)
{
    server->program = program;
}

void
vadm_server_free(VadmServer *server)
{
    if (!server)
        return;
    g_ptr_array_unref(server->services);
    if (server->program)
        server->program->class->free(server->program);
    vadm_worker_watch_free(server->watch);
    vadm_auth_deadline_free(server->auth_deadline);
    vadm_complaints_free(server->complaints);
    if (server->stopped_pool)
        vadm_pool_free(server->pool);
    g_tree_unref(server->clients);
    vadm_tls_unref(server->tls);
    vadm_cond_clear(&server->named);
    vadm_mutex_clear(&server->tls_update);
    vadm_mutex_clear(&server->lock);
    g_free(server);
}

gboolean
vadm_server_listen(VadmServer *server, GError **error)
{
    for (guint i = 0; i < server->services->len; i++)
        if (!vadm_service_listen(g_ptr_array_index(server->services, i), error))
            return FALSE;
    return TRUE;
}

void
vadm_server_start(VadmServer *server)
{
    server->listening = TRUE;
    vadm_server_update_accepting(server);
}

void
vadm_server_stop_listening(VadmServer *server)
{
    server->listening = FALSE;
    for (guint i = 0; i < server->services->len; i++)
        vadm_service_stop(g_ptr_array_index(server->services, i));
}
