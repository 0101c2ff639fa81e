/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt-admin.conf, the configuration of administration clients: "uri_default" and "uri_aliases";
 * other keys are of no concern here.
 */
#ifndef VADM_ADMIN_CLIENT_CONF_H
#define VADM_ADMIN_CLIENT_CONF_H

#include "common/error.h"

typedef struct {
    char *uri_default;   /* NULL: not set */
    GHashTable *aliases; /* name: URI */
} VadmClientConf;

/**
 * vadm_client_conf_load:
 * @path: of the file; one that does not exist, or cannot be reached, is as an empty one
 * @error: VADM_ERROR_SYSTEM: it cannot be read; else "PATH:LINE: what is wrong": VADM_ERROR_CONFIG
 * for its syntax, VADM_ERROR_INVALID_VALUE for a value of another type, VADM_ERROR_NOT_SUPPORTED
 * for an alias that is none
 *
 * As in libvirt, the first of several settings of a key, and the first of several aliases of a
 * name, counts. Any thread. Returns: (transfer full) (nullable)
 */
VadmClientConf *vadm_client_conf_load(const char *path, GError **error);
void vadm_client_conf_free(VadmClientConf *conf);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmClientConf, vadm_client_conf_free)

#endif
