/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The life of a connection: opening, threads, the end and who is told of it, time limits, and what
 * the library must not do to its process. */
#include "config.h"

#include <signal.h>
#include <sys/resource.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/lock.h"
#include "unit.h"
#include "vir-fixture.h"

#define N_THREADS 8

/* ---- opening ---- */

START_TEST(test_open_and_close)
{
    char *text;

    vir_open();
    text = virAdmConnectGetURI(conn);
    ck_assert_str_eq(text, uri);
    free(text);
    ck_assert_int_eq(virAdmConnectIsAlive(conn), 1);
    ck_assert_int_eq(virAdmConnectRef(conn), 0);
    ck_assert_int_eq(virAdmConnectClose(conn), 1);
    ck_assert_uint_eq(peer_n_calls(peer, VADM_ADMIN_PROC_CONNECT_CLOSE), 0);
    ck_assert_int_eq(virAdmConnectClose(conn), 0);
    ck_assert_uint_eq(peer_n_calls(peer, VADM_ADMIN_PROC_CONNECT_CLOSE), 1);
}
END_TEST

START_TEST(test_open_flags)
{
    conn = virAdmConnectOpen(uri, 2); /* VIR_CONNECT_NO_ALIASES */
    ck_assert_ptr_nonnull(conn);
    virAdmConnectClose(conn);
    ck_assert_ptr_null(virAdmConnectOpen(uri, 7));
    VIR_ASSERT_ERROR(VIR_ERR_INVALID_ARG, VIR_FROM_ADMIN,
                     "unsupported flags (0x5) in function adminDispatchConnectOpen");
}
END_TEST

START_TEST(test_open_fails)
{
    ck_assert_ptr_null(virAdmConnectOpen("libvirtd:///system?socket=/nonexistent/socket", 0));
    VIR_ASSERT_ERROR(
        VIR_ERR_SYSTEM_ERROR, VIR_FROM_RPC,
        "Failed to connect socket to '/nonexistent/socket': No such file or directory");
    ck_assert_int_eq(virGetLastError()->int1, ENOENT);
    ck_assert_ptr_null(virAdmConnectOpen("libvirtd:///%zz", 0));
    VIR_ASSERT_ERROR(VIR_ERR_INTERNAL_ERROR, VIR_FROM_URI,
                     "internal error: Unable to parse URI libvirtd:///%zz");
    ck_assert_ptr_null(virAdmConnectOpen("foo:///system", 0));
    VIR_ASSERT_ERROR(VIR_ERR_CONFIG_UNSUPPORTED, VIR_FROM_ADMIN,
                     "unsupported configuration: Unsupported URI scheme 'foo'");
    peer_turn_away(peer, TRUE); /* a daemon of another user */
    ck_assert_ptr_null(virAdmConnectOpen(uri, 0));
    ck_assert_int_eq(virGetLastErrorCode(), VIR_ERR_SYSTEM_ERROR);
}
END_TEST

START_TEST(test_environment)
{
    g_setenv("VIRTADM_CALL_TIMEOUT", "soon", TRUE);
    ck_assert_ptr_null(virAdmConnectOpen(uri, 0));
    VIR_ASSERT_ERROR(VIR_ERR_INVALID_ARG, VIR_FROM_ADMIN,
                     "invalid argument: environment variable VIRTADM_CALL_TIMEOUT is 'soon', not a "
                     "number from 0 to 86400");
    g_setenv("VIRTADM_CALL_TIMEOUT", "86401", TRUE);
    ck_assert_ptr_null(virAdmConnectOpen(uri, 0));
    g_setenv("VIRTADM_CALL_TIMEOUT", "", TRUE);
    vir_open();
    virAdmConnectClose(conn);
}
END_TEST

/* GLib would end the process. One is left for libvirt-admin.conf. */
START_TEST(test_no_descriptors)
{
    struct rlimit before, none;
    int lowest = dup(0);

    close(lowest);
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = (rlim_t)lowest + 1;
    setrlimit(RLIMIT_NOFILE, &none);
    ck_assert_ptr_null(virAdmConnectOpen(uri, 0));
    setrlimit(RLIMIT_NOFILE, &before);
    VIR_ASSERT_ERROR(VIR_ERR_SYSTEM_ERROR, VIR_FROM_RPC,
                     "cannot open 11 descriptors for a connection: Too many open files");
    vir_open();
    virAdmConnectClose(conn);
}
END_TEST

/* ---- many threads ---- */

