/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/session-private.h"

/* Between two attempts to connect to a daemon whose backlog is full. */
#define RETRY_MS 20

static GError *
new_connect_error(const char *path, int errnum)
{
    GError *error = NULL;

    vadm_error_set_errno(&error, errnum, "Failed to connect socket to '%s'", path);
    error->code = VADM_ERROR_NO_CONNECT;
    return error;
}

/* Returns: errno; 0: @fd is connected, or -1 */
static int
connect_unix(const char *path, int *fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int rc, errnum;

    if (*path == '\0')
        return ENOENT; /* it would be an abstract socket */
    if (strlen(path) >= sizeof(address.sun_path))
        return ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path));
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0)
        return errno;
    do
        rc = connect(*fd, (struct sockaddr *)&address, sizeof(address));
    while (rc < 0 && errno == EINTR);
    if (rc == 0)
        return 0;
    errnum = errno;
    close(*fd);
    *fd = -1;
    return errnum;
}

void
vadm_session_try(VadmSession *session, gint64 now)
{
    g_autoptr(GSocket) socket = NULL;
    g_autoptr(GSocketConnection) stream = NULL;
    g_autoptr(GError) error = NULL;
    int fd = -1;
    int errnum = connect_unix(session->path, &fd);

    if (errnum == EAGAIN) {
        session->retry = now + RETRY_MS * G_TIME_SPAN_MILLISECOND;
        return;
    }
    if (errnum != 0) {
        vadm_session_end(session, VADM_SESSION_END_CONNECT,
                         new_connect_error(session->path, errnum), NULL);
        return;
    }
    socket = g_socket_new_from_fd(fd, &error);
    if (socket) {
        stream = g_socket_connection_factory_create_connection(socket);
        vadm_session_begin(session, stream);
        return;
    }
    close(fd);
    vadm_session_end(session, VADM_SESSION_END_CONNECT,
                     g_error_new(VADM_ERROR, VADM_ERROR_NO_CONNECT,
                                 "Failed to connect socket to '%s': %s", session->path,
                                 error->message),
                     NULL);
}
