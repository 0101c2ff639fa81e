/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What serves the calls of a server's clients: the admin program or the relay. All functions
 * of the class run in the main thread; what takes time goes to the server's worker pool.
 */
#ifndef VADM_DAEMON_PROGRAM_H
#define VADM_DAEMON_PROGRAM_H

#include "rpc/message.h"

typedef struct _VadmProgram VadmProgram;
typedef struct _VadmClient VadmClient;

typedef struct {
    const char *name;
    /* Does it take descriptors with the calls of clients that are authenticated? They come through
     * unix sockets only. */
    gboolean descriptors;
    /* Does a call with these numbers belong here? Else the client is told so (code 39). */
    gboolean (*handles)(VadmProgram *program, guint32 number, guint32 version);
    /* A CALL or CALL_WITH_FDS with status OK. @message: (transfer full). Must lead to exactly
     * one vadm_client_reply() or vadm_client_post_reply(), unless the client closes first. */
    void (*call)(VadmProgram *program, VadmClient *client, VadmMessage *message);
    /* (nullable) A STREAM or STREAM_HOLE. @message: (transfer full). NULL: dropped. */
    void (*stream)(VadmProgram *program, VadmClient *client, VadmMessage *message);
    /* (nullable) The client has been closed; drop what is held for it. */
    void (*client_closed)(VadmProgram *program, VadmClient *client);
    /* (nullable) What was queued for the client has drained (vadm_client_queued()). */
    void (*client_drained)(VadmProgram *program, VadmClient *client);
    void (*free)(VadmProgram *program);
} VadmProgramClass;

struct _VadmProgram {
    const VadmProgramClass *class;
};

#endif
