/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* URIs of daemons and libvirt-admin.conf. */
#include "config.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/client-conf.h"
#include "admin/uri-private.h"
#include "unit.h"

static char *directory, *file;

static void
setup(void)
{
    directory = g_dir_make_tmp("vadm-uri-XXXXXX", NULL);
    file = g_build_filename(directory, "libvirt-admin.conf", NULL);
}

static void
teardown(void)
{
    g_unlink(file);
    g_rmdir(file);
    g_rmdir(directory);
    g_free(file);
    g_free(directory);
}

/* URIs */

typedef struct {
    const char *uri;
    const char *socket; /* "~": below the user's runtime directory; NULL: it is refused */
    int code;
    const char *text;
} UriCase;

#define CONF VADM_ERROR_CONFIG
#define NO_URI(text)                                                                               \
    {                                                                                              \
        text, NULL, VADM_ERROR_INVALID_VALUE, "Unable to parse URI " text                          \
    }

static const UriCase uri_cases[] = {
    {"libvirtd:///system", "/run/libvirt/libvirt-admin-sock", 0, NULL},
    {"libvirtd:///session", "~/libvirt/libvirt-admin-sock", 0, NULL},
    {"virtqemud:///system", "/run/libvirt/virtqemud-admin-sock", 0, NULL},
    {"virtlogd:///session", "~/libvirt/virtlogd-admin-sock", 0, NULL},
    {"virtproxyd:///system", "/run/libvirt/virtproxyd-admin-sock", 0, NULL},
    {"virt:///system", "/run/libvirt/virt-admin-sock", 0, NULL},
    /* the host is of no concern */
    {"libvirtd://otherhost/system", "/run/libvirt/libvirt-admin-sock", 0, NULL},
    {"libvirtd://user@otherhost:16509/system", "/run/libvirt/libvirt-admin-sock", 0, NULL},
    {"libvirtd:/system", "/run/libvirt/libvirt-admin-sock", 0, NULL},
    {"libvirtd:///syst%65m", "/run/libvirt/libvirt-admin-sock", 0, NULL},
    {"libvirtd:///system?", "/run/libvirt/libvirt-admin-sock", 0, NULL},
    {"libvirtd:///system#part", "/run/libvirt/libvirt-admin-sock", 0, NULL},
    /* the parameter overrides everything, which is then not looked at */
    {"libvirtd:///system?socket=/a/b", "/a/b", 0, NULL},
    {"x-test:///?socket=/a/b", "/a/b", 0, NULL},
    {"virtqemud:///nowhere?socket=/a/b", "/a/b", 0, NULL},
    {"foo:?socket=/a/b", "/a/b", 0, NULL},
    {"?socket=/a/b", "/a/b", 0, NULL},
    {"libvirtd:///system?socket=/a%20b%2fc%3Dd&", "/a b/c=d", 0, NULL},
    {"libvirtd:///system?socket=/a=b", "/a=b", 0, NULL},
    {"libvirtd:///system?socket=/a&socket=/b", "/b", 0, NULL},
    {"libvirtd:///system?socket=/a;socket=/b", "/b", 0, NULL},
    {"libvirtd:///system?socket=/%ff", "/\xff", 0, NULL},
    {"libvirtd:///system?&&=x&socket=/a", "/a", 0, NULL},
    {"libvirtd:///system?socket=", "", 0, NULL},
    {"libvirtd:///system?socket", "", 0, NULL},
    {"foo:///system", NULL, CONF, "Unsupported URI scheme 'foo'"},
    {"qemu:///system", NULL, CONF, "Unsupported URI scheme 'qemu'"},
    {"LIBVIRTD:///system", NULL, CONF, "Unsupported URI scheme 'LIBVIRTD'"},
    {"libvirtd+ssh://host/system", NULL, CONF, "Unsupported URI scheme 'libvirtd+ssh'"},
    {"libvirtd+tcp:///system", NULL, CONF, "Unsupported URI scheme 'libvirtd+tcp'"},
    /* the scheme is looked at before the path */
    {"qemu:///foo", NULL, CONF, "Unsupported URI scheme 'qemu'"},
    {"", NULL, CONF, "No URI scheme specified"},
    {"/some/path", NULL, CONF, "No URI scheme specified"},
    {"libvirtd", NULL, CONF, "No URI scheme specified"},
    {"libvirtd:///foo", NULL, CONF, "Invalid URI path '/foo', try '/system'"},
    {"libvirtd:///", NULL, CONF, "Invalid URI path '/', try '/system'"},
    {"libvirtd:", NULL, CONF, "Invalid URI path '', try '/system'"},
    {"libvirtd://system", NULL, CONF, "Invalid URI path '', try '/system'"},
    {"libvirtd:///system/", NULL, CONF, "Invalid URI path '/system/', try '/system'"},
    {"libvirtd:///system?foo=bar", NULL, CONF, "Unknown URI parameter 'foo'"},
    {"libvirtd:///system?f%6fo", NULL, CONF, "Unknown URI parameter 'foo'"},
    {"libvirtd:///system?socket=/a&foo=bar", NULL, CONF, "Unknown URI parameter 'foo'"},
    {"foo:///bar?Socket=/a", NULL, CONF, "Unknown URI parameter 'Socket'"},
    {"libvirtd:///sys%ff", NULL, CONF, "Invalid URI path '/sys\xff', try '/system'"},
    {"libvirtd:////system", NULL, CONF, "Invalid URI path '//system', try '/system'"},
    {"virt-x.y+z:///system", "/run/libvirt/virt-x.y+z-admin-sock", 0, NULL},
    {"libvirtd://u:p@[::1]:99999/system", "/run/libvirt/libvirt-admin-sock", 0, NULL},
    NO_URI("libvirtd://[::1/system"),
    NO_URI("libvirtd://a@b@c/system"),
    NO_URI("libvirtd://host:/system"),
    NO_URI("libvirtd://host:ssh/system"),
    NO_URI("libvirtd://h%zz/system"),
    NO_URI("libvirtd:///syst%zzm"),
    NO_URI("libvirtd:///sys tem"),
    NO_URI("libvirtd:///system\n"),
    NO_URI(" libvirtd:///system"),
    NO_URI("libvirtd:///\xc3\xa9"),
    NO_URI("libvirtd:///system?socket=/a b"),
    NO_URI("libvirtd:///system?socket=/[a]"),
    NO_URI("libvirtd:///system?socket=/a\\b"),
    NO_URI("libvirtd:///system?socket=/%"),
    /* no schemes */
    NO_URI("1x:///?socket=/a"),
    NO_URI("virt_d:///system"),
    NO_URI(":///system"),
    NO_URI(":"),
    {"libvirtd:///system?socket=/a%00b", NULL, VADM_ERROR_INVALID_VALUE,
     "Unable to parse URI parameter 'socket=/a%00b'"},
};

