/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtadm-agent: the subagent beside unmodified libvirt daemons. Options, signals, and the order in
 * which things start and stop; everything else is elsewhere.
 */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <gio/gio.h>
#include <glib-unix.h>

#include <config.h>

#define VADM_LOG_CATEGORY "virtadm-agent"
#include "admin/uri.h"
#include "agent/capabilities.h"
#include "agent/discover.h"
#include "agent/log-options.h"
#include "agent/snmp-thread.h"
#include "agent/source-remote.h"
#include "agent/startup.h"

#define PROGRAM "virtadm-agent"

/* How long the end of the process waits for daemons to let us go, milliseconds, and for the
 * writers of the log, microseconds. With the snmp thread it is less than 2 s. */
#define LEAVE_TIMEOUT_MS  150u
#define LOG_DRAIN_TIMEOUT (200 * G_TIME_SPAN_MILLISECOND)

/* Turns of the main loop for what is left to do; it would never end by itself where clients of a
 * daemon come and go all the time. */
#define LEFT_OVER_TURNS 100u

/* Tests look for daemons of their own in the place of /run. */
#define RUN_DIR_VARIABLE "VIRTADM_RUNSTATEDIR"

typedef struct {
    VadmOptions options;
    gboolean discover;
    GPtrArray *warnings; /* of what happened before there was a log */
    GMainLoop *loop;
    VadmLog *log;
    VadmConfig *file;   /* what the configuration file said at the start */
    VadmConfig *last;   /* and when it was last read */
    VadmConfig *config; /* that, with environment and command line over it */
    GArray *daemons;    /* of VadmSnmpDaemon */
    VadmSnmpThread *snmp;
} Program;

static gboolean
program_terminate(gpointer user)
{
    Program *program = user;

    VADM_INFO("asked to end by a signal");
    vadm_startup_tell_stopping(0);
    g_main_loop_quit(program->loop);
    return G_SOURCE_CONTINUE;
}

static VadmConfig *
program_load_file(const Program *program, GHashTable *origins, GError **error)
{
    return vadm_config_load_agent(program->options.config_file, vadm_admin_uri_to_socket, origins,
                                  error);
}

/* ---- reloading ---- */

/* What belongs to the program itself can be changed while it runs: its logging, and what it
 * notifies. For the rest a restart costs nothing, as the agent has no clients.
 * Returns: (transfer full) (nullable) */
static char *
program_list_static_changes(const Program *program, const VadmConfig *file)
{
    char *others;

    vadm_config_unref(vadm_config_merge_reload(program->file, program->file, file, &others));
    return others;
}

static void
program_reload_notify(Program *program, VadmConfig *file)
{
    const VadmConfig *last = program->last ? program->last : program->file;
    const VadmSettingsValues was = {0, last->notify_enable, last->notify_min_interval};
    const VadmSettingsValues is = {0, file->notify_enable, file->notify_min_interval};

    for (guint i = 0; i < program->daemons->len; i++)
        vadm_settings_reload(g_array_index(program->daemons, VadmSnmpDaemon, i).settings, &was,
                             &is);
    g_clear_pointer(&program->last, vadm_config_unref);
    program->last = vadm_config_ref(file);
}

static gboolean
program_reload_log(Program *program, VadmConfig *file, GError **error)
{
    g_autoptr(VadmConfig) config = vadm_config_copy(file);
    g_autoptr(VadmLogSet) set = NULL;
    g_autofree char *diff = NULL;

    if (!vadm_log_options_apply(config, program->options.log_level, NULL, error))
        return FALSE;
    set = vadm_log_options_open(program->log, config, NULL, error);
    if (!set)
        return FALSE;
    vadm_log_install(program->log, set);
    diff = vadm_config_diff(program->config, config);
    g_clear_pointer(&program->config, vadm_config_unref);
    program->config = g_steal_pointer(&config);
    if (*diff)
        VADM_INFO("reload: %s", diff);
    return TRUE;
}

