/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/heartbeat.h"

#include <stdatomic.h>

struct _VadmHeartbeat {
    atomic_llong last; /* monotonic time */
};

/* What a thread calls deep within net-snmp has no way to be handed anything. */
static GPrivate vadm_heartbeat_own = G_PRIVATE_INIT(NULL);

VadmHeartbeat *
vadm_heartbeat_new(void)
{
    VadmHeartbeat *heartbeat = g_new0(VadmHeartbeat, 1);

    atomic_store(&heartbeat->last, g_get_monotonic_time());
    return heartbeat;
}

void
vadm_heartbeat_free(VadmHeartbeat *heartbeat)
{
    g_free(heartbeat);
}

void
vadm_heartbeat_adopt(VadmHeartbeat *heartbeat)
{
    g_private_set(&vadm_heartbeat_own, heartbeat);
    vadm_heartbeat_beat();
}

void
vadm_heartbeat_beat(void)
{
    VadmHeartbeat *heartbeat = g_private_get(&vadm_heartbeat_own);

    if (heartbeat)
        atomic_store(&heartbeat->last, g_get_monotonic_time());
}

gint64
vadm_heartbeat_get_silence(VadmHeartbeat *heartbeat)
{
    gint64 last = atomic_load(&heartbeat->last);

    return MAX(g_get_monotonic_time() - last, 0);
}
