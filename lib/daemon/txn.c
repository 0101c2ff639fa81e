/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define VADM_LOG_CATEGORY "daemon.txn"
#include "daemon/txn-private.h"

#include "common/log.h"
#include "daemon/rollback.h"

static void
vadm_txn_client_unref(gpointer client)
{
    vadm_client_unref(client);
}

/* Takes the token. (transfer full) (nullable) */
static VadmDaemonTxn *
vadm_txn_begin(VadmDaemon *daemon, VadmOrigin origin, gint64 wait_us, VadmFault *fault)
{
    VadmStore *store = vadm_daemon_get_store(daemon);
    VadmDaemonTxn *txn = g_new0(VadmDaemonTxn, 1);

    *fault = (VadmFault){0};
    if (!vadm_store_acquire(store, txn, wait_us)) {
        g_set_error_literal(&fault->error, VADM_ERROR, VADM_ERROR_BUSY,
                            "another change of the configuration is under way");
        g_free(txn);
        return NULL;
    }
    txn->store = store;
    txn->daemon = daemon;
    txn->origin = origin;
    txn->before = vadm_store_get_config(store);
    txn->servers = g_array_new(FALSE, TRUE, sizeof(VadmTxnServer));
    txn->clients = g_ptr_array_new_with_free_func(vadm_txn_client_unref);
    return txn;
}

/* The end of every transaction. */
static void
vadm_txn_end(VadmDaemonTxn *txn)
{
    vadm_store_release(txn->store, txn);
    g_array_unref(txn->servers);
    g_ptr_array_unref(txn->clients);
    vadm_config_unref(txn->before);
    vadm_config_unref(txn->next);
    g_free(txn->diff);
    g_free(txn);
}

VadmDaemonTxn *
vadm_txn_prepare(VadmDaemon *daemon, const VadmChange *changes, guint n_changes, VadmOrigin origin,
                 gint64 wait_us, VadmFault *fault)
{
    VadmDaemonTxn *txn = vadm_txn_begin(daemon, origin, wait_us, fault);

    if (!txn)
        return NULL;
    txn->next = vadm_config_copy(txn->before);
    if (vadm_txn_apply(txn, changes, n_changes, fault) &&
        vadm_txn_prepare_next(txn, changes, n_changes, fault))
        return txn;
    vadm_txn_abort(txn);
    return NULL;
}

/* The token is taken only now: what was done between reading @base and this must not be lost. */
static gboolean
vadm_txn_check_base(const VadmDaemonTxn *txn, const VadmConfig *base, VadmFault *fault)
{
    if (!base || base == txn->before)
        return TRUE;
    g_set_error_literal(&fault->error, VADM_ERROR, VADM_ERROR_BUSY,
                        "the configuration has been changed meanwhile");
    return FALSE;
}

VadmDaemonTxn *
vadm_txn_prepare_config(VadmDaemon *daemon, const VadmConfig *base, const VadmConfig *next,
                        VadmOrigin origin, gint64 wait_us, VadmFault *fault)
{
    VadmDaemonTxn *txn = vadm_txn_begin(daemon, origin, wait_us, fault);

    if (!txn)
        return NULL;
    txn->next = vadm_config_copy(next);
    if (vadm_txn_check_base(txn, base, fault) && vadm_txn_check_pending(txn, fault) &&
        vadm_txn_prepare_next(txn, NULL, 0, fault))
        return txn;
    vadm_txn_abort(txn);
    return NULL;
}

/* Anything can be taken back but what is on the disk, so that comes first. */
gboolean
vadm_txn_commit(VadmDaemonTxn *txn, GError **error)
{
    if (txn->committed)
        return TRUE;
    if (txn->state && !vadm_state_file_commit(txn->state, error))
        return FALSE;
    txn->committed = TRUE;
    if (!txn->changes)
        return TRUE;
    if (txn->arm)
        txn->next->confirm_deadline =
            g_get_monotonic_time() + (gint64)txn->next->confirm_timeout * G_USEC_PER_SEC;
    vadm_store_commit(txn->store, txn->next, txn->origin, *txn->diff != '\0');
    if (txn->next->rollback_to)
        vadm_rollback_watch(txn->daemon);
    if (txn->log_set)
        vadm_log_install(vadm_daemon_get_log(txn->daemon), txn->log_set);
    for (guint i = 0; i < txn->servers->len; i++) {
        VadmTxnServer *entry = &g_array_index(txn->servers, VadmTxnServer, i);

        if (entry->pool)
            vadm_pool_commit(entry->pool);
        vadm_server_set_limits(entry->server, &entry->to);
    }
    return TRUE;
}

/* Puts back what is in memory: that cannot fail. */
static void
vadm_txn_restore(VadmDaemonTxn *txn)
{
    if (txn->before->rollback_to)
        vadm_rollback_watch(txn->daemon);
    if (txn->log_set && txn->before->log_set)
        vadm_log_install(vadm_daemon_get_log(txn->daemon), txn->before->log_set);
    for (guint i = 0; i < txn->servers->len; i++) {
        VadmTxnServer *entry = &g_array_index(txn->servers, VadmTxnServer, i);

        if (entry->pool)
            vadm_pool_undo(entry->pool);
        vadm_server_set_limits(entry->server, &entry->from);
    }
    if (*txn->diff != '\0')
        VADM_WARN("configuration %u is taken back: %u is in force again", txn->next->generation,
                  txn->before->generation);
}

