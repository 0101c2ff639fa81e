/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The alarm state of a limit on clients, with hysteresis (docs/mib.md, "Thresholds"): an alarm
 * is raised when the number reaches its threshold T and cleared when it has fallen to T - 1 and
 * to nine tenths of T, so that one client that comes and goes at the limit is one event, not
 * one each time. Pure functions; the caller locks.
 */
#ifndef VADM_DAEMON_LIMIT_H
#define VADM_DAEMON_LIMIT_H

#include "common/source.h"

typedef struct {
    gboolean full, high; /* the two alarms, each with its own hysteresis */
    VadmLimitState state;
    guint32 full_events; /* how often the state became full */
} VadmLimit;

/* What a limit of 0 means: lvaServerClientsMax 0 lets nobody in, lvaServerClientsUnauthMax 0
 * is no limit. */
typedef enum { VADM_LIMIT_ZERO_IS_FULL, VADM_LIMIT_ZERO_IS_NONE } VadmLimitZero;

/** vadm_limit_init: a limit that has seen nobody; VADM_LIMIT_NORMAL, no events. */
void vadm_limit_init(VadmLimit *limit);

/**
 * vadm_limit_update:
 * @current: how many there are now
 * @max: the limit now in force
 * @high_percent: of @max, 0..100, where "high" is raised; 0: never
 * @zero: what a @max of 0 means
 *
 * To be called after each change of one of the numbers.
 * Returns: TRUE when the state has changed
 */
gboolean vadm_limit_update(VadmLimit *limit, guint32 current, guint32 max, guint32 high_percent,
                           VadmLimitZero zero);

/** vadm_limit_has_room: may one more come in? Without hysteresis: places are not kept empty. */
gboolean vadm_limit_has_room(guint32 current, guint32 max, VadmLimitZero zero);

#endif
