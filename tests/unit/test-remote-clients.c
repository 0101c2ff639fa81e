/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the remote source shows of the clients of a daemon, and how it asks who they are. */
#include <string.h>

#include "agent/remote-identity.h"
#include "remote-case.h"

#define INTERVAL 10000 /* ms: longer than any test; refreshes are made by bed_refresh() */

START_TEST(test_local_client)
{
    FakeClient *client = fake_add_client(bed->fake, "libvirtd", 12);
    VadmClientRow row;
    g_autofree char *peer = NULL;

    client->readonly = TRUE;
    client->selinux = "system_u:system_r:virtd_t:s0";
    client->gid = -1;
    bed_start_ready(bed, INTERVAL);
    ck_assert(bed_client(bed, 2, 12, &row));
    ck_assert_uint_eq(row.server, 2);
    ck_assert_uint_eq(row.index, 12);
    ck_assert_uint_eq(row.id, 12);
    ck_assert_int_eq(row.transport, VADM_TRANSPORT_UNIX);
    ck_assert_int_eq(row.connected_since, client->since * G_USEC_PER_SEC);
    ck_assert(row.age >= 60 && row.age < 70);
    ck_assert(row.readonly);
    ck_assert_uint_eq(row.identity->uid, 1000);
    ck_assert_uint_eq(row.identity->gid, G_MAXUINT32);
    ck_assert_uint_eq(row.identity->pid, 4012);
    ck_assert_str_eq(row.identity->user_name, "user");
    ck_assert_str_eq(row.identity->group_name, "group");
    ck_assert_str_eq(row.identity->selinux_context, client->selinux);
    ck_assert_str_eq(row.identity->sasl_user_name, "");
    ck_assert_uint_eq(row.identity->address.type, 0);
    peer = vadm_identity_peer(row.identity, row.transport);
    ck_assert_str_eq(peer, "unix:pid=4012,uid=1000");
}
END_TEST

START_TEST(test_remote_client)
{
    FakeClient *client = fake_add_client(bed->fake, "libvirtd", 3);
    static const guint8 octets[] = {192, 0, 2, 7};
    VadmClientRow row;
    g_autofree char *peer = NULL;

    client->transport = 2;
    client->user = NULL;
    client->address = "192.0.2.7:52110";
    client->sasl = "alice@EXAMPLE.ORG";
    client->dn = "C=FR,CN=\xc3\xa9lise";
    client->since = 0;
    bed_start_ready(bed, INTERVAL);
    ck_assert(bed_client(bed, 2, 3, &row));
    ck_assert_int_eq(row.transport, VADM_TRANSPORT_TLS);
    ck_assert_int_eq(row.connected_since, 0);
    ck_assert_uint_eq(row.identity->address.type, 1);
    ck_assert_uint_eq(row.identity->address.length, 4);
    ck_assert_mem_eq(row.identity->address.octets, octets, 4);
    ck_assert_uint_eq(row.identity->address.port, 52110);
    ck_assert_str_eq(row.identity->sasl_user_name, client->sasl);
    ck_assert_str_eq(row.identity->x509_dn, client->dn);
    ck_assert_uint_eq(row.identity->uid, G_MAXUINT32);
    ck_assert_uint_eq(row.identity->pid, 0);
    peer = vadm_identity_peer(row.identity, row.transport);
    ck_assert_str_eq(peer, "192.0.2.7:52110");
}
END_TEST

START_TEST(test_bad_texts)
{
    FakeClient *client = fake_add_client(bed->fake, "libvirtd", 3);
    VadmClientRow row;
    g_autofree char *peer = NULL;

    client->transport = 77;
    client->since = G_MAXINT64;
    client->address = "\x1b[2J";
    client->sasl = "\xff";
    client->dn = "CN=a\nb";
    client->user = "a\x7f";
    bed_start_ready(bed, INTERVAL);
    ck_assert(bed_client(bed, 2, 3, &row));
    ck_assert_int_eq(row.transport, 0);
    ck_assert_int_eq(row.connected_since, 0);
    ck_assert_ptr_null(row.identity->sasl_user_name);
    ck_assert_ptr_null(row.identity->x509_dn);
    ck_assert_ptr_null(row.identity->user_name);
    ck_assert_str_eq(row.identity->group_name, "group");
    ck_assert_uint_eq(row.identity->address.type, 0);
    peer = vadm_identity_peer(row.identity, row.transport);
    ck_assert_str_eq(peer, "unknown");
}
END_TEST

