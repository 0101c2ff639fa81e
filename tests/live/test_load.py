# SPDX-License-Identifier: LGPL-2.1-or-later
"""More clients than is good, and clients that are no good: limits hold, memory is bounded, and
administrators, managers and the other clients are served meanwhile."""

import contextlib
import os
import resource
import socket
import statistics
import struct
import sys
import threading
import time
import unittest

import ber
import certificates
import harness
from harness import Raw, oid, open_payload, xdr_string

SCALE = float(os.environ.get("VADM_TEST_SCALE", "1"))
# A machine that has other things to do, and a sanitizer, take their time; what an idle one needs is
# printed.
ANSWER = 5 if SCALE == 1 else 15
PROMISED = 1  # by most answers, even so
CROWD = int(1000 * SCALE)
MIB = 1024  # kB
OPEN, TYPE, VERSION, CAPABILITIES, HOSTNAME = 1, 3, 4, 7, 59
CALLS = TYPE, VERSION, HOSTNAME
GET_CLIENT_LIMITS = 12
LENGTH_MAX = 33554436

# What strangers do, at full speed, for some seconds: KIND SECONDS KEEP PATH ...
STRANGER = r"""
import itertools, os, select, socket, struct, sys, time

def connect(path):
    # path: or the number of a port
    one = socket.socket(socket.AF_INET if path.isdigit() else socket.AF_UNIX)
    one.setblocking(False)
    try:
        one.connect(("127.0.0.1", int(path)) if path.isdigit() else path)
    except BlockingIOError:  # the backlog is full
        if path.isdigit() and select.select([], [one], [], 0.01)[1]:
            return one
        one.close()
        return None
    return one

garbage = [b"GET / HTTP/1.0\r\n\r\n" * 3, b"\xff" * 64, b"\0\0\0\3", os.urandom(512),
           struct.pack(">I", 33554436) + b"\0" * 4096, struct.pack(">I", 524288) + b"\0" * 65536,
           struct.pack(">IIIiIII", 28, 0x20008086, 1, 67, 0, 0, 0),
           struct.pack(">IIIiIII", 28, 0x20008086, 1, 4, 0, 0, 0) * 100]
kind, end, keep = sys.argv[1], time.monotonic() + float(sys.argv[2]), int(sys.argv[3])
kept, count = [], 0
for path, data in zip(itertools.cycle(sys.argv[4:]), itertools.cycle(garbage)):
    if time.monotonic() > end:
        break
    if len(kept) >= keep:
        if kind == "silent":  # until it has to go
            time.sleep(0.01)
            kept = [one for one in kept if not select.select([one], [], [], 0)[0]]
            continue
        kept.pop(0).close()
    one = connect(path)
    if one is None:
        time.sleep(0.001)
        continue
    count += 1
    if kind == "garbage":
        try:
            one.send(data)
        except OSError:
            pass
    if kind == "leave":
        one.close()
    else:
        kept.append(one)
print(count)
"""


def more_descriptors():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))


class Watch:
    """Looks at a daemon, by its admin socket and by SNMP, again and again while something else goes
    on: how long the answers took, and the most that was seen."""

    NUMBERS = ("lvaServerClientsCurrent", "lvaServerClientsUnauthCurrent")

    def __init__(self, daemon, snmpd, pause=0.2):
        self.daemon, self.pause = daemon, pause
        self.manager = ber.Session(snmpd.port, timeout=60)
        self.over, self.fault, self.took, self.looks = threading.Event(), None, {}, 0
        self.most = dict.fromkeys(self.NUMBERS, 0)
        self.resident = [daemon.process.resident()]
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(120)
        self.manager.close()
        if self.fault:
            raise self.fault

    def run(self):
        try:
            while not self.over.is_set():
                self.look()
                self.over.wait(self.pause)
        except Exception as fault:  # pylint: disable=broad-except
            self.fault = fault

    def measure(self, what, call):
        began = time.monotonic()
        got = call()
        self.took.setdefault(what, []).append(time.monotonic() - began)
        return got

    def look(self):
        self.measure("admin", self.administer)
        status, _, found = self.measure(
            "SNMP", lambda: self.manager.get(*(oid(name, 2) for name in self.NUMBERS)))
        assert status == 0, status
        for name, (_, _, value) in zip(self.NUMBERS, found):
            self.most[name] = max(self.most[name], int.from_bytes(value, "big"))
        self.resident.append(self.daemon.process.resident())
        self.looks += 1

    def administer(self):
        """A new administrator each time: it has to be accepted, too."""
        with Raw(self.daemon.admin, timeout=60) as admin:
            reply = admin.call(GET_CLIENT_LIMITS, xdr_string("libvirtd") + b"\0\0\0\0")
        assert reply and reply[5] == 0, reply

    def __str__(self):
        slowest = ", ".join(f"{what} {max(took):.3f} s" for what, took in self.took.items())
        return (f"{self.looks} looks, slowest: {slowest}; most clients "
                f"{'/'.join(str(most) for most in self.most.values())}; resident "
                f"{self.resident[0]} to {max(self.resident)} kB")


