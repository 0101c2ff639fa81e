/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Events that are told in several threads: nothing gets lost, doubled, or out of order. */
#include "daemon/txn.h"
#include "events-fixture.h"

#define FLAPS 2000u

typedef struct {
    GThread *thread;
    guint32 first;
    gint *turns; /* -1: it is enough */
} Writer;

static gpointer
write_often(gpointer data)
{
    const Writer *writer = data;

    for (guint32 i = 0; i < 100; i++) {
        const VadmChange change =
            change_to(VADM_FIELD_SERVER_CLIENTS_HIGH_PERCENT, writer->first + i % 2);
        VadmFault fault = {0};

        vadm_daemon_change(fix.daemon, &change, 1, VADM_ORIGIN_SNMP, PATIENCE, &fault);
        g_clear_error(&fault.error);
    }
    return NULL;
}

START_TEST(generations_are_told_in_their_order)
{
    Writer writers[2] = {{.first = 10}, {.first = 20}};
    guint32 last = 1;

    events_start();
    for (guint i = 0; i < 2; i++)
        writers[i].thread = g_thread_new("writer", write_often, &writers[i]);
    for (guint i = 0; i < 2; i++)
        g_thread_join(writers[i].thread);
    ck_assert_uint_ge(heard_count(), 100);
    for (guint i = 0; i < heard_count(); i++) {
        ck_assert_int_eq(heard_at(i)->kind, VADM_EVENT_CONFIG);
        ck_assert_uint_eq(heard_at(i)->config.generation, last + 1);
        last++;
    }
    settle();
}
END_TEST

/* A few times for each turn, or its mail would pile up in the main loop. */
static gpointer
flap_limits(gpointer data)
{
    const Writer *writer = data;
    VadmServerLimits limits = server_config()->limits;
    gint turns, seen = 0;

    while ((turns = g_atomic_int_get(writer->turns)) >= 0) {
        for (; seen < 4 * turns; seen++) {
            limits.clients_max = seen % 2 ? 4 : 1000;
            vadm_server_set_limits(fix.server, &limits);
        }
        g_thread_yield();
    }
    return NULL;
}

/* Each edge follows from the one before, and from the numbers beside it. */
static void
expect_edge(const VadmEvent *event, VadmLimitState *state, guint32 *clients)
{
    const VadmServerRow *row = &event->server;

    if (event->kind == VADM_EVENT_CLIENT_CONNECTED)
        ++*clients;
    if (event->kind == VADM_EVENT_CLIENT_DISCONNECTED)
        --*clients;
    ck_assert_uint_eq(row->clients_current, *clients);
    if (row->clients_state == VADM_LIMIT_FULL)
        ck_assert_uint_ge(row->clients_current, row->clients_max);
    else
        ck_assert_uint_lt(row->clients_current, row->clients_max);
    if (event->kind == VADM_EVENT_CLIENT_LIMIT) {
        ck_assert_int_ne(row->clients_state, *state);
        *state = row->clients_state;
    }
}

START_TEST(flapping_ends_with_what_is_true)
{
    gint turns = 0;
    Writer writer = {.turns = &turns};
    VadmLimitState state = VADM_LIMIT_NORMAL;
    guint32 clients = 0;
    VadmServerRow row;
    Peer *peers[4];

    server_config()->limits.clients_high_percent = 0;
    events_start();
    writer.thread = g_thread_new("writer", flap_limits, &writer);
    for (guint i = 0; i < FLAPS / G_N_ELEMENTS(peers); i++) {
        for (guint j = 0; j < G_N_ELEMENTS(peers); j++) {
            g_atomic_int_inc(&turns);
            peers[j] = connect_as(j + 1);
        }
        for (guint j = G_N_ELEMENTS(peers); j-- > 0;)
            disconnect_to(peers[j], j);
    }
    peers[0] = connect_as(1);
    g_atomic_int_set(&turns, -1);
    g_thread_join(writer.thread);
    for (guint i = 0; i < heard_count(); i++)
        expect_edge(heard_at(i), &state, &clients);
    get_row(&row);
    ck_assert_int_eq(row.clients_state, state);
    ck_assert_uint_eq(row.clients_current, clients);
    ck_assert_uint_gt(heard_count(), 2 * FLAPS);
    disconnect_to(peers[0], 0);
}
END_TEST

