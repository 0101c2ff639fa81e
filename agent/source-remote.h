/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An unmodified libvirt daemon as a VadmSource: one connection to its admin socket in the main
 * thread, which reads everything every refresh_interval; the snmp thread reads what was read last
 * and never waits for the daemon.
 */
#ifndef VADM_AGENT_SOURCE_REMOTE_H
#define VADM_AGENT_SOURCE_REMOTE_H

#include "common/error.h"
#include "common/source.h"

/* Strings are copied. */
typedef struct {
    const char *name;                   /* lvaDaemonName and SNMP context */
    const char *uri;                    /* lvaDaemonUri */
    const char *path;                   /* of the admin socket: vadm_admin_uri_to_socket() */
    guint refresh_interval;             /* seconds, at least 1 */
    guint32 clients_high_percent;       /* 0..100, of every server, until a SET changes it */
    const char *const *log_directories; /* where a SET may have the daemon open log files */
} VadmRemoteConfig;

/**
 * vadm_source_remote_new: begins to connect, and keeps trying for as long as it lives. It needs a
 * running default main loop; main thread. Returns: (transfer full): to be freed with
 * vadm_source_remote_free() in the main thread, when no view is open and the snmp thread has ended.
 */
VadmSource *vadm_source_remote_new(const VadmRemoteConfig *config);

/**
 * vadm_source_remote_close: takes leave of the daemon, which logs an error about who goes without.
 * What was read last stays, and nothing else can be asked for.
 * @closed: called once, within @timeout_ms, from the default main loop; before that the source must
 *     not be freed
 *
 * Main thread, once.
 */
void vadm_source_remote_close(VadmSource *source, guint timeout_ms, void (*closed)(gpointer user),
                              gpointer user);
void vadm_source_remote_free(VadmSource *source);

#endif
