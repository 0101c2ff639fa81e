/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The admin program: every error that libvirt's answers to a bad call, its order of checks. */
#include <string.h>
#include <unistd.h>

#include "admin-fixture.h"
#include "unit.h"

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

typedef struct {
    int number;
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
     .params = {ADMIN_UINT("foo", 1)}},
    {.number = 74,
     .text = "argument unsupported: parameter 'nWorkers' not supported",
     .n_params = 1,
     .params = {ADMIN_UINT("nWorkers", 1)}},
    {.number = 74,
     .text = "argument unsupported: parameter '' not supported",
     .n_params = 1,
     .params = {ADMIN_UINT("", 1)}},
    {.number = 74,
     .text = "argument unsupported: parameter 'MAXWORKERS' not supported",
     .n_params = 1,
     .params = {ADMIN_UINT("MAXWORKERS", 1)}},
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
     .params = {ADMIN_UINT("maxWorkers", 30), ADMIN_UINT("maxWorkers", 30)}},
    /* Of two faults libvirt tells the first by name; of one name, the first in the list. */
    {.number = 74,
     .text = "argument unsupported: parameter 'aaa' not supported",
     .n_params = 2,
     .params = {TYPED("minWorkers", VADM_TYPED_PARAM_INT), ADMIN_UINT("aaa", 1)}},
    {.number = 8,
     .text = "invalid argument: invalid type 'int' for parameter 'minWorkers', expected 'uint'",
     .n_params = 2,
     .params = {ADMIN_UINT("zzz", 1), TYPED("minWorkers", VADM_TYPED_PARAM_INT)}},
    {.number = 8,
     .text = "invalid argument: invalid type 'int' for parameter 'minWorkers', expected 'uint'",
     .n_params = 2,
     .params = {TYPED("minWorkers", VADM_TYPED_PARAM_INT), ADMIN_UINT("minWorkers", 1)}},
    {.number = 8,
     .text = "invalid argument: parameter 'minWorkers' occurs multiple times",
     .n_params = 2,
     .params = {ADMIN_UINT("minWorkers", 1), TYPED("minWorkers", VADM_TYPED_PARAM_INT)}},
    {.number = 1,
     .text = "internal error: parameter " LONG_NAME " too big for destination",
     .n_params = 2,
     .params = {ADMIN_UINT("foo", 1), ADMIN_UINT(LONG_NAME, 1)}},
    {.number = 8, .text = MIN_OVER_MAX, .n_params = 1, .params = {ADMIN_UINT("minWorkers", 21)}},
    {.number = 8, .text = MIN_OVER_MAX, .n_params = 1, .params = {ADMIN_UINT("maxWorkers", 4)}},
    {.number = 8, .text = MIN_OVER_MAX, .n_params = 1, .params = {ADMIN_UINT("maxWorkers", 0)}},
    {.number = 8,
     .text = MIN_OVER_MAX,
     .n_params = 2,
     .params = {ADMIN_UINT("minWorkers", 50), ADMIN_UINT("maxWorkers", 40)}},
    {.number = 8,
     .text = NO_SWITCH,
     .n_params = 2,
     .params = {ADMIN_UINT("minWorkers", 0), ADMIN_UINT("maxWorkers", 0)}},
};

START_TEST(test_set_pool_faults)
{
    SetFault fault = pool_faults[_i];

    admin_assert_error(admin_set_pool(conn, "libvirtd", fault.params, fault.n_params, 0),
                       fault.number, 0, fault.text);
    ck_assert_uint_eq(admin_pool_value(conn, "libvirtd", "minWorkers"), 5);
    ck_assert_uint_eq(admin_pool_value(conn, "libvirtd", "maxWorkers"), 20);
}
END_TEST

