/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/socket-owner.h"

#include <sys/stat.h>
#include <unistd.h>

char *
vadm_socket_owner_explain(const char *path, const char *why)
{
    struct stat st;

    if (stat(path, &st) < 0 || st.st_uid == geteuid())
        return g_strdup(why);
    return g_strdup_printf(
        "%s (a daemon lets no other user administer it: its socket belongs to user "
        "id %u, and this program runs as %u)",
        why, (guint)st.st_uid, (guint)geteuid());
}
