/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages, and the upstream daemon that the relay's tests connect to. */
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/unit/relay-fixture.h"

/* Messages */

void
message_destroy(gpointer message)
{
    vadm_message_free(message);
}

VadmMessage *
raw_message(guint32 program, guint32 type, gint32 procedure, guint32 serial, guint32 status,
            const void *payload, gsize length)
{
    gsize total = VADM_RPC_LENGTH_MIN + length;
    guint32 words[] = {
        GUINT32_TO_BE((guint32)total),
        GUINT32_TO_BE(program),
        GUINT32_TO_BE(1),
        GUINT32_TO_BE((guint32)procedure),
        GUINT32_TO_BE(type),
        GUINT32_TO_BE(serial),
        GUINT32_TO_BE(status),
    };
    guint8 *data = g_malloc(total);

    memcpy(data, words, sizeof(words));
    if (length > 0)
        memcpy(data + sizeof(words), payload, length);
    return vadm_message_new_take(data, total);
}

void
assert_error(const VadmMessage *message, guint32 serial, int number, const char *text)
{
    int got = -1, domain = -1;
    g_autofree char *what = vadm_message_get_error(message, &got, &domain);

    ck_assert_uint_eq(message->header.type, VADM_RPC_REPLY);
    ck_assert_uint_eq(message->header.status, VADM_RPC_ERROR);
    ck_assert_uint_eq(message->header.serial, serial);
    ck_assert_ptr_nonnull(what);
    ck_assert_msg(strstr(what, text) != NULL, "'%s' is not in '%s'", text, what);
    ck_assert_int_eq(got, number);
    ck_assert_int_eq(domain, VADM_VIR_FROM_RPC);
}

/* The upstream */

void
peer_send(Peer *peer, guint32 type, gint32 procedure, guint32 serial, guint32 status,
          const void *payload, gsize length)
{
    vadm_conn_send(peer->conn, raw_message(VADM_RPC_PROGRAM_REMOTE, type, procedure, serial, status,
                                           payload, length));
}

void
peer_reply(Peer *peer, guint index, VadmRpcStatus status, const void *payload, gsize length)
{
    const VadmMessage *call = g_ptr_array_index(peer->calls, index);

    vadm_conn_send(peer->conn,
                   raw_message(call->header.program, VADM_RPC_REPLY, call->header.procedure,
                               call->header.serial, status, payload, length));
    g_ptr_array_remove_index(peer->calls, index);
}

void
peer_close(Peer *peer)
{
    vadm_conn_close(peer->conn);
    peer->ended = TRUE;
}

static void
peer_note_identity(Peer *peer, const VadmMessage *message)
{
    struct vadm_remote_connect_set_identity_args args = {.flags = 0};

    peer->identities++;
    g_ptr_array_set_size(peer->fields, 0);
    ck_assert(vadm_message_decode(message, (xdrproc_t)xdr_vadm_remote_connect_set_identity_args,
                                  &args, NULL));
    ck_assert_uint_eq(args.flags, 0);
    for (guint i = 0; i < args.params.params_len; i++) {
        const vadm_typed_param *param = &args.params.params_val[i];
        char *text = NULL;

        if (param->value.type == VADM_TYPED_PARAM_STRING)
            text = g_strdup_printf("%s:string:%s", param->field,
                                   param->value.vadm_typed_param_value_u.s);
        else if (param->value.type == VADM_TYPED_PARAM_ULLONG)
            text = g_strdup_printf("%s:ullong:%" G_GUINT64_FORMAT, param->field,
                                   (guint64)param->value.vadm_typed_param_value_u.ul);
        else if (param->value.type == VADM_TYPED_PARAM_LLONG)
            text = g_strdup_printf("%s:llong:%" G_GINT64_FORMAT, param->field,
                                   (gint64)param->value.vadm_typed_param_value_u.l);
        ck_assert_ptr_nonnull(text);
        g_ptr_array_add(peer->fields, text);
    }
    xdr_free((xdrproc_t)xdr_vadm_remote_connect_set_identity_args, (char *)&args);
}

typedef struct {
    Upstream *upstream;
    Peer *peer;
} PeerData;

static void
peer_answer(Peer *peer, const VadmMessage *call, xdrproc_t encode, gconstpointer payload)
{
    vadm_conn_send(peer->conn, vadm_message_new_reply(&call->header, encode, payload, NULL));
}

static gboolean
peer_handles_itself(Upstream *upstream, Peer *peer, const VadmMessage *message)
{
    struct vadm_remote_auth_list_ret list = {
        .types = {.types_len = upstream->n_auth, .types_val = upstream->auth}};
    struct vadm_remote_auth_polkit_ret polkit = {.complete = 1};

    if (message->header.program != VADM_RPC_PROGRAM_REMOTE)
        return FALSE;
    switch (message->header.procedure) {
    case VADM_REMOTE_PROC_AUTH_LIST:
        peer_answer(peer, message, (xdrproc_t)xdr_vadm_remote_auth_list_ret, &list);
        return TRUE;
    case VADM_REMOTE_PROC_AUTH_POLKIT:
        if (upstream->polkit)
            peer_answer(peer, message, (xdrproc_t)xdr_vadm_remote_auth_polkit_ret, &polkit);
        else
            vadm_conn_send(peer->conn,
                           vadm_message_new_error(&message->header, VADM_VIR_ERR_AUTH_FAILED,
                                                  VADM_VIR_FROM_RPC, "no agent", -1));
        return TRUE;
    case VADM_REMOTE_PROC_CONNECT_OPEN:
        if (upstream->keep_open)
            return FALSE;
        peer_answer(peer, message, NULL, NULL);
        return TRUE;
    case VADM_REMOTE_PROC_CONNECT_SET_IDENTITY:
        peer_note_identity(peer, message);
        if (upstream->keep_identity)
            return FALSE;
        if (upstream->refusal)
            vadm_conn_send(peer->conn,
                           vadm_message_new_error(&message->header, upstream->refusal_number,
                                                  VADM_VIR_FROM_RPC, upstream->refusal, -1));
        else
            peer_answer(peer, message, NULL, NULL);
        return TRUE;
    default:
        return FALSE;
    }
}

