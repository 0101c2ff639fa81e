/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The phases of a save. What a dead process leaves is the crash test's business
 * (tests/live/test_state.py). write(), linkat() and fsync() of the code under test are those below
 * (daemon.mk renames them).
 */
#include "unit.h"

#undef write
#undef linkat
#undef fsync

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config-private.h"
#include "daemon/state-file.h"

static char *top, *dir, *path;
static gboolean short_writes, no_links;
static guint interrupts;
static guint fsyncs, failing_fsync; /* 1: the first */

ssize_t test_write(int fd, const void *data, size_t length);
int test_linkat(int olddir, const char *old, int newdir, const char *new, int flags);
int test_fsync(int fd);

/* At most seven octets at once, and a signal before each. */
ssize_t
test_write(int fd, const void *data, size_t length)
{
    if (short_writes && interrupts++ % 2 == 0) {
        errno = EINTR;
        return -1;
    }
    return write(fd, data, short_writes ? MIN(length, 7) : length);
}

int
test_linkat(int olddir, const char *old, int newdir, const char *new, int flags)
{
    if (no_links) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return linkat(olddir, old, newdir, new, flags);
}

int
test_fsync(int fd)
{
    if (++fsyncs == failing_fsync) {
        errno = EIO;
        return -1;
    }
    return fsync(fd);
}

static void
setup(void)
{
    top = g_dir_make_tmp("virtadm-state-XXXXXX", NULL);
    ck_assert_ptr_nonnull(top);
    dir = g_build_filename(top, "lib", NULL);
    path = g_build_filename(dir, "virtadmd.state", NULL);
    ck_assert_int_eq(g_mkdir(dir, 0700), 0);
}

static void
teardown(void)
{
    g_autofree char *command = g_strdup_printf("chmod -R u+rwX '%s' && rm -r '%s'", top, top);

    ck_assert_int_eq(system(command), 0);
    g_free(top);
    g_free(dir);
    g_free(path);
}

/* NULL: there is none. */
static void
assert_says(const char *expected)
{
    g_autofree char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        text = NULL;
    ck_assert_pstr_eq(text, expected);
}

/* Nothing is left beside the file. */
static void
assert_clean(void)
{
    g_autoptr(GDir) entries = g_dir_open(dir, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(entries)) != NULL)
        ck_assert_str_eq(name, "virtadmd.state");
}

static VadmStateFile *
prepare(const char *text)
{
    g_autoptr(GError) error = NULL;
    VadmStateFile *file = vadm_state_file_prepare(path, text, &error);

    ck_assert_msg(file != NULL, "%s", error ? error->message : "");
    return file;
}

static VadmStateFile *
commit(const char *text)
{
    g_autoptr(GError) error = NULL;
    VadmStateFile *file = prepare(text);

    ck_assert_msg(vadm_state_file_commit(file, &error), "%s", error ? error->message : "");
    assert_says(text);
    return file;
}

static void
save(const char *text)
{
    vadm_state_file_finish(commit(text));
    assert_says(text);
    assert_clean();
}

static void
assert_refused(const char *text, VadmErrorCode code, const char *word, const char *other)
{
    g_autoptr(GError) error = NULL;

    ck_assert_ptr_null(vadm_state_file_prepare(path, text, &error));
    ck_assert(g_error_matches(error, VADM_ERROR, (int)code));
    ck_assert_msg(strstr(error->message, word) && strstr(error->message, other), "%s",
                  error->message);
}

