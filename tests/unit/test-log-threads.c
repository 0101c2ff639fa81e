/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Logging from many threads while sets are replaced, and outputs that are stuck. */
#include "log-fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "common/lock.h"

#define THREADS  8
#define MESSAGES 4000 /* per thread */
#define INSTALLS 3000 /* at least */

typedef struct {
    pthread_t thread;
    int id;
} Speaker;

static atomic_int speaking;

/* A pause for the writers now and then: this test is about replacing, not about a full queue. */
static void *
speak(void *data)
{
    const Speaker *speaker = data;

    for (int i = 0; i < MESSAGES; i++) {
        FX_SAY(VADM_LOG_WARN, "x", "<%d/%d>", speaker->id, i);
        FX_SAY(VADM_LOG_DEBUG, "x", "never");
        if (i % 100 == 99)
            ck_assert(vadm_log_flush(fx_log, SECONDS(60)));
    }
    atomic_fetch_sub(&speaking, 1);
    return NULL;
}

static void
start_speakers(Speaker *speakers)
{
    atomic_store(&speaking, THREADS);
    for (int i = 0; i < THREADS; i++) {
        speakers[i].id = i;
        ck_assert_int_eq(pthread_create(&speakers[i].thread, NULL, speak, &speakers[i]), 0);
    }
}

/* Every line of both files is a whole message, or of the two that begin an output, or of those
 * that tell of nothing lost; every message is there once. */
static void
check_lines(const char *text, guint8 *seen)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(GRegex) whole =
        g_regex_new("^\\S+ \\S+: \\d+: warning : speak:\\d+ : <(\\d+)/(\\d+)>$", 0, 0, NULL);

    for (char **line = lines; *line; line++) {
        g_autoptr(GMatchInfo) match = NULL;
        g_autofree char *id = NULL;
        g_autofree char *number = NULL;

        if (!**line || strstr(*line, " : hostname: ") || strstr(*line, " : unit version: "))
            continue;
        ck_assert_msg(g_regex_match(whole, *line, 0, &match), "torn: %s", *line);
        id = g_match_info_fetch(match, 1);
        number = g_match_info_fetch(match, 2);
        seen[atoi(id) * MESSAGES + atoi(number)]++;
    }
}

