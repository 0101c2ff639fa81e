# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libvadm-common.la
libvadm_common_la_SOURCES = \
	lib/common/error.c lib/common/error.h \
	lib/common/event.c \
	lib/common/identity.c lib/common/source.h \
	lib/common/inet.c lib/common/inet.h \
	lib/common/source-job.c lib/common/source-job.h \
	lib/common/lock.h \
	lib/common/log.c lib/common/log.h lib/common/log-private.h \
	lib/common/log-set.c lib/common/log-sink.c lib/common/log-file.c \
	lib/common/log-sink-private.h lib/common/log-write.c \
	lib/common/log-path.c lib/common/log-path.h \
	lib/common/mailbox.c lib/common/mailbox.h \
	lib/common/spare-fds.c lib/common/spare-fds.h
libvadm_common_la_LIBADD = $(GLIB_LIBS)
