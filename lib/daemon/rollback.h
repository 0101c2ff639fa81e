/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The other end of a confirmed commit: what nobody confirms in time is rolled back, as a
 * transaction of its own with origin rollback.
 */
#ifndef VADM_DAEMON_ROLLBACK_H
#define VADM_DAEMON_ROLLBACK_H

#include "daemon/daemon.h"

/** vadm_rollback_watch: a configuration has come into force that is to be confirmed (or came
 * back): the main loop sees to its time. Any thread. */
void vadm_rollback_watch(VadmDaemon *daemon);

#endif
