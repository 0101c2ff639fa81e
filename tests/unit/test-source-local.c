/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The linked-in daemon's source: which changes complete at once, which in the saver, in what
 * order, and what becomes of them when nobody waits any more. */
#include <string.h>

#include "admin-fixture.h"
#include "agent/source-local.h"
#include "unit.h"

#define PATIENCE ((gint64)ADMIN_PATIENCE_SECONDS * G_USEC_PER_SEC)
#define CHANGE(name, srv, n)                                                                       \
    {                                                                                              \
        .field = VADM_FIELD_##name, .server = srv, .tag = 5, .value = {                            \
            .kind = VADM_VALUE_UINT,                                                               \
            .number = n                                                                            \
        }                                                                                          \
    }

static AdminFixture *fixture;
static GMainContext *context;
static VadmMailbox *mailbox;
static VadmSource *source;

/* The outcome of one phase. */
typedef struct {
    guint calls;
    VadmTxn *txn;
    guint tag;
    int code; /* of the error, -1: none */
} Outcome;

static const VadmChange keep[] = {CHANGE(CONFIG_STORAGE, 0, VADM_STORAGE_NON_VOLATILE),
                                  CHANGE(SERVER_CLIENTS_MAX, 2, 77)};
static const VadmChange limits[] = {CHANGE(SERVER_CLIENTS_MAX, 2, 78)};

static void
setup(void)
{
    fixture = admin_fixture_new();
    context = g_main_context_new();
    mailbox = vadm_mailbox_new(context);
    source = vadm_source_local_new(fixture->daemon);
    source->mailbox = vadm_mailbox_ref(mailbox);
}

static void
wait_idle(void)
{
    gint64 deadline = g_get_monotonic_time() + PATIENCE;

    while (!vadm_saver_is_idle(vadm_daemon_get_store(fixture->daemon)->saver))
        ck_assert_int_lt(g_get_monotonic_time(), deadline);
}

static void
teardown(void)
{
    VadmChange last = CHANGE(SERVER_CLIENTS_MAX, 2, 99);
    VadmFault fault = {0};

    wait_idle();
    /* whatever the test did, the token is free */
    ck_assert(vadm_daemon_change(fixture->daemon, &last, 1, VADM_ORIGIN_ADMIN_RPC, 0, &fault));
    vadm_mailbox_close(mailbox);
    vadm_mailbox_unref(mailbox);
    g_clear_pointer(&source->mailbox, vadm_mailbox_unref);
    vadm_source_local_free(source);
    g_main_context_unref(context);
    admin_fixture_free(fixture);
}

static void
note(VadmTxn *txn, const VadmFault *fault, gpointer user)
{
    Outcome *outcome = user;

    outcome->calls++;
    outcome->txn = txn;
    outcome->tag = fault->tag;
    outcome->code = fault->error ? fault->error->code : -1;
}

static void
wait_outcome(const Outcome *outcome)
{
    gint64 deadline = g_get_monotonic_time() + PATIENCE;

    while (outcome->calls == 0) {
        ck_assert_int_lt(g_get_monotonic_time(), deadline);
        g_main_context_iteration(context, FALSE);
    }
}

static void
prepare_until(const VadmChange *changes, guint n, gint64 deadline, Outcome *outcome)
{
    *outcome = (Outcome){0};
    source->class->prepare(source, changes, n, VADM_ORIGIN_SNMP, deadline, note, outcome);
}

static void
prepare(const VadmChange *changes, guint n, Outcome *outcome)
{
    prepare_until(changes, n, g_get_monotonic_time() + PATIENCE, outcome);
}

static guint32
clients_max(void)
{
    g_autoptr(VadmConfig) config = vadm_daemon_get_config(fixture->daemon);

    return vadm_config_find_server_index(config, 2)->limits.clients_max;
}

static void
make_non_volatile(void)
{
    Outcome outcome;
    VadmTxn *txn;

    prepare(keep, 2, &outcome);
    wait_outcome(&outcome);
    txn = outcome.txn;
    outcome.calls = 0;
    source->class->commit(txn, note, &outcome);
    wait_outcome(&outcome);
    ck_assert_int_eq(outcome.code, -1);
    source->class->finish(txn);
}

START_TEST(what_is_not_stored_completes_at_once)
{
    Outcome outcome;

    prepare(limits, 1, &outcome);
    ck_assert_uint_eq(outcome.calls, 1);
    ck_assert_int_eq(outcome.code, -1);
    source->class->commit(outcome.txn, note, &outcome);
    ck_assert_uint_eq(outcome.calls, 2);
    ck_assert_uint_eq(clients_max(), 78);
    source->class->undo(outcome.txn, note, &outcome);
    ck_assert_uint_eq(outcome.calls, 3);
    ck_assert_uint_eq(clients_max(), 5000);
    source->class->abort(outcome.txn);
}
END_TEST

