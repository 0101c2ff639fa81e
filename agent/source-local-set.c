/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The writing half of the linked-in daemon's source. What has to wait for the disk is done by the
 * daemon's saver and completes through the source's mailbox; all else is done at once. As long as
 * the saver has work, everything queues behind it: the end of one transaction must not be
 * overtaken by the beginning of the next, which would find the writer token taken.
 */
#include "agent/source-local-private.h"
#include "common/source-job.h"

typedef struct {
    VadmTxn base;
    VadmDaemonTxn *txn;
} LocalTxn;

/* One phase on its way to the saver and back. */
typedef struct {
    VadmSourceJob base;
    VadmLocalSource *source;
    LocalTxn *txn;
    VadmOrigin origin; /* of prepare */
} LocalJob;

static VadmSaver *
local_saver(const VadmLocalSource *source)
{
    return vadm_daemon_get_store(source->daemon)->saver;
}

static gboolean
local_must_queue(const VadmLocalSource *source)
{
    return source->base.mailbox && !vadm_saver_is_idle(local_saver(source));
}

static LocalJob *
local_job_new(VadmLocalSource *source, LocalTxn *txn, VadmDone done, gpointer user)
{
    LocalJob *job = g_new0(LocalJob, 1);

    vadm_source_job_init(&job->base, &source->base, done, user);
    job->source = source;
    job->txn = txn;
    return job;
}

static VadmTxn *
local_job_txn(const LocalJob *job)
{
    return job->txn ? &job->txn->base : NULL;
}

static LocalTxn *
local_txn_prepare(VadmLocalSource *source, const VadmChange *changes, guint n_changes,
                  VadmOrigin origin, VadmFault *fault)
{
    VadmDaemonTxn *prepared =
        vadm_txn_prepare(source->daemon, changes, n_changes, origin, 0, fault);
    LocalTxn *txn;

    if (!prepared)
        return NULL;
    txn = g_new0(LocalTxn, 1);
    txn->base.source = &source->base;
    txn->txn = prepared;
    return txn;
}

static void
local_prepare_job(gpointer data)
{
    LocalJob *job = data;

    /* The caller has given up already: what would be done now would only be taken back. */
    if (g_get_monotonic_time() >= job->base.deadline)
        g_set_error_literal(&job->base.fault.error, VADM_ERROR, VADM_ERROR_BUSY,
                            "the disk is busy with an earlier change");
    else
        job->txn = local_txn_prepare(job->source, job->base.changes, job->base.n_changes,
                                     job->origin, &job->base.fault);
    vadm_source_job_return(&job->base, local_job_txn(job));
}

static gboolean
local_needs_disk(const VadmLocalSource *source, const VadmChange *changes, guint n_changes)
{
    g_autoptr(VadmConfig) config = vadm_daemon_get_config(source->daemon);

    for (guint i = 0; i < n_changes; i++) {
        if (changes[i].field == VADM_FIELD_CONFIG_STORAGE)
            return TRUE;
    }
    return vadm_config_touches_disk(config);
}

void
vadm_local_prepare(VadmSource *base, const VadmChange *changes, guint n_changes, VadmOrigin origin,
                   gint64 deadline, VadmDone done, gpointer user)
{
    VadmLocalSource *source = (VadmLocalSource *)base;
    LocalJob *job = local_job_new(source, NULL, done, user);

    if (!base->mailbox ||
        (!local_must_queue(source) && !local_needs_disk(source, changes, n_changes))) {
        job->txn = local_txn_prepare(source, changes, n_changes, origin, &job->base.fault);
        vadm_source_job_complete(&job->base, local_job_txn(job));
        return;
    }
    vadm_source_job_keep_changes(&job->base, changes, n_changes);
    job->origin = origin;
    job->base.deadline = deadline;
    vadm_saver_submit(local_saver(source), local_prepare_job, job);
}

static void
local_commit_job(gpointer data)
{
    LocalJob *job = data;

    vadm_txn_commit(job->txn->txn, &job->base.fault.error);
    vadm_source_job_return(&job->base, local_job_txn(job));
}

static void
local_undo_job(gpointer data)
{
    LocalJob *job = data;

    vadm_txn_undo(job->txn->txn, &job->base.fault.error);
    vadm_source_job_return(&job->base, local_job_txn(job));
}

static gboolean
local_txn_goes_to_saver(const LocalTxn *txn)
{
    const VadmLocalSource *source = (const VadmLocalSource *)txn->base.source;

    return source->base.mailbox && vadm_txn_waits_for_disk(txn->txn);
}

void
vadm_local_commit(VadmTxn *base, VadmDone done, gpointer user)
{
    LocalTxn *txn = (LocalTxn *)base;
    VadmLocalSource *source = (VadmLocalSource *)base->source;
    LocalJob *job = local_job_new(source, txn, done, user);

    if (local_txn_goes_to_saver(txn)) {
        vadm_saver_submit(local_saver(source), local_commit_job, job);
        return;
    }
    vadm_txn_commit(txn->txn, &job->base.fault.error);
    vadm_source_job_complete(&job->base, local_job_txn(job));
}

void
vadm_local_undo(VadmTxn *base, VadmDone done, gpointer user)
{
    LocalTxn *txn = (LocalTxn *)base;
    VadmLocalSource *source = (VadmLocalSource *)base->source;
    LocalJob *job = local_job_new(source, txn, done, user);

    if (local_txn_goes_to_saver(txn)) {
        vadm_saver_submit(local_saver(source), local_undo_job, job);
        return;
    }
    vadm_txn_undo(txn->txn, &job->base.fault.error);
    vadm_source_job_complete(&job->base, local_job_txn(job));
}

static void
local_finish_job(gpointer data)
{
    LocalTxn *txn = data;

    vadm_txn_finish(txn->txn);
    g_free(txn);
}

static void
local_abort_job(gpointer data)
{
    LocalTxn *txn = data;

    vadm_txn_abort(txn->txn);
    g_free(txn);
}

/* Both unlink files, which is the disk's business, too. */
static void
local_end(VadmTxn *base, void (*run)(gpointer txn))
{
    LocalTxn *txn = (LocalTxn *)base;

    if (local_txn_goes_to_saver(txn))
        vadm_saver_submit(local_saver((VadmLocalSource *)base->source), run, txn);
    else
        run(txn);
}

void
vadm_local_finish(VadmTxn *txn)
{
    local_end(txn, local_finish_job);
}

void
vadm_local_abort(VadmTxn *txn)
{
    local_end(txn, local_abort_job);
}
