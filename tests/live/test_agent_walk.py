# SPDX-License-Identifier: LGPL-2.1-or-later
"""All that virtadm-agent serves is what the stock virt-admin prints, nothing more and nothing less,
beside libvirtd, virtlogd and virtlockd."""

import os
import socket
import struct
import time
import unittest

import harness
import remote_compare
import test_sasl
from harness import Raw

HIGH = 60     # clients_high_percent
YOUNG = 2     # seconds: a client may still become read-only
SETTLED = 5   # seconds: the identity of such a client is not asked for again without a reason
OPEN, AUTH_LIST, LIST_SERVERS, LOG_POSITION = 1, 66, 4, 2
TRUE, FALSE = 1, 2
LOG_MANAGER = 0x87539319
ALL = struct.pack(">II", 1, 0)  # a list and not only its length, no flags
ROOT = os.geteuid() == 0


class Walking:
    """For a test case with a place."""

    def start(self, *daemons):
        """The first one is in the default context, too."""
        self.snmpd = harness.Snmpd(self.place, contexts=[daemon.name for daemon in daemons])
        self.daemons = daemons
        self.agent = harness.Agent(
            self.place, self.snmpd, *((daemon.name, daemon.admin) for daemon in daemons),
            each=f"clients_high_percent = {HIGH}")

    def uri(self, daemon):
        return f"libvirtd:///system?socket={daemon.admin}"

    def agree(self, n_clients=None):
        """In each context. n_clients: in the default one, without the agent and virt-admin."""
        contexts = [(daemon.name, self.uri(daemon)) for daemon in self.daemons]
        self.compare(self.daemons[0], harness.READ, contexts)
        if n_clients is not None:
            harness.wait_for(lambda: self.snmpd.get1("lvaClientNumber") == n_clients + 1,
                             lambda: f"{n_clients} clients and the agent")
        for daemon in self.daemons:
            self.compare(daemon, harness.in_context(daemon.name), ())

    def compare(self, daemon, community, contexts):
        found = remote_compare.compare(self.snmpd, self.uri(daemon), daemon.name, community, HIGH,
                                       contexts)
        self.assertEqual(found, [], "\n".join(found) + self.agent.log_text()[-3000:])

    def raw(self, path, program=Raw.ADMIN, *call):
        client = self.place.enter_context(Raw(path, program))
        if call:
            self.assertIsNotNone(client.call(*call))
        return client

    def virsh(self, path, name, **how):
        self.place.enter_context(harness.idle_virsh(self.place, path, name, **how))
        harness.wait_for(lambda: "virsh" in self.place.read(name + ".out"), "its prompt")

    def settings(self, daemon, *lines):
        for line in lines:
            status, _, err = harness.virt_admin(daemon.admin, *line)
            self.assertEqual(status, 0, err)


