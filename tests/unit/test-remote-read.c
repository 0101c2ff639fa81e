/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the remote source shows of a daemon that answers, as it should or not. */
#include <arpa/inet.h>
#include <string.h>

#include "agent/remote-identity.h"
#include "remote-fixture.h"

#define INTERVAL 10000 /* ms: longer than any test; refreshes are made by bed_refresh() */

static Bed *bed;

static void
setup(void)
{
    bed = bed_new();
}

static void
teardown(void)
{
    g_clear_pointer(&bed, bed_free);
}

#define UNKNOWN(field) VADM_SERVER_UNKNOWN(VADM_FIELD_SERVER_##field)

START_TEST(test_before_it_is_read)
{
    VadmView *view;
    const VadmSourceClass *class;

    bed_start(bed, INTERVAL);
    class = bed->base->class;
    view = class->view_begin(bed->base);
    ck_assert_int_eq(class->daemon(view)->state, VADM_REACH_UNREACHABLE);
    ck_assert_str_eq(class->daemon(view)->name, "libvirtd");
    ck_assert_str_eq(class->daemon(view)->uri, BED_URI);
    ck_assert_ptr_null(class->daemon(view)->version);
    ck_assert_uint_eq(class->config(view)->generation, 1);
    ck_assert_int_eq(class->config(view)->last_origin, VADM_ORIGIN_STARTUP);
    ck_assert_int_gt(class->config(view)->last_change, 0);
    ck_assert_uint_eq(class->config(view)->log_level, 0);
    ck_assert_ptr_null(class->config(view)->log_filters);
    ck_assert_ptr_null(class->config(view)->log_outputs);
    ck_assert_ptr_null(class->server(view, VADM_MATCH_GT, 0));
    ck_assert_ptr_null(class->client(view, VADM_MATCH_GT, 0, 0));
    ck_assert_ptr_null(class->service(view, VADM_MATCH_GT, 0, 0));
    class->view_end(view);
}
END_TEST

START_TEST(test_scalars)
{
    VadmView *view;
    const VadmSourceClass *class;

    fake_add_client(bed->fake, "libvirtd", 1);
    FAKE_SET(bed->fake, g_free(bed->fake->filters);
             bed->fake->filters = g_strdup("1:*util* 2:* 3:*b* "));
    bed_start_ready(bed, INTERVAL);
    class = bed->base->class;
    view = class->view_begin(bed->base);
    ck_assert_str_eq(class->daemon(view)->version, "9.0.0");
    ck_assert_uint_eq(class->daemon(view)->server_number, 2);
    ck_assert_uint_eq(class->daemon(view)->service_number, 0);
    ck_assert_uint_eq(class->daemon(view)->client_number, 2);
    ck_assert_uint_eq(class->config(view)->log_level, 2);
    ck_assert_str_eq(class->config(view)->log_filters, "1:util 3:b");
    ck_assert_str_eq(class->config(view)->log_outputs, "3:stderr");
    ck_assert_uint_eq(class->config(view)->generation, 1);
    class->view_end(view);
    ck_assert_uint_eq(bed->events->len, 0); /* a daemon that is there is no news */
}
END_TEST

START_TEST(test_server_row)
{
    static const guint32 pool[] = {1, 2, 3, 4, 5, 6}, limits[] = {70, 7, 80, 8};
    FakeServer *server = fake_find_server(bed->fake, "libvirtd");
    VadmServerRow row;

    memcpy(server->pool, pool, sizeof(pool));
    memcpy(server->limits, limits, sizeof(limits));
    bed_start_ready(bed, INTERVAL);
    ck_assert(bed_server(bed, 2, &row));
    ck_assert_uint_eq(row.index, 2);
    ck_assert_uint_eq(row.unknown, 0);
    ck_assert_uint_eq(row.workers_min, 1);
    ck_assert_uint_eq(row.workers_max, 2);
    ck_assert_uint_eq(row.workers_current, 3);
    ck_assert_uint_eq(row.workers_free, 4);
    ck_assert_uint_eq(row.workers_priority, 5);
    ck_assert_uint_eq(row.job_queue_depth, 6);
    ck_assert_uint_eq(row.clients_max, 70);
    ck_assert_uint_eq(row.clients_current, 7);
    ck_assert_uint_eq(row.clients_unauth_max, 80);
    ck_assert_uint_eq(row.clients_unauth_current, 8);
    ck_assert_uint_eq(row.clients_high_percent, 80);
    ck_assert_int_eq(row.clients_state, VADM_LIMIT_NORMAL);
    ck_assert_int_eq(row.clients_unauth_state, VADM_LIMIT_NORMAL);
    ck_assert_uint_eq(row.clients_full_events, 0);
    ck_assert(!bed_server(bed, 3, &row));
}
END_TEST

