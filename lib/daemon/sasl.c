/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define VADM_LOG_CATEGORY "daemon.sasl"
#include "daemon/sasl.h"

#include <sasl/sasl.h>
#include <string.h>

#include "common/lock.h"
#include "common/log.h"

/* Octets that a security layer would have at once; there is none, but some mechanisms reckon with
 * the number. */
#define VADM_SASL_BUFFER 65536u

struct _VadmSasl {
    sasl_conn_t *conn;
};

/* Without these Cyrus SASL has no locks at all around what its plugins share. */
static void *
vadm_sasl_mutex_new(void)
{
    VadmMutex *mutex = g_new(VadmMutex, 1);

    vadm_mutex_init(mutex);
    return mutex;
}

static int
vadm_sasl_mutex_lock(void *mutex)
{
    vadm_mutex_lock(mutex);
    return SASL_OK;
}

static int
vadm_sasl_mutex_unlock(void *mutex)
{
    vadm_mutex_unlock(mutex);
    return SASL_OK;
}

static void
vadm_sasl_mutex_free(void *mutex)
{
    vadm_mutex_clear(mutex);
    g_free(mutex);
}

/* Beyond NOTE it traces exchanges and, in the end, passwords: that goes nowhere. A failure is
 * logged by whoever gets it, together with whose it is. */
static int
vadm_sasl_log(void *context, int level, const char *message)
{
    (void)context;
    if (!message)
        return SASL_OK;
    if (level == SASL_LOG_ERR)
        VADM_ERR("%s", message);
    else if (level == SASL_LOG_WARN)
        VADM_WARN("%s", message);
    else if (level == SASL_LOG_FAIL || level == SASL_LOG_NOTE)
        VADM_DEBUG("%s", message);
    return SASL_OK;
}

gboolean
vadm_sasl_init(GError **error)
{
    /* kept by the library */
    static const sasl_callback_t callbacks[] = {
        {SASL_CB_LOG, (int (*)(void))(void (*)(void))vadm_sasl_log, NULL},
        {SASL_CB_LIST_END, NULL, NULL},
    };
    int rc;

    sasl_set_mutex(vadm_sasl_mutex_new, vadm_sasl_mutex_lock, vadm_sasl_mutex_unlock,
                   vadm_sasl_mutex_free);
    rc = sasl_server_init(callbacks, VADM_SASL_APPLICATION);
    if (rc == SASL_OK)
        return TRUE;
    g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG,
                "SASL cannot be used: %s (its configuration is " VADM_SASL_APPLICATION
                ".conf in /etc/sasl2)",
                sasl_errstring(rc, NULL, NULL));
    return FALSE;
}

/* @sasl: (nullable). Returns: FALSE */
static gboolean
vadm_sasl_fail(VadmSasl *sasl, int rc, GError **error)
{
    const char *detail = sasl ? sasl_errdetail(sasl->conn) : sasl_errstring(rc, NULL, NULL);

    g_set_error(error, VADM_ERROR, VADM_ERROR_AUTH, "%s", detail ? detail : "unknown reason");
    return FALSE;
}

static gboolean
vadm_sasl_set_policy(VadmSasl *sasl, GError **error)
{
    sasl_security_properties_t policy = {
        .min_ssf = 0,
        .max_ssf = 0,
        .maxbufsize = VADM_SASL_BUFFER,
        .security_flags = SASL_SEC_NOANONYMOUS,
    };
    int rc = sasl_setprop(sasl->conn, SASL_SEC_PROPS, &policy);

    return rc == SASL_OK ? TRUE : vadm_sasl_fail(sasl, rc, error);
}

VadmSasl *
vadm_sasl_new(GError **error)
{
    g_autoptr(VadmSasl) sasl = g_new0(VadmSasl, 1);
    /* The host's name is found out; users without a realm get it as theirs. */
    int rc = sasl_server_new(VADM_SASL_SERVICE, NULL, NULL, NULL, NULL, NULL, SASL_SUCCESS_DATA,
                             &sasl->conn);

    if (rc != SASL_OK) {
        vadm_sasl_fail(NULL, rc, error);
        return NULL;
    }
    if (!vadm_sasl_set_policy(sasl, error))
        return NULL;
    return g_steal_pointer(&sasl);
}

