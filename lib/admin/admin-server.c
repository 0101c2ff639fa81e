/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures about one server: its worker pool and its limits on clients. */
#include "admin/admin-private.h"
#include "admin/params.h"

static const VadmParamField vadm_admin_threadpool_fields[] = {
    {"minWorkers", VADM_FIELD_SERVER_WORKERS_MIN},
    {"maxWorkers", VADM_FIELD_SERVER_WORKERS_MAX},
    {"prioWorkers", VADM_FIELD_SERVER_WORKERS_PRIORITY},
};

static const VadmParamField vadm_admin_limit_fields[] = {
    {"nclients_max", VADM_FIELD_SERVER_CLIENTS_MAX},
    {"nclients_unauth_max", VADM_FIELD_SERVER_CLIENTS_UNAUTH_MAX},
};

/* What a setter is asked for, as long as it is checked. */
typedef struct {
    const char *server;
    const vadm_typed_param *params;
    guint n_params;
    guint32 flags;
} VadmAdminSet;

/* What both getters begin with. @row: (out): numbers of this moment; its texts are not kept.
 * Returns: FALSE: @call has failed */
static gboolean
vadm_admin_read_row(VadmAdminCall *call, const char *name, guint32 flags, VadmServerRow *row)
{
    VadmServer *server = vadm_admin_find_server(call, name, VADM_VIR_FROM_RPC);
    g_autoptr(VadmConfig) config = NULL;

    if (!server || !vadm_admin_check_flags(call, flags, 0))
        return FALSE;
    config = vadm_daemon_get_config(call->daemon);
    vadm_server_fill_row(server, vadm_config_find_server(config, name), row);
    return TRUE;
}

gboolean
vadm_admin_get_threadpool(VadmAdminCall *call, gconstpointer data, gpointer out)
{
    const vadm_admin_server_get_threadpool_parameters_args *args = data;
    vadm_admin_server_get_threadpool_parameters_ret *ret = out;
    vadm_typed_param *params;
    VadmServerRow row = {0};
    u_int *count = &ret->params.params_len;

    if (!vadm_admin_read_row(call, args->srv.name, args->flags, &row))
        return FALSE;
    params = ret->params.params_val = g_new0(vadm_typed_param, 6);
    vadm_params_add_uint(params, count, "minWorkers", row.workers_min);
    vadm_params_add_uint(params, count, "maxWorkers", row.workers_max);
    vadm_params_add_uint(params, count, "nWorkers", row.workers_current);
    vadm_params_add_uint(params, count, "freeWorkers", row.workers_free);
    vadm_params_add_uint(params, count, "prioWorkers", row.workers_priority);
    vadm_params_add_uint(params, count, "jobQueueDepth", row.job_queue_depth);
    return TRUE;
}

/* What both setters do before they change anything, in libvirt's order: server, names, flags,
 * parameters. Returns: (transfer full) (nullable): the changes; NULL: @call has failed */
static VadmChange *
vadm_admin_check_set(VadmAdminCall *call, const VadmAdminSet *set, const VadmParamField *fields,
                     gsize n_fields)
{
    VadmServer *server = vadm_admin_find_server(call, set->server, VADM_VIR_FROM_ADMIN);
    g_autofree VadmChange *changes = NULL;
    GError *error = NULL;

    if (!server)
        return NULL;
    if (!vadm_params_check_names(set->params, set->n_params, &error)) {
        vadm_admin_fail_error(call, VADM_VIR_FROM_NONE, error);
        return NULL;
    }
    if (!vadm_admin_check_flags(call, set->flags, 0))
        return NULL;
    /* One more, so that an empty list is not NULL. */
    changes = g_new0(VadmChange, set->n_params + 1);
    if (!vadm_params_to_changes(set->params, set->n_params, fields, n_fields,
                                vadm_server_get_index(server), changes, &error)) {
        vadm_admin_fail_error(call, VADM_VIR_FROM_NONE, error);
        return NULL;
    }
    return g_steal_pointer(&changes);
}

static const VadmChange *
vadm_admin_find_change(const VadmChange *changes, guint n_changes, VadmField field)
{
    for (guint i = 0; i < n_changes; i++) {
        if (changes[i].field == field)
            return &changes[i];
    }
    return NULL;
}

