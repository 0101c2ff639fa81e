/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Errors and typed parameters: how to learn what went wrong, and how to make and read lists of
 * parameters. Nothing of the daemon is changed.
 *
 *     errors URI
 *
 * cc errors.c $(pkg-config --cflags --libs libvirtadm)
 */
#include <libvirt/libvirt-admin.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>

/* Without one, the library prints each error on stderr. */
static void
remember(void *user, virErrorPtr error)
{
    (void)error;
    ++*(int *)user;
}

static void
show_error(const char *what)
{
    /* The last error belongs to the thread and is gone with the next call. */
    virErrorPtr error = virSaveLastError();

    if (!error)
        return;
    printf("%s\n    code %d, domain %d: %s\n", what, error->code, error->domain, error->message);
    virFreeError(error);
}

static void
show_params(void)
{
    virTypedParameterPtr params = NULL;
    int n_params = 0, max_params = 0, number = 0;
    unsigned int workers = 0;
    const char *name = NULL;

    virTypedParamsAddUInt(&params, &n_params, &max_params, VIR_THREADPOOL_WORKERS_MAX, 20);
    virTypedParamsAddString(&params, &n_params, &max_params, VIR_CLIENT_INFO_UNIX_USER_NAME,
                            "root");
    printf("%d parameters\n", n_params);
    /* 1: found, 0: not there, -1: there, but of another type. */
    printf("maxWorkers as unsigned int: %d",
           virTypedParamsGetUInt(params, n_params, VIR_THREADPOOL_WORKERS_MAX, &workers));
    printf(", value %u\n", workers);
    printf("maxWorkers as int: %d\n",
           virTypedParamsGetInt(params, n_params, VIR_THREADPOOL_WORKERS_MAX, &number));
    show_error("maxWorkers as int");
    printf("minWorkers: %d\n",
           virTypedParamsGetUInt(params, n_params, VIR_THREADPOOL_WORKERS_MIN, &workers));
    printf("unix_user_name: %d",
           virTypedParamsGetString(params, n_params, VIR_CLIENT_INFO_UNIX_USER_NAME, &name));
    printf(", value %s\n", name ? name : "(none)");
    virTypedParamsFree(params, n_params);
}

static void
refused(virAdmConnectPtr conn)
{
    virTypedParameterPtr params = NULL;
    int n_params = 0, max_params = 0;
    virAdmServerPtr server = virAdmConnectLookupServer(conn, "no such server", 0);

    if (!server)
        show_error("a server that is not there");
    server = virAdmConnectLookupServer(conn, "admin", 0);
    if (!server)
        return;
    virTypedParamsAddUInt(&params, &n_params, &max_params, VIR_THREADPOOL_WORKERS_MIN, 9);
    virTypedParamsAddUInt(&params, &n_params, &max_params, VIR_THREADPOOL_WORKERS_MAX, 3);
    if (virAdmServerSetThreadPoolParameters(server, params, n_params, 0) < 0)
        show_error("a minimum above the maximum");
    if (virAdmConnectSetLoggingFilters(conn, "9:rpc", 0) < 0)
        show_error("a level that is not there");
    virTypedParamsFree(params, n_params);
    virAdmServerFree(server);
}

int
main(int argc, char **argv)
{
    virAdmConnectPtr conn;
    int n_errors = 0;

    if (argc != 2) {
        fprintf(stderr, "usage: %s URI\n", argv[0]);
        return 2;
    }
    if (virAdmInitialize() < 0)
        return 1;
    virSetErrorFunc(&n_errors, remember);
    show_params();
    conn = virAdmConnectOpen(argv[1], 0);
    if (!conn) {
        show_error("connecting");
        return 1;
    }
    refused(conn);
    virAdmConnectClose(conn);
    printf("%d errors\n", n_errors);
    return 0;
}
