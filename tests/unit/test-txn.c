/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Transactions and reload against a daemon, servers and a client that are made up here. */
#include "unit.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/txn.h"

#define PATIENCE (30 * G_USEC_PER_SEC)

struct _VadmServer {
    guint32 index;
    const char *name;
    VadmPool *pool;
    VadmMutex lock;
    VadmServerLimits limits; /* last set; under lock */
};

struct _VadmClient {
    gint refs, closed;
};

struct _VadmDaemon {
    VadmStore store;
    VadmLog *log;
    VadmServer servers[2]; /* admin 1, libvirtd 2 */
    VadmClient client;     /* the only one: 77 of libvirtd */
};

static VadmDaemon *d;
static char *dir, *file;

VadmStore *
vadm_daemon_get_store(VadmDaemon *daemon)
{
    return &daemon->store;
}

VadmLog *
vadm_daemon_get_log(VadmDaemon *daemon)
{
    return daemon->log;
}

GMainContext *
vadm_daemon_get_context(VadmDaemon *daemon)
{
    (void)daemon;
    return NULL;
}

VadmServer *
vadm_daemon_server(VadmDaemon *daemon, VadmMatch match, guint32 index)
{
    ck_assert_int_eq(match, VADM_MATCH_EQ);
    return index == 1 || index == 2 ? &daemon->servers[index - 1] : NULL;
}

VadmPool *
vadm_server_get_pool(const VadmServer *server)
{
    return server->pool;
}

const char *
vadm_server_get_name(const VadmServer *server)
{
    return server->name;
}

void
vadm_server_set_limits(VadmServer *server, const VadmServerLimits *limits)
{
    VADM_LOCK_SCOPE(&server->lock);

    server->limits = *limits;
}

VadmClient *
vadm_server_find_client(VadmServer *server, VadmMatch match, guint32 index)
{
    ck_assert_int_eq(match, VADM_MATCH_EQ);
    if (server->index != 2 || index != 77)
        return NULL;
    g_atomic_int_inc(&d->client.refs);
    return &d->client;
}

void
vadm_client_unref(VadmClient *client)
{
    g_atomic_int_add(&client->refs, -1);
}

void
vadm_client_post_close(VadmClient *client, VadmDisconnectReason reason)
{
    ck_assert_int_eq(reason, VADM_DISCONNECT_ADMINISTRATOR);
    g_atomic_int_inc(&client->closed);
}

static void
write_file(const char *text)
{
    ck_assert(g_file_set_contents(file, text, -1, NULL));
}

static char *
in_dir(const char *name)
{
    return g_build_filename(dir, name, NULL);
}

static void
make_server(VadmServer *server, const VadmServerConfig *config)
{
    const VadmServerLimits *limits = &config->limits;
    VadmPoolLimits workers = {limits->workers_min, limits->workers_max, limits->workers_priority};

    server->index = config->index;
    server->name = config->index == 1 ? "admin" : "libvirtd";
    vadm_mutex_init(&server->lock);
    server->limits = *limits;
    server->pool = vadm_pool_new(server->name, &workers, NULL);
    ck_assert_ptr_nonnull(server->pool);
}

static void
setup(void)
{
    g_autoptr(VadmConfig) config = NULL;

    dir = g_dir_make_tmp("virtadm-txn-XXXXXX", NULL);
    ck_assert_ptr_nonnull(dir);
    file = in_dir("conf");
    write_file("");
    config = vadm_config_load(file, NULL);
    g_strfreev(config->log_directories);
    config->log_directories = g_strsplit(dir, "\n", -1);
    d = g_new0(VadmDaemon, 1);
    d->log = vadm_log_new("test", "0");
    config->log_set = vadm_log_set_new(d->log, 3, NULL, NULL, "1:stderr", NULL, NULL);
    ck_assert_ptr_nonnull(config->log_set);
    vadm_log_install(d->log, config->log_set);
    vadm_store_init(&d->store, config);
    for (guint i = 0; i < 2; i++)
        make_server(&d->servers[i], config->servers->pdata[i]);
}

static void
remove_files(void)
{
    g_autoptr(GDir) open = g_dir_open(dir, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(open))) {
        g_autofree char *full = in_dir(name);
        g_unlink(full);
    }
    g_rmdir(dir);
}

