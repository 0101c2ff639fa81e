/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A program for libvirt's administration API that needs no daemon: it says what the library does.
 * tests/unit/test-library.sh compiles it with libvirt's headers and library and with ours, and what
 * it writes has to be the same. So it asks nothing in which they differ on purpose
 * (docs/library.md).
 */
#include <libvirt/libvirt-admin.h>
#include <libvirt/virterror.h>

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ELEMENTS(array) (sizeof(array) / sizeof(*(array)))

static const char *
text(const char *string)
{
    return string ? string : "(none)";
}

static void
show_error(const virError *e)
{
    printf("%d/%d/%d '%s' '%s' '%s' '%s' %d %d", e->code, e->domain, (int)e->level,
           text(e->message), text(e->str1), text(e->str2), text(e->str3), e->int1, e->int2);
}

static void
show_last(void)
{
    virErrorPtr last = virGetLastError();

    if (last)
        show_error(last);
    else
        printf("no error");
    printf("; %d %d '%s'\n", virGetLastErrorCode(), virGetLastErrorDomain(),
           virGetLastErrorMessage());
}

static void
handler(void *user, virErrorPtr error)
{
    printf("  handler %s: ", (const char *)user);
    show_error(error);
    printf(" %s\n", error == virGetLastError() ? "is the last one" : "is another one");
}

static void
resetting_handler(void *user, virErrorPtr error)
{
    handler(user, error);
    virResetLastError();
}

