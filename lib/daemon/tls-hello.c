/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tells whether a ClientHello is there as a whole (RFC 8446, 4 and 5.1; RFC 5246, 6.2.1 and 7.4).
 */
#include "daemon/tls-private.h"

#define RECORD_HEAD      5u
#define RECORD_HANDSHAKE 22u
#define RECORD_MAX       16384u
#define RECORDS_MAX      16u /* nobody needs more, and each has to be waited for */
#define HELLO_HEAD       4u
#define HELLO_CLIENT     1u

/* Returns: the length of the record's fragment; 0: this begins no record of a handshake. What of
 * the head is not there yet can be anything. */
static gsize
vadm_tls_record_length(const guint8 *head, gsize have)
{
    gsize length = have < RECORD_HEAD ? 1 : (gsize)head[3] << 8 | head[4];

    if ((have > 0 && head[0] != RECORD_HANDSHAKE) || (have > 1 && head[1] != 3))
        return 0;
    return length <= RECORD_MAX ? length : 0;
}

/* The message may be spread over several records, its head, too. */
gsize
vadm_tls_hello_wanted(const guint8 *data, gsize have)
{
    guint8 head[HELLO_HEAD] = {0};
    gsize at = 0, body = 0, message = HELLO_HEAD;

    for (guint records = 0; body < message; records++) {
        gsize length = vadm_tls_record_length(data + at, have - at);
        gsize there;

        if (length == 0 || records == RECORDS_MAX)
            return 0;
        at += RECORD_HEAD;
        if (have < at)
            return at;
        there = MIN(length, have - at);
        for (gsize i = 0; i < there && body + i < HELLO_HEAD; i++)
            head[body + i] = data[at + i];
        if (body + there > 0 && head[0] != HELLO_CLIENT)
            return 0;
        if (body + there >= HELLO_HEAD)
            message = HELLO_HEAD + ((gsize)head[1] << 16 | (gsize)head[2] << 8 | head[3]);
        if (at + message - body > VADM_TLS_HELLO_MAX)
            return 0;
        if (there < MIN(length, message - body))
            return at + MIN(length, message - body);
        body += length;
        at += length;
    }
    return MIN(at, have);
}
