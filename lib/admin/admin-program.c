/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The two programs' tables of procedures, and the way of a call through a worker. */
#define VADM_LOG_CATEGORY "admin.program"
#include "admin/admin-private.h"

#include "common/log.h"

/* How long a setter waits for another transaction (SNMP, a reload) to end, microseconds. */
#define VADM_ADMIN_TOKEN_WAIT G_USEC_PER_SEC

typedef struct {
    VadmProgram program;
    VadmServer *server;
} VadmAdminProgram;

/* clang-format off */
#define VADM_ADMIN_XDR(name) (xdrproc_t)xdr_##name, sizeof(name)
#define VADM_ADMIN_NONE       NULL, 0
/* clang-format on */

/* Ordered by procedure, from 1 without a gap. */
static const VadmAdminProcedure vadm_admin_procedures[] = {
    {VADM_ADMIN_PROC_CONNECT_OPEN, vadm_admin_connect_open, "adminDispatchConnectOpen",
     VADM_ADMIN_XDR(vadm_admin_connect_open_args), VADM_ADMIN_NONE},
    {VADM_ADMIN_PROC_CONNECT_CLOSE, vadm_admin_connect_close, NULL, VADM_ADMIN_NONE,
     VADM_ADMIN_NONE},
    {VADM_ADMIN_PROC_CONNECT_GET_LIB_VERSION, vadm_admin_get_lib_version, NULL, VADM_ADMIN_NONE,
     VADM_ADMIN_XDR(vadm_admin_connect_get_lib_version_ret)},
    {VADM_ADMIN_PROC_CONNECT_LIST_SERVERS, vadm_admin_list_servers, "adminConnectListServers",
     VADM_ADMIN_XDR(vadm_admin_connect_list_servers_args),
     VADM_ADMIN_XDR(vadm_admin_connect_list_servers_ret)},
    {VADM_ADMIN_PROC_CONNECT_LOOKUP_SERVER, vadm_admin_lookup_server, NULL,
     VADM_ADMIN_XDR(vadm_admin_connect_lookup_server_args),
     VADM_ADMIN_XDR(vadm_admin_connect_lookup_server_ret)},
    {VADM_ADMIN_PROC_SERVER_GET_THREADPOOL_PARAMETERS, vadm_admin_get_threadpool,
     "adminServerGetThreadPoolParameters",
     VADM_ADMIN_XDR(vadm_admin_server_get_threadpool_parameters_args),
     VADM_ADMIN_XDR(vadm_admin_server_get_threadpool_parameters_ret)},
    {VADM_ADMIN_PROC_SERVER_SET_THREADPOOL_PARAMETERS, vadm_admin_set_threadpool,
     "adminServerSetThreadPoolParameters",
     VADM_ADMIN_XDR(vadm_admin_server_set_threadpool_parameters_args), VADM_ADMIN_NONE},
    {VADM_ADMIN_PROC_SERVER_LIST_CLIENTS, vadm_admin_list_clients, "adminServerListClients",
     VADM_ADMIN_XDR(vadm_admin_server_list_clients_args),
     VADM_ADMIN_XDR(vadm_admin_server_list_clients_ret)},
    {VADM_ADMIN_PROC_SERVER_LOOKUP_CLIENT, vadm_admin_lookup_client, "adminServerLookupClient",
     VADM_ADMIN_XDR(vadm_admin_server_lookup_client_args),
     VADM_ADMIN_XDR(vadm_admin_server_lookup_client_ret)},
    {VADM_ADMIN_PROC_CLIENT_GET_INFO, vadm_admin_get_client_info, "adminClientGetInfo",
     VADM_ADMIN_XDR(vadm_admin_client_get_info_args),
     VADM_ADMIN_XDR(vadm_admin_client_get_info_ret)},
    {VADM_ADMIN_PROC_CLIENT_CLOSE, vadm_admin_close_client, "adminClientClose",
     VADM_ADMIN_XDR(vadm_admin_client_close_args), VADM_ADMIN_NONE},
    {VADM_ADMIN_PROC_SERVER_GET_CLIENT_LIMITS, vadm_admin_get_client_limits,
     "adminServerGetClientLimits", VADM_ADMIN_XDR(vadm_admin_server_get_client_limits_args),
     VADM_ADMIN_XDR(vadm_admin_server_get_client_limits_ret)},
    {VADM_ADMIN_PROC_SERVER_SET_CLIENT_LIMITS, vadm_admin_set_client_limits,
     "adminServerSetClientLimits", VADM_ADMIN_XDR(vadm_admin_server_set_client_limits_args),
     VADM_ADMIN_NONE},
    {VADM_ADMIN_PROC_CONNECT_GET_LOGGING_OUTPUTS, vadm_admin_get_log_outputs,
     "adminConnectGetLoggingOutputs", VADM_ADMIN_XDR(vadm_admin_connect_get_logging_outputs_args),
     VADM_ADMIN_XDR(vadm_admin_connect_get_logging_outputs_ret)},
    {VADM_ADMIN_PROC_CONNECT_GET_LOGGING_FILTERS, vadm_admin_get_log_filters,
     "adminConnectGetLoggingFilters", VADM_ADMIN_XDR(vadm_admin_connect_get_logging_filters_args),
     VADM_ADMIN_XDR(vadm_admin_connect_get_logging_filters_ret)},
    {VADM_ADMIN_PROC_CONNECT_SET_LOGGING_OUTPUTS, vadm_admin_set_log_outputs,
     "adminConnectSetLoggingOutputs", VADM_ADMIN_XDR(vadm_admin_connect_set_logging_outputs_args),
     VADM_ADMIN_NONE},
    {VADM_ADMIN_PROC_CONNECT_SET_LOGGING_FILTERS, vadm_admin_set_log_filters,
     "adminConnectSetLoggingFilters", VADM_ADMIN_XDR(vadm_admin_connect_set_logging_filters_args),
     VADM_ADMIN_NONE},
    {VADM_ADMIN_PROC_SERVER_UPDATE_TLS_FILES, vadm_admin_update_tls_files,
     "adminServerUpdateTlsFiles", VADM_ADMIN_XDR(vadm_admin_server_update_tls_files_args),
     VADM_ADMIN_NONE},
    {VADM_ADMIN_PROC_CONNECT_SET_DAEMON_TIMEOUT, vadm_admin_set_daemon_timeout,
     "adminConnectSetDaemonTimeout", VADM_ADMIN_XDR(vadm_admin_connect_set_daemon_timeout_args),
     VADM_ADMIN_NONE},
    {VADM_ADMIN_PROC_CONNECT_DAEMON_SHUTDOWN, vadm_admin_daemon_shutdown,
     "adminConnectDaemonShutdown", VADM_ADMIN_XDR(vadm_admin_connect_daemon_shutdown_args),
     VADM_ADMIN_NONE},
};