START_TEST(test_uri)
{
    const UriCase *expected = &uri_cases[_i];
    g_autoptr(GError) error = NULL;
    g_autofree char *socket = vadm_admin_uri_to_socket(expected->uri, &error);
    g_autofree char *wanted = NULL;

    if (!expected->socket) {
        ck_assert_ptr_null(socket);
        ck_assert(g_error_matches(error, VADM_ERROR, expected->code));
        ck_assert_str_eq(error->message, expected->text);
        return;
    }
    ck_assert_ptr_null(error);
    wanted = expected->socket[0] == '~'
                 ? g_strconcat(g_get_user_runtime_dir(), expected->socket + 1, NULL)
                 : g_strdup(expected->socket);
    ck_assert_str_eq(socket, wanted);
}
END_TEST

START_TEST(test_daemon)
{
    static const char *const cases[][2] = {
        {"virtqemud:///system", "virtqemud"},
        {"libvirtd://host/session?socket=/a", "libvirtd"},
        {"X-Test:", "X-Test"},
        {"/path", NULL},
        {"", NULL},
        {"libvirtd://[", NULL},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *daemon = vadm_admin_uri_get_daemon(cases[i][0]);

        ck_assert_pstr_eq(daemon, cases[i][1]);
    }
}
END_TEST

