/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the remote source remembers of its daemon's servers beyond one snapshot: the numbers by
 * which they are shown, the states of their limits, and what was seen last, to be compared with
 * what is seen next. Main thread.
 */
#ifndef VADM_AGENT_REMOTE_MEMORY_H
#define VADM_AGENT_REMOTE_MEMORY_H

#include "agent/remote-private.h"

/* A daemon has two servers; one that makes up names all the time must not fill our memory. */
#define VADM_REMOTE_SERVERS_MAX 64u

/* What of a server is configuration. */
typedef enum {
    VADM_REMOTE_WORKERS_MIN,
    VADM_REMOTE_WORKERS_MAX,
    VADM_REMOTE_WORKERS_PRIORITY,
    VADM_REMOTE_CLIENTS_MAX,
    VADM_REMOTE_CLIENTS_UNAUTH_MAX,
    VADM_REMOTE_SETTING_LAST
} VadmRemoteSetting;

typedef struct {
    char *name;
    guint32 index;
    guint32 high_percent;
    gboolean percent_counted; /* lvaConfigGeneration has counted that it was set */
    VadmLimit clients_limit, unauth_limit;
    guint32 settings[VADM_REMOTE_SETTING_LAST];
    guint seen;         /* bit n: settings[n] was */
    guint32 priority;   /* wanted number of priority workers, until @expected */
    gint64 expected;    /* monotonic time until when another number is no change; 0: none wanted */
    gboolean listed;    /* @clients are those of this connection */
    GPtrArray *clients; /* of VadmRemoteClient, as listed last */
    GHashTable *by_id;  /* the same: id -> VadmRemoteClient */
    guint complaints;   /* bits of calls whose refusal has been logged */
} VadmRemoteKnown;

typedef struct _VadmRemoteMemory {
    char *group, *scheme;
    guint32 high_percent;
    GPtrArray *servers; /* of VadmRemoteKnown */
    guint32 next_index;
    gboolean main_taken;     /* index 2 */
    gboolean strange;        /* that there are too many servers, or unfit names, has been logged */
    char *filters, *outputs; /* as seen last; NULL: never */
    VadmReachability told;   /* 0: nothing yet */
    guint connection;        /* how many there have been */
    gboolean anew;           /* no full snapshot was published over this connection yet */
    VadmOrigin origin;       /* of what differs in that one */
    gboolean counted;        /* so it has of some server, as a change that is not settled */
    guint complaints;
} VadmRemoteMemory;

/** vadm_remote_memory_meet: gives a number to each of @names (of char *) that has none. */
void vadm_remote_memory_meet(VadmRemoteMemory *memory, const GPtrArray *names);
/** vadm_remote_memory_find: Returns: (transfer none) (nullable): NULL also for those that got no
 * number */
VadmRemoteKnown *vadm_remote_memory_find(const VadmRemoteMemory *memory, const char *name);
VadmRemoteKnown *vadm_remote_memory_find_index(const VadmRemoteMemory *memory, guint32 index);
/** vadm_remote_id_hash: of a guint64, the id of a client. g_int64_hash() takes the low half only,
 * by which a daemon could have all of them collide. */
guint vadm_remote_id_hash(gconstpointer id);
/** vadm_remote_memory_reconnect: a new connection: other clients, and nothing is expected. */
void vadm_remote_memory_reconnect(VadmRemoteMemory *memory);
/** vadm_remote_memory_list: the clients of @known are those of @clients from now on. */
void vadm_remote_memory_list(VadmRemoteKnown *known, const GPtrArray *clients);

#endif
