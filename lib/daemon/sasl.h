/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cyrus SASL, the server's side: one exchange with one client. What it needs to check somebody
 * (a database, saslauthd, a KDC) may take its time, so all that takes a VadmSasl but free is for
 * workers, one at a time for each VadmSasl. A security layer, where one was agreed on, computes
 * only: it is for whichever thread has the VadmSasl then.
 *
 * Without HAVE_SASL sasl-none.c stands in for sasl.c; the configuration refuses what would need it.
 */
#ifndef VADM_DAEMON_SASL_H
#define VADM_DAEMON_SASL_H

#include "common/error.h"
#include "common/source.h"

/* The configuration is read from NAME.conf where Cyrus SASL looks for it, /etc/sasl2 first. */
#define VADM_SASL_APPLICATION "virtadmd"
/* What clients of libvirt expect: the first part of the Kerberos principal. */
#define VADM_SASL_SERVICE "libvirt"

/* What a layer on plain TCP has to be worth at least, as with libvirtd: bits of the key, about. */
#define VADM_SASL_MIN_SSF 56
/* The longest piece that a layer may bring, in octets, as it comes in; we tell the client so. */
#define VADM_SASL_PIECE_MAX (64u * 1024)
/* What a client has to take in one piece at least. libvirt's take 100000. Much smaller ones would
 * let it have us encrypt octet by octet. */
#define VADM_SASL_PIECE_MIN 1024u

typedef struct _VadmSasl VadmSasl;

/* How the client is connected. Addresses as Cyrus SASL writes them: "192.0.2.7;16509",
 * "2001:db8::7;16509"; NULL: there are none, or they are not known. */
typedef struct {
    VadmTransport transport;
    char *local, *remote;
} VadmSaslPeer;

/* What the client is to be told in a turn. */
typedef struct {
    gboolean complete; /* the client is authenticated */
    const guint8
        *data; /* borrowed until the next call; NULL: none, which is not the same as empty */
    gsize length;
} VadmSaslTurn;

/**
 * vadm_sasl_init:
 * @error: VADM_ERROR_CONFIG: plugins or configuration cannot be used
 *
 * Loads plugins and reads the configuration; again has no effect. What is loaded stays until the
 * process ends, since a worker may hang in it. Before the first worker that uses it. Main thread.
 */
gboolean vadm_sasl_init(GError **error);

/** vadm_sasl_check: @error: VADM_ERROR_AUTH: nothing can be offered to clients of @transport, so
 * nobody gets in there. Looks nothing up and does not wait; behind vadm_sasl_init(). Main thread.
 */
gboolean vadm_sasl_check(VadmTransport transport, GError **error);

/**
 * vadm_sasl_new:
 * @error: VADM_ERROR_AUTH
 *
 * An exchange, never with anonymous clients. Unix sockets: no layer. TLS: no layer either, for
 * there is one. TCP: a layer of VADM_SASL_MIN_SSF or more, and no mechanism that shows who listens
 * a password; what cannot give that is neither offered nor accepted.
 * Returns: (transfer full) (nullable)
 */
VadmSasl *vadm_sasl_new(const VadmSaslPeer *peer, GError **error);
void vadm_sasl_free(VadmSasl *sasl); /* (nullable); any thread that has it alone */

/** vadm_sasl_get_mechanisms: @error: VADM_ERROR_AUTH: there are none. Returns: (transfer none)
 * (nullable): separated by commas */
const char *vadm_sasl_get_mechanisms(VadmSasl *sasl, GError **error);

/**
 * vadm_sasl_start, vadm_sasl_step: once, and then while the turn is not complete; no other order
 * @data: (nullable): what the client said; NULL: nothing, which is not the same as empty
 * @length: octets
 * @turn: (out): what to answer
 * @error: VADM_ERROR_AUTH: why the client is not who it says, for the log, not for the client
 */
gboolean vadm_sasl_start(VadmSasl *sasl, const char *mechanism, const guint8 *data, gsize length,
                         VadmSaslTurn *turn, GError **error);
gboolean vadm_sasl_step(VadmSasl *sasl, const guint8 *data, gsize length, VadmSaslTurn *turn,
                        GError **error);

/** vadm_sasl_get_user: after a complete turn. @error: VADM_ERROR_AUTH: a name that is empty, no
 * UTF-8, or has control characters. Returns: (transfer none) (nullable): with its realm, as the
 * mechanism gives it */
const char *vadm_sasl_get_user(VadmSasl *sasl, GError **error);

/* A layer; after a complete turn. */

/** vadm_sasl_has_layer: has the exchange agreed on one? Then all behind the complete turn goes
 * through vadm_sasl_encode() and vadm_sasl_decode(). */
gboolean vadm_sasl_has_layer(VadmSasl *sasl);
/** vadm_sasl_get_piece: Returns: how many octets vadm_sasl_encode() takes at once, at
 * least VADM_SASL_PIECE_MIN */
gsize vadm_sasl_get_piece(VadmSasl *sasl);
/**
 * vadm_sasl_encode, vadm_sasl_decode:
 * @out, @out_length: (out): the result, borrowed until the next call of the same function; that of
 *     decode may be empty, since a piece can come in parts
 * @error: VADM_ERROR_AUTH: cannot be encoded; is no piece, is too long, or was altered. Nothing
 *     can be decoded any more then
 */
gboolean vadm_sasl_encode(VadmSasl *sasl, const guint8 *data, gsize length, const guint8 **out,
                          gsize *out_length, GError **error);
gboolean vadm_sasl_decode(VadmSasl *sasl, const guint8 *data, gsize length, const guint8 **out,
                          gsize *out_length, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmSasl, vadm_sasl_free)

#endif