class Walk(unittest.TestCase, Walking):
    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)

    def test_libvirtd(self):
        """Clients of every kind, at rest and after changes of whatever can be changed."""
        port = harness.free_port(socket.SOCK_STREAM)
        libvirtd = harness.Libvirtd(self.place, extra=f"""\
listen_tls = 0
listen_tcp = 1
listen_addr = "127.0.0.1"
tcp_port = "{port}"
auth_tcp = "none"
""", options=("--listen",))
        self.start(libvirtd)
        self.agree(0)
        self.virsh(libvirtd.socket, "rw")
        self.virsh(libvirtd.socket, "read-only by its own wish", readonly=True)
        self.virsh(libvirtd.socket_ro if ROOT else libvirtd.socket, "ro", readonly=True)
        self.raw(libvirtd.socket)  # never speaks
        silent = self.raw(libvirtd.socket, Raw.REMOTE)  # for now
        self.raw(libvirtd.socket, Raw.REMOTE, AUTH_LIST)
        self.raw(libvirtd.admin)
        self.raw(libvirtd.admin, Raw.ADMIN, LIST_SERVERS, ALL)
        speaking, _ = (self.tcp(port, speaks) for speaks in (True, False))
        self.agree(10)
        silent.call(AUTH_LIST)
        self.settings(libvirtd,
                      ("server-threadpool-set", "libvirtd", "--min-workers", "7", "--max-workers",
                       "9", "--priority-workers", "3"),
                      ("server-clients-set", "libvirtd", "--max-clients", "8",
                       "--max-unauth-clients", "0"),  # it is full now
                      ("server-clients-set", "admin", "--max-clients", "11"),
                      ("daemon-log-filters", "1:qemu 3:*rpc* 3:++odd 2:* 4:late"),
                      ("daemon-log-outputs", f"2:file:{self.place.path('one.log')} 4:stderr"))
        self.agree(10)
        speaking.close()
        self.settings(libvirtd, ("server-clients-set", "libvirtd", "--max-clients", "11"),  # high
                      ("daemon-log-filters", ""))
        self.agree(9)

    def test_late_wish(self):
        """One that wishes to be read-only when the agent has seen it already, but only just."""
        libvirtd = harness.Libvirtd(self.place)
        self.start(libvirtd)
        while True:
            began = time.monotonic()
            client = Raw(libvirtd.socket, Raw.REMOTE)
            client.call(AUTH_LIST)
            harness.wait_for(lambda: FALSE in self.read_only(), "it in the table")
            if time.monotonic() - began < YOUNG:
                break
            client.sock.close()  # a busy machine
            harness.wait_for(lambda: not self.read_only(), "its end")
        with client:
            client.call(OPEN, harness.open_payload(flags=1))
            self.agree(1)
            self.assertEqual(self.read_only(), [TRUE])

    def read_only(self):
        """Of the clients of the main server."""
        column = harness.oid("lvaClientReadOnly", 2).removesuffix(".0")
        return [value for _, value in self.snmpd.walk(column)]

    def tcp(self, port, speaks):
        client = self.place.enter_context(socket.create_connection(("127.0.0.1", port)))
        if speaks:
            client.sendall(struct.pack(">IIIiIII", 28, Raw.REMOTE, 1, AUTH_LIST, 0, 0, 0))
            self.assertTrue(client.recv(28))
        return client

    def test_after_coming_and_going(self):
        """Hundreds that came and went leave nothing, and those that stay are told apart."""
        libvirtd = harness.Libvirtd(self.place)
        self.start(libvirtd)
        for number in range(300):
            client = self.raw(*((libvirtd.socket, Raw.REMOTE, AUTH_LIST), (
                libvirtd.admin, Raw.ADMIN, LIST_SERVERS, ALL))[number % 2])
            if number % 43:
                client.sock.close()
        self.agree(7)
        libvirtd.process.end()
        libvirtd.start()  # the clients are gone, and their numbers are given anew
        self.raw(libvirtd.socket)
        self.agent.wait_for_state("up")
        self.agree(1)

    def test_helpers(self):
        """Daemons without worker pools, which do not answer several calls at once."""
        virtlogd = harness.Helper(self.place, "virtlogd")
        virtlockd = harness.Helper(self.place, "virtlockd")
        self.start(virtlogd, virtlockd)
        self.agree(0)
        for daemon in self.daemons:
            self.raw(daemon.socket)
            self.raw(daemon.admin)
        path = harness.xdr_string("/nonexistent")
        self.raw(virtlogd.socket, LOG_MANAGER, LOG_POSITION, path + struct.pack(">I", 0))
        self.settings(virtlogd, ("server-clients-set", "virtlogd", "--max-clients", "40",
                                 "--max-unauth-clients", "40"), ("daemon-log-filters", "2:*"))
        self.settings(virtlockd, ("server-threadpool-set", "virtlockd", "--priority-workers", "2"))
        self.agree(3)

    def test_virtadmd(self):
        """Its admin socket is served like that of any other daemon."""
        daemon = harness.Virtadmd(self.place, harness.Libvirtd(self.place))
        self.start(daemon)
        self.virsh(daemon.socket, "rw")
        self.raw(daemon.socket)
        self.raw(daemon.admin)
        self.settings(daemon, ("daemon-log-filters", "1:rpc 2:*"),
                      ("server-threadpool-set", "libvirtd", "--min-workers", "3"))
        self.agree(3)


class Sasl(test_sasl.Case, Walking):
    def test_libvirtd(self):
        """Who has authenticated itself, in time or late, and who has not."""
        libvirtd = self.run_libvirtd()
        self.start(libvirtd)
        self.virsh(libvirtd.socket, "fred", env=self.credentials("fred@example"))
        late, _ = (self.raw(libvirtd.socket, Raw.REMOTE, AUTH_LIST) for _ in range(2))
        self.raw(libvirtd.socket)
        connected = time.time()
        self.agree(4)
        self.assertEqual(self.snmpd.get1("lvaServerClientsUnauthCurrent", 2), 3)
        harness.wait_for(lambda: time.time() - connected > SETTLED, "them to be no news any more")
        self.assertEqual(test_sasl.enter(late, "anna@example")[5], 0)
        self.settings(libvirtd, ("server-clients-set", "libvirtd", "--max-unauth-clients",
                                 "2"))  # as many as there are
        self.agree(4)


if __name__ == "__main__":
    unittest.main()
