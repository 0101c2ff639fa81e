/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls of a session and their outcomes. */
#include "config.h"

#include "session-fixture.h"
#include "unit.h"

#define ADMIN VADM_RPC_PROGRAM_ADMIN

/* The normal path */

START_TEST(test_call)
{
    g_autoptr(GPtrArray) calls = NULL;

    open_session();
    ck_assert_uint_eq(opens, 0);
    call_version(0); /* waits until it has opened */
    ck_assert_uint_eq(vadm_session_in_flight(session), 0);
    WAIT_FOR(told->len == 1);
    ck_assert_uint_eq(opens, 1);
    ck_assert_uint_eq(outcome(0)->version, 9000000);
    call_version(0);
    ck_assert_uint_eq(vadm_session_in_flight(session), 1);
    WAIT_FOR(told->len == 2);
    ck_assert_uint_eq(vadm_session_in_flight(session), 0);
    ck_assert_uint_eq(ends, 0);
    calls = peer_get_calls(peer);
    ck_assert_uint_eq(calls->len, 3);
    for (guint32 i = 0; i < 3; i++) {
        const VadmMessage *call = calls->pdata[i];

        ck_assert_uint_eq(call->header.serial, i);
        ck_assert_uint_eq(call->header.program, VADM_RPC_PROGRAM_ADMIN);
        ck_assert_uint_eq(call->header.version, 1);
        ck_assert_uint_eq(call->header.type, VADM_RPC_CALL);
        ck_assert_uint_eq(call->header.status, VADM_RPC_OK);
        ck_assert_int_eq(call->header.procedure, i == 0 ? PROC_OPEN : PROC_VERSION);
        ck_assert_uint_eq(call->length, i == 0 ? 32 : 28); /* flags */
    }
}
END_TEST

START_TEST(test_refused_call)
{
    open_session();
    peer_refuse(peer, PROC_VERSION, VADM_VIR_ERR_OPERATION_DENIED, "not you");
    call_version(0);
    WAIT_FOR(told->len == 1);
    ck_assert(outcome(0)->replied);
    ck_assert_int_eq(outcome(0)->refusal, VADM_VIR_ERR_OPERATION_DENIED);
    ck_assert_str_eq(outcome(0)->text, "operation forbidden: not you");
    ck_assert_uint_eq(ends, 0);
}
END_TEST

START_TEST(test_out_of_order)
{
    open_and_wait();
    peer_hold(peer, PROC_VERSION);
    for (int i = 0; i < 4; i++)
        call_version(0);
    ck_assert_uint_eq(vadm_session_in_flight(session), 4);
    peer_wait_calls(peer, PROC_VERSION, 4);
    peer_release(peer, PROC_VERSION, TRUE);
    WAIT_FOR(told->len == 4);
    assert_told(3, 2, 1, 0, -1);
    ck_assert_uint_eq(ends, 0);
}
END_TEST

START_TEST(test_max_in_flight)
{
    options.max_in_flight = 3;
    open_and_wait();
    peer_hold(peer, PROC_VERSION);
    for (int i = 0; i < 10; i++)
        call_version(0);
    peer_wait_calls(peer, PROC_VERSION, 3);
    settle();
    ck_assert_uint_eq(vadm_session_in_flight(session), 3);
    vadm_session_set_max_in_flight(session, 5);
    ck_assert_uint_eq(vadm_session_in_flight(session), 5);
    vadm_session_set_max_in_flight(session, 2);
    peer_wait_calls(peer, PROC_VERSION, 5);
    settle();
    ck_assert_uint_eq(peer_n_calls(peer, PROC_VERSION), 5);
    peer_release(peer, PROC_VERSION, FALSE);
    WAIT_FOR(told->len == 10);
    assert_told(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -1);
}
END_TEST

