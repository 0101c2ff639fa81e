/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SET: a source that completes later: delegated requests, their deadline, and what gives a pending
 * phase up. */
#include <string.h>

#include "agent-fixture.h"
#include "agent/set.h"

static void
set_up(void)
{
    agent_set_up();
    agent_add_long(&pdu, "1.7.2.0", ASN_UNSIGNED, 77);
    agent_add_long(&pdu, "1.4.1.3.1", ASN_UNSIGNED, 6);
}

static guint32
interval(void)
{
    return vadm_settings_get(bed.settings).notify_min_interval;
}

static void
defer_all(void)
{
    for (guint i = 0; i < FAKE_PHASES; i++)
        bed.fake->defer[i] = TRUE;
}

static AgentSent *
post_pending(int mode)
{
    AgentSent *sent = agent_post(&bed, &pdu, mode);

    ck_assert(agent_is_pending(sent));
    return sent;
}

static void
check_outcome(AgentSent *sent, int status)
{
    ck_assert(!agent_is_pending(sent));
    ck_assert_int_eq(agent_outcome(sent, NULL), status);
    agent_sent_free(sent);
}

/* Brings the transaction to where @phase is pending: with all before it done. */
static AgentSent *
bring_to(FakePhase phase)
{
    static const int modes[] = {MODE_SET_RESERVE2, MODE_SET_ACTION, MODE_SET_UNDO};
    gboolean deferred[FAKE_PHASES];

    memcpy(deferred, bed.fake->defer, sizeof(deferred));
    memset(bed.fake->defer, 0, sizeof(bed.fake->defer));
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_RESERVE1, NULL), 0);
    for (guint i = 0; i < (guint)phase; i++)
        ck_assert_int_eq(agent_send(&bed, &pdu, modes[i], NULL), 0);
    memcpy(bed.fake->defer, deferred, sizeof(deferred));
    return post_pending(modes[phase]);
}

static const int give_up_status[FAKE_PHASES] = {SNMP_ERR_RESOURCEUNAVAILABLE, SNMP_ERR_COMMITFAILED,
                                                SNMP_ERR_UNDOFAILED};

START_TEST(test_whole_set)
{
    AgentSent *sent;

    defer_all();
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_RESERVE1, NULL), 0);
    sent = post_pending(MODE_SET_RESERVE2);
    ck_assert(fake_source_complete(bed.fake));
    check_outcome(sent, 0);
    sent = post_pending(MODE_SET_ACTION);
    ck_assert_uint_eq(interval(), 5); /* the second participant is not before the first */
    ck_assert(fake_source_complete(bed.fake));
    check_outcome(sent, 0);
    ck_assert_uint_eq(interval(), 77);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_COMMIT, NULL), 0);
    ck_assert_uint_eq(fake_source_workers_min(bed.fake, 1), 6);
    ck_assert_uint_eq(bed.fake->finished, 1);
}
END_TEST

START_TEST(test_undo)
{
    AgentSent *sent;

    defer_all();
    sent = bring_to(FAKE_UNDO);
    ck_assert(fake_source_complete(bed.fake));
    check_outcome(sent, 0);
    ck_assert_uint_eq(interval(), 5);
    ck_assert_uint_eq(fake_source_workers_min(bed.fake, 1), 5);
    ck_assert_uint_eq(bed.fake->aborted, 1);
    ck_assert_uint_eq(bed.fake->open, 0);
}
END_TEST

