/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The remote source when its daemon comes, goes, is silent and is changed. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "remote-fixture.h"

#define INTERVAL 10000 /* ms: longer than any test; refreshes are made by bed_refresh() */
#define SHORT    200   /* ms: where time has to pass */

static Bed *bed;
static FakeServer *libvirtd;

static void
setup(void)
{
    bed = bed_new();
    libvirtd = fake_find_server(bed->fake, "libvirtd");
}

static void
teardown(void)
{
    g_clear_pointer(&bed, bed_free);
}

static void
set_filters(const char *filters)
{
    fake_lock(bed->fake);
    g_free(bed->fake->filters);
    bed->fake->filters = g_strdup(filters);
    fake_unlock(bed->fake);
}

static VadmConfigRow
get_config(void)
{
    VadmView *view = bed->base->class->view_begin(bed->base);
    VadmConfigRow config = *bed->base->class->config(view);

    bed->base->class->view_end(view);
    return config;
}

/* Reachability */

START_TEST(test_daemon_comes_late)
{
    peer_stop_listening(bed->peer); /* bed_start() listens: what came before is refused */
    bed_start(bed, SHORT);
    peer_stop_listening(bed->peer);
    WAIT_FOR(bed_count(bed, VADM_EVENT_DAEMON) == 1);
    ck_assert_int_eq(bed_last(bed, VADM_EVENT_DAEMON)->daemon.state, VADM_REACH_UNREACHABLE);
    ck_assert_str_eq(bed_last(bed, VADM_EVENT_DAEMON)->daemon.uri, BED_URI);
    run_for(5 * SHORT);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_DAEMON), 1);
    peer_listen(bed->peer);
    WAIT_FOR(bed_count(bed, VADM_EVENT_DAEMON) == 2);
    ck_assert_int_eq(bed_last(bed, VADM_EVENT_DAEMON)->daemon.state, VADM_REACH_UP);
    ck_assert_str_eq(bed_last(bed, VADM_EVENT_DAEMON)->daemon.version, "9.0.0");
    ck_assert(bed_is_up(bed));
}
END_TEST

/* A daemon that is started along with us is not called unreachable meanwhile. */
START_TEST(test_daemon_comes_soon)
{
    bed_start(bed, 500);
    peer_stop_listening(bed->peer);
    run_for(300);
    ck_assert(!bed_is_up(bed));
    peer_listen(bed->peer);
    WAIT_FOR(bed_is_up(bed));
    ck_assert_uint_eq(bed->events->len, 0);
}
END_TEST

START_TEST(test_daemon_ends)
{
    VadmServerRow row;

    bed_start_ready(bed, INTERVAL);
    peer_stop_listening(bed->peer);
    peer_close_all(bed->peer);
    WAIT_FOR(bed_count(bed, VADM_EVENT_DAEMON) == 1); /* at once, not three intervals later */
    ck_assert(!bed_is_up(bed));
    ck_assert(!bed_server(bed, 2, &row));
    ck_assert_ptr_null(get_config().log_filters);
    ck_assert_uint_eq(get_config().generation, 1);
}
END_TEST

START_TEST(test_daemon_ends_and_comes_back)
{
    bed_start_ready(bed, INTERVAL);
    for (guint i = 1; i <= 20; i++) {
        peer_stop_listening(bed->peer);
        peer_close_all(bed->peer);
        WAIT_FOR(bed_count(bed, VADM_EVENT_DAEMON) == 2 * i - 1);
        ck_assert(!bed_is_up(bed));
        peer_listen(bed->peer);
        WAIT_FOR(bed_is_up(bed));
        ck_assert_uint_eq(bed_count(bed, VADM_EVENT_DAEMON), 2 * i);
    }
    ck_assert_uint_eq(bed->events->len, 40); /* no news of clients, limits, configuration */
    ck_assert_uint_eq(peer_n_open(bed->peer), 1);
    ck_assert_uint_eq(get_config().generation, 1);
}
END_TEST

