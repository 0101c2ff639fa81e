/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures about log filters and outputs. */
#include "admin/admin-private.h"

gboolean
vadm_admin_get_log_outputs(VadmAdminCall *call, gconstpointer data, gpointer out)
{
    const vadm_admin_connect_get_logging_outputs_args *args = data;
    vadm_admin_connect_get_logging_outputs_ret *ret = out;
    g_autoptr(VadmConfig) config = NULL;

    if (!vadm_admin_check_flags(call, args->flags, 0))
        return FALSE;
    config = vadm_daemon_get_config(call->daemon);
    ret->outputs = g_strdup(vadm_log_set_get_outputs(config->log_set));
    ret->noutputs = vadm_log_set_count_outputs(config->log_set);
    return TRUE;
}

/* Our "1:util 2:b" as libvirt gives it: "1:*util* 2:*b* ", the blank behind the last one
 * included. A match that begins with '+' has a second one in ours, for a set drops the first.
 * Returns: (transfer full) (nullable): NULL for no filters */
static char *
vadm_admin_format_filters(const char *filters)
{
    g_auto(GStrv) each = g_strsplit(filters, " ", -1);
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; each[i]; i++) {
        const char *colon = strchr(each[i], ':');
        const char *match = colon ? colon + 1 : NULL;

        if (match)
            g_string_append_printf(text, "%.*s:*%s* ", (int)(colon - each[i]), each[i],
                                   *match == '+' ? match + 1 : match);
    }
    return text->len == 0 ? NULL : g_string_free(g_steal_pointer(&text), FALSE);
}

gboolean
vadm_admin_get_log_filters(VadmAdminCall *call, gconstpointer data, gpointer out)
{
    const vadm_admin_connect_get_logging_filters_args *args = data;
    vadm_admin_connect_get_logging_filters_ret *ret = out;
    g_autoptr(VadmConfig) config = NULL;
    char *filters;

    if (!vadm_admin_check_flags(call, args->flags, 0))
        return FALSE;
    config = vadm_daemon_get_config(call->daemon);
    ret->nfilters = vadm_log_set_count_filters(config->log_set);
    filters = vadm_admin_format_filters(vadm_log_set_get_filters(config->log_set));
    if (filters) {
        ret->filters = g_new(vadm_string, 1);
        *ret->filters = filters;
    }
    return TRUE;
}

/* @text: (nullable): NULL and blanks ask for the default: no filters, or the outputs that were
 * chosen at start. What is served over SNMP has to be UTF-8, so nothing else comes in. */
static gboolean
vadm_admin_set_log(VadmAdminCall *call, VadmField field, const vadm_optional_string text)
{
    VadmChange change = {.field = field,
                         .value = {.kind = VADM_VALUE_STRING, .string = text ? *text : ""}};

    if (!g_utf8_validate(change.value.string, -1, NULL))
        return vadm_admin_fail(
            call, VADM_VIR_ERR_INVALID_ARG, VADM_VIR_FROM_NONE, "log %s '%s' are not valid UTF-8",
            field == VADM_FIELD_LOG_FILTERS ? "filters" : "outputs", change.value.string);
    return vadm_admin_change(call, &change, 1, VADM_VIR_FROM_NONE);
}

gboolean
vadm_admin_set_log_outputs(VadmAdminCall *call, gconstpointer data, gpointer ret)
{
    const vadm_admin_connect_set_logging_outputs_args *args = data;

    (void)ret;
    return vadm_admin_check_flags(call, args->flags, 0) &&
           vadm_admin_set_log(call, VADM_FIELD_LOG_OUTPUTS, args->outputs);
}

gboolean
vadm_admin_set_log_filters(VadmAdminCall *call, gconstpointer data, gpointer ret)
{
    const vadm_admin_connect_set_logging_filters_args *args = data;

    (void)ret;
    return vadm_admin_check_flags(call, args->flags, 0) &&
           vadm_admin_set_log(call, VADM_FIELD_LOG_FILTERS, args->filters);
}
