/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whoever calls puts the call into the mailbox of the thread and sleeps. What the session says is
 * handed over under the lock; everything else here is touched by the I/O thread alone.
 */
#define VADM_LOG_CATEGORY "admin.io"
#include "admin/vir-io.h"

#include <glib-unix.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/lock.h"
#include "common/mailbox.h"

/* How long a daemon may take to say goodbye. */
#define GOODBYE_MS 1000
/* What GLib and the mailbox open for a thread, the socket, and what other threads of the program
 * may open in the moment between looking and opening. */
#define N_DESCRIPTORS (3 + 8)

typedef enum { IO_CONNECTING, IO_OPEN, IO_ENDED } IoState;

struct _VadmVirIo {
    gint refs; /* the owner's and the thread's */
    GThread *thread;
    GMainContext *context;
    VadmMailbox *mailbox;
    VadmSessionOptions options;
    char *path;
    void (*ended)(VadmSessionEnd end, gpointer user);
    gpointer user;

    VadmMutex lock;
    VadmCond changed; /* state has */
    IoState state;    /* under lock */
    VadmMessage *refusal;
    GError *end_error;

    /* the I/O thread's */
    VadmSession *session;
    GQueue failed; /* of IoWait: the session is about to say how it ended */
    gboolean closing;
    gboolean quit;
};

/* A call that waits, on the stack of the thread that makes it. */
typedef struct {
    VadmVirIo *io;
    VadmVirIoCall *call;
    VadmCond done_changed;
    gboolean done; /* under the lock of io; then it is gone */
    VadmVirIoResult result;
} IoWait;

void
vadm_vir_io_call_clear(VadmVirIoCall *call)
{
    g_clear_pointer(&call->reply, vadm_message_free);
    g_clear_error(&call->error);
}

static void
io_unref(VadmVirIo *io)
{
    if (!g_atomic_int_dec_and_test(&io->refs))
        return;
    g_clear_pointer(&io->mailbox, vadm_mailbox_unref);
    g_clear_pointer(&io->context, g_main_context_unref);
    g_clear_pointer(&io->refusal, vadm_message_free);
    g_clear_error(&io->end_error);
    vadm_cond_clear(&io->changed);
    vadm_mutex_clear(&io->lock);
    g_free(io->path);
    g_free(io);
}

/* ---- in the I/O thread ---- */

static void
wait_done(IoWait *wait, VadmVirIoResult result)
{
    VADM_LOCK_SCOPE(&wait->io->lock);
    wait->result = result;
    wait->done = TRUE;
    vadm_cond_signal(&wait->done_changed);
}

static void
io_on_opened(VadmSession *session, gpointer user)
{
    VadmVirIo *io = user;
    VADM_LOCK_SCOPE(&io->lock);

    (void)session;
    io->state = IO_OPEN;
    vadm_cond_broadcast(&io->changed);
}

/* Returns: whether it was open. From here on no call reaches the session. */
static gboolean
io_set_ended(VadmVirIo *io, const GError *error, const VadmMessage *reply)
{
    VADM_LOCK_SCOPE(&io->lock);
    gboolean was_open = io->state == IO_OPEN;

    io->state = IO_ENDED;
    io->end_error = g_error_copy(error);
    io->refusal = reply ? vadm_message_copy(reply) : NULL;
    vadm_cond_broadcast(&io->changed);
    return was_open;
}

static void
io_on_ended(VadmSession *session, VadmSessionEnd end, const GError *error, const VadmMessage *reply,
            gpointer user)
{
    VadmVirIo *io = user;
    gboolean was_open = io_set_ended(io, error, reply);
    IoWait *wait;

    (void)session;
    while ((wait = g_queue_pop_head(&io->failed))) {
        wait->call->silent = end == VADM_SESSION_END_KEEPALIVE;
        wait_done(wait, VADM_VIR_IO_ENDED);
    }
    if (was_open && !io->closing)
        io->ended(end, io->user);
}

static const VadmSessionHandlers session_handlers = {
    .opened = io_on_opened,
    .ended = io_on_ended,
};

