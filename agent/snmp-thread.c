/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls net-snmp; docs/agent.md tells why each of its settings is made. */
#include "agent/snmp-thread.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/handler.h"
#include "agent/netsnmp.h"
#include "agent/notify-pdu.h"
#include "agent/transport.h"
#include "common/lock.h"
#include "common/mailbox.h"
#include "mib/lva-mib.h"

#define VADM_LOG_CATEGORY "agent.snmp"
#include "common/log.h"

#define VADM_SNMP_NAME "virtadmd"
/* How long net-snmp waits for its own second half, which hands requests to the handler. Must be
 * longer than VADM_SET_DEADLINE_US: it would make a repetition of what is delegated. */
#define VADM_SNMP_INTERNAL_S 10
/* How long the end of the thread waits for the master agent to take the last notifications: less
 * than the program waits for the thread. */
#define VADM_SNMP_LAST_WORDS_US (500 * G_TIME_SPAN_MILLISECOND)
/* More hops than a request makes within net-snmp. */
#define VADM_SNMP_FLUSH_ROUNDS 16

struct _VadmSnmpThread {
    pthread_t thread;
    char *master, *context, *name;
    guint retry_interval;
    VadmMailbox *mailbox; /* wakes the thread; the source's completions come through it */
    atomic_bool stopping;
    atomic_bool connected;

    VadmMutex lock;
    VadmCond cond;
    gboolean ended; /* under lock */

    /* snmp thread only */
    VadmSource *source;
    VadmHandler *handler;
    VadmNotify *notify;
    VadmNotifyPdus *pdus;
    netsnmp_session *session;  /* with the master; valid while there is session_fd */
    int session_fd;            /* of the open session, -1: none */
    gboolean refused;          /* the master would not register the MIB in this session */
    gboolean refusal_known;    /* and that has been logged */
    gboolean notify_refused;   /* the master refused one in this session, and that was logged */
    gint64 notify_due;         /* when notifications are due again, 0: when something happens */
    unsigned int expiry_alarm; /* 0: none */
    gint64 expiry_due;         /* when it goes off */
    char *last_message;        /* what net-snmp said last, so as not to repeat it */
};

/* Messages of net-snmp that tell what we tell ourselves, or that come in the course of things. */
static gboolean
vadm_snmp_is_routine(const char *message)
{
    static const char *const routine[] = {
        "AgentX master disconnected us",
        "AgentX master agent failed to respond to ping",
        "NET-SNMP version",
        "registering pdu failed",
        "Warning: Failed to connect",
        "Failed to create the persistent directory",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(routine); i++) {
        if (g_str_has_prefix(message, routine[i]))
            return TRUE;
    }
    return FALSE;
}

/* The attempts to come back repeat a message every few seconds: only what is new is worth an
 * operator's attention. */
static int
vadm_snmp_log(int major, int minor, void *server_arg, void *client_arg)
{
    const struct snmp_log_message *entry = server_arg;
    VadmSnmpThread *thread = client_arg;
    g_autofree char *message = g_strchomp(g_strdup(entry->msg));
    gboolean quiet;

    (void)major;
    (void)minor;
    /* The only sign of it: net-snmp ignores the result (agentx_registration_callback). */
    if (g_str_has_prefix(message, "registering pdu failed"))
        thread->refused = TRUE;
    quiet = vadm_snmp_is_routine(message) || g_strcmp0(message, thread->last_message) == 0;
    if (quiet || entry->priority >= LOG_DEBUG)
        VADM_DEBUG("%s", message);
    else if (entry->priority <= LOG_ERR)
        VADM_ERR("%s", message);
    else if (entry->priority == LOG_WARNING)
        VADM_WARN("%s", message);
    else
        VADM_INFO("%s", message);
    if (!quiet) {
        g_free(thread->last_message);
        thread->last_message = g_steal_pointer(&message);
    }
    return SNMPERR_SUCCESS;
}

