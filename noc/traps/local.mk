# SPDX-License-Identifier: LGPL-2.1-or-later
trapsdir = $(pkgdatadir)/traps
dist_traps_DATA = noc/traps/VirtadmTraps.pm noc/traps/nagios-events.cfg \
	noc/traps/nagios-traps.pl noc/traps/zabbix-traps.pl
nodist_traps_DATA = noc/traps/events.txt noc/traps/snmptrapd.conf noc/traps/snmptt.conf
NOC_FILLED += noc/traps/snmptrapd.conf
CLEANFILES += noc/traps/events.txt noc/traps/snmptt.conf

noc/traps/snmptt.conf: $(MKMIB_DEPS)
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(MKMIB) --snmptt $(srcdir)/$(MIB_SOURCE) >$@.tmp && \
	mv $@.tmp $@
noc/traps/events.txt: $(MKMIB_DEPS)
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(MKMIB) --events $(srcdir)/$(MIB_SOURCE) >$@.tmp && \
	mv $@.tmp $@
