# SPDX-License-Identifier: LGPL-2.1-or-later
"""The state file: saves that are killed or refused at every system call, and what virtadmd makes
of a file at its start."""

import os
import re
import subprocess
import unittest

import harness

TOOL = os.path.join(harness.BUILD, "tests", "live", "tools", "state-save")
# LeakSanitizer cannot work beside strace.
ENV = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0", "VIRTADM_DEBUG": ""}
KILLED = -9
DONE, REFUSED, UNDO_REFUSED = 0, 1, 3
# Those that deal with files; the others only get memory, and GLib aborts when it is refused.
FILE_CALLS = {"openat", "open", "newfstatat", "fstat", "unlinkat", "write", "fsync", "close",
              "linkat", "renameat", "renameat2", "rename", "mkdir", "mkdirat", "read"}


def save(*args, inject=(), trace=None):
    """Runs the tool, under strace with some calls tampered with, or writing down all of them."""
    argv = [TOOL, *args]
    if inject or trace:
        argv = [harness.tool("strace"), "-qq", "-o", trace or "/dev/null",
                *(word for spec in inject for word in ("-e", "inject=" + spec)), *argv]
    done = subprocess.run(argv, capture_output=True, text=True, env=ENV, timeout=60, check=False,
                          stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


def contents(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


class Crash(unittest.TestCase):
    """Each variant is run once to write down its system calls, and then once more for each of
    them. Nothing but system calls alters a file, and a process that is killed as it enters the
    n-th has made the effects of exactly the n-1 before: with all n that is every state in which a
    dead process can leave the files. (A call that is half done is a write to PATH.new, which
    nobody reads.) Calls before the first one that names the directory cannot touch what is in it,
    and are left alone."""

    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        self.dir = self.place.path("state")
        os.mkdir(self.dir, 0o700)
        self.path = os.path.join(self.dir, "virtadmd.state")
        self.old = save("text", "21")[1].encode()
        self.new = save("text", "22")[1].encode()
        self.assertIn(b"max_workers=22", self.new)

    def begin(self, text):
        """The directory with nothing but the state file in it."""
        for name in os.listdir(self.dir):
            os.unlink(os.path.join(self.dir, name))
        if text is not None:
            with open(self.path, "wb") as file:
                file.write(text)
            os.chmod(self.path, 0o600)

    def calls(self, args, inject=()):
        """(name, which one of that name) of each system call from the first that touches the
        directory on."""
        trace = self.place.path("trace")
        self.assertIn(save(*args, inject=inject, trace=trace)[0], (DONE, REFUSED, UNDO_REFUSED))
        seen, found, touched = {}, [], False
        with open(trace, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                name = re.match(r"(\w+)\(", line)
                if not name or name[1] == "execve":
                    continue
                seen[name[1]] = seen.get(name[1], 0) + 1
                touched = touched or self.dir in line
                if touched:
                    found.append((name[1], seen[name[1]]))
        return found

    def check_next(self, now):
        """The next start finds what is there, and the next save works and cleans up."""
        status, loaded, err = save("load", self.path)
        self.assertEqual(status, DONE, err)
        self.assertEqual(loaded.strip(), {None: "none", self.old: "21", self.new: "22"}[now])
        self.assertEqual(save("save", self.path, "23")[0], DONE)
        self.assertEqual(save("load", self.path)[1].strip(), "23")
        self.assertEqual(os.listdir(self.dir), [os.path.basename(self.path)])

    def kill_everywhere(self, args, before, after, legal, inject=()):
        self.begin(before)
        calls = self.calls(args, inject)
        self.assertEqual(contents(self.path), after)
        self.assertGreater(len(calls), 5)
        seen = set()
        for name, number in calls:
            with self.subTest(call=f"{name} {number}"):
                self.begin(before)
                status, _, err = save(*args, inject=(
                    *inject, f"{name}:signal=KILL:when={number}"))
                self.assertEqual(status, KILLED, err)
                now = contents(self.path)
                self.assertIn(now, legal)
                seen.add(now)
                self.check_next(now)
        # the next one of each name: it survives, so none was left out
        for name in {name for name, _ in calls}:
            number = max(n for other, n in calls if other == name) + 1
            self.begin(before)
            self.assertEqual(save(*args, inject=(
                *inject, f"{name}:signal=KILL:when={number}"))[0], DONE)
        # else nothing was killed in time, or nothing was saved
        self.assertEqual(seen, set(legal))

    def test_save(self):
        self.kill_everywhere(("save", self.path, "22"), self.old, self.new, (self.old, self.new))

    def test_first_save(self):
        self.kill_everywhere(("save", self.path, "22"), None, self.new, (None, self.new))

    def test_removal(self):
        self.kill_everywhere(("remove", self.path), self.old, None, (self.old, None))

    def test_undo(self):
        self.kill_everywhere(("undo", self.path, "22"), self.old, self.old, (self.old, self.new))

    def test_undo_of_the_first(self):
        self.kill_everywhere(("undo", self.path, "22"), None, None, (None, self.new))

    def test_undo_of_a_removal(self):
        self.kill_everywhere(("revive", self.path), self.old, self.old, (self.old, None))

    def test_without_hard_links(self):
        for verb, after in ("save", self.new), ("undo", self.old):
            self.kill_everywhere((verb, self.path, "22"), self.old, after, (self.old, self.new),
                                 inject=("linkat:error=EPERM",))

    def test_first_directory(self):
        """The directory is not there either."""
        args = ("save", self.path, "22")
        os.rmdir(self.dir)
        calls = self.calls(args)
        self.assertEqual(contents(self.path), self.new)
        for name, number in calls:
            with self.subTest(call=f"{name} {number}"):
                self.begin(None)
                os.rmdir(self.dir)
                self.assertEqual(save(*args, inject=(
                    f"{name}:signal=KILL:when={number}",))[0], KILLED)
                now = contents(self.path)
                self.assertIn(now, (None, self.new))
                self.check_next(now)

    def refuse_everywhere(self, args, before, after):
        """Whatever is refused: the file is the one that the process says it is."""
        for error in "EIO", "ENOSPC", "EPERM":
            self.begin(before)
            calls = [call for call in self.calls(args) if call[0] in FILE_CALLS]
            for name, number in calls:
                with self.subTest(call=f"{name} {number}", error=error):
                    self.begin(before)
                    status, _, err = save(*args, inject=(f"{name}:error={error}:when={number}",))
                    wanted = {DONE: after, REFUSED: before, UNDO_REFUSED: self.new}
                    self.assertIn(status, wanted, err)
                    now = contents(self.path)
                    self.assertEqual(now, wanted[status], err)
                    if status != DONE:
                        self.assertIn(self.dir, err)
                        self.assertRegex(err, os.strerror(
                            {"EIO": 5, "ENOSPC": 28, "EPERM": 1}[error]))
                    self.check_next(now)

    def test_refused_save(self):
        self.refuse_everywhere(("save", self.path, "22"), self.old, self.new)
        self.refuse_everywhere(("save", self.path, "22"), None, self.new)

    def test_refused_removal(self):
        self.refuse_everywhere(("remove", self.path), self.old, None)

    def test_refused_undo(self):
        self.refuse_everywhere(("undo", self.path, "22"), self.old, self.old)

    def test_which_calls_count(self):
        """Each of these, refused, is an error that names it; the old file stays."""
        for error, status in ("write:error=ENOSPC:when=1", REFUSED), ("fsync:error=EIO", REFUSED), \
                ("fsync:error=EIO:when=2", REFUSED), ("renameat:error=EIO", REFUSED), \
                ("linkat:error=EIO", REFUSED), ("fsync:error=EINTR:when=1", DONE), \
                ("fsync:error=EINTR:when=2", DONE), ("write:error=EINTR:when=1", DONE), \
                ("fsync:error=EINVAL:when=2", DONE), ("linkat:error=EOPNOTSUPP", DONE):
            with self.subTest(error=error):
                self.begin(self.old)
                got, _, err = save("save", self.path, "22", inject=(error,))
                self.assertEqual(got, status, err)
                self.assertEqual(contents(self.path), self.new if status == DONE else self.old)
                self.assertEqual(os.listdir(self.dir), ["virtadmd.state"])
                if status != DONE:
                    self.assertRegex(err, f"state file: cannot .*{re.escape(self.dir)}.*: ")
