/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/source-job.h"

void
vadm_source_job_init(VadmSourceJob *job, const VadmSource *source, VadmDone done, gpointer user)
{
    job->mailbox = source->mailbox ? vadm_mailbox_ref(source->mailbox) : NULL;
    job->done = done;
    job->user = user;
}

void
vadm_source_job_keep_changes(VadmSourceJob *job, const VadmChange *changes, guint n_changes)
{
    job->changes = g_memdup2(changes, sizeof(*changes) * n_changes);
    job->n_changes = n_changes;
    for (guint i = 0; i < n_changes; i++)
        job->changes[i].value.string =
            changes[i].value.kind == VADM_VALUE_STRING ? g_strdup(changes[i].value.string) : NULL;
}

static void
source_job_deliver(gpointer data)
{
    VadmSourceJob *job = data;

    job->done(job->txn, &job->fault, job->user);
    g_clear_error(&job->fault.error);
    for (guint i = 0; i < job->n_changes; i++)
        g_free((char *)job->changes[i].value.string);
    g_free(job->changes);
    g_clear_pointer(&job->mailbox, vadm_mailbox_unref);
    g_free(job);
}

void
vadm_source_job_complete(VadmSourceJob *job, VadmTxn *txn)
{
    job->txn = txn;
    source_job_deliver(job);
}

void
vadm_source_job_return(VadmSourceJob *job, VadmTxn *txn)
{
    /* Another one: the job, and its own with it, may be gone before the post returns. */
    g_autoptr(VadmMailbox) mailbox = job->mailbox ? vadm_mailbox_ref(job->mailbox) : NULL;

    job->txn = txn;
    if (mailbox)
        vadm_mailbox_post(mailbox, source_job_deliver, job, source_job_deliver);
    else
        source_job_deliver(job);
}
