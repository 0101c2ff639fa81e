/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/notify.h"

#include "agent/notify-queue.h"

/* Not known to the receivers: whatever the state is, it is told. */
#define VADM_STATE_UNKNOWN 0u
/* When a source that gives no rows is asked again, microseconds. */
#define VADM_NOTIFY_RETRY_US G_USEC_PER_SEC

/* What is known of one subject: what one event kind tells of one server, or of the daemon. */
typedef struct {
    VadmEventKind kind;
    guint32 server;  /* lvaServerIndex; 0: the daemon */
    guint32 told;    /* the state that was told last, or would have been, were it enabled */
    gint64 sent_at;  /* monotonic time, microseconds; 0: never */
    gsize ticket;    /* of the last one sent */
    gint64 read_by;  /* events from before this may be older than what was read last */
    gboolean dirty;  /* the state is to be read again when the interval is over */
    gboolean again;  /* and told even if it is the same, being a condition */
    VadmEvent *kept; /* (nullable): of kinds of which there is nothing to read: the last one */
} VadmSubject;

struct _VadmNotify {
    VadmMib *mib;
    VadmSource *source;
    VadmSettings *settings;
    VadmNotifyHooks hooks;
    VadmNotifyQueue *queue;
    guint subscription;
    GPtrArray *subjects;           /* of VadmSubject: a handful for each server */
    guint32 lost[VADM_EVENT_LAST]; /* events that had to make room, not dealt with yet */

    gboolean connected;
    guint window;
    gint64 started; /* monotonic time, microseconds */
    gboolean begun; /* what holds has been noted, to be raised in this session */
    gboolean back;  /* the daemon can be reached again: all is to be looked at */
    gsize last_ticket;
    gsize session_ticket;  /* the last one of the session before */
    gsize answered_ticket; /* the highest that was answered */
    guint in_flight;
    gboolean stalled; /* the last one was not answered in time */
    gboolean ending;  /* nothing is held back any more */

    /* Of the run that is under way. */
    gint64 now;
    VadmView *view;
    guint16 enable;  /* these two also between runs, as they were */
    gint64 interval; /* microseconds */
};

/* Kinds of which the last event is kept instead of reading rows later: no row tells of a failure,
 * and that of the configuration may show a generation that will be undone. */
static gboolean
vadm_notify_is_kept(VadmEventKind kind)
{
    return kind == VADM_EVENT_AUTH_FAILURE || kind == VADM_EVENT_CONFIG;
}

/* The run's look at the source */

static void
vadm_notify_end_look(VadmNotify *notify)
{
    if (notify->view)
        notify->source->class->view_end(notify->view);
    notify->view = NULL;
}

/* The rows of the view, and the settings that count with them. FALSE: the source gives none. */
static gboolean
vadm_notify_look(VadmNotify *notify)
{
    VadmSettingsValues own = vadm_settings_get(notify->settings);
    const VadmConfigRow *config;
    guint32 interval;

    notify->view = notify->source->class->view_begin(notify->source);
    config = notify->view ? notify->source->class->config(notify->view) : NULL;
    if (!config) {
        vadm_notify_end_look(notify);
        return FALSE;
    }
    interval = config->notify_min_interval;
    notify->enable = config->notify_enable;
    if (vadm_mib_is_own(notify->mib, VADM_FIELD_NOTIFY_ENABLE))
        notify->enable = own.notify_enable;
    if (vadm_mib_is_own(notify->mib, VADM_FIELD_NOTIFY_MIN_INTERVAL))
        interval = own.notify_min_interval;
    notify->interval = interval * (gint64)G_USEC_PER_SEC;
    return TRUE;
}

static gboolean
vadm_notify_is_enabled(const VadmNotify *notify, const VadmEvent *event)
{
    return (notify->enable & (1u << vadm_notification_find(event)->bit)) != 0;
}

static void
vadm_notify_suppress(VadmNotify *notify, const VadmEvent *event)
{
    if (vadm_notify_is_enabled(notify, event))
        vadm_settings_count_notify(notify->settings, 0, 1);
}

/* Rows of now, as an event of @kind about @server would bring them. FALSE: there is no such thing
 * (any more), or it is not known while the daemon cannot be reached. */
static gboolean
vadm_notify_read(VadmNotify *notify, VadmEventKind kind, guint32 server, VadmEvent *event)
{
    const VadmSourceClass *class = notify->source->class;
    const VadmDaemonRow *daemon = class->daemon(notify->view);
    const VadmServerRow *row;

    *event = (VadmEvent){.kind = kind};
    if (!daemon)
        return FALSE;
    event->daemon = *daemon;
    event->config = *class->config(notify->view);
    if (server == 0)
        return TRUE;
    if (daemon->state != VADM_REACH_UP)
        return FALSE;
    row = class->server(notify->view, VADM_MATCH_EQ, server);
    if (row)
        event->server = *row;
    return row != NULL;
}

