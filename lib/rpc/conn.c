/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/conn.h"

/* What one turn of the main loop may do for one connection, so that a peer that sends or takes
 * without pause does not starve the others. */
#define TURN_MESSAGES 64u
#define TURN_READ     (256u * 1024)
#define TURN_WRITE    (1024u * 1024)
#define READ_AT_ONCE  (64u * 1024)

typedef enum {
    CONN_OPEN,
    CONN_ENDING, /* no more reading or writing; ended() or closed() is on its way */
    CONN_CLOSED
} ConnState;

struct _VadmConn {
    guint refs;
    guint busy; /* callbacks of ours that run: it is freed after them */
    ConnState state;
    GIOStream *stream;
    GMainContext *context;
    VadmConnHandlers handlers;
    gpointer user;

    gboolean reading;
    VadmFramer *framer;
    GSource *readable;
    GSource *resume; /* delivers what was framed already */
    gboolean notices_hangup;
    GSource *hangup; /* while reading is stopped */

    GQueue queue;   /* of VadmMessage */
    gsize offset;   /* how much of the first is written */
    gsize queued;   /* octets not yet written */
    gboolean above; /* the high water mark was passed, and the low one not reached since */
    GSource *writable;
    gboolean reads_to_end;
    GError *write_error; /* nothing is written any more, and reading will find the end */

    GSource *later; /* runs ended() or closed() from the main loop */
    VadmConnEnd end;
    GError *end_error;

    gboolean flushing; /* holds a reference */
    GSource *deadline;
    void (*flushed)(gpointer user);
    gpointer flushed_user;
};

static gboolean conn_on_readable(GSocket *socket, GIOCondition condition, gpointer data);
static gboolean conn_on_writable(GSocket *socket, GIOCondition condition, gpointer data);
static gboolean conn_on_input(GObject *stream, gpointer data);
static gboolean conn_on_output(GObject *stream, gpointer data);
static gboolean conn_on_resume(gpointer data);
static gboolean conn_on_hangup(GSocket *socket, GIOCondition condition, gpointer data);
static gboolean conn_on_later(gpointer data);
static gboolean conn_on_deadline(gpointer data);

static GPollableInputStream *
conn_input(const VadmConn *conn)
{
    return G_POLLABLE_INPUT_STREAM(g_io_stream_get_input_stream(conn->stream));
}

static GPollableOutputStream *
conn_output(const VadmConn *conn)
{
    return G_POLLABLE_OUTPUT_STREAM(g_io_stream_get_output_stream(conn->stream));
}

/* Sources: callbacks never return G_SOURCE_REMOVE, since a handler may have replaced the source
 * that is being dispatched; clear_source() is the one way to end them. */

static void
clear_source(GSource **source)
{
    if (!*source)
        return;
    g_source_destroy(*source);
    g_clear_pointer(source, g_source_unref);
}

/* GLib takes a source out of the poll while its callback runs, and puts it back: each time, and
 * for each child of the source, it writes to its own eventfd and so turns the main loop in vain.
 * It does not with those that may recurse, and none of ours iterates the main loop. */
static GSource *
conn_attach(VadmConn *conn, GSource *source, GSourceFunc callback)
{
    g_source_set_can_recurse(source, TRUE);
    g_source_set_callback(source, callback, conn, NULL);
    g_source_attach(source, conn->context);
    return source;
}

/* Of the same priority as the sockets, else busy ones would starve it. */
static GSource *
conn_attach_soon(VadmConn *conn, GSourceFunc callback)
{
    GSource *source = g_idle_source_new();

    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    return conn_attach(conn, source, callback);
}

/* A socket has a source of its own, without the child that a pollable stream's has. It tells of
 * @condition, or of an error, which the callbacks find by reading or writing. */
static GSource *
conn_attach_socket(VadmConn *conn, GIOCondition condition)
{
    GSocket *socket = g_socket_connection_get_socket(G_SOCKET_CONNECTION(conn->stream));

    return conn_attach(conn, g_socket_create_source(socket, condition, NULL),
                       G_SOURCE_FUNC(condition == G_IO_OUT ? conn_on_writable : conn_on_readable));
}

static GSource *
conn_attach_input(VadmConn *conn)
{
    if (G_IS_SOCKET_CONNECTION(conn->stream))
        return conn_attach_socket(conn, G_IO_IN);
    return conn_attach(conn, g_pollable_input_stream_create_source(conn_input(conn), NULL),
                       G_SOURCE_FUNC(conn_on_input));
}

static GSource *
conn_attach_output(VadmConn *conn)
{
    if (G_IS_SOCKET_CONNECTION(conn->stream))
        return conn_attach_socket(conn, G_IO_OUT);
    return conn_attach(conn, g_pollable_output_stream_create_source(conn_output(conn), NULL),
                       G_SOURCE_FUNC(conn_on_output));
}

