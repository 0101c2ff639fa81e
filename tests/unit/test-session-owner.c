/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owners who act in a callback, and how a session is closed. */
#include "session-fixture.h"

/* Owners who act in a callback */

/* All replies come at once; the session goes with the second. */
START_TEST(test_act_in_reply)
{
    open_and_wait();
    peer_hold(peer, PROC_VERSION);
    for (int i = 0; i < 5; i++)
        call_version(0);
    peer_wait_calls(peer, PROC_VERSION, 5);
    act = _i == 0 ? ACT_FREE : ACT_CLOSE;
    act_on = 1;
    peer_release(peer, PROC_VERSION, FALSE);
    WAIT_FOR(told->len == 2);
    WAIT_FOR(peer_n_open(peer) == 0);
    settle();
    assert_told(0, 1, -1);
    ck_assert_uint_eq(ends, 0);
    ck_assert_uint_eq(closes, _i == 0 ? 0 : 1);
}
END_TEST

START_TEST(test_call_in_reply)
{
    open_and_wait();
    act = ACT_CALL;
    act_on = 0;
    call_version(0);
    WAIT_FOR(told->len == 2);
    ck_assert_uint_eq(outcome(1)->version, 9000000);
}
END_TEST

START_TEST(test_act_in_timeout)
{
    open_and_wait();
    peer_ignore(peer, PROC_VERSION);
    for (int i = 0; i < 5; i++)
        call_version(20);
    act = _i == 0 ? ACT_FREE : _i == 1 ? ACT_CLOSE : ACT_CALL;
    act_on = 1;
    WAIT_FOR(told->len >= 2);
    WAIT_FOR(_i == 2 ? told->len == 5 : peer_n_open(peer) == 0);
    settle();
    ck_assert_uint_eq(told->len, _i == 2 ? 5 : 2);
    ck_assert_uint_eq(ends, 0);
    ck_assert_uint_eq(closes, _i == 1 ? 1 : 0);
}
END_TEST

START_TEST(test_act_in_opened)
{
    act = _i == 0 ? ACT_FREE : _i == 1 ? ACT_CLOSE : ACT_CALL;
    act_on = ON_OPENED;
    open_session();
    call_version(0);
    WAIT_FOR(opens == 1);
    if (_i == 2) {
        WAIT_FOR(told->len == 2);
        assert_told(0, 1, -1);
        return;
    }
    WAIT_FOR(peer_n_open(peer) == 0);
    settle();
    ck_assert_uint_eq(told->len, 0);
    ck_assert_uint_eq(peer_n_calls(peer, PROC_VERSION), 0);
    ck_assert_uint_eq(closes, _i == 1 ? 1 : 0);
}
END_TEST

/* In the handler of the end, and in that of a call that is told of it. */
START_TEST(test_act_at_end)
{
    gboolean in_handler = _i < 2;

    open_and_wait();
    peer_ignore(peer, PROC_VERSION);
    for (int i = 0; i < 3; i++)
        call_version(0);
    act = _i % 2 == 0 ? ACT_FREE : ACT_CLOSE;
    act_on = in_handler ? ON_ENDED : 1;
    peer_close_all(peer);
    WAIT_FOR(told->len >= 2);
    settle();
    ck_assert_uint_eq(told->len, in_handler ? 3 : 2);
    ck_assert_uint_eq(ends, in_handler ? 1 : 0);
    ck_assert_uint_eq(closes, _i % 2 == 0 ? 0 : 1);
}
END_TEST

/* In the outcome of calls that never were sent. */
START_TEST(test_act_in_failed)
{
    peer_stop_listening(peer);
    open_session();
    WAIT_FOR(ends == 1);
    act = _i == 0 ? ACT_FREE : _i == 1 ? ACT_CLOSE : ACT_CALL;
    act_on = 0;
    call_version(0);
    call_version(0);
    WAIT_FOR(told->len == (_i == 2 ? 3 : 1));
    settle();
    ck_assert_uint_eq(told->len, _i == 2 ? 3 : 1);
    ck_assert_uint_eq(closes, _i == 1 ? 1 : 0);
}
END_TEST

START_TEST(test_free_while_connecting)
{
    open_session();
    call_version(0);
    g_clear_pointer(&session, vadm_session_free);
    settle();
    ck_assert_uint_eq(told->len + opens + ends, 0);
}
END_TEST

