/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A connection that carries messages: non-blocking reading and writing on one main context,
 * over any GIOStream whose streams are pollable (unix, TCP, TLS). Used towards clients, towards
 * upstream daemons and by the admin client. Everything here is called in the context's thread.
 */
#ifndef VADM_RPC_CONN_H
#define VADM_RPC_CONN_H

#include <gio/gio.h>

#include "rpc/message.h"

typedef struct _VadmConn VadmConn;

typedef enum {
    VADM_CONN_END_EOF,   /* the peer closed, or reset, the connection: G_IO_ERROR_CLOSED after an
                          * end of file, else G_IO_ERROR_CONNECTION_CLOSED or G_TLS_ERROR_EOF */
    VADM_CONN_END_ERROR, /* reading or writing failed */
    VADM_CONN_END_FRAME  /* a length word out of range */
} VadmConnEnd;

typedef struct {
    /* A whole message came. @message: (transfer full). The callee may close the connection or
     * stop reading: no further message is delivered then. */
    void (*message)(VadmConn *conn, VadmMessage *message, gpointer user);
    /* The connection is dead and closed; called once, from the main loop, never after
     * vadm_conn_close(). @error: never NULL; says what happened. */
    void (*ended)(VadmConn *conn, VadmConnEnd end, const GError *error, gpointer user);
    /* (nullable): what is queued for writing has fallen to VADM_CONN_LOW_WATER or below, having
     * been above VADM_CONN_HIGH_WATER. */
    void (*drained)(VadmConn *conn, gpointer user);
} VadmConnHandlers;

#define VADM_CONN_HIGH_WATER (1024u * 1024)
#define VADM_CONN_LOW_WATER  (256u * 1024)

/**
 * vadm_conn_new:
 * @stream: its input and output streams are GPollable*; a reference is taken
 * @context: (nullable): NULL: the default one
 *
 * Reading begins with vadm_conn_set_reading(). Returns: (transfer full)
 */
VadmConn *vadm_conn_new(GIOStream *stream, GMainContext *context, const VadmConnHandlers *handlers,
                        gpointer user);
VadmConn *vadm_conn_ref(VadmConn *conn);
void vadm_conn_unref(VadmConn *conn);

/** vadm_conn_set_reading: stopping is immediate: no message is delivered until it is resumed;
 * what was already framed is then delivered from the main loop. */
void vadm_conn_set_reading(VadmConn *conn, gboolean reading);

/** vadm_conn_notice_hangup: from now on the peer's end is told also while reading is stopped; what
 * the peer has sent before and was not read is lost then. For peers whose requests nobody needs
 * any more once they are gone. TLS connections tell it only when they are read. */
void vadm_conn_notice_hangup(VadmConn *conn);

/** vadm_conn_read_to_end: from now on, when writing finds that the peer is gone, what the peer has
 * sent before is still read and delivered, and the end is told after it. For clients, to whom the
 * replies that wait tell what was done. */
void vadm_conn_read_to_end(VadmConn *conn);

/**
 * vadm_conn_send: queues @message: (transfer full) and writes what the socket takes at once.
 * Never fails: errors come as ended(), from the main loop. Ignored after the end.
 */
void vadm_conn_send(VadmConn *conn, VadmMessage *message);

/** vadm_conn_queued: octets that wait to be written. */
gsize vadm_conn_queued(const VadmConn *conn);
/** vadm_conn_pending: octets received that were not delivered as messages yet. */
gsize vadm_conn_pending(const VadmConn *conn);

/**
 * vadm_conn_is_silent: for the keepalive: TRUE when the peer could have been heard and was not.
 * FALSE when octets of it wait to be read, and while reading is stopped, unless it is the peer
 * that does not read what is queued for it.
 */
gboolean vadm_conn_is_silent(const VadmConn *conn);

/** vadm_conn_close: closes now; what is queued is lost. Idempotent; no handler runs later. */
void vadm_conn_close(VadmConn *conn);

/**
 * vadm_conn_close_flushed: stops reading and closes when all is written, or after @timeout_ms
 * milliseconds. @closed: (nullable): called once with @user after that. No other handler runs.
 */
void vadm_conn_close_flushed(VadmConn *conn, guint timeout_ms, void (*closed)(gpointer user),
                             gpointer user);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmConn, vadm_conn_unref)

#endif