/* What net-snmp opens next within itself is made with these, before we could lay hands on it. The
 * transport sets others for the session with the master. */
static void
vadm_snmp_limit_internal(void)
{
    netsnmp_ds_set_int(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_TIMEOUT, VADM_SNMP_INTERNAL_S);
    netsnmp_ds_set_int(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_RETRIES, 0);
}

/* When a session ends, net-snmp may be within a reading of all its sessions, and vadm_snmp_flush()
 * reads its internal pipes first. The outer reading then comes to a pipe that is empty by now, and
 * would wait in read() for ever. The socket of the master is non-blocking anyhow. */
static void
vadm_snmp_unblock(int n, netsnmp_large_fd_set *fds)
{
    for (int fd = 0; fd < n; fd++) {
        if (NETSNMP_LARGE_FD_ISSET(fd, fds))
            (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    }
}

static void
vadm_snmp_unblock_pipes(void)
{
    netsnmp_large_fd_set fds;
    struct timeval none = {0};
    int n = 0, block = 0;

    netsnmp_large_fd_set_init(&fds, FD_SETSIZE);
    NETSNMP_LARGE_FD_ZERO(&fds);
    snmp_select_info2(&n, &fds, &none, &block);
    vadm_snmp_unblock(n, &fds);
    netsnmp_large_fd_set_cleanup(&fds);
}

/* SNMPD_CALLBACK_INDEX_START: a session is open, its registrations follow. */
static int
vadm_snmp_session_started(int major, int minor, void *server_arg, void *client_arg)
{
    netsnmp_session *session = server_arg;
    VadmSnmpThread *thread = client_arg;
    netsnmp_transport *transport = snmp_sess_transport(snmp_sess_pointer(session));

    (void)major;
    (void)minor;
    session->timeout = VADM_TRANSPORT_ANSWER_S * ONE_SEC;
    session->retries = 0;
    vadm_snmp_unblock_pipes(); /* they are new ones after a ping that failed */
    thread->session = session;
    thread->session_fd = transport ? transport->sock : -1;
    thread->refused = FALSE;
    thread->notify_refused = FALSE;
    vadm_handler_session_started(thread->handler);
    return SNMPERR_SUCCESS;
}

/* Lets net-snmp pass on, within itself, what the handler has answered. Its session with the
 * master, of which fd is the descriptor, is not read meanwhile. */
static void
vadm_snmp_flush(int fd)
{
    int ready = 1;

    for (guint i = 0; i < VADM_SNMP_FLUSH_ROUNDS && ready > 0; i++) {
        netsnmp_large_fd_set fds;
        struct timeval none = {0};
        int n = 0, block = 0;

        netsnmp_check_outstanding_agent_requests();
        netsnmp_large_fd_set_init(&fds, FD_SETSIZE);
        NETSNMP_LARGE_FD_ZERO(&fds);
        snmp_select_info2(&n, &fds, &none, &block);
        NETSNMP_LARGE_FD_CLR(fd, &fds);
        timerclear(&none);
        vadm_snmp_unblock(n, &fds);
        ready = netsnmp_large_fd_set_select(n, &fds, NULL, NULL, &none);
        if (ready > 0)
            snmp_read2(&fds);
        netsnmp_large_fd_set_cleanup(&fds);
    }
}

/* What is delegated or under way within net-snmp must be answered as long as the session is
 * there: net-snmp keeps its address with each SET, and follows it after the session is freed. */
static void
vadm_snmp_end_session(VadmSnmpThread *thread)
{
    vadm_handler_session_stopped(thread->handler);
    if (thread->session_fd >= 0)
        vadm_snmp_flush(thread->session_fd);
    thread->session_fd = -1;
    thread->session = NULL;
    vadm_notify_set_connected(thread->notify, FALSE);
}

static void
vadm_snmp_publish_state(VadmSnmpThread *thread)
{
    gboolean connected = thread->session_fd >= 0 && !thread->refused;

    vadm_notify_set_connected(thread->notify, connected);
    if (connected == atomic_load(&thread->connected))
        return;
    atomic_store(&thread->connected, connected);
    if (!connected) {
        VADM_WARN("lost the master agent at %s; trying again every %u s", thread->master,
                  thread->retry_interval);
        return;
    }
    VADM_INFO("connected to the master agent at %s", thread->master);
    thread->refusal_known = FALSE;
    g_clear_pointer(&thread->last_message, g_free);
}

/* SNMPD_CALLBACK_INDEX_STOP: it may come twice for one session, when the master dies while it
 * is being pinged. */
static int
vadm_snmp_session_stopped(int major, int minor, void *server_arg, void *client_arg)
{
    (void)major;
    (void)minor;
    (void)server_arg;
    vadm_snmp_end_session(client_arg);
    vadm_snmp_publish_state(client_arg); /* the next one may begin before the turn is over */
    vadm_snmp_limit_internal(); /* after a ping that failed the internal session is opened anew */
    return SNMPERR_SUCCESS;
}

static void
vadm_snmp_mail_ready(int fd, void *data)
{
    VadmSnmpThread *thread = data;

    (void)fd;
    vadm_mailbox_dispatch(thread->mailbox);
}

static void
vadm_snmp_expiry_due(unsigned int alarm, void *data)
{
    VadmSnmpThread *thread = data;

    (void)alarm;
    thread->expiry_alarm = 0;
    vadm_handler_expire(thread->handler, g_get_monotonic_time());
}

/* Without an alarm, a view of a manager that went away would pin its configuration until the
 * next request, a pending SET would wait as long as the source, and a notification that was held
 * back for the next event. */
static void
vadm_snmp_arm_expiry(VadmSnmpThread *thread)
{
    gint64 now = g_get_monotonic_time();
    gint64 expiry = vadm_handler_expire(thread->handler, now);
    gint64 due = expiry == 0 || (thread->notify_due != 0 && thread->notify_due < expiry)
                     ? thread->notify_due
                     : expiry;
    gint64 wait = MAX(due - now, 1000); /* net-snmp has no alarm of 0 */
    struct timeval interval = {.tv_sec = (time_t)(wait / G_USEC_PER_SEC),
                               .tv_usec = (suseconds_t)(wait % G_USEC_PER_SEC)};

    if (due == 0 || (thread->expiry_alarm != 0 && thread->expiry_due <= due))
        return;
    if (thread->expiry_alarm != 0)
        snmp_alarm_unregister(thread->expiry_alarm);
    thread->expiry_alarm = snmp_alarm_register_hr(interval, 0, vadm_snmp_expiry_due, thread);
    thread->expiry_due = now + wait;
}

/* Net-snmp takes no notice of a refused registration and would keep a session without the MIB
 * for ever, even after the agent that stood in the way has gone. Ending the session makes it
 * connect and register anew after the usual interval. */
static void
vadm_snmp_leave_refused(VadmSnmpThread *thread)
{
    if (!thread->refused || thread->session_fd < 0)
        return;
    if (!thread->refusal_known)
        VADM_WARN("the master agent at %s refuses to register the MIB in context '%s' (does "
                  "another agent serve it?); trying again every %u s",
                  thread->master, thread->context, thread->retry_interval);
    thread->refusal_known = TRUE;
    shutdown(thread->session_fd, SHUT_RDWR);
}

/* Notifications */

static gboolean
vadm_snmp_send_notification(const VadmNotification *notification, const VadmVarbind *varbinds,
                            guint n, gsize ticket, gpointer user)
{
    VadmSnmpThread *thread = user;

    return thread->session &&
           vadm_notify_pdus_send(thread->pdus, thread->session, notification, varbinds, n, ticket);
}

static void
vadm_snmp_notification_ended(gsize ticket, gboolean answered, long error, gpointer user)
{
    VadmSnmpThread *thread = user;

    if (!answered) {
        vadm_notify_timed_out(thread->notify, ticket);
        return;
    }
    if (error == 0) {
        vadm_notify_answered(thread->notify, ticket);
        return;
    }
    vadm_notify_refused(thread->notify, ticket);
    if (!thread->notify_refused)
        VADM_WARN("the master agent at %s refuses a notification: error %ld", thread->master,
                  error);
    thread->notify_refused = TRUE;
}

/* For mail that has nothing to say: it is enough to be woken. */
static void
vadm_snmp_woken(gpointer data)
{
    (void)data;
}

static void
vadm_snmp_wake(gpointer user)
{
    VadmSnmpThread *thread = user;

    vadm_mailbox_post(thread->mailbox, vadm_snmp_woken, NULL, NULL);
}

/* Net-snmp would otherwise read and write files of the system's snmpd, and load MIBs. */
static void
vadm_snmp_configure_library(void)
{
    char no_mibs[] = "mibs :";

    netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DONT_READ_CONFIGS, 1);
    netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DONT_PERSIST_STATE, 1);
    netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DISABLE_PERSISTENT_LOAD, 1);
    netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DISABLE_PERSISTENT_SAVE, 1);
    netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DONT_LOAD_HOST_FILES, 1);
    /* it would be made for an index of certificates that nobody needs: here it cannot be */
    netsnmp_ds_set_string(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_PERSISTENT_DIR, "/dev/null");
    netsnmp_config_remember(no_mibs);
    netsnmp_set_mib_directory(""); /* nor look for them, in our home directory and elsewhere */
    netsnmp_ds_set_boolean(NETSNMP_DS_APPLICATION_ID, NETSNMP_DS_AGENT_ROLE, 1);
    netsnmp_ds_set_boolean(NETSNMP_DS_APPLICATION_ID, NETSNMP_DS_AGENT_NO_ROOT_ACCESS, 1);
    netsnmp_ds_set_boolean(NETSNMP_DS_APPLICATION_ID, NETSNMP_DS_AGENT_NO_CONNECTION_WARNINGS, 1);
}