/* Closing gracefully */

START_TEST(test_close)
{
    open_and_wait();
    close_session(10000);
    WAIT_FOR(closes == 1);
    ck_assert_uint_eq(peer_n_calls(peer, PROC_CLOSE), 1);
    WAIT_FOR(peer_n_open(peer) == 0);
    settle();
    ck_assert_uint_eq(closes, 1);
    ck_assert_uint_eq(ends, 0);
}
END_TEST

/* Their replies, which come before that to CONNECT_CLOSE, are no error; those that wait are not
 * sent, nor does CONNECT_CLOSE wait for its turn. */
START_TEST(test_close_with_calls)
{
    options.max_in_flight = 2;
    open_and_wait();
    peer_hold(peer, PROC_VERSION);
    peer_hold(peer, PROC_CLOSE);
    for (int i = 0; i < 4; i++)
        call_version(0);
    close_session(10000);
    peer_wait_calls(peer, PROC_CLOSE, 1);
    peer_release(peer, PROC_VERSION, FALSE);
    settle();
    ck_assert_uint_eq(closes, 0);
    peer_release(peer, PROC_CLOSE, FALSE);
    WAIT_FOR(closes == 1);
    ck_assert_uint_eq(told->len, 0);
    ck_assert_uint_eq(peer_n_calls(peer, PROC_VERSION), 2);
}
END_TEST

/* Not answered; not read; answered with a hang-up, or with garbage. */
START_TEST(test_close_anyway)
{
    open_and_wait();
    if (_i == 0)
        peer_ignore(peer, PROC_CLOSE);
    if (_i == 1)
        peer_read(peer, FALSE);
    if (_i == 2)
        peer_hang_up(peer, PROC_CLOSE, 0);
    if (_i == 3)
        peer_answer_raw(peer, PROC_CLOSE, "\0\0\0\1", 4);
    close_session(_i < 2 ? 50 : 10000);
    WAIT_FOR(closes == 1);
    settle();
    ck_assert_uint_eq(closes, 1);
    ck_assert_uint_eq(ends, 0);
    peer_read(peer, TRUE);
    WAIT_FOR(peer_n_open(peer) == 0);
}
END_TEST

/* At once after vadm_session_open(), while CONNECT_OPEN is not answered, and after the end. */
START_TEST(test_close_when_not_open)
{
    if (_i == 1)
        peer_ignore(peer, PROC_OPEN);
    if (_i == 2)
        peer_turn_away(peer, TRUE);
    open_session();
    call_version(0);
    if (_i == 1)
        WAIT_FOR(peer_n_calls(peer, PROC_OPEN) == 1);
    if (_i == 2)
        WAIT_FOR(ends == 1);
    close_session(10000);
    WAIT_FOR(closes == 1);
    settle();
    ck_assert_uint_eq(opens, 0);
    ck_assert_uint_eq(told->len, _i == 2 ? 1 : 0);
    ck_assert_uint_eq(peer_n_calls(peer, PROC_CLOSE), 0);
}
END_TEST

START_TEST(test_close_unnoticed)
{
    open_and_wait();
    vadm_session_close_gracefully(session, 10000, NULL, NULL);
    session = NULL;
    WAIT_FOR(peer_n_open(peer) == 0);
    settle();
}
END_TEST

void
test_owners_add(Suite *suite)
{
    TCase *tc = add_case(suite, "owners");

    tcase_add_loop_test(tc, test_act_in_reply, 0, 2);
    tcase_add_test(tc, test_call_in_reply);
    tcase_add_loop_test(tc, test_act_in_timeout, 0, 3);
    tcase_add_loop_test(tc, test_act_in_opened, 0, 3);
    tcase_add_loop_test(tc, test_act_at_end, 0, 4);
    tcase_add_loop_test(tc, test_act_in_failed, 0, 3);
    tcase_add_test(tc, test_free_while_connecting);
    tcase_add_test(tc, test_close);
    tcase_add_test(tc, test_close_with_calls);
    tcase_add_loop_test(tc, test_close_anyway, 0, 4);
    tcase_add_loop_test(tc, test_close_when_not_open, 0, 3);
    tcase_add_test(tc, test_close_unnoticed);
}
