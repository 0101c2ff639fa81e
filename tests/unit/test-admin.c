/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The admin program over real sockets: what each procedure answers, and what it does. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin-fixture.h"
#include "admin/admin-program.h"
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

    admin_assert_ok(
        ADMIN_CALL(conn, VADM_ADMIN_PROC_CONNECT_OPEN, vadm_admin_connect_open_args, 0));
    admin_assert_ret(admin_call(conn, VADM_ADMIN_PROC_CONNECT_GET_LIB_VERSION, NULL, NULL),
                     (xdrproc_t)xdr_vadm_admin_connect_get_lib_version_ret, &version);
    ck_assert_uint_eq(version.lib_version, 11002000);
    admin_assert_ok(admin_call(conn, VADM_ADMIN_PROC_CONNECT_CLOSE, NULL, NULL));
    ck_assert(admin_at_end(conn));
    /* Only the caller's own connection ends. */
    admin_assert_ok(
        ADMIN_CALL(quiet, VADM_ADMIN_PROC_CONNECT_OPEN, vadm_admin_connect_open_args, 0));
    close(quiet);
}
END_TEST

START_TEST(test_servers)
{
    vadm_admin_connect_list_servers_ret list = {0};
    vadm_admin_connect_lookup_server_ret found = {0};

    ADMIN_GET(conn, VADM_ADMIN_PROC_CONNECT_LIST_SERVERS, vadm_admin_connect_list_servers_args,
              vadm_admin_connect_list_servers_ret, &list, 1, 0);
    ck_assert_uint_eq(list.ret, 2);
    ck_assert_uint_eq(list.servers.servers_len, 2);
    ck_assert_str_eq(list.servers.servers_val[0].name, "admin");
    ck_assert_str_eq(list.servers.servers_val[1].name, "libvirtd");
    ADMIN_FREE(vadm_admin_connect_list_servers_ret, &list);
    ADMIN_GET(conn, VADM_ADMIN_PROC_CONNECT_LIST_SERVERS, vadm_admin_connect_list_servers_args,
              vadm_admin_connect_list_servers_ret, &list, 0, 0);
    ck_assert_uint_eq(list.ret, 2);
    ck_assert_uint_eq(list.servers.servers_len, 0);
    ADMIN_FREE(vadm_admin_connect_list_servers_ret, &list);
    /* Any flags are accepted here. */
    ADMIN_GET(conn, VADM_ADMIN_PROC_CONNECT_LOOKUP_SERVER, vadm_admin_connect_lookup_server_args,
              vadm_admin_connect_lookup_server_ret, &found, (char *)"libvirtd", 5);
    ck_assert_str_eq(found.srv.name, "libvirtd");
    ADMIN_FREE(vadm_admin_connect_lookup_server_ret, &found);
}
END_TEST

START_TEST(test_getters)
{
    vadm_admin_server_get_threadpool_parameters_ret pool = {0};
    vadm_admin_server_get_client_limits_ret limits = {0};
    g_autofree char *pool_text = NULL, *limits_text = NULL;

    ADMIN_GET(conn, VADM_ADMIN_PROC_SERVER_GET_THREADPOOL_PARAMETERS,
              vadm_admin_server_get_threadpool_parameters_args,
              vadm_admin_server_get_threadpool_parameters_ret, &pool, ADMIN_LIBVIRTD, 0);
    pool_text = describe(pool.params.params_val, pool.params.params_len);
    ck_assert_str_eq(pool_text, "minWorkers/2 maxWorkers/2 nWorkers/2 freeWorkers/2 prioWorkers/2 "
                                "jobQueueDepth/2");
    ADMIN_FREE(vadm_admin_server_get_threadpool_parameters_ret, &pool);
    ADMIN_GET(conn, VADM_ADMIN_PROC_SERVER_GET_CLIENT_LIMITS,
              vadm_admin_server_get_client_limits_args, vadm_admin_server_get_client_limits_ret,
              &limits, ADMIN_LIBVIRTD, 0);
    limits_text = describe(limits.params.params_val, limits.params.params_len);
    ck_assert_str_eq(limits_text,
                     "nclients_max/2 nclients/2 nclients_unauth_max/2 nclients_unauth/2");
    ADMIN_FREE(vadm_admin_server_get_client_limits_ret, &limits);
    ck_assert_uint_eq(admin_pool_value(conn, "libvirtd", "minWorkers"), 5);
    ck_assert_uint_eq(admin_pool_value(conn, "libvirtd", "maxWorkers"), 20);
    ck_assert_uint_eq(admin_pool_value(conn, "libvirtd", "nWorkers"), 5);
    ck_assert_uint_eq(admin_pool_value(conn, "libvirtd", "prioWorkers"), 5);
    ck_assert_uint_eq(admin_pool_value(conn, "libvirtd", "jobQueueDepth"), 0);
    /* The worker that answers is not free. Both from one reply: the pool may grow between two. */
    ADMIN_GET(conn, VADM_ADMIN_PROC_SERVER_GET_THREADPOOL_PARAMETERS,
              vadm_admin_server_get_threadpool_parameters_args,
              vadm_admin_server_get_threadpool_parameters_ret, &pool, {(char *)"admin"}, 0);
    ck_assert_uint_lt(pool.params.params_val[3].value.vadm_typed_param_value_u.ui,
                      pool.params.params_val[2].value.vadm_typed_param_value_u.ui);
    ADMIN_FREE(vadm_admin_server_get_threadpool_parameters_ret, &pool);
    ck_assert_uint_eq(admin_limit_value(conn, "libvirtd", "nclients_max"), 5000);
    ck_assert_uint_eq(admin_limit_value(conn, "libvirtd", "nclients"), 0);
    ck_assert_uint_eq(admin_limit_value(conn, "libvirtd", "nclients_unauth_max"), 20);
    ck_assert_uint_eq(admin_limit_value(conn, "admin", "nclients"), 1);
}
END_TEST

