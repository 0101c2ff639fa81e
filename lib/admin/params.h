/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Typed parameters of the admin program: lists of (name, type, value). What is wrong with a list
 * is told in libvirt's words, which clients compare.
 */
#ifndef VADM_ADMIN_PARAMS_H
#define VADM_ADMIN_PARAMS_H

#include "common/source.h"
#include "rpc/protocol.h"

/* A parameter that may be set; all that there are take an unsigned int. */
typedef struct {
    const char *name;
    VadmField field;
} VadmParamField;

/**
 * vadm_params_check_names:
 * @error: VADM_ERROR_INTERNAL for a name that libvirt's struct of a parameter cannot hold
 */
gboolean vadm_params_check_names(const vadm_typed_param *params, guint n_params, GError **error);

/**
 * vadm_params_to_changes:
 * @fields: what may be set, @n_fields of them
 * @server: lvaServerIndex to put into the changes
 * @changes: (out caller-allocates): @n_params changes; the tag is the parameter's place
 * @error: VADM_ERROR_NOT_SUPPORTED for a name that is not in @fields, VADM_ERROR_INVALID_VALUE for
 *     another type than unsigned int and for a name that comes twice
 *
 * Of several faults the one whose parameter comes first by name is told, as libvirt does.
 */
gboolean vadm_params_to_changes(const vadm_typed_param *params, guint n_params,
                                const VadmParamField *fields, gsize n_fields, guint32 server,
                                VadmChange *changes, GError **error);

/* Each puts a parameter into @params[*count], which is zeroed, and counts it. Strings are
 * copied; the copies, like the array, are freed by xdr_free(). */
void vadm_params_add_uint(vadm_typed_param *params, u_int *count, const char *name, guint32 value);
void vadm_params_add_int(vadm_typed_param *params, u_int *count, const char *name, gint32 value);
void vadm_params_add_boolean(vadm_typed_param *params, u_int *count, const char *name,
                             gboolean value);
/** vadm_params_add_string: nothing is added for "" or NULL: absent. */
void vadm_params_add_string(vadm_typed_param *params, u_int *count, const char *name,
                            const char *value);

#endif
