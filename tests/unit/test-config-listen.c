/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keys of what is reached over the network: listens with addresses, TLS, the deadline. */
#include <config.h> /* HAVE_SASL */

#include <net/if.h>
#include <string.h>

#include "common/inet.h"
#include "config-fixture.h"

#define KEYS "ca_file = /ca\ncert_file = /cert\nkey_file = /key\n"

static VadmConfig *
load_file(GError **error)
{
    return vadm_config_load(path, error);
}

static const VadmServerConfig *
relay_of(const VadmConfig *config)
{
    return vadm_config_find_server(config, "libvirtd");
}

static const struct {
    const char *listen, *text; /* text NULL: the same */
    VadmTransport transport;
    VadmAuthKind auth;
    guint type;
    guint16 port;
} good_listens[] = {
    {"tcp:127.0.0.1:1", NULL, VADM_TRANSPORT_TCP, VADM_AUTH_NONE, VADM_INET_IPV4, 1},
    {"tcp:0.0.0.0:16509", NULL, VADM_TRANSPORT_TCP, VADM_AUTH_NONE, VADM_INET_IPV4, 16509},
    {"tcp:[::]:16509", NULL, VADM_TRANSPORT_TCP, VADM_AUTH_NONE, VADM_INET_IPV6, 16509},
    {"tcp:[2001:DB8:0::1]:065535", "tcp:[2001:db8::1]:65535", VADM_TRANSPORT_TCP, VADM_AUTH_NONE,
     VADM_INET_IPV6, 65535},
    {"tcp:[fe80::1%lo]:16509", NULL, VADM_TRANSPORT_TCP, VADM_AUTH_NONE, VADM_INET_IPV6Z, 16509},
    {"tcp:[fe80::1%4294967295]:16509", NULL, VADM_TRANSPORT_TCP, VADM_AUTH_NONE, VADM_INET_IPV6Z,
     16509},
    {"tls:[::1]:16514", NULL, VADM_TRANSPORT_TLS, VADM_AUTH_NONE, VADM_INET_IPV6, 16514},
    {"tls:192.0.2.255:16514", NULL, VADM_TRANSPORT_TLS, VADM_AUTH_NONE, VADM_INET_IPV4, 16514},
#ifdef HAVE_SASL
    {"tcp+sasl:127.0.0.1:16509", NULL, VADM_TRANSPORT_TCP, VADM_AUTH_SASL, VADM_INET_IPV4, 16509},
    {"tls+sasl:[::]:16514", NULL, VADM_TRANSPORT_TLS, VADM_AUTH_SASL, VADM_INET_IPV6, 16514},
#endif
};

START_TEST(addresses_are_read)
{
    g_autofree char *file =
        g_strdup_printf("[server libvirtd]\n" KEYS "listen = %s\n", good_listens[_i].listen);
    g_autoptr(VadmConfig) config = load_good(file);
    const VadmListenConfig *listen = relay_of(config)->listens->pdata[0];
    g_autoptr(VadmConfig) copy = vadm_config_copy(config);
    const VadmListenConfig *copied = relay_of(copy)->listens->pdata[0];

    ck_assert_str_eq(listen->text,
                     good_listens[_i].text ? good_listens[_i].text : good_listens[_i].listen);
    ck_assert_int_eq(listen->transport, good_listens[_i].transport);
    ck_assert_int_eq(listen->auth, good_listens[_i].auth);
    ck_assert_uint_eq(listen->address.type, good_listens[_i].type);
    ck_assert_uint_eq(listen->address.port, good_listens[_i].port);
    ck_assert_ptr_null(listen->path);
    ck_assert(!listen->readonly);
    ck_assert(vadm_inet_equal(&copied->address, &listen->address));
    ck_assert_str_eq(copied->text, listen->text);
}
END_TEST

#define LISTEN(value)        "[server libvirtd]\n" KEYS "listen = " value "\n"
#define REFUSED(value, rule) "group [server libvirtd], key listen: value '" value "': " rule
#define NUMERIC                                                                                    \
    " must be a numeric address, such as 127.0.0.1, [::1], 0.0.0.0 (all of IPv4) or [::] (all of " \
    "IPv6), never a name"
/* What cannot be read names itself once more: the value may be a list. */
#define BAD(value, rule)                                                                           \
    {                                                                                              \
        LISTEN(value), REFUSED(value, "'" value "': " rule)                                        \
    }
#define CLASH(one, two)                                                                            \
    {                                                                                              \
        LISTEN(one ";" two),                                                                       \
            REFUSED(one, "the server 'libvirtd' listens there, too, by '" two "'")                 \
    }

