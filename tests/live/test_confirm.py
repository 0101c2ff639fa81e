# SPDX-License-Identifier: LGPL-2.1-or-later
"""Changes over SNMP that roll back unless they are confirmed, and changes that are there after a
restart."""

import os
import re
import signal
import time
import unittest

import ber
import harness
from harness import Raw, oid

GEN_ERR, WRONG_VALUE, INCONSISTENT, RESOURCE, COMMIT_FAILED = 5, 10, 12, 13, 14
VOLATILE, NON_VOLATILE = 2, 3
WORKERS, CLIENTS, FILTERS = "lvaServerWorkersMax", "lvaServerClientsMax", "lvaLogFilters"


def workers(number, server=2):
    return oid(WORKERS, server), ber.unsigned(number)


def confirm(seconds):
    return oid("lvaConfigConfirmTimeout"), ber.unsigned(seconds)


def storage(kind):
    return oid("lvaConfigStorage"), ber.integer(kind)


def filters(text):
    return oid(FILTERS), ber.octets(text)


class Case(unittest.TestCase):
    def setUp(self):
        self.place = harness.Place(harness.MEMORY)
        self.addCleanup(self.place.close)
        self.snmpd = harness.Snmpd(self.place)
        self.daemon = harness.Virtadmd(self.place, snmpd=self.snmpd)
        self.session = ber.Session(self.snmpd.port, timeout=harness.PATIENCE)
        self.addCleanup(self.session.close)

    def set(self, *binds):
        return self.session.set_all(binds)

    def succeed(self, *binds):
        self.assertEqual(self.set(*binds), (0, 0), lambda: self.snmpd.get1("lvaConfigLastError"))

    def config(self):
        """What the tests change: (both maxWorkers, filters, storage)."""
        return tuple(self.snmpd.get(oid(WORKERS, 1), oid(WORKERS, 2), oid(FILTERS),
                                    oid("lvaConfigStorage")))

    def stamp(self):
        return tuple(self.snmpd.get(oid("lvaConfigGeneration"), oid("lvaConfigLastOrigin")))

    def left(self):
        return self.snmpd.get1("lvaConfigConfirmTimeout")

    def virt_admin_refused(self, *args):
        status, _, err = self.daemon.virt_admin(*args)
        self.assertEqual(status, 1, args)
        return err

    def restart(self, number=signal.SIGTERM):
        self.daemon.process.kill(number)
        self.daemon.process.wait()
        self.daemon.start()

    def log_lines(self, pattern):
        return re.findall(pattern, self.daemon.log_text())


OLD = (5, 20, "", VOLATILE)
NEW = (9, 30, "4:new", VOLATILE)


