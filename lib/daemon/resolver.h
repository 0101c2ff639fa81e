/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looks up user and group names in a thread of its own, because NSS can hang. Answers are
 * cached for a minute, absent ones too; a hanging look-up delays names only.
 */
#ifndef VADM_DAEMON_RESOLVER_H
#define VADM_DAEMON_RESOLVER_H

#include "common/source.h"

typedef struct _VadmResolver VadmResolver;
/* Called in the resolver's thread, or in the caller's when the names are in the cache.
 * @named: (transfer none): a copy of the identity with names */
typedef void (*VadmResolved)(VadmIdentity *named, gpointer user);

/* Where names come from. Both run in the resolver's thread and may hang. Returns: (transfer
 * full): the name, "" for an id without an entry */
typedef struct {
    char *(*user_name)(guint32 uid);
    char *(*group_name)(guint32 gid);
} VadmNameService;

VadmResolver *vadm_resolver_new(void);
/** vadm_resolver_new_full: with a @names other than NSS; borrowed for good, since a hanging
 * look-up outlives the resolver. For tests. */
VadmResolver *vadm_resolver_new_full(const VadmNameService *names);
/** vadm_resolver_free: @user data of look-ups that did not happen is destroyed. A thread that
 * hangs in NSS is left behind. No @done runs after it returns. */
void vadm_resolver_free(VadmResolver *resolver);
/** vadm_resolver_look_up: @destroy: called with @user after @done or instead of it. Any thread,
 * never blocks; at most 65536 wait, later ones go without names. @done is called without locks
 * held and must not free the resolver. */
void vadm_resolver_look_up(VadmResolver *resolver, VadmIdentity *identity, VadmResolved done,
                           gpointer user, GDestroyNotify destroy);

#endif
