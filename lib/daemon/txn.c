/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define VADM_LOG_CATEGORY "daemon.txn"
#include "daemon/txn.h"

#include "common/log.h"

/* What a transaction does to one server beside the configuration. */
typedef struct {
    VadmServer *server;
    VadmPoolChange *pool; /* NULL: the numbers of workers stay */
    VadmServerLimits from, to;
} VadmTxnServer;

struct _VadmDaemonTxn {
    VadmStore *store;
    VadmDaemon *daemon;
    VadmOrigin origin;
    VadmConfig *before, *next;
    VadmLogSet *log_set; /* made for @next, NULL: logging stays */
    GArray *servers;     /* of VadmTxnServer */
    GPtrArray *clients;  /* of VadmClient references: to be disconnected */
    char *diff;          /* from @before to @next, for the log; "" when they are the same */
    gboolean committed;
};

static void
vadm_txn_client_unref(gpointer client)
{
    vadm_client_unref(client);
}

/* Takes the token. (transfer full) (nullable) */
static VadmDaemonTxn *
vadm_txn_begin(VadmDaemon *daemon, VadmOrigin origin, gint64 wait_us, VadmFault *fault)
{
    VadmStore *store = vadm_daemon_get_store(daemon);
    VadmDaemonTxn *txn = g_new0(VadmDaemonTxn, 1);

    *fault = (VadmFault){0};
    if (!vadm_store_acquire(store, txn, wait_us)) {
        g_set_error_literal(&fault->error, VADM_ERROR, VADM_ERROR_BUSY,
                            "another change of the configuration is under way");
        g_free(txn);
        return NULL;
    }
    txn->store = store;
    txn->daemon = daemon;
    txn->origin = origin;
    txn->before = vadm_store_get_config(store);
    txn->servers = g_array_new(FALSE, TRUE, sizeof(VadmTxnServer));
    txn->clients = g_ptr_array_new_with_free_func(vadm_txn_client_unref);
    return txn;
}

