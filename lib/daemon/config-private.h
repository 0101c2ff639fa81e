/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the files of the configuration: the table of its keys. */
#ifndef VADM_DAEMON_CONFIG_PRIVATE_H
#define VADM_DAEMON_CONFIG_PRIVATE_H

#include "daemon/config.h"

#define VADM_SERVER_GROUP_PREFIX "server "
#define VADM_SOURCE_GROUP_PREFIX "source "
#define VADM_ADMIN_SERVER_NAME   "admin"
#define VADM_RELAY_SERVER_NAME   "libvirtd"
#define VADM_DEFAULT_SOURCE_NAME "libvirtd"

/* Octets. Nobody's configuration is larger; what is, is not one. */
#define VADM_CONFIG_FILE_MAX (1024u * 1024)

/* How many sources there can be: VADM_SNMP_DAEMONS_MAX of the agent. */
#define VADM_SOURCES_MAX 64

/* sun_path without its NUL. */
#define VADM_SOCKET_PATH_MAX 107u

typedef enum {
    VADM_GROUP_DAEMON,
    VADM_GROUP_LOG,
    VADM_GROUP_SNMP,
    VADM_GROUP_NOTIFY,
    VADM_GROUP_SERVER,
    VADM_GROUP_SOURCE,
    VADM_GROUP_LAST
} VadmConfigGroup;

typedef enum {
    VADM_KEY_NAME,        /* char *: 1..max octets */
    VADM_KEY_CONTEXT,     /* char *: 0..max octets */
    VADM_KEY_TEXT,        /* char *: anything */
    VADM_KEY_DIRECTORY,   /* char *: absolute */
    VADM_KEY_FILE,        /* char *: absolute, or NULL */
    VADM_KEY_DIRECTORIES, /* char **: absolute */
    VADM_KEY_PATTERNS,    /* char **: with * and ? */
    VADM_KEY_UINT,        /* guint32: min..max */
    VADM_KEY_INTERVAL,    /* gint32: -1, or min..max */
    VADM_KEY_BOOL,        /* gboolean */
    VADM_KEY_MODE,        /* mode_t, octal */
    VADM_KEY_GID,         /* gid_t, by name */
    VADM_KEY_MASTER,      /* char *: AgentX master */
    VADM_KEY_BITS,        /* guint16: names of lvaNotifyEnable */
    VADM_KEY_PROGRAM,     /* VadmProgramKind */
    VADM_KEY_UPSTREAM,    /* char *: path of a unix socket, or NULL */
    VADM_KEY_LISTEN,      /* GPtrArray *: of VadmListenConfig */
    VADM_KEY_LAST
} VadmKeyKind;

typedef struct {
    VadmConfigGroup group;
    const char *name;
    VadmKeyKind kind;
    gsize offset; /* in VadmConfig; in VadmServerConfig for VADM_GROUP_SERVER, in VadmSourceConfig
                   * for VADM_GROUP_SOURCE */
    guint32 min, max;
    VadmField field;  /* what changes it through a transaction, VADM_FIELD_NONE: nothing */
    gboolean runtime; /* a reload puts it in force; else it needs a restart */
} VadmConfigKey;

/* config-keys.c */

/* Name of a group that is there once; NULL for VADM_GROUP_SERVER and VADM_GROUP_SOURCE. */
const char *vadm_config_group_name(VadmConfigGroup group);
/* Whether a configuration of @kind can have @group. */
gboolean vadm_config_has_group(VadmConfigKind kind, VadmConfigGroup group);
/* Returns: VADM_GROUP_LAST for a group that a configuration of @kind does not have. */
VadmConfigGroup vadm_config_which_group(VadmConfigKind kind, const char *name);
/* The groups of @kind, and the keys of @group, for people: "a, b and c". (transfer full) */
char *vadm_config_list_groups(VadmConfigKind kind);
char *vadm_config_list_keys(VadmConfigGroup group);
/* vadm_config_keys: the whole table, in the order of the file; ends with a NULL name. */
const VadmConfigKey *vadm_config_keys(void);
/* (nullable) */
const VadmConfigKey *vadm_config_find_key(VadmConfigGroup group, const char *name);
const VadmConfigKey *vadm_config_find_field(VadmField field);

/* config-values.c */

/* vadm_config_read_key: sets what @key stands for in @base from @file. @error's message is the
 * rule that was broken only. @config: for runtime_dir, which must have been read before. */
gboolean vadm_config_read_key(const VadmConfig *config, gpointer base, const VadmConfigKey *key,
                              GKeyFile *file, const char *group, GError **error);
/* @names: groups by name, for people; else by number: looking up a name may hang in NSS. */
void vadm_config_write_key(gconstpointer base, const VadmConfigKey *key, gboolean names,
                           GKeyFile *file, const char *group);

/* config-file.c: a file that is being read. */
typedef struct {
    const char *path;
    GKeyFile *file;
    VadmConfig *config;
    GHashTable *origins;       /* (nullable) */
    VadmUriToSocket to_socket; /* (nullable) */
} VadmConfigLoad;

/* "FILE: group [G], key K: value 'V': rule"; @key and @value may be NULL. Returns: FALSE */
gboolean vadm_config_fail(const VadmConfigLoad *load, const char *group, const char *key,
                          const char *value, const char *rule, GError **error);
/* Reads @key of @group into @base, if the file has it. */
gboolean vadm_config_load_key(const VadmConfigLoad *load, gpointer base, const VadmConfigKey *key,
                              const char *group, GError **error);

/* config-source.c */
VadmSourceConfig *vadm_source_config_new(const char *name);
VadmSourceConfig *vadm_source_config_copy(const VadmSourceConfig *source);
void vadm_source_config_free(VadmSourceConfig *source);
/* Puts the sources of @load's file, or the default one, into its configuration. */
gboolean vadm_config_load_sources(const VadmConfigLoad *load, GError **error);

/* config-listen.c; for both @error's message is the rule that was broken only. */

/* vadm_config_socket_path: Returns: (transfer full) (nullable): @path, if it is relative below the
 * runtime directory of @config. */
char *vadm_config_socket_path(const VadmConfig *config, const char *path, GError **error);
/* vadm_config_read_listen: @text: "KIND:PATH" or "KIND:ADDRESS:PORT". Returns: (transfer full)
 * (nullable) */
VadmListenConfig *vadm_config_read_listen(const VadmConfig *config, const char *text,
                                          GError **error);
VadmListenConfig *vadm_listen_config_new(const char *path, gboolean readonly, VadmAuthKind auth);
VadmListenConfig *vadm_listen_config_copy(const VadmListenConfig *listen);
void vadm_listen_config_free(VadmListenConfig *listen);
/* vadm_listen_config_clashes: can the two not be at the same time? The kernel would refuse the
 * second. */
gboolean vadm_listen_config_clashes(const VadmListenConfig *one, const VadmListenConfig *other);

/* vadm_config_to_key_file: every key of @config. (transfer full) */
GKeyFile *vadm_config_to_key_file(const VadmConfig *config, gboolean names);

VadmServerConfig *vadm_server_config_new(const char *name, VadmProgramKind program,
                                         const char *runtime_dir);
void vadm_server_config_free(VadmServerConfig *server);
/* Puts the servers in the order of their index. */
void vadm_config_sort_servers(VadmConfig *config);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmListenConfig, vadm_listen_config_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmServerConfig, vadm_server_config_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VadmSourceConfig, vadm_source_config_free)

#endif
