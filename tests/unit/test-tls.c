/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files of TLS, and the first message of a client: what is taken, and what is refused and why.
 */
#include "config.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/tls-private.h"
#include "tls-fixture.h"

/* The error names the key, the file and the fault. */
static void
assert_refused(const VadmTlsFiles *files, const char *key, const char *path, const char *fault)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *begin = g_strdup_printf("%s '%s': ", key, path);
    VadmTls *tls = pki_load(files, &error);

    ck_assert_ptr_null(tls);
    ck_assert(g_error_matches(error, VADM_ERROR, VADM_ERROR_CONFIG));
    ck_assert_msg(g_str_has_prefix(error->message, begin), "%s", error->message);
    ck_assert_msg(strstr(error->message, fault) != NULL, "%s", error->message);
}

START_TEST(good_files)
{
    g_autoptr(VadmTls) tls = pki_load(NULL, NULL);
    g_autofree char *crl = pki_make_crl("crl.pem", pki.ca, pki.client, 30 * TLS_DAY);
    g_autoptr(VadmTls) with_crl = pki_load(&(VadmTlsFiles){.crl_file = crl}, NULL);

    ck_assert_ptr_nonnull(tls);
    ck_assert_ptr_nonnull(with_crl);
    ck_assert(g_str_has_prefix(vadm_tls_describe(tls), "serial 01"));
    ck_assert_ptr_nonnull(strstr(vadm_tls_describe(tls), ", SHA-256 "));
    ck_assert_ptr_nonnull(strstr(vadm_tls_describe(tls), ", valid until 20"));
    vadm_tls_unref(vadm_tls_ref(tls));
}
END_TEST

/* Two CAs in one file, and a certificate from below the second of them. */
START_TEST(two_cas)
{
    g_autofree char *both = pki_make_chain("both.pem", pki.other_ca, pki.ca);
    g_autoptr(VadmTls) tls = pki_load(&(VadmTlsFiles){.ca_file = both}, NULL);

    ck_assert_ptr_nonnull(tls);
}
END_TEST

START_TEST(missing_and_no_pem)
{
    g_autofree char *absent = g_build_filename(pki.folder, "absent.pem", NULL);
    g_autofree char *text = pki_write("text.pem", "this is no PEM\n");
    g_autofree char *empty = pki_write("empty.pem", "");
    g_autofree char *torn =
        pki_write("torn.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");

    assert_refused(&(VadmTlsFiles){.ca_file = absent}, "ca_file", absent, "No such file");
    assert_refused(&(VadmTlsFiles){.cert_file = absent}, "cert_file", absent, "No such file");
    assert_refused(&(VadmTlsFiles){.key_file = absent}, "key_file", absent, "No such file");
    assert_refused(&(VadmTlsFiles){.crl_file = absent}, "crl_file", absent, "No such file");
    assert_refused(&(VadmTlsFiles){.ca_file = text}, "ca_file", text, "PEM");
    assert_refused(&(VadmTlsFiles){.cert_file = empty}, "cert_file", empty, "PEM");
    assert_refused(&(VadmTlsFiles){.cert_file = torn}, "cert_file", torn, "PEM");
    assert_refused(&(VadmTlsFiles){.key_file = pki.server->cert_path}, "key_file",
                   pki.server->cert_path, "PEM");
    assert_refused(&(VadmTlsFiles){.crl_file = text}, "crl_file", text, "PEM");
}
END_TEST

/* The name of one that would make the reader wait. */
START_TEST(no_regular_file)
{
    g_autofree char *fifo = g_build_filename(pki.folder, "fifo.pem", NULL);

    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    assert_refused(&(VadmTlsFiles){.ca_file = fifo}, "ca_file", fifo, "is no regular file");
    assert_refused(&(VadmTlsFiles){.key_file = fifo}, "key_file", fifo, "is no regular file");
    assert_refused(&(VadmTlsFiles){.crl_file = pki.folder}, "crl_file", pki.folder,
                   "is no regular file");
}
END_TEST

static void
assert_refused_cert(const char *name, const PkiRequest *request, const Pki *issuer,
                    const char *fault)
{
    Pki *bad = pki_new(name, request, issuer);

    assert_refused(&(VadmTlsFiles){.cert_file = bad->cert_path, .key_file = bad->key_path},
                   "cert_file", bad->cert_path, fault);
    pki_free(bad);
}

