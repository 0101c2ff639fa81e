/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one way to change the configuration, whoever asks: prepare (everything that can fail),
 * commit (one pointer swap: visible and reversible), then finish (the irreversible part) or
 * undo and abort. The writer token is held from prepare to finish or abort.
 */
#ifndef VADM_DAEMON_TXN_H
#define VADM_DAEMON_TXN_H

#include "daemon/daemon.h"

typedef struct _VadmDaemonTxn VadmDaemonTxn;

/**
 * vadm_txn_prepare:
 * @changes: what to change; VADM_FIELD_CLIENT_ADMIN_STATUS disconnects in finish
 * @wait_us: how long to wait for the writer token, microseconds; 0: not at all
 * @fault: (out): why it failed: VADM_ERROR_BUSY (token taken), VADM_ERROR_NO_SERVER,
 *     VADM_ERROR_NO_CLIENT, VADM_ERROR_NOT_SUPPORTED, VADM_ERROR_INVALID_VALUE,
 *     VADM_ERROR_INCONSISTENT (two values for one instance; min > max), VADM_ERROR_DENIED,
 *     VADM_ERROR_SYSTEM, VADM_ERROR_NO_MEMORY. The caller frees fault->error. The tag is that
 *     of the change at fault, of the last one that takes part where several do.
 *
 * For origin SNMP log files are guarded by [log] directories. Any thread; may open files and
 * start threads; waits for the disk only if vadm_config_touches_disk() of what is in force, or
 * VADM_FIELD_CONFIG_STORAGE is changed.
 *
 * VADM_FIELD_CONFIG_CONFIRM_TIMEOUT: LIBVIRT-ADMIN-MIB, lvaConfigConfirmTimeout. While a
 * confirmation is pending VADM_ERROR_BUSY is also the answer to every change of the
 * configuration that does not come with that field set to 0.
 * Returns: (transfer full) (nullable)
 */
VadmDaemonTxn *vadm_txn_prepare(VadmDaemon *daemon, const VadmChange *changes, guint n_changes,
                                VadmOrigin origin, gint64 wait_us, VadmFault *fault);

/** vadm_txn_prepare_config: the same for a whole configuration (reload, rollback):
 * @base: (nullable): what @next was made from; VADM_ERROR_BUSY if another is in force by now,
 * whose changes @next would take back. @next: (transfer none): copied. A prepared transaction that
 * changes nothing commits without a new generation. */
VadmDaemonTxn *vadm_txn_prepare_config(VadmDaemon *daemon, const VadmConfig *base,
                                       const VadmConfig *next, VadmOrigin origin, gint64 wait_us,
                                       VadmFault *fault);

/** vadm_txn_commit: puts it in force. @error: VADM_ERROR_SYSTEM: the state file cannot be
 * replaced; nothing has changed then, and abort is due. Cannot fail unless
 * vadm_txn_waits_for_disk(). Idempotent. Any thread. */
gboolean vadm_txn_commit(VadmDaemonTxn *txn, GError **error);
/** vadm_txn_undo: puts back what was in force before. Returns: FALSE: somebody else changed the
 * configuration since, which stays (VADM_ERROR_CONFLICT), or only the state file could not be put
 * back (VADM_ERROR_SYSTEM); both are logged. Idempotent. */
gboolean vadm_txn_undo(VadmDaemonTxn *txn, GError **error);
/** vadm_txn_waits_for_disk: whether the phases after prepare may wait for the disk. */
gboolean vadm_txn_waits_for_disk(const VadmDaemonTxn *txn);
/** vadm_txn_finish: the irreversible part; logs old -> new. Consumes @txn. */
void vadm_txn_finish(VadmDaemonTxn *txn);
/** vadm_txn_abort: gives up; a committed one is undone first. Consumes @txn. */
void vadm_txn_abort(VadmDaemonTxn *txn);

/** vadm_daemon_change: prepare, commit and finish in one call, for the admin program and
 * reload. Returns: FALSE with @fault filled. */
gboolean vadm_daemon_change(VadmDaemon *daemon, const VadmChange *changes, guint n_changes,
                            VadmOrigin origin, gint64 wait_us, VadmFault *fault);

#endif
