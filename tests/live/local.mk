# SPDX-License-Identifier: LGPL-2.1-or-later
EXTRA_DIST += \
	.ci/run \
	.ci/setup.sh \
	quickstart \
	run-tests \
	tests/live/agentx.py \
	tests/live/ber.py \
	tests/live/certificates.py \
	tests/live/harness.py \
	tests/live/kerberos.py \
	tests/live/quickstart.py \
	tests/live/remote_compare.py \
	tests/live/run.py \
	tests/live/test_agent.py \
	tests/live/test_agent_life.py \
	tests/live/test_agent_start.py \
	tests/live/test_agent_walk.py \
	tests/live/test_bulk.py \
	tests/live/test_confirm.py \
	tests/live/test_contexts.py \
	tests/live/test_faults.py \
	tests/live/test_flood.py \
	tests/live/test_gssapi.py \
	tests/live/test_library.py \
	tests/live/test_library_both.py \
	tests/live/test_life.py \
	tests/live/test_limits.py \
	tests/live/test_load.py \
	tests/live/test_master.py \
	tests/live/test_network.py \
	tests/live/test_notify.py \
	tests/live/test_notify_master.py \
	tests/live/test_notify_rate.py \
	tests/live/test_notify_storm.py \
	tests/live/test_outputs.py \
	tests/live/test_phases.py \
	tests/live/test_refused.py \
	tests/live/test_relay.py \
	tests/live/test_relay_fds.py \
	tests/live/test_remote_compare.py \
	tests/live/test_remote_set.py \
	tests/live/test_run.py \
	tests/live/test_sasl.py \
	tests/live/test_snmp.py \
	tests/live/test_soak.py \
	tests/live/test_start.py \
	tests/live/test_state.py \
	tests/live/test_storm.py \
	tests/live/test_streams.py \
	tests/live/test_tcp.py \
	tests/live/test_tls.py \
	tests/live/test_tls_descriptors.py \
	tests/live/test_torn.py \
	tests/live/test_transaction.py \
	tests/live/test_upstreams.py \
	tests/live/test_watchdog.py \
	tests/live/tools/traphandle.sh \
	tests/live/traps.py \
	tests/live/upstream.py \
	tests/live/virt_admin_compare.py

# What live tests run beside the daemons; made by 'make', since ./run-tests --live makes no more.
noinst_PROGRAMS += tests/live/tools/state-save tests/live/tools/subagent
tests_live_tools_state_save_SOURCES = tests/live/tools/state-save.c
tests_live_tools_state_save_LDADD = libvadm-daemon.la libvadm-common.la $(GLIB_LIBS)
tests_live_tools_subagent_SOURCES = tests/live/tools/subagent.c
tests_live_tools_subagent_CFLAGS = $(AM_CFLAGS) $(NETSNMP_CFLAGS)
tests_live_tools_subagent_LDADD = $(NETSNMP_LIBS) $(GLIB_LIBS)
# loaded into virsh, which no sanitizer was built into
noinst_LTLIBRARIES += tests/live/tools/virsh-jobs.la
tests_live_tools_virsh_jobs_la_SOURCES = tests/live/tools/virsh-jobs.c
tests_live_tools_virsh_jobs_la_CFLAGS = -std=gnu11 $(WARN_CFLAGS) $(GLIB_CFLAGS)
tests_live_tools_virsh_jobs_la_LDFLAGS = -module -avoid-version -shared -rpath /nonexistent
tests_live_tools_virsh_jobs_la_LIBADD = $(GLIB_LIBS)
