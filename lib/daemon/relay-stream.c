/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The streams of one link, found by either side's serial. A stream lives from the forwarding of
 * the call that opens it to the upstream's last word on it: the failed reply, its own ERROR, or
 * the OK with which it confirms the client's end or abort. What the client says last does not end
 * it, for that confirmation has still to find its way back.
 */
#include "daemon/relay-private.h"

struct _VadmRelayStreams {
    GHashTable *by_upstream; /* serial -> VadmRelayStream, owned */
    GHashTable *by_client;   /* serial -> VadmRelayStream, the latest with that serial */
};

VadmRelayStreams *
vadm_relay_streams_new(void)
{
    VadmRelayStreams *streams = g_new(VadmRelayStreams, 1);

    streams->by_upstream = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    streams->by_client = g_hash_table_new(NULL, NULL);
    return streams;
}

void
vadm_relay_streams_free(VadmRelayStreams *streams)
{
    g_hash_table_unref(streams->by_client);
    g_hash_table_unref(streams->by_upstream);
    g_free(streams);
}

void
vadm_relay_streams_add(VadmRelayStreams *streams, const VadmRpcHeader *call, guint32 serial)
{
    VadmRelayStream *stream = g_new(VadmRelayStream, 1);

    stream->call = *call;
    stream->serial = serial;
    g_hash_table_insert(streams->by_upstream, GUINT_TO_POINTER(serial), stream);
    g_hash_table_insert(streams->by_client, GUINT_TO_POINTER(call->serial), stream);
}

gboolean
vadm_relay_streams_has(const VadmRelayStreams *streams, guint32 serial)
{
    return g_hash_table_contains(streams->by_upstream, GUINT_TO_POINTER(serial));
}

static const VadmRelayStream *
streams_find(GHashTable *table, const VadmRpcHeader *header)
{
    const VadmRelayStream *stream = g_hash_table_lookup(table, GUINT_TO_POINTER(header->serial));

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
    VadmRelayStream *stream = g_hash_table_lookup(streams->by_upstream, GUINT_TO_POINTER(serial));
    gpointer key;

    if (!stream)
        return;
    key = GUINT_TO_POINTER(stream->call.serial);
    if (g_hash_table_lookup(streams->by_client, key) == stream)
        g_hash_table_remove(streams->by_client, key);
    g_hash_table_remove(streams->by_upstream, GUINT_TO_POINTER(serial));
}

void
vadm_relay_streams_clear(VadmRelayStreams *streams)
{
    g_hash_table_remove_all(streams->by_client);
    g_hash_table_remove_all(streams->by_upstream);
}
