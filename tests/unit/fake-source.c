/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake-source.h"

#include <string.h>

#include "agent/settings.h"

/* 2026-11-21 01:10:05.4 UTC */
#define FAKE_START G_GINT64_CONSTANT(1795223765400000)

typedef struct {
    VadmTxn base;
    gboolean committed;
    gboolean was_committed;
} FakeTxn;

static VadmAccess
fake_access(VadmSource *source, VadmField field)
{
    return ((FakeSource *)source)->access[field];
}

static VadmView *
fake_view_begin(VadmSource *source)
{
    FakeSource *fake = (FakeSource *)source;
    VadmView *view;

    if (fake->no_view)
        return NULL;
    view = g_new0(VadmView, 1);
    view->source = source;
    fake->views_open++;
    return view;
}

static void
fake_view_end(VadmView *view)
{
    FakeSource *fake = (FakeSource *)view->source;

    g_assert(fake->views_open > 0);
    fake->views_open--;
    g_free(view);
}

static const VadmDaemonRow *
fake_daemon(VadmView *view)
{
    return &((FakeSource *)view->source)->daemon;
}

static const VadmConfigRow *
fake_config(VadmView *view)
{
    return &((FakeSource *)view->source)->config;
}

static gboolean
fake_matches(VadmMatch match, guint32 a1, guint32 a2, guint32 b1, guint32 b2)
{
    guint64 a = ((guint64)a1 << 32) | a2;
    guint64 b = ((guint64)b1 << 32) | b2;

    return match == VADM_MATCH_EQ ? a == b : a > b;
}

static const VadmServerRow *
fake_server(VadmView *view, VadmMatch match, guint32 index)
{
    GArray *rows = ((FakeSource *)view->source)->servers;

    for (guint i = 0; i < rows->len; i++) {
        const VadmServerRow *row = &g_array_index(rows, VadmServerRow, i);
        if (fake_matches(match, row->index, 0, index, 0))
            return row;
    }
    return NULL;
}

static const VadmServiceRow *
fake_service(VadmView *view, VadmMatch match, guint32 server, guint32 index)
{
    GArray *rows = ((FakeSource *)view->source)->services;

    for (guint i = 0; i < rows->len; i++) {
        const VadmServiceRow *row = &g_array_index(rows, VadmServiceRow, i);
        if (fake_matches(match, row->server, row->index, server, index))
            return row;
    }
    return NULL;
}

static const VadmClientRow *
fake_client(VadmView *view, VadmMatch match, guint32 server, guint32 index)
{
    GArray *rows = ((FakeSource *)view->source)->clients;

    for (guint i = 0; i < rows->len; i++) {
        const VadmClientRow *row = &g_array_index(rows, VadmClientRow, i);
        if (fake_matches(match, row->server, row->index, server, index))
            return row;
    }
    return NULL;
}

static void
fake_complete(FakeSource *fake, VadmTxn *txn, VadmDone done, gpointer user, int code)
{
    VadmFault fault = {.tag = fake->fail_tag};

    if (fake->hold) {
        g_assert(!fake->held_done);
        fake->held_txn = txn;
        fake->held_done = done;
        fake->held_user = user;
        return;
    }
    if (code != 0)
        fault.error = g_error_new(VADM_ERROR, code, "made up by the test");
    done(txn, &fault, user);
    g_clear_error(&fault.error);
}

void
fake_source_release(FakeSource *fake)
{
    VadmDone done = fake->held_done;
    VadmFault fault = {0};

    g_assert(done);
    fake->hold = FALSE;
    fake->held_done = NULL;
    done(fake->held_txn, &fault, fake->held_user);
}

static void
fake_keep_changes(FakeSource *fake, const VadmChange *changes, guint n_changes)
{
    g_assert(n_changes > 0 && n_changes <= FAKE_CHANGES_MAX);
    memcpy(fake->changes, changes, n_changes * sizeof(*changes));
    fake->n_changes = n_changes;
    for (guint i = 0; i < n_changes; i++) {
        g_clear_pointer(&fake->strings[i], g_free);
        if (changes[i].value.kind != VADM_VALUE_STRING)
            continue;
        fake->strings[i] = g_strdup(changes[i].value.string);
        fake->changes[i].value.string = fake->strings[i];
    }
}

static void
fake_prepare(VadmSource *source, const VadmChange *changes, guint n_changes, VadmOrigin origin,
             gint64 deadline, VadmDone done, gpointer user)
{
    FakeSource *fake = (FakeSource *)source;
    FakeTxn *txn = NULL;

    g_assert(origin == VADM_ORIGIN_SNMP);
    g_assert(deadline > 0);
    fake->prepared++;
    fake_keep_changes(fake, changes, n_changes);
    if (fake->fail_prepare == 0) {
        txn = g_new0(FakeTxn, 1);
        txn->base.source = source;
        fake->open++;
    }
    fake_complete(fake, (VadmTxn *)txn, done, user, fake->fail_prepare);
}

