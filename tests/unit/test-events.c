/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is told of clients, limits, the upstream and the configuration: when, in what order, and
 * with which rows. */
#include <unistd.h>

#include "daemon/txn.h"
#include "events-fixture.h"

/* The row of the event is the one that would be read at that moment. */
static void
expect_row(const VadmEvent *event)
{
    VadmServerRow row;

    get_row(&row);
    ck_assert_uint_eq(event->server.index, row.index);
    ck_assert_str_eq(event->server.name, row.name);
    ck_assert_uint_eq(event->server.workers_min, row.workers_min);
    ck_assert_uint_eq(event->server.workers_max, row.workers_max);
    ck_assert_uint_eq(event->server.workers_priority, row.workers_priority);
    ck_assert_uint_eq(event->server.workers_current, row.workers_current);
    ck_assert_uint_eq(event->server.job_queue_depth, row.job_queue_depth);
    ck_assert_uint_eq(event->server.clients_max, row.clients_max);
    ck_assert_uint_eq(event->server.clients_current, row.clients_current);
    ck_assert_uint_eq(event->server.clients_unauth_max, row.clients_unauth_max);
    ck_assert_uint_eq(event->server.clients_unauth_current, row.clients_unauth_current);
    ck_assert_uint_eq(event->server.clients_high_percent, row.clients_high_percent);
    ck_assert_int_eq(event->server.clients_state, row.clients_state);
    ck_assert_int_eq(event->server.clients_unauth_state, row.clients_unauth_state);
    ck_assert_uint_eq(event->server.clients_accepted, row.clients_accepted);
    ck_assert_uint_eq(event->server.clients_full_events, row.clients_full_events);
    ck_assert_uint_eq(event->server.auth_failures, row.auth_failures);
    ck_assert_uint_eq(event->server.client_requests_max, row.client_requests_max);
    ck_assert_uint_eq(event->server.jobs_done, row.jobs_done);
    ck_assert_int_eq(event->server.upstream_state, row.upstream_state);
    ck_assert_int_eq(event->server.workers_exhausted, row.workers_exhausted);
    ck_assert_str_eq(event->daemon.name, fix.config->name);
    ck_assert_str_eq(event->daemon.uri, vadm_daemon_get_uri(fix.daemon));
    ck_assert_int_eq(event->daemon.state, VADM_REACH_UP);
    ck_assert_uint_eq(event->config.generation, 0);
    ck_assert_int_gt(event->at, 0);
    ck_assert_int_le(event->at, g_get_monotonic_time());
}

static void
expect_client(const VadmEvent *event, guint64 id, VadmDisconnectReason reason)
{
    ck_assert_uint_eq(event->client.server, 2);
    ck_assert_uint_eq(event->client.id, id);
    ck_assert_uint_eq(event->client.index, id);
    ck_assert_int_eq(event->client.transport, VADM_TRANSPORT_UNIX);
    ck_assert_int_gt(event->client.connected_since, 0);
    ck_assert(event->client.identity->local);
    ck_assert_uint_eq(event->client.identity->pid, (guint32)getpid());
    ck_assert_int_eq(event->client.disconnect_reason, reason);
}

START_TEST(connected_then_full_then_gone_then_normal)
{
    Peer *one, *two;

    server_config()->limits.clients_max = 2;
    server_config()->limits.clients_high_percent = 0;
    events_start();
    one = connect_as(1);
    ck_assert_uint_eq(heard_count(), 1);
    ck_assert_int_eq(heard_at(0)->kind, VADM_EVENT_CLIENT_CONNECTED);
    expect_row(heard_at(0));
    expect_client(heard_at(0), 1, 0);
    ck_assert(heard_at(0)->client.authenticated);
    EXPECT_HEARD("connected");

    two = connect_as(2);
    ck_assert_uint_eq(heard_count(), 2);
    expect_row(heard_at(0)); /* it is of the same moment, so it is full there, too */
    expect_row(heard_at(1));
    ck_assert_uint_eq(heard_at(1)->server.clients_current, 2);
    ck_assert_uint_eq(heard_at(1)->client.index, 0);
    EXPECT_HEARD("connected full");

    peer_call(one, ECHO_NOW, 1, "x");
    peer_expect_reply(one, 1, "x");
    disconnect_to(one, 1);
    ck_assert_uint_eq(heard_count(), 2);
    expect_row(heard_at(0));
    expect_client(heard_at(0), 1, VADM_DISCONNECT_CLIENT);
    ck_assert_uint_eq(heard_at(0)->client.requests, 1);
    ck_assert_uint_eq(heard_at(0)->server.clients_current, 1);
    expect_row(heard_at(1));
    EXPECT_HEARD("gone normal");
    disconnect_to(two, 0);
    EXPECT_HEARD("gone");
    heard_end();
    disconnect_to(connect_as(1), 0);
    EXPECT_HEARD("");
}
END_TEST

