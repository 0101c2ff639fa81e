/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between daemon.c and server.c. */
#ifndef VADM_DAEMON_DAEMON_PRIVATE_H
#define VADM_DAEMON_DAEMON_PRIVATE_H

#include "daemon/daemon.h"
#include "daemon/resolver.h"
#include "daemon/tls.h"
#include "rpc/budget.h"

/* What the long messages of all clients of all servers may take together: eight of the longest; and
 * for how long one may have its part while others wait for it. */
#define VADM_DAEMON_BUDGET          (8 * (gsize)VADM_RPC_LENGTH_MAX)
#define VADM_DAEMON_BUDGET_PATIENCE (30 * (gint64)G_USEC_PER_SEC)

VadmResolver *vadm_daemon_get_resolver(VadmDaemon *daemon);
VadmBudget *vadm_daemon_get_budget(VadmDaemon *daemon);
/** vadm_daemon_get_tls_gate: that of all servers, made when it is first asked for. Returns:
 * (transfer none) (nullable). Main thread. */
VadmTlsGate *vadm_daemon_get_tls_gate(VadmDaemon *daemon, GError **error);

/* The daemon counts the clients of all servers, for its timeout and for the end of a shutdown.
 * Main thread. */
void vadm_daemon_client_came(VadmDaemon *daemon);
void vadm_daemon_client_went(VadmDaemon *daemon);

#endif
