/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Logging: files, the guard, rotation, what a discarded set leaves behind. */
#include "log-fixture.h"

#include <errno.h>
#include <fcntl.h>

#include <sys/stat.h>
#include <sys/sysmacros.h>

static GError *
try_guarded(const char *const *directories, const char *path)
{
    VadmLogGuard guard = {directories};
    g_autofree char *outputs = g_strdup_printf("1:file:%s", path);
    GError *error = NULL;
    VadmLogSet *set = vadm_log_set_new(fx_log, 1, NULL, outputs, NULL, &guard, &error);

    ck_assert_int_eq(set == NULL, error != NULL);
    if (set)
        vadm_log_install(fx_log, set);
    vadm_log_set_unref(set);
    return error;
}

static void
expect_denied(const char *const *directories, const char *path, const char *rule)
{
    g_autoptr(GError) error = try_guarded(directories, path);
    g_autofree char *message = g_strdup_printf("log file '%s' is not allowed: %s", path, rule);

    ck_assert_msg(error != NULL, "allowed: %s", path);
    ck_assert_str_eq(error->message, message);
    ck_assert(g_error_matches(error, VADM_ERROR, VADM_ERROR_DENIED));
}

static void
expect_errno(const char *const *directories, const char *path, int errnum)
{
    g_autoptr(GError) error = try_guarded(directories, path);
    g_autofree char *message = g_strdup_printf("failed to open %s: %s", path, g_strerror(errnum));

    ck_assert_msg(error != NULL, "allowed: %s", path);
    ck_assert_str_eq(error->message, message);
    ck_assert(g_error_matches(error, VADM_ERROR, VADM_ERROR_SYSTEM));
    ck_assert_int_eq(vadm_error_get_errno(error), errnum);
}

static void
expect_allowed(const char *const *directories, const char *path)
{
    g_autoptr(GError) error = try_guarded(directories, path);

    ck_assert_msg(error == NULL, "%s", error->message);
}

START_TEST(test_guard_text)
{
    const char *const dirs[] = {"relative", "", fx_dir, NULL};
    const char *const none[] = {NULL};
    g_autofree char *below = g_strdup_printf("the path must be below one of the directories: "
                                             "relative  %s",
                                             fx_dir);
    g_autofree char *sibling = g_strconcat(fx_dir, "x/a", NULL);
    g_autofree char *dots = g_strconcat(fx_dir, "/../a", NULL);
    g_autofree char *dot = g_strconcat(fx_dir, "/./a", NULL);
    g_autofree char *slash = g_strconcat(fx_dir, "/a/", NULL);
    g_autofree char *twice = g_strconcat(fx_dir, "//a", NULL);
    g_autofree char *good = fx_path("a");

    expect_denied(dirs, "a", "the path must be absolute");
    expect_denied(dirs, "relative/a", "the path must be absolute");
    expect_denied(dirs, "/etc/passwd", below);
    expect_denied(dirs, fx_dir, below);
    expect_denied(dirs, sibling, below);
    expect_denied(dirs, dots, "the path must not have the component '..'");
    expect_denied(dirs, dot, "the path must not have the component '.'");
    expect_denied(dirs, slash, "the path must not have the component ''");
    expect_denied(dirs, twice, "the path must not have the component ''");
    expect_denied(none, good,
                  "the path must be below one of the directories: (none is configured)");
    ck_assert_int_eq(g_access(good, F_OK), -1);
    expect_allowed(dirs, good);
    ck_assert_int_eq(g_access(good, F_OK), 0);
}
END_TEST

START_TEST(test_guard_walk)
{
    g_autofree char *allowed = fx_path("allowed");
    g_autofree char *deep = fx_path("allowed/deep");
    g_autofree char *in = fx_path("allowed/deep/in");
    g_autofree char *link = fx_path("allowed/link");
    g_autofree char *via = fx_path("allowed/link/a");
    g_autofree char *file = fx_path("allowed/file");
    g_autofree char *below_file = fx_path("allowed/file/a");
    g_autofree char *missing = fx_path("allowed/missing/a");
    g_autofree char *nested = fx_path("allowed/link/b");
    const char *const dirs[] = {allowed, NULL};
    const char *const slashed[] = {link, allowed, NULL};

    ck_assert_int_eq(g_mkdir_with_parents(deep, 0700), 0);
    ck_assert_int_eq(symlink(fx_dir, link), 0);
    ck_assert(g_file_set_contents(file, "", 0, NULL));
    expect_allowed(dirs, in);
    expect_denied(dirs, via, "'link' is a symbolic link or not a directory");
    expect_denied(dirs, below_file, "'file' is a symbolic link or not a directory");
    expect_errno(dirs, missing, ENOENT);
    /* a configured directory may itself be a link: the administrator chose it */
    expect_allowed(slashed, nested);
}
END_TEST

