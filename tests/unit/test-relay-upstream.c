/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The relay's upstream: reaching it, authentication, losing it, and not reading too much. */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "rpc/unix-socket.h"
#include "tests/unit/relay-fixture.h"

enum { PROC_CAPABILITIES = 7 };

#define REMOTE  VADM_RPC_PROGRAM_REMOTE
#define PROC_UP 208 /* STORAGE_VOL_UPLOAD */

static void
turns(guint n)
{
    while (n-- > 0)
        relay_turn();
}

START_TEST(test_absent)
{
    Relay *relay = relay_new(FALSE);
    VadmClient *client = client_new(relay, FALSE);
    g_autofree char *text = g_strdup_printf("Failed to connect socket to '%s': %s",
                                            relay->config.upstream, g_strerror(ENOENT));

    assert_call_fails(client, VADM_VIR_ERR_SYSTEM_ERROR, text);
    ck_assert_int_eq(relay_state(relay), VADM_UPSTREAM_UNREACHABLE);
    ck_assert_int_eq(client_reason(client), 0);
    /* nothing was lost, so the client may try again */
    relay->upstream = upstream_new(relay->config.upstream);
    assert_call_works(client, relay->upstream);
    ck_assert_int_eq(relay_state(relay), VADM_UPSTREAM_UP);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* What we lack ourselves says nothing of the upstream. */
START_TEST(test_no_descriptors)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE), *second = client_new(relay, FALSE);
    struct rlimit saved, low;
    int next;

    assert_call_works(client, relay->upstream);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &saved), 0);
    low = saved;
    next = dup(STDIN_FILENO);
    ck_assert_int_ge(next, 0);
    close(next);
    low.rlim_cur = (rlim_t)next;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_call_fails(second, VADM_VIR_ERR_SYSTEM_ERROR, g_strerror(EMFILE));
    ck_assert_int_eq(relay_state(relay), VADM_UPSTREAM_UP);
    /* the look at the upstream behind a connection that ended cannot be had either */
    peer_close(upstream_peer(relay->upstream, 0));
    WAIT_FOR(client_reason(client) != 0);
    WAIT_FOR(!((VadmRelay *)relay->program)->upstreams[0].probe);
    ck_assert_int_eq(relay_state(relay), VADM_UPSTREAM_UP);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &saved), 0);
    client_disconnect(client);
    client_disconnect(second);
    relay_free(relay);
}
END_TEST

START_TEST(test_path_too_long)
{
    Relay *relay = relay_new(FALSE);
    VadmClient *client = client_new(relay, FALSE);
    g_autofree char *path = g_strnfill(108, 'x');

    ((VadmRelay *)relay->program)->upstreams[0].path = path;
    assert_call_fails(client, VADM_VIR_ERR_SYSTEM_ERROR, g_strerror(ENAMETOOLONG));
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

START_TEST(test_readonly)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, TRUE);
    VadmClient *other = client_new(relay, TRUE);
    Upstream *readonly;

    assert_call_fails(client, VADM_VIR_ERR_SYSTEM_ERROR, relay->config.upstream_ro);
    readonly = upstream_new(relay->config.upstream_ro);
    assert_call_works(client, readonly);
    ck_assert_uint_eq(relay->upstream->peers->len, 0);
    ((VadmRelay *)relay->program)->upstreams[1].path = NULL;
    assert_call_fails(other, VADM_VIR_ERR_SYSTEM_ERROR, "has no upstream for its read-only");
    ck_assert_uint_eq(relay->upstream->peers->len, 0);
    client_disconnect(client);
    client_disconnect(other);
    upstream_free(readonly);
    relay_free(relay);
}
END_TEST

START_TEST(test_garbage)
{
    static const char *const greetings[] = {"HTTP/1.1 400 Bad Request\r\n\r\n", "\1\2\3",
                                            "\xff\xff\xff\xff\xff\xff\xff\xff"};
    Relay *relay = relay_new(TRUE);

    for (guint i = 0; i < G_N_ELEMENTS(greetings); i++) {
        VadmClient *client = client_new(relay, FALSE);

        vadm_relay_set_deadline(relay->program, i == 1 ? 300 : 10000);
        relay->upstream->greeting = greetings[i];
        assert_call_fails(client, i == 1 ? VADM_VIR_ERR_OPERATION_TIMEOUT : VADM_VIR_ERR_RPC,
                          i == 1 ? "did not answer" : "is no libvirt daemon");
        ck_assert_int_eq(relay_state(relay), VADM_UPSTREAM_UNREACHABLE);
        relay->upstream->greeting = NULL;
        vadm_relay_set_deadline(relay->program, 10000);
        assert_call_works(client, relay->upstream);
        client_disconnect(client);
    }
    relay_free(relay);
}
END_TEST

