# SPDX-License-Identifier: LGPL-2.1-or-later
"""One PDU for two subagents, ours and one that fails, hangs or dies in a phase of its choice
(tools/subagent.c), and a master agent that is killed or stopped between the phases."""

import os
import re
import signal
import time
import unittest

import ber
import harness
from harness import Raw, Subagent, oid

SCALE = float(os.environ.get("VADM_TEST_SCALE", "1"))
NO_ERROR, GEN_ERR, WRONG_VALUE, RESOURCE, COMMIT_FAILED, UNDO_FAILED = 0, 5, 10, 13, 14, 15

WRITABLE = (
    *((name, (0,)) for name in ("lvaLogLevel", "lvaLogFilters", "lvaLogOutputs", "lvaNotifyEnable",
                                "lvaNotifyMinInterval")),
    *(("lvaServer" + name, (server,)) for server in (1, 2) for name in (
        "WorkersMin", "WorkersMax", "WorkersPriority", "ClientsMax", "ClientsUnauthMax",
        "ClientsHighPercent", "ClientRequestsMax")))
STAMP = tuple((name, (0,)) for name in (
    "lvaConfigGeneration", "lvaConfigLastChange", "lvaConfigLastOrigin"))


class Two(unittest.TestCase):
    """A master, our daemon and the other subagent."""

    TIMEOUT = 1  # seconds, of the master

    @classmethod
    def setUpClass(cls):
        cls.place = harness.Place()
        cls.addClassCleanup(cls.place.close)
        cls.snmpd = harness.Snmpd(cls.place, f"agentXTimeout {cls.TIMEOUT}")
        cls.other = Subagent(cls.place, cls.snmpd)

    def setUp(self):
        self.daemon = harness.Virtadmd(self.place, snmpd=self.snmpd, log="level = 2")
        self.addCleanup(lambda: self.daemon.process.end())
        self.session = ber.Session(self.snmpd.port, timeout=harness.PATIENCE)
        self.addCleanup(self.session.close)
        self.turn = 0

    # what is there

    def state(self):
        """All that can be written over SNMP, and the stamp of the configuration."""
        names = WRITABLE + STAMP
        return dict(zip(names, self.snmpd.get(*(oid(name, *index) for name, index in names))))

    def seen_by_admin(self):
        """(minWorkers, maxWorkers) of both servers, and the filters, by virt-admin: it shows them
        also while the master serves nobody."""
        pools = []
        for server in "admin", "libvirtd":
            _, out, _ = self.daemon.virt_admin("server-threadpool-info", server)
            said = dict(re.findall(r"(\w+)\s*: (\d+)", out))
            pools.append((int(said["minWorkers"]), int(said["maxWorkers"])))
        _, out, _ = self.daemon.virt_admin("daemon-log-filters")
        return pools, out.strip().removeprefix("Logging filters:").strip()

    def agree(self, state):
        """virt-admin sees what SNMP sees."""
        pools = [tuple(state["lvaServerWorkers" + which, (server,)] for which in ("Min", "Max"))
                 for server in (1, 2)]
        filters = re.sub(r"(\d):(\w+)", r"\1:*\2*", state["lvaLogFilters", (0,)])
        self.assertEqual(self.seen_by_admin(), (pools, filters))

    def token_is_free(self):
        """A change by virt-admin and one by SNMP succeed at once."""
        self.turn += 1
        status, _, err = self.daemon.virt_admin("server-threadpool-set", "libvirtd",
                                                "--priority-workers", str(5 + self.turn % 2))
        self.assertEqual(status, 0, err)
        self.assertEqual(self.session.set_all([
            (oid("lvaServerClientRequestsMax", 2), ber.unsigned(10 + self.turn))]), (0, 0))
        # the log is written behind the answer: it must not pass for what comes next
        line = rf"max_client_requests \d+ -> {10 + self.turn}\n"
        harness.wait_for(lambda: re.search(line, self.daemon.log_text()), line)
        self.assertTrue(self.daemon.process.alive())

    # what is done

    def changes(self):
        """New values for both servers and logging: (binds of the PDU, the state they make)."""
        self.turn += 1
        wanted = {("lvaServerWorkersMin", (2,)): 6 + self.turn % 7,
                  ("lvaServerWorkersMax", (2,)): 20 + self.turn % 40,
                  ("lvaServerWorkersMax", (1,)): 5 + self.turn % 20,
                  ("lvaNotifyMinInterval", (0,)): 10 + self.turn,
                  ("lvaLogLevel", (0,)): 1 + self.turn % 2,
                  ("lvaLogFilters", (0,)): f"4:filter{self.turn}"}
        encode = {"lvaLogLevel": ber.integer, "lvaLogFilters": ber.octets}
        return [(oid(name, *index), encode.get(name, ber.unsigned)(value))
                for (name, index), value in wanted.items()], wanted

    def others(self, phase, fault, behind):
        """What makes the other subagent fail there; UNDO only comes after a failed ACTION."""
        code = Subagent.code(phase, fault)
        names = [self.other.behind, self.other.before]
        if not behind:
            names.reverse()
        binds = [(names[0], ber.integer(code))]
        if phase == "UNDO":
            binds.append((names[1], ber.integer(Subagent.code("ACTION", "fails"))))
        if phase == "FREE":
            binds.append((names[1], ber.integer(Subagent.code("RESERVE1", "fails"))))
        return binds

    def log_since(self, before):
        return self.daemon.log_text()[before:]