/* What stock daemons take and we do not: the text names field, value and range. */
START_TEST(test_bounds)
{
    vadm_typed_param workers[] = {ADMIN_UINT("maxWorkers", G_MAXUINT32)};
    vadm_typed_param priority[] = {ADMIN_UINT("prioWorkers", 1001)};
    vadm_typed_param clients[] = {ADMIN_UINT("nclients_max", 1000001)};
    VadmMessage *replies[] = {admin_set_pool(conn, "libvirtd", workers, 1, 0),
                              admin_set_pool(conn, "libvirtd", priority, 1, 0),
                              admin_set_limits(conn, "libvirtd", clients, 1, 0)};
    const char *values[] = {"4294967295", "1001", "1000001"};
    const char *bounds[] = {"1000", "1000", "1000000"};

    for (guint i = 0; i < G_N_ELEMENTS(replies); i++) {
        int number;
        g_autofree char *text = vadm_message_get_error(replies[i], &number, NULL);

        ck_assert_int_eq(number, VADM_VIR_ERR_INVALID_ARG);
        ck_assert_msg(strstr(text, values[i]) && strstr(text, bounds[i]), "%s", text);
        vadm_message_free(replies[i]);
    }
    ck_assert_uint_eq(admin_pool_value(conn, "libvirtd", "maxWorkers"), 20);
    ck_assert_uint_eq(admin_limit_value(conn, "libvirtd", "nclients_max"), 5000);
}
END_TEST

START_TEST(test_set_limits_faults)
{
    vadm_typed_param readonly[] = {ADMIN_UINT("nclients", 1)};
    vadm_typed_param pool[] = {ADMIN_UINT("maxWorkers", 1)};
    vadm_typed_param type[] = {TYPED("nclients_max", VADM_TYPED_PARAM_ULLONG)};
    vadm_typed_param twice[] = {ADMIN_UINT("nclients_max", 50), ADMIN_UINT("nclients_max", 50)};
    vadm_typed_param less[] = {ADMIN_UINT("nclients_max", 19)};
    VadmMessage *reply;
    int number, domain;

    admin_assert_error(admin_set_limits(conn, "libvirtd", readonly, 1, 0), 74, 0,
                       "argument unsupported: parameter 'nclients' not supported");
    admin_assert_error(admin_set_limits(conn, "libvirtd", pool, 1, 0), 74, 0,
                       "argument unsupported: parameter 'maxWorkers' not supported");
    admin_assert_error(admin_set_limits(conn, "libvirtd", type, 1, 0), 8, 0,
                       "invalid argument: invalid type 'ullong' for parameter 'nclients_max', "
                       "expected 'uint'");
    admin_assert_error(admin_set_limits(conn, "libvirtd", twice, 2, 0), 8, 0,
                       "invalid argument: parameter 'nclients_max' occurs multiple times");
    reply = admin_set_limits(conn, "libvirtd", less, 1, 0);
    g_free(vadm_message_get_error(reply, &number, &domain));
    ck_assert_int_eq(number, VADM_VIR_ERR_INVALID_ARG);
    ck_assert_int_eq(domain, VADM_VIR_FROM_RPC);
    vadm_message_free(reply);
    ck_assert_uint_eq(admin_limit_value(conn, "libvirtd", "nclients_max"), 5000);
}
END_TEST

/* Server, then names of parameters, then flags, then parameters. */
START_TEST(test_set_order)
{
    vadm_typed_param longest[] = {ADMIN_UINT(LONG_NAME, 1)};
    vadm_typed_param unknown[] = {ADMIN_UINT("foo", 1)};
    const char *no_server = "Server not found: no server with matching name 'nosuch' found";
    const char *too_big = "internal error: parameter " LONG_NAME " too big for destination";

    admin_assert_error(admin_set_pool(conn, "nosuch", longest, 1, 1), 95, 62, no_server);
    admin_assert_error(admin_set_pool(conn, "libvirtd", longest, 1, 1), 1, 0, too_big);
    admin_assert_error(admin_set_pool(conn, "libvirtd", unknown, 1, 2), 8, 62,
                       "unsupported flags (0x2) in function adminServerSetThreadPoolParameters");
    admin_assert_error(admin_set_limits(conn, "nosuch", longest, 1, 1), 95, 62, no_server);
    admin_assert_error(admin_set_limits(conn, "libvirtd", longest, 1, 1), 1, 0, too_big);
    admin_assert_error(admin_set_limits(conn, "libvirtd", unknown, 1, 1), 8, 62,
                       "unsupported flags (0x1) in function adminServerSetClientLimits");
}
END_TEST

