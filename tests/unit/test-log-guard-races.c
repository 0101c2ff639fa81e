/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is swapped while the daemon looks at a guarded log file, opens or removes it. */
#include "tests/unit/guard-fixture.h"

typedef void (*Flip)(const char *a, const char *b);

typedef struct {
    Flip flip;
    char *a, *b;
    atomic_bool over;
    pthread_t thread;
} Flipper;

static void
flip_exchange(const char *a, const char *b)
{
    if (renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) < 0)
        g_error("renameat2: %s", g_strerror(errno));
}

/* @a is a second link to the victim @b for a moment. */
static void
flip_link(const char *a, const char *b)
{
    g_unlink(a);
    (void)!link(b, a);
    g_unlink(a);
}

static void *
flipper_run(void *data)
{
    Flipper *flipper = data;

    while (!atomic_load(&flipper->over))
        flipper->flip(flipper->a, flipper->b);
    return NULL;
}

static void
flipper_start(Flipper *flipper, Flip flip, const char *a, const char *b)
{
    flipper->flip = flip;
    flipper->a = g_strdup(a);
    flipper->b = g_strdup(b);
    atomic_init(&flipper->over, FALSE);
    ck_assert_int_eq(pthread_create(&flipper->thread, NULL, flipper_run, flipper), 0);
}

static void
flipper_stop(Flipper *flipper)
{
    atomic_store(&flipper->over, TRUE);
    pthread_join(flipper->thread, NULL);
    g_free(flipper->a);
    g_free(flipper->b);
}

static void
expect_no_victim(int fd, const char *victim)
{
    struct stat st, bad;

    ck_assert_int_eq(fstat(fd, &st), 0);
    ck_assert(S_ISREG(st.st_mode));
    if (stat(victim, &bad) == 0)
        ck_assert_msg(st.st_ino != bad.st_ino, "the victim was opened");
}

static void
expect_inside(int fd)
{
    g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", fd);
    g_autofree char *path = g_file_read_link(link, NULL);

    if (path)
        ck_assert_msg(g_str_has_prefix(path, inside) && path[strlen(inside)] == '/', "opened: %s",
                      path);
}

/* Thousands of attempts, and until success and refusal have both been seen often. */
static void
attempt(const char *path, const char *victim, guint attempts)
{
    gint64 deadline = g_get_monotonic_time() + SECONDS(60);
    guint opened = 0, refused = 0;

    while (opened + refused < attempts || opened < 100 || refused < 100) {
        VadmLogCreated *created = NULL;
        g_autoptr(GError) error = NULL;
        int fd = open_guarded(path, &created, &error);

        ck_assert_msg(g_get_monotonic_time() < deadline, "%u opened, %u refused", opened, refused);
        ck_assert(fd >= 0 || !created);
        if (fd < 0) {
            refused++;
            continue;
        }
        opened++;
        expect_no_victim(fd, victim);
        expect_inside(fd);
        close(fd);
        if (created)
            vadm_log_created_remove(created);
        vadm_log_created_free(created);
    }
}

/* A component is a directory and a link to the victim's directory by turns. */
static void
swap_directory(const char *component)
{
    g_autofree char *path = in("one/two/log");
    g_autofree char *deep = in("one/two");
    g_autofree char *place = in(component);
    g_autofree char *trap = in("trap");
    g_autofree char *outside_deep = g_build_filename(outside, "two", NULL);
    g_autofree char *victim = g_build_filename(outside, "two/log", NULL);
    const char *target = strcmp(component, "one") == 0 ? outside : outside_deep;
    Flipper flipper;

    ck_assert_int_eq(g_mkdir_with_parents(deep, 0700), 0);
    ck_assert_int_eq(g_mkdir(outside_deep, 0700), 0);
    ck_assert_int_eq(symlink(target, trap), 0);
    flipper_start(&flipper, flip_exchange, place, trap);
    attempt(path, victim, 4000);
    ck_assert_uint_eq(entries_of(outside_deep), 0);
    write_file(victim, "");
    attempt(path, victim, 4000);
    flipper_stop(&flipper);
    ck_assert_uint_eq(entries_of(outside_deep), 1);
    ck_assert_uint_eq(entries_of(outside), 1);
}

