/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The objects of libvirtadm.so and how its public functions call the daemon.
 */
#ifndef VADM_ADMIN_VIR_CONNECT_H
#define VADM_ADMIN_VIR_CONNECT_H

#include "admin/vir-io.h"
#include "admin/vir-private.h"
#include "rpc/admin.h"

struct _virAdmServer {
    VadmVirObject object;
    virAdmConnectPtr conn; /* a reference */
    char *name;
};

/* As it was when the daemon told about it. */
struct _virAdmClient {
    VadmVirObject object;
    virAdmServerPtr server; /* a reference */
    guint64 id;
    gint64 timestamp;
    guint32 transport;
};

/**
 * vadm_vir_call: calls a procedure of the admin program; blocks.
 * @encode: XDR function of @args
 * @decode: (nullable): XDR function of @ret, which is zeroed, and is freed with
 *     xdr_free(@decode, @ret), also after a failure
 *
 * FALSE: an error was raised.
 */
gboolean vadm_vir_call(virAdmConnectPtr conn, gint32 procedure, xdrproc_t encode,
                       gconstpointer args, xdrproc_t decode, gpointer ret);

/** vadm_vir_connect_call: one step below: @call is filled in, and nothing is raised, but when the
 * connection is that of another process: then VADM_VIR_IO_FAILED. */
VadmVirIoResult vadm_vir_connect_call(virAdmConnectPtr conn, VadmVirIoCall *call);
/** vadm_vir_raise_result: raises what became of a call, unless it was answered with OK.
 * Returns: whether it was */
gboolean vadm_vir_raise_result(VadmVirIoResult result, const VadmVirIoCall *call);

/** vadm_vir_server_new: Returns: (transfer full): holds @conn */
virAdmServerPtr vadm_vir_server_new(virAdmConnectPtr conn, const char *name);
/** vadm_vir_client_new: Returns: (transfer full): holds @server */
virAdmClientPtr vadm_vir_client_new(virAdmServerPtr server, const vadm_admin_client *client);

#endif
