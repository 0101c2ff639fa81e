/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Errors of libvirt's C interfaces. Names, types and numbers are those of libvirt, so that
 * programs written for it compile unchanged.
 *
 * Each thread has its own last error, freed when the thread ends. Almost every function of the
 * library resets it when called, so what is there after a failure belongs to that failure.
 */
#ifndef LIBVIRT_VIRTERROR_H
#define LIBVIRT_VIRTERROR_H

#define __VIR_ADMIN_H_INCLUDES__
#include <libvirt/libvirt-common.h>
#undef __VIR_ADMIN_H_INCLUDES__

#ifdef __cplusplus
extern "C" {
#endif

/* Objects of libvirt that an error may be about. Errors of this library never have any. */
typedef struct _virConnect virConnect;
typedef virConnect *virConnectPtr;
typedef struct _virDomain virDomain;
typedef virDomain *virDomainPtr;
typedef struct _virNetwork virNetwork;
typedef virNetwork *virNetworkPtr;

/** virErrorLevel: how bad it is. This library raises errors only. */
typedef enum { VIR_ERR_NONE = 0, VIR_ERR_WARNING = 1, VIR_ERR_ERROR = 2 } virErrorLevel;

/**
 * virErrorDomain: which part of libvirt an error comes from. Of this library: VIR_FROM_ADMIN,
 * VIR_FROM_RPC for the connection to the daemon, VIR_FROM_NONE for typed parameters, and
 * VIR_FROM_URI and VIR_FROM_CONF for the name of a daemon. A daemon may send any of them.
 */
typedef enum {
    VIR_FROM_NONE = 0,
    VIR_FROM_XEN = 1,
    VIR_FROM_XEND = 2,
    VIR_FROM_XENSTORE = 3,
    VIR_FROM_SEXPR = 4,
    VIR_FROM_XML = 5,
    VIR_FROM_DOM = 6,
    VIR_FROM_RPC = 7,
    VIR_FROM_PROXY = 8,
    VIR_FROM_CONF = 9,
    VIR_FROM_QEMU = 10,
    VIR_FROM_NET = 11,
    VIR_FROM_TEST = 12,
    VIR_FROM_REMOTE = 13,
    VIR_FROM_OPENVZ = 14,
    VIR_FROM_XENXM = 15,
    VIR_FROM_STATS_LINUX = 16,
    VIR_FROM_LXC = 17,
    VIR_FROM_STORAGE = 18,
    VIR_FROM_NETWORK = 19,
    VIR_FROM_DOMAIN = 20,
    VIR_FROM_UML = 21,
    VIR_FROM_NODEDEV = 22,
    VIR_FROM_XEN_INOTIFY = 23,
    VIR_FROM_SECURITY = 24,
    VIR_FROM_VBOX = 25,
    VIR_FROM_INTERFACE = 26,
    VIR_FROM_ONE = 27,
    VIR_FROM_ESX = 28,
    VIR_FROM_PHYP = 29,
    VIR_FROM_SECRET = 30,
    VIR_FROM_CPU = 31,
    VIR_FROM_XENAPI = 32,
    VIR_FROM_NWFILTER = 33,
    VIR_FROM_HOOK = 34,
    VIR_FROM_DOMAIN_SNAPSHOT = 35,
    VIR_FROM_AUDIT = 36,
    VIR_FROM_SYSINFO = 37,
    VIR_FROM_STREAMS = 38,
    VIR_FROM_VMWARE = 39,
    VIR_FROM_EVENT = 40,
    VIR_FROM_LIBXL = 41,
    VIR_FROM_LOCKING = 42,
    VIR_FROM_HYPERV = 43,
    VIR_FROM_CAPABILITIES = 44,
    VIR_FROM_URI = 45,
    VIR_FROM_AUTH = 46,
    VIR_FROM_DBUS = 47,
    VIR_FROM_PARALLELS = 48,
    VIR_FROM_DEVICE = 49,
    VIR_FROM_SSH = 50,
    VIR_FROM_LOCKSPACE = 51,
    VIR_FROM_INITCTL = 52,
    VIR_FROM_IDENTITY = 53,
    VIR_FROM_CGROUP = 54,
    VIR_FROM_ACCESS = 55,
    VIR_FROM_SYSTEMD = 56,
    VIR_FROM_BHYVE = 57,
    VIR_FROM_CRYPTO = 58,
    VIR_FROM_FIREWALL = 59,
    VIR_FROM_POLKIT = 60,
    VIR_FROM_THREAD = 61,
    VIR_FROM_ADMIN = 62,
    VIR_FROM_LOGGING = 63,
    VIR_FROM_XENXL = 64,
    VIR_FROM_PERF = 65,
    VIR_FROM_LIBSSH = 66,
    VIR_FROM_RESCTRL = 67,
    VIR_FROM_FIREWALLD = 68,
    VIR_FROM_DOMAIN_CHECKPOINT = 69,
    VIR_FROM_TPM = 70,
    VIR_FROM_BPF = 71,
    VIR_FROM_CH = 72,
#ifdef VIR_ENUM_SENTINELS
    VIR_ERR_DOMAIN_LAST
#endif
} virErrorDomain;

/**
 * virErrorNumber: what went wrong. Those that a program for the administration API meets:
 *
 * VIR_ERR_INTERNAL_ERROR: something that is no fault of the caller
 * VIR_ERR_NO_SUPPORT: the daemon is too old for this, or is not virtadmd
 * VIR_ERR_INVALID_CONN: no connection was given, or none that is one
 * VIR_ERR_INVALID_ARG: another argument is wrong
 * VIR_ERR_SYSTEM_ERROR: a system call failed; int1 of virError is the errno
 * VIR_ERR_RPC: the connection is broken
 * VIR_ERR_AUTH_FAILED, VIR_ERR_OPERATION_DENIED, VIR_ERR_ACCESS_DENIED: not allowed
 * VIR_ERR_OPERATION_INVALID: not now
 * VIR_ERR_OPERATION_TIMEOUT: the daemon did not answer in time
 * VIR_ERR_CONFIG_UNSUPPORTED: what this name of a daemon means is not understood
 * VIR_ERR_NO_SERVER, VIR_ERR_NO_CLIENT: there is none of that name, or with that id
 */
typedef enum {
    VIR_ERR_OK = 0,
    VIR_ERR_INTERNAL_ERROR = 1,
    VIR_ERR_NO_MEMORY = 2,
    VIR_ERR_NO_SUPPORT = 3,
    VIR_ERR_UNKNOWN_HOST = 4,
    VIR_ERR_NO_CONNECT = 5,
    VIR_ERR_INVALID_CONN = 6,
    VIR_ERR_INVALID_DOMAIN = 7,
    VIR_ERR_INVALID_ARG = 8,
    VIR_ERR_OPERATION_FAILED = 9,
    VIR_ERR_GET_FAILED = 10,
    VIR_ERR_POST_FAILED = 11,
    VIR_ERR_HTTP_ERROR = 12,
    VIR_ERR_SEXPR_SERIAL = 13,
    VIR_ERR_NO_XEN = 14,
    VIR_ERR_XEN_CALL = 15,
    VIR_ERR_OS_TYPE = 16,
    VIR_ERR_NO_KERNEL = 17,
    VIR_ERR_NO_ROOT = 18,
    VIR_ERR_NO_SOURCE = 19,
    VIR_ERR_NO_TARGET = 20,
    VIR_ERR_NO_NAME = 21,
    VIR_ERR_NO_OS = 22,
    VIR_ERR_NO_DEVICE = 23,
    VIR_ERR_NO_XENSTORE = 24,
    VIR_ERR_DRIVER_FULL = 25,
    VIR_ERR_CALL_FAILED = 26,
    VIR_ERR_XML_ERROR = 27,
    VIR_ERR_DOM_EXIST = 28,
    VIR_ERR_OPERATION_DENIED = 29,
    VIR_ERR_OPEN_FAILED = 30,
    VIR_ERR_READ_FAILED = 31,
    VIR_ERR_PARSE_FAILED = 32,
    VIR_ERR_CONF_SYNTAX = 33,
    VIR_ERR_WRITE_FAILED = 34,
    VIR_ERR_XML_DETAIL = 35,
    VIR_ERR_INVALID_NETWORK = 36,
    VIR_ERR_NETWORK_EXIST = 37,
    VIR_ERR_SYSTEM_ERROR = 38,
    VIR_ERR_RPC = 39,
    VIR_ERR_GNUTLS_ERROR = 40,
    VIR_WAR_NO_NETWORK = 41,
    VIR_ERR_NO_DOMAIN = 42,
    VIR_ERR_NO_NETWORK = 43,
    VIR_ERR_INVALID_MAC = 44,
    VIR_ERR_AUTH_FAILED = 45,
    VIR_ERR_INVALID_STORAGE_POOL = 46,
    VIR_ERR_INVALID_STORAGE_VOL = 47,
    VIR_WAR_NO_STORAGE = 48,
    VIR_ERR_NO_STORAGE_POOL = 49,
    VIR_ERR_NO_STORAGE_VOL = 50,
    VIR_WAR_NO_NODE = 51,
    VIR_ERR_INVALID_NODE_DEVICE = 52,
    VIR_ERR_NO_NODE_DEVICE = 53,
    VIR_ERR_NO_SECURITY_MODEL = 54,
    VIR_ERR_OPERATION_INVALID = 55,
    VIR_WAR_NO_INTERFACE = 56,
    VIR_ERR_NO_INTERFACE = 57,
    VIR_ERR_INVALID_INTERFACE = 58,
    VIR_ERR_MULTIPLE_INTERFACES = 59,
    VIR_WAR_NO_NWFILTER = 60,
    VIR_ERR_INVALID_NWFILTER = 61,
    VIR_ERR_NO_NWFILTER = 62,
    VIR_ERR_BUILD_FIREWALL = 63,
    VIR_WAR_NO_SECRET = 64,
    VIR_ERR_INVALID_SECRET = 65,
    VIR_ERR_NO_SECRET = 66,
    VIR_ERR_CONFIG_UNSUPPORTED = 67,
    VIR_ERR_OPERATION_TIMEOUT = 68,
    VIR_ERR_MIGRATE_PERSIST_FAILED = 69,
    VIR_ERR_HOOK_SCRIPT_FAILED = 70,
    VIR_ERR_INVALID_DOMAIN_SNAPSHOT = 71,
    VIR_ERR_NO_DOMAIN_SNAPSHOT = 72,
    VIR_ERR_INVALID_STREAM = 73,
    VIR_ERR_ARGUMENT_UNSUPPORTED = 74,
    VIR_ERR_STORAGE_PROBE_FAILED = 75,
    VIR_ERR_STORAGE_POOL_BUILT = 76,
    VIR_ERR_SNAPSHOT_REVERT_RISKY = 77,
    VIR_ERR_OPERATION_ABORTED = 78,
    VIR_ERR_AUTH_CANCELLED = 79,
    VIR_ERR_NO_DOMAIN_METADATA = 80,
    VIR_ERR_MIGRATE_UNSAFE = 81,
    VIR_ERR_OVERFLOW = 82,
    VIR_ERR_BLOCK_COPY_ACTIVE = 83,
    VIR_ERR_OPERATION_UNSUPPORTED = 84,
    VIR_ERR_SSH = 85,
    VIR_ERR_AGENT_UNRESPONSIVE = 86,
    VIR_ERR_RESOURCE_BUSY = 87,
    VIR_ERR_ACCESS_DENIED = 88,
    VIR_ERR_DBUS_SERVICE = 89,
    VIR_ERR_STORAGE_VOL_EXIST = 90,
    VIR_ERR_CPU_INCOMPATIBLE = 91,
    VIR_ERR_XML_INVALID_SCHEMA = 92,
    VIR_ERR_MIGRATE_FINISH_OK = 93,
    VIR_ERR_AUTH_UNAVAILABLE = 94,
    VIR_ERR_NO_SERVER = 95,
    VIR_ERR_NO_CLIENT = 96,
    VIR_ERR_AGENT_UNSYNCED = 97,
    VIR_ERR_LIBSSH = 98,
    VIR_ERR_DEVICE_MISSING = 99,
    VIR_ERR_INVALID_NWFILTER_BINDING = 100,
    VIR_ERR_NO_NWFILTER_BINDING = 101,
    VIR_ERR_INVALID_DOMAIN_CHECKPOINT = 102,
    VIR_ERR_NO_DOMAIN_CHECKPOINT = 103,
    VIR_ERR_NO_DOMAIN_BACKUP = 104,
    VIR_ERR_INVALID_NETWORK_PORT = 105,
    VIR_ERR_NETWORK_PORT_EXIST = 106,
    VIR_ERR_NO_NETWORK_PORT = 107,
    VIR_ERR_NO_HOSTNAME = 108,
    VIR_ERR_CHECKPOINT_INCONSISTENT = 109,
    VIR_ERR_MULTIPLE_DOMAINS = 110,
    VIR_ERR_NO_NETWORK_METADATA = 111,
    VIR_ERR_AGENT_COMMAND_TIMEOUT = 112,
    VIR_ERR_AGENT_COMMAND_FAILED = 113,
#ifdef VIR_ENUM_SENTINELS
    VIR_ERR_NUMBER_LAST
#endif
} virErrorNumber;

/** virError: one error. Its strings belong to it. */
typedef struct _virError virError;
typedef virError *virErrorPtr;
struct _virError {
    int code;                          /* virErrorNumber */
    int domain;                        /* virErrorDomain */
    char *message;                     /* for people; NULL for none */
    virErrorLevel level;               /* how bad it is */
    virConnectPtr conn VIR_DEPRECATED; /* always NULL */
    virDomainPtr dom VIR_DEPRECATED;   /* always NULL */
    char *str1;                        /* the template that message was made of */
    char *str2;                        /* what was put into it */
    char *str3;                        /* NULL, or more of it */
    int int1;                          /* errno of VIR_ERR_SYSTEM_ERROR, else of no use */
    int int2;
    virNetworkPtr net VIR_DEPRECATED; /* always NULL */
};

/**
 * virErrorFunc: called for each error that is raised.
 * @userData: what virSetErrorFunc() was given
 * @error: belongs to the library; valid until the function returns
 *
 * It runs in the thread that called the function that fails, before that returns.
 */
typedef void (*virErrorFunc)(void *userData, virErrorPtr error);

/**
 * virGetLastError: the last error of this thread.
 *
 * Returns: NULL when there is none (code 0). It belongs to the library, and changes with the next
 * call of this thread.
 */
virErrorPtr virGetLastError(void);

/** virGetLastErrorCode: Returns: the virErrorNumber of the last error, VIR_ERR_OK for none */
int virGetLastErrorCode(void);

/** virGetLastErrorDomain: Returns: the virErrorDomain of the last error, VIR_FROM_NONE for none */
int virGetLastErrorDomain(void);

/** virGetLastErrorMessage: Returns: the text of the last error; "no error" for none and "unknown
 * error" for one without text. It belongs to the library, as with virGetLastError(). */
const char *virGetLastErrorMessage(void);

/**
 * virSaveLastError: copies the last error, e.g. over calls that would reset it. errno is kept.
 *
 * Returns: a copy, with code 0 when there is no error; the caller frees it with virFreeError()
 */
virErrorPtr virSaveLastError(void);

/**
 * virCopyLastError: copies the last error into a struct of the caller.
 * @to: overwritten, not freed before; virResetError() frees what it gets
 *
 * Returns: the virErrorNumber of the error, 0 for none; -1 when @to is NULL
 */
int virCopyLastError(virErrorPtr to);

/** virResetLastError: this thread has no error any more. */
void virResetLastError(void);

/** virResetError: frees the strings in @err (NULL: nothing is done) and zeroes it. */
void virResetError(virErrorPtr err);

/** virFreeError: frees @err (NULL: nothing is done) with its strings: what virSaveLastError()
 * gave. */
void virFreeError(virErrorPtr err);

/**
 * virSetErrorFunc: says what is to be done with errors that are raised from now on.
 * @userData: for @handler; the caller's
 * @handler: NULL: virDefaultErrorFunc()
 *
 * For all threads. Where others may be raising errors at the moment they use the old handler with
 * the old @userData or the new one with the new.
 */
void virSetErrorFunc(void *userData, virErrorFunc handler);

/**
 * virDefaultErrorFunc: writes @err to stderr, e.g. "libvirt: XML-RPC error : Server not found: No
 * server named 'nobody'". Does nothing when @err is NULL or has code 0.
 */
void virDefaultErrorFunc(virErrorPtr err);

#ifdef __cplusplus
}
#endif

#endif
