/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Confirmed commits, against the daemon of txn-fixture.c. */
#include "tests/unit/confirm-fixture.h"

#include <errno.h>
#include <string.h>

#include "daemon/pool-private.h"

static guint32
seconds_left(void)
{
    g_autoptr(VadmConfig) config = vadm_store_get_config(&fake->store);

    return vadm_config_confirm_left(config);
}

static VadmOrigin
last_origin(void)
{
    g_autoptr(VadmConfig) config = vadm_store_get_config(&fake->store);

    return config->origin;
}

/* Two servers and logging, to be confirmed within an hour. */
static void
arm(void)
{
    const VadmChange changes[] = {NUMBER(SERVER_WORKERS_MAX, 1, 8, 1),
                                  NUMBER(SERVER_CLIENTS_MAX, 2, 77, 2),
                                  STRING(LOG_FILTERS, "1:a", 3), CONFIRM(3600, 4)};

    change(changes, G_N_ELEMENTS(changes));
}

static void
assert_as_before_arm(void)
{
    g_autoptr(VadmLogSet) set = vadm_log_get_set(fake->log);

    ck_assert_uint_eq(txn_limits_of(1).workers_max, 5);
    ck_assert_uint_eq(txn_limits_of(2).clients_max, 5000);
    ck_assert_uint_eq(fake->servers[1].limits.clients_max, 5000);
    ck_assert_str_eq(vadm_log_set_get_filters(set), "");
}

START_TEST(what_is_not_confirmed_comes_back)
{
    g_autoptr(VadmLogSet) before = vadm_log_get_set(fake->log);
    g_autoptr(VadmLogSet) after = NULL;

    arm();
    ck_assert_uint_eq(txn_generation(), 2);
    ck_assert_uint_eq(seconds_left(), 3600);
    ck_assert_uint_eq(fake->servers[1].limits.clients_max, 77);
    run_loop();
    ck_assert_uint_eq(txn_generation(), 2);
    let_time_run_out();
    wait_generation(3);
    after = vadm_log_get_set(fake->log);
    ck_assert_ptr_eq(before, after);
    assert_as_before_arm();
    ck_assert_uint_eq(seconds_left(), 0);
    ck_assert_int_eq(last_origin(), VADM_ORIGIN_ROLLBACK);
    txn_wait_workers(1, 1, 0);
    vadm_txn_abort(txn_prepare(NULL, 0));
}
END_TEST

START_TEST(the_time_runs_by_itself)
{
    const VadmChange changes[] = {NUMBER(SERVER_CLIENTS_MAX, 2, 77, 1), CONFIRM(1, 2)};
    gint64 begin = g_get_monotonic_time();

    change(changes, 2);
    wait_generation(3);
    ck_assert_int_ge(g_get_monotonic_time() - begin, G_USEC_PER_SEC);
    ck_assert_uint_eq(txn_limits_of(2).clients_max, 5000);
}
END_TEST

START_TEST(what_is_confirmed_stays)
{
    const VadmChange confirm[] = {CONFIRM(0, 1)};

    arm();
    change(confirm, 1);
    ck_assert_uint_eq(txn_generation(), 2);
    ck_assert_uint_eq(seconds_left(), 0);
    vadm_rollback_watch(fake);
    run_loop();
    ck_assert_uint_eq(txn_limits_of(2).clients_max, 77);
    ck_assert_uint_eq(txn_generation(), 2);
    /* and once more: there is nothing to confirm */
    change(confirm, 1);
    ck_assert_uint_eq(txn_generation(), 2);
}
END_TEST

