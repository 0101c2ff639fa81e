/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The I/O thread of a connection: a VadmSession on a main context of its own, and calls that
 * block until their reply has come. Any thread, unless said otherwise.
 */
#ifndef VADM_ADMIN_VIR_IO_H
#define VADM_ADMIN_VIR_IO_H

#include "admin/session.h"

typedef struct _VadmVirIo VadmVirIo;

typedef enum {
    VADM_VIR_IO_REPLIED,
    VADM_VIR_IO_FAILED, /* it could not be encoded, or there was no reply in time */
    VADM_VIR_IO_ENDED,  /* the connection ended meanwhile: @error says how */
    VADM_VIR_IO_CLOSED  /* it had ended before: nothing was sent */
} VadmVirIoResult;

typedef struct {
    guint32 program;
    gint32 procedure;
    xdrproc_t encode; /* (nullable) */
    gconstpointer args;
    /* the outcome */
    VadmMessage *reply; /* (transfer full): of VADM_VIR_IO_REPLIED; its status may be ERROR */
    GError *error;      /* (transfer full): of _FAILED and _ENDED */
    gboolean silent;    /* of _ENDED: by the keepalive */
} VadmVirIoCall;

void vadm_vir_io_call_clear(VadmVirIoCall *call);

/**
 * vadm_vir_io_open:
 * @ended: called once, in the I/O thread, when a connection that was open has ended, after all
 *     calls have failed; not after vadm_vir_io_close(). No lock is held
 * @reply: (out): the daemon's refusal, where there is one
 * @error: else, what happened
 *
 * Blocks until the daemon has answered or options->connect_timeout_ms have passed. The thread
 * takes no signals: handlers of the program do not run in it.
 * Returns: (transfer full) (nullable)
 */
VadmVirIo *vadm_vir_io_open(const VadmSessionOptions *options,
                            void (*ended)(VadmSessionEnd end, gpointer user), gpointer user,
                            VadmMessage **reply, GError **error);

/**
 * vadm_vir_io_close: says goodbye to the daemon, waits for its answer for a moment, closes and
 * frees @io. No call may be under way. Blocks until the thread is gone; in that thread itself it
 * returns at once.
 */
void vadm_vir_io_close(VadmVirIo *io);

/** vadm_vir_io_is_open: the connection has not ended. Any thread. */
gboolean vadm_vir_io_is_open(VadmVirIo *io);

/** vadm_vir_io_call: Blocks. Not in the I/O thread while the connection is open. */
VadmVirIoResult vadm_vir_io_call(VadmVirIo *io, VadmVirIoCall *call);

/** vadm_vir_io_run: has @run called in the I/O thread; not any more after vadm_vir_io_close(). */
void vadm_vir_io_run(VadmVirIo *io, void (*run)(gpointer data), gpointer data);

#endif
