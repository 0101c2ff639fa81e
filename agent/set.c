/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/set.h"

#include <string.h>

#include "agent/set-call.h"
#include "agent/set-check.h"

#define VADM_LOG_CATEGORY "agent.set"
#include "common/log.h"

/* What is open. The states in -ING are those in which the source has been called and has not
 * completed yet. */
typedef enum {
    VADM_SET_NONE,
    VADM_SET_PREPARING,
    VADM_SET_PREPARED,
    VADM_SET_COMMITTING,
    VADM_SET_COMMITTED,
    VADM_SET_UNDOING
} VadmSetState;

/* What the outcome of prepare needs of the request: all of it, as long as the request is there,
 * or what was kept of it. */
typedef struct {
    const VadmSetItem *items; /* NULL: see things */
    char **things;            /* vadm_set_describe() of each item */
    guint n_items;
    GArray *own; /* of VadmChange: numbers only */
} VadmSetPdu;

typedef struct {
    VadmSetAnswer answer;
    gpointer user;
} VadmSetWaiter;

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

    VadmSetCall *call; /* in the states in -ING */
    GArray *waiters;   /* of VadmSetWaiter: for the outcome of call */
    VadmSetPdu pdu;    /* while preparing */
};

static void
vadm_set_pdu_clear(VadmSetPdu *pdu)
{
    g_clear_pointer(&pdu->own, g_array_unref);
    g_clear_pointer(&pdu->things, g_strfreev);
    memset(pdu, 0, sizeof(*pdu));
}

