/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of libvirtadm.so (lib/admin/vir-*.c) share: how errors are raised and what all
 * objects begin with. Any thread, unless said otherwise.
 *
 * A public function first calls vadm_vir_enter(), checks its object, and on its way out raises
 * one error at most: each one raised reaches the program's error function.
 */
#ifndef VADM_ADMIN_VIR_PRIVATE_H
#define VADM_ADMIN_VIR_PRIVATE_H

#include <libvirt/libvirt-admin.h>
#include <libvirt/virterror.h>

#include "common/error.h"
#include "rpc/message.h"
#include "rpc/protocol.h"

/* Before the definition of each function of the public headers: all others are hidden. */
#define VADM_VIR_PUBLIC __attribute__((visibility("default")))

/* ---- errors: vir-error.c ---- */

/** vadm_vir_enter: resets the last error, as each public function does first. */
void vadm_vir_enter(void);

/**
 * vadm_vir_raise: makes the last error of this thread, and calls the error function.
 * @number: virErrorNumber
 * @domain: virErrorDomain
 * @format: the detail: the prefix of @number ("invalid argument: ") is put before it
 *
 * str1 is the prefix with "%s", str2 the detail, int1 and int2 are -1: as libvirt's own errors.
 * errno is kept. No lock that a public function takes may be held: the error function is the
 * program's.
 */
void vadm_vir_raise(int number, int domain, const char *format, ...) G_GNUC_PRINTF(3, 4);

/** vadm_vir_raise_gerror: @error: of domain VADM_ERROR; its number is that of
 * vadm_rpc_error_number(), and its errno, where it has one, goes to int1. */
void vadm_vir_raise_gerror(int domain, const GError *error);

/**
 * vadm_vir_raise_reply: takes over in full what the daemon says.
 * @reply: with status ERROR; one that cannot be decoded is VIR_ERR_RPC
 */
void vadm_vir_raise_reply(const VadmMessage *reply);

/** vadm_vir_raise_flags: "unsupported flags (0x%x) in function %s", VIR_ERR_INVALID_ARG of
 * VIR_FROM_ADMIN. */
void vadm_vir_raise_flags(unsigned int flags, const char *function);

/**
 * vadm_vir_raise_null: "%s in %s must not be NULL", VIR_ERR_INVALID_ARG.
 * @argument: its name
 */
void vadm_vir_raise_null(int domain, const char *argument, const char *function);
/** vadm_vir_raise_negative: "%s in %s must be zero or greater", VIR_ERR_INVALID_ARG. */
void vadm_vir_raise_negative(int domain, const char *argument, const char *function);

/* ---- objects: vir-object.c ---- */

/* What an object is: its first member. */
typedef enum {
    VADM_VIR_CONNECT = 0x76616443,
    VADM_VIR_SERVER = 0x76616453,
    VADM_VIR_CLIENT = 0x76616463
} VadmVirKind;

/* The first member of struct _virAdmConnect, _virAdmServer and _virAdmClient. */
typedef struct {
    VadmVirKind kind;
    guint refs;  /* the program's, and those of other objects */
    guint holds; /* of calls that are under way */
    void (*dispose)(gpointer object);
} VadmVirObject;

/**
 * vadm_vir_object_init: with one reference.
 * @dispose: frees @object, memory included, when it has no references and nobody holds it
 */
void vadm_vir_object_init(VadmVirObject *object, VadmVirKind kind,
                          void (*dispose)(gpointer object));
/** vadm_vir_object_ref: Returns: @object */
gpointer vadm_vir_object_ref(gpointer object);
/** vadm_vir_object_unref: Returns: TRUE when others hold references still */
gboolean vadm_vir_object_unref(gpointer object);

/**
 * vadm_vir_object_hold:
 * @object: (nullable): what a program has handed in, whatever it is
 * @function: the public function that was given it
 *
 * Keeps @object for the time of a call: other threads may give up its last reference meanwhile.
 * Returns: (transfer full) (nullable): @object, for vadm_vir_object_end_hold(); NULL, and
 * VIR_ERR_INVALID_CONN "invalid connection pointer in @function" is raised, when it is NULL, has no
 * references any more, or is of another kind
 */
VadmVirObject *vadm_vir_object_hold(gpointer object, VadmVirKind kind, const char *function);
void vadm_vir_object_end_hold(VadmVirObject *object);
/** vadm_vir_object_release: gives up a reference of the program's. Returns: 1 when others are left,
 * 0 when not; -1: the error of vadm_vir_object_hold() was raised */
int vadm_vir_object_release(gpointer object, VadmVirKind kind, const char *function);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmVirObject, vadm_vir_object_end_hold)

/* ---- typed parameters ---- */

/** vadm_vir_params_check: (vir-params.c) whether a parameter called @name can be appended. FALSE:
 * an error was raised that names @function, a public one. */
gboolean vadm_vir_params_check(const virTypedParameterPtr *params, const int *nparams,
                               const int *maxparams, const char *name, const char *function);
/** vadm_vir_params_append: (vir-params.c) after vadm_vir_params_check(). @value: of it the type and
 * the value; a string is copied, and NULL becomes "". */
void vadm_vir_params_append(virTypedParameterPtr *params, int *nparams, int *maxparams,
                            const virTypedParameter *value, const char *name);

/**
 * vadm_vir_params_from_wire: (vir-params-wire.c)
 * @list: decoded, @n of them; what they hold is copied
 * @params: (out): for virTypedParamsFree()
 * @nparams: (out): @n
 *
 * Returns: FALSE: an error was raised: a name that virTypedParameter cannot hold
 */
gboolean vadm_vir_params_from_wire(const vadm_typed_param *list, guint n,
                                   virTypedParameterPtr *params, int *nparams);

/**
 * vadm_vir_params_to_wire: (vir-params-wire.c)
 * @params: the program's, @nparams of them, at least 0
 * @list: (out): copies, for vadm_vir_params_wire_free(); never NULL
 * @n: (out): how many of @params have a type; those of type 0 are not set, and are left out as by
 *     libvirt
 *
 * Returns: FALSE: an error was raised: a type that does not exist
 */
gboolean vadm_vir_params_to_wire(const virTypedParameter *params, int nparams,
                                 vadm_typed_param **list, guint *n);
void vadm_vir_params_wire_free(vadm_typed_param *list, guint n);

#endif