static void
teardown(void)
{
    for (guint i = 0; i < 2; i++) {
        ck_assert(vadm_pool_stop(d->servers[i].pool, PATIENCE));
        vadm_pool_free(d->servers[i].pool);
    }
    ck_assert_int_eq(d->client.refs, 0);
    vadm_store_clear(&d->store);
    vadm_log_set_default(NULL);
    vadm_log_free(d->log, G_USEC_PER_SEC);
    g_free(d);
    remove_files();
    g_free(file);
    g_free(dir);
}

/* What there is to know of the daemon's state, to compare before and after. */
static char *
state(void)
{
    g_autoptr(VadmConfig) config = vadm_store_get_config(&d->store);
    g_autoptr(VadmLogSet) set = vadm_log_get_set(d->log);
    g_autofree char *text = vadm_config_to_text(config);
    GString *all = g_string_new(NULL);

    g_string_append_printf(all, "%u %s level %d, filters '%s', outputs '%s', same %d",
                           config->generation, text, vadm_log_set_get_level(set),
                           vadm_log_set_get_filters(set), vadm_log_set_get_outputs(set),
                           set == config->log_set);
    for (guint i = 0; i < 2; i++)
        g_string_append_printf(all, " clients %u", d->servers[i].limits.clients_max);
    return g_string_free(all, FALSE);
}

static void
wait_workers(guint server, guint32 current, guint32 priority)
{
    gint64 deadline = g_get_monotonic_time() + PATIENCE;
    VadmPoolStats s;

    do {
        ck_assert(g_get_monotonic_time() < deadline);
        vadm_pool_get_stats(d->servers[server - 1].pool, &s);
        g_usleep(500);
    } while (s.current != current || s.priority != priority);
}

static VadmServerLimits
limits_of(guint32 server)
{
    g_autoptr(VadmConfig) config = vadm_store_get_config(&d->store);

    return vadm_config_find_server_index(config, server)->limits;
}

static guint32
generation(void)
{
    g_autoptr(VadmConfig) config = vadm_store_get_config(&d->store);

    return config->generation;
}

#define NUMBER(field, server, value, tag)                                                          \
    {                                                                                              \
        VADM_FIELD_##field, server, 0, {VADM_VALUE_UINT, value, NULL}, tag                         \
    }
#define STRING(field, value, tag)                                                                  \
    {                                                                                              \
        VADM_FIELD_##field, 0, 0, {VADM_VALUE_STRING, 0, value}, tag                               \
    }
#define CLIENT(server, client, value, tag)                                                         \
    {                                                                                              \
        VADM_FIELD_CLIENT_ADMIN_STATUS, server, client, {VADM_VALUE_UINT, value, NULL}, tag        \
    }

static VadmDaemonTxn *
prepare(const VadmChange *changes, guint n)
{
    VadmFault fault;
    VadmDaemonTxn *txn = vadm_txn_prepare(d, changes, n, VADM_ORIGIN_SNMP, 0, &fault);

    if (!txn)
        ck_abort_msg("refused: %s", fault.error->message);
    return txn;
}

/* Nothing may have changed, and the token must be free again. */
static void
refused_as(VadmOrigin origin, const VadmChange *changes, guint n, int code, guint tag)
{
    g_autofree char *before = state();
    g_autofree char *after = NULL;
    VadmFault fault;

    ck_assert_ptr_null(vadm_txn_prepare(d, changes, n, origin, 0, &fault));
    if (!g_error_matches(fault.error, VADM_ERROR, code))
        ck_abort_msg("code %d: %s", fault.error->code, fault.error->message);
    ck_assert_uint_eq(fault.tag, tag);
    g_error_free(fault.error);
    after = state();
    ck_assert_str_eq(before, after);
    vadm_txn_abort(prepare(NULL, 0));
}

static void
refused(const VadmChange *changes, guint n, int code, guint tag)
{
    refused_as(VADM_ORIGIN_SNMP, changes, n, code, tag);
}

