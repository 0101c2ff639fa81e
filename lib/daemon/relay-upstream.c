/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define VADM_LOG_CATEGORY "daemon.relay"
#include "daemon/relay-private.h"

#include <gio/gio.h>
#include <unistd.h>

#include "common/log.h"
#include "rpc/conn.h"
#include "rpc/keepalive.h"
#include "rpc/remote.h"
#include "rpc/rpc-error.h"

typedef enum {
    LINK_IDLE,       /* no connection: not yet, or the last attempt failed */
    LINK_CONNECTING, /* the backlog is full: tried again by timer */
    LINK_AUTH,       /* AUTH_LIST, and AUTH_POLKIT where it is asked for */
    LINK_READY,
    LINK_DEAD /* it was ready and has ended: the client goes, too */
} VadmRelayLinkState;

/* What keeps the client's calls back while the link is ready. Between the upstream's OPEN and its
 * answer to our CONNECT_SET_IDENTITY a call would be done under our own identity. */
typedef enum { GATE_OPEN, GATE_OPENING, GATE_IDENTITY } VadmRelayGate;

struct _VadmRelayLink {
    gint refs;
    VadmRelay *relay;
    VadmClient *client; /* NULL once it is closed */
    const char *path;
    VadmRelayLinkState state;
    VadmRelayGate gate;

    VadmConn *conn;
    VadmKeepalive *keepalive;
    GSource *retry, *deadline;
    gboolean paused; /* the client does not take what comes: the upstream is not read */

    guint32 next_serial;
    gint32 own_procedure; /* of our own call that waits for its reply; 0: none */
    guint32 own_serial;
    VadmMessage *injection; /* CONNECT_SET_IDENTITY, while OPEN is under way */

    GError *failure;   /* why the link is dead */
    GQueue held;       /* of VadmRelayCall */
    GHashTable *calls; /* upstream serial -> VadmRelayCall */
    VadmRelayStreams *streams;
};

static void link_flush(VadmRelayLink *link);

/* Sources of the main loop */

static void
link_clear_source(GSource **source)
{
    if (!*source)
        return;
    g_source_destroy(*source);
    g_clear_pointer(source, g_source_unref);
}

static GSource *
link_add_timer(VadmRelayLink *link, guint milliseconds, GSourceFunc expired)
{
    GSource *source = g_timeout_source_new(milliseconds);

    g_source_set_callback(source, expired, link, NULL);
    g_source_attach(source, link->relay->context);
    return source;
}

/* Calls */

static void
link_fail_call(VadmRelayLink *link, VadmRelayCall *call, const GError *error)
{
    if (link->client)
        vadm_client_reply(link->client,
                          vadm_message_new_gerror(&call->header, VADM_VIR_FROM_RPC, error));
    vadm_relay_call_finish(call, FALSE);
    vadm_relay_call_unref(call);
}

/* Replies to calls may make the client call again from the main loop, never from here; still the
 * tables are emptied first, so that what comes in between finds them in order. */
static void
link_fail_calls(VadmRelayLink *link, const GError *error)
{
    g_autoptr(GPtrArray) failed = g_ptr_array_new();
    GHashTableIter iter;
    gpointer call;

    g_hash_table_iter_init(&iter, link->calls);
    while (g_hash_table_iter_next(&iter, NULL, &call)) {
        g_ptr_array_add(failed, call);
        g_hash_table_iter_steal(&iter);
    }
    while ((call = g_queue_pop_head(&link->held)))
        g_ptr_array_add(failed, call);
    for (guint i = 0; i < failed->len; i++)
        link_fail_call(link, failed->pdata[i], error);
}

/* The connection */

static void
link_disconnect(VadmRelayLink *link)
{
    link_clear_source(&link->retry);
    link_clear_source(&link->deadline);
    g_clear_pointer(&link->keepalive, vadm_keepalive_free);
    if (link->conn) {
        vadm_conn_close(link->conn);
        g_clear_pointer(&link->conn, vadm_conn_unref);
    }
    g_clear_pointer(&link->injection, vadm_message_free);
    vadm_relay_streams_clear(link->streams);
    link->own_procedure = 0;
    link->gate = GATE_OPEN;
    link->paused = FALSE;
}

