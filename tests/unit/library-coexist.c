/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt.so and libvirtadm.so in one process: each keeps to itself, although they have functions
 * of the same names. tests/unit/test-library.sh links it with both in either order and with none;
 * then it loads them itself, in the order that is said.
 *
 * library-coexist linked|libvirt-first|libvirtadm-first [URI]: with URI it talks to that daemon,
 * too. Exit status 0: all is well; else what is not is on stderr.
 */
#include <libvirt/libvirt.h>

#include <libvirt/libvirt-admin.h>
#include <libvirt/virterror.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIBVIRT    "libvirt.so.0"
#define LIBVIRTADM "libvirtadm.so.0"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "line %d: not so: %s\n", __LINE__, #condition);                        \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* What both libraries have. */
typedef struct {
    void *handle;
    __typeof__(virGetLastError) *get_last_error;
    __typeof__(virSetErrorFunc) *set_error_func;
    __typeof__(virResetLastError) *reset_last_error;
    __typeof__(virSaveLastError) *save_last_error;
    __typeof__(virFreeError) *free_error;
    __typeof__(virTypedParamsAddString) *add_string;
    __typeof__(virTypedParamsGetInt) *get_int;
    __typeof__(virTypedParamsFree) *free_params;
    int told; /* errors that its function was told */
} Library;

static Library theirs, ours;

static __typeof__(virConnectOpen) *connect_open;
static __typeof__(virConnectClose) *connect_close;
static __typeof__(virDomainLookupByName) *domain_lookup;
static __typeof__(virAdmConnectOpen) *adm_open;
static __typeof__(virAdmConnectClose) *adm_close;
static __typeof__(virAdmConnectListServers) *adm_list;
static __typeof__(virAdmServerGetName) *adm_name;
static __typeof__(virAdmServerFree) *adm_free;
static __typeof__(virAdmServerGetThreadPoolParameters) *adm_pool;

static void *
find(void *handle, const char *name)
{
    void *function = dlsym(handle, name);

    if (function == NULL) {
        fprintf(stderr, "%s: %s\n", name, dlerror());
        exit(1);
    }
    return function;
}

