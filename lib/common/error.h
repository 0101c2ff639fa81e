/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The project's one error domain. Errors are made where they are found, name the thing, the
 * value and the rule it broke, and are mapped once at each edge: to a libvirt error reply
 * (lib/rpc/rpc-error.c), to an SNMP status (agent/set.c), to a message and an exit status.
 */
#ifndef VADM_COMMON_ERROR_H
#define VADM_COMMON_ERROR_H

#include <glib.h>

#define VADM_ERROR (vadm_error_quark())

typedef enum {
    VADM_ERROR_INTERNAL,      /* a bug, or a state that cannot be */
    VADM_ERROR_NO_MEMORY,     /* an allocation or a thread was refused */
    VADM_ERROR_INVALID_VALUE, /* one value is wrong by itself */
    VADM_ERROR_INCONSISTENT,  /* values contradict each other or the configuration */
    VADM_ERROR_NOT_SUPPORTED, /* a field or parameter that cannot be set, or is unknown */
    VADM_ERROR_NO_SERVER,     /* no such server */
    VADM_ERROR_NO_CLIENT,     /* no such client */
    VADM_ERROR_BUSY,          /* the writer token is taken, or a confirmation is pending */
    VADM_ERROR_CONFLICT,      /* an undo would overwrite somebody else's change */
    VADM_ERROR_SYSTEM,        /* a system call failed; vadm_error_get_errno() tells how */
    VADM_ERROR_RPC,           /* the peer broke the protocol */
    VADM_ERROR_AUTH,          /* authentication failed or is needed */
    VADM_ERROR_DENIED,        /* operation forbidden */
    VADM_ERROR_NO_CONNECT,    /* the peer (upstream) cannot be reached */
    VADM_ERROR_TIMEOUT,       /* a deadline passed */
    VADM_ERROR_CONFIG,        /* configuration file; the message has file, group, key */
    VADM_ERROR_NO_SUPPORT,    /* the operation is not available in this daemon */
    VADM_ERROR_LAST
} VadmErrorCode;

GQuark vadm_error_quark(void);

/**
 * vadm_error_set_errno:
 * @error: (out) (nullable): where to put the error
 * @errnum: the errno of the call that failed
 * @format: printf format of what failed, e.g. "failed to open %s"; ": <strerror>" is appended
 *
 * Sets a VADM_ERROR_SYSTEM error that remembers @errnum. Any thread.
 */
void vadm_error_set_errno(GError **error, int errnum, const char *format, ...) G_GNUC_PRINTF(3, 4);

/**
 * vadm_error_get_errno:
 * @error: an error of domain VADM_ERROR
 *
 * Returns: the errno given to vadm_error_set_errno(), or 0. Any thread.
 */
int vadm_error_get_errno(const GError *error);

#endif
