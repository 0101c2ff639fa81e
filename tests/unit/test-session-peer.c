/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What daemons, and those that are none, may do to a session. */
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "rpc/unix-socket.h"
#include "session-fixture.h"

/* What comes unasked */

#define ADMIN VADM_RPC_PROGRAM_ADMIN
#define KEEP  VADM_RPC_PROGRAM_KEEPALIVE

/* While two calls wait for their replies, serials 1 and 2. */
static const VadmRpcHeader unexpected[] = {
    {ADMIN, 1, PROC_VERSION, VADM_RPC_REPLY, 3, VADM_RPC_OK},
    {ADMIN, 1, PROC_VERSION, VADM_RPC_REPLY, G_MAXUINT32, VADM_RPC_OK},
    {ADMIN, 1, PROC_OPEN, VADM_RPC_REPLY, 0, VADM_RPC_OK}, /* once more */
    {ADMIN, 2, PROC_VERSION, VADM_RPC_REPLY, 1, VADM_RPC_OK},
    {VADM_RPC_PROGRAM_REMOTE, 1, PROC_VERSION, VADM_RPC_REPLY, 1, VADM_RPC_OK},
    {ADMIN, 1, PROC_FILTERS, VADM_RPC_REPLY, 1, VADM_RPC_OK},
    {ADMIN, 1, PROC_VERSION, VADM_RPC_REPLY, 1, VADM_RPC_CONTINUE},
    {ADMIN, 1, PROC_VERSION, VADM_RPC_REPLY, 1, 77},
    {ADMIN, 1, PROC_VERSION, VADM_RPC_CALL, 1, VADM_RPC_OK},
    {ADMIN, 1, PROC_VERSION, VADM_RPC_STREAM, 1, VADM_RPC_OK},
    {ADMIN, 1, PROC_VERSION, VADM_RPC_STREAM_HOLE, 1, VADM_RPC_OK},
    {ADMIN, 1, PROC_VERSION, 7, 1, VADM_RPC_OK},
    {KEEP, 1, VADM_KEEPALIVE_PROC_PING, VADM_RPC_CALL, 0, VADM_RPC_OK},
};

START_TEST(test_unexpected)
{
    open_and_wait();
    peer_ignore(peer, PROC_VERSION);
    call_version(0);
    call_version(0);
    peer_wait_calls(peer, PROC_VERSION, 2);
    peer_send(peer, &unexpected[_i], NULL, NULL);
    WAIT_FOR(ends == 1);
    assert_told(0, 1, -1);
    ck_assert_uint_eq(last_end, VADM_SESSION_END_ERROR);
    ck_assert(g_error_matches(last_error, VADM_ERROR, VADM_ERROR_RPC));
    ck_assert_uint_eq(last_reply_status, G_MAXUINT32);
    ck_assert_int_eq(outcome(0)->code, VADM_ERROR_RPC);
    ck_assert_str_eq(outcome(0)->text, last_error->message);
    WAIT_FOR(peer_n_open(peer) == 0);
}
END_TEST

static const VadmRpcHeader tolerated[] = {
    {ADMIN, 1, 4711, VADM_RPC_EVENT, 0, VADM_RPC_OK},
    {ADMIN, 1, PROC_VERSION, VADM_RPC_EVENT, 1, VADM_RPC_ERROR},
    {VADM_RPC_PROGRAM_REMOTE, 9, -1, VADM_RPC_EVENT, 5, VADM_RPC_OK},
    {KEEP, 1, VADM_KEEPALIVE_PROC_PING, VADM_RPC_EVENT, 0, VADM_RPC_OK},
    {KEEP, 1, VADM_KEEPALIVE_PROC_PONG, VADM_RPC_EVENT, 0, VADM_RPC_OK},
    {KEEP, 2, VADM_KEEPALIVE_PROC_PING, VADM_RPC_EVENT, 0, VADM_RPC_OK},
};

