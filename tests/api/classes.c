/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The equivalence classes that were published with the design of the administration API, one case
 * for each class (docs/library.md, "Test classes"): level 5, filters 14, outputs 20, worker pool
 * 13. Connection A is active, B is closed, C is NULL; server J is of A, K of B, L is NULL.
 *
 * classes [--daemon=libvirtd|virtadmd] [--closed=disconnected|released] URI FILE
 *
 * FILE is one that the daemon may log to; it does already when the program begins, and when it
 * ends. The source fits libvirt's header and ours. After each case the daemon's whole state is read
 * back: unchanged after a refusal. One line is printed for each case; the status is 1 when one
 * was not as expected.
 *
 * B is a connection that the daemon has closed. With --closed=released it is one that was given
 * to virAdmConnectClose(): only our library may be asked that, since libvirt's looks into memory
 * that is no longer its own.
 */
#include <libvirt/libvirt-admin.h>
#include <libvirt/virterror.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Not in libvirt's library: NULL where the program was linked with that. */
extern int virAdmConnectGetLoggingLevel(virAdmConnectPtr conn, unsigned int flags)
    __attribute__((weak));
extern int virAdmConnectSetLoggingLevel(virAdmConnectPtr conn, unsigned int level,
                                        unsigned int flags) __attribute__((weak));

#define N_ELEMENTS(array) (sizeof(array) / sizeof(array)[0])
#define TEXT_SIZE         512
#define SERVER            "libvirtd"

typedef enum { LIBVIRTD, VIRTADMD, N_DAEMONS } Daemon;
typedef enum { A, B, C } Connection; /* or J, K, L */

/* What comes of a call: code 0 when it is accepted, else with what the error says somewhere. */
typedef struct {
    int code, domain;
    const char *text;
} Outcome;

typedef struct {
    const char *uri, *file;
    Daemon daemon;
    int released;
    virAdmConnectPtr conn[3];
    virAdmServerPtr server[3];
    Outcome closed, null; /* of B and C */
    int n_cases, n_left_out, n_failed;
} Bed;

static void
silent(void *user, virErrorPtr error)
{
    (void)user;
    (void)error;
}

__attribute__((noreturn)) static void
give_up(const char *what)
{
    fprintf(stderr, "classes: %s: %s\n", what, virGetLastErrorMessage());
    exit(1);
}

/* ---- what the daemon's state is ---- */

typedef struct {
    char level[16], filters[TEXT_SIZE], outputs[TEXT_SIZE], pool[64];
} State;

static void
read_level(const Bed *bed, char *text, size_t size)
{
    int level = -1;

    if (bed->daemon == VIRTADMD && virAdmConnectGetLoggingLevel) {
        level = virAdmConnectGetLoggingLevel(bed->conn[A], 0);
        if (level < 0)
            give_up("reading the level");
    }
    snprintf(text, size, "%d", level);
}

static void
read_pool(const Bed *bed, char *text, size_t size)
{
    virTypedParameterPtr params = NULL;
    unsigned int minimum = 0, maximum = 0, priority = 0;
    int n = 0;

    if (virAdmServerGetThreadPoolParameters(bed->server[A], &params, &n, 0) < 0 ||
        virTypedParamsGetUInt(params, n, VIR_THREADPOOL_WORKERS_MIN, &minimum) != 1 ||
        virTypedParamsGetUInt(params, n, VIR_THREADPOOL_WORKERS_MAX, &maximum) != 1 ||
        virTypedParamsGetUInt(params, n, VIR_THREADPOOL_WORKERS_PRIORITY, &priority) != 1)
        give_up("reading the worker pool");
    snprintf(text, size, "%u..%u+%u", minimum, maximum, priority);
    virTypedParamsFree(params, n);
}

