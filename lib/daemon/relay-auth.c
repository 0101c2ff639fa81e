/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who a client is, before the relay does anything for it: procedures 66 to 70 of the remote
 * program, and the gate in front of all others (docs/relay.md, "Authentication").
 *
 * A SASL exchange goes from turn to turn through a worker, since checking somebody may take its
 * time. The client is held meanwhile, so there is one turn at a time, and what it sent behind it
 * is looked at when it is known who it is. A turn keeps its worker when its client goes, so that
 * strangers who come and go could have all workers: half of them is what turns get.
 */
#define VADM_LOG_CATEGORY "daemon.relay"
#include "daemon/relay-private.h"

#include "common/log.h"
#include "daemon/sasl-layer.h"
#include "daemon/server.h"
#include "rpc/protocol.h"
#include "rpc/remote.h"
#include "rpc/rpc-error.h"

/* What the client may say next: INIT, then START, then STEP until it is done. Cyrus SASL does not
 * survive a STEP without a START. */
typedef enum { AUTH_NEW, AUTH_LISTED, AUTH_STARTED } VadmRelayAuthStage;

typedef struct _VadmRelayTurn VadmRelayTurn;

/* Whoever has the turn, the main thread or a worker, has stage and sasl alone. */
struct _VadmRelayAuth {
    VadmRelayTurn *waiting; /* (nullable): in relay->turns; main thread */
    VadmRelayAuthStage stage;
    VadmSasl *sasl; /* from INIT to the end of the exchange */
};

typedef enum { TURN_GOES_ON, TURN_ADMITS, TURN_REFUSES } VadmRelayAuthOutcome;

/* One turn. */
struct _VadmRelayTurn {
    gint refs;
    VadmRelay *relay;
    VadmClient *client; /* and with it the auth */
    VadmRelayAuth *auth;
    VadmMessage *call;
    VadmSaslPeer peer; /* INIT */

    /* of the worker */
    VadmRelayAuthOutcome outcome;
    VadmMessage *reply;
    char *user;      /* TURN_ADMITS */
    VadmSasl *layer; /* (nullable): TURN_ADMITS: with a security layer from here on */
};

VadmRelayAuth *
vadm_relay_auth_new(void)
{
    return g_new0(VadmRelayAuth, 1);
}

void
vadm_relay_auth_free(VadmRelayAuth *auth)
{
    vadm_sasl_free(auth->sasl);
    g_free(auth);
}

static VadmRelayTurn *
turn_ref(VadmRelayTurn *turn)
{
    g_atomic_int_inc(&turn->refs);
    return turn;
}

static void
turn_unref(gpointer data)
{
    VadmRelayTurn *turn = data;

    if (!g_atomic_int_dec_and_test(&turn->refs))
        return;
    vadm_message_free(turn->call);
    g_clear_pointer(&turn->reply, vadm_message_free);
    g_free(turn->user);
    g_free(turn->peer.local);
    g_free(turn->peer.remote);
    vadm_sasl_free(turn->layer);
    vadm_client_unref(turn->client);
    g_free(turn);
}

/* In a worker */

/* The client is told that it failed, and never why. */
static void
turn_fail(VadmRelayTurn *turn, const char *reason)
{
    if (vadm_server_may_complain(turn->relay->server))
        VADM_WARN("SASL authentication of client %" G_GUINT64_FORMAT " failed: %s",
                  vadm_client_get_id(turn->client), reason);
    turn->outcome = TURN_REFUSES;
    turn->reply = vadm_message_new_error(&turn->call->header, VADM_VIR_ERR_AUTH_FAILED,
                                         VADM_VIR_FROM_RPC, "authentication failed", -1);
}

static void
turn_answer(VadmRelayTurn *turn, xdrproc_t encode, gconstpointer payload)
{
    g_autoptr(GError) error = NULL;

    turn->reply = vadm_message_new_reply(&turn->call->header, encode, payload, &error);
    if (!turn->reply)
        turn_fail(turn, error->message);
}

/* What cannot be read is no attempt to authenticate: an error of the protocol, as for any other
 * call. @args: zeroed; freed by the caller in either case. */
static gboolean
turn_decode(VadmRelayTurn *turn, xdrproc_t decode, gpointer args)
{
    g_autoptr(GError) error = NULL;

    if (vadm_message_decode(turn->call, decode, args, &error))
        return TRUE;
    turn->reply = vadm_message_new_gerror(&turn->call->header, VADM_VIR_FROM_RPC, error);
    return FALSE;
}

