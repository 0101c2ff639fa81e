/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When a server's workers are exhausted, and who looks. */
#include "daemon/txn.h"
#include "events-fixture.h"

#define SECOND ((gint64)G_USEC_PER_SEC)

/* The rule, without a clock */

typedef struct {
    gboolean exhausted;
    guint32 current, free, queue_depth, max;
    gint64 since; /* of the queue, before now */
    gboolean wanted;
    gint64 next; /* from now; -1: never */
} Case;

static const Case cases[] = {
    /* nothing waits */
    {FALSE, 5, 5, 0, 5, 0, FALSE, -1},
    {FALSE, 5, 0, 0, 5, 60 * SECOND, FALSE, -1},
    /* not for long */
    {FALSE, 5, 0, 1, 5, 0, FALSE, SECOND},
    {FALSE, 5, 0, 1000, 5, SECOND - 1, FALSE, 1},
    /* for long */
    {FALSE, 5, 0, 1, 5, SECOND, TRUE, SECOND},
    {FALSE, 5, 0, 1, 5, 60 * SECOND, TRUE, SECOND},
    {FALSE, 7, 0, 1, 5, SECOND, TRUE, SECOND}, /* the maximum was lowered */
    /* but there could be another worker, or one is about to take the job */
    {FALSE, 4, 0, 1, 5, SECOND, FALSE, SECOND / 10},
    {FALSE, 5, 1, 1, 5, SECOND, FALSE, SECOND / 10},
    {FALSE, 0, 0, 1, 0, SECOND, FALSE, SECOND / 10},
    {FALSE, 3, 0, 1, 0, SECOND, FALSE, SECOND / 10},
    /* raised: only an empty queue ends it, whatever becomes of the workers */
    {TRUE, 5, 0, 1, 5, 60 * SECOND, TRUE, SECOND},
    {TRUE, 5, 5, 1, 5, 0, TRUE, SECOND},
    {TRUE, 5, 0, 1, 50, SECOND, TRUE, SECOND},
    {TRUE, 5, 5, 0, 5, 0, TRUE, SECOND},
    {TRUE, 5, 5, 0, 5, SECOND - 1, TRUE, 1},
    {TRUE, 5, 0, 0, 5, SECOND, FALSE, -1},
    {TRUE, 5, 5, 0, 5, 60 * SECOND, FALSE, -1},
};

START_TEST(rule)
{
    const Case *c = &cases[_i];
    const gint64 now = 1000 * SECOND;
    VadmPoolStats stats = {
        .current = c->current,
        .free = c->free,
        .queue_depth = c->queue_depth,
        .queue_since = now - c->since,
    };
    gint64 next = 0;

    ck_assert_int_eq(vadm_worker_watch_judge(c->exhausted, &stats, c->max, now, &next), c->wanted);
    ck_assert_int_eq(next, c->next < 0 ? -1 : now + c->next);
}
END_TEST

/* With real jobs */

static void
setup(void)
{
    VadmServerLimits *limits;

    fixture_setup();
    heard_setup();
    limits = &vadm_config_find_server(fix.config, "libvirtd")->limits;
    limits->workers_min = limits->workers_max = 1;
    limits->workers_priority = 0;
    limits->client_requests_max = 100;
    fixture_start();
    heard_begin();
}

static void
teardown(void)
{
    fixture_teardown();
    heard_teardown();
}

static gint64
due(void)
{
    return vadm_worker_watch_due(fix.server->watch);
}

static gboolean
exhausted(void)
{
    VadmServerRow row;

    get_row(&row);
    return row.workers_exhausted;
}

static gint64
queue_since(guint32 depth)
{
    VadmPoolStats stats;

    vadm_pool_get_stats(vadm_server_get_pool(fix.server), &stats);
    ck_assert_uint_eq(stats.queue_depth, depth);
    return stats.queue_since;
}

/* One job hangs, and @n others wait. */
static Peer *
let_wait(guint32 n)
{
    Peer *peer = peer_new(fix.path);

    echo_set_hang(TRUE);
    peer_call(peer, ECHO_HANG, 1, "x");
    SPIN_UNTIL(echo_count_hanging() == 1);
    for (guint32 i = 0; i < n; i++)
        peer_call(peer, ECHO_HANG, 2 + i, "x");
    SPIN_UNTIL(fix.echo.calls == n + 1);
    heard_forget();
    return peer;
}