static gboolean
vadm_snmp_register(VadmSnmpThread *thread)
{
    static const oid root[] = {LVA_ROOT};

    snmp_register_callback(SNMP_CALLBACK_APPLICATION, SNMPD_CALLBACK_INDEX_START,
                           vadm_snmp_session_started, thread);
    snmp_register_callback(SNMP_CALLBACK_APPLICATION, SNMPD_CALLBACK_INDEX_STOP,
                           vadm_snmp_session_stopped, thread);
    if (!vadm_handler_register(thread->handler, thread->context) ||
        (!*thread->context && !vadm_handler_register(thread->handler, thread->name)) ||
        register_readfd(vadm_mailbox_get_fd(thread->mailbox), vadm_snmp_mail_ready, thread) !=
            FD_REGISTERED_OK) {
        VADM_ERR("net-snmp does not register the MIB: there is no SNMP");
        return FALSE;
    }
    register_sysORTable((oid *)root, G_N_ELEMENTS(root),
                        LVA_MODULE ": administration of libvirt daemons");
    return TRUE;
}

/* The order matters: init_agent, then registrations and the ping interval, then init_snmp,
 * which makes the first attempt to connect. */
static gboolean
vadm_snmp_set_up(VadmSnmpThread *thread)
{
    g_autofree char *target = g_strconcat(VADM_TRANSPORT_PREFIX ":", thread->master, NULL);

    snmp_disable_stderrlog();
    snmp_enable_calllog();
    snmp_register_callback(SNMP_CALLBACK_LIBRARY, SNMP_CALLBACK_LOGGING, vadm_snmp_log, thread);
    vadm_snmp_configure_library();
    vadm_transport_register();
    netsnmp_ds_set_string(NETSNMP_DS_APPLICATION_ID, NETSNMP_DS_AGENT_X_SOCKET, target);
    vadm_snmp_limit_internal();
    if (init_agent(VADM_SNMP_NAME) != 0) {
        VADM_ERR("net-snmp does not start: there is no SNMP");
        return FALSE;
    }
    netsnmp_ds_set_int(NETSNMP_DS_APPLICATION_ID, NETSNMP_DS_AGENT_AGENTX_PING_INTERVAL,
                       (int)thread->retry_interval);
    if (!vadm_snmp_register(thread))
        return FALSE;
    init_snmp(VADM_SNMP_NAME);
    return TRUE;
}

