/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between peer-fixture.c, the peer and its connections, and peer-script.c, what it does with calls.
 */
#ifndef VADM_TESTS_PEER_PRIVATE_H
#define VADM_TESTS_PEER_PRIVATE_H

#include "common/lock.h"
#include "common/mailbox.h"
#include "peer-fixture.h"
#include "rpc/conn.h"

typedef struct {
    Peer *peer;
    VadmConn *conn;
} Link;

typedef struct {
    Link *link; /* NULL: it is gone */
    VadmMessage *message;
} HeldCall;

/* What is done with a procedure. */
typedef struct {
    PeerFn handle;
    gpointer user;
    VadmMessage *octets; /* what is sent, in the place of handle's */
    gboolean raw;        /* octets as they are, without the header of a reply */
    gsize hang_up_after; /* octets; G_MAXSIZE: it does not hang up */
} Rule;

struct _Peer {
    char *directory, *path;
    pthread_t thread;
    GMainContext *context;
    GMainLoop *loop;
    VadmMailbox *mailbox;

    /* The peer's thread only. */
    GSocket *listener;
    GSource *accepting;
    GPtrArray *links; /* of Link */
    gboolean reading;

    VadmMutex lock;
    VadmCond changed;
    GHashTable *rules; /* procedure: Rule */
    GHashTable *held;  /* procedure: GPtrArray of HeldCall */
    GPtrArray *calls;  /* of VadmMessage */
    gboolean turns_away, deaf_to_pings;
    guint n_connections, n_open, n_pings, n_pongs;
};

/* peer-fixture.c */

/* Runs @run in the peer's thread and waits for it. */
void peer_run(Peer *peer, void (*run)(Peer *peer, gpointer data), gpointer data);
/* Closes when all is written. */
void link_close(Link *link);

/* peer-script.c */

void held_free(gpointer held);
void rule_free(gpointer rule);
VadmMessage *new_octets(gconstpointer data, gsize length);
/* @octets: (transfer full) */
void link_send(Link *link, VadmMessage *octets);
void link_receive(Link *link, const VadmMessage *message);

#endif
