/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The streams of a security layer, below a connection as they are used. The layer itself is a fake:
 * a length word, and octets that are turned over. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/sasl-layer.h"
#include "loop.h"
#include "rpc/conn.h"
#include "unit.h"

#define PIECE        5000u /* what the peer takes, clear octets */
#define PIECE_IN_MAX 8000u /* what we take */
#define HEAD         4u
#define HEADER_END   28u

/* Fakes of lib/daemon/sasl.h */

struct _VadmSasl {
    GByteArray *in, *decoded, *encoded;
};

static guint freed, encodes;
static gboolean fail_encode;

static VadmSasl *
fake_new(void)
{
    VadmSasl *sasl = g_new0(VadmSasl, 1);

    sasl->in = g_byte_array_new();
    sasl->decoded = g_byte_array_new();
    sasl->encoded = g_byte_array_new();
    return sasl;
}

void
vadm_sasl_free(VadmSasl *sasl)
{
    if (!sasl)
        return;
    freed++;
    g_byte_array_unref(sasl->in);
    g_byte_array_unref(sasl->decoded);
    g_byte_array_unref(sasl->encoded);
    g_free(sasl);
}

gsize
vadm_sasl_get_piece(VadmSasl *sasl)
{
    ck_assert_ptr_nonnull(sasl);
    return PIECE;
}

static void
append_turned(GByteArray *to, const guint8 *data, gsize length)
{
    for (gsize i = 0; i < length; i++) {
        guint8 octet = (guint8)~data[i];

        g_byte_array_append(to, &octet, 1);
    }
}

static void
append_piece(GByteArray *to, const guint8 *data, gsize length)
{
    guint32 word = GUINT32_TO_BE((guint32)length);

    g_byte_array_append(to, (const guint8 *)&word, HEAD);
    append_turned(to, data, length);
}

gboolean
vadm_sasl_encode(VadmSasl *sasl, const guint8 *data, gsize length, const guint8 **out,
                 gsize *out_length, GError **error)
{
    ck_assert_uint_gt(length, 0);
    ck_assert_uint_le(length, PIECE);
    encodes++;
    if (fail_encode) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_AUTH, "fake reason");
        return FALSE;
    }
    /* what it gave before is gone */
    if (sasl->encoded->len > 0)
        memset(sasl->encoded->data, 0xaa, sasl->encoded->len);
    g_byte_array_set_size(sasl->encoded, 0);
    append_piece(sasl->encoded, data, length);
    *out = sasl->encoded->data;
    *out_length = sasl->encoded->len;
    return TRUE;
}

static guint32
piece_length(const guint8 *data)
{
    guint32 word;

    memcpy(&word, data, HEAD);
    return GUINT32_FROM_BE(word);
}

gboolean
vadm_sasl_decode(VadmSasl *sasl, const guint8 *data, gsize length, const guint8 **out,
                 gsize *out_length, GError **error)
{
    if (sasl->decoded->len > 0)
        memset(sasl->decoded->data, 0xaa, sasl->decoded->len);
    g_byte_array_set_size(sasl->decoded, 0);
    g_byte_array_append(sasl->in, data, (guint)length);
    while (sasl->in->len >= HEAD) {
        guint32 piece = piece_length(sasl->in->data);

        if (piece > PIECE_IN_MAX) {
            g_set_error(error, VADM_ERROR, VADM_ERROR_AUTH, "a piece of %u octets", piece);
            g_byte_array_set_size(sasl->in, 0); /* it does not mind */
            return FALSE;
        }
        if (sasl->in->len < HEAD + piece)
            break;
        append_turned(sasl->decoded, sasl->in->data + HEAD, piece);
        g_byte_array_remove_range(sasl->in, 0, HEAD + piece);
    }
    *out = sasl->decoded->len > 0 ? sasl->decoded->data : NULL;
    *out_length = sasl->decoded->len;
    return TRUE;
}

/* A connection with the layer, whose other end the test has. */

static GMainContext *context;
static GSocketConnection *base;
static VadmConn *conn;
static int peer;
static guint count, ends;
static gsize came;
static VadmConnEnd last_end;
static char *last_text;

