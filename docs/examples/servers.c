/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lists the servers of a daemon with their worker pools and limits of clients, or sets the bounds
 * of a pool. --now shows also what changes by itself.
 *
 *     servers [--now] URI
 *     servers URI SERVER MINIMUM MAXIMUM
 *
 * cc servers.c $(pkg-config --cflags --libs libvirtadm)
 */
#include <libvirt/libvirt-admin.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
by_name(const void *a, const void *b)
{
    return strcmp(virAdmServerGetName(*(virAdmServerPtr const *)a),
                  virAdmServerGetName(*(virAdmServerPtr const *)b));
}

static int
changes_by_itself(const char *field)
{
    static const char *const fields[] = {
        VIR_THREADPOOL_WORKERS_CURRENT, VIR_THREADPOOL_WORKERS_FREE, VIR_THREADPOOL_JOB_QUEUE_DEPTH,
        VIR_SERVER_CLIENTS_CURRENT, VIR_SERVER_CLIENTS_UNAUTH_CURRENT};

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (strcmp(field, fields[i]) == 0)
            return 1;
    return 0;
}

static void
show_and_free(virTypedParameterPtr params, int n_params, int now)
{
    for (int i = 0; i < n_params; i++)
        if (now || !changes_by_itself(params[i].field))
            printf("    %-20s %u\n", params[i].field, params[i].value.ui);
    virTypedParamsFree(params, n_params);
}

static int
show(virAdmServerPtr server, int now)
{
    virTypedParameterPtr params = NULL;
    int n_params = 0;

    printf("%s\n", virAdmServerGetName(server));
    if (virAdmServerGetThreadPoolParameters(server, &params, &n_params, 0) < 0)
        return -1;
    show_and_free(params, n_params, now);
    params = NULL;
    if (virAdmServerGetClientLimits(server, &params, &n_params, 0) < 0)
        return -1;
    show_and_free(params, n_params, now);
    return 0;
}

static int
list(virAdmConnectPtr conn, int now)
{
    virAdmServerPtr *servers = NULL;
    int rc = 0, n = virAdmConnectListServers(conn, &servers, 0);

    if (n < 0)
        return -1;
    /* Daemons tell them in any order. */
    qsort(servers, (size_t)n, sizeof servers[0], by_name);
    for (int i = 0; i < n; i++) {
        rc |= show(servers[i], now);
        virAdmServerFree(servers[i]);
    }
    free(servers);
    return rc;
}

static int
set(virAdmConnectPtr conn, const char *name, unsigned int minimum, unsigned int maximum)
{
    virTypedParameterPtr params = NULL;
    int n_params = 0, max_params = 0, rc = -1;
    virAdmServerPtr server = virAdmConnectLookupServer(conn, name, 0);

    if (!server)
        return -1;
    /* Both in one call: they are checked together, and set together or not at all. */
    if (virTypedParamsAddUInt(&params, &n_params, &max_params, VIR_THREADPOOL_WORKERS_MIN,
                              minimum) == 0 &&
        virTypedParamsAddUInt(&params, &n_params, &max_params, VIR_THREADPOOL_WORKERS_MAX,
                              maximum) == 0)
        rc = virAdmServerSetThreadPoolParameters(server, params, n_params, 0);
    virTypedParamsFree(params, n_params);
    if (rc == 0)
        rc = show(server, 0);
    virAdmServerFree(server);
    return rc;
}

int
main(int argc, char **argv)
{
    int now = argc > 1 && strcmp(argv[1], "--now") == 0, rc;
    virAdmConnectPtr conn;

    if (argc != 2 + now && argc != 5) {
        fprintf(stderr, "usage: %s [--now] URI [SERVER MINIMUM MAXIMUM]\n", argv[0]);
        return 2;
    }
    conn = virAdmConnectOpen(argv[1 + now], 0);
    if (!conn)
        return 1;
    rc = argc == 5 ? set(conn, argv[2], (unsigned int)strtoul(argv[3], NULL, 10),
                         (unsigned int)strtoul(argv[4], NULL, 10))
                   : list(conn, now);
    virAdmConnectClose(conn);
    return rc == 0 ? 0 : 1;
}
