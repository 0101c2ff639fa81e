/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls net-snmp. */
#include "agent/registrations.h"

#include <string.h>
#include <sys/socket.h>

#define VADM_LOG_CATEGORY "agent.snmp"
#include "common/log.h"

typedef struct {
    VadmHandler *handler;
    netsnmp_handler_registration *registration; /* net-snmp's */
    gboolean served;                            /* in the session that is open */
    gboolean refusal_known; /* it was refused when it was asked for last, and that was logged */
    gint64 due;             /* when it is asked for again, monotonic time; 0: not refused */
} VadmRegistration;

struct _VadmRegistrations {
    char *master;
    guint interval;            /* seconds */
    GArray *list;              /* of VadmRegistration */
    netsnmp_session *session;  /* NULL: none is open */
    int fd;                    /* of session */
    VadmRegistration *current; /* net-snmp waits for the answer to it */
    gboolean refused;          /* which was a refusal */
};

VadmRegistrations *
vadm_registrations_new(const char *master, guint interval)
{
    VadmRegistrations *registrations = g_new0(VadmRegistrations, 1);

    registrations->master = g_strdup(master);
    registrations->interval = interval;
    registrations->list = g_array_new(FALSE, TRUE, sizeof(VadmRegistration));
    return registrations;
}

void
vadm_registrations_free(VadmRegistrations *registrations)
{
    if (!registrations)
        return;
    g_array_unref(registrations->list);
    g_free(registrations->master);
    g_free(registrations);
}

static VadmRegistration *
vadm_registrations_at(const VadmRegistrations *registrations, guint i)
{
    return &g_array_index(registrations->list, VadmRegistration, i);
}

static const char *
vadm_registration_context(const VadmRegistration *registration)
{
    const char *name = registration->registration->contextName;

    return name ? name : "";
}

/* Net-snmp, when it registers, calls back whoever wants to know, itself among them: that is how it
 * tells the master agent. We are called before and behind, so that a refusal, which it only logs,
 * can be told from one of another context. */

static gboolean
vadm_registration_is(const netsnmp_handler_registration *known,
                     const struct register_parameters *parameters)
{
    return g_strcmp0(known->contextName, parameters->contextName) == 0 &&
           snmp_oid_compare(known->rootoid, known->rootoid_len, parameters->name,
                            parameters->namelen) == 0;
}

static int
vadm_registrations_begins(int major, int minor, void *server_arg, void *client_arg)
{
    const struct register_parameters *parameters = server_arg;
    VadmRegistrations *registrations = client_arg;

    (void)major;
    (void)minor;
    registrations->current = NULL;
    registrations->refused = FALSE;
    if (!registrations->session)
        return SNMPERR_SUCCESS;
    for (guint i = 0; i < registrations->list->len; i++) {
        VadmRegistration *registration = vadm_registrations_at(registrations, i);

        if (vadm_registration_is(registration->registration, parameters))
            registrations->current = registration;
    }
    registrations->session->s_snmp_errno = SNMPERR_SUCCESS;
    return SNMPERR_SUCCESS;
}

/* For messages. */
static char *
vadm_registration_describe(const VadmRegistration *registration)
{
    const char *context = vadm_registration_context(registration);

    return *context ? g_strdup_printf("context '%s'", context) : g_strdup("the default context");
}

static void
vadm_registrations_take_refusal(VadmRegistrations *registrations, VadmRegistration *registration)
{
    g_autofree char *context = vadm_registration_describe(registration);

    registration->due = g_get_monotonic_time() + registrations->interval * (gint64)G_USEC_PER_SEC;
    if (!registration->refusal_known)
        VADM_WARN("the master agent at %s refuses to register the MIB in %s (does "
                  "another agent serve it?); trying again every %u s",
                  registrations->master, context, registrations->interval);
    registration->refusal_known = TRUE;
}

static void
vadm_registrations_take_success(VadmRegistrations *registrations, VadmRegistration *registration)
{
    g_autofree char *context = vadm_registration_describe(registration);

    registration->served = TRUE;
    registration->due = 0;
    if (registration->refusal_known)
        VADM_WARN("registered the MIB in %s with the master agent at %s", context,
                  registrations->master);
    registration->refusal_known = FALSE;
}

/* A master agent that did not answer may have registered it or not, and each further context would
 * be waited for as long: ending the session makes net-snmp register all anew. */
