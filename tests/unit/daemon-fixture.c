/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/inet.h"
#include "rpc/rpc-error.h"

Fixture fix;

typedef struct {
    VadmClient *client;
    VadmMessage *message;
} EchoCall;

/* The program */

static VadmMessage *
make_reply(const VadmMessage *call, gconstpointer payload, gsize length)
{
    VadmMessage *reply = make_message(call->header.program, call->header.procedure, VADM_RPC_REPLY,
                                      call->header.serial, VADM_RPC_OK, payload, length);

    return reply;
}

static VadmMessage *
make_echo(const VadmMessage *call)
{
    gsize length;
    const guint8 *payload = vadm_message_payload(call, &length);

    return make_reply(call, payload, length);
}

static VadmMessage *
make_big(const VadmMessage *call)
{
    gsize length;
    const guint8 *payload = vadm_message_payload(call, &length);
    g_autofree guint8 *big = NULL;
    guint32 size;

    ck_assert_uint_ge(length, 4);
    memcpy(&size, payload, 4);
    size = GUINT32_FROM_BE(size);
    big = g_malloc0(size);
    return make_reply(call, big, size);
}

static void
echo_call_free(gpointer data)
{
    EchoCall *call = data;

    vadm_client_unref(call->client);
    vadm_message_free(call->message);
    g_free(call);
}

static gboolean
echo_job(gpointer data)
{
    EchoCall *call = data;
    gint32 procedure = call->message->header.procedure;

    vadm_mutex_lock(&fix.echo.lock);
    fix.echo.hanging++;
    while (procedure == ECHO_HANG && fix.echo.hang)
        vadm_cond_wait(&fix.echo.changed, &fix.echo.lock);
    fix.echo.hanging--;
    vadm_mutex_unlock(&fix.echo.lock);
    vadm_client_post_reply(call->client, make_echo(call->message), procedure == ECHO_CLOSE);
    return TRUE;
}

static void
echo_data_free(gpointer data)
{
    (*(guint *)data)++;
}

static gboolean
echo_handles(VadmProgram *program, guint32 number, guint32 version)
{
    (void)program;
    return number == VADM_RPC_PROGRAM_REMOTE && version == 1;
}

static void
echo_on_call(VadmProgram *program, VadmClient *client, VadmMessage *message)
{
    EchoCall *call = g_new(EchoCall, 1);

    (void)program;
    *call = (EchoCall){vadm_client_ref(client), message};
    fix.echo.calls++;
    g_array_append_val(fix.echo.serials, message->header.serial);
    if (!vadm_client_get_program_data(client))
        vadm_client_set_program_data(client, &fix.echo.data_freed, echo_data_free);
    switch (message->header.procedure) {
    case ECHO_KEEP:
        g_queue_push_tail(&fix.echo.kept, call);
        return;
    case ECHO_WORKER:
    case ECHO_HANG:
    case ECHO_CLOSE:
        vadm_pool_push(vadm_server_get_pool(vadm_client_get_server(client)), FALSE, echo_job, call,
                       echo_call_free);
        return;
    case ECHO_BIG:
        vadm_client_reply(client, make_big(message));
        break;
    case ECHO_PING_ME:
        vadm_client_start_keepalive(client);
        vadm_client_reply(client, make_echo(message));
        break;
    default:
        vadm_client_reply(client, make_echo(message));
        break;
    }
    echo_call_free(call);
}

static void
echo_on_stream(VadmProgram *program, VadmClient *client, VadmMessage *message)
{
    (void)program;
    fix.echo.streams++;
    vadm_client_send(client, message);
}

static void
echo_on_closed(VadmProgram *program, VadmClient *client)
{
    (void)program;
    ck_assert(vadm_client_is_closed(client));
    fix.echo.closed++;
}

static void
echo_on_drained(VadmProgram *program, VadmClient *client)
{
    (void)program;
    (void)client;
    fix.echo.drained++;
}

static void
echo_on_free(VadmProgram *program)
{
    (void)program;
    fix.echo.freed++;
}

static const VadmProgramClass echo_class = {
    .name = "echo",
    .descriptors = TRUE,
    .handles = echo_handles,
    .call = echo_on_call,
    .stream = echo_on_stream,
    .client_closed = echo_on_closed,
    .client_drained = echo_on_drained,
    .free = echo_on_free,
};

