/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How calls get their places in the pool: at once, or behind others. Eight ordinary workers, two
 * for priority calls (relay_new()). */
#include "relay-fixture.h"

enum { ORDINARY = 8, PRIORITY = 2, PROC_CAPABILITIES = 7 };

static void
wait_workers(Relay *relay)
{
    WAIT_FOR(relay_pool_stats(relay).free == ORDINARY);
}

/* Neither workers nor the mailbox, by which they hand a call over, have a part in it. */
START_TEST(test_goes_without_a_worker)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);

    wait_workers(relay);
    vadm_mailbox_close(relay->mailbox);
    client_call(client, PROC_CAPABILITIES, 1, NULL, 0);
    ck_assert_uint_eq(relay_pool_stats(relay).free, ORDINARY - 1);
    peer_reply(upstream_wait_calls(relay->upstream, 1), 0, VADM_RPC_OK, NULL, 0);
    ck_assert_uint_eq(client_at(client, 0)->header.status, VADM_RPC_OK);
    ck_assert_uint_eq(relay_pool_stats(relay).free, ORDINARY);
    ck_assert_uint_eq(relay_pool_stats(relay).done, 1);
    client_call(client, PROC_CAPABILITIES, 2, NULL, 0);
    peer_reply(upstream_wait_calls(relay->upstream, 1), 0, VADM_RPC_ERROR, NULL, 0);
    client_at(client, 1);
    ck_assert_uint_eq(relay_pool_stats(relay).done, 2);
    ck_assert_uint_eq(relay_pool_stats(relay).failed, 1);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* What no worker is free for waits in the pool, not upstream, and goes in its turn. */
START_TEST(test_waits_for_a_place)
{
    static const guint order[] = {0, 1, 2, 3, 4, 5, 6, 7, 20, 8, 9};
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    Peer *peer;

    wait_workers(relay);
    for (guint i = 0; i < ORDINARY + 2; i++)
        client_call(client, PROC_CAPABILITIES, i, NULL, 0);
    ck_assert_uint_eq(relay_pool_stats(relay).free, 0);
    ck_assert_uint_eq(relay_pool_stats(relay).queue_depth, 2);
    upstream_wait_calls(relay->upstream, ORDINARY);
    /* priority calls have workers that ordinary ones do not get */
    client_call(client, PROC_VERSION, 20, NULL, 0);
    peer = upstream_wait_calls(relay->upstream, ORDINARY + 1);
    ck_assert_uint_eq(relay_pool_stats(relay).queue_depth, 2);
    for (guint i = 0; i < 2; i++) {
        peer_reply(peer, 0, VADM_RPC_OK, NULL, 0);
        upstream_wait_calls(relay->upstream, ORDINARY + 1); /* the next one has come */
        ck_assert_uint_eq(relay_pool_stats(relay).queue_depth, 1 - i);
        ck_assert_uint_eq(relay_pool_stats(relay).free, 0);
    }
    while (peer->calls->len > 0)
        peer_reply(peer, 0, VADM_RPC_OK, NULL, 0);
    for (guint i = 0; i < G_N_ELEMENTS(order); i++)
        ck_assert_uint_eq(client_at(client, i)->header.serial, order[i]);
    WAIT_FOR(relay_pool_stats(relay).done == ORDINARY + 3);
    wait_workers(relay);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

START_TEST(test_place_ends_with_the_client)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    Peer *peer;

    wait_workers(relay);
    for (guint i = 0; i < 3; i++)
        client_call(client, PROC_CAPABILITIES, i, NULL, 0);
    peer = upstream_wait_calls(relay->upstream, 3);
    ck_assert_uint_eq(relay_pool_stats(relay).free, ORDINARY - 3);
    client_disconnect(client);
    ck_assert_uint_eq(relay_pool_stats(relay).free, ORDINARY);
    ck_assert_uint_eq(relay_pool_stats(relay).failed, 3);
    WAIT_FOR(peer->ended);
    relay_free(relay);
}
END_TEST

/* Nor do calls that wait for the upstream's answer to the identity keep theirs when the client does
 * not read. */
START_TEST(test_place_of_what_is_held)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);

    relay->upstream->keep_identity = TRUE;
    client_open(client, 1);
    wait_workers(relay);
    for (guint i = 0; i < 3; i++)
        client_call(client, PROC_CAPABILITIES, i, NULL, 0);
    ck_assert_uint_eq(relay_pool_stats(relay).free, ORDINARY - 3);
    client_set_queued(client, VADM_CONN_HIGH_WATER + 1);
    peer_send(upstream_peer(relay->upstream, 0), VADM_RPC_EVENT, 1, 0, 0, NULL, 0);
    wait_workers(relay);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

