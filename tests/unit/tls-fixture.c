/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "tls-fixture.h"

#include <arpa/inet.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

PkiSet pki;

/* Certificates */

char *
pki_write(const char *name, const char *text)
{
    char *path = g_build_filename(pki.folder, name, NULL);

    ck_assert(g_file_set_contents(path, text, -1, NULL));
    return path;
}

static char *
pki_write_datum(const char *name, gnutls_datum_t *datum)
{
    g_autofree char *text = g_strndup((const char *)datum->data, datum->size);

    gnutls_free(datum->data);
    return pki_write(name, text);
}

static void
pki_fill(Pki *one, const PkiRequest *request)
{
    static guint8 last_serial;
    guint8 serial[2] = {1, ++last_serial};
    gint64 now = time(NULL);
    gint64 from = request->from == 0 && request->until == 0 ? -TLS_DAY : request->from;
    gint64 until = request->from == 0 && request->until == 0 ? 365 * TLS_DAY : request->until;
    const char *bad;

    ck_assert_int_eq(gnutls_x509_crt_set_version(one->crt, 3), 0);
    ck_assert_int_eq(gnutls_x509_crt_set_serial(one->crt, serial, sizeof(serial)), 0);
    ck_assert_int_eq(gnutls_x509_crt_set_dn(one->crt, request->dn, &bad), 0);
    ck_assert_int_eq(gnutls_x509_crt_set_activation_time(one->crt, (time_t)(now + from)), 0);
    ck_assert_int_eq(gnutls_x509_crt_set_expiration_time(one->crt, (time_t)(now + until)), 0);
    ck_assert_int_eq(gnutls_x509_crt_set_basic_constraints(one->crt, request->ca ? 1 : 0, -1), 0);
    ck_assert_int_eq(gnutls_x509_crt_set_key(one->crt, one->key), 0);
    ck_assert_int_eq(
        gnutls_x509_crt_set_key_usage(
            one->crt, request->ca ? GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN |
                                        GNUTLS_KEY_DIGITAL_SIGNATURE
                                  : GNUTLS_KEY_DIGITAL_SIGNATURE | GNUTLS_KEY_KEY_ENCIPHERMENT),
        0);
    if (request->purpose)
        ck_assert_int_eq(gnutls_x509_crt_set_key_purpose_oid(one->crt, request->purpose,
                                                             (unsigned int)request->critical),
                         0);
}

void
pki_sign(Pki *one, const Pki *issuer)
{
    gnutls_datum_t out;

    ck_assert_int_eq(
        gnutls_x509_crt_sign2(one->crt, issuer->crt, issuer->key, GNUTLS_DIG_SHA256, 0), 0);
    ck_assert_int_eq(gnutls_x509_crt_export2(one->crt, GNUTLS_X509_FMT_PEM, &out), 0);
    ck_assert(g_file_set_contents(one->cert_path, (const char *)out.data, out.size, NULL));
    gnutls_free(out.data);
}

static void
pki_make_key(Pki *one, const PkiRequest *request)
{
    gnutls_pk_algorithm_t kind = request->rsa_bits > 0 ? GNUTLS_PK_RSA : GNUTLS_PK_ECDSA;
    unsigned int bits = request->rsa_bits > 0 ? request->rsa_bits
                                              : GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1);

    ck_assert_int_eq(gnutls_x509_privkey_init(&one->key), 0);
    ck_assert_int_eq(gnutls_x509_privkey_generate(one->key, kind, bits, 0), 0);
}

Pki *
pki_new(const char *name, const PkiRequest *request, const Pki *issuer)
{
    Pki *one = g_new0(Pki, 1);
    g_autofree char *cert_name = g_strdup_printf("%s.pem", name);
    g_autofree char *key_name = g_strdup_printf("%s-key.pem", name);
    gnutls_datum_t out;

    one->cert_path = g_build_filename(pki.folder, cert_name, NULL);
    ck_assert_int_eq(gnutls_x509_crt_init(&one->crt), 0);
    pki_make_key(one, request);
    pki_fill(one, request);
    pki_sign(one, issuer ? issuer : one);
    ck_assert_int_eq(gnutls_x509_privkey_export2(one->key, GNUTLS_X509_FMT_PEM, &out), 0);
    one->key_path = pki_write_datum(key_name, &out);
    return one;
}

void
pki_free(Pki *one)
{
    gnutls_x509_crt_deinit(one->crt);
    gnutls_x509_privkey_deinit(one->key);
    g_free(one->cert_path);
    g_free(one->key_path);
    g_free(one);
}

