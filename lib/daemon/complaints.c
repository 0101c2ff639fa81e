/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/complaints.h"

#include "common/lock.h"

#define VADM_LOG_CATEGORY "daemon.server"
#include "common/log.h"

struct _VadmComplaints {
    const char *server;
    GMainContext *context;

    VadmMutex lock;
    /* All under lock. */
    gint64 since; /* of the second in which lines are counted; monotonic, us */
    guint allowed, left_out;
    GSource *source; /* says how many were left out; NULL: none were */
};

/* Under lock. */
static void
complaints_say(VadmComplaints *complaints)
{
    if (!complaints->source)
        return;
    g_source_destroy(complaints->source);
    g_clear_pointer(&complaints->source, g_source_unref);
    VADM_WARN("%u more messages like these about clients of server '%s' were left out",
              complaints->left_out, complaints->server);
    complaints->left_out = 0;
}

static gboolean
complaints_second_over(gpointer user)
{
    VadmComplaints *complaints = user;
    VADM_LOCK_SCOPE(&complaints->lock);

    complaints_say(complaints);
    return G_SOURCE_REMOVE;
}

gboolean
vadm_complaints_allow(VadmComplaints *complaints)
{
    gint64 now = g_get_monotonic_time();
    VADM_LOCK_SCOPE(&complaints->lock);

    if (now - complaints->since >= G_USEC_PER_SEC) {
        complaints->since = now;
        complaints->allowed = 0;
    }
    if (complaints->allowed < VADM_COMPLAINTS_MAX) {
        complaints->allowed++;
        return TRUE;
    }
    complaints->left_out++;
    if (!complaints->source) {
        complaints->source = g_timeout_source_new(1000);
        g_source_set_callback(complaints->source, complaints_second_over, complaints, NULL);
        g_source_attach(complaints->source, complaints->context);
    }
    return FALSE;
}

guint
vadm_complaints_left_out(VadmComplaints *complaints)
{
    VADM_LOCK_SCOPE(&complaints->lock);

    return complaints->left_out;
}

VadmComplaints *
vadm_complaints_new(const char *server, GMainContext *context)
{
    VadmComplaints *complaints = g_new0(VadmComplaints, 1);

    complaints->server = server;
    complaints->context = context ? g_main_context_ref(context) : NULL;
    complaints->since = g_get_monotonic_time();
    vadm_mutex_init(&complaints->lock);
    return complaints;
}

void
vadm_complaints_free(VadmComplaints *complaints)
{
    if (!complaints)
        return;
    complaints_say(complaints);
    vadm_mutex_clear(&complaints->lock);
    g_clear_pointer(&complaints->context, g_main_context_unref);
    g_free(complaints);
}
