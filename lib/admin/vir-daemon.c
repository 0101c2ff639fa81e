/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon as a whole: its version, and its end. */
#include "admin/vir-connect.h"

VADM_VIR_PUBLIC int
virAdmConnectGetLibVersion(virAdmConnectPtr conn, unsigned long long *libVer)
{
    struct vadm_admin_connect_get_lib_version_ret ret = {0};
    g_autoptr(VadmVirObject) held = NULL;

    vadm_vir_enter();
    held = vadm_vir_object_hold(conn, VADM_VIR_CONNECT, __func__);
    if (!held)
        return -1;
    if (!libVer) {
        vadm_vir_raise_null(VIR_FROM_ADMIN, "libVer", __func__);
        return -1;
    }
    if (!vadm_vir_call(conn, VADM_ADMIN_PROC_CONNECT_GET_LIB_VERSION, NULL, NULL,
                       (xdrproc_t)xdr_vadm_admin_connect_get_lib_version_ret, &ret))
        return -1;
    *libVer = ret.lib_version;
    return 0;
}

VADM_VIR_PUBLIC int
virAdmConnectSetDaemonTimeout(virAdmConnectPtr conn, unsigned int timeout, unsigned int flags)
{
    const struct vadm_admin_connect_set_daemon_timeout_args args = {timeout, flags};
    g_autoptr(VadmVirObject) held = NULL;

    vadm_vir_enter();
    held = vadm_vir_object_hold(conn, VADM_VIR_CONNECT, __func__);
    if (!held)
        return -1;
    return vadm_vir_call(conn, VADM_ADMIN_PROC_CONNECT_SET_DAEMON_TIMEOUT,
                         (xdrproc_t)xdr_vadm_admin_connect_set_daemon_timeout_args, &args, NULL,
                         NULL)
               ? 0
               : -1;
}

/* libvirt's daemons close all connections before they have answered. One that is silent has not
 * ended. */
VADM_VIR_PUBLIC int
virAdmConnectDaemonShutdown(virAdmConnectPtr conn, unsigned int flags)
{
    const struct vadm_admin_connect_daemon_shutdown_args args = {flags};
    VadmVirIoCall call = {
        .program = VADM_RPC_PROGRAM_ADMIN,
        .procedure = VADM_ADMIN_PROC_CONNECT_DAEMON_SHUTDOWN,
        .encode = (xdrproc_t)xdr_vadm_admin_connect_daemon_shutdown_args,
        .args = &args,
    };
    g_autoptr(VadmVirObject) held = NULL;
    VadmVirIoResult result;
    gboolean done;

    vadm_vir_enter();
    held = vadm_vir_object_hold(conn, VADM_VIR_CONNECT, __func__);
    if (!held)
        return -1;
    result = vadm_vir_connect_call(conn, &call);
    done = (result == VADM_VIR_IO_ENDED && !call.silent) || vadm_vir_raise_result(result, &call);
    vadm_vir_io_call_clear(&call);
    return done ? 0 : -1;
}