static const struct {
    const char *text, *message;
} bad_files[] = {
    BAD("tcp:", "must be tcp:ADDRESS:PORT"),
    BAD("tcp:16509", "must be tcp:ADDRESS:PORT"),
    BAD("tcp::16509", "must be tcp:ADDRESS:PORT"),
    BAD("tls:[::1]", "must be tls:ADDRESS:PORT"),
    BAD("tcp:127.0.0.1:", "the port must be a number from 1 to 65535"),
    BAD("tcp:127.0.0.1:0", "the port must be a number from 1 to 65535"),
    BAD("tcp:127.0.0.1:65536", "the port must be a number from 1 to 65535"),
    BAD("tcp:127.0.0.1:-1", "the port must be a number from 1 to 65535"),
    BAD("tcp:127.0.0.1:libvirt", "the port must be a number from 1 to 65535"),
    BAD("tcp:localhost:16509", "'localhost'" NUMERIC),
    BAD("tls:host.example.org:16514", "'host.example.org'" NUMERIC),
    BAD("tcp:*:16509", "'*'" NUMERIC),
    BAD("tcp:127.1:16509", "'127.1'" NUMERIC),
    BAD("tcp:256.0.0.1:16509", "'256.0.0.1'" NUMERIC),
    BAD("tcp:[127.0.0.1]:16509", "'[127.0.0.1]'" NUMERIC),
    BAD("tcp:[:16509", "'['" NUMERIC),
    BAD("tcp:[]:16509", "'[]'" NUMERIC),
    BAD("tcp:[%]:16509", "'[%]'" NUMERIC),
    BAD("tcp:[:::1]:16509", "'[:::1]'" NUMERIC),
    BAD("tcp:::1:16509", "an address of IPv6 stands in brackets: [::1]:16509"),
    BAD("tcp:[::ffff:192.0.2.1]:16509", "an address of IPv4 is written as such: 192.0.2.1"),
    BAD("tcp:[ff02::1]:16509", "is a multicast address"),
    BAD("tcp:224.0.0.1:16509", "is a multicast address"),
    BAD("tcp:[fe80::1]:16509",
        "a link-local address needs its interface, as in [fe80::1%eth0]:16509"),
    BAD("tcp:[fe80::1%no-such-if]:16509", "there is no interface 'no-such-if'"),
    BAD("tcp:[fe80::1%]:16509", "there is no interface ''"),
    BAD("tcp:[::1%lo]:16509", "only a link-local address has an interface"),
    CLASH("tcp:127.0.0.1:16509", "tcp:127.0.0.1:16509"),
    CLASH("tcp:127.0.0.1:16509", "tls:127.0.0.1:16509"),
    CLASH("tcp:127.0.0.1:16509", "tcp:0.0.0.0:16509"),
    CLASH("tcp:0.0.0.0:16509", "tcp:0.0.0.0:16509"),
    CLASH("tcp:[::1]:16509", "tcp:[::]:16509"),
    CLASH("tcp:[::]:16509", "tcp:[fe80::1%lo]:16509"),
    {"[server libvirtd]\nlisten = tcp:0.0.0.0:16509\n[server b]\nindex = 3\nupstream = unix:/u\n"
     "listen = tcp:192.0.2.1:16509\n",
     "group [server b], key listen: value 'tcp:192.0.2.1:16509': "
     "the server 'libvirtd' listens there, too, by 'tcp:0.0.0.0:16509'"},
    {"[server admin]\nlisten = tcp:127.0.0.1:16509\n",
     "group [server admin], key listen: value 'tcp:127.0.0.1:16509': only a relay listens on the "
     "network: an admin server knows its clients by their user id"},
    {"[server admin]\n" KEYS "listen = tls:127.0.0.1:16509\n",
     "group [server admin], key listen: value 'tls:127.0.0.1:16509': only a relay listens on the "
     "network: an admin server knows its clients by their user id"},
    {"[server libvirtd]\nlisten = tls:[::]:16514\n",
     "group [server libvirtd], key ca_file: must be set: 'tls:[::]:16514' needs it"},
    {"[server libvirtd]\nlisten = tls:[::]:16514\nca_file = /ca\nkey_file = /key\n",
     "group [server libvirtd], key cert_file: must be set: 'tls:[::]:16514' needs it"},
    {"[server libvirtd]\nlisten = tls:[::]:16514\nca_file = /ca\ncert_file = /c\nkey_file =\n",
     "group [server libvirtd], key key_file: must be set: 'tls:[::]:16514' needs it"},
    {"[server libvirtd]\nca_file = cacert.pem\n",
     "group [server libvirtd], key ca_file: value 'cacert.pem': must be an absolute path"},
    {"[server libvirtd]\ncrl_file = ./crl\n",
     "group [server libvirtd], key crl_file: value './crl': must be an absolute path"},
    {"[server libvirtd]\nauth_timeout = 0\n",
     "group [server libvirtd], key auth_timeout: value '0': must be a number from 1 to 3600"},
    {"[server libvirtd]\nauth_timeout = 3601\n",
     "group [server libvirtd], key auth_timeout: value '3601': must be a number from 1 to 3600"},
    {"[server libvirtd]\nauth_timeout = -1\n",
     "group [server libvirtd], key auth_timeout: value '-1': must be a number from 1 to 3600"},
#ifdef HAVE_SASL
    {"[server libvirtd]\nlisten = tls+sasl:[::]:16514\n",
     "group [server libvirtd], key ca_file: must be set: 'tls+sasl:[::]:16514' needs it"},
    CLASH("tcp:127.0.0.1:16509", "tcp+sasl:127.0.0.1:16509"),
#else
    BAD("tcp+sasl:127.0.0.1:16509", "this virtadmd was built without SASL"),
    BAD("tls+sasl:127.0.0.1:16514", "this virtadmd was built without SASL"),
#endif
};

