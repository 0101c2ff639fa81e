/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What stands between TLS and the socket. Once it is armed, that is after the handshake,
 * - it ends the connection (G_IO_ERROR_INVALID_DATA) at a record that would begin another one: GIO
 *   would give a thread to a renegotiation of TLS 1.2, and nobody asks the client for its
 *   certificate again;
 * - nothing waits for the peer any more: GIO would, to say good-bye when the stream is closed.
 */
#ifndef VADM_DAEMON_TLS_GUARD_H
#define VADM_DAEMON_TLS_GUARD_H

#include <gio/gio.h>

#define VADM_TYPE_TLS_GUARD (vadm_tls_guard_get_type())
G_DECLARE_FINAL_TYPE(VadmTlsGuard, vadm_tls_guard, VADM, TLS_GUARD, GIOStream)

/** vadm_tls_guard_new: @base: a reference is taken; its streams are pollable. Closing the guard
 * closes it. Returns: (transfer full): pollable. One thread at a time, like all here */
VadmTlsGuard *vadm_tls_guard_new(GIOStream *base);
void vadm_tls_guard_arm(VadmTlsGuard *guard);

#endif
