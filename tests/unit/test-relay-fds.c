/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Descriptors through the relay. Each is the writing end of a pipe, so it can be told which one has
 * come out, and whether anybody has it still.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/relay-fixture.h"

#define REMOTE VADM_RPC_PROGRAM_REMOTE
#define PROC   VADM_REMOTE_PROC_CONNECT_GET_VERSION /* of no interest here */

typedef struct {
    int outlet, inlet; /* the inlet is given away */
} Pipe;

static Pipe
new_pipe(void)
{
    int fds[2];

    ck_assert_int_eq(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    return (Pipe){fds[0], fds[1]};
}

static gboolean
is_closed(const Pipe *pipe)
{
    char octet;

    return read(pipe->outlet, &octet, 1) == 0;
}

/* Descriptor @index of @message is the one of @pipe; the test gives its own up. */
static void
assert_carries(const VadmMessage *message, guint index, const Pipe *pipe)
{
    char octet = 0;

    ck_assert_uint_gt(vadm_message_n_fds(message), index);
    ck_assert_int_eq(write(g_array_index(message->fds, int, index), "x", 1), 1);
    ck_assert_int_eq(read(pipe->outlet, &octet, 1), 1);
    ck_assert_int_eq(octet, 'x');
}

static VadmMessage *
with_fds(guint32 type, guint32 serial, guint32 promised, const Pipe *pipes, guint n)
{
    guint32 payload[2] = {GUINT32_TO_BE(promised), GUINT32_TO_BE(77)};
    VadmMessage *message = raw_message(REMOTE, type, PROC, serial, 0, payload, sizeof payload);

    for (guint i = 0; i < n; i++) {
        if (!message->fds)
            message->fds = g_array_new(FALSE, FALSE, sizeof(int));
        g_array_append_val(message->fds, pipes[i].inlet);
    }
    return message;
}

START_TEST(test_call)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    const Pipe pipes[] = {new_pipe(), new_pipe()};
    const VadmMessage *call;
    Peer *peer;

    client_send_message(client, with_fds(VADM_RPC_CALL_WITH_FDS, 1000, 2, pipes, 2));
    peer = upstream_wait_calls(relay->upstream, 1);
    call = peer->calls->pdata[0];
    ck_assert_uint_eq(call->header.type, VADM_RPC_CALL_WITH_FDS);
    ck_assert_uint_eq(vadm_message_n_fds(call), 2);
    ck_assert_uint_eq(call->length, 36);
    ck_assert_int_eq(memcmp(call->data + 28, "\0\0\0\2\0\0\0\115", 8), 0);
    assert_carries(call, 0, &pipes[0]);
    assert_carries(call, 1, &pipes[1]);
    peer_reply(peer, 0, VADM_RPC_OK, "okay", 4); /* and forgets the call */
    ck_assert_uint_eq(client_at(client, 0)->header.serial, 1000);
    for (guint i = 0; i < 2; i++) {
        ck_assert_msg(is_closed(&pipes[i]), "the relay keeps descriptor %u", i);
        close(pipes[i].outlet);
    }
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

START_TEST(test_reply)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    Pipe pipes[VADM_RPC_FDS_MAX];
    const VadmMessage *call, *reply;
    Peer *peer;

    for (guint i = 0; i < VADM_RPC_FDS_MAX; i++)
        pipes[i] = new_pipe();
    client_call(client, PROC, 5, NULL, 0);
    client_call(client, PROC, 6, NULL, 0);
    peer = upstream_wait_calls(relay->upstream, 2);
    call = peer->calls->pdata[0];
    vadm_conn_send(peer->conn, with_fds(VADM_RPC_REPLY_WITH_FDS, call->header.serial,
                                        VADM_RPC_FDS_MAX, pipes, VADM_RPC_FDS_MAX));
    peer_reply(peer, 1, VADM_RPC_OK, "okay", 4);
    reply = client_at(client, 1);
    ck_assert_uint_eq(reply->header.serial, 6);
    reply = client_at(client, 0);
    ck_assert_uint_eq(reply->header.serial, 5);
    ck_assert_uint_eq(reply->header.type, VADM_RPC_REPLY_WITH_FDS);
    ck_assert_uint_eq(vadm_message_n_fds(reply), VADM_RPC_FDS_MAX);
    for (guint i = 0; i < VADM_RPC_FDS_MAX; i++)
        assert_carries(reply, i, &pipes[i]);
    client_disconnect(client);
    for (guint i = 0; i < VADM_RPC_FDS_MAX; i++) {
        WAIT_FOR(is_closed(&pipes[i]));
        close(pipes[i].outlet);
    }
    relay_free(relay);
}
END_TEST

/* A word that says 0 changes nothing, and a message without the word means nothing. */
START_TEST(test_none)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    const VadmMessage *call;
    Peer *peer;

    client_set_transport(client, _i == 0 ? VADM_TRANSPORT_UNIX : VADM_TRANSPORT_TCP);
    client_send_message(client, with_fds(VADM_RPC_CALL_WITH_FDS, 7, 0, NULL, 0));
    peer = upstream_wait_calls(relay->upstream, 1);
    call = peer->calls->pdata[0];
    ck_assert_uint_eq(call->header.type, VADM_RPC_CALL_WITH_FDS);
    ck_assert_ptr_null(call->fds);
    vadm_conn_send(peer->conn, with_fds(VADM_RPC_REPLY_WITH_FDS, call->header.serial, 0, NULL, 0));
    ck_assert_uint_eq(client_at(client, 0)->header.type, VADM_RPC_REPLY_WITH_FDS);
    ck_assert_uint_eq(client_at(client, 0)->header.status, VADM_RPC_OK);

    client_send_message(client,
                        raw_message(REMOTE, VADM_RPC_CALL_WITH_FDS, PROC, 8, 0, "\0\0\0", 3));
    assert_error(client_at(client, 1), 8, VADM_VIR_ERR_RPC, "Unable to decode message payload");
    ck_assert_int_eq(client_reason(client), 0);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

