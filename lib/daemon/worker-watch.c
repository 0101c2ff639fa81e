/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/worker-watch.h"

#include "daemon/daemon-private.h"
#include "daemon/server-private.h"

#define VADM_LOG_CATEGORY "daemon.workers"
#include "common/log.h"

struct _VadmWorkerWatch {
    VadmServer *server;
    VadmMailbox *mailbox;
    GSource *source; /* its ready time is when to look, -1: not at all; main thread */
};

/* The queue must have been the other way round for a time in one piece before the alarm changes,
 * so it cannot change before that time has passed from its last change, or from now. */
gboolean
vadm_worker_watch_judge(gboolean exhausted, const VadmPoolStats *pool, guint32 max, gint64 now,
                        gint64 *next)
{
    gboolean waiting = pool->queue_depth > 0;
    gint64 due = pool->queue_since + VADM_WORKER_WATCH_US;

    if (exhausted == waiting) {
        *next = waiting ? now + VADM_WORKER_WATCH_US : -1;
        return exhausted;
    }
    *next = due;
    if (now < due)
        return exhausted;
    *next = -1;
    if (exhausted)
        return FALSE;
    if (max > 0 && pool->current >= max && pool->free == 0) {
        *next = now + VADM_WORKER_WATCH_US;
        return TRUE;
    }
    *next = now + VADM_WORKER_WATCH_LOOK_US;
    return FALSE;
}

static void
vadm_worker_watch_log(const VadmServer *server, gboolean exhausted, const VadmPoolStats *stats)
{
    if (exhausted)
        VADM_WARN("all %u workers of server '%s' are busy, and %u jobs wait", stats->current,
                  server->config->name, stats->queue_depth);
    else
        VADM_INFO("no job of server '%s' waits for a worker any more", server->config->name);
}

/* Returns: when to look again, or -1 */
static gint64
vadm_worker_watch_update(VadmServer *server)
{
    VadmPoolStats stats;
    gboolean before, exhausted;
    gint64 next;

    vadm_mutex_lock(&server->lock);
    vadm_pool_get_stats(server->pool, &stats);
    before = server->workers_exhausted;
    exhausted = vadm_worker_watch_judge(before, &stats, server->limits.workers_max,
                                        g_get_monotonic_time(), &next);
    server->workers_exhausted = exhausted;
    if (exhausted != before)
        vadm_server_tell_workers(server, &stats);
    vadm_mutex_unlock(&server->lock);
    if (exhausted != before)
        vadm_worker_watch_log(server, exhausted, &stats);
    return next;
}

/* Jobs may have come between looking and rearming: then the pool will not call, and it is looked
 * once more. */
static gboolean
vadm_worker_watch_look(GSource *source, GSourceFunc callback, gpointer user)
{
    VadmWorkerWatch *watch = user;
    gint64 next = vadm_worker_watch_update(watch->server);

    (void)callback;
    if (next < 0 && !vadm_pool_rearm(watch->server->pool))
        next = 0;
    g_source_set_ready_time(source, next);
    return G_SOURCE_CONTINUE;
}

/* Jobs have just begun to wait, so nothing is to be seen yet. Looking now might find that they
 * wait no more and let the pool call again: as often as jobs come, if all workers are mostly busy.
 */
static void
vadm_worker_watch_arm(gpointer data)
{
    VadmWorkerWatch *watch = data;

    g_source_set_ready_time(watch->source, g_get_monotonic_time() + VADM_WORKER_WATCH_US);
}

/* Under the pool's lock. */
static void
vadm_worker_watch_starved(gpointer user)
{
    VadmWorkerWatch *watch = user;

    vadm_mailbox_post(watch->mailbox, vadm_worker_watch_arm, watch, NULL);
}

/* A source of our own, since timeouts of GLib start when they are made. */
VadmWorkerWatch *
vadm_worker_watch_new(VadmServer *server, GMainContext *context)
{
    static GSourceFuncs funcs = {.dispatch = vadm_worker_watch_look};
    VadmWorkerWatch *watch = g_new0(VadmWorkerWatch, 1);

    watch->server = server;
    watch->mailbox = vadm_mailbox_ref(vadm_daemon_get_mailbox(server->daemon));
    watch->source = g_source_new(&funcs, sizeof(GSource));
    g_source_set_callback(watch->source, NULL, watch, NULL);
    g_source_attach(watch->source, context);
    vadm_pool_watch(server->pool, vadm_worker_watch_starved, watch);
    return watch;
}

gint64
vadm_worker_watch_due(const VadmWorkerWatch *watch)
{
    return g_source_get_ready_time(watch->source);
}

void
vadm_worker_watch_free(VadmWorkerWatch *watch)
{
    if (!watch)
        return;
    g_source_destroy(watch->source);
    g_source_unref(watch->source);
    vadm_mailbox_unref(watch->mailbox);
    g_free(watch);
}
