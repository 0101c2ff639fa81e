/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Each call that changes a daemon goes wrong in each way. Afterwards the daemon is as it was
 * before, or the error and the log say that nobody knows, and later what is in force.
 */
#include "agent/set-call.h"
#include "set-bed.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>

/* Less than what a call is waited for without the deadline of its transaction: 30 s. */
#define CALL_FOR_EVER_US (20 * G_USEC_PER_SEC)

#define CALLS 5 /* of these changes */
static const VadmChange changes[] = {
    TEXT(LOG_OUTPUTS, "1:journald", 0),
    TEXT(LOG_FILTERS, "4:util", 1),
    NUMBER(LOG_LEVEL, 0, 1, 2),
    NUMBER(SERVER_WORKERS_MIN, SERVER, 6, 3),
    NUMBER(SERVER_WORKERS_MAX, SERVER, 60, 4),
    NUMBER(SERVER_CLIENTS_MAX, SERVER, 70, 5),
    NUMBER(SERVER_CLIENTS_MAX, ADMIN, 80, 6),
    NUMBER(SERVER_CLIENTS_HIGH_PERCENT, SERVER, 50, 7),
};
/* The last change that takes part in the n-th call. */
static const guint tags[CALLS] = {0, 2, 4, 5, 6};

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

static gboolean
is_lost(SetFailure failure)
{
    return failure != SET_REFUSE;
}

static void
assert_has(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "no '%s' in: %s", part, text);
}

/* What the source says that is in force, is. */
static void
assert_tells_truth(const char *text)
{
    Fake *fake = set->bed->fake;
    FakeServer *server = fake_find_server(fake, "libvirtd");
    FakeServer *admin = fake_find_server(fake, "admin");
    g_autofree char *report = NULL;

    fake_lock(fake);
    report = g_strdup_printf(
        "[log] outputs '%s'; [log] level %d; [log] filters '%s'; [server libvirtd] min_workers %u; "
        "[server libvirtd] max_workers %u; [server libvirtd] max_clients %u; "
        "[server admin] max_clients %u",
        fake->outputs, strstr(fake->filters, "*** ") ? 1 : 5,
        strstr(fake->filters, "4:") ? "4:util" : "1:util 2:b", server->pool[POOL_MIN],
        server->pool[POOL_MAX], server->limits[LIMIT_MAX], admin->limits[LIMIT_MAX]);
    fake_unlock(fake);
    assert_has(text, report);
}

static void
assert_usable(void)
{
    set_bed_script(set, 0, 0, SET_REFUSE);
    WAIT_FOR(bed_is_up(set->bed) && set->bed->source->writer->holder == NULL);
    SET_ALL(set, NUMBER(SERVER_WORKERS_MAX, SERVER, 33, 0), NUMBER(LOG_LEVEL, 0, 4, 1));
    ck_assert_uint_eq(fake_find_server(set->bed->fake, "libvirtd")->pool[POOL_MAX], 33);
}

static void
assert_unknown(const char *message)
{
    g_autofree char *log = NULL;

    assert_has(message, "not known");
    WAIT_FOR(set_bed_has_logged("is in force: "));
    log = set_bed_log();
    assert_tells_truth(strstr(log, "is in force: "));
    ck_assert_uint_eq(peer_n_connections(set->bed->peer), 2);
}

static void
assert_as_before(const char *before)
{
    g_autofree char *after = set_bed_state(set);

    ck_assert_str_eq(after, before);
}

START_TEST(test_apply)
{
    guint at = (guint)_i / SET_FAILURES;
    SetFailure failure = (SetFailure)(_i % SET_FAILURES);
    g_autofree char *before = set_bed_state(set);
    guint32 generation = set_bed_generation(set);
    g_auto(Outcome) outcome = {0};
    VadmTxn *txn = set_prepared(set, changes, G_N_ELEMENTS(changes));
    gint64 begun = g_get_monotonic_time();

    set_bed_script(set, at + 1, at + 1, failure);
    set_commit(set, txn, &outcome);
    ck_assert_ptr_nonnull(outcome.error);
    ck_assert_uint_eq(outcome.tag, tags[at]);
    ck_assert_int_lt(g_get_monotonic_time() - begun, CALL_FOR_EVER_US);
    set_abort(set, txn);
    if (is_lost(failure)) {
        assert_unknown(outcome.error->message);
    } else {
        assert_has(outcome.error->message, "refused by the test");
        assert_as_before(before);
        ck_assert(at == 0 || strstr(outcome.error->message, "everything is as before"));
        ck_assert_uint_eq(set_bed_generation(set), generation);
        ck_assert_uint_eq(bed_count(set->bed, VADM_EVENT_CONFIG), 0);
    }
    ck_assert_uint_eq(set_bed_row(set, SERVER).clients_high_percent, 80);
    assert_usable();
}
END_TEST

