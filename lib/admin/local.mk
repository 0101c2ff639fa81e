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
libvadm_client_la_LIBADD = libvadm-rpc.la libvadm-common.la
