/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether the upstream is there, and how that is found out. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/relay-link.h"
#include "rpc/unix-socket.h"
#include "tests/unit/relay-fixture.h"

static void
turns(guint n)
{
    while (n-- > 0)
        relay_turn();
}

/* One connection that ends says nothing of the daemon; a socket without a daemon does. */
START_TEST(test_state_after_eof)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE), *second = client_new(relay, FALSE);

    assert_call_works(client, relay->upstream);
    peer_close(upstream_peer(relay->upstream, 0));
    WAIT_FOR(client_reason(client) != 0);
    WAIT_FOR(relay->upstream->peers->len == 2); /* the look at it */
    turns(20);
    ck_assert_int_eq(relay_state(relay), VADM_UPSTREAM_UP);

    assert_call_works(second, relay->upstream);
    g_clear_pointer(&relay->upstream, upstream_free);
    WAIT_FOR(client_reason(second) != 0);
    WAIT_FOR(relay_state(relay) == VADM_UPSTREAM_UNREACHABLE);
    client_disconnect(client);
    client_disconnect(second);
    relay_free(relay);
}
END_TEST

/* One socket that can be reached says nothing of the other, which is looked at until it is back. */
START_TEST(test_two_sockets)
{
    Relay *relay = relay_new(TRUE);
    VadmRelay *state = (VadmRelay *)relay->program;
    VadmClient *reader = client_new(relay, TRUE);
    Upstream *readonly;

    state->look_ms = 20;
    assert_call_fails(reader, VADM_VIR_ERR_SYSTEM_ERROR, g_strerror(ENOENT));
    for (guint i = 0; i < 3; i++) {
        VadmClient *writer = client_new(relay, FALSE);

        assert_call_works(writer, relay->upstream);
        client_disconnect(writer);
        ck_assert_int_eq(relay_state(relay), VADM_UPSTREAM_UNREACHABLE);
    }
    readonly = upstream_new(relay->config.upstream_ro);
    WAIT_FOR(relay_state(relay) == VADM_UPSTREAM_UP);

    assert_call_works(reader, readonly);
    g_clear_pointer(&readonly, upstream_free);
    WAIT_FOR(client_reason(reader) != 0);
    WAIT_FOR(relay_state(relay) == VADM_UPSTREAM_UNREACHABLE);
    ck_assert_ptr_nonnull(state->upstreams[1].look);
    ck_assert_ptr_null(state->upstreams[0].look);
    client_disconnect(reader);
    relay_free(relay);
}
END_TEST

