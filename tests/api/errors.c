/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a program sees of every way to call the library wrongly, and of everything that a daemon
 * refuses: result and the whole virError, one line for each case. It compiles against libvirt's
 * header and against ours and must print the same (tests/live/test_library.py), so texts, codes
 * and which side finds a fault are libvirt's by comparison, not by reading.
 *
 * errors URI
 */
#include <libvirt/libvirt-admin.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *
shown(const char *text)
{
    return text ? text : "(none)";
}

static void
silent(void *user, virErrorPtr error)
{
    (void)user;
    (void)error;
}

/* The error of the call before, which was counted wrong unless @result says failure. */
static void
report(const char *label, long long result)
{
    const virError *error = virGetLastError();

    printf("%s: %lld\n", label, result);
    if (error && error->code != VIR_ERR_OK)
        printf("    code %d domain %d level %d [%s] [%s] [%s] [%s] %d %d\n", error->code,
               error->domain, error->level, shown(error->message), shown(error->str1),
               shown(error->str2), shown(error->str3), error->int1, error->int2);
}

/* CASE evaluates a call after the error of the one before was forgotten. */
#define CASE(call)         (virResetLastError(), report(#call, (long long)(call)))
#define CASE_POINTER(call) (virResetLastError(), report(#call, (call) != NULL))

static void
closed(virAdmConnectPtr conn, int reason, void *opaque)
{
    (void)conn;
    (void)reason;
    (void)opaque;
}

static void
other_closed(virAdmConnectPtr conn, int reason, void *opaque)
{
    closed(conn, reason, opaque);
}

static void
open_wrongly(void)
{
    CASE_POINTER(virAdmConnectOpen("foo:///system", 0));
    CASE_POINTER(virAdmConnectOpen("foo", 0));
    CASE_POINTER(virAdmConnectOpen("", 0));
    CASE_POINTER(virAdmConnectOpen("1x:///system", 0));
    CASE_POINTER(virAdmConnectOpen("libvirtd:///sys tem", 0));
    CASE_POINTER(virAdmConnectOpen("libvirtd:///system?socket=/a|b", 0));
    CASE_POINTER(virAdmConnectOpen("libvirtd:///system?socket=@nobody", 0));
    CASE_POINTER(virAdmConnectOpen("libvirtd:///foo", 0));
    CASE_POINTER(virAdmConnectOpen("libvirtd:///system?foo=bar", 0));
    CASE_POINTER(virAdmConnectOpen("libvirtd+ssh:///system", 0));
    CASE_POINTER(virAdmConnectOpen("libvirtd:///system?socket=/nonexistent/socket", 0));
    CASE_POINTER(virAdmConnectOpen("libvirtd:///system?socket=/dev/null", 0));
    CASE_POINTER(virAdmConnectOpen("libvirtd:///system", 4));
}

static void
call_with_null_connection(void)
{
    virAdmServerPtr *servers = NULL;
    unsigned long long version = 0;
    char *text = NULL;

    CASE(virAdmConnectClose(NULL));
    CASE(virAdmConnectRef(NULL));
    CASE(virAdmConnectIsAlive(NULL));
    CASE_POINTER(virAdmConnectGetURI(NULL));
    CASE(virAdmConnectGetLibVersion(NULL, &version));
    CASE(virAdmConnectRegisterCloseCallback(NULL, closed, NULL, NULL));
    CASE(virAdmConnectUnregisterCloseCallback(NULL, closed));
    CASE(virAdmConnectListServers(NULL, &servers, 0));
    CASE_POINTER(virAdmConnectLookupServer(NULL, "admin", 0));
    CASE(virAdmConnectGetLoggingFilters(NULL, &text, 0));
    CASE(virAdmConnectGetLoggingOutputs(NULL, &text, 0));
    CASE(virAdmConnectSetLoggingFilters(NULL, "", 0));
    CASE(virAdmConnectSetLoggingOutputs(NULL, "", 0));
    CASE(virAdmConnectSetDaemonTimeout(NULL, 0, 0));
}