static void
expect_told(guint32 depth, gboolean state, gint64 since)
{
    const VadmEvent *event;

    SPIN_UNTIL(heard_count() > 0);
    event = heard_at(0);
    ck_assert_int_eq(event->kind, VADM_EVENT_WORKERS);
    ck_assert_uint_eq(event->server.index, 2);
    ck_assert_int_eq(event->server.workers_exhausted, state);
    ck_assert_uint_eq(event->server.job_queue_depth, depth);
    ck_assert_int_ge(event->at - since, SECOND);
    ck_assert_int_lt(event->at - since, 10 * SECOND); /* a machine that is very busy */
    ck_assert_int_eq(exhausted(), state);
    ck_assert_uint_eq(heard_count(), 1);
    heard_forget();
}

START_TEST(exhausted_then_available)
{
    Peer *peer;
    gint64 since;

    settle();
    ck_assert_int_eq(due(), -1);
    peer = let_wait(2);
    since = queue_since(2);
    SPIN_UNTIL(due() >= 0);
    ck_assert(!exhausted());
    expect_told(2, TRUE, since);
    ck_assert_int_ge(due(), 0); /* it goes on looking */
    echo_set_hang(FALSE);
    SPIN_UNTIL(echo_count_hanging() == 0);
    for (guint32 i = 1; i <= 3; i++)
        peer_expect_reply(peer, i, "x");
    ck_assert(exhausted());
    expect_told(0, FALSE, queue_since(0));
    ck_assert_int_eq(due(), -1); /* and no more */
    peer_free(peer);
}
END_TEST

/* What waits for less than a second is no event, and leaves no timer behind. */
START_TEST(a_short_queue)
{
    Peer *peer = let_wait(1);

    SPIN_UNTIL(due() >= 0);
    echo_set_hang(FALSE);
    SPIN_UNTIL(due() == -1);
    settle();
    ck_assert_uint_eq(heard_count(), 0);
    /* and it is noticed again */
    peer_free(peer);
    SPIN_UNTIL(vadm_server_count_clients(fix.server) == 0);
    fix.echo.calls = 0;
    peer = let_wait(1);
    SPIN_UNTIL(due() >= 0);
    echo_set_hang(FALSE);
    peer_free(peer);
}
END_TEST

/* Jobs wait, for a maximum that is not reached, until it is lowered. */
START_TEST(a_change_of_the_maximum)
{
    VadmServerLimits limits = vadm_config_find_server(fix.config, "libvirtd")->limits;
    Peer *peer = let_wait(1);

    limits.workers_max = 2; /* of the server alone: the pool cannot start one */
    vadm_server_set_limits(fix.server, &limits);
    SPIN_UNTIL(due() > queue_since(1) + SECOND); /* has looked in vain */
    ck_assert(!exhausted());
    ck_assert_uint_eq(heard_count(), 0);
    limits.workers_max = 1;
    vadm_server_set_limits(fix.server, &limits);
    expect_told(1, TRUE, queue_since(1));
    limits.workers_max = 2; /* does not end it: the job still waits */
    vadm_server_set_limits(fix.server, &limits);
    SPIN_UNTIL(due() > g_get_monotonic_time());
    ck_assert(exhausted());
    echo_set_hang(FALSE);
    peer_free(peer);
}
END_TEST

/* The watch is armed, and a call for it may be in the mailbox, when all ends. */
START_TEST(the_end_while_jobs_wait)
{
    Peer *peer = let_wait(3);

    fixture_shutdown_begin();
    echo_set_hang(FALSE);
    if (_i)
        SPIN_UNTIL(fix.stopped);
    peer_free(peer);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("workers");
    TCase *tcase = tcase_create("rule");

    tcase_add_loop_test(tcase, rule, 0, G_N_ELEMENTS(cases));
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("watch");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, exhausted_then_available);
    tcase_add_test(tcase, a_short_queue);
    tcase_add_test(tcase, a_change_of_the_maximum);
    tcase_add_loop_test(tcase, the_end_while_jobs_wait, 0, 2);
    suite_add_tcase(suite, tcase);
    return vadm_unit_main(suite);
}
