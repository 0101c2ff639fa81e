/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/tls-guard.h"

#define RECORD_HEAD      5u
#define RECORD_HANDSHAKE 22u

/* The input stream, which sees the records go by. */
#define VADM_TYPE_TLS_GUARD_INPUT (vadm_tls_guard_input_get_type())
G_DECLARE_FINAL_TYPE(VadmTlsGuardInput, vadm_tls_guard_input, VADM, TLS_GUARD_INPUT,
                     GFilterInputStream)

struct _VadmTlsGuardInput {
    GFilterInputStream parent;
    gboolean armed;
    guint8 head[RECORD_HEAD];
    guint seen; /* octets of the record's head */
    gsize left; /* octets of its fragment that have not gone by */
};

#define VADM_TYPE_TLS_GUARD_OUTPUT (vadm_tls_guard_output_get_type())
G_DECLARE_FINAL_TYPE(VadmTlsGuardOutput, vadm_tls_guard_output, VADM, TLS_GUARD_OUTPUT,
                     GFilterOutputStream)

struct _VadmTlsGuardOutput {
    GFilterOutputStream parent;
    gboolean armed;
};

struct _VadmTlsGuard {
    GIOStream parent;
    GIOStream *base;
    VadmTlsGuardInput *input;
    VadmTlsGuardOutput *output;
};

static void vadm_tls_guard_input_pollable(GPollableInputStreamInterface *interface);
static void vadm_tls_guard_output_pollable(GPollableOutputStreamInterface *interface);

G_DEFINE_FINAL_TYPE_WITH_CODE(VadmTlsGuardInput, vadm_tls_guard_input, G_TYPE_FILTER_INPUT_STREAM,
                              G_IMPLEMENT_INTERFACE(G_TYPE_POLLABLE_INPUT_STREAM,
                                                    vadm_tls_guard_input_pollable))
G_DEFINE_FINAL_TYPE_WITH_CODE(VadmTlsGuardOutput, vadm_tls_guard_output,
                              G_TYPE_FILTER_OUTPUT_STREAM,
                              G_IMPLEMENT_INTERFACE(G_TYPE_POLLABLE_OUTPUT_STREAM,
                                                    vadm_tls_guard_output_pollable))
G_DEFINE_FINAL_TYPE(VadmTlsGuard, vadm_tls_guard, G_TYPE_IO_STREAM)

/* Returns: FALSE at a handshake that must not be */
static gboolean
vadm_tls_guard_pass(VadmTlsGuardInput *input, const guint8 *data, gsize length)
{
    for (gsize at = 0; at < length;) {
        gsize skip = MIN(input->left, length - at);

        input->left -= skip;
        at += skip;
        if (at == length)
            break;
        input->head[input->seen++] = data[at++];
        if (input->seen == 1 && input->armed && input->head[0] == RECORD_HANDSHAKE)
            return FALSE;
        if (input->seen < RECORD_HEAD)
            continue;
        input->left = (gsize)input->head[3] << 8 | input->head[4];
        input->seen = 0;
    }
    return TRUE;
}

/* Returns: what the read has to return */
static gssize
vadm_tls_guard_check(VadmTlsGuardInput *input, const void *data, gssize got, GError **error)
{
    if (got <= 0 || vadm_tls_guard_pass(input, data, (gsize)got))
        return got;
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                "the peer wants to renegotiate the TLS session");
    return -1;
}

static GInputStream *
vadm_tls_guard_base(gpointer input)
{
    return g_filter_input_stream_get_base_stream(input);
}

static gssize
vadm_tls_guard_read(GInputStream *stream, void *data, gsize size, GCancellable *cancellable,
                    GError **error)
{
    VadmTlsGuardInput *input = VADM_TLS_GUARD_INPUT(stream);
    gssize got = g_pollable_stream_read(vadm_tls_guard_base(stream), data, size, !input->armed,
                                        cancellable, error);

    return vadm_tls_guard_check(input, data, got, error);
}

static gssize
vadm_tls_guard_read_nonblocking(GPollableInputStream *stream, void *data, gsize size,
                                GError **error)
{
    GPollableInputStream *base = G_POLLABLE_INPUT_STREAM(vadm_tls_guard_base(stream));
    gssize got = g_pollable_input_stream_read_nonblocking(base, data, size, NULL, error);

    return vadm_tls_guard_check(VADM_TLS_GUARD_INPUT(stream), data, got, error);
}

static gboolean
vadm_tls_guard_is_readable(GPollableInputStream *stream)
{
    return g_pollable_input_stream_is_readable(
        G_POLLABLE_INPUT_STREAM(vadm_tls_guard_base(stream)));
}

static GSource *
vadm_tls_guard_create_source(GPollableInputStream *stream, GCancellable *cancellable)
{
    g_autoptr(GSource) base = g_pollable_input_stream_create_source(
        G_POLLABLE_INPUT_STREAM(vadm_tls_guard_base(stream)), NULL);

    return g_pollable_source_new_full(stream, base, cancellable);
}

