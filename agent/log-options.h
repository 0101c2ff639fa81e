/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the programs take their logging from: command line over environment over
 * configuration file (docs/logging.md).
 */
#ifndef VADM_AGENT_LOG_OPTIONS_H
#define VADM_AGENT_LOG_OPTIONS_H

#include "daemon/config.h"

/**
 * vadm_log_options_apply:
 * @config: a configuration that nobody else sees yet
 * @level: (nullable): the option --log-level
 * @error: VADM_ERROR_CONFIG naming the option or variable, the value and the rule
 *
 * Puts VIRTADM_DEBUG, VIRTADM_LOG_FILTERS, VIRTADM_LOG_OUTPUTS and then @level over what the
 * file says. Before threads start.
 */
gboolean vadm_log_options_apply(VadmConfig *config, const char *level, GError **error);

/** vadm_log_options_open: Returns: (transfer full) (nullable): the set of @config's logging,
 * files opened; @config's filters and outputs are replaced by the form that was understood. */
VadmLogSet *vadm_log_options_open(VadmLog *log, VadmConfig *config, GError **error);

#endif
