/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which events are sent, and how often. */
#include "notify-bed.h"

/* Edges */

START_TEST(test_edges)
{
    tell_clients(300, 9, VADM_LIMIT_HIGH);
    check_sent("lvaClientsHigh 300 9/10");
    now += 6 * SECOND;
    tell_clients(300, 10, VADM_LIMIT_FULL);
    check_sent("lvaClientsFull 300 10/10");
    now += 6 * SECOND;
    tell_clients(300, 9, VADM_LIMIT_HIGH); /* from full, too */
    check_sent("lvaClientsHigh 300 9/10");
    now += 6 * SECOND;
    tell_clients(300, 8, VADM_LIMIT_NORMAL);
    check_sent("lvaClientsNormal 300 8/10");
    now += 600 * SECOND;
    check_sent("");
    check_counts(4, 0);
}
END_TEST

/* The values of the moment when it happened, though the row is another one by now. */
START_TEST(test_values_of_the_event)
{
    tell_clients(300, 10, VADM_LIMIT_FULL);
    set_clients(300, 12, VADM_LIMIT_FULL);
    check_sent("lvaClientsFull 300 10/10");
}
END_TEST

START_TEST(test_all_kinds)
{
    VadmServerRow *row = fake_source_server(fake, 1);

    fake->config.notify_enable = ENABLE_ALL;
    row->clients_unauth_state = VADM_LIMIT_FULL;
    fake_source_tell(fake, VADM_EVENT_UNAUTH_LIMIT, 1, 0);
    row->workers_exhausted = TRUE;
    fake_source_tell(fake, VADM_EVENT_WORKERS, 1, 0);
    row->upstream_state = VADM_UPSTREAM_UNREACHABLE;
    fake_source_tell(fake, VADM_EVENT_UPSTREAM, 1, 0);
    fake_source_tell(fake, VADM_EVENT_CLIENT_CONNECTED, 300, 7);
    fake->config.generation = 2;
    fake_source_tell(fake, VADM_EVENT_CONFIG, 0, 0);
    fake_source_tell(fake, VADM_EVENT_CLIENT_DISCONNECTED, 300, 7);
    fake_source_tell(fake, VADM_EVENT_AUTH_FAILURE, 300, 2);
    fake->daemon.state = VADM_REACH_UNREACHABLE;
    fake_source_tell(fake, VADM_EVENT_DAEMON, 0, 0);
    check_sent("lvaUnauthFull 1, lvaWorkersExhausted 1, lvaUpstreamDown 1, lvaClientConnected 7, "
               "lvaConfigChanged 2, lvaClientDisconnected 7, lvaClientAuthFailure 300 9, "
               "lvaDaemonUnreachable");
}
END_TEST

START_TEST(test_disabled)
{
    fake->config.notify_enable = 0;
    tell_clients(300, 10, VADM_LIMIT_FULL);
    fake_source_tell(fake, VADM_EVENT_AUTH_FAILURE, 300, 2);
    fake_source_tell(fake, VADM_EVENT_CLIENT_CONNECTED, 300, 7);
    tell_clients(300, 1, VADM_LIMIT_NORMAL);
    tell_clients(300, 10, VADM_LIMIT_FULL);
    tell_clients(300, 10, VADM_LIMIT_FULL);
    check_sent("");
    check_counts(0, 0);
    /* the condition began while it was off: its end is told, its beginning not any more */
    fake->config.notify_enable = ENABLE_ALL;
    now += 10 * SECOND;
    check_sent("");
    tell_clients(300, 1, VADM_LIMIT_NORMAL);
    check_sent("lvaClientsNormal 300 1/10");
}
END_TEST

/* An event that brings nothing new. */
START_TEST(test_same_again)
{
    tell_clients(300, 10, VADM_LIMIT_FULL);
    check_sent("lvaClientsFull 300 10/10");
    now += 6 * SECOND;
    tell_clients(300, 10, VADM_LIMIT_FULL);
    check_sent("");
    ck_assert_int_eq(run(), 0);
    check_counts(1, 1);
}
END_TEST

