/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/startup.h"

#include <stdio.h>
#include <unistd.h>

#include <config.h>
#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#define VADM_LOG_CATEGORY "agent.startup"
#include "agent/log-options.h"
#include "agent/watchdog.h"
#include "common/log.h"

/* How long a start that has failed waits for the writers of the log, microseconds. */
#define ABORT_DRAIN_TIMEOUT G_TIME_SPAN_SECOND
/* What an end takes at most beyond what is configured: the snmp thread, the disk, the log. */
#define STOP_RESERVE_S 10u

static gboolean
options_parse(VadmOptions *options, int *argc, char ***argv, GError **error)
{
    g_autofree char *config_help =
        g_strdup_printf("Read FILE instead of %s", options->default_config);
    const GOptionEntry entries[] = {
        {"config", 'c', 0, G_OPTION_ARG_FILENAME, &options->config_file, config_help, "FILE"},
        {"check-config", 0, 0, G_OPTION_ARG_NONE, &options->check_config,
         "Check the configuration and exit", NULL},
        {"print-config", 0, 0, G_OPTION_ARG_NONE, &options->print_config,
         "Print the configuration in effect, and where each value comes from, and exit", NULL},
        {"log-level", 0, 0, G_OPTION_ARG_STRING, &options->log_level,
         "Log messages from level N on: 1 debug, 2 info, 3 warning, 4 error", "N"},
        {"version", 'V', 0, G_OPTION_ARG_NONE, &options->version, "Print the version and exit",
         NULL},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);

    g_option_context_set_summary(context, options->summary);
    g_option_context_add_main_entries(context, entries, NULL);
    if (options->more)
        g_option_context_add_main_entries(context, options->more, NULL);
    return g_option_context_parse(context, argc, argv, error);
}

static gboolean
options_wrong(const VadmOptions *options, const char *message, int *status)
{
    fprintf(stderr, "%s: %s\nTry '%s --help'.\n", options->program, message, options->program);
    *status = VADM_STATUS_USAGE;
    return FALSE;
}

gboolean
vadm_options_read(VadmOptions *options, int argc, char **argv, int *status)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;

    if (!options_parse(options, &argc, &argv, &error))
        return options_wrong(options, error->message, status);
    if (argc > 1) {
        text = g_strdup_printf("unexpected argument '%s'", argv[1]);
        return options_wrong(options, text, status);
    }
    if (options->version) {
        printf("%s %s\n", options->program, PACKAGE_VERSION);
        *status = VADM_STATUS_OK;
        return FALSE;
    }
    if (!options->config_file && g_file_test(options->default_config, G_FILE_TEST_EXISTS))
        options->config_file = g_strdup(options->default_config);
    return TRUE;
}

void
vadm_options_clear(VadmOptions *options)
{
    g_clear_pointer(&options->config_file, g_free);
    g_clear_pointer(&options->log_level, g_free);
}

int
vadm_startup_fail(const char *program, int status, const GError *error)
{
    fprintf(stderr, "%s: %s\n", program, error->message);
    return status;
}

void
vadm_startup_print_warnings(const char *program, const GPtrArray *warnings)
{
    for (guint i = 0; i < warnings->len; i++)
        fprintf(stderr, "%s: %s\n", program, (const char *)warnings->pdata[i]);
}

int
vadm_startup_print_config(const VadmConfig *config, GHashTable *origins, const char *comment)
{
    g_autofree char *text = vadm_config_to_traced_text(config, origins, comment);

    fputs(text, stdout);
    return fflush(stdout) == 0 ? VADM_STATUS_OK : VADM_STATUS_FAILED;
}

static int
startup_check_log(const VadmOptions *options, VadmLog *log, VadmConfig *config, GPtrArray *warnings)
{
    g_autoptr(GError) error = NULL;
    VadmLogSet *set = vadm_log_options_open(log, config, warnings, &error);

    if (!set)
        return vadm_startup_fail(options->program, VADM_STATUS_USAGE, error);
    vadm_log_set_discard(set);
    return VADM_STATUS_OK;
}

