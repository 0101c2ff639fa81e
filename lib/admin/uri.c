/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "admin/uri.h"

#include <string.h>
#include <unistd.h>

#include "admin/client-conf.h"
#include "admin/uri-private.h"

/* The daemons are the distribution's, wherever we are installed. */
#define SYSTEM_RUN_DIR  "/run/libvirt"
#define SYSTEM_CONF_DIR "/etc/libvirt"
#define CONF_FILE       "libvirt-admin.conf"

/* RFC 3986, appendix A, as libvirt's parser has it: what may be in a path is in no port, and
 * letters beyond ASCII, spaces and the like have to be escaped. GLib's own parser lets all of them
 * pass. */
#define PLAIN     "A-Za-z0-9._~!$&'()*+,;=\\-"
#define MANY(set) "(?:[" set "]++|%[0-9A-Fa-f]{2})*+"
#define SCHEME    "(?:(?<scheme>[A-Za-z][A-Za-z0-9+.-]*+):|(?![^/?#]*:))"
#define USER      "(?:" MANY(PLAIN ":") "@)?"
#define HOST      "(?:\\[[^]]*+\\]|" MANY(PLAIN) ")"
#define AUTHORITY "(?://" USER HOST "(?::[0-9]++)?(?=[/?#]|\\z)|(?!//))"
#define PATH      "(?<path>" MANY(PLAIN ":@/") ")"
#define QUERY     "(?:\\?(?<query>" MANY(PLAIN ":@/?") "))?"
#define FRAGMENT  "(?:#" MANY(PLAIN ":@/?[\\]") ")?"

typedef struct {
    char *scheme; /* NULL: none */
    char *path;
    char *query; /* "": none; still encoded */
} AdminUri;

static void
admin_uri_clear(AdminUri *uri)
{
    g_free(uri->scheme);
    g_free(uri->path);
    g_free(uri->query);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AdminUri, admin_uri_clear)

static gboolean
admin_uri_match(const char *text, AdminUri *uri)
{
    g_autoptr(GRegex) regex =
        g_regex_new("\\A" SCHEME AUTHORITY PATH QUERY FRAGMENT "\\z", G_REGEX_RAW, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    g_autofree char *scheme = NULL, *path = NULL;

    if (!g_regex_match(regex, text, 0, &match))
        return FALSE;
    scheme = g_match_info_fetch_named(match, "scheme");
    path = g_match_info_fetch_named(match, "path");
    uri->scheme = scheme && *scheme ? g_steal_pointer(&scheme) : NULL;
    uri->path = g_uri_unescape_string(path, NULL);
    uri->query = g_match_info_fetch_named(match, "query");
    return uri->path != NULL;
}

static gboolean
admin_uri_parse(const char *text, AdminUri *uri, GError **error)
{
    if (admin_uri_match(text, uri))
        return TRUE;
    g_set_error(error, VADM_ERROR, VADM_ERROR_INVALID_VALUE, "Unable to parse URI %s", text);
    return FALSE;
}

/* Parameters */

/* @parameter: "name=value", "name=" or "name"; @socket: (inout) */
static gboolean
take_parameter(const char *parameter, char **socket, GError **error)
{
    const char *end = parameter + strcspn(parameter, "=");
    g_autofree char *name = g_uri_unescape_segment(parameter, end, NULL);
    g_autofree char *value = g_uri_unescape_string(*end ? end + 1 : end, NULL);

    if (end == parameter)
        return TRUE; /* nothing that has a name */
    if (!name || !value) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_INVALID_VALUE,
                    "Unable to parse URI parameter '%s'", parameter);
        return FALSE;
    }
    if (strcmp(name, "socket") != 0) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG, "Unknown URI parameter '%s'", name);
        return FALSE;
    }
    g_free(*socket);
    *socket = g_steal_pointer(&value);
    return TRUE;
}

