/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory of long messages: who gets it, who waits, who has to give it back, and connections
 * that go by it. */
#include <gio/gio.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop.h"
#include "rpc/conn.h"
#include "unit.h"

#define PATIENCE_US ((gint64)(G_USEC_PER_SEC / 10))
#define NEVER       (3600 * (gint64)G_USEC_PER_SEC)
#define LONG        (2u * 1024 * 1024)

static GMainContext *context;
static VadmBudget *budget;

typedef struct {
    guint granted, expired;
} Owner;

static guint order; /* counts grants */

static void
on_granted(gpointer user)
{
    ((Owner *)user)->granted = ++order;
}

static void
on_expired(gpointer user)
{
    ((Owner *)user)->expired++;
}

static const VadmBudgetHandlers handlers = {on_granted, on_expired};

static void
setup(void)
{
    context = g_main_context_new();
    order = 0;
}

static void
teardown(void)
{
    vadm_budget_unref(budget);
    g_main_context_unref(context);
}

#define WAIT_FOR(condition) LOOP_WAIT_FOR(context, condition)

static void
settle(void)
{
    loop_settle(context);
}

static VadmBudgetClaim *
claim_of(gsize octets, Owner *owner)
{
    return vadm_budget_claim(budget, octets, &handlers, owner);
}

/* Who came first is served first, and short ones do not overtake long ones, who would never get
 * anything. */
START_TEST(in_order)
{
    Owner owners[3] = {{0}};
    VadmBudgetClaim *first, *second, *third;

    budget = vadm_budget_new(100, NEVER, context);
    first = claim_of(60, &owners[0]);
    ck_assert(vadm_budget_claim_is_granted(first));
    second = claim_of(50, &owners[1]);
    third = claim_of(10, &owners[2]);
    settle();
    ck_assert(!vadm_budget_claim_is_granted(second));
    ck_assert(!vadm_budget_claim_is_granted(third));
    ck_assert_uint_eq(vadm_budget_left(budget), 40);
    vadm_budget_claim_free(first);
    ck_assert_uint_eq(order, 0); /* from the main loop only */
    WAIT_FOR(owners[2].granted);
    ck_assert_uint_eq(owners[0].granted, 0);
    ck_assert_uint_eq(owners[1].granted, 1);
    ck_assert_uint_eq(owners[2].granted, 2);
    ck_assert_uint_eq(vadm_budget_left(budget), 40);
    vadm_budget_claim_free(second);
    vadm_budget_claim_free(third);
    ck_assert_uint_eq(vadm_budget_left(budget), 100);
}
END_TEST

START_TEST(who_waits_no_more)
{
    Owner owners[4] = {{0}};
    VadmBudgetClaim *claims[4];

    budget = vadm_budget_new(100, NEVER, context);
    claims[0] = claim_of(60, &owners[0]);
    claims[1] = claim_of(60, &owners[1]);
    claims[2] = claim_of(30, &owners[2]);
    vadm_budget_claim_free(claims[1]);
    WAIT_FOR(owners[2].granted);
    claims[3] = claim_of(10, &owners[3]);
    ck_assert(vadm_budget_claim_is_granted(claims[3]));
    vadm_budget_claim_free(NULL);
    vadm_budget_claim_free(claims[0]);
    vadm_budget_claim_free(claims[2]);
    vadm_budget_claim_free(claims[3]);
    ck_assert_uint_eq(vadm_budget_left(budget), 100);
}
END_TEST

/* All have the time they like, until somebody has waited for too long: then it is the oldest who
 * has to go, and nobody else when that was enough. */
START_TEST(patience)
{
    Owner owners[4] = {{0}};
    VadmBudgetClaim *claims[4];
    gint64 began;

    budget = vadm_budget_new(100, PATIENCE_US, context);
    for (guint i = 0; i < 3; i++)
        claims[i] = claim_of(33, &owners[i]);
    began = g_get_monotonic_time();
    while (g_get_monotonic_time() < began + 2 * PATIENCE_US)
        settle();
    vadm_budget_forget(budget, &owners[0]);
    began = g_get_monotonic_time();
    claims[3] = claim_of(33, &owners[3]);
    WAIT_FOR(owners[1].expired);
    ck_assert_int_ge(g_get_monotonic_time() - began, PATIENCE_US);
    ck_assert_uint_eq(owners[0].expired + owners[2].expired, 0);
    vadm_budget_claim_free(claims[1]);
    WAIT_FOR(owners[3].granted);
    began = g_get_monotonic_time();
    while (g_get_monotonic_time() < began + 2 * PATIENCE_US)
        settle();
    ck_assert_uint_eq(owners[2].expired + owners[3].expired, 0);
    for (guint i = 0; i < 4; i++)
        if (i != 1)
            vadm_budget_claim_free(claims[i]);
}
END_TEST

