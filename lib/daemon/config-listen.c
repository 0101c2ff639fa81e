/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stands in the key "listen": where clients come from, and what they are asked for. */
#include <config.h> /* HAVE_SASL */

#include <netinet/in.h>
#include <string.h>

#include "common/inet.h"
#include "daemon/config-private.h"

#ifdef HAVE_SASL
#define SASL_AVAILABLE TRUE
#else
#define SASL_AVAILABLE FALSE
#endif

typedef struct {
    const char *name;
    VadmTransport transport;
    gboolean readonly;
    VadmAuthKind auth;
} VadmListenKind;

/* Where a listen may be, and how its clients authenticate themselves. */
static const VadmListenKind listen_kinds[] = {
    {"unix", VADM_TRANSPORT_UNIX, FALSE, VADM_AUTH_NONE},
    {"unix-ro", VADM_TRANSPORT_UNIX, TRUE, VADM_AUTH_NONE},
    {"unix+sasl", VADM_TRANSPORT_UNIX, FALSE, VADM_AUTH_SASL},
    {"unix-ro+sasl", VADM_TRANSPORT_UNIX, TRUE, VADM_AUTH_SASL},
    {"tcp", VADM_TRANSPORT_TCP, FALSE, VADM_AUTH_NONE},
    {"tcp+sasl", VADM_TRANSPORT_TCP, FALSE, VADM_AUTH_SASL},
    {"tls", VADM_TRANSPORT_TLS, FALSE, VADM_AUTH_NONE},
    {"tls+sasl", VADM_TRANSPORT_TLS, FALSE, VADM_AUTH_SASL},
};

VadmListenConfig *
vadm_listen_config_new(const char *path, gboolean readonly, VadmAuthKind auth)
{
    VadmListenConfig *listen = g_new0(VadmListenConfig, 1);

    listen->transport = VADM_TRANSPORT_UNIX;
    listen->readonly = readonly;
    listen->auth = auth;
    listen->path = g_strdup(path);
    listen->text = g_strconcat(readonly ? "unix-ro" : "unix",
                               auth == VADM_AUTH_SASL ? "+sasl:" : ":", path, NULL);
    return listen;
}

void
vadm_listen_config_free(VadmListenConfig *listen)
{
    if (!listen)
        return;
    g_free(listen->path);
    g_free(listen->text);
    g_free(listen);
}

VadmListenConfig *
vadm_listen_config_copy(const VadmListenConfig *listen)
{
    VadmListenConfig *copy = g_new(VadmListenConfig, 1);

    *copy = *listen;
    copy->path = g_strdup(listen->path);
    copy->text = g_strdup(listen->text);
    return copy;
}

static gboolean
vadm_is_ipv4(const VadmInetAddress *address)
{
    return address->type == VADM_INET_IPV4;
}

gboolean
vadm_listen_config_clashes(const VadmListenConfig *one, const VadmListenConfig *other)
{
    const VadmInetAddress *a = &one->address, *b = &other->address;

    if (one->path || other->path)
        return g_strcmp0(one->path, other->path) == 0;
    /* [::] takes addresses of IPv6 only. */
    if (a->port != b->port || vadm_is_ipv4(a) != vadm_is_ipv4(b))
        return FALSE;
    return vadm_inet_is_any(a) || vadm_inet_is_any(b) || vadm_inet_equal(a, b);
}

char *
vadm_config_socket_path(const VadmConfig *config, const char *path, GError **error)
{
    g_autofree char *full = NULL;

    if (!*path) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG, "the path of the socket is missing");
        return NULL;
    }
    full = *path == '/' ? g_strdup(path) : g_build_filename(config->runtime_dir, path, NULL);
    if (strlen(full) > VADM_SOCKET_PATH_MAX) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG,
                    "the path of a socket has at most %u octets, %s has %zu", VADM_SOCKET_PATH_MAX,
                    full, strlen(full));
        return NULL;
    }
    return g_steal_pointer(&full);
}

/* @text: "KIND:...". Returns: NULL: there is no such kind */
static const VadmListenKind *
vadm_find_listen_kind(const char *text)
{
    gsize length = strcspn(text, ":");

    for (guint i = 0; i < G_N_ELEMENTS(listen_kinds); i++) {
        const VadmListenKind *kind = &listen_kinds[i];

        if (strlen(kind->name) == length && strncmp(text, kind->name, length) == 0)
            return kind;
    }
    return NULL;
}

static gboolean G_GNUC_PRINTF(3, 4)
    vadm_listen_fail(GError **error, const char *text, const char *format, ...)
{
    g_autofree char *rule = NULL;
    va_list args;

    va_start(args, format);
    rule = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG, "'%s': %s", text, rule);
    return FALSE;
}

/* The kernel binds a link-local address to an interface only, and no other address to one. An IPv4
 * address that is mapped into IPv6 cannot be had by a socket that is for IPv6 only, as ours are. */