class Confirm(Case):
    def arm(self, seconds):
        self.succeed(workers(9, server=1), workers(30), filters("4:new"), confirm(seconds))

    def test_rolls_back(self):
        generation, _ = self.stamp()
        before = self.snmpd.get1("lvaConfigLastChange")
        self.arm(600)
        self.assertEqual(self.config(), NEW)
        self.assertEqual(self.stamp(), (generation + 1, 3))
        self.assertIn(self.left(), range(500, 601))
        began = time.monotonic()
        self.succeed(confirm(2))
        harness.wait_for(lambda: self.stamp() == (generation + 2, 5), "the rollback")
        self.assertGreaterEqual(time.monotonic() - began, 1.9)
        self.assertEqual(self.config(), OLD)
        self.assertEqual(self.left(), 0)
        self.assertGreater(self.snmpd.get1("lvaConfigLastChange"), before)
        _, out, _ = self.daemon.virt_admin("server-threadpool-info", "libvirtd")
        self.assertRegex(out, r"maxWorkers\s*: 20")
        self.assertEqual(len(self.log_lines(r"configuration \d+ \(rollback\): ")), 1)
        self.assertEqual(self.log_lines(r"\[server libvirtd\] max_workers 30 -> 20"),
                         ["[server libvirtd] max_workers 30 -> 20"])
        self.assertEqual(len(self.log_lines("was not confirmed in time: rolled back to")), 1)
        # it is over: the next change is nobody's business
        self.succeed(workers(21))
        self.assertEqual(self.daemon.stop(), 0)

    def test_without_the_master(self):
        """What cut the operator off is taken back, whoever cannot be reached meanwhile."""
        self.arm(5)
        self.snmpd.process.kill(signal.SIGKILL)
        self.snmpd.process.wait()
        def rolled_back():
            _, out, _ = self.daemon.virt_admin("server-threadpool-info", "libvirtd")
            return re.search(r"maxWorkers\s*: 20", out)
        self.assertFalse(rolled_back())
        harness.wait_for(rolled_back, "the rollback")
        self.snmpd.start()
        harness.wait_for(self.snmpd.has_agent, "the agent to be back")
        self.assertEqual(self.config(), OLD)
        self.assertEqual(self.stamp()[1], 5)

    def test_confirmed(self):
        self.arm(600)
        stamp = self.stamp()
        self.succeed(confirm(0))
        self.assertEqual((self.config(), self.stamp(), self.left()), (NEW, stamp, 0))
        self.assertEqual(len(self.log_lines(r"configuration \d+ is confirmed")), 1)
        # nothing is pending: once more is no error
        self.succeed(confirm(0))
        self.assertEqual(self.stamp(), stamp)

    def test_needs_changes(self):
        stamp = self.stamp()
        self.assertEqual(self.set(confirm(60)), (INCONSISTENT, 1))
        lock = self.snmpd.get1("lvaConfigLock")
        self.assertEqual(self.set((oid("lvaConfigLock"), ber.integer(lock)), confirm(60)),
                         (INCONSISTENT, 2))
        self.assertIn("lvaConfigConfirmTimeout.0 = 60: ", self.snmpd.get1("lvaConfigLastError"))
        self.assertEqual(self.set(workers(30), confirm(86401)), (WRONG_VALUE, 2))
        self.assertEqual((self.config(), self.stamp(), self.left()), (OLD, stamp, 0))
        self.assertEqual(self.snmpd.get1("lvaConfigLock"), lock)

    def test_refused_while_pending(self):
        """Every other change by anybody, each with its reason; the last one that takes part is
        at fault."""
        self.arm(600)
        stamp = self.stamp()
        lock = self.snmpd.get1("lvaConfigLock")
        locked = oid("lvaConfigLock"), ber.integer(lock)
        for binds, at in (((workers(31),), 1), ((workers(31), filters("")), 2),
                          ((filters(""), locked), 1), ((storage(NON_VOLATILE), workers(31)), 2),
                          ((workers(31), confirm(60)), 1)):
            with self.subTest(binds=binds):
                self.assertEqual(self.set(*binds), (RESOURCE, at))
                self.assertRegex(self.snmpd.get1("lvaConfigLastError"),
                                 r"configuration \d+ waits to be confirmed \(\d+ s are left\)")
        with ber.Session(self.snmpd.port, version=1) as session:
            self.assertEqual(session.set_all([workers(31), filters("")]), (GEN_ERR, 2))
        for args in (("server-threadpool-set", "libvirtd", "--max-workers", "33"),
                     ("server-clients-set", "libvirtd", "--max-clients", "70"),
                     ("daemon-log-filters", "1:other"), ("daemon-log-outputs", "1:stderr")):
            with self.subTest(args=args):
                self.assertRegex(self.virt_admin_refused(*args), "error: .*waits to be confirmed")
        self.assertEqual((self.config(), self.stamp(), self.snmpd.get1("lvaConfigLock")),
                         (NEW, stamp, lock))
        # more time
        self.succeed(confirm(5000))
        self.assertGreater(self.left(), 4000)
        self.assertEqual(self.stamp(), stamp)
        # changed and confirmed in one
        self.succeed(workers(31), confirm(0))
        self.assertEqual((self.config(), self.left()), ((9, 31, "4:new", VOLATILE), 0))
        self.assertEqual(self.stamp(), (stamp[0] + 1, 3))

    def test_disconnecting_is_never_refused(self):
        self.arm(600)
        for how in "snmp", "virt-admin":
            with Raw(self.daemon.admin) as client:
                client.call(1, b"\0\0\0\0")
                index = self.snmpd.walk(oid("lvaClientId", 1).rsplit(".", 1)[0])[-1][1]
                if how == "snmp":
                    self.succeed((oid("lvaClientAdminStatus", 1, index), ber.integer(2)))
                else:
                    status, _, err = self.daemon.virt_admin("client-disconnect", "admin", str(index))
                    self.assertEqual(status, 0, err)
                self.assertIsNone(client.receive())
        self.assertGreater(self.left(), 0)

    def test_reload_waits(self):
        """SIGHUP while it is pending: log files are reopened at once, the file counts afterwards."""
        self.arm(600)
        stamp = self.stamp()
        self.place.write("virtadmd.conf", self.daemon.text.replace(
            "[server libvirtd]\n", "[server libvirtd]\nprio_workers = 3\n"))
        log = os.path.join(self.daemon.logdir, "virtadmd.log")
        os.rename(log, log + ".1")
        self.daemon.process.kill(signal.SIGHUP)
        harness.wait_for(lambda: os.path.exists(log), "the new log file")
        self.assertEqual((self.config(), self.stamp()), (NEW, stamp))
        self.succeed(confirm(0))
        priority = oid("lvaServerWorkersPriority", 2)
        harness.wait_for(lambda: self.snmpd.get(priority) == [3], "the reload")
        self.assertEqual((self.config(), self.stamp()), (NEW, (stamp[0] + 1, 4)))

    def test_restart_while_pending(self):
        """It comes up with the old configuration, also where that is stored."""
        for kind, old in (VOLATILE, OLD), (NON_VOLATILE, (5, 25, "", NON_VOLATILE)):
            if kind == NON_VOLATILE:
                self.succeed(workers(25), storage(kind))
            for number in signal.SIGTERM, signal.SIGKILL:
                with self.subTest(storage=kind, signal=number):
                    self.assertEqual(self.config(), old)
                    self.arm(600)
                    self.assertEqual(self.config(), NEW[:3] + (kind,))
                    self.restart(number)
                    self.assertEqual((self.config(), self.left(), self.stamp()),
                                     (old, 0, (1, 1)))
        self.assertEqual(self.daemon.stop(), 0)

    def test_storage_itself(self):
        """nonVolatile that is not confirmed stores nothing, also when it is rolled back."""
        self.succeed(workers(30), storage(NON_VOLATILE), confirm(5))
        self.assertEqual(self.config(), (5, 30, "", NON_VOLATILE))
        harness.wait_for(lambda: self.stamp()[1] == 5, "the rollback")
        self.assertEqual(self.config(), OLD)
        self.restart(signal.SIGKILL)
        self.assertEqual(self.config(), OLD)
        # and volatile that is not confirmed keeps what is stored
        self.succeed(workers(30), storage(NON_VOLATILE))
        self.succeed(storage(VOLATILE), confirm(600))
        self.restart(signal.SIGKILL)
        self.assertEqual(self.config(), (5, 30, "", NON_VOLATILE))


