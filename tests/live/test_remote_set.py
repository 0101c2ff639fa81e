# SPDX-License-Identifier: LGPL-2.1-or-later
"""SET at unmodified daemons, over virtadm-agent: what is set is what virt-admin shows, and back; and
what the daemon is not asked, or refuses."""

import os
import random
import re
import shutil
import signal
import tempfile
import time
import unittest

import harness
import remote_compare
from harness import oid

ADMIN, MAIN = 1, 2  # lvaServerIndex
CONNECTED, DISCONNECT = 1, 2
SNMP, ADMIN_RPC = 3, 2  # lvaConfigLastOrigin
DEFAULT = 5  # lvaLogLevel
HIGH = 33    # percent

WRONG_VALUE = "wrongValue"
INCONSISTENT = "inconsistentValue"
UNAVAILABLE = "resourceUnavailable"
COMMIT_FAILED = "commitFailed"
NO_CREATION = "noCreation"


def daemon_filters(text):
    """What a libvirt daemon shows when these filters are set."""
    shown = ""
    for word in text.split():
        level, match = word.split(":")[:2]
        shown += f"{int(level)}:*{match.removeprefix('+')}* "
    return shown


class Base(unittest.TestCase):
    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        self.daemon = self.start_daemon()
        self.snmpd = harness.Snmpd(self.place)
        self.agent = harness.Agent(self.place, self.snmpd, (self.daemon.name, self.daemon.admin),
                                   **self.options())
        self.agent.wait_for_state("up")

    def start_daemon(self):
        return harness.Libvirtd(self.place)

    def options(self):
        return {}

    def set(self, *triples):
        """Again, when the daemon, or the agent, could not be quick enough: nothing has changed then."""
        for _ in range(3):
            status, out = self.snmpd.set(*triples)
            if UNAVAILABLE not in out:
                break
        self.assertEqual(status, 0, f"{out}\n{self.agent.log_text()[-1500:]}")

    def refuse(self, error, *triples):
        """Returns lvaConfigLastError."""
        status, out = self.snmpd.set(*triples)
        self.assertNotEqual(status, 0, out)
        self.assertIn(error, out)
        return self.snmpd.get1("lvaConfigLastError", 0)

    def virt_admin(self, *args):
        status, out, err = harness.virt_admin(self.daemon.admin, *args)
        self.assertEqual(status, 0, err)
        return out

    def numbers(self, command, server):
        return {name: int(value) for name, value in
                re.findall(r"^(\w+)\s*: (\d+)$", self.virt_admin(command, server), re.M)}

    def filters(self):
        return re.search(r"Logging filters: (.*)$", self.virt_admin("daemon-log-filters"), re.M)[1]

    def outputs(self):
        return re.search(r"Logging outputs: (.*)$", self.virt_admin("daemon-log-outputs"), re.M)[1]

    def all(self):
        return {server: (self.numbers("server-threadpool-info", server),
                         self.numbers("server-clients-info", server))
                for server in ("admin", self.daemon.name)}, self.filters(), self.outputs()

    def generation(self):
        return self.snmpd.get1("lvaConfigGeneration", 0)

    def assert_equal_to_virt_admin(self):
        uri = f"libvirtd:///system?socket={self.daemon.admin}"
        differences = remote_compare.compare(self.snmpd, uri, self.daemon.name, high_percent=HIGH,
                                             contexts=[(self.daemon.name, uri)])
        self.assertFalse(differences, differences)


