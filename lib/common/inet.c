/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/inet.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

/* The number of a zone: the interface's, in this namespace, or as it is written; 0: none. */
static guint32
vadm_inet_parse_zone(const char *zone)
{
    guint64 number = if_nametoindex(zone);

    if (number == 0 && !g_ascii_string_to_unsigned(zone, 10, 1, G_MAXUINT32, &number, NULL))
        return 0;
    return (guint32)number;
}

static gboolean
vadm_inet_parse_host(const char *host, gboolean bracketed, VadmInetAddress *address)
{
    g_auto(GStrv) parts = NULL;
    guint32 zone;

    if (!bracketed) {
        address->type = VADM_INET_IPV4;
        address->length = 4;
        return inet_pton(AF_INET, host, address->octets) == 1;
    }
    parts = g_strsplit(host, "%", 2);
    if (!parts[0] || inet_pton(AF_INET6, parts[0], address->octets) != 1)
        return FALSE;
    address->type = VADM_INET_IPV6;
    address->length = 16;
    if (!parts[1])
        return TRUE;
    zone = g_htonl(vadm_inet_parse_zone(parts[1]));
    address->type = VADM_INET_IPV6Z;
    address->length = 20;
    memcpy(address->octets + 16, &zone, sizeof(zone));
    return zone != 0;
}

gboolean
vadm_inet_parse(const char *text, VadmInetAddress *address)
{
    const char *colon = strrchr(text, ':');
    gboolean bracketed = *text == '[' && colon > text && colon[-1] == ']';
    g_autofree char *host = NULL;
    guint64 port;

    *address = (VadmInetAddress){.type = VADM_INET_UNKNOWN};
    if (!colon || !g_ascii_string_to_unsigned(colon + 1, 10, 0, G_MAXUINT16, &port, NULL))
        return FALSE;
    host = bracketed ? g_strndup(text + 1, (gsize)(colon - text) - 2)
                     : g_strndup(text, (gsize)(colon - text));
    if (!vadm_inet_parse_host(host, bracketed, address)) {
        *address = (VadmInetAddress){.type = VADM_INET_UNKNOWN};
        return FALSE;
    }
    address->port = (guint16)port;
    return TRUE;
}

char *
vadm_inet_to_text(const VadmInetAddress *address)
{
    struct sockaddr_storage raw;
    socklen_t length = vadm_inet_to_sockaddr(address, &raw);
    char host[NI_MAXHOST];

    /* getnameinfo(), as libvirt: nobody else writes a zone as others do. */
    if (length == 0 || getnameinfo((const struct sockaddr *)&raw, length, host, sizeof(host), NULL,
                                   0, NI_NUMERICHOST) != 0)
        return g_strdup("");
    return g_strdup_printf(address->type == VADM_INET_IPV4 ? "%s:%u" : "[%s]:%u", host,
                           (guint)address->port);
}

static void
vadm_inet_from_ipv4(const void *octets, guint16 port, VadmInetAddress *address)
{
    *address = (VadmInetAddress){.type = VADM_INET_IPV4, .length = 4, .port = port};
    memcpy(address->octets, octets, 4);
}

static void
vadm_inet_from_ipv6(const struct sockaddr_in6 *from, VadmInetAddress *address)
{
    guint32 zone = g_htonl(from->sin6_scope_id);

    if (IN6_IS_ADDR_V4MAPPED(&from->sin6_addr)) {
        vadm_inet_from_ipv4(from->sin6_addr.s6_addr + 12, g_ntohs(from->sin6_port), address);
        return;
    }
    *address = (VadmInetAddress){
        .type = zone != 0 ? VADM_INET_IPV6Z : VADM_INET_IPV6,
        .length = zone != 0 ? 20 : 16,
        .port = g_ntohs(from->sin6_port),
    };
    memcpy(address->octets, &from->sin6_addr, 16);
    memcpy(address->octets + 16, &zone, sizeof(zone));
}

void
vadm_inet_from_sockaddr(const struct sockaddr_storage *from, VadmInetAddress *address)
{
    const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)from;

    *address = (VadmInetAddress){.type = VADM_INET_UNKNOWN};
    if (from->ss_family == AF_INET)
        vadm_inet_from_ipv4(&ipv4->sin_addr, g_ntohs(ipv4->sin_port), address);
    else if (from->ss_family == AF_INET6)
        vadm_inet_from_ipv6((const struct sockaddr_in6 *)from, address);
}

socklen_t
vadm_inet_to_sockaddr(const VadmInetAddress *address, struct sockaddr_storage *to)
{
    struct sockaddr_in *ipv4 = (struct sockaddr_in *)to;
    struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)to;
    guint32 zone = 0;

    memset(to, 0, sizeof(*to));
    if (address->type == VADM_INET_IPV4) {
        ipv4->sin_family = AF_INET;
        ipv4->sin_port = g_htons(address->port);
        memcpy(&ipv4->sin_addr, address->octets, sizeof(ipv4->sin_addr));
        return sizeof(*ipv4);
    }
    if (address->type != VADM_INET_IPV6 && address->type != VADM_INET_IPV6Z)
        return 0;
    if (address->type == VADM_INET_IPV6Z)
        memcpy(&zone, address->octets + 16, sizeof(zone));
    ipv6->sin6_family = AF_INET6;
    ipv6->sin6_port = g_htons(address->port);
    ipv6->sin6_scope_id = g_ntohl(zone);
    memcpy(&ipv6->sin6_addr, address->octets, sizeof(ipv6->sin6_addr));
    return sizeof(*ipv6);
}

gboolean
vadm_inet_equal(const VadmInetAddress *a, const VadmInetAddress *b)
{
    return a->type == b->type && a->port == b->port && a->length == b->length &&
           memcmp(a->octets, b->octets, a->length) == 0;
}

gboolean
vadm_inet_is_any(const VadmInetAddress *address)
{
    static const guint8 zeros[16];

    return (address->type == VADM_INET_IPV4 || address->type == VADM_INET_IPV6) &&
           memcmp(address->octets, zeros, address->length) == 0;
}

gboolean
vadm_inet_is_loopback(const VadmInetAddress *address)
{
    static const guint8 one[16] = {[15] = 1};

    if (address->type == VADM_INET_IPV4)
        return address->octets[0] == 127;
    return address->type == VADM_INET_IPV6 && memcmp(address->octets, one, sizeof(one)) == 0;
}