static gboolean
turn_expect(VadmRelayTurn *turn, VadmRelayAuthStage stage)
{
    static const char *const names[] = {"INIT", "START", "STEP"};
    g_autofree char *reason = NULL;

    if (turn->auth->stage == stage)
        return TRUE;
    reason = g_strdup_printf("%s where %s was due", names[stage], names[turn->auth->stage]);
    turn_fail(turn, reason);
    return FALSE;
}

static void
turn_init(VadmRelayTurn *turn)
{
    VadmRelayAuth *auth = turn->auth;
    struct vadm_remote_auth_sasl_init_ret ret = {.mechanisms = NULL};
    g_autoptr(GError) error = NULL;

    if (!turn_expect(turn, AUTH_NEW))
        return;
    auth->sasl = vadm_sasl_new(&turn->peer, &error);
    if (auth->sasl)
        ret.mechanisms = (char *)vadm_sasl_get_mechanisms(auth->sasl, &error);
    if (!ret.mechanisms) {
        turn_fail(turn, error->message);
        return;
    }
    auth->stage = AUTH_LISTED;
    turn_answer(turn, (xdrproc_t)xdr_vadm_remote_auth_sasl_init_ret, &ret);
}

static gboolean
auth_is_allowed(const char *user, char *const *patterns)
{
    if (!patterns || !*patterns)
        return TRUE;
    for (; *patterns; patterns++) {
        if (g_pattern_match_simple(*patterns, user))
            return TRUE;
    }
    return FALSE;
}

/* The client is who it says; may that one come in? */
static gboolean
turn_admit(VadmRelayTurn *turn)
{
    const VadmServerConfig *config = vadm_server_get_config(turn->relay->server);
    g_autoptr(GError) error = NULL;
    g_autofree char *reason = NULL;
    const char *user = vadm_sasl_get_user(turn->auth->sasl, &error);

    if (!user) {
        turn_fail(turn, error->message);
        return FALSE;
    }
    if (!auth_is_allowed(user, config->sasl_allowed_usernames)) {
        reason = g_strdup_printf("sasl_allowed_username_list does not allow '%s'", user);
        turn_fail(turn, reason);
        return FALSE;
    }
    turn->user = g_strdup(user);
    turn->outcome = TURN_ADMITS;
    return TRUE;
}

/* @failure: (nullable): what SASL says instead of @said */
static void
turn_end(VadmRelayTurn *turn, const VadmSaslTurn *said, const GError *failure)
{
    struct vadm_remote_auth_sasl_turn_ret ret = {.complete = said->complete, .nil = !said->data};
    g_autofree char *data = NULL;

    if (failure) {
        turn_fail(turn, failure->message);
        return;
    }
    if (said->length > VADM_REMOTE_SASL_DATA_MAX) {
        turn_fail(turn, "the mechanism answers with more than the protocol takes");
        return;
    }
    if (said->complete && !turn_admit(turn))
        return;
    ret.data.data_len = (guint)said->length;
    /* xdr_char() writes to what it reads: not into a mechanism's constants */
    ret.data.data_val = data = g_memdup2(said->data, said->length);
    turn->auth->stage = AUTH_STARTED;
    turn_answer(turn, (xdrproc_t)xdr_vadm_remote_auth_sasl_turn_ret, &ret);
}

/* XDR gives NULL for data that is there but empty. */
static const guint8 *
auth_data(int nil, const char *data)
{
    if (nil)
        return NULL;
    return (const guint8 *)(data ? data : "");
}

static void
turn_start(VadmRelayTurn *turn)
{
    struct vadm_remote_auth_sasl_start_args args = {.nil = 0};
    VadmSaslTurn said = {.complete = FALSE};
    g_autoptr(GError) error = NULL;

    if (turn_decode(turn, (xdrproc_t)xdr_vadm_remote_auth_sasl_start_args, &args) &&
        turn_expect(turn, AUTH_LISTED)) {
        vadm_sasl_start(turn->auth->sasl, args.mechanism, auth_data(args.nil, args.data.data_val),
                        args.nil ? 0 : args.data.data_len, &said, &error);
        turn_end(turn, &said, error);
    }
    xdr_free((xdrproc_t)xdr_vadm_remote_auth_sasl_start_args, (char *)&args);
}