static void
peer_message(VadmConn *conn, VadmMessage *message, gpointer user)
{
    PeerData *data = user;
    Peer *peer = data->peer;

    (void)conn;
    if (message->header.program == VADM_RPC_PROGRAM_KEEPALIVE) {
        peer->pings += message->header.procedure == 1;
        if (message->header.procedure == 1 && !data->upstream->deaf)
            vadm_conn_send(peer->conn, raw_message(VADM_RPC_PROGRAM_KEEPALIVE, VADM_RPC_EVENT, 2, 0,
                                                   0, NULL, 0));
        vadm_message_free(message);
    } else if (message->header.type != VADM_RPC_CALL &&
               message->header.type != VADM_RPC_CALL_WITH_FDS) {
        g_ptr_array_add(peer->streams, message);
    } else if (peer_handles_itself(data->upstream, peer, message)) {
        vadm_message_free(message);
    } else {
        g_ptr_array_add(peer->calls, message);
    }
}

static void
peer_ended(VadmConn *conn, VadmConnEnd end, const GError *error, gpointer user)
{
    PeerData *data = user;

    (void)conn;
    (void)end;
    (void)error;
    data->peer->ended = TRUE;
}

static gboolean
upstream_incoming(GSocketService *service, GSocketConnection *stream, GObject *source,
                  gpointer user)
{
    static const VadmConnHandlers handlers = {.message = peer_message, .ended = peer_ended};
    Upstream *upstream = user;
    PeerData *data = g_new0(PeerData, 1);
    Peer *peer = g_new0(Peer, 1);

    (void)service;
    (void)source;
    g_object_set_data_full(G_OBJECT(stream), "peer", data, g_free);
    data->upstream = upstream;
    data->peer = peer;
    peer->calls = g_ptr_array_new_with_free_func(message_destroy);
    peer->streams = g_ptr_array_new_with_free_func(message_destroy);
    peer->fields = g_ptr_array_new_with_free_func(g_free);
    peer->conn = vadm_conn_new(G_IO_STREAM(stream), NULL, &handlers, data);
    vadm_conn_accept_descriptors(peer->conn, 0);
    g_ptr_array_add(upstream->peers, peer);
    if (upstream->greeting) {
        GOutputStream *output = g_io_stream_get_output_stream(G_IO_STREAM(stream));
        g_output_stream_write(output, upstream->greeting, strlen(upstream->greeting), NULL, NULL);
    } else {
        vadm_conn_set_reading(peer->conn, TRUE);
    }
    return TRUE;
}

static void
peer_free(gpointer data)
{
    Peer *peer = data;

    vadm_conn_close(peer->conn);
    vadm_conn_unref(peer->conn);
    g_ptr_array_unref(peer->calls);
    g_ptr_array_unref(peer->streams);
    g_ptr_array_unref(peer->fields);
    g_free(peer);
}

Upstream *
upstream_new(const char *path)
{
    Upstream *upstream = g_new0(Upstream, 1);
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
    g_autoptr(GError) error = NULL;

    upstream->path = g_strdup(path);
    upstream->n_auth = 1;
    upstream->peers = g_ptr_array_new_with_free_func(peer_free);
    upstream->service = g_socket_service_new();
    g_socket_listener_add_address(G_SOCKET_LISTENER(upstream->service), address,
                                  G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, NULL, NULL,
                                  &error);
    ck_assert_msg(!error, "%s", error ? error->message : "");
    g_signal_connect(upstream->service, "incoming", G_CALLBACK(upstream_incoming), upstream);
    return upstream;
}

void
upstream_free(Upstream *upstream)
{
    g_socket_service_stop(upstream->service);
    g_socket_listener_close(G_SOCKET_LISTENER(upstream->service));
    g_object_unref(upstream->service);
    g_ptr_array_unref(upstream->peers);
    g_unlink(upstream->path);
    g_free(upstream->path);
    g_free(upstream);
}

Peer *
upstream_peer(Upstream *upstream, guint index)
{
    WAIT_FOR(upstream->peers->len > index);
    return g_ptr_array_index(upstream->peers, index);
}

Peer *
upstream_wait_calls(Upstream *upstream, guint n_calls)
{
    Peer *peer = upstream_peer(upstream, 0);

    WAIT_FOR(((Peer *)g_ptr_array_index(upstream->peers, upstream->peers->len - 1))->calls->len ==
             n_calls);
    peer = g_ptr_array_index(upstream->peers, upstream->peers->len - 1);
    return peer;
}

int
silent_listener(const char *path, int backlog)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(listener, backlog), 0);
    return listener;
}
