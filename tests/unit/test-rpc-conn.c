/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <errno.h>
#include <gio/gio.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop.h"
#include "rpc/conn.h"
#include "unit.h"

/* A connection on one end of a socket pair, in a context of its own; tests play the peer with
 * plain system calls on the other end. */
static GMainContext *context;
static VadmConn *conn;
static int peer;

static GArray *serials; /* of the messages that came */
static guint ends, drains, closes;
static VadmConnEnd last_end;
static int last_code;

/* What the handler of a message does when serial @act_on comes. */
typedef enum { ACT_NONE, ACT_CLOSE, ACT_UNREF, ACT_STOP, ACT_FLUSH, ACT_PAUSE } Act;
static Act act;
static guint32 act_on;

static void
on_closed(gpointer user)
{
    ck_assert_ptr_eq(user, &closes);
    closes++;
}

static void
on_message(VadmConn *from, VadmMessage *message, gpointer user)
{
    guint32 serial = message->header.serial;

    ck_assert_ptr_eq(user, &serials);
    ck_assert_ptr_eq(from, conn);
    g_array_append_val(serials, serial);
    vadm_message_free(message);
    if (act == ACT_NONE || serial != act_on)
        return;
    if (act == ACT_CLOSE)
        vadm_conn_close(conn);
    if (act == ACT_UNREF)
        g_clear_pointer(&conn, vadm_conn_unref);
    if (act == ACT_STOP)
        vadm_conn_set_reading(conn, FALSE);
    if (act == ACT_FLUSH)
        vadm_conn_close_flushed(conn, 1000, on_closed, &closes);
    if (act == ACT_PAUSE) {
        vadm_conn_set_reading(conn, FALSE);
        vadm_conn_set_reading(conn, TRUE);
    }
}

static void
on_ended(VadmConn *from, VadmConnEnd end, const GError *error, gpointer user)
{
    ck_assert_ptr_eq(user, &serials);
    ck_assert_ptr_eq(from, conn);
    ck_assert_ptr_nonnull(error);
    ends++;
    last_end = end;
    last_code = error->code;
}

static void
on_drained(VadmConn *from, gpointer user)
{
    ck_assert_ptr_eq(user, &serials);
    ck_assert_ptr_eq(from, conn);
    ck_assert_uint_le(vadm_conn_queued(conn), VADM_CONN_LOW_WATER);
    drains++;
}

static const VadmConnHandlers handlers = {on_message, on_ended, on_drained};

static void
setup(void)
{
    int fds[2];
    g_autoptr(GSocket) socket = NULL;
    g_autoptr(GSocketConnection) stream = NULL;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    socket = g_socket_new_from_fd(fds[0], NULL);
    stream = g_socket_connection_factory_create_connection(socket);
    peer = fds[1];
    context = g_main_context_new();
    conn = vadm_conn_new(G_IO_STREAM(stream), context, &handlers, &serials);
    serials = g_array_new(FALSE, FALSE, sizeof(guint32));
    ends = drains = closes = 0;
    act = ACT_NONE;
}

static void
teardown(void)
{
    vadm_conn_unref(conn);
    if (peer >= 0)
        close(peer);
    g_main_context_unref(context);
    g_array_unref(serials);
}

static void
close_peer(void)
{
    close(peer);
    peer = -1;
}

#define WAIT_FOR(condition) LOOP_WAIT_FOR(context, condition)

/* Runs what is ready: for what must not happen. */
static void
settle(void)
{
    loop_settle(context);
}

static VadmMessage *
new_message(guint32 serial, gsize length)
{
    guint8 *data = g_malloc0(length);
    guint32 words[2] = {GUINT32_TO_BE((guint32)length), GUINT32_TO_BE(serial)};

    memset(data + 4, (int)serial, length - 4);
    memcpy(data, &words[0], 4);
    memcpy(data + 20, &words[1], 4);
    return vadm_message_new_take(data, length);
}

static void
peer_write(gconstpointer data, gsize length)
{
    for (gsize done = 0; done < length;) {
        gssize n = write(peer, (const guint8 *)data + done, length - done);

        ck_assert(n > 0 || errno == EAGAIN);
        if (n > 0)
            done += (gsize)n;
        else
            g_main_context_iteration(context, FALSE);
    }
}

static void
peer_send(guint32 serial, gsize length)
{
    g_autoptr(VadmMessage) message = new_message(serial, length);

    peer_write(message->data, message->length);
}

