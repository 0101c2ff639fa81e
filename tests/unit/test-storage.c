/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is stored of the changes, against the daemon of txn-fixture.c. */
#include "tests/unit/confirm-fixture.h"

#include <glib/gstdio.h>
#include <sys/stat.h>

START_TEST(storage_is_configuration)
{
    const VadmChange keep[] = {STORAGE(NON_VOLATILE, 1), NUMBER(SERVER_CLIENTS_MAX, 2, 77, 2)};
    const VadmChange more[] = {NUMBER(SERVER_CLIENTS_MAX, 2, 78, 2)};
    const VadmChange drop[] = {STORAGE(VOLATILE, 1)};
    const VadmChange bad[] = {NUMBER(CONFIG_STORAGE, 0, 4, 6)};
    g_autofree char *none = stored();
    g_autofree char *first = NULL;
    g_autofree char *second = NULL;
    g_autofree char *last = NULL;

    ck_assert_ptr_null(none);
    txn_refused(bad, 1, VADM_ERROR_INVALID_VALUE, 6);
    change(keep, 2);
    ck_assert_uint_eq(txn_generation(), 2);
    first = stored();
    ck_assert_ptr_nonnull(first);
    change_as(VADM_ORIGIN_ADMIN_RPC, more, 1);
    second = stored();
    ck_assert_str_ne(first, second);
    change(drop, 1);
    last = stored();
    ck_assert_ptr_null(last);
    ck_assert_uint_eq(txn_generation(), 4);
}
END_TEST

START_TEST(undo_puts_the_stored_back)
{
    const VadmChange keep[] = {STORAGE(NON_VOLATILE, 1)};
    const VadmChange more[] = {NUMBER(SERVER_CLIENTS_MAX, 2, 78, 2)};
    g_autofree char *first = NULL;
    g_autofree char *prepared = NULL;
    g_autofree char *committed = NULL;
    g_autofree char *undone = NULL;
    VadmDaemonTxn *txn;

    change(keep, 1);
    first = stored();
    txn = txn_prepare(more, 1);
    ck_assert(vadm_txn_waits_for_disk(txn));
    prepared = stored();
    ck_assert_str_eq(first, prepared);
    ck_assert(vadm_txn_commit(txn, NULL));
    committed = stored();
    ck_assert_str_ne(first, committed);
    ck_assert(vadm_txn_undo(txn, NULL));
    vadm_txn_abort(txn);
    undone = stored();
    ck_assert_str_eq(first, undone);
    ck_assert_uint_eq(txn_generation(), 2);
}
END_TEST

START_TEST(only_the_confirmed_is_stored)
{
    const VadmChange keep[] = {STORAGE(NON_VOLATILE, 1)};
    const VadmChange armed[] = {NUMBER(SERVER_CLIENTS_MAX, 2, 78, 1), CONFIRM(60, 2)};
    const VadmChange confirm[] = {CONFIRM(0, 1)};
    g_autofree char *first = NULL;
    g_autofree char *pending = NULL;
    g_autofree char *back = NULL;
    g_autofree char *confirmed = NULL;

    change(keep, 1);
    first = stored();
    change(armed, 2);
    pending = stored();
    ck_assert_str_eq(first, pending);
    let_time_run_out();
    wait_generation(4);
    back = stored();
    ck_assert_str_eq(first, back);
    change(armed, 2);
    change(confirm, 1);
    confirmed = stored();
    ck_assert_str_ne(first, confirmed);
}
END_TEST

START_TEST(storage_itself_can_be_rolled_back)
{
    const VadmChange armed[] = {STORAGE(NON_VOLATILE, 1), CONFIRM(60, 2)};
    const VadmChange keep[] = {STORAGE(NON_VOLATILE, 1)};
    const VadmChange drop[] = {STORAGE(VOLATILE, 1), CONFIRM(60, 2)};
    const VadmChange confirm[] = {CONFIRM(0, 1)};
    g_autofree char *none = NULL;
    g_autofree char *still = NULL;
    g_autofree char *gone = NULL;

    change(armed, 2);
    none = stored();
    ck_assert_ptr_null(none);
    let_time_run_out();
    wait_generation(3);
    ck_assert_int_eq(fake->store.config->storage, VADM_STORAGE_VOLATILE);
    change(keep, 1);
    change(drop, 2);
    still = stored();
    ck_assert_ptr_nonnull(still);
    change(confirm, 1);
    gone = stored();
    ck_assert_ptr_null(gone);
}
END_TEST

