/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A sink is one destination: a bounded queue and the one thread that writes. Only that thread
 * ever waits for the destination; everybody else takes the queue's short lock.
 *
 * Life: acquired by the sets that name it (users), retired when the last of them is gone,
 * revived if a new set names it while it still drains, ended when retired and empty. Ending and
 * reviving are decided under the sink's lock, so there is at most one writer for a destination
 * and its messages stay whole and in order.
 */
#include "config.h"

#include "common/log-sink-private.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"

static void
vadm_log_sink_use_fd(VadmLogSink *sink, int fd, gboolean checked)
{
    struct stat st = {0};
    gboolean known = fstat(fd, &st) == 0;
    VADM_LOCK_SCOPE(&sink->lock);

    sink->fd = fd;
    sink->regular = known && S_ISREG(st.st_mode);
    sink->checked = checked;
    sink->opened = (VadmLogFileId){st.st_dev, st.st_ino};
}

static VadmLogSink *
vadm_log_sink_new(VadmLog *log, VadmLogKind kind, const char *key, const char *data)
{
    VadmLogSink *sink = g_new0(VadmLogSink, 1);

    atomic_init(&sink->refs, 1);
    sink->log = vadm_log_ref(log);
    sink->kind = kind;
    sink->key = g_strdup(key);
    sink->data = g_strdup(data);
    vadm_mutex_init(&sink->lock);
    vadm_cond_init(&sink->wake);
    vadm_cond_init(&sink->progress);
    g_queue_init(&sink->queue);
    sink->users = 1;
    sink->fd = -1;
    if (kind == VADM_LOG_STDERR)
        vadm_log_sink_use_fd(sink, STDERR_FILENO, FALSE);
    return sink;
}

VadmLogSink *
vadm_log_sink_ref(VadmLogSink *sink)
{
    atomic_fetch_add(&sink->refs, 1);
    return sink;
}

void
vadm_log_sink_unref(VadmLogSink *sink)
{
    if (atomic_fetch_sub(&sink->refs, 1) != 1)
        return;
    if (sink->kind == VADM_LOG_FILE && sink->fd >= 0)
        close(sink->fd);
    vadm_cond_clear(&sink->progress);
    vadm_cond_clear(&sink->wake);
    vadm_mutex_clear(&sink->lock);
    vadm_log_unref(sink->log);
    g_strfreev(sink->guard);
    g_free(sink->key);
    g_free(sink->data);
    g_free(sink);
}

/* ---- what the writer does with what is in the queue ---- */

static void
vadm_log_sink_handle_record(VadmLogSink *sink, VadmLogRecord *record)
{
    gboolean written = FALSE;

    if (!atomic_load(&sink->abandoned))
        written = vadm_log_sink_write(sink, record);
    atomic_store(written ? &record->written : &record->lost, TRUE);
    vadm_log_record_unref(record);
}

static char **
vadm_log_sink_dup_guard(VadmLogSink *sink)
{
    VADM_LOCK_SCOPE(&sink->lock);

    return g_strdupv(sink->guard);
}

static void
vadm_log_sink_handle_reopen(VadmLogSink *sink)
{
    g_auto(GStrv) guard = vadm_log_sink_dup_guard(sink);
    g_autoptr(GError) error = NULL;
    int fd = vadm_log_file_open(sink->data, (const char *const *)guard, NULL, &error);

    if (fd < 0) {
        vadm_log_message(sink->log, VADM_LOG_ERROR, "common.log", __func__, __LINE__,
                         "%s: going on with the file that is open", error->message);
        return;
    }
    close(sink->fd);
    sink->torn = FALSE;
    vadm_log_sink_use_fd(sink, fd, guard != NULL);
}

/* ---- the writer ---- */

/* Waits for something to do. FALSE: nothing is left and nobody will bring more. */
static gboolean
vadm_log_sink_next(VadmLogSink *sink, VadmLogRecord **record)
{
    VADM_LOCK_SCOPE(&sink->lock);

    while (sink->queue.length == 0 && sink->users > 0 && !sink->stopping)
        vadm_cond_wait(&sink->wake, &sink->lock);
    if (sink->queue.length == 0) {
        sink->ended = TRUE;
        return FALSE;
    }
    *record = g_queue_pop_head(&sink->queue);
    if (*record)
        sink->octets -= (*record)->length;
    return TRUE;
}

static void
vadm_log_sink_finish(VadmLogSink *sink, guint count)
{
    VADM_LOCK_SCOPE(&sink->lock);

    sink->finished += count;
    vadm_cond_broadcast(&sink->progress);
}

/* The log must outlive this: the caller holds a reference. */
static void
vadm_log_sink_unpublish(VadmLog *log, VadmLogSink *sink)
{
    VADM_LOCK_SCOPE(&log->registry);

    if (g_hash_table_lookup(log->sinks, sink->key) == sink)
        g_hash_table_remove(log->sinks, sink->key);
}

static void
vadm_log_sink_count_ended(VadmLog *log)
{
    VADM_LOCK_SCOPE(&log->registry);

    log->writers--;
    vadm_cond_broadcast(&log->ended);
}

