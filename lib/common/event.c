/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/source.h"

VadmEvent *
vadm_event_copy(const VadmEvent *event)
{
    VadmEvent *copy = g_memdup2(event, sizeof(*event));

    copy->daemon.name = g_strdup(event->daemon.name);
    copy->daemon.version = g_strdup(event->daemon.version);
    copy->daemon.uri = g_strdup(event->daemon.uri);
    copy->config.log_filters = g_strdup(event->config.log_filters);
    copy->config.log_outputs = g_strdup(event->config.log_outputs);
    copy->server.name = g_strdup(event->server.name);
    copy->client.identity =
        event->client.identity ? vadm_identity_ref(event->client.identity) : NULL;
    return copy;
}

void
vadm_event_free(VadmEvent *event)
{
    if (!event)
        return;
    g_free((char *)event->daemon.name);
    g_free((char *)event->daemon.version);
    g_free((char *)event->daemon.uri);
    g_free((char *)event->config.log_filters);
    g_free((char *)event->config.log_outputs);
    g_free((char *)event->server.name);
    if (event->client.identity)
        vadm_identity_unref(event->client.identity);
    g_free(event);
}
