/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changing a pool's limits in steps that can be taken back (docs/transactions.md). */
#include "daemon/pool-private.h"

/* Starts, parked, what is missing of @kind. The lock is not held throughout: a thousand threads
 * take a while, and jobs go on meanwhile. */
static gboolean
vadm_pool_prepare_kind(VadmPoolChange *change, VadmWorkerKind kind, guint32 wanted, GError **error)
{
    VadmPool *pool = change->pool;
    guint32 parked = 0;
    int rc;

    for (;;) {
        VADM_LOCK_SCOPE(&pool->lock);

        if (pool->stopping) {
            g_set_error(error, VADM_ERROR, VADM_ERROR_BUSY, "server '%s' is shutting down",
                        pool->name);
            return FALSE;
        }
        /* Surplus that still has to retire may be gone before the commit. */
        if (MIN(pool->current[kind], vadm_pool_limit(pool, kind)) + parked >= wanted)
            return TRUE;
        rc = vadm_pool_start_worker(pool, kind, change);
        if (rc != 0) {
            vadm_pool_set_thread_error(pool, rc, error);
            return FALSE;
        }
        parked++;
    }
}

VadmPoolChange *
vadm_pool_prepare(VadmPool *pool, const VadmPoolLimits *limits, GError **error)
{
    VadmPoolChange *change = g_new0(VadmPoolChange, 1);

    change->pool = pool;
    change->to = *limits;
    change->workers = g_ptr_array_new();
    if (vadm_pool_prepare_kind(change, VADM_WORKER_ORDINARY, limits->min, error) &&
        vadm_pool_prepare_kind(change, VADM_WORKER_PRIORITY, limits->priority, error))
        return change;
    vadm_pool_abort(change);
    return NULL;
}

void
vadm_pool_commit(VadmPoolChange *change)
{
    VadmPool *pool = change->pool;
    VADM_LOCK_SCOPE(&pool->lock);

    if (change->committed)
        return;
    change->committed = TRUE;
    change->from = pool->limits;
    pool->limits = change->to;
    pool->change = change;
    for (guint i = 0; i < change->workers->len; i++)
        vadm_worker_count(change->workers->pdata[i]);
    vadm_cond_broadcast(&pool->parked);
}

/* Busy workers of the change stop counting now and park when their job is done. Those that the
 * load has brought beyond the old maximum retire. */
static void
vadm_pool_undo_locked(VadmPoolChange *change)
{
    VadmPool *pool = change->pool;

    if (!change->committed)
        return;
    change->committed = FALSE;
    pool->limits = change->from;
    pool->change = NULL;
    for (guint i = 0; i < change->workers->len; i++)
        vadm_worker_uncount(change->workers->pdata[i]);
    vadm_pool_wake_all(pool);
    vadm_pool_check_starved(pool);
}

void
vadm_pool_undo(VadmPoolChange *change)
{
    VADM_LOCK_SCOPE(&change->pool->lock);

    vadm_pool_undo_locked(change);
}

static void
vadm_pool_change_free(VadmPoolChange *change)
{
    g_ptr_array_unref(change->workers);
    g_free(change);
}

void
vadm_pool_finish(VadmPoolChange *change)
{
    VadmPool *pool = change->pool;

    g_assert(change->committed);
    vadm_mutex_lock(&pool->lock);
    pool->change = NULL;
    for (guint i = 0; i < change->workers->len; i++)
        ((VadmWorker *)change->workers->pdata[i])->change = NULL;
    /* A higher maximum is for the jobs that wait already, too: all workers may hang, and this
     * is how an operator gets the server going again. One attempt for each such job. */
    for (guint n = vadm_pool_queued(pool); n > 0 && vadm_pool_wants_worker(pool); n--)
        vadm_pool_grow(pool);
    vadm_pool_wake_all(pool);
    vadm_mutex_unlock(&pool->lock);
    vadm_pool_change_free(change);
}

void
vadm_pool_abort(VadmPoolChange *change)
{
    VadmPool *pool = change->pool;

    vadm_mutex_lock(&pool->lock);
    vadm_pool_undo_locked(change);
    for (guint i = 0; i < change->workers->len; i++) {
        VadmWorker *worker = change->workers->pdata[i];
        worker->change = NULL;
        worker->leave = TRUE;
    }
    vadm_cond_broadcast(&pool->parked);
    vadm_mutex_unlock(&pool->lock);
    vadm_pool_change_free(change);
}
