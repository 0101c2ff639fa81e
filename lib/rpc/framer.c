/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "common/error.h"
#include "rpc/message.h"

/* What is read at first: most messages are shorter than this. A framer that holds nothing keeps
 * no memory, since most connections are idle. */
#define CHUNK (4u * 1024)

/* From this length on a message takes over the buffer instead of being copied out of it. */
#define TAKE_OVER (64u * 1024)

/* Octet offsets of words of a message. */
enum { OFFSET_TYPE = 16, OFFSET_FDS = 28 };

struct _VadmFramer {
    guint8 *data; /* NULL when nothing is held */
    gsize size;
    gsize start, end; /* what is held: start <= end <= size */
    guint64 taken;
    gboolean trailers;
    guint32 max; /* the longest message */
};

VadmFramer *
vadm_framer_new(void)
{
    VadmFramer *framer = g_new0(VadmFramer, 1);

    framer->max = VADM_RPC_LENGTH_MAX;
    return framer;
}

static void
framer_reset(VadmFramer *framer)
{
    g_clear_pointer(&framer->data, g_free);
    framer->size = framer->start = framer->end = 0;
}

void
vadm_framer_set_max(VadmFramer *framer, guint32 length)
{
    framer->max = length;
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

guint64
vadm_framer_taken(const VadmFramer *framer)
{
    return framer->taken;
}

void
vadm_framer_set_trailers(VadmFramer *framer)
{
    framer->trailers = TRUE;
}

/* A word of the first message held. */
static guint32
framer_word(const VadmFramer *framer, gsize offset)
{
    guint32 word;

    memcpy(&word, framer->data + framer->start + offset, sizeof word);
    return GUINT32_FROM_BE(word);
}

gsize
vadm_framer_length(const VadmFramer *framer)
{
    return vadm_framer_pending(framer) < VADM_RPC_LENGTH_SIZE ? 0 : framer_word(framer, 0);
}

gsize
vadm_framer_trailer(const VadmFramer *framer)
{
    gsize held = vadm_framer_pending(framer);
    gsize length = vadm_framer_length(framer);

    return length > 0 && held > length ? held - length : 0;
}

/* Returns: how many octets belong to the first message, which is there, behind its end */
static gsize
framer_due(const VadmFramer *framer, gsize length)
{
    guint32 type;

    if (!framer->trailers || length < OFFSET_FDS + sizeof(guint32))
        return 0;
    type = framer_word(framer, OFFSET_TYPE);
    return type == VADM_RPC_CALL_WITH_FDS || type == VADM_RPC_REPLY_WITH_FDS
               ? framer_word(framer, OFFSET_FDS)
               : 0;
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
    gsize length = vadm_framer_length(framer);

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

static void
framer_skip(VadmFramer *framer, gsize length)
{
    framer->start += length;
    if (framer->start == framer->end)
        framer_reset(framer);
}

static VadmMessage *
framer_copy_out(VadmFramer *framer, gsize length)
{
    guint8 *data = g_memdup2(framer->data + framer->start, length);

    framer_skip(framer, length);
    return vadm_message_new_take(data, length);
}

static VadmMessage *
framer_take(VadmFramer *framer, gsize length)
{
    gsize held = vadm_framer_pending(framer);

    if (framer->start == 0 && length >= TAKE_OVER && held - length <= length)
        return framer_take_over(framer, length);
    return framer_copy_out(framer, length);
}

VadmMessage *
vadm_framer_next(VadmFramer *framer, GError **error)
{
    gsize held = vadm_framer_pending(framer);
    gsize length = vadm_framer_length(framer);
    gsize due;
    VadmMessage *message;

    if (held < VADM_RPC_LENGTH_SIZE)
        return NULL;
    if (length < VADM_RPC_LENGTH_MIN || length > framer->max) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_RPC,
                    "message length %" G_GSIZE_FORMAT " is not between %u and %u octets", length,
                    VADM_RPC_LENGTH_MIN, framer->max);
        return NULL;
    }
    if (held < length)
        return NULL;
    due = framer_due(framer, length);
    if (due > VADM_RPC_FDS_MAX) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_RPC,
                    "a message with %" G_GSIZE_FORMAT " file descriptors: at most %u are allowed",
                    due, VADM_RPC_FDS_MAX);
        return NULL;
    }
    if (held - length < due)
        return NULL;
    message = framer_take(framer, length);
    framer_skip(framer, due);
    framer->taken += length + due;
    return message;
}
