/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a certificate has to be for its role: libvirt's rules. */
#include <time.h>

#include "daemon/tls-private.h"

#define VADM_LOG_CATEGORY "daemon.tls"
#include "common/log.h"

typedef struct {
    gnutls_x509_crt_t crt;
    VadmTlsRole role;
    const char *name;
    VadmErrorCode code;
    GString *warnings; /* NULL: the log */
} VadmTlsCheck;

char *
vadm_tls_format_time(time_t when)
{
    g_autoptr(GDateTime) date = g_date_time_new_from_unix_utc(when);

    return date ? g_date_time_format(date, "%Y-%m-%dT%H:%M:%SZ") : g_strdup("an unknown time");
}

char *
vadm_tls_format_status(unsigned int status)
{
    gnutls_datum_t text = {0};
    char *copy;

    if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) < 0)
        return g_strdup("it cannot be verified");
    copy = g_strstrip(g_strndup((const char *)text.data, text.size));
    gnutls_free(text.data);
    return copy;
}

char *
vadm_tls_find_weak(const gnutls_x509_crt_t *crts, unsigned int count)
{
    for (unsigned int i = 0; i < count; i++) {
        unsigned int bits = 0, wanted;
        int algorithm = gnutls_x509_crt_get_pk_algorithm(crts[i], &bits);

        if (algorithm <= 0)
            continue;
        wanted = gnutls_sec_param_to_pk_bits((gnutls_pk_algorithm_t)algorithm, VADM_TLS_LEVEL);
        if (bits < wanted)
            return g_strdup_printf("the key of certificate %u is weak: %u bits of %s, where %u are "
                                   "the least",
                                   i + 1, bits,
                                   gnutls_pk_get_name((gnutls_pk_algorithm_t)algorithm), wanted);
    }
    return NULL;
}

/* Returns: FALSE */
static gboolean G_GNUC_PRINTF(3, 4)
    vadm_tls_check_fail(const VadmTlsCheck *check, GError **error, const char *format, ...)
{
    g_autofree char *rule = NULL;
    va_list args;

    va_start(args, format);
    rule = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, VADM_ERROR, (gint)check->code, "%s: %s", check->name, rule);
    return FALSE;
}

static gboolean
vadm_tls_check_times(const VadmTlsCheck *check, GError **error)
{
    time_t now = time(NULL);
    time_t from = gnutls_x509_crt_get_activation_time(check->crt);
    time_t until = gnutls_x509_crt_get_expiration_time(check->crt);
    g_autofree char *begin = vadm_tls_format_time(from);
    g_autofree char *end = vadm_tls_format_time(until);

    if (from == (time_t)-1 || until == (time_t)-1)
        return vadm_tls_check_fail(check, error, "the certificate does not tell when it is valid");
    if (until < now)
        return vadm_tls_check_fail(check, error, "the certificate has expired at %s", end);
    if (from > now)
        return vadm_tls_check_fail(check, error, "the certificate is not valid before %s", begin);
    return TRUE;
}

static gboolean
vadm_tls_check_constraints(const VadmTlsCheck *check, GError **error)
{
    int status = gnutls_x509_crt_get_basic_constraints(check->crt, NULL, NULL, NULL);
    gboolean ca = check->role == VADM_TLS_ROLE_CA;

    if (status > 0 && !ca)
        return vadm_tls_check_fail(check, error, "the certificate is that of a CA, not of a %s",
                                   check->role == VADM_TLS_ROLE_SERVER ? "server" : "client");
    if (status > 0 || (status == 0 && !ca))
        return TRUE;
    if (status == 0 || (status == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE && ca))
        return vadm_tls_check_fail(check, error, "the certificate is not that of a CA");
    if (status == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        return TRUE;
    return vadm_tls_check_fail(check, error, "its basic constraints cannot be read: %s",
                               gnutls_strerror(status));
}

/* Returns: TRUE when @critical is not set */
static gboolean
vadm_tls_check_forbids(const VadmTlsCheck *check, gboolean critical, const char *what,
                       GError **error)
{
    if (critical)
        return vadm_tls_check_fail(check, error, "the certificate does not allow %s", what);
    if (check->warnings)
        g_string_append_printf(check->warnings, "%s%s: the certificate does not allow %s",
                               check->warnings->len > 0 ? "; " : "", check->name, what);
    else
        VADM_WARN("%s: the certificate does not allow %s", check->name, what);
    return TRUE;
}

static gboolean
vadm_tls_check_usage(const VadmTlsCheck *check, GError **error)
{
    unsigned int usage, critical;
    int status = gnutls_x509_crt_get_key_usage(check->crt, &usage, &critical);

    if (status == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        return TRUE;
    if (status < 0)
        return vadm_tls_check_fail(check, error, "its key usage cannot be read: %s",
                                   gnutls_strerror(status));
    if (check->role == VADM_TLS_ROLE_CA)
        return (usage & GNUTLS_KEY_KEY_CERT_SIGN) ||
               vadm_tls_check_forbids(check, critical != 0, "to sign certificates", error);
    if (check->role == VADM_TLS_ROLE_SERVER && !(usage & GNUTLS_KEY_KEY_ENCIPHERMENT))
        VADM_WARN("%s: the certificate does not allow key encipherment: clients of older libvirt "
                  "versions refuse it",
                  check->name);
    return (usage & GNUTLS_KEY_DIGITAL_SIGNATURE) ||
           vadm_tls_check_forbids(check, critical != 0, "digital signatures", error);
}

/* @critical: (inout). Returns: 0, GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE behind the last one, or
 * another error of GnuTLS */
static int
vadm_tls_match_purpose(gnutls_x509_crt_t crt, unsigned int index, const char *wanted,
                       gboolean *found, gboolean *critical)
{
    char oid[128];
    size_t size = sizeof(oid);
    unsigned int marked = 0;
    int status = gnutls_x509_crt_get_key_purpose_oid(crt, index, oid, &size, &marked);

    if (status == GNUTLS_E_SHORT_MEMORY_BUFFER)
        return 0; /* longer than those that are looked for */
    if (status < 0)
        return status;
    *critical = *critical || marked != 0;
    *found = *found || g_str_equal(oid, wanted) || g_str_equal(oid, GNUTLS_KP_ANY);
    return 0;
}

static gboolean
vadm_tls_check_purpose(const VadmTlsCheck *check, GError **error)
{
    gboolean server = check->role == VADM_TLS_ROLE_SERVER;
    gboolean found = FALSE, critical = FALSE;
    unsigned int index = 0;
    int status;

    while ((status = vadm_tls_match_purpose(
                check->crt, index, server ? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT,
                &found, &critical)) == 0)
        index++;
    if (status != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        return vadm_tls_check_fail(check, error, "its purposes cannot be read: %s",
                                   gnutls_strerror(status));
    return found || index == 0 ||
           vadm_tls_check_forbids(check, critical,
                                  server ? "use by a TLS server" : "use by a TLS client", error);
}

gboolean
vadm_tls_check_certificate(gnutls_x509_crt_t crt, VadmTlsRole role, const char *name,
                           VadmErrorCode code, GString *warnings, GError **error)
{
    VadmTlsCheck check = {crt, role, name, code, warnings};

    return vadm_tls_check_times(&check, error) && vadm_tls_check_constraints(&check, error) &&
           vadm_tls_check_usage(&check, error) &&
           (role == VADM_TLS_ROLE_CA || vadm_tls_check_purpose(&check, error));
}
