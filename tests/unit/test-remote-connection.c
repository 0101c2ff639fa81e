/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The remote source and its one connection: how long it is waited for, and what is not the same
 * any more over the next one. */
#include "set-bed.h"

#define INTERVAL 10000 /* ms: longer than any test; refreshes are made by bed_refresh() */
#define SHORT    20    /* ms: 15 of them are less than SILENCE */
#define SILENCE  400   /* ms */
#define SERVER   2

/* ms: how late a busy machine may be; less than what the next longer time would be. */
#define LATE 1500

static guint
ms_since(gint64 when)
{
    return (guint)((g_get_monotonic_time() - when) / 1000);
}

/* How long a daemon may be silent */

static Bed *
new_impatient_bed(guint interval_ms, guint silence_ms)
{
    Bed *bed = bed_new();

    bed_start(bed, interval_ms); /* nothing is done before the main loop runs */
    bed->source->silence_min_ms = silence_ms;
    return bed;
}

START_TEST(test_silence_is_in_seconds)
{
    Bed *bed = bed_new();

    bed_start(bed, INTERVAL);
    ck_assert_uint_eq(bed->source->silence_min_ms, 30000);
    bed_free(bed);
}
END_TEST

/* A call that is not answered ends the connection, and everything is read over the next one. */
START_TEST(test_unanswered_call)
{
    Bed *bed = new_impatient_bed(SHORT, SILENCE);
    gint64 begun;
    guint n;

    WAIT_FOR(bed_is_up(bed));
    peer_ignore(bed->peer, VADM_ADMIN_PROC_CONNECT_GET_LOGGING_OUTPUTS);
    WAIT_FOR(!bed_is_up(bed));
    begun = bed->source->snapshot->taken; /* of the last that was answered */
    run_for(SILENCE / 2);
    n = peer_n_connections(bed->peer);
    ck_assert(n == 1 || ms_since(begun) >= SILENCE); /* or this thread had to wait */
    WAIT_FOR(peer_n_connections(bed->peer) == 2);
    ck_assert_uint_ge(ms_since(begun), SILENCE);
    ck_assert_uint_lt(ms_since(begun), SILENCE + LATE);
    peer_forget(bed->peer, VADM_ADMIN_PROC_CONNECT_GET_LOGGING_OUTPUTS);
    peer_close_all(bed->peer);
    WAIT_FOR(peer_n_open(bed->peer) == 1);
    bed_free(bed);
}
END_TEST

/* Where a refresh comes rarely its answer is waited for longer, too. */
START_TEST(test_long_intervals)
{
    Bed *bed = new_impatient_bed(2 * SHORT, SHORT);
    gint64 begun;

    WAIT_FOR(bed_is_up(bed));
    peer_ignore(bed->peer, VADM_ADMIN_PROC_CONNECT_GET_LOGGING_OUTPUTS);
    WAIT_FOR(!bed_is_up(bed));
    begun = bed->source->snapshot->taken;
    WAIT_FOR(peer_n_connections(bed->peer) == 2);
    ck_assert_uint_ge(ms_since(begun), 15 * 2 * SHORT);
    ck_assert_uint_lt(ms_since(begun), 15 * 2 * SHORT + LATE);
    bed_free(bed);
}
END_TEST

/* Each attempt leaves a connection in the queue of a daemon that was stopped: the next one waits
 * twice as long, until a daemon was read. */
START_TEST(test_connect_timeouts_double)
{
    const guint silence = 15 * SHORT;
    const gint64 begun = g_get_monotonic_time();
    Bed *bed = new_impatient_bed(SHORT, 1);
    guint expected = 0, before = 0;
    gint64 last;

    peer_ignore(bed->peer, VADM_ADMIN_PROC_CONNECT_OPEN);
    for (guint i = 0; i < 4; i++) {
        const guint wait = i > 0 ? silence << (i - 1) : 0;
        guint took;

        WAIT_FOR(peer_n_connections(bed->peer) == i + 1);
        took = ms_since(begun); /* of all: that one is seen late makes the next not early */
        expected += wait;
        ck_assert_msg(took >= expected && took - before < wait + LATE,
                      "attempt %u after %u ms, not %u", i, took, expected);
        before = took;
    }
    peer_forget(bed->peer, VADM_ADMIN_PROC_CONNECT_OPEN);
    peer_close_all(bed->peer);
    WAIT_FOR(bed_is_up(bed));
    peer_ignore(bed->peer, VADM_ADMIN_PROC_CONNECT_OPEN);
    peer_close_all(bed->peer);
    WAIT_FOR(peer_n_connections(bed->peer) == 6);
    last = g_get_monotonic_time();
    WAIT_FOR(peer_n_connections(bed->peer) == 7);
    ck_assert_uint_lt(ms_since(last), silence + LATE);
    bed_free(bed);
}
END_TEST

