/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all objects of the library begin with. */
#include "admin/vir-private.h"

void
vadm_vir_object_init(VadmVirObject *object, VadmVirKind kind, void (*dispose)(gpointer object))
{
    object->kind = kind;
    object->refs = 1;
    object->dispose = dispose;
}

gpointer
vadm_vir_object_ref(gpointer object)
{
    VadmVirObject *base = object;

    g_atomic_int_inc(&base->refs);
    return object;
}

gboolean
vadm_vir_object_unref(gpointer object)
{
    VadmVirObject *base = object;

    if (!g_atomic_int_dec_and_test(&base->refs))
        return TRUE;
    /* Who uses it now gets an error with some luck, instead of a crash. The compiler must not
     * leave out what it believes nobody reads. */
    *(volatile guint32 *)&base->kind = 0;
    base->dispose(object);
    return FALSE;
}

gboolean
vadm_vir_object_check(gconstpointer object, VadmVirKind kind, const char *function)
{
    const VadmVirObject *base = object;

    if (base != NULL && base->kind == (guint32)kind)
        return TRUE;
    vadm_vir_raise(VIR_ERR_INVALID_CONN, VIR_FROM_ADMIN, "%s", function);
    return FALSE;
}
