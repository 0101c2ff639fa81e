/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/conn-private.h"

#include <sys/socket.h>
#include <unistd.h>

static gboolean conn_on_later(gpointer data);

void
vadm_conn_clear_source(GSource **source)
{
    if (!*source)
        return;
    g_source_destroy(*source);
    g_clear_pointer(source, g_source_unref);
}

/* GLib takes a source out of the poll while its callback runs, and puts it back: each time, and
 * for each child of the source, it writes to its own eventfd and so turns the main loop in vain.
 * It does not with those that may recurse, and none of ours iterates the main loop. */
GSource *
vadm_conn_attach(VadmConn *conn, GSource *source, GSourceFunc callback)
{
    g_source_set_can_recurse(source, TRUE);
    g_source_set_callback(source, callback, conn, NULL);
    g_source_attach(source, conn->context);
    return source;
}

/* Of the same priority as the sockets, else busy ones would starve it. */
GSource *
vadm_conn_attach_soon(VadmConn *conn, GSourceFunc callback)
{
    GSource *source = g_idle_source_new();

    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    return vadm_conn_attach(conn, source, callback);
}

static gboolean
is_unix_socket(int fd)
{
    int domain;
    socklen_t length = sizeof(domain);

    return fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 &&
           domain == AF_UNIX;
}

VadmConn *
vadm_conn_new_socket(int fd, GMainContext *context, const VadmConnHandlers *handlers, gpointer user)
{
    VadmConn *conn = g_new0(VadmConn, 1);

    conn->refs = 1;
    conn->fd = fd;
    conn->is_unix = is_unix_socket(fd);
    conn->context = context ? g_main_context_ref(context) : NULL;
    conn->handlers = *handlers;
    conn->user = user;
    conn->framer = vadm_framer_new();
    g_queue_init(&conn->queue);
    return conn;
}

VadmConn *
vadm_conn_new(GIOStream *stream, GMainContext *context, const VadmConnHandlers *handlers,
              gpointer user)
{
    GSocket *socket = G_IS_SOCKET_CONNECTION(stream)
                          ? g_socket_connection_get_socket(G_SOCKET_CONNECTION(stream))
                          : NULL;
    VadmConn *conn =
        vadm_conn_new_socket(socket ? g_socket_get_fd(socket) : -1, context, handlers, user);

    conn->stream = g_object_ref(stream);
    conn->socket = socket;
    return conn;
}

VadmConn *
vadm_conn_ref(VadmConn *conn)
{
    conn->refs++;
    return conn;
}

/* Layers must not wait for the peer to take their last words; the one of TLS does not
 * (vadm_tls_accept()). In a thread it would be lost with a peer that does not read. */
static void
conn_close_stream(VadmConn *conn)
{
    if (conn->stream)
        g_io_stream_close(conn->stream, NULL, NULL);
    else
        close(conn->fd);
}

/* Stops reading and writing at once. */
static void
conn_stop(VadmConn *conn)
{
    vadm_conn_clear_source(&conn->readable);
    vadm_conn_clear_source(&conn->resume);
    vadm_conn_clear_source(&conn->hangup);
    vadm_conn_clear_source(&conn->writable);
    vadm_conn_clear_source(&conn->deadline);
}

static void
conn_shut(VadmConn *conn)
{
    conn_stop(conn);
    vadm_conn_clear_source(&conn->later);
    if (conn->state == CONN_CLOSED)
        return;
    conn->state = CONN_CLOSED;
    g_clear_pointer(&conn->framer, vadm_framer_free);
    g_clear_pointer(&conn->claim, vadm_budget_claim_free);
    if (conn->has_claimed)
        vadm_budget_forget(conn->budget, conn);
    g_clear_pointer(&conn->fds, vadm_conn_fds_free);
    vadm_conn_drop_queue(conn);
    conn_close_stream(conn);
}