static void
turn_step(VadmRelayTurn *turn)
{
    struct vadm_remote_auth_sasl_step_args args = {.nil = 0};
    VadmSaslTurn said = {.complete = FALSE};
    g_autoptr(GError) error = NULL;

    if (turn_decode(turn, (xdrproc_t)xdr_vadm_remote_auth_sasl_step_args, &args) &&
        turn_expect(turn, AUTH_STARTED)) {
        vadm_sasl_step(turn->auth->sasl, auth_data(args.nil, args.data.data_val),
                       args.nil ? 0 : args.data.data_len, &said, &error);
        turn_end(turn, &said, error);
    }
    xdr_free((xdrproc_t)xdr_vadm_remote_auth_sasl_step_args, (char *)&args);
}

static void
turn_do(VadmRelayTurn *turn)
{
    if (turn->call->header.procedure == VADM_REMOTE_PROC_AUTH_SASL_INIT)
        turn_init(turn);
    else if (turn->call->header.procedure == VADM_REMOTE_PROC_AUTH_SASL_START)
        turn_start(turn);
    else
        turn_step(turn);
    if (turn->outcome == TURN_ADMITS && vadm_sasl_has_layer(turn->auth->sasl))
        turn->layer = g_steal_pointer(&turn->auth->sasl);
    if (turn->outcome != TURN_GOES_ON)
        g_clear_pointer(&turn->auth->sasl, vadm_sasl_free);
}

static void turn_finish(gpointer data);

/* Finished also where there was nothing to do any more: others wait for the place. */
static gboolean
turn_run(gpointer data)
{
    VadmRelayTurn *turn = data;
    gboolean ok;

    if (!vadm_client_is_closed(turn->client))
        turn_do(turn);
    ok = turn->reply && turn->reply->header.status == VADM_RPC_OK;
    vadm_mailbox_post(turn->relay->mailbox, turn_finish, turn_ref(turn), turn_unref);
    return ok;
}

/* In the main thread again */

static void
relay_run_turns(VadmRelay *relay)
{
    VadmPool *pool = vadm_server_get_pool(relay->server);
    guint places = MAX(vadm_pool_get_max(pool) / 2, 1);
    VadmRelayTurn *turn;

    while (relay->turns_run < places && (turn = g_queue_pop_head(&relay->turns))) {
        const VadmRpcHeader *header = &turn->call->header;

        turn->auth->waiting = NULL;
        relay->turns_run++;
        vadm_pool_push(pool, vadm_relay_is_priority(header->program, header->procedure), turn_run,
                       turn, turn_unref);
    }
}

/* Behind the reply, which is the last message in clear. */
static void
turn_put_layer(VadmRelayTurn *turn)
{
    GIOStream *base = vadm_client_get_stream(turn->client);
    g_autoptr(GIOStream) layer = NULL;

    if (!base)
        return;
    layer = vadm_sasl_layer_new(base, g_steal_pointer(&turn->layer));
    vadm_client_set_stream(turn->client, layer);
}

static void
turn_settle(VadmRelayTurn *turn)
{
    VadmServer *server = turn->relay->server;
    VadmClient *client = turn->client;

    /* Somebody who does not wait for the answer to a wrong guess has guessed all the same. */
    if (turn->outcome == TURN_REFUSES)
        vadm_server_note_auth_failure(server, client);
    if (turn->outcome == TURN_ADMITS && !vadm_client_is_closed(client)) {
        VADM_INFO("Client %" G_GUINT64_FORMAT " is '%s' by SASL", vadm_client_get_id(client),
                  turn->user);
        vadm_server_set_sasl_user(server, client, turn->user);
    }
    vadm_client_reply(client, g_steal_pointer(&turn->reply));
    if (turn->layer)
        turn_put_layer(turn);
    if (turn->outcome == TURN_REFUSES)
        vadm_client_close_flushed(client, VADM_DISCONNECT_AUTH_FAILURE);
    else
        vadm_client_set_hold(client, FALSE);
}

static void
turn_finish(gpointer data)
{
    VadmRelayTurn *turn = data;
    VadmRelay *relay = turn->relay;

    if (turn->reply)
        turn_settle(turn);
    relay->turns_run--;
    relay_run_turns(relay);
    turn_unref(turn);
}

void
vadm_relay_auth_leave(VadmRelayAuth *auth, VadmRelay *relay)
{
    VadmRelayTurn *turn = g_steal_pointer(&auth->waiting);

    if (!turn)
        return;
    g_queue_remove(&relay->turns, turn);
    turn_unref(turn);
}

/* What is answered at once */