/* Exactly three intervals old is not too old, one microsecond more is. */
START_TEST(test_edge_of_staleness)
{
    Bed *bed = bed_new();
    gint64 stale;

    bed_start_ready(bed, INTERVAL);
    stale = bed->source->snapshot->taken + (gint64)3 * INTERVAL * 1000;
    ck_assert(vadm_remote_is_fresh(bed->source, bed->source->snapshot, stale));
    ck_assert(!vadm_remote_is_fresh(bed->source, bed->source->snapshot, stale + 1));
    bed_free(bed);
}
END_TEST

static void
count_outcome(gboolean fresh, gpointer user)
{
    ((guint *)user)[fresh]++;
}

/* Reading again that waits for another one, and is given up meanwhile, is told so once. */
START_TEST(test_waiting_for_another_too_long)
{
    guint first[2] = {0}, second[2] = {0};
    Bed *bed = bed_new();

    bed_start_ready(bed, INTERVAL);
    peer_hold(bed->peer, VADM_ADMIN_PROC_CONNECT_LIST_SERVERS);
    vadm_remote_read_again(bed->source, VADM_ORIGIN_SNMP, 0, count_outcome, first);
    vadm_remote_read_again(bed->source, VADM_ORIGIN_SNMP, 50, count_outcome, second);
    WAIT_FOR(second[FALSE] == 1);
    peer_release(bed->peer, VADM_ADMIN_PROC_CONNECT_LIST_SERVERS, FALSE);
    WAIT_FOR(first[TRUE] == 1);
    bed_refresh(bed);
    ck_assert_uint_eq(first[FALSE], 0);
    ck_assert_uint_eq(second[TRUE], 0);
    ck_assert_uint_eq(second[FALSE], 1);
    bed_free(bed);
}
END_TEST

/* What is logged */

static SetBed *set;

static guint
count_logged(const char *text)
{
    g_autofree char *log = set_bed_log();
    g_auto(GStrv) parts = g_strsplit(log, text, -1);

    return g_strv_length(parts) - 1;
}

static VadmMessage *
no_limits(const VadmMessage *call, gpointer user)
{
    vadm_admin_server_get_client_limits_ret ret = {{0, NULL}};

    (void)user;
    return vadm_message_new_reply(
        &call->header, (xdrproc_t)xdr_vadm_admin_server_get_client_limits_ret, &ret, NULL);
}

/* One line for each change of the state, however often the daemon is read or tried. */
START_TEST(test_state_is_logged_once)
{
    Peer *peer = set->bed->peer;
    guint n;

    for (guint i = 0; i < 3; i++)
        bed_refresh(set->bed);
    ck_assert_uint_eq(count_logged(": reachable at " BED_URI ", libvirt 9.0.0"), 1);
    set->bed->source->interval = SHORT * 1000;
    peer_turn_away(peer, TRUE);
    n = peer_n_connections(peer);
    peer_close_all(peer);
    WAIT_FOR(peer_n_connections(peer) >= n + 5);
    ck_assert_uint_eq(count_logged(": unreachable at " BED_URI), 1);
    /* on a busy machine what was read would be too old at the short interval, and that be logged */
    set->bed->source->interval = INTERVAL * 1000;
    peer_turn_away(peer, FALSE);
    WAIT_FOR(count_logged(": reachable at " BED_URI) == 2);
    for (guint i = 0; i < 3; i++)
        bed_refresh(set->bed);
    ck_assert_uint_eq(count_logged(": reachable at " BED_URI), 2);
}
END_TEST

/* What cannot be read is logged once, and again when it worked meanwhile. */
START_TEST(test_refusals_are_logged_once)
{
    for (guint i = 1; i <= 2; i++) {
        peer_refuse(set->bed->peer, VADM_ADMIN_PROC_SERVER_GET_CLIENT_LIMITS,
                    VADM_VIR_ERR_INTERNAL_ERROR, "no limits");
        bed_refresh(set->bed);
        bed_refresh(set->bed);
        ck_assert_uint_eq(count_logged("cannot read the client limits of server libvirtd"), i);
        ck_assert_uint_eq(count_logged("cannot read the client limits of server admin"), i);
        peer_handle(set->bed->peer, VADM_ADMIN_PROC_SERVER_GET_CLIENT_LIMITS, no_limits, NULL);
        bed_refresh(set->bed);
    }
}
END_TEST

/* Disconnecting: another connection may be another daemon, with other clients of the same ids. */

static void
setup(void)
{
    set = set_bed_new(INTERVAL);
    fake_add_client(set->bed->fake, "libvirtd", 9);
    bed_refresh(set->bed);
}

static void
teardown(void)
{
    set_bed_free(set);
    set = NULL;
}

static void
reconnect(void)
{
    guint n = peer_n_connections(set->bed->peer);

    peer_close_all(set->bed->peer);
    WAIT_FOR(peer_n_connections(set->bed->peer) > n && bed_is_up(set->bed));
}