/* Not more often than every interval, but for the first attempts. */
START_TEST(test_attempts_are_spread)
{
    guint n;

    peer_turn_away(bed->peer, TRUE);
    bed_start(bed, 400);
    run_for(2000);
    n = peer_n_connections(bed->peer);
    ck_assert_msg(n >= 4 && n <= 13, "%u connections in five intervals", n);
}
END_TEST

/* A daemon that was stopped: what is known is served, but not for long. */
START_TEST(test_silence)
{
    gint64 begun, lost;

    bed_start_ready(bed, SHORT);
    peer_read(bed->peer, FALSE);
    WAIT_FOR(vadm_remote_get_in_flight(bed->source) > 0);
    begun = bed->source->snapshot->taken;
    ck_assert(bed_is_up(bed));
    WAIT_FOR(bed_count(bed, VADM_EVENT_DAEMON) == 1);
    begun = bed->source->snapshot->taken; /* of the last that was read */
    lost = bed_last(bed, VADM_EVENT_DAEMON)->at;
    ck_assert_int_gt(lost - begun, 3 * SHORT * 1000);
    ck_assert_int_eq(bed_last(bed, VADM_EVENT_DAEMON)->daemon.state, VADM_REACH_UNREACHABLE);
    ck_assert(!bed_is_up(bed));
    run_for(5 * SHORT);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_DAEMON), 1);
    ck_assert_uint_eq(peer_n_connections(bed->peer), 1); /* it is waited for */
    peer_read(bed->peer, TRUE);
    WAIT_FOR(bed_count(bed, VADM_EVENT_DAEMON) == 2);
    ck_assert(bed_is_up(bed));
    ck_assert_uint_eq(peer_n_connections(bed->peer), 1);
}
END_TEST

/* Readers judge by themselves: they do not depend on a main loop that has time. */
START_TEST(test_staleness_without_main_loop)
{
    bed_start_ready(bed, SHORT);
    ck_assert(bed_is_up(bed));
    g_usleep(4 * SHORT * 1000);
    ck_assert(!bed_is_up(bed));
    bed_refresh(bed);
    ck_assert(bed_is_up(bed));
}
END_TEST

/* A full daemon accepts no more, and says nothing: it is waited for with one connection. */
START_TEST(test_full_daemon)
{
    bed_start(bed, SHORT);
    peer_accept(bed->peer, FALSE);
    WAIT_FOR(bed_count(bed, VADM_EVENT_DAEMON) == 1);
    run_for(5 * SHORT);
    ck_assert(!bed_is_up(bed));
    peer_accept(bed->peer, TRUE);
    WAIT_FOR(bed_is_up(bed));
    ck_assert_uint_eq(peer_n_connections(bed->peer), 1);
}
END_TEST

/* One that answers too slowly for what it tells to be of use. */
START_TEST(test_slow_daemon)
{
    bed_start_ready(bed, SHORT);
    peer_hold(bed->peer, VADM_ADMIN_PROC_SERVER_LIST_CLIENTS);
    WAIT_FOR(bed_count(bed, VADM_EVENT_DAEMON) == 1);
    peer_release(bed->peer, VADM_ADMIN_PROC_SERVER_LIST_CLIENTS, FALSE);
    WAIT_FOR(bed_is_up(bed));
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_DAEMON), 2);
}
END_TEST

START_TEST(test_refused_servers)
{
    bed_start_ready(bed, SHORT);
    peer_refuse(bed->peer, VADM_ADMIN_PROC_CONNECT_LIST_SERVERS, VADM_VIR_ERR_NO_MEMORY, "none");
    WAIT_FOR(bed_count(bed, VADM_EVENT_DAEMON) == 1);
    ck_assert(!bed_is_up(bed));
}
END_TEST

START_TEST(test_garbage)
{
    bed_start_ready(bed, INTERVAL);
    peer_send_raw(bed->peer, "\x7f\xff\xff\xffgarbage", 11);
    WAIT_FOR(bed_count(bed, VADM_EVENT_DAEMON) == 2);
    ck_assert_uint_eq(peer_n_connections(bed->peer), 2);
    ck_assert(bed_is_up(bed));
}
END_TEST

