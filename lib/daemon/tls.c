/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files of TLS: read and checked as a whole, before anybody uses them. */
#include "daemon/tls-database.h"
#include "daemon/tls-private.h"

#include <string.h>
#include <sys/stat.h>

#define VADM_LOG_CATEGORY "daemon.tls"
#include "common/log.h"

/* A certificate that ends within this time is warned of when it is loaded. Seconds. */
#define VADM_TLS_WARN_BEFORE (30 * 24 * 3600)

typedef struct {
    gnutls_x509_crt_t *crts;
    unsigned int count;
} VadmTlsCrts;

static void
vadm_tls_crts_clear(VadmTlsCrts *list)
{
    for (unsigned int i = 0; i < list->count; i++)
        gnutls_x509_crt_deinit(list->crts[i]);
    gnutls_free(list->crts);
    *list = (VadmTlsCrts){0};
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VadmTlsCrts, vadm_tls_crts_clear)

typedef struct {
    gnutls_x509_crl_t *crls;
    unsigned int count;
} VadmTlsCrls;

static void
vadm_tls_crls_clear(VadmTlsCrls *list)
{
    for (unsigned int i = 0; i < list->count; i++)
        gnutls_x509_crl_deinit(list->crls[i]);
    gnutls_free(list->crls);
    *list = (VadmTlsCrls){0};
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VadmTlsCrls, vadm_tls_crls_clear)

/* Files, until all of them are found to be good. */
typedef struct {
    const VadmTlsFiles *files;
    GBytes *cert_pem, *key_pem;
    VadmTlsCrts cas, chain;
    VadmTlsCrls crls;
} VadmTlsLoad;

static void
vadm_tls_load_clear(VadmTlsLoad *load)
{
    g_clear_pointer(&load->cert_pem, g_bytes_unref);
    g_clear_pointer(&load->key_pem, g_bytes_unref);
    vadm_tls_crts_clear(&load->cas);
    vadm_tls_crts_clear(&load->chain);
    vadm_tls_crls_clear(&load->crls);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VadmTlsLoad, vadm_tls_load_clear)

/* Returns: FALSE */
static gboolean G_GNUC_PRINTF(4, 5)
    vadm_tls_fail(GError **error, const char *key, const char *path, const char *format, ...)
{
    g_autofree char *rule = NULL;
    va_list args;

    va_start(args, format);
    rule = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG, "%s '%s': %s", key, path, rule);
    return FALSE;
}

/* Returns: (transfer full) (nullable) */
static GBytes *
vadm_tls_read(const char *key, const char *path, GError **error)
{
    g_autoptr(GError) cause = NULL;
    char *data;
    gsize length;

    if (!path) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG, "%s must be set for TLS", key);
        return NULL;
    }
    /* Reading a FIFO would wait for somebody who writes, and a device may have no end. */
    if (g_file_test(path, G_FILE_TEST_EXISTS) && !g_file_test(path, G_FILE_TEST_IS_REGULAR)) {
        vadm_tls_fail(error, key, path, "is no regular file");
        return NULL;
    }
    if (!g_file_get_contents(path, &data, &length, &cause)) {
        vadm_tls_fail(error, key, path, "cannot be read: %s", cause->message);
        return NULL;
    }
    return g_bytes_new_take(data, length);
}

static gnutls_datum_t
vadm_tls_datum(GBytes *bytes)
{
    gsize length;
    const void *data = g_bytes_get_data(bytes, &length);

    return (gnutls_datum_t){(unsigned char *)(guintptr)data, (unsigned int)length};
}

static gboolean
vadm_tls_import_crts(VadmTlsCrts *list, GBytes *pem, const char *key, const char *path,
                     GError **error)
{
    gnutls_datum_t datum = vadm_tls_datum(pem);
    int status =
        gnutls_x509_crt_list_import2(&list->crts, &list->count, &datum, GNUTLS_X509_FMT_PEM, 0);

    if (status == GNUTLS_E_NO_CERTIFICATE_FOUND || (status >= 0 && list->count == 0))
        return vadm_tls_fail(error, key, path, "there is no certificate in PEM form in it");
    if (status < 0) {
        list->count = 0;
        return vadm_tls_fail(error, key, path, "no certificates in PEM form: %s",
                             gnutls_strerror(status));
    }
    return TRUE;
}