/* The end of every transaction. */
static void
vadm_txn_end(VadmDaemonTxn *txn)
{
    vadm_store_release(txn->store, txn);
    g_array_unref(txn->servers);
    g_ptr_array_unref(txn->clients);
    vadm_config_unref(txn->before);
    vadm_config_unref(txn->next);
    g_free(txn->diff);
    g_free(txn);
}

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
vadm_txn_apply(VadmDaemonTxn *txn, const VadmChange *changes, guint n_changes, VadmFault *fault)
{
    for (guint i = 0; i < n_changes; i++) {
        if (changes[i].field != VADM_FIELD_CLIENT_ADMIN_STATUS &&
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

static gboolean
vadm_txn_validate(VadmDaemonTxn *txn, const VadmChange *changes, guint n_changes, VadmFault *fault)
{
    VadmField field;
    guint32 server;

    if (vadm_config_validate(txn->next, &field, &server, &fault->error))
        return TRUE;
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
vadm_txn_prepare_log(VadmDaemonTxn *txn, const VadmChange *changes, guint n_changes,
                     VadmFault *fault)
{
    const VadmConfig *before = txn->before;
    VadmConfig *next = txn->next;

    if (before->log_level == next->log_level &&
        g_str_equal(before->log_filters, next->log_filters) &&
        g_str_equal(before->log_outputs, next->log_outputs))
        return TRUE;
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

    if (!txn->log_set || before->log_level != txn->next->log_level ||
        !g_str_equal(before->log_filters, txn->next->log_filters) ||
        !g_str_equal(before->log_outputs, txn->next->log_outputs))
        return;
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

/* The part that all ways to a new configuration share; what is checked comes before what costs
 * something. */
static gboolean
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
    return TRUE;
}

VadmDaemonTxn *
vadm_txn_prepare(VadmDaemon *daemon, const VadmChange *changes, guint n_changes, VadmOrigin origin,
                 gint64 wait_us, VadmFault *fault)
{
    VadmDaemonTxn *txn = vadm_txn_begin(daemon, origin, wait_us, fault);

    if (!txn)
        return NULL;
    txn->next = vadm_config_copy(txn->before);
    if (vadm_txn_apply(txn, changes, n_changes, fault) &&
        vadm_txn_check_duplicates(changes, n_changes, fault) &&
        vadm_txn_prepare_next(txn, changes, n_changes, fault))
        return txn;
    vadm_txn_abort(txn);
    return NULL;
}

VadmDaemonTxn *
vadm_txn_prepare_config(VadmDaemon *daemon, const VadmConfig *next, VadmOrigin origin,
                        gint64 wait_us, VadmFault *fault)
{
    VadmDaemonTxn *txn = vadm_txn_begin(daemon, origin, wait_us, fault);

    if (!txn)
        return NULL;
    txn->next = vadm_config_copy(next);
    if (vadm_txn_prepare_next(txn, NULL, 0, fault))
        return txn;
    vadm_txn_abort(txn);
    return NULL;
}

void
vadm_txn_commit(VadmDaemonTxn *txn)
{
    if (txn->committed)
        return;
    txn->committed = TRUE;
    if (*txn->diff == '\0')
        return;
    vadm_store_commit(txn->store, txn->next, txn->origin);
    if (txn->log_set)
        vadm_log_install(vadm_daemon_get_log(txn->daemon), txn->log_set);
    for (guint i = 0; i < txn->servers->len; i++) {
        VadmTxnServer *entry = &g_array_index(txn->servers, VadmTxnServer, i);

        if (entry->pool)
            vadm_pool_commit(entry->pool);
        vadm_server_set_limits(entry->server, &entry->to);
    }
}

gboolean
vadm_txn_undo(VadmDaemonTxn *txn, GError **error)
{
    if (!txn->committed)
        return TRUE;
    if (*txn->diff != '\0' && !vadm_store_undo(txn->store, txn->next, txn->before)) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFLICT,
                    "configuration %u cannot be taken back: another one is in force since",
                    txn->next->generation);
        VADM_ERR("configuration %u cannot be taken back: another one is in force since",
                 txn->next->generation);
        return FALSE;
    }
    txn->committed = FALSE;
    if (*txn->diff == '\0')
        return TRUE;
    if (txn->log_set && txn->before->log_set)
        vadm_log_install(vadm_daemon_get_log(txn->daemon), txn->before->log_set);
    for (guint i = 0; i < txn->servers->len; i++) {
        VadmTxnServer *entry = &g_array_index(txn->servers, VadmTxnServer, i);

        if (entry->pool)
            vadm_pool_undo(entry->pool);
        vadm_server_set_limits(entry->server, &entry->from);
    }
    VADM_WARN("configuration %u is taken back: %u is in force again", txn->next->generation,
              txn->before->generation);
    return TRUE;
}

/* At a level that the default shows: a trail of changes that has to be switched on first is
 * none. */
static void
vadm_txn_log(const VadmDaemonTxn *txn)
{
    static const char *const origins[VADM_ORIGIN_LAST] = {
        [VADM_ORIGIN_STARTUP] = "startup",   [VADM_ORIGIN_ADMIN_RPC] = "adminRpc",
        [VADM_ORIGIN_SNMP] = "snmp",         [VADM_ORIGIN_RELOAD] = "reload",
        [VADM_ORIGIN_ROLLBACK] = "rollback",
    };

    VADM_WARN("configuration %u (%s): %s", txn->next->generation, origins[txn->origin], txn->diff);
}

/* What a committed change leaves to do that cannot be taken back. */
static void
vadm_txn_settle(VadmDaemonTxn *txn)
{
    for (guint i = 0; i < txn->servers->len; i++) {
        VadmTxnServer *entry = &g_array_index(txn->servers, VadmTxnServer, i);

        if (entry->pool)
            vadm_pool_finish(entry->pool);
    }
    vadm_log_set_unref(txn->log_set);
    if (*txn->diff != '\0')
        vadm_txn_log(txn);
    vadm_txn_end(txn);
}

void
vadm_txn_finish(VadmDaemonTxn *txn)
{
    /* The master may skip ACTION (RFC 2741 section 7.2.4.2 does not let it, but a lost session
     * does): what has not been committed must not be half done here. */
    if (!txn->committed) {
        vadm_txn_abort(txn);
        return;
    }
    for (guint i = 0; i < txn->clients->len; i++)
        vadm_client_post_close(txn->clients->pdata[i], VADM_DISCONNECT_ADMINISTRATOR);
    vadm_txn_settle(txn);
}

void
vadm_txn_abort(VadmDaemonTxn *txn)
{
    g_autoptr(GError) conflict = NULL;

    if (!vadm_txn_undo(txn, &conflict)) {
        vadm_txn_settle(txn);
        return;
    }
    for (guint i = 0; i < txn->servers->len; i++) {
        VadmTxnServer *entry = &g_array_index(txn->servers, VadmTxnServer, i);

        if (entry->pool)
            vadm_pool_abort(entry->pool);
    }
    /* The last reference must be the one that is discarded, or the files stay. */
    g_clear_pointer(&txn->next, vadm_config_unref);
    vadm_log_set_discard(txn->log_set);
    vadm_txn_end(txn);
}

gboolean
vadm_daemon_change(VadmDaemon *daemon, const VadmChange *changes, guint n_changes,
                   VadmOrigin origin, gint64 wait_us, VadmFault *fault)
{
    VadmDaemonTxn *txn = vadm_txn_prepare(daemon, changes, n_changes, origin, wait_us, fault);

    if (!txn)
        return FALSE;
    vadm_txn_commit(txn);
    vadm_txn_finish(txn);
    return TRUE;
}