START_TEST(test_drop)
{
    guint versions;

    bed_start_ready(bed, INTERVAL);
    versions = peer_n_calls(bed->peer, VADM_ADMIN_PROC_CONNECT_GET_LIB_VERSION);
    vadm_remote_drop(bed->source, "the test says so");
    ck_assert(bed_is_up(bed)); /* nothing says that it cannot be reached */
    WAIT_FOR(peer_n_calls(bed->peer, VADM_ADMIN_PROC_CONNECT_GET_LIB_VERSION) > versions);
    bed_refresh(bed);
    ck_assert_uint_eq(bed->events->len, 0);
    ck_assert_uint_eq(peer_n_open(bed->peer), 1);
}
END_TEST

/* Events */

START_TEST(test_clients_come_and_go)
{
    const VadmEvent *event;

    fake_add_client(bed->fake, "libvirtd", 5);
    bed_start_ready(bed, INTERVAL);
    ck_assert_uint_eq(bed->events->len, 0);
    fake_add_client(bed->fake, "libvirtd", 6);
    bed_refresh(bed);
    ck_assert_uint_eq(bed->events->len, 1);
    event = bed_last(bed, VADM_EVENT_CLIENT_CONNECTED);
    ck_assert_str_eq(event->daemon.name, "libvirtd");
    ck_assert_int_eq(event->daemon.state, VADM_REACH_UP);
    ck_assert_uint_eq(event->server.index, 2);
    ck_assert_str_eq(event->server.name, "libvirtd");
    ck_assert_uint_eq(event->server.clients_current, 2);
    ck_assert_uint_eq(event->client.index, 6);
    ck_assert_uint_eq(event->client.identity->pid, 4006);
    ck_assert_uint_ge(event->client.age, 60);
    bed_forget(bed);
    fake_remove_client(bed->fake, "libvirtd", 5);
    bed_refresh(bed);
    ck_assert_uint_eq(bed->events->len, 1);
    event = bed_last(bed, VADM_EVENT_CLIENT_DISCONNECTED);
    ck_assert_uint_eq(event->client.index, 5);
    ck_assert_int_eq(event->client.disconnect_reason, VADM_DISCONNECT_UNKNOWN);
    ck_assert_uint_eq(event->client.identity->pid, 4005);
    ck_assert_uint_eq(event->server.clients_current, 1);
}
END_TEST

/* Another connection: perhaps another daemon, whose client 5 is another one. */
START_TEST(test_no_client_events_over_a_reconnect)
{
    VadmClientRow row;

    fake_add_client(bed->fake, "libvirtd", 5);
    bed_start_ready(bed, INTERVAL);
    peer_read(bed->peer, FALSE);
    fake_remove_client(bed->fake, "libvirtd", 5);
    FAKE_SET(bed->fake, libvirtd->clients->len = 0);
    fake_add_client(bed->fake, "libvirtd", 5)->pid = 77;
    peer_close_all(bed->peer);
    peer_read(bed->peer, TRUE);
    WAIT_FOR(bed_count(bed, VADM_EVENT_DAEMON) == 2);
    ck_assert_uint_eq(bed->events->len, 2);
    ck_assert(bed_client(bed, 2, 5, &row));
    ck_assert_uint_eq(row.identity->pid, 77);
}
END_TEST

