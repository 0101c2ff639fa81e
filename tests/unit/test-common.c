/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The small parts: errors, identities, mailboxes, locks, descriptors kept back. */
#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "common/error.h"
#include "common/lock.h"
#include "common/mailbox.h"
#include "common/source.h"
#include "common/spare-fds.h"
#include "unit.h"

START_TEST(test_error_errno)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) copy = NULL;
    g_autoptr(GError) foreign = g_error_new_literal(G_FILE_ERROR, G_FILE_ERROR_NOENT, "x");
    g_autoptr(GError) plain = g_error_new_literal(VADM_ERROR, VADM_ERROR_BUSY, "x");

    vadm_error_set_errno(NULL, ENOENT, "ignored %d", 1);
    vadm_error_set_errno(&error, ENOENT, "failed to open %s", "/x");
    ck_assert_str_eq(error->message, "failed to open /x: No such file or directory");
    ck_assert(g_error_matches(error, VADM_ERROR, VADM_ERROR_SYSTEM));
    copy = g_error_copy(error);
    ck_assert_int_eq(vadm_error_get_errno(copy), ENOENT);
    g_prefix_error(&error, "again: ");
    ck_assert_int_eq(vadm_error_get_errno(error), ENOENT);
    ck_assert_int_eq(vadm_error_get_errno(foreign), 0);
    ck_assert_int_eq(vadm_error_get_errno(plain), 0);
    ck_assert_int_eq(vadm_error_get_errno(NULL), 0);
}
END_TEST

START_TEST(test_identity)
{
    VadmIdentity *identity = vadm_identity_new();
    VadmIdentity *copy;
    g_autofree char *unknown = vadm_identity_peer(NULL, VADM_TRANSPORT_UNIX);
    g_autofree char *local = NULL;
    g_autofree char *remote = NULL;
    g_autofree char *beyond = vadm_identity_peer(NULL, (VadmTransport)77);

    ck_assert_str_eq(unknown, "unix");
    ck_assert_str_eq(beyond, "unknown");
    identity->local = TRUE;
    identity->pid = 7;
    identity->uid = 8;
    local = vadm_identity_peer(identity, VADM_TRANSPORT_UNIX);
    ck_assert_str_eq(local, "unix:pid=7,uid=8");
    copy = vadm_identity_copy(identity);
    vadm_identity_unref(identity);
    g_free(copy->sock_addr);
    copy->sock_addr = g_strdup("127.0.0.1:5");
    remote = vadm_identity_peer(copy, VADM_TRANSPORT_TCP);
    ck_assert_str_eq(remote, "127.0.0.1:5");
    ck_assert_uint_eq(copy->uid, 8);
    ck_assert_str_eq(copy->user_name, "");
    vadm_identity_unref(vadm_identity_ref(copy));
    vadm_identity_unref(copy);
    vadm_identity_unref(NULL);
}
END_TEST

/* ---- mailbox ---- */

#define POSTERS 4
#define POSTS   500

typedef struct {
    VadmMailbox *mailbox;
    int id;
    GArray *ran; /* of int: the owner's */
    atomic_int *destroyed;
} Poster;

typedef struct {
    Poster *poster;
    int number;
} Letter;

static void
run_letter(gpointer data)
{
    g_autofree Letter *letter = data;
    int code = letter->poster->id * POSTS + letter->number;

    g_array_append_val(letter->poster->ran, code);
}

static void *
post_letters(void *data)
{
    Poster *poster = data;

    for (int i = 0; i < POSTS; i++) {
        Letter *letter = g_new(Letter, 1);
        letter->poster = poster;
        letter->number = i;
        vadm_mailbox_post(poster->mailbox, run_letter, letter, g_free);
    }
    return NULL;
}

START_TEST(test_mailbox)
{
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autoptr(VadmMailbox) mailbox = vadm_mailbox_new(context);
    g_autoptr(GArray) ran = g_array_new(FALSE, FALSE, sizeof(int));
    Poster posters[POSTERS];
    pthread_t threads[POSTERS];
    int next[POSTERS] = {0};

    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (Poster){mailbox, i, ran, NULL};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, post_letters, &posters[i]), 0);
    }
    while (ran->len < POSTERS * POSTS)
        g_main_context_iteration(context, TRUE);
    for (int i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    ck_assert(!g_main_context_iteration(context, FALSE));
    for (guint i = 0; i < ran->len; i++) {
        int code = g_array_index(ran, int, i);
        ck_assert_int_eq(code % POSTS, next[code / POSTS]++); /* each poster's, in order */
    }
    vadm_mailbox_close(mailbox);
}
END_TEST

/* A loop that is not GLib's. */
START_TEST(test_mailbox_polled)
{
    g_autoptr(VadmMailbox) mailbox = vadm_mailbox_new_polled(NULL);
    g_autoptr(GArray) ran = g_array_new(FALSE, FALSE, sizeof(int));
    struct pollfd ready = {.fd = vadm_mailbox_get_fd(mailbox), .events = POLLIN};
    Poster posters[POSTERS];
    pthread_t threads[POSTERS];

    vadm_mailbox_dispatch(mailbox); /* does not wait for anything */
    ck_assert_int_eq(poll(&ready, 1, 0), 0);
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (Poster){mailbox, i, ran, NULL};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, post_letters, &posters[i]), 0);
    }
    while (ran->len < POSTERS * POSTS) {
        ck_assert_int_eq(poll(&ready, 1, 10000), 1);
        vadm_mailbox_dispatch(mailbox);
    }
    for (int i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(poll(&ready, 1, 0), 0);
    vadm_mailbox_close(mailbox);
    vadm_mailbox_dispatch(mailbox);
    ck_assert_uint_eq(ran->len, POSTERS * POSTS);
}
END_TEST