static void
vadm_snmp_turn(VadmSnmpThread *thread, gint64 deadline)
{
    vadm_snmp_leave_refused(thread);
    vadm_snmp_publish_state(thread);
    thread->notify_due = vadm_notify_run(thread->notify, g_get_monotonic_time());
    if (deadline != 0 && (thread->notify_due == 0 || thread->notify_due > deadline))
        thread->notify_due = deadline;
    vadm_snmp_arm_expiry(thread);
    netsnmp_check_outstanding_agent_requests(); /* what has just expired */
    agent_check_and_process(1);
}

/* The last events, that clients are gone since the daemon ends, are still to be sent, and what was
 * held back: nobody would ever say how it ended. */
static void
vadm_snmp_loop(VadmSnmpThread *thread)
{
    gint64 deadline;

    while (!atomic_load(&thread->stopping))
        vadm_snmp_turn(thread, 0);
    deadline = g_get_monotonic_time() + VADM_SNMP_LAST_WORDS_US;
    vadm_notify_finish(thread->notify);
    thread->notify_due = vadm_notify_run(thread->notify, g_get_monotonic_time());
    while (!vadm_notify_is_done(thread->notify) && g_get_monotonic_time() < deadline)
        vadm_snmp_turn(thread, deadline);
}

/* From now on the source completes what it is asked at once, and settles by itself what is under
 * way. */
