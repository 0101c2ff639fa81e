/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SET at a daemon that others change, too, that shows something else, or that goes: what is undone.
 */
#include "set-bed.h"

#include <string.h>

static SetBed *set;

static void
setup(void)
{
    set = set_bed_new(SLOW);
}

static void
teardown(void)
{
    g_clear_pointer(&set, set_bed_free);
}

/* ---- others change it, too ---- */

START_TEST(test_prepare_reads_again)
{
    FakeServer *server = fake_find_server(set->bed->fake, "libvirtd");
    const VadmChange change = NUMBER(SERVER_WORKERS_MIN, SERVER, 15, 0);
    g_autofree char *state = NULL;
    g_auto(Outcome) outcome = {0};
    VadmTxn *txn;

    FAKE_SET(set->bed->fake, server->pool[POOL_MAX] = 10);
    set_prepare(set, &change, 1, &outcome);
    ck_assert(g_error_matches(outcome.error, VADM_ERROR, VADM_ERROR_INCONSISTENT));
    ck_assert_int_eq(set->bed->source->snapshot->last_origin, VADM_ORIGIN_ADMIN_RPC);
    txn = COMMITTED(set, NUMBER(SERVER_WORKERS_MAX, SERVER, 30, 0));
    set_undo(set, txn, &outcome);
    ck_assert_ptr_null(outcome.error);
    set_abort(set, txn);
    state = set_bed_state(set);
    ck_assert_msg(g_str_has_prefix(state, "libvirtd 5 10 5"), "%s", state);
}
END_TEST

START_TEST(test_changed_before_commit)
{
    FakeServer *server = fake_find_server(set->bed->fake, "libvirtd");
    g_auto(Outcome) outcome = {0};
    VadmTxn *txn = PREPARED(set, NUMBER(SERVER_WORKERS_MAX, SERVER, 30, 0));

    FAKE_SET(set->bed->fake, server->pool[POOL_MAX] = 11);
    set_bed_refresh(set);
    set_commit(set, txn, &outcome);
    ck_assert(g_error_matches(outcome.error, VADM_ERROR, VADM_ERROR_CONFLICT));
    ck_assert_msg(strstr(outcome.error->message, "[server libvirtd] max_workers 11"), "%s",
                  outcome.error->message);
    set_abort(set, txn);
    ck_assert_uint_eq(set_bed_calls(set), 0);
}
END_TEST

START_TEST(test_undo)
{
    g_autofree char *before = set_bed_state(set);
    g_autofree char *after = NULL;
    g_auto(Outcome) outcome = {0};
    VadmTxn *txn = COMMITTED(
        set, NUMBER(SERVER_WORKERS_MIN, SERVER, 6, 0), NUMBER(SERVER_WORKERS_MAX, SERVER, 30, 1),
        NUMBER(SERVER_WORKERS_PRIORITY, SERVER, 9, 2), NUMBER(SERVER_CLIENTS_MAX, ADMIN, 20, 3),
        NUMBER(LOG_LEVEL, 0, 1, 4), TEXT(LOG_OUTPUTS, "1:journald", 5),
        NUMBER(SERVER_CLIENTS_HIGH_PERCENT, SERVER, 11, 6));

    set_undo(set, txn, &outcome);
    ck_assert_msg(outcome.error == NULL, "%s", outcome.error ? outcome.error->message : "");
    after = set_bed_state(set);
    ck_assert_str_eq(after, before);
    ck_assert_uint_eq(set_bed_row(set, SERVER).clients_high_percent, 80);
    ck_assert_uint_eq(set_bed_row(set, SERVER).workers_max, 20);
    ck_assert_uint_eq(set_bed_calls(set), 8);
    set_undo(set, txn, &outcome); /* again: nothing */
    ck_assert_ptr_null(outcome.error);
    ck_assert_uint_eq(set_bed_calls(set), 8);
    set_abort(set, txn);
    ck_assert(set_bed_has_logged("undone: "));
    ck_assert_uint_eq(bed_count(set->bed, VADM_EVENT_CONFIG), 0);
}
END_TEST

