/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Level and filters of a daemon that has filters only, against a model of what such a daemon does
 * with them (docs/protocol.md, "Logging filters").
 */
#include "agent/remote-private.h"
#include "common/log.h"

#include <fnmatch.h>
#include <string.h>

#include "unit.h"

#define ROUNDS 20000

/* ---- the model of the daemon ---- */

/* What the daemon shows after @text was set. */
static char *
daemon_set(const char *text)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    GString *raw = g_string_new(NULL);

    for (char **word = words; *word; word++) {
        g_auto(GStrv) parts = g_strsplit(*word, ":", -1);
        const char *match;
        guint64 level;

        if (!**word)
            continue;
        ck_assert_msg(g_strv_length(parts) >= 2, "refused: '%s'", *word);
        match = *parts[1] == '+' ? parts[1] + 1 : parts[1];
        ck_assert_msg(*match != '\0', "refused: '%s'", *word);
        ck_assert_msg(g_ascii_string_to_unsigned(parts[0], 10, 1, 4, &level, NULL), "refused: '%s'",
                      *word);
        g_string_append_printf(raw, "%d:*%s* ", (int)level, match);
    }
    return g_string_free(raw, FALSE);
}

/* The level from which on messages of @category are logged; 5: the daemon's own. */
static int
daemon_level(const char *raw, const char *category)
{
    g_auto(GStrv) words = g_strsplit(raw, " ", -1);

    for (char **word = words; *word; word++) {
        if (**word && fnmatch(*word + 2, category, 0) == 0)
            return **word - '0';
    }
    return 5;
}

static void
assert_same_effect(const char *one, const char *other)
{
    static const char *const categories[] = {"",     "a",   "b",   "+",     "ab",  "ba",   "a.b",
                                             "+a",   "a+b", "aab", "abab",  "b.a", "a.+b", ".",
                                             "bb.a", "ab.", "++",  "b+a.b", "c",   "c.ca"};

    for (guint i = 0; i < G_N_ELEMENTS(categories); i++) {
        int left = daemon_level(one, categories[i]), right = daemon_level(other, categories[i]);

        ck_assert_msg(left == right, "category '%s': %d by '%s', %d by '%s'", categories[i], left,
                      one, right, other);
    }
}

/* ---- showing ---- */

static const struct {
    const char *raw, *filters;
    guint32 level;
} shows[] = {
    {"", "", 5},
    {"   ", "", 5},
    {"1:*util* 2:*b* ", "1:util 2:b", 5},
    {"1:*util*", "1:util", 5},
    {"1:*** ", "", 1},
    {"4:***** 1:*** ", "", 4},
    {"1:*a* 3:*** 2:*b* 4:*** ", "1:a 2:b", 3},
    {"1:**util* 2:*util** 3:**util** ", "1:*util 2:util* 3:*util*", 5},
    {"1:*+a* ", "1:++a", 5}, /* the daemon drops the first one */
    {"1:*++a* ", "1:+++a", 5},
    {"1:*?* ", "1:?", 5}, /* not the empty one, so it is a filter like others */
    {"1:*a*b* ", "1:a*b", 5},
    {"2:** ", "", 2},
    {"2:* ", "", 2},
    {"2:a ", "2:a", 5},
    {"nonsense 3:*** ", "nonsense", 3},
    {"1:*a\xff* ", "1:a\xef\xbf\xbd", 5},
};

START_TEST(test_show)
{
    guint32 level = 0;
    g_autofree char *shown = vadm_remote_log_show(shows[_i].raw, &level);

    ck_assert_str_eq(shown, shows[_i].filters);
    ck_assert_uint_eq(level, shows[_i].level);
}
END_TEST

START_TEST(test_show_of_nothing)
{
    guint32 level = 0;
    g_autofree char *shown = vadm_remote_log_show(NULL, &level);
    g_autofree char *sent = vadm_remote_log_compose(NULL, NULL, 2, NULL);

    ck_assert_str_eq(shown, "");
    ck_assert_uint_eq(level, 5);
    ck_assert_str_eq(sent, "2:*");
}
END_TEST

/* ---- composing ---- */