/* lvaNotifyEnable has a bit of its own for high. */
START_TEST(test_high_disabled)
{
    fake->config.notify_enable = 1u << VADM_NOTIFY_CLIENT_LIMIT;
    tell_clients(300, 9, VADM_LIMIT_HIGH);
    tell_clients(300, 10, VADM_LIMIT_FULL);
    tell_clients(300, 9, VADM_LIMIT_HIGH);
    check_sent("lvaClientsFull 300 10/10");
    now += 5 * SECOND;
    check_sent("");
    tell_clients(300, 1, VADM_LIMIT_NORMAL);
    check_sent("lvaClientsNormal 300 1/10");
}
END_TEST

/* The interval */

START_TEST(test_flap)
{
    for (guint i = 0; i < 1000; i++) {
        tell_clients(300, 10, VADM_LIMIT_FULL);
        tell_clients(300, 1, VADM_LIMIT_NORMAL);
        run();
    }
    check_sent("lvaClientsFull 300 10/10");
    check_counts(1, 1999);
    now += 5 * SECOND - 1;
    check_sent("");
    now += 1;
    set_clients(300, 2, VADM_LIMIT_NORMAL); /* what is true then */
    check_sent("lvaClientsNormal 300 2/10");
    check_counts(2, 1999);
}
END_TEST

START_TEST(test_flap_back)
{
    tell_clients(300, 10, VADM_LIMIT_FULL);
    tell_clients(300, 1, VADM_LIMIT_NORMAL);
    tell_clients(300, 10, VADM_LIMIT_FULL);
    check_sent("lvaClientsFull 300 10/10");
    now += 5 * SECOND;
    check_sent(""); /* is as was told */
    ck_assert_int_eq(run(), 0);
    check_counts(1, 2);
}
END_TEST

START_TEST(test_due)
{
    tell_clients(300, 10, VADM_LIMIT_FULL);
    ck_assert_int_eq(run(), 0);
    now += SECOND;
    tell_clients(300, 1, VADM_LIMIT_NORMAL);
    ck_assert_int_eq(run(), now + 4 * SECOND);
    /* a SET of a shorter interval, which comes as an event, counts at once */
    fake->config.notify_min_interval = 1;
    fake->config.generation = 2;
    fake_source_tell(fake, VADM_EVENT_CONFIG, 0, 0);
    check_sent("lvaClientsFull 300 10/10, lvaClientsNormal 300 1/10, lvaConfigChanged 2");
}
END_TEST

/* The first of several. */
START_TEST(test_due_first)
{
    tell_clients(300, 10, VADM_LIMIT_FULL);
    check_sent("lvaClientsFull 300 10/10");
    now += SECOND;
    tell_clients(1, 10, VADM_LIMIT_FULL);
    check_sent("lvaClientsFull 1 10/10");
    tell_clients(1, 1, VADM_LIMIT_NORMAL);
    tell_clients(300, 1, VADM_LIMIT_NORMAL);
    ck_assert_int_eq(run(), now + 4 * SECOND);
    now += 4 * SECOND;
    check_sent("lvaClientsNormal 300 1/10");
    ck_assert_int_eq(run(), now + SECOND);
}
END_TEST

/* The first notification need not wait for the interval to have passed since the machine started.
 */
START_TEST(test_soon_after_boot)
{
    fake->config.notify_min_interval = 3600;
    now = 10 * SECOND;
    tell_clients(300, 10, VADM_LIMIT_FULL);
    check_sent("lvaClientsFull 300 10/10");
}
END_TEST

static void
count_look(FakeSource *source)
{
    (void)source;
    woken += 1000;
}

/* Each request of a manager is a turn of the loop, too. */
START_TEST(test_nothing_to_do)
{
    fake->looked = count_look;
    woken = 0;
    ck_assert_int_eq(run(), 0);
    ck_assert_uint_eq(woken, 0);
}
END_TEST

