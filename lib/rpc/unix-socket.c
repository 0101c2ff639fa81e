/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/unix-socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Returns: errno; 0: @fd is connected */
static int
try_connect(int fd, const struct sockaddr_un *address)
{
    int rc;

    do
        rc = connect(fd, (const struct sockaddr *)address, sizeof *address);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? errno : 0;
}

/* "@" stands for an abstract socket, as in libvirt, which fills its name up with zeros. An empty
 * path is none. Returns: errno; 0: @address is that of @path */
static int
fill_address(const char *path, struct sockaddr_un *address)
{
    gsize length = strlen(path);

    if (length == 0)
        return ENOENT;
    if (length >= sizeof address->sun_path)
        return ENAMETOOLONG;
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, length);
    if (path[0] == '@')
        address->sun_path[0] = '\0';
    return 0;
}

int
vadm_unix_connect(const char *path, GError **error)
{
    struct sockaddr_un address = {0};
    int errnum = fill_address(path, &address);
    int fd = -1;

    if (errnum == 0) {
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        errnum = fd < 0 ? errno : try_connect(fd, &address);
    }
    if (errnum == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    vadm_error_set_errno(error, errnum, "Failed to connect socket to '%s'", path);
    return -1;
}
