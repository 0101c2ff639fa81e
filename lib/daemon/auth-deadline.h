/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The time that clients of a server have to authenticate themselves (auth_timeout). Who has not
 * shown who it is by then is closed: else who says nothing could keep the places of others for
 * ever. The time is the same for all, so the clients stand in one queue, in the order in which they
 * came, and one timer looks at its head; a client that is authenticated costs nothing.
 */
#ifndef VADM_DAEMON_AUTH_DEADLINE_H
#define VADM_DAEMON_AUTH_DEADLINE_H

#include "daemon/server.h"

/* Closed in one turn of the main loop, so that a flood that ends does not hold up the others. */
#define VADM_AUTH_DEADLINE_BATCH 64u

typedef struct _VadmAuthDeadline VadmAuthDeadline;

/** vadm_auth_deadline_new: for @server's clients. Main thread, like all here. */
VadmAuthDeadline *vadm_auth_deadline_new(VadmServer *server, GMainContext *context);
/** vadm_auth_deadline_free: (nullable): when all clients are closed. */
void vadm_auth_deadline_free(VadmAuthDeadline *deadline);

/** vadm_auth_deadline_add: @client has just come, and is not authenticated. It is borrowed until it
 * is removed. */
void vadm_auth_deadline_add(VadmAuthDeadline *deadline, VadmClient *client);
/** vadm_auth_deadline_remove: @client is authenticated, or closed. Idempotent. The server's lock
 * may be held. */
void vadm_auth_deadline_remove(VadmAuthDeadline *deadline, VadmClient *client);

/** vadm_auth_deadline_due: for tests: when the next client is closed, monotonic time in
 * microseconds; -1: nobody waits. */
gint64 vadm_auth_deadline_due(const VadmAuthDeadline *deadline);

#endif
