/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "admin/params.h"

#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "rpc/admin.h"

gboolean
vadm_params_check_names(const vadm_typed_param *params, guint n_params, GError **error)
{
    for (guint i = 0; i < n_params; i++) {
        if (strlen(params[i].field) <= VADM_ADMIN_PARAM_FIELD_MAX)
            continue;
        g_set_error(error, VADM_ERROR, VADM_ERROR_INTERNAL, "parameter %s too big for destination",
                    params[i].field);
        return FALSE;
    }
    return TRUE;
}

static const char *
vadm_params_type_name(int type)
{
    switch (type) {
    case VADM_TYPED_PARAM_INT:
        return "int";
    case VADM_TYPED_PARAM_UINT:
        return "uint";
    case VADM_TYPED_PARAM_LLONG:
        return "llong";
    case VADM_TYPED_PARAM_ULLONG:
        return "ullong";
    case VADM_TYPED_PARAM_DOUBLE:
        return "double";
    case VADM_TYPED_PARAM_BOOLEAN:
        return "boolean";
    case VADM_TYPED_PARAM_STRING:
        return "string";
    default:
        return "unknown";
    }
}

static const VadmParamField *
vadm_params_find_field(const VadmParamField *fields, gsize n_fields, const char *name)
{
    for (gsize i = 0; i < n_fields; i++) {
        if (strcmp(fields[i].name, name) == 0)
            return &fields[i];
    }
    return NULL;
}

/* By name; parameters of the same name stay in the order they came in, which decides whether
 * the type of the second or its being there twice is told. */
static gint
vadm_params_compare(gconstpointer a, gconstpointer b, gpointer user)
{
    const vadm_typed_param *params = user;
    guint i = *(const guint *)a, j = *(const guint *)b;
    int order = strcmp(params[i].field, params[j].field);

    return order != 0 ? order : (i > j) - (i < j);
}

static gboolean
vadm_params_check_one(const vadm_typed_param *param, const vadm_typed_param *previous,
                      const VadmParamField *field, GError **error)
{
    if (!field)
        g_set_error(error, VADM_ERROR, VADM_ERROR_NOT_SUPPORTED, "parameter '%s' not supported",
                    param->field);
    else if (previous && strcmp(previous->field, param->field) == 0)
        g_set_error(error, VADM_ERROR, VADM_ERROR_INVALID_VALUE,
                    "parameter '%s' occurs multiple times", param->field);
    else if (param->value.type != VADM_TYPED_PARAM_UINT)
        g_set_error(error, VADM_ERROR, VADM_ERROR_INVALID_VALUE,
                    "invalid type '%s' for parameter '%s', expected 'uint'",
                    vadm_params_type_name(param->value.type), param->field);
    else
        return TRUE;
    return FALSE;
}

gboolean
vadm_params_to_changes(const vadm_typed_param *params, guint n_params, const VadmParamField *fields,
                       gsize n_fields, guint32 server, VadmChange *changes, GError **error)
{
    g_autofree guint *order = g_new(guint, n_params);
    const vadm_typed_param *previous = NULL;

    if (n_params == 0)
        return TRUE; /* there is no array for qsort_r, which wants one */
    for (guint i = 0; i < n_params; i++)
        order[i] = i;
    qsort_r(order, n_params, sizeof(guint), vadm_params_compare, (gpointer)params);
    for (guint i = 0; i < n_params; i++) {
        const vadm_typed_param *param = &params[order[i]];
        const VadmParamField *field = vadm_params_find_field(fields, n_fields, param->field);

        if (!vadm_params_check_one(param, previous, field, error))
            return FALSE;
        changes[order[i]] = (VadmChange){
            .field = field->field,
            .server = server,
            .value = {.kind = VADM_VALUE_UINT, .number = param->value.vadm_typed_param_value_u.ui},
            .tag = order[i],
        };
        previous = param;
    }
    return TRUE;
}

static vadm_typed_param_value *
vadm_params_add(vadm_typed_param *params, u_int *count, const char *name, int type)
{
    vadm_typed_param *param = &params[(*count)++];

    param->field = g_strdup(name);
    param->value.type = type;
    return &param->value;
}

void
vadm_params_add_uint(vadm_typed_param *params, u_int *count, const char *name, guint32 value)
{
    vadm_params_add(params, count, name, VADM_TYPED_PARAM_UINT)->vadm_typed_param_value_u.ui =
        value;
}

void
vadm_params_add_int(vadm_typed_param *params, u_int *count, const char *name, gint32 value)
{
    vadm_params_add(params, count, name, VADM_TYPED_PARAM_INT)->vadm_typed_param_value_u.i = value;
}

void
vadm_params_add_boolean(vadm_typed_param *params, u_int *count, const char *name, gboolean value)
{
    vadm_params_add(params, count, name, VADM_TYPED_PARAM_BOOLEAN)->vadm_typed_param_value_u.b =
        value != FALSE;
}

void
vadm_params_add_string(vadm_typed_param *params, u_int *count, const char *name, const char *value)
{
    if (!value || *value == '\0')
        return;
    vadm_params_add(params, count, name, VADM_TYPED_PARAM_STRING)->vadm_typed_param_value_u.s =
        g_strdup(value);
}
