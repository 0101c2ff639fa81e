/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the reading and the writing half of the linked-in daemon's source. */
#ifndef VADM_AGENT_SOURCE_LOCAL_PRIVATE_H
#define VADM_AGENT_SOURCE_LOCAL_PRIVATE_H

#include "daemon/txn.h"

typedef struct {
    VadmSource base;
    VadmDaemon *daemon;
} VadmLocalSource;

/* See VadmSourceClass. */
void vadm_local_prepare(VadmSource *source, const VadmChange *changes, guint n_changes,
                        VadmOrigin origin, gint64 deadline, VadmDone done, gpointer user);
void vadm_local_commit(VadmTxn *txn, VadmDone done, gpointer user);
void vadm_local_undo(VadmTxn *txn, VadmDone done, gpointer user);
void vadm_local_finish(VadmTxn *txn);
void vadm_local_abort(VadmTxn *txn);

#endif
