/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Errors of libvirtadm.so: what is raised, who gets to know, what is kept for each thread. */
#include "admin/vir-private.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rpc/rpc-error.h"
#include "unit.h"

/* What the error function was given, by several threads at once in one test. */
static atomic_int told;
static _Atomic(void *) told_user;

static void
count_error(void *user, virErrorPtr error)
{
    ck_assert_ptr_eq(error, virGetLastError());
    atomic_store(&told_user, user);
    atomic_fetch_add(&told, 1);
}

static void
setup(void)
{
    atomic_store(&told, 0);
    virResetLastError();
    virSetErrorFunc(&told, count_error);
}

static void
teardown(void)
{
    virSetErrorFunc(NULL, NULL);
    virResetLastError();
}

static void
check_last(int code, int domain, const char *message, const char *str1, const char *str2)
{
    virErrorPtr last = virGetLastError();

    ck_assert_ptr_nonnull(last);
    ck_assert_int_eq(last->code, code);
    ck_assert_int_eq(last->domain, domain);
    ck_assert_int_eq(last->level, VIR_ERR_ERROR);
    ck_assert_str_eq(last->message, message);
    ck_assert_pstr_eq(last->str1, str1);
    ck_assert_pstr_eq(last->str2, str2);
    ck_assert_ptr_null(last->str3);
}

START_TEST(nothing_raised)
{
    ck_assert_ptr_null(virGetLastError());
    ck_assert_int_eq(virGetLastErrorCode(), VIR_ERR_OK);
    ck_assert_int_eq(virGetLastErrorDomain(), VIR_FROM_NONE);
    ck_assert_str_eq(virGetLastErrorMessage(), "no error");
}
END_TEST

START_TEST(raised_with_prefix)
{
    errno = 77;
    vadm_vir_raise(VIR_ERR_NO_SERVER, VIR_FROM_ADMIN, "No server named '%s'", "x%s");
    ck_assert_int_eq(errno, 77);
    check_last(VIR_ERR_NO_SERVER, VIR_FROM_ADMIN, "Server not found: No server named 'x%s'",
               "Server not found: %s", "No server named 'x%s'");
    ck_assert_int_eq(virGetLastError()->int1, -1);
    ck_assert_int_eq(virGetLastError()->int2, -1);
    ck_assert_int_eq(virGetLastErrorCode(), VIR_ERR_NO_SERVER);
    ck_assert_int_eq(virGetLastErrorDomain(), VIR_FROM_ADMIN);
    ck_assert_int_eq(atomic_load(&told), 1);
    ck_assert_ptr_eq(atomic_load(&told_user), &told);
    /* the next one replaces it, and entering a function takes it away */
    vadm_vir_raise_flags(0x4, "virAdmConnectOpen");
    check_last(VIR_ERR_INVALID_ARG, VIR_FROM_ADMIN,
               "unsupported flags (0x4) in function virAdmConnectOpen", "virAdmConnectOpen",
               "flags");
    vadm_vir_enter();
    ck_assert_ptr_null(virGetLastError());
    ck_assert_int_eq(atomic_load(&told), 2);
}
END_TEST

START_TEST(raised_about_arguments)
{
    vadm_vir_raise_flags(0x1002, "virAdmConnectListServers");
    check_last(VIR_ERR_INVALID_ARG, VIR_FROM_ADMIN,
               "unsupported flags (0x1002) in function virAdmConnectListServers",
               "virAdmConnectListServers", "flags");
    ck_assert_int_eq(virGetLastError()->int1, 0);
    vadm_vir_raise_null(VIR_FROM_ADMIN, "name", "virAdmConnectLookupServer");
    check_last(VIR_ERR_INVALID_ARG, VIR_FROM_ADMIN,
               "name in virAdmConnectLookupServer must not be NULL", "virAdmConnectLookupServer",
               "name");
}
END_TEST

