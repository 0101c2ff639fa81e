/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A daemon that is made up: servers, clients and logging as the test says, told over a scripted
 * peer (peer-fixture.h) as libvirt's daemons tell them; and the remote source that reads it, with
 * the events that it has told. The main loop is the default one, and the test's own.
 */
#ifndef VADM_TESTS_REMOTE_FIXTURE_H
#define VADM_TESTS_REMOTE_FIXTURE_H

#include "agent/remote-private.h"
#include "peer-fixture.h"
#include "rpc/admin.h"
#include "rpc/rpc-error.h"
#include "unit.h"

/* In the order in which libvirt sends them. */
enum { POOL_MIN, POOL_MAX, POOL_CURRENT, POOL_FREE, POOL_PRIORITY, POOL_DEPTH, POOL_LAST };
enum { LIMIT_MAX, LIMIT_CURRENT, LIMIT_UNAUTH_MAX, LIMIT_UNAUTH, LIMIT_LAST };

typedef struct {
    guint64 id;
    gint64 since; /* seconds */
    guint transport;
    int refusal; /* what GET_INFO is refused with; 0: it is not */
    gboolean readonly;
    const char *sasl, *address, *dn, *user, *group, *selinux; /* NULL: not there */
    gint32 uid, gid, pid;                                     /* there if user is */
} FakeClient;

typedef struct {
    char *name;
    guint32 pool[POOL_LAST], limits[LIMIT_LAST];
    guint pool_absent, limits_absent; /* bit n: that one is not sent */
    int refusal;                      /* of all that is asked of it */
    int list_refusal;                 /* of its clients */
    GArray *clients;                  /* of FakeClient */
} FakeServer;

typedef struct {
    Peer *peer;
    VadmMutex lock;     /* what is below is read by the peer's thread: fake_lock() to alter it */
    GPtrArray *servers; /* of FakeServer, in the order of LIST_SERVERS */
    char *filters, *outputs; /* NULL: none; refused with code 1 */
} Fake;

Fake *fake_new(Peer *peer);
void fake_free(Fake *fake);
/** fake_server: with 5 to 20 workers, room for 10 clients, none unauthenticated. */
FakeServer *fake_add_server(Fake *fake, const char *name);
FakeServer *fake_find_server(Fake *fake, const char *name);
/** fake_add_client: a local one of "user" that came a minute ago; counted in the limits. */
FakeClient *fake_add_client(Fake *fake, const char *server, guint64 id);
void fake_remove_client(Fake *fake, const char *server, guint64 id);
void fake_lock(Fake *fake);
void fake_unlock(Fake *fake);
#define FAKE_SET(fake, statement)                                                                  \
    do {                                                                                           \
        fake_lock(fake);                                                                           \
        statement;                                                                                 \
        fake_unlock(fake);                                                                         \
    } while (0)

typedef struct {
    Peer *peer;
    Fake *fake;
    VadmSource *base;
    VadmRemoteSource *source;
    GPtrArray *events; /* of VadmEvent */
    guint subscription;
} Bed;

#define BED_URI "libvirtd:///system"

/** bed_new: with servers "libvirtd" and "admin", whose one client is the source's. It does not
 * listen yet. */
Bed *bed_new(void);
/** bed_start: listens, and makes the source. @interval_ms: between refreshes */
void bed_start(Bed *bed, guint interval_ms);
/** bed_start_ready: and has it read everything once. */
void bed_start_ready(Bed *bed, guint interval_ms);
void bed_free(Bed *bed);
/** bed_refresh: a refresh now, and until it is published. */
void bed_refresh(Bed *bed);
gboolean bed_is_up(Bed *bed);
guint bed_count(Bed *bed, VadmEventKind kind);
/** bed_last: the last event of that kind, NULL: there was none */
const VadmEvent *bed_last(Bed *bed, VadmEventKind kind);
void bed_forget(Bed *bed);

/** Copies of rows of a view of their own; texts are valid until the next refresh. FALSE: no such
 * row. */
gboolean bed_server(Bed *bed, guint32 index, VadmServerRow *row);
gboolean bed_client(Bed *bed, guint32 server, guint32 index, VadmClientRow *row);
VadmConfigRow bed_config(Bed *bed);
guint bed_count_clients(Bed *bed, guint32 server);

#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        gint64 deadline_ = g_get_monotonic_time() + 120 * G_USEC_PER_SEC;                          \
        while (!(condition)) {                                                                     \
            ck_assert_msg(g_get_monotonic_time() < deadline_, "waited in vain for %s",             \
                          #condition);                                                             \
            if (!g_main_context_iteration(NULL, FALSE))                                            \
                g_usleep(500);                                                                     \
        }                                                                                          \
    } while (0)

/** run_for: the main loop, that long: for what must not happen. */
void run_for(guint ms);

#endif
