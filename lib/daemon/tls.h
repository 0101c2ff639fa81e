/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * TLS by GIO, the server's side: the certificates of a moment, and the handshake with one client
 * (docs/protocol.md, "TLS"). Client certificates are always asked for and verified. What GIO has no
 * call for, revocation lists and distinguished names as libvirt writes them, is GnuTLS's.
 */
#ifndef VADM_DAEMON_TLS_H
#define VADM_DAEMON_TLS_H

#include <gio/gio.h>

#include "common/error.h"

/* Certificates, key and revocation list as they were in the files when they were read. Immutable,
 * reference counted: a reload makes a new one, and who has the old one keeps it. */
typedef struct _VadmTls VadmTls;

typedef struct {
    const char *ca_file, *cert_file, *key_file;
    const char *crl_file; /* (nullable) */
} VadmTlsFiles;

/**
 * vadm_tls_new:
 * @error: VADM_ERROR_CONFIG: names the file and what is wrong with it: cannot be read, no PEM, no
 *     CA, expired or not yet valid, not signed by the CA, key of another certificate, revocation
 *     list outdated or not signed by the CA; or there is no TLS in GIO (package glib-networking)
 *
 * Reads files: not from the main loop once it serves. Logs what will soon be wrong with them.
 * Returns: (transfer full) (nullable). Any thread
 */
VadmTls *vadm_tls_new(const VadmTlsFiles *files, GError **error);
VadmTls *vadm_tls_ref(VadmTls *tls); /* any thread */
void vadm_tls_unref(VadmTls *tls);   /* (nullable); any thread */
/** vadm_tls_describe: "serial 5f3a, SHA-256 9b..., valid until 2027-01-31T12:00:00Z": the daemon's
 * own certificate. Any thread. */
const char *vadm_tls_describe(const VadmTls *tls);

/* What the handshakes of a daemon go through: the threads in which they compute, and the bound on
 * those that are under way. */
typedef struct _VadmTlsGate VadmTlsGate;

/** vadm_tls_gate_new: @context: (nullable): where clients are waited for and handshakes end; NULL:
 * the default one. One of the threads is started. @error: VADM_ERROR_NO_MEMORY: it cannot be.
 * Returns: (transfer full) (nullable). Main thread, like all from here. */
VadmTlsGate *vadm_tls_gate_new(GMainContext *context, GError **error);
/** vadm_tls_gate_free: @gate: (nullable): no handshake is under way but cancelled ones, for whose
 * threads it waits. */
void vadm_tls_gate_free(VadmTlsGate *gate);

/* A handshake that is under way. */
typedef struct _VadmTlsHandshake VadmTlsHandshake;

/**
 * VadmTlsDone: called once, from the main loop; the handshake is freed behind it
 * @stream: (nullable): pollable, and closing it never waits for the peer; NULL when it failed. The
 *     octet that acknowledges the client has gone out on it
 * @dn: the client's distinguished name, as libvirt writes it
 * @warnings: (nullable): what is wrong with its certificate, though it has not kept it out: for the
 *     log
 * @error: VADM_ERROR_AUTH: why the client is not let in: for the log, not for the client; or
 *     VADM_ERROR_NO_CONNECT: it has gone
 */
typedef void (*VadmTlsDone)(GIOStream *stream, const char *dn, const char *warnings,
                            const GError *error, gpointer user);

/**
 * vadm_tls_accept: begins the handshake with a client that has just connected
 * @base: its connection; a reference is taken. Nobody else reads or writes there. While a thread
 *     uses it, g_io_stream_close() leaves it alone (it is pending): it is closed behind the thread
 * @allowed_dns: (nullable): patterns (g_pattern_match_simple()) of which the DN must match one;
 *     none: any. Borrowed until the end
 *
 * Has no deadline: the caller's. Never blocks; clients that are silent or slow keep nobody else
 * from shaking hands: no thread is taken before the whole of their first message is there, and who
 * is silent behind it loses its place to those who wait. Returns: (transfer none): until @done runs
 * or it is cancelled
 */
VadmTlsHandshake *vadm_tls_accept(VadmTlsGate *gate, VadmTls *tls, GSocketConnection *base,
                                  char *const *allowed_dns, VadmTlsDone done, gpointer user);
/** vadm_tls_cancel: @done does not run; @base may still be in use by a thread for a moment, and is
 * closed. */
void vadm_tls_cancel(VadmTlsHandshake *handshake);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmTls, vadm_tls_unref)

#endif
