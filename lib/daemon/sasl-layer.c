/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/sasl-layer.h"

/* GConverterInputStream and GConverterOutputStream would not do: the latter says that octets are
 * written which it still holds, and has no way to get rid of them without blocking. */

/* What one read takes from the base at once. */
#define LAYER_CHUNK (16u * 1024)
/* A piece may have no content: how often one read looks for more, so that a peer that sends such
 * pieces without pause does not keep the main loop. */
#define LAYER_ROUNDS 16u

/* Of both streams, whoever goes last. */
typedef struct {
    VadmSasl *sasl;
    GIOStream *base;
} VadmSaslShare;

static void
share_clear(gpointer data)
{
    VadmSaslShare *share = data;

    vadm_sasl_free(share->sasl);
    g_object_unref(share->base);
}

static void
share_unref(VadmSaslShare *share)
{
    g_rc_box_release_full(share, share_clear);
}

/* Both are for GPollable*Stream's functions alone. */
static gssize
layer_refuse_blocking(GError **error)
{
    g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, "a SASL layer does not block");
    return -1;
}

/* Reading */

typedef struct {
    GInputStream parent;
    VadmSaslShare *share;
    const guint8 *data; /* decoded, SASL's until the next piece is decoded */
    gsize left;
    gboolean broken;
} VadmSaslInput;

typedef struct {
    GInputStreamClass parent;
} VadmSaslInputClass;

static GType vadm_sasl_input_get_type(void);
static void vadm_sasl_input_init_pollable(GPollableInputStreamInterface *iface);

G_DEFINE_TYPE_WITH_CODE(VadmSaslInput, vadm_sasl_input, G_TYPE_INPUT_STREAM,
                        G_IMPLEMENT_INTERFACE(G_TYPE_POLLABLE_INPUT_STREAM,
                                              vadm_sasl_input_init_pollable))

#define VADM_SASL_INPUT(object)                                                                    \
    G_TYPE_CHECK_INSTANCE_CAST(object, vadm_sasl_input_get_type(), VadmSaslInput)

static GPollableInputStream *
input_base(const VadmSaslInput *input)
{
    return G_POLLABLE_INPUT_STREAM(g_io_stream_get_input_stream(input->share->base));
}

/* Takes what the base has. Returns: as a read: > 0: there may be something now */
static gssize
input_fill(VadmSaslInput *input, GError **error)
{
    g_autoptr(GError) reason = NULL;
    guint8 chunk[LAYER_CHUNK];
    gssize got = g_pollable_input_stream_read_nonblocking(input_base(input), chunk, sizeof chunk,
                                                          NULL, error);

    if (got <= 0)
        return got;
    if (vadm_sasl_decode(input->share->sasl, chunk, (gsize)got, &input->data, &input->left,
                         &reason))
        return got;
    input->broken = TRUE;
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "behind SASL: %s", reason->message);
    return -1;
}

static gssize
input_read_nonblocking(GPollableInputStream *stream, void *buffer, gsize count, GError **error)
{
    VadmSaslInput *input = VADM_SASL_INPUT(stream);
    gssize got = 1;

    if (input->broken) {
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "behind SASL: broken");
        return -1;
    }
    for (guint i = 0; input->left == 0 && got > 0 && i < LAYER_ROUNDS; i++)
        got = input_fill(input, error);
    if (got <= 0)
        return got;
    if (input->left == 0) {
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK, "nothing of content came");
        return -1;
    }
    count = MIN(count, input->left);
    memcpy(buffer, input->data, count);
    input->data += count;
    input->left -= count;
    return (gssize)count;
}

static gboolean
input_can_poll(GPollableInputStream *stream)
{
    return g_pollable_input_stream_can_poll(input_base(VADM_SASL_INPUT(stream)));
}

static gboolean
input_is_readable(GPollableInputStream *stream)
{
    VadmSaslInput *input = VADM_SASL_INPUT(stream);

    return input->left > 0 || input->broken ||
           g_pollable_input_stream_is_readable(input_base(input));
}