typedef struct {
    guint32 program, type;
    gint32 procedure;
    guint32 serial;
    const char *payload;
    gsize length;
} WrongAnswer;

static const WrongAnswer wrong_answers[] = {
    {REMOTE, VADM_RPC_REPLY, 66, 12345, NULL, 0},             /* serial */
    {REMOTE, VADM_RPC_REPLY, 70, 0, NULL, 0},                 /* procedure */
    {REMOTE, VADM_RPC_EVENT, 66, 0, NULL, 0},                 /* type */
    {REMOTE, VADM_RPC_CALL, 66, 0, NULL, 0},                  /* type */
    {VADM_RPC_PROGRAM_ADMIN, VADM_RPC_REPLY, 66, 0, NULL, 0}, /* program */
    {REMOTE, VADM_RPC_REPLY, 66, 0, NULL, 0},                 /* no payload */
    {REMOTE, VADM_RPC_REPLY, 66, 0, "\0\0\1\0", 4},           /* count above the limit */
    {REMOTE, VADM_RPC_REPLY_WITH_FDS, 70, 0, "\0\0\0\1", 4},
};

/* What is answered to AUTH_LIST, by hand. */
START_TEST(test_wrong_answer)
{
    const WrongAnswer *wrong = &wrong_answers[_i];
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    Peer *peer;

    relay->upstream->greeting = "";
    client_call(client, PROC_VERSION, 5, NULL, 0);
    peer = upstream_peer(relay->upstream, 0);
    vadm_conn_send(peer->conn, raw_message(wrong->program, wrong->type, wrong->procedure,
                                           wrong->serial, 0, wrong->payload, wrong->length));
    assert_error(client_at(client, 0), 5, VADM_VIR_ERR_RPC, relay->config.upstream);
    ck_assert_int_eq(relay_state(relay), VADM_UPSTREAM_UNREACHABLE);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* A daemon that is full accepts, by its kernel, and says nothing. */
START_TEST(test_silent)
{
    Relay *relay = relay_new(FALSE);
    VadmClient *client = client_new(relay, FALSE);
    int listener = silent_listener(relay->config.upstream, 5);
    gint64 begin = g_get_monotonic_time();

    vadm_relay_set_deadline(relay->program, 200);
    assert_call_fails(client, VADM_VIR_ERR_OPERATION_TIMEOUT,
                      "did not answer to authentication within 200 ms");
    ck_assert_int_ge(g_get_monotonic_time() - begin, 200 * 1000);
    ck_assert_int_eq(relay_state(relay), VADM_UPSTREAM_UNREACHABLE);
    close(listener);
    unlink(relay->config.upstream);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* A backlog that is full: connect() does not even begin. */
START_TEST(test_backlog)
{
    Relay *relay = relay_new(FALSE);
    VadmClient *client = client_new(relay, FALSE);
    int listener = silent_listener(relay->config.upstream, 0), filler, accepted;
    g_autoptr(GError) error = NULL;

    filler = vadm_unix_connect(relay->config.upstream, &error);
    ck_assert_int_ge(filler, 0);
    ck_assert_int_lt(vadm_unix_connect(relay->config.upstream, &error), 0);
    ck_assert_int_eq(vadm_error_get_errno(error), EAGAIN);

    vadm_relay_set_deadline(relay->program, 200);
    assert_call_fails(client, VADM_VIR_ERR_OPERATION_TIMEOUT, "did not accept a connection");

    vadm_relay_set_deadline(relay->program, 10000);
    client_call(client, PROC_VERSION, 5, NULL, 0);
    turns(5);
    ck_assert_uint_eq(client_received(client)->len, 1);
    accepted = accept(listener, NULL, NULL); /* makes a place */
    close(accepted);
    WAIT_FOR((accepted = accept(listener, NULL, NULL)) >= 0);
    close(accepted);
    assert_error(client_at(client, 1), 5, VADM_VIR_ERR_SYSTEM_ERROR, "closed the connection");
    close(filler);
    close(listener);
    unlink(relay->config.upstream);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

typedef struct {
    int types[4];
    guint n_types;
    gboolean polkit;
    const char *error;
} AuthCase;

static const AuthCase auth_cases[] = {
    {{0}, 1, FALSE, NULL},
    {{0}, 0, FALSE, NULL},
    {{1, 0}, 2, FALSE, NULL},
    {{2, 0}, 2, FALSE, NULL},
    {{2}, 1, TRUE, NULL},
    {{1, 2}, 2, TRUE, NULL},
    {{2}, 1, FALSE, "no agent"},
    {{1}, 1, FALSE, "asks for authentication of kind 1"},
    {{99}, 1, FALSE, "asks for authentication of kind 99"},
};

START_TEST(test_authentication)
{
    const AuthCase *wanted = &auth_cases[_i];
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);

    memcpy(relay->upstream->auth, wanted->types, sizeof(wanted->types));
    relay->upstream->n_auth = wanted->n_types;
    relay->upstream->polkit = wanted->polkit;
    if (wanted->error)
        assert_call_fails(client, VADM_VIR_ERR_AUTH_FAILED, wanted->error);
    else
        assert_call_works(client, relay->upstream);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* Calls in flight and held get an error each, then the client goes. */
START_TEST(test_eof)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    gboolean seen[4] = {FALSE};
    gint64 lost;
    Peer *peer;

    relay->upstream->keep_open = TRUE;
    for (guint i = 0; i < 3; i++)
        client_call(client, PROC_VERSION, i, NULL, 0);
    peer = upstream_wait_calls(relay->upstream, 3);
    client_call(client, VADM_REMOTE_PROC_CONNECT_OPEN, 3, "\0\0\0\0\0\0\0", 8);
    WAIT_FOR(relay_pool_stats(relay).queue_depth == 0);
    turns(10);
    peer_close(peer);
    lost = g_get_monotonic_time();
    client_at(client, 3);
    for (guint i = 0; i < 4; i++) {
        guint32 serial = client_at(client, i)->header.serial;
        assert_error(client_at(client, i), serial, VADM_VIR_ERR_SYSTEM_ERROR,
                     "closed the connection");
        seen[serial] = TRUE;
    }
    ck_assert(seen[0] && seen[1] && seen[2] && seen[3]);
    ck_assert_int_eq(client_reason(client), VADM_DISCONNECT_UNKNOWN);
    WAIT_FOR(relay_pool_stats(relay).failed == 4);
    /* a call that was still on its way */
    assert_call_fails(client, VADM_VIR_ERR_SYSTEM_ERROR, "closed the connection");
    ck_assert(relay->upstream->peers->len == 1 || /* or it was time to look whether it is back */
              g_get_monotonic_time() - lost >= VADM_RELAY_PROBE_MS * 1000);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

START_TEST(test_reply_to_nobody)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    Peer *peer;

    client_call(client, PROC_VERSION, 1, NULL, 0);
    peer = upstream_wait_calls(relay->upstream, 1);
    peer_send(peer, VADM_RPC_REPLY, PROC_VERSION + 1,
              ((VadmMessage *)peer->calls->pdata[0])->header.serial, 0, NULL, 0);
    assert_error(client_at(client, 0), 1, VADM_VIR_ERR_RPC, "that nobody called");
    WAIT_FOR(client_reason(client) != 0);
    WAIT_FOR(peer->ended);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* The workers of a client that goes are let go, whatever state its calls are in. */
START_TEST(test_client_goes)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    Peer *peer;

    relay->upstream->keep_identity = TRUE;
    client_call(client, PROC_VERSION, 1, NULL, 0);
    peer = upstream_wait_calls(relay->upstream, 1);
    client_call(client, VADM_REMOTE_PROC_CONNECT_OPEN, 2, "\0\0\0\0\0\0\0", 8);
    for (guint i = 0; i < 12; i++) /* more than there are workers */
        client_call(client, PROC_VERSION, 3 + i, NULL, 0);
    turns(10);
    client_disconnect(client);
    WAIT_FOR(peer->ended);
    ck_assert_uint_eq(relay_pool_stats(relay).queue_depth, 0);
    WAIT_FOR(relay_pool_stats(relay).free == 8);
    relay_free(relay);
}
END_TEST

START_TEST(test_client_goes_while_connecting)
{
    Relay *relay = relay_new(FALSE);
    VadmClient *client = client_new(relay, FALSE);
    int listener = silent_listener(relay->config.upstream, 5);

    client_call(client, PROC_VERSION, 1, NULL, 0);
    turns(10);
    client_disconnect(client);
    WAIT_FOR(relay_pool_stats(relay).done == 1);
    close(listener);
    unlink(relay->config.upstream);
    relay_free(relay);
}
END_TEST

/* The main loop ends while calls are on their way to it: relay_free() sees that no worker stays. */
START_TEST(test_mailbox_closes)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);

    /* those that need a worker */
    for (guint i = 0; i < 4; i++)
        client_call(client, VADM_REMOTE_PROC_CONNECT_OPEN, i, "\0\0\0\0\0\0\0", 8);
    vadm_mailbox_close(relay->mailbox);
    WAIT_FOR(relay_pool_stats(relay).done == 4);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* The client does not take what comes, so the upstream is not read: what it sends stays in its
 * own queue. */
START_TEST(test_slow_client)
{
    const gsize size = 256 * 1024;
    const guint n_events = 64;
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    g_autofree guint8 *payload = g_malloc0(size);
    Peer *peer;
    guint passed;

    relay->config.keepalive_interval = 1;
    relay->config.keepalive_count = 0;
    assert_call_works(client, relay->upstream);
    peer = upstream_peer(relay->upstream, 0);
    client_set_queued(client, VADM_CONN_HIGH_WATER + 1);
    for (guint i = 0; i < n_events; i++)
        peer_send(peer, VADM_RPC_EVENT, (gint32)i, 0, 0, payload, size);
    turns(300); /* more than the keepalive's interval: an upstream that is not read is not dead */
    passed = client_received(client)->len - 1;
    ck_assert_uint_le(passed, 1);
    ck_assert_uint_gt(vadm_conn_queued(peer->conn), size * n_events / 2);
    ck_assert_int_eq(client_reason(client), 0);

    client_set_queued(client, 0);
    WAIT_FOR(client_received(client)->len == n_events + 1);
    for (guint i = 0; i < n_events; i++)
        ck_assert_int_eq(client_at(client, i + 1)->header.procedure, (gint32)i);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* What is under way for a client that does not read takes no worker from the others, and is
 * answered when it reads again. */
START_TEST(test_slow_client_has_no_workers)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE), *other = client_new(relay, FALSE);
    guint64 done;
    Peer *peer;

    assert_call_works(client, relay->upstream);
    peer = upstream_peer(relay->upstream, 0);
    WAIT_FOR(relay_pool_stats(relay).free == relay_pool_stats(relay).current);
    done = relay_pool_stats(relay).done;
    for (guint32 serial = 11; serial <= 14; serial++)
        client_call(client, PROC_VERSION, serial, NULL, 0);
    WAIT_FOR(peer->calls->len == 4);
    ck_assert_uint_lt(relay_pool_stats(relay).free, relay_pool_stats(relay).current);
    client_set_queued(client, VADM_CONN_HIGH_WATER + 1);
    peer_send(peer, VADM_RPC_EVENT, 1, 0, 0, NULL, 0);
    WAIT_FOR(relay_pool_stats(relay).free == relay_pool_stats(relay).current);
    client_call(client, PROC_CAPABILITIES, 15, NULL, 0); /* which takes an ordinary place */
    WAIT_FOR(peer->calls->len == 5);
    WAIT_FOR(relay_pool_stats(relay).free == relay_pool_stats(relay).current);
    client_call(other, PROC_VERSION, 1, NULL, 0);
    WAIT_FOR(relay->upstream->peers->len == 2 &&
             upstream_peer(relay->upstream, 1)->calls->len == 1);
    peer_reply(upstream_peer(relay->upstream, 1), 0, VADM_RPC_OK, NULL, 0);
    client_at(other, 0);

    for (guint i = 0; i < 5; i++)
        peer_reply(peer, 0, VADM_RPC_OK, NULL, 0);
    turns(50);
    ck_assert_uint_eq(client_received(client)->len, 2); /* the first, and the event */
    client_set_queued(client, 0);
    WAIT_FOR(client_received(client)->len == 7);
    for (guint i = 0; i < 5; i++)
        ck_assert_uint_eq(client_at(client, i + 2)->header.serial, 11 + i);
    WAIT_FOR(relay_pool_stats(relay).done == done + 6);
    client_disconnect(client);
    client_disconnect(other);
    WAIT_FOR(relay_pool_stats(relay).done == done + 6);
    ck_assert_uint_eq(relay_pool_stats(relay).free, relay_pool_stats(relay).current);
    relay_free(relay);
}
END_TEST

