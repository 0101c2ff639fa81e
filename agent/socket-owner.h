/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VADM_AGENT_SOCKET_OWNER_H
#define VADM_AGENT_SOCKET_OWNER_H

#include <glib.h>

/**
 * vadm_socket_owner_explain:
 * @path: of an admin socket
 * @why: what went wrong with it
 *
 * A libvirt daemon closes the connection of who runs as another user than itself, without a word,
 * and root without capabilities may not even connect. Any thread. Returns: (transfer full): @why
 * and, if that may be the reason, whose the socket is
 */
char *vadm_socket_owner_explain(const char *path, const char *why);

#endif
