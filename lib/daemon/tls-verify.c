/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a client's certificate lets it in, and what it is called by it. */
#include <string.h>
#include <time.h>

#include "daemon/tls-private.h"

/* Certificates as GnuTLS takes them. */
typedef struct {
    gnutls_x509_crt_t crts[VADM_TLS_CHAIN_MAX];
    const GTlsCertificate *sources[VADM_TLS_CHAIN_MAX]; /* of crts */
    unsigned int count;
} VadmTlsChain;

static void
vadm_tls_chain_clear(VadmTlsChain *chain)
{
    while (chain->count > 0)
        gnutls_x509_crt_deinit(chain->crts[--chain->count]);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VadmTlsChain, vadm_tls_chain_clear)

/* Returns: 0, or an error of GnuTLS */
static int
vadm_tls_chain_add(VadmTlsChain *chain, GTlsCertificate *certificate)
{
    g_autoptr(GByteArray) der = NULL;
    gnutls_datum_t datum;
    int status = gnutls_x509_crt_init(&chain->crts[chain->count]);

    if (status < 0)
        return status;
    chain->sources[chain->count++] = certificate;
    g_object_get(certificate, "certificate", &der, NULL);
    datum = (gnutls_datum_t){der ? der->data : NULL, der ? der->len : 0};
    return gnutls_x509_crt_import(chain->crts[chain->count - 1], &datum, GNUTLS_X509_FMT_DER);
}

static gboolean
vadm_tls_chain_has(const VadmTlsChain *chain, const GTlsCertificate *certificate)
{
    for (unsigned int i = 0; i < chain->count; i++)
        if (chain->sources[i] == certificate)
            return TRUE;
    return FALSE;
}

/* GIO finds an issuer for each certificate among all that the client sends, so that there may be no
 * end. */
static gboolean
vadm_tls_chain_fill(VadmTlsChain *chain, GTlsCertificate *peer, GError **error)
{
    for (GTlsCertificate *one = peer; one; one = g_tls_certificate_get_issuer(one)) {
        int status = GNUTLS_E_CONSTRAINT_ERROR; /* too long */

        if (vadm_tls_chain_has(chain, one)) {
            g_set_error(
                error, VADM_ERROR, VADM_ERROR_AUTH,
                "its chain is not trusted: certificates in it have issued each other in a circle");
            return FALSE;
        }
        if (chain->count < VADM_TLS_CHAIN_MAX)
            status = vadm_tls_chain_add(chain, one);
        if (status == 0)
            continue;
        g_set_error(error, VADM_ERROR, VADM_ERROR_AUTH,
                    "certificate %u of its chain cannot be read: %s", chain->count,
                    gnutls_strerror(status));
        return FALSE;
    }
    return TRUE;
}

/* Returns: (transfer full) (nullable) */
static char *
vadm_tls_get_dn(gnutls_x509_crt_t crt, GError **error)
{
    gnutls_datum_t dn = {0};
    g_autofree char *text = NULL;
    int status = gnutls_x509_crt_get_dn2(crt, &dn);

    if (status < 0 || dn.size == 0) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_AUTH,
                    "its certificate has no distinguished name%s%s", status < 0 ? ": " : "",
                    status < 0 ? gnutls_strerror(status) : "");
        gnutls_free(dn.data);
        return NULL;
    }
    text = g_strndup((const char *)dn.data, dn.size);
    /* A NUL would hide the rest of the name from the patterns. */
    if (strlen(text) != dn.size || !g_utf8_validate(text, -1, NULL)) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_AUTH,
                    "the distinguished name of its certificate is no text");
        g_clear_pointer(&text, g_free);
    }
    gnutls_free(dn.data);
    return g_steal_pointer(&text);
}

static gboolean
vadm_tls_is_allowed(const char *dn, char *const *allowed_dns)
{
    if (!allowed_dns || !*allowed_dns)
        return TRUE;
    for (; *allowed_dns; allowed_dns++)
        if (g_pattern_match_simple(*allowed_dns, dn))
            return TRUE;
    return FALSE;
}

static gboolean
vadm_tls_verify_chain(const VadmTls *tls, VadmTlsChain *chain, const char *dn, GError **error)
{
    unsigned int result = 0;
    g_autofree char *text = NULL;
    int status = gnutls_x509_trust_list_verify_crt2(tls->trust, chain->crts, chain->count, NULL, 0,
                                                    VADM_TLS_VERIFY_FLAGS, &result, NULL);

    if (status == 0 && result == 0)
        return TRUE;
    if (status == 0 && (result & GNUTLS_CERT_INSECURE_ALGORITHM))
        text = vadm_tls_find_weak(chain->crts, chain->count);
    if (!text)
        text = status < 0 ? g_strdup(gnutls_strerror(status)) : vadm_tls_format_status(result);
    g_set_error(error, VADM_ERROR, VADM_ERROR_AUTH, "its certificate '%s' is not trusted: %s", dn,
                text);
    return FALSE;
}

/* Behind its time the list does not tell any more who is revoked. GnuTLS looks only when it is
 * loaded. */
static gboolean
vadm_tls_knows_revoked(const VadmTls *tls, GError **error)
{
    g_autofree char *until = vadm_tls_format_time(tls->crls_until);

    if (tls->crls_until == 0 || time(NULL) <= tls->crls_until)
        return TRUE;
    g_set_error(error, VADM_ERROR, VADM_ERROR_AUTH,
                "nobody comes in since %s: crl_file is outdated, and has not been read again",
                until);
    return FALSE;
}

char *
vadm_tls_verify_peer(const VadmTls *tls, GTlsCertificate *peer, char *const *allowed_dns,
                     GString *warnings, GError **error)
{
    g_auto(VadmTlsChain) chain = {.count = 0};
    g_autofree char *dn = NULL;
    g_autofree char *name = NULL;

    if (!vadm_tls_knows_revoked(tls, error) || !vadm_tls_chain_fill(&chain, peer, error))
        return NULL;
    dn = vadm_tls_get_dn(chain.crts[0], error);
    if (!dn || !vadm_tls_verify_chain(tls, &chain, dn, error))
        return NULL;
    name = g_strdup_printf("its certificate '%s'", dn);
    if (!vadm_tls_check_certificate(chain.crts[0], VADM_TLS_ROLE_CLIENT, name, VADM_ERROR_AUTH,
                                    warnings, error))
        return NULL;
    if (!vadm_tls_is_allowed(dn, allowed_dns)) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_AUTH, "tls_allowed_dn_list does not allow '%s'",
                    dn);
        return NULL;
    }
    return g_steal_pointer(&dn);
}
