/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Logging: levels, filters and outputs with libvirt's grammar and message format
 * (docs/logging.md). A VadmLog owns the outputs and the counters; a VadmLogSet is one
 * immutable combination of level, filters and outputs, prepared in full before it is put in
 * force by one pointer swap. Each destination has one writer thread and a bounded queue, and
 * keeps them when the next set names it again, so a replacement neither loses, tears nor
 * doubles a message. Logging never blocks the caller: what a queue cannot take is dropped and
 * counted.
 */
#ifndef VADM_COMMON_LOG_H
#define VADM_COMMON_LOG_H

#include <glib.h>

typedef enum {
    VADM_LOG_DEBUG = 1,
    VADM_LOG_INFO = 2,
    VADM_LOG_WARN = 3,
    VADM_LOG_ERROR = 4
} VadmLogLevel;

#define VADM_LOG_LEVEL_LAST (VADM_LOG_ERROR + 1)

typedef struct _VadmLog VadmLog;
typedef struct _VadmLogSet VadmLogSet;

/* Where the outputs of a new set may open files. The guard is the set's: a file that several sets
 * name has one writer, and is reopened at a rotation with the guard, or without one, that the set
 * in force has; while that set does not name it, with the guard of who asked for it last. A set
 * that is made without a guard and whose outputs are those in force keeps them and their guard
 * as they are: who changes the filters alone does not lift it. */
typedef struct {
    const char *const *directories; /* NULL: anywhere (file, command line, admin RPC);
                                     * else only below one of these, walked component by
                                     * component without following symbolic links */
} VadmLogGuard;

/* Counters of one level since the log was made. A message is counted when it has left all
 * queues; with one output it is in exactly one of the three. */
typedef struct {
    guint64 emitted;  /* written by at least one output */
    guint64 filtered; /* held back by level, filters or the outputs' own levels */
    guint64 dropped;  /* lost by at least one output that was full, stopped or failed */
} VadmLogStats;

/**
 * vadm_log_new:
 * @ident: name of the program: syslog and journal identifier
 * @version: put into the two lines that precede the first message to each new output
 *
 * A log in which level 3 (warning) and the output "1:stderr" are in force.
 * Returns: (transfer full)
 */
VadmLog *vadm_log_new(const char *ident, const char *version);

/**
 * vadm_log_free:
 * @drain_us: how long to wait for the writers to empty their queues, microseconds. A stuck
 *     output is given up after that: its writer is left behind, its messages count as dropped
 *
 * No thread may log to @log afterwards.
 */
void vadm_log_free(VadmLog *log, gint64 drain_us);

/**
 * vadm_log_set_default: the log that VADM_DEBUG() and its siblings write to, NULL for none
 * (messages are discarded). Set once by main before threads start, and by tests.
 */
void vadm_log_set_default(VadmLog *log);
VadmLog *vadm_log_get_default(void);

/**
 * vadm_log_set_new:
 * @level: 1..4
 * @filters: grammar "LEVEL:MATCH ..."; NULL, "" or blanks: none
 * @outputs: grammar "LEVEL:KIND[:DATA] ..."; NULL, "" or blanks: @default_outputs
 * @default_outputs: what an empty @outputs means, e.g. "1:stderr"
 * @guard: (nullable): restricts where files may be opened
 * @error: VADM_ERROR_INVALID_VALUE with libvirt's text ("Invalid priority '9' for filter
 *     '9:bad'"), VADM_ERROR_DENIED for a path outside @guard, VADM_ERROR_SYSTEM when a file
 *     cannot be opened, VADM_ERROR_BUSY when too many writers exist (stuck ones included),
 *     VADM_ERROR_NO_MEMORY when a thread cannot be started
 *
 * Parses, opens files and starts writers: all that can fail. Nothing is in force yet.
 * Any thread; may take as long as open(2) of a regular file.
 * Returns: (transfer full) (nullable)
 */
