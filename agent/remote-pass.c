/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/remote-pass.h"

#include <string.h>

#include "agent/remote-identity.h"
#include "rpc/admin.h"
#include "rpc/rpc-error.h"

#define VADM_LOG_CATEGORY "agent.remote"
#include "common/log.h"

typedef struct {
    VadmRemotePass *pass;
    VadmRemoteStepKind kind;
    VadmRemoteServer *server; /* in pass->snapshot; NULL: of the daemon */
    guint place;              /* IDENTITY: in server->clients */
} VadmRemoteStep;

static void vadm_remote_pass_feed(VadmRemotePass *pass);

static void
vadm_remote_pass_unref(VadmRemotePass *pass)
{
    if (--pass->refs > 0)
        return;
    g_queue_clear_full(&pass->todo, g_free);
    g_ptr_array_unref(pass->gone);
    vadm_remote_snapshot_unref(pass->snapshot);
    g_free(pass);
}

static void
vadm_remote_pass_add(VadmRemotePass *pass, VadmRemoteStepKind kind, VadmRemoteServer *server)
{
    VadmRemoteStep *step = g_new0(VadmRemoteStep, 1);

    step->pass = pass;
    step->kind = kind;
    step->server = server;
    g_queue_push_tail(&pass->todo, step);
}

/* What the daemon refuses, or says in a way that cannot be understood */

static const char *
vadm_remote_step_name(const VadmRemoteStep *step)
{
    static const char *const names[] = {
        [VADM_REMOTE_STEP_VERSION] = "its version",
        [VADM_REMOTE_STEP_SERVERS] = "its servers",
        [VADM_REMOTE_STEP_THREADPOOL] = "the worker pool",
        [VADM_REMOTE_STEP_LIMITS] = "the client limits",
        [VADM_REMOTE_STEP_CLIENTS] = "the clients",
        [VADM_REMOTE_STEP_FILTERS] = "the log filters",
        [VADM_REMOTE_STEP_OUTPUTS] = "the log outputs",
        [VADM_REMOTE_STEP_IDENTITY] = "a client",
    };

    return names[step->kind];
}

static guint *
vadm_remote_step_complaints(const VadmRemoteStep *step)
{
    VadmRemoteMemory *memory = step->pass->source->memory;
    VadmRemoteKnown *known =
        step->server ? vadm_remote_memory_find(memory, step->server->row.name) : NULL;

    return known ? &known->complaints : &memory->complaints;
}

/* Once, until it works again or the daemon is another one. */
static void
vadm_remote_step_complain(const VadmRemoteStep *step, const char *why)
{
    guint *complaints = vadm_remote_step_complaints(step);
    guint bit = 1u << step->kind;

    if ((*complaints & bit) == 0)
        VADM_WARN("%s: cannot read %s%s%s: %s", step->pass->source->name,
                  vadm_remote_step_name(step), step->server ? " of server " : "",
                  step->server ? step->server->row.name : "", why);
    *complaints |= bit;
}

/* Decoding */

/* What all answers are read with. FALSE: it was told why not. */
static gboolean
vadm_remote_step_decode(const VadmRemoteStep *step, const VadmMessage *reply, xdrproc_t decode,
                        gpointer payload)
{
    g_autoptr(GError) error = NULL;

    if (!vadm_message_decode(reply, decode, payload, &error)) {
        vadm_remote_step_complain(step, error->message);
        return FALSE;
    }
    *vadm_remote_step_complaints(step) &= ~(1u << step->kind);
    return TRUE;
}

static void
vadm_remote_read_version(const VadmRemoteStep *step, const VadmMessage *reply)
{
    vadm_admin_connect_get_lib_version_ret ret = {0};
    guint64 version;

    if (vadm_remote_step_decode(step, reply, (xdrproc_t)xdr_vadm_admin_connect_get_lib_version_ret,
                                &ret)) {
        version = ret.lib_version;
        step->pass->snapshot->version =
            g_strdup_printf("%" G_GUINT64_FORMAT ".%u.%u", version / 1000000,
                            (guint)(version / 1000 % 1000), (guint)(version % 1000));
    }
    xdr_free((xdrproc_t)xdr_vadm_admin_connect_get_lib_version_ret, (char *)&ret);
}