/* And taking back goes wrong, too. */
START_TEST(test_take_back)
{
    guint at = (guint)_i / SET_FAILURES + 1;
    SetFailure failure = (SetFailure)(_i % SET_FAILURES);
    g_auto(Outcome) outcome = {0};
    VadmTxn *txn = set_prepared(set, changes, G_N_ELEMENTS(changes));

    set_bed_script(set, at + 1, at + 1, SET_REFUSE);
    set_bed_script_then(set, at + 2, failure);
    set_commit(set, txn, &outcome);
    ck_assert_ptr_nonnull(outcome.error);
    ck_assert_uint_eq(outcome.tag, tags[at]);
    set_abort(set, txn);
    assert_has(outcome.error->message, "refused by the test; ");
    if (is_lost(failure)) {
        assert_unknown(outcome.error->message);
    } else {
        assert_has(outcome.error->message, "cannot be taken back: ");
        assert_tells_truth(strstr(outcome.error->message, "not everything is as before: "));
        ck_assert_uint_eq(bed_count(set->bed, VADM_EVENT_CONFIG), 1);
        ck_assert_int_eq(bed_last(set->bed, VADM_EVENT_CONFIG)->config.last_origin,
                         VADM_ORIGIN_SNMP);
    }
    assert_usable();
}
END_TEST

START_TEST(test_undo)
{
    guint at = (guint)_i / SET_FAILURES;
    SetFailure failure = (SetFailure)(_i % SET_FAILURES);
    g_auto(Outcome) outcome = {0};
    VadmTxn *txn = set_committed(set, changes, G_N_ELEMENTS(changes));

    set_bed_script(set, at + 1, at + 1, failure);
    set_undo(set, txn, &outcome);
    ck_assert_ptr_nonnull(outcome.error);
    set_abort(set, txn);
    if (is_lost(failure)) {
        assert_unknown(outcome.error->message);
    } else {
        /* the others are taken back */
        ck_assert_uint_eq(set_bed_calls(set), CALLS);
        assert_has(outcome.error->message, "cannot be taken back: ");
        assert_tells_truth(strstr(outcome.error->message, "not everything is as before: "));
    }
    ck_assert(set_bed_has_logged("cannot be undone"));
    assert_usable();
}
END_TEST

/* A server that is not there any more when it comes to it: the calls before are taken back, and
 * what is not there is told. */
START_TEST(test_server_is_gone)
{
    g_autofree char *before = NULL;
    g_auto(Outcome) outcome = {0};
    FakeServer *gone = fake_add_server(set->bed->fake, "gone");
    VadmTxn *txn;

    bed_refresh(set->bed);
    txn = PREPARED(set, NUMBER(LOG_LEVEL, 0, 1, 0), NUMBER(SERVER_CLIENTS_MAX, 3, 70, 1));
    FAKE_SET(set->bed->fake, g_ptr_array_remove(set->bed->fake->servers, gone));
    before = set_bed_state(set);
    set_commit(set, txn, &outcome);
    ck_assert_ptr_nonnull(outcome.error);
    ck_assert_uint_eq(outcome.tag, 1);
    assert_has(outcome.error->message, "no such server; not everything is as before");
    assert_has(outcome.error->message, "[server gone] is not there");
    set_abort(set, txn);
    assert_as_before(before);
    assert_usable();
}
END_TEST

