# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/start.md, done as it says, on a Debian that has just been installed: its commands are run as
they stand there, and what they print must be what the page shows. How the page marks what may be
different is said in a comment at its top."""

import os
import re
import subprocess
import threading
import unittest

import chroot
import harness
import packages
from harness import needs_root, wait_for

PAGE = os.path.join(harness.SOURCE, "docs", "start.md")
LINES = "..."


class Step:
    """A block of commands and what is known of it; or, of a window, what it must show."""

    def __init__(self, line, kind, text, marks):
        self.line, self.kind, self.text = line, kind, text
        self.expected, self.varies = None, None
        self.wait = self.fails = self.window = self.in_window = False
        for mark in marks:
            name, _, value = (part.strip() for part in mark.partition(":"))
            if name == "varies":
                self.varies = value
            elif name in ("wait", "fails", "window"):
                setattr(self, name, True)
            elif name == "in the window" and value in ("", "of step 6"):
                self.in_window = value or "last"
            else:
                raise AssertionError(f"{PAGE}:{line}: what is the mark '{mark}'?")


def parse(text):
    """The steps of a page: fenced blocks "sh", each with the block "text" that may follow at once."""
    steps, marks = [], []
    lines = enumerate(text.splitlines(), 1)
    for number, line in lines:
        if fence := re.match(r"```(\w*)$", line):
            block = []
            for _, inner in lines:
                if inner == "```":
                    break
                block.append(inner + "\n")
            add(steps, Step(number, fence[1], "".join(block), marks))
            marks = []
        elif mark := re.match(r"<!-- (.*) -->$", line):
            marks += [] if mark[1].startswith("SPDX-") else [mark[1]]
        elif line.startswith("<!-- ") and "-->" not in line:
            for _, inner in lines:
                if "-->" in inner:
                    break
        elif line.strip():
            if marks:
                raise AssertionError(f"{PAGE}:{number}: a mark belongs to no block: {marks}")
            if steps:
                steps[-1].closed = True
    return steps


def add(steps, step):
    if step.kind == "sh":
        steps.append(step)
    elif step.kind == "text" and step.in_window:
        steps.append(step)
    elif step.kind == "text" and steps and steps[-1].expected is None \
            and not getattr(steps[-1], "closed", False):
        steps[-1].expected = step.text
        steps[-1].varies = step.varies or steps[-1].varies
    else:
        raise AssertionError(f"{PAGE}:{step.line}: this block belongs to no command")


def pattern(text, varies):
    """What some whole lines of the page stand for."""
    if not varies:
        return re.escape(text)
    parts, at = [], 0
    for part in re.finditer(varies, text):
        parts += [re.escape(text[at:part.start()]), f"(?:{varies})"]
        at = part.end()
    return "".join(parts) + re.escape(text[at:])


def difference(expected, varies, found, anywhere=False):
    """None when found is what the page shows, else what is missing or too much."""
    pieces = re.split(rf"(?m)^{re.escape(LINES)}\n", expected)
    at = 0
    for number, piece in enumerate(pieces):
        bound = number == 0 and not anywhere
        here = re.compile(r"(?m)^" + pattern(piece, varies))
        match = here.match(found, at) if bound else here.search(found, at)
        if piece and not match:
            return f"this is not there{'' if at == 0 else ' behind what came before it'}:\n{piece}"
        at = match.end() if piece else at
        if number == len(pieces) - 1 and piece and not anywhere and at != len(found):
            ends = [end.end() for end in here.finditer(found)]
            if len(found) not in ends:
                return f"the page does not show this:\n{found[at:]}"
    return None


class Shell:
    """One interactive-like shell of the system: blocks share functions, variables and folder."""

    def __init__(self, system):
        self.system, self.number = system, 0
        self.popen = subprocess.Popen(system.command("/bin/bash"), stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        # a command that fails in the middle of a pipe has failed
        self.run("set -o pipefail")

    def run(self, text, timeout=300):
        """(status, what it printed)."""
        self.number += 1
        self.system.write("/root/step", text)
        end = f"end of step {self.number}:"
        self.popen.stdin.write(f'. /root/step </dev/null; printf "\\n{end} %s\\n" $?\n')
        self.popen.stdin.flush()
        watch = threading.Timer(timeout, self.popen.kill)
        watch.start()
        printed = []
        for line in self.popen.stdout:
            if line.startswith(end):
                watch.cancel()
                # the newline in front of the end is ours
                return int(line.split()[-1]), "".join(printed)[:-1]
            printed.append(line)
        raise AssertionError(f"the shell ended, or this took more than {timeout} s:\n{text}"
                             f"{''.join(printed)[-2000:]}")

    def close(self):
        self.popen.stdin.close()
        self.popen.wait(10)
        self.popen.stdout.close()


class Page(unittest.TestCase):
    """The page itself, and how it is read here."""

    PAGE = "Text\n<!-- fails -->\n<!-- varies: \\d+ -->\n```sh\na 1\n```\n```text\n1\n...\n2 3\n```\n"

    def test_parse(self):
        step, = parse(self.PAGE)
        self.assertEqual((step.text, step.expected, step.varies, step.fails, step.line),
                         ("a 1\n", "1\n...\n2 3\n", r"\d+", True, 4))
        for bad in ("```text\nx\n```\n", "<!-- wiat -->\n```sh\n```\n", "<!-- wait -->\nText\n",
                    "```sh\na\n```\nText\n```text\nb\n```\n"):
            with self.assertRaises(AssertionError, msg=bad):
                parse(bad)

    def test_difference(self):
        for expected, varies, found, same in (
                ("a\n", None, "a\n", True), ("a\n", None, "a\nb\n", False),
                ("a\n", None, "b\na\n", False), ("a 1\n", r"\d+", "a 23\n", True),
                ("a 1\n", r"\d+", "a x\n", False), ("a 1\n", r"\d+", "b 1\n", False),
                ("a\n...\nc\n", None, "a\nb\nc\n", True), ("a\n...\nc\n", None, "a\nc\n", True),
                ("a\n...\nc\n", None, "a\nb\n", False), ("a\n...\nc\n", None, "a\nc\nd\n", False),
                ("a\n...\n", None, "a\nb\n", True), ("...\nc\n", None, "a\nc\n", True),
                ("a\n...\nc\n", None, "a\nc\nb\nc\n", True), ("...\nb\n", None, "ab\n", False),
                ("a\n...\nb\n...\nc\n", None, "a\nc\nb\n", False), ("a\n", None, "", False)):
            self.assertEqual(difference(expected, varies, found) is None, same, (expected, found))

    def test_page_has_what_it_must(self):
        with open(PAGE, encoding="utf-8") as text:
            steps = parse(text.read())
        text = "".join(step.text for step in steps if step.kind == "sh")
        for what in "snmpbulkwalk", "snmpset", "trap2sink", "createUser", "virtadm-agent_", "virtadmd_":
            self.assertIn(what, text)
        self.assertGreater(sum(step.expected is not None for step in steps), 10)


@needs_root
class Start(unittest.TestCase):
    """The page on a system that has just been installed."""

    def setUp(self):
        place = self.enterContext(harness.Place())
        debs = packages.debs(packages.build(place))
        # the same as the tests of packages have, which is kept
        self.place, self.system = place, chroot.Chroot(place, more=("glib-networking",))
        # no network is there for what is only recommended, and nobody to say yes
        self.system.write("/etc/apt/apt.conf.d/90test", 'APT::Install-Recommends "false";\n'
                          'APT::Get::Assume-Yes "true";\nDpkg::Use-Pty "false";\n')
        self.system.boot()
        for file in debs:
            self.system.copy(file)
        self.windows = []

    def test_page(self):
        with open(PAGE, encoding="utf-8") as text:
            steps = parse(text.read())
        shell = Shell(self.system)
        self.addCleanup(shell.close)
        for step in steps:
            self.do(shell, step)

    def do(self, shell, step):
        where = f"docs/start.md:{step.line}: {step.text}"
        if step.in_window:
            window = self.windows[0 if step.in_window == "of step 6" else -1]
            wait_for(lambda: difference(step.text, step.varies, window.output(), True) is None,
                     lambda: f"{where}in its window:\n{window.output()}", 60)
        elif step.window:
            self.windows.append(self.place.spawn(
                f"window{len(self.windows)}", self.system.command("/bin/bash", "-c", step.text)))
        else:
            result = []

            def done():
                status, printed = shell.run(step.text)
                result[:] = [status, printed, difference(step.expected, step.varies, printed)
                             if step.expected is not None else None]
                return (status != 0) == step.fails and result[2] is None

            if not done() and not (step.wait and retried(done)):
                self.fail(f"{where}status {result[0]}, printed:\n{result[1]}\n{result[2]}")


def retried(done):
    try:
        return wait_for(done, "", 60)
    except AssertionError:
        return False
