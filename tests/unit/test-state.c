/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unit.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/state.h"

static char *dir, *conf, *path;
static GPtrArray *warnings;
static GHashTable *applied;

static void
setup(void)
{
    dir = g_dir_make_tmp("virtadm-state-XXXXXX", NULL);
    ck_assert_ptr_nonnull(dir);
    conf = g_build_filename(dir, "virtadmd.conf", NULL);
    path = g_build_filename(dir, "virtadmd.state", NULL);
    warnings = g_ptr_array_new_with_free_func(g_free);
    applied = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

static void
teardown(void)
{
    g_autoptr(GDir) entries = g_dir_open(dir, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(entries)) != NULL) {
        g_autofree char *full = g_build_filename(dir, name, NULL);
        g_remove(full);
    }
    g_rmdir(dir);
    g_free(dir);
    g_free(conf);
    g_free(path);
    g_ptr_array_unref(warnings);
    g_hash_table_unref(applied);
}

/* What the configuration file says when it has this text. */
static VadmConfig *
file_of(const char *text)
{
    g_autoptr(GError) error = NULL;
    VadmConfig *config;

    ck_assert(g_file_set_contents(conf, text, -1, NULL));
    config = vadm_config_load(conf, &error);
    ck_assert_msg(config != NULL, "%s", error ? error->message : "");
    return config;
}

/* A running configuration that came from that text. */
static VadmConfig *
running_from(const char *text)
{
    g_autoptr(VadmConfig) file = file_of(text);
    VadmConfig *config = vadm_config_copy(file);

    config->file = vadm_config_copy(file);
    config->base = vadm_config_copy(file);
    return config;
}

static VadmServerLimits *
limits_of(VadmConfig *config, const char *server)
{
    return &vadm_config_find_server(config, server)->limits;
}

