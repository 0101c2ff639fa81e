/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside the relay (docs/relay.md): the program (relay.c) takes calls from clients and hands them
 * to workers; a link (relay-upstream.c) is one client's connection to the upstream daemon, used
 * by the main thread only; a call is what a worker waits for.
 */
#ifndef VADM_DAEMON_RELAY_PRIVATE_H
#define VADM_DAEMON_RELAY_PRIVATE_H

#include "common/lock.h"
#include "common/mailbox.h"
#include "daemon/relay.h"

/* Over connecting and authenticating together: an upstream that is full accepts silently. */
#define VADM_RELAY_DEADLINE_MS 10000u
/* How often a connect is tried again while the upstream's backlog is full. */
#define VADM_RELAY_RETRY_MS 20u
/* How long behind the end of a connection the upstream is looked at: a daemon that is going
 * down closes its clients before its listening socket. */
#define VADM_RELAY_PROBE_MS 500u
/* How long an OPEN waits for the names of the client's user and group. */
#define VADM_RELAY_NAMES_US (2 * G_USEC_PER_SEC)

/* How often it is looked whether an upstream that was unreachable is back: often enough for its
 * state to follow within a second. */
#define VADM_RELAY_LOOK_MS 500u

/* A libvirt daemon does not read a connection on which max_client_requests of its calls are in
 * progress, and so answers no PING there. This is what it is unless its configuration says
 * otherwise, which it tells nobody but administrators. */
#define VADM_RELAY_UPSTREAM_REQUESTS 5u

typedef struct _VadmRelayLink VadmRelayLink;

typedef struct _VadmRelay VadmRelay;

/* One of the upstream daemon's two sockets, and what is known of it. */
typedef struct {
    VadmRelay *relay;
    const char *path; /* (nullable): none is configured for this kind of service */
    VadmUpstreamState state;
    GSource *probe; /* a connection has ended */
    GSource *look;  /* it is unreachable; NULL: it is not, and this is NULL, too */
    VadmRelayLink *look_link;
} VadmRelayUpstream;

struct _VadmRelay {
    VadmProgram program;
    VadmServer *server;
    VadmMailbox *mailbox;
    GMainContext *context;
    guint deadline_ms, look_ms;
    gboolean identity_warned;       /* the upstream does not know CONNECT_SET_IDENTITY: said once */
    VadmRelayUpstream upstreams[2]; /* of read-write services, of read-only ones */
    GQueue turns;                   /* of authentication, that wait for a place */
    guint turns_run;                /* that have one */
};

/* A call of a client. It has a place in the pool until it is done: that of a worker that waits for
 * it, or one without. */
typedef struct {
    gint refs;
    VadmRelay *relay;
    VadmRelayLink *link;
    VadmClient *client;
    VadmRpcHeader header;   /* as the client sent it */
    VadmMessage *message;   /* NULL once it is sent */
    VadmMessage *injection; /* OPEN: the CONNECT_SET_IDENTITY that follows it */
    guint32 upstream_serial;
    gboolean placed;     /* without a worker */
    gboolean released;   /* that place has been given back; main thread */
    VadmPoolPlace place; /* if it is */
    GList *job;          /* in the guest's jobs, while no worker has handed it over */

    VadmMutex lock;
    VadmCond cond;
    gboolean done, ok; /* under lock */
} VadmRelayCall;

typedef struct _VadmRelayAuth VadmRelayAuth;

/* What the relay keeps for a client. */
typedef struct {
    VadmRelayLink *link; /* (nullable) */
    VadmRelayAuth *auth; /* (nullable) */
    GList *jobs;         /* of VadmRelayCall, references: those that wait for a worker */
} VadmRelayGuest;

/* relay.c */

/** vadm_relay_answer, vadm_relay_refuse: replies to @call and ends it. @number: libvirt's error
 * number; @detail: the text behind its prefix. Main thread. */
void vadm_relay_answer(VadmClient *client, const VadmMessage *call, xdrproc_t encode,
                       gconstpointer payload);
void vadm_relay_refuse(VadmClient *client, const VadmMessage *call, int number, const char *detail);

/** vadm_relay_get_auth: the client's; made where there was none. Main thread. */
VadmRelayAuth *vadm_relay_get_auth(VadmClient *client);

VadmRelayCall *vadm_relay_call_ref(VadmRelayCall *call);
void vadm_relay_call_unref(VadmRelayCall *call);
/** vadm_relay_call_finish: lets the worker, or its place, go; idempotent. Any thread where a worker
 * has the call, else the main thread. */
void vadm_relay_call_finish(VadmRelayCall *call, gboolean ok);
/** vadm_relay_handles: is this one of the programs that are relayed? */
gboolean vadm_relay_handles(guint32 program, guint32 version);
/** vadm_relay_set_deadline: for tests: milliseconds instead of VADM_RELAY_DEADLINE_MS. */
void vadm_relay_set_deadline(VadmProgram *program, guint deadline_ms);

/* relay-state.c: main thread */

/** vadm_relay_note_success: the upstream has let us in. It closes the link that looked at it while
 * it was unreachable. */
void vadm_relay_note_success(VadmRelayUpstream *upstream);
/** vadm_relay_note_failure: an attempt to reach the upstream ended with @error: it is unreachable,
 * and looked at until it is back, unless it is this process that lacks descriptors or memory. */
void vadm_relay_note_failure(VadmRelayUpstream *upstream, const GError *error);
/** vadm_relay_probe_soon: an upstream connection ended: see, once for all that ended together,
 * whether the daemon is still there. */
