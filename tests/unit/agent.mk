# SPDX-License-Identifier: LGPL-2.1-or-later
AGENT_TEST_CFLAGS = $(UNIT_CFLAGS) $(NETSNMP_CFLAGS)
AGENT_TEST_LIBS = libvadm-agent.la libvadm-common.la $(CHECK_LIBS) $(NETSNMP_LIBS) $(GLIB_LIBS)
AGENT_FAKE = tests/unit/fake-source.c tests/unit/fake-source.h
AGENT_REQUEST = $(AGENT_FAKE) tests/unit/agent-request.c tests/unit/agent-request.h
AGENT_SET = $(AGENT_REQUEST) tests/unit/agent-fixture.c tests/unit/agent-fixture.h

check_PROGRAMS += tests/unit/test-agent-mib tests/unit/test-agent-set \
	tests/unit/test-agent-phases tests/unit/test-agent-delegation tests/unit/test-agent-settings \
	tests/unit/test-agent-notify tests/unit/test-agent-notify-master \
	tests/unit/test-agent-notify-back tests/unit/test-agent-notification tests/unit/test-watchdog \
	tests/unit/test-snmp-refused
TESTS += tests/unit/test-agent-mib tests/unit/test-agent-set \
	tests/unit/test-agent-phases tests/unit/test-agent-delegation tests/unit/test-agent-settings \
	tests/unit/test-agent-notify tests/unit/test-agent-notify-master \
	tests/unit/test-agent-notify-back tests/unit/test-agent-notification tests/unit/test-watchdog \
	tests/unit/test-snmp-refused
EXTRA_DIST += tests/unit/agent-expected.inc
tests_unit_test_agent_mib_SOURCES = tests/unit/test-agent-mib.c $(AGENT_REQUEST)
tests_unit_test_agent_mib_CFLAGS = $(AGENT_TEST_CFLAGS)
tests_unit_test_agent_mib_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_set_SOURCES = tests/unit/test-agent-set.c $(AGENT_SET)
tests_unit_test_agent_set_CFLAGS = $(AGENT_TEST_CFLAGS)
tests_unit_test_agent_set_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_phases_SOURCES = tests/unit/test-agent-phases.c $(AGENT_SET)
tests_unit_test_agent_phases_CFLAGS = $(AGENT_TEST_CFLAGS)
tests_unit_test_agent_phases_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_delegation_SOURCES = tests/unit/test-agent-delegation.c $(AGENT_SET)
tests_unit_test_agent_delegation_CFLAGS = $(AGENT_TEST_CFLAGS)
tests_unit_test_agent_delegation_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_settings_SOURCES = tests/unit/test-agent-settings.c $(AGENT_SET)
tests_unit_test_agent_settings_CFLAGS = $(AGENT_TEST_CFLAGS)
tests_unit_test_agent_settings_LDADD = $(AGENT_TEST_LIBS)
AGENT_NOTIFY_BED = tests/unit/notify-bed.c tests/unit/notify-bed.h
tests_unit_test_agent_notify_SOURCES = tests/unit/test-agent-notify.c $(AGENT_NOTIFY_BED) \
	$(AGENT_FAKE)
tests_unit_test_agent_notify_CFLAGS = $(AGENT_TEST_CFLAGS)
tests_unit_test_agent_notify_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_notify_master_SOURCES = tests/unit/test-agent-notify-master.c \
	$(AGENT_NOTIFY_BED) $(AGENT_FAKE)
tests_unit_test_agent_notify_master_CFLAGS = $(AGENT_TEST_CFLAGS)
tests_unit_test_agent_notify_master_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_notify_back_SOURCES = tests/unit/test-agent-notify-back.c \
	$(AGENT_NOTIFY_BED) $(AGENT_FAKE)
tests_unit_test_agent_notify_back_CFLAGS = $(AGENT_TEST_CFLAGS)
tests_unit_test_agent_notify_back_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_notification_SOURCES = tests/unit/test-agent-notification.c $(AGENT_FAKE)
tests_unit_test_agent_notification_CFLAGS = $(AGENT_TEST_CFLAGS)
tests_unit_test_agent_notification_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_watchdog_SOURCES = tests/unit/test-watchdog.c tests/unit/loop.h $(AGENT_FAKE)
tests_unit_test_watchdog_CFLAGS = $(AGENT_TEST_CFLAGS)
tests_unit_test_watchdog_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_snmp_refused_SOURCES = tests/unit/test-snmp-refused.c tests/unit/loop.h \
	$(PROGRAM_SOURCES) $(AGENT_FAKE)
tests_unit_test_snmp_refused_CFLAGS = $(AGENT_TEST_CFLAGS) $(SYSTEMD_CFLAGS)
tests_unit_test_snmp_refused_LDADD = libvadm-agent.la libvadm-daemon.la libvadm-common.la \
	$(CHECK_LIBS) $(NETSNMP_LIBS) $(GLIB_LIBS) $(SYSTEMD_LIBS)

# The snmp thread around fake sources: live tests run it, hence it is made by 'make'.
noinst_PROGRAMS += tests/unit/agent-probe
tests_unit_agent_probe_SOURCES = tests/unit/agent-probe.c $(AGENT_FAKE)
tests_unit_agent_probe_CFLAGS = $(AM_CFLAGS) -I$(top_srcdir)/tests/unit $(NETSNMP_CFLAGS)
tests_unit_agent_probe_LDADD = libvadm-agent.la libvadm-common.la $(NETSNMP_LIBS) $(GLIB_LIBS)