static void
program_reload(Program *program)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VadmConfig) file = program_load_file(program, NULL, &error);
    g_autofree char *others = NULL;

    if (!file || !program_reload_log(program, file, &error)) {
        VADM_ERR("reload: nothing is changed: %s", error->message);
        return;
    }
    program_reload_notify(program, file);
    others = program_list_static_changes(program, file);
    if (others)
        VADM_WARN("reload: these take a restart: %s", others);
}

/* Also a log rotation, which must get its files reopened whatever has become of the
 * configuration. */
static gboolean
program_hangup(gpointer user)
{
    Program *program = user;

    if (!program->log) /* --discover */
        return G_SOURCE_CONTINUE;
    program_reload(program);
    vadm_log_reopen(program->log);
    return G_SOURCE_CONTINUE;
}

/* ---- start and end ---- */

static void
program_add_daemon(Program *program, const VadmSourceConfig *source)
{
    const VadmConfig *config = program->config;
    VadmRemoteConfig remote = {
        .name = source->name,
        .uri = source->uri,
        .path = source->path,
        .refresh_interval = source->refresh_interval,
        .clients_high_percent = source->clients_high_percent,
        .log_directories = (const char *const *)config->log_directories,
    };
    VadmSnmpDaemon daemon = {
        .source = vadm_source_remote_new(&remote),
        .settings =
            vadm_settings_new(source->name, config->notify_enable, config->notify_min_interval),
        .name = source->name,
    };

    g_array_append_val(program->daemons, daemon);
}

static gboolean
program_start(Program *program, GError **error)
{
    const VadmConfig *config = program->config;
    VadmSnmpConfig snmp = {
        .master = config->snmp_master,
        .context = config->snmp_context,
        .writable = config->snmp_writable,
        .retry_interval = config->snmp_retry_interval,
    };

    if (!vadm_startup_install_log(program->log, program->config, program->warnings, error))
        return FALSE;
    if (!config->snmp_enabled) {
        VADM_WARN("[snmp] enabled = false: nothing is served");
        return TRUE;
    }
    for (guint i = 0; i < config->sources->len; i++)
        program_add_daemon(program, config->sources->pdata[i]);
    program->snmp = vadm_snmp_thread_start(&snmp, (const VadmSnmpDaemon *)program->daemons->data,
                                           program->daemons->len, error);
    return program->snmp != NULL;
}

static void
program_left(gpointer user)
{
    guint *waiting = user;

    (*waiting)--;
}

/* What the snmp thread has left to do (clients to disconnect) is sent first, while there is
 * somebody to send it to; then the connections are closed, one beside the other. */
static void
program_leave(Program *program)
{
    guint waiting = program->daemons->len;

    for (guint i = 0; i < LEFT_OVER_TURNS && g_main_context_iteration(NULL, FALSE); i++) {
    }
    for (guint i = 0; i < program->daemons->len; i++)
        vadm_source_remote_close(g_array_index(program->daemons, VadmSnmpDaemon, i).source,
                                 LEAVE_TIMEOUT_MS, program_left, &waiting);
    while (waiting > 0)
        g_main_context_iteration(NULL, TRUE);
}

/* The snmp thread may hang in net-snmp for as long as the master agent is stopped: what it may
 * still touch is left alone, and the process ends without it. */
static void
program_stop(Program *program)
{
    if (program->snmp && !vadm_snmp_thread_stop(program->snmp, VADM_SNMP_STOP_TIMEOUT)) {
        VADM_WARN("the snmp thread does not end (master agent stopped?): left behind");
        vadm_log_flush(program->log, LOG_DRAIN_TIMEOUT);
        _exit(VADM_STATUS_OK);
    }
    VADM_INFO("ending");
    program_leave(program);
    for (guint i = 0; i < program->daemons->len; i++) {
        VadmSnmpDaemon *daemon = &g_array_index(program->daemons, VadmSnmpDaemon, i);

        vadm_source_remote_free(daemon->source);
        vadm_settings_free(daemon->settings);
    }
    vadm_startup_free_log(program->log, LOG_DRAIN_TIMEOUT);
}

