/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "remote-fixture.h"

#include <string.h>

/* The daemon */

static const char *const pool_names[] = {"minWorkers",  "maxWorkers",  "nWorkers",
                                         "freeWorkers", "prioWorkers", "jobQueueDepth"};
static const char *const limit_names[] = {"nclients_max", "nclients", "nclients_unauth_max",
                                          "nclients_unauth"};

static void
fake_server_free(gpointer data)
{
    FakeServer *server = data;

    g_array_unref(server->clients);
    g_free(server->name);
    g_free(server);
}

FakeServer *
fake_find_server(Fake *fake, const char *name)
{
    for (guint i = 0; i < fake->servers->len; i++) {
        FakeServer *server = fake->servers->pdata[i];

        if (strcmp(server->name, name) == 0)
            return server;
    }
    return NULL;
}

static VadmMessage *
refuse(const VadmMessage *call, int number)
{
    return vadm_message_new_error(&call->header, number, VADM_VIR_FROM_RPC, "refused by the test",
                                  -1);
}

static VadmMessage *
answer(const VadmMessage *call, xdrproc_t encode, gconstpointer ret)
{
    return vadm_message_new_reply(&call->header, encode, ret, NULL);
}

static VadmMessage *
on_version(const VadmMessage *call, gpointer user)
{
    vadm_admin_connect_get_lib_version_ret ret = {9000000};

    (void)user;
    return answer(call, (xdrproc_t)xdr_vadm_admin_connect_get_lib_version_ret, &ret);
}

static VadmMessage *
on_servers(const VadmMessage *call, gpointer user)
{
    Fake *fake = user;
    VADM_LOCK_SCOPE(&fake->lock);
    g_autofree vadm_admin_server *servers = g_new0(vadm_admin_server, fake->servers->len + 1);
    vadm_admin_connect_list_servers_ret ret = {{fake->servers->len, servers}, fake->servers->len};

    for (guint i = 0; i < fake->servers->len; i++)
        servers[i].name = ((FakeServer *)fake->servers->pdata[i])->name;
    return answer(call, (xdrproc_t)xdr_vadm_admin_connect_list_servers_ret, &ret);
}

/* The server that a call is about, which begins with its name. NULL: @refusal says why not. */
static FakeServer *
called_server(Fake *fake, const VadmMessage *call, VadmMessage **refusal)
{
    vadm_admin_server named = {0};
    FakeServer *server;

    ck_assert(vadm_message_decode(call, (xdrproc_t)xdr_vadm_admin_server, &named, NULL));
    server = fake_find_server(fake, named.name);
    xdr_free((xdrproc_t)xdr_vadm_admin_server, (char *)&named);
    if (server && server->refusal == 0)
        return server;
    *refusal = refuse(call, server ? server->refusal : VADM_VIR_ERR_NO_SERVER);
    return NULL;
}

static u_int
fill_numbers(vadm_typed_param *params, const char *const *names, const guint32 *values, guint n,
             guint absent)
{
    u_int count = 0;

    for (guint i = 0; i < n; i++) {
        if (absent & 1u << i)
            continue;
        params[count].field = (char *)names[i];
        params[count].value.type = VADM_TYPED_PARAM_UINT;
        params[count++].value.vadm_typed_param_value_u.ui = values[i];
    }
    return count;
}

static VadmMessage *
on_pool(const VadmMessage *call, gpointer user)
{
    Fake *fake = user;
    VADM_LOCK_SCOPE(&fake->lock);
    VadmMessage *refusal = NULL;
    FakeServer *server = called_server(fake, call, &refusal);
    vadm_typed_param params[POOL_LAST] = {0};
    vadm_admin_server_get_threadpool_parameters_ret ret = {{0, params}};

    if (!server)
        return refusal;
    ret.params.params_len =
        fill_numbers(params, pool_names, server->pool, POOL_LAST, server->pool_absent);
    return answer(call, (xdrproc_t)xdr_vadm_admin_server_get_threadpool_parameters_ret, &ret);
}

static VadmMessage *
on_limits(const VadmMessage *call, gpointer user)
{
    Fake *fake = user;
    VADM_LOCK_SCOPE(&fake->lock);
    VadmMessage *refusal = NULL;
    FakeServer *server = called_server(fake, call, &refusal);
    vadm_typed_param params[LIMIT_LAST] = {0};
    vadm_admin_server_get_client_limits_ret ret = {{0, params}};

    if (!server)
        return refusal;
    ret.params.params_len =
        fill_numbers(params, limit_names, server->limits, LIMIT_LAST, server->limits_absent);
    return answer(call, (xdrproc_t)xdr_vadm_admin_server_get_client_limits_ret, &ret);
}