static void
count_destroyed(gpointer data)
{
    ++*(int *)data;
}

static void
must_not_run(gpointer data)
{
    (void)data;
    ck_abort_msg("ran after close");
}

START_TEST(test_mailbox_close)
{
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autoptr(VadmMailbox) mailbox = vadm_mailbox_new(context);
    int destroyed = 0;

    vadm_mailbox_post(mailbox, must_not_run, &destroyed, count_destroyed);
    vadm_mailbox_post(mailbox, must_not_run, &destroyed, NULL);
    vadm_mailbox_close(mailbox);
    ck_assert_int_eq(destroyed, 1);
    vadm_mailbox_post(mailbox, must_not_run, &destroyed, count_destroyed);
    ck_assert_int_eq(destroyed, 2);
    vadm_mailbox_close(mailbox);
    ck_assert_int_eq(destroyed, 2);
    ck_assert(!g_main_context_iteration(context, FALSE));
}
END_TEST

/* Each letter is either run by the owner or destroyed, also when the mailbox is closed while
 * others post. */
static void
count_letter(gpointer data)
{
    g_autofree Letter *letter = data;

    atomic_fetch_add(letter->poster->destroyed, 1);
}

static void *
post_counted(void *data)
{
    Poster *poster = data;

    for (int i = 0; i < POSTS; i++) {
        Letter *letter = g_new(Letter, 1);
        letter->poster = poster;
        letter->number = i;
        vadm_mailbox_post(poster->mailbox, run_letter, letter, count_letter);
    }
    return NULL;
}

START_TEST(test_mailbox_close_while_posting)
{
    g_autoptr(VadmMailbox) mailbox = vadm_mailbox_new_polled(NULL);
    g_autoptr(GArray) ran = g_array_new(FALSE, FALSE, sizeof(int));
    atomic_int destroyed = 0;
    struct pollfd ready = {.fd = vadm_mailbox_get_fd(mailbox), .events = POLLIN};
    Poster posters[POSTERS];
    pthread_t threads[POSTERS];

    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (Poster){mailbox, i, ran, &destroyed};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, post_counted, &posters[i]), 0);
    }
    ck_assert_int_eq(poll(&ready, 1, 10000), 1);
    vadm_mailbox_dispatch(mailbox);
    vadm_mailbox_close(mailbox);
    for (int i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq((int)ran->len + atomic_load(&destroyed), POSTERS * POSTS);
    ck_assert_uint_gt(ran->len, 0);
}
END_TEST

/* ---- locks ---- */

START_TEST(test_lock)
{
    VadmMutex mutex;
    VadmCond cond;
    gint64 deadline = g_get_monotonic_time() + 20000;

    vadm_mutex_init(&mutex);
    vadm_cond_init(&cond);
    {
        VADM_LOCK_SCOPE(&mutex);
        ck_assert_int_eq(pthread_mutex_trylock(&mutex), EBUSY);
        while (vadm_cond_wait_until(&cond, &mutex, deadline))
            ;
        ck_assert_int_ge(g_get_monotonic_time(), deadline);
    }
    ck_assert_int_eq(pthread_mutex_trylock(&mutex), 0);
    vadm_mutex_unlock(&mutex);
    vadm_cond_clear(&cond);
    vadm_mutex_clear(&mutex);
}
END_TEST

/* How many are left behind those of clients, and behind those of administrators. */
static const struct {
    rlim_t limit, clients, admins;
} spares[] = {
    {16384, 48, 32}, {1024, 48, 32}, {128, 48, 32}, {96, 48, 32},
    {95, 47, 31},    {64, 32, 21},   {30, 15, 10},  {4, 2, 1},
};

START_TEST(test_spare_fds)
{
    struct rlimit before, low;
    int limit = (int)spares[_i].limit;
    int clients = limit - (int)spares[_i].clients, admins = limit - (int)spares[_i].admins;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = before;
    low.rlim_cur = spares[_i].limit;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    ck_assert(vadm_spare_fds_allow_this(clients - 1, VADM_SPARE_FDS));
    ck_assert(!vadm_spare_fds_allow_this(clients, VADM_SPARE_FDS));
    ck_assert(vadm_spare_fds_allow_this(admins - 1, VADM_SPARE_FDS_ADMIN));
    ck_assert(!vadm_spare_fds_allow_this(admins, VADM_SPARE_FDS_ADMIN));
    ck_assert(!vadm_spare_fds_allow_this(-1, VADM_SPARE_FDS_ADMIN));
    ck_assert(vadm_spare_fds_allow_this(limit - 1, 0));
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("common");
    TCase *tc = tcase_create("common");

    tcase_add_test(tc, test_error_errno);
    tcase_add_test(tc, test_identity);
    tcase_add_test(tc, test_mailbox);
    tcase_add_test(tc, test_mailbox_polled);
    tcase_add_test(tc, test_mailbox_close);
    tcase_add_test(tc, test_mailbox_close_while_posting);
    tcase_add_test(tc, test_lock);
    tcase_add_loop_test(tc, test_spare_fds, 0, G_N_ELEMENTS(spares));
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
