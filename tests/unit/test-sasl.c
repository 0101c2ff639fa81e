/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The server's side of Cyrus SASL against its client's side, with a database of our own. */
#include <glib/gstdio.h>
#include <pthread.h>
#include <sasl/sasl.h>
#include <string.h>

#include "daemon/sasl.h"
#include "unit.h"

#define USER   "fred@example"
#define SECRET "s3cret-\xc3\xa4"
/* of our own realm, which is the only one that DIGEST-MD5 offers */
#define LOCAL_USER "anna"
#define SKIPPED    77

static const char config[] = "mech_list: SCRAM-SHA-256 SCRAM-SHA-512 PLAIN ANONYMOUS DIGEST-MD5\n"
                             "pwcheck_method: auxprop\n"
                             "auxprop_plugin: sasldb\n"
                             "sasldb_path: %s/sasldb2\n";

static const VadmSaslPeer unix_peer = {VADM_TRANSPORT_UNIX, NULL, NULL};
static const VadmSaslPeer tls_peer = {VADM_TRANSPORT_TLS, (char *)"2001:db8::1;16514",
                                      (char *)"fe80::1;50000"};
static const VadmSaslPeer tcp_peer = {VADM_TRANSPORT_TCP, (char *)"192.0.2.1;16509",
                                      (char *)"192.0.2.7;50000"};
static gboolean has_digest; /* the mechanism with a layer, and a cipher for it */

/* The client */

typedef struct {
    sasl_conn_t *conn;
    const char *user;
    sasl_secret_t *secret;
    sasl_callback_t callbacks[4];
} Guest;

static int
guest_name(void *context, int id, const char **result, unsigned *length)
{
    Guest *guest = context;

    (void)id;
    *result = guest->user;
    if (length)
        *length = (unsigned)strlen(guest->user);
    return SASL_OK;
}

static int
guest_password(sasl_conn_t *conn, void *context, int id, sasl_secret_t **result)
{
    Guest *guest = context;

    (void)conn;
    (void)id;
    *result = guest->secret;
    return SASL_OK;
}

#define CALLBACK(function) ((int (*)(void))(void (*)(void))(function))

static Guest *
guest_new(const char *user, const char *password)
{
    Guest *guest = g_new0(Guest, 1);

    guest->user = user;
    guest->secret = g_malloc0(sizeof(sasl_secret_t) + strlen(password));
    guest->secret->len = strlen(password);
    memcpy(guest->secret->data, password, strlen(password));
    guest->callbacks[0] = (sasl_callback_t){SASL_CB_AUTHNAME, CALLBACK(guest_name), guest};
    guest->callbacks[1] = (sasl_callback_t){SASL_CB_USER, CALLBACK(guest_name), guest};
    guest->callbacks[2] = (sasl_callback_t){SASL_CB_PASS, CALLBACK(guest_password), guest};
    guest->callbacks[3] = (sasl_callback_t){SASL_CB_LIST_END, NULL, NULL};
    ck_assert_int_eq(sasl_client_new(VADM_SASL_SERVICE, "localhost", NULL, NULL, guest->callbacks,
                                     SASL_SUCCESS_DATA, &guest->conn),
                     SASL_OK);
    return guest;
}

static void
guest_free(Guest *guest)
{
    sasl_dispose(&guest->conn);
    g_free(guest->secret);
    g_free(guest);
}

/* Returns: whether the server let the client in, and then it is @user that it knows */
static gboolean
exchange(const char *mechanism, const char *user, const char *password, char **reason)
{
    Guest *guest = guest_new(user, password);
    g_autoptr(GError) error = NULL;
    g_autoptr(VadmSasl) sasl = vadm_sasl_new(&unix_peer, &error);
    VadmSaslTurn turn = {.complete = FALSE};
    const char *said = NULL, *used;
    unsigned length = 0;
    gboolean ok;

    ck_assert_msg(sasl != NULL, "%s", error ? error->message : "?");
    ck_assert_int_ge(sasl_client_start(guest->conn, mechanism, NULL, &said, &length, &used),
                     SASL_OK);
    ok = vadm_sasl_start(sasl, mechanism, (const guint8 *)said, length, &turn, &error);
    while (ok && !turn.complete) {
        int rc = sasl_client_step(guest->conn, (const char *)turn.data, (unsigned)turn.length, NULL,
                                  &said, &length);
        ck_assert_msg(rc == SASL_OK || rc == SASL_CONTINUE, "%s", sasl_errdetail(guest->conn));
        ok = vadm_sasl_step(sasl, (const guint8 *)said, length, &turn, &error);
    }
    if (ok)
        ck_assert_str_eq(vadm_sasl_get_user(sasl, NULL), user);
    if (reason)
        *reason = error ? g_strdup(error->message) : NULL;
    guest_free(guest);
    return ok;
}

