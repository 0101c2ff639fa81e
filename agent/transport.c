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

#include "agent/heartbeat.h"
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

/* The header of an AgentX PDU (RFC 2741 section 6.1) and where in it what stands. */
enum {
    HEADER_TYPE = 1,
    HEADER_FLAGS = 2,
    HEADER_TRANSACTION = 8,
    HEADER_PACKET = 12,
    HEADER_PAYLOAD = 16,
    HEADER_SIZE = 20
};
enum { PDU_TESTSET = 8, PDU_CLEANUPSET = 11, PDU_RESPONSE = 18 };
#define VADM_AGENTX_NETWORK_BYTE_ORDER 0x10

/*
 * One phase of a SET at a time. net-snmp takes the next PDU of a transaction from the socket before
 * the last one is answered, and then overwrites in which phase it is; a master whose other subagent
 * dies sends CleanupSet right behind TestSet, and the answer to the first frees what the second
 * still uses (handle_subagent_set_response in 5.9). So PDUs are handed over one by one, and one
 * of a SET stays in the socket until the one before is answered.
 */
typedef struct {
    gsize rest;       /* octets of a PDU of which the beginning is handed over */
    gboolean refused; /* those of a PDU that is not handed over, @header */
    guint8 header[HEADER_SIZE];
    gboolean waiting; /* for our answer to @packet, a phase of a SET */
    guint8 type;
    guint32 transaction, packet;
    gint64 since;
} VadmTransportState;

/* net-snmp, master or subagent, does not parse a longer one, nor answer it: the master would wait
 * for its time to be over and then end the session. A manager's request of some thousand varbinds
 * is enough. */
#define VADM_TRANSPORT_PDU_MAX  65536
#define VADM_AGENTX_PARSE_ERROR 266

/* An answer that net-snmp does not give, out of memory, must not stop all that follows. */
#define VADM_TRANSPORT_PHASE_US   (15 * G_USEC_PER_SEC)
#define VADM_TRANSPORT_CLEANUP_US (1 * G_USEC_PER_SEC)

static guint32
vadm_transport_number(const guint8 *header, gsize at)
{
    guint32 number;

    memcpy(&number, header + at, sizeof(number));
    return header[HEADER_FLAGS] & VADM_AGENTX_NETWORK_BYTE_ORDER ? GUINT32_FROM_BE(number)
                                                                 : GUINT32_FROM_LE(number);
}

/* A CleanupSet without a transaction may stay unanswered: it holds back the others for a short time
 * only. But it must hold them back: the next answer to any of them would end the waiting for it. */
static gboolean
vadm_transport_must_wait(const VadmTransportState *state, const guint8 *header, gint64 now)
{
    gboolean others = vadm_transport_number(header, HEADER_TRANSACTION) != state->transaction;
    gint64 limit = others && state->type == PDU_CLEANUPSET ? VADM_TRANSPORT_CLEANUP_US
                                                           : VADM_TRANSPORT_PHASE_US;

    return state->waiting && now - state->since < limit;
}

/* Whether a PDU that begins with @header may be handed over now. */
static gboolean
vadm_transport_begin(VadmTransportState *state, const guint8 *header)
{
    guint8 type = header[HEADER_TYPE];
    gsize size = HEADER_SIZE + (gsize)vadm_transport_number(header, HEADER_PAYLOAD);
    gboolean refused = size > VADM_TRANSPORT_PDU_MAX;
    gint64 now = g_get_monotonic_time();

    if (type >= PDU_TESTSET && type <= PDU_CLEANUPSET) {
        if (vadm_transport_must_wait(state, header, now))
            return FALSE;
        state->waiting = !refused;
        state->type = type;
        state->transaction = vadm_transport_number(header, HEADER_TRANSACTION);
        state->packet = vadm_transport_number(header, HEADER_PACKET);
        state->since = now;
    }
    state->rest = size;
    state->refused = refused;
    memcpy(state->header, header, HEADER_SIZE);
    return TRUE;
}

/* A packet that we send: the end of the waiting, if it is the answer. */
static void
vadm_transport_note_sent(VadmTransportState *state, const guint8 *packet, gsize size)
{
    if (size >= HEADER_SIZE && packet[HEADER_TYPE] == PDU_RESPONSE &&
        vadm_transport_number(packet, HEADER_TRANSACTION) == state->transaction &&
        vadm_transport_number(packet, HEADER_PACKET) == state->packet)
        state->waiting = FALSE;
}

/* A part of a header will be followed by the rest, and a PDU that is held back taken up, unless the
 * master has gone: then nobody waits for answers any more. */
static gboolean
vadm_transport_is_closed(int fd)
{
    struct pollfd closed = {.fd = fd, .events = POLLRDHUP};

    return poll(&closed, 1, 0) > 0;
}

static ssize_t
vadm_transport_read(int fd, void *buffer, gsize size, int flags)
{
    ssize_t got;

    do {
        got = recv(fd, buffer, size, MSG_DONTWAIT | flags);
    } while (got < 0 && errno == EINTR);
    return got;
}

/* What waits in the socket makes it readable, so that the loop comes again at once: not too often.
 */