/* lvaClientIndex: the low 32 bits of the id, or the next that is free; for life. */
START_TEST(test_client_indexes)
{
    const guint64 high = (guint64)1 << 32;
    VadmClientRow row;

    fake_add_client(bed->fake, "libvirtd", 7);
    bed_start_ready(bed, INTERVAL);
    fake_add_client(bed->fake, "libvirtd", high + 7);
    fake_add_client(bed->fake, "libvirtd", high);
    fake_add_client(bed->fake, "libvirtd", 2 * high - 1);
    fake_add_client(bed->fake, "libvirtd", 3 * high - 1);
    bed_refresh(bed);
    ck_assert_uint_eq(bed_count_clients(bed, 2), 5);
    ck_assert(bed_client(bed, 2, 7, &row) && row.id == 7);
    ck_assert(bed_client(bed, 2, 8, &row) && row.id == high + 7);
    ck_assert(bed_client(bed, 2, 1, &row) && row.id == high);
    ck_assert(bed_client(bed, 2, G_MAXUINT32, &row) && row.id == 2 * high - 1);
    ck_assert(bed_client(bed, 2, 2, &row) && row.id == 3 * high - 1);
    fake_remove_client(bed->fake, "libvirtd", 7);
    bed_refresh(bed);
    ck_assert(!bed_client(bed, 2, 7, &row));
    ck_assert(bed_client(bed, 2, 8, &row) && row.id == high + 7);
    fake_add_client(bed->fake, "libvirtd", 2 * high + 7);
    bed_refresh(bed);
    ck_assert(bed_client(bed, 2, 7, &row) && row.id == 2 * high + 7);
}
END_TEST

START_TEST(test_many_clients_want_one_index)
{
    const guint64 high = (guint64)1 << 32;
    VadmClientRow row;

    fake_add_client(bed->fake, "libvirtd", 5);
    bed_start_ready(bed, INTERVAL);
    for (guint n = 1; n <= 300; n++)
        fake_add_client(bed->fake, "libvirtd", n * high);
    fake_add_client(bed->fake, "libvirtd", 3);
    fake_add_client(bed->fake, "libvirtd", high - 1);
    fake_add_client(bed->fake, "libvirtd", 2 * high - 1);
    bed_refresh(bed);
    ck_assert_uint_eq(bed_count_clients(bed, 2), 304);
    for (guint n = 1; n <= 300; n++) { /* from 1 on, but for that of 5 */
        ck_assert(bed_client(bed, 2, n < 5 ? n : n + 1, &row));
        ck_assert_uint_eq(row.id, n * high);
    }
    ck_assert(bed_client(bed, 2, 5, &row) && row.id == 5);
    ck_assert(bed_client(bed, 2, 302, &row) && row.id == 3);
    ck_assert(bed_client(bed, 2, G_MAXUINT32, &row) && row.id == high - 1);
    ck_assert(bed_client(bed, 2, 303, &row) && row.id == 2 * high - 1);
}
END_TEST

START_TEST(test_client_listed_twice)
{
    fake_add_client(bed->fake, "libvirtd", 7);
    fake_add_client(bed->fake, "libvirtd", 7);
    bed_start_ready(bed, INTERVAL);
    ck_assert_uint_eq(bed_count_clients(bed, 2), 1);
    bed_refresh(bed);
    ck_assert_uint_eq(bed_count_clients(bed, 2), 1);
    ck_assert_uint_eq(bed->events->len, 0);
}
END_TEST

