/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/auth-deadline.h"

#include "daemon/daemon-private.h"
#include "daemon/server-private.h"

#define VADM_LOG_CATEGORY "daemon.server"
#include "common/log.h"

struct _VadmAuthDeadline {
    VadmServer *server;
    gint64 time_us;
    GQueue clients; /* of VadmClient, borrowed; the first is the first that is due */
    GMainContext *context;
    /* Its ready time is when the first is due. NULL while there is none, as usual: each turn of the
     * main loop has to go through all sources. */
    GSource *source;
};

gint64
vadm_auth_deadline_due(const VadmAuthDeadline *deadline)
{
    const VadmClient *first = g_queue_peek_head((GQueue *)&deadline->clients);

    return first ? first->connected_at + deadline->time_us : -1;
}

static void
auth_deadline_stop(VadmAuthDeadline *deadline)
{
    if (!deadline->source)
        return;
    g_source_destroy(deadline->source);
    g_clear_pointer(&deadline->source, g_source_unref);
}

/* One that is on its way out has been dealt with, and has a deadline of its own. */
static void
auth_deadline_expire(VadmAuthDeadline *deadline, VadmClient *client)
{
    VadmServer *server = deadline->server;

    vadm_auth_deadline_remove(deadline, client);
    if (client->reason != 0)
        return;
    if (vadm_server_may_complain(server))
        VADM_WARN("Client %" G_GUINT64_FORMAT
                  " of server '%s' is not authenticated after %u seconds",
                  client->id, server->config->name, server->config->auth_timeout);
    vadm_server_note_auth_failure(server, client);
    vadm_client_close(client, VADM_DISCONNECT_AUTH_FAILURE);
}

/* A timer that is too early by the clients that went meanwhile is set anew here only, not at each
 * of them. */
static gboolean
auth_deadline_look(GSource *source, GSourceFunc callback, gpointer user)
{
    VadmAuthDeadline *deadline = user;
    gint64 now = g_get_monotonic_time();

    (void)callback;
    for (guint i = 0; i < VADM_AUTH_DEADLINE_BATCH; i++) {
        gint64 due = vadm_auth_deadline_due(deadline);

        if (due < 0 || due > now)
            break;
        auth_deadline_expire(deadline, g_queue_peek_head(&deadline->clients));
    }
    if (g_queue_is_empty(&deadline->clients)) {
        auth_deadline_stop(deadline);
        return G_SOURCE_REMOVE;
    }
    g_source_set_ready_time(source, vadm_auth_deadline_due(deadline));
    return G_SOURCE_CONTINUE;
}

static void
auth_deadline_start(VadmAuthDeadline *deadline)
{
    static GSourceFuncs funcs = {.dispatch = auth_deadline_look};

    if (deadline->source)
        return;
    deadline->source = g_source_new(&funcs, sizeof(GSource));
    g_source_set_callback(deadline->source, NULL, deadline, NULL);
    g_source_set_ready_time(deadline->source, vadm_auth_deadline_due(deadline));
    g_source_attach(deadline->source, deadline->context);
}

void
vadm_auth_deadline_add(VadmAuthDeadline *deadline, VadmClient *client)
{
    g_queue_push_tail(&deadline->clients, client);
    client->auth_link = deadline->clients.tail;
    auth_deadline_start(deadline);
}

void
vadm_auth_deadline_remove(VadmAuthDeadline *deadline, VadmClient *client)
{
    if (!client->auth_link)
        return;
    g_queue_delete_link(&deadline->clients, client->auth_link);
    client->auth_link = NULL;
}

VadmAuthDeadline *
vadm_auth_deadline_new(VadmServer *server, GMainContext *context)
{
    VadmAuthDeadline *deadline = g_new0(VadmAuthDeadline, 1);

    deadline->server = server;
    deadline->time_us = (gint64)server->config->auth_timeout * G_USEC_PER_SEC;
    deadline->context = context ? g_main_context_ref(context) : NULL;
    g_queue_init(&deadline->clients);
    return deadline;
}

void
vadm_auth_deadline_free(VadmAuthDeadline *deadline)
{
    if (!deadline)
        return;
    auth_deadline_stop(deadline);
    g_queue_clear(&deadline->clients);
    g_clear_pointer(&deadline->context, g_main_context_unref);
    g_free(deadline);
}