START_TEST(others_are_refused_while_it_is_pending)
{
    const VadmChange other[] = {NUMBER(SERVER_CLIENTS_MAX, 1, 60, 5),
                                CLIENT(2, 77, VADM_CLIENT_DISCONNECT, 6)};
    const VadmChange equal[] = {NUMBER(SERVER_CLIENTS_MAX, 2, 77, 5)};
    const VadmChange storage[] = {STORAGE(NON_VOLATILE, 9)};
    const VadmChange again[] = {CONFIRM(9, 1), NUMBER(SERVER_CLIENTS_MAX, 2, 78, 2)};
    g_autoptr(VadmConfig) seen = NULL;
    g_autoptr(VadmConfig) next = NULL;
    VadmFault fault;

    arm();
    txn_refused(other, 2, VADM_ERROR_BUSY, 5);
    txn_refused_as(VADM_ORIGIN_ADMIN_RPC, other, 1, VADM_ERROR_BUSY, 5);
    txn_refused(equal, 1, VADM_ERROR_BUSY, 5);
    txn_refused(storage, 1, VADM_ERROR_BUSY, 9);
    txn_refused(again, 2, VADM_ERROR_BUSY, 2);
    seen = vadm_store_get_config(&fake->store);
    next = vadm_config_copy(seen);
    next->log_level = 1;
    ck_assert_ptr_null(vadm_txn_prepare_config(fake, seen, next, VADM_ORIGIN_RELOAD, 0, &fault));
    ck_assert(g_error_matches(fault.error, VADM_ERROR, VADM_ERROR_BUSY));
    ck_assert_ptr_nonnull(strstr(fault.error->message, "configuration 2 waits to be confirmed"));
    g_clear_error(&fault.error);
}
END_TEST

START_TEST(disconnecting_is_never_refused)
{
    const VadmChange disconnect[] = {CLIENT(2, 77, VADM_CLIENT_DISCONNECT, 1)};

    arm();
    change(disconnect, 1);
    ck_assert_int_eq(fake->client.closed, 1);
    ck_assert_uint_gt(seconds_left(), 0);
    change_as(VADM_ORIGIN_ADMIN_RPC, disconnect, 1);
    ck_assert_int_eq(fake->client.closed, 2);
}
END_TEST

START_TEST(a_change_may_come_with_the_confirmation)
{
    const VadmChange both[] = {NUMBER(SERVER_CLIENTS_MAX, 1, 60, 1), CONFIRM(0, 2)};

    arm();
    change(both, 2);
    ck_assert_uint_eq(txn_generation(), 3);
    ck_assert_uint_eq(seconds_left(), 0);
    ck_assert_uint_eq(txn_limits_of(1).clients_max, 60);
    ck_assert_uint_eq(txn_limits_of(2).clients_max, 77);
}
END_TEST

START_TEST(a_time_needs_something_to_be_confirmed)
{
    const VadmChange alone[] = {CONFIRM(60, 3)};
    const VadmChange disconnect[] = {CLIENT(2, 77, VADM_CLIENT_DISCONNECT, 1), CONFIRM(60, 3)};
    const VadmChange beyond[] = {NUMBER(SERVER_CLIENTS_MAX, 2, 77, 2), CONFIRM(86401, 3)};
    const VadmChange twice[] = {NUMBER(SERVER_CLIENTS_MAX, 2, 77, 2), CONFIRM(60, 3),
                                CONFIRM(60, 4)};

    txn_refused(alone, 1, VADM_ERROR_INCONSISTENT, 3);
    txn_refused(disconnect, 2, VADM_ERROR_INCONSISTENT, 3);
    txn_refused(beyond, 2, VADM_ERROR_INVALID_VALUE, 3);
    txn_refused(twice, 3, VADM_ERROR_INCONSISTENT, 4);
}
END_TEST

START_TEST(a_time_alone_starts_it_again)
{
    const VadmChange more[] = {CONFIRM(86400, 1)};

    arm();
    change(more, 1);
    ck_assert_uint_eq(seconds_left(), 86400);
    ck_assert_uint_eq(txn_generation(), 2);
    let_time_run_out();
    wait_generation(3);
    assert_as_before_arm();
}
END_TEST

START_TEST(undo_takes_the_pending_with_it)
{
    const VadmChange changes[] = {NUMBER(SERVER_CLIENTS_MAX, 2, 77, 1), CONFIRM(60, 2)};
    VadmDaemonTxn *txn = txn_prepare(changes, 2);

    ck_assert(vadm_txn_commit(txn, NULL));
    ck_assert_uint_eq(seconds_left(), 60);
    ck_assert(vadm_txn_undo(txn, NULL));
    ck_assert_uint_eq(seconds_left(), 0);
    vadm_txn_abort(txn);
    run_loop();
    ck_assert_uint_eq(txn_generation(), 1);
}
END_TEST

