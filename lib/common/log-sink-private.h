/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between log-sink.c, which has the life of a sink and its queue, and log-write.c. */
#ifndef VADM_COMMON_LOG_SINK_PRIVATE_H
#define VADM_COMMON_LOG_SINK_PRIVATE_H

#include "common/log-private.h"

struct _VadmLogSink {
    atomic_int refs; /* users, the writer, and who is just looking */
    VadmLog *log;
    VadmLogKind kind;
    char *key;
    char *data; /* path or ident */

    VadmMutex lock;
    VadmCond wake;     /* the writer: something to do */
    VadmCond progress; /* flush: something was done */
    GQueue queue;      /* of VadmLogRecord; NULL: reopen the file */
    gsize octets;      /* in queue */
    guint64 pushed, finished;
    guint users;
    gboolean stopping, ended;
    char **guard;     /* directories: how the file is opened at a rotation; NULL: without a guard */
    gboolean checked; /* what is open was opened with a guard */
    VadmLogFileId opened; /* what is open, for files */

    atomic_bool abandoned;   /* what is queued is lost */
    atomic_llong give_up_at; /* monotonic time; 0: retries for ever */

    /* the writer's own */
    int fd;
    gboolean regular; /* a regular file always takes what is written: no poll */
    gboolean greeted;
    gboolean torn; /* a line was begun and could not be finished */
};

/* The writer's thread only. */

/** vadm_log_sink_write: waits for the destination, until the sink is given up. Before the first
 * record it says who writes. Returns: whether @record was written whole */
gboolean vadm_log_sink_write(VadmLogSink *sink, const VadmLogRecord *record);
/** vadm_log_sink_close: there is no other record. */
void vadm_log_sink_close(VadmLogSink *sink);

#endif