START_TEST(what_is_stored_completes_later)
{
    Outcome outcome;
    VadmTxn *txn;

    prepare(keep, 2, &outcome);
    ck_assert_uint_eq(outcome.calls, 0);
    wait_outcome(&outcome);
    ck_assert_int_eq(outcome.code, -1);
    ck_assert_uint_eq(clients_max(), 5000);
    txn = outcome.txn;
    outcome.calls = 0;
    source->class->commit(txn, note, &outcome);
    ck_assert_uint_eq(outcome.calls, 0);
    wait_outcome(&outcome);
    ck_assert_uint_eq(clients_max(), 77);
    outcome.calls = 0;
    source->class->undo(txn, note, &outcome);
    ck_assert_uint_eq(outcome.calls, 0);
    wait_outcome(&outcome);
    ck_assert_int_eq(outcome.code, -1);
    ck_assert_uint_eq(clients_max(), 5000);
    source->class->abort(txn);
}
END_TEST

START_TEST(a_refusal_comes_back_with_its_tag)
{
    const VadmChange bad[] = {limits[0],
                              {.field = VADM_FIELD_CONFIG_STORAGE,
                               .tag = 9,
                               .value = {.kind = VADM_VALUE_UINT, .number = 5}}};
    Outcome outcome;

    prepare(bad, 2, &outcome);
    wait_outcome(&outcome);
    ck_assert_ptr_null(outcome.txn);
    ck_assert_int_eq(outcome.code, VADM_ERROR_INVALID_VALUE);
    ck_assert_uint_eq(outcome.tag, 9);
}
END_TEST

/* The end of one waits for the disk: the next must not find the token taken. */
START_TEST(the_next_queues_behind_the_end)
{
    make_non_volatile();
    for (guint i = 0; i < 50; i++) {
        VadmChange change = CHANGE(SERVER_CLIENTS_MAX, 2, 100 + i);
        Outcome outcome;
        VadmTxn *txn;

        prepare(&change, 1, &outcome);
        wait_outcome(&outcome);
        ck_assert_int_eq(outcome.code, -1);
        txn = outcome.txn;
        if (i % 3 == 0) {
            source->class->abort(txn);
            continue;
        }
        outcome.calls = 0;
        source->class->commit(txn, note, &outcome);
        wait_outcome(&outcome);
        source->class->finish(txn);
    }
}
END_TEST

/* Disconnecting and the like, too, though it would not wait by itself. */
START_TEST(nothing_overtakes_the_saver)
{
    const VadmChange drop[] = {CHANGE(CONFIG_STORAGE, 0, VADM_STORAGE_VOLATILE)};
    Outcome outcome;
    VadmTxn *txn;

    make_non_volatile();
    prepare(drop, 1, &outcome);
    wait_outcome(&outcome);
    txn = outcome.txn;
    outcome.calls = 0;
    source->class->commit(txn, note, &outcome);
    wait_outcome(&outcome);
    source->class->finish(txn);
    prepare(limits, 1, &outcome);
    wait_outcome(&outcome);
    ck_assert_int_eq(outcome.code, -1);
    source->class->abort(outcome.txn);
}
END_TEST

START_TEST(too_late_is_not_begun)
{
    Outcome outcome;

    make_non_volatile();
    prepare_until(limits, 1, g_get_monotonic_time() - 1, &outcome);
    wait_outcome(&outcome);
    ck_assert_ptr_null(outcome.txn);
    ck_assert_int_eq(outcome.code, VADM_ERROR_BUSY);
}
END_TEST

static void
abort_at_once(VadmTxn *txn, const VadmFault *fault, gpointer user)
{
    note(txn, fault, user);
    txn->source->class->abort(txn);
}

/* The agent has ended: the outcome is told wherever it comes to be, and may be settled there. */
START_TEST(a_closed_mailbox_still_tells)
{
    gint64 deadline = g_get_monotonic_time() + PATIENCE;
    Outcome outcome = {0};

    source->class->prepare(source, keep, 2, VADM_ORIGIN_SNMP, deadline, abort_at_once, &outcome);
    vadm_mailbox_close(mailbox);
    g_clear_pointer(&source->mailbox, vadm_mailbox_unref);
    wait_idle();
    ck_assert_uint_eq(outcome.calls, 1);
    ck_assert_uint_eq(clients_max(), 5000);
}
END_TEST

START_TEST(without_a_mailbox_all_is_at_once)
{
    Outcome outcome;

    g_clear_pointer(&source->mailbox, vadm_mailbox_unref);
    prepare(keep, 2, &outcome);
    ck_assert_uint_eq(outcome.calls, 1);
    source->class->commit(outcome.txn, note, &outcome);
    ck_assert_uint_eq(outcome.calls, 2);
    ck_assert_uint_eq(clients_max(), 77);
    source->class->finish(outcome.txn);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("source-local");
    TCase *tests = tcase_create("source-local");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 2 * ADMIN_PATIENCE_SECONDS);
    tcase_add_test(tests, what_is_not_stored_completes_at_once);
    tcase_add_test(tests, what_is_stored_completes_later);
    tcase_add_test(tests, a_refusal_comes_back_with_its_tag);
    tcase_add_test(tests, the_next_queues_behind_the_end);
    tcase_add_test(tests, nothing_overtakes_the_saver);
    tcase_add_test(tests, too_late_is_not_begun);
    tcase_add_test(tests, a_closed_mailbox_still_tells);
    tcase_add_test(tests, without_a_mailbox_all_is_at_once);
    suite_add_tcase(suite, tests);
    return vadm_unit_main(suite);
}
