/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Shows what a daemon logs and where to, or changes it.
 *
 *     logging URI
 *     logging URI filters|outputs TEXT
 *
 * e.g. logging libvirtd:///system filters "1:rpc 3:util"
 *
 * cc logging.c $(pkg-config --cflags --libs libvirtadm)
 */
#include <libvirt/libvirt-admin.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
show(virAdmConnectPtr conn)
{
    char *filters = NULL, *outputs = NULL;
    int n_filters = virAdmConnectGetLoggingFilters(conn, &filters, 0);
    int n_outputs = virAdmConnectGetLoggingOutputs(conn, &outputs, 0);

    /* No filters are NULL. */
    if (n_filters >= 0)
        printf("%d filters: %s\n", n_filters, filters ? filters : "");
    if (n_outputs >= 0)
        printf("%d outputs: %s\n", n_outputs, outputs ? outputs : "");
    free(filters);
    free(outputs);
    return n_filters < 0 || n_outputs < 0 ? -1 : 0;
}

/* All of them are replaced, or none is. */
static int
set(virAdmConnectPtr conn, const char *what, const char *text)
{
    if (strcmp(what, "filters") == 0)
        return virAdmConnectSetLoggingFilters(conn, text, 0);
    if (strcmp(what, "outputs") == 0)
        return virAdmConnectSetLoggingOutputs(conn, text, 0);
    fprintf(stderr, "'%s' is neither filters nor outputs\n", what);
    return -1;
}

int
main(int argc, char **argv)
{
    virAdmConnectPtr conn;
    int rc = 0;

    if (argc != 2 && argc != 4) {
        fprintf(stderr, "usage: %s URI [filters|outputs TEXT]\n", argv[0]);
        return 2;
    }
    conn = virAdmConnectOpen(argv[1], 0);
    if (!conn)
        return 1;
    if (argc == 4)
        rc = set(conn, argv[2], argv[3]);
    if (show(conn) < 0)
        rc = -1;
    virAdmConnectClose(conn);
    return rc == 0 ? 0 : 1;
}
