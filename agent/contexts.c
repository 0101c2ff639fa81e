/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/contexts.h"

#include <string.h>

struct _VadmContexts {
    GPtrArray *list; /* of VadmContext, in the order of their indexes */
};

static void
vadm_context_free(gpointer data)
{
    VadmContext *context = data;

    g_free(context->name);
    g_free(context);
}

VadmContexts *
vadm_contexts_new(void)
{
    VadmContexts *contexts = g_new0(VadmContexts, 1);

    contexts->list = g_ptr_array_new_with_free_func(vadm_context_free);
    return contexts;
}

void
vadm_contexts_free(VadmContexts *contexts)
{
    if (!contexts)
        return;
    g_ptr_array_unref(contexts->list);
    g_free(contexts);
}

/* That of a string that is not IMPLIED: its length, then its octets (RFC 2578 section 7.7). */
static void
vadm_context_index(const char *name, VadmMibOid *index)
{
    G_STATIC_ASSERT(VADM_CONTEXT_NAME_MAX < VADM_MIB_OID_MAX);
    index->length = 0;
    index->arcs[index->length++] = (guint32)strlen(name);
    for (const char *c = name; *c; c++)
        index->arcs[index->length++] = (guint8)*c;
}

static int
vadm_index_compare(const VadmMibOid *a, const VadmMibOid *b)
{
    for (guint i = 0; i < MIN(a->length, b->length); i++) {
        if (a->arcs[i] != b->arcs[i])
            return a->arcs[i] < b->arcs[i] ? -1 : 1;
    }
    return (a->length > b->length) - (a->length < b->length);
}

/* Where the first context stands whose index is not before @index; their number: there is none. */
static guint
vadm_contexts_place(const VadmContexts *contexts, const VadmMibOid *index)
{
    guint low = 0, high = contexts->list->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;
        const VadmContext *context = g_ptr_array_index(contexts->list, middle);
        VadmMibOid own;

        vadm_context_index(context->name, &own);
        if (vadm_index_compare(&own, index) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const VadmContext *
vadm_contexts_find(const VadmContexts *contexts, VadmMatch match, const VadmMibOid *index,
                   VadmMibOid *found)
{
    for (guint i = vadm_contexts_place(contexts, index); i < contexts->list->len; i++) {
        const VadmContext *context = g_ptr_array_index(contexts->list, i);
        gboolean same;

        vadm_context_index(context->name, found);
        same = vadm_index_compare(found, index) == 0;
        if (match == VADM_MATCH_EQ)
            return same ? context : NULL;
        if (!same)
            return context;
    }
    return NULL;
}

gboolean
vadm_contexts_add(VadmContexts *contexts, const char *name, VadmSource *source, GError **error)
{
    gsize length = name ? strlen(name) : 0;
    VadmMibOid index, same;
    VadmContext *context;

    if (length < 1 || length > VADM_CONTEXT_NAME_MAX) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG,
                    "daemon '%s': its name is that of an SNMP context, and must have from 1 to %u "
                    "octets",
                    name ? name : "", VADM_CONTEXT_NAME_MAX);
        return FALSE;
    }
    vadm_context_index(name, &index);
    if (vadm_contexts_find(contexts, VADM_MATCH_EQ, &index, &same)) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG,
                    "daemon '%s': another one has the name, which is that of an SNMP context",
                    name);
        return FALSE;
    }
    context = g_new(VadmContext, 1);
    context->name = g_strdup(name);
    context->source = source;
    g_ptr_array_insert(contexts->list, (gint)vadm_contexts_place(contexts, &index), context);
    return TRUE;
}

guint
vadm_contexts_get_number(const VadmContexts *contexts)
{
    return contexts->list->len;
}
