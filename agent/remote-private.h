/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Between the files of the remote source. The main thread connects, refreshes (remote-refresh.c),
 * compares (remote-compare.c) and sets (remote-set.c); any thread takes a reference of the newest
 * snapshot (source-remote.c).
 */
#ifndef VADM_AGENT_REMOTE_PRIVATE_H
#define VADM_AGENT_REMOTE_PRIVATE_H

#include "admin/session.h"
#include "agent/source-remote.h"
#include "common/lock.h"
#include "daemon/events.h"
#include "daemon/limit.h"

/* In flight at once: one less than max_client_requests of a libvirt daemon, which logs a warning
 * each time a client reaches it. A daemon without worker pools (virtlogd, virtlockd) takes one. */
#define VADM_REMOTE_IN_FLIGHT 4u
/* Nothing older than so many refresh intervals is served. */
#define VADM_REMOTE_STALE_INTERVALS 3
/* For an answer is waited so long, or so many refresh intervals where that is longer. */
#define VADM_REMOTE_SILENCE_MIN_MS    30000u
#define VADM_REMOTE_SILENCE_INTERVALS 15
/* The caller gives up after 0.8 s (agent/set.h); what is left is for reading again, and the way
 * back. */
#define VADM_REMOTE_COMMIT_US (G_USEC_PER_SEC * 7 / 10)
/* To look whether the daemon has what we gave it. */
#define VADM_REMOTE_LOOK_US (G_USEC_PER_SEC * 3 / 10)

/* A client as it was first seen; what is learnt later makes a new one. Shared by the snapshots. */
typedef struct {
    gint refs;         /* atomic */
    VadmClientRow row; /* without age */
    /* main thread only: */
    gboolean settled; /* its identity will not be fetched again */
    guint tries;      /* how often it was asked for */
    gint64 asked;     /* monotonic time of the last of them; 0: never */
} VadmRemoteClient;

typedef struct {
    VadmServerRow row;  /* row.name is ours, never NULL, and printable */
    gboolean listed;    /* its clients could be read: none is none */
    GPtrArray *clients; /* of VadmRemoteClient, in the order of their index */
} VadmRemoteServer;

/* What one refresh has found: immutable once it is published. */
typedef struct {
    gint refs;          /* atomic */
    gint64 taken;       /* monotonic time when the refresh began, microseconds */
    gboolean reachable; /* FALSE: the connection is lost */
    char *version;      /* NULL: not known yet */
    guint32 generation; /* lvaConfigGeneration, and what belongs to it */
    gint64 last_change; /* microseconds since the epoch */
    VadmOrigin last_origin;
    char *raw_filters; /* as the daemon gave them */
    char *filters;     /* as lvaLogFilters shows them */
    guint32
        log_level; /* 1..5, by the first filter that matches everything; 0 without raw_filters */
    char *outputs; /* the texts are NULL where they could not be read */
    GPtrArray *servers; /* of VadmRemoteServer, in the order of their index */
} VadmRemoteSnapshot;

/* What reading it once has cost. */
typedef struct {
    guint calls, identities; /* how many of the calls asked who a client is */
    gint64 took;             /* microseconds */
} VadmRemoteCost;

typedef struct _VadmRemoteSource VadmRemoteSource;
struct _VadmRemoteSource {
    VadmSource base;
    char *name, *uri, *path;
    gint64 interval;      /* microseconds */
    guint silence_min_ms; /* VADM_REMOTE_SILENCE_MIN_MS, but for tests */
    gint64 commit_us;     /* VADM_REMOTE_COMMIT_US, but for tests */
    gint64 look_us;       /* VADM_REMOTE_LOOK_US, but for tests */
    char **log_directories;
    VadmEvents events;
    VadmMailbox *inbox; /* of the main thread: how the snmp thread's SETs get there */

    VadmMutex lock;
    VadmRemoteSnapshot *snapshot; /* under lock; never NULL */

    VadmRemoteCost cost;              /* main thread: of the last time */
    struct _VadmRemoteLink *link;     /* main thread: remote-link.c */
    struct _VadmRemoteReader *reader; /* main thread: remote-refresh.c */
    struct _VadmRemoteMemory *memory; /* main thread: what outlives a snapshot: remote-memory.c */
    struct _VadmRemoteWriter *writer; /* remote-set.c */
};

/* remote-snapshot.c: any thread. What is new has one reference and nothing in it, and is altered
 * by nobody once it is published. */
VadmRemoteClient *vadm_remote_client_new(void);
VadmRemoteSnapshot *vadm_remote_snapshot_new(void);
VadmRemoteSnapshot *vadm_remote_snapshot_ref(VadmRemoteSnapshot *snapshot);
void vadm_remote_snapshot_unref(VadmRemoteSnapshot *snapshot);
/** vadm_remote_snapshot_copy: to be altered before it is published; clients are shared. */
VadmRemoteSnapshot *vadm_remote_snapshot_copy(const VadmRemoteSnapshot *snapshot);
VadmRemoteServer *vadm_remote_server_new(const char *name);
VadmRemoteClient *vadm_remote_client_ref(VadmRemoteClient *client);
void vadm_remote_client_unref(VadmRemoteClient *client);
/** vadm_remote_find_server, _client: (transfer none) (nullable) */
VadmRemoteServer *vadm_remote_find_server(const VadmRemoteSnapshot *snapshot, VadmMatch match,
                                          guint32 index);
