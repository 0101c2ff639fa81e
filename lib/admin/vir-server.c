/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Servers: which there are, their worker pools, limits of clients and certificates. */
#include "admin/vir-connect.h"

static void
server_dispose(gpointer object)
{
    virAdmServerPtr server = object;

    vadm_vir_object_unref(server->conn);
    g_free(server->name);
    g_free(server);
}

static virAdmServerPtr
server_new(virAdmConnectPtr conn, const char *name)
{
    virAdmServerPtr server = g_new0(virAdmServer, 1);

    vadm_vir_object_init(&server->object, VADM_VIR_SERVER, server_dispose);
    server->conn = vadm_vir_object_ref(conn);
    server->name = g_strdup(name);
    return server;
}

VADM_VIR_PUBLIC int
virAdmServerFree(virAdmServerPtr srv)
{
    vadm_vir_enter();
    if (!srv)
        return 0;
    return vadm_vir_object_release(srv, VADM_VIR_SERVER, __func__) < 0 ? -1 : 0;
}

VADM_VIR_PUBLIC const char *
virAdmServerGetName(virAdmServerPtr srv)
{
    g_autoptr(VadmVirObject) held = NULL;

    vadm_vir_enter();
    held = vadm_vir_object_hold(srv, VADM_VIR_SERVER, __func__);
    return held ? srv->name : NULL;
}

/* ---- which there are ---- */

static virAdmServerPtr *
new_servers(virAdmConnectPtr conn, const vadm_admin_server *list, guint n)
{
    virAdmServerPtr *servers = g_new0(virAdmServerPtr, (gsize)n + 1);

    for (guint i = 0; i < n; i++)
        servers[i] = server_new(conn, list[i].name);
    return servers;
}

VADM_VIR_PUBLIC int
virAdmConnectListServers(virAdmConnectPtr conn, virAdmServerPtr **servers, unsigned int flags)
{
    const struct vadm_admin_connect_list_servers_args args = {servers != NULL, flags};
    struct vadm_admin_connect_list_servers_ret ret = {0};
    xdrproc_t decode = (xdrproc_t)xdr_vadm_admin_connect_list_servers_ret;
    g_autoptr(VadmVirObject) held = NULL;
    int n = -1;

    vadm_vir_enter();
    held = vadm_vir_object_hold(conn, VADM_VIR_CONNECT, __func__);
    if (!held)
        return -1;
    if (vadm_vir_call(conn, VADM_ADMIN_PROC_CONNECT_LIST_SERVERS,
                      (xdrproc_t)xdr_vadm_admin_connect_list_servers_args, &args, decode, &ret)) {
        n = vadm_vir_list_length(servers != NULL, ret.servers.servers_len, ret.ret);
        if (servers && n >= 0)
            *servers = new_servers(conn, ret.servers.servers_val, (guint)n);
    }
    xdr_free(decode, &ret);
    return n;
}

VADM_VIR_PUBLIC virAdmServerPtr
virAdmConnectLookupServer(virAdmConnectPtr conn, const char *name, unsigned int flags)
{
    const struct vadm_admin_connect_lookup_server_args args = {(char *)name, flags};
    struct vadm_admin_connect_lookup_server_ret ret = {0};
    xdrproc_t decode = (xdrproc_t)xdr_vadm_admin_connect_lookup_server_ret;
    g_autoptr(VadmVirObject) held = NULL;
    virAdmServerPtr server = NULL;

    vadm_vir_enter();
    held = vadm_vir_object_hold(conn, VADM_VIR_CONNECT, __func__);
    if (!held)
        return NULL;
    if (!name) {
        vadm_vir_raise_null(VIR_FROM_ADMIN, "name", __func__);
        return NULL;
    }
    if (vadm_vir_call(conn, VADM_ADMIN_PROC_CONNECT_LOOKUP_SERVER,
                      (xdrproc_t)xdr_vadm_admin_connect_lookup_server_args, &args, decode, &ret))
        server = server_new(conn, ret.srv.name);
    xdr_free(decode, &ret);
    return server;
}

/* ---- parameters: of the worker pool and of the limits, which differ in a number ---- */

