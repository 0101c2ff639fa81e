/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Services at addresses of the network, and who comes there. Where the host has no [::1], what is
 * about IPv6 says so and passes. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/inet.h"
#include "daemon/service-private.h"
#include "events-fixture.h"

static const VadmServiceAccess usual = {0600, (gid_t)-1, 10, 0};

/* What a service has accepted. */
typedef struct {
    guint count;
    int fd; /* -1: none is kept */
    VadmInetAddress peer;
} Accepted;

static void
on_accepted(VadmService *service, int fd, const VadmInetAddress *peer, gpointer user)
{
    Accepted *accepted = user;

    (void)service;
    accepted->count++;
    accepted->peer = *peer;
    if (accepted->fd >= 0)
        close(accepted->fd);
    accepted->fd = fd;
}

/* @text: an address without its port. The port is one that is free. */
static void
fill_listen(VadmListenConfig *listen, const char *text)
{
    g_autofree char *full = g_strconcat(text, ":0", NULL);

    *listen = (VadmListenConfig){.transport = VADM_TRANSPORT_TCP, .auth = VADM_AUTH_NONE};
    ck_assert(vadm_inet_parse(full, &listen->address));
    listen->text = g_strconcat("tcp:", full, NULL);
}

static VadmInetAddress
address_of(int fd)
{
    struct sockaddr_storage raw;
    socklen_t length = sizeof(raw);
    VadmInetAddress address;

    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&raw, &length), 0);
    vadm_inet_from_sockaddr(&raw, &address);
    return address;
}

static gboolean
has_ipv6(void)
{
    VadmInetAddress loopback;
    struct sockaddr_storage raw;
    socklen_t length;
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    gboolean has;

    ck_assert(vadm_inet_parse("[::1]:0", &loopback));
    length = vadm_inet_to_sockaddr(&loopback, &raw);
    has = fd >= 0 && bind(fd, (struct sockaddr *)&raw, length) == 0;
    if (fd >= 0)
        close(fd);
    if (!has)
        fprintf(stderr, "this host has no [::1]: nothing is tested about IPv6\n");
    return has;
}