/* Sending */

static gboolean
vadm_notify_has_room(const VadmNotify *notify)
{
    return notify->connected && notify->in_flight < (notify->stalled ? 1u : notify->window);
}

/* Returns: the ticket; 0: it could not be handed over */
static gsize
vadm_notify_send(VadmNotify *notify, const VadmEvent *event)
{
    const VadmNotification *notification = vadm_notification_find(event);
    VadmVarbind varbinds[VADM_NOTIFICATION_OBJECTS];
    guint n = vadm_notification_fill(notification, notify->mib, event, varbinds);

    if (!notify->hooks.send(notification, varbinds, n, notify->last_ticket + 1,
                            notify->hooks.user)) {
        vadm_settings_count_notify(notify->settings, 0, 1);
        return 0;
    }
    notify->in_flight++;
    vadm_settings_count_notify(notify->settings, 1, 0);
    return ++notify->last_ticket;
}

/* Connected and disconnected clients: each is an event of its own, and either sent or lost. */
static void
vadm_notify_pass(VadmNotify *notify, const VadmEvent *event)
{
    if (!vadm_notify_is_enabled(notify, event))
        return;
    if (vadm_notify_has_room(notify))
        vadm_notify_send(notify, event);
    else
        vadm_settings_count_notify(notify->settings, 0, 1);
}

/* Subjects */

static void
vadm_subject_free(gpointer data)
{
    VadmSubject *subject = data;

    vadm_event_free(subject->kept);
    g_free(subject);
}

static VadmSubject *
vadm_notify_subject(VadmNotify *notify, VadmEventKind kind, guint32 server)
{
    VadmSubject *subject;

    for (guint i = 0; i < notify->subjects->len; i++) {
        subject = g_ptr_array_index(notify->subjects, i);
        if (subject->kind == kind && subject->server == server)
            return subject;
    }
    subject = g_new0(VadmSubject, 1);
    subject->kind = kind;
    subject->server = server;
    subject->told = vadm_notify_is_kept(kind) ? VADM_STATE_UNKNOWN : VADM_STATE_NORMAL;
    g_ptr_array_add(notify->subjects, subject);
    return subject;
}

static VadmSubject *
vadm_notify_find_subject(VadmNotify *notify, const VadmEvent *event)
{
    gboolean of_daemon = event->kind == VADM_EVENT_DAEMON || event->kind == VADM_EVENT_CONFIG;

    return vadm_notify_subject(notify, event->kind, of_daemon ? 0 : event->server.index);
}

static gint64
vadm_notify_due(const VadmNotify *notify, const VadmSubject *subject)
{
    if (notify->ending)
        return notify->now;
    if (subject->sent_at == 0)
        return subject->kind == VADM_EVENT_DAEMON
                   ? MAX(notify->now, notify->started + VADM_NOTIFY_START_US)
                   : notify->now;
    return MAX(notify->now, subject->sent_at + notify->interval);
}

/* One that cannot be handed over is not tried again in this session, which is about to end, or
 * would refuse it again. */
static void
vadm_notify_tell(VadmNotify *notify, VadmSubject *subject, const VadmEvent *event)
{
    subject->told = vadm_notification_state(event);
    if (!vadm_notify_is_enabled(notify, event))
        return;
    subject->sent_at = notify->now;
    subject->ticket = vadm_notify_send(notify, event);
    if (subject->ticket == 0)
        subject->told = VADM_STATE_UNKNOWN;
}

static void
vadm_notify_keep(VadmSubject *subject, const VadmEvent *event)
{
    if (!vadm_notify_is_kept(subject->kind))
        return;
    vadm_event_free(subject->kept);
    subject->kept = vadm_event_copy(event);
}

static gboolean
vadm_notify_is_told(const VadmSubject *subject, const VadmEvent *event)
{
    return vadm_notification_state(event) == subject->told;
}

/* Whether an event of @subject may be sent with the rows that it brought: nothing newer has been.
 */
static gboolean
vadm_notify_is_ready(const VadmNotify *notify, const VadmSubject *subject, const VadmEvent *event)
{
    return event->at >= subject->read_by && vadm_notify_has_room(notify) &&
           vadm_notify_due(notify, subject) <= notify->now;
}

/* An event of a paced kind, in its turn. One that is not sent for itself is counted, also where the
 * state that it led to is sent later. */
