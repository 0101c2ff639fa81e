# SPDX-License-Identifier: LGPL-2.1-or-later
zabbixdir = $(pkgdatadir)/zabbix
nodist_zabbix_DATA = noc/zabbix/libvirt-daemon-snmp.yaml
NOC_FILLED += noc/zabbix/libvirt-daemon-snmp.yaml
