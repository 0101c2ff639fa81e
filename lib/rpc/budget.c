/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/budget.h"

#include "common/lock.h"

/* An owner that has to end gets that long to do so before the next one has to. */
#define BUDGET_GRACE_US ((gint64)G_USEC_PER_SEC)

struct _VadmBudget {
    gint refs; /* the creator's, and one of each claim */
    gint64 patience_us;
    GMainContext *context;

    VadmMutex lock;
    /* All under lock. */
    gsize left;
    GQueue granted; /* of VadmBudgetClaim, the oldest first */
    GQueue waiting;
    GSource *source; /* while claims wait: grants, and ends who holds theirs for too long */
    gint64 expired_at;
};

struct _VadmBudgetClaim {
    VadmBudget *budget;
    gsize octets;
    const VadmBudgetHandlers *handlers;

    /* Under the budget's lock. */
    gpointer owner;   /* NULL: forgotten, or told that it has to end */
    GList *link;      /* in the queue of those granted, or waiting */
    gboolean granted; /* main thread writes */
    gint64 since;     /* granted, or waiting: monotonic, us */
};

static void
budget_unref(VadmBudget *budget)
{
    if (!g_atomic_int_dec_and_test(&budget->refs))
        return;
    g_clear_pointer(&budget->context, g_main_context_unref);
    vadm_mutex_clear(&budget->lock);
    g_free(budget);
}

/* Under lock. */
static void
budget_stop(VadmBudget *budget)
{
    if (!budget->source)
        return;
    g_source_destroy(budget->source);
    g_clear_pointer(&budget->source, g_source_unref);
}

/* A claim that a worker holds may outlive the main loop. */
void
vadm_budget_unref(VadmBudget *budget)
{
    if (!budget)
        return;
    vadm_mutex_lock(&budget->lock);
    budget_stop(budget);
    vadm_mutex_unlock(&budget->lock);
    budget_unref(budget);
}

/* Under lock. */
static void
budget_enqueue(GQueue *queue, VadmBudgetClaim *claim)
{
    g_queue_push_tail(queue, claim);
    claim->link = queue->tail;
    claim->since = g_get_monotonic_time();
}

static void
budget_grant(VadmBudget *budget, VadmBudgetClaim *claim)
{
    budget->left -= claim->octets;
    claim->granted = TRUE;
    budget_enqueue(&budget->granted, claim);
}

/* Under lock. Returns: (nullable): a claim that had waited */
static VadmBudgetClaim *
budget_grant_next(VadmBudget *budget)
{
    VadmBudgetClaim *claim = g_queue_peek_head(&budget->waiting);

    if (!claim || claim->octets > budget->left)
        return NULL;
    g_queue_delete_link(&budget->waiting, claim->link);
    budget_grant(budget, claim);
    return claim;
}

/* Under lock. Returns: (nullable): the oldest one that somebody can still be ended for */
static VadmBudgetClaim *
budget_oldest(VadmBudget *budget)
{
    for (GList *link = budget->granted.head; link; link = link->next)
        if (((VadmBudgetClaim *)link->data)->owner)
            return link->data;
    return NULL;
}

/* Under lock. Returns: when the oldest has to end; -1: not before something is given back */
static gint64
budget_due(VadmBudget *budget, const VadmBudgetClaim *oldest)
{
    const VadmBudgetClaim *first = g_queue_peek_head(&budget->waiting);

    if (!first || !oldest)
        return -1;
    return MAX(MAX(first->since, oldest->since) + budget->patience_us,
               budget->expired_at + BUDGET_GRACE_US);
}

/* Under lock. What an owner is to be called for; a handler may close others, so one at a time. */
typedef struct {
    void (*call)(gpointer owner);
    gpointer owner;
} BudgetCall;

