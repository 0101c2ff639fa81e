/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A client of a server: its connection, its identity, and the requests it has in flight.
 * Reference counted; the connection belongs to the main thread, workers hold references and
 * post.
 */
#ifndef VADM_DAEMON_CLIENT_H
#define VADM_DAEMON_CLIENT_H

#include <gio/gio.h>

#include "common/source.h"
#include "daemon/program.h"

typedef struct _VadmServer VadmServer;

/* What one client may have read ahead of its limit on requests in flight, so that its
 * keepalive messages are seen and answered. Octets; each descriptor counts VADM_RPC_FD_WEIGHT. */
#define VADM_CLIENT_READ_AHEAD (256u * 1024)

/* The longest message that a client may send before it is authenticated, octets: a SASL message has
 * at most 65536 octets of data, each an integer of its own. */
#define VADM_CLIENT_STRANGER_MESSAGE_MAX (512u * 1024)

VadmClient *vadm_client_ref(VadmClient *client);
void vadm_client_unref(VadmClient *client);

/* Constant for the client's life; any thread. */
guint64 vadm_client_get_id(const VadmClient *client);
guint32 vadm_client_get_index(const VadmClient *client); /* lvaClientIndex */
VadmServer *vadm_client_get_server(const VadmClient *client);
VadmTransport vadm_client_get_transport(const VadmClient *client);
gint64 vadm_client_get_connected_since(const VadmClient *client); /* us since the epoch */
/* Of the service that accepted it: read-only socket. */
gboolean vadm_client_is_readonly(const VadmClient *client);

/** vadm_client_get_identity: Returns: (transfer full): never NULL. Any thread. */
VadmIdentity *vadm_client_get_identity(VadmClient *client);
/** vadm_client_wait_names: waits until the resolver has looked up the names of the identity,
 * at most @timeout_us microseconds, and not at all while the name service is known to hang. Workers
 * only. Returns: as vadm_client_get_identity() */
VadmIdentity *vadm_client_wait_names(VadmClient *client, gint64 timeout_us);
/** vadm_client_is_authenticated: has the client shown who it is, as far as its service asks for
 * that? Any thread. */
gboolean vadm_client_is_authenticated(VadmClient *client);
/** vadm_client_is_closed: Any thread; may be outdated when it returns FALSE. */
gboolean vadm_client_is_closed(VadmClient *client);
/** vadm_client_fill_row: a row of this moment; its identity is a new reference. Any thread. */
void vadm_client_fill_row(VadmClient *client, VadmClientRow *row);

/* Main thread from here, unless said otherwise. */

/** vadm_client_reply: sends the reply (transfer full) to a call and ends the call. */
void vadm_client_reply(VadmClient *client, VadmMessage *reply);
/** vadm_client_post_reply: the same from any thread; @close_after: close, reason client, once it
 * is written (CONNECT_CLOSE). */
void vadm_client_post_reply(VadmClient *client, VadmMessage *reply, gboolean close_after);
/** vadm_client_send: sends a message (transfer full) that ends no call: event, stream. */
void vadm_client_send(VadmClient *client, VadmMessage *message);
/** vadm_client_queued: what waits to be written to the client: see vadm_conn_queued(). */
gsize vadm_client_queued(VadmClient *client);
/** vadm_client_set_hold: stops or resumes reading because the program cannot take more. */
void vadm_client_set_hold(VadmClient *client, gboolean hold);
/** vadm_client_get_socket, vadm_client_get_stream: Returns: (transfer none) (nullable): the
 * connection's socket, and what octets go through; NULL once it is closed */
GSocket *vadm_client_get_socket(VadmClient *client);
GIOStream *vadm_client_get_stream(VadmClient *client);
/** vadm_client_set_stream: as vadm_conn_set_stream(): from here on @stream, a layer. The client
 * must have nothing under way. What it has sent and is held back here came too early as well. */
void vadm_client_set_stream(VadmClient *client, GIOStream *stream);
/** vadm_client_start_keepalive: the client speaks the keepalive program: ping it with the
 * server's interval and count. */
void vadm_client_start_keepalive(VadmClient *client);
/** vadm_client_close: ends the connection now. Idempotent. The first reason counts. */
void vadm_client_close(VadmClient *client, VadmDisconnectReason reason);
/** vadm_client_post_close: the same from any thread. */
void vadm_client_post_close(VadmClient *client, VadmDisconnectReason reason);
/** vadm_client_close_flushed: ends the connection when all is written, or after 2 s. */
void vadm_client_close_flushed(VadmClient *client, VadmDisconnectReason reason);

/* What the program keeps for the client; freed with the client. Main thread. */
void vadm_client_set_program_data(VadmClient *client, gpointer data, GDestroyNotify destroy);
gpointer vadm_client_get_program_data(VadmClient *client);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmClient, vadm_client_unref)

#endif
