/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VADM_AGENT_DESCRIPTORS_H
#define VADM_AGENT_DESCRIPTORS_H

#include "daemon/config.h"

/**
 * vadm_descriptors_raise:
 * @config: whose max_clients are to be served
 *
 * Raises this process's limit of open descriptors as far as it may, and warns when that is less
 * than the clients of @config need. At start, once logging works.
 */
void vadm_descriptors_raise(const VadmConfig *config);

#endif
