/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Views of the source, one for each request of a manager. The repetitions of a GETBULK and the
 * varbinds of other sessions' requests arrive as separate AgentX requests of one transaction:
 * they share a view, so a PDU shows one moment. A view pins a configuration, hence it lives for
 * a second at most and there are only a handful.
 */
#ifndef VADM_AGENT_VIEWS_H
#define VADM_AGENT_VIEWS_H

#include "common/source.h"

#define VADM_VIEWS_MAX    8u
#define VADM_VIEW_LIFE_US G_USEC_PER_SEC

typedef struct _VadmViews VadmViews;

/* Transaction ids restart with the master agent, so they count within a session only. */
typedef struct {
    guint64 session; /* generation: how many sessions with a master there have been */
    guint32 transaction;
} VadmTxnKey;

static inline gboolean
vadm_txn_key_equal(VadmTxnKey a, VadmTxnKey b)
{
    return a.session == b.session && a.transaction == b.transaction;
}

/** vadm_views_new: @source: (transfer none). All functions: snmp thread; times on the scale of
 * g_get_monotonic_time(), microseconds. */
VadmViews *vadm_views_new(VadmSource *source);
void vadm_views_free(VadmViews *views);

/** vadm_views_get: Returns: (transfer none) (nullable): the view of @key, a new one if there is
 * none or its second is over; valid until the next call of a function of this header. NULL: the
 * source gave none. */
VadmView *vadm_views_get(VadmViews *views, VadmTxnKey key, gint64 now);

/** vadm_views_expire: ends what has lived its second. Returns: how many are left. */
guint vadm_views_expire(VadmViews *views, gint64 now);

/** vadm_views_clear: ends all, as the session that they belong to has ended. */
void vadm_views_clear(VadmViews *views);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmViews, vadm_views_free)

#endif
