/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When the daemon is read: every interval, and again after what was set. */
#include "agent/remote-pass.h"

#define VADM_LOG_CATEGORY "agent.remote"
#include "common/log.h"

/* Somebody who wants what was set to be read again. */
typedef struct {
    struct _VadmRemoteReader *reader;
    VadmOrigin origin;
    void (*done)(gboolean fresh, gpointer user);
    gpointer user;
    guint timer; /* 0: none */
} VadmRemoteAgain;

struct _VadmRemoteReader {
    VadmRemoteSource *source;
    gboolean started;       /* there is a connection */
    gboolean held;          /* something is being set */
    char *version;          /* of this connection; NULL: not asked yet, or refused */
    VadmRemotePass *pass;   /* under way */
    VadmRemoteAgain *again; /* whom it is for; NULL: it is a refresh */
    GQueue waiting;         /* of VadmRemoteAgain */
    GQueue failed;          /* of VadmRemoteAgain, to be told so from the main loop */
    guint failed_idle;
    guint timer;  /* of the next refresh */
    gint64 begun; /* monotonic time of the last one */
};

static void vadm_remote_reader_next(struct _VadmRemoteReader *reader);

static void
vadm_remote_again_end(VadmRemoteAgain *again, gboolean fresh)
{
    if (again->timer != 0)
        g_source_remove(again->timer);
    again->done(fresh, again->user);
    g_free(again);
}

static void
vadm_remote_fail_all(struct _VadmRemoteReader *reader)
{
    VadmRemoteAgain *again;

    while ((again = g_queue_pop_head(&reader->failed)))
        vadm_remote_again_end(again, FALSE);
}

static gboolean
vadm_remote_on_failed(gpointer user)
{
    struct _VadmRemoteReader *reader = user;

    reader->failed_idle = 0;
    vadm_remote_fail_all(reader);
    return G_SOURCE_REMOVE;
}

static void
vadm_remote_fail_again(struct _VadmRemoteReader *reader, VadmRemoteAgain *again)
{
    g_clear_handle_id(&again->timer, g_source_remove);
    g_queue_push_tail(&reader->failed, again);
    if (reader->failed_idle == 0)
        reader->failed_idle =
            g_idle_add_full(G_PRIORITY_DEFAULT, vadm_remote_on_failed, reader, NULL);
}

/* Publishing what a pass has found */

/* Of the clients nothing new was asked: they are those of the snapshot in force, and what is
 * published is as old as they are. */
static void
vadm_remote_add_clients(VadmRemoteSnapshot *snapshot, const VadmRemoteSnapshot *before)
{
    snapshot->taken = before->taken;
    for (guint i = 0; i < snapshot->servers->len; i++) {
        VadmRemoteServer *server = snapshot->servers->pdata[i];
        const VadmRemoteServer *old =
            vadm_remote_find_server(before, VADM_MATCH_EQ, server->row.index);

        server->listed = old && old->listed;
        for (guint j = 0; old && j < old->clients->len; j++)
            g_ptr_array_add(server->clients, vadm_remote_client_ref(old->clients->pdata[j]));
    }
}

static void
vadm_remote_reader_publish(struct _VadmRemoteReader *reader, VadmRemotePass *pass,
                           VadmOrigin origin)
{
    VadmRemoteSource *source = reader->source;
    VadmRemoteSnapshot *snapshot = vadm_remote_snapshot_ref(pass->snapshot);

    if (snapshot->version) {
        g_free(reader->version);
        reader->version = g_strdup(snapshot->version);
    } else {
        snapshot->version = g_strdup(reader->version);
    }
    if (!pass->full)
        vadm_remote_add_clients(snapshot, source->snapshot);
    vadm_remote_publish(source, snapshot, origin);
    source->cost =
        (VadmRemoteCost){pass->calls, pass->identities, g_get_monotonic_time() - pass->begun};
    VADM_DEBUG("%s: read with %u calls, %u of them for who clients are, in %.1f ms", source->name,
               pass->calls, pass->identities, (double)source->cost.took / 1000);
    if (pass->full)
        vadm_remote_is_read(source);
}

/* What comes next */

static void
vadm_remote_on_pass(VadmRemotePass *pass, gboolean ok, gpointer user)
{
    struct _VadmRemoteReader *reader = user;
    VadmRemoteAgain *again = g_steal_pointer(&reader->again);

    reader->pass = NULL;
    if (ok)
        vadm_remote_reader_publish(reader, pass, again ? again->origin : VADM_ORIGIN_ADMIN_RPC);
    vadm_remote_pass_free(pass);
    if (again) {
        reader->begun = 0; /* the refresh that it has taken the place of */
        vadm_remote_again_end(again, ok);
    }
    if (!reader->pass)
        vadm_remote_reader_next(reader);
}

/* Where one thing is set after the other no refresh comes to its end: reading again has to do its
 * work before what is served is too old. */
static gboolean
vadm_remote_is_overdue(const VadmRemoteSource *source)
{
    return g_get_monotonic_time() - source->snapshot->taken >
           (VADM_REMOTE_STALE_INTERVALS - 1) * source->interval;
}