static VadmMessage *
on_clients(const VadmMessage *call, gpointer user)
{
    Fake *fake = user;
    VADM_LOCK_SCOPE(&fake->lock);
    VadmMessage *refusal = NULL;
    FakeServer *server = called_server(fake, call, &refusal);
    g_autofree vadm_admin_client *clients = NULL;
    vadm_admin_server_list_clients_ret ret = {0};

    if (!server || server->list_refusal != 0)
        return server ? refuse(call, server->list_refusal) : refusal;
    clients = g_new0(vadm_admin_client, server->clients->len + 1);
    for (guint i = 0; i < server->clients->len; i++) {
        const FakeClient *client = &g_array_index(server->clients, FakeClient, i);

        clients[i] =
            (vadm_admin_client){{server->name}, client->id, client->since, client->transport};
    }
    ret.clients.clients_len = ret.ret = server->clients->len;
    ret.clients.clients_val = clients;
    return answer(call, (xdrproc_t)xdr_vadm_admin_server_list_clients_ret, &ret);
}

static void
add_text(vadm_typed_param *params, u_int *count, const char *name, const char *text)
{
    if (!text)
        return;
    params[*count].field = (char *)name;
    params[*count].value.type = VADM_TYPED_PARAM_STRING;
    params[(*count)++].value.vadm_typed_param_value_u.s = (char *)text;
}

static void
add_int(vadm_typed_param *params, u_int *count, const char *name, gint32 value)
{
    params[*count].field = (char *)name;
    params[*count].value.type = VADM_TYPED_PARAM_INT;
    params[(*count)++].value.vadm_typed_param_value_u.i = value;
}

static VadmMessage *
client_info(const VadmMessage *call, const FakeClient *client)
{
    vadm_typed_param params[16] = {0};
    vadm_admin_client_get_info_ret ret = {{1, params}};
    u_int *count = &ret.params.params_len;

    params[0].field = (char *)"readonly";
    params[0].value.type = VADM_TYPED_PARAM_BOOLEAN;
    params[0].value.vadm_typed_param_value_u.b = client->readonly;
    add_text(params, count, "sasl_user_name", client->sasl);
    add_text(params, count, "sock_addr", client->address);
    add_text(params, count, "tls_x509_dname", client->dn);
    if (client->user) {
        add_int(params, count, "unix_user_id", client->uid);
        add_text(params, count, "unix_user_name", client->user);
        add_int(params, count, "unix_group_id", client->gid);
        add_text(params, count, "unix_group_name", client->group);
        add_int(params, count, "unix_process_id", client->pid);
    }
    add_text(params, count, "selinux_context", client->selinux);
    return answer(call, (xdrproc_t)xdr_vadm_admin_client_get_info_ret, &ret);
}

static VadmMessage *
on_info(const VadmMessage *call, gpointer user)
{
    Fake *fake = user;
    VADM_LOCK_SCOPE(&fake->lock);
    vadm_admin_client_get_info_args args = {0};
    VadmMessage *refusal = NULL;
    FakeServer *server;
    guint64 id;

    ck_assert(
        vadm_message_decode(call, (xdrproc_t)xdr_vadm_admin_client_get_info_args, &args, NULL));
    id = args.clnt.id;
    xdr_free((xdrproc_t)xdr_vadm_admin_client_get_info_args, (char *)&args);
    server = called_server(fake, call, &refusal);
    for (guint i = 0; server && i < server->clients->len; i++) {
        const FakeClient *client = &g_array_index(server->clients, FakeClient, i);

        if (client->id == id)
            return client->refusal ? refuse(call, client->refusal) : client_info(call, client);
    }
    return server ? refuse(call, VADM_VIR_ERR_NO_CLIENT) : refusal;
}

static VadmMessage *
on_filters(const VadmMessage *call, gpointer user)
{
    Fake *fake = user;
    VADM_LOCK_SCOPE(&fake->lock);
    vadm_admin_connect_get_logging_filters_ret ret = {fake->filters ? &fake->filters : NULL, 0};

    return answer(call, (xdrproc_t)xdr_vadm_admin_connect_get_logging_filters_ret, &ret);
}

