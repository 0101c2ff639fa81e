/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Watches whether a server's workers are exhausted (docs/mib.md, "Thresholds"): that depends on
 * how long jobs have been waiting, so somebody has to look again. Nobody does while the pool keeps
 * up: the pool calls when jobs begin to wait for a worker, and a timer of the main loop runs from
 * then until none waits and the alarm is clear.
 */
#ifndef VADM_DAEMON_WORKER_WATCH_H
#define VADM_DAEMON_WORKER_WATCH_H

#include "daemon/server.h"

/* How long jobs must have been waiting before the alarm is raised, and how long none before it is
 * cleared. Microseconds. */
#define VADM_WORKER_WATCH_US (1 * (gint64)G_USEC_PER_SEC)
/* How often it is looked whether all workers are busy when jobs have been waiting for so long. */
#define VADM_WORKER_WATCH_LOOK_US ((gint64)G_USEC_PER_SEC / 10)

typedef struct _VadmWorkerWatch VadmWorkerWatch;

/** vadm_worker_watch_new: begins to watch @server's pool. Once for each server. Main thread, like
 * all here. */
VadmWorkerWatch *vadm_worker_watch_new(VadmServer *server, GMainContext *context);
/** vadm_worker_watch_free: (nullable): when the pool's threads are gone and the daemon's mailbox is
 * closed: else the pool may still call. */
void vadm_worker_watch_free(VadmWorkerWatch *watch);

/** vadm_worker_watch_due: for tests: when it will look, monotonic time; -1: it does not. */
gint64 vadm_worker_watch_due(const VadmWorkerWatch *watch);

/**
 * vadm_worker_watch_judge:
 * @exhausted: whether the alarm is raised
 * @pool: the pool's numbers
 * @max: the maximum of ordinary workers in force; 0: never exhausted
 * @now: monotonic time, microseconds
 * @next: (out): when to look again; -1: not before jobs wait again
 *
 * Pure; any thread. Returns: whether the alarm is to be raised now
 */
gboolean vadm_worker_watch_judge(gboolean exhausted, const VadmPoolStats *pool, guint32 max,
                                 gint64 now, gint64 *next);

#endif
