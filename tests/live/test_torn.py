# SPDX-License-Identifier: LGPL-2.1-or-later
"""Readers that fetch two servers and the logging in one GET, while SETs and the admin program
change all of them: each answer is one configuration, whole."""

import itertools
import multiprocessing
import os
import struct
import threading
import time
import unittest

import ber
import harness
from harness import Raw, oid, xdr_string

SCALE = float(os.environ.get("VADM_TEST_SCALE", "1"))
READS, CHANGES = int(100000 * SCALE), int(10000 * SCALE)
READERS, WINDOW = 2, 12
GAUGE = 0x42
SET_CLIENT_LIMITS = 13
UNAVAILABLE = 13  # resourceUnavailable: another change is under way

PER_SERVER = ("WorkersMax", "ClientsMax", "ClientsUnauthMax", "ClientRequestsMax")
CHANGED = [oid("lvaServer" + column, server) for column in PER_SERVER for server in (1, 2)] + \
    [oid("lvaLogLevel"), oid("lvaLogFilters")]
READ = CHANGED + [oid("lvaConfigGeneration"), oid("lvaConfigLastOrigin")]


def numbers(turn):
    """What the SET of this turn asks for: all of it follows from one number."""
    seed = turn % 700
    return [40 + seed, 47 + seed, 300 + seed, 1300 + seed, 291 + seed, 1250 + seed, 3 + seed,
            5 + seed, 3 + seed % 2, f"4:k{seed}".encode()]


def whole(values):
    """Invariants between objects of both servers and the logging that SETs alone change, and
    within each server where both kinds of writers do."""
    asked = numbers(values[0] - 40)
    return all(values[i] == asked[i] for i in (0, 1, 6, 7, 8, 9)) and \
        values[2] - values[4] == 9 and values[3] - values[5] == 50


