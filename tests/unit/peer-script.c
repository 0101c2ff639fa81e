/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <check.h>
#include <string.h>

#include "peer-private.h"
#include "rpc/admin.h"
#include "rpc/protocol.h"
#include "rpc/rpc-error.h"

#define WAIT_US (10 * G_USEC_PER_SEC)
#define NEVER   G_MAXSIZE

void
held_free(gpointer data)
{
    HeldCall *held = data;

    vadm_message_free(held->message);
    g_free(held);
}

void
rule_free(gpointer data)
{
    Rule *rule = data;

    vadm_message_free(rule->octets);
    g_free(rule);
}

VadmMessage *
new_octets(gconstpointer data, gsize length)
{
    VadmMessage *message = g_new0(VadmMessage, 1);

    message->data = g_malloc(length + 1);
    if (length > 0)
        memcpy(message->data, data, length);
    message->length = length;
    return message;
}

void
link_send(Link *link, VadmMessage *octets)
{
    if (octets->length > 0)
        vadm_conn_send(link->conn, octets);
    else
        vadm_message_free(octets);
}

/* Answers */

static void
put_word(VadmMessage *message, gsize offset, guint32 value)
{
    guint32 word = GUINT32_TO_BE(value);

    memcpy(message->data + offset, &word, sizeof word);
}

/* The payload of @octets as an answer to @call. */
static VadmMessage *
new_answer(const VadmMessage *octets, const VadmMessage *call)
{
    VadmMessage *answer = vadm_message_copy(octets);

    memcpy(answer->data + 4, call->data + 4, 12);
    put_word(answer, 20, call->header.serial);
    return answer;
}

static VadmMessage *
default_answer(const VadmMessage *call)
{
    g_autofree char *text = NULL;

    if (call->header.program == VADM_RPC_PROGRAM_ADMIN &&
        (call->header.procedure == VADM_ADMIN_PROC_CONNECT_OPEN ||
         call->header.procedure == VADM_ADMIN_PROC_CONNECT_CLOSE))
        return vadm_message_new_reply(&call->header, NULL, NULL, NULL);
    text = g_strdup_printf("unknown procedure: %d", call->header.procedure);
    return vadm_message_new_error(&call->header, VADM_VIR_ERR_RPC, VADM_VIR_FROM_RPC, text, -1);
}

/* Returns: (nullable): what to send; @hang_up: (out): whether to close after it */
static VadmMessage *
find_answer(Peer *peer, const VadmMessage *call, gboolean *hang_up)
{
    const Rule *rule;
    VadmMessage *answer;
    PeerFn handle;
    gpointer user;

    VADM_LOCK_SCOPE(&peer->lock);
    rule = g_hash_table_lookup(peer->rules, GINT_TO_POINTER(call->header.procedure));
    *hang_up = rule ? rule->hang_up_after != NEVER
                    : call->header.procedure == VADM_ADMIN_PROC_CONNECT_CLOSE;
    if (!rule)
        return default_answer(call);
    handle = rule->handle;
    user = rule->user;
    if (handle)
        return handle(call, user);
    if (!rule->octets && !*hang_up)
        return NULL;
    if (rule->octets)
        answer = rule->raw ? new_octets(rule->octets->data, rule->octets->length)
                           : new_answer(rule->octets, call);
    else
        answer = default_answer(call);
    answer->length = MIN(answer->length, rule->hang_up_after);
    return answer;
}

static void
answer_call(Link *link, const VadmMessage *call)
{
    gboolean hang_up;
    VadmMessage *answer = find_answer(link->peer, call, &hang_up);

    if (answer)
        link_send(link, answer);
    if (hang_up)
        link_close(link);
}

/* Returns: TRUE when the call is not to be answered yet */
static gboolean
note_call(Link *link, const VadmMessage *call)
{
    Peer *peer = link->peer;
    GPtrArray *all;
    HeldCall *held;

    VADM_LOCK_SCOPE(&peer->lock);
    g_ptr_array_add(peer->calls, vadm_message_copy(call));
    vadm_cond_broadcast(&peer->changed);
    all = g_hash_table_lookup(peer->held, GINT_TO_POINTER(call->header.procedure));
    if (!all)
        return FALSE;
    held = g_new0(HeldCall, 1);
    held->link = link;
    held->message = vadm_message_copy(call);
    g_ptr_array_add(all, held);
    return TRUE;
}

/* Returns: TRUE when it is to be answered with PONG */
static gboolean
note_keepalive(Peer *peer, const VadmRpcHeader *header)
{
    gboolean ping = header->procedure == VADM_KEEPALIVE_PROC_PING;

    VADM_LOCK_SCOPE(&peer->lock);
    if (ping)
        peer->n_pings++;
    else
        peer->n_pongs++;
    vadm_cond_broadcast(&peer->changed);
    return ping && !peer->deaf_to_pings;
}

static void
answer_keepalive(Link *link, const VadmRpcHeader *ping)
{
    VadmRpcHeader header = *ping;

    if (!note_keepalive(link->peer, ping))
        return;
    header.procedure = VADM_KEEPALIVE_PROC_PONG;
    vadm_conn_send(link->conn, vadm_message_new(&header, NULL, NULL, NULL));
}

void
link_receive(Link *link, const VadmMessage *message)
{
    if (message->header.program == VADM_RPC_PROGRAM_KEEPALIVE)
        answer_keepalive(link, &message->header);
    else if (!note_call(link, message))
        answer_call(link, message);
}