/* Also before CONNECT_OPEN is answered. */
START_TEST(test_tolerated)
{
    peer_hold(peer, PROC_OPEN);
    open_session();
    call_version(0);
    WAIT_FOR(peer_n_calls(peer, PROC_OPEN) == 1);
    peer_send(peer, &tolerated[_i], NULL, NULL);
    peer_release(peer, PROC_OPEN, FALSE);
    peer_send(peer, &tolerated[_i], NULL, NULL);
    WAIT_FOR(told->len == 1);
    ck_assert_uint_eq(outcome(0)->version, 9000000);
    ck_assert_uint_eq(ends, 0);
    if (_i == 3)
        WAIT_FOR(peer_n_pongs(peer) == 2);
    ck_assert_uint_eq(peer_n_pongs(peer), _i == 3 ? 2 : 0);
}
END_TEST

/* A reply with the descriptors' count, and the largest message that may be. */
START_TEST(test_large)
{
    const gsize length = _i == 0 ? VADM_RPC_LENGTH_MIN + 12 : VADM_RPC_LENGTH_MAX;
    g_autofree guint8 *octets = g_malloc0(length);
    const guint32 words[] = {GUINT32_TO_BE((guint32)length),
                             GUINT32_TO_BE(ADMIN),
                             GUINT32_TO_BE(1),
                             GUINT32_TO_BE(PROC_VERSION),
                             GUINT32_TO_BE(_i == 0 ? VADM_RPC_REPLY_WITH_FDS : VADM_RPC_REPLY),
                             GUINT32_TO_BE(1),
                             0,
                             0,
                             GUINT32_TO_BE(_i == 0 ? 0 : 77),
                             GUINT32_TO_BE(77)};

    memcpy(octets, words, sizeof words);
    peer_answer_raw(peer, PROC_VERSION, octets, length);
    open_session();
    call_version(0);
    WAIT_FOR(told->len == 1);
    ck_assert_uint_eq(outcome(0)->version, 77);
    ck_assert_uint_eq(ends, 0);
}
END_TEST

typedef struct {
    const char *octets;
    gsize length;
} Garbage;

#define GARBAGE(text)                                                                              \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
static const Garbage garbage[] = {
    GARBAGE("\0\0\0\0"),         GARBAGE("\0\0\0\x1b_______________________"),
    GARBAGE("\x02\0\0\x05____"), GARBAGE("HTTP/1.1 400 Bad Request\r\n\r\n"),
    GARBAGE("\xff\xff\xff\xff"),
};

/* In the place of the answer to CONNECT_OPEN, and later. */
START_TEST(test_garbage)
{
    const Garbage *what = &garbage[_i / 2];
    gboolean opening = _i % 2 == 0;

    peer_answer_raw(peer, opening ? PROC_OPEN : PROC_VERSION, what->octets, what->length);
    open_session();
    call_version(0);
    WAIT_FOR(ends == 1);
    assert_told(0, -1);
    ck_assert_uint_eq(opens, opening ? 0 : 1);
    ck_assert_uint_eq(last_end, opening ? VADM_SESSION_END_CONNECT : VADM_SESSION_END_ERROR);
    ck_assert(g_error_matches(last_error, VADM_ERROR, VADM_ERROR_RPC));
    ck_assert_int_eq(outcome(0)->code, VADM_ERROR_RPC);
}
END_TEST

/* The end */

#define TEXT_EOF   "End of file while reading data: Input/output error"
#define TEXT_RESET "Cannot recv data: Connection reset by peer"

