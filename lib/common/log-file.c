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
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/log-path.h"

/* O_NONBLOCK: a FIFO without a reader is an error (ENXIO) instead of a thread that hangs. */
#define LOG_FILE_FLAGS (O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)

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
        vadm_log_path_deny(error, path, "'%s' is a symbolic link or not a directory", part);
    else
        vadm_error_set_errno(error, saved, "failed to open %s", path);
    return -1;
}

/* The directory that holds the last component of @path, and that component. The configured
 * directory itself is trusted and may be reached through links (/var/run). */
static int
vadm_log_file_walk(const char *path, const char *const *directories, char **name, GError **error)
{
    gssize base_length = vadm_log_path_base(path, directories);
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

/* Before the open: opening a device can have effects of its own (a tape rewinds). */
static gboolean
vadm_log_file_check_entry(int dirfd, const char *name, const char *path, GError **error)
{
    struct stat st;

    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return vadm_log_path_check_stat(path, &st, error);
    if (errno == ENOENT)
        return TRUE;
    vadm_error_set_errno(error, errno, "failed to open %s", path);
    return FALSE;
}

/* What is open already is what lies there now. */
static gboolean
vadm_log_file_check_same(int dirfd, const char *name, const char *path, const VadmLogFileId *id,
                         GError **error)
{
    struct stat st;

    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        vadm_error_set_errno(error, errno, "failed to open %s", path);
        return FALSE;
    }
    if (!vadm_log_path_check_stat(path, &st, error))
        return FALSE;
    if (st.st_dev == id->dev && st.st_ino == id->ino)
        return TRUE;
    return vadm_log_path_deny(error, path, "another file is open under this path");
}

static char *
vadm_log_file_path_of(int fd)
{
    g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", fd);

    return g_file_read_link(link, NULL);
}

/* The entry by which @fd was opened is still there. Another look at the name could not tell, since
 * links to one file can come and go; but an entry that was removed stays removed for who has opened
 * it (" (deleted)"), and one that was renamed has another name. */
static gboolean
vadm_log_file_check_entered(int fd, int dirfd, const char *name, const char *path, GError **error)
{
    g_autofree char *directory = vadm_log_file_path_of(dirfd);
    g_autofree char *opened = vadm_log_file_path_of(fd);
    g_autofree char *expected = NULL;

    if (!directory || !opened) {
        vadm_error_set_errno(error, ENOENT, "failed to open %s: /proc/self/fd", path);
        return FALSE;
    }
    expected = g_strconcat(directory, g_str_has_suffix(directory, "/") ? "" : "/", name, NULL);
    if (strcmp(opened, expected) == 0)
        return TRUE;
    return vadm_log_path_deny(error, path, "it was moved or removed while it was opened");
}

/* After the open: what was opened may not be what was looked at. The count of links by itself says
 * little: of a file elsewhere it is one again when a second link to it, which was opened here, is
 * gone. But if it was one and the entry is there later still, that entry is the one link. Renaming
 * it to itself changes nothing and waits for removals under way, which lower the count first and
 * take the entry away a moment later. */
static gboolean
vadm_log_file_check_open(int fd, int dirfd, const char *name, const char *path, GError **error)
{
    struct stat st;

    if (fstat(fd, &st) < 0) {
        vadm_error_set_errno(error, errno, "failed to open %s", path);
        return FALSE;
    }
    if (!vadm_log_path_check_stat(path, &st, error))
        return FALSE;
    (void)renameat(dirfd, name, dirfd, name);
    return vadm_log_file_check_entered(fd, dirfd, name, path, error);
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
 * last form is for a dangling link, which O_EXCL refuses and a plain open follows. Where links are
 * not followed nothing is created without knowing it. */
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
    return vadm_log_file_openat(dirfd, name, flags & O_NOFOLLOW ? flags : flags | O_CREAT);
}

