/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Logging: the grammar, what is emitted and how it looks. */
#include "log-fixture.h"

#include <errno.h>
#include <stdio.h>
#include <syslog.h>

/* ---- fakes of syslog(3) and the journal: what is defined here is linked first ---- */

static char fake_ident[64], fake_syslog[512], fake_journal[1024];
static _Atomic int fake_priority;

void
openlog(const char *ident, int option, int facility)
{
    (void)option;
    g_snprintf(fake_ident, sizeof(fake_ident), "%s/%d", ident, facility);
}

void
closelog(void)
{
}

static void fake_write(int priority, const char *format, va_list args) G_GNUC_PRINTF(2, 0);
static void
fake_write(int priority, const char *format, va_list args)
{
    vsnprintf(fake_syslog, sizeof(fake_syslog), format, args);
    atomic_store(&fake_priority, priority);
}

void
syslog(int priority, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fake_write(priority, format, args);
    va_end(args);
}

/* what syslog() is with _FORTIFY_SOURCE, as packages are built */
void __syslog_chk(int priority, int flag, const char *format, ...) G_GNUC_PRINTF(3, 4);
void
__syslog_chk(int priority, int flag, const char *format, ...)
{
    va_list args;

    (void)flag;
    va_start(args, format);
    fake_write(priority, format, args);
    va_end(args);
}

GLogWriterOutput
g_log_writer_journald(GLogLevelFlags flags, const GLogField *fields, gsize count, gpointer data)
{
    (void)flags;
    (void)data;
    fake_journal[0] = '\0';
    for (gsize i = 0; i < count; i++) {
        int length = fields[i].length < 0 ? (int)strlen(fields[i].value) : (int)fields[i].length;
        gsize used = strlen(fake_journal);
        g_snprintf(fake_journal + used, sizeof(fake_journal) - used, "%s=%.*s\n", fields[i].key,
                   length, (const char *)fields[i].value);
    }
    return G_LOG_WRITER_HANDLED;
}

/* ---- filters ---- */

static const struct {
    const char *given, *shown;
    guint count;
} good_filters[] = {
    {NULL, "", 0},
    {"", "", 0},
    {" \t ", "", 0},
    {"1:util", "1:util", 1},
    {"  1:util   2:b ", "1:util 2:b", 2},
    {"01:util", "1:util", 1},
    {"+2:util", "2:util", 1},
    {"1:+util", "1:util", 1},
    {"1:++util", "1:++util", 1},
    {"1:a:b", "1:a", 1},
    {"1:a 1:a", "1:a 1:a", 2},
    {"4:no.such.module", "4:no.such.module", 1},
};

START_TEST(test_filters_good)
{
    g_autoptr(VadmLogSet) set = fx_set(3, good_filters[_i].given, NULL);
    g_autoptr(VadmLogSet) again = NULL;

    ck_assert_str_eq(vadm_log_set_get_filters(set), good_filters[_i].shown);
    ck_assert_uint_eq(vadm_log_set_count_filters(set), good_filters[_i].count);
    again = fx_set(3, vadm_log_set_get_filters(set), vadm_log_set_get_outputs(set));
    ck_assert_str_eq(vadm_log_set_get_filters(again), good_filters[_i].shown);
    ck_assert_str_eq(vadm_log_set_get_outputs(again), "1:stderr");
}
END_TEST

static const struct {
    const char *given, *message;
} bad_filters[] = {
    {"util", "Malformed format for filter 'util'"},
    {"9:bad", "Invalid priority '9' for filter '9:bad'"},
    {"0:util", "Invalid priority '0' for filter '0:util'"},
    {"-1:util", "Invalid priority '-1' for filter '-1:util'"},
    {"++1:util", "Invalid priority '++1' for filter '++1:util'"},
    {"4294967297:util", "Invalid priority '4294967297' for filter '4294967297:util'"},
    {"1x:util", "Invalid priority '1x' for filter '1x:util'"},
    {"x:util", "Invalid priority 'x' for filter 'x:util'"},
    {":util", "Invalid priority '' for filter ':util'"},
    {"1:", "Invalid match string ''"},
    {"1:+", "Invalid match string '+'"},
    {"1:good 2:also bad", "Malformed format for filter 'bad'"},
    {"1:\xff", "log filters must be UTF-8, octet 3 is not"},
};

START_TEST(test_filters_bad)
{
    fx_refuse(bad_filters[_i].given, NULL, VADM_ERROR_INVALID_VALUE, bad_filters[_i].message);
}
END_TEST

