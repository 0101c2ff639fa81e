/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A daemon that tells what no daemon of libvirt's would: what is served of it is valid, takes a
 * bounded amount of memory and time, and does no harm to what is read afterwards. */
#include <string.h>

#include "agent/remote-identity.h"
#include "remote-case.h"

#define INTERVAL 10000 /* ms: longer than any test; refreshes are made by bed_refresh() */
#define MANY     16384 /* what a list of the protocol can hold */

/* Numbers */

#define UNKNOWN(field) VADM_SERVER_UNKNOWN(VADM_FIELD_SERVER_##field)

static vadm_typed_param
of_uint(const char *name, guint32 value)
{
    vadm_typed_param param = {.field = (char *)name, .value.type = VADM_TYPED_PARAM_UINT};

    param.value.vadm_typed_param_value_u.ui = value;
    return param;
}

static vadm_typed_param
of_int(const char *name, gint32 value)
{
    vadm_typed_param param = {.field = (char *)name, .value.type = VADM_TYPED_PARAM_INT};

    param.value.vadm_typed_param_value_u.i = value;
    return param;
}

static vadm_typed_param
of_text(const char *name, const char *value)
{
    vadm_typed_param param = {.field = (char *)name, .value.type = VADM_TYPED_PARAM_STRING};

    param.value.vadm_typed_param_value_u.s = (char *)value;
    return param;
}

static vadm_typed_param
of_boolean(const char *name, gint32 value)
{
    vadm_typed_param param = {.field = (char *)name, .value.type = VADM_TYPED_PARAM_BOOLEAN};

    param.value.vadm_typed_param_value_u.b = value;
    return param;
}

/* Only a number of the right type counts, and of several the first. */
START_TEST(test_types_of_numbers)
{
    vadm_typed_param huge = {.field = (char *)"nWorkers", .value.type = VADM_TYPED_PARAM_ULLONG};
    VadmServerRow row = {.unknown = ~UNKNOWN(NAME)};

    huge.value.vadm_typed_param_value_u.ul = G_MAXUINT64;
    vadm_typed_param params[] = {of_int("minWorkers", -5),
                                 of_uint("minWorkers", 7),
                                 of_uint("minWorkers", 8),
                                 of_text("maxWorkers", "20"),
                                 huge,
                                 of_uint("freeWorkers", G_MAXUINT32),
                                 of_uint("", 1),
                                 of_uint("minworkers", 1)};

    vadm_remote_parse_threadpool(params, G_N_ELEMENTS(params), &row);
    vadm_remote_parse_limits(params, G_N_ELEMENTS(params), &row);
    ck_assert_uint_eq(row.unknown, ~(UNKNOWN(NAME) | UNKNOWN(WORKERS_MIN) | UNKNOWN(WORKERS_FREE)));
    ck_assert_uint_eq(row.workers_min, 7);
    ck_assert_uint_eq(row.workers_free, G_MAXUINT32);
}
END_TEST

/* More clients than there can be, of a limit that overflows when it is multiplied. */
START_TEST(test_huge_numbers)
{
    FakeServer *server = fake_find_server(bed->fake, "libvirtd");
    VadmServerRow row;

    server->limits[LIMIT_MAX] = server->limits[LIMIT_CURRENT] = G_MAXUINT32;
    server->limits[LIMIT_UNAUTH_MAX] = 1;
    server->limits[LIMIT_UNAUTH] = G_MAXUINT32;
    bed_start_ready(bed, INTERVAL);
    ck_assert(bed_server(bed, 2, &row));
    ck_assert_uint_eq(row.clients_current, G_MAXUINT32);
    ck_assert_int_eq(row.clients_state, VADM_LIMIT_FULL);
    ck_assert_int_eq(row.clients_unauth_state, VADM_LIMIT_FULL);
    FAKE_SET(bed->fake, server->limits[LIMIT_CURRENT] = G_MAXUINT32 / 10 * 9);
    bed_refresh(bed);
    ck_assert(bed_server(bed, 2, &row));
    ck_assert_int_eq(row.clients_state, VADM_LIMIT_HIGH);
}
END_TEST

/* Who clients are */

