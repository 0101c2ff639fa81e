/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define VADM_LOG_CATEGORY "daemon.rollback"
#include "daemon/rollback.h"

#include "common/log.h"
#include "daemon/txn.h"

/* How long until it is tried again, milliseconds: when somebody else has the writer token, and
 * when the daemon could not go back (no thread could be started). */
#define VADM_ROLLBACK_BUSY_MS  100
#define VADM_ROLLBACK_RETRY_MS 1000

static void
vadm_rollback_at(VadmStore *store, gint64 when)
{
    g_source_set_ready_time(store->rollback, when);
}

/* Storing nothing: what is stored is what it goes back to, since that was never confirmed. So it
 * does not wait for the disk. */
static void
vadm_rollback_run(VadmDaemon *daemon, VadmConfig *pending)
{
    VadmStore *store = vadm_daemon_get_store(daemon);
    gint64 now = g_get_monotonic_time();
    VadmFault fault;
    VadmDaemonTxn *txn = vadm_txn_prepare_config(daemon, pending, pending->rollback_to,
                                                 VADM_ORIGIN_ROLLBACK, 0, &fault);

    if (!txn && g_error_matches(fault.error, VADM_ERROR, VADM_ERROR_BUSY)) {
        g_clear_error(&fault.error);
        vadm_rollback_at(store, now + VADM_ROLLBACK_BUSY_MS * G_TIME_SPAN_MILLISECOND);
        return;
    }
    if (!txn) {
        VADM_ERR("configuration %u was not confirmed, but cannot be rolled back yet: %s",
                 pending->generation, fault.error->message);
        g_clear_error(&fault.error);
        vadm_rollback_at(store, now + VADM_ROLLBACK_RETRY_MS * G_TIME_SPAN_MILLISECOND);
        return;
    }
    VADM_WARN("configuration %u was not confirmed in time: rolled back to %u", pending->generation,
              pending->rollback_to->generation);
    vadm_txn_commit(txn, NULL);
    vadm_txn_finish(txn);
}

/* Looks at what is in force now: it may have been confirmed, or been given more time. */
static gboolean
vadm_rollback_due(GSource *source, GSourceFunc callback, gpointer user)
{
    VadmDaemon *daemon = user;
    g_autoptr(VadmConfig) config = vadm_daemon_get_config(daemon);

    (void)callback;
    g_source_set_ready_time(source, -1);
    if (!config->rollback_to)
        return G_SOURCE_CONTINUE;
    if (g_get_monotonic_time() < config->confirm_deadline)
        g_source_set_ready_time(source, config->confirm_deadline);
    else
        vadm_rollback_run(daemon, config);
    return G_SOURCE_CONTINUE;
}

/* A source of our own, since timeouts of GLib start when they are made. */
static void
vadm_rollback_arm(gpointer data)
{
    static GSourceFuncs funcs = {.dispatch = vadm_rollback_due};
    VadmDaemon *daemon = data;
    VadmStore *store = vadm_daemon_get_store(daemon);

    if (!store->rollback) {
        store->rollback = g_source_new(&funcs, sizeof(GSource));
        g_source_set_callback(store->rollback, NULL, daemon, NULL);
        g_source_attach(store->rollback, vadm_daemon_get_context(daemon));
    }
    vadm_rollback_at(store, 0);
}

void
vadm_rollback_watch(VadmDaemon *daemon)
{
    vadm_mailbox_post(vadm_daemon_get_mailbox(daemon), vadm_rollback_arm, daemon, NULL);
}