void
vadm_sasl_free(VadmSasl *sasl)
{
    if (!sasl)
        return;
    if (sasl->conn)
        sasl_dispose(&sasl->conn);
    g_free(sasl);
}

const char *
vadm_sasl_get_mechanisms(VadmSasl *sasl, GError **error)
{
    const char *list = NULL;
    int rc = sasl_listmech(sasl->conn, NULL, "", ",", "", &list, NULL, NULL);

    if (rc == SASL_OK && list && *list)
        return list;
    if (rc != SASL_OK && rc != SASL_NOMECH)
        vadm_sasl_fail(sasl, rc, error);
    else
        g_set_error(error, VADM_ERROR, VADM_ERROR_AUTH,
                    "there is no mechanism to offer: see mech_list in SASL's " VADM_SASL_APPLICATION
                    ".conf, and which plugins are installed");
    return NULL;
}

static gboolean
vadm_sasl_end_turn(VadmSasl *sasl, int rc, const char *data, unsigned length, VadmSaslTurn *turn,
                   GError **error)
{
    if (rc != SASL_OK && rc != SASL_CONTINUE)
        return vadm_sasl_fail(sasl, rc, error);
    turn->complete = rc == SASL_OK;
    turn->data = (const guint8 *)data;
    turn->length = data ? length : 0;
    return TRUE;
}

gboolean
vadm_sasl_start(VadmSasl *sasl, const char *mechanism, const guint8 *data, gsize length,
                VadmSaslTurn *turn, GError **error)
{
    const char *answer = NULL;
    unsigned answer_length = 0;
    int rc;

    if (!*mechanism || strlen(mechanism) > SASL_MECHNAMEMAX) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_AUTH,
                    "the name of a mechanism has 1 to %d octets, not %zu", SASL_MECHNAMEMAX,
                    strlen(mechanism));
        return FALSE;
    }
    rc = sasl_server_start(sasl->conn, mechanism, (const char *)data, (unsigned)length, &answer,
                           &answer_length);
    return vadm_sasl_end_turn(sasl, rc, answer, answer_length, turn, error);
}

gboolean
vadm_sasl_step(VadmSasl *sasl, const guint8 *data, gsize length, VadmSaslTurn *turn, GError **error)
{
    const char *answer = NULL;
    unsigned answer_length = 0;
    int rc =
        sasl_server_step(sasl->conn, (const char *)data, (unsigned)length, &answer, &answer_length);

    return vadm_sasl_end_turn(sasl, rc, answer, answer_length, turn, error);
}

/* What is shown on terminals and told to the upstream. Mechanisms that prepare names (RFC 4013) let
 * no control characters pass, others do. Returns: NULL: nothing is wrong */
static const char *
vadm_sasl_name_fault(const char *user)
{
    if (!user || !*user)
        return "empty";
    if (!g_utf8_validate(user, -1, NULL))
        return "no UTF-8";
    for (; *user; user = g_utf8_next_char(user)) {
        if (g_unichar_iscntrl(g_utf8_get_char(user)))
            return "no plain text: it has a control character";
    }
    return NULL;
}

const char *
vadm_sasl_get_user(VadmSasl *sasl, GError **error)
{
    const void *user = NULL;
    int rc = sasl_getprop(sasl->conn, SASL_USERNAME, &user);
    const char *fault;

    if (rc != SASL_OK) {
        vadm_sasl_fail(sasl, rc, error);
        return NULL;
    }
    fault = vadm_sasl_name_fault(user);
    if (!fault)
        return user;
    g_set_error(error, VADM_ERROR, VADM_ERROR_AUTH, "the name of the user is %s", fault);
    return NULL;
}
