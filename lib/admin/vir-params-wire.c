/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Typed parameters as they are in calls and replies. */
#include "admin/vir-private.h"

#include <string.h>

/* The XDR code refuses a type that does not exist, and counts that are too high. */
static void
value_from_wire(const vadm_typed_param_value *from, virTypedParameterPtr to)
{
    to->type = from->type;
    switch (from->type) {
    case VADM_TYPED_PARAM_INT:
        to->value.i = from->vadm_typed_param_value_u.i;
        return;
    case VADM_TYPED_PARAM_UINT:
        to->value.ui = from->vadm_typed_param_value_u.ui;
        return;
    case VADM_TYPED_PARAM_LLONG:
        to->value.l = from->vadm_typed_param_value_u.l;
        return;
    case VADM_TYPED_PARAM_ULLONG:
        to->value.ul = from->vadm_typed_param_value_u.ul;
        return;
    case VADM_TYPED_PARAM_DOUBLE:
        to->value.d = from->vadm_typed_param_value_u.d;
        return;
    case VADM_TYPED_PARAM_BOOLEAN:
        to->value.b = from->vadm_typed_param_value_u.b != 0;
        return;
    case VADM_TYPED_PARAM_STRING:
        to->value.s = g_strdup(from->vadm_typed_param_value_u.s);
        return;
    default:
        g_assert_not_reached();
    }
}

gboolean
vadm_vir_params_from_wire(const vadm_typed_param *list, guint n, virTypedParameterPtr *params,
                          int *nparams)
{
    for (guint i = 0; i < n; i++) {
        if (strlen(list[i].field) >= VIR_TYPED_PARAM_FIELD_LENGTH) {
            vadm_vir_raise(VIR_ERR_INTERNAL_ERROR, VIR_FROM_NONE,
                           "parameter %s too big for destination", list[i].field);
            return FALSE;
        }
    }
    *params = g_new0(virTypedParameter, n);
    *nparams = (int)n;
    for (guint i = 0; i < n; i++) {
        g_strlcpy((*params)[i].field, list[i].field, VIR_TYPED_PARAM_FIELD_LENGTH);
        value_from_wire(&list[i].value, &(*params)[i]);
    }
    return TRUE;
}

static gboolean
value_to_wire(const virTypedParameter *from, vadm_typed_param_value *to)
{
    to->type = from->type;
    switch (from->type) {
    case VIR_TYPED_PARAM_INT:
        to->vadm_typed_param_value_u.i = from->value.i;
        return TRUE;
    case VIR_TYPED_PARAM_UINT:
        to->vadm_typed_param_value_u.ui = from->value.ui;
        return TRUE;
    case VIR_TYPED_PARAM_LLONG:
        to->vadm_typed_param_value_u.l = from->value.l;
        return TRUE;
    case VIR_TYPED_PARAM_ULLONG:
        to->vadm_typed_param_value_u.ul = from->value.ul;
        return TRUE;
    case VIR_TYPED_PARAM_DOUBLE:
        to->vadm_typed_param_value_u.d = from->value.d;
        return TRUE;
    case VIR_TYPED_PARAM_BOOLEAN:
        to->vadm_typed_param_value_u.b = from->value.b != 0;
        return TRUE;
    case VIR_TYPED_PARAM_STRING:
        to->vadm_typed_param_value_u.s = g_strdup(from->value.s ? from->value.s : "");
        return TRUE;
    default:
        vadm_vir_raise(VIR_ERR_RPC, VIR_FROM_NONE, "unknown parameter type: %d", from->type);
        return FALSE;
    }
}

gboolean
vadm_vir_params_to_wire(const virTypedParameter *params, int nparams, vadm_typed_param **list,
                        guint *n)
{
    vadm_typed_param *wire = g_new0(vadm_typed_param, (gsize)nparams + 1);
    guint filled = 0;

    for (int i = 0; i < nparams; i++) {
        if (params[i].type == 0)
            continue;
        /* a program may have filled it to the last octet */
        wire[filled].field = g_strndup(params[i].field, sizeof(params[i].field));
        if (!value_to_wire(&params[i], &wire[filled++].value)) {
            vadm_vir_params_wire_free(wire, filled);
            return FALSE;
        }
    }
    *list = wire;
    *n = filled;
    return TRUE;
}

void
vadm_vir_params_wire_free(vadm_typed_param *list, guint n)
{
    for (guint i = 0; i < n; i++) {
        g_free(list[i].field);
        if (list[i].value.type == VADM_TYPED_PARAM_STRING)
            g_free(list[i].value.vadm_typed_param_value_u.s);
    }
    g_free(list);
}
