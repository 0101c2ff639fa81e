/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration of virtadm-agent: what it has in common with that of virtadmd, and what not. */
#include "config-fixture.h"

#include <string.h>

/* In the place of vadm_admin_uri_to_socket(), which takes no notice of a host: "NAME:///system" is
 * /run/NAME, and "NAME:///system?socket=PATH" is PATH. */
static char *
to_socket(const char *uri, GError **error)
{
    const char *end = strstr(uri, "://");
    const char *socket = strstr(uri, "?socket=");
    g_autofree char *name =
        end && strstr(end, "/system") ? g_strndup(uri, (gsize)(end - uri)) : NULL;

    if (name && socket)
        return g_strdup(socket + strlen("?socket="));
    if (name)
        return g_strconcat("/run/", name, NULL);
    g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG, "No URI scheme specified");
    return NULL;
}

static VadmConfig *
load_file(GError **error)
{
    return vadm_config_load_agent(path, to_socket, NULL, error);
}

static const VadmSourceConfig *
source_of(const VadmConfig *config, guint i)
{
    ck_assert_uint_lt(i, config->sources->len);
    return config->sources->pdata[i];
}

START_TEST(without_a_source_there_is_libvirtd)
{
    static const char *const files[] = {NULL, "", "[log]\nlevel = 2\n"};
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autoptr(VadmConfig) config =
            files[i] ? load_good(files[i]) : vadm_config_load_agent(NULL, to_socket, NULL, &error);
        const VadmSourceConfig *source = source_of(config, 0);

        ck_assert_uint_eq(config->sources->len, 1);
        ck_assert_uint_eq(config->servers->len, 0);
        ck_assert_str_eq(source->name, "libvirtd");
        ck_assert_str_eq(source->uri, "libvirtd:///system");
        ck_assert_str_eq(source->path, "/run/libvirtd");
        ck_assert_uint_eq(source->refresh_interval, 2);
        ck_assert_uint_eq(source->clients_high_percent, 90);
        ck_assert_str_eq(config->snmp_master, "unix:/var/agentx/master");
        ck_assert_str_eq(config->log_directories[0], "/var/log/virtadm");
    }
}
END_TEST

START_TEST(sources_keep_the_order_of_the_file)
{
    g_autoptr(VadmConfig) config = load_good("[source virtqemud]\n"
                                             "refresh_interval = 3600\n"
                                             "clients_high_percent = 0\n"
                                             "[snmp]\ncontext = qemu\n"
                                             "[source any thing]\nuri = libvirtd:///system\n"
                                             "[source 12345678901234567890123456789012]\n");

    ck_assert_uint_eq(config->sources->len, 3);
    ck_assert_str_eq(source_of(config, 0)->name, "virtqemud");
    /* not libvirtd's: who names a source after its daemon need say no more */
    ck_assert_str_eq(source_of(config, 0)->uri, "virtqemud:///system");
    ck_assert_uint_eq(source_of(config, 0)->refresh_interval, 3600);
    ck_assert_uint_eq(source_of(config, 0)->clients_high_percent, 0);
    ck_assert_str_eq(source_of(config, 1)->name, "any thing");
    ck_assert_str_eq(source_of(config, 1)->path, "/run/libvirtd");
    ck_assert_str_eq(config->snmp_context, "qemu");
}
END_TEST

#define TEN      "/234567890"
#define PATH_100 TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static const struct {
    const char *text, *message;
} bad_files[] = {
    {"[daemon]\nname = x\n", "group [daemon]: is unknown; there are [log], [snmp], [notify] and "
                             "[source NAME]"},
    {"[server libvirtd]\n", "group [server libvirtd]: is unknown; there are [log], [snmp], "
                            "[notify] and [source NAME]"},
    {"[source libvirtd]\nurl = x\n",
     "group [source libvirtd], key url: value 'x': there is no such key in this group; there are "
     "uri, refresh_interval and clients_high_percent"},
    {"[log]\nlevel = 5\n", "group [log], key level: value '5': must be a number from 1 to 4"},
    {"[source a]\nrefresh_interval = 0\n",
     "group [source a], key refresh_interval: value '0': must be a number from 1 to 3600"},
    {"[source a]\nrefresh_interval = 3601\n",
     "group [source a], key refresh_interval: value '3601': must be a number from 1 to 3600"},
    {"[source a]\nclients_high_percent = 101\n",
     "group [source a], key clients_high_percent: value '101': must be a number from 0 to 100"},
    {"[source a]\nuri = a:///nowhere\n",
     "group [source a], key uri: value 'a:///nowhere': No URI scheme specified"},
    {"[source a]\nuri =\n", "group [source a], key uri: value '': No URI scheme specified"},
    {"[source ]\n", "group [source ]: the name of a source is an SNMP context: it has 1 to 32 "
                    "octets, and no blank at its ends"},
    {"[source  a]\n", "group [source  a]: the name of a source is an SNMP context: it has 1 to 32 "
                      "octets, and no blank at its ends"},
    {"[source 123456789012345678901234567890123]\n",
     "group [source 123456789012345678901234567890123]: the name of a source is an SNMP context: "
     "it has 1 to 32 octets, and no blank at its ends"},
    {"[source a]\n[source b]\n[source a]\n", "group [source a]: is there twice, again in line 3"},
    {"[source a]\n[source b]\nuri = a:///system\n",
     "group [source b], key uri: value 'a:///system': is the socket /run/a, which [source a] has, "
     "too"},
    {"[source a]\n[source b]\n[snmp]\ncontext = b\n",
     "group [snmp], key context: value 'b': is the context of [source b], and the first source, "
     "'a', would be served there, too"},
    {"[log]\nfilters = 9:x\n",
     "group [log], key filters: value '9:x': Invalid priority '9' for filter '9:x'"},
    {"[log]\noutputs = 1:stderr stdout\n", "group [log], key outputs: value '1:stderr stdout': "
                                           "Malformed format for log output 'stdout'"},
    {"[source a]\nuri = a:///system?socket=run/sock\n",
     "group [source a], key uri: value 'a:///system?socket=run/sock': the socket 'run/sock' must "
     "be "
     "an absolute path"},
    {"[source a]\nuri = a:///system?socket=" PATH_100 "12345678\n",
     "group [source a], key uri: value 'a:///system?socket=" PATH_100
     "12345678': the path of a socket has at most 107 octets, not 108"},
    {"[source a]\nuri = a://other/system\n",
     "group [source a], key uri: value 'a://other/system': names a host, and only daemons of this "
     "one can be administered"},
    {"[source a]\nuri = a://other/system?socket=/x\n",
     "group [source a], key uri: value 'a://other/system?socket=/x': names a host, and only "
     "daemons "
     "of this one can be administered"},
};