START_TEST(test_limits)
{
    VadmServerRow row;
    const VadmEvent *event;

    bed_start_ready(bed, INTERVAL); /* high from 8, full from 10; lower again from 7 and 9 */
    FAKE_SET(bed->fake, libvirtd->limits[LIMIT_CURRENT] = 8);
    bed_refresh(bed);
    event = bed_last(bed, VADM_EVENT_CLIENT_LIMIT);
    ck_assert_int_eq(event->server.clients_state, VADM_LIMIT_HIGH);
    ck_assert_uint_eq(event->server.clients_current, 8);
    ck_assert_uint_eq(event->server.clients_max, 10);
    ck_assert_uint_eq(event->server.clients_high_percent, 80);
    FAKE_SET(bed->fake, libvirtd->limits[LIMIT_CURRENT] = 10);
    bed_refresh(bed);
    FAKE_SET(bed->fake, libvirtd->limits[LIMIT_CURRENT] = 9);
    bed_refresh(bed);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CLIENT_LIMIT), 3);
    event = bed_last(bed, VADM_EVENT_CLIENT_LIMIT);
    ck_assert_int_eq(event->server.clients_state, VADM_LIMIT_HIGH);
    ck_assert(bed_server(bed, 2, &row));
    ck_assert_int_eq(row.clients_state, VADM_LIMIT_HIGH);
    ck_assert_uint_eq(row.clients_full_events, 1);
    FAKE_SET(bed->fake, libvirtd->limits[LIMIT_CURRENT] = 8);
    bed_refresh(bed);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CLIENT_LIMIT), 3);
    FAKE_SET(bed->fake, libvirtd->limits[LIMIT_CURRENT] = 1);
    bed_refresh(bed);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CLIENT_LIMIT), 4);
    ck_assert_int_eq(bed_last(bed, VADM_EVENT_CLIENT_LIMIT)->server.clients_state,
                     VADM_LIMIT_NORMAL);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CONFIG), 0);
}
END_TEST

START_TEST(test_unauth_limit)
{
    bed_start_ready(bed, INTERVAL);
    FAKE_SET(bed->fake, libvirtd->limits[LIMIT_UNAUTH] = 5);
    bed_refresh(bed);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_UNAUTH_LIMIT), 0); /* 0: no limit */
    FAKE_SET(bed->fake, libvirtd->limits[LIMIT_UNAUTH_MAX] = 5);
    bed_refresh(bed);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_UNAUTH_LIMIT), 1);
    ck_assert_int_eq(bed_last(bed, VADM_EVENT_UNAUTH_LIMIT)->server.clients_unauth_state,
                     VADM_LIMIT_FULL);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CLIENT_LIMIT), 0);
}
END_TEST

/* The states and how often it was full are ours, whichever daemon it is. */
START_TEST(test_limits_over_a_reconnect)
{
    VadmServerRow row;

    FAKE_SET(bed->fake, libvirtd->limits[LIMIT_CURRENT] = 10);
    bed_start_ready(bed, INTERVAL);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CLIENT_LIMIT), 1); /* full when first seen */
    peer_close_all(bed->peer);
    WAIT_FOR(bed_count(bed, VADM_EVENT_DAEMON) == 2);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CLIENT_LIMIT), 1);
    ck_assert(bed_server(bed, 2, &row));
    ck_assert_uint_eq(row.clients_full_events, 1);
    FAKE_SET(bed->fake, libvirtd->limits[LIMIT_CURRENT] = 0);
    bed_refresh(bed);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CLIENT_LIMIT), 2);
}
END_TEST

/* Configuration */

START_TEST(test_changes_by_others)
{
    const VadmEvent *event;

    bed_start_ready(bed, INTERVAL);
    set_filters("1:*qemu* ");
    bed_refresh(bed);
    event = bed_last(bed, VADM_EVENT_CONFIG);
    ck_assert_uint_eq(event->config.generation, 2);
    ck_assert_int_eq(event->config.last_origin, VADM_ORIGIN_ADMIN_RPC);
    ck_assert_uint_eq(get_config().generation, 2);
    FAKE_SET(bed->fake, libvirtd->pool[POOL_MIN]++; libvirtd->pool[POOL_MAX]++;
             libvirtd->limits[LIMIT_MAX]++);
    bed_refresh(bed);
    ck_assert_uint_eq(get_config().generation, 3); /* seen at once: one change */
    FAKE_SET(bed->fake, libvirtd->limits[LIMIT_UNAUTH_MAX] = 5);
    bed_refresh(bed);
    FAKE_SET(bed->fake, libvirtd->pool[POOL_PRIORITY]++);
    bed_refresh(bed);
    ck_assert_uint_eq(get_config().generation, 5);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CONFIG), 4);
    FAKE_SET(bed->fake, libvirtd->pool[POOL_CURRENT]++; libvirtd->pool[POOL_FREE]++;
             libvirtd->pool[POOL_DEPTH]++; libvirtd->limits[LIMIT_UNAUTH]++);
    bed_refresh(bed);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CONFIG), 4);
}
END_TEST

