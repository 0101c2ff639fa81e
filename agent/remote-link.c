/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one connection to the daemon: opened, given up when the daemon is silent for long, and opened
 * again. Whoever calls is told the outcome in each case, the end of the connection included.
 */
#include "agent/remote-memory.h"
#include "agent/socket-owner.h"

#define VADM_LOG_CATEGORY "agent.remote"
#include "common/log.h"

#define VADM_REMOTE_BACKOFF_MIN_MS 100u
#define VADM_REMOTE_SILENCE_MAX_MS 3600000u

typedef struct {
    VadmRemoteSource *source;
    VadmReplyFn done;
    gpointer user;
    GList node; /* of link->calls or link->failed */
} VadmRemoteCall;

typedef enum { VADM_REMOTE_NEW, VADM_REMOTE_UP, VADM_REMOTE_DOWN } VadmRemoteState;

struct _VadmRemoteLink {
    VadmRemoteSource *source;
    VadmSession *session; /* NULL: waiting to connect again */
    GQueue calls;         /* of VadmRemoteCall, that the session has */
    GQueue failed;        /* of VadmRemoteCall, to be told that there is no connection */
    guint failed_idle;
    guint connect_timer, stale_timer;
    gint64 opened; /* us, monotonic: the session, last */
    guint backoff_ms;
    guint silence_ms; /* how long the next connection is waited for */
    guint max_in_flight;
    VadmRemoteState state; /* as logged last */
    gboolean closing;
};

static void vadm_remote_connect_later(struct _VadmRemoteLink *link, guint delay_ms);

/* Calls */

static void
vadm_remote_fail_calls(struct _VadmRemoteLink *link)
{
    g_autoptr(GError) error =
        g_error_new(VADM_ERROR, VADM_ERROR_NO_CONNECT, "No connection to %s", link->source->uri);
    GList *node;

    while ((node = g_queue_pop_head_link(&link->failed))) {
        VadmRemoteCall *call = node->data;

        call->done(NULL, NULL, error, call->user);
        g_free(call);
    }
}

static gboolean
vadm_remote_on_failed_idle(gpointer user)
{
    struct _VadmRemoteLink *link = user;

    link->failed_idle = 0;
    vadm_remote_fail_calls(link);
    return G_SOURCE_REMOVE;
}

static void
vadm_remote_fail_later(struct _VadmRemoteLink *link, VadmRemoteCall *call)
{
    g_queue_push_tail_link(&link->failed, &call->node);
    if (link->failed_idle == 0)
        link->failed_idle =
            g_idle_add_full(G_PRIORITY_DEFAULT, vadm_remote_on_failed_idle, link, NULL);
}

static void
vadm_remote_on_reply(VadmSession *session, const VadmMessage *reply, const GError *error,
                     gpointer user)
{
    VadmRemoteCall *call = user;

    g_queue_unlink(&call->source->link->calls, &call->node);
    call->done(session, reply, error, call->user);
    g_free(call);
}

void
vadm_remote_call(VadmRemoteSource *source, gint32 procedure, xdrproc_t encode, gconstpointer args,
                 guint timeout_ms, VadmReplyFn done, gpointer user)
{
    struct _VadmRemoteLink *link = source->link;
    VadmRemoteCall *call = g_new0(VadmRemoteCall, 1);

    call->source = source;
    call->done = done;
    call->user = user;
    call->node.data = call;
    if (!link->session) {
        vadm_remote_fail_later(link, call);
        return;
    }
    g_queue_push_tail_link(&link->calls, &call->node);
    vadm_session_call(link->session, VADM_RPC_PROGRAM_ADMIN, procedure, encode, args, timeout_ms,
                      vadm_remote_on_reply, call);
}

/* Connecting */

/* One line for each change of the state. */
static void
vadm_remote_log_down(struct _VadmRemoteLink *link, const char *why)
{
    if (link->state == VADM_REMOTE_DOWN) {
        VADM_DEBUG("%s: %s", link->source->name, why);
        return;
    }
    link->state = VADM_REMOTE_DOWN;
    VADM_WARN("%s: unreachable at %s: %s", link->source->name, link->source->uri, why);
}

