/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/rpc-error.h"

#include <string.h>

#include "rpc/protocol.h"

/* Octets of a detail; it goes into the reply twice. */
#define DETAIL_MAX (64u * 1024)

typedef struct {
    int number;
    const char *text;
} ErrorPrefix;

/* What libvirt puts before the detail: clients and their users compare it. Those of RPC and
 * SYSTEM_ERROR have nothing there. */
static const ErrorPrefix prefixes[] = {
    {VADM_VIR_ERR_INTERNAL_ERROR, "internal error: "},
    {VADM_VIR_ERR_NO_MEMORY, "out of memory: "},
    {VADM_VIR_ERR_NO_SUPPORT, "this function is not supported by the connection driver: "},
    {VADM_VIR_ERR_NO_CONNECT, "no connection driver available for "},
    {VADM_VIR_ERR_INVALID_CONN, "invalid connection pointer in "},
    {VADM_VIR_ERR_INVALID_ARG, "invalid argument: "},
    {VADM_VIR_ERR_OPERATION_FAILED, "operation failed: "},
    {VADM_VIR_ERR_OPERATION_DENIED, "operation forbidden: "},
    {VADM_VIR_ERR_CONF_SYNTAX, "configuration file syntax error: "},
    {VADM_VIR_ERR_AUTH_FAILED, "authentication failed: "},
    {VADM_VIR_ERR_OPERATION_INVALID, "Requested operation is not valid: "},
    {VADM_VIR_ERR_CONFIG_UNSUPPORTED, "unsupported configuration: "},
    {VADM_VIR_ERR_OPERATION_TIMEOUT, "Timed out during operation: "},
    {VADM_VIR_ERR_ARGUMENT_UNSUPPORTED, "argument unsupported: "},
    {VADM_VIR_ERR_OPERATION_UNSUPPORTED, "Operation not supported: "},
    {VADM_VIR_ERR_RESOURCE_BUSY, "resource busy: "},
    {VADM_VIR_ERR_ACCESS_DENIED, "access denied: "},
    {VADM_VIR_ERR_NO_SERVER, "Server not found: "},
    {VADM_VIR_ERR_NO_CLIENT, "Client not found: "},
};

/* Indexed by VadmErrorCode. An upstream that cannot be reached is a failed system call for
 * libvirt, too: its NO_CONNECT speaks of drivers. */
static const int numbers[] = {
    [VADM_ERROR_INTERNAL] = VADM_VIR_ERR_INTERNAL_ERROR,
    [VADM_ERROR_NO_MEMORY] = VADM_VIR_ERR_NO_MEMORY,
    [VADM_ERROR_INVALID_VALUE] = VADM_VIR_ERR_INVALID_ARG,
    [VADM_ERROR_INCONSISTENT] = VADM_VIR_ERR_INVALID_ARG,
    [VADM_ERROR_NOT_SUPPORTED] = VADM_VIR_ERR_ARGUMENT_UNSUPPORTED,
    [VADM_ERROR_NO_SERVER] = VADM_VIR_ERR_NO_SERVER,
    [VADM_ERROR_NO_CLIENT] = VADM_VIR_ERR_NO_CLIENT,
    [VADM_ERROR_BUSY] = VADM_VIR_ERR_RESOURCE_BUSY,
    [VADM_ERROR_CONFLICT] = VADM_VIR_ERR_OPERATION_INVALID,
    [VADM_ERROR_SYSTEM] = VADM_VIR_ERR_SYSTEM_ERROR,
    [VADM_ERROR_RPC] = VADM_VIR_ERR_RPC,
    [VADM_ERROR_AUTH] = VADM_VIR_ERR_AUTH_FAILED,
    [VADM_ERROR_DENIED] = VADM_VIR_ERR_OPERATION_DENIED,
    [VADM_ERROR_NO_CONNECT] = VADM_VIR_ERR_SYSTEM_ERROR,
    [VADM_ERROR_TIMEOUT] = VADM_VIR_ERR_OPERATION_TIMEOUT,
    [VADM_ERROR_CONFIG] = VADM_VIR_ERR_CONFIG_UNSUPPORTED,
    [VADM_ERROR_NO_SUPPORT] = VADM_VIR_ERR_OPERATION_UNSUPPORTED,
};

