/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * VadmSource: what the agent knows of a daemon. Rows to read, changes to make. The linked-in
 * daemon (agent/source-local.c), a remote one, and the unit tests' fake one implement it.
 * GLib types only.
 *
 * Reading never blocks and gives copies of one moment; rows live until vadm_view_end().
 * Writing is a transaction: prepare (all that can fail), commit (visible, reversible), then
 * finish (the irreversible part) or undo; abort gives up a prepared one.
 */
#ifndef VADM_COMMON_SOURCE_H
#define VADM_COMMON_SOURCE_H

#include <glib.h>

#include "common/mailbox.h"

/* Everything that a source can have, one for each object of the MIB that takes its value from a
 * source. The order within a group is that of the MIB's arcs. */
typedef enum {
    VADM_FIELD_NONE = 0,

    VADM_FIELD_DAEMON_NAME,
    VADM_FIELD_DAEMON_VERSION,
    VADM_FIELD_DAEMON_URI,
    VADM_FIELD_DAEMON_STATE,
    VADM_FIELD_DAEMON_START_TIME,
    VADM_FIELD_DAEMON_PROCESS_ID,
    VADM_FIELD_DAEMON_UP_TIME,

    VADM_FIELD_CONFIG_LOCK,
    VADM_FIELD_CONFIG_GENERATION,
    VADM_FIELD_CONFIG_LAST_CHANGE,
    VADM_FIELD_CONFIG_LAST_ORIGIN,
    VADM_FIELD_CONFIG_STORAGE,
    VADM_FIELD_CONFIG_CONFIRM_TIMEOUT,
    VADM_FIELD_CONFIG_AGE,
    VADM_FIELD_CONFIG_LAST_ERROR,

    VADM_FIELD_LOG_LEVEL,
    VADM_FIELD_LOG_FILTERS,
    VADM_FIELD_LOG_OUTPUTS,
    VADM_FIELD_LOG_EMITTED,
    VADM_FIELD_LOG_FILTERED,
    VADM_FIELD_LOG_DROPPED,

    VADM_FIELD_SERVER_NAME,
    VADM_FIELD_SERVER_WORKERS_MIN,
    VADM_FIELD_SERVER_WORKERS_MAX,
    VADM_FIELD_SERVER_WORKERS_PRIORITY,
    VADM_FIELD_SERVER_WORKERS_CURRENT,
    VADM_FIELD_SERVER_WORKERS_FREE,
    VADM_FIELD_SERVER_JOB_QUEUE_DEPTH,
    VADM_FIELD_SERVER_CLIENTS_MAX,
    VADM_FIELD_SERVER_CLIENTS_CURRENT,
    VADM_FIELD_SERVER_CLIENTS_UNAUTH_MAX,
    VADM_FIELD_SERVER_CLIENTS_UNAUTH_CURRENT,
    VADM_FIELD_SERVER_CLIENTS_HIGH_PERCENT,
    VADM_FIELD_SERVER_CLIENTS_STATE,
    VADM_FIELD_SERVER_CLIENTS_UNAUTH_STATE,
    VADM_FIELD_SERVER_CLIENTS_ACCEPTED,
    VADM_FIELD_SERVER_CLIENTS_FULL_EVENTS,
    VADM_FIELD_SERVER_AUTH_FAILURES,
    VADM_FIELD_SERVER_CLIENT_REQUESTS_MAX,
    VADM_FIELD_SERVER_CLIENT_REQUESTS_DELAYED,
    VADM_FIELD_SERVER_JOBS_DONE,
    VADM_FIELD_SERVER_JOBS_FAILED,
    VADM_FIELD_SERVER_JOB_WAIT_TIME,
    VADM_FIELD_SERVER_JOB_RUN_TIME,
    VADM_FIELD_SERVER_UPSTREAM_STATE,

    VADM_FIELD_SERVICE_TRANSPORT,
    VADM_FIELD_SERVICE_ADDRESS_TYPE,
    VADM_FIELD_SERVICE_ADDRESS,
    VADM_FIELD_SERVICE_PORT,
    VADM_FIELD_SERVICE_LISTEN,
    VADM_FIELD_SERVICE_READ_ONLY,
    VADM_FIELD_SERVICE_AUTH,
    VADM_FIELD_SERVICE_ACCEPTING,

    VADM_FIELD_CLIENT_ID,
    VADM_FIELD_CLIENT_TRANSPORT,
    VADM_FIELD_CLIENT_CONNECTED_SINCE,
    VADM_FIELD_CLIENT_READ_ONLY,
    VADM_FIELD_CLIENT_ADDRESS_TYPE,
    VADM_FIELD_CLIENT_ADDRESS,
    VADM_FIELD_CLIENT_PORT,
    VADM_FIELD_CLIENT_SASL_USER_NAME,
    VADM_FIELD_CLIENT_X509_DN,
    VADM_FIELD_CLIENT_UNIX_USER_ID,
    VADM_FIELD_CLIENT_UNIX_USER_NAME,
    VADM_FIELD_CLIENT_UNIX_GROUP_ID,
    VADM_FIELD_CLIENT_UNIX_GROUP_NAME,
    VADM_FIELD_CLIENT_UNIX_PROCESS_ID,
    VADM_FIELD_CLIENT_SELINUX_CONTEXT,
    VADM_FIELD_CLIENT_AUTHENTICATED,
    VADM_FIELD_CLIENT_REQUESTS,
    VADM_FIELD_CLIENT_REQUESTS_IN_FLIGHT,
    VADM_FIELD_CLIENT_IDLE_TIME,
    VADM_FIELD_CLIENT_ADMIN_STATUS,
    VADM_FIELD_CLIENT_PEER,
    VADM_FIELD_CLIENT_AGE,
    VADM_FIELD_CLIENT_DISCONNECT_REASON,

    VADM_FIELD_NOTIFY_ENABLE,
    VADM_FIELD_NOTIFY_MIN_INTERVAL,
    VADM_FIELD_NOTIFY_SENT,
    VADM_FIELD_NOTIFY_SUPPRESSED,
    VADM_FIELD_NOTIFY_DISCONTINUITY_TIME,

    VADM_FIELD_LAST
} VadmField;