/* Nothing is open any more. */
static void
vadm_set_reset(VadmSet *set)
{
    set->state = VADM_SET_NONE;
    set->txn = NULL;
    memset(&set->own, 0, sizeof(set->own));
    vadm_set_pdu_clear(&set->pdu);
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

/* As RFC 3416 calls it, and the tools. */
static const char *
vadm_status_name(VadmStatus status)
{
    switch (status) {
    case VADM_STATUS_WRONG_TYPE:
        return "wrongType";
    case VADM_STATUS_WRONG_LENGTH:
        return "wrongLength";
    case VADM_STATUS_WRONG_VALUE:
        return "wrongValue";
    case VADM_STATUS_NO_CREATION:
        return "noCreation";
    case VADM_STATUS_INCONSISTENT_VALUE:
        return "inconsistentValue";
    case VADM_STATUS_RESOURCE_UNAVAILABLE:
        return "resourceUnavailable";
    case VADM_STATUS_COMMIT_FAILED:
        return "commitFailed";
    case VADM_STATUS_UNDO_FAILED:
        return "undoFailed";
    case VADM_STATUS_NOT_WRITABLE:
        return "notWritable";
    default:
        return "genErr";
    }
}

/* Names the thing, the value and the rule for the operator: SNMP errors carry no text. */
static VadmStatus
vadm_set_refuse(VadmSet *set, VadmStatus status, const char *thing, const char *rule)
{
    g_autofree char *message = g_strdup_printf("%s: %s", thing ? thing : "SET", rule);

    VADM_INFO("%s: refused (%s): %s", vadm_settings_get_name(set->settings),
              vadm_status_name(status), message);
    vadm_settings_set_last_error(set->settings, message);
    return status;
}

static VadmStatus
vadm_set_refuse_item(VadmSet *set, VadmStatus status, const VadmSetItem *item, const char *rule)
{
    g_autofree char *thing = vadm_set_describe(item);

    return vadm_set_refuse(set, status, thing, rule);
}

/* Last of all: the transaction is as it shall be. */
static void
vadm_set_answer(VadmSet *set, VadmStatus status, guint at)
{
    g_autoptr(GArray) waiters = set->waiters;

    set->waiters = g_array_new(FALSE, FALSE, sizeof(VadmSetWaiter));
    for (guint i = 0; i < waiters->len; i++) {
        const VadmSetWaiter *waiter = &g_array_index(waiters, VadmSetWaiter, i);

        waiter->answer(status, at, waiter->user);
    }
}

/* The call settles itself when it completes; the settings are as before already. */
static void
vadm_set_give_up(VadmSet *set, const char *why)
{
    VadmStatus status = VADM_STATUS_RESOURCE_UNAVAILABLE;

    if (set->state == VADM_SET_COMMITTING)
        status = VADM_STATUS_COMMIT_FAILED;
    if (set->state == VADM_SET_UNDOING)
        status = VADM_STATUS_UNDO_FAILED;
    vadm_set_call_give_up(g_steal_pointer(&set->call));
    vadm_set_refuse(set, status, NULL, why);
    vadm_set_reset(set);
    vadm_set_answer(set, status, 0);
}

void
vadm_set_settle(VadmSet *set, const char *why)
{
    g_autofree char *given_up = NULL;

    switch (set->state) {
    case VADM_SET_NONE:
        return;
    case VADM_SET_PREPARED:
        VADM_INFO("%s: transaction %u: %s before it was committed: aborted",
                  vadm_settings_get_name(set->settings), set->key.transaction, why);
        vadm_set_abort(set);
        return;
    case VADM_SET_COMMITTED:
        VADM_WARN("%s: transaction %u: %s after it was committed: the change stays in force",
                  vadm_settings_get_name(set->settings), set->key.transaction, why);
        vadm_set_finish(set);
        return;
    case VADM_SET_PREPARING:
    case VADM_SET_COMMITTING:
    case VADM_SET_UNDOING:
    default:
        given_up = g_strdup_printf("given up before the daemon had completed: %s", why);
        vadm_set_give_up(set, given_up);
        return;
    }
}

VadmSet *
vadm_set_new(VadmMib *mib)
{
    VadmSet *set = g_new0(VadmSet, 1);

    set->mib = mib;
    set->source = vadm_mib_get_source(mib);
    set->settings = vadm_mib_get_settings(mib);
    set->waiters = g_array_new(FALSE, FALSE, sizeof(VadmSetWaiter));
    return set;
}

void
vadm_set_free(VadmSet *set)
{
    if (!set)
        return;
    vadm_set_settle(set, "the agent ends");
    g_array_unref(set->waiters);
    g_free(set);
}

gint64
vadm_set_expire(VadmSet *set, gint64 now)
{
    if (set->call && now >= set->call->deadline)
        vadm_set_give_up(set, "the daemon did not complete it within 0.8 s");
    if (set->state != VADM_SET_NONE && !set->call && now - set->since >= VADM_SET_ORPHAN_US)
        vadm_set_settle(set, "the master agent was not heard of");
    if (set->call)
        return set->call->deadline;
    return set->state == VADM_SET_NONE ? 0 : set->since + VADM_SET_ORPHAN_US;
}

static void
vadm_set_target_free(gpointer target)
{
    vadm_set_target_clear(target);
    g_free(target);
}

/* Checks all varbinds by themselves, and that no instance has two values. */
static VadmStatus
vadm_set_check_all(VadmSet *set, const VadmSetRequest *request, GPtrArray *targets, guint *at)
{
    for (guint i = 0; i < request->n_items; i++) {
        const VadmSetItem *item = &request->items[i];
        VadmSetTarget *target = g_new0(VadmSetTarget, 1);
        g_autofree char *rule = NULL;
        VadmStatus status;

        g_ptr_array_add(targets, target);
        status = vadm_set_check(set->mib, request->view, item, i, target, &rule);
        if (status != VADM_STATUS_OK) {
            *at = i;
            return vadm_set_refuse_item(set, status, item, rule);
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
            return vadm_set_refuse_item(set, VADM_STATUS_INCONSISTENT_VALUE, &items[i],
                                        "the request has another value for it");
        }
    }
    return VADM_STATUS_OK;
}

static VadmStatus
vadm_set_refuse_error(VadmSet *set, const GError *error, guint tag, const VadmSetPdu *pdu,
                      guint *at)
{
    VadmStatus status = vadm_status_from_error(error, VADM_PHASE_RESERVE2);

    if (tag >= pdu->n_items)
        return vadm_set_refuse(set, status, NULL, error->message);
    *at = tag;
    if (pdu->items)
        return vadm_set_refuse_item(set, status, &pdu->items[tag], error->message);
    return vadm_set_refuse(set, status, pdu->things[tag], error->message);
}

/* Second and last to be prepared, as its commit cannot fail. */
static VadmStatus
vadm_set_prepare_own(VadmSet *set, const VadmSetPdu *pdu, guint *at)
{
    VadmFault fault = {0};
    VadmStatus status;

    if (pdu->own->len == 0 ||
        vadm_settings_prepare(set->settings, (const VadmChange *)(void *)pdu->own->data,
                              pdu->own->len, &set->own, &fault))
        return VADM_STATUS_OK;
    status = vadm_set_refuse_error(set, fault.error, fault.tag, pdu, at);
    g_error_free(fault.error);
    return status;
}

/* The source's part is prepared, or has none. */
static VadmStatus
vadm_set_source_prepared(VadmSet *set, const VadmSetPdu *pdu, guint *at)
{
    VadmStatus status = vadm_set_prepare_own(set, pdu, at);

    if (status == VADM_STATUS_OK)
        set->state = VADM_SET_PREPARED;
    else
        vadm_set_abort(set);
    return status;
}

/* The three outcomes, whether they came at once or later. */

static VadmStatus
vadm_set_prepare_done(VadmSet *set, const VadmSetCall *call, const VadmSetPdu *pdu, guint *at)
{
    VadmStatus status;

    if (!call->error) {
        set->txn = call->txn;
        return vadm_set_source_prepared(set, pdu, at);
    }
    status = vadm_set_refuse_error(set, call->error, call->tag, pdu, at);
    vadm_set_reset(set);
    return status;
}

/* On failure the transaction stays prepared: UNDO or FREE aborts it. */
static VadmStatus
vadm_set_commit_done(VadmSet *set, const VadmSetCall *call)
{
    if (call && call->error) {
        set->state = VADM_SET_PREPARED;
        return vadm_set_refuse(set, vadm_status_from_error(call->error, VADM_PHASE_ACTION), NULL,
                               call->error->message);
    }
    vadm_settings_commit(set->settings, &set->own);
    set->state = VADM_SET_COMMITTED;
    return VADM_STATUS_OK;
}

static VadmStatus
vadm_set_undo_done(VadmSet *set, const VadmSetCall *call)
{
    VadmStatus status = VADM_STATUS_OK;

    if (call && call->error)
        status = vadm_set_refuse(set, vadm_status_from_error(call->error, VADM_PHASE_UNDO), NULL,
                                 call->error->message);
    vadm_set_abort(set);
    return status;
}

/* A call that took its time has completed. */
static void
vadm_set_completed(gpointer user)
{
    VadmSet *set = user;
    g_autoptr(VadmSetCall) call = g_steal_pointer(&set->call);
    VadmStatus status;
    guint at = 0;

    if (call->kind == VADM_SET_CALL_PREPARE) {
        VadmSetPdu pdu = set->pdu;

        memset(&set->pdu, 0, sizeof(set->pdu));
        status = vadm_set_prepare_done(set, call, &pdu, &at);
        vadm_set_pdu_clear(&pdu);
    } else if (call->kind == VADM_SET_CALL_COMMIT)
        status = vadm_set_commit_done(set, call);
    else
        status = vadm_set_undo_done(set, call);
    vadm_set_answer(set, status, at);
}

static VadmStatus
vadm_set_pend(VadmSet *set, VadmSetState state, VadmSetCall *call)
{
    set->state = state;
    set->call = call;
    vadm_set_call_wait(call, vadm_set_completed, set);
    return VADM_STATUS_PENDING;
}

void
vadm_set_wait(VadmSet *set, VadmSetAnswer answer, gpointer user)
{
    VadmSetWaiter waiter = {answer, user};

    g_assert(set->call);
    g_array_append_val(set->waiters, waiter);
}

/* The request ends before its outcome is known. */
static void
vadm_set_keep_pdu(VadmSet *set, const VadmSetPdu *pdu)
{
    set->pdu.n_items = pdu->n_items;
    set->pdu.own = g_array_ref(pdu->own);
    set->pdu.things = g_new0(char *, pdu->n_items + 1);
    for (guint i = 0; i < pdu->n_items; i++)
        set->pdu.things[i] = vadm_set_describe(&pdu->items[i]);
}

static VadmStatus
vadm_set_prepare(VadmSet *set, const VadmSetRequest *request, GPtrArray *targets, guint *at)
{
    g_autoptr(GArray) source = g_array_new(FALSE, FALSE, sizeof(VadmChange));
    g_autoptr(GArray) own = g_array_new(FALSE, FALSE, sizeof(VadmChange));
    g_autoptr(VadmSetCall) call = NULL;
    VadmSetPdu pdu = {.items = request->items, .n_items = request->n_items, .own = own};

    for (guint i = 0; i < targets->len; i++) {
        const VadmSetTarget *target = g_ptr_array_index(targets, i);
        gboolean ours = vadm_mib_is_own(set->mib, target->change.field);
        g_array_append_val(ours ? own : source, target->change);
    }
    set->key = request->key;
    set->since = request->now;
    if (source->len == 0)
        return vadm_set_source_prepared(set, &pdu, at);
    call = vadm_set_call_prepare(set->source, source, request->now + VADM_SET_DEADLINE_US);
    if (call->done)
        return vadm_set_prepare_done(set, call, &pdu, at);
    vadm_set_keep_pdu(set, &pdu);
    return vadm_set_pend(set, VADM_SET_PREPARING, g_steal_pointer(&call));
}

static gboolean
vadm_set_is_open(VadmSet *set, VadmTxnKey key)
{
    return set->state != VADM_SET_NONE && vadm_txn_key_equal(set->key, key);
}

/* Whatever another transaction left open, or this one's end that has not come yet. */
static void
vadm_set_make_way(VadmSet *set, VadmTxnKey key)
{
    if (!vadm_set_is_open(set, key) || set->state == VADM_SET_UNDOING)
        vadm_set_settle(set, "another one has come");
}

static VadmStatus
vadm_set_reserve1(VadmSet *set, const VadmSetRequest *request, guint *at)
{
    g_autoptr(GPtrArray) targets = g_ptr_array_new_with_free_func(vadm_set_target_free);

    vadm_set_make_way(set, request->key);
    return vadm_set_check_all(set, request, targets, at);
}

/* A repetition finds the transaction as its first run left it. */
static VadmStatus
vadm_set_reserve2(VadmSet *set, const VadmSetRequest *request, guint *at)
{
    g_autoptr(GPtrArray) targets = NULL;
    VadmStatus status;

    vadm_set_make_way(set, request->key);
    if (set->state != VADM_SET_NONE)
        return set->state == VADM_SET_PREPARING ? VADM_STATUS_PENDING : VADM_STATUS_OK;
    targets = g_ptr_array_new_with_free_func(vadm_set_target_free);
    status = vadm_set_check_all(set, request, targets, at);
    if (status == VADM_STATUS_OK)
        status = vadm_set_check_twice(set, targets, request->items, at);
    return status == VADM_STATUS_OK ? vadm_set_prepare(set, request, targets, at) : status;
}

static VadmStatus
vadm_set_commit(VadmSet *set, gint64 now)
{
    g_autoptr(VadmSetCall) call = NULL;

    if (!set->txn)
        return vadm_set_commit_done(set, NULL);
    call = vadm_set_call_commit(set->txn, now + VADM_SET_DEADLINE_US);
    if (call->done)
        return vadm_set_commit_done(set, call);
    return vadm_set_pend(set, VADM_SET_COMMITTING, g_steal_pointer(&call));
}

static VadmStatus
vadm_set_action(VadmSet *set, const VadmSetRequest *request)
{
    if (vadm_set_is_open(set, request->key)) {
        if (set->state == VADM_SET_PREPARED)
            return vadm_set_commit(set, request->now);
        if (set->state == VADM_SET_COMMITTED)
            return VADM_STATUS_OK;
        if (set->state == VADM_SET_COMMITTING)
            return VADM_STATUS_PENDING;
        if (set->state == VADM_SET_PREPARING)
            vadm_set_settle(set, "it is to be committed");
    }
    return vadm_set_refuse(set, VADM_STATUS_COMMIT_FAILED, NULL,
                           "the request was not prepared, or too long ago");
}

static VadmStatus
vadm_set_undo(VadmSet *set, gint64 now)
{
    g_autoptr(VadmSetCall) call = NULL;

    vadm_settings_undo(set->settings, &set->own);
    if (!set->txn)
        return vadm_set_undo_done(set, NULL);
    call = vadm_set_call_undo(set->txn, now + VADM_SET_DEADLINE_US);
    if (call->done)
        return vadm_set_undo_done(set, call);
    return vadm_set_pend(set, VADM_SET_UNDOING, g_steal_pointer(&call));
}

/* UNDO, and FREE: no other phase follows, so the transaction ends here whatever happens. */
static VadmStatus
vadm_set_take_back(VadmSet *set, const VadmSetRequest *request)
{
    if (!vadm_set_is_open(set, request->key))
        return VADM_STATUS_OK;
    if (set->state == VADM_SET_UNDOING)
        return VADM_STATUS_PENDING;
    if (set->state == VADM_SET_COMMITTED)
        return vadm_set_undo(set, request->now);
    if (set->state == VADM_SET_PREPARED)
        vadm_set_abort(set);
    else
        vadm_set_settle(set, "it is to be taken back");
    return VADM_STATUS_OK;
}

/* COMMIT: the master has told the manager that all is well, so it cannot fail. */
static VadmStatus
vadm_set_complete(VadmSet *set, VadmTxnKey key)
{
    if (!vadm_set_is_open(set, key) || set->state == VADM_SET_UNDOING)
        return VADM_STATUS_OK;
    if (set->state == VADM_SET_COMMITTED)
        vadm_set_finish(set);
    else if (set->state == VADM_SET_PREPARED)
        vadm_set_abort(set);
    else
        vadm_set_settle(set, "the master agent has ended it");
    return VADM_STATUS_OK;
}

VadmStatus
vadm_set_phase(VadmSet *set, const VadmSetRequest *request, guint *at)
{
    switch (request->phase) {
    case VADM_PHASE_RESERVE1:
        return vadm_set_reserve1(set, request, at);
    case VADM_PHASE_RESERVE2:
        return vadm_set_reserve2(set, request, at);
    case VADM_PHASE_ACTION:
        return vadm_set_action(set, request);
    case VADM_PHASE_COMMIT:
        return vadm_set_complete(set, request->key);
    case VADM_PHASE_UNDO:
    case VADM_PHASE_FREE:
        return vadm_set_take_back(set, request);
    case VADM_PHASE_LAST:
    default:
        return VADM_STATUS_GEN_ERR;
    }
}
