/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config-private.h"

gboolean
vadm_config_fail(const VadmConfigLoad *load, const char *group, const char *key, const char *value,
                 const char *rule, GError **error)
{
    g_autoptr(GString) text = g_string_new(load->path);

    g_string_append_printf(text, ": group [%s]", group);
    if (key)
        g_string_append_printf(text, ", key %s", key);
    if (value)
        g_string_append_printf(text, ": value '%s'", value);
    g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG, "%s: %s", text->str, rule);
    return FALSE;
}

static gboolean
vadm_config_fail_server(const VadmConfigLoad *load, const VadmServerConfig *server, const char *key,
                        const char *value, const char *rule, GError **error)
{
    g_autofree char *group = g_strconcat(VADM_SERVER_GROUP_PREFIX, server->name, NULL);

    return vadm_config_fail(load, group, key, value, rule, error);
}

static gboolean
vadm_config_fail_errno(const char *path, const char *what, int errnum, GError **error)
{
    g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG, "%s: %s: %s", path, what, g_strerror(errnum));
    return FALSE;
}

/* Reading a FIFO could block the main loop for ever at a reload, so files and /dev/null only. */
static gboolean
vadm_config_read_fd(const char *path, int fd, GString *text, GError **error)
{
    struct stat st;
    char buffer[4096];
    ssize_t got;

    if (fstat(fd, &st) < 0)
        return vadm_config_fail_errno(path, "cannot be read", errno, error);
    if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode)) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG, "%s: is not a regular file", path);
        return FALSE;
    }
    while ((got = read(fd, buffer, sizeof(buffer))) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return vadm_config_fail_errno(path, "cannot be read", errno, error);
        g_string_append_len(text, buffer, got);
        if (text->len <= VADM_CONFIG_FILE_MAX)
            continue;
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG, "%s: is larger than %u octets", path,
                    VADM_CONFIG_FILE_MAX);
        return FALSE;
    }
    return TRUE;
}

static GString *
vadm_config_read_file(const char *path, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    gboolean good;

    if (fd < 0) {
        vadm_config_fail_errno(path, "cannot be opened", errno, error);
        return NULL;
    }
    good = vadm_config_read_fd(path, fd, text, error);
    close(fd);
    if (!good)
        return NULL;
    if (memchr(text->str, '\0', text->len) || !g_utf8_validate(text->str, -1, NULL)) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG, "%s: is not UTF-8 text", path);
        return NULL;
    }
    return g_steal_pointer(&text);
}

/* GKeyFile would merge a group or a key that is there twice without a word, and the later value
 * would win. */
static gboolean
vadm_config_check_duplicates(const char *path, const char *text, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autofree char *group = g_strdup("");

    for (guint i = 0; lines[i]; i++) {
        char *line = g_strstrip(lines[i]);
        char *end = strchr(line, *line == '[' ? ']' : '=');
        g_autofree char *name = NULL;

        if (*line == '#' || !end)
            continue;
        *end = '\0';
        if (*line == '[') {
            g_free(group);
            group = g_strdup(line + 1);
            name = g_strdup_printf("group [%s]", group);
        } else {
            name = g_strdup_printf("group [%s], key %s", group, g_strchomp(line));
        }
        if (g_hash_table_contains(seen, name)) {
            g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG,
                        "%s: %s: is there twice, again in line %u", path, name, i + 1);
            return FALSE;
        }
        g_hash_table_add(seen, g_steal_pointer(&name));
    }
    return TRUE;
}

static GKeyFile *
vadm_config_parse_file(const char *path, GError **error)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(GString) text = vadm_config_read_file(path, error);
    g_autoptr(GError) syntax = NULL;

    if (!text)
        return NULL;
    /* Keys like "level[de]" would be left out in silence without KEEP_TRANSLATIONS. */
    if (text->len > 0 && !g_key_file_load_from_data(file, text->str, text->len,
                                                    G_KEY_FILE_KEEP_TRANSLATIONS, &syntax)) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG, "%s: %s", path, syntax->message);
        return NULL;
    }
    if (!vadm_config_check_duplicates(path, text->str, error))
        return NULL;
    return g_steal_pointer(&file);
}

