/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A connection from the inside: what conn.c (its life and its end), conn-read.c and conn-write.c
 * share.
 */
#ifndef VADM_RPC_CONN_PRIVATE_H
#define VADM_RPC_CONN_PRIVATE_H

#include "common/error.h"
#include "rpc/conn-fds.h"
#include "rpc/conn.h"

/* What one turn of the main loop may do for one connection, so that a peer that sends or takes
 * without pause does not starve the others. */
#define TURN_MESSAGES 64u
#define TURN_READ     (256u * 1024)
#define TURN_WRITE    (1024u * 1024)
#define READ_AT_ONCE  (64u * 1024)

typedef enum {
    CONN_OPEN,
    CONN_ENDING, /* no more reading or writing; ended() or closed() is on its way */
    CONN_CLOSED
} ConnState;

struct _VadmConn {
    guint refs;
    guint busy; /* callbacks of ours that run: it is freed after them */
    ConnState state;
    GIOStream *stream; /* (nullable): NULL: the socket alone, which is then ours */
    GSocket *socket;   /* (nullable): of the stream, or at the bottom of its layers; borrowed */
    int fd;            /* its descriptor, or that of the socket alone; -1: none */
    gboolean is_unix;
    gboolean layered;
    GMainContext *context;
    VadmConnHandlers handlers;
    gpointer user;

    gboolean reading;
    VadmFramer *framer;
    VadmBudget *budget;     /* (nullable) */
    VadmBudgetClaim *claim; /* of the message that is being read; it may have to wait */
    gboolean has_claimed;
    VadmConnFds *fds; /* NULL: descriptors are not accepted */
    gboolean unread;  /* of a layer: it may hold octets that its socket does not tell of */
    GSource *readable;
    GSource *resume; /* delivers what was framed already */
    gboolean notices_hangup;
    GSource *hangup; /* while reading is stopped */

    GQueue queue;   /* of VadmMessage */
    gsize offset;   /* how much of the first is written: octets, then descriptors */
    gsize queued;   /* weight of what is not yet written */
    gboolean above; /* the high water mark was passed, and the low one not reached since */
    GSource *writable;
    GIOStream *below;   /* (nullable): where the next below_queued octets go instead */
    gsize below_queued; /* whole messages */
    gboolean reads_to_end;
    GError *write_error; /* nothing is written any more, and reading will find the end */

    GSource *later; /* runs ended() or closed() from the main loop */
    VadmConnEnd end;
    GError *end_error;

    gboolean flushing; /* holds a reference */
    GSource *deadline;
    void (*flushed)(gpointer user);
    gpointer flushed_user;
};

/* Nothing is between the messages and the socket. It is then used itself: what GIO keeps for one is
 * several times as much as what we do. */
static inline gboolean
conn_is_plain(const VadmConn *conn)
{
    return conn->fd >= 0 && !conn->layered;
}

/* Can descriptors be passed? No layer knows them. */
static inline gboolean
conn_is_unix(const VadmConn *conn)
{
    return conn->is_unix && !conn->layered;
}

/* conn.c */

/* Sources: callbacks never return G_SOURCE_REMOVE, since a handler may have replaced the source
 * that is being dispatched; vadm_conn_clear_source() is the one way to end them. */
void vadm_conn_clear_source(GSource **source);
/** vadm_conn_attach: @source: (transfer full). Returns: it */
GSource *vadm_conn_attach(VadmConn *conn, GSource *source, GSourceFunc callback);
/** vadm_conn_attach_soon: runs @callback in the next turn, in turn with the sockets. */
GSource *vadm_conn_attach_soon(VadmConn *conn, GSourceFunc callback);

/** vadm_conn_enter, vadm_conn_leave: around each callback of the main loop: @conn is freed behind
 * it. */
void vadm_conn_enter(VadmConn *conn);
void vadm_conn_leave(VadmConn *conn);

/** vadm_conn_end_later: stops at once; ended() or closed() comes from the main loop. */
void vadm_conn_end_later(VadmConn *conn);
/** vadm_conn_fail, vadm_conn_fail_io: it ends with @error: (transfer full); of reading or writing.
 */
void vadm_conn_fail(VadmConn *conn, VadmConnEnd end, GError *error);
void vadm_conn_fail_io(VadmConn *conn, GError *error);
/** vadm_conn_is_hangup: does @error say that the peer is gone? */
gboolean vadm_conn_is_hangup(const GError *error);

/* conn-read.c */

/** vadm_conn_wait_input: arms what tells of input; @more: some is there already. */
void vadm_conn_wait_input(VadmConn *conn, gboolean more);
/** vadm_conn_discard_input: takes what has come and throws it away. */
void vadm_conn_discard_input(VadmConn *conn);

/* conn-write.c */

void vadm_conn_drop_queue(VadmConn *conn);

#endif
