# SPDX-License-Identifier: LGPL-2.1-or-later
prometheusdir = $(pkgdatadir)/prometheus
PROMETHEUS_FILLED = noc/prometheus/prometheus.yml noc/prometheus/prometheus-before-0.23.yml \
	noc/prometheus/virtadm-settings.rules.yml noc/prometheus/virtadm.rules.yml \
	noc/prometheus/grafana-virtadm.json
PROMETHEUS_GENERATED = noc/prometheus/generator.yml noc/prometheus/generator-before-0.23.yml \
	noc/prometheus/snmp.yml noc/prometheus/snmp-before-0.23.yml
NOC_FILLED += $(PROMETHEUS_FILLED)
nodist_prometheus_DATA = $(PROMETHEUS_FILLED) $(PROMETHEUS_GENERATED)
CLEANFILES += $(PROMETHEUS_GENERATED)

$(PROMETHEUS_GENERATED): $(MKMIB_DEPS)
	$(AM_V_GEN)$(MKDIR_P) $(@D) && \
	$(MKMIB) --prometheus=`basename $@ .yml` $(srcdir)/$(MIB_SOURCE) >$@.tmp && mv $@.tmp $@
