/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "admin-fixture.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "admin/admin-program.h"
#include "unit.h"

/* A program that serves nobody: for the clients that are only looked at. */
static gboolean
idle_handles(VadmProgram *program, guint32 number, guint32 version)
{
    (void)program;
    (void)number;
    (void)version;
    return FALSE;
}

static void
idle_call(VadmProgram *program, VadmClient *client, VadmMessage *message)
{
    (void)program;
    (void)client;
    vadm_message_free(message);
}

static void
idle_free(VadmProgram *program)
{
    g_free(program);
}

static const VadmProgramClass idle_class = {
    .name = "idle", .handles = idle_handles, .call = idle_call, .free = idle_free};

static VadmProgram *
make_program(VadmServer *server, gpointer user)
{
    VadmProgram *idle;

    (void)user;
    if (vadm_server_get_config(server)->program == VADM_PROGRAM_ADMIN)
        return vadm_admin_program_new(server);
    idle = g_new0(VadmProgram, 1);
    idle->class = &idle_class;
    return idle;
}

static void
count_quit(gpointer user)
{
    AdminFixture *fixture = user;

    atomic_fetch_add(&fixture->quits, 1);
}

/* The defaults, with sockets and log in the test's folder. */
static VadmConfig *
make_config(AdminFixture *fixture)
{
    VadmConfig *config = vadm_config_new();
    GError *error = NULL;

    for (guint i = 0; i < config->servers->len; i++) {
        VadmServerConfig *server = g_ptr_array_index(config->servers, i);

        for (guint j = 0; j < server->listens->len; j++) {
            VadmListenConfig *listen = g_ptr_array_index(server->listens, j);
            g_autofree char *base = g_path_get_basename(listen->path);

            g_free(listen->path);
            g_free(listen->text);
            listen->path = g_build_filename(fixture->dir, base, NULL);
            listen->text = g_strconcat("unix:", listen->path, NULL);
        }
    }
    g_free(config->state_dir);
    config->state_dir = g_strdup(fixture->dir);
    g_free(config->log_outputs);
    g_free(config->log_default_outputs);
    config->log_outputs = g_strdup_printf("4:file:%s/test.log", fixture->dir);
    config->log_default_outputs = g_strdup("4:stderr");
    config->log_set =
        vadm_log_set_new(fixture->log, (int)config->log_level, config->log_filters,
                         config->log_outputs, config->log_default_outputs, NULL, &error);
    ck_assert_msg(!error, "%s", error ? error->message : "");
    return config;
}

static void
announce(AdminFixture *fixture)
{
    VADM_LOCK_SCOPE(&fixture->lock);
    fixture->started = TRUE;
    vadm_cond_signal(&fixture->ready);
}

static void *
run_daemon(void *data)
{
    AdminFixture *fixture = data;
    g_autoptr(GMainContext) context = g_main_context_new();
    VadmDaemonHooks hooks = {.make_program = make_program, .quit = count_quit, .user = fixture};
    g_autoptr(VadmConfig) config = make_config(fixture);
    GError *error = NULL;

    g_main_context_push_thread_default(context);
    fixture->loop = g_main_loop_new(context, FALSE);
    fixture->daemon = vadm_daemon_new(config, fixture->log, context, &hooks, &error);
    ck_assert_msg(fixture->daemon != NULL, "%s", error ? error->message : "");
    ck_assert_msg(vadm_daemon_listen(fixture->daemon, &error), "%s", error ? error->message : "");
    announce(fixture);
    g_main_loop_run(fixture->loop);
    vadm_daemon_free(fixture->daemon);
    g_main_loop_unref(fixture->loop);
    g_main_context_pop_thread_default(context);
    return NULL;
}

AdminFixture *
admin_fixture_new(void)
{
    AdminFixture *fixture = g_new0(AdminFixture, 1);

    fixture->dir = g_dir_make_tmp("vadm-admin-XXXXXX", NULL);
    ck_assert_ptr_nonnull(fixture->dir);
    fixture->log = vadm_log_new("test-admin", "0");
    vadm_log_set_default(fixture->log);
    vadm_mutex_init(&fixture->lock);
    vadm_cond_init(&fixture->ready);
    ck_assert_int_eq(pthread_create(&fixture->thread, NULL, run_daemon, fixture), 0);
    vadm_mutex_lock(&fixture->lock);
    while (!fixture->started)
        vadm_cond_wait(&fixture->ready, &fixture->lock);
    vadm_mutex_unlock(&fixture->lock);
    return fixture;
}