/* Before the link was ready nothing is lost: the calls that wait fail, and the client's next one
 * tries again. Later the client has state upstream that is gone, so it goes, too. */
static void
link_fail(VadmRelayLink *link, const GError *error)
{
    VadmClient *client = link->client;
    gboolean was_ready = link->state == LINK_READY;

    link_disconnect(link);
    link->state = was_ready ? LINK_DEAD : LINK_IDLE;
    if (was_ready)
        link->failure = g_error_copy(error);
    VADM_WARN("upstream of client %" G_GUINT64_FORMAT ": %s",
              client ? vadm_client_get_id(client) : 0, error->message);
    if (was_ready)
        vadm_relay_probe_soon(link->relay, link->path);
    else
        vadm_relay_set_state(link->relay, VADM_UPSTREAM_UNREACHABLE);
    link_fail_calls(link, error);
    if (was_ready && link->client) {
        vadm_client_set_hold(link->client, FALSE);
        vadm_client_close_flushed(link->client, VADM_DISCONNECT_UNKNOWN);
    }
}

static void G_GNUC_PRINTF(3, 4)
    link_fail_new(VadmRelayLink *link, VadmErrorCode code, const char *format, ...)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *what = NULL;
    va_list args;

    va_start(args, format);
    what = g_strdup_vprintf(format, args);
    va_end(args);
    error = g_error_new(VADM_ERROR, (int)code, "upstream '%s' %s", link->path, what);
    link_fail(link, error);
}

static guint32
link_next_serial(VadmRelayLink *link)
{
    while (g_hash_table_contains(link->calls, GUINT_TO_POINTER(link->next_serial)) ||
           vadm_relay_streams_has(link->streams, link->next_serial))
        link->next_serial++;
    return link->next_serial++;
}

/* The upstream is pinged only while it is read: its answers must be seen. */
static void
link_start_keepalive(VadmRelayLink *link)
{
    const VadmServerConfig *config = vadm_server_get_config(link->relay->server);

    vadm_keepalive_start(link->keepalive, config->keepalive_interval, config->keepalive_count);
}

static void
link_pause(VadmRelayLink *link)
{
    if (link->paused || !link->conn || vadm_client_queued(link->client) <= VADM_CONN_HIGH_WATER)
        return;
    link->paused = TRUE;
    vadm_conn_set_reading(link->conn, FALSE);
    vadm_keepalive_start(link->keepalive, -1, 0);
}

void
vadm_relay_link_resume(VadmRelayLink *link)
{
    if (!link->paused)
        return;
    link->paused = FALSE;
    link_start_keepalive(link);
    vadm_conn_set_reading(link->conn, TRUE);
}

static void
link_send(VadmRelayLink *link, VadmMessage *message)
{
    vadm_conn_send(link->conn, message);
    if (link->client && vadm_conn_queued(link->conn) > VADM_CONN_HIGH_WATER)
        vadm_client_set_hold(link->client, TRUE);
}

static void
link_drained(VadmConn *conn, gpointer user)
{
    VadmRelayLink *link = user;

    (void)conn;
    if (link->client)
        vadm_client_set_hold(link->client, FALSE);
}

/* Calls of our own */

static void
link_send_own(VadmRelayLink *link, VadmMessage *message)
{
    link->own_serial = link_next_serial(link);
    link->own_procedure = message->header.procedure;
    vadm_message_set_serial(message, link->own_serial);
    link_send(link, message);
}

static void
link_call_own(VadmRelayLink *link, gint32 procedure)
{
    VadmRpcHeader header = {
        .program = VADM_RPC_PROGRAM_REMOTE,
        .version = VADM_RPC_VERSION,
        .procedure = procedure,
        .type = VADM_RPC_CALL,
        .status = VADM_RPC_OK,
    };

    link_send_own(link, vadm_message_new(&header, NULL, NULL, NULL));
}

