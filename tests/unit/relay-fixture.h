/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ground of the relay's tests: fakes of the server and of its clients, whose replies, queue
 * and hold can be looked at and set, and an upstream daemon on a real socket in the same main
 * loop. Mailbox, worker pool and the connection to the upstream are the real ones.
 */
#ifndef VADM_TESTS_RELAY_FIXTURE_H
#define VADM_TESTS_RELAY_FIXTURE_H

#include <check.h>
#include <gio/gio.h>

#include "daemon/relay-private.h"
#include "rpc/conn.h"
#include "rpc/remote.h"
#include "rpc/rpc-error.h"

/* Runs the main loop until @condition holds; fails the test after ten seconds. */
#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        gint64 deadline_ = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;                           \
        while (!(condition)) {                                                                     \
            ck_assert_msg(g_get_monotonic_time() < deadline_, "waited in vain for %s",             \
                          #condition);                                                             \
            relay_turn();                                                                          \
        }                                                                                          \
    } while (0)

/* The upstream's side of one connection. */
typedef struct {
    VadmConn *conn;
    GPtrArray *calls;   /* of VadmMessage: calls that wait to be answered by the test */
    GPtrArray *streams; /* of VadmMessage */
    guint identities;   /* how many CONNECT_SET_IDENTITY came */
    GPtrArray *fields;  /* "name:type:value" of the latest */
    guint pings;
    gboolean ended;
} Peer;

typedef struct {
    char *path;
    GSocketService *service;
    GPtrArray *peers; /* of Peer, in the order they came */
    int auth[4];
    guint n_auth;
    gboolean polkit;        /* AUTH_POLKIT is granted */
    gboolean keep_open;     /* OPEN is left to the test */
    gboolean keep_identity; /* CONNECT_SET_IDENTITY is left to the test */
    const char *refusal;    /* of CONNECT_SET_IDENTITY: text; NULL: granted */
    int refusal_number;
    gboolean deaf;        /* PING is not answered */
    const char *greeting; /* sent to whoever connects, instead of all else */
} Upstream;

typedef struct {
    char *directory;
    VadmMailbox *mailbox;
    VadmServerConfig config;
    VadmPool *pool;
    VadmDaemon *daemon;
    VadmServer *server;
    VadmProgram *program;
    Upstream *upstream;
} Relay;

void relay_turn(void);

/* A relay whose configuration names DIR/up and DIR/up-ro; @upstream: listen on DIR/up. */
Relay *relay_new(gboolean upstream);
void relay_free(Relay *relay);
char *relay_path(Relay *relay, const char *name);
VadmUpstreamState relay_state(Relay *relay);
VadmPoolStats relay_pool_stats(Relay *relay);
guint relay_auth_failures(Relay *relay);
/* Lines about clients that would have been logged: the server has had enough of them. */
guint relay_complaints(Relay *relay);

Upstream *upstream_new(const char *path);
void upstream_free(Upstream *upstream);
Peer *upstream_peer(Upstream *upstream, guint index);
/* The connection that is open; waits until there is one with @n_calls calls. */
Peer *upstream_wait_calls(Upstream *upstream, guint n_calls);
/* Answers call @index of the peer and forgets it. */
void peer_reply(Peer *peer, guint index, VadmRpcStatus status, const void *payload, gsize length);
void peer_send(Peer *peer, guint32 type, gint32 procedure, guint32 serial, guint32 status,
               const void *payload, gsize length);
void peer_close(Peer *peer);

VadmClient *client_new(Relay *relay, gboolean readonly);
/* One that has to authenticate itself, by SASL. */
VadmClient *client_new_stranger(Relay *relay);
/* A new one's is unix. */
void client_set_transport(VadmClient *client, VadmTransport transport);
void client_disconnect(VadmClient *client);
/* All that was sent to the client: of VadmMessage. */
GPtrArray *client_received(VadmClient *client);
VadmMessage *client_at(VadmClient *client, guint index);
/* Messages that the client got before its stream became a layer; 0: it did not. */
guint client_clear(VadmClient *client);
gboolean client_held(VadmClient *client);
gboolean client_pings(VadmClient *client);
/* 0: not closed. */
VadmDisconnectReason client_reason(VadmClient *client);
void client_set_queued(VadmClient *client, gsize queued);
void client_set_identity(VadmClient *client, VadmIdentity *identity);
void client_send_message(VadmClient *client, VadmMessage *message);
void client_call(VadmClient *client, gint32 procedure, guint32 serial, const void *payload,
                 gsize length);
void client_call_program(VadmClient *client, guint32 program, gint32 procedure, guint32 serial);
/* OPEN of "test:///default", and its reply. */
void client_open(VadmClient *client, guint32 serial);

void message_destroy(gpointer message);
VadmMessage *raw_message(guint32 program, guint32 type, gint32 procedure, guint32 serial,
                         guint32 status, const void *payload, gsize length);
/* Checks that @message is an error reply. */
void assert_error(const VadmMessage *message, guint32 serial, int number, const char *text);

#define PROC_VERSION VADM_REMOTE_PROC_CONNECT_GET_VERSION
/* A call that must fail; @text is part of the error. */
void assert_call_fails(VadmClient *client, int number, const char *text);
void assert_call_works(VadmClient *client, Upstream *upstream);
/* Listens and never accepts. */
int silent_listener(const char *path, int backlog);

/* test-relay-dispatch.c: places in the pool */
void test_dispatch_add(Suite *suite);
/* test-relay-fds.c: calls and replies with descriptors */
void test_fds_add(Suite *suite);
/* test-relay-log.c: what clients can have logged */
void test_log_add(Suite *suite);
/* test-relay-state.c: what is known of the upstream */
void test_state_add(Suite *suite);
/* test-relay-upstream.c: reaching, losing and holding back the upstream */
void test_upstream_add(Suite *suite);

#endif