static void *
vadm_log_sink_run(void *data)
{
    VadmLogSink *sink = data;
    VadmLog *log = vadm_log_ref(sink->log);
    VadmLogRecord *record;

    while (vadm_log_sink_next(sink, &record)) {
        if (record)
            vadm_log_sink_handle_record(sink, record);
        else
            vadm_log_sink_handle_reopen(sink);
        vadm_log_sink_finish(sink, 1);
    }
    vadm_log_sink_unpublish(log, sink);
    vadm_log_sink_close(sink);
    vadm_log_sink_unref(sink);
    vadm_log_sink_count_ended(log);
    vadm_log_unref(log);
    return NULL;
}

/* Detached: nobody ever waits for a thread that may hang in write(2). It takes no signals; a
 * closed pipe is EPIPE to it even where SIGPIPE is not ignored. */
static int
vadm_log_sink_start_thread(VadmLogSink *sink)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t block, old;
    int rc;

    sigfillset(&block);
    sigdelset(&block, SIGSEGV);
    sigdelset(&block, SIGBUS);
    sigdelset(&block, SIGFPE);
    sigdelset(&block, SIGILL);
    sigdelset(&block, SIGABRT);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &block, &old);
    rc = pthread_create(&thread, &attr, vadm_log_sink_run, sink);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return rc;
}

/* Counts the writer; FALSE with @error when there are too many. */
static gboolean
vadm_log_sink_count_writer(VadmLog *log, const char *key, GError **error)
{
    VADM_LOCK_SCOPE(&log->registry);

    if (log->writers >= VADM_LOG_WRITERS_MAX) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_BUSY,
                    "log output '%s': %u outputs are open or still closing, at most %d may be", key,
                    log->writers, VADM_LOG_WRITERS_MAX);
        return FALSE;
    }
    log->writers++;
    return TRUE;
}

static gboolean
vadm_log_sink_start(VadmLogSink *sink, GError **error)
{
    int rc;

    if (!vadm_log_sink_count_writer(sink->log, sink->key, error))
        return FALSE;
    vadm_log_sink_ref(sink);
    rc = vadm_log_sink_start_thread(sink);
    if (rc == 0)
        return TRUE;
    vadm_log_sink_count_ended(sink->log);
    vadm_log_sink_unref(sink);
    g_set_error(error, VADM_ERROR, VADM_ERROR_NO_MEMORY,
                "log output '%s': the writer thread cannot be started: %s", sink->key,
                g_strerror(rc));
    return FALSE;
}

/* ---- acquiring and releasing ---- */

gboolean
vadm_log_sink_share(VadmLogSink *sink)
{
    VADM_LOCK_SCOPE(&sink->lock);

    if (sink->ended || sink->stopping)
        return FALSE;
    sink->users++;
    atomic_store(&sink->give_up_at, 0);
    vadm_log_sink_ref(sink);
    return TRUE;
}

static VadmLogSink *
vadm_log_sink_find_locked(VadmLog *log, const char *key)
{
    VadmLogSink *sink = g_hash_table_lookup(log->sinks, key);

    return sink && vadm_log_sink_share(sink) ? sink : NULL;
}

static VadmLogSink *
vadm_log_sink_find(VadmLog *log, const char *key)
{
    VADM_LOCK_SCOPE(&log->registry);

    return vadm_log_sink_find_locked(log, key);
}

/* Makes @fresh findable, or finds that somebody was faster: the other one then. */
static VadmLogSink *
vadm_log_sink_publish(VadmLog *log, VadmLogSink *fresh)
{
    VADM_LOCK_SCOPE(&log->registry);
    VadmLogSink *other = vadm_log_sink_find_locked(log, fresh->key);

    if (other)
        return other;
    g_hash_table_replace(log->sinks, fresh->key, fresh);
    return fresh;
}

void
vadm_log_sink_set_guard(VadmLogSink *sink, const char *const *directories)
{
    VADM_LOCK_SCOPE(&sink->lock);

    if (sink->kind != VADM_LOG_FILE)
        return;
    g_strfreev(sink->guard);
    sink->guard = g_strdupv((char **)directories);
}

/* A manager must not get at a file elsewhere because the administrator, who may open it, has it
 * open under a path that led there once. */
static gboolean
vadm_log_sink_check(VadmLogSink *sink, const char *const *directories, GError **error)
{
    VadmLogFileId opened;
    gboolean checked;

    vadm_mutex_lock(&sink->lock);
    opened = sink->opened;
    checked = sink->checked;
    vadm_mutex_unlock(&sink->lock);
    return vadm_log_file_check(sink->data, directories, checked ? NULL : &opened, error);
}

static const char *const *
vadm_log_guard_directories(VadmLogKind kind, const VadmLogGuard *guard)
{
    return kind == VADM_LOG_FILE && guard ? guard->directories : NULL;
}

