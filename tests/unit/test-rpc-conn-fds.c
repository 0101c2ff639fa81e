/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Descriptors that go along with messages: a connection at one end of a socket pair; at the other
 * end there is another one, or the test itself, which sends what no daemon would. Each descriptor
 * is the writing end of a pipe: whoever has it can be told by what comes out, and that nobody has
 * it any more by the end of file.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop.h"
#include "rpc/conn.h"
#include "unit.h"

#define PIPES 64u

static VadmConn *conn;
static int peer;
static GPtrArray *received; /* of VadmMessage */
static guint ends;
static VadmConnEnd last_end;
static char *last_text;

static int outlets[PIPES]; /* what each pipe is read from */
static int inlets[PIPES];  /* -1: given away */

static void
on_message(VadmConn *from G_GNUC_UNUSED, VadmMessage *message, gpointer user G_GNUC_UNUSED)
{
    g_ptr_array_add(received, message);
}

static void
on_ended(VadmConn *from G_GNUC_UNUSED, VadmConnEnd end, const GError *error,
         gpointer user G_GNUC_UNUSED)
{
    ends++;
    last_end = end;
    last_text = g_strdup(error->message);
}

static const VadmConnHandlers handlers = {.message = on_message, .ended = on_ended};

static VadmConn *
new_conn(int fd)
{
    g_autoptr(GSocket) socket = g_socket_new_from_fd(fd, NULL);
    g_autoptr(GSocketConnection) stream = g_socket_connection_factory_create_connection(socket);

    return vadm_conn_new(G_IO_STREAM(stream), NULL, &handlers, NULL);
}

static void
free_message(gpointer message)
{
    vadm_message_free(message);
}

static void
setup(void)
{
    int fds[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    conn = new_conn(fds[0]);
    peer = fds[1];
    received = g_ptr_array_new_with_free_func(free_message);
    ends = 0;
    last_text = NULL;
    for (guint i = 0; i < PIPES; i++) {
        ck_assert_int_eq(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
        outlets[i] = fds[0];
        inlets[i] = fds[1];
    }
}

static void
teardown(void)
{
    vadm_conn_unref(conn);
    if (peer >= 0)
        close(peer);
    for (guint i = 0; i < PIPES; i++) {
        close(outlets[i]);
        if (inlets[i] >= 0)
            close(inlets[i]);
    }
    g_ptr_array_unref(received);
    g_free(last_text);
}

#define WAIT_FOR(condition) LOOP_WAIT_FOR(NULL, condition)

static void
settle(void)
{
    loop_settle(NULL);
}

static int
give(guint pipe)
{
    int fd = inlets[pipe];

    ck_assert_int_ge(fd, 0);
    inlets[pipe] = -1;
    return fd;
}

/* Nobody has the writing end any more. */
static gboolean
is_closed(guint pipe)
{
    char octet;

    return read(outlets[pipe], &octet, 1) == 0;
}

static void
assert_leads_to(int fd, guint pipe)
{
    char octet = 0;

    ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    ck_assert_int_eq(write(fd, "!", 1), 1);
    ck_assert_int_eq(read(outlets[pipe], &octet, 1), 1);
    ck_assert_int_eq(octet, '!');
}

static void
put_word(guint8 *data, gsize offset, guint32 value)
{
    value = GUINT32_TO_BE(value);
    memcpy(data + offset, &value, sizeof value);
}

static VadmMessage *
new_message(VadmRpcType type, guint32 serial, guint32 promised, gsize length)
{
    guint8 *data = g_malloc0(length);

    put_word(data, 0, (guint32)length);
    put_word(data, 16, type);
    put_word(data, 20, serial);
    if (length >= 32)
        put_word(data, 28, promised);
    return vadm_message_new_take(data, length);
}

/* The peer sends @length octets, and with them pipes @first to @first + @n. */
static void
peer_send(gconstpointer data, gsize length, guint first, guint n)
{
    struct iovec part = {(gpointer)(guintptr)data, length};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(40 * sizeof(int))];
    } control = {.space = {0}};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(n * sizeof(int));
    for (guint i = 0; i < n; i++)
        memcpy(CMSG_DATA(&control.header) + i * sizeof(int), &inlets[first + i], sizeof(int));
    if (n > 0) {
        header.msg_control = &control;
        header.msg_controllen = CMSG_LEN(n * sizeof(int));
    }
    /* it may have hung up by now */
    if (sendmsg(peer, &header, MSG_NOSIGNAL) < 0)
        ck_assert_int_eq(errno, EPIPE);
    for (guint i = 0; i < n; i++)
        close(give(first + i));
}

