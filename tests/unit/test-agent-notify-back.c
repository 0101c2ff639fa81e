/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is sent when the daemon cannot be reached for a while. */
#include "notify-bed.h"

static void
tell_reach(VadmReachability state)
{
    fake->daemon.state = state;
    fake_source_tell(fake, VADM_EVENT_DAEMON, 0, 0);
}

/* A daemon that is away when the session begins: that is raised, and the rest, of servers that
 * nothing was known of, when it is back. Nothing is told of what the source knew before. */
START_TEST(test_first_connect_unreachable)
{
    const VadmNotifyHooks hooks = {bed_send, bed_wake, &fake};

    vadm_notify_free(notify);
    set_clients(1, 10, VADM_LIMIT_FULL);
    fake->daemon.state = VADM_REACH_UNREACHABLE;
    notify = vadm_notify_new(mib, &hooks, VADM_NOTIFY_WINDOW);
    connect_master(TRUE);
    check_sent("lvaDaemonUnreachable");
    ck_assert_int_eq(run(), 0); /* nothing is asked of it over and over */
    now += 6 * SECOND;
    tell_reach(VADM_REACH_UP);
    check_sent("lvaDaemonReachable, lvaClientsFull 1 10/10");
}
END_TEST

/* A source that connects at its start, as every one does, has not lost its daemon. */
START_TEST(test_start)
{
    const VadmNotifyHooks hooks = {bed_send, bed_wake, &fake};

    vadm_notify_free(notify);
    fake->daemon.state = VADM_REACH_UNREACHABLE;
    notify = vadm_notify_new(mib, &hooks, VADM_NOTIFY_WINDOW);
    connect_master(TRUE);
    now = g_get_monotonic_time();
    check_sent("");
    tell_reach(VADM_REACH_UNREACHABLE);
    ck_assert_int_gt(run(), now);
    if (_i == 0) { /* it is there in time */
        tell_reach(VADM_REACH_UP);
        check_sent("");
    }
    now += VADM_NOTIFY_START_US;
    check_sent(_i == 0 ? "" : "lvaDaemonUnreachable");
    now += 6 * SECOND;
    tell_reach(VADM_REACH_UP);
    check_sent(_i == 0 ? "" : "lvaDaemonReachable");
}
END_TEST

/* What has changed while it was away is told when it is back, what has not is not. */
START_TEST(test_back)
{
    tell_clients(300, 10, VADM_LIMIT_FULL);
    tell_clients(1, 10, VADM_LIMIT_FULL);
    check_sent("lvaClientsFull 300 10/10, lvaClientsFull 1 10/10");
    now += 6 * SECOND;
    tell_reach(VADM_REACH_UNREACHABLE);
    check_sent("lvaDaemonUnreachable");
    set_clients(300, 1, VADM_LIMIT_NORMAL);
    fake_source_server(fake, 1)->workers_exhausted = TRUE;
    now += 6 * SECOND;
    check_sent("");
    tell_reach(VADM_REACH_UP);
    check_sent("lvaDaemonReachable, lvaWorkersExhausted 1, lvaClientsNormal 300 1/10");
}
END_TEST

/* What the interval held back when it went is told when it is back, in its time. */
START_TEST(test_back_held_back)
{
    tell_clients(300, 10, VADM_LIMIT_FULL);
    check_sent("lvaClientsFull 300 10/10");
    tell_clients(300, 1, VADM_LIMIT_NORMAL);
    tell_reach(VADM_REACH_UNREACHABLE);
    check_sent("lvaDaemonUnreachable");
    now += 6 * SECOND; /* its time comes, and nobody knows whether it is still so */
    check_sent("");
    tell_reach(VADM_REACH_UP);
    check_sent("lvaDaemonReachable, lvaClientsNormal 300 1/10");
    check_counts(4, 1);
    /* it comes back at once: the interval is over later */
    tell_clients(300, 10, VADM_LIMIT_FULL);
    tell_reach(VADM_REACH_UNREACHABLE);
    tell_reach(VADM_REACH_UP);
    check_sent("");
    now += 5 * SECOND;
    check_sent("lvaClientsFull 300 10/10");
}
END_TEST

/* Away and back while there is no master agent, and away when one comes: what holds is raised
 * again in each session, and when the daemon is there to be asked. */
START_TEST(test_back_reconnect)
{
    tell_clients(300, 10, VADM_LIMIT_FULL);
    check_sent("lvaClientsFull 300 10/10");
    connect_master(FALSE);
    tell_reach(VADM_REACH_UNREACHABLE);
    now += 6 * SECOND;
    check_sent("");
    connect_master(TRUE);
    check_sent("lvaDaemonUnreachable");
    now += 6 * SECOND;
    tell_reach(VADM_REACH_UP);
    check_sent("lvaDaemonReachable, lvaClientsFull 300 10/10");
    connect_master(FALSE);
    tell_reach(VADM_REACH_UNREACHABLE);
    tell_reach(VADM_REACH_UP);
    now += 6 * SECOND;
    check_sent("");
    connect_master(TRUE);
    check_sent("lvaClientsFull 300 10/10");
}
END_TEST

/* A server that the daemon did not have before is one of those that are looked at. */
START_TEST(test_back_with_new_server)
{
    VadmServerRow row = *fake_source_server(fake, 300);

    tell_reach(VADM_REACH_UNREACHABLE);
    check_sent("lvaDaemonUnreachable");
    row.index = 301;
    row.clients_state = VADM_LIMIT_FULL;
    g_array_append_val(fake->servers, row);
    now += 6 * SECOND;
    tell_reach(VADM_REACH_UP);
    check_sent("lvaDaemonReachable, lvaClientsFull 301 0/10");
}
END_TEST

/* The view of the run that takes the event may be from before it. */
static void
come_back(FakeSource *source)
{
    source->looked = NULL;
    fake_source_tell(source, VADM_EVENT_DAEMON, 0, 0);
}

START_TEST(test_back_between)
{
    tell_reach(VADM_REACH_UNREACHABLE);
    check_sent("lvaDaemonUnreachable");
    set_clients(300, 10, VADM_LIMIT_FULL);
    now += 6 * SECOND;
    fake->daemon.state = VADM_REACH_UP;
    fake->looked = come_back;
    fake_source_tell(fake, VADM_EVENT_CONFIG, 0, 0);
    ck_assert_int_eq(vadm_notify_run(notify, now), now);
    check_sent("lvaConfigChanged 1, lvaDaemonReachable, lvaClientsFull 300 10/10");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("agent-notify-back");
    TCase *back = add_case(suite, "back");

    tcase_add_test(back, test_first_connect_unreachable);
    tcase_add_loop_test(back, test_start, 0, 2);
    tcase_add_test(back, test_back);
    tcase_add_test(back, test_back_held_back);
    tcase_add_test(back, test_back_reconnect);
    tcase_add_test(back, test_back_with_new_server);
    tcase_add_test(back, test_back_between);
    return vadm_unit_main(suite);
}
