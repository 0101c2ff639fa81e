/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "common/error.h"
#include "rpc/message.h"

/* What is read at first: most messages are shorter than this. A framer that holds nothing keeps
 * no memory, since most connections are idle. */
#define CHUNK (4u * 1024)

/* From this length on a message takes over the buffer instead of being copied out of it. */
#define TAKE_OVER (64u * 1024)

struct _VadmFramer {
    guint8 *data; /* NULL when nothing is held */
    gsize size;
    gsize start, end; /* what is held: start <= end <= size */
};

VadmFramer *
vadm_framer_new(void)
{
    return g_new0(VadmFramer, 1);
}

static void
framer_reset(VadmFramer *framer)
{
    g_free(framer->data);
    *framer = (VadmFramer){0};
}

void
vadm_framer_free(VadmFramer *framer)
{
    if (!framer)
        return;
    framer_reset(framer);
    g_free(framer);
}

gsize
vadm_framer_pending(const VadmFramer *framer)
{
    return framer->end - framer->start;
}

/* Returns: the length of the first message held, 0 when its length word has not come yet */
static gsize
framer_first_length(const VadmFramer *framer)
{
    guint32 word;

    if (vadm_framer_pending(framer) < VADM_RPC_LENGTH_SIZE)
        return 0;
    memcpy(&word, framer->data + framer->start, sizeof word);
    return GUINT32_FROM_BE(word);
}

static void
framer_compact(VadmFramer *framer)
{
    gsize held = vadm_framer_pending(framer);

    if (framer->start == 0)
        return;
    memmove(framer->data, framer->data + framer->start, held);
    framer->start = 0;
    framer->end = held;
}

/* Twice what has come, but no more than the message needs when that is enough: then a message
 * that takes over the buffer fills it exactly. */
static gsize
framer_grown_size(const VadmFramer *framer)
{
    gsize held = vadm_framer_pending(framer);
    gsize size = MAX(2 * held, CHUNK);
    gsize length = framer_first_length(framer);

    return length > held && length < size ? MAX(length, CHUNK) : size;
}

guint8 *
vadm_framer_space(VadmFramer *framer, gsize want, gsize *length)
{
    gsize least;

    want = MAX(want, 1);
    least = MIN(want, CHUNK / 4); /* less would make many small reads */
    if (framer->size - framer->end < least)
        framer_compact(framer);
    if (framer->size - framer->end < least) {
        framer->size = framer_grown_size(framer);
        framer->data = g_realloc(framer->data, framer->size);
    }
    *length = MIN(want, framer->size - framer->end);
    return framer->data + framer->end;
}

void
vadm_framer_filled(VadmFramer *framer, gsize length)
{
    g_assert(length <= framer->size - framer->end);
    framer->end += length;
    if (framer->start == framer->end)
        framer_reset(framer);
}

/* Gives the buffer away as the message of @length, and keeps a copy of the little behind it. */
static VadmMessage *
framer_take_over(VadmFramer *framer, gsize length)
{
    gsize rest = framer->end - length;
    guint8 *data = framer->data;

    framer->data = rest > 0 ? g_memdup2(data + length, rest) : NULL;
    framer->size = framer->end = rest;
    return vadm_message_new_take(g_realloc(data, length), length);
}

static VadmMessage *
framer_copy_out(VadmFramer *framer, gsize length)
{
    guint8 *data = g_memdup2(framer->data + framer->start, length);

    framer->start += length;
    if (framer->start == framer->end)
        framer_reset(framer);
    return vadm_message_new_take(data, length);
}

VadmMessage *
vadm_framer_next(VadmFramer *framer, GError **error)
{
    gsize held = vadm_framer_pending(framer);
    gsize length = framer_first_length(framer);

    if (held < VADM_RPC_LENGTH_SIZE)
        return NULL;
    if (length < VADM_RPC_LENGTH_MIN || length > VADM_RPC_LENGTH_MAX) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_RPC,
                    "message length %" G_GSIZE_FORMAT " is not between %u and %u octets", length,
                    VADM_RPC_LENGTH_MIN, VADM_RPC_LENGTH_MAX);
        return NULL;
    }
    if (held < length)
        return NULL;
    if (framer->start == 0 && length >= TAKE_OVER && held - length <= length)
        return framer_take_over(framer, length);
    return framer_copy_out(framer, length);
}