static gint
vadm_remote_compare_servers(gconstpointer a, gconstpointer b)
{
    guint32 i = (*(VadmRemoteServer *const *)a)->row.index;
    guint32 j = (*(VadmRemoteServer *const *)b)->row.index;

    return (i > j) - (i < j);
}

static gboolean
vadm_remote_pass_has(const VadmRemotePass *pass, const VadmRemoteKnown *known)
{
    for (guint i = 0; i < pass->snapshot->servers->len; i++) {
        const VadmRemoteServer *server = pass->snapshot->servers->pdata[i];

        if (server->row.index == known->index)
            return TRUE;
    }
    return FALSE;
}

/* Nothing is known of it yet. */
static void
vadm_remote_pass_add_server(VadmRemotePass *pass, const VadmRemoteKnown *known)
{
    VadmRemoteServer *server = vadm_remote_server_new(known->name);

    server->row.index = known->index;
    for (VadmField field = VADM_FIELD_SERVER_WORKERS_MIN;
         field <= VADM_FIELD_SERVER_CLIENTS_UNAUTH_CURRENT; field++)
        server->row.unknown |= VADM_SERVER_UNKNOWN(field);
    g_ptr_array_add(pass->snapshot->servers, server);
}

static void
vadm_remote_pass_meet(VadmRemotePass *pass, const vadm_admin_connect_list_servers_ret *ret)
{
    VadmRemoteMemory *memory = pass->source->memory;
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    for (guint i = 0; i < ret->servers.servers_len; i++) {
        char *name = ret->servers.servers_val[i].name;

        if (*name != '\0' && vadm_remote_text_is_fit(name)) {
            g_ptr_array_add(names, name);
        } else if (!memory->strange) {
            VADM_WARN("%s: a server whose name is empty or no printable UTF-8 is not shown",
                      pass->source->name);
            memory->strange = TRUE;
        }
    }
    vadm_remote_memory_meet(memory, names);
    for (guint i = 0; i < names->len; i++) {
        VadmRemoteKnown *known = vadm_remote_memory_find(memory, names->pdata[i]);

        if (known && !vadm_remote_pass_has(pass, known)) /* a name may come twice */
            vadm_remote_pass_add_server(pass, known);
    }
    g_ptr_array_sort(pass->snapshot->servers, vadm_remote_compare_servers);
}

/* The admin server comes first, having index 1: how much it takes at once is known then. */
static void
vadm_remote_read_servers(const VadmRemoteStep *step, const VadmMessage *reply)
{
    VadmRemotePass *pass = step->pass;
    vadm_admin_connect_list_servers_ret ret = {0};

    if (vadm_remote_step_decode(step, reply, (xdrproc_t)xdr_vadm_admin_connect_list_servers_ret,
                                &ret))
        vadm_remote_pass_meet(pass, &ret);
    else
        pass->failed = TRUE;
    xdr_free((xdrproc_t)xdr_vadm_admin_connect_list_servers_ret, (char *)&ret);
    for (guint i = 0; i < pass->snapshot->servers->len; i++) {
        VadmRemoteServer *server = pass->snapshot->servers->pdata[i];

        vadm_remote_pass_add(pass, VADM_REMOTE_STEP_THREADPOOL, server);
        vadm_remote_pass_add(pass, VADM_REMOTE_STEP_LIMITS, server);
        if (pass->full)
            vadm_remote_pass_add(pass, VADM_REMOTE_STEP_CLIENTS, server);
    }
}

/* A daemon that runs the calls in its main loop takes one at a time, and one that has workers
 * five; it warns in its log of clients that fill that up. */
static void
vadm_remote_read_threadpool(const VadmRemoteStep *step, const VadmMessage *reply)
{
    vadm_admin_server_get_threadpool_parameters_ret ret = {0};
    VadmServerRow *row = &step->server->row;

    if (vadm_remote_step_decode(
            step, reply, (xdrproc_t)xdr_vadm_admin_server_get_threadpool_parameters_ret, &ret))
        vadm_remote_parse_threadpool(ret.params.params_val, ret.params.params_len, row);
    xdr_free((xdrproc_t)xdr_vadm_admin_server_get_threadpool_parameters_ret, (char *)&ret);
    if (strcmp(row->name, "admin") == 0 &&
        (row->unknown & VADM_SERVER_UNKNOWN(VADM_FIELD_SERVER_WORKERS_MAX)) == 0)
        vadm_remote_set_in_flight(step->pass->source,
                                  row->workers_max == 0 ? 1 : VADM_REMOTE_IN_FLIGHT);
}

