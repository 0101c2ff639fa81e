/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One call of the source in a SET: prepare, commit or undo. It completes before it returns or
 * later. Whoever has waited long enough gives it up; it then settles itself when it completes:
 * a transaction that was prepared is aborted, one that was committed is undone first.
 */
#ifndef VADM_AGENT_SET_CALL_H
#define VADM_AGENT_SET_CALL_H

#include "common/source.h"

typedef enum { VADM_SET_CALL_PREPARE, VADM_SET_CALL_COMMIT, VADM_SET_CALL_UNDO } VadmSetCallKind;

typedef struct {
    VadmSetCallKind kind;
    gint64 deadline; /* on the scale of g_get_monotonic_time(), microseconds */
    gboolean done;
    VadmTxn *txn;  /* of commit and undo; of prepare when it is done and succeeded */
    guint tag;     /* of the fault */
    GError *error; /* when it is done: NULL: it succeeded */
    /* private */
    gboolean given_up;
    void (*completed)(gpointer user);
    gpointer user;
} VadmSetCall;

/** vadm_set_call_prepare, _commit, _undo: Returns: (transfer full): the call, done or not. Snmp
 * thread, as all of these functions. */
VadmSetCall *vadm_set_call_prepare(VadmSource *source, GArray *changes, gint64 deadline);
VadmSetCall *vadm_set_call_commit(VadmTxn *txn, gint64 deadline);
VadmSetCall *vadm_set_call_undo(VadmTxn *txn, gint64 deadline);

/** vadm_set_call_wait: @completed is called once, when @call, which is not done yet, is. */
void vadm_set_call_wait(VadmSetCall *call, void (*completed)(gpointer user), gpointer user);

/** vadm_set_call_give_up: consumes @call, which is not done, and its transaction. What happens when
 * it completes needs nothing but the source, and may happen in another thread after the source's
 * mailbox was closed. */
void vadm_set_call_give_up(VadmSetCall *call);

/** vadm_set_call_free: of one that is done; leaves the transaction alone. */
void vadm_set_call_free(VadmSetCall *call);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmSetCall, vadm_set_call_free)

#endif
