/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A connection that gets a layer while it lives: here one that turns each octet over. */
#include "config.h"

#include <errno.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop.h"
#include "rpc/conn.h"
#include "unit.h"

#define TURN(octet)  ((guint8) ~(octet))
#define EMPTY_LENGTH 28u

static gboolean refuses; /* whatever comes next */

typedef struct {
    GObject parent;
} Turner;

typedef struct {
    GObjectClass parent;
} TurnerClass;

static GType turner_get_type(void);
static void turner_init_converter(GConverterIface *iface);

G_DEFINE_TYPE_WITH_CODE(Turner, turner, G_TYPE_OBJECT,
                        G_IMPLEMENT_INTERFACE(G_TYPE_CONVERTER, turner_init_converter))

static GConverterResult
turner_convert(GConverter *converter, const void *in, gsize in_size, void *out, gsize out_size,
               GConverterFlags flags, gsize *bytes_read, gsize *bytes_written, GError **error)
{
    gsize n = MIN(in_size, out_size);

    (void)converter;
    if (in_size == 0) {
        if (flags & G_CONVERTER_INPUT_AT_END)
            return G_CONVERTER_FINISHED;
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_PARTIAL_INPUT, "more");
        return G_CONVERTER_ERROR;
    }
    if (refuses) {
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "garbage");
        return G_CONVERTER_ERROR;
    }
    for (gsize i = 0; i < n; i++)
        ((guint8 *)out)[i] = TURN(((const guint8 *)in)[i]);
    *bytes_read = *bytes_written = n;
    return G_CONVERTER_CONVERTED;
}

static void
turner_init_converter(GConverterIface *iface)
{
    iface->convert = turner_convert;
}

static void
turner_class_init(TurnerClass *class G_GNUC_UNUSED)
{
}

static void
turner_init(Turner *turner G_GNUC_UNUSED)
{
}

static GMainContext *context;
static GIOStream *base;
static VadmConn *conn;
static int peer;
static guint count, ends, drains;
static guint32 stop_on;
static VadmConnEnd last_end;

static void
on_message(VadmConn *from, VadmMessage *message, gpointer user G_GNUC_UNUSED)
{
    ck_assert_uint_eq(message->header.serial, count);
    if (message->header.serial == stop_on)
        vadm_conn_set_reading(from, FALSE);
    count++;
    vadm_message_free(message);
}

static void
on_ended(VadmConn *from G_GNUC_UNUSED, VadmConnEnd end, const GError *error,
         gpointer user G_GNUC_UNUSED)
{
    ck_assert_ptr_nonnull(error);
    last_end = end;
    ends++;
}

static void
on_drained(VadmConn *from G_GNUC_UNUSED, gpointer user G_GNUC_UNUSED)
{
    drains++;
}

static void
setup(void)
{
    static const VadmConnHandlers handlers = {on_message, on_ended, on_drained};
    int fds[2];
    g_autoptr(GSocket) socket = NULL;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    socket = g_socket_new_from_fd(fds[0], NULL);
    base = G_IO_STREAM(g_socket_connection_factory_create_connection(socket));
    peer = fds[1];
    context = g_main_context_new();
    conn = vadm_conn_new(base, context, &handlers, NULL);
    count = ends = drains = 0;
    refuses = FALSE;
    stop_on = G_MAXUINT32;
}

static void
teardown(void)
{
    vadm_conn_unref(conn);
    g_object_unref(base);
    if (peer >= 0)
        close(peer);
    g_main_context_unref(context);
}

#define WAIT_FOR(condition) LOOP_WAIT_FOR(context, condition)

static void
settle(void)
{
    loop_settle(context);
}

static void
put_layer(void)
{
    g_autoptr(GConverter) turner = g_object_new(turner_get_type(), NULL);
    g_autoptr(GInputStream) input =
        g_converter_input_stream_new(g_io_stream_get_input_stream(base), turner);
    g_autoptr(GOutputStream) output =
        g_converter_output_stream_new(g_io_stream_get_output_stream(base), turner);
    g_autoptr(GIOStream) layer = g_simple_io_stream_new(input, output);

    vadm_conn_set_stream(conn, layer);
}