static void
vadm_tls_warn_expiry(gnutls_x509_crt_t crt, const char *name)
{
    time_t until = gnutls_x509_crt_get_expiration_time(crt);
    g_autofree char *text = vadm_tls_format_time(until);

    if (until - time(NULL) < VADM_TLS_WARN_BEFORE)
        VADM_WARN("%s: the certificate expires at %s", name, text);
}

static gboolean
vadm_tls_load_cas(VadmTlsLoad *load, GError **error)
{
    const char *path = load->files->ca_file;
    g_autoptr(GBytes) pem = vadm_tls_read("ca_file", path, error);
    g_autofree char *name = g_strdup_printf("ca_file '%s'", path);

    if (!pem || !vadm_tls_import_crts(&load->cas, pem, "ca_file", path, error))
        return FALSE;
    for (unsigned int i = 0; i < load->cas.count; i++) {
        g_autofree char *weak = NULL;

        if (!vadm_tls_check_certificate(load->cas.crts[i], VADM_TLS_ROLE_CA, name,
                                        VADM_ERROR_CONFIG, NULL, error))
            return FALSE;
        vadm_tls_warn_expiry(load->cas.crts[i], name);
        weak = vadm_tls_find_weak(&load->cas.crts[i], 1);
        if (weak)
            VADM_WARN("%s: nobody is trusted by CA %u in it: %s", name, i + 1, weak);
    }
    return TRUE;
}

/* Returns: FALSE */
static gboolean
vadm_tls_fail_weak(const VadmTlsLoad *load, GError **error)
{
    g_autofree char *own = vadm_tls_find_weak(load->chain.crts, load->chain.count);
    g_autofree char *theirs = vadm_tls_find_weak(load->cas.crts, load->cas.count);

    if (!own && theirs)
        return vadm_tls_fail(error, "ca_file", load->files->ca_file, "%s", theirs);
    return vadm_tls_fail(error, "cert_file", load->files->cert_file, "%s",
                         own ? own : "it is signed by an algorithm that is not secure");
}

static gboolean
vadm_tls_load_cert(VadmTlsLoad *load, GError **error)
{
    const char *path = load->files->cert_file;
    g_autofree char *name = g_strdup_printf("cert_file '%s'", path);
    g_autofree char *reason = NULL;
    unsigned int result = 0;
    int status;

    load->cert_pem = vadm_tls_read("cert_file", path, error);
    if (!load->cert_pem ||
        !vadm_tls_import_crts(&load->chain, load->cert_pem, "cert_file", path, error))
        return FALSE;
    if (!vadm_tls_check_certificate(load->chain.crts[0], VADM_TLS_ROLE_SERVER, name,
                                    VADM_ERROR_CONFIG, NULL, error))
        return FALSE;
    vadm_tls_warn_expiry(load->chain.crts[0], name);
    status = gnutls_x509_crt_list_verify(load->chain.crts, load->chain.count, load->cas.crts,
                                         load->cas.count, NULL, 0, VADM_TLS_VERIFY_FLAGS, &result);
    if (status == 0 && result == 0)
        return TRUE;
    if (status == 0 && (result & GNUTLS_CERT_INSECURE_ALGORITHM))
        return vadm_tls_fail_weak(load, error);
    reason = status < 0 ? g_strdup(gnutls_strerror(status)) : vadm_tls_format_status(result);
    return vadm_tls_fail(error, "cert_file", path,
                         "the certificate is not signed by ca_file '%s': %s", load->files->ca_file,
                         reason);
}

/* Compares the public halves. */
static gboolean
vadm_tls_key_matches(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key)
{
    unsigned char ids[2][64];
    size_t sizes[2] = {sizeof(ids[0]), sizeof(ids[1])};

    return gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, ids[0], &sizes[0]) == 0 &&
           gnutls_x509_privkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, ids[1], &sizes[1]) == 0 &&
           sizes[0] == sizes[1] && memcmp(ids[0], ids[1], sizes[0]) == 0;
}

static void
vadm_tls_warn_mode(const char *path)
{
    struct stat st;

    if (stat(path, &st) == 0 && (st.st_mode & S_IROTH))
        VADM_WARN("key_file '%s': everybody can read the private key", path);
}