START_TEST(raised_from_gerror)
{
    g_autoptr(GError) config = g_error_new(VADM_ERROR, VADM_ERROR_CONFIG, "No %% scheme");
    g_autoptr(GError) system = NULL;
    g_autoptr(GError) foreign = g_error_new(G_FILE_ERROR, G_FILE_ERROR_FAILED, "odd");

    vadm_error_set_errno(&system, ENOENT, "failed to open %s", "/f");
    vadm_vir_raise_gerror(VIR_FROM_ADMIN, config);
    check_last(VIR_ERR_CONFIG_UNSUPPORTED, VIR_FROM_ADMIN, "unsupported configuration: No % scheme",
               "unsupported configuration: %s", "No % scheme");
    ck_assert_int_eq(virGetLastError()->int1, -1);
    vadm_vir_raise_gerror(VIR_FROM_RPC, system);
    ck_assert_int_eq(virGetLastErrorCode(), VIR_ERR_SYSTEM_ERROR);
    ck_assert_int_eq(virGetLastError()->int1, ENOENT);
    ck_assert_str_eq(virGetLastErrorMessage(), "failed to open /f: No such file or directory");
    vadm_vir_raise_gerror(VIR_FROM_RPC, foreign);
    ck_assert_int_eq(virGetLastErrorCode(), VIR_ERR_INTERNAL_ERROR);
}
END_TEST

static VadmMessage *
new_reply(vadm_rpc_error *payload)
{
    VadmRpcHeader header = {.program = VADM_RPC_PROGRAM_ADMIN,
                            .version = VADM_RPC_VERSION,
                            .type = VADM_RPC_REPLY,
                            .status = VADM_RPC_ERROR};
    VadmMessage *reply = vadm_message_new(&header, (xdrproc_t)xdr_vadm_rpc_error, payload, NULL);

    ck_assert_ptr_nonnull(reply);
    return reply;
}

START_TEST(raised_by_daemon)
{
    char *message = g_strdup("m"), *str1 = g_strdup("a"), *str2 = g_strdup("b"),
         *str3 = g_strdup("c");
    vadm_rpc_error payload = {.code = 4711,
                              .domain = 99,
                              .message = &message,
                              .level = VIR_ERR_WARNING,
                              .str1 = &str1,
                              .str2 = &str2,
                              .str3 = &str3,
                              .int1 = 5,
                              .int2 = -6};
    g_autoptr(VadmMessage) reply = new_reply(&payload);
    virErrorPtr last;

    vadm_vir_raise_reply(reply);
    last = virGetLastError();
    ck_assert_int_eq(last->code, 4711);
    ck_assert_int_eq(last->domain, 99);
    ck_assert_int_eq(last->level, VIR_ERR_WARNING);
    ck_assert_str_eq(last->message, "m");
    ck_assert_str_eq(last->str1, "a");
    ck_assert_str_eq(last->str2, "b");
    ck_assert_str_eq(last->str3, "c");
    ck_assert_int_eq(last->int1, 5);
    ck_assert_int_eq(last->int2, -6);
    g_free(message);
    g_free(str1);
    g_free(str2);
    g_free(str3);
}
END_TEST

/* Neither a success for who looks at the number, nor NULL for who prints the message. */
START_TEST(daemon_says_nothing)
{
    vadm_rpc_error payloads[] = {{.code = 0, .int1 = 5}, {.code = 8, .domain = 62}};
    const char *const messages[] = {"An error occurred, but the cause is unknown", "Unknown error"};
    const int codes[] = {VIR_ERR_INTERNAL_ERROR, VIR_ERR_INVALID_ARG};
    g_autoptr(VadmMessage) reply = new_reply(&payloads[_i]);
    virErrorPtr last;

    vadm_vir_raise_reply(reply);
    last = virGetLastError();
    ck_assert_int_eq(last->code, codes[_i]);
    ck_assert_int_eq(last->domain, payloads[_i].domain);
    ck_assert_str_eq(last->message, messages[_i]);
    ck_assert_int_eq(last->int1, 0);
}
END_TEST

START_TEST(daemon_says_garbage)
{
    VadmRpcHeader header = {.type = VADM_RPC_REPLY, .status = VADM_RPC_ERROR};
    g_autoptr(VadmMessage) reply = vadm_message_new(&header, NULL, NULL, NULL);

    vadm_vir_raise_reply(reply);
    check_last(VIR_ERR_RPC, VIR_FROM_RPC, "Unable to decode message payload", "%s",
               "Unable to decode message payload");
}
END_TEST