START_TEST(test_filters_bound)
{
    g_autoptr(GString) many = g_string_new(NULL);

    for (int i = 0; i < 1024; i++)
        g_string_append(many, "1:a ");
    vadm_log_set_unref(fx_set(3, many->str, NULL));
    g_string_append(many, "1:a");
    fx_refuse(many->str, NULL, VADM_ERROR_INVALID_VALUE, "log filters: at most 1024 are possible");
}
END_TEST

START_TEST(test_filters_match)
{
    g_autofree char *text = NULL;

    fx_use_file(3, "1:rpc.k?epalive 4:rpc 1:rpc.conn 2:*json*", "a");
    FX_SAY(VADM_LOG_DEBUG, "rpc.keepalive", "yes-1");
    FX_SAY(VADM_LOG_WARN, "rpc.conn", "no-1: the first match counts");
    FX_SAY(VADM_LOG_ERROR, "rpc.conn", "yes-2");
    FX_SAY(VADM_LOG_INFO, "util.json.x", "yes-3");
    FX_SAY(VADM_LOG_DEBUG, "util.json", "no-2");
    FX_SAY(VADM_LOG_INFO, "other", "no-3: the level");
    FX_SAY(VADM_LOG_WARN, "other", "yes-4");
    text = fx_read("a");
    ck_assert_uint_eq(fx_count(text, "yes-"), 4);
    ck_assert_uint_eq(fx_count(text, "no-"), 0);
}
END_TEST

/* ---- outputs ---- */

static const struct {
    const char *given, *message;
} bad_outputs[] = {
    {"stderr", "Malformed format for log output 'stderr'"},
    {"9:foo", "Invalid log priority '9' for log output '9:foo'"},
    {"0:stderr", "Invalid log priority '0' for log output '0:stderr'"},
    {":stderr", "Invalid log priority '' for log output ':stderr'"},
    {"1:foo", "Invalid log destination 'foo' for log output '1:foo'"},
    {"1:", "Invalid log destination '' for log output '1:'"},
    {"1:stderr,2:journald", "Invalid log destination 'stderr,2' for log output "
                            "'1:stderr,2:journald'"},
    {"1:stderr:x", "Log output '1:stderr:x' does not meet the format requirements for "
                   "destination type 'stderr'"},
    {"1:journald:x", "Log output '1:journald:x' does not meet the format requirements for "
                     "destination type 'journald'"},
    {"1:syslog", "Log output '1:syslog' does not meet the format requirements for destination "
                 "type 'syslog'"},
    {"1:file", "Log output '1:file' does not meet the format requirements for destination type "
               "'file'"},
    {"1:file:", "Log output '1:file:' does not meet the format requirements for destination "
                "type 'file'"},
    {"1:file/tmp/x", "Invalid log destination 'file/tmp/x' for log output '1:file/tmp/x'"},
    {"1:file:/var/log/a:b", "Log output '1:file:/var/log/a:b' does not meet the format "
                            "requirements for destination type 'file'"},
    {"1:stderr 1:bad", "Invalid log destination 'bad' for log output '1:bad'"},
    {"1:file:/tmp/\xc3(", "log outputs must be UTF-8, octet 13 is not"},
};

START_TEST(test_outputs_bad)
{
    fx_refuse(NULL, bad_outputs[_i].given, VADM_ERROR_INVALID_VALUE, bad_outputs[_i].message);
}
END_TEST

START_TEST(test_outputs_good)
{
    g_autofree char *given = g_strdup_printf(
        "3:file:%s/a 1:syslog:x  2:syslog:y 4:journald 2:stderr +1:file:%s/a", fx_dir, fx_dir);
    g_autofree char *shown =
        g_strdup_printf("1:syslog:x 2:syslog:y 4:journald 2:stderr 1:file:%s/a", fx_dir);
    g_autoptr(VadmLogSet) set = fx_set(1, NULL, given);

    ck_assert_str_eq(vadm_log_set_get_outputs(set), shown);
    ck_assert_uint_eq(vadm_log_set_count_outputs(set), 5);
}
END_TEST

START_TEST(test_outputs_default)
{
    static const char *const empty[] = {NULL, "", "  ", " \t\n"};

    for (guint i = 0; i < G_N_ELEMENTS(empty); i++) {
        g_autoptr(VadmLogSet) set =
            vadm_log_set_new(fx_log, 2, NULL, empty[i], "2:journald", NULL, NULL);
        ck_assert_str_eq(vadm_log_set_get_outputs(set), "2:journald");
        ck_assert_uint_eq(vadm_log_set_count_outputs(set), 1);
    }
}
END_TEST

