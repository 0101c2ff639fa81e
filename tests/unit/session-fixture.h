/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ground of the session's tests: one session in a main context of its own, a scripted peer
 * (peer-fixture.h), and what the session has told.
 */
#ifndef VADM_TESTS_SESSION_FIXTURE_H
#define VADM_TESTS_SESSION_FIXTURE_H

#include <check.h>
#include <errno.h>

#include "admin/session-calls.h"
#include "loop.h"
#include "peer-fixture.h"
#include "rpc/admin.h"
#include "rpc/protocol.h"
#include "rpc/rpc-error.h"

#define PROC_OPEN    VADM_ADMIN_PROC_CONNECT_OPEN
#define PROC_CLOSE   VADM_ADMIN_PROC_CONNECT_CLOSE
#define PROC_VERSION VADM_ADMIN_PROC_CONNECT_GET_LIB_VERSION
#define PROC_FILTERS VADM_ADMIN_PROC_CONNECT_GET_LOGGING_FILTERS

/* What the handlers and the replies do besides, when told that number. */
typedef enum { ACT_NONE, ACT_FREE, ACT_CALL, ACT_CLOSE } Act;
#define ON_OPENED -1
#define ON_ENDED  -2

/* The outcome of one call. */
typedef struct {
    int number;
    guint times;
    gboolean replied;
    guint64 version;
    int refusal;
    char *text; /* of the daemon's refusal, or of the error */
    int code;   /* of the error; -1: none */
    int errnum;
} Outcome;

extern GMainContext *context;
extern Peer *peer;
extern VadmSession *session;
extern VadmSessionOptions options;
extern guint opens, ends, closes;
extern VadmSessionEnd last_end;
extern GError *last_error;
extern guint32 last_reply_status; /* G_MAXUINT32: there was none */
extern GArray *told;              /* of int: which calls were told, in this order */
extern GPtrArray *outcomes;       /* of Outcome */
extern Act act;
extern int act_on;
extern const VadmSessionHandlers handlers;

/* Runs the main loop until @condition holds; fails the test after ten seconds. */
#define WAIT_FOR(condition) LOOP_WAIT_FOR(context, condition)

void setup(void);
void teardown(void);
/* Runs the main loop until there is nothing to do. */
void settle(void);

void open_session(void);
void open_and_wait(void);
void close_session(guint timeout_ms);
/* What the peer answers to PROC_VERSION; 9000000 until then. */
void answer_version(guint64 version);
/* A call whose outcome gets the next number. */
void call_procedure(gint32 procedure, guint timeout_ms);
void call_version(guint timeout_ms);
Outcome *outcome(guint number);
void on_reply(VadmSession *from, const VadmMessage *reply, const GError *error, gpointer user);
/* The outcomes of these calls were told, once, in this order, and no others; ended by -1. */
void assert_told(int first, ...);
void assert_end(VadmSessionEnd end, int code, int errnum, const char *text);

TCase *add_case(Suite *suite, const char *name);
/* test-session-peer.c: what peers do */
void test_peers_add(Suite *suite);
/* test-session-owner.c: owners who act in callbacks, and closing */
void test_owners_add(Suite *suite);

#endif
