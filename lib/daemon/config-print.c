/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/config-private.h"

static void
vadm_config_write_server(const VadmServerConfig *server, gboolean names, GKeyFile *file)
{
    g_autofree char *group = g_strconcat(VADM_SERVER_GROUP_PREFIX, server->name, NULL);

    for (const VadmConfigKey *key = vadm_config_keys(); key->name; key++) {
        if (key->group == VADM_GROUP_SERVER)
            vadm_config_write_key(server, key, names, file, group);
    }
}

GKeyFile *
vadm_config_to_key_file(const VadmConfig *config, gboolean names)
{
    GKeyFile *file = g_key_file_new();

    for (const VadmConfigKey *key = vadm_config_keys(); key->name; key++) {
        if (key->group != VADM_GROUP_SERVER)
            vadm_config_write_key(config, key, names, file, vadm_config_group_name(key->group));
    }
    for (guint i = 0; i < config->servers->len; i++)
        vadm_config_write_server(config->servers->pdata[i], names, file);
    return file;
}

char *
vadm_config_to_text(const VadmConfig *config)
{
    g_autoptr(GKeyFile) file = vadm_config_to_key_file(config, TRUE);

    return g_key_file_to_data(file, NULL, NULL);
}