/* Its return is noticed without a client, by one connection that ends there. */
START_TEST(test_look)
{
    Relay *relay = relay_new(FALSE);
    VadmRelay *state = (VadmRelay *)relay->program;
    VadmClient *client = client_new(relay, FALSE);

    state->look_ms = 20;
    for (guint i = 0; i < 2; i++) {
        assert_call_fails(client, VADM_VIR_ERR_SYSTEM_ERROR, g_strerror(ENOENT));
        ck_assert_int_eq(relay_state(relay), VADM_UPSTREAM_UNREACHABLE);
        relay->upstream = upstream_new(relay->config.upstream);
        WAIT_FOR(relay_state(relay) == VADM_UPSTREAM_UP);
        ck_assert_ptr_null(state->upstreams[0].look);
        WAIT_FOR(upstream_peer(relay->upstream, 0)->ended);
        turns(20);
        ck_assert_uint_eq(relay->upstream->peers->len, 1);
        g_clear_pointer(&relay->upstream, upstream_free);
    }
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* An upstream that hangs has one connection to answer, and is back when it does. */
START_TEST(test_look_waits)
{
    Relay *relay = relay_new(TRUE);
    VadmRelay *state = (VadmRelay *)relay->program;
    VadmClient *client = client_new(relay, FALSE);
    const guint8 none[] = {0, 0, 0, 1, 0, 0, 0, VADM_REMOTE_AUTH_NONE};
    Peer *looking;

    state->look_ms = 1;
    vadm_relay_set_deadline(relay->program, 20);
    relay->upstream->greeting = "";
    assert_call_fails(client, VADM_VIR_ERR_OPERATION_TIMEOUT, "did not answer");
    looking = upstream_peer(relay->upstream, 1);
    turns(200);
    ck_assert_int_eq(relay_state(relay), VADM_UPSTREAM_UNREACHABLE);
    ck_assert_uint_eq(relay->upstream->peers->len, 2);
    ck_assert_uint_eq(state->upstreams[0].look_link->state, LINK_AUTH);
    vadm_conn_send(looking->conn,
                   raw_message(VADM_RPC_PROGRAM_REMOTE, VADM_RPC_REPLY, VADM_REMOTE_PROC_AUTH_LIST,
                               state->upstreams[0].look_link->own_serial, VADM_RPC_OK, none,
                               sizeof(none)));
    WAIT_FOR(relay_state(relay) == VADM_UPSTREAM_UP);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* What has no room for a connection costs one try at a time. */
START_TEST(test_look_at_full_backlog)
{
    Relay *relay = relay_new(FALSE);
    VadmRelay *state = (VadmRelay *)relay->program;
    VadmClient *client = client_new(relay, FALSE);
    int listener = silent_listener(relay->config.upstream, 0), filler;

    filler = vadm_unix_connect(relay->config.upstream, NULL);
    ck_assert_int_ge(filler, 0);
    state->look_ms = 1;
    vadm_relay_set_deadline(relay->program, 20);
    assert_call_fails(client, VADM_VIR_ERR_OPERATION_TIMEOUT, "did not accept");
    turns(20);
    ck_assert_ptr_nonnull(state->upstreams[0].look);
    ck_assert_uint_eq(state->upstreams[0].look_link->state, LINK_IDLE);
    close(filler);
    close(listener);
    unlink(relay->config.upstream);
    relay->upstream = upstream_new(relay->config.upstream);
    WAIT_FOR(relay_state(relay) == VADM_UPSTREAM_UP);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* What accepts but lets nobody in is not back. */
START_TEST(test_look_in_vain)
{
    Relay *relay = relay_new(FALSE);
    VadmRelay *state = (VadmRelay *)relay->program;
    VadmClient *client = client_new(relay, FALSE);
    int listener = silent_listener(relay->config.upstream, 5), accepted;

    state->look_ms = 20;
    vadm_relay_set_deadline(relay->program, 30);
    assert_call_fails(client, VADM_VIR_ERR_OPERATION_TIMEOUT, "did not answer");
    for (guint i = 0; i < 4; i++) { /* the client's, and three that look */
        WAIT_FOR((accepted = accept(listener, NULL, NULL)) >= 0);
        close(accepted);
        ck_assert_int_eq(relay_state(relay), VADM_UPSTREAM_UNREACHABLE);
    }
    close(listener);
    unlink(relay->config.upstream);

    relay->upstream = upstream_new(relay->config.upstream);
    relay->upstream->n_auth = 1;
    relay->upstream->auth[0] = VADM_REMOTE_AUTH_SASL;
    WAIT_FOR(relay->upstream->peers->len == 2);
    ck_assert_int_eq(relay_state(relay), VADM_UPSTREAM_UNREACHABLE);
    relay->upstream->auth[0] = VADM_REMOTE_AUTH_NONE;
    WAIT_FOR(relay_state(relay) == VADM_UPSTREAM_UP);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* A client that gets in ends the look that is under way, and so does the relay's end. */
START_TEST(test_look_ends)
{
    Relay *relay = relay_new(FALSE);
    VadmRelay *state = (VadmRelay *)relay->program;
    VadmClient *client = client_new(relay, FALSE);

    state->look_ms = 1;
    assert_call_fails(client, VADM_VIR_ERR_SYSTEM_ERROR, g_strerror(ENOENT));
    relay->upstream = upstream_new(relay->config.upstream);
    relay->upstream->greeting = "";
    WAIT_FOR(relay->upstream->peers->len == 1); /* one that looks, and is not answered */
    if (_i == 0) {
        relay->upstream->greeting = NULL;
        assert_call_works(client, relay->upstream);
        ck_assert_int_eq(relay_state(relay), VADM_UPSTREAM_UP);
        ck_assert_ptr_null(state->upstreams[0].look);
        vadm_conn_set_reading(upstream_peer(relay->upstream, 0)->conn, TRUE);
        WAIT_FOR(upstream_peer(relay->upstream, 0)->ended);
    }
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

void
test_state_add(Suite *suite)
{
    TCase *tcase = tcase_create("state");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_state_after_eof);
    tcase_add_test(tcase, test_two_sockets);
    tcase_add_test(tcase, test_look);
    tcase_add_test(tcase, test_look_waits);
    tcase_add_test(tcase, test_look_at_full_backlog);
    tcase_add_test(tcase, test_look_in_vain);
    tcase_add_loop_test(tcase, test_look_ends, 0, 2);
    suite_add_tcase(suite, tcase);
}
