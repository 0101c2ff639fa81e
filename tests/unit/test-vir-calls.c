/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the calls of libvirtadm send, and what they make of what comes back. */
#include "config.h"

#include "rpc/extension.h"
#include "rpc/protocol.h"
#include "rpc/rpc-error.h"
#include "unit.h"
#include "vir-fixture.h"

#define XDR(type) ((xdrproc_t)xdr_vadm_admin_##type)

/* ---- errors ---- */

static VadmMessage *
refuse_in_full(const VadmMessage *call, gpointer user G_GNUC_UNUSED)
{
    char *message = "what happened", *one = "first", *two = "second", *three = "third";
    vadm_rpc_error payload = {
        .code = 4711,
        .domain = 99,
        .message = &message,
        .level = 1,
        .str1 = &one,
        .str2 = &two,
        .str3 = &three,
        .int1 = 5,
        .int2 = 7,
    };
    VadmRpcHeader header = call->header;

    header.type = VADM_RPC_REPLY;
    header.status = VADM_RPC_ERROR;
    return vadm_message_new(&header, (xdrproc_t)xdr_vadm_rpc_error, &payload, NULL);
}

START_TEST(test_error_in_full)
{
    unsigned long long version = 42;
    const virError *error;

    peer_handle(peer, VADM_ADMIN_PROC_CONNECT_GET_LIB_VERSION, refuse_in_full, NULL);
    vir_open();
    ck_assert_int_eq(virAdmConnectGetLibVersion(conn, &version), -1);
    ck_assert_uint_eq(version, 42);
    VIR_ASSERT_ERROR(4711, 99, "what happened");
    error = virGetLastError();
    ck_assert_int_eq(error->level, VIR_ERR_WARNING);
    ck_assert_str_eq(error->str1, "first");
    ck_assert_str_eq(error->str2, "second");
    ck_assert_str_eq(error->str3, "third");
    ck_assert_int_eq(error->int1, 5);
    ck_assert_int_eq(error->int2, 7);
    ck_assert_int_eq(virAdmConnectIsAlive(conn), 1);
    ck_assert_ptr_null(virGetLastError()); /* the next call forgets it */
    ck_assert_int_eq(virAdmConnectClose(conn), 0);
}
END_TEST

START_TEST(test_refused_open)
{
    peer_handle(peer, VADM_ADMIN_PROC_CONNECT_OPEN, refuse_in_full, NULL);
    ck_assert_ptr_null(virAdmConnectOpen(uri, 0));
    VIR_ASSERT_ERROR(4711, 99, "what happened");
}
END_TEST

START_TEST(test_undecodable_replies)
{
    guint32 half = 0;
    unsigned long long version;
    virAdmServerPtr *servers = NULL;

    vir_open();
    peer_answer(peer, VADM_ADMIN_PROC_CONNECT_GET_LIB_VERSION, (xdrproc_t)xdr_u_int, &half);
    ck_assert_int_eq(virAdmConnectGetLibVersion(conn, &version), -1);
    VIR_ASSERT_ERROR(VIR_ERR_RPC, VIR_FROM_RPC, "Unable to decode message payload");
    peer_answer(peer, VADM_ADMIN_PROC_CONNECT_LIST_SERVERS, NULL, NULL);
    ck_assert_int_eq(virAdmConnectListServers(conn, &servers, 0), -1);
    VIR_ASSERT_ERROR(VIR_ERR_RPC, VIR_FROM_RPC, "Unable to decode message payload");
    ck_assert_ptr_null(servers);
    ck_assert_int_eq(virAdmConnectIsAlive(conn), 1);
    ck_assert_int_eq(virAdmConnectClose(conn), 0);
}
END_TEST

/* ---- servers ---- */

