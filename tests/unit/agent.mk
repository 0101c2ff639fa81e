# SPDX-License-Identifier: LGPL-2.1-or-later
AGENT_TEST_CFLAGS = $(UNIT_CFLAGS) $(NETSNMP_CFLAGS)
AGENT_TEST_LIBS = libvadm-agent.la libvadm-common.la $(CHECK_LIBS) $(NETSNMP_LIBS) $(GLIB_LIBS)
AGENT_FAKE = tests/unit/fake-source.c tests/unit/fake-source.h

check_PROGRAMS += tests/unit/agent-probe
tests_unit_agent_probe_SOURCES = tests/unit/agent-probe.c $(AGENT_FAKE)
tests_unit_agent_probe_CFLAGS = $(AGENT_TEST_CFLAGS)
tests_unit_agent_probe_LDADD = $(AGENT_TEST_LIBS)
