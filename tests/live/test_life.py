# SPDX-License-Identifier: LGPL-2.1-or-later
"""Signals at every moment, hanging work, stale sockets, strange files, few rights."""

import contextlib
import os
import pwd
import resource
import shutil
import signal
import socket
import struct
import subprocess
import time
import unittest

import ber
import harness
from harness import Raw, oid

BINARY = os.path.join(harness.BUILD, "virtadmd")


class Life(unittest.TestCase):
    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)

    def write_config(self, extra=""):
        return self.place.write("start.conf", f"""\
[daemon]
runtime_dir = {self.place.path("run")}
shutdown_timeout = 1
[snmp]
enabled = false
{extra}
""")

    def test_signals_at_every_moment_of_the_start(self):
        """SIGHUP never ends it; SIGTERM does, and leaves no socket behind."""
        argv = [BINARY, "--config", self.write_config("[log]\nlevel = 4\n")]
        statuses = set()
        for step in range(60):
            with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
                time.sleep(step * 0.0005)
                process.send_signal(signal.SIGHUP)
                process.send_signal(signal.SIGTERM)
                statuses.add(process.wait(harness.PATIENCE))
                process.stderr.read()
            left = os.listdir(self.place.path("run")) if os.path.isdir(
                self.place.path("run")) else []
            self.assertEqual(left, [], f"step {step}")
        # Before main() a signal does what it does to any process.
        self.assertLessEqual(statuses, {0, -signal.SIGTERM, -signal.SIGHUP})
        # A thousand workers take a while to start; signals must find their handlers there.
        argv[2] = self.write_config("[server libvirtd]\nmin_workers = 1000\nmax_workers = 1000\n")
        for _ in range(5):
            with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
                tasks = f"/proc/{process.pid}/task"
                harness.wait_for(lambda path=tasks: len(os.listdir(path)) > 30, "workers")
                for number in signal.SIGHUP, signal.SIGTERM, signal.SIGHUP, signal.SIGTERM:
                    process.send_signal(number)
                self.assertEqual(process.wait(harness.PATIENCE), 0)
            self.assertEqual(os.listdir(self.place.path("run")), [])

    def test_killed_daemon_is_replaced(self):
        daemon = harness.Virtadmd(self.place)
        daemon.process.kill(signal.SIGKILL)
        daemon.process.wait()
        self.assertEqual(len(os.listdir(daemon.dir)), 3)
        daemon.start()
        self.assertEqual(daemon.virt_admin("server-list")[0], 0)

    def test_ends_while_everything_hangs(self):
        """An upstream that never answers, a client that does not read, one in mid-message."""
        with contextlib.ExitStack() as stack:
            upstream = stack.enter_context(socket.socket(socket.AF_UNIX))
            upstream.bind(self.place.path("silent"))
            upstream.listen(50)
            daemon = harness.Virtadmd(self.place, upstream_path=self.place.path("silent"),
                                      admin="max_client_requests = 1000")
            daemon.process.end()
            daemon.conf = self.place.write("virtadmd.conf", daemon.text.replace(
                "[daemon]\n", "[daemon]\nshutdown_timeout = 1\n"))
            daemon.start()
            for _ in range(5):
                hanging = stack.enter_context(Raw(daemon.socket, Raw.REMOTE))
                hanging.send(66)
            deaf = stack.enter_context(Raw(daemon.admin))
            with contextlib.suppress(BlockingIOError, TimeoutError):
                deaf.sock.settimeout(0.2)
                while True:
                    deaf.send(14, b"\0\0\0\0")
            half = stack.enter_context(Raw(daemon.admin))
            half.sock.sendall(struct.pack(">I", 100) + b"x" * 30)
            began = time.monotonic()
            self.assertEqual(daemon.stop(), 0)
            self.assertLess(time.monotonic() - began, 5)
            self.assertEqual(os.listdir(daemon.dir), [])

    def test_strange_files(self):
        """What is no configuration is refused by name, at the start and at a reload."""
        os.mkfifo(self.place.path("fifo"))
        os.symlink("loop", self.place.path("loop"))
        with open(self.place.path("nul"), "wb") as out:
            out.write(b"[daemon]\nname = a\0b\n")
        with open(self.place.path("latin"), "wb") as out:
            out.write(b"[daemon]\nname = caf\xe9\n")
        self.place.write("bom", "\ufeff[daemon]\nname = x\n")
        self.place.write("large", "# much\n" * 1000000)
        daemon = harness.Virtadmd(self.place)
        for name in ("fifo", "loop", "nul", "latin", "bom", "large", "run", "absent"):
            path = self.place.path(name)
            with self.subTest(name=name):
                status, out, err = harness.run(BINARY, "--config", path, "--check-config",
                                               timeout=10)
                self.assertEqual((status, out), (2, ""))
                self.assertIn(path, err)
                os.rename(daemon.conf, daemon.conf + ".kept")
                if name != "absent":
                    os.symlink(path, daemon.conf)
                count = daemon.log_text().count("reload: nothing is changed")
                daemon.process.kill(signal.SIGHUP)
                harness.wait_for(lambda n=count: daemon.log_text().count(
                    "reload: nothing is changed") > n, "a message")
                os.rename(daemon.conf + ".kept", daemon.conf)
        self.assertEqual(daemon.virt_admin("server-list")[0], 0)
        self.place.write("crlf", "[daemon]\r\nname = x\r\n")
        status, out, err = harness.run(BINARY, "--config", self.place.path("crlf"),
                                       "--print-config")
        self.assertEqual((status, err), (0, ""))
        self.assertIn("name=x\n", out.replace(" ", ""))

    def test_places_of_administrators(self):
        """The 51st client of the admin server waits and is served when there is a place."""
        daemon = harness.Virtadmd(self.place)
        with contextlib.ExitStack() as stack:
            clients = []
            for _ in range(50):
                clients.append(stack.enter_context(Raw(daemon.admin)))
                self.assertEqual(clients[-1].call(1, b"\0\0\0\0")[5], 0)
            late = stack.enter_context(Raw(daemon.admin, timeout=0.5))
            late.send(3)
            with self.assertRaises(TimeoutError):
                late.receive()
            late.sock.settimeout(harness.PATIENCE)
            clients[7].sock.close()
            self.assertEqual(late.receive()[5], 0)


