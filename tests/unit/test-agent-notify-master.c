/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is sent when the master agent comes, goes, answers late, or not; and what waits for it. */
#include <string.h>

#include "agent/notify-queue.h"
#include "common/lock.h"
#include "notify-bed.h"

/* The master agent */

START_TEST(test_window)
{
    answering = FALSE;
    fake->config.notify_enable = ENABLE_ALL;
    for (guint i = 0; i < 200; i++)
        fake_source_tell(fake, VADM_EVENT_CLIENT_CONNECTED, 300, 7);
    run();
    ck_assert_uint_eq(tickets->len, VADM_NOTIFY_WINDOW);
    vadm_notify_answered(notify, g_array_index(tickets, gsize, 0));
    run();
    ck_assert_uint_eq(tickets->len, VADM_NOTIFY_WINDOW + 1);
    ck_assert(!vadm_notify_is_done(notify));
    g_array_remove_range(tickets, 0, 1);
    answering = TRUE;
    answer_all();
    run();
    check_counts(200, 0);
    ck_assert(vadm_notify_is_done(notify));
}
END_TEST

/* A window of its own size, of which several together make one. */
START_TEST(test_share)
{
    const VadmNotifyHooks hooks = {bed_send, bed_wake, &fake};

    vadm_notify_free(notify);
    notify = vadm_notify_new(mib, &hooks, 3);
    connect_master(TRUE);
    answering = FALSE;
    fake->config.notify_enable = ENABLE_ALL;
    for (guint i = 0; i < 20; i++)
        fake_source_tell(fake, VADM_EVENT_CLIENT_CONNECTED, 300, 7);
    run();
    ck_assert_uint_eq(tickets->len, 3);
    answering = TRUE;
    run();
    check_counts(20, 0);
}
END_TEST

/* While the master does not answer nothing piles up, and then what is true is told. */
START_TEST(test_stall)
{
    answering = FALSE;
    fake->config.notify_enable = ENABLE_ALL;
    for (guint i = 0; i < VADM_NOTIFY_WINDOW; i++)
        fake_source_tell(fake, VADM_EVENT_CLIENT_CONNECTED, 300, 7);
    run();
    for (guint i = 0; i < 1000; i++) {
        tell_clients(300, 10, VADM_LIMIT_FULL);
        tell_clients(300, 9, VADM_LIMIT_HIGH);
    }
    set_clients(300, 9, VADM_LIMIT_HIGH);
    ck_assert_int_eq(run(), 0); /* nothing is due before the master answers */
    g_string_truncate(sent, 0);
    answering = TRUE;
    answer_all();
    check_sent("lvaClientsHigh 300 9/10");
    check_counts(VADM_NOTIFY_WINDOW + 1, 2000);
}
END_TEST

START_TEST(test_timeout)
{
    answering = FALSE;
    fake->config.notify_enable = ENABLE_ALL;
    for (guint i = 0; i < 300; i++)
        fake_source_tell(fake, VADM_EVENT_CLIENT_CONNECTED, 300, 7);
    run();
    for (guint i = 0; i < VADM_NOTIFY_WINDOW; i++)
        vadm_notify_timed_out(notify, g_array_index(tickets, gsize, i));
    g_array_set_size(tickets, 0);
    run();
    ck_assert_uint_eq(tickets->len, 1); /* one at a time to see whether it is back */
    answer_all();
    run();
    ck_assert_uint_eq(tickets->len, VADM_NOTIFY_WINDOW);
}
END_TEST

