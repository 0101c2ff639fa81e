/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define VADM_LOG_CATEGORY "daemon.pool"
#include "daemon/pool.h"

#include <signal.h>
#include <string.h>

#include "common/lock.h"
#include "common/log.h"
#include "daemon/pool-private.h"

/* What the kernel takes for the name of a thread, without the NUL. */
#define VADM_THREAD_NAME_MAX 15

#define VADM_POOL_WARN_INTERVAL (60 * G_USEC_PER_SEC)

/* Under the lock, where jobs may have come to wait, or a worker not to be free any more. Usually it
 * ends at the first condition, or the third. */
void
vadm_pool_check_starved(VadmPool *pool)
{
    if (vadm_pool_count_free(pool, VADM_WORKER_ORDINARY) > 0 || pool->watched ||
        vadm_pool_queued(pool) == 0 || !pool->starved)
        return;
    pool->watched = TRUE;
    pool->starved(pool->starved_user);
}

void
vadm_pool_wake_all(VadmPool *pool)
{
    for (guint kind = 0; kind < VADM_WORKER_LAST; kind++)
        vadm_cond_broadcast(&pool->work[kind]);
    vadm_cond_broadcast(&pool->parked);
}

/* What the numbers of the pool say of @worker ends or begins here and nowhere else, so that
 * they always agree with each other. */
void
vadm_worker_count(VadmWorker *worker)
{
    worker->counted = worker->starting = TRUE;
    worker->pool->current[worker->kind]++;
    worker->pool->starting[worker->kind]++;
}

static void
vadm_worker_set_idle(VadmWorker *worker, gboolean waiting)
{
    VadmPool *pool = worker->pool;

    if (worker->starting)
        pool->starting[worker->kind]--;
    worker->starting = FALSE;
    if (waiting && !worker->waiting)
        pool->idle[worker->kind]++;
    if (!waiting && worker->waiting)
        pool->idle[worker->kind]--;
    worker->waiting = waiting;
}

void
vadm_worker_uncount(VadmWorker *worker)
{
    if (!worker->counted)
        return;
    vadm_worker_set_idle(worker, FALSE);
    worker->counted = FALSE;
    worker->pool->current[worker->kind]--;
}

static void
vadm_job_destroy(VadmJob *job)
{
    if (job->destroy)
        job->destroy(job->data);
    g_free(job);
}

/* Priority jobs go first; an ordinary worker takes both kinds, a priority worker only those. */
static VadmJob *
vadm_worker_take(VadmWorker *worker)
{
    VadmPool *pool = worker->pool;
    VadmJob *job = g_queue_pop_head(&pool->jobs[VADM_WORKER_PRIORITY]);

    if (!job && worker->kind == VADM_WORKER_ORDINARY)
        job = g_queue_pop_head(&pool->jobs[VADM_WORKER_ORDINARY]);
    return job;
}

/* Entered and left with the pool's lock. */
static void
vadm_worker_run(VadmWorker *worker, VadmJob *job)
{
    VadmPool *pool = worker->pool;
    gint64 begin = g_get_monotonic_time();
    gint64 end;
    gboolean good;

    pool->wait_time += (guint64)(begin - job->queued_at);
    if (vadm_pool_queued(pool) == 0)
        pool->queue_since = begin;
    vadm_mutex_unlock(&pool->lock);
    good = job->run(job->data);
    end = g_get_monotonic_time();
    vadm_job_destroy(job);
    vadm_mutex_lock(&pool->lock);
    pool->done++;
    if (!good)
        pool->failed++;
    pool->run_time += (guint64)(end - begin);
}

/* Waits while the change that the worker was started for is not in force. Returns: FALSE: it never
 * will be, and the worker is to end. */
static gboolean
vadm_worker_park(VadmWorker *worker)
{
    VadmPool *pool = worker->pool;

    while (!worker->counted && !worker->leave && !pool->stopping)
        vadm_cond_wait(&pool->parked, &pool->lock);
    return worker->counted;
}

/* What an idle worker may do: all of them but as many as there are places lent. Returns: FALSE: it
 * is to end; @job: (out): NULL: nothing */
static gboolean
vadm_worker_look(VadmWorker *worker, VadmJob **job)
{
    VadmPool *pool = worker->pool;

    *job = NULL;
    if (vadm_pool_count_free(pool, worker->kind) == 0)
        return TRUE;
    if (pool->stopping || vadm_pool_has_surplus(pool, worker->kind))
        return FALSE;
    *job = vadm_worker_take(worker);
    return TRUE;
}

