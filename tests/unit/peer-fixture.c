/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peer-fixture.h"

#include <check.h>
#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/lock.h"
#include "common/mailbox.h"
#include "rpc/admin.h"
#include "rpc/conn.h"
#include "rpc/protocol.h"
#include "rpc/rpc-error.h"

#define BACKLOG  16
#define WAIT_US  (10 * G_USEC_PER_SEC)
#define FLUSH_MS 10000u
#define NEVER    G_MAXSIZE

typedef struct {
    Peer *peer;
    VadmConn *conn;
} Link;

typedef struct {
    Link *link; /* NULL: it is gone */
    VadmMessage *message;
} HeldCall;

/* What is done with a procedure. */
typedef struct {
    PeerFn handle;
    gpointer user;
    VadmMessage *octets; /* what is sent, in the place of handle's */
    gboolean raw;        /* octets as they are, without the header of a reply */
    gsize hang_up_after; /* octets; NEVER: it does not hang up */
} Rule;

struct _Peer {
    char *directory, *path;
    pthread_t thread;
    GMainContext *context;
    GMainLoop *loop;
    VadmMailbox *mailbox;

    /* The peer's thread only. */
    GSocket *listener;
    GSource *accepting;
    GPtrArray *links; /* of Link */
    gboolean reading;

    VadmMutex lock;
    VadmCond changed;
    GHashTable *rules; /* procedure: Rule */
    GHashTable *held;  /* procedure: GPtrArray of HeldCall */
    GPtrArray *calls;  /* of VadmMessage */
    gboolean turns_away, deaf_to_pings;
    guint n_connections, n_open, n_pings, n_pongs;
};

/* Orders: run in the peer's thread while the caller waits. */

typedef struct {
    Peer *peer;
    void (*run)(Peer *peer, gpointer data);
    gpointer data;
    gboolean done;
} Order;

static void
run_order(gpointer data)
{
    Order *order = data;
    Peer *peer = order->peer;

    order->run(peer, order->data);
    VADM_LOCK_SCOPE(&peer->lock);
    order->done = TRUE;
    vadm_cond_broadcast(&peer->changed);
}

static void
peer_run(Peer *peer, void (*run)(Peer *peer, gpointer data), gpointer data)
{
    Order order = {.peer = peer, .run = run, .data = data};

    vadm_mailbox_post(peer->mailbox, run_order, &order, NULL);
    VADM_LOCK_SCOPE(&peer->lock);
    while (!order.done)
        vadm_cond_wait(&peer->changed, &peer->lock);
}

/* Connections */

static void
held_free(gpointer data)
{
    HeldCall *held = data;

    vadm_message_free(held->message);
    g_free(held);
}

static void
forget_link(Peer *peer, const Link *link)
{
    GHashTableIter iter;
    GPtrArray *all;

    VADM_LOCK_SCOPE(&peer->lock);
    g_hash_table_iter_init(&iter, peer->held);
    while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&all)) {
        for (guint i = 0; i < all->len; i++) {
            HeldCall *held = all->pdata[i];

            if (held->link == link)
                held->link = NULL;
        }
    }
    peer->n_open--;
    vadm_cond_broadcast(&peer->changed);
}

static void
link_free(gpointer data)
{
    Link *link = data;

    forget_link(link->peer, link);
    vadm_conn_close(link->conn);
    vadm_conn_unref(link->conn);
    g_free(link);
}

static void
link_flushed(gpointer user)
{
    Link *link = user;

    g_ptr_array_remove_fast(link->peer->links, link);
}

static void
link_close(Link *link)
{
    vadm_conn_close_flushed(link->conn, FLUSH_MS, link_flushed, link);
}

static VadmMessage *
new_octets(gconstpointer data, gsize length)
{
    VadmMessage *message = g_new0(VadmMessage, 1);

    message->data = g_malloc(length + 1);
    if (length > 0)
        memcpy(message->data, data, length);
    message->length = length;
    return message;
}

static void
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

