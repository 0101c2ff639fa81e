# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirtadm.so as programs use it: the examples and the published test classes, with our library
and with the distribution's, against a real libvirtd and against virtadmd; daemons that are full,
stopped, killed."""

import os
import re
import shlex
import signal
import unittest

from harness import (BUILD, SOURCE, Libvirtd, Place, Process, Virtadmd, idle_virsh, run, tool,
                     virt_admin, wait_for)

EXAMPLES = ("clients", "connection", "errors", "logging", "servers", "timeout")
# Those that fit libvirt's header, too.
COMMON = [f"docs/examples/{name}" for name in EXAMPLES] + ["tests/api/classes", "tests/api/errors"]


def command(program):
    """Of our build: argv, with the options of the sanitizers where it has some."""
    path = os.path.join(BUILD, program)
    environment = os.environ.get("VADM_SANITIZER_ENV")
    return [environment, path] if environment else [path]


def ours(program, *args, env=None, timeout=60):
    status, out, err = run(*command(program), *args, timeout=timeout,
                           env={**os.environ, **(env or {})})
    if re.search("Sanitizer|runtime error", err):
        raise AssertionError(f"{program} {args}: {err[-4000:]}")
    return status, out, err


class Stock:
    """Programs as they are in the tree, built against the distribution's library."""

    def __init__(self, place, programs=COMMON):
        self.dir = place.path("stock")
        status, flags, err = run(tool("pkg-config"), "--cflags", "--libs", "libvirt-admin", "libvirt")
        if status != 0:
            raise AssertionError(f"libvirt-dev is missing; .ci/setup.sh lists the packages: {err}")
        for program in programs:
            path = os.path.join(self.dir, program)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            status, _, err = run(tool("cc"), "-Wall", "-Wextra", "-Werror", "-o", path,
                                 os.path.join(SOURCE, program + ".c"), *shlex.split(flags))
            if status != 0:
                raise AssertionError(f"{program} does not compile against libvirt's header: {err}")

    def __call__(self, program, *args):
        return run(os.path.join(self.dir, program), *args)


def numberless(result):
    """Newer libraries and daemons of libvirt count in the formats that come with errors."""
    status, out, err = result
    return status, out.replace("%1$s", "%s"), err


def uri_of(path):
    return f"libvirtd:///system?socket={path}"


