# SPDX-License-Identifier: LGPL-2.1-or-later
TLS_TESTS = \
	tests/unit/test-tls \
	tests/unit/test-tls-handshake \
	tests/unit/test-tls-stall \
	tests/unit/test-tls-threads
TLS_FIXTURE = tests/unit/tls-fixture.c tests/unit/tls-fixture.h
TLS_GUEST = tests/unit/tls-guest.c tests/unit/tls-guest.h $(TLS_FIXTURE)
TLS_TEST_LIBS = libvadm-daemon.la $(CHECK_LIBS) $(GLIB_LIBS) $(GNUTLS_LIBS)
check_PROGRAMS += $(TLS_TESTS)
TESTS += $(TLS_TESTS)

tests_unit_test_tls_SOURCES = tests/unit/test-tls.c $(TLS_FIXTURE)
tests_unit_test_tls_CFLAGS = $(UNIT_CFLAGS) $(GNUTLS_CFLAGS)
tests_unit_test_tls_LDADD = $(TLS_TEST_LIBS)

tests_unit_test_tls_handshake_SOURCES = tests/unit/test-tls-handshake.c $(TLS_GUEST)
tests_unit_test_tls_handshake_CFLAGS = $(UNIT_CFLAGS) $(GNUTLS_CFLAGS)
tests_unit_test_tls_handshake_LDADD = $(TLS_TEST_LIBS)

tests_unit_test_tls_stall_SOURCES = tests/unit/test-tls-stall.c $(TLS_GUEST)
tests_unit_test_tls_stall_CFLAGS = $(UNIT_CFLAGS) $(GNUTLS_CFLAGS)
tests_unit_test_tls_stall_LDADD = $(TLS_TEST_LIBS)

tests_unit_test_tls_threads_SOURCES = tests/unit/test-tls-threads.c $(TLS_GUEST)
tests_unit_test_tls_threads_CFLAGS = $(UNIT_CFLAGS) $(GNUTLS_CFLAGS)
tests_unit_test_tls_threads_LDADD = $(TLS_TEST_LIBS)
