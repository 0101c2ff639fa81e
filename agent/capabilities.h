/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VADM_AGENT_CAPABILITIES_H
#define VADM_AGENT_CAPABILITIES_H

#include "common/error.h"

/**
 * vadm_capabilities_drop:
 * @error: VADM_ERROR_SYSTEM: some are left
 *
 * Gives up all capabilities of this process for good, also of root: what is left to it is what its
 * user owns. They belong to threads, and those that are started later inherit that there are none:
 * to be called before there is a second thread (g_unix_signal_add() starts one). Without libcap-ng
 * (configure --without-libcap-ng) only the gaining of privileges by exec is given up.
 */
gboolean vadm_capabilities_drop(GError **error);

#endif