static void
on_message(VadmConn *from, VadmMessage *message, gpointer user)
{
    (void)from;
    (void)user;
    ck_assert_uint_eq(message->header.serial, count);
    for (gsize i = HEADER_END; i < message->length; i++)
        ck_assert_uint_eq(message->data[i], (guint8)(count + i));
    count++;
    came += message->length;
    vadm_message_free(message);
}

static void
on_ended(VadmConn *from, VadmConnEnd end, const GError *error, gpointer user)
{
    (void)from;
    (void)user;
    last_end = end;
    last_text = g_strdup(error->message);
    ends++;
}

static void
setup(void)
{
    static const VadmConnHandlers handlers = {on_message, on_ended, NULL};
    g_autoptr(GSocket) socket = NULL;
    g_autoptr(GIOStream) layer = NULL;
    int fds[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    socket = g_socket_new_from_fd(fds[0], NULL);
    base = g_socket_connection_factory_create_connection(socket);
    peer = fds[1];
    context = g_main_context_new();
    count = ends = freed = encodes = 0;
    came = 0;
    fail_encode = FALSE;
    conn = vadm_conn_new(G_IO_STREAM(base), context, &handlers, NULL);
    layer = vadm_sasl_layer_new(G_IO_STREAM(base), fake_new());
    vadm_conn_set_stream(conn, layer);
    vadm_conn_set_reading(conn, TRUE);
}

static void
teardown(void)
{
    vadm_conn_unref(conn);
    ck_assert_uint_eq(freed, 1);
    ck_assert(g_io_stream_is_closed(G_IO_STREAM(base)));
    ck_assert_int_eq(G_OBJECT(base)->ref_count, 1);
    g_object_unref(base);
    if (peer >= 0)
        close(peer);
    g_main_context_unref(context);
    g_clear_pointer(&last_text, g_free);
}

#define WAIT_FOR(condition) LOOP_WAIT_FOR(context, condition)

static void
settle(void)
{
    loop_settle(context);
}

static VadmMessage *
new_message(guint32 serial, gsize length)
{
    guint8 *data = g_malloc0(length);
    guint32 words[2] = {GUINT32_TO_BE((guint32)length), GUINT32_TO_BE(serial)};

    for (gsize i = HEADER_END; i < length; i++)
        data[i] = (guint8)(serial + i);
    memcpy(data, &words[0], 4);
    memcpy(data + 20, &words[1], 4);
    return vadm_message_new_take(data, length);
}

static void
peer_write(const guint8 *data, gsize length)
{
    gint64 wait_end = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;

    for (gsize done = 0; done < length;) {
        gssize n = write(peer, data + done, length - done);

        ck_assert(n > 0 || errno == EAGAIN);
        ck_assert_int_lt(g_get_monotonic_time(), wait_end);
        if (n > 0)
            done += (gsize)n;
        else
            g_main_context_iteration(context, FALSE);
    }
}

/* Appends what came, decoded. */
static void
peer_read(GByteArray *raw)
{
    guint8 chunk[3000];
    gssize n = read(peer, chunk, sizeof chunk);

    ck_assert(n > 0 || (n < 0 && errno == EAGAIN));
    if (n > 0)
        g_byte_array_append(raw, chunk, (guint)n);
}

static GByteArray *
decode_all(const GByteArray *raw)
{
    GByteArray *clear = g_byte_array_new();
    gsize at = 0;

    while (at < raw->len) {
        guint32 length = piece_length(raw->data + at);

        ck_assert_uint_le(length, PIECE);
        append_turned(clear, raw->data + at + HEAD, length);
        at += HEAD + length;
    }
    ck_assert_uint_eq(at, raw->len);
    return clear;
}

/* Messages of all sizes in pieces of all sizes, empty ones too, cut anywhere. */
START_TEST(test_read)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(56);
    g_autoptr(GByteArray) clear = g_byte_array_new(), raw = g_byte_array_new();
    guint n = 200;

    for (guint32 i = 0; i < n; i++) {
        gsize length = 28 + (gsize)(i % 10 == 0 ? g_rand_int_range(random, 0, 300000)
                                                : g_rand_int_range(random, 0, 300));
        g_autoptr(VadmMessage) message = new_message(i, length);

        g_byte_array_append(clear, message->data, (guint)message->length);
    }
    for (gsize at = 0; at < clear->len;) {
        gsize length =
            (gsize)g_rand_int_range(random, 0, g_rand_boolean(random) ? 50 : (gint)PIECE_IN_MAX);

        length = MIN(length, clear->len - at);
        append_piece(raw, clear->data + at, length);
        at += length;
    }
    for (gsize at = 0; at < raw->len;) {
        gsize length = MIN((gsize)g_rand_int_range(random, 1, 20000), raw->len - at);

        peer_write(raw->data + at, length);
        if (g_rand_boolean(random))
            settle();
        at += length;
    }
    WAIT_FOR(count == n);
    ck_assert_uint_eq(came, clear->len);
    ck_assert_uint_eq(ends, 0);
}
END_TEST

