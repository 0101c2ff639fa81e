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
 * @origins: (nullable): gets where those values that are changed come from
 * @error: VADM_ERROR_CONFIG naming the option or variable, the value and the rule
 *
 * Puts VIRTADM_DEBUG, VIRTADM_LOG_FILTERS, VIRTADM_LOG_OUTPUTS and then @level over what the
 * file and the state file say. Before threads start.
 */
gboolean vadm_log_options_apply(VadmConfig *config, const char *level, GHashTable *origins,
                                GError **error);

/**
 * vadm_log_options_open:
 * @config: its filters and outputs are replaced by the form that was understood. What was stored
 *     (differs from its base) and cannot be opened is replaced by what the base says: a folder
 *     that is gone must not keep the daemon from starting
 * @warnings: (nullable): gets a string for each that was replaced
 * @error: that what the base says cannot be opened
 *
 * Outputs that came over SNMP are opened below log_directories only, at the start as well: who can
 * write there can have put a symbolic link in the place of the file meanwhile.
 * Returns: (transfer full) (nullable): the set of @config's logging, files opened
 */
VadmLogSet *vadm_log_options_open(VadmLog *log, VadmConfig *config, GPtrArray *warnings,
                                  GError **error);

#endif