static GSource *
input_create_source(GPollableInputStream *stream, GCancellable *cancellable)
{
    g_autoptr(GSource) below =
        g_pollable_input_stream_create_source(input_base(VADM_SASL_INPUT(stream)), NULL);

    return g_pollable_source_new_full(stream, below, cancellable);
}

static void
vadm_sasl_input_init_pollable(GPollableInputStreamInterface *iface)
{
    iface->can_poll = input_can_poll;
    iface->is_readable = input_is_readable;
    iface->create_source = input_create_source;
    iface->read_nonblocking = input_read_nonblocking;
}

static gssize
input_read(GInputStream *stream, void *buffer, gsize count, GCancellable *cancellable,
           GError **error)
{
    (void)stream;
    (void)buffer;
    (void)count;
    (void)cancellable;
    return layer_refuse_blocking(error);
}

static void
input_finalize(GObject *object)
{
    share_unref(VADM_SASL_INPUT(object)->share);
    G_OBJECT_CLASS(vadm_sasl_input_parent_class)->finalize(object);
}

static void
vadm_sasl_input_class_init(VadmSaslInputClass *class)
{
    G_OBJECT_CLASS(class)->finalize = input_finalize;
    G_INPUT_STREAM_CLASS(class)->read_fn = input_read;
}

static void
vadm_sasl_input_init(VadmSaslInput *input)
{
    (void)input;
}

/* Writing */

typedef struct {
    GOutputStream parent;
    VadmSaslShare *share;
    const guint8 *data; /* a piece, SASL's until the next one is made */
    gsize left;
    gsize plain; /* octets that the piece stands for; 0: there is none */
} VadmSaslOutput;

typedef struct {
    GOutputStreamClass parent;
} VadmSaslOutputClass;

static GType vadm_sasl_output_get_type(void);
static void vadm_sasl_output_init_pollable(GPollableOutputStreamInterface *iface);

G_DEFINE_TYPE_WITH_CODE(VadmSaslOutput, vadm_sasl_output, G_TYPE_OUTPUT_STREAM,
                        G_IMPLEMENT_INTERFACE(G_TYPE_POLLABLE_OUTPUT_STREAM,
                                              vadm_sasl_output_init_pollable))

#define VADM_SASL_OUTPUT(object)                                                                   \
    G_TYPE_CHECK_INSTANCE_CAST(object, vadm_sasl_output_get_type(), VadmSaslOutput)

static GPollableOutputStream *
output_base(const VadmSaslOutput *output)
{
    return G_POLLABLE_OUTPUT_STREAM(g_io_stream_get_output_stream(output->share->base));
}

static gboolean
output_make_piece(VadmSaslOutput *output, const guint8 *data, gsize count, GError **error)
{
    g_autoptr(GError) reason = NULL;
    VadmSasl *sasl = output->share->sasl;

    count = MIN(count, vadm_sasl_get_piece(sasl));
    if (!vadm_sasl_encode(sasl, data, count, &output->data, &output->left, &reason)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "in front of SASL: %s", reason->message);
        return FALSE;
    }
    output->plain = count;
    return TRUE;
}

static gssize
output_write_nonblocking(GPollableOutputStream *stream, const void *buffer, gsize count,
                         GError **error)
{
    VadmSaslOutput *output = VADM_SASL_OUTPUT(stream);
    gsize plain;

    if (output->plain == 0 && !output_make_piece(output, buffer, count, error))
        return -1;
    g_return_val_if_fail(count >= output->plain, -1);
    while (output->left > 0) {
        gssize put = g_pollable_output_stream_write_nonblocking(output_base(output), output->data,
                                                                output->left, NULL, error);

        if (put < 0)
            return -1;
        output->data += put;
        output->left -= (gsize)put;
    }
    plain = output->plain;
    output->plain = 0;
    return (gssize)plain;
}

static gboolean
output_can_poll(GPollableOutputStream *stream)
{
    return g_pollable_output_stream_can_poll(output_base(VADM_SASL_OUTPUT(stream)));
}

static gboolean
output_is_writable(GPollableOutputStream *stream)
{
    return g_pollable_output_stream_is_writable(output_base(VADM_SASL_OUTPUT(stream)));
}

