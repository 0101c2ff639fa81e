/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures about the daemon as a whole: the connection, its servers, its end. */
#define VADM_LOG_CATEGORY "admin.daemon"
#include "admin/admin-private.h"

#include "common/log.h"

gboolean
vadm_admin_connect_open(VadmAdminCall *call, gconstpointer data, gpointer ret)
{
    const vadm_admin_connect_open_args *args = data;

    (void)ret;
    return vadm_admin_check_flags(call, args->flags, 0);
}

gboolean
vadm_admin_connect_close(VadmAdminCall *call, gconstpointer args, gpointer ret)
{
    (void)args;
    (void)ret;
    call->outcome = VADM_ADMIN_REPLY_CLOSE;
    return TRUE;
}

gboolean
vadm_admin_get_lib_version(VadmAdminCall *call, gconstpointer args, gpointer data)
{
    vadm_admin_connect_get_lib_version_ret *ret = data;

    (void)call;
    (void)args;
    ret->lib_version = VADM_ADMIN_LIB_VERSION;
    return TRUE;
}

gboolean
vadm_admin_list_servers(VadmAdminCall *call, gconstpointer data, gpointer out)
{
    const vadm_admin_connect_list_servers_args *args = data;
    vadm_admin_connect_list_servers_ret *ret = out;
    g_autoptr(VadmConfig) config = NULL;

    if (!vadm_admin_check_flags(call, args->flags, 0))
        return FALSE;
    config = vadm_daemon_get_config(call->daemon);
    if (config->servers->len > VADM_ADMIN_SERVERS_MAX)
        return vadm_admin_fail(call, VADM_VIR_ERR_INTERNAL_ERROR, VADM_VIR_FROM_RPC,
                               "Too many servers '%u' for limit '%u'", config->servers->len,
                               VADM_ADMIN_SERVERS_MAX);
    ret->ret = config->servers->len;
    if (!args->need_results)
        return TRUE;
    ret->servers.servers_len = config->servers->len;
    ret->servers.servers_val = g_new0(vadm_admin_server, config->servers->len);
    for (guint i = 0; i < config->servers->len; i++) {
        const VadmServerConfig *server = g_ptr_array_index(config->servers, i);

        ret->servers.servers_val[i].name = g_strdup(server->name);
    }
    return TRUE;
}

/* The one procedure that does not look at its flags: stock clients rely on nothing here, but
 * the stock daemon accepts any. */
gboolean
vadm_admin_lookup_server(VadmAdminCall *call, gconstpointer data, gpointer out)
{
    const vadm_admin_connect_lookup_server_args *args = data;
    vadm_admin_connect_lookup_server_ret *ret = out;
    VadmServer *server = vadm_admin_find_server(call, args->name, VADM_VIR_FROM_RPC);

    if (!server)
        return FALSE;
    ret->srv.name = g_strdup(vadm_server_get_name(server));
    return TRUE;
}

/* The caller as the log names it. Returns: (transfer full) */
static char *
vadm_admin_describe_caller(VadmAdminCall *call)
{
    g_autoptr(VadmIdentity) identity = vadm_client_get_identity(call->client);

    return vadm_identity_peer(identity, vadm_client_get_transport(call->client));
}

gboolean
vadm_admin_set_daemon_timeout(VadmAdminCall *call, gconstpointer data, gpointer ret)
{
    const vadm_admin_connect_set_daemon_timeout_args *args = data;
    g_autofree char *caller = NULL;

    (void)ret;
    if (!vadm_admin_check_flags(call, args->flags, 0))
        return FALSE;
    caller = vadm_admin_describe_caller(call);
    VADM_INFO("daemon timeout set to %u seconds by %s", args->timeout, caller);
    vadm_daemon_set_timeout(call->daemon, args->timeout);
    return TRUE;
}

/* PRESERVE asks drivers to save their state first; there are none here. */
gboolean
vadm_admin_daemon_shutdown(VadmAdminCall *call, gconstpointer data, gpointer ret)
{
    const vadm_admin_connect_daemon_shutdown_args *args = data;
    g_autofree char *caller = NULL;

    (void)ret;
    if (!vadm_admin_check_flags(call, args->flags, VADM_ADMIN_SHUTDOWN_PRESERVE))
        return FALSE;
    caller = vadm_admin_describe_caller(call);
    VADM_WARN("shutdown asked for by %s", caller);
    call->outcome = VADM_ADMIN_REPLY_QUIT;
    return TRUE;
}