START_TEST(test_list_servers)
{
    vadm_admin_server list[] = {{"libvirtd"}, {"admin"}};
    const struct vadm_admin_connect_list_servers_ret ret = {{2, list}, 2};
    struct vadm_admin_connect_list_servers_args args = {0, 0};
    virAdmServerPtr *servers = NULL;

    peer_answer(peer, VADM_ADMIN_PROC_CONNECT_LIST_SERVERS, XDR(connect_list_servers_ret), &ret);
    vir_open();
    ck_assert_int_eq(virAdmConnectListServers(conn, &servers, 6), 2);
    vir_last_args(VADM_ADMIN_PROC_CONNECT_LIST_SERVERS, XDR(connect_list_servers_args), &args);
    ck_assert_uint_eq(args.need_results, 1);
    ck_assert_uint_eq(args.flags, 6);
    ck_assert_str_eq(virAdmServerGetName(servers[0]), "libvirtd");
    ck_assert_str_eq(virAdmServerGetName(servers[1]), "admin");
    ck_assert_ptr_null(servers[2]);
    ck_assert_int_eq(virAdmConnectClose(conn), 1);
    ck_assert_int_eq(virAdmServerFree(servers[0]), 0);
    ck_assert_int_eq(virAdmServerFree(servers[1]), 0); /* which closes */
    free(servers);
}
END_TEST

START_TEST(test_counts_only)
{
    const struct vadm_admin_connect_list_servers_ret servers = {{0, NULL}, 7};
    const struct vadm_admin_server_list_clients_ret clients = {{0, NULL}, 3000000000u};
    struct vadm_admin_connect_list_servers_args args = {1, 0};
    virAdmServerPtr server;

    peer_answer(peer, VADM_ADMIN_PROC_CONNECT_LIST_SERVERS, XDR(connect_list_servers_ret),
                &servers);
    peer_answer(peer, VADM_ADMIN_PROC_SERVER_LIST_CLIENTS, XDR(server_list_clients_ret), &clients);
    vir_open();
    ck_assert_int_eq(virAdmConnectListServers(conn, NULL, 0), 7);
    vir_last_args(VADM_ADMIN_PROC_CONNECT_LIST_SERVERS, XDR(connect_list_servers_args), &args);
    ck_assert_uint_eq(args.need_results, 0);
    server = vir_server("libvirtd");
    ck_assert_int_eq(virAdmServerListClients(server, NULL, 0), -1);
    VIR_ASSERT_ERROR(VIR_ERR_RPC, VIR_FROM_RPC,
                     "the daemon counts 3000000000, which no int can hold");
    virAdmServerFree(server);
    virAdmConnectClose(conn);
}
END_TEST

/* What the daemon lists counts, not what it says that it lists. */
START_TEST(test_list_and_count_differ)
{
    vadm_admin_server list[] = {{"one"}};
    const struct vadm_admin_connect_list_servers_ret ret = {{1, list}, 1000};
    const struct vadm_admin_connect_list_servers_ret none = {{0, NULL}, 0};
    virAdmServerPtr *servers = NULL;

    peer_answer(peer, VADM_ADMIN_PROC_CONNECT_LIST_SERVERS, XDR(connect_list_servers_ret), &ret);
    vir_open();
    ck_assert_int_eq(virAdmConnectListServers(conn, &servers, 0), 1);
    ck_assert_ptr_null(servers[1]);
    virAdmServerFree(servers[0]);
    free(servers);
    peer_answer(peer, VADM_ADMIN_PROC_CONNECT_LIST_SERVERS, XDR(connect_list_servers_ret), &none);
    ck_assert_int_eq(virAdmConnectListServers(conn, &servers, 0), 0);
    ck_assert_ptr_nonnull(servers);
    ck_assert_ptr_null(servers[0]);
    free(servers);
    virAdmConnectClose(conn);
}
END_TEST

/* ---- clients ---- */

