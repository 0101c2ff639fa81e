/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define VADM_LOG_CATEGORY "daemon.config"
#include <string.h>

#include "daemon/config-private.h"

/* libvirt's texts: clients compare them, so they are kept as they are, the inverted one too. */
#define VADM_TEXT_WORKERS_ZERO                                                                     \
    "maxWorkers must not be switched from zero to non-zero and vice versa"
#define VADM_TEXT_WORKERS_MIN_MAX "minWorkers cannot be larger than maxWorkers"
#define VADM_TEXT_CLIENTS_UNAUTH                                                                   \
    "The overall maximum number of clients waiting for authentication must not be less than "      \
    "the overall maximum number of clients"

/* @server: (nullable): whose value it is. */
static gboolean
vadm_config_check_number(const VadmConfigKey *key, guint64 number, const VadmServerConfig *server,
                         GError **error)
{
    if (number >= key->min && number <= key->max)
        return TRUE;
    if (key->field == VADM_FIELD_SERVER_WORKERS_MAX && number == 0)
        g_set_error_literal(error, VADM_ERROR, VADM_ERROR_INVALID_VALUE, VADM_TEXT_WORKERS_ZERO);
    else
        g_set_error(error, VADM_ERROR, VADM_ERROR_INVALID_VALUE,
                    "[%s%s] %s: value %" G_GUINT64_FORMAT " must be a number from %u to %u",
                    server ? VADM_SERVER_GROUP_PREFIX : vadm_config_group_name(key->group),
                    server ? server->name : "", key->name, number, key->min, key->max);
    return FALSE;
}

static gboolean
vadm_config_fault(VadmField *field, guint32 *server, VadmField which, guint32 index)
{
    if (field)
        *field = which;
    if (server)
        *server = index;
    return FALSE;
}

static gboolean
vadm_config_validate_server(const VadmServerConfig *server, VadmField *field, guint32 *index,
                            GError **error)
{
    const VadmServerLimits *limits = &server->limits;

    for (const VadmConfigKey *key = vadm_config_keys(); key->name; key++) {
        if (key->group != VADM_GROUP_SERVER || key->field == VADM_FIELD_NONE)
            continue;
        if (!vadm_config_check_number(key, G_STRUCT_MEMBER(guint32, server, key->offset), server,
                                      error))
            return vadm_config_fault(field, index, key->field, server->index);
    }
    if (limits->workers_min > limits->workers_max) {
        g_set_error_literal(error, VADM_ERROR, VADM_ERROR_INCONSISTENT, VADM_TEXT_WORKERS_MIN_MAX);
        return vadm_config_fault(field, index, VADM_FIELD_SERVER_WORKERS_MAX, server->index);
    }
    if (limits->clients_max < limits->clients_unauth_max) {
        g_set_error_literal(error, VADM_ERROR, VADM_ERROR_INCONSISTENT, VADM_TEXT_CLIENTS_UNAUTH);
        return vadm_config_fault(field, index, VADM_FIELD_SERVER_CLIENTS_UNAUTH_MAX, server->index);
    }
    return TRUE;
}

gboolean
vadm_config_validate(const VadmConfig *config, VadmField *field, guint32 *server, GError **error)
{
    const VadmConfigKey *level = vadm_config_find_field(VADM_FIELD_LOG_LEVEL);

    vadm_config_fault(field, server, VADM_FIELD_NONE, 0);
    if (!vadm_config_check_number(level, config->log_level, NULL, error))
        return vadm_config_fault(field, server, VADM_FIELD_LOG_LEVEL, 0);
    for (guint i = 0; i < config->servers->len; i++) {
        if (!vadm_config_validate_server(config->servers->pdata[i], field, server, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
vadm_config_apply_value(const VadmConfigKey *key, gpointer base, const VadmServerConfig *server,
                        const VadmValue *value, GError **error)
{
    gpointer member = G_STRUCT_MEMBER_P(base, key->offset);
    gboolean is_number = key->kind == VADM_KEY_UINT || key->kind == VADM_KEY_BITS;

    if ((value->kind == VADM_VALUE_UINT) != is_number || (!is_number && !value->string)) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_INVALID_VALUE, "%s: must be a %s", key->name,
                    is_number ? "number" : "string");
        return FALSE;
    }
    if (!is_number) {
        g_free(*(char **)member);
        *(char **)member = g_strdup(value->string);
        return TRUE;
    }
    if (!vadm_config_check_number(key, value->number, server, error))
        return FALSE;
    if (key->kind == VADM_KEY_BITS)
        *(guint16 *)member = (guint16)value->number;
    else
        *(guint32 *)member = (guint32)value->number;
    return TRUE;
}

static const char *
vadm_storage_name(VadmStorage storage)
{
    return storage == VADM_STORAGE_NON_VOLATILE ? "nonVolatile" : "volatile";
}

/* The names and numbers of StorageType (RFC 2579). */
static gboolean
vadm_config_apply_storage(VadmConfig *config, const VadmValue *value, GError **error)
{
    if (value->kind != VADM_VALUE_UINT ||
        (value->number != VADM_STORAGE_VOLATILE && value->number != VADM_STORAGE_NON_VOLATILE)) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_INVALID_VALUE,
                    "storage can be volatile(2) or nonVolatile(3), not %" G_GUINT64_FORMAT,
                    value->number);
        return FALSE;
    }
    config->storage = (VadmStorage)value->number;
    return TRUE;
}

