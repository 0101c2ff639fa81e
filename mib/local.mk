# SPDX-License-Identifier: LGPL-2.1-or-later
# Everything that carries an OID is generated from the one MIB source and the one root.
MIB_SOURCE = mib/LIBVIRT-ADMIN-MIB.txt.in
MIB_GENERATED = mib/LIBVIRT-ADMIN-MIB.txt mib/lva-mib.h mib/lva-objects.inc mib/lva-names.sed
EXTRA_DIST += $(MIB_SOURCE) mib/mkmib.pl
BUILT_SOURCES += $(MIB_GENERATED)
CLEANFILES += $(MIB_GENERATED)

mibdir = $(datadir)/snmp/mibs
nodist_mib_DATA = mib/LIBVIRT-ADMIN-MIB.txt

mib/LIBVIRT-ADMIN-MIB.txt: $(MIB_SOURCE) mib/mkmib.pl Makefile
	$(AM_V_GEN)$(MKDIR_P) mib && \
	$(PERL) $(srcdir)/mib/mkmib.pl --root=$(MIB_ROOT) --mib $(srcdir)/$(MIB_SOURCE) >$@.tmp && mv $@.tmp $@
mib/lva-mib.h: $(MIB_SOURCE) mib/mkmib.pl Makefile
	$(AM_V_GEN)$(MKDIR_P) mib && \
	$(PERL) $(srcdir)/mib/mkmib.pl --root=$(MIB_ROOT) --header $(srcdir)/$(MIB_SOURCE) >$@.tmp && mv $@.tmp $@
mib/lva-objects.inc: $(MIB_SOURCE) mib/mkmib.pl Makefile
	$(AM_V_GEN)$(MKDIR_P) mib && \
	$(PERL) $(srcdir)/mib/mkmib.pl --root=$(MIB_ROOT) --objects $(srcdir)/$(MIB_SOURCE) >$@.tmp && mv $@.tmp $@
mib/lva-names.sed: $(MIB_SOURCE) mib/mkmib.pl Makefile
	$(AM_V_GEN)$(MKDIR_P) mib && \
	$(PERL) $(srcdir)/mib/mkmib.pl --root=$(MIB_ROOT) --names $(srcdir)/$(MIB_SOURCE) >$@.tmp && mv $@.tmp $@