static VadmMessage *
new_message(guint32 serial, gsize length)
{
    guint8 *data = g_malloc0(length);
    guint32 words[2] = {GUINT32_TO_BE((guint32)length), GUINT32_TO_BE(serial)};

    memcpy(data, &words[0], 4);
    memcpy(data + 20, &words[1], 4);
    return vadm_message_new_take(data, length);
}

static void
turn_over(guint8 *data, gsize length)
{
    for (gsize i = 0; i < length; i++)
        data[i] = TURN(data[i]);
}

/* Some messages without gaps, as one write. */
static void
peer_send(guint32 first, guint n, gboolean layered)
{
    g_autoptr(GByteArray) all = g_byte_array_new();

    for (guint32 i = 0; i < n; i++) {
        g_autoptr(VadmMessage) message = new_message(first + i, EMPTY_LENGTH);

        g_byte_array_append(all, message->data, (guint)message->length);
    }
    if (layered)
        turn_over(all->data, all->len);
    ck_assert_int_eq(write(peer, all->data, all->len), (gssize)all->len);
}

static void
peer_read(GByteArray *into)
{
    guint8 chunk[65536];
    gssize n = read(peer, chunk, sizeof chunk);

    ck_assert(n > 0 || (n < 0 && errno == EAGAIN));
    if (n > 0)
        g_byte_array_append(into, chunk, (guint)n);
}

/* More messages than a turn delivers, and than the layer's buffers take: they sit in the layer
 * where the socket has nothing to tell any more. */
START_TEST(test_read)
{
    put_layer();
    settle();
    vadm_conn_set_reading(conn, TRUE);
    settle();
    peer_send(0, 1000, TRUE);
    WAIT_FOR(count == 1000);
    peer_send(1000, 1, TRUE);
    WAIT_FOR(count == 1001);
    ck_assert_uint_eq(vadm_conn_pending(conn), 0);
    ck_assert_uint_eq(ends, 0);
}
END_TEST

/* The layer comes while reading goes on, and reading stops and goes on in the middle. */
START_TEST(test_stop)
{
    vadm_conn_set_reading(conn, TRUE);
    peer_send(0, 1, FALSE);
    WAIT_FOR(count == 1);
    put_layer();
    stop_on = 300;
    peer_send(1, 999, TRUE);
    WAIT_FOR(count == 301);
    settle();
    ck_assert_uint_eq(count, 301);
    ck_assert(!vadm_conn_is_silent(conn));
    vadm_conn_set_reading(conn, TRUE);
    ck_assert(!vadm_conn_is_silent(conn)); /* it is known to have sent */
    WAIT_FOR(count == 1000);
    settle();
    ck_assert(vadm_conn_is_silent(conn));
}
END_TEST

static gint ready, timeout_asked;

static gint
count_ready(GPollFD *fds, guint n, gint timeout)
{
    timeout_asked = timeout;
    ready = g_poll(fds, n, 0);
    return ready;
}

/* Nothing is to do: the loop sleeps. */
START_TEST(test_no_turn_in_vain)
{
    put_layer();
    peer_send(0, 300, TRUE);
    vadm_conn_set_reading(conn, TRUE);
    WAIT_FOR(count == 300);
    settle();
    g_main_context_set_poll_func(context, count_ready);
    for (int i = 0; i < 3; i++) {
        g_main_context_iteration(context, TRUE);
        ck_assert_int_eq(ready, 0);
        ck_assert_int_eq(timeout_asked, -1);
    }
}
END_TEST

