/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls net-snmp. */
#include "agent/transport.h"

#include <errno.h>
#include <gio/gunixsocketaddress.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/netsnmp.h"
#include "common/error.h"

#define VADM_TRANSPORT_CONNECT_MS 500
#define VADM_TRANSPORT_SEND_MS    1000
/* net-snmp's default of 208 KiB holds some 278 notifications; beyond that both sides could
 * wait for each other. */
#define VADM_TRANSPORT_SNDBUF (4 * 1024 * 1024)

static GSocketAddress *
vadm_transport_parse_tcp(const char *text, const char *master, GError **error)
{
    const char *colon = strrchr(text, ':');
    g_autofree char *host = NULL;
    GSocketAddress *address = NULL;
    guint64 port;

    if (colon && g_ascii_string_to_unsigned(colon + 1, 10, 1, 65535, &port, NULL)) {
        gsize length = (gsize)(colon - text);

        if (length >= 2 && text[0] == '[' && text[length - 1] == ']')
            host = g_strndup(text + 1, length - 2);
        else
            host = g_strndup(text, length);
        if (strcmp(host, "localhost") == 0)
            address = g_inet_socket_address_new_from_string("127.0.0.1", (guint)port);
        else
            address = g_inet_socket_address_new_from_string(host, (guint)port);
    }
    if (!address)
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG,
                    "master agent '%s': must be unix:PATH or tcp:ADDRESS:PORT with a numeric "
                    "address",
                    master);
    return address;
}

GSocketAddress *
vadm_transport_parse(const char *master, GError **error)
{
    if (g_str_has_prefix(master, "tcp:"))
        return vadm_transport_parse_tcp(master + strlen("tcp:"), master, error);
    if (g_str_has_prefix(master, "unix:/") &&
        strlen(master + strlen("unix:")) < sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return g_unix_socket_address_new(master + strlen("unix:"));
    g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG,
                "master agent '%s': must be unix:PATH with an absolute path of at most %zu octets, "
                "or tcp:ADDRESS:PORT",
                master, sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
    return NULL;
}

/* 0, or the errno of a connection that did not come about in time. */
static int
vadm_transport_wait_connected(int fd)
{
    struct pollfd waiting = {.fd = fd, .events = POLLOUT};
    socklen_t length = sizeof(int);
    int failure = 0;
    int rc;

    do {
        rc = poll(&waiting, 1, VADM_TRANSPORT_CONNECT_MS);
    } while (rc < 0 && errno == EINTR);
    if (rc < 0)
        return errno;
    if (rc == 0)
        return ETIMEDOUT;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &length) < 0)
        return errno;
    return failure;
}

/* 0 or an errno; EAGAIN: a unix socket whose backlog is full. */
static int
vadm_transport_connect(GSocketAddress *address, int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_storage storage;
    } native;
    gssize length = g_socket_address_get_native_size(address);

    if (length < 0 || (gsize)length > sizeof(native) ||
        !g_socket_address_to_native(address, &native, sizeof(native), NULL))
        return EINVAL;
    if (connect(fd, &native.any, (socklen_t)length) == 0)
        return 0;
    return errno == EINPROGRESS || errno == EINTR ? vadm_transport_wait_connected(fd) : errno;
}