/* What is not told has no value. */
START_TEST(test_absent_parameters)
{
    FakeServer *server = fake_find_server(bed->fake, "libvirtd");
    VadmServerRow row;

    server->pool_absent = 1u << POOL_DEPTH | 1u << POOL_MAX;
    server->limits_absent = 1u << LIMIT_UNAUTH | 1u << LIMIT_UNAUTH_MAX;
    bed_start_ready(bed, INTERVAL);
    ck_assert(bed_server(bed, 2, &row));
    ck_assert_uint_eq(row.unknown, UNKNOWN(JOB_QUEUE_DEPTH) | UNKNOWN(WORKERS_MAX) |
                                       UNKNOWN(CLIENTS_UNAUTH_CURRENT) |
                                       UNKNOWN(CLIENTS_UNAUTH_MAX) | UNKNOWN(CLIENTS_UNAUTH_STATE));
    ck_assert_uint_eq(row.workers_min, 5);
    ck_assert_uint_eq(row.clients_max, 10);
    FAKE_SET(bed->fake, server->limits_absent = 1u << LIMIT_CURRENT);
    bed_refresh(bed);
    ck_assert(bed_server(bed, 2, &row));
    ck_assert(row.unknown & UNKNOWN(CLIENTS_STATE));
    ck_assert(!(row.unknown & UNKNOWN(CLIENTS_UNAUTH_STATE)));
}
END_TEST

START_TEST(test_access)
{
    static const VadmField writable[] = {
        VADM_FIELD_LOG_LEVEL,
        VADM_FIELD_LOG_FILTERS,
        VADM_FIELD_LOG_OUTPUTS,
        VADM_FIELD_SERVER_WORKERS_MIN,
        VADM_FIELD_SERVER_WORKERS_MAX,
        VADM_FIELD_SERVER_WORKERS_PRIORITY,
        VADM_FIELD_SERVER_CLIENTS_MAX,
        VADM_FIELD_SERVER_CLIENTS_UNAUTH_MAX,
        VADM_FIELD_SERVER_CLIENTS_HIGH_PERCENT,
        VADM_FIELD_CLIENT_ADMIN_STATUS,
    };
    static const VadmField none[] = {
        VADM_FIELD_DAEMON_START_TIME,
        VADM_FIELD_DAEMON_PROCESS_ID,
        VADM_FIELD_DAEMON_UP_TIME,
        VADM_FIELD_CONFIG_STORAGE,
        VADM_FIELD_CONFIG_CONFIRM_TIMEOUT,
        VADM_FIELD_LOG_EMITTED,
        VADM_FIELD_SERVER_CLIENTS_ACCEPTED,
        VADM_FIELD_SERVER_AUTH_FAILURES,
        VADM_FIELD_SERVER_UPSTREAM_STATE,
        VADM_FIELD_SERVER_CLIENT_REQUESTS_MAX,
        VADM_FIELD_SERVICE_TRANSPORT,
        VADM_FIELD_CLIENT_AUTHENTICATED,
        VADM_FIELD_CLIENT_IDLE_TIME,
        VADM_FIELD_CLIENT_REQUESTS,
        VADM_FIELD_CONFIG_LOCK, /* the agent's own from here on */
        VADM_FIELD_NOTIFY_ENABLE,
        VADM_FIELD_CLIENT_DISCONNECT_REASON,
    };
    guint n_write = 0, n_none = 0;

    bed_start(bed, INTERVAL);
    for (gsize i = 0; i < G_N_ELEMENTS(writable); i++)
        ck_assert_int_eq(bed->base->class->access(bed->base, writable[i]), VADM_ACCESS_WRITE);
    for (gsize i = 0; i < G_N_ELEMENTS(none); i++)
        ck_assert_int_eq(bed->base->class->access(bed->base, none[i]), VADM_ACCESS_NONE);
    for (VadmField field = VADM_FIELD_NONE + 1; field < VADM_FIELD_LAST; field++) {
        n_write += bed->base->class->access(bed->base, field) == VADM_ACCESS_WRITE;
        n_none += bed->base->class->access(bed->base, field) == VADM_ACCESS_NONE;
    }
    ck_assert_uint_eq(n_write, G_N_ELEMENTS(writable));
    /* daemon 3, config 4, log 3, server 16, 18-25, service 8, client 17-20 and 24, notify 5 */
    ck_assert_uint_eq(n_none, 3 + 4 + 3 + 9 + 8 + 5 + 5);
}
END_TEST

/* Numbers of servers */

START_TEST(test_server_indexes)
{
    VadmServerRow row;

    fake_add_server(bed->fake, "zebra");
    fake_add_server(bed->fake, "Bee");
    bed_start_ready(bed, INTERVAL);
    ck_assert(bed_server(bed, 1, &row));
    ck_assert_str_eq(row.name, "admin");
    ck_assert(bed_server(bed, 2, &row));
    ck_assert_str_eq(row.name, "libvirtd");
    ck_assert(bed_server(bed, 3, &row));
    ck_assert_str_eq(row.name, "Bee");
    ck_assert(bed_server(bed, 4, &row));
    ck_assert_str_eq(row.name, "zebra");
    /* for good: another one comes, and one goes and comes back */
    fake_add_server(bed->fake, "antelope");
    FAKE_SET(bed->fake, g_ptr_array_remove(bed->fake->servers, fake_find_server(bed->fake, "Bee")));
    bed_refresh(bed);
    ck_assert(!bed_server(bed, 3, &row));
    ck_assert(bed_server(bed, 5, &row));
    ck_assert_str_eq(row.name, "antelope");
    fake_add_server(bed->fake, "Bee");
    bed_refresh(bed);
    ck_assert(bed_server(bed, 3, &row));
    ck_assert_str_eq(row.name, "Bee");
}
END_TEST