/* The upstream does not take what comes, so the client is not read. */
START_TEST(test_slow_upstream)
{
    const gsize size = 256 * 1024;
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    g_autofree guint8 *payload = g_malloc0(size);
    guint sent = 0;
    Peer *peer;

    client_call(client, PROC_UP, 9, NULL, 0);
    peer = upstream_wait_calls(relay->upstream, 1);
    peer_reply(peer, 0, VADM_RPC_OK, NULL, 0);
    client_at(client, 0);
    vadm_conn_set_reading(peer->conn, FALSE);
    while (!client_held(client) && sent < 100) {
        client_send_message(client, raw_message(REMOTE, VADM_RPC_STREAM, PROC_UP, 9,
                                                VADM_RPC_CONTINUE, payload, size));
        sent++;
    }
    ck_assert_uint_lt(sent, 20); /* high water and what the socket holds */
    vadm_conn_set_reading(peer->conn, TRUE);
    WAIT_FOR(!client_held(client));
    WAIT_FOR(peer->streams->len == sent);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

START_TEST(test_keepalive)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    Peer *peer;

    relay->config.keepalive_interval = 1;
    relay->config.keepalive_count = 1;
    client_call(client, PROC_VERSION, 1, NULL, 0);
    peer = upstream_wait_calls(relay->upstream, 1);
    WAIT_FOR(peer->pings == 2); /* answered, so there is a second */
    vadm_conn_send(peer->conn,
                   raw_message(VADM_RPC_PROGRAM_KEEPALIVE, VADM_RPC_EVENT, 1, 0, 0, NULL, 0));
    turns(10);
    ck_assert_uint_eq(client_received(client)->len, 0); /* not the client's business */
    relay->upstream->deaf = TRUE;
    assert_error(client_at(client, 0), 1, VADM_VIR_ERR_OPERATION_TIMEOUT, "keepalive");
    WAIT_FOR(client_reason(client) != 0);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* As many calls as a daemon's default allows a connection. */
#define UPSTREAM_REQUESTS 5

static void
calls(VadmClient *client, guint32 first, guint32 last)
{
    for (guint32 serial = first; serial <= last; serial++)
        client_call(client, PROC_VERSION, serial, NULL, 0);
}

/* A client with one call less than a daemon takes at once: when its link is declared dead, the time
 * has passed for all those that were silent before it came, too. */
static void
wait_for_silence(Relay *relay)
{
    VadmClient *client = client_new(relay, FALSE);
    guint index = relay->upstream->peers->len;

    calls(client, 1, UPSTREAM_REQUESTS - 1);
    WAIT_FOR(upstream_peer(relay->upstream, index)->calls->len == UPSTREAM_REQUESTS - 1);
    for (guint i = 0; i < UPSTREAM_REQUESTS - 1; i++)
        assert_error(client_at(client, i), client_at(client, i)->header.serial,
                     VADM_VIR_ERR_OPERATION_TIMEOUT, "keepalive");
    ck_assert_uint_eq(upstream_peer(relay->upstream, index)->pings, 1);
    WAIT_FOR(client_reason(client) != 0);
    client_disconnect(client);
}

/* A daemon that does not read because it has as many calls as it takes is not dead; when it has
 * answered one of them it has to answer PING, too. */
START_TEST(test_keepalive_of_busy_upstream)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    Peer *peer;
    guint pings;

    relay->config.keepalive_interval = 1;
    relay->config.keepalive_count = 1;
    calls(client, 1, UPSTREAM_REQUESTS - 1);
    peer = upstream_wait_calls(relay->upstream, UPSTREAM_REQUESTS - 1);
    WAIT_FOR(peer->pings == 2);
    calls(client, UPSTREAM_REQUESTS, UPSTREAM_REQUESTS + 1);
    WAIT_FOR(peer->calls->len == UPSTREAM_REQUESTS + 1);
    pings = peer->pings;
    relay->upstream->deaf = TRUE;
    wait_for_silence(relay);
    ck_assert_uint_eq(peer->pings, pings);
    ck_assert_int_eq(client_reason(client), 0);

    peer_reply(peer, 0, VADM_RPC_OK, NULL, 0); /* there is another behind it */
    client_at(client, 0);
    wait_for_silence(relay);
    ck_assert_uint_eq(peer->pings, pings);
    ck_assert_int_eq(client_reason(client), 0);

    peer_reply(peer, 0, VADM_RPC_OK, NULL, 0);
    client_at(client, UPSTREAM_REQUESTS);
    ck_assert_uint_eq(peer->pings, pings + 1);
    for (guint i = 2; i <= UPSTREAM_REQUESTS; i++)
        assert_error(client_at(client, i), client_at(client, i)->header.serial,
                     VADM_VIR_ERR_OPERATION_TIMEOUT, "keepalive");
    WAIT_FOR(client_reason(client) != 0);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* A client that does not read, and a daemon that does not: there have to be neither. */
START_TEST(test_keepalive_of_busy_upstream_and_slow_client)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    Peer *peer;

    relay->config.keepalive_interval = 1;
    relay->config.keepalive_count = 1;
    relay->upstream->deaf = TRUE;
    calls(client, 1, UPSTREAM_REQUESTS);
    peer = upstream_wait_calls(relay->upstream, UPSTREAM_REQUESTS);
    client_set_queued(client, VADM_CONN_HIGH_WATER + 1);
    peer_send(peer, VADM_RPC_EVENT, 1, 0, 0, NULL, 0);
    client_at(client, 0);
    client_set_queued(client, 0);
    wait_for_silence(relay);
    ck_assert_int_eq(client_reason(client), 0);

    client_set_queued(client, VADM_CONN_HIGH_WATER + 1);
    peer_reply(peer, 0, VADM_RPC_OK, NULL, 0);
    client_at(client, 1);
    wait_for_silence(relay);
    ck_assert_uint_eq(peer->pings, 0);
    ck_assert_int_eq(client_reason(client), 0);

    client_set_queued(client, 0);
    WAIT_FOR(client_reason(client) != 0);
    ck_assert_uint_eq(peer->pings, 1);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* An upstream that hangs before it knows who the client is holds the client no longer than any
 * other silence would. */
START_TEST(test_identity_unanswered)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);

    relay->config.keepalive_interval = 1;
    relay->config.keepalive_count = 1;
    relay->upstream->keep_identity = relay->upstream->deaf = TRUE;
    client_open(client, 1);
    client_call(client, PROC_VERSION, 2, NULL, 0);
    assert_error(client_at(client, 1), 2, VADM_VIR_ERR_OPERATION_TIMEOUT, "keepalive");
    WAIT_FOR(client_reason(client) != 0);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

