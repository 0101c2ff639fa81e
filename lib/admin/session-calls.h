/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The calls of a session: those that wait for their turn, those that were sent, and those that were
 * given up although their reply may still come. No input or output here; every operation is
 * O(log n) at most.
 */
#ifndef VADM_ADMIN_SESSION_CALLS_H
#define VADM_ADMIN_SESSION_CALLS_H

#include "admin/session.h"

/* Serials of calls given up that are remembered one by one; of older ones only that they were
 * before a certain serial. */
#define VADM_SESSION_LATE_MAX 4096u

typedef struct {
    guint64 order; /* in which they were made */
    guint32 program;
    gint32 procedure;
    VadmMessage *message; /* NULL: sent, or it could not be encoded */
    guint32 serial;       /* once sent */
    guint timeout_ms;
    gint64 deadline;      /* monotonic, microseconds; G_MAXINT64: none */
    GSequenceIter *timer; /* NULL: none, or over */
    GList *place;         /* in the queue where it is, if it is in one */
    GError *error;        /* of a call that failed and is to be told so */
    VadmReplyFn done;
    gpointer user;
} VadmSessionCall;

typedef struct {
    guint64 made;
    guint32 next_serial;
    GQueue waiting;       /* of VadmSessionCall: to be sent */
    GQueue failed;        /* of VadmSessionCall: to be told from the main loop */
    GHashTable *sent;     /* serial: VadmSessionCall */
    GSequence *deadlines; /* of VadmSessionCall, waiting or sent */
    GHashTable *late;     /* serial: program */
    GQueue late_order; /* of the keys of late, oldest first; answered ones are taken out lazily */
    gboolean forgot;   /* some serial before forgot_serial is late and not in the table */
    guint32 forgot_serial;
} VadmSessionCalls;

void vadm_session_calls_init(VadmSessionCalls *calls);
/** vadm_session_calls_clear: forgets all of them; nobody is told. */
void vadm_session_calls_clear(VadmSessionCalls *calls);

/** vadm_session_calls_add: puts @call: (transfer full) where it belongs: to those that wait or,
 * with an error, to those that failed. */
void vadm_session_calls_add(VadmSessionCalls *calls, VadmSessionCall *call);
/** vadm_session_calls_unanswered: sent and without a reply, those given up included: the daemon
 * still has them. */
guint vadm_session_calls_unanswered(const VadmSessionCalls *calls);
/** vadm_session_calls_next_serial: one that no call without a reply has. */
guint32 vadm_session_calls_next_serial(VadmSessionCalls *calls);
/** vadm_session_calls_send: the first of those that wait counts as sent. Returns: (transfer full)
 * (nullable): its message, NULL when none waits */
VadmMessage *vadm_session_calls_send(VadmSessionCalls *calls);

/** vadm_session_calls_take_reply: Returns: (transfer full) (nullable): the call that @header
 * answers; @dropped: (out): it answers one that was given up */
VadmSessionCall *vadm_session_calls_take_reply(VadmSessionCalls *calls, const VadmRpcHeader *header,
                                               gboolean *dropped);
/** vadm_session_calls_take_due: Returns: (transfer full) (nullable): the next call whose deadline
 * is not after @now; it is given up */
VadmSessionCall *vadm_session_calls_take_due(VadmSessionCalls *calls, gint64 now);
VadmSessionCall *vadm_session_calls_take_failed(VadmSessionCalls *calls);
/** vadm_session_calls_take_all: Returns: (transfer full): of VadmSessionCall, in the order in which
 * they were made */
GPtrArray *vadm_session_calls_take_all(VadmSessionCalls *calls);
/** vadm_session_calls_give_up: nobody waits for any of them; late replies are dropped. */
void vadm_session_calls_give_up(VadmSessionCalls *calls);
/** vadm_session_calls_next_deadline: G_MAXINT64: none */
gint64 vadm_session_calls_next_deadline(const VadmSessionCalls *calls);

void vadm_session_call_free(VadmSessionCall *call);

#endif