static void
read_state(const Bed *bed, State *state)
{
    char *filters = NULL, *outputs = NULL;

    if (virAdmConnectGetLoggingFilters(bed->conn[A], &filters, 0) < 0 ||
        virAdmConnectGetLoggingOutputs(bed->conn[A], &outputs, 0) < 0)
        give_up("reading filters and outputs");
    snprintf(state->filters, sizeof state->filters, "%s", filters ? filters : "");
    snprintf(state->outputs, sizeof state->outputs, "%s", outputs ? outputs : "");
    free(filters);
    free(outputs);
    read_level(bed, state->level, sizeof state->level);
    read_pool(bed, state->pool, sizeof state->pool);
}

typedef struct {
    const char *name; /* NULL: there is none */
    int type;
    unsigned int value;
} Field;

/* Without a field the parameters are NULL. */
static int
set_fields(virAdmServerPtr server, const Field fields[2], int negative)
{
    virTypedParameterPtr params = NULL;
    int n = 0, space = 0, rc;

    for (int i = 0; i < 2 && fields[i].name; i++) {
        if ((fields[i].type == VIR_TYPED_PARAM_UINT
                 ? virTypedParamsAddUInt(&params, &n, &space, fields[i].name, fields[i].value)
                 : virTypedParamsAddULLong(&params, &n, &space, fields[i].name, fields[i].value)) <
            0)
            give_up("making parameters");
    }
    rc = virAdmServerSetThreadPoolParameters(server, params, negative ? -1 : params ? n : 1, 0);
    virTypedParamsFree(params, n);
    return rc;
}

static int
set_pool(virAdmServerPtr server, unsigned int minimum, unsigned int maximum)
{
    const Field fields[2] = {{VIR_THREADPOOL_WORKERS_MIN, VIR_TYPED_PARAM_UINT, minimum},
                             {VIR_THREADPOOL_WORKERS_MAX, VIR_TYPED_PARAM_UINT, maximum}};

    return set_fields(server, fields, 0);
}

/* Where every case begins: none of it is a daemon's default, and none is what a case sets. */
static void
set_base(const Bed *bed)
{
    char outputs[TEXT_SIZE];

    snprintf(outputs, sizeof outputs, "4:file:%s", bed->file);
    if (virAdmConnectSetLoggingFilters(bed->conn[A], "4:base", 0) < 0 ||
        virAdmConnectSetLoggingOutputs(bed->conn[A], outputs, 0) < 0 ||
        set_pool(bed->server[A], 3, 9) < 0)
        give_up("setting the state that cases begin with");
    if (bed->daemon == VIRTADMD && virAdmConnectSetLoggingLevel &&
        virAdmConnectSetLoggingLevel(bed->conn[A], 4, 0) < 0)
        give_up("setting the level");
}

/* ---- one case ---- */

static int
is_expected(const Outcome *expected, int rc, const virError *error)
{
    if (expected->code == 0)
        return rc >= 0;
    return rc == -1 && error && error->code == expected->code &&
           error->domain == expected->domain && error->message &&
           strstr(error->message, expected->text);
}

/* @expected_state: what is to be read back now */
static void
judge(Bed *bed, const char *name, const Outcome *expected, int rc, const State *expected_state)
{
    const virError *error = virGetLastError();
    char told[TEXT_SIZE] = "accepted";
    State state;
    int good = is_expected(expected, rc, error);

    if (rc < 0)
        snprintf(told, sizeof told, "refused, %d/%d %s", error ? error->code : 0,
                 error ? error->domain : 0, error ? error->message : "without an error");
    read_state(bed, &state);
    if (strcmp(state.level, expected_state->level) != 0 ||
        strcmp(state.filters, expected_state->filters) != 0 ||
        strcmp(state.outputs, expected_state->outputs) != 0 ||
        strcmp(state.pool, expected_state->pool) != 0) {
        good = 0;
        printf(
            "# level %s, filters [%s], outputs [%s], pool %s\n# expected level %s, filters [%s], "
            "outputs [%s], pool %s\n",
            state.level, state.filters, state.outputs, state.pool, expected_state->level,
            expected_state->filters, expected_state->outputs, expected_state->pool);
    }
    bed->n_cases++;
    bed->n_failed += !good;
    printf("%s %s: %s\n", good ? "ok    " : "FAILED", name, told);
}

