/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The last descriptors that this process may have are not for clients, or whoever connects could
 * end the daemon by taking them: GLib ends a process that gets none for what wakes a thread, of
 * which GIO makes two for each TLS handshake, and the service manager one whose signs of life, each
 * from a socket of its own, do not come. Log files and the master agent's socket are opened again,
 * too. And who administers the daemon has to get in to send clients away.
 */
#ifndef VADM_COMMON_SPARE_FDS_H
#define VADM_COMMON_SPARE_FDS_H

#include <glib.h>

/* Behind those who administer: two for each of the handshakes that are under way at once, twice. */
#define VADM_SPARE_FDS_ADMIN 32u
/* Behind all others, so 16 are for those who administer. */
#define VADM_SPARE_FDS 48u

/**
 * vadm_spare_fds_allow: may a descriptor be opened for a client, or for what it wants?
 * @spare: how many have to be left behind it; 0: only the kernel is asked, by whoever opens it
 *
 * Of a limit below twice VADM_SPARE_FDS it is that share: half, a third for VADM_SPARE_FDS_ADMIN.
 * Looks which one would be next: the kernel gives the lowest. Any thread
 */
gboolean vadm_spare_fds_allow(guint spare);
/** vadm_spare_fds_allow_this: the same of @fd, which has come by itself. */
gboolean vadm_spare_fds_allow_this(int fd, guint spare);

#endif