/* After so many octets of the answer to CONNECT_OPEN, or to a call. */
START_TEST(test_hang_up)
{
    static const struct {
        gint32 procedure;
        gsize sent;
    } cases[] = {{PROC_OPEN, 0},    {PROC_OPEN, 3},    {PROC_OPEN, 4},     {PROC_OPEN, 27},
                 {PROC_FILTERS, 0}, {PROC_FILTERS, 4}, {PROC_FILTERS, 27}, {PROC_FILTERS, 31}};
    gboolean opening = cases[_i].procedure == PROC_OPEN;

    peer_hang_up(peer, cases[_i].procedure, cases[_i].sent);
    open_session();
    call_procedure(PROC_FILTERS, 0);
    WAIT_FOR(ends == 1);
    assert_end(opening ? VADM_SESSION_END_CONNECT : VADM_SESSION_END_EOF, VADM_ERROR_SYSTEM, EIO,
               TEXT_EOF);
    assert_told(0, -1);
    ck_assert_int_eq(outcome(0)->code, VADM_ERROR_SYSTEM);
    ck_assert_int_eq(outcome(0)->errnum, EIO);
    ck_assert_str_eq(outcome(0)->text, TEXT_EOF);
    ck_assert_uint_eq(opens, opening ? 0 : 1);
}
END_TEST

/* As a daemon that does not let us in: whether our call came before it closed or after. */
START_TEST(test_turned_away)
{
    peer_turn_away(peer, TRUE);
    open_session();
    call_version(0);
    WAIT_FOR(ends == 1);
    assert_end(VADM_SESSION_END_CONNECT, VADM_ERROR_SYSTEM, ECONNRESET, TEXT_RESET);
    ck_assert_str_eq(outcome(0)->text, TEXT_RESET);
}
END_TEST

/* The daemon has answered and gone; that the next call finds it out loses nothing. */
START_TEST(test_answers_before_end)
{
    open_and_wait();
    peer_hold(peer, PROC_VERSION);
    call_version(0);
    call_version(0);
    peer_wait_calls(peer, PROC_VERSION, 2);
    peer_release(peer, PROC_VERSION, TRUE);
    peer_close_all(peer);
    while (peer_n_open(peer) > 0)
        g_usleep(500);
    call_version(0);
    WAIT_FOR(ends == 1);
    assert_told(1, 0, 2, -1);
    ck_assert_uint_eq(outcome(0)->version, 9000000);
    ck_assert_uint_eq(outcome(1)->version, 9000000);
    ck_assert_int_eq(outcome(2)->errnum, ECONNRESET);
    assert_end(VADM_SESSION_END_EOF, VADM_ERROR_SYSTEM, ECONNRESET, TEXT_RESET);
}
END_TEST

/* Sent and waiting, in the order in which they were made; then the end; then calls made late. */
START_TEST(test_end_tells_calls)
{
    options.max_in_flight = 2;
    open_and_wait();
    peer_ignore(peer, PROC_VERSION);
    for (int i = 0; i < 5; i++)
        call_version(0);
    peer_wait_calls(peer, PROC_VERSION, 2);
    act = ACT_CALL;
    act_on = _i == 0 ? 1 : ON_ENDED;
    peer_close_all(peer);
    WAIT_FOR(ends == 1);
    assert_told(0, 1, 2, 3, 4, -1);
    WAIT_FOR(told->len == 6);
    call_version(0);
    WAIT_FOR(told->len == 7);
    assert_told(0, 1, 2, 3, 4, 5, 6, -1);
    for (guint i = 0; i < 7; i++)
        ck_assert_str_eq(outcome(i)->text, TEXT_EOF);
    ck_assert_uint_eq(ends, 1);
    ck_assert_uint_eq(peer_n_calls(peer, PROC_VERSION), 2);
}
END_TEST

/* CONNECT_OPEN is refused. */
START_TEST(test_open_refused)
{
    peer_refuse(peer, PROC_OPEN, VADM_VIR_ERR_OPERATION_DENIED, "no");
    open_session();
    call_version(0);
    WAIT_FOR(ends == 1);
    assert_end(VADM_SESSION_END_CONNECT, VADM_ERROR_RPC, 0, "operation forbidden: no");
    ck_assert_uint_eq(last_reply_status, VADM_RPC_ERROR);
    ck_assert_str_eq(outcome(0)->text, "operation forbidden: no");
    ck_assert_uint_eq(opens, 0);
    WAIT_FOR(peer_n_open(peer) == 0);
}
END_TEST

