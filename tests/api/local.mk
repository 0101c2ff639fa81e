# SPDX-License-Identifier: LGPL-2.1-or-later
# Programs that use libvirtadm.so as anybody does; tests/live/test_library.py runs them, those that
# fit libvirt's header against its library, too.
noinst_PROGRAMS += tests/api/classes tests/api/errors tests/api/endurance tests/api/own
tests_api_classes_SOURCES = tests/api/classes.c
tests_api_classes_CPPFLAGS = $(API_CPPFLAGS)
tests_api_classes_CFLAGS = $(API_CFLAGS)
tests_api_classes_LDADD = libvirtadm.la
tests_api_errors_SOURCES = tests/api/errors.c
tests_api_errors_CPPFLAGS = $(API_CPPFLAGS)
tests_api_errors_CFLAGS = $(API_CFLAGS)
tests_api_errors_LDADD = libvirtadm.la
tests_api_endurance_SOURCES = tests/api/endurance.c
tests_api_endurance_CPPFLAGS = $(API_CPPFLAGS)
tests_api_endurance_CFLAGS = $(API_CFLAGS)
tests_api_endurance_LDADD = libvirtadm.la
tests_api_own_SOURCES = tests/api/own.c
tests_api_own_CPPFLAGS = $(API_CPPFLAGS)
tests_api_own_CFLAGS = $(API_CFLAGS)
tests_api_own_LDADD = libvirtadm.la
