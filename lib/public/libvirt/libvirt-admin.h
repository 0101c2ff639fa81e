/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt's administration API: look at and change a running daemon, i.e. libvirtd and its
 * modular siblings, virtlogd, virtlockd, virtadmd. Names, types and numbers are those of libvirt,
 * so that programs written for it compile unchanged; docs/library.md tells what differs.
 *
 * For all functions, unless they say otherwise:
 * - Any thread may call them, several at once with one object, too.
 * - A failure is -1 or NULL, and the reason is in virGetLastError() of the calling thread, with
 *   domain VIR_FROM_ADMIN or, from the connection, VIR_FROM_RPC. A call resets the last error.
 * - An object that is NULL, freed, or of another kind is VIR_ERR_INVALID_CONN, "invalid connection
 *   pointer in FUNCTION". A closed connection is VIR_ERR_INTERNAL_ERROR, "client socket is closed".
 * - Flags are 0; the daemon refuses others with VIR_ERR_INVALID_ARG.
 * - Those that talk to the daemon wait for its answer, VIRTADM_CALL_TIMEOUT seconds at most
 *   (environment, default 60, 0: for ever). Then they fail with VIR_ERR_OPERATION_TIMEOUT; the
 *   daemon may still do what was asked.
 * - What they give away is the caller's to free: objects by their own functions, strings and arrays
 *   with free(), parameters with virTypedParamsFree(). What they are given stays the caller's.
 */
#ifndef LIBVIRT_ADMIN_H
#define LIBVIRT_ADMIN_H

#define __VIR_ADMIN_H_INCLUDES__
#include <libvirt/libvirt-common.h>
#undef __VIR_ADMIN_H_INCLUDES__