void vadm_relay_probe_soon(VadmRelayUpstream *upstream);
/** vadm_relay_state_clear: looks no more. */
void vadm_relay_state_clear(VadmRelayUpstream *upstream);

/* relay-auth.c: main thread */

/* How far a client is in authenticating itself. Lives as long as the client does. */
VadmRelayAuth *vadm_relay_auth_new(void);
void vadm_relay_auth_free(VadmRelayAuth *auth);
/** vadm_relay_auth_call:
 * @call: (transfer full) where it returns TRUE
 *
 * The gate that every call has to pass. Procedures 66 to 70 are answered here, with the help of a
 * worker where SASL is asked; while that is under way the client is held. Any other procedure is
 * refused before the client is authenticated.
 * Returns: FALSE: neither: the call may be served
 */
gboolean vadm_relay_auth_call(VadmRelay *relay, VadmClient *client, VadmMessage *call);
/** vadm_relay_auth_leave: the client is gone: it waits for nothing any more. */
void vadm_relay_auth_leave(VadmRelayAuth *auth, VadmRelay *relay);

/* relay-fds.c: main thread */

/** vadm_relay_takes_descriptors: can descriptors be passed to and from this client? */
gboolean vadm_relay_takes_descriptors(const VadmClient *client);
/** vadm_relay_fds_call:
 * @message: (transfer full): a call
 *
 * Returns: (transfer full) (nullable): the same, to be passed on. NULL: it has been refused, and
 * the client is closed where what follows could not be understood */
VadmMessage *vadm_relay_fds_call(VadmClient *client, VadmMessage *message);
/** vadm_relay_fds_reply:
 * @message: (transfer full): of the upstream, to a call of @client
 *
 * Returns: (transfer full) (nullable): the same, or an error where its descriptors cannot reach the
 * client. NULL: it is cut short */
VadmMessage *vadm_relay_fds_reply(const VadmClient *client, VadmMessage *message);

/* relay-priority.c */

/** vadm_relay_opens_stream: does a successful call of @procedure leave a stream behind? */
gboolean vadm_relay_opens_stream(guint32 program, gint32 procedure);

/* relay-stream.c: main thread */

typedef struct {
    VadmRpcHeader call; /* of the client's call that opened it */
    guint32 serial;     /* upstream */
} VadmRelayStream;

typedef struct _VadmRelayStreams VadmRelayStreams;

VadmRelayStreams *vadm_relay_streams_new(void);
void vadm_relay_streams_free(VadmRelayStreams *streams);
/** vadm_relay_streams_add: @serial: the upstream's. The latest stream with one serial of the
 * client's is the one that its messages go to. */
void vadm_relay_streams_add(VadmRelayStreams *streams, const VadmRpcHeader *call, guint32 serial);
/** vadm_relay_streams_has: is this upstream serial in use? */
gboolean vadm_relay_streams_has(const VadmRelayStreams *streams, guint32 serial);
/** vadm_relay_streams_find_upstream, _find_client: the stream that a message from that side
 * belongs to. (nullable) */
const VadmRelayStream *vadm_relay_streams_find_upstream(const VadmRelayStreams *streams,
                                                        const VadmRpcHeader *header);
const VadmRelayStream *vadm_relay_streams_find_client(const VadmRelayStreams *streams,
                                                      const VadmRpcHeader *header);
/** vadm_relay_streams_remove: by its upstream serial; nothing happens when there is none. */
void vadm_relay_streams_remove(VadmRelayStreams *streams, guint32 serial);
typedef void (*VadmRelayStreamFn)(const VadmRelayStream *stream, gpointer user);
/** vadm_relay_streams_foreach: @function: must not change @streams */
void vadm_relay_streams_foreach(const VadmRelayStreams *streams, VadmRelayStreamFn function,
                                gpointer user);
void vadm_relay_streams_clear(VadmRelayStreams *streams);

/* relay-identity.c */

/** vadm_relay_identity_message: Returns: (transfer full) (nullable): CONNECT_SET_IDENTITY with
 * every field of @client's identity that is known. Waits for names: workers only. */
VadmMessage *vadm_relay_identity_message(VadmClient *client, GError **error);
/** vadm_relay_process_time:
 * @pid: a process
 * @connected_since: when it connected, microseconds since the epoch
 * @ticks: (out): its start time: clock ticks since boot, /proc/PID/stat field 22
 *
 * Returns: FALSE when there is no such process any more, or @pid is another, younger one now. */
gboolean vadm_relay_process_time(guint32 pid, gint64 connected_since, guint64 *ticks);

/* relay-upstream.c: main thread, but for ref and unref */

/** vadm_relay_link_new:
 * @client: (nullable): NULL: a link that only looks whether the upstream lets it in */
VadmRelayLink *vadm_relay_link_new(VadmRelayUpstream *upstream, VadmClient *client);
VadmRelayLink *vadm_relay_link_ref(VadmRelayLink *link);
void vadm_relay_link_unref(VadmRelayLink *link);
/** vadm_relay_link_submit: @call: (transfer full): forwarded as soon as it may be. */
void vadm_relay_link_submit(VadmRelayLink *link, VadmRelayCall *call);
/** vadm_relay_link_stream: @message: (transfer full): stream data from the client. */
void vadm_relay_link_stream(VadmRelayLink *link, VadmMessage *message);
/** vadm_relay_link_resume: the client has taken what was queued for it. */
void vadm_relay_link_resume(VadmRelayLink *link);
/** vadm_relay_link_close: the client is gone: closes the connection, lets the workers go. */
void vadm_relay_link_close(VadmRelayLink *link);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmRelayLink, vadm_relay_link_unref)

#endif
