/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unit.h"

#include <signal.h>
#include <string.h>

#include "common/lock.h"
#include "daemon/pool-private.h"
#include "daemon/pool.h"

#define PATIENCE (30 * G_USEC_PER_SEC)

/* A gate that jobs wait at, so that a test decides how many workers are busy. */
typedef struct {
    VadmMutex lock;
    VadmCond changed;
    guint inside, destroyed;
    gboolean open;
    GString *order;
} Gate;

static Gate gate;
static VadmPool *pool;
static guint threads_allowed;

static int
create_some(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *data)
{
    if (threads_allowed == 0)
        return EAGAIN;
    threads_allowed--;
    return pthread_create(thread, attr, run, data);
}

static void
setup(void)
{
    vadm_mutex_init(&gate.lock);
    vadm_cond_init(&gate.changed);
    gate.order = g_string_new(NULL);
    threads_allowed = G_MAXUINT;
}

static void
change_to(const VadmPoolLimits *limits)
{
    VadmPoolChange *change = vadm_pool_prepare(pool, limits, NULL);

    ck_assert_ptr_nonnull(change);
    vadm_pool_commit(change);
    vadm_pool_finish(change);
}

static void
open_gate(void)
{
    VADM_LOCK_SCOPE(&gate.lock);

    gate.open = TRUE;
    vadm_cond_broadcast(&gate.changed);
}

static void
close_gate(void)
{
    VADM_LOCK_SCOPE(&gate.lock);

    gate.open = FALSE;
}

static void
teardown(void)
{
    open_gate();
    if (pool) {
        ck_assert(vadm_pool_stop(pool, PATIENCE));
        vadm_pool_free(pool);
    }
    g_string_free(gate.order, TRUE);
    vadm_cond_clear(&gate.changed);
    vadm_mutex_clear(&gate.lock);
}

static void
make_pool(guint32 min, guint32 max, guint32 priority)
{
    VadmPoolLimits limits = {min, max, priority};

    pool = vadm_pool_new_with("a-server-with-a-long-name", &limits, create_some, NULL);
    ck_assert_ptr_nonnull(pool);
}

/* @data: a letter, or NULL; lower case ones fail */
static gboolean
job_run(gpointer data)
{
    VADM_LOCK_SCOPE(&gate.lock);

    gate.inside++;
    vadm_cond_broadcast(&gate.changed);
    while (!gate.open)
        vadm_cond_wait(&gate.changed, &gate.lock);
    gate.inside--;
    vadm_cond_broadcast(&gate.changed);
    if (data)
        g_string_append_c(gate.order, (char)GPOINTER_TO_INT(data));
    return !data || g_ascii_isupper((char)GPOINTER_TO_INT(data));
}

static void
job_destroy(gpointer data)
{
    VADM_LOCK_SCOPE(&gate.lock);

    (void)data;
    gate.destroyed++;
    vadm_cond_broadcast(&gate.changed);
}

static void
push(guint n, gboolean priority)
{
    for (guint i = 0; i < n; i++)
        vadm_pool_push(pool, priority, job_run, NULL, job_destroy);
}

static void
wait_inside(guint n)
{
    gint64 deadline = g_get_monotonic_time() + PATIENCE;
    VADM_LOCK_SCOPE(&gate.lock);

    while (gate.inside != n)
        ck_assert(vadm_cond_wait_until(&gate.changed, &gate.lock, deadline));
}

/* Numbers that come about when threads have noticed: polled, with a deadline. */
static void
wait_stats(gint64 current, gint64 idle, gint64 priority)
{
    gint64 deadline = g_get_monotonic_time() + PATIENCE;
    VadmPoolStats s;

    for (;;) {
        vadm_pool_get_stats(pool, &s);
        ck_assert_uint_le(s.free, s.current);
        if ((current < 0 || s.current == current) && (idle < 0 || s.free == idle) &&
            (priority < 0 || s.priority == priority))
            return;
        if (g_get_monotonic_time() > deadline)
            ck_abort_msg("current %u, free %u, priority %u; wanted %d, %d, %d", s.current, s.free,
                         s.priority, (int)current, (int)idle, (int)priority);
        g_usleep(500);
    }
}

static void
wait_done(guint64 n)
{
    gint64 deadline = g_get_monotonic_time() + PATIENCE;
    VadmPoolStats s;

    do {
        vadm_pool_get_stats(pool, &s);
        ck_assert_msg(g_get_monotonic_time() < deadline, "only %d jobs done", (int)s.done);
        g_usleep(500);
    } while (s.done != n);
}

static VadmPoolChange *
prepare(guint32 min, guint32 max, guint32 priority)
{
    VadmPoolLimits limits = {min, max, priority};
    VadmPoolChange *change = vadm_pool_prepare(pool, &limits, NULL);

    ck_assert_ptr_nonnull(change);
    return change;
}

