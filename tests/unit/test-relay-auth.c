/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Authentication in the relay: the gate, the order of procedures, and what an attempt leads to.
 * The mechanisms are fakes that say what the test tells them to. */
#include <string.h>

#include "fake-sasl.h"
#include "tests/unit/relay-fixture.h"
#include "tests/unit/test-rpc-data.h"
#include "unit.h"

#define INIT     VADM_REMOTE_PROC_AUTH_SASL_INIT
#define START    VADM_REMOTE_PROC_AUTH_SASL_START
#define STEP     VADM_REMOTE_PROC_AUTH_SASL_STEP
#define LIST     VADM_REMOTE_PROC_AUTH_LIST
#define VERSION  VADM_REMOTE_PROC_CONNECT_GET_VERSION
#define FAILED   "authentication failed: authentication failed"
#define REQUIRED "authentication required"

/* START with a mechanism "M" and the data "x", and STEP with the data "y". */
static const guint8 start_args[] = {0, 0, 0, 1, 'M', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 'x'};
static const guint8 step_args[] = {0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 'y'};

static VadmMessage *
call(VadmClient *client, gint32 procedure)
{
    guint before = client_received(client)->len;

    if (procedure == START)
        client_call(client, procedure, before, start_args, sizeof(start_args));
    else if (procedure == STEP)
        client_call(client, procedure, before, step_args, sizeof(step_args));
    else
        client_call(client, procedure, before, NULL, 0);
    return client_at(client, before);
}

static void
assert_ok(const VadmMessage *reply)
{
    ck_assert_uint_eq(reply->header.type, VADM_RPC_REPLY);
    ck_assert_uint_eq(reply->header.status, VADM_RPC_OK);
}

static guint8
auth_type(VadmClient *client)
{
    const VadmMessage *reply = call(client, LIST);

    assert_ok(reply);
    ck_assert_uint_eq(reply->length, 36);
    ck_assert_uint_eq(reply->data[31], 1); /* one type */
    return reply->data[35];
}

