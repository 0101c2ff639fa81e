/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VADM_ADMIN_URI_PRIVATE_H
#define VADM_ADMIN_URI_PRIVATE_H

#include "admin/uri.h"

/* Where a client looks; of the process, or of a test. */
typedef struct {
    const char *file;        /* libvirt-admin.conf */
    const char *environment; /* (nullable): value of LIBVIRT_ADMIN_DEFAULT_URI */
    const char *built_in;    /* URI when nothing else says one */
} VadmUriDefaults;

/** vadm_admin_uri_resolve_in: as vadm_admin_uri_resolve(). */
char *vadm_admin_uri_resolve_in(const VadmUriDefaults *defaults, const char *name, gboolean aliases,
                                GError **error);

#endif