/* 20: raised at 20, cleared at 18; 80 %: raised at 16, cleared at 14. */
START_TEST(each_edge_is_told_once)
{
    Peer *peers[20];

    server_config()->limits.clients_max = 20;
    server_config()->limits.clients_high_percent = 80;
    events_start();
    for (guint i = 0; i < 15; i++)
        peers[i] = connect_as(i + 1);
    heard_forget();
    peers[15] = connect_as(16);
    EXPECT_HEARD("connected high");
    disconnect_to(peers[15], 15);
    peers[15] = connect_as(16);
    EXPECT_HEARD("gone connected");
    for (guint i = 16; i < 20; i++)
        peers[i] = connect_as(i + 1);
    EXPECT_HEARD("connected connected connected connected full");
    for (guint i = 0; i < 3; i++) {
        disconnect_to(peers[19], 19);
        peers[19] = connect_as(20);
    }
    EXPECT_HEARD("gone connected gone connected gone connected");
    for (guint i = 19; i >= 18; i--)
        disconnect_to(peers[i], i);
    EXPECT_HEARD("gone gone high");
    for (guint i = 17; i >= 14; i--)
        disconnect_to(peers[i], i);
    EXPECT_HEARD("gone gone gone gone normal");
    for (guint i = 0; i < 14; i++)
        peer_free(peers[i]);
}
END_TEST

START_TEST(unauthenticated_have_a_limit_of_their_own)
{
    VadmListenConfig *listen = g_ptr_array_index(server_config()->listens, 0);
    g_autoptr(VadmClient) client = NULL;
    Peer *one, *two;

    listen->auth = VADM_AUTH_SASL;
    server_config()->limits.clients_unauth_max = 1;
    events_start();
    one = connect_as(1);
    ck_assert(!heard_at(0)->client.authenticated);
    ck_assert_uint_eq(heard_at(0)->server.clients_unauth_current, 1);
    EXPECT_HEARD("connected unauth-full");

    client = get_client(1);
    vadm_server_set_sasl_user(fix.server, client, "fred@example");
    expect_row(heard_at(0));
    EXPECT_HEARD("unauth-normal");
    vadm_server_set_sasl_user(fix.server, client, "fred@example");
    EXPECT_HEARD("");
    two = connect_as(2);
    EXPECT_HEARD("connected unauth-full");
    disconnect_to(two, 1);
    ck_assert(!heard_at(0)->client.authenticated);
    EXPECT_HEARD("gone unauth-normal");
    disconnect_to(one, 0);
    ck_assert(heard_at(0)->client.authenticated);
    EXPECT_HEARD("gone");
}
END_TEST

/* Of a server that lets nobody in, the state is read. */
START_TEST(nothing_is_told_of_the_beginning)
{
    VadmServerLimits limits = server_config()->limits;
    VadmServerRow row;

    server_config()->limits.clients_max = 0;
    events_start();
    get_row(&row);
    ck_assert_int_eq(row.clients_state, VADM_LIMIT_FULL);
    settle();
    EXPECT_HEARD("");
    set_limits(&limits);
    EXPECT_HEARD("normal");
    limits.clients_max = 0;
    set_limits(&limits);
    ck_assert_uint_eq(heard_at(0)->server.clients_max, 0);
    EXPECT_HEARD("full");
}
END_TEST

/* Why clients go */

static void
expect_reason(Peer *peer, VadmDisconnectReason reason)
{
    expect_clients(0);
    ck_assert_uint_eq(heard_count(), 1);
    ck_assert_int_eq(heard_at(0)->kind, VADM_EVENT_CLIENT_DISCONNECTED);
    ck_assert_int_eq(heard_at(0)->client.disconnect_reason, reason);
    ck_assert_uint_ne(heard_at(0)->client.index, 0);
    ck_assert_uint_eq(heard_at(0)->server.clients_current, 0);
    heard_forget();
    peer_free(peer);
}

static Peer *
connect_alone(void)
{
    Peer *peer = connect_as(1);

    heard_forget();
    return peer;
}

static void
disconnect_by_manager(void)
{
    VadmChange change = {.field = VADM_FIELD_CLIENT_ADMIN_STATUS,
                         .server = 2,
                         .value = {VADM_VALUE_UINT, VADM_CLIENT_DISCONNECT, NULL}};
    g_autoptr(VadmClient) client = vadm_server_find_client(fix.server, VADM_MATCH_GT, 0);
    VadmFault fault;

    change.client = vadm_client_get_index(client);
    ck_assert(vadm_daemon_change(fix.daemon, &change, 1, VADM_ORIGIN_SNMP, 0, &fault));
}

