/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How the subagent reaches its master: a transport domain of our own for net-snmp, because its
 * own ones block. connect() to a stopped master whose backlog is full would hang for ever, and
 * so would a send to one that does not read; a short write would tear a packet. Here connect
 * and send have time limits, and a packet that cannot be sent whole ends the connection, which
 * net-snmp sees as EOF and answers by connecting again. Each call is a sign of life of the thread:
 * the next one, or the loop, comes within seconds whatever the master does. Calls net-snmp. snmp
 * thread.
 */
#ifndef VADM_AGENT_TRANSPORT_H
#define VADM_AGENT_TRANSPORT_H

#include <gio/gio.h>

/* The domain's name: "virtadm:" and then what [snmp] master says. */
#define VADM_TRANSPORT_PREFIX "virtadm"

/* How long net-snmp waits for the master's answer to open, register, ping and close, seconds. It
 * has no finer unit; its own default is 1 s six times over. */
#define VADM_TRANSPORT_ANSWER_S 1

/** vadm_transport_register: makes the domain known to net-snmp. Once in a process. */
void vadm_transport_register(void);

/**
 * vadm_transport_parse:
 * @master: "unix:PATH", "tcp:ADDRESS:PORT", ADDRESS numeric ("127.0.0.1", "[::1]") or localhost
 * @error: VADM_ERROR_CONFIG
 *
 * Any thread. Returns: (transfer full) (nullable)
 */
GSocketAddress *vadm_transport_parse(const char *master, GError **error);

#endif