static GSource *
output_create_source(GPollableOutputStream *stream, GCancellable *cancellable)
{
    g_autoptr(GSource) below =
        g_pollable_output_stream_create_source(output_base(VADM_SASL_OUTPUT(stream)), NULL);

    return g_pollable_source_new_full(stream, below, cancellable);
}

static void
vadm_sasl_output_init_pollable(GPollableOutputStreamInterface *iface)
{
    iface->can_poll = output_can_poll;
    iface->is_writable = output_is_writable;
    iface->create_source = output_create_source;
    iface->write_nonblocking = output_write_nonblocking;
}

static gssize
output_write(GOutputStream *stream, const void *buffer, gsize count, GCancellable *cancellable,
             GError **error)
{
    (void)stream;
    (void)buffer;
    (void)count;
    (void)cancellable;
    return layer_refuse_blocking(error);
}

static void
output_finalize(GObject *object)
{
    share_unref(VADM_SASL_OUTPUT(object)->share);
    G_OBJECT_CLASS(vadm_sasl_output_parent_class)->finalize(object);
}

static void
vadm_sasl_output_class_init(VadmSaslOutputClass *class)
{
    G_OBJECT_CLASS(class)->finalize = output_finalize;
    G_OUTPUT_STREAM_CLASS(class)->write_fn = output_write;
}

static void
vadm_sasl_output_init(VadmSaslOutput *output)
{
    (void)output;
}

/* Both */

typedef struct {
    GIOStream parent;
    VadmSaslInput *input;
    VadmSaslOutput *output;
} VadmSaslLayer;

typedef struct {
    GIOStreamClass parent;
} VadmSaslLayerClass;

static GType vadm_sasl_layer_get_type(void);

G_DEFINE_TYPE(VadmSaslLayer, vadm_sasl_layer, G_TYPE_IO_STREAM)

#define VADM_SASL_LAYER(object)                                                                    \
    G_TYPE_CHECK_INSTANCE_CAST(object, vadm_sasl_layer_get_type(), VadmSaslLayer)

static GInputStream *
layer_get_input(GIOStream *stream)
{
    return G_INPUT_STREAM(VADM_SASL_LAYER(stream)->input);
}

static GOutputStream *
layer_get_output(GIOStream *stream)
{
    return G_OUTPUT_STREAM(VADM_SASL_LAYER(stream)->output);
}

static gboolean
layer_close(GIOStream *stream, GCancellable *cancellable, GError **error)
{
    return g_io_stream_close(VADM_SASL_LAYER(stream)->input->share->base, cancellable, error);
}

/* g_io_stream_close() has come before, so nobody uses the streams. */
static void
layer_finalize(GObject *object)
{
    VadmSaslLayer *layer = VADM_SASL_LAYER(object);

    g_object_unref(layer->input);
    g_object_unref(layer->output);
    G_OBJECT_CLASS(vadm_sasl_layer_parent_class)->finalize(object);
}

static void
vadm_sasl_layer_class_init(VadmSaslLayerClass *class)
{
    G_OBJECT_CLASS(class)->finalize = layer_finalize;
    G_IO_STREAM_CLASS(class)->get_input_stream = layer_get_input;
    G_IO_STREAM_CLASS(class)->get_output_stream = layer_get_output;
    G_IO_STREAM_CLASS(class)->close_fn = layer_close;
}

static void
vadm_sasl_layer_init(VadmSaslLayer *layer)
{
    (void)layer;
}

GIOStream *
vadm_sasl_layer_new(GIOStream *base, VadmSasl *sasl)
{
    VadmSaslLayer *layer = g_object_new(vadm_sasl_layer_get_type(), NULL);
    VadmSaslShare *share = g_rc_box_new(VadmSaslShare);

    share->sasl = sasl;
    share->base = g_object_ref(base);
    layer->input = g_object_new(vadm_sasl_input_get_type(), NULL);
    layer->input->share = share;
    layer->output = g_object_new(vadm_sasl_output_get_type(), NULL);
    layer->output->share = g_rc_box_acquire(share);
    return G_IO_STREAM(layer);
}