START_TEST(starts_with_minimum)
{
    make_pool(3, 7, 2);
    wait_stats(3, 3, 2);
}
END_TEST

START_TEST(grows_by_load_to_maximum_and_stays)
{
    VadmPoolStats s;

    make_pool(1, 4, 0);
    wait_stats(1, 1, 0);
    push(6, FALSE);
    wait_inside(4);
    vadm_pool_get_stats(pool, &s);
    ck_assert_uint_eq(s.current, 4);
    ck_assert_uint_eq(s.free, 0);
    ck_assert_uint_eq(s.queue_depth, 2);
    open_gate();
    wait_done(6);
    wait_stats(4, 4, 0);
    ck_assert_uint_eq(gate.destroyed, 6);
}
END_TEST

START_TEST(does_not_grow_while_a_worker_is_free)
{
    make_pool(2, 10, 0);
    wait_stats(2, 2, 0);
    push(2, FALSE);
    wait_inside(2);
    wait_stats(2, 0, 0);
}
END_TEST

START_TEST(grows_from_none)
{
    make_pool(0, 1, 0);
    open_gate();
    push(1, FALSE);
    wait_done(1);
    wait_stats(1, 1, 0);
}
END_TEST

START_TEST(priority_workers_take_priority_jobs_only)
{
    VadmPoolStats s;

    make_pool(1, 1, 1);
    push(1, FALSE);
    wait_inside(1);
    push(1, FALSE); /* must wait: the priority worker does not take it */
    push(1, TRUE);
    wait_inside(2);
    vadm_pool_get_stats(pool, &s);
    ck_assert_uint_eq(s.queue_depth, 1);
    ck_assert_uint_eq(s.current, 1);
    open_gate();
    wait_done(3);
}
END_TEST

START_TEST(priority_jobs_go_first_each_kind_in_order)
{
    VadmPoolStats s;

    make_pool(1, 1, 0);
    push(1, FALSE);
    wait_inside(1);
    for (const char *c = "ABc"; *c; c++)
        vadm_pool_push(pool, FALSE, job_run, GINT_TO_POINTER(*c), NULL);
    for (const char *c = "XYz"; *c; c++)
        vadm_pool_push(pool, TRUE, job_run, GINT_TO_POINTER(*c), NULL);
    open_gate();
    wait_done(7);
    ck_assert_str_eq(gate.order->str, "XYzABc");
    vadm_pool_get_stats(pool, &s);
    ck_assert_uint_eq(s.failed, 2);
}
END_TEST

static gboolean
job_sleep(gpointer data)
{
    (void)data;
    g_usleep(20000);
    return TRUE;
}

START_TEST(times_are_summed)
{
    VadmPoolStats s;

    make_pool(1, 1, 0);
    vadm_pool_push(pool, FALSE, job_run, NULL, NULL);
    wait_inside(1);
    for (guint i = 0; i < 3; i++)
        vadm_pool_push(pool, FALSE, job_sleep, NULL, NULL);
    open_gate();
    wait_done(4);
    vadm_pool_get_stats(pool, &s);
    ck_assert_uint_ge(s.run_time, 60000);
    ck_assert_uint_ge(s.wait_time, 60000); /* 0 + 20 + 40 ms */
    ck_assert_uint_lt(s.run_time, PATIENCE);
}
END_TEST

static gboolean
job_inspect(gpointer data)
{
    sigset_t blocked;

    pthread_getname_np(pthread_self(), data, 16);
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    return sigismember(&blocked, SIGTERM) == 1 && sigismember(&blocked, SIGHUP) == 1;
}

START_TEST(threads_have_names_and_no_signals)
{
    char ordinary[16] = "", priority[16] = "";
    VadmPoolStats s;

    make_pool(0, 1, 1);
    vadm_pool_push(pool, TRUE, job_inspect, priority, NULL);
    wait_done(1);
    vadm_pool_push(pool, FALSE, job_inspect, ordinary, NULL);
    wait_done(2);
    vadm_pool_get_stats(pool, &s);
    ck_assert_uint_eq(s.failed, 0);
    ck_assert_str_eq(ordinary, "rpc-a-server-wi");
    ck_assert_str_eq(priority, "prio-rpc-a-serv");
}
END_TEST

START_TEST(a_change_shows_at_commit_only)
{
    VadmPoolChange *change;

    make_pool(2, 4, 1);
    wait_stats(2, 2, 1);
    change = prepare(6, 9, 3);
    wait_stats(2, 2, 1);
    vadm_pool_commit(change);
    wait_stats(6, 6, 3);
    vadm_pool_finish(change);
    wait_stats(6, 6, 3);
    push(12, FALSE);
    wait_inside(9);
    wait_stats(9, 0, 3);
    open_gate();
    wait_done(12);
}
END_TEST