/* One that does not help is followed by the next. */
START_TEST(all_have_to_go)
{
    Owner owners[3] = {{0}};
    VadmBudgetClaim *claims[3];

    budget = vadm_budget_new(100, PATIENCE_US, context);
    claims[0] = claim_of(50, &owners[0]);
    claims[1] = claim_of(50, &owners[1]);
    claims[2] = claim_of(100, &owners[2]);
    WAIT_FOR(owners[0].expired);
    ck_assert_uint_eq(owners[1].expired, 0);
    WAIT_FOR(owners[1].expired);
    ck_assert_uint_eq(owners[0].expired, 1);
    vadm_budget_claim_free(claims[0]);
    settle();
    ck_assert(!vadm_budget_claim_is_granted(claims[2]));
    vadm_budget_claim_free(claims[1]);
    WAIT_FOR(owners[2].granted);
    ck_assert_uint_eq(owners[2].expired, 0);
    vadm_budget_claim_free(claims[2]);
}
END_TEST

static void *
free_claims(void *user)
{
    VadmBudgetClaim **claims = user;

    for (guint i = 0; i < 100; i++)
        vadm_budget_claim_free(claims[i]);
    return NULL;
}

/* Workers give back; and what they hold may live longer than the budget's owner. */
START_TEST(other_threads)
{
    VadmBudgetClaim *claims[100], *waiting[100];
    Owner owner = {0}, waiter = {0};
    pthread_t thread;

    budget = vadm_budget_new(100, PATIENCE_US * 1000, context);
    for (guint i = 0; i < 100; i++)
        claims[i] = claim_of(1, &owner);
    for (guint i = 0; i < 100; i++)
        waiting[i] = claim_of(1, &waiter);
    ck_assert_int_eq(pthread_create(&thread, NULL, free_claims, claims), 0);
    WAIT_FOR(order == 100);
    pthread_join(thread, NULL);
    g_clear_pointer(&budget, vadm_budget_unref);
    ck_assert_int_eq(pthread_create(&thread, NULL, free_claims, waiting), 0);
    pthread_join(thread, NULL);
}
END_TEST

/* Connections */

typedef struct {
    VadmConn *conn;
    int peer;
    VadmMessage *message; /* the last one */
    guint ends;
    VadmConnEnd end;
    GError *error;
} End;

static void
on_message(VadmConn *conn G_GNUC_UNUSED, VadmMessage *message, gpointer user)
{
    End *end = user;

    vadm_message_free(end->message);
    end->message = message;
}

static void
on_ended(VadmConn *conn G_GNUC_UNUSED, VadmConnEnd how, const GError *error, gpointer user)
{
    End *end = user;

    end->ends++;
    end->end = how;
    end->error = g_error_copy(error);
}

static void
end_open(End *end)
{
    static const VadmConnHandlers conn_handlers = {on_message, on_ended, NULL};
    g_autoptr(GSocket) socket = NULL;
    g_autoptr(GSocketConnection) stream = NULL;
    int fds[2];

    *end = (End){0};
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    socket = g_socket_new_from_fd(fds[0], NULL);
    stream = g_socket_connection_factory_create_connection(socket);
    end->peer = fds[1];
    end->conn = vadm_conn_new(G_IO_STREAM(stream), context, &conn_handlers, end);
    vadm_conn_set_budget(end->conn, budget);
    vadm_conn_notice_hangup(end->conn);
    vadm_conn_set_reading(end->conn, TRUE);
}

static void
end_close(End *end)
{
    vadm_conn_unref(end->conn);
    vadm_message_free(end->message);
    g_clear_error(&end->error);
    if (end->peer >= 0)
        close(end->peer);
}

/* Sends octets @from to @to of a message of @length, as far as they are taken while the main loop
 * runs. Returns: up to where */
static gsize
end_send(End *end, gsize length, gsize from, gsize to)
{
    g_autofree guint8 *data = g_malloc0(length);
    const guint32 word = GUINT32_TO_BE((guint32)length);

    memcpy(data, &word, sizeof word);
    for (guint in_vain = 0; from < to && in_vain < 20; in_vain++) {
        gssize put = send(end->peer, data + from, to - from, MSG_NOSIGNAL);

        if (put > 0) {
            from += (gsize)put;
            in_vain = 0;
        }
        settle();
    }
    return from;
}