static void
fake_commit(VadmTxn *base, VadmDone done, gpointer user)
{
    FakeSource *fake = (FakeSource *)base->source;
    FakeTxn *txn = (FakeTxn *)base;

    g_assert(!txn->was_committed);
    if (fake->fail_commit == 0) {
        txn->committed = txn->was_committed = TRUE;
        fake->committed++;
        fake->in_force++;
    }
    fake_complete(fake, base, done, user, fake->fail_commit);
}

static void
fake_undo(VadmTxn *base, VadmDone done, gpointer user)
{
    FakeSource *fake = (FakeSource *)base->source;
    FakeTxn *txn = (FakeTxn *)base;

    g_assert(txn->committed);
    fake->undone++;
    if (fake->fail_undo == 0)
        fake->in_force--;
    txn->committed = FALSE;
    fake_complete(fake, base, done, user, fake->fail_undo);
}

static void
fake_finish(VadmTxn *base)
{
    FakeSource *fake = (FakeSource *)base->source;

    g_assert(((FakeTxn *)base)->committed);
    fake->finished++;
    fake->in_force--;
    fake->open--;
    g_free(base);
}

static void
fake_abort(VadmTxn *base)
{
    FakeSource *fake = (FakeSource *)base->source;

    g_assert(!((FakeTxn *)base)->committed);
    fake->aborted++;
    fake->open--;
    g_free(base);
}

static const VadmSourceClass fake_class = {
    .access = fake_access,
    .view_begin = fake_view_begin,
    .view_end = fake_view_end,
    .daemon = fake_daemon,
    .config = fake_config,
    .server = fake_server,
    .service = fake_service,
    .client = fake_client,
    .prepare = fake_prepare,
    .commit = fake_commit,
    .undo = fake_undo,
    .finish = fake_finish,
    .abort = fake_abort,
};

static void
fake_add_server(FakeSource *fake, guint32 index, const char *name)
{
    VadmServerRow row = {
        .index = index,
        .name = name,
        .workers_min = 5,
        .workers_max = 20,
        .workers_priority = 4,
        .workers_current = 6,
        .workers_free = 3,
        .job_queue_depth = 7,
        .clients_max = 5000,
        .clients_current = 4294967295u,
        .clients_unauth_max = 21,
        .clients_unauth_current = 1,
        .clients_high_percent = 90,
        .clients_state = VADM_LIMIT_HIGH,
        .clients_unauth_state = VADM_LIMIT_NORMAL,
        .clients_accepted = G_GUINT64_CONSTANT(0x123456789abcdef0),
        .clients_full_events = 4294967294u,
        .auth_failures = 9,
        .client_requests_max = 8,
        .client_requests_delayed = 10,
        .jobs_done = G_GUINT64_CONSTANT(4294967296),
        .jobs_failed = 12,
        .job_wait_time = 13,
        .job_run_time = 14,
        .upstream_state = index == 1 ? VADM_UPSTREAM_NONE : VADM_UPSTREAM_UP,
    };

    g_array_append_val(fake->servers, row);
}

static VadmServiceRow *
fake_add_service(FakeSource *fake, guint32 server, guint32 index, const char *listen)
{
    VadmServiceRow row = {
        .server = server,
        .index = index,
        .transport = VADM_TRANSPORT_UNIX,
        .listen = listen,
        .auth = VADM_AUTH_NONE,
        .accepting = TRUE,
    };

    g_array_append_val(fake->services, row);
    return &g_array_index(fake->services, VadmServiceRow, fake->services->len - 1);
}

static VadmClientRow *
fake_add_client(FakeSource *fake, guint32 server, guint32 index, guint64 id, VadmIdentity *identity)
{
    VadmClientRow row = {
        .server = server,
        .index = index,
        .id = id,
        .transport = VADM_TRANSPORT_UNIX,
        .connected_since = FAKE_START,
        .identity = identity,
        .authenticated = TRUE,
        .requests = 100,
        .requests_in_flight = 2,
        .idle_time = 3,
        .age = 60,
    };

    g_array_append_val(fake->clients, row);
    return &g_array_index(fake->clients, VadmClientRow, fake->clients->len - 1);
}

static void
fake_set_string(char **member, const char *value)
{
    g_free(*member);
    *member = g_strdup(value);
}

