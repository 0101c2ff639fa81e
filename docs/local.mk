# SPDX-License-Identifier: LGPL-2.1-or-later
# one file a line, sorted
dist_doc_DATA = README.md CONTRIBUTING.md NEWS
dist_doc_DATA += docs/agent.md
dist_doc_DATA += docs/architecture.md
dist_doc_DATA += docs/benchmarks.md
dist_doc_DATA += docs/configuration.md
dist_doc_DATA += docs/faults.md
dist_doc_DATA += docs/library.md
dist_doc_DATA += docs/logging.md
dist_doc_DATA += docs/mib.md
dist_doc_DATA += docs/nagios.md
dist_doc_DATA += docs/notifications.md
dist_doc_DATA += docs/packages.md
dist_doc_DATA += docs/prometheus.md
dist_doc_DATA += docs/protocol.md
dist_doc_DATA += docs/relay.md
dist_doc_DATA += docs/start.md
dist_doc_DATA += docs/transactions.md
dist_doc_DATA += docs/traps.md
dist_doc_DATA += docs/troubleshooting.md
dist_doc_DATA += docs/virtadm-agent.md
dist_doc_DATA += docs/zabbix.md
docimagesdir = $(docdir)/images
dist_docimages_DATA =
dist_docimages_DATA += docs/images/nagios-services.png
dist_docimages_DATA += docs/images/overview.svg
dist_docimages_DATA += docs/images/prometheus-alerts.png
dist_docimages_DATA += docs/images/prometheus-graph.png
dist_docimages_DATA += docs/images/zabbix-dashboard.png
dist_docimages_DATA += docs/images/zabbix-latest.png
dist_docimages_DATA += docs/images/zabbix-problems.png
exampledir = $(sysconfdir)/virtadm
dist_example_DATA = docs/virtadmd.conf.example docs/virtadmd.sasl.conf.example \
	docs/virtadm-agent.conf.example

include $(top_srcdir)/docs/examples/local.mk

# The sheet of OIDs: docs/oids.md is for readers of the sources and has the default root, what is
# installed has that of this build.
EXTRA_DIST += docs/oids.md docs/oids.md.in
nodist_doc_DATA = docs/oids.txt
CLEANFILES += docs/oids.txt docs/oids.txt.tmp
docs/oids.txt: docs/oids.md.in $(MKMIB_DEPS)
	$(AM_V_GEN)$(MKDIR_P) docs && $(MKMIB) --sheet=$(srcdir)/docs/oids.md.in \
		$(srcdir)/$(MIB_SOURCE) >$@.tmp && mv $@.tmp $@

# Installed, all pages are in one folder.
install-data-hook:
	cd "$(DESTDIR)$(docdir)" && for page in *.md; do \
		sed -e 's|](docs/|](|g' -e 's|](\.\./\([A-Z]\)|](\1|g' -e 's|](oids\.md)|](oids.txt)|g' \
			"$$page" >page.tmp && cat page.tmp >"$$page" && rm page.tmp || exit 1; \
	done

# Writes docs/oids.md, and the part of docs/mib.md below its marker, anew: to be run after each change
# of the MIB (tests/unit/test-mib.sh fails until it has been).
.PHONY: update-mib-docs
update-mib-docs:
	sed '/^<!-- generated /q' $(srcdir)/docs/mib.md >$(srcdir)/docs/mib.md.tmp && \
	$(PERL) $(srcdir)/mib/mkmib.pl --markdown $(srcdir)/$(MIB_SOURCE) \
		>>$(srcdir)/docs/mib.md.tmp && \
	mv $(srcdir)/docs/mib.md.tmp $(srcdir)/docs/mib.md
	$(PERL) $(srcdir)/mib/mkmib.pl --root=$(MIB_DEFAULT_ROOT) --sheet=$(srcdir)/docs/oids.md.in \
		$(srcdir)/$(MIB_SOURCE) >$(srcdir)/docs/oids.md.tmp && \
	mv $(srcdir)/docs/oids.md.tmp $(srcdir)/docs/oids.md
