/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists of typed parameters: looking up, appending, freeing. */
#include "admin/vir-private.h"

#include <string.h>

static const char *const type_names[] = {
    [0] = "unknown",
    [VIR_TYPED_PARAM_INT] = "int",
    [VIR_TYPED_PARAM_UINT] = "uint",
    [VIR_TYPED_PARAM_LLONG] = "llong",
    [VIR_TYPED_PARAM_ULLONG] = "ullong",
    [VIR_TYPED_PARAM_DOUBLE] = "double",
    [VIR_TYPED_PARAM_BOOLEAN] = "boolean",
    [VIR_TYPED_PARAM_STRING] = "string",
};

static const char *
get_type_name(int type)
{
    if (type < 0 || type >= (int)G_N_ELEMENTS(type_names))
        return "(null)"; /* what libvirt says */
    return type_names[type];
}

static virTypedParameterPtr
find(virTypedParameterPtr params, int nparams, const char *name)
{
    if (params == NULL || name == NULL)
        return NULL;
    for (int i = 0; i < nparams; i++) {
        if (strncmp(params[i].field, name, sizeof(params[i].field)) == 0)
            return &params[i];
    }
    return NULL;
}

VADM_VIR_PUBLIC virTypedParameterPtr
virTypedParamsGet(virTypedParameterPtr params, int nparams, const char *name)
{
    /* no vadm_vir_enter(): as in libvirt the last error stays */
    return find(params, nparams, name);
}

/* Returns: 1 with @param set, 0 when there is none, -1 when it has another type. */
static int
find_typed(virTypedParameterPtr params, int nparams, const char *name, int type,
           virTypedParameterPtr *param)
{
    vadm_vir_enter();
    *param = find(params, nparams, name);
    if (*param == NULL)
        return 0;
    if ((*param)->type == type)
        return 1;
    vadm_vir_raise(VIR_ERR_INVALID_ARG, VIR_FROM_NONE,
                   "Invalid type '%s' requested for parameter '%s', actual type is '%s'",
                   get_type_name(type), name, get_type_name((*param)->type));
    return -1;
}

#define DEFINE_GET(Name, TYPE, Value, expression)                                                  \
    VADM_VIR_PUBLIC int virTypedParamsGet##Name(virTypedParameterPtr params, int nparams,          \
                                                const char *name, Value *value)                    \
    {                                                                                              \
        virTypedParameterPtr param;                                                                \
        int rc = find_typed(params, nparams, name, VIR_TYPED_PARAM_##TYPE, &param);                \
                                                                                                   \
        if (rc == 1 && value)                                                                      \
            *value = (expression);                                                                 \
        return rc;                                                                                 \
    }

DEFINE_GET(Int, INT, int, param->value.i)
DEFINE_GET(UInt, UINT, unsigned int, param->value.ui)
DEFINE_GET(LLong, LLONG, long long, param->value.l)
DEFINE_GET(ULLong, ULLONG, unsigned long long, param->value.ul)
DEFINE_GET(Double, DOUBLE, double, param->value.d)
DEFINE_GET(Boolean, BOOLEAN, int, param->value.b != 0)
DEFINE_GET(String, STRING, const char *, param->value.s)

/* The first four are what libvirt would crash on. */
gboolean
vadm_vir_params_check(const virTypedParameterPtr *params, const int *nparams, const int *maxparams,
                      const char *name, const char *function)
{
    const char *missing = NULL;

    if (params == NULL)
        missing = "params";
    else if (nparams == NULL)
        missing = "nparams";
    else if (maxparams == NULL)
        missing = "maxparams";
    else if (name == NULL)
        missing = "name";
    if (missing) {
        vadm_vir_raise_null(VIR_FROM_NONE, missing, function);
        return FALSE;
    }
    if (*nparams < 0 || *nparams > G_MAXINT / 2) {
        vadm_vir_raise(VIR_ERR_INVALID_ARG, VIR_FROM_NONE,
                       "nparams in %s is %d, must be within 0 and %d", function, *nparams,
                       G_MAXINT / 2);
        return FALSE;
    }
    if (strlen(name) >= VIR_TYPED_PARAM_FIELD_LENGTH) {
        vadm_vir_raise(VIR_ERR_INTERNAL_ERROR, VIR_FROM_NONE, "Field name '%s' too long", name);
        return FALSE;
    }
    return TRUE;
}

/* It grows by half, so that appending stays cheap. */
static void
make_room(virTypedParameterPtr *params, int nparams, int *maxparams)
{
    if (nparams < *maxparams)
        return;
    *maxparams += MAX(nparams + 1 - *maxparams, *maxparams / 2);
    *params = g_renew(virTypedParameter, *params, (gsize)*maxparams);
    memset(*params + nparams, 0, sizeof(virTypedParameter) * (gsize)(*maxparams - nparams));
}

void
vadm_vir_params_append(virTypedParameterPtr *params, int *nparams, int *maxparams,
                       const virTypedParameter *value, const char *name)
{
    virTypedParameterPtr param;

    make_room(params, *nparams, maxparams);
    param = &(*params)[(*nparams)++];
    param->type = value->type;
    param->value = value->value;
    if (value->type == VIR_TYPED_PARAM_STRING)
        param->value.s = g_strdup(value->value.s ? value->value.s : "");
    g_strlcpy(param->field, name, sizeof(param->field));
}

#define DEFINE_ADD(Name, TYPE, Value, member, expression)                                          \
    VADM_VIR_PUBLIC int virTypedParamsAdd##Name(virTypedParameterPtr *params, int *nparams,        \
                                                int *maxparams, const char *name, Value value)     \
    {                                                                                              \
        const virTypedParameter param = {.type = VIR_TYPED_PARAM_##TYPE,                           \
                                         .value.member = (expression)};                            \
                                                                                                   \
        vadm_vir_enter();                                                                          \
        if (!vadm_vir_params_check(params, nparams, maxparams, name, __func__))                    \
            return -1;                                                                             \
        vadm_vir_params_append(params, nparams, maxparams, &param, name);                          \
        return 0;                                                                                  \
    }

DEFINE_ADD(Int, INT, int, i, value)
DEFINE_ADD(UInt, UINT, unsigned int, ui, value)
DEFINE_ADD(LLong, LLONG, long long, l, value)
DEFINE_ADD(ULLong, ULLONG, unsigned long long, ul, value)
DEFINE_ADD(Double, DOUBLE, double, d, value)
DEFINE_ADD(Boolean, BOOLEAN, int, b, value != 0)
/* the copy of the list is made by vadm_vir_params_append() */
DEFINE_ADD(String, STRING, const char *, s, (char *)(gsize)value)

VADM_VIR_PUBLIC int
virTypedParamsAddStringList(virTypedParameterPtr *params, int *nparams, int *maxparams,
                            const char *name, const char **values)
{
    vadm_vir_enter();
    for (; values && *values; values++) {
        if (virTypedParamsAddString(params, nparams, maxparams, name, *values) < 0)
            return -1;
    }
    return 0;
}

VADM_VIR_PUBLIC void
virTypedParamsClear(virTypedParameterPtr params, int nparams)
{
    /* The last error stays, as in libvirt: programs look at it when they have cleaned up. */
    for (int i = 0; params && i < nparams; i++) {
        if (params[i].type == VIR_TYPED_PARAM_STRING)
            g_clear_pointer(&params[i].value.s, g_free);
    }
}

VADM_VIR_PUBLIC void
virTypedParamsFree(virTypedParameterPtr params, int nparams)
{
    virTypedParamsClear(params, nparams);
    g_free(params);
}
