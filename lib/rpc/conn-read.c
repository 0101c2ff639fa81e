/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib-unix.h>
#include <poll.h>

#include "rpc/conn-private.h"

static gboolean conn_on_readable(int fd, GIOCondition condition, gpointer data);
static gboolean conn_on_input(GObject *stream, gpointer data);
static gboolean conn_on_resume(gpointer data);
static void conn_watch_hangup(VadmConn *conn);

static GPollableInputStream *
conn_input(const VadmConn *conn)
{
    return G_POLLABLE_INPUT_STREAM(g_io_stream_get_input_stream(conn->stream));
}

static gssize
conn_receive(VadmConn *conn, guint8 *space, gsize room, GError **error)
{
    if (!conn_is_plain(conn))
        return g_pollable_input_stream_read_nonblocking(conn_input(conn), space, room, NULL, error);
    return vadm_conn_fds_receive(
        conn->fds, conn->fd, space, room,
        vadm_framer_taken(conn->framer) + vadm_framer_pending(conn->framer), error);
}

/* A socket closed over unread octets is reset, and TCP then takes back what the peer has not
 * read of our last words. */
void
vadm_conn_discard_input(VadmConn *conn)
{
    guint8 waste[4096];

    for (gsize left = TURN_READ; left >= sizeof waste; left -= sizeof waste) {
        if (conn_receive(conn, waste, sizeof waste, NULL) <= 0)
            return;
    }
}

/* A socket has a source of its own, without the child that a pollable stream's has. It tells of an
 * error, too, which reading finds. */
static GSource *
conn_attach_input(VadmConn *conn)
{
    if (conn_is_plain(conn))
        return vadm_conn_attach(conn, g_unix_fd_source_new(conn->fd, G_IO_IN),
                                G_SOURCE_FUNC(conn_on_readable));
    return vadm_conn_attach(conn, g_pollable_input_stream_create_source(conn_input(conn), NULL),
                            G_SOURCE_FUNC(conn_on_input));
}

static gboolean
conn_is_listening(const VadmConn *conn)
{
    return conn->state == CONN_OPEN && conn->reading;
}

/* Whatever is whole stands without the descriptors that do not belong to it; what is not yet
 * whole has one with each octet behind its end. */
static gboolean
conn_check_fds(VadmConn *conn, VadmMessage *message, gsize trailer, GError **error)
{
    guint64 taken = vadm_framer_taken(conn->framer);

    if (!conn->fds)
        return TRUE;
    if (!message)
        return vadm_conn_fds_check(conn->fds, taken + vadm_framer_pending(conn->framer),
                                   vadm_framer_trailer(conn->framer), error);
    if (!vadm_conn_fds_check(conn->fds, taken, trailer, error))
        return FALSE;
    vadm_conn_fds_claim(conn->fds, trailer, message);
    return TRUE;
}

/* Returns: (transfer full) (nullable): the next whole message, with its descriptors */
static VadmMessage *
conn_next(VadmConn *conn, GError **error)
{
    guint64 before = vadm_framer_taken(conn->framer);
    g_autoptr(GError) bad = NULL;
    g_autoptr(VadmMessage) message = vadm_framer_next(conn->framer, &bad);
    guint64 taken = vadm_framer_taken(conn->framer) - before;

    if (bad || !conn_check_fds(conn, message, message ? taken - message->length : 0, &bad)) {
        g_propagate_error(error, g_steal_pointer(&bad));
        return NULL;
    }
    return g_steal_pointer(&message);
}

/* Returns: TRUE when all that was framed is delivered, and more is wanted */
static gboolean
conn_deliver(VadmConn *conn, guint *budget)
{
    while (conn_is_listening(conn) && *budget > 0) {
        GError *error = NULL;
        VadmMessage *message = conn_next(conn, &error);

        if (error)
            vadm_conn_fail(conn, VADM_CONN_END_FRAME, error);
        if (!message)
            return !error;
        --*budget;
        message->claim = g_steal_pointer(&conn->claim);
        conn->handlers.message(conn, message, conn->user);
    }
    return FALSE;
}

static void
conn_on_granted(gpointer data)
{
    VadmConn *conn = data;

    if (!conn_is_listening(conn))
        return;
    vadm_conn_clear_source(&conn->hangup);
    vadm_conn_wait_input(conn, TRUE);
}

static void
conn_on_expired(gpointer data)
{
    VadmConn *conn = data;

    if (conn->state == CONN_OPEN)
        vadm_conn_fail(
            conn, VADM_CONN_END_ERROR,
            g_error_new(G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                        "its message has taken memory for too long while others wait for it"));
}

/* Is it the memory that it waits for? */
static gboolean
conn_starves(const VadmConn *conn)
{
    return conn->claim && !vadm_budget_claim_is_granted(conn->claim);
}

/* May more be read of the message that is not whole yet? */
static gboolean
conn_may_read(VadmConn *conn)
{
    static const VadmBudgetHandlers handlers = {conn_on_granted, conn_on_expired};
    gsize length;

    if (!conn->budget || vadm_framer_pending(conn->framer) < VADM_BUDGET_FREE)
        return TRUE;
    length = vadm_framer_length(conn->framer);
    if (!conn->claim && length > VADM_BUDGET_FREE) {
        conn->claim = vadm_budget_claim(conn->budget, length, &handlers, conn);
        conn->has_claimed = TRUE;
    }
    return !conn_starves(conn);
}