static int
connect_to(const VadmInetAddress *address)
{
    struct sockaddr_storage raw;
    socklen_t length = vadm_inet_to_sockaddr(address, &raw);
    int fd = socket(raw.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_msg(connect(fd, (struct sockaddr *)&raw, length) == 0, "%s", g_strerror(errno));
    return fd;
}

static gboolean
is_set(int fd, int level, int option)
{
    int value = 0;
    socklen_t length = sizeof(value);

    ck_assert_int_eq(getsockopt(fd, level, option, &value, &length), 0);
    return value != 0;
}

static VadmService *
service_at(VadmListenConfig *listen, const char *text, Accepted *accepted)
{
    g_autoptr(GError) error = NULL;
    VadmService *service;

    fill_listen(listen, text);
    service = vadm_service_new(listen, &usual, NULL, on_accepted, accepted);
    ck_assert_msg(vadm_service_listen(service, &error), "%s", error ? error->message : "?");
    return service;
}

static void
service_end(VadmService *service, VadmListenConfig *listen)
{
    vadm_service_free(service);
    g_free(listen->text);
}

static void
check_accepted(const char *text)
{
    Accepted accepted = {.fd = -1};
    VadmListenConfig listen;
    VadmService *service = service_at(&listen, text, &accepted);
    VadmInetAddress there = address_of(service->fd), here;
    int fd = connect_to(&there);

    settle();
    ck_assert_uint_eq(accepted.count, 0);
    ck_assert(!vadm_service_is_accepting(service));
    vadm_service_set_accepting(service, TRUE);
    SPIN_UNTIL(accepted.count == 1);
    here = address_of(fd);
    ck_assert(vadm_inet_equal(&here, &accepted.peer));
    ck_assert(is_set(accepted.fd, IPPROTO_TCP, TCP_NODELAY));
    ck_assert(is_set(accepted.fd, SOL_SOCKET, SO_KEEPALIVE));
    ck_assert(fcntl(accepted.fd, F_GETFD) & FD_CLOEXEC);
    ck_assert(fcntl(accepted.fd, F_GETFL) & O_NONBLOCK);
    ck_assert(fcntl(service->fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    close(accepted.fd);
    service_end(service, &listen);
}

START_TEST(accepts_when_told)
{
    check_accepted("127.0.0.1");
    if (has_ipv6())
        check_accepted("[::1]");
}
END_TEST

/* It is still known where that came from. */
START_TEST(a_peer_that_has_gone)
{
    const struct linger at_once = {1, 0};
    Accepted accepted = {.fd = -1};
    VadmListenConfig listen;
    VadmService *service = service_at(&listen, "127.0.0.1", &accepted);
    VadmInetAddress there = address_of(service->fd), here;
    int fd = connect_to(&there);

    here = address_of(fd);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    close(fd);
    vadm_service_set_accepting(service, TRUE);
    SPIN_UNTIL(accepted.count == 1);
    ck_assert(vadm_inet_equal(&here, &accepted.peer));
    close(accepted.fd);
    service_end(service, &listen);
}
END_TEST

static void
expect_refusal(const VadmInetAddress *address, const char *rule)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *there = vadm_inet_to_text(address);
    g_autofree char *text = g_strconcat("tcp:", there, NULL);
    g_autofree char *message = g_strdup_printf("address '%s': %s", text, rule);
    VadmListenConfig listen = {.transport = VADM_TRANSPORT_TCP, .address = *address, .text = text};
    VadmService *service = vadm_service_new(&listen, &usual, NULL, on_accepted, NULL);
    guint fds = count_fds();

    ck_assert(!vadm_service_listen(service, &error));
    ck_assert(g_error_matches(error, VADM_ERROR, VADM_ERROR_CONFIG));
    ck_assert_str_eq(error->message, message);
    ck_assert_uint_eq(count_fds(), fds);
    ck_assert(!vadm_service_is_accepting(service));
    vadm_service_free(service);
}

START_TEST(addresses_that_cannot_be)
{
    Accepted accepted = {.fd = -1};
    VadmListenConfig listen;
    VadmService *service = service_at(&listen, "127.0.0.1", &accepted);
    VadmInetAddress there = address_of(service->fd);

    expect_refusal(&there, "already in use");
    ck_assert_int_eq(inet_pton(AF_INET, "0.0.0.0", there.octets), 1);
    expect_refusal(&there, "already in use");
    ck_assert(vadm_inet_parse("203.0.113.77:0", &there));
    expect_refusal(&there, "this host does not have it");
    ck_assert(vadm_inet_parse("[fe80::1%4000000000]:0", &there));
    expect_refusal(&there, has_ipv6() ? "this host does not have it"
                                      : "this host does not have this kind of addresses");
    service_end(service, &listen);
}
END_TEST

/* Connections that the last one has closed still wind up. */
START_TEST(again_at_once)
{
    Accepted accepted = {.fd = -1};
    VadmListenConfig listen;
    VadmService *service = service_at(&listen, "127.0.0.1", &accepted);
    g_autoptr(GError) error = NULL;
    VadmInetAddress there = address_of(service->fd);
    int fd = connect_to(&there);
    char octet;

    vadm_service_set_accepting(service, TRUE);
    SPIN_UNTIL(accepted.count == 1);
    vadm_service_stop(service);
    close(accepted.fd);
    ck_assert_int_eq(read(fd, &octet, 1), 0);
    close(fd);
    listen.address = there;
    ck_assert_msg(vadm_service_listen(service, &error), "%s", error ? error->message : "?");
    service_end(service, &listen);
}
END_TEST

START_TEST(one_port_of_both_families)
{
    Accepted accepted = {.fd = -1};
    VadmListenConfig listen, other;
    VadmService *service, *second;
    VadmInetAddress there;
    g_autoptr(GError) error = NULL;
    int fd;

    if (!has_ipv6())
        return;
    service = service_at(&listen, "[::]", &accepted);
    fill_listen(&other, "0.0.0.0");
    other.address.port = address_of(service->fd).port;
    second = vadm_service_new(&other, &usual, NULL, on_accepted, &accepted);
    ck_assert_msg(vadm_service_listen(second, &error), "%s", error ? error->message : "?");
    vadm_service_set_accepting(service, TRUE);
    ck_assert(vadm_inet_parse("127.0.0.1:0", &there));
    there.port = other.address.port;
    fd = connect_to(&there);
    settle();
    ck_assert_uint_eq(accepted.count, 0); /* it is the other's */
    vadm_service_set_accepting(second, TRUE);
    SPIN_UNTIL(accepted.count == 1);
    ck_assert_uint_eq(accepted.peer.type, VADM_INET_IPV4);
    close(fd);
    close(accepted.fd);
    service_end(service, &listen);
    service_end(second, &other);
}
END_TEST

/* The fixture's server, with its socket at an address instead. */
static VadmInetAddress
start_at(const char *text, VadmTransport transport)
{
    VadmServerConfig *config = vadm_config_find_server(fix.config, "libvirtd");
    VadmListenConfig *listen = g_ptr_array_index(config->listens, 0);
    const VadmService *service;

    g_free(listen->path);
    g_free(listen->text);
    fill_listen(listen, text);
    listen->transport = transport;
    fixture_start();
    service = g_ptr_array_index(fix.server->services, 0);
    return address_of(service->fd);
}

static void
check_client(const char *text, guint type, gsize length)
{
    VadmInetAddress there = start_at(text, VADM_TRANSPORT_TCP), here;
    g_autoptr(VadmClient) client = NULL;
    g_autoptr(VadmIdentity) who = NULL;
    g_autofree char *peer_text = NULL, *expected = NULL;
    VadmServiceRow service;
    VadmClientRow row;
    Peer *peer;

    heard_begin();
    peer = peer_new_inet(&there);
    client = get_client(1);
    here = address_of(peer->fd);
    expected = vadm_inet_to_text(&here);

    /* Nothing is to be waited for. */
    who = vadm_client_wait_names(client, 0);
    ck_assert(who->named);
    ck_assert(!who->local);
    ck_assert_uint_eq(who->uid, G_MAXUINT32);
    ck_assert_uint_eq(who->gid, G_MAXUINT32);
    ck_assert_uint_eq(who->pid, 0);
    ck_assert_str_eq(who->user_name, "");
    ck_assert_str_eq(who->sock_addr, expected);
    ck_assert(vadm_inet_equal(&who->address, &here));
    ck_assert_uint_eq(who->address.type, type);
    ck_assert_uint_eq(who->address.length, length);
    peer_text = vadm_identity_peer(who, VADM_TRANSPORT_TCP);
    ck_assert_str_eq(peer_text, expected);

    vadm_client_fill_row(client, &row);
    ck_assert_int_eq(row.transport, VADM_TRANSPORT_TCP);
    ck_assert(row.authenticated);
    ck_assert(!row.readonly);
    vadm_identity_unref(row.identity);
    ck_assert(vadm_server_fill_service(fix.server, 1, &service));
    ck_assert_int_eq(service.transport, VADM_TRANSPORT_TCP);
    ck_assert_uint_eq(service.address.type, type);
    ck_assert(!service.readonly);

    ck_assert_int_eq(heard_at(0)->kind, VADM_EVENT_CLIENT_CONNECTED);
    ck_assert_int_eq(heard_at(0)->client.transport, VADM_TRANSPORT_TCP);
    ck_assert_str_eq(heard_at(0)->client.identity->sock_addr, expected);
    ck_assert(heard_at(0)->client.identity->named); /* no look-up is under way */
    peer_call(peer, ECHO_NOW, 1, "over the network");
    peer_expect_reply(peer, 1, "over the network");
    peer_free(peer);
    SPIN_UNTIL(heard_count() == 2);
    ck_assert_int_eq(heard_at(1)->kind, VADM_EVENT_CLIENT_DISCONNECTED);
    ck_assert_str_eq(heard_at(1)->client.identity->sock_addr, expected);
    heard_end();
}

START_TEST(a_client_of_ipv4)
{
    check_client("127.0.0.1", VADM_INET_IPV4, 4);
}
END_TEST

START_TEST(a_client_of_ipv6)
{
    if (has_ipv6())
        check_client("[::1]", VADM_INET_IPV6, 16);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("tcp");
    TCase *services = tcase_create("services"), *clients = tcase_create("clients");

    tcase_set_timeout(services, 60);
    tcase_add_checked_fixture(services, fixture_setup, fixture_teardown);
    tcase_add_test(services, accepts_when_told);
    tcase_add_test(services, a_peer_that_has_gone);
    tcase_add_test(services, addresses_that_cannot_be);
    tcase_add_test(services, again_at_once);
    tcase_add_test(services, one_port_of_both_families);
    suite_add_tcase(suite, services);
    tcase_set_timeout(clients, 60);
    tcase_add_checked_fixture(clients, heard_setup, heard_teardown);
    tcase_add_checked_fixture(clients, fixture_setup, fixture_teardown);
    tcase_add_test(clients, a_client_of_ipv4);
    tcase_add_test(clients, a_client_of_ipv6);
    suite_add_tcase(suite, clients);
    return vadm_unit_main(suite);
}
