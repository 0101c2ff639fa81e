/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The callback that tells a program of a connection's end. It is called by the I/O thread, holding
 * no lock, once at most. As in libvirt it holds a reference of its connection until it was
 * called or taken back, and a connection that the program closes itself is no news.
 */
#include <unistd.h>

#include "admin/vir-connect-private.h"

typedef struct {
    virAdmConnectCloseFunc callback;
    void *opaque;
    virFreeCallback free_opaque;
} Registration;

static int
close_reason(VadmSessionEnd end)
{
    switch (end) {
    case VADM_SESSION_END_EOF:
        return VIR_CONNECT_CLOSE_REASON_EOF;
    case VADM_SESSION_END_KEEPALIVE:
        return VIR_CONNECT_CLOSE_REASON_KEEPALIVE;
    case VADM_SESSION_END_CONNECT:
    case VADM_SESSION_END_ERROR:
    case VADM_SESSION_END_TIMEOUT:
    default:
        return VIR_CONNECT_CLOSE_REASON_ERROR;
    }
}

/* Under lock. */
static Registration
take_registration(virAdmConnectPtr conn)
{
    Registration taken = {conn->callback, conn->opaque, conn->free_opaque};

    conn->callback = NULL;
    conn->opaque = NULL;
    conn->free_opaque = NULL;
    return taken;
}

static void
free_registration(const Registration *registration)
{
    if (registration->callback && registration->free_opaque)
        registration->free_opaque(registration->opaque);
}

/* Returns: whether somebody is to be told. */
static gboolean
take_to_tell(virAdmConnectPtr conn, Registration *taken, int *reason)
{
    VADM_LOCK_SCOPE(&conn->lock);

    if (!conn->ended || conn->told || !conn->callback)
        return FALSE;
    conn->told = TRUE;
    *taken = take_registration(conn);
    *reason = close_reason(conn->end);
    return TRUE;
}

/* I/O thread. The connection may be gone afterwards. */
static void
tell_end(virAdmConnectPtr conn)
{
    Registration taken;
    int reason;

    if (!take_to_tell(conn, &taken, &reason))
        return;
    taken.callback(conn, reason, taken.opaque);
    free_registration(&taken);
    vadm_vir_object_unref(conn);
}

void
vadm_vir_close_callback_on_end(VadmSessionEnd end, gpointer data)
{
    virAdmConnectPtr conn = data;

    vadm_mutex_lock(&conn->lock);
    conn->ended = TRUE;
    conn->end = end;
    vadm_mutex_unlock(&conn->lock);
    tell_end(conn);
}

/* I/O thread. @held: (transfer full) */
static void
tell_end_late(gpointer held)
{
    tell_end(held);
    vadm_vir_object_end_hold(held);
}

void
vadm_vir_close_callback_drop(virAdmConnectPtr conn)
{
    Registration taken;

    vadm_mutex_lock(&conn->lock);
    taken = take_registration(conn);
    vadm_mutex_unlock(&conn->lock);
    free_registration(&taken);
}

/* Returns: whether there was none. @ended: nobody was told of the end that has come already. */
static gboolean
put_registration(virAdmConnectPtr conn, const Registration *registration, gboolean *ended)
{
    VADM_LOCK_SCOPE(&conn->lock);

    if (conn->callback)
        return FALSE;
    conn->callback = registration->callback;
    conn->opaque = registration->opaque;
    conn->free_opaque = registration->free_opaque;
    *ended = conn->ended && !conn->told;
    vadm_vir_object_ref(conn);
    return TRUE;
}

VADM_VIR_PUBLIC int
virAdmConnectRegisterCloseCallback(virAdmConnectPtr conn, virAdmConnectCloseFunc cb, void *opaque,
                                   virFreeCallback freecb)
{
    const Registration registration = {cb, opaque, freecb};
    g_autoptr(VadmVirObject) held = NULL;
    gboolean ended;

    vadm_vir_enter();
    held = vadm_vir_object_hold(conn, VADM_VIR_CONNECT, __func__);
    if (!held)
        return -1;
    if (!cb) {
        vadm_vir_raise_null(VIR_FROM_ADMIN, "cb", __func__);
        return -1;
    }
    if (!put_registration(conn, &registration, &ended)) {
        vadm_vir_raise(VIR_ERR_OPERATION_INVALID, VIR_FROM_ADMIN,
                       "A close callback is already registered");
        return -1;
    }
    /* Libraries that look at the socket only when they are called tell it then; a program that
     * waits for us must not wait for ever because the daemon went a moment too early. It stays held
     * until then: who registers twice is told once, in which the connection may go. */
    if (ended && conn->pid == getpid())
        vadm_vir_io_run(conn->io, tell_end_late, g_steal_pointer(&held));
    return 0;
}

static gboolean
take_matching(virAdmConnectPtr conn, virAdmConnectCloseFunc callback, Registration *taken)
{
    VADM_LOCK_SCOPE(&conn->lock);

    if (conn->callback != callback)
        return FALSE;
    *taken = take_registration(conn);
    return TRUE;
}

VADM_VIR_PUBLIC int
virAdmConnectUnregisterCloseCallback(virAdmConnectPtr conn, virAdmConnectCloseFunc cb)
{
    g_autoptr(VadmVirObject) held = NULL;
    Registration taken;

    vadm_vir_enter();
    held = vadm_vir_object_hold(conn, VADM_VIR_CONNECT, __func__);
    if (!held)
        return -1;
    if (!cb) {
        vadm_vir_raise_null(VIR_FROM_ADMIN, "cb", __func__);
        return -1;
    }
    if (!take_matching(conn, cb, &taken)) {
        vadm_vir_raise(VIR_ERR_OPERATION_INVALID, VIR_FROM_NONE,
                       "A different callback was requested");
        return -1;
    }
    free_registration(&taken);
    vadm_vir_object_unref(conn);
    return 0;
}