static const Outcome *
outcome_of(const Bed *bed, Connection connection, const Outcome *active)
{
    return connection == A ? active : connection == B ? &bed->closed : &bed->null;
}

/* ---- level ---- */

typedef struct {
    const char *name;
    Connection connection;
    unsigned int level;
    Outcome outcome[N_DAEMONS];
} LevelCase;

/* libvirt's daemons have no such procedure: ours says so without a look at the level. */
#define NO_LEVEL                                                                                   \
    {                                                                                              \
        3, 62, "not supported"                                                                     \
    }
static const LevelCase level_cases[] = {
    {"A, valid", A, 2, {NO_LEVEL, {0, 0, ""}}},
    {"A, below 1", A, 0, {NO_LEVEL, {8, 62, "level"}}},
    {"A, above 4", A, 5, {NO_LEVEL, {8, 62, "level"}}},
    {"B, valid", B, 2, {{0}}},
    {"C, valid", C, 2, {{0}}},
};

static void
run_level(Bed *bed)
{
    for (size_t i = 0; i < N_ELEMENTS(level_cases); i++) {
        const LevelCase *c = &level_cases[i];
        const Outcome *expected = outcome_of(bed, c->connection, &c->outcome[bed->daemon]);
        char name[TEXT_SIZE];
        State state;
        int rc;

        snprintf(name, sizeof name, "level %zu: %s", i + 1, c->name);
        if (!virAdmConnectSetLoggingLevel) {
            bed->n_left_out++;
            printf("left out %s: this library has no level\n", name);
            continue;
        }
        set_base(bed);
        read_state(bed, &state);
        virResetLastError();
        rc = virAdmConnectSetLoggingLevel(bed->conn[c->connection], c->level, 0);
        if (expected->code == 0)
            snprintf(state.level, sizeof state.level, "%u", c->level);
        judge(bed, name, expected, rc, &state);
    }
}

/* ---- filters and outputs ---- */

typedef struct {
    const char *name;
    Connection connection;
    const char *text; /* %s is FILE */
    Outcome outcome;
    const char *result[N_DAEMONS]; /* read back when it was accepted; NULL: as libvirtd */
} TextCase;

#define ACCEPTED                                                                                   \
    {                                                                                              \
        0, 0, ""                                                                                   \
    }
#define INVALID(text)                                                                              \
    {                                                                                              \
        8, 0, text                                                                                 \
    }
#define ONE_FILTER "1:util"
#define N_FILTERS  "1:util 2:rpc 3:qemu"

static const TextCase filter_cases[] = {
    {"A, one filter, match not empty", A, ONE_FILTER, ACCEPTED, {"1:*util* ", NULL}},
    {"A, several, separated by spaces",
     A,
     N_FILTERS,
     ACCEPTED,
     {"1:*util* 2:*rpc* 3:*qemu* ", NULL}},
    {"A, empty string", A, "", ACCEPTED, {"", NULL}},
    {"A, NULL", A, NULL, ACCEPTED, {"", NULL}},
    {"A, begins with no number", A, "x:util", INVALID("Invalid priority 'x'"), {NULL}},
    {"A, level below 1", A, "0:util", INVALID("Invalid priority '0'"), {NULL}},
    {"A, level above 4", A, "5:util", INVALID("Invalid priority '5'"), {NULL}},
    {"A, no colon", A, "1util", INVALID("Malformed format for filter '1util'"), {NULL}},
    {"A, empty match", A, "1:", INVALID("Invalid match string ''"), {NULL}},
    /* The design has it invalid; for libvirt the comma belongs to the match, and what is behind a
     * second colon is not looked at. */
    {"A, separated by something else", A, "1:util,2:rpc", ACCEPTED, {"1:*util,2* ", NULL}},
    {"B, one filter", B, ONE_FILTER, {0}, {NULL}},
    {"B, several", B, N_FILTERS, {0}, {NULL}},
    {"C, one filter", C, ONE_FILTER, {0}, {NULL}},
    {"C, several", C, N_FILTERS, {0}, {NULL}},
};