static void
link_ready(VadmRelayLink *link)
{
    link_clear_source(&link->deadline);
    link->state = LINK_READY;
    vadm_relay_set_state(link->relay, VADM_UPSTREAM_UP);
    link_start_keepalive(link);
    link_flush(link);
}

static void
link_authenticate(VadmRelayLink *link, const struct vadm_remote_auth_list_ret *list)
{
    gboolean polkit = FALSE;

    for (guint i = 0; i < list->types.types_len; i++) {
        if (list->types.types_val[i] == VADM_REMOTE_AUTH_NONE) {
            link_ready(link);
            return;
        }
        polkit |= list->types.types_val[i] == VADM_REMOTE_AUTH_POLKIT;
    }
    if (list->types.types_len == 0)
        link_ready(link);
    else if (polkit)
        link_call_own(link, VADM_REMOTE_PROC_AUTH_POLKIT);
    else
        link_fail_new(link, VADM_ERROR_AUTH,
                      "asks for authentication of kind %d: only none (0) and polkit (2) are "
                      "possible",
                      list->types.types_val[0]);
}

static void
link_own_auth_list(VadmRelayLink *link, const VadmMessage *reply)
{
    struct vadm_remote_auth_list_ret list = {.types = {0}};
    g_autoptr(GError) error = NULL;

    if (vadm_message_decode(reply, (xdrproc_t)xdr_vadm_remote_auth_list_ret, &list, &error))
        link_authenticate(link, &list);
    else
        link_fail_new(link, VADM_ERROR_RPC, "answered AUTH_LIST with garbage");
    xdr_free((xdrproc_t)xdr_vadm_remote_auth_list_ret, (char *)&list);
}

static void
link_own_polkit(VadmRelayLink *link, const VadmMessage *reply)
{
    struct vadm_remote_auth_polkit_ret ret = {.complete = 0};

    if (vadm_message_decode(reply, (xdrproc_t)xdr_vadm_remote_auth_polkit_ret, &ret, NULL) &&
        ret.complete)
        link_ready(link);
    else
        link_fail_new(link, VADM_ERROR_AUTH, "did not let us in by polkit");
}

/* Daemons older than libvirt 5.8 do not know the procedure and judge clients by their peer, which
 * is us. Any other error leaves the client with our identity where its own was expected: it
 * must not go on. */
static void
link_identity_refused(VadmRelayLink *link, const VadmMessage *reply)
{
    int number = 0;
    g_autofree char *text = vadm_message_get_error(reply, &number, NULL);

    if (number != VADM_VIR_ERR_RPC || g_strcmp0(text, "unknown procedure: 419") != 0) {
        link_fail_new(link, VADM_ERROR_AUTH, "refused the client's identity: %s",
                      text ? text : "no reason given");
        return;
    }
    if (!link->relay->identity_warned)
        VADM_WARN("upstream '%s' does not know CONNECT_SET_IDENTITY: its access control sees "
                  "this daemon instead of its clients",
                  link->path);
    link->relay->identity_warned = TRUE;
    link->gate = GATE_OPEN;
    link_flush(link);
}

static void
link_own_identity(VadmRelayLink *link)
{
    link->gate = GATE_OPEN;
    link_flush(link);
}

static void
link_own_refused(VadmRelayLink *link, gint32 procedure, const VadmMessage *reply)
{
    g_autofree char *text = NULL;

    if (procedure == VADM_REMOTE_PROC_CONNECT_SET_IDENTITY) {
        link_identity_refused(link, reply);
        return;
    }
    text = vadm_message_get_error(reply, NULL, NULL);
    link_fail_new(link, VADM_ERROR_AUTH, "refused procedure %d: %s", procedure,
                  text ? text : "no reason given");
}

