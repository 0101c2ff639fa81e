/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Transactions against the daemon of txn-fixture.c. */
#include "tests/unit/txn-fixture.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

START_TEST(a_change_is_seen_at_commit_as_a_whole)
{
    const VadmChange changes[] = {
        NUMBER(SERVER_WORKERS_MIN, 2, 30, 1),       NUMBER(SERVER_WORKERS_MAX, 2, 40, 2),
        NUMBER(SERVER_CLIENTS_MAX, 1, 60, 3),       NUMBER(LOG_LEVEL, 0, 2, 4),
        STRING(LOG_FILTERS, " 1:rpc   2:util ", 5),
    };
    g_autofree char *before = txn_state();
    g_autofree char *prepared = NULL;
    g_autoptr(VadmConfig) old = vadm_store_get_config(&fake->store);
    g_autoptr(VadmConfig) new = NULL;
    g_autoptr(VadmLogSet) set = NULL;
    VadmDaemonTxn *txn = txn_prepare(changes, G_N_ELEMENTS(changes));

    prepared = txn_state();
    ck_assert_str_eq(before, prepared);
    ck_assert(vadm_txn_commit(txn, NULL));
    new = vadm_store_get_config(&fake->store);
    ck_assert_uint_eq(new->generation, 2);
    ck_assert_int_eq(new->origin, VADM_ORIGIN_SNMP);
    ck_assert_int_ge(new->changed_at, old->changed_at);
    ck_assert_uint_eq(txn_limits_of(2).workers_min, 30);
    ck_assert_uint_eq(fake->servers[0].limits.clients_max, 60);
    ck_assert_str_eq(new->log_filters, "1:rpc 2:util");
    set = vadm_log_get_set(fake->log);
    ck_assert_ptr_eq(set, new->log_set);
    ck_assert_int_eq(vadm_log_set_get_level(set), 2);
    txn_wait_workers(2, 30, 5);
    vadm_txn_finish(txn);
    ck_assert_uint_eq(txn_generation(), 2);
    ck_assert_uint_eq(old->generation, 1); /* who holds it still sees it as it was */
    ck_assert_uint_eq(old->log_level, 3);
}
END_TEST

START_TEST(undo_puts_back_everything)
{
    g_autofree char *path = txn_in_dir("new.log");
    g_autofree char *outputs = g_strconcat("1:file:", path, NULL);
    const VadmChange changes[] = {
        NUMBER(SERVER_WORKERS_MIN, 2, 8, 1),
        NUMBER(SERVER_WORKERS_PRIORITY, 2, 9, 2),
        NUMBER(SERVER_CLIENTS_MAX, 1, 60, 3),
        STRING(LOG_OUTPUTS, outputs, 4),
    };
    const VadmChange later[] = {NUMBER(SERVER_CLIENTS_MAX, 1, 61, 1)};
    g_autofree char *before = txn_state();
    g_autofree char *after = NULL;
    VadmDaemonTxn *txn = txn_prepare(changes, G_N_ELEMENTS(changes));

    ck_assert(vadm_txn_commit(txn, NULL));
    ck_assert(vadm_txn_commit(txn, NULL));
    ck_assert(g_file_test(path, G_FILE_TEST_EXISTS));
    txn_wait_workers(2, 8, 9);
    ck_assert(vadm_txn_undo(txn, NULL));
    ck_assert(vadm_txn_undo(txn, NULL));
    after = txn_state();
    ck_assert_str_eq(before, after);
    txn_wait_workers(2, 5, 5);
    vadm_txn_abort(txn);
    txn_wait_workers(2, 5, 5);
    /* a number that was seen once is not given to something else */
    txn = txn_prepare(later, 1);
    ck_assert(vadm_txn_commit(txn, NULL));
    ck_assert_uint_eq(txn_generation(), 3);
    vadm_txn_abort(txn); /* undoes first */
    ck_assert_uint_eq(txn_generation(), 1);
    ck_assert_uint_eq(fake->servers[0].limits.clients_max, 50);
}
END_TEST

START_TEST(abort_removes_the_files_it_made)
{
    g_autofree char *path = txn_in_dir("new.log");
    g_autofree char *outputs = g_strconcat("1:file:", path, NULL);
    const VadmChange changes[] = {STRING(LOG_OUTPUTS, outputs, 4)};
    VadmDaemonTxn *txn = txn_prepare(changes, 1);

    ck_assert(g_file_test(path, G_FILE_TEST_EXISTS));
    vadm_txn_abort(txn);
    ck_assert(!g_file_test(path, G_FILE_TEST_EXISTS));
    /* one that a later part of the same transaction refuses, too */
    {
        const VadmChange both[] = {STRING(LOG_OUTPUTS, outputs, 4), STRING(LOG_FILTERS, "9:x", 5)};
        txn_refused(both, 2, VADM_ERROR_INVALID_VALUE, 5);
        ck_assert(!g_file_test(path, G_FILE_TEST_EXISTS));
    }
}
END_TEST