static void
vadm_snmp_leave_source(VadmSnmpThread *thread)
{
    g_clear_pointer(&thread->source->mailbox, vadm_mailbox_unref);
    vadm_mailbox_close(thread->mailbox);
}

/* snmp_shutdown() frees the argument of every callback that is still registered, so ours go
 * first. It closes the session, which may call the handler once more. */
static void
vadm_snmp_tear_down(VadmSnmpThread *thread)
{
    vadm_snmp_end_session(thread);
    snmp_unregister_callback(SNMP_CALLBACK_APPLICATION, SNMPD_CALLBACK_INDEX_START,
                             vadm_snmp_session_started, thread, 1);
    snmp_unregister_callback(SNMP_CALLBACK_APPLICATION, SNMPD_CALLBACK_INDEX_STOP,
                             vadm_snmp_session_stopped, thread, 1);
    snmp_unregister_callback(SNMP_CALLBACK_LIBRARY, SNMP_CALLBACK_LOGGING, vadm_snmp_log, thread,
                             1);
    unregister_readfd(vadm_mailbox_get_fd(thread->mailbox));
    snmp_shutdown(VADM_SNMP_NAME);
    shutdown_agent();
    vadm_notify_free(thread->notify);
    vadm_notify_pdus_free(thread->pdus);
    vadm_handler_free(thread->handler);
    vadm_snmp_leave_source(thread);
    g_clear_pointer(&thread->last_message, g_free);
    atomic_store(&thread->connected, FALSE);
}