START_TEST(test_changes_over_a_reconnect)
{
    bed_start_ready(bed, INTERVAL);
    peer_read(bed->peer, FALSE);
    FAKE_SET(bed->fake, libvirtd->limits[LIMIT_MAX]++);
    peer_close_all(bed->peer);
    peer_read(bed->peer, TRUE);
    WAIT_FOR(bed_count(bed, VADM_EVENT_DAEMON) == 2);
    WAIT_FOR(bed_count(bed, VADM_EVENT_CONFIG) == 1);
    ck_assert_int_eq(bed_last(bed, VADM_EVENT_CONFIG)->config.last_origin, VADM_ORIGIN_STARTUP);
    ck_assert_uint_eq(bed_last(bed, VADM_EVENT_CONFIG)->config.generation, 2);
}
END_TEST

static guint told;
static gboolean told_fresh;

static void
on_again(gboolean fresh, gpointer user)
{
    ck_assert_ptr_eq(user, &told);
    told_fresh = fresh;
    told++;
}

/* What was set by ourselves is there when the SET is answered, and told when it is settled. */
START_TEST(test_read_again)
{
    VadmServerRow row;
    VadmClientRow client;

    fake_add_client(bed->fake, "libvirtd", 5);
    bed_start_ready(bed, INTERVAL);
    told = 0;
    fake_add_client(bed->fake, "libvirtd", 6);
    FAKE_SET(bed->fake, libvirtd->limits[LIMIT_MAX] = 99);
    vadm_remote_read_again(bed->source, VADM_ORIGIN_SNMP, 800, on_again, &told);
    ck_assert_uint_eq(told, 0);
    WAIT_FOR(told == 1);
    ck_assert(told_fresh);
    ck_assert(bed_server(bed, 2, &row));
    ck_assert_uint_eq(row.clients_max, 99);
    ck_assert_uint_eq(get_config().generation, 2);
    ck_assert_int_eq(get_config().last_origin, VADM_ORIGIN_SNMP);
    ck_assert_uint_eq(bed->events->len, 0);
    vadm_remote_tell_change(bed->source);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CONFIG), 1);
    ck_assert_uint_eq(bed_last(bed, VADM_EVENT_CONFIG)->config.generation, 2);
    ck_assert(bed_client(bed, 2, 5, &client)); /* clients are as they were, and then read */
    WAIT_FOR(bed_client(bed, 2, 6, &client));
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CLIENT_CONNECTED), 1);
}
END_TEST

/* What a refresh has read before is not published behind it. */
START_TEST(test_read_again_during_a_refresh)
{
    VadmServerRow row;
    guint listed;

    bed_start_ready(bed, INTERVAL);
    listed = peer_n_calls(bed->peer, VADM_ADMIN_PROC_SERVER_LIST_CLIENTS);
    told = 0;
    peer_hold(bed->peer, VADM_ADMIN_PROC_SERVER_LIST_CLIENTS);
    vadm_remote_reader_hold(bed->source); /* a refresh, now */
    vadm_remote_reader_release(bed->source);
    WAIT_FOR(peer_n_calls(bed->peer, VADM_ADMIN_PROC_SERVER_LIST_CLIENTS) > listed + 1);
    FAKE_SET(bed->fake, libvirtd->limits[LIMIT_MAX] = 99);
    vadm_remote_read_again(bed->source, VADM_ORIGIN_SNMP, 0, on_again, &told);
    WAIT_FOR(told == 1);
    ck_assert(told_fresh);
    ck_assert(bed_server(bed, 2, &row));
    ck_assert_uint_eq(row.clients_max, 99);
    peer_release(bed->peer, VADM_ADMIN_PROC_SERVER_LIST_CLIENTS, FALSE);
    bed_refresh(bed);
    bed_refresh(bed);
    ck_assert(bed_server(bed, 2, &row));
    ck_assert_uint_eq(row.clients_max, 99);
    ck_assert_uint_eq(get_config().generation, 2);
    ck_assert_int_eq(get_config().last_origin, VADM_ORIGIN_SNMP);
}
END_TEST

