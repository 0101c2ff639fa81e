/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One message of libvirt's RPC: a length word, a header of 24 octets and a payload
 * (docs/protocol.md, "Framing"). A message holds its octets as they are on the wire, so that
 * the relay can pass it on without decoding it.
 */
#ifndef VADM_RPC_MESSAGE_H
#define VADM_RPC_MESSAGE_H

#include <glib.h>
#include <rpc/rpc.h>

#include "rpc/budget.h"

#define VADM_RPC_LENGTH_SIZE 4u
#define VADM_RPC_HEADER_SIZE 24u
#define VADM_RPC_MESSAGE_MAX (32u * 1024 * 1024) /* without the length word */
#define VADM_RPC_LENGTH_MAX  (VADM_RPC_MESSAGE_MAX + VADM_RPC_LENGTH_SIZE)
#define VADM_RPC_LENGTH_MIN  (VADM_RPC_LENGTH_SIZE + VADM_RPC_HEADER_SIZE)
#define VADM_RPC_FDS_MAX     32u /* descriptors of one message */
/* What a descriptor that waits in a queue counts as, beside octets: no queue holds many. */
#define VADM_RPC_FD_WEIGHT  (32u * 1024)
#define VADM_RPC_STRING_MAX (4u * 1024 * 1024)

/* What a message that waits takes beside its octets, about: the shortest ones take five times as
 * much memory as they have octets, and count so where memory is to be bounded. */
#define VADM_MESSAGE_OVERHEAD 128u

#define VADM_RPC_PROGRAM_REMOTE    0x20008086u
#define VADM_RPC_PROGRAM_QEMU      0x20008087u
#define VADM_RPC_PROGRAM_LXC       0x00068000u
#define VADM_RPC_PROGRAM_ADMIN     0x06900690u
#define VADM_RPC_PROGRAM_KEEPALIVE 0x6b656570u
#define VADM_RPC_PROGRAM_EXTENSION 0x76616478u /* ours: what the admin program lacks */
#define VADM_RPC_VERSION           1u

typedef enum {
    VADM_RPC_CALL = 0,
    VADM_RPC_REPLY = 1,
    VADM_RPC_EVENT = 2, /* "MESSAGE" in libvirt's words: asynchronous, without a reply */
    VADM_RPC_STREAM = 3,
    VADM_RPC_CALL_WITH_FDS = 4,
    VADM_RPC_REPLY_WITH_FDS = 5,
    VADM_RPC_STREAM_HOLE = 6
} VadmRpcType;

typedef enum { VADM_RPC_OK = 0, VADM_RPC_ERROR = 1, VADM_RPC_CONTINUE = 2 } VadmRpcStatus;

/* As received: type and status may hold any number. */
typedef struct {
    guint32 program, version;
    gint32 procedure;
    guint32 type;
    guint32 serial;
    guint32 status;
} VadmRpcHeader;

typedef struct {
    VadmRpcHeader header; /* decoded; vadm_message_set_serial() keeps it and the octets equal */
    guint8 *data;         /* the whole message, length word first */
    gsize length;
    VadmBudgetClaim *claim; /* (nullable): on the memory of a long one */
    GArray *fds;            /* (nullable): of int, owned: descriptors that came, or go, with it */
} VadmMessage;

/**
 * vadm_message_new_take:
 * @data: (transfer full): @length octets from g_malloc(), length word first
 *
 * @length must be what the length word says and within VADM_RPC_LENGTH_MIN and _MAX (the
 * framer checks it). Returns: (transfer full)
 */
VadmMessage *vadm_message_new_take(guint8 *data, gsize length);

/**
 * vadm_message_new:
 * @header: what to put into the header
 * @encode: (nullable): XDR function of the payload, NULL for an empty one
 * @payload: what @encode encodes
 * @error: VADM_ERROR_RPC when it cannot be encoded within VADM_RPC_MESSAGE_MAX
 *
 * Returns: (transfer full) (nullable)
 */
VadmMessage *vadm_message_new(const VadmRpcHeader *header, xdrproc_t encode, gconstpointer payload,
                              GError **error);

