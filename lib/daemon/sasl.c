/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define VADM_LOG_CATEGORY "daemon.sasl"
#include "daemon/sasl.h"

#include <sasl/sasl.h>
#include <string.h>

#include "common/lock.h"
#include "common/log.h"

/* More than any cipher has. */
#define VADM_SASL_MAX_SSF 100000
/* What TLS is worth, to Cyrus SASL: GIO tells no key's length, and negotiates none that is shorter.
 */
#define VADM_SASL_TLS_SSF 128

struct _VadmSasl {
    sasl_conn_t *conn;
    VadmTransport transport;
    gsize piece; /* what the client takes at once, in clear octets; 0: there is no layer */
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
    gboolean bare = sasl->transport == VADM_TRANSPORT_TCP;
    sasl_ssf_t below = VADM_SASL_TLS_SSF;
    sasl_security_properties_t policy = {
        .min_ssf = bare ? VADM_SASL_MIN_SSF : 0,
        .max_ssf = bare ? VADM_SASL_MAX_SSF : 0,
        .maxbufsize = VADM_SASL_PIECE_MAX,
        .security_flags = SASL_SEC_NOANONYMOUS | (bare ? SASL_SEC_NOPLAINTEXT : 0u),
    };
    int rc = sasl_setprop(sasl->conn, SASL_SEC_PROPS, &policy);

    if (rc == SASL_OK && sasl->transport == VADM_TRANSPORT_TLS)
        rc = sasl_setprop(sasl->conn, SASL_SSF_EXTERNAL, &below);
    return rc == SASL_OK ? TRUE : vadm_sasl_fail(sasl, rc, error);
}

/* @host: (nullable): NULL: it is looked up, which may take its time */
static VadmSasl *
vadm_sasl_make(const VadmSaslPeer *peer, const char *host, GError **error)
{
    g_autoptr(VadmSasl) sasl = g_new0(VadmSasl, 1);
    int rc = sasl_server_new(VADM_SASL_SERVICE, host, NULL, peer->local, peer->remote, NULL,
                             SASL_SUCCESS_DATA, &sasl->conn);

    if (rc != SASL_OK) {
        vadm_sasl_fail(NULL, rc, error);
        return NULL;
    }
    sasl->transport = peer->transport;
    if (!vadm_sasl_set_policy(sasl, error))
        return NULL;
    return g_steal_pointer(&sasl);
}

/* Users without a realm get the host's name as theirs. */
VadmSasl *
vadm_sasl_new(const VadmSaslPeer *peer, GError **error)
{
    return vadm_sasl_make(peer, NULL, error);
}

gboolean
vadm_sasl_check(VadmTransport transport, GError **error)
{
    const VadmSaslPeer peer = {.transport = transport};
    g_autoptr(VadmSasl) sasl = vadm_sasl_make(&peer, "localhost", error);

    return sasl && vadm_sasl_get_mechanisms(sasl, error);
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
        g_set_error(
            error, VADM_ERROR, VADM_ERROR_AUTH,
            "there is no mechanism to offer%s: see mech_list in SASL's " VADM_SASL_APPLICATION
            ".conf, and which plugins are installed",
            sasl->transport == VADM_TRANSPORT_TCP
                ? " on plain TCP, where it must have a security layer (GSSAPI has, and "
                  "needs a keytab that can be read)"
                : "");
    return NULL;
}

/* Cyrus SASL minds the policy in choosing mechanisms and layers; what came out in the end is seen
 * here. */
static gboolean
vadm_sasl_check_layer(VadmSasl *sasl, GError **error)
{
    const void *value = NULL;
    guint ssf, piece = 0;

    if (sasl_getprop(sasl->conn, SASL_SSF, &value) != SASL_OK)
        return vadm_sasl_fail(sasl, SASL_FAIL, error);
    ssf = *(const sasl_ssf_t *)value;
    if (sasl->transport == VADM_TRANSPORT_TCP && ssf < VADM_SASL_MIN_SSF) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_AUTH,
                    "the security layer that was agreed on has a strength (SSF) of %u, and plain "
                    "TCP needs %d",
                    ssf, VADM_SASL_MIN_SSF);
        return FALSE;
    }
    if (ssf == 0)
        return TRUE;
    if (sasl_getprop(sasl->conn, SASL_MAXOUTBUF, &value) == SASL_OK)
        piece = *(const unsigned *)value;
    if (piece < VADM_SASL_PIECE_MIN) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_AUTH,
                    "the client takes no more than %u octets in a piece of its security layer, and "
                    "%u is the least",
                    piece, VADM_SASL_PIECE_MIN);
        return FALSE;
    }
    sasl->piece = MIN(piece, VADM_SASL_PIECE_MAX);
    return TRUE;
}

static gboolean
vadm_sasl_end_turn(VadmSasl *sasl, int rc, const char *data, unsigned length, VadmSaslTurn *turn,
                   GError **error)
{
    if (rc != SASL_OK && rc != SASL_CONTINUE)
        return vadm_sasl_fail(sasl, rc, error);
    if (rc == SASL_OK && !vadm_sasl_check_layer(sasl, error))
        return FALSE;
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

gboolean
vadm_sasl_has_layer(VadmSasl *sasl)
{
    return sasl->piece > 0;
}

gsize
vadm_sasl_get_piece(VadmSasl *sasl)
{
    return sasl->piece;
}

typedef int (*VadmSaslCode)(sasl_conn_t *conn, const char *data, unsigned length, const char **out,
                            unsigned *out_length);

static gboolean
vadm_sasl_code(VadmSasl *sasl, VadmSaslCode code, const guint8 *data, gsize length,
               const guint8 **out, gsize *out_length, GError **error)
{
    const char *result = NULL;
    unsigned result_length = 0;
    int rc = code(sasl->conn, (const char *)data, (unsigned)length, &result, &result_length);

    if (rc != SASL_OK)
        return vadm_sasl_fail(sasl, rc, error);
    *out = (const guint8 *)result;
    *out_length = result ? result_length : 0;
    return TRUE;
}

gboolean
vadm_sasl_encode(VadmSasl *sasl, const guint8 *data, gsize length, const guint8 **out,
                 gsize *out_length, GError **error)
{
    return vadm_sasl_code(sasl, sasl_encode, data, length, out, out_length, error);
}

gboolean
vadm_sasl_decode(VadmSasl *sasl, const guint8 *data, gsize length, const guint8 **out,
                 gsize *out_length, GError **error)
{
    return vadm_sasl_code(sasl, sasl_decode, data, length, out, out_length, error);
}