START_TEST(test_reconnect)
{
    VadmServerRow *row = fake_source_server(fake, 300);

    tell_clients(300, 10, VADM_LIMIT_FULL);
    tell_clients(1, 10, VADM_LIMIT_FULL);
    row->upstream_state = VADM_UPSTREAM_UNREACHABLE;
    fake_source_tell(fake, VADM_EVENT_UPSTREAM, 300, 0);
    check_sent("lvaClientsFull 300 10/10, lvaClientsFull 1 10/10, lvaUpstreamDown 300");
    connect_master(FALSE);
    run();
    tell_clients(1, 2, VADM_LIMIT_NORMAL);
    row->workers_exhausted = TRUE;
    fake_source_tell(fake, VADM_EVENT_WORKERS, 300, 0);
    fake->config.generation = 4;
    fake_source_tell(fake, VADM_EVENT_CONFIG, 0, 0);
    now += 10 * SECOND;
    check_sent("");
    check_counts(3, 3);
    connect_master(TRUE);
    /* what holds, once again; what has ended; what is new; nothing of what is as it was */
    run();
    ck_assert_ptr_nonnull(strstr(sent->str, "lvaClientsFull 300 10/10"));
    ck_assert_ptr_nonnull(strstr(sent->str, "lvaUpstreamDown 300"));
    ck_assert_ptr_nonnull(strstr(sent->str, "lvaWorkersExhausted 300"));
    ck_assert_ptr_nonnull(strstr(sent->str, "lvaClientsNormal 1 2/10"));
    ck_assert_ptr_nonnull(strstr(sent->str, "lvaConfigChanged 4"));
    check_counts(8, 3);
    g_string_truncate(sent, 0);
    now += 10 * SECOND;
    check_sent("");
}
END_TEST

/* Clients that come and go in between are counted, and it is too late for them afterwards. */
START_TEST(test_clients_while_away)
{
    fake->config.notify_enable = ENABLE_ALL;
    connect_master(FALSE);
    fake_source_tell(fake, VADM_EVENT_CLIENT_CONNECTED, 300, 7);
    fake_source_tell(fake, VADM_EVENT_CLIENT_DISCONNECTED, 300, 7);
    check_sent("");
    check_counts(0, 2);
    connect_master(TRUE);
    check_sent("");
}
END_TEST

START_TEST(test_connected_twice)
{
    tell_clients(300, 10, VADM_LIMIT_FULL);
    check_sent("lvaClientsFull 300 10/10");
    now += 6 * SECOND;
    connect_master(TRUE);
    check_sent("");
}
END_TEST

/* A session begins with a window of its own, whatever the last one ended with. */
START_TEST(test_new_window)
{
    gsize old;

    answering = FALSE;
    fake->config.notify_enable = ENABLE_ALL;
    for (guint i = 0; i < 3 * VADM_NOTIFY_WINDOW; i++)
        fake_source_tell(fake, VADM_EVENT_CLIENT_CONNECTED, 300, 7);
    run();
    ck_assert_uint_eq(tickets->len, VADM_NOTIFY_WINDOW);
    old = g_array_index(tickets, gsize, 1);
    vadm_notify_timed_out(notify, g_array_index(tickets, gsize, 0));
    connect_master(FALSE);
    connect_master(TRUE);
    g_array_set_size(tickets, 0);
    run();
    ck_assert_uint_eq(tickets->len, VADM_NOTIFY_WINDOW);
    /* what belongs to the old one is of no interest */
    vadm_notify_answered(notify, old);
    vadm_notify_timed_out(notify, old);
    vadm_notify_refused(notify, old);
    run();
    ck_assert_uint_eq(tickets->len, VADM_NOTIFY_WINDOW);
    answering = TRUE;
    run();
    ck_assert(vadm_notify_is_done(notify));
    vadm_notify_answered(notify, old + 2 * VADM_NOTIFY_WINDOW); /* has been answered */
    tell_clients(300, 10, VADM_LIMIT_FULL);
    run();
    ck_assert(g_str_has_suffix(sent->str, "lvaClientsFull 300 10/10"));
    ck_assert(vadm_notify_is_done(notify));
}
END_TEST

/* What comes before an answered one has reached the master, whatever the order of the answers. */
START_TEST(test_answers_out_of_order)
{
    tell_clients(300, 10, VADM_LIMIT_FULL);
    tell_clients(1, 10, VADM_LIMIT_FULL);
    check_sent("lvaClientsFull 300 10/10, lvaClientsFull 1 10/10");
    now += 5 * SECOND;
    answering = FALSE;
    tell_clients(300, 1, VADM_LIMIT_NORMAL);
    tell_clients(1, 1, VADM_LIMIT_NORMAL);
    check_sent("lvaClientsNormal 300 1/10, lvaClientsNormal 1 1/10");
    ck_assert(!vadm_notify_is_done(notify));
    vadm_notify_answered(notify, g_array_index(tickets, gsize, 1));
    vadm_notify_answered(notify, g_array_index(tickets, gsize, 0));
    ck_assert(vadm_notify_is_done(notify));
    connect_master(FALSE);
    now += 5 * SECOND;
    connect_master(TRUE);
    check_sent("");
}
END_TEST

