/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtadm-agent --discover: looks for admin sockets of libvirt daemons, asks who is behind them,
 * and writes a configuration.
 */
#ifndef VADM_AGENT_DISCOVER_H
#define VADM_AGENT_DISCOVER_H

#include <glib.h>

/**
 * vadm_discover: looks in libvirt's folders of the system and of the user's session, and waits at
 * most a few seconds for answers.
 * @run_dir: in the place of /run
 *
 * Connecting starts a daemon that systemd starts on demand. Runs the default main context; main
 * thread. Returns: (transfer full): the text of a configuration file; those who do not answer stand
 * in comments
 */
char *vadm_discover(const char *run_dir);

#endif