static void
vadm_remote_close(struct _VadmRemoteLink *link)
{
    GList *node;

    g_clear_pointer(&link->session, vadm_session_free);
    while ((node = g_queue_pop_head_link(&link->calls)))
        vadm_remote_fail_later(link, node->data);
    vadm_remote_reader_stop(link->source);
}

static void
vadm_remote_on_opened(VadmSession *session, gpointer user)
{
    struct _VadmRemoteLink *link = user;

    (void)session;
    link->opened = g_get_monotonic_time();
    vadm_remote_reader_start(link->source);
}

/* Between half and all of it, so that the agents of many hosts do not come at once. */
static guint
vadm_remote_jitter(guint ms)
{
    return ms / 2 + (guint)g_random_int_range(0, (gint32)(ms / 2) + 1);
}

static void
vadm_remote_back_off(struct _VadmRemoteLink *link)
{
    guint cap = (guint)(link->source->interval / 1000);

    vadm_remote_connect_later(link, vadm_remote_jitter(MIN(link->backoff_ms, cap)));
    link->backoff_ms = MIN(link->backoff_ms * 2, cap);
}

static void
vadm_remote_on_ended(VadmSession *session, VadmSessionEnd end, const GError *error,
                     const VadmMessage *reply, gpointer user)
{
    struct _VadmRemoteLink *link = user;
    g_autofree char *why = vadm_socket_owner_explain(link->source->path, error->message);

    (void)session;
    (void)reply;
    /* Who did not answer still has our connection in its queue: ask for the next one later. */
    if (end == VADM_SESSION_END_TIMEOUT)
        link->silence_ms = MIN(link->silence_ms * 2, VADM_REMOTE_SILENCE_MAX_MS);
    else
        link->source->memory->origin = VADM_ORIGIN_STARTUP;
    vadm_remote_log_down(link, why);
    vadm_remote_close(link);
    vadm_remote_lost(link->source);
    vadm_remote_back_off(link);
}

static guint
vadm_remote_silence_ms(const VadmRemoteSource *source)
{
    gint64 ms = source->interval / 1000 * VADM_REMOTE_SILENCE_INTERVALS;

    return (guint)CLAMP(ms, source->silence_min_ms, VADM_REMOTE_SILENCE_MAX_MS);
}

static gboolean
vadm_remote_on_connect(gpointer user)
{
    static const VadmSessionHandlers handlers = {.opened = vadm_remote_on_opened,
                                                 .ended = vadm_remote_on_ended};
    struct _VadmRemoteLink *link = user;
    VadmSessionOptions options = {
        .path = link->source->path,
        .call_timeout_ms = vadm_remote_silence_ms(link->source),
        .max_in_flight = 1, /* until it is known that the daemon takes more */
    };

    link->connect_timer = 0;
    link->silence_ms = MAX(link->silence_ms, options.call_timeout_ms);
    options.connect_timeout_ms = link->silence_ms;
    link->max_in_flight = options.max_in_flight;
    link->session = vadm_session_open(&options, NULL, &handlers, link);
    return G_SOURCE_REMOVE;
}

static void
vadm_remote_connect_later(struct _VadmRemoteLink *link, guint delay_ms)
{
    if (!link->closing && link->connect_timer == 0)
        link->connect_timer = g_timeout_add(delay_ms, vadm_remote_on_connect, link);
}

void
vadm_remote_drop(VadmRemoteSource *source, VadmOrigin origin, const char *why)
{
    struct _VadmRemoteLink *link = source->link;

    if (!link->session)
        return;
    VADM_WARN("%s: dropping the connection: %s", source->name, why);
    if (vadm_session_is_open(link->session))
        source->memory->origin = origin;
    vadm_remote_close(link);
    vadm_remote_connect_later(link, 0);
}

gboolean
vadm_remote_is_connected(const VadmRemoteSource *source)
{
    return source->link->session && vadm_session_is_open(source->link->session);
}

