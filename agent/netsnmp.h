/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The only place that includes net-snmp's headers. They bring their own PACKAGE_* macros, as
 * config.h does, and define names as common as FREE and INET6: ours are taken away before,
 * theirs behind.
 */
#ifndef VADM_AGENT_NETSNMP_H
#define VADM_AGENT_NETSNMP_H

#undef PACKAGE_BUGREPORT
#undef PACKAGE_NAME
#undef PACKAGE_STRING
#undef PACKAGE_TARNAME
#undef PACKAGE_URL
#undef PACKAGE_VERSION

#include <net-snmp/net-snmp-config.h>

#include <net-snmp/net-snmp-includes.h>

#include <net-snmp/agent/net-snmp-agent-includes.h>

#include <net-snmp/agent/agent_callbacks.h>
#include <net-snmp/agent/agent_sysORTable.h>
#include <net-snmp/library/large_fd_set.h>
#include <net-snmp/library/snmp_transport.h>

#undef FREE
#undef INET6
#undef PACKAGE_BUGREPORT
#undef PACKAGE_NAME
#undef PACKAGE_STRING
#undef PACKAGE_TARNAME
#undef PACKAGE_URL
#undef PACKAGE_VERSION

#endif
