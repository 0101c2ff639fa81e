/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <config.h> /* accept4() */

#include "daemon/service.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define VADM_LOG_CATEGORY "daemon.service"
#include "common/log.h"

/* Accepted in one turn of the main loop, so that a storm of connects does not starve those who
 * are connected. */
#define VADM_SERVICE_BATCH    32u
#define VADM_SERVICE_RETRY_MS 1000u
/* Daemons that start at the same time for the same socket wait for one another that long. */
#define VADM_SERVICE_LOCK_TRIES 40u
#define VADM_SERVICE_LOCK_US    (50u * 1000)

struct _VadmService {
    const VadmListenConfig *config;
    VadmServiceAccess access;
    GMainContext *context;
    VadmServiceAccepted accepted;
    gpointer user;

    int fd;    /* -1: not listening */
    dev_t dev; /* of the socket file that is ours */
    ino_t inode;
    GSource *source; /* accepting */
    GSource *retry;  /* out of descriptors: armed until the next attempt */
    gboolean wanted;
    gboolean starved; /* has been logged; until nobody waits any more, not at each descriptor */
    atomic_bool accepting;
};

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

static void
vadm_service_set_error(GError **error, const char *path, const char *rule)
{
    g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG, "socket '%s': %s", path, rule);
}

static gboolean
vadm_service_address(const char *path, struct sockaddr_un *address, GError **error)
{
    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    if (!path || path[0] != '/') {
        vadm_service_set_error(error, path ? path : "", "the path must be absolute");
        return FALSE;
    }
    if (strlen(path) >= sizeof(address->sun_path)) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG,
                    "socket '%s': the path is too long: %zu octets, the kernel takes %zu", path,
                    strlen(path), sizeof(address->sun_path) - 1);
        return FALSE;
    }
    memcpy(address->sun_path, path, strlen(path));
    return TRUE;
}

/* Is there somebody who listens? Returns: 0: nobody, else why it must be left alone */
static int
vadm_service_probe(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int errnum = 0;

    if (fd < 0)
        return errno;
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
        errnum = EADDRINUSE;
    else if (errno == EAGAIN || errno == EINPROGRESS || errno == EPROTOTYPE)
        /* A full backlog; a socket of another type: both have an owner. */
        errnum = EADDRINUSE;
    else if (errno != ECONNREFUSED && errno != ENOENT)
        errnum = errno;
    close(fd);
    return errnum;
}

/* Removes a socket file that a dead daemon has left. Under the folder's lock. */
static gboolean
vadm_service_clear_path(const struct sockaddr_un *address, GError **error)
{
    const char *path = address->sun_path;
    struct stat st;
    int errnum;

    if (lstat(path, &st) < 0) {
        if (errno == ENOENT)
            return TRUE;
        vadm_error_set_errno(error, errno, "socket '%s'", path);
        return FALSE;
    }
    if (!S_ISSOCK(st.st_mode)) {
        vadm_service_set_error(error, path, "exists and is no socket");
        return FALSE;
    }
    errnum = vadm_service_probe(address);
    if (errnum == EADDRINUSE) {
        vadm_service_set_error(error, path, "already in use");
        return FALSE;
    }
    if (errnum != 0) {
        vadm_error_set_errno(error, errnum, "socket '%s': unable to tell whether it is in use",
                             path);
        return FALSE;
    }
    if (unlink(path) < 0 && errno != ENOENT) {
        vadm_error_set_errno(error, errno, "socket '%s': unable to replace it", path);
        return FALSE;
    }
    VADM_INFO("Replacing socket '%s' that nobody listens on", path);
    return TRUE;
}

/* Until it is set otherwise nobody else may connect: the mode comes from the umask, the way to
 * the final one (access) is open only when owner and group are right. */
