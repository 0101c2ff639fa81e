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
    VADM_CONN_END_FRAME  /* a length word out of range; descriptors where none belong; what a layer
                          * finds no sense in: G_IO_ERROR_INVALID_DATA */
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

/**
 * vadm_conn_new_socket: the same over a socket without a GIOStream, which takes less memory
 * @fd: (transfer full): connected, non-blocking
 *
 * It cannot get layers.
 */
VadmConn *vadm_conn_new_socket(int fd, GMainContext *context, const VadmConnHandlers *handlers,
                               gpointer user);
VadmConn *vadm_conn_ref(VadmConn *conn);
void vadm_conn_unref(VadmConn *conn);

/** vadm_conn_set_reading: stopping is immediate: no message is delivered until it is resumed;
 * what was already framed is then delivered from the main loop. */
void vadm_conn_set_reading(VadmConn *conn, gboolean reading);

/** vadm_conn_notice_hangup: from now on the peer's end is told also while reading is stopped; what
 * the peer has sent before and was not read is lost then. For peers whose requests nobody needs
 * any more once they are gone. The socket tells it, also below layers: a unix socket when the peer
 * has closed it, TCP when it was reset. */
void vadm_conn_notice_hangup(VadmConn *conn);

/** vadm_conn_read_to_end: from now on, when writing finds that the peer is gone, what the peer has
 * sent before is still read and delivered, and the end is told after it. For clients, to whom the
 * replies that wait tell what was done. */
void vadm_conn_read_to_end(VadmConn *conn);

/**
 * vadm_conn_accept_descriptors: from now on file descriptors may come with messages of the types
 * _WITH_FDS, as the word that counts them says: the message is delivered when they are there, too.
 * @spare: how many this process has to have left behind each (common/spare-fds.h)
 *
 * Nothing happens where the stream is no unix socket: none can come there. Where they are not
 * accepted the kernel closes them, and at a unix socket the connection ends, with
 * VADM_CONN_END_FRAME, as it does for one that belongs to no message, is missing, or is one too
 * many. When this process has no descriptor left it ends with VADM_CONN_END_ERROR.
 */
void vadm_conn_accept_descriptors(VadmConn *conn, guint spare);

/**
 * vadm_conn_send: queues @message: (transfer full) and writes what the socket takes at once, its
 * descriptors behind it. Never fails: errors come as ended(), from the main loop. Ignored after the
 * end. A message with descriptors ends a connection that is no unix socket.
 */
void vadm_conn_send(VadmConn *conn, VadmMessage *message);

/**
 * vadm_conn_set_stream: from here on the octets go through @stream (a reference is taken), which
 * is a layer over the one that they went through so far (TLS, a security layer of SASL)
 *
 * What is queued for writing by now still goes out below the layer; what is read next comes
 * through it. A peer that has sent octets before it could know of the layer breaks the protocol:
 * the connection ends with VADM_CONN_END_FRAME. Another layer can follow when what was queued by
 * now is written. Closing @stream has to close what is below it; what its input stream has decoded
 * ahead is read without waiting for the socket; its output stream returns no octet as written that
 * it still holds itself, and gets the same octets again after G_IO_ERROR_WOULD_BLOCK.
 */
void vadm_conn_set_stream(VadmConn *conn, GIOStream *stream);

/** vadm_conn_get_stream: Returns: (transfer none) (nullable): the one of now, the uppermost layer
 */
GIOStream *vadm_conn_get_stream(const VadmConn *conn);
/** vadm_conn_get_socket: Returns: (transfer none) (nullable): what is below all layers */
GSocket *vadm_conn_get_socket(const VadmConn *conn);

/** vadm_conn_set_message_max: the longest message that the peer may send from now on, octets with
 * the length word, VADM_RPC_LENGTH_MAX at first and at most. A longer one ends the connection with
 * VADM_CONN_END_FRAME as soon as its length word is there. */
void vadm_conn_set_message_max(VadmConn *conn, guint32 length);

/** vadm_conn_set_budget: from now on a message of the peer that is longer than VADM_BUDGET_FREE
 * claims its octets of @budget, and holds them until it is freed. While the peer has to wait for
 * them it is not read. @budget is borrowed for the connection's life. */
void vadm_conn_set_budget(VadmConn *conn, VadmBudget *budget);

/** vadm_conn_queued: what waits to be written: octets, VADM_RPC_FD_WEIGHT for each
 * descriptor, and VADM_MESSAGE_OVERHEAD for each message. 0: nothing does. */
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
