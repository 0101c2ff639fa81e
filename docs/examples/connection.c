/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Connects to a daemon, tells what it is, and with --wait stays until the daemon closes.
 *
 *     connection [--wait] [URI]
 *
 * cc connection.c $(pkg-config --cflags --libs libvirtadm)
 */
#include <libvirt/libvirt-admin.h>
#include <libvirt/virterror.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_int ended; /* two threads use it */

/* Runs in a thread of the library, or in a call that finds the daemon gone. */
static void
closed(virAdmConnectPtr conn, int reason, void *opaque)
{
    static const char *const reasons[] = {"an error", "end of file", "keepalive", "the client"};

    (void)conn;
    printf("%s: closed by %s\n", (const char *)opaque,
           reason >= 0 && reason < 4 ? reasons[reason] : "something new");
    ended = 1;
}

/* A call now and then: libvirt's own library, when it has no event loop, finds out by it. */
static void
wait_for_end(virAdmConnectPtr conn)
{
    unsigned long long version;

    while (!ended && virAdmConnectGetLibVersion(conn, &version) == 0)
        usleep(200000);
    /* Our library calls back from a thread of its own, a moment later maybe. */
    while (!ended && virAdmConnectIsAlive(conn) == 0)
        usleep(20000);
}

static int
show(virAdmConnectPtr conn)
{
    unsigned long long library, daemon;
    char *uri = virAdmConnectGetURI(conn);

    if (!uri || virAdmGetVersion(&library) < 0 || virAdmConnectGetLibVersion(conn, &daemon) < 0) {
        free(uri);
        return -1;
    }
    printf("uri: %s\n", uri);
    printf("daemon: %llu.%llu.%llu\n", daemon / 1000000, daemon / 1000 % 1000, daemon % 1000);
    printf("alive: %d\n", virAdmConnectIsAlive(conn));
    free(uri);
    return 0;
}

int
main(int argc, char **argv)
{
    int wait = argc > 1 && strcmp(argv[1], "--wait") == 0;
    const char *uri = argc > 1 + wait ? argv[1 + wait] : NULL; /* NULL: the default */
    virAdmConnectPtr conn;

    signal(SIGPIPE,
           SIG_IGN); /* libvirt's library writes into the socket of a daemon that is gone */
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    conn = virAdmConnectOpen(uri, 0); /* what is wrong is printed by the library */
    if (!conn)
        return 1;
    if (show(conn) < 0 ||
        virAdmConnectRegisterCloseCallback(conn, closed, (void *)"connection", NULL) < 0) {
        virAdmConnectClose(conn);
        return 1;
    }
    if (wait)
        wait_for_end(conn);
    /* A callback holds a reference of its connection until it was called or taken back. */
    if (!ended)
        virAdmConnectUnregisterCloseCallback(conn, closed);
    printf("references left: %d\n", virAdmConnectClose(conn));
    return 0;
}
