# SPDX-License-Identifier: LGPL-2.1-or-later
"""The master agent absent, stopped, killed and restarted: the subagent comes back, and nothing
outside its thread notices."""

import contextlib
import os
import signal
import struct
import threading
import time
import unittest

import harness
from harness import Raw, oid
from test_relay import GET_TYPE, OPEN, open_payload

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
        stop = max(30 * SCALE, 3)
        with Stopped(self.place, self.snmpd, self.libvirtd) as stopped:
            stopped.run(stop / 3, stop, max(int(1000 * SCALE), 100))
            self.assertEqual(stopped.failures, [])
            self.back(time.monotonic())
            self.assertEqual(self.snmpd.get1("lvaServerWorkersMin", 2), 5)
            self.assertGreater(len(self.snmpd.walk(oid("lvaServerName", 1).rsplit(".", 2)[0])), 1)
            print(f"\n{stopped}", end="")
            # a call that waits for the master would take seconds
            self.assertLess(max(max(stopped.times[kind, "during"][0]) for kind in stopped.KINDS), 2)


class Stopped(contextlib.ExitStack):
    """Calls of virsh's and virt-admin's kind to a daemon whose master agent is stopped for a while,
    each next to the same call to a second daemon whose master is not.

    Before and during the stop are different times, and on a busy machine different times differ by
    factors with nothing stopped at all. The calls to the two daemons alternate, so what disturbs
    one meets the other; the ratio before the stop says how far a ratio is off by chance."""

    KINDS = ("virsh", "virt-admin")
    PHASES = ("before", "during", "after")

    def __init__(self, place, snmpd, libvirtd, retry=1):
        super().__init__()
        self.snmpd = snmpd
        self.daemon = harness.Virtadmd(place, libvirtd, snmpd, retry=retry)
        beside = self.enter_context(harness.Place())
        self.control_snmpd = harness.Snmpd(beside)
        self.control = harness.Virtadmd(beside, libvirtd, self.control_snmpd)
        self.times = {(kind, phase): ([], []) for kind in self.KINDS for phase in self.PHASES}
        self.phase, self.done, self.failures = "before", threading.Event(), []
        self.snmp_load = {}  # by phase: how much of a processor the snmp thread takes

    def call(self, kind, clients, proc, payload):
        # The call counts where it began: the one in flight at the stop is not left out. Neither
        # daemon is always the first, which finds the processor's caches cold.
        phase = self.phase
        pairs = list(zip(clients, self.times[kind, phase]))
        if len(pairs[0][1]) % 2:
            pairs.reverse()
        for client, times in pairs:
            began = time.monotonic()
            reply = client.call(proc, payload)
            if reply is None or reply[5] != 0:
                self.failures.append((kind, phase, reply))
                self.done.set()
                return
            times.append(time.monotonic() - began)

    def caller(self, kind, paths, number, proc, payload, opening):
        with Raw(paths[0], number) as subject, Raw(paths[1], number) as control:
            for client in (subject, control):
                if opening:
                    client.call(OPEN, opening)
            while not self.done.is_set():
                self.call(kind, (subject, control), proc, payload)
                self.done.wait(0.002)

    def snmp_time(self):
        """Processor seconds of the snmp thread."""
        tasks = f"/proc/{self.daemon.process.pid}/task"
        for task in os.listdir(tasks):
            with open(f"{tasks}/{task}/schedstat", encoding="ascii") as stat, \
                    open(f"{tasks}/{task}/comm", encoding="ascii") as name:
                if name.read() == "snmp\n":
                    return int(stat.read().split()[0]) / 1e9
        raise AssertionError("virtadmd has no snmp thread")

    def spend(self, phase, seconds, count):
        self.phase = phase
        began, before = time.monotonic(), self.snmp_time()
        self.done.wait(seconds)
        harness.wait_for(lambda: self.failures or all(len(self.times[kind, phase][1]) >= count
                                                      for kind in self.KINDS), "calls", 120)
        self.snmp_load[phase] = (self.snmp_time() - before) / (time.monotonic() - began)

    def stop_master(self):
        self.snmpd.process.kill(signal.SIGSTOP)

    def let_master_go_on(self):
        self.snmpd.process.kill(signal.SIGCONT)

    def run(self, around, stop, count):
        """@around: seconds before and after; @stop: seconds; @count: at least so many calls of
        each kind in each of the three."""
        paths = [(self.daemon.socket, self.control.socket), (self.daemon.admin, self.control.admin)]
        # not the host's name, for which libvirtd asks the DNS, and a slow one makes it wait for 5 s
        callers = [
            threading.Thread(target=self.caller, args=(
                "virsh", paths[0], Raw.REMOTE, GET_TYPE, b"", open_payload())),
            threading.Thread(target=self.caller, args=(
                "virt-admin", paths[1], Raw.ADMIN, 4, struct.pack(">II", 1, 0), None)),
        ]
        for thread in callers:
            thread.start()
        try:
            self.spend("before", around, count)
            self.stop_master()
            self.spend("during", stop, count)
            self.let_master_go_on()
            self.spend("after", around, count)
        finally:
            self.snmpd.process.kill(signal.SIGCONT)
            self.done.set()
            for thread in callers:
                thread.join()

    def __str__(self):
        lines = []
        for kind in self.KINDS:
            for name, part in (("p50", 0.5), ("p99", 0.99)):
                pairs = [[percentile(times, part) * 1e6 for times in self.times[kind, phase]]
                         for phase in self.PHASES]
                lines.append(f"   {kind}: {name} before/during/after "
                             + "/".join(f"{pair[0]:.0f}" for pair in pairs)
                             + " us, by that of the daemon beside it "
                             + "/".join(f"{pair[0] / pair[1]:.2f}" for pair in pairs))
            lines[-1] += f" ({len(self.times[kind, 'during'][0])} calls during)"
        lines.append("   snmp thread, % of a processor before/during/after: "
                     + "/".join(f"{self.snmp_load[phase] * 100:.2f}" for phase in self.PHASES))
        return "\n".join(lines)


if __name__ == "__main__":
    unittest.main()