START_TEST(reasons)
{
    g_autoptr(VadmClient) client = NULL;
    Peer *peer;

    server_config()->keepalive_interval = 1;
    server_config()->keepalive_count = 1;
    events_start();
    peer = connect_alone();
    peer_call(peer, ECHO_CLOSE, 1, "");
    expect_reason(peer, VADM_DISCONNECT_CLIENT);

    peer = connect_alone();
    disconnect_by_manager();
    expect_reason(peer, VADM_DISCONNECT_ADMINISTRATOR);

    peer = connect_alone();
    peer_call(peer, ECHO_PING_ME, 1, "");
    expect_reason(peer, VADM_DISCONNECT_KEEPALIVE);

    peer = connect_alone();
    peer_write(peer, "GET / HTTP/1.0\r\n\r\n", 18);
    expect_reason(peer, VADM_DISCONNECT_PROTOCOL_ERROR);

    peer = connect_alone();
    client = get_client(5);
    vadm_client_close_flushed(client, VADM_DISCONNECT_AUTH_FAILURE);
    vadm_client_post_close(client, VADM_DISCONNECT_ADMINISTRATOR); /* the first one counts */
    expect_reason(peer, VADM_DISCONNECT_AUTH_FAILURE);

    peer = connect_alone();
    fixture_shutdown_begin();
    expect_reason(peer, VADM_DISCONNECT_SHUTDOWN);
    SPIN_UNTIL(fix.stopped);
}
END_TEST

/* Authentication */

START_TEST(who_may_not_enter_is_told_with_a_row)
{
    gint64 before = g_get_real_time();
    const VadmEvent *event;

    if (geteuid() != 0)
        return; /* only root can be somebody else */
    events_start();
    vadm_server_preset_id(fix.admin, G_MAXUINT32);
    connect_as_nobody();
    ck_assert_uint_eq(heard_count(), 1);
    event = heard_at(0);
    ck_assert_int_eq(event->kind, VADM_EVENT_AUTH_FAILURE);
    ck_assert_uint_eq(event->server.index, 1);
    ck_assert_uint_eq(event->server.auth_failures, 1);
    ck_assert_uint_eq(event->server.clients_current, 0);
    ck_assert_uint_eq(event->client.server, 1);
    ck_assert_uint_eq(event->client.id, G_MAXUINT32 + G_GUINT64_CONSTANT(1));
    ck_assert_uint_eq(event->client.index, 1);
    ck_assert_uint_eq(event->client.identity->uid, 65534);
    ck_assert_int_eq(event->client.transport, VADM_TRANSPORT_UNIX);
    ck_assert(!event->client.authenticated && !event->client.readonly);
    ck_assert_int_ge(event->client.connected_since, before);
    EXPECT_HEARD("auth");
}
END_TEST

START_TEST(who_fails_to_authenticate_is_told)
{
    VadmListenConfig *listen = g_ptr_array_index(server_config()->listens, 0);
    g_autoptr(VadmClient) client = NULL;
    Peer *peer;

    listen->auth = VADM_AUTH_SASL;
    events_start();
    peer = connect_alone();
    client = get_client(1);
    vadm_server_note_auth_failure(fix.server, client);
    expect_row(heard_at(0));
    ck_assert_uint_eq(heard_at(0)->server.auth_failures, 1);
    expect_client(heard_at(0), 1, 0);
    ck_assert(!heard_at(0)->client.authenticated);
    vadm_client_close_flushed(client, VADM_DISCONNECT_AUTH_FAILURE);
    expect_clients(0);
    EXPECT_HEARD("auth gone");
    peer_free(peer);
}
END_TEST

/* The upstream */

START_TEST(upstream_goes_and_returns)
{
    events_start();
    vadm_server_set_upstream_state(fix.server, VADM_UPSTREAM_UP);
    EXPECT_HEARD("");
    vadm_server_set_upstream_state(fix.server, VADM_UPSTREAM_UNREACHABLE);
    vadm_server_set_upstream_state(fix.server, VADM_UPSTREAM_UNREACHABLE);
    expect_row(heard_at(0));
    vadm_server_set_upstream_state(fix.server, VADM_UPSTREAM_UP);
    EXPECT_HEARD("upstream-3 upstream-2");
    vadm_server_set_upstream_state(fix.admin, VADM_UPSTREAM_UNREACHABLE);
    ck_assert_uint_eq(heard_at(0)->server.index, 1);
    EXPECT_HEARD("upstream-3");
}
END_TEST

/* The configuration */

static VadmDaemonTxn *
prepare(const VadmChange *changes, guint n)
{
    VadmFault fault;
    VadmDaemonTxn *txn =
        vadm_txn_prepare(fix.daemon, changes, n, VADM_ORIGIN_SNMP, PATIENCE, &fault);

    ck_assert_msg(txn != NULL, "%s", fault.error ? fault.error->message : "?");
    return txn;
}