START_TEST(a_change_is_seen_at_commit_as_a_whole)
{
    const VadmChange changes[] = {
        NUMBER(SERVER_WORKERS_MIN, 2, 30, 1),       NUMBER(SERVER_WORKERS_MAX, 2, 40, 2),
        NUMBER(SERVER_CLIENTS_MAX, 1, 60, 3),       NUMBER(LOG_LEVEL, 0, 2, 4),
        STRING(LOG_FILTERS, " 1:rpc   2:util ", 5),
    };
    g_autofree char *before = state();
    g_autofree char *prepared = NULL;
    g_autoptr(VadmConfig) old = vadm_store_get_config(&d->store);
    g_autoptr(VadmConfig) new = NULL;
    g_autoptr(VadmLogSet) set = NULL;
    VadmDaemonTxn *txn = prepare(changes, G_N_ELEMENTS(changes));

    prepared = state();
    ck_assert_str_eq(before, prepared);
    vadm_txn_commit(txn);
    new = vadm_store_get_config(&d->store);
    ck_assert_uint_eq(new->generation, 2);
    ck_assert_int_eq(new->origin, VADM_ORIGIN_SNMP);
    ck_assert_int_ge(new->changed_at, old->changed_at);
    ck_assert_uint_eq(limits_of(2).workers_min, 30);
    ck_assert_uint_eq(d->servers[0].limits.clients_max, 60);
    ck_assert_str_eq(new->log_filters, "1:rpc 2:util");
    set = vadm_log_get_set(d->log);
    ck_assert_ptr_eq(set, new->log_set);
    ck_assert_int_eq(vadm_log_set_get_level(set), 2);
    wait_workers(2, 30, 5);
    vadm_txn_finish(txn);
    ck_assert_uint_eq(generation(), 2);
    ck_assert_uint_eq(old->generation, 1); /* who holds it still sees it as it was */
    ck_assert_uint_eq(old->log_level, 3);
}
END_TEST

START_TEST(undo_puts_back_everything)
{
    g_autofree char *path = in_dir("new.log");
    g_autofree char *outputs = g_strconcat("1:file:", path, NULL);
    const VadmChange changes[] = {
        NUMBER(SERVER_WORKERS_MIN, 2, 8, 1),
        NUMBER(SERVER_WORKERS_PRIORITY, 2, 9, 2),
        NUMBER(SERVER_CLIENTS_MAX, 1, 60, 3),
        STRING(LOG_OUTPUTS, outputs, 4),
    };
    const VadmChange later[] = {NUMBER(SERVER_CLIENTS_MAX, 1, 61, 1)};
    g_autofree char *before = state();
    g_autofree char *after = NULL;
    VadmDaemonTxn *txn = prepare(changes, G_N_ELEMENTS(changes));

    vadm_txn_commit(txn);
    vadm_txn_commit(txn);
    ck_assert(g_file_test(path, G_FILE_TEST_EXISTS));
    wait_workers(2, 8, 9);
    ck_assert(vadm_txn_undo(txn, NULL));
    ck_assert(vadm_txn_undo(txn, NULL));
    after = state();
    ck_assert_str_eq(before, after);
    wait_workers(2, 5, 5);
    vadm_txn_abort(txn);
    wait_workers(2, 5, 5);
    /* a number that was seen once is not given to something else */
    txn = prepare(later, 1);
    vadm_txn_commit(txn);
    ck_assert_uint_eq(generation(), 3);
    vadm_txn_abort(txn); /* undoes first */
    ck_assert_uint_eq(generation(), 1);
    ck_assert_uint_eq(d->servers[0].limits.clients_max, 50);
}
END_TEST