static const VadmAdminProcedure vadm_extension_procedures[] = {
    {VADM_EXTENSION_PROC_GET_LOG_LEVEL, vadm_admin_get_log_level, "vadmGetLogLevel",
     VADM_ADMIN_XDR(vadm_extension_get_log_level_args),
     VADM_ADMIN_XDR(vadm_extension_get_log_level_ret)},
    {VADM_EXTENSION_PROC_SET_LOG_LEVEL, vadm_admin_set_log_level, "vadmSetLogLevel",
     VADM_ADMIN_XDR(vadm_extension_set_log_level_args), VADM_ADMIN_NONE},
};

G_STATIC_ASSERT(G_N_ELEMENTS(vadm_admin_procedures) == VADM_ADMIN_PROC_CONNECT_DAEMON_SHUTDOWN);
G_STATIC_ASSERT(G_N_ELEMENTS(vadm_extension_procedures) == VADM_EXTENSION_PROC_SET_LOG_LEVEL);

static const VadmAdminProcedure *
vadm_admin_find_procedure(const VadmRpcHeader *header)
{
    gboolean extension = header->program == VADM_RPC_PROGRAM_EXTENSION;
    const VadmAdminProcedure *table = extension ? vadm_extension_procedures : vadm_admin_procedures;
    gsize count =
        extension ? G_N_ELEMENTS(vadm_extension_procedures) : G_N_ELEMENTS(vadm_admin_procedures);

    if (header->procedure < 1 || (gsize)header->procedure > count)
        return NULL;
    g_assert(table[header->procedure - 1].procedure == header->procedure);
    return &table[header->procedure - 1];
}

gboolean
vadm_admin_fail(VadmAdminCall *call, int number, int domain, const char *format, ...)
{
    g_autofree char *detail = NULL;
    va_list args;

    va_start(args, format);
    detail = g_strdup_vprintf(format, args);
    va_end(args);
    call->error = vadm_message_new_error(&call->message->header, number, domain, detail, -1);
    return FALSE;
}

gboolean
vadm_admin_fail_error(VadmAdminCall *call, int domain, GError *error)
{
    call->error = vadm_message_new_gerror(&call->message->header, domain, error);
    g_error_free(error);
    return FALSE;
}

gboolean
vadm_admin_check_flags(VadmAdminCall *call, guint32 flags, guint32 supported)
{
    guint32 unknown = flags & ~supported;

    if (unknown == 0)
        return TRUE;
    call->error =
        vadm_message_new_flags_error(&call->message->header, unknown, call->procedure->function);
    return FALSE;
}

VadmServer *
vadm_admin_find_server(VadmAdminCall *call, const char *name, int domain)
{
    VadmServer *server = vadm_daemon_find_server(call->daemon, name);

    if (server)
        return server;
    if (domain == VADM_VIR_FROM_ADMIN)
        vadm_admin_fail(call, VADM_VIR_ERR_NO_SERVER, domain,
                        "no server with matching name '%s' found", name);
    else
        vadm_admin_fail(call, VADM_VIR_ERR_NO_SERVER, domain, "No server named '%s'", name);
    return NULL;
}