static gboolean
vadm_service_bind(VadmService *service, const struct sockaddr_un *address, GError **error)
{
    const char *path = address->sun_path;
    mode_t mask = umask(0177);
    int rc = bind(service->fd, (const struct sockaddr *)address, sizeof(*address));
    int errnum = errno;
    struct stat st;

    umask(mask);
    if (rc < 0) {
        vadm_error_set_errno(error, errnum, "socket '%s': unable to bind", path);
        return FALSE;
    }
    if (lstat(path, &st) < 0) {
        vadm_error_set_errno(error, errno, "socket '%s'", path);
        return FALSE;
    }
    service->dev = st.st_dev;
    service->inode = st.st_ino;
    if (service->access.gid != (gid_t)-1 && lchown(path, (uid_t)-1, service->access.gid) < 0) {
        vadm_error_set_errno(error, errno, "socket '%s': unable to give it to group %u", path,
                             (guint)service->access.gid);
        return FALSE;
    }
    if (chmod(path, service->access.mode) < 0) {
        vadm_error_set_errno(error, errno, "socket '%s': unable to set mode %04o", path,
                             (guint)service->access.mode);
        return FALSE;
    }
    return TRUE;
}

/* Of two daemons that find the same dead socket the second must find the first's, not replace
 * it: who replaces holds the lock of the folder until it listens. Not waited for for ever,
 * since whoever can read the folder can lock it. */
static int
vadm_service_lock_folder(const char *path, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        vadm_error_set_errno(error, errno, "socket '%s': directory '%s'", path, folder);
        return -1;
    }
    for (guint i = 0; i < VADM_SERVICE_LOCK_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return fd;
        if (errno != EWOULDBLOCK && errno != EINTR)
            break; /* a file system without locks */
        g_usleep(VADM_SERVICE_LOCK_US);
    }
    VADM_WARN("Directory '%s' cannot be locked, opening socket '%s' without", folder, path);
    return fd;
}

gboolean
vadm_service_listen(VadmService *service, GError **error)
{
    struct sockaddr_un address;
    int backlog = (int)MIN(service->access.backlog, (guint32)G_MAXINT);
    gboolean ok;
    int folder;

    if (service->config->transport != VADM_TRANSPORT_UNIX) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG,
                    "service '%s': only unix sockets are supported", service->config->text);
        return FALSE;
    }
    if (!vadm_service_address(service->config->path, &address, error))
        return FALSE;
    folder = vadm_service_lock_folder(address.sun_path, error);
    if (folder < 0)
        return FALSE;
    service->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (service->fd < 0)
        vadm_error_set_errno(error, errno, "socket '%s'", address.sun_path);
    ok = service->fd >= 0 && vadm_service_clear_path(&address, error) &&
         vadm_service_bind(service, &address, error);
    if (ok && listen(service->fd, backlog) < 0) {
        vadm_error_set_errno(error, errno, "socket '%s': unable to listen", address.sun_path);
        ok = FALSE;
    }
    close(folder);
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
        VADM_ERR("Unable to accept on socket '%s', pausing: %s", service->config->path,
                 g_strerror(errnum));
    service->starved = TRUE;
    service->retry = g_timeout_source_new(VADM_SERVICE_RETRY_MS);
    g_source_set_callback(service->retry, vadm_service_retried, service, NULL);
    g_source_attach(service->retry, service->context);
    vadm_service_update(service);
}

/* Returns: FALSE when the turn is over. */
static gboolean
vadm_service_accept_one(VadmService *service)
{
    int fd = accept4(service->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0) {
        service->accepted(service, fd, service->user);
        return TRUE;
    }
    if (errno == EINTR || errno == ECONNABORTED)
        return TRUE;
    if (errno != EAGAIN && errno != EWOULDBLOCK) {
        vadm_service_pause(service, errno);
        return FALSE;
    }
    if (service->starved)
        VADM_INFO("Accepting on socket '%s' again", service->config->path);
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

/* Another daemon may have put its own socket there. */
static void
vadm_service_unlink(VadmService *service)
{
    struct stat st;

    if (service->inode == 0 || lstat(service->config->path, &st) < 0)
        return;
    if (st.st_dev == service->dev && st.st_ino == service->inode)
        unlink(service->config->path);
    service->inode = 0;
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