/* @dirfd stays the caller's. NULL when the file cannot be looked at: it stays then. */
static VadmLogCreated *
vadm_log_created_new(int fd, int dirfd, const char *name)
{
    VadmLogCreated *created;
    struct stat st;
    int own = fstat(fd, &st) == 0 ? fcntl(dirfd, F_DUPFD_CLOEXEC, 0) : -1;

    if (own < 0)
        return NULL;
    created = g_new0(VadmLogCreated, 1);
    created->dirfd = own;
    created->name = g_strdup(name);
    created->id = (VadmLogFileId){st.st_dev, st.st_ino};
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
        int dirfd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);

        *created = vadm_log_created_new(fd, dirfd, name);
        if (dirfd >= 0)
            close(dirfd);
    }
    return fd;
}

/* @dirfd stays the caller's. */
static int
vadm_log_file_open_entry(int dirfd, const char *name, const char *path, VadmLogCreated **created,
                         GError **error)
{
    gboolean is_new;
    int fd;

    if (!vadm_log_file_check_entry(dirfd, name, path, error))
        return -1;
    fd = vadm_log_file_open_at(dirfd, name, O_NOFOLLOW, &is_new);
    if (fd < 0 && errno == ELOOP) {
        vadm_log_path_deny(error, path, "it must not be a symbolic link");
        return -1;
    }
    if (fd < 0) {
        vadm_error_set_errno(error, errno, "failed to open %s", path);
        return -1;
    }
    *created = is_new ? vadm_log_created_new(fd, dirfd, name) : NULL;
    if (vadm_log_file_check_open(fd, dirfd, name, path, error))
        return fd;
    if (*created)
        vadm_log_created_remove(*created);
    g_clear_pointer(created, vadm_log_created_free);
    close(fd);
    return -1;
}

static int
vadm_log_file_open_guarded(const char *path, const char *const *directories,
                           VadmLogCreated **created, GError **error)
{
    g_autofree char *name = NULL;
    VadmLogCreated *made = NULL;
    int dirfd, fd;

    if (!vadm_log_path_check(path, directories, error))
        return -1;
    dirfd = vadm_log_file_walk(path, directories, &name, error);
    if (dirfd < 0)
        return -1;
    fd = vadm_log_file_open_entry(dirfd, name, path, &made, error);
    close(dirfd);
    if (created)
        *created = made;
    else
        vadm_log_created_free(made);
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
vadm_log_file_check(const char *path, const char *const *directories, const VadmLogFileId *id,
                    GError **error)
{
    g_autofree char *name = NULL;
    gboolean allowed;
    int dirfd;

    if (!directories)
        return TRUE;
    if (!vadm_log_path_check(path, directories, error))
        return FALSE;
    dirfd = vadm_log_file_walk(path, directories, &name, error);
    if (dirfd < 0)
        return FALSE;
    allowed = id ? vadm_log_file_check_same(dirfd, name, path, id, error)
                 : vadm_log_file_check_entry(dirfd, name, path, error);
    close(dirfd);
    return allowed;
}

static gboolean
vadm_log_created_is(const VadmLogCreated *created, const char *name)
{
    struct stat st;

    return fstatat(created->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           st.st_dev == created->id.dev && st.st_ino == created->id.ino && st.st_size == 0;
}

/* A file that was put there since the look would go with a plain unlink. So what is there is taken
 * aside first, looked at again where nobody else expects it, and put back if it is not ours; if
 * the place has been taken again by then, both stay. */
void
vadm_log_created_remove(const VadmLogCreated *created)
{
    g_autofree char *aside = g_strdup_printf(".virtadm-%08x%08x", g_random_int(), g_random_int());
    int dirfd = created->dirfd;

    if (!vadm_log_created_is(created, created->name))
        return;
    if (renameat2(dirfd, created->name, dirfd, aside, RENAME_NOREPLACE) < 0) {
        if (errno == EINVAL || errno == ENOSYS) /* not on every file system */
            unlinkat(dirfd, created->name, 0);
        return;
    }
    if (vadm_log_created_is(created, aside))
        unlinkat(dirfd, aside, 0);
    else
        (void)renameat2(dirfd, aside, dirfd, created->name, RENAME_NOREPLACE);
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
