# SPDX-License-Identifier: LGPL-2.1-or-later
# What snmpd, receivers of traps and monitoring systems import. Whatever has an OID or a label in it
# is generated from the one MIB source: each file of NOC_FILLED from the template of its name with .in
# behind it (mib/NocFill.pm), the others by rules of their own.
NOC_FILLED =

include $(top_srcdir)/noc/snmpd/local.mk
include $(top_srcdir)/noc/zabbix/local.mk
include $(top_srcdir)/noc/prometheus/local.mk
include $(top_srcdir)/noc/nagios/local.mk
include $(top_srcdir)/noc/traps/local.mk

EXTRA_DIST += $(NOC_FILLED:=.in)
CLEANFILES += $(NOC_FILLED) noc/*/*.tmp

$(NOC_FILLED): %: %.in $(MKMIB_DEPS)
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(MKMIB) --fill=$< $(srcdir)/$(MIB_SOURCE) >$@.tmp && \
	mv $@.tmp $@
