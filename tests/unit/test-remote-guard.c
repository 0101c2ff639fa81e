/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard of log files that a daemon opens. Below a directory of the test's own, in a place where
 * nobody else can write; /tmp is none.
 */
#include "agent/remote-private.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

#define SOMEBODY 12345

static char *top; /* NULL: there is no such place here */

static gboolean
guard(const char *directory, const char *outputs, GError **error)
{
    const char *const directories[] = {"/nonexistent", directory, NULL};

    return vadm_remote_guard_outputs(outputs, directories, error);
}

static void
make_top(const char *place)
{
    g_autofree char *probe = g_build_filename(place, "probe", NULL);
    g_autofree char *outputs = g_strdup_printf("1:file:%s", probe);

    if (top || !guard(place, outputs, NULL))
        return;
    top = g_build_filename(place, "virtadm-guard-XXXXXX", NULL);
    if (!g_mkdtemp(top))
        g_clear_pointer(&top, g_free);
}

static void
setup(void)
{
    if (geteuid() == 0)
        make_top("/run");
    make_top(g_get_user_runtime_dir());
    make_top(g_get_home_dir());
    umask(022);
}

static void
remove_all(const char *path)
{
    GDir *dir = g_file_test(path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open(path, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *inner = g_build_filename(path, name, NULL);
        remove_all(inner);
    }
    g_clear_pointer(&dir, g_dir_close);
    g_remove(path);
}

static void
teardown(void)
{
    if (top)
        remove_all(top);
    g_clear_pointer(&top, g_free);
}

static char *
in(const char *name)
{
    return g_build_filename(top, name, NULL);
}

static void
allow(const char *path)
{
    g_autofree char *outputs = g_strdup_printf("3:journald 1:file:%s", path);
    g_autoptr(GError) error = NULL;

    ck_assert_msg(guard(top, outputs, &error), "%s", error ? error->message : "no error");
}

static void
refuse_code(const char *path, int code, const char *rule)
{
    g_autofree char *outputs = g_strdup_printf("3:stderr 1:file:%s 2:syslog:x", path);
    g_autoptr(GError) error = NULL;

    ck_assert_msg(!guard(top, outputs, &error), "allowed: '%s'", path);
    ck_assert_msg(g_error_matches(error, VADM_ERROR, code), "%s", error->message);
    ck_assert_msg(strstr(error->message, path) && strstr(error->message, rule), "%s",
                  error->message);
}

static void
refuse(const char *path, const char *rule)
{
    refuse_code(path, VADM_ERROR_DENIED, rule);
}

static void
write_file(const char *path)
{
    ck_assert(g_file_set_contents(path, "x", 1, NULL));
}

START_TEST(test_other_kinds)
{
    ck_assert(guard("/tmp", "", NULL));
    ck_assert(guard("/tmp", "1:stderr 2:journald 3:syslog:/etc/passwd", NULL));
    ck_assert(guard("/tmp", "1:syslog:file", NULL));
    ck_assert(!guard("/tmp", "1:stderr 2:file:/etc/passwd", NULL));
}
END_TEST

START_TEST(test_text)
{
    static const char *const bad[] = {"../log", "./log", "one/../log", "one//log",
                                      "one/",   "one/.", "one/..",     "/log"};
    const char *const none[] = {NULL};
    g_autoptr(GError) error = NULL;
    g_autofree char *good = NULL;
    g_autofree char *twin = NULL;
    g_autofree char *one = NULL;

    refuse("log", "must be absolute");
    refuse("", "must be absolute");
    refuse("/", "component ''");
    refuse("/etc/passwd", "below one of the directories: /nonexistent");
    ck_assert(!vadm_remote_guard_outputs("1:file:/a", none, &error));
    ck_assert_msg(strstr(error->message, "none is configured"), "%s", error->message);
    ck_assert(!vadm_remote_guard_outputs("1:file:/a", NULL, NULL));
    if (!top)
        return;
    good = in("log");
    one = in("one");
    ck_assert_int_eq(g_mkdir(one, 0755), 0);
    allow(good);
    refuse(top, "below one of the directories");
    twin = g_strconcat(top, "-twin/log", NULL);
    refuse(twin, "below one of the directories");
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *path = g_strconcat(top, "/", bad[i], NULL);
        refuse(path, "must not have the component");
    }
}
END_TEST