typedef struct {
    pthread_t thread;
    char name[32];
    gboolean right;
} Caller;

static void *
look_up(void *data)
{
    Caller *caller = data;
    virAdmServerPtr server = virAdmConnectLookupServer(conn, caller->name, 0);

    caller->right = server && strcmp(virAdmServerGetName(server), caller->name) == 0;
    virAdmServerFree(server);
    return NULL;
}

START_TEST(test_replies_out_of_order)
{
    Caller callers[N_THREADS];

    vir_open();
    peer_hold(peer, VADM_ADMIN_PROC_CONNECT_LOOKUP_SERVER);
    for (int i = 0; i < N_THREADS; i++) {
        g_snprintf(callers[i].name, sizeof callers[i].name, "server %d", i);
        pthread_create(&callers[i].thread, NULL, look_up, &callers[i]);
    }
    /* The others have not been sent: the daemon would not read our signs of life behind them. */
    peer_wait_calls(peer, VADM_ADMIN_PROC_CONNECT_LOOKUP_SERVER, 4);
    peer_release(peer, VADM_ADMIN_PROC_CONNECT_LOOKUP_SERVER, TRUE);
    for (int i = 0; i < N_THREADS; i++) {
        pthread_join(callers[i].thread, NULL);
        ck_assert_msg(callers[i].right, "%s got another one's reply", callers[i].name);
    }
    virAdmConnectClose(conn);
}
END_TEST

/* Returns the number of the first error that is none of a closed connection. */
static void *
call_until_closed(void *data)
{
    virAdmConnectPtr own = data;

    for (;;) {
        virAdmServerPtr server = virAdmConnectLookupServer(own, "some", 0);

        if (server) {
            virAdmServerFree(server);
            continue;
        }
        return GINT_TO_POINTER(virGetLastErrorCode());
    }
}

START_TEST(test_close_while_others_call)
{
    pthread_t threads[N_THREADS];
    void *code;

    vir_open();
    for (int i = 0; i < N_THREADS; i++)
        pthread_create(&threads[i], NULL, call_until_closed, conn);
    peer_wait_calls(peer, VADM_ADMIN_PROC_CONNECT_LOOKUP_SERVER, 100);
    virAdmConnectClose(conn);
    for (int i = 0; i < N_THREADS; i++) {
        pthread_join(threads[i], &code);
        ck_assert_int_eq(GPOINTER_TO_INT(code), VIR_ERR_INVALID_CONN);
    }
}
END_TEST

START_TEST(test_daemon_dies_while_others_call)
{
    pthread_t threads[N_THREADS];
    void *code;

    vir_open();
    for (int i = 0; i < N_THREADS; i++)
        pthread_create(&threads[i], NULL, call_until_closed, conn);
    peer_wait_calls(peer, VADM_ADMIN_PROC_CONNECT_LOOKUP_SERVER, 100);
    peer_close_all(peer);
    for (int i = 0; i < N_THREADS; i++) {
        pthread_join(threads[i], &code);
        ck_assert_msg(GPOINTER_TO_INT(code) == VIR_ERR_SYSTEM_ERROR ||
                          GPOINTER_TO_INT(code) == VIR_ERR_INTERNAL_ERROR,
                      "code %d", GPOINTER_TO_INT(code));
    }
    ck_assert_int_eq(virAdmConnectIsAlive(conn), 0);
    virAdmConnectClose(conn);
}
END_TEST

/* ---- the end, and the callback ---- */

typedef struct {
    VadmMutex lock;
    guint calls, frees;
    int reason;
    gboolean alive, closes;
    int close_result;
} Told;

static Told told;

static guint
told_calls(void)
{
    VADM_LOCK_SCOPE(&told.lock);
    return told.calls;
}

static guint
told_frees(void)
{
    VADM_LOCK_SCOPE(&told.lock);
    return told.frees;
}

static void
on_close(virAdmConnectPtr from, int reason, void *opaque)
{
    unsigned long long version;

    ck_assert_ptr_eq(opaque, &told);
    ck_assert_int_eq(virAdmConnectGetLibVersion(from, &version), -1);
    VADM_LOCK_SCOPE(&told.lock);
    ck_assert_uint_eq(told.frees, 0);
    told.calls++;
    told.reason = reason;
    told.alive = virAdmConnectIsAlive(from) != 0;
    if (told.closes)
        told.close_result = virAdmConnectClose(from);
}

static void
on_other_close(virAdmConnectPtr from, int reason, void *opaque)
{
    (void)from;
    (void)reason;
    (void)opaque;
}

