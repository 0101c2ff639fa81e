/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/relay-fixture.h"

#include <glib/gstdio.h>

#include "daemon/daemon.h"
#include "unit.h"

/* Fakes of the daemon, the server and the client */

struct _VadmDaemon {
    VadmMailbox *mailbox;
};

struct _VadmServer {
    Relay *relay;
    VadmUpstreamState state;
    guint auth_failures, complaints;
};

static GIOStream no_stream;

struct _VadmClient {
    gint refs;
    Relay *relay;
    gboolean readonly;
    VadmTransport transport;
    gint closed;
    VadmIdentity *identity;
    gboolean authenticated;
    GPtrArray *received;
    gsize queued;
    gboolean hold, pings;
    GIOStream *stream; /* (nullable): a layer */
    guint clear;       /* messages received in front of it */
    VadmDisconnectReason reason;
    gpointer data;
    GDestroyNotify destroy;
    gint64 since;
};

VadmMailbox *
vadm_daemon_get_mailbox(VadmDaemon *daemon)
{
    return daemon->mailbox;
}

VadmServer *
vadm_client_get_server(const VadmClient *client)
{
    return client->relay->server;
}

GMainContext *
vadm_daemon_get_context(VadmDaemon *daemon)
{
    (void)daemon;
    return g_main_context_default();
}

const char *
vadm_server_get_name(const VadmServer *server)
{
    return server->relay->config.name;
}

VadmDaemon *
vadm_server_get_daemon(const VadmServer *server)
{
    return server->relay->daemon;
}

VadmPool *
vadm_server_get_pool(const VadmServer *server)
{
    return server->relay->pool;
}

const VadmServerConfig *
vadm_server_get_config(const VadmServer *server)
{
    return &server->relay->config;
}

void
vadm_server_set_upstream_state(VadmServer *server, VadmUpstreamState state)
{
    server->state = state;
}

void
vadm_server_set_sasl_user(VadmServer *server, VadmClient *client, const char *user)
{
    VadmIdentity *identity = vadm_identity_copy(client->identity);

    (void)server;
    g_free(identity->sasl_user_name);
    identity->sasl_user_name = g_strdup(user);
    client_set_identity(client, identity);
    client->authenticated = TRUE;
}

void
vadm_server_note_auth_failure(VadmServer *server, VadmClient *client)
{
    (void)client;
    server->auth_failures++;
}

gboolean
vadm_server_may_complain(VadmServer *server)
{
    server->complaints++;
    return FALSE;
}

VadmClient *
vadm_client_ref(VadmClient *client)
{
    g_atomic_int_inc(&client->refs);
    return client;
}

void
vadm_client_unref(VadmClient *client)
{
    if (!g_atomic_int_dec_and_test(&client->refs))
        return;
    if (client->destroy)
        client->destroy(client->data);
    vadm_identity_unref(client->identity);
    g_ptr_array_unref(client->received);
    g_clear_object(&client->stream);
    g_free(client);
}

guint64
vadm_client_get_id(const VadmClient *client)
{
    (void)client;
    return 1;
}

gint64
vadm_client_get_connected_since(const VadmClient *client)
{
    return client->since;
}

gboolean
vadm_client_is_readonly(const VadmClient *client)
{
    return client->readonly;
}

VadmTransport
vadm_client_get_transport(const VadmClient *client)
{
    return client->transport;
}

VadmIdentity *
vadm_client_wait_names(VadmClient *client, gint64 timeout_us)
{
    (void)timeout_us;
    return vadm_identity_ref(client->identity);
}

gboolean
vadm_client_is_authenticated(VadmClient *client)
{
    return client->authenticated;
}

gboolean
vadm_client_is_closed(VadmClient *client)
{
    return g_atomic_int_get(&client->closed);
}

void
vadm_client_reply(VadmClient *client, VadmMessage *reply)
{
    vadm_client_send(client, reply);
}

void
vadm_client_send(VadmClient *client, VadmMessage *message)
{
    if (client->closed)
        vadm_message_free(message);
    else
        g_ptr_array_add(client->received, message);
}

gsize
vadm_client_queued(VadmClient *client)
{
    return client->queued;
}

void
vadm_client_set_hold(VadmClient *client, gboolean hold)
{
    client->hold = hold;
}