static void
shutdown_done(gboolean clean, gpointer user)
{
    AdminFixture *fixture = user;

    ck_assert(clean);
    g_main_loop_quit(fixture->loop);
}

static void
shutdown_daemon(gpointer user)
{
    AdminFixture *fixture = user;

    vadm_daemon_shutdown(fixture->daemon, shutdown_done, fixture);
}

static void
remove_dir(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir))) {
        g_autofree char *file = g_build_filename(path, name, NULL);

        g_unlink(file);
    }
    g_rmdir(path);
}

void
admin_fixture_free(AdminFixture *fixture)
{
    vadm_mailbox_post(vadm_daemon_get_mailbox(fixture->daemon), shutdown_daemon, fixture, NULL);
    pthread_join(fixture->thread, NULL);
    vadm_log_set_default(NULL);
    vadm_log_free(fixture->log, G_USEC_PER_SEC);
    vadm_cond_clear(&fixture->ready);
    vadm_mutex_clear(&fixture->lock);
    remove_dir(fixture->dir);
    g_free(fixture->dir);
    g_free(fixture);
}

static int
connect_to(AdminFixture *fixture, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = ADMIN_PATIENCE_SECONDS};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", fixture->dir, name);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    ck_assert_msg(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "%s: %s",
                  address.sun_path, g_strerror(errno));
    return fd;
}

int
admin_connect(AdminFixture *fixture)
{
    return connect_to(fixture, "virtadm-admin-sock");
}

int
admin_connect_idle(AdminFixture *fixture)
{
    return connect_to(fixture, "libvirt-sock");
}

void
admin_send(int fd, const VadmMessage *message)
{
    ck_assert_int_eq(send(fd, message->data, message->length, MSG_NOSIGNAL),
                     (gssize)message->length);
}

VadmMessage *
admin_receive(int fd)
{
    guint32 word;
    guint8 *data;
    gssize got = recv(fd, &word, sizeof(word), MSG_WAITALL);
    gsize length;

    if (got == 0 || (got < 0 && errno == ECONNRESET))
        return NULL;
    ck_assert_int_eq(got, sizeof(word));
    length = GUINT32_FROM_BE(word);
    ck_assert_uint_ge(length, VADM_RPC_LENGTH_MIN);
    ck_assert_uint_le(length, VADM_RPC_LENGTH_MAX);
    data = g_malloc(length);
    memcpy(data, &word, sizeof(word));
    if (length > sizeof(word))
        ck_assert_int_eq(recv(fd, data + sizeof(word), length - sizeof(word), MSG_WAITALL),
                         (gssize)(length - sizeof(word)));
    return vadm_message_new_take(data, length);
}

gboolean
admin_at_end(int fd)
{
    g_autoptr(VadmMessage) message = admin_receive(fd);

    return message == NULL;
}

VadmMessage *
admin_new_call(gint32 procedure, xdrproc_t encode, gconstpointer args)
{
    VadmRpcHeader header = {
        VADM_RPC_PROGRAM_ADMIN, VADM_RPC_VERSION, procedure, VADM_RPC_CALL, 7, VADM_RPC_OK};
    GError *error = NULL;
    VadmMessage *call = vadm_message_new(&header, encode, args, &error);

    ck_assert_msg(call != NULL, "%s", error ? error->message : "");
    return call;
}

VadmMessage *
admin_call(int fd, gint32 procedure, xdrproc_t encode, gconstpointer args)
{
    g_autoptr(VadmMessage) call = admin_new_call(procedure, encode, args);

    admin_send(fd, call);
    return admin_receive(fd);
}

VadmMessage *
admin_call_raw(int fd, const VadmRpcHeader *header, const guint8 *payload, gsize length)
{
    g_autoptr(VadmMessage) bare = vadm_message_new(header, NULL, NULL, NULL);
    gsize whole = bare->length + length;
    guint8 *data = g_malloc(whole);
    guint32 word = GUINT32_TO_BE((guint32)whole);
    g_autoptr(VadmMessage) call = NULL;

    memcpy(data, bare->data, bare->length);
    memcpy(data, &word, sizeof(word));
    if (length > 0)
        memcpy(data + bare->length, payload, length);
    call = vadm_message_new_take(data, whole);
    admin_send(fd, call);
    return admin_receive(fd);
}