static gboolean
vadm_config_fail_unknown_group(const VadmConfigLoad *load, const char *name, GError **error)
{
    g_autofree char *groups = vadm_config_list_groups(load->config->kind);
    g_autofree char *rule = g_strdup_printf("is unknown; there are %s", groups);

    return vadm_config_fail(load, name, NULL, NULL, rule, error);
}

static gboolean
vadm_config_fail_unknown_key(const VadmConfigLoad *load, const char *name, VadmConfigGroup group,
                             const char *key, const char *value, GError **error)
{
    g_autofree char *keys = vadm_config_list_keys(group);
    g_autofree char *rule =
        g_strdup_printf("there is no such key in this group; there are %s", keys);

    return vadm_config_fail(load, name, key, value, rule, error);
}

static gboolean
vadm_config_check_keys(const VadmConfigLoad *load, const char *name, GError **error)
{
    VadmConfigGroup group = vadm_config_which_group(load->config->kind, name);
    g_auto(GStrv) keys = g_key_file_get_keys(load->file, name, NULL, NULL);

    if (group == VADM_GROUP_LAST)
        return vadm_config_fail_unknown_group(load, name, error);
    for (char **key = keys; key && *key; key++) {
        g_autofree char *value = g_key_file_get_value(load->file, name, *key, NULL);

        if (!vadm_config_find_key(group, *key))
            return vadm_config_fail_unknown_key(load, name, group, *key, value, error);
        /* GKeyFile keeps the blanks behind a value. */
        g_key_file_set_value(load->file, name, *key, g_strchomp(value));
    }
    return TRUE;
}

gboolean
vadm_config_load_key(const VadmConfigLoad *load, gpointer base, const VadmConfigKey *key,
                     const char *group, GError **error)
{
    g_autoptr(GError) rule = NULL;
    g_autofree char *value = NULL;

    if (!g_key_file_has_key(load->file, group, key->name, NULL))
        return TRUE;
    if (vadm_config_read_key(load->config, base, key, load->file, group, &rule)) {
        vadm_config_set_origin(load->origins, group, key->name, "file");
        return TRUE;
    }
    value = g_key_file_get_value(load->file, group, key->name, NULL);
    return vadm_config_fail(load, group, key->name, value, rule->message, error);
}

/* Understood here, so that the error names file and key; opened when it is put to use. */
static gboolean
vadm_config_check_log(const VadmConfigLoad *load, GError **error)
{
    const VadmConfig *config = load->config;
    g_autoptr(GError) rule = NULL;
    g_autofree char *filters = vadm_log_normalise_filters(config->log_filters, &rule);
    g_autofree char *outputs = NULL;

    if (!filters)
        return vadm_config_fail(load, "log", "filters", config->log_filters, rule->message, error);
    outputs = vadm_log_normalise_outputs(config->log_outputs, config->log_default_outputs, &rule);
    return outputs ||
           vadm_config_fail(load, "log", "outputs", config->log_outputs, rule->message, error);
}

static gboolean
vadm_config_load_globals(const VadmConfigLoad *load, GError **error)
{
    for (const VadmConfigKey *key = vadm_config_keys(); key->name; key++) {
        const char *group = vadm_config_group_name(key->group);

        if (group && !vadm_config_load_key(load, load->config, key, group, error))
            return FALSE;
    }
    return vadm_config_check_log(load, error);
}