/* An answer that comes when nobody waits for it any more changes nothing. */
START_TEST(test_late_answer)
{
    g_auto(Outcome) outcome = {0};
    VadmTxn *txn = PREPARED(set, NUMBER(SERVER_CLIENTS_MAX, SERVER, 70, 0));

    set_bed_hurry(set, TRUE);
    peer_hold(set->bed->peer, VADM_ADMIN_PROC_SERVER_SET_CLIENT_LIMITS);
    set_commit(set, txn, &outcome);
    ck_assert_ptr_nonnull(outcome.error);
    assert_has(outcome.error->message, "not known");
    set_abort(set, txn);
    peer_release(set->bed->peer, VADM_ADMIN_PROC_SERVER_SET_CLIENT_LIMITS, FALSE);
    WAIT_FOR(set_bed_has_logged("is in force: "));
    assert_usable();
}
END_TEST

/* ---- the agent ends ---- */

static VadmSetCall *
prepare_call(guint n)
{
    GArray *array = g_array_new(FALSE, FALSE, sizeof(VadmChange));
    VadmSetCall *call;

    g_array_append_vals(array, changes, n);
    call = vadm_set_call_prepare(set->bed->base, array, g_get_monotonic_time() + G_USEC_PER_SEC);
    g_array_unref(array);
    return call;
}

/* As the snmp thread does at its end: gives up, takes the mailbox away, and closes it. */
static void
end_caller(void)
{
    VadmMailbox *mailbox = g_steal_pointer(&set->bed->base->mailbox);

    vadm_mailbox_close(mailbox);
    vadm_mailbox_unref(mailbox);
}

START_TEST(test_end_while_preparing)
{
    g_autofree char *before = set_bed_state(set);
    VadmSetCall *call;

    peer_ignore(set->bed->peer, VADM_ADMIN_PROC_CONNECT_LIST_SERVERS);
    call = prepare_call(G_N_ELEMENTS(changes));
    if (_i & 1)
        run_for(20);
    vadm_set_call_give_up(call);
    end_caller();
    if (_i & 2)
        WAIT_FOR(set->bed->source->writer->holder == NULL);
    assert_as_before(before);
    ck_assert_uint_eq(set_bed_calls(set), 0);
}
END_TEST

/* The change that was given up is committed all the same, then undone, as long as there is a main
 * loop, whoever hears of it. */
START_TEST(test_end_while_committing)
{
    g_autofree char *before = set_bed_state(set);
    VadmTxn *txn = set_prepared(set, changes, G_N_ELEMENTS(changes));
    VadmSetCall *call = vadm_set_call_commit(txn, g_get_monotonic_time() + G_USEC_PER_SEC);

    if (_i & 1)
        WAIT_FOR(set_bed_calls(set) > 1);
    vadm_set_call_give_up(call);
    end_caller();
    if (_i & 2) {
        WAIT_FOR(set->bed->source->writer->holder == NULL);
        assert_as_before(before);
        ck_assert_uint_eq(set_bed_calls(set), 2 * CALLS);
        ck_assert(set_bed_has_logged("undone: "));
    }
}
END_TEST

START_TEST(test_end_while_committing_in_silence)
{
    g_autofree char *before = set_bed_state(set);
    VadmTxn *txn = set_prepared(set, changes, G_N_ELEMENTS(changes));
    VadmSetCall *call = vadm_set_call_commit(txn, g_get_monotonic_time() + G_USEC_PER_SEC);

    set_bed_script(set, 1, 100, SET_SILENT);
    WAIT_FOR(set_bed_calls(set) == 1);
    vadm_set_call_give_up(call);
    end_caller();
    if (_i & 1)
        run_for(50);
    assert_as_before(before);
    ck_assert_uint_eq(set_bed_calls(set), 1); /* nothing is tried behind what nobody knows */
}
END_TEST

START_TEST(test_end_while_undoing)
{
    VadmTxn *txn = set_committed(set, changes, G_N_ELEMENTS(changes));
    g_autofree char *committed = set_bed_state(set);
    VadmSetCall *call = vadm_set_call_undo(txn, g_get_monotonic_time() + G_USEC_PER_SEC);

    set_bed_script(set, 1, 100, SET_SILENT);
    if (_i & 1)
        WAIT_FOR(set_bed_calls(set) == 1);
    vadm_set_call_give_up(call);
    end_caller();
    if (_i & 2)
        run_for(20);
    assert_as_before(committed);
}
END_TEST