static void
link_own_reply(VadmRelayLink *link, const VadmMessage *reply)
{
    gint32 procedure = link->own_procedure;

    link->own_procedure = 0;
    if (reply->header.status != VADM_RPC_OK)
        link_own_refused(link, procedure, reply);
    else if (procedure == VADM_REMOTE_PROC_AUTH_LIST)
        link_own_auth_list(link, reply);
    else if (procedure == VADM_REMOTE_PROC_AUTH_POLKIT)
        link_own_polkit(link, reply);
    else
        link_own_identity(link);
}

/* Streams */

/* ERROR comes as a STREAM or as a second reply to the call. */
static void
link_upstream_stream(VadmRelayLink *link, const VadmRelayStream *stream, VadmMessage *message)
{
    gboolean last =
        message->header.type != VADM_RPC_STREAM_HOLE && message->header.status != VADM_RPC_CONTINUE;

    vadm_message_set_serial(message, stream->call.serial);
    if (last)
        vadm_relay_streams_remove(link->streams, stream->serial);
    vadm_client_send(link->client, message);
}

void
vadm_relay_link_stream(VadmRelayLink *link, VadmMessage *message)
{
    const VadmRelayStream *stream = vadm_relay_streams_find_client(link->streams, &message->header);

    if (link->state != LINK_READY || !stream) {
        VADM_DEBUG("stream message of serial %u without a stream dropped", message->header.serial);
        vadm_message_free(message);
        return;
    }
    vadm_message_set_serial(message, stream->serial);
    link_send(link, message);
}

/* What comes from the upstream */

static void
link_opened(VadmRelayLink *link, gboolean ok)
{
    VadmMessage *injection = g_steal_pointer(&link->injection);

    link->gate = ok ? GATE_IDENTITY : GATE_OPEN;
    if (ok)
        link_send_own(link, injection);
    else
        vadm_message_free(injection);
}

static gboolean
is_remote(const VadmRpcHeader *header, gint32 procedure)
{
    return header->program == VADM_RPC_PROGRAM_REMOTE && header->procedure == procedure;
}

/* The reply is on its way to the client; the worker is let go last. */
static void
link_call_done(VadmRelayLink *link, VadmRelayCall *call, gboolean ok)
{
    if (is_remote(&call->header, VADM_REMOTE_PROC_CONNECT_OPEN) && link->state == LINK_READY)
        link_opened(link, ok);
    if (is_remote(&call->header, VADM_REMOTE_PROC_CONNECT_CLOSE) && ok && link->client)
        vadm_client_close_flushed(link->client, VADM_DISCONNECT_CLIENT);
    if (!ok)
        vadm_relay_streams_remove(link->streams, call->upstream_serial);
    vadm_relay_call_finish(call, ok);
    vadm_relay_call_unref(call);
}

/* libvirt sends an octet along with each descriptor, behind the message, so what follows cannot
 * be understood any more. A client that believes our answer to feature 8 never asks for this. */
static void
link_reply_with_descriptors(VadmRelayLink *link, VadmRelayCall *call, guint32 descriptors)
{
    g_hash_table_insert(link->calls, GUINT_TO_POINTER(call->upstream_serial), call);
    if (descriptors > 0)
        link_fail_new(link, VADM_ERROR_NO_SUPPORT,
                      "sent %u file descriptors in reply to procedure %d: they cannot be passed on",
                      descriptors, call->header.procedure);
    else
        link_fail_new(link, VADM_ERROR_RPC, "sent a reply to procedure %d that is cut short",
                      call->header.procedure);
}

static void
link_call_reply(VadmRelayLink *link, VadmRelayCall *call, VadmMessage *message)
{
    gboolean ok = message->header.status == VADM_RPC_OK;
    guint32 descriptors;

    if (message->header.type == VADM_RPC_REPLY_WITH_FDS) {
        message = vadm_relay_without_descriptors(message, &descriptors);
        if (!message) {
            link_reply_with_descriptors(link, call, descriptors);
            return;
        }
    }
    vadm_message_set_serial(message, call->header.serial);
    vadm_client_reply(link->client, message);
    link_call_done(link, call, ok);
    link_flush(link);
}

