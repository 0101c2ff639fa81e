/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the benchmarks make of their measurements. */
#ifndef VADM_TESTS_BENCH_STATS_H
#define VADM_TESTS_BENCH_STATS_H

#include <glib.h>
#include <stdlib.h>

static inline int
bench_compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return (left > right) - (left < right);
}

/** bench_part: Returns: the value that @part (0 to 1) of @values are below; sorts them. */
static inline double
bench_part(double *values, gsize n, double part)
{
    qsort(values, n, sizeof(*values), bench_compare);
    return values[MIN((gsize)((double)n * part), n - 1)];
}

#endif
