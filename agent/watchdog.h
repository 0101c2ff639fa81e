/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a service manager is told while the program runs: that it lives (WATCHDOG=1 of
 * sd_notify(3)), as long as the main loop and the thread that it watches go round; and in a line
 * what it does (STATUS=). Main thread.
 */
#ifndef VADM_AGENT_WATCHDOG_H
#define VADM_AGENT_WATCHDOG_H

#include <glib.h>

typedef struct _VadmWatchdog VadmWatchdog;

typedef struct {
    /* (nullable): microseconds since the last sign of life of the thread that is watched; asks for
     * another, which must have come until it is called again */
    gint64 (*get_silence)(gpointer user);
    /* the line; it is told when it is another than last time */
    const char *(*get_status)(gpointer user);
    /* @state: as of sd_notify(3) */
    void (*tell)(const char *state, gpointer user);
    gpointer user;
} VadmWatchdogHooks;

/**
 * vadm_watchdog_new:
 * @interval_us: microseconds without WATCHDOG=1 after which the manager ends the program; 0: it
 *     does not watch
 *
 * Tells the first status at once, and goes on within the default main context. Returns: (transfer
 * full)
 */
VadmWatchdog *vadm_watchdog_new(guint64 interval_us, const VadmWatchdogHooks *hooks);
void vadm_watchdog_free(VadmWatchdog *watchdog);

#endif
