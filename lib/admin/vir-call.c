/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls to the daemon, and what becomes of them; arguments and results that many have in common. */
#include "admin/vir-connect.h"

#include <unistd.h>

#include "admin/vir-connect-private.h"

VadmVirIoResult
vadm_vir_connect_call(virAdmConnectPtr conn, VadmVirIoCall *call)
{
    if (conn->pid == getpid())
        return vadm_vir_io_call(conn->io, call);
    call->error =
        g_error_new(VADM_ERROR, VADM_ERROR_CONFLICT,
                    "the connection belongs to process %d, not to its child", (int)conn->pid);
    return VADM_VIR_IO_FAILED;
}

gboolean
vadm_vir_raise_result(VadmVirIoResult result, const VadmVirIoCall *call)
{
    switch (result) {
    case VADM_VIR_IO_REPLIED:
        if (call->reply->header.status == VADM_RPC_OK)
            return TRUE;
        vadm_vir_raise_reply(call->reply);
        return FALSE;
    case VADM_VIR_IO_ENDED:
        /* libvirt has it as a fault of its own, not as a timeout of the call */
        if (!call->silent)
            break;
        vadm_vir_raise(VIR_ERR_INTERNAL_ERROR, VIR_FROM_RPC, "%s", call->error->message);
        return FALSE;
    case VADM_VIR_IO_CLOSED:
        vadm_vir_raise(VIR_ERR_INTERNAL_ERROR, VIR_FROM_RPC, "client socket is closed");
        return FALSE;
    case VADM_VIR_IO_FAILED:
    default:
        break;
    }
    vadm_vir_raise_gerror(VIR_FROM_RPC, call->error);
    return FALSE;
}

gboolean
vadm_vir_call(virAdmConnectPtr conn, gint32 procedure, xdrproc_t encode, gconstpointer args,
              xdrproc_t decode, gpointer ret)
{
    VadmVirIoCall call = {
        .program = VADM_RPC_PROGRAM_ADMIN,
        .procedure = procedure,
        .encode = encode,
        .args = args,
    };
    gboolean ok = vadm_vir_raise_result(vadm_vir_connect_call(conn, &call), &call);
    g_autoptr(GError) error = NULL;

    if (ok && decode && !vadm_message_decode(call.reply, decode, ret, &error)) {
        vadm_vir_raise_gerror(VIR_FROM_RPC, error);
        ok = FALSE;
    }
    vadm_vir_io_call_clear(&call);
    return ok;
}

/* ---- numbers ---- */

int
vadm_vir_count(guint32 count)
{
    if (count <= G_MAXINT)
        return (int)count;
    vadm_vir_raise(VIR_ERR_RPC, VIR_FROM_RPC, "the daemon counts %u, which no int can hold", count);
    return -1;
}

int
vadm_vir_list_length(gboolean listed, guint length, guint32 count)
{
    return vadm_vir_count(listed ? length : count);
}

/* ---- typed parameters ---- */

/* The results of all procedures that have parameters are alike but for how many there may be. */
typedef struct vadm_admin_client_get_info_ret ParamsRet;

G_STATIC_ASSERT(sizeof(ParamsRet) ==
                sizeof(struct vadm_admin_server_get_threadpool_parameters_ret));
G_STATIC_ASSERT(sizeof(ParamsRet) == sizeof(struct vadm_admin_server_get_client_limits_ret));

gboolean
vadm_vir_check_out_params(virTypedParameterPtr *params, const int *nparams, const char *function)
{
    if (params && nparams)
        return TRUE;
    vadm_vir_raise_null(VIR_FROM_ADMIN, params ? "nparams" : "params", function);
    return FALSE;
}

int
vadm_vir_call_for_params(virAdmConnectPtr conn, gint32 procedure, xdrproc_t encode,
                         gconstpointer args, xdrproc_t decode, virTypedParameterPtr *params,
                         int *nparams)
{
    ParamsRet ret = {0};
    gboolean done =
        vadm_vir_call(conn, procedure, encode, args, decode, &ret) &&
        vadm_vir_params_from_wire(ret.params.params_val, ret.params.params_len, params, nparams);

    xdr_free(decode, &ret);
    return done ? 0 : -1;
}

gboolean
vadm_vir_check_in_params(const virTypedParameter *params, int nparams, guint max,
                         const char *function)
{
    if (!params) {
        vadm_vir_raise_null(VIR_FROM_ADMIN, "params", function);
        return FALSE;
    }
    if (nparams < 0) {
        vadm_vir_raise_negative(VIR_FROM_ADMIN, "nparams", function);
        return FALSE;
    }
    if ((guint)nparams <= max)
        return TRUE;
    vadm_vir_raise(VIR_ERR_RPC, VIR_FROM_NONE, "too many parameters '%d' for limit '%u'", nparams,
                   max);
    return FALSE;
}