START_TEST(test_walk_over_servers)
{
    const VadmClientRow *row;
    const VadmSourceClass *class;
    VadmView *view;

    fake_add_client(bed->fake, "libvirtd", 5);
    fake_add_server(bed->fake, "between");
    fake_add_server(bed->fake, "last");
    fake_add_client(bed->fake, "last", 2);
    fake_add_client(bed->fake, "last", 9);
    bed_start_ready(bed, INTERVAL);
    class = bed->base->class;
    view = class->view_begin(bed->base);
    row = class->client(view, VADM_MATCH_GT, 0, 0);
    ck_assert(row->server == 1 && row->index == 1);
    row = class->client(view, VADM_MATCH_GT, 1, 1);
    ck_assert(row->server == 2 && row->index == 5);
    row = class->client(view, VADM_MATCH_GT, 2, 5);
    ck_assert(row->server == 4 && row->index == 2);
    ck_assert_ptr_eq(row, class->client(view, VADM_MATCH_EQ, 4, 2));
    row = class->client(view, VADM_MATCH_GT, 4, 2);
    ck_assert(row->server == 4 && row->index == 9);
    ck_assert_ptr_null(class->client(view, VADM_MATCH_GT, 4, 9));
    ck_assert_ptr_null(class->client(view, VADM_MATCH_EQ, 4, 0));
    ck_assert_ptr_null(class->client(view, VADM_MATCH_EQ, 3, 1));
    class->view_end(view);
}
END_TEST

/* A view stays at one moment, whatever is read meanwhile. */
START_TEST(test_view_is_pinned)
{
    const VadmSourceClass *class;
    VadmView *view;

    fake_add_client(bed->fake, "libvirtd", 5);
    bed_start_ready(bed, INTERVAL);
    class = bed->base->class;
    view = class->view_begin(bed->base);
    fake_remove_client(bed->fake, "libvirtd", 5);
    FAKE_SET(bed->fake, fake_find_server(bed->fake, "libvirtd")->pool[POOL_MAX] = 30);
    bed_refresh(bed);
    peer_close_all(bed->peer);
    peer_stop_listening(bed->peer);
    WAIT_FOR(!bed_is_up(bed));
    ck_assert_int_eq(class->daemon(view)->state, VADM_REACH_UP);
    ck_assert_uint_eq(class->server(view, VADM_MATCH_EQ, 2)->workers_max, 20);
    ck_assert_uint_eq(class->client(view, VADM_MATCH_EQ, 2, 5)->identity->uid, 1000);
    class->view_end(view);
}
END_TEST

/* Identities */

static guint
n_asked(void)
{
    return peer_n_calls(bed->peer, VADM_ADMIN_PROC_CLIENT_GET_INFO);
}

START_TEST(test_identities_are_asked_once)
{
    VadmClientRow row;
    const VadmIdentity *before;

    for (guint64 id = 2; id <= 30; id++)
        fake_add_client(bed->fake, "libvirtd", id);
    bed_start_ready(bed, INTERVAL);
    ck_assert_uint_eq(n_asked(), 30);
    ck_assert(bed_client(bed, 2, 30, &row));
    before = row.identity;
    bed_refresh(bed);
    bed_refresh(bed);
    ck_assert_uint_eq(n_asked(), 30);
    ck_assert(bed_client(bed, 2, 30, &row));
    ck_assert_ptr_eq(row.identity, before);
    fake_add_client(bed->fake, "libvirtd", 31);
    bed_refresh(bed);
    ck_assert_uint_eq(n_asked(), 31);
}
END_TEST

/* What SASL and CONNECT_OPEN make known comes behind the connect. */
START_TEST(test_young_client_is_asked_again)
{
    FakeClient *client = fake_add_client(bed->fake, "libvirtd", 5);
    VadmClientRow row;
    guint asked;

    client->since = g_get_real_time() / G_USEC_PER_SEC;
    bed_start_ready(bed, INTERVAL);
    ck_assert(bed_client(bed, 2, 5, &row) && !row.readonly);
    FAKE_SET(bed->fake, client->readonly = TRUE; client->sasl = "alice");
    bed_refresh(bed);
    ck_assert(bed_client(bed, 2, 5, &row) && row.readonly);
    ck_assert_str_eq(row.identity->sasl_user_name, "alice");
    FAKE_SET(bed->fake, client->since -= 10); /* it is another client for us, which is old enough */
    bed_refresh(bed);
    asked = n_asked();
    bed_refresh(bed);
    ck_assert_uint_eq(n_asked(), asked);
}
END_TEST

