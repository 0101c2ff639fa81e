# SPDX-License-Identifier: LGPL-2.1-or-later
ADMIN_TEST_LIBS = libvadm-admin.la libvadm-daemon.la $(CHECK_LIBS) $(GLIB_LIBS)
ADMIN_FIXTURE = tests/unit/admin-fixture.c tests/unit/admin-fixture.h

check_PROGRAMS += tests/unit/test-admin tests/unit/test-admin-errors tests/unit/test-admin-replay
TESTS += tests/unit/test-admin tests/unit/test-admin-errors tests/unit/test-admin-replay
tests_unit_test_admin_SOURCES = tests/unit/test-admin.c $(ADMIN_FIXTURE)
tests_unit_test_admin_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_admin_LDADD = $(ADMIN_TEST_LIBS)
tests_unit_test_admin_errors_SOURCES = tests/unit/test-admin-errors.c $(ADMIN_FIXTURE)
tests_unit_test_admin_errors_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_admin_errors_LDADD = $(ADMIN_TEST_LIBS)
tests_unit_test_admin_replay_SOURCES = tests/unit/test-admin-replay.c $(ADMIN_FIXTURE)
tests_unit_test_admin_replay_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_admin_replay_LDADD = $(ADMIN_TEST_LIBS)

check_PROGRAMS += tests/unit/test-source-local
TESTS += tests/unit/test-source-local
tests_unit_test_source_local_SOURCES = tests/unit/test-source-local.c $(ADMIN_FIXTURE) \
	agent/source-local.c agent/source-local.h agent/source-local-private.h agent/source-local-set.c
tests_unit_test_source_local_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_source_local_LDADD = $(ADMIN_TEST_LIBS)

# The client's side, against a scripted peer.
PEER_FIXTURE = tests/unit/peer-fixture.c tests/unit/peer-fixture.h \
	tests/unit/peer-script.c tests/unit/peer-private.h
CLIENT_TEST_LIBS = libvadm-client.la $(CHECK_LIBS) $(GLIB_LIBS) $(TIRPC_LIBS)
check_PROGRAMS += tests/unit/test-session tests/unit/test-admin-uri
TESTS += tests/unit/test-session tests/unit/test-admin-uri
tests_unit_test_session_SOURCES = tests/unit/test-session.c tests/unit/test-session-peer.c \
	tests/unit/test-session-owner.c \
	tests/unit/session-fixture.c tests/unit/session-fixture.h $(PEER_FIXTURE)
tests_unit_test_session_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_session_LDADD = $(CLIENT_TEST_LIBS)
tests_unit_test_admin_uri_SOURCES = tests/unit/test-admin-uri.c
tests_unit_test_admin_uri_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_admin_uri_LDADD = $(CLIENT_TEST_LIBS)

check_PROGRAMS += tests/fuzz/fuzz-session
TESTS += tests/fuzz/fuzz-session
tests_fuzz_fuzz_session_SOURCES = tests/fuzz/fuzz-session.c tests/fuzz/fuzz-main.c \
	tests/unit/test-rpc-data.h
tests_fuzz_fuzz_session_CFLAGS = $(UNIT_CFLAGS) -DRUNS=20000u
tests_fuzz_fuzz_session_LDADD = $(CLIENT_TEST_LIBS)
