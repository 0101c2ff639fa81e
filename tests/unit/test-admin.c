/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The admin program over real sockets: what each procedure answers, and what it does. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin-fixture.h"
#include "admin/admin-program.h"
#include "unit.h"

/* A call with arguments of the named type. */
#define CALL(fd, procedure, type, ...)                                                             \
    admin_call(fd, procedure, (xdrproc_t)xdr_##type, &(type){__VA_ARGS__})
#define GET(fd, procedure, args_type, ret_type, ret, ...)                                          \
    admin_assert_ret(CALL(fd, procedure, args_type, __VA_ARGS__), (xdrproc_t)xdr_##ret_type, ret)
#define FREE(type, ret) xdr_free((xdrproc_t)xdr_##type, ret)

#define LIBVIRTD                                                                                   \
    {                                                                                              \
        (char *)"libvirtd"                                                                         \
    }

static AdminFixture *fixture;
static int conn;

static void
setup(void)
{
    fixture = admin_fixture_new();
    conn = admin_connect(fixture);
}

static void
teardown(void)
{
    close(conn);
    admin_fixture_free(fixture);
}

/* Setters: parameters of every type by one macro each. */
#define UINT(name, value)                                                                          \
    {                                                                                              \
        (char *)(name),                                                                            \
        {                                                                                          \
            VADM_TYPED_PARAM_UINT,                                                                 \
            {                                                                                      \
                .ui = (value)                                                                      \
            }                                                                                      \
        }                                                                                          \
    }

static VadmMessage *
set_pool(const char *server, vadm_typed_param *params, u_int count, u_int flags)
{
    return CALL(conn, VADM_ADMIN_PROC_SERVER_SET_THREADPOOL_PARAMETERS,
                vadm_admin_server_set_threadpool_parameters_args, {(char *)server}, {count, params},
                flags);
}

static VadmMessage *
set_limits(const char *server, vadm_typed_param *params, u_int count, u_int flags)
{
    return CALL(conn, VADM_ADMIN_PROC_SERVER_SET_CLIENT_LIMITS,
                vadm_admin_server_set_client_limits_args, {(char *)server}, {count, params}, flags);
}

static guint32
pool_value(const char *server, const char *name)
{
    vadm_admin_server_get_threadpool_parameters_ret ret = {0};
    guint32 value = G_MAXUINT32;

    GET(conn, VADM_ADMIN_PROC_SERVER_GET_THREADPOOL_PARAMETERS,
        vadm_admin_server_get_threadpool_parameters_args,
        vadm_admin_server_get_threadpool_parameters_ret, &ret, {(char *)server}, 0);
    for (u_int i = 0; i < ret.params.params_len; i++) {
        if (strcmp(ret.params.params_val[i].field, name) == 0)
            value = ret.params.params_val[i].value.vadm_typed_param_value_u.ui;
    }
    FREE(vadm_admin_server_get_threadpool_parameters_ret, &ret);
    return value;
}

static guint32
limit_value(const char *server, const char *name)
{
    vadm_admin_server_get_client_limits_ret ret = {0};
    guint32 value = G_MAXUINT32;

    GET(conn, VADM_ADMIN_PROC_SERVER_GET_CLIENT_LIMITS, vadm_admin_server_get_client_limits_args,
        vadm_admin_server_get_client_limits_ret, &ret, {(char *)server}, 0);
    for (u_int i = 0; i < ret.params.params_len; i++) {
        if (strcmp(ret.params.params_val[i].field, name) == 0)
            value = ret.params.params_val[i].value.vadm_typed_param_value_u.ui;
    }
    FREE(vadm_admin_server_get_client_limits_ret, &ret);
    return value;
}

/* Each returned parameter as "name/type", joined by blanks. (transfer full) */
static char *
describe(const vadm_typed_param *params, u_int count)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (u_int i = 0; i < count; i++)
        g_string_append_printf(text, "%s%s/%d", i ? " " : "", params[i].field,
                               params[i].value.type);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

START_TEST(test_connection)
{
    vadm_admin_connect_get_lib_version_ret version = {0};
    int quiet = admin_connect(fixture);

    admin_assert_ok(CALL(conn, VADM_ADMIN_PROC_CONNECT_OPEN, vadm_admin_connect_open_args, 0));
    admin_assert_ret(admin_call(conn, VADM_ADMIN_PROC_CONNECT_GET_LIB_VERSION, NULL, NULL),
                     (xdrproc_t)xdr_vadm_admin_connect_get_lib_version_ret, &version);
    ck_assert_uint_eq(version.lib_version, 11002000);
    admin_assert_ok(admin_call(conn, VADM_ADMIN_PROC_CONNECT_CLOSE, NULL, NULL));
    ck_assert(admin_at_end(conn));
    /* Only the caller's own connection ends. */
    admin_assert_ok(CALL(quiet, VADM_ADMIN_PROC_CONNECT_OPEN, vadm_admin_connect_open_args, 0));
    close(quiet);
}
END_TEST

START_TEST(test_servers)
{
    vadm_admin_connect_list_servers_ret list = {0};
    vadm_admin_connect_lookup_server_ret found = {0};

    GET(conn, VADM_ADMIN_PROC_CONNECT_LIST_SERVERS, vadm_admin_connect_list_servers_args,
        vadm_admin_connect_list_servers_ret, &list, 1, 0);
    ck_assert_uint_eq(list.ret, 2);
    ck_assert_uint_eq(list.servers.servers_len, 2);
    ck_assert_str_eq(list.servers.servers_val[0].name, "admin");
    ck_assert_str_eq(list.servers.servers_val[1].name, "libvirtd");
    FREE(vadm_admin_connect_list_servers_ret, &list);
    GET(conn, VADM_ADMIN_PROC_CONNECT_LIST_SERVERS, vadm_admin_connect_list_servers_args,
        vadm_admin_connect_list_servers_ret, &list, 0, 0);
    ck_assert_uint_eq(list.ret, 2);
    ck_assert_uint_eq(list.servers.servers_len, 0);
    FREE(vadm_admin_connect_list_servers_ret, &list);
    /* Any flags are accepted here. */
    GET(conn, VADM_ADMIN_PROC_CONNECT_LOOKUP_SERVER, vadm_admin_connect_lookup_server_args,
        vadm_admin_connect_lookup_server_ret, &found, (char *)"libvirtd", 5);
    ck_assert_str_eq(found.srv.name, "libvirtd");
    FREE(vadm_admin_connect_lookup_server_ret, &found);
}
END_TEST

START_TEST(test_getters)
{
    vadm_admin_server_get_threadpool_parameters_ret pool = {0};
    vadm_admin_server_get_client_limits_ret limits = {0};
    g_autofree char *pool_text = NULL, *limits_text = NULL;

    GET(conn, VADM_ADMIN_PROC_SERVER_GET_THREADPOOL_PARAMETERS,
        vadm_admin_server_get_threadpool_parameters_args,
        vadm_admin_server_get_threadpool_parameters_ret, &pool, LIBVIRTD, 0);
    pool_text = describe(pool.params.params_val, pool.params.params_len);
    ck_assert_str_eq(pool_text, "minWorkers/2 maxWorkers/2 nWorkers/2 freeWorkers/2 prioWorkers/2 "
                                "jobQueueDepth/2");
    FREE(vadm_admin_server_get_threadpool_parameters_ret, &pool);
    GET(conn, VADM_ADMIN_PROC_SERVER_GET_CLIENT_LIMITS, vadm_admin_server_get_client_limits_args,
        vadm_admin_server_get_client_limits_ret, &limits, LIBVIRTD, 0);
    limits_text = describe(limits.params.params_val, limits.params.params_len);
    ck_assert_str_eq(limits_text,
                     "nclients_max/2 nclients/2 nclients_unauth_max/2 nclients_unauth/2");
    FREE(vadm_admin_server_get_client_limits_ret, &limits);
    ck_assert_uint_eq(pool_value("libvirtd", "minWorkers"), 5);
    ck_assert_uint_eq(pool_value("libvirtd", "maxWorkers"), 20);
    ck_assert_uint_eq(pool_value("libvirtd", "nWorkers"), 5);
    ck_assert_uint_eq(pool_value("libvirtd", "prioWorkers"), 5);
    ck_assert_uint_eq(pool_value("libvirtd", "jobQueueDepth"), 0);
    /* The worker that answers is not free. */
    ck_assert_uint_eq(pool_value("admin", "nWorkers") - pool_value("admin", "freeWorkers"), 1);
    ck_assert_uint_eq(limit_value("libvirtd", "nclients_max"), 5000);
    ck_assert_uint_eq(limit_value("libvirtd", "nclients"), 0);
    ck_assert_uint_eq(limit_value("libvirtd", "nclients_unauth_max"), 20);
    ck_assert_uint_eq(limit_value("admin", "nclients"), 1);
}
END_TEST

START_TEST(test_set_pool)
{
    vadm_typed_param both[] = {UINT("maxWorkers", 40), UINT("minWorkers", 30),
                               UINT("prioWorkers", 2)};
    vadm_typed_param down[] = {UINT("minWorkers", 1), UINT("maxWorkers", 1),
                               UINT("prioWorkers", 0)};

    admin_assert_ok(set_pool("libvirtd", both, 3, 0));
    ck_assert_uint_eq(pool_value("libvirtd", "minWorkers"), 30);
    ck_assert_uint_eq(pool_value("libvirtd", "maxWorkers"), 40);
    ck_assert_uint_eq(pool_value("libvirtd", "prioWorkers"), 2);
    ck_assert_uint_ge(pool_value("libvirtd", "nWorkers"), 30);
    /* The other server has a pool of its own. */
    ck_assert_uint_eq(pool_value("admin", "maxWorkers"), 5);
    admin_assert_ok(set_pool("libvirtd", down, 3, 0));
    ck_assert_uint_eq(pool_value("libvirtd", "maxWorkers"), 1);
    ck_assert_uint_eq(pool_value("libvirtd", "prioWorkers"), 0);
    admin_assert_ok(set_pool("libvirtd", NULL, 0, 0));
    ck_assert_uint_eq(pool_value("libvirtd", "maxWorkers"), 1);
    /* The pool that serves this very call. */
    admin_assert_ok(set_pool("admin", down, 3, 0));
    ck_assert_uint_eq(pool_value("admin", "maxWorkers"), 1);
}
END_TEST

START_TEST(test_set_limits)
{
    vadm_typed_param both[] = {UINT("nclients_max", 10), UINT("nclients_unauth_max", 10)};
    vadm_typed_param none[] = {UINT("nclients_unauth_max", 0), UINT("nclients_max", 0)};

    admin_assert_ok(set_limits("libvirtd", both, 2, 0));
    ck_assert_uint_eq(limit_value("libvirtd", "nclients_max"), 10);
    ck_assert_uint_eq(limit_value("libvirtd", "nclients_unauth_max"), 10);
    admin_assert_ok(set_limits("libvirtd", none, 2, 0));
    ck_assert_uint_eq(limit_value("libvirtd", "nclients_max"), 0);
    ck_assert_uint_eq(limit_value("admin", "nclients_max"), 50);
    admin_assert_ok(set_limits("libvirtd", NULL, 0, 0));
}
END_TEST

typedef struct {
    const char *pool, *limits; /* NULL: that setter has no such case */
    int number, domain_pool, domain_limits;
    const char *text;
    u_int n_params;
    vadm_typed_param params[2];
} SetFault;

#define LONG_NAME    "mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm"
#define MIN_OVER_MAX "invalid argument: minWorkers cannot be larger than maxWorkers"
#define NO_SWITCH                                                                                  \
    "invalid argument: maxWorkers must not be switched from zero to non-zero and vice versa"
#define TYPED(name, code)                                                                          \
    {                                                                                              \
        (char *)(name),                                                                            \
        {                                                                                          \
            code,                                                                                  \
            {                                                                                      \
            }                                                                                      \
        }                                                                                          \
    }

/* The rows of docs/protocol.md, "Errors", for parameter lists. */
static const SetFault pool_faults[] = {
    {.number = 74,
     .text = "argument unsupported: parameter 'foo' not supported",
     .n_params = 1,
     .params = {UINT("foo", 1)}},
    {.number = 74,
     .text = "argument unsupported: parameter 'nWorkers' not supported",
     .n_params = 1,
     .params = {UINT("nWorkers", 1)}},
    {.number = 74,
     .text = "argument unsupported: parameter '' not supported",
     .n_params = 1,
     .params = {UINT("", 1)}},
    {.number = 74,
     .text = "argument unsupported: parameter 'MAXWORKERS' not supported",
     .n_params = 1,
     .params = {UINT("MAXWORKERS", 1)}},
    {.number = 8,
     .text = "invalid argument: invalid type 'int' for parameter 'maxWorkers', expected 'uint'",
     .n_params = 1,
     .params = {TYPED("maxWorkers", VADM_TYPED_PARAM_INT)}},
    {.number = 8,
     .text = "invalid argument: invalid type 'llong' for parameter 'maxWorkers', expected 'uint'",
     .n_params = 1,
     .params = {TYPED("maxWorkers", VADM_TYPED_PARAM_LLONG)}},
    {.number = 8,
     .text = "invalid argument: invalid type 'ullong' for parameter 'maxWorkers', expected 'uint'",
     .n_params = 1,
     .params = {TYPED("maxWorkers", VADM_TYPED_PARAM_ULLONG)}},
    {.number = 8,
     .text = "invalid argument: invalid type 'double' for parameter 'maxWorkers', expected 'uint'",
     .n_params = 1,
     .params = {TYPED("maxWorkers", VADM_TYPED_PARAM_DOUBLE)}},
    {.number = 8,
     .text = "invalid argument: invalid type 'boolean' for parameter 'maxWorkers', expected "
             "'uint'",
     .n_params = 1,
     .params = {TYPED("maxWorkers", VADM_TYPED_PARAM_BOOLEAN)}},
    {.number = 8,
     .text = "invalid argument: invalid type 'string' for parameter 'maxWorkers', expected 'uint'",
     .n_params = 1,
     .params = {{(char *)"maxWorkers", {VADM_TYPED_PARAM_STRING, {.s = (char *)"3"}}}}},
    {.number = 8,
     .text = "invalid argument: parameter 'maxWorkers' occurs multiple times",
     .n_params = 2,
     .params = {UINT("maxWorkers", 30), UINT("maxWorkers", 30)}},
    /* Of two faults libvirt tells the first by name; of one name, the first in the list. */
    {.number = 74,
     .text = "argument unsupported: parameter 'aaa' not supported",
     .n_params = 2,
     .params = {TYPED("minWorkers", VADM_TYPED_PARAM_INT), UINT("aaa", 1)}},
    {.number = 8,
     .text = "invalid argument: invalid type 'int' for parameter 'minWorkers', expected 'uint'",
     .n_params = 2,
     .params = {UINT("zzz", 1), TYPED("minWorkers", VADM_TYPED_PARAM_INT)}},
    {.number = 8,
     .text = "invalid argument: invalid type 'int' for parameter 'minWorkers', expected 'uint'",
     .n_params = 2,
     .params = {TYPED("minWorkers", VADM_TYPED_PARAM_INT), UINT("minWorkers", 1)}},
    {.number = 8,
     .text = "invalid argument: parameter 'minWorkers' occurs multiple times",
     .n_params = 2,
     .params = {UINT("minWorkers", 1), TYPED("minWorkers", VADM_TYPED_PARAM_INT)}},
    {.number = 1,
     .text = "internal error: parameter " LONG_NAME " too big for destination",
     .n_params = 2,
     .params = {UINT("foo", 1), UINT(LONG_NAME, 1)}},
    {.number = 8, .text = MIN_OVER_MAX, .n_params = 1, .params = {UINT("minWorkers", 21)}},
    {.number = 8, .text = MIN_OVER_MAX, .n_params = 1, .params = {UINT("maxWorkers", 4)}},
    {.number = 8, .text = MIN_OVER_MAX, .n_params = 1, .params = {UINT("maxWorkers", 0)}},
    {.number = 8,
     .text = MIN_OVER_MAX,
     .n_params = 2,
     .params = {UINT("minWorkers", 50), UINT("maxWorkers", 40)}},
    {.number = 8,
     .text = NO_SWITCH,
     .n_params = 2,
     .params = {UINT("minWorkers", 0), UINT("maxWorkers", 0)}},
};

START_TEST(test_set_pool_faults)
{
    SetFault fault = pool_faults[_i];

    admin_assert_error(set_pool("libvirtd", fault.params, fault.n_params, 0), fault.number, 0,
                       fault.text);
    ck_assert_uint_eq(pool_value("libvirtd", "minWorkers"), 5);
    ck_assert_uint_eq(pool_value("libvirtd", "maxWorkers"), 20);
}
END_TEST

/* What stock daemons take and we do not: the text names field, value and range. */
START_TEST(test_bounds)
{
    vadm_typed_param workers[] = {UINT("maxWorkers", G_MAXUINT32)};
    vadm_typed_param priority[] = {UINT("prioWorkers", 1001)};
    vadm_typed_param clients[] = {UINT("nclients_max", 1000001)};
    VadmMessage *replies[] = {set_pool("libvirtd", workers, 1, 0),
                              set_pool("libvirtd", priority, 1, 0),
                              set_limits("libvirtd", clients, 1, 0)};
    const char *values[] = {"4294967295", "1001", "1000001"};
    const char *bounds[] = {"1000", "1000", "1000000"};

    for (guint i = 0; i < G_N_ELEMENTS(replies); i++) {
        int number;
        g_autofree char *text = vadm_message_get_error(replies[i], &number, NULL);

        ck_assert_int_eq(number, VADM_VIR_ERR_INVALID_ARG);
        ck_assert_msg(strstr(text, values[i]) && strstr(text, bounds[i]), "%s", text);
        vadm_message_free(replies[i]);
    }
    ck_assert_uint_eq(pool_value("libvirtd", "maxWorkers"), 20);
    ck_assert_uint_eq(limit_value("libvirtd", "nclients_max"), 5000);
}
END_TEST

START_TEST(test_set_limits_faults)
{
    vadm_typed_param readonly[] = {UINT("nclients", 1)};
    vadm_typed_param pool[] = {UINT("maxWorkers", 1)};
    vadm_typed_param type[] = {TYPED("nclients_max", VADM_TYPED_PARAM_ULLONG)};
    vadm_typed_param twice[] = {UINT("nclients_max", 50), UINT("nclients_max", 50)};
    vadm_typed_param less[] = {UINT("nclients_max", 19)};
    VadmMessage *reply;
    int number, domain;

    admin_assert_error(set_limits("libvirtd", readonly, 1, 0), 74, 0,
                       "argument unsupported: parameter 'nclients' not supported");
    admin_assert_error(set_limits("libvirtd", pool, 1, 0), 74, 0,
                       "argument unsupported: parameter 'maxWorkers' not supported");
    admin_assert_error(set_limits("libvirtd", type, 1, 0), 8, 0,
                       "invalid argument: invalid type 'ullong' for parameter 'nclients_max', "
                       "expected 'uint'");
    admin_assert_error(set_limits("libvirtd", twice, 2, 0), 8, 0,
                       "invalid argument: parameter 'nclients_max' occurs multiple times");
    reply = set_limits("libvirtd", less, 1, 0);
    g_free(vadm_message_get_error(reply, &number, &domain));
    ck_assert_int_eq(number, VADM_VIR_ERR_INVALID_ARG);
    ck_assert_int_eq(domain, VADM_VIR_FROM_RPC);
    vadm_message_free(reply);
    ck_assert_uint_eq(limit_value("libvirtd", "nclients_max"), 5000);
}
END_TEST

/* Server, then names of parameters, then flags, then parameters. */
START_TEST(test_set_order)
{
    vadm_typed_param longest[] = {UINT(LONG_NAME, 1)};
    vadm_typed_param unknown[] = {UINT("foo", 1)};
    const char *no_server = "Server not found: no server with matching name 'nosuch' found";
    const char *too_big = "internal error: parameter " LONG_NAME " too big for destination";

    admin_assert_error(set_pool("nosuch", longest, 1, 1), 95, 62, no_server);
    admin_assert_error(set_pool("libvirtd", longest, 1, 1), 1, 0, too_big);
    admin_assert_error(set_pool("libvirtd", unknown, 1, 2), 8, 62,
                       "unsupported flags (0x2) in function adminServerSetThreadPoolParameters");
    admin_assert_error(set_limits("nosuch", longest, 1, 1), 95, 62, no_server);
    admin_assert_error(set_limits("libvirtd", longest, 1, 1), 1, 0, too_big);
    admin_assert_error(set_limits("libvirtd", unknown, 1, 1), 8, 62,
                       "unsupported flags (0x1) in function adminServerSetClientLimits");
}
END_TEST

/* Somebody else holds the writer token: a setter gives up after a second. */
START_TEST(test_busy)
{
    vadm_typed_param params[] = {UINT("maxWorkers", 30)};
    VadmChange change = {.field = VADM_FIELD_LOG_LEVEL,
                         .value = {.kind = VADM_VALUE_UINT, .number = 4}};
    VadmFault fault = {0, NULL};
    VadmDaemonTxn *txn =
        vadm_txn_prepare(fixture->daemon, &change, 1, VADM_ORIGIN_RELOAD, 0, &fault);
    VadmMessage *reply;
    g_autofree char *text = NULL;
    int number;

    ck_assert_msg(txn != NULL, "%s", fault.error ? fault.error->message : "");
    reply = set_pool("libvirtd", params, 1, 0);
    text = vadm_message_get_error(reply, &number, NULL);
    ck_assert_int_eq(number, VADM_VIR_ERR_RESOURCE_BUSY);
    ck_assert(g_str_has_prefix(text, "resource busy: "));
    vadm_message_free(reply);
    ck_assert_uint_eq(pool_value("libvirtd", "maxWorkers"), 20);
    vadm_txn_abort(txn);
    admin_assert_ok(set_pool("libvirtd", params, 1, 0));
    ck_assert_uint_eq(pool_value("libvirtd", "maxWorkers"), 30);
}
END_TEST

/* The two ways in which libvirt names what is not there. */
START_TEST(test_absent)
{
    const char *rpc = "Server not found: No server named 'nosuch'";
    const char *admin = "Server not found: no server with matching name 'nosuch' found";

    admin_assert_error(CALL(conn, VADM_ADMIN_PROC_CONNECT_LOOKUP_SERVER,
                            vadm_admin_connect_lookup_server_args, (char *)"nosuch", 1),
                       95, 7, rpc);
    admin_assert_error(CALL(conn, VADM_ADMIN_PROC_CONNECT_LOOKUP_SERVER,
                            vadm_admin_connect_lookup_server_args, (char *)"", 0),
                       95, 7, "Server not found: No server named ''");
    /* The flags are wrong, too: the server is looked for first. */
    for (gint32 procedure = 6; procedure <= 18; procedure += 6)
        admin_assert_error(
            CALL(conn, procedure, vadm_admin_server_get_client_limits_args, {(char *)"nosuch"}, 1),
            95, 7, rpc);
    admin_assert_error(CALL(conn, VADM_ADMIN_PROC_SERVER_LIST_CLIENTS,
                            vadm_admin_server_list_clients_args, {(char *)"nosuch"}, 1, 1),
                       95, 7, rpc);
    admin_assert_error(CALL(conn, VADM_ADMIN_PROC_SERVER_LOOKUP_CLIENT,
                            vadm_admin_server_lookup_client_args, {(char *)"nosuch"}, 1, 1),
                       95, 7, rpc);
    admin_assert_error(CALL(conn, VADM_ADMIN_PROC_CLIENT_GET_INFO, vadm_admin_client_get_info_args,
                            {{(char *)"nosuch"}, 1, 0, 0}, 1),
                       95, 62, admin);
    admin_assert_error(CALL(conn, VADM_ADMIN_PROC_CLIENT_CLOSE, vadm_admin_client_close_args,
                            {{(char *)"nosuch"}, 1, 0, 0}, 1),
                       95, 7, rpc);
    admin_assert_error(CALL(conn, VADM_ADMIN_PROC_SERVER_LOOKUP_CLIENT,
                            vadm_admin_server_lookup_client_args, LIBVIRTD, 424242, 0),
                       96, 7, "Client not found: No client with matching ID '424242'");
    admin_assert_error(CALL(conn, VADM_ADMIN_PROC_CLIENT_GET_INFO, vadm_admin_client_get_info_args,
                            {LIBVIRTD, G_MAXUINT64, 0, 0}, 1),
                       96, 62,
                       "Client not found: no client with matching id '18446744073709551615' found");
    admin_assert_error(CALL(conn, VADM_ADMIN_PROC_CLIENT_CLOSE, vadm_admin_client_close_args,
                            {LIBVIRTD, 0, 0, 0}, 1),
                       96, 7, "Client not found: No client with matching ID '0'");
    admin_assert_error(CALL(conn, VADM_ADMIN_PROC_SERVER_UPDATE_TLS_FILES,
                            vadm_admin_server_update_tls_files_args, LIBVIRTD, 0),
                       1, 7, "internal error: no tls service found, unable to update tls files");
}
END_TEST

/* Procedure, its function, and what stands before the flags in its arguments. */
typedef struct {
    gint32 procedure;
    const char *function;
    const char *arguments; /* n: a word, s: the name of a server, c: the caller as a client */
} FlagsCase;

static const FlagsCase flags_cases[] = {
    {1, "adminDispatchConnectOpen", ""},
    {4, "adminConnectListServers", "n"},
    {6, "adminServerGetThreadPoolParameters", "s"},
    {7, "adminServerSetThreadPoolParameters", "sn"},
    {8, "adminServerListClients", "sn"},
    {9, "adminServerLookupClient", "snn"},
    {10, "adminClientGetInfo", "c"},
    {11, "adminClientClose", "c"},
    {12, "adminServerGetClientLimits", "s"},
    {13, "adminServerSetClientLimits", "sn"},
    {14, "adminConnectGetLoggingOutputs", ""},
    {15, "adminConnectGetLoggingFilters", ""},
    {16, "adminConnectSetLoggingOutputs", "n"},
    {17, "adminConnectSetLoggingFilters", "n"},
    {18, "adminServerUpdateTlsFiles", "s"},
    {19, "adminConnectSetDaemonTimeout", "n"},
};

static void
append_word(GByteArray *bytes, guint32 word)
{
    word = GUINT32_TO_BE(word);
    g_byte_array_append(bytes, (const guint8 *)&word, sizeof(word));
}

static void
append_string(GByteArray *bytes, const char *text)
{
    static const guint8 zeros[4];
    guint length = (guint)strlen(text);

    append_word(bytes, length);
    g_byte_array_append(bytes, (const guint8 *)text, length);
    g_byte_array_append(bytes, zeros, (4 - length % 4) % 4);
}

static VadmMessage *
call_bytes(gint32 procedure, VadmRpcType type, const GByteArray *bytes)
{
    VadmRpcHeader header = {
        VADM_RPC_PROGRAM_ADMIN, VADM_RPC_VERSION, procedure, type, 1, VADM_RPC_OK};

    return admin_call_raw(conn, &header, bytes->data, bytes->len);
}

START_TEST(test_flags)
{
    const FlagsCase *test = &flags_cases[_i];
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_autofree char *text =
        g_strdup_printf("unsupported flags (0x80000001) in function %s", test->function);

    for (const char *kind = test->arguments; *kind; kind++) {
        if (*kind == 's' || *kind == 'c')
            append_string(bytes, "admin");
        else
            append_word(bytes, 0);
        /* id 1, timestamp, transport */
        for (guint32 i = 0; *kind == 'c' && i < 5; i++)
            append_word(bytes, i == 1);
    }
    append_word(bytes, 0x80000001);
    admin_assert_error(call_bytes(test->procedure, VADM_RPC_CALL, bytes), 8, 62, text);
}
END_TEST

START_TEST(test_shutdown_flags)
{
    admin_assert_error(CALL(conn, VADM_ADMIN_PROC_CONNECT_DAEMON_SHUTDOWN,
                            vadm_admin_connect_daemon_shutdown_args, 3),
                       8, 62, "unsupported flags (0x2) in function adminConnectDaemonShutdown");
    ck_assert_int_eq(atomic_load(&fixture->quits), 0);
}
END_TEST

/* Replies first, then asks to quit. */
START_TEST(test_shutdown)
{
    gint64 deadline = g_get_monotonic_time() + ADMIN_PATIENCE_SECONDS * G_USEC_PER_SEC;

    admin_assert_ok(CALL(conn, VADM_ADMIN_PROC_CONNECT_DAEMON_SHUTDOWN,
                         vadm_admin_connect_daemon_shutdown_args, (u_int)_i));
    while (atomic_load(&fixture->quits) == 0 && g_get_monotonic_time() < deadline)
        g_usleep(1000);
    ck_assert_int_eq(atomic_load(&fixture->quits), 1);
}
END_TEST

START_TEST(test_unknown_procedures)
{
    const gint32 procedures[] = {0, -1, 21, 999, G_MININT32, G_MAXINT32};
    g_autoptr(GByteArray) empty = g_byte_array_new();

    for (guint i = 0; i < G_N_ELEMENTS(procedures); i++) {
        g_autofree char *text = g_strdup_printf("unknown procedure: %d", procedures[i]);

        admin_assert_error(call_bytes(procedures[i], VADM_RPC_CALL, empty), 39, 7, text);
    }
}
END_TEST

START_TEST(test_undecodable)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    const char *text = "Unable to decode message payload";

    admin_assert_error(call_bytes(4, VADM_RPC_CALL, bytes), 39, 7, text);
    append_word(bytes, 5); /* a string of five octets, of which there are none */
    admin_assert_error(call_bytes(5, VADM_RPC_CALL, bytes), 39, 7, text);
    g_byte_array_set_size(bytes, 0);
    append_string(bytes, "libvirtd");
    append_word(bytes, 33); /* more parameters than the protocol has room for */
    for (guint i = 0; i < 33; i++) {
        append_string(bytes, "maxWorkers");
        append_word(bytes, VADM_TYPED_PARAM_UINT);
        append_word(bytes, 30);
    }
    append_word(bytes, 0);
    admin_assert_error(call_bytes(7, VADM_RPC_CALL, bytes), 39, 7, text);
    g_byte_array_set_size(bytes, 0);
    append_string(bytes, "libvirtd");
    append_word(bytes, 1);
    append_string(bytes, "maxWorkers");
    append_word(bytes, 9); /* a type that there is not */
    append_word(bytes, 30);
    append_word(bytes, 0);
    admin_assert_error(call_bytes(7, VADM_RPC_CALL, bytes), 39, 7, text);
}
END_TEST

/* Octets behind the arguments, and the word that counts no descriptors. */
START_TEST(test_tolerated)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    vadm_admin_connect_lookup_server_ret found = {0};

    append_word(bytes, 0);
    append_string(bytes, "admin");
    append_word(bytes, 0);
    append_word(bytes, 0xdeadbeef);
    admin_assert_ret(call_bytes(5, VADM_RPC_CALL_WITH_FDS, bytes),
                     (xdrproc_t)xdr_vadm_admin_connect_lookup_server_ret, &found);
    ck_assert_str_eq(found.srv.name, "admin");
    FREE(vadm_admin_connect_lookup_server_ret, &found);
}
END_TEST

