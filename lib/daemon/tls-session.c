/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The handshake with one client, as a thread runs it from its begin to the octet that ends it. */
#include "daemon/tls-guard.h"
#include "daemon/tls-private.h"

/* What libvirt's clients wait for: their certificate is accepted. */
#define VADM_TLS_ACCEPTED "\1"

typedef struct {
    VadmTls *tls;
    char *const *allowed_dns;
    GString *warnings;
    char *dn;
    GError *error; /* why the certificate was not accepted */
} VadmTlsPeer;

/* GIO emits this in the thread that called for the handshake. What it found out itself does not
 * count: it has been given no CA (tls-database.c), since it would read files that may have changed
 * meanwhile. */
static gboolean
vadm_tls_accept_certificate(GTlsConnection *connection, GTlsCertificate *certificate,
                            GTlsCertificateFlags errors, gpointer user)
{
    VadmTlsPeer *peer = user;

    (void)connection;
    (void)errors;
    g_clear_error(&peer->error);
    g_clear_pointer(&peer->dn, g_free);
    g_string_truncate(peer->warnings, 0);
    peer->dn = vadm_tls_verify_peer(peer->tls, certificate, peer->allowed_dns, peer->warnings,
                                    &peer->error);
    return peer->dn != NULL;
}

/* All at once, for GIO would read the system's CAs for a connection that is made without. */
static GTlsConnection *
vadm_tls_make_connection(VadmTls *tls, GIOStream *base, GError **error)
{
    GType type = g_tls_backend_get_server_connection_type(g_tls_backend_get_default());

    return g_initable_new(type, NULL, error, "base-io-stream", base, "certificate",
                          tls->certificate, "database", tls->database, "authentication-mode",
                          G_TLS_AUTHENTICATION_REQUIRED, NULL);
}

/* Returns: (transfer full) */
static GError *
vadm_tls_explain(const GError *cause)
{
    if (g_error_matches(cause, G_TLS_ERROR, G_TLS_ERROR_CERTIFICATE_REQUIRED))
        return g_error_new(VADM_ERROR, VADM_ERROR_AUTH, "it has shown no certificate");
    return g_error_new(VADM_ERROR, VADM_ERROR_AUTH, "%s", cause->message);
}

/* GIO leaves it to GnuTLS, and that to the system's policy, what is too old. */
static gboolean
vadm_tls_is_recent(GTlsConnection *connection, GError **error)
{
    GTlsProtocolVersion version = g_tls_connection_get_protocol_version(connection);

    if (version == G_TLS_PROTOCOL_VERSION_TLS_1_2 || version == G_TLS_PROTOCOL_VERSION_TLS_1_3)
        return TRUE;
    g_set_error(error, G_TLS_ERROR, G_TLS_ERROR_MISC, "it speaks neither TLS 1.2 nor TLS 1.3");
    return FALSE;
}

GIOStream *
vadm_tls_shake(VadmTls *tls, GIOStream *base, char *const *allowed_dns, GCancellable *cancellable,
               char **dn, GString *warnings, GError **error)
{
    VadmTlsPeer peer = {.tls = tls, .allowed_dns = allowed_dns, .warnings = warnings};
    g_autoptr(GError) cause = NULL;
    g_autoptr(VadmTlsGuard) guard = vadm_tls_guard_new(base);
    GTlsConnection *connection = vadm_tls_make_connection(tls, G_IO_STREAM(guard), &cause);
    gulong handler;
    gboolean ok;

    *dn = NULL;
    if (!connection) {
        g_propagate_error(error, vadm_tls_explain(cause));
        return NULL;
    }
    handler = g_signal_connect(connection, "accept-certificate",
                               G_CALLBACK(vadm_tls_accept_certificate), &peer);
    ok = g_tls_connection_handshake(connection, cancellable, &cause);
    g_signal_handler_disconnect(connection, handler);
    /* without a look at the certificate nobody comes in, whatever GIO says */
    ok = ok && peer.dn && !peer.error && vadm_tls_is_recent(connection, &cause) &&
         g_output_stream_write_all(g_io_stream_get_output_stream(G_IO_STREAM(connection)),
                                   VADM_TLS_ACCEPTED, 1, NULL, cancellable, &cause);
    vadm_tls_guard_arm(guard);
    if (ok)
        *dn = g_steal_pointer(&peer.dn);
    else if (peer.error)
        g_propagate_error(error, g_steal_pointer(&peer.error));
    else if (cause)
        g_propagate_error(error, vadm_tls_explain(cause));
    else
        g_set_error(error, VADM_ERROR, VADM_ERROR_AUTH, "it has shown no certificate");
    g_free(peer.dn);
    return G_IO_STREAM(connection);
}