gboolean
vadm_config_apply(VadmConfig *config, const VadmChange *change, VadmFault *fault)
{
    const VadmConfigKey *key = vadm_config_find_field(change->field);
    VadmServerConfig *server = NULL;
    gpointer base = config;

    *fault = (VadmFault){.tag = change->tag};
    if (change->field == VADM_FIELD_CONFIG_STORAGE)
        return vadm_config_apply_storage(config, &change->value, &fault->error);
    if (!key) {
        g_set_error(&fault->error, VADM_ERROR, VADM_ERROR_NOT_SUPPORTED,
                    "field %d is not part of the daemon's configuration", change->field);
        return FALSE;
    }
    if (key->group == VADM_GROUP_SERVER) {
        base = server = vadm_config_find_server_index(config, change->server);
        if (!server) {
            g_set_error(&fault->error, VADM_ERROR, VADM_ERROR_NO_SERVER,
                        "there is no server with index %u", change->server);
            return FALSE;
        }
    }
    return vadm_config_apply_value(key, base, server, &change->value, &fault->error);
}

/* Calls @visit for each key of each group that both files have and in which their values
 * differ. */
typedef void (*VadmKeyVisit)(const VadmConfigKey *key, const char *group, const char *from,
                             const char *to, gpointer user);

static void
vadm_config_compare_group(GKeyFile *from, GKeyFile *to, const char *name, VadmConfigGroup group,
                          VadmKeyVisit visit, gpointer user)
{
    for (const VadmConfigKey *key = vadm_config_keys(); key->name; key++) {
        g_autofree char *was = NULL;
        g_autofree char *is = NULL;

        if (key->group != group)
            continue;
        was = g_key_file_get_value(from, name, key->name, NULL);
        is = g_key_file_get_value(to, name, key->name, NULL);
        if (was && is && !g_str_equal(was, is))
            visit(key, name, was, is, user);
    }
}

static void
vadm_config_compare(VadmConfigKind kind, GKeyFile *from, GKeyFile *to, VadmKeyVisit visit,
                    gpointer user)
{
    g_auto(GStrv) groups = g_key_file_get_groups(to, NULL);

    for (char **name = groups; *name; name++) {
        VadmConfigGroup group = vadm_config_which_group(kind, *name);

        if (g_key_file_has_group(from, *name))
            vadm_config_compare_group(from, to, *name, group, visit, user);
    }
}

typedef struct {
    VadmConfig *merged;
    GKeyFile *file; /* the new one */
    GPtrArray *statics;
} VadmMerge;

static void
vadm_config_merge_key(const VadmConfigKey *key, const char *group, const char *from, const char *to,
                      gpointer user)
{
    VadmMerge *merge = user;
    gpointer base = merge->merged;
    g_autoptr(GError) error = NULL;

    (void)from;
    (void)to;
    if (!key->runtime) {
        g_ptr_array_add(merge->statics, g_strdup_printf("[%s] %s", group, key->name));
        return;
    }
    if (key->group == VADM_GROUP_SERVER)
        base = vadm_config_find_server(merge->merged, group + strlen(VADM_SERVER_GROUP_PREFIX));
    /* A server that a reload before has brought, and no restart since. */
    if (!base)
        return;
    /* It was written from a value that has been read before. */
    if (!vadm_config_read_key(merge->merged, base, key, merge->file, group, &error))
        VADM_ERR("cannot read back [%s] %s: %s", group, key->name, error->message);
}