static void
write_state(const char *text, gssize length)
{
    unlink(path);
    ck_assert(g_file_set_contents_full(path, text, length, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
}

static void
store(const VadmConfig *config)
{
    g_autofree char *text = vadm_state_to_text(config);

    write_state(text, -1);
}

/* A state file with a right checksum and any text. */
static void
store_body(const char *body)
{
    g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, body, -1);
    g_autofree char *text = g_strdup_printf("# sha256 %s\n%s", sum, body);

    write_state(text, -1);
}

/* The configuration of the next start, when the file has this text. */
static VadmConfig *
start_with(const char *text, VadmStateResult expected)
{
    VadmConfig *config = file_of(text);

    g_ptr_array_set_size(warnings, 0);
    g_hash_table_remove_all(applied);
    ck_assert_int_eq(vadm_state_load(path, config, applied, warnings), expected);
    ck_assert(vadm_config_validate(config, NULL, NULL, NULL));
    ck_assert_int_eq(config->storage == VADM_STORAGE_NON_VOLATILE, expected == VADM_STATE_APPLIED);
    return config;
}

/* There are that many warnings, and the first has all of these words. */
static void
assert_warnings(guint count, ...)
{
    g_autofree char *all = NULL;
    const char *word;
    va_list words;

    g_ptr_array_add(warnings, NULL);
    all = g_strjoinv("\n", (char **)warnings->pdata);
    g_ptr_array_remove_index(warnings, warnings->len - 1);
    ck_assert_msg(warnings->len == count, "%u warnings: %s", warnings->len, all);
    va_start(words, count);
    while ((word = va_arg(words, const char *)) != NULL)
        ck_assert_msg(strstr(all, word) != NULL, "no '%s' in: %s", word, all);
    va_end(words);
}

static const char *
instead_of(const char *name)
{
    return g_hash_table_lookup(applied, name);
}

START_TEST(nothing_stored)
{
    g_autoptr(VadmConfig) config = start_with("[log]\nlevel = 2\n", VADM_STATE_NONE);

    ck_assert_uint_eq(config->log_level, 2);
    assert_warnings(0, NULL);
}
END_TEST

START_TEST(only_overrides_are_stored)
{
    g_autoptr(VadmConfig) config = running_from("[server libvirtd]\nmax_workers = 30\n");
    g_autofree char *text = NULL;

    limits_of(config, "libvirtd")->workers_max = 40;
    text = vadm_state_to_text(config);
    ck_assert_ptr_nonnull(
        strstr(text, "\n[server libvirtd]\nmax_workers=40\nmax_workers.file=30\n"));
    ck_assert_ptr_null(strstr(text, "min_workers"));
    ck_assert_ptr_null(strstr(text, "[log]"));
    ck_assert_ptr_null(strstr(text, "[server admin]"));
}
END_TEST

START_TEST(nothing_changed_is_storage_alone)
{
    g_autoptr(VadmConfig) config = running_from("");
    g_autoptr(VadmConfig) again = NULL;

    store(config);
    again = start_with("", VADM_STATE_APPLIED);
    ck_assert_uint_eq(g_hash_table_size(applied), 0);
    assert_warnings(0, NULL);
}
END_TEST

/* Each runtime key of the table, and each server. */
START_TEST(every_runtime_key_comes_back)
{
    const char *file =
        "[server libvirtd]\n[server two]\nindex = 3\nlisten = unix:two\nupstream = unix:/x\n";
    g_autoptr(VadmConfig) config = running_from(file);
    g_autoptr(VadmConfig) again = NULL;
    g_autofree char *difference = NULL;
    VadmServerLimits odd = {3, 33, 4, 700, 70, 55, 4294967295u};

    config->storage = VADM_STORAGE_NON_VOLATILE;
    config->log_level = 1;
    g_free(config->log_filters);
    config->log_filters = g_strdup("1:a\\b 3:c;d");
    g_free(config->log_outputs);
    config->log_outputs = g_strdup("2:stderr 1:syslog:x");
    config->notify_enable = 0x18;
    config->notify_min_interval = 0;
    *limits_of(config, "libvirtd") = *limits_of(config, "two") = *limits_of(config, "admin") = odd;
    store(config);
    again = start_with(file, VADM_STATE_APPLIED);
    assert_warnings(0, NULL);
    difference = vadm_config_diff(config, again);
    ck_assert_str_eq(difference, "");
    ck_assert_uint_eq(g_hash_table_size(applied), 5 + 3 * 7);
    ck_assert_str_eq(instead_of("[log] level"), "3");
    ck_assert_str_eq(instead_of("[log] outputs"), "1:stderr");
    ck_assert_str_eq(instead_of("[server two] max_clients"), "5000");
    ck_assert_str_eq(instead_of("[server admin] max_clients"), "50");
    ck_assert(!again->log_outputs_guarded);
}
END_TEST

START_TEST(what_need_a_restart_is_not_stored)
{
    g_autoptr(VadmConfig) config = running_from("");
    g_autofree char *text = NULL;

    config->shutdown_timeout = 99;
    text = vadm_state_to_text(config);
    ck_assert_ptr_null(strstr(text, "shutdown_timeout"));
}
END_TEST

/* The base has what environment and command line say: no override, and nothing to go back to. */
START_TEST(environment_is_no_override)
{
    g_autoptr(VadmConfig) config = running_from("[log]\nlevel = 4\n");
    g_autofree char *text = NULL;

    config->base->log_level = config->log_level = 1;
    text = vadm_state_to_text(config);
    ck_assert_ptr_null(strstr(text, "level"));
    config->log_level = 2;
    g_free(text);
    text = vadm_state_to_text(config);
    ck_assert_ptr_nonnull(strstr(text, "[log]\nlevel=2\nlevel.file=4\n"));
}
END_TEST

START_TEST(without_file_and_base_nothing_differs)
{
    g_autoptr(VadmConfig) config = file_of("[log]\nlevel = 4\n");
    g_autofree char *text = vadm_state_to_text(config);

    ck_assert_ptr_null(strstr(text, "level"));
    ck_assert_ptr_nonnull(strstr(text, "storage=nonVolatile"));
}
END_TEST

/* What a log set understood is spelled otherwise than the file. */
START_TEST(spelling_is_no_override)
{
    const char *file = "[log]\nfilters = 01:a   2:+b\noutputs =\n";
    g_autoptr(VadmConfig) config = running_from(file);
    g_autoptr(VadmConfig) again = NULL;
    g_autofree char *text = NULL;

    g_free(config->log_filters);
    config->log_filters = g_strdup("1:a 2:b");
    g_free(config->log_outputs);
    config->log_outputs = g_strdup("1:stderr");
    text = vadm_state_to_text(config);
    ck_assert_ptr_null(strstr(text, "[log]"));
    g_free(config->log_filters);
    config->log_filters = g_strdup("4:c");
    store(config);
    again = start_with("[log]\nfilters = 1:a 2:b\n", VADM_STATE_APPLIED);
    ck_assert_str_eq(again->log_filters, "4:c");
    assert_warnings(0, NULL);
}
END_TEST

START_TEST(the_edited_file_wins)
{
    g_autoptr(VadmConfig) config = running_from("[log]\nlevel = 4\n");
    g_autoptr(VadmConfig) again = NULL;

    config->log_level = 2;
    limits_of(config, "libvirtd")->workers_max = 40;
    store(config);
    again = start_with("[log]\nlevel = 1\n", VADM_STATE_APPLIED);
    ck_assert_uint_eq(again->log_level, 1);
    ck_assert_uint_eq(limits_of(again, "libvirtd")->workers_max, 40);
    ck_assert_ptr_null(instead_of("[log] level"));
    ck_assert_str_eq(instead_of("[server libvirtd] max_workers"), "20");
    assert_warnings(1, path, "[log] level", "'2'", "'4'", "'1'", NULL);
}
END_TEST

/* The file says by default now what it said in words: that is no edit. */
START_TEST(default_is_a_value)
{
    g_autoptr(VadmConfig) config = running_from("[log]\nlevel = 3\n");
    g_autoptr(VadmConfig) again = NULL;

    config->log_level = 2;
    store(config);
    again = start_with("", VADM_STATE_APPLIED);
    ck_assert_uint_eq(again->log_level, 2);
    assert_warnings(0, NULL);
}
END_TEST

START_TEST(a_server_that_is_gone)
{
    const char *two =
        "[server libvirtd]\n[server two]\nindex = 3\nlisten = unix:two\nupstream = unix:/x\n";
    g_autoptr(VadmConfig) config = running_from(two);
    g_autoptr(VadmConfig) again = NULL;

    limits_of(config, "two")->workers_max = 40;
    config->log_level = 2;
    store(config);
    again = start_with("", VADM_STATE_APPLIED);
    ck_assert_uint_eq(again->log_level, 2);
    assert_warnings(1, "[server two]", NULL);
}
END_TEST

/* A reload took it out of the file while it still runs. */
START_TEST(a_server_that_the_file_lost)
{
    const char *two =
        "[server libvirtd]\n[server two]\nindex = 3\nlisten = unix:two\nupstream = unix:/x\n";
    g_autoptr(VadmConfig) config = running_from(two);
    g_autofree char *text = NULL;

    vadm_config_unref(config->file);
    vadm_config_unref(config->base);
    config->file = file_of("");
    config->base = vadm_config_copy(config->file);
    limits_of(config, "two")->workers_max = 40;
    text = vadm_state_to_text(config);
    ck_assert_ptr_null(strstr(text, "two"));
}
END_TEST

START_TEST(what_is_unknown_is_left_out)
{
    g_autoptr(VadmConfig) config = NULL;

    store_body("[state]\nversion=1\nstorage=nonVolatile\n"
               "[nonsense]\na=1\na.file=2\n"
               "[log]\nlevle=1\nlevle.file=3\nlevel=2\nlevel.file=3\n"
               "[daemon]\nname=other\nname.file=virtadmd\n");
    config = start_with("", VADM_STATE_APPLIED);
    ck_assert_uint_eq(config->log_level, 2);
    ck_assert_str_eq(config->name, "virtadmd");
    assert_warnings(3, "[nonsense]", "levle", "[daemon] name", NULL);
}
END_TEST

START_TEST(bad_values_are_left_out)
{
    g_autoptr(VadmConfig) config = NULL;

    store_body("[state]\nversion=1\nstorage=nonVolatile\n"
               "[log]\nlevel=9\nlevel.file=3\n"
               "filters=9:x\nfilters.file=\noutputs=1:nowhere\noutputs.file=1:stderr\n"
               "[notify]\nenable=nosuch\n"
               "enable.file=clientLimit;unauthLimit;clientHigh;workers;config;daemon;authFailure;"
               "upstream;\nmin_interval=9\n"
               "[server libvirtd]\nmax_workers=\\q\nmax_workers.file=20\n"
               "max_clients=77\nmax_clients.file=5000\n");
    config = start_with("", VADM_STATE_APPLIED);
    ck_assert_uint_eq(limits_of(config, "libvirtd")->clients_max, 77);
    ck_assert_uint_eq(config->log_level, 3);
    ck_assert_uint_eq(config->notify_min_interval, 5);
    ck_assert_str_eq(config->log_filters, "");
    ck_assert_str_eq(config->log_outputs, "1:stderr");
    assert_warnings(6, "[log] level: the stored value '9'", "filters", "nowhere", "nosuch",
                    "min_interval", "\\q", NULL);
    ck_assert_uint_eq(g_hash_table_size(applied), 1);
}
END_TEST

/* Stored alone it was valid; with what the file says now it is not. */
START_TEST(contradictions_are_left_out)
{
    g_autoptr(VadmConfig) config = running_from("");
    g_autoptr(VadmConfig) again = NULL;

    limits_of(config, "libvirtd")->workers_max = 8;
    limits_of(config, "libvirtd")->workers_priority = 1;
    limits_of(config, "admin")->workers_max = 9;
    config->log_level = 1;
    store(config);
    again = start_with("[server libvirtd]\nmin_workers = 10\n", VADM_STATE_APPLIED);
    ck_assert_uint_eq(limits_of(again, "libvirtd")->workers_max, 20);
    ck_assert_uint_eq(limits_of(again, "libvirtd")->workers_min, 10);
    ck_assert_uint_eq(limits_of(again, "libvirtd")->workers_priority, 1);
    ck_assert_uint_eq(limits_of(again, "admin")->workers_max, 9);
    ck_assert_uint_eq(again->log_level, 1);
    assert_warnings(1, "[server libvirtd] max_workers: the stored value '8' is not used",
                    "minWorkers cannot be larger than maxWorkers", NULL);
    ck_assert_ptr_null(instead_of("[server libvirtd] max_workers"));
}
END_TEST

START_TEST(contradictions_of_two_servers_and_fields)
{
    g_autoptr(VadmConfig) config = running_from("");
    g_autoptr(VadmConfig) again = NULL;

    limits_of(config, "libvirtd")->workers_max = 8;
    limits_of(config, "libvirtd")->clients_max = 30;
    limits_of(config, "admin")->clients_unauth_max = 40;
    limits_of(config, "admin")->workers_priority = 2;
    store(config);
    again = start_with("[server libvirtd]\nmin_workers = 9\nmax_anonymous_clients = 31\n"
                       "[server admin]\nmax_clients = 39\n",
                       VADM_STATE_APPLIED);
    ck_assert_uint_eq(limits_of(again, "libvirtd")->workers_max, 20);
    ck_assert_uint_eq(limits_of(again, "libvirtd")->clients_max, 5000);
    ck_assert_uint_eq(limits_of(again, "admin")->clients_unauth_max, 0);
    ck_assert_uint_eq(limits_of(again, "admin")->workers_priority, 2);
    assert_warnings(3, "max_workers", "max_clients", "max_anonymous_clients", NULL);
}
END_TEST

/* Neither of them alone is what is wrong: the file allows neither. */
START_TEST(contradictions_that_need_several)
{
    g_autoptr(VadmConfig) config = NULL;

    store_body("[state]\nversion=1\nstorage=nonVolatile\n"
               "[server libvirtd]\nmin_workers=30\nmin_workers.file=26\n"
               "max_workers=25\nmax_workers.file=28\n"
               "[log]\nlevel=1\nlevel.file=3\n");
    config =
        start_with("[server libvirtd]\nmin_workers = 26\nmax_workers = 28\n", VADM_STATE_APPLIED);
    ck_assert_uint_eq(limits_of(config, "libvirtd")->workers_min, 26);
    ck_assert_uint_eq(limits_of(config, "libvirtd")->workers_max, 28);
    ck_assert_uint_eq(config->log_level, 1);
    assert_warnings(2, "min_workers", "max_workers", NULL);
}
END_TEST

START_TEST(guarded_outputs_stay_guarded)
{
    g_autoptr(VadmConfig) config = running_from("");
    g_autoptr(VadmConfig) again = NULL;

    config->log_outputs_guarded = TRUE;
    store(config);
    again = start_with("", VADM_STATE_APPLIED);
    /* The file's own outputs: no manager has a hand in them. */
    ck_assert(!again->log_outputs_guarded);
    g_free(config->log_outputs);
    config->log_outputs = g_strdup("1:file:/var/log/virtadm/x");
    store(config);
    vadm_config_unref(again);
    again = start_with("", VADM_STATE_APPLIED);
    ck_assert(again->log_outputs_guarded);
    ck_assert_str_eq(again->log_outputs, "1:file:/var/log/virtadm/x");
    assert_warnings(0, NULL);
    vadm_config_unref(again);
    again = start_with("[log]\noutputs = 2:stderr\n", VADM_STATE_APPLIED);
    ck_assert(!again->log_outputs_guarded);
    config->log_outputs_guarded = FALSE;
    store(config);
    vadm_config_unref(again);
    again = start_with("", VADM_STATE_APPLIED);
    ck_assert(!again->log_outputs_guarded);
}
END_TEST

/* ---- damage ---- */

static char *
good_state(gsize *length)
{
    g_autoptr(VadmConfig) config = running_from("");
    char *text;

    limits_of(config, "libvirtd")->workers_max = 40;
    config->log_level = 2;
    text = vadm_state_to_text(config);
    *length = strlen(text);
    return text;
}

static void
assert_damaged(const char *text, gsize length, const char *what, gsize where)
{
    g_autoptr(VadmConfig) config = file_of("");
    g_autofree char *before = vadm_config_to_text(config);
    g_autofree char *after = NULL;

    write_state(text, (gssize)length);
    g_ptr_array_set_size(warnings, 0);
    ck_assert_msg(vadm_state_load(path, config, applied, warnings) == VADM_STATE_DAMAGED,
                  "%s at %zu: was taken", what, where);
    after = vadm_config_to_text(config);
    ck_assert_str_eq(before, after);
    ck_assert_int_eq(config->storage, VADM_STORAGE_VOLATILE);
    assert_warnings(1, path, "damaged", NULL);
}

START_TEST(every_truncation_is_found)
{
    gsize length;
    g_autofree char *text = good_state(&length);

    for (gsize left = 0; left < length; left++)
        assert_damaged(text, left, "truncation", left);
}
END_TEST

START_TEST(every_flipped_bit_is_found)
{
    gsize length;
    g_autofree char *text = good_state(&length);

    for (gsize at = 0; at < length; at++) {
        text[at] = (char)(text[at] ^ (1 << (at % 8)));
        assert_damaged(text, length, "bit", at);
        text[at] = (char)(text[at] ^ (1 << (at % 8)));
    }
}
END_TEST

START_TEST(zeroed_and_foreign_text_is_found)
{
    gsize length;
    g_autofree char *text = good_state(&length);
    g_autofree char *zeroes = g_malloc0(4096);
    g_autofree char *longer = g_strconcat(text, "[log]\nlevel=1\nlevel.file=3\n", NULL);

    assert_damaged(zeroes, 4096, "zeroes", 0);
    assert_damaged(longer, strlen(longer), "appended", length);
    memset(text + length / 2, 0, length - length / 2);
    assert_damaged(text, length, "zeroed half", length / 2);
    assert_damaged("[log]\nlevel = 1\n", 16, "no state file", 0);
    store_body("[state]\nversion=2\nstorage=nonVolatile\n");
    vadm_config_unref(start_with("", VADM_STATE_DAMAGED));
    store_body("[state]\nversion=1\n");
    vadm_config_unref(start_with("", VADM_STATE_DAMAGED));
    store_body("no key file\n");
    vadm_config_unref(start_with("", VADM_STATE_DAMAGED));
}
END_TEST

START_TEST(damaged_is_set_aside)
{
    g_autofree char *aside = g_strconcat(path, ".damaged", NULL);
    g_autofree char *text = NULL;
    g_autofree char *said = NULL;

    assert_damaged("broken", 6, "text", 0);
    said = vadm_state_set_aside(path);
    ck_assert_ptr_nonnull(strstr(said, aside));
    ck_assert(!g_file_test(path, G_FILE_TEST_EXISTS));
    ck_assert(g_file_get_contents(aside, &text, NULL, NULL));
    ck_assert_str_eq(text, "broken");
    vadm_config_unref(start_with("", VADM_STATE_NONE));
    g_free(said);
    said = vadm_state_set_aside(path);
    ck_assert_ptr_nonnull(strstr(said, "No such file"));
}
END_TEST

START_TEST(what_others_may_write_is_refused)
{
    gsize length;
    g_autofree char *text = good_state(&length);

    write_state(text, -1);
    ck_assert_int_eq(chmod(path, 0620), 0);
    vadm_config_unref(start_with("", VADM_STATE_REFUSED));
    assert_warnings(1, path, "0620", NULL);
    ck_assert_int_eq(chmod(path, 0600), 0);
    ck_assert_int_eq(chmod(dir, 0777), 0);
    vadm_config_unref(start_with("", VADM_STATE_REFUSED));
    assert_warnings(1, dir, "0777", NULL);
    ck_assert_int_eq(chmod(dir, 0700), 0);
    vadm_config_unref(start_with("", VADM_STATE_APPLIED));
}
END_TEST

/* ---- the path ---- */

START_TEST(names_make_safe_paths)
{
    static const struct {
        const char *name, *file;
    } cases[] = {
        {"virtadmd", "/var/lib/virtadm/virtadmd.state"},
        {"a/b", "/var/lib/virtadm/a%2Fb.state"},
        {"a%2Fb", "/var/lib/virtadm/a%252Fb.state"},
        {"..", "/var/lib/virtadm/...state"},
        {"../x", "/var/lib/virtadm/..%2Fx.state"},
        {"\xc3\xa4 b", "/var/lib/virtadm/%C3%A4%20b.state"},
    };
    g_autoptr(VadmConfig) config = vadm_config_new();

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *got = NULL;

        g_free(config->name);
        config->name = g_strdup(cases[i].name);
        got = vadm_state_path(config);
        ck_assert_str_eq(got, cases[i].file);
    }
}
END_TEST

