# SPDX-License-Identifier: LGPL-2.1-or-later
"""Signs of life for a service manager: they go on whatever the master agent does."""

import signal
import unittest

import harness

INTERVAL = 6  # seconds: the manager would end who is silent for longer
BEATS = 4     # in an interval


class Watchdog(unittest.TestCase):
    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        self.snmpd = harness.Snmpd(self.place)
        self.libvirtd = harness.Libvirtd(self.place)
        self.manager = harness.Manager(self.place, INTERVAL * 1000 * 1000)

    def stays_alive(self, intervals):
        for _ in range(intervals * BEATS):
            self.manager.wait_for("WATCHDOG=1", INTERVAL)

    def whatever_the_master_does(self, daemon):
        self.stays_alive(1)
        self.snmpd.process.kill(signal.SIGSTOP)
        self.manager.wait_for("STATUS=Waiting for the master agent")
        self.stays_alive(2)
        self.snmpd.process.kill(signal.SIGKILL)
        self.snmpd.process.wait()
        self.stays_alive(1)
        self.snmpd.start()
        self.manager.wait_for("STATUS=Connected to the master agent")
        self.assertNotIn("no sign of life", daemon.log_text())
        self.assertEqual(daemon.stop(), 0)
        self.manager.wait_for("STOPPING=1")

    def test_virtadmd(self):
        self.whatever_the_master_does(harness.Virtadmd(self.place, self.libvirtd, self.snmpd,
                                                       env=self.manager.env))

    def test_virtadm_agent(self):
        self.whatever_the_master_does(harness.Agent(self.place, self.snmpd,
                                                    ("libvirtd", self.libvirtd.admin),
                                                    env=self.manager.env))