START_TEST(test_outputs_relative)
{
    g_autofree char *shown = g_strdup_printf("1:file:%s/rel.log", fx_dir);
    g_autoptr(VadmLogSet) set = NULL;

    ck_assert_int_eq(g_chdir(fx_dir), 0);
    set = fx_set(3, NULL, "1:file:rel.log");
    ck_assert_str_eq(vadm_log_set_get_outputs(set), shown);
    ck_assert_int_eq(g_access("rel.log", F_OK), 0);
}
END_TEST

START_TEST(test_level_bad)
{
    static const int bad[] = {0, -1, 5};
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_clear_error(&error);
        ck_assert_ptr_null(vadm_log_set_new(fx_log, bad[i], NULL, NULL, NULL, NULL, &error));
        ck_assert(g_error_matches(error, VADM_ERROR, VADM_ERROR_INVALID_VALUE));
    }
}
END_TEST

/* ---- messages ---- */

START_TEST(test_format)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    fx_use_file(1, NULL, "a");
    errno = ERANGE;
    vadm_log_message(fx_log, VADM_LOG_WARN, "x.y", "do_it", 42, "hello %d", 7);
    ck_assert_int_eq(errno, ERANGE);
    FX_SAY(VADM_LOG_ERROR, "x.y",
           "two\nlines\tand \x1b[2J \xc2\x9b"
           "end\n");
    text = fx_read("a");
    lines = g_strsplit(text, "\n", -1);
    ck_assert_uint_eq(g_strv_length(lines), 5);
#define STAMP "^\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d\\.\\d{3}\\+0000: \\d+: "
    ck_assert(g_regex_match_simple(STAMP "info : unit version: 1\\.2\\.3$", lines[0], 0, 0));
    ck_assert(g_regex_match_simple(STAMP "info : hostname: .+$", lines[1], 0, 0));
    ck_assert(g_regex_match_simple(STAMP "warning : do_it:42 : hello 7$", lines[2], 0, 0));
    ck_assert(g_regex_match_simple(STAMP "error : \\w+:\\d+ : two\\?lines\tand \\?\\[2J \\?\\?end$",
                                   lines[3], 0, 0));
    ck_assert_str_eq(lines[4], "");
}
END_TEST

START_TEST(test_format_long)
{
    g_autofree char *big = g_strnfill(100000, 'x');
    g_autofree char *text = NULL;

    fx_use_file(1, NULL, "a");
    FX_SAY(VADM_LOG_WARN, "x", "%s", big);
    text = fx_read("a");
    ck_assert_uint_eq(fx_count(text, "\n"), 3);
    ck_assert(g_str_has_suffix(text, "x [34464 octets cut]\n"));
}
END_TEST

START_TEST(test_syslog)
{
    fx_use(1, NULL, "1:syslog:me");
    vadm_log_message(fx_log, VADM_LOG_ERROR, "x", "func", 3, "text 100%% %s", "%s%n");
    ck_assert(vadm_log_flush(fx_log, SECONDS(10)));
    ck_assert_int_eq(atomic_load(&fake_priority), LOG_ERR);
    ck_assert_int_eq(LOG_DAEMON, 24);
    ck_assert_str_eq(fake_ident, "me/24");
    ck_assert_msg(
        g_regex_match_simple("^\\d+: error : func:3 : text 100% %s%n$", fake_syslog, 0, 0), "%s",
        fake_syslog);
}
END_TEST

START_TEST(test_journald)
{
    fx_use(1, NULL, "1:journald");
    vadm_log_message(fx_log, VADM_LOG_WARN, "x.cat", "func", 3, "text %d", 5);
    ck_assert(vadm_log_flush(fx_log, SECONDS(10)));
    ck_assert_str_eq(fake_journal, "PRIORITY=4\nMESSAGE=text 5\nSYSLOG_IDENTIFIER=unit\n"
                                   "VADM_CATEGORY=x.cat\nCODE_FUNC=func\nCODE_LINE=3\n");
}
END_TEST

START_TEST(test_null_and_default)
{
    g_autofree char *text = NULL;

    vadm_log_message(NULL, VADM_LOG_ERROR, "x", "f", 1, "nobody reads %s", "this");
    ck_assert_ptr_null(vadm_log_get_default());
    fx_use_file(3, NULL, "a");
    vadm_log_set_default(fx_log);
#define VADM_LOG_CATEGORY "unit.test"
    VADM_WARN("by the macro");
    VADM_INFO("below the level");
    text = fx_read("a");
    ck_assert_ptr_nonnull(strstr(text, "by the macro"));
    ck_assert_ptr_null(strstr(text, "below the level"));
}
END_TEST

