/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Places of the pool that are reserved without a worker: they count, limit and wait as jobs do. */
#include "unit.h"

#include "common/lock.h"
#include "daemon/pool-private.h"
#include "daemon/pool.h"

#define PATIENCE (30 * G_USEC_PER_SEC)

/* Jobs wait at a gate, so that a test decides how many workers are busy. */
static VadmMutex gate;
static VadmCond changed;
static gboolean open_gate;
static guint inside;

static VadmPool *pool;
static VadmPoolPlace places[16];
static guint n_places;

static void
setup(void)
{
    vadm_mutex_init(&gate);
    vadm_cond_init(&changed);
}

static void
set_gate(gboolean open)
{
    VADM_LOCK_SCOPE(&gate);

    open_gate = open;
    vadm_cond_broadcast(&changed);
}

/* The oldest one that is held. */
static void
release(gboolean good)
{
    vadm_pool_release(pool, &places[0], good);
    n_places--;
    for (guint i = 0; i < n_places; i++)
        places[i] = places[i + 1];
}

static void
teardown(void)
{
    set_gate(TRUE);
    while (n_places > 0)
        release(TRUE);
    if (pool) {
        ck_assert(vadm_pool_stop(pool, PATIENCE));
        vadm_pool_free(pool);
    }
    vadm_cond_clear(&changed);
    vadm_mutex_clear(&gate);
}

static gboolean
reserve(gboolean priority)
{
    if (!vadm_pool_reserve(pool, priority, &places[n_places]))
        return FALSE;
    n_places++;
    return TRUE;
}

static gboolean
job_run(gpointer data)
{
    VADM_LOCK_SCOPE(&gate);

    (void)data;
    inside++;
    vadm_cond_broadcast(&changed);
    while (!open_gate)
        vadm_cond_wait(&changed, &gate);
    inside--;
    vadm_cond_broadcast(&changed);
    return TRUE;
}

static void
push(gboolean priority)
{
    vadm_pool_push(pool, priority, job_run, NULL, NULL);
}

static void
wait_inside(guint n)
{
    gint64 deadline = g_get_monotonic_time() + PATIENCE;
    VADM_LOCK_SCOPE(&gate);

    while (inside != n)
        ck_assert(vadm_cond_wait_until(&changed, &gate, deadline));
}

static guint
count_inside(void)
{
    VADM_LOCK_SCOPE(&gate);
    return inside;
}

static VadmPoolStats
stats(void)
{
    VadmPoolStats s;

    vadm_pool_get_stats(pool, &s);
    return s;
}

/* Threads start and retire by themselves. */
static void
wait_workers(guint current, guint idle, guint priority)
{
    gint64 deadline = g_get_monotonic_time() + PATIENCE;
    VadmPoolStats s = stats();

    while (s.current != current || s.free != idle || s.priority != priority) {
        ck_assert_msg(g_get_monotonic_time() < deadline,
                      "current %u, free %u, priority %u; wanted %u, %u, %u", s.current, s.free,
                      s.priority, current, idle, priority);
        g_usleep(500);
        s = stats();
    }
}

static void
wait_done(guint64 n)
{
    gint64 deadline = g_get_monotonic_time() + PATIENCE;

    while (stats().done != n) {
        ck_assert_msg(g_get_monotonic_time() < deadline, "only %d jobs done", (int)stats().done);
        g_usleep(500);
    }
}

/* A priority worker does not show in the numbers until it has looked for work. */
static void
make_pool(guint32 min, guint32 max, guint32 priority)
{
    VadmPoolLimits limits = {min, max, priority};
    gboolean started;

    pool = vadm_pool_new("test", &limits, NULL);
    wait_workers(min, min, priority);
    do {
        VADM_LOCK_SCOPE(&pool->lock);
        started = pool->starting[VADM_WORKER_PRIORITY] == 0;
    } while (!started);
}

static VadmPoolChange *
prepare(guint32 min, guint32 max, guint32 priority)
{
    VadmPoolLimits limits = {min, max, priority};
    VadmPoolChange *change = vadm_pool_prepare(pool, &limits, NULL);

    ck_assert_ptr_nonnull(change);
    return change;
}

static void
change_to(guint32 min, guint32 max, guint32 priority)
{
    VadmPoolChange *change = prepare(min, max, priority);

    vadm_pool_commit(change);
    vadm_pool_finish(change);
}