VadmRemoteClient *vadm_remote_find_client(const VadmRemoteServer *server, VadmMatch match,
                                          guint32 index);

/** vadm_remote_get_snapshot: Returns: (transfer full): the newest. Any thread. */
VadmRemoteSnapshot *vadm_remote_get_snapshot(VadmRemoteSource *source);
/** vadm_remote_is_fresh: reachable, and not older than VADM_REMOTE_STALE_INTERVALS. Any thread. */
gboolean vadm_remote_is_fresh(const VadmRemoteSource *source, const VadmRemoteSnapshot *snapshot,
                              gint64 now);

/** vadm_remote_fill_daemon, _config: rows of @snapshot, whose texts they borrow.
 * @fresh: vadm_remote_is_fresh(). Any thread. */
void vadm_remote_fill_daemon(const VadmRemoteSource *source, const VadmRemoteSnapshot *snapshot,
                             gboolean fresh, VadmDaemonRow *row);
void vadm_remote_fill_config(const VadmRemoteSnapshot *snapshot, gboolean fresh, gint64 now,
                             VadmConfigRow *row);

/* remote-link.c: main thread, as all below. */

/** vadm_remote_link_new: begins to connect when the main loop runs. */
struct _VadmRemoteLink *vadm_remote_link_new(VadmRemoteSource *source);
/** vadm_remote_link_close: as vadm_source_remote_close(). Calls that wait for an answer get
 * VADM_ERROR_NO_CONNECT. */
void vadm_remote_link_close(struct _VadmRemoteLink *link, guint timeout_ms,
                            void (*closed)(gpointer user), gpointer user);
/** vadm_remote_link_free: calls that wait for an answer get VADM_ERROR_NO_CONNECT first. */
void vadm_remote_link_free(struct _VadmRemoteLink *link);
/** vadm_remote_is_connected: calls would be sent now; vadm_remote_is_fresh() tells whether what was
 * read last may still be served. */
gboolean vadm_remote_is_connected(const VadmRemoteSource *source);
/** vadm_remote_set_max_in_flight: how many calls the daemon takes at once; 1 until that is known.
 */
void vadm_remote_set_max_in_flight(VadmRemoteSource *source, guint max);
guint vadm_remote_get_max_in_flight(const VadmRemoteSource *source);
/** vadm_remote_is_read: the daemon was read in full just now. */
void vadm_remote_is_read(VadmRemoteSource *source);

/** vadm_remote_call: as vadm_session_call(), of the admin program; without a connection @done gets
 * VADM_ERROR_NO_CONNECT, from the main loop. */
void vadm_remote_call(VadmRemoteSource *source, gint32 procedure, xdrproc_t encode,
                      gconstpointer args, guint timeout_ms, VadmReplyFn done, gpointer user);
/** vadm_remote_drop: the state of the daemon is unknown: drops the connection, connects anew and
 * reads everything again.
 * @origin: of what is found to be another then: the daemon was not started anew, as far as we know
 * @why: for the log */
void vadm_remote_drop(VadmRemoteSource *source, VadmOrigin origin, const char *why);

/* remote-refresh.c */
struct _VadmRemoteReader *vadm_remote_reader_new(VadmRemoteSource *source);
void vadm_remote_reader_free(struct _VadmRemoteReader *reader);
/** vadm_remote_reader_start: a connection has opened: reads now, and every interval from now on. */
void vadm_remote_reader_start(VadmRemoteSource *source);
/** vadm_remote_reader_stop: there is no connection any more. */
void vadm_remote_reader_stop(VadmRemoteSource *source);
/** vadm_remote_reader_hold: no refresh until it is released, but vadm_remote_read_again() goes on:
 * a refresh would find a half of what is being set, and take it for somebody else's change. */
void vadm_remote_reader_hold(VadmRemoteSource *source);
void vadm_remote_reader_release(VadmRemoteSource *source);

/**
 * vadm_remote_read_again: remote-refresh.c
 * @origin: of a change of the configuration that is found
 * @done: called once, from the main loop; @fresh: FALSE: it could not be read
 *
 * Reads servers, their pools and limits, filters and outputs again (not the clients, unless a
 * refresh is long due), and publishes a snapshot with them. A refresh that is under way begins anew
 * after it.
 */
void vadm_remote_read_again(VadmRemoteSource *source, VadmOrigin origin, guint timeout_ms,
                            void (*done)(gboolean fresh, gpointer user), gpointer user);

