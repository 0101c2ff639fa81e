# SPDX-License-Identifier: LGPL-2.1-or-later
dist_doc_DATA = README.md CONTRIBUTING.md NEWS \
	docs/agent.md docs/architecture.md docs/benchmarks.md docs/configuration.md docs/faults.md docs/library.md docs/logging.md \
	docs/mib.md docs/notifications.md docs/protocol.md docs/relay.md docs/transactions.md \
	docs/virtadm-agent.md
exampledir = $(sysconfdir)/virtadm
dist_example_DATA = docs/virtadmd.conf.example docs/virtadmd.sasl.conf.example \
	docs/virtadm-agent.conf.example

include $(top_srcdir)/docs/examples/local.mk

# Writes the part of docs/mib.md below its marker anew: to be run after each change of the MIB
# (tests/unit/test-mib.sh fails until it has been).
.PHONY: update-mib-docs
update-mib-docs:
	sed '/^<!-- generated /q' $(srcdir)/docs/mib.md >$(srcdir)/docs/mib.md.tmp && \
	$(PERL) $(srcdir)/mib/mkmib.pl --markdown $(srcdir)/$(MIB_SOURCE) \
		>>$(srcdir)/docs/mib.md.tmp && \
	mv $(srcdir)/docs/mib.md.tmp $(srcdir)/docs/mib.md