static VadmMessage *
on_outputs(const VadmMessage *call, gpointer user)
{
    Fake *fake = user;
    VADM_LOCK_SCOPE(&fake->lock);
    vadm_admin_connect_get_logging_outputs_ret ret = {fake->outputs, 1};

    if (!fake->outputs)
        return refuse(call, VADM_VIR_ERR_INTERNAL_ERROR);
    return answer(call, (xdrproc_t)xdr_vadm_admin_connect_get_logging_outputs_ret, &ret);
}

Fake *
fake_new(Peer *peer)
{
    Fake *fake = g_new0(Fake, 1);

    fake->peer = peer;
    vadm_mutex_init(&fake->lock);
    fake->servers = g_ptr_array_new_with_free_func(fake_server_free);
    fake->filters = g_strdup("1:*util* 2:*b* ");
    fake->outputs = g_strdup("3:stderr");
    peer_handle(peer, VADM_ADMIN_PROC_CONNECT_GET_LIB_VERSION, on_version, fake);
    peer_handle(peer, VADM_ADMIN_PROC_CONNECT_LIST_SERVERS, on_servers, fake);
    peer_handle(peer, VADM_ADMIN_PROC_SERVER_GET_THREADPOOL_PARAMETERS, on_pool, fake);
    peer_handle(peer, VADM_ADMIN_PROC_SERVER_GET_CLIENT_LIMITS, on_limits, fake);
    peer_handle(peer, VADM_ADMIN_PROC_SERVER_LIST_CLIENTS, on_clients, fake);
    peer_handle(peer, VADM_ADMIN_PROC_CLIENT_GET_INFO, on_info, fake);
    peer_handle(peer, VADM_ADMIN_PROC_CONNECT_GET_LOGGING_FILTERS, on_filters, fake);
    peer_handle(peer, VADM_ADMIN_PROC_CONNECT_GET_LOGGING_OUTPUTS, on_outputs, fake);
    return fake;
}

void
fake_free(Fake *fake)
{
    g_ptr_array_unref(fake->servers);
    g_free(fake->filters);
    g_free(fake->outputs);
    vadm_mutex_clear(&fake->lock);
    g_free(fake);
}

void
fake_lock(Fake *fake)
{
    vadm_mutex_lock(&fake->lock);
}

void
fake_unlock(Fake *fake)
{
    vadm_mutex_unlock(&fake->lock);
}

FakeServer *
fake_add_server(Fake *fake, const char *name)
{
    static const guint32 pool[] = {5, 20, 5, 4, 5, 0};
    static const guint32 limits[] = {10, 0, 0, 0};
    FakeServer *server = g_new0(FakeServer, 1);
    VADM_LOCK_SCOPE(&fake->lock);

    server->name = g_strdup(name);
    memcpy(server->pool, pool, sizeof(pool));
    memcpy(server->limits, limits, sizeof(limits));
    server->clients = g_array_new(FALSE, TRUE, sizeof(FakeClient));
    g_ptr_array_add(fake->servers, server);
    return server;
}

FakeClient *
fake_add_client(Fake *fake, const char *server_name, guint64 id)
{
    FakeClient client = {.id = id,
                         .since = g_get_real_time() / G_USEC_PER_SEC - 60,
                         .user = "user",
                         .group = "group",
                         .uid = 1000,
                         .gid = 100,
                         .pid = (gint32)(4000 + id % 1000)};
    VADM_LOCK_SCOPE(&fake->lock);
    FakeServer *server = fake_find_server(fake, server_name);

    g_array_append_val(server->clients, client);
    server->limits[LIMIT_CURRENT]++;
    return &g_array_index(server->clients, FakeClient, server->clients->len - 1);
}

void
fake_remove_client(Fake *fake, const char *server_name, guint64 id)
{
    VADM_LOCK_SCOPE(&fake->lock);
    FakeServer *server = fake_find_server(fake, server_name);

    for (guint i = 0; i < server->clients->len; i++) {
        if (g_array_index(server->clients, FakeClient, i).id != id)
            continue;
        g_array_remove_index(server->clients, i);
        server->limits[LIMIT_CURRENT]--;
        return;
    }
}

/* The source */

static void
on_event(const VadmEvent *event, gpointer user)
{
    g_ptr_array_add(user, vadm_event_copy(event));
}

