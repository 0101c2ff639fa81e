# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtadm-agent beside unmodified daemons: contexts, and clients whose identity comes late. (That all
values are those that virt-admin prints is in test_agent_walk.py.)"""

import os
import unittest

import harness
from harness import in_context, oid

UNIX = 1
UP, UNREACHABLE = 1, 2


class Values(unittest.TestCase):
    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)

    def start(self, *daemons, **how):
        self.snmpd = harness.Snmpd(self.place, contexts=[daemon.name for daemon in daemons])
        agent = harness.Agent(self.place, self.snmpd,
                              *((daemon.name, daemon.admin) for daemon in daemons), **how)
        for daemon in daemons:
            agent.wait_for_state("up", community=in_context(daemon.name))
        return agent

    def clients(self, server):
        """Indexes of the clients of a server."""
        column = oid("lvaClientTransport", server)
        return [int(name.rpartition(".")[2]) for name, _ in self.snmpd.walk(column)]

    def test_contexts(self):
        """Each daemon in its context, the first one in the default context, too, where
        lvaContextTable is. One that is away does not concern the others."""
        daemons = [harness.Libvirtd(self.place), harness.Helper(self.place, "virtlogd"),
                   harness.Helper(self.place, "virtlockd")]
        self.start(*daemons)
        for daemon in daemons:
            name = in_context(daemon.name)
            self.assertEqual(self.snmpd.get1("lvaDaemonName", community=name), daemon.name)
            self.assertEqual(self.snmpd.walk(oid("lvaContextDaemonName")[:-2], community=name), [])
        self.assertEqual(self.snmpd.get1("lvaDaemonName"), "libvirtd")
        self.assertEqual(self.snmpd.get1("lvaContextNumber"), 3)
        rows = {daemon.name: (len(daemon.name), *daemon.name.encode()) for daemon in daemons}
        for daemon in daemons:
            row = rows[daemon.name]
            self.assertEqual(self.snmpd.get1("lvaContextDaemonName", *row), daemon.name)
            self.assertEqual(self.snmpd.get1("lvaContextState", *row), UP)
            self.assertTrue(self.snmpd.get1("lvaContextUri", *row).endswith(daemon.admin))
        daemons[1].process.kill(9)
        daemons[1].process.wait()
        harness.wait_for(lambda: self.snmpd.get1("lvaContextState", *rows["virtlogd"]) ==
                         UNREACHABLE, "unreachable")
        self.assertEqual(self.snmpd.get1("lvaDaemonState"), UP)
        self.assertEqual(self.snmpd.get1("lvaContextState", *rows["virtlockd"]), UP)
        gone = in_context("virtlogd")
        self.assertEqual(self.snmpd.get1("lvaServerNumber", community=gone), 0)
        self.assertEqual(self.snmpd.get(oid("lvaDaemonVersion"), oid("lvaLogLevel"),
                                        oid("lvaServerName", 1), community=gone), [None] * 3)

    def test_agent_is_shown_truthfully(self):
        """Its own connection is a client of the admin server like any other."""
        libvirtd = harness.Libvirtd(self.place)
        agent = self.start(libvirtd)
        (index,) = harness.wait_for(lambda: self.clients(1), "the agent")
        harness.wait_for(lambda: self.snmpd.get1("lvaClientUnixProcessId", 1, index) ==
                         agent.process.pid, "its identity")

    def test_late_identity(self):
        """A client that has said nothing is a row without the columns of its identity."""
        libvirtd = harness.Libvirtd(self.place)
        self.start(libvirtd)
        with harness.Raw(libvirtd.socket, harness.Raw.REMOTE) as silent:
            (index,) = harness.wait_for(lambda: self.clients(2), "the client")
            self.assertEqual(self.snmpd.get1("lvaClientTransport", 2, index), UNIX)
            self.assertEqual(self.snmpd.get1("lvaClientPeer", 2, index), "unix")
            self.assertIsNone(self.snmpd.get1("lvaClientUnixProcessId", 2, index))
            silent.call(1, harness.open_payload())
            harness.wait_for(lambda: self.snmpd.get1("lvaClientUnixProcessId", 2, index) ==
                             os.getpid(), "the identity")
            self.assertEqual(self.snmpd.get1("lvaClientPeer", 2, index),
                             f"unix:pid={os.getpid()},uid={os.geteuid()}")

    def test_a_single_source_in_a_context(self):
        libvirtd = harness.Libvirtd(self.place)
        self.snmpd = harness.Snmpd(self.place, contexts=["elsewhere", "libvirtd"])
        agent = harness.Agent(self.place, None, ("libvirtd", libvirtd.admin),
                              snmp=f"context = elsewhere\nmaster = unix:{self.snmpd.agentx}")

        def name_in(community, timeout=5):
            return self.snmpd.tool("snmpget", oid("lvaDaemonName"), community=community,
                                   timeout=timeout)[1]
        harness.wait_for(lambda: "libvirtd" in name_in(in_context("elsewhere"), timeout=0.5),
                         agent.log_text)
        self.assertIn("No Such Object", name_in(harness.READ))
        # snmpd answers nothing at all for a context that nobody has registered
        self.assertEqual(name_in(in_context("libvirtd"), timeout=0.5), "")

    def test_beside_virtadmd(self):
        """Both on one host: virtadmd has the default context and that of its name."""
        libvirtd = harness.Libvirtd(self.place)
        self.snmpd = harness.Snmpd(self.place, contexts=["libvirtd", "virtadmd"])
        harness.Virtadmd(self.place, libvirtd, self.snmpd)
        agent = harness.Agent(self.place, self.snmpd, ("libvirtd", libvirtd.admin),
                              snmp="context = libvirtd")
        agent.wait_for_state("up", community=in_context("libvirtd"))
        self.assertEqual(self.snmpd.get1("lvaDaemonName"), "virtadmd")
        self.assertEqual(self.snmpd.get1("lvaDaemonName", community=in_context("virtadmd")),
                         "virtadmd")
        # the relay's connections are clients of libvirtd
        with harness.idle_virsh(self.place, os.path.join(self.place.path("run"), "libvirt-sock")):
            harness.wait_for(lambda: self.snmpd.get1("lvaServerClientsCurrent", 2,
                                                     community=in_context("libvirtd")) == 1,
                             "virtadmd's connection")

    def test_refused_context(self):
        """virtadmd has the default context: the agent serves what is left, and takes the context
        when it is free."""
        libvirtd = harness.Libvirtd(self.place)
        self.snmpd = harness.Snmpd(self.place, contexts=["libvirtd"])
        virtadmd = harness.Virtadmd(self.place, libvirtd, self.snmpd)
        agent = harness.Agent(self.place, self.snmpd, ("libvirtd", libvirtd.admin))
        agent.wait_for_state("up", community=in_context("libvirtd"))
        self.assertEqual(self.snmpd.get1("lvaDaemonName"), "virtadmd")
        harness.wait_for(lambda: "refuses to register the MIB in the default context" in
                         agent.log_text(), agent.log_text)
        virtadmd.stop()
        harness.wait_for(lambda: self.snmpd.get1("lvaDaemonName") == "libvirtd", agent.log_text)
        self.assertEqual(agent.log_text().count("refuses to register"), 1)


if __name__ == "__main__":
    unittest.main()