static int
program_run(Program *program)
{
    g_autoptr(GError) error = NULL;

    program->loop = g_main_loop_new(NULL, FALSE);
    g_unix_signal_add(SIGTERM, program_terminate, program);
    g_unix_signal_add(SIGINT, program_terminate, program);
    if (!program_start(program, &error))
        vadm_startup_abort(PROGRAM, program->log, error);
    vadm_startup_run(PROGRAM, program->loop, program->snmp);
    program_stop(program);
    g_main_loop_unref(program->loop);
    return VADM_STATUS_OK;
}

static int
program_discover(const Program *program)
{
    const char *run_dir = g_getenv(RUN_DIR_VARIABLE);
    g_autofree char *text = vadm_discover(run_dir && *run_dir ? run_dir : "/run");

    vadm_startup_print_warnings(PROGRAM, program->warnings);
    fputs(text, stdout);
    return fflush(stdout) == 0 ? VADM_STATUS_OK : VADM_STATUS_FAILED;
}

/* Built-in defaults, configuration file, environment, command line: who comes later wins. */
static gboolean
program_load(Program *program, GHashTable *origins, GError **error)
{
    program->file = program_load_file(program, origins, error);
    if (!program->file)
        return FALSE;
    program->config = vadm_config_copy(program->file);
    return vadm_log_options_apply(program->config, program->options.log_level, origins, error);
}

static int
program_main(Program *program, int argc, char **argv)
{
    g_autoptr(GHashTable) origins = vadm_config_origins_new();
    g_autoptr(GError) error = NULL;
    int status;

    /* A log rotation that meets us at the start must wait until the loop runs, not kill us. */
    g_unix_signal_add(SIGHUP, program_hangup, program);
    if (!vadm_options_read(&program->options, argc, argv, &status))
        return status;
    if (program->discover)
        return program_discover(program);
    if (!program_load(program, origins, &error))
        return vadm_startup_fail(PROGRAM, VADM_STATUS_USAGE, error);
    if (program->options.print_config) {
        vadm_startup_print_warnings(PROGRAM, program->warnings);
        return vadm_startup_print_config(program->config, origins, "virtadm-agent");
    }
    program->log =
        vadm_startup_make_log(&program->options, program->config, program->warnings, &status);
    return program->log ? program_run(program) : status;
}

/* Before all else, so that --check-config tells what the start will meet. */
static void
program_drop_capabilities(Program *program)
{
    g_autoptr(GError) error = NULL;

    if (!vadm_capabilities_drop(&error))
        g_ptr_array_add(program->warnings, g_strdup(error->message));
}

int
main(int argc, char **argv)
{
    Program program = {
        .warnings = g_ptr_array_new_with_free_func(g_free),
        .daemons = g_array_new(FALSE, FALSE, sizeof(VadmSnmpDaemon)),
    };
    const GOptionEntry more[] = {
        {"discover", 0, 0, G_OPTION_ARG_NONE, &program.discover,
         "Look for admin sockets, print a configuration for them and exit", NULL},
        G_OPTION_ENTRY_NULL,
    };
    int status;

    setlocale(LC_ALL, "");
    /* A master agent or daemon that goes away must not take us along. */
    signal(SIGPIPE, SIG_IGN);
    program_drop_capabilities(&program);
    program.options = (VadmOptions){
        .program = PROGRAM,
        .summary = "Beside unmodified libvirt daemons: administers them over SNMP.",
        .default_config = SYSCONFDIR "/virtadm/virtadm-agent.conf",
        .more = more,
    };
    status = program_main(&program, argc, argv);
    vadm_options_clear(&program.options);
    g_array_unref(program.daemons);
    vadm_config_unref(program.file);
    vadm_config_unref(program.last);
    vadm_config_unref(program.config);
    g_ptr_array_unref(program.warnings);
    return status;
}
