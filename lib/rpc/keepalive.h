/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt's keepalive program (docs/protocol.md, "Keepalive"): answers PING, and, once
 * started, sends PING after each idle interval and declares the peer dead after count of them
 * went unanswered. Main context's thread only.
 */
#ifndef VADM_RPC_KEEPALIVE_H
#define VADM_RPC_KEEPALIVE_H

#include "rpc/conn.h"

typedef struct _VadmKeepalive VadmKeepalive;

/**
 * vadm_keepalive_new:
 * @conn: to answer and to ping; outlives the keepalive
 * @dead: called once, from the main loop, when the peer is dead
 */
VadmKeepalive *vadm_keepalive_new(VadmConn *conn, GMainContext *context,
                                  void (*dead)(gpointer user), gpointer user);
void vadm_keepalive_free(VadmKeepalive *keepalive);

/** vadm_keepalive_start: @interval seconds, <= 0: never ping. @count: pings without any
 * message in return before the peer is dead. Starting again restarts. */
void vadm_keepalive_start(VadmKeepalive *keepalive, int interval, guint count);

/**
 * vadm_keepalive_check: to be called with each message that comes: notes that the peer lives.
 *
 * Returns: TRUE when the message belongs to the keepalive program: it has been dealt with (a
 * PING of version 1 answered, all else swallowed), and the caller frees it. A CALL is not
 * dealt with: the caller answers it as that of an unknown program.
 */
gboolean vadm_keepalive_check(VadmKeepalive *keepalive, const VadmMessage *message);

#endif