static VadmServerConfig *
vadm_config_load_server(const VadmConfigLoad *load, const char *group, GError **error)
{
    const char *name = group + strlen(VADM_SERVER_GROUP_PREFIX);
    gboolean is_admin = g_str_equal(name, VADM_ADMIN_SERVER_NAME);
    VadmProgramKind program = is_admin ? VADM_PROGRAM_ADMIN : VADM_PROGRAM_RELAY;
    VadmConfigKey key = *vadm_config_find_key(VADM_GROUP_SERVER, "program");
    g_autoptr(VadmServerConfig) server = NULL;

    if (!*name || strlen(name) > 255 || g_ascii_isspace(*name)) {
        vadm_config_fail(load, group, NULL, NULL,
                         "the name of a server has 1 to 255 octets, the first of them no blank",
                         error);
        return NULL;
    }
    /* The program is known first: the defaults of all else depend on it. */
    key.offset = 0;
    if (!vadm_config_load_key(load, &program, &key, group, error))
        return NULL;
    if (is_admin && program != VADM_PROGRAM_ADMIN) {
        vadm_config_fail(load, group, "program", "relay", "the server 'admin' must have 'admin'",
                         error);
        return NULL;
    }
    server = vadm_server_config_new(name, program, load->config->runtime_dir);
    for (const VadmConfigKey *k = vadm_config_keys(); k->name; k++) {
        if (k->group == VADM_GROUP_SERVER && !vadm_config_load_key(load, server, k, group, error))
            return NULL;
    }
    return g_steal_pointer(&server);
}

static gboolean
vadm_config_check_admin_listen(const VadmConfigLoad *load, const VadmServerConfig *server,
                               const VadmListenConfig *listen, GError **error)
{
    const char *rule = NULL;

    if (listen->transport != VADM_TRANSPORT_UNIX)
        rule = "only a relay listens on the network: an admin server knows its clients by their "
               "user id";
    else if (listen->auth != VADM_AUTH_NONE)
        rule = "only a relay has SASL: an admin server knows its clients by their user id";
    else if (listen->readonly)
        rule = "only a relay has a read-only socket";
    return !rule || vadm_config_fail_server(load, server, "listen", listen->text, rule, error);
}

static gboolean
vadm_config_check_tls(const VadmConfigLoad *load, const VadmServerConfig *server,
                      const VadmListenConfig *listen, GError **error)
{
    const struct {
        const char *key, *file;
    } needed[] = {
        {"ca_file", server->ca_file},
        {"cert_file", server->cert_file},
        {"key_file", server->key_file},
    };

    for (guint i = 0; i < G_N_ELEMENTS(needed); i++) {
        g_autofree char *rule = NULL;

        if (needed[i].file)
            continue;
        rule = g_strdup_printf("must be set: '%s' needs it", listen->text);
        return vadm_config_fail_server(load, server, needed[i].key, NULL, rule, error);
    }
    return TRUE;
}

static gboolean
vadm_config_check_relay_listen(const VadmConfigLoad *load, const VadmServerConfig *server,
                               const VadmListenConfig *listen, GError **error)
{
    if (listen->readonly && !server->upstream_ro)
        return vadm_config_fail_server(load, server, "listen", listen->text,
                                       "a read-only socket needs upstream_ro", error);
    return listen->transport != VADM_TRANSPORT_TLS ||
           vadm_config_check_tls(load, server, listen, error);
}

/* The rules of one server that need more than one key. */
static gboolean
vadm_config_check_server(const VadmConfigLoad *load, const VadmServerConfig *server, GError **error)
{
    gboolean is_relay = server->program == VADM_PROGRAM_RELAY;

    if (server->listens->len == 0)
        return vadm_config_fail_server(load, server, "listen", NULL,
                                       "a server needs a socket to listen on", error);
    if (is_relay && !server->upstream)
        return vadm_config_fail_server(load, server, "upstream", NULL,
                                       "a relay needs a socket to relay to", error);
    if (!is_relay && (server->upstream || server->upstream_ro))
        return vadm_config_fail_server(load, server, server->upstream ? "upstream" : "upstream_ro",
                                       server->upstream ? server->upstream : server->upstream_ro,
                                       "is for relays only", error);
    for (guint i = 0; i < server->listens->len; i++) {
        const VadmListenConfig *listen = server->listens->pdata[i];

        if (is_relay ? !vadm_config_check_relay_listen(load, server, listen, error)
                     : !vadm_config_check_admin_listen(load, server, listen, error))
            return FALSE;
    }
    return TRUE;
}