/* virtproxyd is at libvirtd:///system. */
START_TEST(test_server_called_like_the_scheme)
{
    VadmRemoteConfig config = {
        .name = "other", .uri = "virtqemud:///system", .refresh_interval = 1};
    VadmServerRow row;

    fake_add_server(bed->fake, "virtqemud");
    peer_listen(bed->peer);
    config.path = peer_path(bed->peer);
    bed->base = vadm_source_remote_new(&config);
    bed->source = (VadmRemoteSource *)bed->base;
    WAIT_FOR(bed_is_up(bed));
    ck_assert(bed_server(bed, 2, &row));
    ck_assert_str_eq(row.name, "virtqemud");
    ck_assert(bed_server(bed, 3, &row));
    ck_assert_str_eq(row.name, "libvirtd");
}
END_TEST

/* A name that cannot be told to a manager, or comes twice, or too many of them. */
START_TEST(test_strange_servers)
{
    g_autofree char *long_name = g_strnfill(300, 'x');
    VadmServerRow row;
    guint n = 0;

    fake_add_server(bed->fake, "");
    fake_add_server(bed->fake, "\xff\xfe");
    fake_add_server(bed->fake, "a\nb");
    fake_add_server(bed->fake, "admin");
    fake_add_server(bed->fake, long_name);
    bed_start_ready(bed, INTERVAL);
    ck_assert(bed_server(bed, 1, &row));
    ck_assert(bed_server(bed, 2, &row));
    ck_assert(bed_server(bed, 3, &row)); /* the MIB does not show the name, but all else */
    ck_assert_str_eq(row.name, long_name);
    ck_assert(!bed_server(bed, 4, &row));
    for (guint i = 0; i < 100; i++) {
        g_autofree char *name = g_strdup_printf("server%03u", i);

        fake_add_server(bed->fake, name);
    }
    bed_refresh(bed);
    for (guint i = 1; i < 200; i++)
        n += bed_server(bed, i, &row) ? 1 : 0;
    ck_assert_uint_eq(n, 64);
}
END_TEST

START_TEST(test_server_goes_between_the_questions)
{
    VadmServerRow row;

    fake_add_server(bed->fake, "third")->refusal = VADM_VIR_ERR_NO_SERVER;
    bed_start_ready(bed, INTERVAL);
    ck_assert(bed_server(bed, 2, &row));
    ck_assert(!bed_server(bed, 3, &row));
}
END_TEST

/* Refusals: all else is there. */

START_TEST(test_refused_outputs)
{
    VadmView *view;

    FAKE_SET(bed->fake, g_clear_pointer(&bed->fake->outputs, g_free));
    bed_start_ready(bed, INTERVAL);
    view = bed->base->class->view_begin(bed->base);
    ck_assert_ptr_null(bed->base->class->config(view)->log_outputs);
    ck_assert_str_eq(bed->base->class->config(view)->log_filters, "1:util 2:b");
    bed->base->class->view_end(view);
    FAKE_SET(bed->fake, bed->fake->outputs = g_strdup("1:file:/tmp/\n"));
    bed_refresh(bed);
    view = bed->base->class->view_begin(bed->base);
    ck_assert_ptr_null(bed->base->class->config(view)->log_outputs);
    bed->base->class->view_end(view);
    FAKE_SET(bed->fake, g_free(bed->fake->outputs); bed->fake->outputs = g_strdup("3:journald"));
    bed_refresh(bed);
    view = bed->base->class->view_begin(bed->base);
    ck_assert_str_eq(bed->base->class->config(view)->log_outputs, "3:journald");
    bed->base->class->view_end(view);
}
END_TEST

/* Without a value there is nothing to compare: neither its going nor its coming is a change, but
 * another one than before is. */
START_TEST(test_refusal_is_no_change)
{
    bed_start_ready(bed, INTERVAL);
    FAKE_SET(bed->fake, g_clear_pointer(&bed->fake->outputs, g_free));
    bed_refresh(bed);
    FAKE_SET(bed->fake, bed->fake->outputs = g_strdup("3:stderr"));
    bed_refresh(bed);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CONFIG), 0);
    FAKE_SET(bed->fake, g_clear_pointer(&bed->fake->outputs, g_free));
    bed_refresh(bed);
    FAKE_SET(bed->fake, bed->fake->outputs = g_strdup("1:stderr"));
    bed_refresh(bed);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CONFIG), 1);
}
END_TEST

START_TEST(test_refused_server)
{
    FakeServer *server = fake_find_server(bed->fake, "libvirtd");
    VadmServerRow row;

    server->refusal = VADM_VIR_ERR_NO_MEMORY;
    bed_start_ready(bed, INTERVAL);
    ck_assert(bed_server(bed, 2, &row));
    ck_assert_str_eq(row.name, "libvirtd");
    for (VadmField field = VADM_FIELD_SERVER_WORKERS_MIN;
         field <= VADM_FIELD_SERVER_CLIENTS_UNAUTH_CURRENT; field++)
        ck_assert(row.unknown & VADM_SERVER_UNKNOWN(field));
    ck_assert(bed_server(bed, 1, &row));
    ck_assert_uint_eq(row.unknown, 0);
}
END_TEST

