/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one refresh has found, shared between the main thread, which makes it, and its readers. */
#include "agent/remote-private.h"

VadmRemoteClient *
vadm_remote_client_new(void)
{
    VadmRemoteClient *client = g_new0(VadmRemoteClient, 1);

    client->refs = 1;
    return client;
}

VadmRemoteClient *
vadm_remote_client_ref(VadmRemoteClient *client)
{
    g_atomic_int_inc(&client->refs);
    return client;
}

void
vadm_remote_client_unref(VadmRemoteClient *client)
{
    if (!client || !g_atomic_int_dec_and_test(&client->refs))
        return;
    vadm_identity_unref(client->row.identity);
    g_free(client);
}

static void
vadm_remote_client_destroy(gpointer client)
{
    vadm_remote_client_unref(client);
}

VadmRemoteServer *
vadm_remote_server_new(const char *name)
{
    VadmRemoteServer *server = g_new0(VadmRemoteServer, 1);

    server->row.name = g_strdup(name);
    server->clients = g_ptr_array_new_with_free_func(vadm_remote_client_destroy);
    return server;
}

static void
vadm_remote_server_free(gpointer data)
{
    VadmRemoteServer *server = data;

    g_ptr_array_unref(server->clients);
    g_free((char *)server->row.name);
    g_free(server);
}

/* The array is the copy's own: that of @server may be read by others, whose references
 * ThreadSanitizer would not see (common/lock.h). */
static VadmRemoteServer *
vadm_remote_server_copy(const VadmRemoteServer *server)
{
    VadmRemoteServer *copy = vadm_remote_server_new(server->row.name);
    const char *name = copy->row.name;

    copy->row = server->row;
    copy->row.name = name;
    copy->listed = server->listed;
    for (guint i = 0; i < server->clients->len; i++)
        g_ptr_array_add(copy->clients, vadm_remote_client_ref(server->clients->pdata[i]));
    return copy;
}

VadmRemoteSnapshot *
vadm_remote_snapshot_new(void)
{
    VadmRemoteSnapshot *snapshot = g_new0(VadmRemoteSnapshot, 1);

    snapshot->refs = 1;
    snapshot->servers = g_ptr_array_new_with_free_func(vadm_remote_server_free);
    return snapshot;
}

VadmRemoteSnapshot *
vadm_remote_snapshot_ref(VadmRemoteSnapshot *snapshot)
{
    g_atomic_int_inc(&snapshot->refs);
    return snapshot;
}

void
vadm_remote_snapshot_unref(VadmRemoteSnapshot *snapshot)
{
    if (!snapshot || !g_atomic_int_dec_and_test(&snapshot->refs))
        return;
    g_ptr_array_unref(snapshot->servers);
    g_free(snapshot->version);
    g_free(snapshot->raw_filters);
    g_free(snapshot->filters);
    g_free(snapshot->outputs);
    g_free(snapshot);
}

VadmRemoteSnapshot *
vadm_remote_snapshot_copy(const VadmRemoteSnapshot *snapshot)
{
    VadmRemoteSnapshot *copy = vadm_remote_snapshot_new();

    copy->taken = snapshot->taken;
    copy->reachable = snapshot->reachable;
    copy->version = g_strdup(snapshot->version);
    copy->generation = snapshot->generation;
    copy->last_change = snapshot->last_change;
    copy->last_origin = snapshot->last_origin;
    copy->raw_filters = g_strdup(snapshot->raw_filters);
    copy->filters = g_strdup(snapshot->filters);
    copy->log_level = snapshot->log_level;
    copy->outputs = g_strdup(snapshot->outputs);
    for (guint i = 0; i < snapshot->servers->len; i++)
        g_ptr_array_add(copy->servers, vadm_remote_server_copy(snapshot->servers->pdata[i]));
    return copy;
}

/* The place of the first of @array whose index is not below @index. */
static guint
vadm_remote_lower_bound(const GPtrArray *array, guint32 (*get)(gconstpointer item), guint32 index)
{
    guint low = 0, high = array->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;

        if (get(array->pdata[middle]) < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static gpointer
vadm_remote_find(const GPtrArray *array, guint32 (*get)(gconstpointer item), VadmMatch match,
                 guint32 index)
{
    guint place = vadm_remote_lower_bound(array, get, index);

    if (place < array->len && get(array->pdata[place]) == index) {
        if (match == VADM_MATCH_EQ)
            return array->pdata[place];
        place++;
    }
    return match == VADM_MATCH_GT && place < array->len ? array->pdata[place] : NULL;
}

static guint32
vadm_remote_server_index(gconstpointer server)
{
    return ((const VadmRemoteServer *)server)->row.index;
}

static guint32
vadm_remote_client_index(gconstpointer client)
{
    return ((const VadmRemoteClient *)client)->row.index;
}

VadmRemoteServer *
vadm_remote_find_server(const VadmRemoteSnapshot *snapshot, VadmMatch match, guint32 index)
{
    return vadm_remote_find(snapshot->servers, vadm_remote_server_index, match, index);
}

VadmRemoteClient *
vadm_remote_find_client(const VadmRemoteServer *server, VadmMatch match, guint32 index)
{
    return vadm_remote_find(server->clients, vadm_remote_client_index, match, index);
}
