/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Configuration files that are almost right: each is taken, and prints to a text that loads to
 * the same, or refused by name; none is half of both. VADM_FUZZ_RUNS sets how many. */
#include "unit.h"

#include <glib/gstdio.h>
#include <string.h>

#include "common/error.h"
#include "daemon/config.h"

#define RUNS 3000

static const char *const tokens[] = {
    "[",
    "]",
    "=",
    "\n",
    "\r\n",
    "#",
    ";",
    "\\",
    "\\s",
    " ",
    "-1",
    "0",
    "4294967296",
    "18446744073709551616",
    "\xc3\xa9",
    "\xff",
    "\xef\xbb\xbf",
    "[admin]",
    "true",
    "unix:",
    "unix:/a;unix:/a",
    "[server x]",
    "0x10",
    "1e3",
    "+5",
    "é",
    "tcp:[::1]:",
    "tcp:[fe80::1%lo]:16509",
    "tls:0.0.0.0:1",
    "ca_file = /a\ncert_file = /b\nkey_file = /c\n",
    "[server admin]",
    "level[de]",
    "admin",
    "%s%n",
    "../..",
    "\t",
    "1001",
    "[server libvirtd]",
    "index = 2",
    "\x01",
    "max_workers",
    "relay",
    "",
    "//",
    "min_workers = 1000",
};

static char *
seed_text(GRand *rand)
{
    g_autoptr(VadmConfig) config = vadm_config_new();
    char *text = NULL;

    if (g_rand_boolean(rand))
        return vadm_config_to_text(config);
    ck_assert(g_file_get_contents(EXAMPLE, &text, NULL, NULL));
    return text;
}

/* The next value is another one, so that more of them get as far as that. */
static void
mutate_value(GString *text, gsize at, GRand *rand)
{
    const char *equals = memchr(text->str + at, '=', text->len - at);
    const char *end = equals ? strchr(equals, '\n') : NULL;
    g_autofree char *number = g_strdup_printf("%d", g_rand_int_range(rand, 0, 30));
    guint token = (guint)g_rand_int_range(rand, 0, G_N_ELEMENTS(tokens));
    gssize begin;

    if (!end)
        return;
    begin = equals - text->str + 1;
    g_string_erase(text, begin, end - equals - 1);
    g_string_insert(text, begin, g_rand_boolean(rand) ? number : tokens[token]);
}

static void
mutate(GString *text, GRand *rand)
{
    gsize at = (gsize)g_rand_int_range(rand, 0, (gint32)text->len + 1);
    gsize want = (gsize)g_rand_int_range(rand, 0, 40);
    gsize span = MIN(want, text->len - at);
    g_autofree char *copy = g_strndup(text->str + at, span);

    switch (g_rand_int_range(rand, 0, 12)) {
    case 0:
        g_string_insert(text, (gssize)at, tokens[g_rand_int_range(rand, 0, G_N_ELEMENTS(tokens))]);
        break;
    case 1:
        g_string_erase(text, (gssize)at, (gssize)span);
        break;
    case 2:
        g_string_insert(text, g_rand_int_range(rand, 0, (gint32)text->len + 1), copy);
        break;
    case 3:
        if (at < text->len)
            text->str[at] = (char)(text->str[at] ^ 1 << g_rand_int_range(rand, 0, 8));
        break;
    default:
        mutate_value(text, at, rand);
        break;
    }
}

static VadmConfig *
load(const char *path, const char *text, gssize length, GError **error)
{
    /* Not all versions of GLib truncate what is there; a safe replacement syncs each file. */
    g_unlink(path);
    ck_assert(g_file_set_contents_full(path, text, length, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
    return vadm_config_load(path, error);
}

static void
check_taken(const char *path, const VadmConfig *config)
{
    g_autofree char *text = vadm_config_to_text(config);
    g_autoptr(GError) error = NULL;
    g_autoptr(VadmConfig) again = load(path, text, -1, &error);
    g_autoptr(VadmConfig) before = vadm_config_new();
    g_autoptr(VadmConfig) merged = NULL;
    g_autofree char *twice = NULL;
    g_autofree char *statics = NULL;
    g_autofree char *diff = NULL;

    ck_assert_msg(again, "%s\n%s", error ? error->message : "", text);
    twice = vadm_config_to_text(again);
    ck_assert_str_eq(text, twice);
    ck_assert(vadm_config_validate(config, NULL, NULL, NULL));
    merged = vadm_config_merge_reload(before, before, config, &statics);
    diff = vadm_config_diff(before, merged);
    ck_assert_uint_eq(merged->servers->len, before->servers->len);
}

START_TEST(almost_right_files)
{
    const char *wish = g_getenv("VADM_FUZZ_RUNS");
    guint64 runs = wish ? g_ascii_strtoull(wish, NULL, 10) : RUNS;
    g_autofree char *dir = g_dir_make_tmp("vadm.XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "fuzz.conf", NULL);
    g_autoptr(GRand) rand = g_rand_new_with_seed(6906);
    guint64 taken = 0;

    for (guint64 i = 0; i < runs; i++) {
        g_autofree char *seed = seed_text(rand);
        g_autoptr(GString) text = g_string_new(seed);
        g_autoptr(GError) error = NULL;
        g_autoptr(VadmConfig) config = NULL;

        for (gint n = g_rand_int_range(rand, 1, 4); n > 0; n--)
            mutate(text, rand);
        config = load(path, text->str, (gssize)text->len, &error);
        ck_assert_msg(!config == !!error, "%s", text->str);
        if (config) {
            check_taken(path, config);
            taken++;
            continue;
        }
        ck_assert(g_error_matches(error, VADM_ERROR, VADM_ERROR_CONFIG));
        ck_assert_msg(g_str_has_prefix(error->message, path), "%s", error->message);
        ck_assert(g_utf8_validate(error->message, -1, NULL));
    }
    /* else nothing got as far as the values, or nothing was wrong */
    ck_assert_uint_gt(taken, runs / 20);
    ck_assert_uint_lt(taken, runs);
    g_unlink(path);
    g_rmdir(dir);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("config-fuzz");
    TCase *tc = tcase_create("file");

    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, almost_right_files);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
