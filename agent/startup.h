/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the programs have in common before their main loop runs: options, the log, and what is told
 * to the service manager.
 */
#ifndef VADM_AGENT_STARTUP_H
#define VADM_AGENT_STARTUP_H

#include "agent/snmp-thread.h"
#include "daemon/config.h"

/* How long the end of a process waits for the snmp thread, which a stopped master agent blocks,
 * microseconds. */
#define VADM_SNMP_STOP_TIMEOUT (1500 * G_TIME_SPAN_MILLISECOND)

/* Exit status of the programs. */
enum { VADM_STATUS_OK = 0, VADM_STATUS_FAILED = 1, VADM_STATUS_USAGE = 2 };

typedef struct {
    const char *program; /* "virtadmd" */
    const char *summary; /* of --help */
    const char *default_config;
    const GOptionEntry *more; /* (nullable): options that the other program has not */

    char *config_file; /* NULL: built-in defaults */
    char *log_level;   /* (nullable) */
    gboolean check_config, print_config, version;
} VadmOptions;

/**
 * vadm_options_read: also finds the default file.
 * @status: (out): of the process, when there is nothing left to do: the options were wrong, or
 *     asked for the version, and all is said
 *
 * Returns: whether to go on
 */
gboolean vadm_options_read(VadmOptions *options, int argc, char **argv, int *status);
void vadm_options_clear(VadmOptions *options);

/** vadm_startup_fail: tells people why the program does not start. Returns: @status */
int vadm_startup_fail(const char *program, int status, const GError *error);
/** vadm_startup_print_warnings: @warnings: of strings */
void vadm_startup_print_warnings(const char *program, const GPtrArray *warnings);
/** vadm_startup_print_config: what --print-config prints; @comment: its first lines. Returns: the
 * status of the process */
int vadm_startup_print_config(const VadmConfig *config, GHashTable *origins, const char *comment);
/**
 * vadm_startup_make_log: opens the log files, as the start would, and removes those that this made.
 * @status: (out): of the process, when there is nothing left to do: they cannot be opened, or only
 *     a check was asked for, and all is said
 *
 * Returns: (transfer full) (nullable): the default log; NULL: nothing is left to do
 */
VadmLog *vadm_startup_make_log(const VadmOptions *options, VadmConfig *config, GPtrArray *warnings,
                               int *status);
/** vadm_startup_install_log: puts the logging of @config in force, before everything that may want
 * to say something, and logs @warnings, of what was read when there was no log. */
gboolean vadm_startup_install_log(VadmLog *log, VadmConfig *config, GPtrArray *warnings,
                                  GError **error);
/** vadm_startup_run: tells everybody that @program runs, and runs @loop; meanwhile the service
 * manager gets signs of life while there are some of @snmp (nullable: SNMP is switched off). */
void vadm_startup_run(const char *program, GMainLoop *loop, VadmSnmpThread *snmp);
/** vadm_startup_abort: the start has failed: says why, and ends the process as it is. Threads run
 * and sockets may be open: the kernel cleans up faster than we could. */
G_NORETURN void vadm_startup_abort(const char *program, VadmLog *log, const GError *error);
/** vadm_startup_free_log: writes what is in the queues, at most @drain_us microseconds. */
void vadm_startup_free_log(VadmLog *log, gint64 drain_us);
/** vadm_startup_tell_stopping: the service manager is to wait for the end for @seconds, and what an
 * end takes, whatever its own time limit. */
void vadm_startup_tell_stopping(guint seconds);
/** vadm_startup_tell_manager: @state: as of sd_notify(3). */
void vadm_startup_tell_manager(const char *state);

#endif
