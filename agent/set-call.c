/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/set-call.h"

#define VADM_LOG_CATEGORY "agent.set"
#include "common/log.h"

static void vadm_set_call_settle(VadmSetCall *call, gboolean ok);

/* VadmDone of every call. */
static void
vadm_set_call_done(VadmTxn *txn, const VadmFault *fault, gpointer user)
{
    VadmSetCall *call = user;
    gboolean ok = !fault || !fault->error;

    if (txn)
        call->txn = txn;
    if (call->given_up) {
        vadm_set_call_settle(call, ok);
        return;
    }
    call->done = TRUE;
    if (!ok) {
        call->tag = fault->tag;
        call->error = g_error_copy(fault->error);
    }
    if (call->completed)
        call->completed(call->user);
}

static VadmSetCall *
vadm_set_call_new(VadmSetCallKind kind, VadmTxn *txn, gint64 deadline)
{
    VadmSetCall *call = g_new0(VadmSetCall, 1);

    call->kind = kind;
    call->txn = txn;
    call->deadline = deadline;
    return call;
}

VadmSetCall *
vadm_set_call_prepare(VadmSource *source, GArray *changes, gint64 deadline)
{
    VadmSetCall *call = vadm_set_call_new(VADM_SET_CALL_PREPARE, NULL, deadline);

    source->class->prepare(source, (const VadmChange *)(void *)changes->data, changes->len,
                           VADM_ORIGIN_SNMP, deadline, vadm_set_call_done, call);
    return call;
}

VadmSetCall *
vadm_set_call_commit(VadmTxn *txn, gint64 deadline)
{
    VadmSetCall *call = vadm_set_call_new(VADM_SET_CALL_COMMIT, txn, deadline);

    txn->source->class->commit(txn, vadm_set_call_done, call);
    return call;
}

VadmSetCall *
vadm_set_call_undo(VadmTxn *txn, gint64 deadline)
{
    VadmSetCall *call = vadm_set_call_new(VADM_SET_CALL_UNDO, txn, deadline);

    txn->source->class->undo(txn, vadm_set_call_done, call);
    return call;
}

void
vadm_set_call_wait(VadmSetCall *call, void (*completed)(gpointer user), gpointer user)
{
    g_assert(!call->done && !call->completed);
    call->completed = completed;
    call->user = user;
}

void
vadm_set_call_give_up(VadmSetCall *call)
{
    g_assert(!call->done);
    call->given_up = TRUE;
    call->completed = NULL;
}

void
vadm_set_call_free(VadmSetCall *call)
{
    g_clear_error(&call->error);
    g_free(call);
}

/* The manager was told that it failed. An undo that cannot be made leaves in force what is: the
 * source has logged why. */
static void
vadm_set_call_settle(VadmSetCall *call, gboolean ok)
{
    VadmTxn *txn = call->txn;
    VadmSetCallKind kind = call->kind;

    vadm_set_call_free(call);
    if (!txn)
        return;
    if (kind == VADM_SET_CALL_COMMIT && ok) {
        VADM_WARN("a change was committed after it had been given up: undoing it");
        call = vadm_set_call_new(VADM_SET_CALL_UNDO, txn, 0);
        call->given_up = TRUE;
        txn->source->class->undo(txn, vadm_set_call_done, call);
        return;
    }
    if (kind != VADM_SET_CALL_UNDO)
        VADM_INFO("a change that had been given up is aborted");
    else if (ok)
        VADM_WARN("a change that had been given up is undone");
    else
        VADM_ERR("a change that had been given up cannot be undone: it stays in force");
    txn->source->class->abort(txn);
}
