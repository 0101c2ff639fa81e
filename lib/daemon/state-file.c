/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Everything goes through a descriptor of the directory, so that its being renamed or replaced
 * meanwhile leads nowhere else. PATH is only ever changed by one rename or one unlink:
 *
 *   prepare  the new text in PATH.new, on the disk; the old file under PATH.old, too (by a link)
 *   commit   PATH.new over PATH (or PATH to PATH.old, when there shall be no file)
 *   undo     PATH.old over PATH (or PATH removed, when there was none)
 *   finish   PATH.old and PATH.new removed
 *
 * What a killed process left as PATH.new or PATH.old says nothing: PATH alone counts, and the next
 * prepare removes them.
 */
#include "daemon/state-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VADM_LOG_CATEGORY "daemon.state"
#include "common/log.h"
#include "daemon/config-private.h"

struct _VadmStateFile {
    char *path, *directory;
    char *name, *new_name, *old_name; /* in the directory */
    int dirfd;                        /* -1: there is no directory, and so nothing to remove */
    gboolean has_new;                 /* there shall be a file */
    gboolean has_old;                 /* there was one; while has_new it is PATH.old, too */
    gboolean committed;
};

/* Returns: FALSE */
static gboolean
vadm_state_file_fail(const char *path, const char *suffix, const char *what, GError **error)
{
    vadm_error_set_errno(error, errno, "state file: cannot %s %s%s", what, path, suffix);
    return FALSE;
}

static gboolean G_GNUC_PRINTF(3, 4)
    vadm_state_file_deny(GError **error, const char *path, const char *format, ...)
{
    g_autofree char *rule = NULL;
    va_list args;

    va_start(args, format);
    rule = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, VADM_ERROR, VADM_ERROR_DENIED, "state file: %s is not used: %s", path, rule);
    return FALSE;
}

static int
vadm_state_openat(int dirfd, const char *name, int flags)
{
    int fd;

    do
        fd = openat(dirfd, name, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
    while (fd < 0 && errno == EINTR);
    return fd;
}

static int
vadm_state_fsync(int fd)
{
    int rc;

    do
        rc = fsync(fd);
    while (rc < 0 && errno == EINTR);
    return rc;
}

/* Whoever can write there can bring any configuration in force at the next start. */
static gboolean
vadm_state_check_owner(const struct stat *st, const char *path, GError **error)
{
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return vadm_state_file_deny(error, path, "it belongs to user %u, not to root or user %u",
                                    st->st_uid, geteuid());
    if (st->st_mode & (S_IWGRP | S_IWOTH))
        return vadm_state_file_deny(error, path,
                                    "its mode is %04o, its group or others may write it",
                                    st->st_mode & 07777u);
    return TRUE;
}

static gboolean
vadm_state_check_directory(int dirfd, const char *directory, GError **error)
{
    struct stat st;

    if (fstat(dirfd, &st) < 0)
        return vadm_state_file_fail(directory, "", "look at", error);
    return vadm_state_check_owner(&st, directory, error);
}

/* A directory that is reached through symbolic links is the administrator's choice; what counts
 * is who can write the one at the end. */
static int
vadm_state_open_directory(const char *directory)
{
    int fd;

    do
        fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    return fd;
}

/* Not every file system can do it; then the kernel writes directories at once or never. */
static gboolean
vadm_state_sync_directory(int dirfd, const char *directory, GError **error)
{
    if (vadm_state_fsync(dirfd) == 0 || errno == EINVAL || errno == ENOTSUP)
        return TRUE;
    return vadm_state_file_fail(directory, "", "fsync the directory", error);
}

/* The name of the new directory must be on the disk, or what is in it may be gone with it. */
static gboolean
vadm_state_make_directory(const char *directory, GError **error)
{
    g_autofree char *parent = g_path_get_dirname(directory);
    gboolean good;
    int fd;

    if (mkdir(directory, 0700) < 0 && errno != EEXIST)
        return vadm_state_file_fail(directory, "", "make the directory", error);
    fd = vadm_state_open_directory(parent);
    if (fd < 0)
        return vadm_state_file_fail(parent, "", "open", error);
    good = vadm_state_sync_directory(fd, parent, error);
    close(fd);
    return good;
}

/* @file->dirfd stays -1 without an error when nothing is to be written and there is none. */
static gboolean
vadm_state_file_open_directory(VadmStateFile *file, GError **error)
{
    int fd = vadm_state_open_directory(file->directory);

    if (fd < 0 && errno == ENOENT) {
        if (!file->has_new)
            return TRUE;
        if (!vadm_state_make_directory(file->directory, error))
            return FALSE;
        fd = vadm_state_open_directory(file->directory);
    }
    if (fd < 0)
        return vadm_state_file_fail(file->directory, "", "open", error);
    if (vadm_state_check_directory(fd, file->directory, error)) {
        file->dirfd = fd;
        return TRUE;
    }
    /* Nothing is touched there. */
    close(fd);
    return FALSE;
}

static gboolean
vadm_state_file_remove(const VadmStateFile *file, const char *name, const char *suffix,
                       GError **error)
{
    if (unlinkat(file->dirfd, name, 0) == 0 || errno == ENOENT)
        return TRUE;
    return vadm_state_file_fail(file->path, suffix, "remove", error);
}

static gboolean
vadm_state_write_all(int fd, const char *text, gsize length)
{
    while (length > 0) {
        ssize_t done = write(fd, text, length);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return FALSE;
        text += done;
        length -= (gsize)done;
    }
    return TRUE;
}

/* A new file @name that is on the disk when this returns. */
static gboolean
vadm_state_file_write(const VadmStateFile *file, const char *name, const char *suffix,
                      const char *text, gsize length, GError **error)
{
    int fd = vadm_state_openat(file->dirfd, name, O_WRONLY | O_CREAT | O_EXCL);
    const char *failed = NULL;
    int saved;

    if (fd < 0)
        return vadm_state_file_fail(file->path, suffix, "make", error);
    if (!vadm_state_write_all(fd, text, length))
        failed = "write";
    else if (vadm_state_fsync(fd) < 0)
        failed = "fsync";
    saved = errno;
    /* NFS tells here what it could not write; after EINTR the descriptor is gone all the same. */
    if (close(fd) < 0 && errno != EINTR && !failed) {
        failed = "close";
        saved = errno;
    }
    if (!failed)
        return TRUE;
    unlinkat(file->dirfd, name, 0);
    errno = saved;
    return vadm_state_file_fail(file->path, suffix, failed, error);
}

static gboolean
vadm_state_read_all(int fd, GString *text)
{
    char buffer[4096];
    ssize_t got;

    while ((got = read(fd, buffer, sizeof(buffer))) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return FALSE;
        g_string_append_len(text, buffer, got);
        if (text->len <= VADM_CONFIG_FILE_MAX)
            continue;
        errno = EFBIG;
        return FALSE;
    }
    return TRUE;
}

/* Opening a FIFO for reading without blocking does not fail: what it is must be asked. */
static gboolean
vadm_state_read_fd(int fd, const char *path, gboolean check_owner, GString *text, GError **error)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return vadm_state_file_fail(path, "", "look at", error);
    if (!S_ISREG(st.st_mode))
        return vadm_state_file_deny(error, path, "it is not a regular file");
    if (check_owner && !vadm_state_check_owner(&st, path, error))
        return FALSE;
    return vadm_state_read_all(fd, text) || vadm_state_file_fail(path, "", "read", error);
}