class Faults(Two):
    TIMEOUT = 5  # nothing here needs it, and what is slow is no fault

    EXPECTED = {
        ("RESERVE1", "fails"): WRONG_VALUE, ("RESERVE2", "fails"): RESOURCE,
        ("ACTION", "fails"): COMMIT_FAILED, ("UNDO", "fails"): UNDO_FAILED,
        # the master has answered before: it cannot be told any more
        ("COMMIT", "fails"): NO_ERROR, ("COMMIT", "hangs"): NO_ERROR, ("COMMIT", "dies"): NO_ERROR,
    }

    def one(self, phase, fault, behind):
        before, log = self.state(), len(self.daemon.log_text())
        binds, wanted = self.changes()
        others = self.others(phase, fault, behind)
        self.other.skip = len(self.other.process.output())
        pdu = binds + others if behind else others + binds
        status, index = self.session.set_all(pdu)
        self.assertEqual(status, self.EXPECTED.get((phase, fault), GEN_ERR))
        self.other.wait_for_phase(phase)
        if status in (WRONG_VALUE, RESOURCE, COMMIT_FAILED):
            self.assertEqual(pdu[index - 1][0], others[0][0])
        if fault != "fails":
            self.other.restart()
        after, taken_back = self.state(), phase in ("ACTION", "UNDO")
        says = r"configuration \d+ \(snmp\): " if status == NO_ERROR else \
            r"configuration \d+ is taken back" if taken_back else ""
        harness.wait_for(lambda: re.search(says, self.log_since(log)), says)
        text = self.log_since(log)
        if status == NO_ERROR:
            self.assertEqual({key: after[key] for key in wanted}, wanted)
            self.assertGreater(after[STAMP[0]], before[STAMP[0]])
            self.assertEqual(after[STAMP[2]], 3)
            self.assertEqual(len(re.findall(r"configuration \d+ \(snmp\): ", text)), 1, text)
            self.assertRegex(text, r"\[server libvirtd\] max_workers \d+ -> \d+")
        else:
            self.assertEqual(after, before)
            self.assertNotIn("(snmp)", text)
            self.assertEqual(len(re.findall(r"configuration \d+ is taken back", text)),
                             taken_back, text)
        self.agree(after)
        self.token_is_free()

    def matrix(self, fault):
        for phase in "RESERVE1", "RESERVE2", "ACTION", "UNDO", "COMMIT":
            for behind in (True, False) if SCALE == 1 else (True,):
                with self.subTest(phase=phase, first="ours" if behind else "the other"):
                    self.one(phase, fault, behind)
        self.assertEqual(self.daemon.stop(), 0)

    def test_fails(self):
        self.matrix("fails")

    def test_dies(self):
        self.matrix("dies")


class Hangs(Faults):
    TIMEOUT = 1
    test_fails = test_dies = None

    def test_hangs(self):
        self.matrix("hangs")


