/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake-source.h"

#include <string.h>

#include "agent/settings.h"

/* 2026-11-21 01:10:05.4 UTC */
#define FAKE_START G_GINT64_CONSTANT(1795223765400000)

typedef enum {
    FAKE_TXN_PREPARING,
    FAKE_TXN_PREPARED,
    FAKE_TXN_COMMITTING,
    FAKE_TXN_COMMITTED,
    FAKE_TXN_UNDOING,
    FAKE_TXN_UNDONE
} FakeTxnState;

/* What of the configuration can change. */
typedef struct {
    VadmStorage storage;
    guint32 confirm_left;
    guint32 workers_min[2]; /* by position */
} FakeConfig;

typedef struct {
    VadmTxn base;
    FakeTxnState state;
    FakeConfig before, next;
} FakeTxn;

typedef struct {
    FakePhase phase;
    FakeTxn *txn;
    VadmDone done;
    gpointer user;
    int code; /* how it fails; 0: not at all */
} FakeCall;

/* What the daemon's row has is gone when the view ends: nobody must have kept it. */
typedef struct {
    VadmView base;
    GPtrArray *kept; /* of what fake_daemon() has given */
} FakeView;

static VadmAccess
fake_access(VadmSource *source, VadmField field)
{
    return ((FakeSource *)source)->access[field];
}

static VadmView *
fake_view_begin(VadmSource *source)
{
    FakeSource *fake = (FakeSource *)source;
    FakeView *view;

    if (fake->no_view)
        return NULL;
    view = g_new0(FakeView, 1);
    view->base.source = source;
    view->kept = g_ptr_array_new_with_free_func(g_free);
    fake->views_open++;
    if (fake->looked)
        fake->looked(fake);
    return &view->base;
}

static void
fake_view_end(VadmView *view)
{
    FakeSource *fake = (FakeSource *)view->source;

    g_assert(fake->views_open > 0);
    fake->views_open--;
    g_ptr_array_unref(((FakeView *)view)->kept);
    g_free(view);
}

static const char *
fake_keep(VadmView *view, const char *text)
{
    char *copy = g_strdup(text);

    g_ptr_array_add(((FakeView *)view)->kept, copy);
    return copy;
}

