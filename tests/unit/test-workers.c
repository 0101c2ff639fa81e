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

/* The pool's call */

static struct {
    VadmPool *pool;
    VadmMutex lock;
    VadmCond changed;
    guint inside, places; /* jobs that run; jobs that may end; under lock */
    gint calls;
} bed;

static void
bed_starved(gpointer user)
{
    ck_assert_ptr_eq(user, &bed);
    g_atomic_int_inc(&bed.calls);
}

static void
bed_setup(void)
{
    vadm_mutex_init(&bed.lock);
    vadm_cond_init(&bed.changed);
}

static void
bed_start(guint32 min, guint32 max, guint32 priority)
{
    const VadmPoolLimits limits = {min, max, priority};
    VadmPoolStats stats;

    bed.pool = vadm_pool_new("test", &limits, NULL);
    vadm_pool_watch(bed.pool, bed_starved, &bed);
    do
        vadm_pool_get_stats(bed.pool, &stats);
    while (stats.free != min || stats.priority != priority);
}

static gboolean
bed_job(gpointer data)
{
    (void)data;
    VADM_LOCK_SCOPE(&bed.lock);
    bed.inside++;
    vadm_cond_broadcast(&bed.changed);
    while (bed.places == 0)
        vadm_cond_wait(&bed.changed, &bed.lock);
    bed.places--;
    bed.inside--;
    vadm_cond_broadcast(&bed.changed);
    return TRUE;
}

static void
bed_push(guint n, gboolean priority)
{
    while (n-- > 0)
        vadm_pool_push(bed.pool, priority, bed_job, NULL, NULL);
}

static void
bed_wait(guint inside)
{
    gint64 deadline = g_get_monotonic_time() + PATIENCE;
    VADM_LOCK_SCOPE(&bed.lock);

    while (bed.inside != inside)
        ck_assert(vadm_cond_wait_until(&bed.changed, &bed.lock, deadline));
}

/* Lets @n jobs end, and others in their places begin. */
static void
bed_let_go(guint n, guint inside)
{
    gint64 deadline = g_get_monotonic_time() + PATIENCE;
    VADM_LOCK_SCOPE(&bed.lock);

    bed.places = n;
    vadm_cond_broadcast(&bed.changed);
    while (bed.places > 0 || bed.inside != inside)
        ck_assert(vadm_cond_wait_until(&bed.changed, &bed.lock, deadline));
}

static void
bed_teardown(void)
{
    vadm_mutex_lock(&bed.lock);
    bed.places = G_MAXUINT;
    vadm_cond_broadcast(&bed.changed);
    vadm_mutex_unlock(&bed.lock);
    ck_assert(vadm_pool_stop(bed.pool, PATIENCE));
    vadm_pool_free(bed.pool);
    vadm_cond_clear(&bed.changed);
    vadm_mutex_clear(&bed.lock);
}

#define EXPECT_CALLS(n) ck_assert_int_eq(g_atomic_int_get(&bed.calls), n)

START_TEST(called_once_until_it_is_rearmed)
{
    bed_start(2, 2, 0);
    bed_push(1, FALSE);
    bed_wait(1);
    EXPECT_CALLS(0); /* one is free still */
    bed_push(1, FALSE);
    bed_wait(2);
    EXPECT_CALLS(0); /* nothing waits */
    bed_push(1, FALSE);
    EXPECT_CALLS(1);
    bed_push(5, FALSE);
    ck_assert(!vadm_pool_rearm(bed.pool));
    bed_let_go(6, 2);
    EXPECT_CALLS(1);
    ck_assert(vadm_pool_rearm(bed.pool));
    EXPECT_CALLS(1);
    bed_push(1, FALSE);
    EXPECT_CALLS(2);
}
END_TEST

/* The free worker was there for the first of them only. */
START_TEST(called_when_more_come_than_are_free)
{
    bed_start(1, 1, 0);
    bed_push(2, FALSE);
    bed_wait(1);
    EXPECT_CALLS(1);
}
END_TEST

/* Nobody waits: each job gets a worker that is started for it, unless it is taken first. */
START_TEST(below_the_maximum_nothing_is_left_waiting)
{
    bed_start(0, 3, 0);
    bed_push(3, FALSE);
    bed_wait(3);
    ck_assert(vadm_pool_rearm(bed.pool));
}
END_TEST

START_TEST(called_for_priority_jobs)
{
    bed_start(1, 1, 1);
    bed_push(1, FALSE);
    bed_wait(1);
    bed_push(1, TRUE);
    bed_wait(2);
    bed_push(1, TRUE);
    EXPECT_CALLS(1);
    ck_assert(!vadm_pool_rearm(bed.pool));
}
END_TEST

/* The worker that is free when the job comes is taken back before, or after, it has seen it: then
 * the job runs, or waits and somebody knows. */
