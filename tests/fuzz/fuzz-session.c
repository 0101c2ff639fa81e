/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzzes the session: the input is what a daemon sends, after or in the place of its answer to
 * CONNECT_OPEN, before it closes the connection. The session expects what the first message of the
 * input answers, so that mutants of real replies are taken for replies. Built with
 * -fsanitize=fuzzer it is a libFuzzer target; with fuzz-main.c it is a bounded unit test.
 */
#include <errno.h>
#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/session-private.h"
#include "rpc/rpc-error.h"
#include "tests/unit/test-rpc-data.h"

#define CALLS 4u

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

/* What the owner does when the first reply comes. */
typedef enum { ACT_NONE, ACT_CALL, ACT_FREE, ACT_CLOSE, ACT_LAST } Act;

typedef struct {
    GMainContext *context;
    GSocket *listener;
    char *directory, *path;
} Ground;

typedef struct {
    VadmSession *session; /* NULL: given up */
    VadmRpcHeader first;  /* of the input */
    Act act;
    guint made, told, ends, closes;
    gboolean over; /* nothing may be told any more */
} Run;

/* Files of the process; libFuzzer runs one input after the other in it. */
static Ground ground;

static void
ground_remove(void)
{
    g_unlink(ground.path);
    g_rmdir(ground.directory);
    g_object_unref(ground.listener);
    g_main_context_unref(ground.context);
    g_free(ground.path);
    g_free(ground.directory);
}

static void
ground_prepare(void)
{
    g_autoptr(GSocketAddress) address = NULL;

    if (ground.context)
        return;
    ground.context = g_main_context_new();
    ground.directory = g_dir_make_tmp("vadm-fuzz-XXXXXX", NULL);
    ground.path = g_build_filename(ground.directory, "sock", NULL);
    address = g_unix_socket_address_new(ground.path);
    ground.listener =
        g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, NULL);
    if (!g_socket_bind(ground.listener, address, TRUE, NULL) ||
        !g_socket_listen(ground.listener, NULL))
        g_error("cannot listen on %s", ground.path);
    atexit(ground_remove);
}

/* The owner */

static void on_reply(VadmSession *session, const VadmMessage *reply, const GError *error,
                     gpointer user);

static void
run_call(Run *run)
{
    run->made++;
    vadm_session_call(run->session, run->first.program, run->first.procedure, NULL, NULL, 0,
                      on_reply, run);
}

static void
on_closed(gpointer user)
{
    ((Run *)user)->closes++;
}

static void
run_act(Run *run)
{
    Act act = run->act;

    run->act = ACT_NONE;
    if (act == ACT_CALL)
        run_call(run);
    if (act == ACT_FREE)
        vadm_session_free(run->session);
    if (act == ACT_CLOSE)
        vadm_session_close_gracefully(run->session, 1000, on_closed, run);
    if (act != ACT_FREE && act != ACT_CLOSE)
        return;
    run->session = NULL;
    run->over = TRUE;
}

static void
check_reply(const Run *run, const VadmMessage *reply)
{
    g_autofree char *text G_GNUC_UNUSED = vadm_message_get_error(reply, NULL, NULL);
    g_autofree gpointer payload = NULL;
    xdrproc_t proc;
    gsize size;

    if (reply->header.program != run->first.program ||
        reply->header.procedure != run->first.procedure)
        g_error("a reply to something else");
    if (!payload_of(&reply->header, &proc, &size) || !proc)
        return;
    payload = g_malloc0(size);
    vadm_message_decode(reply, proc, payload, NULL);
    xdr_free(proc, payload);
}

static void
on_reply(VadmSession *session, const VadmMessage *reply, const GError *error, gpointer user)
{
    Run *run = user;

    if (run->over || session != run->session || !reply == !error)
        g_error("told what nobody is to be told");
    run->told++;
    if (reply)
        check_reply(run, reply);
    run_act(run);
}

static void
on_opened(VadmSession *session, gpointer user)
{
    const Run *run = user;

    if (run->over || session != run->session || run->ends > 0)
        g_error("opened, but why");
}

