/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtadmd: the daemon with the subagent linked in. Options, signals, and the order in which
 * things start and stop; everything else is elsewhere.
 */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <gio/gio.h>
#include <glib-unix.h>

#include <config.h>
#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#define VADM_LOG_CATEGORY "virtadmd"
#include "admin/admin-program.h"
#include "agent/descriptors.h"
#include "agent/log-options.h"
#include "agent/snmp-thread.h"
#include "agent/source-local.h"
#include "daemon/daemon.h"
#include "daemon/relay.h"

#define DEFAULT_CONFIG SYSCONFDIR "/virtadm/virtadmd.conf"

/* How long the end of the process waits for the snmp thread (a stopped master agent blocks it),
 * for what is being stored, and for the writers of the log, microseconds. */
#define SNMP_STOP_TIMEOUT (1500 * G_TIME_SPAN_MILLISECOND)
#define SAVE_STOP_TIMEOUT (1500 * G_TIME_SPAN_MILLISECOND)
#define LOG_DRAIN_TIMEOUT G_TIME_SPAN_SECOND

enum { STATUS_OK = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

typedef struct {
    char *config_file; /* NULL: the default file, or built-in defaults without it */
    gboolean check_config, print_config, version;
    char *log_level;
} Options;

typedef struct {
    Options options;
    GMainLoop *loop;
    VadmLog *log;
    VadmDaemon *daemon;
    VadmSource *source;
    VadmSettings *settings;
    VadmSnmpThread *snmp;
    gboolean stopping, clean;
} Program;

static void
program_notify(const char *state)
{
#ifdef HAVE_SYSTEMD
    sd_notify(0, state);
#else
    (void)state;
#endif
}

static void
program_stopped(gboolean clean, gpointer user)
{
    Program *program = user;

    program->clean = clean;
    g_main_loop_quit(program->loop);
}

static void
program_quit(gpointer user)
{
    Program *program = user;

    if (program->stopping)
        return;
    program->stopping = TRUE;
    program_notify("STOPPING=1");
    vadm_daemon_shutdown(program->daemon, program_stopped, program);
}

static gboolean
program_terminate(gpointer user)
{
    VADM_INFO("asked to end by a signal");
    program_quit(user);
    return G_SOURCE_CONTINUE;
}

static gboolean
program_hangup(gpointer user)
{
    Program *program = user;

    if (program->stopping)
        return G_SOURCE_CONTINUE;
    vadm_daemon_reload(program->daemon, program->options.config_file);
    return G_SOURCE_CONTINUE;
}

static VadmProgram *
program_make(VadmServer *server, gpointer user)
{
    (void)user;
    if (vadm_server_get_config(server)->program == VADM_PROGRAM_ADMIN)
        return vadm_admin_program_new(server);
    return vadm_relay_new(server);
}

/* Logging starts before everything that may want to say something. */
static gboolean
program_start_log(Program *program, VadmConfig *config, GError **error)
{
    g_autoptr(VadmLogSet) set = vadm_log_options_open(program->log, config, error);

    if (!set)
        return FALSE;
    vadm_log_install(program->log, set);
    config->log_set = g_steal_pointer(&set);
    return TRUE;
}

static gboolean
program_start_snmp(Program *program, const VadmConfig *config, GError **error)
{
    VadmSnmpConfig snmp = {
        .master = config->snmp_master,
        .context = config->snmp_context,
        .name = config->name,
        .writable = config->snmp_writable,
        .retry_interval = config->snmp_retry_interval,
    };

    if (!config->snmp_enabled)
        return TRUE;
    program->source = vadm_source_local_new(program->daemon);
    program->settings = vadm_settings_new(config->notify_enable, config->notify_min_interval);
    program->snmp = vadm_snmp_thread_start(&snmp, program->source, program->settings, error);
    return program->snmp != NULL;
}

/* @file: what the file says, without what environment and options put over it: a reload compares
 * with it, so that those stay in force until the file changes. */
static gboolean
program_start(Program *program, VadmConfig *config, VadmConfig *file, GError **error)
{
    VadmDaemonHooks hooks = {
        .make_program = program_make,
        .quit = program_quit,
        .user = program,
    };

    if (!program_start_log(program, config, error))
        return FALSE;
    vadm_descriptors_raise(config);
    if (!config->file)
        config->file = vadm_config_copy_plain(file);
    program->daemon = vadm_daemon_new(config, program->log, NULL, &hooks, error);
    if (!program->daemon)
        return FALSE;
    if (!vadm_daemon_listen(program->daemon, error))
        return FALSE;
    return program_start_snmp(program, config, error);
}

/*
 * The snmp thread may hang in net-snmp for as long as the master agent is stopped, and a worker
 * in a job that never ends: what they may still touch is left alone, and the process ends
 * without them.
 */
static void
program_stop(Program *program)
{
    gboolean clean = program->clean;

    if (program->snmp && !vadm_snmp_thread_stop(program->snmp, SNMP_STOP_TIMEOUT)) {
        VADM_WARN("the snmp thread does not end (master agent stopped?): left behind");
        clean = FALSE;
    }
    if (clean && !vadm_daemon_stop_saving(program->daemon, SAVE_STOP_TIMEOUT)) {
        VADM_WARN("the disk does not take the configuration in time: left behind");
        clean = FALSE;
    }
    VADM_INFO("ending");
    if (clean) {
        g_clear_pointer(&program->source, vadm_source_local_free);
        g_clear_pointer(&program->settings, vadm_settings_free);
        g_clear_pointer(&program->daemon, vadm_daemon_free);
        vadm_log_set_default(NULL);
        vadm_log_free(program->log, LOG_DRAIN_TIMEOUT);
        return;
    }
    vadm_log_flush(program->log, LOG_DRAIN_TIMEOUT);
    _exit(STATUS_OK);
}

static int
program_run(Program *program, VadmConfig *config, VadmConfig *file)
{
    g_autoptr(GError) error = NULL;

    program->loop = g_main_loop_new(NULL, FALSE);
    program->clean = TRUE;
    /* Before the start: a SIGTERM that comes when there are sockets already waits until the loop
     * runs, so that they are unlinked. */
    g_unix_signal_add(SIGTERM, program_terminate, program);
    g_unix_signal_add(SIGINT, program_terminate, program);
    if (!program_start(program, config, file, &error)) {
        fprintf(stderr, "virtadmd: %s\n", error->message);
        VADM_ERR("%s", error->message);
        vadm_log_flush(program->log, LOG_DRAIN_TIMEOUT);
        /* Threads run and sockets may be open: the kernel cleans up faster than we could. */
        _exit(STATUS_FAILED);
    }
    VADM_INFO("virtadmd %s is ready", PACKAGE_VERSION);
    program_notify("READY=1");
    g_main_loop_run(program->loop);
    program_stop(program);
    g_main_loop_unref(program->loop);
    return STATUS_OK;
}

static int
program_usage(const char *message)
{
    fprintf(stderr, "virtadmd: %s\nTry 'virtadmd --help'.\n", message);
    return STATUS_USAGE;
}

static gboolean
options_parse(Options *options, int *argc, char ***argv, GError **error)
{
    GOptionEntry entries[] = {
        {"config", 'c', 0, G_OPTION_ARG_FILENAME, &options->config_file,
         "Read FILE instead of " DEFAULT_CONFIG, "FILE"},
        {"check-config", 0, 0, G_OPTION_ARG_NONE, &options->check_config,
         "Check the configuration and exit", NULL},
        {"print-config", 0, 0, G_OPTION_ARG_NONE, &options->print_config,
         "Print the configuration with all defaults and exit", NULL},
        {"log-level", 0, 0, G_OPTION_ARG_STRING, &options->log_level,
         "Log messages from level N on: 1 debug, 2 info, 3 warning, 4 error", "N"},
        {"version", 'V', 0, G_OPTION_ARG_NONE, &options->version, "Print the version and exit",
         NULL},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);

    g_option_context_set_summary(
        context, "A gateway in front of a libvirt daemon, administered by virt-admin and SNMP.");
    g_option_context_add_main_entries(context, entries, NULL);
    return g_option_context_parse(context, argc, argv, error);
}

/* --check-config also opens the log files, as the start would, and removes those it made. */
static int
options_check(VadmLog *log, VadmConfig *config)
{
    g_autoptr(GError) error = NULL;
    VadmLogSet *set = vadm_log_options_open(log, config, &error);

    if (!set) {
        fprintf(stderr, "virtadmd: %s\n", error->message);
        return STATUS_USAGE;
    }
    vadm_log_set_discard(set);
    return STATUS_OK;
}

static int
program_main(Program *program, int argc, char **argv)
{
    Options *options = &program->options;
    g_autoptr(GError) error = NULL;
    g_autoptr(VadmConfig) file = NULL;
    g_autoptr(VadmConfig) config = NULL;
    int status;

    /* A log rotation that meets us at the start must wait until the loop runs, not kill us. */
    g_unix_signal_add(SIGHUP, program_hangup, program);
    if (!options_parse(options, &argc, &argv, &error))
        return program_usage(error->message);
    if (argc > 1) {
        g_autofree char *text = g_strdup_printf("unexpected argument '%s'", argv[1]);
        return program_usage(text);
    }
    if (options->version) {
        printf("virtadmd %s\n", PACKAGE_VERSION);
        return STATUS_OK;
    }
    if (!options->config_file && g_file_test(DEFAULT_CONFIG, G_FILE_TEST_EXISTS))
        options->config_file = g_strdup(DEFAULT_CONFIG);
    file = vadm_config_load(options->config_file, &error);
    config = file ? vadm_config_copy(file) : NULL;
    if (!config || !vadm_log_options_apply(config, options->log_level, &error)) {
        fprintf(stderr, "virtadmd: %s\n", error->message);
        return STATUS_USAGE;
    }
    if (options->print_config) {
        g_autofree char *text = vadm_config_to_text(config);
        fputs(text, stdout);
        return fflush(stdout) == 0 ? STATUS_OK : STATUS_FAILED;
    }
    program->log = vadm_log_new("virtadmd", PACKAGE_VERSION);
    vadm_log_set_default(program->log);
    status = options_check(program->log, config);
    if (status != STATUS_OK || options->check_config) {
        vadm_log_free(program->log, LOG_DRAIN_TIMEOUT);
        return status;
    }
    return program_run(program, config, file);
}

int
main(int argc, char **argv)
{
    Program program = {0};
    int status;

    setlocale(LC_ALL, "");
    /* A master agent or client that goes away must not take us along. */
    signal(SIGPIPE, SIG_IGN);
    status = program_main(&program, argc, argv);
    g_free(program.options.config_file);
    g_free(program.options.log_level);
    return status;
}