START_TEST(test_undo_of_what_others_changed)
{
    FakeServer *server = fake_find_server(set->bed->fake, "libvirtd");
    g_autofree char *after = NULL;
    g_auto(Outcome) outcome = {0};
    VadmTxn *txn =
        COMMITTED(set, NUMBER(SERVER_WORKERS_MAX, SERVER, 30, 0), NUMBER(LOG_LEVEL, 0, 1, 1));

    FAKE_SET(set->bed->fake, server->pool[POOL_MAX] = 31);
    set_undo(set, txn, &outcome);
    ck_assert(g_error_matches(outcome.error, VADM_ERROR, VADM_ERROR_CONFLICT));
    ck_assert(strstr(outcome.error->message, "[server libvirtd] max_workers 31"));
    set_abort(set, txn);
    after = set_bed_state(set);
    ck_assert_msg(g_str_has_prefix(after, "libvirtd 5 31 5"), "%s", after);
    ck_assert(set_bed_has_logged("cannot be undone"));
    ck_assert_uint_eq(bed_count(set->bed, VADM_EVENT_CONFIG), 2); /* theirs, and what is left */
}
END_TEST

START_TEST(test_undo_beside_others)
{
    FakeServer *server = fake_find_server(set->bed->fake, "libvirtd");
    g_autofree char *after = NULL;
    g_auto(Outcome) outcome = {0};
    VadmTxn *txn = COMMITTED(set, NUMBER(SERVER_WORKERS_MAX, SERVER, 30, 0));

    FAKE_SET(set->bed->fake, server->pool[POOL_MIN] = 7; server->limits[LIMIT_MAX] = 77);
    set_undo(set, txn, &outcome);
    ck_assert_ptr_null(outcome.error);
    set_abort(set, txn);
    after = set_bed_state(set);
    ck_assert_msg(g_str_has_prefix(after, "libvirtd 7 20 5 77"), "%s", after);
}
END_TEST

START_TEST(test_undo_without_commit)
{
    g_auto(Outcome) outcome = {0};
    VadmTxn *txn = PREPARED(set, NUMBER(SERVER_WORKERS_MAX, SERVER, 30, 0));

    set_undo(set, txn, &outcome);
    ck_assert_ptr_null(outcome.error);
    set_commit(set, txn, &outcome);
    ck_assert_ptr_null(outcome.error);
    set_commit(set, txn, &outcome);
    ck_assert_ptr_null(outcome.error);
    ck_assert_uint_eq(set_bed_calls(set), 1);
    set_finish(set, txn);
}
END_TEST

START_TEST(test_finish_without_commit)
{
    fake_add_client(set->bed->fake, "libvirtd", 9);
    set_bed_refresh(set);
    set_finish(set, PREPARED(set, NUMBER(SERVER_WORKERS_MAX, SERVER, 30, 0), CLOSE(SERVER, 9, 1)));
    SET_ALL(set, NUMBER(SERVER_WORKERS_MAX, SERVER, 31, 0));
    ck_assert_uint_eq(set_bed_calls(set), 1);
    ck_assert_uint_eq(set->closed, 0);
}
END_TEST

/* ---- a daemon that is not there ---- */

START_TEST(test_unreachable)
{
    const VadmChange change = NUMBER(SERVER_WORKERS_MAX, SERVER, 30, 0);
    g_auto(Outcome) outcome = {0};

    peer_stop_listening(set->bed->peer);
    peer_close_all(set->bed->peer);
    WAIT_FOR(!bed_is_up(set->bed));
    set_prepare(set, &change, 1, &outcome);
    ck_assert(g_error_matches(outcome.error, VADM_ERROR, VADM_ERROR_NO_CONNECT));
    peer_listen(set->bed->peer);
    WAIT_FOR(bed_is_up(set->bed));
    set_all(set, &change, 1);
}
END_TEST