START_TEST(saved_and_copied)
{
    virErrorPtr saved;
    virError copy;

    vadm_vir_raise(VIR_ERR_RPC, VIR_FROM_RPC, "one");
    errno = 78;
    saved = virSaveLastError();
    ck_assert_int_eq(errno, 78);
    memset(&copy, 0x55, sizeof(copy));
    ck_assert_int_eq(virCopyLastError(&copy), VIR_ERR_RPC);
    ck_assert_int_eq(virCopyLastError(NULL), -1);
    virResetLastError();
    ck_assert_str_eq(saved->message, "one");
    ck_assert_str_eq(copy.message, "one");
    ck_assert_ptr_ne(copy.message, saved->message);
    virResetError(&copy);
    ck_assert_int_eq(copy.code, 0);
    ck_assert_ptr_null(copy.message);
    virFreeError(saved);
    /* no error is copied, too */
    memset(&copy, 0x55, sizeof(copy));
    ck_assert_int_eq(virCopyLastError(&copy), 0);
    ck_assert_ptr_null(copy.message);
    saved = virSaveLastError();
    ck_assert_int_eq(saved->code, 0);
    virFreeError(saved);
    virFreeError(NULL);
    virResetError(NULL);
}
END_TEST

static void *
raise_in_thread(void *data)
{
    ck_assert_ptr_null(virGetLastError());
    vadm_vir_raise(VIR_ERR_RPC, VIR_FROM_RPC, "%s", (const char *)data);
    ck_assert_str_eq(virGetLastErrorMessage(), data);
    return NULL;
}

/* What is left of it when it ends is what the leak checker of the sanitizer looks for. */
START_TEST(each_thread_has_its_own)
{
    char names[4][2] = {"a", "b", "c", "d"};
    pthread_t threads[4];

    vadm_vir_raise(VIR_ERR_NO_CLIENT, VIR_FROM_ADMIN, "mine");
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, raise_in_thread, names[i]), 0);
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        pthread_join(threads[i], NULL);
    ck_assert_str_eq(virGetLastErrorMessage(), "Client not found: mine");
    ck_assert_int_eq(atomic_load(&told), 5);
}
END_TEST

typedef struct {
    void *user; /* set by the same call as the function, so it has to be this one */
} Pair;

static Pair first, second;

static void
check_first(void *user, virErrorPtr error)
{
    ck_assert_ptr_eq(user, &first);
    ck_assert_ptr_nonnull(error);
}

static void
check_second(void *user, virErrorPtr error)
{
    ck_assert_ptr_eq(user, &second);
    ck_assert_ptr_nonnull(error);
}

static void *
raise_many(void *data)
{
    atomic_bool *stop = data;

    while (!atomic_load(stop))
        vadm_vir_raise(VIR_ERR_RPC, VIR_FROM_RPC, "again");
    return NULL;
}

