/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What RESERVE1 checks: each varbind by itself, against the tables of data. */
#ifndef VADM_AGENT_SET_CHECK_H
#define VADM_AGENT_SET_CHECK_H

#include "agent/set.h"

/* A varbind that has been understood. */
typedef struct {
    const VadmColumn *column;
    const VadmTable *table;
    VadmMibOid index;
    VadmChange change;
    char *text; /* what change.value.string points to */
} VadmSetTarget;

void vadm_set_target_clear(VadmSetTarget *target);

/**
 * vadm_set_check:
 * @tag: of the change
 * @target: (out): cleared by the caller, whether or not it succeeds
 * @rule: (out): the rule that @item breaks; freed by the caller
 *
 * In the order of RFC 3416 section 4.2.5: writable at all, type, length, value, existence.
 */
VadmStatus vadm_set_check(VadmMib *mib, VadmView *view, const VadmSetItem *item, guint tag,
                          VadmSetTarget *target, char **rule);

/** vadm_set_describe: Returns: (transfer full): "lvaServerWorkersMin.2 = 50" for messages; a long
 * value is shortened so that the rule behind it is not lost. */
char *vadm_set_describe(const VadmSetItem *item);

#endif