void
echo_release(guint32 serial)
{
    for (GList *link = fix.echo.kept.head; link; link = link->next) {
        EchoCall *call = link->data;

        if (call->message->header.serial != serial)
            continue;
        g_queue_delete_link(&fix.echo.kept, link);
        vadm_client_reply(call->client, make_echo(call->message));
        echo_call_free(call);
        return;
    }
    ck_abort_msg("no call with serial %u is kept", serial);
}

void
echo_set_hang(gboolean hang)
{
    VADM_LOCK_SCOPE(&fix.echo.lock);
    fix.echo.hang = hang;
    vadm_cond_broadcast(&fix.echo.changed);
}

guint
echo_count_hanging(void)
{
    VADM_LOCK_SCOPE(&fix.echo.lock);
    return fix.echo.hanging;
}

/* The daemon */

static VadmProgram *
on_make_program(VadmServer *server, gpointer user)
{
    (void)server;
    (void)user;
    return &fix.echo.program;
}

static void
on_quit(gpointer user)
{
    (void)user;
    fix.quits++;
}

static void
set_listen(VadmServerConfig *server, const char *path)
{
    VadmListenConfig *listen = g_ptr_array_index(server->listens, 0);

    g_ptr_array_set_size(server->listens, 1);
    g_free(listen->path);
    g_free(listen->text);
    listen->path = g_strdup(path);
    listen->text = g_strdup_printf("unix:%s", path);
}

void
fixture_setup(void)
{
    VadmServerConfig *server, *admin;

    fix = (Fixture){0};
    fix.folder = g_dir_make_tmp("virtadm-XXXXXX", NULL);
    ck_assert_ptr_nonnull(fix.folder);
    fix.path = g_build_filename(fix.folder, "sock", NULL);
    fix.admin_path = g_build_filename(fix.folder, "admin-sock", NULL);
    fix.echo.program.class = &echo_class;
    fix.echo.serials = g_array_new(FALSE, FALSE, sizeof(guint32));
    vadm_mutex_init(&fix.echo.lock);
    vadm_cond_init(&fix.echo.changed);
    fix.config = vadm_config_new();
    g_free(fix.config->runtime_dir);
    fix.config->runtime_dir = g_strdup(fix.folder);
    server = vadm_config_find_server(fix.config, "libvirtd");
    admin = vadm_config_find_server(fix.config, "admin");
    set_listen(server, fix.path);
    set_listen(admin, fix.admin_path);
    server->limits.workers_min = 1;
}

void
fixture_start(void)
{
    VadmDaemonHooks hooks = {.make_program = on_make_program, .quit = on_quit};
    GError *error = NULL;

    fix.daemon = vadm_daemon_new(fix.config, NULL, NULL, &hooks, &error);
    ck_assert_msg(fix.daemon != NULL, "%s", error ? error->message : "?");
    fix.server = vadm_daemon_find_server(fix.daemon, "libvirtd");
    fix.admin = vadm_daemon_find_server(fix.daemon, "admin");
    ck_assert_msg(vadm_daemon_listen(fix.daemon, &error), "%s", error ? error->message : "?");
}

static void
on_stopped(gboolean clean, gpointer user)
{
    (void)user;
    ck_assert(!fix.stopped);
    fix.stopped = TRUE;
    fix.clean = clean;
}

void
fixture_shutdown_begin(void)
{
    vadm_daemon_shutdown(fix.daemon, on_stopped, NULL);
}

void
fixture_teardown(void)
{
    g_queue_clear_full(&fix.echo.kept, echo_call_free);
    echo_set_hang(FALSE);
    vadm_daemon_free(fix.daemon);
    if (fix.daemon)
        ck_assert_uint_eq(fix.echo.freed, 2);
    vadm_config_unref(fix.config);
    g_unlink(fix.path);
    g_unlink(fix.admin_path);
    ck_assert_int_eq(g_rmdir(fix.folder), 0);
    g_free(fix.path);
    g_free(fix.admin_path);
    g_free(fix.folder);
    g_array_unref(fix.echo.serials);
}

void
turn(void)
{
    if (!g_main_context_iteration(NULL, FALSE))
        g_usleep(200);
}

void
settle(void)
{
    const gint64 until = g_get_monotonic_time() + G_USEC_PER_SEC / 2;

    /* 20 ms and more for other threads, and on a busy machine not as much as ends what is timed */
    for (guint idle = 0; idle < 100 && (idle < 10 || g_get_monotonic_time() < until);) {
        if (g_main_context_iteration(NULL, FALSE))
            continue;
        idle++;
        g_usleep(200);
    }
}