START_TEST(test_descriptors)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();

    append_word(bytes, 1);
    admin_assert_error(call_bytes(3, VADM_RPC_CALL_WITH_FDS, bytes), 39, 7,
                       "procedure 3 takes no file descriptors");
    ck_assert(admin_at_end(conn));
}
END_TEST

static char *
get_outputs(u_int *count)
{
    vadm_admin_connect_get_logging_outputs_ret ret = {0};
    char *outputs;

    GET(conn, VADM_ADMIN_PROC_CONNECT_GET_LOGGING_OUTPUTS,
        vadm_admin_connect_get_logging_outputs_args, vadm_admin_connect_get_logging_outputs_ret,
        &ret, 0);
    outputs = g_strdup(ret.outputs);
    *count = ret.noutputs;
    FREE(vadm_admin_connect_get_logging_outputs_ret, &ret);
    return outputs;
}

/* NULL: absent on the wire. */
static char *
get_filters(u_int *count)
{
    vadm_admin_connect_get_logging_filters_ret ret = {0};
    char *filters;

    GET(conn, VADM_ADMIN_PROC_CONNECT_GET_LOGGING_FILTERS,
        vadm_admin_connect_get_logging_filters_args, vadm_admin_connect_get_logging_filters_ret,
        &ret, 0);
    filters = ret.filters ? g_strdup(*ret.filters) : NULL;
    *count = ret.nfilters;
    FREE(vadm_admin_connect_get_logging_filters_ret, &ret);
    return filters;
}

