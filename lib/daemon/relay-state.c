/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is known of the upstream. A client that gets in, or does not, shows whether it is up; that a
 * connection ends shows nothing, so then it is looked at; and while it is unreachable it is looked
 * at again and again, lest its return is noticed by the next client only.
 */
#define VADM_LOG_CATEGORY "daemon.relay"
#include "daemon/relay-link.h"

#include <unistd.h>

#include "common/log.h"

static void
relay_start_timer(VadmRelay *relay, GSource **source, guint milliseconds, GSourceFunc expired)
{
    *source = g_timeout_source_new(milliseconds);
    g_source_set_callback(*source, expired, relay, NULL);
    g_source_attach(*source, relay->context);
}

/* Looking while it is unreachable: as a client would, for one that accepts may still let nobody
 * in. */

static void
relay_stop_looking(VadmRelay *relay)
{
    vadm_relay_link_clear_source(&relay->look);
    if (!relay->look_link)
        return;
    vadm_relay_link_close(relay->look_link);
    g_clear_pointer(&relay->look_link, vadm_relay_link_unref);
    g_clear_pointer(&relay->look_path, g_free);
}

/* One attempt at a time, however long it takes. */
static gboolean
relay_look(gpointer user)
{
    VadmRelay *relay = user;

    if (relay->look_link->state == LINK_IDLE)
        vadm_relay_link_connect(relay->look_link);
    return G_SOURCE_CONTINUE;
}

static void
relay_start_looking(VadmRelay *relay, const char *path)
{
    if (relay->look)
        return;
    relay->look_path = g_strdup(path);
    relay->look_link = vadm_relay_link_new(relay, NULL, relay->look_path);
    relay_start_timer(relay, &relay->look, relay->look_ms, relay_look);
}

/* The state */

static void
relay_set_state(VadmRelay *relay, VadmUpstreamState state)
{
    if (relay->state == state)
        return;
    relay->state = state;
    vadm_server_set_upstream_state(relay->server, state);
}

void
vadm_relay_note_success(VadmRelay *relay)
{
    if (relay->state == VADM_UPSTREAM_UNREACHABLE)
        VADM_INFO("upstream of server '%s' is reachable again",
                  vadm_server_get_name(relay->server));
    relay_set_state(relay, VADM_UPSTREAM_UP);
    relay_stop_looking(relay);
}

void
vadm_relay_note_failure(VadmRelay *relay, const char *path, const GError *error)
{
    switch (vadm_error_get_errno(error)) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return;
    default:
        relay_set_state(relay, VADM_UPSTREAM_UNREACHABLE);
        relay_start_looking(relay, path);
    }
}

/* Looking behind the end of a connection */

static void
relay_clear_probe(VadmRelay *relay)
{
    vadm_relay_link_clear_source(&relay->probe);
    g_clear_pointer(&relay->probe_path, g_free);
}

/* A connection that ends may have been ended for its own sake, by an administrator: only a
 * socket that nobody listens on says that the daemon is gone. */
static gboolean
relay_probe_now(gpointer user)
{
    VadmRelay *relay = user;
    g_autoptr(GError) error = NULL;
    int fd = vadm_relay_socket(relay->probe_path, &error);

    if (fd >= 0)
        close(fd);
    else if (vadm_error_get_errno(error) != EAGAIN)
        vadm_relay_note_failure(relay, relay->probe_path, error);
    relay_clear_probe(relay);
    return G_SOURCE_REMOVE;
}

void
vadm_relay_probe_soon(VadmRelay *relay, const char *path)
{
    if (relay->probe || relay->state == VADM_UPSTREAM_UNREACHABLE)
        return;
    relay->probe_path = g_strdup(path);
    relay_start_timer(relay, &relay->probe, VADM_RELAY_PROBE_MS, relay_probe_now);
}

void
vadm_relay_state_clear(VadmRelay *relay)
{
    relay_clear_probe(relay);
    relay_stop_looking(relay);
}