/* What a manager armed over SNMP waits to be confirmed: setters are refused at once. */
START_TEST(test_pending_confirmation)
{
    vadm_typed_param params[] = {ADMIN_UINT("maxWorkers", 30)};
    const VadmChange armed[] = {
        {.field = VADM_FIELD_LOG_LEVEL, .value = {.kind = VADM_VALUE_UINT, .number = 4}},
        {.field = VADM_FIELD_CONFIG_CONFIRM_TIMEOUT,
         .value = {.kind = VADM_VALUE_UINT, .number = 3600}}};
    const VadmChange confirm = {.field = VADM_FIELD_CONFIG_CONFIRM_TIMEOUT,
                                .value = {.kind = VADM_VALUE_UINT}};
    VadmFault fault = {0, NULL};
    VadmMessage *reply;
    g_autofree char *text = NULL;
    int number, domain;

    ck_assert(vadm_daemon_change(fixture->daemon, armed, 2, VADM_ORIGIN_SNMP, 0, &fault));
    reply = admin_set_pool(conn, "libvirtd", params, 1, 0);
    text = vadm_message_get_error(reply, &number, &domain);
    ck_assert_int_eq(number, VADM_VIR_ERR_RESOURCE_BUSY);
    ck_assert_int_eq(domain, VADM_VIR_FROM_ADMIN);
    ck_assert(g_str_has_prefix(text, "resource busy: configuration 2 waits to be confirmed (3"));
    vadm_message_free(reply);
    ck_assert(vadm_daemon_change(fixture->daemon, &confirm, 1, VADM_ORIGIN_SNMP, 0, &fault));
    admin_assert_ok(admin_set_pool(conn, "libvirtd", params, 1, 0));
}
END_TEST

/* Somebody else holds the writer token: a setter gives up after a second. */
START_TEST(test_busy)
{
    vadm_typed_param params[] = {ADMIN_UINT("maxWorkers", 30)};
    VadmChange change = {.field = VADM_FIELD_LOG_LEVEL,
                         .value = {.kind = VADM_VALUE_UINT, .number = 4}};
    VadmFault fault = {0, NULL};
    VadmDaemonTxn *txn =
        vadm_txn_prepare(fixture->daemon, &change, 1, VADM_ORIGIN_RELOAD, 0, &fault);
    VadmMessage *reply;
    g_autofree char *text = NULL;
    int number;

    ck_assert_msg(txn != NULL, "%s", fault.error ? fault.error->message : "");
    reply = admin_set_pool(conn, "libvirtd", params, 1, 0);
    text = vadm_message_get_error(reply, &number, NULL);
    ck_assert_int_eq(number, VADM_VIR_ERR_RESOURCE_BUSY);
    ck_assert(g_str_has_prefix(text, "resource busy: "));
    vadm_message_free(reply);
    ck_assert_uint_eq(admin_pool_value(conn, "libvirtd", "maxWorkers"), 20);
    vadm_txn_abort(txn);
    admin_assert_ok(admin_set_pool(conn, "libvirtd", params, 1, 0));
    ck_assert_uint_eq(admin_pool_value(conn, "libvirtd", "maxWorkers"), 30);
}
END_TEST

