/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the remote source tells of the changes between two refreshes: clients, limits,
 * configuration. */
#include <pthread.h>
#include <stdatomic.h>

#include "remote-case.h"

#define INTERVAL 10000 /* ms: longer than any test; refreshes are made by bed_refresh() */

static void
set_filters(const char *filters)
{
    fake_lock(bed->fake);
    g_free(bed->fake->filters);
    bed->fake->filters = g_strdup(filters);
    fake_unlock(bed->fake);
}

START_TEST(test_clients_come_and_go)
{
    const VadmEvent *event;

    fake_add_client(bed->fake, "libvirtd", 5);
    bed_start_ready(bed, INTERVAL);
    ck_assert_uint_eq(bed->events->len, 0);
    fake_add_client(bed->fake, "libvirtd", 6);
    bed_refresh(bed);
    ck_assert_uint_eq(bed->events->len, 1);
    event = bed_last(bed, VADM_EVENT_CLIENT_CONNECTED);
    ck_assert_str_eq(event->daemon.name, "libvirtd");
    ck_assert_int_eq(event->daemon.state, VADM_REACH_UP);
    ck_assert_uint_eq(event->server.index, 2);
    ck_assert_str_eq(event->server.name, "libvirtd");
    ck_assert_uint_eq(event->server.clients_current, 2);
    ck_assert_uint_eq(event->client.index, 6);
    ck_assert_uint_eq(event->client.identity->pid, 4006);
    ck_assert_uint_ge(event->client.age, 60);
    bed_forget(bed);
    fake_remove_client(bed->fake, "libvirtd", 5);
    bed_refresh(bed);
    ck_assert_uint_eq(bed->events->len, 1);
    event = bed_last(bed, VADM_EVENT_CLIENT_DISCONNECTED);
    ck_assert_uint_eq(event->client.index, 5);
    ck_assert_int_eq(event->client.disconnect_reason, VADM_DISCONNECT_UNKNOWN);
    ck_assert_uint_eq(event->client.identity->pid, 4005);
    ck_assert_uint_eq(event->server.clients_current, 1);
}
END_TEST

/* Another connection: perhaps another daemon, whose client 5 is another one. */
START_TEST(test_no_client_events_over_a_reconnect)
{
    VadmClientRow row;

    fake_add_client(bed->fake, "libvirtd", 5);
    bed_start_ready(bed, INTERVAL);
    peer_read(bed->peer, FALSE);
    fake_remove_client(bed->fake, "libvirtd", 5);
    FAKE_SET(bed->fake, libvirtd->clients->len = 0);
    fake_add_client(bed->fake, "libvirtd", 5)->pid = 77;
    peer_close_all(bed->peer);
    peer_read(bed->peer, TRUE);
    WAIT_FOR(bed_count(bed, VADM_EVENT_DAEMON) == 2);
    ck_assert_uint_eq(bed->events->len, 2);
    ck_assert(bed_client(bed, 2, 5, &row));
    ck_assert_uint_eq(row.identity->pid, 77);
}
END_TEST

START_TEST(test_limits)
{
    VadmServerRow row;
    const VadmEvent *event;

    bed_start_ready(bed, INTERVAL); /* high from 8, full from 10; lower again from 7 and 9 */
    FAKE_SET(bed->fake, libvirtd->limits[LIMIT_CURRENT] = 8);
    bed_refresh(bed);
    event = bed_last(bed, VADM_EVENT_CLIENT_LIMIT);
    ck_assert_int_eq(event->server.clients_state, VADM_LIMIT_HIGH);
    ck_assert_uint_eq(event->server.clients_current, 8);
    ck_assert_uint_eq(event->server.clients_max, 10);
    ck_assert_uint_eq(event->server.clients_high_percent, 80);
    FAKE_SET(bed->fake, libvirtd->limits[LIMIT_CURRENT] = 10);
    bed_refresh(bed);
    FAKE_SET(bed->fake, libvirtd->limits[LIMIT_CURRENT] = 9);
    bed_refresh(bed);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CLIENT_LIMIT), 3);
    event = bed_last(bed, VADM_EVENT_CLIENT_LIMIT);
    ck_assert_int_eq(event->server.clients_state, VADM_LIMIT_HIGH);
    ck_assert(bed_server(bed, 2, &row));
    ck_assert_int_eq(row.clients_state, VADM_LIMIT_HIGH);
    ck_assert_uint_eq(row.clients_full_events, 1);
    FAKE_SET(bed->fake, libvirtd->limits[LIMIT_CURRENT] = 8);
    bed_refresh(bed);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CLIENT_LIMIT), 3);
    FAKE_SET(bed->fake, libvirtd->limits[LIMIT_CURRENT] = 1);
    bed_refresh(bed);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CLIENT_LIMIT), 4);
    ck_assert_int_eq(bed_last(bed, VADM_EVENT_CLIENT_LIMIT)->server.clients_state,
                     VADM_LIMIT_NORMAL);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CONFIG), 0);
}
END_TEST

