# SPDX-License-Identifier: LGPL-2.1-or-later
RELAY_FIXTURE = tests/unit/relay-fixture.c tests/unit/relay-fixture.h \
	tests/unit/relay-upstream-fixture.c
check_PROGRAMS += tests/unit/test-relay
TESTS += tests/unit/test-relay
tests_unit_test_relay_SOURCES = tests/unit/test-relay.c tests/unit/test-relay-upstream.c \
	tests/unit/test-relay-state.c tests/unit/test-relay-fds.c \
	tests/unit/test-relay-dispatch.c tests/unit/test-relay-log.c $(RELAY_FIXTURE)
tests_unit_test_relay_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_relay_LDADD = libvadm-daemon.la libvadm-rpc.la libvadm-common.la \
	$(CHECK_LIBS) $(GLIB_LIBS) $(TIRPC_LIBS)

# The relay's part in authentication, with mechanisms of its own instead of Cyrus SASL's.
check_PROGRAMS += tests/unit/test-relay-auth
TESTS += tests/unit/test-relay-auth
tests_unit_test_relay_auth_SOURCES = tests/unit/test-relay-auth.c tests/unit/test-rpc-data.h \
	tests/unit/fake-sasl.c tests/unit/fake-sasl.h $(RELAY_FIXTURE)
tests_unit_test_relay_auth_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_relay_auth_LDADD = $(tests_unit_test_relay_LDADD)

# The streams of a security layer, with one of the test's own.
check_PROGRAMS += tests/unit/test-sasl-layer
TESTS += tests/unit/test-sasl-layer
tests_unit_test_sasl_layer_SOURCES = tests/unit/test-sasl-layer.c
tests_unit_test_sasl_layer_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_sasl_layer_LDADD = $(tests_unit_test_relay_LDADD)

if HAVE_SASL
check_PROGRAMS += tests/unit/test-sasl
TESTS += tests/unit/test-sasl
tests_unit_test_sasl_SOURCES = tests/unit/test-sasl.c
tests_unit_test_sasl_CFLAGS = $(UNIT_CFLAGS) $(SASL_CFLAGS)
tests_unit_test_sasl_LDADD = libvadm-daemon.la $(CHECK_LIBS) $(GLIB_LIBS) $(SASL_LIBS)
endif
