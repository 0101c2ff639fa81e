/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vir-fixture.h"

#include <dirent.h>

Peer *peer;
char *uri;
virAdmConnectPtr conn;
static guint threads_before;

static void
silent(void *user, virErrorPtr error)
{
    (void)user;
    (void)error;
}

static guint
count_threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    guint n = 0;

    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

void
vir_setup(void)
{
    g_setenv("VIRTADM_CONNECT_TIMEOUT", "10", TRUE);
    g_setenv("VIRTADM_CALL_TIMEOUT", "10", TRUE);
    g_setenv("VIRTADM_KEEPALIVE_INTERVAL", "0", TRUE);
    peer = peer_new();
    uri = g_strdup_printf("libvirtd:///system?socket=%s", peer_path(peer));
    threads_before = count_threads();
    virSetErrorFunc(NULL, silent);
    peer_handle(peer, VADM_ADMIN_PROC_CONNECT_LOOKUP_SERVER, vir_echo_server, NULL);
}

void
vir_teardown(void)
{
    VIR_WAIT_FOR(peer_n_open(peer) == 0);
    /* the kernel may show one that was joined for a moment */
    VIR_WAIT_FOR(count_threads() == threads_before);
    peer_free(peer);
    g_free(uri);
}

void
vir_open(void)
{
    conn = virAdmConnectOpen(uri, 0);
    ck_assert_msg(conn != NULL, "%s", virGetLastErrorMessage());
}

VadmMessage *
vir_echo_server(const VadmMessage *call, gpointer user G_GNUC_UNUSED)
{
    struct vadm_admin_connect_lookup_server_args args = {NULL, 0};
    struct vadm_admin_connect_lookup_server_ret ret;
    VadmMessage *reply;

    ck_assert(vadm_message_decode(call, (xdrproc_t)xdr_vadm_admin_connect_lookup_server_args, &args,
                                  NULL));
    ret.srv.name = args.name;
    reply = vadm_message_new_reply(&call->header,
                                   (xdrproc_t)xdr_vadm_admin_connect_lookup_server_ret, &ret, NULL);
    xdr_free((xdrproc_t)xdr_vadm_admin_connect_lookup_server_args, &args);
    return reply;
}

virAdmServerPtr
vir_server(const char *name)
{
    virAdmServerPtr server = virAdmConnectLookupServer(conn, name, 0);

    ck_assert_msg(server != NULL, "%s", virGetLastErrorMessage());
    return server;
}

void
vir_last_args(gint32 procedure, xdrproc_t decode, gpointer args)
{
    g_autoptr(GPtrArray) calls = peer_get_calls(peer);
    const VadmMessage *last = NULL;

    for (guint i = 0; i < calls->len; i++) {
        const VadmMessage *call = calls->pdata[i];

        if (call->header.procedure == procedure)
            last = call;
    }
    ck_assert_ptr_nonnull(last);
    ck_assert(vadm_message_decode(last, decode, args, NULL));
}
