# SPDX-License-Identifier: LGPL-2.1-or-later
# Unit tests: one fragment per module. Live tests are run by ./run-tests (tests/live).
UNIT_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(TIRPC_CFLAGS) -DTEST_DATA=\"$(abs_top_srcdir)/tests/data\"
EXTRA_DIST += tests/unit/loop.h tests/unit/unit.h
AM_TESTS_ENVIRONMENT = $(top_srcdir)/tests/sanitizer-env.sh
EXTRA_DIST += tests/sanitizer-env.sh

# Those that take longest come first: tests run side by side.
if HAVE_CHECK
include $(top_srcdir)/tests/unit/remote-set.mk
include $(top_srcdir)/tests/unit/remote.mk
include $(top_srcdir)/tests/unit/common.mk
include $(top_srcdir)/tests/unit/rpc.mk
include $(top_srcdir)/tests/unit/daemon.mk
include $(top_srcdir)/tests/unit/server.mk
include $(top_srcdir)/tests/unit/tls.mk
include $(top_srcdir)/tests/unit/admin.mk
include $(top_srcdir)/tests/unit/library.mk
include $(top_srcdir)/tests/unit/library-calls.mk
include $(top_srcdir)/tests/unit/relay.mk
include $(top_srcdir)/tests/unit/agent.mk
endif
include $(top_srcdir)/tests/api/local.mk
include $(top_srcdir)/tests/unit/mib.mk
include $(top_srcdir)/tests/live/local.mk
include $(top_srcdir)/tests/noc/local.mk
include $(top_srcdir)/tests/bench/local.mk
EXTRA_DIST += tests/tsan.supp tests/lsan.supp