/* A master that comes and goes does not get around the interval. */
START_TEST(test_reconnect_often)
{
    tell_clients(300, 10, VADM_LIMIT_FULL);
    check_sent("lvaClientsFull 300 10/10");
    for (guint i = 0; i < 100; i++) {
        connect_master(FALSE);
        run();
        connect_master(TRUE);
        check_sent("");
    }
    now += 5 * SECOND;
    check_sent("lvaClientsFull 300 10/10");
}
END_TEST

/* What the master died with is told again, whether or not it is a condition. */
START_TEST(test_lost_with_session)
{
    tell_clients(300, 10, VADM_LIMIT_FULL);
    check_sent("lvaClientsFull 300 10/10");
    answering = FALSE;
    now += 5 * SECOND;
    tell_clients(300, 1, VADM_LIMIT_NORMAL);
    fake->config.generation = 2;
    fake_source_tell(fake, VADM_EVENT_CONFIG, 0, 0);
    check_sent("lvaClientsNormal 300 1/10, lvaConfigChanged 2");
    connect_master(FALSE);
    vadm_notify_timed_out(notify, g_array_index(tickets, gsize, 0)); /* is of no interest now */
    answering = TRUE;
    now += 5 * SECOND;
    connect_master(TRUE);
    run();
    ck_assert_ptr_nonnull(strstr(sent->str, "lvaClientsNormal 300 1/10"));
    ck_assert_ptr_nonnull(strstr(sent->str, "lvaConfigChanged 2"));
    check_counts(5, 0);
}
END_TEST

/* At the first connect the configuration is not one that has changed, but a limit may have been
 * reached before anybody listened. */
START_TEST(test_first_connect)
{
    const VadmNotifyHooks hooks = {bed_send, bed_wake, &fake};

    vadm_notify_free(notify);
    fake->config.generation = 17;
    set_clients(1, 0, VADM_LIMIT_FULL);
    fake_source_server(fake, 1)->clients_unauth_state = VADM_LIMIT_FULL;
    fake_source_server(fake, 1)->workers_exhausted = TRUE;
    fake_source_server(fake, 1)->upstream_state = VADM_UPSTREAM_UNREACHABLE;
    notify = vadm_notify_new(mib, &hooks, VADM_NOTIFY_WINDOW);
    check_sent("");
    connect_master(TRUE);
    check_sent("lvaClientsFull 1 0/10, lvaUnauthFull 1, lvaWorkersExhausted 1, lvaUpstreamDown 1");
}
END_TEST

/* What the master agent answers with an error has not been told to anybody. */
START_TEST(test_refused)
{
    tell_clients(300, 10, VADM_LIMIT_FULL);
    check_sent("lvaClientsFull 300 10/10");
    answering = FALSE;
    now += 5 * SECOND;
    tell_clients(300, 1, VADM_LIMIT_NORMAL);
    tell_clients(1, 10, VADM_LIMIT_FULL);
    check_sent("lvaClientsNormal 300 1/10, lvaClientsFull 1 10/10");
    vadm_notify_refused(notify, g_array_index(tickets, gsize, 0));
    vadm_notify_answered(notify, g_array_index(tickets, gsize, 1));
    g_array_set_size(tickets, 0);
    answering = TRUE;
    ck_assert(vadm_notify_is_done(notify));
    now += 5 * SECOND;
    check_sent(""); /* it would be refused again */
    connect_master(FALSE);
    connect_master(TRUE);
    run();
    ck_assert_ptr_nonnull(strstr(sent->str, "lvaClientsNormal 300 1/10"));
    ck_assert_ptr_nonnull(strstr(sent->str, "lvaClientsFull 1 10/10"));
}
END_TEST