START_TEST(counts_as_a_busy_worker)
{
    make_pool(2, 2, 0);
    ck_assert(reserve(FALSE));
    ck_assert_uint_eq(stats().current, 2);
    ck_assert_uint_eq(stats().free, 1);
    ck_assert(reserve(FALSE));
    ck_assert_uint_eq(stats().free, 0);
    ck_assert_uint_eq(stats().queue_depth, 0);
    ck_assert_uint_eq(stats().done, 0);
    ck_assert(!reserve(FALSE));
    g_usleep(20000);
    release(TRUE);
    release(FALSE);
    ck_assert_uint_eq(stats().free, 2);
    ck_assert_uint_eq(stats().done, 2);
    ck_assert_uint_eq(stats().failed, 1);
    ck_assert_uint_ge(stats().run_time, 40000);
    ck_assert_uint_lt(stats().run_time, PATIENCE);
    ck_assert_uint_eq(stats().wait_time, 0);
}
END_TEST

START_TEST(ordinary_work_gets_no_priority_worker)
{
    make_pool(1, 1, 2);
    ck_assert(reserve(FALSE));
    ck_assert(!reserve(FALSE));
}
END_TEST

START_TEST(priority_work_leaves_the_ordinary_worker_free)
{
    make_pool(1, 1, 1);
    ck_assert(reserve(TRUE));
    ck_assert_uint_eq(stats().free, 1);
    ck_assert(reserve(TRUE));
    ck_assert_uint_eq(stats().free, 0);
    ck_assert(!reserve(TRUE));
    release(TRUE); /* the priority worker's */
    ck_assert(!reserve(FALSE));
    ck_assert(reserve(TRUE));
}
END_TEST

START_TEST(jobs_wait_for_the_place)
{
    make_pool(1, 1, 1);
    ck_assert(reserve(FALSE));
    push(FALSE);
    g_usleep(20000);
    ck_assert_uint_eq(count_inside(), 0);
    ck_assert_uint_eq(stats().queue_depth, 1);
    release(TRUE);
    wait_inside(1);
    ck_assert_uint_eq(stats().queue_depth, 0);
    ck_assert_uint_ge(stats().wait_time, 20000);
    set_gate(TRUE);
    wait_done(2);
}
END_TEST

START_TEST(priority_jobs_wait_for_either_place)
{
    make_pool(1, 1, 1);
    ck_assert(reserve(TRUE));
    ck_assert(reserve(TRUE));
    push(TRUE);
    push(TRUE);
    ck_assert_uint_eq(stats().queue_depth, 2);
    release(TRUE); /* the priority worker's */
    wait_inside(1);
    ck_assert_uint_eq(stats().queue_depth, 1);
    release(TRUE);
    wait_inside(2);
}
END_TEST

/* The one worker has looked, and sleeps: it has to be woken for a priority job, too. */
START_TEST(priority_job_is_taken_at_release)
{
    make_pool(1, 1, 0);
    for (guint round = 0; round < 20; round++) {
        set_gate(FALSE);
        ck_assert(reserve(TRUE));
        push(TRUE);
        g_usleep(1000);
        release(TRUE);
        wait_inside(1);
        set_gate(TRUE);
        wait_workers(1, 1, 0);
    }
}
END_TEST

START_TEST(does_not_overtake_jobs)
{
    make_pool(1, 1, 0);
    for (guint round = 0; round < 200; round++) {
        set_gate(FALSE);
        ck_assert(reserve(FALSE));
        push(FALSE);
        release(TRUE);
        /* the job has the place, taken or not */
        ck_assert(!reserve(FALSE));
        ck_assert(!reserve(TRUE));
        set_gate(TRUE);
        wait_done(2 * round + 2);
        wait_workers(1, 1, 0);
    }
}
END_TEST

START_TEST(priority_work_overtakes_ordinary_jobs_only)
{
    make_pool(1, 1, 1);
    push(FALSE);
    wait_inside(1);
    push(FALSE);
    ck_assert(reserve(TRUE));
    push(TRUE);
    ck_assert(!reserve(TRUE));
    release(TRUE);
    wait_inside(2); /* the priority job's */
    ck_assert_uint_eq(stats().queue_depth, 1);
    ck_assert(!reserve(TRUE));
}
END_TEST

START_TEST(a_job_that_finds_no_worker_starts_one)
{
    make_pool(1, 2, 0);
    ck_assert(reserve(FALSE));
    ck_assert(!reserve(FALSE)); /* has no thread to start */
    ck_assert_uint_eq(stats().current, 1);
    push(FALSE);
    wait_inside(1);
    wait_workers(2, 0, 0);
    set_gate(TRUE);
    wait_workers(2, 1, 0);
    ck_assert(reserve(FALSE));
}
END_TEST

