/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The security layer that a SASL exchange has agreed on, as a stream over the connection's: what is
 * written is signed and encrypted in pieces, what is read is checked and decrypted. For VadmConn
 * (vadm_conn_set_stream()), that is, only without blocking.
 */
#ifndef VADM_DAEMON_SASL_LAYER_H
#define VADM_DAEMON_SASL_LAYER_H

#include <gio/gio.h>

#include "daemon/sasl.h"

/**
 * vadm_sasl_layer_new:
 * @base: its streams are GPollable*; a reference is taken; closed with the layer
 * @sasl: (transfer full): a complete exchange with vadm_sasl_has_layer(); only here from now on
 *
 * Reading: what is no piece, has been altered, or is longer than what was agreed on fails with
 * G_IO_ERROR_INVALID_DATA, now and ever after. What is decoded and was not read yet is in memory of
 * @sasl, not more than one piece and what a read takes. The source of the input stream tells of
 * @base: one reads until G_IO_ERROR_WOULD_BLOCK before one waits for it.
 *
 * Writing: octets count as written when the whole piece that has them has been taken by @base.
 * After G_IO_ERROR_WOULD_BLOCK the same octets must be written again.
 *
 * Returns: (transfer full). Main thread, like all that is done with it
 */
GIOStream *vadm_sasl_layer_new(GIOStream *base, VadmSasl *sasl);

#endif