static const VadmDaemonRow *
fake_daemon(VadmView *view)
{
    VadmDaemonRow *row = g_new(VadmDaemonRow, 1);

    *row = ((FakeSource *)view->source)->daemon;
    row->name = fake_keep(view, row->name);
    row->version = fake_keep(view, row->version);
    row->uri = fake_keep(view, row->uri);
    g_ptr_array_add(((FakeView *)view)->kept, row);
    return row;
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

static FakeConfig
fake_get_config(FakeSource *fake)
{
    FakeConfig config = {fake->config.storage, fake->config.confirm_left, {0}};

    for (guint i = 0; i < G_N_ELEMENTS(config.workers_min); i++)
        config.workers_min[i] = g_array_index(fake->servers, VadmServerRow, i).workers_min;
    return config;
}

static void
fake_set_config(FakeSource *fake, const FakeConfig *config)
{
    fake->config.storage = config->storage;
    fake->config.confirm_left = config->confirm_left;
    for (guint i = 0; i < G_N_ELEMENTS(config->workers_min); i++)
        g_array_index(fake->servers, VadmServerRow, i).workers_min = config->workers_min[i];
}

static void
fake_change_config(FakeSource *fake, FakeConfig *config, const VadmChange *change)
{
    guint32 number = (guint32)change->value.number;

    if (change->field == VADM_FIELD_CONFIG_STORAGE)
        config->storage = (VadmStorage)number;
    if (change->field == VADM_FIELD_CONFIG_CONFIRM_TIMEOUT)
        config->confirm_left = number;
    for (guint i = 0; i < G_N_ELEMENTS(config->workers_min); i++) {
        if (change->field == VADM_FIELD_SERVER_WORKERS_MIN &&
            change->server == g_array_index(fake->servers, VadmServerRow, i).index)
            config->workers_min[i] = number;
    }
}

guint32
fake_source_workers_min(FakeSource *fake, guint32 index)
{
    for (guint i = 0; i < fake->servers->len; i++) {
        if (g_array_index(fake->servers, VadmServerRow, i).index == index)
            return g_array_index(fake->servers, VadmServerRow, i).workers_min;
    }
    g_assert_not_reached();
}

static void
fake_txn_free(FakeSource *fake, FakeTxn *txn)
{
    fake->open--;
    g_free(txn);
}

/* Returns: what done() is to be given. */
static FakeTxn *
fake_prepare_ends(FakeSource *fake, FakeTxn *txn, gboolean ok)
{
    if (txn && !ok) {
        fake_txn_free(fake, txn);
        return NULL;
    }
    if (txn)
        txn->state = FAKE_TXN_PREPARED;
    return txn;
}

static void
fake_commit_ends(FakeSource *fake, FakeTxn *txn, gboolean ok)
{
    txn->state = ok ? FAKE_TXN_COMMITTED : FAKE_TXN_PREPARED;
    if (!ok)
        return;
    txn->before = fake_get_config(fake);
    fake_set_config(fake, &txn->next);
    fake->committed++;
    fake->in_force++;
}

static void
fake_undo_ends(FakeSource *fake, FakeTxn *txn, gboolean ok)
{
    txn->state = FAKE_TXN_UNDONE;
    fake->undone++;
    if (!ok)
        return;
    fake_set_config(fake, &txn->before);
    fake->in_force--;
}

static void
fake_end(FakeSource *fake, const FakeCall *call)
{
    VadmFault fault = {.tag = fake->fail_tag};
    FakeTxn *txn = call->txn;
    gboolean ok = call->code == 0;

    if (call->phase == FAKE_PREPARE)
        txn = fake_prepare_ends(fake, txn, ok);
    else if (call->phase == FAKE_COMMIT)
        fake_commit_ends(fake, txn, ok);
    else
        fake_undo_ends(fake, txn, ok);
    if (!ok)
        fault.error = g_error_new(VADM_ERROR, call->code, "made up by the test");
    call->done((VadmTxn *)txn, &fault, call->user);
    g_clear_error(&fault.error);
}

static void
fake_call(FakeSource *fake, const FakeCall *call)
{
    if (!fake->defer[call->phase]) {
        fake_end(fake, call);
        return;
    }
    g_queue_push_tail(&fake->pending, g_memdup2(call, sizeof(*call)));
    if (fake->deferred)
        fake->deferred(fake, call->phase);
}

gboolean
fake_source_complete(FakeSource *fake)
{
    g_autofree FakeCall *call = g_queue_pop_head(&fake->pending);

    if (!call)
        return FALSE;
    fake_end(fake, call);
    return TRUE;
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
    FakeCall call = {FAKE_PREPARE, NULL, done, user, fake->fail_prepare};

    g_assert(origin == VADM_ORIGIN_SNMP);
    g_assert(deadline > 0);
    fake->prepared++;
    fake_keep_changes(fake, changes, n_changes);
    if (fake->open > 0) {
        call.code = VADM_ERROR_BUSY;
        fake_end(fake, &call);
        return;
    }
    fake->open++;
    call.txn = g_new0(FakeTxn, 1);
    call.txn->base.source = source;
    call.txn->next = fake_get_config(fake);
    for (guint i = 0; i < n_changes; i++)
        fake_change_config(fake, &call.txn->next, &changes[i]);
    fake_call(fake, &call);
}

static void
fake_commit(VadmTxn *base, VadmDone done, gpointer user)
{
    FakeSource *fake = (FakeSource *)base->source;
    FakeTxn *txn = (FakeTxn *)base;
    FakeCall call = {FAKE_COMMIT, txn, done, user, fake->fail_commit};

    g_assert(txn->state == FAKE_TXN_PREPARED);
    txn->state = FAKE_TXN_COMMITTING;
    fake_call(fake, &call);
}

static void
fake_undo(VadmTxn *base, VadmDone done, gpointer user)
{
    FakeSource *fake = (FakeSource *)base->source;
    FakeTxn *txn = (FakeTxn *)base;
    FakeCall call = {FAKE_UNDO, txn, done, user, fake->fail_undo};

    g_assert(txn->state == FAKE_TXN_COMMITTED);
    txn->state = FAKE_TXN_UNDOING;
    fake_call(fake, &call);
}

static void
fake_finish(VadmTxn *base)
{
    FakeSource *fake = (FakeSource *)base->source;

    g_assert(((FakeTxn *)base)->state == FAKE_TXN_COMMITTED);
    fake->finished++;
    fake->in_force--;
    fake_txn_free(fake, (FakeTxn *)base);
}

static void
fake_abort(VadmTxn *base)
{
    FakeSource *fake = (FakeSource *)base->source;
    FakeTxn *txn = (FakeTxn *)base;

    g_assert(txn->state == FAKE_TXN_PREPARED || txn->state == FAKE_TXN_UNDONE);
    fake->aborted++;
    fake_txn_free(fake, txn);
}

static guint
fake_subscribe(VadmSource *source, VadmEventFn tell, gpointer user)
{
    FakeSource *fake = (FakeSource *)source;

    g_assert(!fake->tell);
    fake->tell = tell;
    fake->tell_user = user;
    return ++fake->subscription;
}

static void
fake_unsubscribe(VadmSource *source, guint id)
{
    FakeSource *fake = (FakeSource *)source;

    g_assert(fake->tell && id == fake->subscription);
    fake->tell = NULL;
}

VadmServerRow *
fake_source_server(FakeSource *fake, guint32 index)
{
    for (guint i = 0; i < fake->servers->len; i++) {
        VadmServerRow *row = &g_array_index(fake->servers, VadmServerRow, i);

        if (row->index == index)
            return row;
    }
    g_assert_not_reached();
}

void
fake_source_tell(FakeSource *fake, VadmEventKind kind, guint32 server, guint32 client)
{
    VadmEvent event = {
        .kind = kind, .at = g_get_monotonic_time(), .daemon = fake->daemon, .config = fake->config};

    if (server != 0)
        event.server = *fake_source_server(fake, server);
    for (guint i = 0; client != 0 && i < fake->clients->len; i++) {
        const VadmClientRow *row = &g_array_index(fake->clients, VadmClientRow, i);

        if (row->server == server && row->index == client)
            event.client = *row;
    }
    g_assert(event.client.index == client);
    if (fake->tell)
        fake->tell(&event, fake->tell_user);
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
    .subscribe = fake_subscribe,
    .unsubscribe = fake_unsubscribe,
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
        .storage = VADM_STORAGE_VOLATILE,
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
    g_assert(g_queue_is_empty(&fake->pending));
    for (guint i = 0; i < fake->clients->len; i++)
        vadm_identity_unref(g_array_index(fake->clients, VadmClientRow, i).identity);
    g_array_unref(fake->servers);
    g_array_unref(fake->services);
    g_array_unref(fake->clients);
    for (guint i = 0; i < FAKE_CHANGES_MAX; i++)
        g_free(fake->strings[i]);
    g_free(fake);
}
