/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtadmd: the daemon with the subagent linked in. Options, signals, and the order in which
 * things start and stop; everything else is elsewhere.
 */
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <gio/gio.h>
#include <glib-unix.h>

#include <config.h>

#define VADM_LOG_CATEGORY "virtadmd"
#include "admin/admin-program.h"
#include "agent/descriptors.h"
#include "agent/log-options.h"
#include "agent/snmp-thread.h"
#include "agent/source-local.h"
#include "agent/startup.h"
#include "daemon/daemon.h"
#include "daemon/relay.h"
#include "daemon/sasl.h"
#include "daemon/state-file.h"
#include "daemon/state.h"

#define PROGRAM "virtadmd"

/* How long the end of the process waits for what is being stored, and for the writers of the
 * log, microseconds. */
#define SAVE_STOP_TIMEOUT (1500 * G_TIME_SPAN_MILLISECOND)
#define LOG_DRAIN_TIMEOUT G_TIME_SPAN_SECOND

typedef struct {
    VadmOptions options;
    GPtrArray *warnings; /* of what was read before there was a log */
    GMainLoop *loop;
    VadmLog *log;
    VadmDaemon *daemon;
    VadmSource *source;
    VadmSettings *settings;
    VadmSnmpThread *snmp;
    guint shutdown_timeout; /* seconds */
    gboolean stopping, clean;
} Program;

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
    vadm_startup_tell_stopping(program->shutdown_timeout);
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

static gboolean
program_start_snmp(Program *program, const VadmConfig *config, GError **error)
{
    VadmSnmpConfig snmp = {
        .master = config->snmp_master,
        .context = config->snmp_context,
        .writable = config->snmp_writable,
        .retry_interval = config->snmp_retry_interval,
    };
    VadmSnmpDaemon daemon = {.name = config->name};

    if (!config->snmp_enabled)
        return TRUE;
    program->source = daemon.source = vadm_source_local_new(program->daemon);
    program->settings = daemon.settings =
        vadm_settings_new(config->name, config->notify_enable, config->notify_min_interval);
    program->snmp = vadm_snmp_thread_start(&snmp, &daemon, 1, error);
    return program->snmp != NULL;
}

static void
program_warn_of_sasl(const VadmListenConfig *listen)
{
    g_autoptr(GError) error = NULL;

    if (listen->auth == VADM_AUTH_SASL && !vadm_sasl_check(listen->transport, &error))
        VADM_WARN("Nobody can authenticate at '%s': %s", listen->text, error->message);
}

/* For the whole process, and before its threads. */
static gboolean
program_start_sasl(const VadmConfig *config, GError **error)
{
    if (!vadm_config_has_auth(config, VADM_AUTH_SASL))
        return TRUE;
    if (!vadm_sasl_init(error))
        return FALSE;
    for (guint i = 0; i < config->servers->len; i++) {
        const VadmServerConfig *server = g_ptr_array_index(config->servers, i);

        for (guint j = 0; j < server->listens->len; j++)
            program_warn_of_sasl(g_ptr_array_index(server->listens, j));
    }
    return TRUE;
}

static void
program_warn_of_list(const VadmServerConfig *server, const char *key, char *const *list,
                     gboolean used, const char *kind)
{
    if (list && *list && !used)
        VADM_WARN("Server '%s': %s keeps nobody out, for none of the server's sockets is of a kind "
                  "with %s",
                  server->name, key, kind);
}

/* Who has written down who may come in, and forgot to have anybody asked, would not find out. */
static void
program_warn_of_lists(const VadmServerConfig *server)
{
    gboolean tls = FALSE, sasl = FALSE;

    for (guint i = 0; i < server->listens->len; i++) {
        const VadmListenConfig *listen = g_ptr_array_index(server->listens, i);

        tls = tls || listen->transport == VADM_TRANSPORT_TLS;
        sasl = sasl || listen->auth == VADM_AUTH_SASL;
    }
    program_warn_of_list(server, "tls_allowed_dn_list", server->tls_allowed_dns, tls, "tls");
    program_warn_of_list(server, "sasl_allowed_username_list", server->sasl_allowed_usernames, sasl,
                         "+sasl");
}

