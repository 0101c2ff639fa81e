/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A link from the inside: what relay-upstream.c (calls, streams, the end) and relay-connect.c
 * (the beginning) share. Main thread.
 */
#ifndef VADM_DAEMON_RELAY_LINK_H
#define VADM_DAEMON_RELAY_LINK_H

#include <gio/gio.h>

#include "daemon/relay-private.h"
#include "rpc/conn.h"
#include "rpc/keepalive.h"

typedef enum {
    LINK_IDLE,       /* no connection: not yet, or the last attempt failed */
    LINK_CONNECTING, /* the backlog is full: tried again by timer */
    LINK_AUTH,       /* AUTH_LIST, and AUTH_POLKIT where it is asked for */
    LINK_READY,
    LINK_DEAD /* it was ready and has ended: the client goes, too */
} VadmRelayLinkState;

/* What keeps the client's calls back while the link is ready. Between the upstream's OPEN and its
 * answer to our CONNECT_SET_IDENTITY a call would be done under our own identity. */
typedef enum { GATE_OPEN, GATE_OPENING, GATE_IDENTITY } VadmRelayGate;

struct _VadmRelayLink {
    gint refs;
    VadmRelay *relay;
    VadmRelayUpstream *upstream;
    VadmClient *client; /* NULL once it is closed, and for a link that only looks */
    const char *path;   /* of the upstream */
    VadmRelayLinkState state;
    VadmRelayGate gate;

    VadmConn *conn;
    VadmKeepalive *keepalive;
    GSource *retry, *deadline;
    gboolean paused; /* the client does not take what comes: the upstream is not read */
    gboolean pinged; /* the keepalive runs */

    guint32 next_serial;
    gint32 own_procedure; /* of our own call that waits for its reply; 0: none */
    guint32 own_serial;
    VadmMessage *injection; /* CONNECT_SET_IDENTITY, while OPEN is under way */

    GError *failure;   /* why the link is dead */
    GQueue held;       /* of VadmRelayCall */
    GHashTable *calls; /* (nullable): upstream serial -> VadmRelayCall */
    VadmRelayStreams *streams;
};

/* relay-upstream.c */

extern const VadmConnHandlers vadm_relay_link_handlers;

/** vadm_relay_link_fail: ends the connection; what that means for the calls and the client depends
 * on whether the link was ready (docs/relay.md, "Connecting"). */
void vadm_relay_link_fail(VadmRelayLink *link, const GError *error);
/** vadm_relay_link_fail_new: the same with "upstream 'PATH' " and the text. */
void vadm_relay_link_fail_new(VadmRelayLink *link, VadmErrorCode code, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
/** vadm_relay_link_send: @message: (transfer full): holds the client when too much waits. */
void vadm_relay_link_send(VadmRelayLink *link, VadmMessage *message);
/** vadm_relay_link_next_serial: one that no call and no stream uses. */
guint32 vadm_relay_link_next_serial(VadmRelayLink *link);
/** vadm_relay_link_check_keepalive: to be called when any of what decides about it has changed:
 * starts it, afresh, or stops it. */
void vadm_relay_link_check_keepalive(VadmRelayLink *link);
/** vadm_relay_link_flush: forwards what is held and may go now. */
void vadm_relay_link_flush(VadmRelayLink *link);
void vadm_relay_link_clear_source(GSource **source);

/* relay-connect.c */

void vadm_relay_link_connect(VadmRelayLink *link);
/** vadm_relay_link_send_own: @message: (transfer full): a call of our own. */
void vadm_relay_link_send_own(VadmRelayLink *link, VadmMessage *message);
/** vadm_relay_link_own_reply: the reply to it has come. */
void vadm_relay_link_own_reply(VadmRelayLink *link, const VadmMessage *reply);

/** vadm_relay_is_remote: is it this procedure of the remote program? */
static inline gboolean
vadm_relay_is_remote(const VadmRpcHeader *header, gint32 procedure)
{
    return header->program == VADM_RPC_PROGRAM_REMOTE && header->procedure == procedure;
}

#endif