START_TEST(test_open_refused_badly)
{
    const VadmRpcHeader header = {
        .program = ADMIN, .version = 1, .procedure = 1, .type = VADM_RPC_REPLY, .status = 1};
    g_autoptr(VadmMessage) bad = vadm_message_new(&header, NULL, NULL, NULL);

    peer_answer_raw(peer, PROC_OPEN, bad->data, bad->length);
    open_session();
    WAIT_FOR(ends == 1);
    assert_end(VADM_SESSION_END_CONNECT, VADM_ERROR_RPC, 0, "Unable to decode message payload");
    ck_assert_uint_eq(last_reply_status, VADM_RPC_ERROR);
}
END_TEST

/* Connecting */

static void
assert_cannot_connect(const char *path, int errnum)
{
    g_autofree char *text =
        g_strdup_printf("Failed to connect socket to '%s': %s", path, g_strerror(errnum));

    options.path = path;
    session = vadm_session_open(&options, context, &handlers, &opens);
    call_version(0);
    ck_assert_uint_eq(ends, 0);
    WAIT_FOR(ends == 1);
    assert_end(VADM_SESSION_END_CONNECT, VADM_ERROR_NO_CONNECT, errnum, text);
    assert_told(0, -1);
    ck_assert_int_eq(outcome(0)->code, VADM_ERROR_NO_CONNECT);
    ck_assert_int_eq(outcome(0)->errnum, errnum);
}

START_TEST(test_no_socket)
{
    peer_stop_listening(peer);
    assert_cannot_connect(peer_path(peer), ENOENT);
}
END_TEST

START_TEST(test_nobody_listens)
{
    g_autoptr(GSocket) bound =
        g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, NULL);
    g_autoptr(GSocketAddress) address = NULL;

    peer_stop_listening(peer);
    address = g_unix_socket_address_new(peer_path(peer));
    ck_assert(g_socket_bind(bound, address, TRUE, NULL));
    assert_cannot_connect(peer_path(peer), ECONNREFUSED);
    g_unlink(peer_path(peer));
}
END_TEST

START_TEST(test_no_path)
{
    g_autofree char *longest = g_strnfill(108, 'x');

    assert_cannot_connect(_i == 0 ? "" : longest, _i == 0 ? ENOENT : ENAMETOOLONG);
}
END_TEST

START_TEST(test_abstract)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_autofree char *path = g_strdup_printf("@vadm-test-%d", (int)getpid());
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;

    memcpy(address.sun_path + 1, path + 1, strlen(path) - 1);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    fd = vadm_unix_connect(path, NULL);
    ck_assert_int_ge(fd, 0);
    close(fd);
    close(listener);
}
END_TEST

/* Fills the backlog. Returns: (transfer full): those who wait in it */
static GPtrArray *
fill_backlog(void)
{
    GPtrArray *waiting = g_ptr_array_new_with_free_func(g_object_unref);
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(peer_path(peer));
    gboolean room = TRUE;

    peer_accept(peer, FALSE);
    peer_set_backlog(peer, 1);
    while (room) {
        GSocket *socket = g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM,
                                       G_SOCKET_PROTOCOL_DEFAULT, NULL);

        g_socket_set_blocking(socket, FALSE);
        room = g_socket_connect(socket, address, NULL, NULL);
        g_ptr_array_add(waiting, socket);
    }
    return waiting;
}

START_TEST(test_backlog)
{
    g_autoptr(GPtrArray) waiting G_GNUC_UNUSED = fill_backlog();

    open_session();
    call_version(0);
    for (int i = 0; i < 20; i++)
        g_main_context_iteration(context, i < 3); /* several attempts */
    ck_assert_uint_eq(opens + ends, 0);
    peer_accept(peer, TRUE);
    WAIT_FOR(told->len == 1);
    ck_assert_uint_eq(outcome(0)->version, 9000000);
}
END_TEST

