/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A service: one listening socket of a server. Binds it without a moment in which others could
 * connect, accepts in batches while it is told to, and outlives a lack of descriptors. Unix
 * sockets; VadmListenConfig's transport is the place for tcp and tls.
 */
#ifndef VADM_DAEMON_SERVICE_H
#define VADM_DAEMON_SERVICE_H

#include "daemon/config.h"

typedef struct _VadmService VadmService;

/* A connection came. @fd: (transfer full), non-blocking, close-on-exec. May call
 * vadm_service_set_accepting(). */
typedef void (*VadmServiceAccepted)(VadmService *service, int fd, gpointer user);

/* Who may connect to a unix socket. */
typedef struct {
    mode_t mode;
    gid_t gid; /* (gid_t)-1: do not change */
    guint32 backlog;
} VadmServiceAccess;

/**
 * vadm_service_new:
 * @config: borrowed, lives longer than the service
 * @context: (nullable): where to accept; NULL: default
 *
 * Nothing is opened yet. Main thread, as all here that does not say otherwise.
 */
VadmService *vadm_service_new(const VadmListenConfig *config, const VadmServiceAccess *access,
                              GMainContext *context, VadmServiceAccepted accepted, gpointer user);

/**
 * vadm_service_listen:
 * @error: VADM_ERROR_CONFIG (not absolute, path too long, exists and is no socket, already in
 *     use), VADM_ERROR_SYSTEM; each names the socket
 *
 * A socket file that nobody listens on is replaced. It does not accept before
 * vadm_service_set_accepting().
 */
gboolean vadm_service_listen(VadmService *service, GError **error);
/** vadm_service_stop: closes, and unlinks the socket file if it still is ours. Idempotent. */
void vadm_service_stop(VadmService *service);
/** vadm_service_free: stops too. Not from @accepted. */
void vadm_service_free(VadmService *service);

/** vadm_service_set_accepting: suspended, connections wait in the kernel's backlog. */
void vadm_service_set_accepting(VadmService *service, gboolean accepting);
/** vadm_service_retry: a descriptor has become free: ends a pause for want of one. */
void vadm_service_retry(VadmService *service);

/** vadm_service_is_accepting: at this instant (lvaServiceAccepting). Any thread. */
gboolean vadm_service_is_accepting(VadmService *service);
const VadmListenConfig *vadm_service_get_config(const VadmService *service); /* any thread */

#endif
