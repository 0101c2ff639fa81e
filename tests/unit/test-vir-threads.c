/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a program does to its own threads while they are in the library. */
#include "config.h"

#include <sys/resource.h>
#include <unistd.h>

#include "unit.h"
#include "vir-fixture.h"

/* ---- pthread_cancel() ---- */

static void *
look_up(void *data)
{
    virAdmServerFree(virAdmConnectLookupServer(conn, "some", 0));
    *(gboolean *)data = TRUE;
    pthread_testcancel();
    return NULL;
}

/* The connection stays usable, for others too, and what the thread had goes with it. */
START_TEST(test_cancelled_in_a_call)
{
    unsigned long long version;
    struct vadm_admin_connect_get_lib_version_ret ret = {11002000};
    gboolean back = FALSE;
    pthread_t thread;
    void *result;

    peer_handle(peer, VADM_ADMIN_PROC_CONNECT_LOOKUP_SERVER, vir_echo_server, NULL);
    peer_hold(peer, VADM_ADMIN_PROC_CONNECT_LOOKUP_SERVER);
    peer_answer(peer, VADM_ADMIN_PROC_CONNECT_GET_LIB_VERSION,
                (xdrproc_t)xdr_vadm_admin_connect_get_lib_version_ret, &ret);
    vir_open();
    pthread_create(&thread, NULL, look_up, &back);
    peer_wait_calls(peer, VADM_ADMIN_PROC_CONNECT_LOOKUP_SERVER, 1);
    pthread_cancel(thread);
    ck_assert_int_eq(virAdmConnectGetLibVersion(conn, &version), 0);
    peer_release(peer, VADM_ADMIN_PROC_CONNECT_LOOKUP_SERVER, FALSE);
    pthread_join(thread, &result);
    ck_assert_ptr_eq(result, PTHREAD_CANCELED);
    ck_assert(back);
    ck_assert_int_eq(virAdmConnectGetLibVersion(conn, &version), 0);
    ck_assert_int_eq(virAdmConnectClose(conn), 0);
}
END_TEST

static void *
open_and_close(void *data)
{
    virAdmConnectPtr own = virAdmConnectOpen(uri, 0);

    if (own && virAdmConnectClose(own) == 0)
        *(gboolean *)data = TRUE;
    pthread_testcancel();
    return NULL;
}

START_TEST(test_cancelled_while_opening)
{
    gboolean back = FALSE;
    pthread_t thread;
    void *result;

    peer_hold(peer, VADM_ADMIN_PROC_CONNECT_OPEN);
    pthread_create(&thread, NULL, open_and_close, &back);
    peer_wait_calls(peer, VADM_ADMIN_PROC_CONNECT_OPEN, 1);
    pthread_cancel(thread);
    peer_release(peer, VADM_ADMIN_PROC_CONNECT_OPEN, FALSE);
    pthread_join(thread, &result);
    ck_assert_ptr_eq(result, PTHREAD_CANCELED);
    ck_assert(back);
}
END_TEST

/* ---- descriptors ---- */

#define N_THREADS 12
#define N_OPENS   500

static void *
open_often(void *data)
{
    const char *nowhere = data;

    for (int i = 0; i < N_OPENS; i++)
        ck_assert_ptr_null(virAdmConnectOpen(nowhere, 0));
    return NULL;
}

/* GLib would end the process: each finds enough of them, and then another one has them. */
START_TEST(test_few_descriptors)
{
    struct rlimit before, few;
    pthread_t threads[N_THREADS];
    int lowest = dup(0);

    close(lowest);
    getrlimit(RLIMIT_NOFILE, &before);
    few = before;
    few.rlim_cur = (rlim_t)lowest + 16;
    setrlimit(RLIMIT_NOFILE, &few);
    for (int i = 0; i < N_THREADS; i++)
        pthread_create(&threads[i], NULL, open_often,
                       (void *)"virtnone:///system?socket=/nonexistent");
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    setrlimit(RLIMIT_NOFILE, &before);
    vir_open();
    virAdmConnectClose(conn);
}
END_TEST

static Suite *
vir_threads_suite(void)
{
    Suite *suite = suite_create("vir-threads");
    TCase *tc = tcase_create("threads");

    tcase_add_checked_fixture(tc, vir_setup, vir_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_cancelled_in_a_call);
    tcase_add_test(tc, test_cancelled_while_opening);
    tcase_add_test(tc, test_few_descriptors);
    suite_add_tcase(suite, tc);
    return suite;
}

int
main(void)
{
    return vadm_unit_main(vir_threads_suite());
}