START_TEST(bad_files_are_refused_with_reason)
{
    load_bad(bad_files[_i].text, bad_files[_i].message);
}
END_TEST

START_TEST(one_port_of_both_families)
{
    g_autoptr(VadmConfig) config =
        load_good("[server libvirtd]\nlisten = tcp:0.0.0.0:16509;tcp:[::]:16509;unix:s;"
                  "tcp:127.0.0.1:16510;tcp:127.0.0.2:16510\n[server b]\nindex = 3\n"
                  "listen = tcp:127.0.0.1:1\n"
                  "upstream = unix:/u\nupstream_ro =\n");

    ck_assert_uint_eq(relay_of(config)->listens->len, 5);
}
END_TEST

START_TEST(defaults_are_those_of_the_contract)
{
    g_autoptr(VadmConfig) config = load_good("");

    for (guint i = 0; i < config->servers->len; i++) {
        const VadmServerConfig *server = config->servers->pdata[i];
        const VadmListenConfig *listen = server->listens->pdata[0];

        ck_assert_ptr_null(server->ca_file);
        ck_assert_ptr_null(server->cert_file);
        ck_assert_ptr_null(server->key_file);
        ck_assert_ptr_null(server->crl_file);
        ck_assert_ptr_null(server->tls_allowed_dns[0]);
        ck_assert_uint_eq(server->auth_timeout, 30);
        ck_assert_uint_eq(listen->address.type, VADM_INET_UNKNOWN);
    }
}
END_TEST

START_TEST(keys_load_again_to_the_same)
{
    g_autoptr(VadmConfig) one =
        load_good("[server libvirtd]\n" KEYS "crl_file = /c r l\nauth_timeout = 3600\n"
                  "listen = tls:[::]:16514;tcp:[FE80:0::1%lo]:1\n"
                  "tls_allowed_dn_list = C=GB,O=a\\;b,CN=*; CN=?.example.org ;\n"
                  "[server plain]\nindex = 3\nlisten = unix:/p\nupstream = unix:/u\nca_file =\n");
    g_autofree char *text = vadm_config_to_text(one);
    g_autoptr(VadmConfig) two = load_good(text);
    g_autofree char *again = vadm_config_to_text(two);
    g_autoptr(VadmConfig) copy = vadm_config_copy(two);
    const VadmServerConfig *relay = relay_of(copy);

    ck_assert_str_eq(text, again);
    ck_assert_ptr_nonnull(strstr(text, "\nlisten=tls:[::]:16514;tcp:[fe80::1%lo]:1;\n"));
    ck_assert_ptr_nonnull(strstr(text, "\nauth_timeout=3600\n"));
    ck_assert_ptr_nonnull(strstr(text, "\nca_file=\n"));
    g_clear_pointer(&two, vadm_config_unref);
    ck_assert_str_eq(relay->ca_file, "/ca");
    ck_assert_str_eq(relay->cert_file, "/cert");
    ck_assert_str_eq(relay->key_file, "/key");
    ck_assert_str_eq(relay->crl_file, "/c r l");
    ck_assert_uint_eq(relay->auth_timeout, 3600);
    ck_assert_uint_eq(g_strv_length(relay->tls_allowed_dns), 2);
    ck_assert_str_eq(relay->tls_allowed_dns[0], "C=GB,O=a;b,CN=*");
    ck_assert_str_eq(relay->tls_allowed_dns[1], "CN=?.example.org");
    ck_assert_ptr_null(vadm_config_find_server(copy, "plain")->ca_file);
}
END_TEST

START_TEST(a_reload_leaves_them)
{
    g_autoptr(VadmConfig) was = load_good("");
    g_autoptr(VadmConfig) is = load_good("[server libvirtd]\n" KEYS "auth_timeout = 5\n"
                                         "listen = tls:[::]:16514\n");
    g_autoptr(VadmConfig) merged = NULL;
    g_autofree char *statics = NULL;

    merged = vadm_config_merge_reload(was, was, is, &statics);
    ck_assert_str_eq(statics,
                     "[server libvirtd] listen, [server libvirtd] auth_timeout, [server libvirtd] "
                     "ca_file, [server libvirtd] cert_file, [server libvirtd] key_file");
    ck_assert_uint_eq(relay_of(merged)->auth_timeout, 30);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("config of the network");
    TCase *file = tcase_create("file");

    tcase_add_checked_fixture(file, setup, teardown);
    tcase_add_loop_test(file, addresses_are_read, 0, G_N_ELEMENTS(good_listens));
    tcase_add_loop_test(file, bad_files_are_refused_with_reason, 0, G_N_ELEMENTS(bad_files));
    tcase_add_test(file, one_port_of_both_families);
    tcase_add_test(file, defaults_are_those_of_the_contract);
    tcase_add_test(file, keys_load_again_to_the_same);
    tcase_add_test(file, a_reload_leaves_them);
    suite_add_tcase(suite, file);
    return vadm_unit_main(suite);
}
