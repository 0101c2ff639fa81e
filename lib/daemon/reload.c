/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define VADM_LOG_CATEGORY "daemon.reload"
#include "common/log.h"
#include "daemon/txn.h"

/* How long until a reload tries again to get the writer token, milliseconds. */
#define VADM_RELOAD_RETRY_MS 100
/* And how often it looks whether a confirmation has come. */
#define VADM_RELOAD_PENDING_MS 500

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
vadm_reload_later(VadmDaemon *daemon, guint ms)
{
    VadmStore *store = vadm_daemon_get_store(daemon);

    store->retry = g_timeout_source_new(ms);
    g_source_set_callback(store->retry, vadm_reload_retry, daemon, NULL);
    g_source_attach(store->retry, vadm_daemon_get_context(daemon));
}

/* One attempt, on its way to the thread that may wait for the disk and back. */
typedef struct {
    VadmDaemon *daemon;
    VadmConfig *running, *next;
    char *statics; /* NULL: none */
    gboolean busy;
} VadmReload;

static void
vadm_reload_free(gpointer data)
{
    VadmReload *reload = data;

    vadm_config_unref(reload->running);
    vadm_config_unref(reload->next);
    g_free(reload->statics);
    g_free(reload);
}

static VadmReload *
vadm_reload_new(VadmDaemon *daemon, const VadmConfig *file)
{
    VadmReload *reload = g_new0(VadmReload, 1);
    g_autoptr(VadmConfig) plain = vadm_config_copy_plain(file);
    g_autofree char *again = NULL;

    reload->daemon = daemon;
    reload->running = vadm_store_get_config(vadm_daemon_get_store(daemon));
    reload->next =
        vadm_config_merge_reload(reload->running, reload->running->file, plain, &reload->statics);
    vadm_config_unref(reload->next->base);
    reload->next->base =
        vadm_config_merge_reload(reload->running->base, reload->running->file, plain, &again);
    vadm_config_unref(reload->next->file);
    reload->next->file = g_steal_pointer(&plain);
    return reload;
}

/* Puts what the file says now in force. Busy: another transaction is under way, or one has
 * changed what this one started from. */
static void
vadm_reload_apply(gpointer data)
{
    VadmReload *reload = data;
    VadmFault fault;
    VadmDaemonTxn *txn = vadm_txn_prepare_config(reload->daemon, reload->running, reload->next,
                                                 VADM_ORIGIN_RELOAD, 0, &fault);

    reload->busy = !txn && g_error_matches(fault.error, VADM_ERROR, VADM_ERROR_BUSY);
    if (txn && vadm_txn_commit(txn, &fault.error)) {
        vadm_txn_finish(txn);
        if (reload->statics)
            VADM_WARN("reload: these take a restart of the daemon: %s", reload->statics);
        return;
    }
    if (txn)
        vadm_txn_abort(txn);
    if (!reload->busy)
        VADM_ERR("reload: nothing is changed: %s", fault.error->message);
    g_clear_error(&fault.error);
}

static void
vadm_reload_done(gpointer data)
{
    VadmReload *reload = data;
    VadmDaemon *daemon = reload->daemon;
    VadmStore *store = vadm_daemon_get_store(daemon);
    gboolean busy = reload->busy;

    vadm_reload_free(reload);
    store->reloading = FALSE;
    if (store->again)
        vadm_reload_try(daemon);
    else if (busy)
        vadm_reload_later(daemon, VADM_RELOAD_RETRY_MS);
}

static void
vadm_reload_save(gpointer data)
{
    VadmReload *reload = data;

    vadm_reload_apply(reload);
    vadm_mailbox_post(vadm_daemon_get_mailbox(reload->daemon), vadm_reload_done, reload,
                      vadm_reload_free);
}

/* Not before the confirmation that others wait for: the rollback would take back what the file
 * says now. Returns: whether it has to wait. */
static gboolean
vadm_reload_must_wait(VadmDaemon *daemon)
{
    g_autoptr(VadmConfig) config = vadm_store_get_config(vadm_daemon_get_store(daemon));

    return config->rollback_to != NULL;
}

static void
vadm_reload_try(VadmDaemon *daemon)
{
    VadmStore *store = vadm_daemon_get_store(daemon);
    g_autoptr(GError) error = NULL;
    g_autoptr(VadmConfig) file = NULL;
    VadmReload *reload;

    store->again = FALSE;
    if (vadm_reload_must_wait(daemon)) {
        vadm_reload_later(daemon, VADM_RELOAD_PENDING_MS);
        return;
    }
    file = vadm_config_load(store->retry_path, &error);
    if (!file) {
        VADM_ERR("reload: nothing is changed: %s", error->message);
        return;
    }
    reload = vadm_reload_new(daemon, file);
    store->reloading = TRUE;
    if (store->saver && vadm_config_touches_disk(reload->running)) {
        vadm_saver_submit(store->saver, vadm_reload_save, reload);
        return;
    }
    vadm_reload_apply(reload);
    vadm_reload_done(reload);
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
    /* The file may have changed since the one that is under way has read it. */
    if (store->reloading) {
        store->again = TRUE;
        return;
    }
    if (vadm_reload_must_wait(daemon))
        VADM_WARN("reload: waits until the configuration in force is confirmed or rolled back");
    vadm_reload_try(daemon);
}