START_TEST(test_unauth_limit)
{
    bed_start_ready(bed, INTERVAL);
    FAKE_SET(bed->fake, libvirtd->limits[LIMIT_UNAUTH] = 5);
    bed_refresh(bed);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_UNAUTH_LIMIT), 0); /* 0: no limit */
    FAKE_SET(bed->fake, libvirtd->limits[LIMIT_UNAUTH_MAX] = 5);
    bed_refresh(bed);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_UNAUTH_LIMIT), 1);
    ck_assert_int_eq(bed_last(bed, VADM_EVENT_UNAUTH_LIMIT)->server.clients_unauth_state,
                     VADM_LIMIT_FULL);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CLIENT_LIMIT), 0);
}
END_TEST

/* The states and how often it was full are ours, whichever daemon it is. */
START_TEST(test_limits_over_a_reconnect)
{
    VadmServerRow row;

    FAKE_SET(bed->fake, libvirtd->limits[LIMIT_CURRENT] = 10);
    bed_start_ready(bed, INTERVAL);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CLIENT_LIMIT), 1); /* full when first seen */
    peer_close_all(bed->peer);
    WAIT_FOR(bed_count(bed, VADM_EVENT_DAEMON) == 2);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CLIENT_LIMIT), 1);
    ck_assert(bed_server(bed, 2, &row));
    ck_assert_uint_eq(row.clients_full_events, 1);
    FAKE_SET(bed->fake, libvirtd->limits[LIMIT_CURRENT] = 0);
    bed_refresh(bed);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CLIENT_LIMIT), 2);
}
END_TEST

START_TEST(test_high_percent)
{
    VadmServerRow row;

    FAKE_SET(bed->fake, libvirtd->limits[LIMIT_CURRENT] = 5);
    bed_start_ready(bed, INTERVAL);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CLIENT_LIMIT), 0);
    vadm_remote_set_high_percent(bed->source, 2, 50);
    ck_assert(bed_server(bed, 2, &row));
    ck_assert_uint_eq(row.clients_high_percent, 50);
    ck_assert_int_eq(row.clients_state, VADM_LIMIT_HIGH);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CLIENT_LIMIT), 1);
    ck_assert(bed_server(bed, 1, &row));
    ck_assert_uint_eq(row.clients_high_percent, 80);
    vadm_remote_set_high_percent(bed->source, 2, 0);
    ck_assert(bed_server(bed, 2, &row));
    ck_assert_int_eq(row.clients_state, VADM_LIMIT_NORMAL);
}
END_TEST

/* Configuration */