START_TEST(test_refused_clients)
{
    FakeServer *server = fake_find_server(bed->fake, "libvirtd");
    guint asked;

    fake_add_client(bed->fake, "libvirtd", 7);
    bed_start_ready(bed, INTERVAL);
    bed_refresh(bed);
    asked = peer_n_calls(bed->peer, VADM_ADMIN_PROC_CLIENT_GET_INFO);
    FAKE_SET(bed->fake, server->list_refusal = VADM_VIR_ERR_NO_MEMORY);
    bed_refresh(bed);
    ck_assert_uint_eq(bed_count_clients(bed, 2), 0);
    ck_assert_uint_eq(bed_count_clients(bed, 1), 1);
    FAKE_SET(bed->fake, server->list_refusal = 0);
    bed_refresh(bed);
    ck_assert_uint_eq(bed_count_clients(bed, 2), 1);
    ck_assert_uint_eq(bed->events->len, 0);
    ck_assert_uint_eq(peer_n_calls(bed->peer, VADM_ADMIN_PROC_CLIENT_GET_INFO), asked);
}
END_TEST

/* Who comes and goes while it was not told is told when it is told again. */
START_TEST(test_clients_behind_a_refusal)
{
    FakeServer *server = fake_find_server(bed->fake, "libvirtd");

    fake_add_client(bed->fake, "libvirtd", 7);
    bed_start_ready(bed, INTERVAL);
    FAKE_SET(bed->fake, server->list_refusal = VADM_VIR_ERR_NO_MEMORY);
    bed_refresh(bed);
    fake_remove_client(bed->fake, "libvirtd", 7);
    fake_add_client(bed->fake, "libvirtd", 8);
    FAKE_SET(bed->fake, server->list_refusal = 0);
    bed_refresh(bed);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CLIENT_CONNECTED), 1);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CLIENT_DISCONNECTED), 1);
}
END_TEST

START_TEST(test_undecodable_answers)
{
    VadmServerRow row;

    peer_answer(bed->peer, VADM_ADMIN_PROC_SERVER_GET_CLIENT_LIMITS, NULL, NULL);
    peer_answer(bed->peer, VADM_ADMIN_PROC_CONNECT_GET_LIB_VERSION, NULL, NULL);
    peer_answer(bed->peer, VADM_ADMIN_PROC_CONNECT_GET_LOGGING_FILTERS, NULL, NULL);
    peer_answer(bed->peer, VADM_ADMIN_PROC_CLIENT_GET_INFO, NULL, NULL);
    bed_start_ready(bed, INTERVAL);
    ck_assert(bed_server(bed, 2, &row));
    ck_assert_uint_eq(row.workers_max, 20);
    ck_assert(row.unknown & UNKNOWN(CLIENTS_MAX));
    ck_assert_uint_eq(bed_count_clients(bed, 1), 1);
}
END_TEST

/* Clients */

START_TEST(test_local_client)
{
    FakeClient *client = fake_add_client(bed->fake, "libvirtd", 12);
    VadmClientRow row;
    g_autofree char *peer = NULL;

    client->readonly = TRUE;
    client->selinux = "system_u:system_r:virtd_t:s0";
    client->gid = -1;
    bed_start_ready(bed, INTERVAL);
    ck_assert(bed_client(bed, 2, 12, &row));
    ck_assert_uint_eq(row.server, 2);
    ck_assert_uint_eq(row.index, 12);
    ck_assert_uint_eq(row.id, 12);
    ck_assert_int_eq(row.transport, VADM_TRANSPORT_UNIX);
    ck_assert_int_eq(row.connected_since, client->since * G_USEC_PER_SEC);
    ck_assert(row.age >= 60 && row.age < 70);
    ck_assert(row.readonly);
    ck_assert_uint_eq(row.identity->uid, 1000);
    ck_assert_uint_eq(row.identity->gid, G_MAXUINT32);
    ck_assert_uint_eq(row.identity->pid, 4012);
    ck_assert_str_eq(row.identity->user_name, "user");
    ck_assert_str_eq(row.identity->group_name, "group");
    ck_assert_str_eq(row.identity->selinux_context, client->selinux);
    ck_assert_str_eq(row.identity->sasl_user_name, "");
    ck_assert_uint_eq(row.identity->address.type, 0);
    peer = vadm_identity_peer(row.identity, row.transport);
    ck_assert_str_eq(peer, "unix:pid=4012,uid=1000");
}
END_TEST

START_TEST(test_remote_client)
{
    FakeClient *client = fake_add_client(bed->fake, "libvirtd", 3);
    static const guint8 octets[] = {192, 0, 2, 7};
    VadmClientRow row;
    g_autofree char *peer = NULL;

    client->transport = 2;
    client->user = NULL;
    client->address = "192.0.2.7:52110";
    client->sasl = "alice@EXAMPLE.ORG";
    client->dn = "C=FR,CN=\xc3\xa9lise";
    client->since = 0;
    bed_start_ready(bed, INTERVAL);
    ck_assert(bed_client(bed, 2, 3, &row));
    ck_assert_int_eq(row.transport, VADM_TRANSPORT_TLS);
    ck_assert_int_eq(row.connected_since, 0);
    ck_assert_uint_eq(row.identity->address.type, 1);
    ck_assert_uint_eq(row.identity->address.length, 4);
    ck_assert_mem_eq(row.identity->address.octets, octets, 4);
    ck_assert_uint_eq(row.identity->address.port, 52110);
    ck_assert_str_eq(row.identity->sasl_user_name, client->sasl);
    ck_assert_str_eq(row.identity->x509_dn, client->dn);
    ck_assert_uint_eq(row.identity->uid, G_MAXUINT32);
    ck_assert_uint_eq(row.identity->pid, 0);
    peer = vadm_identity_peer(row.identity, row.transport);
    ck_assert_str_eq(peer, "192.0.2.7:52110");
}
END_TEST

