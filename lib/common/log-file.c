/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opening log files. A path that came over the network is walked below a configured directory
 * component by component, so that neither ".." nor a symbolic link, planted before or during
 * the walk, leads out of it.
 */
#include "config.h"

#include "common/log-private.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"

/* O_NONBLOCK: a FIFO without a reader is an error (ENXIO) instead of a thread that hangs. */
#define LOG_FILE_FLAGS (O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)

static void G_GNUC_PRINTF(3, 4)
    vadm_log_file_deny(GError **error, const char *path, const char *format, ...)
{
    g_autofree char *rule = NULL;
    va_list args;

    va_start(args, format);
    rule = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, VADM_ERROR, VADM_ERROR_DENIED, "log file '%s' is not allowed: %s", path,
                rule);
}

/* Length of @directory without trailing slashes if @path is below it, else -1. */
static gssize
vadm_log_file_below(const char *path, const char *directory)
{
    gsize length = strlen(directory);

    if (*directory != '/')
        return -1;
    while (length > 0 && directory[length - 1] == '/')
        length--;
    if (strncmp(path, directory, length) != 0 || path[length] != '/')
        return -1;
    return (gssize)length;
}

/* The innermost of the directories that @path is below, as a length of @path; -1: none. */
static gssize
vadm_log_file_base(const char *path, const char *const *directories)
{
    gssize best = -1;

    for (; *directories; directories++)
        best = MAX(best, vadm_log_file_below(path, *directories));
    return best;
}

static gboolean
vadm_log_file_check_text(const char *path, const char *const *directories, GError **error)
{
    g_auto(GStrv) parts = NULL;

    if (*path != '/') {
        vadm_log_file_deny(error, path, "the path must be absolute");
        return FALSE;
    }
    parts = g_strsplit(path + 1, "/", -1);
    for (char **part = parts; *part; part++) {
        if (**part && strcmp(*part, ".") != 0 && strcmp(*part, "..") != 0)
            continue;
        vadm_log_file_deny(error, path, "the path must not have the component '%s'", *part);
        return FALSE;
    }
    if (vadm_log_file_base(path, directories) < 0) {
        g_autofree char *list = g_strjoinv(" ", (char **)directories);
        vadm_log_file_deny(error, path, "the path must be below one of the directories: %s",
                           *list ? list : "(none is configured)");
        return FALSE;
    }
    return TRUE;
}