static void
peer_send_message(VadmRpcType type, guint32 serial, guint32 promised, gsize length, guint first,
                  guint n)
{
    g_autoptr(VadmMessage) message = new_message(type, serial, promised, length);

    peer_send(message->data, message->length, first, n);
}

static const VadmMessage *
message_at(guint index)
{
    WAIT_FOR(received->len > index);
    return g_ptr_array_index(received, index);
}

static void
assert_message(guint index, guint32 serial, guint first, guint n)
{
    const VadmMessage *message = message_at(index);

    ck_assert_uint_eq(message->header.serial, serial);
    ck_assert_uint_eq(vadm_message_n_fds(message), n);
    for (guint i = 0; i < n; i++)
        assert_leads_to(g_array_index(message->fds, int, i), first + i);
}

static void
accept_and_read(void)
{
    vadm_conn_accept_descriptors(conn, 0);
    vadm_conn_set_reading(conn, TRUE);
}

/* From connection to connection */

static void
send_with_pipes(VadmConn *from, guint32 serial, gsize length, guint first, guint n)
{
    VadmMessage *message = new_message(VADM_RPC_CALL_WITH_FDS, serial, n, length);

    message->fds = g_array_new(FALSE, FALSE, sizeof(int));
    for (guint i = 0; i < n; i++) {
        int fd = give(first + i);
        g_array_append_val(message->fds, fd);
    }
    vadm_conn_send(from, message);
}

static const gsize lengths[] = {32, 36, 4096, 65536, 300000};

START_TEST(test_both_ways)
{
    VadmConn *other = new_conn(peer);
    gsize length = lengths[_i];

    peer = -1;
    accept_and_read();
    send_with_pipes(other, 1, length, 0, 1);
    vadm_conn_send(other, new_message(VADM_RPC_CALL, 2, 0, 28));
    send_with_pipes(other, 3, length, 1, VADM_RPC_FDS_MAX);
    send_with_pipes(other, 4, length, 33, 0);
    send_with_pipes(other, 5, length, 33, 3);
    vadm_conn_send(other, new_message(VADM_RPC_REPLY, 6, 0, 1000));
    assert_message(5, 6, 0, 0);
    assert_message(0, 1, 0, 1);
    assert_message(1, 2, 0, 0);
    assert_message(2, 3, 1, VADM_RPC_FDS_MAX);
    assert_message(3, 4, 0, 0);
    assert_message(4, 5, 33, 3);
    ck_assert_uint_eq(message_at(2)->length, length);
    ck_assert_uint_eq(vadm_conn_queued(other), 0);
    ck_assert_uint_eq(vadm_conn_pending(conn), 0);
    ck_assert(!is_closed(1));
    g_ptr_array_set_size(received, 0);
    for (guint i = 0; i < 36; i++)
        ck_assert_msg(is_closed(i), "descriptor %u has outlived its message", i);
    vadm_conn_unref(other);
}
END_TEST

/* The kernel takes a few descriptors at a time: the rest follows, in order, when there is room;
 * meanwhile they weigh more than their octets. */