static VadmMessage *
set_log(gint32 procedure, char *text)
{
    vadm_admin_connect_set_logging_filters_args args = {text ? &text : NULL, 0};

    return admin_call(conn, procedure, (xdrproc_t)xdr_vadm_admin_connect_set_logging_filters_args,
                      &args);
}

START_TEST(test_filters)
{
    const gint32 set = VADM_ADMIN_PROC_CONNECT_SET_LOGGING_FILTERS;
    char *resets[] = {NULL, (char *)"", (char *)"   "};
    u_int count;
    g_autofree char *none = get_filters(&count);

    ck_assert_ptr_null(none);
    ck_assert_uint_eq(count, 0);
    for (guint i = 0; i < G_N_ELEMENTS(resets); i++) {
        g_autofree char *some = NULL, *gone = NULL;

        admin_assert_ok(set_log(set, (char *)" 01:util  +2:b 4:a:c 1:++x "));
        some = get_filters(&count);
        ck_assert_str_eq(some, "1:*util* 2:*b* 4:*a* 1:*+x* ");
        ck_assert_uint_eq(count, 4);
        admin_assert_error(set_log(set, (char *)"3:ok 9:bad"), 8, 0,
                           "invalid argument: Invalid priority '9' for filter '9:bad'");
        admin_assert_error(set_log(set, (char *)"util"), 8, 0,
                           "invalid argument: Malformed format for filter 'util'");
        admin_assert_error(set_log(set, (char *)"1:+"), 8, 0,
                           "invalid argument: Invalid match string '+'");
        admin_assert_error(set_log(set, (char *)"1:\xff"), 8, 0,
                           "invalid argument: log filters '1:\xff' are not valid UTF-8");
        g_free(some);
        some = get_filters(&count);
        ck_assert_str_eq(some, "1:*util* 2:*b* 4:*a* 1:*+x* ");
        admin_assert_ok(set_log(set, resets[i]));
        gone = get_filters(&count);
        ck_assert_ptr_null(gone);
        ck_assert_uint_eq(count, 0);
    }
}
END_TEST