void
test_upstream_add(Suite *suite)
{
    TCase *reach = tcase_create("reach"), *lose = tcase_create("lose"),
          *pressure = tcase_create("pressure");

    tcase_set_timeout(reach, 60);
    tcase_add_test(reach, test_absent);
    tcase_add_test(reach, test_no_descriptors);
    tcase_add_test(reach, test_path_too_long);
    tcase_add_test(reach, test_readonly);
    tcase_add_test(reach, test_garbage);
    tcase_add_loop_test(reach, test_wrong_answer, 0, G_N_ELEMENTS(wrong_answers));
    tcase_add_test(reach, test_silent);
    tcase_add_test(reach, test_backlog);
    tcase_add_loop_test(reach, test_authentication, 0, G_N_ELEMENTS(auth_cases));
    suite_add_tcase(suite, reach);
    tcase_set_timeout(lose, 60);
    tcase_add_test(lose, test_eof);
    tcase_add_test(lose, test_reply_to_nobody);
    tcase_add_test(lose, test_client_goes);
    tcase_add_test(lose, test_client_goes_while_connecting);
    tcase_add_test(lose, test_mailbox_closes);
    suite_add_tcase(suite, lose);
    tcase_set_timeout(pressure, 60);
    tcase_add_test(pressure, test_slow_client);
    tcase_add_test(pressure, test_slow_client_has_no_workers);
    tcase_add_test(pressure, test_slow_upstream);
    tcase_add_test(pressure, test_keepalive);
    tcase_add_test(pressure, test_keepalive_of_busy_upstream);
    tcase_add_test(pressure, test_keepalive_of_busy_upstream_and_slow_client);
    tcase_add_test(pressure, test_identity_unanswered);
    suite_add_tcase(suite, pressure);
}
