/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib-unix.h>

#include "rpc/conn-private.h"

static gboolean conn_on_writable(int fd, GIOCondition condition, gpointer data);
static gboolean conn_on_output(GObject *stream, gpointer data);

static GPollableOutputStream *
conn_output(const VadmConn *conn)
{
    GIOStream *stream = conn->below ? conn->below : conn->stream;

    return G_POLLABLE_OUTPUT_STREAM(g_io_stream_get_output_stream(stream));
}

static gssize
conn_transmit(VadmConn *conn, const guint8 *data, gsize length, GError **error)
{
    if (conn_is_plain(conn))
        return vadm_conn_fds_write(conn->fd, data, length, error);
    return g_pollable_output_stream_write_nonblocking(conn_output(conn), data, length, NULL, error);
}

static GSource *
conn_attach_output(VadmConn *conn)
{
    if (conn_is_plain(conn))
        return vadm_conn_attach(conn, g_unix_fd_source_new(conn->fd, G_IO_OUT),
                                G_SOURCE_FUNC(conn_on_writable));
    return vadm_conn_attach(conn, g_pollable_output_stream_create_source(conn_output(conn), NULL),
                            G_SOURCE_FUNC(conn_on_output));
}

void
vadm_conn_drop_queue(VadmConn *conn)
{
    g_queue_clear_full(&conn->queue, (GDestroyNotify)vadm_message_free);
    conn->queued = conn->offset = conn->below_queued = 0;
    g_clear_object(&conn->below);
}

/* Below the new layer all is written: the next source is the layer's. */
static void
conn_rise(VadmConn *conn)
{
    g_clear_object(&conn->below);
    vadm_conn_clear_source(&conn->writable);
}

/* Writes some of the first message. Returns: what it weighs, 0: @error */
static gsize
conn_write_some(VadmConn *conn, GError **error)
{
    const VadmMessage *first = g_queue_peek_head(&conn->queue);
    gboolean octets = conn->offset < first->length;
    gssize put =
        octets
            ? conn_transmit(conn, first->data + conn->offset, first->length - conn->offset, error)
            : vadm_conn_fds_send(
                  conn->fd, g_array_index(first->fds, int, conn->offset - first->length), error);

    if (put <= 0)
        return 0;
    conn->offset += (gsize)put;
    return octets ? (gsize)put : VADM_RPC_FD_WEIGHT;
}

static void
conn_wrote(VadmConn *conn, gsize weight)
{
    const VadmMessage *first = g_queue_peek_head(&conn->queue);

    conn->queued -= weight;
    if (conn->below) {
        conn->below_queued -= weight;
        if (conn->below_queued == 0)
            conn_rise(conn);
    }
    if (conn->offset < first->length + vadm_message_n_fds(first))
        return;
    vadm_message_free(g_queue_pop_head(&conn->queue));
    conn->offset = 0;
}

/* @error: (transfer full). The end can be read only behind all that the peer has sent. */
static void
conn_fail_write(VadmConn *conn, GError *error)
{
    if (!conn->reads_to_end || !conn->reading || !vadm_conn_is_hangup(error)) {
        vadm_conn_fail_io(conn, error);
        return;
    }
    conn->write_error = error;
    vadm_conn_drop_queue(conn);
    vadm_conn_clear_source(&conn->writable);
}

/* Returns: FALSE when nothing can be written any more */
static gboolean
conn_write_queue(VadmConn *conn)
{
    gsize written = 0;

    while (conn->queued > 0 && written < TURN_WRITE) {
        GError *error = NULL;
        gsize put = conn_write_some(conn, &error);

        if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK)) {
            g_error_free(error);
            return TRUE;
        }
        if (error) {
            conn_fail_write(conn, error);
            return FALSE;
        }
        conn_wrote(conn, put);
        written += put;
    }
    return TRUE;
}

static void
conn_write(VadmConn *conn)
{
    if (!conn_write_queue(conn))
        return;
    if (conn->queued == 0)
        vadm_conn_clear_source(&conn->writable);
    if (conn->queued == 0 || conn->writable)
        return;
    conn->writable = conn_attach_output(conn);
}

static void
conn_check_drained(VadmConn *conn)
{
    if (!conn->above || vadm_conn_queued(conn) > VADM_CONN_LOW_WATER)
        return;
    conn->above = FALSE;
    if (conn->handlers.drained)
        conn->handlers.drained(conn, conn->user);
}

static void
conn_turn_output(VadmConn *conn)
{
    vadm_conn_enter(conn);
    conn_write(conn);
    if (conn->state == CONN_OPEN && !conn->flushing)
        conn_check_drained(conn);
    else if (conn->state == CONN_OPEN && conn->queued == 0)
        vadm_conn_end_later(conn);
    vadm_conn_leave(conn);
}

static gboolean
conn_on_writable(int fd G_GNUC_UNUSED, GIOCondition condition G_GNUC_UNUSED, gpointer data)
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
    if (vadm_message_n_fds(message) > 0 && !conn_is_unix(conn)) {
        vadm_message_free(message);
        vadm_conn_fail(conn, VADM_CONN_END_ERROR,
                       g_error_new(VADM_ERROR, VADM_ERROR_NO_SUPPORT,
                                   "file descriptors can be sent through unix sockets only"));
        return;
    }
    g_queue_push_tail(&conn->queue, message);
    conn->queued += vadm_message_weight(message);
    if (!conn->writable)
        conn_write(conn);
    if (vadm_conn_queued(conn) > VADM_CONN_HIGH_WATER)
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
    return conn->queued + conn->queue.length * (gsize)VADM_MESSAGE_OVERHEAD;
}