static void
auth_answer_list(VadmClient *client, const VadmMessage *call, gboolean authenticated)
{
    int type = authenticated ? VADM_REMOTE_AUTH_NONE : VADM_REMOTE_AUTH_SASL;
    struct vadm_remote_auth_list_ret ret = {.types = {.types_len = 1, .types_val = &type}};

    vadm_relay_answer(client, call, (xdrproc_t)xdr_vadm_remote_auth_list_ret, &ret);
}

/* What libvirt's server says where polkit is not asked for: an error without a cause, and without
 * the prefix that its code has elsewhere. */
static void
auth_refuse_polkit(VadmClient *client, const VadmMessage *call)
{
    char text[] = "Library function returned error but did not set virError";
    char *message = text;
    struct vadm_rpc_error payload = {
        .code = VADM_VIR_ERR_INTERNAL_ERROR,
        .domain = VADM_VIR_FROM_RPC,
        .message = &message,
        .level = VADM_RPC_ERROR_LEVEL_ERROR,
    };
    VadmRpcHeader header = call->header;
    VadmMessage *reply;

    header.type = VADM_RPC_REPLY;
    header.status = VADM_RPC_ERROR;
    reply = vadm_message_new(&header, (xdrproc_t)xdr_vadm_rpc_error, &payload, NULL);
    if (reply)
        vadm_client_reply(client, reply);
}

/* Returns: (transfer full) (nullable). @address: (transfer full) (nullable) */
static char *
auth_address(GSocketAddress *address)
{
    g_autoptr(GSocketAddress) owned G_GNUC_UNUSED = address;
    g_autofree char *host = NULL;
    GInetSocketAddress *inet;

    if (!owned || !G_IS_INET_SOCKET_ADDRESS(owned))
        return NULL;
    inet = G_INET_SOCKET_ADDRESS(owned);
    host = g_inet_address_to_string(g_inet_socket_address_get_address(inet));
    return g_strdup_printf("%s;%u", host, g_inet_socket_address_get_port(inet));
}

static void
auth_describe_peer(VadmClient *client, VadmSaslPeer *peer)
{
    GSocket *socket = vadm_client_get_socket(client);

    peer->transport = vadm_client_get_transport(client);
    if (peer->transport == VADM_TRANSPORT_UNIX || !socket)
        return;
    peer->local = auth_address(g_socket_get_local_address(socket, NULL));
    peer->remote = auth_address(g_socket_get_remote_address(socket, NULL));
}

/* @call: (transfer full) */
static void
auth_take_turn(VadmRelay *relay, VadmClient *client, VadmMessage *call)
{
    VadmRelayAuth *auth = vadm_relay_get_auth(client);
    VadmRelayTurn *turn = g_new0(VadmRelayTurn, 1);

    turn->refs = 1;
    turn->relay = relay;
    turn->client = vadm_client_ref(client);
    turn->auth = auth;
    turn->call = call;
    if (auth->stage == AUTH_NEW)
        auth_describe_peer(client, &turn->peer);
    vadm_client_set_hold(client, TRUE);
    auth->waiting = turn;
    g_queue_push_tail(&relay->turns, turn);
    relay_run_turns(relay);
}

gboolean
vadm_relay_auth_call(VadmRelay *relay, VadmClient *client, VadmMessage *call)
{
    gboolean authenticated = vadm_client_is_authenticated(client);
    gint32 procedure = call->header.program == VADM_RPC_PROGRAM_REMOTE ? call->header.procedure : 0;

    switch (procedure) {
    case VADM_REMOTE_PROC_AUTH_LIST:
        auth_answer_list(client, call, authenticated);
        break;
    case VADM_REMOTE_PROC_AUTH_SASL_INIT:
    case VADM_REMOTE_PROC_AUTH_SASL_START:
    case VADM_REMOTE_PROC_AUTH_SASL_STEP:
        if (!authenticated) {
            auth_take_turn(relay, client, call);
            return TRUE;
        }
        /* Once is enough, and where nothing is asked for there is nothing to answer. */
        vadm_relay_refuse(client, call, VADM_VIR_ERR_AUTH_FAILED, "authentication failed");
        break;
    case VADM_REMOTE_PROC_AUTH_POLKIT:
        auth_refuse_polkit(client, call);
        break;
    default:
        if (authenticated)
            return FALSE;
        vadm_relay_refuse(client, call, VADM_VIR_ERR_RPC, "authentication required");
    }
    vadm_message_free(call);
    return TRUE;
}
