# SPDX-License-Identifier: LGPL-2.1-or-later
SERVER_TESTS = \
	tests/unit/test-auth-deadline \
	tests/unit/test-client \
	tests/unit/test-client-fds \
	tests/unit/test-events \
	tests/unit/test-events-model \
	tests/unit/test-events-threads \
	tests/unit/test-limit \
	tests/unit/test-resolver \
	tests/unit/test-server \
	tests/unit/test-service \
	tests/unit/test-tcp \
	tests/unit/test-workers
SERVER_FIXTURE = tests/unit/daemon-fixture.c tests/unit/daemon-fixture.h
SERVER_TEST_LIBS = libvadm-daemon.la $(CHECK_LIBS) $(GLIB_LIBS)
check_PROGRAMS += $(SERVER_TESTS)
TESTS += $(SERVER_TESTS)

tests_unit_test_auth_deadline_SOURCES = tests/unit/test-auth-deadline.c \
	tests/unit/events-fixture.h $(SERVER_FIXTURE)
tests_unit_test_auth_deadline_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_auth_deadline_LDADD = $(SERVER_TEST_LIBS)

tests_unit_test_client_SOURCES = tests/unit/test-client.c $(SERVER_FIXTURE)
tests_unit_test_client_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_client_LDADD = $(SERVER_TEST_LIBS)

tests_unit_test_client_fds_SOURCES = tests/unit/test-client-fds.c $(SERVER_FIXTURE)
tests_unit_test_client_fds_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_client_fds_LDADD = $(SERVER_TEST_LIBS)

tests_unit_test_events_SOURCES = tests/unit/test-events.c tests/unit/events-fixture.h $(SERVER_FIXTURE)
tests_unit_test_events_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_events_LDADD = $(SERVER_TEST_LIBS)

tests_unit_test_events_model_SOURCES = tests/unit/test-events-model.c \
	tests/unit/events-fixture.h $(SERVER_FIXTURE)
tests_unit_test_events_model_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_events_model_LDADD = $(SERVER_TEST_LIBS)

tests_unit_test_events_threads_SOURCES = tests/unit/test-events-threads.c \
	tests/unit/events-fixture.h $(SERVER_FIXTURE)
tests_unit_test_events_threads_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_events_threads_LDADD = $(SERVER_TEST_LIBS)

tests_unit_test_limit_SOURCES = tests/unit/test-limit.c
tests_unit_test_limit_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_limit_LDADD = $(SERVER_TEST_LIBS)

tests_unit_test_resolver_SOURCES = tests/unit/test-resolver.c
tests_unit_test_resolver_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_resolver_LDADD = $(SERVER_TEST_LIBS)

tests_unit_test_server_SOURCES = tests/unit/test-server.c $(SERVER_FIXTURE)
tests_unit_test_server_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_server_LDADD = $(SERVER_TEST_LIBS)

tests_unit_test_service_SOURCES = tests/unit/test-service.c $(SERVER_FIXTURE)
tests_unit_test_service_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_service_LDADD = $(SERVER_TEST_LIBS)

tests_unit_test_workers_SOURCES = tests/unit/test-workers.c tests/unit/events-fixture.h $(SERVER_FIXTURE)
tests_unit_test_workers_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_workers_LDADD = $(SERVER_TEST_LIBS)

tests_unit_test_tcp_SOURCES = tests/unit/test-tcp.c tests/unit/events-fixture.h $(SERVER_FIXTURE)
tests_unit_test_tcp_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_tcp_LDADD = $(SERVER_TEST_LIBS)