static const struct {
    const char *raw, *filters;
    guint32 level;
    const char *sent;
} composes[] = {
    {"", NULL, 0, ""},
    {"", NULL, 5, ""},
    {"", "", 0, ""},
    {"", NULL, 1, "1:*"},
    {"1:*a* ", NULL, 2, "1:a 2:*"},
    {"1:*a* 3:*** ", NULL, 2, "1:a 2:*"},
    {"3:*** 1:*a* ", NULL, 2, "2:* 1:a"}, /* in its place, although nothing behind it acts */
    {"3:*** 1:*a* 4:*** ", NULL, 2, "2:* 1:a 4:*"},
    {"3:*** 1:*a* 4:*** ", NULL, 5, "1:a"},
    {"1:*** ", NULL, 5, ""},
    {"3:*** 1:*a* ", NULL, 3, "3:* 1:a"},
    {"3:*** 1:*a* ", "1:a", 0, "3:* 1:a"}, /* as it is shown: nothing moves */
    {"3:*** 1:*a* ", " 01:+a ", 0, "3:* 1:a"},
    {"3:*** 1:*a* ", "1:a", 3, "3:* 1:a"},
    {"3:*** 1:*a* ", "1:a", 4, "4:* 1:a"},
    {"3:*** 1:*a* ", "1:a", 5, "1:a"},
    {"3:*** 1:*a* ", "1:b", 0, "1:b 3:*"}, /* others: all of them act */
    {"3:*** 1:*a* ", "1:b", 2, "1:b 2:*"},
    {"3:*** 1:*a* ", "1:b", 5, "1:b"},
    {"3:*** 1:*a* ", "", 0, "3:*"},
    {"3:*** 1:*a* ", "", 5, ""},
    {"3:*** 1:*a* ", "   ", 2, "2:*"},
    {"", "1:a", 0, "1:a"},
    {"1:*a* ", "4:*", 0, "4:*"}, /* it is the level */
    {"1:*a* 2:*** ", "1:b 4:** 2:c", 0, "1:b 4:** 2:c"},
    {"1:*+a* ", NULL, 3, "1:++a 3:*"},
    {"1:*+a* ", "1:++a", 3, "1:++a 3:*"},
    {"1:**a** ", NULL, 3, "1:*a* 3:*"},
    {"", "1:a:b", 0, "1:a"},
    {"1:*a\xff* ", "1:a\xef\xbf\xbd", 3, "1:a\xff 3:*"},
    {"nonsense ", "nonsense", 3, "nonsense 3:*"},
};

START_TEST(test_compose)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *sent =
        vadm_remote_log_compose(composes[_i].raw, composes[_i].filters, composes[_i].level, &error);

    ck_assert_msg(sent != NULL, "%s", error ? error->message : "no error");
    ck_assert_str_eq(sent, composes[_i].sent);
}
END_TEST

static const struct {
    const char *filters;
    guint32 level;
    int code;
    const char *message;
} refused[] = {
    {"9:a", 0, VADM_ERROR_INVALID_VALUE, "Invalid priority '9' for filter '9:a'"},
    {"3:ok x:a", 2, VADM_ERROR_INVALID_VALUE, "Invalid priority 'x' for filter 'x:a'"},
    {"util", 0, VADM_ERROR_INVALID_VALUE, "Malformed format for filter 'util'"},
    {"1:", 0, VADM_ERROR_INVALID_VALUE, "Invalid match string ''"},
    {"1:+", 0, VADM_ERROR_INVALID_VALUE, "Invalid match string '+'"},
    {"2:a 1:*", 3, VADM_ERROR_INCONSISTENT, NULL},
    {"2:a 1:+**", 5, VADM_ERROR_INCONSISTENT, NULL},
    {"1:*", 1, VADM_ERROR_INCONSISTENT, NULL}, /* even if they agree: which of them is meant? */
};

START_TEST(test_refused)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *sent =
        vadm_remote_log_compose("2:*a* 1:*** ", refused[_i].filters, refused[_i].level, &error);

    ck_assert_ptr_null(sent);
    ck_assert(g_error_matches(error, VADM_ERROR, refused[_i].code));
    if (refused[_i].message)
        ck_assert_str_eq(error->message, refused[_i].message);
    else
        ck_assert(strstr(error->message, "everything"));
}
END_TEST

/* ---- properties ---- */

static gboolean
is_everything(const char *given)
{
    const char *match = *given == '+' ? given + 1 : given;

    return strspn(match, "*") == strlen(match);
}

static char *
random_filters(GRand *random, gboolean may_match_everything)
{
    static const char alphabet[] = "ab+.*?";
    GString *text = g_string_new(NULL);
    gint32 count = g_rand_int_range(random, 0, 5);

    for (gint32 i = 0; i < count; i++) {
        gint32 length = g_rand_int_range(random, 1, 4);
        char match[4] = "";

        for (gint32 j = 0; j < length; j++)
            match[j] = alphabet[g_rand_int_range(random, 0, sizeof(alphabet) - 1)];
        if (strcmp(match, "+") == 0)
            continue;
        if (!may_match_everything && is_everything(match))
            continue;
        g_string_append_printf(text, "%s%d:%s", text->len ? " " : "",
                               g_rand_int_range(random, 1, 5), match);
    }
    return g_string_free(text, FALSE);
}

