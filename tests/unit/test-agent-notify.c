/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which events are sent, and when: over a fake source, with a master agent that answers when the
 * test says so, and a clock of the test's own. */
#include <string.h>

#include "agent/notify-queue.h"
#include "agent/notify.h"
#include "common/lock.h"
#include "fake-source.h"
#include "unit.h"

#define SECOND G_USEC_PER_SEC

/* What lvaNotifyEnable is by default: all but connects and disconnects. */
#define ENABLE_DEFAULT 0x3e7
#define ENABLE_ALL     0x3ff

static FakeSource *fake;
static VadmSettings *settings;
static VadmMib *mib;
static VadmNotify *notify;
static GString *sent; /* what was sent since it was read last: "lvaClientsFull 300 5/10, ..." */
static GArray *tickets;
static gboolean answering, failing;
static guint woken;
static gint64 now;

static guint64
number_of(const VadmVarbind *varbinds, guint at)
{
    return varbinds[at].datum.number;
}

/* The last arc is the server, or the client; the numbers behind the name of the server follow. */
static gboolean
bed_send(const VadmNotification *notification, const VadmVarbind *varbinds, guint n, gsize ticket,
         gpointer user)
{
    const VadmMibOid *oid = &varbinds[n - 1].oid;

    ck_assert_ptr_eq(user, &fake);
    if (failing)
        return FALSE;
    g_string_append_printf(sent, "%s%s", sent->len > 0 ? ", " : "", notification->name);
    if (oid->arcs[oid->length - 1] != 0)
        g_string_append_printf(sent, " %u", oid->arcs[oid->length - 1]);
    if (notification->bit == VADM_NOTIFY_CLIENT_LIMIT ||
        notification->bit == VADM_NOTIFY_CLIENT_HIGH)
        g_string_append_printf(sent, " %" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT,
                               number_of(varbinds, 2), number_of(varbinds, 3));
    if (notification->bit == VADM_NOTIFY_CONFIG)
        g_string_append_printf(sent, " %" G_GUINT64_FORMAT, number_of(varbinds, 1));
    if (notification->bit == VADM_NOTIFY_AUTH_FAILURE)
        g_string_append_printf(sent, " %" G_GUINT64_FORMAT, number_of(varbinds, 4));
    g_array_append_val(tickets, ticket);
    return TRUE;
}

static void
bed_wake(gpointer user)
{
    ck_assert_ptr_eq(user, &fake);
    woken++;
}

static void
answer_all(void)
{
    while (tickets->len > 0) {
        gsize ticket = g_array_index(tickets, gsize, 0);

        g_array_remove_index(tickets, 0);
        vadm_notify_answered(notify, ticket);
    }
}

/* Runs until nothing changes, as the loop would. */
static gint64
run(void)
{
    gint64 next = vadm_notify_run(notify, now);

    while (answering && tickets->len > 0) {
        answer_all();
        next = vadm_notify_run(notify, now);
    }
    return next;
}

static void
check_sent(const char *expected)
{
    run();
    ck_assert_str_eq(sent->str, expected);
    g_string_truncate(sent, 0);
}

static void
check_counts(guint32 expected_sent, guint32 expected_suppressed)
{
    VadmNotifyStats stats = vadm_settings_get_notify_stats(settings);

    ck_assert_uint_eq(stats.sent, expected_sent);
    ck_assert_uint_eq(stats.suppressed, expected_suppressed);
}

static void
set_clients(guint32 server, guint32 current, VadmLimitState state)
{
    VadmServerRow *row = fake_source_server(fake, server);

    row->clients_current = current;
    row->clients_max = 10;
    row->clients_state = state;
}

static void
tell_clients(guint32 server, guint32 current, VadmLimitState state)
{
    set_clients(server, current, state);
    fake_source_tell(fake, VADM_EVENT_CLIENT_LIMIT, server, 0);
}

static void
connect_master(gboolean connected)
{
    vadm_notify_set_connected(notify, connected);
}

static void
set_up(void)
{
    const VadmNotifyHooks hooks = {bed_send, bed_wake, &fake};

    fake = fake_source_new();
    fake->access[VADM_FIELD_NOTIFY_ENABLE] = VADM_ACCESS_WRITE;
    fake->access[VADM_FIELD_NOTIFY_MIN_INTERVAL] = VADM_ACCESS_WRITE;
    fake->config.notify_enable = ENABLE_DEFAULT;
    fake->config.notify_min_interval = 5;
    fake->config.generation = 1;
    set_clients(1, 0, VADM_LIMIT_NORMAL);
    set_clients(300, 0, VADM_LIMIT_NORMAL);
    settings = vadm_settings_new(0, 0);
    mib = vadm_mib_new(&fake->base, settings, TRUE, TRUE);
    sent = g_string_new(NULL);
    tickets = g_array_new(FALSE, FALSE, sizeof(gsize));
    answering = TRUE;
    failing = FALSE;
    woken = 0;
    now = g_get_monotonic_time();
    notify = vadm_notify_new(mib, &hooks);
    connect_master(TRUE);
    check_sent("");
}

static void
tear_down(void)
{
    vadm_notify_free(notify);
    ck_assert_ptr_null(fake->tell);
    ck_assert_uint_eq(fake->views_open, 0);
    vadm_mib_free(mib);
    vadm_settings_free(settings);
    fake_source_free(fake);
    g_string_free(sent, TRUE);
    g_array_unref(tickets);
}

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
    notify = vadm_notify_new(mib, &hooks);
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
    fake->daemon.state = VADM_REACH_UNREACHABLE;
    notify = vadm_notify_new(mib, &hooks);
    check_sent("");
    connect_master(TRUE);
    check_sent("lvaDaemonUnreachable, lvaClientsFull 1 0/10, lvaUnauthFull 1, "
               "lvaWorkersExhausted 1, lvaUpstreamDown 1");
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
    notify = vadm_notify_new(mib, &hooks);
    connect_master(TRUE);
    ck_assert_int_gt(run(), now);
    fake->no_view = FALSE;
    check_sent("lvaClientsFull 300 10/10");
    ck_assert_int_eq(run(), 0);
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
    run();
    ck_assert(!g_str_has_suffix(sent->str, "lvaClientsFull 300 0/0"));
    stats = vadm_settings_get_notify_stats(settings);
    ck_assert_uint_ge(stats.sent + stats.suppressed, teller.told);
    vadm_mutex_clear(&teller.lock);
}
END_TEST

static TCase *
add_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    suite_add_tcase(suite, tcase);
    return tcase;
}

int
main(void)
{
    Suite *suite = suite_create("agent-notify");
    TCase *edges = add_case(suite, "edges");
    TCase *interval = add_case(suite, "interval");
    TCase *master = add_case(suite, "master");
    TCase *queue = add_case(suite, "queue");

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
    tcase_add_test(master, test_window);
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
    tcase_add_test(queue, test_queue_kinds_apart);
    tcase_add_test(queue, test_threads);
    return vadm_unit_main(suite);
}