class Irreversible(Two):
    TIMEOUT = 5  # it must not end the waiting by itself

    def setUp(self):
        super().setUp()
        self.client = Raw(self.daemon.admin)
        self.addCleanup(self.client.sock.close)
        self.client.call(1, b"\0\0\0\0")
        self.index = self.snmpd.walk(oid("lvaClientId", 1).rsplit(".", 1)[0])[-1][1]
        self.new = os.path.join(self.daemon.logdir, "new.log")
        self.threads = self.workers()

    def workers(self):
        """Threads of the server libvirtd: as many as minWorkers and prioWorkers say."""
        tasks = f"/proc/{self.daemon.process.pid}/task"
        names = []
        for task in os.listdir(tasks):
            try:
                with open(f"{tasks}/{task}/comm", encoding="utf-8") as comm:
                    names.append(comm.read().strip())
            except (FileNotFoundError, ProcessLookupError):
                pass  # it has ended, before the file was opened or before it was read
        return sorted(name for name in names if "libvirtd" in name)

    def binds(self):
        return [(oid("lvaClientAdminStatus", 1, self.index), ber.integer(2)),
                (oid("lvaServerWorkersMin", 2), ber.unsigned(1)),
                (oid("lvaServerWorkersMax", 2), ber.unsigned(1)),
                (oid("lvaServerWorkersPriority", 2), ber.unsigned(0)),
                (oid("lvaLogOutputs"), ber.octets(f"1:file:{self.new}"))]

    def serves(self):
        reply = self.client.call(4, b"\0\0\0\1\0\0\0\0")
        return reply is not None and reply[5] == 0

    def test_only_at_the_end(self):
        """A client to disconnect, workers to retire and an output to close: all of it is there
        until every subagent has committed, and stays when one has not."""
        before = self.state()
        self.assertEqual(len(self.threads), 5, self.threads)
        for behind in True, False:
            fail = Subagent.code("ACTION", "fails")
            wait = Subagent.code("ACTION", "hangs")
            names = (self.other.before, self.other.behind)[::1 if behind else -1]
            others = [(names[0], ber.integer(wait)), (names[1], ber.integer(fail))]
            pdu = self.binds() + others if behind else others + self.binds()
            log = len(self.daemon.log_text())
            self.other.skip = len(self.other.process.output())
            self.session.send(ber.SET, *zip(*pdu))
            self.other.wait_for_phase("ACTION")
            harness.wait_for(lambda: self.seen_by_admin()[0][1] == (1, 1), "our commit")
            # committed: visible, and nothing is gone
            self.assertTrue(self.serves())
            self.assertEqual(self.workers(), self.threads)
            self.other.go_on()
            self.assertEqual(self.session.receive()[:2],
                             (COMMIT_FAILED, [name for name, _ in pdu].index(names[1]) + 1))
            self.assertEqual(self.state(), before)
            self.assertTrue(self.serves())
            self.assertEqual(self.workers(), self.threads)
            self.token_is_free()
            before = self.state()
            self.threads = self.workers()
            # the old output had the message, and what came behind it
            harness.wait_for(lambda start=log: re.search(
                r"is taken back(.|\n)*\(adminRpc\)(.|\n)*\(snmp\)", self.log_since(start)),
                "the lines of all three")
        # and the same with nobody who fails
        self.assertEqual(self.session.set_all(self.binds()), (0, 0))
        self.assertIsNone(self.client.receive())
        harness.wait_for(lambda: len(self.workers()) == 1, lambda: f"one of {self.workers()}")
        log = len(self.daemon.log_text())
        self.session.set_all([(oid("lvaServerWorkersMax", 2), ber.unsigned(9))])
        with open(self.new, encoding="utf-8") as text:
            harness.wait_for(lambda: "max_workers 1 -> 9" in text.read(), "a line in the new file")
        self.assertEqual(self.log_since(log), "")