static const char *const mechanisms[] = {"SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"};

START_TEST(who_knows_the_password_comes_in)
{
    g_autofree char *reason = NULL;

    ck_assert_msg(exchange(mechanisms[_i], USER, SECRET, &reason), "%s", reason);
}
END_TEST

START_TEST(nobody_else_does)
{
    static const char *const others[][2] = {
        {USER, "s3cret"}, {"fred@elsewhere", SECRET}, {"nobody@example", SECRET}};

    for (guint i = 0; i < G_N_ELEMENTS(others); i++) {
        g_autofree char *reason = NULL;

        ck_assert(!exchange(mechanisms[_i], others[i][0], others[i][1], &reason));
        ck_assert_ptr_nonnull(reason);
        ck_assert_ptr_null(strstr(reason, "s3cret")); /* it goes to the log */
    }
}
END_TEST

/* Where there is TLS, or nobody else can listen. */
START_TEST(the_offer)
{
    g_autoptr(VadmSasl) sasl = vadm_sasl_new(_i == 0 ? &unix_peer : &tls_peer, NULL);
    g_auto(GStrv) list = g_strsplit(vadm_sasl_get_mechanisms(sasl, NULL), ",", -1);

    ck_assert_uint_eq(g_strv_length(list), G_N_ELEMENTS(mechanisms) + (has_digest ? 1 : 0));
    for (guint i = 0; i < G_N_ELEMENTS(mechanisms); i++)
        ck_assert(g_strv_contains((const char *const *)list, mechanisms[i]));
}
END_TEST

/* The list names it, our policy does not want it. 20 octets are the longest name there may be. */
START_TEST(what_is_not_offered)
{
    static const char *const names[] = {
        "ANONYMOUS",      "NOSUCH", "", "A2345678901234567890", "A23456789012345678901",
        "SCRAM-SHA-256\n"};

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(VadmSasl) sasl = vadm_sasl_new(&unix_peer, NULL);
        g_autoptr(GError) error = NULL;
        VadmSaslTurn turn = {.complete = FALSE};

        ck_assert(!vadm_sasl_start(sasl, names[i], (const guint8 *)"x", 1, &turn, &error));
        ck_assert(g_error_matches(error, VADM_ERROR, VADM_ERROR_AUTH));
        if (strlen(names[i]) == 0 || strlen(names[i]) > 20)
            ck_assert_ptr_nonnull(strstr(error->message, "has 1 to 20 octets"));
        ck_assert(!turn.complete);
    }
}
END_TEST

/* They could neither be shown nor be told to the upstream, or would write where they are shown. */
static const char *const odd_names[][2] = {
    {"fr\xff@example", "no UTF-8"},
    {"fr\ned@example", "it has a control character"},
    {"fr\x1b[2J@example", "it has a control character"},
    {"fr\xc2\x9b@example", "it has a control character"},
};

START_TEST(a_name_that_is_no_text)
{
    const char *name = odd_names[_i][0];
    gsize length = strlen(name);
    g_autofree char *plain = g_malloc(length + strlen(SECRET) + 2);
    g_autoptr(VadmSasl) sasl = vadm_sasl_new(&unix_peer, NULL);
    g_autoptr(GError) error = NULL;
    VadmSaslTurn turn = {.complete = FALSE};

    plain[0] = '\0';
    memcpy(plain + 1, name, length + 1);
    memcpy(plain + length + 2, SECRET, strlen(SECRET));
    ck_assert(vadm_sasl_start(sasl, "PLAIN", (const guint8 *)plain, length + strlen(SECRET) + 2,
                              &turn, NULL));
    ck_assert(turn.complete);
    ck_assert_ptr_null(vadm_sasl_get_user(sasl, &error));
    ck_assert_ptr_nonnull(strstr(error->message, odd_names[_i][1]));
}
END_TEST

