# SPDX-License-Identifier: LGPL-2.1-or-later
"""Everybody at once: managers, administrators, reloads, log rotation and clients, and the end of
the daemon in the middle of it."""

import contextlib
import itertools
import os
import re
import signal
import struct
import subprocess
import threading
import time
import unittest

import ber
import harness
from harness import Raw, oid, xdr_string

SECONDS = float(os.environ.get("VADM_TEST_STORM", "4"))
GAUGE = 0x42
SET_THREADPOOL, GET_THREADPOOL, SET_OUTPUTS, SET_FILTERS = 7, 6, 16, 17


def threadpool(server, **numbers):
    """Arguments of SERVER_SET_THREADPOOL_PARAMETERS: unsigned typed parameters."""
    params = b"".join(xdr_string(name) + struct.pack(">iI", 2, number)
                      for name, number in numbers.items())
    return xdr_string(server) + struct.pack(">I", len(numbers)) + params + b"\0\0\0\0"


def optional(text):
    return struct.pack(">I", 1) + xdr_string(text) + b"\0\0\0\0"


class Storm(unittest.TestCase):
    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        self.snmpd = harness.Snmpd(self.place)
        self.daemon = harness.Virtadmd(self.place, snmpd=self.snmpd, log="level = 1\n",
                                       server="min_workers = 10\nmax_workers = 20",
                                       admin="max_workers = 10")
        self.over, self.faults, self.counts, self.threads = threading.Event(), [], {}, []
        self.addCleanup(self.over.set)

    def spin(self, turn):
        """Runs turn(n) in a thread until it is over; what it raises then is no fault."""
        def run():
            for n in itertools.count():
                if self.over.is_set():
                    return
                try:
                    turn(n)
                except Exception as fault:  # pylint: disable=broad-except
                    if not self.over.is_set():
                        self.faults.append((turn.__name__, repr(fault)))
                    return
                self.counts[turn.__name__] = n + 1
        thread = threading.Thread(target=run, daemon=True)
        self.threads.append(thread)
        thread.start()

    def all_at_once(self):
        admin, levels = Raw(self.daemon.admin), Raw(self.daemon.admin, Raw.EXTENSION)
        outputs, reader = Raw(self.daemon.admin), Raw(self.daemon.admin)
        writer, walker = ber.Session(self.snmpd.port), ber.Session(self.snmpd.port)
        bounds = [oid(f"lvaServerWorkers{which}", 2) for which in ("Min", "Max")]

        def administrators_set(n):
            low = 1 + n % 30
            self.assertIsNotNone(admin.call(SET_THREADPOOL, threadpool(
                "libvirtd", minWorkers=low, maxWorkers=low + 10)))

        def managers_set(n):
            low = 1 + n * 7 % 30
            status, _, _ = writer.request(ber.SET, bounds, [ber.integer(low, GAUGE),
                                                            ber.integer(low + 10, GAUGE)])
            self.assertIn(status, (0, 13))  # resourceUnavailable: another change

        def managers_read(_):
            status, _, found = walker.get(*bounds)
            self.assertEqual(status, 0)
            low, high = (int.from_bytes(value, "big") for _, _, value in found)
            self.assertEqual(high - low, 10, "a torn read")

        def administrators_read(_):
            reply = reader.call(GET_THREADPOOL, xdr_string("libvirtd") + b"\0\0\0\0")
            low, high = (struct.unpack(">I", reply[6][at + 16:at + 20])[0] for at in (
                reply[6].index(b"minWorkers"), reply[6].index(b"maxWorkers")))
            self.assertEqual(high - low, 10, "a torn read")

        def outputs_are_replaced(n):
            files = [f"1:file:{self.daemon.logdir}/{name}.log"
                     for name in (("a", "b"), ("b", "c"), ("virtadmd",))[n % 3]]
            self.assertIsNotNone(outputs.call(SET_OUTPUTS, optional(" ".join(files))))
            self.assertIsNotNone(outputs.call(SET_FILTERS, optional(f"{1 + n % 4}:nobody")))

        def levels_change(n):
            self.assertIsNotNone(levels.call(2, struct.pack(">II", 1 + n % 4, 0)))

        def reloads(n):
            self.place.write("next.conf", self.daemon.text.replace(
                "[server libvirtd]\n", f"[server libvirtd]\nclients_high_percent = {n % 100}\n"))
            os.replace(self.place.path("next.conf"), self.daemon.conf)
            self.daemon.process.kill(signal.SIGHUP)
            time.sleep(0.003)

        def clients_come_and_go(_):
            with contextlib.suppress(BlockingIOError):  # the kernel's queue is full
                with Raw(self.daemon.socket, Raw.REMOTE) as client:
                    client.send(66)
            time.sleep(0.001)

        for turn in (administrators_set, managers_set, managers_read, administrators_read,
                     outputs_are_replaced, levels_change, reloads, clients_come_and_go):
            self.spin(turn)

    def stop_all(self):
        for thread in self.threads:
            thread.join(harness.PATIENCE)
            self.assertFalse(thread.is_alive())

    def test_all_at_once_and_the_end(self):
        """No torn read, no sanitizer's report, and SIGTERM in the middle ends it in time."""
        self.all_at_once()
        time.sleep(SECONDS)
        harness.wait_for(lambda: self.faults or min(self.counts.values()) > 5, lambda: self.counts)
        self.assertEqual(self.faults, [])
        self.assertTrue(self.daemon.process.alive(), self.daemon.process.output()[-2000:])
        self.over.set()
        began = time.monotonic()
        self.daemon.process.kill(signal.SIGHUP)
        self.daemon.process.kill(signal.SIGTERM)
        self.daemon.process.kill(signal.SIGHUP)
        self.daemon.process.kill(signal.SIGTERM)
        self.assertEqual(self.daemon.process.wait(), 0)
        self.assertLess(time.monotonic() - began, 10)
        self.snmpd.process.end()
        self.stop_all()
        print(f"   {self.counts}", flush=True)
        for name, count in self.counts.items():
            self.assertGreater(count, 5, name)

    def test_rotation_loses_no_line(self):
        """Files are renamed and SIGHUP sent under load: each message is in exactly one of them."""
        log = os.path.join(self.daemon.logdir, "virtadmd.log")
        admin = Raw(self.daemon.admin)

        def messages(_):
            self.assertIsNotNone(admin.call(3))

        def rotations(n):
            os.rename(log, f"{log}.{n:06}")
            self.daemon.process.kill(signal.SIGHUP)
            harness.wait_for(lambda: os.path.exists(log), "the new log file")
        self.spin(messages)
        self.spin(rotations)
        time.sleep(SECONDS)
        self.over.set()
        self.stop_all()
        self.assertEqual(self.faults, [])
        self.assertEqual(self.daemon.stop(), 0)
        text = ""
        for name in sorted(os.listdir(self.daemon.logdir), key=lambda name: (name.count(".") == 1, name)):
            with open(os.path.join(self.daemon.logdir, name), encoding="utf-8") as file:
                text += file.read()
        serials = [int(serial) for serial in re.findall(r"procedure 3 serial (\d+)\n", text)]
        self.assertTrue(serials == list(range(self.counts["messages"])), "lost, doubled or torn")
        print(f"   {self.counts}", flush=True)
        self.assertGreater(self.counts["rotations"], 20)


if __name__ == "__main__":
    unittest.main()