static void
link_on_message(VadmConn *conn G_GNUC_UNUSED, VadmMessage *taken, gpointer user)
{
    g_autoptr(VadmMessage) message = taken;
    Link *link = user;

    if (message->header.program == VADM_RPC_PROGRAM_KEEPALIVE)
        answer_keepalive(link, &message->header);
    else if (!note_call(link, message))
        answer_call(link, message);
}

static void
link_on_ended(VadmConn *conn G_GNUC_UNUSED, VadmConnEnd end G_GNUC_UNUSED,
              const GError *error G_GNUC_UNUSED, gpointer user)
{
    Link *link = user;

    g_ptr_array_remove_fast(link->peer->links, link);
}

static const VadmConnHandlers link_handlers = {.message = link_on_message, .ended = link_on_ended};

/* Returns: TRUE when it may stay */
static gboolean
note_connection(Peer *peer)
{
    VADM_LOCK_SCOPE(&peer->lock);
    peer->n_connections++;
    vadm_cond_broadcast(&peer->changed);
    if (!peer->turns_away)
        peer->n_open++;
    return !peer->turns_away;
}

static gboolean
on_accept(GSocket *listener, GIOCondition condition G_GNUC_UNUSED, gpointer user)
{
    Peer *peer = user;
    g_autoptr(GSocket) socket = g_socket_accept(listener, NULL, NULL);
    g_autoptr(GSocketConnection) stream = NULL;
    Link *link;

    if (!socket || !note_connection(peer))
        return G_SOURCE_CONTINUE;
    stream = g_socket_connection_factory_create_connection(socket);
    link = g_new0(Link, 1);
    link->peer = peer;
    link->conn = vadm_conn_new(G_IO_STREAM(stream), peer->context, &link_handlers, link);
    g_ptr_array_add(peer->links, link);
    vadm_conn_set_reading(link->conn, peer->reading);
    return G_SOURCE_CONTINUE;
}

/* Listening */

static void
set_accepting(Peer *peer, gpointer yes)
{
    if (peer->accepting) {
        g_source_destroy(peer->accepting);
        g_clear_pointer(&peer->accepting, g_source_unref);
    }
    if (!yes || !peer->listener)
        return;
    peer->accepting = g_socket_create_source(peer->listener, G_IO_IN, NULL);
    g_source_set_callback(peer->accepting, G_SOURCE_FUNC(on_accept), peer, NULL);
    g_source_attach(peer->accepting, peer->context);
}

static void
start_listening(Peer *peer, gpointer data G_GNUC_UNUSED)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(peer->path);

    peer->listener =
        g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, &error);
    g_assert_no_error(error);
    g_socket_set_listen_backlog(peer->listener, BACKLOG);
    if (!g_socket_bind(peer->listener, address, TRUE, &error) ||
        !g_socket_listen(peer->listener, &error))
        g_error("%s: %s", peer->path, error->message);
    set_accepting(peer, GINT_TO_POINTER(TRUE));
}

static void
stop_listening(Peer *peer, gpointer data G_GNUC_UNUSED)
{
    set_accepting(peer, GINT_TO_POINTER(FALSE));
    g_clear_object(&peer->listener);
    g_unlink(peer->path);
}

static void
set_backlog(Peer *peer, gpointer backlog)
{
    int rc = listen(g_socket_get_fd(peer->listener), GPOINTER_TO_INT(backlog));

    g_assert(rc == 0);
}

/* The peer itself */

static gpointer
peer_thread(gpointer data)
{
    Peer *peer = data;

    g_main_context_push_thread_default(peer->context);
    g_main_loop_run(peer->loop);
    g_main_context_pop_thread_default(peer->context);
    return NULL;
}

static void
rule_free(gpointer data)
{
    Rule *rule = data;

    vadm_message_free(rule->octets);
    g_free(rule);
}