START_TEST(test_waits_for_opening)
{
    peer_hold(peer, PROC_OPEN);
    open_session();
    call_version(0);
    WAIT_FOR(peer_n_calls(peer, PROC_OPEN) == 1);
    settle();
    ck_assert(!vadm_session_is_open(session));
    ck_assert_uint_eq(peer_n_calls(peer, PROC_VERSION), 0);
    peer_release(peer, PROC_OPEN, FALSE);
    WAIT_FOR(told->len == 1);
    ck_assert_uint_eq(outcome(0)->version, 9000000);
}
END_TEST

START_TEST(test_nobody_wants_to_know)
{
    open_session();
    vadm_session_call(session, VADM_RPC_PROGRAM_EXTENSION, 1, NULL, NULL, 0, NULL, NULL);
    vadm_session_call(session, VADM_RPC_PROGRAM_ADMIN, PROC_FILTERS, NULL, NULL, 1, NULL, NULL);
    call_version(0);
    WAIT_FOR(told->len == 1);
    ck_assert_uint_eq(ends, 0);
}
END_TEST

START_TEST(test_many)
{
    const guint many = 16384;

    options.max_in_flight = _i == 0 ? 4 : 0;
    open_session();
    for (guint i = 0; i < many; i++)
        call_version(120000 - i);
    for (guint n = many / 16; n <= many; n += many / 16)
        WAIT_FOR(told->len >= n); /* 4 at a time are 4096 rounds of two threads */
    ck_assert_uint_eq(told->len, many);
    for (guint i = 0; i < many; i++)
        ck_assert_uint_eq(outcome(i)->version, 9000000);
    ck_assert_uint_eq(vadm_session_in_flight(session), 0);
}
END_TEST

/* All of them are given up at once, in the order of their deadlines. */
START_TEST(test_many_given_up)
{
    const guint many = 16384;

    peer_ignore(peer, PROC_OPEN);
    open_session();
    for (guint i = 0; i < many; i++)
        call_version(i % 2 == 0 ? 2 : 1);
    WAIT_FOR(told->len == many);
    ck_assert_int_eq(outcome(many - 1)->code, VADM_ERROR_TIMEOUT);
}
END_TEST

static bool_t
encode_never(XDR *xdrs G_GNUC_UNUSED, ...)
{
    return FALSE;
}

/* Told from the main loop; others go on. */
START_TEST(test_cannot_encode)
{
    Outcome *failed = g_new0(Outcome, 1);
    const int args = 0;

    g_ptr_array_add(outcomes, failed);
    open_and_wait();
    vadm_session_call(session, VADM_RPC_PROGRAM_ADMIN, PROC_FILTERS, (xdrproc_t)encode_never, &args,
                      0, on_reply, failed);
    ck_assert_uint_eq(failed->times, 0);
    call_version(0);
    WAIT_FOR(told->len == 2);
    assert_told(0, 1, -1);
    ck_assert_int_eq(failed->code, VADM_ERROR_RPC);
    ck_assert_uint_eq(outcome(1)->version, 9000000);
    ck_assert_uint_eq(peer_n_calls(peer, PROC_FILTERS), 0);
}
END_TEST

/* Calls that are given up */

START_TEST(test_timeout)
{
    gint64 before;

    open_and_wait();
    peer_hold(peer, PROC_VERSION);
    before = g_get_monotonic_time();
    call_version(30);
    WAIT_FOR(told->len == 1);
    ck_assert_int_ge(g_get_monotonic_time() - before, 30000);
    ck_assert_int_eq(outcome(0)->code, VADM_ERROR_TIMEOUT);
    ck_assert_str_eq(outcome(0)->text, "no reply to procedure 3 within 30 ms");
    ck_assert_uint_eq(vadm_session_in_flight(session), 1); /* the daemon has it still */
    peer_release(peer, PROC_VERSION, FALSE);
    WAIT_FOR(vadm_session_in_flight(session) == 0);
    call_version(0);
    WAIT_FOR(told->len == 2);
    ck_assert_uint_eq(outcome(1)->version, 9000000);
    ck_assert_uint_eq(ends, 0);
}
END_TEST