class Set(Base):
    def test_everything(self):
        """One PDU with all that can be set is one change, seen at once by both sides."""
        generation = self.generation()
        self.set((oid("lvaServerWorkersMin", MAIN), "u", 6),
                 (oid("lvaServerWorkersMax", MAIN), "u", 30),
                 (oid("lvaServerWorkersPriority", MAIN), "u", 7),
                 (oid("lvaServerClientsMax", MAIN), "u", 100),
                 (oid("lvaServerClientsUnauthMax", MAIN), "u", 50),
                 (oid("lvaServerClientsHighPercent", MAIN), "u", HIGH),
                 (oid("lvaServerClientsHighPercent", ADMIN), "u", HIGH),
                 (oid("lvaServerClientsMax", ADMIN), "u", 40),
                 (oid("lvaServerWorkersMax", ADMIN), "u", 9),
                 (oid("lvaLogLevel", 0), "i", 2),
                 (oid("lvaLogFilters", 0), "s", "3:rpc 4:util.object"),
                 (oid("lvaLogOutputs", 0), "s", "2:stderr 4:syslog:libvirtd"))
        self.assertEqual(self.snmpd.get1("lvaServerWorkersMax", MAIN), 30)
        self.assertEqual(self.snmpd.get1("lvaConfigLastOrigin", 0), SNMP)
        self.assertEqual(self.generation(), generation + 1)
        pool = self.numbers("server-threadpool-info", "libvirtd")
        self.assertEqual((pool["minWorkers"], pool["maxWorkers"], pool["prioWorkers"]), (6, 30, 7))
        limits = self.numbers("server-clients-info", "libvirtd")
        self.assertEqual((limits["nclients_max"], limits["nclients_unauth_max"]), (100, 50))
        self.assertEqual(self.numbers("server-clients-info", "admin")["nclients_max"], 40)
        self.assertEqual(self.numbers("server-threadpool-info", "admin")["maxWorkers"], 9)
        self.assertEqual(self.filters(), "3:*rpc* 4:*util.object* 2:*** ")
        self.assertEqual(self.outputs(), "2:stderr 4:syslog:libvirtd")
        self.assert_equal_to_virt_admin()
        for line in f"configuration {generation + 1} (snmp): ", "[server libvirtd] max_workers 20 -> 30":
            harness.wait_for(lambda line=line: line in self.agent.log_text(), line)

    def test_back(self):
        """What virt-admin sets is shown two refreshes later, and is somebody else's change."""
        generation = self.generation()
        self.virt_admin("server-threadpool-set", "libvirtd", "--max-workers", "25")
        harness.wait_for(lambda: self.snmpd.get1("lvaServerWorkersMax", MAIN) == 25, "25 workers")
        self.assertEqual(self.snmpd.get1("lvaConfigLastOrigin", 0), ADMIN_RPC)
        self.assertEqual(self.generation(), generation + 1)
        # a SET judges by what is there, not by what was read some time before
        self.virt_admin("server-threadpool-set", "libvirtd", "--max-workers", "10")
        self.refuse(INCONSISTENT, (oid("lvaServerWorkersMin", MAIN), "u", 15))
        self.assertEqual(self.snmpd.get1("lvaServerWorkersMax", MAIN), 10)

    def test_equal(self):
        """Setting what is read changes nothing, and the daemon's stars do not grow."""
        self.virt_admin("daemon-log-filters", "1:+util 2:*rpc 3:* 4:qemu")
        harness.wait_for(lambda: self.snmpd.get1("lvaLogLevel", 0) == 3, "level 3")
        before, generation = self.all(), self.generation()
        for _ in range(3):
            self.set(*((oid(name, 0), kind, self.snmpd.get1(name, 0)) for name, kind in
                       (("lvaLogFilters", "s"), ("lvaLogLevel", "i"), ("lvaLogOutputs", "s"))),
                     *((oid(name, MAIN), "u", self.snmpd.get1(name, MAIN)) for name in
                       ("lvaServerWorkersMin", "lvaServerWorkersMax", "lvaServerClientsMax")))
        self.assertEqual(self.all()[1:], before[1:])
        self.assertEqual(self.generation(), generation)

    def test_filters(self):
        """The daemon does with filters what the tests of the parts take for granted; what was set
        is shown; and a level set and taken back leaves them as they were."""
        chance = random.Random(3)
        for _ in range(15):
            words = [f"{chance.randint(1, 4)}:" + "".join(chance.choices("ab+.*?", k=3))
                     for _ in range(chance.randint(0, 4))]
            words = [word for word in words if word[2:].strip("+")]
            text = " ".join(words)
            with self.subTest(text):
                self.virt_admin("daemon-log-filters", text)
                raw = self.filters()
                self.assertEqual(raw, daemon_filters(text))
                # prepare reads it
                self.set((oid("lvaServerWorkersPriority", MAIN), "u", 5))
                shown, level = self.snmpd.get(oid("lvaLogFilters", 0), oid("lvaLogLevel", 0))
                self.set((oid("lvaLogFilters", 0), "s", shown), (oid("lvaLogLevel", 0), "i", level))
                self.assertEqual(self.filters(), raw)
                self.set((oid("lvaLogLevel", 0), "i", 1))
                self.assertEqual(self.snmpd.get1("lvaLogFilters", 0), shown)
                self.set((oid("lvaLogLevel", 0), "i", level))
                self.assertEqual(self.snmpd.get1("lvaLogFilters", 0), shown)
                if level != DEFAULT:
                    self.assertEqual(self.filters(), raw)
        self.set((oid("lvaLogFilters", 0), "s", ""), (oid("lvaLogLevel", 0), "i", DEFAULT))
        self.assertEqual(self.filters(), "")

    def test_level_acts(self):
        log = self.place.path("libvirtd.log")
        self.virt_admin("daemon-log-outputs", f"1:file:{log}")

        def grown():
            before = os.path.getsize(log)
            self.virt_admin("server-list")
            harness.virsh(self.daemon.socket, "list")
            return os.path.getsize(log) - before
        self.assertEqual(grown(), 0)
        self.set((oid("lvaLogLevel", 0), "i", 1))
        self.assertGreater(grown(), 1000)
        self.set((oid("lvaLogLevel", 0), "i", DEFAULT))
        grown()  # what was under way
        self.assertEqual(grown(), 0)

    def test_default_outputs(self):
        self.set((oid("lvaLogOutputs", 0), "s", "1:stderr"))
        self.set((oid("lvaLogOutputs", 0), "s", "  "))
        shown = self.outputs()
        self.assertNotEqual(shown, "1:stderr")
        self.assertEqual(self.snmpd.get1("lvaLogOutputs", 0), shown)

    def test_outputs_that_cannot_be_told(self):
        """A daemon whose outputs were set to blanks cannot tell them; setting them is the cure."""
        harness.virt_admin(self.daemon.admin, "daemon-log-outputs", "   ")
        self.set((oid("lvaLogOutputs", 0), "s", "1:stderr"))
        self.assertEqual(self.outputs(), "1:stderr")

    def test_refused(self):
        before, generation = self.all(), self.generation()
        text = self.refuse(INCONSISTENT, (oid("lvaLogLevel", 0), "i", 1),
                           (oid("lvaServerWorkersMin", MAIN), "u", 21))
        self.assertIn("minWorkers cannot be larger than maxWorkers", text)
        text = self.refuse(INCONSISTENT, (oid("lvaServerWorkersMax", MAIN), "u", 0))
        self.assertIn("from zero to non-zero", text)
        self.refuse(INCONSISTENT, (oid("lvaServerClientsUnauthMax", MAIN), "u", 99999))
        self.refuse(WRONG_VALUE, (oid("lvaServerWorkersMax", MAIN), "u", 1001))
        text = self.refuse(WRONG_VALUE, (oid("lvaServerWorkersMax", MAIN), "u", 30),
                           (oid("lvaLogFilters", 0), "s", "3:ok 9:bad"))
        self.assertIn("Invalid priority '9' for filter '9:bad'", text)
        text = self.refuse(WRONG_VALUE, (oid("lvaLogOutputs", 0), "s", "1:file:/tmp/log"))
        self.assertIn("/tmp/log", text)
        text = self.refuse(INCONSISTENT, (oid("lvaLogFilters", 0), "s", "1:a 2:*"),
                           (oid("lvaLogLevel", 0), "i", 3))
        self.assertIn("matches everything", text)
        self.refuse(NO_CREATION, (oid("lvaServerWorkersMax", 3), "u", 30))
        self.refuse(NO_CREATION, (oid("lvaClientAdminStatus", MAIN, 4711), "i", DISCONNECT))
        self.assertEqual(self.all()[1:], before[1:])
        self.assertEqual(self.generation(), generation)

    def test_disconnect(self):
        with harness.idle_virsh(self.place, self.daemon.socket):
            column = oid("lvaClientTransport", MAIN)
            (name, _), = harness.wait_for(lambda: self.snmpd.walk(column), "the client")
            index = int(name.rpartition(".")[2])
            self.set((oid("lvaClientAdminStatus", MAIN, index), "i", CONNECTED))
            self.set((oid("lvaClientAdminStatus", MAIN, index), "i", DISCONNECT))
            harness.wait_for(lambda: not self.snmpd.walk(column), "its end")
            self.refuse(NO_CREATION, (oid("lvaClientAdminStatus", MAIN, index), "i", DISCONNECT))

    def test_disconnect_the_agent(self):
        (name, _), = harness.wait_for(lambda: self.snmpd.walk(oid("lvaClientTransport", ADMIN)),
                                      "the agent's connection")
        index = int(name.rpartition(".")[2])
        self.set((oid("lvaClientAdminStatus", ADMIN, index), "i", DISCONNECT))
        # one look: between two of them the old one can go without a new one being there
        harness.wait_for(lambda: [found for found, _ in self.snmpd.walk(
            oid("lvaClientTransport", ADMIN)) if found != name], "another connection")
        self.set((oid("lvaServerWorkersMax", MAIN), "u", 30))

    def test_undo(self):
        """Another agent's part of the PDU fails when ours is in force already."""
        other = harness.Subagent(self.place, self.snmpd)
        before = self.all()
        status, out = self.snmpd.set((oid("lvaServerWorkersMax", MAIN), "u", 30),
                                     (oid("lvaServerClientsMax", MAIN), "u", 60),
                                     (oid("lvaLogLevel", 0), "i", 1),
                                     (oid("lvaLogOutputs", 0), "s", "1:stderr"),
                                     (other.behind, "i", other.code("ACTION", "fails")))
        self.assertNotEqual(status, 0, out)
        harness.wait_for(lambda: "undone: " in self.agent.log_text(), self.agent.log_text)
        now = self.all()
        self.assertEqual(now[1:], before[1:])
        for server in "admin", "libvirtd":
            self.assertEqual(now[0][server][0]["maxWorkers"], before[0][server][0]["maxWorkers"])
            self.assertEqual(now[0][server][1]["nclients_max"], before[0][server][1]["nclients_max"])
        self.set((oid("lvaServerWorkersMax", MAIN), "u", 31))

    def test_stopped_daemon(self):
        """It is refused in time, and nothing comes of it later."""
        pid = self.daemon_pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            status, out = self.snmpd.set((oid("lvaServerWorkersMax", MAIN), "u", 30))
            self.assertNotEqual(status, 0)  # not genErr, as when the master has given up waiting
            self.assertIn(UNAVAILABLE, out)
        finally:
            os.kill(pid, signal.SIGCONT)
        self.agent.wait_for_state("up")
        self.assertEqual(self.numbers("server-threadpool-info", "libvirtd")["maxWorkers"], 20)
        harness.wait_for(lambda: self.snmpd.set(
            (oid("lvaServerWorkersMax", MAIN), "u", 31))[0] == 0, self.agent.log_text)

    def daemon_pid(self):
        with open(os.path.join(self.daemon.dir, "pid"), encoding="ascii") as text:
            return int(text.read())

    def test_daemon_that_ends(self):
        os.kill(self.daemon_pid(), signal.SIGKILL)
        self.agent.wait_for_state("unreachable")
        self.refuse(UNAVAILABLE, (oid("lvaLogLevel", 0), "i", 1))
        self.refuse(UNAVAILABLE, (oid("lvaServerWorkersMax", MAIN), "u", 30))
        self.daemon.process.wait()
        self.daemon.start()
        self.agent.wait_for_state("up")
        self.set((oid("lvaServerWorkersMax", MAIN), "u", 30))

    def test_killed_under_fire(self):
        """Whatever the moment: an answer, and afterwards the truth."""
        for n in range(6):
            pid = self.daemon_pid()
            answers = []
            for step in range(30):
                if step == 10 + n:
                    os.kill(pid, signal.SIGKILL)
                answers.append(self.snmpd.set((oid("lvaServerWorkersMax", MAIN), "u", 30 + step),
                                              (oid("lvaLogLevel", 0), "i", 1 + step % 4))[0])
                if answers[-1] != 0 and step >= 10 + n:
                    break
            self.assertNotEqual(answers[-1], 0)
            self.daemon.process.wait()
            self.daemon.start()
            self.agent.wait_for_state("up")
            harness.wait_for(lambda: self.snmpd.get1("lvaServerWorkersMax", MAIN) == 20, "20 again")
        self.assertTrue(self.agent.process.alive())


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Files(Base):
    """The daemon opens log files: only where nobody but root can put something else in their place,
    which /tmp is not."""

    def options(self):
        self.logs = tempfile.mkdtemp(prefix="virtadm-", dir="/run")
        self.addCleanup(shutil.rmtree, self.logs, ignore_errors=True)
        os.chmod(self.logs, 0o755)
        return {"log": f"directories = {self.logs};/proc"}

    def test_file(self):
        path = os.path.join(self.logs, "daemon.log")
        self.set((oid("lvaLogOutputs", 0), "s", f"1:file:{path} 3:stderr"),
                 (oid("lvaLogLevel", 0), "i", 1))
        self.virt_admin("server-list")
        self.assertGreater(os.path.getsize(path), 0)
        self.assertEqual(self.outputs(), f"1:file:{path} 3:stderr")
        # and what is there already
        self.set((oid("lvaLogOutputs", 0), "s", f"2:file:{path}"))
        self.assertEqual(self.snmpd.get1("lvaLogOutputs", 0), f"2:file:{path}")

    def test_guard(self):
        before = self.outputs()
        shared = os.path.join(self.logs, "shared")
        os.mkdir(shared)
        os.chmod(shared, 0o1777)
        os.symlink("/etc", os.path.join(self.logs, "link"))
        os.symlink("/etc/passwd", os.path.join(self.logs, "passwd"))
        for path in ("shared/log", "link/log", "passwd", "../log", "none/log", "x//y"):
            with self.subTest(path):
                status, out = self.snmpd.set(
                    (oid("lvaLogOutputs", 0), "s", f"1:file:{self.logs}/{path}"))
                self.assertNotEqual(status, 0)
                self.assertIn(UNAVAILABLE if path == "none/log" else WRONG_VALUE, out)
        self.assertEqual(self.outputs(), before)

    def test_daemon_refuses(self):
        """What it alone can find out is commitFailed, with its words."""
        before = self.all()
        text = self.refuse(COMMIT_FAILED, (oid("lvaLogOutputs", 0), "s", "1:file:/proc/no-log"),
                           (oid("lvaServerWorkersMax", MAIN), "u", 30))
        self.assertIn("failed to open /proc/no-log", text)
        self.assertEqual(self.all()[1:], before[1:])
        self.assertEqual(self.numbers("server-threadpool-info", "libvirtd")["maxWorkers"], 20)


