/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guarded outputs in sets: which files go when one is given up, and whose guard counts when a log
 * is rotated. */
#include "tests/unit/guard-fixture.h"

START_TEST(test_refused_leaves_nothing)
{
    g_autofree char *first = in("first");
    g_autofree char *there = in("there");
    g_autofree char *outputs =
        g_strdup_printf("1:file:%s 1:file:%s 1:file:%s/bad/log", first, there, inside);
    g_autofree char *bad = in("bad");
    g_autoptr(GError) error = NULL;

    write_file(there, "");
    ck_assert_int_eq(symlink(outside, bad), 0);
    ck_assert_ptr_null(guarded_set(outputs, &error));
    ck_assert(g_error_matches(error, VADM_ERROR, VADM_ERROR_DENIED));
    ck_assert_uint_eq(entries_of(inside), 2);
    ck_assert_uint_eq(entries_of(outside), 0);
    ck_assert_int_eq(g_access(there, F_OK), 0);
}
END_TEST

START_TEST(test_discard_removes_its_own_only)
{
    g_autofree char *fresh = in("fresh");
    g_autofree char *there = in("there");
    VadmLogSet *set;

    write_file(there, "");
    set = guarded_files(fresh, there);
    ck_assert_uint_eq(entries_of(inside), 2);
    vadm_log_set_discard(set);
    ck_assert_int_ne(g_access(fresh, F_OK), 0);
    ck_assert_int_eq(g_access(there, F_OK), 0);

    /* written to by somebody */
    set = guarded_files(fresh, NULL);
    {
        FILE *other = fopen(fresh, "a");
        ck_assert_ptr_nonnull(other);
        fputs("x", other);
        fclose(other);
    }
    vadm_log_set_discard(set);
    ck_assert_int_eq(g_access(fresh, F_OK), 0);
    ck_assert_int_eq(g_unlink(fresh), 0);

    /* another file, also an empty one, also a link to the very one */
    set = guarded_files(fresh, NULL);
    ck_assert_int_eq(g_rename(there, fresh), 0);
    vadm_log_set_discard(set);
    ck_assert_int_eq(g_access(fresh, F_OK), 0);
    ck_assert_int_eq(g_unlink(fresh), 0);
    set = guarded_files(fresh, NULL);
    ck_assert_int_eq(g_rename(fresh, there), 0);
    ck_assert_int_eq(symlink("there", fresh), 0);
    vadm_log_set_discard(set);
    ck_assert_uint_eq(entries_of(inside), 2);
}
END_TEST

/* It goes with the last of those that share it, unless one of them was in force. */
START_TEST(test_discard_of_shared)
{
    g_autofree char *path = in("log");
    VadmLogSet *first = guarded_files(path, NULL);
    VadmLogSet *second = guarded_files(path, NULL);

    vadm_log_set_discard(first);
    ck_assert_int_eq(g_access(path, F_OK), 0);
    vadm_log_install(fx_log, second);
    vadm_log_set_unref(second);
    FX_SAY(VADM_LOG_WARN, "x", "said");
    ck_assert(vadm_log_flush(fx_log, SECONDS(10)));
    ck_assert_int_eq(g_access(path, F_OK), 0);
    /* prepared once more over the one in force, given up again */
    vadm_log_set_discard(guarded_files(path, NULL));
    ck_assert_int_eq(g_access(path, F_OK), 0);
}
END_TEST

/* A link to the victim in the place of @path, whose file is renamed; then the writer is told. */
static char *
rotate_onto_link(const char *path, const char *victim)
{
    static int n;
    g_autofree char *rotated = g_strdup_printf("%s.%d", path, ++n);
    char *text = NULL;

    write_file(victim, "");
    ck_assert_int_eq(g_rename(path, rotated), 0);
    ck_assert_int_eq(symlink(victim, path), 0);
    vadm_log_reopen(fx_log);
    FX_SAY(VADM_LOG_WARN, "x", "secret");
    ck_assert(vadm_log_flush(fx_log, SECONDS(20)));
    ck_assert(g_file_get_contents(victim, &text, NULL, NULL));
    ck_assert_int_eq(g_unlink(path), 0);
    ck_assert_int_eq(g_rename(rotated, path), 0);
    return text;
}

static void
expect_rotation(const char *path, gboolean guarded)
{
    g_autofree char *victim = g_build_filename(outside, "victim", NULL);
    g_autofree char *text = rotate_onto_link(path, victim);

    ck_assert_msg((fx_count(text, "secret") == 0) == guarded, "%s",
                  guarded ? "the link was followed" : "the administrator's link was not followed");
    vadm_log_reopen(fx_log); /* the file again */
    ck_assert(vadm_log_flush(fx_log, SECONDS(20)));
}