START_TEST(an_undone_confirmation_is_none)
{
    const VadmChange confirm[] = {CONFIRM(0, 1)};
    VadmDaemonTxn *txn;

    arm();
    txn = txn_prepare(confirm, 1);
    ck_assert(vadm_txn_commit(txn, NULL));
    ck_assert_uint_eq(seconds_left(), 0);
    ck_assert(vadm_txn_undo(txn, NULL));
    vadm_txn_abort(txn);
    ck_assert_uint_gt(seconds_left(), 0);
    let_time_run_out();
    wait_generation(3);
    assert_as_before_arm();
}
END_TEST

START_TEST(the_rollback_waits_for_the_token)
{
    const VadmChange disconnect[] = {CLIENT(2, 77, VADM_CLIENT_DISCONNECT, 1)};
    VadmDaemonTxn *txn;

    arm();
    txn = txn_prepare(disconnect, 1);
    let_time_run_out();
    run_loop();
    ck_assert_uint_eq(txn_generation(), 2);
    vadm_txn_abort(txn);
    wait_generation(3);
    assert_as_before_arm();
}
END_TEST

START_TEST(a_confirmation_that_holds_the_token_wins)
{
    const VadmChange confirm[] = {CONFIRM(0, 1)};
    VadmDaemonTxn *txn;

    arm();
    txn = txn_prepare(confirm, 1);
    let_time_run_out();
    run_loop();
    ck_assert(vadm_txn_commit(txn, NULL));
    vadm_txn_finish(txn);
    vadm_rollback_watch(fake);
    run_loop();
    ck_assert_uint_eq(txn_generation(), 2);
    ck_assert_uint_eq(txn_limits_of(2).clients_max, 77);
}
END_TEST

static gboolean no_threads;

static int
create_or_refuse(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *data)
{
    return no_threads ? EAGAIN : pthread_create(thread, attr, run, data);
}

/* The second server's pool becomes one whose threads can be refused. */
static void
make_threads_refusable(void)
{
    const VadmPoolLimits limits = {5, 20, 5};

    ck_assert(vadm_pool_stop(fake->servers[1].pool, PATIENCE));
    vadm_pool_free(fake->servers[1].pool);
    fake->servers[1].pool = vadm_pool_new_with("libvirtd", &limits, create_or_refuse, NULL);
    ck_assert_ptr_nonnull(fake->servers[1].pool);
}

/* It stays pending, with nothing half done, and is tried again until it works. */
START_TEST(a_rollback_without_threads_is_tried_again)
{
    g_autofree char *path = txn_in_dir("new.log");
    g_autofree char *outputs = g_strconcat("3:file:", path, NULL);
    const VadmChange changes[] = {
        NUMBER(SERVER_WORKERS_MIN, 2, 1, 1), NUMBER(SERVER_WORKERS_MAX, 2, 1, 2),
        NUMBER(SERVER_CLIENTS_MAX, 2, 77, 3), STRING(LOG_OUTPUTS, outputs, 4), CONFIRM(3600, 5)};
    const VadmChange other[] = {NUMBER(SERVER_CLIENTS_MAX, 2, 78, 1)};
    g_autoptr(VadmLogSet) before = vadm_log_get_set(fake->log);
    g_autoptr(VadmLogSet) after = NULL;
    g_autofree char *pending = NULL;
    g_autofree char *still = NULL;

    make_threads_refusable();
    change(changes, G_N_ELEMENTS(changes));
    txn_wait_workers(2, 1, 5);
    pending = txn_state();
    no_threads = TRUE;
    let_time_run_out();
    run_loop();
    still = txn_state();
    ck_assert_str_eq(pending, still);
    /* 0 would say that nothing is pending, but others are refused still */
    ck_assert_uint_eq(seconds_left(), 1);
    txn_refused(other, 1, VADM_ERROR_BUSY, 1);
    no_threads = FALSE;
    wait_generation(3);
    ck_assert_uint_eq(seconds_left(), 0);
    ck_assert_uint_eq(txn_limits_of(2).workers_min, 5);
    ck_assert_uint_eq(fake->servers[1].limits.clients_max, 5000);
    txn_wait_workers(2, 5, 5);
    after = vadm_log_get_set(fake->log);
    ck_assert_ptr_eq(before, after);
    ck_assert(g_file_test(path, G_FILE_TEST_EXISTS));
}
END_TEST

