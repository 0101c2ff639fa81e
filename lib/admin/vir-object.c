/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What all objects of the library begin with. Programs hand in pointers that they have freed
 * already, and several threads use an object that one of them closes, so a pointer is looked up
 * among the living before anything behind it is read, and held while it is used.
 */
#include "admin/vir-private.h"

#include "common/lock.h"

/* The process has one library, whose objects have no other common place. The table is made with
 * the first object and stays. */
static VadmMutex living_lock = VADM_MUTEX_INIT;
static GHashTable *living; /* under living_lock, as are the counts of references */

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

/* Under living_lock. Returns: whether that was the last one */
static gboolean
drop(VadmVirObject *base)
{
    if (--base->refs > 0)
        return FALSE;
    g_hash_table_remove(living, base);
    return TRUE;
}

gboolean
vadm_vir_object_unref(gpointer object)
{
    VadmVirObject *base = object;
    gboolean last;

    vadm_mutex_lock(&living_lock);
    last = drop(base);
    vadm_mutex_unlock(&living_lock);
    if (last)
        base->dispose(object);
    return !last;
}

static gboolean
try_hold(gpointer object, VadmVirKind kind)
{
    VADM_LOCK_SCOPE(&living_lock);

    if (!is_living(object, kind))
        return FALSE;
    ((VadmVirObject *)object)->refs++;
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

int
vadm_vir_object_release(gpointer object, VadmVirKind kind, const char *function)
{
    VadmVirObject *base = object;
    gboolean known, last = FALSE;

    vadm_mutex_lock(&living_lock);
    known = is_living(object, kind);
    if (known)
        last = drop(base);
    vadm_mutex_unlock(&living_lock);
    if (!known) {
        vadm_vir_raise(VIR_ERR_INVALID_CONN, VIR_FROM_ADMIN, "%s", function);
        return -1;
    }
    if (last)
        base->dispose(object);
    return last ? 0 : 1;
}