gboolean
vadm_admin_change(VadmAdminCall *call, const VadmChange *changes, guint n_changes, int domain)
{
    VadmFault fault = {0, NULL};

    if (vadm_daemon_change(call->daemon, changes, n_changes, VADM_ORIGIN_ADMIN_RPC,
                           VADM_ADMIN_TOKEN_WAIT, &fault))
        return TRUE;
    if (g_error_matches(fault.error, VADM_ERROR, VADM_ERROR_BUSY))
        domain = VADM_VIR_FROM_ADMIN;
    return vadm_admin_fail_error(call, domain, fault.error);
}

/* The words that precede the arguments of a CALL_WITH_FDS say how many descriptors follow them.
 * No procedure takes any. */
static gboolean
vadm_admin_brings_fds(const VadmMessage *message)
{
    gsize length;
    const guint8 *payload = vadm_message_payload(message, &length);

    return message->header.type == VADM_RPC_CALL_WITH_FDS && length >= 4 &&
           (payload[0] | payload[1] | payload[2] | payload[3]) != 0;
}

/* Decodes, runs and encodes. Returns: (transfer full): the reply; NULL: none is due. */
static VadmMessage *
vadm_admin_serve(VadmAdminCall *call)
{
    const VadmAdminProcedure *procedure = call->procedure;
    g_autofree gpointer args = g_malloc0(procedure->args_size);
    g_autofree gpointer ret = g_malloc0(procedure->ret_size);
    GError *error = NULL;
    VadmMessage *reply = NULL;

    if (procedure->args && !vadm_message_decode(call->message, procedure->args, args, &error))
        vadm_admin_fail_error(call, VADM_VIR_FROM_RPC, error);
    else if (procedure->run(call, args, ret) && call->outcome != VADM_ADMIN_NO_REPLY) {
        reply = vadm_message_new_reply(&call->message->header, procedure->ret, ret, &error);
        if (!reply)
            vadm_admin_fail_error(call, VADM_VIR_FROM_RPC, error);
    }
    if (procedure->args)
        xdr_free(procedure->args, args);
    if (procedure->ret)
        xdr_free(procedure->ret, ret);
    return reply;
}

/* A job. */
static gboolean
vadm_admin_run(gpointer data)
{
    VadmAdminCall *call = data;
    const VadmRpcHeader *header = &call->message->header;
    VadmMessage *reply = NULL;

    VADM_DEBUG("client %" G_GUINT64_FORMAT " of server %s: program 0x%08x procedure %d serial %u",
               vadm_client_get_id(call->client), vadm_server_get_name(call->server),
               header->program, header->procedure, header->serial);
    call->procedure = vadm_admin_find_procedure(header);
    if (vadm_admin_brings_fds(call->message)) {
        /* Each descriptor comes with an octet of its own behind the message, which nobody here
         * takes off the stream: what follows cannot be framed any more. */
        vadm_admin_fail(call, VADM_VIR_ERR_RPC, VADM_VIR_FROM_RPC,
                        "procedure %d takes no file descriptors", header->procedure);
        vadm_client_post_reply(call->client, g_steal_pointer(&call->error), TRUE);
        return FALSE;
    }
    if (!call->procedure)
        vadm_admin_fail(call, VADM_VIR_ERR_RPC, VADM_VIR_FROM_RPC, "unknown procedure: %d",
                        header->procedure);
    else
        reply = vadm_admin_serve(call);
    if (call->error) {
        vadm_client_post_reply(call->client, g_steal_pointer(&call->error), FALSE);
        return FALSE;
    }
    if (reply)
        vadm_client_post_reply(call->client, reply, call->outcome == VADM_ADMIN_REPLY_CLOSE);
    if (call->outcome == VADM_ADMIN_REPLY_QUIT)
        vadm_daemon_post_quit(call->daemon);
    return TRUE;
}

static void
vadm_admin_call_free(gpointer data)
{
    VadmAdminCall *call = data;

    vadm_message_free(call->message);
    vadm_client_unref(call->client);
    g_free(call);
}

static gboolean
vadm_admin_program_handles(VadmProgram *program, guint32 number, guint32 version)
{
    (void)program;
    return version == VADM_RPC_VERSION &&
           (number == VADM_RPC_PROGRAM_ADMIN || number == VADM_RPC_PROGRAM_EXTENSION);
}

static void
vadm_admin_program_call(VadmProgram *program, VadmClient *client, VadmMessage *message)
{
    VadmAdminProgram *self = (VadmAdminProgram *)program;
    VadmAdminCall *call = g_new0(VadmAdminCall, 1);

    call->server = self->server;
    call->daemon = vadm_server_get_daemon(self->server);
    call->client = vadm_client_ref(client);
    call->message = message;
    vadm_pool_push(vadm_server_get_pool(self->server), FALSE, vadm_admin_run, call,
                   vadm_admin_call_free);
}

static void
vadm_admin_program_free(VadmProgram *program)
{
    g_free(program);
}

static const VadmProgramClass vadm_admin_program_class = {
    .name = "admin",
    .handles = vadm_admin_program_handles,
    .call = vadm_admin_program_call,
    .free = vadm_admin_program_free,
};

VadmProgram *
vadm_admin_program_new(VadmServer *server)
{
    VadmAdminProgram *self = g_new0(VadmAdminProgram, 1);

    self->program.class = &vadm_admin_program_class;
    self->server = server;
    return &self->program;
}