static gboolean
program_start(Program *program, VadmConfig *config, GError **error)
{
    VadmDaemonHooks hooks = {
        .make_program = program_make,
        .quit = program_quit,
        .user = program,
    };

    if (!vadm_startup_install_log(program->log, config, program->warnings, error))
        return FALSE;
    vadm_descriptors_raise(config);
    for (guint i = 0; i < config->servers->len; i++)
        program_warn_of_lists(g_ptr_array_index(config->servers, i));
    if (!program_start_sasl(config, error))
        return FALSE;
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

    if (program->snmp && !vadm_snmp_thread_stop(program->snmp, VADM_SNMP_STOP_TIMEOUT)) {
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
        vadm_startup_free_log(program->log, LOG_DRAIN_TIMEOUT);
        return;
    }
    vadm_log_flush(program->log, LOG_DRAIN_TIMEOUT);
    _exit(VADM_STATUS_OK);
}

static int
program_run(Program *program, VadmConfig *config)
{
    g_autoptr(GError) error = NULL;

    program->loop = g_main_loop_new(NULL, FALSE);
    program->clean = TRUE;
    program->shutdown_timeout = config->shutdown_timeout;
    /* Before the start: a SIGTERM that comes when there are sockets already waits until the loop
     * runs, so that they are unlinked. */
    g_unix_signal_add(SIGTERM, program_terminate, program);
    g_unix_signal_add(SIGINT, program_terminate, program);
    if (!program_start(program, config, &error))
        vadm_startup_abort(PROGRAM, program->log, error);
    vadm_startup_run(PROGRAM, program->loop, program->snmp);
    program_stop(program);
    g_main_loop_unref(program->loop);
    return VADM_STATUS_OK;
}

/* The configuration, and what only a person who looks at it wants to know. */
typedef struct {
    VadmConfig *config; /* with its file and base */
    char *state_path;
    VadmStateResult state;
    char *stored; /* what the state file has to say from now on; NULL: nothing */
    GHashTable *origins;
} Startup;

static void
startup_clear(Startup *startup)
{
    vadm_config_unref(startup->config);
    g_free(startup->state_path);
    g_free(startup->stored);
    g_clear_pointer(&startup->origins, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Startup, startup_clear)

/* Puts what the state file says over what the configuration file says. */
static void
startup_load_state(Startup *startup, GPtrArray *warnings)
{
    g_autoptr(GHashTable) applied = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    GHashTableIter iter;
    gpointer name, overridden;

    startup->state_path = vadm_state_path(startup->config);
    startup->state = vadm_state_load(startup->state_path, startup->config, applied, warnings);
    g_hash_table_iter_init(&iter, applied);
    while (g_hash_table_iter_next(&iter, &name, &overridden))
        g_hash_table_insert(startup->origins, g_strdup(name),
                            g_strdup_printf("state file, instead of %s", (const char *)overridden));
}

/* Built-in defaults, configuration file, state file, environment, command line: who comes later
 * wins. */
static gboolean
startup_load(Startup *startup, const VadmOptions *options, GPtrArray *warnings, GError **error)
{
    g_autoptr(VadmConfig) file = NULL;
    g_autoptr(VadmConfig) base = NULL;

    startup->origins = vadm_config_origins_new();
    file = vadm_config_load_traced(options->config_file, startup->origins, error);
    if (!file)
        return FALSE;
    base = vadm_config_copy(file);
    startup->config = vadm_config_copy(file);
    startup_load_state(startup, warnings);
    startup->config->file = vadm_config_ref(file);
    startup->config->base = vadm_config_ref(file);
    if (startup->state == VADM_STATE_APPLIED)
        startup->stored = vadm_state_to_text(startup->config);
    if (!vadm_log_options_apply(base, options->log_level, NULL, error) ||
        !vadm_log_options_apply(startup->config, options->log_level, startup->origins, error))
        return FALSE;
    vadm_config_unref(startup->config->base);
    startup->config->base = g_steal_pointer(&base);
    return TRUE;
}

static int
startup_print(const Startup *startup)
{
    static const char *const states[] = {
        [VADM_STATE_NONE] = "there is none",
        [VADM_STATE_APPLIED] = "in use",
        [VADM_STATE_DAMAGED] = "damaged, not used",
        [VADM_STATE_REFUSED] = "not used",
    };
    g_autofree char *comment = g_strdup_printf(
        "storage: %s\nstate file: %s (%s)",
        startup->config->storage == VADM_STORAGE_NON_VOLATILE ? "nonVolatile" : "volatile",
        startup->state_path, states[startup->state]);

    return vadm_startup_print_config(startup->config, startup->origins, comment);
}

/* What the file has won over must not come back when somebody edits the file once more. */
static void
startup_refresh_state(const Startup *startup, GPtrArray *warnings)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    VadmStateFile *file;

    if (!startup->stored || (g_file_get_contents(startup->state_path, &text, NULL, NULL) &&
                             g_str_equal(text, startup->stored)))
        return;
    file = vadm_state_file_prepare(startup->state_path, startup->stored, &error);
    if (file && vadm_state_file_commit(file, &error)) {
        vadm_state_file_finish(file);
        return;
    }
    vadm_state_file_abort(file);
    g_ptr_array_add(warnings, g_strdup_printf("state file %s: what is not used any more stays in "
                                              "it: %s",
                                              startup->state_path, error->message));
}

