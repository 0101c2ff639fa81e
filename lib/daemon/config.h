/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The configuration: one immutable, reference counted value. A change makes a copy, alters it,
 * validates the whole and puts it in force by one pointer swap (lib/daemon/txn.h). Nobody alters
 * a VadmConfig that others can see.
 */
#ifndef VADM_DAEMON_CONFIG_H
#define VADM_DAEMON_CONFIG_H

#include <sys/types.h>

#include "common/error.h"
#include "common/log.h"
#include "common/source.h"

/* Bounds of docs/configuration.md; a value beyond them is refused, whoever brings it. */
#define VADM_WORKERS_BOUND         1000u
#define VADM_CLIENTS_BOUND         1000000u
#define VADM_CONFIRM_TIMEOUT_BOUND 86400u /* seconds */

/* Whose configuration it is. */
typedef enum {
    VADM_CONFIG_DAEMON, /* virtadmd: servers, no sources */
    VADM_CONFIG_AGENT   /* virtadm-agent: sources, no servers */
} VadmConfigKind;

typedef enum { VADM_PROGRAM_ADMIN, VADM_PROGRAM_RELAY } VadmProgramKind;

/* What can be changed while the daemon runs. */
typedef struct {
    guint32 workers_min, workers_max, workers_priority;
    guint32 clients_max, clients_unauth_max, clients_high_percent;
    guint32 client_requests_max;
} VadmServerLimits;

typedef struct {
    VadmTransport transport;
    gboolean readonly;
    VadmAuthKind auth;
    char *path;              /* unix: absolute path; else NULL */
    VadmInetAddress address; /* tcp, tls: numeric, never a name; else of type 0 */
    char *text;              /* "unix:/run/virtadm/libvirt-sock": lvaServiceListen */
} VadmListenConfig;

typedef struct {
    char *name;
    guint32 index; /* lvaServerIndex */
    VadmProgramKind program;
    char *upstream, *upstream_ro; /* paths of unix sockets; NULL: none */
    GPtrArray *listens;           /* of VadmListenConfig; lvaServiceIndex is the place from 1 */
    mode_t socket_mode, socket_mode_ro;
    gid_t socket_gid;              /* (gid_t)-1: do not change */
    char **sasl_allowed_usernames; /* patterns; none: everybody who can authenticate */
    char *ca_file, *cert_file, *key_file, *crl_file; /* absolute paths; NULL: none */
    char **tls_allowed_dns; /* patterns; none: everybody whose certificate is good */
    guint32 auth_timeout;   /* seconds from the connect to being authenticated */
    guint32 max_queued_clients;
    gint32 keepalive_interval; /* seconds, -1: never ping */
    guint32 keepalive_count;
    VadmServerLimits limits;
} VadmServerConfig;

/* A daemon that virtadm-agent administers. */
typedef struct {
    char *name; /* lvaDaemonName and SNMP context */
    char *uri;
    char *path;               /* of its admin socket; NULL until it is known */
    guint32 refresh_interval; /* seconds */
    guint32 clients_high_percent;
} VadmSourceConfig;

typedef struct _VadmConfig VadmConfig;
struct _VadmConfig {
    gatomicrefcount refs;
    VadmConfigKind kind;

    char *name, *runtime_dir, *state_dir;
    guint32 shutdown_timeout; /* seconds */

    guint32 log_level;               /* 1..4 */
    char *log_filters, *log_outputs; /* as vadm_log_set_get_filters/outputs() give them; in a
                                      * configuration that has no log_set yet: as given */
    char *log_default_outputs;       /* what empty outputs mean, computed at start */
    char **log_directories;
    VadmLogSet *log_set;          /* NULL until a transaction or the start has prepared it */
    gboolean log_outputs_guarded; /* the outputs came over SNMP: their files may be opened below
                                   * log_directories only, also at the next start */

    gboolean snmp_enabled, snmp_writable;
    char *snmp_master, *snmp_context;
    guint32 snmp_retry_interval; /* seconds */
    guint16 notify_enable;       /* bit n: lvaNotifyEnable bit n */
    guint32 notify_min_interval; /* seconds */

    GPtrArray *servers; /* of VadmServerConfig, in the order of their index */
    GPtrArray *sources; /* of VadmSourceConfig, in the order of the file */

    VadmStorage storage; /* lvaConfigStorage; in no file but the state file */

    /* Where this one comes from. Immutable, shared by reference, and without these themselves.
     * NULL: this one itself. */
    VadmConfig *file; /* what the configuration file said when it was last read */
    VadmConfig *base; /* that, with environment and command line over it */

    /* A confirmation is pending (lvaConfigConfirmTimeout): what comes back without one. NULL:
     * none is. */
    VadmConfig *rollback_to;
    guint32 confirm_timeout; /* seconds, from the commit that armed it */
    gint64 confirm_deadline; /* monotonic time, microseconds; stamped by that commit */

    /* stamped when it is put in force */
    guint32 generation;
    gint64 changed_at; /* microseconds since the epoch */
    VadmOrigin origin;
};

/** vadm_config_new: the built-in defaults (relay libvirtd and admin server). Any thread. */
VadmConfig *vadm_config_new(void);
/** vadm_config_new_agent: the built-in defaults of virtadm-agent (one source, libvirtd, whose path
 * is not known). Any thread. */