static gboolean
vadm_tls_load_key(VadmTlsLoad *load, GError **error)
{
    const char *path = load->files->key_file;
    gnutls_x509_privkey_t key;
    gnutls_datum_t datum;
    gboolean matches;
    int status;

    load->key_pem = vadm_tls_read("key_file", path, error);
    if (!load->key_pem)
        return FALSE;
    vadm_tls_warn_mode(path);
    status = gnutls_x509_privkey_init(&key);
    if (status < 0)
        return vadm_tls_fail(error, "key_file", path, "%s", gnutls_strerror(status));
    datum = vadm_tls_datum(load->key_pem);
    status = gnutls_x509_privkey_import2(key, &datum, GNUTLS_X509_FMT_PEM, NULL, 0);
    matches = status == 0 && vadm_tls_key_matches(load->chain.crts[0], key);
    gnutls_x509_privkey_deinit(key);
    if (status == GNUTLS_E_DECRYPTION_FAILED)
        return vadm_tls_fail(error, "key_file", path, "the private key is encrypted");
    if (status < 0)
        return vadm_tls_fail(error, "key_file", path, "no private key in PEM form: %s",
                             gnutls_strerror(status));
    return matches || vadm_tls_fail(error, "key_file", path,
                                    "the private key is not that of the certificate in '%s'",
                                    load->files->cert_file);
}

/* One that is outdated would turn everybody away: as a certificate that has expired does. */
static gboolean
vadm_tls_check_crl(const VadmTlsLoad *load, gnutls_x509_crl_t crl, GError **error)
{
    const char *path = load->files->crl_file;
    time_t now = time(NULL);
    time_t next = gnutls_x509_crl_get_next_update(crl);
    time_t from = gnutls_x509_crl_get_this_update(crl);
    g_autofree char *end = vadm_tls_format_time(next);
    g_autofree char *begin = vadm_tls_format_time(from);
    g_autofree char *reason = NULL;
    unsigned int result = 0;
    int status;

    if (next != (time_t)-1 && next < now)
        return vadm_tls_fail(error, "crl_file", path,
                             "the list is outdated: the next was due at %s", end);
    if (from > now)
        return vadm_tls_fail(error, "crl_file", path, "the list is not valid before %s", begin);
    status = gnutls_x509_crl_verify(crl, load->cas.crts, load->cas.count, 0, &result);
    if (status == 0 && result == 0)
        return TRUE;
    reason = status < 0 ? g_strdup(gnutls_strerror(status)) : vadm_tls_format_status(result);
    return vadm_tls_fail(error, "crl_file", path, "the list is not signed by ca_file '%s': %s",
                         load->files->ca_file, reason);
}

static gboolean
vadm_tls_load_crls(VadmTlsLoad *load, GError **error)
{
    const char *path = load->files->crl_file;
    g_autoptr(GBytes) pem = NULL;
    gnutls_datum_t datum;
    int status;

    if (!path)
        return TRUE;
    pem = vadm_tls_read("crl_file", path, error);
    if (!pem)
        return FALSE;
    datum = vadm_tls_datum(pem);
    status = gnutls_x509_crl_list_import2(&load->crls.crls, &load->crls.count, &datum,
                                          GNUTLS_X509_FMT_PEM, 0);
    if (status < 0 || load->crls.count == 0) {
        load->crls.count = 0;
        return vadm_tls_fail(error, "crl_file", path, "no revocation list in PEM form: %s",
                             status < 0 ? gnutls_strerror(status) : "it is empty");
    }
    for (unsigned int i = 0; i < load->crls.count; i++)
        if (!vadm_tls_check_crl(load, load->crls.crls[i], error))
            return FALSE;
    return TRUE;
}

/* Certificate and key for GIO, which takes them out of one text. */
static GTlsCertificate *
vadm_tls_make_certificate(const VadmTlsLoad *load, GError **error)
{
    gsize cert_length, key_length;
    const char *cert = g_bytes_get_data(load->cert_pem, &cert_length);
    const char *key = g_bytes_get_data(load->key_pem, &key_length);
    g_autoptr(GString) both = g_string_new_len(cert, (gssize)cert_length);
    g_autoptr(GError) cause = NULL;
    GTlsCertificate *certificate;

    g_string_append_c(both, '\n');
    g_string_append_len(both, key, (gssize)key_length);
    certificate = g_tls_certificate_new_from_pem(both->str, (gssize)both->len, &cause);
    explicit_bzero(both->str, both->len);
    if (!certificate)
        vadm_tls_fail(error, "cert_file", load->files->cert_file, "%s", cause->message);
    return certificate;
}

