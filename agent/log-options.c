/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/log-options.h"

/* A level as a number or as the word that stands in the messages. */
static gboolean
log_options_level(const char *from, const char *text, guint32 *level, GError **error)
{
    static const char *const words[] = {"debug", "info", "warning", "error"};
    guint64 number;

    for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
        if (g_ascii_strcasecmp(text, words[i]) == 0) {
            *level = i + 1;
            return TRUE;
        }
    }
    if (!g_ascii_string_to_unsigned(text, 10, VADM_LOG_DEBUG, VADM_LOG_ERROR, &number, NULL)) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG,
                    "%s: '%s' is not a log level: 1 debug, 2 info, 3 warning, 4 error", from, text);
        return FALSE;
    }
    *level = (guint32)number;
    return TRUE;
}

static void
log_options_text(const char *variable, char **text)
{
    const char *value = g_getenv(variable);

    if (value && *value) {
        g_free(*text);
        *text = g_strdup(value);
    }
}

gboolean
vadm_log_options_apply(VadmConfig *config, const char *level, GError **error)
{
    const char *debug = g_getenv("VIRTADM_DEBUG");

    log_options_text("VIRTADM_LOG_FILTERS", &config->log_filters);
    log_options_text("VIRTADM_LOG_OUTPUTS", &config->log_outputs);
    if (debug && *debug &&
        !log_options_level("environment VIRTADM_DEBUG", debug, &config->log_level, error))
        return FALSE;
    return !level || log_options_level("option --log-level", level, &config->log_level, error);
}

VadmLogSet *
vadm_log_options_open(VadmLog *log, VadmConfig *config, GError **error)
{
    VadmLogSet *set =
        vadm_log_set_new(log, (int)config->log_level, config->log_filters, config->log_outputs,
                         config->log_default_outputs, NULL, error);

    if (!set) {
        g_prefix_error(error, "logging: ");
        return NULL;
    }
    g_free(config->log_filters);
    config->log_filters = g_strdup(vadm_log_set_get_filters(set));
    g_free(config->log_outputs);
    config->log_outputs = g_strdup(vadm_log_set_get_outputs(set));
    return set;
}