GSocket *
vadm_client_get_socket(VadmClient *client)
{
    (void)client;
    return NULL;
}

/* The relay only hands it on. */
GIOStream *
vadm_client_get_stream(VadmClient *client)
{
    return client->closed ? NULL : &no_stream;
}

void
vadm_client_set_stream(VadmClient *client, GIOStream *stream)
{
    g_set_object(&client->stream, stream);
    client->clear = client->received->len;
}

void
vadm_client_start_keepalive(VadmClient *client)
{
    client->pings = TRUE;
}

void
vadm_client_close_flushed(VadmClient *client, VadmDisconnectReason reason)
{
    if (client->reason == 0)
        client->reason = reason;
}

void
vadm_client_set_program_data(VadmClient *client, gpointer data, GDestroyNotify destroy)
{
    client->data = data;
    client->destroy = destroy;
}

gpointer
vadm_client_get_program_data(VadmClient *client)
{
    return client->data;
}

/* The relay */

static gboolean
relay_awake(gpointer user)
{
    (void)user;
    return G_SOURCE_CONTINUE;
}

/* Wakes up now and then for conditions that other threads bring about. */
void
relay_turn(void)
{
    g_autoptr(GSource) wake = g_timeout_source_new(5);

    g_source_set_callback(wake, relay_awake, NULL, NULL);
    g_source_attach(wake, NULL);
    g_main_context_iteration(NULL, TRUE);
    g_source_destroy(wake);
}

char *
relay_path(Relay *relay, const char *name)
{
    return g_build_filename(relay->directory, name, NULL);
}

Relay *
relay_new(gboolean upstream)
{
    Relay *relay = g_new0(Relay, 1);
    VadmPoolLimits limits = {.min = 8, .max = 8, .priority = 2};
    g_autoptr(GError) error = NULL;

    relay->directory = g_dir_make_tmp("relay-XXXXXX", &error);
    ck_assert_ptr_nonnull(relay->directory);
    relay->mailbox = vadm_mailbox_new(NULL);
    relay->config.name = g_strdup("libvirtd");
    relay->config.upstream = relay_path(relay, "up");
    relay->config.upstream_ro = relay_path(relay, "up-ro");
    relay->config.keepalive_interval = -1;
    relay->pool = vadm_pool_new("test", &limits, &error);
    ck_assert_ptr_nonnull(relay->pool);
    relay->daemon = g_new0(VadmDaemon, 1);
    relay->daemon->mailbox = relay->mailbox;
    relay->server = g_new0(VadmServer, 1);
    relay->server->relay = relay;
    relay->server->state = VADM_UPSTREAM_NONE;
    relay->program = vadm_relay_new(relay->server);
    if (upstream)
        relay->upstream = upstream_new(relay->config.upstream);
    return relay;
}

/* Whatever is still under way must end by itself: a worker that hangs fails the test. */
void
relay_free(Relay *relay)
{
    vadm_mailbox_close(relay->mailbox);
    ck_assert(vadm_pool_stop(relay->pool, 10 * G_USEC_PER_SEC));
    vadm_pool_free(relay->pool);
    relay->program->class->free(relay->program);
    g_clear_pointer(&relay->upstream, upstream_free);
    vadm_mailbox_unref(relay->mailbox);
    g_rmdir(relay->directory);
    g_free(relay->config.name);
    g_free(relay->config.upstream);
    g_free(relay->config.upstream_ro);
    g_free(relay->server);
    g_free(relay->daemon);
    g_free(relay->directory);
    g_free(relay);
}

VadmUpstreamState
relay_state(Relay *relay)
{
    return relay->server->state;
}

VadmPoolStats
relay_pool_stats(Relay *relay)
{
    VadmPoolStats stats;

    vadm_pool_get_stats(relay->pool, &stats);
    return stats;
}

guint
relay_auth_failures(Relay *relay)
{
    return relay->server->auth_failures;
}

guint
relay_complaints(Relay *relay)
{
    return relay->server->complaints;
}

/* Clients */