START_TEST(test_end_when_committed)
{
    VadmTxn *txn = set_committed(set, changes, G_N_ELEMENTS(changes));
    g_autofree char *committed = set_bed_state(set);

    set_finish(set, txn);
    end_caller();
    if (_i & 1)
        WAIT_FOR(bed_count(set->bed, VADM_EVENT_CONFIG) == 1);
    assert_as_before(committed);
    ck_assert_uint_eq(set_bed_calls(set), CALLS);
}
END_TEST

START_TEST(test_end_when_prepared)
{
    g_autofree char *before = set_bed_state(set);

    set_abort(set, set_prepared(set, changes, G_N_ELEMENTS(changes)));
    end_caller();
    assert_as_before(before);
}
END_TEST

START_TEST(test_end_with_unanswered)
{
    VadmTxn *txn = set_prepared(set, changes, G_N_ELEMENTS(changes));
    g_auto(Outcome) outcome = {0};

    set_bed_script(set, 2, 2, SET_GARBAGE);
    set_commit(set, txn, &outcome);
    ck_assert_ptr_nonnull(outcome.error);
    set_abort(set, txn);
}
END_TEST

START_TEST(test_without_mailbox)
{
    g_auto(Outcome) outcome = {0};
    VadmSourceClass class = *set->bed->base->class;
    VadmTxn *txn = set_prepared(set, changes, G_N_ELEMENTS(changes));

    end_caller();
    class.commit(txn, outcome_done, &outcome);
    ck_assert_uint_eq(outcome.done, 1);
    ck_assert(g_error_matches(outcome.error, VADM_ERROR, VADM_ERROR_NO_CONNECT));
    class.abort(txn);
    outcome_clear(&outcome);
    class.prepare(set->bed->base, changes, 1, VADM_ORIGIN_SNMP, G_MAXINT64, outcome_done, &outcome);
    ck_assert_uint_eq(outcome.done, 2);
    ck_assert_ptr_null(outcome.txn);
    ck_assert(g_error_matches(outcome.error, VADM_ERROR, VADM_ERROR_NO_CONNECT));
}
END_TEST

/* A caller who gave up prepares again: he is refused as long as the first is not settled. */
START_TEST(test_given_up)
{
    g_auto(Outcome) outcome = {0};
    VadmTxn *txn = set_prepared(set, changes, G_N_ELEMENTS(changes));
    g_autofree char *before = set_bed_state(set);
    VadmSetCall *call;

    peer_hold(set->bed->peer, VADM_ADMIN_PROC_SERVER_SET_THREADPOOL_PARAMETERS);
    call = vadm_set_call_commit(txn, g_get_monotonic_time());
    WAIT_FOR(set_bed_calls(set) == 2);
    vadm_set_call_give_up(call);
    set_prepare(set, changes, 1, &outcome);
    ck_assert(g_error_matches(outcome.error, VADM_ERROR, VADM_ERROR_BUSY));
    peer_release(set->bed->peer, VADM_ADMIN_PROC_SERVER_SET_THREADPOOL_PARAMETERS, FALSE);
    WAIT_FOR(set->bed->source->writer->holder == NULL);
    assert_as_before(before);
    assert_usable();
}
END_TEST

/* ---- threads ---- */

typedef struct {
    VadmSource *source;
    VadmMailbox *mailbox;
    guint seed;
    guint committed, refused;
    gboolean over; /* atomic */
} Caller;

static void
caller_wait(Caller *caller, const Outcome *outcome)
{
    struct pollfd fd = {.fd = vadm_mailbox_get_fd(caller->mailbox), .events = POLLIN};

    while (outcome->done == 0) {
        poll(&fd, 1, 1000);
        vadm_mailbox_dispatch(caller->mailbox);
    }
}

static void
caller_look(Caller *caller)
{
    const VadmSourceClass *class = caller->source->class;
    VadmView *view = class->view_begin(caller->source);
    const VadmServerRow *row = class->server(view, VADM_MATCH_EQ, SERVER);

    ck_assert(!row || row->workers_min <= row->workers_max);
    class->view_end(view);
}

