/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the remote source shows of a daemon and its servers, which answer as they should or not. */
#include <string.h>

#include "remote-case.h"

#define INTERVAL 10000 /* ms: longer than any test; refreshes are made by bed_refresh() */

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

int
main(void)
{
    const TTest *const tests[] = {
        test_before_it_is_read,
        test_scalars,
        test_server_row,
        test_absent_parameters,
        test_access,
        test_server_indexes,
        test_server_called_like_the_scheme,
        test_strange_servers,
        test_server_goes_between_the_questions,
        test_refused_outputs,
        test_refusal_is_no_change,
        test_refused_server,
        test_refused_clients,
        test_clients_behind_a_refusal,
        test_undecodable_answers,
    };

    return remote_case_main("remote source, reading",
                            remote_case_new("remote source, reading", tests, G_N_ELEMENTS(tests)));
}