static gboolean
vadm_check_address(const char *text, const VadmInetAddress *address, GError **error)
{
    struct in6_addr ipv6;
    gboolean link_local;

    if (vadm_is_ipv4(address))
        return (address->octets[0] & 0xf0) != 0xe0 ||
               vadm_listen_fail(error, text, "is a multicast address");
    memcpy(&ipv6, address->octets, sizeof(ipv6));
    link_local = IN6_IS_ADDR_LINKLOCAL(&ipv6);
    if (IN6_IS_ADDR_V4MAPPED(&ipv6))
        return vadm_listen_fail(error, text, "an address of IPv4 is written as such: 192.0.2.1");
    if (IN6_IS_ADDR_MULTICAST(&ipv6))
        return vadm_listen_fail(error, text, "is a multicast address");
    if (link_local && address->type != VADM_INET_IPV6Z)
        return vadm_listen_fail(
            error, text, "a link-local address needs its interface, as in [fe80::1%%eth0]:16509");
    if (!link_local && address->type == VADM_INET_IPV6Z)
        return vadm_listen_fail(error, text, "only a link-local address has an interface");
    return TRUE;
}

/* What is wrong with an address that vadm_inet_parse() has not understood. @host: with brackets, if
 * it has them */
static gboolean
vadm_fail_host(const char *text, const char *host, GError **error)
{
    g_autofree char *bare = g_strndup(host + 1, MAX(strlen(host), 2) - 2);
    char *zone = strchr(bare, '%');
    VadmInetAddress address;
    g_autofree char *without = NULL;

    if (strchr(host, ':') && *host != '[')
        return vadm_listen_fail(error, text, "an address of IPv6 stands in brackets: [::1]:16509");
    if (*host == '[' && zone) {
        *zone = '\0';
        without = g_strdup_printf("[%s]:1", bare);
        if (vadm_inet_parse(without, &address))
            return vadm_listen_fail(error, text, "there is no interface '%s'", zone + 1);
    }
    return vadm_listen_fail(error, text,
                            "'%s' must be a numeric address, such as 127.0.0.1, [::1], 0.0.0.0 "
                            "(all of IPv4) or [::] (all of IPv6), never a name",
                            host);
}

/* @rest: what stands behind "KIND:" in @text */
static gboolean
vadm_read_address(const char *text, const char *rest, VadmInetAddress *address, GError **error)
{
    const char *colon = strrchr(rest, ':');
    g_autofree char *host = NULL;
    guint64 port;

    /* The last colon of "[::1]" is none of a port. */
    if (!colon || colon == rest || strchr(colon, ']'))
        return vadm_listen_fail(error, text, "must be %.*s:ADDRESS:PORT", (int)(rest - text - 1),
                                text);
    if (!g_ascii_string_to_unsigned(colon + 1, 10, 1, G_MAXUINT16, &port, NULL))
        return vadm_listen_fail(error, text, "the port must be a number from 1 to 65535");
    host = g_strndup(rest, (gsize)(colon - rest));
    if (!vadm_inet_parse(rest, address))
        return vadm_fail_host(text, host, error);
    return vadm_check_address(text, address, error);
}

static VadmListenConfig *
vadm_read_inet_listen(const VadmListenKind *kind, const char *text, GError **error)
{
    g_autoptr(VadmListenConfig) listen = g_new0(VadmListenConfig, 1);
    g_autofree char *address = NULL;

    if (!vadm_read_address(text, text + strlen(kind->name) + 1, &listen->address, error))
        return NULL;
    address = vadm_inet_to_text(&listen->address);
    listen->transport = kind->transport;
    listen->auth = kind->auth;
    listen->text = g_strdup_printf("%s:%s", kind->name, address);
    return g_steal_pointer(&listen);
}

VadmListenConfig *
vadm_config_read_listen(const VadmConfig *config, const char *text, GError **error)
{
    const VadmListenKind *kind = vadm_find_listen_kind(text);
    const char *colon = strchr(text, ':');
    g_autofree char *path = NULL;

    if (!kind || !colon) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG,
                    "'%s' must be unix:PATH, unix-ro:PATH, tcp:ADDRESS:PORT or tls:ADDRESS:PORT, "
                    "or one of them with SASL, such as unix+sasl:PATH",
                    text);
        return NULL;
    }
    if (kind->auth == VADM_AUTH_SASL && !SASL_AVAILABLE) {
        g_set_error(error, VADM_ERROR, VADM_ERROR_CONFIG,
                    "'%s': this virtadmd was built without SASL", text);
        return NULL;
    }
    if (kind->transport != VADM_TRANSPORT_UNIX)
        return vadm_read_inet_listen(kind, text, error);
    path = vadm_config_socket_path(config, colon + 1, error);
    return path ? vadm_listen_config_new(path, kind->readonly, kind->auth) : NULL;
}