static void *
load(const char *name, int flags)
{
    void *handle = dlopen(name, RTLD_NOW | flags);

    if (handle == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    return handle;
}

static void
count(void *user, virErrorPtr error)
{
    Library *library = user;

    CHECK(error->code != 0);
    library->told++;
}

static void
find_common(Library *library, void *handle)
{
    library->handle = handle;
    library->get_last_error = find(handle, "virGetLastError");
    library->set_error_func = find(handle, "virSetErrorFunc");
    library->reset_last_error = find(handle, "virResetLastError");
    library->save_last_error = find(handle, "virSaveLastError");
    library->free_error = find(handle, "virFreeError");
    library->add_string = find(handle, "virTypedParamsAddString");
    library->get_int = find(handle, "virTypedParamsGetInt");
    library->free_params = find(handle, "virTypedParamsFree");
    library->set_error_func(library, count);
}

static void
find_functions(void *libvirt, void *libvirtadm)
{
    find_common(&theirs, libvirt);
    find_common(&ours, libvirtadm);
    connect_open = find(libvirt, "virConnectOpen");
    connect_close = find(libvirt, "virConnectClose");
    domain_lookup = find(libvirt, "virDomainLookupByName");
    adm_open = find(libvirtadm, "virAdmConnectOpen");
    adm_close = find(libvirtadm, "virAdmConnectClose");
    adm_list = find(libvirtadm, "virAdmConnectListServers");
    adm_name = find(libvirtadm, "virAdmServerGetName");
    adm_free = find(libvirtadm, "virAdmServerFree");
    adm_pool = find(libvirtadm, "virAdmServerGetThreadPoolParameters");
    CHECK(theirs.get_last_error != ours.get_last_error);
    CHECK(theirs.free_error != ours.free_error);
}

/* An error of one neither shows in the other nor reaches its function. */
static void
check_errors(virConnectPtr connection)
{
    int told;

    theirs.reset_last_error();
    ours.reset_last_error();
    theirs.told = ours.told = 0;
    CHECK(domain_lookup(connection, "nobody") == NULL);
    CHECK(theirs.get_last_error()->code == VIR_ERR_NO_DOMAIN);
    CHECK(ours.get_last_error() == NULL);
    told = theirs.told;
    CHECK(told > 0 && ours.told == 0);
    CHECK(adm_open("unknown:///system", 0) == NULL);
    CHECK(ours.get_last_error()->code == VIR_ERR_CONFIG_UNSUPPORTED);
    CHECK(ours.told == 1 && theirs.told == told);
    CHECK(theirs.get_last_error()->code == VIR_ERR_NO_DOMAIN);
    theirs.reset_last_error();
    CHECK(ours.get_last_error()->code == VIR_ERR_CONFIG_UNSUPPORTED);
    CHECK(domain_lookup(connection, "nobody") == NULL);
    ours.reset_last_error();
    CHECK(theirs.get_last_error()->code == VIR_ERR_NO_DOMAIN);
    CHECK(ours.get_last_error() == NULL);
}

/* A program that is linked with both does not know whose function it calls. */
static void
check_memory_is_shared(void)
{
    Library *both[] = {&theirs, &ours};

    for (int i = 0; i < 4; i++) {
        Library *maker = both[i / 2], *reader = both[i % 2];
        virTypedParameterPtr params = NULL;
        int n = 0, max = 0, value;
        virErrorPtr saved;

        CHECK(maker->add_string(&params, &n, &max, "name", "text") == 0);
        CHECK(reader->get_int(params, n, "name", &value) == -1);
        CHECK(reader->get_last_error()->code == VIR_ERR_INVALID_ARG);
        saved = maker->save_last_error();
        reader->free_error(saved);
        CHECK(reader->add_string(&params, &n, &max, "more", "text") == 0);
        reader->free_params(params, n);
    }
}

static void
check_daemon(const char *uri, virConnectPtr connection)
{
    virAdmConnectPtr adm = adm_open(uri, 0);
    virAdmServerPtr *servers = NULL;
    virTypedParameterPtr params = NULL;
    int n, n_params = 0;

    CHECK(adm != NULL);
    n = adm_list(adm, &servers, 0);
    CHECK(n > 0);
    CHECK(domain_lookup(connection, "nobody") == NULL);
    for (int i = 0; i < n; i++) {
        CHECK(adm_name(servers[i]) != NULL);
        CHECK(adm_pool(servers[i], &params, &n_params, 0) == 0);
        theirs.free_params(params, n_params);
        params = NULL;
        CHECK(adm_free(servers[i]) == 0);
    }
    free(servers);
    CHECK(theirs.get_last_error()->code == VIR_ERR_NO_DOMAIN);
    CHECK(ours.get_last_error() == NULL);
    CHECK(adm_close(adm) == 0);
}

static void *
check_all(void *data)
{
    virConnectPtr connection = connect_open("test:///default");

    CHECK(connection != NULL);
    check_errors(connection);
    check_memory_is_shared();
    if (data)
        check_daemon(data, connection);
    CHECK(connect_close(connection) == 0);
    return NULL;
}

static void
load_both(const char *mode)
{
    void *libvirt, *libvirtadm;

    if (strcmp(mode, "linked") == 0) {
        /* which they are already, or these fail */
        libvirt = load(LIBVIRT, RTLD_NOLOAD);
        libvirtadm = load(LIBVIRTADM, RTLD_NOLOAD);
    } else if (strcmp(mode, "libvirt-first") == 0) {
        libvirt = load(LIBVIRT, RTLD_GLOBAL);
        libvirtadm = load(LIBVIRTADM, RTLD_GLOBAL);
    } else {
        libvirtadm = load(LIBVIRTADM, RTLD_GLOBAL);
        libvirt = load(LIBVIRT, RTLD_GLOBAL);
    }
    find_functions(libvirt, libvirtadm);
}

int
main(int argc, char **argv)
{
    char *uri = argc > 2 ? argv[2] : NULL;
    pthread_t thread;

    CHECK(argc > 1);
    load_both(argv[1]);
    check_all(uri);
    /* a thread that ends frees the errors of both */
    CHECK(pthread_create(&thread, NULL, check_all, uri) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    check_all(uri);
    if (strcmp(argv[1], "linked") != 0) {
        CHECK(dlclose(ours.handle) == 0);
        CHECK(dlclose(theirs.handle) == 0);
    }
    printf("well\n");
    return 0;
}
