/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/descriptors.h"

#include <errno.h>
#include <sys/resource.h>

#define VADM_LOG_CATEGORY "virtadmd"
#include "common/log.h"

/* Beside the clients: listening sockets, log files, the master agent, the main loop, and what no
 * client gets (common/spare-fds.h). */
#define OWN_DESCRIPTORS 112u

/* A client of a relay takes two: itself, and its connection upstream. */
static guint64
descriptors_needed(const VadmConfig *config)
{
    guint64 needed = OWN_DESCRIPTORS;

    for (guint i = 0; i < config->servers->len; i++) {
        const VadmServerConfig *server = g_ptr_array_index(config->servers, i);

        needed +=
            (guint64)server->limits.clients_max * (server->program == VADM_PROGRAM_RELAY ? 2 : 1);
    }
    return needed;
}

/* The soft limit is low, 1024, for the sake of programs that use select(), which cannot have
 * more; all here polls. */
void
vadm_descriptors_raise(const VadmConfig *config)
{
    guint64 needed = descriptors_needed(config);
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        VADM_WARN("Unable to read the limit of open files: %s", g_strerror(errno));
        return;
    }
    if (limit.rlim_cur < limit.rlim_max) {
        rlim_t before = limit.rlim_cur;

        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
            VADM_WARN("Unable to raise the limit of open files: %s", g_strerror(errno));
            limit.rlim_cur = before;
        }
    }
    if (limit.rlim_cur < needed)
        VADM_WARN("Up to %" G_GUINT64_FORMAT " open files are needed for max_clients of all "
                  "servers, two for each client of a relay, and %" G_GUINT64_FORMAT
                  " are allowed: connections wait or fail before max_clients is reached",
                  needed, (guint64)limit.rlim_cur);
}