START_TEST(nothing_is_served_before)
{
    static const gint32 others[] = {1, 2, 4, 60, 65, 71, 419, 9999, 0, -1, G_MAXINT32, G_MININT32};
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new_stranger(relay);
    guint n = G_N_ELEMENTS(others);

    for (guint i = 0; i < n; i++)
        assert_error(call(client, others[i]), i, VADM_VIR_ERR_RPC, REQUIRED);
    client_call_program(client, VADM_RPC_PROGRAM_QEMU, INIT, 100);
    assert_error(client_at(client, n), 100, VADM_VIR_ERR_RPC, REQUIRED);
    client_call_program(client, VADM_RPC_PROGRAM_LXC, LIST, 101);
    assert_error(client_at(client, n + 1), 101, VADM_VIR_ERR_RPC, REQUIRED);
    client_send_message(client, raw_message(VADM_RPC_PROGRAM_REMOTE, VADM_RPC_CALL_WITH_FDS,
                                            VERSION, 102, 0, "\0\0\0\0", 4));
    assert_error(client_at(client, n + 2), 102, VADM_VIR_ERR_RPC, REQUIRED);
    client_send_message(client, raw_message(VADM_RPC_PROGRAM_REMOTE, VADM_RPC_STREAM, 208, 5,
                                            VADM_RPC_CONTINUE, "data", 4));
    for (guint i = 0; i < 20; i++)
        relay_turn();
    ck_assert_uint_eq(client_received(client)->len, n + 3);
    ck_assert_uint_eq(relay->upstream->peers->len, 0);
    ck_assert_int_eq(relay_state(relay), VADM_UPSTREAM_NONE);
    ck_assert_int_eq(client_reason(client), 0);
    ck_assert_uint_eq(relay_auth_failures(relay), 0);
    ck_assert_uint_eq(auth_type(client), VADM_REMOTE_AUTH_SASL);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

START_TEST(everything_is_served_after)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new_stranger(relay);
    VadmMessage *polkit;
    Peer *peer;

    assert_ok(call(client, INIT));
    ck_assert(!client_held(client));
    fake_sasl.answer = "challenge";
    fake_sasl.answer_length = 9;
    assert_ok(call(client, START));
    assert_error(call(client, VERSION), 2, VADM_VIR_ERR_RPC, REQUIRED);
    ck_assert_uint_eq(auth_type(client), VADM_REMOTE_AUTH_SASL);
    fake_sasl.complete = TRUE;
    assert_ok(call(client, STEP));
    ck_assert(fake_sasl_all_freed());
    ck_assert(!client_held(client));
    ck_assert_uint_eq(auth_type(client), VADM_REMOTE_AUTH_NONE);

    /* not again, but that is no attack either */
    assert_error(call(client, INIT), 6, VADM_VIR_ERR_AUTH_FAILED, FAILED);
    assert_error(call(client, START), 7, VADM_VIR_ERR_AUTH_FAILED, FAILED);
    assert_error(call(client, STEP), 8, VADM_VIR_ERR_AUTH_FAILED, FAILED);
    polkit = call(client, VADM_REMOTE_PROC_AUTH_POLKIT);
    assert_error(polkit, 9, VADM_VIR_ERR_INTERNAL_ERROR, "did not set virError");
    ck_assert_uint_eq(fake_sasl.made, 1);
    ck_assert_uint_eq(relay_auth_failures(relay), 0);
    ck_assert_int_eq(client_reason(client), 0);

    client_open(client, 10);
    client_call(client, VERSION, 11, NULL, 0);
    peer = upstream_wait_calls(relay->upstream, 1);
    ck_assert_uint_eq(peer->identities, 1);
    ck_assert(g_ptr_array_find_with_equal_func(peer->fields, "sasl-user-name:string:fred@example",
                                               g_str_equal, NULL));
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

typedef struct {
    gint32 calls[4]; /* the last one fails */
    guint starts, steps;
} WrongOrder;

/* Cyrus SASL must not see any of these last calls: it would crash. */
static const WrongOrder wrong_orders[] = {
    {{START, 0, 0, 0}, 0, 0},           {{STEP, 0, 0, 0}, 0, 0},
    {{INIT, INIT, 0, 0}, 0, 0},         {{INIT, STEP, 0, 0}, 0, 0},
    {{INIT, START, START, 0}, 1, 0},    {{INIT, START, INIT, 0}, 1, 0},
    {{INIT, START, STEP, START}, 1, 1},
};

START_TEST(the_order_is_kept)
{
    const WrongOrder *wrong = &wrong_orders[_i];
    Relay *relay = relay_new(FALSE);
    VadmClient *client = client_new_stranger(relay);
    guint n = 0;

    while (n < G_N_ELEMENTS(wrong->calls) && wrong->calls[n] != 0)
        n++;
    for (guint i = 0; i + 1 < n; i++)
        assert_ok(call(client, wrong->calls[i]));
    assert_error(call(client, wrong->calls[n - 1]), n - 1, VADM_VIR_ERR_AUTH_FAILED, FAILED);
    ck_assert_int_eq(client_reason(client), VADM_DISCONNECT_AUTH_FAILURE);
    ck_assert_uint_eq(relay_auth_failures(relay), 1);
    ck_assert_uint_eq(fake_sasl.starts, wrong->starts);
    ck_assert_uint_eq(fake_sasl.steps, wrong->steps);
    ck_assert(fake_sasl_all_freed());
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* What may go wrong in the turn that would let the client in. */
static void
fault_refusal(Relay *relay)
{
    (void)relay;
    fake_sasl.refuses = TRUE;
}

static void
fault_no_user(Relay *relay)
{
    (void)relay;
    fake_sasl.user = NULL;
}

static void
fault_too_long(Relay *relay)
{
    static const char text[VADM_REMOTE_SASL_DATA_MAX + 1];

    (void)relay;
    fake_sasl.answer = text;
    fake_sasl.answer_length = sizeof(text);
}

static void
fault_not_allowed(Relay *relay)
{
    static char *patterns[] = {(char *)"*@EXAMPLE", (char *)"fre?", (char *)"", NULL};

    relay->config.sasl_allowed_usernames = patterns;
}

static void (*const faults[])(Relay *) = {fault_refusal, fault_no_user, fault_too_long,
                                          fault_not_allowed};

START_TEST(a_failure_is_counted_and_ends_the_connection)
{
    gint32 last = _i % 2 ? STEP : START;
    Relay *relay = relay_new(FALSE);
    VadmClient *client = client_new_stranger(relay);

    assert_ok(call(client, INIT));
    if (last == STEP)
        assert_ok(call(client, START));
    fake_sasl.complete = TRUE;
    faults[_i / 2](relay);
    assert_error(call(client, last), last == STEP ? 2 : 1, VADM_VIR_ERR_AUTH_FAILED, FAILED);
    ck_assert_int_eq(client_reason(client), VADM_DISCONNECT_AUTH_FAILURE);
    ck_assert_uint_eq(relay_auth_failures(relay), 1);
    ck_assert_uint_eq(auth_type(client), VADM_REMOTE_AUTH_SASL);
    ck_assert(fake_sasl_all_freed());
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

START_TEST(no_mechanisms_is_a_failure)
{
    Relay *relay = relay_new(FALSE);
    VadmClient *client = client_new_stranger(relay);

    fake_sasl.offers = NULL;
    assert_error(call(client, INIT), 0, VADM_VIR_ERR_AUTH_FAILED, FAILED);
    ck_assert_int_eq(client_reason(client), VADM_DISCONNECT_AUTH_FAILURE);
    ck_assert_uint_eq(relay_auth_failures(relay), 1);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

START_TEST(allowed_users_come_in)
{
    static const char *const users[] = {"fred@EXAMPLE", "freda", "x"};
    static char *patterns[] = {(char *)"*@EXAMPLE", (char *)"fre?a", (char *)"x", NULL};
    Relay *relay = relay_new(FALSE);
    VadmClient *client = client_new_stranger(relay);

    fake_sasl.user = users[_i];
    fake_sasl.complete = TRUE;
    relay->config.sasl_allowed_usernames = patterns;
    assert_ok(call(client, INIT));
    assert_ok(call(client, START));
    ck_assert_uint_eq(auth_type(client), VADM_REMOTE_AUTH_NONE);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* The reply that lets the client in is in clear, all behind it is not; and who was let in when he
 * had gone gets none. */
START_TEST(the_layer)
{
    Relay *relay = relay_new(FALSE);
    VadmClient *client = client_new_stranger(relay);

    fake_sasl.layer = TRUE;
    assert_ok(call(client, INIT));
    assert_ok(call(client, START));
    ck_assert_uint_eq(client_clear(client), 0);
    fake_sasl.complete = TRUE;
    if (_i == 0) {
        assert_ok(call(client, STEP));
        ck_assert_uint_eq(client_clear(client), 3);
        ck_assert(!client_held(client));
        ck_assert(!fake_sasl_all_freed()); /* the layer has it */
        ck_assert_uint_eq(auth_type(client), VADM_REMOTE_AUTH_NONE);
        client_disconnect(client);
    } else {
        fake_sasl_block(TRUE);
        client_call(client, STEP, 2, step_args, sizeof(step_args));
        while (fake_sasl_count_waiting() == 0)
            relay_turn();
        client_disconnect(client);
        fake_sasl_block(FALSE);
    }
    while (!fake_sasl_all_freed())
        relay_turn();
    relay_free(relay);
}
END_TEST

/* What cannot be read is an error of the protocol: the client stays, and may try again. */
START_TEST(undecodable_calls)
{
    /* no name; a name that is longer than the payload; more data than the protocol takes */
    static const guint8 long_name[] = {0, 0, 1, 0, 'M', 0, 0, 0};
    static const guint8 long_data[] = {0, 0, 0, 1, 'M', 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1};
    Relay *relay = relay_new(FALSE);
    VadmClient *client = client_new_stranger(relay);
    g_autofree guint8 *too_long = g_malloc0(16 + 4 * 65537u);

    memcpy(too_long, long_data, sizeof(long_data));
    assert_ok(call(client, INIT));
    client_call(client, START, 1, NULL, 0);
    client_call(client, START, 2, long_name, sizeof(long_name));
    client_call(client, START, 3, too_long, 16 + 4 * 65537u);
    for (guint i = 1; i <= 3; i++) {
        client_at(client, i);
        assert_error(client_at(client, i), client_at(client, i)->header.serial, VADM_VIR_ERR_RPC,
                     "Unable to decode message payload");
    }
    ck_assert_uint_eq(relay_auth_failures(relay), 0);
    ck_assert_int_eq(client_reason(client), 0);
    ck_assert_uint_eq(fake_sasl.starts, 0);
    assert_ok(call(client, START));
    ck_assert_str_eq(fake_sasl.mechanism, "M");
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* Nothing is not the same as empty, neither way. */
START_TEST(nil_and_empty)
{
    static const guint8 nil[] = {0, 0, 0, 1, 0, 0, 0, 0}, empty[8];
    static const guint8 no_answer[] = {0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}, empty_answer[12];
    Relay *relay = relay_new(FALSE);
    VadmClient *client = client_new_stranger(relay);
    gsize length;

    assert_ok(call(client, INIT));
    assert_ok(call(client, START));
    ck_assert_uint_eq(g_bytes_get_size(fake_sasl.heard), 1);
    ck_assert_mem_eq(vadm_message_payload(client_at(client, 1), &length), no_answer, 12);
    client_call(client, STEP, 2, nil, sizeof(nil));
    assert_ok(client_at(client, 2));
    ck_assert_ptr_null(fake_sasl.heard);
    fake_sasl.answer = "";
    client_call(client, STEP, 3, empty, sizeof(empty));
    ck_assert_mem_eq(vadm_message_payload(client_at(client, 3), &length), empty_answer, 12);
    ck_assert_ptr_nonnull(fake_sasl.heard);
    ck_assert_uint_eq(g_bytes_get_size(fake_sasl.heard), 0);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* The main thread goes on, and the client waits: for itself, not for others. */
START_TEST(a_slow_turn_holds_its_client_only)
{
    Relay *relay = relay_new(FALSE);
    VadmClient *slow = client_new_stranger(relay), *other = client_new_stranger(relay);

    assert_ok(call(slow, INIT));
    fake_sasl_block(TRUE);
    client_call(slow, START, 1, start_args, sizeof(start_args));
    ck_assert(client_held(slow));
    WAIT_FOR(fake_sasl_count_waiting() == 1);
    ck_assert_uint_eq(auth_type(other), VADM_REMOTE_AUTH_SASL);
    assert_ok(call(other, INIT));
    ck_assert(!client_held(other));
    ck_assert(client_held(slow));
    ck_assert_uint_eq(client_received(slow)->len, 1);
    fake_sasl_block(FALSE);
    assert_ok(client_at(slow, 1));
    ck_assert(!client_held(slow));
    client_disconnect(slow);
    client_disconnect(other);
    relay_free(relay);
}
END_TEST

/* Whoever checks passwords hangs, and those who asked give up and ask again. */
START_TEST(strangers_do_not_get_all_workers)
{
    const guint places = 4; /* of the fixture's eight workers */
    Relay *relay = relay_new(TRUE);
    VadmClient *friend = client_new(relay, FALSE), *strangers[20];

    fake_sasl.complete = TRUE;
    for (guint i = 0; i < G_N_ELEMENTS(strangers); i++) {
        strangers[i] = client_new_stranger(relay);
        assert_ok(call(strangers[i], INIT));
    }
    fake_sasl_block(TRUE);
    for (guint i = 0; i < G_N_ELEMENTS(strangers); i++)
        client_call(strangers[i], START, 1, start_args, sizeof(start_args));
    WAIT_FOR(fake_sasl_count_waiting() == places);
    for (guint i = 0; i + 2 < G_N_ELEMENTS(strangers); i++)
        client_disconnect(strangers[i]);
    assert_call_works(friend, relay->upstream);
    ck_assert_uint_eq(fake_sasl_count_waiting(), places);

    fake_sasl_block(FALSE);
    for (guint i = 18; i < 20; i++) {
        assert_ok(client_at(strangers[i], 1));
        ck_assert_uint_eq(auth_type(strangers[i]), VADM_REMOTE_AUTH_NONE);
        client_disconnect(strangers[i]);
    }
    ck_assert_uint_eq(fake_sasl.starts, places + 2); /* who left the queue was not asked about */
    client_disconnect(friend);
    WAIT_FOR(fake_sasl_all_freed());
    relay_free(relay);
}
END_TEST

/* The end comes while some have a place, and others wait for one. */
START_TEST(ended_in_the_middle)
{
    Relay *relay = relay_new(FALSE);
    VadmClient *strangers[8];

    for (guint i = 0; i < G_N_ELEMENTS(strangers); i++) {
        strangers[i] = client_new_stranger(relay);
        assert_ok(call(strangers[i], INIT));
    }
    fake_sasl_block(TRUE);
    for (guint i = 0; i < G_N_ELEMENTS(strangers); i++)
        client_call(strangers[i], START, 1, start_args, sizeof(start_args));
    WAIT_FOR(fake_sasl_count_waiting() == 4);
    for (guint i = 0; i < G_N_ELEMENTS(strangers); i++)
        client_disconnect(strangers[i]);
    fake_sasl_block(FALSE);
    relay_free(relay);
    ck_assert(fake_sasl_all_freed());
}
END_TEST

/* The client does not wait for the answer: a right one lets nobody in, a wrong one counts. */
START_TEST(closed_in_the_middle)
{
    Relay *relay = relay_new(FALSE);
    VadmClient *client = client_new_stranger(relay);

    assert_ok(call(client, INIT));
    fake_sasl_block(TRUE);
    client_call(client, START, 1, start_args, sizeof(start_args));
    WAIT_FOR(fake_sasl_count_waiting() == 1);
    fake_sasl.complete = TRUE;
    fake_sasl.refuses = _i == 1;
    client_disconnect(client);
    fake_sasl_block(FALSE);
    WAIT_FOR(fake_sasl_all_freed());
    if (fake_sasl.refuses)
        WAIT_FOR(relay_auth_failures(relay) == 1);
    relay_free(relay);
    ck_assert(fake_sasl_all_freed());
}
END_TEST

/* The exchange ends with the client, wherever it is. */
START_TEST(abandoned)
{
    Relay *relay = relay_new(FALSE);
    VadmClient *client = client_new_stranger(relay);

    for (int i = 0; i < _i; i++)
        assert_ok(call(client, i == 0 ? INIT : i == 1 ? START : STEP));
    ck_assert_uint_eq(fake_sasl.made, _i > 0);
    ck_assert_uint_eq(fake_sasl.freed, 0);
    client_disconnect(client);
    WAIT_FOR(fake_sasl_all_freed()); /* a worker may have a reference yet */
    ck_assert_uint_eq(relay_auth_failures(relay), 0);
    relay_free(relay);
}
END_TEST

/* The golden test: what libvirtd answered, our relay answers, octet for octet. */

/* The fake says what libvirtd's mechanism has said. */
static void
script(const TraceMessage *trace)
{
    g_autoptr(VadmMessage) reply =
        vadm_message_new_take(g_memdup2(trace->data, trace->length), trace->length);
    struct vadm_remote_auth_sasl_init_ret init = {.mechanisms = NULL};
    struct vadm_remote_auth_sasl_turn_ret turn = {.complete = 0};

    fake_sasl.refuses = reply->header.status != VADM_RPC_OK;
    if (fake_sasl.refuses || reply->header.procedure < INIT || reply->header.procedure > STEP)
        return;
    if (reply->header.procedure == INIT) {
        ck_assert(
            vadm_message_decode(reply, (xdrproc_t)xdr_vadm_remote_auth_sasl_init_ret, &init, NULL));
        fake_sasl.offers = g_intern_string(init.mechanisms);
        xdr_free((xdrproc_t)xdr_vadm_remote_auth_sasl_init_ret, (char *)&init);
        return;
    }
    ck_assert(
        vadm_message_decode(reply, (xdrproc_t)xdr_vadm_remote_auth_sasl_turn_ret, &turn, NULL));
    g_clear_pointer(&fake_sasl.scripted, g_free);
    if (!turn.nil) {
        fake_sasl.scripted = g_malloc0(turn.data.data_len + 1u);
        for (guint i = 0; i < turn.data.data_len; i++)
            fake_sasl.scripted[i] = turn.data.data_val[i];
    }
    fake_sasl.complete = turn.complete;
    fake_sasl.answer = fake_sasl.scripted;
    fake_sasl.answer_length = turn.data.data_len;
    xdr_free((xdrproc_t)xdr_vadm_remote_auth_sasl_turn_ret, (char *)&turn);
}

static gboolean
bytes_have(GBytes *bytes, const char *text)
{
    gsize length;
    const char *data = g_bytes_get_data(bytes, &length);

    return memmem(data, length, text, strlen(text)) != NULL;
}

/* Returns: how many messages of the client were answered */
static guint
replay(VadmClient *client, GPtrArray *traces, guint section)
{
    guint answered = 0;

    for (guint i = 0; i + 1 < traces->len; i++) {
        const TraceMessage *said = traces->pdata[i], *expected = traces->pdata[i + 1];
        VadmMessage *message, *reply;

        if (said->section != section || !said->from_client)
            continue;
        message = vadm_message_new_take(g_memdup2(said->data, said->length), said->length);
        if (message->header.procedure == VADM_REMOTE_PROC_CONNECT_OPEN &&
            client_reason(client) == 0 && fake_sasl.complete) {
            vadm_message_free(message); /* it has come to an end: the upstream's business */
            return answered;
        }
        script(expected);
        client_send_message(client, message);
        reply = client_at(client, answered++);
        ck_assert_msg(reply->length == expected->length &&
                          memcmp(reply->data, expected->data, expected->length) == 0,
                      "section %u, message %u", section, i);
        if (said->data[15] == START && fake_sasl.heard)
            ck_assert_msg(bytes_have(fake_sasl.heard, "n,,n=fred@example,r=") ||
                              bytes_have(fake_sasl.heard, "gr\xc3\xbcn") ||
                              bytes_have(fake_sasl.heard, "x"),
                          "section %u", section);
    }
    return answered;
}

START_TEST(answers_are_those_of_libvirtd)
{
    /* messages of the client that are answered here, in each section of the file */
    static const guint calls[] = {4, 4, 4, 2, 1, 1, 2, 2, 8, 3};
    g_autoptr(GPtrArray) traces = traces_load(TRACES_SASL);
    const TraceMessage *first = traces->pdata[0];
    Relay *relay = relay_new(FALSE);
    VadmClient *client = client_new_stranger(relay);

    ck_assert_uint_eq(((const TraceMessage *)traces->pdata[traces->len - 1])->section,
                      first->section + G_N_ELEMENTS(calls) - 1);
    ck_assert_uint_eq(replay(client, traces, first->section + (guint)_i), calls[_i]);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("relay-auth");
    TCase *tc = tcase_create("relay-auth");

    tcase_add_checked_fixture(tc, fake_sasl_init, fake_sasl_clear);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, nothing_is_served_before);
    tcase_add_test(tc, everything_is_served_after);
    tcase_add_loop_test(tc, the_order_is_kept, 0, G_N_ELEMENTS(wrong_orders));
    tcase_add_loop_test(tc, a_failure_is_counted_and_ends_the_connection, 0,
                        2 * G_N_ELEMENTS(faults));
    tcase_add_test(tc, no_mechanisms_is_a_failure);
    tcase_add_loop_test(tc, allowed_users_come_in, 0, 3);
    tcase_add_loop_test(tc, the_layer, 0, 2);
    tcase_add_test(tc, undecodable_calls);
    tcase_add_test(tc, nil_and_empty);
    tcase_add_test(tc, a_slow_turn_holds_its_client_only);
    tcase_add_test(tc, strangers_do_not_get_all_workers);
    tcase_add_test(tc, ended_in_the_middle);
    tcase_add_loop_test(tc, closed_in_the_middle, 0, 2);
    tcase_add_loop_test(tc, abandoned, 0, 4);
    tcase_add_loop_test(tc, answers_are_those_of_libvirtd, 0, 10);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
