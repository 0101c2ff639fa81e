/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Places: work that goes on without a thread, but counts as if a worker did it. A place is lent by
 * the workers of its kind together: while N are lent, N of those that have no job take none and do
 * not retire either, so each busy worker that the numbers tell of exists.
 */
#include "daemon/pool-private.h"

/* A job would go to a priority worker first, if it may, for then an ordinary one stays free. */
static gboolean
vadm_pool_may_lend(const VadmPool *pool, VadmWorkerKind kind)
{
    return vadm_pool_count_free(pool, kind) > 0 && !vadm_pool_has_surplus(pool, kind) &&
           pool->jobs[kind].length == 0;
}

gboolean
vadm_pool_reserve(VadmPool *pool, gboolean priority, VadmPoolPlace *place)
{
    VADM_LOCK_SCOPE(&pool->lock);

    if (pool->stopping)
        return FALSE;
    if (priority && vadm_pool_may_lend(pool, VADM_WORKER_PRIORITY))
        place->priority = TRUE;
    else if (vadm_pool_queued(pool) == 0 && vadm_pool_may_lend(pool, VADM_WORKER_ORDINARY))
        place->priority = FALSE;
    else
        return FALSE;
    place->since = g_get_monotonic_time();
    pool->lent[place->priority ? VADM_WORKER_PRIORITY : VADM_WORKER_ORDINARY]++;
    return TRUE;
}

/* Whoever waits for that worker: jobs, or it has to go. */
static void
vadm_pool_hand_on(VadmPool *pool, VadmWorkerKind kind)
{
    guint queued = kind == VADM_WORKER_PRIORITY ? pool->jobs[kind].length : vadm_pool_queued(pool);

    if (queued > 0 || pool->stopping || vadm_pool_has_surplus(pool, kind))
        vadm_cond_signal(&pool->work[kind]);
    if (pool->stopping)
        vadm_cond_broadcast(&pool->ended);
}

void
vadm_pool_release(VadmPool *pool, const VadmPoolPlace *place, gboolean good)
{
    VadmWorkerKind kind = place->priority ? VADM_WORKER_PRIORITY : VADM_WORKER_ORDINARY;
    gint64 end = g_get_monotonic_time();
    VADM_LOCK_SCOPE(&pool->lock);

    pool->lent[kind]--;
    pool->done++;
    if (!good)
        pool->failed++;
    pool->run_time += (guint64)(end - place->since);
    vadm_pool_hand_on(pool, kind);
}