static void
vadm_remote_read_limits(const VadmRemoteStep *step, const VadmMessage *reply)
{
    vadm_admin_server_get_client_limits_ret ret = {0};

    if (vadm_remote_step_decode(step, reply, (xdrproc_t)xdr_vadm_admin_server_get_client_limits_ret,
                                &ret))
        vadm_remote_parse_limits(ret.params.params_val, ret.params.params_len, &step->server->row);
    xdr_free((xdrproc_t)xdr_vadm_admin_server_get_client_limits_ret, (char *)&ret);
}

static void
vadm_remote_read_filters(const VadmRemoteStep *step, const VadmMessage *reply)
{
    VadmRemoteSnapshot *snapshot = step->pass->snapshot;
    vadm_admin_connect_get_logging_filters_ret ret = {0};

    if (vadm_remote_step_decode(step, reply,
                                (xdrproc_t)xdr_vadm_admin_connect_get_logging_filters_ret, &ret)) {
        const char *filters = ret.filters ? *ret.filters : "";

        if (vadm_remote_text_is_fit(filters)) {
            snapshot->raw_filters = g_strdup(filters);
            snapshot->filters = vadm_remote_log_show(filters, &snapshot->log_level);
        } else {
            vadm_remote_step_complain(step, "they are no printable UTF-8");
        }
    }
    xdr_free((xdrproc_t)xdr_vadm_admin_connect_get_logging_filters_ret, (char *)&ret);
}

static void
vadm_remote_read_outputs(const VadmRemoteStep *step, const VadmMessage *reply)
{
    vadm_admin_connect_get_logging_outputs_ret ret = {0};

    if (vadm_remote_step_decode(step, reply,
                                (xdrproc_t)xdr_vadm_admin_connect_get_logging_outputs_ret, &ret)) {
        if (vadm_remote_text_is_fit(ret.outputs))
            step->pass->snapshot->outputs = g_strdup(ret.outputs);
        else
            vadm_remote_step_complain(step, "they are no printable UTF-8");
    }
    xdr_free((xdrproc_t)xdr_vadm_admin_connect_get_logging_outputs_ret, (char *)&ret);
}

/* Clients */

static gint64
vadm_remote_timestamp(gint64 seconds)
{
    return seconds > 0 && seconds <= G_MAXINT64 / G_USEC_PER_SEC ? seconds * G_USEC_PER_SEC : 0;
}

/* Numbers of the protocol without one in the MIB become 0. */
static VadmTransport
vadm_remote_transport(guint transport)
{
    return transport < VADM_TRANSPORT_TLS ? (VadmTransport)(transport + 1) : 0;
}

static VadmRemoteClient *
vadm_remote_client_from(const vadm_admin_client *listed, const VadmRemoteServer *server)
{
    VadmRemoteClient *client = vadm_remote_client_new();

    client->row.server = server->row.index;
    client->row.id = listed->id;
    client->row.transport = vadm_remote_transport(listed->transport);
    client->row.connected_since = vadm_remote_timestamp(listed->timestamp);
    return client;
}

static gboolean
vadm_remote_client_is(const VadmRemoteClient *client, const vadm_admin_client *listed)
{
    return client && client->row.transport == vadm_remote_transport(listed->transport) &&
           client->row.connected_since == vadm_remote_timestamp(listed->timestamp);
}

static gint
vadm_remote_compare_clients(gconstpointer a, gconstpointer b)
{
    guint32 i = (*(VadmRemoteClient *const *)a)->row.index;
    guint32 j = (*(VadmRemoteClient *const *)b)->row.index;

    return (i > j) - (i < j);
}

/* lvaClientIndex: the low 32 bits of the id, or the next that is free. */
static guint32
vadm_remote_free_index(guint64 id, GHashTable *taken)
{
    guint32 index = (guint32)id;

    while (index == 0 || g_hash_table_contains(taken, GUINT_TO_POINTER(index)))
        index++;
    return index;
}