static VadmIdentity *
fake_local_identity(guint32 pid)
{
    VadmIdentity *identity = vadm_identity_new();

    identity->local = identity->named = TRUE;
    identity->uid = 0;
    identity->gid = 4294967294u;
    identity->pid = pid;
    fake_set_string(&identity->user_name, "root");
    fake_set_string(&identity->group_name, "Gr\xc3\xbcn");
    fake_set_string(&identity->selinux_context, "system_u:object_r:x");
    return identity;
}

static VadmIdentity *
fake_remote_identity(void)
{
    static const guint8 octets[] = {192, 0, 2, 7};
    VadmIdentity *identity = vadm_identity_new();

    fake_set_string(&identity->sasl_user_name, "alice");
    fake_set_string(&identity->x509_dn, "CN=alice");
    fake_set_string(&identity->sock_addr, "192.0.2.7:52110");
    identity->address.type = 1;
    memcpy(identity->address.octets, octets, sizeof(octets));
    identity->address.length = sizeof(octets);
    identity->address.port = 52110;
    return identity;
}

static void
fake_fill_rows(FakeSource *fake)
{
    VadmServiceRow *service;
    VadmClientRow *client;
    VadmIdentity *identity;

    fake_add_server(fake, 1, "admin");
    fake_add_server(fake, 300, "libvirtd");
    fake_add_service(fake, 1, 1, "unix:/run/a");
    fake_add_service(fake, 300, 1, "unix:/run/b");
    service = fake_add_service(fake, 300, 2, "tcp:127.0.0.1:16509");
    service->transport = VADM_TRANSPORT_TCP;
    service->address =
        (VadmInetAddress){.type = 1, .octets = {127, 0, 0, 1}, .length = 4, .port = 16509};
    service->readonly = TRUE;
    service->auth = VADM_AUTH_SASL;
    service->accepting = FALSE;

    fake_add_client(fake, 1, 1, 1, fake_local_identity(1234));
    identity = fake_local_identity(77);
    g_free(identity->user_name);
    identity->user_name = g_strnfill(256, 'u'); /* one more than SnmpAdminString can carry */
    fake_add_client(fake, 300, 2, 2, identity);
    client = fake_add_client(fake, 300, 3, 3, NULL);
    client->connected_since = 0;
    fake_add_client(fake, 300, 7, G_GUINT64_CONSTANT(0x100000007), fake_local_identity(0));
    client = fake_add_client(fake, 300, 4294967295u, G_GUINT64_CONSTANT(0xffffffff),
                             fake_remote_identity());
    client->transport = VADM_TRANSPORT_TCP;
    client->readonly = TRUE;
    client->authenticated = FALSE;
}

FakeSource *
fake_source_new(void)
{
    FakeSource *fake = g_new0(FakeSource, 1);

    fake->base.class = &fake_class;
    for (guint i = 0; i < VADM_FIELD_LAST; i++)
        fake->access[i] =
            vadm_settings_access(i) == VADM_ACCESS_NONE ? VADM_ACCESS_WRITE : VADM_ACCESS_NONE;
    fake->servers = g_array_new(FALSE, TRUE, sizeof(VadmServerRow));
    fake->services = g_array_new(FALSE, TRUE, sizeof(VadmServiceRow));
    fake->clients = g_array_new(FALSE, TRUE, sizeof(VadmClientRow));
    fake->daemon = (VadmDaemonRow){
        .name = "virtadmd",
        .version = "0.1.0",
        .uri = "libvirtd:///system",
        .state = VADM_REACH_UP,
        .start_time = FAKE_START,
        .pid = 4242,
        .up_time = 61,
        .server_number = 2,
        .service_number = 3,
        .client_number = 5,
    };
    fake->config = (VadmConfigRow){
        .generation = 4294967295u,
        .last_change = FAKE_START + 1600000,
        .last_origin = VADM_ORIGIN_ADMIN_RPC,
        .age = 17,
        .log_level = 3,
        .log_filters = "1:util",
        .log_outputs = "1:stderr",
    };
    for (guint i = 1; i <= 4; i++) {
        fake->config.log_stats[i] =
            (VadmLogStatsRow){.emitted = i, .filtered = 10 * i, .dropped = 100 * i};
    }
    fake_fill_rows(fake);
    return fake;
}

void
fake_source_free(FakeSource *fake)
{
    for (guint i = 0; i < fake->clients->len; i++)
        vadm_identity_unref(g_array_index(fake->clients, VadmClientRow, i).identity);
    g_array_unref(fake->servers);
    g_array_unref(fake->services);
    g_array_unref(fake->clients);
    for (guint i = 0; i < FAKE_CHANGES_MAX; i++)
        g_free(fake->strings[i]);
    g_free(fake);
}