static void
assert_nobody_is_disconnected(void)
{
    bed_refresh(set->bed); /* what was sent before it is answered before it */
    ck_assert_uint_eq(peer_n_calls(set->bed->peer, VADM_ADMIN_PROC_CLIENT_CLOSE), 0);
}

START_TEST(test_disconnect_over_a_reconnect)
{
    VadmTxn *txn = COMMITTED(set, CLOSE(SERVER, 9, 0));

    reconnect();
    set_finish(set, txn);
    WAIT_FOR(set_bed_has_logged("client 9 of server libvirtd is not disconnected"));
    assert_nobody_is_disconnected();
}
END_TEST

/* The call must not wait for the next connection either. */
START_TEST(test_disconnect_without_a_connection)
{
    VadmTxn *txn = COMMITTED(set, CLOSE(SERVER, 9, 0));

    peer_hold(set->bed->peer, VADM_ADMIN_PROC_CONNECT_OPEN);
    vadm_remote_drop(set->bed->source, VADM_ORIGIN_ADMIN_RPC, "the test says so");
    WAIT_FOR(peer_n_calls(set->bed->peer, VADM_ADMIN_PROC_CONNECT_OPEN) == 2);
    set_finish(set, txn);
    WAIT_FOR(set_bed_has_logged("client 9 of server libvirtd is not disconnected"));
    peer_release(set->bed->peer, VADM_ADMIN_PROC_CONNECT_OPEN, FALSE);
    assert_nobody_is_disconnected();
}
END_TEST

START_TEST(test_commit_over_a_reconnect)
{
    g_auto(Outcome) outcome = {0};
    VadmTxn *txn = PREPARED(set, CLOSE(SERVER, 9, 0));

    reconnect();
    set_commit(set, txn, &outcome);
    ck_assert(g_error_matches(outcome.error, VADM_ERROR, VADM_ERROR_CONFLICT));
    set_abort(set, txn);
    assert_nobody_is_disconnected();
    set_finish(set, COMMITTED(set, CLOSE(SERVER, 9, 0)));
    WAIT_FOR(set_bed_has_logged("client 9 of server libvirtd is disconnected"));
}
END_TEST

/* What is shown is of the connection that was dropped until everything has been read again. */
START_TEST(test_prepare_behind_a_drop)
{
    const VadmChange change = CLOSE(SERVER, 9, 0);
    gint64 deadline = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;
    g_auto(Outcome) outcome = {0};

    peer_hold(set->bed->peer, VADM_ADMIN_PROC_CONNECT_LIST_SERVERS);
    vadm_remote_drop(set->bed->source, VADM_ORIGIN_ADMIN_RPC, "the test says so");
    fake_remove_client(set->bed->fake, "libvirtd", 9);
    WAIT_FOR(vadm_remote_is_connected(set->bed->source));
    ck_assert(bed_is_up(set->bed));
    set->bed->base->class->prepare(set->bed->base, &change, 1, VADM_ORIGIN_SNMP, deadline,
                                   outcome_done, &outcome);
    run_for(100);
    ck_assert_uint_eq(outcome.done, 0);
    peer_release(set->bed->peer, VADM_ADMIN_PROC_CONNECT_LIST_SERVERS, FALSE);
    WAIT_FOR(outcome.done == 1);
    ck_assert(g_error_matches(outcome.error, VADM_ERROR, VADM_ERROR_NO_CLIENT));
}
END_TEST

static Suite *
connection_suite(void)
{
    Suite *suite = suite_create("remote-connection");
    TCase *waiting = tcase_create("waiting");
    TCase *connected = tcase_create("connected");

    tcase_set_timeout(waiting, 180);
    tcase_add_test(waiting, test_silence_is_in_seconds);
    tcase_add_test(waiting, test_unanswered_call);
    tcase_add_test(waiting, test_long_intervals);
    tcase_add_test(waiting, test_connect_timeouts_double);
    tcase_add_test(waiting, test_edge_of_staleness);
    tcase_add_test(waiting, test_waiting_for_another_too_long);
    suite_add_tcase(suite, waiting);
    tcase_set_timeout(connected, 180);
    tcase_add_checked_fixture(connected, setup, teardown);
    tcase_add_test(connected, test_state_is_logged_once);
    tcase_add_test(connected, test_refusals_are_logged_once);
    tcase_add_test(connected, test_disconnect_over_a_reconnect);
    tcase_add_test(connected, test_disconnect_without_a_connection);
    tcase_add_test(connected, test_commit_over_a_reconnect);
    tcase_add_test(connected, test_prepare_behind_a_drop);
    suite_add_tcase(suite, connected);
    return suite;
}

int
main(void)
{
    return vadm_unit_main(connection_suite());
}
