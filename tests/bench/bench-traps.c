/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a notification costs next to one that a subagent does nothing but send:
 *
 *   bench-traps bare AGENTX SOCKET         the subagent of the yardstick; until it is ended
 *   bench-traps latency PORT COUNT SOCKET SOCKET
 *   bench-traps rate PORT SOCKET bytes|connect EACH RATE SECONDS
 *
 * bare: listens at SOCKET (unix), sends a notification like lvaClientConnected for each
 * connection, and one for each octet that comes over it; at most 100 at a time, then lets net-snmp
 * read. One line when it is ready.
 * latency: connects COUNT times to each of both by turns, and takes the time from before connect()
 * until a datagram is at UDP port PORT. Prints for both p50 and p99 in microseconds, and the ratio
 * second / first.
 * rate: makes RATE notifications a second happen, by octets that it writes or by connections that
 * it makes and closes; such a connection makes EACH of them. Prints how many it asked for, how many
 * came to PORT, and the seconds from the first request to the last datagram.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/netsnmp.h"
#include "mib/lva-mib.h"

#include <glib.h>

#include "tests/bench/bench-stats.h"

#define BENCH_AT_A_TIME    100
#define BENCH_RECEIVE_SIZE (64 << 20)
#define BENCH_PATIENCE_S   2        /* a datagram that has not come by then is lost */
#define BENCH_TICK_US      1000     /* what is due is made at once */
#define BENCH_QUIET_US     (500000) /* nothing more will come */

static void
bench_die(const char *what)
{
    fprintf(stderr, "bench-traps: %s: %s\n", what, g_strerror(errno));
    exit(EXIT_FAILURE);
}

static struct sockaddr_un
bench_address(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    return address;
}

/* ---- the yardstick ---- */

static void
bench_add(netsnmp_variable_list **list, const oid *name, gsize length, u_char type,
          const void *value, gsize size)
{
    if (!snmp_varlist_add_variable(list, name, length, type, value, size))
        bench_die("a varbind");
}

/* lvaClientConnected, with values of the usual length. */
static void
bench_send(void)
{
    static const oid trap_oid[] = {1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0};
    static const oid connected[] = {LVA_ROOT, 0, LVA_ARC_lvaClientConnected};
    static const oid daemon[] = {LVA_ROOT, 1, LVA_GROUP_lvaDaemon, LVA_ARC_lvaDaemonName, 0};
    static const oid server[] = {LVA_ROOT, 1, LVA_GROUP_lvaServerTable, 1, LVA_ARC_lvaServerName,
                                 2};
    static const oid transport[] = {
        LVA_ROOT, 1, LVA_GROUP_lvaClientTable, 1, LVA_ARC_lvaClientTransport, 2, 1000};
    static const oid peer[] = {LVA_ROOT, 1,   LVA_GROUP_lvaClientTable, 1, LVA_ARC_lvaClientPeer,
                               2,        1000};
    netsnmp_variable_list *list = NULL;
    long number = 1;

    bench_add(&list, trap_oid, G_N_ELEMENTS(trap_oid), ASN_OBJECT_ID, connected, sizeof(connected));
    bench_add(&list, daemon, G_N_ELEMENTS(daemon), ASN_OCTET_STR, "virtadmd", 8);
    bench_add(&list, server, G_N_ELEMENTS(server), ASN_OCTET_STR, "libvirtd", 8);
    bench_add(&list, transport, G_N_ELEMENTS(transport), ASN_INTEGER, &number, sizeof(number));
    bench_add(&list, peer, G_N_ELEMENTS(peer), ASN_OCTET_STR, "unix:pid=12345,uid=0", 20);
    send_v2trap(list);
    snmp_free_varbind(list);
}

static void
bench_octets_came(int fd, void *data)
{
    char octets[BENCH_AT_A_TIME];
    ssize_t n = recv(fd, octets, sizeof(octets), MSG_DONTWAIT);

    (void)data;
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        unregister_readfd(fd);
        close(fd);
    }
    for (ssize_t i = 0; i < n; i++)
        bench_send();
}

static void
bench_somebody_came(int fd, void *data)
{
    int client = accept(fd, NULL, NULL);

    (void)data;
    if (client < 0)
        return;
    bench_send();
    if (register_readfd(client, bench_octets_came, NULL) != FD_REGISTERED_OK)
        close(client);
}

static int
bench_run_bare(const char *master, const char *path)
{
    struct sockaddr_un address = bench_address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 100) != 0)
        bench_die(path);
    netsnmp_ds_set_boolean(NETSNMP_DS_APPLICATION_ID, NETSNMP_DS_AGENT_ROLE, 1);
    netsnmp_ds_set_string(NETSNMP_DS_APPLICATION_ID, NETSNMP_DS_AGENT_X_SOCKET, master);
    if (init_agent("bench-traps") != 0 ||
        register_readfd(fd, bench_somebody_came, NULL) != FD_REGISTERED_OK)
        return EXIT_FAILURE;
    init_snmp("bench-traps");
    puts("ready");
    fflush(stdout);
    while (TRUE)
        agent_check_and_process(1);
}

/* ---- the other end ---- */

static int
bench_connect(const char *path)
{
    struct sockaddr_un address = bench_address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        bench_die(path);
    return fd;
}