static void
assert_status(const VadmMessage *reply, VadmRpcStatus status)
{
    g_autofree char *text = NULL;

    ck_assert_msg(reply != NULL, "the connection ended instead of a reply");
    ck_assert_uint_eq(reply->header.type, VADM_RPC_REPLY);
    if (reply->header.status == VADM_RPC_ERROR)
        text = vadm_message_get_error(reply, NULL, NULL);
    ck_assert_msg(reply->header.status == status, "status %u: %s", reply->header.status,
                  text ? text : "success");
}

void
admin_assert_ok(VadmMessage *reply)
{
    gsize length;

    assert_status(reply, VADM_RPC_OK);
    vadm_message_payload(reply, &length);
    ck_assert_uint_eq(length, 0);
    vadm_message_free(reply);
}

void
admin_assert_ret(VadmMessage *reply, xdrproc_t decode, gpointer ret)
{
    assert_status(reply, VADM_RPC_OK);
    ck_assert(vadm_message_decode(reply, decode, ret, NULL));
    vadm_message_free(reply);
}

void
admin_assert_error(VadmMessage *reply, int number, int domain, const char *text)
{
    vadm_rpc_error error = {0};
    gboolean flags = strstr(text, "unsupported flags") == text;
    const char *prefix = flags ? "" : vadm_rpc_error_prefix(number);

    assert_status(reply, VADM_RPC_ERROR);
    ck_assert(vadm_message_decode(reply, (xdrproc_t)xdr_vadm_rpc_error, &error, NULL));
    ck_assert_str_eq(*error.message, text);
    ck_assert_int_eq(error.code, number);
    ck_assert_int_eq(error.domain, domain);
    ck_assert_int_eq(error.level, 2);
    ck_assert_ptr_null(error.dom);
    ck_assert_ptr_null(error.str3);
    ck_assert_ptr_null(error.net);
    ck_assert_int_eq(error.int2, flags ? 0 : -1);
    if (!flags) {
        ck_assert(g_str_has_prefix(text, prefix));
        ck_assert(g_str_has_prefix(*error.str1, prefix));
        ck_assert_str_eq(*error.str1 + strlen(prefix), "%s");
        ck_assert_str_eq(*error.str2, text + strlen(prefix));
    }
    xdr_free((xdrproc_t)xdr_vadm_rpc_error, &error);
    vadm_message_free(reply);
}

VadmMessage *
admin_set_pool(int conn, const char *server, vadm_typed_param *params, u_int count, u_int flags)
{
    return ADMIN_CALL(conn, VADM_ADMIN_PROC_SERVER_SET_THREADPOOL_PARAMETERS,
                      vadm_admin_server_set_threadpool_parameters_args, {(char *)server},
                      {count, params}, flags);
}

VadmMessage *
admin_set_limits(int conn, const char *server, vadm_typed_param *params, u_int count, u_int flags)
{
    return ADMIN_CALL(conn, VADM_ADMIN_PROC_SERVER_SET_CLIENT_LIMITS,
                      vadm_admin_server_set_client_limits_args, {(char *)server}, {count, params},
                      flags);
}

guint32
admin_pool_value(int conn, const char *server, const char *name)
{
    vadm_admin_server_get_threadpool_parameters_ret ret = {0};
    guint32 value = G_MAXUINT32;

    ADMIN_GET(conn, VADM_ADMIN_PROC_SERVER_GET_THREADPOOL_PARAMETERS,
              vadm_admin_server_get_threadpool_parameters_args,
              vadm_admin_server_get_threadpool_parameters_ret, &ret, {(char *)server}, 0);
    for (u_int i = 0; i < ret.params.params_len; i++) {
        if (strcmp(ret.params.params_val[i].field, name) == 0)
            value = ret.params.params_val[i].value.vadm_typed_param_value_u.ui;
    }
    ADMIN_FREE(vadm_admin_server_get_threadpool_parameters_ret, &ret);
    return value;
}

guint32
admin_limit_value(int conn, const char *server, const char *name)
{
    vadm_admin_server_get_client_limits_ret ret = {0};
    guint32 value = G_MAXUINT32;

    ADMIN_GET(conn, VADM_ADMIN_PROC_SERVER_GET_CLIENT_LIMITS,
              vadm_admin_server_get_client_limits_args, vadm_admin_server_get_client_limits_ret,
              &ret, {(char *)server}, 0);
    for (u_int i = 0; i < ret.params.params_len; i++) {
        if (strcmp(ret.params.params_val[i].field, name) == 0)
            value = ret.params.params_val[i].value.vadm_typed_param_value_u.ui;
    }
    ADMIN_FREE(vadm_admin_server_get_client_limits_ret, &ret);
    return value;
}