class Ends(unittest.TestCase):
    """SET_DAEMON_TIMEOUT and DAEMON_SHUTDOWN."""
    TIMEOUT, SHUTDOWN = 19, 20

    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        self.daemon = harness.Virtadmd(self.place)

    def timeout(self, admin, seconds):
        self.assertEqual(admin.call(self.TIMEOUT, struct.pack(">II", seconds, 0))[5], 0)

    def test_timeout_waits_for_the_last_client(self):
        with Raw(self.daemon.admin) as admin, Raw(self.daemon.socket, Raw.REMOTE) as client:
            self.timeout(admin, 1)
            admin.sock.close()
            time.sleep(1.5)
            self.assertTrue(self.daemon.process.alive())
            began = time.monotonic()
            client.sock.close()
            self.assertEqual(self.daemon.process.wait(), 0)
            self.assertGreater(time.monotonic() - began, 0.5)

    def test_timeout_is_armed_again_and_disarmed(self):
        with Raw(self.daemon.admin) as admin:
            for seconds in (1, 0xffffffff, 1, 0, 1, 0x7fffffff):
                self.timeout(admin, seconds)
        time.sleep(1.5)
        self.assertTrue(self.daemon.process.alive())
        self.assertEqual(self.daemon.virt_admin("server-list")[0], 0)

    def test_shutdown_twice_with_clients_connected(self):
        with contextlib.ExitStack() as stack:
            others = [stack.enter_context(Raw(self.daemon.admin)) for _ in range(5)]
            for other in others:
                self.assertEqual(other.call(1, b"\0\0\0\0")[5], 0)
            self.daemon.process.kill(signal.SIGSTOP)  # it gets all at once
            for other in others[:2]:
                other.send(self.SHUTDOWN, b"\0\0\0\0")
            self.daemon.process.kill(signal.SIGTERM)
            self.daemon.process.kill(signal.SIGCONT)
            self.assertEqual(self.daemon.process.wait(), 0)
            for other in others[2:]:
                self.assertIsNone(other.receive())


