/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon-private.h"

#include <string.h>
#include <sys/stat.h>

#include "daemon/server-private.h"

#define VADM_LOG_CATEGORY "daemon.daemon"
#include "common/log.h"

typedef enum {
    VADM_DAEMON_RUNNING,
    VADM_DAEMON_STOPPING, /* jobs end, in a thread that waits for them */
    VADM_DAEMON_FLUSHING, /* replies are written, clients closed */
    VADM_DAEMON_STOPPED
} VadmDaemonPhase;

struct _VadmDaemon {
    /* Constant. */
    VadmConfig *start_config; /* what cannot change is read from it */
    VadmLog *log;
    GMainContext *context;
    VadmDaemonHooks hooks;
    gint64 start_time;
    char *uri;
    GPtrArray *servers; /* of VadmServer, in the order of their index */

    VadmEvents events;
    VadmStore store;
    VadmMailbox *mailbox;
    VadmResolver *resolver;
    VadmBudget *budget;
    VadmTlsGate *tls_gate; /* NULL: nobody wants it */

    /* Main thread. */
    VadmDaemonPhase phase;
    guint64 clients;   /* of all servers */
    guint32 timeout;   /* seconds, 0: none */
    GSource *idle;     /* its ready time is when the timeout strikes, -1: not armed */
    gboolean quitting; /* the hook has been called */

    pthread_t stopper;
    gboolean has_stopper;
    gboolean clean; /* written by the stopper, read after it has posted */
    void (*done)(gboolean clean, gpointer user);
    gpointer done_user;
};

/* The daemon's end by itself */

static void
vadm_daemon_quit(gpointer data)
{
    VadmDaemon *daemon = data;

    if (daemon->quitting)
        return;
    daemon->quitting = TRUE;
    if (daemon->hooks.quit)
        daemon->hooks.quit(daemon->hooks.user);
}

static gboolean
vadm_daemon_idle(GSource *source, GSourceFunc callback, gpointer user)
{
    VadmDaemon *daemon = user;

    (void)callback;
    g_source_set_ready_time(source, -1);
    VADM_INFO("No client for %u seconds: ending", daemon->timeout);
    vadm_daemon_quit(daemon);
    return G_SOURCE_CONTINUE;
}

/* A source of our own, since timeouts of GLib count 32 bits of milliseconds. */
static void
vadm_daemon_update_idle(VadmDaemon *daemon)
{
    gboolean armed =
        daemon->timeout > 0 && daemon->clients == 0 && daemon->phase == VADM_DAEMON_RUNNING;

    g_source_set_ready_time(daemon->idle, armed ? g_get_monotonic_time() +
                                                      (gint64)daemon->timeout * G_USEC_PER_SEC
                                                : -1);
}

typedef struct {
    VadmDaemon *daemon;
    guint32 seconds;
} VadmTimeoutMail;

static void
vadm_daemon_timeout_set(gpointer data)
{
    VadmTimeoutMail *mail = data;

    mail->daemon->timeout = mail->seconds;
    vadm_daemon_update_idle(mail->daemon);
    g_free(mail);
}

void
vadm_daemon_set_timeout(VadmDaemon *daemon, guint32 seconds)
{
    VadmTimeoutMail *mail = g_new(VadmTimeoutMail, 1);

    *mail = (VadmTimeoutMail){daemon, seconds};
    vadm_mailbox_post(daemon->mailbox, vadm_daemon_timeout_set, mail, g_free);
}

/* In the mailbox it comes behind the replies; the shutdown that follows writes them out. */
void
vadm_daemon_post_quit(VadmDaemon *daemon)
{
    vadm_mailbox_post(daemon->mailbox, vadm_daemon_quit, daemon, NULL);
}

/* Life */

static gboolean
vadm_daemon_make_servers(VadmDaemon *daemon, GError **error)
{
    GPtrArray *configs = daemon->start_config->servers;

    for (guint i = 0; i < configs->len; i++) {
        VadmServer *server =
            vadm_server_new(daemon, g_ptr_array_index(configs, i), daemon->context, error);

        if (!server)
            return FALSE;
        g_ptr_array_add(daemon->servers, server);
        vadm_server_take_program(server, daemon->hooks.make_program(server, daemon->hooks.user));
        if (!vadm_server_start_tls(server, error))
            return FALSE;
    }
    return TRUE;
}

static char *
vadm_daemon_make_uri(const VadmConfig *config)
{
    for (guint i = 0; i < config->servers->len; i++) {
        const VadmServerConfig *server = g_ptr_array_index(config->servers, i);

        for (guint j = 0; server->program == VADM_PROGRAM_ADMIN && j < server->listens->len; j++) {
            const VadmListenConfig *listen = g_ptr_array_index(server->listens, j);

            if (listen->transport == VADM_TRANSPORT_UNIX)
                return g_strdup_printf("libvirtd:///system?socket=%s", listen->path);
        }
    }
    return g_strdup("");
}

