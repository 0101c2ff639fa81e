/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The text is a GKeyFile with the groups and keys of the configuration file; which of them there
 * are is the key table's business (config-keys.c). KEY.file is what the file said.
 */
#include "daemon/state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/config-private.h"
#include "daemon/state-file.h"

#define VADM_STATE_GROUP   "state"
#define VADM_STATE_VERSION "1"
#define VADM_STATE_HEAD    "# sha256 "
#define VADM_STATE_SUFFIX  ".file"
#define VADM_STATE_GUARDED "outputs.guarded"
#define VADM_STATE_COMMENT                                                                         \
    " What was changed while the daemon ran, written by it. Edit the configuration file "          \
    "instead:\n"                                                                                   \
    " this one is not used any more once it has been altered. KEY.file: what that file said."

char *
vadm_state_path(const VadmConfig *config)
{
    /* The name may have slashes and anything else; escaped, two names never share a file. */
    g_autofree char *name = g_uri_escape_string(config->name, NULL, FALSE);
    g_autofree char *file = g_strconcat(name, ".state", NULL);

    return g_build_filename(config->state_dir, file, NULL);
}

/* What a value of @key means, whatever its spelling. Only the lists of logging have more than one
 * that vadm_config_write_key() keeps; one that does not parse stands for itself. */
static char *
vadm_state_normalise(const VadmConfig *config, const VadmConfigKey *key, GKeyFile *file,
                     const char *group, const char *name)
{
    g_autofree char *text = NULL;
    char *normal = NULL;

    if (key->field != VADM_FIELD_LOG_FILTERS && key->field != VADM_FIELD_LOG_OUTPUTS)
        return g_key_file_get_value(file, group, name, NULL);
    text = g_key_file_get_string(file, group, name, NULL);
    if (text && key->field == VADM_FIELD_LOG_FILTERS)
        normal = vadm_log_normalise_filters(text, NULL);
    else if (text)
        normal = vadm_log_normalise_outputs(text, config->log_default_outputs, NULL);
    return normal ? normal : g_steal_pointer(&text);
}

/* ---- writing ---- */

typedef struct {
    const VadmConfig *config;
    GKeyFile *values, *base, *file; /* of all keys */
    GKeyFile *state;
} VadmStateWriter;

/* FALSE as well for a server that the file has not any more. */
static gboolean
vadm_state_is_override(const VadmStateWriter *writer, const VadmConfigKey *key, const char *group)
{
    g_autofree char *was = NULL;
    g_autofree char *is = NULL;

    if (!key->runtime || !g_key_file_has_group(writer->base, group) ||
        !g_key_file_has_group(writer->file, group))
        return FALSE;
    was = vadm_state_normalise(writer->config, key, writer->base, group, key->name);
    is = vadm_state_normalise(writer->config, key, writer->values, group, key->name);
    return !g_str_equal(was, is);
}

static void
vadm_state_write_key(const VadmStateWriter *writer, const VadmConfigKey *key, const char *group)
{
    g_autofree char *value = NULL;
    g_autofree char *overridden = NULL;
    g_autofree char *name = g_strconcat(key->name, VADM_STATE_SUFFIX, NULL);

    if (!vadm_state_is_override(writer, key, group))
        return;
    value = g_key_file_get_value(writer->values, group, key->name, NULL);
    overridden = g_key_file_get_value(writer->file, group, key->name, NULL);
    g_key_file_set_value(writer->state, group, key->name, value);
    g_key_file_set_value(writer->state, group, name, overridden);
    if (key->field == VADM_FIELD_LOG_OUTPUTS && writer->config->log_outputs_guarded)
        g_key_file_set_boolean(writer->state, group, VADM_STATE_GUARDED, TRUE);
}

static void
vadm_state_write_server(const VadmStateWriter *writer, const VadmServerConfig *server)
{
    g_autofree char *group = g_strconcat(VADM_SERVER_GROUP_PREFIX, server->name, NULL);

    for (const VadmConfigKey *key = vadm_config_keys(); key->name; key++) {
        if (key->group == VADM_GROUP_SERVER)
            vadm_state_write_key(writer, key, group);
    }
}

static char *
vadm_state_seal(GKeyFile *state)
{
    g_autofree char *body = g_key_file_to_data(state, NULL, NULL);
    g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, body, -1);

    return g_strconcat(VADM_STATE_HEAD, sum, "\n", body, NULL);
}

