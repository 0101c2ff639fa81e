/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What programs do to the library over and over, against a real daemon.
 *
 * endurance URI reopen N      opens and closes N times: no descriptor and no thread is left, and
 *                             SIGPIPE does what it did
 * endurance URI threads N     eight threads make N calls each over one connection
 * endurance URI leave         ends without closing anything, threads in the midst of calls
 */
#include <dirent.h>
#include <libvirt/libvirt-admin.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N_THREADS 8

typedef struct {
    virAdmConnectPtr conn;
    int n_calls, n_wrong;
} Worker;

static int
count(const char *folder)
{
    DIR *dir = opendir(folder);
    int n = 0;

    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

/* Asks for something of which the answer is known. */
static int
is_right(virAdmConnectPtr conn, int i)
{
    static const char *const names[] = {"admin", "libvirtd"};
    const char *name = names[i % 2];
    virAdmServerPtr server = virAdmConnectLookupServer(conn, name, 0);
    virTypedParameterPtr params = NULL;
    int n = 0, right;

    if (!server)
        return 0;
    right = strcmp(virAdmServerGetName(server), name) == 0 &&
            virAdmServerGetThreadPoolParameters(server, &params, &n, 0) == 0 &&
            virTypedParamsGet(params, n, VIR_THREADPOOL_WORKERS_MAX) != NULL;
    virTypedParamsFree(params, n);
    virAdmServerFree(server);
    /* Each thread has errors of its own. */
    server = virAdmConnectLookupServer(conn, "nosuch", 0);
    return right && !server && virGetLastErrorCode() == VIR_ERR_NO_SERVER;
}

static void *
work(void *data)
{
    Worker *worker = data;

    for (int i = 0; i < worker->n_calls; i++)
        worker->n_wrong += !is_right(worker->conn, i);
    return NULL;
}

static void
start(Worker *workers, pthread_t *threads, virAdmConnectPtr conn, int n_calls)
{
    for (int i = 0; i < N_THREADS; i++) {
        workers[i] = (Worker){.conn = conn, .n_calls = n_calls};
        if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0)
            abort();
    }
}

static int
reopen(const char *uri, int n)
{
    int descriptors = 0, threads = 0;
    struct sigaction pipe;

    /* The first one makes what stays. */
    for (int i = 0; i <= n; i++) {
        virAdmConnectPtr conn = virAdmConnectOpen(uri, 0);

        if (!conn || !is_right(conn, i) || virAdmConnectClose(conn) != 0)
            return 1;
        if (i == 0) {
            descriptors = count("/proc/self/fd");
            threads = count("/proc/self/task");
        }
    }
    printf("%d descriptors, %d threads more\n", count("/proc/self/fd") - descriptors,
           count("/proc/self/task") - threads);
    sigaction(SIGPIPE, NULL, &pipe);
    printf("SIGPIPE %s\n", pipe.sa_handler == SIG_DFL ? "as before" : "changed");
    return 0;
}

static int
share(const char *uri, int n)
{
    Worker workers[N_THREADS];
    pthread_t threads[N_THREADS];
    int n_wrong = 0;
    virAdmConnectPtr conn = virAdmConnectOpen(uri, 0);

    if (!conn)
        return 1;
    start(workers, threads, conn, n);
    for (int i = 0; i < N_THREADS; i++) {
        pthread_join(threads[i], NULL);
        n_wrong += workers[i].n_wrong;
    }
    printf("%d wrong\n", n_wrong);
    return virAdmConnectClose(conn);
}

static int
leave(const char *uri)
{
    static Worker workers[N_THREADS];
    static pthread_t threads[N_THREADS];
    virAdmConnectPtr conn = virAdmConnectOpen(uri, 0);

    if (!conn)
        return 1;
    start(workers, threads, conn, 1 << 30);
    usleep(20000);
    printf("leaving\n");
    return 0;
}

static void
silent(void *user, virErrorPtr error)
{
    (void)user;
    (void)error;
}

int
main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s URI reopen|threads N | leave\n", argv[0]);
        return 2;
    }
    if (virAdmInitialize() < 0)
        return 1;
    virSetErrorFunc(NULL, silent);
    if (strcmp(argv[2], "leave") == 0)
        return leave(argv[1]);
    return strcmp(argv[2], "threads") == 0 ? share(argv[1], atoi(argv[3]))
                                           : reopen(argv[1], atoi(argv[3]));
}
