/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Handshakes on their way: a client is waited for without a thread until its first message is
 * there as a whole, then waits for one of few places, and has a thread of ours for its handshake
 * (which GIO gives to one of its own). All but vadm_tls_run() is the main thread's.
 */
#include <config.h> /* POLLRDHUP */

#include <poll.h>
#include <sys/socket.h>

#include "common/mailbox.h"
#include "daemon/pool.h"
#include "daemon/tls-private.h"

#define VADM_LOG_CATEGORY "daemon.tls"
#include "common/log.h"

/* GIO computes in the ten threads that GTask begins with; more come too slowly to count on. */
#define VADM_TLS_PLACES 8u
/* Who has a place and has let us wait for so long gives it up to those who wait. */
#define VADM_TLS_PATIENCE_US (2 * (gint64)G_USEC_PER_SEC)
/* Where the kernel cannot wait for as much as is wanted. */
#define VADM_TLS_LOOK_AGAIN_MS 100u
#define VADM_TLS_AGAIN_US      ((gint64)G_USEC_PER_SEC)
/* For threads to notice that they are not wanted any more. */
#define VADM_TLS_STOP_US (10 * (gint64)G_USEC_PER_SEC)

struct _VadmTlsGate {
    GMainContext *context;
    VadmPool *pool;
    VadmMailbox *mailbox;
    GQueue waiting; /* of VadmTlsHandshake: for a place */
    GQueue running; /* in the order in which they began */
    GSource *impatience;
    GSource *again; /* while some that nobody wants do not come back */
};

typedef enum {
    VADM_TLS_HELLO,   /* its first message is awaited */
    VADM_TLS_WAITING, /* in the gate's queue */
    VADM_TLS_RUNNING, /* a thread has it, or will have it soon */
} VadmTlsPhase;

struct _VadmTlsHandshake {
    VadmTlsGate *gate;
    VadmTls *tls;
    GSocketConnection *base;
    char **allowed_dns; /* of its own: the thread may outlive who lent them */
    VadmTlsDone done;   /* NULL: cancelled */
    gpointer user;
    VadmTlsPhase phase;
    GSource *source; /* while the first message is awaited */
    gint64 begun;    /* monotonic; since when it runs */
    gboolean evicted;
    GCancellable *cancellable;

    /* the thread's, then handed back through the mailbox */
    GIOStream *stream;
    char *dn;
    GString *warnings;
    GError *error;
};

static void vadm_tls_gate_update(VadmTlsGate *gate);
static void vadm_tls_await(VadmTlsHandshake *handshake, gsize wanted);

static GSocket *
vadm_tls_socket(const VadmTlsHandshake *handshake)
{
    return g_socket_connection_get_socket(handshake->base);
}

static void
vadm_tls_drop_source(GSource **source)
{
    if (!*source)
        return;
    g_source_destroy(*source);
    g_clear_pointer(source, g_source_unref);
}

/* Nobody goes on with it: closed here, and the base first, so that TLS does not try to say
 * good-bye. The last reference may be that of GIO's thread, which would close it some time later.
 */
static void
vadm_tls_close(VadmTlsHandshake *handshake)
{
    g_io_stream_close(G_IO_STREAM(handshake->base), NULL, NULL);
    if (handshake->stream)
        g_io_stream_close(handshake->stream, NULL, NULL);
}

static void
vadm_tls_handshake_free(VadmTlsHandshake *handshake)
{
    vadm_tls_drop_source(&handshake->source);
    if (!handshake->done)
        vadm_tls_close(handshake);
    g_clear_object(&handshake->stream);
    g_object_unref(handshake->base);
    g_object_unref(handshake->cancellable);
    vadm_tls_unref(handshake->tls);
    g_strfreev(handshake->allowed_dns);
    g_free(handshake->dn);
    g_string_free(handshake->warnings, TRUE);
    g_clear_error(&handshake->error);
    g_free(handshake);
}

/* Tells the outcome; a stream that the callee does not want is closed. */
static void
vadm_tls_finish(VadmTlsHandshake *handshake)
{
    VadmTlsDone done = handshake->done;

    if (done) {
        done(handshake->error ? NULL : handshake->stream, handshake->dn,
             handshake->warnings->len > 0 ? handshake->warnings->str : NULL, handshake->error,
             handshake->user);
        if (handshake->error)
            handshake->done = NULL;
    }
    vadm_tls_handshake_free(handshake);
}