/* Appends what the peer can read now. Returns: FALSE at the end of file */
static gboolean
peer_read(GByteArray *into)
{
    guint8 chunk[65536];
    gssize n = read(peer, chunk, sizeof chunk);

    if (n > 0)
        g_byte_array_append(into, chunk, (guint)n);
    return n != 0;
}

static void
assert_serials(guint32 first, guint count)
{
    ck_assert_uint_eq(serials->len, count);
    for (guint i = 0; i < count; i++)
        ck_assert_uint_eq(g_array_index(serials, guint32, i), first + i);
}

START_TEST(test_receive)
{
    g_autoptr(VadmMessage) message = new_message(7, 500);

    peer_send(5, 28);
    settle();
    ck_assert_uint_eq(serials->len, 0); /* reading has not begun */
    vadm_conn_set_reading(conn, TRUE);
    peer_send(6, 3000000);
    WAIT_FOR(serials->len == 2);
    for (gsize i = 0; i < message->length; i++) {
        peer_write(message->data + i, 1);
        settle();
        ck_assert_uint_eq(serials->len, i + 1 < message->length ? 2 : 3);
    }
    assert_serials(5, 3);
    ck_assert_uint_eq(vadm_conn_pending(conn), 0);
    ck_assert_uint_eq(ends, 0);
}
END_TEST

static gint ready; /* what the last poll of the main loop found */

static gint
count_ready(GPollFD *fds, guint n, gint timeout)
{
    ready = g_poll(fds, n, timeout);
    return ready;
}

/* GLib, left alone, wakes itself up around each call of ours: a turn of the loop for nothing, and
 * several times the system calls. */
START_TEST(test_no_turn_in_vain)
{
    g_main_context_set_poll_func(context, count_ready);
    vadm_conn_set_reading(conn, TRUE);
    settle();
    for (guint32 i = 1; i <= 3; i++) {
        peer_send(i, 28);
        WAIT_FOR(serials->len == i);
        g_main_context_iteration(context, FALSE);
        ck_assert_int_eq(ready, 0);
    }
}
END_TEST

/* One turn is bounded, and what is left over comes without new octets. */
START_TEST(test_fair)
{
    for (guint32 i = 0; i < 200; i++)
        peer_send(i, 28);
    vadm_conn_set_reading(conn, TRUE);
    while (serials->len == 0)
        g_main_context_iteration(context, FALSE);
    ck_assert_uint_le(serials->len, 64);
    WAIT_FOR(serials->len == 200);
    assert_serials(0, 200);
}
END_TEST

START_TEST(test_stop_in_handler)
{
    for (guint32 i = 0; i < 200; i++)
        peer_send(i, 28);
    act = ACT_STOP;
    act_on = 2;
    vadm_conn_set_reading(conn, TRUE);
    WAIT_FOR(serials->len == 3);
    settle();
    assert_serials(0, 3);
    ck_assert_uint_gt(vadm_conn_pending(conn), 0);
    vadm_conn_set_reading(conn, TRUE);
    ck_assert_uint_eq(serials->len, 3); /* from the loop only */
    WAIT_FOR(serials->len == 200);
    assert_serials(0, 200);
}
END_TEST

START_TEST(test_pause_in_handler)
{
    for (guint32 i = 0; i < 200; i++)
        peer_send(i, 28);
    act = ACT_PAUSE;
    act_on = 100;
    vadm_conn_set_reading(conn, TRUE);
    WAIT_FOR(serials->len == 200);
    settle();
    assert_serials(0, 200);
}
END_TEST

START_TEST(test_end_in_handler)
{
    static const Act acts[] = {ACT_CLOSE, ACT_UNREF, ACT_FLUSH};
    g_autoptr(GByteArray) got = g_byte_array_new();

    act = acts[_i];
    act_on = 1;
    for (guint32 i = 0; i < 5; i++)
        peer_send(i, 28);
    vadm_conn_set_reading(conn, TRUE);
    WAIT_FOR(serials->len == 2);
    WAIT_FOR(!peer_read(got) || errno == ECONNRESET);
    settle();
    assert_serials(0, 2);
    ck_assert_uint_eq(ends, 0);
    ck_assert_uint_eq(closes, acts[_i] == ACT_FLUSH ? 1 : 0);
}
END_TEST

