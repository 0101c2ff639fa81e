/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A VadmSource with static rows, for tests of the agent. What is prepared, committed, undone,
 * finished and aborted is counted, and wrong calls abort the program.
 */
#ifndef VADM_TESTS_FAKE_SOURCE_H
#define VADM_TESTS_FAKE_SOURCE_H

#include "common/error.h"
#include "common/source.h"

#define FAKE_CHANGES_MAX 16

typedef struct {
    VadmSource base;

    VadmDaemonRow daemon;
    VadmConfigRow config;
    GArray *servers;  /* of VadmServerRow, in the order of their index */
    GArray *services; /* of VadmServiceRow, likewise */
    GArray *clients;  /* of VadmClientRow, likewise */
    VadmAccess access[VADM_FIELD_LAST];
    gboolean no_view; /* view_begin gives none */

    /* what the next phases do; 0: they succeed (VADM_ERROR_INTERNAL cannot be made) */
    int fail_prepare, fail_commit, fail_undo; /* VadmErrorCode */
    guint fail_tag;
    gboolean hold; /* completion does not come until fake_source_release() */

    guint views_open;
    guint prepared, committed, undone, finished, aborted; /* how often */
    guint open;                                           /* transactions not ended */
    guint in_force;                       /* committed and neither undone nor yet finished */
    VadmChange changes[FAKE_CHANGES_MAX]; /* of the last prepare; strings are copies */
    char *strings[FAKE_CHANGES_MAX];
    guint n_changes;

    VadmTxn *held_txn;
    VadmDone held_done;
    gpointer held_user;
} FakeSource;

/** fake_source_new: 2 servers, 3 services, 5 clients: one with a string too long for its type,
 * one without identity, ids on both sides of 32 bits. */
FakeSource *fake_source_new(void);
void fake_source_free(FakeSource *fake);
/** fake_source_release: the completion that is held comes, successful. */
void fake_source_release(FakeSource *fake);

#endif
