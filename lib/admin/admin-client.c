/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures about the clients of a server. */
#define VADM_LOG_CATEGORY "admin.client"
#include "admin/admin-private.h"
#include "admin/params.h"

#include "common/log.h"

/* How long client-info waits for the names of a client that has just connected, microseconds:
 * long enough for files and a healthy directory, too short to be noticed where NSS hangs. */
#define VADM_ADMIN_NAMES_WAIT (G_USEC_PER_SEC / 5)

/* Returns: (transfer full) (nullable): NULL: @call has failed, with the text of @domain */
static VadmClient *
vadm_admin_find_client(VadmAdminCall *call, VadmServer *server, guint64 id, int domain)
{
    VadmClient *client = vadm_server_lookup_client(server, id);

    if (client)
        return client;
    if (domain == VADM_VIR_FROM_ADMIN)
        vadm_admin_fail(call, VADM_VIR_ERR_NO_CLIENT, domain,
                        "no client with matching id '%" G_GUINT64_FORMAT "' found", id);
    else
        vadm_admin_fail(call, VADM_VIR_ERR_NO_CLIENT, domain,
                        "No client with matching ID '%" G_GUINT64_FORMAT "'", id);
    return NULL;
}

static void
vadm_admin_fill_client(vadm_admin_client *out, VadmClient *client)
{
    out->srv.name = g_strdup(vadm_server_get_name(vadm_client_get_server(client)));
    out->id = vadm_client_get_id(client);
    out->timestamp = vadm_client_get_connected_since(client) / G_USEC_PER_SEC;
    /* libvirt counts transports from 0: unix, tcp, tls; the MIB from 1. */
    out->transport = (u_int)vadm_client_get_transport(client) - VADM_TRANSPORT_UNIX;
}

/* A list longer than the protocol's arrays cannot be sent, and a part of it would be taken for
 * the whole, so it is refused, as libvirt does. The mere count is always given. */
gboolean
vadm_admin_list_clients(VadmAdminCall *call, gconstpointer data, gpointer out)
{
    const vadm_admin_server_list_clients_args *args = data;
    vadm_admin_server_list_clients_ret *ret = out;
    VadmServer *server = vadm_admin_find_server(call, args->srv.name, VADM_VIR_FROM_RPC);
    g_autoptr(GPtrArray) clients = NULL;

    if (!server || !vadm_admin_check_flags(call, args->flags, 0))
        return FALSE;
    if (!args->need_results) {
        ret->ret = vadm_server_count_clients(server);
        return TRUE;
    }
    clients = vadm_server_list_clients(server);
    if (clients->len > VADM_ADMIN_CLIENTS_MAX)
        return vadm_admin_fail(call, VADM_VIR_ERR_INTERNAL_ERROR, VADM_VIR_FROM_RPC,
                               "Too many clients '%u' for limit '%u'", clients->len,
                               VADM_ADMIN_CLIENTS_MAX);
    ret->ret = clients->len;
    ret->clients.clients_len = clients->len;
    ret->clients.clients_val = g_new0(vadm_admin_client, clients->len);
    for (guint i = 0; i < clients->len; i++)
        vadm_admin_fill_client(&ret->clients.clients_val[i], g_ptr_array_index(clients, i));
    return TRUE;
}

gboolean
vadm_admin_lookup_client(VadmAdminCall *call, gconstpointer data, gpointer out)
{
    const vadm_admin_server_lookup_client_args *args = data;
    vadm_admin_server_lookup_client_ret *ret = out;
    VadmServer *server = vadm_admin_find_server(call, args->srv.name, VADM_VIR_FROM_RPC);
    g_autoptr(VadmClient) client = NULL;

    if (!server || !vadm_admin_check_flags(call, args->flags, 0))
        return FALSE;
    client = vadm_admin_find_client(call, server, args->id, VADM_VIR_FROM_RPC);
    if (!client)
        return FALSE;
    vadm_admin_fill_client(&ret->clnt, client);
    return TRUE;
}

static void
vadm_admin_add_unix_identity(vadm_typed_param *params, u_int *count, const VadmIdentity *identity)
{
    const guint32 absent = G_MAXUINT32;

    if (identity->uid != absent)
        vadm_params_add_int(params, count, "unix_user_id", (gint32)identity->uid);
    vadm_params_add_string(params, count, "unix_user_name", identity->user_name);
    if (identity->gid != absent)
        vadm_params_add_int(params, count, "unix_group_id", (gint32)identity->gid);
    vadm_params_add_string(params, count, "unix_group_name", identity->group_name);
    if (identity->pid != 0)
        vadm_params_add_int(params, count, "unix_process_id", (gint32)identity->pid);
}

gboolean
vadm_admin_get_client_info(VadmAdminCall *call, gconstpointer data, gpointer out)
{
    const vadm_admin_client_get_info_args *args = data;
    vadm_admin_client_get_info_ret *ret = out;
    VadmServer *server = vadm_admin_find_server(call, args->clnt.srv.name, VADM_VIR_FROM_ADMIN);
    g_autoptr(VadmClient) client = NULL;
    g_autoptr(VadmIdentity) identity = NULL;
    vadm_typed_param *params;
    u_int *count = &ret->params.params_len;

    if (!server)
        return FALSE;
    client = vadm_admin_find_client(call, server, args->clnt.id, VADM_VIR_FROM_ADMIN);
    if (!client || !vadm_admin_check_flags(call, args->flags, 0))
        return FALSE;
    if (vadm_client_is_closed(client))
        return vadm_admin_fail(call, VADM_VIR_ERR_INTERNAL_ERROR, VADM_VIR_FROM_RPC,
                               "No network socket associated with client");
    identity = vadm_client_wait_names(client, VADM_ADMIN_NAMES_WAIT);
    params = ret->params.params_val = g_new0(vadm_typed_param, 10);
    vadm_params_add_boolean(params, count, "readonly", vadm_client_is_readonly(client));
    vadm_params_add_string(params, count, "sasl_user_name", identity->sasl_user_name);
    vadm_params_add_string(params, count, "sock_addr", identity->sock_addr);
    vadm_params_add_string(params, count, "tls_x509_dname", identity->x509_dn);
    if (identity->local)
        vadm_admin_add_unix_identity(params, count, identity);
    vadm_params_add_string(params, count, "selinux_context", identity->selinux_context);
    return TRUE;
}

gboolean
vadm_admin_close_client(VadmAdminCall *call, gconstpointer data, gpointer ret)
{
    const vadm_admin_client_close_args *args = data;
    VadmServer *server = vadm_admin_find_server(call, args->clnt.srv.name, VADM_VIR_FROM_RPC);
    g_autoptr(VadmClient) client = NULL;

    (void)ret;
    if (!server)
        return FALSE;
    client = vadm_admin_find_client(call, server, args->clnt.id, VADM_VIR_FROM_RPC);
    if (!client || !vadm_admin_check_flags(call, args->flags, 0))
        return FALSE;
    VADM_INFO("client %" G_GUINT64_FORMAT " of server %s disconnected by client %" G_GUINT64_FORMAT
              " of server %s",
              args->clnt.id, args->clnt.srv.name, vadm_client_get_id(call->client),
              vadm_server_get_name(call->server));
    vadm_client_post_close(client, VADM_DISCONNECT_ADMINISTRATOR);
    if (client == call->client)
        call->outcome = VADM_ADMIN_NO_REPLY;
    return TRUE;
}
