/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What lies at a place of the path of a guarded log file. */
#include "tests/unit/guard-fixture.h"

/* inside/one/two/three/log with a link in the place of each of them, to each kind of target. */
START_TEST(test_link_in_each_component)
{
    static const char *const places[] = {"one", "one/two", "one/two/three"};
    g_autofree char *path = in("one/two/three/log");
    g_autofree char *deep = in("one/two/three");
    g_autofree char *twin = in("twin");
    g_autofree char *twin_deep = in("twin/two/three");
    g_autofree char *outside_deep = g_build_filename(outside, "two/three", NULL);
    g_autofree char *away = in("away");
    const char *const targets[] = {
        outside, twin,  "/nonexistent/directory", "away", "../inside/away", "../../outside",
        ".",     "loop"};

    ck_assert_int_eq(g_mkdir_with_parents(deep, 0700), 0);
    ck_assert_int_eq(g_mkdir_with_parents(twin_deep, 0700), 0);
    ck_assert_int_eq(g_mkdir_with_parents(outside_deep, 0700), 0);
    for (guint i = 0; i < G_N_ELEMENTS(places); i++) {
        g_autofree char *place = in(places[i]);
        g_autofree char *rule =
            g_strdup_printf("'%s' is a symbolic link or not a directory", strrchr(place, '/') + 1);

        ck_assert_int_eq(g_rename(place, away), 0);
        for (guint j = 0; j < G_N_ELEMENTS(targets); j++) {
            ck_assert_int_eq(symlink(targets[j], place), 0);
            refuse(path, rule);
            ck_assert_int_eq(g_unlink(place), 0);
        }
        write_file(place, "");
        refuse(path, rule);
        ck_assert_int_eq(g_unlink(place), 0);
        refuse_below(inside, path, VADM_ERROR_SYSTEM, g_strerror(ENOENT));
        ck_assert_int_eq(g_rename(away, place), 0);
    }
    ck_assert_uint_eq(entries_of(deep), 0);
    ck_assert_uint_eq(entries_of(twin_deep), 0);
    ck_assert_uint_eq(entries_of(outside_deep), 0);
    allow_below(inside, path);
    ck_assert_uint_eq(entries_of(deep), 1);
}
END_TEST

START_TEST(test_link_as_file)
{
    g_autofree char *path = in("log");
    g_autofree char *other = in("other");
    g_autofree char *victim = g_build_filename(outside, "victim", NULL);
    g_autofree char *nowhere = g_build_filename(outside, "nowhere", NULL);
    const char *const targets[] = {
        victim,           nowhere, other, "other", "log", "/dev/null", outside, "../outside/victim",
        "../inside/other"};

    write_file(victim, "");
    write_file(other, "");
    for (guint i = 0; i < G_N_ELEMENTS(targets); i++) {
        ck_assert_int_eq(symlink(targets[i], path), 0);
        refuse(path, "it must not be a symbolic link");
        ck_assert_int_eq(g_unlink(path), 0);
    }
    ck_assert_uint_eq(entries_of(outside), 1);
}
END_TEST

START_TEST(test_hard_link)
{
    g_autofree char *path = in("log");
    g_autofree char *second = in("second");
    g_autofree char *victim = g_build_filename(outside, "victim", NULL);

    write_file(victim, "");
    ck_assert_int_eq(link(victim, path), 0);
    refuse(path, "it must have one hard link, it has 2");
    ck_assert_int_eq(link(victim, second), 0);
    refuse(path, "it must have one hard link, it has 3");
    ck_assert_int_eq(g_unlink(path), 0);
    allow_below(inside, path);
}
END_TEST

START_TEST(test_other_kinds)
{
    static const char rule[] = "it must be a regular file";
    g_autofree char *path = in("log");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    ck_assert_int_eq(mkfifo(path, 0600), 0);
    refuse(path, rule);
    fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    refuse(path, rule);
    close(fd);
    ck_assert_int_eq(g_unlink(path), 0);

    ck_assert_int_eq(g_mkdir(path, 0700), 0);
    refuse(path, rule);
    ck_assert_int_eq(g_rmdir(path), 0);

    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_uint_lt(strlen(path), sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path));
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    refuse(path, rule);
    close(fd);
    ck_assert_int_eq(g_unlink(path), 0);

    /* root, and not in every container */
    if (mknod(path, S_IFCHR | 0600, makedev(1, 3)) == 0) {
        refuse(path, rule);
        ck_assert_int_eq(g_unlink(path), 0);
    }
    if (mknod(path, S_IFBLK | 0600, makedev(7, 255)) == 0)
        refuse(path, rule);
}
END_TEST

