/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reload against the daemon of txn-fixture.c. */
#include "tests/unit/txn-fixture.h"

START_TEST(reload_changes_what_the_file_changed)
{
    const VadmChange change[] = {NUMBER(SERVER_WORKERS_MAX, 2, 30, 1)};
    VadmFault fault;

    ck_assert(vadm_daemon_change(fake, change, 1, VADM_ORIGIN_SNMP, 0, &fault));
    txn_write_file("[server libvirtd]\nmax_clients = 77\n");
    vadm_daemon_reload(fake, fake_file);
    ck_assert_uint_eq(txn_limits_of(2).workers_max, 30);
    ck_assert_uint_eq(txn_limits_of(2).clients_max, 77);
    ck_assert_uint_eq(fake->servers[1].limits.clients_max, 77);
    ck_assert_uint_eq(txn_generation(), 3);
    vadm_daemon_reload(fake, fake_file);
    ck_assert_uint_eq(txn_generation(), 3);
}
END_TEST

START_TEST(reload_of_a_bad_file_changes_nothing)
{
    const VadmChange change[] = {NUMBER(SERVER_WORKERS_MAX, 2, 8, 1)};
    VadmFault fault;

    txn_write_file("[server libvirtd]\nmax_clients = 77\nmax_workers = x\n");
    vadm_daemon_reload(fake, fake_file);
    ck_assert_uint_eq(txn_generation(), 1);
    /* good by itself, but not beside what an operator has set */
    ck_assert(vadm_daemon_change(fake, change, 1, VADM_ORIGIN_SNMP, 0, &fault));
    txn_write_file("[server libvirtd]\nmax_clients = 77\nmin_workers = 9\n");
    vadm_daemon_reload(fake, fake_file);
    ck_assert_uint_eq(txn_generation(), 2);
    ck_assert_uint_eq(txn_limits_of(2).clients_max, 5000);
    /* and it is the file's turn again once that is settled */
    txn_write_file("[server libvirtd]\nmax_clients = 77\nmin_workers = 8\n");
    vadm_daemon_reload(fake, fake_file);
    ck_assert_uint_eq(txn_limits_of(2).clients_max, 77);
    ck_assert_uint_eq(txn_limits_of(2).workers_min, 8);
}
END_TEST

START_TEST(reload_waits_for_the_token)
{
    VadmDaemonTxn *txn = txn_prepare(NULL, 0);
    gint64 deadline = g_get_monotonic_time() + PATIENCE;

    txn_write_file("[log]\nlevel = 1\n");
    vadm_daemon_reload(fake, fake_file);
    vadm_daemon_reload(fake, fake_file);
    ck_assert_uint_eq(txn_generation(), 1);
    g_main_context_iteration(NULL, TRUE);
    ck_assert_uint_eq(txn_generation(), 1);
    vadm_txn_abort(txn);
    while (txn_generation() == 1 && g_get_monotonic_time() < deadline)
        g_main_context_iteration(NULL, TRUE);
    ck_assert_uint_eq(txn_generation(), 2);
    ck_assert_ptr_null(fake->store.retry);
}
END_TEST

START_TEST(a_reload_takes_nothing_back_that_it_did_not_see)
{
    const VadmChange change[] = {NUMBER(SERVER_WORKERS_MAX, 2, 30, 1)};
    g_autoptr(VadmConfig) seen = vadm_store_get_config(&fake->store);
    g_autoptr(VadmConfig) next = vadm_config_copy(seen);
    VadmFault fault;

    next->log_level = 1;
    ck_assert(vadm_daemon_change(fake, change, 1, VADM_ORIGIN_SNMP, 0, &fault));
    ck_assert_ptr_null(vadm_txn_prepare_config(fake, seen, next, VADM_ORIGIN_RELOAD, 0, &fault));
    ck_assert(g_error_matches(fault.error, VADM_ERROR, VADM_ERROR_BUSY));
    g_clear_error(&fault.error);
    ck_assert_uint_eq(txn_limits_of(2).workers_max, 30);
    vadm_txn_abort(txn_prepare(NULL, 0));
}
END_TEST

START_TEST(a_contradiction_with_what_was_set_is_named)
{
    const VadmChange change[] = {NUMBER(SERVER_WORKERS_MAX, 2, 8, 1)};
    g_autoptr(VadmConfig) seen = NULL;
    g_autoptr(VadmConfig) next = NULL;
    VadmFault fault;

    ck_assert(vadm_daemon_change(fake, change, 1, VADM_ORIGIN_SNMP, 0, &fault));
    seen = vadm_store_get_config(&fake->store);
    next = vadm_config_copy(seen);
    vadm_config_find_server_index(next, 2)->limits.workers_min = 9;
    ck_assert_ptr_null(vadm_txn_prepare_config(fake, seen, next, VADM_ORIGIN_RELOAD, 0, &fault));
    ck_assert_str_eq(fault.error->message, "[server libvirtd] min_workers 9, max_workers 8: "
                                           "minWorkers cannot be larger than maxWorkers");
    g_clear_error(&fault.error);
}
END_TEST

START_TEST(a_reload_that_waits_ends_with_the_daemon)
{
    VadmDaemonTxn *txn = txn_prepare(NULL, 0);

    vadm_daemon_reload(fake, fake_file);
    ck_assert_ptr_nonnull(fake->store.retry);
    vadm_txn_abort(txn);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("reload");
    TCase *tc = tcase_create("reload");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, txn_setup, txn_teardown);
    tcase_add_test(tc, reload_changes_what_the_file_changed);
    tcase_add_test(tc, reload_of_a_bad_file_changes_nothing);
    tcase_add_test(tc, reload_waits_for_the_token);
    tcase_add_test(tc, a_reload_takes_nothing_back_that_it_did_not_see);
    tcase_add_test(tc, a_contradiction_with_what_was_set_is_named);
    tcase_add_test(tc, a_reload_that_waits_ends_with_the_daemon);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
