/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SET: one PDU, one transaction. The phases are those of net-snmp, which makes RESERVE1 and
 * RESERVE2 of an AgentX TestSet, ACTION of CommitSet, COMMIT of CleanupSet, UNDO of UndoSet, and
 * FREE of a CleanupSet that follows a failed TestSet (RFC 2741 section 7.2.4). A phase may be
 * repeated, left out or never come; whatever the order, nothing is applied twice and nothing
 * stays open for ever. Where the source takes its time (RESERVE2: prepare, ACTION: commit, UNDO
 * and FREE: undo), the phase is pending: its answer comes later. No net-snmp here:
 * agent/handler.c translates.
 */
#ifndef VADM_AGENT_SET_H
#define VADM_AGENT_SET_H

#include "agent/mib.h"
#include "agent/views.h"

/* Numbers of RFC 3416 (error-status); those that we use. */
typedef enum {
    VADM_STATUS_PENDING = -1, /* not one of them: the outcome comes later */
    VADM_STATUS_OK = 0,
    VADM_STATUS_GEN_ERR = 5,
    VADM_STATUS_WRONG_TYPE = 7,
    VADM_STATUS_WRONG_LENGTH = 8,
    VADM_STATUS_WRONG_VALUE = 10,
    VADM_STATUS_NO_CREATION = 11,
    VADM_STATUS_INCONSISTENT_VALUE = 12,
    VADM_STATUS_RESOURCE_UNAVAILABLE = 13,
    VADM_STATUS_COMMIT_FAILED = 14,
    VADM_STATUS_UNDO_FAILED = 15,
    VADM_STATUS_NOT_WRITABLE = 17
} VadmStatus;

typedef enum {
    VADM_PHASE_RESERVE1,
    VADM_PHASE_RESERVE2,
    VADM_PHASE_ACTION,
    VADM_PHASE_COMMIT,
    VADM_PHASE_UNDO,
    VADM_PHASE_FREE,
    VADM_PHASE_LAST
} VadmPhase;

/* One varbind. oid: below the root; number: as it arrived, sign and all. */
typedef struct {
    const guint32 *oid;
    gsize oid_length;
    VadmSnmpType type; /* GAUGE and UNSIGNED are one on the wire */
    gint64 number;
    const guint8 *bytes;
    gsize length;
} VadmSetItem;

typedef struct {
    VadmPhase phase;
    VadmTxnKey key;           /* which transaction */
    VadmView *view;           /* to see which rows there are; used by the RESERVE phases only */
    const VadmSetItem *items; /* all varbinds of the PDU that are ours, in its order */
    guint n_items;
    gint64 now; /* g_get_monotonic_time() */
} VadmSetRequest;

/* How the phase of a waiter ended. @at: index of the item at fault, 0 where it is none */
typedef void (*VadmSetAnswer)(VadmStatus status, guint at, gpointer user);

/* How long the source may take for one phase: below the second after which a master sends its
 * request again (agentXTimeout). */
#define VADM_SET_DEADLINE_US (G_USEC_PER_SEC * 8 / 10)

/* A transaction of which nothing is heard for that long is settled. Longer than any master waits
 * (its timeout times its retries, 6 s by default). */
#define VADM_SET_ORPHAN_US (10 * G_USEC_PER_SEC)

typedef struct _VadmSet VadmSet;

/** vadm_set_new: @mib: (transfer none). All functions: snmp thread. */
VadmSet *vadm_set_new(VadmMib *mib);
/** vadm_set_free: settles what is open. */
void vadm_set_free(VadmSet *set);

/**
 * vadm_set_phase:
 * @at: (out): index of the item at fault; untouched when there is none
 *
 * A refusal is logged and kept as lvaConfigLastError. Settles an orphan of another transaction
 * first when the phase is one of RESERVE. A repetition of a phase that is pending shares its
 * outcome.
 * Returns: VADM_STATUS_OK, the first error, or VADM_STATUS_PENDING: then vadm_set_wait() must be
 * called at once, by whoever wants to know
 */
VadmStatus vadm_set_phase(VadmSet *set, const VadmSetRequest *request, guint *at);

/** vadm_set_wait: @answer is called exactly once, with the outcome of the phase that has just
 * been found pending: when the source has completed, when its time is over, or when the
 * transaction is settled. It must not call functions of this header. */
void vadm_set_wait(VadmSet *set, VadmSetAnswer answer, gpointer user);

/**
 * vadm_set_settle: ends an open transaction of which no more will be heard: a prepared one is
 * aborted, a committed one finished, one that is pending is given up (whatever the source
 * completes later is taken back), and that is logged. @why: for the log.
 */
void vadm_set_settle(VadmSet *set, const char *why);

/** vadm_set_expire: gives up a pending phase whose time is over, and settles a transaction older
 * than VADM_SET_ORPHAN_US. Returns: when it must be called again, on the scale of @now; 0: nothing
 * is open. */
gint64 vadm_set_expire(VadmSet *set, gint64 now);

/** vadm_status_from_error: the one place where an error of a source becomes a status. */
VadmStatus vadm_status_from_error(const GError *error, VadmPhase phase);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmSet, vadm_set_free)

#endif