/* Under the lock: a worker takes a job, or ends. The job may be one that a priority worker was
 * woken for, and this one for another that still waits. */
static void
vadm_pool_pass_on(VadmPool *pool)
{
    if (pool->jobs[VADM_WORKER_PRIORITY].length > 0)
        vadm_cond_signal(&pool->work[VADM_WORKER_PRIORITY]);
    if (vadm_pool_queued(pool) > 0)
        vadm_cond_signal(&pool->work[VADM_WORKER_ORDINARY]);
    vadm_pool_grow(pool);
    vadm_pool_check_starved(pool);
}

static gpointer
vadm_worker_main(gpointer data)
{
    VadmWorker *worker = data;
    VadmPool *pool = worker->pool;

    vadm_mutex_lock(&pool->lock);
    while (vadm_worker_park(worker)) {
        VadmJob *job;

        vadm_worker_set_idle(worker, TRUE);
        if (!vadm_worker_look(worker, &job))
            break;
        if (job) {
            vadm_worker_set_idle(worker, FALSE);
            vadm_pool_pass_on(pool);
            vadm_worker_run(worker, job);
        } else {
            vadm_cond_wait(&pool->work[worker->kind], &pool->lock);
        }
    }
    vadm_worker_uncount(worker);
    if (worker->change)
        g_ptr_array_remove_fast(worker->change->workers, worker);
    vadm_pool_pass_on(pool);
    pool->threads--;
    vadm_cond_broadcast(&pool->ended);
    vadm_mutex_unlock(&pool->lock);
    g_free(worker);
    return NULL;
}

static void
vadm_thread_set_name(pthread_t thread, const char *prefix, const char *name)
{
    g_autofree char *full = g_strconcat(prefix, name, NULL);
    gsize length = strlen(full);

    if (length > VADM_THREAD_NAME_MAX) {
        length = VADM_THREAD_NAME_MAX;
        while (length > 0 && ((guchar)full[length] & 0xc0) == 0x80)
            length--;
    }
    full[length] = '\0';
    pthread_setname_np(thread, full);
}

/* The thread blocks all signals: they belong to the main loop. Returns: 0 or an errno. */
static int
vadm_worker_spawn(VadmWorker *worker)
{
    VadmPool *pool = worker->pool;
    gboolean priority = worker->kind == VADM_WORKER_PRIORITY;
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, old;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    rc = pool->create(&thread, &attr, vadm_worker_main, worker);
    /* The caller holds the lock, so the thread is still there to be named. */
    if (rc == 0)
        vadm_thread_set_name(thread, priority ? "prio-rpc-" : "rpc-", pool->name);
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc;
}

/* Under the lock. @change: (nullable): the worker is parked until it is committed. */
int
vadm_pool_start_worker(VadmPool *pool, VadmWorkerKind kind, VadmPoolChange *change)
{
    VadmWorker *worker = g_new0(VadmWorker, 1);
    int rc;

    worker->pool = pool;
    worker->kind = kind;
    worker->change = change;
    rc = vadm_worker_spawn(worker);
    if (rc != 0) {
        g_free(worker);
        return rc;
    }
    pool->threads++;
    if (change)
        g_ptr_array_add(change->workers, worker);
    else
        vadm_worker_count(worker);
    return 0;
}

void
vadm_pool_set_thread_error(const VadmPool *pool, int errnum, GError **error)
{
    g_set_error(error, VADM_ERROR, VADM_ERROR_NO_MEMORY,
                "cannot start a worker of server '%s' beside its %u threads: %s", pool->name,
                pool->threads, g_strerror(errnum));
}

/* Jobs that no worker is free for, priority workers for priority jobs included. */
gboolean
vadm_pool_wants_worker(const VadmPool *pool)
{
    guint priority = pool->jobs[VADM_WORKER_PRIORITY].length;
    guint helpers =
        vadm_pool_count_free(pool, VADM_WORKER_PRIORITY) + pool->starting[VADM_WORKER_PRIORITY];
    guint queued = pool->jobs[VADM_WORKER_ORDINARY].length;

    if (pool->stopping || pool->current[VADM_WORKER_ORDINARY] >= pool->limits.max)
        return FALSE;
    if (priority > helpers)
        queued += priority - helpers;
    return queued >
           vadm_pool_count_free(pool, VADM_WORKER_ORDINARY) + pool->starting[VADM_WORKER_ORDINARY];
}