START_TEST(surplus_retires_when_released)
{
    make_pool(4, 4, 2);
    for (guint i = 0; i < 4; i++)
        ck_assert(reserve(FALSE));
    ck_assert(reserve(TRUE));
    ck_assert(reserve(TRUE));
    change_to(1, 2, 1);
    g_usleep(20000);
    wait_workers(4, 0, 2);
    release(TRUE);
    wait_workers(3, 0, 2);
    ck_assert(!reserve(FALSE));
    release(TRUE);
    wait_workers(2, 0, 2);
    release(TRUE);
    wait_workers(2, 1, 2);
    ck_assert(reserve(FALSE));
    release(TRUE);
    release(TRUE); /* a priority worker's */
    wait_workers(2, 1, 1);
    ck_assert(reserve(TRUE));
    ck_assert(!places[n_places - 1].priority);
}
END_TEST

START_TEST(nobody_is_served_by_who_has_to_go)
{
    make_pool(2, 2, 0);
    ck_assert(reserve(FALSE));
    ck_assert(reserve(FALSE));
    change_to(1, 1, 0);
    push(FALSE);
    release(TRUE);
    wait_workers(1, 0, 0);
    ck_assert_uint_eq(count_inside(), 0);
    release(TRUE);
    wait_inside(1);
    wait_workers(1, 0, 0);
}
END_TEST

START_TEST(surplus_may_be_used_until_a_change_is_settled)
{
    VadmPoolChange *change;

    make_pool(2, 2, 0);
    change = prepare(1, 1, 0);
    vadm_pool_commit(change);
    ck_assert(reserve(FALSE));
    ck_assert(reserve(FALSE));
    vadm_pool_finish(change);
    wait_workers(2, 0, 0);
    release(TRUE);
    wait_workers(1, 0, 0);
    release(TRUE);
    wait_workers(1, 1, 0);
}
END_TEST

START_TEST(new_workers_serve_at_once)
{
    make_pool(1, 1, 0);
    ck_assert(reserve(FALSE));
    change_to(2, 2, 1);
    wait_workers(2, 1, 1);
    ck_assert(reserve(FALSE));
    ck_assert_uint_eq(stats().free, 0);
}
END_TEST

/* What is under way is not cut short: it goes on without a worker of its own, and ends before those
 * that are left are free. */
START_TEST(undo_while_all_are_reserved)
{
    VadmPoolChange *change;

    make_pool(2, 2, 1);
    change = prepare(6, 6, 1);
    vadm_pool_commit(change);
    wait_workers(6, 6, 1);
    for (guint i = 0; i < 6; i++)
        ck_assert(reserve(FALSE));
    vadm_pool_undo(change);
    wait_workers(2, 0, 1);
    push(FALSE);
    for (guint i = 0; i < 4; i++) {
        release(TRUE);
        ck_assert(!reserve(FALSE));
    }
    ck_assert_uint_eq(count_inside(), 0);
    release(TRUE);
    wait_inside(1);
    release(TRUE);
    wait_workers(2, 1, 1);
    vadm_pool_abort(change);
    ck_assert_uint_eq(stats().done, 6);
}
END_TEST

START_TEST(stop_waits_for_places)
{
    make_pool(2, 2, 1);
    ck_assert(reserve(FALSE));
    ck_assert(reserve(TRUE));
    push(FALSE);
    wait_inside(1);
    push(FALSE); /* is destroyed */
    set_gate(TRUE);
    ck_assert(!vadm_pool_stop(pool, 1000));
    ck_assert(!reserve(FALSE));
    ck_assert(!reserve(TRUE));
    release(TRUE);
    ck_assert(!vadm_pool_stop(pool, 1000));
    release(TRUE);
    ck_assert(vadm_pool_stop(pool, PATIENCE));
    ck_assert_uint_eq(stats().current, 0);
}
END_TEST

/* Places of workers that an undo has taken away: there is no thread any more that could be waited
 * for. */
START_TEST(stop_waits_for_places_without_threads)
{
    VadmPoolChange *change;

    make_pool(0, 4, 0);
    change = prepare(2, 4, 0);
    vadm_pool_commit(change);
    wait_workers(2, 2, 0);
    ck_assert(reserve(FALSE));
    ck_assert(reserve(FALSE));
    vadm_pool_abort(change);
    wait_workers(0, 0, 0);
    ck_assert(!vadm_pool_stop(pool, 20000));
    release(TRUE);
    release(TRUE);
    ck_assert(vadm_pool_stop(pool, PATIENCE));
}
END_TEST

static gpointer
release_later(gpointer data)
{
    (void)data;
    g_usleep(20000);
    vadm_pool_release(pool, &places[0], TRUE);
    return NULL;
}