START_TEST(saves_one_after_the_other)
{
    struct stat st;

    save("one");
    ck_assert_int_eq(g_stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    save("two");
    save(NULL);
    save(NULL);
    save("three");
    save("");
}
END_TEST

START_TEST(prepared_is_not_visible)
{
    VadmStateFile *file;

    save("old");
    file = prepare("new");
    assert_says("old");
    vadm_state_file_abort(file);
    assert_says("old");
    assert_clean();
    vadm_state_file_abort(prepare(NULL));
    assert_says("old");
    vadm_state_file_finish(NULL);
    vadm_state_file_abort(NULL);
}
END_TEST

static void
assert_undone(const char *old, const char *new)
{
    VadmStateFile *file;

    save(old);
    file = commit(new);
    ck_assert(vadm_state_file_undo(file, NULL));
    assert_says(old);
    ck_assert(vadm_state_file_undo(file, NULL));
    assert_says(old);
    vadm_state_file_finish(file);
    assert_says(old);
    assert_clean();
}

START_TEST(undo_puts_back)
{
    assert_undone("old", "new");
    assert_undone("old", NULL);
    assert_undone(NULL, "new");
    assert_undone(NULL, NULL);
}
END_TEST

START_TEST(undo_without_hard_links)
{
    no_links = TRUE;
    assert_undone("old", "new");
    assert_undone(NULL, "new");
    assert_undone("", "new");
    assert_undone("old", NULL);
}
END_TEST

START_TEST(undo_before_commit_is_nothing)
{
    VadmStateFile *file;

    save("old");
    file = prepare("new");
    ck_assert(vadm_state_file_undo(file, NULL));
    assert_says("old");
    vadm_state_file_abort(file);
    assert_clean();
}
END_TEST

START_TEST(abort_keeps_what_is_committed)
{
    save("old");
    vadm_state_file_abort(commit("new"));
    assert_says("new");
    assert_clean();
}
END_TEST

/* The process that made it and this one see the same, whichever file system it is. */
START_TEST(undo_puts_back_the_very_same)
{
    struct stat before, after;
    VadmStateFile *file;

    save("old");
    ck_assert_int_eq(g_stat(path, &before), 0);
    file = commit("new");
    ck_assert(vadm_state_file_undo(file, NULL));
    vadm_state_file_finish(file);
    ck_assert_int_eq(g_stat(path, &after), 0);
    ck_assert_uint_eq(before.st_ino, after.st_ino);
    ck_assert_uint_eq(after.st_nlink, 1);
}
END_TEST

START_TEST(short_writes_and_signals)
{
    g_autofree char *text = g_strnfill(1000, 'x');

    short_writes = TRUE;
    save(text);
    ck_assert_uint_gt(interrupts, 200);
}
END_TEST

/* 1: PATH.new; 2: the directory. */
START_TEST(failing_fsync_keeps_the_old_one)
{
    g_autoptr(GError) error = NULL;
    VadmStateFile *file;

    save("old");
    fsyncs = 0;
    failing_fsync = 1;
    assert_refused("new", VADM_ERROR_SYSTEM, "virtadmd.state.new", "fsync");
    assert_says("old");
    assert_clean();
    fsyncs = 0;
    failing_fsync = 2;
    file = prepare("new");
    ck_assert(!vadm_state_file_commit(file, &error));
    ck_assert_int_eq(vadm_error_get_errno(error), EIO);
    ck_assert_ptr_nonnull(strstr(error->message, dir));
    assert_says("old");
    ck_assert(vadm_state_file_undo(file, NULL));
    vadm_state_file_abort(file);
    assert_says("old");
    assert_clean();
    fsyncs = 0;
    failing_fsync = 1;
    file = prepare(NULL);
    ck_assert(!vadm_state_file_commit(file, NULL));
    assert_says("old");
    vadm_state_file_abort(file);
    assert_clean();
}
END_TEST

/* It is back for everybody; that it may not be on the disk is no reason to say it is not. */
START_TEST(failing_fsync_of_undo)
{
    VadmStateFile *file;

    save("old");
    file = commit("new");
    fsyncs = 0;
    failing_fsync = 1;
    ck_assert(vadm_state_file_undo(file, NULL));
    assert_says("old");
    vadm_state_file_finish(file);
    assert_clean();
}
END_TEST

/* Somebody put a directory in the place of PATH meanwhile. */
START_TEST(failing_renames)
{
    g_autoptr(GError) error = NULL;
    VadmStateFile *file;

    file = prepare("new");
    ck_assert_int_eq(g_mkdir(path, 0700), 0);
    ck_assert(!vadm_state_file_commit(file, &error));
    ck_assert_ptr_nonnull(strstr(error->message, path));
    g_clear_error(&error);
    vadm_state_file_abort(file);
    ck_assert_int_eq(g_rmdir(path), 0);
    assert_clean();
    save("old");
    file = commit("new");
    ck_assert_int_eq(g_unlink(path), 0);
    ck_assert_int_eq(g_mkdir(path, 0700), 0);
    ck_assert(!vadm_state_file_undo(file, &error));
    ck_assert_ptr_nonnull(strstr(error->message, path));
    ck_assert_int_eq(g_rmdir(path), 0);
    ck_assert(vadm_state_file_undo(file, NULL));
    assert_says("old");
    vadm_state_file_finish(file);
}
END_TEST

START_TEST(leftovers_are_replaced)
{
    g_autofree char *new = g_strconcat(path, ".new", NULL);
    g_autofree char *old = g_strconcat(path, ".old", NULL);
    g_autofree char *victim = g_build_filename(top, "victim", NULL);
    g_autofree char *text = NULL;

    ck_assert(g_file_set_contents(victim, "precious", -1, NULL));
    ck_assert(g_file_set_contents(new, "half", -1, NULL));
    ck_assert(g_file_set_contents(old, "older", -1, NULL));
    save("one");
    /* A link there leads nowhere. */
    ck_assert_int_eq(symlink(victim, new), 0);
    ck_assert_int_eq(symlink(victim, old), 0);
    assert_undone("one", "two");
    ck_assert_int_eq(symlink(victim, new), 0);
    vadm_state_file_abort(prepare(NULL));
    assert_clean();
    ck_assert(g_file_get_contents(victim, &text, NULL, NULL));
    ck_assert_str_eq(text, "precious");
}
END_TEST

START_TEST(the_directory_is_made)
{
    struct stat st;

    ck_assert_int_eq(g_rmdir(dir), 0);
    /* Nothing to remove: nothing is made for it. */
    vadm_state_file_finish(commit(NULL));
    ck_assert(!g_file_test(dir, G_FILE_TEST_EXISTS));
    save("one");
    ck_assert_int_eq(g_stat(dir, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0700);
    g_free(path);
    path = g_build_filename(top, "no", "such", "x.state", NULL);
    assert_refused("one", VADM_ERROR_SYSTEM, "no/such", "No such file");
    g_free(path);
    path = g_build_filename(dir, "virtadmd.state", "x.state", NULL);
    assert_refused("one", VADM_ERROR_SYSTEM, "virtadmd.state", "Not a directory");
}
END_TEST

START_TEST(a_directory_of_others_is_refused)
{
    g_autofree char *leftover = g_strconcat(path, ".new", NULL);

    save("old");
    ck_assert(g_file_set_contents(leftover, "theirs", -1, NULL));
    ck_assert_int_eq(chmod(dir, 0770), 0);
    assert_refused("new", VADM_ERROR_DENIED, dir, "0770");
    ck_assert_int_eq(chmod(dir, 01777), 0);
    assert_refused(NULL, VADM_ERROR_DENIED, dir, "1777");
    /* Nothing is touched there. */
    ck_assert(g_file_test(leftover, G_FILE_TEST_EXISTS));
    assert_says("old");
    ck_assert_int_eq(chmod(dir, 0755), 0);
    save("new");
}
END_TEST

START_TEST(a_directory_of_another_user_is_refused)
{
    if (geteuid() != 0)
        return;
    ck_assert_int_eq(chown(dir, 1234, 0), 0);
    assert_refused("new", VADM_ERROR_DENIED, dir, "1234");
    assert_says(NULL);
}
END_TEST

START_TEST(larger_than_can_be_read)
{
    g_autofree char *text = g_strnfill(VADM_CONFIG_FILE_MAX + 1, 'x');

    save("old");
    assert_refused(text, VADM_ERROR_SYSTEM, path, "too large");
    assert_says("old");
    text[VADM_CONFIG_FILE_MAX] = '\0';
    save(text);
}
END_TEST

/* ---- reading ---- */

static void
assert_unread(VadmErrorCode code, const char *word)
{
    g_autoptr(GError) error = NULL;

    ck_assert_ptr_null(vadm_state_file_read(path, &error));
    ck_assert_msg(g_error_matches(error, VADM_ERROR, (int)code), "%s", error->message);
    ck_assert_msg(strstr(error->message, word) != NULL, "%s", error->message);
}

START_TEST(reads_what_was_saved)
{
    g_autoptr(GString) text = NULL;

    save("one");
    text = vadm_state_file_read(path, NULL);
    ck_assert_ptr_nonnull(text);
    ck_assert_str_eq(text->str, "one");
    ck_assert_uint_eq(text->len, 3);
}
END_TEST

START_TEST(reads_no_other_things)
{
    g_autofree char *target = g_build_filename(top, "target", NULL);
    g_autofree char *large = g_strnfill(VADM_CONFIG_FILE_MAX + 1, 'x');

    assert_unread(VADM_ERROR_SYSTEM, "No such file");
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    assert_unread(VADM_ERROR_DENIED, "regular");
    g_unlink(path);
    ck_assert(g_file_set_contents_full(target, "x", 1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, NULL));
    ck_assert_int_eq(symlink(target, path), 0);
    assert_unread(VADM_ERROR_DENIED, "symbolic link");
    g_unlink(path);
    ck_assert_int_eq(g_mkdir(path, 0700), 0);
    assert_unread(VADM_ERROR_DENIED, "regular");
    ck_assert_int_eq(g_rmdir(path), 0);
    ck_assert(g_file_set_contents_full(path, large, VADM_CONFIG_FILE_MAX + 1,
                                       G_FILE_SET_CONTENTS_CONSISTENT, 0600, NULL));
    assert_unread(VADM_ERROR_SYSTEM, "too large");
    if (geteuid() != 0)
        return;
    save("one");
    ck_assert_int_eq(chown(path, 1234, 0), 0);
    assert_unread(VADM_ERROR_DENIED, "1234");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("state-file");
    TCase *tcase = tcase_create("state-file");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, saves_one_after_the_other);
    tcase_add_test(tcase, prepared_is_not_visible);
    tcase_add_test(tcase, undo_puts_back);
    tcase_add_test(tcase, undo_without_hard_links);
    tcase_add_test(tcase, undo_before_commit_is_nothing);
    tcase_add_test(tcase, abort_keeps_what_is_committed);
    tcase_add_test(tcase, undo_puts_back_the_very_same);
    tcase_add_test(tcase, short_writes_and_signals);
    tcase_add_test(tcase, failing_fsync_keeps_the_old_one);
    tcase_add_test(tcase, failing_fsync_of_undo);
    tcase_add_test(tcase, failing_renames);
    tcase_add_test(tcase, leftovers_are_replaced);
    tcase_add_test(tcase, the_directory_is_made);
    tcase_add_test(tcase, a_directory_of_others_is_refused);
    tcase_add_test(tcase, a_directory_of_another_user_is_refused);
    tcase_add_test(tcase, larger_than_can_be_read);
    tcase_add_test(tcase, reads_what_was_saved);
    tcase_add_test(tcase, reads_no_other_things);
    suite_add_tcase(suite, tcase);
    return vadm_unit_main(suite);
}
