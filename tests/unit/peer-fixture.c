/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <sys/socket.h>

#include "peer-private.h"

#define BACKLOG  16
#define FLUSH_MS 10000u

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

void
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

void
link_close(Link *link)
{
    vadm_conn_close_flushed(link->conn, FLUSH_MS, link_flushed, link);
}

static void
link_on_message(VadmConn *conn G_GNUC_UNUSED, VadmMessage *taken, gpointer user)
{
    g_autoptr(VadmMessage) message = taken;

    link_receive(user, message);
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
