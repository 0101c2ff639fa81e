# SPDX-License-Identifier: LGPL-2.1-or-later
EXTRA_DIST += tests/unit/log-fixture.h
common_tests = tests/unit/test-common tests/unit/test-inet tests/unit/test-log tests/unit/test-log-file \
	tests/unit/test-log-guard \
	tests/unit/test-log-guard-races tests/unit/test-log-guard-sets tests/unit/test-log-threads
check_PROGRAMS += $(common_tests)
TESTS += $(common_tests)
common_test_libs = libvadm-common.la $(CHECK_LIBS) $(GLIB_LIBS)

tests_unit_test_log_SOURCES = tests/unit/test-log.c
tests_unit_test_log_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_log_LDADD = $(common_test_libs)
tests_unit_test_log_file_SOURCES = tests/unit/test-log-file.c
tests_unit_test_log_file_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_log_file_LDADD = $(common_test_libs)
tests_unit_test_log_guard_SOURCES = tests/unit/test-log-guard.c tests/unit/guard-fixture.h
tests_unit_test_log_guard_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_log_guard_LDADD = $(common_test_libs)
tests_unit_test_log_guard_races_SOURCES = tests/unit/test-log-guard-races.c tests/unit/guard-fixture.h
tests_unit_test_log_guard_races_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_log_guard_races_LDADD = $(common_test_libs)
tests_unit_test_log_guard_sets_SOURCES = tests/unit/test-log-guard-sets.c tests/unit/guard-fixture.h
tests_unit_test_log_guard_sets_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_log_guard_sets_LDADD = $(common_test_libs)
tests_unit_test_log_threads_SOURCES = tests/unit/test-log-threads.c
tests_unit_test_log_threads_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_log_threads_LDADD = $(common_test_libs)
tests_unit_test_common_SOURCES = tests/unit/test-common.c
tests_unit_test_common_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_common_LDADD = $(common_test_libs)
tests_unit_test_inet_SOURCES = tests/unit/test-inet.c
tests_unit_test_inet_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_inet_LDADD = $(common_test_libs)