static void
on_free(void *opaque)
{
    ck_assert_ptr_eq(opaque, &told);
    VADM_LOCK_SCOPE(&told.lock);
    told.frees++;
}

static void
register_closing_callback(gboolean closes)
{
    memset(&told, 0, sizeof told);
    vadm_mutex_init(&told.lock);
    told.closes = closes;
    ck_assert_int_eq(virAdmConnectRegisterCloseCallback(conn, on_close, &told, on_free), 0);
}

static void
register_callback(void)
{
    register_closing_callback(FALSE);
}

START_TEST(test_eof)
{
    unsigned long long version;

    vir_open();
    register_callback();
    peer_hang_up(peer, VADM_ADMIN_PROC_CONNECT_GET_LIB_VERSION, 0);
    ck_assert_int_eq(virAdmConnectGetLibVersion(conn, &version), -1);
    VIR_ASSERT_ERROR(VIR_ERR_SYSTEM_ERROR, VIR_FROM_RPC,
                     "End of file while reading data: Input/output error");
    ck_assert_int_eq(virGetLastError()->int1, EIO);
    VIR_WAIT_FOR(told_frees() == 1);
    ck_assert_uint_eq(told.calls, 1);
    ck_assert_int_eq(told.reason, VIR_CONNECT_CLOSE_REASON_EOF);
    ck_assert(!told.alive);
    ck_assert_int_eq(virAdmConnectGetLibVersion(conn, &version), -1);
    VIR_ASSERT_ERROR(VIR_ERR_INTERNAL_ERROR, VIR_FROM_RPC,
                     "internal error: client socket is closed");
    /* it has been told: it is not registered any more, and held its last reference until then */
    ck_assert_int_eq(virAdmConnectUnregisterCloseCallback(conn, on_close), -1);
    VIR_ASSERT_ERROR(VIR_ERR_OPERATION_INVALID, VIR_FROM_NONE,
                     "Requested operation is not valid: A different callback was requested");
    VIR_WAIT_FOR(virAdmConnectClose(conn) <= 0);
}
END_TEST

START_TEST(test_protocol_error)
{
    static const guint8 garbage[] = {0, 0, 0, 3};

    vir_open();
    register_callback();
    peer_send_raw(peer, garbage, sizeof garbage);
    VIR_WAIT_FOR(told_frees() == 1);
    ck_assert_int_eq(told.reason, VIR_CONNECT_CLOSE_REASON_ERROR);
    virAdmConnectClose(conn);
}
END_TEST

START_TEST(test_keepalive)
{
    unsigned long long version;

    g_setenv("VIRTADM_KEEPALIVE_INTERVAL", "1", TRUE);
    g_setenv("VIRTADM_KEEPALIVE_COUNT", "1", TRUE);
    peer_answer_pings(peer, FALSE);
    peer_ignore(peer, VADM_ADMIN_PROC_CONNECT_GET_LIB_VERSION);
    vir_open();
    register_callback();
    ck_assert_int_eq(virAdmConnectGetLibVersion(conn, &version), -1);
    VIR_ASSERT_ERROR(VIR_ERR_INTERNAL_ERROR, VIR_FROM_RPC,
                     "internal error: connection closed due to keepalive timeout");
    VIR_WAIT_FOR(told_frees() == 1);
    ck_assert_uint_eq(peer_n_pings(peer), 1);
    ck_assert_int_eq(told.reason, VIR_CONNECT_CLOSE_REASON_KEEPALIVE);
    virAdmConnectClose(conn);
}
END_TEST

/* The program's last reference goes in the callback: the I/O thread ends itself. */
START_TEST(test_close_in_the_callback)
{
    vir_open();
    register_closing_callback(TRUE);
    peer_close_all(peer);
    VIR_WAIT_FOR(told_frees() == 1);
    ck_assert_int_eq(told.close_result, 1); /* that of the callback itself */
    VIR_WAIT_FOR(virAdmConnectIsAlive(conn) == -1);
}
END_TEST