/* Another's name with one's own password. */
START_TEST(nobody_acts_for_another)
{
    static const char plain[] = "anna@example\0" USER "\0" SECRET;
    g_autoptr(VadmSasl) sasl = vadm_sasl_new(&unix_peer, NULL);
    VadmSaslTurn turn = {.complete = FALSE};

    ck_assert(
        !vadm_sasl_start(sasl, "PLAIN", (const guint8 *)plain, sizeof(plain) - 1, &turn, NULL));
    ck_assert(!turn.complete);
}
END_TEST

START_TEST(noise)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(6906);

    for (guint i = 0; i < 500; i++) {
        g_autoptr(VadmSasl) sasl = vadm_sasl_new(&unix_peer, NULL);
        VadmSaslTurn turn = {.complete = FALSE};
        gsize length = (gsize)g_rand_int_range(random, 0, 200);
        g_autofree guint8 *data = g_malloc(length + 1);
        gboolean ok;

        for (gsize j = 0; j < length; j++)
            data[j] = (guint8)g_rand_int_range(random, 0, 256);
        if (length > 10 && i % 2)
            memcpy(data, "n,,n=fred@", 10);
        ok = vadm_sasl_start(sasl, mechanisms[i % 3], i % 5 ? data : NULL, i % 5 ? length : 0,
                             &turn, NULL);
        while (ok && !turn.complete && g_rand_boolean(random))
            ok = vadm_sasl_step(sasl, data, length, &turn, NULL);
        ck_assert(!turn.complete);
    }
}
END_TEST

/* The layer */

/* Puts the peers through an exchange. Returns: (transfer full) (nullable): the server; NULL: it
 * refused */
static VadmSasl *
agree(Guest *guest, const VadmSaslPeer *peer, const sasl_security_properties_t *policy,
      GError **error)
{
    g_autoptr(VadmSasl) sasl = vadm_sasl_new(peer, error);
    VadmSaslTurn turn = {.complete = FALSE};
    const char *said = NULL, *used;
    unsigned length = 0;
    gboolean ok;

    ck_assert_ptr_nonnull(sasl);
    ck_assert_int_eq(sasl_setprop(guest->conn, SASL_SEC_PROPS, policy), SASL_OK);
    ck_assert_int_ge(sasl_client_start(guest->conn, "DIGEST-MD5", NULL, &said, &length, &used),
                     SASL_OK);
    ok = vadm_sasl_start(sasl, "DIGEST-MD5", (const guint8 *)said, length, &turn, error);
    while (ok && !turn.complete) {
        int rc = sasl_client_step(guest->conn, (const char *)turn.data, (unsigned)turn.length, NULL,
                                  &said, &length);
        if (rc != SASL_OK && rc != SASL_CONTINUE)
            return NULL;
        ok = vadm_sasl_step(sasl, (const guint8 *)said, length, &turn, error);
    }
    if (ok && turn.data)
        ck_assert_int_eq(sasl_client_step(guest->conn, (const char *)turn.data,
                                          (unsigned)turn.length, NULL, &said, &length),
                         SASL_OK);
    return ok ? g_steal_pointer(&sasl) : NULL;
}

static const sasl_security_properties_t strong = {
    .min_ssf = 56, .max_ssf = 100000, .maxbufsize = 100000};

START_TEST(octets_go_through_the_layer)
{
    Guest *guest = guest_new(LOCAL_USER, SECRET);
    g_autoptr(GError) error = NULL;
    g_autoptr(VadmSasl) sasl = agree(guest, &tcp_peer, &strong, &error);
    gsize piece;
    g_autofree char *text = NULL;

    ck_assert_msg(sasl != NULL, "%s", error ? error->message : "?");
    ck_assert(vadm_sasl_has_layer(sasl));
    ck_assert(g_str_has_prefix(vadm_sasl_get_user(sasl, NULL), LOCAL_USER));
    piece = vadm_sasl_get_piece(sasl);
    ck_assert_uint_ge(piece, VADM_SASL_PIECE_MIN);
    ck_assert_uint_le(piece, VADM_SASL_PIECE_MAX);
    text = g_strnfill(piece, 'x');
    for (guint i = 0; i < 3; i++) {
        const guint8 *out;
        const char *back;
        gsize length;
        unsigned back_length;

        ck_assert(vadm_sasl_encode(sasl, (const guint8 *)text, piece, &out, &length, NULL));
        ck_assert_ptr_null(g_strstr_len((const char *)out, (gssize)length, "xxxx"));
        ck_assert_int_eq(
            sasl_decode(guest->conn, (const char *)out, (unsigned)length, &back, &back_length),
            SASL_OK);
        ck_assert_uint_eq(back_length, piece);
        ck_assert_mem_eq(back, text, piece);
        ck_assert_int_eq(sasl_encode(guest->conn, "hello", 5, &back, &back_length), SASL_OK);
        ck_assert(vadm_sasl_decode(sasl, (const guint8 *)back, 3, &out, &length, NULL));
        ck_assert_uint_eq(length, 0);
        ck_assert(
            vadm_sasl_decode(sasl, (const guint8 *)back + 3, back_length - 3, &out, &length, NULL));
        ck_assert_uint_eq(length, 5);
        ck_assert_mem_eq(out, "hello", 5);
    }
    guest_free(guest);
}
END_TEST

