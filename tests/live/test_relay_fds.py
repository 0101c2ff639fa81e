# SPDX-License-Identifier: LGPL-2.1-or-later
"""Descriptors through the relay. What is checked is what comes out of the pipes."""

import contextlib
import os
import struct
import threading
import unittest

import harness
import upstream
from upstream import CALL_WITH_FDS, OK, REPLY, Speaker

PROCEDURE, SUPPORTS_FEATURE, FD_PASSING = 349, 60, 8
COUNTS = (1, 2, 31, 32)


def drain(fd):
    with open(fd, "rb") as pipe:
        return pipe.read()


def fill(fd, data):
    with open(fd, "wb") as pipe:
        pipe.write(data)


def in_background(function, *args):
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread


def swap(speaker, message):
    """The upstream writes to each pipe that it gets, and gives as many to read from."""
    outlets, inlets = [], []
    for number in range(len(message.fds)):
        fill(os.dup(message.fds[number]), b"to the client %d" % number)
        outlet, inlet = os.pipe()
        outlets.append(outlet)
        inlets.append(inlet)
    # more than a pipe holds: the client reads while it is written
    threads = [in_background(fill, inlet, bytes([number]) * 100000)
               for number, inlet in enumerate(inlets)]
    speaker.send(message.procedure, message.payload[::-1], REPLY, message.serial, fds=outlets)
    for outlet in outlets:
        os.close(outlet)
    for thread in threads:
        thread.join(harness.PATIENCE)


class Fds(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = harness.Place()
        cls.addClassCleanup(cls.place.close)
        cls.upstream = upstream.Upstream(cls.place, swap)
        cls.daemon = harness.Virtadmd(cls.place, upstream_path=cls.upstream.path)

    def exchange(self, client, count):
        ours = [os.pipe() for _ in range(count)]
        reply = client.call(PROCEDURE, b"ABCD" * count, [inlet for _, inlet in ours])
        with reply:
            self.assertEqual((reply.status, reply.type), (OK, 5))
            self.assertEqual(reply.payload, b"DCBA" * count)
            self.assertEqual(len(reply.fds), count)
            for number, fd in enumerate(reply.fds):
                self.assertEqual(drain(os.dup(fd)), bytes([number]) * 100000)
        for number, (outlet, inlet) in enumerate(ours):
            os.close(inlet)
            # to its end: neither daemon nor upstream keeps one
            self.assertEqual(drain(outlet), b"to the client %d" % number)

    def test_both_ways(self):
        """From 1 to 32 at once, by four clients: the right ones arrive, and nobody keeps any."""
        with Speaker.connect(self.daemon.socket).open() as first:
            before = self.daemon.process.descriptors()
            feature = first.call(SUPPORTS_FEATURE, struct.pack(">i", FD_PASSING))
            self.assertEqual(feature.payload, struct.pack(">I", 1))
            for count in COUNTS:
                self.exchange(first, count)
            failures = []

            def other():
                try:
                    with Speaker.connect(self.daemon.socket).open() as client:
                        for count in COUNTS * 5:
                            self.exchange(client, count)
                except BaseException as error:
                    failures.append(error)
            threads = [in_background(other) for _ in range(4)]
            for thread in threads:
                thread.join(harness.PATIENCE)
            self.assertEqual(failures, [])
            harness.wait_for(lambda: self.daemon.process.descriptors() <= before,
                             "all descriptors to be closed")

    def test_hostile(self):
        """Whatever else comes with a descriptor ends that connection, and nothing is kept."""
        with Speaker.connect(self.daemon.socket).open() as bystander:
            before = self.daemon.process.descriptors()
            for promised, octets in ((0, [1]), (1, [0]), (1, [2]), (2, [1, 0]), (33, [1]),
                                     (1, [1, 1]), (1, [40])):
                with self.subTest(promised=promised, octets=octets):
                    client = Speaker.connect(self.daemon.socket).open()
                    outlet, inlet = os.pipe()
                    head = (harness.Raw.REMOTE, 1, PROCEDURE, CALL_WITH_FDS, 99, OK)
                    with contextlib.suppress(ConnectionError):
                        client.send_head(head, struct.pack(">I", promised))
                        for count in octets:
                            if count:
                                client.send_octet([inlet] * count)
                            else:
                                client.sock.sendall(b"\0")
                    os.close(inlet)
                    self.assertTrue(client.ended())
                    self.assertEqual(drain(outlet).replace(b"to the client 0", b""), b"")
                    client.close()
            with open(os.devnull, "rb") as null:
                admin = Speaker.connect(self.daemon.admin)
                admin.send_octet([null.fileno()])
                self.assertTrue(admin.ended())
                admin.close()
            self.exchange(bystander, 3)
            harness.wait_for(lambda: self.daemon.process.descriptors() <= before,
                             "all descriptors to be closed")

    def test_client_goes(self):
        """It sends some of the descriptors that it promised, and is gone."""
        outlet, inlet = os.pipe()
        with Speaker.connect(self.daemon.socket).open() as client:
            head = (harness.Raw.REMOTE, 1, PROCEDURE, CALL_WITH_FDS, 99, OK)
            client.send_head(head, struct.pack(">I", 3))
            client.send_octet([inlet])
            client.send_octet([inlet])
            os.close(inlet)
            with Speaker.connect(self.daemon.socket).open() as other:
                self.exchange(other, 1)  # by now they have been read
        self.assertEqual(drain(outlet), b"")


class Starved(unittest.TestCase):
    def test_none_left(self):
        """A daemon without a free descriptor ends the connection that brings it one, and goes on."""
        with harness.Place() as place:
            fake = upstream.Upstream(place, swap)
            daemon = harness.Virtadmd(place, upstream_path=fake.path, descriptors="64:64")
            with Speaker.connect(daemon.socket).open() as client:
                outlet, inlet = os.pipe()
                greedy = []
                for _ in range(4):  # the last of them finds none left
                    greedy.append(Speaker.connect(daemon.socket).open())
                    head = (harness.Raw.REMOTE, 1, PROCEDURE, CALL_WITH_FDS, 99, OK)
                    with contextlib.suppress(ConnectionError):
                        greedy[-1].send_head(head, struct.pack(">I", 32))
                        for _ in range(31):
                            greedy[-1].send_octet([inlet])
                    if "none left" in daemon.log_text():
                        break
                os.close(inlet)
                self.assertTrue(greedy[-1].ended())
                for other in greedy:
                    other.close()
                self.assertEqual(drain(outlet), b"")
                self.assertEqual(client.call(PROCEDURE, b"", fds=[]).status, OK)
                harness.wait_for(lambda: "none left" in daemon.log_text(), "the line in the log")


class Real(unittest.TestCase):
    def test_virsh(self):
        """virsh passes descriptors with a start; what libvirtd says to it comes back the same."""
        with harness.Place() as place:
            libvirtd = harness.Libvirtd(place)
            daemon = harness.Virtadmd(place, libvirtd)
            answers = []
            for path in libvirtd.socket, daemon.socket:
                answers.append([harness.virsh(path, command) for command in (
                    "destroy test; start test --pass-fds 0,1,2; domstate test",
                    "create /dev/null --pass-fds 1", "hostname")])
            self.assertEqual(*answers)
            self.assertIn("Domain 'test' started", answers[1][0][1])


if __name__ == "__main__":
    unittest.main()