/* admin 1, the first relay 2; all others say it themselves. */
static gboolean
vadm_config_load_index(const VadmConfigLoad *load, VadmServerConfig *server, gboolean *relay_seen,
                       GError **error)
{
    gboolean first_relay = server->program == VADM_PROGRAM_RELAY && !*relay_seen;

    if (server->program == VADM_PROGRAM_RELAY)
        *relay_seen = TRUE;
    if (server->index == 0 && g_str_equal(server->name, VADM_ADMIN_SERVER_NAME))
        server->index = 1;
    if (server->index == 0 && first_relay)
        server->index = 2;
    if (server->index == 0)
        return vadm_config_fail_server(load, server, "index", NULL,
                                       "must be set: only the server 'admin' and the first "
                                       "relay have a default",
                                       error);
    return TRUE;
}

static gboolean
vadm_config_check_index(const VadmConfigLoad *load, const VadmServerConfig *one,
                        const VadmServerConfig *other, GError **error)
{
    g_autofree char *rule = NULL;
    g_autofree char *number = NULL;

    if (one == other || one->index != other->index)
        return TRUE;
    rule = g_strdup_printf("the server '%s' has the same", other->name);
    number = g_strdup_printf("%u", one->index);
    return vadm_config_fail_server(load, one, "index", number, rule, error);
}

static gboolean
vadm_config_check_listens(const VadmConfigLoad *load, const VadmServerConfig *one,
                          const VadmServerConfig *other, GError **error)
{
    for (guint i = 0; i < one->listens->len; i++) {
        const VadmListenConfig *listen = one->listens->pdata[i];

        for (guint j = 0; j < other->listens->len; j++) {
            const VadmListenConfig *twin = other->listens->pdata[j];
            g_autofree char *rule = NULL;

            if (twin == listen || !vadm_listen_config_clashes(twin, listen))
                continue;
            rule = g_strdup_printf("the server '%s' listens there, too, by '%s'", other->name,
                                   twin->text);
            return vadm_config_fail_server(load, one, "listen", listen->text, rule, error);
        }
    }
    return TRUE;
}

/* A relay that calls itself would make another client of each of its clients, and so on until
 * the descriptors are used up. */
static gboolean
vadm_config_check_loop(const VadmConfigLoad *load, const VadmServerConfig *one,
                       const VadmServerConfig *other, GError **error)
{
    for (guint i = 0; i < one->listens->len; i++) {
        const VadmListenConfig *listen = one->listens->pdata[i];
        gboolean normal = g_strcmp0(listen->path, other->upstream) == 0;

        if (!listen->path)
            continue;
        if (normal || g_strcmp0(listen->path, other->upstream_ro) == 0)
            return vadm_config_fail_server(load, other, normal ? "upstream" : "upstream_ro",
                                           listen->path, "is a socket of this daemon itself",
                                           error);
    }
    return TRUE;
}

static gboolean
vadm_config_check_servers(const VadmConfigLoad *load, GError **error)
{
    const GPtrArray *servers = load->config->servers;
    gboolean relay_seen = FALSE;

    for (guint i = 0; i < servers->len; i++) {
        if (!vadm_config_check_server(load, servers->pdata[i], error) ||
            !vadm_config_load_index(load, servers->pdata[i], &relay_seen, error))
            return FALSE;
    }
    /* The later one in the file is told about the earlier one. */
    for (guint i = 0; i < servers->len; i++) {
        for (guint j = 0; j <= i; j++) {
            const VadmServerConfig *one = servers->pdata[i];
            const VadmServerConfig *other = servers->pdata[j];

            if (!vadm_config_check_index(load, one, other, error) ||
                !vadm_config_check_listens(load, one, other, error) ||
                !vadm_config_check_loop(load, one, other, error) ||
                !vadm_config_check_loop(load, other, one, error))
                return FALSE;
        }
    }
    return TRUE;
}

