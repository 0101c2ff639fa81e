/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/client-private.h"

#include "common/spare-fds.h"
#include "daemon/daemon-private.h"
#include "daemon/server-private.h"
#include "rpc/rpc-error.h"

#define VADM_LOG_CATEGORY "daemon.client"
#include "common/log.h"

#define VADM_CLIENT_FLUSH_MS 2000u
#define VADM_CLIENT_NAMES_US ((gint64)G_USEC_PER_SEC)

static const char *const vadm_client_reasons[] = {
    "?",        "client",  "administrator", "keepalive", "protocol error", "authentication failure",
    "shutdown", "unknown",
};

G_STATIC_ASSERT(G_N_ELEMENTS(vadm_client_reasons) == VADM_DISCONNECT_UNKNOWN + 1);

VadmClient *
vadm_client_ref(VadmClient *client)
{
    g_atomic_int_inc(&client->refs);
    return client;
}

static void
vadm_client_free(gpointer data)
{
    VadmClient *client = data;

    if (client->program_data_destroy)
        client->program_data_destroy(client->program_data);
    vadm_identity_unref(client->identity);
    g_queue_free(client->held);
    g_free(client);
}

/* The program's data belongs to the main thread, but the last reference may be a worker's. */
void
vadm_client_unref(VadmClient *client)
{
    if (!client || !g_atomic_int_dec_and_test(&client->refs))
        return;
    if (client->program_data_destroy)
        vadm_mailbox_post(vadm_daemon_get_mailbox(client->server->daemon), vadm_client_free, client,
                          vadm_client_free);
    else
        vadm_client_free(client);
}

guint64
vadm_client_get_id(const VadmClient *client)
{
    return client->id;
}

guint32
vadm_client_get_index(const VadmClient *client)
{
    return client->index;
}

VadmServer *
vadm_client_get_server(const VadmClient *client)
{
    return client->server;
}

VadmTransport
vadm_client_get_transport(const VadmClient *client)
{
    return client->transport;
}

gint64
vadm_client_get_connected_since(const VadmClient *client)
{
    return client->connected_since;
}

gboolean
vadm_client_is_readonly(const VadmClient *client)
{
    return client->readonly;
}

gboolean
vadm_client_is_authenticated(VadmClient *client)
{
    VADM_LOCK_SCOPE(&client->server->lock);
    return client->authenticated;
}

gboolean
vadm_client_is_closed(VadmClient *client)
{
    return atomic_load(&client->closed);
}

VadmIdentity *
vadm_client_get_identity(VadmClient *client)
{
    VADM_LOCK_SCOPE(&client->server->lock);
    return vadm_identity_ref(client->identity);
}

gboolean
vadm_client_is_long_connected(const VadmClient *client)
{
    return g_get_monotonic_time() - client->connected_at >= VADM_CLIENT_NAMES_US;
}

/* Each who waits has a worker. Once one has waited in vain, those beside and behind it would only
 * keep the workers from the calls of others. */
VadmIdentity *
vadm_client_wait_names(VadmClient *client, gint64 timeout_us)
{
    VadmServer *server = client->server;
    gint64 deadline = g_get_monotonic_time() + timeout_us;

    VADM_LOCK_SCOPE(&server->lock);
    while (!client->identity->named && !server->names_hang)
        if (!vadm_cond_wait_until(&server->named, &server->lock, deadline))
            break;
    if (!client->identity->named && vadm_client_is_long_connected(client)) {
        server->names_hang = TRUE;
        vadm_cond_broadcast(&server->named);
    }
    return vadm_identity_ref(client->identity);
}

static guint32
vadm_client_seconds_since(gint64 then)
{
    gint64 seconds = (g_get_monotonic_time() - then) / G_USEC_PER_SEC;

    return (guint32)CLAMP(seconds, 0, (gint64)G_MAXUINT32);
}

void
vadm_client_fill_row_locked(VadmClient *client, VadmClientRow *row)
{
    *row = (VadmClientRow){
        .server = vadm_server_get_index(client->server),
        .index = client->index,
        .id = client->id,
        .transport = client->transport,
        .connected_since = client->connected_since,
        .readonly = client->readonly,
        .requests = atomic_load(&client->requests),
        .requests_in_flight = atomic_load(&client->in_flight),
        .idle_time = vadm_client_seconds_since(atomic_load(&client->last_activity)),
        .age = vadm_client_seconds_since(client->connected_at),
        .identity = vadm_identity_ref(client->identity),
        .authenticated = client->authenticated,
    };
}

void
vadm_client_fill_row(VadmClient *client, VadmClientRow *row)
{
    VADM_LOCK_SCOPE(&client->server->lock);
    vadm_client_fill_row_locked(client, row);
}

static gboolean
vadm_client_is_call(const VadmMessage *message)
{
    return message->header.type == VADM_RPC_CALL || message->header.type == VADM_RPC_CALL_WITH_FDS;
}

