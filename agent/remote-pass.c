/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/remote-pass.h"

#include "rpc/admin.h"

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

void
vadm_remote_pass_add(VadmRemotePass *pass, VadmRemoteQuestionKind kind, VadmRemoteServer *server)
{
    VadmRemoteQuestion *question = g_new0(VadmRemoteQuestion, 1);

    question->pass = pass;
    question->kind = kind;
    question->server = server;
    g_queue_push_tail(&pass->todo, question);
}

/* Answers */

static void
vadm_remote_question_done(VadmSession *session, const VadmMessage *reply, const GError *error,
                          gpointer user)
{
    VadmRemoteQuestion *question = user;
    VadmRemotePass *pass = question->pass;
    gboolean timed_out = error && g_error_matches(error, VADM_ERROR, VADM_ERROR_TIMEOUT);

    (void)session;
    pass->in_flight--;
    if (!pass->done) /* given up */
        timed_out = FALSE;
    else if (error)
        pass->failed = TRUE;
    else if (reply->header.status == VADM_RPC_OK)
        vadm_remote_question_read(question, reply);
    else
        vadm_remote_question_refused(question, reply);
    g_free(question);
    if (timed_out)
        vadm_remote_drop(pass->source, VADM_ORIGIN_ADMIN_RPC, error->message);
    vadm_remote_pass_feed(pass);
    vadm_remote_pass_unref(pass);
}

/* Questions */

static void
vadm_remote_question_call(VadmRemoteQuestion *question, gint32 procedure, xdrproc_t encode,
                          gconstpointer args)
{
    VadmRemotePass *pass = question->pass;

    pass->refs++;
    pass->in_flight++;
    pass->calls++;
    vadm_remote_call(pass->source, procedure, encode, args, 0, vadm_remote_question_done, question);
}

static void
vadm_remote_ask_identity(VadmRemoteQuestion *question)
{
    VadmRemoteClient *client = question->server->clients->pdata[question->place];
    vadm_admin_client_get_info_args args = {
        .clnt = {.srv = {(char *)question->server->row.name}, .id = client->row.id}};

    client->tries++;
    client->asked = g_get_monotonic_time();
    question->pass->identities++;
    vadm_remote_question_call(question, VADM_ADMIN_PROC_CLIENT_GET_INFO,
                              (xdrproc_t)xdr_vadm_admin_client_get_info_args, &args);
}

/* What is asked of a server: of all three kinds, (name, [1,] 0). */
static void
vadm_remote_ask_server(VadmRemoteQuestion *question)
{
    vadm_admin_server server = {(char *)question->server->row.name};
    vadm_admin_server_get_threadpool_parameters_args threadpool = {.srv = server};
    vadm_admin_server_get_client_limits_args limits = {.srv = server};
    vadm_admin_server_list_clients_args clients = {.srv = server, .need_results = 1};

    if (question->kind == VADM_REMOTE_ASK_THREADPOOL)
        vadm_remote_question_call(question, VADM_ADMIN_PROC_SERVER_GET_THREADPOOL_PARAMETERS,
                                  (xdrproc_t)xdr_vadm_admin_server_get_threadpool_parameters_args,
                                  &threadpool);
    else if (question->kind == VADM_REMOTE_ASK_LIMITS)
        vadm_remote_question_call(question, VADM_ADMIN_PROC_SERVER_GET_CLIENT_LIMITS,
                                  (xdrproc_t)xdr_vadm_admin_server_get_client_limits_args, &limits);
    else
        vadm_remote_question_call(question, VADM_ADMIN_PROC_SERVER_LIST_CLIENTS,
                                  (xdrproc_t)xdr_vadm_admin_server_list_clients_args, &clients);
}

static void
vadm_remote_question_ask(VadmRemoteQuestion *question)
{
    vadm_admin_connect_list_servers_args servers = {.need_results = 1};
    vadm_admin_connect_get_logging_filters_args filters = {0};
    vadm_admin_connect_get_logging_outputs_args outputs = {0};

    switch (question->kind) {
    case VADM_REMOTE_ASK_VERSION:
        vadm_remote_question_call(question, VADM_ADMIN_PROC_CONNECT_GET_LIB_VERSION, NULL, NULL);
        break;
    case VADM_REMOTE_ASK_SERVERS:
        vadm_remote_question_call(question, VADM_ADMIN_PROC_CONNECT_LIST_SERVERS,
                                  (xdrproc_t)xdr_vadm_admin_connect_list_servers_args, &servers);
        break;
    case VADM_REMOTE_ASK_FILTERS:
        vadm_remote_question_call(question, VADM_ADMIN_PROC_CONNECT_GET_LOGGING_FILTERS,
                                  (xdrproc_t)xdr_vadm_admin_connect_get_logging_filters_args,
                                  &filters);
        break;
    case VADM_REMOTE_ASK_OUTPUTS:
        vadm_remote_question_call(question, VADM_ADMIN_PROC_CONNECT_GET_LOGGING_OUTPUTS,
                                  (xdrproc_t)xdr_vadm_admin_connect_get_logging_outputs_args,
                                  &outputs);
        break;
    case VADM_REMOTE_ASK_IDENTITY:
        vadm_remote_ask_identity(question);
        break;
    case VADM_REMOTE_ASK_THREADPOOL:
    case VADM_REMOTE_ASK_LIMITS:
    case VADM_REMOTE_ASK_CLIENTS:
    default:
        vadm_remote_ask_server(question);
        break;
    }
}

/* A client that makes no call has no identity for as long as it stays: after so many attempts it is
 * asked about more rarely. */
#define VADM_REMOTE_MANY_TRIES 10

/* Whether @client is to be asked about in this round. */
static gboolean
vadm_remote_pass_wants(const VadmRemotePass *pass, const VadmRemoteClient *client)
{
    gint64 since = pass->begun;

    if (!client || client->settled)
        return FALSE;
    if (pass->round == 0)
        return client->asked == 0;
    if (!client->row.identity && client->tries >= VADM_REMOTE_MANY_TRIES)
        since -= VADM_REMOTE_MANY_TRIES * pass->source->interval;
    return client->asked < since;
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
static VadmRemoteQuestion *
vadm_remote_pass_next_identity(VadmRemotePass *pass)
{
    VadmRemoteQuestion *question;

    if (!pass->full || g_get_monotonic_time() - pass->asking > pass->source->interval / 2 ||
        !vadm_remote_pass_find_client(pass))
        return NULL;
    question = g_new0(VadmRemoteQuestion, 1);
    question->pass = pass;
    question->kind = VADM_REMOTE_ASK_IDENTITY;
    question->server = pass->snapshot->servers->pdata[pass->server];
    question->place = pass->client++;
    return question;
}

/* All lists have to be there before who is in them is asked for. */
static VadmRemoteQuestion *
vadm_remote_pass_next(VadmRemotePass *pass)
{
    VadmRemoteQuestion *question = g_queue_pop_head(&pass->todo);

    if (question)
        return question;
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
    VadmRemoteQuestion *question;

    while (pass->done && !pass->failed &&
           pass->in_flight < vadm_remote_get_max_in_flight(pass->source) &&
           (question = vadm_remote_pass_next(pass)))
        vadm_remote_question_ask(question);
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
        vadm_remote_pass_add(pass, VADM_REMOTE_ASK_VERSION, NULL);
    vadm_remote_pass_add(pass, VADM_REMOTE_ASK_SERVERS, NULL);
    vadm_remote_pass_add(pass, VADM_REMOTE_ASK_FILTERS, NULL);
    vadm_remote_pass_add(pass, VADM_REMOTE_ASK_OUTPUTS, NULL);
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
