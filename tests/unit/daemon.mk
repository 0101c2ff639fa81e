# SPDX-License-Identifier: LGPL-2.1-or-later
check_PROGRAMS += tests/unit/test-config tests/unit/test-config-agent tests/unit/test-config-fuzz tests/unit/test-config-listen tests/unit/test-pool tests/unit/test-pool-place tests/unit/test-txn \
	tests/unit/test-reload tests/unit/test-confirm tests/unit/test-storage tests/unit/test-saver \
	tests/unit/test-state tests/unit/test-state-file
TESTS += tests/unit/test-config tests/unit/test-config-agent tests/unit/test-config-fuzz tests/unit/test-config-listen tests/unit/test-pool tests/unit/test-pool-place tests/unit/test-txn \
	tests/unit/test-reload tests/unit/test-confirm tests/unit/test-storage tests/unit/test-saver \
	tests/unit/test-state tests/unit/test-state-file

# What several tests are made of is compiled once: libvadm-daemon.la would bring what they replace.
check_LTLIBRARIES += tests/unit/libconfig-bed.la tests/unit/libtxn-bed.la
CONFIG_BED = tests/unit/libconfig-bed.la libvadm-common.la $(CHECK_LIBS) $(GLIB_LIBS)
TXN_BED = tests/unit/libtxn-bed.la $(CONFIG_BED)
tests_unit_libconfig_bed_la_CFLAGS = $(UNIT_CFLAGS)
tests_unit_libconfig_bed_la_SOURCES = \
	lib/daemon/config.c lib/daemon/config-change.c lib/daemon/config-file.c \
	lib/daemon/config-keys.c lib/daemon/config-listen.c lib/daemon/config-print.c \
	lib/daemon/config-source.c lib/daemon/config-values.c

tests_unit_test_config_SOURCES = tests/unit/test-config.c tests/unit/config-fixture.h
tests_unit_test_config_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_config_LDADD = $(CONFIG_BED)

tests_unit_test_config_agent_SOURCES = tests/unit/test-config-agent.c \
	tests/unit/config-fixture.h
tests_unit_test_config_agent_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_config_agent_LDADD = $(CONFIG_BED)

tests_unit_test_config_listen_SOURCES = tests/unit/test-config-listen.c \
	tests/unit/config-fixture.h
tests_unit_test_config_listen_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_config_listen_LDADD = $(CONFIG_BED)

tests_unit_test_config_fuzz_SOURCES = tests/unit/test-config-fuzz.c
tests_unit_test_config_fuzz_CFLAGS = $(UNIT_CFLAGS) \
	-DEXAMPLE='"$(abs_top_srcdir)/docs/virtadmd.conf.example"'
tests_unit_test_config_fuzz_LDADD = $(CONFIG_BED)

POOL_SOURCES = lib/daemon/pool.c lib/daemon/pool-change.c lib/daemon/pool-place.c

tests_unit_test_pool_SOURCES = tests/unit/test-pool.c $(POOL_SOURCES)
tests_unit_test_pool_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_pool_LDADD = libvadm-common.la $(CHECK_LIBS) $(GLIB_LIBS)
tests_unit_test_pool_place_SOURCES = tests/unit/test-pool-place.c $(POOL_SOURCES)
tests_unit_test_pool_place_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_pool_place_LDADD = libvadm-common.la $(CHECK_LIBS) $(GLIB_LIBS)

# Not linked with libvadm-daemon: the test is the daemon, the servers and the clients.
tests_unit_libtxn_bed_la_CFLAGS = $(UNIT_CFLAGS)
tests_unit_libtxn_bed_la_SOURCES = tests/unit/txn-fixture.c tests/unit/txn-fixture.h lib/daemon/txn.c \
	lib/daemon/txn-confirm.c lib/daemon/txn-prepare.c lib/daemon/rollback.c lib/daemon/saver.c \
	lib/daemon/state.c lib/daemon/state-file.c \
	lib/daemon/reload.c lib/daemon/store.c $(POOL_SOURCES) lib/daemon/events.c
tests_unit_test_txn_SOURCES = tests/unit/test-txn.c
tests_unit_test_txn_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_txn_LDADD = $(TXN_BED)
tests_unit_test_reload_SOURCES = tests/unit/test-reload.c
tests_unit_test_reload_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_reload_LDADD = $(TXN_BED)
tests_unit_test_confirm_SOURCES = tests/unit/test-confirm.c tests/unit/confirm-fixture.h
tests_unit_test_confirm_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_confirm_LDADD = $(TXN_BED)
tests_unit_test_storage_SOURCES = tests/unit/test-storage.c tests/unit/confirm-fixture.h
tests_unit_test_storage_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_storage_LDADD = $(TXN_BED)
tests_unit_test_saver_SOURCES = tests/unit/test-saver.c lib/daemon/saver.c
tests_unit_test_saver_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_saver_LDADD = libvadm-common.la $(CHECK_LIBS) $(GLIB_LIBS)

tests_unit_test_state_SOURCES = tests/unit/test-state.c \
	lib/daemon/state.c lib/daemon/state-file.c
tests_unit_test_state_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_state_LDADD = $(CONFIG_BED)

# The test has its own idea of these calls.
tests_unit_test_state_file_SOURCES = tests/unit/test-state-file.c lib/daemon/state-file.c
tests_unit_test_state_file_CFLAGS = $(UNIT_CFLAGS) \
	-Dwrite=test_write -Dlinkat=test_linkat -Dfsync=test_fsync
tests_unit_test_state_file_LDADD = libvadm-common.la $(CHECK_LIBS) $(GLIB_LIBS)