static int
vadm_transport_later(netsnmp_transport *transport, gboolean nap)
{
    transport->flags |= NETSNMP_TRANSPORT_FLAG_EMPTY_PKT;
    if (nap)
        g_usleep(1000);
    return 0;
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
vadm_transport_send_all(netsnmp_transport *transport, const void *buffer, int size)
{
    gint64 deadline = g_get_monotonic_time() + VADM_TRANSPORT_SEND_MS * 1000;
    const char *next = buffer;
    size_t left = (size_t)size;

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

/* An answer without varbinds. @header: of the request, or of the answer itself. */
static int
vadm_transport_send_error(netsnmp_transport *transport, const guint8 *header, guint16 error)
{
    gboolean big = (header[HEADER_FLAGS] & VADM_AGENTX_NETWORK_BYTE_ORDER) != 0;
    struct {
        guint8 header[HEADER_SIZE];
        guint32 uptime;
        guint16 error, index;
    } answer = {.error = (guint16)(big ? GUINT16_TO_BE(error) : GUINT16_TO_LE(error))};
    guint32 payload = sizeof(answer) - HEADER_SIZE;

    payload = big ? GUINT32_TO_BE(payload) : GUINT32_TO_LE(payload);
    memcpy(answer.header, header, HEADER_SIZE);
    answer.header[HEADER_TYPE] = PDU_RESPONSE;
    answer.header[HEADER_FLAGS] &= VADM_AGENTX_NETWORK_BYTE_ORDER;
    memcpy(answer.header + HEADER_PAYLOAD, &payload, sizeof(payload));
    return vadm_transport_send_all(transport, &answer, sizeof(answer));
}

static int
vadm_transport_send(netsnmp_transport *transport, const void *buffer, int size, void **opaque,
                    int *opaque_length)
{
    const guint8 *packet = buffer;

    (void)opaque;
    (void)opaque_length;
    vadm_heartbeat_beat();
    vadm_transport_note_sent(transport->data, packet, (gsize)size);
    if (size <= VADM_TRANSPORT_PDU_MAX || packet[HEADER_TYPE] != PDU_RESPONSE)
        return vadm_transport_send_all(transport, buffer, size);
    snmp_log(LOG_WARNING, "an answer of %d octets is too big for the master agent\n", size);
    return vadm_transport_send_error(transport, packet, SNMP_ERR_TOOBIG) < 0 ? -1 : size;
}

/* Answers the PDU that has been thrown away. */
static void
vadm_transport_refuse(netsnmp_transport *transport)
{
    const VadmTransportState *state = transport->data;

    snmp_log(LOG_WARNING, "a request of the master agent is refused: it is longer than %d octets\n",
             VADM_TRANSPORT_PDU_MAX);
    vadm_transport_send_error(transport, state->header, VADM_AGENTX_PARSE_ERROR);
}

/* A wake-up for nothing must not look like EOF. */
static int
vadm_transport_recv(netsnmp_transport *transport, void *buffer, int size, void **opaque,
                    int *opaque_length)
{
    VadmTransportState *state = transport->data;
    guint8 header[HEADER_SIZE];
    ssize_t got;

    *opaque = NULL;
    *opaque_length = 0;
    vadm_heartbeat_beat();
    if (state->rest == 0) {
        got = vadm_transport_read(transport->sock, header, sizeof(header), MSG_PEEK);
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return vadm_transport_later(transport, FALSE);
        if (got <= 0)
            return (int)got;
        if (got < HEADER_SIZE || !vadm_transport_begin(state, header))
            return vadm_transport_is_closed(transport->sock)
                       ? 0
                       : vadm_transport_later(transport, TRUE);
    }
    got = vadm_transport_read(transport->sock, buffer, MIN((gsize)size, state->rest), 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return vadm_transport_later(transport, FALSE);
    if (got > 0)
        state->rest -= (gsize)got;
    if (got <= 0 || !state->refused)
        return (int)got;
    if (state->rest == 0)
        vadm_transport_refuse(transport);
    return vadm_transport_later(transport, FALSE);
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

/* The session that net-snmp makes of the transport next, and sends the open with, before anybody
 * else can lay hands on it. */
static void
vadm_transport_limit_waiting(void)
{
    netsnmp_ds_set_int(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_TIMEOUT, VADM_TRANSPORT_ANSWER_S);
    netsnmp_ds_set_int(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_RETRIES, 0);
}

/* net-snmp owns the result and frees it, its strings with free(). */
static netsnmp_transport *
vadm_transport_create(netsnmp_tdomain_spec *spec)
{
    static const oid domain[] = {NETSNMP_ENTERPRISE_MIB, 9999, 6906};
    VadmTransportState *state;
    netsnmp_transport *transport;
    int fd = -1;
    int failure;

    if (!spec->target || (spec->flags & NETSNMP_TSPEC_LOCAL))
        return NULL;
    vadm_heartbeat_beat();
    failure = vadm_transport_open_socket(spec->target, &fd);
    if (failure != 0) {
        snmp_log(LOG_WARNING, "cannot connect to the master agent at %s: %s\n", spec->target,
                 failure == EAGAIN ? "it accepts no connections (is it stopped?)"
                                   : g_strerror(failure));
        return NULL;
    }
    transport = calloc(1, sizeof(*transport));
    state = calloc(1, sizeof(*state));
    if (!transport || !state) {
        free(transport);
        free(state);
        close(fd);
        return NULL;
    }
    transport->data = state;
    transport->data_length = sizeof(*state);
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
    vadm_transport_limit_waiting();
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
