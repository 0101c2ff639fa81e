/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The snmp thread around fake sources, for tests and experiments with a real master agent: prints
 * the changes of its connection to standard output and ends on SIGTERM.
 *
 *   agent-probe MASTER RETRY_INTERVAL [CONTEXT [NAME...]]
 *
 * CONTEXT: of the first daemon, "virtadmd"; "" for the default one. NAME: a further daemon.
 * PROBE_PREPARE_MS, PROBE_COMMIT_MS, PROBE_UNDO_MS: how long these take the first daemon, in
 * another thread.
 *
 * Lines of standard input, once it is connected:
 *   NAME up, NAME unreachable   the state of the daemon
 *   NAME normal, NAME full      the clients of its server 300
 *   NAME clients N              N clients connect
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* What happens to the daemons of the program. */

typedef struct {
    FakeSource *fake;
    VadmSettings *settings;
} ProbeDaemon;

typedef struct {
    FakeSource *fake;
    char verb[16];
    guint number;
} ProbeOrder;

static void
probe_set_state(FakeSource *fake, VadmReachability state)
{
    fake->daemon.state = state;
    fake_source_tell(fake, VADM_EVENT_DAEMON, 0, 0);
}

static void
probe_set_clients(FakeSource *fake, VadmLimitState state)
{
    fake_source_server(fake, 300)->clients_state = state;
    if (fake->daemon.state == VADM_REACH_UP)
        fake_source_tell(fake, VADM_EVENT_CLIENT_LIMIT, 300, 0);
}

/* In the snmp thread, which reads what is changed here. */
static void
probe_obey(gpointer data)
{
    ProbeOrder *order = data;

    if (strcmp(order->verb, "up") == 0)
        probe_set_state(order->fake, VADM_REACH_UP);
    else if (strcmp(order->verb, "unreachable") == 0)
        probe_set_state(order->fake, VADM_REACH_UNREACHABLE);
    else if (strcmp(order->verb, "normal") == 0)
        probe_set_clients(order->fake, VADM_LIMIT_NORMAL);
    else if (strcmp(order->verb, "full") == 0)
        probe_set_clients(order->fake, VADM_LIMIT_FULL);
    for (guint i = 0; i < order->number; i++)
        fake_source_tell(order->fake, VADM_EVENT_CLIENT_CONNECTED, 300, 7);
    g_free(order);
}

static void
probe_order(const char *line, const ProbeDaemon *daemons, guint n_daemons)
{
    ProbeOrder order = {0};
    char name[40];

    if (sscanf(line, "%39s %15s %u", name, order.verb, &order.number) < 2)
        return;
    for (guint i = 0; i < n_daemons; i++) {
        order.fake = daemons[i].fake;
        if (strcmp(order.fake->daemon.name, name) == 0)
            vadm_mailbox_post(order.fake->base.mailbox, probe_obey,
                              g_memdup2(&order, sizeof(order)), g_free);
    }
}

/* Whatever has come of the input; lines are short. FALSE: that was its end. */
static gboolean
probe_read_orders(const ProbeDaemon *daemons, guint n_daemons)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char text[512];
    ssize_t got;

    if (poll(&input, 1, 0) <= 0)
        return TRUE;
    got = read(STDIN_FILENO, text, sizeof(text) - 1);
    if (got <= 0)
        return FALSE;
    text[got] = '\0';
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        probe_order(line, daemons, n_daemons);
    return TRUE;
}

static gboolean
probe_next_signal(const sigset_t *signals, long nanoseconds)
{
    struct timespec pause = {.tv_nsec = nanoseconds};

    return sigtimedwait(signals, NULL, &pause) > 0;
}

static void
probe_watch(VadmSnmpThread *thread, const ProbeDaemon *daemons, guint n_daemons)
{
    gboolean was = FALSE, input = TRUE;
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
        if (is && input)
            input = probe_read_orders(daemons, n_daemons);
        fflush(stdout);
    }
}

static void
probe_make_daemon(ProbeDaemon *daemon, const char *name)
{
    daemon->fake = fake_source_new();
    daemon->settings = vadm_settings_new("probe", 0x3ef, 0);
    fake_source_server(daemon->fake, 1)->clients_state = VADM_LIMIT_NORMAL;
    fake_source_server(daemon->fake, 300)->clients_state = VADM_LIMIT_NORMAL;
    if (name)
        daemon->fake->daemon.name = name;
}

static void
probe_print_end(const ProbeDaemon *daemon)
{
    const FakeSource *fake = daemon->fake;

    printf("%s: prepared %u committed %u finished %u aborted %u undone %u open %u\n",
           fake->daemon.name, fake->prepared, fake->committed, fake->finished, fake->aborted,
           fake->undone, fake->open);
}

static VadmLog *
probe_start_log(void)
{
    VadmLog *log = vadm_log_new("agent-probe", "0");
    const char *level = getenv("PROBE_DEBUG") ? "1:stderr" : "2:stderr";
    g_autoptr(VadmLogSet) set = vadm_log_set_new(log, 1, "", "", level, NULL, NULL);

    vadm_log_set_default(log);
    if (set)
        vadm_log_install(log, set);
    return log;
}

int
main(int argc, char **argv)
{
    guint n = argc > 4 ? (guint)argc - 3 : 1;
    g_autofree ProbeDaemon *daemons = g_new0(ProbeDaemon, n);
    g_autofree VadmSnmpDaemon *served = g_new0(VadmSnmpDaemon, n);
    VadmLog *log = probe_start_log();
    VadmSnmpConfig config = {.writable = TRUE};
    g_autoptr(GError) error = NULL;
    VadmSnmpThread *thread;
    gint64 asked, took;
    gboolean ended;

    if (argc < 3)
        return EXIT_FAILURE;
    for (guint i = 0; i < n; i++) {
        probe_make_daemon(&daemons[i], i > 0 ? argv[3 + i] : NULL);
        served[i] = (VadmSnmpDaemon){&daemons[i].fake->base, daemons[i].settings,
                                     daemons[i].fake->daemon.name};
    }
    for (FakePhase phase = FAKE_PREPARE; phase < FAKE_PHASES; phase++)
        daemons[0].fake->defer[phase] = probe_milliseconds(phase) > 0;
    daemons[0].fake->deferred = probe_deferred;
    signal(SIGPIPE, SIG_IGN);
    config.master = argv[1];
    config.retry_interval = (guint)strtoul(argv[2], NULL, 10);
    config.context = argc > 3 ? argv[3] : NULL;
    thread = vadm_snmp_thread_start(&config, served, n, &error);
    if (!thread) {
        fprintf(stderr, "%s\n", error->message);
        return EXIT_FAILURE;
    }
    probe_watch(thread, daemons, n);
    asked = g_get_monotonic_time();
    ended = vadm_snmp_thread_stop(thread, 3 * G_USEC_PER_SEC);
    took = g_get_monotonic_time() - asked;
    while (atomic_load(&probe_delayed) > 0)
        g_usleep(1000);
    printf("%s after %.3f s\n", ended ? "ended" : "left behind", (double)took / 1e6);
    for (guint i = 0; i < n; i++)
        probe_print_end(&daemons[i]);
    fflush(stdout);
    vadm_log_set_default(NULL);
    vadm_log_free(log, G_USEC_PER_SEC);
    if (!ended)
        _Exit(EXIT_FAILURE);
    for (guint i = 0; i < n; i++) {
        vadm_settings_free(daemons[i].settings);
        fake_source_free(daemons[i].fake);
    }
    return EXIT_SUCCESS;
}