static void G_GNUC_PRINTF(3, 4)
    vadm_tls_fail_hello(VadmTlsHandshake *handshake, VadmErrorCode code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    handshake->error = g_error_new_valist(VADM_ERROR, (gint)code, format, args);
    va_end(args);
    vadm_tls_finish(handshake);
}

/* In a thread */

/* In the mailbox behind it, and when the mailbox is closed. */
static void
vadm_tls_returned(gpointer data)
{
    VadmTlsHandshake *handshake = data;
    VadmTlsGate *gate = handshake->gate;

    g_queue_remove(&gate->running, handshake);
    g_io_stream_clear_pending(G_IO_STREAM(handshake->base));
    if (handshake->evicted && handshake->error) {
        g_clear_error(&handshake->error);
        handshake->error = g_error_new(VADM_ERROR, VADM_ERROR_AUTH,
                                       "it was silent in its handshake while others waited");
    }
    vadm_tls_finish(handshake);
    vadm_tls_gate_update(gate);
}

static void
vadm_tls_lost(gpointer data)
{
    VadmTlsHandshake *handshake = data;

    g_queue_remove(&handshake->gate->running, handshake);
    g_io_stream_clear_pending(G_IO_STREAM(handshake->base));
    handshake->done = NULL;
    vadm_tls_handshake_free(handshake);
}

static gboolean
vadm_tls_run(gpointer data)
{
    VadmTlsHandshake *handshake = data;

    handshake->stream = vadm_tls_shake(handshake->tls, G_IO_STREAM(handshake->base),
                                       handshake->allowed_dns, handshake->cancellable,
                                       &handshake->dn, handshake->warnings, &handshake->error);
    return handshake->error == NULL;
}

/* The way back from the pool, also for what it did not run any more. */
static void
vadm_tls_return(gpointer data)
{
    VadmTlsHandshake *handshake = data;

    vadm_mailbox_post(handshake->gate->mailbox, vadm_tls_returned, handshake, vadm_tls_lost);
}

/* Places */

static void
vadm_tls_start(VadmTlsHandshake *handshake)
{
    VadmTlsGate *gate = handshake->gate;

    handshake->phase = VADM_TLS_RUNNING;
    handshake->begun = g_get_monotonic_time();
    g_queue_push_tail(&gate->running, handshake);
    /* Whoever closes it now, say a client that is disconnected, would take the descriptor away
     * under the thread, and somebody else's would get its number. */
    g_io_stream_set_pending(G_IO_STREAM(handshake->base), NULL);
    vadm_pool_push(gate->pool, FALSE, vadm_tls_run, handshake, vadm_tls_return);
}

/* A thread that waits for the peer wakes, and comes back with an error. */
static void
vadm_tls_interrupt(VadmTlsHandshake *handshake)
{
    g_cancellable_cancel(handshake->cancellable);
    shutdown(g_socket_get_fd(vadm_tls_socket(handshake)), SHUT_RDWR);
    if (g_source_get_ready_time(handshake->gate->again) < 0)
        g_source_set_ready_time(handshake->gate->again, g_get_monotonic_time() + VADM_TLS_AGAIN_US);
}

static void
vadm_tls_do_nothing(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
    (void)source;
    (void)data;
    (void)cancellable;
    g_task_return_boolean(task, TRUE);
}

/* When there was no thread to be had for GIO's half of a handshake, it waits in GTask's queue, and
 * ours for it; GTask tries to start one only when it gets something more to do. */
static gboolean
vadm_tls_try_again(GSource *source, GSourceFunc callback, gpointer user)
{
    VadmTlsGate *gate = user;
    gboolean unwanted = FALSE;

    (void)callback;
    for (GList *link = gate->running.head; link && !unwanted; link = link->next) {
        const VadmTlsHandshake *handshake = link->data;

        unwanted = g_cancellable_is_cancelled(handshake->cancellable);
    }
    if (unwanted) {
        g_autoptr(GTask) task = NULL;

        g_main_context_push_thread_default(gate->context);
        task = g_task_new(NULL, NULL, NULL, NULL);
        g_main_context_pop_thread_default(gate->context);
        g_task_run_in_thread(task, vadm_tls_do_nothing);
    }
    g_source_set_ready_time(source, unwanted ? g_get_monotonic_time() + VADM_TLS_AGAIN_US : -1);
    return G_SOURCE_CONTINUE;
}