static BudgetCall
budget_next(VadmBudget *budget)
{
    VadmBudgetClaim *claim = budget_grant_next(budget);
    BudgetCall call = {0};

    if (claim) {
        call = (BudgetCall){claim->handlers->granted, claim->owner};
    } else if ((claim = budget_oldest(budget)) && g_queue_get_length(&budget->waiting) > 0 &&
               budget_due(budget, claim) <= g_get_monotonic_time()) {
        call = (BudgetCall){claim->handlers->expired, claim->owner};
        claim->owner = NULL;
        budget->expired_at = g_get_monotonic_time();
    }
    return call;
}

/* What is given back in another thread meanwhile sets the time, too: later, under the lock. */
static gboolean
budget_look(GSource *source, GSourceFunc callback, gpointer user)
{
    VadmBudget *budget = user;
    BudgetCall call;

    (void)callback;
    vadm_mutex_lock(&budget->lock);
    while ((call = budget_next(budget)).call) {
        vadm_mutex_unlock(&budget->lock);
        if (call.owner)
            call.call(call.owner);
        vadm_mutex_lock(&budget->lock);
    }
    if (g_queue_is_empty(&budget->waiting) && budget->source == source)
        budget_stop(budget);
    else if (budget->source == source)
        g_source_set_ready_time(source, budget_due(budget, budget_oldest(budget)));
    vadm_mutex_unlock(&budget->lock);
    return G_SOURCE_CONTINUE;
}

/* Under lock. */
static void
budget_start(VadmBudget *budget)
{
    static GSourceFuncs funcs = {.dispatch = budget_look};

    if (budget->source)
        return;
    budget->source = g_source_new(&funcs, sizeof(GSource));
    g_source_set_callback(budget->source, NULL, budget, NULL);
    g_source_set_ready_time(budget->source, 0);
    g_source_attach(budget->source, budget->context);
}

VadmBudgetClaim *
vadm_budget_claim(VadmBudget *budget, gsize octets, const VadmBudgetHandlers *handlers,
                  gpointer owner)
{
    VadmBudgetClaim *claim = g_new0(VadmBudgetClaim, 1);

    g_atomic_int_inc(&budget->refs);
    claim->budget = budget;
    claim->octets = octets;
    claim->handlers = handlers;
    claim->owner = owner;
    VADM_LOCK_SCOPE(&budget->lock);
    if (g_queue_is_empty(&budget->waiting) && octets <= budget->left) {
        budget_grant(budget, claim);
    } else {
        budget_enqueue(&budget->waiting, claim);
        budget_start(budget);
    }
    return claim;
}

gboolean
vadm_budget_claim_is_granted(const VadmBudgetClaim *claim)
{
    VADM_LOCK_SCOPE(&claim->budget->lock);
    return claim->granted;
}

void
vadm_budget_claim_free(VadmBudgetClaim *claim)
{
    VadmBudget *budget;

    if (!claim)
        return;
    budget = claim->budget;
    vadm_mutex_lock(&budget->lock);
    g_queue_delete_link(claim->granted ? &budget->granted : &budget->waiting, claim->link);
    if (claim->granted)
        budget->left += claim->octets;
    if (budget->source)
        g_source_set_ready_time(budget->source, 0);
    vadm_mutex_unlock(&budget->lock);
    budget_unref(budget);
    g_free(claim);
}

void
vadm_budget_forget(VadmBudget *budget, gpointer owner)
{
    VADM_LOCK_SCOPE(&budget->lock);
    for (GList *link = budget->granted.head; link; link = link->next) {
        VadmBudgetClaim *claim = link->data;

        if (claim->owner == owner)
            claim->owner = NULL;
    }
}

gsize
vadm_budget_left(VadmBudget *budget)
{
    VADM_LOCK_SCOPE(&budget->lock);
    return budget->left;
}

VadmBudget *
vadm_budget_new(gsize octets, gint64 patience_us, GMainContext *context)
{
    VadmBudget *budget = g_new0(VadmBudget, 1);

    budget->refs = 1;
    budget->left = octets;
    budget->patience_us = patience_us;
    budget->expired_at = -BUDGET_GRACE_US;
    budget->context = context ? g_main_context_ref(context) : NULL;
    vadm_mutex_init(&budget->lock);
    g_queue_init(&budget->granted);
    g_queue_init(&budget->waiting);
    return budget;
}
