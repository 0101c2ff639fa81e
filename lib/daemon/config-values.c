/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How the values of the configuration file are read and written: one reader and one writer for each
 * kind of key. */
#include <grp.h>
#include <string.h>
#include <unistd.h>

#include "daemon/config-private.h"

/* The bits of lvaNotifyEnable. */
static const char *const notify_bits[] = {
    "clientLimit", "unauthLimit", "clientHigh", "clientConnect", "clientDisconnect",
    "workers",     "config",      "daemon",     "authFailure",   "upstream",
};

static gboolean G_GNUC_PRINTF(2, 3) vadm_rule(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (error)
        *error = g_error_new_valist(VADM_ERROR, VADM_ERROR_CONFIG, format, args);
    va_end(args);
    return FALSE;
}

static void
vadm_take_string(char **member, char *value)
{
    g_free(*member);
    *member = value;
}

static gboolean
vadm_has_control(const char *text)
{
    for (; *text; text++) {
        if (g_ascii_iscntrl(*text))
            return TRUE;
    }
    return FALSE;
}

typedef struct {
    const VadmConfig *config;
    const VadmConfigKey *key;
    GKeyFile *file;
    const char *group;
    gpointer member;
} VadmKeyReader;

static gboolean
vadm_read_name(VadmKeyReader *reader, const char *text, GError **error)
{
    gsize length = strlen(text);

    if (length < reader->key->min || length > reader->key->max)
        return vadm_rule(error, "must have %u to %u octets", reader->key->min, reader->key->max);
    if (vadm_has_control(text))
        return vadm_rule(error, "must not have control characters");
    vadm_take_string(reader->member, g_strdup(text));
    return TRUE;
}

static gboolean
vadm_read_text(VadmKeyReader *reader, const char *text, GError **error)
{
    (void)error;
    vadm_take_string(reader->member, g_strdup(text));
    return TRUE;
}

static gboolean
vadm_read_directory(VadmKeyReader *reader, const char *text, GError **error)
{
    if (*text != '/')
        return vadm_rule(error, "must be an absolute path");
    vadm_take_string(reader->member, g_strdup(text));
    return TRUE;
}

static gboolean
vadm_read_file(VadmKeyReader *reader, const char *text, GError **error)
{
    if (*text && *text != '/')
        return vadm_rule(error, "must be an absolute path");
    vadm_take_string(reader->member, *text ? g_strdup(text) : NULL);
    return TRUE;
}

/* The elements of a list without blanks around them; empty ones are left out, so that a trailing
 * ';' is harmless. */
static char **
vadm_read_list(VadmKeyReader *reader, GError **error)
{
    g_auto(GStrv) list =
        g_key_file_get_string_list(reader->file, reader->group, reader->key->name, NULL, error);
    g_autoptr(GStrvBuilder) builder = NULL;

    if (!list)
        return NULL;
    builder = g_strv_builder_new();
    for (char **element = list; *element; element++) {
        if (*g_strstrip(*element))
            g_strv_builder_add(builder, *element);
    }
    return g_strv_builder_end(builder);
}

static gboolean
vadm_read_directories(VadmKeyReader *reader, const char *text, GError **error)
{
    g_auto(GStrv) list = vadm_read_list(reader, error);
    char ***member = reader->member;

    (void)text;
    if (!list)
        return FALSE;
    for (char **element = list; *element; element++) {
        if (**element != '/')
            return vadm_rule(error, "'%s' must be an absolute path", *element);
    }
    g_strfreev(*member);
    *member = g_steal_pointer(&list);
    return TRUE;
}

static gboolean
vadm_read_patterns(VadmKeyReader *reader, const char *text, GError **error)
{
    g_auto(GStrv) list = vadm_read_list(reader, error);
    char ***member = reader->member;

    (void)text;
    if (!list)
        return FALSE;
    g_strfreev(*member);
    *member = g_steal_pointer(&list);
    return TRUE;
}

static gboolean
vadm_read_uint(VadmKeyReader *reader, const char *text, GError **error)
{
    guint64 number;

    if (!g_ascii_string_to_unsigned(text, 10, reader->key->min, reader->key->max, &number, NULL))
        return vadm_rule(error, "must be a number from %u to %u", reader->key->min,
                         reader->key->max);
    *(guint32 *)reader->member = (guint32)number;
    return TRUE;
}