static void
never_called(gpointer owner G_GNUC_UNUSED)
{
    ck_abort();
}

/* Workers may be busy for hours: what its calls hold is not kept until one is free. */
START_TEST(test_what_waits_ends_with_the_client)
{
    static const VadmBudgetHandlers handlers = {never_called, never_called};
    VadmBudget *budget = vadm_budget_new(1000, G_USEC_PER_SEC, NULL);
    Relay *relay = relay_new(TRUE);
    VadmClient *busy = client_new(relay, FALSE);
    VadmClient *client = client_new(relay, FALSE);
    VadmMessage *message;
    VadmPoolStats stats;
    Peer *peer;

    wait_workers(relay);
    for (guint i = 0; i < ORDINARY; i++)
        client_call(busy, PROC_CAPABILITIES, i, NULL, 0);
    peer = upstream_wait_calls(relay->upstream, ORDINARY);
    client_call(busy, PROC_CAPABILITIES, ORDINARY, NULL, 0);
    for (guint i = 0; i < 2; i++) {
        message =
            raw_message(VADM_RPC_PROGRAM_REMOTE, VADM_RPC_CALL, PROC_CAPABILITIES, i, 0, NULL, 0);
        message->claim = vadm_budget_claim(budget, 400, &handlers, budget);
        client_send_message(client, message);
    }
    ck_assert_uint_eq(relay_pool_stats(relay).queue_depth, 3);
    client_disconnect(client);
    ck_assert_uint_eq(vadm_budget_left(budget), 1000);
    ck_assert_uint_eq(relay_pool_stats(relay).queue_depth, 1);
    for (guint i = 0; i < ORDINARY; i++)
        peer_reply(peer, 0, VADM_RPC_OK, NULL, 0);
    peer_reply(upstream_wait_calls(relay->upstream, 1), 0, VADM_RPC_OK, NULL, 0);
    client_at(busy, ORDINARY);
    wait_workers(relay);
    stats = relay_pool_stats(relay);
    ck_assert_uint_eq(stats.done, ORDINARY + 1);
    ck_assert_uint_eq(stats.failed, 0);
    ck_assert_uint_eq(stats.queue_depth, 0);
    client_disconnect(busy);
    relay_free(relay);
    vadm_budget_unref(budget);
}
END_TEST

/* Answered without the upstream: there is none, or nothing to close. */
START_TEST(test_place_of_a_call_that_stays_here)
{
    Relay *relay = relay_new(FALSE);
    VadmClient *client = client_new(relay, FALSE);

    wait_workers(relay);
    client_call(client, PROC_CAPABILITIES, 1, NULL, 0);
    assert_error(client_at(client, 0), 1, VADM_VIR_ERR_SYSTEM_ERROR, "Failed to connect");
    ck_assert_uint_eq(relay_pool_stats(relay).failed, 1);
    client_call(client, VADM_REMOTE_PROC_CONNECT_CLOSE, 2, NULL, 0);
    ck_assert_uint_eq(client_at(client, 1)->header.status, VADM_RPC_OK);
    ck_assert_uint_eq(relay_pool_stats(relay).done, 2);
    ck_assert_uint_eq(relay_pool_stats(relay).failed, 1);
    ck_assert_uint_eq(relay_pool_stats(relay).free, ORDINARY);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

/* Calls that came when the pool stops are answered; then it ends. */
START_TEST(test_stopping)
{
    Relay *relay = relay_new(TRUE);
    VadmClient *client = client_new(relay, FALSE);
    Peer *peer;

    wait_workers(relay);
    client_call(client, PROC_CAPABILITIES, 1, NULL, 0);
    peer = upstream_wait_calls(relay->upstream, 1);
    ck_assert(!vadm_pool_stop(relay->pool, 1000));
    client_call(client, PROC_CAPABILITIES, 2, NULL, 0);
    peer_reply(peer, 0, VADM_RPC_OK, NULL, 0);
    ck_assert_uint_eq(client_at(client, 0)->header.serial, 1);
    ck_assert(vadm_pool_stop(relay->pool, 10 * G_USEC_PER_SEC));
    ck_assert_uint_eq(peer->calls->len, 0);
    client_disconnect(client);
    relay_free(relay);
}
END_TEST

void
test_dispatch_add(Suite *suite)
{
    TCase *tc = tcase_create("dispatch");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_goes_without_a_worker);
    tcase_add_test(tc, test_waits_for_a_place);
    tcase_add_test(tc, test_place_ends_with_the_client);
    tcase_add_test(tc, test_place_of_what_is_held);
    tcase_add_test(tc, test_what_waits_ends_with_the_client);
    tcase_add_test(tc, test_place_of_a_call_that_stays_here);
    tcase_add_test(tc, test_stopping);
    suite_add_tcase(suite, tc);
}
