/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The snmp thread around the fake source, for experiments with a real master agent: prints the
 * changes of its connection to standard output and ends on SIGTERM.
 *
 *   agent-probe MASTER RETRY_INTERVAL [CONTEXT]
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/snmp-thread.h"
#include "fake-source.h"

#define VADM_LOG_CATEGORY "probe"
#include "common/log.h"

static gboolean
probe_next_signal(const sigset_t *signals, long nanoseconds)
{
    struct timespec pause = {.tv_nsec = nanoseconds};

    return sigtimedwait(signals, NULL, &pause) > 0;
}

static void
probe_watch(VadmSnmpThread *thread)
{
    gboolean was = FALSE;
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    while (!probe_next_signal(&signals, 20000000)) {
        gboolean is = vadm_snmp_thread_is_connected(thread);
        if (is != was)
            printf("%.3f %s\n", (double)g_get_monotonic_time() / 1e6, is ? "connected" : "lost");
        was = is;
        fflush(stdout);
    }
}

int
main(int argc, char **argv)
{
    FakeSource *fake = fake_source_new();
    VadmSettings *settings = vadm_settings_new(0x3e7, 5);
    VadmLog *log = vadm_log_new("agent-probe", "0");
    VadmSnmpConfig config = {.writable = TRUE};
    g_autoptr(GError) error = NULL;
    VadmSnmpThread *thread;
    gint64 asked;
    gboolean ended;

    if (argc < 3)
        return EXIT_FAILURE;
    vadm_log_set_default(log);
    if (getenv("PROBE_DEBUG")) {
        g_autoptr(VadmLogSet) set = vadm_log_set_new(log, 1, "", "", "1:stderr", NULL, NULL);
        if (set)
            vadm_log_install(log, set);
    }
    signal(SIGPIPE, SIG_IGN);
    config.master = argv[1];
    config.retry_interval = (guint)strtoul(argv[2], NULL, 10);
    config.name = fake->daemon.name;
    config.context = argc > 3 ? argv[3] : NULL;
    thread = vadm_snmp_thread_start(&config, &fake->base, settings, &error);
    if (!thread) {
        fprintf(stderr, "%s\n", error->message);
        return EXIT_FAILURE;
    }
    probe_watch(thread);
    asked = g_get_monotonic_time();
    ended = vadm_snmp_thread_stop(thread, 3 * G_USEC_PER_SEC);
    printf("%s after %.3f s; prepared %u committed %u finished %u aborted %u undone %u open %u\n",
           ended ? "ended" : "left behind", (double)(g_get_monotonic_time() - asked) / 1e6,
           fake->prepared, fake->committed, fake->finished, fake->aborted, fake->undone,
           fake->open);
    fflush(stdout);
    vadm_log_set_default(NULL);
    vadm_log_free(log, G_USEC_PER_SEC);
    if (!ended)
        _Exit(EXIT_FAILURE);
    vadm_settings_free(settings);
    fake_source_free(fake);
    return EXIT_SUCCESS;
}