class Reader(multiprocessing.Process):
    """Keeps some requests under way all the time, since a round trip is mostly waiting."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.count = port, multiprocessing.Value("L", 0)
        self.over = multiprocessing.Event()
        self.mine, self.other = multiprocessing.Pipe()

    def run(self):
        session = ber.Session(self.port)
        binds = ber.tlv(0x30, b"".join(ber.tlv(0x30, ber.encode_oid(name) + b"\x05\0")
                                       for name in READ))
        torn, known, under_way, failed = [], {}, 0, []
        ids = itertools.count(1000000)

        def send():
            body = ber.integer(next(ids)) + ber.integer(0) + ber.integer(0) + binds
            session.sock.send(ber.tlv(0x30, ber.integer(1) + ber.tlv(4, b"public") +
                                      ber.tlv(ber.GET, body)))
        while under_way or not self.over.is_set():
            while under_way < WINDOW and not self.over.is_set():
                send()
                under_way += 1
            status, values = self.values(session.sock.recv(65536))
            under_way -= 1
            if status:
                failed.append(status)
                continue
            generation = values[10]
            if not whole(values) or known.setdefault(generation, values) != values:
                torn.append((values, known.get(generation)))
            self.count.value += 1
        self.other.send((torn[:5], len(torn), known, failed))

    @staticmethod
    def values(answer):
        """(error status, the values in their order)"""
        _, message, _ = ber.split(answer)
        _, _, at = ber.split(message)
        _, _, at = ber.split(message, at)
        _, pdu, _ = ber.split(message, at)
        _, _, at = ber.split(pdu)
        _, status, at = ber.split(pdu, at)
        _, _, at = ber.split(pdu, at)
        _, binds, _ = ber.split(pdu, at)
        found, at = [], 0
        while at < len(binds):
            _, bind, at = ber.split(binds, at)
            _, _, value_at = ber.split(bind)
            tag, value, _ = ber.split(bind, value_at)
            found.append(value if tag == 4 else int.from_bytes(value, "big"))
        return int.from_bytes(status, "big"), found


def encode(values):
    return [ber.tlv(4, value) if isinstance(value, bytes) else
            ber.integer(value, 2 if i == 8 else GAUGE) for i, value in enumerate(values)]


def client_limits(server, most, unauthenticated):
    params = b"".join(xdr_string(name) + struct.pack(">iI", 2, number) for name, number in
                      (("nclients_max", most), ("nclients_unauth_max", unauthenticated)))
    return xdr_string(server) + struct.pack(">I", 2) + params + b"\0\0\0\0"


class Torn(unittest.TestCase):
    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        self.snmpd = harness.Snmpd(self.place)
        self.daemon = harness.Virtadmd(self.place, snmpd=self.snmpd)
        self.over, self.faults = threading.Event(), []
        self.done = {"SETs": 0, "RPCs": 0, "refused": 0}

    def managers(self):
        session = ber.Session(self.snmpd.port)
        for turn in itertools.count(1):
            if self.over.is_set():
                return
            status, index, _ = session.request(ber.SET, CHANGED, encode(numbers(turn)))
            if status not in (0, UNAVAILABLE):
                raise AssertionError(f"SET: status {status}, index {index}")
            self.done["SETs" if status == 0 else "refused"] += 1

    def administrators(self):
        with Raw(self.daemon.admin) as admin:
            for turn in itertools.count(1):
                # it never has to wait for the writer token, a manager starts again
                while self.done["RPCs"] > self.done["SETs"] + 20 and not self.over.is_set():
                    time.sleep(0.001)
                if self.over.is_set():
                    return
                most = 400 + turn % 1009
                server, less = (("admin", 9), ("libvirtd", 50))[turn % 2]
                reply = admin.call(SET_CLIENT_LIMITS, client_limits(server, most, most - less))
                if reply is None or reply[5] != 0:
                    raise AssertionError(f"admin: {reply and harness.error_of(reply)}")
                self.done["RPCs"] += 1

    def start(self, writer):
        def run():
            try:
                writer()
            except Exception as fault:  # pylint: disable=broad-except
                self.faults.append(repr(fault))
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def changes(self):
        return self.done["SETs"] + self.done["RPCs"]

    def generation(self):
        return self.snmpd.get1("lvaConfigGeneration")

    def test_no_torn_read(self):
        session = ber.Session(self.snmpd.port)
        self.assertEqual(session.request(ber.SET, CHANGED, encode(numbers(0)))[:2], (0, 0))
        first = self.generation()
        readers = [Reader(self.snmpd.port) for _ in range(READERS)]
        began = time.monotonic()
        for reader in readers:
            reader.start()
        self.addCleanup(lambda: [reader.kill() for reader in readers])
        writers = [self.start(self.managers), self.start(self.administrators)]

        def enough():
            alive = all(reader.is_alive() for reader in readers) and not self.faults
            return not alive or (sum(reader.count.value for reader in readers) >= READS and
                                 self.done["SETs"] >= CHANGES // 2 and
                                 self.done["RPCs"] >= CHANGES // 2)
        harness.wait_for(enough, lambda: f"{[r.count.value for r in readers]}, {self.done}", 300)
        for reader in readers:
            reader.over.set()
        results = [reader.mine.recv() if reader.mine.poll(harness.PATIENCE) else None
                   for reader in readers]
        self.over.set()
        for writer in writers:
            writer.join(harness.PATIENCE)
        self.assertEqual(self.faults, [])
        self.assertNotIn(None, results, "a reader ended")
        seen = {}
        for torn, count, known, failed in results:
            self.assertEqual(failed, [])
            self.assertEqual(torn, [], f"{count} torn reads")
            for generation, values in known.items():
                self.assertEqual(seen.setdefault(generation, values), values)
        reads = sum(reader.count.value for reader in readers)
        print(f"\n   {reads} reads of {len(READ)} objects, {len(seen)} configurations seen of "
              f"{self.changes()} changes {self.done}, {time.monotonic() - began:.0f} s", end="",
              flush=True)
        # none got lost, and the reads came in between them
        self.assertEqual(self.generation(), first + self.changes())
        self.assertGreaterEqual(reads, READS)
        self.assertGreaterEqual(self.changes(), CHANGES)
        self.assertGreater(len(seen), CHANGES // 10)
        self.assertEqual({values[11] for values in seen.values()}, {2, 3})


if __name__ == "__main__":
    unittest.main()
