/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <config.h> /* accept4() */

#include "daemon/service-private.h"

#include <glib-unix.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/inet.h"
#include "common/spare-fds.h"

#define VADM_LOG_CATEGORY "daemon.service"
#include "common/log.h"

/* Accepted in one turn of the main loop, so that a storm of connects does not starve those who
 * are connected. */
#define VADM_SERVICE_BATCH    32u
#define VADM_SERVICE_RETRY_MS 1000u

static void vadm_service_update(VadmService *service);

VadmService *
vadm_service_new(const VadmListenConfig *config, const VadmServiceAccess *access,
                 GMainContext *context, VadmServiceAccepted accepted, gpointer user)
{
    VadmService *service = g_new0(VadmService, 1);

    service->config = config;
    service->access = *access;
    service->context = context ? g_main_context_ref(context) : NULL;
    service->accepted = accepted;
    service->user = user;
    service->fd = -1;
    atomic_init(&service->accepting, false);
    return service;
}

static gboolean
vadm_service_is_unix(const VadmService *service)
{
    return service->config->transport == VADM_TRANSPORT_UNIX;
}

gboolean
vadm_service_listen(VadmService *service, GError **error)
{
    gboolean ok = vadm_service_is_unix(service) ? vadm_service_open_unix(service, error)
                                                : vadm_service_open_inet(service, error);

    if (!ok)
        vadm_service_stop(service);
    return ok;
}

static void
vadm_service_disarm(GSource **source)
{
    if (!*source)
        return;
    g_source_destroy(*source);
    g_clear_pointer(source, g_source_unref);
}

static gboolean
vadm_service_retried(gpointer user)
{
    vadm_service_retry(user);
    return G_SOURCE_REMOVE;
}

/* Without a descriptor to accept with, the socket stays readable: polling it would be a busy
 * loop, so it rests until one may be free. */
static void
vadm_service_pause(VadmService *service, int errnum)
{
    if (!service->starved)
        VADM_ERR("Unable to accept on '%s', pausing: %s", service->config->text,
                 g_strerror(errnum));
    service->starved = TRUE;
    service->retry = g_timeout_source_new(VADM_SERVICE_RETRY_MS);
    g_source_set_callback(service->retry, vadm_service_retried, service, NULL);
    g_source_attach(service->retry, service->context);
    vadm_service_update(service);
}

/* Has only that one connection failed? (accept(2), "Error handling") */
static gboolean
vadm_service_is_passing(int errnum)
{
    switch (errnum) {
    case EINTR:
    case ECONNABORTED:
    case EPERM: /* a firewall's doing */
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
        return TRUE;
    default:
        return FALSE;
    }
}

/* Returns: FALSE when the turn is over. */
static gboolean
vadm_service_accept_one(VadmService *service)
{
    struct sockaddr_storage raw = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof(raw);
    VadmInetAddress peer;
    int fd;

    if (!vadm_spare_fds_allow(service->access.spare_fds)) {
        vadm_service_pause(service, EMFILE);
        return FALSE;
    }
    fd = accept4(service->fd, (struct sockaddr *)&raw, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        vadm_inet_from_sockaddr(&raw, &peer);
        service->accepted(service, fd, &peer, service->user);
        return TRUE;
    }
    if (vadm_service_is_passing(errno))
        return TRUE;
    if (errno != EAGAIN && errno != EWOULDBLOCK) {
        vadm_service_pause(service, errno);
        return FALSE;
    }
    if (service->starved)
        VADM_INFO("Accepting on '%s' again", service->config->text);
    service->starved = FALSE;
    return FALSE;
}

static gboolean
vadm_service_ready(gint fd, GIOCondition condition, gpointer user)
{
    VadmService *service = user;

    (void)fd;
    (void)condition;
    for (guint i = 0; i < VADM_SERVICE_BATCH && service->source; i++)
        if (!vadm_service_accept_one(service))
            break;
    return service->source ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static void
vadm_service_update(VadmService *service)
{
    gboolean accepting = service->wanted && service->fd >= 0 && !service->retry;

    atomic_store(&service->accepting, accepting);
    if (!accepting) {
        vadm_service_disarm(&service->source);
        return;
    }
    if (service->source)
        return;
    service->source = g_unix_fd_source_new(service->fd, G_IO_IN);
    g_source_set_callback(service->source, G_SOURCE_FUNC(vadm_service_ready), service, NULL);
    g_source_attach(service->source, service->context);
}

void
vadm_service_set_accepting(VadmService *service, gboolean accepting)
{
    service->wanted = accepting;
    vadm_service_update(service);
}

void
vadm_service_retry(VadmService *service)
{
    vadm_service_disarm(&service->retry);
    vadm_service_update(service);
}

void
vadm_service_stop(VadmService *service)
{
    service->wanted = FALSE;
    vadm_service_disarm(&service->retry);
    vadm_service_disarm(&service->source);
    atomic_store(&service->accepting, false);
    if (service->fd < 0)
        return;
    if (vadm_service_is_unix(service))
        vadm_service_unlink(service);
    close(service->fd);
    service->fd = -1;
}

void
vadm_service_free(VadmService *service)
{
    if (!service)
        return;
    vadm_service_stop(service);
    if (service->context)
        g_main_context_unref(service->context);
    g_free(service);
}

gboolean
vadm_service_is_accepting(VadmService *service)
{
    return atomic_load(&service->accepting);
}

const VadmListenConfig *
vadm_service_get_config(const VadmService *service)
{
    return service->config;
}