G_STATIC_ASSERT(G_N_ELEMENTS(numbers) == VADM_ERROR_LAST);

int
vadm_rpc_error_number(const GError *error)
{
    if (error->domain != VADM_ERROR || error->code < 0 || error->code >= VADM_ERROR_LAST)
        return VADM_VIR_ERR_INTERNAL_ERROR;
    return numbers[error->code];
}

const char *
vadm_rpc_error_prefix(int number)
{
    for (gsize i = 0; i < G_N_ELEMENTS(prefixes); i++) {
        if (prefixes[i].number == number)
            return prefixes[i].text;
    }
    return "";
}

static VadmMessage *
new_error_reply(const VadmRpcHeader *call, vadm_rpc_error *payload)
{
    VadmRpcHeader header = *call;
    g_autoptr(GError) error = NULL;
    VadmMessage *message;

    header.type = call->type == VADM_RPC_STREAM ? VADM_RPC_STREAM : VADM_RPC_REPLY;
    header.status = VADM_RPC_ERROR;
    payload->level = VADM_RPC_ERROR_LEVEL_ERROR;
    message = vadm_message_new(&header, (xdrproc_t)xdr_vadm_rpc_error, payload, &error);
    /* Three strings, none much longer than DETAIL_MAX: there is no way for this to fail. */
    g_assert_no_error(error);
    return message;
}

/* Not in the middle of a character, where the text has any. */
static char *
cut_detail(const char *detail)
{
    gsize length = strnlen(detail, DETAIL_MAX + 1);
    gsize cut = DETAIL_MAX;

    if (length <= DETAIL_MAX)
        return g_strndup(detail, length);
    while (cut > DETAIL_MAX - 3 && ((guchar)detail[cut] & 0xc0) == 0x80)
        cut--;
    return g_strndup(detail, cut);
}

VadmMessage *
vadm_message_new_error(const VadmRpcHeader *call, int number, int domain, const char *detail,
                       int int1)
{
    const char *prefix = vadm_rpc_error_prefix(number);
    g_autofree char *cut = cut_detail(detail);
    g_autofree char *text = g_strconcat(prefix, cut, NULL);
    g_autofree char *template = g_strconcat(prefix, "%s", NULL);
    vadm_rpc_error payload = {
        .code = number,
        .domain = domain,
        .message = &text,
        .str1 = &template,
        .str2 = &cut,
        .int1 = int1,
        .int2 = -1,
    };

    return new_error_reply(call, &payload);
}

VadmMessage *
vadm_message_new_gerror(const VadmRpcHeader *call, int domain, const GError *error)
{
    int errnum = error->domain == VADM_ERROR ? vadm_error_get_errno(error) : 0;

    return vadm_message_new_error(call, vadm_rpc_error_number(error), domain, error->message,
                                  errnum > 0 ? errnum : -1);
}

VadmMessage *
vadm_message_new_flags_error(const VadmRpcHeader *call, guint32 flags, const char *function)
{
    g_autofree char *text =
        g_strdup_printf("unsupported flags (0x%x) in function %s", flags, function);
    g_autofree char *name = g_strdup(function);
    char literal[] = "flags";
    char *what = literal;
    vadm_rpc_error payload = {
        .code = VADM_VIR_ERR_INVALID_ARG,
        .domain = VADM_VIR_FROM_ADMIN,
        .message = &text,
        .str1 = &name,
        .str2 = &what,
    };

    return new_error_reply(call, &payload);
}

char *
vadm_message_get_error(const VadmMessage *message, int *number, int *domain)
{
    vadm_rpc_error payload = {0};
    char *text = NULL;

    if (vadm_message_decode(message, (xdrproc_t)xdr_vadm_rpc_error, &payload, NULL)) {
        text = g_strdup(payload.message ? *payload.message : "");
        if (number)
            *number = payload.code;
        if (domain)
            *domain = payload.domain;
    }
    xdr_free((xdrproc_t)xdr_vadm_rpc_error, &payload);
    return text;
}