static VadmLogSink *
vadm_log_sink_make(VadmLog *log, VadmLogKind kind, const char *key, const char *data,
                   const char *const *directories, VadmLogCreated **created, GError **error)
{
    VadmLogSink *sink = vadm_log_sink_new(log, kind, key, data);
    VadmLogSink *published;

    if (kind == VADM_LOG_FILE) {
        int fd = vadm_log_file_open(data, directories, created, error);
        if (fd < 0) {
            vadm_log_sink_unref(sink);
            return NULL;
        }
        vadm_log_sink_use_fd(sink, fd, directories != NULL);
    }
    if (!vadm_log_sink_start(sink, error)) {
        if (*created)
            vadm_log_created_remove(*created);
        g_clear_pointer(created, vadm_log_created_free);
        vadm_log_sink_unref(sink);
        return NULL;
    }
    published = vadm_log_sink_publish(log, sink);
    if (published != sink)
        vadm_log_sink_release(sink);
    return published;
}

VadmLogSink *
vadm_log_sink_acquire(VadmLog *log, VadmLogKind kind, const char *key, const char *data,
                      const VadmLogGuard *guard, VadmLogCreated **created, GError **error)
{
    const char *const *directories = vadm_log_guard_directories(kind, guard);
    VadmLogSink *sink = vadm_log_sink_find(log, key);

    *created = NULL;
    if (!sink)
        sink = vadm_log_sink_make(log, kind, key, data, directories, created, error);
    else if (directories && !vadm_log_sink_check(sink, directories, error))
        g_clear_pointer(&sink, vadm_log_sink_release);
    /* Until a set is in force that says otherwise: see vadm_log_reopen(). */
    if (sink && directories)
        vadm_log_sink_set_guard(sink, directories);
    return sink;
}

void
vadm_log_sink_release(VadmLogSink *sink)
{
    vadm_mutex_lock(&sink->lock);
    if (--sink->users == 0 && atomic_load(&sink->give_up_at) == 0)
        atomic_store(&sink->give_up_at, g_get_monotonic_time() + VADM_LOG_RETIRE_US);
    vadm_cond_signal(&sink->wake);
    vadm_mutex_unlock(&sink->lock);
    vadm_log_sink_unref(sink);
}

/* TRUE: the caller is the only user, and no other can come: the file of a sink that is revived
 * must not be one that was just removed. */
static gboolean
vadm_log_sink_stop_if_last(VadmLogSink *sink)
{
    VADM_LOCK_SCOPE(&sink->lock);

    if (sink->users != 1)
        return FALSE;
    sink->stopping = TRUE;
    return TRUE;
}

void
vadm_log_sink_discard(VadmLogSink *sink, const VadmLogCreated *created)
{
    if (created && vadm_log_sink_stop_if_last(sink))
        vadm_log_created_remove(created);
    vadm_log_sink_release(sink);
}

/* ---- what others ask of it ---- */

gboolean
vadm_log_sink_push(VadmLogSink *sink, VadmLogRecord *record)
{
    VADM_LOCK_SCOPE(&sink->lock);

    if (sink->ended || sink->stopping || sink->queue.length >= VADM_LOG_QUEUE_MESSAGES ||
        sink->octets + record->length > VADM_LOG_QUEUE_OCTETS)
        return FALSE;
    g_queue_push_tail(&sink->queue, vadm_log_record_ref(record));
    sink->octets += record->length;
    sink->pushed++;
    vadm_cond_signal(&sink->wake);
    return TRUE;
}

/* One waiting reopen at the tail is enough, so that a stuck output cannot pile them up. */
void
vadm_log_sink_reopen(VadmLogSink *sink)
{
    VADM_LOCK_SCOPE(&sink->lock);

    if (sink->kind != VADM_LOG_FILE || sink->ended ||
        (sink->queue.length > 0 && !g_queue_peek_tail(&sink->queue)))
        return;
    g_queue_push_tail(&sink->queue, NULL);
    sink->pushed++;
    vadm_cond_signal(&sink->wake);
}

gboolean
vadm_log_sink_flush(VadmLogSink *sink, gint64 deadline)
{
    VADM_LOCK_SCOPE(&sink->lock);
    guint64 target = sink->pushed;

    while (sink->finished < target)
        if (!vadm_cond_wait_until(&sink->progress, &sink->lock, deadline))
            return sink->finished >= target;
    return TRUE;
}

void
vadm_log_sink_stop(VadmLogSink *sink)
{
    VADM_LOCK_SCOPE(&sink->lock);

    sink->stopping = TRUE;
    vadm_cond_signal(&sink->wake);
}

static GList *
vadm_log_sink_steal_queue(VadmLogSink *sink)
{
    VADM_LOCK_SCOPE(&sink->lock);
    GList *items = sink->queue.head;

    g_queue_init(&sink->queue);
    sink->octets = 0;
    atomic_store(&sink->abandoned, TRUE);
    vadm_cond_signal(&sink->wake);
    return items;
}

void
vadm_log_sink_abandon(VadmLogSink *sink)
{
    GList *items = vadm_log_sink_steal_queue(sink);
    guint count = g_list_length(items);

    for (GList *item = items; item; item = item->next) {
        VadmLogRecord *record = item->data;
        if (!record)
            continue;
        atomic_store(&record->lost, TRUE);
        vadm_log_record_unref(record);
    }
    g_list_free(items);
    vadm_log_sink_finish(sink, count);
}