/* An older one is refused, the newer one was not: nothing is left to tell. */
START_TEST(test_refused_before)
{
    answering = FALSE;
    fake->config.notify_min_interval = 0;
    tell_clients(300, 10, VADM_LIMIT_FULL);
    tell_clients(300, 1, VADM_LIMIT_NORMAL);
    check_sent("lvaClientsFull 300 10/10, lvaClientsNormal 300 1/10");
    vadm_notify_refused(notify, g_array_index(tickets, gsize, 0));
    vadm_notify_answered(notify, g_array_index(tickets, gsize, 1));
    g_array_set_size(tickets, 0);
    answering = TRUE;
    connect_master(FALSE);
    connect_master(TRUE);
    check_sent("");
}
END_TEST

/* The last words: nobody will be there to say how it ended when the interval is over. */
START_TEST(test_end)
{
    fake->config.notify_min_interval = 3600;
    tell_clients(300, 10, VADM_LIMIT_FULL);
    fake->config.generation = 2;
    fake_source_tell(fake, VADM_EVENT_CONFIG, 0, 0);
    fake_source_tell(fake, VADM_EVENT_AUTH_FAILURE, 300, 2);
    check_sent("lvaClientsFull 300 10/10, lvaConfigChanged 2, lvaClientAuthFailure 300 9");
    tell_clients(300, 1, VADM_LIMIT_NORMAL);
    fake->config.generation = 3;
    fake_source_tell(fake, VADM_EVENT_CONFIG, 0, 0);
    fake_source_server(fake, 300)->auth_failures = 10;
    fake_source_tell(fake, VADM_EVENT_AUTH_FAILURE, 300, 7);
    check_sent("");
    vadm_notify_finish(notify);
    ck_assert(!vadm_notify_is_done(notify));
    run();
    ck_assert_ptr_nonnull(strstr(sent->str, "lvaClientsNormal 300 1/10"));
    ck_assert_ptr_nonnull(strstr(sent->str, "lvaConfigChanged 3"));
    ck_assert_ptr_nonnull(strstr(sent->str, "lvaClientAuthFailure 300 10"));
    ck_assert(vadm_notify_is_done(notify));
    g_string_truncate(sent, 0);
    tell_clients(300, 10, VADM_LIMIT_FULL);
    ck_assert(!vadm_notify_is_done(notify));
    check_sent("lvaClientsFull 300 10/10");
    connect_master(FALSE);
    tell_clients(300, 1, VADM_LIMIT_NORMAL);
    ck_assert(vadm_notify_is_done(notify)); /* there is nobody to wait for */
}
END_TEST

/* A failure that went down with the session is told in the next one: once. */
START_TEST(test_auth_failure_lost)
{
    answering = FALSE;
    fake_source_tell(fake, VADM_EVENT_AUTH_FAILURE, 300, 2);
    check_sent("lvaClientAuthFailure 300 9");
    connect_master(FALSE);
    now += 5 * SECOND;
    answering = TRUE;
    g_array_set_size(tickets, 0);
    connect_master(TRUE);
    check_sent("lvaClientAuthFailure 300 9");
    connect_master(FALSE);
    now += 5 * SECOND;
    connect_master(TRUE);
    check_sent("");
}
END_TEST

/* What cannot be handed over is counted, not tried for ever. */
START_TEST(test_send_fails)
{
    failing = TRUE;
    tell_clients(300, 10, VADM_LIMIT_FULL);
    ck_assert_int_eq(run(), 0);
    check_counts(0, 1);
    failing = FALSE;
    now += 5 * SECOND;
    check_sent("");
    connect_master(FALSE);
    connect_master(TRUE);
    check_sent("lvaClientsFull 300 10/10");
    /* what is no condition likewise */
    failing = TRUE;
    now += 5 * SECOND;
    tell_clients(300, 1, VADM_LIMIT_NORMAL);
    check_sent("");
    failing = FALSE;
    connect_master(FALSE);
    now += 5 * SECOND;
    connect_master(TRUE);
    check_sent("lvaClientsNormal 300 1/10");
}
END_TEST