/* It is found out before anything has been sent of which nobody would know what became of it. */
START_TEST(test_stopped)
{
    const VadmChange change = NUMBER(SERVER_WORKERS_MAX, SERVER, 30, 0);
    gint64 begun = g_get_monotonic_time();
    g_auto(Outcome) outcome = {0};

    set_bed_hurry(set, TRUE);
    peer_read(set->bed->peer, FALSE);
    set_prepare(set, &change, 1, &outcome);
    ck_assert(g_error_matches(outcome.error, VADM_ERROR, VADM_ERROR_NO_CONNECT));
    ck_assert_int_lt(g_get_monotonic_time() - begun, 20 * G_USEC_PER_SEC);
    peer_read(set->bed->peer, TRUE);
    WAIT_FOR(set->bed->source->writer->holder == NULL);
    set_bed_refresh(set);
    ck_assert_uint_eq(set_bed_calls(set), 0);
    set_all(set, &change, 1);
    ck_assert_uint_eq(set_bed_calls(set), 1);
}
END_TEST

START_TEST(test_lost_before_commit)
{
    g_auto(Outcome) outcome = {0};
    g_autofree char *before = set_bed_state(set);
    g_autofree char *after = NULL;
    VadmTxn *txn = PREPARED(set, NUMBER(SERVER_WORKERS_MAX, SERVER, 30, 0));

    peer_stop_listening(set->bed->peer);
    peer_close_all(set->bed->peer);
    WAIT_FOR(!bed_is_up(set->bed));
    set_commit(set, txn, &outcome);
    ck_assert(g_error_matches(outcome.error, VADM_ERROR, VADM_ERROR_NO_CONNECT));
    set_abort(set, txn);
    after = set_bed_state(set);
    ck_assert_str_eq(after, before);
}
END_TEST

START_TEST(test_lost_before_undo)
{
    g_auto(Outcome) outcome = {0};
    VadmTxn *txn = COMMITTED(set, NUMBER(SERVER_WORKERS_MAX, SERVER, 30, 0));

    peer_stop_listening(set->bed->peer);
    peer_close_all(set->bed->peer);
    WAIT_FOR(!bed_is_up(set->bed));
    set_undo(set, txn, &outcome);
    ck_assert(g_error_matches(outcome.error, VADM_ERROR, VADM_ERROR_NO_CONNECT));
    set_abort(set, txn);
    ck_assert(set_bed_has_logged("cannot be undone"));
}
END_TEST

/* The change is made; that it cannot be read back is no reason to say that it failed. */
START_TEST(test_read_again_fails_after_commit)
{
    g_auto(Outcome) outcome = {0};
    VadmTxn *txn = PREPARED(set, NUMBER(SERVER_WORKERS_MAX, SERVER, 30, 0));

    set_bed_hurry(set, TRUE);
    peer_ignore(set->bed->peer, VADM_ADMIN_PROC_CONNECT_LIST_SERVERS);
    set_commit(set, txn, &outcome);
    ck_assert_ptr_null(outcome.error);
    ck_assert(set_bed_has_logged("could not be read again in time"));
    set_finish(set, txn);
}
END_TEST

START_TEST(test_daemon_shows_something_else)
{
    peer_handle(set->bed->peer, VADM_ADMIN_PROC_SERVER_SET_CLIENT_LIMITS, set_bed_accept_only,
                NULL);
    SET_ALL(set, NUMBER(SERVER_CLIENTS_MAX, SERVER, 30, 0));
    ck_assert(set_bed_has_logged("but the daemon shows [server libvirtd] max_clients 10"));
}
END_TEST

