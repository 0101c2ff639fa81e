/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the files of TLS and their tests. */
#ifndef VADM_DAEMON_TLS_PRIVATE_H
#define VADM_DAEMON_TLS_PRIVATE_H

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "daemon/tls.h"

/* The certificates of a chain that are looked at: as many as GnuTLS verifies. */
#define VADM_TLS_CHAIN_MAX 16u

/* Of keys and signatures, up to the CA's: what GnuTLS asks of them in a connection with its
 * priority NORMAL, which is libvirt's. By itself it takes any. */
#define VADM_TLS_LEVEL        GNUTLS_SEC_PARAM_LOW
#define VADM_TLS_VERIFY_FLAGS ((unsigned int)GNUTLS_PROFILE_TO_VFLAGS(GNUTLS_PROFILE_LOW))

struct _VadmTls {
    gint refs; /* atomic */
    GTlsCertificate *certificate;
    GTlsDatabase *database;
    gnutls_x509_trust_list_t trust; /* the CA file and the revocation lists; only read */
    time_t crls_until;              /* when the first of the lists is outdated; 0: never */
    char *description;
};

/* tls-check.c: what libvirt asks of a certificate */

typedef enum { VADM_TLS_ROLE_CA, VADM_TLS_ROLE_SERVER, VADM_TLS_ROLE_CLIENT } VadmTlsRole;

/**
 * vadm_tls_check_certificate: its times, its basic constraints, and that key usage and purpose
 * allow
 * @role
 * @name: what the error calls it
 * @warnings: (nullable): gets what is only warned of; NULL: the log does
 * @error: of domain VADM_ERROR, with @code
 *
 * A usage or purpose that is not marked critical is only warned of, as libvirt does. Any thread.
 */
gboolean vadm_tls_check_certificate(gnutls_x509_crt_t crt, VadmTlsRole role, const char *name,
                                    VadmErrorCode code, GString *warnings, GError **error);
/** vadm_tls_format_time: Returns: (transfer full): "2027-01-31T12:00:00Z" */
char *vadm_tls_format_time(time_t when);
/** vadm_tls_format_status: Returns: (transfer full): what GnuTLS says of a verification */
char *vadm_tls_format_status(unsigned int status);
/** vadm_tls_find_weak: Returns: (transfer full) (nullable): which of @crts has a key below
 * VADM_TLS_LEVEL, and what is asked of it; NULL: none has. Any thread. */
char *vadm_tls_find_weak(const gnutls_x509_crt_t *crts, unsigned int count);

/* tls-verify.c: the client's certificate */

/** vadm_tls_verify_peer: @peer: with its chain, as it came. @warnings: gets what is wrong with it
 * but keeps nobody out. Returns: (transfer full) (nullable):
 * its distinguished name; NULL: @error, VADM_ERROR_AUTH, tells why it is not let in. Any thread. */
char *vadm_tls_verify_peer(const VadmTls *tls, GTlsCertificate *peer, char *const *allowed_dns,
                           GString *warnings, GError **error);

/* tls-hello.c: the first message of a client */

/* As much as is read ahead of a ClientHello: with what TLS 1.3 has now it takes some two thousand.
 */
#define VADM_TLS_HELLO_MAX 16384u

/**
 * vadm_tls_hello_wanted: how much has to be there until a ClientHello is complete
 * @have: of @data, octets
 *
 * Returns: at most @have: it is complete; more: look again when there is so much; 0: this is no
 *     ClientHello, or one beyond VADM_TLS_HELLO_MAX. Any thread
 */
gsize vadm_tls_hello_wanted(const guint8 *data, gsize have);

/* tls-session.c: the handshake itself, in a thread */

/** vadm_tls_shake: Returns: (transfer full): the TLS connection, whatever becomes of it; @dn:
 * (out): (transfer full) (nullable): NULL: @error tells why there is none. @warnings: as for
 * vadm_tls_verify_peer(). Blocks until @cancellable */
GIOStream *vadm_tls_shake(VadmTls *tls, GIOStream *base, char *const *allowed_dns,
                          GCancellable *cancellable, char **dn, GString *warnings, GError **error);

#endif
