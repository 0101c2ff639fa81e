# SPDX-License-Identifier: LGPL-2.1-or-later
"""Limits on clients, and what an operator sees of them while they bite."""

import contextlib
import os
import resource
import signal
import socket
import struct
import subprocess
import threading
import time
import unittest

import ber
import harness
from harness import Raw, oid, open_payload
from upstream import CALL_WITH_FDS, OK, Speaker

OPEN = 1
INTERVAL = 6  # seconds: a service manager would end who is silent for longer


def more_descriptors():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))


class Limits(unittest.TestCase):
    def setUp(self):
        more_descriptors()
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        self.snmpd = harness.Snmpd(self.place)
        self.libvirtd = harness.Libvirtd(self.place)

    def test_full_server(self):
        """The next virsh waits and is served when a place is free; meanwhile SNMP shows full and
        everything else answers."""
        daemon = harness.Virtadmd(self.place, self.libvirtd, self.snmpd,
                                  server="max_clients = 3\nmax_anonymous_clients = 2")
        idle = [self.place.enter_context(harness.idle_virsh(self.place, daemon.socket, f"v{n}"))
                for n in range(3)]
        harness.wait_for(lambda: self.snmpd.get1("lvaServerClientsState", 2) == 3, "full(3)")
        self.assertEqual(self.snmpd.get1("lvaServerClientsFullEvents", 2), 1)
        self.assertEqual([self.snmpd.get1("lvaServiceAccepting", 2, n) for n in (1, 2)], [2, 2])
        waiting = subprocess.Popen(
            [harness.tool("virsh"), "-c", f"test+unix:///default?socket={daemon.socket}",
             "hostname"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(waiting.stdout.close)
        for _ in range(5):  # the daemon is not disturbed
            self.assertEqual(daemon.virt_admin("server-clients-info", "libvirtd")[0], 0)
            self.assertEqual(self.snmpd.get1("lvaServerClientsCurrent", 2), 3)
        self.assertIsNone(waiting.poll())
        idle[0].stdin.close()
        self.assertEqual(waiting.wait(harness.PATIENCE), 0)
        self.assertIn(os.uname().nodename, waiting.stdout.read().decode())
        harness.wait_for(lambda: self.snmpd.get1("lvaServerClientsState", 2) < 3, "no longer full")
        self.assertEqual(self.snmpd.get1("lvaServiceAccepting", 2, 1), 1)

    def test_limit_lowered_and_raised(self):
        daemon = harness.Virtadmd(self.place, self.libvirtd, self.snmpd)
        with harness.idle_virsh(self.place, daemon.socket) as virsh:
            harness.wait_for(lambda: self.snmpd.get1("lvaServerClientsCurrent", 2) == 1, "one")
            self.snmpd.set((oid("lvaServerClientsMax", 2), "u", 1),
                           (oid("lvaServerClientsUnauthMax", 2), "u", 0))
            self.assertEqual(self.snmpd.get1("lvaServerClientsState", 2), 3)
            self.assertIsNone(virsh.poll())
            with socket.socket(socket.AF_UNIX) as late:
                late.connect(daemon.socket)
                self.snmpd.set((oid("lvaServerClientsMax", 2), "u", 100))
                harness.wait_for(lambda: self.snmpd.get1("lvaServerClientsCurrent", 2) == 2, "two")
                self.assertEqual(self.snmpd.get1("lvaServerClientsState", 2), 1)

    def test_walks_while_clients_come_and_go(self):
        """1,000 long-lived clients, 200 connects a second beside them: 20 walks, each with each
        long-lived client exactly once, in strictly increasing order."""
        daemon = harness.Virtadmd(self.place, self.libvirtd, self.snmpd)
        session = ber.Session(self.snmpd.port)
        self.addCleanup(session.close)
        column = oid("lvaClientId", 2)
        stayers = []
        for _ in range(1000):
            stayer = socket.socket(socket.AF_UNIX)
            stayer.connect(daemon.socket)
            stayers.append(stayer)
            self.addCleanup(stayer.close)
        harness.wait_for(lambda: self.snmpd.get1("lvaServerClientsCurrent", 2) == 1000, "1000")
        stay = {name for name, _ in session.walk(column)}
        self.assertEqual(len(stay), 1000)
        done = threading.Event()
        connects = [0]

        def come_and_go():
            recent = []
            began = time.monotonic()
            while not done.is_set():
                passer = socket.socket(socket.AF_UNIX)
                passer.connect(daemon.socket)
                recent.append(passer)
                connects[0] += 1
                if len(recent) > 20:
                    recent.pop(0).close()
                done.wait(max(0, began + connects[0] / 200 - time.monotonic()))
            for passer in recent:
                passer.close()
        traffic = threading.Thread(target=come_and_go)
        traffic.start()
        try:
            began = time.monotonic()
            for _ in range(20):
                names = [name for name, _ in session.walk(column, repetitions=20)]
                self.assertEqual(names, sorted(set(names)))
                self.assertEqual(stay - set(names), set())
            took = time.monotonic() - began
        finally:
            done.set()
            traffic.join()
        print(f"\n   20 walks of 1,000 clients in {took:.1f} s, {connects[0]} connects meanwhile",
              end="")
        self.assertGreater(connects[0], 20)

    def test_no_descriptors_left(self):
        """accept() without a free descriptor: said once, accepting pauses, and goes on later."""
        # prlimit limits the daemon alone
        daemon = harness.Virtadmd(self.place, self.libvirtd, self.snmpd)
        limit = 2 * daemon.process.descriptors() + 10  # half of them are kept back
        usual = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (limit, usual[1]))
        crowd = []
        for _ in range(20):
            one = socket.socket(socket.AF_UNIX)
            one.connect(daemon.socket)
            crowd.append(one)
            self.addCleanup(one.close)
        harness.wait_for(lambda: self.snmpd.get1("lvaServiceAccepting", 2, 1) == 2, "the pause")
        harness.wait_for(lambda: "Too many open files" in daemon.log_text(), "a message")
        self.assertEqual(self.snmpd.get1("lvaDaemonName"), "virtadmd")
        for one in crowd:
            one.close()
        harness.wait_for(lambda: self.snmpd.get1("lvaServerClientsCurrent", 2) == 0, "none")
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, usual)
        self.assertEqual(harness.virsh(daemon.socket, "hostname")[0], 0)
        said = [line for line in daemon.log_text().splitlines() if "Too many open files" in line]
        self.assertEqual(len([line for line in said if "accept" in line]), 1, said)

    def test_soft_limit_of_descriptors(self):
        """The usual soft limit does not bind: more clients than it allows are relayed."""
        daemon = harness.Virtadmd(self.place, self.libvirtd, self.snmpd, descriptors="64:")
        limit = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
        self.assertEqual(limit[0], limit[1])
        crowd = [self.place.enter_context(Raw(daemon.socket, Raw.REMOTE)) for _ in range(100)]
        for one in crowd:
            self.assertEqual(one.call(OPEN, open_payload())[5], 0)
        self.assertGreater(daemon.process.descriptors(), 200)

    def test_hard_limit_of_descriptors(self):
        """Too low a hard limit is said at start, and a client that gets no upstream is told why."""
        daemon = harness.Virtadmd(self.place, self.libvirtd, self.snmpd, descriptors="64:64")
        self.assertRegex(daemon.log_text(), "warning : .*open files are needed for max_clients")
        self.assertEqual(harness.virsh(daemon.socket, "hostname")[0], 0)
        crowd = [self.place.enter_context(Raw(daemon.socket, Raw.REMOTE)) for _ in range(70)]
        harness.wait_for(lambda: self.snmpd.get1("lvaServiceAccepting", 2, 1) == 2, "the pause")
        reply = crowd[0].call(OPEN, open_payload())
        self.assertEqual(harness.error_of(reply)[0], 38)
        self.assertIn("Too many open files", harness.error_of(reply)[2])
        self.assertEqual(self.snmpd.get1("lvaServerUpstreamState", 2), 2)
        for one in crowd:
            one.sock.close()
        harness.wait_for(lambda: self.snmpd.get1("lvaServerClientsCurrent", 2) == 0, "none")
        self.assertEqual(harness.virsh(daemon.socket, "hostname")[0], 0)


