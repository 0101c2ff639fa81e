/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events on their way from the threads in which they happen to the snmp thread, which may be
 * stalled for as long as the master agent is: bounded for each kind, so that a flood of one does
 * not push out another; the oldest of the kind makes room, since the newest says what is true.
 */
#ifndef VADM_AGENT_NOTIFY_QUEUE_H
#define VADM_AGENT_NOTIFY_QUEUE_H

#include "common/source.h"

/* How many of one kind may wait: of those of which the last one counts, and of those of which each
 * does. */
#define VADM_NOTIFY_QUEUE_STATES 256u
#define VADM_NOTIFY_QUEUE_EVENTS 4096u

#define VADM_EVENT_BIT(kind) (1u << (kind))
#define VADM_EVENT_BITS_ALL  ((1u << VADM_EVENT_LAST) - 1)
/* Kinds of which each event counts. */
#define VADM_EVENT_BITS_EACH                                                                       \
    (VADM_EVENT_BIT(VADM_EVENT_CLIENT_CONNECTED) | VADM_EVENT_BIT(VADM_EVENT_CLIENT_DISCONNECTED))

typedef struct _VadmNotifyQueue VadmNotifyQueue;

/** vadm_notify_queue_new: @wake: called, by who pushes, when there is something for the one who
 * pops again: once until vadm_notify_queue_begin(). Returns: (transfer full) */
VadmNotifyQueue *vadm_notify_queue_new(void (*wake)(gpointer user), gpointer user);
/** vadm_notify_queue_free: (nullable): nobody pushes any more. */
void vadm_notify_queue_free(VadmNotifyQueue *queue);

/** vadm_notify_queue_push: a copy of @event. Any thread; never blocks. A VadmEventFn. */
void vadm_notify_queue_push(const VadmEvent *event, gpointer queue);

/** vadm_notify_queue_begin: what comes from now on wakes again. @lost: by kind: how many had to
 * make room since the last call is added. Returns: whether there is anything. snmp thread, like all
 * below. */
gboolean vadm_notify_queue_begin(VadmNotifyQueue *queue, guint32 lost[VADM_EVENT_LAST]);
/** vadm_notify_queue_pop: Returns: (transfer full) (nullable): the oldest of those whose
 * VADM_EVENT_BIT() is in @kinds */
VadmEvent *vadm_notify_queue_pop(VadmNotifyQueue *queue, guint kinds);
/** vadm_notify_queue_is_empty: whether nothing waits. */
gboolean vadm_notify_queue_is_empty(VadmNotifyQueue *queue);

#endif
