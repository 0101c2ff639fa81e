/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define VADM_LOG_CATEGORY "daemon.relay"
#include "daemon/relay-link.h"

#include "common/log.h"
#include "rpc/remote.h"
#include "rpc/rpc-error.h"

/* Sources of the main loop */

void
vadm_relay_link_clear_source(GSource **source)
{
    if (!*source)
        return;
    g_source_destroy(*source);
    g_clear_pointer(source, g_source_unref);
}

/* Calls */

/* (nullable) */
static VadmRelayCall *
link_find_call(const VadmRelayLink *link, guint32 serial)
{
    return link->calls ? g_hash_table_lookup(link->calls, GUINT_TO_POINTER(serial)) : NULL;
}

static void
link_add_call(VadmRelayLink *link, VadmRelayCall *call)
{
    if (!link->calls)
        link->calls = g_hash_table_new(NULL, NULL);
    g_hash_table_insert(link->calls, GUINT_TO_POINTER(call->upstream_serial), call);
}

/* A client that has nothing under way keeps no table. */
static void
link_drop_calls(VadmRelayLink *link)
{
    if (link->calls && g_hash_table_size(link->calls) == 0)
        g_clear_pointer(&link->calls, g_hash_table_unref);
}

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

    if (link->calls)
        g_hash_table_iter_init(&iter, link->calls);
    while (link->calls && g_hash_table_iter_next(&iter, NULL, &call))
        g_ptr_array_add(failed, call);
    g_clear_pointer(&link->calls, g_hash_table_unref);
    while ((call = g_queue_pop_head(&link->held)))
        g_ptr_array_add(failed, call);
    for (guint i = 0; i < failed->len; i++)
        link_fail_call(link, failed->pdata[i], error);
}

typedef struct {
    VadmRelayLink *link;
    const GError *error;
} StreamFailure;

/* Where the call that opened it was not answered, it is the call that fails. */
static void
link_fail_stream(const VadmRelayStream *stream, gpointer user)
{
    const StreamFailure *failure = user;
    VadmRelayLink *link = failure->link;
    VadmRpcHeader header = stream->call;

    if (link_find_call(link, stream->serial))
        return;
    header.type = VADM_RPC_STREAM;
    vadm_client_send(link->client,
                     vadm_message_new_gerror(&header, VADM_VIR_FROM_RPC, failure->error));
}

static void
link_fail_streams(VadmRelayLink *link, const GError *error)
{
    StreamFailure failure = {link, error};

    if (link->client)
        vadm_relay_streams_foreach(link->streams, link_fail_stream, &failure);
}

/* The connection */

static void
link_disconnect(VadmRelayLink *link)
{
    vadm_relay_link_clear_source(&link->retry);
    vadm_relay_link_clear_source(&link->deadline);
    g_clear_pointer(&link->keepalive, vadm_keepalive_free);
    if (link->conn) {
        vadm_conn_close(link->conn);
        g_clear_pointer(&link->conn, vadm_conn_unref);
    }
    g_clear_pointer(&link->injection, vadm_message_free);
    vadm_relay_streams_clear(link->streams);
    link->own_procedure = 0;
    link->gate = GATE_OPEN;
    link->paused = link->pinged = FALSE;
}

/* While the upstream is away each call of each client fails, as fast as they come. */
static void
link_log_failure(const VadmRelayLink *link, const GError *error)
{
    if (!link->client)
        VADM_DEBUG("still unreachable: %s", error->message);
    else if (vadm_server_may_complain(link->relay->server))
        VADM_WARN("upstream of client %" G_GUINT64_FORMAT ": %s", vadm_client_get_id(link->client),
                  error->message);
}

/* Before the link was ready nothing is lost: the calls that wait fail, and the client's next one
 * tries again. Later the client has state upstream that is gone, so it goes, too. */
void
vadm_relay_link_fail(VadmRelayLink *link, const GError *error)
{
    gboolean was_ready = link->state == LINK_READY;

    link_fail_streams(link, error);
    link_disconnect(link);
    link->state = was_ready ? LINK_DEAD : LINK_IDLE;
    if (was_ready)
        link->failure = g_error_copy(error);
    link_log_failure(link, error);
    if (was_ready)
        vadm_relay_probe_soon(link->upstream);
    else
        vadm_relay_note_failure(link->upstream, error);
    link_fail_calls(link, error);
    if (was_ready && link->client) {
        vadm_client_set_hold(link->client, FALSE);
        vadm_client_close_flushed(link->client, VADM_DISCONNECT_UNKNOWN);
    }
}

void
vadm_relay_link_fail_new(VadmRelayLink *link, VadmErrorCode code, const char *format, ...)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *what = NULL;
    va_list args;

    va_start(args, format);
    what = g_strdup_vprintf(format, args);
    va_end(args);
    error = g_error_new(VADM_ERROR, (int)code, "upstream '%s' %s", link->path, what);
    vadm_relay_link_fail(link, error);
}

