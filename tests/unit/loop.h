/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A main loop that a test turns by itself. */
#ifndef VADM_TESTS_LOOP_H
#define VADM_TESTS_LOOP_H

#include <check.h>
#include <glib.h>

/* Runs the loop of @context until @condition holds; fails after 20 seconds. */
#define LOOP_WAIT_FOR(context, condition)                                                          \
    do {                                                                                           \
        gint64 deadline_ = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;                           \
        while (!(condition)) {                                                                     \
            ck_assert_msg(g_get_monotonic_time() < deadline_, "waited in vain for %s",             \
                          #condition);                                                             \
            if (!g_main_context_iteration(context, FALSE))                                         \
                g_usleep(500);                                                                     \
        }                                                                                          \
    } while (0)

/** loop_settle: runs what is ready in @context: for what must not happen. */
static inline void
loop_settle(GMainContext *context)
{
    for (int i = 0; i < 200; i++)
        g_main_context_iteration(context, FALSE);
}

#endif