START_TEST(test_clients)
{
    vadm_admin_client rows[] = {{{"srv"}, G_MAXUINT64, -5, 2}, {{"srv"}, 1, 0, 77}};
    const struct vadm_admin_server_list_clients_ret ret = {{2, rows}, 2};
    struct vadm_admin_client_close_args args = {.flags = 0};
    virAdmClientPtr *clients = NULL;
    virAdmServerPtr server;

    peer_answer(peer, VADM_ADMIN_PROC_SERVER_LIST_CLIENTS, XDR(server_list_clients_ret), &ret);
    peer_answer(peer, VADM_ADMIN_PROC_CLIENT_CLOSE, NULL, NULL);
    vir_open();
    server = vir_server("srv");
    ck_assert_int_eq(virAdmServerListClients(server, &clients, 0), 2);
    ck_assert_ptr_null(clients[2]);
    ck_assert_uint_eq(virAdmClientGetID(clients[0]), G_MAXUINT64);
    ck_assert_int_eq(virAdmClientGetTimestamp(clients[0]), -5);
    ck_assert_int_eq(virAdmClientGetTransport(clients[0]), VIR_CLIENT_TRANS_TLS);
    ck_assert_int_eq(virAdmClientGetTransport(clients[1]), 77);
    virAdmServerFree(server); /* clients hold it */
    ck_assert_int_eq(virAdmClientClose(clients[1], 3), 0);
    vir_last_args(VADM_ADMIN_PROC_CLIENT_CLOSE, XDR(client_close_args), &args);
    ck_assert_str_eq(args.clnt.srv.name, "srv");
    ck_assert_uint_eq(args.clnt.id, 1);
    ck_assert_uint_eq(args.flags, 3);
    xdr_free(XDR(client_close_args), &args);
    virAdmClientFree(clients[0]);
    virAdmClientFree(clients[1]);
    free(clients);
    ck_assert_int_eq(virAdmConnectClose(conn), 0);
}
END_TEST

static VadmMessage *
echo_client(const VadmMessage *call, gpointer user G_GNUC_UNUSED)
{
    struct vadm_admin_server_lookup_client_args args = {.flags = 0};
    struct vadm_admin_server_lookup_client_ret ret = {{{NULL}, 0, 1700000000, 1}};
    VadmMessage *reply;

    ck_assert(vadm_message_decode(call, XDR(server_lookup_client_args), &args, NULL));
    ret.clnt.srv.name = args.srv.name;
    ret.clnt.id = args.id;
    reply = vadm_message_new_reply(&call->header, XDR(server_lookup_client_ret), &ret, NULL);
    xdr_free(XDR(server_lookup_client_args), &args);
    return reply;
}

START_TEST(test_client_info)
{
    vadm_typed_param list[] = {
        {"readonly", {.type = VADM_TYPED_PARAM_BOOLEAN, .vadm_typed_param_value_u.b = 5}},
        {"unix_user_id", {.type = VADM_TYPED_PARAM_INT, .vadm_typed_param_value_u.i = -2}},
        {"unix_user_name", {.type = VADM_TYPED_PARAM_STRING, .vadm_typed_param_value_u.s = "me"}},
    };
    const struct vadm_admin_client_get_info_ret ret = {{3, list}};
    virTypedParameterPtr params = NULL;
    virAdmServerPtr server;
    virAdmClientPtr client;
    const char *name;
    int n = 0, value;

    peer_handle(peer, VADM_ADMIN_PROC_SERVER_LOOKUP_CLIENT, echo_client, NULL);
    peer_answer(peer, VADM_ADMIN_PROC_CLIENT_GET_INFO, XDR(client_get_info_ret), &ret);
    vir_open();
    server = vir_server("srv");
    client = virAdmServerLookupClient(server, 1ULL << 40, 0);
    ck_assert_uint_eq(virAdmClientGetID(client), 1ULL << 40);
    ck_assert_int_eq(virAdmClientGetTimestamp(client), 1700000000);
    ck_assert_int_eq(virAdmClientGetInfo(client, &params, NULL, 0), -1);
    VIR_ASSERT_ERROR(VIR_ERR_INVALID_ARG, VIR_FROM_ADMIN,
                     "nparams in virAdmClientGetInfo must not be NULL");
    ck_assert_int_eq(virAdmClientGetInfo(client, NULL, &n, 0), -1);
    VIR_ASSERT_ERROR(VIR_ERR_INVALID_ARG, VIR_FROM_ADMIN,
                     "params in virAdmClientGetInfo must not be NULL");
    ck_assert_int_eq(virAdmClientGetInfo(client, &params, &n, 0), 0);
    ck_assert_int_eq(n, 3);
    ck_assert_int_eq(virTypedParamsGetBoolean(params, n, VIR_CLIENT_INFO_READONLY, &value), 1);
    ck_assert_int_eq(value, 1);
    ck_assert_int_eq(virTypedParamsGetInt(params, n, VIR_CLIENT_INFO_UNIX_USER_ID, &value), 1);
    ck_assert_int_eq(value, -2);
    ck_assert_int_eq(virTypedParamsGetString(params, n, VIR_CLIENT_INFO_UNIX_USER_NAME, &name), 1);
    ck_assert_str_eq(name, "me");
    virTypedParamsFree(params, n);
    virAdmClientFree(client);
    virAdmServerFree(server);
    virAdmConnectClose(conn);
}
END_TEST

