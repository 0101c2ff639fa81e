/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one place where our errors become libvirt's error replies and back
 * (docs/protocol.md, "Error payload").
 */
#ifndef VADM_RPC_RPC_ERROR_H
#define VADM_RPC_RPC_ERROR_H

#include "common/error.h"
#include "rpc/message.h"

/* libvirt's error numbers (virErrorNumber), those that are used here. */
enum {
    VADM_VIR_ERR_OK = 0,
    VADM_VIR_ERR_INTERNAL_ERROR = 1,
    VADM_VIR_ERR_NO_MEMORY = 2,
    VADM_VIR_ERR_NO_SUPPORT = 3,
    VADM_VIR_ERR_NO_CONNECT = 5,
    VADM_VIR_ERR_INVALID_CONN = 6,
    VADM_VIR_ERR_INVALID_ARG = 8,
    VADM_VIR_ERR_OPERATION_FAILED = 9,
    VADM_VIR_ERR_OPERATION_DENIED = 29,
    VADM_VIR_ERR_CONF_SYNTAX = 33,
    VADM_VIR_ERR_SYSTEM_ERROR = 38,
    VADM_VIR_ERR_RPC = 39,
    VADM_VIR_ERR_AUTH_FAILED = 45,
    VADM_VIR_ERR_OPERATION_INVALID = 55,
    VADM_VIR_ERR_CONFIG_UNSUPPORTED = 67,
    VADM_VIR_ERR_OPERATION_TIMEOUT = 68,
    VADM_VIR_ERR_ARGUMENT_UNSUPPORTED = 74,
    VADM_VIR_ERR_OPERATION_UNSUPPORTED = 84,
    VADM_VIR_ERR_RESOURCE_BUSY = 87,
    VADM_VIR_ERR_ACCESS_DENIED = 88,
    VADM_VIR_ERR_NO_SERVER = 95,
    VADM_VIR_ERR_NO_CLIENT = 96
};

/* libvirt's error domains (virErrorDomain). */
enum {
    VADM_VIR_FROM_NONE = 0,
    VADM_VIR_FROM_RPC = 7,
    VADM_VIR_FROM_REMOTE = 13,
    VADM_VIR_FROM_ADMIN = 62
};

/** vadm_rpc_error_number: Returns: libvirt's number for a VadmErrorCode */
int vadm_rpc_error_number(const GError *error);

/** vadm_rpc_error_prefix: Returns: "invalid argument: " and the like, "" for those without */
const char *vadm_rpc_error_prefix(int number);

/**
 * vadm_message_new_error:
 * @call: header of the call that failed, echoed as it is; of type STREAM: of the stream that fails,
 *     and so is the answer
 * @number: libvirt's error number
 * @domain: libvirt's domain
 * @detail: text behind the number's prefix
 * @int1: usually -1; errno for SYSTEM_ERROR
 *
 * Returns: (transfer full): a reply with status ERROR: message = prefix + detail, str1 = the
 * prefix with "%s", str2 = detail, level 2. Never fails (an overlong detail is cut at a UTF-8
 * boundary to 64 KiB).
 */
VadmMessage *vadm_message_new_error(const VadmRpcHeader *call, int number, int domain,
                                    const char *detail, int int1);

/** vadm_message_new_gerror: the same from a GError of domain VADM_ERROR. */
VadmMessage *vadm_message_new_gerror(const VadmRpcHeader *call, int domain, const GError *error);

/** vadm_message_new_flags_error: "unsupported flags (0x1) in function NAME" (code 8). */
VadmMessage *vadm_message_new_flags_error(const VadmRpcHeader *call, guint32 flags,
                                          const char *function);

/**
 * vadm_message_get_error:
 * @number: (out) (optional): libvirt's error number
 * @domain: (out) (optional): libvirt's domain
 *
 * Returns: (transfer full): the message text of a reply with status ERROR ("" for none), NULL
 * when its payload cannot be decoded
 */
char *vadm_message_get_error(const VadmMessage *message, int *number, int *domain);

#endif