/* Who is known keeps the index; who is new gets one of those that are left. */
static void
vadm_remote_pass_list(VadmRemoteServer *server, const VadmRemoteKnown *known,
                      const vadm_admin_client *listed, guint n_listed)
{
    g_autoptr(GHashTable) ids = g_hash_table_new(g_int64_hash, g_int64_equal);
    g_autoptr(GHashTable) taken = g_hash_table_new(NULL, NULL);
    g_autoptr(GPtrArray) fresh = g_ptr_array_new();

    for (guint i = 0; i < n_listed; i++) {
        guint64 id = listed[i].id;
        VadmRemoteClient *client = g_hash_table_lookup(known->by_id, &id);

        if (g_hash_table_contains(ids, &id)) /* told twice */
            continue;
        if (vadm_remote_client_is(client, &listed[i])) {
            vadm_remote_client_ref(client);
            g_hash_table_add(taken, GUINT_TO_POINTER(client->row.index));
        } else {
            client = vadm_remote_client_from(&listed[i], server);
            g_ptr_array_add(fresh, client);
        }
        g_hash_table_add(ids, &client->row.id);
        g_ptr_array_add(server->clients, client);
    }
    for (guint i = 0; i < fresh->len; i++) {
        VadmRemoteClient *client = fresh->pdata[i];

        client->row.index = vadm_remote_free_index(client->row.id, taken);
        g_hash_table_add(taken, GUINT_TO_POINTER(client->row.index));
    }
    g_ptr_array_sort(server->clients, vadm_remote_compare_clients);
    server->listed = TRUE;
}

static void
vadm_remote_read_clients(const VadmRemoteStep *step, const VadmMessage *reply)
{
    vadm_admin_server_list_clients_ret ret = {0};
    VadmRemoteKnown *known =
        vadm_remote_memory_find(step->pass->source->memory, step->server->row.name);

    if (vadm_remote_step_decode(step, reply, (xdrproc_t)xdr_vadm_admin_server_list_clients_ret,
                                &ret))
        vadm_remote_pass_list(step->server, known, ret.clients.clients_val,
                              ret.clients.clients_len);
    xdr_free((xdrproc_t)xdr_vadm_admin_server_list_clients_ret, (char *)&ret);
}

/* Identities */

/* How long after the connect the read-only flag and the SASL name may still be about to come,
 * seconds: all but the slowest are through with it; one second more since the daemon tells whole
 * ones. */
#define VADM_REMOTE_YOUNG        (2 + 1)
#define VADM_REMOTE_UNAUTH_YOUNG 60

/* Whether what was told of @client will not change any more. */
static gboolean
vadm_remote_is_settled(const VadmRemoteServer *server, const VadmRemoteClient *client)
{
    gint64 age = g_get_real_time() - client->row.connected_since;
    gboolean unauth = (server->row.unknown &
                       VADM_SERVER_UNKNOWN(VADM_FIELD_SERVER_CLIENTS_UNAUTH_CURRENT)) != 0 ||
                      server->row.clients_unauth_current > 0;

    if (client->row.connected_since == 0) /* unknown: once more must do */
        return client->tries > 1;
    if (age < VADM_REMOTE_YOUNG * G_USEC_PER_SEC)
        return FALSE;
    return !unauth || (age >= VADM_REMOTE_UNAUTH_YOUNG * G_USEC_PER_SEC && client->tries > 1);
}

/* Readers may hold the client as it was: what is new makes a new one. */
static void
vadm_remote_learn(VadmRemoteServer *server, guint place, VadmIdentity *identity, gboolean readonly)
{
    VadmRemoteClient *before = server->clients->pdata[place];
    VadmRemoteClient *client = before;

    if (!before->row.identity || before->row.readonly != readonly ||
        !vadm_remote_identity_equal(before->row.identity, identity)) {
        client = vadm_remote_client_new();
        client->row = before->row;
        client->row.identity = vadm_identity_ref(identity);
        client->row.readonly = readonly;
        client->tries = before->tries;
        client->asked = before->asked;
        server->clients->pdata[place] = client;
        vadm_remote_client_unref(before);
    }
    client->settled = vadm_remote_is_settled(server, client);
}

