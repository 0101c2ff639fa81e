/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lists the clients of a server, with what the daemon knows about each; --ids shows also what is
 * different each time. Or disconnects one.
 *
 *     clients [--ids] URI SERVER
 *     clients URI SERVER ID
 *
 * cc clients.c $(pkg-config --cflags --libs libvirtadm)
 */
#include <libvirt/libvirt-admin.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void
show_param(const virTypedParameter *param)
{
    switch (param->type) {
    case VIR_TYPED_PARAM_INT:
        printf("    %-16s %d\n", param->field, param->value.i);
        break;
    case VIR_TYPED_PARAM_BOOLEAN:
        printf("    %-16s %s\n", param->field, param->value.b ? "yes" : "no");
        break;
    case VIR_TYPED_PARAM_STRING:
        printf("    %-16s %s\n", param->field, param->value.s);
        break;
    default:
        printf("    %-16s (type %d)\n", param->field, param->type);
    }
}

static void
show_ids(virAdmClientPtr client)
{
    time_t since = (time_t)virAdmClientGetTimestamp(client);
    char text[32] = "unknown";

    if (since != 0)
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime(&since));
    printf("    %-16s %llu\n    %-16s %s\n", "id", virAdmClientGetID(client), "since", text);
}

static void
show(virAdmClientPtr client, int ids)
{
    static const char *const transports[] = {"unix", "tcp", "tls"};
    virTypedParameterPtr params = NULL;
    int n_params = 0, transport = virAdmClientGetTransport(client);

    printf("client by %s\n", transport >= 0 && transport < 3 ? transports[transport] : "unknown");
    if (ids)
        show_ids(client);
    /* One that has left since, or has not said anything yet, has no identity: no reason to stop. */
    if (virAdmClientGetInfo(client, &params, &n_params, 0) < 0)
        return;
    for (int i = 0; i < n_params; i++)
        if (ids || strcmp(params[i].field, VIR_CLIENT_INFO_UNIX_PROCESS_ID) != 0)
            show_param(&params[i]);
    virTypedParamsFree(params, n_params);
}

static int
list(virAdmServerPtr server, int ids)
{
    virAdmClientPtr *clients = NULL;
    int n = virAdmServerListClients(server, &clients, 0);

    for (int i = 0; i < n; i++) {
        show(clients[i], ids);
        virAdmClientFree(clients[i]);
    }
    if (n >= 0)
        free(clients);
    return n < 0 ? -1 : 0;
}

static int
disconnect(virAdmServerPtr server, const char *id)
{
    virAdmClientPtr client = virAdmServerLookupClient(server, strtoull(id, NULL, 10), 0);
    int rc;

    if (!client)
        return -1;
    rc = virAdmClientClose(client, 0);
    if (rc == 0)
        printf("disconnected\n");
    virAdmClientFree(client);
    return rc;
}

int
main(int argc, char **argv)
{
    int ids = argc > 1 && strcmp(argv[1], "--ids") == 0, rc = -1;
    virAdmConnectPtr conn;
    virAdmServerPtr server;

    if (argc != 3 + ids && argc != 4) {
        fprintf(stderr, "usage: %s [--ids] URI SERVER [ID]\n", argv[0]);
        return 2;
    }
    conn = virAdmConnectOpen(argv[1 + ids], 0);
    if (!conn)
        return 1;
    server = virAdmConnectLookupServer(conn, argv[2 + ids], 0);
    if (server) {
        rc = argc == 4 && !ids ? disconnect(server, argv[3]) : list(server, ids);
        virAdmServerFree(server);
    }
    virAdmConnectClose(conn);
    return rc == 0 ? 0 : 1;
}
