/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/settings.h"

#include <string.h>

#define VADM_LOG_CATEGORY "agent.settings"
#include "common/lock.h"
#include "common/log.h"

struct _VadmSettings {
    char *name;
    VadmMutex lock;
    VadmSettingsValues values; /* under lock */
    char *last_error;          /* under lock */
    VadmNotifyStats notify;    /* under lock */
};

enum { VADM_SETTING_LOCK = 1, VADM_SETTING_ENABLE = 2, VADM_SETTING_INTERVAL = 4 };

VadmSettings *
vadm_settings_new(const char *name, guint16 notify_enable, guint32 notify_min_interval)
{
    VadmSettings *settings = g_new0(VadmSettings, 1);

    settings->name = g_strdup(name);
    vadm_mutex_init(&settings->lock);
    settings->values.lock = g_random_int() & VADM_LOCK_BOUND;
    settings->last_error = g_strdup("");
    settings->notify.since = g_get_real_time();
    settings->values.notify_enable = notify_enable & VADM_NOTIFY_BITS_MASK;
    settings->values.notify_min_interval = MIN(notify_min_interval, VADM_NOTIFY_INTERVAL_BOUND);
    return settings;
}

void
vadm_settings_free(VadmSettings *settings)
{
    if (!settings)
        return;
    vadm_mutex_clear(&settings->lock);
    g_free(settings->last_error);
    g_free(settings->name);
    g_free(settings);
}

const char *
vadm_settings_get_name(const VadmSettings *settings)
{
    return settings->name;
}

VadmSettingsValues
vadm_settings_get(VadmSettings *settings)
{
    VADM_LOCK_SCOPE(&settings->lock);
    return settings->values;
}

VadmAccess
vadm_settings_access(VadmField field)
{
    switch (field) {
    case VADM_FIELD_CONFIG_LOCK:
    case VADM_FIELD_NOTIFY_ENABLE:
    case VADM_FIELD_NOTIFY_MIN_INTERVAL:
        return VADM_ACCESS_WRITE;
    case VADM_FIELD_CONFIG_LAST_ERROR:
    case VADM_FIELD_NOTIFY_SENT:
    case VADM_FIELD_NOTIFY_SUPPRESSED:
    case VADM_FIELD_NOTIFY_DISCONTINUITY_TIME:
        return VADM_ACCESS_READ;
    default:
        return VADM_ACCESS_NONE;
    }
}

/* What cannot be printed becomes a space: messages quote what a manager sent, and tools show a
 * whole string in hex for one such character, or hand it to a terminal. */
static char *
vadm_settings_make_printable(const char *message)
{
    g_autofree char *valid = g_utf8_make_valid(message, -1);
    GString *out = g_string_new(NULL);

    for (const char *c = valid; *c; c = g_utf8_next_char(c))
        g_string_append_unichar(out,
                                g_unichar_isprint(g_utf8_get_char(c)) ? g_utf8_get_char(c) : ' ');
    return g_string_free(out, FALSE);
}

void
vadm_settings_set_last_error(VadmSettings *settings, const char *message)
{
    g_autofree char *valid = vadm_settings_make_printable(message);
    gsize length = strlen(valid);

    if (length > VADM_LAST_ERROR_BOUND) {
        const char *end = g_utf8_find_prev_char(valid, valid + VADM_LAST_ERROR_BOUND + 1);
        length = end ? (gsize)(end - valid) : 0;
    }
    VADM_LOCK_SCOPE(&settings->lock);
    g_free(settings->last_error);
    settings->last_error = g_strndup(valid, length);
}

char *
vadm_settings_get_last_error(VadmSettings *settings)
{
    VADM_LOCK_SCOPE(&settings->lock);
    return g_strdup(settings->last_error);
}

void
vadm_settings_count_notify(VadmSettings *settings, guint32 sent, guint32 suppressed)
{
    VADM_LOCK_SCOPE(&settings->lock);
    settings->notify.sent += sent;
    settings->notify.suppressed += suppressed;
}

VadmNotifyStats
vadm_settings_get_notify_stats(VadmSettings *settings)
{
    VADM_LOCK_SCOPE(&settings->lock);
    return settings->notify;
}