class Workers(unittest.TestCase):
    def test_threads_are_what_the_numbers_say(self):
        """Limits go up and down while jobs hang; /proc counts the same as SNMP."""
        with harness.Place() as place, contextlib.ExitStack() as stack:
            upstream = stack.enter_context(socket.socket(socket.AF_UNIX))
            upstream.bind(place.path("silent"))
            upstream.listen(100)
            snmpd = harness.Snmpd(place)
            daemon = harness.Virtadmd(place, snmpd=snmpd, upstream_path=place.path("silent"))

            def threads():
                names = []
                for task in os.listdir(f"/proc/{daemon.process.pid}/task"):
                    with contextlib.suppress(OSError), open(
                            f"/proc/{daemon.process.pid}/task/{task}/comm",
                            encoding="utf-8") as comm:
                        names.append(comm.read().strip())
                return [len([name for name in names if name.startswith(prefix)])
                        for prefix in ("rpc-libvirtd", "prio-rpc-libvir")]

            def settles(ordinary, priority):
                harness.wait_for(lambda: threads() == [ordinary, priority] and snmpd.get(
                    oid("lvaServerWorkersCurrent", 2), oid("lvaServerWorkersPriority", 2)) ==
                    [ordinary, priority], f"{ordinary}+{priority} workers, not {threads()}")

            def sets(low, high, priority):
                status, text = snmpd.set((oid("lvaServerWorkersMax", 2), "u", high),
                                         (oid("lvaServerWorkersMin", 2), "u", low),
                                         (oid("lvaServerWorkersPriority", 2), "u", priority))
                self.assertEqual(status, 0, text)
            settles(5, 5)
            clients = [stack.enter_context(Raw(daemon.socket, Raw.REMOTE)) for _ in range(15)]
            for client in clients:
                client.send(66)
                client.send(1, b"\0\0\0\0\0\0\0\0")
            for low, high, priority in ((30, 40, 2), (1, 20, 9), (200, 300, 0), (20, 20, 5)):
                sets(low, high, priority)
                harness.wait_for(lambda n=priority: threads()[1] == n, "priority workers")
                self.assertGreaterEqual(threads()[0], low)
                self.assertEqual(daemon.virt_admin("server-threadpool-info", "libvirtd")[0], 0)
            for client in clients:
                client.sock.close()
            sets(1, 3, 1)
            settles(3, 1)