START_TEST(test_types_of_identity)
{
    vadm_typed_param none[] = {of_int("readonly", 1), of_text("readonly", "1")};
    vadm_typed_param params[] = {
        of_boolean("readonly", -1),       of_boolean("readonly", 0),
        of_text("unix_user_id", "0"),     of_uint("unix_group_id", 5),
        of_int("unix_process_id", 6),     of_int("sock_addr", 1),
        of_text("sasl_user_name", "one"), of_text("sasl_user_name", "two")};
    g_autoptr(VadmIdentity) identity = NULL;
    gboolean readonly = FALSE;

    ck_assert_ptr_null(vadm_remote_parse_identity(none, G_N_ELEMENTS(none), &readonly));
    identity = vadm_remote_parse_identity(params, G_N_ELEMENTS(params), &readonly);
    ck_assert_int_eq(readonly, TRUE);
    ck_assert(!identity->local); /* a process without a user is none */
    ck_assert_uint_eq(identity->uid, G_MAXUINT32);
    ck_assert_uint_eq(identity->gid, G_MAXUINT32);
    ck_assert_str_eq(identity->sasl_user_name, "one");
    ck_assert_str_eq(identity->sock_addr, "");
    ck_assert_uint_eq(identity->address.type, 0);
}
END_TEST

/* What is too long for every type of the MIB is not kept: there may be megabytes of it for each
 * client. */
START_TEST(test_long_texts)
{
    g_autofree char *longest = g_strnfill(4096, 'x');
    g_autofree char *longer = g_strnfill(4097, 'x');
    vadm_typed_param params[] = {of_boolean("readonly", 0), of_text("tls_x509_dname", longest),
                                 of_text("selinux_context", longer),
                                 of_text("sasl_user_name", longer), of_text("sock_addr", longer)};
    g_autoptr(VadmIdentity) identity = NULL;
    gboolean readonly;

    identity = vadm_remote_parse_identity(params, G_N_ELEMENTS(params), &readonly);
    ck_assert_str_eq(identity->x509_dn, longest);
    ck_assert_ptr_null(identity->selinux_context);
    ck_assert_ptr_null(identity->sasl_user_name);
    ck_assert_str_eq(identity->sock_addr, "");
}
END_TEST

/* Lists */

START_TEST(test_long_server_names)
{
    g_autofree char *longest = g_strnfill(4096, 'x');
    g_autofree char *longer = g_strnfill(4097, 'y');
    VadmServerRow row;

    fake_add_server(bed->fake, longer);
    fake_add_server(bed->fake, longest);
    bed_start_ready(bed, INTERVAL);
    ck_assert(bed_server(bed, 3, &row));
    ck_assert_str_eq(row.name, longest);
    ck_assert(!bed_server(bed, 4, &row));
}
END_TEST

START_TEST(test_thousands_of_servers)
{
    VadmServerRow row;
    guint n = 0;

    for (guint i = 0; i < MANY - 2; i++) {
        g_autofree char *name = g_strdup_printf("s%05u", MANY - i);

        fake_add_server(bed->fake, name);
    }
    bed_start_ready(bed, INTERVAL);
    for (guint i = 1; i < 200; i++)
        n += bed_server(bed, i, &row) ? 1 : 0;
    ck_assert_uint_eq(n, 64);
    ck_assert_uint_le(peer_n_calls(bed->peer, VADM_ADMIN_PROC_SERVER_GET_CLIENT_LIMITS), 64);
}
END_TEST

/* Ids of clients that were never seen; half of them want the indexes that the other half has. */
static void
replace_clients(FakeServer *server, gboolean collide)
{
    const guint64 high = (guint64)1 << 32;
    VADM_LOCK_SCOPE(&bed->fake->lock);

    for (guint i = 0; i < MANY; i++) {
        FakeClient *client = &g_array_index(server->clients, FakeClient, i);

        client->since++;
        client->id = i + 1;
        if (collide && i >= MANY / 2)
            client->id += high - MANY / 2;
    }
}

/* The longest time that the main loop does nothing else, of the best of some refreshes. */
static gint64
measure_refreshes(FakeServer *server, gboolean collide)
{
    gint64 best = G_MAXINT64;

    for (guint n = 0; n < 4; n++) {
        gint64 begun, longest = 0;

        replace_clients(server, collide);
        begun = g_get_monotonic_time();
        vadm_remote_reader_hold(bed->source);
        vadm_remote_reader_release(bed->source);
        while (bed->source->snapshot->taken < begun) {
            gint64 before = g_get_monotonic_time();

            g_main_context_iteration(NULL, TRUE);
            longest = MAX(longest, g_get_monotonic_time() - before);
        }
        best = MIN(best, longest);
    }
    return best;
}