static gboolean
vadm_read_interval(VadmKeyReader *reader, const char *text, GError **error)
{
    guint64 number;

    if (g_str_equal(text, "-1")) {
        *(gint32 *)reader->member = -1;
        return TRUE;
    }
    if (!g_ascii_string_to_unsigned(text, 10, reader->key->min, reader->key->max, &number, NULL))
        return vadm_rule(error, "must be -1 (never) or a number from %u to %u", reader->key->min,
                         reader->key->max);
    *(gint32 *)reader->member = (gint32)number;
    return TRUE;
}

static gboolean
vadm_read_bool(VadmKeyReader *reader, const char *text, GError **error)
{
    if (!g_str_equal(text, "true") && !g_str_equal(text, "false"))
        return vadm_rule(error, "must be true or false");
    *(gboolean *)reader->member = g_str_equal(text, "true");
    return TRUE;
}

static gboolean
vadm_read_mode(VadmKeyReader *reader, const char *text, GError **error)
{
    guint64 number;

    if (!g_ascii_string_to_unsigned(text, 8, reader->key->min, reader->key->max, &number, NULL))
        return vadm_rule(error, "must be an octal number from 0 to %o", reader->key->max);
    *(mode_t *)reader->member = (mode_t)number;
    return TRUE;
}

/* The buffer of getgr*_r() has no upper limit that the system would tell: a group can have
 * thousands of members. Returns: 0 or an errno; *@found tells whether there is such a group. */
static int
vadm_find_group(const char *name, gid_t *gid, gboolean *found)
{
    int rc = ERANGE;

    *found = FALSE;
    for (gsize size = 4096; rc == ERANGE && size <= (1u << 24); size *= 2) {
        g_autofree char *buffer = g_malloc(size);
        struct group entry, *result = NULL;

        rc = getgrnam_r(name, &entry, buffer, size, &result);
        if (rc == 0 && result) {
            *gid = result->gr_gid;
            *found = TRUE;
        }
    }
    return rc;
}

static char *
vadm_group_to_text(gid_t gid)
{
    int rc = ERANGE;

    for (gsize size = 4096; rc == ERANGE && size <= (1u << 24); size *= 2) {
        g_autofree char *buffer = g_malloc(size);
        struct group entry, *result = NULL;

        rc = getgrgid_r(gid, &entry, buffer, size, &result);
        if (rc == 0 && result)
            return g_strdup(result->gr_name);
    }
    return g_strdup_printf("%u", gid);
}

static gboolean
vadm_read_gid(VadmKeyReader *reader, const char *text, GError **error)
{
    gid_t gid = (gid_t)-1;
    gboolean found = FALSE;
    guint64 number;

    if (*text) {
        int rc = vadm_find_group(text, &gid, &found);

        /* What vadm_group_to_text() writes for a group that has lost its name. */
        if (!found && g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT32 - 1, &number, NULL)) {
            gid = (gid_t)number;
            found = TRUE;
        }
        if (!found && rc != 0)
            return vadm_rule(error, "cannot look up this group: %s", g_strerror(rc));
        if (!found)
            return vadm_rule(error, "there is no such group");
    }
    *(gid_t *)reader->member = gid;
    return TRUE;
}

/* Loopback and a port that only root can have: anybody else's master would bypass VACM. */
static gboolean
vadm_is_tcp_master(const char *text)
{
    static const char *const hosts[] = {"tcp:127.0.0.1:", "tcp:[::1]:"};
    guint64 port;

    for (guint i = 0; i < G_N_ELEMENTS(hosts); i++) {
        if (g_str_has_prefix(text, hosts[i]))
            return g_ascii_string_to_unsigned(text + strlen(hosts[i]), 10, 1, 1023, &port, NULL);
    }
    return FALSE;
}

