# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libvadm-daemon.la
libvadm_daemon_la_SOURCES = \
	lib/daemon/auth-deadline.c lib/daemon/auth-deadline.h \
	lib/daemon/client.c lib/daemon/client.h lib/daemon/client-private.h \
	lib/daemon/complaints.c lib/daemon/complaints.h \
	lib/daemon/config.c lib/daemon/config.h \
	lib/daemon/config-change.c lib/daemon/config-file.c lib/daemon/config-keys.c \
	lib/daemon/config-listen.c lib/daemon/config-source.c \
	lib/daemon/config-print.c lib/daemon/config-private.h lib/daemon/config-values.c \
	lib/daemon/daemon.c lib/daemon/daemon.h lib/daemon/daemon-private.h \
	lib/daemon/events.c lib/daemon/events.h \
	lib/daemon/limit.c lib/daemon/limit.h \
	lib/daemon/pool.c lib/daemon/pool-change.c lib/daemon/pool-place.c \
	lib/daemon/pool.h lib/daemon/pool-private.h \
	lib/daemon/program.h \
	lib/daemon/reload.c \
	lib/daemon/relay.c lib/daemon/relay.h lib/daemon/relay-private.h lib/daemon/relay-auth.c \
	lib/daemon/relay-connect.c lib/daemon/relay-fds.c lib/daemon/relay-identity.c \
	lib/daemon/relay-link.h \
	lib/daemon/relay-priority.c lib/daemon/relay-state.c lib/daemon/relay-stream.c \
	lib/daemon/relay-upstream.c \
	lib/daemon/resolver.c lib/daemon/resolver.h \
	lib/daemon/rollback.c lib/daemon/rollback.h \
	lib/daemon/sasl.h lib/daemon/sasl-layer.c lib/daemon/sasl-layer.h \
	lib/daemon/tls.c lib/daemon/tls.h lib/daemon/tls-private.h lib/daemon/tls-check.c \
	lib/daemon/tls-database.c lib/daemon/tls-database.h \
	lib/daemon/tls-guard.c lib/daemon/tls-guard.h \
	lib/daemon/tls-handshake.c lib/daemon/tls-hello.c lib/daemon/tls-session.c lib/daemon/tls-verify.c \
	lib/daemon/saver.c lib/daemon/saver.h \
	lib/daemon/server.c lib/daemon/server.h lib/daemon/server-private.h \
	lib/daemon/server-find.c \
	lib/daemon/server-identity.c \
	lib/daemon/server-rows.c \
	lib/daemon/server-tls.c \
	lib/daemon/service.c lib/daemon/service.h lib/daemon/service-private.h \
	lib/daemon/service-inet.c lib/daemon/service-unix.c \
	lib/daemon/state.c lib/daemon/state.h \
	lib/daemon/state-file.c lib/daemon/state-file.h \
	lib/daemon/store.c lib/daemon/store.h \
	lib/daemon/txn.c lib/daemon/txn.h lib/daemon/txn-private.h \
	lib/daemon/txn-confirm.c lib/daemon/txn-prepare.c \
	lib/daemon/worker-watch.c lib/daemon/worker-watch.h
libvadm_daemon_la_CFLAGS = $(AM_CFLAGS) $(TIRPC_CFLAGS) $(SASL_CFLAGS) $(GNUTLS_CFLAGS)
libvadm_daemon_la_LIBADD = libvadm-rpc.la libvadm-common.la $(SASL_LIBS) $(GNUTLS_LIBS)
if HAVE_SASL
libvadm_daemon_la_SOURCES += lib/daemon/sasl.c
else
libvadm_daemon_la_SOURCES += lib/daemon/sasl-none.c
endif
