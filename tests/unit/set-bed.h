/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon that is made up (remote-fixture.h) can be changed, as libvirt's daemons can, and the
 * n-th call that changes it can go wrong in each way that there is. The phases of a transaction
 * are called from the test's own thread, which runs the main loop.
 */
#ifndef VADM_TESTS_SET_BED_H
#define VADM_TESTS_SET_BED_H

#include "agent/remote-set.h"
#include "remote-fixture.h"

/* Indexes of its servers. */
#define SERVER 2 /* libvirtd */
#define ADMIN  1

#define SLOW 60000 /* ms: no refresh but those that are asked for */

typedef enum {
    SET_REFUSE,         /* an error reply; nothing is changed */
    SET_SILENT,         /* no answer; nothing is changed */
    SET_SILENT_APPLIED, /* no answer, but it is changed */
    SET_GARBAGE,        /* what ends the connection; nothing is changed */
    SET_GARBAGE_APPLIED,
    SET_FAILURES
} SetFailure;

typedef struct {
    Bed *bed;
    VadmMutex lock;           /* of what is below, which the peer's thread reads */
    guint calls;              /* that change something, so far */
    guint fail_from, fail_to; /* those of the calls, counted from 1, that go wrong; 0: none */
    SetFailure failure;
    guint then_from; /* from this one on another thing goes wrong; 0: none */
    SetFailure then;
    guint closed; /* clients */
    char *default_outputs;
    gboolean hurried;
} SetBed;

/* Of phases that are to succeed: what is slow here is the machine. */
#define SET_PATIENCE_US (20 * (gint64)G_USEC_PER_SEC)

/* With a log of its own, in which the source logs. */
SetBed *set_bed_new(guint interval_ms);
void set_bed_free(SetBed *set);
/* @hurried: the phases get the time that they have in operation, as where the daemon is scripted
 * not to answer; else SET_PATIENCE_US */
void set_bed_hurry(SetBed *set, gboolean hurried);

guint set_bed_calls(SetBed *set);
/* Calls are counted anew. */
void set_bed_script(SetBed *set, guint from, guint to, SetFailure failure);
void set_bed_script_then(SetBed *set, guint from, SetFailure failure);

/* All that can be set. */
char *set_bed_state(SetBed *set);
guint32 set_bed_generation(SetBed *set);
/* The row of a server, which must be there. */
VadmServerRow set_bed_row(SetBed *set, guint32 server);
/* Reading again, which has a refresh of everything follow. */
void set_bed_refresh(SetBed *set);
/* For peer_handle(): says that a call was carried out, which it was not. */
VadmMessage *set_bed_accept_only(const VadmMessage *call, gpointer user);
/* What has been logged so far. */
char *set_bed_log(void);
gboolean set_bed_has_logged(const char *text);

/* The outcome of one phase. */
typedef struct {
    guint done; /* how often it has completed */
    VadmTxn *txn;
    guint tag;
    GError *error;
} Outcome;

void outcome_clear(Outcome *outcome);
void outcome_done(VadmTxn *txn, const VadmFault *fault, gpointer user);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Outcome, outcome_clear)

#define NUMBER(f, s, n, t)                                                                         \
    {                                                                                              \
        .field = VADM_FIELD_##f, .server = (s),                                                    \
        .value = {.kind = VADM_VALUE_UINT, .number = (guint64)(n)}, .tag = (t)                     \
    }
#define TEXT(f, text, t)                                                                           \
    {                                                                                              \
        .field = VADM_FIELD_##f, .value = {.kind = VADM_VALUE_STRING, .string = (text)},           \
        .tag = (t)                                                                                 \
    }
#define CLOSE(s, c, t)                                                                             \
    {                                                                                              \
        .field = VADM_FIELD_CLIENT_ADMIN_STATUS, .server = (s), .client = (c),                     \
        .value = {.kind = VADM_VALUE_UINT, .number = VADM_CLIENT_DISCONNECT}, .tag = (t)           \
    }

/* Each waits for the outcome. */
void set_prepare(SetBed *set, const VadmChange *changes, guint n, Outcome *outcome);
void set_commit(SetBed *set, VadmTxn *txn, Outcome *outcome);
void set_undo(SetBed *set, VadmTxn *txn, Outcome *outcome);
void set_finish(SetBed *set, VadmTxn *txn);
void set_abort(SetBed *set, VadmTxn *txn);

/* Prepare must succeed. */
VadmTxn *set_prepared(SetBed *set, const VadmChange *changes, guint n);
/* And commit. */
VadmTxn *set_committed(SetBed *set, const VadmChange *changes, guint n);
/* All phases, which must succeed. */
void set_all(SetBed *set, const VadmChange *changes, guint n);

#define PREPARED(set, ...)                                                                         \
    set_prepared(set, (const VadmChange[]){__VA_ARGS__},                                           \
                 G_N_ELEMENTS(((const VadmChange[]){__VA_ARGS__})))
#define COMMITTED(set, ...)                                                                        \
    set_committed(set, (const VadmChange[]){__VA_ARGS__},                                          \
                  G_N_ELEMENTS(((const VadmChange[]){__VA_ARGS__})))
#define SET_ALL(set, ...)                                                                          \
    set_all(set, (const VadmChange[]){__VA_ARGS__},                                                \
            G_N_ELEMENTS(((const VadmChange[]){__VA_ARGS__})))

#endif
