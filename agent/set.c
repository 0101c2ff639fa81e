/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/set.h"

#include <string.h>

#include "agent/set-check.h"

#define VADM_LOG_CATEGORY "agent.set"
#include "common/log.h"

/* How long the source may take for one phase, below the master's timeout of a second. */
#define VADM_SET_DEADLINE_US (G_USEC_PER_SEC * 8 / 10)

typedef enum { VADM_SET_NONE, VADM_SET_PREPARED, VADM_SET_COMMITTED } VadmSetState;

struct _VadmSet {
    VadmMib *mib;
    VadmSource *source;
    VadmSettings *settings;

    /* The one transaction that is open: a master makes one SET at a time. */
    VadmSetState state;
    VadmTxnKey key;
    gint64 since;
    VadmTxn *txn;        /* NULL: the PDU changes nothing of the source */
    VadmSettingsTxn own; /* not active: nothing of the agent's own */
};

/* One call of the source. It may complete before it returns, and for now has to: one that
 * completes later has been given up by then, and settles itself. */
typedef struct {
    gboolean done;
    gboolean given_up;
    VadmTxn *txn; /* of commit and undo; of prepare when it is done */
    guint tag;
    GError *error;
    void (*settle)(VadmTxn *txn, gboolean ok); /* what to do when it completes too late */
} VadmSetCall;

static void
vadm_set_call_free(VadmSetCall *call)
{
    g_clear_error(&call->error);
    g_free(call);
}

static VadmSetCall *
vadm_set_call_new(VadmTxn *txn, void (*settle)(VadmTxn *txn, gboolean ok))
{
    VadmSetCall *call = g_new0(VadmSetCall, 1);

    call->txn = txn;
    call->settle = settle;
    return call;
}

/* VadmDone of every phase. */
static void
vadm_set_call_done(VadmTxn *txn, const VadmFault *fault, gpointer user)
{
    VadmSetCall *call = user;
    gboolean ok = !fault || !fault->error;

    if (txn)
        call->txn = txn;
    if (call->given_up) {
        if (call->txn)
            call->settle(call->txn, ok);
        vadm_set_call_free(call);
        return;
    }
    call->done = TRUE;
    if (!ok) {
        call->tag = fault->tag;
        call->error = g_error_copy(fault->error);
    }
}

static void
vadm_set_abort_late(VadmTxn *txn, gboolean ok)
{
    (void)ok;
    VADM_WARN("a change was prepared or undone after its time and is given up");
    txn->source->class->abort(txn);
}

/* The manager was told commitFailed. */
static void
vadm_set_undo_late(VadmTxn *txn, gboolean ok)
{
    VadmSetCall *call;

    if (!ok) {
        txn->source->class->abort(txn);
        return;
    }
    VADM_WARN("a change was committed after its time and is undone");
    call = vadm_set_call_new(txn, vadm_set_abort_late);
    call->given_up = TRUE;
    txn->source->class->undo(txn, vadm_set_call_done, call);
}

/* Returns: (transfer full): the call with its outcome, or NULL: given up, and no longer ours. */
static VadmSetCall *
vadm_set_call_outcome(VadmSetCall *call)
{
    if (call->done)
        return call;
    call->given_up = TRUE;
    return NULL;
}

VadmStatus
vadm_status_from_error(const GError *error, VadmPhase phase)
{
    if (phase == VADM_PHASE_ACTION)
        return VADM_STATUS_COMMIT_FAILED;
    if (phase == VADM_PHASE_UNDO)
        return VADM_STATUS_UNDO_FAILED;
    if (!error || error->domain != VADM_ERROR)
        return VADM_STATUS_GEN_ERR;
    switch ((VadmErrorCode)error->code) {
    case VADM_ERROR_INVALID_VALUE:
    case VADM_ERROR_DENIED:
        return VADM_STATUS_WRONG_VALUE;
    case VADM_ERROR_INCONSISTENT:
        return VADM_STATUS_INCONSISTENT_VALUE;
    case VADM_ERROR_NO_SERVER:
    case VADM_ERROR_NO_CLIENT:
        return VADM_STATUS_NO_CREATION;
    case VADM_ERROR_NOT_SUPPORTED:
        return VADM_STATUS_NOT_WRITABLE;
    case VADM_ERROR_BUSY:
    case VADM_ERROR_NO_MEMORY:
    case VADM_ERROR_SYSTEM:
        return VADM_STATUS_RESOURCE_UNAVAILABLE;
    case VADM_ERROR_INTERNAL:
    case VADM_ERROR_CONFLICT:
    case VADM_ERROR_RPC:
    case VADM_ERROR_AUTH:
    case VADM_ERROR_NO_CONNECT:
    case VADM_ERROR_TIMEOUT:
    case VADM_ERROR_CONFIG:
    case VADM_ERROR_NO_SUPPORT:
    case VADM_ERROR_LAST:
    default:
        return VADM_STATUS_GEN_ERR;
    }
}

