/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between session.c, the life of a session, and session-connect.c, its beginning. */
#ifndef VADM_ADMIN_SESSION_PRIVATE_H
#define VADM_ADMIN_SESSION_PRIVATE_H

#include "admin/session-calls.h"
#include "rpc/conn.h"
#include "rpc/keepalive.h"

typedef enum {
    SESSION_CONNECTING, /* there is no connection yet */
    SESSION_OPENING,    /* CONNECT_OPEN is not answered */
    SESSION_OPEN,
    SESSION_CLOSING, /* CONNECT_CLOSE is not answered, or closed() is to be called */
    SESSION_ENDED,
    SESSION_FREED /* held by a function of ours that runs */
} SessionState;

struct _VadmSession {
    guint refs; /* the owner's, and those of our functions that run */
    SessionState state;
    char *path;
    VadmSessionOptions options; /* without path */
    GMainContext *context;
    VadmSessionHandlers handlers;
    gpointer user;

    VadmConn *conn; /* NULL: not connected, or no more */
    VadmKeepalive *keepalive;
    guint32 own_serial; /* of CONNECT_OPEN or CONNECT_CLOSE */
    VadmSessionCalls calls;
    GError *end_error; /* once it has ended */

    GSource *clock;
    gint64 armed;    /* when the clock runs, monotonic microseconds; G_MAXINT64: never */
    gint64 retry;    /* the next attempt to connect */
    gint64 deadline; /* of the opening or closing */
    gboolean grace;  /* what is due has waited for what can be read */

    void (*closed)(gpointer user);
    gpointer closed_user;
};

/** vadm_session_end: @error: (transfer full). Tells everybody; called from the main loop only. */
void vadm_session_end(VadmSession *session, VadmSessionEnd end, GError *error,
                      const VadmMessage *reply);
/** vadm_session_begin: it is connected: sends CONNECT_OPEN and reads. */
void vadm_session_begin(VadmSession *session, GSocketConnection *stream);
/** vadm_session_try: session-connect.c: tries to connect; sets the time of the next attempt, begins
 * or ends the session. */
void vadm_session_try(VadmSession *session, gint64 now);

#endif
