/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who comes: what the kernel tells of the other end of a connection. */
#include <config.h> /* struct ucred */

#include <sys/socket.h>

#include "common/inet.h"
#include "daemon/server-private.h"

/* Longest security context that is asked for; the kernel's are a page at most. */
#define VADM_SERVER_CONTEXT_MAX 4096u

static char *
vadm_server_peer_context(int fd)
{
    char context[VADM_SERVER_CONTEXT_MAX + 1];
    socklen_t length = VADM_SERVER_CONTEXT_MAX;

    /* ENOPROTOOPT: no security module that labels sockets */
    if (getsockopt(fd, SOL_SOCKET, SO_PEERSEC, context, &length) < 0)
        return g_strdup("");
    context[length] = '\0'; /* modules differ in whether they count one */
    return g_utf8_make_valid(context, -1);
}

static void
vadm_server_fill_local(VadmIdentity *identity, int fd)
{
    struct ucred peer;
    socklen_t length = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
        return;
    identity->local = TRUE;
    identity->uid = peer.uid;
    identity->gid = peer.gid;
    identity->pid = (guint32)peer.pid;
}

/* The kernel would answer SO_PEERCRED with ids of nobody. */
static void
vadm_server_fill_remote(VadmIdentity *identity, const VadmInetAddress *peer)
{
    identity->address = *peer;
    g_free(identity->sock_addr);
    identity->sock_addr = vadm_inet_to_text(peer);
    identity->named = TRUE;
}

VadmIdentity *
vadm_server_peer_identity(int fd, VadmTransport transport, const VadmInetAddress *peer)
{
    VadmIdentity *identity = vadm_identity_new();

    if (transport == VADM_TRANSPORT_UNIX)
        vadm_server_fill_local(identity, fd);
    else
        vadm_server_fill_remote(identity, peer);
    g_free(identity->selinux_context);
    identity->selinux_context = vadm_server_peer_context(fd);
    return identity;
}