static void
vadm_daemon_release_server(gpointer server)
{
    vadm_server_free(server);
}

VadmDaemon *
vadm_daemon_new(VadmConfig *config, VadmLog *log, GMainContext *context,
                const VadmDaemonHooks *hooks, GError **error)
{
    static GSourceFuncs idle_funcs = {.dispatch = vadm_daemon_idle};
    VadmDaemon *daemon = g_new0(VadmDaemon, 1);

    daemon->start_config = vadm_config_ref(config);
    daemon->log = log;
    daemon->context = context ? g_main_context_ref(context) : NULL;
    daemon->hooks = *hooks;
    daemon->start_time = g_get_real_time();
    daemon->uri = vadm_daemon_make_uri(config);
    daemon->servers = g_ptr_array_new_with_free_func(vadm_daemon_release_server);
    if (config->log_set)
        vadm_log_install(log, config->log_set);
    vadm_events_init(&daemon->events);
    vadm_store_init(&daemon->store, config);
    daemon->mailbox = vadm_mailbox_new(context);
    daemon->resolver = vadm_resolver_new();
    daemon->budget = vadm_budget_new(VADM_DAEMON_BUDGET, VADM_DAEMON_BUDGET_PATIENCE, context);
    daemon->idle = g_source_new(&idle_funcs, sizeof(GSource));
    g_source_set_callback(daemon->idle, NULL, daemon, NULL);
    g_source_attach(daemon->idle, context);
    daemon->store.saver = vadm_saver_new(error);
    if (!daemon->store.saver || !vadm_daemon_make_servers(daemon, error)) {
        vadm_daemon_free(daemon);
        return NULL;
    }
    return daemon;
}

/* The socket's folder is made when it is the one that is ours, and only its last step: a path
 * that does not exist is more likely a mistake than a wish. */
static gboolean
vadm_daemon_make_folder(VadmDaemon *daemon, GError **error)
{
    const char *folder = daemon->start_config->runtime_dir;

    if (!folder || g_file_test(folder, G_FILE_TEST_EXISTS))
        return TRUE;
    if (mkdir(folder, 0755) < 0) {
        if (errno == EEXIST)
            return TRUE;
        vadm_error_set_errno(error, errno, "unable to create directory '%s'", folder);
        return FALSE;
    }
    /* The umask may have taken away what others need to reach the sockets. */
    if (chmod(folder, 0755) < 0) {
        vadm_error_set_errno(error, errno, "unable to set the mode of directory '%s'", folder);
        return FALSE;
    }
    return TRUE;
}

static gboolean
vadm_daemon_is_own_socket(VadmDaemon *daemon, const struct stat *socket)
{
    for (guint i = 0; i < daemon->servers->len; i++) {
        const VadmServerConfig *config =
            vadm_server_get_config(g_ptr_array_index(daemon->servers, i));

        for (guint j = 0; j < config->listens->len; j++) {
            const VadmListenConfig *listen = config->listens->pdata[j];
            struct stat own;

            if (listen->path && stat(listen->path, &own) == 0 && own.st_dev == socket->st_dev &&
                own.st_ino == socket->st_ino)
                return TRUE;
        }
    }
    return FALSE;
}

/* The configuration compares names; a folder may have several (/var/run). A relay to itself would
 * call itself until nothing is left. */
static gboolean
vadm_daemon_check_upstreams(VadmDaemon *daemon, GError **error)
{
    for (guint i = 0; i < daemon->servers->len; i++) {
        const VadmServerConfig *config =
            vadm_server_get_config(g_ptr_array_index(daemon->servers, i));
        const char *const paths[] = {config->upstream, config->upstream_ro};

        for (guint j = 0; j < G_N_ELEMENTS(paths); j++) {
            struct stat st;

            if (!paths[j] || stat(paths[j], &st) < 0 || !vadm_daemon_is_own_socket(daemon, &st))
                continue;
            g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG,
                        "server '%s': upstream '%s' is a socket of our own", config->name,
                        paths[j]);
            return FALSE;
        }
    }
    return TRUE;
}

gboolean
vadm_daemon_listen(VadmDaemon *daemon, GError **error)
{
    gboolean ok = vadm_daemon_make_folder(daemon, error);

    for (guint i = 0; ok && i < daemon->servers->len; i++)
        ok = vadm_server_listen(g_ptr_array_index(daemon->servers, i), error);
    ok = ok && vadm_daemon_check_upstreams(daemon, error);
    for (guint i = 0; i < daemon->servers->len; i++) {
        if (ok)
            vadm_server_start(g_ptr_array_index(daemon->servers, i));
        else
            vadm_server_stop_listening(g_ptr_array_index(daemon->servers, i));
    }
    return ok;
}

