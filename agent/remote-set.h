/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Between the files that change an unmodified daemon: what a change comes down to
 * (remote-plan.c), what the daemon has of it (remote-report.c), the calls that make it or take it
 * back (remote-apply.c), and the phases of a transaction (remote-set.c). Main thread.
 */
#ifndef VADM_AGENT_REMOTE_SET_H
#define VADM_AGENT_REMOTE_SET_H

#include "agent/remote-private.h"

/* One call. The order is that of the calls: what is most likely to be refused comes first, since
 * what comes before it has to be taken back then. */
typedef enum {
    VADM_REMOTE_STEP_OUTPUTS,
    VADM_REMOTE_STEP_FILTERS,
    VADM_REMOTE_STEP_POOL,
    VADM_REMOTE_STEP_LIMITS
} VadmRemoteStepKind;

/* A number of a server that can be set. */
typedef struct {
    VadmField field;
    VadmRemoteStepKind step;
    const char *param; /* in the admin program */
    const char *name;  /* in the log */
    gsize offset;      /* in VadmServerRow */
    guint32 bound;
} VadmRemoteKey;

static inline guint32
vadm_remote_key_get(const VadmServerRow *row, const VadmRemoteKey *key)
{
    return G_STRUCT_MEMBER(guint32, row, key->offset);
}

typedef struct {
    const VadmRemoteKey *key;
    guint32 before, wanted;
} VadmRemoteNumber;

#define VADM_REMOTE_STEP_NUMBERS 3

typedef struct {
    VadmRemoteStepKind kind;
    guint tag; /* of the last change that takes part */

    /* of POOL and LIMITS: those that differ, and a number of priority workers that was given: the
     * daemon shows how many there are, not how many it was told to have */
    guint32 server;
    char *name;
    VadmRemoteNumber numbers[VADM_REMOTE_STEP_NUMBERS];
    guint n_numbers;

    /* of OUTPUTS and FILTERS, as they are sent */
    char *before; /* NULL: not known */
    char *wanted;
    /* as shown after the commit, when that could be read: "" asks for the daemon's default
     * outputs, of which nobody knows before what they are, and a daemon may have forms of its own
     */
    char *settled;
} VadmRemoteStep;

#define VADM_REMOTE_PERCENT_NAME "clients_high_percent" /* in the log */

/* lvaServerClientsHighPercent is our own. */
typedef struct {
    guint32 server;
    char *name;
    guint32 before, wanted;
} VadmRemotePercent;

typedef struct {
    char *server;
    guint64 id;
} VadmRemoteClose;

typedef struct {
    gint refs;
    GPtrArray *steps;    /* of VadmRemoteStep */
    GPtrArray *percents; /* of VadmRemotePercent */
    GPtrArray *closes;   /* of VadmRemoteClose: clients to be disconnected */
    guint connection;    /* over which @closes were seen (remote-memory.h) */
} VadmRemotePlan;

typedef enum { VADM_REMOTE_BEFORE, VADM_REMOTE_WANTED } VadmRemoteSide;

/* remote-plan.c */

/** vadm_remote_plan_reads: whether @changes are about what the daemon has, so that it should be
 * read again before they are judged. */
gboolean vadm_remote_plan_reads(const VadmChange *changes, guint n_changes);
/**
 * vadm_remote_plan_new: validates @changes as a whole.
 * @fault: (out): see docs/mib.md, "SET" for the errors
 *
 * Returns: (transfer full) (nullable)
 */
VadmRemotePlan *vadm_remote_plan_new(const VadmRemoteSource *source,
                                     const VadmRemoteSnapshot *snapshot, const VadmChange *changes,
                                     guint n_changes, VadmFault *fault);
VadmRemotePlan *vadm_remote_plan_ref(VadmRemotePlan *plan);
void vadm_remote_plan_unref(VadmRemotePlan *plan);

/* remote-report.c */

/** vadm_remote_outputs_form: Returns: (transfer full) (nullable): normalised, as far as we can read
 * what a daemon of another version may show; NULL of NULL */
char *vadm_remote_outputs_form(const char *outputs);
/** vadm_remote_plan_is_shown: whether all that the steps set is in @snapshot as it was before, or
 * as it is wanted. Priority workers come and go, so they are not compared. */
gboolean vadm_remote_plan_is_shown(const VadmRemotePlan *plan, const VadmRemoteSnapshot *snapshot,
                                   VadmRemoteSide side);
/** vadm_remote_plan_settle: @snapshot was read after the commit. */
void vadm_remote_plan_settle(VadmRemotePlan *plan, const VadmRemoteSnapshot *snapshot);
/** vadm_remote_plan_describe: Returns: (transfer full): "[server libvirtd] max_workers 20 -> 30",
 * "" when nothing changes but connections */
char *vadm_remote_plan_describe(const VadmRemotePlan *plan);
char *vadm_remote_step_describe(const VadmRemoteStep *step);
/** vadm_remote_plan_report: Returns: (transfer full): what @snapshot has of all that the steps set:
 * "[server libvirtd] max_workers 20" */
char *vadm_remote_plan_report(const VadmRemotePlan *plan, const VadmRemoteSnapshot *snapshot);

/* remote-apply.c */

/* @error: (nullable): why not everything that was asked for has been done */
typedef void (*VadmRemoteApplied)(const GError *error, guint tag, gpointer user);

/**
 * vadm_remote_plan_apply:
 * @deadline: on the scale of g_get_monotonic_time(): no call waits longer
 * @done: called once, from here or from the main loop
 *
 * Makes the calls one after the other. When one is refused, those before it are taken back. When
 * an outcome is not known the connection is dropped, and what is in force is logged as soon as
 * that can be read.
 */
void vadm_remote_plan_apply(VadmRemoteSource *source, VadmRemotePlan *plan, gint64 deadline,
                            VadmRemoteApplied done, gpointer user);
/** vadm_remote_plan_revert: all that was applied, the last first. As vadm_remote_plan_apply(). */
void vadm_remote_plan_revert(VadmRemoteSource *source, VadmRemotePlan *plan, gint64 deadline,
                             VadmRemoteApplied done, gpointer user);
/** vadm_remote_plan_knows_clients: FALSE: the connection over which the clients to be disconnected
 * were seen is lost. A daemon that was started anew gives the same ids to others. */
gboolean vadm_remote_plan_knows_clients(const VadmRemoteSource *source, const VadmRemotePlan *plan);
/** vadm_remote_plan_disconnect: what cannot be taken back. Failures are logged. */
void vadm_remote_plan_disconnect(VadmRemoteSource *source, const VadmRemotePlan *plan);

/* Element of the list below. */
void vadm_remote_inquiry_free(gpointer inquiry);

struct _VadmRemoteWriter {
    VadmRemoteSource *source;
    gpointer holder;      /* the transaction that has begun and not ended; NULL: none */
    GPtrArray *inquiries; /* of those that are under way: remote-apply.c */
};

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmRemotePlan, vadm_remote_plan_unref)

#endif
