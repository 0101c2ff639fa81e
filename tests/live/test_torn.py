# SPDX-License-Identifier: LGPL-2.1-or-later
"""Readers that fetch two servers and the logging in one GET, while SETs, the admin program and
reloads change all of them: each answer is one configuration, whole."""

import itertools
import multiprocessing
import os
import signal
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
NON_VOLATILE = 3

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
    """Invariants between objects of both servers and the logging that SETs and reloads change,
    and within each server where the admin program does, too."""
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
        self.place = harness.Place(harness.MEMORY)
        self.addCleanup(self.place.close)
        self.snmpd = harness.Snmpd(self.place)
        self.daemon = harness.Virtadmd(self.place, snmpd=self.snmpd, log="#log", server="#2",
                                       admin="#1")
        self.over, self.faults = threading.Event(), []
        self.done = {"SETs": 0, "RPCs": 0, "reloads": 0, "refused": 0}

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
                # never what a SET asks for: equal values are no change, and not counted
                most = 3000 + turn % 1009
                server, less = (("admin", 9), ("libvirtd", 50))[turn % 2]
                reply = admin.call(SET_CLIENT_LIMITS, client_limits(server, most, most - less))
                if reply is None or reply[5] != 0:
                    raise AssertionError(f"admin: {reply and harness.error_of(reply)}")
                self.done["RPCs"] += 1

    def reloads(self):
        """Each of the file's values differs from the one before, or what was set would stay."""
        session, percent = ber.Session(self.snmpd.port), oid("lvaServerClientsHighPercent", 2)
        for turn in itertools.count(1):
            asked = numbers(11 * turn)
            text = self.daemon.text.replace("#log", f"level = {asked[8]}\n"
                                            f"filters = {asked[9].decode()}")
            for server in 1, 2:
                text = text.replace(f"#{server}\n", f"max_workers = {asked[server - 1]}\n"
                                    f"max_client_requests = {asked[server + 5]}\n")
            text = text.replace("[server libvirtd]\n", "[server libvirtd]\n"
                                f"clients_high_percent = {turn % 100}\n")
            self.place.write("next.conf", text)
            os.replace(self.place.path("next.conf"), self.daemon.conf)
            self.daemon.process.kill(signal.SIGHUP)
            while int.from_bytes(session.get(percent)[2][0][2], "big") != turn % 100:
                if self.over.is_set():
                    return
                time.sleep(0.01)
            self.done["reloads"] += 1

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
        return self.done["SETs"] + self.done["RPCs"] + self.done["reloads"]

    def generation(self):
        return self.snmpd.get1("lvaConfigGeneration")

    def run_all(self, reads, changes):
        session = ber.Session(self.snmpd.port)
        self.assertEqual(session.request(ber.SET, CHANGED, encode(numbers(0)))[:2], (0, 0))
        first = self.generation()
        readers = [Reader(self.snmpd.port) for _ in range(READERS)]
        began = time.monotonic()
        for reader in readers:
            reader.start()
            self.addCleanup(reader.kill)
        writers = [self.start(writer) for writer in
                   (self.managers, self.administrators, self.reloads)]

        def enough():
            alive = all(reader.is_alive() for reader in readers) and not self.faults
            return not alive or (sum(reader.count.value for reader in readers) >= reads and
                                 min(self.done["SETs"], self.done["RPCs"]) >= changes // 2)
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
        seen = self.merge(results)
        count = sum(reader.count.value for reader in readers)
        print(f"\n   {count} reads of {len(READ)} objects, {len(seen)} configurations seen of "
              f"{self.changes()} changes {self.done}, {time.monotonic() - began:.0f} s", end="",
              flush=True)
        # none got lost, the last reload may not have been seen, and the reads came in between
        self.assertIn(self.generation() - first - self.changes(), (0, 1))
        self.assertGreaterEqual(count, reads)
        self.assertGreaterEqual(self.changes(), changes)
        self.assertGreater(len(seen), changes // 10)
        self.assertLessEqual({2, 3}, {values[11] for values in seen.values()})

    def merge(self, results):
        """No reader has seen a torn one, nor two of them different ones of one generation."""
        seen = {}
        for torn, count, known, failed in results:
            self.assertEqual(failed, [])
            self.assertEqual(torn, [], f"{count} torn reads")
            for generation, values in known.items():
                self.assertEqual(seen.setdefault(generation, values), values)
        return seen

    def test_no_torn_read(self):
        self.run_all(READS, CHANGES)

    def test_while_changes_are_kept(self):
        """Each change is committed by the thread that waits for the disk."""
        status, text = self.snmpd.set((oid("lvaConfigStorage"), "i", NON_VOLATILE))
        self.assertEqual(status, 0, text)
        self.run_all(READS // 5, CHANGES // 10)


if __name__ == "__main__":
    unittest.main()