#define SHOW(call)                                                                                 \
    do {                                                                                           \
        printf("%s\n", #call);                                                                     \
        printf("  = %lld ", (long long)(call));                                                    \
        show_last();                                                                               \
    } while (0)

/* ---- typed parameters ---- */

static virTypedParameterPtr params;
static int n, max;

static void
show_params(void)
{
    printf("%d of %d:", n, max);
    for (int i = 0; i < n; i++) {
        printf(" %s(%d)=", params[i].field, params[i].type);
        switch (params[i].type) {
        case VIR_TYPED_PARAM_INT:
            printf("%d", params[i].value.i);
            break;
        case VIR_TYPED_PARAM_UINT:
            printf("%u", params[i].value.ui);
            break;
        case VIR_TYPED_PARAM_LLONG:
            printf("%lld", params[i].value.l);
            break;
        case VIR_TYPED_PARAM_ULLONG:
            printf("%llu", params[i].value.ul);
            break;
        case VIR_TYPED_PARAM_DOUBLE:
            printf("%.17g", params[i].value.d);
            break;
        case VIR_TYPED_PARAM_BOOLEAN:
            printf("%d", params[i].value.b);
            break;
        case VIR_TYPED_PARAM_STRING:
            printf("'%s'", text(params[i].value.s));
            break;
        default:
            printf("?");
            break;
        }
    }
    printf("\n");
}

static void
free_params(void)
{
    virTypedParamsFree(params, n);
    params = NULL;
    n = max = 0;
}

static void
probe_add(void)
{
    const char *strings[] = {"one", "two", NULL};
    char name[VIR_TYPED_PARAM_FIELD_LENGTH + 20];

    SHOW(virTypedParamsAddInt(&params, &n, &max, "i", -1));
    SHOW(virTypedParamsAddInt(&params, &n, &max, "i", -2));
    SHOW(virTypedParamsAddUInt(&params, &n, &max, "ui", 4294967295u));
    SHOW(virTypedParamsAddLLong(&params, &n, &max, "l", -9223372036854775807LL));
    SHOW(virTypedParamsAddULLong(&params, &n, &max, "ul", 18446744073709551615ULL));
    SHOW(virTypedParamsAddDouble(&params, &n, &max, "d", 0.1));
    SHOW(virTypedParamsAddBoolean(&params, &n, &max, "b", 42));
    SHOW(virTypedParamsAddBoolean(&params, &n, &max, "b256", 256));
    SHOW(virTypedParamsAddBoolean(&params, &n, &max, "b0", 0));
    SHOW(virTypedParamsAddString(&params, &n, &max, "s", "text"));
    SHOW(virTypedParamsAddString(&params, &n, &max, "none", NULL));
    SHOW(virTypedParamsAddString(&params, &n, &max, "", ""));
    SHOW(virTypedParamsAddStringList(&params, &n, &max, "list", strings));
    SHOW(virTypedParamsAddStringList(&params, &n, &max, "list", NULL));
    show_params();
    memset(name, 'n', sizeof(name));
    for (size_t length = VIR_TYPED_PARAM_FIELD_LENGTH - 2; length < sizeof(name); length += 3) {
        name[length] = '\0';
        SHOW(virTypedParamsAddInt(&params, &n, &max, name, 1));
        SHOW(virTypedParamsAddString(&params, &n, &max, name, "v"));
        SHOW(virTypedParamsAddFromString(&params, &n, &max, name, VIR_TYPED_PARAM_INT, "no"));
        SHOW(virTypedParamsAddStringList(&params, &n, &max, name, strings));
        name[length] = 'n';
    }
    for (int i = 0; i < 40; i++) {
        virTypedParamsAddInt(&params, &n, &max, "more", i);
        printf(" %d/%d", n, max);
    }
    printf("\n");
}

static void
probe_get(void)
{
    int i = 7, b = 7;
    unsigned int ui = 7;
    long long l = 7;
    unsigned long long ul = 7;
    double d = 7;
    const char *s = "seven";
    const char *names[] = {"i", "ui", "l", "ul", "d", "b", "b0", "s", "none", "", "missing", NULL};

    for (size_t k = 0; k < ELEMENTS(names); k++) {
        printf("get %s at %td\n", text(names[k]),
               virTypedParamsGet(params, n, names[k])
                   ? virTypedParamsGet(params, n, names[k]) - params
                   : -1);
        SHOW(virTypedParamsGetInt(params, n, names[k], &i));
        SHOW(virTypedParamsGetUInt(params, n, names[k], &ui));
        SHOW(virTypedParamsGetLLong(params, n, names[k], &l));
        SHOW(virTypedParamsGetULLong(params, n, names[k], &ul));
        SHOW(virTypedParamsGetDouble(params, n, names[k], &d));
        SHOW(virTypedParamsGetBoolean(params, n, names[k], &b));
        SHOW(virTypedParamsGetString(params, n, names[k], &s));
        printf("%d %u %lld %llu %g %d %s\n", i, ui, l, ul, d, b, s);
    }
    SHOW(virTypedParamsGetInt(params, n, "i", NULL));
    SHOW(virTypedParamsGetString(params, n, "missing", NULL));
    SHOW(virTypedParamsGetInt(NULL, 5, "i", &i));
    SHOW(virTypedParamsGetInt(params, 0, "i", &i));
    for (int type = -1; type < 10; type++) {
        params[0].type = type;
        printf("of type %d\n", type);
        SHOW(virTypedParamsGetLLong(params, n, "i", &l));
    }
    params[0].type = VIR_TYPED_PARAM_INT;
}

static const char *const values[] = {
    "",
    "0",
    "1",
    "2",
    "-1",
    "+1",
    "-0",
    "--1",
    " 1",
    "\t\n1",
    "1 ",
    "1\n",
    "  ",
    "x",
    "1x",
    "010",
    "0x10",
    "0x",
    "2147483647",
    "2147483648",
    "-2147483648",
    "-2147483649",
    "4294967295",
    "4294967296",
    "-4294967295",
    "-4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "-18446744073709551615",
    "-18446744073709551616",
    "1.5",
    "1,5",
    ".5",
    "5.",
    "1e3",
    "1e",
    "1e400",
    "-1e400",
    "1e-400",
    "nan",
    "inf",
    "-infinity",
    "0x1p3",
    "true",
    "TRUE",
    "True",
    "false",
    "False",
    "yes",
    "no",
    "on",
    "t",
    NULL,
};

static void
probe_from_string(void)
{
    for (int type = -1; type < 10; type++) {
        for (size_t k = 0; k < ELEMENTS(values); k++) {
            int rc = virTypedParamsAddFromString(&params, &n, &max, "f", type, values[k]);

            printf("%d '%s' = %d ", type, text(values[k]), rc);
            show_last();
            /* whether room was made for one that failed is nobody's business */
            max = n ? max : 0;
            if (n)
                show_params();
            free_params();
        }
    }
}

static void
probe_clear(void)
{
    virTypedParamsClear(params, n);
    for (int i = 0; i < n; i++) {
        if (params[i].type == VIR_TYPED_PARAM_STRING)
            printf(" %d %s", i, text(params[i].value.s));
    }
    printf("\n");
    virTypedParamsClear(params, n);
    virTypedParamsClear(NULL, 3);
    free_params();
    virTypedParamsFree(NULL, 3);
}

/* ---- errors ---- */

/* An error without a daemon, and a call that succeeds. */
static int
fail(void)
{
    int i;
    virTypedParameter param = {.field = "p", .type = VIR_TYPED_PARAM_UINT};

    return virTypedParamsGetInt(&param, 1, "p", &i);
}

static void
print_error(int code, int domain, int level, const char *message)
{
    virError error;

    memset(&error, 0, sizeof(error));
    error.code = code;
    error.domain = domain;
    error.level = (virErrorLevel)level;
    error.message = (char *)message;
    virDefaultErrorFunc(&error);
}

/* It goes to stderr, which the test has with stdout. */
static void
probe_printing(void)
{
    fflush(stdout);
    virDefaultErrorFunc(NULL);
    print_error(0, 62, 2, "code 0");
    for (int domain = -1; domain < 74; domain++)
        print_error(1, domain, 2, "domain");
    for (int level = -1; level < 5; level++)
        print_error(1, 62, level, "level");
    for (int code = 0; code < 120; code++)
        print_error(code, 62, 2, "code");
    print_error(1, 62, 2, "");
    print_error(1, 62, 2, "a\nb");
    print_error(1, 62, 2, "end\n");
    print_error(1, 62, 2, "end\n\n");
    print_error(1, 62, 2, "\n");
    print_error(1, 62, 2, "100%s");
    virSetErrorFunc("unused", NULL);
    fail();
    virDefaultErrorFunc(virGetLastError());
}

static void *
in_thread(void *data)
{
    show_last();
    SHOW(fail());
    return data;
}

static void
probe_errors(void)
{
    virError copy;
    virErrorPtr saved;
    pthread_t thread;

    virResetLastError();
    show_last();
    SHOW(fail());
    memset(&copy, 0x55, sizeof(copy));
    SHOW(virCopyLastError(&copy));
    show_error(&copy);
    printf("\n");
    virResetError(&copy);
    show_error(&copy);
    printf("\n");
    SHOW(virCopyLastError(NULL));
    saved = virSaveLastError();
    virResetLastError();
    show_last();
    show_error(saved);
    printf("\n");
    virFreeError(saved);
    SHOW(virCopyLastError(&copy));
    SHOW(virCopyLastError(NULL));
    show_error(&copy);
    printf("\n");
    saved = virSaveLastError();
    show_error(saved);
    printf("\n");
    virFreeError(saved);
    virFreeError(NULL);
    virResetError(NULL);
    /* the function is that of the process, the error that of the thread */
    SHOW(fail());
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, NULL);
    show_last();
    virSetErrorFunc("resetting", resetting_handler);
    SHOW(fail());
    virSetErrorFunc("again", handler);
    /* an error without text */
    SHOW(fail());
    free(virGetLastError()->message);
    virGetLastError()->message = NULL;
    show_last();
    /* whoever cleans up before he looks at the error still finds it */
    fail();
    virTypedParamsClear(NULL, 0);
    virTypedParamsFree(NULL, 0);
    show_last();
    virTypedParamsGet(NULL, 0, "p");
    show_last();
    errno = 77;
    fail();
    printf("errno %d\n", errno);
    errno = 78;
    virFreeError(virSaveLastError());
    virResetLastError();
    printf("errno %d\n", errno);
}

