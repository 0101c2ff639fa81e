/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs functions in the thread that owns a main context: how workers, the resolver and the
 * snmp thread hand things to the main loop; or in a thread with a loop of another kind, such as
 * the snmp thread. Posting never blocks (a short mutex and one write to an eventfd); what is
 * posted runs in order.
 */
#ifndef VADM_COMMON_MAILBOX_H
#define VADM_COMMON_MAILBOX_H

#include <glib.h>

#include "common/error.h"

typedef struct _VadmMailbox VadmMailbox;
typedef void (*VadmMailboxFunc)(gpointer data);

/**
 * vadm_mailbox_new:
 * @context: (nullable): the context whose owner runs what is posted; NULL: the default one
 *
 * Returns: (transfer full): a mailbox with one reference
 */
VadmMailbox *vadm_mailbox_new(GMainContext *context);

/**
 * vadm_mailbox_new_polled: a mailbox without a main context: its owner, who is whoever calls
 * vadm_mailbox_dispatch(), polls vadm_mailbox_get_fd() for input and dispatches when there is some.
 * @error: VADM_ERROR_SYSTEM: no descriptor
 *
 * Returns: (transfer full) (nullable)
 */
VadmMailbox *vadm_mailbox_new_polled(GError **error);
/** vadm_mailbox_get_fd: Returns: (transfer none): to be polled, never to be read; valid until the
 * last reference is gone. */
int vadm_mailbox_get_fd(VadmMailbox *mailbox);
/** vadm_mailbox_dispatch: runs what has been posted; never blocks. Owner's thread. */
void vadm_mailbox_dispatch(VadmMailbox *mailbox);

VadmMailbox *vadm_mailbox_ref(VadmMailbox *mailbox);
void vadm_mailbox_unref(VadmMailbox *mailbox);

/**
 * vadm_mailbox_post:
 * @run: called once in the owner's thread with @data
 * @destroy: (nullable): called instead of @run when the mailbox is closed first: in the owner's
 * thread, or here when that was before
 *
 * Any thread. Returns at once.
 */
void vadm_mailbox_post(VadmMailbox *mailbox, VadmMailboxFunc run, gpointer data,
                       GDestroyNotify destroy);

/**
 * vadm_mailbox_close:
 *
 * Detaches from the context; what has not run is destroyed, as is all that is posted later.
 * Owner's thread.
 */
void vadm_mailbox_close(VadmMailbox *mailbox);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmMailbox, vadm_mailbox_unref)

#endif