class MasterGone(Two):
    """The master is killed or stopped while the other subagent waits in a phase."""

    TIMEOUT = 5  # it must not end the waiting by itself
    LIMIT = {signal.SIGKILL: 2, signal.SIGSTOP: 10}  # seconds; 10: VADM_SET_ORPHAN_US

    def begin(self, phase):
        """Until the other waits there and ours has done its part."""
        self.other.restart()
        before, binds_wanted = self.state(), self.changes()
        binds, wanted = binds_wanted
        self.session.send(ber.SET, *zip(*(binds + self.others(phase, "hangs", True))))
        self.other.wait_for_phase(phase)
        if phase == "ACTION":
            harness.wait_for(lambda: self.seen_by_admin()[0][1][1] ==
                             wanted["lvaServerWorkersMax", (2,)], "our commit")
        elif phase == "RESERVE1":
            harness.wait_for(self.busy, "our TestSet")
        return before, wanted

    def busy(self):
        """The token is taken: virt-admin waits its second and is refused."""
        status, _, err = self.daemon.virt_admin("server-threadpool-set", "libvirtd",
                                                "--priority-workers", "5")
        if status:
            self.assertIn("another change of the configuration is under way", err)
        return status

    def settle(self, number):
        """The token comes free although no phase comes any more."""
        began = time.monotonic()
        harness.wait_for(lambda: not self.busy(), "the token", self.LIMIT[number] + 3)
        return time.monotonic() - began

    def leave(self, number):
        if number == signal.SIGSTOP:
            self.snmpd.process.kill(signal.SIGCONT)
        else:
            self.other.process.kill(signal.SIGKILL)
            self.snmpd.start()
        harness.wait_for(self.snmpd.has_agent, "the agent to be back")

    def one(self, phase, number, new):
        before, wanted = self.begin(phase)
        log = len(self.daemon.log_text())
        self.snmpd.process.kill(number)
        if number == signal.SIGKILL:
            self.snmpd.process.wait()
        took = self.settle(number)
        self.assertLess(took, self.LIMIT[number] + 2)
        _, filters = self.seen_by_admin()
        self.leave(number)
        after = self.state()
        config = [key for key in WRITABLE if key != ("lvaServerWorkersPriority", (2,))]
        expected = {**before, **(wanted if new else {})}
        self.assertEqual({key: after[key] for key in config}, {key: expected[key] for key in config})
        self.assertEqual(filters, re.sub(r"(\d):(\w+)", r"\1:*\2*",
                                         expected["lvaLogFilters", (0,)]))
        self.agree(after)
        if phase in ("RESERVE1", "ACTION"):
            self.assertRegex(self.log_since(log), "committed: (aborted|the change stays in force)")
        if number == signal.SIGSTOP:
            self.other.restart()
        self.token_is_free()
        self.assertEqual(self.snmpd.get1("lvaConfigLastOrigin"), 3)

    def test_killed(self):
        phases = (("RESERVE1", False), ("ACTION", True), ("COMMIT", True), ("UNDO", False),
                  ("FREE", False))
        for phase, new in phases if SCALE == 1 else phases[:2]:
            with self.subTest(phase=phase):
                self.one(phase, signal.SIGKILL, new)

    def test_stopped(self):
        """And late phases of the session that has ended meanwhile change nothing."""
        phases = (("ACTION", True), ("RESERVE1", False))
        for phase, new in phases if SCALE == 1 else phases[:1]:
            with self.subTest(phase=phase):
                self.one(phase, signal.SIGSTOP, new)

    def test_daemon_killed(self):
        """Ours dies between its commit and the end: the other takes its part back, and ours
        starts with what the file says."""
        self.begin("ACTION")
        self.daemon.process.kill(signal.SIGKILL)
        self.daemon.process.wait()
        self.other.go_on()
        self.assertEqual(self.session.receive()[0], GEN_ERR)
        self.other.wait_for_phase("UNDO")
        self.assertEqual(self.snmpd.get(self.other.behind), [0])
        self.daemon.start()
        after = self.state()
        self.assertEqual((after["lvaServerWorkersMin", (2,)], after["lvaServerWorkersMax", (2,)],
                          after["lvaLogFilters", (0,)], after[STAMP[0]], after[STAMP[2]]),
                         (5, 20, "", 1, 1))
        self.agree(after)
        self.token_is_free()


if __name__ == "__main__":
    unittest.main()
