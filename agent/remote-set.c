/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The writing half of the remote source. Its phases are called in the snmp thread, and done in the
 * main thread, which has the connection; the outcome goes back by the caller's mailbox. What is
 * posted is run in order, so the end of one transaction comes before the beginning of the next.
 */
#include "agent/remote-memory.h"
#include "agent/remote-set.h"
#include "common/source-job.h"

#define VADM_LOG_CATEGORY "agent.remote"
#include "common/log.h"

/* Before the caller gives up by himself, who could say less of why. */
#define REMOTE_MARGIN_US (G_USEC_PER_SEC / 20)

typedef struct {
    VadmTxn base;
    VadmRemotePlan *plan;
    gboolean committed;
} RemoteTxn;

typedef struct {
    VadmSourceJob base;
    VadmRemoteSource *source;
    RemoteTxn *txn;     /* of prepare: when it has succeeded */
    guint32 generation; /* of commit: lvaConfigGeneration before it */
} RemoteJob;

/* ---- the way there and back ---- */

static RemoteJob *
remote_job_new(VadmRemoteSource *source, RemoteTxn *txn, gint64 deadline, VadmDone done,
               gpointer user)
{
    RemoteJob *job = g_new0(RemoteJob, 1);

    vadm_source_job_init(&job->base, &source->base, done, user);
    job->base.deadline = deadline;
    job->source = source;
    job->txn = txn;
    return job;
}

static void
remote_job_return(RemoteJob *job)
{
    vadm_source_job_return(&job->base, job->txn ? &job->txn->base : NULL);
}

static void G_GNUC_PRINTF(3, 4)
    remote_job_fail(RemoteJob *job, VadmErrorCode code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    job->base.fault.error = g_error_new_valist(VADM_ERROR, (int)code, format, args);
    va_end(args);
    remote_job_return(job);
}

/* The main thread will not come to it any more. */
static void
remote_job_destroy(gpointer data)
{
    remote_job_fail(data, VADM_ERROR_NO_CONNECT, "the agent ends");
}

static void
remote_job_post(RemoteJob *job, VadmMailboxFunc run)
{
    vadm_mailbox_post(job->source->inbox, run, job, remote_job_destroy);
}

static gboolean
remote_job_is_late(const RemoteJob *job)
{
    return g_get_monotonic_time() >= job->base.deadline;
}

static guint
remote_job_timeout(const RemoteJob *job)
{
    return (guint)MAX((job->base.deadline - REMOTE_MARGIN_US - g_get_monotonic_time()) / 1000, 1);
}

static void
remote_job_unreachable(RemoteJob *job, const char *what)
{
    remote_job_fail(job, VADM_ERROR_NO_CONNECT, "%s at %s %s", job->source->name, job->source->uri,
                    what);
}

/* ---- prepare ---- */

static void
remote_prepare_validate(RemoteJob *job)
{
    VadmRemoteSource *source = job->source;
    g_autoptr(VadmRemoteSnapshot) snapshot = vadm_remote_get_snapshot(source);
    VadmRemotePlan *plan = vadm_remote_plan_new(source, snapshot, job->base.changes,
                                                job->base.n_changes, &job->base.fault);

    if (plan) {
        job->txn = g_new0(RemoteTxn, 1);
        job->txn->base.source = &source->base;
        job->txn->plan = plan;
    }
    source->writer->holder = job->txn;
    remote_job_return(job);
}

static void
remote_prepare_on_read(gboolean fresh, gpointer user)
{
    RemoteJob *job = user;

    if (fresh) {
        remote_prepare_validate(job);
        return;
    }
    job->source->writer->holder = NULL;
    remote_job_unreachable(job, "does not answer");
}

/* What was read last may be some seconds old. Somebody may have changed it since, and taking back
 * must not bring back what was before that; so it is read again first. A daemon that hangs is found
 * out, too, before anything has been sent of which nobody would know what became of it. */
static void
remote_prepare_job(gpointer data)
{
    RemoteJob *job = data;
    VadmRemoteSource *source = job->source;
    g_autoptr(VadmRemoteSnapshot) snapshot = vadm_remote_get_snapshot(source);
    gboolean reads =
        source->memory->anew || vadm_remote_plan_reads(job->base.changes, job->base.n_changes);

    if (remote_job_is_late(job)) {
        remote_job_fail(job, VADM_ERROR_BUSY, "the agent is busy");
        return;
    }
    if (source->writer->holder) {
        remote_job_fail(job, VADM_ERROR_BUSY, "another change is being made");
        return;
    }
    if (!vadm_remote_is_fresh(source, snapshot, g_get_monotonic_time()) ||
        !vadm_remote_is_connected(source)) {
        remote_job_unreachable(job, "is unreachable");
        return;
    }
    source->writer->holder = job;
    if (reads)
        vadm_remote_read_again(source, VADM_ORIGIN_ADMIN_RPC, remote_job_timeout(job),
                               remote_prepare_on_read, job);
    else
        remote_prepare_validate(job);
}

