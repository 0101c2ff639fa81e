/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What survives a restart (lvaConfigStorage nonVolatile): the text that is stored for a
 * configuration, and how it is put over the configuration file at the start. docs/configuration.md
 * has the format. How the text gets onto the disk is state-file.h.
 */
#ifndef VADM_DAEMON_STATE_H
#define VADM_DAEMON_STATE_H

#include "daemon/config.h"

typedef enum {
    VADM_STATE_NONE,    /* there is no state file */
    VADM_STATE_APPLIED, /* what it says is in the configuration now, as far as the file allows */
    VADM_STATE_DAMAGED, /* it is no state file, or not whole: nothing of it is used */
    VADM_STATE_REFUSED  /* it cannot be read, or somebody else than root and we may write it:
                         * nothing of it is used */
} VadmStateResult;

/** vadm_state_path: Returns: (transfer full): where the state of a daemon with @config is stored:
 * state_dir and the daemon's name. Any thread. */
char *vadm_state_path(const VadmConfig *config);

/**
 * vadm_state_to_text:
 * @config: with file and base
 *
 * The keys whose value differs from @config's base (those that were changed at runtime), each with
 * its value in @config and the value of @config's file that it overrides. Never empty: that
 * storage is nonVolatile is part of it. Any thread.
 * Returns: (transfer full)
 */
char *vadm_state_to_text(const VadmConfig *config);

/**
 * vadm_state_load:
 * @path: of the state file
 * @config: what the configuration file says; nobody else may see it yet. Gets the stored values of
 *     those keys whose value in the file is still the one that was overridden, and storage
 *     nonVolatile when the result is VADM_STATE_APPLIED. Always valid as a whole afterwards: what
 *     contradicts the file is left out.
 * @applied: (nullable): gets "[GROUP] KEY" -> the overridden value of the file, both owned by the
 *     table
 * @warnings: (nullable): gets a string for each thing that is not used, with the reason
 *
 * Changes no file. Main thread.
 */
VadmStateResult vadm_state_load(const char *path, VadmConfig *config, GHashTable *applied,
                                GPtrArray *warnings);

/** vadm_state_set_aside: renames a damaged state file to PATH.damaged, for people to look at, so
 * that the next start is a clean one. Returns: (transfer full): a warning that says what was
 * done. */
char *vadm_state_set_aside(const char *path);

#endif