/* Under the lock: one more ordinary worker if the jobs that wait want it. */
void
vadm_pool_grow(VadmPool *pool)
{
    gint64 now;
    int rc;

    if (!vadm_pool_wants_worker(pool))
        return;
    rc = vadm_pool_start_worker(pool, VADM_WORKER_ORDINARY, NULL);
    if (rc == 0)
        return;
    now = g_get_monotonic_time();
    if (pool->warned_at != 0 && now - pool->warned_at < VADM_POOL_WARN_INTERVAL)
        return;
    pool->warned_at = now;
    VADM_ERR("cannot start a worker of server '%s' (%u of at most %u run, %u jobs wait): %s",
             pool->name, pool->current[VADM_WORKER_ORDINARY], pool->limits.max,
             vadm_pool_queued(pool), g_strerror(rc));
}

/* Returns: 0 or an errno. */
static int
vadm_pool_start_all(VadmPool *pool)
{
    const guint32 wanted[] = {pool->limits.min, pool->limits.priority};
    VADM_LOCK_SCOPE(&pool->lock);

    for (VadmWorkerKind kind = 0; kind < VADM_WORKER_LAST; kind++) {
        while (pool->current[kind] < wanted[kind]) {
            int rc = vadm_pool_start_worker(pool, kind, NULL);
            if (rc != 0)
                return rc;
        }
    }
    return 0;
}

VadmPool *
vadm_pool_new_with(const char *name, const VadmPoolLimits *limits, VadmThreadCreate create,
                   GError **error)
{
    VadmPool *pool = g_new0(VadmPool, 1);
    int rc;

    pool->name = g_strdup(name);
    pool->create = create;
    pool->limits = *limits;
    pool->queue_since = g_get_monotonic_time();
    vadm_mutex_init(&pool->lock);
    vadm_cond_init(&pool->parked);
    vadm_cond_init(&pool->ended);
    for (guint kind = 0; kind < VADM_WORKER_LAST; kind++) {
        vadm_cond_init(&pool->work[kind]);
        g_queue_init(&pool->jobs[kind]);
    }
    rc = vadm_pool_start_all(pool);
    if (rc == 0)
        return pool;
    vadm_pool_set_thread_error(pool, rc, error);
    /* None of them has had a job, so they end at once. */
    vadm_pool_stop(pool, G_MAXINT64 / 2);
    vadm_pool_free(pool);
    return NULL;
}

VadmPool *
vadm_pool_new(const char *name, const VadmPoolLimits *limits, GError **error)
{
    return vadm_pool_new_with(name, limits, pthread_create, error);
}

static gboolean
vadm_pool_is_used(const VadmPool *pool)
{
    return pool->threads > 0 || pool->lent[VADM_WORKER_ORDINARY] > 0 ||
           pool->lent[VADM_WORKER_PRIORITY] > 0;
}

gboolean
vadm_pool_stop(VadmPool *pool, gint64 timeout_us)
{
    gint64 deadline = g_get_monotonic_time() + timeout_us;
    GQueue left = G_QUEUE_INIT;
    VadmJob *job;
    gboolean in_time = TRUE;
    gboolean ended;

    vadm_mutex_lock(&pool->lock);
    pool->stopping = TRUE;
    if (vadm_pool_queued(pool) > 0)
        pool->queue_since = g_get_monotonic_time();
    for (guint kind = 0; kind < VADM_WORKER_LAST; kind++) {
        while ((job = g_queue_pop_head(&pool->jobs[kind])))
            g_queue_push_tail(&left, job);
    }
    vadm_pool_wake_all(pool);
    vadm_mutex_unlock(&pool->lock);

    while ((job = g_queue_pop_head(&left)))
        vadm_job_destroy(job);

    vadm_mutex_lock(&pool->lock);
    while (vadm_pool_is_used(pool) && in_time)
        in_time = vadm_cond_wait_until(&pool->ended, &pool->lock, deadline);
    ended = !vadm_pool_is_used(pool);
    vadm_mutex_unlock(&pool->lock);
    return ended;
}