static gboolean
vadm_tls_is_silent(const VadmTlsHandshake *handshake)
{
    return g_socket_condition_check(vadm_tls_socket(handshake), G_IO_IN) == 0;
}

/* Who computes, or has been heard, is not to blame: it gets its time again. Returns: when to look
 * again, -1: never */
static gint64
vadm_tls_evict(VadmTlsGate *gate)
{
    gint64 now = g_get_monotonic_time();
    gint64 next = -1;

    for (GList *link = gate->running.head; link; link = link->next) {
        VadmTlsHandshake *handshake = link->data;
        gint64 due = handshake->begun + VADM_TLS_PATIENCE_US;

        if (handshake->evicted || !handshake->done)
            continue;
        if (due <= now && vadm_tls_is_silent(handshake)) {
            handshake->evicted = TRUE;
            vadm_tls_interrupt(handshake);
            continue;
        }
        due = MAX(due, now + VADM_TLS_PATIENCE_US / 8);
        next = next < 0 ? due : MIN(next, due);
    }
    return next;
}

static gboolean
vadm_tls_impatient(GSource *source, GSourceFunc callback, gpointer user)
{
    VadmTlsGate *gate = user;

    (void)callback;
    g_source_set_ready_time(source, gate->waiting.length > 0 ? vadm_tls_evict(gate) : -1);
    return G_SOURCE_CONTINUE;
}

static void
vadm_tls_gate_update(VadmTlsGate *gate)
{
    VadmTlsHandshake *oldest;

    while (gate->running.length < VADM_TLS_PLACES && gate->waiting.length > 0)
        vadm_tls_start(g_queue_pop_head(&gate->waiting));
    if (gate->waiting.length == 0)
        return;
    oldest = g_queue_peek_head(&gate->running);
    if (g_source_get_ready_time(gate->impatience) < 0)
        g_source_set_ready_time(gate->impatience, oldest->begun + VADM_TLS_PATIENCE_US);
}

/* The first message */

static gboolean
vadm_tls_has_ended(GSocket *socket)
{
    struct pollfd poll_fd = {.fd = g_socket_get_fd(socket), .events = POLLRDHUP};

    return poll(&poll_fd, 1, 0) > 0;
}

static void
vadm_tls_set_low_water(GSocket *socket, gsize octets)
{
    int value = (int)octets;

    setsockopt(g_socket_get_fd(socket), SOL_SOCKET, SO_RCVLOWAT, &value, sizeof(value));
}

/* Looks without taking anything: that is for GIO. */
static void
vadm_tls_look(VadmTlsHandshake *handshake)
{
    guint8 data[VADM_TLS_HELLO_MAX];
    GSocket *socket = vadm_tls_socket(handshake);
    ssize_t got = recv(g_socket_get_fd(socket), data, sizeof(data), MSG_PEEK | MSG_DONTWAIT);
    int errnum = errno;
    gsize wanted;

    if (got < 0 && errnum != EAGAIN && errnum != EWOULDBLOCK && errnum != EINTR) {
        vadm_tls_fail_hello(handshake, VADM_ERROR_NO_CONNECT, "%s", g_strerror(errnum));
        return;
    }
    wanted = vadm_tls_hello_wanted(data, (gsize)MAX(got, 0));
    if (wanted == 0) {
        vadm_tls_fail_hello(handshake, VADM_ERROR_AUTH, "it does not speak TLS");
    } else if (got > 0 && wanted <= (gsize)got) {
        vadm_tls_drop_source(&handshake->source);
        vadm_tls_set_low_water(socket, 1);
        handshake->phase = VADM_TLS_WAITING;
        g_queue_push_tail(&handshake->gate->waiting, handshake);
        vadm_tls_gate_update(handshake->gate);
    } else if (got == 0 || (got > 0 && vadm_tls_has_ended(socket))) {
        vadm_tls_fail_hello(handshake, got == 0 ? VADM_ERROR_NO_CONNECT : VADM_ERROR_AUTH,
                            "it has closed the connection before it began with TLS");
    } else {
        vadm_tls_await(handshake, wanted);
    }
}

static gboolean
vadm_tls_on_readable(GSocket *socket, GIOCondition condition, gpointer user)
{
    (void)socket;
    (void)condition;
    vadm_tls_look(user);
    return G_SOURCE_CONTINUE;
}

static gboolean
vadm_tls_on_time(gpointer user)
{
    vadm_tls_look(user);
    return G_SOURCE_CONTINUE;
}