char *
vadm_state_to_text(const VadmConfig *config)
{
    g_autoptr(GKeyFile) values = vadm_config_to_key_file(config, FALSE);
    const VadmConfig *base_config = config->base ? config->base : config;
    g_autoptr(GKeyFile) base = vadm_config_to_key_file(base_config, FALSE);
    g_autoptr(GKeyFile) file =
        vadm_config_to_key_file(config->file ? config->file : base_config, FALSE);
    g_autoptr(GKeyFile) state = g_key_file_new();
    VadmStateWriter writer = {config, values, base, file, state};

    g_key_file_set_string(state, VADM_STATE_GROUP, "version", VADM_STATE_VERSION);
    g_key_file_set_string(state, VADM_STATE_GROUP, "storage", "nonVolatile");
    g_key_file_set_comment(state, NULL, NULL, VADM_STATE_COMMENT, NULL);
    for (const VadmConfigKey *key = vadm_config_keys(); key->name; key++) {
        if (key->group != VADM_GROUP_SERVER)
            vadm_state_write_key(&writer, key, vadm_config_group_name(key->group));
    }
    for (guint i = 0; i < config->servers->len; i++)
        vadm_state_write_server(&writer, config->servers->pdata[i]);
    return vadm_state_seal(state);
}

/* ---- reading ---- */

typedef struct {
    const VadmConfigKey *key;
    char *group;
    char *overridden; /* what the file says */
    gboolean partner; /* in the contradiction that is being resolved */
} VadmOverride;

typedef struct {
    const char *path;
    VadmConfig *config;
    GKeyFile *state, *file;
    GPtrArray *overrides; /* of VadmOverride: in @config now */
    GPtrArray *warnings;  /* (nullable) */
} VadmStateLoad;

static void
vadm_override_free(gpointer data)
{
    VadmOverride *override = data;

    g_free(override->group);
    g_free(override->overridden);
    g_free(override);
}

static void G_GNUC_PRINTF(2, 3) vadm_state_warn(const VadmStateLoad *load, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    if (!load->warnings)
        return;
    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_ptr_array_add(load->warnings, g_strdup_printf("state file %s: %s", load->path, text));
}

static gpointer
vadm_state_base(VadmConfig *config, const VadmConfigKey *key, const char *group)
{
    if (key->group != VADM_GROUP_SERVER)
        return config;
    return vadm_config_find_server(config, group + strlen(VADM_SERVER_GROUP_PREFIX));
}

/* Puts what @from says of @override's key into @config. */
static gboolean
vadm_state_set(VadmConfig *config, const VadmOverride *override, GKeyFile *from, GError **error)
{
    gpointer base = vadm_state_base(config, override->key, override->group);

    return vadm_config_read_key(config, base, override->key, from, override->group, error);
}

/* The grammar of the lists of logging is checked when they are put to use, which is too late to
 * leave out the one at fault. */
static gboolean
vadm_state_check_value(const VadmStateLoad *load, const VadmConfigKey *key, const char *group,
                       GError **error)
{
    g_autofree char *text = g_key_file_get_string(load->state, group, key->name, NULL);
    g_autofree char *normal = NULL;

    if (key->field == VADM_FIELD_LOG_FILTERS)
        normal = vadm_log_normalise_filters(text, error);
    else if (key->field == VADM_FIELD_LOG_OUTPUTS)
        normal = vadm_log_normalise_outputs(text, load->config->log_default_outputs, error);
    else
        return TRUE;
    return normal != NULL;
}

/* Whether the file still says what was overridden. */
static gboolean
vadm_state_check_file(const VadmStateLoad *load, const VadmConfigKey *key, const char *group,
                      const char *value)
{
    g_autofree char *name = g_strconcat(key->name, VADM_STATE_SUFFIX, NULL);
    g_autofree char *was = vadm_state_normalise(load->config, key, load->state, group, name);
    g_autofree char *is = vadm_state_normalise(load->config, key, load->file, group, key->name);
    g_autofree char *was_value = NULL;
    g_autofree char *is_value = NULL;

    if (was && g_str_equal(was, is))
        return TRUE;
    was_value = g_key_file_get_value(load->state, group, name, NULL);
    is_value = g_key_file_get_value(load->file, group, key->name, NULL);
    if (was_value)
        vadm_state_warn(load,
                        "[%s] %s: the stored value '%s' is not used: the configuration file said "
                        "'%s' when it was set and says '%s' now, which wins",
                        group, key->name, value, was_value, is_value);
    else
        vadm_state_warn(load,
                        "[%s] %s: the stored value '%s' is not used: what it overrode is missing",
                        group, key->name, value);
    return FALSE;
}

