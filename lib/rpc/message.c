/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/message.h"

#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "rpc/protocol.h"

G_STATIC_ASSERT(VADM_XDR_STRING_MAX == VADM_RPC_STRING_MAX);

/* Where encoding starts, without the length word; doubled until the payload fits. */
#define ENCODE_FIRST (64u * 1024)

/* Octet offsets of the words of the header. */
enum {
    OFFSET_LENGTH = 0,
    OFFSET_PROGRAM = 4,
    OFFSET_VERSION = 8,
    OFFSET_PROCEDURE = 12,
    OFFSET_TYPE = 16,
    OFFSET_SERIAL = 20,
    OFFSET_STATUS = 24,
    OFFSET_PAYLOAD = 28
};

G_STATIC_ASSERT(OFFSET_PAYLOAD == VADM_RPC_LENGTH_MIN);

static guint32
get_word(const guint8 *data, gsize offset)
{
    guint32 word;

    memcpy(&word, data + offset, sizeof word);
    return GUINT32_FROM_BE(word);
}

static void
put_word(guint8 *data, gsize offset, guint32 value)
{
    guint32 word = GUINT32_TO_BE(value);

    memcpy(data + offset, &word, sizeof word);
}

static void
put_header(guint8 *data, gsize length, const VadmRpcHeader *header)
{
    put_word(data, OFFSET_LENGTH, (guint32)length);
    put_word(data, OFFSET_PROGRAM, header->program);
    put_word(data, OFFSET_VERSION, header->version);
    put_word(data, OFFSET_PROCEDURE, (guint32)header->procedure);
    put_word(data, OFFSET_TYPE, header->type);
    put_word(data, OFFSET_SERIAL, header->serial);
    put_word(data, OFFSET_STATUS, header->status);
}

VadmMessage *
vadm_message_new_take(guint8 *data, gsize length)
{
    VadmMessage *message = g_new0(VadmMessage, 1);

    g_assert(length >= VADM_RPC_LENGTH_MIN && length <= VADM_RPC_LENGTH_MAX);
    message->data = data;
    message->length = length;
    message->header.program = get_word(data, OFFSET_PROGRAM);
    message->header.version = get_word(data, OFFSET_VERSION);
    message->header.procedure = (gint32)get_word(data, OFFSET_PROCEDURE);
    message->header.type = get_word(data, OFFSET_TYPE);
    message->header.serial = get_word(data, OFFSET_SERIAL);
    message->header.status = get_word(data, OFFSET_STATUS);
    return message;
}

/* Returns: how many octets the payload took of the @space behind the header, -1: too little
 * space, or a value that no space is enough for (a NULL string, a count above its limit). */
static gssize
encode_payload(guint8 *data, gsize space, xdrproc_t encode, gconstpointer payload)
{
    XDR xdrs;
    gssize used = -1;

    if (!encode)
        return 0;
    xdrmem_create(&xdrs, (char *)data + OFFSET_PAYLOAD, (u_int)space, XDR_ENCODE);
    if (encode(&xdrs, payload))
        used = (gssize)xdr_getpos(&xdrs);
    xdr_destroy(&xdrs);
    return used;
}

VadmMessage *
vadm_message_new(const VadmRpcHeader *header, xdrproc_t encode, gconstpointer payload,
                 GError **error)
{
    gsize size = encode ? ENCODE_FIRST : VADM_RPC_HEADER_SIZE;

    for (; size <= VADM_RPC_MESSAGE_MAX; size *= 2) {
        g_autofree guint8 *data = g_malloc(VADM_RPC_LENGTH_SIZE + size);
        gssize used = encode_payload(data, size - VADM_RPC_HEADER_SIZE, encode, payload);
        gsize length = VADM_RPC_LENGTH_MIN + (gsize)used;

        if (used < 0)
            continue;
        put_header(data, length, header);
        return vadm_message_new_take(g_realloc(g_steal_pointer(&data), length), length);
    }
    g_set_error(error, VADM_ERROR, VADM_ERROR_RPC, "Unable to encode message payload");
    return NULL;
}

VadmMessage *
vadm_message_new_reply(const VadmRpcHeader *call, xdrproc_t encode, gconstpointer payload,
                       GError **error)
{
    VadmRpcHeader header = *call;

    header.type = VADM_RPC_REPLY;
    header.status = VADM_RPC_OK;
    return vadm_message_new(&header, encode, payload, error);
}

gboolean
vadm_message_has_fd_count(const VadmMessage *message)
{
    return message->header.type == VADM_RPC_CALL_WITH_FDS ||
           message->header.type == VADM_RPC_REPLY_WITH_FDS;
}

guint
vadm_message_n_fds(const VadmMessage *message)
{
    return message->fds ? message->fds->len : 0;
}

gsize
vadm_message_weight(const VadmMessage *message)
{
    return message->length + (gsize)vadm_message_n_fds(message) * VADM_RPC_FD_WEIGHT;
}

/*
 * The decoder cannot be made to allocate without end: an array is at most its bound of small
 * structs, and a string that promises more than has come ends the decoding, so at most one of
 * VADM_RPC_STRING_MAX octets is allocated in vain.
 */
gboolean
vadm_message_decode(const VadmMessage *message, xdrproc_t decode, gpointer payload, GError **error)
{
    gsize length;
    const guint8 *data = vadm_message_payload(message, &length);
    gsize skip = vadm_message_has_fd_count(message) ? 4 : 0;
    XDR xdrs;
    bool_t done = FALSE;

    if (length >= skip) {
        /* xdrmem does not write to what it decodes from. */
        xdrmem_create(&xdrs, (char *)(guintptr)(data + skip), (u_int)(length - skip), XDR_DECODE);
        done = decode(&xdrs, payload);
        xdr_destroy(&xdrs);
    }
    if (!done)
        g_set_error(error, VADM_ERROR, VADM_ERROR_RPC, "Unable to decode message payload");
    return done;
}

const guint8 *
vadm_message_payload(const VadmMessage *message, gsize *length)
{
    *length = message->length - VADM_RPC_LENGTH_MIN;
    return message->data + OFFSET_PAYLOAD;
}

void
vadm_message_set_serial(VadmMessage *message, guint32 serial)
{
    message->header.serial = serial;
    put_word(message->data, OFFSET_SERIAL, serial);
}

VadmMessage *
vadm_message_copy(const VadmMessage *message)
{
    return vadm_message_new_take(g_memdup2(message->data, message->length), message->length);
}

void
vadm_message_free(VadmMessage *message)
{
    if (!message)
        return;
    vadm_budget_claim_free(message->claim);
    for (guint i = 0; i < vadm_message_n_fds(message); i++)
        close(g_array_index(message->fds, int, i));
    g_clear_pointer(&message->fds, g_array_unref);
    g_free(message->data);
    g_free(message);
}
