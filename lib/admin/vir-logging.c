/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a daemon logs, and where to. */
#include "admin/vir-connect.h"
#include "rpc/extension.h"
#include "rpc/rpc-error.h"

/* ---- outputs and filters ---- */

VADM_VIR_PUBLIC int
virAdmConnectGetLoggingOutputs(virAdmConnectPtr conn, char **outputs, unsigned int flags)
{
    const struct vadm_admin_connect_get_logging_outputs_args args = {flags};
    struct vadm_admin_connect_get_logging_outputs_ret ret = {0};
    xdrproc_t decode = (xdrproc_t)xdr_vadm_admin_connect_get_logging_outputs_ret;
    g_autoptr(VadmVirObject) held = NULL;
    int n = -1;

    vadm_vir_enter();
    held = vadm_vir_object_hold(conn, VADM_VIR_CONNECT, __func__);
    if (!held)
        return -1;
    if (vadm_vir_call(conn, VADM_ADMIN_PROC_CONNECT_GET_LOGGING_OUTPUTS,
                      (xdrproc_t)xdr_vadm_admin_connect_get_logging_outputs_args, &args, decode,
                      &ret)) {
        n = vadm_vir_count(ret.noutputs);
        if (outputs && n >= 0)
            *outputs = g_strdup(ret.outputs);
    }
    xdr_free(decode, &ret);
    return n;
}

VADM_VIR_PUBLIC int
virAdmConnectGetLoggingFilters(virAdmConnectPtr conn, char **filters, unsigned int flags)
{
    const struct vadm_admin_connect_get_logging_filters_args args = {flags};
    struct vadm_admin_connect_get_logging_filters_ret ret = {0};
    xdrproc_t decode = (xdrproc_t)xdr_vadm_admin_connect_get_logging_filters_ret;
    g_autoptr(VadmVirObject) held = NULL;
    int n = -1;

    vadm_vir_enter();
    held = vadm_vir_object_hold(conn, VADM_VIR_CONNECT, __func__);
    if (!held)
        return -1;
    if (vadm_vir_call(conn, VADM_ADMIN_PROC_CONNECT_GET_LOGGING_FILTERS,
                      (xdrproc_t)xdr_vadm_admin_connect_get_logging_filters_args, &args, decode,
                      &ret)) {
        n = vadm_vir_count(ret.nfilters);
        if (filters && n >= 0)
            *filters = ret.filters ? g_strdup(*ret.filters) : NULL;
    }
    xdr_free(decode, &ret);
    return n;
}

/* The arguments of both are alike. */
G_STATIC_ASSERT(sizeof(struct vadm_admin_connect_set_logging_outputs_args) ==
                sizeof(struct vadm_admin_connect_set_logging_filters_args));

static int
set_text(virAdmConnectPtr conn, gint32 procedure, const char *text, unsigned int flags,
         const char *function)
{
    vadm_string value = (char *)text;
    const struct vadm_admin_connect_set_logging_filters_args args = {text ? &value : NULL, flags};
    g_autoptr(VadmVirObject) held = vadm_vir_object_hold(conn, VADM_VIR_CONNECT, function);

    if (!held)
        return -1;
    return vadm_vir_call(conn, procedure,
                         (xdrproc_t)xdr_vadm_admin_connect_set_logging_filters_args, &args, NULL,
                         NULL)
               ? 0
               : -1;
}

VADM_VIR_PUBLIC int
virAdmConnectSetLoggingOutputs(virAdmConnectPtr conn, const char *outputs, unsigned int flags)
{
    vadm_vir_enter();
    return set_text(conn, VADM_ADMIN_PROC_CONNECT_SET_LOGGING_OUTPUTS, outputs, flags, __func__);
}

VADM_VIR_PUBLIC int
virAdmConnectSetLoggingFilters(virAdmConnectPtr conn, const char *filters, unsigned int flags)
{
    vadm_vir_enter();
    return set_text(conn, VADM_ADMIN_PROC_CONNECT_SET_LOGGING_FILTERS, filters, flags, __func__);
}

/* ---- the level: a program of our own daemons ---- */

static gboolean
lacks_program(const VadmMessage *reply)
{
    g_autofree char *text = NULL;
    int number = 0;

    if (reply->header.status != VADM_RPC_ERROR)
        return FALSE;
    text = vadm_message_get_error(reply, &number, NULL);
    return text && number == VIR_ERR_RPC && g_str_has_prefix(text, "Cannot find program");
}

/* @call: its reply, if TRUE, is one with status OK. */
static gboolean
call_extension(virAdmConnectPtr conn, VadmVirIoCall *call, const char *function)
{
    VadmVirIoResult result = vadm_vir_connect_call(conn, call);

    if (result == VADM_VIR_IO_REPLIED && lacks_program(call->reply)) {
        vadm_vir_raise(VIR_ERR_NO_SUPPORT, VIR_FROM_ADMIN, "%s", function);
        return FALSE;
    }
    return vadm_vir_raise_result(result, call);
}

static int
decode_level(const VadmMessage *reply)
{
    struct vadm_extension_get_log_level_ret ret = {0};
    g_autoptr(GError) error = NULL;

    if (vadm_message_decode(reply, (xdrproc_t)xdr_vadm_extension_get_log_level_ret, &ret, &error))
        return (int)ret.level;
    vadm_vir_raise_gerror(VIR_FROM_RPC, error);
    return -1;
}

VADM_VIR_PUBLIC int
virAdmConnectGetLoggingLevel(virAdmConnectPtr conn, unsigned int flags)
{
    const struct vadm_extension_get_log_level_args args = {flags};
    VadmVirIoCall call = {
        .program = VADM_RPC_PROGRAM_EXTENSION,
        .procedure = VADM_EXTENSION_PROC_GET_LOG_LEVEL,
        .encode = (xdrproc_t)xdr_vadm_extension_get_log_level_args,
        .args = &args,
    };
    g_autoptr(VadmVirObject) held = NULL;
    int level = -1;

    vadm_vir_enter();
    held = vadm_vir_object_hold(conn, VADM_VIR_CONNECT, __func__);
    if (!held)
        return -1;
    if (call_extension(conn, &call, __func__))
        level = decode_level(call.reply);
    vadm_vir_io_call_clear(&call);
    return level;
}

VADM_VIR_PUBLIC int
virAdmConnectSetLoggingLevel(virAdmConnectPtr conn, unsigned int level, unsigned int flags)
{
    const struct vadm_extension_set_log_level_args args = {level, flags};
    VadmVirIoCall call = {
        .program = VADM_RPC_PROGRAM_EXTENSION,
        .procedure = VADM_EXTENSION_PROC_SET_LOG_LEVEL,
        .encode = (xdrproc_t)xdr_vadm_extension_set_log_level_args,
        .args = &args,
    };
    g_autoptr(VadmVirObject) held = NULL;
    gboolean done;

    vadm_vir_enter();
    held = vadm_vir_object_hold(conn, VADM_VIR_CONNECT, __func__);
    if (!held)
        return -1;
    done = call_extension(conn, &call, __func__);
    vadm_vir_io_call_clear(&call);
    return done ? 0 : -1;
}
