/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The relay program: passes the calls of a client on to its own connection to an ordinary libvirt
 * daemon (docs/relay.md).
 */
#ifndef VADM_DAEMON_RELAY_H
#define VADM_DAEMON_RELAY_H

#include "daemon/server.h"

/** vadm_relay_new: a relay for @server with its configuration's upstreams. Main thread. */
VadmProgram *vadm_relay_new(VadmServer *server);

/** vadm_relay_is_priority: is @procedure of @program one of libvirt's high priority calls? */
gboolean vadm_relay_is_priority(guint32 program, gint32 procedure);

#endif
