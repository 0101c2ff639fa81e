/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the service manager is told while all is well, and while a thread is not. */
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "agent/heartbeat.h"
#include "agent/snmp-thread.h"
#include "agent/watchdog.h"
#include "common/lock.h"
#include "fake-source.h"
#include "loop.h"
#include "unit.h"

#define INTERVAL (40 * G_TIME_SPAN_MILLISECOND)

/* ---- the watchdog ---- */

static struct {
    gint64 silence;
    guint asked; /* how often: the ticks */
    const char *status;
    guint alive; /* WATCHDOG=1 */
    GString *statuses;
} manager;

static gint64
manager_get_silence(gpointer user)
{
    ck_assert_ptr_eq(user, &manager);
    manager.asked++;
    return manager.silence;
}

static const char *
manager_get_status(gpointer user)
{
    ck_assert_ptr_eq(user, &manager);
    return manager.status;
}

static void
manager_tell(const char *state, gpointer user)
{
    ck_assert_ptr_eq(user, &manager);
    if (strcmp(state, "WATCHDOG=1") == 0)
        manager.alive++;
    else
        g_string_append_printf(manager.statuses, "%s;", state);
}

static void
manager_set_up(void)
{
    memset(&manager, 0, sizeof(manager));
    manager.status = "one";
    manager.statuses = g_string_new(NULL);
}

static void
manager_tear_down(void)
{
    g_string_free(manager.statuses, TRUE);
}

static VadmWatchdog *
watchdog_new(guint64 interval, gboolean watched)
{
    const VadmWatchdogHooks hooks = {
        .get_silence = watched ? manager_get_silence : NULL,
        .get_status = manager_get_status,
        .tell = manager_tell,
        .user = &manager,
    };

    return vadm_watchdog_new(interval, &hooks);
}

static void
ticks(guint n)
{
    guint until = manager.asked + n;

    LOOP_WAIT_FOR(NULL, manager.asked >= until);
}

START_TEST(test_alive)
{
    VadmWatchdog *watchdog = watchdog_new(INTERVAL, TRUE);

    ck_assert_uint_eq(manager.alive, 1);
    ticks(8);
    ck_assert_uint_eq(manager.alive, manager.asked);
    /* late, as threads are on a busy machine */
    manager.silence = INTERVAL / 2;
    ticks(8);
    ck_assert_uint_eq(manager.alive, manager.asked);
    vadm_watchdog_free(watchdog);
    loop_settle(NULL);
}
END_TEST

START_TEST(test_silent)
{
    VadmWatchdog *watchdog = watchdog_new(INTERVAL, TRUE);
    guint alive = manager.alive;

    manager.silence = INTERVAL / 2 + 1;
    ticks(8);
    ck_assert_uint_eq(manager.alive, alive);
    manager.silence = 0;
    ticks(3);
    ck_assert_uint_eq(manager.alive, alive + 3);
    vadm_watchdog_free(watchdog);
}
END_TEST

/* SNMP is switched off: there is the main loop only. */
START_TEST(test_loop_only)
{
    VadmWatchdog *watchdog = watchdog_new(INTERVAL, FALSE);

    LOOP_WAIT_FOR(NULL, manager.alive >= 5);
    vadm_watchdog_free(watchdog);
    manager.alive = 0;
    g_usleep(INTERVAL);
    loop_settle(NULL);
    ck_assert_uint_eq(manager.alive, 0);
}
END_TEST

START_TEST(test_status)
{
    VadmWatchdog *watchdog = watchdog_new(INTERVAL, TRUE);

    ticks(3);
    manager.status = "two";
    ticks(3);
    manager.silence = G_MAXINT64;
    manager.status = "one";
    ticks(3);
    ck_assert_str_eq(manager.statuses->str, "STATUS=one;STATUS=two;STATUS=one;");
    vadm_watchdog_free(watchdog);
}
END_TEST

/* A manager that does not watch gets no signs of life, and no thread is woken for them. */
START_TEST(test_not_watched)
{
    VadmWatchdog *watchdog = watchdog_new(0, TRUE);

    g_usleep(INTERVAL);
    loop_settle(NULL);
    ck_assert_uint_eq(manager.alive, 0);
    ck_assert_uint_eq(manager.asked, 0);
    ck_assert_str_eq(manager.statuses->str, "STATUS=one;");
    vadm_watchdog_free(watchdog);
}
END_TEST

/* ---- signs of life ---- */

static void *
beat_elsewhere(void *user)
{
    vadm_heartbeat_beat(); /* nobody's */
    vadm_heartbeat_adopt(user);
    return NULL;
}

