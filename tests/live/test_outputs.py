# SPDX-License-Identifier: LGPL-2.1-or-later
"""Outputs of the log that hang, are full, vanish or are not there; what clients write into it."""

import os
import signal
import subprocess
import unittest

import ber
import harness
from harness import Raw, oid, xdr_string

SET_OUTPUTS, SET_FILTERS, LOOKUP = 16, 17, 5


class Outputs(unittest.TestCase):
    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        self.snmpd = harness.Snmpd(self.place)
        self.daemon = harness.Virtadmd(self.place, snmpd=self.snmpd, log="level = 1\n")
        self.file = os.path.join(self.daemon.logdir, "virtadmd.log")

    def dropped(self):
        return sum(self.snmpd.get1("lvaLogStatsDropped", level) or 0 for level in range(1, 5))

    def load(self, count=300):
        with Raw(self.daemon.admin) as admin:
            for _ in range(count):
                self.assertEqual(admin.call(3)[5], 0)

    def outputs(self, text):
        status, _, err = self.daemon.virt_admin("daemon-log-outputs", text)
        self.assertEqual(status, 0, err)

    def written(self, count):
        harness.wait_for(lambda: self.daemon.log_text().count("procedure 3 serial") == count,
                         f"{count} messages in the file")

    def test_full_disk(self):
        """What does not fit is dropped and counted; service and the other output go on."""
        before = self.dropped()
        self.outputs(f"1:file:/dev/full 1:file:{self.file}")
        self.load()
        harness.wait_for(lambda: self.dropped() > before + 300, "dropped messages to be counted")
        self.written(300)

    def test_stuck_pipe(self):
        """A reader that does not read: nobody waits, and the daemon ends all the same."""
        fifo = self.place.path("fifo")
        os.mkfifo(fifo)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        self.outputs(f"1:file:{fifo} 1:file:{self.file}")
        self.load(3000)
        self.daemon.process.kill(signal.SIGHUP)
        self.load()
        self.written(3300)
        self.assertEqual(self.daemon.stop(), 0)

    def test_vanished_folder(self):
        """SIGHUP cannot reopen the file: it says so and goes on with the one it has."""
        with open(self.file, encoding="utf-8") as kept:
            os.rename(self.daemon.logdir, self.daemon.logdir + ".gone")
            self.daemon.process.kill(signal.SIGHUP)
            text = []

            def says():
                text.append(kept.read())
                return "going on with the file that is open" in "".join(text)
            harness.wait_for(says, "a message in the old file")
            os.rename(self.daemon.logdir + ".gone", self.daemon.logdir)
        self.load(10)

    def test_nobody_listens(self):
        """journald and syslog where there is neither: the rest of the log does not suffer."""
        self.outputs(f"1:journald 1:syslog:virtadmd-test 1:file:{self.file}")
        self.load()
        self.written(300)

    def test_clients_cannot_forge_lines(self):
        """Newlines and escape sequences in what clients send end as '?' within one line."""
        forged = "x\n2026-01-01 00:00:00.000+0000: 1: error : forged\x1b[2J\x7f\u0085\r\x00y"
        with Raw(self.daemon.admin) as admin:
            for procedure, text in ((LOOKUP, xdr_string(forged)),
                                    (SET_FILTERS, b"\0\0\0\1" + xdr_string(forged) + b"\0\0\0\0"),
                                    (SET_FILTERS, b"\0\0\0\1" + xdr_string("1:" + forged.replace(
                                        " ", "_").replace(":", ".")) + b"\0\0\0\0"),
                                    (SET_OUTPUTS, b"\0\0\0\1" + xdr_string(forged) + b"\0\0\0\0"),
                                    (LOOKUP, xdr_string("z" * 65000))):
                self.assertIsNotNone(admin.call(procedure, text))
        self.daemon.virt_admin("daemon-log-filters", "")
        self.load(10)
        self.written(10)
        for line in self.daemon.log_text().splitlines():
            self.assertRegex(line, r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\+0000: \d+: ")
            self.assertNotRegex(line, r"^[^:]*:[^:]*:[^:]*: \d+: \w+ : forged")
            self.assertNotRegex(line, "[\x00-\x08\x0b-\x1f\x7f\x85]")
        _, filters, _ = self.daemon.virt_admin("daemon-log-filters")
        self.assertNotIn("\x1b", filters)


class OfManagers(unittest.TestCase):
    """Log files that came over SNMP are guarded: those of an administrator are not."""
    WRONG_LENGTH, WRONG_VALUE, RESOURCE_UNAVAILABLE = 8, 10, 13

    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        self.snmpd = harness.Snmpd(self.place)
        self.daemon = harness.Virtadmd(self.place, snmpd=self.snmpd)
        self.log, self.outside = self.daemon.logdir, self.place.path("outside")
        os.mkdir(self.outside)
        self.victim = self.place.write("outside/victim", "")
        self.session = ber.Session(self.snmpd.port)

    def set(self, outputs, level=2):
        """The outputs are the second of three."""
        text = outputs if isinstance(outputs, bytes) else outputs.encode()
        return self.session.request(ber.SET, [oid("lvaLogLevel"), oid("lvaLogOutputs"),
                                              oid("lvaLogFilters")],
                                    [ber.integer(level), ber.tlv(4, text), ber.tlv(4, b"1:f")])[:2]

    def state(self):
        return self.snmpd.get(oid("lvaLogLevel"), oid("lvaLogOutputs"), oid("lvaLogFilters"),
                              oid("lvaConfigGeneration"))

    def test_refused(self):
        """Each with the index of the outputs; nothing is made, opened or changed."""
        log, before = self.log, self.state()
        os.makedirs(f"{log}/one/two")
        os.symlink(self.outside, f"{log}/first")
        os.symlink(self.outside, f"{log}/one/middle")
        os.symlink(self.victim, f"{log}/link.log")
        os.symlink(f"{self.outside}/nowhere", f"{log}/dangling.log")
        os.symlink(f"{log}/virtadmd.log", f"{log}/back.log")
        os.symlink("/dev/null", f"{log}/null.log")
        os.link(self.victim, f"{log}/hard.log")
        os.mkfifo(f"{log}/fifo")
        os.mkdir(f"{log}-evil")
        kept = sorted(os.listdir(log))
        for path, status in (
                ("first/a.log", self.WRONG_VALUE), ("one/middle/a.log", self.WRONG_VALUE),
                ("link.log", self.WRONG_VALUE), ("dangling.log", self.WRONG_VALUE),
                ("back.log", self.WRONG_VALUE), ("null.log", self.WRONG_VALUE),
                ("hard.log", self.WRONG_VALUE), ("fifo", self.WRONG_VALUE),
                ("one", self.WRONG_VALUE), ("one/", self.WRONG_VALUE), ("../x", self.WRONG_VALUE),
                ("one/../../x", self.WRONG_VALUE), ("./x", self.WRONG_VALUE),
                ("/x", self.WRONG_VALUE), ("virtadmd.log/x", self.WRONG_VALUE),
                ("../log-evil/x", self.WRONG_VALUE), ("n" * 256, self.RESOURCE_UNAVAILABLE),
                ("missing/x", self.RESOURCE_UNAVAILABLE), ("n" * 4096, self.WRONG_LENGTH)):
            with self.subTest(path=path[:40]):
                self.assertEqual(self.set(f"1:file:{log}/created.log 2:file:{log}/{path}"),
                                 (status, 2))
                self.assertEqual(sorted(os.listdir(log)), kept)
        for outputs in (f"1:file:{log}-evil/x", "1:file:x", "1:file:/etc/virtadm-stray.log",
                        "1:file:/dev/null", "1:file:/", f"1:file:{log}",
                        f"1:file:{log}/a".encode() + b"\0.log", f"1:file:{log}/".encode() + b"\xff"):
            with self.subTest(outputs=outputs):
                self.assertEqual(self.set(outputs), (self.WRONG_VALUE, 2))
                self.assertNotEqual(self.snmpd.get1("lvaConfigLastError"), "")
        self.assertEqual(self.state(), before)
        self.assertEqual(sorted(os.listdir(log)), kept)
        self.assertEqual(os.listdir(self.outside), ["victim"])
        self.assertEqual(os.listdir(f"{log}-evil"), [])
        self.assertEqual(os.path.getsize(self.victim), 0)

    def test_refused_elsewhere(self):
        """What a SET has created goes when another varbind is at fault, what was there stays."""
        self.place.write("log/there.log", "")
        kept = sorted(os.listdir(self.log))
        outputs = f"1:file:{self.log}/new.log 1:file:{self.log}/there.log"
        status, index, _ = self.session.request(
            ber.SET, [oid("lvaLogOutputs"), oid("lvaServerWorkersMin", 2)],
            [ber.tlv(4, outputs.encode()), ber.integer(999, 0x42)])
        self.assertEqual((status, index), (12, 2))
        self.assertEqual(sorted(os.listdir(self.log)), kept)

    def test_rotation(self):
        """A link in the place of a rotated file is followed for an administrator only, also when
        he has since changed the filters of a manager's output."""
        path = f"{self.log}/new.log"

        def rotate(turn):
            os.rename(path, f"{path}.{turn}")
            os.symlink(self.victim, path)
            self.daemon.process.kill(signal.SIGHUP)
            with Raw(self.daemon.admin) as admin:
                # debug messages, by which the writer shows which file it has
                harness.wait_for(lambda: admin.call(3) and (
                    os.path.getsize(self.victim) > 0 or
                    self.place.read(f"log/new.log.{turn}").count("symbolic link") >= turn),
                    "the log to be reopened or not")
            os.unlink(path)
            os.rename(f"{path}.{turn}", path)
        self.assertEqual(self.set(f"1:file:{path}", 1), (0, 0))
        rotate(1)
        status, _, err = self.daemon.virt_admin("daemon-log-filters", "1:g")
        self.assertEqual(status, 0, err)
        rotate(2)
        self.assertEqual(os.path.getsize(self.victim), 0)
        self.assertEqual(self.place.read("log/new.log").count("must not be a symbolic link"), 2)
        status, _, err = self.daemon.virt_admin("daemon-log-outputs", f"1:file:{path} 4:stderr")
        self.assertEqual(status, 0, err)
        rotate(3)
        self.assertGreater(os.path.getsize(self.victim), 0)


class StuckStderr(unittest.TestCase):
    def test_stderr_that_nobody_reads(self):
        with harness.Place() as place:
            conf = place.write("stuck.conf", f"""\
[daemon]
runtime_dir = {place.path("run")}
[log]
level = 1
[snmp]
enabled = false
""")
            path = place.path("run", "virtadm-admin-sock")
            with subprocess.Popen([os.path.join(harness.BUILD, "virtadmd"), "--config", conf],
                                  stderr=subprocess.PIPE) as process:
                # it is there a little before somebody listens at it
                harness.wait_for(lambda: os.path.exists(path) and harness.run(
                    harness.tool("virt-admin"), "-c", f"libvirtd:///system?socket={path}", "uri")[0] == 0, "the socket")
                with Raw(path) as admin:
                    for _ in range(3000):
                        self.assertEqual(admin.call(3)[5], 0)
                process.terminate()
                self.assertEqual(process.wait(harness.PATIENCE), 0)
                process.stderr.close()


if __name__ == "__main__":
    unittest.main()