/* A call also waits while the client does not read the replies that it has already got: what it
 * asks for would pile up here. */
static gboolean
vadm_client_may_dispatch(VadmClient *client, const VadmMessage *message)
{
    if (!client->conn || client->draining || client->hold)
        return FALSE;
    if (!vadm_client_is_call(message))
        return TRUE;
    return atomic_load(&client->in_flight) < atomic_load(&client->server->requests_max) &&
           vadm_conn_queued(client->conn) <= VADM_CONN_HIGH_WATER;
}

/* What is read ahead of the limit on requests is bounded, so that keepalive behind held-back
 * calls is seen. While nothing is held, a message of any length may come in. */
static gboolean
vadm_client_has_read_ahead(VadmClient *client)
{
    return g_queue_is_empty(client->held) ||
           client->held_octets + vadm_conn_pending(client->conn) < VADM_CLIENT_READ_AHEAD;
}

/* Above its high water mark a client's output still grows by answers to keepalive and by errors,
 * so reading stops for good a little later. conn tells when it has drained. */
static void
vadm_client_update_reading(VadmClient *client)
{
    gboolean room, drains;

    if (!client->conn || client->draining || client->handshake)
        return;
    room = !client->hold && vadm_client_has_read_ahead(client);
    drains = vadm_conn_queued(client->conn) <= VADM_CONN_HIGH_WATER + VADM_CLIENT_READ_AHEAD;
    vadm_conn_set_reading(client->conn, room && drains);
}

static void
vadm_client_refuse_call(VadmClient *client, const VadmRpcHeader *call, const char *detail)
{
    vadm_conn_send(client->conn,
                   vadm_message_new_error(call, VADM_VIR_ERR_RPC, VADM_VIR_FROM_RPC, detail, -1));
}

static void
vadm_client_dispatch(VadmClient *client, VadmMessage *message)
{
    VadmProgram *program = client->server->program;

    if (!vadm_client_is_call(message)) {
        program->class->stream(program, client, message);
        return;
    }
    atomic_fetch_add(&client->in_flight, 1);
    program->class->call(program, client, message);
}

/* A program may answer from within its call function, which gets here again: the loop that is
 * already running goes on instead, or the stack would grow with the queue. */
void
vadm_client_pump(VadmClient *client)
{
    VadmMessage *message;

    if (client->pumping)
        return;
    vadm_client_ref(client);
    client->pumping = TRUE;
    while ((message = g_queue_peek_head(client->held)) &&
           vadm_client_may_dispatch(client, message)) {
        g_queue_pop_head(client->held);
        client->held_octets -= vadm_message_weight(message) + VADM_MESSAGE_OVERHEAD;
        vadm_client_dispatch(client, message);
    }
    client->pumping = FALSE;
    vadm_client_update_reading(client);
    vadm_client_unref(client);
}

/* In order: a stream's data must not overtake the call that opens the stream. */
static void
vadm_client_take(VadmClient *client, VadmMessage *message)
{
    gboolean wait = !g_queue_is_empty(client->held) || !vadm_client_may_dispatch(client, message);

    if (!wait) {
        vadm_client_dispatch(client, message);
        return;
    }
    if (vadm_client_is_call(message))
        atomic_fetch_add(&client->server->requests_delayed, 1);
    client->held_octets += vadm_message_weight(message) + VADM_MESSAGE_OVERHEAD;
    g_queue_push_tail(client->held, message);
}

/* Reactions to what should not be: docs/protocol.md, "Bad input". */
static void
vadm_client_message(VadmConn *conn, VadmMessage *message, gpointer user)
{
    VadmClient *client = user;
    g_autoptr(VadmMessage) owned = message;
    const VadmRpcHeader *header = &message->header;
    VadmProgram *program = client->server->program;
    gboolean call = vadm_client_is_call(message);
    gboolean ping;
    g_autofree char *detail = NULL;

    (void)conn;
    if (client->draining)
        return;
    vadm_client_ref(client);
    ping = vadm_keepalive_check(client->keepalive, message);
    /* A client that only says that it lives is idle. */
    if (!ping)
        atomic_store(&client->last_activity, g_get_monotonic_time());
    if (ping) {
        /* dealt with, also while requests are held back */
    } else if (!program->class->handles(program, header->program, header->version)) {
        detail = g_strdup_printf("Cannot find program %d version %d", (int)header->program,
                                 (int)header->version);
    } else if (call && header->status != VADM_RPC_OK) {
        detail = g_strdup_printf("Unexpected message status %u", header->status);
    } else if (call || ((header->type == VADM_RPC_STREAM || header->type == VADM_RPC_STREAM_HOLE) &&
                        program->class->stream)) {
        vadm_client_take(client, g_steal_pointer(&owned));
    }
    if (call)
        atomic_fetch_add(&client->requests, 1);
    if (call && detail)
        vadm_client_refuse_call(client, header, detail);
    vadm_client_update_reading(client);
    vadm_client_unref(client);
}

