/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * URIs of administered daemons, as virt-admin understands them (docs/protocol.md, "URIs"):
 * DAEMON:///system, DAEMON:///session, and ?socket=PATH that overrides the rest.
 */
#ifndef VADM_ADMIN_URI_H
#define VADM_ADMIN_URI_H

#include "common/error.h"

/**
 * vadm_admin_uri_to_socket:
 * @uri: e.g. "virtqemud:///system"
 * @error: VADM_ERROR_CONFIG with libvirt's text, without the prefix of its error code:
 *     "Unsupported URI scheme 'foo'", "No URI scheme specified",
 *     "Invalid URI path '/foo', try '/system'", "Unknown URI parameter 'foo'";
 *     VADM_ERROR_INVALID_VALUE for what is no URI at all: "Unable to parse URI foo"
 *
 * Any thread. Returns: (transfer full) (nullable): the path of the admin socket
 */
char *vadm_admin_uri_to_socket(const char *uri, GError **error);

/** vadm_admin_uri_get_daemon: Returns: (transfer full) (nullable): the scheme: the name of the
 * daemon where there is no ?socket= */
char *vadm_admin_uri_get_daemon(const char *uri);

/** vadm_admin_uri_format: Returns: (transfer full): @uri as libvirt shows it: with the "//" of a
 * host, also where there is none */
char *vadm_admin_uri_format(const char *uri);

/**
 * vadm_admin_uri_resolve:
 * @name: (nullable): what the caller gave: a URI, an alias of libvirt-admin.conf, or NULL for the
 *     default: environment LIBVIRT_ADMIN_DEFAULT_URI, uri_default of the file, then
 *     libvirtd:///system for root and libvirtd:///session for others
 * @aliases: whether "uri_aliases" count
 * @error: of the file: see vadm_client_conf_load()
 *
 * Reads libvirt-admin.conf: /etc/libvirt for root, else $XDG_CONFIG_HOME/libvirt. Any thread.
 * Returns: (transfer full) (nullable)
 */
char *vadm_admin_uri_resolve(const char *name, gboolean aliases, GError **error);

#endif