/** vadm_message_new_reply: an OK reply to the call with header @call. */
VadmMessage *vadm_message_new_reply(const VadmRpcHeader *call, xdrproc_t encode,
                                    gconstpointer payload, GError **error);

/**
 * vadm_message_decode:
 * @decode: XDR function; @payload is a zeroed struct that the caller frees with
 *     xdr_free(@decode, @payload), also after a failure
 * @error: VADM_ERROR_RPC "Unable to decode message payload"
 *
 * Octets behind the last field are ignored, as libvirt does. For the types _WITH_FDS the word
 * that counts the descriptors is skipped.
 */
gboolean vadm_message_decode(const VadmMessage *message, xdrproc_t decode, gpointer payload,
                             GError **error);

/** vadm_message_has_fd_count: is it of a type _WITH_FDS? */
gboolean vadm_message_has_fd_count(const VadmMessage *message);
/** vadm_message_n_fds: how many descriptors it carries, whatever the word that counts them says */
guint vadm_message_n_fds(const VadmMessage *message);
/** vadm_message_weight: its octets, and VADM_RPC_FD_WEIGHT for each descriptor it carries */
gsize vadm_message_weight(const VadmMessage *message);

/** vadm_message_payload: Returns: the octets behind the header; @length: how many */
const guint8 *vadm_message_payload(const VadmMessage *message, gsize *length);

void vadm_message_set_serial(VadmMessage *message, guint32 serial);
/** vadm_message_copy: of the octets; descriptors stay with the original */
VadmMessage *vadm_message_copy(const VadmMessage *message);
/** vadm_message_free: closes its descriptors, too */
void vadm_message_free(VadmMessage *message);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmMessage, vadm_message_free)

/*
 * Incremental framing: octets in, messages out. Memory grows with the octets that have come,
 * not with what a length word promises.
 */
typedef struct _VadmFramer VadmFramer;

VadmFramer *vadm_framer_new(void);
void vadm_framer_free(VadmFramer *framer);

/** vadm_framer_set_max: the longest message that is taken from now on, octets with the length word,
 * VADM_RPC_LENGTH_MAX at first and at most. */
void vadm_framer_set_max(VadmFramer *framer, guint32 length);

/**
 * vadm_framer_space:
 * @want: how many octets the caller would like to read at once
 * @length: (out): how many there is space for, at least 1
 *
 * Returns: (transfer none): where to read to; valid until the next call
 */
guint8 *vadm_framer_space(VadmFramer *framer, gsize want, gsize *length);
/** vadm_framer_filled: @length octets of the space have been read into. */
void vadm_framer_filled(VadmFramer *framer, gsize length);
/** vadm_framer_set_trailers: from now on a message of a type _WITH_FDS is whole when one octet for
 * each of its descriptors has come behind it, as libvirt sends them. These octets are dropped. */
void vadm_framer_set_trailers(VadmFramer *framer);
/**
 * vadm_framer_next:
 * @error: VADM_ERROR_RPC for a length word below 28 or above the maximum, or more descriptors than
 *     VADM_RPC_FDS_MAX behind a message: close the connection
 *
 * Returns: (transfer full) (nullable): the next whole message; NULL without @error: more
 * octets are needed
 */
VadmMessage *vadm_framer_next(VadmFramer *framer, GError **error);
/** vadm_framer_length: of the first message that is held, whole or not, as its length word says; 0:
 * that is not there yet. */
gsize vadm_framer_length(const VadmFramer *framer);
/** vadm_framer_pending: octets held that are not yet part of a returned message. */
gsize vadm_framer_pending(const VadmFramer *framer);
/** vadm_framer_taken: octets of all messages that were returned, and of their descriptors. */
guint64 vadm_framer_taken(const VadmFramer *framer);
/** vadm_framer_trailer: how many of the octets held belong to descriptors of the first message,
 * when vadm_framer_next() has just returned NULL. */
gsize vadm_framer_trailer(const VadmFramer *framer);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmFramer, vadm_framer_free)

#endif
