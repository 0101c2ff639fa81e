/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Has a daemon end some seconds after its last client has left; 0: never.
 *
 *     timeout URI SECONDS
 *
 * cc timeout.c $(pkg-config --cflags --libs libvirtadm)
 */
#include <libvirt/libvirt-admin.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>

int
main(int argc, char **argv)
{
    virAdmConnectPtr conn;
    unsigned int seconds;
    int rc;

    if (argc != 3) {
        fprintf(stderr, "usage: %s URI SECONDS\n", argv[0]);
        return 2;
    }
    seconds = (unsigned int)strtoul(argv[2], NULL, 10);
    conn = virAdmConnectOpen(argv[1], 0);
    if (!conn)
        return 1;
    rc = virAdmConnectSetDaemonTimeout(conn, seconds, 0);
    if (rc == 0)
        printf("ends when unused for %u seconds\n", seconds);
    /* We are a client, too: the time runs from here on. */
    virAdmConnectClose(conn);
    return rc == 0 ? 0 : 1;
}
