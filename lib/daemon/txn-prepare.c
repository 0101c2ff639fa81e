/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a transaction checks and makes ready: everything of it that can fail but the disk. */
#include "daemon/txn-private.h"

static gboolean
vadm_txn_check_client(VadmDaemonTxn *txn, const VadmChange *change, VadmFault *fault)
{
    VadmServer *server = vadm_daemon_server(txn->daemon, VADM_MATCH_EQ, change->server);
    g_autoptr(VadmClient) client = NULL;
    guint64 wanted = change->value.number;

    fault->tag = change->tag;
    if (!server) {
        g_set_error(&fault->error, VADM_ERROR, VADM_ERROR_NO_SERVER,
                    "there is no server with index %u", change->server);
        return FALSE;
    }
    client = vadm_server_find_client(server, VADM_MATCH_EQ, change->client);
    if (!client) {
        g_set_error(&fault->error, VADM_ERROR, VADM_ERROR_NO_CLIENT,
                    "server '%s' has no client with index %u", vadm_server_get_name(server),
                    change->client);
        return FALSE;
    }
    if (change->value.kind != VADM_VALUE_UINT ||
        (wanted != VADM_CLIENT_CONNECTED && wanted != VADM_CLIENT_DISCONNECT)) {
        g_set_error(&fault->error, VADM_ERROR, VADM_ERROR_INVALID_VALUE,
                    "the state of client %u of server '%s' can be set to connected(1) or "
                    "disconnect(2), not to %" G_GUINT64_FORMAT,
                    change->client, vadm_server_get_name(server), wanted);
        return FALSE;
    }
    if (wanted == VADM_CLIENT_DISCONNECT)
        g_ptr_array_add(txn->clients, g_steal_pointer(&client));
    return TRUE;
}

static gboolean
vadm_txn_check_clients(VadmDaemonTxn *txn, const VadmChange *changes, guint n_changes,
                       VadmFault *fault)
{
    for (guint i = 0; i < n_changes; i++) {
        if (changes[i].field == VADM_FIELD_CLIENT_ADMIN_STATUS &&
            !vadm_txn_check_client(txn, &changes[i], fault))
            return FALSE;
    }
    return TRUE;
}

static gboolean
vadm_txn_apply_each(VadmDaemonTxn *txn, const VadmChange *changes, guint n_changes,
                    VadmFault *fault)
{
    for (guint i = 0; i < n_changes; i++) {
        if (vadm_txn_is_configuration(changes[i].field) &&
            !vadm_config_apply(txn->next, &changes[i], fault))
            return FALSE;
    }
    return TRUE;
}

static guint
vadm_change_hash(gconstpointer data)
{
    const VadmChange *change = data;

    return (guint)change->field * 31u + change->server * 65599u + change->client;
}

static gboolean
vadm_change_equal(gconstpointer a, gconstpointer b)
{
    const VadmChange *one = a;
    const VadmChange *other = b;

    return one->field == other->field && one->server == other->server &&
           one->client == other->client;
}

/* Two values for one instance contradict each other, also when they are equal. */
static gboolean
vadm_txn_check_duplicates(const VadmChange *changes, guint n_changes, VadmFault *fault)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(vadm_change_hash, vadm_change_equal);

    for (guint i = 0; i < n_changes; i++) {
        if (g_hash_table_add(seen, (gpointer)&changes[i]))
            continue;
        fault->tag = changes[i].tag;
        g_set_error(&fault->error, VADM_ERROR, VADM_ERROR_INCONSISTENT,
                    "field %d of server %u, client %u is set twice", changes[i].field,
                    changes[i].server, changes[i].client);
        return FALSE;
    }
    return TRUE;
}

gboolean
vadm_txn_apply(VadmDaemonTxn *txn, const VadmChange *changes, guint n_changes, VadmFault *fault)
{
    return vadm_txn_apply_each(txn, changes, n_changes, fault) &&
           vadm_txn_check_duplicates(changes, n_changes, fault) &&
           vadm_txn_prepare_confirm(txn, changes, n_changes, fault);
}

/* The other half of a contradiction in @field: both decide whether it is one. */
static VadmField
vadm_field_partner(VadmField field)
{
    switch (field) {
    case VADM_FIELD_SERVER_WORKERS_MIN:
        return VADM_FIELD_SERVER_WORKERS_MAX;
    case VADM_FIELD_SERVER_WORKERS_MAX:
        return VADM_FIELD_SERVER_WORKERS_MIN;
    case VADM_FIELD_SERVER_CLIENTS_MAX:
        return VADM_FIELD_SERVER_CLIENTS_UNAUTH_MAX;
    case VADM_FIELD_SERVER_CLIENTS_UNAUTH_MAX:
        return VADM_FIELD_SERVER_CLIENTS_MAX;
    default:
        return field;
    }
}

