# SPDX-License-Identifier: LGPL-2.1-or-later
# The subagent. Its files that call net-snmp include agent/netsnmp.h and say so at the top;
# nothing outside this folder does.
noinst_LTLIBRARIES += libvadm-agent.la
libvadm_agent_la_SOURCES = \
	agent/netsnmp.h \
	agent/contexts.c agent/contexts.h \
	agent/delegation.c agent/delegation.h \
	agent/handler.c agent/handler.h \
	agent/heartbeat.c agent/heartbeat.h \
	agent/mib.c agent/mib.h agent/mib-private.h agent/mib-values.c \
	agent/mib-client.c agent/mib-config.c agent/mib-daemon.c agent/mib-log.c agent/mib-notify.c \
	agent/mib-server.c agent/mib-service.c agent/mib-tables.c \
	agent/notification.c agent/notification.h agent/notify.c agent/notify.h \
	agent/notify-pdu.c agent/notify-pdu.h agent/notify-queue.c agent/notify-queue.h \
	agent/set.c agent/set.h agent/set-call.c agent/set-call.h \
	agent/set-check.c agent/set-check.h \
	agent/registrations.c agent/registrations.h \
	agent/settings.c agent/settings.h \
	agent/snmp-library.c agent/snmp-library.h \
	agent/snmp-thread.c agent/snmp-thread.h \
	agent/transport.c agent/transport.h \
	agent/views.c agent/views.h \
	agent/watchdog.c agent/watchdog.h
libvadm_agent_la_CFLAGS = $(AM_CFLAGS) $(NETSNMP_CFLAGS)
libvadm_agent_la_LIBADD = libvadm-common.la $(NETSNMP_LIBS)

# Beside it the same subagent for daemons that are not ours.
sbin_PROGRAMS += virtadmd virtadm-agent
PROGRAM_SOURCES = agent/log-options.c agent/log-options.h agent/startup.c agent/startup.h
virtadmd_SOURCES = agent/virtadmd.c agent/descriptors.c agent/descriptors.h $(PROGRAM_SOURCES) \
	agent/source-local.c agent/source-local.h agent/source-local-private.h agent/source-local-set.c
virtadmd_CFLAGS = $(AM_CFLAGS) $(TIRPC_CFLAGS) $(SYSTEMD_CFLAGS)
virtadmd_LDADD = libvadm-agent.la libvadm-admin.la libvadm-daemon.la libvadm-rpc.la \
	libvadm-common.la $(GLIB_LIBS) $(SYSTEMD_LIBS)

# A daemon that is administered over its admin socket, as a source.
noinst_LTLIBRARIES += libvadm-remote.la
libvadm_remote_la_SOURCES = \
	agent/remote-answer.c \
	agent/remote-apply.c \
	agent/remote-compare.c \
	agent/remote-guard.c \
	agent/remote-identity.c agent/remote-identity.h \
	agent/remote-link.c \
	agent/remote-log.c \
	agent/remote-memory.c agent/remote-memory.h \
	agent/remote-pass.c agent/remote-pass.h \
	agent/remote-plan.c \
	agent/remote-private.h \
	agent/remote-refresh.c \
	agent/remote-report.c \
	agent/remote-set.c agent/remote-set.h \
	agent/remote-snapshot.c \
	agent/socket-owner.c agent/socket-owner.h \
	agent/source-remote.c agent/source-remote.h
libvadm_remote_la_CFLAGS = $(AM_CFLAGS) $(TIRPC_CFLAGS)
libvadm_remote_la_LIBADD = libvadm-client.la libvadm-daemon.la libvadm-common.la

virtadm_agent_SOURCES = agent/virtadm-agent.c agent/capabilities.c agent/capabilities.h \
	agent/discover.c agent/discover.h $(PROGRAM_SOURCES)
virtadm_agent_CFLAGS = $(AM_CFLAGS) $(TIRPC_CFLAGS) $(SYSTEMD_CFLAGS) $(CAPNG_CFLAGS)
virtadm_agent_LDADD = libvadm-agent.la libvadm-remote.la libvadm-client.la libvadm-daemon.la \
	libvadm-rpc.la libvadm-common.la $(GLIB_LIBS) $(SYSTEMD_LIBS) $(CAPNG_LIBS)