static void
vadm_remote_read_identity(const VadmRemoteStep *step, const VadmMessage *reply)
{
    vadm_admin_client_get_info_ret ret = {0};
    g_autoptr(VadmIdentity) identity = NULL;
    gboolean readonly;

    if (vadm_remote_step_decode(step, reply, (xdrproc_t)xdr_vadm_admin_client_get_info_ret, &ret))
        identity =
            vadm_remote_parse_identity(ret.params.params_val, ret.params.params_len, &readonly);
    xdr_free((xdrproc_t)xdr_vadm_admin_client_get_info_ret, (char *)&ret);
    if (identity)
        vadm_remote_learn(step->server, step->place, identity, readonly);
}

/* Answers */

static void
vadm_remote_step_read(const VadmRemoteStep *step, const VadmMessage *reply)
{
    switch (step->kind) {
    case VADM_REMOTE_STEP_VERSION:
        vadm_remote_read_version(step, reply);
        break;
    case VADM_REMOTE_STEP_SERVERS:
        vadm_remote_read_servers(step, reply);
        break;
    case VADM_REMOTE_STEP_THREADPOOL:
        vadm_remote_read_threadpool(step, reply);
        break;
    case VADM_REMOTE_STEP_LIMITS:
        vadm_remote_read_limits(step, reply);
        break;
    case VADM_REMOTE_STEP_CLIENTS:
        vadm_remote_read_clients(step, reply);
        break;
    case VADM_REMOTE_STEP_FILTERS:
        vadm_remote_read_filters(step, reply);
        break;
    case VADM_REMOTE_STEP_OUTPUTS:
        vadm_remote_read_outputs(step, reply);
        break;
    case VADM_REMOTE_STEP_IDENTITY:
    default:
        vadm_remote_read_identity(step, reply);
        break;
    }
}

/* A client or a server may go between the list and the question; one without an identity, which is
 * code 1, has not made a call yet. */
static void
vadm_remote_step_refused(const VadmRemoteStep *step, const VadmMessage *reply)
{
    int number = VADM_VIR_ERR_INTERNAL_ERROR;
    g_autofree char *text = vadm_message_get_error(reply, &number, NULL);

    if (step->server && number == VADM_VIR_ERR_NO_SERVER)
        g_ptr_array_add(step->pass->gone, step->server);
    else if (step->kind == VADM_REMOTE_STEP_IDENTITY && number == VADM_VIR_ERR_NO_CLIENT)
        g_clear_pointer(&step->server->clients->pdata[step->place], vadm_remote_client_unref);
    else if (step->kind == VADM_REMOTE_STEP_IDENTITY && number == VADM_VIR_ERR_INTERNAL_ERROR)
        VADM_DEBUG("%s: %s", step->pass->source->name, text ? text : "");
    else
        vadm_remote_step_complain(step, text ? text : "an error that cannot be decoded");
    if (step->kind == VADM_REMOTE_STEP_SERVERS)
        step->pass->failed = TRUE;
}

static void
vadm_remote_step_done(VadmSession *session, const VadmMessage *reply, const GError *error,
                      gpointer user)
{
    VadmRemoteStep *step = user;
    VadmRemotePass *pass = step->pass;
    gboolean timed_out = error && g_error_matches(error, VADM_ERROR, VADM_ERROR_TIMEOUT);

    (void)session;
    pass->in_flight--;
    if (!pass->done) /* given up */
        timed_out = FALSE;
    else if (error)
        pass->failed = TRUE;
    else if (reply->header.status == VADM_RPC_OK)
        vadm_remote_step_read(step, reply);
    else
        vadm_remote_step_refused(step, reply);
    g_free(step);
    if (timed_out)
        vadm_remote_drop(pass->source, error->message);
    vadm_remote_pass_feed(pass);
    vadm_remote_pass_unref(pass);
}

/* Questions */

static void
vadm_remote_step_call(VadmRemoteStep *step, gint32 procedure, xdrproc_t encode, gconstpointer args)
{
    VadmRemotePass *pass = step->pass;

    pass->refs++;
    pass->in_flight++;
    pass->calls++;
    vadm_remote_call(pass->source, procedure, encode, args, 0, vadm_remote_step_done, step);
}

