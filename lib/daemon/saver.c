/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/saver.h"

#include <signal.h>

#include "common/error.h"
#include "common/lock.h"

typedef struct {
    void (*run)(gpointer data);
    gpointer data;
} VadmSaverJob;

struct _VadmSaver {
    pthread_t thread;
    VadmMutex lock;
    VadmCond wake;  /* there is a job, or stop */
    VadmCond ended; /* the thread is about to return */
    /* All under lock. */
    GArray *waiting; /* of VadmSaverJob */
    gboolean running, stop, has_ended;
};

/* Under lock. Returns: FALSE: there is no job any more. */
static gboolean
vadm_saver_next(VadmSaver *saver, VadmSaverJob *job)
{
    saver->running = FALSE;
    while (saver->waiting->len == 0 && !saver->stop)
        vadm_cond_wait(&saver->wake, &saver->lock);
    if (saver->waiting->len == 0)
        return FALSE;
    *job = g_array_index(saver->waiting, VadmSaverJob, 0);
    g_array_remove_index(saver->waiting, 0);
    saver->running = TRUE;
    return TRUE;
}

static void *
vadm_saver_main(void *data)
{
    VadmSaver *saver = data;
    VadmSaverJob job;

    vadm_mutex_lock(&saver->lock);
    while (vadm_saver_next(saver, &job)) {
        vadm_mutex_unlock(&saver->lock);
        job.run(job.data);
        vadm_mutex_lock(&saver->lock);
    }
    saver->has_ended = TRUE;
    vadm_cond_signal(&saver->ended);
    vadm_mutex_unlock(&saver->lock);
    return NULL;
}

static void
vadm_saver_free(VadmSaver *saver)
{
    g_array_unref(saver->waiting);
    vadm_cond_clear(&saver->wake);
    vadm_cond_clear(&saver->ended);
    vadm_mutex_clear(&saver->lock);
    g_free(saver);
}

VadmSaver *
vadm_saver_new(GError **error)
{
    VadmSaver *saver = g_new0(VadmSaver, 1);
    sigset_t all, before;
    int rc;

    vadm_mutex_init(&saver->lock);
    vadm_cond_init(&saver->wake);
    vadm_cond_init(&saver->ended);
    saver->waiting = g_array_new(FALSE, FALSE, sizeof(VadmSaverJob));
    /* signals are the main thread's */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&saver->thread, NULL, vadm_saver_main, saver);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_NO_MEMORY,
                    "cannot start the thread that stores the configuration: %s", g_strerror(rc));
        vadm_saver_free(saver);
        return NULL;
    }
    pthread_setname_np(saver->thread, "saver");
    return saver;
}

void
vadm_saver_submit(VadmSaver *saver, void (*run)(gpointer data), gpointer data)
{
    VadmSaverJob job = {run, data};
    VADM_LOCK_SCOPE(&saver->lock);

    g_assert(!saver->has_ended);
    g_array_append_val(saver->waiting, job);
    vadm_cond_signal(&saver->wake);
}

gboolean
vadm_saver_is_idle(VadmSaver *saver)
{
    VADM_LOCK_SCOPE(&saver->lock);

    return !saver->running && saver->waiting->len == 0;
}

gboolean
vadm_saver_stop(VadmSaver *saver, gint64 timeout_us)
{
    gint64 deadline = g_get_monotonic_time() + timeout_us;
    gboolean ended;

    vadm_mutex_lock(&saver->lock);
    saver->stop = TRUE;
    vadm_cond_signal(&saver->wake);
    while (!saver->has_ended && vadm_cond_wait_until(&saver->ended, &saver->lock, deadline))
        ;
    ended = saver->has_ended;
    vadm_mutex_unlock(&saver->lock);
    if (!ended)
        return FALSE;
    pthread_join(saver->thread, NULL);
    vadm_saver_free(saver);
    return TRUE;
}
