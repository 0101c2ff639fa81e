/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard of log files against somebody who may write in the configured directory and wants the
 * daemon to open, create or remove a file that is not his.
 */
#ifndef VADM_TESTS_GUARD_FIXTURE_H
#define VADM_TESTS_GUARD_FIXTURE_H

#include "log-fixture.h"

#include "common/log-private.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

/* Below fx_dir: what is guarded, and what nobody may get at by it. */
static char *inside, *outside;

static inline void
guard_setup(void)
{
    fx_setup();
    inside = fx_path("inside");
    outside = fx_path("outside");
    ck_assert_int_eq(g_mkdir(inside, 0700), 0);
    ck_assert_int_eq(g_mkdir(outside, 0700), 0);
}

static inline void
guard_teardown(void)
{
    g_clear_pointer(&inside, g_free);
    g_clear_pointer(&outside, g_free);
    fx_teardown();
}

static inline char *
in(const char *name)
{
    return g_build_filename(inside, name, NULL);
}

static inline guint
entries_of(const char *path)
{
    GDir *dir = g_dir_open(path, 0, NULL);
    guint count = 0;

    while (dir && g_dir_read_name(dir))
        count++;
    g_clear_pointer(&dir, g_dir_close);
    return count;
}

static inline int
open_guarded(const char *path, VadmLogCreated **created, GError **error)
{
    const char *const directories[] = {inside, NULL};

    return vadm_log_file_open(path, directories, created, error);
}

/* @rule: NULL: any. Neither opening nor the look beforehand allows it. */
static inline void
refuse_below(const char *directory, const char *path, int code, const char *rule)
{
    const char *const directories[] = {directory, NULL};
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) again = NULL;
    VadmLogCreated *created = NULL;

    ck_assert_msg(vadm_log_file_open(path, directories, &created, &error) < 0, "allowed: %s", path);
    ck_assert_ptr_null(created);
    ck_assert_msg(g_error_matches(error, VADM_ERROR, code), "%s", error->message);
    ck_assert_msg(!rule || strstr(error->message, rule), "%s", error->message);
    ck_assert_msg(strstr(error->message, path) != NULL, "%s", error->message);
    ck_assert(!vadm_log_file_check(path, directories, NULL, &again));
    ck_assert_str_eq(again->message, error->message);
}

static inline void
refuse(const char *path, const char *rule)
{
    refuse_below(inside, path, VADM_ERROR_DENIED, rule);
}

static inline void
allow_below(const char *directory, const char *path)
{
    const char *const directories[] = {directory, NULL};
    g_autoptr(GError) error = NULL;
    int fd = vadm_log_file_open(path, directories, NULL, &error);

    ck_assert_msg(fd >= 0, "%s", error ? error->message : "no error");
    close(fd);
}

static inline void
write_file(const char *path, const char *text)
{
    ck_assert(g_file_set_contents(path, text, -1, NULL));
}

static inline VadmLogSet *
guarded_set(const char *outputs, GError **error)
{
    const char *const directories[] = {inside, NULL};
    VadmLogGuard guard = {directories};

    return vadm_log_set_new(fx_log, 1, NULL, outputs, "1:stderr", &guard, error);
}

/* @second: (nullable) */
static inline VadmLogSet *
guarded_files(const char *first, const char *second)
{
    g_autofree char *outputs = second ? g_strdup_printf("1:file:%s 1:file:%s", first, second)
                                      : g_strdup_printf("1:file:%s", first);
    g_autoptr(GError) error = NULL;
    VadmLogSet *set = guarded_set(outputs, &error);

    ck_assert_msg(set != NULL, "%s", error ? error->message : "no error");
    return set;
}

/* In seconds; 0: Check's own. */
static inline void
guard_add_tests(Suite *suite, const char *name, int timeout, const TTest *const *tests)
{
    TCase *tc = tcase_create(name);

    tcase_add_checked_fixture(tc, guard_setup, guard_teardown);
    if (timeout)
        tcase_set_timeout(tc, timeout);
    for (; *tests; tests++)
        tcase_add_test(tc, *tests);
    suite_add_tcase(suite, tc);
}

#endif