static void
vadm_remote_ask_identity(VadmRemoteStep *step)
{
    VadmRemoteClient *client = step->server->clients->pdata[step->place];
    vadm_admin_client_get_info_args args = {
        .clnt = {.srv = {(char *)step->server->row.name}, .id = client->row.id}};

    client->tries++;
    client->asked = g_get_monotonic_time();
    step->pass->identities++;
    vadm_remote_step_call(step, VADM_ADMIN_PROC_CLIENT_GET_INFO,
                          (xdrproc_t)xdr_vadm_admin_client_get_info_args, &args);
}

/* What is asked of a server: of all three kinds, (name, [1,] 0). */
static void
vadm_remote_ask_server(VadmRemoteStep *step)
{
    vadm_admin_server server = {(char *)step->server->row.name};
    vadm_admin_server_get_threadpool_parameters_args threadpool = {.srv = server};
    vadm_admin_server_get_client_limits_args limits = {.srv = server};
    vadm_admin_server_list_clients_args clients = {.srv = server, .need_results = 1};

    if (step->kind == VADM_REMOTE_STEP_THREADPOOL)
        vadm_remote_step_call(step, VADM_ADMIN_PROC_SERVER_GET_THREADPOOL_PARAMETERS,
                              (xdrproc_t)xdr_vadm_admin_server_get_threadpool_parameters_args,
                              &threadpool);
    else if (step->kind == VADM_REMOTE_STEP_LIMITS)
        vadm_remote_step_call(step, VADM_ADMIN_PROC_SERVER_GET_CLIENT_LIMITS,
                              (xdrproc_t)xdr_vadm_admin_server_get_client_limits_args, &limits);
    else
        vadm_remote_step_call(step, VADM_ADMIN_PROC_SERVER_LIST_CLIENTS,
                              (xdrproc_t)xdr_vadm_admin_server_list_clients_args, &clients);
}

static void
vadm_remote_step_ask(VadmRemoteStep *step)
{
    vadm_admin_connect_list_servers_args servers = {.need_results = 1};
    vadm_admin_connect_get_logging_filters_args filters = {0};
    vadm_admin_connect_get_logging_outputs_args outputs = {0};

    switch (step->kind) {
    case VADM_REMOTE_STEP_VERSION:
        vadm_remote_step_call(step, VADM_ADMIN_PROC_CONNECT_GET_LIB_VERSION, NULL, NULL);
        break;
    case VADM_REMOTE_STEP_SERVERS:
        vadm_remote_step_call(step, VADM_ADMIN_PROC_CONNECT_LIST_SERVERS,
                              (xdrproc_t)xdr_vadm_admin_connect_list_servers_args, &servers);
        break;
    case VADM_REMOTE_STEP_FILTERS:
        vadm_remote_step_call(step, VADM_ADMIN_PROC_CONNECT_GET_LOGGING_FILTERS,
                              (xdrproc_t)xdr_vadm_admin_connect_get_logging_filters_args, &filters);
        break;
    case VADM_REMOTE_STEP_OUTPUTS:
        vadm_remote_step_call(step, VADM_ADMIN_PROC_CONNECT_GET_LOGGING_OUTPUTS,
                              (xdrproc_t)xdr_vadm_admin_connect_get_logging_outputs_args, &outputs);
        break;
    case VADM_REMOTE_STEP_IDENTITY:
        vadm_remote_ask_identity(step);
        break;
    case VADM_REMOTE_STEP_THREADPOOL:
    case VADM_REMOTE_STEP_LIMITS:
    case VADM_REMOTE_STEP_CLIENTS:
    default:
        vadm_remote_ask_server(step);
        break;
    }
}

/* Whether @client is to be asked about in this round. */
static gboolean
vadm_remote_pass_wants(const VadmRemotePass *pass, const VadmRemoteClient *client)
{
    if (!client || client->settled)
        return FALSE;
    return pass->round == 0 ? client->asked == 0 : client->asked < pass->begun;
}

/* Who is new comes first: clients that never tell who they are must not keep others from being
 * known. FALSE: all were asked about. */
static gboolean
vadm_remote_pass_find_client(VadmRemotePass *pass)
{
    GPtrArray *servers = pass->snapshot->servers;

    for (; pass->round < 2; pass->round++) {
        for (; pass->server < servers->len; pass->server++) {
            const VadmRemoteServer *server = servers->pdata[pass->server];

            for (; pass->client < server->clients->len; pass->client++) {
                if (vadm_remote_pass_wants(pass, server->clients->pdata[pass->client]))
                    return TRUE;
            }
            pass->client = 0;
        }
        pass->server = 0;
    }
    return FALSE;
}

