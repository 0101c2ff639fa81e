/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Typed parameters from text. What is a number follows libvirt, i.e. strtol() and its kin: space
 * before it and a sign are fine, nothing may follow, and "-1" as an unsigned number wraps.
 */
#include "admin/vir-private.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static gboolean
text_to_llong(const char *text, long long *value)
{
    char *end;

    errno = 0;
    *value = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

static gboolean
text_to_ullong(const char *text, unsigned long long *value)
{
    char *end;

    errno = 0;
    *value = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

static gboolean
text_to_int(const char *text, int *value)
{
    long long number;

    if (!text_to_llong(text, &number) || number < INT_MIN || number > INT_MAX)
        return FALSE;
    *value = (int)number;
    return TRUE;
}

/* A negative number is one of unsigned long, of which the lower half is taken; as far as that
 * does not lose anything but the sign. */
static gboolean
text_to_uint(const char *text, unsigned int *value)
{
    unsigned long long number;
    gboolean negative = strchr(text, '-') != NULL;

    if (!text_to_ullong(text, &number) || (negative ? -number : number) > UINT_MAX)
        return FALSE;
    *value = (unsigned int)number;
    return TRUE;
}

/* With a point, whatever the locale. */
static gboolean
text_to_double(const char *text, double *value)
{
    char *end;

    errno = 0;
    *value = g_ascii_strtod(text, &end);
    return errno == 0 && end != text && *end == '\0';
}

static gboolean
text_to_boolean(const char *text, char *value)
{
    *value = strcmp(text, "1") == 0 || g_ascii_strcasecmp(text, "true") == 0;
    return *value || strcmp(text, "0") == 0 || g_ascii_strcasecmp(text, "false") == 0;
}

static gboolean
text_to_value(const char *text, virTypedParameterPtr param, const char **expected)
{
    switch (param->type) {
    case VIR_TYPED_PARAM_INT:
        *expected = "int";
        return text_to_int(text, &param->value.i);
    case VIR_TYPED_PARAM_UINT:
        *expected = "unsigned int";
        return text_to_uint(text, &param->value.ui);
    case VIR_TYPED_PARAM_LLONG:
        *expected = "long long";
        return text_to_llong(text, &param->value.l);
    case VIR_TYPED_PARAM_ULLONG:
        *expected = "unsigned long long";
        return text_to_ullong(text, &param->value.ul);
    case VIR_TYPED_PARAM_DOUBLE:
        *expected = "double";
        return text_to_double(text, &param->value.d);
    default:
        g_assert_not_reached();
    }
}

/* FALSE: an error was raised. */
static gboolean
parse(const char *name, const char *text, virTypedParameterPtr param)
{
    const char *expected;

    if (param->type < VIR_TYPED_PARAM_INT || param->type > VIR_TYPED_PARAM_STRING) {
        vadm_vir_raise(VIR_ERR_INTERNAL_ERROR, VIR_FROM_NONE, "unexpected type %d for field %s",
                       param->type, name);
        return FALSE;
    }
    if (param->type == VIR_TYPED_PARAM_STRING) {
        param->value.s = (char *)(gsize)text;
        return TRUE;
    }
    if (param->type == VIR_TYPED_PARAM_BOOLEAN) {
        if (text_to_boolean(text, &param->value.b))
            return TRUE;
        vadm_vir_raise(VIR_ERR_INVALID_ARG, VIR_FROM_NONE, "Invalid boolean value for field '%s'",
                       name);
        return FALSE;
    }
    if (text_to_value(text, param, &expected))
        return TRUE;
    vadm_vir_raise(VIR_ERR_INVALID_ARG, VIR_FROM_NONE, "Invalid value for field '%s': expected %s",
                   name, expected);
    return FALSE;
}

VADM_VIR_PUBLIC int
virTypedParamsAddFromString(virTypedParameterPtr *params, int *nparams, int *maxparams,
                            const char *name, int type, const char *value)
{
    virTypedParameter param = {.type = type};

    vadm_vir_enter();
    if (!vadm_vir_params_check(params, nparams, maxparams, name, __func__))
        return -1;
    if (value == NULL) {
        vadm_vir_raise(VIR_ERR_INVALID_ARG, VIR_FROM_NONE, "NULL value for field '%s'", name);
        return -1;
    }
    if (!parse(name, value, &param))
        return -1;
    vadm_vir_params_append(params, nparams, maxparams, &param, name);
    return 0;
}