static void
link_reply(VadmRelayLink *link, VadmMessage *message)
{
    gpointer key = GUINT_TO_POINTER(message->header.serial);
    VadmRelayCall *call = g_hash_table_lookup(link->calls, key);
    const VadmRelayStream *stream =
        vadm_relay_streams_find_upstream(link->streams, &message->header);

    if (link->own_procedure != 0 && message->header.serial == link->own_serial &&
        is_remote(&message->header, link->own_procedure)) {
        link_own_reply(link, message);
        vadm_message_free(message);
    } else if (call && call->header.program == message->header.program &&
               call->header.procedure == message->header.procedure) {
        g_hash_table_steal(link->calls, key);
        link_call_reply(link, call, message);
    } else if (!call && stream) {
        link_upstream_stream(link, stream, message);
    } else {
        link_fail_new(link, VADM_ERROR_RPC,
                      "sent a reply to procedure %d, serial %u, that nobody called",
                      message->header.procedure, message->header.serial);
        vadm_message_free(message);
    }
}

static void
link_async(VadmRelayLink *link, VadmMessage *message)
{
    const VadmRelayStream *stream =
        vadm_relay_streams_find_upstream(link->streams, &message->header);

    if (message->header.type == VADM_RPC_EVENT) {
        vadm_client_send(link->client, message);
    } else if (stream) {
        link_upstream_stream(link, stream, message);
    } else {
        VADM_DEBUG("upstream's stream message of serial %u without a stream dropped",
                   message->header.serial);
        vadm_message_free(message);
    }
}

static void
link_dispatch(VadmRelayLink *link, VadmMessage *message)
{
    switch (message->header.type) {
    case VADM_RPC_REPLY:
    case VADM_RPC_REPLY_WITH_FDS:
        link_reply(link, message);
        break;
    case VADM_RPC_EVENT:
    case VADM_RPC_STREAM:
    case VADM_RPC_STREAM_HOLE:
        link_async(link, message);
        break;
    default:
        link_fail_new(link, VADM_ERROR_RPC, "sent a message of type %u: a daemon does not call",
                      message->header.type);
        vadm_message_free(message);
        break;
    }
}

/* Until we are in, a daemon has nothing to say but the answers to our own calls; whoever says more
 * is no libvirt daemon. */
static gboolean
link_understands(VadmRelayLink *link, const VadmRpcHeader *header)
{
    if (!vadm_relay_handles(header->program, header->version))
        return FALSE;
    return link->state == LINK_READY ||
           (header->type == VADM_RPC_REPLY && header->program == VADM_RPC_PROGRAM_REMOTE);
}

static void
link_message(VadmConn *conn, VadmMessage *message, gpointer user)
{
    g_autoptr(VadmRelayLink) link = vadm_relay_link_ref(user);

    (void)conn;
    if (vadm_keepalive_check(link->keepalive, message)) {
        vadm_message_free(message);
    } else if (link_understands(link, &message->header)) {
        link_dispatch(link, message);
    } else {
        link_fail_new(link, VADM_ERROR_RPC,
                      "is no libvirt daemon: it sent program 0x%x version %u, type %u",
                      message->header.program, message->header.version, message->header.type);
        vadm_message_free(message);
    }
    if (link->client)
        link_pause(link);
}

static void
link_ended(VadmConn *conn, VadmConnEnd end, const GError *error, gpointer user)
{
    g_autoptr(VadmRelayLink) link = vadm_relay_link_ref(user);

    (void)conn;
    if (end == VADM_CONN_END_EOF)
        link_fail_new(link, VADM_ERROR_NO_CONNECT, "closed the connection");
    else if (end == VADM_CONN_END_FRAME)
        link_fail_new(link, VADM_ERROR_RPC, "is no libvirt daemon: %s",
                      error ? error->message : "broken framing");
    else
        link_fail_new(link, VADM_ERROR_NO_CONNECT, "cannot be talked to: %s",
                      error ? error->message : "unknown error");
}