START_TEST(abort_ends_the_parked_threads)
{
    VadmPoolChange *change;

    make_pool(2, 4, 1);
    change = prepare(30, 40, 9);
    vadm_pool_abort(change);
    wait_stats(2, 2, 1);
    push(5, FALSE);
    wait_inside(4);
}
END_TEST

START_TEST(undo_puts_back_what_was)
{
    VadmPoolChange *change;

    make_pool(2, 4, 1);
    wait_stats(2, 2, 1);
    change = prepare(6, 9, 3);
    vadm_pool_commit(change);
    wait_stats(6, 6, 3);
    push(9, FALSE);
    wait_inside(9);
    wait_stats(9, 0, 3);
    vadm_pool_undo(change);
    open_gate();
    wait_done(9);
    /* what the load had brought stays, up to the old maximum */
    wait_stats(4, 4, 1);
    close_gate();
    push(5, FALSE);
    wait_inside(4);
    vadm_pool_abort(change);
    wait_stats(4, 0, 1);
}
END_TEST

START_TEST(undo_can_be_committed_again)
{
    VadmPoolChange *change;

    make_pool(1, 1, 0);
    change = prepare(5, 5, 2);
    vadm_pool_commit(change);
    vadm_pool_undo(change);
    vadm_pool_undo(change);
    wait_stats(1, 1, 0);
    vadm_pool_commit(change);
    vadm_pool_commit(change);
    wait_stats(5, 5, 2);
    vadm_pool_finish(change);
    open_gate();
    push(20, FALSE);
    wait_done(20);
    wait_stats(5, 5, 2);
}
END_TEST

START_TEST(surplus_retires_at_finish_only)
{
    VadmPoolChange *change;

    make_pool(8, 8, 4);
    wait_stats(8, 8, 4);
    push(3, FALSE);
    wait_inside(3);
    change = prepare(1, 2, 1);
    vadm_pool_commit(change);
    wait_stats(8, 5, 4);
    vadm_pool_finish(change);
    wait_stats(3, 0, 1); /* the three that work cannot go yet */
    open_gate();
    wait_done(3);
    wait_stats(2, 2, 1);
    push(10, FALSE);
    wait_done(13);
    wait_stats(2, 2, 1);
}
END_TEST

START_TEST(a_higher_maximum_serves_jobs_that_wait)
{
    VadmPoolChange *change;

    make_pool(1, 1, 0);
    push(4, FALSE);
    wait_inside(1);
    change = prepare(1, 3, 0);
    vadm_pool_commit(change);
    vadm_pool_finish(change);
    wait_inside(3);
}
END_TEST

/* Priority jobs that a retiring priority worker was woken for are taken by somebody. */
START_TEST(no_priority_job_is_stranded)
{
    make_pool(0, 2, 1);
    open_gate();
    for (guint i = 1; i <= 50; i++) {
        VadmPoolChange *change = prepare(0, 2, i % 2);

        vadm_pool_commit(change);
        push(1, TRUE);
        vadm_pool_finish(change);
        wait_done(i);
    }
}
END_TEST

/* An ordinary worker may take a priority job before a priority worker does: the ordinary job that
 * counted on it must get another worker. */
START_TEST(no_job_waits_below_the_maximum)
{
    make_pool(2, 8, 2);
    for (guint round = 0; round < 300; round++) {
        VadmPoolLimits less = {2, 2, 2}, more = {2, 8, 2};

        push(2, TRUE);
        push(2, FALSE);
        wait_inside(4);
        open_gate();
        wait_inside(0);
        close_gate();
        change_to(&less);
        wait_stats(2, 2, 2);
        change_to(&more);
    }
}
END_TEST

START_TEST(refused_threads_leave_nothing_behind)
{
    VadmPoolLimits limits = {3, 3, 3};
    g_autoptr(GError) error = NULL;

    threads_allowed = 4;
    ck_assert_ptr_null(vadm_pool_new_with("x", &limits, create_some, &error));
    ck_assert(g_error_matches(error, VADM_ERROR, VADM_ERROR_NO_MEMORY));
    g_clear_error(&error);
    threads_allowed = 2 + 1 + 5;
    make_pool(2, 20, 1);
    limits = (VadmPoolLimits){9, 9, 1};
    ck_assert_ptr_null(vadm_pool_prepare(pool, &limits, &error));
    ck_assert(g_error_matches(error, VADM_ERROR, VADM_ERROR_NO_MEMORY));
    wait_stats(2, 2, 1);
    /* a job that no worker can be started for waits, and is done later */
    push(3, FALSE);
    wait_inside(2);
    wait_stats(2, 0, 1);
    open_gate();
    wait_done(3);
}
END_TEST