static void
vadm_tls_guard_input_pollable(GPollableInputStreamInterface *interface)
{
    interface->is_readable = vadm_tls_guard_is_readable;
    interface->create_source = vadm_tls_guard_create_source;
    interface->read_nonblocking = vadm_tls_guard_read_nonblocking;
}

static void
vadm_tls_guard_input_class_init(VadmTlsGuardInputClass *class)
{
    G_INPUT_STREAM_CLASS(class)->read_fn = vadm_tls_guard_read;
}

static void
vadm_tls_guard_input_init(VadmTlsGuardInput *input)
{
    (void)input;
}

/* The output stream */

static GPollableOutputStream *
vadm_tls_guard_sink(gpointer output)
{
    return G_POLLABLE_OUTPUT_STREAM(g_filter_output_stream_get_base_stream(output));
}

static gssize
vadm_tls_guard_write(GOutputStream *stream, const void *data, gsize size, GCancellable *cancellable,
                     GError **error)
{
    return g_pollable_stream_write(G_OUTPUT_STREAM(vadm_tls_guard_sink(stream)), data, size,
                                   !VADM_TLS_GUARD_OUTPUT(stream)->armed, cancellable, error);
}

static gssize
vadm_tls_guard_write_nonblocking(GPollableOutputStream *stream, const void *data, gsize size,
                                 GError **error)
{
    return g_pollable_output_stream_write_nonblocking(vadm_tls_guard_sink(stream), data, size, NULL,
                                                      error);
}

static gboolean
vadm_tls_guard_is_writable(GPollableOutputStream *stream)
{
    return g_pollable_output_stream_is_writable(vadm_tls_guard_sink(stream));
}

static GSource *
vadm_tls_guard_create_sink_source(GPollableOutputStream *stream, GCancellable *cancellable)
{
    g_autoptr(GSource) base =
        g_pollable_output_stream_create_source(vadm_tls_guard_sink(stream), NULL);

    return g_pollable_source_new_full(stream, base, cancellable);
}

static void
vadm_tls_guard_output_pollable(GPollableOutputStreamInterface *interface)
{
    interface->is_writable = vadm_tls_guard_is_writable;
    interface->create_source = vadm_tls_guard_create_sink_source;
    interface->write_nonblocking = vadm_tls_guard_write_nonblocking;
}

static void
vadm_tls_guard_output_class_init(VadmTlsGuardOutputClass *class)
{
    G_OUTPUT_STREAM_CLASS(class)->write_fn = vadm_tls_guard_write;
}

static void
vadm_tls_guard_output_init(VadmTlsGuardOutput *output)
{
    (void)output;
}

/* The stream of both directions */

static GInputStream *
vadm_tls_guard_get_input(GIOStream *stream)
{
    return G_INPUT_STREAM(VADM_TLS_GUARD(stream)->input);
}

static GOutputStream *
vadm_tls_guard_get_output(GIOStream *stream)
{
    return G_OUTPUT_STREAM(VADM_TLS_GUARD(stream)->output);
}

static gboolean
vadm_tls_guard_close(GIOStream *stream, GCancellable *cancellable, GError **error)
{
    return g_io_stream_close(VADM_TLS_GUARD(stream)->base, cancellable, error);
}

static void
vadm_tls_guard_finalize(GObject *object)
{
    VadmTlsGuard *guard = VADM_TLS_GUARD(object);

    g_clear_object(&guard->input);
    g_clear_object(&guard->output);
    g_clear_object(&guard->base);
    G_OBJECT_CLASS(vadm_tls_guard_parent_class)->finalize(object);
}

static void
vadm_tls_guard_class_init(VadmTlsGuardClass *class)
{
    G_OBJECT_CLASS(class)->finalize = vadm_tls_guard_finalize;
    G_IO_STREAM_CLASS(class)->get_input_stream = vadm_tls_guard_get_input;
    G_IO_STREAM_CLASS(class)->get_output_stream = vadm_tls_guard_get_output;
    G_IO_STREAM_CLASS(class)->close_fn = vadm_tls_guard_close;
}

static void
vadm_tls_guard_init(VadmTlsGuard *guard)
{
    (void)guard;
}

VadmTlsGuard *
vadm_tls_guard_new(GIOStream *base)
{
    VadmTlsGuard *guard = g_object_new(VADM_TYPE_TLS_GUARD, NULL);

    guard->base = g_object_ref(base);
    guard->input =
        g_object_new(VADM_TYPE_TLS_GUARD_INPUT, "base-stream", g_io_stream_get_input_stream(base),
                     "close-base-stream", FALSE, NULL);
    guard->output =
        g_object_new(VADM_TYPE_TLS_GUARD_OUTPUT, "base-stream", g_io_stream_get_output_stream(base),
                     "close-base-stream", FALSE, NULL);
    return guard;
}

void
vadm_tls_guard_arm(VadmTlsGuard *guard)
{
    guard->input->armed = guard->output->armed = TRUE;
}