#define ONE_OUTPUT "1:stderr"
#define N_OUTPUTS  "3:stderr 1:file:%s"
#define FORMAT     "does not meet the format requirements"

/* A daemon's default output has the level that it logs with by default, 3; virtadmd's lets all
 * through, since its level is a setting of its own that filters before the outputs do. */
static const TextCase output_cases[] = {
    {"A, empty string", A, "", ACCEPTED, {"3:stderr", "1:stderr"}},
    {"A, NULL", A, NULL, ACCEPTED, {"3:stderr", "1:stderr"}},
    {"A, begins with no number", A, "x:stderr", INVALID("Invalid log priority 'x'"), {NULL}},
    {"A, level below 1", A, "0:stderr", INVALID("Invalid log priority '0'"), {NULL}},
    {"A, level above 4", A, "5:stderr", INVALID("Invalid log priority '5'"), {NULL}},
    {"A, no colon", A, "3stderr", INVALID("Malformed format for log output '3stderr'"), {NULL}},
    {"A, stderr", A, "1:stderr", ACCEPTED, {"1:stderr", NULL}},
    {"A, journald", A, "1:journald", ACCEPTED, {"1:journald", NULL}},
    {"A, syslog", A, "1:syslog:classes", ACCEPTED, {"1:syslog:classes", NULL}},
    {"A, file, valid path", A, "1:file:%s", ACCEPTED, {"1:file:%s", NULL}},
    {"A, unknown destination",
     A,
     "1:nowhere",
     INVALID("Invalid log destination 'nowhere'"),
     {NULL}},
    {"A, data given to stderr", A, "1:stderr:data", INVALID(FORMAT), {NULL}},
    {"A, missing colon before the data",
     A,
     "1:syslogclasses",
     INVALID("Invalid log destination"),
     {NULL}},
    {"A, file, invalid path",
     A,
     "1:file:/nonexistent/log",
     {38, 0, "failed to open /nonexistent/log: "},
     {NULL}},
    {"A, several, separated by spaces", A, N_OUTPUTS, ACCEPTED, {N_OUTPUTS, NULL}},
    {"A, several, separated by something else",
     A,
     "3:stderr,1:syslog:classes",
     INVALID("Invalid log destination 'stderr,1'"),
     {NULL}},
    {"B, one output", B, ONE_OUTPUT, {0}, {NULL}},
    {"B, several", B, N_OUTPUTS, {0}, {NULL}},
    {"C, one output", C, ONE_OUTPUT, {0}, {NULL}},
    {"C, several", C, N_OUTPUTS, {0}, {NULL}},
};
/* Puts FILE where @format has its %s. */
static const char *
put_file(const Bed *bed, const char *format, char *text, size_t size)
{
    const char *place = format ? strstr(format, "%s") : NULL;

    if (!place)
        return format;
    snprintf(text, size, "%.*s%s%s", (int)(place - format), format, bed->file, place + 2);
    return text;
}

typedef int (*SetText)(virAdmConnectPtr conn, const char *text, unsigned int flags);

static void
run_text(Bed *bed, const char *group, const TextCase *cases, size_t n_cases, SetText set,
         size_t field)
{
    for (size_t i = 0; i < n_cases; i++) {
        const TextCase *c = &cases[i];
        const Outcome *expected = outcome_of(bed, c->connection, &c->outcome);
        const char *result = c->result[bed->daemon] ? c->result[bed->daemon] : c->result[LIBVIRTD];
        char name[TEXT_SIZE], text[TEXT_SIZE], made[TEXT_SIZE];
        State state;
        int rc;

        snprintf(name, sizeof name, "%s %zu: %s", group, i + 1, c->name);
        set_base(bed);
        read_state(bed, &state);
        virResetLastError();
        rc = set(bed->conn[c->connection], put_file(bed, c->text, text, sizeof text), 0);
        if (expected->code == 0)
            snprintf((char *)&state + field, TEXT_SIZE, "%s",
                     put_file(bed, result, made, sizeof made));
        judge(bed, name, expected, rc, &state);
    }
}