VadmConn *
vadm_conn_new(GIOStream *stream, GMainContext *context, const VadmConnHandlers *handlers,
              gpointer user)
{
    VadmConn *conn = g_new0(VadmConn, 1);

    conn->refs = 1;
    conn->stream = g_object_ref(stream);
    conn->context = context ? g_main_context_ref(context) : NULL;
    conn->handlers = *handlers;
    conn->user = user;
    conn->framer = vadm_framer_new();
    g_queue_init(&conn->queue);
    return conn;
}

VadmConn *
vadm_conn_ref(VadmConn *conn)
{
    conn->refs++;
    return conn;
}

/* Closing TLS may wait for the peer; closing a socket does not. */
static void
conn_close_stream(VadmConn *conn)
{
    if (G_IS_TLS_CONNECTION(conn->stream))
        g_io_stream_close_async(conn->stream, G_PRIORITY_DEFAULT, NULL, NULL, NULL);
    else
        g_io_stream_close(conn->stream, NULL, NULL);
}

/* Stops reading and writing at once. */
static void
conn_stop(VadmConn *conn)
{
    clear_source(&conn->readable);
    clear_source(&conn->resume);
    clear_source(&conn->hangup);
    clear_source(&conn->writable);
    clear_source(&conn->deadline);
}

static void
conn_drop_queue(VadmConn *conn)
{
    g_queue_clear_full(&conn->queue, (GDestroyNotify)vadm_message_free);
    conn->queued = conn->offset = 0;
}

static void
conn_shut(VadmConn *conn)
{
    conn_stop(conn);
    clear_source(&conn->later);
    if (conn->state == CONN_CLOSED)
        return;
    conn->state = CONN_CLOSED;
    g_clear_pointer(&conn->framer, vadm_framer_free);
    conn_drop_queue(conn);
    conn_close_stream(conn);
}

static void
conn_free(VadmConn *conn)
{
    g_clear_error(&conn->end_error);
    g_clear_error(&conn->write_error);
    g_object_unref(conn->stream);
    g_clear_pointer(&conn->context, g_main_context_unref);
    g_free(conn);
}

/* A handler that gives up the last reference gets no further call. */
void
vadm_conn_unref(VadmConn *conn)
{
    if (!conn || --conn->refs > 0)
        return;
    conn_shut(conn);
    if (conn->busy == 0)
        conn_free(conn);
}

static void
conn_enter(VadmConn *conn)
{
    conn->busy++;
}

static void
conn_leave(VadmConn *conn)
{
    if (--conn->busy == 0 && conn->refs == 0)
        conn_free(conn);
}

void
vadm_conn_close(VadmConn *conn)
{
    conn_shut(conn);
    if (!conn->flushing)
        return;
    conn->flushing = FALSE;
    vadm_conn_unref(conn);
}

/* The end is told from the main loop: vadm_conn_send() may find it, and its caller would not
 * expect its own end in there. */
static void
conn_end_later(VadmConn *conn)
{
    conn_stop(conn);
    if (conn->state == CONN_OPEN)
        conn->state = CONN_ENDING;
    if (!conn->later)
        conn->later = conn_attach_soon(conn, conn_on_later);
}

/* @error: (transfer full) */
static void
conn_fail(VadmConn *conn, VadmConnEnd end, GError *error)
{
    conn->end = end;
    g_clear_error(&conn->end_error);
    conn->end_error = error;
    if (end == VADM_CONN_END_EOF && conn->write_error) {
        g_error_free(conn->end_error);
        conn->end_error = g_steal_pointer(&conn->write_error);
    }
    conn_end_later(conn);
}

static gboolean
is_hangup(const GError *error)
{
    return g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED) ||
           g_error_matches(error, G_TLS_ERROR, G_TLS_ERROR_EOF);
}

static void
conn_fail_io(VadmConn *conn, GError *error)
{
    conn_fail(conn, is_hangup(error) ? VADM_CONN_END_EOF : VADM_CONN_END_ERROR, error);
}

/* A socket closed over unread octets is reset, and TCP then takes back what the peer has not
 * read of our last words. */
static void
conn_discard_input(VadmConn *conn)
{
    guint8 waste[4096];

    for (gsize left = TURN_READ; left >= sizeof waste; left -= sizeof waste) {
        if (g_pollable_input_stream_read_nonblocking(conn_input(conn), waste, sizeof waste, NULL,
                                                     NULL) <= 0)
            return;
    }
}