START_TEST(test_outputs)
{
    const gint32 set = VADM_ADMIN_PROC_CONNECT_SET_LOGGING_OUTPUTS;
    char *resets[] = {NULL, (char *)"", (char *)"   "};
    g_autofree char *file = g_strdup_printf("3:file:%s/a.log 4:stderr", fixture->dir);
    u_int count;

    for (guint i = 0; i < G_N_ELEMENTS(resets); i++) {
        g_autofree char *some = NULL, *again = NULL, *reset = NULL;

        admin_assert_ok(set_log(set, file));
        some = get_outputs(&count);
        ck_assert_str_eq(some, file);
        ck_assert_uint_eq(count, 2);
        admin_assert_error(set_log(set, (char *)"9:stderr"), 8, 0,
                           "invalid argument: Invalid log priority '9' for log output '9:stderr'");
        admin_assert_error(
            set_log(set, (char *)"4:stderr 1:bad"), 8, 0,
            "invalid argument: Invalid log destination 'bad' for log output '1:bad'");
        admin_assert_error(set_log(set, (char *)"1:file:/nonexistent/x"), 38, 0,
                           "failed to open /nonexistent/x: No such file or directory");
        again = get_outputs(&count);
        ck_assert_str_eq(again, file);
        admin_assert_ok(set_log(set, resets[i]));
        reset = get_outputs(&count);
        ck_assert_str_eq(reset, "4:stderr");
        ck_assert_uint_eq(count, 1);
    }
}
END_TEST

