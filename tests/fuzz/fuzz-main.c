/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs LLVMFuzzerTestOneInput() without libFuzzer: on the files given (a crash's input, a
 * corpus), or on mutations of the captured traffic, as many as VADM_FUZZ_RUNS says (default
 * RUNS), from the seed VADM_FUZZ_SEED. Random, but the same each time.
 */
#include <stdlib.h>

#include "tests/unit/test-rpc-data.h"

#ifndef RUNS
#define RUNS 100000u
#endif
#define SEED 2741u

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

static guint
number_from_env(const char *name, guint otherwise)
{
    const char *text = g_getenv(name);

    return text ? (guint)g_ascii_strtoull(text, NULL, 10) : otherwise;
}

static guint
below(GRand *random, guint limit)
{
    return (guint)g_rand_int_range(random, 0, (gint32)limit);
}

/* Words at which lengths, counts, discriminants and optionals stand are the interesting ones. */
static void
mutate(GRand *random, GByteArray *input)
{
    static const guint32 words[] = {0,          1,          2,          7,         8,
                                    27,         28,         32,         33,        64,
                                    0x4000,     0x4001,     0x400000,   0x400001,  0x2000004,
                                    0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff};
    guint32 word = GUINT32_TO_BE(words[below(random, G_N_ELEMENTS(words))]);
    guint at = below(random, input->len);

    switch (below(random, 4)) {
    case 0:
        input->data[at] = (guint8)g_rand_int(random);
        break;
    case 1:
        at &= ~3u;
        memcpy(input->data + at, &word, MIN(4, input->len - at));
        break;
    case 2:
        g_byte_array_set_size(input, at + 1);
        break;
    default:
        g_byte_array_set_size(input, input->len + at); /* and its beginning again */
        memcpy(input->data + input->len - at, input->data, at);
        break;
    }
}

/* The length word right again: else only the framer would see most of the mutants. */
static void
repair_length(GByteArray *input)
{
    guint32 length = GUINT32_TO_BE(input->len);

    if (input->len >= VADM_RPC_LENGTH_MIN)
        memcpy(input->data, &length, 4);
}

static void
run_mutations(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(number_from_env("VADM_FUZZ_SEED", SEED));
    g_autoptr(GPtrArray) traces = traces_load(TRACES_ADMIN);
    g_autoptr(GPtrArray) sasl = traces_load(TRACES_SASL);
    guint n_traces = traces->len + sasl->len;
    guint runs = number_from_env("VADM_FUZZ_RUNS", RUNS);

    for (guint i = 0; i < runs; i++) {
        guint which = below(random, n_traces);
        const TraceMessage *trace = which < traces->len
                                        ? g_ptr_array_index(traces, which)
                                        : g_ptr_array_index(sasl, which - traces->len);
        g_autoptr(GByteArray) input = g_byte_array_new();
        guint times = below(random, 5);

        g_byte_array_append(input, trace->data, (guint)trace->length);
        while (times-- > 0)
            mutate(random, input);
        if (below(random, 8) > 0)
            repair_length(input);
        LLVMFuzzerTestOneInput(input->data, input->len);
    }
    g_print("%u mutations\n", runs);
}

int
main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        g_autofree char *data = NULL;
        gsize length;

        if (!g_file_get_contents(argv[i], &data, &length, NULL))
            g_error("cannot read %s", argv[i]);
        LLVMFuzzerTestOneInput((const guint8 *)data, length);
    }
    if (argc == 1)
        run_mutations();
    return EXIT_SUCCESS;
}