typedef enum { VADM_ACCESS_NONE, VADM_ACCESS_READ, VADM_ACCESS_WRITE } VadmAccess;

/* The numbers of these enumerations are those of the MIB. */
typedef enum { VADM_REACH_UP = 1, VADM_REACH_UNREACHABLE = 2 } VadmReachability;
typedef enum {
    VADM_ORIGIN_STARTUP = 1,
    VADM_ORIGIN_ADMIN_RPC = 2,
    VADM_ORIGIN_SNMP = 3,
    VADM_ORIGIN_RELOAD = 4,
    VADM_ORIGIN_ROLLBACK = 5
} VadmOrigin;
#define VADM_ORIGIN_LAST (VADM_ORIGIN_ROLLBACK + 1)
typedef enum {
    VADM_TRANSPORT_UNIX = 1,
    VADM_TRANSPORT_TCP = 2,
    VADM_TRANSPORT_TLS = 3
} VadmTransport;
typedef enum { VADM_LIMIT_NORMAL = 1, VADM_LIMIT_HIGH = 2, VADM_LIMIT_FULL = 3 } VadmLimitState;
typedef enum {
    VADM_UPSTREAM_NONE = 1,
    VADM_UPSTREAM_UP = 2,
    VADM_UPSTREAM_UNREACHABLE = 3
} VadmUpstreamState;
typedef enum { VADM_AUTH_NONE = 1, VADM_AUTH_SASL = 2, VADM_AUTH_POLKIT = 3 } VadmAuthKind;
typedef enum { VADM_STORAGE_VOLATILE = 2, VADM_STORAGE_NON_VOLATILE = 3 } VadmStorage;
typedef enum {
    VADM_DISCONNECT_CLIENT = 1,
    VADM_DISCONNECT_ADMINISTRATOR = 2,
    VADM_DISCONNECT_KEEPALIVE = 3,
    VADM_DISCONNECT_PROTOCOL_ERROR = 4,
    VADM_DISCONNECT_AUTH_FAILURE = 5,
    VADM_DISCONNECT_SHUTDOWN = 6,
    VADM_DISCONNECT_UNKNOWN = 7
} VadmDisconnectReason;
typedef enum { VADM_CLIENT_CONNECTED = 1, VADM_CLIENT_DISCONNECT = 2 } VadmClientAdminStatus;

/* An Internet address as the MIB shows it (RFC 4001). type 0: unknown, with no octets. */
typedef struct {
    guint type; /* InetAddressType: 0 unknown, 1 ipv4, 2 ipv6, 4 ipv6z */
    guint8 octets[20];
    gsize length;
    guint16 port;
} VadmInetAddress;

/*
 * Who a client is. Immutable and reference counted: what is learnt later (names, SASL) makes a
 * new one that replaces the old by pointer. Strings: "" is known to be absent; NULL, and only in a
 * remote source: there is one that cannot be shown, being no printable UTF-8.
 */