START_TEST(abort_removes_the_files_it_made)
{
    g_autofree char *path = in_dir("new.log");
    g_autofree char *outputs = g_strconcat("1:file:", path, NULL);
    const VadmChange changes[] = {STRING(LOG_OUTPUTS, outputs, 4)};
    VadmDaemonTxn *txn = prepare(changes, 1);

    ck_assert(g_file_test(path, G_FILE_TEST_EXISTS));
    vadm_txn_abort(txn);
    ck_assert(!g_file_test(path, G_FILE_TEST_EXISTS));
    /* one that a later part of the same transaction refuses, too */
    {
        const VadmChange both[] = {STRING(LOG_OUTPUTS, outputs, 4), STRING(LOG_FILTERS, "9:x", 5)};
        refused(both, 2, VADM_ERROR_INVALID_VALUE, 5);
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
    const VadmChange unknown[] = {NUMBER(CONFIG_STORAGE, 0, 3, 5)};

    refused(min_max, 3, VADM_ERROR_INCONSISTENT, 2);
    refused(max_min, 3, VADM_ERROR_INCONSISTENT, 3);
    refused(min_alone, 2, VADM_ERROR_INCONSISTENT, 9);
    refused(unauth, 1, VADM_ERROR_INCONSISTENT, 4);
    refused(twice, 2, VADM_ERROR_INCONSISTENT, 2);
    refused(bounds, 2, VADM_ERROR_INVALID_VALUE, 2);
    refused(server, 1, VADM_ERROR_NO_SERVER, 5);
    refused(filter, 2, VADM_ERROR_INVALID_VALUE, 2);
    refused(output, 2, VADM_ERROR_INVALID_VALUE, 6);
    refused(unknown, 1, VADM_ERROR_NOT_SUPPORTED, 5);
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

    refused(changes, 1, VADM_ERROR_DENIED, 3);
    ck_assert(!g_file_test(path, G_FILE_TEST_EXISTS));
    ck_assert(vadm_daemon_change(d, changes, 1, VADM_ORIGIN_ADMIN_RPC, 0, &fault));
    ck_assert(g_file_test(path, G_FILE_TEST_EXISTS));
    /* What a manager does not change, it does not open. */
    ck_assert(vadm_daemon_change(d, others, 2, VADM_ORIGIN_SNMP, 0, &fault));
    ck_assert(vadm_daemon_change(d, changes, 1, VADM_ORIGIN_SNMP, 0, &fault));
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

    refused(no_client, 1, VADM_ERROR_NO_CLIENT, 2);
    refused(no_server, 1, VADM_ERROR_NO_SERVER, 3);
    refused(bad, 1, VADM_ERROR_INVALID_VALUE, 4);
    txn = prepare(good, 1);
    vadm_txn_commit(txn);
    ck_assert(vadm_txn_undo(txn, NULL));
    vadm_txn_abort(txn);
    vadm_txn_finish(prepare(good, 1)); /* never committed */
    ck_assert_int_eq(d->client.closed, 0);
    txn = prepare(stay, 1);
    vadm_txn_commit(txn);
    vadm_txn_finish(txn);
    ck_assert_int_eq(d->client.closed, 0);
    txn = prepare(good, 1);
    vadm_txn_commit(txn);
    ck_assert_int_eq(d->client.closed, 0);
    vadm_txn_finish(txn);
    ck_assert_int_eq(d->client.closed, 1);
    ck_assert_uint_eq(generation(), 1);
}
END_TEST

START_TEST(equal_values_are_no_change)
{
    const VadmChange same[] = {NUMBER(SERVER_WORKERS_MAX, 2, 20, 1), NUMBER(LOG_LEVEL, 0, 3, 2),
                               STRING(LOG_OUTPUTS, "  1:stderr ", 3), STRING(LOG_FILTERS, " ", 4)};
    g_autofree char *before = state();
    g_autofree char *after = NULL;
    VadmFault fault;

    ck_assert(vadm_daemon_change(d, same, 4, VADM_ORIGIN_SNMP, 0, &fault));
    after = state();
    ck_assert_str_eq(before, after);
}
END_TEST

START_TEST(the_token_is_for_one)
{
    const VadmChange change[] = {NUMBER(LOG_LEVEL, 0, 1, 1)};
    VadmDaemonTxn *txn = prepare(NULL, 0);
    gint64 begin = g_get_monotonic_time();
    VadmFault fault;

    ck_assert_ptr_null(vadm_txn_prepare(d, change, 1, VADM_ORIGIN_SNMP, 0, &fault));
    ck_assert(g_error_matches(fault.error, VADM_ERROR, VADM_ERROR_BUSY));
    g_clear_error(&fault.error);
    ck_assert(!vadm_daemon_change(d, change, 1, VADM_ORIGIN_ADMIN_RPC, 50000, &fault));
    ck_assert(g_error_matches(fault.error, VADM_ERROR, VADM_ERROR_BUSY));
    g_clear_error(&fault.error);
    ck_assert_int_ge(g_get_monotonic_time() - begin, 50000);
    vadm_txn_abort(txn);
    ck_assert(vadm_daemon_change(d, change, 1, VADM_ORIGIN_ADMIN_RPC, 0, &fault));
}
END_TEST

START_TEST(undo_leaves_what_somebody_else_did)
{
    const VadmChange change[] = {NUMBER(SERVER_CLIENTS_MAX, 1, 60, 1)};
    VadmDaemonTxn *txn = prepare(change, 1);
    g_autoptr(VadmConfig) other = NULL;
    g_autoptr(VadmConfig) current = NULL;
    g_autoptr(GError) error = NULL;

    vadm_txn_commit(txn);
    current = vadm_store_get_config(&d->store);
    other = vadm_config_copy(current);
    vadm_store_commit(&d->store, other, VADM_ORIGIN_ROLLBACK);
    ck_assert(!vadm_txn_undo(txn, &error));
    ck_assert(g_error_matches(error, VADM_ERROR, VADM_ERROR_CONFLICT));
    vadm_txn_abort(txn);
    ck_assert_uint_eq(generation(), 3);
    ck_assert_uint_eq(d->servers[0].limits.clients_max, 60);
    vadm_txn_abort(prepare(NULL, 0));
}
END_TEST

START_TEST(a_finished_change_is_logged)
{
    g_autofree char *path = in_dir("audit.log");
    g_autofree char *outputs = g_strconcat("3:file:", path, NULL);
    g_autofree char *text = NULL;
    const VadmChange log[] = {STRING(LOG_OUTPUTS, outputs, 1)};
    const VadmChange change[] = {NUMBER(SERVER_WORKERS_MAX, 2, 30, 1)};
    VadmFault fault;

    vadm_log_set_default(d->log);
    ck_assert(vadm_daemon_change(d, log, 1, VADM_ORIGIN_SNMP, 0, &fault));
    ck_assert(vadm_daemon_change(d, change, 1, VADM_ORIGIN_ADMIN_RPC, 0, &fault));
    ck_assert(vadm_log_flush(d->log, PATIENCE));
    ck_assert(g_file_get_contents(path, &text, NULL, NULL));
    ck_assert_ptr_nonnull(
        strstr(text, "configuration 3 (adminRpc): [server libvirtd] max_workers 20 -> 30\n"));
}
END_TEST

START_TEST(reload_changes_what_the_file_changed)
{
    const VadmChange change[] = {NUMBER(SERVER_WORKERS_MAX, 2, 30, 1)};
    VadmFault fault;

    ck_assert(vadm_daemon_change(d, change, 1, VADM_ORIGIN_SNMP, 0, &fault));
    write_file("[server libvirtd]\nmax_clients = 77\n");
    vadm_daemon_reload(d, file);
    ck_assert_uint_eq(limits_of(2).workers_max, 30);
    ck_assert_uint_eq(limits_of(2).clients_max, 77);
    ck_assert_uint_eq(d->servers[1].limits.clients_max, 77);
    ck_assert_uint_eq(generation(), 3);
    vadm_daemon_reload(d, file);
    ck_assert_uint_eq(generation(), 3);
}
END_TEST

START_TEST(reload_of_a_bad_file_changes_nothing)
{
    const VadmChange change[] = {NUMBER(SERVER_WORKERS_MAX, 2, 8, 1)};
    VadmFault fault;

    write_file("[server libvirtd]\nmax_clients = 77\nmax_workers = x\n");
    vadm_daemon_reload(d, file);
    ck_assert_uint_eq(generation(), 1);
    /* good by itself, but not beside what an operator has set */
    ck_assert(vadm_daemon_change(d, change, 1, VADM_ORIGIN_SNMP, 0, &fault));
    write_file("[server libvirtd]\nmax_clients = 77\nmin_workers = 9\n");
    vadm_daemon_reload(d, file);
    ck_assert_uint_eq(generation(), 2);
    ck_assert_uint_eq(limits_of(2).clients_max, 5000);
    /* and it is the file's turn again once that is settled */
    write_file("[server libvirtd]\nmax_clients = 77\nmin_workers = 8\n");
    vadm_daemon_reload(d, file);
    ck_assert_uint_eq(limits_of(2).clients_max, 77);
    ck_assert_uint_eq(limits_of(2).workers_min, 8);
}
END_TEST

START_TEST(reload_waits_for_the_token)
{
    VadmDaemonTxn *txn = prepare(NULL, 0);
    gint64 deadline = g_get_monotonic_time() + PATIENCE;

    write_file("[log]\nlevel = 1\n");
    vadm_daemon_reload(d, file);
    vadm_daemon_reload(d, file);
    ck_assert_uint_eq(generation(), 1);
    g_main_context_iteration(NULL, TRUE);
    ck_assert_uint_eq(generation(), 1);
    vadm_txn_abort(txn);
    while (generation() == 1 && g_get_monotonic_time() < deadline)
        g_main_context_iteration(NULL, TRUE);
    ck_assert_uint_eq(generation(), 2);
    ck_assert_ptr_null(d->store.retry);
}
END_TEST

START_TEST(a_reload_takes_nothing_back_that_it_did_not_see)
{
    const VadmChange change[] = {NUMBER(SERVER_WORKERS_MAX, 2, 30, 1)};
    g_autoptr(VadmConfig) seen = vadm_store_get_config(&d->store);
    g_autoptr(VadmConfig) next = vadm_config_copy(seen);
    VadmFault fault;

    next->log_level = 1;
    ck_assert(vadm_daemon_change(d, change, 1, VADM_ORIGIN_SNMP, 0, &fault));
    ck_assert_ptr_null(vadm_txn_prepare_config(d, seen, next, VADM_ORIGIN_RELOAD, 0, &fault));
    ck_assert(g_error_matches(fault.error, VADM_ERROR, VADM_ERROR_BUSY));
    g_clear_error(&fault.error);
    ck_assert_uint_eq(limits_of(2).workers_max, 30);
    vadm_txn_abort(prepare(NULL, 0));
}
END_TEST

START_TEST(a_contradiction_with_what_was_set_is_named)
{
    const VadmChange change[] = {NUMBER(SERVER_WORKERS_MAX, 2, 8, 1)};
    g_autoptr(VadmConfig) seen = NULL;
    g_autoptr(VadmConfig) next = NULL;
    VadmFault fault;

    ck_assert(vadm_daemon_change(d, change, 1, VADM_ORIGIN_SNMP, 0, &fault));
    seen = vadm_store_get_config(&d->store);
    next = vadm_config_copy(seen);
    vadm_config_find_server_index(next, 2)->limits.workers_min = 9;
    ck_assert_ptr_null(vadm_txn_prepare_config(d, seen, next, VADM_ORIGIN_RELOAD, 0, &fault));
    ck_assert_str_eq(fault.error->message, "[server libvirtd] min_workers 9, max_workers 8: "
                                           "minWorkers cannot be larger than maxWorkers");
    g_clear_error(&fault.error);
}
END_TEST

START_TEST(a_reload_that_waits_ends_with_the_daemon)
{
    VadmDaemonTxn *txn = prepare(NULL, 0);

    vadm_daemon_reload(d, file);
    ck_assert_ptr_nonnull(d->store.retry);
    vadm_txn_abort(txn);
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
            vadm_txn_prepare(d, changes, 4, VADM_ORIGIN_ADMIN_RPC, PATIENCE, &fault);

        ck_assert_ptr_nonnull(txn);
        vadm_txn_commit(txn);
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
    while (g_atomic_int_get(&writers_left) > 0) {
        g_autoptr(VadmConfig) config = vadm_store_get_config(&d->store);
        guint32 one = vadm_config_find_server_index(config, 1)->limits.workers_max;
        guint32 two = vadm_config_find_server_index(config, 2)->limits.workers_max;

        ck_assert(one == two || config->generation == 1);
        changed = changed || config->generation > 1;
    }
    return GINT_TO_POINTER(changed);
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
        ck_assert_ptr_nonnull(g_thread_join(readers[i]));
    ck_assert_uint_eq(limits_of(1).workers_max, limits_of(2).workers_max);
    /* each commit had a number of its own, also those that were taken back */
    ck_assert_uint_ge(d->store.max_generation, 1 + WRITERS * ROUNDS / 2);
    ck_assert_uint_le(d->store.max_generation, 1 + WRITERS * ROUNDS);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("txn");
    TCase *tc = tcase_create("txn");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
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
    tcase_add_test(tc, reload_changes_what_the_file_changed);
    tcase_add_test(tc, reload_of_a_bad_file_changes_nothing);
    tcase_add_test(tc, reload_waits_for_the_token);
    tcase_add_test(tc, a_reload_takes_nothing_back_that_it_did_not_see);
    tcase_add_test(tc, a_contradiction_with_what_was_set_is_named);
    tcase_add_test(tc, a_reload_that_waits_ends_with_the_daemon);
    tcase_add_test(tc, readers_never_see_half_of_a_change);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