/* The same statuses, varbind and text as when they come at once. */
START_TEST(test_errors)
{
    AgentSent *sent;
    guint at = 99;

    defer_all();
    bed.fake->fail_prepare = VADM_ERROR_INCONSISTENT;
    bed.fake->fail_tag = 1;
    sent = bring_to(FAKE_PREPARE);
    ck_assert(fake_source_complete(bed.fake));
    ck_assert_int_eq(agent_outcome(sent, &at), SNMP_ERR_INCONSISTENTVALUE);
    ck_assert_uint_eq(at, 1);
    agent_sent_free(sent);
    check_last_error("lvaServerWorkersMin.1 = 6: made up by the test");

    bed.fake->fail_prepare = 0;
    bed.fake->fail_commit = VADM_ERROR_SYSTEM;
    pdu.transaction++;
    sent = bring_to(FAKE_COMMIT);
    ck_assert(fake_source_complete(bed.fake));
    check_outcome(sent, SNMP_ERR_COMMITFAILED);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_UNDO, NULL), 0);
    ck_assert_uint_eq(bed.fake->open, 0);
    ck_assert_uint_eq(interval(), 5);

    bed.fake->fail_commit = 0;
    bed.fake->fail_undo = VADM_ERROR_CONFLICT;
    pdu.transaction++;
    sent = bring_to(FAKE_UNDO);
    ck_assert(fake_source_complete(bed.fake));
    check_outcome(sent, SNMP_ERR_UNDOFAILED);
    ck_assert_uint_eq(bed.fake->open, 0);
}
END_TEST

/* The agent's own part refuses after the source's part has been prepared. */
START_TEST(test_stale_lock_behind)
{
    long stale = (long)((vadm_settings_get(bed.settings).lock + 7) & VADM_LOCK_BOUND);
    AgentSent *sent;
    guint at = 99;

    defer_all();
    agent_add_long(&pdu, "1.2.1.0", ASN_INTEGER, stale);
    sent = bring_to(FAKE_PREPARE);
    ck_assert(fake_source_complete(bed.fake));
    ck_assert_int_eq(agent_outcome(sent, &at), SNMP_ERR_INCONSISTENTVALUE);
    ck_assert_uint_eq(at, 2);
    agent_sent_free(sent);
    check_last_error("lvaConfigLock.0 = ");
    ck_assert_uint_eq(bed.fake->aborted, 1);
    ck_assert_uint_eq(bed.fake->open, 0);
}
END_TEST

/* A master that waits no longer sends the same request again. */
START_TEST(test_repetition_shares)
{
    static const int modes[] = {MODE_SET_RESERVE2, MODE_SET_ACTION, MODE_SET_UNDO};
    FakePhase phase = (FakePhase)(_i / 2);
    gboolean fails = _i % 2;
    AgentSent *sent[3];

    defer_all();
    if (fails)
        bed.fake->fail_prepare = phase == FAKE_PREPARE ? VADM_ERROR_SYSTEM : 0;
    if (fails && phase == FAKE_COMMIT)
        bed.fake->fail_commit = VADM_ERROR_SYSTEM;
    if (fails && phase == FAKE_UNDO)
        bed.fake->fail_undo = VADM_ERROR_SYSTEM;
    sent[0] = bring_to(phase);
    if (phase != FAKE_UNDO)
        ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_RESERVE1, NULL), 0);
    sent[1] = post_pending(modes[phase]);
    sent[2] = post_pending(phase == FAKE_UNDO ? MODE_SET_FREE : modes[phase]);
    ck_assert(fake_source_complete(bed.fake));
    ck_assert(!fake_source_complete(bed.fake)); /* it was called once */
    for (guint i = 0; i < G_N_ELEMENTS(sent); i++)
        check_outcome(sent[i], fails ? give_up_status[phase] : 0);
    ck_assert_uint_eq(bed.fake->prepared, 1);
}
END_TEST

/* What is left of a change that was given up while @phase was pending, once that has completed. */
static void
check_taken_back(FakePhase phase)
{
    while (fake_source_complete(bed.fake))
        ;
    ck_assert_uint_eq(bed.fake->open, 0);
    ck_assert_uint_eq(bed.fake->in_force, 0);
    ck_assert_uint_eq(bed.fake->finished, 0);
    ck_assert_uint_eq(bed.fake->aborted, 1);
    ck_assert_uint_eq(bed.fake->undone, phase == FAKE_PREPARE ? 0 : 1);
    ck_assert_uint_eq(fake_source_workers_min(bed.fake, 1), 5);
    ck_assert_uint_eq(interval(), 5);
}