/* The server 'admin' is always there, and where the file has no relay the default one, too. */
static void
vadm_config_add_default_servers(VadmConfig *config)
{
    gboolean has_relay = FALSE;

    for (guint i = 0; i < config->servers->len; i++) {
        const VadmServerConfig *server = config->servers->pdata[i];
        has_relay = has_relay || server->program == VADM_PROGRAM_RELAY;
    }
    if (!vadm_config_find_server(config, VADM_ADMIN_SERVER_NAME))
        g_ptr_array_add(config->servers,
                        vadm_server_config_new(VADM_ADMIN_SERVER_NAME, VADM_PROGRAM_ADMIN,
                                               config->runtime_dir));
    if (!has_relay)
        g_ptr_array_add(config->servers,
                        vadm_server_config_new(VADM_RELAY_SERVER_NAME, VADM_PROGRAM_RELAY,
                                               config->runtime_dir));
}

static gboolean
vadm_config_load_servers(const VadmConfigLoad *load, GError **error)
{
    g_auto(GStrv) groups = g_key_file_get_groups(load->file, NULL);

    g_ptr_array_set_size(load->config->servers, 0);
    for (char **group = groups; *group; group++) {
        VadmServerConfig *server;

        if (!g_str_has_prefix(*group, VADM_SERVER_GROUP_PREFIX))
            continue;
        server = vadm_config_load_server(load, *group, error);
        if (!server)
            return FALSE;
        g_ptr_array_add(load->config->servers, server);
    }
    vadm_config_add_default_servers(load->config);
    return vadm_config_check_servers(load, error);
}

/* Contradictions between values that can be changed at runtime: the rule is the same as then. */
static gboolean
vadm_config_load_validate(const VadmConfigLoad *load, GError **error)
{
    g_autoptr(GError) rule = NULL;
    const VadmServerConfig *server;
    const VadmConfigKey *key;
    VadmField field;
    guint32 index;

    if (vadm_config_validate(load->config, &field, &index, &rule))
        return TRUE;
    key = vadm_config_find_field(field);
    server = vadm_config_find_server_index(load->config, index);
    if (server)
        return vadm_config_fail_server(load, server, key ? key->name : NULL, NULL, rule->message,
                                       error);
    return vadm_config_fail(load, "log", key ? key->name : NULL, NULL, rule->message, error);
}

static gboolean
vadm_config_load_all(const VadmConfigLoad *load, GError **error)
{
    g_auto(GStrv) groups = g_key_file_get_groups(load->file, NULL);

    for (char **group = groups; *group; group++) {
        if (!vadm_config_check_keys(load, *group, error))
            return FALSE;
    }
    if (!vadm_config_load_globals(load, error))
        return FALSE;
    if (load->config->kind == VADM_CONFIG_AGENT)
        return vadm_config_load_sources(load, error);
    if (!vadm_config_load_servers(load, error))
        return FALSE;
    vadm_config_sort_servers(load->config);
    return vadm_config_load_validate(load, error);
}

VadmConfig *
vadm_config_load(const char *path, GError **error)
{
    return vadm_config_load_traced(path, NULL, error);
}

VadmConfig *
vadm_config_load_traced(const char *path, GHashTable *origins, GError **error)
{
    g_autoptr(VadmConfig) config = vadm_config_new();
    g_autoptr(GKeyFile) file = NULL;
    VadmConfigLoad load;

    if (!path)
        return g_steal_pointer(&config);
    file = vadm_config_parse_file(path, error);
    if (!file)
        return NULL;
    load = (VadmConfigLoad){path, file, config, origins, NULL};
    return vadm_config_load_all(&load, error) ? g_steal_pointer(&config) : NULL;
}

VadmConfig *
vadm_config_load_agent(const char *path, VadmUriToSocket to_socket, GHashTable *origins,
                       GError **error)
{
    g_autoptr(VadmConfig) config = vadm_config_new_agent();
    g_autoptr(GKeyFile) file = path ? vadm_config_parse_file(path, error) : g_key_file_new();
    VadmConfigLoad load = {path ? path : "built-in defaults", file, config, origins, to_socket};

    return file && vadm_config_load_all(&load, error) ? g_steal_pointer(&config) : NULL;
}
