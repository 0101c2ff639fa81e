# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtadm-agent beside unmodified daemons: what it serves is what virt-admin prints."""

import datetime
import os
import re
import unittest

import harness
from harness import AdminShell, in_context, oid

UNIX, TCP, TLS = 1, 2, 3
TRUE, FALSE = 1, 2
# Columns of lvaServerTable that there are beside a daemon that is not ours, 2 to 24 of them
SERVER_COLUMNS = {*range(2, 16), 17}
CLIENT_COLUMNS = {*range(2, 17), 21, 22, 23}
THREADPOOL = {"minWorkers": "lvaServerWorkersMin", "maxWorkers": "lvaServerWorkersMax",
              "nWorkers": "lvaServerWorkersCurrent", "freeWorkers": "lvaServerWorkersFree",
              "prioWorkers": "lvaServerWorkersPriority", "jobQueueDepth": "lvaServerJobQueueDepth"}
LIMITS = {"nclients_max": "lvaServerClientsMax", "nclients": "lvaServerClientsCurrent",
          "nclients_unauth_max": "lvaServerClientsUnauthMax",
          "nclients_unauth": "lvaServerClientsUnauthCurrent"}
CLIENT = {"id": "lvaClientId", "unix_user_id": "lvaClientUnixUserId",
          "unix_user_name": "lvaClientUnixUserName", "unix_group_id": "lvaClientUnixGroupId",
          "unix_group_name": "lvaClientUnixGroupName", "unix_process_id": "lvaClientUnixProcessId",
          "selinux_context": "lvaClientSelinuxContext", "sasl_user_name": "lvaClientSaslUserName"}


class Walk:
    """A whole walk of one context: instances by name and index."""

    def __init__(self, snmpd, **how):
        self.values = {}
        names = {number: name for name, number in harness.OIDS.items()}
        for instance, value in snmpd.walk(**how):
            number = instance
            while number not in names or names[number].endswith(("Entry", "Table")):
                number = number.rpartition(".")[0]
            index = instance[len(number) + 1:]
            self.values[names[number], tuple(map(int, index.split(".")))] = value

    def get(self, name, *index):
        return self.values.get((name, index or (0,)))

    def servers(self):
        return {value: index[0] for (name, index), value in self.values.items()
                if name == "lvaServerName"}

    def clients(self, server):
        """Their indexes by id."""
        return {value: index[1] for (name, index), value in self.values.items()
                if name == "lvaClientId" and index[0] == server}

    def columns(self, table):
        """Numbers of the columns that have instances."""
        prefix = harness.OIDS[table + "Entry"]
        return {int(harness.OIDS[name][len(prefix) + 1:]) for name, _ in self.values
                if harness.OIDS[name].startswith(prefix + ".")}


