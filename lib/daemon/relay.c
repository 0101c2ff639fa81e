/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define VADM_LOG_CATEGORY "daemon.relay"
#include "daemon/relay-private.h"

#include "common/log.h"
#include "daemon/daemon.h"
#include "rpc/protocol.h"
#include "rpc/remote.h"
#include "rpc/rpc-error.h"

/* Calls */

static VadmRelayCall *
vadm_relay_call_new(VadmRelay *relay, VadmRelayLink *link, VadmClient *client, VadmMessage *message)
{
    VadmRelayCall *call = g_new0(VadmRelayCall, 1);

    call->refs = 1;
    call->relay = relay;
    call->link = vadm_relay_link_ref(link);
    call->client = vadm_client_ref(client);
    call->header = message->header;
    call->message = message;
    vadm_mutex_init(&call->lock);
    vadm_cond_init(&call->cond);
    return call;
}

VadmRelayCall *
vadm_relay_call_ref(VadmRelayCall *call)
{
    g_atomic_int_inc(&call->refs);
    return call;
}

void
vadm_relay_call_unref(VadmRelayCall *call)
{
    if (!g_atomic_int_dec_and_test(&call->refs))
        return;
    g_clear_pointer(&call->message, vadm_message_free);
    g_clear_pointer(&call->injection, vadm_message_free);
    vadm_relay_link_unref(call->link);
    vadm_client_unref(call->client);
    vadm_cond_clear(&call->cond);
    vadm_mutex_clear(&call->lock);
    g_free(call);
}

void
vadm_relay_call_finish(VadmRelayCall *call, gboolean ok)
{
    if (call->placed && call->released)
        return;
    if (call->placed) {
        call->released = TRUE;
        vadm_pool_release(vadm_server_get_pool(call->relay->server), &call->place, ok);
        return;
    }
    VADM_LOCK_SCOPE(&call->lock);
    call->done = TRUE;
    call->ok = ok;
    vadm_cond_signal(&call->cond);
}

static gboolean
vadm_relay_call_wait(VadmRelayCall *call)
{
    VADM_LOCK_SCOPE(&call->lock);
    while (!call->done)
        vadm_cond_wait(&call->cond, &call->lock);
    return call->ok;
}

static void
vadm_relay_job_add(VadmRelayGuest *guest, VadmRelayCall *call)
{
    guest->jobs = g_list_prepend(guest->jobs, vadm_relay_call_ref(call));
    call->job = guest->jobs;
}

static void
vadm_relay_job_remove(VadmRelayGuest *guest, VadmRelayCall *call)
{
    if (!call->job)
        return;
    guest->jobs = g_list_delete_link(guest->jobs, call->job);
    call->job = NULL;
    vadm_relay_call_unref(call);
}

/* Workers may be busy for as long as the upstream likes. What waits for them would stay here, with
 * its memory and descriptors, and who comes, calls and goes could pile it up without end. */
static void
vadm_relay_cancel_jobs(VadmRelay *relay, VadmRelayGuest *guest)
{
    while (guest->jobs) {
        VadmRelayCall *call = guest->jobs->data;

        vadm_pool_cancel(vadm_server_get_pool(relay->server), call);
        vadm_relay_job_remove(guest, call);
    }
}

/* In the main thread: the worker has handed the call over. */
static void
vadm_relay_call_forward(gpointer data)
{
    VadmRelayCall *call = data;

    vadm_relay_job_remove(vadm_client_get_program_data(call->client), call);
    vadm_relay_link_submit(call->link, call);
}

/* The main loop is gone: nobody will ever answer. */
static void
vadm_relay_call_give_up(gpointer data)
{
    VadmRelayCall *call = data;

    vadm_relay_call_finish(call, FALSE);
    vadm_relay_call_unref(call);
}

static gboolean
vadm_relay_call_is(const VadmRelayCall *call, gint32 procedure)
{
    return call->header.program == VADM_RPC_PROGRAM_REMOTE && call->header.procedure == procedure;
}

/* In a worker, which is busy until the reply has gone to the client. */
static gboolean
vadm_relay_call_run(gpointer data)
{
    VadmRelayCall *call = data;

    if (vadm_client_is_closed(call->client))
        return FALSE;
    if (vadm_relay_call_is(call, VADM_REMOTE_PROC_CONNECT_OPEN)) {
        g_autoptr(GError) error = NULL;
        call->injection = vadm_relay_identity_message(call->client, &error);
        /* The link fails the call that comes without: nobody acts under our own identity. */
        if (!call->injection)
            VADM_ERR("identity of client %" G_GUINT64_FORMAT ": %s",
                     vadm_client_get_id(call->client), error->message);
    }
    vadm_mailbox_post(call->relay->mailbox, vadm_relay_call_forward, vadm_relay_call_ref(call),
                      vadm_relay_call_give_up);
    return vadm_relay_call_wait(call);
}

