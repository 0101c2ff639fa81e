/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs functions in the thread that owns a main context: how workers, the resolver and the
 * snmp thread hand things to the main loop. Posting never blocks (a short mutex and one write
 * to an eventfd); what is posted runs in order.
 */
#ifndef VADM_COMMON_MAILBOX_H
#define VADM_COMMON_MAILBOX_H

#include <glib.h>

typedef struct _VadmMailbox VadmMailbox;
typedef void (*VadmMailboxFunc)(gpointer data);

/**
 * vadm_mailbox_new:
 * @context: (nullable): the context whose owner runs what is posted; NULL: the default one
 *
 * Returns: (transfer full): a mailbox with one reference
 */
VadmMailbox *vadm_mailbox_new(GMainContext *context);
VadmMailbox *vadm_mailbox_ref(VadmMailbox *mailbox);
void vadm_mailbox_unref(VadmMailbox *mailbox);

/**
 * vadm_mailbox_post:
 * @run: called once in the owner's thread with @data
 * @destroy: (nullable): called instead of @run when the mailbox is closed first
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