START_TEST(test_set_pool)
{
    vadm_typed_param both[] = {ADMIN_UINT("maxWorkers", 40), ADMIN_UINT("minWorkers", 30),
                               ADMIN_UINT("prioWorkers", 2)};
    vadm_typed_param down[] = {ADMIN_UINT("minWorkers", 1), ADMIN_UINT("maxWorkers", 1),
                               ADMIN_UINT("prioWorkers", 0)};

    admin_assert_ok(admin_set_pool(conn, "libvirtd", both, 3, 0));
    ck_assert_uint_eq(admin_pool_value(conn, "libvirtd", "minWorkers"), 30);
    ck_assert_uint_eq(admin_pool_value(conn, "libvirtd", "maxWorkers"), 40);
    ck_assert_uint_eq(admin_pool_value(conn, "libvirtd", "prioWorkers"), 2);
    ck_assert_uint_ge(admin_pool_value(conn, "libvirtd", "nWorkers"), 30);
    /* The other server has a pool of its own. */
    ck_assert_uint_eq(admin_pool_value(conn, "admin", "maxWorkers"), 5);
    admin_assert_ok(admin_set_pool(conn, "libvirtd", down, 3, 0));
    ck_assert_uint_eq(admin_pool_value(conn, "libvirtd", "maxWorkers"), 1);
    ck_assert_uint_eq(admin_pool_value(conn, "libvirtd", "prioWorkers"), 0);
    admin_assert_ok(admin_set_pool(conn, "libvirtd", NULL, 0, 0));
    ck_assert_uint_eq(admin_pool_value(conn, "libvirtd", "maxWorkers"), 1);
    /* The pool that serves this very call. */
    admin_assert_ok(admin_set_pool(conn, "admin", down, 3, 0));
    ck_assert_uint_eq(admin_pool_value(conn, "admin", "maxWorkers"), 1);
}
END_TEST

START_TEST(test_set_limits)
{
    vadm_typed_param both[] = {ADMIN_UINT("nclients_max", 10),
                               ADMIN_UINT("nclients_unauth_max", 10)};
    vadm_typed_param none[] = {ADMIN_UINT("nclients_unauth_max", 0), ADMIN_UINT("nclients_max", 0)};

    admin_assert_ok(admin_set_limits(conn, "libvirtd", both, 2, 0));
    ck_assert_uint_eq(admin_limit_value(conn, "libvirtd", "nclients_max"), 10);
    ck_assert_uint_eq(admin_limit_value(conn, "libvirtd", "nclients_unauth_max"), 10);
    admin_assert_ok(admin_set_limits(conn, "libvirtd", none, 2, 0));
    ck_assert_uint_eq(admin_limit_value(conn, "libvirtd", "nclients_max"), 0);
    ck_assert_uint_eq(admin_limit_value(conn, "admin", "nclients_max"), 50);
    admin_assert_ok(admin_set_limits(conn, "libvirtd", NULL, 0, 0));
}
END_TEST

/* Replies first, then asks to quit. */
START_TEST(test_shutdown)
{
    gint64 deadline = g_get_monotonic_time() + ADMIN_PATIENCE_SECONDS * G_USEC_PER_SEC;

    admin_assert_ok(ADMIN_CALL(conn, VADM_ADMIN_PROC_CONNECT_DAEMON_SHUTDOWN,
                               vadm_admin_connect_daemon_shutdown_args, (u_int)_i));
    while (atomic_load(&fixture->quits) == 0 && g_get_monotonic_time() < deadline)
        g_usleep(1000);
    ck_assert_int_eq(atomic_load(&fixture->quits), 1);
}
END_TEST