/* Shutdown: the main loop runs on through all phases, for jobs may need it to end. */

static void
vadm_daemon_each_client(VadmDaemon *daemon, void (*run)(VadmClient *client))
{
    for (guint i = 0; i < daemon->servers->len; i++) {
        g_autoptr(GPtrArray) clients =
            vadm_server_list_clients(g_ptr_array_index(daemon->servers, i));

        for (guint j = 0; j < clients->len; j++)
            run(g_ptr_array_index(clients, j));
    }
}

static void
vadm_daemon_stopped(gpointer data)
{
    VadmDaemon *daemon = data;

    if (daemon->phase == VADM_DAEMON_STOPPED)
        return;
    daemon->phase = VADM_DAEMON_STOPPED;
    if (!daemon->clean)
        VADM_WARN("Some jobs did not end within %u seconds",
                  daemon->start_config->shutdown_timeout);
    if (daemon->done)
        daemon->done(daemon->clean, daemon->done_user);
}

static void
vadm_daemon_check_flushed(VadmDaemon *daemon)
{
    if (daemon->phase == VADM_DAEMON_FLUSHING && daemon->clients == 0)
        vadm_mailbox_post(daemon->mailbox, vadm_daemon_stopped, daemon, NULL);
}

static void
vadm_daemon_flush_client(VadmClient *client)
{
    vadm_client_close_flushed(client, VADM_DISCONNECT_SHUTDOWN);
}

/* Runs in the mailbox behind the replies that the last jobs have posted. */
static void
vadm_daemon_pools_stopped(gpointer data)
{
    VadmDaemon *daemon = data;

    pthread_join(daemon->stopper, NULL);
    daemon->has_stopper = FALSE;
    daemon->phase = VADM_DAEMON_FLUSHING;
    vadm_daemon_each_client(daemon, vadm_daemon_flush_client);
    vadm_daemon_check_flushed(daemon);
}

/* All pools within one deadline. */
static void
vadm_daemon_stop_pools(VadmDaemon *daemon, gint64 timeout_us)
{
    gint64 deadline = g_get_monotonic_time() + timeout_us;

    daemon->clean = TRUE;
    /* None takes new jobs while we wait for another. */
    for (guint i = 0; i < daemon->servers->len; i++) {
        VadmServer *server = g_ptr_array_index(daemon->servers, i);

        if (!server->stopped_pool)
            server->stopped_pool = vadm_pool_stop(server->pool, 0);
    }
    for (guint i = 0; i < daemon->servers->len; i++) {
        VadmServer *server = g_ptr_array_index(daemon->servers, i);
        gint64 left = MAX(0, deadline - g_get_monotonic_time());

        if (!server->stopped_pool)
            server->stopped_pool = vadm_pool_stop(server->pool, left);
        daemon->clean = daemon->clean && server->stopped_pool;
    }
}

static void *
vadm_daemon_stopper(void *data)
{
    VadmDaemon *daemon = data;

    vadm_daemon_stop_pools(daemon, (gint64)daemon->start_config->shutdown_timeout * G_USEC_PER_SEC);
    vadm_mailbox_post(daemon->mailbox, vadm_daemon_pools_stopped, daemon, NULL);
    return NULL;
}

/* Without a thread to wait in, what runs is not waited for. */
static void
vadm_daemon_start_stopper(VadmDaemon *daemon)
{
    int rc = pthread_create(&daemon->stopper, NULL, vadm_daemon_stopper, daemon);

    daemon->has_stopper = rc == 0;
    if (rc == 0)
        return;
    VADM_ERR("Unable to start a thread, not waiting for jobs: %s", g_strerror(rc));
    vadm_daemon_stop_pools(daemon, 0);
    daemon->phase = VADM_DAEMON_FLUSHING;
    vadm_daemon_each_client(daemon, vadm_daemon_flush_client);
    vadm_daemon_check_flushed(daemon);
}

void
vadm_daemon_shutdown(VadmDaemon *daemon, void (*done)(gboolean clean, gpointer user), gpointer user)
{
    if (daemon->phase != VADM_DAEMON_RUNNING)
        return;
    daemon->phase = VADM_DAEMON_STOPPING;
    daemon->done = done;
    daemon->done_user = user;
    vadm_daemon_update_idle(daemon);
    for (guint i = 0; i < daemon->servers->len; i++)
        vadm_server_stop_listening(g_ptr_array_index(daemon->servers, i));
    vadm_daemon_each_client(daemon, vadm_client_stop_taking);
    vadm_daemon_start_stopper(daemon);
}

static void
vadm_daemon_close_client(VadmClient *client)
{
    vadm_client_close(client, VADM_DISCONNECT_SHUTDOWN);
}

