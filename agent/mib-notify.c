/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lvaNotify: which notifications are sent. Part of the configuration where the source has one of
 * its own for it (a change counts, and is stored and rolled back like any other), else the
 * agent's. The counters are the agent's in any case. */
#include "agent/mib-private.h"

static gboolean
vadm_mib_find_notify(VadmView *view, VadmMatch match, VadmRow *row)
{
    row->row = view->source->class->config(view);
    return row->row && vadm_mib_match_scalar(match, row);
}

/* BITS: bit 0 is the highest of the first octet (RFC 2578 section 7.1.4); always 2 octets. */
static gboolean
vadm_get_notify_enable(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    guint enable = ((const VadmConfigRow *)row->row)->notify_enable;

    if (vadm_mib_is_own(row->mib, column->field))
        enable = vadm_settings_get(vadm_mib_get_settings(row->mib)).notify_enable;
    out->buffer[0] = out->buffer[1] = 0;
    for (guint bit = 0; bit < 16; bit++) {
        if (enable & (1u << bit))
            out->buffer[bit / 8] |= (guint8)(0x80u >> (bit % 8));
    }
    out->bytes = out->buffer;
    out->length = 2;
    return TRUE;
}

static gboolean
vadm_get_notify_min_interval(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    guint32 interval = ((const VadmConfigRow *)row->row)->notify_min_interval;

    if (vadm_mib_is_own(row->mib, column->field))
        interval = vadm_settings_get(vadm_mib_get_settings(row->mib)).notify_min_interval;
    return vadm_datum_set_number(out, interval);
}

static gboolean
vadm_get_notify_sent(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    (void)column;
    return vadm_datum_set_number(
        out, vadm_settings_get_notify_stats(vadm_mib_get_settings(row->mib)).sent);
}

static gboolean
vadm_get_notify_suppressed(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    (void)column;
    return vadm_datum_set_number(
        out, vadm_settings_get_notify_stats(vadm_mib_get_settings(row->mib)).suppressed);
}

static gboolean
vadm_get_notify_discontinuity(const VadmColumn *column, const VadmRow *row, VadmDatum *out)
{
    (void)column;
    return vadm_datum_set_time(
        out, vadm_settings_get_notify_stats(vadm_mib_get_settings(row->mib)).since);
}

/* In the order of the arcs. */
static const VadmColumn vadm_mib_notify_columns[] = {
    VADM_COLUMN_OWN_RW(lvaNotifyEnable, OCTET_STR, NOTIFY_ENABLE, vadm_get_notify_enable, 2,
                       VADM_BITS(VADM_NOTIFY_BITS_DEFINED)),
    VADM_COLUMN_OWN_RW(lvaNotifyMinInterval, UNSIGNED, NOTIFY_MIN_INTERVAL,
                       vadm_get_notify_min_interval, 0, VADM_RANGE(0, VADM_NOTIFY_INTERVAL_BOUND)),
    VADM_COLUMN_OWN(lvaNotifySent, COUNTER32, NOTIFY_SENT, vadm_get_notify_sent, 0),
    VADM_COLUMN_OWN(lvaNotifySuppressed, COUNTER32, NOTIFY_SUPPRESSED, vadm_get_notify_suppressed,
                    0),
    VADM_COLUMN_OWN(lvaNotifyDiscontinuityTime, OCTET_STR, NOTIFY_DISCONTINUITY_TIME,
                    vadm_get_notify_discontinuity, 11),
};

const VadmTable vadm_mib_notify_scalars = {
    .path = {1, LVA_GROUP_lvaNotify},
    .path_length = 2,
    .columns = vadm_mib_notify_columns,
    .n_columns = G_N_ELEMENTS(vadm_mib_notify_columns),
    .find = vadm_mib_find_notify,
};
