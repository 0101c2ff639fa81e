/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One replacement of the state file, in the phases of a transaction. Whenever the process or the
 * machine stops, PATH is the old file or the new one, whole. Each function may wait for the disk:
 * any thread but main and snmp. Only the holder of the writer token has one of these.
 */
#ifndef VADM_DAEMON_STATE_FILE_H
#define VADM_DAEMON_STATE_FILE_H

#include <glib.h>

#include "common/error.h"

typedef struct _VadmStateFile VadmStateFile;

/**
 * vadm_state_file_read:
 * @error: VADM_ERROR_SYSTEM (errno ENOENT: there is none; EFBIG: larger than a configuration file
 *     may be); VADM_ERROR_DENIED: the file or its directory belongs to somebody else than root
 *     and us, others may write it, or it is no regular file
 *
 * Never blocks on a FIFO, follows no symbolic link. Any thread.
 * Returns: (transfer full) (nullable): the octets as they are
 */
GString *vadm_state_file_read(const char *path, GError **error);

/**
 * vadm_state_file_prepare:
 * @path: absolute; its directory is made (mode 0700) when only its last component is missing
 * @text: (nullable): what the file shall say; NULL: there shall be no file
 * @error: VADM_ERROR_SYSTEM naming the file and the call that failed; VADM_ERROR_DENIED: the
 *     directory belongs to somebody else than root and us, or others may write it
 *
 * Writes PATH.new and fsyncs it, and keeps the old file as PATH.old; what a killed process left
 * there is removed.
 * Returns: (transfer full) (nullable)
 */
VadmStateFile *vadm_state_file_prepare(const char *path, const char *text, GError **error);

/** vadm_state_file_commit: puts the new file (or none) in the place of the old one and fsyncs the
 * directory. Returns: FALSE: the old one is there as before. */
gboolean vadm_state_file_commit(VadmStateFile *file, GError **error);
/** vadm_state_file_undo: puts the old one (or none) back. Idempotent; TRUE when nothing was
 * committed. That it is back, but perhaps not on the disk yet (the fsync failed), is a warning in
 * the log. Returns: FALSE: what was committed is still there. */
gboolean vadm_state_file_undo(VadmStateFile *file, GError **error);
/** vadm_state_file_finish: there is nothing to be undone any more: drops the old file. Consumes
 * @file. (nullable) */
void vadm_state_file_finish(VadmStateFile *file);
/** vadm_state_file_abort: gives up: removes PATH.new; what is committed stays. Consumes @file.
 * (nullable) */
void vadm_state_file_abort(VadmStateFile *file);

#endif
