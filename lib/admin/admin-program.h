/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The server side of libvirt's admin program (docs/protocol.md, "Admin program") and of our
 * extension program, over the daemon's rows and transactions.
 *
 * Each call is a job of the admin server's own worker pool: it is decoded, run and answered in a
 * worker, so that no call, however long it takes, holds up the main loop. Nothing here keeps
 * state between calls.
 */
#ifndef VADM_ADMIN_ADMIN_PROGRAM_H
#define VADM_ADMIN_ADMIN_PROGRAM_H

#include "daemon/daemon.h"

/*
 * What CONNECT_GET_LIB_VERSION answers: major * 1000000 + minor * 1000 + release of the libvirt
 * whose admin protocol is served here. 11.2.0 brought CONNECT_DAEMON_SHUTDOWN, the last
 * procedure there is; a tool that decides by this number what it may ask for decides rightly.
 * Our own version would tell such a tool that nothing is supported.
 */
#define VADM_ADMIN_LIB_VERSION 11002000u

/**
 * vadm_admin_program_new: the program of a server with program = admin. Main thread.
 * @server: outlives the program
 *
 * The server stops its worker pool before it frees the program: jobs that run use both.
 * Returns: (transfer full)
 */
VadmProgram *vadm_admin_program_new(VadmServer *server);

#endif