static void
vadm_remote_reader_begin(struct _VadmRemoteReader *reader, VadmRemoteAgain *again)
{
    const VadmRemoteSource *source = reader->source;
    gboolean full = !again || source->memory->anew || !source->snapshot->reachable ||
                    vadm_remote_is_overdue(source);

    g_clear_handle_id(&reader->timer, g_source_remove);
    reader->again = again;
    if (full)
        reader->begun = g_get_monotonic_time();
    reader->pass = vadm_remote_pass_new(reader->source, full, reader->version == NULL,
                                        vadm_remote_on_pass, reader);
    vadm_remote_pass_run(reader->pass);
}

static gboolean
vadm_remote_on_timer(gpointer user)
{
    struct _VadmRemoteReader *reader = user;

    reader->timer = 0;
    if (!reader->pass)
        vadm_remote_reader_begin(reader, NULL);
    return G_SOURCE_REMOVE;
}

static void
vadm_remote_reader_next(struct _VadmRemoteReader *reader)
{
    gint64 due = reader->begun + reader->source->interval;
    gint64 left = MAX(due - g_get_monotonic_time(), 0);
    VadmRemoteAgain *again;

    if (!reader->started)
        return;
    again = g_queue_pop_head(&reader->waiting);
    if (again) {
        vadm_remote_reader_begin(reader, again);
        return;
    }
    g_clear_handle_id(&reader->timer, g_source_remove);
    if (reader->held)
        return;
    reader->timer = g_timeout_add((guint)((left + 999) / 1000), vadm_remote_on_timer, reader);
}

void
vadm_remote_reader_start(VadmRemoteSource *source)
{
    struct _VadmRemoteReader *reader = source->reader;

    vadm_remote_memory_reconnect(source->memory);
    g_clear_pointer(&reader->version, g_free);
    reader->started = TRUE;
    vadm_remote_reader_begin(reader, g_queue_pop_head(&reader->waiting));
}

void
vadm_remote_reader_stop(VadmRemoteSource *source)
{
    struct _VadmRemoteReader *reader = source->reader;
    VadmRemoteAgain *again;

    reader->started = FALSE;
    g_clear_handle_id(&reader->timer, g_source_remove);
    g_clear_pointer(&reader->pass, vadm_remote_pass_free);
    if (reader->again)
        vadm_remote_fail_again(reader, g_steal_pointer(&reader->again));
    while ((again = g_queue_pop_head(&reader->waiting)))
        vadm_remote_fail_again(reader, again);
}

/* Reading again */

static gboolean
vadm_remote_on_again_timeout(gpointer user)
{
    VadmRemoteAgain *again = user;
    struct _VadmRemoteReader *reader = again->reader;

    again->timer = 0;
    if (again == reader->again) { /* what was set is not known: everything is read anew */
        reader->again = NULL;
        g_clear_pointer(&reader->pass, vadm_remote_pass_free);
        reader->begun = 0;
        vadm_remote_reader_next(reader);
    } else {
        g_queue_remove(&reader->waiting, again);
    }
    vadm_remote_again_end(again, FALSE);
    return G_SOURCE_REMOVE;
}

void
vadm_remote_read_again(VadmRemoteSource *source, VadmOrigin origin, guint timeout_ms,
                       void (*done)(gboolean fresh, gpointer user), gpointer user)
{
    struct _VadmRemoteReader *reader = source->reader;
    VadmRemoteAgain *again = g_new0(VadmRemoteAgain, 1);

    again->reader = reader;
    again->origin = origin;
    again->done = done;
    again->user = user;
    if (!reader->started) {
        vadm_remote_fail_again(reader, again);
        return;
    }
    if (timeout_ms > 0)
        again->timer = g_timeout_add(timeout_ms, vadm_remote_on_again_timeout, again);
    g_queue_push_tail(&reader->waiting, again);
    if (reader->again) /* after the one under way */
        return;
    g_clear_pointer(&reader->pass, vadm_remote_pass_free);
    vadm_remote_reader_next(reader);
}

void
vadm_remote_reader_hold(VadmRemoteSource *source)
{
    struct _VadmRemoteReader *reader = source->reader;

    reader->held = TRUE;
    g_clear_handle_id(&reader->timer, g_source_remove);
    if (reader->again)
        return;
    g_clear_pointer(&reader->pass, vadm_remote_pass_free);
    reader->begun = 0;
}

void
vadm_remote_reader_release(VadmRemoteSource *source)
{
    struct _VadmRemoteReader *reader = source->reader;

    reader->held = FALSE;
    if (!reader->pass)
        vadm_remote_reader_next(reader);
}

struct _VadmRemoteReader *
vadm_remote_reader_new(VadmRemoteSource *source)
{
    struct _VadmRemoteReader *reader = g_new0(struct _VadmRemoteReader, 1);

    reader->source = source;
    g_queue_init(&reader->waiting);
    g_queue_init(&reader->failed);
    return reader;
}

void
vadm_remote_reader_free(struct _VadmRemoteReader *reader)
{
    vadm_remote_fail_all(reader);
    g_clear_handle_id(&reader->failed_idle, g_source_remove);
    g_free(reader->version);
    g_free(reader);
}