START_TEST(test_slashes_of_directory)
{
    g_autofree char *path = NULL;
    g_autofree char *outputs = NULL;
    g_autofree char *slashes = NULL;

    if (!top)
        return;
    path = in("log");
    outputs = g_strdup_printf("1:file:%s", path);
    slashes = g_strconcat(top, "//", NULL);
    ck_assert(guard(slashes, outputs, NULL));
    ck_assert(guard("/", outputs, NULL));
    ck_assert(!guard("", outputs, NULL));
    ck_assert(!guard(top + 1, outputs, NULL));
}
END_TEST

/* Somebody else may put something else there before the daemon opens it. */
START_TEST(test_writable_directories)
{
    static const guint modes[] = {0775, 0757, 0777, 01777, 01775, 0722, 0720};
    static const char *const places[] = {"", "one", "one/two"};
    g_autofree char *deep = NULL;
    g_autofree char *path = NULL;

    if (!top)
        return;
    deep = in("one/two");
    path = in("one/two/log");
    ck_assert_int_eq(g_mkdir_with_parents(deep, 0755), 0);
    for (guint i = 0; i < G_N_ELEMENTS(places); i++) {
        g_autofree char *place = *places[i] ? in(places[i]) : g_strdup(top);
        g_autofree char *name = g_strdup_printf("the directory '%s' must not be writable", place);

        for (guint j = 0; j < G_N_ELEMENTS(modes); j++) {
            ck_assert_int_eq(chmod(place, modes[j]), 0);
            refuse(path, name);
        }
        ck_assert_int_eq(g_chmod(place, 0755), 0);
    }
    allow(path);
    ck_assert_int_eq(g_chmod(deep, 01700), 0);
    allow(path);
}
END_TEST

START_TEST(test_tmp_is_refused)
{
    g_autoptr(GError) error = NULL;

    ck_assert(!guard("/tmp", "1:file:/tmp/log", &error));
    ck_assert_msg(strstr(error->message, "'/tmp' must not be writable"), "%s", error->message);
}
END_TEST

START_TEST(test_missing_directory)
{
    g_autofree char *path = NULL;

    if (!top)
        return;
    path = in("none/log");
    refuse_code(path, VADM_ERROR_SYSTEM, g_strerror(ENOENT));
}
END_TEST

START_TEST(test_links)
{
    static const char *const places[] = {"one", "one/two"};
    g_autofree char *deep = NULL;
    g_autofree char *path = NULL;
    g_autofree char *away = NULL;

    if (!top)
        return;
    deep = in("one/two");
    path = in("one/two/log");
    away = in("away");
    ck_assert_int_eq(g_mkdir_with_parents(deep, 0755), 0);
    for (guint i = 0; i < G_N_ELEMENTS(places); i++) {
        g_autofree char *place = in(places[i]);
        const char *const targets[] = {away, "/etc", "/nonexistent", "."};

        ck_assert_int_eq(g_rename(place, away), 0);
        for (guint j = 0; j < G_N_ELEMENTS(targets); j++) {
            ck_assert_int_eq(symlink(targets[j], place), 0);
            refuse(path, "is a symbolic link or not a directory");
            ck_assert_int_eq(g_unlink(place), 0);
        }
        write_file(place);
        refuse(path, "is a symbolic link or not a directory");
        ck_assert_int_eq(g_unlink(place), 0);
        ck_assert_int_eq(g_rename(away, place), 0);
    }
    allow(path);
}
END_TEST

/* The configured directory is walked like the rest: a link above it could be turned, too. */
START_TEST(test_link_above_directory)
{
    g_autofree char *real = NULL;
    g_autofree char *alias = NULL;
    g_autofree char *outputs = NULL;
    g_autoptr(GError) error = NULL;

    if (!top)
        return;
    real = in("real");
    alias = in("alias");
    outputs = g_strdup_printf("1:file:%s/log", alias);
    ck_assert_int_eq(g_mkdir(real, 0755), 0);
    ck_assert_int_eq(symlink(real, alias), 0);
    ck_assert(!guard(alias, outputs, &error));
    ck_assert_msg(strstr(error->message, "symbolic link"), "%s", error->message);
}
END_TEST