static void
call_with_null_server_or_client(void)
{
    virTypedParameterPtr params = NULL;
    virAdmClientPtr *clients = NULL;
    int n_params = 0;

    CASE_POINTER(virAdmServerGetName(NULL));
    CASE(virAdmServerFree(NULL));
    CASE(virAdmServerGetThreadPoolParameters(NULL, &params, &n_params, 0));
    CASE(virAdmServerSetThreadPoolParameters(NULL, params, n_params, 0));
    CASE(virAdmServerGetClientLimits(NULL, &params, &n_params, 0));
    CASE(virAdmServerSetClientLimits(NULL, params, n_params, 0));
    CASE(virAdmServerUpdateTlsFiles(NULL, 0));
    CASE(virAdmServerListClients(NULL, &clients, 0));
    CASE_POINTER(virAdmServerLookupClient(NULL, 1, 0));
    CASE(virAdmClientFree(NULL));
    CASE(virAdmClientGetID(NULL));
    CASE(virAdmClientGetTimestamp(NULL));
    CASE(virAdmClientGetTransport(NULL));
    CASE(virAdmClientGetInfo(NULL, &params, &n_params, 0));
    CASE(virAdmClientClose(NULL, 0));
}

static void
call_connection_wrongly(virAdmConnectPtr conn)
{
    unsigned long long version = 0;

    CASE(virAdmConnectIsAlive(conn));
    CASE(virAdmConnectRef(conn));
    CASE(virAdmConnectClose(conn));
    CASE(virAdmConnectGetLibVersion(conn, NULL));
    CASE(virAdmConnectGetLibVersion(conn, &version));
    CASE(virAdmConnectUnregisterCloseCallback(conn, closed));
    CASE(virAdmConnectRegisterCloseCallback(conn, NULL, NULL, NULL));
    CASE(virAdmConnectUnregisterCloseCallback(conn, NULL));
    CASE(virAdmConnectRegisterCloseCallback(conn, closed, NULL, NULL));
    CASE(virAdmConnectRegisterCloseCallback(conn, closed, NULL, NULL));
    CASE(virAdmConnectRegisterCloseCallback(conn, other_closed, NULL, NULL));
    CASE(virAdmConnectUnregisterCloseCallback(conn, other_closed));
    CASE(virAdmConnectUnregisterCloseCallback(conn, closed));
    CASE(virAdmConnectUnregisterCloseCallback(conn, closed));
    CASE(virAdmConnectListServers(conn, NULL, 0));
    CASE(virAdmConnectListServers(conn, NULL, 1));
    CASE_POINTER(virAdmConnectLookupServer(conn, NULL, 0));
    CASE_POINTER(virAdmConnectLookupServer(conn, "", 0));
    CASE_POINTER(virAdmConnectLookupServer(conn, "nosuch", 0));
    CASE_POINTER(virAdmConnectLookupServer(conn, "nosuch", 1));
}

static void
call_logging_wrongly(virAdmConnectPtr conn)
{
    char *text = NULL;

    CASE(virAdmConnectGetLoggingFilters(conn, NULL, 0));
    CASE(virAdmConnectGetLoggingOutputs(conn, NULL, 0));
    CASE(virAdmConnectGetLoggingFilters(conn, &text, 1));
    CASE(virAdmConnectGetLoggingOutputs(conn, &text, 1));
    CASE(virAdmConnectSetLoggingFilters(conn, "1:util", 2));
    CASE(virAdmConnectSetLoggingOutputs(conn, "1:stderr", 2));
    CASE(virAdmConnectSetLoggingFilters(conn, "5:util", 0));
    CASE(virAdmConnectSetLoggingFilters(conn, "util", 0));
    CASE(virAdmConnectSetLoggingFilters(conn, "1:", 0));
    CASE(virAdmConnectSetLoggingOutputs(conn, "9:stderr", 0));
    CASE(virAdmConnectSetLoggingOutputs(conn, "1:nowhere", 0));
    CASE(virAdmConnectSetLoggingOutputs(conn, "1:stderr:x", 0));
    CASE(virAdmConnectSetLoggingOutputs(conn, "1:syslog", 0));
    CASE(virAdmConnectSetDaemonTimeout(conn, 0, 0));
    CASE(virAdmConnectSetDaemonTimeout(conn, 0, 1));
}

#define FIELDS(name, value) virTypedParamsAddUInt(&params, &n_params, &max_params, name, value)

