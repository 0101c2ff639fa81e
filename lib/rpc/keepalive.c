/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/keepalive.h"

#include "rpc/protocol.h"

struct _VadmKeepalive {
    VadmConn *conn;
    GMainContext *context;
    void (*dead)(gpointer user);
    gpointer user;

    GSource *timer;  /* NULL: not started, or over */
    gint64 interval; /* us */
    gint64 heard;    /* when the last message came or the last PING went, monotonic us */
    guint count;
    guint left; /* PINGs to send before the peer is dead */
};

VadmKeepalive *
vadm_keepalive_new(VadmConn *conn, GMainContext *context, void (*dead)(gpointer user),
                   gpointer user)
{
    VadmKeepalive *keepalive = g_new0(VadmKeepalive, 1);

    keepalive->conn = conn;
    keepalive->context = context ? g_main_context_ref(context) : NULL;
    keepalive->dead = dead;
    keepalive->user = user;
    return keepalive;
}

static void
keepalive_stop(VadmKeepalive *keepalive)
{
    if (!keepalive->timer)
        return;
    g_source_destroy(keepalive->timer);
    g_clear_pointer(&keepalive->timer, g_source_unref);
}

void
vadm_keepalive_free(VadmKeepalive *keepalive)
{
    if (!keepalive)
        return;
    keepalive_stop(keepalive);
    g_clear_pointer(&keepalive->context, g_main_context_unref);
    g_free(keepalive);
}

static void
keepalive_send(VadmKeepalive *keepalive, gint32 procedure)
{
    const VadmRpcHeader header = {
        .program = VADM_RPC_PROGRAM_KEEPALIVE,
        .version = VADM_RPC_VERSION,
        .procedure = procedure,
        .type = VADM_RPC_EVENT,
        .status = VADM_RPC_OK,
    };

    vadm_conn_send(keepalive->conn, vadm_message_new(&header, NULL, NULL, NULL));
}

/* The peer was silent for a whole interval. @dead may free the keepalive. */
static void
keepalive_expired(VadmKeepalive *keepalive)
{
    if (keepalive->left == 0) {
        keepalive_stop(keepalive);
        keepalive->dead(keepalive->user);
        return;
    }
    keepalive->left--;
    keepalive_send(keepalive, VADM_KEEPALIVE_PROC_PING);
}

/*
 * Messages only move the time on which the timer looks, not the timer: they come often. Silence
 * does not count while it is we who do not listen: a client whose requests are held back, or a
 * main loop that was busy, would lose peers that are well.
 */
static gboolean
keepalive_on_timer(GSource *source, GSourceFunc callback G_GNUC_UNUSED, gpointer data)
{
    VadmKeepalive *keepalive = data;
    gint64 now = g_get_monotonic_time();

    if (now < keepalive->heard + keepalive->interval) {
        g_source_set_ready_time(source, keepalive->heard + keepalive->interval);
        return G_SOURCE_CONTINUE;
    }
    keepalive->heard = now;
    g_source_set_ready_time(source, now + keepalive->interval);
    if (vadm_conn_is_silent(keepalive->conn))
        keepalive_expired(keepalive);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs timer_funcs = {.dispatch = keepalive_on_timer};

void
vadm_keepalive_start(VadmKeepalive *keepalive, int interval, guint count)
{
    keepalive_stop(keepalive);
    if (interval <= 0)
        return;
    keepalive->interval = (gint64)interval * G_USEC_PER_SEC;
    keepalive->heard = g_get_monotonic_time();
    keepalive->count = keepalive->left = count;
    keepalive->timer = g_source_new(&timer_funcs, sizeof(GSource));
    g_source_set_callback(keepalive->timer, NULL, keepalive, NULL);
    g_source_set_ready_time(keepalive->timer, keepalive->heard + keepalive->interval);
    g_source_attach(keepalive->timer, keepalive->context);
}

/* A peer that pings and does not read gets no more answers than it can use. */
static void
keepalive_answer(VadmKeepalive *keepalive)
{
    if (vadm_conn_queued(keepalive->conn) <= VADM_CONN_HIGH_WATER)
        keepalive_send(keepalive, VADM_KEEPALIVE_PROC_PONG);
}

gboolean
vadm_keepalive_check(VadmKeepalive *keepalive, const VadmMessage *message)
{
    const VadmRpcHeader *header = &message->header;

    keepalive->heard = g_get_monotonic_time();
    keepalive->left = keepalive->count;
    if (header->program != VADM_RPC_PROGRAM_KEEPALIVE || header->type == VADM_RPC_CALL ||
        header->type == VADM_RPC_CALL_WITH_FDS)
        return FALSE;
    if (header->version == VADM_RPC_VERSION && header->type == VADM_RPC_EVENT &&
        header->procedure == VADM_KEEPALIVE_PROC_PING)
        keepalive_answer(keepalive);
    return TRUE;
}