START_TEST(test_backlog_for_ever)
{
    g_autoptr(GPtrArray) waiting G_GNUC_UNUSED = fill_backlog();
    g_autofree char *text =
        g_strdup_printf("'%s' did not accept a connection within 70 ms", peer_path(peer));

    options.connect_timeout_ms = 70;
    open_session();
    call_version(0);
    WAIT_FOR(ends == 1);
    assert_end(VADM_SESSION_END_TIMEOUT, VADM_ERROR_TIMEOUT, 0, text);
    ck_assert_int_eq(outcome(0)->code, VADM_ERROR_TIMEOUT);
}
END_TEST

/* The connection is made, by the kernel, but nobody takes it; or nobody answers. */
START_TEST(test_silent)
{
    g_autofree char *text =
        g_strdup_printf("'%s' did not answer CONNECT_OPEN within 50 ms", peer_path(peer));

    if (_i == 0)
        peer_accept(peer, FALSE);
    else
        peer_ignore(peer, PROC_OPEN);
    options.connect_timeout_ms = 50;
    open_session();
    WAIT_FOR(ends == 1);
    assert_end(VADM_SESSION_END_TIMEOUT, VADM_ERROR_TIMEOUT, 0, text);
}
END_TEST

/* Once it is open, the time to connect is over. */
START_TEST(test_open_in_time)
{
    options.connect_timeout_ms = 1000;
    open_and_wait();
    peer_hold(peer, PROC_VERSION);
    call_version(1200);
    WAIT_FOR(told->len == 1);
    ck_assert_uint_eq(ends, 0);
}
END_TEST

/* Keepalive */

START_TEST(test_keepalive)
{
    options.keepalive_interval = 1;
    options.keepalive_count = 1;
    peer_answer_pings(peer, _i == 1);
    open_and_wait();
    peer_ignore(peer, PROC_VERSION);
    call_version(0);
    WAIT_FOR(ends == 1 || peer_n_pings(peer) == 3);
    if (_i == 1) {
        ck_assert_uint_eq(ends, 0);
        return;
    }
    assert_end(VADM_SESSION_END_KEEPALIVE, VADM_ERROR_TIMEOUT, 0,
               "connection closed due to keepalive timeout");
    ck_assert_uint_eq(peer_n_pings(peer), 1);
    ck_assert_str_eq(outcome(0)->text, "connection closed due to keepalive timeout");
}
END_TEST

void
test_peers_add(Suite *suite)
{
    TCase *tc = add_case(suite, "peers");

    tcase_add_loop_test(tc, test_unexpected, 0, G_N_ELEMENTS(unexpected));
    tcase_add_loop_test(tc, test_tolerated, 0, G_N_ELEMENTS(tolerated));
    tcase_add_loop_test(tc, test_large, 0, 2);
    tcase_add_loop_test(tc, test_garbage, 0, 2 * G_N_ELEMENTS(garbage));
    tcase_add_loop_test(tc, test_hang_up, 0, 8);
    tcase_add_test(tc, test_turned_away);
    tcase_add_test(tc, test_answers_before_end);
    tcase_add_loop_test(tc, test_end_tells_calls, 0, 2);
    tcase_add_test(tc, test_open_refused);
    tcase_add_test(tc, test_open_refused_badly);
    tcase_add_loop_test(tc, test_keepalive, 0, 2);
    tc = add_case(suite, "connecting");
    tcase_add_test(tc, test_no_socket);
    tcase_add_test(tc, test_nobody_listens);
    tcase_add_loop_test(tc, test_no_path, 0, 2);
    tcase_add_test(tc, test_abstract);
    tcase_add_test(tc, test_backlog);
    tcase_add_test(tc, test_backlog_for_ever);
    tcase_add_loop_test(tc, test_silent, 0, 2);
    tcase_add_test(tc, test_open_in_time);
}