static void
link_keepalive_dead(gpointer user)
{
    g_autoptr(VadmRelayLink) link = vadm_relay_link_ref(user);

    link_fail_new(link, VADM_ERROR_TIMEOUT, "does not answer keepalive messages");
}

/* Connecting */

static const VadmConnHandlers link_handlers = {
    .message = link_message,
    .ended = link_ended,
    .drained = link_drained,
};

static void
link_connected(VadmRelayLink *link, int fd)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GSocket) socket = g_socket_new_from_fd(fd, &error);
    g_autoptr(GSocketConnection) stream = NULL;

    if (!socket) {
        close(fd);
        link_fail_new(link, VADM_ERROR_NO_CONNECT, "cannot be talked to: %s", error->message);
        return;
    }
    stream = g_socket_connection_factory_create_connection(socket);
    link->conn = vadm_conn_new(G_IO_STREAM(stream), link->relay->context, &link_handlers, link);
    link->keepalive =
        vadm_keepalive_new(link->conn, link->relay->context, link_keepalive_dead, link);
    link->state = LINK_AUTH;
    link_call_own(link, VADM_REMOTE_PROC_AUTH_LIST);
    vadm_conn_set_reading(link->conn, TRUE);
}

static gboolean
link_try(gpointer user)
{
    g_autoptr(VadmRelayLink) link = vadm_relay_link_ref(user);
    g_autoptr(GError) error = NULL;
    int fd = vadm_relay_socket(link->path, &error);

    if (fd < 0 && vadm_error_get_errno(error) == EAGAIN)
        return G_SOURCE_CONTINUE;
    link_clear_source(&link->retry);
    if (fd < 0)
        link_fail(link, error);
    else
        link_connected(link, fd);
    return G_SOURCE_REMOVE;
}

static gboolean
link_deadline_passed(gpointer user)
{
    g_autoptr(VadmRelayLink) link = vadm_relay_link_ref(user);

    link_fail_new(link, VADM_ERROR_TIMEOUT, "%s within %u ms",
                  link->state == LINK_CONNECTING ? "did not accept a connection"
                                                 : "did not answer to authentication",
                  link->relay->deadline_ms);
    return G_SOURCE_REMOVE;
}

static void
link_connect(VadmRelayLink *link)
{
    link->state = LINK_CONNECTING;
    link->deadline = link_add_timer(link, link->relay->deadline_ms, link_deadline_passed);
    if (link_try(link) == G_SOURCE_CONTINUE)
        link->retry = link_add_timer(link, VADM_RELAY_RETRY_MS, link_try);
}

/* Calls of the client */

static void
link_forward(VadmRelayLink *link, VadmRelayCall *call)
{
    call->upstream_serial = link_next_serial(link);
    vadm_message_set_serial(call->message, call->upstream_serial);
    g_hash_table_insert(link->calls, GUINT_TO_POINTER(call->upstream_serial), call);
    if (vadm_relay_opens_stream(call->header.program, call->header.procedure))
        vadm_relay_streams_add(link->streams, &call->header, call->upstream_serial);
    if (is_remote(&call->header, VADM_REMOTE_PROC_CONNECT_OPEN)) {
        link->gate = GATE_OPENING;
        link->injection = g_steal_pointer(&call->injection);
    }
    link_send(link, g_steal_pointer(&call->message));
}

/* OPEN goes alone: a call that stands in the upstream's queue beside it might be done behind it,
 * but before the upstream has learnt who the client is. */
static gboolean
link_may_forward(const VadmRelayLink *link, const VadmRelayCall *call)
{
    if (link->state != LINK_READY || link->gate != GATE_OPEN)
        return FALSE;
    return !is_remote(&call->header, VADM_REMOTE_PROC_CONNECT_OPEN) ||
           g_hash_table_size(link->calls) == 0;
}

