/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The streams of one link, found by either side's serial. A stream lives from the forwarding of
 * the call that opens it to the upstream's last word on it: the failed reply, its own ERROR, or
 * the OK with which it confirms the client's end or abort. What the client says last does not end
 * it, for that confirmation has still to find its way back.
 */
#include "daemon/relay-private.h"

/* Both NULL while there is no stream, as most clients never have one. */
struct _VadmRelayStreams {
    GHashTable *by_upstream; /* serial -> VadmRelayStream, owned */
    GHashTable *by_client;   /* serial -> VadmRelayStream, the latest with that serial */
};

VadmRelayStreams *
vadm_relay_streams_new(void)
{
    return g_new0(VadmRelayStreams, 1);
}

void
vadm_relay_streams_free(VadmRelayStreams *streams)
{
    vadm_relay_streams_clear(streams);
    g_free(streams);
}

static void
streams_make_tables(VadmRelayStreams *streams)
{
    if (streams->by_upstream)
        return;
    streams->by_upstream = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    streams->by_client = g_hash_table_new(NULL, NULL);
}

void
vadm_relay_streams_add(VadmRelayStreams *streams, const VadmRpcHeader *call, guint32 serial)
{
    VadmRelayStream *stream = g_new(VadmRelayStream, 1);

    streams_make_tables(streams);
    stream->call = *call;
    stream->serial = serial;
    g_hash_table_insert(streams->by_upstream, GUINT_TO_POINTER(serial), stream);
    g_hash_table_insert(streams->by_client, GUINT_TO_POINTER(call->serial), stream);
}

gboolean
vadm_relay_streams_has(const VadmRelayStreams *streams, guint32 serial)
{
    return streams->by_upstream &&
           g_hash_table_contains(streams->by_upstream, GUINT_TO_POINTER(serial));
}

/* @table: (nullable) */
static const VadmRelayStream *
streams_find(GHashTable *table, const VadmRpcHeader *header)
{
    const VadmRelayStream *stream;

    if (!table)
        return NULL;
    stream = g_hash_table_lookup(table, GUINT_TO_POINTER(header->serial));
    if (!stream || stream->call.program != header->program ||
        stream->call.procedure != header->procedure)
        return NULL;
    return stream;
}

const VadmRelayStream *
vadm_relay_streams_find_upstream(const VadmRelayStreams *streams, const VadmRpcHeader *header)
{
    return streams_find(streams->by_upstream, header);
}

const VadmRelayStream *
vadm_relay_streams_find_client(const VadmRelayStreams *streams, const VadmRpcHeader *header)
{
    return streams_find(streams->by_client, header);
}

void
vadm_relay_streams_remove(VadmRelayStreams *streams, guint32 serial)
{
    VadmRelayStream *stream;
    gpointer key;

    if (!vadm_relay_streams_has(streams, serial))
        return;
    stream = g_hash_table_lookup(streams->by_upstream, GUINT_TO_POINTER(serial));
    key = GUINT_TO_POINTER(stream->call.serial);
    if (g_hash_table_lookup(streams->by_client, key) == stream)
        g_hash_table_remove(streams->by_client, key);
    g_hash_table_remove(streams->by_upstream, GUINT_TO_POINTER(serial));
    if (g_hash_table_size(streams->by_upstream) == 0)
        vadm_relay_streams_clear(streams);
}

void
vadm_relay_streams_foreach(const VadmRelayStreams *streams, VadmRelayStreamFn function,
                           gpointer user)
{
    GHashTableIter iter;
    gpointer stream;

    if (!streams->by_upstream)
        return;
    g_hash_table_iter_init(&iter, streams->by_upstream);
    while (g_hash_table_iter_next(&iter, NULL, &stream))
        function(stream, user);
}

void
vadm_relay_streams_clear(VadmRelayStreams *streams)
{
    g_clear_pointer(&streams->by_client, g_hash_table_unref);
    g_clear_pointer(&streams->by_upstream, g_hash_table_unref);
}
