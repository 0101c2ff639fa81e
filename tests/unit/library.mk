# SPDX-License-Identifier: LGPL-2.1-or-later
VIR_TEST_CPPFLAGS = -I$(top_srcdir)/lib/public $(AM_CPPFLAGS)
VIR_TEST_LIBS = libvadm-vir.la $(CHECK_LIBS) $(GLIB_LIBS) $(TIRPC_LIBS)

check_PROGRAMS += tests/unit/test-vir-error tests/unit/test-vir-params
TESTS += tests/unit/test-vir-error tests/unit/test-vir-params
tests_unit_test_vir_error_SOURCES = tests/unit/test-vir-error.c
tests_unit_test_vir_error_CPPFLAGS = $(VIR_TEST_CPPFLAGS)
tests_unit_test_vir_error_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_vir_error_LDADD = $(VIR_TEST_LIBS)
tests_unit_test_vir_params_SOURCES = tests/unit/test-vir-params.c
tests_unit_test_vir_params_CPPFLAGS = $(VIR_TEST_CPPFLAGS)
tests_unit_test_vir_params_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_vir_params_LDADD = $(VIR_TEST_LIBS)

TESTS += tests/unit/test-library.sh
EXTRA_DIST += tests/unit/test-library.sh tests/unit/library-symbols.txt \
	tests/unit/library-probe.c tests/unit/library-coexist.c