VadmLogSet *vadm_log_set_new(VadmLog *log, int level, const char *filters, const char *outputs,
                             const char *default_outputs, const VadmLogGuard *guard,
                             GError **error);
VadmLogSet *vadm_log_set_ref(VadmLogSet *set);
void vadm_log_set_unref(VadmLogSet *set);

/**
 * vadm_log_set_discard: gives up a set that was never installed, and removes the files that
 * making it created. Consumes the reference. Any thread.
 */
void vadm_log_set_discard(VadmLogSet *set);

/**
 * vadm_log_install: puts @set in force for all threads at once; takes a reference of its own.
 * The set replaced lives on in whoever holds a reference (it can be installed again: undo);
 * destinations that no living set names are drained and closed by their writers. Any thread.
 */
void vadm_log_install(VadmLog *log, VadmLogSet *set);

/** vadm_log_get_set: Returns: (transfer full): the set in force. Any thread. */
VadmLogSet *vadm_log_get_set(VadmLog *log);

int vadm_log_set_get_level(const VadmLogSet *set);
/** Filters as "1:util 2:b": the level as a number, the match as given without its leading '+',
 * joined by single spaces, "" for none. Setting it again changes nothing. */
const char *vadm_log_set_get_filters(const VadmLogSet *set);
/** Outputs in the form that was understood: paths absolute, a destination that was named twice
 * once, joined by single spaces. */
const char *vadm_log_set_get_outputs(const VadmLogSet *set);
/**
 * vadm_log_normalise_filters, vadm_log_normalise_outputs: the form in which a set with these
 * texts would give them, without making one: nothing is opened. Two texts that mean the same have
 * the same one. Parameters and errors (VADM_ERROR_INVALID_VALUE) as of vadm_log_set_new().
 * Any thread. Returns: (transfer full) (nullable)
 */
char *vadm_log_normalise_filters(const char *filters, GError **error);
char *vadm_log_normalise_outputs(const char *outputs, const char *default_outputs, GError **error);
guint vadm_log_set_count_filters(const VadmLogSet *set);
guint vadm_log_set_count_outputs(const VadmLogSet *set);

/** vadm_log_reopen: each file output is reopened by its writer (after a log rotation), with the
 * guard of the set in force; a file that cannot be opened again, or is not allowed any more, keeps
 * the old one, with a message. Returns at once. */
void vadm_log_reopen(VadmLog *log);

/** vadm_log_get_stats: @level 1..4. Any thread. */
void vadm_log_get_stats(VadmLog *log, int level, VadmLogStats *stats);

/** vadm_log_flush: waits until all that was logged before is written, at most @timeout_us
 * microseconds; for tests and the end of the process. Returns: FALSE when time ran out. */
gboolean vadm_log_flush(VadmLog *log, gint64 timeout_us);

/**
 * vadm_log_message:
 * @category: source of the message, e.g. "rpc.conn": what filters match
 *
 * Any thread, never blocks for an output.
 */
void vadm_log_message(VadmLog *log, VadmLogLevel level, const char *category, const char *func,
                      int line, const char *format, ...) G_GNUC_PRINTF(6, 7);

/* VADM_LOG_CATEGORY is defined by each source file before it includes this header. */
#define VADM_LOG_AT(level, ...)                                                                    \
    vadm_log_message(vadm_log_get_default(), level, VADM_LOG_CATEGORY, __func__, __LINE__,         \
                     __VA_ARGS__)
#define VADM_DEBUG(...) VADM_LOG_AT(VADM_LOG_DEBUG, __VA_ARGS__)
#define VADM_INFO(...)  VADM_LOG_AT(VADM_LOG_INFO, __VA_ARGS__)
#define VADM_WARN(...)  VADM_LOG_AT(VADM_LOG_WARN, __VA_ARGS__)
#define VADM_ERR(...)   VADM_LOG_AT(VADM_LOG_ERROR, __VA_ARGS__)

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmLogSet, vadm_log_set_unref)

#endif
