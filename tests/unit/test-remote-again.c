/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is asked of the remote source beside its refreshes: to read again, and calls of others. */
#include "remote-case.h"

#define INTERVAL 10000 /* ms: longer than any test; refreshes are made by bed_refresh() */
#define SHORT    200   /* ms: where time has to pass */

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
    ck_assert_uint_eq(bed_config(bed).generation, 2);
    ck_assert_int_eq(bed_config(bed).last_origin, VADM_ORIGIN_SNMP);
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
    ck_assert_uint_eq(bed_config(bed).generation, 2);
    ck_assert_int_eq(bed_config(bed).last_origin, VADM_ORIGIN_SNMP);
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

/* Time goes by as fast as this: each snapshot is two intervals old before it is read again. */
static void
on_again_and_again(gboolean fresh, gpointer user)
{
    guint *rounds = user;

    ck_assert(fresh);
    if (--*rounds == 0)
        return;
    bed->source->snapshot->taken -= 2 * bed->source->interval + 1;
    vadm_remote_read_again(bed->source, VADM_ORIGIN_SNMP, 0, on_again_and_again, rounds);
}

/* A manager that sets one thing after the other leaves no time for a refresh: the daemon answers
 * all the same. */
START_TEST(test_read_again_and_again)
{
    guint rounds = 7;
    VadmClientRow client;

    bed_start_ready(bed, 10000);
    fake_add_client(bed->fake, "libvirtd", 5);
    on_again_and_again(TRUE, &rounds);
    WAIT_FOR(rounds == 0);
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
    ck_assert_uint_eq(bed_config(bed).generation, 2);
    for (guint32 n = 4; n >= 2; n--) {
        FAKE_SET(bed->fake, libvirtd->pool[POOL_PRIORITY] = n);
        bed_refresh(bed);
    }
    ck_assert_uint_eq(bed_config(bed).generation, 2);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CONFIG), 0);
    FAKE_SET(bed->fake, libvirtd->pool[POOL_PRIORITY] = 3); /* now it is somebody else */
    bed_refresh(bed);
    ck_assert_uint_eq(bed_config(bed).generation, 3);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CONFIG), 1);
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
    vadm_remote_drop(bed->source, VADM_ORIGIN_ADMIN_RPC, "the test says so");
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

int
main(void)
{
    const TTest *const tests[] = {
        test_read_again,
        test_read_again_during_a_refresh,
        test_read_again_twice,
        test_read_again_and_again,
        test_read_again_takes_too_long,
        test_read_again_without_a_connection,
        test_priority_workers_on_their_way,
        test_calls_are_told,
        test_the_end_with_calls_under_way,
    };

    return remote_case_main(
        "remote source, reading again",
        remote_case_new("remote source, reading again", tests, G_N_ELEMENTS(tests)));
}