START_TEST(stop_is_woken_by_a_release)
{
    GThread *thread;

    make_pool(1, 1, 0);
    ck_assert(reserve(FALSE));
    thread = g_thread_new("release", release_later, NULL);
    ck_assert(vadm_pool_stop(pool, PATIENCE));
    g_thread_join(thread);
    n_places = 0;
}
END_TEST

static void
count_starved(gpointer user)
{
    ++*(guint *)user;
}

START_TEST(jobs_behind_places_are_starved)
{
    guint starved = 0;

    make_pool(1, 1, 0);
    vadm_pool_watch(pool, count_starved, &starved);
    ck_assert(reserve(FALSE));
    ck_assert_uint_eq(starved, 0);
    push(FALSE);
    ck_assert_uint_eq(starved, 1);
    ck_assert(!vadm_pool_rearm(pool));
    release(TRUE);
    wait_inside(1);
    ck_assert(vadm_pool_rearm(pool));
    set_gate(TRUE);
    wait_done(2);
}
END_TEST

/* How much is under way at a time, and how much ever was. */
static gint busy, most;

static void
begin(void)
{
    gint now = g_atomic_int_add(&busy, 1) + 1;
    gint seen = g_atomic_int_get(&most);

    while (now > seen && !g_atomic_int_compare_and_exchange(&most, seen, now))
        seen = g_atomic_int_get(&most);
}

static gboolean
job_count(gpointer data)
{
    begin();
    g_atomic_int_inc((gint *)data);
    g_atomic_int_add(&busy, -1);
    return TRUE;
}

/* As the relay does: a place if there is one, else a job. */
static gpointer
work(gpointer data)
{
    for (guint i = 0; i < 3000; i++) {
        VadmPoolPlace place;

        if (vadm_pool_reserve(pool, i % 3 == 0, &place)) {
            begin();
            if (i % 7 == 0)
                g_thread_yield();
            g_atomic_int_inc((gint *)data);
            g_atomic_int_add(&busy, -1);
            vadm_pool_release(pool, &place, TRUE);
        } else {
            vadm_pool_push(pool, i % 3 == 0, job_count, data, NULL);
        }
    }
    return NULL;
}

static void
work_in_threads(GThread **threads, guint n, gint *count)
{
    for (guint i = 0; i < n; i++)
        threads[i] = g_thread_new("work", work, count);
}

START_TEST(never_more_than_workers)
{
    GThread *threads[4];
    gint count = 0;

    make_pool(0, 2, 1);
    busy = most = 0;
    work_in_threads(threads, G_N_ELEMENTS(threads), &count);
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        g_thread_join(threads[i]);
    wait_done(12000);
    ck_assert_int_eq(g_atomic_int_get(&count), 12000);
    ck_assert_int_le(g_atomic_int_get(&most), 3);
    wait_workers(stats().current, stats().current, 1);
}
END_TEST

START_TEST(all_is_done_while_limits_change)
{
    GThread *threads[3];
    gint count = 0;

    make_pool(1, 4, 1);
    work_in_threads(threads, G_N_ELEMENTS(threads), &count);
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
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        g_thread_join(threads[i]);
    wait_done(9000);
    ck_assert_int_eq(g_atomic_int_get(&count), 9000);
    ck_assert_uint_eq(stats().queue_depth, 0);
    change_to(2, 2, 1);
    wait_workers(2, 2, 1);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("pool-place");
    TCase *tc = tcase_create("place");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, counts_as_a_busy_worker);
    tcase_add_test(tc, ordinary_work_gets_no_priority_worker);
    tcase_add_test(tc, priority_work_leaves_the_ordinary_worker_free);
    tcase_add_test(tc, jobs_wait_for_the_place);
    tcase_add_test(tc, priority_jobs_wait_for_either_place);
    tcase_add_test(tc, priority_job_is_taken_at_release);
    tcase_add_test(tc, does_not_overtake_jobs);
    tcase_add_test(tc, priority_work_overtakes_ordinary_jobs_only);
    tcase_add_test(tc, a_job_that_finds_no_worker_starts_one);
    tcase_add_test(tc, surplus_retires_when_released);
    tcase_add_test(tc, nobody_is_served_by_who_has_to_go);
    tcase_add_test(tc, surplus_may_be_used_until_a_change_is_settled);
    tcase_add_test(tc, new_workers_serve_at_once);
    tcase_add_test(tc, undo_while_all_are_reserved);
    tcase_add_test(tc, stop_waits_for_places);
    tcase_add_test(tc, stop_waits_for_places_without_threads);
    tcase_add_test(tc, stop_is_woken_by_a_release);
    tcase_add_test(tc, jobs_behind_places_are_starved);
    tcase_add_test(tc, never_more_than_workers);
    tcase_add_test(tc, all_is_done_while_limits_change);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
