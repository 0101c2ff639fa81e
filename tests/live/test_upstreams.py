# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two relay servers in front of two libvirtds, one of which comes and goes."""

import os
import signal
import threading
import time
import unittest

import harness
from harness import oid
from upstream import Speaker

# Of a machine on which nothing else runs, without sanitizers.
PROMISED = 1.0
NONE, UP, UNREACHABLE = 1, 2, 3


class Upstreams(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = harness.Place()
        cls.addClassCleanup(cls.place.close)
        cls.snmpd = harness.Snmpd(cls.place)
        cls.first = harness.Libvirtd(cls.place, "first")
        cls.second = harness.Libvirtd(cls.place, "second")
        cls.path = cls.place.path("run", "second-sock")
        cls.daemon = harness.Virtadmd(cls.place, cls.first, cls.snmpd, server="""\
max_clients = 10
max_anonymous_clients = 10
""", extra=f"""\
[server second]
program = relay
index = 3
upstream = unix:{cls.second.socket}
listen = unix:second-sock
max_clients = 2
max_anonymous_clients = 2
max_workers = 3
min_workers = 1
""")

    def value(self, server, name):
        return self.snmpd.get1(name, {"libvirtd": 2, "second": 3}[server])

    def states(self):
        return [self.value(server, "lvaServerUpstreamState") for server in ("libvirtd", "second")]

    def wait_for_states(self, *states):
        harness.wait_for(lambda: self.states() == list(states), f"upstream states {states}")

    def served(self, path):
        """Is a new client served, by the upstream itself?"""
        try:
            with Speaker.connect(path) as client:
                return client.call(1, harness.open_payload()).status == 0
        except OSError:
            return False

    def restart(self, probe):
        """Starts the second libvirtd; Returns: seconds from when it serves clients of its own until
        probe() is true."""
        thread = threading.Thread(target=self.second.start)
        thread.start()
        harness.wait_for(lambda: self.served(self.second.socket), "libvirtd", 60)
        began = time.monotonic()
        harness.wait_for(probe, "the relay to follow")
        took = time.monotonic() - began
        thread.join()
        return took

    def lose(self):
        """Ends the second libvirtd; returns the seconds until that is seen."""
        self.second.process.kill(signal.SIGKILL)
        self.second.process.wait()
        began = time.monotonic()
        self.wait_for_states(UP, UNREACHABLE)
        return time.monotonic() - began

    def check(self, what, took, again):
        """again measures it once more: of a busy machine the best of three counts."""
        limit, tries = PROMISED * (3 if "VADM_SANITIZER_ENV" in os.environ else 2), [took]
        while min(tries) >= limit and len(tries) < 3:
            tries.append(again())
        print(f"{what} after {min(tries):.2f} s", end=" ... ")
        self.assertLess(min(tries), limit, tries)

    def lose_and_start(self):
        took = self.lose()
        self.restart(lambda: self.states() == [UP, UP])
        return took

    def lose_and_restart(self, probe):
        self.lose()
        return self.restart(probe)

    def wait_for_open(self, number):
        """That many clients of the second have asked all that a virsh asks when it comes; in the midst of
        that one ends with its upstream."""
        harness.wait_for(lambda: [row >= 6 for row in dict(self.snmpd.walk(
            oid("lvaClientRequests", 3))).values()] == [True] * number, f"{number} clients at rest")

    def test_one_goes(self):
        """The clients of one are closed, with an error; those of the other do not notice. Both serve
        again, and say so, within a second of its return."""
        place = self.place
        with harness.idle_virsh(place, self.daemon.socket, "stays") as stays, \
                harness.idle_virsh(place, self.path, "goes") as goes, \
                harness.idle_virsh(place, self.path, "goes-too") as goes_too:
            harness.wait_for(lambda: self.value("second", "lvaServerClientsState") == 3, "full")
            harness.wait_for(lambda: self.value("libvirtd", "lvaServerClientsCurrent") == 1, "one")
            # each has its own limits, rows and workers
            self.assertEqual(self.value("second", "lvaServerClientsMax"), 2)
            self.assertEqual(self.value("libvirtd", "lvaServerClientsMax"), 10)
            self.assertEqual(self.value("second", "lvaServerWorkersMax"), 3)
            self.assertEqual(harness.virsh(self.daemon.socket, "list")[0], 0)
            harness.wait_for(lambda: self.states() == [UP, UP], "both to be up")
            self.wait_for_open(2)
            lost = self.lose()
            harness.wait_for(lambda: self.value("second", "lvaServerClientsCurrent") == 0, "none")
            for virsh, name in (goes, "goes"), (goes_too, "goes-too"):
                virsh.stdin.write(b"hostname\n")
                virsh.stdin.flush()
                harness.wait_for(lambda name=name: "error:" in place.read(name + ".out"),
                                 "an error at the old client")
            self.assertEqual(self.value("libvirtd", "lvaServerClientsCurrent"), 1)
            stays.stdin.write(b"domstate test\n")
            stays.stdin.flush()
            harness.wait_for(lambda: "running" in place.read("stays.out"), "the other to go on")
            self.assertIsNone(stays.poll())
            status, _, err = harness.virsh(self.path, "list")
            self.assertEqual(status, 1)
            self.assertIn(self.second.socket, err)
        def served():
            return self.served(self.path)
        self.check("served again", self.restart(served), lambda: self.lose_and_restart(served))
        self.wait_for_states(UP, UP)
        self.check("unreachable", lost, self.lose_and_start)

    def test_seen_without_clients(self):
        """Nobody comes: its state follows all the same."""
        self.assertTrue(self.served(self.path) and self.served(self.daemon.socket))
        with Speaker.connect(self.path).open():
            self.lose()

        def up():
            return self.states() == [UP, UP]
        self.check("up", self.restart(up), lambda: self.lose_and_restart(up))


if __name__ == "__main__":
    unittest.main()