static gboolean
conn_on_later(gpointer data)
{
    VadmConn *conn = data;

    conn_enter(conn);
    if (conn->flushing && conn->state != CONN_CLOSED)
        conn_discard_input(conn);
    conn_shut(conn);
    if (conn->flushing) {
        conn->flushing = FALSE;
        if (conn->flushed)
            conn->flushed(conn->flushed_user);
        vadm_conn_unref(conn);
    } else {
        conn->handlers.ended(conn, conn->end, conn->end_error, conn->user);
    }
    conn_leave(conn);
    return G_SOURCE_CONTINUE;
}

/* Reading */

static gboolean
conn_is_listening(const VadmConn *conn)
{
    return conn->state == CONN_OPEN && conn->reading;
}

/* Returns: TRUE when all that was framed is delivered, and more is wanted */
static gboolean
conn_deliver(VadmConn *conn, guint *budget)
{
    while (conn_is_listening(conn) && *budget > 0) {
        GError *error = NULL;
        VadmMessage *message = vadm_framer_next(conn->framer, &error);

        if (error)
            conn_fail(conn, VADM_CONN_END_FRAME, error);
        if (!message)
            return !error;
        --*budget;
        conn->handlers.message(conn, message, conn->user);
    }
    return FALSE;
}

static void
conn_fail_eof(VadmConn *conn, const char *where)
{
    conn_fail(
        conn, VADM_CONN_END_EOF,
        g_error_new(G_IO_ERROR, G_IO_ERROR_CLOSED, "the peer closed the connection%s", where));
}

/*
 * Reads once. A plain read, so descriptors that the peer passes along are dropped by the kernel.
 *
 * Returns: TRUE when something came; @left: 0 when it seems to be all
 */
static gboolean
conn_read(VadmConn *conn, gsize *left)
{
    GError *error = NULL;
    gsize room;
    guint8 *space = vadm_framer_space(conn->framer, MIN(*left, READ_AT_ONCE), &room);
    gssize got =
        g_pollable_input_stream_read_nonblocking(conn_input(conn), space, room, NULL, &error);

    vadm_framer_filled(conn->framer, got > 0 ? (gsize)got : 0);
    if (got > 0) {
        *left = (gsize)got == room ? *left - room : 0;
        return TRUE;
    }
    if (got == 0)
        conn_fail_eof(conn, vadm_framer_pending(conn->framer) > 0 ? " within a message" : "");
    else if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
        g_error_free(error);
    else
        conn_fail_io(conn, error);
    return FALSE;
}

static void
conn_turn(VadmConn *conn)
{
    guint budget = TURN_MESSAGES;
    gsize left = TURN_READ;

    conn_enter(conn);
    clear_source(&conn->resume);
    while (conn_deliver(conn, &budget) && left > 0 && conn_read(conn, &left)) {
    }
    if (budget == 0 && conn_is_listening(conn) && !conn->resume)
        conn->resume = conn_attach_soon(conn, conn_on_resume);
    conn_leave(conn);
}

static gboolean
conn_on_readable(GSocket *socket G_GNUC_UNUSED, GIOCondition condition G_GNUC_UNUSED, gpointer data)
{
    conn_turn(data);
    return G_SOURCE_CONTINUE;
}

static gboolean
conn_on_input(GObject *stream G_GNUC_UNUSED, gpointer data)
{
    conn_turn(data);
    return G_SOURCE_CONTINUE;
}

static gboolean
conn_on_resume(gpointer data)
{
    conn_turn(data);
    return G_SOURCE_CONTINUE;
}

static gboolean
conn_on_hangup(GSocket *socket G_GNUC_UNUSED, GIOCondition condition G_GNUC_UNUSED, gpointer data)
{
    conn_fail_eof(data, " while it was not read");
    return G_SOURCE_CONTINUE;
}

/* The end of a peer can be read only behind all that it has sent. */
static void
conn_watch_hangup(VadmConn *conn)
{
    GSource *source;

    if (!conn->notices_hangup || !G_IS_SOCKET_CONNECTION(conn->stream))
        return;
    source = g_socket_create_source(
        g_socket_connection_get_socket(G_SOCKET_CONNECTION(conn->stream)), G_IO_HUP, NULL);
    conn->hangup = conn_attach(conn, source, G_SOURCE_FUNC(conn_on_hangup));
}

void
vadm_conn_notice_hangup(VadmConn *conn)
{
    conn->notices_hangup = TRUE;
}

void
vadm_conn_set_reading(VadmConn *conn, gboolean reading)
{
    if (conn->state != CONN_OPEN || conn->flushing || conn->reading == reading)
        return;
    conn->reading = reading;
    clear_source(&conn->hangup);
    if (!reading) {
        clear_source(&conn->readable);
        clear_source(&conn->resume);
        conn_watch_hangup(conn);
        return;
    }
    conn->readable = conn_attach_input(conn);
    if (vadm_framer_pending(conn->framer) > 0)
        conn->resume = conn_attach_soon(conn, conn_on_resume);
}