/* Somebody has removed it; the operator says once more that it is to be kept. */
START_TEST(nonvolatile_again_stores_again)
{
    const VadmChange keep[] = {STORAGE(NON_VOLATILE, 1)};
    const VadmChange armed[] = {STORAGE(NON_VOLATILE, 1), NUMBER(SERVER_CLIENTS_MAX, 2, 78, 1),
                                CONFIRM(60, 2)};
    g_autofree char *path = txn_in_dir("virtadmd.state");
    g_autofree char *first = NULL;
    g_autofree char *second = NULL;
    g_autofree char *third = NULL;
    g_autofree char *undone = NULL;
    VadmDaemonTxn *txn;

    change(keep, 1);
    first = stored();
    ck_assert_int_eq(g_unlink(path), 0);
    change(keep, 1);
    second = stored();
    ck_assert_str_eq(first, second);
    ck_assert_uint_eq(txn_generation(), 2);
    ck_assert_int_eq(g_unlink(path), 0);
    txn = txn_prepare(keep, 1);
    ck_assert(vadm_txn_commit(txn, NULL));
    ck_assert(vadm_txn_undo(txn, NULL));
    vadm_txn_abort(txn);
    undone = stored();
    ck_assert_ptr_null(undone);
    /* of what waits to be confirmed nothing is stored */
    change(armed, 3);
    third = stored();
    ck_assert_str_eq(first, third);
}
END_TEST

/* The value that was asked for is not at fault. */
START_TEST(a_folder_of_others_is_no_bad_value)
{
    const VadmChange keep[] = {NUMBER(SERVER_CLIENTS_MAX, 2, 78, 1), STORAGE(NON_VOLATILE, 7)};

    ck_assert_int_eq(chmod(fake_dir, 0777), 0);
    txn_refused(keep, 2, VADM_ERROR_SYSTEM, 7);
    ck_assert_int_eq(chmod(fake_dir, 0700), 0);
}
END_TEST

START_TEST(what_cannot_be_stored_is_refused)
{
    const VadmChange keep[] = {NUMBER(SERVER_CLIENTS_MAX, 2, 78, 1), STORAGE(NON_VOLATILE, 7),
                               NUMBER(SERVER_CLIENTS_MAX, 1, 40, 8)};

    g_free(fake->store.config->state_dir);
    fake->store.config->state_dir = g_strdup("/nowhere/at/all");
    txn_refused(keep, 3, VADM_ERROR_SYSTEM, 7);
    txn_refused_as(VADM_ORIGIN_ADMIN_RPC, keep, 2, VADM_ERROR_SYSTEM, 7);
}
END_TEST

START_TEST(a_reload_is_stored_by_the_saver)
{
    const VadmChange keep[] = {STORAGE(NON_VOLATILE, 1), NUMBER(SERVER_CLIENTS_MAX, 2, 78, 1)};
    g_autofree char *first = NULL;
    g_autofree char *second = NULL;

    change(keep, 2);
    first = stored();
    txn_write_file("[server libvirtd]\nmax_clients = 99\nmax_workers = 44\n[log]\nlevel = 2\n"
                   "filters = 1:x\n[notify]\nmin_interval = 9\n");
    vadm_daemon_reload(fake, fake_file);
    vadm_daemon_reload(fake, fake_file);
    wait_generation(3);
    run_loop();
    ck_assert_uint_eq(txn_generation(), 3);
    ck_assert_uint_eq(txn_limits_of(2).clients_max, 99);
    ck_assert_uint_eq(txn_limits_of(2).workers_max, 44);
    second = stored();
    ck_assert_str_ne(first, second);
    while (fake->store.reloading)
        g_main_context_iteration(NULL, TRUE);
}
END_TEST

START_TEST(outputs_of_a_manager_are_marked)
{
    g_autofree char *path = txn_in_dir("a.log");
    g_autofree char *outputs = g_strconcat("3:file:", path, NULL);
    const VadmChange by_snmp[] = {STRING(LOG_OUTPUTS, outputs, 1)};
    const VadmChange level[] = {NUMBER(LOG_LEVEL, 0, 2, 1)};
    const VadmChange by_admin[] = {STRING(LOG_OUTPUTS, "2:stderr", 1)};

    change_as(VADM_ORIGIN_ADMIN_RPC, level, 1);
    ck_assert(!fake->store.config->log_outputs_guarded);
    change(by_snmp, 1);
    ck_assert(fake->store.config->log_outputs_guarded);
    change_as(VADM_ORIGIN_ADMIN_RPC, by_admin, 1);
    ck_assert(!fake->store.config->log_outputs_guarded);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("storage");
    TCase *tc = tcase_create("storage");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, txn_setup, txn_teardown);
    tcase_add_test(tc, storage_is_configuration);
    tcase_add_test(tc, undo_puts_the_stored_back);
    tcase_add_test(tc, only_the_confirmed_is_stored);
    tcase_add_test(tc, storage_itself_can_be_rolled_back);
    tcase_add_test(tc, nonvolatile_again_stores_again);
    tcase_add_test(tc, a_folder_of_others_is_no_bad_value);
    tcase_add_test(tc, what_cannot_be_stored_is_refused);
    tcase_add_test(tc, a_reload_is_stored_by_the_saver);
    tcase_add_test(tc, outputs_of_a_manager_are_marked);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
