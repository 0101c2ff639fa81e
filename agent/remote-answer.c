/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the daemon's answers mean for the snapshot that a pass makes. */
#include <string.h>

#include "agent/remote-identity.h"
#include "agent/remote-pass.h"
#include "rpc/admin.h"
#include "rpc/rpc-error.h"

#define VADM_LOG_CATEGORY "agent.remote"
#include "common/log.h"

/* What the daemon refuses, or says in a way that cannot be understood */

static const char *
vadm_remote_question_name(const VadmRemoteQuestion *question)
{
    static const char *const names[] = {
        [VADM_REMOTE_ASK_VERSION] = "its version",
        [VADM_REMOTE_ASK_SERVERS] = "its servers",
        [VADM_REMOTE_ASK_THREADPOOL] = "the worker pool",
        [VADM_REMOTE_ASK_LIMITS] = "the client limits",
        [VADM_REMOTE_ASK_CLIENTS] = "the clients",
        [VADM_REMOTE_ASK_FILTERS] = "the log filters",
        [VADM_REMOTE_ASK_OUTPUTS] = "the log outputs",
        [VADM_REMOTE_ASK_IDENTITY] = "a client",
    };

    return names[question->kind];
}

static guint *
vadm_remote_question_complaints(const VadmRemoteQuestion *question)
{
    VadmRemoteMemory *memory = question->pass->source->memory;
    VadmRemoteKnown *known =
        question->server ? vadm_remote_memory_find(memory, question->server->row.name) : NULL;

    return known ? &known->complaints : &memory->complaints;
}

/* Once, until it works again or the daemon is another one. */
static void
vadm_remote_question_complain(const VadmRemoteQuestion *question, const char *why)
{
    guint *complaints = vadm_remote_question_complaints(question);
    guint bit = 1u << question->kind;

    if ((*complaints & bit) == 0)
        VADM_WARN("%s: cannot read %s%s%s: %s", question->pass->source->name,
                  vadm_remote_question_name(question), question->server ? " of server " : "",
                  question->server ? question->server->row.name : "", why);
    *complaints |= bit;
}

/* Decoding */

/* What all answers are read with. FALSE: it was told why not. */
static gboolean
vadm_remote_question_decode(const VadmRemoteQuestion *question, const VadmMessage *reply,
                            xdrproc_t decode, gpointer payload)
{
    g_autoptr(GError) error = NULL;

    if (!vadm_message_decode(reply, decode, payload, &error)) {
        vadm_remote_question_complain(question, error->message);
        return FALSE;
    }
    *vadm_remote_question_complaints(question) &= ~(1u << question->kind);
    return TRUE;
}