static void
vadm_state_load_key(const VadmStateLoad *load, const VadmConfigKey *key, const char *group)
{
    g_autofree char *value = g_key_file_get_value(load->state, group, key->name, NULL);
    g_autoptr(GError) error = NULL;
    VadmOverride *override;

    if (!vadm_state_check_file(load, key, group, value))
        return;
    override = g_new0(VadmOverride, 1);
    override->key = key;
    override->group = g_strdup(group);
    override->overridden = g_key_file_get_value(load->file, group, key->name, NULL);
    if (vadm_state_check_value(load, key, group, &error) &&
        vadm_state_set(load->config, override, load->state, &error)) {
        g_ptr_array_add(load->overrides, override);
        return;
    }
    vadm_state_warn(load, "[%s] %s: the stored value '%s' is not used: %s", group, key->name, value,
                    error->message);
    vadm_override_free(override);
}

/* KEY.file and the mark of guarded outputs go with a key. */
static gboolean
vadm_state_is_attribute(const char *name)
{
    return g_str_has_suffix(name, VADM_STATE_SUFFIX) || g_str_equal(name, VADM_STATE_GUARDED);
}

static void
vadm_state_load_group(const VadmStateLoad *load, const char *name)
{
    VadmConfigGroup group = vadm_config_which_group(VADM_CONFIG_DAEMON, name);
    g_auto(GStrv) names = g_key_file_get_keys(load->state, name, NULL, NULL);

    if (!g_key_file_has_group(load->file, name)) {
        vadm_state_warn(load, "[%s] is not used: there is no such %s any more", name,
                        group == VADM_GROUP_SERVER ? "server" : "group");
        return;
    }
    for (char **key_name = names; *key_name; key_name++) {
        const VadmConfigKey *key = vadm_config_find_key(group, *key_name);

        if (vadm_state_is_attribute(*key_name))
            continue;
        if (key && key->runtime)
            vadm_state_load_key(load, key, name);
        else
            vadm_state_warn(load, "[%s] %s is not used: there is no such key that can be stored",
                            name, *key_name);
    }
}

/* ---- what contradicts the file ---- */

static void
vadm_state_drop(const VadmStateLoad *load, guint which, const char *reason)
{
    const VadmOverride *override = load->overrides->pdata[which];
    g_autofree char *value =
        g_key_file_get_value(load->state, override->group, override->key->name, NULL);

    vadm_state_warn(load, "[%s] %s: the stored value '%s' is not used: %s", override->group,
                    override->key->name, value, reason);
    /* It was written from a value that has been read before. */
    vadm_state_set(load->config, override, load->file, NULL);
    g_ptr_array_remove_index(load->overrides, which);
}

/* Whether the configuration has another fault, or none, without this override. */
static gboolean
vadm_state_takes_part(const VadmStateLoad *load, const VadmOverride *override, VadmField field,
                      guint32 server)
{
    g_autoptr(VadmConfig) trial = vadm_config_copy(load->config);
    VadmField trial_field;
    guint32 trial_server;

    vadm_state_set(trial, override, load->file, NULL);
    return vadm_config_validate(trial, &trial_field, &trial_server, NULL) || trial_field != field ||
           trial_server != server;
}

static gboolean
vadm_state_is_of_server(const VadmStateLoad *load, const VadmOverride *override, guint32 server)
{
    const VadmServerConfig *config = vadm_config_find_server_index(load->config, server);

    return config && override->key->group == VADM_GROUP_SERVER &&
           g_str_equal(override->group + strlen(VADM_SERVER_GROUP_PREFIX), config->name);
}

/* Leaves out the overrides without which this fault is gone. */
static gboolean
vadm_state_drop_partners(const VadmStateLoad *load, VadmField field, guint32 server,
                         const char *reason)
{
    gboolean dropped = FALSE;

    /* All are tried before the first is taken: who takes part must not depend on the order. */
    for (guint i = load->overrides->len; i-- > 0;) {
        VadmOverride *override = load->overrides->pdata[i];

        override->partner = vadm_state_takes_part(load, override, field, server);
        dropped = dropped || override->partner;
    }
    for (guint i = load->overrides->len; i-- > 0;) {
        if (((VadmOverride *)load->overrides->pdata[i])->partner)
            vadm_state_drop(load, i, reason);
    }
    return dropped;
}

/* The file alone is valid, so an override takes part in each fault, and the end is reached at the
 * latest when none is left. */
static void
vadm_state_make_valid(const VadmStateLoad *load)
{
    VadmField field;
    guint32 server;
    g_autoptr(GError) error = NULL;

    while (load->overrides->len > 0 &&
           !vadm_config_validate(load->config, &field, &server, &error)) {
        if (!vadm_state_drop_partners(load, field, server, error->message)) {
            /* Only several together help: none of that server is to be trusted. */
            gboolean any = FALSE;

            for (guint i = load->overrides->len; i-- > 0;) {
                if (!vadm_state_is_of_server(load, load->overrides->pdata[i], server))
                    continue;
                vadm_state_drop(load, i, error->message);
                any = TRUE;
            }
            if (!any)
                vadm_state_drop(load, load->overrides->len - 1, error->message);
        }
        g_clear_error(&error);
    }
}

