/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What belongs to the agent and not to a daemon: the advisory lock (lvaConfigLock), the reason
 * of the last refusal (lvaConfigLastError), the counters of notifications and, for a source that
 * does not keep it, what is notified (lvaNotify). In a SET it is the second participant of the
 * transaction: prepared last, and its commit cannot fail.
 */
#ifndef VADM_AGENT_SETTINGS_H
#define VADM_AGENT_SETTINGS_H

#include "common/error.h"
#include "common/source.h"

#define VADM_NOTIFY_BITS_DEFINED   10u    /* bits 0..9 of lvaNotifyEnable */
#define VADM_NOTIFY_BITS_MASK      0x3ffu /* bit n of the number: bit n of the BITS */
#define VADM_NOTIFY_INTERVAL_BOUND 3600u  /* seconds */
#define VADM_LOCK_BOUND            2147483647u
#define VADM_LAST_ERROR_BOUND      255u /* octets of lvaConfigLastError */

typedef struct _VadmSettings VadmSettings;

/* What a SET can change. */
typedef struct {
    guint32 lock; /* 0..VADM_LOCK_BOUND */
    guint16 notify_enable;
    guint32 notify_min_interval; /* seconds */
} VadmSettingsValues;

/**
 * vadm_settings_new:
 * @name: of the daemon, for the log: one agent may serve several
 * @notify_enable: bit n: lvaNotifyEnable bit n (as VadmConfig.notify_enable)
 * @notify_min_interval: seconds, 0..VADM_NOTIFY_INTERVAL_BOUND
 *
 * The lock starts at a random value, so that a manager which remembers one from before a
 * restart does not take it for the current one (RFC 2579, TestAndIncr).
 * Returns: (transfer full)
 */
VadmSettings *vadm_settings_new(const char *name, guint16 notify_enable,
                                guint32 notify_min_interval);
void vadm_settings_free(VadmSettings *settings);

/** vadm_settings_get_name: Returns: the name of the daemon. Any thread. */
const char *vadm_settings_get_name(const VadmSettings *settings);

/** vadm_settings_get: a copy of all values of one moment. Any thread. */
VadmSettingsValues vadm_settings_get(VadmSettings *settings);

/**
 * vadm_settings_reload:
 * @was, @is: what the configuration file said when it was last read, and what it says now; the lock
 *     does not count
 *
 * Puts in force what has changed in the file. What has not keeps the value that a SET has given it:
 * the reload of a log rotation takes nothing back. Any thread.
 */
void vadm_settings_reload(VadmSettings *settings, const VadmSettingsValues *was,
                          const VadmSettingsValues *is);

/** vadm_settings_access: VADM_ACCESS_NONE for a field that does not belong to the agent. Any
 * thread. */
VadmAccess vadm_settings_access(VadmField field);

/**
 * vadm_settings_set_last_error:
 * @message: UTF-8; what is not printable in it is shown as a space; cut to VADM_LAST_ERROR_BOUND
 * octets at the boundary of a character
 *
 * Any thread.
 */
void vadm_settings_set_last_error(VadmSettings *settings, const char *message);
/** vadm_settings_get_last_error: Returns: (transfer full): "" when nothing was refused. */
char *vadm_settings_get_last_error(VadmSettings *settings);

/* What became of notifications since the agent started. Counter32: they wrap. */
typedef struct {
    guint32 sent, suppressed;
    gint64 since; /* microseconds since the epoch, UTC */
} VadmNotifyStats;

/** vadm_settings_count_notify: adds to the counters. Any thread. */
void vadm_settings_count_notify(VadmSettings *settings, guint32 sent, guint32 suppressed);
/** vadm_settings_get_notify_stats: of one moment. Any thread. */
VadmNotifyStats vadm_settings_get_notify_stats(VadmSettings *settings);

/* One change of settings on its way through the phases of a SET. Zeroed: nothing is changed. */
typedef struct {
    gboolean active;
    gboolean committed;
    guint16 fields; /* which members of next count; private */
    VadmSettingsValues before, next;
} VadmSettingsTxn;

/**
 * vadm_settings_prepare:
 * @changes: of fields for which vadm_settings_access() is VADM_ACCESS_WRITE, at most one of each
 * @txn: (out): filled when it succeeds
 * @fault: (out): VADM_ERROR_INCONSISTENT (stale lock), VADM_ERROR_INVALID_VALUE. The caller
 *     frees fault->error
 *
 * snmp thread. Nothing is changed yet.
 */
gboolean vadm_settings_prepare(VadmSettings *settings, const VadmChange *changes, guint n_changes,
                               VadmSettingsTxn *txn, VadmFault *fault);
/** vadm_settings_commit: puts it in force; the lock steps on. Cannot fail. */
void vadm_settings_commit(VadmSettings *settings, VadmSettingsTxn *txn);
/** vadm_settings_undo: puts back what was in force before, unless somebody else has changed it
 * since: that stays. */
void vadm_settings_undo(VadmSettings *settings, VadmSettingsTxn *txn);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmSettings, vadm_settings_free)

#endif