Bed *
bed_new(void)
{
    Bed *bed = g_new0(Bed, 1);

    bed->peer = peer_new_absent();
    bed->fake = fake_new(bed->peer);
    bed->events = g_ptr_array_new_with_free_func((GDestroyNotify)vadm_event_free);
    fake_add_server(bed->fake, "libvirtd");
    fake_add_server(bed->fake, "admin");
    fake_add_client(bed->fake, "admin", 1);
    return bed;
}

void
bed_start(Bed *bed, guint interval_ms)
{
    VadmRemoteConfig config = {
        .name = "libvirtd",
        .uri = BED_URI,
        .path = peer_path(bed->peer),
        .refresh_interval = 1,
        .clients_high_percent = 80,
    };

    peer_listen(bed->peer);
    bed->base = vadm_source_remote_new(&config);
    bed->source = (VadmRemoteSource *)bed->base;
    bed->source->interval = interval_ms * 1000;
    bed->subscription = bed->base->class->subscribe(bed->base, on_event, bed->events);
}

void
bed_start_ready(Bed *bed, guint interval_ms)
{
    bed_start(bed, interval_ms);
    WAIT_FOR(bed_is_up(bed));
}

void
bed_free(Bed *bed)
{
    if (bed->base) {
        bed->base->class->unsubscribe(bed->base, bed->subscription);
        vadm_source_remote_free(bed->base);
    }
    peer_free(bed->peer);
    fake_free(bed->fake);
    g_ptr_array_unref(bed->events);
    g_free(bed);
}

void
bed_refresh(Bed *bed)
{
    gint64 now = g_get_monotonic_time();

    vadm_remote_reader_hold(bed->source);
    vadm_remote_reader_release(bed->source);
    WAIT_FOR(bed->source->snapshot->reachable && bed->source->snapshot->taken >= now);
}

gboolean
bed_is_up(Bed *bed)
{
    VadmView *view = bed->base->class->view_begin(bed->base);
    gboolean up = bed->base->class->daemon(view)->state == VADM_REACH_UP;

    bed->base->class->view_end(view);
    return up;
}

guint
bed_count(Bed *bed, VadmEventKind kind)
{
    guint n = 0;

    for (guint i = 0; i < bed->events->len; i++)
        n += ((VadmEvent *)bed->events->pdata[i])->kind == kind ? 1 : 0;
    return n;
}

const VadmEvent *
bed_last(Bed *bed, VadmEventKind kind)
{
    for (guint i = bed->events->len; i > 0; i--) {
        const VadmEvent *event = bed->events->pdata[i - 1];

        if (event->kind == kind)
            return event;
    }
    return NULL;
}

void
bed_forget(Bed *bed)
{
    g_ptr_array_set_size(bed->events, 0);
}

gboolean
bed_server(Bed *bed, guint32 index, VadmServerRow *row)
{
    VadmView *view = bed->base->class->view_begin(bed->base);
    const VadmServerRow *found = bed->base->class->server(view, VADM_MATCH_EQ, index);

    if (found)
        *row = *found;
    bed->base->class->view_end(view);
    return found != NULL;
}

gboolean
bed_client(Bed *bed, guint32 server, guint32 index, VadmClientRow *row)
{
    VadmView *view = bed->base->class->view_begin(bed->base);
    const VadmClientRow *found = bed->base->class->client(view, VADM_MATCH_EQ, server, index);

    if (found)
        *row = *found;
    bed->base->class->view_end(view);
    return found != NULL;
}

VadmConfigRow
bed_config(Bed *bed)
{
    VadmView *view = bed->base->class->view_begin(bed->base);
    VadmConfigRow config = *bed->base->class->config(view);

    bed->base->class->view_end(view);
    return config;
}

guint
bed_count_clients(Bed *bed, guint32 server)
{
    VadmView *view = bed->base->class->view_begin(bed->base);
    const VadmClientRow *row = NULL;
    guint32 index = 0;
    guint n = 0;

    while ((row = bed->base->class->client(view, VADM_MATCH_GT, server, index)) &&
           row->server == server) {
        index = row->index;
        n++;
    }
    bed->base->class->view_end(view);
    return n;
}

void
run_for(guint ms)
{
    gint64 end = g_get_monotonic_time() + ms * 1000;

    while (g_get_monotonic_time() < end) {
        if (!g_main_context_iteration(NULL, FALSE))
            g_usleep(500);
    }
}