START_TEST(bad_certificates)
{
    assert_refused_cert("old", &(PkiRequest){.dn = "CN=s", .from = -TLS_DAY, .until = -10}, pki.ca,
                        "has expired at 20");
    assert_refused_cert("early", &(PkiRequest){.dn = "CN=s", .from = 3600, .until = TLS_DAY},
                        pki.ca, "is not valid before 20");
    assert_refused_cert("is-ca", &(PkiRequest){.dn = "CN=s", .ca = TRUE}, pki.ca, "that of a CA");
    assert_refused_cert("other", &(PkiRequest){.dn = "CN=s"}, pki.other_ca,
                        "not signed by ca_file");
    assert_refused_cert("itself", &(PkiRequest){.dn = "CN=s"}, NULL, "not signed by ca_file");
    assert_refused_cert(
        "client-only",
        &(PkiRequest){.dn = "CN=s", .purpose = GNUTLS_KP_TLS_WWW_CLIENT, .critical = TRUE}, pki.ca,
        "does not allow use by a TLS server");
}
END_TEST

START_TEST(bad_cas)
{
    Pki *old = pki_new(
        "old-ca", &(PkiRequest){.dn = "CN=CA", .ca = TRUE, .from = -TLS_DAY, .until = -9}, NULL);

    assert_refused(&(VadmTlsFiles){.ca_file = old->cert_path}, "ca_file", old->cert_path,
                   "has expired");
    assert_refused(&(VadmTlsFiles){.ca_file = pki.client->cert_path}, "ca_file",
                   pki.client->cert_path, "not that of a CA");
    assert_refused(&(VadmTlsFiles){.ca_file = pki.other_ca->cert_path}, "cert_file",
                   pki.server->cert_path, "not signed by ca_file");
    pki_free(old);
}
END_TEST

/* Nobody would have to steal the key. */
START_TEST(weak)
{
    Pki *small = pki_new("small", &(PkiRequest){.dn = "CN=s", .rsa_bits = 768}, pki.ca);
    Pki *small_ca =
        pki_new("small-ca", &(PkiRequest){.dn = "CN=small CA", .ca = TRUE, .rsa_bits = 768}, NULL);
    Pki *below = pki_new("below", &(PkiRequest){.dn = "CN=s"}, small_ca);
    Pki *usual = pki_new("usual", &(PkiRequest){.dn = "CN=s", .rsa_bits = 2048}, pki.ca);
    g_autofree char *cas = pki_make_chain("cas.pem", small_ca, pki.ca);
    g_autoptr(VadmTls) good = NULL;

    assert_refused(&(VadmTlsFiles){.cert_file = small->cert_path, .key_file = small->key_path},
                   "cert_file", small->cert_path,
                   "weak: 768 bits of RSA, where 1024 are the least");
    assert_refused(&(VadmTlsFiles){.ca_file = small_ca->cert_path,
                                   .cert_file = below->cert_path,
                                   .key_file = below->key_path},
                   "ca_file", small_ca->cert_path, "weak: 768 bits of RSA");
    /* one of another CA is no matter of ours, and is warned of */
    good = pki_load(
        &(VadmTlsFiles){.ca_file = cas, .cert_file = usual->cert_path, .key_file = usual->key_path},
        NULL);
    ck_assert_ptr_nonnull(good);
    pki_free(small);
    pki_free(small_ca);
    pki_free(below);
    pki_free(usual);
}
END_TEST

START_TEST(bad_keys)
{
    gnutls_datum_t out;
    g_autofree char *path = NULL;
    g_autofree char *text = NULL;

    assert_refused(&(VadmTlsFiles){.key_file = pki.client->key_path}, "key_file",
                   pki.client->key_path, "not that of the certificate");
    ck_assert_int_eq(gnutls_x509_privkey_export2_pkcs8(pki.server->key, GNUTLS_X509_FMT_PEM, "word",
                                                       GNUTLS_PKCS_PBES2_AES_256, &out),
                     0);
    text = g_strndup((const char *)out.data, out.size);
    gnutls_free(out.data);
    path = pki_write("locked.pem", text);
    assert_refused(&(VadmTlsFiles){.key_file = path}, "key_file", path, "encrypted");
}
END_TEST

START_TEST(bad_lists)
{
    g_autofree char *old = pki_make_crl("old.pem", pki.ca, NULL, -TLS_DAY);
    g_autofree char *other = pki_make_crl("other.pem", pki.other_ca, NULL, TLS_DAY);

    assert_refused(&(VadmTlsFiles){.crl_file = old}, "crl_file", old, "outdated");
    assert_refused(&(VadmTlsFiles){.crl_file = other}, "crl_file", other, "not signed by ca_file");
}
END_TEST

START_TEST(nothing_set)
{
    g_autoptr(GError) error = NULL;
    VadmTlsFiles files = {.ca_file = pki.ca->cert_path, .cert_file = pki.server->cert_path};

    ck_assert_ptr_null(vadm_tls_new(&files, &error));
    ck_assert_str_eq(error->message, "key_file must be set for TLS");
}
END_TEST