/* What one change asks for, checked by itself. */
static gboolean
vadm_settings_stage(const VadmSettingsValues *now, const VadmChange *change, VadmSettingsTxn *txn,
                    GError **error)
{
    guint64 number = change->value.number;

    switch (change->field) {
    case VADM_FIELD_CONFIG_LOCK:
        if (number != now->lock) {
            g_set_error(error, VADM_ERROR, VADM_ERROR_INCONSISTENT,
                        "the lock is stale: it is %u now", now->lock);
            return FALSE;
        }
        txn->fields |= VADM_SETTING_LOCK;
        txn->next.lock = now->lock == VADM_LOCK_BOUND ? 0 : now->lock + 1;
        return TRUE;
    case VADM_FIELD_NOTIFY_ENABLE:
        if (number & ~(guint64)VADM_NOTIFY_BITS_MASK) {
            g_set_error(error, VADM_ERROR, VADM_ERROR_INVALID_VALUE,
                        "only bits 0 to %u are defined", VADM_NOTIFY_BITS_DEFINED - 1);
            return FALSE;
        }
        txn->fields |= VADM_SETTING_ENABLE;
        txn->next.notify_enable = (guint16)number;
        return TRUE;
    case VADM_FIELD_NOTIFY_MIN_INTERVAL:
        if (number > VADM_NOTIFY_INTERVAL_BOUND) {
            g_set_error(error, VADM_ERROR, VADM_ERROR_INVALID_VALUE,
                        "must be between 0 and %u seconds", VADM_NOTIFY_INTERVAL_BOUND);
            return FALSE;
        }
        txn->fields |= VADM_SETTING_INTERVAL;
        txn->next.notify_min_interval = (guint32)number;
        return TRUE;
    default:
        g_set_error(error, VADM_ERROR, VADM_ERROR_NOT_SUPPORTED, "not a setting of the agent");
        return FALSE;
    }
}

gboolean
vadm_settings_prepare(VadmSettings *settings, const VadmChange *changes, guint n_changes,
                      VadmSettingsTxn *txn, VadmFault *fault)
{
    VadmSettingsTxn staged = {.active = TRUE};

    staged.before = staged.next = vadm_settings_get(settings);
    for (guint i = 0; i < n_changes; i++) {
        if (!vadm_settings_stage(&staged.before, &changes[i], &staged, &fault->error)) {
            fault->tag = changes[i].tag;
            return FALSE;
        }
    }
    *txn = staged;
    return TRUE;
}

/* Only what the transaction names: the rest may have been changed by a reload since. */
static void
vadm_settings_apply(VadmSettings *settings, const VadmSettingsValues *values, guint fields)
{
    VADM_LOCK_SCOPE(&settings->lock);
    if (fields & VADM_SETTING_LOCK)
        settings->values.lock = values->lock;
    if (fields & VADM_SETTING_ENABLE)
        settings->values.notify_enable = values->notify_enable;
    if (fields & VADM_SETTING_INTERVAL)
        settings->values.notify_min_interval = values->notify_min_interval;
}

static void
vadm_settings_tell(const VadmSettings *settings, const VadmSettingsValues *from,
                   const VadmSettingsValues *to, guint fields, const char *origin)
{
    if (fields & VADM_SETTING_ENABLE)
        VADM_INFO("%s: lvaNotifyEnable 0x%03x -> 0x%03x (%s)", settings->name, from->notify_enable,
                  to->notify_enable, origin);
    if (fields & VADM_SETTING_INTERVAL)
        VADM_INFO("%s: lvaNotifyMinInterval %u -> %u (%s)", settings->name,
                  from->notify_min_interval, to->notify_min_interval, origin);
}

void
vadm_settings_commit(VadmSettings *settings, VadmSettingsTxn *txn)
{
    if (!txn->active || txn->committed)
        return;
    vadm_settings_apply(settings, &txn->next, txn->fields);
    txn->committed = TRUE;
    vadm_settings_tell(settings, &txn->before, &txn->next, txn->fields, "snmp");
}

void
vadm_settings_reload(VadmSettings *settings, const VadmSettingsValues *was,
                     const VadmSettingsValues *is)
{
    const VadmSettingsValues before = vadm_settings_get(settings);
    guint fields =
        (was->notify_enable != is->notify_enable ? VADM_SETTING_ENABLE : 0u) |
        (was->notify_min_interval != is->notify_min_interval ? VADM_SETTING_INTERVAL : 0u);

    vadm_settings_apply(settings, is, fields);
    vadm_settings_tell(settings, &before, is, fields, "reload");
}

void
vadm_settings_undo(VadmSettings *settings, VadmSettingsTxn *txn)
{
    VadmSettingsValues now = vadm_settings_get(settings);
    guint fields = txn->fields;

    if (!txn->active || !txn->committed)
        return;
    if (now.lock != txn->next.lock)
        fields &= ~(guint)VADM_SETTING_LOCK;
    if (now.notify_enable != txn->next.notify_enable)
        fields &= ~(guint)VADM_SETTING_ENABLE;
    if (now.notify_min_interval != txn->next.notify_min_interval)
        fields &= ~(guint)VADM_SETTING_INTERVAL;
    vadm_settings_apply(settings, &txn->before, fields);
    txn->committed = FALSE;
}