static int
bench_open_port(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((guint16)atoi(port)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = BENCH_PATIENCE_S};
    int size = BENCH_RECEIVE_SIZE, fd = socket(AF_INET, SOCK_DGRAM, 0);

    /* more than the system allows to others needs root */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        bench_die(port);
    return fd;
}

static double
bench_one(int port, const char *path)
{
    char datagram[2048];
    gint64 begun = g_get_monotonic_time();
    int fd = bench_connect(path);
    ssize_t size = recv(port, datagram, sizeof(datagram), 0);
    gint64 ended = g_get_monotonic_time();

    if (size < 0)
        bench_die("no notification came");
    close(fd);
    g_usleep(BENCH_TICK_US); /* the end of this client must not burden the next one */
    return (double)(ended - begun);
}

static int
bench_run_latency(char **argv)
{
    int port = bench_open_port(argv[0]);
    guint count = (guint)MAX(atoi(argv[1]), 1);
    double *times[] = {g_new(double, count), g_new(double, count)};

    for (guint i = 0; i < count; i++)
        for (guint which = 0; which < G_N_ELEMENTS(times); which++)
            times[which][i] = bench_one(port, argv[2 + which]);
    for (guint i = 0; i < 2; i++) {
        double part = i == 0 ? 0.5 : 0.99;
        double first = bench_part(times[0], count, part);
        double second = bench_part(times[1], count, part);

        printf("%s %.0f %.0f %.2f\n", i == 0 ? "p50_us" : "p99_us", first, second, second / first);
    }
    g_free(times[0]);
    g_free(times[1]);
    return EXIT_SUCCESS;
}

typedef struct {
    int port;
    atomic_bool over;
    atomic_uint came;
    _Atomic gint64 last; /* when the last one came */
} BenchReceiver;

static void *
bench_receive(void *data)
{
    BenchReceiver *receiver = data;
    struct timeval patience = {.tv_usec = 100000};
    char datagram[2048];

    (void)setsockopt(receiver->port, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    while (!atomic_load(&receiver->over)) {
        if (recv(receiver->port, datagram, sizeof(datagram), 0) < 0)
            continue;
        atomic_store(&receiver->last, g_get_monotonic_time());
        atomic_fetch_add(&receiver->came, 1);
    }
    return NULL;
}

static void
bench_make(const char *path, int fd, gint64 number)
{
    char octets[4096] = "";

    while (fd >= 0 && number > 0) {
        ssize_t n = send(fd, octets, MIN((gsize)number, sizeof(octets)), 0);

        if (n < 0)
            bench_die(path);
        number -= n;
    }
    for (; number > 0; number--)
        close(bench_connect(path));
}

/* fd: where octets go to; -1: connections are made. Returns how many of them. */
static gint64
bench_pace(const char *path, int fd, double rate, gint64 begun, double seconds)
{
    gint64 total = (gint64)(rate * seconds), made = 0;

    while (made < total) {
        gint64 elapsed = g_get_monotonic_time() - begun;
        gint64 due = MIN((gint64)(rate * (double)elapsed / 1e6), total) - made;

        bench_make(path, fd, due);
        made += due;
        g_usleep(BENCH_TICK_US);
    }
    return made;
}

static int
bench_run_rate(char **argv)
{
    BenchReceiver receiver = {.port = bench_open_port(argv[0])};
    gboolean octets = strcmp(argv[2], "bytes") == 0;
    guint each = (guint)MAX(atoi(argv[3]), 1), expected;
    int fd = octets ? bench_connect(argv[1]) : -1;
    gint64 begun, made;
    pthread_t thread;

    if (octets) { /* the connection itself is told of, too */
        char datagram[2048];

        if (recv(receiver.port, datagram, sizeof(datagram), 0) < 0)
            bench_die("no notification came");
    }
    begun = g_get_monotonic_time();
    atomic_store(&receiver.last, begun);
    pthread_create(&thread, NULL, bench_receive, &receiver);
    made = bench_pace(argv[1], fd, atof(argv[4]) / each, begun, atof(argv[5]));
    expected = (guint)made * each;
    while (atomic_load(&receiver.came) < expected &&
           g_get_monotonic_time() - MAX(atomic_load(&receiver.last), begun) < BENCH_QUIET_US)
        g_usleep(BENCH_TICK_US);
    atomic_store(&receiver.over, TRUE);
    pthread_join(thread, NULL);
    printf("%u %u %.3f\n", expected, atomic_load(&receiver.came),
           (double)(atomic_load(&receiver.last) - begun) / 1e6);
    if (fd >= 0)
        close(fd);
    return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
    netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DONT_READ_CONFIGS, 1);
    netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DONT_PERSIST_STATE, 1);
    if (argc == 4 && strcmp(argv[1], "bare") == 0)
        return bench_run_bare(argv[2], argv[3]);
    if (argc == 6 && strcmp(argv[1], "latency") == 0)
        return bench_run_latency(argv + 2);
    if (argc == 8 && strcmp(argv[1], "rate") == 0)
        return bench_run_rate(argv + 2);
    fprintf(stderr, "usage: bench-traps bare AGENTX SOCKET | latency PORT COUNT SOCKET SOCKET |\n"
                    "       rate PORT SOCKET bytes|connect EACH RATE SECONDS\n");
    return 2;
}