/* The tag of the last change of @field or its partner; of the last change of all if there is
 * none. */
static guint
vadm_txn_find_tag(const VadmChange *changes, guint n_changes, VadmField field, guint32 server)
{
    for (guint i = n_changes; i-- > 0;) {
        if (changes[i].server == server &&
            (changes[i].field == field || changes[i].field == vadm_field_partner(field)))
            return changes[i].tag;
    }
    return n_changes ? changes[n_changes - 1].tag : 0;
}

static void
vadm_txn_name_fault(const VadmDaemonTxn *txn, VadmField field, guint32 index, GError **error)
{
    const VadmServerConfig *server = vadm_config_find_server_index(txn->next, index);
    const VadmServerLimits *limits = server ? &server->limits : NULL;

    if (!server)
        g_prefix_error(error, "[log] level: ");
    else if (vadm_field_partner(field) == VADM_FIELD_SERVER_WORKERS_MIN)
        g_prefix_error(error, "[server %s] min_workers %u, max_workers %u: ", server->name,
                       limits->workers_min, limits->workers_max);
    else if (vadm_field_partner(field) == VADM_FIELD_SERVER_CLIENTS_MAX)
        g_prefix_error(error,
                       "[server %s] max_clients %u, max_anonymous_clients %u: ", server->name,
                       limits->clients_max, limits->clients_unauth_max);
}

static gboolean
vadm_txn_validate(VadmDaemonTxn *txn, const VadmChange *changes, guint n_changes, VadmFault *fault)
{
    VadmField field;
    guint32 server;

    if (vadm_config_validate(txn->next, &field, &server, &fault->error))
        return TRUE;
    /* A caller with changes knows which it is told about; who brings a whole file does not. */
    if (n_changes == 0)
        vadm_txn_name_fault(txn, field, server, &fault->error);
    fault->tag = vadm_txn_find_tag(changes, n_changes, field, server);
    return FALSE;
}

static VadmLogSet *
vadm_txn_new_log_set(VadmDaemonTxn *txn, const char *outputs, GError **error)
{
    const VadmConfig *next = txn->next;
    VadmLogGuard guard = {(const char *const *)next->log_directories};
    /* A manager that leaves the outputs alone opens none: they may be where its own may not. */
    gboolean guarded = txn->origin == VADM_ORIGIN_SNMP &&
                       !g_str_equal(txn->before->log_outputs, next->log_outputs);

    return vadm_log_set_new(vadm_daemon_get_log(txn->daemon), (int)next->log_level,
                            next->log_filters, outputs, next->log_default_outputs,
                            guarded ? &guard : NULL, error);
}

/* Whose fault it was that there is no set: that of the filters if these are refused with the
 * default outputs, too. */
static VadmField
vadm_txn_find_log_fault(VadmDaemonTxn *txn)
{
    VadmLogSet *trial = vadm_txn_new_log_set(txn, NULL, NULL);

    if (!trial)
        return VADM_FIELD_LOG_FILTERS;
    vadm_log_set_discard(trial);
    return VADM_FIELD_LOG_OUTPUTS;
}

static gboolean
vadm_txn_logging_equal(const VadmConfig *a, const VadmConfig *b)
{
    return a->log_level == b->log_level && g_str_equal(a->log_filters, b->log_filters) &&
           g_str_equal(a->log_outputs, b->log_outputs);
}

static gboolean
vadm_txn_prepare_log(VadmDaemonTxn *txn, const VadmChange *changes, guint n_changes,
                     VadmFault *fault)
{
    VadmConfig *next = txn->next;

    if (vadm_txn_logging_equal(txn->before, next))
        return TRUE;
    /* What comes back has its set still, and with it its open files. */
    if (txn->origin == VADM_ORIGIN_ROLLBACK && next->log_set) {
        txn->log_set = vadm_log_set_ref(next->log_set);
        return TRUE;
    }
    if (!g_str_equal(txn->before->log_outputs, next->log_outputs))
        next->log_outputs_guarded = txn->origin == VADM_ORIGIN_SNMP;
    txn->log_set = vadm_txn_new_log_set(txn, next->log_outputs, &fault->error);
    if (!txn->log_set) {
        fault->tag = vadm_txn_find_tag(changes, n_changes, vadm_txn_find_log_fault(txn), 0);
        return FALSE;
    }
    g_free(next->log_filters);
    g_free(next->log_outputs);
    next->log_filters = g_strdup(vadm_log_set_get_filters(txn->log_set));
    next->log_outputs = g_strdup(vadm_log_set_get_outputs(txn->log_set));
    if (next->log_set)
        vadm_log_set_unref(next->log_set);
    next->log_set = vadm_log_set_ref(txn->log_set);
    return TRUE;
}

