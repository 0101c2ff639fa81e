/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How much memory the long messages of many peers take together. A peer may send one of 32 MiB, and
 * a thousand of them could send 32 GiB: each message longer than VADM_BUDGET_FREE claims its octets
 * before more than that is read of it, and gives them back when it is freed, wherever it is then.
 * Who finds nothing left is not read until something is, in the order in which they came. So that
 * nobody waits for ever, whoever has held a claim for longer than the budget's patience is ended,
 * the oldest first, when somebody has waited for as long; while nobody waits all may take their
 * time.
 */
#ifndef VADM_RPC_BUDGET_H
#define VADM_RPC_BUDGET_H

#include <glib.h>

/* What each peer's message may have without asking, octets; more than data of a stream has. */
#define VADM_BUDGET_FREE (512u * 1024)

typedef struct _VadmBudget VadmBudget;
typedef struct _VadmBudgetClaim VadmBudgetClaim;

typedef struct {
    /* The claim that had to wait is granted. */
    void (*granted)(gpointer owner);
    /* The owner has held a claim for too long: it has to end, soon. Once for each claim. */
    void (*expired)(gpointer owner);
} VadmBudgetHandlers;

/**
 * vadm_budget_new:
 * @octets: how many there are; at least those of the longest message
 * @patience_us: microseconds
 *
 * Main thread, like all here that does not say otherwise. Returns: (transfer full)
 */
VadmBudget *vadm_budget_new(gsize octets, gint64 patience_us, GMainContext *context);
/** vadm_budget_unref: (nullable): when all owners are forgotten; claims may live on. */
void vadm_budget_unref(VadmBudget *budget);

/**
 * vadm_budget_claim:
 * @octets: at most those of the budget
 * @handlers: called from the main loop
 * @owner: what they are called with, until it is forgotten; other owners are told apart by it
 *
 * Returns: (transfer full): vadm_budget_claim_is_granted() says whether it has to wait
 */
VadmBudgetClaim *vadm_budget_claim(VadmBudget *budget, gsize octets,
                                   const VadmBudgetHandlers *handlers, gpointer owner);
gboolean vadm_budget_claim_is_granted(const VadmBudgetClaim *claim);
/** vadm_budget_claim_free: (nullable): gives the octets back, or waits no more. Any thread. */
void vadm_budget_claim_free(VadmBudgetClaim *claim);

/** vadm_budget_forget: @owner's handlers are not called any more. */
void vadm_budget_forget(VadmBudget *budget, gpointer owner);

/** vadm_budget_left: octets that can be claimed. Any thread. */
gsize vadm_budget_left(VadmBudget *budget);

#endif