/* ---- worker pool ---- */

/* clang-format off */

typedef struct {
    const char *name;
    Connection server;
    Field fields[2];
    int negative; /* so is the number of parameters */
    Outcome outcome;
    const char *result; /* read back when it was accepted */
} PoolCase;

#define UINT        VIR_TYPED_PARAM_UINT
#define ULLONG      VIR_TYPED_PARAM_ULLONG
#define MIN(value)  {VIR_THREADPOOL_WORKERS_MIN, UINT, value}
#define MAX(value)  {VIR_THREADPOOL_WORKERS_MAX, UINT, value}
#define IS_NULL     "params in virAdmServerSetThreadPoolParameters must not be NULL"
#define IS_NEGATIVE "nparams in virAdmServerSetThreadPoolParameters must be zero or greater"

static const PoolCase pool_cases[] = {
    {"J, NULL, right number", A, {{0}}, 0, {8, 62, IS_NULL}, NULL},
    {"J, random name, right number", A, {{"random", UINT, 5}}, 0,
     {74, 0, "parameter 'random' not supported"}, NULL},
    {"J, valid, right number", A, {MAX(12)}, 0, ACCEPTED, "3..12+5"},
    {"J, valid, negative number", A, {MAX(12)}, 1, {8, 62, IS_NEGATIVE}, NULL},
    {"J, wrong type, right number", A, {{VIR_THREADPOOL_WORKERS_MAX, ULLONG, 12}}, 0,
     INVALID("for parameter 'maxWorkers', expected "), NULL},
    {"J, duplicates, right number", A, {MAX(12), MAX(12)}, 0,
     INVALID("parameter 'maxWorkers' occurs multiple times"), NULL},
    {"J, maximum not below minimum, right number", A, {MIN(4), MAX(11)}, 0, ACCEPTED, "4..11+5"},
    {"J, maximum not below minimum, negative number", A, {MIN(4), MAX(11)}, 1,
     {8, 62, IS_NEGATIVE}, NULL},
    {"J, maximum below minimum, right number", A, {MIN(11), MAX(4)}, 0,
     INVALID("minWorkers cannot be larger than maxWorkers"), NULL},
    {"K, valid, right number", B, {MAX(12)}, 0, {0}, NULL},
    {"K, maximum not below minimum, right number", B, {MIN(4), MAX(11)}, 0, {0}, NULL},
    {"L, valid, right number", C, {MAX(12)}, 0, {0}, NULL},
    {"L, maximum not below minimum, right number", C, {MIN(4), MAX(11)}, 0, {0}, NULL},
};
/* clang-format on */

static void
run_pool(Bed *bed)
{
    for (size_t i = 0; i < N_ELEMENTS(pool_cases); i++) {
        const PoolCase *c = &pool_cases[i];
        const Outcome *expected = outcome_of(bed, c->server, &c->outcome);
        char name[TEXT_SIZE];
        State state;
        int rc;

        snprintf(name, sizeof name, "pool %zu: %s", i + 1, c->name);
        set_base(bed);
        read_state(bed, &state);
        virResetLastError();
        rc = set_fields(bed->server[c->server], c->fields, c->negative);
        if (expected->code == 0)
            snprintf(state.pool, sizeof state.pool, "%s", c->result);
        judge(bed, name, expected, rc, &state);
    }
}

/* ---- connections ---- */

static int
is_ours(virAdmClientPtr client)
{
    virTypedParameterPtr params = NULL;
    int n = 0, pid = 0;

    if (virAdmClientGetInfo(client, &params, &n, 0) < 0)
        return 0;
    virTypedParamsGetInt(params, n, VIR_CLIENT_INFO_UNIX_PROCESS_ID, &pid);
    virTypedParamsFree(params, n);
    return pid == getpid();
}

