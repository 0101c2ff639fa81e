# SPDX-License-Identifier: LGPL-2.1-or-later
EXTRA_DIST += quickstart run-tests .ci/run .ci/setup.sh \
	tests/live/agentx.py tests/live/ber.py tests/live/harness.py tests/live/quickstart.py \
	tests/live/run.py \
	tests/live/test_confirm.py tests/live/test_life.py tests/live/test_limits.py \
	tests/live/test_master.py tests/live/test_outputs.py tests/live/test_phases.py \
	tests/live/test_refused.py tests/live/test_relay.py tests/live/test_snmp.py \
	tests/live/test_soak.py tests/live/test_start.py tests/live/test_storm.py \
	tests/live/test_torn.py tests/live/test_transaction.py \
	tests/live/virt_admin_compare.py

# The other subagent of the transactions' tests. Built with all the rest, as the live tests take what
# 'make' made.
noinst_PROGRAMS += tests/live/tools/subagent
tests_live_tools_subagent_SOURCES = tests/live/tools/subagent.c
tests_live_tools_subagent_CFLAGS = $(AM_CFLAGS) $(NETSNMP_CFLAGS)
tests_live_tools_subagent_LDADD = $(NETSNMP_LIBS) $(GLIB_LIBS)
