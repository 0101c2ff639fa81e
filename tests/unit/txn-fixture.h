/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Transactions and reload against a daemon, servers and a client that are made up here: the
 * functions that txn.c and reload.c call of them are in txn-fixture.c.
 */
#ifndef VADM_TESTS_TXN_FIXTURE_H
#define VADM_TESTS_TXN_FIXTURE_H

#include "unit.h"

#include "common/lock.h"
#include "common/log.h"
#include "daemon/txn.h"

#define PATIENCE (30 * G_USEC_PER_SEC)

struct _VadmServer {
    guint32 index;
    const char *name;
    VadmPool *pool;
    VadmMutex lock;
    VadmServerLimits limits; /* last set; under lock */
};

struct _VadmClient {
    gint refs, closed;
};

struct _VadmDaemon {
    VadmStore store;
    VadmEvents events;
    VadmLog *log;
    VadmMailbox *mailbox;
    VadmServer servers[2]; /* admin 1, libvirtd 2 */
    VadmClient client;     /* the only one: 77 of libvirtd */
};

extern VadmDaemon *fake;
extern char *fake_dir, *fake_file; /* a temporary folder, and the configuration file in it */

void txn_setup(void);
void txn_teardown(void);
void txn_write_file(const char *text);
/* (transfer full) */
char *txn_in_dir(const char *name);
/* (transfer full): all that a transaction may change, as text */
char *txn_state(void);
void txn_wait_workers(guint server, guint32 current, guint32 priority);
VadmServerLimits txn_limits_of(guint32 server);
guint32 txn_generation(void);

#define NUMBER(field, server, value, tag)                                                          \
    {                                                                                              \
        VADM_FIELD_##field, server, 0, {VADM_VALUE_UINT, value, NULL}, tag                         \
    }
#define STRING(field, value, tag)                                                                  \
    {                                                                                              \
        VADM_FIELD_##field, 0, 0, {VADM_VALUE_STRING, 0, value}, tag                               \
    }
#define CLIENT(server, client, value, tag)                                                         \
    {                                                                                              \
        VADM_FIELD_CLIENT_ADMIN_STATUS, server, client, {VADM_VALUE_UINT, value, NULL}, tag        \
    }

/* A transaction of origin SNMP that is prepared, or the test fails. */
VadmDaemonTxn *txn_prepare(const VadmChange *changes, guint n);
/* Nothing may have changed, and the token must be free again. */
void txn_refused_as(VadmOrigin origin, const VadmChange *changes, guint n, int code, guint tag);
void txn_refused(const VadmChange *changes, guint n, int code, guint tag);

#endif
