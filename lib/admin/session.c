/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The life of a session: connecting, CONNECT_OPEN, calls, the end. One source, the clock, serves
 * all its times: the next attempt to connect, the deadline of the opening, those of the calls, and
 * what is to be told from the main loop.
 */
#define VADM_LOG_CATEGORY "admin.session"
#include "admin/session-private.h"
#include "common/log.h"
#include "rpc/admin.h"
#include "rpc/rpc-error.h"

static VadmSession *
session_ref(VadmSession *session)
{
    session->refs++;
    return session;
}

static void
session_unref(VadmSession *session)
{
    if (--session->refs > 0)
        return;
    g_clear_error(&session->end_error);
    g_clear_pointer(&session->context, g_main_context_unref);
    g_free(session->path);
    g_free(session);
}

/* The clock */

/* Later times are found when it runs: each change of a source's time turns the main loop. */
static void
session_arm(VadmSession *session, gint64 when)
{
    if (when >= session->armed || !session->clock)
        return;
    session->armed = when;
    g_source_set_ready_time(session->clock, when);
}

static gint64
after_ms(gint64 now, guint milliseconds)
{
    return milliseconds == 0 || milliseconds == G_MAXUINT
               ? G_MAXINT64
               : now + (gint64)milliseconds * G_TIME_SPAN_MILLISECOND;
}

static void
session_disconnect(VadmSession *session)
{
    g_clear_pointer(&session->keepalive, vadm_keepalive_free);
    if (!session->conn)
        return;
    vadm_conn_close(session->conn);
    g_clear_pointer(&session->conn, vadm_conn_unref);
}

/* The end */

/* Somebody still wants to be told. */
static gboolean
session_is_owned(const VadmSession *session)
{
    return session->state != SESSION_FREED && session->state != SESSION_CLOSING;
}

static void
session_call_done(VadmSession *session, VadmSessionCall *call, const VadmMessage *reply,
                  const GError *error)
{
    if (call->done && session_is_owned(session))
        call->done(session, reply, error, call->user);
    vadm_session_call_free(call);
}

/* @reason: unless it has one of its own */
static void
session_call_failed(VadmSession *session, VadmSessionCall *call, const GError *reason)
{
    g_autoptr(GError) own = g_steal_pointer(&call->error);

    session_call_done(session, call, NULL, own ? own : reason);
}

/* Callbacks may make calls, which fail later with the same error, and may free the session, after
 * which nobody is told any more. */
static void
session_tell_end(VadmSession *session, VadmSessionEnd end, const VadmMessage *reply)
{
    g_autoptr(GPtrArray) calls = vadm_session_calls_take_all(&session->calls);

    g_ptr_array_set_free_func(calls, NULL);
    for (guint i = 0; i < calls->len; i++)
        session_call_failed(session, calls->pdata[i], session->end_error);
    if (session->state == SESSION_ENDED)
        session->handlers.ended(session, end, session->end_error, reply, session->user);
}

void
vadm_session_end(VadmSession *session, VadmSessionEnd end, GError *error, const VadmMessage *reply)
{
    if (session->state == SESSION_CONNECTING || session->state == SESSION_OPENING)
        end = end == VADM_SESSION_END_TIMEOUT ? end : VADM_SESSION_END_CONNECT;
    VADM_DEBUG("session with '%s' has ended: %s", session->path, error->message);
    session_disconnect(session);
    session->deadline = G_MAXINT64;
    session->end_error = error;
    if (session->state == SESSION_CLOSING) {
        session_arm(session, 0);
        return;
    }
    session->state = SESSION_ENDED;
    session_tell_end(session, end, reply);
}

