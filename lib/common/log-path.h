/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which log files may be named by somebody who is not the administrator of the machine: the rules
 * that hold whoever opens the file, we (log-file.c) or a daemon beside us (agent/remote-guard.c).
 * Any thread. Errors are VADM_ERROR_DENIED, name the path and the rule.
 */
#ifndef VADM_COMMON_LOG_PATH_H
#define VADM_COMMON_LOG_PATH_H

#include <glib.h>
#include <sys/stat.h>

/** vadm_log_path_deny: Returns: FALSE, always */
gboolean vadm_log_path_deny(GError **error, const char *path, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
/** vadm_log_path_base: Returns: the innermost of @directories that @path is below, as a length of
 * @path; -1: none */
gssize vadm_log_path_base(const char *path, const char *const *directories);
/** vadm_log_path_check: @path is absolute, below one of @directories, and has no component that
 * leads elsewhere. @directories: (nullable): none */
gboolean vadm_log_path_check(const char *path, const char *const *directories, GError **error);
/** vadm_log_path_check_stat: @st (by lstat(2)) is that of a regular file with one link. */
gboolean vadm_log_path_check_stat(const char *path, const struct stat *st, GError **error);

#endif