START_TEST(test_no_view)
{
    fake->no_view = TRUE;
    for (guint i = 0; i <= VADM_NOTIFY_QUEUE_STATES; i++)
        tell_clients(300, 10, VADM_LIMIT_FULL);
    ck_assert_int_gt(run(), now);
    tell_clients(300, 10, VADM_LIMIT_FULL);
    check_sent("");
    fake->no_view = FALSE;
    check_sent("lvaClientsFull 300 10/10");
    check_counts(1, VADM_NOTIFY_QUEUE_STATES + 2); /* those lost before and after that one run */
}
END_TEST

/* A session that begins when the source gives no rows begins when it does. */
START_TEST(test_no_view_at_first)
{
    const VadmNotifyHooks hooks = {bed_send, bed_wake, &fake};

    vadm_notify_free(notify);
    set_clients(300, 10, VADM_LIMIT_FULL);
    fake->no_view = TRUE;
    notify = vadm_notify_new(mib, &hooks, VADM_NOTIFY_WINDOW);
    connect_master(TRUE);
    ck_assert_int_gt(run(), now);
    fake->no_view = FALSE;
    check_sent("lvaClientsFull 300 10/10");
    ck_assert_int_eq(run(), 0);
}
END_TEST

/* The queue */

START_TEST(test_queue_wakes_once)
{
    guint before = woken;

    for (guint i = 0; i < 10; i++)
        tell_clients(300, 10, VADM_LIMIT_FULL);
    ck_assert_uint_eq(woken, before + 1);
    run();
    tell_clients(300, 10, VADM_LIMIT_FULL);
    ck_assert_uint_eq(woken, before + 2);
}
END_TEST

/* More than the queue holds: the newest stay, the lost are counted, and a state that was lost with
 * them is read. */
START_TEST(test_queue_bounded)
{
    fake->config.notify_enable = ENABLE_ALL;
    tell_clients(1, 10, VADM_LIMIT_FULL);
    for (guint i = 0; i < VADM_NOTIFY_QUEUE_STATES; i++)
        tell_clients(300, i % 2 == 0 ? 10 : 1, i % 2 == 0 ? VADM_LIMIT_FULL : VADM_LIMIT_NORMAL);
    for (guint i = 0; i < VADM_NOTIFY_QUEUE_EVENTS + 100; i++)
        fake_source_tell(fake, VADM_EVENT_CLIENT_CONNECTED, 300, i < 100 ? 7 : 2);
    run();
    ck_assert(g_str_has_prefix(sent->str, "lvaClientsFull 1 10/10, "));
    ck_assert_ptr_null(strstr(sent->str, "lvaClientConnected 7"));
    /* sent: one state; each connected client. Not sent: the lost ones; all of server 300, which was
     * read after them, and found to be as it had been told */
    check_counts(1 + VADM_NOTIFY_QUEUE_EVENTS, 1 + VADM_NOTIFY_QUEUE_STATES + 100);
}
END_TEST

/* What is not enabled is not missed. */
START_TEST(test_queue_bounded_disabled)
{
    fake->config.notify_enable = 1u << VADM_NOTIFY_UPSTREAM;
    for (guint i = 0; i < VADM_NOTIFY_QUEUE_EVENTS + 100; i++)
        fake_source_tell(fake, VADM_EVENT_CLIENT_CONNECTED, 300, 7);
    for (guint i = 0; i < VADM_NOTIFY_QUEUE_STATES + 100; i++)
        tell_clients(300, 10, VADM_LIMIT_FULL);
    run();
    check_counts(0, 0);
}
END_TEST

/* As many of one kind as of a state: of failures within an interval only the last one counts. */
START_TEST(test_queue_of_failures_bounded)
{
    for (guint i = 0; i < VADM_NOTIFY_QUEUE_STATES + 100; i++) {
        fake_source_server(fake, 300)->auth_failures = i;
        fake_source_tell(fake, VADM_EVENT_AUTH_FAILURE, 300, 2);
    }
    check_sent("lvaClientAuthFailure 300 100");
    now += 5 * SECOND;
    check_sent("lvaClientAuthFailure 300 355");
    check_counts(2, VADM_NOTIFY_QUEUE_STATES + 100 - 1); /* all but the one sent for itself */
}
END_TEST