/* Octets in clear; a piece that is too long; one that was altered on its way. */
START_TEST(what_is_no_piece)
{
    static const char clear[] = "list", too_long[] = "\0\1\0\1";
    Guest *guest = guest_new(LOCAL_USER, SECRET);
    g_autoptr(VadmSasl) sasl = agree(guest, &tcp_peer, &strong, NULL);
    g_autoptr(GError) error = NULL;
    const char *piece = _i == 0 ? clear : too_long;
    const guint8 *out;
    unsigned length = 4;
    gsize out_length;
    g_autofree char *altered = NULL;

    ck_assert_ptr_nonnull(sasl);
    if (_i == 2) {
        ck_assert_int_eq(sasl_encode(guest->conn, "hello", 5, &piece, &length), SASL_OK);
        piece = altered = g_memdup2(piece, length);
        altered[length / 2] ^= 1;
    }
    ck_assert(!vadm_sasl_decode(sasl, (const guint8 *)piece, length, &out, &out_length, &error));
    ck_assert(g_error_matches(error, VADM_ERROR, VADM_ERROR_AUTH));
    guest_free(guest);
}
END_TEST

typedef struct {
    const VadmSaslPeer *peer;
    sasl_security_properties_t policy; /* the client's */
    gboolean comes_in, layer;
} Strength;

/* On plain TCP a client needs a layer, of 56 bits and of pieces that are not tiny; elsewhere it
 * gets none even if it would like to. */
static const Strength strengths[] = {
    {&tcp_peer, {.min_ssf = 56, .max_ssf = 56, .maxbufsize = 65536}, TRUE, TRUE},
    {&tcp_peer, {.min_ssf = 0, .max_ssf = 100000, .maxbufsize = 2000}, TRUE, TRUE},
    {&tcp_peer, {.min_ssf = 0, .max_ssf = 100000, .maxbufsize = 1000}, FALSE, FALSE},
    {&tcp_peer, {.min_ssf = 0, .max_ssf = 55, .maxbufsize = 65536}, FALSE, FALSE},
    {&tcp_peer, {.min_ssf = 0, .max_ssf = 1, .maxbufsize = 65536}, FALSE, FALSE},
    {&tcp_peer, {.min_ssf = 0, .max_ssf = 0, .maxbufsize = 65536}, FALSE, FALSE},
    {&unix_peer, {.min_ssf = 0, .max_ssf = 100000, .maxbufsize = 65536}, TRUE, FALSE},
    {&tls_peer, {.min_ssf = 0, .max_ssf = 100000, .maxbufsize = 65536}, TRUE, FALSE},
    {&unix_peer, {.min_ssf = 56, .max_ssf = 100000, .maxbufsize = 65536}, FALSE, FALSE},
};

START_TEST(strength)
{
    const Strength *want = &strengths[_i];
    Guest *guest = guest_new(LOCAL_USER, SECRET);
    g_autoptr(GError) error = NULL;
    g_autoptr(VadmSasl) sasl = agree(guest, want->peer, &want->policy, &error);

    ck_assert_msg((sasl != NULL) == want->comes_in, "%s", error ? error->message : "?");
    if (sasl)
        ck_assert_int_eq(vadm_sasl_has_layer(sasl), want->layer);
    guest_free(guest);
}
END_TEST

