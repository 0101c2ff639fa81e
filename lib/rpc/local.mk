# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libvadm-rpc.la libvadm-xdr.la

# What rpcgen writes is a library of its own: it does not compile warning-free.
RPCGEN_X = lib/rpc/protocol.x lib/rpc/admin.x lib/rpc/remote.x lib/rpc/extension.x
RPCGEN_H = lib/rpc/protocol.h lib/rpc/admin.h lib/rpc/remote.h lib/rpc/extension.h
RPCGEN_C = lib/rpc/protocol_xdr.c lib/rpc/admin_xdr.c lib/rpc/remote_xdr.c \
	lib/rpc/extension_xdr.c
EXTRA_DIST += $(RPCGEN_X)
BUILT_SOURCES += $(RPCGEN_H)
CLEANFILES += $(RPCGEN_H) $(RPCGEN_C)

nodist_libvadm_xdr_la_SOURCES = $(RPCGEN_C) $(RPCGEN_H)
libvadm_xdr_la_SOURCES =
libvadm_xdr_la_CFLAGS = -std=gnu11 -w $(SAN_CFLAGS) $(TIRPC_CFLAGS)
libvadm_xdr_la_LIBADD = $(TIRPC_LIBS)

# rpcgen names the header in the code it writes after the path it is given, so it runs in the
# folder of the source. Each output is complete or not there, also when make is interrupted.
lib/rpc/%.h: lib/rpc/%.x
	$(AM_V_GEN)$(MKDIR_P) lib/rpc && \
	(cd $(<D) && $(RPCGEN) -h $*.x) >$@.tmp && mv -f $@.tmp $@
lib/rpc/%_xdr.c: lib/rpc/%.x
	$(AM_V_GEN)$(MKDIR_P) lib/rpc && \
	(cd $(<D) && $(RPCGEN) -c $*.x) >$@.raw && \
	$(SED) 's|#include "$*\.h"|#include "rpc/$*.h"|' $@.raw >$@.tmp && \
	rm -f $@.raw && mv -f $@.tmp $@

libvadm_rpc_la_SOURCES = \
	lib/rpc/budget.c lib/rpc/budget.h \
	lib/rpc/conn.c lib/rpc/conn.h lib/rpc/conn-private.h lib/rpc/conn-read.c lib/rpc/conn-write.c \
	lib/rpc/conn-fds.c lib/rpc/conn-fds.h \
	lib/rpc/framer.c \
	lib/rpc/keepalive.c lib/rpc/keepalive.h \
	lib/rpc/message.c lib/rpc/message.h \
	lib/rpc/rpc-error.c lib/rpc/rpc-error.h \
	lib/rpc/unix-socket.c lib/rpc/unix-socket.h
libvadm_rpc_la_CFLAGS = $(AM_CFLAGS) $(TIRPC_CFLAGS)
libvadm_rpc_la_LIBADD = libvadm-xdr.la libvadm-common.la $(TIRPC_LIBS)