guint32
vadm_relay_link_next_serial(VadmRelayLink *link)
{
    while (link_find_call(link, link->next_serial) ||
           vadm_relay_streams_has(link->streams, link->next_serial))
        link->next_serial++;
    return link->next_serial++;
}

/* What a daemon counts as in progress: calls without a reply, whoever made them. */
static guint
link_under_way(const VadmRelayLink *link)
{
    return (link->calls ? g_hash_table_size(link->calls) : 0) + (link->own_procedure != 0);
}

/* The upstream is pinged only while it is read, for its answers must be seen, and while it can be
 * thought to read: a PING behind as many calls as it takes at once says nothing of it. */
static gboolean
link_may_ping(const VadmRelayLink *link)
{
    return link->state == LINK_READY && link->client && !link->paused &&
           link_under_way(link) < VADM_RELAY_UPSTREAM_REQUESTS;
}

void
vadm_relay_link_check_keepalive(VadmRelayLink *link)
{
    const VadmServerConfig *config = vadm_server_get_config(link->relay->server);
    gboolean ping = link_may_ping(link);

    if (ping == link->pinged)
        return;
    link->pinged = ping;
    vadm_keepalive_start(link->keepalive, ping ? config->keepalive_interval : -1,
                         config->keepalive_count);
}

/* The replies to what is under way are not read, for as long as the client likes. It may keep its
 * own calls waiting, but not the workers of others. */
static void
link_release_workers(VadmRelayLink *link)
{
    GHashTableIter iter;
    gpointer call;

    if (link->calls)
        g_hash_table_iter_init(&iter, link->calls);
    while (link->calls && g_hash_table_iter_next(&iter, NULL, &call))
        vadm_relay_call_finish(call, TRUE);
    for (GList *held = link->held.head; held; held = held->next)
        vadm_relay_call_finish(held->data, TRUE);
}

static void
link_pause(VadmRelayLink *link)
{
    if (link->paused || !link->conn || vadm_client_queued(link->client) <= VADM_CONN_HIGH_WATER)
        return;
    link->paused = TRUE;
    vadm_conn_set_reading(link->conn, FALSE);
    link_release_workers(link);
}

void
vadm_relay_link_resume(VadmRelayLink *link)
{
    if (!link->paused)
        return;
    link->paused = FALSE;
    vadm_relay_link_check_keepalive(link);
    vadm_conn_set_reading(link->conn, TRUE);
}

void
vadm_relay_link_send(VadmRelayLink *link, VadmMessage *message)
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
    vadm_relay_link_send(link, message);
}

/* What comes from the upstream */

static void
link_opened(VadmRelayLink *link, gboolean ok)
{
    VadmMessage *injection = g_steal_pointer(&link->injection);

    link->gate = ok ? GATE_IDENTITY : GATE_OPEN;
    if (ok)
        vadm_relay_link_send_own(link, injection);
    else
        vadm_message_free(injection);
}

/* The reply is on its way to the client; the worker is let go last. */
static void
link_call_done(VadmRelayLink *link, VadmRelayCall *call, gboolean ok)
{
    if (vadm_relay_is_remote(&call->header, VADM_REMOTE_PROC_CONNECT_OPEN) &&
        link->state == LINK_READY)
        link_opened(link, ok);
    if (vadm_relay_is_remote(&call->header, VADM_REMOTE_PROC_CONNECT_CLOSE) && ok && link->client)
        vadm_client_close_flushed(link->client, VADM_DISCONNECT_CLIENT);
    if (!ok)
        vadm_relay_streams_remove(link->streams, call->upstream_serial);
    vadm_relay_call_finish(call, ok);
    vadm_relay_call_unref(call);
}

/* Nothing more can be made of the connection. */
static void
link_reply_cut_short(VadmRelayLink *link, VadmRelayCall *call)
{
    link_add_call(link, call);
    vadm_relay_link_fail_new(link, VADM_ERROR_RPC, "sent a reply to procedure %d that is cut short",
                             call->header.procedure);
}

static void
link_call_reply(VadmRelayLink *link, VadmRelayCall *call, VadmMessage *message)
{
    gboolean ok;

    message = vadm_relay_fds_reply(link->client, message);
    if (!message) {
        link_reply_cut_short(link, call);
        return;
    }
    ok = message->header.status == VADM_RPC_OK;
    vadm_message_set_serial(message, call->header.serial);
    vadm_client_reply(link->client, message);
    link_call_done(link, call, ok);
    vadm_relay_link_flush(link);
}