START_TEST(test_bad_texts)
{
    FakeClient *client = fake_add_client(bed->fake, "libvirtd", 3);
    VadmClientRow row;
    g_autofree char *peer = NULL;

    client->transport = 77;
    client->since = G_MAXINT64;
    client->address = "\x1b[2J";
    client->sasl = "\xff";
    client->dn = "CN=a\nb";
    client->user = "a\x7f";
    bed_start_ready(bed, INTERVAL);
    ck_assert(bed_client(bed, 2, 3, &row));
    ck_assert_int_eq(row.transport, 0);
    ck_assert_int_eq(row.connected_since, 0);
    ck_assert_ptr_null(row.identity->sasl_user_name);
    ck_assert_ptr_null(row.identity->x509_dn);
    ck_assert_ptr_null(row.identity->user_name);
    ck_assert_str_eq(row.identity->group_name, "group");
    ck_assert_uint_eq(row.identity->address.type, 0);
    peer = vadm_identity_peer(row.identity, row.transport);
    ck_assert_str_eq(peer, "unknown");
}
END_TEST

START_TEST(test_addresses)
{
    static const struct {
        const char *text;
        guint type, length;
        guint16 port;
    } good[] = {
        {"127.0.0.1:0", 1, 4, 0},
        {"[::1]:65535", 2, 16, 65535},
        {"[fe80::1%lo]:16509", 4, 20, 16509},
        {"[fe80::1%17]:16509", 4, 20, 16509},
    };
    static const char *const bad[] = {
        "",          ":",           "127.0.0.1",       "127.0.0.1:",
        "::1:22",    "[::1]",       "[::1]22",         "[:22",
        "]:22",      "[]:22",       "[127.0.0.1]:22",  "127.0.0.1:65536",
        "1.2.3:4",   "[::1%]:22",   "[fe80::1%no]:22", "127.0.0.1:+2",
        "host:1234", "127.0.0.1:-1"};
    VadmInetAddress address;

    for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
        ck_assert_msg(vadm_remote_parse_address(good[i].text, &address), "%s", good[i].text);
        ck_assert_uint_eq(address.type, good[i].type);
        ck_assert_uint_eq(address.length, good[i].length);
        ck_assert_uint_eq(address.port, good[i].port);
    }
    ck_assert_uint_eq(address.octets[19], 17); /* big-endian zone */
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        ck_assert_msg(!vadm_remote_parse_address(bad[i], &address), "%s", bad[i]);
        ck_assert_uint_eq(address.type, 0);
        ck_assert_uint_eq(address.length, 0);
        ck_assert_uint_eq(address.port, 0);
    }
}
END_TEST

/* lvaClientIndex: the low 32 bits of the id, or the next that is free; for life. */
START_TEST(test_client_indexes)
{
    const guint64 high = (guint64)1 << 32;
    VadmClientRow row;

    fake_add_client(bed->fake, "libvirtd", 7);
    bed_start_ready(bed, INTERVAL);
    fake_add_client(bed->fake, "libvirtd", high + 7);
    fake_add_client(bed->fake, "libvirtd", high);
    fake_add_client(bed->fake, "libvirtd", 2 * high - 1);
    fake_add_client(bed->fake, "libvirtd", 3 * high - 1);
    bed_refresh(bed);
    ck_assert_uint_eq(bed_count_clients(bed, 2), 5);
    ck_assert(bed_client(bed, 2, 7, &row) && row.id == 7);
    ck_assert(bed_client(bed, 2, 8, &row) && row.id == high + 7);
    ck_assert(bed_client(bed, 2, 1, &row) && row.id == high);
    ck_assert(bed_client(bed, 2, G_MAXUINT32, &row) && row.id == 2 * high - 1);
    ck_assert(bed_client(bed, 2, 2, &row) && row.id == 3 * high - 1);
    fake_remove_client(bed->fake, "libvirtd", 7);
    bed_refresh(bed);
    ck_assert(!bed_client(bed, 2, 7, &row));
    ck_assert(bed_client(bed, 2, 8, &row) && row.id == high + 7);
    fake_add_client(bed->fake, "libvirtd", 2 * high + 7);
    bed_refresh(bed);
    ck_assert(bed_client(bed, 2, 7, &row) && row.id == 2 * high + 7);
}
END_TEST