START_TEST(test_guard_entry)
{
    const char *const dirs[] = {fx_dir, NULL};
    g_autofree char *file = fx_path("file");
    g_autofree char *link = fx_path("link");
    g_autofree char *dangling = fx_path("dangling");
    g_autofree char *nowhere = fx_path("nowhere");
    g_autofree char *hard = fx_path("hard");
    g_autofree char *fifo = fx_path("fifo");
    g_autofree char *device = fx_path("device");

    ck_assert(g_file_set_contents(file, "", 0, NULL));
    expect_allowed(dirs, file);
    ck_assert_int_eq(symlink(file, link), 0);
    ck_assert_int_eq(symlink(nowhere, dangling), 0);
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    expect_denied(dirs, link, "it must not be a symbolic link");
    expect_denied(dirs, dangling, "it must not be a symbolic link");
    ck_assert_int_eq(g_access(nowhere, F_OK), -1);
    expect_denied(dirs, fifo, "it must be a regular file");
    ck_assert_int_eq(g_mkdir(hard, 0700), 0);
    expect_denied(dirs, hard, "it must be a regular file");
    ck_assert_int_eq(g_rmdir(hard), 0);
    if (mknod(device, S_IFCHR | 0600, makedev(1, 3)) == 0)
        expect_denied(dirs, device, "it must be a regular file");
    ck_assert_int_eq(linkat(AT_FDCWD, file, AT_FDCWD, hard, 0), 0);
    expect_denied(dirs, hard, "it must have one hard link, it has 2");
    /* also where the file is open already */
    expect_denied(dirs, file, "it must have one hard link, it has 2");
}
END_TEST

/* Naming what an unguarded set has open already needs the guard's leave too. */
START_TEST(test_guard_of_open_file)
{
    g_autofree char *outside = fx_path("outside");
    g_autofree char *inside = fx_path("inside");
    const char *const dirs[] = {inside, NULL};
    g_autofree char *rule =
        g_strdup_printf("the path must be below one of the directories: %s", inside);

    ck_assert_int_eq(g_mkdir(inside, 0700), 0);
    fx_use_file(1, NULL, "outside");
    expect_denied(dirs, outside, rule);
}
END_TEST

START_TEST(test_open_errors)
{
    g_autofree char *fifo = fx_path("fifo");
    g_autofree char *message = g_strdup_printf("failed to open %s: %s", fifo, g_strerror(ENXIO));
    g_autofree char *outputs = g_strdup_printf("1:file:%s", fifo);
    g_autofree char *directory = g_strdup_printf("1:file:%s", fx_dir);
    g_autofree char *is_dir = g_strdup_printf("failed to open %s: %s", fx_dir, g_strerror(EISDIR));

    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    fx_refuse(NULL, outputs, VADM_ERROR_SYSTEM, message);
    fx_refuse(NULL, directory, VADM_ERROR_SYSTEM, is_dir);
    fx_refuse(NULL, "1:file:/nonexistent/x", VADM_ERROR_SYSTEM,
              "failed to open /nonexistent/x: No such file or directory");
}
END_TEST

START_TEST(test_mode_and_append)
{
    g_autofree char *path = fx_path("a");
    g_autofree char *text = NULL;
    struct stat st;

    fx_use_file(1, NULL, "a");
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0600);
    fx_use(1, NULL, "1:stderr");
    ck_assert(g_file_set_contents(path, "before\n", -1, NULL));
    vadm_log_free(fx_log, SECONDS(10));
    fx_log = vadm_log_new("unit", "1");
    fx_use_file(1, NULL, "a");
    FX_SAY(VADM_LOG_WARN, "x", "after");
    text = fx_read("a");
    ck_assert(g_str_has_prefix(text, "before\n"));
    ck_assert_uint_eq(fx_count(text, "after"), 1);
}
END_TEST

START_TEST(test_discard)
{
    g_autofree char *fresh = fx_path("fresh");
    g_autofree char *old = fx_path("old");
    g_autofree char *outputs = g_strdup_printf("1:file:%s 1:file:%s", fresh, old);
    g_autofree char *broken = g_strdup_printf("1:file:%s 1:file:/nonexistent/x", fresh);
    VadmLogSet *set;

    ck_assert(g_file_set_contents(old, "", 0, NULL));
    fx_refuse(NULL, broken, VADM_ERROR_SYSTEM,
              "failed to open /nonexistent/x: No such file or directory");
    ck_assert_int_eq(g_access(fresh, F_OK), -1);
    set = fx_set(1, NULL, outputs);
    ck_assert_int_eq(g_access(fresh, F_OK), 0);
    vadm_log_set_discard(set);
    ck_assert_int_eq(g_access(fresh, F_OK), -1);
    ck_assert_int_eq(g_access(old, F_OK), 0);
}
END_TEST

