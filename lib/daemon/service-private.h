/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between service.c, which accepts, and service-unix.c and service-inet.c, which open what it
 * accepts from. */
#ifndef VADM_DAEMON_SERVICE_PRIVATE_H
#define VADM_DAEMON_SERVICE_PRIVATE_H

#include <stdatomic.h>
#include <sys/types.h>

#include "daemon/service.h"

struct _VadmService {
    const VadmListenConfig *config;
    VadmServiceAccess access;
    GMainContext *context;
    VadmServiceAccepted accepted;
    gpointer user;

    int fd;    /* -1: not listening */
    dev_t dev; /* unix: of the socket file that is ours */
    ino_t inode;
    GSource *source; /* accepting */
    GSource *retry;  /* out of descriptors: armed until the next attempt */
    gboolean wanted;
    gboolean starved; /* has been logged; until nobody waits any more, not at each descriptor */
    atomic_bool accepting;
};

/* Both set service->fd, and leave it to the caller to close it when they fail. */

gboolean vadm_service_open_unix(VadmService *service, GError **error);
/* Removes the socket file if it still is ours. */
void vadm_service_unlink(VadmService *service);

gboolean vadm_service_open_inet(VadmService *service, GError **error);

#endif
