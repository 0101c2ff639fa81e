/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which log files a SET may have a daemon open. It is the daemon who opens them, later, by their
 * names and through symbolic links, so looking at what is there now is worth something only where
 * nobody else can put something else there until then. That is the case if each directory on the
 * way, from the root on, can be changed by its owner alone, and that is root, or the user as whom
 * both run.
 */
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/remote-private.h"
#include "common/log-path.h"

/* What belongs to us can be made anything by us, and so by the daemon, which has the same user. */
static gboolean
remote_guard_check_owner(const char *path, const char *thing, const struct stat *st, GError **error)
{
    uid_t own = geteuid();

    if (st->st_uid == 0 || st->st_uid == own)
        return TRUE;
    if (own == 0)
        return vadm_log_path_deny(error, path, "%s must be owned by root, not by user %ju", thing,
                                  (uintmax_t)st->st_uid);
    return vadm_log_path_deny(error, path,
                              "%s must be owned by root or by user %ju, not by user %ju", thing,
                              (uintmax_t)own, (uintmax_t)st->st_uid);
}

/* The sticky bit makes no difference: it protects what is there, not names that are free. Access
 * lists that let others write show in the bits of the group (acl(5)). */
static gboolean
remote_guard_check_directory(int fd, const char *path, const char *directory, GError **error)
{
    g_autofree char *thing = g_strdup_printf("the directory '%s'", directory);
    struct stat st;

    if (fstat(fd, &st) < 0) {
        vadm_error_set_errno(error, errno, "log file '%s': failed to look at %s", path, thing);
        return FALSE;
    }
    if (!remote_guard_check_owner(path, thing, &st, error))
        return FALSE;
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return vadm_log_path_deny(error, path,
                                  "%s must not be writable by group or others (mode %04o)", thing,
                                  (guint)st.st_mode & 07777u);
    return TRUE;
}

static gboolean
remote_guard_check_file(int dirfd, const char *name, const char *path, GError **error)
{
    struct stat st;

    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT)
            return TRUE;
        vadm_error_set_errno(error, errno, "log file '%s': failed to look at it", path);
        return FALSE;
    }
    return vadm_log_path_check_stat(path, &st, error) &&
           remote_guard_check_owner(path, "it", &st, error);
}

/* One step down from @dirfd, which it closes. Returns: the descriptor of @directory, or -1 */
static int
remote_guard_step(int dirfd, const char *part, const char *directory, const char *path,
                  GError **error)
{
    int fd = openat(dirfd, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int saved = errno;

    if (dirfd >= 0)
        close(dirfd);
    if (fd >= 0 && remote_guard_check_directory(fd, path, directory, error))
        return fd;
    if (fd >= 0)
        close(fd);
    else if (saved == ENOTDIR || saved == ELOOP)
        vadm_log_path_deny(error, path, "'%s' is a symbolic link or not a directory", directory);
    else
        vadm_error_set_errno(error, saved, "log file '%s': failed to look at the directory '%s'",
                             path, directory);
    return -1;
}

static gboolean
remote_guard_check_path(const char *path, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(path + 1, "/", -1);
    guint last = g_strv_length(parts) - 1;
    g_autoptr(GString) directory = g_string_new("/");
    int fd = remote_guard_step(-1, "/", directory->str, path, error);
    gboolean allowed;

    for (guint i = 0; i < last && fd >= 0; i++) {
        g_string_append_printf(directory, "%s%s", i ? "/" : "", parts[i]);
        fd = remote_guard_step(fd, parts[i], directory->str, path, error);
    }
    if (fd < 0)
        return FALSE;
    allowed = remote_guard_check_file(fd, parts[last], path, error);
    close(fd);
    return allowed;
}

gboolean
vadm_remote_guard_outputs(const char *outputs, const char *const *directories, GError **error)
{
    g_auto(GStrv) words = g_strsplit(outputs, " ", -1);

    for (char **word = words; *word; word++) {
        g_auto(GStrv) parts = g_strsplit(*word, ":", 3);

        if (g_strv_length(parts) < 3 || strcmp(parts[1], "file") != 0)
            continue;
        if (!vadm_log_path_check(parts[2], directories, error) ||
            !remote_guard_check_path(parts[2], error))
            return FALSE;
    }
    return TRUE;
}
