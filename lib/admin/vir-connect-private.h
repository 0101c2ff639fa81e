/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inside of a connection, for vir-connect.c and vir-close-callback.c. */
#ifndef VADM_ADMIN_VIR_CONNECT_PRIVATE_H
#define VADM_ADMIN_VIR_CONNECT_PRIVATE_H

#include <sys/types.h>

#include "admin/vir-connect.h"
#include "common/lock.h"

struct _virAdmConnect {
    VadmVirObject object;
    char *uri;
    pid_t pid; /* that opened it */
    VadmVirIo *io;

    VadmMutex lock;
    /* under lock: the close callback, which holds a reference while it is registered */
    virAdmConnectCloseFunc callback; /* NULL: none */
    void *opaque;
    virFreeCallback free_opaque; /* (nullable) */
    gboolean ended;
    VadmSessionEnd end;
    gboolean told; /* a callback was called: it is once in a connection's life */
};

/** vadm_vir_close_callback_on_end: I/O thread. */
void vadm_vir_close_callback_on_end(VadmSessionEnd end, gpointer conn);
/** vadm_vir_close_callback_drop: forgets the callback, when the last reference is gone. */
void vadm_vir_close_callback_drop(virAdmConnectPtr conn);

#endif