gboolean
vadm_daemon_stop_saving(VadmDaemon *daemon, gint64 timeout_us)
{
    if (!vadm_saver_stop(daemon->store.saver, timeout_us))
        return FALSE;
    daemon->store.saver = NULL;
    return TRUE;
}

/* References to clients are in jobs, in the mailbox and with the resolver: they go in this
 * order, then the servers. */
void
vadm_daemon_free(VadmDaemon *daemon)
{
    if (!daemon)
        return;
    if (daemon->has_stopper)
        pthread_join(daemon->stopper, NULL);
    for (guint i = 0; i < daemon->servers->len; i++)
        vadm_server_stop_listening(g_ptr_array_index(daemon->servers, i));
    vadm_daemon_stop_pools(daemon, (gint64)daemon->start_config->shutdown_timeout * G_USEC_PER_SEC);
    if (daemon->store.saver)
        vadm_daemon_stop_saving(daemon, G_MAXINT32 * (gint64)G_USEC_PER_SEC);
    vadm_daemon_each_client(daemon, vadm_daemon_close_client);
    vadm_tls_gate_free(daemon->tls_gate);
    vadm_resolver_free(daemon->resolver);
    vadm_mailbox_close(daemon->mailbox);
    g_ptr_array_unref(daemon->servers);
    vadm_budget_unref(daemon->budget);
    vadm_mailbox_unref(daemon->mailbox);
    g_source_destroy(daemon->idle);
    g_source_unref(daemon->idle);
    vadm_store_clear(&daemon->store);
    vadm_events_clear(&daemon->events);
    vadm_config_unref(daemon->start_config);
    if (daemon->context)
        g_main_context_unref(daemon->context);
    g_free(daemon->uri);
    g_free(daemon);
}

void
vadm_daemon_client_came(VadmDaemon *daemon)
{
    daemon->clients++;
    vadm_daemon_update_idle(daemon);
}

void
vadm_daemon_client_went(VadmDaemon *daemon)
{
    daemon->clients--;
    vadm_daemon_update_idle(daemon);
    vadm_daemon_check_flushed(daemon);
}

/* Reading */

VadmServer *
vadm_daemon_find_server(VadmDaemon *daemon, const char *name)
{
    for (guint i = 0; i < daemon->servers->len; i++) {
        VadmServer *server = g_ptr_array_index(daemon->servers, i);

        if (strcmp(vadm_server_get_name(server), name) == 0)
            return server;
    }
    return NULL;
}

VadmServer *
vadm_daemon_server(VadmDaemon *daemon, VadmMatch match, guint32 index)
{
    for (guint i = 0; i < daemon->servers->len; i++) {
        VadmServer *server = g_ptr_array_index(daemon->servers, i);
        guint32 found = vadm_server_get_index(server);

        if (match == VADM_MATCH_EQ ? found == index : found > index)
            return server;
    }
    return NULL;
}

VadmConfig *
vadm_daemon_get_config(VadmDaemon *daemon)
{
    return vadm_store_get_config(&daemon->store);
}

VadmStore *
vadm_daemon_get_store(VadmDaemon *daemon)
{
    return &daemon->store;
}

VadmEvents *
vadm_daemon_get_events(VadmDaemon *daemon)
{
    return &daemon->events;
}

void
vadm_daemon_begin_event(VadmDaemon *daemon, VadmEventKind kind, VadmEvent *event)
{
    *event = (VadmEvent){
        .kind = kind,
        .at = g_get_monotonic_time(),
        .daemon = {.name = daemon->start_config->name,
                   .uri = daemon->uri,
                   .state = VADM_REACH_UP,
                   .start_time = daemon->start_time},
    };
}

VadmLog *
vadm_daemon_get_log(VadmDaemon *daemon)
{
    return daemon->log;
}

VadmMailbox *
vadm_daemon_get_mailbox(VadmDaemon *daemon)
{
    return daemon->mailbox;
}

VadmResolver *
vadm_daemon_get_resolver(VadmDaemon *daemon)
{
    return daemon->resolver;
}

VadmBudget *
vadm_daemon_get_budget(VadmDaemon *daemon)
{
    return daemon->budget;
}

VadmTlsGate *
vadm_daemon_get_tls_gate(VadmDaemon *daemon, GError **error)
{
    if (!daemon->tls_gate)
        daemon->tls_gate = vadm_tls_gate_new(daemon->context, error);
    return daemon->tls_gate;
}

GMainContext *
vadm_daemon_get_context(VadmDaemon *daemon)
{
    return daemon->context;
}

gint64
vadm_daemon_get_start_time(VadmDaemon *daemon)
{
    return daemon->start_time;
}

const char *
vadm_daemon_get_uri(VadmDaemon *daemon)
{
    return daemon->uri;
}
