/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For sources (common/source.h) whose transactions take time: one phase, from the caller's thread
 * to the one where it is done, and its outcome back.
 */
#ifndef VADM_COMMON_SOURCE_JOB_H
#define VADM_COMMON_SOURCE_JOB_H

#include "common/source.h"

/* The first member of the source's own struct, which is from g_new0() and frees itself with the
 * outcome. */
typedef struct {
    VadmFault fault; /* filled in by the source when the phase fails */
    gint64 deadline; /* of prepare, and wherever the source sets one: monotonic time */

    /* of prepare: vadm_source_job_keep_changes() */
    VadmChange *changes;
    guint n_changes;

    /* source-job.c's own */
    VadmMailbox *mailbox;
    VadmTxn *txn;
    VadmDone done;
    gpointer user;
} VadmSourceJob;

/** vadm_source_job_init: @source: its mailbox is the way back; the job keeps a reference, as the
 * source may be gone when the job is done. The caller's thread. */
void vadm_source_job_init(VadmSourceJob *job, const VadmSource *source, VadmDone done,
                          gpointer user);
/** vadm_source_job_keep_changes: copies what is the caller's for the call only. */
void vadm_source_job_keep_changes(VadmSourceJob *job, const VadmChange *changes, guint n_changes);

/** vadm_source_job_complete: tells the outcome now, in this thread. @job: (transfer full); @txn:
 * (nullable): of the outcome, NULL: prepare has failed */
void vadm_source_job_complete(VadmSourceJob *job, VadmTxn *txn);
/** vadm_source_job_return: tells it in the caller's thread or, after the end of that or without a
 * mailbox, in this one. As vadm_source_job_complete(). Any thread. */
void vadm_source_job_return(VadmSourceJob *job, VadmTxn *txn);

#endif
