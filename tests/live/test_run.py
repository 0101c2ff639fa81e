# SPDX-License-Identifier: LGPL-2.1-or-later
"""run.py itself: whoever ends it, leaves nothing behind."""

import os
import signal
import sys
import unittest

from harness import PATIENCE, Place, Tail, Virtadmd, wait_for

RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run.py")

# A test that waits, with a place of its own beside that of its class, and one that must not come.
TESTS = """\
import unittest
import harness

class {name}(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.enterClassContext(harness.Place()).spawn("of-class", ["sleep", "600"])

    def test_1(self):
        place = harness.Place()
        self.addCleanup(place.close)
        sleep = place.spawn("sleep", ["sleep", "600"])
        open({folder!r} + "/began-{name}", "w").write(str(sleep.pid))
        sleep.wait(600)

    def test_2(self):
        open({folder!r} + "/next", "w").close()
"""


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Ended(unittest.TestCase):
    def ends(self, number, status, *options, names=("One",)):
        """names: of the classes that run when it is ended."""
        with Place() as place:
            for name in *names, "Waiting":
                place.write(f"test_{name.lower()}.py", TESTS.format(name=name, folder=place.dir))
            os.mkdir(place.path("tmp"))
            runner = place.spawn("run", [sys.executable, RUN, "--dir",
                                         place.dir, *options],
                                 {"TMPDIR": place.path("tmp"), "CI": ""})
            wait_for(lambda: all(os.path.exists(place.path("began-" + name)) and
                                 place.read("began-" + name) for name in names),
                     runner.output)
            pids = [int(place.read("began-" + name)) for name in names]
            self.assertEqual(len(os.listdir(place.path("tmp"))), 2 * len(names))
            runner.kill(number)
            self.assertEqual(runner.wait(2 * PATIENCE), status, runner.output())
            self.assertEqual(os.listdir(place.path("tmp")), [], runner.output())
            self.assertEqual([pid for pid in pids if alive(pid)], [])
            self.assertFalse(os.path.exists(place.path("next")), "the next test was run")
            self.assertFalse(os.path.exists(place.path("began-Waiting")), "the next class was run")

    def test_terminated(self):
        self.ends(signal.SIGTERM, 143)

    def test_interrupted(self):
        self.ends(signal.SIGINT, 130)

    def test_many_terminated(self):
        self.ends(signal.SIGTERM, 143, "--jobs", "2", names=("One", "Two"))

    def test_many_interrupted(self):
        self.ends(signal.SIGINT, 130, "--jobs", "2", names=("One", "Two"))


class Ports(unittest.TestCase):
    def test_no_other_program_gets_it(self):
        """Neither another test, which looks in the same order here, nor who takes what the kernel gives."""
        code = "import random; random.seed(1); import harness; " \
               "print(harness.free_port(), flush=True); input()"
        with Place() as place:
            ports = []
            for name in "first", "second", "third":
                fifo = place.path(name + ".in")
                os.mkfifo(fifo)
                test = place.spawn(name, ["sh", "-c", 'exec "$0" -c "$1" <>"$2"', sys.executable,
                                          code, fifo], {"PYTHONPATH": os.path.dirname(RUN)})
                wait_for(lambda t=test: t.output().endswith("\n"), test.output)
                ports.append(int(test.output()))
        self.assertEqual(len(set(ports)), 3, ports)
        with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as bounds:
            low, high = map(int, bounds.read().split())
        self.assertFalse([port for port in ports if low <= port <= high])


class Texts(unittest.TestCase):
    """What a test waits for must not be what an earlier one has left behind."""

    def test_same_name(self):
        with Place() as place:
            place.spawn("echo", ["echo", "of the first"]).wait()
            second = place.spawn("echo", ["echo", "of the second"])
            second.wait()
            self.assertEqual(second.output(), "of the second\n")
            self.assertEqual(second.output(whole=True), "of the first\nof the second\n")

    def test_file_in_its_place(self):
        with Place() as place:
            place.write("log", "of the first\n")
            tail = Tail(place.path("log"))
            self.assertEqual(tail.text(), "")
            place.write("other", "of the second, and longer\n")
            os.rename(place.path("other"), tail.path)
            self.assertEqual(tail.text(), "of the second, and longer\n")

    def test_same_log(self):
        with Place() as place:
            texts = []
            for _ in range(2):
                daemon = Virtadmd(place, log="level = 1")
                wait_for(daemon.log_text, "messages in the log")
                self.assertEqual(daemon.stop(), 0)
                texts.append(daemon.log_text())
            self.assertNotIn(texts[0].splitlines()[0], texts[1])


if __name__ == "__main__":
    unittest.main()