@unittest.skipUnless(os.geteuid() == 0, "only root can become somebody else")
class Unprivileged(unittest.TestCase):
    """virtadmd as a session daemon of user nobody."""

    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        self.nobody = pwd.getpwnam("nobody")
        os.chmod(self.place.dir, 0o755)
        os.makedirs(self.place.path("own"))
        os.chown(self.place.path("own"), self.nobody.pw_uid, self.nobody.pw_gid)
        self.snmpd = harness.Snmpd(self.place, extra="agentXPerms 0666 0755")
        # the build may be where nobody may not go
        self.binary = shutil.copy(BINARY, self.place.path("virtadmd"))

    def start(self, processes=None):
        conf = self.place.write("own.conf", f"""\
[daemon]
runtime_dir = {self.place.path("own", "run")}
state_dir = {self.place.path("own", "state")}
[snmp]
master = unix:{self.snmpd.agentx}
retry_interval = 1
""")

        def become():
            os.setgroups([])
            os.setgid(self.nobody.pw_gid)
            if processes:
                resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
            os.setuid(self.nobody.pw_uid)
        out = open(self.place.path("own.out"), "wb")  # pylint: disable=consider-using-with
        self.addCleanup(out.close)
        process = subprocess.Popen(  # pylint: disable=consider-using-with
            [self.binary, "--config", conf], preexec_fn=become, stderr=out, stdout=out)

        def end():
            process.terminate()
            self.assertEqual(process.wait(harness.PATIENCE), 0)
        self.addCleanup(end)
        self.admin = self.place.path("own", "run", "virtadm-admin-sock")
        harness.wait_for(lambda: os.path.exists(self.admin), "the socket")
        harness.wait_for(self.snmpd.has_agent, "the agent")
        return process

    def test_session(self):
        self.start()
        self.assertEqual(harness.virt_admin(self.admin, "server-list")[0], 0)
        os.chmod(self.admin, 0o666)
        tool = [harness.tool("virt-admin"), "-c", f"libvirtd:///system?socket={self.admin}"]
        for uid, good in ((self.nobody.pw_uid, True), (self.nobody.pw_uid - 1, False)):
            done = subprocess.run([*tool, "server-list"], user=uid, group=self.nobody.pw_gid,
                                  extra_groups=[], capture_output=True, text=True, check=False,
                                  timeout=30, env={"HOME": self.place.path("own")})
            self.assertEqual(done.returncode == 0, good, done.stderr)
        status, text = self.snmpd.set((oid("lvaServerWorkersMax", 2), "u", 33))
        self.assertEqual(status, 0, text)

    def test_file_that_may_not_be_read(self):
        conf = self.place.write("secret.conf", "")
        os.chmod(conf, 0o600)
        done = subprocess.run([self.binary, "--config", conf], user=self.nobody.pw_uid, timeout=30,
                              group=self.nobody.pw_gid, extra_groups=[], capture_output=True,
                              text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertEqual(done.stderr,
                         f"virtadmd: {conf}: cannot be opened: Permission denied\n")

    def workers_of_admin(self):
        """There is one more where calls come while the others have not been waited for."""
        return self.snmpd.get1("lvaServerWorkersCurrent", 1)

    def test_threads_that_cannot_be_started(self):
        """resourceUnavailable over SNMP, an error over virt-admin, and nothing has changed."""
        process = self.start(processes=60)
        tasks = f"/proc/{process.pid}/task"
        self.assertEqual(harness.virt_admin(self.admin, "server-list")[0], 0)
        before = harness.virt_admin(self.admin, "server-threadpool-info", "libvirtd")[1]
        others = len(os.listdir(tasks)) - self.workers_of_admin()
        generation = self.snmpd.get1("lvaConfigGeneration")
        status, text = self.snmpd.set((oid("lvaServerWorkersMax", 2), "u", 500),
                                      (oid("lvaServerWorkersMin", 2), "u", 400))
        self.assertNotEqual(status, 0)
        self.assertIn("resourceUnavailable", text)
        self.assertIn("cannot start a worker of server 'libvirtd'",
                      self.snmpd.get1("lvaConfigLastError"))
        status, _, err = harness.virt_admin(self.admin, "server-threadpool-set", "libvirtd",
                                            "--max-workers", "500", "--min-workers", "400")
        self.assertEqual(status, 1)
        self.assertIn("cannot start a worker of server 'libvirtd'", err)
        self.assertEqual(harness.virt_admin(self.admin, "server-threadpool-info", "libvirtd")[1],
                         before)
        self.assertEqual(self.snmpd.get1("lvaConfigGeneration"), generation)
        harness.wait_for(
            lambda: len(os.listdir(tasks)) - self.workers_of_admin() <= others + 1,
            "the threads to end")


class Reloads(unittest.TestCase):
    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        self.snmpd = harness.Snmpd(self.place)
        self.daemon = harness.Virtadmd(self.place, snmpd=self.snmpd)

    def hangup(self, text):
        self.place.write("virtadmd.conf", text)
        self.daemon.process.kill(signal.SIGHUP)

    def test_a_thousand(self):
        """They end, the last one counts, and what a manager sets in between stays."""
        session = ber.Session(self.snmpd.port)
        unauth = oid("lvaServerClientsUnauthMax", 2)
        for n in range(1000):
            self.hangup(self.daemon.text.replace(
                "[server libvirtd]\n", f"[server libvirtd]\nclients_high_percent = {n % 90}\n"))
            if n % 10 == 0:
                if session.set(unauth, ber.integer(20 + n, 0x42))[0] == 0:
                    _, _, found = session.get(unauth)
                    self.assertEqual(int.from_bytes(found[0][2], "big"), 20 + n)
        harness.wait_for(lambda: self.snmpd.get1("lvaServerClientsHighPercent", 2) == 999 % 90,
                         "the last reload")
        self.assertGreater(self.snmpd.get1("lvaServerClientsUnauthMax", 2), 20)

    def test_notify(self):
        """A change of [notify] in the file is served, one by a manager is not taken back."""
        self.hangup(self.daemon.text + "[notify]\nmin_interval = 17\n")
        harness.wait_for(lambda: self.snmpd.get1("lvaNotifyMinInterval") == 17, "the reload")
        self.assertEqual(self.snmpd.set((oid("lvaNotifyMinInterval"), "u", 18))[0], 0)
        generation = self.snmpd.get1("lvaConfigGeneration")
        self.hangup(self.daemon.text.replace("[log]\n", "[log]\nlevel = 2\n") +
                    "[notify]\nmin_interval = 17\n")
        harness.wait_for(lambda: self.snmpd.get1("lvaConfigGeneration") > generation, "a reload")
        self.assertEqual(self.snmpd.get1("lvaNotifyMinInterval"), 18)


if __name__ == "__main__":
    unittest.main()