static char *
get_outputs(u_int *count)
{
    vadm_admin_connect_get_logging_outputs_ret ret = {0};
    char *outputs;

    ADMIN_GET(conn, VADM_ADMIN_PROC_CONNECT_GET_LOGGING_OUTPUTS,
              vadm_admin_connect_get_logging_outputs_args,
              vadm_admin_connect_get_logging_outputs_ret, &ret, 0);
    outputs = g_strdup(ret.outputs);
    *count = ret.noutputs;
    ADMIN_FREE(vadm_admin_connect_get_logging_outputs_ret, &ret);
    return outputs;
}

/* NULL: absent on the wire. */
static char *
get_filters(u_int *count)
{
    vadm_admin_connect_get_logging_filters_ret ret = {0};
    char *filters;

    ADMIN_GET(conn, VADM_ADMIN_PROC_CONNECT_GET_LOGGING_FILTERS,
              vadm_admin_connect_get_logging_filters_args,
              vadm_admin_connect_get_logging_filters_ret, &ret, 0);
    filters = ret.filters ? g_strdup(*ret.filters) : NULL;
    *count = ret.nfilters;
    ADMIN_FREE(vadm_admin_connect_get_logging_filters_ret, &ret);
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
    ADMIN_GET(conn, VADM_ADMIN_PROC_SERVER_LIST_CLIENTS, vadm_admin_server_list_clients_args,
              vadm_admin_server_list_clients_ret, ret, {(char *)server}, 1, 0);
    return ret->clients.clients_len;
}

/* A connection is accepted a little after connect() has returned. */
static void
wait_for_clients(const char *server, guint32 count)
{
    gint64 deadline = g_get_monotonic_time() + ADMIN_PATIENCE_SECONDS * G_USEC_PER_SEC;

    while (admin_limit_value(conn, server, "nclients") != count &&
           g_get_monotonic_time() < deadline)
        g_usleep(1000);
    ck_assert_uint_eq(admin_limit_value(conn, server, "nclients"), count);
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
    ADMIN_FREE(vadm_admin_server_list_clients_ret, &list);
    ADMIN_GET(conn, VADM_ADMIN_PROC_SERVER_LIST_CLIENTS, vadm_admin_server_list_clients_args,
              vadm_admin_server_list_clients_ret, &list, ADMIN_LIBVIRTD, 0, 0);
    ck_assert_uint_eq(list.ret, 2);
    ck_assert_uint_eq(list.clients.clients_len, 0);
    ADMIN_GET(conn, VADM_ADMIN_PROC_SERVER_LOOKUP_CLIENT, vadm_admin_server_lookup_client_args,
              vadm_admin_server_lookup_client_ret, &found, ADMIN_LIBVIRTD, 2, 0);
    ck_assert_uint_eq(found.clnt.id, 2);
    /* Only server and id count. */
    ADMIN_GET(conn, VADM_ADMIN_PROC_CLIENT_GET_INFO, vadm_admin_client_get_info_args,
              vadm_admin_client_get_info_ret, &info, {ADMIN_LIBVIRTD, 2, -1, 99}, 0);
    text = describe(info.params.params_val, info.params.params_len);
    ck_assert_msg(g_str_has_prefix(text, "readonly/6 unix_user_id/1 "), "%s", text);
    ck_assert_msg(strstr(text, " unix_group_id/1 ") && strstr(text, " unix_process_id/1"), "%s",
                  text);
    ck_assert_int_eq(info.params.params_val[0].value.vadm_typed_param_value_u.b, 0);
    ck_assert_int_eq(info.params.params_val[1].value.vadm_typed_param_value_u.i, (int)getuid());
    ADMIN_FREE(vadm_admin_client_get_info_ret, &info);
    ADMIN_FREE(vadm_admin_server_lookup_client_ret, &found);
    close(first);
    close(second);
}
END_TEST

START_TEST(test_disconnect)
{
    int first = admin_connect_idle(fixture), second = admin_connect_idle(fixture);

    wait_for_clients("libvirtd", 2);
    admin_assert_ok(ADMIN_CALL(conn, VADM_ADMIN_PROC_CLIENT_CLOSE, vadm_admin_client_close_args,
                               {ADMIN_LIBVIRTD, 1, 0, 0}, 0));
    ck_assert(admin_at_end(first));
    wait_for_clients("libvirtd", 1);
    admin_assert_error(ADMIN_CALL(conn, VADM_ADMIN_PROC_CLIENT_CLOSE, vadm_admin_client_close_args,
                                  {ADMIN_LIBVIRTD, 1, 0, 0}, 0),
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
    admin_assert_ok(ADMIN_CALL(conn, VADM_ADMIN_PROC_CONNECT_SET_DAEMON_TIMEOUT,
                               vadm_admin_connect_set_daemon_timeout_args, G_MAXUINT32, 0));
    admin_assert_ok(ADMIN_CALL(conn, VADM_ADMIN_PROC_CONNECT_SET_DAEMON_TIMEOUT,
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
    tcase_add_test(tests, test_set_limits);
    tcase_add_loop_test(tests, test_shutdown, 0, 2);
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