START_TEST(test_deadline)
{
    FakePhase phase = (FakePhase)_i;
    gint64 begun = g_get_monotonic_time(), due;
    AgentSent *sent;

    defer_all();
    sent = bring_to(phase);
    due = vadm_handler_expire(bed.handler, begun);
    ck_assert_int_ge(due, begun + VADM_SET_DEADLINE_US);
    ck_assert_int_le(due, g_get_monotonic_time() + VADM_SET_DEADLINE_US);
    vadm_handler_expire(bed.handler, due - 1);
    ck_assert(agent_is_pending(sent));
    vadm_handler_expire(bed.handler, due);
    check_outcome(sent, give_up_status[phase]);
    check_last_error("SET: the daemon did not complete it within 0.8 s");
    /* what the master does then */
    ck_assert_int_eq(
        agent_send(&bed, &pdu, phase == FAKE_PREPARE ? MODE_SET_FREE : MODE_SET_UNDO, NULL), 0);
    check_taken_back(phase);
    /* and the next one is not poisoned */
    memset(bed.fake->defer, 0, sizeof(bed.fake->defer));
    pdu.transaction++;
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_RESERVE1, NULL), 0);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_RESERVE2, NULL), 0);
}
END_TEST

/* Until what was given up has completed, the source has no room for another one. */
START_TEST(test_token_until_completion)
{
    AgentSent *sent;

    defer_all();
    sent = bring_to(FAKE_PREPARE);
    vadm_handler_expire(bed.handler, g_get_monotonic_time() + VADM_SET_DEADLINE_US);
    check_outcome(sent, SNMP_ERR_RESOURCEUNAVAILABLE);
    pdu.transaction++;
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_RESERVE2, NULL), SNMP_ERR_RESOURCEUNAVAILABLE);
    ck_assert(fake_source_complete(bed.fake));
    sent = post_pending(MODE_SET_RESERVE2);
    ck_assert(fake_source_complete(bed.fake));
    check_outcome(sent, 0);
}
END_TEST

/* A late undo that fails leaves what is in force; nothing stays open. */
START_TEST(test_late_undo_fails)
{
    AgentSent *sent;

    bed.fake->defer[FAKE_COMMIT] = TRUE;
    bed.fake->fail_undo = VADM_ERROR_SYSTEM;
    sent = bring_to(FAKE_COMMIT);
    vadm_handler_session_stopped(bed.handler);
    check_outcome(sent, SNMP_ERR_COMMITFAILED);
    ck_assert(fake_source_complete(bed.fake));
    ck_assert_uint_eq(bed.fake->undone, 1);
    ck_assert_uint_eq(bed.fake->aborted, 1);
    ck_assert_uint_eq(bed.fake->open, 0);
}
END_TEST

/* A commit that fails late has nothing to be undone. */
START_TEST(test_late_commit_fails)
{
    AgentSent *sent;

    defer_all();
    bed.fake->fail_commit = VADM_ERROR_SYSTEM;
    sent = bring_to(FAKE_COMMIT);
    vadm_handler_session_stopped(bed.handler);
    check_outcome(sent, SNMP_ERR_COMMITFAILED);
    ck_assert(fake_source_complete(bed.fake));
    ck_assert_uint_eq(bed.fake->undone, 0);
    ck_assert_uint_eq(bed.fake->aborted, 1);
    ck_assert_uint_eq(bed.fake->open, 0);
}
END_TEST

/* What comes while a phase is pending, and whether that gives it up. */
typedef struct {
    const char *name;
    int mode; /* -1: the session ends */
    gboolean other;
    int status[FAKE_PHASES]; /* of the newcomer */
    gboolean gives_up[FAKE_PHASES];
} Newcomer;

