# SPDX-License-Identifier: LGPL-2.1-or-later
# The reading half of the source beside a daemon, against a daemon that is made up.
REMOTE_FIXTURE = tests/unit/remote-fixture.c tests/unit/remote-fixture.h \
	tests/unit/remote-case.h $(PEER_FIXTURE)
REMOTE_TEST_LIBS = libvadm-remote.la libvadm-client.la libvadm-daemon.la $(CHECK_LIBS) \
	$(GLIB_LIBS) $(TIRPC_LIBS)
REMOTE_TESTS = tests/unit/test-remote-read \
	tests/unit/test-remote-clients \
	tests/unit/test-remote-link \
	tests/unit/test-remote-events \
	tests/unit/test-remote-again
check_PROGRAMS += $(REMOTE_TESTS)
TESTS += $(REMOTE_TESTS)
tests_unit_test_remote_read_SOURCES = tests/unit/test-remote-read.c $(REMOTE_FIXTURE)
tests_unit_test_remote_read_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_remote_read_LDADD = $(REMOTE_TEST_LIBS)
tests_unit_test_remote_clients_SOURCES = tests/unit/test-remote-clients.c $(REMOTE_FIXTURE)
tests_unit_test_remote_clients_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_remote_clients_LDADD = $(REMOTE_TEST_LIBS)
tests_unit_test_remote_link_SOURCES = tests/unit/test-remote-link.c $(REMOTE_FIXTURE)
tests_unit_test_remote_link_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_remote_link_LDADD = $(REMOTE_TEST_LIBS)
tests_unit_test_remote_events_SOURCES = tests/unit/test-remote-events.c $(REMOTE_FIXTURE)
tests_unit_test_remote_events_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_remote_events_LDADD = $(REMOTE_TEST_LIBS)
tests_unit_test_remote_again_SOURCES = tests/unit/test-remote-again.c $(REMOTE_FIXTURE)
tests_unit_test_remote_again_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_remote_again_LDADD = $(REMOTE_TEST_LIBS)

check_PROGRAMS += tests/unit/test-remote-rogue
TESTS += tests/unit/test-remote-rogue
tests_unit_test_remote_rogue_SOURCES = tests/unit/test-remote-rogue.c $(REMOTE_FIXTURE)
tests_unit_test_remote_rogue_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_remote_rogue_LDADD = $(REMOTE_TEST_LIBS)
