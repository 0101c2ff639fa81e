/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a SET costs next to one of as many varbinds that nobody acts on, both through the same
 * master and each to a subagent of its own:
 *
 *   bench-set null AGENTX            the subagent of the yardstick; until it is ended
 *   bench-set run HOST:PORT COMMUNITY VARBINDS ROUNDS
 *
 * null: takes any unsigned number below .1.3.6.1.4.1.8072.9999.9999.8; one line when it is ready.
 * run: SETs of VARBINDS (1 to 10) objects of both, blocks by turns, each time to other values.
 * Prints for both p50 and p99 of the round trip in microseconds, and the ratio set / null of each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/netsnmp.h"
#include "mib/lva-mib.h"

#include <glib.h>

enum { NULL_SET, SET, KINDS };

#define BENCH_VARBINDS 10 /* five columns of both servers */
/* What comes after an answer (CleanupSet) must not burden the next request of the other kind. */
#define BENCH_BLOCK 50

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

static int
bench_compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return (left > right) - (left < right);
}

static void
bench_report(const char *name, double null, double set)
{
    printf("%s %.1f %.1f %.2f\n", name, null, set, set / null);
}

static void
bench_run(void *session, guint varbinds, guint rounds)
{
    double *times[KINDS];

    for (int kind = 0; kind < KINDS; kind++)
        times[kind] = g_new(double, rounds);
    for (guint begin = 0; begin < rounds; begin += BENCH_BLOCK) {
        for (int kind = 0; kind < KINDS; kind++) {
            for (guint round = begin; round < MIN(begin + BENCH_BLOCK, rounds); round++)
                times[kind][round] = bench_request(session, kind, varbinds, round);
        }
    }
    for (int kind = 0; kind < KINDS; kind++)
        qsort(times[kind], rounds, sizeof(**times), bench_compare);
    bench_report("p50_us", times[NULL_SET][rounds / 2], times[SET][rounds / 2]);
    bench_report("p99_us", times[NULL_SET][rounds * 99 / 100], times[SET][rounds * 99 / 100]);
    for (int kind = 0; kind < KINDS; kind++)
        g_free(times[kind]);
}

static int
bench_run_manager(char **argv)
{
    int varbinds = atoi(argv[2]), rounds = atoi(argv[3]);
    netsnmp_session config;
    void *session;

    if (varbinds < 1 || varbinds > BENCH_VARBINDS || rounds < 1) {
        fprintf(stderr, "bench-set: 1 to %d varbinds, at least one round\n", BENCH_VARBINDS);
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
    bench_run(session, (guint)varbinds, (guint)rounds);
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
    fprintf(stderr, "usage: bench-set null AGENTX | run HOST:PORT COMMUNITY VARBINDS ROUNDS\n");
    return 2;
}