static GString *
vadm_state_read_at(int dirfd, const char *name, const char *path, gboolean check_owner,
                   GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    int fd = vadm_state_openat(dirfd, name, O_RDONLY);
    gboolean good;

    if (fd < 0 && errno == ELOOP) {
        vadm_state_file_deny(error, path, "it is a symbolic link");
        return NULL;
    }
    if (fd < 0) {
        vadm_state_file_fail(path, "", "open", error);
        return NULL;
    }
    good = vadm_state_read_fd(fd, path, check_owner, text, error);
    close(fd);
    return good ? g_steal_pointer(&text) : NULL;
}

GString *
vadm_state_file_read(const char *path, GError **error)
{
    g_autofree char *directory = g_path_get_dirname(path);
    g_autofree char *name = g_path_get_basename(path);
    int dirfd = vadm_state_open_directory(directory);
    GString *text = NULL;

    if (dirfd < 0) {
        vadm_state_file_fail(path, "", "open", error);
        return NULL;
    }
    if (vadm_state_check_directory(dirfd, directory, error))
        text = vadm_state_read_at(dirfd, name, path, TRUE, error);
    close(dirfd);
    return text;
}

/* A second file with what the old one says. */
static gboolean
vadm_state_file_copy(VadmStateFile *file, GError **error)
{
    g_autoptr(GError) failed = NULL;
    g_autoptr(GString) text =
        vadm_state_read_at(file->dirfd, file->name, file->path, FALSE, &failed);

    if (!text && vadm_error_get_errno(failed) == ENOENT)
        return TRUE;
    if (!text) {
        g_propagate_error(error, g_steal_pointer(&failed));
        return FALSE;
    }
    file->has_old =
        vadm_state_file_write(file, file->old_name, ".old", text->str, text->len, error);
    return file->has_old;
}

/* A second name for the old file, or a copy where the file system has no hard links, or the
 * kernel lets only the owner make one. */
