/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Clients that have not shown who they are: how long they may stay, and how much they may send. */
#include <string.h>

#include "events-fixture.h"

#define AT_MOST VADM_CLIENT_STRANGER_MESSAGE_MAX

static gint64
due(void)
{
    return vadm_auth_deadline_due(fix.server->auth_deadline);
}

static VadmServerRow
row(void)
{
    VadmServerRow now;

    get_row(&now);
    return now;
}

static void
start(guint32 timeout)
{
    VadmListenConfig *listen = g_ptr_array_index(server_config()->listens, 0);

    listen->auth = VADM_AUTH_SASL;
    server_config()->auth_timeout = timeout;
    events_start();
}

/* One who is gone is told as any other failure, and frees its place. */
START_TEST(silent)
{
    gint64 began;
    Peer *one, *two;

    server_config()->limits.clients_unauth_max = 1;
    start(1);
    ck_assert_int_eq(due(), -1);
    began = g_get_monotonic_time();
    one = connect_as(1);
    ck_assert_int_ge(due(), began + G_USEC_PER_SEC);
    ck_assert_int_le(due(), g_get_monotonic_time() + G_USEC_PER_SEC);
    EXPECT_HEARD("connected unauth-full");
    two = peer_new(fix.path);
    peer_expect_eof(one);
    ck_assert_int_ge(g_get_monotonic_time(), began + G_USEC_PER_SEC);
    SPIN_UNTIL(row().clients_accepted == 2);
    ck_assert_uint_eq(row().auth_failures, 1);
    ck_assert_uint_eq(row().clients_current, 1);
    ck_assert_uint_eq(heard_count(), 5);
    ck_assert_uint_eq(heard_at(0)->client.id, 1);
    ck_assert(!heard_at(0)->client.authenticated);
    ck_assert_uint_eq(heard_at(1)->client.id, 1);
    ck_assert_int_eq(heard_at(1)->client.disconnect_reason, VADM_DISCONNECT_AUTH_FAILURE);
    EXPECT_HEARD("auth gone unauth-normal connected unauth-full");
    peer_free(one);
    disconnect_to(two, 0);
    ck_assert_int_eq(due(), -1);
    ck_assert_uint_eq(row().auth_failures, 1);
    heard_end();
}
END_TEST

/* Octets do not buy time. */
START_TEST(slow)
{
    g_autoptr(VadmMessage) call = make_call(ECHO_NOW, 1, "never whole");
    gint64 began = g_get_monotonic_time();
    gsize sent = 0;
    Peer *peer;

    start(1);
    peer = connect_as(1);
    while (vadm_server_count_clients(fix.server) > 0) {
        if (sent + 1 < call->length)
            sent += peer_write_some(peer, call->data + sent, 1);
        settle();
        ck_assert_int_lt(g_get_monotonic_time() - began, PATIENCE);
    }
    ck_assert_int_ge(g_get_monotonic_time() - began, G_USEC_PER_SEC);
    ck_assert_uint_eq(row().auth_failures, 1);
    peer_free(peer);
    heard_end();
}
END_TEST

START_TEST(authenticated_in_time)
{
    g_autoptr(VadmClient) first = NULL, second = NULL;
    Peer *one, *two;
    gint64 then;

    start(1);
    one = connect_as(1);
    two = connect_as(2);
    first = get_client(1);
    second = get_client(2);
    then = due();
    ck_assert_int_eq(then, first->connected_at + G_USEC_PER_SEC);
    vadm_server_set_sasl_user(fix.server, first, "fred@example");
    ck_assert_int_eq(due(), second->connected_at + G_USEC_PER_SEC);
    vadm_server_set_sasl_user(fix.server, first, "fred@example");
    peer_expect_eof(two);
    ck_assert_int_eq(due(), -1);
    peer_call(one, ECHO_NOW, 1, "still here");
    peer_expect_reply(one, 1, "still here");
    ck_assert_uint_eq(row().auth_failures, 1);
    peer_free(two);
    disconnect_to(one, 0);
    heard_end();
}
END_TEST

START_TEST(nobody_has_to)
{
    Peer *peer;

    server_config()->auth_timeout = 1;
    events_start();
    peer = connect_as(1);
    ck_assert_int_eq(due(), -1);
    disconnect_to(peer, 0);
    heard_end();
}
END_TEST