VadmSet *
vadm_set_new(VadmMib *mib)
{
    VadmSet *set = g_new0(VadmSet, 1);

    set->mib = mib;
    set->source = vadm_mib_get_source(mib);
    set->settings = vadm_mib_get_settings(mib);
    return set;
}

/* Nothing is open any more. */
static void
vadm_set_reset(VadmSet *set)
{
    set->state = VADM_SET_NONE;
    set->txn = NULL;
    memset(&set->own, 0, sizeof(set->own));
}

static void
vadm_set_abort(VadmSet *set)
{
    if (set->txn)
        set->source->class->abort(set->txn);
    vadm_set_reset(set);
}

static void
vadm_set_finish(VadmSet *set)
{
    if (set->txn)
        set->source->class->finish(set->txn);
    vadm_set_reset(set);
}

void
vadm_set_settle(VadmSet *set, const char *why)
{
    if (set->state == VADM_SET_NONE)
        return;
    if (set->state == VADM_SET_PREPARED) {
        VADM_INFO("transaction %u: %s before it was committed: aborted", set->key.transaction, why);
        vadm_set_abort(set);
        return;
    }
    VADM_WARN("transaction %u: %s after it was committed: the change stays in force",
              set->key.transaction, why);
    vadm_set_finish(set);
}

void
vadm_set_free(VadmSet *set)
{
    if (!set)
        return;
    vadm_set_settle(set, "the agent ends");
    g_free(set);
}

gboolean
vadm_set_expire(VadmSet *set, gint64 now)
{
    if (set->state != VADM_SET_NONE && now - set->since >= VADM_SET_ORPHAN_US)
        vadm_set_settle(set, "the master agent was not heard of");
    return set->state != VADM_SET_NONE;
}

/* Names the thing, the value and the rule for the operator: SNMP errors carry no text. */
static VadmStatus
vadm_set_refuse(VadmSet *set, VadmStatus status, const VadmSetItem *item, const char *rule)
{
    g_autofree char *thing = item ? vadm_set_describe(item) : g_strdup("SET");
    g_autofree char *message = g_strdup_printf("%s: %s", thing, rule);

    VADM_INFO("refused (error-status %d): %s", (int)status, message);
    vadm_settings_set_last_error(set->settings, message);
    return status;
}

static void
vadm_set_target_free(gpointer target)
{
    vadm_set_target_clear(target);
    g_free(target);
}

/* Checks all varbinds by themselves, and that no instance has two values. */
static VadmStatus
vadm_set_check_all(VadmSet *set, VadmView *view, const VadmSetItem *items, guint n_items,
                   GPtrArray *targets, guint *at)
{
    for (guint i = 0; i < n_items; i++) {
        VadmSetTarget *target = g_new0(VadmSetTarget, 1);
        g_autofree char *rule = NULL;
        VadmStatus status;

        g_ptr_array_add(targets, target);
        status = vadm_set_check(set->mib, view, &items[i], i, target, &rule);
        if (status != VADM_STATUS_OK) {
            *at = i;
            return vadm_set_refuse(set, status, &items[i], rule);
        }
    }
    return VADM_STATUS_OK;
}

typedef struct {
    VadmField field;
    guint32 server, client;
} VadmSetInstance;

static guint
vadm_set_instance_hash(gconstpointer data)
{
    const VadmSetInstance *instance = data;

    return (guint)instance->field + instance->server * 31u + instance->client * 131071u;
}

static gboolean
vadm_set_instance_equal(gconstpointer a, gconstpointer b)
{
    const VadmSetInstance *x = a, *y = b;

    return x->field == y->field && x->server == y->server && x->client == y->client;
}

static VadmStatus
vadm_set_check_twice(VadmSet *set, GPtrArray *targets, const VadmSetItem *items, guint *at)
{
    g_autoptr(GHashTable) seen =
        g_hash_table_new_full(vadm_set_instance_hash, vadm_set_instance_equal, g_free, NULL);

    for (guint i = 0; i < targets->len; i++) {
        const VadmSetTarget *target = g_ptr_array_index(targets, i);
        VadmSetInstance *instance = g_new(VadmSetInstance, 1);

        instance->field = target->change.field;
        instance->server = target->change.server;
        instance->client = target->change.client;
        if (!g_hash_table_add(seen, instance)) {
            *at = i;
            return vadm_set_refuse(set, VADM_STATUS_INCONSISTENT_VALUE, &items[i],
                                   "the request has another value for it");
        }
    }
    return VADM_STATUS_OK;
}

