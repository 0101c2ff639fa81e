/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The worker pool: min..max ordinary workers that follow the load and a fixed number of
 * priority workers that take priority jobs only. Its numbers are those that virt-admin shows.
 * A change of the limits has the phases of a transaction: prepare starts the threads that the
 * new limits ask for (and may fail), commit makes them count, finish retires the surplus, undo
 * and abort put back what was.
 */
#ifndef VADM_DAEMON_POOL_H
#define VADM_DAEMON_POOL_H

#include "common/error.h"

typedef struct _VadmPool VadmPool;
typedef struct _VadmPoolChange VadmPoolChange;

/* Runs in a worker. Returns: TRUE when the job ended well, FALSE for an error reply. */
typedef gboolean (*VadmJobFunc)(gpointer data);

typedef struct {
    guint32 min, max, priority;
} VadmPoolLimits;

typedef struct {
    guint32 current, free, priority; /* ordinary, ordinary waiting, priority workers */
    guint32 queue_depth;             /* jobs not yet taken, both kinds */
    gint64 queue_since;              /* since when that is 0, or not 0: monotonic, microseconds */
    guint64 done, failed;            /* jobs; failed ones are done too */
    guint64 wait_time, run_time;     /* microseconds, summed; run_time counts done jobs */
} VadmPoolStats;

/**
 * vadm_pool_new:
 * @name: threads are called "rpc-NAME" and "prio-rpc-NAME" (cut to what the kernel takes)
 * @error: VADM_ERROR_NO_MEMORY when threads cannot be started; none is left behind then
 */
VadmPool *vadm_pool_new(const char *name, const VadmPoolLimits *limits, GError **error);

/**
 * vadm_pool_stop:
 * @timeout_us: how long to wait for jobs that run, microseconds
 *
 * Jobs that no worker has taken are destroyed. Returns: FALSE when workers were still busy at
 * the deadline: the pool must not be freed then.
 */
gboolean vadm_pool_stop(VadmPool *pool, gint64 timeout_us);
/** vadm_pool_free: after vadm_pool_stop() returned TRUE. */
void vadm_pool_free(VadmPool *pool);

/**
 * vadm_pool_push:
 * @priority: a high priority job: any worker takes it; an ordinary one is for ordinary workers
 * @run: called once in a worker
 * @destroy: (nullable): called with @data after @run, and instead of it when the pool stops
 *
 * Any thread; never blocks. Starts a worker when none is free for the jobs that wait and max is
 * not reached; that a thread cannot be started is logged once a minute and the job waits.
 */
void vadm_pool_push(VadmPool *pool, gboolean priority, VadmJobFunc run, gpointer data,
                    GDestroyNotify destroy);
/** vadm_pool_cancel: destroys the job with this @data, unless a worker has taken it. It counts
 * nowhere then. Any thread. Returns: FALSE: no such job waits */
gboolean vadm_pool_cancel(VadmPool *pool, gconstpointer data);

/* A worker's place that somebody has without the worker. */
typedef struct {
    gboolean priority; /* the worker's kind */
    gint64 since;
} VadmPoolPlace;

/**
 * vadm_pool_reserve: for work that needs no thread, but is to count as a job and to be limited like
 * one: from now on a worker that was free is busy.
 * @priority: as for vadm_pool_push()
 * @place: (out): what was got, for vadm_pool_release()
 *
 * Any thread; never blocks. Returns: FALSE: no worker is free that would take such a job at once,
 * or others wait for one: push a job
 */
gboolean vadm_pool_reserve(VadmPool *pool, gboolean priority, VadmPoolPlace *place);
/** vadm_pool_release: the work is done; @good: as VadmJobFunc returns. The worker takes what waits.
 * vadm_pool_stop() waits for it. Any thread. */
void vadm_pool_release(VadmPool *pool, const VadmPoolPlace *place, gboolean good);

void vadm_pool_get_stats(VadmPool *pool, VadmPoolStats *stats);
/** vadm_pool_get_max: how many ordinary workers there may be now. Any thread. */
guint32 vadm_pool_get_max(VadmPool *pool);

/* Jobs wait and no ordinary worker is free. Called under the pool's lock, in any thread: must not
 * block, nor call the pool. */
typedef void (*VadmPoolStarved)(gpointer user);

/** vadm_pool_watch: @starved: called once when that begins to be so (it may end at once), and then
 * not before vadm_pool_rearm() has returned TRUE. To be set once; any thread. */
void vadm_pool_watch(VadmPool *pool, VadmPoolStarved starved, gpointer user);
/** vadm_pool_rearm: Returns: FALSE: jobs wait, and nothing was done. Any thread. */
gboolean vadm_pool_rearm(VadmPool *pool);

/** vadm_pool_prepare: @error: VADM_ERROR_NO_MEMORY when a thread cannot be started (those
 * already started for this change are ended). One change at a time (the writer token). */
VadmPoolChange *vadm_pool_prepare(VadmPool *pool, const VadmPoolLimits *limits, GError **error);
void vadm_pool_commit(VadmPoolChange *change);
void vadm_pool_undo(VadmPoolChange *change);   /* back to prepared */
void vadm_pool_finish(VadmPoolChange *change); /* consumes; after commit */
void vadm_pool_abort(VadmPoolChange *change);  /* consumes; not committed, or undone */

#endif