static char *
vadm_tls_hex(const unsigned char *octets, gsize length)
{
    GString *text = g_string_new(NULL);

    for (gsize i = 0; i < length; i++)
        g_string_append_printf(text, "%02x", octets[i]);
    return g_string_free(text, FALSE);
}

static char *
vadm_tls_make_description(gnutls_x509_crt_t crt)
{
    unsigned char serial[64], digest[32];
    size_t serial_length = sizeof(serial), digest_length = sizeof(digest);
    g_autofree char *serial_text = NULL;
    g_autofree char *digest_text = NULL;
    g_autofree char *until = vadm_tls_format_time(gnutls_x509_crt_get_expiration_time(crt));

    if (gnutls_x509_crt_get_serial(crt, serial, &serial_length) < 0)
        serial_length = 0;
    if (gnutls_x509_crt_get_fingerprint(crt, GNUTLS_DIG_SHA256, digest, &digest_length) < 0)
        digest_length = 0;
    serial_text = vadm_tls_hex(serial, serial_length);
    digest_text = vadm_tls_hex(digest, digest_length);
    return g_strdup_printf("serial %s, SHA-256 %s, valid until %s", serial_text, digest_text,
                           until);
}

/* When the first of the lists is outdated; 0: never. */
static time_t
vadm_tls_crls_until(const VadmTlsCrls *list)
{
    time_t until = 0;

    for (unsigned int i = 0; i < list->count; i++) {
        time_t next = gnutls_x509_crl_get_next_update(list->crls[i]);

        if (next != (time_t)-1 && (until == 0 || next < until))
            until = next;
    }
    return until;
}

/* The list gets the certificates for its own: what it did not take it has freed. */
static gboolean
vadm_tls_make_trust(VadmTls *tls, VadmTlsLoad *load, GError **error)
{
    int status = gnutls_x509_trust_list_init(&tls->trust, 0);
    unsigned int cas = load->cas.count, crls = load->crls.count;

    if (status < 0)
        return vadm_tls_fail(error, "ca_file", load->files->ca_file, "%s", gnutls_strerror(status));
    load->cas.count = load->crls.count = 0;
    status = gnutls_x509_trust_list_add_cas(tls->trust, load->cas.crts, cas, 0);
    if (status < (int)cas)
        return vadm_tls_fail(error, "ca_file", load->files->ca_file, "%s",
                             status < 0 ? gnutls_strerror(status) : "not all of it can be used");
    status =
        crls > 0 ? gnutls_x509_trust_list_add_crls(tls->trust, load->crls.crls, crls, 0, 0) : 0;
    if (status < (int)crls)
        return vadm_tls_fail(error, "crl_file", load->files->crl_file, "%s",
                             status < 0 ? gnutls_strerror(status) : "not all of it can be used");
    return TRUE;
}

VadmTls *
vadm_tls_new(const VadmTlsFiles *files, GError **error)
{
    g_auto(VadmTlsLoad) load = {.files = files};
    g_autoptr(VadmTls) tls = NULL;

    if (!g_tls_backend_supports_tls(g_tls_backend_get_default())) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG,
                    "GIO has no TLS here: its module is missing (package glib-networking)");
        return NULL;
    }
    if (!vadm_tls_load_cas(&load, error) || !vadm_tls_load_cert(&load, error) ||
        !vadm_tls_load_key(&load, error) || !vadm_tls_load_crls(&load, error))
        return NULL;
    tls = g_new0(VadmTls, 1);
    tls->refs = 1;
    tls->description = vadm_tls_make_description(load.chain.crts[0]);
    tls->crls_until = vadm_tls_crls_until(&load.crls);
    tls->database = vadm_tls_database_new();
    tls->certificate = vadm_tls_make_certificate(&load, error);
    if (!tls->certificate || !vadm_tls_make_trust(tls, &load, error))
        return NULL;
    return g_steal_pointer(&tls);
}

VadmTls *
vadm_tls_ref(VadmTls *tls)
{
    g_atomic_int_inc(&tls->refs);
    return tls;
}

void
vadm_tls_unref(VadmTls *tls)
{
    if (!tls || !g_atomic_int_dec_and_test(&tls->refs))
        return;
    g_clear_object(&tls->certificate);
    g_clear_object(&tls->database);
    if (tls->trust)
        gnutls_x509_trust_list_deinit(tls->trust, 1);
    g_free(tls->description);
    g_free(tls);
}

const char *
vadm_tls_describe(const VadmTls *tls)
{
    return tls->description;
}
