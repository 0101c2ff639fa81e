# SPDX-License-Identifier: LGPL-2.1-or-later
# The writing half of the source beside a daemon.
check_PROGRAMS += tests/unit/test-remote-guard tests/unit/test-remote-log
TESTS += tests/unit/test-remote-guard tests/unit/test-remote-log
tests_unit_test_remote_guard_SOURCES = tests/unit/test-remote-guard.c agent/remote-guard.c
tests_unit_test_remote_guard_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_remote_guard_LDADD = libvadm-common.la $(CHECK_LIBS) $(GLIB_LIBS)
tests_unit_test_remote_log_SOURCES = tests/unit/test-remote-log.c agent/remote-log.c
tests_unit_test_remote_log_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_remote_log_LDADD = libvadm-common.la $(CHECK_LIBS) $(GLIB_LIBS)

SET_BED = tests/unit/set-bed.c tests/unit/set-bed.h tests/unit/log-fixture.h \
	$(REMOTE_FIXTURE)
SET_TEST_LIBS = $(REMOTE_TEST_LIBS)
check_PROGRAMS += tests/unit/test-remote-set tests/unit/test-remote-undo
TESTS += tests/unit/test-remote-set tests/unit/test-remote-undo
tests_unit_test_remote_set_SOURCES = tests/unit/test-remote-set.c $(SET_BED)
tests_unit_test_remote_set_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_remote_set_LDADD = $(SET_TEST_LIBS)
tests_unit_test_remote_undo_SOURCES = tests/unit/test-remote-undo.c $(SET_BED)
tests_unit_test_remote_undo_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_remote_undo_LDADD = $(SET_TEST_LIBS)

check_PROGRAMS += tests/unit/test-remote-faults
TESTS += tests/unit/test-remote-faults
tests_unit_test_remote_faults_SOURCES = tests/unit/test-remote-faults.c agent/set-call.c $(SET_BED)
tests_unit_test_remote_faults_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_remote_faults_LDADD = $(SET_TEST_LIBS)

check_PROGRAMS += tests/unit/test-remote-connection
TESTS += tests/unit/test-remote-connection
tests_unit_test_remote_connection_SOURCES = tests/unit/test-remote-connection.c $(SET_BED)
tests_unit_test_remote_connection_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_remote_connection_LDADD = $(SET_TEST_LIBS)
