/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/limit.h"

void
vadm_limit_init(VadmLimit *limit)
{
    *limit = (VadmLimit){.state = VADM_LIMIT_NORMAL};
}

/* 64 bits: 9 * max and max * percent do not fit into 32. @threshold is at least 1. */
static gboolean
vadm_limit_alarm(gboolean raised, guint64 current, guint64 threshold)
{
    guint64 clear = MIN(threshold - 1, threshold * 9 / 10);

    if (current >= threshold)
        return TRUE;
    return raised && current > clear;
}

static void
vadm_limit_set_alarms(VadmLimit *limit, guint32 current, guint32 max, guint32 high_percent,
                      VadmLimitZero zero)
{
    guint64 high_at = ((guint64)max * high_percent + 99) / 100;

    if (max == 0) {
        limit->full = zero == VADM_LIMIT_ZERO_IS_FULL;
        limit->high = FALSE;
        return;
    }
    limit->full = vadm_limit_alarm(limit->full, current, max);
    limit->high = high_percent > 0 && vadm_limit_alarm(limit->high, current, high_at);
}

gboolean
vadm_limit_update(VadmLimit *limit, guint32 current, guint32 max, guint32 high_percent,
                  VadmLimitZero zero)
{
    VadmLimitState before = limit->state;

    vadm_limit_set_alarms(limit, current, max, high_percent, zero);
    limit->state = limit->full   ? VADM_LIMIT_FULL
                   : limit->high ? VADM_LIMIT_HIGH
                                 : VADM_LIMIT_NORMAL;
    if (limit->state == VADM_LIMIT_FULL && before != VADM_LIMIT_FULL)
        limit->full_events++;
    return limit->state != before;
}

gboolean
vadm_limit_has_room(guint32 current, guint32 max, VadmLimitZero zero)
{
    if (max == 0)
        return zero == VADM_LIMIT_ZERO_IS_NONE;
    return current < max;
}