START_TEST(conns_share)
{
    End first, second, third;
    gsize sent, held;

    budget = vadm_budget_new(LONG, NEVER, context);
    end_open(&first);
    end_open(&second);
    end_open(&third);
    ck_assert_uint_eq(end_send(&first, LONG, 0, LONG - 1), LONG - 1);
    ck_assert_uint_eq(vadm_budget_left(budget), 0);
    sent = end_send(&second, LONG, 0, LONG);
    ck_assert_uint_lt(sent, LONG);
    held = vadm_conn_pending(second.conn);
    ck_assert_uint_ge(held, VADM_BUDGET_FREE);
    ck_assert_uint_le(held, VADM_BUDGET_FREE + 64 * 1024);
    ck_assert(!vadm_conn_is_silent(second.conn));
    /* not in anybody's way */
    ck_assert_uint_eq(end_send(&third, VADM_BUDGET_FREE, 0, VADM_BUDGET_FREE), VADM_BUDGET_FREE);
    WAIT_FOR(third.message);
    /* stopping and going on does not get it in */
    vadm_conn_set_reading(second.conn, FALSE);
    vadm_conn_set_reading(second.conn, TRUE);
    settle();
    ck_assert_uint_eq(vadm_conn_pending(second.conn), held);
    ck_assert_uint_eq(end_send(&first, LONG, LONG - 1, LONG), LONG);
    WAIT_FOR(first.message);
    settle();
    ck_assert_uint_eq(vadm_conn_pending(second.conn), held); /* the message still takes it */
    g_clear_pointer(&first.message, vadm_message_free);
    ck_assert_uint_eq(end_send(&second, LONG, sent, LONG), LONG);
    WAIT_FOR(second.message);
    ck_assert_uint_eq(second.message->length, LONG);
    g_clear_pointer(&second.message, vadm_message_free);
    ck_assert_uint_eq(vadm_budget_left(budget), LONG);
    ck_assert_uint_eq(first.ends + second.ends + third.ends, 0);
    end_close(&first);
    end_close(&second);
    end_close(&third);
}
END_TEST

/* 0: while it waits; 1: while it has its part; 2: closed by us while it waits; 3: held back when it
 * is granted */
START_TEST(conn_goes)
{
    End first, second;

    budget = vadm_budget_new(LONG, NEVER, context);
    end_open(&first);
    end_open(&second);
    end_send(&first, LONG, 0, LONG / 2);
    end_send(&second, LONG, 0, LONG);
    ck_assert_uint_eq(vadm_budget_left(budget), 0);
    if (_i == 0) {
        close(second.peer);
        second.peer = -1;
        WAIT_FOR(second.ends);
        ck_assert_int_eq(second.end, VADM_CONN_END_EOF);
    } else if (_i == 1) {
        close(first.peer);
        first.peer = -1;
        WAIT_FOR(first.ends);
        WAIT_FOR(vadm_conn_pending(second.conn) > VADM_BUDGET_FREE + 64 * 1024);
    } else if (_i == 2) {
        vadm_conn_close(second.conn);
    } else {
        gsize held = vadm_conn_pending(second.conn);

        vadm_conn_set_reading(second.conn, FALSE);
        vadm_conn_close(first.conn);
        settle();
        ck_assert_uint_eq(vadm_conn_pending(second.conn), held);
        vadm_conn_set_reading(second.conn, TRUE);
        WAIT_FOR(vadm_conn_pending(second.conn) > held);
    }
    end_close(&first);
    end_close(&second);
    ck_assert_uint_eq(vadm_budget_left(budget), LONG);
}
END_TEST

START_TEST(slow_conn_has_to_go)
{
    End first, second;

    budget = vadm_budget_new(LONG, PATIENCE_US, context);
    end_open(&first);
    end_open(&second);
    end_send(&first, LONG, 0, LONG - 1);
    end_send(&second, LONG, 0, LONG);
    WAIT_FOR(first.ends);
    ck_assert_int_eq(first.end, VADM_CONN_END_ERROR);
    ck_assert(g_error_matches(first.error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT));
    WAIT_FOR(second.message || vadm_conn_pending(second.conn) > VADM_BUDGET_FREE + 64 * 1024);
    ck_assert_uint_eq(second.ends, 0);
    end_close(&first);
    end_close(&second);
}
END_TEST

/* A connection that has gone, and whose message is still somewhere, cannot be ended any more. */
START_TEST(message_that_outlives_its_conn)
{
    End first, second;
    gint64 began;

    budget = vadm_budget_new(LONG, PATIENCE_US, context);
    end_open(&first);
    end_open(&second);
    ck_assert_uint_eq(end_send(&first, LONG, 0, LONG), LONG);
    WAIT_FOR(first.message);
    g_clear_pointer(&first.conn, vadm_conn_unref);
    end_send(&second, LONG, 0, LONG);
    began = g_get_monotonic_time();
    while (g_get_monotonic_time() < began + 3 * PATIENCE_US)
        settle();
    ck_assert_uint_eq(first.ends + second.ends, 0);
    ck_assert_ptr_null(second.message);
    g_clear_pointer(&first.message, vadm_message_free);
    WAIT_FOR(vadm_conn_pending(second.conn) > VADM_BUDGET_FREE + 64 * 1024);
    end_close(&first);
    end_close(&second);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("rpc-budget");
    TCase *tcase = tcase_create("budget");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, in_order);
    tcase_add_test(tcase, who_waits_no_more);
    tcase_add_test(tcase, patience);
    tcase_add_test(tcase, all_have_to_go);
    tcase_add_test(tcase, other_threads);
    tcase_add_test(tcase, conns_share);
    tcase_add_loop_test(tcase, conn_goes, 0, 4);
    tcase_add_test(tcase, slow_conn_has_to_go);
    tcase_add_test(tcase, message_that_outlives_its_conn);
    suite_add_tcase(suite, tcase);
    return vadm_unit_main(suite);
}