class Reserve(unittest.TestCase):
    """Clients hold all the descriptors that they can get. Those that are kept from them are enough for
    all that has to go on."""

    LIMIT, KEPT = 200, 48

    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        self.snmpd = harness.Snmpd(self.place)
        self.manager = harness.Manager(self.place, INTERVAL * 1000 * 1000)
        self.daemon = harness.Virtadmd(self.place, None, self.snmpd, env=self.manager.env,
                                       descriptors=f"{self.LIMIT}:{self.LIMIT}")
        self.before = self.daemon.process.descriptors()

    def take_all(self):
        """By calls that promise one more than comes, until there are none for those; then by
        connections. Returns: the clients, by their ids in order"""
        crowd = []
        null = self.place.enter_context(open(os.devnull, "rb"))

        def connect():
            crowd.append(self.place.enter_context(Speaker.connect(self.daemon.socket)))
            return crowd[-1]
        for _ in range(self.LIMIT // 32 + 1):
            if "none left" in self.daemon.log_text():
                break
            greedy = connect()
            with contextlib.suppress(ConnectionError):
                greedy.send_head((Raw.REMOTE, 1, OPEN, CALL_WITH_FDS, 1, OK), struct.pack(">I", 32))
                for _ in range(31):
                    greedy.send_octet([null.fileno()])
        for _ in range(2 * self.KEPT):
            connect()
        harness.wait_for(lambda: "Unable to accept" in self.daemon.log_text(), "the pause")
        return crowd

    def stays_alive(self):
        self.manager.forget()
        for _ in range(3):
            self.manager.wait_for("WATCHDOG=1", INTERVAL)

    def clients(self):
        status, out, err = self.daemon.virt_admin("client-list", "libvirtd")
        self.assertEqual(status, 0, err)
        return [int(line.split()[0]) for line in out.splitlines()[2:] if line]

    def test_all_taken(self):
        """The service manager gets its signs of life, the master agent is found again, and who
        administers looks around and sends somebody away."""
        crowd = self.take_all()
        harness.wait_for(lambda: self.daemon.process.descriptors() >= self.LIMIT - self.KEPT,
                         lambda: f"all descriptors: {self.daemon.process.descriptors()}")
        self.stays_alive()
        self.assertEqual(self.clients()[0], 1)
        self.snmpd.process.kill(signal.SIGKILL)
        self.snmpd.process.wait()
        self.snmpd.start()
        harness.wait_for(self.snmpd.has_agent, "the subagent at the master")
        self.assertEqual(self.daemon.virt_admin("client-disconnect", "libvirtd", "1")[0], 0)
        self.assertTrue(crowd[0].ended())
        self.assertNotIn(1, self.clients())
        self.stays_alive()
        for one in crowd:
            one.close()
        harness.wait_for(lambda: self.daemon.process.descriptors() <= self.before,
                         "all descriptors to be closed")
        self.assertEqual(self.daemon.stop(), 0)


class Clients(unittest.TestCase):
    """Clients that do not behave."""

    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        self.libvirtd = harness.Libvirtd(self.place)
        self.daemon = harness.Virtadmd(self.place, self.libvirtd)

    def test_garbage(self):
        for path in self.daemon.socket, self.daemon.admin:
            for data in (b"GET / HTTP/1.0\r\n\r\n" * 10, b"\0\0\0\3", b"\xff" * 64,
                         b"\2\0\0\5" + b"\0" * 24, os.urandom(4096)):
                with self.subTest(path=path, data=data[:8]), Raw(path) as client:
                    try:
                        client.sock.sendall(data)
                        client.sock.shutdown(socket.SHUT_WR)
                    except OSError:
                        continue
                    self.assertIsNone(client.receive())
        self.assertEqual(harness.virsh(self.daemon.socket, "list")[0], 0)

    def test_slow_client(self):
        """One octet at a time is as good as all at once, and holds up nobody else."""
        with Raw(self.daemon.admin) as slow:
            message = b"\0\0\0\x1c\x06\x90\x06\x90\0\0\0\1\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0"
            for octet in message:
                slow.sock.sendall(bytes((octet,)))
                self.assertEqual(self.daemon.virt_admin("uri")[0], 0)
            self.assertEqual(slow.receive()[:6], (Raw.ADMIN, 1, 3, 1, 0, 0))

    def test_half_open(self):
        with Raw(self.daemon.socket) as silent:
            silent.sock.sendall(b"\0\0\0")
            self.assertEqual(harness.virsh(self.daemon.socket, "list")[0], 0)
            _, out, _ = self.daemon.virt_admin("client-list", "libvirtd")
            first = out.splitlines()[2].split()[0]
            status, out, _ = self.daemon.virt_admin("client-info", "libvirtd", first)
            self.assertEqual(status, 0)
            self.assertRegex(out, rf"unix_process_id: {os.getpid()}\n")
            self.assertRegex(out, r"unix_user_name : \w+\n")

    @harness.needs_root  # to be somebody else
    def test_others_are_refused(self):
        """A peer that is neither root nor our own user gets nothing from the admin socket."""
        os.chmod(self.place.dir, 0o755)
        os.chmod(self.daemon.dir, 0o755)
        os.chmod(self.daemon.admin, 0o777)
        code = ("import socket,sys;s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1]);"
                "s.settimeout(10);print(len(s.recv(10)))")
        done = subprocess.run(["python3", "-c", code, self.daemon.admin], user="nobody",
                              capture_output=True, text=True, timeout=30, check=False,
                              cwd="/")
        self.assertIn(done.stdout.strip() or "ConnectionReset", ("0", "ConnectionReset"),
                      done.stderr)
        harness.wait_for(lambda: "Disallowing client" in self.daemon.log_text(), "a message")
        self.assertEqual(self.daemon.virt_admin("server-list")[0], 0)


if __name__ == "__main__":
    unittest.main()
