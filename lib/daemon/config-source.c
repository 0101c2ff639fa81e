/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemons that virtadm-agent administers: groups [source NAME]. */
#include <string.h>

#include "daemon/config-private.h"

/* Of lvaContextName, and of lvaDaemonName. */
#define VADM_SOURCE_NAME_MAX 32u

VadmSourceConfig *
vadm_source_config_new(const char *name)
{
    VadmSourceConfig *source = g_new0(VadmSourceConfig, 1);

    source->name = g_strdup(name);
    source->uri = g_strconcat(name, ":///system", NULL);
    source->refresh_interval = 2;
    source->clients_high_percent = 90;
    return source;
}

VadmSourceConfig *
vadm_source_config_copy(const VadmSourceConfig *source)
{
    VadmSourceConfig *copy = g_new(VadmSourceConfig, 1);

    *copy = *source;
    copy->name = g_strdup(source->name);
    copy->uri = g_strdup(source->uri);
    copy->path = g_strdup(source->path);
    return copy;
}

void
vadm_source_config_free(VadmSourceConfig *source)
{
    if (!source)
        return;
    g_free(source->name);
    g_free(source->uri);
    g_free(source->path);
    g_free(source);
}

static gboolean
vadm_source_is_name(const char *name)
{
    gsize length = strlen(name);

    return length > 0 && length <= VADM_SOURCE_NAME_MAX && !g_ascii_isspace(*name) &&
           !g_ascii_isspace(name[length - 1]);
}

/* virt-admin takes no notice of a host in a URI, and connects to the daemon of this one: who wrote
 * it here expects another. */
static gboolean
vadm_source_names_host(const char *uri)
{
    const char *authority = strstr(uri, "://");

    return authority && !strchr("/?#", authority[strlen("://")]);
}

/* Returns: (transfer full) (nullable): what is wrong with the URI or its socket */
static char *
vadm_source_find_fault(VadmSourceConfig *source, VadmUriToSocket to_socket)
{
    g_autoptr(GError) rule = NULL;

    source->path = to_socket(source->uri, &rule);
    if (!source->path)
        return g_strdup(rule->message);
    if (vadm_source_names_host(source->uri))
        return g_strdup("names a host, and only daemons of this one can be administered");
    /* A service has another working directory than the shell where it was tried. */
    if (*source->path != '/')
        return g_strdup_printf("the socket '%s' must be an absolute path", source->path);
    if (strlen(source->path) > VADM_SOCKET_PATH_MAX)
        return g_strdup_printf("the path of a socket has at most %u octets, not %zu",
                               VADM_SOCKET_PATH_MAX, strlen(source->path));
    return NULL;
}

static gboolean
vadm_source_find_path(const VadmConfigLoad *load, VadmSourceConfig *source, const char *group,
                      GError **error)
{
    g_autofree char *fault =
        load->to_socket ? vadm_source_find_fault(source, load->to_socket) : NULL;

    return !fault || vadm_config_fail(load, group, "uri", source->uri, fault, error);
}

static gboolean
vadm_config_add_source(const VadmConfigLoad *load, const char *group, GError **error)
{
    const char *name = group + strlen(VADM_SOURCE_GROUP_PREFIX);
    g_autoptr(VadmSourceConfig) source = NULL;

    if (!vadm_source_is_name(name))
        return vadm_config_fail(load, group, NULL, NULL,
                                "the name of a source is an SNMP context: it has 1 to 32 octets, "
                                "and no blank at its ends",
                                error);
    if (load->config->sources->len == VADM_SOURCES_MAX)
        return vadm_config_fail(load, group, NULL, NULL,
                                "there can be " G_STRINGIFY(VADM_SOURCES_MAX) " sources at most",
                                error);
    source = vadm_source_config_new(name);
    for (const VadmConfigKey *key = vadm_config_keys(); key->name; key++) {
        if (key->group == VADM_GROUP_SOURCE &&
            !vadm_config_load_key(load, source, key, group, error))
            return FALSE;
    }
    if (!vadm_source_find_path(load, source, group, error))
        return FALSE;
    g_ptr_array_add(load->config->sources, g_steal_pointer(&source));
    return TRUE;
}

/* One daemon that is administered twice would tell each of its events twice, and the two would take
 * each other's changes for those of strangers. */
static gboolean
vadm_config_check_sockets(const VadmConfigLoad *load, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    const GPtrArray *sources = load->config->sources;

    for (guint i = 0; i < sources->len; i++) {
        const VadmSourceConfig *source = sources->pdata[i];
        const char *other = source->path ? g_hash_table_lookup(seen, source->path) : NULL;

        if (other) {
            g_autofree char *group = g_strconcat(VADM_SOURCE_GROUP_PREFIX, source->name, NULL);
            g_autofree char *rule = g_strdup_printf("is the socket %s, which [source %s] has, too",
                                                    source->path, other);
            return vadm_config_fail(load, group, "uri", source->uri, rule, error);
        }
        if (source->path)
            g_hash_table_insert(seen, source->path, source->name);
    }
    return TRUE;
}

/* The first source is served in [snmp] context, each other one in that of its name. */
static gboolean
vadm_config_check_context(const VadmConfigLoad *load, GError **error)
{
    const GPtrArray *sources = load->config->sources;
    const char *context = load->config->snmp_context;

    for (guint i = 1; i < sources->len; i++) {
        const VadmSourceConfig *first = sources->pdata[0];
        const VadmSourceConfig *source = sources->pdata[i];
        g_autofree char *rule = NULL;

        if (!g_str_equal(source->name, context))
            continue;
        rule =
            g_strdup_printf("is the context of [source %s], and the first source, '%s', would be "
                            "served there, too",
                            source->name, first->name);
        return vadm_config_fail(load, "snmp", "context", context, rule, error);
    }
    return TRUE;
}

gboolean
vadm_config_load_sources(const VadmConfigLoad *load, GError **error)
{
    g_auto(GStrv) groups = g_key_file_get_groups(load->file, NULL);
    GPtrArray *sources = load->config->sources;

    g_ptr_array_set_size(sources, 0);
    for (char **group = groups; *group; group++) {
        if (g_str_has_prefix(*group, VADM_SOURCE_GROUP_PREFIX) &&
            !vadm_config_add_source(load, *group, error))
            return FALSE;
    }
    if (sources->len == 0 &&
        !vadm_config_add_source(load, VADM_SOURCE_GROUP_PREFIX VADM_DEFAULT_SOURCE_NAME, error))
        return FALSE;
    return vadm_config_check_sockets(load, error) && vadm_config_check_context(load, error);
}