START_TEST(test_read_again_twice)
{
    bed_start_ready(bed, INTERVAL);
    told = 0;
    vadm_remote_read_again(bed->source, VADM_ORIGIN_SNMP, 800, on_again, &told);
    vadm_remote_read_again(bed->source, VADM_ORIGIN_SNMP, 800, on_again, &told);
    WAIT_FOR(told == 2);
    ck_assert(told_fresh);
    bed_refresh(bed);
}
END_TEST

/* Until the snapshot in force is refreshed no more. */
static void
on_again_and_again(gboolean fresh, gpointer user)
{
    gint64 *until = user;

    ck_assert(fresh);
    if (g_get_monotonic_time() < *until)
        vadm_remote_read_again(bed->source, VADM_ORIGIN_SNMP, 0, on_again_and_again, until);
    else
        *until = 0;
}

/* A manager that sets one thing after the other leaves no time for a refresh: the daemon answers
 * all the same. */
START_TEST(test_read_again_and_again)
{
    gint64 until = g_get_monotonic_time() + 6 * SHORT * 1000;
    VadmClientRow client;

    bed_start_ready(bed, SHORT);
    fake_add_client(bed->fake, "libvirtd", 5);
    on_again_and_again(TRUE, &until);
    WAIT_FOR(until == 0);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_DAEMON), 0);
    ck_assert(bed_is_up(bed));
    ck_assert(bed_client(bed, 2, 5, &client));
}
END_TEST

START_TEST(test_read_again_takes_too_long)
{
    bed_start_ready(bed, SHORT);
    told = 0;
    peer_hold(bed->peer, VADM_ADMIN_PROC_SERVER_GET_CLIENT_LIMITS);
    vadm_remote_read_again(bed->source, VADM_ORIGIN_SNMP, 50, on_again, &told);
    vadm_remote_read_again(bed->source, VADM_ORIGIN_SNMP, 50, on_again, &told);
    WAIT_FOR(told == 2);
    ck_assert(!told_fresh);
    peer_release(bed->peer, VADM_ADMIN_PROC_SERVER_GET_CLIENT_LIMITS, FALSE);
    bed_refresh(bed);
    ck_assert_uint_eq(told, 2);
    ck_assert_uint_eq(peer_n_connections(bed->peer), 1);
}
END_TEST

START_TEST(test_read_again_without_a_connection)
{
    bed_start_ready(bed, INTERVAL);
    told = 0;
    peer_read(bed->peer, FALSE);
    vadm_remote_read_again(bed->source, VADM_ORIGIN_SNMP, 0, on_again, &told);
    vadm_remote_read_again(bed->source, VADM_ORIGIN_SNMP, 0, on_again, &told);
    peer_stop_listening(bed->peer);
    peer_close_all(bed->peer);
    WAIT_FOR(told == 2);
    ck_assert(!told_fresh);
    vadm_remote_read_again(bed->source, VADM_ORIGIN_SNMP, 0, on_again, &told);
    ck_assert_uint_eq(told, 2);
    WAIT_FOR(told == 3);
    ck_assert(!told_fresh);
}
END_TEST

/* They come and go one by one: what was wanted is the configuration. */
START_TEST(test_priority_workers_on_their_way)
{
    bed_start_ready(bed, INTERVAL);
    told = 0;
    vadm_remote_expect_priority(bed->source, 2, 2);
    FAKE_SET(bed->fake, libvirtd->pool[POOL_PRIORITY] = 4);
    vadm_remote_read_again(bed->source, VADM_ORIGIN_SNMP, 0, on_again, &told);
    WAIT_FOR(told == 1);
    ck_assert_uint_eq(get_config().generation, 2);
    for (guint32 n = 4; n >= 2; n--) {
        FAKE_SET(bed->fake, libvirtd->pool[POOL_PRIORITY] = n);
        bed_refresh(bed);
    }
    ck_assert_uint_eq(get_config().generation, 2);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CONFIG), 0);
    FAKE_SET(bed->fake, libvirtd->pool[POOL_PRIORITY] = 3); /* now it is somebody else */
    bed_refresh(bed);
    ck_assert_uint_eq(get_config().generation, 3);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CONFIG), 1);
}
END_TEST

