/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The keys of the configuration file: one table. config-values.c reads and writes each kind of
 * value. A key is added here, in the struct and its default (config.c), and in
 * docs/configuration.md.
 */
#include <string.h>

#include "daemon/config-private.h"

#define DAEMON(key, kind, member, min, max)                                                        \
    {                                                                                              \
        VADM_GROUP_DAEMON, key, kind, offsetof(VadmConfig, member), min, max, VADM_FIELD_NONE,     \
            FALSE                                                                                  \
    }
#define LOG(key, kind, member, min, max, field, runtime)                                           \
    {                                                                                              \
        VADM_GROUP_LOG, key, kind, offsetof(VadmConfig, member), min, max, field, runtime          \
    }
#define SNMP(key, kind, member, min, max)                                                          \
    {                                                                                              \
        VADM_GROUP_SNMP, key, kind, offsetof(VadmConfig, member), min, max, VADM_FIELD_NONE, FALSE \
    }
#define NOTIFY(key, kind, member, max, field)                                                      \
    {                                                                                              \
        VADM_GROUP_NOTIFY, key, kind, offsetof(VadmConfig, member), 0, max,                        \
            VADM_FIELD_NOTIFY_##field, TRUE                                                        \
    }
#define SERVER(key, kind, member, min, max)                                                        \
    {                                                                                              \
        VADM_GROUP_SERVER, key, kind, offsetof(VadmServerConfig, member), min, max,                \
            VADM_FIELD_NONE, FALSE                                                                 \
    }
#define LIMIT(key, member, min, max, field)                                                        \
    {                                                                                              \
        VADM_GROUP_SERVER, key, VADM_KEY_UINT, offsetof(VadmServerConfig, limits.member), min,     \
            max, VADM_FIELD_SERVER_##field, TRUE                                                   \
    }
#define SOURCE(key, kind, member, min, max)                                                        \
    {                                                                                              \
        VADM_GROUP_SOURCE, key, kind, offsetof(VadmSourceConfig, member), min, max,                \
            VADM_FIELD_NONE, FALSE                                                                 \
    }

/* runtime_dir stands before all that is relative to it. */
static const VadmConfigKey keys[] = {
    DAEMON("name", VADM_KEY_NAME, name, 1, 32),
    DAEMON("runtime_dir", VADM_KEY_DIRECTORY, runtime_dir, 0, 0),
    DAEMON("state_dir", VADM_KEY_DIRECTORY, state_dir, 0, 0),
    DAEMON("shutdown_timeout", VADM_KEY_UINT, shutdown_timeout, 0, 3600),

    LOG("level", VADM_KEY_UINT, log_level, VADM_LOG_DEBUG, VADM_LOG_ERROR, VADM_FIELD_LOG_LEVEL,
        TRUE),
    LOG("filters", VADM_KEY_TEXT, log_filters, 0, 0, VADM_FIELD_LOG_FILTERS, TRUE),
    LOG("outputs", VADM_KEY_TEXT, log_outputs, 0, 0, VADM_FIELD_LOG_OUTPUTS, TRUE),
    LOG("directories", VADM_KEY_DIRECTORIES, log_directories, 0, 0, VADM_FIELD_NONE, FALSE),

    SNMP("enabled", VADM_KEY_BOOL, snmp_enabled, 0, 0),
    SNMP("master", VADM_KEY_MASTER, snmp_master, 0, 0),
    SNMP("context", VADM_KEY_CONTEXT, snmp_context, 0, 32),
    SNMP("writable", VADM_KEY_BOOL, snmp_writable, 0, 0),
    SNMP("retry_interval", VADM_KEY_UINT, snmp_retry_interval, 1, 3600),

    NOTIFY("enable", VADM_KEY_BITS, notify_enable, 0x3ff, ENABLE),
    NOTIFY("min_interval", VADM_KEY_UINT, notify_min_interval, 3600, MIN_INTERVAL),

    SERVER("index", VADM_KEY_UINT, index, 1, 65535),
    SERVER("program", VADM_KEY_PROGRAM, program, 0, 0),
    SERVER("upstream", VADM_KEY_UPSTREAM, upstream, 0, 0),
    SERVER("upstream_ro", VADM_KEY_UPSTREAM, upstream_ro, 0, 0),
    SERVER("listen", VADM_KEY_LISTEN, listens, 0, 0),
    SERVER("socket_mode", VADM_KEY_MODE, socket_mode, 0, 0777),
    SERVER("socket_mode_ro", VADM_KEY_MODE, socket_mode_ro, 0, 0777),
    SERVER("socket_group", VADM_KEY_GID, socket_gid, 0, 0),
    LIMIT("max_clients", clients_max, 0, VADM_CLIENTS_BOUND, CLIENTS_MAX),
    SERVER("max_queued_clients", VADM_KEY_UINT, max_queued_clients, 1, 65535),
    LIMIT("max_anonymous_clients", clients_unauth_max, 0, VADM_CLIENTS_BOUND, CLIENTS_UNAUTH_MAX),
    LIMIT("max_client_requests", client_requests_max, 1, G_MAXUINT32, CLIENT_REQUESTS_MAX),
    LIMIT("clients_high_percent", clients_high_percent, 0, 100, CLIENTS_HIGH_PERCENT),
    LIMIT("min_workers", workers_min, 0, VADM_WORKERS_BOUND, WORKERS_MIN),
    LIMIT("max_workers", workers_max, 1, VADM_WORKERS_BOUND, WORKERS_MAX),
    LIMIT("prio_workers", workers_priority, 0, VADM_WORKERS_BOUND, WORKERS_PRIORITY),
    SERVER("keepalive_interval", VADM_KEY_INTERVAL, keepalive_interval, 1, 86400),
    SERVER("keepalive_count", VADM_KEY_UINT, keepalive_count, 0, 1000),
    SERVER("sasl_allowed_username_list", VADM_KEY_PATTERNS, sasl_allowed_usernames, 0, 0),
    SERVER("auth_timeout", VADM_KEY_UINT, auth_timeout, 1, 3600),
    SERVER("ca_file", VADM_KEY_FILE, ca_file, 0, 0),
    SERVER("cert_file", VADM_KEY_FILE, cert_file, 0, 0),
    SERVER("key_file", VADM_KEY_FILE, key_file, 0, 0),
    SERVER("crl_file", VADM_KEY_FILE, crl_file, 0, 0),
    SERVER("tls_allowed_dn_list", VADM_KEY_PATTERNS, tls_allowed_dns, 0, 0),

    SOURCE("uri", VADM_KEY_TEXT, uri, 0, 0),
    SOURCE("refresh_interval", VADM_KEY_UINT, refresh_interval, 1, 3600),
    SOURCE("clients_high_percent", VADM_KEY_UINT, clients_high_percent, 0, 100),
    {.name = NULL},
};

