/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <unistd.h>

#include "admin/session-private.h"
#include "rpc/unix-socket.h"

/* Between two attempts to connect to a daemon whose backlog is full. */
#define RETRY_MS 20

/* @fd: (transfer full) */
static void
session_connected(VadmSession *session, int fd)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GSocket) socket = g_socket_new_from_fd(fd, &error);
    g_autoptr(GSocketConnection) stream = NULL;

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

void
vadm_session_try(VadmSession *session, gint64 now)
{
    g_autoptr(GError) error = NULL;
    int fd = vadm_unix_connect(session->path, &error);

    if (fd >= 0) {
        session_connected(session, fd);
        return;
    }
    if (vadm_error_get_errno(error) == EAGAIN) {
        session->retry = now + RETRY_MS * G_TIME_SPAN_MILLISECOND;
        return;
    }
    error->code = VADM_ERROR_NO_CONNECT; /* its errno stays with it */
    vadm_session_end(session, VADM_SESSION_END_CONNECT, g_steal_pointer(&error), NULL);
}
