/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A VadmSource with static rows, for tests of the agent. What is prepared, committed, undone,
 * finished and aborted is counted, and wrong calls abort the program. Its configuration, as far as
 * it can be changed: lvaConfigStorage, lvaConfigConfirmTimeout (that nothing awaits) and
 * lvaServerWorkersMin; other changes have no effect. Like a daemon it has one writer token: who
 * prepares while another transaction is open is refused with VADM_ERROR_BUSY.
 */
#ifndef VADM_TESTS_FAKE_SOURCE_H
#define VADM_TESTS_FAKE_SOURCE_H

#include "common/error.h"
#include "common/source.h"

#define FAKE_CHANGES_MAX 16

typedef enum { FAKE_PREPARE, FAKE_COMMIT, FAKE_UNDO, FAKE_PHASES } FakePhase;

typedef struct _FakeSource FakeSource;

struct _FakeSource {
    VadmSource base;

    VadmDaemonRow daemon;
    VadmConfigRow config;
    GArray *servers;  /* of VadmServerRow, in the order of their index */
    GArray *services; /* of VadmServiceRow, likewise */
    GArray *clients;  /* of VadmClientRow, likewise */
    VadmAccess access[VADM_FIELD_LAST];
    gboolean no_view;                 /* view_begin gives none */
    void (*looked)(FakeSource *fake); /* (nullable): told of each view that begins */

    /* what the next phases do; 0: they succeed (VADM_ERROR_INTERNAL cannot be made) */
    int fail_prepare, fail_commit, fail_undo; /* VadmErrorCode */
    guint fail_tag;
    gboolean defer[FAKE_PHASES]; /* it completes later: fake_source_complete() */
    /* (nullable): told of each call that does */
    void (*deferred)(FakeSource *fake, FakePhase phase);

    guint views_open;
    guint prepared, committed, undone, finished, aborted; /* how often */
    guint open;                                           /* transactions not ended */
    guint in_force;                       /* committed and neither undone nor yet finished */
    VadmChange changes[FAKE_CHANGES_MAX]; /* of the last prepare; strings are copies */
    char *strings[FAKE_CHANGES_MAX];
    guint n_changes;

    GQueue pending; /* of calls that have not completed, private */

    VadmEventFn tell; /* who has subscribed: one at most */
    gpointer tell_user;
    guint subscription;
};

/** fake_source_new: 2 servers, 3 services, 5 clients: one with a string too long for its type,
 * one without identity, ids on both sides of 32 bits. */
FakeSource *fake_source_new(void);
void fake_source_free(FakeSource *fake);
/** fake_source_complete: the oldest call that is pending completes. Returns: FALSE: there is none
 */
gboolean fake_source_complete(FakeSource *fake);
/** fake_source_server: the row itself, to be altered. Aborts when there is no server @index. */
VadmServerRow *fake_source_server(FakeSource *fake, guint32 index);
/** fake_source_tell: an event of now with the rows as they are; @server, @client: 0: none */
void fake_source_tell(FakeSource *fake, VadmEventKind kind, guint32 server, guint32 client);
/** fake_source_workers_min: what is in force for the server @index. */
guint32 fake_source_workers_min(FakeSource *fake, guint32 index);

#endif
