/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A pool from the inside: for pool.c (workers and jobs), pool-change.c and their tests. */
#ifndef VADM_DAEMON_POOL_PRIVATE_H
#define VADM_DAEMON_POOL_PRIVATE_H

#include <pthread.h>

#include "common/lock.h"
#include "daemon/pool.h"

/* pthread_create(), or a test's stand-in that refuses. */
typedef int (*VadmThreadCreate)(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                                void *data);

typedef enum { VADM_WORKER_ORDINARY, VADM_WORKER_PRIORITY, VADM_WORKER_LAST } VadmWorkerKind;

typedef struct {
    VadmJobFunc run;
    gpointer data;
    GDestroyNotify destroy;
    gint64 queued_at;
} VadmJob;

/* All members but pool and kind under the pool's lock. */
typedef struct {
    VadmPool *pool;
    VadmWorkerKind kind;
    VadmPoolChange *change; /* that started it and is not settled yet */
    gboolean counted;       /* in pool->current; a worker that is not is parked or leaves */
    gboolean starting;      /* in pool->starting: counted, and has not looked for work yet */
    gboolean waiting;       /* in pool->idle */
    gboolean leave;         /* its change was aborted */
} VadmWorker;

struct _VadmPoolChange {
    VadmPool *pool;
    VadmPoolLimits from, to;
    GPtrArray *workers; /* of VadmWorker, not owned: those started for this change */
    gboolean committed;
};

struct _VadmPool {
    char *name;
    VadmThreadCreate create;

    VadmMutex lock; /* for all below */
    VadmCond work[VADM_WORKER_LAST];
    VadmCond parked; /* a change has been committed or settled */
    VadmCond ended;  /* a thread has ended */
    GQueue jobs[VADM_WORKER_LAST];
    VadmPoolLimits limits;
    VadmPoolChange *change; /* committed, not finished: until then nobody retires */
    guint32 current[VADM_WORKER_LAST];
    guint32 idle[VADM_WORKER_LAST]; /* threads without a job */
    guint32 lent[VADM_WORKER_LAST]; /* places of those, whichever, that are reserved */
    guint32 starting[VADM_WORKER_LAST];
    guint threads; /* all of them, counted or not */
    gboolean stopping;
    gint64 queue_since; /* when the queue became what it is: empty, or not */
    VadmPoolStarved starved;
    gpointer starved_user;
    gboolean watched; /* starved() has been called, and vadm_pool_rearm() not since */
    gint64 warned_at;
    guint64 done, failed, wait_time, run_time;
};

static inline guint32
vadm_pool_limit(const VadmPool *pool, VadmWorkerKind kind)
{
    return kind == VADM_WORKER_PRIORITY ? pool->limits.priority : pool->limits.max;
}

static inline guint
vadm_pool_queued(const VadmPool *pool)
{
    return pool->jobs[VADM_WORKER_ORDINARY].length + pool->jobs[VADM_WORKER_PRIORITY].length;
}

/* Under the lock: how many workers of @kind are free. There may be more places lent than threads
 * idle: a change that was undone has taken workers away, and places, as jobs, are not cut short. */
static inline guint32
vadm_pool_count_free(const VadmPool *pool, VadmWorkerKind kind)
{
    return pool->idle[kind] - MIN(pool->idle[kind], pool->lent[kind]);
}

/* Under the lock: there are more workers than there may be, and they are to go. */
static inline gboolean
vadm_pool_has_surplus(const VadmPool *pool, VadmWorkerKind kind)
{
    return !pool->change && pool->current[kind] > vadm_pool_limit(pool, kind);
}

VadmPool *vadm_pool_new_with(const char *name, const VadmPoolLimits *limits,
                             VadmThreadCreate create, GError **error);

/* All of these under the pool's lock. */

/** vadm_worker_count, _uncount: what the numbers of the pool say of @worker begins or ends. */
void vadm_worker_count(VadmWorker *worker);
void vadm_worker_uncount(VadmWorker *worker);
/** vadm_pool_start_worker: @change: (nullable): the worker is parked until it is committed.
 * Returns: 0 or an errno */
int vadm_pool_start_worker(VadmPool *pool, VadmWorkerKind kind, VadmPoolChange *change);
void vadm_pool_set_thread_error(const VadmPool *pool, int errnum, GError **error);
/** vadm_pool_wants_worker: do jobs wait that no worker is free for, and may there be another one?
 */
gboolean vadm_pool_wants_worker(const VadmPool *pool);
/** vadm_pool_grow: one more ordinary worker if the jobs that wait want it. */
void vadm_pool_grow(VadmPool *pool);
void vadm_pool_wake_all(VadmPool *pool);
/** vadm_pool_check_starved: where jobs may have come to wait, or a worker not to be free any more.
 */
void vadm_pool_check_starved(VadmPool *pool);

#endif