START_TEST(test_changes_by_others)
{
    const VadmEvent *event;

    bed_start_ready(bed, INTERVAL);
    set_filters("1:*qemu* ");
    bed_refresh(bed);
    event = bed_last(bed, VADM_EVENT_CONFIG);
    ck_assert_uint_eq(event->config.generation, 2);
    ck_assert_int_eq(event->config.last_origin, VADM_ORIGIN_ADMIN_RPC);
    ck_assert_uint_eq(bed_config(bed).generation, 2);
    FAKE_SET(bed->fake, libvirtd->pool[POOL_MIN]++; libvirtd->pool[POOL_MAX]++;
             libvirtd->limits[LIMIT_MAX]++);
    bed_refresh(bed);
    ck_assert_uint_eq(bed_config(bed).generation, 3); /* seen at once: one change */
    FAKE_SET(bed->fake, libvirtd->limits[LIMIT_UNAUTH_MAX] = 5);
    bed_refresh(bed);
    FAKE_SET(bed->fake, libvirtd->pool[POOL_PRIORITY]++);
    bed_refresh(bed);
    ck_assert_uint_eq(bed_config(bed).generation, 5);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CONFIG), 4);
    FAKE_SET(bed->fake, libvirtd->pool[POOL_CURRENT]++; libvirtd->pool[POOL_FREE]++;
             libvirtd->pool[POOL_DEPTH]++; libvirtd->limits[LIMIT_UNAUTH]++);
    bed_refresh(bed);
    ck_assert_uint_eq(bed_count(bed, VADM_EVENT_CONFIG), 4);
}
END_TEST

START_TEST(test_changes_over_a_reconnect)
{
    bed_start_ready(bed, INTERVAL);
    peer_read(bed->peer, FALSE);
    FAKE_SET(bed->fake, libvirtd->limits[LIMIT_MAX]++);
    peer_close_all(bed->peer);
    peer_read(bed->peer, TRUE);
    WAIT_FOR(bed_count(bed, VADM_EVENT_DAEMON) == 2);
    WAIT_FOR(bed_count(bed, VADM_EVENT_CONFIG) == 1);
    ck_assert_int_eq(bed_last(bed, VADM_EVENT_CONFIG)->config.last_origin, VADM_ORIGIN_STARTUP);
    ck_assert_uint_eq(bed_last(bed, VADM_EVENT_CONFIG)->config.generation, 2);
}
END_TEST

/* What is read while it is published, by threads that do not wait. */

static atomic_bool reading;
static atomic_uint rows_read;

static void *
read_all(void *user)
{
    Bed *of = user;
    const VadmSourceClass *class = of->base->class;

    while (atomic_load(&reading)) {
        VadmView *view = class->view_begin(of->base);
        const VadmClientRow *row;
        guint32 server = 0, index = 0;

        while ((row = class->client(view, VADM_MATCH_GT, server, index))) {
            g_autofree char *peer = vadm_identity_peer(row->identity, row->transport);

            ck_assert(*peer != '\0');
            ck_assert_ptr_nonnull(class->server(view, VADM_MATCH_EQ, row->server));
            server = row->server;
            index = row->index;
            atomic_fetch_add(&rows_read, 1);
        }
        ck_assert_uint_ge(class->config(view)->generation, 1);
        class->view_end(view);
    }
    return NULL;
}

START_TEST(test_readers_and_refreshes)
{
    pthread_t threads[3];

    for (guint64 id = 2; id < 40; id++)
        fake_add_client(bed->fake, "libvirtd", id);
    bed_start_ready(bed, 10);
    atomic_store(&reading, true);
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_all, bed), 0);
    for (guint64 id = 40; id < 100; id++) {
        FakeClient *client = fake_add_client(bed->fake, "libvirtd", id);

        FAKE_SET(bed->fake, client->since = g_get_real_time() / G_USEC_PER_SEC);
        fake_remove_client(bed->fake, "libvirtd", id - 30);
        FAKE_SET(bed->fake, libvirtd->limits[LIMIT_MAX] = (guint32)id);
        if (id % 10 == 0)
            peer_close_all(bed->peer);
        run_for(5);
    }
    WAIT_FOR(atomic_load(&rows_read) > 1000);
    atomic_store(&reading, false);
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        pthread_join(threads[i], NULL);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        test_clients_come_and_go,
        test_no_client_events_over_a_reconnect,
        test_limits,
        test_unauth_limit,
        test_limits_over_a_reconnect,
        test_high_percent,
        test_changes_by_others,
        test_changes_over_a_reconnect,
        test_readers_and_refreshes,
    };

    return remote_case_main("remote source, events",
                            remote_case_new("remote source, events", tests, G_N_ELEMENTS(tests)));
}
