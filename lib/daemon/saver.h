/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The thread in which transactions of the main loop and of the snmp thread wait for the disk: an
 * fsync may take seconds. Jobs run one after the other, in the order in which they came.
 */
#ifndef VADM_DAEMON_SAVER_H
#define VADM_DAEMON_SAVER_H

#include <glib.h>

typedef struct _VadmSaver VadmSaver;

/** vadm_saver_new: @error: VADM_ERROR_NO_MEMORY: no thread. Returns: (transfer full) */
VadmSaver *vadm_saver_new(GError **error);

/** vadm_saver_submit: runs @run with @data, once, also when the saver is about to stop. Any
 * thread, never blocks. */
void vadm_saver_submit(VadmSaver *saver, void (*run)(gpointer data), gpointer data);

/** vadm_saver_is_idle: nothing runs or waits. Who finds it busy must queue behind, or would
 * overtake what was asked for before. Any thread. */
gboolean vadm_saver_is_idle(VadmSaver *saver);

/** vadm_saver_stop: waits until all jobs have run and ends the thread; consumes @saver. Nobody
 * but the jobs may submit any more. @timeout_us: microseconds. Returns: FALSE: the disk hangs; the
 * thread and all it may touch must be left alone. */
gboolean vadm_saver_stop(VadmSaver *saver, gint64 timeout_us);

#endif