START_TEST(test_log_level)
{
    VadmRpcHeader header = {
        VADM_RPC_PROGRAM_EXTENSION, VADM_RPC_VERSION, 1, VADM_RPC_CALL, 1, VADM_RPC_OK};
    vadm_extension_get_log_level_ret ret = {0};
    const guint8 get[] = {0, 0, 0, 0};
    const guint8 set_debug[] = {0, 0, 0, 1, 0, 0, 0, 0};
    const guint8 set_none[] = {0, 0, 0, 0, 0, 0, 0, 0};
    const guint8 set_five[] = {0, 0, 0, 5, 0, 0, 0, 0};
    const guint8 set_flags[] = {0, 0, 0, 2, 0, 0, 0, 1};
    const xdrproc_t decode = (xdrproc_t)xdr_vadm_extension_get_log_level_ret;

    admin_assert_ret(admin_call_raw(conn, &header, get, sizeof(get)), decode, &ret);
    ck_assert_uint_eq(ret.level, 3);
    header.procedure = VADM_EXTENSION_PROC_SET_LOG_LEVEL;
    admin_assert_ok(admin_call_raw(conn, &header, set_debug, sizeof(set_debug)));
    admin_assert_error(admin_call_raw(conn, &header, set_none, sizeof(set_none)), 8, 62,
                       "invalid argument: log level 0 is not in the range 1 to 4");
    admin_assert_error(admin_call_raw(conn, &header, set_five, sizeof(set_five)), 8, 62,
                       "invalid argument: log level 5 is not in the range 1 to 4");
    admin_assert_error(admin_call_raw(conn, &header, set_flags, sizeof(set_flags)), 8, 62,
                       "unsupported flags (0x1) in function vadmSetLogLevel");
    header.procedure = 3;
    admin_assert_error(admin_call_raw(conn, &header, get, sizeof(get)), 39, 7,
                       "unknown procedure: 3");
    header.procedure = VADM_EXTENSION_PROC_GET_LOG_LEVEL;
    admin_assert_ret(admin_call_raw(conn, &header, get, sizeof(get)), decode, &ret);
    ck_assert_uint_eq(ret.level, 1);
}
END_TEST

