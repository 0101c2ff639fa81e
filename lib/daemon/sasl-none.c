/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* In the place of sasl.c where Cyrus SASL is not there. */
#include "daemon/sasl.h"

static gboolean
vadm_sasl_refuse(GError **error)
{
    g_set_error(error, VADM_ERROR, VADM_ERROR_AUTH, "this virtadmd was built without SASL");
    return FALSE;
}

gboolean
vadm_sasl_init(GError **error)
{
    return vadm_sasl_refuse(error);
}

gboolean
vadm_sasl_check(VadmTransport transport, GError **error)
{
    (void)transport;
    return vadm_sasl_refuse(error);
}

VadmSasl *
vadm_sasl_new(const VadmSaslPeer *peer, GError **error)
{
    (void)peer;
    vadm_sasl_refuse(error);
    return NULL;
}

void
vadm_sasl_free(VadmSasl *sasl)
{
    (void)sasl;
}

const char *
vadm_sasl_get_mechanisms(VadmSasl *sasl, GError **error)
{
    (void)sasl;
    vadm_sasl_refuse(error);
    return NULL;
}

gboolean
vadm_sasl_start(VadmSasl *sasl, const char *mechanism, const guint8 *data, gsize length,
                VadmSaslTurn *turn, GError **error)
{
    (void)sasl;
    (void)mechanism;
    (void)data;
    (void)length;
    (void)turn;
    return vadm_sasl_refuse(error);
}

gboolean
vadm_sasl_step(VadmSasl *sasl, const guint8 *data, gsize length, VadmSaslTurn *turn, GError **error)
{
    (void)sasl;
    (void)data;
    (void)length;
    (void)turn;
    return vadm_sasl_refuse(error);
}

const char *
vadm_sasl_get_user(VadmSasl *sasl, GError **error)
{
    (void)sasl;
    vadm_sasl_refuse(error);
    return NULL;
}

gboolean
vadm_sasl_has_layer(VadmSasl *sasl)
{
    (void)sasl;
    return FALSE;
}

gsize
vadm_sasl_get_piece(VadmSasl *sasl)
{
    (void)sasl;
    return 0;
}

gboolean
vadm_sasl_encode(VadmSasl *sasl, const guint8 *data, gsize length, const guint8 **out,
                 gsize *out_length, GError **error)
{
    (void)sasl;
    (void)data;
    (void)length;
    (void)out;
    (void)out_length;
    return vadm_sasl_refuse(error);
}

gboolean
vadm_sasl_decode(VadmSasl *sasl, const guint8 *data, gsize length, const guint8 **out,
                 gsize *out_length, GError **error)
{
    (void)sasl;
    (void)data;
    (void)length;
    (void)out;
    (void)out_length;
    return vadm_sasl_refuse(error);
}