#define UNAVAILABLE SNMP_ERR_RESOURCEUNAVAILABLE
#define NOT_COMMIT  SNMP_ERR_COMMITFAILED
static const Newcomer newcomers[] = {
    {"session", -1, FALSE, {0, 0, 0}, {TRUE, TRUE, TRUE}},
    {"Action", MODE_SET_ACTION, FALSE, {NOT_COMMIT, -1, NOT_COMMIT}, {TRUE, FALSE, FALSE}},
    {"Commit", MODE_SET_COMMIT, FALSE, {0, 0, 0}, {TRUE, TRUE, FALSE}},
    {"Undo", MODE_SET_UNDO, FALSE, {0, 0, -1}, {TRUE, TRUE, FALSE}},
    {"Free", MODE_SET_FREE, FALSE, {0, 0, -1}, {TRUE, TRUE, FALSE}},
    {"Reserve1", MODE_SET_RESERVE1, FALSE, {0, 0, 0}, {FALSE, FALSE, TRUE}},
    {"Reserve2", MODE_SET_RESERVE2, FALSE, {-1, 0, UNAVAILABLE}, {FALSE, FALSE, TRUE}},
    {"other Reserve1", MODE_SET_RESERVE1, TRUE, {0, 0, 0}, {TRUE, TRUE, TRUE}},
    {"other Reserve2",
     MODE_SET_RESERVE2,
     TRUE,
     {UNAVAILABLE, UNAVAILABLE, UNAVAILABLE},
     {TRUE, TRUE, TRUE}},
    {"other Action",
     MODE_SET_ACTION,
     TRUE,
     {NOT_COMMIT, NOT_COMMIT, NOT_COMMIT},
     {FALSE, FALSE, FALSE}},
    {"other Commit", MODE_SET_COMMIT, TRUE, {0, 0, 0}, {FALSE, FALSE, FALSE}},
    {"other Undo", MODE_SET_UNDO, TRUE, {0, 0, 0}, {FALSE, FALSE, FALSE}},
    {"other Free", MODE_SET_FREE, TRUE, {0, 0, 0}, {FALSE, FALSE, FALSE}},
};

static void
check_newcomer(const Newcomer *newcomer, FakePhase phase)
{
    AgentSent *sent;

    pdu.transaction += newcomer->other;
    if (newcomer->mode < 0) {
        vadm_handler_session_stopped(bed.handler);
        return;
    }
    sent = agent_post(&bed, &pdu, newcomer->mode);
    pdu.transaction -= newcomer->other;
    ck_assert_msg(agent_is_pending(sent) == (newcomer->status[phase] < 0), "%s", newcomer->name);
    if (agent_is_pending(sent)) {
        vadm_handler_session_stopped(bed.handler);
        check_outcome(sent, give_up_status[phase]);
        return;
    }
    ck_assert_msg(agent_outcome(sent, NULL) == newcomer->status[phase], "%s", newcomer->name);
    agent_sent_free(sent);
}

START_TEST(test_newcomer)
{
    const Newcomer *newcomer = &newcomers[_i / FAKE_PHASES];
    FakePhase phase = (FakePhase)(_i % FAKE_PHASES);
    AgentSent *sent;

    defer_all();
    sent = bring_to(phase);
    check_newcomer(newcomer, phase);
    if (newcomer->status[phase] >= 0)
        ck_assert_msg(agent_is_pending(sent) == !newcomer->gives_up[phase], "%s", newcomer->name);
    vadm_handler_session_stopped(bed.handler);
    check_outcome(sent, give_up_status[phase]);
    check_taken_back(phase);
}
END_TEST