/* Has the daemon disconnect all connections of this process but the first one, which is A. */
static void
disconnect_others(const Bed *bed)
{
    virAdmServerPtr admin = virAdmConnectLookupServer(bed->conn[A], "admin", 0);
    virAdmClientPtr *clients = NULL;
    int n = admin ? virAdmServerListClients(admin, &clients, 0) : -1, n_ours = 0;

    if (n < 0)
        give_up("looking for connections");
    /* They are listed as they came. */
    for (int i = 0; i < n; i++) {
        if (is_ours(clients[i]) && n_ours++ > 0 && virAdmClientClose(clients[i], 0) < 0)
            give_up("disconnecting");
        virAdmClientFree(clients[i]);
    }
    free(clients);
    virAdmServerFree(admin);
    if (n_ours != 2)
        give_up("there are not two connections of this process");
}

static void
open_connections(Bed *bed)
{
    unsigned long long version;

    for (int i = A; i <= B; i++) {
        bed->conn[i] = virAdmConnectOpen(bed->uri, 0);
        if (!bed->conn[i])
            give_up("connecting");
        bed->server[i] = virAdmConnectLookupServer(bed->conn[i], SERVER, 0);
        if (!bed->server[i])
            give_up("looking for server " SERVER);
    }
    bed->null = (Outcome){6, 62, "invalid connection pointer in virAdm"};
    if (bed->released) {
        virAdmServerFree(bed->server[B]);
        virAdmConnectClose(bed->conn[B]);
        bed->closed = bed->null;
        return;
    }
    disconnect_others(bed);
    /* libvirt's library finds out by the first call that fails. */
    while (virAdmConnectGetLibVersion(bed->conn[B], &version) == 0)
        usleep(1000);
    bed->closed = (Outcome){1, 7, "client socket is closed"};
}

/* What was there before comes back. */
static void
restore(const Bed *bed, const char *outputs)
{
    if (virAdmConnectSetLoggingFilters(bed->conn[A], NULL, 0) < 0 ||
        virAdmConnectSetLoggingOutputs(bed->conn[A], outputs, 0) < 0 ||
        set_pool(bed->server[A], 5, 20) < 0)
        give_up("restoring");
    virAdmServerFree(bed->server[A]);
    virAdmConnectClose(bed->conn[A]);
    if (!bed->released) {
        virAdmServerFree(bed->server[B]);
        virAdmConnectClose(bed->conn[B]);
    }
}

static int
parse(Bed *bed, int argc, char **argv)
{
    int i = 1;

    for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        if (strcmp(argv[i], "--daemon=virtadmd") == 0)
            bed->daemon = VIRTADMD;
        else if (strcmp(argv[i], "--closed=released") == 0)
            bed->released = 1;
        else if (strcmp(argv[i], "--daemon=libvirtd") != 0 &&
                 strcmp(argv[i], "--closed=disconnected") != 0)
            return -1;
    }
    if (argc - i != 2)
        return -1;
    bed->uri = argv[i];
    bed->file = argv[i + 1];
    return 0;
}

int
main(int argc, char **argv)
{
    Bed bed = {0};
    char *outputs = NULL;

    if (parse(&bed, argc, argv) < 0) {
        fprintf(stderr,
                "usage: %s [--daemon=libvirtd|virtadmd] [--closed=disconnected|released] "
                "URI FILE\n",
                argv[0]);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN); /* libvirt's library writes to B */
    if (virAdmInitialize() < 0)
        return 1;
    virSetErrorFunc(NULL, silent);
    open_connections(&bed);
    if (virAdmConnectGetLoggingOutputs(bed.conn[A], &outputs, 0) < 0)
        give_up("reading outputs");
    run_level(&bed);
    run_text(&bed, "filters", filter_cases, N_ELEMENTS(filter_cases),
             virAdmConnectSetLoggingFilters, offsetof(State, filters));
    run_text(&bed, "outputs", output_cases, N_ELEMENTS(output_cases),
             virAdmConnectSetLoggingOutputs, offsetof(State, outputs));
    run_pool(&bed);
    restore(&bed, outputs);
    free(outputs);
    printf("%d cases, %d failed, %d left out\n", bed.n_cases, bed.n_failed, bed.n_left_out);
    return bed.n_failed ? 1 : 0;
}
