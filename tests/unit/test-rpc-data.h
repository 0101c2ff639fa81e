/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The captured traffic, and which payload belongs to which procedure: for the tests of lib/rpc
 * and its fuzzer. */
#ifndef VADM_TESTS_RPC_DATA_H
#define VADM_TESTS_RPC_DATA_H

#include <stdio.h>
#include <string.h>

#include "rpc/admin.h"
#include "rpc/extension.h"
#include "rpc/message.h"
#include "rpc/protocol.h"
#include "rpc/remote.h"

#define TRACES_ADMIN TEST_DATA "/admin-traces.hex"
#define TRACES_SASL  TEST_DATA "/sasl-traces.hex"

typedef struct {
    guint section; /* from 1 */
    gboolean from_client;
    guint8 *data;
    gsize length;
} TraceMessage;

static inline void
trace_message_free(gpointer data)
{
    TraceMessage *message = data;

    g_free(message->data);
    g_free(message);
}

static inline guint8 *
unhex(const char *hex, gsize *length)
{
    guint8 *data;

    *length = strlen(hex) / 2;
    data = g_malloc(*length + 1);
    for (gsize i = 0; i < *length; i++)
        data[i] =
            (guint8)(g_ascii_xdigit_value(hex[2 * i]) * 16 + g_ascii_xdigit_value(hex[2 * i + 1]));
    return data;
}

/* Of TraceMessage, in the order of the file. */
static inline GPtrArray *
traces_load(const char *path)
{
    GPtrArray *traces = g_ptr_array_new_with_free_func(trace_message_free);
    guint section = 0;
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        g_error("cannot read %s", path);
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        TraceMessage *message;

        section += **line == '#';
        if (**line != '<' && **line != '>')
            continue;
        message = g_new0(TraceMessage, 1);
        message->section = section;
        message->from_client = **line == '>';
        message->data = unhex(*line + 2, &message->length);
        g_ptr_array_add(traces, message);
    }
    return traces;
}

typedef struct {
    guint32 program;
    gint32 procedure;
    xdrproc_t args;
    gsize args_size;
    xdrproc_t ret;
    gsize ret_size;
} PayloadType;

#define NOTHING       NULL, 0
#define PAYLOAD(type) (xdrproc_t) xdr_##type, sizeof(type)
#define ADMIN(proc, ...)                                                                           \
    {                                                                                              \
        VADM_RPC_PROGRAM_ADMIN, VADM_ADMIN_PROC_##proc, __VA_ARGS__                                \
    }
#define REMOTE(proc, ...)                                                                          \
    {                                                                                              \
        VADM_RPC_PROGRAM_REMOTE, VADM_REMOTE_PROC_##proc, __VA_ARGS__                              \
    }
#define BOTH(type) PAYLOAD(type##_args), PAYLOAD(type##_ret)
#define ARGS(type) PAYLOAD(type##_args), NOTHING
#define RET(type)  NOTHING, PAYLOAD(type##_ret)

