/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A service: one listening socket of a server. Binds it without a moment in which others could
 * connect, accepts in batches while it is told to, and outlives a lack of descriptors. What is
 * spoken there, TLS for one, is its owner's.
 */
#ifndef VADM_DAEMON_SERVICE_H
#define VADM_DAEMON_SERVICE_H

#include "daemon/config.h"

typedef struct _VadmService VadmService;

/* A connection came. @fd: (transfer full), non-blocking, close-on-exec. @peer: where from; unknown
 * for a unix socket. May call vadm_service_set_accepting(). */
typedef void (*VadmServiceAccepted)(VadmService *service, int fd, const VadmInetAddress *peer,
                                    gpointer user);

/* Who may connect to a unix socket; how many may wait at any; and how many descriptors are not for
 * those who connect (spare-fds.h). */
typedef struct {
    mode_t mode;
    gid_t gid; /* (gid_t)-1: do not change */
    guint32 backlog;
    guint spare_fds;
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
 *     use, no address of this host), VADM_ERROR_SYSTEM; each names the socket or the address
 *
 * A socket file that nobody listens on is replaced. A tcp service that asks for no authentication
 * and can be reached from other hosts is warned of. It does not accept before
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
