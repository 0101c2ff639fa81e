/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the admin program share: the call that is being served, and the handlers
 * of the procedures. Handlers run in a worker of the admin server.
 */
#ifndef VADM_ADMIN_ADMIN_PRIVATE_H
#define VADM_ADMIN_ADMIN_PRIVATE_H

#include "admin/admin-program.h"
#include "daemon/txn.h"
#include "rpc/admin.h"
#include "rpc/extension.h"
#include "rpc/rpc-error.h"

typedef struct _VadmAdminCall VadmAdminCall;

/**
 * VadmAdminHandler: serves one call.
 * @args: the decoded arguments, NULL for a procedure without
 * @ret: (out): a zeroed return struct, NULL for a procedure without. What is put into it comes
 *     from malloc (g_new, g_strdup): xdr_free() frees it
 *
 * Returns: FALSE after one of the vadm_admin_fail functions, whose result it passes on
 */
typedef gboolean VadmAdminHandler(VadmAdminCall *call, gconstpointer args, gpointer ret);

typedef struct {
    gint32 procedure;
    VadmAdminHandler *run;
    const char *function; /* what libvirt calls it in errors about flags */
    xdrproc_t args;       /* NULL: none */
    gsize args_size;
    xdrproc_t ret; /* NULL: none */
    gsize ret_size;
} VadmAdminProcedure;

/* What becomes of the connection, or the daemon, once a call has succeeded. */
typedef enum {
    VADM_ADMIN_REPLY,       /* nothing: the reply is all */
    VADM_ADMIN_REPLY_CLOSE, /* reply, then close the caller's connection */
    VADM_ADMIN_REPLY_QUIT,  /* reply, then end the daemon */
    VADM_ADMIN_NO_REPLY     /* the caller has disconnected itself */
} VadmAdminOutcome;

struct _VadmAdminCall {
    VadmServer *server; /* the admin server that the caller is connected to */
    VadmDaemon *daemon;
    VadmClient *client;   /* the caller */
    VadmMessage *message; /* the call as it came */
    const VadmAdminProcedure *procedure;
    VadmMessage *error; /* the reply to a call that failed */
    VadmAdminOutcome outcome;
};

/* Each makes the error reply of @call. Returns: FALSE */

/** vadm_admin_fail: @number, @domain: libvirt's. @format: the text behind the prefix. */
gboolean vadm_admin_fail(VadmAdminCall *call, int number, int domain, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
/** vadm_admin_fail_error: @error: (transfer full), of domain VADM_ERROR */
gboolean vadm_admin_fail_error(VadmAdminCall *call, int domain, GError *error);

/** vadm_admin_check_flags: fails @call when @flags has others than @supported. */
gboolean vadm_admin_check_flags(VadmAdminCall *call, guint32 flags, guint32 supported);

/** vadm_admin_find_server: Returns: (transfer none) (nullable): NULL: @call has failed, with
 * the text that goes with @domain: VADM_VIR_FROM_RPC or VADM_VIR_FROM_ADMIN */
VadmServer *vadm_admin_find_server(VadmAdminCall *call, const char *name, int domain);

/** vadm_admin_change: makes one transaction of @changes; @domain is libvirt's, for what is
 * wrong with the values. Waits at most a second for another transaction to end. */
gboolean vadm_admin_change(VadmAdminCall *call, const VadmChange *changes, guint n_changes,
                           int domain);

/* admin-daemon.c */
VadmAdminHandler vadm_admin_connect_open;
VadmAdminHandler vadm_admin_connect_close;
VadmAdminHandler vadm_admin_get_lib_version;
VadmAdminHandler vadm_admin_list_servers;
VadmAdminHandler vadm_admin_lookup_server;
VadmAdminHandler vadm_admin_set_daemon_timeout;
VadmAdminHandler vadm_admin_daemon_shutdown;

/* admin-server.c */
VadmAdminHandler vadm_admin_get_threadpool;
VadmAdminHandler vadm_admin_set_threadpool;
VadmAdminHandler vadm_admin_get_client_limits;
VadmAdminHandler vadm_admin_set_client_limits;
VadmAdminHandler vadm_admin_update_tls_files;

/* admin-client.c */
VadmAdminHandler vadm_admin_list_clients;
VadmAdminHandler vadm_admin_lookup_client;
VadmAdminHandler vadm_admin_get_client_info;
VadmAdminHandler vadm_admin_close_client;

/* admin-logging.c */
VadmAdminHandler vadm_admin_get_log_outputs;
VadmAdminHandler vadm_admin_get_log_filters;
VadmAdminHandler vadm_admin_set_log_outputs;
VadmAdminHandler vadm_admin_set_log_filters;

/* admin-extension.c */
VadmAdminHandler vadm_admin_get_log_level;
VadmAdminHandler vadm_admin_set_log_level;

#endif