START_TEST(test_heartbeat)
{
    VadmHeartbeat *own = vadm_heartbeat_new();
    VadmHeartbeat *other = vadm_heartbeat_new();
    gint64 begun = g_get_monotonic_time();
    pthread_t thread;

    vadm_heartbeat_adopt(own);
    g_usleep(3000);
    ck_assert_int_ge(vadm_heartbeat_get_silence(own), 3000);
    ck_assert_int_eq(pthread_create(&thread, NULL, beat_elsewhere, other), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    /* another thread's is not ours */
    ck_assert_int_ge(vadm_heartbeat_get_silence(own), 3000);
    ck_assert_int_lt(vadm_heartbeat_get_silence(other), g_get_monotonic_time() - begun - 2900);
    begun = g_get_monotonic_time();
    vadm_heartbeat_beat();
    ck_assert_int_le(vadm_heartbeat_get_silence(own), g_get_monotonic_time() - begun);
    vadm_heartbeat_adopt(NULL);
    vadm_heartbeat_free(own);
    vadm_heartbeat_free(other);
}
END_TEST

/* ---- of the snmp thread ---- */

/* A source in which the thread gets stuck, on its way to its loop. */
static struct {
    VadmMutex lock;
    VadmCond cond;
    gboolean stuck, released;
    guint (*subscribe)(VadmSource *source, VadmEventFn tell, gpointer user);
} trap;

static guint
trap_subscribe(VadmSource *source, VadmEventFn tell, gpointer user)
{
    vadm_mutex_lock(&trap.lock);
    trap.stuck = TRUE;
    vadm_cond_signal(&trap.cond);
    while (!trap.released)
        vadm_cond_wait(&trap.cond, &trap.lock);
    vadm_mutex_unlock(&trap.lock);
    return trap.subscribe(source, tell, user);
}

static void
trap_wait(gboolean *what)
{
    vadm_mutex_lock(&trap.lock);
    while (!*what)
        vadm_cond_wait(&trap.cond, &trap.lock);
    vadm_mutex_unlock(&trap.lock);
}

START_TEST(test_snmp_thread)
{
    const VadmSnmpConfig config = {.master = "unix:/nonexistent/master", .retry_interval = 3600};
    FakeSource *fake = fake_source_new();
    VadmSourceClass class = *fake->base.class;
    VadmSettings *settings = vadm_settings_new("fake", 0, 0);
    VadmSnmpDaemon daemon = {&fake->base, settings, "fake"};
    VadmSnmpThread *thread;

    signal(SIGPIPE, SIG_IGN);
    vadm_mutex_init(&trap.lock);
    vadm_cond_init(&trap.cond);
    trap.subscribe = class.subscribe;
    class.subscribe = trap_subscribe;
    fake->base.class = &class;
    thread = vadm_snmp_thread_start(&config, &daemon, 1, NULL);
    ck_assert_ptr_nonnull(thread);
    trap_wait(&trap.stuck);
    /* however often it is asked */
    LOOP_WAIT_FOR(NULL, vadm_snmp_thread_get_silence(thread) > 50 * G_TIME_SPAN_MILLISECOND);
    vadm_mutex_lock(&trap.lock);
    trap.released = TRUE;
    vadm_cond_signal(&trap.cond);
    vadm_mutex_unlock(&trap.lock);
    /* With no master agent and nothing to do until in an hour, it wakes to say that it lives. */
    for (guint i = 0; i < 3; i++) {
        g_usleep(20 * G_TIME_SPAN_MILLISECOND);
        LOOP_WAIT_FOR(NULL, vadm_snmp_thread_get_silence(thread) < 10 * G_TIME_SPAN_MILLISECOND);
    }
    ck_assert(vadm_snmp_thread_stop(thread, 20 * G_USEC_PER_SEC));
    vadm_settings_free(settings);
    fake_source_free(fake);
    vadm_cond_clear(&trap.cond);
    vadm_mutex_clear(&trap.lock);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("watchdog");
    TCase *watchdog = tcase_create("watchdog");
    TCase *threads = tcase_create("threads");

    tcase_add_checked_fixture(watchdog, manager_set_up, manager_tear_down);
    tcase_set_timeout(watchdog, 60);
    tcase_add_test(watchdog, test_alive);
    tcase_add_test(watchdog, test_silent);
    tcase_add_test(watchdog, test_loop_only);
    tcase_add_test(watchdog, test_status);
    tcase_add_test(watchdog, test_not_watched);
    suite_add_tcase(suite, watchdog);
    tcase_set_timeout(threads, 60);
    tcase_add_test(threads, test_heartbeat);
    tcase_add_test(threads, test_snmp_thread);
    suite_add_tcase(suite, threads);
    return vadm_unit_main(suite);
}
