# SPDX-License-Identifier: LGPL-2.1-or-later
dist_doc_DATA = README.md NEWS \
	docs/agent.md docs/architecture.md docs/configuration.md docs/logging.md docs/mib.md \
	docs/protocol.md docs/relay.md docs/transactions.md
exampledir = $(sysconfdir)/virtadm
dist_example_DATA = docs/virtadmd.conf.example