/* net-snmp has given the request up: nothing of it may be touched. */
START_TEST(test_forgotten)
{
    AgentSent *sent;

    defer_all();
    sent = bring_to((FakePhase)_i);
    agent_forget(sent);
    ck_assert(fake_source_complete(bed.fake));
    vadm_handler_session_stopped(bed.handler);
}
END_TEST

/* The source completes when there is no agent any more. */
START_TEST(test_after_the_end)
{
    FakePhase phase = (FakePhase)_i;
    AgentSent *sent;

    defer_all();
    sent = bring_to(phase);
    vadm_handler_free(g_steal_pointer(&bed.handler));
    check_outcome(sent, give_up_status[phase]);
    check_taken_back(phase);
}
END_TEST

/* Each status that is told is told once: the delegation of a request is freed by it. */
static void
count_answer(VadmStatus status, guint at, gpointer user)
{
    GArray *answers = user;

    ck_assert_uint_eq(at, 0);
    g_array_append_val(answers, status);
}

START_TEST(test_answered_once)
{
    static const guint32 name[] = {1, 4, 1, 3, 1};
    g_autoptr(VadmMib) mib = vadm_mib_new(&bed.fake->base, bed.settings, NULL, TRUE);
    g_autoptr(VadmSet) set = vadm_set_new(mib);
    g_autoptr(GArray) answers = g_array_new(FALSE, FALSE, sizeof(VadmStatus));
    VadmView *view = bed.fake->base.class->view_begin(&bed.fake->base);
    VadmSetItem item = {.oid = name, .oid_length = 5, .type = VADM_SNMP_UNSIGNED, .number = 6};
    VadmSetRequest request = {.phase = VADM_PHASE_RESERVE2,
                              .key = {1, 1},
                              .view = view,
                              .items = &item,
                              .n_items = 1,
                              .now = 1000};
    guint at = 99;

    defer_all();
    for (guint i = 0; i < 3; i++) {
        ck_assert_int_eq(vadm_set_phase(set, &request, &at), VADM_STATUS_PENDING);
        vadm_set_wait(set, count_answer, answers);
    }
    ck_assert_int_eq(vadm_set_expire(set, 1000), 1000 + VADM_SET_DEADLINE_US);
    ck_assert_int_eq(vadm_set_expire(set, 1000 + VADM_SET_DEADLINE_US), 0);
    ck_assert_uint_eq(answers->len, 3);
    ck_assert(fake_source_complete(bed.fake));
    vadm_set_settle(set, "the test says so");
    ck_assert_uint_eq(answers->len, 3);
    for (guint i = 0; i < answers->len; i++)
        ck_assert_int_eq(g_array_index(answers, VadmStatus, i), VADM_STATUS_RESOURCE_UNAVAILABLE);
    ck_assert_uint_eq(at, 99);
    bed.fake->base.class->view_end(view);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("agent-delegation");
    TCase *tests = tcase_create("delegation");

    tcase_add_checked_fixture(tests, set_up, agent_tear_down);
    tcase_add_test(tests, test_whole_set);
    tcase_add_test(tests, test_undo);
    tcase_add_test(tests, test_errors);
    tcase_add_test(tests, test_stale_lock_behind);
    tcase_add_loop_test(tests, test_repetition_shares, 0, 2 * FAKE_PHASES);
    tcase_add_loop_test(tests, test_deadline, 0, FAKE_PHASES);
    tcase_add_test(tests, test_token_until_completion);
    tcase_add_test(tests, test_late_undo_fails);
    tcase_add_test(tests, test_late_commit_fails);
    tcase_add_loop_test(tests, test_newcomer, 0, G_N_ELEMENTS(newcomers) * FAKE_PHASES);
    tcase_add_loop_test(tests, test_forgotten, 0, FAKE_PHASES);
    tcase_add_loop_test(tests, test_after_the_end, 0, FAKE_PHASES);
    tcase_add_test(tests, test_answered_once);
    suite_add_tcase(suite, tests);
    return vadm_unit_main(suite);
}
