# SPDX-License-Identifier: LGPL-2.1-or-later
# Benchmarks (docs/benchmarks.md). Nothing of this is built or run by 'make check'.
BENCHMARKS = tests/bench/bench-handler tests/bench/bench-relay tests/bench/bench-remote \
	tests/bench/bench-set tests/bench/bench-traps
EXTRA_PROGRAMS = $(BENCHMARKS)
CLEANFILES += $(BENCHMARKS)
EXTRA_DIST += tests/bench/bench.py

tests_bench_bench_relay_SOURCES = tests/bench/bench-relay.c tests/bench/bench-stats.h
tests_bench_bench_relay_LDADD = $(GLIB_LIBS)
tests_bench_bench_handler_SOURCES = tests/bench/bench-handler.c \
	agent/source-local.c agent/source-local.h agent/source-local-private.h agent/source-local-set.c
tests_bench_bench_handler_CFLAGS = $(AM_CFLAGS) $(NETSNMP_CFLAGS) $(TIRPC_CFLAGS)
tests_bench_bench_handler_LDADD = libvadm-agent.la libvadm-daemon.la libvadm-common.la \
	$(NETSNMP_LIBS) $(GLIB_LIBS)
tests_bench_bench_remote_SOURCES = tests/bench/bench-remote.c tests/bench/bench-stats.h
tests_bench_bench_remote_CFLAGS = $(AM_CFLAGS) $(TIRPC_CFLAGS)
tests_bench_bench_remote_LDADD = libvadm-remote.la libvadm-client.la libvadm-daemon.la \
	libvadm-common.la $(GLIB_LIBS)
tests_bench_bench_set_SOURCES = tests/bench/bench-set.c tests/bench/bench-stats.h
tests_bench_bench_set_CFLAGS = $(AM_CFLAGS) $(NETSNMP_CFLAGS)
tests_bench_bench_set_LDADD = $(NETSNMP_LIBS) $(GLIB_LIBS)
tests_bench_bench_traps_SOURCES = tests/bench/bench-traps.c tests/bench/bench-stats.h
tests_bench_bench_traps_CFLAGS = $(AM_CFLAGS) $(NETSNMP_CFLAGS)
tests_bench_bench_traps_LDADD = $(NETSNMP_LIBS) $(GLIB_LIBS)

# BENCH: which of them (docs/benchmarks.md); none: all, briefly. BENCH_SCALE=5: five times as much.
.PHONY: bench
bench: all
	$(MAKE) $(AM_MAKEFLAGS) $(BENCHMARKS)
	VADM_BUILD_DIR=$(abs_builddir) python3 $(srcdir)/tests/bench/bench.py $(BENCH)
