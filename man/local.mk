# SPDX-License-Identifier: LGPL-2.1-or-later
dist_man_MANS += man/virtadmd.8 man/virtadmd.conf.5 man/virtadm-agent.8 man/virtadm-agent.conf.5
