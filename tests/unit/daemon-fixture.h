/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A daemon in a temporary folder, with the main loop iterated by the test's own thread, a
 * little program that echoes, and peers on real sockets.
 */
#ifndef VADM_TESTS_DAEMON_FIXTURE_H
#define VADM_TESTS_DAEMON_FIXTURE_H

#include "daemon/daemon-private.h"
#include "daemon/server-private.h"
#include "unit.h"

#define PATIENCE (30 * (gint64)G_USEC_PER_SEC)

/* What the test program does, by procedure. */
enum {
    ECHO_NOW = 1,    /* replies with the call's payload, from within call() */
    ECHO_KEEP = 2,   /* until echo_release() */
    ECHO_WORKER = 3, /* a job that replies */
    ECHO_HANG = 4,   /* a job that replies once echo.hang is FALSE */
    ECHO_CLOSE = 5,  /* a job that replies and closes */
    ECHO_BIG = 6,    /* replies with as many octets as the payload's first word says */
    ECHO_PING_ME = 7 /* starts keepalive */
};

/* Of the one daemon of the test's process. */
typedef struct {
    VadmProgram program;
    GQueue kept; /* of EchoCall */
    guint calls, streams, closed, drained, freed, data_freed;
    GArray *serials; /* guint32, of the calls in the order they came to the program */

    VadmMutex lock;
    VadmCond changed;
    gboolean hang; /* under lock */
    guint hanging; /* under lock: jobs that hang now */
} Echo;

typedef struct {
    char *folder;
    VadmConfig *config;
    VadmDaemon *daemon;
    VadmServer *server, *admin;
    char *path, *admin_path;
    Echo echo;
    guint quits;
    gboolean stopped, clean;
} Fixture;

typedef struct {
    int fd;
    gboolean eof;
    VadmFramer *framer;
} Peer;

extern Fixture fix;

/* Config first, so that a test can alter it before the daemon is made. */
void fixture_setup(void);
void fixture_start(void);
void fixture_teardown(void);
/** Sets fix.stopped and fix.clean in the end. */
void fixture_shutdown_begin(void);

/** Runs what the main loop has to do now. */
void turn(void);
#define SPIN_UNTIL(condition)                                                                      \
    do {                                                                                           \
        gint64 spin_deadline = g_get_monotonic_time() + PATIENCE;                                  \
        while (!(condition)) {                                                                     \
            turn();                                                                                \
            ck_assert_msg(g_get_monotonic_time() < spin_deadline, "in vain: %s", #condition);      \
        }                                                                                          \
    } while (0)
/** Runs the main loop until it has been idle for a while: for what must not happen. */
void settle(void);

Peer *peer_new(const char *path);
Peer *peer_new_inet(const VadmInetAddress *address);
void peer_free(Peer *peer);
/** Sends all, running the main loop meanwhile. */
void peer_write(Peer *peer, gconstpointer data, gsize length);
/** Sends what the socket takes. Returns: how much */
gsize peer_write_some(Peer *peer, gconstpointer data, gsize length);
void peer_send(Peer *peer, VadmMessage *message);
/** Receives, running the main loop. Returns: NULL at the end of file */
VadmMessage *peer_receive(Peer *peer);
void peer_expect_eof(Peer *peer);
/** Anything to read? After the main loop has settled. */
gboolean peer_is_silent(Peer *peer);
/** For root only: another user, let through to the admin socket, connects and must be sent away
 * without a word. */
void connect_as_nobody(void);

VadmMessage *make_message(guint32 program, gint32 procedure, guint32 type, guint32 serial,
                          guint32 status, gconstpointer payload, gsize length);
VadmMessage *make_call(gint32 procedure, guint32 serial, const char *payload);
void peer_call(Peer *peer, gint32 procedure, guint32 serial, const char *payload);
/** The next message must be this reply. */
void peer_expect_reply(Peer *peer, guint32 serial, const char *payload);
void peer_expect_error(Peer *peer, guint32 serial, int code, int domain, const char *text);
void peer_ping(Peer *peer);
void peer_expect_pong(Peer *peer);

/** Replies to the kept call with @serial. */
void echo_release(guint32 serial);
void echo_set_hang(gboolean hang);
guint echo_count_hanging(void);

/** The only client, or the one with @index. (transfer full) */
VadmClient *get_client(guint32 index);
void get_row(VadmServerRow *row);
void set_limits(const VadmServerLimits *limits);
guint count_fds(void);
guint count_threads(void);

#endif