static VadmStatus
vadm_set_refuse_error(VadmSet *set, const GError *error, guint tag, const VadmSetItem *items,
                      guint n_items, guint *at)
{
    gboolean known = tag < n_items;

    if (known)
        *at = tag;
    return vadm_set_refuse(set, vadm_status_from_error(error, VADM_PHASE_RESERVE2),
                           known ? &items[tag] : NULL, error->message);
}

static VadmStatus
vadm_set_prepare_source(VadmSet *set, GArray *changes, const VadmSetItem *items, guint n_items,
                        gint64 now, guint *at)
{
    VadmSetCall *call;
    VadmStatus status = VADM_STATUS_OK;

    if (changes->len == 0)
        return VADM_STATUS_OK;
    call = vadm_set_call_new(NULL, vadm_set_abort_late);
    set->source->class->prepare(set->source, (const VadmChange *)(void *)changes->data,
                                changes->len, VADM_ORIGIN_SNMP, now + VADM_SET_DEADLINE_US,
                                vadm_set_call_done, call);
    call = vadm_set_call_outcome(call);
    if (!call)
        return vadm_set_refuse(set, VADM_STATUS_RESOURCE_UNAVAILABLE, NULL,
                               "the daemon did not answer at once");
    if (call->error)
        status = vadm_set_refuse_error(set, call->error, call->tag, items, n_items, at);
    else
        set->txn = call->txn;
    vadm_set_call_free(call);
    return status;
}

/* Second and last to be prepared, as its commit cannot fail. */
static VadmStatus
vadm_set_prepare_own(VadmSet *set, GArray *changes, const VadmSetItem *items, guint n_items,
                     guint *at)
{
    VadmFault fault = {0};
    VadmStatus status;

    if (changes->len == 0 ||
        vadm_settings_prepare(set->settings, (const VadmChange *)(void *)changes->data,
                              changes->len, &set->own, &fault))
        return VADM_STATUS_OK;
    status = vadm_set_refuse_error(set, fault.error, fault.tag, items, n_items, at);
    g_error_free(fault.error);
    return status;
}

static VadmStatus
vadm_set_prepare(VadmSet *set, VadmTxnKey key, GPtrArray *targets, const VadmSetItem *items,
                 gint64 now, guint *at)
{
    g_autoptr(GArray) source = g_array_new(FALSE, FALSE, sizeof(VadmChange));
    g_autoptr(GArray) own = g_array_new(FALSE, FALSE, sizeof(VadmChange));
    VadmStatus status;

    for (guint i = 0; i < targets->len; i++) {
        const VadmSetTarget *target = g_ptr_array_index(targets, i);
        gboolean ours = vadm_mib_is_own(set->mib, target->change.field);
        g_array_append_val(ours ? own : source, target->change);
    }
    status = vadm_set_prepare_source(set, source, items, targets->len, now, at);
    if (status == VADM_STATUS_OK)
        status = vadm_set_prepare_own(set, own, items, targets->len, at);
    if (status != VADM_STATUS_OK) {
        vadm_set_abort(set);
        return status;
    }
    set->state = VADM_SET_PREPARED;
    set->key = key;
    set->since = now;
    return VADM_STATUS_OK;
}

/* A repetition finds the transaction as its first run left it. */
static VadmStatus
vadm_set_reserve2(VadmSet *set, VadmTxnKey key, VadmView *view, const VadmSetItem *items,
                  guint n_items, gint64 now, guint *at)
{
    g_autoptr(GPtrArray) targets = NULL;
    VadmStatus status;

    if (set->state != VADM_SET_NONE && vadm_txn_key_equal(set->key, key))
        return VADM_STATUS_OK;
    vadm_set_settle(set, "another one has come");
    targets = g_ptr_array_new_with_free_func(vadm_set_target_free);
    status = vadm_set_check_all(set, view, items, n_items, targets, at);
    if (status == VADM_STATUS_OK)
        status = vadm_set_check_twice(set, targets, items, at);
    return status == VADM_STATUS_OK ? vadm_set_prepare(set, key, targets, items, now, at) : status;
}