/* ---- parameters that are set ---- */

START_TEST(test_set_params)
{
    struct vadm_admin_server_set_threadpool_parameters_args args = {.flags = 0};
    virTypedParameterPtr params = NULL;
    virAdmServerPtr server;
    int n = 0, space = 0;

    peer_answer(peer, VADM_ADMIN_PROC_SERVER_SET_THREADPOOL_PARAMETERS, NULL, NULL);
    vir_open();
    server = vir_server("srv");
    virTypedParamsAddUInt(&params, &n, &space, "maxWorkers", 4000000000u);
    /* libvirt's library leaves strings out without a word: the daemon shall refuse them */
    virTypedParamsAddString(&params, &n, &space, "minWorkers", "five");
    ck_assert_int_eq(virAdmServerSetThreadPoolParameters(server, params, n, 9), 0);
    vir_last_args(VADM_ADMIN_PROC_SERVER_SET_THREADPOOL_PARAMETERS,
                  XDR(server_set_threadpool_parameters_args), &args);
    ck_assert_str_eq(args.srv.name, "srv");
    ck_assert_uint_eq(args.flags, 9);
    ck_assert_uint_eq(args.params.params_len, 2);
    ck_assert_str_eq(args.params.params_val[0].field, "maxWorkers");
    ck_assert_int_eq(args.params.params_val[0].value.type, VADM_TYPED_PARAM_UINT);
    ck_assert_uint_eq(args.params.params_val[0].value.vadm_typed_param_value_u.ui, 4000000000u);
    ck_assert_str_eq(args.params.params_val[1].value.vadm_typed_param_value_u.s, "five");
    xdr_free(XDR(server_set_threadpool_parameters_args), &args);
    virTypedParamsFree(params, n);
    virAdmServerFree(server);
    virAdmConnectClose(conn);
}
END_TEST

static void
assert_refused_params(virAdmServerPtr server, virTypedParameterPtr params, int n, int number,
                      const char *text)
{
    ck_assert_int_eq(virAdmServerSetClientLimits(server, params, n, 0), -1);
    ck_assert_int_eq(virGetLastErrorCode(), number);
    ck_assert_str_eq(virGetLastErrorMessage(), text);
}

/* Nothing of this reaches the daemon. Some of it crashes libvirt's own library. */
START_TEST(test_set_wrong_params)
{
    virTypedParameter params[33] = {0};
    virAdmServerPtr server;

    for (int i = 0; i < 33; i++) {
        g_snprintf(params[i].field, sizeof params[i].field, "p%d", i);
        params[i].type = VIR_TYPED_PARAM_UINT;
    }
    vir_open();
    server = vir_server("srv");
    assert_refused_params(server, NULL, 0, VIR_ERR_INVALID_ARG,
                          "params in virAdmServerSetClientLimits must not be NULL");
    assert_refused_params(server, params, -1, VIR_ERR_INVALID_ARG,
                          "nparams in virAdmServerSetClientLimits must be zero or greater");
    assert_refused_params(server, params, 33, VIR_ERR_RPC,
                          "too many parameters '33' for limit '32'");
    ck_assert_int_eq(virGetLastErrorDomain(), VIR_FROM_NONE);
    params[1].type = 99;
    assert_refused_params(server, params, 2, VIR_ERR_RPC, "unknown parameter type: 99");
    ck_assert_uint_eq(peer_n_calls(peer, VADM_ADMIN_PROC_SERVER_SET_CLIENT_LIMITS), 0);
    peer_answer(peer, VADM_ADMIN_PROC_SERVER_SET_CLIENT_LIMITS, NULL, NULL);
    params[1].type = VIR_TYPED_PARAM_UINT;
    ck_assert_int_eq(virAdmServerSetClientLimits(server, params, 32, 0), 0);
    ck_assert_int_eq(virAdmServerSetClientLimits(server, params, 0, 0), 0);
    ck_assert_uint_eq(peer_n_calls(peer, VADM_ADMIN_PROC_SERVER_SET_CLIENT_LIMITS), 2);
    virAdmServerFree(server);
    virAdmConnectClose(conn);
}
END_TEST

