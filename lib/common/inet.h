/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Internet addresses with a port, between the three forms that they have: the kernel's, that of
 * the MIB (RFC 4001), and libvirt's text. Any thread.
 */
#ifndef VADM_COMMON_INET_H
#define VADM_COMMON_INET_H

#include <sys/socket.h>

#include "common/source.h"

/* InetAddressType (RFC 4001) */
#define VADM_INET_UNKNOWN 0u
#define VADM_INET_IPV4    1u
#define VADM_INET_IPV6    2u
#define VADM_INET_IPV6Z   4u /* the last four octets are the number of the interface */

/**
 * vadm_inet_parse:
 * @text: "192.0.2.7:52110", "[2001:db8::1]:52110", "[fe80::1%eth0]:52110"; the zone is an interface
 *     of this host, or a number. Never a name of a host
 * @address: (out): unknown, with no octets, when it returns FALSE
 */
gboolean vadm_inet_parse(const char *text, VadmInetAddress *address);

/** vadm_inet_to_text: Returns: (transfer full): as libvirt writes it, see vadm_inet_parse(); "" for
 * an unknown address */
char *vadm_inet_to_text(const VadmInetAddress *address);

/** vadm_inet_from_sockaddr: an address of IPv4 that is mapped into IPv6 is one of IPv4; of any
 * other family than these two it is unknown. */
void vadm_inet_from_sockaddr(const struct sockaddr_storage *from, VadmInetAddress *address);
/** vadm_inet_to_sockaddr: Returns: how long it is, 0 for an unknown address */
socklen_t vadm_inet_to_sockaddr(const VadmInetAddress *address, struct sockaddr_storage *to);

/** vadm_inet_equal: in type, octets and port. */
gboolean vadm_inet_equal(const VadmInetAddress *a, const VadmInetAddress *b);
/** vadm_inet_is_any: 0.0.0.0 or [::]: all addresses of the host. */
gboolean vadm_inet_is_any(const VadmInetAddress *address);
/** vadm_inet_is_loopback: can only this host reach it? */
gboolean vadm_inet_is_loopback(const VadmInetAddress *address);

#endif