typedef struct {
    gint refs;        /* atomic */
    gboolean local;   /* the unix_ fields are known */
    guint32 uid, gid; /* 4294967295 (-1): absent */
    guint32 pid;      /* 0: absent */
    char *user_name, *group_name;
    gboolean named; /* user_name and group_name have been looked up */
    char *selinux_context;
    char *sasl_user_name;
    char *x509_dn;
    VadmInetAddress address;
    char *sock_addr; /* "192.0.2.7:52110", "" for unix */
} VadmIdentity;

VadmIdentity *vadm_identity_new(void);
VadmIdentity *vadm_identity_ref(VadmIdentity *identity);
void vadm_identity_unref(VadmIdentity *identity);
/** vadm_identity_copy: Returns: (transfer full): a copy that may be filled before it is shared */
VadmIdentity *vadm_identity_copy(const VadmIdentity *identity);
/** vadm_identity_peer: Returns: (transfer full): lvaClientPeer, e.g. "unix:pid=1234,uid=0" */
char *vadm_identity_peer(const VadmIdentity *identity, VadmTransport transport);

/* Times: gint64 microseconds since the epoch, UTC (g_get_real_time()); 0: unknown.
 * Ages and remaining times: whole seconds. */

typedef struct {
    const char *name, *version, *uri;
    VadmReachability state;
    gint64 start_time;
    guint32 pid;
    guint32 up_time;
    guint32 server_number, service_number, client_number;
} VadmDaemonRow;

typedef struct {
    guint64 emitted, filtered, dropped;
} VadmLogStatsRow;

typedef struct {
    guint32 generation;
    gint64 last_change;
    VadmOrigin last_origin;
    VadmStorage storage;
    guint32 confirm_left;
    guint32 age;
    guint32 log_level; /* 1..4, 5 daemonDefault; 0: a remote source cannot tell */
    const char *log_filters, *log_outputs; /* NULL likewise */
    VadmLogStatsRow log_stats[5];          /* [1..4] by level */
    guint16 notify_enable;                 /* bit n: lvaNotifyEnable bit n */
    guint32 notify_min_interval;           /* seconds */
} VadmConfigRow;

typedef struct {
    guint32 index;
    const char *name;
    guint32 workers_min, workers_max, workers_priority;
    guint32 workers_current, workers_free, job_queue_depth;
    guint32 clients_max, clients_current, clients_unauth_max, clients_unauth_current;
    guint32 clients_high_percent;
    VadmLimitState clients_state, clients_unauth_state;
    guint64 clients_accepted;
    guint32 clients_full_events, auth_failures;
    guint32 client_requests_max;
    guint64 client_requests_delayed;
    guint64 jobs_done, jobs_failed, job_wait_time, job_run_time; /* times in microseconds */
    VadmUpstreamState upstream_state;
    gboolean workers_exhausted; /* the state of the alarm: lvaWorkersExhausted was the last one */
    guint32 unknown; /* VADM_SERVER_UNKNOWN() of those that a remote source could not read */
} VadmServerRow;

/* The bit of a VADM_FIELD_SERVER_... in VadmServerRow.unknown: not instantiated in this row. */
#define VADM_SERVER_UNKNOWN(field) (1u << ((field)-VADM_FIELD_SERVER_NAME))

typedef struct {
    guint32 server, index;
    VadmTransport transport;
    VadmInetAddress address;
    const char *listen;
    gboolean readonly;
    VadmAuthKind auth;
    gboolean accepting;
} VadmServiceRow;

typedef struct {
    guint32 server, index;
    guint64 id;
    VadmTransport transport;
    gint64 connected_since;
    gboolean readonly;
    VadmIdentity *identity; /* NULL: a remote source has not fetched it yet */
    gboolean authenticated;
    guint64 requests;
    guint32 requests_in_flight;
    guint32 idle_time, age;
    VadmDisconnectReason disconnect_reason; /* of an event that tells its end; 0 elsewhere */
} VadmClientRow;

/* What happens to a daemon, and is notified. */
typedef enum {
    VADM_EVENT_CLIENT_LIMIT, /* clients_state of the server row is another one than before */
    VADM_EVENT_UNAUTH_LIMIT, /* clients_unauth_state likewise */
    VADM_EVENT_WORKERS,      /* workers_exhausted likewise */
    VADM_EVENT_UPSTREAM,     /* upstream_state likewise, but for the first one that is up */
    VADM_EVENT_DAEMON,       /* the daemon's state likewise */
    VADM_EVENT_CONFIG,       /* a change of the configuration is settled */
    VADM_EVENT_AUTH_FAILURE, /* a client was turned away */
    VADM_EVENT_CLIENT_CONNECTED,
    VADM_EVENT_CLIENT_DISCONNECTED,
    VADM_EVENT_LAST
} VadmEventKind;