VadmClient *
get_client(guint32 index)
{
    VadmClient *client = NULL;

    SPIN_UNTIL((client = vadm_server_find_client(fix.server, VADM_MATCH_EQ, index)) != NULL);
    return client;
}

void
get_row(VadmServerRow *row)
{
    g_autoptr(VadmConfig) config = vadm_daemon_get_config(fix.daemon);

    vadm_server_fill_row(fix.server, vadm_config_find_server(config, "libvirtd"), row);
}

void
set_limits(const VadmServerLimits *limits)
{
    vadm_server_set_limits(fix.server, limits);
    settle();
}

static guint
count_entries(const char *path)
{
    GDir *dir = g_dir_open(path, 0, NULL);
    guint count = 0;

    ck_assert_ptr_nonnull(dir);
    while (g_dir_read_name(dir))
        count++;
    g_dir_close(dir);
    return count;
}

guint
count_fds(void)
{
    return count_entries("/proc/self/fd");
}

guint
count_threads(void)
{
    return count_entries("/proc/self/task");
}

/* Peers */

static Peer *
peer_new_at(const struct sockaddr *address, socklen_t length)
{
    Peer *peer = g_new0(Peer, 1);

    peer->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(peer->fd, 0);
    ck_assert_msg(connect(peer->fd, address, length) == 0, "connect: %s", g_strerror(errno));
    ck_assert_int_eq(fcntl(peer->fd, F_SETFL, O_NONBLOCK), 0);
    peer->framer = vadm_framer_new();
    return peer;
}

Peer *
peer_new(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    return peer_new_at((struct sockaddr *)&address, sizeof(address));
}

Peer *
peer_new_inet(const VadmInetAddress *address)
{
    struct sockaddr_storage raw;
    socklen_t length = vadm_inet_to_sockaddr(address, &raw);

    return peer_new_at((struct sockaddr *)&raw, length);
}

void
peer_free(Peer *peer)
{
    close(peer->fd);
    vadm_framer_free(peer->framer);
    g_free(peer);
}

gsize
peer_write_some(Peer *peer, gconstpointer data, gsize length)
{
    gssize put = send(peer->fd, data, length, MSG_NOSIGNAL);

    ck_assert_msg(put >= 0 || errno == EAGAIN, "send: %s", g_strerror(errno));
    return put > 0 ? (gsize)put : 0;
}

void
peer_write(Peer *peer, gconstpointer data, gsize length)
{
    gint64 deadline = g_get_monotonic_time() + PATIENCE;

    for (gsize done = 0; done < length;) {
        done += peer_write_some(peer, (const guint8 *)data + done, length - done);
        turn();
        ck_assert(g_get_monotonic_time() < deadline);
    }
}

void
peer_send(Peer *peer, VadmMessage *message)
{
    peer_write(peer, message->data, message->length);
    vadm_message_free(message);
}

/* Returns: FALSE at the end of file */
static gboolean
peer_fill(Peer *peer)
{
    gsize room;
    guint8 *space = vadm_framer_space(peer->framer, 65536, &room);
    gssize got = recv(peer->fd, space, room, 0);

    vadm_framer_filled(peer->framer, got > 0 ? (gsize)got : 0);
    if (got == 0 || (got < 0 && errno == ECONNRESET))
        peer->eof = TRUE;
    else
        ck_assert_msg(got > 0 || errno == EAGAIN, "recv: %s", g_strerror(errno));
    return !peer->eof;
}

VadmMessage *
peer_receive(Peer *peer)
{
    gint64 deadline = g_get_monotonic_time() + PATIENCE;
    VadmMessage *message;

    while (!(message = vadm_framer_next(peer->framer, NULL))) {
        if (!peer_fill(peer))
            return vadm_framer_next(peer->framer, NULL);
        turn();
        ck_assert_msg(g_get_monotonic_time() < deadline, "nothing comes");
    }
    return message;
}

void
peer_expect_eof(Peer *peer)
{
    g_autoptr(VadmMessage) message = peer_receive(peer);

    ck_assert_ptr_null(message);
}

