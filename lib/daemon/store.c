/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/store.h"

static void
vadm_store_stamp(VadmStore *store, VadmConfig *config, VadmOrigin origin)
{
    config->generation = ++store->max_generation;
    config->changed_at = g_get_real_time();
    config->origin = origin;
}

/* From now on the strings of logging are what the set understood, so that a change of something
 * else does not seem to change them. */
static void
vadm_store_normalise(VadmConfig *config)
{
    if (!config->log_set)
        return;
    g_free(config->log_filters);
    g_free(config->log_outputs);
    config->log_filters = g_strdup(vadm_log_set_get_filters(config->log_set));
    config->log_outputs = g_strdup(vadm_log_set_get_outputs(config->log_set));
}

static void
vadm_store_make_plain(VadmConfig **which, const VadmConfig *itself)
{
    VadmConfig *plain = vadm_config_copy_plain(*which ? *which : itself);

    vadm_config_unref(*which);
    *which = plain;
}

void
vadm_store_init(VadmStore *store, VadmConfig *config)
{
    *store = (VadmStore){.config = vadm_config_ref(config)};
    vadm_mutex_init(&store->lock);
    vadm_cond_init(&store->released);
    vadm_store_make_plain(&config->file, config);
    vadm_store_make_plain(&config->base, config);
    vadm_store_normalise(config);
    vadm_store_stamp(store, config, VADM_ORIGIN_STARTUP);
}

void
vadm_store_clear(VadmStore *store)
{
    g_assert(store->holder == NULL);
    if (store->retry) {
        g_source_destroy(store->retry);
        g_clear_pointer(&store->retry, g_source_unref);
    }
    g_clear_pointer(&store->retry_path, g_free);
    if (store->rollback) {
        g_source_destroy(store->rollback);
        g_clear_pointer(&store->rollback, g_source_unref);
    }
    g_clear_pointer(&store->config, vadm_config_unref);
    vadm_cond_clear(&store->released);
    vadm_mutex_clear(&store->lock);
}

VadmConfig *
vadm_store_get_config(VadmStore *store)
{
    VADM_LOCK_SCOPE(&store->lock);

    return vadm_config_ref(store->config);
}

gboolean
vadm_store_acquire(VadmStore *store, gpointer holder, gint64 wait_us)
{
    gint64 deadline = g_get_monotonic_time() + wait_us;
    VADM_LOCK_SCOPE(&store->lock);

    g_assert(holder != NULL);
    while (store->holder) {
        if (wait_us <= 0 || g_get_monotonic_time() >= deadline)
            return FALSE;
        vadm_cond_wait_until(&store->released, &store->lock, deadline);
    }
    store->holder = holder;
    return TRUE;
}

void
vadm_store_release(VadmStore *store, gpointer holder)
{
    VADM_LOCK_SCOPE(&store->lock);

    g_assert(store->holder == holder);
    store->holder = NULL;
    vadm_cond_signal(&store->released);
}

void
vadm_store_commit(VadmStore *store, VadmConfig *next, VadmOrigin origin, gboolean counted)
{
    VadmConfig *old;

    vadm_mutex_lock(&store->lock);
    if (counted)
        vadm_store_stamp(store, next, origin);
    old = store->config;
    store->config = vadm_config_ref(next);
    vadm_mutex_unlock(&store->lock);
    vadm_config_unref(old);
}

gboolean
vadm_store_undo(VadmStore *store, const VadmConfig *mine, VadmConfig *previous)
{
    VadmConfig *old = NULL;

    vadm_mutex_lock(&store->lock);
    if (store->config == mine) {
        old = store->config;
        store->config = vadm_config_ref(previous);
    }
    vadm_mutex_unlock(&store->lock);
    vadm_config_unref(old);
    return old != NULL;
}