/* ---- where values come from ---- */

START_TEST(traced_text_tells_origins_and_loads)
{
    g_autoptr(GHashTable) origins = vadm_config_origins_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(VadmConfig) config = NULL;
    g_autoptr(VadmConfig) again = NULL;
    g_autofree char *text = NULL;
    g_autofree char *plain = NULL;
    g_autofree char *plain_again = NULL;

    ck_assert(g_file_set_contents(conf, "[server libvirtd]\nmax_workers = 20\n", -1, NULL));
    config = vadm_config_load_traced(conf, origins, &error);
    ck_assert_ptr_nonnull(config);
    vadm_config_set_origin(origins, "log", "level", "state file, instead of 3");
    text = vadm_config_to_traced_text(config, origins, "first\nsecond");
    ck_assert(g_str_has_prefix(text, "# first\n# second\n"));
    ck_assert_ptr_nonnull(strstr(text, "\n# file\nmax_workers=20\n"));
    ck_assert_ptr_nonnull(strstr(text, "\n# default\nmin_workers=5\n"));
    ck_assert_ptr_nonnull(strstr(text, "\n# state file, instead of 3\nlevel=3\n"));
    again = file_of(text);
    plain = vadm_config_to_text(config);
    plain_again = vadm_config_to_text(again);
    ck_assert_str_eq(plain, plain_again);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("state");
    TCase *tcase = tcase_create("state");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, nothing_stored);
    tcase_add_test(tcase, only_overrides_are_stored);
    tcase_add_test(tcase, nothing_changed_is_storage_alone);
    tcase_add_test(tcase, every_runtime_key_comes_back);
    tcase_add_test(tcase, what_need_a_restart_is_not_stored);
    tcase_add_test(tcase, environment_is_no_override);
    tcase_add_test(tcase, without_file_and_base_nothing_differs);
    tcase_add_test(tcase, spelling_is_no_override);
    tcase_add_test(tcase, the_edited_file_wins);
    tcase_add_test(tcase, default_is_a_value);
    tcase_add_test(tcase, a_server_that_is_gone);
    tcase_add_test(tcase, a_server_that_the_file_lost);
    tcase_add_test(tcase, what_is_unknown_is_left_out);
    tcase_add_test(tcase, bad_values_are_left_out);
    tcase_add_test(tcase, contradictions_are_left_out);
    tcase_add_test(tcase, contradictions_of_two_servers_and_fields);
    tcase_add_test(tcase, contradictions_that_need_several);
    tcase_add_test(tcase, guarded_outputs_stay_guarded);
    tcase_add_test(tcase, every_truncation_is_found);
    tcase_add_test(tcase, every_flipped_bit_is_found);
    tcase_add_test(tcase, zeroed_and_foreign_text_is_found);
    tcase_add_test(tcase, damaged_is_set_aside);
    tcase_add_test(tcase, what_others_may_write_is_refused);
    tcase_add_test(tcase, names_make_safe_paths);
    tcase_add_test(tcase, traced_text_tells_origins_and_loads);
    suite_add_tcase(suite, tcase);
    return vadm_unit_main(suite);
}
