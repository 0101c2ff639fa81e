/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The remote source reading a daemon:
 *
 *   bench-remote SOCKET COUNT
 *
 * Reads the daemon whose admin socket is SOCKET once, and COUNT times more. Prints calls,
 * microseconds and processor time of this process, of the first and the p50 and p99 of the others;
 * and what a walk over all rows costs.
 */
#include <stdio.h>
#include <sys/resource.h>

#include "agent/remote-private.h"
#include "tests/bench/bench-stats.h"

#define BENCH_INTERVAL (50 * 1000) /* microseconds */

typedef struct {
    double calls, identities, took, processor; /* microseconds */
} BenchReading;

static double
bench_processor(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* Until something was read that is not @before. */
static BenchReading
bench_read(VadmRemoteSource *source, gint64 *before)
{
    double processor = bench_processor();

    while (!source->snapshot->reachable || source->snapshot->taken == *before)
        g_main_context_iteration(NULL, TRUE);
    *before = source->snapshot->taken;
    return (BenchReading){source->cost.calls, source->cost.identities, (double)source->cost.took,
                          bench_processor() - processor};
}

static guint
bench_walk(VadmSource *source)
{
    const VadmSourceClass *class = source->class;
    VadmView *view = class->view_begin(source);
    const VadmClientRow *row;
    guint32 server = 0, index = 0;
    guint n = 0;

    for (; (row = class->client(view, VADM_MATCH_GT, server, index)); n++) {
        server = row->server;
        index = row->index;
    }
    class->view_end(view);
    return n;
}

static void
bench_print(const char *name, const BenchReading *readings, guint n, gsize offset, double unit)
{
    g_autofree double *values = g_new(double, n);

    for (guint i = 0; i < n; i++)
        values[i] = G_STRUCT_MEMBER(double, &readings[i], offset) / unit;
    printf("%s %.1f", name, values[0]);
    printf(" %.1f", bench_part(values + 1, n - 1, 0.5));
    printf(" %.1f\n", bench_part(values + 1, n - 1, 0.99));
}

int
main(int argc, char **argv)
{
    VadmRemoteConfig config = {.name = "libvirtd",
                               .uri = "libvirtd:///system",
                               .path = argc > 1 ? argv[1] : "",
                               .refresh_interval = 1};
    guint n = argc > 2 ? (guint)g_ascii_strtoull(argv[2], NULL, 10) + 1 : 0;
    g_autofree BenchReading *readings = g_new0(BenchReading, n + 1);
    VadmSource *source = vadm_source_remote_new(&config);
    gint64 before = 0, begun;
    guint rows;

    if (argc != 3 || n < 2) {
        fprintf(stderr, "usage: %s SOCKET COUNT\n", argv[0]);
        return EXIT_FAILURE;
    }
    for (guint i = 0; i < n; i++) {
        readings[i] = bench_read((VadmRemoteSource *)source, &before);
        ((VadmRemoteSource *)source)->interval = BENCH_INTERVAL; /* the first one has its time */
    }
    bench_print("calls", readings, n, offsetof(BenchReading, calls), 1);
    bench_print("for_who_clients_are", readings, n, offsetof(BenchReading, identities), 1);
    bench_print("ms", readings, n, offsetof(BenchReading, took), 1000);
    bench_print("ms_of_our_processor", readings, n, offsetof(BenchReading, processor), 1000);
    begun = g_get_monotonic_time();
    rows = bench_walk(source);
    printf("ms_for_a_view_of_all_rows %.2f %u rows\n",
           (double)(g_get_monotonic_time() - begun) / 1000, rows);
    vadm_source_remote_free(source);
    return EXIT_SUCCESS;
}