char *
pki_make_crl(const char *name, const Pki *issuer, const Pki *revoked, gint64 next)
{
    gnutls_x509_crl_t crl;
    gnutls_datum_t out;
    time_t now = time(NULL);
    unsigned char number[1] = {1};

    ck_assert_int_eq(gnutls_x509_crl_init(&crl), 0);
    ck_assert_int_eq(gnutls_x509_crl_set_version(crl, 2), 0);
    ck_assert_int_eq(gnutls_x509_crl_set_this_update(crl, now - 2 * TLS_DAY), 0);
    ck_assert_int_eq(gnutls_x509_crl_set_next_update(crl, (time_t)(now + next)), 0);
    ck_assert_int_eq(gnutls_x509_crl_set_number(crl, number, sizeof(number)), 0);
    if (revoked)
        ck_assert_int_eq(gnutls_x509_crl_set_crt(crl, revoked->crt, now - TLS_DAY), 0);
    ck_assert_int_eq(gnutls_x509_crl_sign2(crl, issuer->crt, issuer->key, GNUTLS_DIG_SHA256, 0), 0);
    ck_assert_int_eq(gnutls_x509_crl_export2(crl, GNUTLS_X509_FMT_PEM, &out), 0);
    gnutls_x509_crl_deinit(crl);
    return pki_write_datum(name, &out);
}

char *
pki_make_chain(const char *name, const Pki *first, const Pki *second)
{
    g_autofree char *one = NULL;
    g_autofree char *two = NULL;
    g_autofree char *both = NULL;

    ck_assert(g_file_get_contents(first->cert_path, &one, NULL, NULL));
    ck_assert(g_file_get_contents(second->cert_path, &two, NULL, NULL));
    both = g_strconcat(one, two, NULL);
    return pki_write(name, both);
}

void
pki_setup(void)
{
    pki.folder = g_dir_make_tmp("vadm-tls.XXXXXX", NULL);
    pki.ca = pki_new("ca", &(PkiRequest){.dn = "CN=Our CA", .ca = TRUE}, NULL);
    pki.server = pki_new(
        "server",
        &(PkiRequest){.dn = "CN=localhost,O=virtadm", .purpose = GNUTLS_KP_TLS_WWW_SERVER}, pki.ca);
    pki.client = pki_new("client",
                         &(PkiRequest){.dn = "CN=client one,O=virtadm,L=Berlin,C=DE",
                                       .purpose = GNUTLS_KP_TLS_WWW_CLIENT},
                         pki.ca);
    pki.other_ca = pki_new("other-ca", &(PkiRequest){.dn = "CN=Other CA", .ca = TRUE}, NULL);
    pki.stranger = pki_new("stranger", &(PkiRequest){.dn = "CN=stranger"}, pki.other_ca);
}

void
pki_teardown(void)
{
    g_autoptr(GDir) dir = g_dir_open(pki.folder, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(pki.folder, name, NULL);

        g_unlink(path);
    }
    g_rmdir(pki.folder);
    g_free(pki.folder);
    pki_free(pki.ca);
    pki_free(pki.server);
    pki_free(pki.client);
    pki_free(pki.other_ca);
    pki_free(pki.stranger);
}

VadmTls *
pki_load(const VadmTlsFiles *other, GError **error)
{
    VadmTlsFiles files = {
        .ca_file = other && other->ca_file ? other->ca_file : pki.ca->cert_path,
        .cert_file = other && other->cert_file ? other->cert_file : pki.server->cert_path,
        .key_file = other && other->key_file ? other->key_file : pki.server->key_path,
        .crl_file = other ? other->crl_file : NULL,
    };

    return vadm_tls_new(&files, error);
}

/* Clients */

int
tls_connect(guint16 port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static ssize_t
tls_hello_push(gnutls_transport_ptr_t to, const void *data, size_t length)
{
    g_byte_array_append(to, data, (guint)length);
    return (ssize_t)length;
}

static ssize_t
tls_hello_pull(gnutls_transport_ptr_t from, void *data, size_t length)
{
    (void)from;
    (void)data;
    (void)length;
    return 0;
}

GByteArray *
tls_make_hello(void)
{
    GByteArray *hello = g_byte_array_new();
    gnutls_certificate_credentials_t credentials;
    gnutls_session_t session;

    gnutls_certificate_allocate_credentials(&credentials);
    gnutls_init(&session, GNUTLS_CLIENT);
    gnutls_set_default_priority(session);
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials);
    gnutls_transport_set_ptr(session, hello);
    gnutls_transport_set_push_function(session, tls_hello_push);
    gnutls_transport_set_pull_function(session, tls_hello_pull);
    ck_assert_int_lt(gnutls_handshake(session), 0);
    gnutls_deinit(session);
    gnutls_certificate_free_credentials(credentials);
    return hello;
}