/* The first message */

START_TEST(hello_by_octets)
{
    g_autoptr(GByteArray) hello = tls_make_hello();
    guint looks = 0;

    ck_assert_uint_gt(hello->len, 100);
    for (gsize have = 0; have < hello->len; have++) {
        gsize wanted = vadm_tls_hello_wanted(hello->data, have);

        ck_assert_uint_gt(wanted, have);
        ck_assert_uint_le(wanted, hello->len);
    }
    ck_assert_uint_eq(vadm_tls_hello_wanted(hello->data, hello->len), hello->len);
    /* who waits for as much as was wanted looks a few times only */
    for (gsize have = 0; have < hello->len; looks++)
        have = vadm_tls_hello_wanted(hello->data, have);
    ck_assert_uint_le(looks, 3);
    /* what comes behind it is none of it */
    g_byte_array_append(hello, (const guint8 *)"behind", 6);
    ck_assert_uint_le(vadm_tls_hello_wanted(hello->data, hello->len), hello->len);
}
END_TEST

/* In records of @size octets each. */
static GByteArray *
split_hello(const GByteArray *hello, guint size)
{
    GByteArray *split = g_byte_array_new();

    for (guint at = 5; at < hello->len; at += size) {
        guint length = MIN(size, hello->len - at);
        guint8 head[5] = {22, 3, 1, (guint8)(length >> 8), (guint8)length};

        g_byte_array_append(split, head, sizeof(head));
        g_byte_array_append(split, hello->data + at, length);
    }
    return split;
}

START_TEST(hello_in_records)
{
    g_autoptr(GByteArray) hello = tls_make_hello();
    const guint sizes[] = {hello->len / 2, hello->len / 10, hello->len - 6};

    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(GByteArray) split = split_hello(hello, sizes[i]);

        for (gsize have = 0; have < split->len; have++)
            ck_assert_uint_gt(vadm_tls_hello_wanted(split->data, have), have);
        ck_assert_uint_eq(vadm_tls_hello_wanted(split->data, split->len), split->len);
    }
    for (guint size = 1; size < 5; size++) { /* its head, too; and too many of them */
        g_autoptr(GByteArray) split = split_hello(hello, size);

        ck_assert_uint_gt(vadm_tls_hello_wanted(split->data, 5 + size), 5 + size);
        ck_assert_uint_eq(vadm_tls_hello_wanted(split->data, split->len), 0);
    }
}
END_TEST

START_TEST(no_hello)
{
    const struct {
        const char *octets;
        gsize length;
    } garbage[] = {
        {"\0\0\0\x1c\x20\0\x80\x86", 8}, /* libvirt's protocol without TLS */
        {"GET / HTTP/1.0\r\n", 16},
        {"\x80\x2e\x01\x03\x01", 5},           /* SSL 2 */
        {"\x16", 0},                           /* nothing yet */
        {"\x16\x02", 2},                       /* not of version 3.x */
        {"\x16\x03\x01\0\0", 5},               /* an empty record */
        {"\x16\x03\x01\x40\x01", 5},           /* beyond the limit of a record */
        {"\x16\x03\x01\0\x20\x02", 6},         /* another message */
        {"\x16\x03\x01\0\x20\x01\x01\0\0", 9}, /* 64 KiB */
        {"\x15\x03\x01\0\x02\x02\x28", 7},     /* an alert */
    };

    for (guint i = 0; i < G_N_ELEMENTS(garbage); i++)
        ck_assert_uint_eq(
            vadm_tls_hello_wanted((const guint8 *)garbage[i].octets, garbage[i].length),
            garbage[i].length == 0 ? 5 : 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("tls");
    TCase *files = tcase_create("files");
    TCase *hello = tcase_create("hello");

    tcase_add_checked_fixture(files, pki_setup, pki_teardown);
    tcase_add_test(files, good_files);
    tcase_add_test(files, two_cas);
    tcase_add_test(files, missing_and_no_pem);
    tcase_add_test(files, no_regular_file);
    tcase_add_test(files, bad_certificates);
    tcase_add_test(files, bad_cas);
    tcase_add_test(files, weak);
    tcase_add_test(files, bad_keys);
    tcase_add_test(files, bad_lists);
    tcase_add_test(files, nothing_set);
    tcase_add_test(hello, hello_by_octets);
    tcase_add_test(hello, hello_in_records);
    tcase_add_test(hello, no_hello);
    suite_add_tcase(suite, files);
    suite_add_tcase(suite, hello);
    return vadm_unit_main(suite);
}