/* Not when somebody has put another file there, or another set uses it. */
START_TEST(test_discard_keeps_others)
{
    g_autofree char *path = fx_path("a");
    g_autofree char *other = fx_path("b");
    g_autofree char *outputs = g_strdup_printf("1:file:%s", path);
    VadmLogSet *set = fx_set(1, NULL, outputs);

    ck_assert(g_file_set_contents(other, "", 0, NULL));
    ck_assert_int_eq(g_rename(other, path), 0);
    vadm_log_set_discard(set);
    ck_assert_int_eq(g_access(path, F_OK), 0);

    ck_assert_int_eq(g_unlink(path), 0);
    vadm_log_free(fx_log, SECONDS(10));
    fx_log = vadm_log_new("unit", "1");
    set = fx_set(1, NULL, outputs);
    fx_use(1, NULL, outputs);
    vadm_log_set_discard(set);
    ck_assert_int_eq(g_access(path, F_OK), 0);
}
END_TEST

/* Rotation: what was said before goes to the old file, what comes after to the new. */
START_TEST(test_reopen)
{
    g_autofree char *path = fx_path("a");
    g_autofree char *rotated = fx_path("a.1");
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;

    fx_use_file(1, NULL, "a");
    for (int i = 0; i < 500; i++)
        FX_SAY(VADM_LOG_WARN, "x", "before");
    ck_assert_int_eq(g_rename(path, rotated), 0);
    vadm_log_reopen(fx_log);
    for (int i = 0; i < 500; i++)
        FX_SAY(VADM_LOG_WARN, "x", "after");
    before = fx_read("a.1");
    after = fx_read("a");
    ck_assert_uint_eq(fx_count(before, "before\n"), 500);
    ck_assert_uint_eq(fx_count(before, "after\n"), 0);
    ck_assert_uint_eq(fx_count(after, "after\n"), 500);
}
END_TEST

START_TEST(test_reopen_fails)
{
    g_autofree char *path = fx_path("a");
    g_autofree char *rotated = fx_path("a.1");
    g_autofree char *text = NULL;

    fx_use_file(1, NULL, "a");
    FX_SAY(VADM_LOG_WARN, "x", "before");
    ck_assert(vadm_log_flush(fx_log, SECONDS(10)));
    ck_assert_int_eq(g_rename(path, rotated), 0);
    ck_assert_int_eq(g_mkdir(path, 0700), 0);
    vadm_log_reopen(fx_log);
    ck_assert(vadm_log_flush(fx_log, SECONDS(10)));
    FX_SAY(VADM_LOG_WARN, "x", "after");
    text = fx_read("a.1");
    ck_assert_uint_eq(fx_count(text, "after\n"), 1);
    ck_assert_uint_eq(fx_count(text, "Is a directory: going on with the file that is open"), 1);
}
END_TEST

/* A link planted where a guarded log was must not be followed at the rotation. */
START_TEST(test_reopen_guarded)
{
    const char *const dirs[] = {fx_dir, NULL};
    g_autofree char *path = fx_path("a");
    g_autofree char *rotated = fx_path("a.1");
    g_autofree char *victim = fx_path("victim");
    g_autofree char *text = NULL;
    g_autofree char *untouched = NULL;

    ck_assert(g_file_set_contents(victim, "", 0, NULL));
    expect_allowed(dirs, path);
    ck_assert_int_eq(g_rename(path, rotated), 0);
    ck_assert_int_eq(symlink(victim, path), 0);
    vadm_log_reopen(fx_log);
    FX_SAY(VADM_LOG_WARN, "x", "secret");
    text = fx_read("a.1");
    untouched = fx_read("victim");
    ck_assert_uint_eq(fx_count(text, "secret"), 1);
    ck_assert_str_eq(untouched, "");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("log-file");
    TCase *tc = tcase_create("log-file");

    tcase_add_checked_fixture(tc, fx_setup, fx_teardown);
    tcase_add_test(tc, test_guard_text);
    tcase_add_test(tc, test_guard_walk);
    tcase_add_test(tc, test_guard_entry);
    tcase_add_test(tc, test_guard_of_open_file);
    tcase_add_test(tc, test_open_errors);
    tcase_add_test(tc, test_mode_and_append);
    tcase_add_test(tc, test_discard);
    tcase_add_test(tc, test_discard_keeps_others);
    tcase_add_test(tc, test_reopen);
    tcase_add_test(tc, test_reopen_fails);
    tcase_add_test(tc, test_reopen_guarded);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
