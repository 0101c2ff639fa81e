/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/remote-memory.h"

#include <string.h>

#include "admin/uri.h"

#define VADM_LOG_CATEGORY "agent.remote"
#include "common/log.h"

/* docs/mib.md, lvaServerIndex. */
#define VADM_REMOTE_ADMIN_INDEX 1u
#define VADM_REMOTE_MAIN_INDEX  2u
#define VADM_REMOTE_OTHER_INDEX 3u

static void
vadm_remote_known_free(gpointer data)
{
    VadmRemoteKnown *known = data;

    g_hash_table_unref(known->by_id);
    g_ptr_array_unref(known->clients);
    g_free(known->name);
    g_free(known);
}

static GPtrArray *
vadm_remote_clients_new(guint n)
{
    return g_ptr_array_new_full(n, (GDestroyNotify)vadm_remote_client_unref);
}

guint
vadm_remote_id_hash(gconstpointer id)
{
    guint64 value = *(const guint64 *)id;

    return (guint)(value ^ value >> 32);
}

static VadmRemoteKnown *
vadm_remote_known_new(const char *name, guint32 index, guint32 high_percent)
{
    VadmRemoteKnown *known = g_new0(VadmRemoteKnown, 1);

    known->name = g_strdup(name);
    known->index = index;
    known->high_percent = high_percent;
    vadm_limit_init(&known->clients_limit);
    vadm_limit_init(&known->unauth_limit);
    known->clients = vadm_remote_clients_new(0);
    known->by_id = g_hash_table_new(vadm_remote_id_hash, g_int64_equal);
    return known;
}

VadmRemoteMemory *
vadm_remote_memory_new(const VadmRemoteConfig *config)
{
    VadmRemoteMemory *memory = g_new0(VadmRemoteMemory, 1);

    memory->group = g_strdup(config->name);
    memory->scheme = vadm_admin_uri_get_daemon(config->uri);
    memory->high_percent = config->clients_high_percent;
    memory->servers = g_ptr_array_new_with_free_func(vadm_remote_known_free);
    memory->next_index = VADM_REMOTE_OTHER_INDEX;
    memory->anew = TRUE;
    memory->origin = VADM_ORIGIN_STARTUP;
    return memory;
}

void
vadm_remote_memory_free(VadmRemoteMemory *memory)
{
    g_ptr_array_unref(memory->servers);
    g_free(memory->filters);
    g_free(memory->outputs);
    g_free(memory->group);
    g_free(memory->scheme);
    g_free(memory);
}

VadmRemoteKnown *
vadm_remote_memory_find(const VadmRemoteMemory *memory, const char *name)
{
    for (guint i = 0; i < memory->servers->len; i++) {
        VadmRemoteKnown *known = memory->servers->pdata[i];

        if (strcmp(known->name, name) == 0)
            return known;
    }
    return NULL;
}

VadmRemoteKnown *
vadm_remote_memory_find_index(const VadmRemoteMemory *memory, guint32 index)
{
    for (guint i = 0; i < memory->servers->len; i++) {
        VadmRemoteKnown *known = memory->servers->pdata[i];

        if (known->index == index)
            return known;
    }
    return NULL;
}

static gint
vadm_remote_compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Which of @names is the daemon's main server: the one that is called like the source, or like
 * the scheme of its URI. */
static const char *
vadm_remote_main_name(const VadmRemoteMemory *memory, const GPtrArray *names)
{
    const char *found = NULL;

    for (guint i = 0; i < names->len; i++) {
        if (g_strcmp0(names->pdata[i], memory->group) == 0)
            return names->pdata[i];
        if (g_strcmp0(names->pdata[i], memory->scheme) == 0)
            found = names->pdata[i];
    }
    return found;
}

static guint32
vadm_remote_take_index(VadmRemoteMemory *memory, const char *name, const char *main_name)
{
    if (strcmp(name, "admin") == 0)
        return VADM_REMOTE_ADMIN_INDEX;
    if (name == main_name && !memory->main_taken) {
        memory->main_taken = TRUE;
        return VADM_REMOTE_MAIN_INDEX;
    }
    return memory->next_index++;
}

void
vadm_remote_memory_meet(VadmRemoteMemory *memory, const GPtrArray *names)
{
    g_autoptr(GPtrArray) sorted = g_ptr_array_sized_new(names->len);
    const char *main_name = vadm_remote_main_name(memory, names);

    for (guint i = 0; i < names->len; i++) {
        if (!vadm_remote_memory_find(memory, names->pdata[i]))
            g_ptr_array_add(sorted, names->pdata[i]);
    }
    g_ptr_array_sort(sorted, vadm_remote_compare_names);
    for (guint i = 0; i < sorted->len; i++) {
        const char *name = sorted->pdata[i];

        if (vadm_remote_memory_find(memory, name)) /* told twice */
            continue;
        if (memory->servers->len >= VADM_REMOTE_SERVERS_MAX) {
            if (!memory->strange)
                VADM_WARN("%s: more than %u servers: '%s' and others are not shown", memory->group,
                          VADM_REMOTE_SERVERS_MAX, name);
            memory->strange = TRUE;
            return;
        }
        g_ptr_array_add(memory->servers,
                        vadm_remote_known_new(name, vadm_remote_take_index(memory, name, main_name),
                                              memory->high_percent));
    }
}

void
vadm_remote_memory_reconnect(VadmRemoteMemory *memory)
{
    memory->connection++;
    memory->anew = TRUE;
    memory->complaints = 0;
    for (guint i = 0; i < memory->servers->len; i++) {
        VadmRemoteKnown *known = memory->servers->pdata[i];

        known->listed = FALSE;
        known->expected = 0;
        known->complaints = 0;
        g_hash_table_remove_all(known->by_id);
        g_ptr_array_set_size(known->clients, 0);
    }
}

/* The keys are the ids in the clients themselves, which @known holds. */
void
vadm_remote_memory_list(VadmRemoteKnown *known, const GPtrArray *clients)
{
    GPtrArray *before = known->clients;

    known->listed = TRUE;
    known->clients = vadm_remote_clients_new(clients->len);
    g_hash_table_remove_all(known->by_id);
    for (guint i = 0; i < clients->len; i++) {
        VadmRemoteClient *client = vadm_remote_client_ref(clients->pdata[i]);

        g_ptr_array_add(known->clients, client);
        g_hash_table_insert(known->by_id, &client->row.id, client);
    }
    g_ptr_array_unref(before);
}
