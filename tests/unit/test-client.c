/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The flow of messages between a client and the program that serves it. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon-fixture.h"

static void
limit_requests(guint32 max)
{
    vadm_config_find_server(fix.config, "libvirtd")->limits.client_requests_max = max;
}

START_TEST(pipelined_and_out_of_order)
{
    Peer *peer;

    fixture_start();
    peer = peer_new(fix.path);
    peer_call(peer, ECHO_KEEP, 7, "first");
    peer_call(peer, ECHO_KEEP, 8, "second");
    peer_call(peer, ECHO_NOW, 9, "third");
    peer_expect_reply(peer, 9, "third");
    SPIN_UNTIL(fix.echo.calls == 3);
    echo_release(8);
    echo_release(7);
    peer_expect_reply(peer, 8, "second");
    peer_expect_reply(peer, 7, "first");
    for (guint32 serial = 0; serial < 200; serial++)
        peer_call(peer, ECHO_WORKER, 0xfffffff0u + serial, "worker");
    for (guint i = 0; i < 200; i++) {
        g_autoptr(VadmMessage) reply = peer_receive(peer);

        ck_assert_ptr_nonnull(reply);
    }
    ck_assert_uint_eq(fix.echo.calls, 203);
    peer_free(peer);
}
END_TEST

START_TEST(held_back_in_order_with_keepalive_ahead)
{
    g_autoptr(VadmClient) client = NULL;
    VadmServerRow row;
    VadmClientRow client_row;
    Peer *peer;

    limit_requests(2);
    fixture_start();
    peer = peer_new(fix.path);
    for (guint32 serial = 1; serial <= 6; serial++)
        peer_call(peer, ECHO_KEEP, serial, "call");
    peer_ping(peer);
    peer_expect_pong(peer);
    client = get_client(1);
    ck_assert_uint_eq(fix.echo.calls, 2);
    get_row(&row);
    ck_assert_uint_eq(row.client_requests_delayed, 4);
    ck_assert_uint_eq(row.client_requests_max, 2);
    vadm_client_fill_row(client, &client_row);
    ck_assert_uint_eq(client_row.requests, 6);
    ck_assert_uint_eq(client_row.requests_in_flight, 2);
    vadm_identity_unref(client_row.identity);
    echo_release(2);
    ck_assert_uint_eq(fix.echo.calls, 3);
    echo_release(1);
    echo_release(3);
    ck_assert_uint_eq(fix.echo.calls, 5);
    echo_release(4);
    echo_release(5);
    echo_release(6);
    for (guint i = 0; i < 6; i++)
        ck_assert_uint_eq(g_array_index(fix.echo.serials, guint32, i), i + 1);
    peer_expect_reply(peer, 2, "call");
    get_row(&row);
    ck_assert_uint_eq(row.client_requests_delayed, 4); /* each once */
    peer_free(peer);
}
END_TEST

START_TEST(raising_the_limit_dispatches_at_once)
{
    VadmServerLimits limits;
    Peer *peer;

    limit_requests(1);
    fixture_start();
    peer = peer_new(fix.path);
    for (guint32 serial = 1; serial <= 4; serial++)
        peer_call(peer, ECHO_KEEP, serial, "call");
    settle();
    ck_assert_uint_eq(fix.echo.calls, 1);
    limits = vadm_config_find_server(fix.config, "libvirtd")->limits;
    limits.client_requests_max = 3;
    set_limits(&limits);
    ck_assert_uint_eq(fix.echo.calls, 3);
    limits.client_requests_max = 1;
    set_limits(&limits);
    echo_release(1);
    echo_release(2);
    ck_assert_uint_eq(fix.echo.calls, 3);
    echo_release(3);
    ck_assert_uint_eq(fix.echo.calls, 4);
    peer_free(peer);
}
END_TEST

