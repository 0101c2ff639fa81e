/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "admin/client-conf.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#define DIGITS        "0123456789"
#define ALIAS_LETTERS G_CSET_a_2_z G_CSET_A_2_Z DIGITS "_-"

typedef struct {
    const char *path;
    GScanner *scanner;
    VadmClientConf *conf;
    gboolean has_aliases;
    GError *error; /* the first one */
} Parser;

static gboolean fail(Parser *parser, VadmErrorCode code, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/* Returns: FALSE, for its callers to return */
static gboolean
fail(Parser *parser, VadmErrorCode code, const char *format, ...)
{
    g_autofree char *what = NULL;
    va_list args;

    if (parser->error)
        return FALSE;
    va_start(args, format);
    what = g_strdup_vprintf(format, args);
    va_end(args);
    parser->error = g_error_new(VADM_ERROR, (gint)code, "%s:%u: %s", parser->path,
                                g_scanner_cur_line(parser->scanner), what);
    return FALSE;
}

/* What GScanner says of the token that it has just read. */
static void
on_scanner_message(GScanner *scanner, gchar *message, gboolean error G_GNUC_UNUSED)
{
    fail(scanner->user_data, VADM_ERROR_CONFIG, "%s", message);
}

static gboolean
fail_unexpected(Parser *parser, GTokenType expected)
{
    g_scanner_unexp_token(parser->scanner, expected, NULL, NULL, NULL, NULL, TRUE);
    return FALSE;
}

static gboolean
expect(Parser *parser, GTokenType expected)
{
    return g_scanner_get_next_token(parser->scanner) == expected ||
           fail_unexpected(parser, expected);
}

/* Where @rule wants a value of another type. */
static gboolean
fail_type(Parser *parser, const char *rule)
{
    switch ((guint)parser->scanner->token) {
    case G_TOKEN_STRING:
    case G_TOKEN_INT:
    case '-':
    case '[':
        return fail(parser, VADM_ERROR_INVALID_VALUE, "%s", rule);
    default:
        return fail_unexpected(parser, G_TOKEN_STRING);
    }
}

/* Values */

static gboolean
parse_scalar(Parser *parser)
{
    switch ((guint)g_scanner_get_next_token(parser->scanner)) {
    case G_TOKEN_STRING:
    case G_TOKEN_INT:
        return TRUE;
    case '-':
        return expect(parser, G_TOKEN_INT);
    default:
        return fail_unexpected(parser, G_TOKEN_STRING);
    }
}

/* Behind its "[". A comma may follow the last element. */
static gboolean
parse_list(Parser *parser, gboolean (*parse_element)(Parser *parser))
{
    GScanner *scanner = parser->scanner;

    while (g_scanner_peek_next_token(scanner) != ']') {
        if (!parse_element(parser))
            return FALSE;
        if (g_scanner_peek_next_token(scanner) != ']' && !expect(parser, ','))
            return FALSE;
    }
    return expect(parser, ']');
}

static gboolean
parse_any(Parser *parser)
{
    if (g_scanner_peek_next_token(parser->scanner) != '[')
        return parse_scalar(parser);
    g_scanner_get_next_token(parser->scanner);
    return parse_list(parser, parse_scalar);
}

static gboolean
add_alias(Parser *parser, const char *text)
{
    gsize length = strspn(text, ALIAS_LETTERS);
    const char *uri = text + length + 1;
    g_autofree char *name = g_strndup(text, length);

    if (length == 0 || text[length] != '=' || *uri == '\0')
        return fail(parser, VADM_ERROR_NOT_SUPPORTED,
                    "malformed alias '%s' in 'uri_aliases': expected 'alias=uri://host/path', "
                    "with an alias of letters, digits, '_' and '-'",
                    text);
    if (!parser->has_aliases && !g_hash_table_contains(parser->conf->aliases, name))
        g_hash_table_insert(parser->conf->aliases, g_steal_pointer(&name), g_strdup(uri));
    return TRUE;
}

static gboolean
parse_alias(Parser *parser)
{
    return expect(parser, G_TOKEN_STRING) && add_alias(parser, parser->scanner->value.v_string);
}

static gboolean
parse_aliases(Parser *parser)
{
    if (g_scanner_get_next_token(parser->scanner) != '[')
        return fail_type(parser, "'uri_aliases' must be a list of strings: [ \"alias=uri\", ... ]");
    if (!parse_list(parser, parse_alias))
        return FALSE;
    parser->has_aliases = TRUE;
    return TRUE;
}

static gboolean
parse_default(Parser *parser)
{
    if (g_scanner_get_next_token(parser->scanner) != G_TOKEN_STRING)
        return fail_type(parser, "'uri_default' must be a string");
    if (!parser->conf->uri_default)
        parser->conf->uri_default = g_strdup(parser->scanner->value.v_string);
    return TRUE;
}

/* The file */

static gboolean
parse_statement(Parser *parser)
{
    g_autofree char *key = NULL;

    if (!expect(parser, G_TOKEN_IDENTIFIER))
        return FALSE;
    key = g_strdup(parser->scanner->value.v_identifier);
    if (!expect(parser, '='))
        return FALSE;
    if (strcmp(key, "uri_default") == 0)
        return parse_default(parser);
    if (strcmp(key, "uri_aliases") == 0)
        return parse_aliases(parser);
    return parse_any(parser);
}

/* The scanner takes the end of a line with a comment on it as part of the comment, so that a
 * statement has a line of its own is seen from the numbers of the lines. */
static gboolean
parse_file(Parser *parser)
{
    GScanner *scanner = parser->scanner;
    guint line = 0;

    while (g_scanner_peek_next_token(scanner) != G_TOKEN_EOF) {
        if (scanner->next_line == line)
            return fail(parser, VADM_ERROR_CONFIG, "there is something behind the value");
        if (!parse_statement(parser))
            return FALSE;
        line = scanner->line;
    }
    return TRUE;
}

/* In double quotes, unlike libvirt, a backslash escapes; no URI and no alias has one. */
static GScanner *
new_scanner(const char *text, gsize length)
{
    static const GScannerConfig config = {
        .cset_skip_characters = (char *)" \t\r\n",
        .cset_identifier_first = (char *)G_CSET_a_2_z G_CSET_A_2_Z "_",
        .cset_identifier_nth = (char *)ALIAS_LETTERS ".",
        .cpair_comment_single = (char *)"#\n",
        .case_sensitive = TRUE,
        .skip_comment_multi = TRUE,
        .skip_comment_single = TRUE,
        .scan_identifier = TRUE,
        .scan_identifier_1char = TRUE,
        .scan_string_sq = TRUE,
        .scan_string_dq = TRUE,
        .char_2_token = TRUE,
    };
    GScanner *scanner = g_scanner_new(&config);

    g_scanner_input_text(scanner, text, (guint)length);
    scanner->msg_handler = on_scanner_message;
    return scanner;
}

static gboolean
parse_text(VadmClientConf *conf, const char *path, const char *text, gsize length, GError **error)
{
    Parser parser = {.path = path, .conf = conf, .scanner = new_scanner(text, length)};
    gboolean parsed;

    parser.scanner->user_data = &parser;
    parsed = parse_file(&parser);
    g_scanner_destroy(parser.scanner);
    if (!parsed)
        g_propagate_error(error, parser.error);
    return parsed;
}

/* GLib tells a number of its own instead of errno, so the system is asked once more. */
static void
set_read_error(const char *path, GError **error)
{
    int fd = g_open(path, O_RDONLY | O_CLOEXEC, 0);
    char octet;

    if (fd < 0) {
        vadm_error_set_errno(error, errno, "Failed to open file '%s'", path);
        return;
    }
    vadm_error_set_errno(error, read(fd, &octet, 1) < 0 ? errno : EIO, "Failed to read file '%s'",
                         path);
    close(fd);
}

VadmClientConf *
vadm_client_conf_load(const char *path, GError **error)
{
    g_autoptr(VadmClientConf) conf = g_new0(VadmClientConf, 1);
    g_autofree char *text = NULL;
    gsize length;

    conf->aliases = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    /* Nor does it exist below a folder where we may not look: another user's home. */
    if (g_access(path, F_OK) != 0)
        return g_steal_pointer(&conf);
    if (!g_file_get_contents(path, &text, &length, NULL)) {
        set_read_error(path, error);
        return NULL;
    }
    if (!parse_text(conf, path, text, length, error))
        return NULL;
    return g_steal_pointer(&conf);
}

void
vadm_client_conf_free(VadmClientConf *conf)
{
    if (!conf)
        return;
    g_free(conf->uri_default);
    g_hash_table_unref(conf->aliases);
    g_free(conf);
}
