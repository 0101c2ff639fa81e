/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/mailbox.h"

#include <glib-unix.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/lock.h"

typedef struct {
    VadmMailboxFunc run;
    gpointer data;
    GDestroyNotify destroy;
} VadmMail;

struct _VadmMailbox {
    gatomicrefcount refs;
    VadmMutex lock;
    GArray *waiting; /* of VadmMail, under lock */
    gboolean closed; /* under lock */
    int efd;
    GSource *source; /* owner's thread; NULL: the owner polls */
};

/* One wake-up runs all that waits: the eventfd is read before the list is taken, so a post
 * that comes in between wakes us again. */
void
vadm_mailbox_dispatch(VadmMailbox *mailbox)
{
    g_autoptr(GArray) batch = NULL;
    guint64 count;
    gssize got;

    got = read(mailbox->efd, &count, sizeof(count));
    (void)got;
    vadm_mailbox_ref(mailbox);
    vadm_mutex_lock(&mailbox->lock);
    batch = mailbox->waiting;
    mailbox->waiting = g_array_new(FALSE, FALSE, sizeof(VadmMail));
    vadm_mutex_unlock(&mailbox->lock);
    for (guint i = 0; i < batch->len; i++) {
        VadmMail *mail = &g_array_index(batch, VadmMail, i);
        mail->run(mail->data);
    }
    vadm_mailbox_unref(mailbox);
}

static gboolean
vadm_mailbox_ready(gint fd, GIOCondition condition, gpointer user)
{
    (void)fd;
    (void)condition;
    vadm_mailbox_dispatch(user);
    return G_SOURCE_CONTINUE;
}

VadmMailbox *
vadm_mailbox_new_polled(GError **error)
{
    VadmMailbox *mailbox;
    int efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (efd < 0) {
        vadm_error_set_errno(error, errno, "eventfd");
        return NULL;
    }
    mailbox = g_new0(VadmMailbox, 1);
    g_atomic_ref_count_init(&mailbox->refs);
    vadm_mutex_init(&mailbox->lock);
    mailbox->waiting = g_array_new(FALSE, FALSE, sizeof(VadmMail));
    mailbox->efd = efd;
    return mailbox;
}

int
vadm_mailbox_get_fd(VadmMailbox *mailbox)
{
    return mailbox->efd;
}

VadmMailbox *
vadm_mailbox_new(GMainContext *context)
{
    g_autoptr(GError) error = NULL;
    VadmMailbox *mailbox = vadm_mailbox_new_polled(&error);

    if (!mailbox)
        g_error("%s", error->message);
    mailbox->source = g_unix_fd_source_new(mailbox->efd, G_IO_IN);
    /* else GLib takes the eventfd out of the poll and puts it back around each call of ours, and
     * wakes itself up for both */
    g_source_set_can_recurse(mailbox->source, TRUE);
    g_source_set_callback(mailbox->source, G_SOURCE_FUNC(vadm_mailbox_ready), mailbox, NULL);
    g_source_attach(mailbox->source, context);
    return mailbox;
}

VadmMailbox *
vadm_mailbox_ref(VadmMailbox *mailbox)
{
    g_atomic_int_inc(&mailbox->refs);
    return mailbox;
}

void
vadm_mailbox_unref(VadmMailbox *mailbox)
{
    if (!g_atomic_int_dec_and_test(&mailbox->refs))
        return;
    vadm_mailbox_close(mailbox);
    g_array_unref(mailbox->waiting);
    close(mailbox->efd);
    vadm_mutex_clear(&mailbox->lock);
    g_free(mailbox);
}

void
vadm_mailbox_post(VadmMailbox *mailbox, VadmMailboxFunc run, gpointer data, GDestroyNotify destroy)
{
    VadmMail mail = {run, data, destroy};
    gboolean wake = FALSE;
    gboolean closed;

    vadm_mutex_lock(&mailbox->lock);
    closed = mailbox->closed;
    if (!closed) {
        wake = mailbox->waiting->len == 0;
        g_array_append_val(mailbox->waiting, mail);
    }
    vadm_mutex_unlock(&mailbox->lock);
    if (closed && destroy)
        destroy(data);
    if (wake) {
        guint64 one = 1;
        gssize put = write(mailbox->efd, &one, sizeof(one));
        (void)put;
    }
}

void
vadm_mailbox_close(VadmMailbox *mailbox)
{
    g_autoptr(GArray) left = NULL;

    if (mailbox->source) {
        g_source_destroy(mailbox->source);
        g_clear_pointer(&mailbox->source, g_source_unref);
    }
    vadm_mutex_lock(&mailbox->lock);
    mailbox->closed = TRUE;
    left = mailbox->waiting;
    mailbox->waiting = g_array_new(FALSE, FALSE, sizeof(VadmMail));
    vadm_mutex_unlock(&mailbox->lock);
    for (guint i = 0; i < left->len; i++) {
        VadmMail *mail = &g_array_index(left, VadmMail, i);
        if (mail->destroy)
            mail->destroy(mail->data);
    }
}