START_TEST(test_many_clients_want_one_index)
{
    const guint64 high = (guint64)1 << 32;
    VadmClientRow row;

    fake_add_client(bed->fake, "libvirtd", 5);
    bed_start_ready(bed, INTERVAL);
    for (guint n = 1; n <= 300; n++)
        fake_add_client(bed->fake, "libvirtd", n * high);
    fake_add_client(bed->fake, "libvirtd", 3);
    fake_add_client(bed->fake, "libvirtd", high - 1);
    fake_add_client(bed->fake, "libvirtd", 2 * high - 1);
    bed_refresh(bed);
    ck_assert_uint_eq(bed_count_clients(bed, 2), 304);
    for (guint n = 1; n <= 300; n++) { /* from 1 on, but for that of 5 */
        ck_assert(bed_client(bed, 2, n < 5 ? n : n + 1, &row));
        ck_assert_uint_eq(row.id, n * high);
    }
    ck_assert(bed_client(bed, 2, 5, &row) && row.id == 5);
    ck_assert(bed_client(bed, 2, 302, &row) && row.id == 3);
    ck_assert(bed_client(bed, 2, G_MAXUINT32, &row) && row.id == high - 1);
    ck_assert(bed_client(bed, 2, 303, &row) && row.id == 2 * high - 1);
}
END_TEST

START_TEST(test_client_listed_twice)
{
    fake_add_client(bed->fake, "libvirtd", 7);
    fake_add_client(bed->fake, "libvirtd", 7);
    bed_start_ready(bed, INTERVAL);
    ck_assert_uint_eq(bed_count_clients(bed, 2), 1);
    bed_refresh(bed);
    ck_assert_uint_eq(bed_count_clients(bed, 2), 1);
    ck_assert_uint_eq(bed->events->len, 0);
}
END_TEST

START_TEST(test_walk_over_servers)
{
    const VadmClientRow *row;
    const VadmSourceClass *class;
    VadmView *view;

    fake_add_client(bed->fake, "libvirtd", 5);
    fake_add_server(bed->fake, "between");
    fake_add_server(bed->fake, "last");
    fake_add_client(bed->fake, "last", 2);
    fake_add_client(bed->fake, "last", 9);
    bed_start_ready(bed, INTERVAL);
    class = bed->base->class;
    view = class->view_begin(bed->base);
    row = class->client(view, VADM_MATCH_GT, 0, 0);
    ck_assert(row->server == 1 && row->index == 1);
    row = class->client(view, VADM_MATCH_GT, 1, 1);
    ck_assert(row->server == 2 && row->index == 5);
    row = class->client(view, VADM_MATCH_GT, 2, 5);
    ck_assert(row->server == 4 && row->index == 2);
    ck_assert_ptr_eq(row, class->client(view, VADM_MATCH_EQ, 4, 2));
    row = class->client(view, VADM_MATCH_GT, 4, 2);
    ck_assert(row->server == 4 && row->index == 9);
    ck_assert_ptr_null(class->client(view, VADM_MATCH_GT, 4, 9));
    ck_assert_ptr_null(class->client(view, VADM_MATCH_EQ, 4, 0));
    ck_assert_ptr_null(class->client(view, VADM_MATCH_EQ, 3, 1));
    class->view_end(view);
}
END_TEST

/* A view stays at one moment, whatever is read meanwhile. */
START_TEST(test_view_is_pinned)
{
    const VadmSourceClass *class;
    VadmView *view;

    fake_add_client(bed->fake, "libvirtd", 5);
    bed_start_ready(bed, INTERVAL);
    class = bed->base->class;
    view = class->view_begin(bed->base);
    fake_remove_client(bed->fake, "libvirtd", 5);
    FAKE_SET(bed->fake, fake_find_server(bed->fake, "libvirtd")->pool[POOL_MAX] = 30);
    bed_refresh(bed);
    peer_close_all(bed->peer);
    peer_stop_listening(bed->peer);
    WAIT_FOR(!bed_is_up(bed));
    ck_assert_int_eq(class->daemon(view)->state, VADM_REACH_UP);
    ck_assert_uint_eq(class->server(view, VADM_MATCH_EQ, 2)->workers_max, 20);
    ck_assert_uint_eq(class->client(view, VADM_MATCH_EQ, 2, 5)->identity->uid, 1000);
    class->view_end(view);
}
END_TEST

/* Identities */

static guint
n_asked(void)
{
    return peer_n_calls(bed->peer, VADM_ADMIN_PROC_CLIENT_GET_INFO);
}

START_TEST(test_identities_are_asked_once)
{
    VadmClientRow row;
    const VadmIdentity *before;

    for (guint64 id = 2; id <= 30; id++)
        fake_add_client(bed->fake, "libvirtd", id);
    bed_start_ready(bed, INTERVAL);
    ck_assert_uint_eq(n_asked(), 30);
    ck_assert(bed_client(bed, 2, 30, &row));
    before = row.identity;
    bed_refresh(bed);
    bed_refresh(bed);
    ck_assert_uint_eq(n_asked(), 30);
    ck_assert(bed_client(bed, 2, 30, &row));
    ck_assert_ptr_eq(row.identity, before);
    fake_add_client(bed->fake, "libvirtd", 31);
    bed_refresh(bed);
    ck_assert_uint_eq(n_asked(), 31);
}
END_TEST

