# SPDX-License-Identifier: LGPL-2.1-or-later
"""More notifications than anybody takes: 10,000 clients come and go while the master agent is
stopped."""

import os
import signal
import subprocess
import sys
import time
import unittest

import harness
import test_master
import traps
from harness import oid

SCALE = float(os.environ.get("VADM_TEST_SCALE", "1"))
CONNECTS = int(10000 * SCALE)
BEHIND = max(CONNECTS // 10, 100)  # of them the master has seen when it is stopped
# What a queue of notifications may take, kB. A sanitizer keeps what was freed.
MEMORY = 12288 if SCALE == 1 else 1 << 20
# By turns, so that both daemons have the same to do at any time.
CONNECT = """
import socket, sys
for _ in range(int(sys.argv[1])):
    for path in sys.argv[2:]:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
"""


class Flooded(test_master.Stopped):
    """The calls of Stopped while clients come and go, the same number at the daemon beside it."""

    def __init__(self, place, snmpd, libvirtd, receiver, beyond_session):
        # a session ends with a ping that is not answered
        super().__init__(place, snmpd, libvirtd, 1 if beyond_session else 3600)
        self.receiver, self.beyond_session = receiver, beyond_session
        for each in (snmpd, self.control_snmpd):
            each.set((oid("lvaNotifyEnable"), "x", "FFC0"), (oid("lvaNotifyMinInterval"), "u", 1))
        self.resident = {}
        self.settings = 0  # changes of the limit while the master is stopped

    def measure(self, phase):
        self.resident[phase] = [each.process.resident() for each in (self.daemon, self.control)]

    def spend(self, phase, seconds, count):
        super().spend(phase, seconds, count)
        self.measure(phase)

    def stop_master(self):
        self.phase = "during"
        self.burst = subprocess.Popen([sys.executable, "-S", "-c", CONNECT, str(CONNECTS),
                                       self.daemon.socket, self.control.socket])
        harness.wait_for(lambda: len(self.receiver.raw) > BEHIND, "the first ones")
        super().stop_master()
        self.stopped = time.monotonic()

    def limit(self, clients):
        self.settings += 1
        status, _, err = self.daemon.virt_admin("server-clients-set", "libvirtd", "--max-clients",
                                                str(clients), "--max-unauth-clients", "0")
        assert status == 0, err

    def let_master_go_on(self):
        assert self.burst.wait(harness.PATIENCE * 5) == 0
        self.measure("burst")
        if self.beyond_session:
            harness.wait_for(lambda: "lost the master agent" in self.daemon.log_text(),
                             "the end of the session")
        for clients in 1, 100, 1:  # full, not full, full: by the one that makes the calls
            self.limit(clients)
        super().let_master_go_on()
        began = time.monotonic()
        self.stopped = began - self.stopped
        harness.wait_for(self.snmpd.has_agent, "an answer")
        self.back = time.monotonic() - began


class Flood(unittest.TestCase):
    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        self.receiver = traps.Receiver(self.place)
        self.snmpd = harness.Snmpd(
            self.place, f"trap2sink udp:127.0.0.1:{self.receiver.port} public")
        self.libvirtd = harness.Libvirtd(self.place)

    def test_shorter_than_the_session(self):
        self.flood(0.5, False)
        # the oldest made room, not the newest; identifiers are given one after the other
        came = [told.index[1] for told in self.receiver.told()
                if told.name == "lvaClientConnected" and told.index[0] == 2]
        self.assertEqual(came[-1], self.accepted)
        self.assertLess(len(came), came[-1] if SCALE == 1 else came[-1] + 1)

    def test_longer_than_the_session(self):
        self.flood(max(3 * SCALE, 1), True)

    def test_the_end_while_the_master_is_stopped(self):
        """What is not sent then never will be; nobody waits for it."""
        daemon = harness.Virtadmd(self.place, None, self.snmpd, server="max_anonymous_clients = 0")
        self.snmpd.set((oid("lvaNotifyEnable"), "x", "FFC0"))
        crowd = [self.place.enter_context(harness.Raw(daemon.socket)) for _ in range(500)]
        harness.wait_for(lambda: len(self.receiver.raw) >= 500, "them to come")
        self.snmpd.process.kill(signal.SIGSTOP)
        for client in crowd[:250]:
            client.sock.close()
        began = time.monotonic()
        self.assertEqual(daemon.stop(), 0)
        self.assertLess(time.monotonic() - began, 8)

    def flood(self, seconds, beyond_session):
        """seconds: for which the master is stopped at least."""
        with Flooded(self.place, self.snmpd, self.libvirtd, self.receiver, beyond_session) as flooded:
            before = self.counters()
            accepted = self.clients()[0]
            flooded.run(max(SCALE, 0.3), seconds, 50)
            self.assertEqual(flooded.failures, [])
            # the callers are gone now; the server is below its limit again
            self.wait_for_the_end(before, accepted)
            self.accepted = self.snmpd.get1("lvaServerClientsAccepted", 2)
            sent, suppressed = (now - then for now, then in zip(self.counters(), before))
            told = self.receiver.told()
            came = self.clients()[0] - accepted
            print(f"\n   stopped for {flooded.stopped:.1f} s; {came} clients; "
                  f"{sent} sent, {suppressed} suppressed, {len(told)} received; "
                  f"first answer {flooded.back:.2f} s after the stop\n"
                  "   resident before/during/at the burst's end/after: "
                  + "/".join(str(flooded.resident[phase][0])
                             for phase in ("before", "during", "burst", "after"))
                  + " kB, of the daemon beside it "
                  + "/".join(str(flooded.resident[phase][1])
                             for phase in ("before", "during", "burst", "after"))
                  + f" kB\n{flooded}", end="")
            self.check_order(told)
            self.check_last(told, flooded)
            self.assertLess(flooded.back, 3 if SCALE == 1 else 10)
            self.assertLess(max(flooded.resident.values())[0] - flooded.resident["before"][0],
                            MEMORY)
            self.check_accounts(sent + suppressed, accepted)
            # a call that waits for the master would take seconds
            self.assertLess(max(max(flooded.times[kind, "during"][0]) for kind in flooded.KINDS),
                            2 if SCALE == 1 else 10)
            self.assertEqual("lost the master agent" in flooded.daemon.log_text(), beyond_session)

    def counters(self):
        return self.snmpd.get(oid("lvaNotifySent"), oid("lvaNotifySuppressed"))

    def clients(self):
        """(accepted so far, connected now) of both servers together"""
        found = self.snmpd.get(*(oid(name, server) for server in (1, 2) for name in
                                 ("lvaServerClientsAccepted", "lvaServerClientsCurrent")))
        return found[0] + found[2], found[1] + found[3]

    def wait_for_the_end(self, counted, accepted):
        """counted: counters() before; accepted: clients before."""
        harness.wait_for(lambda: self.clients()[1] == 0, "all to go")
        harness.wait_for(lambda: self.told_last("lvaClientsNormal"), lambda: "lvaClientsNormal: "
                         f"{[str(told) for told in self.limits()[-3:]]}")
        harness.wait_for(lambda: self.is_accounted_for(counted, accepted), lambda: (
            f"{self.counters()} sent and suppressed, {counted} before, {len(self.receiver.told())} "
            f"received; {self.clients()[0]} clients, {accepted} before"))

    def is_accounted_for(self, counted, accepted):
        """Each client that came and went is counted, and what was sent is here."""
        sent, suppressed = self.counters()
        return (sent + suppressed - sum(counted) >= 2 * (self.clients()[0] - accepted) and
                sent == len(self.receiver.told()))

    def limits(self):
        return [told for told in self.receiver.told()
                if told.name in ("lvaClientsFull", "lvaClientsHigh", "lvaClientsNormal")]

    def told_last(self, name):
        return self.limits()[-1:] and self.limits()[-1].name == name

    def check_order(self, told):
        """Nothing is told twice, and nothing that is older than what was told before it."""
        for server in (1, 2):
            came, gone = ([one.index[1] for one in told
                           if one.name == name and one.index[0] == server]
                          for name in ("lvaClientConnected", "lvaClientDisconnected"))
            self.assertEqual(came, sorted(set(came)))
            self.assertEqual(len(gone), len(set(gone)))
        places = {}
        for place, one in enumerate(told):
            if one.name == "lvaClientDisconnected":
                places[one.index] = place
        for place, one in enumerate(told):
            if one.name == "lvaClientConnected":
                self.assertLess(place, places.get(one.index, len(told)), one)
        generations = [one.values["lvaConfigGeneration"] for one in told
                       if one.name == "lvaConfigChanged"]
        self.assertEqual(generations, sorted(set(generations)))

    def check_last(self, told, flooded):
        """Full was told when the master went on, and the last generation."""
        full = [one for one in self.limits() if one.name == "lvaClientsFull"]
        self.assertTrue(full, "full was never told")
        self.assertEqual((full[-1].values["lvaServerClientsMax"], full[-1].index), (1, (2,)))
        self.assertEqual(flooded.settings, 3)
        changed = [one for one in told if one.name == "lvaConfigChanged"]
        self.assertEqual(changed[-1].values["lvaConfigGeneration"],
                         self.snmpd.get1("lvaConfigGeneration"))

    def check_accounts(self, counted, accepted):
        """Hardly more is counted than clients: limits, configuration, what is raised again."""
        self.assertLessEqual(counted, 2 * (self.clients()[0] - accepted) + 60)


if __name__ == "__main__":
    unittest.main()