START_TEST(called_when_the_free_worker_is_taken_back)
{
    const VadmPoolLimits limits = {2, 2, 0};
    gint64 deadline = g_get_monotonic_time() + PATIENCE;
    VadmPoolChange *change;
    VadmPoolStats stats;

    bed_start(1, 1, 0);
    bed_push(1, FALSE);
    bed_wait(1);
    change = vadm_pool_prepare(bed.pool, &limits, NULL);
    vadm_pool_commit(change);
    do
        vadm_pool_get_stats(bed.pool, &stats);
    while (stats.free != 1);
    bed_push(1, FALSE);
    vadm_pool_undo(change);
    do {
        ck_assert_int_lt(g_get_monotonic_time(), deadline);
        vadm_pool_get_stats(bed.pool, &stats);
    } while (stats.queue_depth > 0 && g_atomic_int_get(&bed.calls) == 0);
    vadm_pool_abort(change);
}
END_TEST

START_TEST(the_queue_has_a_time)
{
    gint64 before = g_get_monotonic_time(), pushed;
    VadmPoolStats stats;

    bed_start(1, 1, 0);
    vadm_pool_get_stats(bed.pool, &stats);
    ck_assert_int_ge(stats.queue_since, before);
    bed_push(1, FALSE);
    bed_wait(1);
    pushed = g_get_monotonic_time();
    bed_push(1, FALSE);
    vadm_pool_get_stats(bed.pool, &stats);
    before = stats.queue_since;
    ck_assert_int_ge(before, pushed);
    bed_push(1, FALSE);
    bed_let_go(1, 1);
    vadm_pool_get_stats(bed.pool, &stats);
    ck_assert_uint_eq(stats.queue_depth, 1);
    ck_assert_int_eq(stats.queue_since, before); /* it never was empty */
    pushed = g_get_monotonic_time();
    bed_let_go(1, 1);
    vadm_pool_get_stats(bed.pool, &stats);
    ck_assert_uint_eq(stats.queue_depth, 0);
    ck_assert_int_ge(stats.queue_since, pushed);
    ck_assert_int_le(stats.queue_since, g_get_monotonic_time());
}
END_TEST

/* With real jobs */

static void
setup(void)
{
    VadmServerLimits *limits;

    events_setup();
    limits = &server_config()->limits;
    limits->workers_min = limits->workers_max = 1;
    limits->workers_priority = 0;
    limits->client_requests_max = 100;
    events_start();
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

/* However many jobs come and wait for a moment, the main loop has one timer. */
START_TEST(many_short_queues)
{
    gint64 begin = g_get_monotonic_time(), first;
    Peer *peer = let_wait(1);

    SPIN_UNTIL(due() >= 0);
    first = due();
    ck_assert_int_ge(first - begin, SECOND);
    echo_set_hang(FALSE);
    peer_expect_reply(peer, 1, "x");
    peer_expect_reply(peer, 2, "x");
    for (guint32 i = 0; i < 300; i += 3) {
        for (guint32 j = 0; j < 3; j++)
            peer_call(peer, ECHO_WORKER, 3 + i + j, "y");
        for (guint32 j = 0; j < 3; j++)
            peer_expect_reply(peer, 3 + i + j, "y");
        ck_assert(due() == first || g_get_monotonic_time() >= first);
    }
    ck_assert_uint_eq(heard_count(), 0);
    peer_free(peer);
}
END_TEST

/* Jobs wait, for a maximum that is not reached, until it is lowered. */
START_TEST(a_change_of_the_maximum)
{
    VadmServerLimits limits = server_config()->limits;
    Peer *peer;
    gint64 first;

    limits.workers_max = 2; /* of the server alone: the pool cannot start one */
    vadm_server_set_limits(fix.server, &limits);
    peer = let_wait(1);
    SPIN_UNTIL((first = due()) >= 0);
    SPIN_UNTIL(due() > first); /* has looked in vain, and will again */
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
    tcase = tcase_create("pool");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, bed_setup, bed_teardown);
    tcase_add_test(tcase, called_once_until_it_is_rearmed);
    tcase_add_test(tcase, called_when_more_come_than_are_free);
    tcase_add_test(tcase, below_the_maximum_nothing_is_left_waiting);
    tcase_add_test(tcase, called_for_priority_jobs);
    tcase_add_loop_test(tcase, called_when_the_free_worker_is_taken_back, 0, 50);
    tcase_add_test(tcase, the_queue_has_a_time);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("watch");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, events_teardown);
    tcase_add_test(tcase, exhausted_then_available);
    tcase_add_test(tcase, a_short_queue);
    tcase_add_test(tcase, many_short_queues);
    tcase_add_test(tcase, a_change_of_the_maximum);
    tcase_add_loop_test(tcase, the_end_while_jobs_wait, 0, 2);
    suite_add_tcase(suite, tcase);
    return vadm_unit_main(suite);
}
