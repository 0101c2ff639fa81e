# SPDX-License-Identifier: LGPL-2.1-or-later
# Programs that use the administration API; they are built against our library here, and against
# the distribution's by tests/live/test_library.py, unchanged.
EXAMPLES = clients connection errors logging servers timeout
examplesdir = $(docdir)/examples
dist_examples_DATA = $(EXAMPLES:%=docs/examples/%.c)

API_CPPFLAGS = -I$(top_srcdir)/lib/public
API_CFLAGS = -std=gnu11 $(WARN_CFLAGS) $(SAN_CFLAGS)
noinst_PROGRAMS += docs/examples/clients docs/examples/connection docs/examples/errors \
	docs/examples/logging docs/examples/servers docs/examples/timeout
docs_examples_clients_SOURCES = docs/examples/clients.c
docs_examples_clients_CPPFLAGS = $(API_CPPFLAGS)
docs_examples_clients_CFLAGS = $(API_CFLAGS)
docs_examples_clients_LDADD = libvirtadm.la
docs_examples_connection_SOURCES = docs/examples/connection.c
docs_examples_connection_CPPFLAGS = $(API_CPPFLAGS)
docs_examples_connection_CFLAGS = $(API_CFLAGS)
docs_examples_connection_LDADD = libvirtadm.la
docs_examples_errors_SOURCES = docs/examples/errors.c
docs_examples_errors_CPPFLAGS = $(API_CPPFLAGS)
docs_examples_errors_CFLAGS = $(API_CFLAGS)
docs_examples_errors_LDADD = libvirtadm.la
docs_examples_logging_SOURCES = docs/examples/logging.c
docs_examples_logging_CPPFLAGS = $(API_CPPFLAGS)
docs_examples_logging_CFLAGS = $(API_CFLAGS)
docs_examples_logging_LDADD = libvirtadm.la
docs_examples_servers_SOURCES = docs/examples/servers.c
docs_examples_servers_CPPFLAGS = $(API_CPPFLAGS)
docs_examples_servers_CFLAGS = $(API_CFLAGS)
docs_examples_servers_LDADD = libvirtadm.la
docs_examples_timeout_SOURCES = docs/examples/timeout.c
docs_examples_timeout_CPPFLAGS = $(API_CPPFLAGS)
docs_examples_timeout_CFLAGS = $(API_CFLAGS)
docs_examples_timeout_LDADD = libvirtadm.la
