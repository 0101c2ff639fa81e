# SPDX-License-Identifier: LGPL-2.1-or-later
"""A virtualisation host to watch: private snmpd, libvirtd and virtadmd with clients, whose workers can
be kept busy and whose subagent can be killed."""

import contextlib
import os
import signal

import harness
from harness import Raw, open_payload, wait_for

RELAY = 2  # lvaServerIndex of the server "libvirtd"
PROC_CONNECT_OPEN = 1


def shipped(*names):
    """A file that monitoring systems import, as the build has generated it."""
    return os.path.join(harness.BUILD, "noc", *names)


class Host:
    """As it stands in place, with 20 clients at most and 4 workers. traps: configuration lines of
    snmpd that say whom to send them to (trap2sink, trapsess, informsink); server: more lines for the
    server that relays; env: virtadmd's."""

    def __init__(self, place, traps="", snmpd=None, clients=20, server="", env=None):
        self.place = place
        self.libvirtd = harness.Libvirtd(place)
        self.snmpd = snmpd or harness.Snmpd(place, traps)
        self.virtadmd = harness.Virtadmd(
            place, self.libvirtd, self.snmpd,
            server=f"max_clients = {clients}\nmax_anonymous_clients = {clients}\n"
                   "min_workers = 2\nmax_workers = 4\nprio_workers = 1\n" + server,
            extra="[notify]\nmin_interval = 0\n", env=env)

    @property
    def target(self):
        """Of a poller: SNMPv2c, community public."""
        return f"127.0.0.1:{self.snmpd.port}"

    def clients_now(self):
        return self.snmpd.get1("lvaServerClientsCurrent", RELAY)

    @contextlib.contextmanager
    def clients(self, count):
        """So many more clients, connected and idle, while the context lasts."""
        before = self.clients_now()
        with contextlib.ExitStack() as stack:
            for _ in range(count):
                client = stack.enter_context(Raw(self.virtadmd.socket, program=Raw.REMOTE))
                reply = client.call(PROC_CONNECT_OPEN, open_payload())
                if reply is None or reply[5] != 0:
                    raise AssertionError(f"a client was refused: {reply}")
            yield
        wait_for(lambda: self.clients_now() <= before, "the clients to be gone")

    def kill_agent(self):
        """virtadmd, and with it its subagent, is gone; snmpd stays."""
        self.virtadmd.process.kill(signal.SIGKILL)
        self.virtadmd.process.wait()
        wait_for(lambda: not self.snmpd.has_agent(), "snmpd to notice")

    def restart_agent(self):
        self.virtadmd.start()