/* Those that a daemon does not answer make no place for others. */
START_TEST(test_timeout_in_flight)
{
    options.max_in_flight = 1;
    open_and_wait();
    peer_hold(peer, PROC_VERSION);
    call_version(20);
    call_version(20);
    call_version(0);
    WAIT_FOR(told->len == 2);
    assert_told(0, 1, -1);
    WAIT_FOR(peer_n_calls(peer, PROC_VERSION) == 1);
    peer_release(peer, PROC_VERSION, FALSE);
    WAIT_FOR(told->len == 3);
    ck_assert_uint_eq(outcome(2)->version, 9000000);
    ck_assert_uint_eq(peer_n_calls(peer, PROC_VERSION), 2); /* the second was never sent */
    peer_ignore(peer, PROC_VERSION);
    call_version(20);
    WAIT_FOR(told->len == 4);
    ck_assert_uint_eq(vadm_session_in_flight(session), 1);
    peer_close_all(peer);
    WAIT_FOR(ends == 1); /* the handler sees none in flight */
}
END_TEST

START_TEST(test_timeout_before_opening)
{
    peer_hold(peer, PROC_OPEN);
    open_session();
    call_version(30);
    WAIT_FOR(told->len == 1);
    ck_assert_int_eq(outcome(0)->code, VADM_ERROR_TIMEOUT);
    peer_release(peer, PROC_OPEN, FALSE);
    WAIT_FOR(opens == 1);
    call_version(0);
    WAIT_FOR(told->len == 2);
    ck_assert_uint_eq(peer_n_calls(peer, PROC_VERSION), 1);
}
END_TEST

START_TEST(test_timeout_order)
{
    options.call_timeout_ms = 800;
    open_and_wait();
    peer_hold(peer, PROC_VERSION);
    call_version(G_MAXUINT); /* for ever */
    call_version(0);
    call_version(20);
    call_version(1400);
    call_version(20);
    WAIT_FOR(told->len == 4);
    assert_told(2, 4, 1, 3, -1);
    peer_release(peer, PROC_VERSION, FALSE);
    WAIT_FOR(told->len == 5);
    ck_assert_uint_eq(outcome(0)->version, 9000000);
    ck_assert_uint_eq(ends, 0);
}
END_TEST

/* Our own main loop was busy until after the deadline: what has come counts. */
START_TEST(test_reply_in_time)
{
    open_and_wait();
    peer_hold(peer, PROC_VERSION);
    call_version(20);
    peer_wait_calls(peer, PROC_VERSION, 1);
    peer_release(peer, PROC_VERSION, FALSE);
    g_usleep(40000);
    WAIT_FOR(told->len == 1);
    ck_assert_uint_eq(outcome(0)->version, 9000000);
}
END_TEST

/* A daemon that says much, but not what is waited for, does not keep a call alive. */
START_TEST(test_timeout_among_events)
{
    const VadmRpcHeader event = {
        .program = VADM_RPC_PROGRAM_ADMIN, .version = 1, .procedure = 99, .type = VADM_RPC_EVENT};

    open_and_wait();
    peer_ignore(peer, PROC_VERSION);
    call_version(50);
    WAIT_FOR((peer_send(peer, &event, NULL, NULL), told->len == 1));
    ck_assert_int_eq(outcome(0)->code, VADM_ERROR_TIMEOUT);
    ck_assert_uint_eq(ends, 0);
}
END_TEST

/* The tables of the calls */

static VadmSessionCall *
add_call(VadmSessionCalls *calls, gint64 deadline)
{
    const VadmRpcHeader header = {.program = ADMIN, .version = 1, .procedure = PROC_VERSION};
    VadmSessionCall *call = g_new0(VadmSessionCall, 1);

    call->program = ADMIN;
    call->procedure = PROC_VERSION;
    call->deadline = deadline;
    call->message = vadm_message_new(&header, NULL, NULL, NULL);
    vadm_session_calls_add(calls, call);
    return call;
}

static guint32
send_next(VadmSessionCalls *calls)
{
    g_autoptr(VadmMessage) message = vadm_session_calls_send(calls);

    return message->header.serial;
}