static VadmStatus
vadm_set_reserve1(VadmSet *set, VadmTxnKey key, VadmView *view, const VadmSetItem *items,
                  guint n_items, guint *at)
{
    g_autoptr(GPtrArray) targets = g_ptr_array_new_with_free_func(vadm_set_target_free);

    if (set->state != VADM_SET_NONE && !vadm_txn_key_equal(set->key, key))
        vadm_set_settle(set, "another one has come");
    return vadm_set_check_all(set, view, items, n_items, targets, at);
}

/* Commits the source's part. On failure the transaction stays prepared: UNDO or FREE aborts it. */
static VadmStatus
vadm_set_commit_source(VadmSet *set)
{
    VadmStatus status = VADM_STATUS_OK;
    VadmSetCall *call;

    if (!set->txn)
        return VADM_STATUS_OK;
    call = vadm_set_call_new(set->txn, vadm_set_undo_late);
    set->source->class->commit(set->txn, vadm_set_call_done, call);
    call = vadm_set_call_outcome(call);
    if (!call) {
        vadm_set_reset(set);
        return vadm_set_refuse(set, VADM_STATUS_COMMIT_FAILED, NULL,
                               "the daemon did not answer at once");
    }
    if (call->error)
        status = vadm_set_refuse(set, vadm_status_from_error(call->error, VADM_PHASE_ACTION), NULL,
                                 call->error->message);
    vadm_set_call_free(call);
    return status;
}

static VadmStatus
vadm_set_action(VadmSet *set)
{
    VadmStatus status;

    if (set->state == VADM_SET_COMMITTED)
        return VADM_STATUS_OK;
    status = vadm_set_commit_source(set);
    if (status != VADM_STATUS_OK)
        return status;
    vadm_settings_commit(set->settings, &set->own);
    set->state = VADM_SET_COMMITTED;
    return VADM_STATUS_OK;
}

static VadmStatus
vadm_set_undo_source(VadmSet *set)
{
    VadmStatus status = VADM_STATUS_OK;
    VadmSetCall *call;

    if (!set->txn)
        return VADM_STATUS_OK;
    call = vadm_set_call_new(set->txn, vadm_set_abort_late);
    set->source->class->undo(set->txn, vadm_set_call_done, call);
    call = vadm_set_call_outcome(call);
    if (!call) {
        set->txn = NULL;
        return vadm_set_refuse(set, VADM_STATUS_UNDO_FAILED, NULL,
                               "the daemon did not answer at once");
    }
    if (call->error)
        status = vadm_set_refuse(set, vadm_status_from_error(call->error, VADM_PHASE_UNDO), NULL,
                                 call->error->message);
    vadm_set_call_free(call);
    return status;
}

/* UNDO, and FREE: no other phase follows, so the transaction ends here whatever happens. */
static VadmStatus
vadm_set_take_back(VadmSet *set)
{
    VadmStatus status = VADM_STATUS_OK;

    if (set->state == VADM_SET_COMMITTED) {
        vadm_settings_undo(set->settings, &set->own);
        status = vadm_set_undo_source(set);
    }
    vadm_set_abort(set);
    return status;
}

/* COMMIT: the master has told the manager that all is well, so it cannot fail. */
static void
vadm_set_complete(VadmSet *set)
{
    if (set->state == VADM_SET_COMMITTED)
        vadm_set_finish(set);
    else
        vadm_set_abort(set);
}

VadmStatus
vadm_set_phase(VadmSet *set, VadmPhase phase, VadmTxnKey key, VadmView *view,
               const VadmSetItem *items, guint n_items, gint64 now, guint *at)
{
    gboolean open = set->state != VADM_SET_NONE && vadm_txn_key_equal(set->key, key);

    switch (phase) {
    case VADM_PHASE_RESERVE1:
        return vadm_set_reserve1(set, key, view, items, n_items, at);
    case VADM_PHASE_RESERVE2:
        return vadm_set_reserve2(set, key, view, items, n_items, now, at);
    case VADM_PHASE_ACTION:
        if (!open)
            return vadm_set_refuse(set, VADM_STATUS_COMMIT_FAILED, NULL,
                                   "the request was not prepared, or too long ago");
        return vadm_set_action(set);
    case VADM_PHASE_COMMIT:
        if (open)
            vadm_set_complete(set);
        return VADM_STATUS_OK;
    case VADM_PHASE_UNDO:
    case VADM_PHASE_FREE:
        return open ? vadm_set_take_back(set) : VADM_STATUS_OK;
    case VADM_PHASE_LAST:
    default:
        return VADM_STATUS_GEN_ERR;
    }
}
