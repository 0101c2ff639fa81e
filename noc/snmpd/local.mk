# SPDX-License-Identifier: LGPL-2.1-or-later
snmpddir = $(pkgdatadir)/snmpd
nodist_snmpd_DATA = noc/snmpd/virtadm.conf
NOC_FILLED += noc/snmpd/virtadm.conf