class Values(unittest.TestCase):
    """Each value of each table and scalar that the daemon has, in each context."""

    maxDiff = None

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

    def printed(self, shell, daemon):
        """What virt-admin prints, as the walk should have it: {(name, index): value}."""
        wanted = {}
        names = sorted(row[1] for row in shell.rows("server-list"))
        order = ["admin", daemon.name] + [name for name in names
                                          if name not in ("admin", daemon.name)]
        self.assertEqual(set(order), set(names))
        for index, name in enumerate(order, 1):
            wanted["lvaServerName", (index,)] = name
            for columns, command in (THREADPOOL, "server-threadpool-info"), \
                    (LIMITS, "server-clients-info"):
                for key, value in shell.table(command, name).items():
                    wanted[columns[key], (index,)] = int(value)
            for client in shell.rows("client-list", name):
                wanted |= self.printed_client(shell, name, index, client)
        wanted["lvaLogFilters", (0,)] = re.sub(r":\*(\S*)\*", r":\1",
                                               shell.ask("daemon-log-filters")).strip()
        wanted["lvaLogOutputs", (0,)] = shell.ask("daemon-log-outputs").strip()
        wanted["lvaDaemonVersion", (0,)] = re.search(r"daemon: (\S+)", shell.ask("version"))[1]
        wanted["lvaServerNumber", (0,)] = len(order)
        wanted["lvaClientNumber", (0,)] = sum(name == "lvaClientId" for name, _ in wanted)
        return wanted

    def printed_client(self, shell, server, index, row):
        number, transport, since = row[0], row[1], " ".join(row[2:])
        info = shell.table("client-info", server, number)
        at = (index, int(number))
        wanted = {("lvaClientId", at): int(number)}
        for key, value in info.items():
            if key in CLIENT:
                wanted[CLIENT[key], at] = int(value) if value.isdigit() else value
        wanted["lvaClientTransport", at] = {"unix": UNIX, "tcp": TCP, "tls": TLS}[transport]
        wanted["lvaClientReadOnly", at] = {"yes": TRUE, "no": FALSE}[info["readonly"]]
        when = datetime.datetime.strptime(since, "%Y-%m-%d %H:%M:%S%z").astimezone(
            datetime.timezone.utc)
        wanted["lvaClientConnectedSince", at] = (when.year.to_bytes(2, "big") + bytes(
            [when.month, when.day, when.hour, when.minute, when.second, 0]) + b"+\0\0").decode(
                "latin-1")
        wanted["lvaClientPeer", at] = \
            f"unix:pid={info['unix_process_id']},uid={info['unix_user_id']}"
        return wanted

    def compare(self, daemon, **how):
        """The agent's refreshes and virt-admin's questions are at different times: they agree once
        nothing changes."""
        shell = AdminShell(self.place, daemon.admin)
        shell.ask("server-list")
        found = {}

        def agree():
            wanted = self.printed(shell, daemon)
            walk = Walk(self.snmpd, **how)
            found.update(wanted=wanted, walk=walk)
            return all(walk.values.get(key) == value for key, value in wanted.items()) and \
                sum(name == "lvaClientId" for name, _ in walk.values) == \
                wanted["lvaClientNumber", (0,)]

        try:
            harness.wait_for(agree, "the walk to be what virt-admin prints")
        except AssertionError:
            walk = {key: found["walk"].values.get(key) for key in found["wanted"]}
            self.assertEqual(walk, found["wanted"])
            raise
        shell.end()
        return found["walk"]

    def test_libvirtd(self):
        """With clients of both sockets, filters, an output, limits and pools of its own."""
        libvirtd = harness.Libvirtd(self.place, extra="""\
min_workers = 3
max_workers = 33
prio_workers = 4
max_clients = 44
max_anonymous_clients = 11
admin_max_clients = 9
admin_min_workers = 2
admin_max_workers = 6
log_filters = "1:util.json 3:*rpc* 4:qemu"
""")
        self.start(libvirtd)
        for n in range(3):
            self.place.enter_context(harness.idle_virsh(
                self.place, libvirtd.socket, f"virsh{n}", readonly=False))
        if os.geteuid() == 0:
            self.place.enter_context(harness.idle_virsh(
                self.place, libvirtd.socket_ro, "virsh-ro", readonly=True))
        n_clients = 4 if os.geteuid() == 0 else 3
        harness.wait_for(lambda: self.snmpd.get1("lvaServerClientsCurrent", 2) == n_clients,
                         "the clients")
        walk = self.compare(libvirtd)
        self.assertEqual(walk.servers(), {"admin": 1, "libvirtd": 2})
        self.assertEqual(walk.columns("lvaServer"), SERVER_COLUMNS)
        self.assertEqual(walk.columns("lvaClient"), CLIENT_COLUMNS)
        self.assertEqual(walk.columns("lvaService"), set())
        self.assertEqual(len(walk.clients(2)), n_clients)
        self.assertEqual(walk.get("lvaLogFilters"), "1:util.json 3:*rpc* 4:qemu")
        # in its own context it is the same
        self.compare(libvirtd, community=in_context("libvirtd"))

    def test_agent_is_shown_truthfully(self):
        """Its own connection is a client of the admin server like any other."""
        libvirtd = harness.Libvirtd(self.place)
        agent = self.start(libvirtd)
        walk = harness.wait_for(lambda: Walk(self.snmpd).clients(1) and Walk(self.snmpd), "it")
        pids = [value for (name, _), value in walk.values.items()
                if name == "lvaClientUnixProcessId"]
        self.assertEqual(pids, [agent.process.pid])

    def test_all_daemons(self):
        """libvirtd, virtlogd and virtlockd by one agent, each in its context; the first one in the
        default context, too, where lvaContextTable is."""
        daemons = [harness.Libvirtd(self.place), harness.Helper(self.place, "virtlogd"),
                   harness.Helper(self.place, "virtlockd")]
        self.start(*daemons)
        for daemon in daemons:
            with self.subTest(daemon.name):
                walk = self.compare(daemon, community=in_context(daemon.name))
                self.assertEqual(walk.servers(), {"admin": 1, daemon.name: 2})
                self.assertEqual(walk.get("lvaDaemonName"), daemon.name)
                self.assertEqual(walk.columns("lvaContext"), set())
        walk = Walk(self.snmpd)
        self.assertEqual(walk.get("lvaDaemonName"), "libvirtd")
        self.assertEqual(walk.get("lvaContextNumber"), 3)
        for daemon in daemons:
            index = (len(daemon.name), *daemon.name.encode())
            self.assertEqual(walk.get("lvaContextDaemonName", *index), daemon.name)
            self.assertEqual(walk.get("lvaContextState", *index), 1)
            self.assertTrue(walk.get("lvaContextUri", *index).endswith(daemon.admin))
        daemons[1].process.kill(9)
        daemons[1].process.wait()
        index = (8, *b"virtlogd")
        harness.wait_for(lambda: self.snmpd.get1("lvaContextState", *index) == 2, "unreachable")
        self.assertEqual(self.snmpd.get1("lvaDaemonState"), 1)

    def test_unknown_identity(self):
        """A client that has said nothing is a row without the columns of its identity."""
        libvirtd = harness.Libvirtd(self.place)
        self.start(libvirtd)
        with harness.Raw(libvirtd.socket, harness.Raw.REMOTE) as silent:
            harness.wait_for(lambda: Walk(self.snmpd).clients(2), "the client")
            walk = Walk(self.snmpd)
            (index,) = walk.clients(2).values()
            self.assertEqual(walk.get("lvaClientTransport", 2, index), UNIX)
            self.assertEqual(walk.get("lvaClientPeer", 2, index), "unix")
            self.assertIsNone(walk.get("lvaClientUnixProcessId", 2, index))
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

        def name_in(community):
            return self.snmpd.tool("snmpget", oid("lvaDaemonName"), community=community,
                                   timeout=0.5)[1]
        harness.wait_for(lambda: "libvirtd" in name_in(in_context("elsewhere")), agent.log_text)
        self.assertIn("No Such Object", name_in(harness.READ))
        # snmpd answers nothing at all for a context that nobody has registered
        self.assertEqual(name_in(in_context("libvirtd")), "")


if __name__ == "__main__":
    unittest.main()