START_TEST(function_and_data_belong_together)
{
    atomic_bool stop = false;
    pthread_t thread;

    virSetErrorFunc(&first, check_first);
    ck_assert_int_eq(pthread_create(&thread, NULL, raise_many, &stop), 0);
    for (int i = 0; i < 20000; i++) {
        virSetErrorFunc(&second, check_second);
        virSetErrorFunc(&first, check_first);
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
}
END_TEST

static void
reset_and_replace(void *user, virErrorPtr error)
{
    ck_assert_int_eq(error->code, VIR_ERR_RPC);
    virResetLastError();
    virSetErrorFunc(user, count_error);
}

START_TEST(function_may_use_the_library)
{
    virSetErrorFunc(&told, reset_and_replace);
    vadm_vir_raise(VIR_ERR_RPC, VIR_FROM_RPC, "one");
    ck_assert_ptr_null(virGetLastError());
    vadm_vir_raise(VIR_ERR_RPC, VIR_FROM_RPC, "two");
    ck_assert_int_eq(atomic_load(&told), 1);
}
END_TEST

/* What is written to stderr while errors are printed. */
static void
check_printed(virErrorPtr error, const char *expected)
{
    int ends[2], old = dup(STDERR_FILENO);
    char text[256];
    ssize_t length;

    ck_assert_int_eq(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    virDefaultErrorFunc(error);
    ck_assert_int_eq(write(ends[1], "$", 1), 1);
    dup2(old, STDERR_FILENO);
    length = read(ends[0], text, sizeof(text) - 1);
    ck_assert_int_gt(length, 0);
    text[length - 1] = '\0';
    ck_assert_str_eq(text, expected);
    close(ends[0]);
    close(ends[1]);
    close(old);
}

START_TEST(printed)
{
    char text[] = "said", line[] = "line\n";
    virError error = {
        .code = VIR_ERR_RPC, .domain = VIR_FROM_ADMIN, .level = VIR_ERR_ERROR, .message = text};

    check_printed(&error, "libvirt: Admin Interface error : said\n");
    error.message = line;
    check_printed(&error, "libvirt: Admin Interface error : line\n");
    error.message = NULL;
    error.level = VIR_ERR_WARNING;
    error.domain = VIR_FROM_CH;
    check_printed(&error, "libvirt: Cloud-Hypervisor Driver warning : \n");
    error.domain = VIR_FROM_CH + 1;
    check_printed(&error, "libvirt: Unknown warning : \n");
    error.domain = -1;
    check_printed(&error, "libvirt: Unknown warning : \n");
    error.domain = VIR_FROM_NONE;
    error.level = VIR_ERR_NONE;
    check_printed(&error, "libvirt:   : \n");
    error.code = VIR_ERR_OK;
    check_printed(&error, "");
    check_printed(NULL, "");
}
END_TEST

typedef struct {
    VadmVirObject base;
    int disposed;
} Thing;

static void
dispose_thing(gpointer object)
{
    ((Thing *)object)->disposed++;
}

/* Whatever a program hands in: memory that is no object is not even looked at. */
START_TEST(objects)
{
    Thing thing = {.disposed = 0};
    char junk[sizeof(Thing)] = {0};
    VadmVirObject *held;

    vadm_vir_object_init(&thing.base, VADM_VIR_SERVER, dispose_thing);
    held = vadm_vir_object_hold(&thing, VADM_VIR_SERVER, "f");
    ck_assert_ptr_eq(held, &thing.base);
    vadm_vir_object_end_hold(held);
    ck_assert_int_eq(thing.disposed, 0);
    ck_assert_int_eq(atomic_load(&told), 0);
    ck_assert(!vadm_vir_object_hold(&thing, VADM_VIR_CLIENT, "virAdmClientFree"));
    check_last(VIR_ERR_INVALID_CONN, VIR_FROM_ADMIN,
               "invalid connection pointer in virAdmClientFree", "invalid connection pointer in %s",
               "virAdmClientFree");
    ck_assert(!vadm_vir_object_hold(NULL, VADM_VIR_SERVER, "f"));
    ck_assert(!vadm_vir_object_hold(junk, VADM_VIR_SERVER, "f"));
    ck_assert_ptr_eq(vadm_vir_object_ref(&thing), &thing);
    ck_assert_int_eq(vadm_vir_object_release(&thing, VADM_VIR_SERVER, "f"), 1);
    ck_assert_int_eq(thing.disposed, 0);
    /* A call that is under way keeps it, but not for calls to come. */
    held = vadm_vir_object_hold(&thing, VADM_VIR_SERVER, "f");
    ck_assert_int_eq(vadm_vir_object_release(&thing, VADM_VIR_SERVER, "f"), 0);
    ck_assert_int_eq(thing.disposed, 0);
    ck_assert(!vadm_vir_object_hold(&thing, VADM_VIR_SERVER, "f"));
    vadm_vir_object_end_hold(held);
    ck_assert_int_eq(thing.disposed, 1);
    ck_assert_int_eq(vadm_vir_object_release(&thing, VADM_VIR_SERVER, "f"), -1);
    ck_assert(!vadm_vir_object_hold(&thing, VADM_VIR_SERVER, "f"));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("vir-error");
    TCase *tc = tcase_create("errors");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, nothing_raised);
    tcase_add_test(tc, raised_with_prefix);
    tcase_add_test(tc, raised_about_arguments);
    tcase_add_test(tc, raised_from_gerror);
    tcase_add_test(tc, raised_by_daemon);
    tcase_add_loop_test(tc, daemon_says_nothing, 0, 2);
    tcase_add_test(tc, daemon_says_garbage);
    tcase_add_test(tc, saved_and_copied);
    tcase_add_test(tc, each_thread_has_its_own);
    tcase_add_test(tc, function_and_data_belong_together);
    tcase_add_test(tc, function_may_use_the_library);
    tcase_add_test(tc, printed);
    tcase_add_test(tc, objects);
    suite_add_tcase(suite, tc);
    return vadm_unit_main(suite);
}