/* More than one turn of the main loop closes, some gone or authenticated in the middle. */
START_TEST(a_crowd)
{
    Peer *peers[3 * VADM_AUTH_DEADLINE_BATCH];
    g_autoptr(VadmClient) user = NULL;
    const guint count = G_N_ELEMENTS(peers);

    server_config()->limits.clients_unauth_max = 0;
    start(6);
    for (guint i = 0; i < count; i++)
        peers[i] = peer_new(fix.path);
    expect_clients(count);
    user = get_client(100);
    vadm_server_set_sasl_user(fix.server, user, "fred@example");
    peer_free(peers[0]);
    peer_free(peers[70]);
    expect_clients(count - 2);
    expect_clients(1);
    ck_assert_uint_eq(row().auth_failures, count - 3);
    ck_assert_uint_eq(row().clients_unauth_current, 0);
    ck_assert(!vadm_client_is_closed(user));
    for (guint i = 1; i < count; i++)
        if (i != 70)
            peer_free(peers[i]);
    expect_clients(0);
    heard_end();
}
END_TEST

/* One that failed already, and to whom that is still being said, has failed once. */
START_TEST(failed_before)
{
    g_autoptr(VadmClient) client = NULL;
    const guint32 octets = GUINT32_TO_BE(1024 * 1024);
    g_autoptr(VadmMessage) call =
        make_message(VADM_RPC_PROGRAM_REMOTE, ECHO_BIG, VADM_RPC_CALL, 1, 0, &octets, 4);
    Peer *peer;

    start(1);
    peer = connect_as(1);
    client = get_client(1);
    peer_write(peer, call->data, call->length);
    SPIN_UNTIL(vadm_client_queued(client) > 0);
    vadm_server_note_auth_failure(fix.server, client);
    vadm_client_close_flushed(client, VADM_DISCONNECT_AUTH_FAILURE);
    SPIN_UNTIL(due() == -1);
    ck_assert_uint_eq(row().clients_current, 1);
    expect_clients(0);
    vadm_server_note_auth_failure(fix.server, client);
    ck_assert_uint_eq(row().auth_failures, 1);
    EXPECT_HEARD("connected auth gone");
    peer_free(peer);
    heard_end();
}
END_TEST

static void
send_length(Peer *peer, guint32 length)
{
    length = GUINT32_TO_BE(length);
    peer_write(peer, &length, sizeof length);
}

/* 0: a stranger; 1: authenticated meanwhile; 2: nobody has to */
START_TEST(message_of_a_stranger)
{
    g_autofree char *text = g_strnfill(AT_MOST - VADM_RPC_LENGTH_MIN - 8, 'x');
    g_autoptr(VadmClient) client = NULL;
    Peer *peer;

    if (_i < 2)
        start(30);
    else
        events_start();
    peer = connect_as(1);
    client = get_client(1);
    peer_call(peer, ECHO_NOW, 1, text);
    peer_expect_reply(peer, 1, text);
    if (_i == 1)
        vadm_server_set_sasl_user(fix.server, client, "fred@example");
    heard_forget();
    send_length(peer, AT_MOST + 1);
    if (_i == 0) {
        peer_expect_eof(peer);
        ck_assert_int_eq(heard_at(0)->client.disconnect_reason, VADM_DISCONNECT_PROTOCOL_ERROR);
        ck_assert_uint_eq(row().auth_failures, 0);
    } else {
        ck_assert(peer_is_silent(peer));
        ck_assert_uint_eq(row().clients_current, 1);
    }
    peer_free(peer);
    expect_clients(0);
    heard_end();
}
END_TEST

/* A flood of complaints is a few lines and a number. */
START_TEST(complaints_are_bounded)
{
    VadmComplaints *complaints = vadm_complaints_new("some", NULL);
    gint64 began = g_get_monotonic_time();
    guint allowed = 0;

    for (guint i = 0; i < 1000; i++)
        allowed += vadm_complaints_allow(complaints) ? 1 : 0;
    if (g_get_monotonic_time() - began < G_USEC_PER_SEC)
        ck_assert_uint_eq(allowed, VADM_COMPLAINTS_MAX);
    ck_assert_uint_eq(vadm_complaints_left_out(complaints), 1000 - allowed);
    SPIN_UNTIL(vadm_complaints_left_out(complaints) == 0);
    ck_assert_int_ge(g_get_monotonic_time() - began, G_USEC_PER_SEC);
    ck_assert(vadm_complaints_allow(complaints));
    for (guint i = 0; i < 1000; i++)
        vadm_complaints_allow(complaints);
    vadm_complaints_free(complaints);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("auth-deadline");
    TCase *tcase = tcase_create("auth-deadline");

    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, events_setup, events_teardown);
    tcase_add_test(tcase, silent);
    tcase_add_test(tcase, slow);
    tcase_add_test(tcase, authenticated_in_time);
    tcase_add_test(tcase, nobody_has_to);
    tcase_add_test(tcase, a_crowd);
    tcase_add_test(tcase, failed_before);
    tcase_add_loop_test(tcase, message_of_a_stranger, 0, 3);
    tcase_add_test(tcase, complaints_are_bounded);
    suite_add_tcase(suite, tcase);
    return vadm_unit_main(suite);
}