START_TEST(refusals_name_the_change_at_fault)
{
    const VadmChange min_max[] = {NUMBER(SERVER_WORKERS_MIN, 2, 50, 1),
                                  NUMBER(SERVER_WORKERS_MAX, 2, 40, 2), NUMBER(LOG_LEVEL, 0, 1, 3)};
    const VadmChange max_min[] = {NUMBER(SERVER_WORKERS_MAX, 2, 40, 1),
                                  NUMBER(SERVER_WORKERS_MIN, 1, 0, 2),
                                  NUMBER(SERVER_WORKERS_MIN, 2, 50, 3)};
    const VadmChange min_alone[] = {NUMBER(LOG_LEVEL, 0, 1, 8),
                                    NUMBER(SERVER_WORKERS_MIN, 2, 21, 9)};
    const VadmChange unauth[] = {NUMBER(SERVER_CLIENTS_MAX, 2, 19, 4)};
    const VadmChange twice[] = {NUMBER(LOG_LEVEL, 0, 1, 1), NUMBER(LOG_LEVEL, 0, 1, 2)};
    const VadmChange bounds[] = {NUMBER(LOG_LEVEL, 0, 1, 1),
                                 NUMBER(SERVER_WORKERS_MAX, 2, 1001, 2)};
    const VadmChange server[] = {NUMBER(SERVER_WORKERS_MAX, 3, 10, 5)};
    const VadmChange filter[] = {NUMBER(LOG_LEVEL, 0, 1, 1), STRING(LOG_FILTERS, "bad", 2)};
    const VadmChange output[] = {STRING(LOG_OUTPUTS, "1:nosuch", 6), STRING(LOG_FILTERS, "1:a", 7)};
    const VadmChange unknown[] = {NUMBER(CONFIG_LOCK, 0, 3, 5)};

    txn_refused(min_max, 3, VADM_ERROR_INCONSISTENT, 2);
    txn_refused(max_min, 3, VADM_ERROR_INCONSISTENT, 3);
    txn_refused(min_alone, 2, VADM_ERROR_INCONSISTENT, 9);
    txn_refused(unauth, 1, VADM_ERROR_INCONSISTENT, 4);
    txn_refused(twice, 2, VADM_ERROR_INCONSISTENT, 2);
    txn_refused(bounds, 2, VADM_ERROR_INVALID_VALUE, 2);
    txn_refused(server, 1, VADM_ERROR_NO_SERVER, 5);
    txn_refused(filter, 2, VADM_ERROR_INVALID_VALUE, 2);
    txn_refused(output, 2, VADM_ERROR_INVALID_VALUE, 6);
    txn_refused(unknown, 1, VADM_ERROR_NOT_SUPPORTED, 5);
}
END_TEST