START_TEST(read_ahead_is_bounded)
{
    g_autoptr(VadmClient) client = NULL;
    g_autofree char *text = g_strnfill(1000, 'x');
    g_autoptr(VadmMessage) call = make_call(ECHO_NOW, 2, text);
    const guint total = 8192;
    gsize sent = 0, all = call->length * total, before;
    Peer *peer;

    limit_requests(1);
    fixture_start();
    peer = peer_new(fix.path);
    peer_call(peer, ECHO_KEEP, 1, "");
    client = get_client(1);
    SPIN_UNTIL(fix.echo.calls == 1);
    /* until neither the socket nor the daemon takes more */
    do {
        before = sent;
        for (gsize put = 1; put > 0 && sent < all; sent += put)
            put = peer_write_some(peer, call->data + sent % call->length,
                                  call->length - sent % call->length);
        settle();
    } while (sent > before);
    ck_assert_uint_lt(sent, all);
    ck_assert_uint_ge(client->held_octets + vadm_conn_pending(client->conn),
                      VADM_CLIENT_READ_AHEAD);
    ck_assert_uint_le(client->held_octets + vadm_conn_pending(client->conn),
                      VADM_CLIENT_READ_AHEAD + 64 * 1024 + call->length);
    ck_assert_uint_eq(fix.echo.calls, 1);
    echo_release(1);
    peer_expect_reply(peer, 1, "");
    while (sent < all) {
        gsize put = peer_write_some(peer, call->data + sent % call->length,
                                    call->length - sent % call->length);

        sent += put;
        if (put == 0)
            peer_expect_reply(peer, 2, text);
        turn();
    }
    SPIN_UNTIL(fix.echo.calls == total + 1);
    ck_assert_uint_eq(client->held_octets, 0);
    peer_free(peer);
}
END_TEST

/* One message larger than the read-ahead, behind one that is held: it must come through. */
START_TEST(large_message_behind_a_held_one)
{
    const gsize size = 2 * 1024 * 1024;
    g_autofree char *text = g_strnfill(size, 'y');
    Peer *peer;

    limit_requests(1);
    fixture_start();
    peer = peer_new(fix.path);
    peer_call(peer, ECHO_KEEP, 1, "");
    peer_call(peer, ECHO_KEEP, 2, "");
    peer_call(peer, ECHO_NOW, 3, text);
    settle();
    echo_release(1);
    echo_release(2);
    peer_expect_reply(peer, 1, "");
    peer_expect_reply(peer, 2, "");
    peer_expect_reply(peer, 3, text);
    peer_free(peer);
}
END_TEST

START_TEST(who_does_not_read_gets_no_more_work_done)
{
    const guint32 size = GUINT32_TO_BE(256u * 1024);
    g_autoptr(VadmClient) client = NULL;
    Peer *peer;

    fixture_start();
    peer = peer_new(fix.path);
    for (guint32 serial = 0; serial < 64; serial++)
        peer_send(peer, make_message(VADM_RPC_PROGRAM_REMOTE, ECHO_BIG, VADM_RPC_CALL, serial, 0,
                                     &size, 4));
    settle();
    client = get_client(1);
    ck_assert_uint_gt(vadm_client_queued(client), VADM_CONN_HIGH_WATER);
    ck_assert_uint_lt(vadm_client_queued(client), VADM_CONN_HIGH_WATER + 300 * 1024);
    ck_assert_uint_lt(fix.echo.calls, 10);
    for (guint32 serial = 0; serial < 64; serial++) {
        g_autoptr(VadmMessage) reply = peer_receive(peer);

        ck_assert_ptr_nonnull(reply);
        ck_assert_uint_eq(reply->header.serial, serial);
        ck_assert_uint_eq(reply->length, VADM_RPC_LENGTH_MIN + 256 * 1024);
    }
    ck_assert_uint_ge(fix.echo.drained, 1);
    peer_free(peer);
}
END_TEST

