/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a SET costs next to one of as many varbinds that nobody acts on, both through the same
 * master and each to a subagent of its own:
 *
 *   bench-set null AGENTX            the subagent of the yardstick; until it is ended
 *   bench-set run HOST:PORT COMMUNITY VARBINDS BLOCKS
 *
 * null: takes any unsigned number below .1.3.6.1.4.1.8072.9999.9999.8; one line when it is ready.
 * run: SETs of VARBINDS (1 to 10) objects of both, each time to other values, in blocks of 100 by
 * turns. Prints for both the median of the blocks' p50 and p99 of the round trip in microseconds,
 * and that of the ratios set / null of blocks that follow each other.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/netsnmp.h"
#include "mib/lva-mib.h"

#include <glib.h>

#include "tests/bench/bench-stats.h"

enum { NULL_SET, SET, KINDS };

#define BENCH_VARBINDS 10 /* five columns of both servers */
/* What comes after an answer (CleanupSet) must not burden the next request of the other kind. */
#define BENCH_BLOCK 100

static const oid bench_null[] = {1, 3, 6, 1, 4, 1, 8072, 9999, 9999, 8};

/* ---- the yardstick ---- */

static int
bench_null_handler(netsnmp_mib_handler *node, netsnmp_handler_registration *registration,
                   netsnmp_agent_request_info *info, netsnmp_request_info *requests)
{
    (void)node;
    (void)registration;
    (void)info;
    (void)requests;
    return SNMP_ERR_NOERROR;
}

static int
bench_run_null(const char *master)
{
    netsnmp_ds_set_boolean(NETSNMP_DS_APPLICATION_ID, NETSNMP_DS_AGENT_ROLE, 1);
    netsnmp_ds_set_string(NETSNMP_DS_APPLICATION_ID, NETSNMP_DS_AGENT_X_SOCKET, master);
    if (init_agent("bench-set") != 0)
        return EXIT_FAILURE;
    if (netsnmp_register_handler(netsnmp_create_handler_registration(
            "null", bench_null_handler, bench_null, G_N_ELEMENTS(bench_null),
            HANDLER_CAN_RWRITE)) != MIB_REGISTERED_OK)
        return EXIT_FAILURE;
    init_snmp("bench-set");
    puts("ready");
    fflush(stdout);
    while (TRUE)
        agent_check_and_process(1);
}

/* ---- the manager ---- */

/* The maximum of the workers first: 1 varbind is that, 3 are of one server. */
static void
bench_object(guint i, oid *column, oid *server, long *value, guint turn)
{
    static const struct {
        oid column;
        long base;
    } columns[] = {
        {LVA_ARC_lvaServerWorkersMax, 20},         {LVA_ARC_lvaServerClientsHighPercent, 50},
        {LVA_ARC_lvaServerClientRequestsMax, 5},   {LVA_ARC_lvaServerClientsMax, 3000},
        {LVA_ARC_lvaServerClientsUnauthMax, 1000},
    };

    *column = columns[i % G_N_ELEMENTS(columns)].column;
    *server = i < G_N_ELEMENTS(columns) ? 2 : 1;
    *value = columns[i % G_N_ELEMENTS(columns)].base + (long)(turn % 2);
}

static netsnmp_pdu *
bench_make(int kind, guint varbinds, guint turn)
{
    netsnmp_pdu *pdu = snmp_pdu_create(SNMP_MSG_SET);

    for (guint i = 0; i < varbinds; i++) {
        oid name[] = {LVA_ROOT, 1, LVA_GROUP_lvaServerTable, 1, 0, 0};
        oid null[G_N_ELEMENTS(name)];
        long value;
        gsize n = G_N_ELEMENTS(name);

        bench_object(i, &name[n - 2], &name[n - 1], &value, turn);
        memcpy(null, name, sizeof(null)); /* of the same length */
        memcpy(null, bench_null, MIN(sizeof(bench_null), sizeof(null)));
        snmp_pdu_add_variable(pdu, kind == SET ? name : null, n, ASN_UNSIGNED, &value,
                              sizeof(value));
    }
    return pdu;
}