/* What has no layer is not there on plain TCP, nor what shows a password. */
START_TEST(the_offer_on_plain_tcp)
{
    g_autoptr(VadmSasl) sasl = vadm_sasl_new(&tcp_peer, NULL);
    g_autoptr(GError) error = NULL;
    const char *list = vadm_sasl_get_mechanisms(sasl, &error);
    VadmSaslTurn turn = {.complete = FALSE};

    if (has_digest)
        ck_assert_str_eq(list, "DIGEST-MD5");
    else
        ck_assert_ptr_nonnull(strstr(error->message, "security layer"));
    for (guint i = 0; i < G_N_ELEMENTS(mechanisms); i++) {
        g_autoptr(VadmSasl) bold = vadm_sasl_new(&tcp_peer, NULL);

        ck_assert(!vadm_sasl_start(bold, mechanisms[i], (const guint8 *)"n,,n=" USER ",r=x",
                                   9 + strlen(USER), &turn, NULL));
        ck_assert(!turn.complete);
    }
}
END_TEST

static void *
exchange_often(void *data)
{
    for (guint i = 0; i < 10; i++) {
        gboolean right = i % 2 == 0;

        if (exchange("SCRAM-SHA-256", USER, right ? SECRET : "wrong", NULL) != right)
            return data;
    }
    return NULL;
}

START_TEST(exchanges_side_by_side)
{
    pthread_t threads[4];

    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, exchange_often, threads), 0);
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++) {
        void *failed;

        pthread_join(threads[i], &failed);
        ck_assert_ptr_null(failed);
    }
}
END_TEST

static gboolean
add_user(const char *name)
{
    sasl_conn_t *conn = NULL;
    int rc = sasl_server_new(VADM_SASL_SERVICE, NULL, NULL, NULL, NULL, NULL, 0, &conn);

    if (rc == SASL_OK)
        rc = sasl_setpass(conn, name, SECRET, (unsigned)strlen(SECRET), NULL, 0, SASL_SET_CREATE);
    sasl_dispose(&conn);
    return rc == SASL_OK;
}

/* The plugins are packages of their own, which whoever builds this may not have. */
static gboolean
has_plugins(void)
{
    g_autoptr(VadmSasl) sasl = NULL;
    const char *list;

    if (!add_user(USER))
        return FALSE;
    for (guint i = 0; i < G_N_ELEMENTS(odd_names); i++) {
        if (!add_user(odd_names[i][0]))
            return FALSE;
    }
    sasl = vadm_sasl_new(&unix_peer, NULL);
    list = vadm_sasl_get_mechanisms(sasl, NULL);
    has_digest = list && strstr(list, "DIGEST-MD5") && add_user(LOCAL_USER);
    return list && strstr(list, "SCRAM-SHA-256") && sasl_client_init(NULL) == SASL_OK;
}

static int
run(void)
{
    Suite *suite = suite_create("sasl");
    TCase *tc = tcase_create("sasl");

    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, who_knows_the_password_comes_in, 0, G_N_ELEMENTS(mechanisms));
    tcase_add_loop_test(tc, nobody_else_does, 0, G_N_ELEMENTS(mechanisms));
    tcase_add_loop_test(tc, the_offer, 0, 2);
    tcase_add_test(tc, the_offer_on_plain_tcp);
    tcase_add_test(tc, what_is_not_offered);
    tcase_add_loop_test(tc, a_name_that_is_no_text, 0, G_N_ELEMENTS(odd_names));
    tcase_add_test(tc, nobody_acts_for_another);
    tcase_add_test(tc, noise);
    tcase_add_test(tc, exchanges_side_by_side);
    if (has_digest) {
        tcase_add_test(tc, octets_go_through_the_layer);
        tcase_add_loop_test(tc, what_is_no_piece, 0, 3);
        tcase_add_loop_test(tc, strength, 0, G_N_ELEMENTS(strengths));
    }
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}

int
main(void)
{
    g_autofree char *folder = g_dir_make_tmp("virtadm-sasl-XXXXXX", NULL);
    g_autofree char *conf = g_build_filename(folder, VADM_SASL_APPLICATION ".conf", NULL);
    g_autofree char *database = g_build_filename(folder, "sasldb2", NULL);
    g_autofree char *text = g_strdup_printf(config, folder);
    g_autoptr(GError) error = NULL;
    int status = SKIPPED;

    g_file_set_contents(conf, text, -1, NULL);
    g_setenv("SASL_CONF_PATH", folder, TRUE);
    if (!vadm_sasl_init(&error) || !vadm_sasl_init(&error)) {
        fprintf(stderr, "%s\n", error->message);
        status = EXIT_FAILURE;
    } else if (has_plugins()) {
        status = run();
    } else {
        fprintf(stderr, "skipped: the plugins scram and sasldb of Cyrus SASL are not there\n");
    }
    g_unlink(database);
    g_unlink(conf);
    g_rmdir(folder);
    return status;
}