VadmClient *
client_new(Relay *relay, gboolean readonly)
{
    VadmClient *client = g_new0(VadmClient, 1);

    client->refs = 1;
    client->relay = relay;
    client->readonly = readonly;
    client->transport = VADM_TRANSPORT_UNIX;
    client->authenticated = TRUE;
    client->identity = vadm_identity_new();
    client->received = g_ptr_array_new_with_free_func(message_destroy);
    client->since = g_get_real_time();
    return client;
}

VadmClient *
client_new_stranger(Relay *relay)
{
    VadmClient *client = client_new(relay, FALSE);

    client->authenticated = FALSE;
    return client;
}

void
client_set_transport(VadmClient *client, VadmTransport transport)
{
    client->transport = transport;
}

/* As the server does it: the client is closed first, then the program is told. */
void
client_disconnect(VadmClient *client)
{
    Relay *relay = client->relay;

    g_atomic_int_set(&client->closed, TRUE);
    relay->program->class->client_closed(relay->program, client);
    vadm_client_unref(client);
}

GPtrArray *
client_received(VadmClient *client)
{
    return client->received;
}

VadmMessage *
client_at(VadmClient *client, guint index)
{
    WAIT_FOR(client->received->len > index);
    return g_ptr_array_index(client->received, index);
}

guint
client_clear(VadmClient *client)
{
    return client->stream ? client->clear : 0;
}

gboolean
client_held(VadmClient *client)
{
    return client->hold;
}

gboolean
client_pings(VadmClient *client)
{
    return client->pings;
}

VadmDisconnectReason
client_reason(VadmClient *client)
{
    return client->reason;
}

/* As the server does it, the program is told when little is left. */
void
client_set_queued(VadmClient *client, gsize queued)
{
    gboolean drained = client->queued > VADM_CONN_HIGH_WATER && queued <= VADM_CONN_LOW_WATER;

    client->queued = queued;
    if (drained)
        client->relay->program->class->client_drained(client->relay->program, client);
}

void
client_set_identity(VadmClient *client, VadmIdentity *identity)
{
    vadm_identity_unref(client->identity);
    client->identity = identity;
}

void
client_send_message(VadmClient *client, VadmMessage *message)
{
    VadmProgram *program = client->relay->program;

    ck_assert(program->class->handles(program, message->header.program, message->header.version));
    if (message->header.type == VADM_RPC_CALL || message->header.type == VADM_RPC_CALL_WITH_FDS)
        program->class->call(program, client, message);
    else
        program->class->stream(program, client, message);
}

void
client_call(VadmClient *client, gint32 procedure, guint32 serial, const void *payload, gsize length)
{
    client_send_message(client, raw_message(VADM_RPC_PROGRAM_REMOTE, VADM_RPC_CALL, procedure,
                                            serial, VADM_RPC_OK, payload, length));
}

void
client_call_program(VadmClient *client, guint32 program, gint32 procedure, guint32 serial)
{
    client_send_message(
        client, raw_message(program, VADM_RPC_CALL, procedure, serial, VADM_RPC_OK, NULL, 0));
}

void
client_open(VadmClient *client, guint32 serial)
{
    static const guint8 args[] = {0,   0,   0,   1,   0,   0,   0,   15,  't', 'e',
                                  's', 't', ':', '/', '/', '/', 'd', 'e', 'f', 'a',
                                  'u', 'l', 't', 0,   0,   0,   0,   0};
    guint before = client->received->len;

    client_call(client, VADM_REMOTE_PROC_CONNECT_OPEN, serial, args, sizeof(args));
    ck_assert_uint_eq(client_at(client, before)->header.serial, serial);
    ck_assert_uint_eq(client_at(client, before)->header.status, VADM_RPC_OK);
}

void
assert_call_fails(VadmClient *client, int number, const char *text)
{
    guint before = client_received(client)->len;

    client_call(client, PROC_VERSION, 77, NULL, 0);
    assert_error(client_at(client, before), 77, number, text);
}

void
assert_call_works(VadmClient *client, Upstream *upstream)
{
    guint before = client_received(client)->len;

    client_call(client, PROC_VERSION, 78, NULL, 0);
    peer_reply(upstream_wait_calls(upstream, 1), 0, VADM_RPC_OK, NULL, 0);
    ck_assert_uint_eq(client_at(client, before)->header.status, VADM_RPC_OK);
}
