/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cyrus SASL, the server's side: one exchange with one client. What it needs to check somebody
 * (a database, saslauthd, a KDC) may take its time, so all that takes a VadmSasl but free is for
 * workers, one at a time for each VadmSasl.
 *
 * Without HAVE_SASL sasl-none.c stands in for sasl.c; the configuration refuses what would need it.
 */
#ifndef VADM_DAEMON_SASL_H
#define VADM_DAEMON_SASL_H

#include "common/error.h"

/* The configuration is read from NAME.conf where Cyrus SASL looks for it, /etc/sasl2 first. */
#define VADM_SASL_APPLICATION "virtadmd"
/* What clients of libvirt expect: the first part of the Kerberos principal. */
#define VADM_SASL_SERVICE "libvirt"

typedef struct _VadmSasl VadmSasl;

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

/**
 * vadm_sasl_new:
 * @error: VADM_ERROR_AUTH
 *
 * An exchange over a unix socket: no security layer, no anonymous clients. Sockets that others
 * can listen to will need a layer (SSF 56 at least), or TLS below them.
 * Returns: (transfer full) (nullable)
 */
VadmSasl *vadm_sasl_new(GError **error);
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

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmSasl, vadm_sasl_free)

#endif
