# SPDX-License-Identifier: LGPL-2.1-or-later
"""The master agent absent, stopped, killed and restarted: the subagent comes back, and nothing
outside its thread notices."""

import os
import signal
import struct
import threading
import time
import unittest

import harness
from harness import Raw, oid
from test_relay import HOSTNAME, OPEN, open_payload

SCALE = float(os.environ.get("VADM_TEST_SCALE", "1"))
RETRY = 1  # seconds; the harness's configuration
SLACK = 0 if SCALE == 1 else 3  # sanitizers


def percentile(times, part):
    return sorted(times)[min(int(len(times) * part), len(times) - 1)]


class Master(unittest.TestCase):
    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        self.snmpd = harness.Snmpd(self.place)
        self.libvirtd = harness.Libvirtd(self.place)

    def back(self, since):
        """The agent answers again; how long after the master was there."""
        harness.wait_for(self.snmpd.has_agent, "the agent to be back", 30)
        return time.monotonic() - since

    def test_absent_at_start(self):
        self.snmpd.process.end()
        daemon = harness.Virtadmd(self.place, self.libvirtd, self.snmpd)
        self.assertEqual(harness.virsh(daemon.socket, "hostname")[0], 0)
        self.snmpd.start()
        self.assertLess(self.back(time.monotonic()), RETRY + 1 + SLACK)

    def test_killed_and_restarted(self):
        daemon = harness.Virtadmd(self.place, self.libvirtd, self.snmpd)
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
            self.snmpd.process.kill(number)
            self.snmpd.process.wait()
            self.assertEqual(harness.virsh(daemon.socket, "hostname")[0], 0)
            self.snmpd.start()
            self.assertLess(self.back(time.monotonic()), RETRY + 1 + SLACK)
        self.assertEqual(self.snmpd.get1("lvaServerWorkersMin", 2), 5)

    def test_daemon_ends_while_master_is_stopped(self):
        daemon = harness.Virtadmd(self.place, self.libvirtd, self.snmpd)
        self.snmpd.process.kill(signal.SIGSTOP)
        began = time.monotonic()
        self.assertEqual(daemon.stop(), 0)
        self.assertLess(time.monotonic() - began, 8)
        self.assertFalse(os.path.exists(daemon.admin))

    def test_daemon_starts_while_master_is_stopped(self):
        self.snmpd.process.kill(signal.SIGSTOP)
        daemon = harness.Virtadmd(self.place, self.libvirtd, None)
        daemon.process.end()
        self.place.write("virtadmd.conf", daemon.text.replace(
            "[snmp]\nenabled = false",
            f"[snmp]\nmaster = unix:{self.snmpd.agentx}\nretry_interval = {RETRY}"))
        daemon.start()
        self.assertEqual(harness.virsh(daemon.socket, "hostname")[0], 0)
        self.snmpd.process.kill(signal.SIGCONT)
        self.assertLess(self.back(time.monotonic()), RETRY + 1 + 6 + SLACK)

    def test_stopped_master_delays_nobody(self):
        """SIGSTOP of the master for 30 s: calls of virsh's and virt-admin's kind before, during
        and after, always one in flight; the ratio of the p99s is reported."""
        daemon = harness.Virtadmd(self.place, self.libvirtd, self.snmpd)
        phase, times, done = ["before"], {}, threading.Event()
        failures = []

        def caller(name, path, program, proc, payload, opening):
            with Raw(path, program) as client:
                if opening:
                    client.call(OPEN, opening)
                while not done.is_set():
                    now = phase[0]
                    began = time.monotonic()
                    reply = client.call(proc, payload)
                    if reply is None or reply[5] != 0:
                        failures.append((name, now, reply))
                        return
                    times.setdefault((name, now), []).append(time.monotonic() - began)
                    done.wait(0.002)
        callers = [
            threading.Thread(target=caller, args=("virsh", daemon.socket, Raw.REMOTE, HOSTNAME, b"",
                                                  open_payload())),
            threading.Thread(target=caller, args=("virt-admin", daemon.admin, Raw.ADMIN, 4,
                                                  struct.pack(">II", 1, 0), None)),
        ]
        for thread in callers:
            thread.start()

        def enough(count, name=None):
            return lambda: failures or all(len(times.get((kind, name or phase[0]), ())) >= count
                                           for kind in ("virsh", "virt-admin"))
        count = max(int(1000 * SCALE), 100)
        harness.wait_for(enough(count), "calls before", 120)
        self.snmpd.process.kill(signal.SIGSTOP)
        phase[0] = "during"
        began = time.monotonic()
        harness.wait_for(enough(count), "calls during", 120)
        done.wait(max(0, max(30 * SCALE, 3) - (time.monotonic() - began)))
        self.snmpd.process.kill(signal.SIGCONT)
        phase[0] = "after"
        harness.wait_for(enough(count), "calls after", 120)
        done.set()
        for thread in callers:
            thread.join()
        self.assertEqual(failures, [])
        self.back(time.monotonic())
        self.assertEqual(self.snmpd.get1("lvaServerWorkersMin", 2), 5)
        self.assertGreater(len(self.snmpd.walk(oid("lvaServerName", 1).rsplit(".", 2)[0])), 1)
        for kind in ("virsh", "virt-admin"):
            p99 = [percentile(times[kind, name], 0.99) * 1e6 for name in
                   ("before", "during", "after")]
            print(f"\n   {kind}: p99 before/during/after {p99[0]:.0f}/{p99[1]:.0f}/{p99[2]:.0f} us,"
                  f" ratio during/before {p99[1] / p99[0]:.2f}"
                  f" ({len(times[kind, 'during'])} calls during)", end="")
            # a call that waits for the master would take seconds
            self.assertLess(max(times[kind, "during"]), 2)


if __name__ == "__main__":
    unittest.main()
