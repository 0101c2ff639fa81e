/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/txn-fixture.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

VadmDaemon *fake;
char *fake_dir, *fake_file;

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

VadmMailbox *
vadm_daemon_get_mailbox(VadmDaemon *daemon)
{
    return daemon->mailbox;
}

VadmConfig *
vadm_daemon_get_config(VadmDaemon *daemon)
{
    return vadm_store_get_config(&daemon->store);
}

VadmEvents *
vadm_daemon_get_events(VadmDaemon *daemon)
{
    return &daemon->events;
}

void
vadm_daemon_begin_event(VadmDaemon *daemon, VadmEventKind kind, VadmEvent *event)
{
    (void)daemon;
    *event = (VadmEvent){.kind = kind};
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
    g_atomic_int_inc(&fake->client.refs);
    return &fake->client;
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

void
txn_write_file(const char *text)
{
    ck_assert(g_file_set_contents(fake_file, text, -1, NULL));
}

char *
txn_in_dir(const char *name)
{
    return g_build_filename(fake_dir, name, NULL);
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

void
txn_setup(void)
{
    g_autoptr(VadmConfig) config = NULL;

    fake_dir = g_dir_make_tmp("virtadm-txn-XXXXXX", NULL);
    ck_assert_ptr_nonnull(fake_dir);
    fake_file = txn_in_dir("conf");
    txn_write_file("");
    config = vadm_config_load(fake_file, NULL);
    g_strfreev(config->log_directories);
    config->log_directories = g_strsplit(fake_dir, "\n", -1);
    g_free(config->state_dir);
    config->state_dir = g_strdup(fake_dir);
    fake = g_new0(VadmDaemon, 1);
    fake->log = vadm_log_new("test", "0");
    config->log_set = vadm_log_set_new(fake->log, 3, NULL, NULL, "1:stderr", NULL, NULL);
    ck_assert_ptr_nonnull(config->log_set);
    vadm_log_install(fake->log, config->log_set);
    vadm_events_init(&fake->events);
    vadm_store_init(&fake->store, config);
    fake->store.saver = vadm_saver_new(NULL);
    fake->mailbox = vadm_mailbox_new(NULL);
    for (guint i = 0; i < 2; i++)
        make_server(&fake->servers[i], config->servers->pdata[i]);
}

static void
remove_files(void)
{
    g_autoptr(GDir) open = g_dir_open(fake_dir, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(open))) {
        g_autofree char *full = txn_in_dir(name);
        g_unlink(full);
    }
    g_rmdir(fake_dir);
}

void
txn_teardown(void)
{
    for (guint i = 0; i < 2; i++) {
        ck_assert(vadm_pool_stop(fake->servers[i].pool, PATIENCE));
        vadm_pool_free(fake->servers[i].pool);
    }
    ck_assert_int_eq(fake->client.refs, 0);
    ck_assert(vadm_saver_stop(fake->store.saver, PATIENCE));
    vadm_mailbox_close(fake->mailbox);
    vadm_mailbox_unref(fake->mailbox);
    vadm_store_clear(&fake->store);
    vadm_events_clear(&fake->events);
    vadm_log_set_default(NULL);
    vadm_log_free(fake->log, G_USEC_PER_SEC);
    g_free(fake);
    remove_files();
    g_free(fake_file);
    g_free(fake_dir);
}

/* What there is to know of the daemon's state, to compare before and after. */
char *
txn_state(void)
{
    g_autoptr(VadmConfig) config = vadm_store_get_config(&fake->store);
    g_autoptr(VadmLogSet) set = vadm_log_get_set(fake->log);
    g_autofree char *text = vadm_config_to_text(config);
    GString *all = g_string_new(NULL);

    g_string_append_printf(all, "%u %s level %d, filters '%s', outputs '%s', same %d",
                           config->generation, text, vadm_log_set_get_level(set),
                           vadm_log_set_get_filters(set), vadm_log_set_get_outputs(set),
                           set == config->log_set);
    for (guint i = 0; i < 2; i++)
        g_string_append_printf(all, " clients %u", fake->servers[i].limits.clients_max);
    return g_string_free(all, FALSE);
}

void
txn_wait_workers(guint server, guint32 current, guint32 priority)
{
    gint64 deadline = g_get_monotonic_time() + PATIENCE;
    VadmPoolStats s;

    do {
        ck_assert(g_get_monotonic_time() < deadline);
        vadm_pool_get_stats(fake->servers[server - 1].pool, &s);
        g_usleep(500);
    } while (s.current != current || s.priority != priority);
}

VadmServerLimits
txn_limits_of(guint32 server)
{
    g_autoptr(VadmConfig) config = vadm_store_get_config(&fake->store);

    return vadm_config_find_server_index(config, server)->limits;
}

guint32
txn_generation(void)
{
    g_autoptr(VadmConfig) config = vadm_store_get_config(&fake->store);

    return config->generation;
}

VadmDaemonTxn *
txn_prepare(const VadmChange *changes, guint n)
{
    VadmFault fault;
    VadmDaemonTxn *txn = vadm_txn_prepare(fake, changes, n, VADM_ORIGIN_SNMP, 0, &fault);

    if (!txn)
        ck_abort_msg("refused: %s", fault.error->message);
    return txn;
}

/* Nothing may have changed, and the token must be free again. */
void
txn_refused_as(VadmOrigin origin, const VadmChange *changes, guint n, int code, guint tag)
{
    g_autofree char *before = txn_state();
    g_autofree char *after = NULL;
    VadmFault fault;

    ck_assert_ptr_null(vadm_txn_prepare(fake, changes, n, origin, 0, &fault));
    if (!g_error_matches(fault.error, VADM_ERROR, code))
        ck_abort_msg("code %d: %s", fault.error->code, fault.error->message);
    ck_assert_uint_eq(fault.tag, tag);
    g_error_free(fault.error);
    after = txn_state();
    ck_assert_str_eq(before, after);
    vadm_txn_abort(txn_prepare(NULL, 0));
}

void
txn_refused(const VadmChange *changes, guint n, int code, guint tag)
{
    txn_refused_as(VADM_ORIGIN_SNMP, changes, n, code, tag);
}
