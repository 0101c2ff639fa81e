/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The snmp thread around the fake source, for experiments with a real master agent: prints the
 * changes of its connection to standard output and ends on SIGTERM.
 *
 *   agent-probe MASTER RETRY_INTERVAL [CONTEXT]
 *
 * PROBE_PREPARE_MS, PROBE_COMMIT_MS, PROBE_UNDO_MS: how long these take in another thread.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/snmp-thread.h"
#include "fake-source.h"

#define VADM_LOG_CATEGORY "probe"
#include "common/log.h"

/* A call of the source that takes its time, and where its completion goes. */
typedef struct {
    FakeSource *fake;
    VadmMailbox *mailbox;
    guint ms;
} ProbeDelay;

static atomic_int probe_delayed; /* how many have not completed */

static void
probe_complete(gpointer data)
{
    fake_source_complete(data);
    atomic_fetch_sub(&probe_delayed, 1);
}

static void *
probe_delay(void *data)
{
    g_autofree ProbeDelay *delay = data;

    g_usleep(delay->ms * 1000ul);
    vadm_mailbox_post(delay->mailbox, probe_complete, delay->fake, probe_complete);
    vadm_mailbox_unref(delay->mailbox);
    return NULL;
}

static guint
probe_milliseconds(FakePhase phase)
{
    static const char *const names[] = {"PROBE_PREPARE_MS", "PROBE_COMMIT_MS", "PROBE_UNDO_MS"};
    const char *value = getenv(names[phase]);

    return value ? (guint)strtoul(value, NULL, 10) : 0;
}

static void
probe_deferred(FakeSource *fake, FakePhase phase)
{
    ProbeDelay *delay;
    pthread_t thread;
    int rc;

    if (!fake->base.mailbox) { /* the agent has ended */
        fake_source_complete(fake);
        return;
    }
    delay = g_new(ProbeDelay, 1);
    delay->fake = fake;
    delay->ms = probe_milliseconds(phase);
    delay->mailbox = vadm_mailbox_ref(fake->base.mailbox);
    atomic_fetch_add(&probe_delayed, 1);
    rc = pthread_create(&thread, NULL, probe_delay, delay);
    g_assert(rc == 0);
    pthread_detach(thread);
}

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
    VadmSnmpDaemon daemon = {&fake->base, settings, fake->daemon.name};
    g_autoptr(GError) error = NULL;
    VadmSnmpThread *thread;
    gint64 asked, took;
    gboolean ended;

    if (argc < 3)
        return EXIT_FAILURE;
    vadm_log_set_default(log);
    if (getenv("PROBE_DEBUG")) {
        g_autoptr(VadmLogSet) set = vadm_log_set_new(log, 1, "", "", "1:stderr", NULL, NULL);
        if (set)
            vadm_log_install(log, set);
    }
    for (FakePhase phase = FAKE_PREPARE; phase < FAKE_PHASES; phase++)
        fake->defer[phase] = probe_milliseconds(phase) > 0;
    fake->deferred = probe_deferred;
    signal(SIGPIPE, SIG_IGN);
    config.master = argv[1];
    config.retry_interval = (guint)strtoul(argv[2], NULL, 10);
    config.context = argc > 3 ? argv[3] : NULL;
    thread = vadm_snmp_thread_start(&config, &daemon, 1, &error);
    if (!thread) {
        fprintf(stderr, "%s\n", error->message);
        return EXIT_FAILURE;
    }
    probe_watch(thread);
    asked = g_get_monotonic_time();
    ended = vadm_snmp_thread_stop(thread, 3 * G_USEC_PER_SEC);
    took = g_get_monotonic_time() - asked;
    while (atomic_load(&probe_delayed) > 0)
        g_usleep(1000);
    printf("%s after %.3f s; prepared %u committed %u finished %u aborted %u undone %u open %u\n",
           ended ? "ended" : "left behind", (double)took / 1e6, fake->prepared, fake->committed,
           fake->finished, fake->aborted, fake->undone, fake->open);
    fflush(stdout);
    vadm_log_set_default(NULL);
    vadm_log_free(log, G_USEC_PER_SEC);
    if (!ended)
        _Exit(EXIT_FAILURE);
    vadm_settings_free(settings);
    fake_source_free(fake);
    return EXIT_SUCCESS;
}
