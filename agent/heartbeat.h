/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Signs of life of a thread that somebody else watches. It gives them where it goes round, and
 * wherever it knows why it takes long: the snmp thread with each packet to or from its master
 * agent, so that one that is slow or stopped never makes the thread look dead.
 */
#ifndef VADM_AGENT_HEARTBEAT_H
#define VADM_AGENT_HEARTBEAT_H

#include <glib.h>

typedef struct _VadmHeartbeat VadmHeartbeat;

/** vadm_heartbeat_new: the first sign of life. Returns: (transfer full) */
VadmHeartbeat *vadm_heartbeat_new(void);
/** vadm_heartbeat_free: the thread that has adopted it must have ended, or adopted none. */
void vadm_heartbeat_free(VadmHeartbeat *heartbeat);
/** vadm_heartbeat_adopt: from now on the beats of this thread are @heartbeat's (nullable). */
void vadm_heartbeat_adopt(VadmHeartbeat *heartbeat);
/** vadm_heartbeat_beat: the calling thread lives; nothing, if it has adopted none. Never blocks. */
void vadm_heartbeat_beat(void);
/** vadm_heartbeat_get_silence: Returns: microseconds since the last sign of life. Any thread. */
gint64 vadm_heartbeat_get_silence(VadmHeartbeat *heartbeat);

#endif
