# SPDX-License-Identifier: LGPL-2.1-or-later
# Units, and what sysusers.d and tmpfiles.d have, for packages to install where their system wants them.
unitdir = $(datadir)/virtadm
UNITS = systemd/virtadmd.service systemd/virtadm-agent.service
nodist_unit_DATA = $(UNITS)
dist_unit_DATA = systemd/virtadmd.sysusers systemd/virtadmd.tmpfiles systemd/virtadm-agent.tmpfiles
EXTRA_DIST += systemd/virtadmd.service.in systemd/virtadm-agent.service.in
CLEANFILES += $(UNITS)

$(UNITS): %: %.in Makefile
	$(AM_V_GEN)$(MKDIR_P) systemd && \
	sed -e 's|@sbindir[@]|$(sbindir)|g' -e 's|@SERVICE_TYPE[@]|$(SERVICE_TYPE)|g' \
	    -e 's|@WATCHDOG[@]|$(WATCHDOG)|g' $< >$@.tmp && \
	mv $@.tmp $@