static gboolean
vadm_state_file_keep(VadmStateFile *file, GError **error)
{
    file->has_old = linkat(file->dirfd, file->name, file->dirfd, file->old_name, 0) == 0;
    if (file->has_old || errno == ENOENT)
        return TRUE;
    if (errno == EPERM || errno == ENOSYS || errno == EOPNOTSUPP || errno == EMLINK)
        return vadm_state_file_copy(file, error);
    return vadm_state_file_fail(file->path, "", "make a link to", error);
}

static gboolean
vadm_state_file_prepare_all(VadmStateFile *file, const char *text, GError **error)
{
    /* It would not be read again. */
    if (text && strlen(text) > VADM_CONFIG_FILE_MAX) {
        errno = EFBIG;
        return vadm_state_file_fail(file->path, "", "write", error);
    }
    if (!vadm_state_file_open_directory(file, error))
        return FALSE;
    if (file->dirfd < 0)
        return TRUE;
    if (!vadm_state_file_remove(file, file->new_name, ".new", error) ||
        !vadm_state_file_remove(file, file->old_name, ".old", error))
        return FALSE;
    if (!text)
        return TRUE;
    return vadm_state_file_write(file, file->new_name, ".new", text, strlen(text), error) &&
           vadm_state_file_keep(file, error);
}

VadmStateFile *
vadm_state_file_prepare(const char *path, const char *text, GError **error)
{
    VadmStateFile *file = g_new0(VadmStateFile, 1);

    file->path = g_strdup(path);
    file->directory = g_path_get_dirname(path);
    file->name = g_path_get_basename(path);
    file->new_name = g_strconcat(file->name, ".new", NULL);
    file->old_name = g_strconcat(file->name, ".old", NULL);
    file->dirfd = -1;
    file->has_new = text != NULL;
    if (vadm_state_file_prepare_all(file, text, error))
        return file;
    vadm_state_file_abort(file);
    return NULL;
}

static gboolean
vadm_state_file_move(const VadmStateFile *file, const char *from, const char *to)
{
    return renameat(file->dirfd, from, file->dirfd, to) == 0;
}

/* There shall be no file; what is there becomes PATH.old. */
static gboolean
vadm_state_file_take_away(VadmStateFile *file, GError **error)
{
    file->has_old = vadm_state_file_move(file, file->name, file->old_name);
    return file->has_old || errno == ENOENT ||
           vadm_state_file_fail(file->path, "", "remove", error);
}

static gboolean
vadm_state_file_put_back(const VadmStateFile *file, GError **error)
{
    if (file->has_old)
        return vadm_state_file_move(file, file->old_name, file->name) ||
               vadm_state_file_fail(file->path, "", "put back", error);
    return !file->has_new || vadm_state_file_remove(file, file->name, "", error);
}

static gboolean
vadm_state_file_put(VadmStateFile *file, GError **error)
{
    if (!file->has_new)
        return vadm_state_file_take_away(file, error);
    return vadm_state_file_move(file, file->new_name, file->name) ||
           vadm_state_file_fail(file->path, "", "replace", error);
}

gboolean
vadm_state_file_commit(VadmStateFile *file, GError **error)
{
    g_autoptr(GError) back = NULL;

    if (file->dirfd < 0)
        return TRUE;
    if (!vadm_state_file_put(file, error))
        return FALSE;
    if (vadm_state_sync_directory(file->dirfd, file->directory, error)) {
        file->committed = TRUE;
        return TRUE;
    }
    if (!vadm_state_file_put_back(file, &back))
        VADM_ERR("%s: the next start finds what was not to be put in force", back->message);
    return FALSE;
}

gboolean
vadm_state_file_undo(VadmStateFile *file, GError **error)
{
    g_autoptr(GError) sync = NULL;

    if (!file->committed)
        return TRUE;
    if (!vadm_state_file_put_back(file, error))
        return FALSE;
    file->committed = FALSE;
    /* It is there for whoever looks; only a loss of power right now could bring the other back. */
    if (!vadm_state_sync_directory(file->dirfd, file->directory, &sync))
        VADM_WARN("%s", sync->message);
    return TRUE;
}

void
vadm_state_file_finish(VadmStateFile *file)
{
    vadm_state_file_abort(file);
}

void
vadm_state_file_abort(VadmStateFile *file)
{
    g_autoptr(GError) error = NULL;

    if (!file)
        return;
    if (file->dirfd >= 0) {
        if (!vadm_state_file_remove(file, file->new_name, ".new", &error) ||
            !vadm_state_file_remove(file, file->old_name, ".old", &error))
            VADM_WARN("%s", error->message);
        close(file->dirfd);
    }
    g_free(file->path);
    g_free(file->directory);
    g_free(file->name);
    g_free(file->new_name);
    g_free(file->old_name);
    g_free(file);
}
