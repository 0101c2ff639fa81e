/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What log.c, log-set.c, log-sink.c, log-write.c and log-file.c share; nobody else includes it.
 *
 * Locks, in the order in which they may be taken: VadmLog.registry, VadmLogSink.lock.
 * VadmLog.swap is taken alone. A logging thread takes swap and the locks of its sinks, never
 * registry.
 */
#ifndef VADM_COMMON_LOG_PRIVATE_H
#define VADM_COMMON_LOG_PRIVATE_H

#include <stdatomic.h>
#include <sys/types.h>

#include "common/lock.h"
#include "common/log.h"

/* Bounds; docs/logging.md tells the operator about each. */
#define VADM_LOG_QUEUE_MESSAGES 8192
#define VADM_LOG_QUEUE_OCTETS   (4 * 1024 * 1024)
#define VADM_LOG_TEXT_MAX       65536 /* octets of one message; the rest is cut and said so */
#define VADM_LOG_FILTERS_MAX    1024
#define VADM_LOG_OUTPUTS_MAX    64
#define VADM_LOG_WRITERS_MAX    256 /* a stuck one stays: keeps changes from piling them up */
#define VADM_LOG_RETIRE_US      (5 * G_USEC_PER_SEC)

typedef struct _VadmLogSink VadmLogSink;

/* ---- one message, formatted once, shared by the queues that it waits in ---- */

typedef struct {
    atomic_int refs;
    atomic_bool written, lost; /* by at least one output */
    VadmLog *log;              /* whose counters it ends in; NULL: is not counted */
    VadmLogLevel level;
    gint64 when; /* microseconds since the epoch */
    pid_t tid;
    int line;
    gsize length; /* of the whole line, newline included */
    gsize body;   /* where "TID: LEVEL : ..." begins */
    gsize func;   /* where the function's name begins; of func_length octets */
    gsize func_length;
    gsize text; /* where the text begins; it ends before the newline */
    char *data; /* the line, then the category */
} VadmLogRecord;

/* @func: (nullable): the record has no FUNC:LINE then. */
VadmLogRecord *vadm_log_record_new(VadmLog *log, VadmLogLevel level, const char *category,
                                   const char *func, int line, gint64 when, pid_t tid,
                                   const char *text);
VadmLogRecord *vadm_log_record_ref(VadmLogRecord *record);
/* The last one adds the record to the counters of its log. */
void vadm_log_record_unref(VadmLogRecord *record);

/* ---- files ---- */

typedef struct {
    dev_t dev;
    ino_t ino;
} VadmLogFileId;

/* A file that was not there before: what is needed to take it away again, and no other. */
typedef struct {
    int dirfd;
    char *name;
    VadmLogFileId id;
} VadmLogCreated;

/**
 * vadm_log_file_open:
 * @path: absolute
 * @directories: (nullable): see VadmLogGuard
 * @created: (out) (nullable) (transfer full): set when the file was created, else NULL
 *
 * Opens for appending, never blocks on a FIFO, never becomes the controlling terminal.
 * Returns: a descriptor, or -1 with @error (VADM_ERROR_SYSTEM, VADM_ERROR_DENIED)
 */
int vadm_log_file_open(const char *path, const char *const *directories, VadmLogCreated **created,
                       GError **error);
/* Whether vadm_log_file_open() would be allowed, and would open the file @id (nullable: any);
 * opens and creates nothing. */
gboolean vadm_log_file_check(const char *path, const char *const *directories,
                             const VadmLogFileId *id, GError **error);
/* Removes the file if it is still the one that was created, and still empty. Whatever else has come
 * into its place meanwhile stays. */
void vadm_log_created_remove(const VadmLogCreated *created);
void vadm_log_created_free(VadmLogCreated *created);

/* ---- sinks: one destination with its queue and writer ---- */

typedef enum {
    VADM_LOG_STDERR,
    VADM_LOG_JOURNALD,
    VADM_LOG_SYSLOG,
    VADM_LOG_FILE,
    VADM_LOG_KIND_LAST
} VadmLogKind;

