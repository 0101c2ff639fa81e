/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SET: every order of phases, of one and of two transactions, with sessions that end and a source
 * that completes at once, later, or not in time. */
#include <string.h>

#include "agent-fixture.h"
#include "agent/set.h"

/* Instrumented programs are several times slower. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ORDERS_MAX 4
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ORDERS_MAX 4
#endif
#endif
#ifndef ORDERS_MAX
#define ORDERS_MAX 5
#endif

/* ---- every order ---- */

/* What can happen next: a phase of the first transaction, one of the second, and events. */
enum { MODES = 6, SESSION_ENDS = 2 * MODES, COMPLETION, DEADLINE, LETTERS };

static const int modes[MODES] = {MODE_SET_RESERVE1, MODE_SET_RESERVE2, MODE_SET_ACTION,
                                 MODE_SET_COMMIT,   MODE_SET_UNDO,     MODE_SET_FREE};
static const char *const letter_names[LETTERS] = {
    "a.Reserve1", "a.Reserve2", "a.Action",     "a.Commit",   "a.Undo",
    "a.Free",     "b.Reserve1", "b.Reserve2",   "b.Action",   "b.Commit",
    "b.Undo",     "b.Free",     "session-ends", "completion", "deadline"};

typedef struct {
    guint letters; /* how many of them */
    gboolean defer[FAKE_PHASES];
    int fail_prepare, fail_commit;
} Orders;

/* COMPLETION letters where the source completes at once: without what cannot happen then. */
static const Orders orders[] = {
    {COMPLETION, {FALSE, FALSE, FALSE}, 0, 0},
    {LETTERS, {TRUE, TRUE, TRUE}, 0, 0},
    {LETTERS, {TRUE, FALSE, FALSE}, 0, 0},
    {LETTERS, {FALSE, TRUE, FALSE}, 0, 0},
    {LETTERS, {FALSE, FALSE, TRUE}, 0, 0},
    {LETTERS, {TRUE, TRUE, FALSE}, 0, 0},
    {LETTERS, {FALSE, TRUE, TRUE}, 0, 0},
    {LETTERS, {TRUE, FALSE, TRUE}, 0, 0},
    {LETTERS, {TRUE, TRUE, TRUE}, VADM_ERROR_BUSY, 0},
    {LETTERS, {TRUE, TRUE, TRUE}, 0, VADM_ERROR_SYSTEM},
    {COMPLETION, {FALSE, FALSE, FALSE}, 0, VADM_ERROR_SYSTEM},
};

/* In force before, after the first, after the second transaction: in the source, in the agent. */
enum { BEFORE, AFTER_A, AFTER_B, LEGAL };
static const struct {
    guint32 workers_min, interval;
} legal[LEGAL] = {{5, 5}, {6, 77}, {7, 78}};

typedef struct {
    AgentBed bed;
    AgentPdu pdus[2];
    AgentSent *sent[ORDERS_MAX];
    guint letters[ORDERS_MAX];
    guint n;
} Order;

static char *
order_describe(const Order *order)
{
    GString *out = g_string_new(NULL);

    for (guint i = 0; i < order->n; i++)
        g_string_append_printf(out, " %s", letter_names[order->letters[i]]);
    return g_string_free(out, FALSE);
}