/* NULL: there is none, or those that are left have to wait for the next time: what was read must
 * not grow old. */
static VadmRemoteStep *
vadm_remote_pass_next_identity(VadmRemotePass *pass)
{
    VadmRemoteStep *step;

    if (!pass->full || g_get_monotonic_time() - pass->asking > pass->source->interval / 2 ||
        !vadm_remote_pass_find_client(pass))
        return NULL;
    step = g_new0(VadmRemoteStep, 1);
    step->pass = pass;
    step->kind = VADM_REMOTE_STEP_IDENTITY;
    step->server = pass->snapshot->servers->pdata[pass->server];
    step->place = pass->client++;
    return step;
}

/* All lists have to be there before who is in them is asked for. */
static VadmRemoteStep *
vadm_remote_pass_next(VadmRemotePass *pass)
{
    VadmRemoteStep *step = g_queue_pop_head(&pass->todo);

    if (step)
        return step;
    if (pass->asking == 0 && pass->in_flight > 0)
        return NULL;
    if (pass->asking == 0)
        pass->asking = g_get_monotonic_time();
    return vadm_remote_pass_next_identity(pass);
}

/* The end */

static void
vadm_remote_pass_drop_gone(VadmRemotePass *pass)
{
    for (guint i = 0; i < pass->gone->len; i++)
        g_ptr_array_remove(pass->snapshot->servers, pass->gone->pdata[i]);
    for (guint i = 0; i < pass->snapshot->servers->len; i++) {
        GPtrArray *clients = ((VadmRemoteServer *)pass->snapshot->servers->pdata[i])->clients;
        guint kept = 0;

        for (guint j = 0; j < clients->len; j++) {
            gpointer client = g_steal_pointer(&clients->pdata[j]);

            if (client)
                clients->pdata[kept++] = client;
        }
        g_ptr_array_set_size(clients, (gint)kept);
    }
}

static void
vadm_remote_pass_end(VadmRemotePass *pass)
{
    VadmRemotePassFn done = g_steal_pointer(&pass->done);

    if (!pass->failed)
        vadm_remote_pass_drop_gone(pass);
    done(pass, !pass->failed, pass->user);
}

static void
vadm_remote_pass_feed(VadmRemotePass *pass)
{
    VadmRemoteStep *step;

    while (pass->done && !pass->failed &&
           pass->in_flight < vadm_remote_get_in_flight(pass->source) &&
           (step = vadm_remote_pass_next(pass)))
        vadm_remote_step_ask(step);
    if (pass->done && pass->in_flight == 0)
        vadm_remote_pass_end(pass);
}

VadmRemotePass *
vadm_remote_pass_new(VadmRemoteSource *source, gboolean full, gboolean version,
                     VadmRemotePassFn done, gpointer user)
{
    VadmRemotePass *pass = g_new0(VadmRemotePass, 1);

    pass->refs = 1;
    pass->source = source;
    pass->done = done;
    pass->user = user;
    pass->full = full;
    pass->snapshot = vadm_remote_snapshot_new();
    pass->gone = g_ptr_array_new();
    g_queue_init(&pass->todo);
    if (version)
        vadm_remote_pass_add(pass, VADM_REMOTE_STEP_VERSION, NULL);
    vadm_remote_pass_add(pass, VADM_REMOTE_STEP_SERVERS, NULL);
    vadm_remote_pass_add(pass, VADM_REMOTE_STEP_FILTERS, NULL);
    vadm_remote_pass_add(pass, VADM_REMOTE_STEP_OUTPUTS, NULL);
    return pass;
}

void
vadm_remote_pass_run(VadmRemotePass *pass)
{
    pass->begun = g_get_monotonic_time();
    pass->snapshot->taken = pass->begun;
    vadm_remote_pass_feed(pass);
}

void
vadm_remote_pass_free(VadmRemotePass *pass)
{
    if (!pass)
        return;
    pass->done = NULL;
    vadm_remote_pass_unref(pass);
}
