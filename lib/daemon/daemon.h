/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon: its servers, the configuration in force, the main loop's mailbox, the resolver.
 * Knows nothing of SNMP.
 */
#ifndef VADM_DAEMON_DAEMON_H
#define VADM_DAEMON_DAEMON_H

#include "common/mailbox.h"
#include "daemon/events.h"
#include "daemon/server.h"
#include "daemon/store.h"

/* What the daemon asks of the program that it runs in. Main thread. */
typedef struct {
    /* The program that serves @server's clients, by its configuration: lib/daemon knows the
     * relay, but not lib/admin, which stands beside it. (transfer full) */
    VadmProgram *(*make_program)(VadmServer *server, gpointer user);
    void (*quit)(gpointer user); /* DAEMON_SHUTDOWN, or the timeout of SET_DAEMON_TIMEOUT */
    gpointer user;
} VadmDaemonHooks;

/**
 * vadm_daemon_new:
 * @config: the configuration to start with; its log_set is installed in @log
 * @context: (nullable): the main loop's; NULL: default
 * @error: VADM_ERROR_NO_MEMORY, VADM_ERROR_SYSTEM
 *
 * Makes servers and starts worker pools; no socket is open yet. Main thread.
 */
VadmDaemon *vadm_daemon_new(VadmConfig *config, VadmLog *log, GMainContext *context,
                            const VadmDaemonHooks *hooks, GError **error);

/** vadm_daemon_check_files: whether the files of TLS could be used now, which a start reads: @error
 * as that of vadm_tls_new(), with the server. For a look at the configuration alone. Any thread. */
gboolean vadm_daemon_check_files(const VadmConfig *config, GError **error);

/** vadm_daemon_listen: binds all sockets, or none: @error names the socket and the rule (in
 * use, exists and is no socket, path too long, directory missing), or the server whose upstream
 * turns out to be one of them. Main thread. */
gboolean vadm_daemon_listen(VadmDaemon *daemon, GError **error);

/**
 * vadm_daemon_shutdown:
 * @done: called from the main loop when the servers are down: accepting has stopped, jobs that
 *     ran have ended or shutdown_timeout has passed, replies are flushed, clients closed (reason
 *     shutdown), sockets unlinked. @clean: FALSE when workers are still busy: the daemon must
 *     not be freed then.
 */
void vadm_daemon_shutdown(VadmDaemon *daemon, void (*done)(gboolean clean, gpointer user),
                          gpointer user);
/** vadm_daemon_stop_saving: ends the thread that stores the configuration, when all that was
 * asked of it is done; nobody may change the configuration any more. @timeout_us: microseconds.
 * Returns: FALSE: the disk hangs: the daemon must not be freed then. Main thread, after the
 * shutdown. */
gboolean vadm_daemon_stop_saving(VadmDaemon *daemon, gint64 timeout_us);
/** vadm_daemon_free: (nullable): waits for the disk where vadm_daemon_stop_saving() has not. */
void vadm_daemon_free(VadmDaemon *daemon);

/* Any thread. */
VadmServer *vadm_daemon_find_server(VadmDaemon *daemon, const char *name);
/** vadm_daemon_server: by lvaServerIndex: that one, or the first behind it. (nullable) */
VadmServer *vadm_daemon_server(VadmDaemon *daemon, VadmMatch match, guint32 index);
VadmConfig *vadm_daemon_get_config(VadmDaemon *daemon); /* (transfer full): the one in force */
/* For txn.c, reload.c, rollback.c and the agent's source. */
VadmStore *vadm_daemon_get_store(VadmDaemon *daemon);
VadmLog *vadm_daemon_get_log(VadmDaemon *daemon);
VadmMailbox *vadm_daemon_get_mailbox(VadmDaemon *daemon); /* runs things in the main thread */
GMainContext *vadm_daemon_get_context(VadmDaemon *daemon);
gint64 vadm_daemon_get_start_time(VadmDaemon *daemon);  /* us since the epoch */
VadmEvents *vadm_daemon_get_events(VadmDaemon *daemon); /* to subscribe to, and to tell */
/** vadm_daemon_begin_event: @event is now of @kind and this moment, with the daemon's row (name,
 * uri, state), no other rows, and strings that are borrowed for the life of the daemon. */
void vadm_daemon_begin_event(VadmDaemon *daemon, VadmEventKind kind, VadmEvent *event);
/** vadm_daemon_get_uri: the admin URI, e.g. "libvirtd:///system?socket=/run/virtadm/..." */
const char *vadm_daemon_get_uri(VadmDaemon *daemon);

/** vadm_daemon_set_timeout: quit @seconds after the last client of any server has gone; 0: never.
 * Any thread. */
void vadm_daemon_set_timeout(VadmDaemon *daemon, guint32 seconds);
/** vadm_daemon_post_quit: asks for the end of the program, from any thread, after replies
 * posted before have been flushed. */
void vadm_daemon_post_quit(VadmDaemon *daemon);

/** vadm_daemon_reload:
 * @path: (nullable): the configuration file
 *
 * SIGHUP: reads the file, merges and puts the result in force as one transaction of origin
 * reload, and reopens log files. A bad file changes nothing and is logged. While another
 * transaction is under way it is tried again by timer. Main thread. */
void vadm_daemon_reload(VadmDaemon *daemon, const char *path);

#endif
