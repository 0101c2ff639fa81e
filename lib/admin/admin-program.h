/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The server side of libvirt's admin program (docs/protocol.md, "Admin program") and of our
 * extension program, over the daemon's rows and transactions.
 */
#ifndef VADM_ADMIN_ADMIN_PROGRAM_H
#define VADM_ADMIN_ADMIN_PROGRAM_H

#include "daemon/daemon.h"

/** vadm_admin_program_new: the program of a server with program = admin. Main thread. */
VadmProgram *vadm_admin_program_new(VadmServer *server);

#endif