static void *
vadm_snmp_thread_main(void *data)
{
    VadmSnmpThread *thread = data;
    const VadmNotifyHooks hooks = {vadm_snmp_send_notification, vadm_snmp_wake, thread};

    thread->source->mailbox = vadm_mailbox_ref(thread->mailbox);
    thread->pdus = vadm_notify_pdus_new(vadm_snmp_notification_ended, thread);
    thread->notify = vadm_notify_new(vadm_handler_get_mib(thread->handler), &hooks);
    if (vadm_snmp_set_up(thread))
        vadm_snmp_loop(thread);
    vadm_snmp_tear_down(thread);
    vadm_mutex_lock(&thread->lock);
    thread->ended = TRUE;
    vadm_cond_signal(&thread->cond);
    vadm_mutex_unlock(&thread->lock);
    return NULL;
}

static void
vadm_snmp_thread_free(VadmSnmpThread *thread)
{
    vadm_mailbox_unref(thread->mailbox);
    vadm_cond_clear(&thread->cond);
    vadm_mutex_clear(&thread->lock);
    g_free(thread->master);
    g_free(thread->context);
    g_free(thread->name);
    g_free(thread);
}

/* The thread inherits the mask of its creator: signals are the main thread's. */
static gboolean
vadm_snmp_thread_spawn(VadmSnmpThread *thread, GError **error)
{
    sigset_t all, before;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&thread->thread, NULL, vadm_snmp_thread_main, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        vadm_error_set_errno(error, rc, "cannot start the snmp thread");
        return FALSE;
    }
    pthread_setname_np(thread->thread, "snmp");
    return TRUE;
}

VadmSnmpThread *
vadm_snmp_thread_start(const VadmSnmpConfig *config, const VadmSnmpDaemon *daemons, guint n_daemons,
                       GError **error)
{
    static atomic_bool started;
    g_autoptr(GSocketAddress) address = vadm_transport_parse(config->master, error);
    g_autoptr(VadmMailbox) mailbox = NULL;
    VadmSnmpThread *thread;

    if (!address)
        return NULL;
    if (atomic_exchange(&started, TRUE)) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_INTERNAL,
                    "the snmp thread was started before: net-snmp has one state in a process");
        return NULL;
    }
    mailbox = vadm_mailbox_new_polled(error);
    if (!mailbox) {
        g_prefix_error(error, "cannot start the snmp thread: ");
        return NULL;
    }
    thread = g_new0(VadmSnmpThread, 1);
    vadm_mutex_init(&thread->lock);
    vadm_cond_init(&thread->cond);
    thread->master = g_strdup(config->master);
    thread->context = g_strdup(config->context ? config->context : "");
    thread->name = g_strdup(daemons[0].name);
    thread->retry_interval = MAX(config->retry_interval, 1);
    thread->session_fd = -1;
    thread->mailbox = g_steal_pointer(&mailbox);
    thread->source = daemons[0].source;
    (void)n_daemons;
    thread->handler = vadm_handler_new(daemons[0].source, daemons[0].settings, config->writable);
    if (!vadm_snmp_thread_spawn(thread, error)) {
        vadm_handler_free(thread->handler);
        vadm_snmp_thread_free(thread);
        return NULL;
    }
    return thread;
}

gboolean
vadm_snmp_thread_is_connected(VadmSnmpThread *thread)
{
    return atomic_load(&thread->connected);
}

gboolean
vadm_snmp_thread_stop(VadmSnmpThread *thread, gint64 timeout_us)
{
    gint64 deadline = g_get_monotonic_time() + timeout_us;
    gboolean ended;

    atomic_store(&thread->stopping, TRUE);
    vadm_snmp_wake(thread);
    vadm_mutex_lock(&thread->lock);
    while (!thread->ended && vadm_cond_wait_until(&thread->cond, &thread->lock, deadline))
        ;
    ended = thread->ended;
    vadm_mutex_unlock(&thread->lock);
    if (!ended) {
        VADM_WARN("the snmp thread hangs in a call of net-snmp and is left behind");
        pthread_detach(thread->thread);
        return FALSE;
    }
    pthread_join(thread->thread, NULL);
    vadm_snmp_thread_free(thread);
    return TRUE;
}