/* ---- logging ---- */

START_TEST(test_logging)
{
    struct vadm_admin_connect_set_logging_filters_args args = {NULL, 0};
    vadm_string text = "1:*util* ";
    const struct vadm_admin_connect_get_logging_filters_ret some = {&text, 1};
    const struct vadm_admin_connect_get_logging_filters_ret none = {NULL, 0};
    char *filters = NULL;

    vir_open();
    peer_answer(peer, VADM_ADMIN_PROC_CONNECT_GET_LOGGING_FILTERS,
                XDR(connect_get_logging_filters_ret), &some);
    ck_assert_int_eq(virAdmConnectGetLoggingFilters(conn, NULL, 0), 1);
    ck_assert_int_eq(virAdmConnectGetLoggingFilters(conn, &filters, 0), 1);
    ck_assert_str_eq(filters, "1:*util* ");
    free(filters);
    peer_answer(peer, VADM_ADMIN_PROC_CONNECT_GET_LOGGING_FILTERS,
                XDR(connect_get_logging_filters_ret), &none);
    ck_assert_int_eq(virAdmConnectGetLoggingFilters(conn, &filters, 0), 0);
    ck_assert_ptr_null(filters);

    peer_answer(peer, VADM_ADMIN_PROC_CONNECT_SET_LOGGING_FILTERS, NULL, NULL);
    ck_assert_int_eq(virAdmConnectSetLoggingFilters(conn, NULL, 0), 0);
    vir_last_args(VADM_ADMIN_PROC_CONNECT_SET_LOGGING_FILTERS,
                  XDR(connect_set_logging_filters_args), &args);
    ck_assert_ptr_null(args.filters);
    ck_assert_int_eq(virAdmConnectSetLoggingFilters(conn, "", 1), 0);
    vir_last_args(VADM_ADMIN_PROC_CONNECT_SET_LOGGING_FILTERS,
                  XDR(connect_set_logging_filters_args), &args);
    ck_assert_str_eq(*args.filters, "");
    ck_assert_uint_eq(args.flags, 1);
    xdr_free(XDR(connect_set_logging_filters_args), &args);
    virAdmConnectClose(conn);
}
END_TEST

START_TEST(test_level)
{
    const struct vadm_extension_get_log_level_ret two = {2};

    vir_open();
    peer_refuse(peer, VADM_EXTENSION_PROC_GET_LOG_LEVEL, VIR_ERR_RPC,
                "Cannot find program 1986094200 version 1");
    ck_assert_int_eq(virAdmConnectGetLoggingLevel(conn, 0), -1);
    VIR_ASSERT_ERROR(VIR_ERR_NO_SUPPORT, VIR_FROM_ADMIN,
                     "this function is not supported by the connection driver: "
                     "virAdmConnectGetLoggingLevel");
    peer_refuse(peer, VADM_EXTENSION_PROC_GET_LOG_LEVEL, VIR_ERR_RPC, "unknown procedure: 1");
    ck_assert_int_eq(virAdmConnectGetLoggingLevel(conn, 0), -1);
    ck_assert_int_eq(virGetLastErrorCode(), VIR_ERR_RPC);
    peer_answer(peer, VADM_EXTENSION_PROC_GET_LOG_LEVEL,
                (xdrproc_t)xdr_vadm_extension_get_log_level_ret, &two);
    ck_assert_int_eq(virAdmConnectGetLoggingLevel(conn, 0), VIR_LOG_INFO);
    virAdmConnectClose(conn);
}
END_TEST

