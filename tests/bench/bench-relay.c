/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a relay costs: cheap calls, connections, or whole sessions at two daemons by turns, so that
 * a noise of the machine meets both, and the memory that an idle client takes:
 *
 *   bench-relay call|connect|session CLIENTS ROUNDS COUNT YARDSTICK SUBJECT
 *   bench-relay idle CLIENTS SOCKET PID...
 *
 * call: each of CLIENTS connections to the unix socket YARDSTICK, then each of those to SUBJECT,
 * makes COUNT calls of GET_HOSTNAME, ROUNDS times over. connect: it connects, has AUTH_LIST
 * answered and closes, COUNT times; session: AUTH_LIST, OPEN and CLOSE are answered. Prints for
 * both the median of the rounds' p50 and p99 in microseconds and times a second, and the median of
 * the rounds' ratios subject / yardstick.
 *
 * idle: CLIENTS connections to SOCKET that do nothing, then the same after AUTH_LIST and OPEN.
 * Prints for both by how many kB each of them has raised the resident memory of each process.
 */
#include <arpa/inet.h>
#include <glib.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/bench/bench-stats.h"

enum { REMOTE = 0x20008086, OPEN = 1, CLOSE = 2, GET_HOSTNAME = 59, AUTH_LIST = 66 };
enum { SUBJECTS = 2, FIGURES = 3, WORDS = 7, ANSWER_MAX = 65536, PIDS_MAX = 2 };

typedef enum { BENCH_CALL, BENCH_CONNECT, BENCH_SESSION } BenchMode;

typedef struct {
    BenchMode mode;
    guint clients, rounds, count;
    const char *paths[SUBJECTS];
} BenchPlan;

typedef struct {
    const BenchPlan *plan;
    const char *path; /* of this round */
    int fds[SUBJECTS];
    int fd; /* of this round */
    double *times;
    pthread_t thread;
} BenchClient;

static void
bench_die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static int
bench_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || strlen(path) >= sizeof(address.sun_path))
        bench_die(path);
    memcpy(address.sun_path, path, strlen(path));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        bench_die(path);
    return fd;
}

/* Waits in poll(2), as libvirt's clients do: the kernel wakes who waits in read(2) also when its
 * request is read. */
static void
bench_read(int fd, void *to, gsize length)
{
    guint8 *at = to;
    struct pollfd waiting = {.fd = fd, .events = POLLIN};

    while (length > 0) {
        ssize_t got = poll(&waiting, 1, -1) < 0 ? -1 : read(fd, at, length);
        if (got <= 0)
            bench_die("the daemon closed the connection");
        at += got;
        length -= (gsize)got;
    }
}

/* Serials may repeat: one call at a time. */
static void
bench_call(int fd, guint32 procedure, const guint32 *payload, gsize words)
{
    guint32 message[32] = {0, REMOTE, 1, procedure};
    guint32 answer[ANSWER_MAX / sizeof(guint32)];
    gsize length;

    message[0] = (guint32)((WORDS + words) * sizeof(guint32));
    for (gsize i = 0; i < WORDS; i++)
        message[i] = htonl(message[i]);
    if (words > 0)
        memcpy(message + WORDS, payload, words * sizeof(guint32));
    length = (WORDS + words) * sizeof(guint32);
    if (write(fd, message, length) != (ssize_t)length)
        bench_die("write");
    bench_read(fd, answer, sizeof(guint32));
    length = ntohl(answer[0]);
    if (length < WORDS * sizeof(guint32) || length > sizeof(answer)) {
        fprintf(stderr, "bench-relay: no libvirt daemon answers\n");
        exit(EXIT_FAILURE);
    }
    bench_read(fd, answer + 1, length - sizeof(guint32));
    if (answer[6] != 0 || ntohl(answer[3]) != procedure) {
        fprintf(stderr, "bench-relay: procedure %u failed\n", procedure);
        exit(EXIT_FAILURE);
    }
}

static void
bench_call_open(int fd)
{
    static const char name[16] = "test:///default";
    guint32 payload[7] = {htonl(1), htonl(15)};

    memcpy(payload + 2, name, sizeof(name));
    bench_call(fd, AUTH_LIST, NULL, 0);
    bench_call(fd, OPEN, payload, G_N_ELEMENTS(payload));
}

static int
bench_open(const char *path)
{
    int fd = bench_connect(path);

    bench_call_open(fd);
    return fd;
}

static void
bench_once(const BenchClient *client)
{
    int fd;

    if (client->plan->mode == BENCH_CALL) {
        bench_call(client->fd, GET_HOSTNAME, NULL, 0);
        return;
    }
    fd = bench_connect(client->path);
    if (client->plan->mode == BENCH_SESSION) {
        bench_call_open(fd);
        bench_call(fd, CLOSE, NULL, 0);
    } else {
        bench_call(fd, AUTH_LIST, NULL, 0);
    }
    close(fd);
}

static void *
bench_client_main(void *data)
{
    BenchClient *client = data;

    for (guint i = 0; i < client->plan->count; i++) {
        gint64 begun = g_get_monotonic_time();

        bench_once(client);
        client->times[i] = (double)(g_get_monotonic_time() - begun);
    }
    return NULL;
}

