/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A scripted peer and a program that is connected to it by libvirtadm. */
#ifndef VADM_TESTS_VIR_FIXTURE_H
#define VADM_TESTS_VIR_FIXTURE_H

#include <check.h>
#include <libvirt/libvirt-admin.h>
#include <libvirt/virterror.h>

#include "peer-fixture.h"
#include "rpc/admin.h"

extern Peer *peer;
extern char *uri; /* of the peer */
extern virAdmConnectPtr conn;

/* With a short end to whatever hangs; the keepalive is off. */
void vir_setup(void);
/* Fails when the peer still has a connection, or a thread is left. */
void vir_teardown(void);

void vir_open(void);
/* A server without a call to the daemon but the one for it. */
virAdmServerPtr vir_server(const char *name);
/* LOOKUP_SERVER answers with the name that was asked for. */
VadmMessage *vir_echo_server(const VadmMessage *call, gpointer user);
/* Decodes the arguments of the latest call of @procedure; free them with xdr_free(). */
void vir_last_args(gint32 procedure, xdrproc_t decode, gpointer args);

#define VIR_ASSERT_ERROR(number, where, text)                                                      \
    do {                                                                                           \
        const virError *vir_error = virGetLastError();                                             \
        ck_assert_ptr_nonnull(vir_error);                                                          \
        ck_assert_str_eq(vir_error->message, text);                                                \
        ck_assert_int_eq(vir_error->code, number);                                                 \
        ck_assert_int_eq(vir_error->domain, where);                                                \
    } while (0)

/* Polls; ten seconds. */
#define VIR_WAIT_FOR(condition)                                                                    \
    do {                                                                                           \
        gint64 vir_deadline = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;                        \
        while (!(condition)) {                                                                     \
            ck_assert_msg(g_get_monotonic_time() < vir_deadline,                                   \
                          "waited in vain for " #condition);                                       \
            g_usleep(1000);                                                                        \
        }                                                                                          \
    } while (0)

#endif