static void
vadm_client_ended(VadmConn *conn, VadmConnEnd end, const GError *error, gpointer user)
{
    VadmClient *client = user;

    (void)conn;
    if (end == VADM_CONN_END_EOF) {
        vadm_client_close(client, VADM_DISCONNECT_CLIENT);
        return;
    }
    if (vadm_server_may_complain(client->server))
        VADM_WARN("Client %" G_GUINT64_FORMAT " of server '%s': %s", client->id,
                  client->server->config->name, error ? error->message : "connection failed");
    vadm_client_close(client, end == VADM_CONN_END_FRAME ? VADM_DISCONNECT_PROTOCOL_ERROR
                                                         : VADM_DISCONNECT_UNKNOWN);
}

static void
vadm_client_drained(VadmConn *conn, gpointer user)
{
    VadmClient *client = user;
    VadmProgram *program = client->server->program;

    (void)conn;
    vadm_client_ref(client);
    if (program->class->client_drained)
        program->class->client_drained(program, client);
    vadm_client_pump(client);
    vadm_client_unref(client);
}

static void
vadm_client_dead(gpointer user)
{
    VadmClient *client = user;

    VADM_ERR("internal error: connection closed due to keepalive timeout");
    vadm_client_close(client, VADM_DISCONNECT_KEEPALIVE);
}

VadmClient *
vadm_client_new(VadmServer *server, GIOStream *stream, const VadmClientInit *init)
{
    static const VadmConnHandlers handlers = {vadm_client_message, vadm_client_ended,
                                              vadm_client_drained};
    GMainContext *context = vadm_daemon_get_context(server->daemon);
    VadmClient *client = g_new0(VadmClient, 1);

    g_atomic_ref_count_init(&client->refs);
    client->server = server;
    client->id = init->id;
    client->index = init->index;
    client->transport = init->transport;
    client->readonly = init->readonly;
    client->auth = init->auth;
    client->authenticated = init->authenticated;
    client->identity = init->identity;
    client->connected_since = g_get_real_time();
    client->connected_at = g_get_monotonic_time();
    atomic_init(&client->requests, 0);
    atomic_init(&client->in_flight, 0);
    atomic_init(&client->last_activity, client->connected_at);
    atomic_init(&client->closed, false);
    client->held = g_queue_new();
    client->conn = vadm_conn_new(stream, context, &handlers, client);
    vadm_conn_notice_hangup(client->conn);
    vadm_conn_set_budget(client->conn, vadm_daemon_get_budget(server->daemon));
    if (!client->authenticated)
        vadm_conn_set_message_max(client->conn, VADM_CLIENT_STRANGER_MESSAGE_MAX);
    client->keepalive = vadm_keepalive_new(client->conn, context, vadm_client_dead, client);
    return client;
}

void
vadm_client_admit(VadmClient *client)
{
    if (!client->conn)
        return;
    vadm_conn_set_message_max(client->conn, VADM_RPC_LENGTH_MAX);
    if (client->server->program->class->descriptors)
        vadm_conn_accept_descriptors(client->conn, VADM_SPARE_FDS);
}

void
vadm_client_start(VadmClient *client)
{
    if (vadm_client_is_authenticated(client))
        vadm_client_admit(client);
    vadm_client_update_reading(client);
}

void
vadm_client_stop_taking(VadmClient *client)
{
    if (!client->conn || client->draining)
        return;
    client->draining = TRUE;
    vadm_conn_set_reading(client->conn, FALSE);
    vadm_keepalive_start(client->keepalive, -1, 0);
}

void
vadm_client_send(VadmClient *client, VadmMessage *message)
{
    if (!client->conn) {
        vadm_message_free(message);
        return;
    }
    vadm_conn_send(client->conn, message);
    vadm_client_update_reading(client);
}

void
vadm_client_reply(VadmClient *client, VadmMessage *reply)
{
    if (!client->conn) {
        vadm_message_free(reply);
        return;
    }
    if (atomic_load(&client->in_flight) == 0) {
        VADM_ERR("Dropping a second reply to serial %u", reply->header.serial);
        vadm_message_free(reply);
        return;
    }
    atomic_fetch_sub(&client->in_flight, 1);
    vadm_conn_send(client->conn, reply);
    vadm_client_pump(client);
}

gsize
vadm_client_queued(VadmClient *client)
{
    return client->conn ? vadm_conn_queued(client->conn) : 0;
}

void
vadm_client_set_hold(VadmClient *client, gboolean hold)
{
    client->hold = hold;
    vadm_client_pump(client);
}

