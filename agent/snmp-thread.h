/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The snmp thread: the only thread that calls net-snmp, from init_agent() to snmp_shutdown().
 * It serves one VadmSource or several as an AgentX subagent and keeps coming back to the master
 * agent for as long as it lives. A stopped or dead master stalls this thread and nothing else:
 * nobody waits for it, but vadm_snmp_thread_stop() for the time that its caller names.
 *
 * net-snmp's state is the process's, so there is one such thread at a time, and one start in
 * the life of a process.
 */
#ifndef VADM_AGENT_SNMP_THREAD_H
#define VADM_AGENT_SNMP_THREAD_H

#include "agent/settings.h"
#include "common/error.h"
#include "common/source.h"

typedef struct _VadmSnmpThread VadmSnmpThread;

/* Strings are copied by vadm_snmp_thread_start(). */
typedef struct {
    const char *master;   /* "unix:/var/agentx/master" or "tcp:127.0.0.1:705": validated by the
                           * configuration (loopback, port < 1024); numeric addresses only */
    const char *context;  /* SNMP context of the first daemon; NULL or "": the default one */
    gboolean writable;    /* FALSE: every SET is notWritable */
    guint retry_interval; /* seconds between attempts to reach the master, and between pings */
} VadmSnmpConfig;

/* How many there can be: each may have a notification on its way to the master agent. */
#define VADM_SNMP_DAEMONS_MAX 64u

/* One daemon. What it points to must live until vadm_snmp_thread_stop() has returned TRUE, but for
 * the name, which is copied. */
typedef struct {
    VadmSource *source;
    VadmSettings *settings; /* its own: lock, last error, counters of notifications */
    const char *name;       /* lvaDaemonName and SNMP context: 1 to 32 octets, no other's name */
} VadmSnmpDaemon;

/**
 * vadm_snmp_thread_start:
 * @daemons: (array length=n_daemons): the first one is served in @config->context, and each in the
 *     context of its name as well; a single one that has a @config->context, in that one only
 * @n_daemons: 1 to VADM_SNMP_DAEMONS_MAX
 * @error: VADM_ERROR_CONFIG (@config->master is not of the two forms, names of @daemons are not as
 *     they must be, or there are too many), VADM_ERROR_SYSTEM, VADM_ERROR_NO_MEMORY (no thread, no
 *     descriptor), VADM_ERROR_INTERNAL (started before)
 *
 * Starts the thread and returns at once: whether there is a master agent shows later, and in
 * the log. All signals are blocked in the thread; SIGPIPE must be ignored by the process.
 * Main thread.
 * Returns: (transfer full) (nullable)
 */
VadmSnmpThread *vadm_snmp_thread_start(const VadmSnmpConfig *config, const VadmSnmpDaemon *daemons,
                                       guint n_daemons, GError **error);

/** vadm_snmp_thread_is_connected: whether there is an open session with the master agent in which
 * at least one context is served. Any thread, never blocks. */
gboolean vadm_snmp_thread_is_connected(VadmSnmpThread *thread);

/** vadm_snmp_thread_has_ended: whether it has ended by itself, as net-snmp did not start: there is
 * no SNMP, and the log has said why. Any thread, never blocks. */
gboolean vadm_snmp_thread_has_ended(VadmSnmpThread *thread);

/**
 * vadm_snmp_thread_get_silence: wakes the thread, which shows that it lives as soon as it gets to
 * its loop. A master agent that is slow, stopped or dead does not keep it from that for more than a
 * few seconds.
 *
 * Any thread, never blocks. Returns: microseconds since the last sign of life; 0: it has ended by
 * itself
 */
gint64 vadm_snmp_thread_get_silence(VadmSnmpThread *thread);

/**
 * vadm_snmp_thread_stop:
 * @timeout_us: how long to wait, microseconds
 *
 * Asks the thread to close its session and end, settling an open transaction (a prepared one is
 * aborted, a committed one finished). Main thread.
 * Returns: TRUE: the thread has ended and @thread is freed. FALSE: it hangs in net-snmp; it is
 * left behind with everything it may touch (@thread, sources, settings), which must not
 * be freed before the process exits; use _exit() or quick return from main.
 */
gboolean vadm_snmp_thread_stop(VadmSnmpThread *thread, gint64 timeout_us);

#endif
