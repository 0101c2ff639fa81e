# SPDX-License-Identifier: LGPL-2.1-or-later
"""Outputs of the log that hang, are full, vanish or are not there; what clients write into it."""

import os
import signal
import subprocess
import unittest

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
                harness.wait_for(lambda: os.path.exists(path), "the socket")
                with Raw(path) as admin:
                    for _ in range(3000):
                        self.assertEqual(admin.call(3)[5], 0)
                process.terminate()
                self.assertEqual(process.wait(harness.PATIENCE), 0)
                process.stderr.close()


if __name__ == "__main__":
    unittest.main()