START_TEST(the_same_values_can_be_armed)
{
    const VadmChange changes[] = {NUMBER(SERVER_CLIENTS_MAX, 2, 5000, 1), CONFIRM(60, 2)};
    const VadmChange other[] = {NUMBER(SERVER_CLIENTS_MAX, 2, 60, 1)};

    change(changes, 2);
    ck_assert_uint_eq(seconds_left(), 60);
    ck_assert_uint_eq(txn_generation(), 1);
    let_time_run_out();
    while (fake->store.config->rollback_to)
        g_main_context_iteration(NULL, TRUE);
    ck_assert_uint_eq(txn_generation(), 1);
    change(other, 1);
}
END_TEST

START_TEST(a_reload_waits_for_the_confirmation)
{
    const VadmChange confirm[] = {CONFIRM(0, 1)};

    arm();
    txn_write_file("[server libvirtd]\nmax_workers = 33\n");
    vadm_daemon_reload(fake, fake_file);
    run_loop();
    ck_assert_uint_eq(txn_generation(), 2);
    ck_assert_uint_eq(txn_limits_of(2).workers_max, 20);
    change(confirm, 1);
    wait_generation(3);
    ck_assert_uint_eq(txn_limits_of(2).workers_max, 33);
    ck_assert_uint_eq(txn_limits_of(2).clients_max, 77);
    ck_assert_int_eq(last_origin(), VADM_ORIGIN_RELOAD);
}
END_TEST

START_TEST(it_is_logged)
{
    g_autofree char *path = txn_in_dir("audit.log");
    g_autofree char *outputs = g_strconcat("3:file:", path, NULL);
    g_autofree char *text = NULL;
    const VadmChange log[] = {STRING(LOG_OUTPUTS, outputs, 1)};
    const VadmChange confirm[] = {CONFIRM(0, 1)};
    const VadmChange armed[] = {NUMBER(SERVER_CLIENTS_MAX, 2, 78, 1), CONFIRM(60, 2)};

    vadm_log_set_default(fake->log);
    change(log, 1);
    arm();
    change(confirm, 1);
    change(armed, 2);
    let_time_run_out();
    wait_generation(5);
    ck_assert(vadm_log_flush(fake->log, PATIENCE));
    ck_assert(g_file_get_contents(path, &text, NULL, NULL));
    ck_assert_ptr_nonnull(
        strstr(text, "configuration 3 is rolled back to 2 unless it is confirmed within 3600 s\n"));
    ck_assert_ptr_nonnull(strstr(text, "configuration 3 is confirmed\n"));
    ck_assert_ptr_nonnull(
        strstr(text, "configuration 4 was not confirmed in time: rolled back to 3\n"));
    ck_assert_ptr_nonnull(
        strstr(text, "configuration 5 (rollback): [server libvirtd] max_clients 78 -> 77\n"));
    ck_assert_ptr_null(strstr(text, "configuration 4 is confirmed"));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("confirm");
    TCase *tc = tcase_create("confirm");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, txn_setup, txn_teardown);
    tcase_add_test(tc, what_is_not_confirmed_comes_back);
    tcase_add_test(tc, the_time_runs_by_itself);
    tcase_add_test(tc, what_is_confirmed_stays);
    tcase_add_test(tc, others_are_refused_while_it_is_pending);
    tcase_add_test(tc, disconnecting_is_never_refused);
    tcase_add_test(tc, a_change_may_come_with_the_confirmation);
    tcase_add_test(tc, a_time_needs_something_to_be_confirmed);
    tcase_add_test(tc, a_time_alone_starts_it_again);
    tcase_add_test(tc, undo_takes_the_pending_with_it);
    tcase_add_test(tc, an_undone_confirmation_is_none);
    tcase_add_test(tc, the_rollback_waits_for_the_token);
    tcase_add_test(tc, a_confirmation_that_holds_the_token_wins);
    tcase_add_test(tc, a_rollback_without_threads_is_tried_again);
    tcase_add_test(tc, the_same_values_can_be_armed);
    tcase_add_test(tc, a_reload_waits_for_the_confirmation);
    tcase_add_test(tc, it_is_logged);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
