/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/watchdog.h"

#include "common/error.h"

#define VADM_LOG_CATEGORY "agent.watchdog"
#include "common/log.h"

/* Signs of life in an interval: half of them may be late, on a machine that is busy. */
#define VADM_WATCHDOG_BEATS 4
/* Of a thread, in relation to the interval. The manager waits for a whole one after that. */
#define VADM_WATCHDOG_SILENCE   2
#define VADM_WATCHDOG_STATUS_MS 5000u

struct _VadmWatchdog {
    VadmWatchdogHooks hooks;
    gint64 interval; /* microseconds, 0: nobody watches */
    char *status;    /* that was told last */
    gboolean silent; /* the thread, and that was logged */
    guint timer;
};

static void
vadm_watchdog_tell_status(VadmWatchdog *watchdog)
{
    const char *status = watchdog->hooks.get_status(watchdog->hooks.user);
    g_autofree char *state = g_strconcat("STATUS=", status, NULL);

    if (g_strcmp0(status, watchdog->status) == 0)
        return;
    watchdog->hooks.tell(state, watchdog->hooks.user);
    g_free(watchdog->status);
    watchdog->status = g_strdup(status);
}

static gboolean
vadm_watchdog_is_silent(VadmWatchdog *watchdog)
{
    gint64 silence =
        watchdog->hooks.get_silence ? watchdog->hooks.get_silence(watchdog->hooks.user) : 0;
    gboolean silent = silence > watchdog->interval / VADM_WATCHDOG_SILENCE;

    if (silent && !watchdog->silent)
        VADM_ERR("the snmp thread has shown no sign of life for %" G_GINT64_FORMAT
                 " s: the service manager gets none from us, and ends us if that goes on",
                 silence / G_USEC_PER_SEC);
    if (!silent && watchdog->silent)
        VADM_WARN("the snmp thread shows signs of life again");
    watchdog->silent = silent;
    return silent;
}

static gboolean
vadm_watchdog_tick(gpointer user)
{
    VadmWatchdog *watchdog = user;

    vadm_watchdog_tell_status(watchdog);
    if (watchdog->interval > 0 && !vadm_watchdog_is_silent(watchdog))
        watchdog->hooks.tell("WATCHDOG=1", watchdog->hooks.user);
    return G_SOURCE_CONTINUE;
}

VadmWatchdog *
vadm_watchdog_new(guint64 interval_us, const VadmWatchdogHooks *hooks)
{
    VadmWatchdog *watchdog = g_new0(VadmWatchdog, 1);
    guint64 beat_ms = interval_us / 1000 / VADM_WATCHDOG_BEATS;
    guint wait_ms = VADM_WATCHDOG_STATUS_MS;

    watchdog->hooks = *hooks;
    watchdog->interval = (gint64)MIN(interval_us, (guint64)G_MAXINT64);
    if (interval_us > 0)
        wait_ms = (guint)CLAMP(beat_ms, 1, VADM_WATCHDOG_STATUS_MS);
    watchdog->timer = g_timeout_add(wait_ms, vadm_watchdog_tick, watchdog);
    vadm_watchdog_tick(watchdog);
    return watchdog;
}

void
vadm_watchdog_free(VadmWatchdog *watchdog)
{
    if (!watchdog)
        return;
    g_source_remove(watchdog->timer);
    g_free(watchdog->status);
    g_free(watchdog);
}