/* The kernel says nothing before there is enough, so that who sends octet by octet costs us
 * nothing. It may have to, when it is short of memory, and not all sockets can wait: who has been
 * woken for less looks again by the clock. One octet, or the end, is what it tells anyhow. */
static void
vadm_tls_await(VadmTlsHandshake *handshake, gsize wanted)
{
    GSocket *socket = vadm_tls_socket(handshake);
    gboolean waits;

    vadm_tls_drop_source(&handshake->source);
    vadm_tls_set_low_water(socket, wanted);
    waits = wanted == 1 || g_socket_condition_check(socket, G_IO_IN) == 0 ||
            g_socket_get_available_bytes(socket) >= (gssize)wanted;
    handshake->source = waits ? g_socket_create_source(socket, G_IO_IN, NULL)
                              : g_timeout_source_new(VADM_TLS_LOOK_AGAIN_MS);
    g_source_set_callback(handshake->source,
                          waits ? G_SOURCE_FUNC(vadm_tls_on_readable) : vadm_tls_on_time, handshake,
                          NULL);
    g_source_attach(handshake->source, handshake->gate->context);
}

VadmTlsHandshake *
vadm_tls_accept(VadmTlsGate *gate, VadmTls *tls, GSocketConnection *base, char *const *allowed_dns,
                VadmTlsDone done, gpointer user)
{
    VadmTlsHandshake *handshake = g_new0(VadmTlsHandshake, 1);

    handshake->gate = gate;
    handshake->tls = vadm_tls_ref(tls);
    handshake->base = g_object_ref(base);
    handshake->allowed_dns = g_strdupv((char **)(guintptr)allowed_dns);
    handshake->done = done;
    handshake->user = user;
    handshake->cancellable = g_cancellable_new();
    handshake->warnings = g_string_new(NULL);
    handshake->phase = VADM_TLS_HELLO;
    vadm_tls_await(handshake, 1);
    return handshake;
}

void
vadm_tls_cancel(VadmTlsHandshake *handshake)
{
    handshake->done = NULL;
    if (handshake->phase == VADM_TLS_RUNNING) {
        /* one that no thread has begun comes back at once */
        if (!vadm_pool_cancel(handshake->gate->pool, handshake))
            vadm_tls_interrupt(handshake);
        return;
    }
    if (handshake->phase == VADM_TLS_WAITING)
        g_queue_remove(&handshake->gate->waiting, handshake);
    vadm_tls_handshake_free(handshake);
}

/* Life of the gate */

/* One that is woken by its time alone. */
static GSource *
vadm_tls_gate_source(VadmTlsGate *gate, GSourceFuncs *functions)
{
    GSource *source = g_source_new(functions, sizeof(GSource));

    g_source_set_callback(source, NULL, gate, NULL);
    g_source_attach(source, gate->context);
    return source;
}

VadmTlsGate *
vadm_tls_gate_new(GMainContext *context, GError **error)
{
    static GSourceFuncs impatience = {.dispatch = vadm_tls_impatient};
    static GSourceFuncs again = {.dispatch = vadm_tls_try_again};
    /* one from the beginning: a job that came when no thread could be started would wait for ever
     */
    const VadmPoolLimits limits = {1, VADM_TLS_PLACES, 0};
    VadmPool *pool = vadm_pool_new("tls", &limits, error);
    VadmTlsGate *gate;

    if (!pool)
        return NULL;
    gate = g_new0(VadmTlsGate, 1);
    gate->pool = pool;
    gate->context = context ? g_main_context_ref(context) : NULL;
    gate->mailbox = vadm_mailbox_new(context);
    gate->impatience = vadm_tls_gate_source(gate, &impatience);
    gate->again = vadm_tls_gate_source(gate, &again);
    return gate;
}

/* A thread that does not come back keeps what it uses. */
void
vadm_tls_gate_free(VadmTlsGate *gate)
{
    if (!gate)
        return;
    vadm_tls_drop_source(&gate->impatience);
    vadm_tls_drop_source(&gate->again);
    if (!vadm_pool_stop(gate->pool, VADM_TLS_STOP_US)) {
        VADM_ERR("A TLS handshake does not end");
        return;
    }
    vadm_pool_free(gate->pool);
    vadm_mailbox_close(gate->mailbox);
    vadm_mailbox_unref(gate->mailbox);
    if (gate->context)
        g_main_context_unref(gate->context);
    g_free(gate);
}
