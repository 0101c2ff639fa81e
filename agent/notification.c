/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/notification.h"

#include "agent/mib-private.h"

#define VADM_OBJECT(table, object)                                                                 \
    {                                                                                              \
        &vadm_mib_##table, LVA_ARC_##object                                                        \
    }
#define VADM_DAEMON(object) VADM_OBJECT(daemon_scalars, object)
#define VADM_CONFIG(object) VADM_OBJECT(config_scalars, object)
#define VADM_SERVER(object) VADM_OBJECT(server_table, object)
#define VADM_CLIENT(object) VADM_OBJECT(client_table, object)
#define VADM_NOTIFICATION(object, enable, ...)                                                     \
    {                                                                                              \
        .arc = LVA_ARC_##object, .name = #object, .bit = VADM_NOTIFY_##enable, .objects = {        \
            VADM_DAEMON(lvaDaemonName),                                                            \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

/* In the order of their arcs, which are 1 and up. */
static const VadmNotification vadm_notifications[] = {
    VADM_NOTIFICATION(lvaClientsFull, CLIENT_LIMIT, VADM_SERVER(lvaServerName),
                      VADM_SERVER(lvaServerClientsCurrent), VADM_SERVER(lvaServerClientsMax)),
    VADM_NOTIFICATION(lvaClientsHigh, CLIENT_HIGH, VADM_SERVER(lvaServerName),
                      VADM_SERVER(lvaServerClientsCurrent), VADM_SERVER(lvaServerClientsMax),
                      VADM_SERVER(lvaServerClientsHighPercent)),
    VADM_NOTIFICATION(lvaClientsNormal, CLIENT_LIMIT, VADM_SERVER(lvaServerName),
                      VADM_SERVER(lvaServerClientsCurrent), VADM_SERVER(lvaServerClientsMax)),
    VADM_NOTIFICATION(lvaUnauthFull, UNAUTH_LIMIT, VADM_SERVER(lvaServerName),
                      VADM_SERVER(lvaServerClientsUnauthCurrent),
                      VADM_SERVER(lvaServerClientsUnauthMax)),
    VADM_NOTIFICATION(lvaUnauthNormal, UNAUTH_LIMIT, VADM_SERVER(lvaServerName),
                      VADM_SERVER(lvaServerClientsUnauthCurrent),
                      VADM_SERVER(lvaServerClientsUnauthMax)),
    VADM_NOTIFICATION(lvaClientConnected, CLIENT_CONNECT, VADM_SERVER(lvaServerName),
                      VADM_CLIENT(lvaClientTransport), VADM_CLIENT(lvaClientPeer)),
    VADM_NOTIFICATION(lvaClientDisconnected, CLIENT_DISCONNECT, VADM_SERVER(lvaServerName),
                      VADM_CLIENT(lvaClientTransport), VADM_CLIENT(lvaClientPeer),
                      VADM_CLIENT(lvaClientDisconnectReason)),
    VADM_NOTIFICATION(lvaWorkersExhausted, WORKERS, VADM_SERVER(lvaServerName),
                      VADM_SERVER(lvaServerWorkersMax), VADM_SERVER(lvaServerJobQueueDepth)),
    VADM_NOTIFICATION(lvaWorkersAvailable, WORKERS, VADM_SERVER(lvaServerName),
                      VADM_SERVER(lvaServerWorkersMax), VADM_SERVER(lvaServerJobQueueDepth)),
    VADM_NOTIFICATION(lvaConfigChanged, CONFIG, VADM_CONFIG(lvaConfigGeneration),
                      VADM_CONFIG(lvaConfigLastOrigin)),
    VADM_NOTIFICATION(lvaDaemonUnreachable, DAEMON, VADM_DAEMON(lvaDaemonUri)),
    VADM_NOTIFICATION(lvaDaemonReachable, DAEMON, VADM_DAEMON(lvaDaemonUri)),
    VADM_NOTIFICATION(lvaClientAuthFailure, AUTH_FAILURE, VADM_SERVER(lvaServerName),
                      VADM_CLIENT(lvaClientTransport), VADM_CLIENT(lvaClientPeer),
                      VADM_SERVER(lvaServerAuthFailures)),
    VADM_NOTIFICATION(lvaUpstreamDown, UPSTREAM, VADM_SERVER(lvaServerName),
                      VADM_SERVER(lvaServerUpstreamState)),
    VADM_NOTIFICATION(lvaUpstreamUp, UPSTREAM, VADM_SERVER(lvaServerName),
                      VADM_SERVER(lvaServerUpstreamState)),
};

guint16
vadm_notification_bits(VadmEventKind kind)
{
    static const guint16 bits[VADM_EVENT_LAST] = {
        [VADM_EVENT_CLIENT_LIMIT] = 1u << VADM_NOTIFY_CLIENT_LIMIT | 1u << VADM_NOTIFY_CLIENT_HIGH,
        [VADM_EVENT_UNAUTH_LIMIT] = 1u << VADM_NOTIFY_UNAUTH_LIMIT,
        [VADM_EVENT_WORKERS] = 1u << VADM_NOTIFY_WORKERS,
        [VADM_EVENT_UPSTREAM] = 1u << VADM_NOTIFY_UPSTREAM,
        [VADM_EVENT_DAEMON] = 1u << VADM_NOTIFY_DAEMON,
        [VADM_EVENT_CONFIG] = 1u << VADM_NOTIFY_CONFIG,
        [VADM_EVENT_AUTH_FAILURE] = 1u << VADM_NOTIFY_AUTH_FAILURE,
        [VADM_EVENT_CLIENT_CONNECTED] = 1u << VADM_NOTIFY_CLIENT_CONNECT,
        [VADM_EVENT_CLIENT_DISCONNECTED] = 1u << VADM_NOTIFY_CLIENT_DISCONNECT,
    };

    return bits[kind];
}

guint32
vadm_notification_state(const VadmEvent *event)
{
    switch (event->kind) {
    case VADM_EVENT_CLIENT_LIMIT:
        return event->server.clients_state;
    case VADM_EVENT_UNAUTH_LIMIT:
        return event->server.clients_unauth_state;
    case VADM_EVENT_WORKERS:
        return event->server.workers_exhausted ? VADM_STATE_NORMAL + 1 : VADM_STATE_NORMAL;
    case VADM_EVENT_UPSTREAM: /* one that nobody has needed yet is no worse than one that is up */
        return event->server.upstream_state == VADM_UPSTREAM_UNREACHABLE ? VADM_STATE_NORMAL + 1
                                                                         : VADM_STATE_NORMAL;
    case VADM_EVENT_DAEMON:
        return event->daemon.state;
    case VADM_EVENT_CONFIG:
        return event->config.generation;
    case VADM_EVENT_AUTH_FAILURE:
        return event->server.auth_failures;
    case VADM_EVENT_CLIENT_CONNECTED:
    case VADM_EVENT_CLIENT_DISCONNECTED:
    case VADM_EVENT_LAST:
    default:
        return 0;
    }
}

gboolean
vadm_notification_is_condition(const VadmEvent *event)
{
    return event->kind != VADM_EVENT_CONFIG && event->kind != VADM_EVENT_AUTH_FAILURE &&
           vadm_notification_state(event) > VADM_STATE_NORMAL;
}

static guint32
vadm_notification_arc(const VadmEvent *event)
{
    gboolean normal = vadm_notification_state(event) == VADM_STATE_NORMAL;

    G_STATIC_ASSERT(VADM_LIMIT_NORMAL == VADM_STATE_NORMAL);
    G_STATIC_ASSERT(VADM_REACH_UP == VADM_STATE_NORMAL);
    switch (event->kind) {
    case VADM_EVENT_CLIENT_LIMIT:
        if (normal)
            return LVA_ARC_lvaClientsNormal;
        return event->server.clients_state == VADM_LIMIT_FULL ? LVA_ARC_lvaClientsFull
                                                              : LVA_ARC_lvaClientsHigh;
    case VADM_EVENT_UNAUTH_LIMIT:
        return normal ? LVA_ARC_lvaUnauthNormal : LVA_ARC_lvaUnauthFull;
    case VADM_EVENT_WORKERS:
        return normal ? LVA_ARC_lvaWorkersAvailable : LVA_ARC_lvaWorkersExhausted;
    case VADM_EVENT_UPSTREAM:
        return normal ? LVA_ARC_lvaUpstreamUp : LVA_ARC_lvaUpstreamDown;
    case VADM_EVENT_DAEMON:
        return normal ? LVA_ARC_lvaDaemonReachable : LVA_ARC_lvaDaemonUnreachable;
    case VADM_EVENT_AUTH_FAILURE:
        return LVA_ARC_lvaClientAuthFailure;
    case VADM_EVENT_CLIENT_CONNECTED:
        return LVA_ARC_lvaClientConnected;
    case VADM_EVENT_CLIENT_DISCONNECTED:
        return LVA_ARC_lvaClientDisconnected;
    case VADM_EVENT_CONFIG:
    case VADM_EVENT_LAST:
    default:
        return LVA_ARC_lvaConfigChanged;
    }
}

const VadmNotification *
vadm_notification_find(const VadmEvent *event)
{
    return &vadm_notifications[vadm_notification_arc(event) - 1];
}

/* The row of the event that @table has its values from. */
static void
vadm_notification_row(const VadmTable *table, const VadmEvent *event, VadmRow *row)
{
    if (table == &vadm_mib_server_table) {
        row->row = &event->server;
        vadm_mib_set_index(row, 1, event->server.index, 0);
    } else if (table == &vadm_mib_client_table) {
        row->row = &event->client;
        vadm_mib_set_index(row, 2, event->client.server, event->client.index);
    } else {
        row->row = table == &vadm_mib_config_scalars ? (const void *)&event->config
                                                     : (const void *)&event->daemon;
        vadm_mib_set_index(row, 1, 0, 0);
    }
}

guint
vadm_notification_fill(const VadmNotification *notification, VadmMib *mib, const VadmEvent *event,
                       VadmVarbind *varbinds)
{
    guint n = 0;

    for (const VadmNotificationObject *object = notification->objects; object->table; object++) {
        VadmRow row = {.mib = mib, .daemon = &event->daemon};

        vadm_notification_row(object->table, event, &row);
        vadm_mib_read_object(object->table, object->arc, &row, &varbinds[n].oid,
                             &varbinds[n].datum);
        n++;
    }
    return n;
}
