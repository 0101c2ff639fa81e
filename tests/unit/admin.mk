# SPDX-License-Identifier: LGPL-2.1-or-later
check_PROGRAMS += tests/unit/test-admin
TESTS += tests/unit/test-admin
tests_unit_test_admin_SOURCES = tests/unit/test-admin.c \
	tests/unit/admin-fixture.c tests/unit/admin-fixture.h
tests_unit_test_admin_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_admin_LDADD = libvadm-admin.la libvadm-daemon.la $(CHECK_LIBS) $(GLIB_LIBS)
