/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A scripted peer: listens on a unix socket of its own in a thread of its own, and does to each
 * procedure what the test has said. Every function here may be called from any thread but the
 * peer's, at any time.
 *
 * Without a script CONNECT_OPEN and CONNECT_CLOSE are answered as a daemon does, PING with PONG,
 * and other calls with "unknown procedure".
 */
#ifndef VADM_TESTS_PEER_FIXTURE_H
#define VADM_TESTS_PEER_FIXTURE_H

#include <glib.h>

#include "rpc/message.h"

typedef struct _Peer Peer;

/**
 * PeerFn: what a test does with a call, in the peer's thread.
 * Returns: (transfer full) (nullable): the octets to send, whatever they are; NULL: nothing
 */
typedef VadmMessage *(*PeerFn)(const VadmMessage *call, gpointer user);

Peer *peer_new(void);
/* One that does not listen until peer_listen(). */
Peer *peer_new_absent(void);
void peer_free(Peer *peer);
/* Of the socket, in a directory that peer_free() removes. */
const char *peer_path(const Peer *peer);
void peer_listen(Peer *peer);
/* Removes the socket; those who are connected stay. */
void peer_stop_listening(Peer *peer);

/* The script. @procedure: of any program but keepalive; the latest for it counts. */

/* @encode: (nullable): XDR function of @ret, which is encoded before this returns */
void peer_answer(Peer *peer, gint32 procedure, xdrproc_t encode, gconstpointer ret);
void peer_refuse(Peer *peer, gint32 procedure, int number, const char *text);
/* Never answers. */
void peer_ignore(Peer *peer, gint32 procedure);
/* Calls are kept until peer_release(), and then answered as the script before said. */
void peer_hold(Peer *peer, gint32 procedure);
/* Answers the calls that are held, the latest first if @reversed, and holds no more. */
void peer_release(Peer *peer, gint32 procedure, gboolean reversed);
/* Sends @length octets of @data in the place of an answer. */
void peer_answer_raw(Peer *peer, gint32 procedure, gconstpointer data, gsize length);
/* Closes the connection, first sending the first @sent octets of its answer. */
void peer_hang_up(Peer *peer, gint32 procedure, gsize sent);
void peer_handle(Peer *peer, gint32 procedure, PeerFn handle, gpointer user);
/* Back to what it does without a script. */
void peer_forget(Peer *peer, gint32 procedure);

/* TRUE: closes each new connection without a word. */
void peer_turn_away(Peer *peer, gboolean yes);
/* FALSE: leaves connections in the backlog, as a daemon that has enough clients or was stopped. */
void peer_accept(Peer *peer, gboolean yes);
/* How many connections may wait to be accepted. */
void peer_set_backlog(Peer *peer, int backlog);
/* FALSE: does not read, as a process that was stopped. */
void peer_read(Peer *peer, gboolean yes);
/* FALSE: does not answer PING. */
void peer_answer_pings(Peer *peer, gboolean yes);

/* To all who are connected. */
void peer_send_raw(Peer *peer, gconstpointer data, gsize length);
void peer_send(Peer *peer, const VadmRpcHeader *header, xdrproc_t encode, gconstpointer payload);
void peer_close_all(Peer *peer);

/* What came. */
guint peer_n_connections(Peer *peer); /* accepted so far */
guint peer_n_open(Peer *peer);        /* not closed yet */
guint peer_n_calls(Peer *peer, gint32 procedure);
guint peer_n_pings(Peer *peer);
guint peer_n_pongs(Peer *peer);
/* Waits, at most ten seconds, until @n calls of @procedure have come in all; fails the test
 * otherwise. */
void peer_wait_calls(Peer *peer, gint32 procedure, guint n);
/* All calls so far: Returns: (transfer full): of VadmMessage, in the order in which they came */
GPtrArray *peer_get_calls(Peer *peer);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Peer, peer_free)

#endif