START_TEST(test_eof)
{
    peer_send(0, 28);
    if (_i == 1)
        peer_write("\0\0\0\x1c in the middle", 15);
    close_peer();
    vadm_conn_set_reading(conn, TRUE);
    WAIT_FOR(ends > 0);
    settle();
    ck_assert_uint_eq(ends, 1);
    ck_assert_uint_eq(last_end, VADM_CONN_END_EOF);
    ck_assert_int_eq(last_code, G_IO_ERROR_CLOSED);
    ck_assert_uint_eq(serials->len, 1);
    vadm_conn_send(conn, new_message(1, 28)); /* no matter now */
    vadm_conn_set_reading(conn, FALSE);
    vadm_conn_set_reading(conn, TRUE);
    vadm_conn_close(conn);
    settle();
    ck_assert_uint_eq(ends, 1);
}
END_TEST

START_TEST(test_bad_frame)
{
    peer_send(0, 28);
    peer_write("\0\0\0\x1b", 4);
    vadm_conn_set_reading(conn, TRUE);
    WAIT_FOR(ends > 0);
    settle();
    ck_assert_uint_eq(ends, 1);
    ck_assert_uint_eq(last_end, VADM_CONN_END_FRAME);
    assert_serials(0, 1);
}
END_TEST

/* The end is told from the loop, not from within sending. */
START_TEST(test_broken_pipe)
{
    close_peer();
    vadm_conn_send(conn, new_message(0, 28));
    vadm_conn_send(conn, new_message(1, 28));
    ck_assert_uint_eq(ends, 0);
    WAIT_FOR(ends > 0);
    settle();
    ck_assert_uint_eq(ends, 1);
    ck_assert_uint_eq(last_end, VADM_CONN_END_EOF);
    ck_assert_uint_eq(vadm_conn_queued(conn), 0);
}
END_TEST

/* The replies of a peer that is gone are not lost by writing to it. */
START_TEST(test_read_to_end)
{
    if (_i == 1)
        vadm_conn_read_to_end(conn);
    for (guint32 i = 0; i < 100; i++)
        peer_send(i, 28);
    close_peer();
    vadm_conn_set_reading(conn, TRUE);
    vadm_conn_send(conn, new_message(0, 28));
    vadm_conn_send(conn, new_message(1, 4000000));
    if (_i == 1)
        ck_assert_uint_eq(vadm_conn_queued(conn), 0);
    WAIT_FOR(ends > 0);
    settle();
    ck_assert_uint_eq(ends, 1);
    ck_assert_uint_eq(last_end, VADM_CONN_END_EOF);
    ck_assert_int_eq(last_code, G_IO_ERROR_CONNECTION_CLOSED);
    ck_assert_uint_eq(serials->len, _i == 1 ? 100 : 0);
}
END_TEST

/* A reset that was found but not yet told is not told after closing. */
START_TEST(test_close_before_told)
{
    close_peer();
    vadm_conn_send(conn, new_message(0, 28));
    vadm_conn_close(conn);
    vadm_conn_close(conn);
    settle();
    ck_assert_uint_eq(ends, 0);
}
END_TEST

/* The peer dies while much is queued and nothing is read. */
START_TEST(test_break_while_queued)
{
    for (guint32 i = 0; i < 10; i++)
        vadm_conn_send(conn, new_message(i, 1000000));
    ck_assert_uint_gt(vadm_conn_queued(conn), VADM_CONN_HIGH_WATER);
    close_peer();
    WAIT_FOR(ends > 0);
    settle();
    ck_assert_uint_eq(ends, 1);
    ck_assert_uint_eq(drains, 0);
}
END_TEST

START_TEST(test_send)
{
    g_autoptr(GByteArray) expected = g_byte_array_new(), got = g_byte_array_new();
    static const gsize sizes[] = {28, 5000000, 29, 100000, 3000000, 28};

    for (guint32 i = 0; i < G_N_ELEMENTS(sizes); i++) {
        VadmMessage *message = new_message(i, sizes[i]);

        g_byte_array_append(expected, message->data, (guint)message->length);
        vadm_conn_send(conn, message);
    }
    ck_assert_uint_gt(vadm_conn_queued(conn), VADM_CONN_HIGH_WATER);
    while (got->len < expected->len) {
        ck_assert(peer_read(got));
        g_main_context_iteration(context, FALSE);
    }
    settle();
    ck_assert_uint_eq(got->len, expected->len);
    ck_assert_mem_eq(got->data, expected->data, got->len);
    ck_assert_uint_eq(vadm_conn_queued(conn), 0);
    ck_assert_uint_eq(drains, 1);
    ck_assert_uint_eq(ends, 0);
    /* What the socket takes at once neither waits nor drains. */
    vadm_conn_send(conn, new_message(9, 28));
    ck_assert_uint_eq(vadm_conn_queued(conn), 0);
    settle();
    ck_assert_uint_eq(drains, 1);
}
END_TEST