/* What waits goes out below the layer, octet for octet, and what comes later through it. */
START_TEST(test_write)
{
    static const gsize sizes[] = {2000000, 100, 50000};
    g_autoptr(GByteArray) expected = g_byte_array_new(), got = g_byte_array_new();

    for (guint32 i = 0; i < G_N_ELEMENTS(sizes); i++) {
        VadmMessage *message = new_message(i, sizes[i]);

        if (i == 2)
            turn_over(message->data, message->length);
        g_byte_array_append(expected, message->data, (guint)message->length);
        if (i == 2)
            turn_over(message->data, message->length);
        if (i == 2)
            put_layer();
        vadm_conn_send(conn, message);
    }
    ck_assert_uint_gt(vadm_conn_queued(conn), VADM_CONN_HIGH_WATER);
    while (got->len < expected->len) {
        peer_read(got);
        g_main_context_iteration(context, FALSE);
    }
    settle();
    ck_assert_uint_eq(got->len, expected->len);
    ck_assert_mem_eq(got->data, expected->data, got->len);
    ck_assert_uint_eq(vadm_conn_queued(conn), 0);
    ck_assert_uint_eq(drains, 1);
}
END_TEST

/* Octets in clear that came with the last ones that may be in clear. */
START_TEST(test_too_early)
{
    peer_send(0, 2, FALSE);
    stop_on = 0;
    vadm_conn_set_reading(conn, TRUE);
    WAIT_FOR(count == 1);
    ck_assert_uint_eq(vadm_conn_pending(conn), EMPTY_LENGTH);
    put_layer();
    ck_assert_uint_eq(ends, 0); /* from the loop only */
    WAIT_FOR(ends == 1);
    ck_assert_int_eq(last_end, VADM_CONN_END_FRAME);
    ck_assert_uint_eq(count, 1);
}
END_TEST

START_TEST(test_garbage)
{
    vadm_conn_set_reading(conn, TRUE);
    put_layer();
    peer_send(0, 3, TRUE);
    WAIT_FOR(count == 3);
    refuses = TRUE;
    peer_send(3, 1, TRUE);
    WAIT_FOR(ends == 1);
    ck_assert_int_eq(last_end, VADM_CONN_END_FRAME);
}
END_TEST

START_TEST(test_eof)
{
    vadm_conn_set_reading(conn, TRUE);
    put_layer();
    peer_send(0, 200, TRUE);
    close(peer);
    peer = -1;
    WAIT_FOR(ends == 1);
    ck_assert_int_eq(last_end, VADM_CONN_END_EOF);
    ck_assert_uint_eq(count, 200);
}
END_TEST

/* Of the socket below, while the layer is not read. */
START_TEST(test_hangup)
{
    vadm_conn_notice_hangup(conn);
    vadm_conn_set_reading(conn, TRUE);
    put_layer();
    vadm_conn_set_reading(conn, FALSE);
    settle();
    ck_assert_uint_eq(ends, 0);
    close(peer);
    peer = -1;
    WAIT_FOR(ends == 1);
    ck_assert_int_eq(last_end, VADM_CONN_END_EOF);
}
END_TEST

/* Once it has ended, or is about to, a layer changes nothing. */
START_TEST(test_after_the_end)
{
    g_autoptr(GByteArray) got = g_byte_array_new();

    vadm_conn_send(conn, new_message(0, EMPTY_LENGTH));
    vadm_conn_close_flushed(conn, 1000, NULL, NULL);
    put_layer();
    settle();
    peer_read(got);
    ck_assert_uint_eq(got->len, EMPTY_LENGTH);
    vadm_conn_close(conn);
    put_layer();
    ck_assert_uint_eq(ends, 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("rpc-layer");
    TCase *tc = tcase_create("layer");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_read);
    tcase_add_test(tc, test_stop);
    tcase_add_test(tc, test_no_turn_in_vain);
    tcase_add_test(tc, test_write);
    tcase_add_test(tc, test_too_early);
    tcase_add_test(tc, test_garbage);
    tcase_add_test(tc, test_eof);
    tcase_add_test(tc, test_hangup);
    tcase_add_test(tc, test_after_the_end);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