Peer *
peer_new_absent(void)
{
    Peer *peer = g_new0(Peer, 1);
    int rc;

    peer->directory = g_dir_make_tmp("vadm-peer-XXXXXX", NULL);
    g_assert(peer->directory);
    peer->path = g_build_filename(peer->directory, "sock", NULL);
    peer->context = g_main_context_new();
    peer->loop = g_main_loop_new(peer->context, FALSE);
    peer->mailbox = vadm_mailbox_new(peer->context);
    peer->links = g_ptr_array_new_with_free_func(link_free);
    peer->reading = TRUE;
    vadm_mutex_init(&peer->lock);
    vadm_cond_init(&peer->changed);
    peer->rules = g_hash_table_new_full(NULL, NULL, NULL, rule_free);
    peer->held = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)g_ptr_array_unref);
    peer->calls = g_ptr_array_new_with_free_func((GDestroyNotify)vadm_message_free);
    rc = pthread_create(&peer->thread, NULL, peer_thread, peer);
    g_assert(rc == 0);
    return peer;
}

Peer *
peer_new(void)
{
    Peer *peer = peer_new_absent();

    peer_listen(peer);
    return peer;
}

static void
quit(Peer *peer, gpointer data G_GNUC_UNUSED)
{
    stop_listening(peer, NULL);
    g_ptr_array_set_size(peer->links, 0);
    vadm_mailbox_close(peer->mailbox);
    g_main_loop_quit(peer->loop);
}

void
peer_free(Peer *peer)
{
    if (!peer)
        return;
    peer_run(peer, quit, NULL);
    pthread_join(peer->thread, NULL);
    g_ptr_array_unref(peer->links);
    vadm_mailbox_unref(peer->mailbox);
    g_main_loop_unref(peer->loop);
    g_main_context_unref(peer->context);
    g_hash_table_unref(peer->rules);
    g_hash_table_unref(peer->held);
    g_ptr_array_unref(peer->calls);
    vadm_cond_clear(&peer->changed);
    vadm_mutex_clear(&peer->lock);
    g_rmdir(peer->directory);
    g_free(peer->directory);
    g_free(peer->path);
    g_free(peer);
}

const char *
peer_path(const Peer *peer)
{
    return peer->path;
}

void
peer_listen(Peer *peer)
{
    peer_run(peer, start_listening, NULL);
}

void
peer_stop_listening(Peer *peer)
{
    peer_run(peer, stop_listening, NULL);
}

void
peer_accept(Peer *peer, gboolean yes)
{
    peer_run(peer, set_accepting, GINT_TO_POINTER(yes));
}

void
peer_set_backlog(Peer *peer, int backlog)
{
    peer_run(peer, set_backlog, GINT_TO_POINTER(backlog));
}

static void
set_reading(Peer *peer, gpointer yes)
{
    peer->reading = GPOINTER_TO_INT(yes);
    for (guint i = 0; i < peer->links->len; i++)
        vadm_conn_set_reading(((Link *)peer->links->pdata[i])->conn, peer->reading);
}

void
peer_read(Peer *peer, gboolean yes)
{
    peer_run(peer, set_reading, GINT_TO_POINTER(yes));
}

void
peer_turn_away(Peer *peer, gboolean yes)
{
    VADM_LOCK_SCOPE(&peer->lock);
    peer->turns_away = yes;
}

void
peer_answer_pings(Peer *peer, gboolean yes)
{
    VADM_LOCK_SCOPE(&peer->lock);
    peer->deaf_to_pings = !yes;
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

static void
send_octets(Peer *peer, gpointer data)
{
    const VadmMessage *octets = data;

    for (guint i = 0; i < peer->links->len; i++)
        link_send(peer->links->pdata[i], new_octets(octets->data, octets->length));
}

void
peer_send_raw(Peer *peer, gconstpointer data, gsize length)
{
    g_autoptr(VadmMessage) octets = new_octets(data, length);

    peer_run(peer, send_octets, octets);
}

void
peer_send(Peer *peer, const VadmRpcHeader *header, xdrproc_t encode, gconstpointer payload)
{
    g_autoptr(VadmMessage) message = vadm_message_new(header, encode, payload, NULL);

    g_assert(message);
    peer_run(peer, send_octets, message);
}

static void
close_all(Peer *peer, gpointer data G_GNUC_UNUSED)
{
    for (guint i = 0; i < peer->links->len; i++)
        link_close(peer->links->pdata[i]);
}

void
peer_close_all(Peer *peer)
{
    peer_run(peer, close_all, NULL);
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