START_TEST(test_flush)
{
    g_autoptr(GByteArray) got = g_byte_array_new();

    vadm_conn_set_reading(conn, TRUE);
    vadm_conn_send(conn, new_message(0, 4000000));
    vadm_conn_close_flushed(conn, 10000, on_closed, &closes);
    vadm_conn_close_flushed(conn, 1, on_closed, &closes);
    vadm_conn_send(conn, new_message(1, 28)); /* too late */
    peer_send(3, 28);
    g_clear_pointer(&conn, vadm_conn_unref); /* it goes on by itself */
    while (peer_read(got))
        g_main_context_iteration(context, FALSE);
    WAIT_FOR(closes > 0);
    settle();
    ck_assert_uint_eq(got->len, 4000000);
    ck_assert_uint_eq(closes, 1);
    ck_assert_uint_eq(serials->len, 0);
    ck_assert_uint_eq(ends + drains, 0);
}
END_TEST

/* With nothing queued; to a peer that is gone; to one that does not read; after the end. */
START_TEST(test_flush_anyway)
{
    if (_i == 1)
        close_peer();
    if (_i == 1 || _i == 2)
        vadm_conn_send(conn, new_message(0, 4000000));
    if (_i == 3)
        vadm_conn_close(conn);
    vadm_conn_close_flushed(conn, 100, on_closed, &closes);
    ck_assert_uint_eq(closes, 0); /* from the loop only */
    WAIT_FOR(closes > 0);
    settle();
    ck_assert_uint_eq(closes, 1);
    ck_assert_uint_eq(ends, 0);
}
END_TEST

START_TEST(test_close_while_flushing)
{
    vadm_conn_send(conn, new_message(0, 4000000));
    vadm_conn_close_flushed(conn, 50, on_closed, &closes);
    vadm_conn_close(conn);
    poll(NULL, 0, 60); /* beyond the limit: it must not fire any more */
    settle();
    ck_assert_uint_eq(closes, 0);
}
END_TEST

/* The reply to the last call is followed by the end of file, not by a reset, although the peer
 * sent more than was read. */
START_TEST(test_flush_over_input)
{
    g_autoptr(GByteArray) got = g_byte_array_new();
    guint8 octet;

    peer_send(0, 100000);
    vadm_conn_send(conn, new_message(1, 28));
    vadm_conn_close_flushed(conn, 1000, on_closed, &closes);
    WAIT_FOR(closes > 0);
    ck_assert(peer_read(got));
    ck_assert_uint_eq(got->len, 28);
    ck_assert_int_eq(read(peer, &octet, 1), 0);
}
END_TEST

START_TEST(test_silent)
{
    ck_assert(!vadm_conn_is_silent(conn)); /* nobody listens */
    vadm_conn_set_reading(conn, TRUE);
    ck_assert(vadm_conn_is_silent(conn));
    peer_send(0, 28);
    ck_assert(!vadm_conn_is_silent(conn));
    WAIT_FOR(serials->len == 1);
    ck_assert(vadm_conn_is_silent(conn));
    vadm_conn_set_reading(conn, FALSE);
    ck_assert(!vadm_conn_is_silent(conn));
    vadm_conn_send(conn, new_message(0, 4000000));
    ck_assert(vadm_conn_is_silent(conn)); /* it does not read */
    vadm_conn_close(conn);
    ck_assert(!vadm_conn_is_silent(conn));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("rpc-conn");
    TCase *tc = tcase_create("conn");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_receive);
    tcase_add_test(tc, test_no_turn_in_vain);
    tcase_add_test(tc, test_fair);
    tcase_add_test(tc, test_stop_in_handler);
    tcase_add_test(tc, test_pause_in_handler);
    tcase_add_loop_test(tc, test_end_in_handler, 0, 3);
    tcase_add_loop_test(tc, test_eof, 0, 2);
    tcase_add_test(tc, test_bad_frame);
    tcase_add_test(tc, test_broken_pipe);
    tcase_add_loop_test(tc, test_read_to_end, 0, 2);
    tcase_add_test(tc, test_close_before_told);
    tcase_add_test(tc, test_break_while_queued);
    tcase_add_test(tc, test_send);
    tcase_add_test(tc, test_flush);
    tcase_add_loop_test(tc, test_flush_anyway, 0, 4);
    tcase_add_test(tc, test_close_while_flushing);
    tcase_add_test(tc, test_flush_over_input);
    tcase_add_test(tc, test_silent);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