/* Two files, one, the other, the level alone, and back to what was (undo). */
START_TEST(test_replace_while_logging)
{
    Speaker speakers[THREADS];
    g_autofree guint8 *seen = g_malloc0(THREADS * MESSAGES);
    g_autofree char *a = g_strdup_printf("1:file:%s/a", fx_dir);
    g_autofree char *b = g_strdup_printf("1:file:%s/b", fx_dir);
    g_autofree char *b_high = g_strdup_printf("3:file:%s/b", fx_dir);
    const char *const outputs[] = {a, b, b_high};
    g_autofree char *text_a = NULL;
    g_autofree char *text_b = NULL;
    VadmLogStats stats;

    fx_use(2, NULL, a);
    start_speakers(speakers);
    for (int i = 0; i < INSTALLS || atomic_load(&speaking) > 0; i++) {
        g_autoptr(VadmLogSet) before = vadm_log_get_set(fx_log);

        fx_use(2 + i % 2, i % 5 ? NULL : "3:y", outputs[i % 3]);
        if (i % 4 == 0)
            vadm_log_install(fx_log, before);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(speakers[i].thread, NULL);
    text_a = fx_read("a");
    text_b = fx_read("b");
    check_lines(text_a, seen);
    check_lines(text_b, seen);
    for (int i = 0; i < THREADS * MESSAGES; i++)
        ck_assert_msg(seen[i] == 1, "message %d/%d: %d times", i / MESSAGES, i % MESSAGES, seen[i]);
    vadm_log_get_stats(fx_log, 3, &stats);
    ck_assert(stats.emitted == THREADS * MESSAGES && stats.dropped == 0 && stats.filtered == 0);
    vadm_log_get_stats(fx_log, 1, &stats);
    ck_assert(stats.filtered == THREADS * MESSAGES && stats.emitted == 0 && stats.dropped == 0);
}
END_TEST

/* ---- stuck outputs ---- */

static int
make_fifo(const char *name, char **outputs)
{
    g_autofree char *path = fx_path(name);
    int fd;

    ck_assert_int_eq(mkfifo(path, 0600), 0);
    fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    *outputs = g_strdup_printf("1:file:%s", path);
    return fd;
}

#define FLOOD 20000

static gint64
flood(void)
{
    gint64 begin = g_get_monotonic_time();

    for (int i = 0; i < FLOOD; i++)
        FX_SAY(VADM_LOG_ERROR, "x", "flood %d", i);
    return g_get_monotonic_time() - begin;
}

/* Reads lines until @count octets of newline were seen. */
static guint
drain(int fd, guint64 want)
{
    char buffer[65536];
    guint lines = 0;
    gint64 deadline = g_get_monotonic_time() + SECONDS(20);

    while (lines < want && g_get_monotonic_time() < deadline) {
        struct pollfd pfd = {.fd = fd, .events = POLLIN};
        gssize got;

        poll(&pfd, 1, 100);
        got = read(fd, buffer, sizeof(buffer));
        for (gssize i = 0; i < got; i++)
            lines += buffer[i] == '\n';
    }
    return lines;
}

/* Nobody waits for it, what does not fit is counted, and it goes on when it is read again. */
START_TEST(test_stuck_fifo)
{
    g_autofree char *outputs = NULL;
    int fd = make_fifo("fifo", &outputs);
    VadmLogStats stats;
    guint kept;

    fx_use(1, NULL, outputs);
    ck_assert_int_lt(flood(), SECONDS(20));
    ck_assert(!vadm_log_flush(fx_log, 1000));
    vadm_log_get_stats(fx_log, 4, &stats);
    ck_assert_uint_gt(stats.dropped, 0);
    kept = (guint)(FLOOD - stats.dropped);
    ck_assert_uint_ge(kept, 8192);
    ck_assert_uint_eq(drain(fd, kept + 2), kept + 2);
    ck_assert(vadm_log_flush(fx_log, SECONDS(10)));
    vadm_log_get_stats(fx_log, 4, &stats);
    ck_assert_uint_eq(stats.emitted, kept);
    ck_assert_uint_eq(stats.emitted + stats.dropped, FLOOD);
    close(fd);
}
END_TEST

/* Replacing it returns at once, and the other output works meanwhile. */
START_TEST(test_stuck_is_replaced)
{
    g_autofree char *outputs = NULL;
    int fd = make_fifo("fifo", &outputs);
    gint64 begin;

    fx_use(1, NULL, outputs);
    flood();
    begin = g_get_monotonic_time();
    for (int i = 0; i < 50; i++) {
        fx_use_file(1, NULL, "a");
        fx_use(1, NULL, outputs);
    }
    fx_use_file(1, NULL, "a");
    FX_SAY(VADM_LOG_ERROR, "x", "hello");
    ck_assert_int_lt(g_get_monotonic_time() - begin, SECONDS(20)); /* not 5 for each */
    begin = g_get_monotonic_time();
    for (gboolean there = FALSE; !there;) {
        g_autofree char *path = fx_path("a");
        g_autofree char *text = NULL;

        there = g_file_get_contents(path, &text, NULL, NULL) && strstr(text, "hello");
        ck_assert_int_lt(g_get_monotonic_time() - begin, SECONDS(20));
        g_usleep(1000);
    }
    /* the one that is stuck and that nobody names gives up by itself */
    ck_assert(vadm_log_flush(fx_log, SECONDS(30)));
    close(fd);
}
END_TEST

START_TEST(test_stuck_at_the_end)
{
    g_autofree char *outputs = NULL;
    int fd = make_fifo("fifo", &outputs);
    gint64 begin;

    fx_use(1, NULL, outputs);
    flood();
    begin = g_get_monotonic_time();
    vadm_log_free(fx_log, 50000);
    ck_assert_int_lt(g_get_monotonic_time() - begin, SECONDS(4));
    fx_log = vadm_log_new("unit", "1");
    close(fd);
}
END_TEST

/* fd 2 is a full pipe that we share: it stays blocking, and only the writer waits. */
START_TEST(test_stuck_stderr)
{
    int ends[2], saved = dup(2);

    ck_assert_int_eq(pipe(ends), 0);
    fx_use_file(1, NULL, "a");
    ck_assert(vadm_log_flush(fx_log, SECONDS(10)));
    vadm_log_free(fx_log, SECONDS(10));
    ck_assert_int_ge(dup2(ends[1], 2), 0);
    fx_log = vadm_log_new("unit", "1");
    flood();
    ck_assert_int_eq(fcntl(2, F_GETFL) & O_NONBLOCK, 0);
    vadm_log_free(fx_log, 50000);
    ck_assert_int_ge(dup2(saved, 2), 0);
    fx_log = vadm_log_new("unit", "1");
    close(ends[0]);
    close(ends[1]);
    close(saved);
}
END_TEST

/* The reader of a FIFO goes away: no signal ends us, and a new reader gets what comes then. */
START_TEST(test_reader_goes_and_comes)
{
    g_autofree char *outputs = NULL;
    g_autofree char *path = fx_path("fifo");
    int fd = make_fifo("fifo", &outputs);
    VadmLogStats stats;

    fx_use(1, NULL, outputs);
    close(fd);
    FX_SAY(VADM_LOG_ERROR, "x", "lost");
    ck_assert(vadm_log_flush(fx_log, SECONDS(10)));
    vadm_log_get_stats(fx_log, 4, &stats);
    ck_assert(stats.dropped == 1 && stats.emitted == 0);
    fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    FX_SAY(VADM_LOG_ERROR, "x", "heard");
    ck_assert_uint_eq(drain(fd, 1), 1);
    close(fd);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("log-threads");
    TCase *tc = tcase_create("log-threads");

    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, fx_setup, fx_teardown);
    tcase_add_test(tc, test_replace_while_logging);
    tcase_add_test(tc, test_stuck_fifo);
    tcase_add_test(tc, test_stuck_is_replaced);
    tcase_add_test(tc, test_stuck_at_the_end);
    tcase_add_test(tc, test_stuck_stderr);
    tcase_add_test(tc, test_reader_goes_and_comes);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