class Load(unittest.TestCase):
    def setUp(self):
        more_descriptors()
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        self.snmpd = harness.Snmpd(self.place)
        self.libvirtd = harness.Libvirtd(self.place, extra="""\
max_clients = 4000
max_anonymous_clients = 100
max_queued_clients = 1000
""")

    def run_virtadmd(self, server="", **how):
        self.daemon = harness.Virtadmd(self.place, self.libvirtd, self.snmpd, server=server, **how)
        self.assertEqual(harness.virsh(self.daemon.socket, "list")[0], 0)
        self.wait_for_clients(0)
        self.descriptors = self.daemon.process.descriptors()

    def watch(self):
        return Watch(self.daemon, self.snmpd)

    def wait_for_clients(self, count):
        harness.wait_for(lambda: self.snmpd.get1("lvaServerClientsCurrent", 2) == count,
                         f"{count} clients")

    def client(self, path=None):
        client = Raw(path or self.daemon.socket, Raw.REMOTE, timeout=60)
        self.addCleanup(client.sock.close)
        return client

    def opened(self):
        client = self.client()
        self.assertEqual(client.call(OPEN, open_payload())[5], 0)
        return client

    def check(self, watch, memory, clients=None, strangers=None):
        """memory: by how much the daemon may have grown, MiB; a sanitizer keeps what was freed."""
        print(f"\n   {watch}", end="")
        self.assertGreater(watch.looks, 0)
        for took in watch.took.values():
            self.assertLess(max(took), ANSWER)
            self.assertLess(statistics.median(took), PROMISED)
        if SCALE == 1:
            self.assertLess(max(watch.resident) - watch.resident[0], memory * MIB)
        if clients is not None:
            self.assertLessEqual(watch.most["lvaServerClientsCurrent"], clients)
        if strangers is not None:
            self.assertLessEqual(watch.most["lvaServerClientsUnauthCurrent"], strangers)

    def check_end(self):
        """All is as it was."""
        self.wait_for_clients(0)
        harness.wait_for(lambda: self.daemon.process.descriptors() <= self.descriptors,
                         lambda: f"{self.descriptors} descriptors: "
                         f"{self.daemon.process.descriptors()}")
        self.assertEqual(harness.virsh(self.daemon.socket, "list")[0], 0)
        self.assertEqual(self.daemon.stop(), 0)


class Crowd(Load):
    def test_a_thousand_at_once(self):
        """All connect, then all call, then all read; later some of them again."""
        self.run_virtadmd(f"max_clients = {CROWD}")
        with self.watch() as watch:
            began = time.monotonic()
            crowd = [self.client() for _ in range(CROWD)]
            for client in crowd:
                client.send(OPEN, open_payload())
            for client in crowd:
                self.assertEqual(client.receive()[5], 0)
                for call in CALLS:
                    client.send(call)
            for client in crowd:
                self.assertEqual({reply[2]: reply[5] for reply in
                                  (client.receive() for _ in CALLS)}, dict.fromkeys(CALLS, 0))
            served = time.monotonic() - began
            late = self.client()
            late.send(VERSION)
            for client in crowd[::10]:
                self.assertEqual(client.call(VERSION)[5], 0)
            idle = self.daemon.process.resident()
            crowd.pop().sock.close()
            self.assertIsNotNone(late.receive())
        print(f"\n   {CROWD} clients served in {served:.1f} s, "
              f"{(idle - watch.resident[0]) / CROWD:.1f} kB each", end="")
        self.check(watch, memory=64, clients=CROWD, strangers=0)
        for client in (*crowd, late):
            client.sock.close()
        self.check_end()