static int
startup_run(Program *program, const Startup *startup)
{
    startup_refresh_state(startup, program->warnings);
    if (startup->state == VADM_STATE_DAMAGED)
        g_ptr_array_add(program->warnings, vadm_state_set_aside(startup->state_path));
    return program_run(program, startup->config);
}

/* What a start would find wrong beyond the configuration itself. */
static int
program_check(const VadmConfig *config)
{
    g_autoptr(GError) error = NULL;

    if (vadm_daemon_check_files(config, &error))
        return VADM_STATUS_OK;
    return vadm_startup_fail(PROGRAM, VADM_STATUS_USAGE, error);
}

static int
program_main(Program *program, int argc, char **argv)
{
    VadmOptions *options = &program->options;
    g_autoptr(GError) error = NULL;
    g_auto(Startup) startup = {0};
    int status;

    /* A log rotation that meets us at the start must wait until the loop runs, not kill us. */
    g_unix_signal_add(SIGHUP, program_hangup, program);
    if (!vadm_options_read(options, argc, argv, &status))
        return status;
    if (!startup_load(&startup, options, program->warnings, &error))
        return vadm_startup_fail(PROGRAM, VADM_STATUS_USAGE, error);
    if (options->print_config) {
        vadm_startup_print_warnings(PROGRAM, program->warnings);
        return startup_print(&startup);
    }
    program->log = vadm_startup_make_log(options, startup.config, program->warnings, &status);
    if (!program->log)
        return status == VADM_STATUS_OK ? program_check(startup.config) : status;
    return startup_run(program, &startup);
}

/* From this size on what is freed goes back to the system at once: octets. */
#define GIVEN_BACK (1024 * 1024)

/* By itself glibc's limit follows the largest block that was freed, up to 32 MiB: a few messages of
 * that size, years ago, and the process stays as large. */
static void
limit_free_memory(void)
{
#if defined(M_MMAP_THRESHOLD) && defined(M_TRIM_THRESHOLD)
    mallopt(M_MMAP_THRESHOLD, GIVEN_BACK);
    mallopt(M_TRIM_THRESHOLD, GIVEN_BACK);
#endif
}

int
main(int argc, char **argv)
{
    Program program = {
        .options =
            {
                .program = PROGRAM,
                .summary = "A gateway in front of a libvirt daemon, administered by virt-admin and "
                           "SNMP.",
                .default_config = SYSCONFDIR "/virtadm/virtadmd.conf",
            },
        .warnings = g_ptr_array_new_with_free_func(g_free),
    };
    int status;

    limit_free_memory();
    setlocale(LC_ALL, "");
    /* A master agent or client that goes away must not take us along. */
    signal(SIGPIPE, SIG_IGN);
    status = program_main(&program, argc, argv);
    vadm_options_clear(&program.options);
    g_ptr_array_unref(program.warnings);
    return status;
}
