/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Clients: which there are, who they are, and how to be rid of one. */
#include "admin/vir-connect.h"

static void
client_dispose(gpointer object)
{
    virAdmClientPtr client = object;

    vadm_vir_object_unref(client->server);
    g_free(client);
}

static virAdmClientPtr
client_new(virAdmServerPtr server, const vadm_admin_client *row)
{
    virAdmClientPtr client = g_new0(virAdmClient, 1);

    vadm_vir_object_init(&client->object, VADM_VIR_CLIENT, client_dispose);
    client->server = vadm_vir_object_ref(server);
    client->id = row->id;
    client->timestamp = row->timestamp;
    client->transport = row->transport;
    return client;
}

VADM_VIR_PUBLIC int
virAdmClientFree(virAdmClientPtr client)
{
    vadm_vir_enter();
    if (!client)
        return 0;
    return vadm_vir_object_release(client, VADM_VIR_CLIENT, __func__) < 0 ? -1 : 0;
}

VADM_VIR_PUBLIC unsigned long long
virAdmClientGetID(virAdmClientPtr client)
{
    g_autoptr(VadmVirObject) held = NULL;

    vadm_vir_enter();
    held = vadm_vir_object_hold(client, VADM_VIR_CLIENT, __func__);
    return held ? client->id : G_MAXUINT64;
}

VADM_VIR_PUBLIC long long
virAdmClientGetTimestamp(virAdmClientPtr client)
{
    g_autoptr(VadmVirObject) held = NULL;

    vadm_vir_enter();
    held = vadm_vir_object_hold(client, VADM_VIR_CLIENT, __func__);
    return held ? client->timestamp : -1;
}

VADM_VIR_PUBLIC int
virAdmClientGetTransport(virAdmClientPtr client)
{
    g_autoptr(VadmVirObject) held = NULL;

    vadm_vir_enter();
    held = vadm_vir_object_hold(client, VADM_VIR_CLIENT, __func__);
    return held ? (int)client->transport : -1;
}

/* ---- which there are ---- */

static virAdmClientPtr *
new_clients(virAdmServerPtr server, const vadm_admin_client *list, guint n)
{
    virAdmClientPtr *clients = g_new0(virAdmClientPtr, (gsize)n + 1);

    for (guint i = 0; i < n; i++)
        clients[i] = client_new(server, &list[i]);
    return clients;
}

VADM_VIR_PUBLIC int
virAdmServerListClients(virAdmServerPtr srv, virAdmClientPtr **clients, unsigned int flags)
{
    struct vadm_admin_server_list_clients_args args = {{NULL}, clients != NULL, flags};
    struct vadm_admin_server_list_clients_ret ret = {0};
    xdrproc_t decode = (xdrproc_t)xdr_vadm_admin_server_list_clients_ret;
    g_autoptr(VadmVirObject) held = NULL;
    int n = -1;

    vadm_vir_enter();
    held = vadm_vir_object_hold(srv, VADM_VIR_SERVER, __func__);
    if (!held)
        return -1;
    args.srv.name = srv->name;
    if (vadm_vir_call(srv->conn, VADM_ADMIN_PROC_SERVER_LIST_CLIENTS,
                      (xdrproc_t)xdr_vadm_admin_server_list_clients_args, &args, decode, &ret)) {
        n = vadm_vir_list_length(clients != NULL, ret.clients.clients_len, ret.ret);
        if (clients && n >= 0)
            *clients = new_clients(srv, ret.clients.clients_val, (guint)n);
    }
    xdr_free(decode, &ret);
    return n;
}

VADM_VIR_PUBLIC virAdmClientPtr
virAdmServerLookupClient(virAdmServerPtr srv, unsigned long long id, unsigned int flags)
{
    struct vadm_admin_server_lookup_client_args args = {{NULL}, id, flags};
    struct vadm_admin_server_lookup_client_ret ret = {0};
    xdrproc_t decode = (xdrproc_t)xdr_vadm_admin_server_lookup_client_ret;
    g_autoptr(VadmVirObject) held = NULL;
    virAdmClientPtr client = NULL;

    vadm_vir_enter();
    held = vadm_vir_object_hold(srv, VADM_VIR_SERVER, __func__);
    if (!held)
        return NULL;
    args.srv.name = srv->name;
    if (vadm_vir_call(srv->conn, VADM_ADMIN_PROC_SERVER_LOOKUP_CLIENT,
                      (xdrproc_t)xdr_vadm_admin_server_lookup_client_args, &args, decode, &ret))
        client = client_new(srv, &ret.clnt);
    xdr_free(decode, &ret);
    return client;
}

/* ---- one of them ---- */

static vadm_admin_client
to_wire(virAdmClientPtr client)
{
    return (vadm_admin_client){
        .srv = {client->server->name},
        .id = client->id,
        .timestamp = client->timestamp,
        .transport = client->transport,
    };
}

VADM_VIR_PUBLIC int
virAdmClientGetInfo(virAdmClientPtr client, virTypedParameterPtr *params, int *nparams,
                    unsigned int flags)
{
    struct vadm_admin_client_get_info_args args = {.flags = flags};
    g_autoptr(VadmVirObject) held = NULL;

    vadm_vir_enter();
    held = vadm_vir_object_hold(client, VADM_VIR_CLIENT, __func__);
    if (!held || !vadm_vir_check_out_params(params, nparams, __func__))
        return -1;
    args.clnt = to_wire(client);
    return vadm_vir_call_for_params(client->server->conn, VADM_ADMIN_PROC_CLIENT_GET_INFO,
                                    (xdrproc_t)xdr_vadm_admin_client_get_info_args, &args,
                                    (xdrproc_t)xdr_vadm_admin_client_get_info_ret, params, nparams);
}

VADM_VIR_PUBLIC int
virAdmClientClose(virAdmClientPtr client, unsigned int flags)
{
    struct vadm_admin_client_close_args args = {.flags = flags};
    g_autoptr(VadmVirObject) held = NULL;

    vadm_vir_enter();
    held = vadm_vir_object_hold(client, VADM_VIR_CLIENT, __func__);
    if (!held)
        return -1;
    args.clnt = to_wire(client);
    return vadm_vir_call(client->server->conn, VADM_ADMIN_PROC_CLIENT_CLOSE,
                         (xdrproc_t)xdr_vadm_admin_client_close_args, &args, NULL, NULL)
               ? 0
               : -1;
}