/**
 * vadm_log_sink_acquire:
 * @key: the destination as text: "stderr", "journald", "syslog:IDENT", "file:PATH"
 * @data: IDENT or PATH, else ""
 * @created: (out): as vadm_log_file_open()
 *
 * The sink of this destination: the living one, also one that is closing, or a new one. With a
 * guard the living one must be allowed, too, and where its file was opened without a guard, the
 * path must lead to that very file.
 * Returns: (nullable): counted as used until vadm_log_sink_release()
 */
VadmLogSink *vadm_log_sink_acquire(VadmLog *log, VadmLogKind kind, const char *key,
                                   const char *data, const VadmLogGuard *guard,
                                   VadmLogCreated **created, GError **error);
/* One more use, as it is; FALSE: it has ended or is about to. Until vadm_log_sink_release(). */
gboolean vadm_log_sink_share(VadmLogSink *sink);
/* How its file is opened at a rotation. @directories: (nullable). */
void vadm_log_sink_set_guard(VadmLogSink *sink, const char *const *directories);
/* The last user's release lets the writer drain and close. Never blocks. */
void vadm_log_sink_release(VadmLogSink *sink);
/* As release; removes @created (nullable) when nobody else uses the sink. May touch files. */
void vadm_log_sink_discard(VadmLogSink *sink, const VadmLogCreated *created);
/* FALSE: the queue is full or closed, and the record is not in it. Never blocks. */
gboolean vadm_log_sink_push(VadmLogSink *sink, VadmLogRecord *record);
/* In order: what was pushed before goes to the old file. */
void vadm_log_sink_reopen(VadmLogSink *sink);
gboolean vadm_log_sink_flush(VadmLogSink *sink, gint64 deadline);
/* Takes nothing more, drains, closes, whoever still uses it. */
void vadm_log_sink_stop(VadmLogSink *sink);
/* Takes the queue away from a writer that may be stuck for ever. */
void vadm_log_sink_abandon(VadmLogSink *sink);
VadmLogSink *vadm_log_sink_ref(VadmLogSink *sink);
void vadm_log_sink_unref(VadmLogSink *sink);

/* ---- sets ---- */

typedef struct {
    int level;
    char *match; /* without the leading '+' */
    GPatternSpec *pattern;
} VadmLogFilter;

typedef struct {
    int level;
    VadmLogSink *sink;
    VadmLogCreated *created; /* until the set is installed */
} VadmLogOutput;

struct _VadmLogSet {
    atomic_int refs;
    VadmLog *log;
    int level;
    int outputs_floor; /* lowest level that some output takes; VADM_LOG_LEVEL_LAST: none */
    int floor;         /* lowest level that can pass at all */
    GArray *filters;   /* of VadmLogFilter */
    GArray *outputs;   /* of VadmLogOutput */
    char **guard;      /* how their files are opened at a rotation; NULL: without a guard */
    char *filters_text, *outputs_text;
};

/* The outputs' sinks are guarded as this set, which is in force, says. */
void vadm_log_set_impose_guard(const VadmLogSet *set);
/* A set without outputs, for want of any other. */
VadmLogSet *vadm_log_set_new_empty(VadmLog *log, int level);
gboolean vadm_log_set_wants(const VadmLogSet *set, VadmLogLevel level, const char *category);
void vadm_log_set_deliver(const VadmLogSet *set, VadmLogRecord *record);
/* It was in force: what it created stays. */
void vadm_log_set_keep_files(VadmLogSet *set);

/* ---- the log ---- */

struct _VadmLog {
    atomic_int refs; /* the owner, each set, each sink */
    char *ident, *version;
    atomic_int floor; /* of the set in force: lets a filtered message end at once */
    atomic_ullong emitted[VADM_LOG_LEVEL_LAST];
    atomic_ullong filtered[VADM_LOG_LEVEL_LAST];
    atomic_ullong dropped[VADM_LOG_LEVEL_LAST];
    VadmMutex swap;
    VadmLogSet *current; /* under swap; NULL after vadm_log_free() */
    VadmMutex registry;
    VadmCond ended;    /* with registry: a writer has ended */
    GHashTable *sinks; /* under registry: key -> VadmLogSink, both the sink's */
    guint writers;     /* under registry: threads that have not ended */
};

VadmLog *vadm_log_ref(VadmLog *log);
void vadm_log_unref(VadmLog *log);

#endif