class Strangers(Load):
    """Who has not shown who it is, and never will."""

    def run_virtadmd(self, server="", auth_timeout=1, **how):
        self.ports = [harness.free_port(socket.SOCK_STREAM) for _ in range(2)]
        files = certificates.Authority(self.place.path("ca")).issue_server()
        super().run_virtadmd(f"""\
listen = unix:libvirt-sock;unix+sasl:strangers;tcp+sasl:127.0.0.1:{self.ports[0]};tls:127.0.0.1:{self.ports[1]}
ca_file = {files}/cacert.pem
cert_file = {files}/servercert.pem
key_file = {files}/serverkey.pem
max_clients = 100
max_anonymous_clients = 20
auth_timeout = {auth_timeout}
{server}""", **how)
        self.strangers = os.path.join(self.daemon.dir, "strangers")

    def flood(self, kind, seconds, keep=300):
        """A process for each of the sockets; returns them."""
        return [self.place.spawn(f"flood-{kind}-{path}".replace("/", "-"), [
            sys.executable, "-S", "-c", STRANGER, kind, str(seconds), str(keep), path])
            for path in (self.strangers, *map(str, self.ports))]

    def test_floods(self):
        """Connections without an end, of three kinds: clients that are in and those that come in where
        nothing is asked for are served as before."""
        self.run_virtadmd(log="level = 3")
        user, text = self.opened(), ""
        slowest = 0
        with self.watch() as watch:
            for kind in "leave", "garbage", "silent":
                floods, calls = self.flood(kind, 2), 0
                while any(flood.alive() for flood in floods):
                    began = time.monotonic()
                    self.assertEqual(user.call(VERSION)[5], 0)
                    with self.client() as guest:
                        self.assertEqual(guest.call(OPEN, open_payload())[5], 0)
                    slowest = max(slowest, time.monotonic() - began)
                    calls += 1
                    time.sleep(0.01)
                counts = [int(flood.output()) for flood in floods]
                self.assertGreater(sum(counts), 0)
                text += f"{kind}: {'/'.join(map(str, counts))} connections, {calls} clients beside; "
        failures = self.snmpd.get1("lvaServerAuthFailures", 2)
        size = os.path.getsize(os.path.join(self.daemon.logdir, "virtadmd.log"))
        print(f"\n   {text}slowest {slowest:.2f} s; {failures} failures, {size / 1024:.0f} kB of log",
              end="")
        self.check(watch, memory=64, clients=100, strangers=20)
        self.assertLess(slowest, ANSWER)
        self.assertGreater(failures, 0)
        self.assertLess(size, 256 * 1024)
        user.sock.close()
        self.check_end()

    def test_deadline(self):
        """Silent and slow ones have to go in time, and those who wait for their places come in."""
        self.run_virtadmd()
        with self.watch() as watch:
            began = time.monotonic()
            strangers = [self.client(self.strangers) for _ in range(50)]
            octets = struct.pack(">IIIiIII", 28, Raw.REMOTE, 1, 66, 0, 0, 0)
            left = {stranger.sock: 0 for stranger in strangers}
            while left:
                self.assertLess(time.monotonic() - began, 60)
                for sock, sent in list(left.items()):
                    with contextlib.suppress(BlockingIOError):
                        try:
                            ended = sock.recv(1, socket.MSG_DONTWAIT) == b""
                        except ConnectionResetError:  # an octet of ours was not read any more
                            ended = True
                        if ended:
                            del left[sock]
                            continue
                    if sent + 1 < len(octets):
                        with contextlib.suppress(OSError):
                            sock.send(octets[sent:sent + 1])
                        left[sock] += 1
                time.sleep(0.1)
            took = time.monotonic() - began
        print(f"\n   50 of them in {took:.1f} s", end="")
        self.assertGreater(took, 2.9)  # 20, 20 and 10
        self.assertEqual(self.snmpd.get1("lvaServerAuthFailures", 2), 50)
        self.assertIn("not authenticated after 1 seconds", self.daemon.log_text())
        self.check(watch, memory=16, strangers=20)
        self.check_end()

    def test_too_much(self):
        """More than a SASL message can be is not read."""
        self.run_virtadmd(auth_timeout=60)
        for length in 512 * 1024 + 1, LENGTH_MAX:
            stranger = self.client(self.strangers)
            stranger.sock.sendall(struct.pack(">I", length))
            self.assertIsNone(stranger.receive())
        stranger = self.client(self.strangers)
        stranger.send(66, b"\0" * (512 * 1024 - 28))
        self.assertEqual(struct.unpack(">II", stranger.receive()[6]), (1, 1))
        self.assertIn("is not between 28 and 524288 octets", self.daemon.log_text())
        stranger.sock.close()
        self.check_end()