START_TEST(test_reply_cut_short)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    Peer *peer;

    client_call(client, PROC, 5, NULL, 0);
    peer = upstream_wait_calls(relay->upstream, 1);
    peer_send(peer, VADM_RPC_REPLY_WITH_FDS, PROC,
              ((VadmMessage *)peer->calls->pdata[0])->header.serial, 0, "\0\0\0", 3);
    assert_error(client_at(client, 0), 5, VADM_VIR_ERR_RPC, "cut short");
    WAIT_FOR(client_reason(client) == VADM_DISCONNECT_UNKNOWN);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* The octets that go along with descriptors are no message, so that client ends. */
START_TEST(test_call_from_afar)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);

    client_set_transport(client, VADM_TRANSPORT_TCP);
    client_send_message(client, with_fds(VADM_RPC_CALL_WITH_FDS, 9, 2, NULL, 0));
    assert_error(client_at(client, 0), 9, VADM_VIR_ERR_OPERATION_UNSUPPORTED, "2 file descriptors");
    ck_assert_int_eq(client_reason(client), VADM_DISCONNECT_PROTOCOL_ERROR);
    ck_assert_uint_eq(relay->upstream->peers->len, 0);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* An upstream that sends them to a client that cannot have them does that client no harm. */
START_TEST(test_reply_to_afar)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    const Pipe pipe = new_pipe();
    Peer *peer;

    client_set_transport(client, VADM_TRANSPORT_TLS);
    client_call(client, PROC, 5, NULL, 0);
    peer = upstream_wait_calls(relay->upstream, 1);
    vadm_conn_send(peer->conn,
                   with_fds(VADM_RPC_REPLY_WITH_FDS,
                            ((VadmMessage *)peer->calls->pdata[0])->header.serial, 1, &pipe, 1));
    assert_error(client_at(client, 0), 5, VADM_VIR_ERR_OPERATION_UNSUPPORTED, "1 file descriptors");
    WAIT_FOR(is_closed(&pipe));
    close(pipe.outlet);
    g_ptr_array_set_size(peer->calls, 0);
    assert_call_works(client, relay->upstream);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* Descriptors of a call that never goes upstream: the client goes first, or the upstream is not
 * there, or does not take it. */
START_TEST(test_call_dropped)
{
    Relay *relay = relay_new(_i != 1);
    VadmClient *client = client_new(relay, FALSE);
    const Pipe pipe = new_pipe();

    if (_i == 0) { /* held, behind the identity */
        relay->upstream->keep_identity = TRUE;
        client_open(client, 1);
    } else if (_i == 2) { /* the upstream says nothing at all */
        relay->upstream->greeting = "";
    }
    client_send_message(client, with_fds(VADM_RPC_CALL_WITH_FDS, 9, 1, &pipe, 1));
    if (_i == 1)
        assert_error(client_at(client, 0), 9, VADM_VIR_ERR_SYSTEM_ERROR, "Failed to connect");
    for (guint i = 0; i < 20; i++)
        relay_turn();
    client_disconnect(client);
    WAIT_FOR(is_closed(&pipe));
    close(pipe.outlet);
    relay_free(relay);
}
END_TEST

/* Where the client can have them, it is for the upstream to say whether it passes any. */
START_TEST(test_feature)
{
    static const guint8 feature[] = {0, 0, 0, VADM_REMOTE_FEATURE_FD_PASSING};
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    gsize length;

    client_call(client, VADM_REMOTE_PROC_CONNECT_SUPPORTS_FEATURE, 6, feature, 4);
    peer_reply(upstream_wait_calls(relay->upstream, 1), 0, VADM_RPC_OK, "\0\0\0\1", 4);
    ck_assert_int_eq(memcmp(vadm_message_payload(client_at(client, 0), &length), "\0\0\0\1", 4), 0);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* Descriptors before the upstream has let us in are of no daemon. */
START_TEST(test_before_authentication)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    const Pipe pipe = new_pipe();

    relay->upstream->greeting = "";
    client_call(client, PROC, 5, NULL, 0);
    vadm_conn_send(upstream_peer(relay->upstream, 0)->conn,
                   with_fds(VADM_RPC_REPLY_WITH_FDS, 0, 1, &pipe, 1));
    assert_error(client_at(client, 0), 5, VADM_VIR_ERR_RPC, relay->config.upstream);
    WAIT_FOR(is_closed(&pipe));
    close(pipe.outlet);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

void
test_fds_add(Suite *suite)
{
    TCase *tests = tcase_create("descriptors");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_call);
    tcase_add_test(tests, test_reply);
    tcase_add_loop_test(tests, test_none, 0, 2);
    tcase_add_test(tests, test_reply_cut_short);
    tcase_add_test(tests, test_call_from_afar);
    tcase_add_test(tests, test_reply_to_afar);
    tcase_add_loop_test(tests, test_call_dropped, 0, 3);
    tcase_add_test(tests, test_feature);
    tcase_add_test(tests, test_before_authentication);
    suite_add_tcase(suite, tests);
}