static void
link_reply(VadmRelayLink *link, VadmMessage *message)
{
    VadmRelayCall *call = link_find_call(link, message->header.serial);
    const VadmRelayStream *stream =
        vadm_relay_streams_find_upstream(link->streams, &message->header);

    if (link->own_procedure != 0 && message->header.serial == link->own_serial &&
        vadm_relay_is_remote(&message->header, link->own_procedure)) {
        vadm_relay_link_own_reply(link, message);
        vadm_message_free(message);
    } else if (call && call->header.program == message->header.program &&
               call->header.procedure == message->header.procedure) {
        g_hash_table_remove(link->calls, GUINT_TO_POINTER(call->upstream_serial));
        link_call_reply(link, call, message);
        link_drop_calls(link);
    } else if (!call && stream && message->header.type == VADM_RPC_REPLY) {
        link_upstream_stream(link, stream, message);
    } else {
        vadm_relay_link_fail_new(link, VADM_ERROR_RPC,
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
        vadm_relay_link_fail_new(link, VADM_ERROR_RPC,
                                 "sent a message of type %u: a daemon does not call",
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
        vadm_relay_link_fail_new(
            link, VADM_ERROR_RPC, "is no libvirt daemon: it sent program 0x%x version %u, type %u",
            message->header.program, message->header.version, message->header.type);
        vadm_message_free(message);
    }
    if (link->client)
        link_pause(link);
    vadm_relay_link_check_keepalive(link);
}

static void
link_ended(VadmConn *conn, VadmConnEnd end, const GError *error, gpointer user)
{
    g_autoptr(VadmRelayLink) link = vadm_relay_link_ref(user);

    (void)conn;
    if (end == VADM_CONN_END_EOF)
        vadm_relay_link_fail_new(link, VADM_ERROR_NO_CONNECT, "closed the connection");
    else if (end == VADM_CONN_END_FRAME)
        vadm_relay_link_fail_new(link, VADM_ERROR_RPC, "is no libvirt daemon: %s",
                                 error ? error->message : "broken framing");
    else
        vadm_relay_link_fail_new(link, VADM_ERROR_NO_CONNECT, "cannot be talked to: %s",
                                 error ? error->message : "unknown error");
}

const VadmConnHandlers vadm_relay_link_handlers = {
    .message = link_message,
    .ended = link_ended,
    .drained = link_drained,
};

/* Calls of the client */

static void
link_forward(VadmRelayLink *link, VadmRelayCall *call)
{
    call->upstream_serial = vadm_relay_link_next_serial(link);
    vadm_message_set_serial(call->message, call->upstream_serial);
    link_add_call(link, call);
    if (vadm_relay_opens_stream(call->header.program, call->header.procedure))
        vadm_relay_streams_add(link->streams, &call->header, call->upstream_serial);
    if (vadm_relay_is_remote(&call->header, VADM_REMOTE_PROC_CONNECT_OPEN)) {
        link->gate = GATE_OPENING;
        link->injection = g_steal_pointer(&call->injection);
    }
    vadm_relay_link_send(link, g_steal_pointer(&call->message));
    vadm_relay_link_check_keepalive(link);
}

/* OPEN goes alone: a call that stands in the upstream's queue beside it might be done behind it,
 * but before the upstream has learnt who the client is. */
static gboolean
link_may_forward(const VadmRelayLink *link, const VadmRelayCall *call)
{
    if (link->state != LINK_READY || link->gate != GATE_OPEN)
        return FALSE;
    return !vadm_relay_is_remote(&call->header, VADM_REMOTE_PROC_CONNECT_OPEN) || !link->calls ||
           g_hash_table_size(link->calls) == 0;
}

void
vadm_relay_link_flush(VadmRelayLink *link)
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
    else if (vadm_relay_is_remote(&call->header, VADM_REMOTE_PROC_CONNECT_OPEN) && !call->injection)
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
    g_autoptr(VadmRelayLink) keep G_GNUC_UNUSED = vadm_relay_link_ref(link);

    if (!link_accepts(link, call))
        return;
    if (link->state == LINK_IDLE &&
        vadm_relay_is_remote(&call->header, VADM_REMOTE_PROC_CONNECT_CLOSE)) {
        link_close_idle(link, call);
        return;
    }
    if (link->paused)
        vadm_relay_call_finish(call, TRUE);
    g_queue_push_tail(&link->held, call);
    if (link->state == LINK_IDLE)
        vadm_relay_link_connect(link);
    else
        vadm_relay_link_flush(link);
}

/* The link */

VadmRelayLink *
vadm_relay_link_new(VadmRelayUpstream *upstream, VadmClient *client)
{
    VadmRelayLink *link = g_new0(VadmRelayLink, 1);

    link->refs = 1;
    link->relay = upstream->relay;
    link->upstream = upstream;
    link->client = client;
    link->path = upstream->path;
    g_queue_init(&link->held);
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
    g_clear_pointer(&link->calls, g_hash_table_unref);
    g_clear_error(&link->failure);
    g_free(link);
}

void
vadm_relay_link_close(VadmRelayLink *link)
{
    g_autoptr(VadmRelayLink) keep G_GNUC_UNUSED = vadm_relay_link_ref(link);
    g_autoptr(GError) error = g_error_new(VADM_ERROR, VADM_ERROR_NO_CLIENT, "the client is gone");

    link->client = NULL;
    link->state = LINK_DEAD;
    link_disconnect(link);
    link_fail_calls(link, error);
}