static void
on_ended(VadmSession *session, VadmSessionEnd end G_GNUC_UNUSED, const GError *error,
         const VadmMessage *reply G_GNUC_UNUSED, gpointer user)
{
    Run *run = user;

    if (run->over || session != run->session || !error || run->ends++ > 0)
        g_error("ended, but how");
}

static const VadmSessionHandlers handlers = {.opened = on_opened, .ended = on_ended};

/* The daemon */

static void
settle(void)
{
    while (g_main_context_iteration(ground.context, FALSE)) {
    }
}

/* Returns: FALSE when the session reads no more */
static gboolean
daemon_send(int fd, const guint8 *data, gsize size)
{
    while (size > 0) {
        gssize put = send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (put < 0 && errno != EAGAIN)
            return FALSE;
        if (put > 0) {
            data += put;
            size -= (gsize)put;
        }
        settle();
    }
    return TRUE;
}

static void
daemon_answer_open(int fd)
{
    const VadmRpcHeader header = {
        .program = VADM_RPC_PROGRAM_ADMIN,
        .version = VADM_RPC_VERSION,
        .procedure = VADM_ADMIN_PROC_CONNECT_OPEN,
        .type = VADM_RPC_REPLY,
    };
    g_autoptr(VadmMessage) reply = vadm_message_new(&header, NULL, NULL, NULL);

    daemon_send(fd, reply->data, reply->length);
}

/* The way it is cut varies with the last octet. */
static void
daemon_play(int fd, const guint8 *data, gsize size)
{
    gsize chunk = 1 + data[size - 1];

    while (size > 0 && daemon_send(fd, data, MIN(chunk, size))) {
        data += MIN(chunk, size);
        size -= MIN(chunk, size);
    }
}

static void
run_finish(Run *run)
{
    gint64 deadline = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;

    while (run->session && run->ends == 0 && g_get_monotonic_time() < deadline)
        g_main_context_iteration(ground.context, FALSE);
    settle();
    if (run->session && (run->ends != 1 || run->told != run->made))
        g_error("%u calls, %u told, %u ends", run->made, run->told, run->ends);
    run->over = TRUE;
    g_clear_pointer(&run->session, vadm_session_free);
    settle();
}

static void
first_header(const guint8 *data, gsize size, VadmRpcHeader *header)
{
    guint32 words[VADM_RPC_LENGTH_MIN / 4] = {0};

    memcpy(words, data, MIN(size, sizeof words));
    header->program = GUINT32_FROM_BE(words[1]);
    header->procedure = (gint32)GUINT32_FROM_BE(words[3]);
    header->serial = GUINT32_FROM_BE(words[5]);
}

/* What the owner does varies with the input. */
static guint32
hash(const guint8 *data, gsize size)
{
    guint32 sum = 5381;

    while (size-- > 0)
        sum = sum * 33 + *data++;
    return sum;
}

int
LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    VadmSessionOptions options = {.max_in_flight = CALLS - 1};
    g_autoptr(GSocket) peer = NULL;
    gboolean opening;
    Run run = {.made = 0};

    if (size == 0)
        return 0;
    opening = hash(data, size) % 8 == 0; /* the input answers CONNECT_OPEN */
    ground_prepare();
    options.path = ground.path;
    first_header(data, size, &run.first);
    run.act = hash(data, size) / 8 % ACT_LAST;
    run.session = vadm_session_open(&options, ground.context, &handlers, &run);
    for (guint i = 0; i < CALLS; i++)
        run_call(&run);
    if (opening)
        run.session->calls.next_serial = run.first.serial;
    settle();
    peer = g_socket_accept(ground.listener, NULL, NULL);
    if (!opening) {
        run.session->calls.next_serial = run.first.serial;
        daemon_answer_open(g_socket_get_fd(peer));
    }
    daemon_play(g_socket_get_fd(peer), data, size);
    g_socket_close(peer, NULL);
    run_finish(&run);
    return 0;
}