START_TEST(test_swap_first_directory)
{
    swap_directory("one");
}
END_TEST

START_TEST(test_swap_last_directory)
{
    swap_directory("one/two");
}
END_TEST

static void
swap_file(gboolean exists, gboolean hard)
{
    g_autofree char *path = in("log");
    g_autofree char *trap = in("trap");
    g_autofree char *victim = g_build_filename(outside, "victim", NULL);
    Flipper flipper;

    if (exists)
        write_file(victim, "");
    write_file(path, "");
    if (hard)
        ck_assert_int_eq(link(victim, trap), 0);
    else
        ck_assert_int_eq(symlink(victim, trap), 0);
    flipper_start(&flipper, flip_exchange, path, trap);
    attempt(path, victim, 20000);
    flipper_stop(&flipper);
    ck_assert_uint_eq(entries_of(outside), exists ? 1 : 0);
}

START_TEST(test_swap_file_and_link)
{
    swap_file(TRUE, FALSE);
}
END_TEST

START_TEST(test_swap_file_and_dangling_link)
{
    swap_file(FALSE, FALSE);
}
END_TEST

START_TEST(test_swap_file_and_hard_link)
{
    swap_file(TRUE, TRUE);
}
END_TEST

/* The count of links to the victim is one again when it is looked at after the open. */
START_TEST(test_fleeting_hard_link)
{
    g_autofree char *path = in("log");
    g_autofree char *victim = g_build_filename(outside, "victim", NULL);
    Flipper flipper;

    write_file(victim, "");
    flipper_start(&flipper, flip_link, path, victim);
    attempt(path, victim, 20000);
    flipper_stop(&flipper);
}
END_TEST

static void
flip_rename(const char *a, const char *b)
{
    /* @a: a file of somebody else, ever again; into the place of what is removed */
    if (g_file_test(a, G_FILE_TEST_EXISTS))
        (void)!g_rename(a, b);
}

/* A file that comes into the place while the empty one is removed is never the one that goes. */
START_TEST(test_removal_race)
{
    g_autofree char *path = in("log");
    g_autofree char *other = in("other");
    Flipper flipper;

    flipper_start(&flipper, flip_rename, other, path);
    for (guint i = 0; i < 2000; i++) {
        g_autofree char *temporary = in("temporary");
        VadmLogCreated *created = NULL;
        int fd = open_guarded(path, &created, NULL);
        struct stat st;

        ck_assert_int_ge(fd, 0);
        close(fd);
        ck_assert_ptr_nonnull(created);
        fd = open(temporary, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        ck_assert_int_eq(write(fd, "precious", 8), 8);
        close(fd);
        ck_assert_int_eq(g_rename(temporary, other), 0);
        for (guint spin = i % 64 * 8; spin > 0; spin--)
            atomic_load(&flipper.over);
        vadm_log_created_remove(created);
        vadm_log_created_free(created);
        while (g_file_test(other, G_FILE_TEST_EXISTS))
            g_thread_yield();
        ck_assert_msg(stat(path, &st) == 0 && st.st_size == 8, "lost in round %u", i);
        ck_assert_int_eq(g_unlink(path), 0);
    }
    flipper_stop(&flipper);
    ck_assert_uint_eq(entries_of(inside), 0);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {test_swap_first_directory,
                                  test_swap_last_directory,
                                  test_swap_file_and_link,
                                  test_swap_file_and_dangling_link,
                                  test_swap_file_and_hard_link,
                                  test_fleeting_hard_link,
                                  test_removal_race,
                                  NULL};
    Suite *suite = suite_create("log-guard-races");

    guard_add_tests(suite, "swapped", 120, tests);
    return vadm_unit_main(suite);
}