gsize
vadm_conn_pending(const VadmConn *conn)
{
    return conn->framer ? vadm_framer_pending(conn->framer) : 0;
}

gboolean
vadm_conn_is_silent(const VadmConn *conn)
{
    if (conn->state != CONN_OPEN)
        return FALSE;
    if (!conn->reading)
        return conn->queued > 0;
    return !g_pollable_input_stream_is_readable(conn_input(conn));
}

/* Writing */

static void
conn_wrote(VadmConn *conn, gsize length)
{
    VadmMessage *first = g_queue_peek_head(&conn->queue);

    conn->queued -= length;
    conn->offset += length;
    if (conn->offset < first->length)
        return;
    vadm_message_free(g_queue_pop_head(&conn->queue));
    conn->offset = 0;
}

/* @error: (transfer full). The end can be read only behind all that the peer has sent. */
static void
conn_fail_write(VadmConn *conn, GError *error)
{
    if (!conn->reads_to_end || !conn->reading || !is_hangup(error)) {
        conn_fail_io(conn, error);
        return;
    }
    conn->write_error = error;
    conn_drop_queue(conn);
    clear_source(&conn->writable);
}

/* Returns: FALSE when nothing can be written any more */
static gboolean
conn_write_queue(VadmConn *conn)
{
    gsize written = 0;

    while (conn->queued > 0 && written < TURN_WRITE) {
        GError *error = NULL;
        VadmMessage *first = g_queue_peek_head(&conn->queue);
        gssize put = g_pollable_output_stream_write_nonblocking(
            conn_output(conn), first->data + conn->offset, first->length - conn->offset, NULL,
            &error);

        if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK)) {
            g_error_free(error);
            return TRUE;
        }
        if (error) {
            conn_fail_write(conn, error);
            return FALSE;
        }
        conn_wrote(conn, (gsize)put);
        written += (gsize)put;
    }
    return TRUE;
}

static void
conn_write(VadmConn *conn)
{
    if (!conn_write_queue(conn))
        return;
    if (conn->queued == 0)
        clear_source(&conn->writable);
    if (conn->queued == 0 || conn->writable)
        return;
    conn->writable = conn_attach_output(conn);
}

static void
conn_check_drained(VadmConn *conn)
{
    if (!conn->above || conn->queued > VADM_CONN_LOW_WATER)
        return;
    conn->above = FALSE;
    if (conn->handlers.drained)
        conn->handlers.drained(conn, conn->user);
}

static void
conn_turn_output(VadmConn *conn)
{
    conn_enter(conn);
    conn_write(conn);
    if (conn->state == CONN_OPEN && !conn->flushing)
        conn_check_drained(conn);
    else if (conn->state == CONN_OPEN && conn->queued == 0)
        conn_end_later(conn);
    conn_leave(conn);
}

static gboolean
conn_on_writable(GSocket *socket G_GNUC_UNUSED, GIOCondition condition G_GNUC_UNUSED, gpointer data)
{
    conn_turn_output(data);
    return G_SOURCE_CONTINUE;
}

static gboolean
conn_on_output(GObject *stream G_GNUC_UNUSED, gpointer data)
{
    conn_turn_output(data);
    return G_SOURCE_CONTINUE;
}

void
vadm_conn_send(VadmConn *conn, VadmMessage *message)
{
    if (conn->state != CONN_OPEN || conn->flushing || conn->write_error) {
        vadm_message_free(message);
        return;
    }
    g_queue_push_tail(&conn->queue, message);
    conn->queued += message->length;
    if (!conn->writable)
        conn_write(conn);
    if (conn->queued > VADM_CONN_HIGH_WATER)
        conn->above = TRUE;
}

void
vadm_conn_read_to_end(VadmConn *conn)
{
    conn->reads_to_end = TRUE;
}

gsize
vadm_conn_queued(const VadmConn *conn)
{
    return conn->queued;
}

/* Closing by what is written */

static gboolean
conn_on_deadline(gpointer data)
{
    conn_end_later(data);
    return G_SOURCE_CONTINUE;
}

void
vadm_conn_close_flushed(VadmConn *conn, guint timeout_ms, void (*closed)(gpointer user),
                        gpointer user)
{
    if (conn->flushing)
        return;
    conn->flushing = TRUE;
    conn->flushed = closed;
    conn->flushed_user = user;
    conn->reading = FALSE;
    clear_source(&conn->readable);
    clear_source(&conn->resume);
    clear_source(&conn->hangup);
    vadm_conn_ref(conn);
    if (conn->state != CONN_OPEN || conn->queued == 0)
        conn_end_later(conn);
    else
        conn->deadline = conn_attach(conn, g_timeout_source_new(timeout_ms), conn_on_deadline);
}