static void
vadm_relay_call_destroy(gpointer data)
{
    vadm_relay_call_unref(data);
}

/* Answers that are given here */

void
vadm_relay_answer(VadmClient *client, const VadmMessage *call, xdrproc_t encode,
                  gconstpointer payload)
{
    g_autoptr(GError) error = NULL;
    VadmMessage *reply = vadm_message_new_reply(&call->header, encode, payload, &error);

    if (!reply)
        reply = vadm_message_new_gerror(&call->header, VADM_VIR_FROM_RPC, error);
    vadm_client_reply(client, reply);
}

void
vadm_relay_refuse(VadmClient *client, const VadmMessage *call, int number, const char *detail)
{
    vadm_client_reply(client,
                      vadm_message_new_error(&call->header, number, VADM_VIR_FROM_RPC, detail, -1));
}

static void
vadm_relay_refuse_identity(VadmClient *client, const VadmMessage *call)
{
    if (vadm_server_may_complain(vadm_client_get_server(client)))
        VADM_WARN("client %" G_GUINT64_FORMAT " tried to set an identity of its own",
                  vadm_client_get_id(client));
    vadm_relay_refuse(client, call, VADM_VIR_ERR_ACCESS_DENIED,
                      "a client may not set its identity: the server passes on the one that it "
                      "knows");
}

/* Keepalive is terminated on each side, so that answer is ours. Descriptors go through unix sockets
 * only: elsewhere there is nothing to ask the upstream. Returns: FALSE: the feature is for the
 * upstream to say. */
static gboolean
vadm_relay_answer_feature(VadmClient *client, const VadmMessage *call)
{
    struct vadm_remote_connect_supports_feature_args args = {.feature = 0};
    struct vadm_remote_connect_supports_feature_ret ret = {.supported = 0};
    g_autoptr(GError) error = NULL;

    if (!vadm_message_decode(call, (xdrproc_t)xdr_vadm_remote_connect_supports_feature_args, &args,
                             &error)) {
        vadm_client_reply(client, vadm_message_new_gerror(&call->header, VADM_VIR_FROM_RPC, error));
        return TRUE;
    }
    if (args.feature == VADM_REMOTE_FEATURE_KEEPALIVE) {
        vadm_client_start_keepalive(client);
        ret.supported = 1;
    } else if (args.feature != VADM_REMOTE_FEATURE_FD_PASSING ||
               vadm_relay_takes_descriptors(client)) {
        return FALSE;
    }
    vadm_relay_answer(client, call, (xdrproc_t)xdr_vadm_remote_connect_supports_feature_ret, &ret);
    return TRUE;
}

/* Returns: TRUE when the call has been answered here */
static gboolean
vadm_relay_answer_locally(VadmClient *client, const VadmMessage *call)
{
    if (call->header.program != VADM_RPC_PROGRAM_REMOTE)
        return FALSE;
    switch (call->header.procedure) {
    case VADM_REMOTE_PROC_CONNECT_SET_IDENTITY:
        vadm_relay_refuse_identity(client, call);
        return TRUE;
    case VADM_REMOTE_PROC_CONNECT_SUPPORTS_FEATURE:
        return vadm_relay_answer_feature(client, call);
    default:
        return FALSE;
    }
}

/* The program */

gboolean
vadm_relay_handles(guint32 program, guint32 version)
{
    return version == VADM_RPC_VERSION &&
           (program == VADM_RPC_PROGRAM_REMOTE || program == VADM_RPC_PROGRAM_QEMU ||
            program == VADM_RPC_PROGRAM_LXC);
}

static gboolean
vadm_relay_program_handles(VadmProgram *program, guint32 number, guint32 version)
{
    (void)program;
    return vadm_relay_handles(number, version);
}

static void
vadm_relay_guest_free(gpointer data)
{
    VadmRelayGuest *guest = data;

    g_clear_pointer(&guest->link, vadm_relay_link_unref);
    g_clear_pointer(&guest->auth, vadm_relay_auth_free);
    g_free(guest);
}

static VadmRelayGuest *
vadm_relay_get_guest(VadmClient *client)
{
    VadmRelayGuest *guest = vadm_client_get_program_data(client);

    if (guest)
        return guest;
    guest = g_new0(VadmRelayGuest, 1);
    vadm_client_set_program_data(client, guest, vadm_relay_guest_free);
    return guest;
}

VadmRelayAuth *
vadm_relay_get_auth(VadmClient *client)
{
    VadmRelayGuest *guest = vadm_relay_get_guest(client);

    if (!guest->auth)
        guest->auth = vadm_relay_auth_new();
    return guest->auth;
}

/* (nullable) */
static VadmRelayLink *
vadm_relay_find_link(VadmClient *client)
{
    const VadmRelayGuest *guest = vadm_client_get_program_data(client);

    return guest ? guest->link : NULL;
}