static u_int
list_clients(const char *server, vadm_admin_server_list_clients_ret *ret)
{
    memset(ret, 0, sizeof(*ret));
    GET(conn, VADM_ADMIN_PROC_SERVER_LIST_CLIENTS, vadm_admin_server_list_clients_args,
        vadm_admin_server_list_clients_ret, ret, {(char *)server}, 1, 0);
    return ret->clients.clients_len;
}

/* A connection is accepted a little after connect() has returned. */
static void
wait_for_clients(const char *server, guint32 count)
{
    gint64 deadline = g_get_monotonic_time() + ADMIN_PATIENCE_SECONDS * G_USEC_PER_SEC;

    while (limit_value(server, "nclients") != count && g_get_monotonic_time() < deadline)
        g_usleep(1000);
    ck_assert_uint_eq(limit_value(server, "nclients"), count);
}

/* The first two never say a word. */
START_TEST(test_clients)
{
    int first = admin_connect_idle(fixture), second = admin_connect_idle(fixture);
    vadm_admin_server_list_clients_ret list = {0};
    vadm_admin_server_lookup_client_ret found = {0};
    vadm_admin_client_get_info_ret info = {0};
    g_autofree char *text = NULL;
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;

    wait_for_clients("libvirtd", 2);
    ck_assert_uint_eq(list_clients("libvirtd", &list), 2);
    ck_assert_uint_eq(list.ret, 2);
    for (u_int i = 0; i < 2; i++) {
        ck_assert_str_eq(list.clients.clients_val[i].srv.name, "libvirtd");
        ck_assert_uint_eq(list.clients.clients_val[i].id, i + 1);
        ck_assert_int_le(ABS(list.clients.clients_val[i].timestamp - now), 60);
        ck_assert_uint_eq(list.clients.clients_val[i].transport, 0);
    }
    FREE(vadm_admin_server_list_clients_ret, &list);
    GET(conn, VADM_ADMIN_PROC_SERVER_LIST_CLIENTS, vadm_admin_server_list_clients_args,
        vadm_admin_server_list_clients_ret, &list, LIBVIRTD, 0, 0);
    ck_assert_uint_eq(list.ret, 2);
    ck_assert_uint_eq(list.clients.clients_len, 0);
    GET(conn, VADM_ADMIN_PROC_SERVER_LOOKUP_CLIENT, vadm_admin_server_lookup_client_args,
        vadm_admin_server_lookup_client_ret, &found, LIBVIRTD, 2, 0);
    ck_assert_uint_eq(found.clnt.id, 2);
    /* Only server and id count. */
    GET(conn, VADM_ADMIN_PROC_CLIENT_GET_INFO, vadm_admin_client_get_info_args,
        vadm_admin_client_get_info_ret, &info, {LIBVIRTD, 2, -1, 99}, 0);
    text = describe(info.params.params_val, info.params.params_len);
    ck_assert_msg(g_str_has_prefix(text, "readonly/6 unix_user_id/1 "), "%s", text);
    ck_assert_msg(strstr(text, " unix_group_id/1 ") && strstr(text, " unix_process_id/1"), "%s",
                  text);
    ck_assert_int_eq(info.params.params_val[0].value.vadm_typed_param_value_u.b, 0);
    ck_assert_int_eq(info.params.params_val[1].value.vadm_typed_param_value_u.i, (int)getuid());
    FREE(vadm_admin_client_get_info_ret, &info);
    FREE(vadm_admin_server_lookup_client_ret, &found);
    close(first);
    close(second);
}
END_TEST