static int
vadm_transport_open_socket(const char *master, int *fd)
{
    g_autoptr(GSocketAddress) address = vadm_transport_parse(master, NULL);
    int size = VADM_TRANSPORT_SNDBUF;
    int failure;

    if (!address)
        return EINVAL;
    *fd = socket(g_socket_address_get_family(address) == G_SOCKET_FAMILY_UNIX   ? AF_UNIX
                 : g_socket_address_get_family(address) == G_SOCKET_FAMILY_IPV6 ? AF_INET6
                                                                                : AF_INET,
                 SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return errno;
    failure = vadm_transport_connect(address, *fd);
    if (failure != 0) {
        close(*fd);
        return failure;
    }
    /* beyond net.core.wmem_max only with CAP_NET_ADMIN; what we get is good enough */
    if (setsockopt(*fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
        (void)setsockopt(*fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    return 0;
}

/* A wake-up for nothing must not look like EOF. */
static int
vadm_transport_recv(netsnmp_transport *transport, void *buffer, int size, void **opaque,
                    int *opaque_length)
{
    ssize_t got;

    *opaque = NULL;
    *opaque_length = 0;
    do {
        got = recv(transport->sock, buffer, (size_t)size, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        transport->flags |= NETSNMP_TRANSPORT_FLAG_EMPTY_PKT;
        return 0;
    }
    return (int)got;
}

/* FALSE: there was no room within the time that is left. */
static gboolean
vadm_transport_wait_writable(int fd, gint64 deadline)
{
    struct pollfd waiting = {.fd = fd, .events = POLLOUT};
    gint64 left = (deadline - g_get_monotonic_time()) / 1000;
    int rc;

    if (left <= 0)
        return FALSE;
    rc = poll(&waiting, 1, (int)left);
    return rc > 0 || (rc < 0 && errno == EINTR);
}

static int
vadm_transport_send(netsnmp_transport *transport, const void *buffer, int size, void **opaque,
                    int *opaque_length)
{
    gint64 deadline = g_get_monotonic_time() + VADM_TRANSPORT_SEND_MS * 1000;
    const char *next = buffer;
    size_t left = (size_t)size;

    (void)opaque;
    (void)opaque_length;
    while (left > 0) {
        ssize_t put = send(transport->sock, next, left, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (put >= 0) {
            next += put;
            left -= (size_t)put;
            continue;
        }
        if (errno == EINTR)
            continue;
        if ((errno == EAGAIN || errno == EWOULDBLOCK) &&
            vadm_transport_wait_writable(transport->sock, deadline))
            continue;
        /* A packet that has been begun cannot be taken back. */
        snmp_log(LOG_WARNING, "the master agent does not take what is sent to it\n");
        shutdown(transport->sock, SHUT_RDWR);
        return -1;
    }
    return size;
}

static int
vadm_transport_close(netsnmp_transport *transport)
{
    int rc = transport->sock >= 0 ? close(transport->sock) : -1;

    transport->sock = -1;
    return rc;
}

static char *
vadm_transport_format(netsnmp_transport *transport, const void *data, int length)
{
    (void)data;
    (void)length;
    return strndup(transport && transport->remote ? transport->remote : "master",
                   transport && transport->remote ? (size_t)transport->remote_length : 6);
}

/* net-snmp owns the result and frees it, its strings with free(). */
static netsnmp_transport *
vadm_transport_create(netsnmp_tdomain_spec *spec)
{
    static const oid domain[] = {NETSNMP_ENTERPRISE_MIB, 9999, 6906};
    netsnmp_transport *transport;
    int fd = -1;
    int failure;

    if (!spec->target || (spec->flags & NETSNMP_TSPEC_LOCAL))
        return NULL;
    failure = vadm_transport_open_socket(spec->target, &fd);
    if (failure != 0) {
        snmp_log(LOG_WARNING, "cannot connect to the master agent at %s: %s\n", spec->target,
                 failure == EAGAIN ? "it accepts no connections (is it stopped?)"
                                   : g_strerror(failure));
        return NULL;
    }
    transport = calloc(1, sizeof(*transport));
    if (!transport) {
        close(fd);
        return NULL;
    }
    transport->domain = domain;
    transport->domain_length = G_N_ELEMENTS(domain);
    transport->remote = strdup(spec->target);
    transport->remote_length = transport->remote ? (int)strlen(spec->target) : 0;
    transport->sock = fd;
    transport->flags = NETSNMP_TRANSPORT_FLAG_STREAM;
    transport->msgMaxSize = SNMP_MAX_PACKET_LEN;
    transport->f_recv = vadm_transport_recv;
    transport->f_send = vadm_transport_send;
    transport->f_close = vadm_transport_close;
    transport->f_fmtaddr = vadm_transport_format;
    return transport;
}

void
vadm_transport_register(void)
{
    static const oid name[] = {NETSNMP_ENTERPRISE_MIB, 9999, 6906};
    /* net-snmp links it into its list of domains, so it is the process's */
    static netsnmp_tdomain domain = {
        .name = name,
        .name_length = G_N_ELEMENTS(name),
        .f_create_from_tspec = vadm_transport_create,
    };

    /* snmp_shutdown() frees the array, not what it points to */
    domain.prefix = calloc(2, sizeof(*domain.prefix));
    if (!domain.prefix)
        return;
    domain.prefix[0] = VADM_TRANSPORT_PREFIX;
    netsnmp_tdomain_register(&domain);
}