void
vadm_remote_set_max_in_flight(VadmRemoteSource *source, guint max)
{
    source->link->max_in_flight = max;
    if (source->link->session)
        vadm_session_set_max_in_flight(source->link->session, max);
}

guint
vadm_remote_get_max_in_flight(const VadmRemoteSource *source)
{
    return source->link->max_in_flight;
}

/* Staleness */

static void vadm_remote_watch(struct _VadmRemoteLink *link);

static gboolean
vadm_remote_on_stale(gpointer user)
{
    struct _VadmRemoteLink *link = user;

    link->stale_timer = 0;
    if (vadm_remote_is_fresh(link->source, link->source->snapshot, g_get_monotonic_time())) {
        vadm_remote_watch(link);
        return G_SOURCE_REMOVE;
    }
    vadm_remote_log_down(link, "it does not answer");
    vadm_remote_lost(link->source);
    return G_SOURCE_REMOVE;
}

/* Readers see by themselves that a snapshot is stale; somebody has to tell the event. */
static void
vadm_remote_watch(struct _VadmRemoteLink *link)
{
    const VadmRemoteSource *source = link->source;
    gint64 stale = source->snapshot->taken + VADM_REMOTE_STALE_INTERVALS * source->interval;
    gint64 left = MAX(stale - g_get_monotonic_time(), 0) / 1000 + 1;

    if (link->stale_timer != 0)
        g_source_remove(link->stale_timer);
    link->stale_timer = g_timeout_add((guint)MIN(left, G_MAXINT), vadm_remote_on_stale, link);
}

void
vadm_remote_is_read(VadmRemoteSource *source)
{
    struct _VadmRemoteLink *link = source->link;
    VadmLogLevel level;

    /* Not by the first time already: a daemon that our reading brings down would be brought down
     * as fast as it comes up. */
    if (g_get_monotonic_time() - link->opened >= source->interval)
        link->backoff_ms = VADM_REMOTE_BACKOFF_MIN_MS;
    link->silence_ms = 0;
    vadm_remote_watch(link);
    if (link->state == VADM_REMOTE_UP ||
        !vadm_remote_is_fresh(source, source->snapshot, g_get_monotonic_time()))
        return;
    /* As loud as that it was gone: or the last word of a log without information were wrong. */
    level = link->state == VADM_REMOTE_DOWN ? VADM_LOG_WARN : VADM_LOG_INFO;
    link->state = VADM_REMOTE_UP;
    VADM_LOG_AT(level, "%s: reachable at %s, libvirt %s", source->name, source->uri,
                source->snapshot->version ? source->snapshot->version : "of an unknown version");
}

struct _VadmRemoteLink *
vadm_remote_link_new(VadmRemoteSource *source)
{
    struct _VadmRemoteLink *link = g_new0(struct _VadmRemoteLink, 1);

    link->source = source;
    g_queue_init(&link->calls);
    g_queue_init(&link->failed);
    link->backoff_ms = VADM_REMOTE_BACKOFF_MIN_MS;
    vadm_remote_connect_later(link, 0);
    vadm_remote_watch(link);
    return link;
}

void
vadm_remote_link_close(struct _VadmRemoteLink *link, guint timeout_ms,
                       void (*closed)(gpointer user), gpointer user)
{
    VadmSession *session = g_steal_pointer(&link->session);

    link->closing = TRUE;
    g_clear_handle_id(&link->connect_timer, g_source_remove);
    g_clear_handle_id(&link->stale_timer, g_source_remove);
    vadm_remote_close(link);
    if (session)
        vadm_session_close_gracefully(session, timeout_ms, closed, user);
    else
        g_idle_add_once(closed, user);
}

void
vadm_remote_link_free(struct _VadmRemoteLink *link)
{
    link->closing = TRUE;
    vadm_remote_close(link);
    vadm_remote_fail_calls(link);
    g_clear_handle_id(&link->failed_idle, g_source_remove);
    g_clear_handle_id(&link->connect_timer, g_source_remove);
    g_clear_handle_id(&link->stale_timer, g_source_remove);
    g_free(link);
}
