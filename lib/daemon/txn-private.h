/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the files of a transaction. */
#ifndef VADM_DAEMON_TXN_PRIVATE_H
#define VADM_DAEMON_TXN_PRIVATE_H

#include "daemon/state-file.h"
#include "daemon/txn.h"

/* What a transaction does to one server beside the configuration. */
typedef struct {
    VadmServer *server;
    VadmPoolChange *pool; /* NULL: the numbers of workers stay */
    VadmServerLimits from, to;
} VadmTxnServer;

struct _VadmDaemonTxn {
    VadmStore *store;
    VadmDaemon *daemon;
    VadmOrigin origin;
    VadmConfig *before, *next;
    VadmLogSet *log_set;  /* made for @next, NULL: logging stays */
    GArray *servers;      /* of VadmTxnServer */
    GPtrArray *clients;   /* of VadmClient references: to be disconnected */
    char *diff;           /* from @before to @next, for the log; "" when they are the same */
    gboolean confirm_set; /* the change says something about the confirmation */
    gboolean arm;         /* its time starts with the commit */
    gboolean changes;     /* @next takes the place of @before, if only for what is not counted */
    VadmStateFile *state; /* NULL: what is stored stays */
    gboolean committed;
};

/* Whether @field is the daemon's configuration: what a confirmation protects and a rollback puts
 * back. */
gboolean vadm_txn_is_configuration(VadmField field);

/* txn-prepare.c: applies @changes to @next, or only checks it when there are none. */
gboolean vadm_txn_apply(VadmDaemonTxn *txn, const VadmChange *changes, guint n_changes,
                        VadmFault *fault);
gboolean vadm_txn_prepare_next(VadmDaemonTxn *txn, const VadmChange *changes, guint n_changes,
                               VadmFault *fault);

/* txn-confirm.c: the confirmed commit's rules. vadm_txn_check_pending() is for who brings no
 * single changes. */
gboolean vadm_txn_prepare_confirm(VadmDaemonTxn *txn, const VadmChange *changes, guint n_changes,
                                  VadmFault *fault);
gboolean vadm_txn_check_pending(const VadmDaemonTxn *txn, VadmFault *fault);
/* ... and the state file. */
gboolean vadm_txn_prepare_state(VadmDaemonTxn *txn, const VadmChange *changes, guint n_changes,
                                VadmFault *fault);

#endif