/* More than the socket takes, to a peer that reads slowly: pieces are cut anywhere. What the peer
 * has not taken still counts as queued. */
START_TEST(test_write)
{
    static const gsize sizes[] = {28, PIECE, PIECE + 1, 3000000, 100000, 29};
    g_autoptr(GByteArray) expected = g_byte_array_new(), raw = g_byte_array_new(), clear = NULL;

    for (guint32 i = 0; i < G_N_ELEMENTS(sizes); i++) {
        VadmMessage *message = new_message(i, sizes[i]);

        g_byte_array_append(expected, message->data, (guint)message->length);
        vadm_conn_send(conn, message);
    }
    settle();
    ck_assert_uint_gt(vadm_conn_queued(conn), VADM_CONN_HIGH_WATER);
    WAIT_FOR((peer_read(raw), vadm_conn_queued(conn) == 0));
    ck_assert_uint_ge(raw->len + 2 * PIECE + 300000, expected->len);
    for (guint i = 0; i < 1000; i++)
        peer_read(raw);
    clear = decode_all(raw);
    ck_assert_uint_eq(clear->len, expected->len);
    ck_assert_mem_eq(clear->data, expected->data, clear->len);
    /* each piece was made once */
    ck_assert_uint_eq(encodes, 1 + 1 + 2 + 600 + 20 + 1);
    ck_assert_uint_eq(ends, 0);
}
END_TEST

START_TEST(test_flush)
{
    g_autoptr(GByteArray) raw = g_byte_array_new(), clear = NULL;

    vadm_conn_send(conn, new_message(0, 1000000));
    vadm_conn_close_flushed(conn, 5000, NULL, NULL);
    WAIT_FOR((peer_read(raw), raw->len == 1000000 + 200 * HEAD));
    clear = decode_all(raw);
    ck_assert_uint_eq(clear->len, 1000000);
}
END_TEST

typedef struct {
    guint8 octets[HEAD];
    const char *text;
} Garbage;

/* Octets in clear; a length above what was agreed on. Both at once, and behind good ones. */
static const Garbage garbage[] = {
    {{'l', 'i', 's', 't'}, "a piece of 1818850164 octets"},
    {{0, 0, PIECE_IN_MAX >> 8, (PIECE_IN_MAX & 255) + 1}, "a piece of 8001 octets"},
};

START_TEST(test_garbage)
{
    const Garbage *bad = &garbage[_i / 2];
    g_autoptr(GByteArray) raw = g_byte_array_new();
    g_autoptr(VadmMessage) good = new_message(0, 100);

    if (_i % 2) {
        append_piece(raw, good->data, good->length);
        peer_write(raw->data, raw->len);
        WAIT_FOR(count == 1);
    }
    peer_write(bad->octets, HEAD);
    WAIT_FOR(ends == 1);
    ck_assert_int_eq(last_end, VADM_CONN_END_FRAME);
    ck_assert_ptr_nonnull(strstr(last_text, bad->text));
    settle();
    ck_assert_uint_eq(ends, 1);
}
END_TEST

/* Once broken, it stays so, whatever comes. */
START_TEST(test_broken_for_good)
{
    g_autoptr(GIOStream) layer = vadm_sasl_layer_new(G_IO_STREAM(base), fake_new());
    GPollableInputStream *input = G_POLLABLE_INPUT_STREAM(g_io_stream_get_input_stream(layer));
    g_autoptr(GByteArray) raw = g_byte_array_new();
    guint8 octet;

    vadm_conn_set_reading(conn, FALSE);
    append_piece(raw, (const guint8 *)"x", 1);
    peer_write(garbage[0].octets, HEAD);
    for (guint i = 0; i < 2; i++) {
        g_autoptr(GError) error = NULL;

        ck_assert_int_eq(g_pollable_input_stream_read_nonblocking(input, &octet, 1, NULL, &error),
                         -1);
        ck_assert(g_error_matches(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA));
        peer_write(raw->data, raw->len);
    }
    g_clear_object(&layer);
    ck_assert_uint_eq(freed, 1);
    freed = 0;
}
END_TEST

