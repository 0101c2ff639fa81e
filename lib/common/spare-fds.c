/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/spare-fds.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

/* Returns: -1: there is none */
static int
spare_fds_next(void)
{
    int fd = eventfd(0, EFD_CLOEXEC);

    if (fd >= 0)
        close(fd);
    return fd;
}

/* A low limit has to be enough for clients as well. */
static rlim_t
spare_fds_of(rlim_t limit, guint spare)
{
    return MIN(limit, 2 * VADM_SPARE_FDS) * spare / (2 * VADM_SPARE_FDS);
}

gboolean
vadm_spare_fds_allow_this(int fd, guint spare)
{
    struct rlimit limit;

    if (spare == 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return TRUE;
    return fd >= 0 && (rlim_t)fd + spare_fds_of(limit.rlim_cur, spare) < limit.rlim_cur;
}

gboolean
vadm_spare_fds_allow(guint spare)
{
    return spare == 0 || vadm_spare_fds_allow_this(spare_fds_next(), spare);
}