/* What SASL and CONNECT_OPEN make known comes behind the connect. */
START_TEST(test_young_client_is_asked_again)
{
    FakeClient *client = fake_add_client(bed->fake, "libvirtd", 5);
    VadmClientRow row;
    guint asked;

    client->since = g_get_real_time() / G_USEC_PER_SEC;
    bed_start_ready(bed, INTERVAL);
    ck_assert(bed_client(bed, 2, 5, &row) && !row.readonly);
    FAKE_SET(bed->fake, client->readonly = TRUE; client->sasl = "alice");
    bed_refresh(bed);
    ck_assert(bed_client(bed, 2, 5, &row) && row.readonly);
    ck_assert_str_eq(row.identity->sasl_user_name, "alice");
    FAKE_SET(bed->fake, client->since -= 10); /* it is another client for us, which is old enough */
    bed_refresh(bed);
    asked = n_asked();
    bed_refresh(bed);
    ck_assert_uint_eq(n_asked(), asked);
}
END_TEST

START_TEST(test_unauthenticated_clients_are_asked_again)
{
    FakeServer *server = fake_find_server(bed->fake, "libvirtd");
    FakeClient *client = fake_add_client(bed->fake, "libvirtd", 5);
    VadmClientRow row;
    guint asked;

    client->since = g_get_real_time() / G_USEC_PER_SEC - 20;
    server->limits[LIMIT_UNAUTH] = 1;
    bed_start_ready(bed, INTERVAL);
    FAKE_SET(bed->fake, client->sasl = "alice"; server->limits[LIMIT_UNAUTH] = 0);
    bed_refresh(bed);
    ck_assert(bed_client(bed, 2, 5, &row));
    ck_assert_str_eq(row.identity->sasl_user_name, "alice");
    asked = n_asked();
    bed_refresh(bed);
    ck_assert_uint_eq(n_asked(), asked);
}
END_TEST

/* One client that never authenticates must not make us ask for all others for ever. */
START_TEST(test_old_clients_are_asked_twice_at_most)
{
    FakeServer *server = fake_find_server(bed->fake, "libvirtd");
    FakeClient *client = fake_add_client(bed->fake, "libvirtd", 5);

    client->since = g_get_real_time() / G_USEC_PER_SEC - 3600;
    server->limits[LIMIT_UNAUTH] = 1;
    bed_start_ready(bed, INTERVAL);
    bed_refresh(bed);
    ck_assert_uint_eq(n_asked(), 3); /* ours once */
    bed_refresh(bed);
    ck_assert_uint_eq(n_asked(), 3);
}
END_TEST

START_TEST(test_no_identity_yet)
{
    FakeClient *client = fake_add_client(bed->fake, "libvirtd", 5);
    VadmClientRow row;

    client->refusal = VADM_VIR_ERR_INTERNAL_ERROR;
    bed_start_ready(bed, INTERVAL);
    ck_assert(bed_client(bed, 2, 5, &row));
    ck_assert_ptr_null(row.identity);
    FAKE_SET(bed->fake, client->refusal = 0);
    bed_refresh(bed);
    ck_assert(bed_client(bed, 2, 5, &row));
    ck_assert_ptr_nonnull(row.identity);
    ck_assert_uint_eq(bed->events->len, 0);
}
END_TEST

/* One that never says a word is not asked about at each refresh for ever. */
START_TEST(test_never_an_identity)
{
    const guint refreshes = 18;

    fake_add_client(bed->fake, "libvirtd", 5)->refusal = VADM_VIR_ERR_INTERNAL_ERROR;
    bed_start_ready(bed, INTERVAL);
    for (guint i = 1; i < refreshes; i++)
        bed_refresh(bed);
    ck_assert_uint_eq(n_asked(), 1 + 10);
    bed->source->interval = 20 * 1000;
    WAIT_FOR(n_asked() > 1 + 10); /* but it is */
}
END_TEST

START_TEST(test_client_goes_between_the_questions)
{
    FakeClient *client = fake_add_client(bed->fake, "libvirtd", 5);
    VadmClientRow row;

    client->refusal = VADM_VIR_ERR_NO_CLIENT;
    fake_add_client(bed->fake, "libvirtd", 6);
    bed_start_ready(bed, INTERVAL);
    ck_assert(!bed_client(bed, 2, 5, &row));
    ck_assert(bed_client(bed, 2, 6, &row));
}
END_TEST

/* What was known stays when asking again fails. */
START_TEST(test_refused_identity)
{
    FakeClient *client = fake_add_client(bed->fake, "libvirtd", 5);
    VadmClientRow row;

    client->since = g_get_real_time() / G_USEC_PER_SEC;
    bed_start_ready(bed, INTERVAL);
    FAKE_SET(bed->fake, client->refusal = VADM_VIR_ERR_NO_MEMORY);
    bed_refresh(bed);
    ck_assert(bed_client(bed, 2, 5, &row));
    ck_assert_ptr_nonnull(row.identity);
}
END_TEST

static guint
count_identities(guint32 first, guint32 last)
{
    VadmClientRow row;
    guint n = 0;

    for (guint32 id = first; id <= last; id++)
        n += bed_client(bed, 2, id, &row) && row.identity ? 1 : 0;
    return n;
}