START_TEST(an_undone_change_is_not_told_but_its_limits_are)
{
    const VadmChange change = change_to(VADM_FIELD_SERVER_CLIENTS_MAX, 1);
    VadmDaemonTxn *txn;
    Peer *peer;

    server_config()->limits.clients_max = 10;
    server_config()->limits.clients_unauth_max = 1;
    events_start();
    peer = connect_alone();
    txn = prepare(&change, 1);
    EXPECT_HEARD("");
    ck_assert(vadm_txn_commit(txn, NULL));
    expect_row(heard_at(0));
    ck_assert_uint_eq(heard_at(0)->server.clients_max, 1);
    EXPECT_HEARD("full");
    ck_assert(vadm_txn_undo(txn, NULL));
    expect_row(heard_at(0));
    EXPECT_HEARD("normal");
    vadm_txn_abort(txn);
    EXPECT_HEARD("");
    disconnect_to(peer, 0);
}
END_TEST

START_TEST(a_settled_change_is_told)
{
    VadmChange change = change_to(VADM_FIELD_SERVER_CLIENTS_HIGH_PERCENT, 50);
    VadmDaemonTxn *txn;
    gint64 before;

    events_start();
    before = g_get_real_time();
    txn = prepare(&change, 1);
    ck_assert(vadm_txn_commit(txn, NULL));
    EXPECT_HEARD("");
    vadm_txn_finish(txn);
    ck_assert_uint_eq(heard_at(0)->config.generation, 2);
    ck_assert_int_ge(heard_at(0)->config.last_change, before);
    ck_assert_int_le(heard_at(0)->config.last_change, g_get_real_time());
    ck_assert_int_eq(heard_at(0)->config.last_origin, VADM_ORIGIN_SNMP);
    ck_assert_uint_eq(heard_at(0)->server.index, 0);
    ck_assert_str_eq(heard_at(0)->daemon.name, fix.config->name);
    EXPECT_HEARD("config");

    txn = prepare(&change, 1); /* the same once more: no change */
    ck_assert(vadm_txn_commit(txn, NULL));
    vadm_txn_finish(txn);
    EXPECT_HEARD("");
    change.value.number = 60;
    vadm_txn_abort(prepare(&change, 1));
    EXPECT_HEARD("");
}
END_TEST

static void
commit_and_finish(const VadmChange *changes, guint n)
{
    VadmDaemonTxn *txn = prepare(changes, n);

    ck_assert(vadm_txn_commit(txn, NULL));
    vadm_txn_finish(txn);
}

/* And its rollback is. */
START_TEST(a_confirmation_is_not_told)
{
    const VadmChange changes[] = {change_to(VADM_FIELD_SERVER_CLIENTS_HIGH_PERCENT, 50),
                                  {.field = VADM_FIELD_CONFIG_CONFIRM_TIMEOUT, .value.number = 1}};
    const VadmChange confirm = {.field = VADM_FIELD_CONFIG_CONFIRM_TIMEOUT};
    const VadmChange other[] = {change_to(VADM_FIELD_SERVER_CLIENTS_HIGH_PERCENT, 51), changes[1]};

    events_start();
    commit_and_finish(changes, 2);
    EXPECT_HEARD("config");
    commit_and_finish(&confirm, 1);
    EXPECT_HEARD("");
    commit_and_finish(other, 2);
    ck_assert_uint_eq(heard_at(0)->config.generation, 3);
    EXPECT_HEARD("config");
    SPIN_UNTIL(heard_count() > 0);
    ck_assert_uint_eq(heard_at(0)->config.generation, 4);
    ck_assert_int_eq(heard_at(0)->config.last_origin, VADM_ORIGIN_ROLLBACK);
    EXPECT_HEARD("config");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("events");
    TCase *tcase = tcase_create("events");

    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, events_setup, events_teardown);
    tcase_add_test(tcase, connected_then_full_then_gone_then_normal);
    tcase_add_test(tcase, each_edge_is_told_once);
    tcase_add_test(tcase, unauthenticated_have_a_limit_of_their_own);
    tcase_add_test(tcase, nothing_is_told_of_the_beginning);
    tcase_add_test(tcase, reasons);
    tcase_add_test(tcase, who_may_not_enter_is_told_with_a_row);
    tcase_add_test(tcase, who_fails_to_authenticate_is_told);
    tcase_add_test(tcase, upstream_goes_and_returns);
    tcase_add_test(tcase, an_undone_change_is_not_told_but_its_limits_are);
    tcase_add_test(tcase, a_settled_change_is_told);
    tcase_add_test(tcase, a_confirmation_is_not_told);
    suite_add_tcase(suite, tcase);
    return vadm_unit_main(suite);
}
