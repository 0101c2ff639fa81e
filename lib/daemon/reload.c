/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define VADM_LOG_CATEGORY "daemon.reload"
#include "common/log.h"
#include "daemon/txn.h"

/* How long until a reload tries again to get the writer token, milliseconds. */
#define VADM_RELOAD_RETRY_MS 100

static void vadm_reload_try(VadmDaemon *daemon);

static gboolean
vadm_reload_retry(gpointer user)
{
    VadmDaemon *daemon = user;
    VadmStore *store = vadm_daemon_get_store(daemon);

    g_clear_pointer(&store->retry, g_source_unref);
    vadm_reload_try(daemon);
    return G_SOURCE_REMOVE;
}

static void
vadm_reload_later(VadmDaemon *daemon)
{
    VadmStore *store = vadm_daemon_get_store(daemon);

    store->retry = g_timeout_source_new(VADM_RELOAD_RETRY_MS);
    g_source_set_callback(store->retry, vadm_reload_retry, daemon, NULL);
    g_source_attach(store->retry, vadm_daemon_get_context(daemon));
}

/* Puts what the file says now in force. Returns: FALSE: another transaction is under way, or
 * one has changed what this one started from. */
static gboolean
vadm_reload_apply(VadmDaemon *daemon, const VadmConfig *file)
{
    VadmStore *store = vadm_daemon_get_store(daemon);
    g_autoptr(VadmConfig) running = vadm_store_get_config(store);
    g_autofree char *statics = NULL;
    g_autoptr(VadmConfig) next = vadm_config_merge_reload(running, store->file, file, &statics);
    VadmFault fault;
    VadmDaemonTxn *txn =
        vadm_txn_prepare_config(daemon, running, next, VADM_ORIGIN_RELOAD, 0, &fault);

    if (!txn && g_error_matches(fault.error, VADM_ERROR, VADM_ERROR_BUSY)) {
        g_clear_error(&fault.error);
        return FALSE;
    }
    if (!txn) {
        VADM_ERR("reload: nothing is changed: %s", fault.error->message);
        g_clear_error(&fault.error);
        return TRUE;
    }
    vadm_txn_commit(txn);
    vadm_txn_finish(txn);
    vadm_store_set_file(store, file);
    if (statics)
        VADM_WARN("reload: these take a restart of the daemon: %s", statics);
    return TRUE;
}

static void
vadm_reload_try(VadmDaemon *daemon)
{
    VadmStore *store = vadm_daemon_get_store(daemon);
    g_autoptr(GError) error = NULL;
    g_autoptr(VadmConfig) file = vadm_config_load(store->retry_path, &error);

    if (!file) {
        VADM_ERR("reload: nothing is changed: %s", error->message);
        return;
    }
    if (!vadm_reload_apply(daemon, file))
        vadm_reload_later(daemon);
}

void
vadm_daemon_reload(VadmDaemon *daemon, const char *path)
{
    VadmStore *store = vadm_daemon_get_store(daemon);

    vadm_log_reopen(vadm_daemon_get_log(daemon));
    /* Two signals while one waits are one reload. */
    if (store->retry) {
        g_source_destroy(store->retry);
        g_clear_pointer(&store->retry, g_source_unref);
    }
    g_free(store->retry_path);
    store->retry_path = g_strdup(path);
    vadm_reload_try(daemon);
}