START_TEST(test_high_percent)
{
    VadmServerRow row;

    FAKE_SET(bed->fake, libvirtd->limits[LIMIT_CURRENT] = 5);
    bed_start_ready(bed, INTERVAL);
    ck_assert_uint_eq(vadm_remote_get_high_percent(bed->source, 2), 80);
    vadm_remote_set_high_percent(bed->source, 2, 50);
    ck_assert_uint_eq(vadm_remote_get_high_percent(bed->source, 2), 50);
    ck_assert(bed_server(bed, 2, &row));
    ck_assert_uint_eq(row.clients_high_percent, 50);
    ck_assert_int_eq(row.clients_state, VADM_LIMIT_HIGH);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CLIENT_LIMIT), 1);
    ck_assert(bed_server(bed, 1, &row));
    ck_assert_uint_eq(row.clients_high_percent, 80);
    vadm_remote_set_high_percent(bed->source, 2, 0);
    ck_assert(bed_server(bed, 2, &row));
    ck_assert_int_eq(row.clients_state, VADM_LIMIT_NORMAL);
}
END_TEST

/* Calls */

static guint n_replies;

static void
on_call(VadmSession *session, const VadmMessage *reply, const GError *error, gpointer user)
{
    (void)session;
    (void)user;
    ck_assert_ptr_null(reply);
    ck_assert_ptr_nonnull(error);
    n_replies++;
}

/* Each call is told its outcome, whatever ends the connection. */
START_TEST(test_calls_are_told)
{
    bed_start_ready(bed, INTERVAL);
    n_replies = 0;
    peer_ignore(bed->peer, VADM_ADMIN_PROC_CONNECT_SET_DAEMON_TIMEOUT);
    vadm_remote_call(bed->source, VADM_ADMIN_PROC_CONNECT_SET_DAEMON_TIMEOUT, NULL, NULL, 0,
                     on_call, NULL);
    vadm_remote_drop(bed->source, "the test says so");
    ck_assert_uint_eq(n_replies, 0);
    WAIT_FOR(n_replies == 1);
    bed_refresh(bed);
    vadm_remote_call(bed->source, VADM_ADMIN_PROC_CONNECT_SET_DAEMON_TIMEOUT, NULL, NULL, 0,
                     on_call, NULL);
    peer_stop_listening(bed->peer);
    peer_close_all(bed->peer);
    WAIT_FOR(n_replies == 2);
    WAIT_FOR(!bed_is_up(bed));
    vadm_remote_call(bed->source, VADM_ADMIN_PROC_CONNECT_SET_DAEMON_TIMEOUT, NULL, NULL, 0,
                     on_call, NULL);
    ck_assert_uint_eq(n_replies, 2);
    WAIT_FOR(n_replies == 3);
}
END_TEST

START_TEST(test_the_end_with_calls_under_way)
{
    for (guint64 id = 2; id < 20; id++)
        fake_add_client(bed->fake, "libvirtd", id);
    bed_start_ready(bed, SHORT);
    n_replies = told = 0;
    peer_read(bed->peer, FALSE);
    run_for(2 * SHORT);
    vadm_remote_call(bed->source, VADM_ADMIN_PROC_CONNECT_SET_DAEMON_TIMEOUT, NULL, NULL, 0,
                     on_call, NULL);
    vadm_remote_read_again(bed->source, VADM_ORIGIN_SNMP, 800, on_again, &told);
    vadm_remote_read_again(bed->source, VADM_ORIGIN_SNMP, 0, on_again, &told);
    bed->base->class->unsubscribe(bed->base, bed->subscription);
    vadm_source_remote_free(g_steal_pointer(&bed->base));
    ck_assert_uint_eq(n_replies, 1);
    ck_assert_uint_eq(told, 2);
    ck_assert(!told_fresh);
    run_for(100); /* and nothing comes behind it */
}
END_TEST

