/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Decides which events become notifications, and when (LIBVIRT-ADMIN-MIB, lvaNotify;
 * docs/notifications.md): what is enabled, not more often than lvaNotifyMinInterval, the last state
 * in any case; no faster than the master agent answers; after a reconnect what still holds once
 * again. No net-snmp here: agent/notify-pdu.c sends.
 *
 * A notification that is on its way is a ticket until the master agent has answered it. As long as
 * there are VADM_NOTIFY_WINDOW of them nothing more is sent, so that neither the socket nor the
 * master's own queue can fill up, which would block both for ever. There is one VadmNotify for each
 * daemon, with a share of that window.
 */
#ifndef VADM_AGENT_NOTIFY_H
#define VADM_AGENT_NOTIFY_H

#include "agent/notification.h"

/* Between two turns of the loop not more than this many are sent, either. */
#define VADM_NOTIFY_WINDOW 64u

/* A source that has just begun to connect to its daemon is not told to be unreachable for so long,
 * microseconds. */
#define VADM_NOTIFY_START_US (5 * G_USEC_PER_SEC)

typedef struct _VadmNotify VadmNotify;

typedef struct {
    /* Hands a notification to the master agent without waiting. @ticket: for
     * vadm_notify_answered(). FALSE: it cannot be handed over. Called from vadm_notify_run(). */
    gboolean (*send)(const VadmNotification *notification, const VadmVarbind *varbinds, guint n,
                     gsize ticket, gpointer user);
    /* vadm_notify_run() is due. Any thread; must not block. */
    void (*wake)(gpointer user);
    gpointer user;
} VadmNotifyHooks;

/**
 * vadm_notify_new:
 * @mib: (transfer none): whose source it subscribes to; must outlive it
 * @window: how many may wait for the master agent's answers, at least 1; those of all daemons
 *     together VADM_NOTIFY_WINDOW at most
 *
 * snmp thread, like all here. Returns: (transfer full)
 */
VadmNotify *vadm_notify_new(VadmMib *mib, const VadmNotifyHooks *hooks, guint window);
/** vadm_notify_free: unsubscribes. */
void vadm_notify_free(VadmNotify *notify);

/** vadm_notify_set_connected: whether there is a session in which notifications can be sent; what
 * was not answered in the last one counts as lost when it ends. Idempotent. */
void vadm_notify_set_connected(VadmNotify *notify, gboolean connected);
/** vadm_notify_answered: the master agent has dealt with the notification; an old @ticket is
 * ignored. */
void vadm_notify_answered(VadmNotify *notify, gsize ticket);
/** vadm_notify_refused: it has answered with an error: the notification is counted as sent, but its
 * state as not told. It is in the next session, since this one would refuse it again. */
void vadm_notify_refused(VadmNotify *notify, gsize ticket);
/** vadm_notify_timed_out: it has not answered in time. Until it answers again it gets one
 * notification at a time. */
void vadm_notify_timed_out(VadmNotify *notify, gsize ticket);

/**
 * vadm_notify_run: sends what is due.
 * @now: monotonic time, microseconds
 *
 * Returns: when it is to be called next, on the scale of @now, if nobody wakes before; 0: never
 */
gint64 vadm_notify_run(VadmNotify *notify, gint64 now);

/** vadm_notify_finish: the daemon ends: from now on lvaNotifyMinInterval holds nothing back. */
void vadm_notify_finish(VadmNotify *notify);
/** vadm_notify_is_done: nothing waits for the master agent: all events that could be sent have
 * been, and were answered; or there is no session. After vadm_notify_finish(). */
gboolean vadm_notify_is_done(VadmNotify *notify);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmNotify, vadm_notify_free)

#endif
