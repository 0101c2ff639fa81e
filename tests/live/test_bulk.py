# SPDX-License-Identifier: LGPL-2.1-or-later
"""Messages of the largest size through the relay, and calls whose client is gone."""

import os
import threading
import time
import unittest

import harness
import upstream
from harness import oid
from upstream import MESSAGE_MAX, OK, PAYLOAD_MAX, REPLY, Speaker

ECHO, HANG, TOO_LONG = 349, 352, 353  # none of them is a priority call
MIB = 1 << 20


def serve(speaker, message):
    if message.procedure == ECHO:
        speaker.send(message.procedure, message.payload, REPLY, message.serial)
    elif message.procedure == TOO_LONG:
        head = (harness.Raw.REMOTE, 1, message.procedure, REPLY, message.serial, OK)
        speaker.send_head(head, b"x" * 4096, MESSAGE_MAX + 4 + 1)
    # HANG is never answered


def together(*functions):
    """Runs them at the same time; raises what one of them has raised."""
    failures = []

    def guard(function):
        try:
            function()
        except BaseException as error:
            failures.append(error)
    threads = [threading.Thread(target=guard, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def echo(test, client, length):
    data = os.urandom(MIB + 1) * (length // MIB + 1)
    data = data[:length]
    reply = client.call(ECHO, data)
    test.assertEqual((reply.status, len(reply.payload)), (OK, length))
    test.assertTrue(reply.payload == data, "the payload has changed")


class Bulk(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = harness.Place()
        cls.addClassCleanup(cls.place.close)
        cls.snmpd = harness.Snmpd(cls.place)
        cls.upstream = upstream.Upstream(cls.place, serve)
        cls.daemon = harness.Virtadmd(
            cls.place, snmpd=cls.snmpd, upstream_path=cls.upstream.path,
            server="min_workers = 4\nmax_workers = 4")

    def test_largest_messages(self):
        """32 MiB there and back, by four clients at once; the memory goes back."""
        clients = [Speaker.connect(self.daemon.socket).open() for _ in range(4)]
        echo(self, clients[0], 1000)
        before, peak, done = self.daemon.process.resident(), [0], threading.Event()

        def watch():
            while not done.wait(0.01):
                peak[0] = max(peak[0], self.daemon.process.resident())
        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            for length in 5 * MIB, 20 * MIB, PAYLOAD_MAX:
                together(*(lambda client=client: echo(self, client, length)
                           for client in clients))
        finally:
            done.set()
            watcher.join()
        print(f"KiB resident {before}, at most {peak[0]}, then {self.daemon.process.resident()}",
              end=" ... ")
        if "VADM_SANITIZER_ENV" not in os.environ:  # which keeps what is freed for a while
            # each client has one message here, and a little in the other direction
            self.assertLess(peak[0] - before, 4 * (32 + 4) * 1024)
            # the last octet is with the client a little before the message is freed
            harness.wait_for(lambda: self.daemon.process.resident() - before < 4 * 1024,
                             lambda: f"{before} KiB, not {self.daemon.process.resident()}")
        for client in clients:
            client.close()

    def test_one_octet_more(self):
        """From a client it ends that client, from the upstream that connection, and no other."""
        with Speaker.connect(self.daemon.socket).open() as other:
            client = Speaker.connect(self.daemon.socket).open()
            client.send_head((harness.Raw.REMOTE, 1, ECHO, 0, 9, OK), b"", MESSAGE_MAX + 4 + 1)
            self.assertTrue(client.ended())
            client = Speaker.connect(self.daemon.socket).open()
            reply = client.call(TOO_LONG)
            self.assertEqual(reply.status, upstream.ERROR)
            self.assertIn(b"33554437", bytes(reply.payload))
            self.assertTrue(client.ended())
            echo(self, other, 100)

    def column(self, name):
        return [value for _, value in self.snmpd.walk(oid(name, 2))]

    def test_client_goes(self):
        """Its call is under way: the worker is free at once, and the connection upstream is closed."""
        ends = self.upstream.ends
        clients = [Speaker.connect(self.daemon.socket).open() for _ in range(4)]
        calls = len(self.upstream.calls)
        for client in clients:
            client.send(HANG)
        harness.wait_for(lambda: len(self.upstream.calls) == calls + 4, "four calls")
        harness.wait_for(lambda: self.snmpd.get1("lvaServerWorkersFree", 2) == 0, "all busy")
        began = time.monotonic()
        for client in clients:
            client.close()
        with Speaker.connect(self.daemon.socket).open() as client:
            echo(self, client, 100)
        print(f"served after {1000 * (time.monotonic() - began):.0f} ms", end=" ... ")
        harness.wait_for(lambda: self.upstream.ends == ends + 5, "the upstream's connections to end")
        harness.wait_for(lambda: self.snmpd.get1("lvaServerWorkersFree", 2) == 4, "all free")

    def test_virsh_interrupted(self):
        """As above, by the signal that Ctrl-C sends."""
        ends, calls = self.upstream.ends, len(self.upstream.calls)
        virsh = self.place.spawn("virsh", [
            harness.tool("virsh"), "-c", f"test+unix:///default?socket={self.daemon.socket}",
            "hostname"])
        harness.wait_for(lambda: len(self.upstream.calls) > calls, "the call")
        harness.wait_for(lambda: self.snmpd.get1("lvaServerClientsCurrent", 2) == 1, "it alone")
        virsh.kill(2)
        harness.wait_for(lambda: self.upstream.ends > ends, "the end upstream")
        harness.wait_for(lambda: self.snmpd.get1("lvaServerClientsCurrent", 2) == 0, "the client to go")
        harness.wait_for(lambda: self.snmpd.get1("lvaServerWorkersFree", 2) == 4, "all free")


if __name__ == "__main__":
    unittest.main()
