/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a request costs inside the handler of the MIB, over the real source and the real servers,
 * with as many clients as one likes and without a master agent:
 *
 *   bench-handler MODE CLIENTS REQUESTS [VARBINDS]
 *
 * MODE: null (the yardstick: a handler that gives a constant), get, getnext (a random place of
 * the client table, each request with a view of its own), walk (the client table, as many varbinds
 * to a view as a GETBULK of 50 asks for), set (VARBINDS, 2 unless told, of both servers, in all
 * phases) or nullset (the same to a handler that does nothing).
 * Prints the processor time of one request in nanoseconds. Where instructions shall be counted,
 * only those within bench_measured() matter: callgrind --toggle-collect=bench_measured.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/handler.h"
#include "agent/source-local.h"
#include "daemon/client-private.h"
#include "daemon/daemon-private.h"
#include "daemon/server-private.h"
#include "mib/lva-mib.h"

#define BENCH_BULK     50
#define BENCH_VARBINDS 10

typedef struct {
    VadmDaemon *daemon;
    VadmServer *server;
    VadmHandler *handler;
    guint clients;
    guint varbinds; /* of a SET */
    guint32 dice;
    guint done;
    gboolean failed;
} Bench;

typedef void (*BenchRun)(Bench *bench, guint requests);

/* A request as net-snmp makes it of a PDU: the same work around each handler. */
typedef struct {
    netsnmp_variable_list varbinds[BENCH_VARBINDS];
    netsnmp_request_info requests[BENCH_VARBINDS];
    netsnmp_pdu pdu;
    netsnmp_agent_session asp;
    netsnmp_agent_request_info info;
    guint n;
} BenchRequest;

static const oid bench_root[] = {LVA_ROOT};

/* The program of the servers: these clients say nothing. */

static gboolean
bench_handles(VadmProgram *program, guint32 number, guint32 version)
{
    (void)program;
    (void)number;
    (void)version;
    return FALSE;
}

static void
bench_program_free(VadmProgram *program)
{
    g_free(program);
}

static const VadmProgramClass bench_program_class = {
    .name = "bench",
    .handles = bench_handles,
    .free = bench_program_free,
};

static VadmProgram *
bench_make_program(VadmServer *server, gpointer user)
{
    VadmProgram *program = g_new0(VadmProgram, 1);

    (void)server;
    (void)user;
    program->class = &bench_program_class;
    return program;
}

static void
bench_quit(gpointer user)
{
    (void)user;
}

static VadmIdentity *
bench_identity(guint32 pid)
{
    VadmIdentity *identity = vadm_identity_new();

    identity->local = identity->named = TRUE;
    identity->uid = identity->gid = 1000;
    identity->pid = pid;
    g_free(identity->user_name);
    g_free(identity->group_name);
    identity->user_name = g_strdup("operator");
    identity->group_name = g_strdup("operator");
    return identity;
}

/* They all share one stream, which nobody reads: a table of 100,000 clients wants no 100,000
 * descriptors. */
static void
bench_add_clients(Bench *bench, GIOStream *stream)
{
    for (guint32 i = 1; i <= bench->clients; i++) {
        VadmClientInit init = {
            .id = 3 * (guint64)i, /* others have gone in between */
            .index = 3 * i,
            .transport = VADM_TRANSPORT_UNIX,
            .authenticated = TRUE,
            .identity = bench_identity(i),
        };
        VadmClient *client = vadm_client_new(bench->server, stream, &init);

        vadm_mutex_lock(&bench->server->lock);
        g_tree_insert(bench->server->clients, GUINT_TO_POINTER(init.index), client);
        vadm_mutex_unlock(&bench->server->lock);
        vadm_daemon_client_came(bench->daemon);
    }
}

/* Requests */

static void
bench_name(netsnmp_variable_list *varbind, guint n, const oid *arcs)
{
    oid name[MAX_OID_LEN];

    memcpy(name, bench_root, sizeof(bench_root));
    memcpy(name + G_N_ELEMENTS(bench_root), arcs, n * sizeof(*arcs));
    snmp_set_var_objid(varbind, name, G_N_ELEMENTS(bench_root) + n);
}

static void
bench_request_init(BenchRequest *request, guint n, long transaction)
{
    /* no more than is used: it is measured, too */
    memset(request->varbinds, 0, n * sizeof(*request->varbinds));
    memset(request->requests, 0, n * sizeof(*request->requests));
    memset(&request->pdu, 0, sizeof(request->pdu));
    memset(&request->asp, 0, sizeof(request->asp));
    memset(&request->info, 0, sizeof(request->info));
    request->n = n;
    request->pdu.transid = transaction;
    request->asp.pdu = &request->pdu;
    request->info.asp = &request->asp;
    for (guint i = 0; i < n; i++) {
        request->varbinds[i].type = ASN_NULL;
        request->requests[i].requestvb = &request->varbinds[i];
        request->requests[i].index = (int)i + 1;
        request->requests[i].agent_req_info = &request->info;
        if (i > 0) {
            request->requests[i - 1].next = &request->requests[i];
            request->requests[i].prev = &request->requests[i - 1];
        }
    }
}

