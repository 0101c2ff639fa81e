# SPDX-License-Identifier: LGPL-2.1-or-later
# The calls of libvirtadm.so, against a scripted peer.
VIR_TESTS = tests/unit/test-vir-calls tests/unit/test-vir-life tests/unit/test-vir-threads
VIR_FIXTURE = tests/unit/vir-fixture.c tests/unit/vir-fixture.h $(PEER_FIXTURE)
check_PROGRAMS += $(VIR_TESTS)
TESTS += $(VIR_TESTS)
tests_unit_test_vir_calls_SOURCES = tests/unit/test-vir-calls.c $(VIR_FIXTURE)
tests_unit_test_vir_calls_CPPFLAGS = $(VIR_TEST_CPPFLAGS)
tests_unit_test_vir_calls_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_vir_calls_LDADD = $(VIR_TEST_LIBS)
tests_unit_test_vir_life_SOURCES = tests/unit/test-vir-life.c $(VIR_FIXTURE)
tests_unit_test_vir_life_CPPFLAGS = $(VIR_TEST_CPPFLAGS)
tests_unit_test_vir_life_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_vir_life_LDADD = $(VIR_TEST_LIBS)
tests_unit_test_vir_threads_SOURCES = tests/unit/test-vir-threads.c $(VIR_FIXTURE)
tests_unit_test_vir_threads_CPPFLAGS = $(VIR_TEST_CPPFLAGS)
tests_unit_test_vir_threads_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_vir_threads_LDADD = $(VIR_TEST_LIBS)