START_TEST(test_not_at_once)
{
    int small = 1; /* the kernel makes its least of it */
    VadmConn *other;
    guint turns = 0;

    ck_assert_int_eq(setsockopt(peer, SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    other = new_conn(peer);
    peer = -1;
    vadm_conn_accept_descriptors(conn, 0);
    for (guint i = 0; i < 2; i++)
        send_with_pipes(other, i, 40, i * VADM_RPC_FDS_MAX, VADM_RPC_FDS_MAX);
    settle();
    ck_assert_uint_gt(vadm_conn_queued(other), VADM_CONN_HIGH_WATER);
    vadm_conn_set_reading(conn, TRUE);
    while (received->len < 2 && turns++ < 100000)
        g_main_context_iteration(NULL, FALSE);
    for (guint i = 0; i < 2; i++)
        assert_message(i, i, i * VADM_RPC_FDS_MAX, VADM_RPC_FDS_MAX);
    ck_assert_uint_eq(vadm_conn_queued(other), 0);
    vadm_conn_unref(other);
}
END_TEST

/* What was not sent is closed with the connection. */
START_TEST(test_queue_dropped)
{
    send_with_pipes(conn, 1, 4000000, 0, 2);
    settle();
    ck_assert(!is_closed(0));
    vadm_conn_close(conn);
    ck_assert(is_closed(0) && is_closed(1));
}
END_TEST

START_TEST(test_peer_gone)
{
    vadm_conn_set_reading(conn, TRUE);
    close(peer);
    peer = -1;
    send_with_pipes(conn, 1, 40, 0, 2);
    WAIT_FOR(ends == 1);
    ck_assert_int_eq(last_end, VADM_CONN_END_EOF);
    ck_assert(is_closed(0) && is_closed(1));
}
END_TEST

/* TCP takes none; the connection ends, and the descriptor with it. */
START_TEST(test_no_unix_socket)
{
    g_autoptr(GInetAddress) loopback = g_inet_address_new_loopback(G_SOCKET_FAMILY_IPV4);
    g_autoptr(GSocketAddress) any = g_inet_socket_address_new(loopback, 0);
    g_autoptr(GSocketListener) listener = g_socket_listener_new();
    g_autoptr(GSocketAddress) address = NULL;
    g_autoptr(GSocketClient) client = g_socket_client_new();
    g_autoptr(GSocketConnection) stream = NULL;

    ck_assert(g_socket_listener_add_address(listener, any, G_SOCKET_TYPE_STREAM,
                                            G_SOCKET_PROTOCOL_TCP, NULL, &address, NULL));
    stream = g_socket_client_connect(client, G_SOCKET_CONNECTABLE(address), NULL, NULL);
    ck_assert_ptr_nonnull(stream);
    vadm_conn_unref(conn);
    conn = vadm_conn_new(G_IO_STREAM(stream), NULL, &handlers, NULL);
    vadm_conn_accept_descriptors(conn, 0); /* ignored */
    vadm_conn_set_reading(conn, TRUE);
    send_with_pipes(conn, 1, 40, 0, 1);
    ck_assert(is_closed(0));
    WAIT_FOR(ends == 1);
    ck_assert_int_eq(last_end, VADM_CONN_END_ERROR);
}
END_TEST

/* As a daemon may send it, but cut in other ways */

START_TEST(test_cut)
{
    g_autoptr(VadmMessage) message = new_message(VADM_RPC_CALL_WITH_FDS, 7, 2, 36);

    accept_and_read();
    for (gsize i = 0; i < message->length; i++) {
        peer_send(message->data + i, 1, 0, 0);
        settle();
    }
    peer_send("", 1, 0, 1);
    settle();
    ck_assert_uint_eq(received->len, 0);
    ck_assert_uint_eq(ends, 0);
    ck_assert(!is_closed(0));
    peer_send("", 1, 1, 1);
    assert_message(0, 7, 0, 2);
}
END_TEST

/* All is there at once; and while reading is stopped nothing is taken from the kernel. */
START_TEST(test_all_at_once)
{
    vadm_conn_accept_descriptors(conn, 0);
    peer_send_message(VADM_RPC_CALL, 1, 0, 28, 0, 0);
    peer_send_message(VADM_RPC_CALL_WITH_FDS, 2, 2, 40, 0, 0);
    peer_send("", 1, 0, 1);
    peer_send("", 1, 1, 1);
    peer_send_message(VADM_RPC_CALL_WITH_FDS, 3, 1, 40, 0, 0);
    peer_send("", 1, 2, 1);
    peer_send_message(VADM_RPC_CALL_WITH_FDS, 4, 0, 40, 0, 0);
    peer_send_message(VADM_RPC_STREAM, 5, 9, 40, 0, 0);
    settle();
    ck_assert_uint_eq(received->len, 0);
    vadm_conn_set_reading(conn, TRUE);
    assert_message(4, 5, 0, 0);
    assert_message(1, 2, 0, 2);
    assert_message(2, 3, 2, 1);
    assert_message(3, 4, 0, 0);
    ck_assert_uint_eq(ends, 0);
}
END_TEST

/* A message that is too short to say how many it has has none. */
START_TEST(test_short)
{
    accept_and_read();
    peer_send_message(VADM_RPC_REPLY_WITH_FDS, 1, 0, 30, 0, 0);
    peer_send_message(VADM_RPC_CALL, 2, 0, 30, 0, 0);
    assert_message(0, 1, 0, 0);
    assert_message(1, 2, 0, 0);
}
END_TEST

START_TEST(test_closed_while_waiting)
{
    accept_and_read();
    peer_send_message(VADM_RPC_CALL_WITH_FDS, 1, 3, 40, 0, 0);
    peer_send("", 1, 0, 1);
    peer_send("", 1, 1, 1);
    settle();
    ck_assert(!is_closed(0) && !is_closed(1));
    if (_i == 0) {
        vadm_conn_close(conn);
    } else {
        close(peer);
        peer = -1;
        WAIT_FOR(ends == 1);
        ck_assert_int_eq(last_end, VADM_CONN_END_EOF);
        ck_assert_ptr_nonnull(strstr(last_text, "within a message"));
    }
    ck_assert(is_closed(0) && is_closed(1));
}
END_TEST

/* As no daemon may send it */

typedef struct {
    const char *what;
    VadmRpcType type;
    guint32 promised;
    guint with_message; /* descriptors that go along with the message itself */
    int with_octet[4];  /* and with the octets behind it; -1: no more octets */
    guint delivered;
    const char *text;
} Hostile;

#define CALL      VADM_RPC_CALL
#define WITH_FDS  VADM_RPC_CALL_WITH_FDS
#define NO_OWNER  "belongs to no message"
#define TOO_MANY  "at most 32"
#define MORE_THAN "more than one file descriptor"

static const Hostile hostile[] = {
    {"with a message that has none", CALL, 0, 1, {-1}, 0, NO_OWNER},
    {"behind a message that has none", CALL, 0, 0, {1, -1}, 1, NO_OWNER},
    {"with the message instead of behind it", WITH_FDS, 1, 1, {-1}, 0, NO_OWNER},
    {"with the message and behind it", WITH_FDS, 1, 1, {1, -1}, 0, NO_OWNER},
    {"none with the octet", WITH_FDS, 1, 0, {0, -1}, 0, "descriptor 1 of a message is missing"},
    {"none with the second octet", WITH_FDS, 2, 0, {1, 0, -1}, 0, "descriptor 2 of a message"},
    {"none with the first octet", WITH_FDS, 2, 0, {0, 1, -1}, 0, "descriptor 1 of a message"},
    {"one more than promised", WITH_FDS, 1, 0, {1, 1, -1}, 1, NO_OWNER},
    {"where none are promised", WITH_FDS, 0, 0, {1, -1}, 1, NO_OWNER},
    {"two with one octet", WITH_FDS, 2, 0, {2, -1}, 0, MORE_THAN},
    {"forty with one octet", WITH_FDS, 1, 0, {40, -1}, 0, MORE_THAN},
    {"two with the message", CALL, 0, 2, {-1}, 0, MORE_THAN},
    {"33 promised", WITH_FDS, 33, 0, {1, -1}, 0, TOO_MANY},
    {"4294967295 promised", WITH_FDS, G_MAXUINT32, 0, {-1}, 0, TOO_MANY},
};

static void
play(const Hostile *play, gboolean bit_by_bit)
{
    guint pipe = 0;

    peer_send_message(play->type, 9, play->promised, 40, pipe, play->with_message);
    pipe += play->with_message;
    if (bit_by_bit)
        settle();
    for (guint i = 0; play->with_octet[i] >= 0; i++) {
        peer_send("", 1, pipe, (guint)play->with_octet[i]);
        pipe += (guint)play->with_octet[i];
        if (bit_by_bit)
            settle();
    }
}

/* Whether it has all come when it is looked at, or comes bit by bit. */
START_TEST(test_hostile)
{
    const Hostile *how = &hostile[_i / 2];

    if (_i % 2)
        accept_and_read();
    play(how, _i % 2);
    if (_i % 2 == 0)
        accept_and_read();
    WAIT_FOR(ends == 1);
    ck_assert_msg(last_end == VADM_CONN_END_FRAME, "%s: %s", how->what, last_text);
    ck_assert_msg(strstr(last_text, how->text) != NULL, "%s: %s", how->what, last_text);
    ck_assert_uint_eq(received->len, how->delivered);
    g_ptr_array_set_size(received, 0);
    for (guint i = 0; i < PIPES; i++)
        ck_assert_msg(inlets[i] >= 0 || is_closed(i), "%s: descriptor %u is kept", how->what, i);
}
END_TEST

/* One octet at a time, with a descriptor each: ends at the first. */
START_TEST(test_hostile_drip)
{
    accept_and_read();
    peer_send("\0\0\0\34", 2, 0, 1);
    WAIT_FOR(ends == 1);
    ck_assert_int_eq(last_end, VADM_CONN_END_FRAME);
    ck_assert(is_closed(0));
}
END_TEST

/* By default none may come: the kernel closes them, and the connection ends. */
START_TEST(test_not_accepted)
{
    vadm_conn_set_reading(conn, TRUE);
    peer_send_message(_i == 0 ? CALL : WITH_FDS, 1, 1, 40, 0, _i == 0 ? 1 : 0);
    if (_i == 1)
        peer_send("", 1, 0, 1);
    WAIT_FOR(ends == 1);
    ck_assert_int_eq(last_end, VADM_CONN_END_FRAME);
    ck_assert_ptr_nonnull(strstr(last_text, "none is accepted"));
    ck_assert(is_closed(0));
}
END_TEST

/* This process has none left: the kernel gives none, and says so. What came before is closed. */
START_TEST(test_none_left)
{
    struct rlimit before, none;

    accept_and_read();
    peer_send_message(WITH_FDS, 1, 2, 40, 0, 0);
    peer_send("", 1, 0, 1);
    settle();
    ck_assert(!is_closed(0));
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3;
    peer_send("", 1, 1, 1);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    settle();
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    WAIT_FOR(ends == 1);
    ck_assert_int_eq(last_end, VADM_CONN_END_ERROR);
    ck_assert_ptr_nonnull(strstr(last_text, "none left"));
    ck_assert_uint_eq(received->len, 0);
    ck_assert(is_closed(0) && is_closed(1));
}
END_TEST

/* Some are left by the limit, but those are kept for others. */
START_TEST(test_spare_kept)
{
    enum { SPARE = 8 };
    struct rlimit before, low;
    int hole, next;

    vadm_conn_accept_descriptors(conn, SPARE);
    vadm_conn_set_reading(conn, TRUE);
    peer_send_message(WITH_FDS, 1, 1, 40, 0, 0);
    settle();
    peer_send("", 1, 0, 1);
    hole = dup(STDIN_FILENO); /* what was sent has left one */
    next = dup(STDIN_FILENO);
    ck_assert_int_gt(next, hole);
    close(next);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = before;
    low.rlim_cur = (rlim_t)next + SPARE + (_i == 0);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    settle();
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    close(hole);
    ck_assert_uint_eq(received->len, _i == 0);
    WAIT_FOR(ends == (guint)_i);
    ck_assert(_i == 0 || strstr(last_text, "none left"));
    ck_assert_int_eq(is_closed(0), _i == 1);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("rpc-conn-fds");
    TCase *tc = tcase_create("descriptors");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test_both_ways, 0, G_N_ELEMENTS(lengths));
    tcase_add_test(tc, test_not_at_once);
    tcase_add_test(tc, test_queue_dropped);
    tcase_add_test(tc, test_peer_gone);
    tcase_add_test(tc, test_no_unix_socket);
    tcase_add_test(tc, test_cut);
    tcase_add_test(tc, test_all_at_once);
    tcase_add_test(tc, test_short);
    tcase_add_loop_test(tc, test_closed_while_waiting, 0, 2);
    tcase_add_loop_test(tc, test_hostile, 0, 2 * G_N_ELEMENTS(hostile));
    tcase_add_test(tc, test_hostile_drip);
    tcase_add_loop_test(tc, test_not_accepted, 0, 2);
    tcase_add_test(tc, test_none_left);
    tcase_add_loop_test(tc, test_spare_kept, 0, 2);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