class Slow(Load):
    """Clients that are in, and in no hurry."""

    def test_an_octet_at_a_time(self):
        """What they announce takes no memory, only what they have sent."""
        self.run_virtadmd()
        crowd = [self.opened() for _ in range(100)]
        with self.watch() as watch:
            for client in crowd:
                client.sock.sendall(struct.pack(">IIIiIII", LENGTH_MAX, Raw.REMOTE, 1, 10, 0, 5, 0))
            for _ in range(int(15 * SCALE)):
                for client in crowd:
                    client.sock.sendall(b"\0")
                time.sleep(0.1)
            self.assertEqual(harness.virsh(self.daemon.socket, "list")[0], 0)
        self.check(watch, memory=16, clients=101)
        for client in crowd:
            client.sock.close()
        self.check_end()

    def test_all_but_one_octet(self):
        """The longest message, but for its end, from each: a few may, the others wait. Shorter calls do not;
        and when they are whole all are served."""
        self.run_virtadmd()
        crowd = [self.opened() for _ in range(max(int(24 * SCALE), 10))]
        message = memoryview(struct.pack(">IIIiIII", LENGTH_MAX, Raw.REMOTE, 1, VERSION, 0, 7, 0) +
                             b"\0" * (LENGTH_MAX - 28))
        sent = dict.fromkeys(crowd, 0)

        def send(end):
            """As far as it is taken; returns whether anything was."""
            went = False
            for client in crowd:
                with contextlib.suppress(BlockingIOError):
                    if sent[client] < end:
                        sent[client] += client.sock.send(message[sent[client]:end])
                        went = True
            return went
        for client in crowd:
            client.sock.setblocking(False)
        with self.watch() as watch:
            def whole():
                return sum(count == LENGTH_MAX - 1 for count in sent.values())
            began = quiet = time.monotonic()
            while whole() < 8 or time.monotonic() - quiet < 1:
                self.assertLess(time.monotonic() - began, 120, whole())
                if send(LENGTH_MAX - 1):
                    quiet = time.monotonic()
                else:
                    time.sleep(0.01)
            self.assertEqual(whole(), 8)
            self.assertEqual(harness.virsh(self.daemon.socket, "list")[0], 0)
            began = time.monotonic()
            while set(sent.values()) != {LENGTH_MAX}:
                self.assertLess(time.monotonic() - began, 120)
                if not send(LENGTH_MAX):
                    time.sleep(0.01)
            for client in crowd:
                client.sock.settimeout(60)
                self.assertEqual(client.receive()[2:6], (VERSION, 1, 7, 0))
        self.check(watch, memory=len(crowd) + 8 * 32 + 64, clients=len(crowd) + 1)
        for client in crowd:
            client.sock.close()
        self.check_end()

    def test_never_reading(self):
        """They ask until nobody listens any more. What waits for each is bounded, and so is what the
        upstream is asked."""
        self.run_virtadmd()
        crowd = [self.opened() for _ in range(20)]
        call = struct.pack(">IIIiIII", 28, Raw.REMOTE, 1, CAPABILITIES, 0, 5, 0) * 1000
        with self.watch() as watch:
            sent = dict.fromkeys(crowd, 0)
            quiet = time.monotonic()
            for client in crowd:
                client.sock.setblocking(False)
            while time.monotonic() - quiet < 1:
                for client in crowd:
                    with contextlib.suppress(BlockingIOError):
                        sent[client] += client.sock.send(call[sent[client] % len(call):])
                        quiet = time.monotonic()
                time.sleep(0.001)
            self.assertEqual(harness.virsh(self.daemon.socket, "list")[0], 0)
            user = self.opened()
            self.assertEqual(user.call(CAPABILITIES)[5], 0)  # needs an ordinary worker
            user.sock.close()
        print(f"\n   {sum(sent.values()) // 28 // len(crowd)} calls each", end="")
        self.check(watch, memory=len(crowd) * 3)
        for client in crowd:
            client.sock.close()
        self.check_end()


if __name__ == "__main__":
    unittest.main()