START_TEST(test_format)
{
    static const char *const cases[][2] = {
        {"libvirtd:///system", "libvirtd:///system"},
        {"libvirtd://host/system?socket=/a", "libvirtd://host/system?socket=/a"},
        {"libvirtd:/system?socket=/a", "libvirtd:///system?socket=/a"},
        {"x:y?socket=/a", "x://y?socket=/a"},
        {"?socket=/a:b", "//?socket=/a:b"},
        {"/system?socket=/a", "///system?socket=/a"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *formatted = vadm_admin_uri_format(cases[i][0]);

        ck_assert_str_eq(formatted, cases[i][1]);
    }
}
END_TEST

/* What would take a backtracking parser for ever. */
START_TEST(test_long)
{
    g_autoptr(GString) uri = g_string_new("libvirtd:///system?socket=");
    g_autoptr(GError) error = NULL;
    g_autofree char *socket = NULL;

    for (guint i = 0; i < 1000000; i++)
        g_string_append(uri, i % 2 ? "%61" : "b");
    socket = vadm_admin_uri_to_socket(uri->str, &error);
    ck_assert_ptr_null(error);
    ck_assert_uint_eq(strlen(socket), 1000000);
    g_string_append_c(uri, ' ');
    ck_assert_ptr_null(vadm_admin_uri_to_socket(uri->str, &error));
}
END_TEST

/* libvirt-admin.conf */

static void
write_file(const char *text)
{
    ck_assert(g_file_set_contents(file, text, -1, NULL));
}

static void
assert_alias(const VadmClientConf *conf, const char *name, const char *uri)
{
    ck_assert_pstr_eq(g_hash_table_lookup(conf->aliases, name), uri);
}

START_TEST(test_conf)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VadmClientConf) conf = NULL;

    write_file("# a comment\n"
               "\n"
               "uri_aliases = [ # names\n"
               "  \"qemu=virtqemud:///system\", # one\n"
               "  'log=virtlogd:///system?socket=/x=y',\n"
               "  # none\n"
               "  \"qemu=second:///\",\n"
               "]\n"
               "future.key-1 = -12 # whatever\n"
               "other=[\"a\",'b', 3, -4]\n"
               "\tempty\t=\t[]\r\n"
               "uri_default = \"virtproxyd:///system\"#x\n"
               "uri_default = 'second'\n"
               "uri_aliases = [ \"late=virtlogd:///session\" ]\n"
               "text = \"# no comment\"");
    conf = vadm_client_conf_load(file, &error);
    ck_assert_msg(conf != NULL, "%s", error ? error->message : "");
    ck_assert_str_eq(conf->uri_default, "virtproxyd:///system");
    ck_assert_uint_eq(g_hash_table_size(conf->aliases), 2);
    assert_alias(conf, "qemu", "virtqemud:///system");
    assert_alias(conf, "log", "virtlogd:///system?socket=/x=y");
}
END_TEST

START_TEST(test_conf_empty)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VadmClientConf) conf = NULL;

    if (_i == 1)
        write_file("");
    if (_i == 2)
        write_file("# nothing but a comment");
    conf = vadm_client_conf_load(file, &error);
    ck_assert_ptr_null(error);
    ck_assert_ptr_null(conf->uri_default);
    ck_assert_uint_eq(g_hash_table_size(conf->aliases), 0);
}
END_TEST

#define TYPE     VADM_ERROR_INVALID_VALUE
#define NO_ALIAS VADM_ERROR_NOT_SUPPORTED

typedef struct {
    const char *text;
    int code;
    int line;
    const char *problem; /* a part of it */
} BadConf;

