/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who is told of a daemon's events. Telling is a call under a mutex that is taken below all other
 * locks of the daemon, so that events about one server are told in the order in which its lock
 * was held.
 */
#ifndef VADM_DAEMON_EVENTS_H
#define VADM_DAEMON_EVENTS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "common/lock.h"
#include "common/source.h"

typedef struct {
    atomic_bool wanted; /* somebody listens: else nobody need fill rows */
    VadmMutex lock;
    GArray *listeners; /* under lock */
    guint last_id;     /* under lock */
} VadmEvents;

void vadm_events_init(VadmEvents *events);
void vadm_events_clear(VadmEvents *events);

/** vadm_events_subscribe: see VadmSourceClass. Returns: a number that is not 0. Any thread. */
guint vadm_events_subscribe(VadmEvents *events, VadmEventFn tell, gpointer user);
/** vadm_events_unsubscribe: no call comes any more when it has returned. Not from a VadmEventFn.
 * Any other thread. */
void vadm_events_unsubscribe(VadmEvents *events, guint id);

/** vadm_events_wanted: whether telling has any effect. Any thread, never blocks. */
gboolean vadm_events_wanted(VadmEvents *events);
/** vadm_events_tell: @event: borrowed. Any thread. */
void vadm_events_tell(VadmEvents *events, const VadmEvent *event);

#endif