/* Returns: whether a reply to @serial would be dropped; it must not be taken for another's */
static gboolean
is_dropped(VadmSessionCalls *calls, guint32 program, guint32 serial)
{
    const VadmRpcHeader header = {
        .program = program, .version = 1, .procedure = PROC_VERSION, .serial = serial};
    gboolean dropped;

    ck_assert_ptr_null(vadm_session_calls_take_reply(calls, &header, &dropped));
    return dropped;
}

/* Each when its time has come, not before. */
START_TEST(test_due)
{
    VadmSessionCalls calls = {.made = 0};
    VadmSessionCall *first, *second, *third, *never;

    vadm_session_calls_init(&calls);
    ck_assert_int_eq(vadm_session_calls_next_deadline(&calls), G_MAXINT64);
    never = add_call(&calls, G_MAXINT64);
    third = add_call(&calls, 2001);
    first = add_call(&calls, 1000);
    second = add_call(&calls, 2001);
    send_next(&calls);
    send_next(&calls); /* of never and third */
    ck_assert_int_eq(vadm_session_calls_next_deadline(&calls), 1000);
    ck_assert_ptr_null(vadm_session_calls_take_due(&calls, 999));
    ck_assert_ptr_eq(vadm_session_calls_take_due(&calls, 1000), first);
    ck_assert_ptr_null(vadm_session_calls_take_due(&calls, 2000));
    ck_assert_ptr_eq(vadm_session_calls_take_due(&calls, G_MAXINT64 - 1), third);
    ck_assert_ptr_eq(vadm_session_calls_take_due(&calls, G_MAXINT64 - 1), second);
    ck_assert_ptr_null(vadm_session_calls_take_due(&calls, G_MAXINT64));
    ck_assert_ptr_null(vadm_session_calls_send(&calls)); /* first and second are gone */
    ck_assert_uint_eq(vadm_session_calls_unanswered(&calls), 2);
    vadm_session_call_free(first);
    vadm_session_call_free(second);
    vadm_session_call_free(third);
    ck_assert_uint_eq(never->serial, 0);
    vadm_session_calls_clear(&calls);
}
END_TEST

/* In the order in which they were made, whatever their serials are. */
START_TEST(test_take_all)
{
    VadmSessionCalls calls = {.made = 0, .next_serial = 1000};
    g_autoptr(GPtrArray) all = NULL;

    vadm_session_calls_init(&calls);
    for (guint i = 0; i < 100; i++)
        add_call(&calls, G_MAXINT64);
    for (guint i = 0; i < 50; i++)
        send_next(&calls);
    all = vadm_session_calls_take_all(&calls);
    ck_assert_uint_eq(all->len, 100);
    for (guint i = 0; i < 100; i++)
        ck_assert_uint_eq(((VadmSessionCall *)all->pdata[i])->order, i);
    ck_assert_uint_eq(vadm_session_calls_unanswered(&calls), 0);
    ck_assert_ptr_null(vadm_session_calls_send(&calls));
    vadm_session_calls_clear(&calls);
}
END_TEST

START_TEST(test_serials_wrap)
{
    VadmSessionCalls calls = {.made = 0};

    vadm_session_calls_init(&calls);
    add_call(&calls, G_MAXINT64);
    ck_assert_uint_eq(send_next(&calls), 0);
    calls.next_serial = G_MAXUINT32;
    add_call(&calls, 1);
    add_call(&calls, G_MAXINT64);
    ck_assert_uint_eq(send_next(&calls), G_MAXUINT32);
    ck_assert_uint_eq(send_next(&calls), 1); /* 0 waits still */
    vadm_session_call_free(vadm_session_calls_take_due(&calls, 1));
    calls.next_serial = G_MAXUINT32; /* may come still */
    add_call(&calls, G_MAXINT64);
    ck_assert_uint_eq(send_next(&calls), 2);
    vadm_session_calls_clear(&calls);
}
END_TEST