START_TEST(test_what_lies_there)
{
    g_autofree char *path = NULL;
    g_autofree char *other = NULL;

    if (!top)
        return;
    path = in("log");
    other = in("other");
    write_file(path);
    allow(path);
    ck_assert_int_eq(link(path, other), 0);
    refuse(path, "one hard link, it has 2");
    ck_assert_int_eq(g_unlink(path), 0);
    ck_assert_int_eq(symlink(other, path), 0);
    refuse(path, "must not be a symbolic link");
    ck_assert_int_eq(g_unlink(path), 0);
    ck_assert_int_eq(symlink("/nonexistent/file", path), 0);
    refuse(path, "must not be a symbolic link");
    ck_assert_int_eq(g_unlink(path), 0);
    ck_assert_int_eq(g_mkdir(path, 0755), 0);
    refuse(path, "must be a regular file");
    ck_assert_int_eq(g_rmdir(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    refuse(path, "must be a regular file");
    ck_assert_int_eq(g_unlink(path), 0);
    allow(path);
    ck_assert_msg(!g_file_test(path, G_FILE_TEST_EXISTS), "the guard has made it");
}
END_TEST

START_TEST(test_owner)
{
    g_autofree char *path = NULL;
    g_autofree char *one = NULL;

    if (!top || geteuid() != 0)
        return;
    one = in("one");
    path = in("one/log");
    ck_assert_int_eq(g_mkdir(one, 0755), 0);
    write_file(path);
    ck_assert_int_eq(chown(path, SOMEBODY, 0), 0);
    refuse(path, "it must be owned by root, not by user 12345");
    ck_assert_int_eq(chown(path, 0, SOMEBODY), 0);
    allow(path);
    ck_assert_int_eq(chown(one, SOMEBODY, 0), 0);
    refuse(path, "one' must be owned by root, not by user 12345");
}
END_TEST

/* An agent beside a session daemon: both are the same user, who needs no SET to open his files. */
START_TEST(test_owner_of_session)
{
    g_autofree char *path = NULL;
    g_autofree char *one = NULL;

    if (!top || geteuid() != 0)
        return;
    one = in("one");
    path = in("one/log");
    ck_assert_int_eq(g_chmod(top, 0755), 0);
    ck_assert_int_eq(g_mkdir(one, 0755), 0);
    ck_assert_int_eq(chown(one, SOMEBODY, 0), 0);
    write_file(path);
    ck_assert_int_eq(seteuid(SOMEBODY), 0);
    allow(path);
    ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(seteuid(SOMEBODY + 1), 0);
    refuse(path, "one' must be owned by root or by user 12346, not by user 12345");
    ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

START_TEST(test_every_output_is_looked_at)
{
    g_autofree char *outputs = NULL;
    g_autoptr(GError) error = NULL;

    if (!top)
        return;
    outputs = g_strdup_printf("1:file:%s/a 2:stderr  3:file:%s/b 4:file:/etc/shadow", top, top);
    ck_assert(!guard(top, outputs, &error));
    ck_assert(strstr(error->message, "/etc/shadow"));
}
END_TEST

START_TEST(test_descriptors)
{
    g_autofree char *path = NULL;
    g_autofree char *deep = NULL;
    int before, after;

    if (!top)
        return;
    deep = in("one/two");
    path = in("one/two/log");
    ck_assert_int_eq(g_mkdir_with_parents(deep, 0755), 0);
    before = dup(0);
    close(before);
    allow(path);
    refuse_code("/nonexistent/x", VADM_ERROR_SYSTEM, g_strerror(ENOENT));
    ck_assert_int_eq(g_chmod(deep, 0777), 0);
    refuse(path, "writable");
    after = dup(0);
    close(after);
    ck_assert_int_eq(before, after);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {test_other_kinds,
                                  test_text,
                                  test_slashes_of_directory,
                                  test_writable_directories,
                                  test_tmp_is_refused,
                                  test_missing_directory,
                                  test_links,
                                  test_link_above_directory,
                                  test_what_lies_there,
                                  test_owner,
                                  test_owner_of_session,
                                  test_every_output_is_looked_at,
                                  test_descriptors};
    Suite *suite = suite_create("remote-guard");
    TCase *tc = tcase_create("guard");

    tcase_add_checked_fixture(tc, setup, teardown);
    for (guint i = 0; i < G_N_ELEMENTS(tests); i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