/* A flood of one kind does not push out another. */
START_TEST(test_queue_kinds_apart)
{
    connect_master(FALSE);
    run();
    connect_master(TRUE);
    answering = FALSE;
    fake->config.notify_enable = ENABLE_ALL;
    tell_clients(300, 10, VADM_LIMIT_FULL);
    for (guint i = 0; i < 2 * VADM_NOTIFY_QUEUE_EVENTS; i++)
        fake_source_tell(fake, VADM_EVENT_CLIENT_CONNECTED, 300, 7);
    run();
    ck_assert_ptr_nonnull(strstr(sent->str, "lvaClientsFull 300 10/10"));
}
END_TEST

typedef struct {
    VadmMutex lock;
    gboolean stop;
    guint told;
} Teller;

static void *
tell_on_and_on(void *data)
{
    Teller *teller = data;
    VadmEvent event = {.kind = VADM_EVENT_CLIENT_LIMIT, .daemon.name = "x", .server.index = 300};
    gboolean stop = FALSE;

    while (!stop) {
        event.at = g_get_monotonic_time();
        event.server.name = "libvirtd";
        event.server.clients_state = teller->told % 2 == 0 ? VADM_LIMIT_FULL : VADM_LIMIT_NORMAL;
        fake->tell(&event, fake->tell_user);
        vadm_mutex_lock(&teller->lock);
        teller->told++;
        stop = teller->stop && teller->told % 2 == 0;
        vadm_mutex_unlock(&teller->lock);
    }
    return NULL;
}

/* For ThreadSanitizer: events come while others are taken. Every one is accounted for. */
START_TEST(test_threads)
{
    Teller teller = {.told = 0};
    VadmNotifyStats stats;
    pthread_t thread;
    guint told = 0;

    fake->config.notify_min_interval = 0;
    vadm_mutex_init(&teller.lock);
    ck_assert_int_eq(pthread_create(&thread, NULL, tell_on_and_on, &teller), 0);
    while (told < 2000) {
        vadm_notify_run(notify, g_get_monotonic_time());
        answer_all();
        vadm_mutex_lock(&teller.lock);
        told = teller.told;
        teller.stop = told >= 2000;
        vadm_mutex_unlock(&teller.lock);
    }
    pthread_join(thread, NULL);
    now = g_get_monotonic_time();
    run(); /* what came while a row was read has it read once more */
    run();
    ck_assert(!g_str_has_suffix(sent->str, "lvaClientsFull 300 0/0"));
    stats = vadm_settings_get_notify_stats(settings);
    ck_assert_uint_ge(stats.sent + stats.suppressed, teller.told);
    vadm_mutex_clear(&teller.lock);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("agent-notify-master");
    TCase *master = add_case(suite, "master");
    TCase *queue = add_case(suite, "queue");

    tcase_add_test(master, test_window);
    tcase_add_test(master, test_share);
    tcase_add_test(master, test_stall);
    tcase_add_test(master, test_timeout);
    tcase_add_test(master, test_reconnect);
    tcase_add_test(master, test_clients_while_away);
    tcase_add_test(master, test_connected_twice);
    tcase_add_test(master, test_new_window);
    tcase_add_test(master, test_answers_out_of_order);
    tcase_add_test(master, test_reconnect_often);
    tcase_add_test(master, test_lost_with_session);
    tcase_add_test(master, test_first_connect);
    tcase_add_test(master, test_refused);
    tcase_add_test(master, test_refused_before);
    tcase_add_test(master, test_end);
    tcase_add_test(master, test_auth_failure_lost);
    tcase_add_test(master, test_send_fails);
    tcase_add_test(master, test_no_view);
    tcase_add_test(master, test_no_view_at_first);
    tcase_add_test(queue, test_queue_wakes_once);
    tcase_add_test(queue, test_queue_bounded);
    tcase_add_test(queue, test_queue_bounded_disabled);
    tcase_add_test(queue, test_queue_of_failures_bounded);
    tcase_add_test(queue, test_queue_kinds_apart);
    tcase_add_test(queue, test_threads);
    return vadm_unit_main(suite);
}