/* As many clients as fit, and others at each refresh: the agent has other daemons to look after. */
START_TEST(test_colliding_clients)
{
    FakeServer *server = fake_find_server(bed->fake, "libvirtd");
    gint64 plain, colliding;

    for (guint i = 0; i < MANY; i++)
        fake_add_client(bed->fake, "libvirtd", i + 1);
    bed_start_ready(bed, 1000);
    plain = measure_refreshes(server, FALSE);
    colliding = measure_refreshes(server, TRUE);
    ck_assert_uint_eq(bed->source->snapshot->servers->len, 2);
    ck_assert_uint_eq(((VadmRemoteServer *)bed->source->snapshot->servers->pdata[1])->clients->len,
                      MANY);
    ck_assert_msg(colliding < 8 * plain, "%" G_GINT64_FORMAT " us, not about %" G_GINT64_FORMAT,
                  colliding, plain);
}
END_TEST

/* Messages that nobody asked for, or for something else */

static const VadmRpcHeader unasked = {
    .program = VADM_RPC_PROGRAM_ADMIN,
    .version = VADM_RPC_VERSION,
    .procedure = VADM_ADMIN_PROC_CONNECT_LIST_SERVERS,
    .type = VADM_RPC_REPLY,
    .serial = 4711,
    .status = VADM_RPC_OK,
};

START_TEST(test_events)
{
    VadmRpcHeader event = unasked;

    event.type = VADM_RPC_EVENT;
    bed_start_ready(bed, INTERVAL);
    for (guint i = 0; i < 1000; i++)
        peer_send(bed->peer, &event, NULL, NULL);
    bed_refresh(bed);
    ck_assert_uint_eq(peer_n_connections(bed->peer), 1);
    ck_assert_uint_eq(bed->events->len, 0);
}
END_TEST

/* What cannot be understood ends the connection, and everything is read over another one. */
START_TEST(test_unasked)
{
    VadmRpcHeader header = unasked;

    if (_i == 0)
        header.type = VADM_RPC_CALL;
    else if (_i == 1)
        header.status = VADM_RPC_CONTINUE;
    bed_start_ready(bed, INTERVAL);
    peer_send(bed->peer, &header, NULL, NULL);
    WAIT_FOR(peer_n_connections(bed->peer) == 2 && bed_is_up(bed));
    bed_refresh(bed);
    ck_assert_uint_eq(peer_n_connections(bed->peer), 2);
}
END_TEST

static VadmMessage *
answer_as_another(const VadmMessage *call, gpointer user)
{
    const guint32 *differs = user;
    VadmRpcHeader header = call->header;

    header.type = VADM_RPC_REPLY;
    header.serial += differs[0];
    header.procedure += (gint32)differs[1];
    header.program += differs[2];
    header.version += differs[3];
    return vadm_message_new(&header, NULL, NULL, NULL);
}

/* An answer is taken for none but its own call. */
START_TEST(test_answers_to_something_else)
{
    guint32 differs[4] = {0};
    guint n;

    differs[_i] = 1;
    peer_handle(bed->peer, VADM_ADMIN_PROC_CONNECT_LIST_SERVERS, answer_as_another, differs);
    bed_start(bed, 200);
    WAIT_FOR(bed_count(bed, VADM_EVENT_DAEMON) == 1);
    run_for(1000);
    n = peer_n_connections(bed->peer);
    ck_assert_msg(n >= 4 && n < 30, "%u connections", n);
    ck_assert_uint_le(peer_n_open(bed->peer), 1);
    ck_assert(!bed_is_up(bed));
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        test_types_of_numbers,  test_huge_numbers,         test_types_of_identity, test_long_texts,
        test_long_server_names, test_thousands_of_servers, test_colliding_clients, test_events};
    TCase *tc = remote_case_new("remote-rogue", tests, G_N_ELEMENTS(tests));

    tcase_add_loop_test(tc, test_unasked, 0, 3);
    tcase_add_loop_test(tc, test_answers_to_something_else, 0, 4);
    return remote_case_main("remote-rogue", tc);
}
