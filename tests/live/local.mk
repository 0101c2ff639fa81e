# SPDX-License-Identifier: LGPL-2.1-or-later
EXTRA_DIST += quickstart run-tests .ci/run .ci/setup.sh \
	tests/live/ber.py tests/live/harness.py tests/live/quickstart.py tests/live/run.py \
	tests/live/test_life.py tests/live/test_limits.py \
	tests/live/test_master.py tests/live/test_outputs.py tests/live/test_relay.py \
	tests/live/test_snmp.py tests/live/test_soak.py tests/live/test_start.py \
	tests/live/test_state.py tests/live/test_storm.py \
	tests/live/virt_admin_compare.py

# What live tests run beside the daemons; made by 'make', since ./run-tests --live makes no more.
noinst_PROGRAMS += tests/live/tools/state-save
tests_live_tools_state_save_SOURCES = tests/live/tools/state-save.c
tests_live_tools_state_save_LDADD = libvadm-daemon.la libvadm-common.la $(GLIB_LIBS)
