# SPDX-License-Identifier: LGPL-2.1-or-later
# Debian packages: dpkg-buildpackage -us -uc -b
EXTRA_DIST += \
	debian/changelog \
	debian/clean \
	debian/conf/virtadm-agent.conf \
	debian/conf/virtadmd.conf \
	debian/control \
	debian/copyright \
	debian/libvirtadm-dev.examples \
	debian/libvirtadm-dev.install \
	debian/libvirtadm0.install \
	debian/libvirtadm0.symbols \
	debian/local.mk \
	debian/not-installed \
	debian/rules \
	debian/source/format \
	debian/tests/control \
	debian/tests/smoke \
	debian/virtadm-agent.examples \
	debian/virtadm-agent.install \
	debian/virtadm-agent.postrm \
	debian/virtadm-common.install \
	debian/virtadmd.examples \
	debian/virtadmd.install \
	debian/virtadmd.postrm
