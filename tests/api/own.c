/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The functions that libvirt 9.0.0 has not got.
 *
 * own URI level [N]     shows or sets the level of virtadmd's log
 * own URI shutdown      has the daemon end
 */
#include <libvirt/libvirt-admin.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
level(virAdmConnectPtr conn, const char *number)
{
    int now;

    if (number && virAdmConnectSetLoggingLevel(conn, (unsigned int)atoi(number), 0) < 0)
        return -1;
    now = virAdmConnectGetLoggingLevel(conn, 0);
    if (now >= 0)
        printf("level %d\n", now);
    return now < 0 ? -1 : 0;
}

int
main(int argc, char **argv)
{
    virAdmConnectPtr conn;
    int rc;

    if (argc < 3) {
        fprintf(stderr, "usage: %s URI level [N] | shutdown\n", argv[0]);
        return 2;
    }
    conn = virAdmConnectOpen(argv[1], 0);
    if (!conn)
        return 1;
    rc =
        strcmp(argv[2], "level") == 0 ? level(conn, argv[3]) : virAdmConnectDaemonShutdown(conn, 0);
    virAdmConnectClose(conn);
    return rc == 0 ? 0 : 1;
}
