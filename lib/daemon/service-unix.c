/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Services at a path: what is there already, who may connect, what is left behind. */
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/service-private.h"

#define VADM_LOG_CATEGORY "daemon.service"
#include "common/log.h"

/* Daemons that start at the same time for the same socket wait for one another that long. */
#define VADM_SERVICE_LOCK_TRIES 40u
#define VADM_SERVICE_LOCK_US    (50u * 1000)

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
vadm_service_open_unix(VadmService *service, GError **error)
{
    struct sockaddr_un address;
    int backlog = (int)MIN(service->access.backlog, (guint32)G_MAXINT);
    gboolean ok;
    int folder;

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
    return ok;
}

/* Another daemon may have put its own socket there. */
void
vadm_service_unlink(VadmService *service)
{
    struct stat st;

    if (service->inode == 0 || lstat(service->config->path, &st) < 0)
        return;
    if (st.st_dev == service->dev && st.st_ino == service->inode)
        unlink(service->config->path);
    service->inode = 0;
}
