/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls net-snmp; docs/agent.md tells why each of its settings is made. */
#include "agent/snmp-thread.h"

#include <signal.h>
#include <stdatomic.h>

#include "agent/contexts.h"
#include "agent/handler.h"
#include "agent/heartbeat.h"
#include "agent/netsnmp.h"
#include "agent/notify-pdu.h"
#include "agent/registrations.h"
#include "agent/snmp-library.h"
#include "agent/transport.h"
#include "common/lock.h"
#include "common/mailbox.h"
#include "mib/lva-mib.h"

#define VADM_LOG_CATEGORY "agent.snmp"
#include "common/log.h"

#define VADM_SNMP_NAME "virtadmd"
/* How long the end of the thread waits for the master agent to take the last notifications: less
 * than the program waits for the thread. */
#define VADM_SNMP_LAST_WORDS_US (500 * G_TIME_SPAN_MILLISECOND)

/* One daemon. */
typedef struct {
    VadmSnmpThread *thread;
    VadmSource *source;
    char *name;
    VadmHandler *handler;
    VadmNotify *notify;
} VadmSnmpServed;

struct _VadmSnmpThread {
    pthread_t thread;
    char *master, *context;
    guint retry_interval;
    VadmMailbox *mailbox; /* wakes the thread; the source's completions come through it */
    VadmHeartbeat *heartbeat;
    atomic_bool stopping;
    atomic_bool connected;

    VadmMutex lock;
    VadmCond cond;
    gboolean ended; /* under lock */

    /* snmp thread only */
    VadmSnmpServed *served; /* n_served of them, for the whole life of the thread */
    guint n_served;
    VadmContexts *contexts;
    VadmRegistrations *registrations;
    VadmNotifyPdus *pdus;
    netsnmp_session *session;  /* with the master; valid while there is session_fd */
    int session_fd;            /* of the open session, -1: none */
    gboolean notify_refused;   /* the master refused one in this session, and that was logged */
    gint64 retry_due;          /* when what was refused is to be registered again, 0: never */
    gint64 notify_due;         /* when notifications are due again, 0: when something happens */
    unsigned int expiry_alarm; /* 0: none */
    gint64 expiry_due;         /* when it goes off */
    gboolean lost;             /* the master agent, at least once */
    char *last_message;        /* what net-snmp said last, so as not to repeat it */
};

static int
vadm_snmp_log(int major, int minor, void *server_arg, void *client_arg)
{
    const struct snmp_log_message *entry = server_arg;
    VadmSnmpThread *thread = client_arg;
    g_autofree char *message = g_strchomp(g_strdup(entry->msg));

    (void)major;
    (void)minor;
    vadm_registrations_note_message(thread->registrations, message);
    vadm_snmp_library_log(entry->priority, message, &thread->last_message);
    return SNMPERR_SUCCESS;
}

/* Sessions */

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
    vadm_snmp_library_unblock_pipes();
    thread->session = session;
    thread->session_fd = transport ? transport->sock : -1;
    thread->notify_refused = FALSE;
    vadm_registrations_session_started(thread->registrations, session, thread->session_fd);
    for (guint i = 0; i < thread->n_served; i++)
        vadm_handler_session_started(thread->served[i].handler);
    return SNMPERR_SUCCESS;
}

/* The one that notifications are of; NULL: the daemon is not served. */
static const char *
vadm_snmp_context(const VadmSnmpServed *served)
{
    return vadm_registrations_get_context(served->thread->registrations, served->handler);
}

/* A daemon that another agent has in all its contexts is that agent's to tell of. */
static void
vadm_snmp_publish_state(VadmSnmpThread *thread)
{
    gboolean connected = vadm_registrations_get_context(thread->registrations, NULL) != NULL;

    for (guint i = 0; i < thread->n_served; i++) {
        VadmSnmpServed *served = &thread->served[i];

        vadm_notify_set_connected(served->notify, vadm_snmp_context(served) != NULL);
    }
    if (connected == atomic_load(&thread->connected))
        return;
    atomic_store(&thread->connected, connected);
    if (!connected) {
        thread->lost = TRUE;
        VADM_WARN("lost the master agent at %s; trying again every %u s", thread->master,
                  thread->retry_interval);
        return;
    }
    /* As loud as what went before. */
    VADM_LOG_AT(thread->lost || thread->last_message ? VADM_LOG_WARN : VADM_LOG_INFO,
                "connected to the master agent at %s", thread->master);
    g_clear_pointer(&thread->last_message, g_free);
}

/* What is delegated or under way within net-snmp must be answered as long as the session is
 * there: net-snmp keeps its address with each SET, and follows it after the session is freed. */