/* One event with copies of the rows that it is about, all from the moment when it happened. */
typedef struct {
    VadmEventKind kind;
    gint64 at; /* monotonic time, microseconds */
    VadmDaemonRow daemon;
    VadmConfigRow config; /* CONFIG: generation, last_change, last_origin; generation 0: none */
    VadmServerRow server; /* index 0: none */
    VadmClientRow client; /* index 0: none */
} VadmEvent;

/** vadm_event_copy: Returns: (transfer full): with strings of its own and a reference of the
 * client's identity. Any thread, like all here. */
VadmEvent *vadm_event_copy(const VadmEvent *event);
void vadm_event_free(VadmEvent *event);

/* Told of an event, in any thread, possibly under locks of the source: must not block, nor call the
 * source, and copies what it keeps. Events about one server come in the order in which they
 * happened. */
typedef void (*VadmEventFn)(const VadmEvent *event, gpointer user);

typedef enum { VADM_MATCH_EQ, VADM_MATCH_GT } VadmMatch;

typedef struct {
    enum { VADM_VALUE_UINT, VADM_VALUE_STRING } kind;
    guint64 number;
    const char *string; /* UTF-8, no NUL inside; borrowed by the callee for the call */
} VadmValue;

typedef struct {
    VadmField field;
    guint32 server, client; /* indexes of the MIB; 0 where the field has none */
    VadmValue value;
    guint tag; /* which varbind: comes back in the fault */
} VadmChange;

/* Why a phase failed; error NULL: it did not. */
typedef struct {
    guint tag; /* of the change at fault; where several take part, the last one of them */
    GError *error;
} VadmFault;

typedef struct _VadmSource VadmSource;
typedef struct _VadmView VadmView;
typedef struct _VadmTxn VadmTxn;

/* Called once: before the call returns, or later, then from the source's mailbox, or from any
 * thread when that has been closed: undo, finish and abort may be called in it, in each case. Who
 * called may have given up meanwhile, and prepare something else: that is refused with
 * VADM_ERROR_BUSY, or waits its turn. @txn is NULL when prepare failed: there is nothing to finish
 * or abort then. */
typedef void (*VadmDone)(VadmTxn *txn, const VadmFault *fault, gpointer user);

typedef struct {
    /* read: snmp thread */
    VadmAccess (*access)(VadmSource *source, VadmField field);
    VadmView *(*view_begin)(VadmSource *source);
    void (*view_end)(VadmView *view);
    const VadmDaemonRow *(*daemon)(VadmView *view);
    const VadmConfigRow *(*config)(VadmView *view);
    /* EQ: the row with that index, GT: the first row behind it, or NULL */
    const VadmServerRow *(*server)(VadmView *view, VadmMatch match, guint32 index);
    const VadmServiceRow *(*service)(VadmView *view, VadmMatch match, guint32 server,
                                     guint32 index);
    const VadmClientRow *(*client)(VadmView *view, VadmMatch match, guint32 server, guint32 index);
    /* write */
    void (*prepare)(VadmSource *source, const VadmChange *changes, guint n_changes,
                    VadmOrigin origin, gint64 deadline, VadmDone done, gpointer user);
    void (*commit)(VadmTxn *txn, VadmDone done, gpointer user);
    void (*undo)(VadmTxn *txn, VadmDone done, gpointer user);
    void (*finish)(VadmTxn *txn); /* consumes txn */
    void (*abort)(VadmTxn *txn);  /* consumes txn; a committed one must be undone first */
    /* events: @tell is called for each from now on, and not any more when unsubscribe, to which
     * the number that subscribe returns is given, has returned. Any thread, but not from @tell. */
    guint (*subscribe)(VadmSource *source, VadmEventFn tell, gpointer user);
    void (*unsubscribe)(VadmSource *source, guint id);
} VadmSourceClass;

/* The first member of each implementation's own struct; views and transactions likewise. */
struct _VadmSource {
    const VadmSourceClass *class;
    VadmMailbox *mailbox; /* (nullable): of the thread that calls: how a completion that takes
                           * time gets there; the call keeps a reference of its own until then.
                           * Set (with a reference) by the agent before the first call; cleared,
                           * and only then closed, when no other call follows but those in a
                           * VadmDone. NULL: complete at once */
};
struct _VadmView {
    VadmSource *source;
};
struct _VadmTxn {
    VadmSource *source;
};

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmIdentity, vadm_identity_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmEvent, vadm_event_free)

#endif