START_TEST(bad_files_are_refused)
{
    load_bad(bad_files[_i].text, bad_files[_i].message);
}
END_TEST

START_TEST(a_socket_may_have_the_longest_path_there_is)
{
    g_autoptr(VadmConfig) config =
        load_good("[source a]\nuri = a:///system?socket=" PATH_100 "1234567\n");

    ck_assert_str_eq(source_of(config, 0)->path, PATH_100 "1234567");
}
END_TEST

/* The one context that two daemons may name: that of the first. */
START_TEST(the_first_may_be_served_in_its_own_context_only)
{
    g_autoptr(VadmConfig) config = load_good("[source a]\n[source b]\n[snmp]\ncontext = a\n");

    ck_assert_uint_eq(config->sources->len, 2);
}
END_TEST

START_TEST(what_is_printed_loads_and_is_the_same)
{
    g_autoptr(GHashTable) origins = vadm_config_origins_new();
    g_autoptr(VadmConfig) config = load_good("[source b]\nuri = virtlogd:///system\n"
                                             "refresh_interval = 7\n[source a]\n");
    g_autofree char *text = vadm_config_to_text(config);
    g_autofree char *traced = vadm_config_to_traced_text(config, origins, "comment");
    g_autoptr(VadmConfig) again = load_good(traced);
    g_autofree char *twice = vadm_config_to_text(again);

    ck_assert_str_eq(text, twice);
    ck_assert_ptr_nonnull(strstr(text, "[source b]\nuri=virtlogd:///system\n"));
    ck_assert_ptr_nonnull(strstr(traced, "# default\nrefresh_interval=7\n"));
    ck_assert_ptr_null(strstr(text, "[daemon]"));
    ck_assert_ptr_null(strstr(text, "[server"));
}
END_TEST

START_TEST(origins_are_traced)
{
    g_autoptr(GHashTable) origins = vadm_config_origins_new();
    g_autoptr(VadmConfig) config = NULL;

    ck_assert(g_file_set_contents(path, "[source b]\nrefresh_interval = 7\n", -1, NULL));
    config = vadm_config_load_agent(path, to_socket, origins, NULL);
    ck_assert_ptr_nonnull(config);
    ck_assert_str_eq(g_hash_table_lookup(origins, "[source b] refresh_interval"), "file");
    ck_assert_ptr_null(g_hash_table_lookup(origins, "[source b] uri"));
}
END_TEST

START_TEST(a_reload_takes_the_log_and_lists_the_rest)
{
    g_autoptr(VadmConfig) was = load_good("[source a]\n[source b]\n");
    g_autoptr(VadmConfig) is = load_good("[log]\nlevel = 1\n[source b]\nrefresh_interval = 9\n"
                                         "[source c]\n[snmp]\nwritable = false\n");
    g_autofree char *statics = NULL;
    g_autofree char *diff = NULL;
    g_autoptr(VadmConfig) merged = vadm_config_merge_reload(was, was, is, &statics);

    diff = vadm_config_diff(was, merged);
    ck_assert_str_eq(diff, "[log] level 3 -> 1");
    ck_assert_str_eq(statics, "[snmp] writable, [source b] refresh_interval, [source c] (new), "
                              "[source a] (gone)");
    ck_assert_uint_eq(merged->sources->len, 2);
    ck_assert_uint_eq(source_of(merged, 1)->refresh_interval, 2);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("config-agent");
    TCase *tcase = tcase_create("agent");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, without_a_source_there_is_libvirtd);
    tcase_add_test(tcase, sources_keep_the_order_of_the_file);
    tcase_add_loop_test(tcase, bad_files_are_refused, 0, G_N_ELEMENTS(bad_files));
    tcase_add_test(tcase, a_socket_may_have_the_longest_path_there_is);
    tcase_add_test(tcase, the_first_may_be_served_in_its_own_context_only);
    tcase_add_test(tcase, what_is_printed_loads_and_is_the_same);
    tcase_add_test(tcase, origins_are_traced);
    tcase_add_test(tcase, a_reload_takes_the_log_and_lists_the_rest);
    suite_add_tcase(suite, tcase);
    return vadm_unit_main(suite);
}
