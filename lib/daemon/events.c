/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/events.h"

typedef struct {
    guint id;
    VadmEventFn tell;
    gpointer user;
} VadmListener;

void
vadm_events_init(VadmEvents *events)
{
    atomic_init(&events->wanted, false);
    vadm_mutex_init(&events->lock);
    events->listeners = g_array_new(FALSE, FALSE, sizeof(VadmListener));
    events->last_id = 0;
}

void
vadm_events_clear(VadmEvents *events)
{
    g_array_unref(events->listeners);
    vadm_mutex_clear(&events->lock);
}

guint
vadm_events_subscribe(VadmEvents *events, VadmEventFn tell, gpointer user)
{
    VadmListener listener = {.tell = tell, .user = user};
    VADM_LOCK_SCOPE(&events->lock);

    listener.id = ++events->last_id;
    g_array_append_val(events->listeners, listener);
    atomic_store(&events->wanted, true);
    return listener.id;
}

void
vadm_events_unsubscribe(VadmEvents *events, guint id)
{
    VADM_LOCK_SCOPE(&events->lock);

    for (guint i = 0; i < events->listeners->len; i++) {
        if (g_array_index(events->listeners, VadmListener, i).id != id)
            continue;
        g_array_remove_index(events->listeners, i);
        break;
    }
    atomic_store(&events->wanted, events->listeners->len > 0);
}

gboolean
vadm_events_wanted(VadmEvents *events)
{
    return atomic_load(&events->wanted);
}

void
vadm_events_tell(VadmEvents *events, const VadmEvent *event)
{
    VADM_LOCK_SCOPE(&events->lock);

    for (guint i = 0; i < events->listeners->len; i++) {
        const VadmListener *listener = &g_array_index(events->listeners, VadmListener, i);

        listener->tell(event, listener->user);
    }
}