const char *
vadm_config_group_name(VadmConfigGroup group)
{
    static const char *const names[VADM_GROUP_LAST] = {"daemon", "log", "snmp",
                                                       "notify", NULL,  NULL};

    return names[group];
}

gboolean
vadm_config_has_group(VadmConfigKind kind, VadmConfigGroup group)
{
    switch (group) {
    case VADM_GROUP_DAEMON:
    case VADM_GROUP_SERVER:
        return kind == VADM_CONFIG_DAEMON;
    case VADM_GROUP_SOURCE:
        return kind == VADM_CONFIG_AGENT;
    default:
        return TRUE;
    }
}

VadmConfigGroup
vadm_config_which_group(VadmConfigKind kind, const char *name)
{
    for (VadmConfigGroup group = 0; group < VADM_GROUP_LAST; group++) {
        const char *prefix =
            group == VADM_GROUP_SERVER ? VADM_SERVER_GROUP_PREFIX : VADM_SOURCE_GROUP_PREFIX;
        const char *unique = vadm_config_group_name(group);

        if (vadm_config_has_group(kind, group) &&
            (unique ? g_str_equal(unique, name) : g_str_has_prefix(name, prefix)))
            return group;
    }
    return VADM_GROUP_LAST;
}

/* "a", "a and b", "a, b and c" */
static char *
vadm_config_join(GPtrArray *words)
{
    g_autofree char *last = g_strdup(words->pdata[words->len - 1]);
    g_autofree char *others = NULL;

    if (words->len == 1)
        return g_steal_pointer(&last);
    g_ptr_array_set_size(words, (gint)words->len - 1);
    g_ptr_array_add(words, NULL);
    others = g_strjoinv(", ", (char **)words->pdata);
    return g_strconcat(others, " and ", last, NULL);
}

char *
vadm_config_list_groups(VadmConfigKind kind)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

    for (VadmConfigGroup group = 0; group < VADM_GROUP_LAST; group++) {
        const char *name = vadm_config_group_name(group);

        if (!name)
            name = group == VADM_GROUP_SERVER ? "server NAME" : "source NAME";
        if (vadm_config_has_group(kind, group))
            g_ptr_array_add(names, g_strdup_printf("[%s]", name));
    }
    return vadm_config_join(names);
}

char *
vadm_config_list_keys(VadmConfigGroup group)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

    for (const VadmConfigKey *key = keys; key->name; key++) {
        if (key->group == group)
            g_ptr_array_add(names, g_strdup(key->name));
    }
    return vadm_config_join(names);
}

const VadmConfigKey *
vadm_config_keys(void)
{
    return keys;
}

const VadmConfigKey *
vadm_config_find_key(VadmConfigGroup group, const char *name)
{
    for (const VadmConfigKey *key = keys; key->name; key++) {
        if (key->group == group && g_str_equal(key->name, name))
            return key;
    }
    return NULL;
}

const VadmConfigKey *
vadm_config_find_field(VadmField field)
{
    for (const VadmConfigKey *key = keys; key->name; key++) {
        if (field != VADM_FIELD_NONE && key->field == field)
            return key;
    }
    return NULL;
}
