/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A daemon with an admin server and a server "libvirtd" whose clients nobody serves, in a
 * thread of its own, and blocking clients for the test's thread.
 */
#ifndef VADM_TESTS_ADMIN_FIXTURE_H
#define VADM_TESTS_ADMIN_FIXTURE_H

#include <stdatomic.h>

#include "daemon/txn.h"
#include "rpc/admin.h"
#include "rpc/extension.h"
#include "rpc/rpc-error.h"

/* Ends a hang; nothing waits for it to pass. */
#define ADMIN_PATIENCE_SECONDS 30

typedef struct {
    char *dir;
    VadmLog *log;
    GMainLoop *loop;
    VadmDaemon *daemon;
    pthread_t thread;
    VadmMutex lock;
    VadmCond ready;
    gboolean started; /* under lock */
    _Atomic int quits;
} AdminFixture;

AdminFixture *admin_fixture_new(void);
void admin_fixture_free(AdminFixture *fixture);

/* Returns: a descriptor of a connection to the admin server, or to the other one. */
int admin_connect(AdminFixture *fixture);
int admin_connect_idle(AdminFixture *fixture);

void admin_send(int fd, const VadmMessage *message);
/* Returns: (transfer full): the next message; NULL at the end of the connection. */
VadmMessage *admin_receive(int fd);
/* Returns: TRUE when the connection ends without another message. */
gboolean admin_at_end(int fd);

/* One call, its serial always 7. @encode: NULL for no arguments. */
VadmMessage *admin_new_call(gint32 procedure, xdrproc_t encode, gconstpointer args);
/* Returns: (transfer full): the reply */
VadmMessage *admin_call(int fd, gint32 procedure, xdrproc_t encode, gconstpointer args);
VadmMessage *admin_call_raw(int fd, const VadmRpcHeader *header, const guint8 *payload,
                            gsize length);

/* A call with arguments of the named type. */
#define ADMIN_CALL(fd, procedure, type, ...)                                                       \
    admin_call(fd, procedure, (xdrproc_t)xdr_##type, &(type){__VA_ARGS__})
#define ADMIN_GET(fd, procedure, args_type, ret_type, ret, ...)                                    \
    admin_assert_ret(ADMIN_CALL(fd, procedure, args_type, __VA_ARGS__), (xdrproc_t)xdr_##ret_type, \
                     ret)
#define ADMIN_FREE(type, ret) xdr_free((xdrproc_t)xdr_##type, ret)

#define ADMIN_LIBVIRTD                                                                             \
    {                                                                                              \
        (char *)"libvirtd"                                                                         \
    }

/* Setters: parameters of every type by one macro each. */
#define ADMIN_UINT(name, value)                                                                    \
    {                                                                                              \
        (char *)(name),                                                                            \
        {                                                                                          \
            VADM_TYPED_PARAM_UINT,                                                                 \
            {                                                                                      \
                .ui = (value)                                                                      \
            }                                                                                      \
        }                                                                                          \
    }

/* Setters and getters of server's pool and limits; a getter gives one value. */
VadmMessage *admin_set_pool(int conn, const char *server, vadm_typed_param *params, u_int count,
                            u_int flags);
VadmMessage *admin_set_limits(int conn, const char *server, vadm_typed_param *params, u_int count,
                              u_int flags);
guint32 admin_pool_value(int conn, const char *server, const char *name);
guint32 admin_limit_value(int conn, const char *server, const char *name);

/* Fails the test unless @reply is a success; frees it. */
void admin_assert_ok(VadmMessage *reply);
/* The same for a reply with a payload, decoded into @ret. */
void admin_assert_ret(VadmMessage *reply, xdrproc_t decode, gpointer ret);
/* Fails the test unless @reply is exactly this error, in the form libvirt 9.0 sends it in;
 * frees it. @text: the whole message, its prefix included. */
void admin_assert_error(VadmMessage *reply, int number, int domain, const char *text);

#endif
