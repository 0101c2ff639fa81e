/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lvaConfig: the configuration as a whole. The lock and the last error are the agent's own. */
#include "agent/mib-private.h"

#define VADM_CONFIRM_TIMEOUT_BOUND 86400u /* seconds */

static gboolean
vadm_mib_find_config(VadmView *view, VadmMatch match, VadmRow *row)
{
    row->row = view->source->class->config(view);
    return row->row && vadm_mib_match_scalar(match, row);
}

static gboolean
vadm_get_lock(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    (void)column;
    return vadm_datum_set_number(out, vadm_settings_get(vadm_mib_get_settings(row->mib)).lock);
}

static gboolean
vadm_get_last_error(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    g_autofree char *text = vadm_settings_get_last_error(vadm_mib_get_settings(row->mib));

    return vadm_datum_copy_text(out, column, text);
}

/* In the order of the arcs. */
static const VadmColumn vadm_mib_config_columns[] = {
    VADM_COLUMN_OWN_RW(lvaConfigLock, INTEGER, CONFIG_LOCK, vadm_get_lock, 0,
                       VADM_RANGE(0, VADM_LOCK_BOUND)),
    VADM_COLUMN(lvaConfigGeneration, UNSIGNED, CONFIG_GENERATION, vadm_get_u32, VadmConfigRow,
                generation),
    VADM_COLUMN(lvaConfigLastChange, OCTET_STR, CONFIG_LAST_CHANGE, vadm_get_time, VadmConfigRow,
                last_change),
    VADM_COLUMN(lvaConfigLastOrigin, INTEGER, CONFIG_LAST_ORIGIN, vadm_get_enum, VadmConfigRow,
                last_origin),
    VADM_COLUMN_RW(lvaConfigStorage, INTEGER, CONFIG_STORAGE, vadm_get_enum, VadmConfigRow, storage,
                   0, VADM_RANGE(VADM_STORAGE_VOLATILE, VADM_STORAGE_NON_VOLATILE)),
    VADM_COLUMN_RW(lvaConfigConfirmTimeout, UNSIGNED, CONFIG_CONFIRM_TIMEOUT, vadm_get_u32,
                   VadmConfigRow, confirm_left, 0, VADM_RANGE(0, VADM_CONFIRM_TIMEOUT_BOUND)),
    VADM_COLUMN(lvaConfigAge, GAUGE, CONFIG_AGE, vadm_get_u32, VadmConfigRow, age),
    VADM_COLUMN_OWN(lvaConfigLastError, OCTET_STR, CONFIG_LAST_ERROR, vadm_get_last_error,
                    VADM_LAST_ERROR_BOUND),
};

const VadmTable vadm_mib_config_scalars = {
    .path = {1, LVA_GROUP_lvaConfig},
    .path_length = 2,
    .columns = vadm_mib_config_columns,
    .n_columns = G_N_ELEMENTS(vadm_mib_config_columns),
    .find = vadm_mib_find_config,
};