/* A read-only service has the read-only upstream or none at all: falling back would let its
 * clients write. */
static VadmRelayLink *
vadm_relay_get_link(VadmRelay *relay, VadmClient *client)
{
    VadmRelayGuest *guest = vadm_relay_get_guest(client);

    if (!guest->link)
        guest->link =
            vadm_relay_link_new(&relay->upstreams[vadm_client_is_readonly(client) ? 1 : 0], client);
    return guest->link;
}

/* Where a worker is free the call goes at once, and has the place that it would have. Only OPEN
 * needs the worker itself, to wait for names. @call: (transfer full) */
static void
vadm_relay_dispatch(VadmRelay *relay, VadmRelayCall *call)
{
    VadmPool *pool = vadm_server_get_pool(relay->server);
    gboolean priority = vadm_relay_is_priority(call->header.program, call->header.procedure);

    call->placed = !vadm_relay_call_is(call, VADM_REMOTE_PROC_CONNECT_OPEN) &&
                   vadm_pool_reserve(pool, priority, &call->place);
    if (call->placed) {
        vadm_relay_link_submit(call->link, call);
        return;
    }
    vadm_relay_job_add(vadm_relay_get_guest(call->client), call);
    vadm_pool_push(pool, priority, vadm_relay_call_run, call, vadm_relay_call_destroy);
}

static void
vadm_relay_program_call(VadmProgram *program, VadmClient *client, VadmMessage *message)
{
    VadmRelay *relay = (VadmRelay *)program;

    message = vadm_relay_fds_call(client, message);
    if (!message || vadm_relay_auth_call(relay, client, message))
        return;
    if (vadm_relay_answer_locally(client, message)) {
        vadm_message_free(message);
        return;
    }
    vadm_relay_dispatch(
        relay, vadm_relay_call_new(relay, vadm_relay_get_link(relay, client), client, message));
}

static void
vadm_relay_program_stream(VadmProgram *program, VadmClient *client, VadmMessage *message)
{
    VadmRelayLink *link = vadm_relay_find_link(client);

    (void)program;
    if (link)
        vadm_relay_link_stream(link, message);
    else
        vadm_message_free(message);
}

static void
vadm_relay_program_client_closed(VadmProgram *program, VadmClient *client)
{
    VadmRelay *relay = (VadmRelay *)program;
    VadmRelayGuest *guest = vadm_client_get_program_data(client);

    if (!guest)
        return;
    vadm_relay_cancel_jobs(relay, guest);
    if (guest->auth)
        vadm_relay_auth_leave(guest->auth, relay);
    if (guest->link)
        vadm_relay_link_close(guest->link);
}

static void
vadm_relay_program_client_drained(VadmProgram *program, VadmClient *client)
{
    VadmRelayLink *link = vadm_relay_find_link(client);

    (void)program;
    if (link)
        vadm_relay_link_resume(link);
}

static void
vadm_relay_program_free(VadmProgram *program)
{
    VadmRelay *relay = (VadmRelay *)program;

    for (guint i = 0; i < G_N_ELEMENTS(relay->upstreams); i++)
        vadm_relay_state_clear(&relay->upstreams[i]);
    vadm_mailbox_unref(relay->mailbox);
    g_free(relay);
}

static const VadmProgramClass vadm_relay_class = {
    .name = "relay",
    .descriptors = TRUE,
    .handles = vadm_relay_program_handles,
    .call = vadm_relay_program_call,
    .stream = vadm_relay_program_stream,
    .client_closed = vadm_relay_program_client_closed,
    .client_drained = vadm_relay_program_client_drained,
    .free = vadm_relay_program_free,
};

static VadmRelayUpstream
vadm_relay_upstream(VadmRelay *relay, const char *path)
{
    return (VadmRelayUpstream){.relay = relay, .path = path, .state = VADM_UPSTREAM_NONE};
}

VadmProgram *
vadm_relay_new(VadmServer *server)
{
    const VadmServerConfig *config = vadm_server_get_config(server);
    VadmDaemon *daemon = vadm_server_get_daemon(server);
    VadmRelay *relay = g_new0(VadmRelay, 1);

    relay->program.class = &vadm_relay_class;
    relay->server = server;
    relay->mailbox = vadm_mailbox_ref(vadm_daemon_get_mailbox(daemon));
    relay->context = vadm_daemon_get_context(daemon);
    relay->deadline_ms = VADM_RELAY_DEADLINE_MS;
    relay->look_ms = VADM_RELAY_LOOK_MS;
    g_queue_init(&relay->turns);
    relay->upstreams[0] = vadm_relay_upstream(relay, config->upstream);
    relay->upstreams[1] = vadm_relay_upstream(relay, config->upstream_ro);
    return &relay->program;
}

void
vadm_relay_set_deadline(VadmProgram *program, guint deadline_ms)
{
    ((VadmRelay *)program)->deadline_ms = deadline_ms;
}