/* So many that they take longer than half an interval: some come later, and all else in time. */
START_TEST(test_slow_identities)
{
    for (guint64 id = 2; id <= 50; id++)
        fake_add_client(bed->fake, "libvirtd", id);
    peer_hold(bed->peer, VADM_ADMIN_PROC_CLIENT_GET_INFO);
    bed_start(bed, 2000);
    WAIT_FOR(n_asked() == VADM_REMOTE_IN_FLIGHT);
    run_for(1100);
    peer_release(bed->peer, VADM_ADMIN_PROC_CLIENT_GET_INFO, FALSE);
    WAIT_FOR(bed_is_up(bed));
    ck_assert_uint_eq(bed_count_clients(bed, 2), 49);
    ck_assert_uint_lt(count_identities(2, 50), 10);
    WAIT_FOR(count_identities(2, 50) == 49);
    ck_assert_uint_eq(n_asked(), 50); /* nobody twice */
}
END_TEST

/* Calls at a time */

START_TEST(test_calls_at_a_time)
{
    for (guint64 id = 2; id <= 30; id++)
        fake_add_client(bed->fake, "libvirtd", id);
    peer_hold(bed->peer, VADM_ADMIN_PROC_CLIENT_GET_INFO);
    bed_start(bed, INTERVAL);
    WAIT_FOR(n_asked() == VADM_REMOTE_IN_FLIGHT);
    run_for(30);
    ck_assert_uint_eq(n_asked(), VADM_REMOTE_IN_FLIGHT);
    peer_release(bed->peer, VADM_ADMIN_PROC_CLIENT_GET_INFO, TRUE);
    WAIT_FOR(bed_is_up(bed));
    ck_assert_uint_eq(n_asked(), 30);
    ck_assert_uint_eq(peer_n_calls(bed->peer, VADM_ADMIN_PROC_CONNECT_GET_LIB_VERSION), 1);
}
END_TEST

/* virtlogd and virtlockd. */
START_TEST(test_one_call_at_a_time)
{
    FAKE_SET(bed->fake,
             memset(fake_find_server(bed->fake, "admin")->pool, 0, POOL_LAST * sizeof(guint32)));
    for (guint64 id = 2; id <= 30; id++)
        fake_add_client(bed->fake, "libvirtd", id);
    peer_hold(bed->peer, VADM_ADMIN_PROC_CLIENT_GET_INFO);
    bed_start(bed, INTERVAL);
    WAIT_FOR(n_asked() == 1);
    run_for(30);
    ck_assert_uint_eq(n_asked(), 1);
    peer_release(bed->peer, VADM_ADMIN_PROC_CLIENT_GET_INFO, FALSE);
    WAIT_FOR(bed_is_up(bed));
}
END_TEST

START_TEST(test_many_clients)
{
    VadmClientRow row;

    for (guint64 id = 1; id <= VADM_ADMIN_CLIENTS_MAX; id++)
        fake_add_client(bed->fake, "libvirtd", id);
    bed_start_ready(bed, INTERVAL);
    ck_assert_uint_eq(bed_count_clients(bed, 2), VADM_ADMIN_CLIENTS_MAX);
    WAIT_FOR(bed_client(bed, 2, VADM_ADMIN_CLIENTS_MAX, &row) && row.identity);
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("remote source, reading");
    TCase *tests = tcase_create("rows");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 180);
    tcase_add_test(tests, test_before_it_is_read);
    tcase_add_test(tests, test_scalars);
    tcase_add_test(tests, test_server_row);
    tcase_add_test(tests, test_absent_parameters);
    tcase_add_test(tests, test_access);
    tcase_add_test(tests, test_server_indexes);
    tcase_add_test(tests, test_server_called_like_the_scheme);
    tcase_add_test(tests, test_strange_servers);
    tcase_add_test(tests, test_server_goes_between_the_questions);
    tcase_add_test(tests, test_refused_outputs);
    tcase_add_test(tests, test_refusal_is_no_change);
    tcase_add_test(tests, test_refused_server);
    tcase_add_test(tests, test_refused_clients);
    tcase_add_test(tests, test_clients_behind_a_refusal);
    tcase_add_test(tests, test_undecodable_answers);
    suite_add_tcase(suite, tests);
    tests = tcase_create("clients");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 180);
    tcase_add_test(tests, test_local_client);
    tcase_add_test(tests, test_remote_client);
    tcase_add_test(tests, test_bad_texts);
    tcase_add_test(tests, test_addresses);
    tcase_add_test(tests, test_client_indexes);
    tcase_add_test(tests, test_many_clients_want_one_index);
    tcase_add_test(tests, test_client_listed_twice);
    tcase_add_test(tests, test_walk_over_servers);
    tcase_add_test(tests, test_view_is_pinned);
    tcase_add_test(tests, test_identities_are_asked_once);
    tcase_add_test(tests, test_young_client_is_asked_again);
    tcase_add_test(tests, test_unauthenticated_clients_are_asked_again);
    tcase_add_test(tests, test_old_clients_are_asked_twice_at_most);
    tcase_add_test(tests, test_no_identity_yet);
    tcase_add_test(tests, test_never_an_identity);
    tcase_add_test(tests, test_client_goes_between_the_questions);
    tcase_add_test(tests, test_refused_identity);
    tcase_add_test(tests, test_slow_identities);
    tcase_add_test(tests, test_calls_at_a_time);
    tcase_add_test(tests, test_one_call_at_a_time);
    tcase_add_test(tests, test_many_clients);
    suite_add_tcase(suite, tests);
    return suite;
}

int
main(void)
{
    return vadm_unit_main(make_suite());
}