GSocket *
vadm_client_get_socket(VadmClient *client)
{
    return client->conn ? vadm_conn_get_socket(client->conn) : NULL;
}

GIOStream *
vadm_client_get_stream(VadmClient *client)
{
    return client->conn ? vadm_conn_get_stream(client->conn) : NULL;
}

void
vadm_client_set_stream(VadmClient *client, GIOStream *stream)
{
    if (!client->conn)
        return;
    if (g_queue_is_empty(client->held)) {
        vadm_conn_set_stream(client->conn, stream);
        return;
    }
    VADM_WARN("Client %" G_GUINT64_FORMAT
              " of server '%s': messages came before the layer that they "
              "should have come through",
              client->id, client->server->config->name);
    vadm_client_close_flushed(client, VADM_DISCONNECT_PROTOCOL_ERROR);
}

void
vadm_client_start_keepalive(VadmClient *client)
{
    const VadmServerConfig *config = client->server->config;

    if (!client->conn || client->draining)
        return;
    vadm_keepalive_start(client->keepalive, config->keepalive_interval, config->keepalive_count);
}

void
vadm_client_close(VadmClient *client, VadmDisconnectReason reason)
{
    VadmProgram *program = client->server->program;

    if (!client->conn)
        return;
    if (client->reason == 0)
        client->reason = reason;
    vadm_client_ref(client);
    atomic_store(&client->closed, true);
    g_clear_pointer(&client->keepalive, vadm_keepalive_free);
    g_clear_pointer(&client->handshake, vadm_tls_cancel);
    vadm_conn_close(client->conn);
    g_clear_pointer(&client->conn, vadm_conn_unref);
    while (!g_queue_is_empty(client->held))
        vadm_message_free(g_queue_pop_head(client->held));
    client->held_octets = 0;
    VADM_INFO("Client %" G_GUINT64_FORMAT " of server '%s' disconnected: %s", client->id,
              client->server->config->name, vadm_client_reasons[client->reason]);
    vadm_server_remove_client(client->server, client);
    if (program->class->client_closed)
        program->class->client_closed(program, client);
    vadm_daemon_client_went(client->server->daemon);
    vadm_client_unref(client);
}

static void
vadm_client_flushed(gpointer user)
{
    vadm_client_close(user, VADM_DISCONNECT_UNKNOWN);
}

/* It stays a client, with its row and its place, until the connection has ended. Closing it
 * before means that conn does not call back, so the callback holds no reference. */
void
vadm_client_close_flushed(VadmClient *client, VadmDisconnectReason reason)
{
    if (!client->conn || client->reason != 0)
        return;
    if (client->handshake) {
        vadm_client_close(client, reason);
        return;
    }
    client->reason = reason;
    vadm_client_stop_taking(client);
    vadm_conn_close_flushed(client->conn, VADM_CLIENT_FLUSH_MS, vadm_client_flushed, client);
}

void
vadm_client_set_program_data(VadmClient *client, gpointer data, GDestroyNotify destroy)
{
    if (client->program_data_destroy)
        client->program_data_destroy(client->program_data);
    client->program_data = data;
    client->program_data_destroy = destroy;
}

gpointer
vadm_client_get_program_data(VadmClient *client)
{
    return client->program_data;
}

/* From other threads. */

typedef struct {
    VadmClient *client;
    VadmMessage *reply; /* (nullable) */
    gboolean close;
    VadmDisconnectReason reason;
} VadmClientMail;

static void
vadm_client_mail_free(gpointer data)
{
    VadmClientMail *mail = data;

    if (mail->reply)
        vadm_message_free(mail->reply);
    vadm_client_unref(mail->client);
    g_free(mail);
}

static void
vadm_client_mail_run(gpointer data)
{
    VadmClientMail *mail = data;

    if (mail->reply) {
        vadm_client_reply(mail->client, g_steal_pointer(&mail->reply));
        if (mail->close)
            vadm_client_close_flushed(mail->client, mail->reason);
    } else {
        vadm_client_close(mail->client, mail->reason);
    }
    vadm_client_mail_free(mail);
}

static void
vadm_client_post(VadmClient *client, VadmMessage *reply, gboolean close,
                 VadmDisconnectReason reason)
{
    VadmClientMail *mail = g_new(VadmClientMail, 1);

    *mail = (VadmClientMail){vadm_client_ref(client), reply, close, reason};
    vadm_mailbox_post(vadm_daemon_get_mailbox(client->server->daemon), vadm_client_mail_run, mail,
                      vadm_client_mail_free);
}

void
vadm_client_post_reply(VadmClient *client, VadmMessage *reply, gboolean close_after)
{
    vadm_client_post(client, reply, close_after, VADM_DISCONNECT_CLIENT);
}

void
vadm_client_post_close(VadmClient *client, VadmDisconnectReason reason)
{
    vadm_client_post(client, NULL, TRUE, reason);
}