VadmConfig *vadm_config_new_agent(void);
VadmConfig *vadm_config_ref(VadmConfig *config);
void vadm_config_unref(VadmConfig *config);
/** vadm_config_copy: Returns: (transfer full): a deep copy that may be altered until shared;
 * log_set is shared by reference. */
VadmConfig *vadm_config_copy(const VadmConfig *config);
/** vadm_config_copy_plain: Returns: (transfer full): a copy to be the file or base of others: it
 * has none itself, no log_set, nothing that is pending, and its filters and outputs are written
 * as those of a log_set would be, so that they can be compared. */
VadmConfig *vadm_config_copy_plain(const VadmConfig *config);
/** vadm_config_has_auth: is there a socket whose clients authenticate themselves like this? */
gboolean vadm_config_has_auth(const VadmConfig *config, VadmAuthKind auth);
/** vadm_config_find_server: by name; (nullable). */
VadmServerConfig *vadm_config_find_server(const VadmConfig *config, const char *name);
/** vadm_config_find_server_index: by lvaServerIndex; (nullable). */
VadmServerConfig *vadm_config_find_server_index(const VadmConfig *config, guint32 index);

/**
 * vadm_config_load:
 * @path: (nullable): the file; NULL: built-in defaults only
 * @error: VADM_ERROR_CONFIG "FILE: group [G], key K: value 'V': rule"
 *
 * Reads (GKeyFile) and validates: unknown groups and keys, types, bounds, contradictions.
 * Returns: (transfer full) (nullable)
 */
VadmConfig *vadm_config_load(const char *path, GError **error);

/** vadm_config_load_traced: vadm_config_load() that also puts "file" into @origins for each key
 * that the file has. */
VadmConfig *vadm_config_load_traced(const char *path, GHashTable *origins, GError **error);

/** VadmUriToSocket: see vadm_admin_uri_to_socket(). */
typedef char *(*VadmUriToSocket)(const char *uri, GError **error);

/**
 * vadm_config_load_agent: vadm_config_load_traced() for virtadm-agent.
 * @to_socket: (nullable): finds the path of each source, and tells what is wrong with its uri;
 *     NULL: paths stay unknown
 */
VadmConfig *vadm_config_load_agent(const char *path, VadmUriToSocket to_socket, GHashTable *origins,
                                   GError **error);

/** vadm_config_origins_new: Returns: (transfer full): "[GROUP] KEY" -> text for people that says
 * where the value comes from, both owned by the table. A key that is not in it has its default. */
GHashTable *vadm_config_origins_new(void);
/** vadm_config_set_origin: @origins: (nullable): nothing is done then */
void vadm_config_set_origin(GHashTable *origins, const char *group, const char *key,
                            const char *origin);

/** vadm_config_to_text: Returns: (transfer full): the configuration in the file's form, every
 * key with its effective value. */
char *vadm_config_to_text(const VadmConfig *config);
/**
 * vadm_config_to_traced_text:
 * @comment: what the first lines say; lines are separated by newlines
 *
 * The same (--print-config) with a line above each key that says where its value comes from.
 * Loads as a configuration file, too. Returns: (transfer full)
 */
char *vadm_config_to_traced_text(const VadmConfig *config, GHashTable *origins,
                                 const char *comment);

/**
 * vadm_config_validate:
 * @field: (out) (optional): the field at fault that was checked last, VADM_FIELD_NONE if none
 * @server: (out) (optional): lvaServerIndex of the server at fault
 *
 * Checks what can be changed at runtime: bounds (VADM_ERROR_INVALID_VALUE) and contradictions
 * (VADM_ERROR_INCONSISTENT), with libvirt's texts where it has one: "minWorkers cannot be
 * larger than maxWorkers".
 */
gboolean vadm_config_validate(const VadmConfig *config, VadmField *field, guint32 *server,
                              GError **error);

/**
 * vadm_config_apply:
 * @config: a copy that nobody else sees
 * @fault: (out): filled when it fails
 *
 * Applies one change of a runtime field after checking its own bounds.
 * Returns: FALSE: @fault tells why (unknown server, out of bounds, not a field of the
 * configuration)
 */
gboolean vadm_config_apply(VadmConfig *config, const VadmChange *change, VadmFault *fault);

/**
 * vadm_config_merge_reload:
 * @running: what is in force
 * @old_file: what the file said when it was last read
 * @new_file: what it says now
 * @static_changes: (out): names of changed keys that need a restart, joined by ", "; NULL: none
 *
 * Returns: (transfer full): @running with those runtime keys replaced whose value in the file
 * has changed. A key that the file did not change keeps what an operator set at runtime, so
 * that the SIGHUP of a log rotation undoes nobody's work.
 */
VadmConfig *vadm_config_merge_reload(const VadmConfig *running, const VadmConfig *old_file,
                                     const VadmConfig *new_file, char **static_changes);

/** vadm_config_confirm_left: seconds until the rollback, rounded up, 1 when it is overdue; 0 when
 * nothing waits to be confirmed. Any thread. */
guint32 vadm_config_confirm_left(const VadmConfig *config);

/** vadm_config_touches_disk: whether a change of @config may have to be stored. Any thread. */
gboolean vadm_config_touches_disk(const VadmConfig *config);

/** vadm_config_diff: Returns: (transfer full): "[server libvirtd] max_workers 20 -> 30; ..." for
 * the log; "" when the runtime parts are equal. */
char *vadm_config_diff(const VadmConfig *from, const VadmConfig *to);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmConfig, vadm_config_unref)

#endif