/* With one output each message is in exactly one counter; the outputs' own levels filter. */
START_TEST(test_stats)
{
    g_autofree char *outputs = g_strdup_printf("2:file:%s/a 4:file:%s/b", fx_dir, fx_dir);
    g_autofree char *a = NULL;
    g_autofree char *b = NULL;
    VadmLogStats stats;

    fx_use(1, "4:quiet", outputs);
    for (int i = 0; i < 10; i++) {
        FX_SAY(VADM_LOG_DEBUG, "x", "m");
        FX_SAY(VADM_LOG_WARN, "x", "m");
        FX_SAY(VADM_LOG_WARN, "quiet", "m");
        FX_SAY(VADM_LOG_ERROR, "quiet", "e!");
    }
    a = fx_read("a");
    b = fx_read("b");
    vadm_log_get_stats(fx_log, 1, &stats);
    ck_assert(stats.emitted == 0 && stats.filtered == 10 && stats.dropped == 0);
    vadm_log_get_stats(fx_log, 3, &stats);
    ck_assert(stats.emitted == 10 && stats.filtered == 10 && stats.dropped == 0);
    vadm_log_get_stats(fx_log, 4, &stats);
    ck_assert(stats.emitted == 10 && stats.filtered == 0 && stats.dropped == 0);
    ck_assert_uint_eq(fx_count(a, "\n"), 2 + 20);
    ck_assert_uint_eq(fx_count(b, "\n"), 2 + 10);
    ck_assert_uint_eq(fx_count(b, "e!"), 10);
}
END_TEST

/* /dev/full fails every write: counted, and the log goes on. */
START_TEST(test_failing_output)
{
    VadmLogStats stats;
    g_autofree char *text = NULL;

    fx_use(1, NULL, "1:file:/dev/full");
    for (int i = 0; i < 5; i++)
        FX_SAY(VADM_LOG_WARN, "x", "m");
    ck_assert(vadm_log_flush(fx_log, SECONDS(10)));
    vadm_log_get_stats(fx_log, 3, &stats);
    ck_assert(stats.emitted == 0 && stats.dropped == 5);
    fx_use_file(1, NULL, "a");
    FX_SAY(VADM_LOG_WARN, "x", "m");
    text = fx_read("a");
    ck_assert_uint_eq(fx_count(text, "\n"), 3);
}
END_TEST

/* A set that is refused changes nothing; one that is not installed neither. */
START_TEST(test_prepare_changes_nothing)
{
    g_autoptr(VadmLogSet) before = NULL;
    g_autoptr(VadmLogSet) after = NULL;
    g_autofree char *text = NULL;

    fx_use_file(2, "1:x", "a");
    before = vadm_log_get_set(fx_log);
    fx_refuse("1:good", "1:bad", VADM_ERROR_INVALID_VALUE,
              "Invalid log destination 'bad' for log output '1:bad'");
    vadm_log_set_unref(fx_set(4, NULL, NULL));
    after = vadm_log_get_set(fx_log);
    ck_assert_ptr_eq(before, after);
    ck_assert_int_eq(vadm_log_set_get_level(after), 2);
    FX_SAY(VADM_LOG_DEBUG, "x", "still here");
    text = fx_read("a");
    ck_assert_uint_eq(fx_count(text, "still here"), 1);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("log");
    TCase *tc = tcase_create("log");

    tcase_add_checked_fixture(tc, fx_setup, fx_teardown);
    tcase_add_loop_test(tc, test_filters_good, 0, (int)G_N_ELEMENTS(good_filters));
    tcase_add_loop_test(tc, test_filters_bad, 0, (int)G_N_ELEMENTS(bad_filters));
    tcase_add_test(tc, test_filters_bound);
    tcase_add_test(tc, test_filters_match);
    tcase_add_loop_test(tc, test_outputs_bad, 0, (int)G_N_ELEMENTS(bad_outputs));
    tcase_add_test(tc, test_outputs_good);
    tcase_add_test(tc, test_outputs_default);
    tcase_add_test(tc, test_outputs_relative);
    tcase_add_test(tc, test_level_bad);
    tcase_add_test(tc, test_format);
    tcase_add_test(tc, test_format_long);
    tcase_add_test(tc, test_syslog);
    tcase_add_test(tc, test_journald);
    tcase_add_test(tc, test_null_and_default);
    tcase_add_test(tc, test_stats);
    tcase_add_test(tc, test_failing_output);
    tcase_add_test(tc, test_prepare_changes_nothing);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