/* Errors and answers to keepalive are no requests, but they take memory all the same. */
START_TEST(errors_for_who_does_not_read_are_bounded)
{
    g_autoptr(VadmMessage) bad =
        make_message(0x12345678, 1, VADM_RPC_CALL, 1, VADM_RPC_OK, NULL, 0);
    g_autoptr(VadmClient) client = NULL;
    g_autoptr(GString) many = g_string_new(NULL);
    gsize sent = 0;
    Peer *peer;

    fixture_start();
    peer = peer_new(fix.path);
    for (guint i = 0; i < 1000; i++)
        g_string_append_len(many, (const char *)bad->data, (gssize)bad->length);
    for (guint idle = 0; idle < 3;) {
        gsize at = sent % many->len;
        gsize put = peer_write_some(peer, many->str + at, many->len - at);

        idle = put > 0 ? 0 : idle + 1;
        sent += put;
        settle();
    }
    client = get_client(1);
    ck_assert_uint_gt(vadm_client_queued(client), VADM_CONN_HIGH_WATER);
    ck_assert_uint_le(vadm_client_queued(client),
                      VADM_CONN_HIGH_WATER + VADM_CLIENT_READ_AHEAD + 1024);
    peer_free(peer);
}
END_TEST

START_TEST(streams_do_not_overtake_their_call)
{
    g_autoptr(VadmMessage) back = NULL;
    Peer *peer;

    limit_requests(1);
    fixture_start();
    peer = peer_new(fix.path);
    peer_call(peer, ECHO_KEEP, 1, "");
    peer_call(peer, ECHO_KEEP, 2, "");
    peer_send(peer, make_message(VADM_RPC_PROGRAM_REMOTE, 1, VADM_RPC_STREAM, 2, VADM_RPC_CONTINUE,
                                 "data", 4));
    settle();
    ck_assert_uint_eq(fix.echo.streams, 0);
    echo_release(1);
    /* passes once its call is in flight, though that is all that may be */
    ck_assert_uint_eq(fix.echo.calls, 2);
    ck_assert_uint_eq(fix.echo.streams, 1);
    peer_expect_reply(peer, 1, "");
    back = peer_receive(peer);
    ck_assert_uint_eq(back->header.type, VADM_RPC_STREAM);
    /* with none held a stream does not wait for a call to end */
    peer_send(peer, make_message(VADM_RPC_PROGRAM_REMOTE, 1, VADM_RPC_STREAM_HOLE, 2,
                                 VADM_RPC_CONTINUE, "123456789012", 12));
    SPIN_UNTIL(fix.echo.streams == 2);
    peer_free(peer);
}
END_TEST

START_TEST(a_hold_stops_reading)
{
    g_autoptr(VadmClient) client = NULL;
    Peer *peer;

    fixture_start();
    peer = peer_new(fix.path);
    client = get_client(1);
    vadm_client_set_hold(client, TRUE);
    peer_call(peer, ECHO_NOW, 1, "held");
    ck_assert(peer_is_silent(peer));
    ck_assert_uint_eq(fix.echo.calls, 0);
    vadm_client_set_hold(client, FALSE);
    peer_expect_reply(peer, 1, "held");
    peer_free(peer);
}
END_TEST

START_TEST(another_stream)
{
    g_autoptr(VadmClient) client = NULL;
    g_autoptr(GIOStream) stream = NULL;
    Peer *peer;

    fixture_start();
    peer = peer_new(fix.path);
    client = get_client(1);
    ck_assert(G_IS_SOCKET(vadm_client_get_socket(client)));
    stream = g_object_ref(vadm_client_get_stream(client));
    peer_call(peer, ECHO_NOW, 1, "one");
    peer_expect_reply(peer, 1, "one");
    vadm_client_set_stream(client, stream); /* a layer that changes nothing */
    peer_call(peer, ECHO_NOW, 2, "two");
    peer_expect_reply(peer, 2, "two");

    /* what is held back has come in front of the layer */
    for (guint32 i = 3; i <= 3 + vadm_client_get_server(client)->requests_max; i++)
        peer_call(peer, ECHO_KEEP, i, "");
    SPIN_UNTIL(!g_queue_is_empty(client->held));
    vadm_client_set_stream(client, stream);
    peer_expect_eof(peer);
    ck_assert_int_eq(client->reason, VADM_DISCONNECT_PROTOCOL_ERROR);
    ck_assert_ptr_null(vadm_client_get_socket(client));
    ck_assert_ptr_null(vadm_client_get_stream(client));
    vadm_client_set_stream(client, stream);
    peer_free(peer);
}
END_TEST

