/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For pool.c and its tests. */
#ifndef VADM_DAEMON_POOL_PRIVATE_H
#define VADM_DAEMON_POOL_PRIVATE_H

#include <pthread.h>

#include "daemon/pool.h"

/* pthread_create(), or a test's stand-in that refuses. */
typedef int (*VadmThreadCreate)(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                                void *data);

VadmPool *vadm_pool_new_with(const char *name, const VadmPoolLimits *limits,
                             VadmThreadCreate create, GError **error);

#endif