static int
get_params(virAdmServerPtr srv, gint32 procedure, virTypedParameterPtr *params, int *nparams,
           xdrproc_t decode, unsigned int flags, const char *function)
{
    struct vadm_admin_server_get_threadpool_parameters_args args = {{NULL}, flags};
    g_autoptr(VadmVirObject) held = vadm_vir_object_hold(srv, VADM_VIR_SERVER, function);

    if (!held || !vadm_vir_check_out_params(params, nparams, function))
        return -1;
    args.srv.name = srv->name;
    return vadm_vir_call_for_params(srv->conn, procedure,
                                    (xdrproc_t)xdr_vadm_admin_server_get_threadpool_parameters_args,
                                    &args, decode, params, nparams);
}

static int
set_params(virAdmServerPtr srv, gint32 procedure, virTypedParameterPtr params, int nparams,
           guint max, unsigned int flags, const char *function)
{
    struct vadm_admin_server_set_threadpool_parameters_args args = {.flags = flags};
    g_autoptr(VadmVirObject) held = vadm_vir_object_hold(srv, VADM_VIR_SERVER, function);
    gboolean done;

    if (!held || !vadm_vir_check_in_params(params, nparams, max, function) ||
        !vadm_vir_params_to_wire(params, nparams, &args.params.params_val, &args.params.params_len))
        return -1;
    args.srv.name = srv->name;
    done = vadm_vir_call(srv->conn, procedure,
                         (xdrproc_t)xdr_vadm_admin_server_set_threadpool_parameters_args, &args,
                         NULL, NULL);
    vadm_vir_params_wire_free(args.params.params_val, args.params.params_len);
    return done ? 0 : -1;
}

G_STATIC_ASSERT(sizeof(struct vadm_admin_server_get_threadpool_parameters_args) ==
                sizeof(struct vadm_admin_server_get_client_limits_args));

VADM_VIR_PUBLIC int
virAdmServerGetThreadPoolParameters(virAdmServerPtr srv, virTypedParameterPtr *params, int *nparams,
                                    unsigned int flags)
{
    vadm_vir_enter();
    return get_params(srv, VADM_ADMIN_PROC_SERVER_GET_THREADPOOL_PARAMETERS, params, nparams,
                      (xdrproc_t)xdr_vadm_admin_server_get_threadpool_parameters_ret, flags,
                      __func__);
}

VADM_VIR_PUBLIC int
virAdmServerSetThreadPoolParameters(virAdmServerPtr srv, virTypedParameterPtr params, int nparams,
                                    unsigned int flags)
{
    vadm_vir_enter();
    return set_params(srv, VADM_ADMIN_PROC_SERVER_SET_THREADPOOL_PARAMETERS, params, nparams,
                      VADM_ADMIN_THREADPOOL_PARAMS_MAX, flags, __func__);
}

VADM_VIR_PUBLIC int
virAdmServerGetClientLimits(virAdmServerPtr srv, virTypedParameterPtr *params, int *nparams,
                            unsigned int flags)
{
    vadm_vir_enter();
    return get_params(srv, VADM_ADMIN_PROC_SERVER_GET_CLIENT_LIMITS, params, nparams,
                      (xdrproc_t)xdr_vadm_admin_server_get_client_limits_ret, flags, __func__);
}

VADM_VIR_PUBLIC int
virAdmServerSetClientLimits(virAdmServerPtr srv, virTypedParameterPtr params, int nparams,
                            unsigned int flags)
{
    vadm_vir_enter();
    return set_params(srv, VADM_ADMIN_PROC_SERVER_SET_CLIENT_LIMITS, params, nparams,
                      VADM_ADMIN_CLIENT_LIMITS_PARAMS_MAX, flags, __func__);
}

/* ---- certificates ---- */

VADM_VIR_PUBLIC int
virAdmServerUpdateTlsFiles(virAdmServerPtr srv, unsigned int flags)
{
    struct vadm_admin_server_update_tls_files_args args = {{NULL}, flags};
    g_autoptr(VadmVirObject) held = NULL;

    vadm_vir_enter();
    held = vadm_vir_object_hold(srv, VADM_VIR_SERVER, __func__);
    if (!held)
        return -1;
    args.srv.name = srv->name;
    return vadm_vir_call(srv->conn, VADM_ADMIN_PROC_SERVER_UPDATE_TLS_FILES,
                         (xdrproc_t)xdr_vadm_admin_server_update_tls_files_args, &args, NULL, NULL)
               ? 0
               : -1;
}