START_TEST(test_names)
{
    g_autofree char *longest = g_strnfill(255, 'n');
    g_autofree char *too_long = g_strnfill(256, 'n');
    g_autofree char *good = in(longest);
    g_autofree char *bad = in(too_long);
    g_autofree char *below = g_build_filename(bad, "log", NULL);
    static const struct {
        const char *tail, *component;
    } tails[] = {
        {"/..", ".."},
        {"/../log", ".."},
        {"/../inside/log", ".."},
        {"/one/../log", ".."},
        {"/one/../../outside", ".."},
        {"/.", "."},
        {"/./log", "."},
        {"/one/.", "."},
        {"/", ""},
        {"//log", ""},
        {"/one//log", ""},
        {"/log/", ""},
    };

    for (guint i = 0; i < G_N_ELEMENTS(tails); i++) {
        g_autofree char *path = g_strconcat(inside, tails[i].tail, NULL);
        g_autofree char *rule =
            g_strdup_printf("must not have the component '%s'", tails[i].component);
        refuse(path, rule);
    }
    refuse("", "the path must be absolute");
    refuse("log", "the path must be absolute");
    refuse("/", "must not have the component ''");
    refuse_below(inside, bad, VADM_ERROR_SYSTEM, g_strerror(ENAMETOOLONG));
    refuse_below(inside, below, VADM_ERROR_SYSTEM, g_strerror(ENAMETOOLONG));
    ck_assert_uint_eq(entries_of(inside), 0);
    allow_below(inside, good);
    /* names that only look like something else */
    for (guint i = 0; i < 5; i++) {
        static const char *const names[] = {"...", "..log", ".log", "-", "\\"};
        g_autofree char *path = in(names[i]);
        allow_below(inside, path);
    }
}
END_TEST

/* Octets that are no text are refused before anything is opened. */
START_TEST(test_no_utf8)
{
    const char *const directories[] = {inside, NULL};
    VadmLogGuard guard = {directories};
    g_autofree char *outputs = g_strdup_printf("1:file:%s/first 1:file:%s/\xc3(", inside, inside);
    g_autoptr(GError) error = NULL;

    ck_assert_ptr_null(vadm_log_set_new(fx_log, 1, NULL, outputs, NULL, &guard, &error));
    ck_assert(g_error_matches(error, VADM_ERROR, VADM_ERROR_INVALID_VALUE));
    ck_assert_msg(strstr(error->message, "must be UTF-8") != NULL, "%s", error->message);
    ck_assert_uint_eq(entries_of(inside), 0);
}
END_TEST

START_TEST(test_base)
{
    g_autofree char *evil = g_strconcat(inside, "-evil", NULL);
    g_autofree char *evil_log = g_build_filename(evil, "log", NULL);
    g_autofree char *slashes = g_strconcat(inside, "//", NULL);
    g_autofree char *path = in("log");
    g_autofree char *link = fx_path("link");
    g_autofree char *by_link = fx_path("link/log");
    g_autofree char *missing = fx_path("missing");
    g_autofree char *in_missing = fx_path("missing/log");
    const char *shorter = path + strlen(fx_dir) + 1;

    ck_assert_int_eq(g_mkdir(evil, 0700), 0);
    refuse(evil_log, "the path must be below one of the directories");
    refuse(inside, "the path must be below one of the directories");
    refuse("/etc/passwd", "the path must be below one of the directories");
    allow_below(slashes, path);
    allow_below("/", path);
    refuse_below("/", "/", VADM_ERROR_DENIED, "must not have the component ''");

    refuse_below(missing, in_missing, VADM_ERROR_SYSTEM, g_strerror(ENOENT));
    write_file(missing, "");
    refuse_below(missing, in_missing, VADM_ERROR_SYSTEM, g_strerror(ENOTDIR));
    /* whoever configured a link to a directory meant it */
    ck_assert_int_eq(symlink(inside, link), 0);
    allow_below(link, by_link);
    ck_assert_int_eq(g_unlink(link), 0);
    ck_assert_int_eq(symlink("/nonexistent/directory", link), 0);
    refuse_below(link, by_link, VADM_ERROR_SYSTEM, g_strerror(ENOENT));

    /* relative to what? */
    ck_assert_int_eq(chdir(fx_dir), 0);
    refuse_below("inside", shorter, VADM_ERROR_DENIED, "the path must be absolute");
    refuse_below("inside", path, VADM_ERROR_DENIED, "the path must be below one of");
    refuse_below("", path, VADM_ERROR_DENIED, "the path must be below one of");
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_uint_eq(entries_of(evil), 0);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {test_link_in_each_component,
                                  test_link_as_file,
                                  test_hard_link,
                                  test_other_kinds,
                                  test_names,
                                  test_no_utf8,
                                  test_base,
                                  NULL};
    Suite *suite = suite_create("log-guard");

    guard_add_tests(suite, "still", 0, tests);
    return vadm_unit_main(suite);
}
