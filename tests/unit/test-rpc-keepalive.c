/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc/keepalive.h"
#include "unit.h"

#define PING "\0\0\0\x1ckeep\0\0\0\1\0\0\0\1\0\0\0\2\0\0\0\0\0\0\0\0"
#define PONG "\0\0\0\x1ckeep\0\0\0\1\0\0\0\2\0\0\0\2\0\0\0\0\0\0\0\0"
#define SIZE 28

/* One connection with a keepalive, the test being the peer. */
typedef struct {
    VadmConn *conn;
    VadmKeepalive *keepalive;
    int peer;
    guint ours, others; /* messages that were, were not the keepalive's */
    gint64 started, dead;
    guint deaths;
    gint64 pings[8]; /* when they came, since the start */
    guint npings;
} Link;

static GMainContext *context;

static void
on_message(VadmConn *conn G_GNUC_UNUSED, VadmMessage *message, gpointer user)
{
    Link *link = user;

    if (vadm_keepalive_check(link->keepalive, message))
        link->ours++;
    else
        link->others++;
    vadm_message_free(message);
}

static void
on_ended(VadmConn *conn G_GNUC_UNUSED, VadmConnEnd end, const GError *error G_GNUC_UNUSED,
         gpointer user G_GNUC_UNUSED)
{
    ck_abort_msg("the connection ended: %d", (int)end);
}

static const VadmConnHandlers handlers = {on_message, on_ended, NULL};

/* As its owner would, the callback frees the keepalive. */
static void
on_dead(gpointer user)
{
    Link *link = user;

    link->deaths++;
    link->dead = g_get_monotonic_time() - link->started;
    g_clear_pointer(&link->keepalive, vadm_keepalive_free);
    vadm_conn_close(link->conn);
}

static void
link_open(Link *link)
{
    int fds[2];
    g_autoptr(GSocket) socket = NULL;
    g_autoptr(GSocketConnection) stream = NULL;

    memset(link, 0, sizeof *link);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    socket = g_socket_new_from_fd(fds[0], NULL);
    stream = g_socket_connection_factory_create_connection(socket);
    link->peer = fds[1];
    link->conn = vadm_conn_new(G_IO_STREAM(stream), context, &handlers, link);
    link->keepalive = vadm_keepalive_new(link->conn, context, on_dead, link);
    vadm_conn_set_reading(link->conn, TRUE);
    link->started = g_get_monotonic_time();
}

static void
link_close(Link *link)
{
    vadm_keepalive_free(link->keepalive);
    vadm_conn_unref(link->conn);
    close(link->peer);
}

static void
link_send(Link *link, gconstpointer message)
{
    ck_assert_int_eq(write(link->peer, message, SIZE), SIZE);
}

static void
setup(void)
{
    context = g_main_context_new();
}

static void
teardown(void)
{
    g_main_context_unref(context);
}

static void
run_until(const guint *count, guint wanted)
{
    gint64 end = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;

    while (*count < wanted) {
        ck_assert_int_lt(g_get_monotonic_time(), end);
        if (!g_main_context_iteration(context, FALSE))
            poll(NULL, 0, 1);
    }
}

static void
assert_answer(Link *link, const char *expected)
{
    char got[SIZE];

    ck_assert_int_eq(read(link->peer, got, SIZE), SIZE);
    ck_assert_mem_eq(got, expected, SIZE);
}

static void
assert_no_answer(Link *link)
{
    char octet;

    ck_assert_int_eq(read(link->peer, &octet, 1), -1);
    ck_assert_int_eq(errno, EAGAIN);
}

/* @at: octet of a PING to change, @value: into what */
static const struct {
    int at, value;
    gboolean taken, answered;
} variants[] = {
    {27, 0, TRUE, TRUE},   /* a plain PING */
    {23, 99, TRUE, TRUE},  /* any serial; 0 in the answer */
    {11, 2, TRUE, FALSE},  /* version 2 */
    {15, 2, TRUE, FALSE},  /* PONG, unasked */
    {15, 9, TRUE, FALSE},  /* unknown */
    {19, 1, TRUE, FALSE},  /* a reply */
    {19, 3, TRUE, FALSE},  /* a stream */
    {19, 77, TRUE, FALSE}, /* no type at all */
    {19, 0, FALSE, FALSE}, /* a call: to be told that there is no such program */
    {19, 4, FALSE, FALSE}, {7, 'q', FALSE, FALSE}, /* another program */
};

START_TEST(test_answer)
{
    Link link;
    char message[SIZE];

    memcpy(message, PING, SIZE);
    message[variants[_i].at] = (char)variants[_i].value;
    link_open(&link);
    link_send(&link, message);
    run_until(variants[_i].taken ? &link.ours : &link.others, 1);
    ck_assert_uint_eq(link.ours + link.others, 1);
    if (variants[_i].answered)
        assert_answer(&link, PONG);
    assert_no_answer(&link);
    link_close(&link);
}
END_TEST

/* What a PING carries behind its header does not matter. */
START_TEST(test_ping_with_payload)
{
    Link link;
    char message[SIZE + 4] = {0};

    memcpy(message, PING, SIZE);
    message[3] = SIZE + 4;
    link_open(&link);
    ck_assert_int_eq(write(link.peer, message, sizeof message), sizeof message);
    run_until(&link.ours, 1);
    assert_answer(&link, PONG);
    link_close(&link);
}
END_TEST

