/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Addresses between the kernel's form, the MIB's and libvirt's text. */
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include "common/inet.h"
#include "unit.h"

START_TEST(test_parse)
{
    static const struct {
        const char *text;
        guint type, length;
        guint16 port;
    } good[] = {
        {"127.0.0.1:0", VADM_INET_IPV4, 4, 0},
        {"[::1]:65535", VADM_INET_IPV6, 16, 65535},
        {"[fe80::1%lo]:16509", VADM_INET_IPV6Z, 20, 16509},
        {"[fe80::1%17]:16509", VADM_INET_IPV6Z, 20, 16509},
    };
    static const char *const bad[] = {
        "",          ":",           "127.0.0.1",       "127.0.0.1:",
        "::1:22",    "[::1]",       "[::1]22",         "[:22",
        "]:22",      "[]:22",       "[127.0.0.1]:22",  "127.0.0.1:65536",
        "1.2.3:4",   "[::1%]:22",   "[fe80::1%no]:22", "127.0.0.1:+2",
        "host:1234", "127.0.0.1:-1"};
    VadmInetAddress address;

    for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
        ck_assert_msg(vadm_inet_parse(good[i].text, &address), "%s", good[i].text);
        ck_assert_uint_eq(address.type, good[i].type);
        ck_assert_uint_eq(address.length, good[i].length);
        ck_assert_uint_eq(address.port, good[i].port);
    }
    ck_assert_uint_eq(address.octets[19], 17); /* big-endian zone */
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        ck_assert_msg(!vadm_inet_parse(bad[i], &address), "%s", bad[i]);
        ck_assert_uint_eq(address.type, VADM_INET_UNKNOWN);
        ck_assert_uint_eq(address.length, 0);
        ck_assert_uint_eq(address.port, 0);
    }
}
END_TEST

/* Through the kernel's form and back, and to the text. */
START_TEST(test_round)
{
    static const struct {
        const char *text, *written;
    } rounds[] = {
        {"192.0.2.7:52110", "192.0.2.7:52110"},
        {"0.0.0.0:0", "0.0.0.0:0"},
        {"[2001:DB8:0:0::1]:4711", "[2001:db8::1]:4711"},
        {"[fe80::1%lo]:1", "[fe80::1%lo]:1"},
        {"[::]:65535", "[::]:65535"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rounds); i++) {
        g_autofree char *text = NULL;
        struct sockaddr_storage raw;
        VadmInetAddress address, back;

        ck_assert(vadm_inet_parse(rounds[i].text, &address));
        ck_assert_uint_gt(vadm_inet_to_sockaddr(&address, &raw), 0);
        vadm_inet_from_sockaddr(&raw, &back);
        ck_assert(vadm_inet_equal(&address, &back));
        text = vadm_inet_to_text(&back);
        ck_assert_str_eq(text, rounds[i].written);
    }
}
END_TEST

START_TEST(test_sockaddr)
{
    struct sockaddr_storage raw = {.ss_family = AF_INET6};
    struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)&raw;
    VadmInetAddress address;
    g_autofree char *text = NULL, *none = NULL;

    ipv6->sin6_port = htons(258);
    ck_assert_int_eq(inet_pton(AF_INET6, "::ffff:192.0.2.1", &ipv6->sin6_addr), 1);
    vadm_inet_from_sockaddr(&raw, &address);
    ck_assert_uint_eq(address.type, VADM_INET_IPV4);
    ck_assert_uint_eq(address.length, 4);
    text = vadm_inet_to_text(&address);
    ck_assert_str_eq(text, "192.0.2.1:258");

    raw.ss_family = AF_UNIX;
    vadm_inet_from_sockaddr(&raw, &address);
    ck_assert_uint_eq(address.type, VADM_INET_UNKNOWN);
    ck_assert_uint_eq(address.length, 0);
    ck_assert_uint_eq(vadm_inet_to_sockaddr(&address, &raw), 0);
    none = vadm_inet_to_text(&address);
    ck_assert_str_eq(none, "");
}
END_TEST

START_TEST(test_kinds)
{
    static const struct {
        const char *text;
        gboolean any, loopback;
    } kinds[] = {
        {"0.0.0.0:1", TRUE, FALSE},       {"[::]:1", TRUE, FALSE},
        {"127.0.0.1:1", FALSE, TRUE},     {"127.3.4.5:1", FALSE, TRUE},
        {"[::1]:1", FALSE, TRUE},         {"128.0.0.1:1", FALSE, FALSE},
        {"0.0.0.1:1", FALSE, FALSE},      {"[::2]:1", FALSE, FALSE},
        {"[1::]:1", FALSE, FALSE},        {"10.0.0.1:1", FALSE, FALSE},
        {"[fe80::1%lo]:1", FALSE, FALSE},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        VadmInetAddress address;

        ck_assert(vadm_inet_parse(kinds[i].text, &address));
        ck_assert_msg(vadm_inet_is_any(&address) == kinds[i].any, "%s", kinds[i].text);
        ck_assert_msg(vadm_inet_is_loopback(&address) == kinds[i].loopback, "%s", kinds[i].text);
    }
}
END_TEST

START_TEST(test_equal)
{
    VadmInetAddress one, port, other, zone, zones;

    ck_assert(vadm_inet_parse("[fe80::1]:1", &one));
    ck_assert(vadm_inet_parse("[fe80::1]:2", &port));
    ck_assert(vadm_inet_parse("[fe80::2]:1", &other));
    ck_assert(vadm_inet_parse("[fe80::1%7]:1", &zone));
    ck_assert(vadm_inet_parse("[fe80::1%8]:1", &zones));
    ck_assert(vadm_inet_equal(&one, &one));
    ck_assert(!vadm_inet_equal(&one, &port));
    ck_assert(!vadm_inet_equal(&one, &other));
    ck_assert(!vadm_inet_equal(&one, &zone));
    ck_assert(!vadm_inet_equal(&zone, &zones));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("inet");
    TCase *tc = tcase_create("inet");

    tcase_add_test(tc, test_parse);
    tcase_add_test(tc, test_round);
    tcase_add_test(tc, test_sockaddr);
    tcase_add_test(tc, test_kinds);
    tcase_add_test(tc, test_equal);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