static gpointer
set_limits_often(gpointer data)
{
    VadmServerLimits limits = server_config()->limits;

    (void)data;
    for (guint i = 0; i < 5000; i++) {
        limits.clients_max = i % 2 ? 2 : 1000;
        vadm_server_set_limits(fix.server, &limits);
    }
    return NULL;
}

/* With nothing else between them: each edge is told before the next one can come. */
START_TEST(edges_of_two_threads)
{
    GThread *threads[2];
    VadmLimitState state = VADM_LIMIT_NORMAL;
    Peer *peers[2];

    server_config()->limits.clients_high_percent = 0;
    events_start();
    for (guint i = 0; i < 2; i++)
        peers[i] = connect_as(i + 1);
    heard_forget();
    for (guint i = 0; i < 2; i++)
        threads[i] = g_thread_new("writer", set_limits_often, NULL);
    for (guint i = 0; i < 2; i++)
        g_thread_join(threads[i]);
    for (guint i = 0; i < heard_count(); i++) {
        guint32 clients = 2;

        expect_edge(heard_at(i), &state, &clients);
    }
    ck_assert_uint_gt(heard_count(), 1000);
    settle();
    for (guint i = 0; i < 2; i++)
        peer_free(peers[i]);
}
END_TEST

typedef struct {
    VadmEvents *events;
    gint serial; /* odd: subscribed; another one each time */
    gint calls, *stop;
} Fickle;

static void
fickle_tell(const VadmEvent *event, gpointer user)
{
    Fickle *fickle = user;
    gint serial = g_atomic_int_get(&fickle->serial);

    ck_assert_uint_ne(event->server.index, 0);
    ck_assert_int_eq(serial % 2, 1);
    g_atomic_int_inc(&fickle->calls);
    g_thread_yield();
    ck_assert_int_eq(g_atomic_int_get(&fickle->serial), serial);
}

static gpointer
come_and_go(gpointer data)
{
    Fickle *fickle = data;

    while (!g_atomic_int_get(fickle->stop)) {
        guint id;

        g_atomic_int_inc(&fickle->serial);
        id = vadm_events_subscribe(fickle->events, fickle_tell, fickle);
        g_thread_yield();
        vadm_events_unsubscribe(fickle->events, id);
        g_atomic_int_inc(&fickle->serial);
    }
    return NULL;
}

START_TEST(nobody_is_called_who_has_gone)
{
    gint stop = FALSE;
    Fickle fickle = {.stop = &stop};
    GThread *thread;

    events_start();
    fickle.events = vadm_daemon_get_events(fix.daemon);
    thread = g_thread_new("listener", come_and_go, &fickle);
    for (guint i = 0; i < 1000 || g_atomic_int_get(&fickle.calls) < 500; i++)
        vadm_server_set_upstream_state(fix.server,
                                       i % 2 ? VADM_UPSTREAM_UP : VADM_UPSTREAM_UNREACHABLE);
    g_atomic_int_set(&stop, TRUE);
    g_thread_join(thread);
    ck_assert(vadm_events_wanted(fickle.events)); /* we are still there */
    ck_assert_uint_ge(heard_count(), 1000);
    heard_end();
    ck_assert(!vadm_events_wanted(fickle.events));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("events-threads");
    TCase *tcase = tcase_create("events-threads");

    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, events_setup, events_teardown);
    tcase_add_test(tcase, generations_are_told_in_their_order);
    tcase_add_test(tcase, flapping_ends_with_what_is_true);
    tcase_add_test(tcase, edges_of_two_threads);
    tcase_add_test(tcase, nobody_is_called_who_has_gone);
    suite_add_tcase(suite, tcase);
    return vadm_unit_main(suite);
}