/* ck_assert() tells its parent process of each call. */
#define ORDER_CHECK(order, what)                                                                   \
    do {                                                                                           \
        if (!(what))                                                                               \
            ck_abort_msg("%s is not so after%s", #what, order_describe(order));                    \
    } while (0)

static void
order_take_step(Order *order, guint step)
{
    guint letter = order->letters[step];

    if (letter < SESSION_ENDS)
        order->sent[step] =
            agent_post(&order->bed, &order->pdus[letter / MODES], modes[letter % MODES]);
    else if (letter == SESSION_ENDS)
        vadm_handler_session_started(order->bed.handler);
    else if (letter == COMPLETION)
        fake_source_complete(order->bed.fake);
    else
        vadm_handler_expire(order->bed.handler, g_get_monotonic_time() + VADM_SET_DEADLINE_US + 1);
}

/* Whether an Action of the transaction was told to have succeeded. */
static gboolean
order_has_committed(const Order *order, guint transaction)
{
    for (guint i = 0; i < order->n; i++) {
        if (order->letters[i] == transaction * MODES + 2 &&
            agent_outcome(order->sent[i], NULL) == 0)
            return TRUE;
    }
    return FALSE;
}

static void
order_check(const Order *order)
{
    const FakeSource *fake = order->bed.fake;
    guint32 minimum = fake_source_workers_min(order->bed.fake, 1);
    guint32 interval = vadm_settings_get(order->bed.settings).notify_min_interval;
    guint now = minimum - legal[BEFORE].workers_min;

    for (guint i = 0; i < order->n; i++)
        ORDER_CHECK(order, !order->sent[i] || !agent_is_pending(order->sent[i]));
    ORDER_CHECK(order, fake->open == 0);
    ORDER_CHECK(order, fake->in_force == 0);
    ORDER_CHECK(order, fake->committed == fake->finished + fake->undone);
    ORDER_CHECK(order, now < LEGAL);
    ORDER_CHECK(order, interval == legal[now].interval);
    ORDER_CHECK(order, (now == BEFORE) == (fake->finished == 0));
    ORDER_CHECK(order, now == BEFORE || order_has_committed(order, now - AFTER_A));
}

/* To the configuration from before; what was counted does not count for the next order. */
static void
order_reset(Order *order)
{
    VadmChange change = {.field = VADM_FIELD_NOTIFY_MIN_INTERVAL,
                         .value.number = legal[BEFORE].interval};
    VadmSettingsTxn txn = {0};
    VadmFault fault = {0};
    FakeSource *fake = order->bed.fake;

    for (guint i = 0; i < order->n; i++) {
        if (order->sent[i])
            agent_sent_free(order->sent[i]);
        order->sent[i] = NULL;
    }
    g_array_index(fake->servers, VadmServerRow, 0).workers_min = legal[BEFORE].workers_min;
    fake->committed = fake->finished = fake->undone = 0;
    if (vadm_settings_prepare(order->bed.settings, &change, 1, &txn, &fault))
        vadm_settings_commit(order->bed.settings, &txn);
    vadm_handler_session_started(order->bed.handler);
}

static void
order_run(Order *order)
{
    for (guint i = 0; i < order->n; i++)
        order_take_step(order, i);
    vadm_handler_session_stopped(order->bed.handler);
    while (fake_source_complete(order->bed.fake))
        ;
    order_check(order);
    order_reset(order);
}

/* The next order of the same length; the first letter is a phase of the first transaction: the
 * two are alike, and an event at the beginning changes nothing. FALSE: that was the last. */
static gboolean
order_step(Order *order, guint letters)
{
    for (guint i = order->n; i-- > 0;) {
        if (++order->letters[i] < (i == 0 ? MODES : letters))
            return TRUE;
        order->letters[i] = 0;
    }
    return FALSE;
}

static void
order_init(Order *order, const Orders *what)
{
    memset(order, 0, sizeof(*order));
    agent_bed_init(&order->bed, TRUE);
    memcpy(order->bed.fake->defer, what->defer, sizeof(what->defer));
    order->bed.fake->fail_prepare = what->fail_prepare;
    order->bed.fake->fail_commit = what->fail_commit;
    for (guint i = 0; i < 2; i++) {
        order->pdus[i].transaction = 3 + (long)i;
        agent_add_long(&order->pdus[i], "1.4.1.3.1", ASN_UNSIGNED, legal[AFTER_A + i].workers_min);
        agent_add_long(&order->pdus[i], "1.7.2.0", ASN_UNSIGNED, legal[AFTER_A + i].interval);
    }
}

/* The fake source aborts the program on a wrong call. */
START_TEST(test_orders)
{
    const Orders *what = &orders[_i];
    Order order;

    order_init(&order, what);
    for (order.n = 1; order.n <= ORDERS_MAX; order.n++) {
        do
            order_run(&order);
        while (order_step(&order, what->letters));
    }
    agent_pdu_clear(&order.pdus[0]);
    agent_pdu_clear(&order.pdus[1]);
    agent_bed_clear(&order.bed);
}
END_TEST

START_TEST(test_repeated_reserve)
{
    agent_add_long(&pdu, "1.4.1.3.1", ASN_UNSIGNED, 6);
    ck_assert_int_eq(agent_test_set(&bed, &pdu, NULL), 0);
    ck_assert_int_eq(agent_test_set(&bed, &pdu, NULL), 0);
    ck_assert_int_eq(agent_test_set(&bed, &pdu, NULL), 0);
    ck_assert_uint_eq(bed.fake->prepared, 1);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_FREE, NULL), 0);
    ck_assert_uint_eq(bed.fake->aborted, 1);
}
END_TEST