/* A peer that pings without reading does not fill our memory. */
START_TEST(test_flood)
{
    Link link;

    link_open(&link);
    vadm_conn_send(link.conn, vadm_message_new_take(g_malloc0(8000000), 8000000));
    for (guint i = 0; i < 300; i++) {
        link_send(&link, PING);
        run_until(&link.ours, i + 1);
    }
    ck_assert_uint_le(vadm_conn_queued(link.conn), 8000000);
    link_close(&link);
}
END_TEST

/* Notes the PINGs that came; @answer: with a PONG. */
static void
link_collect(Link *link, gboolean answer)
{
    char got[SIZE];

    if (link->deaths > 0 || read(link->peer, got, SIZE) != SIZE)
        return;
    ck_assert_mem_eq(got, PING, SIZE);
    ck_assert_uint_lt(link->npings, G_N_ELEMENTS(link->pings));
    link->pings[link->npings++] = g_get_monotonic_time() - link->started;
    if (answer)
        link_send(link, PONG);
}

/* With 1 s and 2: PING after 1 s and 2 s of silence, dead after 3. Beside it those that must not
 * die, and one that must die without a PING. */
START_TEST(test_timing)
{
    enum { SILENT, NO_COUNT, OFF, NEGATIVE, ANSWERS, DEAF, STUCK, LINKS };
    Link links[LINKS];
    gint64 second = G_USEC_PER_SEC;

    for (int i = 0; i < LINKS; i++)
        link_open(&links[i]);
    vadm_keepalive_start(links[SILENT].keepalive, 60, 9);
    vadm_keepalive_start(links[SILENT].keepalive, 1, 2); /* starting again restarts */
    vadm_keepalive_start(links[NO_COUNT].keepalive, 1, 0);
    vadm_keepalive_start(links[OFF].keepalive, 0, 0);
    vadm_keepalive_start(links[NEGATIVE].keepalive, -1, 0);
    vadm_keepalive_start(links[ANSWERS].keepalive, 1, 1);
    vadm_keepalive_start(links[DEAF].keepalive, 1, 0);
    vadm_conn_set_reading(links[DEAF].conn, FALSE);
    vadm_keepalive_start(links[STUCK].keepalive, 1, 0);
    vadm_conn_set_reading(links[STUCK].conn, FALSE);
    vadm_conn_send(links[STUCK].conn, vadm_message_new_take(g_malloc0(8000000), 8000000));

    while (links[SILENT].deaths == 0 || links[ANSWERS].npings < 3) {
        ck_assert_int_lt(g_get_monotonic_time() - links[SILENT].started, 20 * second);
        if (!g_main_context_iteration(context, FALSE))
            poll(NULL, 0, 2);
        link_collect(&links[SILENT], FALSE);
        link_collect(&links[ANSWERS], TRUE);
        link_collect(&links[NO_COUNT], FALSE);
        link_collect(&links[OFF], FALSE);
    }
    ck_assert_uint_eq(links[SILENT].npings, 2);
    ck_assert_int_ge(links[SILENT].pings[0], second);
    ck_assert_int_ge(links[SILENT].pings[1], 2 * second);
    ck_assert_int_ge(links[SILENT].dead, 3 * second);
    ck_assert_uint_eq(links[SILENT].deaths, 1);
    ck_assert_uint_eq(links[NO_COUNT].npings, 0);
    ck_assert_uint_eq(links[NO_COUNT].deaths, 1);
    ck_assert_int_ge(links[NO_COUNT].dead, second);
    ck_assert_int_lt(links[NO_COUNT].dead, links[SILENT].dead);
    ck_assert_uint_eq(links[OFF].npings + links[OFF].deaths + links[NEGATIVE].deaths, 0);
    ck_assert_uint_eq(links[ANSWERS].deaths, 0);
    ck_assert_uint_eq(links[DEAF].deaths, 0);
    ck_assert_uint_eq(links[STUCK].deaths, 1);
    for (int i = 0; i < LINKS; i++)
        link_close(&links[i]);
}
END_TEST

static void
run_until_ping(Link *link, guint wanted)
{
    while (link->npings < wanted) {
        ck_assert_uint_eq(link->deaths, 0);
        ck_assert_int_lt(g_get_monotonic_time() - link->started, 20 * G_USEC_PER_SEC);
        if (!g_main_context_iteration(context, FALSE))
            poll(NULL, 0, 2);
        link_collect(link, FALSE);
    }
}

/* Any message restores the count, and the next PING comes an interval after it. */
START_TEST(test_any_message)
{
    static const char call[] = "\0\0\0\x1c\x06\x90\x06\x90\0\0\0\1\0\0\0\3"
                               "\0\0\0\0\0\0\0\0\0\0\0\0";
    Link link;
    gint64 spoke;

    link_open(&link);
    vadm_keepalive_start(link.keepalive, 1, 1);
    run_until_ping(&link, 1);
    spoke = g_get_monotonic_time() - link.started;
    link_send(&link, call);
    run_until(&link.others, 1);
    run_until_ping(&link, 2);
    ck_assert_int_ge(link.pings[1], spoke + G_USEC_PER_SEC);
    run_until(&link.deaths, 1);
    ck_assert_int_ge(link.dead, link.pings[1] + G_USEC_PER_SEC / 2);
    link_close(&link);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("rpc-keepalive");
    TCase *tc = tcase_create("keepalive");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test_answer, 0, G_N_ELEMENTS(variants));
    tcase_add_test(tc, test_ping_with_payload);
    tcase_add_test(tc, test_flood);
    tcase_add_test(tc, test_timing);
    tcase_add_test(tc, test_any_message);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