static void
bench_request_clear(BenchRequest *request)
{
    for (guint i = 0; i < request->n; i++)
        snmp_reset_var_buffers(&request->varbinds[i]);
}

static int
bench_null_handler(netsnmp_mib_handler *node, netsnmp_handler_registration *registration,
                   netsnmp_agent_request_info *info, netsnmp_request_info *requests)
{
    static const oid answer[] = {1, LVA_GROUP_lvaClientTable, 1, 1, 2, 1};
    long value = 1;

    (void)node;
    (void)registration;
    (void)info;
    bench_name(requests->requestvb, G_N_ELEMENTS(answer), answer);
    snmp_set_var_typed_value(requests->requestvb, ASN_INTEGER, &value, sizeof(value));
    return SNMP_ERR_NOERROR;
}

static guint32
bench_random(Bench *bench)
{
    bench->dice = bench->dice * 1664525u + 1013904223u;
    return bench->dice >> 8;
}

static void
bench_send(Bench *bench, Netsnmp_Node_Handler *access, BenchRequest *request, int mode)
{
    netsnmp_mib_handler node = {.myvoid = bench->handler};

    request->info.mode = request->asp.mode = mode;
    bench->failed |= access(&node, NULL, &request->info, request->requests) != SNMP_ERR_NOERROR;
    for (guint i = 0; i < request->n; i++)
        bench->failed |= request->requests[i].status != 0;
}

/* lvaClientRequests of a client somewhere in the middle. */
static void
bench_somewhere(Bench *bench, Netsnmp_Node_Handler *access, int mode, guint requests)
{
    for (guint i = 0; i < requests; i++) {
        oid name[] = {1, LVA_GROUP_lvaClientTable, 1, LVA_ARC_lvaClientRequests, 2, 0};
        BenchRequest request;

        name[5] = 3 * (1 + bench_random(bench) % MAX(bench->clients - 1, 1));
        bench_request_init(&request, 1, (long)++bench->done);
        bench_name(&request.varbinds[0], G_N_ELEMENTS(name), name);
        bench_send(bench, access, &request, mode);
        bench->failed |=
            request.varbinds[0].type == ASN_NULL || request.varbinds[0].type == SNMP_NOSUCHINSTANCE;
        bench_request_clear(&request);
    }
}

static void
bench_run_null(Bench *bench, guint requests)
{
    bench_somewhere(bench, bench_null_handler, MODE_GETNEXT, requests);
}

static void
bench_run_get(Bench *bench, guint requests)
{
    bench_somewhere(bench, vadm_handler_request, MODE_GET, requests);
}

static void
bench_run_getnext(Bench *bench, guint requests)
{
    bench_somewhere(bench, vadm_handler_request, MODE_GETNEXT, requests);
}

static gboolean
bench_in_client_table(const netsnmp_variable_list *varbind)
{
    const gsize at = G_N_ELEMENTS(bench_root);

    return varbind->type != ASN_NULL && varbind->name_length > at + 2 &&
           varbind->name[at + 1] == LVA_GROUP_lvaClientTable;
}

/* Begins anew at the end of the table. */
static void
bench_run_walk(Bench *bench, guint requests)
{
    static const oid table[] = {1, LVA_GROUP_lvaClientTable};
    oid name[MAX_OID_LEN];
    gsize length = 0;

    for (guint i = 0; i < requests; i++) {
        BenchRequest request;

        bench_request_init(&request, 1, (long)(1 + ++bench->done / BENCH_BULK));
        if (length == 0)
            bench_name(&request.varbinds[0], G_N_ELEMENTS(table), table);
        else
            snmp_set_var_objid(&request.varbinds[0], name, length);
        bench_send(bench, vadm_handler_request, &request, MODE_GETNEXT);
        bench->failed |= length == 0 && !bench_in_client_table(&request.varbinds[0]);
        length = 0;
        if (bench_in_client_table(&request.varbinds[0])) {
            length = request.varbinds[0].name_length;
            memcpy(name, request.varbinds[0].name, length * sizeof(*name));
        }
        bench_request_clear(&request);
    }
}

/* As bench-set.c has them; every SET changes all. */
static void
bench_add_value(BenchRequest *request, guint i, guint turn)
{
    static const struct {
        oid column;
        long base;
    } columns[] = {
        {LVA_ARC_lvaServerWorkersMax, 20},         {LVA_ARC_lvaServerClientsHighPercent, 50},
        {LVA_ARC_lvaServerClientRequestsMax, 5},   {LVA_ARC_lvaServerClientsMax, 200000},
        {LVA_ARC_lvaServerClientsUnauthMax, 1000},
    };
    const gsize n = G_N_ELEMENTS(columns);
    const oid name[] = {1, LVA_GROUP_lvaServerTable, 1, columns[i % n].column, i < n ? 2 : 1};
    long value = columns[i % n].base + (long)(turn % 2);

    bench_name(&request->varbinds[i], G_N_ELEMENTS(name), name);
    snmp_set_var_typed_value(&request->varbinds[i], ASN_UNSIGNED, &value, sizeof(value));
}