START_TEST(test_orphans)
{
    agent_add_long(&pdu, "1.4.1.3.1", ASN_UNSIGNED, 6);
    /* prepared, then another transaction */
    ck_assert_int_eq(agent_test_set(&bed, &pdu, NULL), 0);
    pdu.transaction = 8;
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_RESERVE1, NULL), 0);
    ck_assert_uint_eq(bed.fake->aborted, 1);
    /* committed, then another transaction: it stays */
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_RESERVE2, NULL), 0);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_ACTION, NULL), 0);
    pdu.transaction = 9;
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_RESERVE1, NULL), 0);
    ck_assert_uint_eq(bed.fake->finished, 1);
    /* phases of what is settled do nothing */
    pdu.transaction = 8;
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_UNDO, NULL), 0);
    ck_assert_uint_eq(bed.fake->undone, 0);
    /* the session ends: the same transaction id of the next one is another transaction */
    pdu.transaction = 9;
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_RESERVE2, NULL), 0);
    vadm_handler_session_stopped(bed.handler);
    vadm_handler_session_started(bed.handler);
    ck_assert_uint_eq(bed.fake->aborted, 2);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_ACTION, NULL), SNMP_ERR_COMMITFAILED);
}
END_TEST

START_TEST(test_orphan_timer)
{
    gint64 now = g_get_monotonic_time();

    agent_add_long(&pdu, "1.4.1.3.1", ASN_UNSIGNED, 6);
    ck_assert_int_eq(agent_test_set(&bed, &pdu, NULL), 0);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_ACTION, NULL), 0);
    ck_assert(vadm_handler_expire(bed.handler, now + VADM_SET_ORPHAN_US / 2));
    ck_assert_uint_eq(bed.fake->finished, 0);
    ck_assert(!vadm_handler_expire(bed.handler, now + 2 * VADM_SET_ORPHAN_US));
    ck_assert_uint_eq(bed.fake->finished, 1);
}
END_TEST

/* After the end of a session net-snmp may still bring what it has queued. */
START_TEST(test_between_sessions)
{
    agent_add_long(&pdu, "1.4.1.3.1", ASN_UNSIGNED, 6);
    vadm_handler_session_stopped(bed.handler);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_RESERVE1, NULL), SNMP_ERR_RESOURCEUNAVAILABLE);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_RESERVE2, NULL), SNMP_ERR_RESOURCEUNAVAILABLE);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_ACTION, NULL), SNMP_ERR_COMMITFAILED);
    ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_FREE, NULL), 0);
    ck_assert_uint_eq(bed.fake->prepared, 0);
    vadm_handler_session_started(bed.handler);
    ck_assert_int_eq(agent_test_set(&bed, &pdu, NULL), 0);
}
END_TEST

/* A late phase of a dead session: its number means another transaction, or none, now. */
START_TEST(test_dead_session)
{
    gboolean committed = _i % 2;
    int late = modes[2 + _i / 2];

    agent_add_long(&pdu, "1.4.1.3.1", ASN_UNSIGNED, 6);
    ck_assert_int_eq(agent_test_set(&bed, &pdu, NULL), 0);
    if (committed)
        ck_assert_int_eq(agent_send(&bed, &pdu, MODE_SET_ACTION, NULL), 0);
    vadm_handler_session_stopped(bed.handler);
    vadm_handler_session_started(bed.handler);
    ck_assert_uint_eq(bed.fake->open, 0);
    ck_assert_int_eq(agent_send(&bed, &pdu, late, NULL),
                     late == MODE_SET_ACTION ? SNMP_ERR_COMMITFAILED : 0);
    ck_assert_uint_eq(fake_source_workers_min(bed.fake, 1), committed ? 6 : 5);
    ck_assert_uint_eq(bed.fake->undone, 0);
    ck_assert_uint_eq(bed.fake->finished, committed ? 1 : 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("agent-phases");
    TCase *every = tcase_create("orders");
    TCase *tests = tcase_create("phases");

    tcase_set_timeout(every, 120);
    tcase_add_loop_test(every, test_orders, 0, G_N_ELEMENTS(orders));
    suite_add_tcase(suite, every);
    tcase_add_checked_fixture(tests, agent_set_up, agent_tear_down);
    tcase_add_test(tests, test_repeated_reserve);
    tcase_add_test(tests, test_orphans);
    tcase_add_test(tests, test_orphan_timer);
    tcase_add_test(tests, test_between_sessions);
    tcase_add_loop_test(tests, test_dead_session, 0, 8);
    suite_add_tcase(suite, tests);
    return vadm_unit_main(suite);
}