#ifdef __cplusplus
extern "C" {
#endif

/* ---- connections ---- */

/** virAdmConnect: a connection to a daemon. Counts references. */
typedef struct _virAdmConnect virAdmConnect;
typedef virAdmConnect *virAdmConnectPtr;

/**
 * virAdmInitialize: gets the library ready. Not needed: virAdmConnectOpen() does it.
 *
 * Returns: 0; -1 on failure
 */
int virAdmInitialize(void);

/**
 * virAdmGetVersion:
 * @libVer: (out): the version of libvirt whose administration API this library offers, as
 *     LIBVIR_VERSION_NUMBER: major * 1000000 + minor * 1000 + release
 *
 * Returns: 0; -1 when @libVer is NULL
 */
int virAdmGetVersion(unsigned long long *libVer);

/**
 * virAdmConnectOpen: connects to a daemon.
 * @name: e.g. "libvirtd:///system", "virtlogd:///session", "libvirtd:///system?socket=PATH", an
 *     alias of libvirt-admin.conf, or NULL for the default: environment
 *     LIBVIRT_ADMIN_DEFAULT_URI, then uri_default of libvirt-admin.conf, then libvirtd
 * @flags: VIR_CONNECT_NO_ALIASES of libvirt (2): aliases do not count
 *
 * Waits until the daemon has answered: VIRTADM_CONNECT_TIMEOUT seconds at most (environment,
 * default 30, 0: for ever). A daemon that has its maximum of clients accepts a connection and does
 * not answer before another client has left. From then on a daemon that is silent is asked for a
 * sign of life every VIRTADM_KEEPALIVE_INTERVAL seconds (5; 0: never), and is given up when
 * VIRTADM_KEEPALIVE_COUNT (5) questions were not answered.
 *
 * Source: docs/protocol.md, "URIs". Returns: to be closed with virAdmConnectClose(); NULL on
 * failure: VIR_ERR_SYSTEM_ERROR with errno when there is no such socket or it refuses
 */
virAdmConnectPtr virAdmConnectOpen(const char *name, unsigned int flags);

/**
 * virAdmConnectClose: gives up one reference; the last one closes the connection.
 *
 * Every server and client holds a reference of its connection, and so does a close callback until
 * it was called or taken back. May be called in a virAdmConnectCloseFunc.
 * Returns: 0 when that was the last one, or @conn is NULL; 1 when there are others; -1 on failure
 */
int virAdmConnectClose(virAdmConnectPtr conn);

/** virAdmConnectRef: takes one more reference, for another virAdmConnectClose(). Returns: 0; -1 on
 * failure */
int virAdmConnectRef(virAdmConnectPtr conn);

/**
 * virAdmConnectIsAlive: asks nobody: a daemon that is silent is not noticed before keepalive
 * has noticed it.
 *
 * Returns: 1 when the connection is open, 0 when not, or @conn is NULL; -1 on failure
 */
int virAdmConnectIsAlive(virAdmConnectPtr conn);

/** virAdmConnectGetURI: Returns: (transfer full): the URI in full, an alias or a default
 * resolved; NULL on failure. Also of a closed connection. */
char *virAdmConnectGetURI(virAdmConnectPtr conn);

/**
 * virAdmConnectGetLibVersion: asks the daemon for its version.
 * @libVer: (out): as LIBVIR_VERSION_NUMBER; of virtadmd, that of the libvirt whose protocol it
 *     serves
 *
 * Returns: 0; -1 on failure
 */
int virAdmConnectGetLibVersion(virAdmConnectPtr conn, unsigned long long *libVer);

/**
 * virAdmConnectCloseFunc: called once when a connection is closed.
 * @conn: the connection; no reference of its own comes with it
 * @reason: virConnectCloseReason, of which VIR_CONNECT_CLOSE_REASON_CLIENT never comes: a program
 *     is not told of what it does itself
 * @opaque: what virAdmConnectRegisterCloseCallback() was given
 *
 * Runs in a thread of the library; no lock is held, so it may call any function of the API.
 */
typedef void (*virAdmConnectCloseFunc)(virAdmConnectPtr conn, int reason, void *opaque);

/**
 * virAdmConnectRegisterCloseCallback: has @cb called when the connection is closed.
 * @opaque: for @cb
 * @freecb: (nullable): frees @opaque when @cb was called, was taken back, or cannot be called any
 *     more
 *
 * A connection has one at most: a second is VIR_ERR_OPERATION_INVALID. When the connection has been
 * closed already it is called soon, unless one was called before: that happens once in the life of
 * a connection. One that comes later only holds its reference until it is taken back. No event
 * loop is needed.
 * Returns: 0; -1 on failure: then @freecb is not called
 */
int virAdmConnectRegisterCloseCallback(virAdmConnectPtr conn, virAdmConnectCloseFunc cb,
                                       void *opaque, virFreeCallback freecb);

/**
 * virAdmConnectUnregisterCloseCallback: takes the callback back.
 * @cb: the one that is registered; another one is an error
 *
 * Returns: 0; -1 on failure, also when none is registered
 */
int virAdmConnectUnregisterCloseCallback(virAdmConnectPtr conn, virAdmConnectCloseFunc cb);

/* ---- servers of a daemon ---- */

/** virAdmServer: one of the servers that a daemon consists of. Counts references. */
typedef struct _virAdmServer virAdmServer;
typedef virAdmServer *virAdmServerPtr;

/**
 * virAdmConnectListServers:
 * @servers: (out) (nullable): array of as many as are returned, and a NULL behind them. NULL: only
 *     their number is asked for
 *
 * Returns: how many there are; -1 on failure. The caller frees each with virAdmServerFree() and
 * the array with free().
 */
int virAdmConnectListServers(virAdmConnectPtr conn, virAdmServerPtr **servers, unsigned int flags);

/** virAdmConnectLookupServer: Returns: (transfer full): the server of that name; NULL on failure:
 * VIR_ERR_NO_SERVER when there is none */
virAdmServerPtr virAdmConnectLookupServer(virAdmConnectPtr conn, const char *name,
                                          unsigned int flags);

/** virAdmServerGetName: Returns: its name, which lives as long as @srv; NULL on failure */
const char *virAdmServerGetName(virAdmServerPtr srv);

/** virAdmServerFree: gives up the caller's reference. Returns: 0, also for NULL; -1 on failure */
int virAdmServerFree(virAdmServerPtr srv);

/* The worker pool: names of parameters, all unsigned int. These can be set: */
#define VIR_THREADPOOL_WORKERS_MIN      "minWorkers"  /* as many are always there */
#define VIR_THREADPOOL_WORKERS_MAX      "maxWorkers"  /* not more, whatever the load */
#define VIR_THREADPOOL_WORKERS_PRIORITY "prioWorkers" /* beside them, for urgent calls only */
/* and these are to be looked at: */
#define VIR_THREADPOOL_WORKERS_FREE    "freeWorkers"   /* that wait for work */
#define VIR_THREADPOOL_WORKERS_CURRENT "nWorkers"      /* there are now */
#define VIR_THREADPOOL_JOB_QUEUE_DEPTH "jobQueueDepth" /* calls that wait for a worker */

/**
 * virAdmServerGetThreadPoolParameters:
 * @params: (out): array of all parameters of the worker pool, for virTypedParamsFree()
 * @nparams: (out): how many
 *
 * Returns: 0; -1 on failure
 */
int virAdmServerGetThreadPoolParameters(virAdmServerPtr srv, virTypedParameterPtr *params,
                                        int *nparams, unsigned int flags);

/**
 * virAdmServerSetThreadPoolParameters:
 * @params: those to be changed
 * @nparams: how many
 *
 * Sets all of them or none: an unknown or read-only name, another type than unsigned int, a name
 * that comes twice and a minimum above the maximum are errors, and change nothing. A parameter of
 * type 0 was not filled in, and is left out.
 * Returns: 0; -1 on failure
 */
int virAdmServerSetThreadPoolParameters(virAdmServerPtr srv, virTypedParameterPtr params,
                                        int nparams, unsigned int flags);

/* Limits of clients: names of parameters, all unsigned int. These can be set: */
#define VIR_SERVER_CLIENTS_MAX        "nclients_max"        /* at once */
#define VIR_SERVER_CLIENTS_UNAUTH_MAX "nclients_unauth_max" /* of them not authenticated yet */
/* and these are to be looked at: */
#define VIR_SERVER_CLIENTS_CURRENT        "nclients"        /* there are now */
#define VIR_SERVER_CLIENTS_UNAUTH_CURRENT "nclients_unauth" /* of them not authenticated yet */

/** virAdmServerGetClientLimits: as virAdmServerGetThreadPoolParameters(), for the limits. */
int virAdmServerGetClientLimits(virAdmServerPtr srv, virTypedParameterPtr *params, int *nparams,
                                unsigned int flags);

/** virAdmServerSetClientLimits: as virAdmServerSetThreadPoolParameters(), for the limits. Who
 * is connected stays so, also beyond the new limit. */
int virAdmServerSetClientLimits(virAdmServerPtr srv, virTypedParameterPtr params, int nparams,
                                unsigned int flags);

/** virAdmServerUpdateTlsFiles: has the daemon read its certificates and keys again, for
 * connections to come. Returns: 0; -1 on failure: the daemon keeps the old ones */
int virAdmServerUpdateTlsFiles(virAdmServerPtr srv, unsigned int flags);

/* ---- clients of a server ---- */

/** virAdmClient: a client of a server, as it was when it was asked for. Counts references. */
typedef struct _virAdmClient virAdmClient;
typedef virAdmClient *virAdmClientPtr;

/** virClientTransport: how a client is connected. */
typedef enum {
    VIR_CLIENT_TRANS_UNIX = 0, /* unix socket */
    VIR_CLIENT_TRANS_TCP,      /* TCP, in clear */
    VIR_CLIENT_TRANS_TLS,      /* TCP, encrypted */
#ifdef VIR_ENUM_SENTINELS
    VIR_CLIENT_TRANS_LAST
#endif
} virClientTransport;

/**
 * virAdmServerListClients:
 * @clients: (out) (nullable): array of as many as are returned, and a NULL behind them. NULL: only
 *     their number is asked for
 *
 * Returns: how many there are; -1 on failure. The caller frees each with virAdmClientFree() and
 * the array with free().
 */
int virAdmServerListClients(virAdmServerPtr srv, virAdmClientPtr **clients, unsigned int flags);

/** virAdmServerLookupClient: Returns: (transfer full): the client with that id; NULL on failure:
 * VIR_ERR_NO_CLIENT when there is none (any more) */
virAdmClientPtr virAdmServerLookupClient(virAdmServerPtr srv, unsigned long long id,
                                         unsigned int flags);

/** virAdmClientGetID: Returns: its id, which no other client of the server ever gets; -1 (as
 * unsigned long long) on failure */
unsigned long long virAdmClientGetID(virAdmClientPtr client);

/** virAdmClientGetTimestamp: Returns: when it connected, seconds since 1970-01-01 UTC, 0 when
 * not known; -1 on failure */
long long virAdmClientGetTimestamp(virAdmClientPtr client);

/** virAdmClientGetTransport: Returns: virClientTransport; -1 on failure */
int virAdmClientGetTransport(virAdmClientPtr client);

/** virAdmClientFree: gives up the caller's reference; the client itself stays connected.
 * Returns: 0, also for NULL; -1 on failure */
int virAdmClientFree(virAdmClientPtr client);

/* Identity of a client: names of parameters. What is not known about it is not there. */
#define VIR_CLIENT_INFO_READONLY                "readonly"        /* boolean */
#define VIR_CLIENT_INFO_SOCKET_ADDR             "sock_addr"       /* string; not of unix */
#define VIR_CLIENT_INFO_SASL_USER_NAME          "sasl_user_name"  /* string */
#define VIR_CLIENT_INFO_X509_DISTINGUISHED_NAME "tls_x509_dname"  /* string */
#define VIR_CLIENT_INFO_UNIX_USER_ID            "unix_user_id"    /* int; these five of unix */
#define VIR_CLIENT_INFO_UNIX_USER_NAME          "unix_user_name"  /* string */
#define VIR_CLIENT_INFO_UNIX_GROUP_ID           "unix_group_id"   /* int */
#define VIR_CLIENT_INFO_UNIX_GROUP_NAME         "unix_group_name" /* string */
#define VIR_CLIENT_INFO_UNIX_PROCESS_ID         "unix_process_id" /* int */
#define VIR_CLIENT_INFO_SELINUX_CONTEXT         "selinux_context" /* string */

/**
 * virAdmClientGetInfo: asks the daemon who a client is.
 * @params: (out): array, for virTypedParamsFree()
 * @nparams: (out): how many
 *
 * Returns: 0; -1 on failure: VIR_ERR_NO_CLIENT when it has left; VIR_ERR_INTERNAL_ERROR, "No
 * identity information available for client", when it has not made its first call yet
 */
int virAdmClientGetInfo(virAdmClientPtr client, virTypedParameterPtr *params, int *nparams,
                        unsigned int flags);

/** virAdmClientClose: has the daemon disconnect a client at once, what it asked for unanswered.
 * Returns: 0; -1 on failure: VIR_ERR_NO_CLIENT when it has left */
int virAdmClientClose(virAdmClientPtr client, unsigned int flags);

/* ---- logging of a daemon ---- */

/** virLogPriority: what is logged: messages of this priority and of those above. */
typedef enum {
    VIR_LOG_DEBUG = 1,
    VIR_LOG_INFO,
    VIR_LOG_WARN,
    VIR_LOG_ERROR,
#ifdef VIR_ENUM_SENTINELS
    VIR_LOG_PRIORITY_LAST
#endif
} virLogPriority;

/**
 * virAdmConnectGetLoggingOutputs:
 * @outputs: (out) (nullable): "LEVEL:KIND[:DATA]" separated by spaces; "" for none
 *
 * Returns: how many there are; -1 on failure
 */
int virAdmConnectGetLoggingOutputs(virAdmConnectPtr conn, char **outputs, unsigned int flags);

/**
 * virAdmConnectGetLoggingFilters:
 * @filters: (out) (nullable): "LEVEL:MATCH" separated by spaces; NULL for none
 *
 * Returns: how many there are; -1 on failure
 */
int virAdmConnectGetLoggingFilters(virAdmConnectPtr conn, char **filters, unsigned int flags);

/** virAdmConnectSetLoggingOutputs: replaces all outputs. @outputs: as
 * virAdmConnectGetLoggingOutputs(); NULL or "": the daemon's default. Returns: 0; -1 on failure:
 * the old ones stay, all of them */
int virAdmConnectSetLoggingOutputs(virAdmConnectPtr conn, const char *outputs, unsigned int flags);

/** virAdmConnectSetLoggingFilters: replaces all filters. @filters: as
 * virAdmConnectGetLoggingFilters(); NULL or "": none. Returns: 0; -1 on failure: the old ones stay,
 * all of them */
int virAdmConnectSetLoggingFilters(virAdmConnectPtr conn, const char *filters, unsigned int flags);

/** virAdmConnectGetLoggingLevel: not in libvirt. Returns: virLogPriority of what no filter
 * matches; -1 on failure: VIR_ERR_NO_SUPPORT when the daemon is not virtadmd */
int virAdmConnectGetLoggingLevel(virAdmConnectPtr conn, unsigned int flags);

/** virAdmConnectSetLoggingLevel: not in libvirt. @level: virLogPriority. Returns: 0; -1 on failure:
 * VIR_ERR_NO_SUPPORT when the daemon is not virtadmd */
int virAdmConnectSetLoggingLevel(virAdmConnectPtr conn, unsigned int level, unsigned int flags);

/* ---- the daemon itself ---- */

/**
 * virAdmConnectSetDaemonTimeout: has the daemon end when nobody has used it for a while.
 * @timeout: seconds; 0: never
 *
 * Returns: 0; -1 on failure
 */
int virAdmConnectSetDaemonTimeout(virAdmConnectPtr conn, unsigned int timeout, unsigned int flags);

/** virAdmConnectDaemonShutdownFlags */
typedef enum {
    VIR_DAEMON_SHUTDOWN_PRESERVE = 1 << 0, /* what is running is saved first */
} virAdmConnectDaemonShutdownFlags;

/**
 * virAdmConnectDaemonShutdown: has the daemon end, as SIGTERM does.
 * @flags: of virAdmConnectDaemonShutdownFlags
 *
 * libvirt's daemons have it since 11.2.0; older ones answer VIR_ERR_RPC, "unknown procedure: 20".
 * They end without an answer: a connection that is closed while this waits for it is a success.
 * Returns: 0; -1 on failure
 */
int virAdmConnectDaemonShutdown(virAdmConnectPtr conn, unsigned int flags);

#ifdef __cplusplus
}
#endif

#endif