START_TEST(test_unauthenticated_clients_are_asked_again)
{
    FakeServer *server = fake_find_server(bed->fake, "libvirtd");
    FakeClient *client = fake_add_client(bed->fake, "libvirtd", 5);
    VadmClientRow row;
    guint asked;

    client->since = g_get_real_time() / G_USEC_PER_SEC - 20;
    server->limits[LIMIT_UNAUTH] = 1;
    bed_start_ready(bed, INTERVAL);
    FAKE_SET(bed->fake, client->sasl = "alice"; server->limits[LIMIT_UNAUTH] = 0);
    bed_refresh(bed);
    ck_assert(bed_client(bed, 2, 5, &row));
    ck_assert_str_eq(row.identity->sasl_user_name, "alice");
    asked = n_asked();
    bed_refresh(bed);
    ck_assert_uint_eq(n_asked(), asked);
}
END_TEST

/* One client that never authenticates must not make us ask for all others for ever. */
START_TEST(test_old_clients_are_asked_twice_at_most)
{
    FakeServer *server = fake_find_server(bed->fake, "libvirtd");
    FakeClient *client = fake_add_client(bed->fake, "libvirtd", 5);

    client->since = g_get_real_time() / G_USEC_PER_SEC - 3600;
    server->limits[LIMIT_UNAUTH] = 1;
    bed_start_ready(bed, INTERVAL);
    bed_refresh(bed);
    ck_assert_uint_eq(n_asked(), 3); /* ours once */
    bed_refresh(bed);
    ck_assert_uint_eq(n_asked(), 3);
}
END_TEST

START_TEST(test_no_identity_yet)
{
    FakeClient *client = fake_add_client(bed->fake, "libvirtd", 5);
    VadmClientRow row;

    client->refusal = VADM_VIR_ERR_INTERNAL_ERROR;
    bed_start_ready(bed, INTERVAL);
    ck_assert(bed_client(bed, 2, 5, &row));
    ck_assert_ptr_null(row.identity);
    FAKE_SET(bed->fake, client->refusal = 0);
    bed_refresh(bed);
    ck_assert(bed_client(bed, 2, 5, &row));
    ck_assert_ptr_nonnull(row.identity);
    ck_assert_uint_eq(bed->events->len, 0);
}
END_TEST

/* One that never says a word is not asked about at each refresh for ever. */
START_TEST(test_never_an_identity)
{
    const guint refreshes = 18;

    fake_add_client(bed->fake, "libvirtd", 5)->refusal = VADM_VIR_ERR_INTERNAL_ERROR;
    bed_start_ready(bed, INTERVAL);
    for (guint i = 1; i < refreshes; i++)
        bed_refresh(bed);
    ck_assert_uint_eq(n_asked(), 1 + 10);
    bed->source->interval = 20 * 1000;
    bed_refresh(bed);
    WAIT_FOR(n_asked() > 1 + 10); /* but it is */
}
END_TEST

START_TEST(test_client_goes_between_the_questions)
{
    FakeClient *client = fake_add_client(bed->fake, "libvirtd", 5);
    VadmClientRow row;

    client->refusal = VADM_VIR_ERR_NO_CLIENT;
    fake_add_client(bed->fake, "libvirtd", 6);
    bed_start_ready(bed, INTERVAL);
    ck_assert(!bed_client(bed, 2, 5, &row));
    ck_assert(bed_client(bed, 2, 6, &row));
}
END_TEST

/* What was known stays when asking again fails. */
START_TEST(test_refused_identity)
{
    FakeClient *client = fake_add_client(bed->fake, "libvirtd", 5);
    VadmClientRow row;

    client->since = g_get_real_time() / G_USEC_PER_SEC;
    bed_start_ready(bed, INTERVAL);
    FAKE_SET(bed->fake, client->refusal = VADM_VIR_ERR_NO_MEMORY);
    bed_refresh(bed);
    ck_assert(bed_client(bed, 2, 5, &row));
    ck_assert_ptr_nonnull(row.identity);
}
END_TEST

static guint
count_identities(guint32 first, guint32 last)
{
    VadmClientRow row;
    guint n = 0;

    for (guint32 id = first; id <= last; id++)
        n += bed_client(bed, 2, id, &row) && row.identity ? 1 : 0;
    return n;
}