/* More calls were given up than are remembered one by one. */
START_TEST(test_late_replies)
{
    const guint32 many = VADM_SESSION_LATE_MAX + 10;
    VadmSessionCalls calls = {.made = 0};

    vadm_session_calls_init(&calls);
    for (guint32 i = 0; i < many; i++) {
        add_call(&calls, 1);
        ck_assert_uint_eq(send_next(&calls), i);
        vadm_session_call_free(vadm_session_calls_take_due(&calls, 1));
    }
    add_call(&calls, G_MAXINT64);
    ck_assert_uint_eq(send_next(&calls), many);
    ck_assert_uint_eq(vadm_session_calls_unanswered(&calls), VADM_SESSION_LATE_MAX + 1);
    ck_assert(!is_dropped(&calls, VADM_RPC_PROGRAM_EXTENSION, many - 1));
    ck_assert(is_dropped(&calls, ADMIN, many - 1));
    ck_assert(!is_dropped(&calls, ADMIN, many - 1)); /* once */
    ck_assert(is_dropped(&calls, ADMIN, 9));         /* forgotten */
    ck_assert(is_dropped(&calls, ADMIN, 0));
    ck_assert(is_dropped(&calls, ADMIN, 10));
    ck_assert(!is_dropped(&calls, ADMIN, 10));
    ck_assert(!is_dropped(&calls, ADMIN, many + 1));
    ck_assert(!is_dropped(&calls, VADM_RPC_PROGRAM_REMOTE, many));
    ck_assert_uint_eq(vadm_session_calls_unanswered(&calls), VADM_SESSION_LATE_MAX - 1);
    vadm_session_calls_clear(&calls);
}
END_TEST

/* Late replies that come after all are not remembered for ever. */
START_TEST(test_late_answered)
{
    VadmSessionCalls calls = {.made = 0};

    vadm_session_calls_init(&calls);
    for (guint32 i = 0; i < 3 * VADM_SESSION_LATE_MAX; i++) {
        add_call(&calls, 1);
        ck_assert_uint_eq(send_next(&calls), i);
        vadm_session_call_free(vadm_session_calls_take_due(&calls, 1));
        ck_assert(is_dropped(&calls, ADMIN, i));
    }
    ck_assert_uint_eq(vadm_session_calls_unanswered(&calls), 0);
    ck_assert_uint_le(calls.late_order.length, VADM_SESSION_LATE_MAX);
    ck_assert(!is_dropped(&calls, ADMIN, 5)); /* an answer to nothing */
    vadm_session_calls_clear(&calls);
}
END_TEST

static void
add_calls(TCase *tc)
{
    tcase_add_test(tc, test_call);
    tcase_add_test(tc, test_refused_call);
    tcase_add_test(tc, test_out_of_order);
    tcase_add_test(tc, test_max_in_flight);
    tcase_add_test(tc, test_waits_for_opening);
    tcase_add_test(tc, test_nobody_wants_to_know);
    tcase_add_loop_test(tc, test_many, 0, 2);
    tcase_add_test(tc, test_many_given_up);
    tcase_add_test(tc, test_cannot_encode);
    tcase_add_test(tc, test_timeout);
    tcase_add_test(tc, test_timeout_in_flight);
    tcase_add_test(tc, test_timeout_before_opening);
    tcase_add_test(tc, test_timeout_order);
    tcase_add_test(tc, test_reply_in_time);
    tcase_add_test(tc, test_timeout_among_events);
}

int
main(void)
{
    Suite *suite = suite_create("session");
    TCase *tables = tcase_create("tables");

    add_calls(add_case(suite, "calls"));
    test_peers_add(suite);
    test_owners_add(suite);
    tcase_add_test(tables, test_due);
    tcase_add_test(tables, test_take_all);
    tcase_add_test(tables, test_serials_wrap);
    tcase_add_test(tables, test_late_replies);
    tcase_add_test(tables, test_late_answered);
    suite_add_tcase(suite, tables);
    return vadm_unit_main(suite);
}
