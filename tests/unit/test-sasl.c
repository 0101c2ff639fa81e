/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The server's side of Cyrus SASL against its client's side, with a database of our own. */
#include <glib/gstdio.h>
#include <pthread.h>
#include <sasl/sasl.h>
#include <string.h>

#include "daemon/sasl.h"
#include "unit.h"

#define USER    "fred@example"
#define SECRET  "s3cret-\xc3\xa4"
#define SKIPPED 77

static const char config[] = "mech_list: SCRAM-SHA-256 SCRAM-SHA-512 PLAIN ANONYMOUS\n"
                             "pwcheck_method: auxprop\n"
                             "auxprop_plugin: sasldb\n"
                             "sasldb_path: %s/sasldb2\n";

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
    g_autoptr(VadmSasl) sasl = vadm_sasl_new(&error);
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

START_TEST(the_offer)
{
    g_autoptr(VadmSasl) sasl = vadm_sasl_new(NULL);
    g_auto(GStrv) list = g_strsplit(vadm_sasl_get_mechanisms(sasl, NULL), ",", -1);

    ck_assert_uint_eq(g_strv_length(list), G_N_ELEMENTS(mechanisms));
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
        g_autoptr(VadmSasl) sasl = vadm_sasl_new(NULL);
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
    g_autoptr(VadmSasl) sasl = vadm_sasl_new(NULL);
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
    g_autoptr(VadmSasl) sasl = vadm_sasl_new(NULL);
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
        g_autoptr(VadmSasl) sasl = vadm_sasl_new(NULL);
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
    sasl = vadm_sasl_new(NULL);
    list = vadm_sasl_get_mechanisms(sasl, NULL);
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
    tcase_add_test(tc, the_offer);
    tcase_add_test(tc, what_is_not_offered);
    tcase_add_loop_test(tc, a_name_that_is_no_text, 0, G_N_ELEMENTS(odd_names));
    tcase_add_test(tc, nobody_acts_for_another);
    tcase_add_test(tc, noise);
    tcase_add_test(tc, exchanges_side_by_side);
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
