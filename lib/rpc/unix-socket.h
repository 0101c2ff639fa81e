/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VADM_RPC_UNIX_SOCKET_H
#define VADM_RPC_UNIX_SOCKET_H

#include "common/error.h"

/**
 * vadm_unix_connect:
 * @path: of a listening unix stream socket; "@NAME": an abstract one
 * @error: VADM_ERROR_SYSTEM "Failed to connect socket to 'PATH': <strerror>" with its errno: EAGAIN
 *     when the backlog is full, so that it is to be tried again
 *
 * Never waits. Any thread. Returns: a non-blocking descriptor that is closed on exec, or -1
 */
int vadm_unix_connect(const char *path, GError **error);

#endif
