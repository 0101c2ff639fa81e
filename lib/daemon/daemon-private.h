/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between daemon.c and server.c. */
#ifndef VADM_DAEMON_DAEMON_PRIVATE_H
#define VADM_DAEMON_DAEMON_PRIVATE_H

#include "daemon/daemon.h"
#include "daemon/resolver.h"

VadmResolver *vadm_daemon_get_resolver(VadmDaemon *daemon);

/* The daemon counts the clients of all servers, for its timeout and for the end of a shutdown.
 * Main thread. */
void vadm_daemon_client_came(VadmDaemon *daemon);
void vadm_daemon_client_went(VadmDaemon *daemon);

#endif
