/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/notify-queue.h"

#include "common/lock.h"

typedef struct {
    guint64 number; /* in the order in which they were pushed, over all kinds */
    VadmEvent *event;
} VadmNotifyEntry;

struct _VadmNotifyQueue {
    void (*wake)(gpointer user);
    gpointer user;

    VadmMutex lock; /* for all below; no other lock is taken under it */
    GQueue kinds[VADM_EVENT_LAST];
    guint32 lost[VADM_EVENT_LAST];
    guint64 last_number;
    gboolean woken;
};

static guint
vadm_notify_queue_bound(VadmEventKind kind)
{
    return VADM_EVENT_BITS_EACH & VADM_EVENT_BIT(kind) ? VADM_NOTIFY_QUEUE_EVENTS
                                                       : VADM_NOTIFY_QUEUE_STATES;
}

VadmNotifyQueue *
vadm_notify_queue_new(void (*wake)(gpointer user), gpointer user)
{
    VadmNotifyQueue *queue = g_new0(VadmNotifyQueue, 1);

    queue->wake = wake;
    queue->user = user;
    vadm_mutex_init(&queue->lock);
    for (guint kind = 0; kind < VADM_EVENT_LAST; kind++)
        g_queue_init(&queue->kinds[kind]);
    return queue;
}

static void
vadm_notify_entry_free(VadmNotifyEntry *entry)
{
    if (!entry)
        return;
    vadm_event_free(entry->event);
    g_free(entry);
}

static void
vadm_notify_entry_destroy(gpointer data)
{
    vadm_notify_entry_free(data);
}

void
vadm_notify_queue_free(VadmNotifyQueue *queue)
{
    if (!queue)
        return;
    for (guint kind = 0; kind < VADM_EVENT_LAST; kind++)
        g_queue_clear_full(&queue->kinds[kind], vadm_notify_entry_destroy);
    vadm_mutex_clear(&queue->lock);
    g_free(queue);
}

void
vadm_notify_queue_push(const VadmEvent *event, gpointer user)
{
    VadmNotifyQueue *queue = user;
    VadmNotifyEntry *entry = g_new0(VadmNotifyEntry, 1);
    VadmNotifyEntry *oldest = NULL;
    GQueue *kind = &queue->kinds[event->kind];
    gboolean wake;

    entry->event = vadm_event_copy(event);
    vadm_mutex_lock(&queue->lock);
    if (g_queue_get_length(kind) >= vadm_notify_queue_bound(event->kind)) {
        oldest = g_queue_pop_head(kind);
        queue->lost[event->kind]++;
    }
    entry->number = ++queue->last_number;
    g_queue_push_tail(kind, entry);
    wake = !queue->woken;
    queue->woken = TRUE;
    vadm_mutex_unlock(&queue->lock);
    vadm_notify_entry_free(oldest);
    if (wake)
        queue->wake(queue->user);
}

gboolean
vadm_notify_queue_begin(VadmNotifyQueue *queue, guint32 lost[VADM_EVENT_LAST])
{
    gboolean any = FALSE;
    VADM_LOCK_SCOPE(&queue->lock);

    queue->woken = FALSE;
    for (guint kind = 0; kind < VADM_EVENT_LAST; kind++) {
        lost[kind] += queue->lost[kind];
        queue->lost[kind] = 0;
        any = any || lost[kind] > 0 || !g_queue_is_empty(&queue->kinds[kind]);
    }
    return any;
}

VadmEvent *
vadm_notify_queue_pop(VadmNotifyQueue *queue, guint kinds)
{
    g_autofree VadmNotifyEntry *entry = NULL;
    GQueue *first = NULL;
    guint64 number = G_MAXUINT64;
    VADM_LOCK_SCOPE(&queue->lock);

    for (guint kind = 0; kind < VADM_EVENT_LAST; kind++) {
        const VadmNotifyEntry *head = g_queue_peek_head(&queue->kinds[kind]);

        if (!head || !(kinds & VADM_EVENT_BIT(kind)) || head->number >= number)
            continue;
        first = &queue->kinds[kind];
        number = head->number;
    }
    if (!first)
        return NULL;
    entry = g_queue_pop_head(first);
    return entry->event;
}

gboolean
vadm_notify_queue_is_empty(VadmNotifyQueue *queue)
{
    VADM_LOCK_SCOPE(&queue->lock);

    for (guint kind = 0; kind < VADM_EVENT_LAST; kind++) {
        if (!g_queue_is_empty(&queue->kinds[kind]))
            return FALSE;
    }
    return TRUE;
}