/* ---- the administration API as far as it goes without a daemon ---- */

static void
probe_objects(void)
{
    virAdmServerPtr *servers = NULL;
    virAdmClientPtr *clients = NULL;
    char *string = NULL;
    unsigned long long version = 0;
    char junk[512];

    memset(junk, 0, sizeof(junk));
    fail();
    SHOW(virAdmInitialize());
    fail();
    SHOW(virAdmGetVersion(&version));
    for (int k = 0; k < 2; k++) {
        void *p = k ? junk : NULL;

        printf("%s\n", k ? "junk" : "NULL");
        SHOW(virAdmConnectClose(p));
        SHOW(virAdmConnectRef(p));
        SHOW(virAdmConnectIsAlive(p));
        SHOW((long)virAdmConnectGetURI(p));
        SHOW(virAdmConnectGetLibVersion(p, &version));
        SHOW(virAdmConnectRegisterCloseCallback(p, NULL, NULL, NULL));
        SHOW(virAdmConnectUnregisterCloseCallback(p, NULL));
        SHOW(virAdmConnectListServers(p, &servers, 0));
        SHOW((long)virAdmConnectLookupServer(p, "x", 0));
        SHOW((long)virAdmServerGetName(p));
        SHOW(virAdmServerFree(p));
        SHOW(virAdmServerGetThreadPoolParameters(p, &params, &n, 0));
        SHOW(virAdmServerSetThreadPoolParameters(p, params, n, 0));
        SHOW(virAdmServerGetClientLimits(p, &params, &n, 0));
        SHOW(virAdmServerSetClientLimits(p, params, n, 0));
        SHOW(virAdmServerUpdateTlsFiles(p, 0));
        SHOW(virAdmServerListClients(p, &clients, 0));
        SHOW((long)virAdmServerLookupClient(p, 1, 0));
        SHOW(virAdmClientGetID(p));
        SHOW(virAdmClientGetTimestamp(p));
        SHOW(virAdmClientGetTransport(p));
        SHOW(virAdmClientGetInfo(p, &params, &n, 0));
        SHOW(virAdmClientClose(p, 0));
        SHOW(virAdmClientFree(p));
        SHOW(virAdmConnectGetLoggingOutputs(p, &string, 0));
        SHOW(virAdmConnectGetLoggingFilters(p, &string, 0));
        SHOW(virAdmConnectSetLoggingOutputs(p, "", 0));
        SHOW(virAdmConnectSetLoggingFilters(p, "", 0));
        SHOW(virAdmConnectSetDaemonTimeout(p, 0, 0));
    }
}

static void
probe_open(void)
{
    SHOW((long)virAdmConnectOpen("libvirtd:///system?socket=/nonexistent/socket", 0));
    SHOW((long)virAdmConnectOpen("libvirtd:///system?socket=/", 0));
    SHOW((long)virAdmConnectOpen("libvirtd:///system?socket=/nonexistent/socket", 2));
    SHOW((long)virAdmConnectOpen("unknown:///system", 0));
    SHOW((long)virAdmConnectOpen("libvirtd:///elsewhere", 0));
    SHOW((long)virAdmConnectOpen("libvirtd:///system?color=red", 0));
    SHOW((long)virAdmConnectOpen("nothing", 0));
}

int
main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    virAdmInitialize();
    printf("%zu %zu %zu %zu %zu\n", sizeof(virError), offsetof(virError, str1),
           offsetof(virError, int2), sizeof(virTypedParameter), offsetof(virTypedParameter, value));
    virSetErrorFunc("one", handler);
    probe_add();
    probe_get();
    probe_clear();
    probe_from_string();
    probe_errors();
    probe_objects();
    probe_open();
    probe_printing();
    return 0;
}