/* In microseconds; ends the program when the request fails. */
static double
bench_request(void *session, int kind, guint varbinds, guint turn)
{
    netsnmp_pdu *pdu = bench_make(kind, varbinds, turn);
    netsnmp_pdu *answer = NULL;
    gint64 begun = g_get_monotonic_time();
    int status = snmp_sess_synch_response(session, pdu, &answer);
    gint64 ended = g_get_monotonic_time();

    if (status != STAT_SUCCESS || !answer || answer->errstat != SNMP_ERR_NOERROR) {
        fprintf(stderr, "bench-set: a request failed: %s, varbind %ld\n",
                answer ? snmp_errstring((int)answer->errstat) : "no answer",
                answer ? answer->errindex : 0);
        exit(EXIT_FAILURE);
    }
    snmp_free_pdu(answer);
    return (double)(ended - begun);
}

/* Blocks that follow each other meet the same noise of the machine: the ratio is theirs. */
static void
bench_report(const char *name, double *null, double *set, guint blocks)
{
    g_autofree double *ratios = g_new(double, blocks);

    for (guint block = 0; block < blocks; block++)
        ratios[block] = set[block] / null[block];
    printf("%s %.1f %.1f %.2f\n", name, bench_part(null, blocks, 0.5), bench_part(set, blocks, 0.5),
           bench_part(ratios, blocks, 0.5));
}

static void
bench_run(void *session, guint varbinds, guint blocks)
{
    double *medians[KINDS] = {g_new(double, blocks), g_new(double, blocks)};
    double *tails[KINDS] = {g_new(double, blocks), g_new(double, blocks)};
    double times[BENCH_BLOCK];

    for (guint block = 0; block < blocks; block++) {
        for (int kind = 0; kind < KINDS; kind++) {
            for (guint i = 0; i < BENCH_BLOCK; i++)
                times[i] = bench_request(session, kind, varbinds, i);
            medians[kind][block] = bench_part(times, BENCH_BLOCK, 0.5);
            tails[kind][block] = bench_part(times, BENCH_BLOCK, 0.99);
        }
    }
    bench_report("p50_us", medians[NULL_SET], medians[SET], blocks);
    bench_report("p99_us", tails[NULL_SET], tails[SET], blocks);
    for (int kind = 0; kind < KINDS; kind++) {
        g_free(medians[kind]);
        g_free(tails[kind]);
    }
}

static int
bench_run_manager(char **argv)
{
    int varbinds = atoi(argv[2]), blocks = atoi(argv[3]);
    netsnmp_session config;
    void *session;

    if (varbinds < 1 || varbinds > BENCH_VARBINDS || blocks < 1) {
        fprintf(stderr, "bench-set: 1 to %d varbinds, at least one block\n", BENCH_VARBINDS);
        return 2;
    }
    init_snmp("bench-set");
    snmp_sess_init(&config);
    config.version = SNMP_VERSION_2c;
    config.peername = argv[0];
    config.community = (u_char *)argv[1];
    config.community_len = strlen(argv[1]);
    session = snmp_sess_open(&config);
    if (!session) {
        snmp_sess_perror("bench-set", &config);
        return EXIT_FAILURE;
    }
    bench_run(session, (guint)varbinds, (guint)blocks);
    snmp_sess_close(session);
    snmp_shutdown("bench-set");
    return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
    netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DONT_READ_CONFIGS, 1);
    netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DONT_PERSIST_STATE, 1);
    if (argc == 3 && strcmp(argv[1], "null") == 0)
        return bench_run_null(argv[2]);
    if (argc == 6 && strcmp(argv[1], "run") == 0)
        return bench_run_manager(argv + 2);
    fprintf(stderr, "usage: bench-set null AGENTX | run HOST:PORT COMMUNITY VARBINDS BLOCKS\n");
    return 2;
}