static void
vadm_remote_read_version(const VadmRemoteQuestion *question, const VadmMessage *reply)
{
    vadm_admin_connect_get_lib_version_ret ret = {0};
    guint64 version;

    if (vadm_remote_question_decode(question, reply,
                                    (xdrproc_t)xdr_vadm_admin_connect_get_lib_version_ret, &ret)) {
        version = ret.lib_version;
        question->pass->snapshot->version =
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

        if (*name != '\0' && vadm_remote_text_is_kept(name)) {
            g_ptr_array_add(names, name);
        } else if (!memory->strange) {
            VADM_WARN(
                "%s: a server whose name is empty, no printable UTF-8 or longer than %u octets "
                "is not shown",
                pass->source->name, VADM_REMOTE_TEXT_MAX);
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
vadm_remote_read_servers(const VadmRemoteQuestion *question, const VadmMessage *reply)
{
    VadmRemotePass *pass = question->pass;
    vadm_admin_connect_list_servers_ret ret = {0};

    if (vadm_remote_question_decode(question, reply,
                                    (xdrproc_t)xdr_vadm_admin_connect_list_servers_ret, &ret))
        vadm_remote_pass_meet(pass, &ret);
    else
        pass->failed = TRUE;
    xdr_free((xdrproc_t)xdr_vadm_admin_connect_list_servers_ret, (char *)&ret);
    for (guint i = 0; i < pass->snapshot->servers->len; i++) {
        VadmRemoteServer *server = pass->snapshot->servers->pdata[i];

        vadm_remote_pass_add(pass, VADM_REMOTE_ASK_THREADPOOL, server);
        vadm_remote_pass_add(pass, VADM_REMOTE_ASK_LIMITS, server);
        if (pass->full)
            vadm_remote_pass_add(pass, VADM_REMOTE_ASK_CLIENTS, server);
    }
}

/* A daemon that runs the calls in its main loop takes one at a time, and one that has workers
 * five; it warns in its log of clients that fill that up. */
static void
vadm_remote_read_threadpool(const VadmRemoteQuestion *question, const VadmMessage *reply)
{
    vadm_admin_server_get_threadpool_parameters_ret ret = {0};
    VadmServerRow *row = &question->server->row;

    if (vadm_remote_question_decode(
            question, reply, (xdrproc_t)xdr_vadm_admin_server_get_threadpool_parameters_ret, &ret))
        vadm_remote_parse_threadpool(ret.params.params_val, ret.params.params_len, row);
    xdr_free((xdrproc_t)xdr_vadm_admin_server_get_threadpool_parameters_ret, (char *)&ret);
    if (strcmp(row->name, "admin") == 0 &&
        (row->unknown & VADM_SERVER_UNKNOWN(VADM_FIELD_SERVER_WORKERS_MAX)) == 0)
        vadm_remote_set_in_flight(question->pass->source,
                                  row->workers_max == 0 ? 1 : VADM_REMOTE_IN_FLIGHT);
}

static void
vadm_remote_read_limits(const VadmRemoteQuestion *question, const VadmMessage *reply)
{
    vadm_admin_server_get_client_limits_ret ret = {0};

    if (vadm_remote_question_decode(question, reply,
                                    (xdrproc_t)xdr_vadm_admin_server_get_client_limits_ret, &ret))
        vadm_remote_parse_limits(ret.params.params_val, ret.params.params_len,
                                 &question->server->row);
    xdr_free((xdrproc_t)xdr_vadm_admin_server_get_client_limits_ret, (char *)&ret);
}

static void
vadm_remote_read_filters(const VadmRemoteQuestion *question, const VadmMessage *reply)
{
    VadmRemoteSnapshot *snapshot = question->pass->snapshot;
    vadm_admin_connect_get_logging_filters_ret ret = {0};

    if (vadm_remote_question_decode(
            question, reply, (xdrproc_t)xdr_vadm_admin_connect_get_logging_filters_ret, &ret)) {
        const char *filters = ret.filters ? *ret.filters : "";

        if (vadm_remote_text_is_fit(filters)) {
            snapshot->raw_filters = g_strdup(filters);
            snapshot->filters = vadm_remote_log_show(filters, &snapshot->log_level);
        } else {
            vadm_remote_question_complain(question, "they are no printable UTF-8");
        }
    }
    xdr_free((xdrproc_t)xdr_vadm_admin_connect_get_logging_filters_ret, (char *)&ret);
}

static void
vadm_remote_read_outputs(const VadmRemoteQuestion *question, const VadmMessage *reply)
{
    vadm_admin_connect_get_logging_outputs_ret ret = {0};

    if (vadm_remote_question_decode(
            question, reply, (xdrproc_t)xdr_vadm_admin_connect_get_logging_outputs_ret, &ret)) {
        if (vadm_remote_text_is_fit(ret.outputs))
            question->pass->snapshot->outputs = g_strdup(ret.outputs);
        else
            vadm_remote_question_complain(question, "they are no printable UTF-8");
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

/* Index -> where to look on from it, for those that are not free. Many clients that want the same
 * index, or indexes beside each other, shall not pass by all others each: a daemon that tells such
 * ids would keep us busy for seconds, with each list. */
static GHashTable *
vadm_remote_indexes_new(void)
{
    GHashTable *taken = g_hash_table_new(NULL, NULL);

    g_hash_table_insert(taken, GUINT_TO_POINTER(0), GUINT_TO_POINTER(1));
    return taken;
}

static void
vadm_remote_set_next(GHashTable *taken, guint32 index, guint32 next)
{
    g_hash_table_insert(taken, GUINT_TO_POINTER(index), GUINT_TO_POINTER(next));
}

/* @index itself if it is free. */
static guint32
vadm_remote_get_next(GHashTable *taken, guint32 index)
{
    gpointer next;

    return g_hash_table_lookup_extended(taken, GUINT_TO_POINTER(index), NULL, &next)
               ? GPOINTER_TO_UINT(next)
               : index;
}

/* lvaClientIndex: the low 32 bits of the id, or the next that is free. Whoever comes to one of
 * those that were passed by looks on behind it. */
static guint32
vadm_remote_take_index(guint64 id, GHashTable *taken)
{
    guint32 index = (guint32)id;
    guint32 next;

    while ((next = vadm_remote_get_next(taken, index)) != index)
        index = next;
    for (guint32 passed = (guint32)id; passed != index; passed = next) {
        next = vadm_remote_get_next(taken, passed);
        vadm_remote_set_next(taken, passed, index + 1);
    }
    vadm_remote_set_next(taken, index, index + 1);
    return index;
}

/* Who is known keeps the index; who is new gets one of those that are left. */
static void
vadm_remote_pass_list(VadmRemoteServer *server, const VadmRemoteKnown *known,
                      const vadm_admin_client *listed, guint n_listed)
{
    g_autoptr(GHashTable) ids = g_hash_table_new(vadm_remote_id_hash, g_int64_equal);
    g_autoptr(GHashTable) taken = vadm_remote_indexes_new();
    g_autoptr(GPtrArray) fresh = g_ptr_array_new();

    for (guint i = 0; i < n_listed; i++) {
        guint64 id = listed[i].id;
        VadmRemoteClient *client = g_hash_table_lookup(known->by_id, &id);

        if (g_hash_table_contains(ids, &id)) /* told twice */
            continue;
        if (vadm_remote_client_is(client, &listed[i])) {
            vadm_remote_client_ref(client);
            vadm_remote_set_next(taken, client->row.index, client->row.index + 1);
        } else {
            client = vadm_remote_client_from(&listed[i], server);
            g_ptr_array_add(fresh, client);
        }
        g_hash_table_add(ids, &client->row.id);
        g_ptr_array_add(server->clients, client);
    }
    for (guint i = 0; i < fresh->len; i++) {
        VadmRemoteClient *client = fresh->pdata[i];

        client->row.index = vadm_remote_take_index(client->row.id, taken);
    }
    g_ptr_array_sort(server->clients, vadm_remote_compare_clients);
    server->listed = TRUE;
}

static void
vadm_remote_read_clients(const VadmRemoteQuestion *question, const VadmMessage *reply)
{
    vadm_admin_server_list_clients_ret ret = {0};
    VadmRemoteKnown *known =
        vadm_remote_memory_find(question->pass->source->memory, question->server->row.name);

    if (vadm_remote_question_decode(question, reply,
                                    (xdrproc_t)xdr_vadm_admin_server_list_clients_ret, &ret))
        vadm_remote_pass_list(question->server, known, ret.clients.clients_val,
                              ret.clients.clients_len);
    xdr_free((xdrproc_t)xdr_vadm_admin_server_list_clients_ret, (char *)&ret);
}

/* Identities */

/* How long after the connect, in seconds, what CONNECT_OPEN and SASL make known may still be about
 * to come: nearly all are through with it in two, or in a minute where somebody has to type a
 * password; one more since the daemon tells whole ones. */
#define VADM_REMOTE_YOUNG        (2 + 1)
#define VADM_REMOTE_UNAUTH_YOUNG 60

/* Whether what was told of @client will not change any more. Where somebody has not authenticated,
 * it may be this one; but one that never does must not have us ask about all others for ever. */
static gboolean
vadm_remote_is_settled(const VadmRemoteServer *server, const VadmRemoteClient *client)
{
    const VadmServerRow *row = &server->row;
    gboolean known =
        (row->unknown & VADM_SERVER_UNKNOWN(VADM_FIELD_SERVER_CLIENTS_UNAUTH_CURRENT)) == 0;
    gint64 age = g_get_real_time() - client->row.connected_since;

    if (client->row.connected_since == 0 || age < 0)
        return client->tries > 1;
    if (age < VADM_REMOTE_YOUNG * G_USEC_PER_SEC)
        return FALSE;
    if ((known && row->clients_unauth_current == 0) ||
        g_strcmp0(client->row.identity->sasl_user_name, "") != 0)
        return TRUE;
    return age >= VADM_REMOTE_UNAUTH_YOUNG * G_USEC_PER_SEC && client->tries > 1;
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
vadm_remote_read_identity(const VadmRemoteQuestion *question, const VadmMessage *reply)
{
    vadm_admin_client_get_info_ret ret = {0};
    g_autoptr(VadmIdentity) identity = NULL;
    gboolean readonly;

    if (vadm_remote_question_decode(question, reply, (xdrproc_t)xdr_vadm_admin_client_get_info_ret,
                                    &ret))
        identity =
            vadm_remote_parse_identity(ret.params.params_val, ret.params.params_len, &readonly);
    xdr_free((xdrproc_t)xdr_vadm_admin_client_get_info_ret, (char *)&ret);
    if (identity)
        vadm_remote_learn(question->server, question->place, identity, readonly);
}

/* All of them */

void
vadm_remote_question_read(const VadmRemoteQuestion *question, const VadmMessage *reply)
{
    switch (question->kind) {
    case VADM_REMOTE_ASK_VERSION:
        vadm_remote_read_version(question, reply);
        break;
    case VADM_REMOTE_ASK_SERVERS:
        vadm_remote_read_servers(question, reply);
        break;
    case VADM_REMOTE_ASK_THREADPOOL:
        vadm_remote_read_threadpool(question, reply);
        break;
    case VADM_REMOTE_ASK_LIMITS:
        vadm_remote_read_limits(question, reply);
        break;
    case VADM_REMOTE_ASK_CLIENTS:
        vadm_remote_read_clients(question, reply);
        break;
    case VADM_REMOTE_ASK_FILTERS:
        vadm_remote_read_filters(question, reply);
        break;
    case VADM_REMOTE_ASK_OUTPUTS:
        vadm_remote_read_outputs(question, reply);
        break;
    case VADM_REMOTE_ASK_IDENTITY:
    default:
        vadm_remote_read_identity(question, reply);
        break;
    }
}

/* A client or a server may go between the list and the question; one without an identity, which is
 * code 1, has not made a call yet. */
void
vadm_remote_question_refused(const VadmRemoteQuestion *question, const VadmMessage *reply)
{
    int number = VADM_VIR_ERR_INTERNAL_ERROR;
    g_autofree char *text = vadm_message_get_error(reply, &number, NULL);

    if (question->server && number == VADM_VIR_ERR_NO_SERVER)
        g_ptr_array_add(question->pass->gone, question->server);
    else if (question->kind == VADM_REMOTE_ASK_IDENTITY && number == VADM_VIR_ERR_NO_CLIENT)
        g_clear_pointer(&question->server->clients->pdata[question->place],
                        vadm_remote_client_unref);
    else if (question->kind == VADM_REMOTE_ASK_IDENTITY && number == VADM_VIR_ERR_INTERNAL_ERROR)
        VADM_DEBUG("%s: %s", question->pass->source->name, text ? text : "");
    else
        vadm_remote_question_complain(question, text ? text : "an error that cannot be decoded");
    if (question->kind == VADM_REMOTE_ASK_SERVERS)
        question->pass->failed = TRUE;
}