static void
bench_sets(Bench *bench, Netsnmp_Node_Handler *access, guint requests)
{
    static const int phases[] = {MODE_SET_RESERVE1, MODE_SET_RESERVE2, MODE_SET_ACTION,
                                 MODE_SET_COMMIT};

    for (guint i = 0; i < requests; i++) {
        BenchRequest request;

        bench_request_init(&request, bench->varbinds, (long)++bench->done);
        for (guint j = 0; j < bench->varbinds; j++)
            bench_add_value(&request, j, bench->done);
        for (guint j = 0; j < G_N_ELEMENTS(phases); j++)
            bench_send(bench, access, &request, phases[j]);
        bench_request_clear(&request);
    }
}

static void
bench_run_set(Bench *bench, guint requests)
{
    bench_sets(bench, vadm_handler_request, requests);
}

static int
bench_null_set_handler(netsnmp_mib_handler *node, netsnmp_handler_registration *registration,
                       netsnmp_agent_request_info *info, netsnmp_request_info *requests)
{
    (void)node;
    (void)registration;
    (void)info;
    (void)requests;
    return SNMP_ERR_NOERROR;
}

static void
bench_run_null_set(Bench *bench, guint requests)
{
    bench_sets(bench, bench_null_set_handler, requests);
}

/* For callgrind to find by its name. */
void bench_measured(Bench *bench, BenchRun run, guint requests);

__attribute__((noinline)) void
bench_measured(Bench *bench, BenchRun run, guint requests)
{
    run(bench, requests);
}

static BenchRun
bench_find_mode(const char *name)
{
    static const struct {
        const char *name;
        BenchRun run;
    } modes[] = {{"null", bench_run_null}, {"get", bench_run_get}, {"getnext", bench_run_getnext},
                 {"walk", bench_run_walk}, {"set", bench_run_set}, {"nullset", bench_run_null_set}};

    for (gsize i = 0; i < G_N_ELEMENTS(modes); i++) {
        if (strcmp(modes[i].name, name) == 0)
            return modes[i].run;
    }
    return NULL;
}

static double
bench_cpu_time(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void
bench_on_stopped(gboolean clean, gpointer user)
{
    gboolean *stopped = user;

    (void)clean;
    *stopped = TRUE;
}

static gboolean
bench_run(Bench *bench, BenchRun run, guint requests)
{
    VadmSource *source = vadm_source_local_new(bench->daemon);
    VadmSettings *settings = vadm_settings_new("bench", 0, 5);
    double begun;

    bench->handler = vadm_handler_new(source, settings, NULL, TRUE);
    run(bench, MIN(requests, BENCH_BULK)); /* what is made on first use is made */
    begun = bench_cpu_time();
    bench_measured(bench, run, requests);
    printf("%.1f\n", (bench_cpu_time() - begun) / requests);
    vadm_handler_free(bench->handler);
    vadm_settings_free(settings);
    vadm_source_local_free(source);
    return !bench->failed;
}

int
main(int argc, char **argv)
{
    VadmDaemonHooks hooks = {.make_program = bench_make_program, .quit = bench_quit};
    VadmConfig *config = vadm_config_new();
    VadmLog *log = vadm_log_new("bench-handler", "0");
    Bench bench = {.dice = 1};
    g_autoptr(GError) error = NULL;
    g_autoptr(GSocket) socket = NULL;
    g_autoptr(GIOStream) stream = NULL;
    BenchRun run = argc == 4 || argc == 5 ? bench_find_mode(argv[1]) : NULL;
    gboolean stopped = FALSE, good;

    bench.varbinds = argc == 5 ? (guint)atoi(argv[4]) : 2;
    if (!run || atoi(argv[2]) < 1 || atoi(argv[3]) < 1 || bench.varbinds < 1 ||
        bench.varbinds > BENCH_VARBINDS) {
        fprintf(stderr, "usage: bench-handler null|get|getnext|walk|set|nullset CLIENTS REQUESTS "
                        "[VARBINDS]\n");
        return 2;
    }
    snmp_disable_log();
    bench.clients = (guint)atoi(argv[2]);
    bench.daemon = vadm_daemon_new(config, log, NULL, &hooks, &error);
    socket = g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, 0, &error);
    if (!bench.daemon || !socket) {
        fprintf(stderr, "bench-handler: %s\n", error->message);
        return EXIT_FAILURE;
    }
    stream = G_IO_STREAM(g_socket_connection_factory_create_connection(socket));
    bench.server = vadm_daemon_find_server(bench.daemon, "libvirtd");
    bench_add_clients(&bench, stream);
    good = bench_run(&bench, run, (guint)atoi(argv[3]));
    if (!good)
        fprintf(stderr, "bench-handler: a request failed\n");
    vadm_daemon_shutdown(bench.daemon, bench_on_stopped, &stopped);
    while (!stopped)
        g_main_context_iteration(NULL, TRUE);
    vadm_daemon_free(bench.daemon);
    vadm_config_unref(config);
    vadm_log_free(log, G_USEC_PER_SEC);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