/**
 * vadm_remote_publish: remote-compare.c
 * @snapshot: (transfer full): new, filled but for generation, last_change, last_origin, the states
 *     and counters of the limits and clients_high_percent of its servers, which this puts in
 * @origin: of what has changed in the configuration since the one before
 *
 * Compares with the snapshot before, puts it in the place of that one, and tells the events that
 * the difference means. A change by ourselves (VADM_ORIGIN_SNMP) is told by
 * vadm_remote_tell_change() when it is settled.
 */
void vadm_remote_publish(VadmRemoteSource *source, VadmRemoteSnapshot *snapshot, VadmOrigin origin);
/** vadm_remote_lost: publishes that the connection is lost. Idempotent. */
void vadm_remote_lost(VadmRemoteSource *source);
/** vadm_remote_expect_priority: @server's priority workers were set to @wanted: until as many are
 * seen (they come and go one by one), another number is no change by others. */
void vadm_remote_expect_priority(VadmRemoteSource *source, guint32 server, guint32 wanted);
/** vadm_remote_tell_change: a change by ourselves is settled: tells the event, of the snapshot that
 * is in force. */
void vadm_remote_tell_change(VadmRemoteSource *source);
/** vadm_remote_forget_change: what was counted was undone, which is not told (docs/mib.md,
 * lvaConfigChanged). */
void vadm_remote_forget_change(VadmRemoteSource *source);
/** vadm_remote_set_high_percent: lvaServerClientsHighPercent of @server, which is the agent's own
 * and takes part in the alarm at once. */
void vadm_remote_set_high_percent(VadmRemoteSource *source, guint32 server, guint32 percent);

/* remote-set.c */
struct _VadmRemoteWriter *vadm_remote_writer_new(VadmRemoteSource *source);
void vadm_remote_writer_free(struct _VadmRemoteWriter *writer);
void vadm_remote_prepare(VadmSource *base, const VadmChange *changes, guint n_changes,
                         VadmOrigin origin, gint64 deadline, VadmDone done, gpointer user);
void vadm_remote_commit(VadmTxn *txn, VadmDone done, gpointer user);
void vadm_remote_undo(VadmTxn *txn, VadmDone done, gpointer user);
void vadm_remote_finish(VadmTxn *txn);
void vadm_remote_abort(VadmTxn *txn);

/* remote-log.c: filters of a daemon that can neither tell nor set its level: the first one that
 * matches everything ("N:*") acts as it. Any thread. */

/** vadm_remote_log_show: @raw: as the daemon gave them; @level: (out): 1..4, or 5 without one.
 * Returns: (transfer full): without those that match everything, and with one star less on each
 * side of every match, which the daemon adds */
char *vadm_remote_log_show(const char *raw, guint32 *level);
/**
 * vadm_remote_log_compose:
 * @raw: what the daemon has now, as it gave them
 * @filters: (nullable): wanted lvaLogFilters; NULL: as they are. If they are those that are shown,
 *     everything keeps its place; else the level's filter is put behind them, so that all of them
 *     act, unless they have one that matches everything themselves: that is the level then
 * @level: wanted lvaLogLevel 1..5; 0: as it is
 * @error: VADM_ERROR_INVALID_VALUE with libvirt's text; VADM_ERROR_INCONSISTENT: both were given,
 *     and @filters has one that matches everything
 *
 * Returns: (transfer full) (nullable): what to send to the daemon, "" for none. With NULL and 0
 * it is what makes the daemon show @raw; another result is equal to that one if and only if
 * nothing changes
 */
char *vadm_remote_log_compose(const char *raw, const char *filters, guint32 level, GError **error);
/** vadm_remote_log_predict: Returns: (transfer full): what the daemon will show when @sent, which
 * vadm_remote_log_compose() has made, is set */
char *vadm_remote_log_predict(const char *sent);

/* remote-guard.c */
/**
 * vadm_remote_guard_outputs:
 * @outputs: as they were given (a relative path would have become an absolute one of ours) and
 *     found valid by vadm_log_normalise_outputs()
 * @directories: (nullable): none
 * @error: VADM_ERROR_DENIED naming the path and what is wrong with it; VADM_ERROR_SYSTEM: it
 *     cannot be looked at
 *
 * The daemon opens the files, and follows symbolic links: a file is allowed only below one of
 * @directories, if every directory from the root to the file is owned by root and not writable by
 * group or others, none is reached by a symbolic link, and the file does not exist yet or is a
 * regular file of root's with one link. Where we, like the daemon, are not root, our own user may
 * be the owner as well. Other kinds of outputs open no file. Main thread.
 */
gboolean vadm_remote_guard_outputs(const char *outputs, const char *const *directories,
                                   GError **error);

/* remote-memory.c: main thread */
struct _VadmRemoteMemory *vadm_remote_memory_new(const VadmRemoteConfig *config);
void vadm_remote_memory_free(struct _VadmRemoteMemory *memory);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmRemoteSnapshot, vadm_remote_snapshot_unref)

#endif