/* Else the dead would keep their places for as long as an upstream is stuck. */
START_TEST(who_goes_while_held_is_noticed)
{
    g_autoptr(VadmClient) client = NULL, reader = NULL;
    Peer *peer, *half;

    fixture_start();
    peer = peer_new(fix.path);
    client = get_client(1);
    vadm_client_set_hold(client, TRUE);
    peer_call(peer, ECHO_NOW, 1, "never read");
    peer_free(peer);
    SPIN_UNTIL(fix.echo.closed == 1);
    ck_assert_int_eq(client->reason, VADM_DISCONNECT_CLIENT);
    ck_assert_uint_eq(fix.echo.calls, 0);

    /* who has only finished sending may still read */
    half = peer_new(fix.path);
    reader = get_client(2);
    peer_call(half, ECHO_KEEP, 1, "kept");
    SPIN_UNTIL(fix.echo.calls == 1);
    vadm_client_set_hold(reader, TRUE);
    ck_assert_int_eq(shutdown(half->fd, SHUT_WR), 0);
    settle();
    echo_release(1);
    peer_expect_reply(half, 1, "kept");
    vadm_client_set_hold(reader, FALSE);
    peer_expect_eof(half);
    peer_free(half);
}
END_TEST

START_TEST(what_does_not_belong_here)
{
    const guint32 remote = VADM_RPC_PROGRAM_REMOTE, dropped[] = {1, 2, 7, 99, 0xffffffffu};
    VadmMessage *message;
    Peer *peer;

    fixture_start();
    peer = peer_new(fix.path);
    peer_send(peer, make_message(0x12345678, 4, VADM_RPC_CALL, 5, 0, NULL, 0));
    peer_expect_error(peer, 5, 39, 7, "Cannot find program 305419896 version 1");
    peer_send(peer, make_message(VADM_RPC_PROGRAM_KEEPALIVE, 1, VADM_RPC_CALL, 6, 0, NULL, 0));
    peer_expect_error(peer, 6, 39, 7, "Cannot find program 1801807216 version 1");
    message = make_call(ECHO_NOW, 7, "");
    message->data[11] = 2; /* version */
    peer_send(peer, message);
    peer_expect_error(peer, 7, 39, 7, "Cannot find program 536903814 version 2");
    peer_send(peer, make_message(remote, ECHO_NOW, VADM_RPC_CALL, 8, VADM_RPC_ERROR, NULL, 0));
    peer_expect_error(peer, 8, 39, 7, "Unexpected message status 1");
    peer_send(peer, make_message(remote, ECHO_NOW, VADM_RPC_CALL, 9, 4294967295u, NULL, 0));
    peer_expect_error(peer, 9, 39, 7, "Unexpected message status 4294967295");
    for (guint i = 0; i < G_N_ELEMENTS(dropped); i++) {
        peer_send(peer, make_message(remote, ECHO_NOW, dropped[i], 10, 0, NULL, 0));
        peer_send(peer, make_message(0x12345678, 1, dropped[i], 10, 0, NULL, 0));
    }
    peer_send(peer, make_message(0x12345678, 1, VADM_RPC_STREAM, 10, 0, NULL, 0));
    ck_assert(peer_is_silent(peer));
    ck_assert_uint_eq(fix.echo.calls, 0);
    ck_assert_uint_eq(fix.echo.streams, 0);
    peer_send(peer, make_message(remote, ECHO_NOW, VADM_RPC_CALL_WITH_FDS, 11, 0, "\0\0\0\0", 4));
    message = peer_receive(peer);
    ck_assert_uint_eq(message->header.serial, 11);
    vadm_message_free(message);
    peer_free(peer);
}
END_TEST