class Virtlogd(Base):
    """A daemon without worker pools that takes one request at a time."""

    def start_daemon(self):
        return harness.Helper(self.place, "virtlogd")

    def test_set(self):
        self.refuse(INCONSISTENT, (oid("lvaServerWorkersMax", MAIN), "u", 5))
        self.refuse(INCONSISTENT, (oid("lvaServerWorkersMin", MAIN), "u", 5))
        self.set((oid("lvaServerWorkersMax", MAIN), "u", 0),
                 (oid("lvaServerWorkersPriority", MAIN), "u", 2),
                 (oid("lvaServerClientsMax", MAIN), "u", 2000),
                 (oid("lvaServerClientsUnauthMax", MAIN), "u", 2000),
                 (oid("lvaServerClientsMax", ADMIN), "u", 6000),
                 (oid("lvaLogLevel", 0), "i", 3), (oid("lvaLogFilters", 0), "s", "1:util"),
                 (oid("lvaLogOutputs", 0), "s", "1:stderr"))
        self.assertEqual(self.filters(), "1:*util* 3:*** ")
        self.assertEqual(self.outputs(), "1:stderr")
        self.assertEqual(self.numbers("server-clients-info", "virtlogd")["nclients_max"], 2000)
        self.assertEqual(self.numbers("server-threadpool-info", "virtlogd")["prioWorkers"], 2)
        self.assertEqual(self.snmpd.get1("lvaServerClientsMax", ADMIN), 6000)


if __name__ == "__main__":
    unittest.main()