START_TEST(test_disconnect)
{
    int first = admin_connect_idle(fixture), second = admin_connect_idle(fixture);

    wait_for_clients("libvirtd", 2);
    admin_assert_ok(CALL(conn, VADM_ADMIN_PROC_CLIENT_CLOSE, vadm_admin_client_close_args,
                         {LIBVIRTD, 1, 0, 0}, 0));
    ck_assert(admin_at_end(first));
    wait_for_clients("libvirtd", 1);
    admin_assert_error(CALL(conn, VADM_ADMIN_PROC_CLIENT_CLOSE, vadm_admin_client_close_args,
                            {LIBVIRTD, 1, 0, 0}, 0),
                       96, 7, "Client not found: No client with matching ID '1'");
    /* Oneself: no reply. */
    {
        g_autoptr(VadmMessage) call = admin_new_call(
            VADM_ADMIN_PROC_CLIENT_CLOSE, (xdrproc_t)xdr_vadm_admin_client_close_args,
            &(vadm_admin_client_close_args){{{(char *)"admin"}, 1, 0, 0}, 0});

        admin_send(conn, call);
    }
    ck_assert(admin_at_end(conn));
    close(first);
    close(second);
}
END_TEST

/* Two hundred calls sent before the first reply is read: each is answered once. */
START_TEST(test_pipelined)
{
    enum { CALLS = 200 };
    gboolean seen[CALLS] = {FALSE};

    for (guint32 i = 0; i < CALLS; i++) {
        g_autoptr(VadmMessage) call =
            admin_new_call(VADM_ADMIN_PROC_CONNECT_GET_LIB_VERSION, NULL, NULL);

        vadm_message_set_serial(call, i);
        admin_send(conn, call);
    }
    for (guint i = 0; i < CALLS; i++) {
        g_autoptr(VadmMessage) reply = admin_receive(conn);

        ck_assert_ptr_nonnull(reply);
        ck_assert_uint_lt(reply->header.serial, CALLS);
        ck_assert(!seen[reply->header.serial]);
        seen[reply->header.serial] = TRUE;
    }
}
END_TEST

