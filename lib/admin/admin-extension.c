/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Our extension program: what the released admin program lacks. */
#include "admin/admin-private.h"

gboolean
vadm_admin_get_log_level(VadmAdminCall *call, gconstpointer data, gpointer out)
{
    const vadm_extension_get_log_level_args *args = data;
    vadm_extension_get_log_level_ret *ret = out;
    g_autoptr(VadmConfig) config = NULL;

    if (!vadm_admin_check_flags(call, args->flags, 0))
        return FALSE;
    config = vadm_daemon_get_config(call->daemon);
    ret->level = config->log_level;
    return TRUE;
}

gboolean
vadm_admin_set_log_level(VadmAdminCall *call, gconstpointer data, gpointer ret)
{
    const vadm_extension_set_log_level_args *args = data;
    VadmChange change = {.field = VADM_FIELD_LOG_LEVEL,
                         .value = {.kind = VADM_VALUE_UINT, .number = args->level}};

    (void)ret;
    if (!vadm_admin_check_flags(call, args->flags, 0))
        return FALSE;
    if (args->level < VADM_LOG_DEBUG || args->level > VADM_LOG_ERROR)
        return vadm_admin_fail(call, VADM_VIR_ERR_INVALID_ARG, VADM_VIR_FROM_ADMIN,
                               "log level %u is not in the range 1 to 4", args->level);
    return vadm_admin_change(call, &change, 1, VADM_VIR_FROM_NONE);
}