class Storage(Case):
    def stored(self, *wanted):
        """Waits until these are the files of state_dir: what is to go does so after the answer."""
        path = self.place.path("state")
        def found():
            return sorted(os.listdir(path)) if os.path.isdir(path) else []
        harness.wait_for(lambda: found() == sorted(wanted), lambda: f"{wanted}, not {found()}")

    def test_survives(self):
        for number in signal.SIGKILL, signal.SIGTERM:
            self.succeed(workers(30), filters("4:kept"), storage(NON_VOLATILE))
            self.stored("virtadmd.state")
            # not only over SNMP
            status, _, err = self.daemon.virt_admin("server-threadpool-set", "admin",
                                                    "--max-workers", "7")
            self.assertEqual(status, 0, err)
            self.restart(number)
            self.assertEqual(self.config(), (7, 30, "4:kept", NON_VOLATILE))
            self.assertEqual(self.stamp(), (1, 1))
            # the file wins over what was stored where it was edited since
            self.place.write("virtadmd.conf", self.daemon.text.replace(
                "[server libvirtd]\n", "[server libvirtd]\nmax_workers = 44\n"))
            self.restart(number)
            self.assertEqual(self.config(), (7, 44, "4:kept", NON_VOLATILE))
            self.place.write("virtadmd.conf", self.daemon.text)
            self.succeed(storage(VOLATILE))
            self.stored()
            self.restart(number)
            self.assertEqual(self.config(), OLD)
        self.assertEqual(self.daemon.stop(), 0)

    def test_confirmed_is_stored(self):
        self.succeed(workers(25), storage(NON_VOLATILE))
        self.succeed(workers(30), confirm(600))
        self.succeed(confirm(0))
        self.restart(signal.SIGKILL)
        self.assertEqual(self.config(), (5, 30, "", NON_VOLATILE))

    def test_disk_error(self):
        """Nothing has changed, and the varbind of the storage, or the last one, is at fault."""
        self.succeed(storage(NON_VOLATILE))
        self.stored("virtadmd.state")
        # of all that can be wrong with a disk this also stops root
        os.rename(self.place.path("state"), self.place.path("moved"))
        self.place.write("state", "no directory")
        stamp = self.stamp()
        for binds, at in (((workers(30), filters("4:x")), 2),
                          ((storage(VOLATILE), workers(30)), 1)):
            self.assertEqual(self.set(*binds), (RESOURCE, at))
            self.assertIn(self.place.path("state"), self.snmpd.get1("lvaConfigLastError"))
        self.assertIn("state", self.virt_admin_refused("server-threadpool-set", "libvirtd",
                                                       "--max-workers", "33"))
        self.assertEqual((self.config(), self.stamp()), ((5, 20, "", NON_VOLATILE), stamp))
        os.unlink(self.place.path("state"))
        os.rename(self.place.path("moved"), self.place.path("state"))
        self.succeed(workers(30))
        self.stored("virtadmd.state")
        self.restart(signal.SIGKILL)
        self.assertEqual(self.config(), (5, 30, "", NON_VOLATILE))

    def slow_disk(self, seconds, first=1):
        """Every fsync of the daemon, or that one and those behind it, takes that long from now
        on, until the process that is returned has ended."""
        tracer = self.place.spawn("strace", [
            harness.tool("strace"), "-f", "-p", str(self.daemon.process.pid), "-o", "/dev/null",
            "-e", "trace=fsync", "-e", f"inject=fsync:delay_enter={int(seconds * 1e6)}:when={first}+"])
        harness.wait_for(lambda: "attached" in tracer.output(), tracer.output)
        return tracer

    @harness.needs_root  # to trace what runs
    def test_disk_that_hangs(self):
        """The manager is answered in time, reading goes on, and what comes late is aborted."""
        self.succeed(storage(NON_VOLATILE))
        self.stored("virtadmd.state")
        stamp = self.stamp()
        tracer = self.slow_disk(8)
        began = time.monotonic()
        # not genErr, as when the master has given up waiting, after 2 s
        self.assertEqual(self.set(workers(30), filters("4:x")), (RESOURCE, 1))
        # the disk has 6 s left: nobody who reads notices, nobody can change anything
        self.assertEqual((self.config(), self.stamp()), ((5, 20, "", NON_VOLATILE), stamp))
        self.assertEqual(self.set(workers(31)), (RESOURCE, 1))
        self.assertRegex(self.virt_admin_refused("server-threadpool-set", "libvirtd",
                                                 "--max-workers", "33"), "is under way")
        self.assertLess(time.monotonic() - began, 8)
        tracer.end()
        harness.wait_for(lambda: self.set(workers(32)) == (0, 0), "the token")
        self.assertEqual(self.config(), (5, 32, "", NON_VOLATILE))
        self.assertEqual(self.stamp(), (stamp[0] + 1, 3))
        self.stored("virtadmd.state")
        self.restart(signal.SIGKILL)
        self.assertEqual(self.config(), (5, 32, "", NON_VOLATILE))

    @harness.needs_root
    def test_disk_that_hangs_in_commit(self):
        """The file is written in time, its folder is not: commitFailed, and what is committed late
        is undone."""
        self.succeed(storage(NON_VOLATILE))
        self.stored("virtadmd.state")
        stamp = self.stamp()
        tracer = self.slow_disk(4, first=2)
        self.assertEqual(self.set(workers(30), filters("4:x")), (COMMIT_FAILED, 1))
        tracer.end()
        harness.wait_for(lambda: self.set(storage(NON_VOLATILE)) == (0, 0), "the token")
        self.assertEqual((self.config(), self.stamp()), ((5, 20, "", NON_VOLATILE), stamp))
        self.stored("virtadmd.state")
        self.restart(signal.SIGKILL)
        self.assertEqual(self.config(), (5, 20, "", NON_VOLATILE))

    def test_values(self):
        for value in 1, 4, 5, 0:
            self.assertEqual(self.set(workers(30), storage(value)), (WRONG_VALUE, 2), value)
        self.assertEqual(self.config(), OLD)


if __name__ == "__main__":
    unittest.main()