static gboolean
vadm_read_master(VadmKeyReader *reader, const char *text, GError **error)
{
    const char *path = g_str_has_prefix(text, "unix:") ? text + strlen("unix:") : NULL;

    if (path && strlen(path) > VADM_SOCKET_PATH_MAX)
        return vadm_rule(error, "the path of a socket has at most %u octets, not %zu",
                         VADM_SOCKET_PATH_MAX, strlen(path));
    if (!vadm_is_tcp_master(text) && !(path && *path == '/'))
        return vadm_rule(error, "must be unix:/PATH, tcp:127.0.0.1:PORT or tcp:[::1]:PORT "
                                "with a port from 1 to 1023");
    vadm_take_string(reader->member, g_strdup(text));
    return TRUE;
}

static gboolean
vadm_read_bits(VadmKeyReader *reader, const char *text, GError **error)
{
    g_auto(GStrv) list = vadm_read_list(reader, error);
    guint bits = 0;

    (void)text;
    if (!list)
        return FALSE;
    for (char **element = list; *element; element++) {
        guint bit = 0;

        while (bit < G_N_ELEMENTS(notify_bits) && !g_str_equal(*element, notify_bits[bit]))
            bit++;
        if (bit == G_N_ELEMENTS(notify_bits))
            return vadm_rule(error,
                             "'%s' is none of clientLimit, unauthLimit, clientHigh, "
                             "clientConnect, clientDisconnect, workers, config, daemon, "
                             "authFailure, upstream",
                             *element);
        bits |= 1u << bit;
    }
    *(guint16 *)reader->member = (guint16)bits;
    return TRUE;
}

static gboolean
vadm_read_program(VadmKeyReader *reader, const char *text, GError **error)
{
    if (!g_str_equal(text, "relay") && !g_str_equal(text, "admin"))
        return vadm_rule(error, "must be relay or admin");
    *(VadmProgramKind *)reader->member =
        g_str_equal(text, "relay") ? VADM_PROGRAM_RELAY : VADM_PROGRAM_ADMIN;
    return TRUE;
}

static gboolean
vadm_read_upstream(VadmKeyReader *reader, const char *text, GError **error)
{
    char *path = NULL;

    if (*text) {
        if (!g_str_has_prefix(text, "unix:"))
            return vadm_rule(error, "must be unix:PATH");
        path = vadm_config_socket_path(reader->config, text + strlen("unix:"), error);
        if (!path)
            return FALSE;
    }
    vadm_take_string(reader->member, path);
    return TRUE;
}

static gboolean
vadm_read_listen(VadmKeyReader *reader, const char *text, GError **error)
{
    g_auto(GStrv) list = vadm_read_list(reader, error);
    GPtrArray *listens = *(GPtrArray **)reader->member;

    (void)text;
    if (!list)
        return FALSE;
    g_ptr_array_set_size(listens, 0);
    for (char **element = list; *element; element++) {
        VadmListenConfig *listen = vadm_config_read_listen(reader->config, *element, error);

        if (!listen)
            return FALSE;
        g_ptr_array_add(listens, listen);
    }
    return TRUE;
}

static gboolean (*const readers[VADM_KEY_LAST])(VadmKeyReader *, const char *, GError **) = {
    [VADM_KEY_NAME] = vadm_read_name,         [VADM_KEY_CONTEXT] = vadm_read_name,
    [VADM_KEY_TEXT] = vadm_read_text,         [VADM_KEY_DIRECTORY] = vadm_read_directory,
    [VADM_KEY_FILE] = vadm_read_file,         [VADM_KEY_DIRECTORIES] = vadm_read_directories,
    [VADM_KEY_PATTERNS] = vadm_read_patterns, [VADM_KEY_UINT] = vadm_read_uint,
    [VADM_KEY_INTERVAL] = vadm_read_interval, [VADM_KEY_BOOL] = vadm_read_bool,
    [VADM_KEY_MODE] = vadm_read_mode,         [VADM_KEY_GID] = vadm_read_gid,
    [VADM_KEY_MASTER] = vadm_read_master,     [VADM_KEY_BITS] = vadm_read_bits,
    [VADM_KEY_PROGRAM] = vadm_read_program,   [VADM_KEY_UPSTREAM] = vadm_read_upstream,
    [VADM_KEY_LISTEN] = vadm_read_listen,
};

