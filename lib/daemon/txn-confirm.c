/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a transaction promises for later: that it is taken back unless it is confirmed, and that it
 * is there after a restart. The two meet in one rule: what is stored is what would be in force
 * if nobody confirmed anything any more.
 */
#include "daemon/state.h"
#include "daemon/txn-private.h"

gboolean
vadm_txn_is_configuration(VadmField field)
{
    return field != VADM_FIELD_CLIENT_ADMIN_STATUS && field != VADM_FIELD_CONFIG_CONFIRM_TIMEOUT;
}

static const VadmChange *
vadm_txn_find_change(const VadmChange *changes, guint n_changes, VadmField field)
{
    for (guint i = 0; i < n_changes; i++) {
        if (changes[i].field == field)
            return &changes[i];
    }
    return NULL;
}

/* The last one: SNMP's rule for what several varbinds have done together. */
static const VadmChange *
vadm_txn_last_configuration(const VadmChange *changes, guint n_changes)
{
    for (guint i = n_changes; i-- > 0;) {
        if (vadm_txn_is_configuration(changes[i].field))
            return &changes[i];
    }
    return NULL;
}

gboolean
vadm_txn_check_pending(const VadmDaemonTxn *txn, VadmFault *fault)
{
    const VadmConfig *before = txn->before;

    if (!before->rollback_to || txn->origin == VADM_ORIGIN_ROLLBACK)
        return TRUE;
    g_set_error(&fault->error, VADM_ERROR, VADM_ERROR_BUSY,
                "configuration %u waits to be confirmed (%u s are left); until then nothing "
                "else can be changed",
                before->generation, vadm_config_confirm_left(before));
    return FALSE;
}

static void
vadm_txn_confirm(VadmDaemonTxn *txn)
{
    g_clear_pointer(&txn->next->rollback_to, vadm_config_unref);
    txn->next->confirm_timeout = 0;
    txn->next->confirm_deadline = 0;
}

static gboolean
vadm_txn_arm(VadmDaemonTxn *txn, const VadmChange *confirm, const VadmChange *last,
             VadmFault *fault)
{
    VadmConfig *next = txn->next;

    if (!last && !next->rollback_to) {
        fault->tag = confirm->tag;
        g_set_error(&fault->error, VADM_ERROR, VADM_ERROR_INCONSISTENT,
                    "a confirmation within %" G_GUINT64_FORMAT
                    " s needs changes in the same request that could be rolled back, and none "
                    "waits to be confirmed",
                    confirm->value.number);
        return FALSE;
    }
    if (!next->rollback_to)
        next->rollback_to = vadm_config_ref(txn->before);
    next->confirm_timeout = (guint32)confirm->value.number;
    txn->arm = TRUE;
    return TRUE;
}

gboolean
vadm_txn_prepare_confirm(VadmDaemonTxn *txn, const VadmChange *changes, guint n_changes,
                         VadmFault *fault)
{
    const VadmChange *confirm =
        vadm_txn_find_change(changes, n_changes, VADM_FIELD_CONFIG_CONFIRM_TIMEOUT);
    const VadmChange *last = vadm_txn_last_configuration(changes, n_changes);

    txn->confirm_set = confirm != NULL;
    if (confirm && (confirm->value.kind != VADM_VALUE_UINT ||
                    confirm->value.number > VADM_CONFIRM_TIMEOUT_BOUND)) {
        fault->tag = confirm->tag;
        g_set_error(&fault->error, VADM_ERROR, VADM_ERROR_INVALID_VALUE,
                    "the time to confirm must be a number from 0 to %u seconds",
                    VADM_CONFIRM_TIMEOUT_BOUND);
        return FALSE;
    }
    if (confirm && confirm->value.number == 0) {
        vadm_txn_confirm(txn);
        return TRUE;
    }
    if (last && !vadm_txn_check_pending(txn, fault)) {
        fault->tag = last->tag;
        return FALSE;
    }
    return !confirm || vadm_txn_arm(txn, confirm, last, fault);
}

/* What the state file has to say while @config is in force. Returns: (transfer full)
 * (nullable): NULL: there is none. */
static char *
vadm_config_stored_text(const VadmConfig *config)
{
    const VadmConfig *safe = config->rollback_to ? config->rollback_to : config;

    return safe->storage == VADM_STORAGE_NON_VOLATILE ? vadm_state_to_text(safe) : NULL;
}

gboolean
vadm_txn_prepare_state(VadmDaemonTxn *txn, const VadmChange *changes, guint n_changes,
                       VadmFault *fault)
{
    const VadmChange *storage = vadm_txn_find_change(changes, n_changes, VADM_FIELD_CONFIG_STORAGE);
    const VadmChange *last = storage ? storage : vadm_txn_last_configuration(changes, n_changes);
    g_autofree char *before = vadm_config_stored_text(txn->before);
    g_autofree char *next = vadm_config_stored_text(txn->next);
    g_autofree char *path = NULL;

    /* Who asks for nonVolatile once more wants it on the disk, whatever has become of the file. */
    if (g_strcmp0(before, next) == 0 && !(storage && next))
        return TRUE;
    path = vadm_state_path(txn->before);
    txn->state = vadm_state_file_prepare(path, next, &fault->error);
    if (txn->state)
        return TRUE;
    /* Who may write where it is stored is no matter of the value that was asked for. */
    fault->error->code = VADM_ERROR_SYSTEM;
    if (last)
        fault->tag = last->tag;
    else if (n_changes > 0)
        fault->tag = changes[n_changes - 1].tag;
    return FALSE;
}
