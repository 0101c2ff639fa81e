# SPDX-License-Identifier: LGPL-2.1-or-later
RPC_TESTS = \
	tests/unit/test-rpc-budget \
	tests/unit/test-rpc-conn \
	tests/unit/test-rpc-conn-fds \
	tests/unit/test-rpc-error \
	tests/unit/test-rpc-framer \
	tests/unit/test-rpc-golden \
	tests/unit/test-rpc-keepalive \
	tests/unit/test-rpc-layer \
	tests/unit/test-rpc-message
RPC_TEST_LIBS = libvadm-rpc.la libvadm-xdr.la libvadm-common.la $(CHECK_LIBS) $(GLIB_LIBS) $(TIRPC_LIBS)
check_PROGRAMS += $(RPC_TESTS)
TESTS += $(RPC_TESTS)
EXTRA_DIST += tests/data/admin-traces.hex tests/data/sasl-traces.hex

tests_unit_test_rpc_budget_SOURCES = tests/unit/test-rpc-budget.c
tests_unit_test_rpc_budget_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_rpc_budget_LDADD = $(RPC_TEST_LIBS)

tests_unit_test_rpc_conn_SOURCES = tests/unit/test-rpc-conn.c
tests_unit_test_rpc_conn_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_rpc_conn_LDADD = $(RPC_TEST_LIBS)

tests_unit_test_rpc_conn_fds_SOURCES = tests/unit/test-rpc-conn-fds.c
tests_unit_test_rpc_conn_fds_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_rpc_conn_fds_LDADD = $(RPC_TEST_LIBS)

tests_unit_test_rpc_error_SOURCES = tests/unit/test-rpc-error.c tests/unit/test-rpc-data.h
tests_unit_test_rpc_error_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_rpc_error_LDADD = $(RPC_TEST_LIBS)

tests_unit_test_rpc_framer_SOURCES = tests/unit/test-rpc-framer.c
tests_unit_test_rpc_framer_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_rpc_framer_LDADD = $(RPC_TEST_LIBS)

tests_unit_test_rpc_golden_SOURCES = tests/unit/test-rpc-golden.c tests/unit/test-rpc-data.h
tests_unit_test_rpc_golden_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_rpc_golden_LDADD = $(RPC_TEST_LIBS)

tests_unit_test_rpc_keepalive_SOURCES = tests/unit/test-rpc-keepalive.c
tests_unit_test_rpc_keepalive_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_rpc_keepalive_LDADD = $(RPC_TEST_LIBS)

tests_unit_test_rpc_layer_SOURCES = tests/unit/test-rpc-layer.c
tests_unit_test_rpc_layer_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_rpc_layer_LDADD = $(RPC_TEST_LIBS)

tests_unit_test_rpc_message_SOURCES = tests/unit/test-rpc-message.c tests/unit/test-rpc-data.h
tests_unit_test_rpc_message_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_rpc_message_LDADD = $(RPC_TEST_LIBS)

# The fuzz target, run for a bounded while on mutations of the captured traffic.
check_PROGRAMS += tests/fuzz/fuzz-rpc
TESTS += tests/fuzz/fuzz-rpc
tests_fuzz_fuzz_rpc_SOURCES = tests/fuzz/fuzz-rpc.c tests/fuzz/fuzz-main.c \
	tests/unit/test-rpc-data.h
tests_fuzz_fuzz_rpc_CFLAGS = $(UNIT_CFLAGS)
tests_fuzz_fuzz_rpc_LDADD = $(RPC_TEST_LIBS)
