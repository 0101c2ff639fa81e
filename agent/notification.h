/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The notifications of LIBVIRT-ADMIN-MIB as data: which event gives which, and how the rows of an
 * event become varbinds, by the same getters as for GET, so that a trap and a poll cannot disagree.
 */
#ifndef VADM_AGENT_NOTIFICATION_H
#define VADM_AGENT_NOTIFICATION_H

#include "agent/mib.h"

#define VADM_NOTIFICATION_OBJECTS 5u

/* Bits of lvaNotifyEnable. */
typedef enum {
    VADM_NOTIFY_CLIENT_LIMIT = 0,
    VADM_NOTIFY_UNAUTH_LIMIT = 1,
    VADM_NOTIFY_CLIENT_HIGH = 2,
    VADM_NOTIFY_CLIENT_CONNECT = 3,
    VADM_NOTIFY_CLIENT_DISCONNECT = 4,
    VADM_NOTIFY_WORKERS = 5,
    VADM_NOTIFY_CONFIG = 6,
    VADM_NOTIFY_DAEMON = 7,
    VADM_NOTIFY_AUTH_FAILURE = 8,
    VADM_NOTIFY_UPSTREAM = 9
} VadmNotifyBit;

typedef struct {
    const VadmTable *table;
    guint32 arc;
} VadmNotificationObject;

typedef struct {
    guint32 arc; /* below lvaNotifications */
    const char *name;
    VadmNotifyBit bit;
    VadmNotificationObject objects[VADM_NOTIFICATION_OBJECTS + 1]; /* ends with table NULL */
} VadmNotification;

typedef struct {
    VadmMibOid oid; /* of the instance, below the root */
    VadmDatum datum;
} VadmVarbind;

/* What the states of an event's subject are numbered with: 0 is never one. */
#define VADM_STATE_NORMAL 1u

/** vadm_notification_state: the number of the state that @event tells of its subject:
 * VADM_STATE_NORMAL, a higher one for a condition; of CONFIG the generation, of AUTH_FAILURE the
 * number of failures, which is another one each time; 0 for kinds that tell no state. Any thread,
 * like all here. */
guint32 vadm_notification_state(const VadmEvent *event);
/** vadm_notification_is_condition: whether that state is one that is raised again after the agent
 * has reconnected. */
gboolean vadm_notification_is_condition(const VadmEvent *event);
/** vadm_notification_bits: the bits of lvaNotifyEnable that events of @kind may depend on. */
guint16 vadm_notification_bits(VadmEventKind kind);
/** vadm_notification_find: Returns: (transfer none): what @event is notified with */
const VadmNotification *vadm_notification_find(const VadmEvent *event);

/**
 * vadm_notification_fill:
 * @mib: (transfer none): whose settings the getters may ask for
 * @varbinds: (out): room for VADM_NOTIFICATION_OBJECTS; valid as long as @event
 *
 * An object whose value cannot be had (a text that is too long for its type) is there with the
 * empty value: receivers tell objects by their place. Returns: how many
 */
guint vadm_notification_fill(const VadmNotification *notification, VadmMib *mib,
                             const VadmEvent *event, VadmVarbind *varbinds);

#endif
