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

/* As what the file says, it is understood here, where it can be told where it stands. */
static gboolean
log_options_check(const char *variable, const char *key, const char *value,
                  const VadmConfig *config, GError **error)
{
    g_autoptr(GError) rule = NULL;
    g_autofree char *normal =
        g_str_equal(key, "filters")
            ? vadm_log_normalise_filters(value, &rule)
            : vadm_log_normalise_outputs(value, config->log_default_outputs, &rule);

    if (!normal)
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG, "environment %s: '%s': %s", variable,
                    value, rule->message);
    return normal != NULL;
}

/* @text: (inout): the value of @key, which the variable replaces unless it is empty
 * @given: (out): whether it did */
static gboolean
log_options_text(const char *variable, const char *key, char **text, const VadmConfig *config,
                 GHashTable *origins, gboolean *given, GError **error)
{
    const char *value = g_getenv(variable);
    g_autofree char *origin = g_strconcat("environment ", variable, NULL);

    *given = value && *value;
    if (!*given)
        return TRUE;
    if (!log_options_check(variable, key, value, config, error))
        return FALSE;
    g_free(*text);
    *text = g_strdup(value);
    vadm_config_set_origin(origins, "log", key, origin);
    return TRUE;
}

/* @from: "option --log-level" */
static gboolean
log_options_set_level(const char *from, const char *text, VadmConfig *config, GHashTable *origins,
                      GError **error)
{
    if (!log_options_level(from, text, &config->log_level, error))
        return FALSE;
    vadm_config_set_origin(origins, "log", "level", from);
    return TRUE;
}

gboolean
vadm_log_options_apply(VadmConfig *config, const char *level, GHashTable *origins, GError **error)
{
    const char *debug = g_getenv("VIRTADM_DEBUG");
    gboolean filters, outputs;

    if (!log_options_text("VIRTADM_LOG_FILTERS", "filters", &config->log_filters, config, origins,
                          &filters, error) ||
        !log_options_text("VIRTADM_LOG_OUTPUTS", "outputs", &config->log_outputs, config, origins,
                          &outputs, error))
        return FALSE;
    /* Those of SNMP are not in force then. */
    if (outputs)
        config->log_outputs_guarded = FALSE;
    if (debug && *debug &&
        !log_options_set_level("environment VIRTADM_DEBUG", debug, config, origins, error))
        return FALSE;
    return !level || log_options_set_level("option --log-level", level, config, origins, error);
}

/* What may be opened, best first; what: which part of what was stored is left out then. */
typedef struct {
    const char *filters, *outputs;
    gboolean guarded;
    const char *what;
} LogChoice;

static VadmLogSet *
log_options_try(VadmLog *log, const VadmConfig *config, const LogChoice *choice, GError **error)
{
    VadmLogGuard guard = {(const char *const *)config->log_directories};

    return vadm_log_set_new(log, (int)config->log_level, choice->filters, choice->outputs,
                            config->log_default_outputs, choice->guarded ? &guard : NULL, error);
}

/* @config is altered only when it could be opened. */
static void
log_options_take(VadmConfig *config, const VadmLogSet *set, const LogChoice *choice)
{
    config->log_outputs_guarded = choice->guarded;
    g_free(config->log_filters);
    config->log_filters = g_strdup(vadm_log_set_get_filters(set));
    g_free(config->log_outputs);
    config->log_outputs = g_strdup(vadm_log_set_get_outputs(set));
}

static void
log_options_warn(GPtrArray *warnings, const LogChoice *choice, const GError *reason)
{
    if (choice->what && warnings)
        g_ptr_array_add(warnings, g_strdup_printf("logging: the stored %s not used, the configured "
                                                  "ones are: %s",
                                                  choice->what, reason->message));
}

VadmLogSet *
vadm_log_options_open(VadmLog *log, VadmConfig *config, GPtrArray *warnings, GError **error)
{
    const VadmConfig *base = config->base ? config->base : config;
    gboolean stored = !g_str_equal(config->log_filters, base->log_filters) ||
                      !g_str_equal(config->log_outputs, base->log_outputs);
    const LogChoice choices[] = {
        {config->log_filters, config->log_outputs, config->log_outputs_guarded, NULL},
        {config->log_filters, base->log_outputs, FALSE, "outputs are"},
        {base->log_filters, config->log_outputs, config->log_outputs_guarded, "filters are"},
        {base->log_filters, base->log_outputs, FALSE, "filters and outputs are"},
    };
    g_autoptr(GError) first = NULL;
    g_autoptr(GError) last = NULL;

    for (guint i = 0; i < (stored ? G_N_ELEMENTS(choices) : 1); i++) {
        VadmLogSet *set;

        g_clear_error(&last);
        set = log_options_try(log, config, &choices[i], &last);
        if (set) {
            log_options_warn(warnings, &choices[i], first);
            log_options_take(config, set, &choices[i]);
            return set;
        }
        if (!first)
            first = g_error_copy(last);
    }
    g_propagate_prefixed_error(error, g_steal_pointer(&last),
                               "group [log], key outputs: value '%s': ", base->log_outputs);
    return NULL;
}