static void
link_flush(VadmRelayLink *link)
{
    VadmRelayCall *call;

    while ((call = g_queue_peek_head(&link->held)) && link_may_forward(link, call)) {
        g_queue_pop_head(&link->held);
        link_forward(link, call);
    }
}

/* Returns: FALSE: the call has been answered */
static gboolean
link_accepts(VadmRelayLink *link, VadmRelayCall *call)
{
    g_autoptr(GError) error = NULL;

    if (!link->client) {
        vadm_relay_call_finish(call, FALSE);
        vadm_relay_call_unref(call);
        return FALSE;
    }
    if (!link->path)
        error = g_error_new(VADM_ERROR, VADM_ERROR_NO_CONNECT,
                            "server '%s' has no upstream for its %s services",
                            vadm_server_get_name(link->relay->server),
                            vadm_client_is_readonly(link->client) ? "read-only" : "read-write");
    else if (link->state == LINK_DEAD)
        error = g_error_copy(link->failure);
    else if (is_remote(&call->header, VADM_REMOTE_PROC_CONNECT_OPEN) && !call->injection)
        error = g_error_new(VADM_ERROR, VADM_ERROR_INTERNAL,
                            "the client's identity cannot be passed on");
    if (!error)
        return TRUE;
    link_fail_call(link, call, error);
    return FALSE;
}

/* There is nothing to close upstream. */
static void
link_close_idle(VadmRelayLink *link, VadmRelayCall *call)
{
    g_autoptr(GError) error = NULL;
    VadmMessage *reply = vadm_message_new_reply(&call->header, NULL, NULL, &error);

    vadm_client_reply(link->client, reply);
    vadm_client_close_flushed(link->client, VADM_DISCONNECT_CLIENT);
    vadm_relay_call_finish(call, TRUE);
    vadm_relay_call_unref(call);
}

void
vadm_relay_link_submit(VadmRelayLink *link, VadmRelayCall *call)
{
    g_autoptr(VadmRelayLink) keep = vadm_relay_link_ref(link);

    if (!link_accepts(link, call))
        return;
    if (link->state == LINK_IDLE && is_remote(&call->header, VADM_REMOTE_PROC_CONNECT_CLOSE)) {
        link_close_idle(link, call);
        return;
    }
    g_queue_push_tail(&link->held, call);
    if (link->state == LINK_IDLE)
        link_connect(link);
    else
        link_flush(link);
}

/* The link */

VadmRelayLink *
vadm_relay_link_new(VadmRelay *relay, VadmClient *client, const char *path)
{
    VadmRelayLink *link = g_new0(VadmRelayLink, 1);

    link->refs = 1;
    link->relay = relay;
    link->client = client;
    link->path = path;
    g_queue_init(&link->held);
    link->calls = g_hash_table_new(NULL, NULL);
    link->streams = vadm_relay_streams_new();
    return link;
}

VadmRelayLink *
vadm_relay_link_ref(VadmRelayLink *link)
{
    g_atomic_int_inc(&link->refs);
    return link;
}

/* May be the last thing a worker does: vadm_relay_link_close() has left nothing of the main
 * thread's behind. */
void
vadm_relay_link_unref(VadmRelayLink *link)
{
    if (!g_atomic_int_dec_and_test(&link->refs))
        return;
    vadm_relay_streams_free(link->streams);
    g_hash_table_unref(link->calls);
    g_clear_error(&link->failure);
    g_free(link);
}

void
vadm_relay_link_close(VadmRelayLink *link)
{
    g_autoptr(VadmRelayLink) keep = vadm_relay_link_ref(link);
    g_autoptr(GError) error = g_error_new(VADM_ERROR, VADM_ERROR_NO_CLIENT, "the client is gone");

    link->client = NULL;
    link->state = LINK_DEAD;
    link_disconnect(link);
    link_fail_calls(link, error);
}