static void
conn_free(VadmConn *conn)
{
    g_clear_error(&conn->end_error);
    g_clear_error(&conn->write_error);
    g_clear_object(&conn->stream);
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

void
vadm_conn_enter(VadmConn *conn)
{
    conn->busy++;
}

void
vadm_conn_leave(VadmConn *conn)
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
void
vadm_conn_end_later(VadmConn *conn)
{
    conn_stop(conn);
    if (conn->state == CONN_OPEN)
        conn->state = CONN_ENDING;
    if (!conn->later)
        conn->later = vadm_conn_attach_soon(conn, conn_on_later);
}

/* @error: (transfer full) */
void
vadm_conn_fail(VadmConn *conn, VadmConnEnd end, GError *error)
{
    conn->end = end;
    g_clear_error(&conn->end_error);
    conn->end_error = error;
    if (end == VADM_CONN_END_EOF && conn->write_error) {
        g_error_free(conn->end_error);
        conn->end_error = g_steal_pointer(&conn->write_error);
    }
    vadm_conn_end_later(conn);
}

gboolean
vadm_conn_is_hangup(const GError *error)
{
    return g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED) ||
           g_error_matches(error, G_TLS_ERROR, G_TLS_ERROR_EOF);
}

void
vadm_conn_fail_io(VadmConn *conn, GError *error)
{
    if (g_error_matches(error, VADM_ERROR, VADM_ERROR_RPC))
        vadm_conn_fail(conn, VADM_CONN_END_FRAME, error);
    else
        vadm_conn_fail(conn, vadm_conn_is_hangup(error) ? VADM_CONN_END_EOF : VADM_CONN_END_ERROR,
                       error);
}

static gboolean
conn_on_later(gpointer data)
{
    VadmConn *conn = data;

    vadm_conn_enter(conn);
    if (conn->flushing && conn->state != CONN_CLOSED)
        vadm_conn_discard_input(conn);
    conn_shut(conn);
    if (conn->flushing) {
        conn->flushing = FALSE;
        if (conn->flushed)
            conn->flushed(conn->flushed_user);
        vadm_conn_unref(conn);
    } else {
        conn->handlers.ended(conn, conn->end, conn->end_error, conn->user);
    }
    vadm_conn_leave(conn);
    return G_SOURCE_CONTINUE;
}

/* Layers */

void
vadm_conn_set_stream(VadmConn *conn, GIOStream *stream)
{
    if (conn->state != CONN_OPEN || conn->flushing)
        return;
    g_return_if_fail(conn->stream && !conn->below);
    if (conn->queued > 0) {
        conn->below = g_steal_pointer(&conn->stream);
        conn->below_queued = conn->queued;
    }
    g_clear_object(&conn->stream);
    conn->stream = g_object_ref(stream);
    conn->layered = conn->unread = TRUE;
    vadm_conn_clear_source(&conn->readable);
    if (vadm_framer_pending(conn->framer) > 0)
        vadm_conn_fail(
            conn, VADM_CONN_END_FRAME,
            g_error_new(G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                        "%zu octets came before the layer that they should have come through",
                        vadm_framer_pending(conn->framer)));
    else if (conn->reading)
        vadm_conn_wait_input(conn, FALSE);
}

GIOStream *
vadm_conn_get_stream(const VadmConn *conn)
{
    return conn->stream;
}

GSocket *
vadm_conn_get_socket(const VadmConn *conn)
{
    return conn->socket;
}

/* Closing by what is written */

static gboolean
conn_on_deadline(gpointer data)
{
    vadm_conn_end_later(data);
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
    vadm_conn_clear_source(&conn->readable);
    vadm_conn_clear_source(&conn->resume);
    vadm_conn_clear_source(&conn->hangup);
    vadm_conn_ref(conn);
    if (conn->state != CONN_OPEN || conn->queued == 0)
        vadm_conn_end_later(conn);
    else
        conn->deadline = vadm_conn_attach(conn, g_timeout_source_new(timeout_ms), conn_on_deadline);
}
