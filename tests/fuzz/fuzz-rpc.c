/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzzes the framer and the decoders: the input is what a peer sends. Built with
 * -fsanitize=fuzzer it is a libFuzzer target; with fuzz-main.c it is a bounded unit test.
 */
#include "rpc/rpc-error.h"
#include "tests/unit/test-rpc-data.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

/* What has been decoded must encode, and decode again to what encodes the same. */
static void
check_round_trip(const VadmRpcHeader *header, xdrproc_t proc, gconstpointer payload, gsize size)
{
    VadmRpcHeader plain = *header; /* no word that counts descriptors */
    g_autoptr(VadmMessage) first = NULL, second = NULL;
    g_autofree gpointer again = g_malloc0(size);

    plain.type = VADM_RPC_CALL;
    first = vadm_message_new(&plain, proc, payload, NULL);
    if (!first)
        g_error("procedure %d: decoded, but does not encode", plain.procedure);
    if (!vadm_message_decode(first, proc, again, NULL))
        g_error("procedure %d: what we encode does not decode", plain.procedure);
    second = vadm_message_new(&plain, proc, again, NULL);
    if (first->length != second->length || memcmp(first->data, second->data, first->length) != 0)
        g_error("procedure %d: changes by decoding", plain.procedure);
    xdr_free(proc, again);
}

static void
check_message(const VadmMessage *message)
{
    g_autofree gpointer payload = NULL;
    g_autofree char *text G_GNUC_UNUSED = vadm_message_get_error(message, NULL, NULL);
    xdrproc_t proc;
    gsize size;

    if (!payload_of(&message->header, &proc, &size) || !proc)
        return;
    payload = g_malloc0(size);
    if (vadm_message_decode(message, proc, payload, NULL))
        check_round_trip(&message->header, proc, payload, size);
    xdr_free(proc, payload);
}

int
LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    g_autoptr(VadmFramer) framer = vadm_framer_new();
    g_autoptr(GError) error = NULL;
    gsize chunk = size > 0 ? 1 + data[size - 1] : 1; /* the way it is cut varies, too */

    if (size % 2)
        vadm_framer_set_trailers(framer);
    while (size > 0 && !error) {
        gsize room;
        guint8 *space = vadm_framer_space(framer, chunk, &room);
        VadmMessage *message;

        room = MIN(room, size);
        memcpy(space, data, room);
        vadm_framer_filled(framer, room);
        data += room;
        size -= room;
        while ((message = vadm_framer_next(framer, &error))) {
            check_message(message);
            vadm_message_free(message);
        }
    }
    return 0;
}
