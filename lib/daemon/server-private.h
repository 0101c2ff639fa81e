/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between server.c, client.c, daemon.c and their test. */
#ifndef VADM_DAEMON_SERVER_PRIVATE_H
#define VADM_DAEMON_SERVER_PRIVATE_H

#include <stdatomic.h>

#include "common/lock.h"
#include "daemon/auth-deadline.h"
#include "daemon/client-private.h"
#include "daemon/complaints.h"
#include "daemon/limit.h"
#include "daemon/server.h"
#include "daemon/service.h"
#include "daemon/tls.h"
#include "daemon/worker-watch.h"

struct _VadmServer {
    /* Constant. */
    VadmDaemon *daemon;
    const VadmServerConfig *config; /* as at start; the daemon holds it */
    VadmPool *pool;
    VadmProgram *program;
    GPtrArray *services; /* of VadmService; in the order of lvaServiceIndex */

    /* Any thread. */
    atomic_uint requests_max;
    atomic_uint_fast64_t requests_delayed;

    /* Covers the clients' identities, too, which have no lock of their own. Below it are only the
     * pool's and the events' locks: events are told under it, so that they come in the order in
     * which things happened. */
    VadmMutex lock;
    VadmCond named; /* some client's identity has got its names */
    /* Under lock. */
    gboolean names_hang; /* somebody has waited for names in vain, and none came since */
    GTree *clients;      /* lvaClientIndex -> VadmClient, which the tree holds a reference of */
    guint64 last_id;
    guint32 unauth;
    VadmServerLimits limits;
    VadmLimit clients_limit, unauth_limit;
    guint64 accepted;
    guint32 auth_failures;
    VadmUpstreamState upstream_state;
    gboolean workers_exhausted;
    VadmTls *tls; /* NULL: no service wants it */

    VadmMutex tls_update; /* taken before lock, by workers that read the files of TLS again */

    /* Main thread. */
    gboolean listening;    /* accepting, as far as the limits allow */
    guint next_service;    /* whose turn it is when there is room again: a number, modulo theirs */
    gboolean stopped_pool; /* by whoever stops it: then its threads are gone */
    VadmWorkerWatch *watch;
    VadmAuthDeadline *auth_deadline;
    VadmComplaints *complaints;
    VadmTlsGate *tls_gate; /* with tls; the daemon's */
};

/**
 * vadm_server_new:
 * @config: borrowed for the server's life
 *
 * Starts the worker pool. Returns: (transfer full) (nullable). Main thread, like all here.
 */
VadmServer *vadm_server_new(VadmDaemon *daemon, const VadmServerConfig *config,
                            GMainContext *context, GError **error);
void vadm_server_take_program(VadmServer *server, VadmProgram *program);
/** vadm_server_free: after the pool has stopped, all clients are closed, and so is the daemon's
 * mailbox. */
void vadm_server_free(VadmServer *server);

gboolean vadm_server_listen(VadmServer *server, GError **error);
/** vadm_server_start: begins to accept. */
void vadm_server_start(VadmServer *server);
/** vadm_server_stop_listening: closes and unlinks the sockets. */
void vadm_server_stop_listening(VadmServer *server);

/** vadm_server_remove_client: @client has been closed. */
void vadm_server_remove_client(VadmServer *server, VadmClient *client);
/** vadm_server_set_names: @named: the identity that was looked up, with names. Any thread. */
void vadm_server_set_names(VadmServer *server, VadmClient *client, const VadmIdentity *named);

/** vadm_server_set_x509_dn: @client has shown a certificate of @dn: it does not count as
 * unauthenticated any more if its service asks for nothing else. As vadm_server_set_sasl_user(). */
void vadm_server_set_x509_dn(VadmServer *server, VadmClient *client, const char *dn);

/* server-tls.c */

/** vadm_server_config_has_tls: does one of its services speak TLS? Any thread. */
gboolean vadm_server_config_has_tls(const VadmServerConfig *config);
/** vadm_server_start_tls: reads the files of TLS, if a service wants them. Before it listens. */
gboolean vadm_server_start_tls(VadmServer *server, GError **error);
/** vadm_server_begin_tls: @client, which has just come through @base, begins to speak when the
 * handshake has ended, or is closed with it. */
void vadm_server_begin_tls(VadmServer *server, VadmClient *client, GSocketConnection *base);

/* server-identity.c */

/** vadm_server_peer_identity: @peer: the address that it comes from, of tcp and tls. Returns:
 * (transfer full): of tcp and tls one that is local to nobody, has no names, and so needs none to
 * be looked up. Any thread. */
VadmIdentity *vadm_server_peer_identity(int fd, VadmTransport transport,
                                        const VadmInetAddress *peer);

/* server-rows.c */

/**
 * vadm_server_tell:
 * @client: (nullable): the row of the client that it is about; borrowed
 *
 * Tells an event with the server's row of this moment; does nothing while nobody listens. Under
 * the server's lock; any thread.
 */
void vadm_server_tell(VadmServer *server, VadmEventKind kind, const VadmClientRow *client);
/** vadm_server_tell_workers: that of the workers, with the numbers of the pool, @stats, that it
 * follows from. Under the server's lock; any thread. */
void vadm_server_tell_workers(VadmServer *server, const VadmPoolStats *stats);
/** vadm_server_tell_client: the same with the row of @client. Under the server's lock; main
 * thread. */
void vadm_server_tell_client(VadmServer *server, VadmEventKind kind, VadmClient *client);

/** vadm_server_preset_id: the next client gets @last_id + 1. For tests of the wrap at 2^32. */
void vadm_server_preset_id(VadmServer *server, guint64 last_id);

#endif