void
vadm_remote_prepare(VadmSource *base, const VadmChange *changes, guint n_changes, VadmOrigin origin,
                    gint64 deadline, VadmDone done, gpointer user)
{
    VadmRemoteSource *source = (VadmRemoteSource *)base;
    RemoteJob *job = remote_job_new(source, NULL, deadline, done, user);

    (void)origin; /* nobody but a SET comes here */
    if (!base->mailbox) {
        remote_job_destroy(job);
        return;
    }
    vadm_source_job_keep_changes(&job->base, changes, n_changes);
    remote_job_post(job, remote_prepare_job);
}

/* ---- commit ---- */

static void
remote_commit_on_applied(const GError *error, guint tag, gpointer user)
{
    RemoteJob *job = user;

    job->txn->committed = error == NULL;
    if (error) {
        VADM_WARN("%s: a change failed: %s", job->source->name, error->message);
        job->base.fault = (VadmFault){tag, g_error_copy(error)};
        if (job->source->snapshot->generation != job->generation) /* a part of it stays */
            vadm_remote_tell_change(job->source);
    }
    remote_job_return(job);
}

static void
remote_commit_job(gpointer data)
{
    RemoteJob *job = data;
    VadmRemoteSource *source = job->source;
    VadmRemotePlan *plan = job->txn->plan;
    g_autoptr(VadmRemoteSnapshot) snapshot = vadm_remote_get_snapshot(source);
    g_autofree char *report = NULL;

    if (job->txn->committed) {
        remote_job_return(job);
        return;
    }
    if (remote_job_is_late(job)) {
        remote_job_fail(job, VADM_ERROR_BUSY, "the agent is busy");
        return;
    }
    if (!vadm_remote_is_fresh(source, snapshot, g_get_monotonic_time())) {
        remote_job_unreachable(job, "is unreachable");
        return;
    }
    if (!vadm_remote_plan_is_shown(plan, snapshot, VADM_REMOTE_BEFORE)) {
        report = vadm_remote_plan_report(plan, snapshot);
        remote_job_fail(job, VADM_ERROR_CONFLICT,
                        "somebody has changed it since this was checked; in force is %s", report);
        return;
    }
    if (!vadm_remote_plan_knows_clients(source, plan)) {
        remote_job_fail(job, VADM_ERROR_CONFLICT,
                        "the connection to %s was lost since this was checked: the clients may be "
                        "others now",
                        source->name);
        return;
    }
    job->generation = snapshot->generation;
    vadm_remote_plan_apply(source, plan, job->base.deadline, remote_commit_on_applied, job);
}

void
vadm_remote_commit(VadmTxn *base, VadmDone done, gpointer user)
{
    VadmRemoteSource *source = (VadmRemoteSource *)base->source;
    RemoteJob *job = remote_job_new(source, (RemoteTxn *)base,
                                    g_get_monotonic_time() + source->commit_us, done, user);

    if (base->source->mailbox)
        remote_job_post(job, remote_commit_job);
    else
        remote_job_destroy(job);
}

/* ---- undo ---- */

static void
remote_undo_fail(RemoteJob *job, VadmErrorCode code, const char *why)
{
    g_autofree char *changes = vadm_remote_plan_describe(job->txn->plan);

    VADM_ERR("%s: a change cannot be undone (%s): %s", job->source->name, changes, why);
    vadm_remote_tell_change(job->source);
    remote_job_fail(job, code, "%s", why);
}

static void
remote_undo_on_reverted(const GError *error, guint tag, gpointer user)
{
    RemoteJob *job = user;
    g_autofree char *changes = NULL;

    (void)tag;
    if (error) {
        remote_undo_fail(job, (VadmErrorCode)error->code, error->message);
        return;
    }
    job->txn->committed = FALSE;
    changes = vadm_remote_plan_describe(job->txn->plan);
    if (*changes)
        VADM_WARN("%s: undone: %s", job->source->name, changes);
    vadm_remote_forget_change(job->source);
    remote_job_return(job);
}

