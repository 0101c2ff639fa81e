/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake-sasl.h"

#include <string.h>

#include "unit.h"

struct _VadmSasl {
    int unused;
};

FakeSasl fake_sasl;

static gboolean
fake_fail(GError **error)
{
    g_set_error(error, VADM_ERROR, VADM_ERROR_AUTH, "fake reason");
    return FALSE;
}

VadmSasl *
vadm_sasl_new(const VadmSaslPeer *peer, GError **error)
{
    VADM_LOCK_SCOPE(&fake_sasl.lock);
    (void)error;
    ck_assert_int_eq(peer->transport, VADM_TRANSPORT_UNIX);
    fake_sasl.made++;
    return g_new0(VadmSasl, 1);
}

void
vadm_sasl_free(VadmSasl *sasl)
{
    VADM_LOCK_SCOPE(&fake_sasl.lock);
    fake_sasl.freed += sasl != NULL;
    g_free(sasl);
}

const char *
vadm_sasl_get_mechanisms(VadmSasl *sasl, GError **error)
{
    VADM_LOCK_SCOPE(&fake_sasl.lock);
    ck_assert_ptr_nonnull(sasl);
    if (!fake_sasl.offers)
        fake_fail(error);
    return fake_sasl.offers;
}

static gboolean
fake_turn(const guint8 *data, gsize length, VadmSaslTurn *turn, GError **error)
{
    g_clear_pointer(&fake_sasl.heard, g_bytes_unref);
    fake_sasl.heard = data ? g_bytes_new(data, length) : NULL;
    fake_sasl.waiting++;
    while (fake_sasl.blocked)
        vadm_cond_wait(&fake_sasl.cond, &fake_sasl.lock);
    fake_sasl.waiting--;
    if (fake_sasl.refuses)
        return fake_fail(error);
    *turn = (VadmSaslTurn){fake_sasl.complete, fake_sasl.answer, fake_sasl.answer_length};
    return TRUE;
}

gboolean
vadm_sasl_start(VadmSasl *sasl, const char *mechanism, const guint8 *data, gsize length,
                VadmSaslTurn *turn, GError **error)
{
    VADM_LOCK_SCOPE(&fake_sasl.lock);
    ck_assert_ptr_nonnull(sasl);
    fake_sasl.starts++;
    g_free(fake_sasl.mechanism);
    fake_sasl.mechanism = g_strdup(mechanism);
    return fake_turn(data, length, turn, error);
}

gboolean
vadm_sasl_step(VadmSasl *sasl, const guint8 *data, gsize length, VadmSaslTurn *turn, GError **error)
{
    VADM_LOCK_SCOPE(&fake_sasl.lock);
    ck_assert_ptr_nonnull(sasl);
    fake_sasl.steps++;
    return fake_turn(data, length, turn, error);
}

const char *
vadm_sasl_get_user(VadmSasl *sasl, GError **error)
{
    VADM_LOCK_SCOPE(&fake_sasl.lock);
    ck_assert_ptr_nonnull(sasl);
    if (!fake_sasl.user)
        fake_fail(error);
    return fake_sasl.user;
}

gboolean
vadm_sasl_has_layer(VadmSasl *sasl)
{
    VADM_LOCK_SCOPE(&fake_sasl.lock);
    ck_assert_ptr_nonnull(sasl);
    return fake_sasl.layer;
}

GIOStream *
vadm_sasl_layer_new(GIOStream *base, VadmSasl *sasl)
{
    GIOStream *layer;
    g_autoptr(GInputStream) input = g_memory_input_stream_new();
    g_autoptr(GOutputStream) output = g_memory_output_stream_new_resizable();

    ck_assert_ptr_nonnull(base);
    layer = g_simple_io_stream_new(input, output);
    g_object_set_data_full(G_OBJECT(layer), "sasl", sasl, (GDestroyNotify)vadm_sasl_free);
    return layer;
}

void
fake_sasl_init(void)
{
    memset(&fake_sasl, 0, sizeof(fake_sasl));
    vadm_mutex_init(&fake_sasl.lock);
    vadm_cond_init(&fake_sasl.cond);
    fake_sasl.offers = "SCRAM-SHA-256";
    fake_sasl.user = "fred@example";
}

void
fake_sasl_clear(void)
{
    ck_assert_uint_eq(fake_sasl.made, fake_sasl.freed);
    g_clear_pointer(&fake_sasl.heard, g_bytes_unref);
    g_free(fake_sasl.mechanism);
    g_free(fake_sasl.scripted);
    vadm_cond_clear(&fake_sasl.cond);
    vadm_mutex_clear(&fake_sasl.lock);
}

void
fake_sasl_block(gboolean blocked)
{
    VADM_LOCK_SCOPE(&fake_sasl.lock);
    fake_sasl.blocked = blocked;
    vadm_cond_broadcast(&fake_sasl.cond);
}

guint
fake_sasl_count_waiting(void)
{
    VADM_LOCK_SCOPE(&fake_sasl.lock);
    return fake_sasl.waiting;
}

gboolean
fake_sasl_all_freed(void)
{
    VADM_LOCK_SCOPE(&fake_sasl.lock);
    return fake_sasl.made == fake_sasl.freed;
}
