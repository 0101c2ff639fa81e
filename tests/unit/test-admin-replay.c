/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Replays what real virt-admin programs sent to real libvirt daemons, and compares the answers
 * with those that were captured: octet by octet, but for values that differ between any two
 * daemons (times, ids, pids, which clients there are).
 */
#include <string.h>
#include <unistd.h>

#include "admin-fixture.h"
#include "admin/admin-program.h"
#include "unit.h"

/* Sections of the captures that are no calls of the admin program to libvirt 9.0.0. */
#define FIRST_FOREIGN_SECTION 22

typedef struct {
    AdminFixture *fixture;
    int conn;
    int clients[4]; /* ids 1 to 4 of server libvirtd, of which the captures speak */
} Replay;

static VadmMessage *
parse_hex(const char *hex)
{
    gsize length = strlen(hex) / 2;
    guint8 *data = g_malloc(length);

    for (gsize i = 0; i < length; i++)
        data[i] = (guint8)((g_ascii_xdigit_value(hex[2 * i]) << 4) |
                           g_ascii_xdigit_value(hex[2 * i + 1]));
    return vadm_message_new_take(data, length);
}

static void
start(Replay *replay)
{
    char *filters = (char *)"1:qemu 3:rpc";
    vadm_admin_connect_set_logging_filters_args args = {&filters, 0};

    replay->fixture = admin_fixture_new();
    replay->conn = admin_connect(replay->fixture);
    for (guint i = 0; i < G_N_ELEMENTS(replay->clients); i++)
        replay->clients[i] = admin_connect_idle(replay->fixture);
    admin_assert_ok(admin_call(replay->conn, VADM_ADMIN_PROC_CONNECT_SET_LOGGING_FILTERS,
                               (xdrproc_t)xdr_vadm_admin_connect_set_logging_filters_args, &args));
    close(replay->conn);
}

static void
stop(Replay *replay)
{
    for (guint i = 0; i < G_N_ELEMENTS(replay->clients); i++)
        close(replay->clients[i]);
    admin_fixture_free(replay->fixture);
}

static void
compare_params(const vadm_typed_param *ours, u_int n_ours, const vadm_typed_param *theirs,
               u_int n_theirs)
{
    /* A system with SELinux tells one more. */
    if (n_ours == n_theirs + 1)
        ck_assert_str_eq(ours[n_theirs].field, "selinux_context");
    else
        ck_assert_uint_eq(n_ours, n_theirs);
    for (u_int i = 0; i < n_theirs; i++) {
        ck_assert_str_eq(ours[i].field, theirs[i].field);
        ck_assert_int_eq(ours[i].value.type, theirs[i].value.type);
    }
}

