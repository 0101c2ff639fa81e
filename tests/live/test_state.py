# SPDX-License-Identifier: LGPL-2.1-or-later
"""The state file: saves that are killed or refused at every system call, and what virtadmd makes
of a file at its start."""

import hashlib
import os
import re
import signal
import subprocess
import unittest

import harness
from harness import oid

TOOL = os.path.join(harness.BUILD, "tests", "live", "tools", "state-save")
# LeakSanitizer cannot work beside strace.
ENV = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0", "VIRTADM_DEBUG": ""}
KILLED = -9
DONE, REFUSED, UNDO_REFUSED = 0, 1, 3
# Those that deal with files; the others only get memory, and GLib aborts when it is refused.
FILE_CALLS = {"openat", "open", "newfstatat", "fstat", "unlinkat", "write", "fsync", "close",
              "linkat", "renameat", "renameat2", "rename", "mkdir", "mkdirat", "read"}
# They alter no file, so being killed there is being killed at the next of the others; and with
# AddressSanitizer there are not always as many.
MEMORY_CALLS = {"brk", "madvise", "mmap", "mprotect", "munmap"}


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
    dead process can leave the files. (Calls for memory are left out. A call that is half done is a
    write to PATH.new, which nobody reads.) Calls before the first one that names the directory
    cannot touch what is in it, and are left alone."""

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
                if touched and name[1] not in MEMORY_CALLS:
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


class Restart(unittest.TestCase):
    """What virtadmd makes of a state file."""

    def setUp(self):
        self.place = harness.Place(harness.MEMORY)
        self.addCleanup(self.place.close)
        self.dir = self.place.path("state")
        os.mkdir(self.dir, 0o700)
        self.path = os.path.join(self.dir, "virtadmd.state")

    def write_state(self, text=""):
        body = "[state]\nversion=1\nstorage=nonVolatile\n" + text
        self.write_raw(f"# sha256 {hashlib.sha256(body.encode()).hexdigest()}\n{body}")

    def write_raw(self, text):
        with open(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w",
                  encoding="utf-8") as file:
            file.write(text)

    def restart(self, daemon, text=None):
        """Without a chance to save anything at the end."""
        daemon.process.kill(signal.SIGKILL)
        daemon.process.wait()
        if text is not None:
            self.place.write("virtadmd.conf", text)
        daemon.start()

    def workers_max(self, daemon):
        out = daemon.virt_admin("server-threadpool-info", "libvirtd")[1]
        return int(re.search(r"maxWorkers\s*:\s*(\d+)", out)[1])

    def filters(self, daemon):
        return daemon.virt_admin("daemon-log-filters")[1].partition(":")[2].strip()

    def query(self, daemon, option, *more, env=None):
        """virtadmd --print-config or --check-config beside it: (values with the comment above
        them by group and key, the comment on top, stderr)."""
        status, out, err = harness.run(os.path.join(harness.BUILD, "virtadmd"), "--config",
                                       daemon.conf, option, *more, env={**os.environ, **(env or {})})
        self.assertEqual(status, 0, err)
        group, comment, values, head = None, "", {}, []
        for line in out.splitlines():
            if line.startswith("["):
                group = line[1:-1]
            elif line.startswith("#") and group:
                self.assertEqual(comment, "", "two comments")
                comment = line[2:]
            elif line.startswith("#"):
                head.append(line)
            elif line:
                key, _, value = line.partition("=")
                self.assertNotEqual(comment, "", line)
                values[group, key] = (value, comment)
                comment = ""
        return values, "\n".join(head), err

    def test_changes_survive_and_the_edited_file_wins(self):
        self.write_state()
        daemon = harness.Virtadmd(self.place, server="min_workers = 4")
        for command in (("server-threadpool-set", "libvirtd", "--max-workers", "31"),
                        ("server-clients-set", "libvirtd", "--max-clients", "77"),
                        ("daemon-log-filters", "4:rpc")):
            self.assertEqual(daemon.virt_admin(*command)[0], 0)
        self.restart(daemon)
        self.assertEqual(self.workers_max(daemon), 31)
        self.assertEqual(self.filters(daemon), "4:*rpc*")
        values, head, err = self.query(daemon, "--print-config")
        self.assertEqual(err, "")
        self.assertIn("nonVolatile", head)
        self.assertIn(self.path, head)
        self.assertEqual(values["server libvirtd", "max_workers"],
                         ("31", "state file, instead of 20"))
        self.assertEqual(values["server libvirtd", "max_clients"],
                         ("77", "state file, instead of 5000"))
        self.assertEqual(values["server libvirtd", "min_workers"], ("4", "file"))
        self.assertEqual(values["server libvirtd", "prio_workers"], ("5", "default"))
        edited = daemon.text.replace("min_workers = 4", "min_workers = 4\nmax_workers = 25")
        self.restart(daemon, edited)
        self.assertEqual(self.workers_max(daemon), 25)
        self.assertEqual(self.filters(daemon), "4:*rpc*")
        harness.wait_for(lambda: re.search(
            r"max_workers: the stored value '31' is not used.*'20'.*'25'", daemon.log_text()),
            "the warning")
        # it is not stored any more: the old value does not come back with the old file
        self.restart(daemon, daemon.text)
        self.assertEqual(self.workers_max(daemon), 20)
        self.assertEqual(self.filters(daemon), "4:*rpc*")

    def test_damaged_file(self):
        self.write_state("[server libvirtd]\nmax_workers=31\nmax_workers.file=20\n")
        with open(self.path, "r+b") as file:
            file.seek(-5, os.SEEK_END)
            file.write(b"\0")
        damaged = contents(self.path)
        daemon = harness.Virtadmd(self.place)
        self.assertEqual(self.workers_max(daemon), 20)
        harness.wait_for(lambda: re.search(
            r"virtadmd\.state: is damaged.*(\n.*)*virtadmd\.state\.damaged", daemon.log_text()),
            "the warnings")
        self.assertEqual(os.listdir(self.dir), ["virtadmd.state.damaged"])
        self.assertEqual(contents(self.path + ".damaged"), damaged)
        # looking changes nothing
        self.write_raw("garbage")
        for option in "--print-config", "--check-config":
            _, head, err = self.query(daemon, option)
            self.assertRegex(err, r"virtadmd\.state: is damaged")
            if option == "--print-config":
                self.assertRegex(head, r"volatile(.|\n)*damaged")
        self.assertEqual(contents(self.path), b"garbage")

    def test_file_of_others(self):
        self.write_state("[server libvirtd]\nmax_workers=31\nmax_workers.file=20\n")
        os.chmod(self.path, 0o666)
        daemon = harness.Virtadmd(self.place)
        self.assertEqual(self.workers_max(daemon), 20)
        harness.wait_for(lambda: "virtadmd.state is not used" in daemon.log_text(), "the warning")
        self.assertEqual(os.listdir(self.dir), ["virtadmd.state"])

    def test_environment_and_options_win(self):
        self.write_state("[log]\nlevel=1\nlevel.file=3\nfilters=4:a\nfilters.file=\n")
        daemon = harness.Virtadmd(self.place)
        self.assertEqual(self.query(daemon, "--print-config")[0]["log", "level"],
                         ("1", "state file, instead of 3"))
        env = {"VIRTADM_DEBUG": "2", "VIRTADM_LOG_FILTERS": "3:b"}
        values = self.query(daemon, "--print-config", env=env)[0]
        self.assertEqual(values["log", "level"], ("2", "environment VIRTADM_DEBUG"))
        self.assertEqual(values["log", "filters"], ("3:b", "environment VIRTADM_LOG_FILTERS"))
        values = self.query(daemon, "--print-config", "--log-level", "4", env=env)[0]
        self.assertEqual(values["log", "level"], ("4", "option --log-level"))

    def stored_outputs(self, outputs, mark="outputs.guarded=true\n"):
        logs = self.place.path("log")
        self.write_state(f"[log]\noutputs={outputs}\n"
                         f"outputs.file=1:file:{logs}/virtadmd.log\n{mark}")

    def test_stored_outputs(self):
        stored, victim = self.place.path("log", "stored.log"), self.place.path("victim")
        self.stored_outputs(f"1:file:{stored}")
        daemon = harness.Virtadmd(self.place, log="level = 1")
        harness.wait_for(lambda: "is ready" in (contents(stored) or b"").decode(), "the output")
        # Whoever may write the folder puts a link there: it leads nowhere
        daemon.stop()
        os.unlink(stored)
        with open(victim, "w", encoding="ascii") as file:
            file.write("precious")
        os.symlink(victim, stored)
        daemon.start()
        harness.wait_for(lambda: re.search(
            "stored outputs are not used.*stored.log.*symbolic link", daemon.log_text()),
            "the warning")
        self.assertEqual(contents(victim), b"precious")
        _, _, err = self.query(daemon, "--check-config")
        self.assertRegex(err, "stored outputs are not used.*symbolic link")
        self.assertEqual(contents(victim), b"precious")

    def test_stored_outputs_that_cannot_be_opened(self):
        for outputs, mark in ((f"1:file:{self.place.path('gone', 'x.log')}", ""),
                              (f"1:file:{self.place.path('x.log')}", "outputs.guarded=true\n")):
            with self.subTest(mark=mark):
                self.stored_outputs(outputs, mark)
                daemon = harness.Virtadmd(self.place)
                harness.wait_for(lambda: re.search("stored outputs are not used.*x.log",
                                                   daemon.log_text()), "the warning")
                self.assertFalse(os.path.exists(self.place.path("x.log")))
                daemon.stop()
                os.unlink(os.path.join(daemon.logdir, "virtadmd.log"))

    def test_configured_outputs_that_cannot_be_opened(self):
        """Those are not covered up by a state file."""
        self.stored_outputs(f"1:file:{self.place.path('gone', 'x.log')}", "")
        daemon = harness.Virtadmd(self.place)
        daemon.stop()
        bad = self.place.write("bad.conf", daemon.text.replace(
            f"1:file:{daemon.logdir}/", "1:file:/nonexistent/"))
        status, _, err = harness.run(os.path.join(harness.BUILD, "virtadmd"), "--config", bad)
        self.assertEqual(status, 2)
        self.assertIn("/nonexistent/", err)

    def test_storage_over_snmp(self):
        snmpd = harness.Snmpd(self.place)
        daemon = harness.Virtadmd(self.place, snmpd=snmpd)
        self.assertEqual(snmpd.get1("lvaConfigStorage"), 2)
        status, err = snmpd.set((oid("lvaConfigStorage"), "i", 3),
                                (oid("lvaServerWorkersMax", 2), "u", 31),
                                (oid("lvaNotifyEnable"), "x", "8000"))
        self.assertEqual(status, 0, err)
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)
        self.restart(daemon)
        self.assertEqual(snmpd.get(*(oid(*name) for name in (
            ("lvaConfigStorage",), ("lvaServerWorkersMax", 2)))), [3, 31])
        stored = contents(self.path)
        self.assertIn(b"enable=clientLimit;\n", stored)
        # a later change by somebody else is stored, too
        self.assertEqual(daemon.virt_admin("server-threadpool-set", "libvirtd", "--max-workers",
                                           "32")[0], 0)
        self.assertIn(b"max_workers=32\nmax_workers.file=20\n", contents(self.path))
        status, err = snmpd.set((oid("lvaConfigStorage"), "i", 2))
        self.assertEqual(status, 0, err)
        # what was kept for an undo goes after the answer
        harness.wait_for(lambda: os.listdir(self.dir) == [], "an empty folder")
        self.assertEqual(self.workers_max(daemon), 32)
        self.restart(daemon)
        self.assertEqual(self.workers_max(daemon), 20)
        self.assertEqual(snmpd.get1("lvaConfigStorage"), 2)