/* @figures: p50, p99, a second */
static void
bench_round(const BenchPlan *plan, BenchClient *clients, double *times, guint subject,
            double *figures)
{
    gsize n = (gsize)plan->clients * plan->count;
    gint64 begun = g_get_monotonic_time();

    for (guint i = 0; i < plan->clients; i++) {
        clients[i].path = plan->paths[subject];
        clients[i].fd = clients[i].fds[subject];
        if (pthread_create(&clients[i].thread, NULL, bench_client_main, &clients[i]) != 0)
            bench_die("thread");
    }
    for (guint i = 0; i < plan->clients; i++)
        pthread_join(clients[i].thread, NULL);
    figures[2] = (double)n * 1e6 / (double)(g_get_monotonic_time() - begun);
    figures[0] = bench_part(times, n, 0.5);
    figures[1] = bench_part(times, n, 0.99);
}

static void
bench_report(double *figures[SUBJECTS][FIGURES], guint rounds)
{
    static const char *const names[] = {"p50_us", "p99_us", "per_s"};

    for (guint i = 0; i < FIGURES; i++) {
        g_autofree double *ratios = g_new(double, rounds);

        for (guint round = 0; round < rounds; round++)
            ratios[round] = figures[1][i][round] / figures[0][i][round];
        printf("%s %.1f %.1f %.3f\n", names[i], bench_part(figures[0][i], rounds, 0.5),
               bench_part(figures[1][i], rounds, 0.5), bench_part(ratios, rounds, 0.5));
    }
}

static void
bench_run(const BenchPlan *plan)
{
    g_autofree BenchClient *clients = g_new0(BenchClient, plan->clients);
    g_autofree double *times = g_new0(double, (gsize)plan->clients * plan->count);
    double *figures[SUBJECTS][FIGURES];

    for (guint i = 0; i < plan->clients; i++) {
        clients[i] = (BenchClient){.plan = plan, .times = times + (gsize)i * plan->count};
        for (guint j = 0; j < SUBJECTS && plan->mode == BENCH_CALL; j++)
            clients[i].fds[j] = bench_open(plan->paths[j]);
    }
    for (guint i = 0; i < SUBJECTS * FIGURES; i++)
        figures[i / FIGURES][i % FIGURES] = g_new0(double, plan->rounds);
    for (guint round = 0; round < plan->rounds; round++) {
        for (guint i = 0; i < SUBJECTS; i++) {
            guint subject = (i + round) % SUBJECTS; /* neither is always the first */
            double result[FIGURES];

            bench_round(plan, clients, times, subject, result);
            for (guint j = 0; j < FIGURES; j++)
                figures[subject][j][round] = result[j];
        }
    }
    bench_report(figures, plan->rounds);
    for (guint i = 0; i < SUBJECTS * FIGURES; i++)
        g_free(figures[i / FIGURES][i % FIGURES]);
    for (guint i = 0; i < plan->clients && plan->mode == BENCH_CALL; i++) {
        close(clients[i].fds[0]);
        close(clients[i].fds[1]);
    }
}

/* kB. Of smaps_rollup, since the kernel counts VmRSS by the thread and is late with the sum. */
static double
bench_resident(const char *pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%s/smaps_rollup", pid);
    g_autofree char *text = NULL;
    const char *line;

    if (!g_file_get_contents(path, &text, NULL, NULL) || !(line = strstr(text, "\nRss:")))
        bench_die(path);
    return g_ascii_strtod(line + strlen("\nRss:"), NULL);
}

static void
bench_report_idle(const char *name, char **pids, const double *before, guint clients)
{
    printf("%s", name);
    for (guint i = 0; pids[i]; i++)
        printf(" %.2f", (bench_resident(pids[i]) - before[i]) / clients);
    printf("\n");
}

/* They are accepted in the order in which they come: the last one's answer says that all are. */
static void
bench_idle(guint clients, const char *path, char **pids)
{
    g_autofree int *fds = g_new(int, clients);
    struct rlimit limit;
    double before[PIDS_MAX];

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    for (guint i = 0; pids[i]; i++)
        before[i] = bench_resident(pids[i]);
    for (guint i = 0; i < clients; i++)
        fds[i] = bench_connect(path);
    bench_call(fds[clients - 1], AUTH_LIST, NULL, 0);
    bench_report_idle("connected", pids, before, clients);
    for (guint i = 0; i < clients; i++)
        bench_call_open(fds[i]);
    bench_report_idle("open", pids, before, clients);
    for (guint i = 0; i < clients; i++)
        close(fds[i]);
}

static gboolean
bench_mode(const char *name, BenchMode *mode)
{
    static const char *const names[] = {"call", "connect", "session"};

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        *mode = (BenchMode)i;
        if (strcmp(name, names[i]) == 0)
            return TRUE;
    }
    return FALSE;
}

int
main(int argc, char **argv)
{
    BenchPlan plan = {0};

    if (argc > 4 && argc <= 4 + PIDS_MAX && strcmp(argv[1], "idle") == 0 && atoi(argv[2]) > 0) {
        bench_idle((guint)atoi(argv[2]), argv[3], argv + 4);
        return EXIT_SUCCESS;
    }
    if (argc == 7 && bench_mode(argv[1], &plan.mode)) {
        plan.clients = (guint)MAX(atoi(argv[2]), 0);
        plan.rounds = (guint)MAX(atoi(argv[3]), 0);
        plan.count = (guint)MAX(atoi(argv[4]), 0);
        plan.paths[0] = argv[5];
        plan.paths[1] = argv[6];
    }
    if (plan.clients == 0 || plan.rounds == 0 || plan.count == 0) {
        fprintf(stderr, "usage: bench-relay call|connect|session CLIENTS ROUNDS COUNT YARDSTICK "
                        "SUBJECT\n"
                        "       bench-relay idle CLIENTS SOCKET PID...\n");
        return 2;
    }
    bench_run(&plan);
    return EXIT_SUCCESS;
}