START_TEST(test_servers_apart)
{
    tell_clients(300, 10, VADM_LIMIT_FULL);
    tell_clients(1, 10, VADM_LIMIT_FULL);
    tell_clients(300, 9, VADM_LIMIT_HIGH);
    fake_source_server(fake, 300)->clients_unauth_state = VADM_LIMIT_FULL;
    fake_source_tell(fake, VADM_EVENT_UNAUTH_LIMIT, 300, 0);
    check_sent("lvaClientsFull 300 10/10, lvaClientsFull 1 10/10, lvaUnauthFull 300");
}
END_TEST

START_TEST(test_no_interval)
{
    fake->config.notify_min_interval = 0;
    for (guint i = 0; i < 3; i++) {
        tell_clients(300, 10, VADM_LIMIT_FULL);
        tell_clients(300, 1, VADM_LIMIT_NORMAL);
    }
    run();
    check_counts(6, 0);
}
END_TEST

START_TEST(test_config)
{
    for (fake->config.generation = 2; fake->config.generation <= 6; fake->config.generation++)
        fake_source_tell(fake, VADM_EVENT_CONFIG, 0, 0);
    check_sent("lvaConfigChanged 2");
    now += 5 * SECOND;
    check_sent("lvaConfigChanged 6"); /* not the row's: that one is not settled */
    check_counts(2, 4);
}
END_TEST

/* A generation that is in force but can still be taken back is nobody's business, nor that the one
 * before it then is in force again. */
START_TEST(test_config_undone)
{
    fake->config.generation = 2;
    fake_source_tell(fake, VADM_EVENT_CONFIG, 0, 0);
    check_sent("lvaConfigChanged 2");
    fake->config.generation = 3;
    connect_master(FALSE);
    connect_master(TRUE);
    now += 5 * SECOND;
    check_sent("");
    fake->config.generation = 2;
    connect_master(FALSE);
    connect_master(TRUE);
    now += 5 * SECOND;
    check_sent("");
    fake->config.generation = 4;
    fake_source_tell(fake, VADM_EVENT_CONFIG, 0, 0);
    check_sent("lvaConfigChanged 4");
}
END_TEST

/* A change that comes when the agent has begun to listen and before it has looked. */
static void
change_config_once(FakeSource *source)
{
    source->looked = NULL;
    source->config.generation = 2;
    fake_source_tell(source, VADM_EVENT_CONFIG, 0, 0);
}

START_TEST(test_config_at_start)
{
    const VadmNotifyHooks hooks = {bed_send, bed_wake, &fake};

    vadm_notify_free(notify);
    fake->looked = change_config_once;
    notify = vadm_notify_new(mib, &hooks, VADM_NOTIFY_WINDOW);
    connect_master(TRUE);
    check_sent("lvaConfigChanged 2");
}
END_TEST

/* No event tells that a SET of the interval has been undone, or that of the agent's own one. */
START_TEST(test_interval_undone)
{
    tell_clients(300, 10, VADM_LIMIT_FULL);
    tell_clients(300, 1, VADM_LIMIT_NORMAL);
    check_sent("lvaClientsFull 300 10/10");
    fake->config.notify_min_interval = 3600;
    tell_clients(1, 10, VADM_LIMIT_FULL);
    check_sent("lvaClientsFull 1 10/10");
    fake->config.notify_min_interval = 5;
    ck_assert_int_eq(run(), now + 5 * SECOND);
    now += 5 * SECOND;
    check_sent("lvaClientsNormal 300 1/10");
}
END_TEST

/* Full and back while the row is read: what is read then is the newest. */
static void
flap_once(FakeSource *source)
{
    gint64 began;

    source->looked = NULL;
    tell_clients(300, 10, VADM_LIMIT_FULL);
    began = g_get_monotonic_time();
    tell_clients(300, 1, VADM_LIMIT_NORMAL);
    while (g_get_monotonic_time() <= began)
        ;
}