gboolean
vadm_txn_undo(VadmDaemonTxn *txn, GError **error)
{
    g_autoptr(GError) disk = NULL;

    if (txn->committed && txn->changes && !vadm_store_undo(txn->store, txn->next, txn->before)) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFLICT,
                    "configuration %u cannot be taken back: another one is in force since",
                    txn->next->generation);
        VADM_ERR("configuration %u cannot be taken back: another one is in force since",
                 txn->next->generation);
        return FALSE;
    }
    if (txn->committed && txn->changes)
        vadm_txn_restore(txn);
    txn->committed = FALSE;
    if (!txn->state || vadm_state_file_undo(txn->state, &disk))
        return TRUE;
    VADM_ERR("configuration %u is in force again, but what is stored is still %u: %s",
             txn->before->generation, txn->next->generation, disk->message);
    g_propagate_error(error, g_steal_pointer(&disk));
    return FALSE;
}

gboolean
vadm_txn_waits_for_disk(const VadmDaemonTxn *txn)
{
    return txn->state != NULL;
}

/* At a level that the default shows: a trail of changes that has to be switched on first is
 * none. */
static void
vadm_txn_log(const VadmDaemonTxn *txn)
{
    static const char *const origins[VADM_ORIGIN_LAST] = {
        [VADM_ORIGIN_STARTUP] = "startup",   [VADM_ORIGIN_ADMIN_RPC] = "adminRpc",
        [VADM_ORIGIN_SNMP] = "snmp",         [VADM_ORIGIN_RELOAD] = "reload",
        [VADM_ORIGIN_ROLLBACK] = "rollback",
    };

    VADM_WARN("configuration %u (%s): %s", txn->next->generation, origins[txn->origin], txn->diff);
}

/* The token is still ours: so generations are told in their order. */
static void
vadm_txn_tell(const VadmDaemonTxn *txn)
{
    VadmEvents *events = vadm_daemon_get_events(txn->daemon);
    VadmEvent event;

    if (!vadm_events_wanted(events))
        return;
    vadm_daemon_begin_event(txn->daemon, VADM_EVENT_CONFIG, &event);
    event.config = (VadmConfigRow){
        .generation = txn->next->generation,
        .last_change = txn->next->changed_at,
        .last_origin = txn->next->origin,
    };
    vadm_events_tell(events, &event);
}

static void
vadm_txn_log_confirmation(const VadmDaemonTxn *txn)
{
    const VadmConfig *before = txn->before, *next = txn->next;

    if (txn->arm)
        VADM_WARN("configuration %u is rolled back to %u unless it is confirmed within %u s",
                  next->generation, next->rollback_to->generation, next->confirm_timeout);
    else if (before->rollback_to && txn->origin != VADM_ORIGIN_ROLLBACK && !next->rollback_to)
        VADM_WARN("configuration %u is confirmed", before->generation);
}

/* What a committed change leaves to do that cannot be taken back. */
static void
vadm_txn_settle(VadmDaemonTxn *txn)
{
    for (guint i = 0; i < txn->servers->len; i++) {
        VadmTxnServer *entry = &g_array_index(txn->servers, VadmTxnServer, i);

        if (entry->pool)
            vadm_pool_finish(entry->pool);
    }
    vadm_log_set_unref(txn->log_set);
    vadm_state_file_finish(g_steal_pointer(&txn->state));
    if (*txn->diff != '\0') {
        vadm_txn_log(txn);
        vadm_txn_tell(txn);
    }
    vadm_txn_log_confirmation(txn);
    vadm_txn_end(txn);
}

void
vadm_txn_finish(VadmDaemonTxn *txn)
{
    /* The master may skip ACTION (RFC 2741 section 7.2.4.2 does not let it, but a lost session
     * does): what has not been committed must not be half done here. */
    if (!txn->committed) {
        vadm_txn_abort(txn);
        return;
    }
    for (guint i = 0; i < txn->clients->len; i++)
        vadm_client_post_close(txn->clients->pdata[i], VADM_DISCONNECT_ADMINISTRATOR);
    vadm_txn_settle(txn);
}

void
vadm_txn_abort(VadmDaemonTxn *txn)
{
    vadm_txn_undo(txn, NULL);
    if (txn->committed) {
        vadm_txn_settle(txn);
        return;
    }
    vadm_state_file_abort(g_steal_pointer(&txn->state));
    for (guint i = 0; i < txn->servers->len; i++) {
        VadmTxnServer *entry = &g_array_index(txn->servers, VadmTxnServer, i);

        if (entry->pool)
            vadm_pool_abort(entry->pool);
    }
    /* The last reference must be the one that is discarded, or the files stay. */
    g_clear_pointer(&txn->next, vadm_config_unref);
    vadm_log_set_discard(txn->log_set);
    vadm_txn_end(txn);
}

gboolean
vadm_daemon_change(VadmDaemon *daemon, const VadmChange *changes, guint n_changes,
                   VadmOrigin origin, gint64 wait_us, VadmFault *fault)
{
    VadmDaemonTxn *txn = vadm_txn_prepare(daemon, changes, n_changes, origin, wait_us, fault);

    if (!txn)
        return FALSE;
    if (!vadm_txn_commit(txn, &fault->error)) {
        vadm_txn_abort(txn);
        return FALSE;
    }
    vadm_txn_finish(txn);
    return TRUE;
}
