/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Services at an address and port: tcp and tls. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/inet.h"
#include "daemon/service-private.h"

#define VADM_LOG_CATEGORY "daemon.service"
#include "common/log.h"

static gboolean
vadm_service_set_option(VadmService *service, int level, int option, const char *name,
                        GError **error)
{
    const int on = 1;

    if (setsockopt(service->fd, level, option, &on, sizeof(on)) == 0)
        return TRUE;
    vadm_error_set_errno(error, errno, "address '%s': unable to set %s", service->config->text,
                         name);
    return FALSE;
}

/* The kernel hands the last two on to each connection: no system calls for each of them. */
static gboolean
vadm_service_set_options(VadmService *service, int family, GError **error)
{
    /* Connections of the last run that still wind up do not keep the next one from the port. */
    if (!vadm_service_set_option(service, SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR", error))
        return FALSE;
    /* Else [::] would take the port of 0.0.0.0, too. */
    if (family == AF_INET6 &&
        !vadm_service_set_option(service, IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY", error))
        return FALSE;
    /* Calls are small, and their senders wait for the replies. */
    if (!vadm_service_set_option(service, IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY", error))
        return FALSE;
    /* A host that has gone without a word frees its client's place in the end. */
    return vadm_service_set_option(service, SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE", error);
}

/* Returns: FALSE */
static gboolean
vadm_service_fail_inet(const VadmService *service, int errnum, const char *what, GError **error)
{
    const char *rule = NULL;

    if (errnum == EADDRINUSE)
        rule = "already in use";
    else if (errnum == EADDRNOTAVAIL || errnum == ENODEV)
        rule = "this host does not have it";
    else if (errnum == EAFNOSUPPORT)
        rule = "this host does not have this kind of addresses";
    if (rule)
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG, "address '%s': %s", service->config->text,
                    rule);
    else
        vadm_error_set_errno(error, errnum, "address '%s': unable to %s", service->config->text,
                             what);
    return FALSE;
}

static void
vadm_service_warn_open(const VadmListenConfig *listen)
{
    if (listen->transport == VADM_TRANSPORT_TCP && listen->auth == VADM_AUTH_NONE &&
        !vadm_inet_is_loopback(&listen->address))
        VADM_WARN("Whoever reaches '%s' is let in without authentication, and nothing is encrypted",
                  listen->text);
}

gboolean
vadm_service_open_inet(VadmService *service, GError **error)
{
    struct sockaddr_storage raw;
    socklen_t length = vadm_inet_to_sockaddr(&service->config->address, &raw);
    int backlog = (int)MIN(service->access.backlog, (guint32)G_MAXINT);

    service->fd = socket(raw.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (service->fd < 0)
        return vadm_service_fail_inet(service, errno, "open a socket", error);
    if (!vadm_service_set_options(service, raw.ss_family, error))
        return FALSE;
    if (bind(service->fd, (const struct sockaddr *)&raw, length) < 0)
        return vadm_service_fail_inet(service, errno, "bind", error);
    /* Of two sockets that could be bound at the same time one can listen. */
    if (listen(service->fd, backlog) < 0)
        return vadm_service_fail_inet(service, errno, "listen", error);
    vadm_service_warn_open(service->config);
    return TRUE;
}
