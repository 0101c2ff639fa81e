/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard of log files against somebody who may write in the configured directory and wants the
 * daemon to open, create or remove a file that is not his: whatever can lie at a place of the path,
 * and what is swapped while the daemon looks.
 */
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

static void
guard_setup(void)
{
    fx_setup();
    inside = fx_path("inside");
    outside = fx_path("outside");
    ck_assert_int_eq(g_mkdir(inside, 0700), 0);
    ck_assert_int_eq(g_mkdir(outside, 0700), 0);
}

static void
guard_teardown(void)
{
    g_clear_pointer(&inside, g_free);
    g_clear_pointer(&outside, g_free);
    fx_teardown();
}

static char *
in(const char *name)
{
    return g_build_filename(inside, name, NULL);
}

static guint
entries_of(const char *path)
{
    GDir *dir = g_dir_open(path, 0, NULL);
    guint count = 0;

    while (dir && g_dir_read_name(dir))
        count++;
    g_clear_pointer(&dir, g_dir_close);
    return count;
}

static int
open_guarded(const char *path, VadmLogCreated **created, GError **error)
{
    const char *const directories[] = {inside, NULL};

    return vadm_log_file_open(path, directories, created, error);
}

/* @rule: NULL: any. Neither opening nor the look beforehand allows it. */
static void
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

static void
refuse(const char *path, const char *rule)
{
    refuse_below(inside, path, VADM_ERROR_DENIED, rule);
}

static void
allow_below(const char *directory, const char *path)
{
    const char *const directories[] = {directory, NULL};
    g_autoptr(GError) error = NULL;
    int fd = vadm_log_file_open(path, directories, NULL, &error);

    ck_assert_msg(fd >= 0, "%s", error ? error->message : "no error");
    close(fd);
}

static void
write_file(const char *path, const char *text)
{
    ck_assert(g_file_set_contents(path, text, -1, NULL));
}

/* ---- what lies there ---- */

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

/* ---- the configured directory ---- */

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

/* ---- what is swapped meanwhile ---- */

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

/* ---- what is removed again ---- */

static VadmLogSet *
guarded_set(const char *outputs, GError **error)
{
    const char *const directories[] = {inside, NULL};
    VadmLogGuard guard = {directories};

    return vadm_log_set_new(fx_log, 1, NULL, outputs, "1:stderr", &guard, error);
}

/* @second: (nullable) */
static VadmLogSet *
guarded_files(const char *first, const char *second)
{
    g_autofree char *outputs = second ? g_strdup_printf("1:file:%s 1:file:%s", first, second)
                                      : g_strdup_printf("1:file:%s", first);
    g_autoptr(GError) error = NULL;
    VadmLogSet *set = guarded_set(outputs, &error);

    ck_assert_msg(set != NULL, "%s", error ? error->message : "no error");
    return set;
}

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

/* ---- rotation ---- */

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

static void
add_tests(Suite *suite, const char *name, gboolean slow, const TTest *const *tests)
{
    TCase *tc = tcase_create(name);

    tcase_add_checked_fixture(tc, guard_setup, guard_teardown);
    if (slow)
        tcase_set_timeout(tc, 120);
    for (; *tests; tests++)
        tcase_add_test(tc, *tests);
    suite_add_tcase(suite, tc);
}

int
main(void)
{
    const TTest *const still[] = {test_link_in_each_component,
                                  test_link_as_file,
                                  test_hard_link,
                                  test_other_kinds,
                                  test_names,
                                  test_no_utf8,
                                  test_base,
                                  test_refused_leaves_nothing,
                                  test_discard_removes_its_own_only,
                                  test_discard_of_shared,
                                  test_rotation_by_set_in_force,
                                  test_rotation_of_prepared,
                                  test_open_elsewhere,
                                  test_moved_away,
                                  NULL};
    const TTest *const swapped[] = {test_swap_first_directory,
                                    test_swap_last_directory,
                                    test_swap_file_and_link,
                                    test_swap_file_and_dangling_link,
                                    test_swap_file_and_hard_link,
                                    test_fleeting_hard_link,
                                    test_removal_race,
                                    NULL};
    Suite *suite = suite_create("log-guard");

    add_tests(suite, "still", FALSE, still);
    add_tests(suite, "swapped", TRUE, swapped);
    return vadm_unit_main(suite);
}