static void
expect_reason(const void *octets, gsize length, VadmDisconnectReason reason)
{
    g_autoptr(VadmClient) client = NULL;
    guint closed = fix.echo.closed;
    Peer *peer = peer_new(fix.path);

    SPIN_UNTIL(vadm_server_count_clients(fix.server) == 1);
    client = vadm_server_find_client(fix.server, VADM_MATCH_GT, 0);
    if (length > 0)
        peer_write_some(peer, octets, length);
    else
        shutdown(peer->fd, SHUT_WR);
    peer_expect_eof(peer);
    ck_assert(vadm_client_is_closed(client));
    ck_assert_int_eq(client->reason, reason);
    ck_assert_uint_eq(fix.echo.closed, closed + 1);
    ck_assert_uint_eq(vadm_server_count_clients(fix.server), 0);
    peer_free(peer);
}

START_TEST(garbage_closes)
{
    static const guint8 tiny[] = {0, 0, 0, 27}, huge[] = {2, 0, 0, 5};

    fixture_start();
    expect_reason("GET / HTTP/1.0\r\n\r\n", 18, VADM_DISCONNECT_PROTOCOL_ERROR);
    expect_reason("\0\0\0\0", 4, VADM_DISCONNECT_PROTOCOL_ERROR);
    expect_reason(tiny, 4, VADM_DISCONNECT_PROTOCOL_ERROR);
    expect_reason(huge, 4, VADM_DISCONNECT_PROTOCOL_ERROR);
    expect_reason(NULL, 0, VADM_DISCONNECT_CLIENT);
}
END_TEST

START_TEST(slow_client)
{
    g_autoptr(VadmMessage) call = make_call(ECHO_NOW, 3, "octet by octet");
    Peer *peer;

    fixture_start();
    peer = peer_new(fix.path);
    for (gsize i = 0; i < call->length; i++) {
        peer_write(peer, call->data + i, 1);
        turn();
    }
    peer_expect_reply(peer, 3, "octet by octet");
    /* one that ends within a message */
    peer_write(peer, call->data, 10);
    settle();
    peer_free(peer);
    SPIN_UNTIL(vadm_server_count_clients(fix.server) == 0);
}
END_TEST

START_TEST(close_by_others)
{
    g_autoptr(VadmClient) client = NULL;
    VadmClient *borrowed;
    Peer *peer;

    fixture_start();
    peer = peer_new(fix.path);
    client = get_client(1);
    peer_call(peer, ECHO_KEEP, 1, "");
    peer_call(peer, ECHO_NOW, 2, "");
    peer_expect_reply(peer, 2, "");
    vadm_client_post_close(client, VADM_DISCONNECT_ADMINISTRATOR);
    vadm_client_post_close(client, VADM_DISCONNECT_SHUTDOWN);
    peer_expect_eof(peer);
    ck_assert_int_eq(client->reason, VADM_DISCONNECT_ADMINISTRATOR);
    ck_assert_uint_eq(fix.echo.closed, 1);
    /* a reply that comes too late is dropped, and so is all else */
    echo_release(1);
    vadm_client_send(client, make_call(ECHO_NOW, 1, ""));
    vadm_client_post_reply(client, make_call(ECHO_NOW, 1, ""), TRUE);
    vadm_client_close_flushed(client, VADM_DISCONNECT_CLIENT);
    vadm_client_set_hold(client, FALSE);
    vadm_client_start_keepalive(client);
    settle();
    ck_assert_uint_eq(vadm_client_queued(client), 0);
    ck_assert_uint_eq(fix.echo.closed, 1);
    ck_assert_uint_eq(fix.echo.data_freed, 0);
    borrowed = g_steal_pointer(&client);
    vadm_client_unref(borrowed);
    SPIN_UNTIL(fix.echo.data_freed == 1);
    peer_free(peer);
}
END_TEST

START_TEST(close_after_the_reply)
{
    g_autoptr(VadmClient) client = NULL;
    Peer *peer;

    fixture_start();
    peer = peer_new(fix.path);
    client = get_client(1);
    peer_call(peer, ECHO_CLOSE, 1, "bye");
    peer_expect_reply(peer, 1, "bye");
    peer_expect_eof(peer);
    ck_assert_int_eq(client->reason, VADM_DISCONNECT_CLIENT);
    peer_free(peer);
}
END_TEST