/* The set says the same as the one in force, only in other words ("1:a  2:b"). */
static void
vadm_txn_drop_equal_log(VadmDaemonTxn *txn)
{
    const VadmConfig *before = txn->before;

    if (!txn->log_set || !vadm_txn_logging_equal(before, txn->next))
        return;
    txn->next->log_outputs_guarded = before->log_outputs_guarded;
    vadm_log_set_unref(txn->next->log_set);
    txn->next->log_set = before->log_set ? vadm_log_set_ref(before->log_set) : NULL;
    vadm_log_set_discard(g_steal_pointer(&txn->log_set));
}

static gboolean
vadm_limits_workers_equal(const VadmServerLimits *a, const VadmServerLimits *b)
{
    return a->workers_min == b->workers_min && a->workers_max == b->workers_max &&
           a->workers_priority == b->workers_priority;
}

static gboolean
vadm_limits_equal(const VadmServerLimits *a, const VadmServerLimits *b)
{
    return vadm_limits_workers_equal(a, b) && a->clients_max == b->clients_max &&
           a->clients_unauth_max == b->clients_unauth_max &&
           a->clients_high_percent == b->clients_high_percent &&
           a->client_requests_max == b->client_requests_max;
}

/* Starts the threads that the new limits of one server ask for. */
static gboolean
vadm_txn_prepare_server(VadmDaemonTxn *txn, const VadmServerConfig *config, GError **error)
{
    const VadmServerConfig *old = vadm_config_find_server_index(txn->before, config->index);
    VadmServer *server = vadm_daemon_server(txn->daemon, VADM_MATCH_EQ, config->index);
    VadmTxnServer entry = {.server = server, .to = config->limits};
    VadmPoolLimits workers = {config->limits.workers_min, config->limits.workers_max,
                              config->limits.workers_priority};

    /* Servers come and go by a restart only. */
    if (!old || !server) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_NO_SERVER, "there is no server with index %u",
                    config->index);
        return FALSE;
    }
    if (vadm_limits_equal(&old->limits, &config->limits))
        return TRUE;
    entry.from = old->limits;
    if (!vadm_limits_workers_equal(&entry.from, &entry.to)) {
        entry.pool = vadm_pool_prepare(vadm_server_get_pool(server), &workers, error);
        if (!entry.pool)
            return FALSE;
    }
    g_array_append_val(txn->servers, entry);
    return TRUE;
}

/* Which field asked for the threads that could not be started. */
static VadmField
vadm_txn_find_worker_fault(const VadmDaemonTxn *txn, const VadmServerConfig *config)
{
    const VadmServerConfig *old = vadm_config_find_server_index(txn->before, config->index);

    if (old && old->limits.workers_priority < config->limits.workers_priority &&
        old->limits.workers_min >= config->limits.workers_min)
        return VADM_FIELD_SERVER_WORKERS_PRIORITY;
    return VADM_FIELD_SERVER_WORKERS_MIN;
}

static gboolean
vadm_txn_prepare_servers(VadmDaemonTxn *txn, const VadmChange *changes, guint n_changes,
                         VadmFault *fault)
{
    for (guint i = 0; i < txn->next->servers->len; i++) {
        const VadmServerConfig *config = txn->next->servers->pdata[i];

        if (vadm_txn_prepare_server(txn, config, &fault->error))
            continue;
        fault->tag = vadm_txn_find_tag(changes, n_changes, vadm_txn_find_worker_fault(txn, config),
                                       config->index);
        return FALSE;
    }
    return TRUE;
}

/* What is in force is another object as soon as anything of it differs, though only a change of
 * the configuration itself is counted and logged. */
static gboolean
vadm_txn_replaces(const VadmDaemonTxn *txn)
{
    const VadmConfig *before = txn->before, *next = txn->next;

    return *txn->diff != '\0' || txn->arm || before->rollback_to != next->rollback_to ||
           before->file != next->file || before->base != next->base;
}

/* The part that all ways to a new configuration share; what is checked comes before what costs
 * something. */
gboolean
vadm_txn_prepare_next(VadmDaemonTxn *txn, const VadmChange *changes, guint n_changes,
                      VadmFault *fault)
{
    if (!vadm_txn_validate(txn, changes, n_changes, fault) ||
        !vadm_txn_check_clients(txn, changes, n_changes, fault) ||
        !vadm_txn_prepare_log(txn, changes, n_changes, fault))
        return FALSE;
    vadm_txn_drop_equal_log(txn);
    if (!vadm_txn_prepare_servers(txn, changes, n_changes, fault))
        return FALSE;
    txn->diff = vadm_config_diff(txn->before, txn->next);
    txn->changes = vadm_txn_replaces(txn);
    return vadm_txn_prepare_state(txn, changes, n_changes, fault);
}