gboolean
vadm_config_read_key(const VadmConfig *config, gpointer base, const VadmConfigKey *key,
                     GKeyFile *file, const char *group, GError **error)
{
    VadmKeyReader reader = {config, key, file, group, G_STRUCT_MEMBER_P(base, key->offset)};
    /* In a list "\\;" is a semicolon, in a string it is an error. */
    gboolean is_list = key->kind == VADM_KEY_LISTEN || key->kind == VADM_KEY_BITS ||
                       key->kind == VADM_KEY_DIRECTORIES || key->kind == VADM_KEY_PATTERNS;
    g_autoptr(GError) escape = NULL;
    g_autofree char *text = is_list ? g_key_file_get_value(file, group, key->name, &escape)
                                    : g_key_file_get_string(file, group, key->name, &escape);

    /* GKeyFile returns a text beside the error, with what it did not understand still in it. */
    if (escape)
        return vadm_rule(error, "a backslash must begin one of \\s, \\n, \\t, \\r and \\\\");
    return readers[key->kind](&reader, text, error);
}

static void
vadm_write_listen(const GPtrArray *listens, GKeyFile *file, const char *group, const char *name)
{
    g_autofree const char **list = g_new0(const char *, listens->len + 1);

    for (guint i = 0; i < listens->len; i++)
        list[i] = ((const VadmListenConfig *)listens->pdata[i])->text;
    g_key_file_set_string_list(file, group, name, list, listens->len);
}

static void
vadm_write_bits(guint bits, GKeyFile *file, const char *group, const char *name)
{
    const char *list[G_N_ELEMENTS(notify_bits)];
    gsize n = 0;

    for (guint bit = 0; bit < G_N_ELEMENTS(notify_bits); bit++) {
        if (bits & (1u << bit))
            list[n++] = notify_bits[bit];
    }
    g_key_file_set_string_list(file, group, name, list, n);
}

static char *
vadm_write_gid(gid_t gid, gboolean names)
{
    if (gid == (gid_t)-1)
        return g_strdup("");
    return names ? vadm_group_to_text(gid) : g_strdup_printf("%u", gid);
}

static char *
vadm_write_scalar(const VadmConfigKey *key, gboolean names, gconstpointer member)
{
    const char *text;

    switch (key->kind) {
    case VADM_KEY_UINT:
        return g_strdup_printf("%u", *(const guint32 *)member);
    case VADM_KEY_INTERVAL:
        return g_strdup_printf("%d", *(const gint32 *)member);
    case VADM_KEY_BOOL:
        return g_strdup(*(const gboolean *)member ? "true" : "false");
    case VADM_KEY_MODE:
        return g_strdup_printf("%04o", *(const mode_t *)member);
    case VADM_KEY_GID:
        return vadm_write_gid(*(const gid_t *)member, names);
    case VADM_KEY_PROGRAM:
        return g_strdup(*(const VadmProgramKind *)member == VADM_PROGRAM_RELAY ? "relay" : "admin");
    case VADM_KEY_UPSTREAM:
        text = *(char *const *)member;
        return text ? g_strconcat("unix:", text, NULL) : g_strdup("");
    case VADM_KEY_FILE:
        text = *(char *const *)member;
        return g_strdup(text ? text : "");
    default:
        return g_strdup(*(char *const *)member);
    }
}

void
vadm_config_write_key(gconstpointer base, const VadmConfigKey *key, gboolean names, GKeyFile *file,
                      const char *group)
{
    gconstpointer member = (const char *)base + key->offset;
    g_autofree char *text = NULL;
    char *const *list;

    switch (key->kind) {
    case VADM_KEY_LISTEN:
        vadm_write_listen(*(GPtrArray *const *)member, file, group, key->name);
        return;
    case VADM_KEY_BITS:
        vadm_write_bits(*(const guint16 *)member, file, group, key->name);
        return;
    case VADM_KEY_DIRECTORIES:
    case VADM_KEY_PATTERNS:
        list = *(char **const *)member;
        g_key_file_set_string_list(file, group, key->name, (const char *const *)list,
                                   g_strv_length((char **)list));
        return;
    default:
        text = vadm_write_scalar(key, names, member);
        g_key_file_set_string(file, group, key->name, text);
        return;
    }
}