START_TEST(test_unregister)
{
    vir_open();
    register_callback();
    ck_assert_int_eq(virAdmConnectRegisterCloseCallback(conn, on_close, &told, on_free), -1);
    VIR_ASSERT_ERROR(VIR_ERR_OPERATION_INVALID, VIR_FROM_ADMIN,
                     "Requested operation is not valid: A close callback is already registered");
    ck_assert_int_eq(virAdmConnectUnregisterCloseCallback(conn, on_other_close), -1);
    ck_assert_uint_eq(told_frees(), 0);
    ck_assert_int_eq(virAdmConnectUnregisterCloseCallback(conn, on_close), 0);
    ck_assert_uint_eq(told_frees(), 1);
    peer_close_all(peer);
    VIR_WAIT_FOR(virAdmConnectIsAlive(conn) == 0);
    ck_assert_int_eq(virAdmConnectClose(conn), 0);
    ck_assert_uint_eq(told_calls(), 0);
    ck_assert_uint_eq(told_frees(), 1);
}
END_TEST

/* A connection that the program closes is no news; a callback holds a reference. */
START_TEST(test_closed_by_the_program)
{
    vir_open();
    register_callback();
    ck_assert_int_eq(virAdmConnectClose(conn), 1);
    ck_assert_int_eq(virAdmConnectIsAlive(conn), 1);
    ck_assert_int_eq(virAdmConnectClose(conn), 0);
    ck_assert_uint_eq(told_calls(), 0);
    ck_assert_uint_eq(told_frees(), 1);
}
END_TEST

/* The daemon may go before the program has come to registering. */
START_TEST(test_registered_too_late)
{
    vir_open();
    peer_close_all(peer);
    VIR_WAIT_FOR(virAdmConnectIsAlive(conn) == 0);
    register_callback();
    VIR_WAIT_FOR(told_frees() == 1);
    ck_assert_uint_eq(told_calls(), 1);
    ck_assert_int_eq(told.reason, VIR_CONNECT_CLOSE_REASON_EOF);
    /* once in its life: the wrong call would come from another thread */
    register_callback();
    for (int i = 0; i < 50 && told_calls() == 0; i++)
        g_usleep(1000);
    ck_assert_int_eq(virAdmConnectUnregisterCloseCallback(conn, on_close), 0);
    ck_assert_uint_eq(told_calls(), 0);
    virAdmConnectClose(conn);
}
END_TEST

/* Each registration has the I/O thread look whether somebody is to be told; the first look ends the
 * connection. Mostly both find it asleep. */
START_TEST(test_registered_too_late_twice)
{
    for (int i = 0; i < 20; i++) {
        vir_open();
        peer_close_all(peer);
        VIR_WAIT_FOR(virAdmConnectIsAlive(conn) == 0);
        virAdmConnectRegisterCloseCallback(conn, on_other_close, NULL, NULL);
        if (virAdmConnectUnregisterCloseCallback(conn, on_other_close) < 0) {
            virAdmConnectClose(conn);
            continue;
        }
        register_closing_callback(TRUE);
        VIR_WAIT_FOR(told_frees() == 1);
        VIR_WAIT_FOR(virAdmConnectIsAlive(conn) == -1);
        ck_assert_uint_eq(told_calls(), 1);
    }
}
END_TEST

/* ---- time limits ---- */

START_TEST(test_full_daemon)
{
    g_setenv("VIRTADM_CONNECT_TIMEOUT", "1", TRUE);
    peer_accept(peer, FALSE);
    ck_assert_ptr_null(virAdmConnectOpen(uri, 0));
    ck_assert_int_eq(virGetLastErrorCode(), VIR_ERR_OPERATION_TIMEOUT);
    ck_assert_int_eq(virGetLastErrorDomain(), VIR_FROM_RPC);
    ck_assert_ptr_nonnull(strstr(virGetLastErrorMessage(), "did not answer CONNECT_OPEN"));
    peer_accept(peer, TRUE);
}
END_TEST

START_TEST(test_call_timeout)
{
    const struct vadm_admin_connect_get_lib_version_ret ret = {9000000};
    unsigned long long version;

    g_setenv("VIRTADM_CALL_TIMEOUT", "1", TRUE);
    peer_answer(peer, VADM_ADMIN_PROC_CONNECT_GET_LIB_VERSION,
                (xdrproc_t)xdr_vadm_admin_connect_get_lib_version_ret, &ret);
    peer_hold(peer, VADM_ADMIN_PROC_CONNECT_GET_LIB_VERSION);
    vir_open();
    ck_assert_int_eq(virAdmConnectGetLibVersion(conn, &version), -1);
    VIR_ASSERT_ERROR(VIR_ERR_OPERATION_TIMEOUT, VIR_FROM_RPC,
                     "Timed out during operation: no reply to procedure 3 within 1000 ms");
    /* The connection lives on, and what comes late disturbs nobody. */
    peer_release(peer, VADM_ADMIN_PROC_CONNECT_GET_LIB_VERSION, FALSE);
    ck_assert_int_eq(virAdmConnectGetLibVersion(conn, &version), 0);
    ck_assert_uint_eq(version, 9000000);
    ck_assert_int_eq(virAdmConnectIsAlive(conn), 1);
    virAdmConnectClose(conn);
}
END_TEST