static void
vadm_snmp_end_session(VadmSnmpThread *thread)
{
    vadm_registrations_session_stopped(thread->registrations);
    for (guint i = 0; i < thread->n_served; i++)
        vadm_handler_session_stopped(thread->served[i].handler);
    if (thread->session_fd >= 0)
        vadm_snmp_library_flush(thread->session_fd);
    thread->session_fd = -1;
    thread->session = NULL;
    for (guint i = 0; i < thread->n_served; i++)
        vadm_notify_set_connected(thread->served[i].notify, FALSE);
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
    vadm_snmp_library_limit_internal();
    return SNMPERR_SUCCESS;
}

/* Alarms */

static void
vadm_snmp_mail_ready(int fd, void *data)
{
    VadmSnmpThread *thread = data;

    (void)fd;
    vadm_mailbox_dispatch(thread->mailbox);
}

/* Of two times of which 0 is none. */
static gint64
vadm_snmp_sooner(gint64 a, gint64 b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* Views, transactions and pending phases of all daemons. */
static gint64
vadm_snmp_expire(VadmSnmpThread *thread, gint64 now)
{
    gint64 next = 0;

    for (guint i = 0; i < thread->n_served; i++)
        next = vadm_snmp_sooner(next, vadm_handler_expire(thread->served[i].handler, now));
    return next;
}

static void
vadm_snmp_expiry_due(unsigned int alarm, void *data)
{
    VadmSnmpThread *thread = data;

    (void)alarm;
    thread->expiry_alarm = 0;
    vadm_snmp_expire(thread, g_get_monotonic_time());
}

/* Without an alarm, a view of a manager that went away would pin its configuration until the
 * next request, a pending SET would wait as long as the source, a notification that was held
 * back for the next event, and a context that was refused for anything at all. */
static void
vadm_snmp_arm_expiry(VadmSnmpThread *thread)
{
    gint64 now = g_get_monotonic_time();
    gint64 due = vadm_snmp_sooner(vadm_snmp_expire(thread, now),
                                  vadm_snmp_sooner(thread->notify_due, thread->retry_due));
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

/* Notifications */

static gboolean
vadm_snmp_send_notification(const VadmNotification *notification, const VadmVarbind *varbinds,
                            guint n, gsize ticket, gpointer user)
{
    VadmSnmpServed *served = user;
    VadmSnmpThread *thread = served->thread;
    VadmNotifyPdu pdu = {notification, varbinds, n, vadm_snmp_context(served)};

    return thread->session && pdu.context &&
           vadm_notify_pdus_send(thread->pdus, thread->session, &pdu, ticket, served);
}

static void
vadm_snmp_notification_ended(gsize ticket, gboolean answered, long error, gpointer user)
{
    VadmSnmpServed *served = user;
    VadmSnmpThread *thread = served->thread;

    if (!answered) {
        vadm_notify_timed_out(served->notify, ticket);
        return;
    }
    if (error == 0) {
        vadm_notify_answered(served->notify, ticket);
        return;
    }
    vadm_notify_refused(served->notify, ticket);
    if (!thread->notify_refused)
        VADM_WARN("the master agent at %s refuses a notification: error %ld (daemon '%s')",
                  thread->master, error, served->name);
    thread->notify_refused = TRUE;
}

static gint64
vadm_snmp_notify(VadmSnmpThread *thread)
{
    gint64 now = g_get_monotonic_time();
    gint64 next = 0;

    for (guint i = 0; i < thread->n_served; i++)
        next = vadm_snmp_sooner(next, vadm_notify_run(thread->served[i].notify, now));
    return next;
}

static gboolean
vadm_snmp_all_told(VadmSnmpThread *thread)
{
    for (guint i = 0; i < thread->n_served; i++) {
        if (!vadm_notify_is_done(thread->served[i].notify))
            return FALSE;
    }
    return TRUE;
}

/* For mail that has nothing to say: it is enough to be woken. */
static void
vadm_snmp_woken(gpointer data)
{
    (void)data;
}

static void
vadm_snmp_wake(VadmSnmpThread *thread)
{
    vadm_mailbox_post(thread->mailbox, vadm_snmp_woken, NULL, NULL);
}

static void
vadm_snmp_wake_to_notify(gpointer user)
{
    VadmSnmpServed *served = user;

    vadm_snmp_wake(served->thread);
}

/* Start */

/* The first daemon also in the default context, or in the one that it was given for that. */
static gboolean
vadm_snmp_register_daemons(VadmSnmpThread *thread)
{
    gboolean named = !*thread->context || thread->n_served > 1;

    if (!vadm_registrations_add(thread->registrations, thread->served[0].handler, thread->context))
        return FALSE;
    for (guint i = 0; i < thread->n_served; i++) {
        VadmSnmpServed *served = &thread->served[i];

        if (!named || g_str_equal(served->name, thread->context))
            continue;
        if (!vadm_registrations_add(thread->registrations, served->handler, served->name))
            return FALSE;
    }
    return TRUE;
}

static gboolean
vadm_snmp_register(VadmSnmpThread *thread)
{
    static const oid root[] = {LVA_ROOT};

    snmp_register_callback(SNMP_CALLBACK_APPLICATION, SNMPD_CALLBACK_INDEX_START,
                           vadm_snmp_session_started, thread);
    snmp_register_callback(SNMP_CALLBACK_APPLICATION, SNMPD_CALLBACK_INDEX_STOP,
                           vadm_snmp_session_stopped, thread);
    vadm_registrations_open(thread->registrations);
    if (!vadm_snmp_register_daemons(thread) ||
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
    vadm_snmp_library_configure();
    vadm_transport_register();
    netsnmp_ds_set_string(NETSNMP_DS_APPLICATION_ID, NETSNMP_DS_AGENT_X_SOCKET, target);
    vadm_snmp_library_limit_internal();
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

/* Loop */

static void
vadm_snmp_turn(VadmSnmpThread *thread, gint64 deadline)
{
    vadm_heartbeat_beat();
    thread->retry_due = vadm_registrations_retry(thread->registrations, g_get_monotonic_time());
    vadm_snmp_publish_state(thread);
    thread->notify_due = vadm_snmp_sooner(vadm_snmp_notify(thread), deadline);
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
    for (guint i = 0; i < thread->n_served; i++)
        vadm_notify_finish(thread->served[i].notify);
    thread->notify_due = vadm_snmp_notify(thread);
    while (!vadm_snmp_all_told(thread) && g_get_monotonic_time() < deadline)
        vadm_snmp_turn(thread, deadline);
}

/* End */

/* From now on the sources complete what they are asked at once, and settle by themselves what is
 * under way. */
static void
vadm_snmp_leave_sources(VadmSnmpThread *thread)
{
    for (guint i = 0; i < thread->n_served; i++)
        g_clear_pointer(&thread->served[i].source->mailbox, vadm_mailbox_unref);
    vadm_mailbox_close(thread->mailbox);
}

/* snmp_shutdown() frees the argument of every callback that is still registered, so ours go
 * first. It closes the session, which may call the handler once more. */
static void
vadm_snmp_tear_down(VadmSnmpThread *thread)
{
    vadm_snmp_end_session(thread);
    vadm_registrations_close(thread->registrations);
    snmp_unregister_callback(SNMP_CALLBACK_APPLICATION, SNMPD_CALLBACK_INDEX_START,
                             vadm_snmp_session_started, thread, 1);
    snmp_unregister_callback(SNMP_CALLBACK_APPLICATION, SNMPD_CALLBACK_INDEX_STOP,
                             vadm_snmp_session_stopped, thread, 1);
    snmp_unregister_callback(SNMP_CALLBACK_LIBRARY, SNMP_CALLBACK_LOGGING, vadm_snmp_log, thread,
                             1);
    unregister_readfd(vadm_mailbox_get_fd(thread->mailbox));
    snmp_shutdown(VADM_SNMP_NAME);
    shutdown_agent();
    for (guint i = 0; i < thread->n_served; i++)
        g_clear_pointer(&thread->served[i].notify, vadm_notify_free);
    vadm_notify_pdus_free(thread->pdus);
    for (guint i = 0; i < thread->n_served; i++)
        g_clear_pointer(&thread->served[i].handler, vadm_handler_free);
    vadm_snmp_leave_sources(thread);
    g_clear_pointer(&thread->last_message, g_free);
    atomic_store(&thread->connected, FALSE);
}

/* The windows together are VADM_NOTIFY_WINDOW at most. */
static void
vadm_snmp_meet_sources(VadmSnmpThread *thread)
{
    G_STATIC_ASSERT(VADM_SNMP_DAEMONS_MAX <= VADM_NOTIFY_WINDOW);
    for (guint i = 0; i < thread->n_served; i++) {
        VadmSnmpServed *served = &thread->served[i];
        const VadmNotifyHooks hooks = {vadm_snmp_send_notification, vadm_snmp_wake_to_notify,
                                       served};

        served->source->mailbox = vadm_mailbox_ref(thread->mailbox);
        served->notify = vadm_notify_new(vadm_handler_get_mib(served->handler), &hooks,
                                         VADM_NOTIFY_WINDOW / thread->n_served);
    }
}

static void *
vadm_snmp_thread_main(void *data)
{
    VadmSnmpThread *thread = data;

    vadm_heartbeat_adopt(thread->heartbeat);
    thread->pdus = vadm_notify_pdus_new(vadm_snmp_notification_ended);
    vadm_snmp_meet_sources(thread);
    if (vadm_snmp_set_up(thread))
        vadm_snmp_loop(thread);
    vadm_snmp_tear_down(thread);
    vadm_heartbeat_adopt(NULL);
    vadm_mutex_lock(&thread->lock);
    thread->ended = TRUE;
    vadm_cond_signal(&thread->cond);
    vadm_mutex_unlock(&thread->lock);
    return NULL;
}

static void
vadm_snmp_thread_free(VadmSnmpThread *thread)
{
    for (guint i = 0; i < thread->n_served; i++) {
        vadm_handler_free(thread->served[i].handler);
        g_free(thread->served[i].name);
    }
    g_free(thread->served);
    vadm_registrations_free(thread->registrations);
    vadm_contexts_free(thread->contexts);
    vadm_mailbox_unref(thread->mailbox);
    vadm_heartbeat_free(thread->heartbeat);
    vadm_cond_clear(&thread->cond);
    vadm_mutex_clear(&thread->lock);
    g_free(thread->master);
    g_free(thread->context);
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

/* Returns: (nullable): NULL: they cannot all be served. @context: of the first one, which must not
 * be the name of another. */
static VadmContexts *
vadm_snmp_list_contexts(const VadmSnmpDaemon *daemons, guint n_daemons, const char *context,
                        GError **error)
{
    g_autoptr(VadmContexts) contexts = vadm_contexts_new();

    if (n_daemons < 1 || n_daemons > VADM_SNMP_DAEMONS_MAX) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG,
                    "%u daemons: the agent serves from 1 to %u", n_daemons, VADM_SNMP_DAEMONS_MAX);
        return NULL;
    }
    for (guint i = 0; i < n_daemons; i++) {
        if (!vadm_contexts_add(contexts, daemons[i].name, daemons[i].source, error))
            return NULL;
        if (i == 0 || g_strcmp0(context, daemons[i].name) != 0)
            continue;
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG,
                    "SNMP context '%s': that is the one of the daemon with this name", context);
        return NULL;
    }
    return g_steal_pointer(&contexts);
}

static void
vadm_snmp_thread_take(VadmSnmpThread *thread, const VadmSnmpConfig *config,
                      const VadmSnmpDaemon *daemons, guint n_daemons)
{
    thread->served = g_new0(VadmSnmpServed, n_daemons);
    thread->n_served = n_daemons;
    for (guint i = 0; i < n_daemons; i++) {
        VadmSnmpServed *served = &thread->served[i];

        served->thread = thread;
        served->source = daemons[i].source;
        served->name = g_strdup(daemons[i].name);
        served->handler = vadm_handler_new(daemons[i].source, daemons[i].settings, thread->contexts,
                                           config->writable);
    }
}

VadmSnmpThread *
vadm_snmp_thread_start(const VadmSnmpConfig *config, const VadmSnmpDaemon *daemons, guint n_daemons,
                       GError **error)
{
    static atomic_bool started;
    g_autoptr(GSocketAddress) address = vadm_transport_parse(config->master, error);
    g_autoptr(VadmContexts) contexts = NULL;
    g_autoptr(VadmMailbox) mailbox = NULL;
    VadmSnmpThread *thread;

    if (!address)
        return NULL;
    contexts = vadm_snmp_list_contexts(daemons, n_daemons, config->context, error);
    if (!contexts)
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
    thread->retry_interval = MAX(config->retry_interval, 1);
    thread->session_fd = -1;
    thread->heartbeat = vadm_heartbeat_new();
    thread->mailbox = g_steal_pointer(&mailbox);
    thread->contexts = g_steal_pointer(&contexts);
    thread->registrations = vadm_registrations_new(thread->master, thread->retry_interval);
    vadm_snmp_thread_take(thread, config, daemons, n_daemons);
    if (!vadm_snmp_thread_spawn(thread, error)) {
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
vadm_snmp_thread_has_ended(VadmSnmpThread *thread)
{
    gboolean ended;

    vadm_mutex_lock(&thread->lock);
    ended = thread->ended;
    vadm_mutex_unlock(&thread->lock);
    return ended;
}

/* One that net-snmp did not let begin has said so, and ended: nobody is better off if the program
 * is ended for that, again and again. */
gint64
vadm_snmp_thread_get_silence(VadmSnmpThread *thread)
{
    if (vadm_snmp_thread_has_ended(thread))
        return 0;
    vadm_snmp_wake(thread);
    return vadm_heartbeat_get_silence(thread->heartbeat);
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