/* What is read while it is published, by threads that do not wait. */

static atomic_bool reading;
static atomic_uint rows_read;

static void *
read_all(void *user)
{
    Bed *of = user;
    const VadmSourceClass *class = of->base->class;

    while (atomic_load(&reading)) {
        VadmView *view = class->view_begin(of->base);
        const VadmClientRow *row;
        guint32 server = 0, index = 0;

        while ((row = class->client(view, VADM_MATCH_GT, server, index))) {
            g_autofree char *peer = vadm_identity_peer(row->identity, row->transport);

            ck_assert(*peer != '\0');
            ck_assert_ptr_nonnull(class->server(view, VADM_MATCH_EQ, row->server));
            server = row->server;
            index = row->index;
            atomic_fetch_add(&rows_read, 1);
        }
        ck_assert_uint_ge(class->config(view)->generation, 1);
        class->view_end(view);
    }
    return NULL;
}

START_TEST(test_readers_and_refreshes)
{
    pthread_t threads[3];

    for (guint64 id = 2; id < 40; id++)
        fake_add_client(bed->fake, "libvirtd", id);
    bed_start_ready(bed, 10);
    atomic_store(&reading, true);
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_all, bed), 0);
    for (guint64 id = 40; id < 100; id++) {
        FakeClient *client = fake_add_client(bed->fake, "libvirtd", id);

        FAKE_SET(bed->fake, client->since = g_get_real_time() / G_USEC_PER_SEC);
        fake_remove_client(bed->fake, "libvirtd", id - 30);
        FAKE_SET(bed->fake, libvirtd->limits[LIMIT_MAX] = (guint32)id);
        if (id % 10 == 0)
            peer_close_all(bed->peer);
        run_for(5);
    }
    WAIT_FOR(atomic_load(&rows_read) > 1000);
    atomic_store(&reading, false);
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        pthread_join(threads[i], NULL);
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("remote source, changes");
    TCase *tests = tcase_create("reachability");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 180);
    tcase_add_test(tests, test_daemon_comes_late);
    tcase_add_test(tests, test_daemon_comes_soon);
    tcase_add_test(tests, test_daemon_ends);
    tcase_add_test(tests, test_daemon_ends_and_comes_back);
    tcase_add_test(tests, test_attempts_are_spread);
    tcase_add_test(tests, test_silence);
    tcase_add_test(tests, test_staleness_without_main_loop);
    tcase_add_test(tests, test_full_daemon);
    tcase_add_test(tests, test_slow_daemon);
    tcase_add_test(tests, test_refused_servers);
    tcase_add_test(tests, test_garbage);
    tcase_add_test(tests, test_drop);
    suite_add_tcase(suite, tests);
    tests = tcase_create("events");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 180);
    tcase_add_test(tests, test_clients_come_and_go);
    tcase_add_test(tests, test_no_client_events_over_a_reconnect);
    tcase_add_test(tests, test_limits);
    tcase_add_test(tests, test_unauth_limit);
    tcase_add_test(tests, test_limits_over_a_reconnect);
    tcase_add_test(tests, test_changes_by_others);
    tcase_add_test(tests, test_changes_over_a_reconnect);
    tcase_add_test(tests, test_read_again);
    tcase_add_test(tests, test_read_again_during_a_refresh);
    tcase_add_test(tests, test_read_again_twice);
    tcase_add_test(tests, test_read_again_and_again);
    tcase_add_test(tests, test_read_again_takes_too_long);
    tcase_add_test(tests, test_read_again_without_a_connection);
    tcase_add_test(tests, test_priority_workers_on_their_way);
    tcase_add_test(tests, test_high_percent);
    tcase_add_test(tests, test_calls_are_told);
    tcase_add_test(tests, test_the_end_with_calls_under_way);
    tcase_add_test(tests, test_readers_and_refreshes);
    suite_add_tcase(suite, tests);
    return suite;
}

int
main(void)
{
    return vadm_unit_main(make_suite());
}
