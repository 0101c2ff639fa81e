/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One pass: reading the daemon once. It asks for the servers, the numbers, limits and clients of
 * each, filters and outputs, and then who the clients are that it has not been told about; no more
 * calls at a time than the daemon takes, and none of them queued ahead, so that a SET waits for one
 * answer at most. Main thread.
 */
#ifndef VADM_AGENT_REMOTE_PASS_H
#define VADM_AGENT_REMOTE_PASS_H

#include "agent/remote-memory.h"

typedef enum {
    VADM_REMOTE_ASK_VERSION,
    VADM_REMOTE_ASK_SERVERS,
    VADM_REMOTE_ASK_THREADPOOL,
    VADM_REMOTE_ASK_LIMITS,
    VADM_REMOTE_ASK_CLIENTS,
    VADM_REMOTE_ASK_FILTERS,
    VADM_REMOTE_ASK_OUTPUTS,
    VADM_REMOTE_ASK_IDENTITY
} VadmRemoteQuestionKind;

typedef struct _VadmRemotePass VadmRemotePass;

/* @ok: pass->snapshot is complete, but for what the daemon refused to tell. */
typedef void (*VadmRemotePassFn)(VadmRemotePass *pass, gboolean ok, gpointer user);

struct _VadmRemotePass {
    guint refs;
    VadmRemoteSource *source;
    VadmRemotePassFn done; /* NULL: it was told, or nobody wants to know any more */
    gpointer user;
    gboolean full; /* with clients */
    VadmRemoteSnapshot *snapshot;
    GPtrArray *gone; /* of VadmRemoteServer in @snapshot that the daemon does not know any more */
    GQueue todo;     /* of VadmRemoteQuestion */
    guint in_flight;
    gboolean failed;
    gint64 begun;
    /* who the clients are */
    gint64 asking;        /* monotonic time when that began; 0: not yet */
    guint round;          /* 0: those that were never asked about, 1: the others */
    guint server, client; /* where to go on */
    /* what it has cost */
    guint calls, identities;
};

/** vadm_remote_pass_new: @version: to be asked for too. Returns: (transfer full) */
VadmRemotePass *vadm_remote_pass_new(VadmRemoteSource *source, gboolean full, gboolean version,
                                     VadmRemotePassFn done, gpointer user);
/** vadm_remote_pass_run: @done is called once, from the main loop, unless it is freed before. */
void vadm_remote_pass_run(VadmRemotePass *pass);
/** vadm_remote_pass_free: gives it up; answers to what it has asked are dropped. May be called in
 * its @done. */
void vadm_remote_pass_free(VadmRemotePass *pass);

/* Between remote-pass.c, which asks, and remote-answer.c. */

typedef struct {
    VadmRemotePass *pass;
    VadmRemoteQuestionKind kind;
    VadmRemoteServer *server; /* in pass->snapshot; NULL: it is about the daemon */
    guint place;              /* IDENTITY: in server->clients */
} VadmRemoteQuestion;

/** vadm_remote_pass_add: a question to be asked when its turn comes. */
void vadm_remote_pass_add(VadmRemotePass *pass, VadmRemoteQuestionKind kind,
                          VadmRemoteServer *server);
/** vadm_remote_question_read: @reply: OK; _refused: ERROR */
void vadm_remote_question_read(const VadmRemoteQuestion *question, const VadmMessage *reply);
void vadm_remote_question_refused(const VadmRemoteQuestion *question, const VadmMessage *reply);

#endif
