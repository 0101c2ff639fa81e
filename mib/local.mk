# SPDX-License-Identifier: LGPL-2.1-or-later
# Everything that carries an OID is generated from the one MIB source and the one root.
MIB_SOURCE = mib/LIBVIRT-ADMIN-MIB.txt.in
MIB_GENERATED = mib/LIBVIRT-ADMIN-MIB.txt mib/lva-mib.h mib/lva-objects.inc mib/lva-names.sed \
	mib/lva-oids.txt
MIB_GENERATOR = mib/mkmib.pl mib/MibModule.pm mib/NocFill.pm mib/NocPrometheus.pm \
	mib/NocSheet.pm mib/NocTraps.pm
EXTRA_DIST += $(MIB_SOURCE) $(MIB_GENERATOR)
BUILT_SOURCES += $(MIB_GENERATED)
CLEANFILES += $(MIB_GENERATED)

mibdir = $(datadir)/snmp/mibs
nodist_mib_DATA = mib/LIBVIRT-ADMIN-MIB.txt
# names for numbers and numbers for names, where no MIB files are
nodist_pkgdata_DATA = mib/lva-names.sed mib/lva-oids.txt

# That of configure, unless told otherwise: documents in the sources have it.
MIB_DEFAULT_ROOT = 1.3.6.1.4.1.8072.9999.9999.6906
# The root is in Makefile: a new one makes all anew. A failed run leaves no result behind.
MKMIB = $(PERL) $(srcdir)/mib/mkmib.pl --root=$(MIB_ROOT)
MKMIB_DEPS = $(MIB_SOURCE) $(MIB_GENERATOR) Makefile

mib/LIBVIRT-ADMIN-MIB.txt: $(MKMIB_DEPS)
	$(AM_V_GEN)$(MKDIR_P) mib && $(MKMIB) --mib $(srcdir)/$(MIB_SOURCE) >$@.tmp && mv $@.tmp $@
mib/lva-mib.h: $(MKMIB_DEPS)
	$(AM_V_GEN)$(MKDIR_P) mib && $(MKMIB) --header $(srcdir)/$(MIB_SOURCE) >$@.tmp && mv $@.tmp $@
mib/lva-objects.inc: $(MKMIB_DEPS)
	$(AM_V_GEN)$(MKDIR_P) mib && $(MKMIB) --objects $(srcdir)/$(MIB_SOURCE) >$@.tmp && mv $@.tmp $@
mib/lva-names.sed: $(MKMIB_DEPS)
	$(AM_V_GEN)$(MKDIR_P) mib && $(MKMIB) --names $(srcdir)/$(MIB_SOURCE) >$@.tmp && mv $@.tmp $@
mib/lva-oids.txt: $(MKMIB_DEPS)
	$(AM_V_GEN)$(MKDIR_P) mib && $(MKMIB) --oids $(srcdir)/$(MIB_SOURCE) >$@.tmp && mv $@.tmp $@
CLEANFILES += mib/*.tmp