/* A refresh at each moment must not take what is half set for somebody else's change. */
START_TEST(test_refreshes_beside)
{
    set->bed->source->interval = 500000;
    set_bed_refresh(set);
    for (guint i = 0; i < 20; i++) {
        SET_ALL(set, NUMBER(SERVER_WORKERS_MAX, SERVER, 30 + i, 0),
                NUMBER(SERVER_CLIENTS_MAX, SERVER, 30 + i, 1),
                NUMBER(SERVER_CLIENTS_MAX, ADMIN, 30 + i, 2), NUMBER(LOG_LEVEL, 0, 1 + i % 4, 3));
        ck_assert_uint_eq(set_bed_generation(set), i + 2);
        ck_assert_int_eq(set->bed->source->snapshot->last_origin, VADM_ORIGIN_SNMP);
    }
    WAIT_FOR(bed_count(set->bed, VADM_EVENT_CONFIG) == 20);
}
END_TEST

START_TEST(test_no_refresh_between)
{
    guint32 before = set_bed_generation(set);
    g_auto(Outcome) outcome = {0};
    VadmTxn *txn;

    set->bed->source->interval = 200000;
    txn = PREPARED(set, NUMBER(SERVER_WORKERS_MAX, SERVER, 30, 0),
                   NUMBER(SERVER_CLIENTS_MAX, SERVER, 30, 1));
    peer_hold(set->bed->peer, VADM_ADMIN_PROC_SERVER_SET_CLIENT_LIMITS);
    set->bed->base->class->commit(txn, outcome_done, &outcome);
    run_for(400); /* the pool has its new number, and twice it was time for a refresh */
    peer_release(set->bed->peer, VADM_ADMIN_PROC_SERVER_SET_CLIENT_LIMITS, FALSE);
    WAIT_FOR(outcome.done > 0);
    ck_assert_ptr_null(outcome.error);
    ck_assert_uint_eq(set_bed_generation(set), before + 1);
    ck_assert_int_eq(set->bed->source->snapshot->last_origin, VADM_ORIGIN_SNMP);
    ck_assert_uint_eq(bed_count(set->bed, VADM_EVENT_CONFIG), 0);
    set_finish(set, txn);
    set_bed_refresh(set); /* they go on */
}
END_TEST

/* A daemon of another version may show outputs and filters in a form of its own. */
static VadmMessage *
other_form(const VadmMessage *call, gpointer user)
{
    char *text = (char *)"1:journald:extra";
    vadm_admin_connect_get_logging_outputs_ret ret = {text, 1};

    (void)user;
    return vadm_message_new_reply(
        &call->header, (xdrproc_t)xdr_vadm_admin_connect_get_logging_outputs_ret, &ret, NULL);
}

START_TEST(test_undo_of_what_is_shown_differently)
{
    g_auto(Outcome) outcome = {0};
    VadmTxn *txn = PREPARED(set, TEXT(LOG_OUTPUTS, "1:journald", 0));

    peer_handle(set->bed->peer, VADM_ADMIN_PROC_CONNECT_GET_LOGGING_OUTPUTS, other_form, NULL);
    set_commit(set, txn, &outcome);
    ck_assert_ptr_null(outcome.error);
    ck_assert(set_bed_has_logged("but the daemon shows [log] outputs '1:journald:extra'"));
    set_undo(set, txn, &outcome); /* is ours all the same, and put back */
    ck_assert_uint_eq(set_bed_calls(set), 2);
    set_abort(set, txn);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        test_prepare_reads_again,
        test_changed_before_commit,
        test_undo,
        test_undo_of_what_others_changed,
        test_undo_beside_others,
        test_undo_without_commit,
        test_finish_without_commit,
        test_unreachable,
        test_stopped,
        test_lost_before_commit,
        test_lost_before_undo,
        test_read_again_fails_after_commit,
        test_daemon_shows_something_else,
        test_refreshes_beside,
        test_no_refresh_between,
        test_undo_of_what_is_shown_differently,
    };
    Suite *suite = suite_create("remote source, undo");
    TCase *tc = tcase_create("remote source, undo");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    for (guint i = 0; i < G_N_ELEMENTS(tests); i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