static void
remote_undo_revert(RemoteJob *job)
{
    vadm_remote_plan_revert(job->source, job->txn->plan, job->base.deadline,
                            remote_undo_on_reverted, job);
}

static void
remote_undo_on_read(gboolean fresh, gpointer user)
{
    RemoteJob *job = user;
    g_autoptr(VadmRemoteSnapshot) snapshot = vadm_remote_get_snapshot(job->source);
    g_autofree char *report = NULL;
    g_autofree char *why = NULL;

    if (!fresh) {
        remote_undo_fail(job, VADM_ERROR_NO_CONNECT, "the daemon cannot be read");
        return;
    }
    if (vadm_remote_plan_is_shown(job->txn->plan, snapshot, VADM_REMOTE_WANTED)) {
        remote_undo_revert(job);
        return;
    }
    report = vadm_remote_plan_report(job->txn->plan, snapshot);
    why = g_strdup_printf("somebody has changed it since; in force is %s", report);
    remote_undo_fail(job, VADM_ERROR_CONFLICT, why);
}

static void
remote_undo_job(gpointer data)
{
    RemoteJob *job = data;

    if (!job->txn->committed) {
        remote_job_return(job);
        return;
    }
    if (job->txn->plan->steps->len > 0)
        vadm_remote_read_again(job->source, VADM_ORIGIN_ADMIN_RPC,
                               (guint)(job->source->look_us / 1000), remote_undo_on_read, job);
    else
        remote_undo_revert(job);
}

/* Also without a mailbox: a commit that was given up when the caller ended is to be taken back. */
void
vadm_remote_undo(VadmTxn *base, VadmDone done, gpointer user)
{
    VadmRemoteSource *source = (VadmRemoteSource *)base->source;

    remote_job_post(remote_job_new(source, (RemoteTxn *)base,
                                   g_get_monotonic_time() + source->commit_us, done, user),
                    remote_undo_job);
}

/* ---- the end ---- */

static void
remote_txn_free(RemoteTxn *txn)
{
    VadmRemoteSource *source = (VadmRemoteSource *)txn->base.source;

    if (source->writer->holder == txn)
        source->writer->holder = NULL;
    vadm_remote_plan_unref(txn->plan);
    g_free(txn);
}

static void
remote_finish_job(gpointer data)
{
    RemoteTxn *txn = data;
    VadmRemoteSource *source = (VadmRemoteSource *)txn->base.source;
    g_autoptr(VadmRemoteSnapshot) snapshot = vadm_remote_get_snapshot(source);
    g_autofree char *changes = vadm_remote_plan_describe(txn->plan);

    if (txn->committed) {
        if (*changes) {
            VADM_WARN("%s: configuration %u (snmp): %s", source->name, snapshot->generation,
                      changes);
            vadm_remote_tell_change(source);
        }
        vadm_remote_plan_disconnect(source, txn->plan);
    }
    remote_txn_free(txn);
}

/* The daemon keeps what was changed; clients that were to be disconnected stay. */
static void
remote_finish_destroy(gpointer data)
{
    RemoteTxn *txn = data;

    if (txn->committed && txn->plan->closes->len > 0)
        VADM_WARN("the agent ends: %u clients are not disconnected", txn->plan->closes->len);
    remote_txn_free(txn);
}

static void
remote_abort_job(gpointer data)
{
    remote_txn_free(data);
}

void
vadm_remote_finish(VadmTxn *txn)
{
    VadmRemoteSource *source = (VadmRemoteSource *)txn->source;

    vadm_mailbox_post(source->inbox, remote_finish_job, txn, remote_finish_destroy);
}

void
vadm_remote_abort(VadmTxn *txn)
{
    VadmRemoteSource *source = (VadmRemoteSource *)txn->source;

    vadm_mailbox_post(source->inbox, remote_abort_job, txn, remote_abort_job);
}

/* ---- the writer ---- */

struct _VadmRemoteWriter *
vadm_remote_writer_new(VadmRemoteSource *source)
{
    struct _VadmRemoteWriter *writer = g_new0(struct _VadmRemoteWriter, 1);

    writer->source = source;
    writer->inquiries = g_ptr_array_new_with_free_func(vadm_remote_inquiry_free);
    return writer;
}

/* Behind the link and the reader, which have told everybody that nothing comes any more, and the
 * closing of the inbox, which has ended all transactions. */
void
vadm_remote_writer_free(struct _VadmRemoteWriter *writer)
{
    g_ptr_array_unref(writer->inquiries);
    g_free(writer);
}
