/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The client's side of a connection to a daemon's admin socket: calls and their replies, which may
 * come in any order, on one main context (docs/protocol.md, "Client"). Whoever needs calls that
 * block, or threads, builds them on top, as the library does; the agent beside a daemon uses it as
 * it is.
 *
 * A daemon whose client limit is reached accepts a connection and says nothing until a place is
 * free, and one that is stopped says nothing at all, so everything here has a time after which
 * it is given up.
 */
#ifndef VADM_ADMIN_SESSION_H
#define VADM_ADMIN_SESSION_H

#include <gio/gio.h>

#include "common/error.h"
#include "rpc/message.h"

typedef struct _VadmSession VadmSession;

typedef struct {
    const char *path;         /* of the unix socket; copied */
    guint connect_timeout_ms; /* until CONNECT_OPEN is answered; 0: for ever */
    guint call_timeout_ms;    /* of calls that do not name their own; 0: for ever */
    guint max_in_flight;      /* calls beyond it wait here for their turn; 0: no bound. Calls that
                               * were given up count until they are answered: the daemon has them */
    gint keepalive_interval;  /* seconds of silence until a PING; <= 0: none is sent */
    guint keepalive_count;    /* unanswered ones until the connection counts as dead */
} VadmSessionOptions;

typedef enum {
    VADM_SESSION_END_CONNECT,   /* it never opened: no socket, refused, or CONNECT_OPEN failed */
    VADM_SESSION_END_EOF,       /* the daemon closed it */
    VADM_SESSION_END_ERROR,     /* reading or writing failed, or the daemon broke the protocol */
    VADM_SESSION_END_KEEPALIVE, /* the daemon is silent */
    VADM_SESSION_END_TIMEOUT    /* connect_timeout_ms has passed before it opened */
} VadmSessionEnd;

typedef struct {
    /* CONNECT_OPEN was answered: the daemon serves us. */
    void (*opened)(VadmSession *session, gpointer user);
    /* Called once, from the main loop, after every call was told, in the order in which they were
     * made; then the session is dead and waits for vadm_session_free(), which may be called in it.
     * Calls that are made in or after it fail with the same error. @error: says what happened:
     * VADM_ERROR_NO_CONNECT "Failed to connect socket to 'PATH': <strerror>" (with its errno),
     * VADM_ERROR_RPC, VADM_ERROR_SYSTEM ("End of file while reading data: Input/output error",
     * "Cannot recv data: Connection reset by peer"), VADM_ERROR_TIMEOUT. @reply: (nullable): of
     * END_CONNECT when it was the daemon who refused CONNECT_OPEN. */
    void (*ended)(VadmSession *session, VadmSessionEnd end, const GError *error,
                  const VadmMessage *reply, gpointer user);
} VadmSessionHandlers;

/**
 * VadmReplyFn: the outcome of one call, from the main loop, exactly once unless the session is
 * freed first.
 * @reply: (nullable): OK or, with status ERROR, the daemon's refusal: see vadm_message_decode() and
 *     vadm_message_get_error()
 * @error: (nullable): there was no reply: VADM_ERROR_TIMEOUT (the call may still be carried out;
 * what comes later for it is dropped), or what ended the session
 *
 * May make calls and may free the session.
 */
typedef void (*VadmReplyFn)(VadmSession *session, const VadmMessage *reply, const GError *error,
                            gpointer user);

/**
 * vadm_session_open:
 * @context: (nullable): whose thread calls all functions of this header; NULL: the default one
 *
 * Begins to connect and returns at once; calls may be made from now on, and are sent when the
 * session has opened. Returns: (transfer full)
 */
VadmSession *vadm_session_open(const VadmSessionOptions *options, GMainContext *context,
                               const VadmSessionHandlers *handlers, gpointer user);
/** vadm_session_free: closes the socket now; no handler and no VadmReplyFn runs later. */
void vadm_session_free(VadmSession *session);

/** vadm_session_is_open: between VadmSessionHandlers.opened and .ended. */
gboolean vadm_session_is_open(const VadmSession *session);
/** vadm_session_in_flight: calls that were sent and not answered, also those that were given up. */
guint vadm_session_in_flight(const VadmSession *session);
/** vadm_session_set_max_in_flight: takes effect at once; what was sent is sent. */
void vadm_session_set_max_in_flight(VadmSession *session, guint max);

/**
 * vadm_session_call:
 * @program: VADM_RPC_PROGRAM_ADMIN, or VADM_RPC_PROGRAM_EXTENSION
 * @encode: (nullable): XDR function of the arguments, which are encoded before it returns
 * @timeout_ms: from now on, waiting for the session to open and for its turn included; 0:
 *     call_timeout_ms; G_MAXUINT: for ever
 * @done: (nullable): nobody wants to know
 *
 * A failure, encoding included, comes by @done, never before this returns. Also when the session
 * has ended.
 */
void vadm_session_call(VadmSession *session, guint32 program, gint32 procedure, xdrproc_t encode,
                       gconstpointer args, guint timeout_ms, VadmReplyFn done, gpointer user);

/**
 * vadm_session_close_gracefully:
 * @closed: (nullable): called once, from the main loop, when it is over
 *
 * Sends CONNECT_CLOSE, waits at most @timeout_ms for its answer and frees the session; one that is
 * not open is closed without a word. The session belongs to the caller no longer, and nothing else
 * is called any more: who waits for a call is not told. Calls that wait for their turn are not
 * sent. May be called in any handler and VadmReplyFn.
 */
void vadm_session_close_gracefully(VadmSession *session, guint timeout_ms,
                                   void (*closed)(gpointer user), gpointer user);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmSession, vadm_session_free)

#endif