/* The guard is that of the set in force, whatever else has named the file. */
START_TEST(test_rotation_by_set_in_force)
{
    g_autofree char *path = in("log");
    g_autofree char *outputs = g_strdup_printf("1:file:%s", path);
    g_autofree char *more = g_strdup_printf("1:file:%s 4:stderr", path);
    g_autofree char *others = g_strdup_printf("2:file:%s 4:stderr", path);
    g_autoptr(VadmLogSet) before = NULL;
    g_autoptr(VadmLogSet) managers = NULL;
    VadmLogSet *given_up;

    fx_use(1, NULL, outputs);
    before = vadm_log_get_set(fx_log);
    expect_rotation(path, FALSE);
    /* what a manager prepared and gave up has changed nothing */
    given_up = guarded_set(more, NULL);
    ck_assert_ptr_nonnull(given_up);
    vadm_log_set_discard(given_up);
    expect_rotation(path, FALSE);

    managers = guarded_set(more, NULL);
    ck_assert_ptr_nonnull(managers);
    vadm_log_install(fx_log, managers);
    expect_rotation(path, TRUE);
    /* somebody changes filters and level alone: the outputs are still the manager's */
    fx_use(2, "1:nothing", more);
    expect_rotation(path, TRUE);
    /* taken back, and put in force again */
    vadm_log_install(fx_log, before);
    expect_rotation(path, FALSE);
    vadm_log_install(fx_log, managers);
    expect_rotation(path, TRUE);
    /* the administrator names the file: it is his now */
    fx_use(1, NULL, others);
    expect_rotation(path, FALSE);
}
END_TEST

/* While a manager's change is prepared, the file it shares is guarded already. */
START_TEST(test_rotation_of_prepared)
{
    g_autofree char *path = in("log");
    g_autofree char *later = in("later");
    g_autofree char *rotated = in("later.1");
    g_autofree char *victim = g_build_filename(outside, "victim", NULL);
    g_autofree char *text = NULL;
    VadmLogSet *set;

    fx_use_file(1, NULL, "elsewhere");
    set = guarded_files(path, later);
    write_file(victim, "");
    ck_assert_int_eq(g_rename(later, rotated), 0);
    ck_assert_int_eq(symlink(victim, later), 0);
    vadm_log_reopen(fx_log);
    vadm_log_install(fx_log, set);
    vadm_log_set_unref(set);
    FX_SAY(VADM_LOG_WARN, "x", "secret");
    ck_assert(vadm_log_flush(fx_log, SECONDS(20)));
    ck_assert(g_file_get_contents(victim, &text, NULL, NULL));
    ck_assert_str_eq(text, "");
}
END_TEST

/* The file that the administrator has open by a link is out of reach by what lies there now. */
START_TEST(test_open_elsewhere)
{
    g_autofree char *path = in("log");
    g_autofree char *victim = g_build_filename(outside, "victim", NULL);
    g_autofree char *outputs = g_strdup_printf("1:file:%s 4:stderr", path);
    g_autoptr(GError) error = NULL;
    g_autoptr(VadmLogSet) set = NULL;

    write_file(victim, "");
    ck_assert_int_eq(symlink(victim, path), 0);
    fx_use_file(3, NULL, "inside/log");
    ck_assert_int_eq(g_unlink(path), 0);
    write_file(path, "");
    ck_assert_ptr_null(guarded_set(outputs, &error));
    ck_assert(g_error_matches(error, VADM_ERROR, VADM_ERROR_DENIED));
    ck_assert_msg(strstr(error->message, "another file is open under this path") != NULL, "%s",
                  error->message);
    /* a rotation opens the one that lies there */
    vadm_log_reopen(fx_log);
    ck_assert(vadm_log_flush(fx_log, SECONDS(20)));
    set = guarded_set(outputs, NULL);
    ck_assert_ptr_nonnull(set);
}
END_TEST

/* A manager's file that was moved away does not stand in the way of other changes. */
START_TEST(test_moved_away)
{
    g_autofree char *path = in("log");
    g_autofree char *outputs = g_strdup_printf("1:file:%s", path);
    g_autoptr(VadmLogSet) set = guarded_files(path, NULL);

    vadm_log_install(fx_log, set);
    ck_assert_int_eq(g_unlink(path), 0);
    ck_assert_int_eq(symlink("/nonexistent/file", path), 0);
    fx_use(2, "1:some", outputs);
    ck_assert_uint_eq(vadm_log_set_count_outputs(set), 1);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {test_refused_leaves_nothing,
                                  test_discard_removes_its_own_only,
                                  test_discard_of_shared,
                                  test_rotation_by_set_in_force,
                                  test_rotation_of_prepared,
                                  test_open_elsewhere,
                                  test_moved_away,
                                  NULL};
    Suite *suite = suite_create("log-guard-sets");

    guard_add_tests(suite, "sets", 0, tests);
    return vadm_unit_main(suite);
}