void
vadm_pool_free(VadmPool *pool)
{
    if (!pool)
        return;
    /* The last thread may still be inside its unlock; having the lock once says that it is
     * not. */
    vadm_mutex_lock(&pool->lock);
    g_assert(!vadm_pool_is_used(pool));
    vadm_mutex_unlock(&pool->lock);
    for (guint kind = 0; kind < VADM_WORKER_LAST; kind++)
        vadm_cond_clear(&pool->work[kind]);
    vadm_cond_clear(&pool->parked);
    vadm_cond_clear(&pool->ended);
    vadm_mutex_clear(&pool->lock);
    g_free(pool->name);
    g_free(pool);
}

/* Under the lock: for a job that has just been queued. One worker, not one of each kind: two would
 * race for the lock and the job, for one to wait again. Each free priority worker looks into the
 * queue before it waits again, so while they are not fewer than the jobs there they will do. */
static void
vadm_pool_wake_one(VadmPool *pool, VadmWorkerKind kind)
{
    if (pool->jobs[kind].length > vadm_pool_count_free(pool, kind))
        kind = VADM_WORKER_ORDINARY;
    vadm_cond_signal(&pool->work[kind]);
}

void
vadm_pool_push(VadmPool *pool, gboolean priority, VadmJobFunc run, gpointer data,
               GDestroyNotify destroy)
{
    VadmWorkerKind kind = priority ? VADM_WORKER_PRIORITY : VADM_WORKER_ORDINARY;
    VadmJob *job = g_new(VadmJob, 1);
    gboolean refused;

    *job = (VadmJob){run, data, destroy, g_get_monotonic_time()};
    vadm_mutex_lock(&pool->lock);
    refused = pool->stopping;
    if (!refused) {
        /* The time was taken before the lock: it may be that of a moment before the last change. */
        if (vadm_pool_queued(pool) == 0)
            pool->queue_since = MAX(pool->queue_since, job->queued_at);
        g_queue_push_tail(&pool->jobs[kind], job);
        vadm_pool_wake_one(pool, kind);
        vadm_pool_grow(pool);
        vadm_pool_check_starved(pool);
    }
    vadm_mutex_unlock(&pool->lock);
    if (refused)
        vadm_job_destroy(job);
}

/* Under the lock. (nullable) */
static VadmJob *
vadm_pool_steal_job(VadmPool *pool, gconstpointer data)
{
    for (guint kind = 0; kind < VADM_WORKER_LAST; kind++) {
        for (GList *link = pool->jobs[kind].head; link; link = link->next) {
            VadmJob *job = link->data;

            if (job->data != data)
                continue;
            g_queue_delete_link(&pool->jobs[kind], link);
            return job;
        }
    }
    return NULL;
}

gboolean
vadm_pool_cancel(VadmPool *pool, gconstpointer data)
{
    VadmJob *job;

    vadm_mutex_lock(&pool->lock);
    job = vadm_pool_steal_job(pool, data);
    if (job && vadm_pool_queued(pool) == 0)
        pool->queue_since = g_get_monotonic_time();
    vadm_mutex_unlock(&pool->lock);
    if (!job)
        return FALSE;
    vadm_job_destroy(job);
    return TRUE;
}

void
vadm_pool_get_stats(VadmPool *pool, VadmPoolStats *stats)
{
    VADM_LOCK_SCOPE(&pool->lock);

    *stats = (VadmPoolStats){
        .current = pool->current[VADM_WORKER_ORDINARY],
        .free = vadm_pool_count_free(pool, VADM_WORKER_ORDINARY),
        .priority = pool->current[VADM_WORKER_PRIORITY],
        .queue_depth = vadm_pool_queued(pool),
        .queue_since = pool->queue_since,
        .done = pool->done,
        .failed = pool->failed,
        .wait_time = pool->wait_time,
        .run_time = pool->run_time,
    };
}

guint32
vadm_pool_get_max(VadmPool *pool)
{
    VADM_LOCK_SCOPE(&pool->lock);
    return pool->limits.max;
}

void
vadm_pool_watch(VadmPool *pool, VadmPoolStarved starved, gpointer user)
{
    VADM_LOCK_SCOPE(&pool->lock);

    pool->starved = starved;
    pool->starved_user = user;
    vadm_pool_check_starved(pool);
}

gboolean
vadm_pool_rearm(VadmPool *pool)
{
    VADM_LOCK_SCOPE(&pool->lock);

    if (vadm_pool_queued(pool) > 0)
        return FALSE;
    pool->watched = FALSE;
    return TRUE;
}