static const BadConf bad_confs[] = {
    {"\n\nuri_default\n", CONF, 4, "'='"},
    {"uri_default = \n", CONF, 2, "end of file"},
    {"uri_default = 5\n", TYPE, 1, "'uri_default' must be a string"},
    {"uri_default = [ \"a\" ]", TYPE, 1, "'uri_default' must be a string"},
    {"uri_default = \"a\n\n", CONF, 3, "unterminated string"},
    {"uri_default = 'a", CONF, 1, "unterminated string"},
    {"uri_default = \"a\" x = 1\n", CONF, 1, "something behind the value"},
    {"uri_default = \"a\" \"b\"\n", CONF, 1, "something behind the value"},
    {"# c\nuri_aliases = \"a=b\"\n", TYPE, 2, "'uri_aliases' must be a list of strings"},
    {"uri_aliases = 7\n", TYPE, 1, "'uri_aliases' must be a list of strings"},
    {"uri_aliases = [\n\"a=b:///\"\n\"c=d:///\"\n]\n", CONF, 3, "','"},
    {"uri_aliases = [\n\"a=b:///\",\n7 ]\n", CONF, 3, "string"},
    {"uri_aliases = [ , ]\n", CONF, 1, "string"},
    {"uri_aliases = [ \"a=b:///\"\n", CONF, 2, "','"},
    {"uri_aliases = [ \"a=b:///\",\n", CONF, 2, "string"},
    {"uri_aliases = [ \"nothing\" ]\n", NO_ALIAS, 1, "malformed alias 'nothing'"},
    {"uri_aliases = [ \"=b:///\" ]\n", NO_ALIAS, 1, "malformed alias '=b:///'"},
    {"uri_aliases = [ \"a=\" ]\n", NO_ALIAS, 1, "malformed alias 'a='"},
    {"uri_aliases = [\n\"ok=x:///\",\n\"b@d=y:///\" ]\n", NO_ALIAS, 3,
     "malformed alias 'b@d=y:///'"},
    {"other = word\n", CONF, 1, "identifier"},
    {"other = - \"a\"\n", CONF, 1, "string"},
    {"other = [ [ ] ]\n", CONF, 1, "string"},
    {"= 5\n", CONF, 1, "'='"},
    {"5 = 5\n", CONF, 1, "identifier"},
    {"[group]\n", CONF, 1, "'['"},
};

START_TEST(test_conf_bad)
{
    const BadConf *bad = &bad_confs[_i];
    g_autoptr(GError) error = NULL;
    g_autofree char *place = g_strdup_printf("%s:%d: ", file, bad->line);

    write_file(bad->text);
    ck_assert_ptr_null(vadm_client_conf_load(file, &error));
    ck_assert(g_error_matches(error, VADM_ERROR, bad->code));
    ck_assert_msg(g_str_has_prefix(error->message, place), "%s", error->message);
    ck_assert_msg(strstr(error->message, bad->problem) != NULL, "%s", error->message);
}
END_TEST

START_TEST(test_conf_unreadable)
{
    g_autoptr(GError) error = NULL;

    ck_assert_int_eq(g_mkdir(file, 0700), 0); /* root may read all but this */
    ck_assert_ptr_null(vadm_client_conf_load(file, &error));
    ck_assert(g_error_matches(error, VADM_ERROR, VADM_ERROR_SYSTEM));
    ck_assert_int_eq(vadm_error_get_errno(error), EISDIR);
    ck_assert_ptr_nonnull(strstr(error->message, file));
}
END_TEST

/* Which URI is meant */

static void
assert_resolved(const char *environment, const char *name, gboolean aliases, const char *uri)
{
    const VadmUriDefaults defaults = {
        .file = file, .environment = environment, .built_in = "built:///in"};
    g_autoptr(GError) error = NULL;
    g_autofree char *found = vadm_admin_uri_resolve_in(&defaults, name, aliases, &error);

    ck_assert_ptr_null(error);
    ck_assert_str_eq(found, uri);
}