static const PayloadType payload_types[] = {
    ADMIN(CONNECT_OPEN, ARGS(vadm_admin_connect_open)),
    ADMIN(CONNECT_CLOSE, NOTHING, NOTHING),
    ADMIN(CONNECT_GET_LIB_VERSION, RET(vadm_admin_connect_get_lib_version)),
    ADMIN(CONNECT_LIST_SERVERS, BOTH(vadm_admin_connect_list_servers)),
    ADMIN(CONNECT_LOOKUP_SERVER, BOTH(vadm_admin_connect_lookup_server)),
    ADMIN(SERVER_GET_THREADPOOL_PARAMETERS, BOTH(vadm_admin_server_get_threadpool_parameters)),
    ADMIN(SERVER_SET_THREADPOOL_PARAMETERS, ARGS(vadm_admin_server_set_threadpool_parameters)),
    ADMIN(SERVER_LIST_CLIENTS, BOTH(vadm_admin_server_list_clients)),
    ADMIN(SERVER_LOOKUP_CLIENT, BOTH(vadm_admin_server_lookup_client)),
    ADMIN(CLIENT_GET_INFO, BOTH(vadm_admin_client_get_info)),
    ADMIN(CLIENT_CLOSE, ARGS(vadm_admin_client_close)),
    ADMIN(SERVER_GET_CLIENT_LIMITS, BOTH(vadm_admin_server_get_client_limits)),
    ADMIN(SERVER_SET_CLIENT_LIMITS, ARGS(vadm_admin_server_set_client_limits)),
    ADMIN(CONNECT_GET_LOGGING_OUTPUTS, BOTH(vadm_admin_connect_get_logging_outputs)),
    ADMIN(CONNECT_GET_LOGGING_FILTERS, BOTH(vadm_admin_connect_get_logging_filters)),
    ADMIN(CONNECT_SET_LOGGING_OUTPUTS, ARGS(vadm_admin_connect_set_logging_outputs)),
    ADMIN(CONNECT_SET_LOGGING_FILTERS, ARGS(vadm_admin_connect_set_logging_filters)),
    ADMIN(SERVER_UPDATE_TLS_FILES, ARGS(vadm_admin_server_update_tls_files)),
    ADMIN(CONNECT_SET_DAEMON_TIMEOUT, ARGS(vadm_admin_connect_set_daemon_timeout)),
    ADMIN(CONNECT_DAEMON_SHUTDOWN, ARGS(vadm_admin_connect_daemon_shutdown)),
    REMOTE(CONNECT_OPEN, ARGS(vadm_remote_connect_open)),
    REMOTE(CONNECT_CLOSE, NOTHING, NOTHING),
    REMOTE(CONNECT_GET_TYPE, RET(vadm_remote_connect_get_type)),
    REMOTE(CONNECT_GET_VERSION, RET(vadm_remote_connect_get_version)),
    REMOTE(CONNECT_GET_HOSTNAME, RET(vadm_remote_connect_get_hostname)),
    REMOTE(CONNECT_SUPPORTS_FEATURE, BOTH(vadm_remote_connect_supports_feature)),
    REMOTE(AUTH_LIST, RET(vadm_remote_auth_list)),
    REMOTE(AUTH_POLKIT, RET(vadm_remote_auth_polkit)),
    REMOTE(AUTH_SASL_INIT, RET(vadm_remote_auth_sasl_init)),
    REMOTE(AUTH_SASL_START, PAYLOAD(vadm_remote_auth_sasl_start_args),
           PAYLOAD(vadm_remote_auth_sasl_turn_ret)),
    REMOTE(AUTH_SASL_STEP, PAYLOAD(vadm_remote_auth_sasl_step_args),
           PAYLOAD(vadm_remote_auth_sasl_turn_ret)),
    REMOTE(CONNECT_GET_URI, RET(vadm_remote_connect_get_uri)),
    REMOTE(CONNECT_GET_LIB_VERSION, RET(vadm_remote_connect_get_lib_version)),
    REMOTE(DOMAIN_GET_STATE, BOTH(vadm_remote_domain_get_state)),
    REMOTE(CONNECT_LIST_ALL_DOMAINS, BOTH(vadm_remote_connect_list_all_domains)),
    REMOTE(CONNECT_REGISTER_CLOSE_CALLBACK, NOTHING, NOTHING),
    REMOTE(CONNECT_UNREGISTER_CLOSE_CALLBACK, NOTHING, NOTHING),
    REMOTE(CONNECT_SET_IDENTITY, ARGS(vadm_remote_connect_set_identity)),
    {VADM_RPC_PROGRAM_EXTENSION, VADM_EXTENSION_PROC_GET_LOG_LEVEL,
     BOTH(vadm_extension_get_log_level)},
    {VADM_RPC_PROGRAM_EXTENSION, VADM_EXTENSION_PROC_SET_LOG_LEVEL,
     ARGS(vadm_extension_set_log_level)},
    {VADM_RPC_PROGRAM_KEEPALIVE, VADM_KEEPALIVE_PROC_PING, NOTHING, NOTHING},
    {VADM_RPC_PROGRAM_KEEPALIVE, VADM_KEEPALIVE_PROC_PONG, NOTHING, NOTHING},
};

#undef NOTHING
#undef PAYLOAD
#undef ADMIN
#undef REMOTE
#undef BOTH
#undef ARGS
#undef RET

/* Returns: FALSE for a procedure that is not in the table; @proc: NULL for an empty payload */
static inline gboolean
payload_of(const VadmRpcHeader *header, xdrproc_t *proc, gsize *size)
{
    gboolean reply = header->type == VADM_RPC_REPLY || header->type == VADM_RPC_REPLY_WITH_FDS;

    if (header->status == VADM_RPC_ERROR) {
        *proc = (xdrproc_t)xdr_vadm_rpc_error;
        *size = sizeof(vadm_rpc_error);
        return TRUE;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(payload_types); i++) {
        const PayloadType *type = &payload_types[i];

        if (type->program != header->program || type->procedure != header->procedure)
            continue;
        *proc = reply ? type->ret : type->args;
        *size = reply ? type->ret_size : type->args_size;
        return TRUE;
    }
    return FALSE;
}

#endif