class Library(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = Place()
        cls.addClassCleanup(cls.place.close)
        cls.stock = Stock(cls.place)
        cls.libvirtd = Libvirtd(cls.place)
        cls.virtadmd = Virtadmd(cls.place, cls.libvirtd)
        cls.daemons = {
            "libvirtd": (uri_of(cls.libvirtd.admin), cls.place.path("libvirtd.log")),
            "virtadmd": (uri_of(cls.virtadmd.admin), cls.place.path("log", "virtadmd.log")),
        }

    def quiet(self, uri):
        """The connection of the program before is gone."""
        path = uri.rpartition("=")[2]
        wait_for(lambda: re.search(r"^nclients\s*: 1$", virt_admin(
            path, "server-clients-info", "admin")[1], re.M), "the last client to be gone")

    def both(self, uri, program, *args):
        """Runs a program with both libraries; returns what it printed, which is the same."""
        self.quiet(uri)
        theirs = numberless(self.stock(program, *args))
        self.quiet(uri)
        mine = numberless(ours(program, *args))
        self.assertEqual(mine, theirs, f"{program} {args}")
        return mine

    def test_examples(self):
        for daemon, (uri, log) in self.daemons.items():
            client = idle_virsh(self.place, getattr(self, daemon).socket, f"virsh-{daemon}")
            with self.subTest(daemon=daemon), client:
                wait_for(lambda: "unix_user_id" in ours("docs/examples/clients", uri, "libvirtd")[1],
                         "virsh to be connected")
                outputs = f"3:file:{log}"
                for program, *args in (
                        ("connection", uri), ("servers", uri),
                        ("servers", uri, "libvirtd", "6", "21"),
                        ("servers", uri, "libvirtd", "5", "20"),
                        ("clients", uri, "admin"), ("clients", uri, "libvirtd"),
                        ("logging", uri, "filters", "1:util 2:rpc"), ("logging", uri),
                        ("logging", uri, "filters", ""), ("logging", uri, "outputs", outputs),
                        ("timeout", uri, "0"), ("errors", uri)):
                    status, out, err = self.both(uri, f"docs/examples/{program}", *args)
                    self.assertEqual((status, err), (0, ""), f"{program} {args}")
                    self.assertTrue(out)

    def test_examples_that_fail(self):
        for daemon, (uri, _) in self.daemons.items():
            with self.subTest(daemon=daemon):
                for program, *args in (
                        ("connection", uri_of("/nonexistent")), ("connection", "foo:///system"),
                        ("servers", uri, "libvirtd", "9", "3"), ("servers", uri, "nosuch", "1", "2"),
                        ("clients", uri, "nosuch"), ("clients", uri, "libvirtd", "4711"),
                        ("logging", uri, "filters", "9:x"),
                        ("logging", uri, "outputs", "1:file:/nonexistent/x")):
                    status, _, err = self.both(uri, f"docs/examples/{program}", *args)
                    self.assertEqual(status, 1)
                    self.assertIn("libvirt: ", err)

    def test_errors(self):
        """Every way to call wrongly: result, code, domain, level, texts, numbers."""
        for daemon, (uri, _) in self.daemons.items():
            with self.subTest(daemon=daemon):
                status, out, _ = self.both(uri, "tests/api/errors", uri)
                self.assertEqual(status, 0)
                self.assertGreater(out.count("code "), 80)

    def classes(self, program, daemon, *options):
        status, out, err = program("tests/api/classes", f"--daemon={daemon}", *options,
                                   *self.daemons[daemon])
        self.assertEqual((status, err), (0, ""), out)
        return out

    def test_classes(self):
        for daemon in self.daemons:
            for closed in "disconnected", "released":
                with self.subTest(daemon=daemon, closed=closed):
                    out = self.classes(ours, daemon, f"--closed={closed}")
                    self.assertIn("\n52 cases, 0 failed, 0 left out\n", out)
            with self.subTest(daemon=daemon, library="libvirt"):
                out = self.classes(self.stock, daemon)
                self.assertIn("\n47 cases, 0 failed, 5 left out\n", out)

    def test_threads(self):
        for uri, _ in self.daemons.values():
            self.assertEqual(ours("tests/api/endurance", uri, "threads", "200"),
                             (0, "0 wrong\n", ""))

    def test_nothing_is_left(self):
        for uri, _ in self.daemons.values():
            self.assertEqual(ours("tests/api/endurance", uri, "reopen", "200"),
                             (0, "0 descriptors, 0 threads more\nSIGPIPE as before\n", ""))

    def test_leaving(self):
        """A program ends while its threads are in calls."""
        for _ in range(10):
            for uri, _ in self.daemons.values():
                self.assertEqual(ours("tests/api/endurance", uri, "leave"), (0, "leaving\n", ""))

    def test_level(self):
        uri = self.daemons["virtadmd"][0]
        self.assertEqual(ours("tests/api/own", uri, "level", "2"), (0, "level 2\n", ""))
        self.assertEqual(ours("tests/api/own", uri, "level", "3"), (0, "level 3\n", ""))
        status, out, err = ours("tests/api/own", self.daemons["libvirtd"][0], "level")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("not supported by the connection driver", err)


def version_of_libvirtd():
    """(9, 0, 0)"""
    _, out, err = run(tool("libvirtd"), "--version")
    return tuple(map(int, re.search(r"(\d+)\.(\d+)\.(\d+)", out + err).groups()))


class Ends(unittest.TestCase):
    """Daemons that end, or say nothing any more."""

    def setUp(self):
        self.place = Place()
        self.addCleanup(self.place.close)
        self.libvirtd = Libvirtd(self.place)
        self.uri = uri_of(self.libvirtd.admin)

    def waiting(self, argv, name="connection", env=None):
        """The example that waits for the daemon's end, once it is connected."""
        process = Process(self.place, name, [*argv, "--wait", self.uri], env)
        self.place.callback(process.end)
        wait_for(lambda: "alive: 1" in process.output(), lambda: process.output())
        return process

    def example(self, **how):
        return self.waiting(command("docs/examples/connection"), **how)

    def ended_by(self, what, process):
        """The callback was called once, and gave its reference back. (An error of a call that
        was under way comes where it likes.)"""
        lines = process.output().splitlines()
        self.assertEqual(lines.count(f"connection: closed by {what}"), 1, lines)
        self.assertEqual(lines[-1], "references left: 0", lines)

    def test_killed(self):
        stock = Stock(self.place, ["docs/examples/connection"])
        theirs = self.waiting([os.path.join(stock.dir, "docs/examples/connection")], "stock")
        mine = self.example()
        self.libvirtd.process.kill(signal.SIGKILL)
        for process in theirs, mine:
            self.assertEqual(process.wait(), 0)
            self.ended_by("end of file", process)

    def test_stopped(self):
        """The keepalive finds it; nothing else does."""
        process = self.example(env={"VIRTADM_KEEPALIVE_INTERVAL": "1",
                                    "VIRTADM_KEEPALIVE_COUNT": "1"})
        self.libvirtd.process.kill(signal.SIGSTOP)
        self.assertEqual(process.wait(), 0)
        self.assertIn("internal error: connection closed due to keepalive timeout\n",
                      process.output())
        self.ended_by("keepalive", process)

    def test_call_that_hangs(self):
        process = self.example(env={"VIRTADM_KEEPALIVE_INTERVAL": "0", "VIRTADM_CALL_TIMEOUT": "1"})
        self.libvirtd.process.kill(signal.SIGSTOP)
        wait_for(lambda: "Timed out during operation: no reply to procedure 3 within 1000 ms\n"
                 in process.output(), lambda: process.output())
        self.libvirtd.process.kill(signal.SIGCONT)
        # the connection stays, for the program to close it
        self.assertEqual(process.wait(), 0)
        self.assertNotIn("closed by", process.output())
        self.assertEqual(process.output().splitlines()[-1], "references left: 0")

    def test_stopped_before(self):
        self.libvirtd.process.kill(signal.SIGSTOP)
        status, out, err = ours("docs/examples/servers", self.uri,
                                env={"VIRTADM_CONNECT_TIMEOUT": "1"})
        self.assertEqual((status, out), (1, ""))
        self.assertIn("Timed out during operation: ", err)

    def test_full(self):
        """It accepts, and says nothing until somebody has left."""
        held = self.example(env={"VIRTADM_KEEPALIVE_INTERVAL": "0"})
        virt_admin(self.libvirtd.admin, "server-clients-set", "admin", "--max-clients", "1")
        status, out, err = ours("docs/examples/servers", self.uri,
                                env={"VIRTADM_CONNECT_TIMEOUT": "1"})
        self.assertEqual((status, out), (1, ""))
        self.assertIn("Timed out during operation: ", err)
        held.end()
        self.assertEqual(ours("docs/examples/servers", self.uri)[0], 0)

    def test_shutdown(self):
        virtadmd = Virtadmd(self.place, self.libvirtd)
        self.assertEqual(ours("tests/api/own", uri_of(virtadmd.admin), "shutdown"), (0, "", ""))
        self.assertEqual(virtadmd.process.wait(), 0)
        status, out, err = ours("tests/api/own", self.uri, "shutdown")
        if version_of_libvirtd() < (11, 2):
            self.assertEqual(status, 1)
            self.assertIn("unknown procedure: 20", err)
        else:
            self.assertEqual((status, out, err), (0, "", ""))
            self.assertEqual(self.libvirtd.process.wait(), 0)
