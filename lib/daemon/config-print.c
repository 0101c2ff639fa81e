/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/config-private.h"

/* A group of which there may be several. @prefix: of its name */
static void
vadm_config_write_group(gconstpointer base, VadmConfigGroup group, const char *prefix,
                        const char *name, gboolean names, GKeyFile *file)
{
    g_autofree char *full = g_strconcat(prefix, name, NULL);

    for (const VadmConfigKey *key = vadm_config_keys(); key->name; key++) {
        if (key->group == group)
            vadm_config_write_key(base, key, names, file, full);
    }
}

GKeyFile *
vadm_config_to_key_file(const VadmConfig *config, gboolean names)
{
    GKeyFile *file = g_key_file_new();

    for (const VadmConfigKey *key = vadm_config_keys(); key->name; key++) {
        const char *group = vadm_config_group_name(key->group);

        if (group && vadm_config_has_group(config->kind, key->group))
            vadm_config_write_key(config, key, names, file, group);
    }
    for (guint i = 0; i < config->servers->len; i++) {
        const VadmServerConfig *server = config->servers->pdata[i];
        vadm_config_write_group(server, VADM_GROUP_SERVER, VADM_SERVER_GROUP_PREFIX, server->name,
                                names, file);
    }
    for (guint i = 0; i < config->sources->len; i++) {
        const VadmSourceConfig *source = config->sources->pdata[i];
        vadm_config_write_group(source, VADM_GROUP_SOURCE, VADM_SOURCE_GROUP_PREFIX, source->name,
                                names, file);
    }
    return file;
}

char *
vadm_config_to_text(const VadmConfig *config)
{
    g_autoptr(GKeyFile) file = vadm_config_to_key_file(config, TRUE);

    return g_key_file_to_data(file, NULL, NULL);
}

GHashTable *
vadm_config_origins_new(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

void
vadm_config_set_origin(GHashTable *origins, const char *group, const char *key, const char *origin)
{
    if (origins)
        g_hash_table_insert(origins, g_strdup_printf("[%s] %s", group, key), g_strdup(origin));
}

/* GLib puts the '#' before each line, and nothing behind it. */
static void
vadm_config_trace_key(GKeyFile *file, const char *group, const char *key, GHashTable *origins)
{
    g_autofree char *name = g_strdup_printf("[%s] %s", group, key);
    const char *origin = g_hash_table_lookup(origins, name);
    g_autofree char *comment = g_strconcat(" ", origin ? origin : "default", NULL);

    g_key_file_set_comment(file, group, key, comment, NULL);
}

static void
vadm_config_trace_head(GKeyFile *file, const char *comment)
{
    g_auto(GStrv) lines = g_strsplit(comment, "\n", -1);
    g_autofree char *text = g_strjoinv("\n ", lines);
    g_autofree char *head = g_strconcat(" ", text, NULL);

    g_key_file_set_comment(file, NULL, NULL, head, NULL);
}

char *
vadm_config_to_traced_text(const VadmConfig *config, GHashTable *origins, const char *comment)
{
    g_autoptr(GKeyFile) file = vadm_config_to_key_file(config, TRUE);
    g_auto(GStrv) groups = g_key_file_get_groups(file, NULL);

    for (char **group = groups; *group; group++) {
        g_auto(GStrv) names = g_key_file_get_keys(file, *group, NULL, NULL);

        for (char **name = names; *name; name++)
            vadm_config_trace_key(file, *group, *name, origins);
    }
    vadm_config_trace_head(file, comment);
    return g_key_file_to_data(file, NULL, NULL);
}
