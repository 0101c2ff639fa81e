/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pthread mutexes and conditions under a thin cover. GLib's own are futexes that
 * ThreadSanitizer does not see, so it would report races that are none. For the same reason
 * reference counts are counted by g_atomic_int_inc() and g_atomic_int_dec_and_test(), which are
 * compiled into the caller, not by the functions of gatomicrefcount.
 */
#ifndef VADM_COMMON_LOCK_H
#define VADM_COMMON_LOCK_H

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <time.h>

typedef pthread_mutex_t VadmMutex;
typedef pthread_cond_t VadmCond;

#define VADM_MUTEX_INIT PTHREAD_MUTEX_INITIALIZER

static inline void
vadm_mutex_init(VadmMutex *mutex)
{
    int rc = pthread_mutex_init(mutex, NULL);
    g_assert(rc == 0);
}

static inline void
vadm_mutex_clear(VadmMutex *mutex)
{
    pthread_mutex_destroy(mutex);
}

static inline void
vadm_mutex_lock(VadmMutex *mutex)
{
    int rc = pthread_mutex_lock(mutex);
    g_assert(rc == 0);
}

static inline void
vadm_mutex_unlock(VadmMutex *mutex)
{
    int rc = pthread_mutex_unlock(mutex);
    g_assert(rc == 0);
}

/* Conditions run on the monotonic clock, so that a change of the date does not wake or hang
 * anybody. */
static inline void
vadm_cond_init(VadmCond *cond)
{
    pthread_condattr_t attr;
    int rc;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    rc = pthread_cond_init(cond, &attr);
    g_assert(rc == 0);
    pthread_condattr_destroy(&attr);
}

static inline void
vadm_cond_clear(VadmCond *cond)
{
    pthread_cond_destroy(cond);
}

static inline void
vadm_cond_wait(VadmCond *cond, VadmMutex *mutex)
{
    pthread_cond_wait(cond, mutex);
}

/* @deadline: g_get_monotonic_time() scale, microseconds. FALSE when it has passed. */
static inline gboolean
vadm_cond_wait_until(VadmCond *cond, VadmMutex *mutex, gint64 deadline)
{
    struct timespec ts;

    ts.tv_sec = (time_t)(deadline / G_USEC_PER_SEC);
    ts.tv_nsec = (long)(deadline % G_USEC_PER_SEC) * 1000;
    return pthread_cond_timedwait(cond, mutex, &ts) != ETIMEDOUT;
}

static inline void
vadm_cond_signal(VadmCond *cond)
{
    pthread_cond_signal(cond);
}

static inline void
vadm_cond_broadcast(VadmCond *cond)
{
    pthread_cond_broadcast(cond);
}

/* VADM_LOCK_SCOPE (&obj->lock); holds the mutex to the end of the block. */
typedef VadmMutex *VadmMutexScope;

static inline void
vadm_mutex_scope_end(VadmMutexScope *scope)
{
    if (*scope)
        vadm_mutex_unlock(*scope);
}

static inline VadmMutexScope
vadm_mutex_scope_begin(VadmMutex *mutex)
{
    vadm_mutex_lock(mutex);
    return mutex;
}

#define VADM_LOCK_SCOPE(mutex)                                                                     \
    __attribute__((cleanup(vadm_mutex_scope_end), unused)) VadmMutexScope G_PASTE(                 \
        vadm_scope_, __LINE__) = vadm_mutex_scope_begin(mutex)

#endif
