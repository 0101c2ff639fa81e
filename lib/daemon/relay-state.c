/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is known of the upstream, of each of its two sockets. A client that gets in, or does not,
 * shows whether it is up; that a connection ends shows nothing, so then it is looked at; and while
 * it is unreachable it is looked at again and again, lest its return is noticed by the next client
 * only.
 */
#define VADM_LOG_CATEGORY "daemon.relay"
#include "daemon/relay-link.h"

#include <unistd.h>

#include "common/log.h"
#include "rpc/unix-socket.h"

static void
upstream_start_timer(VadmRelayUpstream *upstream, GSource **source, guint milliseconds,
                     GSourceFunc expired)
{
    *source = g_timeout_source_new(milliseconds);
    g_source_set_callback(*source, expired, upstream, NULL);
    g_source_attach(*source, upstream->relay->context);
}

/* Looking while it is unreachable: as a client would, for one that accepts may still let nobody
 * in. */

static void
upstream_stop_looking(VadmRelayUpstream *upstream)
{
    vadm_relay_link_clear_source(&upstream->look);
    if (!upstream->look_link)
        return;
    vadm_relay_link_close(upstream->look_link);
    g_clear_pointer(&upstream->look_link, vadm_relay_link_unref);
}

/* One attempt at a time, however long it takes. */
static gboolean
upstream_look(gpointer user)
{
    VadmRelayUpstream *upstream = user;

    if (upstream->look_link->state == LINK_IDLE)
        vadm_relay_link_connect(upstream->look_link);
    return G_SOURCE_CONTINUE;
}

static void
upstream_start_looking(VadmRelayUpstream *upstream)
{
    if (upstream->look)
        return;
    upstream->look_link = vadm_relay_link_new(upstream, NULL);
    upstream_start_timer(upstream, &upstream->look, upstream->relay->look_ms, upstream_look);
}

/* The state */

/* Of both: one of them unreachable is not made good by the other. */
static VadmUpstreamState
relay_get_state(const VadmRelay *relay)
{
    VadmUpstreamState state = VADM_UPSTREAM_NONE;

    for (guint i = 0; i < G_N_ELEMENTS(relay->upstreams); i++) {
        if (relay->upstreams[i].state == VADM_UPSTREAM_UNREACHABLE)
            return VADM_UPSTREAM_UNREACHABLE;
        if (relay->upstreams[i].state == VADM_UPSTREAM_UP)
            state = VADM_UPSTREAM_UP;
    }
    return state;
}

static void
upstream_set_state(VadmRelayUpstream *upstream, VadmUpstreamState state)
{
    VadmRelay *relay = upstream->relay;

    if (upstream->state == state)
        return;
    upstream->state = state;
    vadm_server_set_upstream_state(relay->server, relay_get_state(relay));
}

void
vadm_relay_note_success(VadmRelayUpstream *upstream)
{
    if (upstream->state == VADM_UPSTREAM_UNREACHABLE)
        VADM_WARN("upstream '%s' of server '%s' is reachable again", upstream->path,
                  vadm_server_get_name(upstream->relay->server));
    upstream_set_state(upstream, VADM_UPSTREAM_UP);
    upstream_stop_looking(upstream);
}

void
vadm_relay_note_failure(VadmRelayUpstream *upstream, const GError *error)
{
    switch (vadm_error_get_errno(error)) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return;
    default:
        upstream_set_state(upstream, VADM_UPSTREAM_UNREACHABLE);
        upstream_start_looking(upstream);
    }
}

/* Looking behind the end of a connection */

/* A connection that ends may have been ended for its own sake, by an administrator: only a
 * socket that nobody listens on says that the daemon is gone. */
static gboolean
upstream_probe_now(gpointer user)
{
    VadmRelayUpstream *upstream = user;
    g_autoptr(GError) error = NULL;
    int fd = vadm_unix_connect(upstream->path, &error);

    if (fd >= 0)
        close(fd);
    else if (vadm_error_get_errno(error) != EAGAIN)
        vadm_relay_note_failure(upstream, error);
    vadm_relay_link_clear_source(&upstream->probe);
    return G_SOURCE_REMOVE;
}

void
vadm_relay_probe_soon(VadmRelayUpstream *upstream)
{
    if (!upstream->probe && upstream->state != VADM_UPSTREAM_UNREACHABLE)
        upstream_start_timer(upstream, &upstream->probe, VADM_RELAY_PROBE_MS, upstream_probe_now);
}

void
vadm_relay_state_clear(VadmRelayUpstream *upstream)
{
    vadm_relay_link_clear_source(&upstream->probe);
    upstream_stop_looking(upstream);
}