/* A session that has ended tells each call so before it says how. */
static void
io_on_reply(VadmSession *session, const VadmMessage *reply, const GError *error, gpointer user)
{
    IoWait *wait = user;

    if (reply) {
        wait->call->reply = vadm_message_copy(reply);
        wait_done(wait, VADM_VIR_IO_REPLIED);
        return;
    }
    wait->call->error = g_error_copy(error);
    if (vadm_session_is_open(session))
        wait_done(wait, VADM_VIR_IO_FAILED);
    else
        g_queue_push_tail(&wait->io->failed, wait);
}

static gboolean
io_has_ended(VadmVirIo *io)
{
    VADM_LOCK_SCOPE(&io->lock);
    return io->state == IO_ENDED;
}

static void
io_run_call(gpointer data)
{
    IoWait *wait = data;
    const VadmVirIoCall *call = wait->call;

    if (io_has_ended(wait->io))
        wait_done(wait, VADM_VIR_IO_CLOSED);
    else
        vadm_session_call(wait->io->session, call->program, call->procedure, call->encode,
                          call->args, 0, io_on_reply, wait);
}

static void
io_on_closed(gpointer user)
{
    VadmVirIo *io = user;

    io->quit = TRUE;
}

static void
io_run_close(gpointer data)
{
    VadmVirIo *io = data;

    io->closing = TRUE;
    vadm_session_close_gracefully(g_steal_pointer(&io->session), GOODBYE_MS, io_on_closed, io);
}

static gboolean
io_on_mail(gint fd, GIOCondition condition, gpointer user)
{
    VadmVirIo *io = user;

    (void)fd;
    (void)condition;
    vadm_mailbox_dispatch(io->mailbox);
    return G_SOURCE_CONTINUE;
}

static GSource *
io_attach_mailbox(VadmVirIo *io)
{
    GSource *source = g_unix_fd_source_new(vadm_mailbox_get_fd(io->mailbox), G_IO_IN);

    g_source_set_callback(source, G_SOURCE_FUNC(io_on_mail), io, NULL);
    g_source_attach(source, io->context);
    return source;
}

static gpointer
io_thread(gpointer data)
{
    VadmVirIo *io = data;
    g_autoptr(GSource) mail = NULL;

    g_main_context_push_thread_default(io->context);
    mail = io_attach_mailbox(io);
    io->session = vadm_session_open(&io->options, io->context, &session_handlers, io);
    while (!io->quit)
        g_main_context_iteration(io->context, TRUE);
    g_clear_pointer(&io->session, vadm_session_free);
    g_source_destroy(mail);
    vadm_mailbox_close(io->mailbox);
    g_main_context_pop_thread_default(io->context);
    io_unref(io);
    return NULL;
}

/* ---- in the threads of the program ---- */

static void
restore_cancel(const int *before)
{
    pthread_setcancelstate(*before, NULL);
}

static int
hold_off_cancel(void)
{
    int before;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    return before;
}

/* A program may cancel a thread of its own that waits for a daemon. It ends when it is back: in
 * the middle it would keep the lock, and the I/O thread would write to a stack that is gone. */
#define HOLD_OFF_CANCEL                                                                            \
    G_GNUC_UNUSED __attribute__((cleanup(restore_cancel))) const int cancel_before =               \
        hold_off_cancel()

/* Two threads that look at the same time would count on the same descriptors. */
static VadmMutex descriptors_lock = VADM_MUTEX_INIT;

/* A child must not find the lock taken by a thread that it has not got. */
static void
lock_descriptors(void)
{
    vadm_mutex_lock(&descriptors_lock);
}

static void
unlock_descriptors(void)
{
    vadm_mutex_unlock(&descriptors_lock);
}

__attribute__((constructor)) static void
keep_lock_over_forks(void)
{
    pthread_atfork(lock_descriptors, unlock_descriptors, unlock_descriptors);
}

/* GLib ends the process when it gets no descriptor for a main context. */
static gboolean
has_descriptors(GError **error)
{
    int fds[N_DESCRIPTORS], n = 0, errnum = 0;

    while (n < N_DESCRIPTORS && (fds[n] = eventfd(0, EFD_CLOEXEC)) >= 0)
        n++;
    if (n < N_DESCRIPTORS)
        errnum = errno;
    for (int i = 0; i < n; i++)
        close(fds[i]);
    if (errnum == 0)
        return TRUE;
    vadm_error_set_errno(error, errnum, "cannot open %d descriptors for a connection",
                         N_DESCRIPTORS);
    return FALSE;
}

