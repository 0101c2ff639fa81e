# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libvadm-admin.la
libvadm_admin_la_SOURCES = \
	lib/admin/admin-program.c lib/admin/admin-program.h lib/admin/admin-private.h \
	lib/admin/admin-client.c lib/admin/admin-daemon.c lib/admin/admin-logging.c \
	lib/admin/admin-server.c lib/admin/admin-extension.c \
	lib/admin/params.c lib/admin/params.h
libvadm_admin_la_CFLAGS = $(AM_CFLAGS) $(TIRPC_CFLAGS)
libvadm_admin_la_LIBADD = libvadm-daemon.la libvadm-rpc.la libvadm-common.la
