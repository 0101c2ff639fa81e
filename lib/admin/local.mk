# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libvadm-admin.la
libvadm_admin_la_SOURCES = \
	lib/admin/admin-program.c lib/admin/admin-program.h lib/admin/admin-private.h \
	lib/admin/admin-client.c lib/admin/admin-daemon.c lib/admin/admin-logging.c \
	lib/admin/admin-server.c lib/admin/admin-extension.c \
	lib/admin/params.c lib/admin/params.h
libvadm_admin_la_CFLAGS = $(AM_CFLAGS) $(TIRPC_CFLAGS)
libvadm_admin_la_LIBADD = libvadm-daemon.la libvadm-rpc.la libvadm-common.la

# The client's side: no daemon in it.
noinst_LTLIBRARIES += libvadm-client.la
libvadm_client_la_SOURCES = \
	lib/admin/session.c lib/admin/session.h lib/admin/session-private.h \
	lib/admin/session-calls.c lib/admin/session-calls.h lib/admin/session-connect.c \
	lib/admin/client-conf.c lib/admin/client-conf.h \
	lib/admin/uri.c lib/admin/uri.h lib/admin/uri-private.h
libvadm_client_la_CFLAGS = $(AM_CFLAGS) $(TIRPC_CFLAGS)
# libvadm-rpc.la brings libvadm-common.la along; a second copy of it could not be put into a
# shared library
libvadm_client_la_LIBADD = libvadm-rpc.la

# libvirtadm.so. What it is made of is a library of its own, which the unit tests link.
noinst_LTLIBRARIES += libvadm-vir.la
libvadm_vir_la_SOURCES = \
	lib/admin/vir-private.h \
	lib/admin/vir-call.c lib/admin/vir-connect.c lib/admin/vir-connect.h \
	lib/admin/vir-connect-private.h lib/admin/vir-close-callback.c \
	lib/admin/vir-io.c lib/admin/vir-io.h \
	lib/admin/vir-client.c lib/admin/vir-daemon.c lib/admin/vir-logging.c lib/admin/vir-server.c \
	lib/admin/vir-error.c lib/admin/vir-error-print.c \
	lib/admin/vir-object.c \
	lib/admin/vir-params.c lib/admin/vir-params-text.c lib/admin/vir-params-wire.c
libvadm_vir_la_CPPFLAGS = -I$(top_srcdir)/lib/public $(AM_CPPFLAGS)
libvadm_vir_la_CFLAGS = $(AM_CFLAGS) $(TIRPC_CFLAGS) -fvisibility=hidden
libvadm_vir_la_LIBADD = libvadm-client.la

virtadmincludedir = $(includedir)/virtadm/libvirt
virtadminclude_HEADERS = \
	lib/public/libvirt/libvirt-admin.h \
	lib/public/libvirt/libvirt-common.h \
	lib/public/libvirt/virterror.h
pkgconfigdir = $(libdir)/pkgconfig
nodist_pkgconfig_DATA = lib/admin/libvirtadm.pc

# Only what the map names leaves the library, and its own calls never do: a process may have
# libvirt.so, too, which has functions of the same names. It stays loaded, as threads that end
# later free their last error with code of it.
lib_LTLIBRARIES += libvirtadm.la
EXTRA_DIST += lib/admin/libvirtadm.map
libvirtadm_la_SOURCES =
libvirtadm_la_LIBADD = libvadm-vir.la
libvirtadm_la_LDFLAGS = $(AM_LDFLAGS) -version-info 0:0:0 -no-undefined \
	-Wl,--version-script=$(top_srcdir)/lib/admin/libvirtadm.map \
	-Wl,-Bsymbolic-functions -Wl,-z,nodelete
EXTRA_libvirtadm_la_DEPENDENCIES = $(top_srcdir)/lib/admin/libvirtadm.map
