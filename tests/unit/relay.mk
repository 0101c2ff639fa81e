# SPDX-License-Identifier: LGPL-2.1-or-later
check_PROGRAMS += tests/unit/test-relay
TESTS += tests/unit/test-relay
tests_unit_test_relay_SOURCES = tests/unit/test-relay.c tests/unit/test-relay-upstream.c \
	tests/unit/test-relay-state.c \
	tests/unit/relay-fixture.c tests/unit/relay-fixture.h
tests_unit_test_relay_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_relay_LDADD = libvadm-daemon.la libvadm-rpc.la libvadm-common.la \
	$(CHECK_LIBS) $(GLIB_LIBS) $(TIRPC_LIBS)