VadmLog *
vadm_startup_make_log(const VadmOptions *options, VadmConfig *config, GPtrArray *warnings,
                      int *status)
{
    VadmLog *log = vadm_log_new(options->program, PACKAGE_VERSION);

    vadm_log_set_default(log);
    *status = startup_check_log(options, log, config, warnings);
    if (*status == VADM_STATUS_OK && !options->check_config)
        return log;
    vadm_startup_print_warnings(options->program, warnings);
    vadm_startup_free_log(log, 0);
    return NULL;
}

/* ---- the service manager ---- */

#ifdef HAVE_SYSTEMD
static gint64
startup_get_silence(gpointer user)
{
    return vadm_snmp_thread_get_silence(user);
}

static const char *
startup_get_status(gpointer user)
{
    if (!user)
        return "SNMP is switched off";
    if (vadm_snmp_thread_has_ended(user))
        return "There is no SNMP: net-snmp did not start, see the log";
    return vadm_snmp_thread_is_connected(user) ? "Connected to the master agent"
                                               : "Waiting for the master agent";
}

static void
startup_tell(const char *state, gpointer user)
{
    (void)user;
    vadm_startup_tell_manager(state);
}

/* Returns: (nullable): NULL: nobody wants to know. */
static VadmWatchdog *
startup_make_watchdog(VadmSnmpThread *snmp)
{
    const VadmWatchdogHooks hooks = {
        .get_silence = snmp ? startup_get_silence : NULL,
        .get_status = startup_get_status,
        .tell = startup_tell,
        .user = snmp,
    };
    guint64 interval = 0;

    if (!g_getenv("NOTIFY_SOCKET"))
        return NULL;
    if (sd_watchdog_enabled(0, &interval) <= 0)
        interval = 0;
    return vadm_watchdog_new(interval, &hooks);
}
#else
static VadmWatchdog *
startup_make_watchdog(VadmSnmpThread *snmp)
{
    (void)snmp;
    return NULL;
}
#endif

void
vadm_startup_run(const char *program, GMainLoop *loop, VadmSnmpThread *snmp)
{
    VadmWatchdog *watchdog;

    VADM_INFO("%s %s is ready", program, PACKAGE_VERSION);
    vadm_startup_tell_manager("READY=1");
    watchdog = startup_make_watchdog(snmp);
    g_main_loop_run(loop);
    vadm_watchdog_free(watchdog);
}

void
vadm_startup_tell_stopping(guint seconds)
{
    g_autofree char *state = g_strdup_printf("STOPPING=1\nEXTEND_TIMEOUT_USEC=%" G_GUINT64_FORMAT,
                                             ((guint64)seconds + STOP_RESERVE_S) * G_USEC_PER_SEC);

    vadm_startup_tell_manager(state);
}

void
vadm_startup_abort(const char *program, VadmLog *log, const GError *error)
{
    vadm_startup_fail(program, VADM_STATUS_FAILED, error);
    VADM_ERR("%s", error->message);
    vadm_log_flush(log, ABORT_DRAIN_TIMEOUT);
    _exit(VADM_STATUS_FAILED);
}

void
vadm_startup_free_log(VadmLog *log, gint64 drain_us)
{
    vadm_log_set_default(NULL);
    vadm_log_free(log, drain_us);
}

gboolean
vadm_startup_install_log(VadmLog *log, VadmConfig *config, GPtrArray *warnings, GError **error)
{
    g_autoptr(VadmLogSet) set = vadm_log_options_open(log, config, warnings, error);

    if (!set)
        return FALSE;
    vadm_log_install(log, set);
    config->log_set = g_steal_pointer(&set);
    for (guint i = 0; i < warnings->len; i++)
        VADM_WARN("%s", (const char *)warnings->pdata[i]);
    return TRUE;
}

void
vadm_startup_tell_manager(const char *state)
{
#ifdef HAVE_SYSTEMD
    sd_notify(0, state);
#else
    (void)state;
#endif
}