START_TEST(stop_destroys_what_waits)
{
    make_pool(1, 1, 1);
    push(1, FALSE);
    wait_inside(1);
    push(5, FALSE);
    ck_assert(!vadm_pool_stop(pool, 1000)); /* one still runs */
    ck_assert_uint_eq(gate.destroyed, 5);
    push(2, TRUE);
    ck_assert_uint_eq(gate.destroyed, 7);
    open_gate();
    ck_assert(vadm_pool_stop(pool, PATIENCE));
    ck_assert_uint_eq(gate.destroyed, 8);
    vadm_pool_free(g_steal_pointer(&pool));
}
END_TEST

START_TEST(stop_ends_parked_threads)
{
    VadmPoolLimits limits = {9, 9, 9};
    VadmPoolChange *change;
    g_autoptr(GError) error = NULL;

    make_pool(1, 2, 0);
    change = prepare(6, 6, 2);
    ck_assert(vadm_pool_stop(pool, PATIENCE));
    vadm_pool_commit(change);
    vadm_pool_undo(change);
    vadm_pool_abort(change);
    ck_assert_ptr_null(vadm_pool_prepare(pool, &limits, &error));
    ck_assert(g_error_matches(error, VADM_ERROR, VADM_ERROR_BUSY));
}
END_TEST

static gboolean
job_count(gpointer data)
{
    g_atomic_int_inc((gint *)data);
    return TRUE;
}

static gpointer
push_many(gpointer data)
{
    for (guint i = 0; i < 2000; i++)
        vadm_pool_push(pool, i % 3 == 0, job_count, data, NULL);
    return NULL;
}

START_TEST(every_job_runs_once_while_limits_change)
{
    GThread *threads[3];
    VadmPoolStats s;
    gint count = 0;

    make_pool(1, 4, 1);
    for (guint i = 0; i < 3; i++)
        threads[i] = g_thread_new("pusher", push_many, &count);
    for (guint i = 0; i < 60; i++) {
        VadmPoolChange *change = prepare(i % 5, 5 + i % 4, i % 4);

        vadm_pool_commit(change);
        if (i % 3 == 0) {
            vadm_pool_undo(change);
            vadm_pool_abort(change);
        } else {
            vadm_pool_finish(change);
        }
    }
    for (guint i = 0; i < 3; i++)
        g_thread_join(threads[i]);
    wait_done(6000);
    ck_assert_int_eq(g_atomic_int_get(&count), 6000);
    vadm_pool_get_stats(pool, &s);
    ck_assert_uint_eq(s.queue_depth, 0);
    /* i = 59: min 4, max 8, priority 3 */
    wait_stats(-1, -1, 3);
    vadm_pool_get_stats(pool, &s);
    ck_assert_uint_ge(s.current, 4);
    ck_assert_uint_le(s.current, 8);
}
END_TEST

/* A job wakes one worker. An ordinary worker that was woken for an ordinary job takes the priority
 * job that stands beside it: the worker that is then still free must learn of the other. */
START_TEST(each_job_gets_a_free_worker)
{
    make_pool(2, 2, 1);
    wait_stats(2, 2, 1);
    for (guint round = 0; round < 500; round++) {
        gboolean priority_first = round % 2 == 0;

        close_gate();
        push(1, priority_first);
        push(1, !priority_first);
        wait_inside(2);
        open_gate();
        wait_inside(0);
        wait_stats(2, 2, 1);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("pool");
    TCase *tc = tcase_create("pool");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, starts_with_minimum);
    tcase_add_test(tc, grows_by_load_to_maximum_and_stays);
    tcase_add_test(tc, does_not_grow_while_a_worker_is_free);
    tcase_add_test(tc, grows_from_none);
    tcase_add_test(tc, priority_workers_take_priority_jobs_only);
    tcase_add_test(tc, priority_jobs_go_first_each_kind_in_order);
    tcase_add_test(tc, times_are_summed);
    tcase_add_test(tc, threads_have_names_and_no_signals);
    tcase_add_test(tc, a_change_shows_at_commit_only);
    tcase_add_test(tc, abort_ends_the_parked_threads);
    tcase_add_test(tc, undo_puts_back_what_was);
    tcase_add_test(tc, undo_can_be_committed_again);
    tcase_add_test(tc, surplus_retires_at_finish_only);
    tcase_add_test(tc, a_higher_maximum_serves_jobs_that_wait);
    tcase_add_test(tc, no_priority_job_is_stranded);
    tcase_add_test(tc, each_job_gets_a_free_worker);
    tcase_add_test(tc, no_job_waits_below_the_maximum);
    tcase_add_test(tc, refused_threads_leave_nothing_behind);
    tcase_add_test(tc, stop_destroys_what_waits);
    tcase_add_test(tc, stop_ends_parked_threads);
    tcase_add_test(tc, every_job_runs_once_while_limits_change);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