/* libvirt has pools without workers, which run calls in the main loop, and refuses to make one
 * kind of the other; ours always have workers, so to set no maximum is to switch. It looks at
 * the minimum first. */
static gboolean
vadm_admin_check_switch(VadmAdminCall *call, const char *name, const VadmChange *changes,
                        guint n_changes)
{
    const VadmChange *max =
        vadm_admin_find_change(changes, n_changes, VADM_FIELD_SERVER_WORKERS_MAX);
    const VadmChange *min =
        vadm_admin_find_change(changes, n_changes, VADM_FIELD_SERVER_WORKERS_MIN);
    g_autoptr(VadmConfig) config = NULL;
    guint64 least;

    if (!max || max->value.number != 0)
        return TRUE;
    config = vadm_daemon_get_config(call->daemon);
    least = min ? min->value.number : vadm_config_find_server(config, name)->limits.workers_min;
    return vadm_admin_fail(call, VADM_VIR_ERR_INVALID_ARG, VADM_VIR_FROM_NONE, "%s",
                           least > 0 ? "minWorkers cannot be larger than maxWorkers"
                                     : "maxWorkers must not be switched from zero to non-zero "
                                       "and vice versa");
}

gboolean
vadm_admin_set_threadpool(VadmAdminCall *call, gconstpointer data, gpointer ret)
{
    const vadm_admin_server_set_threadpool_parameters_args *args = data;
    VadmAdminSet set = {args->srv.name, args->params.params_val, args->params.params_len,
                        args->flags};
    g_autofree VadmChange *changes = vadm_admin_check_set(
        call, &set, vadm_admin_threadpool_fields, G_N_ELEMENTS(vadm_admin_threadpool_fields));

    (void)ret;
    if (!changes)
        return FALSE;
    if (set.n_params == 0)
        return TRUE;
    return vadm_admin_check_switch(call, set.server, changes, set.n_params) &&
           vadm_admin_change(call, changes, set.n_params, VADM_VIR_FROM_NONE);
}

gboolean
vadm_admin_get_client_limits(VadmAdminCall *call, gconstpointer data, gpointer out)
{
    const vadm_admin_server_get_client_limits_args *args = data;
    vadm_admin_server_get_client_limits_ret *ret = out;
    vadm_typed_param *params;
    VadmServerRow row = {0};
    u_int *count = &ret->params.params_len;

    if (!vadm_admin_read_row(call, args->srv.name, args->flags, &row))
        return FALSE;
    params = ret->params.params_val = g_new0(vadm_typed_param, 4);
    vadm_params_add_uint(params, count, "nclients_max", row.clients_max);
    vadm_params_add_uint(params, count, "nclients", row.clients_current);
    vadm_params_add_uint(params, count, "nclients_unauth_max", row.clients_unauth_max);
    vadm_params_add_uint(params, count, "nclients_unauth", row.clients_unauth_current);
    return TRUE;
}

gboolean
vadm_admin_set_client_limits(VadmAdminCall *call, gconstpointer data, gpointer ret)
{
    const vadm_admin_server_set_client_limits_args *args = data;
    VadmAdminSet set = {args->srv.name, args->params.params_val, args->params.params_len,
                        args->flags};
    g_autofree VadmChange *changes = vadm_admin_check_set(call, &set, vadm_admin_limit_fields,
                                                          G_N_ELEMENTS(vadm_admin_limit_fields));

    (void)ret;
    if (!changes)
        return FALSE;
    return set.n_params == 0 || vadm_admin_change(call, changes, set.n_params, VADM_VIR_FROM_RPC);
}

gboolean
vadm_admin_update_tls_files(VadmAdminCall *call, gconstpointer data, gpointer ret)
{
    const vadm_admin_server_update_tls_files_args *args = data;
    VadmServer *server = vadm_admin_find_server(call, args->srv.name, VADM_VIR_FROM_RPC);
    g_autoptr(GError) error = NULL;

    (void)ret;
    if (!server || !vadm_admin_check_flags(call, args->flags, 0))
        return FALSE;
    return vadm_server_update_tls(server, &error) ||
           vadm_admin_fail(call,
                           error->code == VADM_ERROR_INTERNAL ? VADM_VIR_ERR_INTERNAL_ERROR
                                                              : VADM_VIR_ERR_OPERATION_FAILED,
                           VADM_VIR_FROM_RPC, "%s", error->message);
}