/* The flush has a time limit, and an administrator need not wait for it. */
START_TEST(close_during_the_flush)
{
    const guint32 size = GUINT32_TO_BE(8u * 1024 * 1024);
    g_autoptr(VadmClient) client = NULL;
    Peer *peer;

    fixture_start();
    peer = peer_new(fix.path);
    client = get_client(1);
    peer_send(peer, make_message(VADM_RPC_PROGRAM_REMOTE, ECHO_BIG, VADM_RPC_CALL, 1, 0, &size, 4));
    SPIN_UNTIL(fix.echo.calls == 1);
    vadm_client_close_flushed(client, VADM_DISCONNECT_CLIENT);
    settle();
    ck_assert(!vadm_client_is_closed(client)); /* still has its place and its row */
    ck_assert_uint_eq(vadm_server_count_clients(fix.server), 1);
    if (_i == 0)
        vadm_client_close(client, VADM_DISCONNECT_ADMINISTRATOR);
    SPIN_UNTIL(vadm_client_is_closed(client));
    ck_assert_int_eq(client->reason, VADM_DISCONNECT_CLIENT); /* the first one counts */
    ck_assert_uint_eq(fix.echo.closed, 1);
    peer_free(peer);
}
END_TEST

START_TEST(keepalive_only_when_asked)
{
    VadmServerConfig *config = vadm_config_find_server(fix.config, "libvirtd");
    g_autoptr(VadmClient) client = NULL;
    g_autoptr(VadmMessage) ping = NULL;
    Peer *quiet, *peer;

    config->keepalive_interval = 1;
    config->keepalive_count = 1;
    fixture_start();
    quiet = peer_new(fix.path);
    peer = peer_new(fix.path);
    client = get_client(2);
    peer_call(peer, ECHO_PING_ME, 1, "");
    peer_expect_reply(peer, 1, "");
    ping = peer_receive(peer);
    ck_assert_uint_eq(ping->header.program, VADM_RPC_PROGRAM_KEEPALIVE);
    ck_assert_int_eq(ping->header.procedure, 1);
    peer_expect_eof(peer);
    ck_assert_int_eq(client->reason, VADM_DISCONNECT_KEEPALIVE);
    ck_assert(peer_is_silent(quiet));
    ck_assert_uint_eq(vadm_server_count_clients(fix.server), 1);
    peer_free(peer);
    peer_free(quiet);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("client");
    TCase *tcase = tcase_create("client");

    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, fixture_setup, fixture_teardown);
    tcase_add_test(tcase, pipelined_and_out_of_order);
    tcase_add_test(tcase, held_back_in_order_with_keepalive_ahead);
    tcase_add_test(tcase, raising_the_limit_dispatches_at_once);
    tcase_add_test(tcase, read_ahead_is_bounded);
    tcase_add_test(tcase, large_message_behind_a_held_one);
    tcase_add_test(tcase, who_does_not_read_gets_no_more_work_done);
    tcase_add_test(tcase, errors_for_who_does_not_read_are_bounded);
    tcase_add_test(tcase, streams_do_not_overtake_their_call);
    tcase_add_test(tcase, a_hold_stops_reading);
    tcase_add_test(tcase, another_stream);
    tcase_add_test(tcase, who_goes_while_held_is_noticed);
    tcase_add_test(tcase, what_does_not_belong_here);
    tcase_add_test(tcase, garbage_closes);
    tcase_add_test(tcase, slow_client);
    tcase_add_test(tcase, close_by_others);
    tcase_add_test(tcase, close_after_the_reply);
    tcase_add_loop_test(tcase, close_during_the_flush, 0, 2);
    tcase_add_test(tcase, keepalive_only_when_asked);
    suite_add_tcase(suite, tcase);
    return vadm_unit_main(suite);
}