/* Groups of @one that @other has not: servers that have come or gone. */
static void
vadm_config_list_missing(GKeyFile *one, GKeyFile *other, const char *what, GPtrArray *statics)
{
    g_auto(GStrv) groups = g_key_file_get_groups(one, NULL);

    for (char **group = groups; *group; group++) {
        if (!g_key_file_has_group(other, *group))
            g_ptr_array_add(statics, g_strdup_printf("[%s] (%s)", *group, what));
    }
}

VadmConfig *
vadm_config_merge_reload(const VadmConfig *running, const VadmConfig *old_file,
                         const VadmConfig *new_file, char **static_changes)
{
    g_autoptr(GKeyFile) was = vadm_config_to_key_file(old_file, FALSE);
    g_autoptr(GKeyFile) is = vadm_config_to_key_file(new_file, FALSE);
    g_autoptr(GPtrArray) statics = g_ptr_array_new_with_free_func(g_free);
    VadmMerge merge = {vadm_config_copy(running), is, statics};

    vadm_config_compare(running->kind, was, is, vadm_config_merge_key, &merge);
    vadm_config_list_missing(is, was, "new", statics);
    vadm_config_list_missing(was, is, "gone", statics);
    *static_changes = NULL;
    if (statics->len > 0) {
        g_ptr_array_add(statics, NULL);
        *static_changes = g_strjoinv(", ", (char **)statics->pdata);
    }
    return merge.merged;
}

/* Most keys of most changes are equal, and writing them out to see that is what a change would
 * cost most. FALSE also for kinds that no change is made of. */
static gboolean
vadm_config_key_equal(const VadmConfigKey *key, gconstpointer a, gconstpointer b)
{
    gconstpointer x = (const char *)a + key->offset, y = (const char *)b + key->offset;

    switch (key->kind) {
    case VADM_KEY_UINT:
        return *(const guint32 *)x == *(const guint32 *)y;
    case VADM_KEY_BITS:
        return *(const guint16 *)x == *(const guint16 *)y;
    case VADM_KEY_TEXT:
        return g_strcmp0(*(char *const *)x, *(char *const *)y) == 0;
    default:
        return FALSE;
    }
}

static char *
vadm_config_key_text(const VadmConfigKey *key, gconstpointer base)
{
    g_autoptr(GKeyFile) file = NULL;

    if (key->kind == VADM_KEY_UINT)
        return g_strdup_printf("%u", G_STRUCT_MEMBER(guint32, base, key->offset));
    file = g_key_file_new();
    vadm_config_write_key(base, key, FALSE, file, "-");
    return g_key_file_get_value(file, "-", key->name, NULL);
}

static void
vadm_config_diff_key(const VadmConfigKey *key, const char *group, gconstpointer from,
                     gconstpointer to, GString *text)
{
    const char *quote = key->kind == VADM_KEY_UINT ? "" : "'";
    g_autofree char *was = NULL;
    g_autofree char *is = NULL;

    if (!key->runtime || vadm_config_key_equal(key, from, to))
        return;
    was = vadm_config_key_text(key, from);
    is = vadm_config_key_text(key, to);
    if (g_str_equal(was, is))
        return;
    g_string_append_printf(text, "%s[%s] %s %s%s%s -> %s%s%s", text->len ? "; " : "", group,
                           key->name, quote, was, quote, quote, is, quote);
}

static void
vadm_config_diff_server(const VadmServerConfig *from, const VadmServerConfig *to, GString *text)
{
    g_autofree char *group = g_strconcat(VADM_SERVER_GROUP_PREFIX, to->name, NULL);

    for (const VadmConfigKey *key = vadm_config_keys(); key->name; key++) {
        if (key->group == VADM_GROUP_SERVER)
            vadm_config_diff_key(key, group, from, to, text);
    }
}

char *
vadm_config_diff(const VadmConfig *from, const VadmConfig *to)
{
    GString *text = g_string_new(NULL);

    for (const VadmConfigKey *key = vadm_config_keys(); key->name; key++) {
        const char *group = vadm_config_group_name(key->group);

        if (group)
            vadm_config_diff_key(key, group, from, to, text);
    }
    for (guint i = 0; i < to->servers->len; i++) {
        const VadmServerConfig *server = to->servers->pdata[i];
        const VadmServerConfig *old = vadm_config_find_server(from, server->name);

        if (old)
            vadm_config_diff_server(old, server, text);
    }
    if (from->storage != to->storage)
        g_string_append_printf(text, "%sstorage %s -> %s", text->len ? "; " : "",
                               vadm_storage_name(from->storage), vadm_storage_name(to->storage));
    return g_string_free(text, FALSE);
}