static void
vadm_notify_pace(VadmNotify *notify, const VadmEvent *event)
{
    VadmSubject *subject = vadm_notify_find_subject(notify, event);

    vadm_notify_keep(subject, event);
    if (vadm_notify_is_told(subject, event)) {
        vadm_notify_suppress(notify, event);
    } else if (vadm_notify_is_ready(notify, subject, event)) {
        vadm_notify_tell(notify, subject, event);
    } else {
        subject->dirty = TRUE;
        vadm_notify_suppress(notify, event);
    }
}

/* The subject's time has come: says what is true now, if that is not known. What cannot be read
 * while the daemon is unreachable is when it is back, and then still to be raised again. */
static void
vadm_notify_settle(VadmNotify *notify, VadmSubject *subject)
{
    gboolean again;
    VadmEvent event;

    subject->dirty = FALSE;
    if (vadm_notify_is_kept(subject->kind)) {
        if (subject->kept && !vadm_notify_is_told(subject, subject->kept))
            vadm_notify_tell(notify, subject, subject->kept);
        return;
    }
    if (!vadm_notify_read(notify, subject->kind, subject->server, &event))
        return;
    again = subject->again;
    subject->again = FALSE;
    subject->read_by = g_get_monotonic_time();
    if (!vadm_notify_is_told(subject, &event) || (again && vadm_notification_is_condition(&event)))
        vadm_notify_tell(notify, subject, &event);
}

static void
vadm_notify_settle_due(VadmNotify *notify)
{
    for (guint i = 0; i < notify->subjects->len && vadm_notify_has_room(notify); i++) {
        VadmSubject *subject = g_ptr_array_index(notify->subjects, i);

        if (subject->dirty && vadm_notify_due(notify, subject) <= notify->now)
            vadm_notify_settle(notify, subject);
    }
}

/* When the first subject is due. While there is no room the master's answer wakes us. */
static gint64
vadm_notify_next_due(const VadmNotify *notify)
{
    gint64 next = 0;

    if (!vadm_notify_has_room(notify))
        return 0;
    if (!notify->begun || notify->back)
        return notify->now;
    for (guint i = 0; i < notify->subjects->len; i++) {
        const VadmSubject *subject = g_ptr_array_index(notify->subjects, i);
        gint64 due = vadm_notify_due(notify, subject);

        if (subject->dirty && (next == 0 || due < next))
            next = due;
    }
    return next;
}

/* A session begins, or the daemon can be reached again: each server has its subjects, whether or
 * not something has happened to it, and all of them are looked at. */
static void
vadm_notify_look_around(VadmNotify *notify)
{
    const VadmServerRow *row;

    vadm_notify_subject(notify, VADM_EVENT_DAEMON, 0);
    for (row = notify->source->class->server(notify->view, VADM_MATCH_GT, 0); row;
         row = notify->source->class->server(notify->view, VADM_MATCH_GT, row->index)) {
        vadm_notify_subject(notify, VADM_EVENT_CLIENT_LIMIT, row->index);
        vadm_notify_subject(notify, VADM_EVENT_UNAUTH_LIMIT, row->index);
        vadm_notify_subject(notify, VADM_EVENT_WORKERS, row->index);
        vadm_notify_subject(notify, VADM_EVENT_UPSTREAM, row->index);
    }
    for (guint i = 0; i < notify->subjects->len; i++) {
        VadmSubject *subject = g_ptr_array_index(notify->subjects, i);

        subject->dirty = TRUE;
        subject->again = subject->again || !notify->begun;
    }
    notify->begun = TRUE;
    notify->back = FALSE;
}

/* Events */

/* What had to make room in the queue can only be found by reading again. */
static void
vadm_notify_note_lost(VadmNotify *notify)
{
    for (guint kind = 0; kind < VADM_EVENT_LAST; kind++) {
        if (notify->lost[kind] == 0)
            continue;
        if (notify->enable & vadm_notification_bits((VadmEventKind)kind))
            vadm_settings_count_notify(notify->settings, 0, notify->lost[kind]);
        notify->lost[kind] = 0;
        for (guint i = 0; i < notify->subjects->len; i++) {
            VadmSubject *subject = g_ptr_array_index(notify->subjects, i);
            subject->dirty = subject->dirty || subject->kind == kind;
        }
    }
}

static void
vadm_notify_take(VadmNotify *notify, VadmEvent *event)
{
    if (event->kind == VADM_EVENT_DAEMON && event->daemon.state == VADM_REACH_UP)
        notify->back = TRUE; /* looked at in the next run: this one's view may be older */
    if (VADM_EVENT_BITS_EACH & VADM_EVENT_BIT(event->kind))
        vadm_notify_pass(notify, event);
    else
        vadm_notify_pace(notify, event);
    vadm_event_free(event);
}

/* In the order in which they happened, as long as there is room. Without it states are noted, so
 * that they are read when there is again; clients wait, or are lost with the session. */