gboolean
peer_is_silent(Peer *peer)
{
    guint8 octet;

    settle();
    return vadm_framer_pending(peer->framer) == 0 && recv(peer->fd, &octet, 1, MSG_PEEK) < 0 &&
           errno == EAGAIN;
}

/* Messages */

static void
put_word(guint8 *at, guint32 word)
{
    word = GUINT32_TO_BE(word);
    memcpy(at, &word, 4);
}

static void G_GNUC_NORETURN
nobody_main(void)
{
    struct pollfd ready = {.events = POLLIN};
    char octet;

    if (setgid(65534) != 0 || setuid(65534) != 0)
        _exit(2);
    ready.fd = peer_new(fix.admin_path)->fd;
    if (poll(&ready, 1, (int)(PATIENCE / G_TIME_SPAN_MILLISECOND)) != 1)
        _exit(3);
    _exit(read(ready.fd, &octet, 1) == 0 ? 0 : 4);
}

void
connect_as_nobody(void)
{
    int status = -1;
    pid_t child;

    ck_assert_int_eq(chmod(fix.folder, 0755), 0);
    ck_assert_int_eq(chmod(fix.admin_path, 0666), 0);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        nobody_main();
    SPIN_UNTIL(waitpid(child, &status, WNOHANG) == child);
    ck_assert_int_eq(status, 0);
}

VadmMessage *
make_message(guint32 program, gint32 procedure, guint32 type, guint32 serial, guint32 status,
             gconstpointer payload, gsize length)
{
    gsize total = VADM_RPC_LENGTH_MIN + length;
    guint8 *data = g_malloc0(total);
    const guint32 words[] = {(guint32)total, program, 1, (guint32)procedure, type, serial, status};

    for (gsize i = 0; i < G_N_ELEMENTS(words); i++)
        put_word(data + 4 * i, words[i]);
    if (length > 0)
        memcpy(data + VADM_RPC_LENGTH_MIN, payload, length);
    return vadm_message_new_take(data, total);
}

VadmMessage *
make_call(gint32 procedure, guint32 serial, const char *payload)
{
    return make_message(VADM_RPC_PROGRAM_REMOTE, procedure, VADM_RPC_CALL, serial, VADM_RPC_OK,
                        payload, strlen(payload));
}

void
peer_call(Peer *peer, gint32 procedure, guint32 serial, const char *payload)
{
    peer_send(peer, make_call(procedure, serial, payload));
}

void
peer_expect_reply(Peer *peer, guint32 serial, const char *payload)
{
    g_autoptr(VadmMessage) reply = peer_receive(peer);
    const guint8 *got;
    gsize length;

    ck_assert_ptr_nonnull(reply);
    ck_assert_uint_eq(reply->header.type, VADM_RPC_REPLY);
    ck_assert_uint_eq(reply->header.status, VADM_RPC_OK);
    ck_assert_uint_eq(reply->header.serial, serial);
    got = vadm_message_payload(reply, &length);
    ck_assert_uint_eq(length, strlen(payload));
    ck_assert_mem_eq(got, payload, length);
}

void
peer_expect_error(Peer *peer, guint32 serial, int code, int domain, const char *text)
{
    g_autoptr(VadmMessage) reply = peer_receive(peer);
    g_autofree char *message = NULL;
    int got_code, got_domain;

    ck_assert_ptr_nonnull(reply);
    ck_assert_uint_eq(reply->header.type, VADM_RPC_REPLY);
    ck_assert_uint_eq(reply->header.status, VADM_RPC_ERROR);
    ck_assert_uint_eq(reply->header.serial, serial);
    message = vadm_message_get_error(reply, &got_code, &got_domain);
    ck_assert_str_eq(message, text);
    ck_assert_int_eq(got_code, code);
    ck_assert_int_eq(got_domain, domain);
}

void
peer_ping(Peer *peer)
{
    peer_send(peer, make_message(VADM_RPC_PROGRAM_KEEPALIVE, 1, VADM_RPC_EVENT, 0, 0, NULL, 0));
}

void
peer_expect_pong(Peer *peer)
{
    g_autoptr(VadmMessage) pong = peer_receive(peer);

    ck_assert_ptr_nonnull(pong);
    ck_assert_uint_eq(pong->header.program, VADM_RPC_PROGRAM_KEEPALIVE);
    ck_assert_int_eq(pong->header.procedure, 2);
    ck_assert_uint_eq(pong->header.type, VADM_RPC_EVENT);
}
