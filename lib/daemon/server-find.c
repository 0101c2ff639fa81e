/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding clients of a server: for any thread. */
#include "daemon/server-private.h"

VadmClient *
vadm_server_find_client(VadmServer *server, VadmMatch match, guint32 index)
{
    gpointer key = GUINT_TO_POINTER(index);
    VadmClient *client = NULL;

    VADM_LOCK_SCOPE(&server->lock);
    if (match == VADM_MATCH_EQ) {
        client = g_tree_lookup(server->clients, key);
    } else {
        GTreeNode *node = g_tree_upper_bound(server->clients, key);

        client = node ? g_tree_node_value(node) : NULL;
    }
    return client ? vadm_client_ref(client) : NULL;
}

/* The index is the id's low bits except for the few that had to make way. */
VadmClient *
vadm_server_lookup_client(VadmServer *server, guint64 id)
{
    VadmClient *client;

    VADM_LOCK_SCOPE(&server->lock);
    client = g_tree_lookup(server->clients, GUINT_TO_POINTER((guint32)id));
    if (client && client->id == id)
        return vadm_client_ref(client);
    if (server->last_id <= G_MAXUINT32)
        return NULL;
    for (GTreeNode *node = g_tree_node_first(server->clients); node;
         node = g_tree_node_next(node)) {
        client = g_tree_node_value(node);
        if (client->id == id)
            return vadm_client_ref(client);
    }
    return NULL;
}

static gint
vadm_server_compare_ids(gconstpointer a, gconstpointer b)
{
    const VadmClient *one = *(VadmClient *const *)a;
    const VadmClient *two = *(VadmClient *const *)b;

    return one->id < two->id ? -1 : one->id > two->id;
}

static void
vadm_server_release_client(gpointer client)
{
    vadm_client_unref(client);
}

GPtrArray *
vadm_server_list_clients(VadmServer *server)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(vadm_server_release_client);

    vadm_mutex_lock(&server->lock);
    for (GTreeNode *node = g_tree_node_first(server->clients); node; node = g_tree_node_next(node))
        g_ptr_array_add(list, vadm_client_ref(g_tree_node_value(node)));
    vadm_mutex_unlock(&server->lock);
    g_ptr_array_sort(list, vadm_server_compare_ids);
    return list;
}

guint32
vadm_server_count_clients(VadmServer *server)
{
    VADM_LOCK_SCOPE(&server->lock);
    return (guint32)g_tree_nnodes(server->clients);
}