static void
vadm_notify_drain(VadmNotify *notify)
{
    guint kinds =
        notify->connected ? VADM_EVENT_BITS_ALL & ~VADM_EVENT_BITS_EACH : VADM_EVENT_BITS_ALL;
    VadmEvent *event;

    while (vadm_notify_has_room(notify) &&
           (event = vadm_notify_queue_pop(notify->queue, VADM_EVENT_BITS_ALL)))
        vadm_notify_take(notify, event);
    if (vadm_notify_has_room(notify))
        return;
    while ((event = vadm_notify_queue_pop(notify->queue, kinds)))
        vadm_notify_take(notify, event);
}

gint64
vadm_notify_run(VadmNotify *notify, gint64 now)
{
    gboolean events = vadm_notify_queue_begin(notify->queue, notify->lost);
    gint64 next;

    notify->now = now;
    if (!events && vadm_notify_next_due(notify) == 0)
        return 0;
    /* Also before anything is due: no event tells that a change of the interval was undone. */
    if (!vadm_notify_look(notify))
        return now + VADM_NOTIFY_RETRY_US;
    if (notify->connected && (!notify->begun || notify->back))
        vadm_notify_look_around(notify);
    vadm_notify_note_lost(notify);
    vadm_notify_settle_due(notify);
    vadm_notify_drain(notify);
    next = vadm_notify_next_due(notify);
    vadm_notify_end_look(notify);
    return next;
}

void
vadm_notify_finish(VadmNotify *notify)
{
    notify->ending = TRUE;
}

gboolean
vadm_notify_is_done(VadmNotify *notify)
{
    return !notify->connected || (notify->in_flight == 0 && vadm_notify_next_due(notify) == 0 &&
                                  vadm_notify_queue_is_empty(notify->queue));
}

/* The master agent */

/* FALSE: it is of an earlier session */
static gboolean
vadm_notify_make_room(VadmNotify *notify, gsize ticket, gboolean stalled)
{
    if (ticket <= notify->session_ticket || notify->in_flight == 0)
        return FALSE;
    notify->in_flight--;
    notify->stalled = stalled;
    return TRUE;
}

void
vadm_notify_answered(VadmNotify *notify, gsize ticket)
{
    if (vadm_notify_make_room(notify, ticket, FALSE))
        notify->answered_ticket = MAX(notify->answered_ticket, ticket);
}

void
vadm_notify_refused(VadmNotify *notify, gsize ticket)
{
    if (!vadm_notify_make_room(notify, ticket, FALSE))
        return;
    for (guint i = 0; i < notify->subjects->len; i++) {
        VadmSubject *subject = g_ptr_array_index(notify->subjects, i);

        if (subject->ticket == ticket)
            subject->told = VADM_STATE_UNKNOWN;
    }
}

void
vadm_notify_timed_out(VadmNotify *notify, gsize ticket)
{
    vadm_notify_make_room(notify, ticket, TRUE);
}

/* The master works in order: what comes before an answered one has reached it. */
static void
vadm_notify_forget_unanswered(VadmNotify *notify)
{
    for (guint i = 0; i < notify->subjects->len; i++) {
        VadmSubject *subject = g_ptr_array_index(notify->subjects, i);

        if (subject->ticket > notify->answered_ticket)
            subject->told = VADM_STATE_UNKNOWN;
    }
    notify->session_ticket = notify->answered_ticket = notify->last_ticket;
    notify->in_flight = 0;
    notify->stalled = FALSE;
}

void
vadm_notify_set_connected(VadmNotify *notify, gboolean connected)
{
    if (connected == notify->connected)
        return;
    notify->connected = connected;
    notify->begun = FALSE;
    if (!connected)
        vadm_notify_forget_unanswered(notify);
}

/* Life */

VadmNotify *
vadm_notify_new(VadmMib *mib, const VadmNotifyHooks *hooks, guint window)
{
    VadmNotify *notify = g_new0(VadmNotify, 1);

    notify->mib = mib;
    notify->source = vadm_mib_get_source(mib);
    notify->settings = vadm_mib_get_settings(mib);
    notify->hooks = *hooks;
    notify->window = window;
    notify->started = g_get_monotonic_time();
    notify->subjects = g_ptr_array_new_with_free_func(vadm_subject_free);
    notify->queue = vadm_notify_queue_new(hooks->wake, hooks->user);
    notify->subscription =
        notify->source->class->subscribe(notify->source, vadm_notify_queue_push, notify->queue);
    return notify;
}

void
vadm_notify_free(VadmNotify *notify)
{
    if (!notify)
        return;
    notify->source->class->unsubscribe(notify->source, notify->subscription);
    vadm_notify_queue_free(notify->queue);
    g_ptr_array_unref(notify->subjects);
    g_free(notify);
}