static void
conn_fail_eof(VadmConn *conn, const char *where)
{
    vadm_conn_fail(
        conn, VADM_CONN_END_EOF,
        g_error_new(G_IO_ERROR, G_IO_ERROR_CLOSED, "the peer closed the connection%s", where));
}

/* Reads once. Returns: TRUE when something came; @left: 0 when it seems to be all; a descriptor
 * ends what the kernel gives at once. */
static gboolean
conn_read(VadmConn *conn, gsize *left)
{
    GError *error = NULL;
    gsize room;
    guint8 *space = vadm_framer_space(conn->framer, MIN(*left, READ_AT_ONCE), &room);
    gssize got = conn_receive(conn, space, room, &error);
    gboolean all = got < (gssize)room && vadm_conn_fds_waiting(conn->fds) == 0;

    vadm_framer_filled(conn->framer, got > 0 ? (gsize)got : 0);
    conn->unread = conn->layered && got > 0;
    if (got > 0) {
        if (!conn->layered && all)
            *left = 0;
        else
            *left -= (gsize)got;
        return TRUE;
    }
    if (got == 0)
        conn_fail_eof(conn, vadm_framer_pending(conn->framer) > 0 ? " within a message" : "");
    else if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
        g_error_free(error);
    else if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA))
        vadm_conn_fail(conn, VADM_CONN_END_FRAME, error);
    else
        vadm_conn_fail_io(conn, error);
    return FALSE;
}

/* A layer's source is made only while the layer is empty: GLib's are, for some streams, ready for
 * ever where they were made over octets that could be read at once. */
void
vadm_conn_wait_input(VadmConn *conn, gboolean more)
{
    if (conn_starves(conn)) {
        vadm_conn_clear_source(&conn->readable);
        if (!conn->hangup)
            conn_watch_hangup(conn);
        return;
    }
    if ((more || conn->unread) && !conn->resume)
        conn->resume = vadm_conn_attach_soon(conn, conn_on_resume);
    if (!conn->readable && !conn->unread)
        conn->readable = conn_attach_input(conn);
}

static void
conn_turn(VadmConn *conn)
{
    guint budget = TURN_MESSAGES;
    gsize left = TURN_READ;

    vadm_conn_enter(conn);
    vadm_conn_clear_source(&conn->resume);
    while (conn_deliver(conn, &budget) && left > 0 && conn_may_read(conn) &&
           conn_read(conn, &left)) {
    }
    if (conn_is_listening(conn))
        vadm_conn_wait_input(conn, budget == 0);
    vadm_conn_leave(conn);
}

static gboolean
conn_on_readable(int fd G_GNUC_UNUSED, GIOCondition condition G_GNUC_UNUSED, gpointer data)
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
conn_on_hangup(int fd G_GNUC_UNUSED, GIOCondition condition G_GNUC_UNUSED, gpointer data)
{
    conn_fail_eof(data, " while it was not read");
    return G_SOURCE_CONTINUE;
}

/* The end of a peer can be read only behind all that it has sent. */
static void
conn_watch_hangup(VadmConn *conn)
{
    if (conn->notices_hangup && conn->fd >= 0)
        conn->hangup = vadm_conn_attach(conn, g_unix_fd_source_new(conn->fd, G_IO_HUP),
                                        G_SOURCE_FUNC(conn_on_hangup));
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
    vadm_conn_clear_source(&conn->hangup);
    if (!reading) {
        vadm_conn_clear_source(&conn->readable);
        vadm_conn_clear_source(&conn->resume);
        conn_watch_hangup(conn);
        return;
    }
    vadm_conn_wait_input(conn, vadm_framer_pending(conn->framer) > 0);
}

void
vadm_conn_accept_descriptors(VadmConn *conn, guint spare)
{
    if (conn->state != CONN_OPEN || conn->fds || !conn_is_unix(conn))
        return;
    conn->fds = vadm_conn_fds_new(spare);
    vadm_framer_set_trailers(conn->framer);
}

gsize
vadm_conn_pending(const VadmConn *conn)
{
    return conn->framer ? vadm_framer_pending(conn->framer) : 0;
}

gboolean
vadm_conn_is_silent(const VadmConn *conn)
{
    struct pollfd input = {.fd = conn->fd, .events = POLLIN};

    if (conn->state != CONN_OPEN)
        return FALSE;
    if (!conn->reading || conn_starves(conn))
        return conn->queued > 0;
    if (conn_is_plain(conn))
        return poll(&input, 1, 0) == 0;
    return !conn->unread && !g_pollable_input_stream_is_readable(conn_input(conn));
}

void
vadm_conn_set_message_max(VadmConn *conn, guint32 length)
{
    if (conn->framer)
        vadm_framer_set_max(conn->framer, length);
}

void
vadm_conn_set_budget(VadmConn *conn, VadmBudget *budget)
{
    conn->budget = budget;
}
