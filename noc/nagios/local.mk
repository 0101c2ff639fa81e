# SPDX-License-Identifier: LGPL-2.1-or-later
# The plugin, and the objects of Nagios and of Icinga 2 that use it.
NOC_FILLED += noc/nagios/check_virtadm noc/nagios/virtadm.cfg noc/nagios/virtadm.conf
nagiosdir = $(pkgdatadir)/nagios
nodist_nagios_SCRIPTS = noc/nagios/check_virtadm
nodist_nagios_DATA = noc/nagios/virtadm.cfg noc/nagios/virtadm.conf
