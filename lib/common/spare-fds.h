/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The last descriptors that this process may have are not for clients. GLib ends the process when
 * it gets none for what wakes a thread, and GIO makes two such things for each TLS handshake:
 * whoever could take the last one by connecting could end the daemon.
 */
#ifndef VADM_COMMON_SPARE_FDS_H
#define VADM_COMMON_SPARE_FDS_H

#include <glib.h>

/* Two for each of the handshakes that are under way at once, twice; half of a limit that is
 * so low that this would leave nothing. */
#define VADM_SPARE_FDS 32u

/**
 * vadm_spare_fds_allow: may a descriptor be opened for a client, or for what it wants?
 * @spare: how many have to be left behind it; 0: only the kernel is asked, by whoever opens it
 *
 * Looks which one would be next: the kernel gives the lowest. Any thread
 */
gboolean vadm_spare_fds_allow(guint spare);
/** vadm_spare_fds_allow_this: the same of @fd, which has come by itself. */
gboolean vadm_spare_fds_allow_this(int fd, guint spare);

#endif