START_TEST(only_snmp_is_held_to_the_directories)
{
    g_autofree char *outside = g_dir_make_tmp("virtadm-other-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(outside, "x.log", NULL);
    g_autofree char *outputs = g_strconcat("1:file:", path, NULL);
    const VadmChange changes[] = {STRING(LOG_OUTPUTS, outputs, 3)};
    const VadmChange others[] = {NUMBER(LOG_LEVEL, 0, 1, 1), STRING(LOG_FILTERS, "4:rpc", 2)};
    VadmFault fault;

    txn_refused(changes, 1, VADM_ERROR_DENIED, 3);
    ck_assert(!g_file_test(path, G_FILE_TEST_EXISTS));
    ck_assert(vadm_daemon_change(fake, changes, 1, VADM_ORIGIN_ADMIN_RPC, 0, &fault));
    ck_assert(g_file_test(path, G_FILE_TEST_EXISTS));
    /* What a manager does not change, it does not open. */
    ck_assert(vadm_daemon_change(fake, others, 2, VADM_ORIGIN_SNMP, 0, &fault));
    ck_assert(vadm_daemon_change(fake, changes, 1, VADM_ORIGIN_SNMP, 0, &fault));
    g_unlink(path);
    g_rmdir(outside);
}
END_TEST

START_TEST(clients_are_disconnected_at_finish)
{
    const VadmChange good[] = {CLIENT(2, 77, VADM_CLIENT_DISCONNECT, 1)};
    const VadmChange stay[] = {CLIENT(2, 77, VADM_CLIENT_CONNECTED, 1)};
    const VadmChange no_client[] = {CLIENT(2, 78, VADM_CLIENT_DISCONNECT, 2)};
    const VadmChange no_server[] = {CLIENT(9, 77, VADM_CLIENT_DISCONNECT, 3)};
    const VadmChange bad[] = {CLIENT(2, 77, 3, 4)};
    VadmDaemonTxn *txn;

    txn_refused(no_client, 1, VADM_ERROR_NO_CLIENT, 2);
    txn_refused(no_server, 1, VADM_ERROR_NO_SERVER, 3);
    txn_refused(bad, 1, VADM_ERROR_INVALID_VALUE, 4);
    txn = txn_prepare(good, 1);
    ck_assert(vadm_txn_commit(txn, NULL));
    ck_assert(vadm_txn_undo(txn, NULL));
    vadm_txn_abort(txn);
    vadm_txn_finish(txn_prepare(good, 1)); /* never committed */
    ck_assert_int_eq(fake->client.closed, 0);
    txn = txn_prepare(stay, 1);
    ck_assert(vadm_txn_commit(txn, NULL));
    vadm_txn_finish(txn);
    ck_assert_int_eq(fake->client.closed, 0);
    txn = txn_prepare(good, 1);
    ck_assert(vadm_txn_commit(txn, NULL));
    ck_assert_int_eq(fake->client.closed, 0);
    vadm_txn_finish(txn);
    ck_assert_int_eq(fake->client.closed, 1);
    ck_assert_uint_eq(txn_generation(), 1);
}
END_TEST

START_TEST(equal_values_are_no_change)
{
    const VadmChange same[] = {NUMBER(SERVER_WORKERS_MAX, 2, 20, 1), NUMBER(LOG_LEVEL, 0, 3, 2),
                               STRING(LOG_OUTPUTS, "  1:stderr ", 3), STRING(LOG_FILTERS, " ", 4)};
    g_autofree char *before = txn_state();
    g_autofree char *after = NULL;
    VadmFault fault;

    ck_assert(vadm_daemon_change(fake, same, 4, VADM_ORIGIN_SNMP, 0, &fault));
    after = txn_state();
    ck_assert_str_eq(before, after);
}
END_TEST

START_TEST(the_token_is_for_one)
{
    const VadmChange change[] = {NUMBER(LOG_LEVEL, 0, 1, 1)};
    VadmDaemonTxn *txn = txn_prepare(NULL, 0);
    gint64 begin = g_get_monotonic_time();
    VadmFault fault;

    ck_assert_ptr_null(vadm_txn_prepare(fake, change, 1, VADM_ORIGIN_SNMP, 0, &fault));
    ck_assert(g_error_matches(fault.error, VADM_ERROR, VADM_ERROR_BUSY));
    g_clear_error(&fault.error);
    ck_assert(!vadm_daemon_change(fake, change, 1, VADM_ORIGIN_ADMIN_RPC, 50000, &fault));
    ck_assert(g_error_matches(fault.error, VADM_ERROR, VADM_ERROR_BUSY));
    g_clear_error(&fault.error);
    ck_assert_int_ge(g_get_monotonic_time() - begin, 50000);
    vadm_txn_abort(txn);
    ck_assert(vadm_daemon_change(fake, change, 1, VADM_ORIGIN_ADMIN_RPC, 0, &fault));
}
END_TEST

START_TEST(undo_leaves_what_somebody_else_did)
{
    const VadmChange change[] = {NUMBER(SERVER_CLIENTS_MAX, 1, 60, 1)};
    VadmDaemonTxn *txn = txn_prepare(change, 1);
    g_autoptr(VadmConfig) other = NULL;
    g_autoptr(VadmConfig) current = NULL;
    g_autoptr(GError) error = NULL;

    ck_assert(vadm_txn_commit(txn, NULL));
    current = vadm_store_get_config(&fake->store);
    other = vadm_config_copy(current);
    vadm_store_commit(&fake->store, other, VADM_ORIGIN_ROLLBACK, TRUE);
    ck_assert(!vadm_txn_undo(txn, &error));
    ck_assert(g_error_matches(error, VADM_ERROR, VADM_ERROR_CONFLICT));
    vadm_txn_abort(txn);
    ck_assert_uint_eq(txn_generation(), 3);
    ck_assert_uint_eq(fake->servers[0].limits.clients_max, 60);
    vadm_txn_abort(txn_prepare(NULL, 0));
}
END_TEST

START_TEST(a_finished_change_is_logged)
{
    g_autofree char *path = txn_in_dir("audit.log");
    g_autofree char *outputs = g_strconcat("3:file:", path, NULL);
    g_autofree char *text = NULL;
    const VadmChange log[] = {STRING(LOG_OUTPUTS, outputs, 1)};
    const VadmChange change[] = {NUMBER(SERVER_WORKERS_MAX, 2, 30, 1)};
    VadmFault fault;

    vadm_log_set_default(fake->log);
    ck_assert(vadm_daemon_change(fake, log, 1, VADM_ORIGIN_SNMP, 0, &fault));
    ck_assert(vadm_daemon_change(fake, change, 1, VADM_ORIGIN_ADMIN_RPC, 0, &fault));
    ck_assert(vadm_log_flush(fake->log, PATIENCE));
    ck_assert(g_file_get_contents(path, &text, NULL, NULL));
    ck_assert_ptr_nonnull(
        strstr(text, "configuration 3 (adminRpc): [server libvirtd] max_workers 20 -> 30\n"));
}
END_TEST

#define WRITERS 4
#define ROUNDS  40

static gint writers_left;

/* Some of them commit and undo, so that readers also meet what is taken back. */
static gpointer
writer(gpointer data)
{
    for (guint i = 0; i < ROUNDS; i++) {
        guint64 n = 1 + (GPOINTER_TO_UINT(data) * ROUNDS + i) % 30;
        const VadmChange changes[] = {
            NUMBER(SERVER_WORKERS_MAX, 1, n, 1), NUMBER(SERVER_WORKERS_MAX, 2, n, 2),
            NUMBER(SERVER_WORKERS_MIN, 1, n / 2, 3), NUMBER(SERVER_WORKERS_MIN, 2, n / 2, 4)};
        VadmFault fault;
        VadmDaemonTxn *txn =
            vadm_txn_prepare(fake, changes, 4, VADM_ORIGIN_ADMIN_RPC, PATIENCE, &fault);

        ck_assert_ptr_nonnull(txn);
        ck_assert(vadm_txn_commit(txn, NULL));
        if (i % 4 == 3)
            vadm_txn_abort(txn);
        else
            vadm_txn_finish(txn);
    }
    g_atomic_int_add(&writers_left, -1);
    return NULL;
}

static gpointer
reader(gpointer data)
{
    gboolean changed = FALSE;

    (void)data;
    /* on a busy machine the writers may be done before this thread has seen one change */
    while (g_atomic_int_get(&writers_left) > 0 || !changed) {
        g_autoptr(VadmConfig) config = vadm_store_get_config(&fake->store);
        guint32 one = vadm_config_find_server_index(config, 1)->limits.workers_max;
        guint32 two = vadm_config_find_server_index(config, 2)->limits.workers_max;

        ck_assert(one == two || config->generation == 1);
        changed = changed || config->generation > 1;
    }
    return NULL;
}

START_TEST(readers_never_see_half_of_a_change)
{
    GThread *writers[WRITERS], *readers[2];

    writers_left = WRITERS;
    for (guint i = 0; i < 2; i++)
        readers[i] = g_thread_new("reader", reader, NULL);
    for (guint i = 0; i < WRITERS; i++)
        writers[i] = g_thread_new("writer", writer, GUINT_TO_POINTER(i));
    for (guint i = 0; i < WRITERS; i++)
        g_thread_join(writers[i]);
    for (guint i = 0; i < 2; i++)
        g_thread_join(readers[i]);
    ck_assert_uint_eq(txn_limits_of(1).workers_max, txn_limits_of(2).workers_max);
    /* each commit had a number of its own, also those that were taken back */
    ck_assert_uint_ge(fake->store.max_generation, 1 + WRITERS * ROUNDS / 2);
    ck_assert_uint_le(fake->store.max_generation, 1 + WRITERS * ROUNDS);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("txn");
    TCase *tc = tcase_create("txn");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, txn_setup, txn_teardown);
    tcase_add_test(tc, a_change_is_seen_at_commit_as_a_whole);
    tcase_add_test(tc, undo_puts_back_everything);
    tcase_add_test(tc, abort_removes_the_files_it_made);
    tcase_add_test(tc, refusals_name_the_change_at_fault);
    tcase_add_test(tc, only_snmp_is_held_to_the_directories);
    tcase_add_test(tc, clients_are_disconnected_at_finish);
    tcase_add_test(tc, equal_values_are_no_change);
    tcase_add_test(tc, the_token_is_for_one);
    tcase_add_test(tc, undo_leaves_what_somebody_else_did);
    tcase_add_test(tc, a_finished_change_is_logged);
    tcase_add_test(tc, readers_never_see_half_of_a_change);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