#define DECODE(message, type, ret)                                                                 \
    ck_assert(vadm_message_decode(message, (xdrproc_t)xdr_##type, ret, NULL))
#define FREE_BOTH(type, ours, theirs)                                                              \
    do {                                                                                           \
        xdr_free((xdrproc_t)xdr_##type, ours);                                                     \
        xdr_free((xdrproc_t)xdr_##type, theirs);                                                   \
    } while (0)

static void
compare_info(const VadmMessage *our_reply, const VadmMessage *their_reply)
{
    vadm_admin_client_get_info_ret ours = {0}, theirs = {0};

    DECODE(our_reply, vadm_admin_client_get_info_ret, &ours);
    DECODE(their_reply, vadm_admin_client_get_info_ret, &theirs);
    compare_params(ours.params.params_val, ours.params.params_len, theirs.params.params_val,
                   theirs.params.params_len);
    FREE_BOTH(vadm_admin_client_get_info_ret, &ours, &theirs);
}

/* How many workers are free depends on the moment. */
static void
compare_pool(const VadmMessage *our_reply, const VadmMessage *their_reply)
{
    vadm_admin_server_get_threadpool_parameters_ret ours = {0}, theirs = {0};

    DECODE(our_reply, vadm_admin_server_get_threadpool_parameters_ret, &ours);
    DECODE(their_reply, vadm_admin_server_get_threadpool_parameters_ret, &theirs);
    compare_params(ours.params.params_val, ours.params.params_len, theirs.params.params_val,
                   theirs.params.params_len);
    FREE_BOTH(vadm_admin_server_get_threadpool_parameters_ret, &ours, &theirs);
}

static void
compare_limits(const VadmMessage *our_reply, const VadmMessage *their_reply)
{
    vadm_admin_server_get_client_limits_ret ours = {0}, theirs = {0};

    DECODE(our_reply, vadm_admin_server_get_client_limits_ret, &ours);
    DECODE(their_reply, vadm_admin_server_get_client_limits_ret, &theirs);
    compare_params(ours.params.params_val, ours.params.params_len, theirs.params.params_val,
                   theirs.params.params_len);
    FREE_BOTH(vadm_admin_server_get_client_limits_ret, &ours, &theirs);
}

static void
compare_client(const vadm_admin_client *ours, const vadm_admin_client *theirs)
{
    ck_assert_str_eq(ours->srv.name, theirs->srv.name);
    ck_assert_uint_eq(ours->transport, theirs->transport);
}

static void
compare_list(const VadmMessage *our_reply, const VadmMessage *their_reply)
{
    vadm_admin_server_list_clients_ret ours = {0}, theirs = {0};

    DECODE(our_reply, vadm_admin_server_list_clients_ret, &ours);
    DECODE(their_reply, vadm_admin_server_list_clients_ret, &theirs);
    ck_assert_uint_eq(ours.ret, ours.clients.clients_len);
    ck_assert_uint_gt(ours.ret, 0);
    for (u_int i = 0; i < ours.clients.clients_len; i++)
        compare_client(&ours.clients.clients_val[i], &theirs.clients.clients_val[0]);
    FREE_BOTH(vadm_admin_server_list_clients_ret, &ours, &theirs);
}

static void
compare_lookup(const VadmMessage *our_reply, const VadmMessage *their_reply)
{
    vadm_admin_server_lookup_client_ret ours = {0}, theirs = {0};

    DECODE(our_reply, vadm_admin_server_lookup_client_ret, &ours);
    DECODE(their_reply, vadm_admin_server_lookup_client_ret, &theirs);
    ck_assert_uint_eq(ours.clnt.id, theirs.clnt.id);
    compare_client(&ours.clnt, &theirs.clnt);
    FREE_BOTH(vadm_admin_server_lookup_client_ret, &ours, &theirs);
}

static void
compare(const char *section, const VadmMessage *ours, const VadmMessage *theirs)
{
    const VadmRpcHeader *a = &ours->header, *b = &theirs->header;

    ck_assert_msg(memcmp(a, b, sizeof(*a)) == 0, "%s: procedure %d: header", section, b->procedure);
    switch (b->status == VADM_RPC_OK ? b->procedure : 0) {
    case VADM_ADMIN_PROC_CONNECT_GET_LIB_VERSION:
        ck_assert_uint_eq(ours->length, theirs->length);
        break;
    case VADM_ADMIN_PROC_SERVER_GET_THREADPOOL_PARAMETERS:
        compare_pool(ours, theirs);
        break;
    case VADM_ADMIN_PROC_SERVER_LIST_CLIENTS:
        compare_list(ours, theirs);
        break;
    case VADM_ADMIN_PROC_SERVER_LOOKUP_CLIENT:
        compare_lookup(ours, theirs);
        break;
    case VADM_ADMIN_PROC_CLIENT_GET_INFO:
        compare_info(ours, theirs);
        break;
    case VADM_ADMIN_PROC_SERVER_GET_CLIENT_LIMITS:
        compare_limits(ours, theirs);
        break;
    default:
        ck_assert_msg(ours->length == theirs->length &&
                          memcmp(ours->data, theirs->data, ours->length) == 0,
                      "%s: procedure %d: the payload differs", section, b->procedure);
    }
}

/* Each section is a connection of its own; a captured reply follows its call. */
START_TEST(test_replay)
{
    Replay replay = {.conn = -1};
    g_autofree char *text = NULL, *section = g_strdup("");
    g_auto(GStrv) lines = NULL;
    g_autoptr(VadmMessage) reply = NULL;
    guint compared = 0;

    ck_assert(g_file_get_contents(TEST_DATA "/admin-traces.hex", &text, NULL, NULL));
    lines = g_strsplit(text, "\n", -1);
    start(&replay);
    replay.conn = admin_connect(replay.fixture);
    for (guint i = 0; lines[i] && atoi(section) < FIRST_FOREIGN_SECTION; i++) {
        g_autoptr(VadmMessage) message = NULL;

        if (g_str_has_prefix(lines[i], "# ")) {
            g_free(section);
            section = g_strdup(lines[i] + 2);
            close(replay.conn);
            replay.conn = admin_connect(replay.fixture);
        }
        if (lines[i][0] != '>' && lines[i][0] != '<')
            continue;
        message = parse_hex(lines[i] + 2);
        if (lines[i][0] == '>') {
            ck_assert_ptr_null(reply);
            admin_send(replay.conn, message);
            reply = admin_receive(replay.conn);
            ck_assert_msg(reply != NULL, "%s: no reply", section);
            continue;
        }
        compare(section, reply, message);
        g_clear_pointer(&reply, vadm_message_free);
        compared++;
    }
    close(replay.conn);
    ck_assert_uint_gt(compared, 30);
    /* The last of the sections disconnected client 2. */
    ck_assert(admin_at_end(replay.clients[1]));
    stop(&replay);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("admin-replay");
    TCase *tests = tcase_create("captures");

    tcase_set_timeout(tests, 2 * ADMIN_PATIENCE_SECONDS);
    tcase_add_test(tests, test_replay);
    suite_add_tcase(suite, tests);
    return vadm_unit_main(suite);
}