static int
vadm_registrations_ends(int major, int minor, void *server_arg, void *client_arg)
{
    VadmRegistrations *registrations = client_arg;
    VadmRegistration *current = registrations->current;

    (void)major;
    (void)minor;
    (void)server_arg;
    registrations->current = NULL;
    if (!current || !registrations->session)
        return SNMPERR_SUCCESS;
    if (registrations->refused)
        vadm_registrations_take_refusal(registrations, current);
    else if (registrations->session->s_snmp_errno == SNMPERR_SUCCESS)
        vadm_registrations_take_success(registrations, current);
    else
        shutdown(registrations->fd, SHUT_RDWR);
    return SNMPERR_SUCCESS;
}

void
vadm_registrations_open(VadmRegistrations *registrations)
{
    netsnmp_register_callback(SNMP_CALLBACK_APPLICATION, SNMPD_CALLBACK_REGISTER_OID,
                              vadm_registrations_begins, registrations,
                              NETSNMP_CALLBACK_HIGHEST_PRIORITY);
    netsnmp_register_callback(SNMP_CALLBACK_APPLICATION, SNMPD_CALLBACK_REGISTER_OID,
                              vadm_registrations_ends, registrations,
                              NETSNMP_CALLBACK_LOWEST_PRIORITY);
}

void
vadm_registrations_close(VadmRegistrations *registrations)
{
    vadm_registrations_session_stopped(registrations);
    snmp_unregister_callback(SNMP_CALLBACK_APPLICATION, SNMPD_CALLBACK_REGISTER_OID,
                             vadm_registrations_begins, registrations, 1);
    snmp_unregister_callback(SNMP_CALLBACK_APPLICATION, SNMPD_CALLBACK_REGISTER_OID,
                             vadm_registrations_ends, registrations, 1);
}

gboolean
vadm_registrations_add(VadmRegistrations *registrations, VadmHandler *handler, const char *context)
{
    VadmRegistration registration = {
        .handler = handler,
        .registration = vadm_handler_register(handler, context),
    };

    if (!registration.registration)
        return FALSE;
    g_array_append_val(registrations->list, registration);
    return TRUE;
}

void
vadm_registrations_session_started(VadmRegistrations *registrations, netsnmp_session *session,
                                   int fd)
{
    vadm_registrations_session_stopped(registrations);
    registrations->session = session;
    registrations->fd = fd;
}

void
vadm_registrations_session_stopped(VadmRegistrations *registrations)
{
    registrations->session = NULL;
    for (guint i = 0; i < registrations->list->len; i++) {
        VadmRegistration *registration = vadm_registrations_at(registrations, i);

        registration->served = FALSE;
        registration->due = 0;
    }
}

void
vadm_registrations_note_message(VadmRegistrations *registrations, const char *message)
{
    if (g_str_has_prefix(message, "registering pdu failed"))
        registrations->refused = TRUE;
}

/* What net-snmp itself does with each registration when a session is open. */
static void
vadm_registration_ask(VadmRegistration *registration)
{
    netsnmp_handler_registration *known = registration->registration;
    struct register_parameters parameters = {
        .name = known->rootoid,
        .namelen = known->rootoid_len,
        .priority = known->priority,
        .timeout = known->timeout,
        .contextName = known->contextName,
        .reginfo = known,
    };

    registration->due = 0;
    snmp_call_callbacks(SNMP_CALLBACK_APPLICATION, SNMPD_CALLBACK_REGISTER_OID, &parameters);
}

gint64
vadm_registrations_retry(VadmRegistrations *registrations, gint64 now)
{
    gboolean asked = FALSE;
    gint64 next = 0;

    for (guint i = 0; i < registrations->list->len; i++) {
        VadmRegistration *registration = vadm_registrations_at(registrations, i);

        /* one at a time: a slow master agent must not keep us from the requests of managers */
        if (!asked && registration->due != 0 && registration->due <= now) {
            vadm_registration_ask(registration);
            asked = TRUE;
        }
        if (registration->due != 0 && (next == 0 || registration->due < next))
            next = registration->due;
    }
    return next;
}

const char *
vadm_registrations_get_context(const VadmRegistrations *registrations, const VadmHandler *handler)
{
    for (guint i = 0; i < registrations->list->len; i++) {
        const VadmRegistration *registration = vadm_registrations_at(registrations, i);

        if (registration->served && (!handler || registration->handler == handler))
            return vadm_registration_context(registration);
    }
    return NULL;
}
