/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/conn-fds.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "common/spare-fds.h"

typedef struct {
    int fd;
    guint64 position;
} WaitingFd;

struct _VadmConnFds {
    GArray *waiting; /* of WaitingFd; NULL until the first one: most connections see none */
    guint spare;
};

/* Room for one descriptor: what a peer sends on top never gets into this process. */
typedef union {
    struct cmsghdr header;
    char octets[CMSG_LEN(sizeof(int))];
} Control;

static void
waiting_fd_clear(gpointer data)
{
    const WaitingFd *waiting = data;

    if (waiting->fd >= 0)
        close(waiting->fd);
}

VadmConnFds *
vadm_conn_fds_new(guint spare)
{
    VadmConnFds *fds = g_new0(VadmConnFds, 1);

    fds->spare = spare;
    return fds;
}

void
vadm_conn_fds_free(VadmConnFds *fds)
{
    if (!fds)
        return;
    g_clear_pointer(&fds->waiting, g_array_unref);
    g_free(fds);
}

/* Receiving */

static void
set_io_error(GError **error, int number)
{
    g_set_error_literal(error, G_IO_ERROR, (gint)g_io_error_from_errno(number), g_strerror(number));
}

/* Returns: the descriptor that came, -1: none did */
static int
received_fd(struct msghdr *header)
{
    const struct cmsghdr *control = CMSG_FIRSTHDR(header);
    int fd = -1;

    if (control && control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS &&
        control->cmsg_len >= CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(control), sizeof fd);
    return fd;
}

/* What the kernel could not give it has closed, and the octet has come without: nothing can be
 * made of the message that it belongs to. */
static void
set_lost_error(GError **error, gboolean wanted, int fd)
{
    if (!wanted)
        g_set_error_literal(error, VADM_ERROR, VADM_ERROR_RPC,
                            "a file descriptor came where none is accepted");
    else if (fd >= 0)
        g_set_error_literal(error, VADM_ERROR, VADM_ERROR_RPC,
                            "more than one file descriptor came with one octet");
    else
        g_set_error_literal(error, VADM_ERROR, VADM_ERROR_SYSTEM,
                            "a file descriptor that came could not be taken: this process has "
                            "none left, or may not have it");
}

static void
add_waiting(VadmConnFds *fds, const WaitingFd *waiting)
{
    if (!fds->waiting) {
        fds->waiting = g_array_new(FALSE, FALSE, sizeof(WaitingFd));
        g_array_set_clear_func(fds->waiting, waiting_fd_clear);
    }
    g_array_append_val(fds->waiting, *waiting);
}

gssize
vadm_conn_fds_receive(VadmConnFds *fds, int socket, guint8 *space, gsize room, guint64 position,
                      GError **error)
{
    Control control = {.octets = {0}};
    struct iovec part = {space, room};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    WaitingFd waiting;
    gssize got;

    if (fds) {
        header.msg_control = &control;
        header.msg_controllen = sizeof control.octets;
    }
    do
        got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0) {
        set_io_error(error, errno);
        return -1;
    }
    waiting.fd = received_fd(&header);
    if (header.msg_flags & MSG_CTRUNC) {
        set_lost_error(error, fds != NULL, waiting.fd);
        waiting_fd_clear(&waiting);
        return -1;
    }
    waiting.position = position + (guint64)got - 1;
    if (waiting.fd < 0)
        return got;
    if (!vadm_spare_fds_allow_this(waiting.fd, fds->spare)) {
        waiting_fd_clear(&waiting);
        set_lost_error(error, TRUE, -1);
        return -1;
    }
    add_waiting(fds, &waiting);
    return got;
}

guint
vadm_conn_fds_waiting(const VadmConnFds *fds)
{
    return fds && fds->waiting ? fds->waiting->len : 0;
}

gboolean
vadm_conn_fds_check(const VadmConnFds *fds, guint64 end, gsize count, GError **error)
{
    guint n = vadm_conn_fds_waiting(fds);

    for (guint i = 0; i < MAX(count, n); i++) {
        guint64 due = i < count ? end - count + i : end;
        guint64 position = i < n ? g_array_index(fds->waiting, WaitingFd, i).position : G_MAXUINT64;

        if (position < due) {
            g_set_error_literal(error, VADM_ERROR, VADM_ERROR_RPC,
                                "a file descriptor came that belongs to no message");
            return FALSE;
        }
        if (i < count && position > due) {
            g_set_error(error, VADM_ERROR, VADM_ERROR_RPC,
                        "file descriptor %u of a message is missing", i + 1);
            return FALSE;
        }
    }
    return TRUE;
}

void
vadm_conn_fds_claim(VadmConnFds *fds, gsize count, VadmMessage *message)
{
    count = MIN(count, vadm_conn_fds_waiting(fds));
    if (count == 0)
        return;
    message->fds = g_array_sized_new(FALSE, FALSE, sizeof(int), (guint)count);
    for (guint i = 0; i < count; i++) {
        WaitingFd *waiting = &g_array_index(fds->waiting, WaitingFd, i);

        g_array_append_val(message->fds, waiting->fd);
        waiting->fd = -1;
    }
    g_array_remove_range(fds->waiting, 0, (guint)count);
}

/* Sending */

gssize
vadm_conn_fds_send(int socket, int fd, GError **error)
{
    Control control = {.octets = {0}};
    guint8 octet = 0;
    struct iovec part = {&octet, sizeof octet};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof control.octets};
    gssize put;

    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    do
        put = sendmsg(socket, &header, MSG_NOSIGNAL);
    while (put < 0 && errno == EINTR);
    if (put < 0)
        set_io_error(error, errno);
    return put;
}

gssize
vadm_conn_fds_write(int socket, const guint8 *data, gsize length, GError **error)
{
    gssize put;

    do
        put = send(socket, data, length, MSG_NOSIGNAL);
    while (put < 0 && errno == EINTR);
    if (put < 0)
        set_io_error(error, errno);
    return put;
}