START_TEST(test_resolve)
{
    assert_resolved(NULL, NULL, TRUE, "built:///in");
    assert_resolved("env:///", NULL, TRUE, "env:///");
    assert_resolved("", NULL, TRUE, "built:///in");
    assert_resolved("env:///", "given:///", TRUE, "given:///");
    assert_resolved("env:///", "", TRUE, ""); /* a name, if a bad one */
    write_file("uri_default = \"q\"\nuri_aliases = [ \"q=virtqemud:///system\", "
               "\"env=virtlogd:///system\", \"l=q\" ]\n");
    assert_resolved(NULL, NULL, TRUE, "virtqemud:///system");
    assert_resolved(NULL, NULL, FALSE, "q");
    assert_resolved("env", NULL, TRUE, "virtlogd:///system");
    assert_resolved("", NULL, TRUE, "virtqemud:///system");
    assert_resolved("env", "q", TRUE, "virtqemud:///system");
    assert_resolved(NULL, "q", FALSE, "q");
    assert_resolved(NULL, "unknown", TRUE, "unknown");
    assert_resolved(NULL, "l", TRUE, "q"); /* once */
}
END_TEST

/* A damaged file is told, but not to those who do not need it. */
START_TEST(test_resolve_damaged)
{
    const VadmUriDefaults defaults = {.file = file, .environment = NULL, .built_in = "built:///in"};
    g_autoptr(GError) error = NULL;

    write_file("uri_default = 5\n");
    assert_resolved(NULL, "given:///", FALSE, "given:///");
    assert_resolved("env:///", NULL, FALSE, "env:///");
    ck_assert_ptr_null(vadm_admin_uri_resolve_in(&defaults, NULL, FALSE, &error));
    ck_assert(g_error_matches(error, VADM_ERROR, TYPE));
    g_clear_error(&error);
    ck_assert_ptr_null(vadm_admin_uri_resolve_in(&defaults, "given:///", TRUE, &error));
    ck_assert(g_error_matches(error, VADM_ERROR, TYPE));
}
END_TEST

/* The process's own places. Root's is not for tests to write to. */
START_TEST(test_resolve_process)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = g_build_filename(directory, "libvirt", NULL);
    g_autofree char *own = g_build_filename(folder, "libvirt-admin.conf", NULL);
    g_autofree char *given = NULL, *found = NULL;

    g_setenv("XDG_CONFIG_HOME", directory, TRUE);
    g_setenv("LIBVIRT_ADMIN_DEFAULT_URI", "env:///", TRUE);
    given = vadm_admin_uri_resolve(NULL, FALSE, &error);
    ck_assert_pstr_eq(given, "env:///");
    if (geteuid() == 0)
        return;
    g_unsetenv("LIBVIRT_ADMIN_DEFAULT_URI");
    if (_i == 1) {
        ck_assert_int_eq(g_mkdir(folder, 0700), 0);
        ck_assert(g_file_set_contents(own, "uri_default = 'virtlogd:///session'", -1, NULL));
    }
    found = vadm_admin_uri_resolve(NULL, TRUE, &error);
    ck_assert_pstr_eq(found, _i == 1 ? "virtlogd:///session" : "libvirtd:///session");
    g_unlink(own);
    g_rmdir(folder);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("admin-uri");
    TCase *uri = tcase_create("uri"), *conf = tcase_create("conf");

    tcase_add_loop_test(uri, test_uri, 0, G_N_ELEMENTS(uri_cases));
    tcase_add_test(uri, test_daemon);
    tcase_add_test(uri, test_format);
    tcase_add_test(uri, test_long);
    suite_add_tcase(suite, uri);
    tcase_add_checked_fixture(conf, setup, teardown);
    tcase_add_test(conf, test_conf);
    tcase_add_loop_test(conf, test_conf_empty, 0, 3);
    tcase_add_loop_test(conf, test_conf_bad, 0, G_N_ELEMENTS(bad_confs));
    tcase_add_test(conf, test_conf_unreadable);
    tcase_add_test(conf, test_resolve);
    tcase_add_test(conf, test_resolve_damaged);
    tcase_add_loop_test(conf, test_resolve_process, 0, 2);
    suite_add_tcase(suite, conf);
    return vadm_unit_main(suite);
}