/* A peer that sends pieces without content as fast as they are read does not keep the loop. */
START_TEST(test_empty_pieces)
{
    static const guint8 nothing[1024 * 1024];
    g_autoptr(GByteArray) raw = g_byte_array_new();
    g_autoptr(GInputStream) below = g_memory_input_stream_new();
    g_autoptr(GOutputStream) unused = g_memory_output_stream_new_resizable();
    g_autoptr(GIOStream) fast = g_simple_io_stream_new(below, unused);
    g_autoptr(GIOStream) layer = vadm_sasl_layer_new(fast, fake_new());
    GPollableInputStream *input = G_POLLABLE_INPUT_STREAM(g_io_stream_get_input_stream(layer));
    guint waits = 0;
    guint8 octet;

    append_piece(raw, (const guint8 *)"x", 1);
    g_memory_input_stream_add_data(G_MEMORY_INPUT_STREAM(below), nothing, sizeof(nothing), NULL);
    g_memory_input_stream_add_data(G_MEMORY_INPUT_STREAM(below), raw->data, (gssize)raw->len, NULL);
    for (;;) {
        g_autoptr(GError) error = NULL;

        if (g_pollable_input_stream_read_nonblocking(input, &octet, 1, NULL, &error) == 1)
            break;
        ck_assert(g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK));
        waits++;
    }
    ck_assert_uint_eq(octet, 'x');
    ck_assert_uint_ge(waits, 2);
    g_clear_object(&layer);
    ck_assert_uint_eq(freed, 1);
    freed = 0;
}
END_TEST

START_TEST(test_end_of_file)
{
    g_autoptr(GByteArray) raw = g_byte_array_new();
    g_autoptr(VadmMessage) good = new_message(0, 100);

    append_piece(raw, good->data, good->length);
    append_piece(raw, good->data, good->length);
    peer_write(raw->data, raw->len - 1);
    close(peer);
    peer = -1;
    WAIT_FOR(ends == 1);
    ck_assert_int_eq(last_end, VADM_CONN_END_EOF);
    ck_assert_uint_eq(count, 1);
}
END_TEST

START_TEST(test_cannot_encode)
{
    fail_encode = TRUE;
    vadm_conn_send(conn, new_message(0, 100));
    WAIT_FOR(ends == 1);
    ck_assert_int_eq(last_end, VADM_CONN_END_ERROR);
    ck_assert_ptr_nonnull(strstr(last_text, "fake reason"));
}
END_TEST

/* Streams may outlive what they are of. */
START_TEST(test_references)
{
    GIOStream *layer = vadm_sasl_layer_new(G_IO_STREAM(base), fake_new());
    GInputStream *input = g_object_ref(g_io_stream_get_input_stream(layer));
    g_autoptr(GError) error = NULL;
    guint8 octet;

    ck_assert(g_pollable_input_stream_can_poll(G_POLLABLE_INPUT_STREAM(input)));
    ck_assert_int_eq(g_input_stream_read(input, &octet, 1, NULL, &error), -1);
    ck_assert(g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED));
    g_object_unref(layer);
    ck_assert_uint_eq(freed, 0);
    ck_assert(!g_pollable_input_stream_is_readable(G_POLLABLE_INPUT_STREAM(input)));
    g_object_unref(input);
    ck_assert_uint_eq(freed, 1);
    freed = 0;
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("sasl-layer");
    TCase *tc = tcase_create("layer");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_read);
    tcase_add_test(tc, test_write);
    tcase_add_test(tc, test_flush);
    tcase_add_loop_test(tc, test_garbage, 0, 2 * G_N_ELEMENTS(garbage));
    tcase_add_test(tc, test_broken_for_good);
    tcase_add_test(tc, test_empty_pieces);
    tcase_add_test(tc, test_end_of_file);
    tcase_add_test(tc, test_cannot_encode);
    tcase_add_test(tc, test_references);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