/* The two ways in which libvirt names what is not there. */
START_TEST(test_absent)
{
    const char *rpc = "Server not found: No server named 'nosuch'";
    const char *admin = "Server not found: no server with matching name 'nosuch' found";

    admin_assert_error(ADMIN_CALL(conn, VADM_ADMIN_PROC_CONNECT_LOOKUP_SERVER,
                                  vadm_admin_connect_lookup_server_args, (char *)"nosuch", 1),
                       95, 7, rpc);
    admin_assert_error(ADMIN_CALL(conn, VADM_ADMIN_PROC_CONNECT_LOOKUP_SERVER,
                                  vadm_admin_connect_lookup_server_args, (char *)"", 0),
                       95, 7, "Server not found: No server named ''");
    /* The flags are wrong, too: the server is looked for first. */
    for (gint32 procedure = 6; procedure <= 18; procedure += 6)
        admin_assert_error(ADMIN_CALL(conn, procedure, vadm_admin_server_get_client_limits_args,
                                      {(char *)"nosuch"}, 1),
                           95, 7, rpc);
    admin_assert_error(ADMIN_CALL(conn, VADM_ADMIN_PROC_SERVER_LIST_CLIENTS,
                                  vadm_admin_server_list_clients_args, {(char *)"nosuch"}, 1, 1),
                       95, 7, rpc);
    admin_assert_error(ADMIN_CALL(conn, VADM_ADMIN_PROC_SERVER_LOOKUP_CLIENT,
                                  vadm_admin_server_lookup_client_args, {(char *)"nosuch"}, 1, 1),
                       95, 7, rpc);
    admin_assert_error(ADMIN_CALL(conn, VADM_ADMIN_PROC_CLIENT_GET_INFO,
                                  vadm_admin_client_get_info_args, {{(char *)"nosuch"}, 1, 0, 0},
                                  1),
                       95, 62, admin);
    admin_assert_error(ADMIN_CALL(conn, VADM_ADMIN_PROC_CLIENT_CLOSE, vadm_admin_client_close_args,
                                  {{(char *)"nosuch"}, 1, 0, 0}, 1),
                       95, 7, rpc);
    admin_assert_error(ADMIN_CALL(conn, VADM_ADMIN_PROC_SERVER_LOOKUP_CLIENT,
                                  vadm_admin_server_lookup_client_args, ADMIN_LIBVIRTD, 424242, 0),
                       96, 7, "Client not found: No client with matching ID '424242'");
    admin_assert_error(
        ADMIN_CALL(conn, VADM_ADMIN_PROC_CLIENT_GET_INFO, vadm_admin_client_get_info_args,
                   {ADMIN_LIBVIRTD, G_MAXUINT64, 0, 0}, 1),
        96, 62, "Client not found: no client with matching id '18446744073709551615' found");
    admin_assert_error(ADMIN_CALL(conn, VADM_ADMIN_PROC_CLIENT_CLOSE, vadm_admin_client_close_args,
                                  {ADMIN_LIBVIRTD, 0, 0, 0}, 1),
                       96, 7, "Client not found: No client with matching ID '0'");
    admin_assert_error(ADMIN_CALL(conn, VADM_ADMIN_PROC_SERVER_UPDATE_TLS_FILES,
                                  vadm_admin_server_update_tls_files_args, ADMIN_LIBVIRTD, 0),
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
    admin_assert_error(ADMIN_CALL(conn, VADM_ADMIN_PROC_CONNECT_DAEMON_SHUTDOWN,
                                  vadm_admin_connect_daemon_shutdown_args, 3),
                       8, 62, "unsupported flags (0x2) in function adminConnectDaemonShutdown");
    ck_assert_int_eq(atomic_load(&fixture->quits), 0);
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
    ADMIN_FREE(vadm_admin_connect_lookup_server_ret, &found);
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

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("admin-errors");
    TCase *tests = tcase_create("errors");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 2 * ADMIN_PATIENCE_SECONDS);
    tcase_add_loop_test(tests, test_set_pool_faults, 0, G_N_ELEMENTS(pool_faults));
    tcase_add_test(tests, test_bounds);
    tcase_add_test(tests, test_set_limits_faults);
    tcase_add_test(tests, test_set_order);
    tcase_add_test(tests, test_pending_confirmation);
    tcase_add_test(tests, test_busy);
    tcase_add_test(tests, test_absent);
    tcase_add_loop_test(tests, test_flags, 0, G_N_ELEMENTS(flags_cases));
    tcase_add_test(tests, test_shutdown_flags);
    tcase_add_test(tests, test_unknown_procedures);
    tcase_add_test(tests, test_undecodable);
    tcase_add_test(tests, test_tolerated);
    tcase_add_test(tests, test_descriptors);
    suite_add_tcase(suite, tests);
    return suite;
}

int
main(void)
{
    return vadm_unit_main(make_suite());
}