static void
set_pool_wrongly(virAdmServerPtr server)
{
    virTypedParameterPtr params = NULL;
    int n_params = 0, max_params = 0;

    CASE(virAdmServerGetThreadPoolParameters(server, NULL, &n_params, 0));
    CASE(virAdmServerGetThreadPoolParameters(server, &params, &n_params, 1));
    CASE(virAdmServerSetThreadPoolParameters(server, NULL, 0, 0));
    CASE(virAdmServerSetThreadPoolParameters(server, NULL, 1, 0));
    FIELDS("minWorkers", 1);
    CASE(virAdmServerSetThreadPoolParameters(server, params, 0, 0));
    CASE(virAdmServerSetThreadPoolParameters(server, params, -1, 0));
    CASE(virAdmServerSetThreadPoolParameters(server, params, n_params, 8));
    FIELDS("minWorkers", 1);
    CASE(virAdmServerSetThreadPoolParameters(server, params, n_params, 0));
    virTypedParamsFree(params, n_params);
    params = NULL;
    n_params = max_params = 0;
    FIELDS("nosuch", 1);
    CASE(virAdmServerSetThreadPoolParameters(server, params, n_params, 0));
    virTypedParamsFree(params, n_params);
    params = NULL;
    n_params = max_params = 0;
    virTypedParamsAddInt(&params, &n_params, &max_params, "minWorkers", 1);
    CASE(virAdmServerSetThreadPoolParameters(server, params, n_params, 0));
    virTypedParamsFree(params, n_params);
}

static void
set_limits_wrongly(virAdmServerPtr server)
{
    virTypedParameterPtr params = NULL;
    int n_params = 0, max_params = 0;

    CASE(virAdmServerGetClientLimits(server, &params, &n_params, 1));
    CASE(virAdmServerSetClientLimits(server, NULL, 0, 0));
    CASE(virAdmServerSetClientLimits(server, NULL, 1, 0));
    FIELDS("nclients_max", 100);
    CASE(virAdmServerSetClientLimits(server, params, 0, 0));
    CASE(virAdmServerSetClientLimits(server, params, -1, 0));
    CASE(virAdmServerSetClientLimits(server, params, n_params, 1));
    FIELDS("nclients_unauth_max", 101);
    CASE(virAdmServerSetClientLimits(server, params, n_params, 0));
    virTypedParamsFree(params, n_params);
    params = NULL;
    n_params = max_params = 0;
    virTypedParamsAddULLong(&params, &n_params, &max_params, "nclients_max", 100);
    CASE(virAdmServerSetClientLimits(server, params, n_params, 0));
    virTypedParamsFree(params, n_params);
}

static void
call_clients_wrongly(virAdmServerPtr server)
{
    virTypedParameterPtr params = NULL;
    virAdmClientPtr *clients = NULL;
    int n_params = 0, n;

    CASE(virAdmServerListClients(server, NULL, 1));
    CASE(virAdmServerListClients(server, &clients, 1));
    CASE_POINTER(virAdmServerLookupClient(server, 4242424242, 0));
    CASE_POINTER(virAdmServerLookupClient(server, 4242424242, 1));
    CASE(virAdmServerUpdateTlsFiles(server, 0));
    CASE(virAdmServerUpdateTlsFiles(server, 1));
    n = virAdmServerListClients(server, &clients, 0);
    if (n < 1)
        return;
    CASE(virAdmClientGetInfo(clients[0], &params, &n_params, 1));
    CASE(virAdmClientClose(clients[0], 1));
    for (int i = 0; i < n; i++)
        virAdmClientFree(clients[i]);
    free(clients);
}

int
main(int argc, char **argv)
{
    virAdmConnectPtr conn;
    virAdmServerPtr server;

    if (argc != 2) {
        fprintf(stderr, "usage: %s URI\n", argv[0]);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 4096);
    if (virAdmInitialize() < 0)
        return 1;
    virSetErrorFunc(NULL, silent);
    open_wrongly();
    call_with_null_connection();
    call_with_null_server_or_client();
    conn = virAdmConnectOpen(argv[1], 0);
    if (!conn) {
        report("open", 0);
        return 1;
    }
    call_connection_wrongly(conn);
    call_logging_wrongly(conn);
    server = virAdmConnectLookupServer(conn, "admin", 0);
    if (!server)
        return 1;
    set_pool_wrongly(server);
    set_limits_wrongly(server);
    call_clients_wrongly(server);
    CASE(virAdmServerFree(server));
    CASE(virAdmConnectClose(conn));
    return 0;
}