static void
caller_set(Caller *caller, GRand *random)
{
    const VadmSourceClass *class = caller->source->class;
    const VadmChange some[] = {
        NUMBER(SERVER_WORKERS_MAX, SERVER, g_rand_int_range(random, 1, 30), 0),
        NUMBER(SERVER_CLIENTS_MAX, ADMIN, g_rand_int_range(random, 0, 30), 1),
        NUMBER(LOG_LEVEL, 0, g_rand_int_range(random, 1, 6), 2),
        TEXT(LOG_FILTERS, g_rand_boolean(random) ? "1:a 2:b" : "3:c", 3)};
    Outcome outcome = {0};
    VadmTxn *txn;

    class->prepare(caller->source, some, G_N_ELEMENTS(some), VADM_ORIGIN_SNMP,
                   g_get_monotonic_time() + G_USEC_PER_SEC, outcome_done, &outcome);
    caller_wait(caller, &outcome);
    caller_look(caller);
    txn = outcome.txn;
    if (!txn) {
        caller->refused++;
        outcome_clear(&outcome);
        return;
    }
    if (g_rand_int_range(random, 0, 4) == 0) {
        class->abort(txn);
        return;
    }
    outcome.done = 0;
    class->commit(txn, outcome_done, &outcome);
    caller_wait(caller, &outcome);
    if (outcome.error || g_rand_int_range(random, 0, 3) == 0) {
        outcome_clear(&outcome);
        outcome.done = 0;
        class->undo(txn, outcome_done, &outcome);
        caller_wait(caller, &outcome);
        class->abort(txn);
    } else {
        caller->committed++;
        class->finish(txn);
    }
    outcome_clear(&outcome);
}

static gpointer
caller_run(gpointer user)
{
    Caller *caller = user;
    g_autoptr(GRand) random = g_rand_new_with_seed(caller->seed);

    for (guint i = 0; i < 60; i++)
        caller_set(caller, random);
    g_atomic_int_set(&caller->over, TRUE);
    return NULL;
}

/* The phases in a thread of their own, refreshes, and somebody else who changes things, too. */
START_TEST(test_threads)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(5);
    Caller caller = {.source = set->bed->base, .seed = 7};
    FakeServer *server = fake_find_server(set->bed->fake, "libvirtd");
    pthread_t thread;

    end_caller();
    set->bed->source->interval = 500000;
    caller.mailbox = vadm_mailbox_new_polled(NULL);
    caller.source->mailbox = caller.mailbox;
    ck_assert_int_eq(pthread_create(&thread, NULL, caller_run, &caller), 0);
    while (!g_atomic_int_get(&caller.over)) {
        if (!g_main_context_iteration(NULL, FALSE))
            g_usleep(500);
        if (g_rand_int_range(random, 0, 200) == 0)
            FAKE_SET(set->bed->fake,
                     server->pool[POOL_MAX] = (guint32)g_rand_int_range(random, 5, 9));
    }
    pthread_join(thread, NULL);
    caller.source->mailbox = NULL;
    vadm_mailbox_close(caller.mailbox);
    vadm_mailbox_unref(caller.mailbox);
    WAIT_FOR(set->bed->source->writer->holder == NULL);
    ck_assert_uint_gt(caller.committed, 5);
    ck_assert_uint_gt(caller.refused, 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("remote-faults");
    TCase *tc = tcase_create("faults");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test_apply, 0, CALLS * SET_FAILURES);
    tcase_add_loop_test(tc, test_take_back, 0, (CALLS - 1) * SET_FAILURES);
    tcase_add_loop_test(tc, test_undo, 0, CALLS * SET_FAILURES);
    tcase_add_test(tc, test_server_is_gone);
    tcase_add_test(tc, test_late_answer);
    tcase_add_test(tc, test_given_up);
    tcase_add_loop_test(tc, test_end_while_preparing, 0, 4);
    tcase_add_loop_test(tc, test_end_while_committing, 0, 4);
    tcase_add_loop_test(tc, test_end_while_committing_in_silence, 0, 2);
    tcase_add_loop_test(tc, test_end_while_undoing, 0, 4);
    tcase_add_loop_test(tc, test_end_when_committed, 0, 2);
    tcase_add_test(tc, test_end_when_prepared);
    tcase_add_test(tc, test_end_with_unanswered);
    tcase_add_test(tc, test_without_mailbox);
    tcase_add_test(tc, test_threads);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
