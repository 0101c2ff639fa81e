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

/** vadm_vir_count: Returns: @count; -1, and an error was raised, when that is no int */
int vadm_vir_count(guint32 count);
/** vadm_vir_list_length: the same of a list: its @length, or the daemon's @count when it was not
 * @listed */
int vadm_vir_list_length(gboolean listed, guint length, guint32 count);

/** vadm_vir_check_out_params: FALSE: an error was raised: one of them is NULL */
gboolean vadm_vir_check_out_params(virTypedParameterPtr *params, const int *nparams,
                                   const char *function);
/**
 * vadm_vir_call_for_params: as vadm_vir_call(), for a procedure whose result is one array of
 * parameters.
 * @decode: its XDR function
 * @params: (out): for virTypedParamsFree()
 *
 * Returns: 0; -1: an error was raised
 */
int vadm_vir_call_for_params(virAdmConnectPtr conn, gint32 procedure, xdrproc_t encode,
                             gconstpointer args, xdrproc_t decode, virTypedParameterPtr *params,
                             int *nparams);
/** vadm_vir_check_in_params: FALSE: an error was raised: @params is NULL, @nparams negative or
 * above @max */
gboolean vadm_vir_check_in_params(const virTypedParameter *params, int nparams, guint max,
                                  const char *function);

#endif
