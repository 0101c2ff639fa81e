/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A SET of WorkersMin and WorkersMax next to a GET of the same, by turns, through a master agent:
 *
 *   bench-set HOST:PORT COMMUNITY SERVER ROUNDS
 *
 * Prints the medians in microseconds of three round trips: a GET of the master's own sysUpTime, a
 * GET of the two objects, a SET of them, and the ratio of the last two.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/netsnmp.h"
#include "mib/lva-mib.h"

#include <glib.h>

enum { MASTER, GET, SET, KINDS };

static netsnmp_pdu *
bench_make(int kind, oid server, guint turn)
{
    static const oid up_time[] = {1, 3, 6, 1, 2, 1, 1, 3, 0};
    oid name[] = {LVA_ROOT, 1, LVA_GROUP_lvaServerTable, 1, LVA_ARC_lvaServerWorkersMin, server};
    long values[] = {5, 20 + (long)(turn % 2)};
    netsnmp_pdu *pdu = snmp_pdu_create(kind == SET ? SNMP_MSG_SET : SNMP_MSG_GET);

    if (kind == MASTER) {
        snmp_add_null_var(pdu, up_time, G_N_ELEMENTS(up_time));
        return pdu;
    }
    for (guint i = 0; i < G_N_ELEMENTS(values); i++) {
        name[G_N_ELEMENTS(name) - 2] = LVA_ARC_lvaServerWorkersMin + i;
        if (kind == SET)
            snmp_pdu_add_variable(pdu, name, G_N_ELEMENTS(name), ASN_UNSIGNED, &values[i],
                                  sizeof(values[i]));
        else
            snmp_add_null_var(pdu, name, G_N_ELEMENTS(name));
    }
    return pdu;
}

/* In microseconds; ends the program when the request fails. */
static double
bench_request(void *session, int kind, oid server, guint turn)
{
    netsnmp_pdu *pdu = bench_make(kind, server, turn);
    netsnmp_pdu *answer = NULL;
    gint64 begun = g_get_monotonic_time();
    int status = snmp_sess_synch_response(session, pdu, &answer);
    gint64 ended = g_get_monotonic_time();

    if (status != STAT_SUCCESS || !answer || answer->errstat != SNMP_ERR_NOERROR) {
        fprintf(stderr, "bench-set: a request failed: %s\n",
                answer ? snmp_errstring((int)answer->errstat) : "no answer");
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
bench_run(void *session, oid server, guint rounds)
{
    static const char *const names[] = {"master_get_us", "get_us", "set_us"};
    double *times[KINDS], medians[KINDS];

    for (int kind = 0; kind < KINDS; kind++)
        times[kind] = g_new(double, rounds);
    for (guint round = 0; round < rounds; round++) {
        for (int kind = 0; kind < KINDS; kind++)
            times[kind][round] = bench_request(session, kind, server, round);
    }
    for (int kind = 0; kind < KINDS; kind++) {
        qsort(times[kind], rounds, sizeof(**times), bench_compare);
        medians[kind] = times[kind][rounds / 2];
        printf("%s %.1f\n", names[kind], medians[kind]);
        g_free(times[kind]);
    }
    printf("set_by_get %.3f\n", medians[SET] / medians[GET]);
}

int
main(int argc, char **argv)
{
    netsnmp_session config;
    void *session;
    int rounds = argc == 5 ? atoi(argv[4]) : 0;

    if (rounds < 1) {
        fprintf(stderr, "usage: bench-set HOST:PORT COMMUNITY SERVER ROUNDS\n");
        return 2;
    }
    netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DONT_READ_CONFIGS, 1);
    netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DONT_PERSIST_STATE, 1);
    init_snmp("bench-set");
    snmp_sess_init(&config);
    config.version = SNMP_VERSION_2c;
    config.peername = argv[1];
    config.community = (u_char *)argv[2];
    config.community_len = strlen(argv[2]);
    session = snmp_sess_open(&config);
    if (!session) {
        snmp_sess_perror("bench-set", &config);
        return EXIT_FAILURE;
    }
    bench_run(session, (oid)strtoul(argv[3], NULL, 10), (guint)rounds);
    snmp_sess_close(session);
    snmp_shutdown("bench-set");
    return EXIT_SUCCESS;
}