static void session_end_protocol(VadmSession *session, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void
session_end_protocol(VadmSession *session, const char *format, ...)
{
    g_autofree char *what = NULL;
    va_list args;

    va_start(args, format);
    what = g_strdup_vprintf(format, args);
    va_end(args);
    vadm_session_end(session, VADM_SESSION_END_ERROR,
                     g_error_new_literal(VADM_ERROR, VADM_ERROR_RPC, what), NULL);
}

/* Sending */

static VadmMessage *
new_own_call(gint32 procedure, xdrproc_t encode, gconstpointer args)
{
    const VadmRpcHeader header = {
        .program = VADM_RPC_PROGRAM_ADMIN,
        .version = VADM_RPC_VERSION,
        .procedure = procedure,
        .type = VADM_RPC_CALL,
        .status = VADM_RPC_OK,
    };

    return vadm_message_new(&header, encode, args, NULL);
}

static void
session_send_own(VadmSession *session, VadmMessage *message)
{
    session->own_serial = vadm_session_calls_next_serial(&session->calls);
    vadm_message_set_serial(message, session->own_serial);
    vadm_conn_send(session->conn, message);
}

static gboolean
session_may_send(const VadmSession *session)
{
    guint max = session->options.max_in_flight;

    return session->state == SESSION_OPEN &&
           (max == 0 || vadm_session_calls_unanswered(&session->calls) < max);
}

static void
session_send_waiting(VadmSession *session)
{
    while (session_may_send(session)) {
        VadmMessage *message = vadm_session_calls_send(&session->calls);

        if (!message)
            return;
        vadm_conn_send(session->conn, message);
    }
}

/* Receiving */

static void
session_opened(VadmSession *session)
{
    session->state = SESSION_OPEN;
    session->deadline = G_MAXINT64;
    vadm_keepalive_start(session->keepalive, session->options.keepalive_interval,
                         session->options.keepalive_count);
    VADM_DEBUG("session with '%s' is open", session->path);
    session->handlers.opened(session, session->user);
    session_send_waiting(session);
}

static void
session_refused(VadmSession *session, const VadmMessage *reply)
{
    g_autofree char *text = vadm_message_get_error(reply, NULL, NULL);

    vadm_session_end(session, VADM_SESSION_END_CONNECT,
                     g_error_new_literal(VADM_ERROR, VADM_ERROR_RPC,
                                         text ? text : "Unable to decode message payload"),
                     reply);
}

/* To CONNECT_OPEN or CONNECT_CLOSE. */
static void
session_own_reply(VadmSession *session, const VadmMessage *reply)
{
    if (session->state == SESSION_CLOSING) {
        session_disconnect(session);
        session_arm(session, 0);
    } else if (reply->header.status == VADM_RPC_OK) {
        session_opened(session);
    } else {
        session_refused(session, reply);
    }
}

static gboolean
session_is_own(const VadmSession *session, const VadmRpcHeader *header)
{
    return (session->state == SESSION_OPENING || session->state == SESSION_CLOSING) &&
           header->program == VADM_RPC_PROGRAM_ADMIN && header->version == VADM_RPC_VERSION &&
           header->serial == session->own_serial;
}

static void
session_unexpected(VadmSession *session, const VadmRpcHeader *header)
{
    session_end_protocol(session, "no call waiting for reply with prog %u vers %u serial %u",
                         header->program, header->version, header->serial);
}

static void
session_call_reply(VadmSession *session, const VadmMessage *reply)
{
    gboolean dropped;
    VadmSessionCall *call =
        vadm_session_calls_take_reply(&session->calls, &reply->header, &dropped);

    if (!call && !dropped) {
        session_unexpected(session, &reply->header);
        return;
    }
    if (call)
        session_call_done(session, call, reply, NULL);
    session_send_waiting(session);
}

static void
session_on_reply(VadmSession *session, const VadmMessage *reply)
{
    const VadmRpcHeader *header = &reply->header;

    if (header->status != VADM_RPC_OK && header->status != VADM_RPC_ERROR)
        session_end_protocol(session, "Unexpected message status %u", header->status);
    else if (session_is_own(session, header))
        session_own_reply(session, reply);
    else
        session_call_reply(session, reply);
}

static void
session_receive(VadmSession *session, const VadmMessage *message)
{
    const VadmRpcHeader *header = &message->header;

    if (vadm_keepalive_check(session->keepalive, message))
        return;
    if (header->type == VADM_RPC_REPLY || header->type == VADM_RPC_REPLY_WITH_FDS)
        session_on_reply(session, message);
    else if (header->type == VADM_RPC_EVENT)
        VADM_DEBUG("event %d of program %u dropped", header->procedure, header->program);
    else
        session_end_protocol(session, "got unexpected RPC call prog %u vers %u proc %d type %u",
                             header->program, header->version, header->procedure, header->type);
}

static void
session_on_message(VadmConn *conn G_GNUC_UNUSED, VadmMessage *taken, gpointer user)
{
    g_autoptr(VadmMessage) message = taken;
    VadmSession *session = session_ref(user);

    session_receive(session, message);
    session_unref(session);
}

/* A daemon that does not let us in closes without a word. Whether we had written before, and read
 * or write now, is up to chance: users shall see one text. */
static GError *
new_conn_error(VadmConnEnd end, const GError *cause)
{
    GError *error = NULL;

    if (end == VADM_CONN_END_FRAME)
        return g_error_new_literal(VADM_ERROR, VADM_ERROR_RPC, cause->message);
    if (end == VADM_CONN_END_ERROR)
        return g_error_new(VADM_ERROR, VADM_ERROR_SYSTEM, "Cannot recv data: %s", cause->message);
    if (g_error_matches(cause, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED))
        vadm_error_set_errno(&error, ECONNRESET, "Cannot recv data");
    else
        vadm_error_set_errno(&error, EIO, "End of file while reading data");
    return error;
}

static void
session_on_ended(VadmConn *conn G_GNUC_UNUSED, VadmConnEnd end, const GError *cause, gpointer user)
{
    VadmSession *session = session_ref(user);

    vadm_session_end(session,
                     end == VADM_CONN_END_EOF ? VADM_SESSION_END_EOF : VADM_SESSION_END_ERROR,
                     new_conn_error(end, cause), NULL);
    session_unref(session);
}

static const VadmConnHandlers conn_handlers = {
    .message = session_on_message,
    .ended = session_on_ended,
};

static void
session_on_dead(gpointer user)
{
    VadmSession *session = session_ref(user);

    vadm_session_end(session, VADM_SESSION_END_KEEPALIVE,
                     g_error_new_literal(VADM_ERROR, VADM_ERROR_TIMEOUT,
                                         "connection closed due to keepalive timeout"),
                     NULL);
    session_unref(session);
}

/* The beginning */

void
vadm_session_begin(VadmSession *session, GSocketConnection *stream)
{
    const struct vadm_admin_connect_open_args args = {.flags = 0};

    session->conn = vadm_conn_new(G_IO_STREAM(stream), session->context, &conn_handlers, session);
    vadm_conn_read_to_end(session->conn);
    session->keepalive =
        vadm_keepalive_new(session->conn, session->context, session_on_dead, session);
    session->state = SESSION_OPENING;
    session_send_own(session, new_own_call(VADM_ADMIN_PROC_CONNECT_OPEN,
                                           (xdrproc_t)xdr_vadm_admin_connect_open_args, &args));
    vadm_conn_set_reading(session->conn, TRUE);
}

/* What the clock does */

static void
session_opening_expired(VadmSession *session)
{
    vadm_session_end(
        session, VADM_SESSION_END_TIMEOUT,
        g_error_new(VADM_ERROR, VADM_ERROR_TIMEOUT, "'%s' %s within %u ms", session->path,
                    session->state == SESSION_CONNECTING ? "did not accept a connection"
                                                         : "did not answer CONNECT_OPEN",
                    session->options.connect_timeout_ms),
        NULL);
}

/* Those that failed while others were told of theirs have their turn the next time. */
static void
session_tell_failed(VadmSession *session)
{
    for (guint n = session->calls.failed.length; n > 0 && session_is_owned(session); n--)
        session_call_failed(session, vadm_session_calls_take_failed(&session->calls), NULL);
}

static void
session_expire_calls(VadmSession *session, gint64 now)
{
    VadmSessionCall *call;

    while (session_is_owned(session) &&
           (call = vadm_session_calls_take_due(&session->calls, now))) {
        g_autoptr(GError) error =
            g_error_new(VADM_ERROR, VADM_ERROR_TIMEOUT, "no reply to procedure %d within %u ms",
                        call->procedure, call->timeout_ms);

        session_call_done(session, call, NULL, error);
    }
}

static void
session_closed(VadmSession *session)
{
    void (*closed)(gpointer user) = session->closed;
    gpointer user = session->closed_user;

    vadm_session_free(session);
    if (closed)
        closed(user);
}

/* A main loop that was busy, or a process that was stopped, finds the reply and its deadline in one
 * turn; the clock runs first, since it was attached first. The reply counts. */
static gboolean
session_waits_for_input(VadmSession *session, gint64 now)
{
    gboolean due = MIN(session->deadline, vadm_session_calls_next_deadline(&session->calls)) <= now;

    session->grace = due && !session->grace && session->conn && !vadm_conn_is_silent(session->conn);
    return session->grace;
}

static void
session_expire(VadmSession *session, gint64 now)
{
    if (session_waits_for_input(session, now))
        return;
    if (session->deadline <= now) {
        session_opening_expired(session);
        return;
    }
    session_expire_calls(session, now);
}

static void
session_tick(VadmSession *session, gint64 now)
{
    if (session->state == SESSION_CLOSING) {
        if (!session->conn || session->deadline <= now)
            session_closed(session);
        return;
    }
    if (session->state == SESSION_CONNECTING && session->retry <= now)
        vadm_session_try(session, now);
    session_tell_failed(session);
    if (session_is_owned(session))
        session_expire(session, now);
}

static void
session_rearm(VadmSession *session)
{
    if (session->state == SESSION_FREED)
        return;
    if (session->state == SESSION_CONNECTING)
        session_arm(session, session->retry);
    if (session->calls.failed.length > 0 || (session->state == SESSION_CLOSING && !session->conn))
        session_arm(session, 0);
    session_arm(session, session->deadline);
    session_arm(session, vadm_session_calls_next_deadline(&session->calls));
}

static gboolean
session_on_clock(GSource *clock, GSourceFunc callback G_GNUC_UNUSED, gpointer user)
{
    VadmSession *session = session_ref(user);

    session->armed = G_MAXINT64;
    g_source_set_ready_time(clock, -1);
    session_tick(session, g_get_monotonic_time());
    session_rearm(session);
    session_unref(session);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs clock_funcs = {.dispatch = session_on_clock};

/* What the owner calls */

VadmSession *
vadm_session_open(const VadmSessionOptions *options, GMainContext *context,
                  const VadmSessionHandlers *handlers, gpointer user)
{
    VadmSession *session = g_new0(VadmSession, 1);

    session->refs = 1;
    session->options = *options;
    session->options.path = NULL;
    session->path = g_strdup(options->path);
    session->context = context ? g_main_context_ref(context) : NULL;
    session->handlers = *handlers;
    session->user = user;
    session->armed = G_MAXINT64;
    session->deadline = after_ms(g_get_monotonic_time(), options->connect_timeout_ms);
    vadm_session_calls_init(&session->calls);
    session->clock = g_source_new(&clock_funcs, sizeof(GSource));
    g_source_set_callback(session->clock, NULL, session, NULL);
    g_source_attach(session->clock, context);
    session_arm(session, 0);
    return session;
}

void
vadm_session_free(VadmSession *session)
{
    if (!session)
        return;
    session->state = SESSION_FREED;
    session_disconnect(session);
    vadm_session_calls_clear(&session->calls);
    g_source_destroy(session->clock);
    g_clear_pointer(&session->clock, g_source_unref);
    session_unref(session);
}

gboolean
vadm_session_is_open(const VadmSession *session)
{
    return session->state == SESSION_OPEN;
}

guint
vadm_session_in_flight(const VadmSession *session)
{
    return session->state == SESSION_OPEN ? vadm_session_calls_unanswered(&session->calls) : 0;
}

void
vadm_session_set_max_in_flight(VadmSession *session, guint max)
{
    session->options.max_in_flight = max;
    session_send_waiting(session);
}

static void
session_add_call(VadmSession *session, VadmSessionCall *call)
{
    vadm_session_calls_add(&session->calls, call);
    if (session->calls.failed.length > 0)
        session_arm(session, 0);
    if (call->timer)
        session_arm(session, call->deadline);
    session_send_waiting(session);
}

void
vadm_session_call(VadmSession *session, guint32 program, gint32 procedure, xdrproc_t encode,
                  gconstpointer args, guint timeout_ms, VadmReplyFn done, gpointer user)
{
    const VadmRpcHeader header = {
        .program = program,
        .version = VADM_RPC_VERSION,
        .procedure = procedure,
        .type = VADM_RPC_CALL,
        .status = VADM_RPC_OK,
    };
    VadmSessionCall *call = g_new0(VadmSessionCall, 1);

    call->program = program;
    call->procedure = procedure;
    call->done = done;
    call->user = user;
    call->timeout_ms = timeout_ms > 0 ? timeout_ms : session->options.call_timeout_ms;
    call->deadline = after_ms(g_get_monotonic_time(), call->timeout_ms);
    if (session->end_error)
        call->error = g_error_copy(session->end_error);
    else
        call->message = vadm_message_new(&header, encode, args, &call->error);
    session_add_call(session, call);
}

void
vadm_session_close_gracefully(VadmSession *session, guint timeout_ms, void (*closed)(gpointer user),
                              gpointer user)
{
    gboolean open = session->state == SESSION_OPEN;

    session->closed = closed;
    session->closed_user = user;
    session->state = SESSION_CLOSING;
    vadm_session_calls_give_up(&session->calls);
    if (!open) {
        session_disconnect(session);
        session_arm(session, 0);
        return;
    }
    session->deadline = g_get_monotonic_time() + (gint64)timeout_ms * G_TIME_SPAN_MILLISECOND;
    session_arm(session, session->deadline);
    session_send_own(session, new_own_call(VADM_ADMIN_PROC_CONNECT_CLOSE, NULL, NULL));
}