/* @socket: (out): NULL: there is no such parameter */
static gboolean
take_parameters(const char *query, char **socket, GError **error)
{
    g_auto(GStrv) parameters = g_strsplit_set(query ? query : "", "&;", -1);
    g_autofree char *found = NULL;

    for (char **parameter = parameters; *parameter; parameter++) {
        if (!take_parameter(*parameter, &found, error))
            return FALSE;
    }
    *socket = g_steal_pointer(&found);
    return TRUE;
}

/* The daemon */

static char *
socket_name(const char *scheme, GError **error)
{
    if (!scheme) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG, "No URI scheme specified");
        return NULL;
    }
    if (strcmp(scheme, "libvirtd") == 0)
        return g_strdup("libvirt-admin-sock");
    if (g_str_has_prefix(scheme, "virt"))
        return g_strconcat(scheme, "-admin-sock", NULL);
    g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG, "Unsupported URI scheme '%s'", scheme);
    return NULL;
}

static char *
socket_path(const AdminUri *uri, GError **error)
{
    g_autofree char *name = socket_name(uri->scheme, error);

    if (!name)
        return NULL;
    if (strcmp(uri->path, "/system") == 0)
        return g_build_filename(SYSTEM_RUN_DIR, name, NULL);
    if (strcmp(uri->path, "/session") == 0)
        return g_build_filename(g_get_user_runtime_dir(), "libvirt", name, NULL);
    g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG, "Invalid URI path '%s', try '/system'",
                uri->path);
    return NULL;
}

char *
vadm_admin_uri_to_socket(const char *text, GError **error)
{
    g_auto(AdminUri) uri = {.scheme = NULL};
    char *socket = NULL;

    if (!admin_uri_parse(text, &uri, error) || !take_parameters(uri.query, &socket, error))
        return NULL;
    return socket ? socket : socket_path(&uri, error);
}

char *
vadm_admin_uri_get_daemon(const char *text)
{
    g_auto(AdminUri) uri = {.scheme = NULL};

    if (!admin_uri_parse(text, &uri, NULL))
        return NULL;
    return g_steal_pointer(&uri.scheme);
}

char *
vadm_admin_uri_format(const char *text)
{
    gsize length = strcspn(text, ":/?#");
    const char *rest = text[length] == ':' ? text + length + 1 : text;

    if (g_str_has_prefix(rest, "//"))
        return g_strdup(text);
    return g_strdup_printf("%.*s//%s", (int)(rest - text), text, rest);
}

/* Defaults and aliases */

static const char *
choose_default(const VadmUriDefaults *defaults, const VadmClientConf *conf)
{
    if (defaults->environment && *defaults->environment)
        return defaults->environment;
    if (conf && conf->uri_default)
        return conf->uri_default;
    return defaults->built_in;
}

/* The file is read only where it matters: a damaged one shall not be in the way of a URI. */
static gboolean
needs_file(const VadmUriDefaults *defaults, const char *name, gboolean aliases)
{
    return aliases || (!name && !(defaults->environment && *defaults->environment));
}

char *
vadm_admin_uri_resolve_in(const VadmUriDefaults *defaults, const char *name, gboolean aliases,
                          GError **error)
{
    g_autoptr(VadmClientConf) conf = NULL;
    const char *uri = NULL;

    if (needs_file(defaults, name, aliases)) {
        conf = vadm_client_conf_load(defaults->file, error);
        if (!conf)
            return NULL;
    }
    if (!name)
        name = choose_default(defaults, conf);
    if (aliases)
        uri = g_hash_table_lookup(conf->aliases, name);
    return g_strdup(uri ? uri : name);
}

char *
vadm_admin_uri_resolve(const char *name, gboolean aliases, GError **error)
{
    gboolean root = geteuid() == 0;
    g_autofree char *file =
        root ? g_build_filename(SYSTEM_CONF_DIR, CONF_FILE, NULL)
             : g_build_filename(g_get_user_config_dir(), "libvirt", CONF_FILE, NULL);
    const VadmUriDefaults defaults = {
        .file = file,
        .environment = g_getenv("LIBVIRT_ADMIN_DEFAULT_URI"),
        .built_in = root ? "libvirtd:///system" : "libvirtd:///session",
    };

    return vadm_admin_uri_resolve_in(&defaults, name, aliases, error);
}