static void
tls_client_set(TlsClient *client, int *member, int value)
{
    VADM_LOCK_SCOPE(&client->lock);
    *member = value;
}

static void
tls_client_note_serial(TlsClient *client, gnutls_session_t session)
{
    unsigned int count;
    const gnutls_datum_t *peers = gnutls_certificate_get_peers(session, &count);
    gnutls_x509_crt_t crt;
    guint8 serial[32];
    size_t length = sizeof(serial);

    if (!peers)
        return;
    gnutls_x509_crt_init(&crt);
    gnutls_x509_crt_import(crt, &peers[0], GNUTLS_X509_FMT_DER);
    gnutls_x509_crt_get_serial(crt, serial, &length);
    gnutls_x509_crt_deinit(crt);
    tls_client_set(client, &client->serial, serial[length - 1]);
}

static void
tls_client_echo(TlsClient *client, gnutls_session_t session)
{
    guint8 data[16384];
    ssize_t got;

    while ((got = gnutls_record_recv(session, data, sizeof(data))) > 0) {
        for (ssize_t at = 0, put; at < got; at += put) {
            put = gnutls_record_send(session, data + at, (size_t)(got - at));
            if (put < 0)
                return;
        }
        VADM_LOCK_SCOPE(&client->lock);
        client->echoed += (guint64)got;
    }
    gnutls_bye(session, GNUTLS_SHUT_WR);
}

static void
tls_client_wait(TlsClient *client)
{
    VADM_LOCK_SCOPE(&client->lock);
    while (!client->go)
        vadm_cond_wait(&client->changed, &client->lock);
}

static void
tls_client_talk(TlsClient *client, gnutls_session_t session)
{
    guint8 octet;
    int status;

    do
        status = gnutls_handshake(session);
    while (status < 0 && !gnutls_error_is_fatal(status));
    tls_client_set(client, &client->shaken, status);
    if (status < 0)
        return;
    tls_client_note_serial(client, session);
    if (gnutls_record_recv(session, &octet, 1) != 1)
        return;
    tls_client_set(client, &client->octet, octet);
    if (client->init.kind == TLS_CLIENT_FILL)
        tls_client_wait(client);
    else if (client->init.kind == TLS_CLIENT_RENEGOTIATE)
        tls_client_set(client, &client->shaken, gnutls_handshake(session));
    else
        tls_client_echo(client, session);
}

static void *
tls_client_main(void *data)
{
    TlsClient *client = data;
    const TlsClientInit *init = &client->init;
    gnutls_certificate_credentials_t credentials;
    gnutls_session_t session;
    int fd = tls_connect(init->port);

    gnutls_certificate_allocate_credentials(&credentials);
    if (init->pki)
        gnutls_certificate_set_x509_key_file(
            credentials, init->cert_path ? init->cert_path : init->pki->cert_path,
            init->pki->key_path, GNUTLS_X509_FMT_PEM);
    gnutls_init(&session, GNUTLS_CLIENT);
    if (init->priority)
        gnutls_priority_set_direct(session, init->priority, NULL);
    else
        gnutls_set_default_priority(session);
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials);
    gnutls_transport_set_int(session, fd);
    tls_client_talk(client, session);
    gnutls_deinit(session);
    gnutls_certificate_free_credentials(credentials);
    close(fd);
    VADM_LOCK_SCOPE(&client->lock);
    client->ended = TRUE;
    return NULL;
}

TlsClient *
tls_client_new(const TlsClientInit *init)
{
    TlsClient *client = g_new0(TlsClient, 1);

    client->init = *init;
    client->shaken = 1;
    client->octet = -1;
    vadm_mutex_init(&client->lock);
    vadm_cond_init(&client->changed);
    ck_assert_int_eq(pthread_create(&client->thread, NULL, tls_client_main, client), 0);
    return client;
}

gboolean
tls_client_ended(TlsClient *client)
{
    VADM_LOCK_SCOPE(&client->lock);
    return client->ended;
}

int
tls_client_octet(TlsClient *client)
{
    VADM_LOCK_SCOPE(&client->lock);
    return client->octet;
}

void
tls_client_let_go(TlsClient *client)
{
    VADM_LOCK_SCOPE(&client->lock);
    client->go = TRUE;
    vadm_cond_signal(&client->changed);
}

void
tls_client_free(TlsClient *client)
{
    pthread_join(client->thread, NULL);
    vadm_mutex_clear(&client->lock);
    vadm_cond_clear(&client->changed);
    g_free(client);
}