/* The script */

static void
set_rule(Peer *peer, gint32 procedure, const Rule *rule)
{
    VADM_LOCK_SCOPE(&peer->lock);
    g_hash_table_insert(peer->rules, GINT_TO_POINTER(procedure), g_memdup2(rule, sizeof *rule));
}

void
peer_answer(Peer *peer, gint32 procedure, xdrproc_t encode, gconstpointer ret)
{
    const VadmRpcHeader header = {.type = VADM_RPC_REPLY};
    const Rule rule = {.octets = vadm_message_new(&header, encode, ret, NULL),
                       .hang_up_after = NEVER};

    g_assert(rule.octets);
    set_rule(peer, procedure, &rule);
}

void
peer_refuse(Peer *peer, gint32 procedure, int number, const char *text)
{
    const VadmRpcHeader call = {.type = VADM_RPC_CALL};
    const Rule rule = {.octets = vadm_message_new_error(&call, number, VADM_VIR_FROM_RPC, text, -1),
                       .hang_up_after = NEVER};

    set_rule(peer, procedure, &rule);
}

void
peer_ignore(Peer *peer, gint32 procedure)
{
    const Rule rule = {.hang_up_after = NEVER};

    set_rule(peer, procedure, &rule);
}

void
peer_answer_raw(Peer *peer, gint32 procedure, gconstpointer data, gsize length)
{
    const Rule rule = {.octets = new_octets(data, length), .raw = TRUE, .hang_up_after = NEVER};

    set_rule(peer, procedure, &rule);
}

void
peer_hang_up(Peer *peer, gint32 procedure, gsize sent)
{
    const Rule rule = {.hang_up_after = sent};

    set_rule(peer, procedure, &rule);
}

void
peer_handle(Peer *peer, gint32 procedure, PeerFn handle, gpointer user)
{
    const Rule rule = {.handle = handle, .user = user, .hang_up_after = NEVER};

    set_rule(peer, procedure, &rule);
}

void
peer_forget(Peer *peer, gint32 procedure)
{
    VADM_LOCK_SCOPE(&peer->lock);
    g_hash_table_remove(peer->rules, GINT_TO_POINTER(procedure));
}

void
peer_hold(Peer *peer, gint32 procedure)
{
    VADM_LOCK_SCOPE(&peer->lock);
    if (!g_hash_table_contains(peer->held, GINT_TO_POINTER(procedure)))
        g_hash_table_insert(peer->held, GINT_TO_POINTER(procedure),
                            g_ptr_array_new_with_free_func(held_free));
}

typedef struct {
    gint32 procedure;
    gboolean reversed;
} Release;

static GPtrArray *
take_held(Peer *peer, gint32 procedure)
{
    gpointer all = NULL;

    VADM_LOCK_SCOPE(&peer->lock);
    g_hash_table_steal_extended(peer->held, GINT_TO_POINTER(procedure), NULL, &all);
    return all;
}

static void
release(Peer *peer, gpointer data)
{
    const Release *what = data;
    g_autoptr(GPtrArray) all = take_held(peer, what->procedure);

    for (guint i = 0; all && i < all->len; i++) {
        const HeldCall *held = all->pdata[what->reversed ? all->len - 1 - i : i];

        if (held->link)
            answer_call(held->link, held->message);
    }
}

void
peer_release(Peer *peer, gint32 procedure, gboolean reversed)
{
    Release what = {.procedure = procedure, .reversed = reversed};

    peer_run(peer, release, &what);
}

/* What came */

guint
peer_n_connections(Peer *peer)
{
    VADM_LOCK_SCOPE(&peer->lock);
    return peer->n_connections;
}

guint
peer_n_open(Peer *peer)
{
    VADM_LOCK_SCOPE(&peer->lock);
    return peer->n_open;
}

guint
peer_n_pings(Peer *peer)
{
    VADM_LOCK_SCOPE(&peer->lock);
    return peer->n_pings;
}

guint
peer_n_pongs(Peer *peer)
{
    VADM_LOCK_SCOPE(&peer->lock);
    return peer->n_pongs;
}

/* Under the lock. */
static guint
count_calls(const Peer *peer, gint32 procedure)
{
    guint n = 0;

    for (guint i = 0; i < peer->calls->len; i++)
        n += ((const VadmMessage *)peer->calls->pdata[i])->header.procedure == procedure;
    return n;
}

guint
peer_n_calls(Peer *peer, gint32 procedure)
{
    VADM_LOCK_SCOPE(&peer->lock);
    return count_calls(peer, procedure);
}

void
peer_wait_calls(Peer *peer, gint32 procedure, guint n)
{
    gint64 deadline = g_get_monotonic_time() + WAIT_US;
    gboolean in_time = TRUE;

    VADM_LOCK_SCOPE(&peer->lock);
    while (in_time && count_calls(peer, procedure) < n)
        in_time = vadm_cond_wait_until(&peer->changed, &peer->lock, deadline);
    ck_assert_msg(in_time, "waited in vain for %u calls of procedure %d", n, procedure);
}

GPtrArray *
peer_get_calls(Peer *peer)
{
    GPtrArray *copy = g_ptr_array_new_with_free_func((GDestroyNotify)vadm_message_free);

    VADM_LOCK_SCOPE(&peer->lock);
    for (guint i = 0; i < peer->calls->len; i++)
        g_ptr_array_add(copy, vadm_message_copy(peer->calls->pdata[i]));
    return copy;
}
