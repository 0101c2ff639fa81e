/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between client.c and server.c. */
#ifndef VADM_DAEMON_CLIENT_PRIVATE_H
#define VADM_DAEMON_CLIENT_PRIVATE_H

#include <gio/gio.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "daemon/client.h"
#include "daemon/tls.h"
#include "rpc/conn.h"
#include "rpc/keepalive.h"

struct _VadmClient {
    gatomicrefcount refs;

    /* Constant. */
    VadmServer *server; /* outlives the client */
    guint64 id;
    guint32 index;
    VadmTransport transport;
    gboolean readonly;
    VadmAuthKind auth;      /* what its service asks for */
    gint64 connected_since; /* us since the epoch */
    gint64 connected_at;    /* monotonic, us */

    /* Any thread. */
    atomic_uint_fast64_t requests;
    atomic_uint in_flight;
    atomic_int_fast64_t last_activity; /* monotonic, us */
    atomic_bool closed;

    /* Under the server's lock. */
    VadmIdentity *identity;
    gboolean authenticated;

    /* Main thread. */
    VadmConn *conn;              /* NULL: closed */
    VadmKeepalive *keepalive;    /* with conn */
    VadmTlsHandshake *handshake; /* NULL: none is under way; else nothing is read */
    GList *auth_link;            /* in the queue of those who have to authenticate themselves */
    GQueue *held;      /* of VadmMessage: calls, and streams behind them, not dispatched */
    gsize held_octets; /* as vadm_conn_queued() counts */
    gboolean hold;     /* the program cannot take more */
    gboolean draining; /* closes when all is written; takes nothing any more */
    gboolean pumping;  /* vadm_client_pump() is on the stack */
    VadmDisconnectReason reason;
    gpointer program_data;
    GDestroyNotify program_data_destroy;
};

/* What the server knows when a connection has come. */
typedef struct {
    guint64 id;
    guint32 index;
    VadmTransport transport;
    gboolean readonly;
    VadmAuthKind auth;
    gboolean authenticated;
    VadmIdentity *identity; /* (transfer full) */
} VadmClientInit;

/** vadm_client_new: over @stream, a reference of which is taken. Nothing is read yet. Main
 * thread, like all here. */
VadmClient *vadm_client_new(VadmServer *server, GIOStream *stream, const VadmClientInit *init);
/** vadm_client_fill_row_locked: vadm_client_fill_row() under the server's lock. Any thread. */
void vadm_client_fill_row_locked(VadmClient *client, VadmClientRow *row);
/** vadm_client_start: begins to read; the server has it in its tree. */
void vadm_client_start(VadmClient *client);
/** vadm_client_admit: it is authenticated: what it may send is bounded by the protocol alone from
 * now on, and may have descriptors, where the program takes them. */
void vadm_client_admit(VadmClient *client);
/** vadm_client_is_long_connected: for so long that a name service that works would have given the
 * names. Any thread. */
gboolean vadm_client_is_long_connected(const VadmClient *client);
/** vadm_client_pump: dispatches what was held back, as far as the limits now allow. */
void vadm_client_pump(VadmClient *client);
/** vadm_client_stop_taking: reads and dispatches nothing any more (shutdown); replies still go
 * out. */
void vadm_client_stop_taking(VadmClient *client);

#endif