/* ---- the end of the daemon ---- */

START_TEST(test_shutdown_without_an_answer)
{
    vir_open();
    peer_hang_up(peer, VADM_ADMIN_PROC_CONNECT_DAEMON_SHUTDOWN, 0);
    ck_assert_int_eq(virAdmConnectDaemonShutdown(conn, VIR_DAEMON_SHUTDOWN_PRESERVE), 0);
    /* but of one that was gone before nothing is known */
    ck_assert_int_eq(virAdmConnectDaemonShutdown(conn, 0), -1);
    VIR_ASSERT_ERROR(VIR_ERR_INTERNAL_ERROR, VIR_FROM_RPC,
                     "internal error: client socket is closed");
    virAdmConnectClose(conn);
}
END_TEST

START_TEST(test_shutdown_answered)
{
    vir_open();
    ck_assert_int_eq(virAdmConnectDaemonShutdown(conn, 0), -1);
    VIR_ASSERT_ERROR(VIR_ERR_RPC, VIR_FROM_RPC, "unknown procedure: 20");
    peer_answer(peer, VADM_ADMIN_PROC_CONNECT_DAEMON_SHUTDOWN, NULL, NULL);
    ck_assert_int_eq(virAdmConnectDaemonShutdown(conn, 0), 0);
    virAdmConnectClose(conn);
}
END_TEST

/* ---- objects that are none ---- */

START_TEST(test_wrong_objects)
{
    char text[64] = "this is no object of any kind";
    unsigned long long version;
    virAdmServerPtr server;

    vir_open();
    server = vir_server("srv");
    ck_assert_int_eq(virAdmConnectGetLibVersion((virAdmConnectPtr)(void *)text, &version), -1);
    VIR_ASSERT_ERROR(VIR_ERR_INVALID_CONN, VIR_FROM_ADMIN,
                     "invalid connection pointer in virAdmConnectGetLibVersion");
    ck_assert_ptr_null(virAdmServerGetName((virAdmServerPtr)conn));
    VIR_ASSERT_ERROR(VIR_ERR_INVALID_CONN, VIR_FROM_ADMIN,
                     "invalid connection pointer in virAdmServerGetName");
    ck_assert_int_eq(virAdmConnectClose((virAdmConnectPtr)server), -1);
    ck_assert_int_eq(virAdmServerFree(server), 0);
    ck_assert_int_eq(virAdmServerFree(server), -1);
    ck_assert_int_eq(virAdmConnectClose(conn), 0);
    ck_assert_int_eq(virAdmConnectClose(conn), -1);
    VIR_ASSERT_ERROR(VIR_ERR_INVALID_CONN, VIR_FROM_ADMIN,
                     "invalid connection pointer in virAdmConnectClose");
    ck_assert_int_eq(virAdmConnectIsAlive(conn), -1);
}
END_TEST

static Suite *
vir_calls_suite(void)
{
    Suite *suite = suite_create("vir-calls");
    TCase *tc = tcase_create("calls");

    tcase_add_checked_fixture(tc, vir_setup, vir_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_error_in_full);
    tcase_add_test(tc, test_refused_open);
    tcase_add_test(tc, test_undecodable_replies);
    tcase_add_test(tc, test_list_servers);
    tcase_add_test(tc, test_counts_only);
    tcase_add_test(tc, test_list_and_count_differ);
    tcase_add_test(tc, test_clients);
    tcase_add_test(tc, test_client_info);
    tcase_add_test(tc, test_set_params);
    tcase_add_test(tc, test_set_wrong_params);
    tcase_add_test(tc, test_logging);
    tcase_add_test(tc, test_level);
    tcase_add_test(tc, test_shutdown_without_an_answer);
    tcase_add_test(tc, test_shutdown_answered);
    tcase_add_test(tc, test_wrong_objects);
    suite_add_tcase(suite, tc);
    return suite;
}

int
main(void)
{
    return vadm_unit_main(vir_calls_suite());
}