START_TEST(test_close_of_a_silent_daemon)
{
    gint64 before;

    vir_open();
    peer_ignore(peer, VADM_ADMIN_PROC_CONNECT_CLOSE);
    before = g_get_monotonic_time();
    ck_assert_int_eq(virAdmConnectClose(conn), 0);
    ck_assert_int_lt(g_get_monotonic_time() - before, 8 * G_USEC_PER_SEC);
}
END_TEST

/* ---- the process ---- */

/* Returns: (nullable): /proc/self/task/N/status of the thread called @name */
static char *
status_of_thread(const char *name)
{
    g_autoptr(GDir) tasks = g_dir_open("/proc/self/task", 0, NULL);
    g_autofree char *line = g_strdup_printf("Name:\t%s\n", name);
    const char *task;

    while ((task = g_dir_read_name(tasks))) {
        g_autofree char *path = g_build_filename("/proc/self/task", task, "status", NULL);
        g_autofree char *status = NULL;

        if (g_file_get_contents(path, &status, NULL, NULL) && g_str_has_prefix(status, line))
            return g_steal_pointer(&status);
    }
    return NULL;
}

/* The program's handlers run in the program's threads. */
START_TEST(test_no_signals_in_the_thread)
{
    g_autofree char *status = NULL;
    guint64 blocked;

    vir_open();
    status = status_of_thread("virtadm-io");
    ck_assert_ptr_nonnull(status);
    blocked = g_ascii_strtoull(strstr(status, "SigBlk:\t") + strlen("SigBlk:\t"), NULL, 16);
    for (int number = 1; number < 32; number++) {
        if (number != SIGKILL && number != SIGSTOP)
            ck_assert_msg(blocked & (1ULL << (number - 1)), "signal %d", number);
    }
    virAdmConnectClose(conn);
}
END_TEST

/* Runs @child in a child; its status must be 0. */
static void
in_a_child(int (*child)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(child());
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status 0x%x", status);
}

static int
use_of_the_parent(void)
{
    unsigned long long version;

    if (virAdmConnectIsAlive(conn) != 0)
        return 1;
    if (virAdmConnectGetLibVersion(conn, &version) != -1 ||
        virGetLastErrorCode() != VIR_ERR_OPERATION_INVALID)
        return 2;
    return virAdmConnectClose(conn) == 0 ? 0 : 3;
}

START_TEST(test_child)
{
    vir_open();
    in_a_child(use_of_the_parent);
    ck_assert_int_eq(virAdmConnectIsAlive(conn), 1);
    virAdmServerFree(vir_server("still there"));
    ck_assert_int_eq(virAdmConnectClose(conn), 0);
}
END_TEST

static Suite *
vir_life_suite(void)
{
    Suite *suite = suite_create("vir-life");
    TCase *tc = tcase_create("life");

    tcase_add_checked_fixture(tc, vir_setup, vir_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_open_and_close);
    tcase_add_test(tc, test_open_flags);
    tcase_add_test(tc, test_open_fails);
    tcase_add_test(tc, test_environment);
    tcase_add_test(tc, test_no_descriptors);
    tcase_add_test(tc, test_replies_out_of_order);
    tcase_add_test(tc, test_close_while_others_call);
    tcase_add_test(tc, test_daemon_dies_while_others_call);
    tcase_add_test(tc, test_eof);
    tcase_add_test(tc, test_protocol_error);
    tcase_add_test(tc, test_keepalive);
    tcase_add_test(tc, test_close_in_the_callback);
    tcase_add_test(tc, test_unregister);
    tcase_add_test(tc, test_closed_by_the_program);
    tcase_add_test(tc, test_registered_too_late);
    tcase_add_test(tc, test_registered_too_late_twice);
    tcase_add_test(tc, test_full_daemon);
    tcase_add_test(tc, test_call_timeout);
    tcase_add_test(tc, test_close_of_a_silent_daemon);
    tcase_add_test(tc, test_no_signals_in_the_thread);
    tcase_add_test(tc, test_child);
    suite_add_tcase(suite, tc);
    return suite;
}

int
main(void)
{
    return vadm_unit_main(vir_life_suite());
}
