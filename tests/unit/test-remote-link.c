/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The remote source when its daemon comes, goes and is silent. */
#include "remote-case.h"

#define INTERVAL 10000 /* ms: longer than any test; refreshes are made by bed_refresh() */
#define SHORT    200   /* ms: where time has to pass */

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
    bed_start(bed, INTERVAL);
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
    ck_assert_ptr_null(bed_config(bed).log_filters);
    ck_assert_uint_eq(bed_config(bed).generation, 1);
}
END_TEST

START_TEST(test_daemon_ends_and_comes_back)
{
    bed_start_ready(bed, 400);
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
    ck_assert_uint_eq(bed_config(bed).generation, 1);
}
END_TEST

/* Not more often than every interval, but for the first attempts. */
START_TEST(test_attempts_are_spread)
{
    gint64 begun = g_get_monotonic_time();

    peer_turn_away(bed->peer, TRUE);
    bed_start(bed, 400);
    WAIT_FOR(peer_n_connections(bed->peer) >= 7);
    /* 100, 200, and 4 times 400 ms between them, or half of that */
    ck_assert_int_ge(g_get_monotonic_time() - begun, 950 * 1000);
}
END_TEST

/* A daemon that tells everything and then ends, each time: it may be we who make it end. */
START_TEST(test_short_connections_are_spread)
{
    gint64 begun = g_get_monotonic_time();

    bed_start(bed, 800);
    for (guint i = 1; i <= 6; i++) {
        WAIT_FOR(bed_is_up(bed));
        ck_assert_uint_eq(peer_n_connections(bed->peer), i);
        peer_close_all(bed->peer);
        WAIT_FOR(!bed_is_up(bed));
    }
    /* 100, 200, 400 and 2 times 800 ms between them, or half of that */
    ck_assert_int_ge(g_get_monotonic_time() - begun, 1100 * 1000);
}
END_TEST

/* One that was there for long is looked for soon, whatever was before. */
START_TEST(test_long_connection_ends)
{
    gint64 shortest = G_MAXINT64;

    bed_start(bed, 1000);
    for (guint i = 1; i <= 6; i++) {
        gint64 ended;

        WAIT_FOR(bed_is_up(bed));
        if (i > 3)
            run_for(2200);
        ended = g_get_monotonic_time();
        peer_close_all(bed->peer);
        WAIT_FOR(peer_n_connections(bed->peer) > i);
        if (i > 3)
            shortest = MIN(shortest, g_get_monotonic_time() - ended);
    }
    ck_assert_int_lt(shortest, 400 * 1000); /* 50 to 100 ms, where others wait 500 to 1000 */
}
END_TEST

/* A daemon that was stopped: what is known is served, but not for long. */
START_TEST(test_silence)
{
    gint64 begun, lost;

    bed_start_ready(bed, SHORT);
    peer_read(bed->peer, FALSE);
    begun = bed->source->snapshot->taken;
    ck_assert(bed_is_up(bed) || g_get_monotonic_time() - begun > 3 * SHORT * 1000);
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
    bed_start_ready(bed, INTERVAL);
    ck_assert(bed_is_up(bed));
    bed->source->snapshot->taken -= 4 * INTERVAL * 1000; /* time goes by */
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
    vadm_remote_drop(bed->source, VADM_ORIGIN_ADMIN_RPC, "the test says so");
    ck_assert(bed_is_up(bed)); /* nothing says that it cannot be reached */
    WAIT_FOR(peer_n_calls(bed->peer, VADM_ADMIN_PROC_CONNECT_GET_LIB_VERSION) > versions);
    bed_refresh(bed);
    ck_assert_uint_eq(bed->events->len, 0);
    ck_assert_uint_eq(peer_n_open(bed->peer), 1);
}
END_TEST

/* What was done over the connection that we dropped is no start of the daemon. */
START_TEST(test_changes_over_a_drop)
{
    bed_start_ready(bed, INTERVAL);
    FAKE_SET(bed->fake, libvirtd->limits[LIMIT_MAX]++);
    vadm_remote_drop(bed->source, VADM_ORIGIN_SNMP, "the test says so");
    WAIT_FOR(bed_count(bed, VADM_EVENT_CONFIG) == 1);
    ck_assert_int_eq(bed_last(bed, VADM_EVENT_CONFIG)->config.last_origin, VADM_ORIGIN_SNMP);
    ck_assert_uint_eq(bed_last(bed, VADM_EVENT_CONFIG)->config.generation, 2);
    vadm_remote_drop(bed->source, VADM_ORIGIN_SNMP, "the test says so");
    peer_stop_listening(bed->peer);
    WAIT_FOR(bed_count(bed, VADM_EVENT_DAEMON) == 1);
    FAKE_SET(bed->fake, libvirtd->limits[LIMIT_MAX]++);
    peer_listen(bed->peer);
    WAIT_FOR(bed_count(bed, VADM_EVENT_CONFIG) == 2); /* somebody has started it */
    ck_assert_int_eq(bed_last(bed, VADM_EVENT_CONFIG)->config.last_origin, VADM_ORIGIN_STARTUP);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        test_daemon_comes_late,
        test_daemon_comes_soon,
        test_daemon_ends,
        test_daemon_ends_and_comes_back,
        test_attempts_are_spread,
        test_short_connections_are_spread,
        test_long_connection_ends,
        test_silence,
        test_staleness_without_main_loop,
        test_full_daemon,
        test_slow_daemon,
        test_refused_servers,
        test_garbage,
        test_drop,
        test_changes_over_a_drop,
    };

    return remote_case_main("remote source, link",
                            remote_case_new("remote source, link", tests, G_N_ELEMENTS(tests)));
}