static gboolean
io_open_descriptors(VadmVirIo *io, GError **error)
{
    VADM_LOCK_SCOPE(&descriptors_lock);

    if (!has_descriptors(error))
        return FALSE;
    io->context = g_main_context_new();
    io->mailbox = vadm_mailbox_new_polled(error);
    return io->mailbox != NULL;
}

static VadmVirIo *
io_new(const VadmSessionOptions *options, void (*ended)(VadmSessionEnd end, gpointer user),
       gpointer user, GError **error)
{
    VadmVirIo *io = g_new0(VadmVirIo, 1);

    io->refs = 1;
    io->path = g_strdup(options->path);
    io->options = *options;
    io->options.path = io->path;
    io->ended = ended;
    io->user = user;
    g_queue_init(&io->failed);
    vadm_mutex_init(&io->lock);
    vadm_cond_init(&io->changed);
    if (io_open_descriptors(io, error))
        return io;
    io_unref(io);
    return NULL;
}

static gboolean
io_start(VadmVirIo *io, GError **error)
{
    g_autoptr(GError) cause = NULL;
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    g_atomic_int_inc(&io->refs);
    io->thread = g_thread_try_new("virtadm-io", io_thread, io, &cause);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (io->thread)
        return TRUE;
    io_unref(io);
    g_set_error(error, VADM_ERROR, VADM_ERROR_NO_MEMORY, "cannot start a thread: %s",
                cause->message);
    return FALSE;
}

/* Returns: whether it is open. */
static gboolean
io_wait_open(VadmVirIo *io, VadmMessage **reply, GError **error)
{
    VADM_LOCK_SCOPE(&io->lock);

    while (io->state == IO_CONNECTING)
        vadm_cond_wait(&io->changed, &io->lock);
    if (io->state == IO_OPEN)
        return TRUE;
    /* It may have been open for a moment. */
    *reply = g_steal_pointer(&io->refusal);
    g_propagate_error(error, g_error_copy(io->end_error));
    return FALSE;
}

VadmVirIo *
vadm_vir_io_open(const VadmSessionOptions *options,
                 void (*ended)(VadmSessionEnd end, gpointer user), gpointer user,
                 VadmMessage **reply, GError **error)
{
    HOLD_OFF_CANCEL;
    VadmVirIo *io = io_new(options, ended, user, error);

    *reply = NULL;
    if (!io)
        return NULL;
    if (!io_start(io, error)) {
        io_unref(io);
        return NULL;
    }
    if (io_wait_open(io, reply, error))
        return io;
    vadm_vir_io_close(io);
    return NULL;
}

void
vadm_vir_io_close(VadmVirIo *io)
{
    HOLD_OFF_CANCEL;
    GThread *thread = io->thread;

    if (thread == g_thread_self()) {
        io->quit = TRUE;
        g_thread_unref(thread);
    } else {
        vadm_mailbox_post(io->mailbox, io_run_close, io, NULL);
        g_thread_join(thread);
    }
    io_unref(io);
}

gboolean
vadm_vir_io_is_open(VadmVirIo *io)
{
    VADM_LOCK_SCOPE(&io->lock);
    return io->state == IO_OPEN;
}

VadmVirIoResult
vadm_vir_io_call(VadmVirIo *io, VadmVirIoCall *call)
{
    HOLD_OFF_CANCEL;
    IoWait wait = {.io = io, .call = call};

    if (!vadm_vir_io_is_open(io))
        return VADM_VIR_IO_CLOSED;
    vadm_cond_init(&wait.done_changed);
    vadm_mailbox_post(io->mailbox, io_run_call, &wait, NULL);
    vadm_mutex_lock(&io->lock);
    while (!wait.done)
        vadm_cond_wait(&wait.done_changed, &io->lock);
    vadm_mutex_unlock(&io->lock);
    vadm_cond_clear(&wait.done_changed);
    return wait.result;
}

void
vadm_vir_io_run(VadmVirIo *io, void (*run)(gpointer data), gpointer data)
{
    vadm_mailbox_post(io->mailbox, run, data, NULL);
}
