/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The relay: what it answers itself, identity, serials, streams. */
#include <string.h>
#include <unistd.h>

#include "daemon/relay-link.h"
#include "tests/unit/relay-fixture.h"
#include "unit.h"

#define REMOTE     VADM_RPC_PROGRAM_REMOTE
#define PROC_STATE VADM_REMOTE_PROC_DOMAIN_GET_STATE
#define PROC_DOWN  209 /* STORAGE_VOL_DOWNLOAD */
#define PROC_UP    208 /* STORAGE_VOL_UPLOAD */

static const guint8 feature_keepalive[] = {0, 0, 0, 10}, feature_fds[] = {0, 0, 0, 8},
                    feature_events[] = {0, 0, 0, 14};

static void
assert_payload(const VadmMessage *message, const char *payload)
{
    gsize length;
    const guint8 *octets = vadm_message_payload(message, &length);

    ck_assert_uint_eq(length, strlen(payload));
    ck_assert_int_eq(memcmp(octets, payload, length), 0);
}

START_TEST(test_priority)
{
    static const gint32 high[] = {1, 2, 12, 25, 59, 60, 66, 158, 212, 273, 360, 437, 447};
    static const gint32 low[] = {7,   14,  26,  107, 159, 185, 211,        344,
                                 419, 438, 446, 448, 0,   -1,  G_MININT32, G_MAXINT32};

    for (guint i = 0; i < G_N_ELEMENTS(high); i++)
        ck_assert_msg(vadm_relay_is_priority(REMOTE, high[i]), "%d", high[i]);
    for (guint i = 0; i < G_N_ELEMENTS(low); i++)
        ck_assert_msg(!vadm_relay_is_priority(REMOTE, low[i]), "%d", low[i]);
    ck_assert(vadm_relay_is_priority(VADM_RPC_PROGRAM_QEMU, 4));
    ck_assert(vadm_relay_is_priority(VADM_RPC_PROGRAM_QEMU, 5));
    ck_assert(!vadm_relay_is_priority(VADM_RPC_PROGRAM_QEMU, 1));
    ck_assert(!vadm_relay_is_priority(VADM_RPC_PROGRAM_LXC, 1));
    ck_assert(!vadm_relay_is_priority(VADM_RPC_PROGRAM_ADMIN, 1));
    ck_assert(vadm_relay_opens_stream(REMOTE, 201));
    ck_assert(!vadm_relay_opens_stream(REMOTE, 202));
    ck_assert(!vadm_relay_opens_stream(VADM_RPC_PROGRAM_QEMU, 201));
}
END_TEST

START_TEST(test_programs)
{
    Relay *relay = relay_new(FALSE);
    VadmProgram *program = relay->program;

    ck_assert(program->class->handles(program, VADM_RPC_PROGRAM_REMOTE, 1));
    ck_assert(program->class->handles(program, VADM_RPC_PROGRAM_QEMU, 1));
    ck_assert(program->class->handles(program, VADM_RPC_PROGRAM_LXC, 1));
    ck_assert(!program->class->handles(program, VADM_RPC_PROGRAM_REMOTE, 2));
    ck_assert(!program->class->handles(program, VADM_RPC_PROGRAM_ADMIN, 1));
    ck_assert(!program->class->handles(program, VADM_RPC_PROGRAM_KEEPALIVE, 1));
    relay_free(relay);
}
END_TEST