/* The caller goes away while its calls wait and run. */
START_TEST(test_vanishing_callers)
{
    for (guint i = 0; i < 50; i++) {
        int fd = admin_connect(fixture);

        for (guint j = 0; j < 8; j++) {
            g_autoptr(VadmMessage) call =
                admin_new_call(VADM_ADMIN_PROC_SERVER_LIST_CLIENTS,
                               (xdrproc_t)xdr_vadm_admin_server_list_clients_args,
                               &(vadm_admin_server_list_clients_args){{(char *)"admin"}, 1, 0});

            admin_send(fd, call);
        }
        close(fd);
    }
    wait_for_clients("admin", 1);
}
END_TEST

START_TEST(test_timeout)
{
    admin_assert_ok(CALL(conn, VADM_ADMIN_PROC_CONNECT_SET_DAEMON_TIMEOUT,
                         vadm_admin_connect_set_daemon_timeout_args, G_MAXUINT32, 0));
    admin_assert_ok(CALL(conn, VADM_ADMIN_PROC_CONNECT_SET_DAEMON_TIMEOUT,
                         vadm_admin_connect_set_daemon_timeout_args, 0, 0));
    ck_assert_int_eq(atomic_load(&fixture->quits), 0);
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("admin");
    TCase *tests = tcase_create("procedures");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 2 * ADMIN_PATIENCE_SECONDS);
    tcase_add_test(tests, test_connection);
    tcase_add_test(tests, test_servers);
    tcase_add_test(tests, test_getters);
    tcase_add_test(tests, test_set_pool);
    tcase_add_loop_test(tests, test_set_pool_faults, 0, G_N_ELEMENTS(pool_faults));
    tcase_add_test(tests, test_bounds);
    tcase_add_test(tests, test_set_limits);
    tcase_add_test(tests, test_set_limits_faults);
    tcase_add_test(tests, test_set_order);
    tcase_add_test(tests, test_busy);
    tcase_add_test(tests, test_absent);
    tcase_add_loop_test(tests, test_flags, 0, G_N_ELEMENTS(flags_cases));
    tcase_add_test(tests, test_shutdown_flags);
    tcase_add_loop_test(tests, test_shutdown, 0, 2);
    tcase_add_test(tests, test_unknown_procedures);
    tcase_add_test(tests, test_undecodable);
    tcase_add_test(tests, test_tolerated);
    tcase_add_test(tests, test_descriptors);
    tcase_add_test(tests, test_filters);
    tcase_add_test(tests, test_outputs);
    tcase_add_test(tests, test_log_level);
    tcase_add_test(tests, test_clients);
    tcase_add_test(tests, test_disconnect);
    tcase_add_test(tests, test_pipelined);
    tcase_add_test(tests, test_vanishing_callers);
    tcase_add_test(tests, test_timeout);
    suite_add_tcase(suite, tests);
    return suite;
}

int
main(void)
{
    return vadm_unit_main(make_suite());
}
