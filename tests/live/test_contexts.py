# SPDX-License-Identifier: LGPL-2.1-or-later
"""Several daemons at one agent, each in the SNMP context of its name; and contexts that the master
agent refuses, since another agent holds them. Most of it with tests/unit/agent-probe: the agent
around daemons that a test makes up, which do what it says."""

import os
import re
import struct
import subprocess
import threading
import time
import unittest

import agentx
import harness
import traps
from harness import oid

SCALE = float(os.environ.get("VADM_TEST_SCALE", "1"))
SLACK = 0 if SCALE == 1 else 5  # sanitizers
RETRY = 1
UP, UNREACHABLE = 1, 2
FIRST = "virtadmd"  # what agent-probe calls its first daemon
V3 = ("-u", "operator", "-l", "authPriv", "-a", "SHA", "-A", "authentic!", "-x", "AES",
      "-X", "private!!")
ACCESS = """\
createUser operator SHA authentic! AES private!!
group operators usm operator
view all included .1
access operators "" usm priv prefix all all all
"""


def within(context):
    """How to ask in a context."""
    return {"version": "3", "options": V3 + (("-n", context) if context else ())}


def row(name):
    """The index of a context."""
    return (len(name), *name.encode())


class Probe:
    """agent-probe; names: of the daemons behind the first one."""

    def __init__(self, place, master, names=(), context="", env=None, name="probe"):
        argv = [os.path.join(harness.BUILD, "tests", "unit", "agent-probe"),
                f"unix:{master}", str(RETRY), context, *names]
        if "VADM_SANITIZER_ENV" in os.environ:
            argv.insert(0, os.environ["VADM_SANITIZER_ENV"])
        self.tail = harness.Tail(place.path(name + ".out"))
        with open(self.tail.path, "ab") as out:
            self.popen = subprocess.Popen(argv, stdout=out, stderr=out, stdin=subprocess.PIPE,
                                          text=True, env={**os.environ, **(env or {})})
        place.callback(self.end)

    def output(self):
        return self.tail.text()

    def wait_for(self, what, count=1):
        harness.wait_for(lambda: len(re.findall(what, self.output())) >= count,
                         lambda: f"{what} in {self.output()[-2000:]}")

    def tell(self, *words):
        print(*words, file=self.popen.stdin, flush=True)

    def resident(self):
        with open(f"/proc/{self.popen.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])

    def end(self):
        """It must end well, and in time."""
        if self.popen.poll() is None:
            self.popen.terminate()
        status = self.popen.wait(harness.PATIENCE)
        self.popen.stdin.close()
        text = self.output()
        assert status == 0 and not re.search(r"Sanitizer|runtime error", text), text[-6000:]


class Contexts(unittest.TestCase):
    NAMES = ("two", "a", "virtqemud")

    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)

    def start(self, sinks="", env=None):
        self.snmpd = harness.Snmpd(self.place, ACCESS + sinks)
        self.probe = Probe(self.place, self.snmpd.agentx, self.NAMES, env=env)
        harness.wait_for(self.snmpd.has_agent, "the agent at the master")

    def get(self, context, *names):
        return self.snmpd.get(*names, **within(context))

    def get1(self, context, name, *index):
        return self.get(context, oid(name, *index))[0]

    def test_each_in_its_context(self):
        self.start()
        names = sorted((FIRST, *self.NAMES), key=lambda name: (len(name), name))
        table = oid("lvaContextDaemonName", *row(names[0])).rsplit(".", 3)[0]
        column = [(name, value) for name, value in self.snmpd.walk(table, **within(""))]
        wanted = [(oid(column, *row(name)), value) for column, value_of in (
            ("lvaContextDaemonName", str), ("lvaContextState", lambda _: UP),
            ("lvaContextUri", lambda _: "libvirtd:///system"))
            for name, value in ((name, value_of(name)) for name in names)]
        self.assertEqual(column, wanted)
        self.assertEqual(self.get1("", "lvaDaemonName"), FIRST)
        self.assertEqual(self.get1("", "lvaContextNumber"), len(names))
        whole = self.snmpd.walk(**within(""))
        for name in names:
            self.assertEqual(self.get1(name, "lvaDaemonName"), name)
            self.assertEqual(self.get1(name, "lvaContextNumber"), 0)
            self.assertIsNone(self.get1(name, "lvaContextState", *row(name)))
            # all that the default context has, without the table of contexts
            there = self.snmpd.walk(**within(name))
            self.assertEqual([found for found, _ in there],
                             [found for found, _ in whole if not found.startswith(table)])
        status, _, _ = self.snmpd.tool("snmpget", oid("lvaDaemonName"), timeout=1,
                                       **within("none"))
        self.assertNotEqual(status, 0)

    def test_unreachable(self):
        """The state of each is its own, also in the table of the default context."""
        self.start()
        level, version = oid("lvaLogLevel"), oid("lvaDaemonVersion")
        self.probe.tell("two", "unreachable")
        harness.wait_for(lambda: self.get1("two", "lvaDaemonState") == UNREACHABLE, "the state")
        states = [self.get1("", "lvaContextState", *row(name)) for name in (FIRST, *self.NAMES)]
        self.assertEqual(states, [UP, UNREACHABLE, UP, UP])
        self.assertEqual(self.get("two", level, version, oid("lvaServerName", 1)), [None] * 3)
        self.assertNotIn(None, self.get("a", level, version, oid("lvaServerName", 1)))
        there = {name.split(".")[11] for name, _ in self.snmpd.walk(**within("two"))}
        self.assertEqual(there, {"1", "2", "7", "9"})  # lvaDaemon, Config, Notify, Tables
        for name, kind, value in ((level, "i", 1), (oid("lvaServerWorkersMin", 1), "u", 1)):
            status, text = self.snmpd.set((oid("lvaNotifyMinInterval"), "u", 9),
                                          (name, kind, value), **within("two"))
            self.assertNotEqual(status, 0)
            self.assertRegex(text, f"resourceUnavailable(.|\n)*{name}")
            self.assertIn("the daemon cannot be reached", self.get1("two", "lvaConfigLastError"))
        self.assertEqual(self.get1("a", "lvaConfigLastError"), "")
        self.assertEqual(self.get1("two", "lvaNotifyMinInterval"), 0)
        # what is the agent's own can be set
        status, text = self.snmpd.set((oid("lvaNotifyMinInterval"), "u", 9), **within("two"))
        self.assertEqual(status, 0, text)
        self.assertEqual([self.get1(name, "lvaNotifyMinInterval") for name in ("", "a", "two")],
                         [0, 0, 9])
        self.probe.tell("two", "up")
        harness.wait_for(lambda: self.get1("two", "lvaLogLevel") == 3, "the level of the log")

    def test_set_while_another_is_pending(self):
        """The first daemon takes its time; nothing of its SET is seen elsewhere, and the SET of
        another one is right behind it."""
        self.start(env={"PROBE_PREPARE_MS": "200"})
        low = oid("lvaServerWorkersMin", 1)
        before = self.get1("a", "lvaServerWorkersMin", 1)
        done = {}

        def change(context, value):
            done[context] = self.snmpd.set((low, "u", value), **within(context))

        threads = [threading.Thread(target=change, args=order)
                   for order in ((FIRST, 3), ("two", 4), ("virtqemud", 2))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([done[name][0] for name in (FIRST, "two", "virtqemud")], [0, 0, 0], done)
        self.assertEqual([self.get1(name, "lvaServerWorkersMin", 1)
                          for name in ("", FIRST, "two", "a", "virtqemud")], [3, 3, 4, before, 2])
        self.assertEqual([self.get1(name, "lvaConfigLock") for name in ("", FIRST)],
                         [self.get1("", "lvaConfigLock")] * 2)
        self.probe.end()
        for name, count in ((FIRST, 1), ("two", 1), ("a", 0), ("virtqemud", 1)):
            self.assertIn(f"{name}: prepared {count} committed {count} finished {count} aborted 0",
                          self.probe.output())

    def test_pending_set_given_up(self):
        """A daemon that takes too long has its SET given up; the other's is made."""
        self.start(env={"PROBE_PREPARE_MS": "2000"})
        low = oid("lvaServerWorkersMin", 1)
        status, text = self.snmpd.set((low, "u", 3), **within(FIRST))
        self.assertNotEqual(status, 0)
        self.assertIn("resourceUnavailable", text)
        status, text = self.snmpd.set((low, "u", 4), **within("two"))
        self.assertEqual(status, 0, text)
        self.assertIn("did not complete it", self.get1("", "lvaConfigLastError"))
        self.assertEqual(self.get1("two", "lvaConfigLastError"), "")

    def test_notifications(self):
        """Each tells its own, with its name, and for SNMPv3 in its context; and when the master
        is a new one, what holds of each is raised again."""
        trapd = traps.Snmptrapd(self.place)
        receiver = traps.Receiver(self.place)
        self.start(trapd.sinks() + f"trap2sink udp:127.0.0.1:{receiver.port} public\n")
        watch = traps.Watch(receiver)
        for name in FIRST, "two", "virtqemud":
            self.probe.tell(name, "full")
            watch.expect("lvaClientsFull", 300, DaemonName=name)
        self.probe.tell("two", "unreachable")
        watch.expect("lvaDaemonUnreachable", DaemonName="two")
        self.probe.tell("two", "normal")
        self.probe.tell(FIRST, "normal")
        watch.expect("lvaClientsNormal", 300, DaemonName=FIRST)
        self.probe.tell("two", "up")
        watch.expect("lvaDaemonReachable", DaemonName="two")
        watch.expect("lvaClientsNormal", 300, DaemonName="two")
        found = harness.wait_for(lambda: self.by_context(trapd, 7), "all to come to snmptrapd")
        self.assertEqual(found, {
            "": ["lvaClientsFull", "lvaClientsNormal"],
            "two": ["lvaClientsFull", "lvaClientsNormal", "lvaDaemonReachable",
                    "lvaDaemonUnreachable"],
            "virtqemud": ["lvaClientsFull"]})
        sent = [self.get1(name, "lvaNotifySent") for name in ("", FIRST, *self.NAMES)]
        self.assertEqual(sent, [2, 2, 4, 0, 1])
        self.snmpd.process.end()
        self.snmpd.start()
        watch.expect("lvaClientsFull", 300, DaemonName="virtqemud")
        watch.nothing()

    @staticmethod
    def by_context(trapd, number):
        found = {}
        for how, name in trapd.arrivals():
            context = re.fullmatch(r"TRAP2, SNMP v3, user traps, context ?(.*?) *", how)
            if context:
                found.setdefault(context[1], []).append(name)
        return sum(map(len, found.values())) == number and \
            {context: sorted(names) for context, names in found.items()}

    def test_master_comes_and_goes(self):
        self.start()
        for number in 9, 15, 9:
            self.snmpd.process.kill(number)
            self.snmpd.process.wait()
            self.snmpd.start()
            since = time.monotonic()
            harness.wait_for(lambda: self.answers(""), "the first context")
            self.assertLess(time.monotonic() - since, RETRY + 1 + SLACK)
            for name in (FIRST, *self.NAMES):
                harness.wait_for(lambda context=name: self.answers(context), f"context {name}")

    def answers(self, context):
        status, out, _ = self.snmpd.tool("snmpget", oid("lvaDaemonName"), timeout=1,
                                         **within(context))
        return status == 0 and "No Such" not in out


class Refused(unittest.TestCase):
    """Another agent was first."""

    def setUp(self):
        self.place, self.beside = harness.Place(), harness.Place()
        self.addCleanup(self.place.close)
        self.addCleanup(self.beside.close)
        self.snmpd = harness.Snmpd(self.place, ACCESS)

    def name_in(self, context):
        status, out, _ = self.snmpd.tool("snmpget", oid("lvaDaemonName"), timeout=1,
                                         **within(context))
        return harness.parse(out)[0][1] if status == 0 else None

    def wait_for_name(self, context, name):
        harness.wait_for(lambda: self.name_in(context) == name, f"{name} in context '{context}'")

    def second_virtadmd(self):
        daemon = harness.Virtadmd(self.beside)
        self.assertEqual(daemon.stop(), 0)
        daemon.text = daemon.text.replace("[daemon]\n", "[daemon]\nname = second\n").replace(
            "enabled = false", f"master = unix:{self.snmpd.agentx}\nretry_interval = {RETRY}"
        ).replace("[log]\n", "[log]\nlevel = 1\n")
        self.beside.write("virtadmd.conf", daemon.text)
        daemon.start()
        return daemon

    def test_two_daemons(self):
        """virtadmd twice: the second one is served in the context of its name, and in the default
        one when the first ends."""
        first = harness.Virtadmd(self.place, snmpd=self.snmpd)
        second = self.second_virtadmd()
        self.wait_for_name("second", "second")
        harness.wait_for(lambda: second.log_text().count("registering pdu failed") > 3, "attempts")
        told = re.findall("warning.* refuses to register .*", second.log_text())
        self.assertEqual(len(told), 1, told)
        self.assertIn(f"{self.snmpd.agentx} refuses to register the MIB in the default context",
                      told[0])
        self.assertEqual([self.name_in(name) for name in ("", "virtadmd", "second")],
                         ["virtadmd", "virtadmd", "second"])
        # it is a full agent there
        status, text = self.snmpd.set((oid("lvaServerWorkersMax", 2), "u", 33), **within("second"))
        self.assertEqual(status, 0, text)
        self.assertEqual(self.snmpd.get(oid("lvaServerWorkersMax", 2), **within("")), [20])
        self.assertNotIn("lost the master", second.log_text())
        self.assertEqual(first.stop(), 0)
        since = time.monotonic()
        self.wait_for_name("", "second")
        self.assertLess(time.monotonic() - since, RETRY + 1 + SLACK)
        self.assertIsNone(self.name_in("virtadmd"))
        harness.wait_for(lambda: "registered the MIB in the default context" in second.log_text(),
                         "the message")
        # and the other way round, and when the master is a new one
        first.snmpd = None
        first.start()
        self.wait_for_name("virtadmd", "virtadmd")
        self.assertEqual(self.name_in(""), "second")
        self.snmpd.process.end()
        self.snmpd.start()
        self.wait_for_name("virtadmd", "virtadmd")
        self.wait_for_name("second", "second")
        self.wait_for_name("", self.name_in("") or "second")

    def test_all_refused(self):
        """Nothing is left for the second: it is not connected, and gets all when the first ends."""
        first = Probe(self.place, self.snmpd.agentx, ("two",))
        first.wait_for("connected")
        second = Probe(self.beside, self.snmpd.agentx, ("two",), name="second")
        second.wait_for("refuses to register", 3)
        second.tell("two", "full")
        self.wait_for_name("two", "two")
        self.assertNotIn("connected", second.output())
        first.end()
        since = time.monotonic()
        second.wait_for(" connected\n")
        self.assertLess(time.monotonic() - since, RETRY + 1 + SLACK)
        for context, name in (("", FIRST), (FIRST, FIRST), ("two", "two")):
            self.wait_for_name(context, name)
        self.assertEqual(len(re.findall("refuses to register", second.output())), 3)
        second.wait_for("registered the MIB in", 3)

    def test_over_and_over(self):
        """Refused some hundred times: nothing grows, and what is served is not disturbed."""
        names = [f"daemon{n}" for n in range(30)]
        first = Probe(self.place, self.snmpd.agentx, names)
        first.wait_for("connected")
        second = Probe(self.beside, self.snmpd.agentx, ["own", *names], name="second",
                       env={"PROBE_DEBUG": "1"})
        second.wait_for("registering pdu failed", 70)
        before = second.resident()
        second.wait_for("registering pdu failed", 200)
        self.assertEqual(self.name_in("own"), "own")
        if SCALE == 1:  # AddressSanitizer keeps what is freed for a while, and sees leaks at the end
            self.assertLess(second.resident(), before + 1024)
        self.assertEqual(len(re.findall("refuses to register", second.output())), 32)
        self.assertNotIn("lost", second.output())
        self.assertNotIn("lost", first.output())


class OddMaster(agentx.Master):
    """One that is silent where a test says so."""

    OPEN, REGISTER = 1, 3

    def __init__(self, place):
        self.silent = set()      # types of PDUs that are not answered
        self.came = []           # (time, type, context) of what came
        self.unanswered = 0      # notifications
        self.sessions = []       # when each ended
        super().__init__(place)

    def serve_one(self, peer):
        with peer.makefile("rb") as stream:
            while len(header := stream.read(20)) == 20:
                order = ">" if header[2] & agentx.NETWORK_BYTE_ORDER else "<"
                _, transaction, packet, length = struct.unpack(order + "4I", header[4:])
                payload = stream.read(length)
                context = ""
                if header[2] & 0x08:
                    size = struct.unpack(order + "I", payload[:4])[0]
                    context = payload[4:4 + size].decode()
                with self.changed:
                    self.came.append((time.monotonic(), header[1], context))
                    self.changed.notify_all()
                    if header[1] in self.silent or header[1] == agentx.RESPONSE:
                        self.unanswered += header[1] == agentx.NOTIFY
                        continue
                    peer.sendall(self.pdu(agentx.RESPONSE, transaction, packet, bytes(8)))
        with self.changed:
            self.sessions.append(time.monotonic())
            self.changed.notify_all()

    def wait_for(self, condition, what):
        with self.changed:
            assert self.changed.wait_for(condition, harness.PATIENCE), what

    def of(self, kind):
        return [one for one in self.came if one[1] == kind]


class Silence(unittest.TestCase):
    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        self.master = OddMaster(self.place)

    def test_window_of_all(self):
        """A master that does not answer gets no more notifications than from one daemon."""
        self.master.silent = {agentx.NOTIFY}
        names = ["two", "a"]
        probe = Probe(self.place, self.master.agentx, names)
        self.master.wait_for(lambda: len(self.master.of(OddMaster.REGISTER)) >= 4, "registrations")
        for name in (FIRST, *names):
            probe.tell(name, "clients", 100)
        self.master.wait_for(lambda: self.master.unanswered >= 63, "three shares")
        self.assertLessEqual(self.master.unanswered, 64)
        contexts = [context for _, _, context in self.master.of(agentx.NOTIFY)]
        self.assertEqual({name: contexts.count(name) for name in set(contexts)},
                         {"": 21, "two": 21, "a": 21})

    def test_registering(self):
        """A master that is stopped while it registers is not waited for once for each context; and
        all are registered with the next one."""
        self.master.silent = {OddMaster.REGISTER}
        names = [f"daemon{n}" for n in range(20)]
        probe = Probe(self.place, self.master.agentx, names)
        self.master.wait_for(lambda: self.master.sessions, "the end of the session")
        with self.master.changed:
            registers = self.master.of(OddMaster.REGISTER)
            self.assertEqual(len(registers), 1)
            self.assertLess(self.master.sessions[0] - registers[0][0], 2 + SLACK)
            self.master.came.clear()
            self.master.silent = set()
        self.assertNotIn("connected", probe.output())
        probe.wait_for(" connected\n")
        contexts = {context for _, _, context in self.master.of(OddMaster.REGISTER)}
        self.assertEqual(contexts, {"", FIRST, *names})

    def test_retrying(self):
        """Silent when it is asked again: the end does not take longer than the master may."""
        place = harness.Place()
        self.addCleanup(place.close)
        snmpd = harness.Snmpd(place, ACCESS)
        first = Probe(place, snmpd.agentx, ["two"])
        first.wait_for(" connected\n")
        second = Probe(self.place, snmpd.agentx, ["two", "own"])
        second.wait_for(" connected\n")
        snmpd.process.kill(19)
        second.wait_for(" lost\n")
        began = time.monotonic()
        second.popen.terminate()
        second.popen.wait(harness.PATIENCE)
        took = time.monotonic() - began
        snmpd.process.kill(18)
        self.assertLess(took, 4 + SLACK)


if __name__ == "__main__":
    unittest.main()
