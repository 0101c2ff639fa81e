/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The CAs of a connection, for GIO: none, and nothing is looked at. A connection without a
 * database lets its module verify the chain, and that of glib-networking before 2.90 follows the
 * issuers for ever when certificates that a peer sends have issued each other. What counts is
 * tls-verify.c's.
 */
#ifndef VADM_DAEMON_TLS_DATABASE_H
#define VADM_DAEMON_TLS_DATABASE_H

#include <gio/gio.h>

/** vadm_tls_database_new: Returns: (transfer full). Any thread, and for any number of connections.
 */
GTlsDatabase *vadm_tls_database_new(void);

#endif