/* None of these needs an upstream, and there is none. */
START_TEST(test_local_answers)
{
    static const char none[] = {0, 0, 0, 1, 0, 0, 0, 0}, yes[] = {0, 0, 0, 1};
    Relay *relay = relay_new(FALSE);
    VadmClient *client = client_new(relay, FALSE);
    const VadmMessage *polkit;
    gsize length;

    client_call(client, VADM_REMOTE_PROC_AUTH_LIST, 3, NULL, 0);
    ck_assert_uint_eq(client_at(client, 0)->header.serial, 3);
    ck_assert_uint_eq(client_at(client, 0)->header.status, VADM_RPC_OK);
    ck_assert_int_eq(memcmp(vadm_message_payload(client_at(client, 0), &length), none, 8), 0);
    ck_assert_uint_eq(length, 8);

    client_call(client, VADM_REMOTE_PROC_AUTH_SASL_INIT, 4, NULL, 0);
    assert_error(client_at(client, 1), 4, VADM_VIR_ERR_AUTH_FAILED, "authentication failed");
    client_call(client, VADM_REMOTE_PROC_AUTH_POLKIT, 5, NULL, 0);
    polkit = client_at(client, 2);
    assert_error(polkit, 5, VADM_VIR_ERR_INTERNAL_ERROR,
                 "Library function returned error but did not set virError");
    ck_assert_uint_eq(polkit->length, 132); /* as libvirtd's: nothing but the message */

    ck_assert(!client_pings(client));
    client_call(client, VADM_REMOTE_PROC_CONNECT_SUPPORTS_FEATURE, 6, feature_keepalive, 4);
    ck_assert(client_pings(client));
    ck_assert_int_eq(memcmp(vadm_message_payload(client_at(client, 3), &length), yes, 4), 0);
    client_set_transport(client, VADM_TRANSPORT_TLS);
    client_call(client, VADM_REMOTE_PROC_CONNECT_SUPPORTS_FEATURE, 7, feature_fds, 4);
    ck_assert_int_eq(memcmp(vadm_message_payload(client_at(client, 4), &length), none + 4, 4), 0);
    client_call(client, VADM_REMOTE_PROC_CONNECT_SUPPORTS_FEATURE, 8, feature_fds, 3);
    assert_error(client_at(client, 5), 8, VADM_VIR_ERR_RPC, "Unable to decode message payload");

    client_call(client, VADM_REMOTE_PROC_CONNECT_CLOSE, 9, NULL, 0);
    ck_assert_uint_eq(client_at(client, 6)->header.status, VADM_RPC_OK);
    WAIT_FOR(client_reason(client) == VADM_DISCONNECT_CLIENT);
    ck_assert_int_eq(relay_state(relay), VADM_UPSTREAM_NONE);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

START_TEST(test_forged_identity)
{
    static const guint8 args[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    Peer *peer;

    client_call(client, 419, 1, args, 8);
    assert_error(client_at(client, 0), 1, VADM_VIR_ERR_ACCESS_DENIED, "access denied: ");
    client_send_message(client, raw_message(REMOTE, VADM_RPC_CALL_WITH_FDS, 419, 2, 0, args, 12));
    assert_error(client_at(client, 1), 2, VADM_VIR_ERR_ACCESS_DENIED, "access denied: ");
    client_open(client, 3);
    client_call(client, 419, 4, args, 8);
    assert_error(client_at(client, 3), 4, VADM_VIR_ERR_ACCESS_DENIED, "access denied: ");
    peer = upstream_peer(relay->upstream, 0);
    client_call(client, PROC_VERSION, 5, NULL, 0);
    WAIT_FOR(peer->calls->len == 1);
    ck_assert_uint_eq(peer->identities, 1); /* the relay's own */
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

static gboolean
has_field(Peer *peer, const char *field)
{
    for (guint i = 0; i < peer->fields->len; i++) {
        if (g_str_has_prefix(peer->fields->pdata[i], field))
            return TRUE;
    }
    return FALSE;
}

static VadmIdentity *
own_identity(void)
{
    VadmIdentity *identity = vadm_identity_new();

    identity->local = TRUE;
    identity->uid = 1234;
    identity->gid = 4321;
    identity->pid = (guint32)getpid();
    g_free(identity->user_name);
    identity->user_name = g_strdup("alice");
    g_free(identity->group_name);
    identity->group_name = g_strdup("staff");
    g_free(identity->selinux_context);
    identity->selinux_context = g_strdup("user_u:user_r:user_t:s0");
    return identity;
}

START_TEST(test_identity)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    g_autofree char *pid = g_strdup_printf("process-id:llong:%d", (int)getpid());
    Peer *peer;

    client_set_identity(client, own_identity());
    client_open(client, 1);
    peer = upstream_peer(relay->upstream, 0);
    WAIT_FOR(peer->identities == 1);
    ck_assert(has_field(peer, "user-name:string:alice"));
    ck_assert(has_field(peer, "unix-user-id:ullong:1234"));
    ck_assert(has_field(peer, "group-name:string:staff"));
    ck_assert(has_field(peer, "unix-group-id:ullong:4321"));
    ck_assert(has_field(peer, pid));
    ck_assert(has_field(peer, "process-time:ullong:"));
    ck_assert(has_field(peer, "selinux-context:string:user_u:user_r:user_t:s0"));
    ck_assert_uint_eq(peer->fields->len, 7); /* and nothing that is not known */
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

START_TEST(test_identity_remote)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    VadmIdentity *identity = vadm_identity_new();
    Peer *peer;

    g_free(identity->sasl_user_name);
    identity->sasl_user_name = g_strdup("bob@EXAMPLE");
    g_free(identity->x509_dn);
    identity->x509_dn = g_strdup("CN=bob");
    g_free(identity->sock_addr);
    identity->sock_addr = g_strdup("192.0.2.7:52110");
    client_set_identity(client, identity);
    client_open(client, 1);
    peer = upstream_peer(relay->upstream, 0);
    WAIT_FOR(peer->identities == 1);
    ck_assert(has_field(peer, "sasl-user-name:string:bob@EXAMPLE"));
    ck_assert(has_field(peer, "x509-distinguished-name:string:CN=bob"));
    ck_assert_uint_eq(peer->fields->len, 2);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

START_TEST(test_process_time)
{
    guint64 ticks = 0;
    gint64 now = g_get_real_time();

    ck_assert(vadm_relay_process_time((guint32)getpid(), now, &ticks));
    ck_assert_uint_gt(ticks, 0);
    /* this process is younger than a connection of an hour ago */
    ck_assert(
        !vadm_relay_process_time((guint32)getpid(), now - (gint64)3600 * G_USEC_PER_SEC, &ticks));
    ck_assert(vadm_relay_process_time(1, now, &ticks));
    ck_assert(!vadm_relay_process_time(0, now, &ticks));
    ck_assert(!vadm_relay_process_time(G_MAXUINT32 - 1, now, &ticks));
}
END_TEST

/* A call must not reach the upstream between the client's OPEN and the relay's identity. */
START_TEST(test_identity_holds_calls)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    const VadmRelayLink *link;
    Peer *peer;

    relay->upstream->keep_open = relay->upstream->keep_identity = TRUE;
    client_call(client, PROC_VERSION, 1, NULL, 0);
    peer = upstream_wait_calls(relay->upstream, 1);
    client_call(client, VADM_REMOTE_PROC_CONNECT_OPEN, 2, "\0\0\0\0\0\0\0", 8);
    /* only when the worker has handed it over can no other worker overtake it */
    link = ((const VadmRelayGuest *)vadm_client_get_program_data(client))->link;
    WAIT_FOR(link->held.length == 1);
    client_call(client, PROC_STATE, 3, NULL, 0);
    for (guint i = 0; i < 20; i++)
        relay_turn();
    ck_assert_uint_eq(peer->calls->len, 1); /* OPEN waits until it is alone */

    peer_reply(peer, 0, VADM_RPC_OK, NULL, 0);
    WAIT_FOR(peer->calls->len == 1);
    for (guint i = 0; i < 20; i++)
        relay_turn();
    ck_assert_uint_eq(peer->calls->len, 1);
    ck_assert_int_eq(((VadmMessage *)peer->calls->pdata[0])->header.procedure, 1);

    peer_reply(peer, 0, VADM_RPC_OK, NULL, 0);
    ck_assert_uint_eq(client_at(client, 1)->header.serial, 2); /* before 419 is answered */
    WAIT_FOR(peer->calls->len == 1);
    ck_assert_int_eq(((VadmMessage *)peer->calls->pdata[0])->header.procedure, 419);
    for (guint i = 0; i < 20; i++)
        relay_turn();
    ck_assert_uint_eq(peer->calls->len, 1);

    peer_reply(peer, 0, VADM_RPC_OK, NULL, 0);
    WAIT_FOR(peer->calls->len == 1);
    ck_assert_int_eq(((VadmMessage *)peer->calls->pdata[0])->header.procedure, PROC_STATE);
    peer_reply(peer, 0, VADM_RPC_OK, NULL, 0);
    ck_assert_uint_eq(client_at(client, 2)->header.serial, 3);
    ck_assert_uint_eq(client_received(client)->len, 3); /* and no reply to 419 */
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

START_TEST(test_identity_after_failed_open)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    Peer *peer;

    relay->upstream->keep_open = TRUE;
    client_call(client, VADM_REMOTE_PROC_CONNECT_OPEN, 1, "\0\0\0\0\0\0\0", 8);
    peer = upstream_wait_calls(relay->upstream, 1);
    peer_reply(peer, 0, VADM_RPC_ERROR, NULL, 0);
    ck_assert_uint_eq(client_at(client, 0)->header.status, VADM_RPC_ERROR);
    relay->upstream->keep_open = FALSE;
    ck_assert_uint_eq(peer->identities, 0);
    client_call(client, VADM_REMOTE_PROC_CONNECT_OPEN, 2, "\0\0\0\0\0\0\0", 8);
    WAIT_FOR(peer->identities == 1);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

START_TEST(test_identity_unknown_upstream)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);

    relay->upstream->refusal_number = VADM_VIR_ERR_RPC;
    relay->upstream->refusal = "unknown procedure: 419";
    client_open(client, 1);
    client_call(client, PROC_VERSION, 2, NULL, 0);
    peer_reply(upstream_wait_calls(relay->upstream, 1), 0, VADM_RPC_OK, NULL, 0);
    ck_assert_uint_eq(client_at(client, 1)->header.serial, 2);
    ck_assert_int_eq(client_reason(client), 0);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

START_TEST(test_identity_refused)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    Peer *peer;

    relay->upstream->keep_identity = TRUE;
    client_open(client, 1);
    client_call(client, PROC_VERSION, 2, NULL, 0);
    peer = upstream_wait_calls(relay->upstream, 1);
    peer_reply(peer, 0, VADM_RPC_ERROR, NULL, 0);
    assert_error(client_at(client, 1), 2, VADM_VIR_ERR_AUTH_FAILED,
                 "refused the client's identity");
    WAIT_FOR(client_reason(client) != 0);
    WAIT_FOR(peer->ended);
    ck_assert_uint_eq(peer->calls->len, 0);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

START_TEST(test_feature_forwarded)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);

    client_call(client, VADM_REMOTE_PROC_CONNECT_SUPPORTS_FEATURE, 1, feature_events, 4);
    peer_reply(upstream_wait_calls(relay->upstream, 1), 0, VADM_RPC_OK, "1234", 4);
    assert_payload(client_at(client, 0), "1234");
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* The other programs have procedures with the same numbers, which mean something else. */
START_TEST(test_other_programs)
{
    static const gint32 procedures[] = {66, 60, 419, 70, 1};
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    Peer *peer;

    for (guint i = 0; i < G_N_ELEMENTS(procedures); i++)
        client_call_program(client, i % 2 ? VADM_RPC_PROGRAM_LXC : VADM_RPC_PROGRAM_QEMU,
                            procedures[i], i);
    peer = upstream_wait_calls(relay->upstream, G_N_ELEMENTS(procedures));
    ck_assert_uint_eq(client_received(client)->len, 0);
    ck_assert_uint_eq(peer->identities, 0);
    peer_reply(peer, 0, VADM_RPC_OK, NULL, 0);
    ck_assert_uint_eq(client_at(client, 0)->header.status, VADM_RPC_OK);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* The client may give all its calls one serial; each gets its own reply, in any order. */
START_TEST(test_serials)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    char payload[] = "nr 0";
    Peer *peer;

    for (int i = 0; i < 4; i++) {
        payload[3] = (char)('0' + i);
        client_call(client, 200 + i, 0xfffffff0u, payload, 4);
    }
    peer = upstream_wait_calls(relay->upstream, 4);
    for (guint i = 0; i < 4; i++) {
        const VadmMessage *a = peer->calls->pdata[i];
        for (guint j = 0; j < i; j++)
            ck_assert_uint_ne(a->header.serial,
                              ((VadmMessage *)peer->calls->pdata[j])->header.serial);
    }
    for (guint i = 4; i-- > 0;) {
        const VadmMessage *call = peer->calls->pdata[i];
        gsize length;
        g_autofree guint8 *echo = g_memdup2(vadm_message_payload(call, &length), 4);

        peer_reply(peer, i, i % 2 ? VADM_RPC_OK : VADM_RPC_ERROR, echo, 4);
    }
    client_at(client, 3);
    for (guint i = 0; i < 4; i++) {
        const VadmMessage *reply = client_at(client, i);
        gsize length;
        const guint8 *got = vadm_message_payload(reply, &length);

        ck_assert_uint_eq(reply->header.serial, 0xfffffff0u);
        ck_assert_int_eq(reply->header.procedure, 200 + got[3] - '0');
    }
    WAIT_FOR(relay_pool_stats(relay).done == 4);
    ck_assert_uint_eq(relay_pool_stats(relay).failed, 2);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

START_TEST(test_events)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    Peer *peer;

    client_call(client, PROC_VERSION, 1, NULL, 0);
    peer = upstream_wait_calls(relay->upstream, 1);
    peer_send(peer, VADM_RPC_EVENT, 318, 0, 0, "event", 5);
    peer_reply(peer, 0, VADM_RPC_OK, "reply", 5);
    peer_send(peer, VADM_RPC_EVENT, 319, 0, 0, "after", 5);
    client_at(client, 2);
    assert_payload(client_at(client, 0), "event");
    ck_assert_uint_eq(client_at(client, 0)->header.type, VADM_RPC_EVENT);
    ck_assert_uint_eq(client_at(client, 0)->header.serial, 0);
    assert_payload(client_at(client, 1), "reply");
    assert_payload(client_at(client, 2), "after");
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* Opens a stream with the client's serial 9 and returns the upstream's. */
static guint32
open_stream(VadmClient *client, Relay *relay, gint32 procedure)
{
    guint before = client_received(client)->len;
    Peer *peer;
    guint32 serial;

    client_call(client, procedure, 9, NULL, 0);
    peer = upstream_wait_calls(relay->upstream, 1);
    serial = ((VadmMessage *)peer->calls->pdata[0])->header.serial;
    ck_assert_uint_ne(serial, 9);
    peer_reply(peer, 0, VADM_RPC_OK, NULL, 0);
    client_at(client, before);
    return serial;
}

static void
client_stream(VadmClient *client, guint32 type, gint32 procedure, guint32 status, const char *text)
{
    client_send_message(client,
                        raw_message(REMOTE, type, procedure, 9, status, text, strlen(text)));
}

START_TEST(test_download)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    guint32 serial = open_stream(client, relay, PROC_DOWN);
    Peer *peer = upstream_peer(relay->upstream, 0);

    peer_send(peer, VADM_RPC_STREAM, PROC_DOWN, serial, VADM_RPC_CONTINUE, "one", 3);
    peer_send(peer, VADM_RPC_STREAM_HOLE, PROC_DOWN, serial, VADM_RPC_CONTINUE, "hole", 4);
    peer_send(peer, VADM_RPC_STREAM, PROC_DOWN, serial, VADM_RPC_CONTINUE, "", 0);
    client_at(client, 3);
    for (guint i = 1; i < 4; i++)
        ck_assert_uint_eq(client_at(client, i)->header.serial, 9);
    assert_payload(client_at(client, 1), "one");
    ck_assert_uint_eq(client_at(client, 2)->header.type, VADM_RPC_STREAM_HOLE);
    client_stream(client, VADM_RPC_STREAM, PROC_DOWN, VADM_RPC_OK, "");
    WAIT_FOR(peer->streams->len == 1);
    ck_assert_uint_eq(((VadmMessage *)peer->streams->pdata[0])->header.serial, serial);
    peer_send(peer, VADM_RPC_STREAM, PROC_DOWN, serial, VADM_RPC_OK, "", 0);
    ck_assert_uint_eq(client_at(client, 4)->header.status, VADM_RPC_OK);

    /* now it is over, in both directions */
    peer_send(peer, VADM_RPC_STREAM, PROC_DOWN, serial, VADM_RPC_CONTINUE, "late", 4);
    client_stream(client, VADM_RPC_STREAM, PROC_DOWN, VADM_RPC_CONTINUE, "late");
    peer_send(peer, VADM_RPC_EVENT, 318, 0, 0, "event", 5);
    assert_payload(client_at(client, 5), "event");
    ck_assert_uint_eq(peer->streams->len, 1);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

START_TEST(test_upload)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    guint32 serial = open_stream(client, relay, PROC_UP);
    Peer *peer = upstream_peer(relay->upstream, 0);

    client_stream(client, VADM_RPC_STREAM, PROC_UP, VADM_RPC_CONTINUE, "one");
    client_stream(client, VADM_RPC_STREAM_HOLE, PROC_UP, VADM_RPC_CONTINUE, "hole");
    client_stream(client, VADM_RPC_STREAM, PROC_DOWN, VADM_RPC_CONTINUE, "of no stream");
    client_stream(client, VADM_RPC_STREAM, PROC_UP, VADM_RPC_OK, "");
    WAIT_FOR(peer->streams->len == 3);
    assert_payload(peer->streams->pdata[0], "one");
    assert_payload(peer->streams->pdata[1], "hole");
    ck_assert_uint_eq(((VadmMessage *)peer->streams->pdata[2])->header.status, VADM_RPC_OK);
    ck_assert_uint_eq(((VadmMessage *)peer->streams->pdata[2])->header.serial, serial);
    /* the upstream fails the end: as a reply */
    peer_send(peer, VADM_RPC_REPLY, PROC_UP, serial, VADM_RPC_ERROR, "full", 4);
    ck_assert_uint_eq(client_at(client, 1)->header.serial, 9);
    ck_assert_uint_eq(client_at(client, 1)->header.type, VADM_RPC_REPLY);
    ck_assert_int_eq(client_reason(client), 0);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

START_TEST(test_stream_refused)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    Peer *peer;

    client_call(client, PROC_UP, 9, NULL, 0);
    peer = upstream_wait_calls(relay->upstream, 1);
    peer_reply(peer, 0, VADM_RPC_ERROR, NULL, 0);
    client_at(client, 0);
    client_stream(client, VADM_RPC_STREAM, PROC_UP, VADM_RPC_CONTINUE, "data");
    client_call(client, PROC_VERSION, 10, NULL, 0);
    upstream_wait_calls(relay->upstream, 1);
    ck_assert_uint_eq(peer->streams->len, 0);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* Each that is open ends with an error of its own; one that is over, and one whose call was not
 * answered, do not. */
START_TEST(test_streams_cut)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    guint32 over = open_stream(client, relay, PROC_DOWN);
    const VadmMessage *last;
    Peer *peer;
    gsize length;

    peer = upstream_peer(relay->upstream, 0);
    peer_send(peer, VADM_RPC_STREAM, PROC_DOWN, over, VADM_RPC_OK, "", 0);
    client_at(client, 1);
    open_stream(client, relay, PROC_UP);
    client_call(client, PROC_UP, 55, NULL, 0);
    upstream_wait_calls(relay->upstream, 1);
    peer_close(peer);
    WAIT_FOR(client_reason(client) == VADM_DISCONNECT_UNKNOWN);
    ck_assert_uint_eq(client_received(client)->len, 5);
    last = client_at(client, 3);
    ck_assert_uint_eq(last->header.type, VADM_RPC_STREAM);
    ck_assert_uint_eq(last->header.status, VADM_RPC_ERROR);
    ck_assert_int_eq(last->header.procedure, PROC_UP);
    ck_assert_uint_eq(last->header.serial, 9);
    ck_assert_ptr_nonnull(memmem(vadm_message_payload(last, &length), last->length - 28,
                                 "closed the connection", 21));
    assert_error(client_at(client, 4), 55, VADM_VIR_ERR_SYSTEM_ERROR, "closed the connection");
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* Two streams of one client under one serial: what the client says goes to the latest. */
START_TEST(test_stream_collision)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    guint32 first = open_stream(client, relay, PROC_UP);
    guint32 second = open_stream(client, relay, PROC_UP);
    Peer *peer = upstream_peer(relay->upstream, 0);

    ck_assert_uint_ne(first, second);
    client_stream(client, VADM_RPC_STREAM, PROC_UP, VADM_RPC_CONTINUE, "one");
    WAIT_FOR(peer->streams->len == 1);
    ck_assert_uint_eq(((VadmMessage *)peer->streams->pdata[0])->header.serial, second);
    peer_send(peer, VADM_RPC_STREAM, PROC_UP, first, VADM_RPC_ERROR, "", 0);
    client_at(client, 2);
    client_stream(client, VADM_RPC_STREAM, PROC_UP, VADM_RPC_CONTINUE, "two");
    WAIT_FOR(peer->streams->len == 2);
    ck_assert_uint_eq(((VadmMessage *)peer->streams->pdata[1])->header.serial, second);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

START_TEST(test_close)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    Peer *peer;

    client_open(client, 1);
    client_call(client, VADM_REMOTE_PROC_CONNECT_CLOSE, 2, NULL, 0);
    peer = upstream_wait_calls(relay->upstream, 1);
    ck_assert_int_eq(client_reason(client), 0);
    peer_reply(peer, 0, VADM_RPC_OK, NULL, 0);
    peer_close(peer);
    ck_assert_uint_eq(client_at(client, 1)->header.status, VADM_RPC_OK);
    WAIT_FOR(client_reason(client) == VADM_DISCONNECT_CLIENT);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

static Suite *
suite_relay(void)
{
    Suite *suite = suite_create("relay");
    TCase *answers = tcase_create("answers"), *identity = tcase_create("identity"),
          *streams = tcase_create("streams");

    tcase_set_timeout(answers, 60);
    tcase_add_test(answers, test_priority);
    tcase_add_test(answers, test_programs);
    tcase_add_test(answers, test_local_answers);
    tcase_add_test(answers, test_forged_identity);
    tcase_add_test(answers, test_feature_forwarded);
    tcase_add_test(answers, test_other_programs);
    tcase_add_test(answers, test_close);
    suite_add_tcase(suite, answers);
    tcase_set_timeout(identity, 60);
    tcase_add_test(identity, test_identity);
    tcase_add_test(identity, test_identity_remote);
    tcase_add_test(identity, test_process_time);
    tcase_add_test(identity, test_identity_holds_calls);
    tcase_add_test(identity, test_identity_after_failed_open);
    tcase_add_test(identity, test_identity_unknown_upstream);
    tcase_add_test(identity, test_identity_refused);
    suite_add_tcase(suite, identity);
    tcase_set_timeout(streams, 60);
    tcase_add_test(streams, test_serials);
    tcase_add_test(streams, test_events);
    tcase_add_test(streams, test_download);
    tcase_add_test(streams, test_upload);
    tcase_add_test(streams, test_stream_refused);
    tcase_add_test(streams, test_streams_cut);
    tcase_add_test(streams, test_stream_collision);
    suite_add_tcase(suite, streams);
    test_dispatch_add(suite);
    test_log_add(suite);
    test_fds_add(suite);
    test_upstream_add(suite);
    test_state_add(suite);
    return suite;
}

int
main(void)
{
    return vadm_unit_main(suite_relay());
}