/* Setting what is shown, all of it or a part, changes nothing. */
START_TEST(test_property_show_compose)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(20);

    for (guint round = 0; round < ROUNDS; round++) {
        g_autofree char *text = random_filters(random, TRUE);
        g_autofree char *raw = daemon_set(text);
        guint32 level, again_level;
        g_autofree char *shown = vadm_remote_log_show(raw, &level);
        g_autofree char *as_is = vadm_remote_log_compose(raw, NULL, 0, NULL);
        guint how = round % 4;
        g_autofree char *sent =
            vadm_remote_log_compose(raw, how & 1 ? shown : NULL, how & 2 ? level : 0, NULL);
        g_autofree char *after = NULL;
        g_autofree char *again = NULL;

        ck_assert_str_eq(sent, as_is);
        after = daemon_set(sent);
        ck_assert_str_eq(after, raw);
        assert_same_effect(raw, after);
        again = vadm_remote_log_show(after, &again_level);
        ck_assert_str_eq(again, shown);
        ck_assert_uint_eq(again_level, level);
    }
}
END_TEST

/* What was set is shown, and acts: filters that all have their say, then the level. */
START_TEST(test_property_set_show)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(21);

    for (guint round = 0; round < ROUNDS; round++) {
        g_autofree char *before = random_filters(random, TRUE);
        g_autofree char *raw = daemon_set(before);
        g_autofree char *text = random_filters(random, FALSE);
        g_autofree char *wish = vadm_log_normalise_filters(text, NULL);
        guint32 old_level, level = (guint32)g_rand_int_range(random, 0, 6), got;
        g_autofree char *old = vadm_remote_log_show(raw, &old_level);
        g_autofree char *sent = vadm_remote_log_compose(raw, text, level, NULL);
        g_autofree char *after = NULL;
        g_autofree char *predicted = NULL;
        g_autofree char *as_sent = NULL;
        g_autofree char *shown = NULL;
        g_autofree char *ideal = NULL;
        g_autofree char *ideal_raw = NULL;

        ck_assert_ptr_nonnull(sent);
        after = daemon_set(sent);
        predicted = vadm_remote_log_predict(sent);
        ck_assert_str_eq(predicted, after);
        as_sent = vadm_remote_log_compose(after, NULL, 0, NULL);
        ck_assert_str_eq(as_sent, sent);
        shown = vadm_remote_log_show(after, &got);
        ck_assert_str_eq(shown, wish);
        ck_assert_uint_eq(got, level ? level : old_level);
        if (strcmp(old, wish) == 0)
            continue;
        ideal = got == 5 ? g_strdup(text) : g_strdup_printf("%s %u:*", text, got);
        ideal_raw = daemon_set(ideal);
        assert_same_effect(after, ideal_raw);
    }
}
END_TEST

/* The level alone leaves the filters as they are, and back is as before. */
START_TEST(test_property_level)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(22);

    for (guint round = 0; round < ROUNDS; round++) {
        g_autofree char *text = random_filters(random, TRUE);
        g_autofree char *raw = daemon_set(text);
        guint32 level, got;
        g_autofree char *shown = vadm_remote_log_show(raw, &level);
        guint32 wanted = (guint32)g_rand_int_range(random, 1, 6);
        g_autofree char *sent = vadm_remote_log_compose(raw, NULL, wanted, NULL);
        g_autofree char *after = daemon_set(sent);
        g_autofree char *kept = vadm_remote_log_show(after, &got);
        g_autofree char *back = NULL;
        g_autofree char *restored = NULL;

        ck_assert_str_eq(kept, shown);
        ck_assert_uint_eq(got, wanted);
        if (level == 5 || wanted == 5)
            continue;
        back = vadm_remote_log_compose(after, NULL, level, NULL);
        restored = daemon_set(back);
        ck_assert_str_eq(restored, raw);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("remote-log");
    TCase *tc = tcase_create("log");

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test_show, 0, G_N_ELEMENTS(shows));
    tcase_add_test(tc, test_show_of_nothing);
    tcase_add_loop_test(tc, test_compose, 0, G_N_ELEMENTS(composes));
    tcase_add_loop_test(tc, test_refused, 0, G_N_ELEMENTS(refused));
    tcase_add_test(tc, test_property_show_compose);
    tcase_add_test(tc, test_property_set_show);
    tcase_add_test(tc, test_property_level);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
