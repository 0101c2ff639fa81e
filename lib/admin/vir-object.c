/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What all objects of the library begin with. Programs hand in pointers that they have freed
 * already, and several threads use an object that one of them closes, so a pointer is looked up
 * among the living before anything behind it is read, and held while it is used.
 */
#include "admin/vir-private.h"

#include "common/lock.h"

/* The process has one library, whose objects have no other common place. The table is made with
 * the first object and stays. What is in it has references; what is held only is not in it any
 * more, else threads that call without a pause would keep a closed connection open for ever. */
static VadmMutex living_lock = VADM_MUTEX_INIT;
static GHashTable *living; /* under living_lock, as are all counts */

/* A child must not find the lock taken by a thread that it has not got. */
static void
lock_for_fork(void)
{
    vadm_mutex_lock(&living_lock);
}

static void
unlock_after_fork(void)
{
    vadm_mutex_unlock(&living_lock);
}

static void
make_table(void)
{
    pthread_atfork(lock_for_fork, unlock_after_fork, unlock_after_fork);
    living = g_hash_table_new(NULL, NULL);
}

void
vadm_vir_object_init(VadmVirObject *object, VadmVirKind kind, void (*dispose)(gpointer object))
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_table);
    object->kind = kind;
    object->refs = 1;
    object->holds = 0;
    object->dispose = dispose;
    VADM_LOCK_SCOPE(&living_lock);
    g_hash_table_add(living, object);
}

gpointer
vadm_vir_object_ref(gpointer object)
{
    VadmVirObject *base = object;
    VADM_LOCK_SCOPE(&living_lock);

    base->refs++;
    return object;
}

/* Under living_lock. */
static gboolean
is_living(gconstpointer object, VadmVirKind kind)
{
    const VadmVirObject *base = object;

    return base != NULL && living != NULL && g_hash_table_contains(living, object) &&
           base->kind == kind;
}

/* Under living_lock. */
static void
drop_reference(VadmVirObject *base)
{
    if (--base->refs == 0)
        g_hash_table_remove(living, base);
}

static gboolean
is_unused(const VadmVirObject *base)
{
    return base->refs == 0 && base->holds == 0;
}

gboolean
vadm_vir_object_unref(gpointer object)
{
    VadmVirObject *base = object;
    gboolean left, unused;

    vadm_mutex_lock(&living_lock);
    drop_reference(base);
    left = base->refs > 0;
    unused = is_unused(base);
    vadm_mutex_unlock(&living_lock);
    if (unused)
        base->dispose(object);
    return left;
}

static gboolean
try_hold(gpointer object, VadmVirKind kind)
{
    VADM_LOCK_SCOPE(&living_lock);

    if (!is_living(object, kind))
        return FALSE;
    ((VadmVirObject *)object)->holds++;
    return TRUE;
}

VadmVirObject *
vadm_vir_object_hold(gpointer object, VadmVirKind kind, const char *function)
{
    if (try_hold(object, kind))
        return object;
    vadm_vir_raise(VIR_ERR_INVALID_CONN, VIR_FROM_ADMIN, "%s", function);
    return NULL;
}

void
vadm_vir_object_end_hold(VadmVirObject *object)
{
    gboolean unused;

    vadm_mutex_lock(&living_lock);
    object->holds--;
    unused = is_unused(object);
    vadm_mutex_unlock(&living_lock);
    if (unused)
        object->dispose(object);
}

int
vadm_vir_object_release(gpointer object, VadmVirKind kind, const char *function)
{
    g_autoptr(VadmVirObject) held = vadm_vir_object_hold(object, kind, function);

    if (!held)
        return -1;
    return vadm_vir_object_unref(object) ? 1 : 0;
}
