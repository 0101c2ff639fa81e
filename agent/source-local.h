/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The linked-in daemon as a VadmSource: rows straight from its servers and clients, changes by
 * its transactions.
 */
#ifndef VADM_AGENT_SOURCE_LOCAL_H
#define VADM_AGENT_SOURCE_LOCAL_H

#include "daemon/daemon.h"

/**
 * vadm_source_local_new:
 * @daemon: must outlive the source
 *
 * Returns: (transfer full): free with vadm_source_local_free(), when no view is open and no
 * transaction under way. Any thread.
 */
VadmSource *vadm_source_local_new(VadmDaemon *daemon);
void vadm_source_local_free(VadmSource *source);

#endif
