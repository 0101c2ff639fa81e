/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/log-path.h"

#include <stdint.h>
#include <string.h>

#include "common/error.h"

gboolean
vadm_log_path_deny(GError **error, const char *path, const char *format, ...)
{
    g_autofree char *rule = NULL;
    va_list args;

    va_start(args, format);
    rule = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, VADM_ERROR, VADM_ERROR_DENIED, "log file '%s' is not allowed: %s", path,
                rule);
    return FALSE;
}

/* Length of @directory without trailing slashes if @path is below it, else -1. */
static gssize
log_path_below(const char *path, const char *directory)
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

gssize
vadm_log_path_base(const char *path, const char *const *directories)
{
    gssize best = -1;

    for (; directories && *directories; directories++)
        best = MAX(best, log_path_below(path, *directories));
    return best;
}

gboolean
vadm_log_path_check(const char *path, const char *const *directories, GError **error)
{
    g_auto(GStrv) parts = NULL;
    g_autofree char *list = NULL;

    if (*path != '/')
        return vadm_log_path_deny(error, path, "the path must be absolute");
    parts = g_strsplit(path, "/", -1);
    for (char **part = parts + 1; *part; part++) {
        if (!**part || strcmp(*part, ".") == 0 || strcmp(*part, "..") == 0)
            return vadm_log_path_deny(error, path, "the path must not have the component '%s'",
                                      *part);
    }
    if (vadm_log_path_base(path, directories) >= 0)
        return TRUE;
    list = directories ? g_strjoinv(" ", (char **)directories) : NULL;
    return vadm_log_path_deny(error, path, "the path must be below one of the directories: %s",
                              list && *list ? list : "(none is configured)");
}

gboolean
vadm_log_path_check_stat(const char *path, const struct stat *st, GError **error)
{
    if (S_ISLNK(st->st_mode))
        return vadm_log_path_deny(error, path, "it must not be a symbolic link");
    if (!S_ISREG(st->st_mode))
        return vadm_log_path_deny(error, path, "it must be a regular file");
    if (st->st_nlink != 1)
        return vadm_log_path_deny(error, path, "it must have one hard link, it has %ju",
                                  (uintmax_t)st->st_nlink);
    return TRUE;
}