/* One step down; consumes @dirfd. O_PATH needs no permission to read the directory. */
static int
vadm_log_file_step(int dirfd, const char *part, const char *path, GError **error)
{
    int next = openat(dirfd, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int saved = errno;

    close(dirfd);
    if (next >= 0)
        return next;
    if (saved == ENOTDIR || saved == ELOOP)
        vadm_log_file_deny(error, path, "'%s' is a symbolic link or not a directory", part);
    else
        vadm_error_set_errno(error, saved, "failed to open %s", path);
    return -1;
}

/* The directory that holds the last component of @path, and that component. The configured
 * directory itself is trusted and may be reached through links (/var/run). */
static int
vadm_log_file_walk(const char *path, const char *const *directories, char **name, GError **error)
{
    gssize base_length = vadm_log_file_base(path, directories);
    g_autofree char *base = g_strndup(path, (gsize)MAX(base_length, 0));
    g_auto(GStrv) parts = g_strsplit(path + base_length + 1, "/", -1);
    guint count = g_strv_length(parts);
    int fd = open(*base ? base : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        vadm_error_set_errno(error, errno, "failed to open %s", path);
        return -1;
    }
    for (guint i = 0; i + 1 < count && fd >= 0; i++)
        fd = vadm_log_file_step(fd, parts[i], path, error);
    if (fd >= 0)
        *name = g_strdup(parts[count - 1]);
    return fd;
}

static gboolean
vadm_log_file_check_stat(const char *path, const struct stat *st, GError **error)
{
    if (S_ISLNK(st->st_mode))
        vadm_log_file_deny(error, path, "it must not be a symbolic link");
    else if (!S_ISREG(st->st_mode))
        vadm_log_file_deny(error, path, "it must be a regular file");
    else if (st->st_nlink != 1)
        vadm_log_file_deny(error, path, "it must have one hard link, it has %ju",
                           (uintmax_t)st->st_nlink);
    else
        return TRUE;
    return FALSE;
}

/* Before the open: opening a device can have effects of its own (a tape rewinds). */
static gboolean
vadm_log_file_check_entry(int dirfd, const char *name, const char *path, GError **error)
{
    struct stat st;

    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return vadm_log_file_check_stat(path, &st, error);
    if (errno == ENOENT)
        return TRUE;
    vadm_error_set_errno(error, errno, "failed to open %s", path);
    return FALSE;
}

/* After the open: what was opened may not be what was looked at. */
static gboolean
vadm_log_file_check_open(int fd, const char *path, GError **error)
{
    struct stat st;

    if (fstat(fd, &st) == 0)
        return vadm_log_file_check_stat(path, &st, error);
    vadm_error_set_errno(error, errno, "failed to open %s", path);
    return FALSE;
}

static int
vadm_log_file_openat(int dirfd, const char *name, int flags)
{
    int fd;

    do
        fd = openat(dirfd, name, LOG_FILE_FLAGS | flags, 0600);
    while (fd < 0 && errno == EINTR);
    return fd;
}

/* O_EXCL tells who created the file. A few rounds, since others may create and remove it; the
 * last form is for a dangling link, which O_EXCL refuses and a plain open follows. */
static int
vadm_log_file_open_at(int dirfd, const char *name, int flags, gboolean *created)
{
    *created = FALSE;
    for (int round = 0; round < 4; round++) {
        int fd = vadm_log_file_openat(dirfd, name, flags);

        if (fd >= 0 || errno != ENOENT)
            return fd;
        fd = vadm_log_file_openat(dirfd, name, flags | O_CREAT | O_EXCL);
        if (fd >= 0)
            *created = TRUE;
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return vadm_log_file_openat(dirfd, name, flags | O_CREAT);
}

/* Consumes @dirfd. NULL when the file cannot be looked at: it stays then. */
static VadmLogCreated *
vadm_log_created_new(int fd, int dirfd, const char *name)
{
    VadmLogCreated *created;
    struct stat st;

    if (dirfd < 0)
        return NULL;
    if (fstat(fd, &st) < 0) {
        close(dirfd);
        return NULL;
    }
    created = g_new0(VadmLogCreated, 1);
    created->dirfd = dirfd;
    created->name = g_strdup(name);
    created->dev = st.st_dev;
    created->ino = st.st_ino;
    return created;
}

static int
vadm_log_file_open_anywhere(const char *path, VadmLogCreated **created, GError **error)
{
    gboolean is_new;
    int fd = vadm_log_file_open_at(AT_FDCWD, path, 0, &is_new);

    if (fd < 0) {
        vadm_error_set_errno(error, errno, "failed to open %s", path);
        return -1;
    }
    if (is_new && created) {
        g_autofree char *directory = g_path_get_dirname(path);
        g_autofree char *name = g_path_get_basename(path);
        *created =
            vadm_log_created_new(fd, open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC), name);
    }
    return fd;
}

/* @dirfd stays the caller's. */
static int
vadm_log_file_open_entry(int dirfd, const char *name, const char *path, gboolean *is_new,
                         GError **error)
{
    int fd;

    if (!vadm_log_file_check_entry(dirfd, name, path, error))
        return -1;
    fd = vadm_log_file_open_at(dirfd, name, O_NOFOLLOW, is_new);
    if (fd < 0 && errno == ELOOP) {
        vadm_log_file_deny(error, path, "it must not be a symbolic link");
        return -1;
    }
    if (fd < 0) {
        vadm_error_set_errno(error, errno, "failed to open %s", path);
        return -1;
    }
    if (vadm_log_file_check_open(fd, path, error))
        return fd;
    close(fd);
    return -1;
}

static int
vadm_log_file_open_guarded(const char *path, const char *const *directories,
                           VadmLogCreated **created, GError **error)
{
    g_autofree char *name = NULL;
    gboolean is_new = FALSE;
    int dirfd, fd;

    if (!vadm_log_file_check_text(path, directories, error))
        return -1;
    dirfd = vadm_log_file_walk(path, directories, &name, error);
    if (dirfd < 0)
        return -1;
    fd = vadm_log_file_open_entry(dirfd, name, path, &is_new, error);
    if (fd >= 0 && is_new && created)
        *created = vadm_log_created_new(fd, dirfd, name);
    else
        close(dirfd);
    return fd;
}

int
vadm_log_file_open(const char *path, const char *const *directories, VadmLogCreated **created,
                   GError **error)
{
    if (created)
        *created = NULL;
    return directories ? vadm_log_file_open_guarded(path, directories, created, error)
                       : vadm_log_file_open_anywhere(path, created, error);
}

gboolean
vadm_log_file_check(const char *path, const char *const *directories, GError **error)
{
    g_autofree char *name = NULL;
    gboolean allowed;
    int dirfd;

    if (!directories)
        return TRUE;
    if (!vadm_log_file_check_text(path, directories, error))
        return FALSE;
    dirfd = vadm_log_file_walk(path, directories, &name, error);
    if (dirfd < 0)
        return FALSE;
    allowed = vadm_log_file_check_entry(dirfd, name, path, error);
    close(dirfd);
    return allowed;
}

void
vadm_log_created_remove(const VadmLogCreated *created)
{
    struct stat st;

    if (fstatat(created->dirfd, created->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    if (st.st_dev != created->dev || st.st_ino != created->ino || st.st_size != 0)
        return;
    unlinkat(created->dirfd, created->name, 0);
}

void
vadm_log_created_free(VadmLogCreated *created)
{
    if (!created)
        return;
    close(created->dirfd);
    g_free(created->name);
    g_free(created);
}