/* ---- the whole ---- */

/* Returns: (transfer full) (nullable): NULL: @reason says why it is no whole state file */
static GKeyFile *
vadm_state_parse(const GString *text, const char **reason)
{
    const gsize head = strlen(VADM_STATE_HEAD), digits = 64, body = head + digits + 1;
    g_autoptr(GKeyFile) state = g_key_file_new();
    g_autofree char *sum = NULL;
    g_autofree char *version = NULL;
    g_autofree char *storage = NULL;

    *reason = "it does not begin with a checksum";
    if (text->len <= body || memcmp(text->str, VADM_STATE_HEAD, head) != 0 ||
        text->str[body - 1] != '\n')
        return NULL;
    *reason = "its checksum is wrong";
    sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text->str + body,
                                        (gssize)(text->len - body));
    if (memcmp(text->str + head, sum, digits) != 0)
        return NULL;
    *reason = "it is no text of this version";
    if (!g_key_file_load_from_data(state, text->str + body, text->len - body,
                                   G_KEY_FILE_KEEP_TRANSLATIONS, NULL))
        return NULL;
    version = g_key_file_get_string(state, VADM_STATE_GROUP, "version", NULL);
    storage = g_key_file_get_string(state, VADM_STATE_GROUP, "storage", NULL);
    if (g_strcmp0(version, VADM_STATE_VERSION) != 0 || g_strcmp0(storage, "nonVolatile") != 0)
        return NULL;
    return g_steal_pointer(&state);
}

static gboolean
vadm_state_has_override(const VadmStateLoad *load, VadmField field)
{
    for (guint i = 0; i < load->overrides->len; i++) {
        if (((const VadmOverride *)load->overrides->pdata[i])->key->field == field)
            return TRUE;
    }
    return FALSE;
}

static void
vadm_state_apply(const VadmStateLoad *load, GHashTable *applied)
{
    g_auto(GStrv) groups = g_key_file_get_groups(load->state, NULL);

    for (char **group = groups; *group; group++) {
        if (!g_str_equal(*group, VADM_STATE_GROUP))
            vadm_state_load_group(load, *group);
    }
    vadm_state_make_valid(load);
    load->config->storage = VADM_STORAGE_NON_VOLATILE;
    /* Any mark but none counts: rather too strict than a door left open. */
    load->config->log_outputs_guarded =
        vadm_state_has_override(load, VADM_FIELD_LOG_OUTPUTS) &&
        g_key_file_has_key(load->state, vadm_config_group_name(VADM_GROUP_LOG), VADM_STATE_GUARDED,
                           NULL);
    for (guint i = 0; applied && i < load->overrides->len; i++) {
        const VadmOverride *override = load->overrides->pdata[i];

        g_hash_table_insert(applied,
                            g_strdup_printf("[%s] %s", override->group, override->key->name),
                            g_strdup(override->overridden));
    }
}

VadmStateResult
vadm_state_load(const char *path, VadmConfig *config, GHashTable *applied, GPtrArray *warnings)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GString) text = vadm_state_file_read(path, &error);
    g_autoptr(GKeyFile) state = NULL;
    g_autoptr(GKeyFile) file = NULL;
    g_autoptr(GPtrArray) overrides = g_ptr_array_new_with_free_func(vadm_override_free);
    VadmStateLoad load = {.path = path, .warnings = warnings};
    const char *reason;

    if (!text && vadm_error_get_errno(error) == ENOENT)
        return VADM_STATE_NONE;
    if (!text) {
        if (warnings)
            g_ptr_array_add(warnings, g_strdup(error->message));
        return VADM_STATE_REFUSED;
    }
    state = vadm_state_parse(text, &reason);
    if (!state) {
        vadm_state_warn(&load, "is damaged and not used: %s", reason);
        return VADM_STATE_DAMAGED;
    }
    file = vadm_config_to_key_file(config, FALSE);
    load = (VadmStateLoad){path, config, state, file, overrides, warnings};
    vadm_state_apply(&load, applied);
    return VADM_STATE_APPLIED;
}

char *
vadm_state_set_aside(const char *path)
{
    g_autofree char *aside = g_strconcat(path, ".damaged", NULL);

    if (rename(path, aside) == 0)
        return g_strdup_printf("state file %s is now %s", path, aside);
    return g_strdup_printf("state file %s cannot be renamed to %s: %s", path, aside,
                           g_strerror(errno));
}