/* So many that they take longer than half an interval: some come later, and all else in time. */
START_TEST(test_slow_identities)
{
    for (guint64 id = 2; id <= 50; id++)
        fake_add_client(bed->fake, "libvirtd", id);
    peer_hold(bed->peer, VADM_ADMIN_PROC_CLIENT_GET_INFO);
    bed_start(bed, 2000);
    WAIT_FOR(n_asked() == VADM_REMOTE_IN_FLIGHT);
    run_for(1100);
    peer_release(bed->peer, VADM_ADMIN_PROC_CLIENT_GET_INFO, FALSE);
    WAIT_FOR(bed_is_up(bed));
    ck_assert_uint_eq(bed_count_clients(bed, 2), 49);
    ck_assert_uint_lt(count_identities(2, 50), 10);
    WAIT_FOR(count_identities(2, 50) == 49);
    ck_assert_uint_eq(n_asked(), 50); /* nobody twice */
}
END_TEST

/* Calls at a time */

START_TEST(test_calls_at_a_time)
{
    for (guint64 id = 2; id <= 30; id++)
        fake_add_client(bed->fake, "libvirtd", id);
    peer_hold(bed->peer, VADM_ADMIN_PROC_CLIENT_GET_INFO);
    bed_start(bed, INTERVAL);
    WAIT_FOR(n_asked() == VADM_REMOTE_IN_FLIGHT);
    run_for(30);
    ck_assert_uint_eq(n_asked(), VADM_REMOTE_IN_FLIGHT);
    peer_release(bed->peer, VADM_ADMIN_PROC_CLIENT_GET_INFO, TRUE);
    WAIT_FOR(bed_is_up(bed));
    ck_assert_uint_eq(n_asked(), 30);
    ck_assert_uint_eq(peer_n_calls(bed->peer, VADM_ADMIN_PROC_CONNECT_GET_LIB_VERSION), 1);
}
END_TEST

/* virtlogd and virtlockd. */
START_TEST(test_one_call_at_a_time)
{
    FAKE_SET(bed->fake,
             memset(fake_find_server(bed->fake, "admin")->pool, 0, POOL_LAST * sizeof(guint32)));
    for (guint64 id = 2; id <= 30; id++)
        fake_add_client(bed->fake, "libvirtd", id);
    peer_hold(bed->peer, VADM_ADMIN_PROC_CLIENT_GET_INFO);
    bed_start(bed, INTERVAL);
    WAIT_FOR(n_asked() == 1);
    run_for(30);
    ck_assert_uint_eq(n_asked(), 1);
    peer_release(bed->peer, VADM_ADMIN_PROC_CLIENT_GET_INFO, FALSE);
    WAIT_FOR(bed_is_up(bed));
}
END_TEST

START_TEST(test_many_clients)
{
    VadmClientRow row;

    for (guint64 id = 1; id <= VADM_ADMIN_CLIENTS_MAX; id++)
        fake_add_client(bed->fake, "libvirtd", id);
    bed_start_ready(bed, INTERVAL);
    ck_assert_uint_eq(bed_count_clients(bed, 2), VADM_ADMIN_CLIENTS_MAX);
    WAIT_FOR(bed_client(bed, 2, VADM_ADMIN_CLIENTS_MAX, &row) && row.identity);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        test_local_client,
        test_remote_client,
        test_bad_texts,
        test_client_indexes,
        test_many_clients_want_one_index,
        test_client_listed_twice,
        test_walk_over_servers,
        test_view_is_pinned,
        test_identities_are_asked_once,
        test_young_client_is_asked_again,
        test_unauthenticated_clients_are_asked_again,
        test_old_clients_are_asked_twice_at_most,
        test_no_identity_yet,
        test_never_an_identity,
        test_client_goes_between_the_questions,
        test_refused_identity,
        test_slow_identities,
        test_calls_at_a_time,
        test_one_call_at_a_time,
        test_many_clients,
    };

    return remote_case_main("remote source, clients",
                            remote_case_new("remote source, clients", tests, G_N_ELEMENTS(tests)));
}