START_TEST(test_flap_while_reading)
{
    fake->config.notify_min_interval = 0;
    answering = FALSE;
    fake->config.notify_enable = ENABLE_ALL;
    for (guint i = 0; i < VADM_NOTIFY_WINDOW - 1; i++)
        fake_source_tell(fake, VADM_EVENT_CLIENT_CONNECTED, 300, 7);
    tell_clients(300, 10, VADM_LIMIT_FULL);
    tell_clients(300, 1, VADM_LIMIT_NORMAL);
    run();
    ck_assert(g_str_has_suffix(sent->str, "lvaClientsFull 300 10/10"));
    g_string_truncate(sent, 0);
    fake->looked = flap_once;
    answering = TRUE;
    answer_all();
    check_sent("lvaClientsNormal 300 1/10");
    now += 1;
    check_sent("");
}
END_TEST

/* Each is about somebody else, so the last one that was held back is sent, as it was. */
START_TEST(test_auth_failures)
{
    for (guint i = 0; i < 4; i++) {
        fake_source_server(fake, 300)->auth_failures = 1 + i;
        fake_source_tell(fake, VADM_EVENT_AUTH_FAILURE, 300, i % 2 == 0 ? 2 : 7);
        run();
    }
    fake_source_server(fake, 300)->auth_failures = 200;
    check_sent("lvaClientAuthFailure 300 1");
    now += 5 * SECOND;
    check_sent("lvaClientAuthFailure 300 4");
    now += 5 * SECOND;
    check_sent("");
    check_counts(2, 3);
}
END_TEST

START_TEST(test_clients_not_held_back)
{
    fake->config.notify_enable = ENABLE_ALL;
    for (guint i = 0; i < 200; i++)
        fake_source_tell(fake, VADM_EVENT_CLIENT_CONNECTED, 300, 7);
    run();
    check_counts(200, 0);
}
END_TEST

/* A remote daemon's settings are the agent's own. */
START_TEST(test_own_settings)
{
    const VadmChange change = {.field = VADM_FIELD_NOTIFY_ENABLE, .value.number = 1};
    VadmSettingsTxn txn;
    VadmFault fault = {0};

    fake->access[VADM_FIELD_NOTIFY_ENABLE] = VADM_ACCESS_NONE;
    fake->access[VADM_FIELD_NOTIFY_MIN_INTERVAL] = VADM_ACCESS_NONE;
    tell_clients(300, 10, VADM_LIMIT_FULL);
    check_sent("");
    ck_assert(vadm_settings_prepare(settings, &change, 1, &txn, &fault));
    vadm_settings_commit(settings, &txn);
    tell_clients(300, 1, VADM_LIMIT_NORMAL);
    tell_clients(300, 10, VADM_LIMIT_FULL);
    check_sent("lvaClientsNormal 300 1/10, lvaClientsFull 300 10/10"); /* the interval is 0 */
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("agent-notify");
    TCase *edges = add_case(suite, "edges");
    TCase *interval = add_case(suite, "interval");

    tcase_add_test(edges, test_edges);
    tcase_add_test(edges, test_values_of_the_event);
    tcase_add_test(edges, test_all_kinds);
    tcase_add_test(edges, test_disabled);
    tcase_add_test(edges, test_same_again);
    tcase_add_test(edges, test_high_disabled);
    tcase_add_test(interval, test_flap);
    tcase_add_test(interval, test_flap_back);
    tcase_add_test(interval, test_due);
    tcase_add_test(interval, test_due_first);
    tcase_add_test(interval, test_soon_after_boot);
    tcase_add_test(interval, test_nothing_to_do);
    tcase_add_test(interval, test_servers_apart);
    tcase_add_test(interval, test_no_interval);
    tcase_add_test(interval, test_config);
    tcase_add_test(interval, test_config_undone);
    tcase_add_test(interval, test_config_at_start);
    tcase_add_test(interval, test_interval_undone);
    tcase_add_test(interval, test_flap_while_reading);
    tcase_add_test(interval, test_auth_failures);
    tcase_add_test(interval, test_clients_not_held_back);
    tcase_add_test(interval, test_own_settings);
    return vadm_unit_main(suite);
}
