#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs every command of the stock virt-admin against two admin sockets, ours and a real
libvirtd's, and compares what the user sees: exit status, standard output, standard error.

    virt_admin_compare.py OUR_ADMIN_SOCKET THEIR_ADMIN_SOCKET

Both daemons have the servers "libvirtd" and "admin". The settings that are changed are put back at
the end. What may differ from run to run (ids, times, pids, widths) is normalised; what differs
on purpose stands in ALLOWED, with the reason and with what our side must show instead."""

import collections
import contextlib
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

TIMEOUT = 60
SETTLE = 3
ADMIN_PROGRAM = 0x06900690

# One command for both sides. args: of virt-admin, {...} filled in by Side.words(). before, after:
# names of methods of Side to call around it. allowed: key of ALLOWED, if it is not the command.
Step = collections.namedtuple("Step", "args before after allowed", defaults=(None, None, None))

# What our side shows where it differs on purpose: exit status, and regular expressions that match
# the whole normalised stdout and stderr. theirs: FALSE when the stock daemon must be spared.
Allowed = collections.namedtuple("Allowed", "reason status out err theirs", defaults=(True,))


def steps(*lines):
    return [Step(tuple(line) if isinstance(line, (list, tuple)) else tuple(line.split()))
            for line in lines]


# Both sides start from the same settings, whatever their configuration files say.
LEVEL_GROUND = steps(
    "server-threadpool-set libvirtd --min-workers 5 --max-workers 20 --priority-workers 5",
    "server-threadpool-set admin --min-workers 1 --max-workers 5 --priority-workers 0",
    "server-clients-set libvirtd --max-clients 5000 --max-unauth-clients 20",
    "server-clients-set admin --max-clients 50 --max-unauth-clients 0",
    ["daemon-log-filters", ""],
    ["daemon-log-outputs", "4:file:{dir}/base.log"])

READING = steps(
    "server-list", "srv-list", "-q server-list",
    "server-threadpool-info libvirtd", "server-threadpool-info admin",
    "server-threadpool-info --server libvirtd", "srv-threadpool-info --server admin",
    "-q server-threadpool-info libvirtd", "server-threadpool-info",
    "server-threadpool-info nosuch", "server-threadpool-info --server nosuch",
    ["server-threadpool-info", ""], ["server-threadpool-info", "libvirtd", "extra"],
    "client-list libvirtd", "client-list admin", "client-list --server admin",
    "srv-clients-list --server libvirtd", "srv-clients-list admin", "-q client-list admin",
    "client-list", "client-list nosuch", "srv-clients-list --server nosuch",
    "server-clients-info libvirtd", "server-clients-info admin",
    "server-clients-info --server admin", "srv-clients-info --server libvirtd",
    "-q server-clients-info admin", "server-clients-info", "server-clients-info nosuch",
    "client-info admin {held}", "client-info --server admin --client {held}",
    "-q client-info admin {held}", "client-info admin {silent}", "client-info libvirtd 4242424242",
    "client-info admin 0", "client-info admin 18446744073709551615",
    "client-info admin 18446744073709551616", "client-info admin abc", "client-info admin -1",
    "client-info admin", "client-info", "client-info nosuch 1",
    "client-info --server nosuch --client 1",
    "daemon-log-filters", "-q daemon-log-filters", "daemon-log-outputs", "-q daemon-log-outputs",
    "version", "uri", "-q uri", "connect", ["server-list extra"], "server-list extra")

THREADPOOL = steps(
    "server-threadpool-set libvirtd --min-workers 7", "server-threadpool-info libvirtd",
    "server-threadpool-set libvirtd --max-workers 30 --priority-workers 8",
    "server-threadpool-info libvirtd",
    "server-threadpool-set --server libvirtd --min-workers 2 --max-workers 3 --priority-workers 1",
    "server-threadpool-info libvirtd",
    "srv-threadpool-set libvirtd --min-workers 30 --max-workers 40",
    "server-threadpool-info libvirtd",
    "server-threadpool-set libvirtd --min-workers 50",
    "server-threadpool-set libvirtd --min-workers 50 --max-workers 40",
    "server-threadpool-set libvirtd --max-workers 1",
    "server-threadpool-set libvirtd --max-workers 0",
    "server-threadpool-set libvirtd --max-workers 0 --min-workers 0",
    "server-threadpool-set libvirtd --max-workers -1",
    "server-threadpool-set libvirtd --max-workers abc",
    "server-threadpool-set libvirtd --max-workers 4294967296",
    "server-threadpool-set libvirtd --max-workers 4294967295",
    "server-threadpool-set libvirtd --priority-workers -5",
    "server-threadpool-set libvirtd --min-workers 2 --max-workers 20",
    "server-threadpool-set libvirtd --priority-workers 0", "server-threadpool-info libvirtd",
    "server-threadpool-set libvirtd --min-workers 0", "server-threadpool-info libvirtd",
    "server-threadpool-set libvirtd --min-workers 3 --max-workers 3 --priority-workers 3",
    "server-threadpool-info libvirtd",
    "server-threadpool-set libvirtd", "server-threadpool-set",
    "server-threadpool-set libvirtd --workers 3",
    "server-threadpool-set nosuch --max-workers 30",
    "server-threadpool-set --server nosuch --min-workers 1",
    "server-threadpool-set admin --min-workers 2 --max-workers 6 --priority-workers 1",
    "server-threadpool-info admin",
    "server-threadpool-set admin --min-workers 9", "server-threadpool-info admin")

LIMITS = steps(
    "server-clients-set libvirtd --max-clients 100", "server-clients-info libvirtd",
    "server-clients-set libvirtd --max-unauth-clients 50", "server-clients-info libvirtd",
    "server-clients-set libvirtd --max-clients 30",
    "server-clients-set libvirtd --max-unauth-clients 101",
    "server-clients-set libvirtd --max-clients 30 --max-unauth-clients 40",
    "server-clients-set --server libvirtd --max-clients 30 --max-unauth-clients 20",
    "srv-clients-set libvirtd --max-clients 20 --max-unauth-clients 20",
    "server-clients-info libvirtd",
    "server-clients-set libvirtd --max-clients 0 --max-unauth-clients 0",
    "server-clients-info libvirtd",
    "server-clients-set libvirtd --max-clients -1", "server-clients-set libvirtd --max-clients x",
    "server-clients-set libvirtd --max-clients 4294967296",
    "server-clients-set libvirtd --max-clients 4294967295",
    "server-clients-set libvirtd", "server-clients-set",
    "server-clients-set nosuch --max-clients 10",
    "server-clients-set --server nosuch --max-unauth-clients 10",
    "server-clients-set admin --max-clients 60 --max-unauth-clients 3",
    "server-clients-info admin")

CLIENTS = [
    Step(("client-disconnect", "admin", "{held}"), after="held_is_gone"),
    Step(("client-info", "admin", "{held}")),
    Step(("client-disconnect", "admin", "{held}")),
    Step(("client-disconnect", "--server", "admin", "--client", "{silent}"),
         after="silent_is_gone"),
    Step(("-q", "client-disconnect", "admin", "{held}"), before="hold", after="held_is_gone"),
    *steps("client-disconnect libvirtd 99999999", "client-disconnect nosuch 1",
           "client-disconnect libvirtd", "client-disconnect", "client-disconnect libvirtd abc",
           "client-disconnect libvirtd -1", "client-disconnect libvirtd 99999999999999999999",
           "-q client-disconnect libvirtd 99999999", "client-list admin")]


def log_steps(command, *values):
    """Each value set, positionally or by option, and what a read gives afterwards."""
    option = "--filters" if command == "daemon-log-filters" else "--outputs"
    found = []
    for number, value in enumerate(values):
        words = (command, value) if number % 2 == 0 else (command, option, value)
        found += [Step(words), Step((command,))]
    return found


FILTERS = log_steps(
    "daemon-log-filters", "1:util 4:object", "1:util.file 2:foo 2:foo", "1:nonexistentmodule",
    "5:util", "0:util", "x:util", "util", ":util", "1:", "1:+", "1:+util", "1:++util", "1:a:b",
    "3:ok 9:bad", "9:bad 3:ok", "-1:util", "1.5:util", "99999999999999999999:util", "1util:2", "",
    "3:a", "   ", " 01:util  +2:b ", "1:*x* 2:?y", "4:qemu.qemu_monitor 3:rpc", "1:ä",
    "4:" + "m" * 5000) + [
        Step(("daemon-log-filters", "1:\udcff"), allowed="not UTF-8"),
        Step(("daemon-log-filters", "")), Step(("daemon-log-filters",))] + steps("daemon-log-filters --filters", "daemon-log-filters a b",
                               "daemon-log-filters --nosuch x")

OUTPUTS = log_steps(
    "daemon-log-outputs", "1:file:{dir}/out2.log 3:stderr", "2:syslog:mytag 4:journald",
    "3:file:{dir}/a.log 1:file:{dir}/a.log", "3:syslog:a 4:syslog:b", "3:file:{relative}/b.log",
    "7:stderr", "0:stderr", "x:stderr", "stderr", "1:foo", "1:file",
    "1:file:/nonexistent/dir/x.log", "1:file:{dir}", "1:stderr:x", "1:journald:x", "1:syslog",
    "1:syslog:a:b", "1:file:{dir}/a:b", "4:stderr 1:bad", "4:file:{dir}/new.log 1:bad", "4",
    "4:", ":", "4:stderr 4:stderr", "  4:stderr   3:journald  ",
    "4:file:{dir}/base.log"
) + [Step(("daemon-log-outputs", "")), Step(("daemon-log-outputs",), allowed="default outputs"),
     Step(("daemon-log-outputs", "4:file:{dir}/base.log")), Step(("daemon-log-outputs", "   ")),
     Step(("daemon-log-outputs",), allowed="outputs after blanks"),
     Step(("daemon-log-outputs", "1:file:"), allowed="empty path"),
     Step(("daemon-log-outputs", "4:file:{fifo}"), allowed="FIFO"),
     Step(("daemon-log-outputs", "4:file:{dir}/base.log"))] + steps(
         "daemon-log-outputs", "daemon-log-outputs --outputs", "daemon-log-outputs a b")

DAEMON = steps(
    "daemon-timeout", "daemon-timeout 0", "daemon-timeout --timeout 3600",
    "daemon-timeout --timeout 0", "daemon-timeout --timeout abc", "daemon-timeout --timeout -1",
    "daemon-timeout --timeout 4294967296",
    "server-update-tls libvirtd", "server-update-tls admin", "server-update-tls --server admin",
    "srv-update-tls libvirtd", "server-update-tls nosuch", "server-update-tls",
    "daemon-shutdown")

CLIENT_SIDE = steps(
    "--help", "help", "help server-list", "help server-threadpool-info",
    "help server-threadpool-set", "help client-list", "help client-info",
    "help client-disconnect", "help server-clients-info", "help server-clients-set",
    "help server-update-tls", "help daemon-log-filters", "help daemon-log-outputs",
    "help daemon-timeout", "help connect", "help uri", "help version", "help monitor",
    "help management", "help nosuch", "--version", "-V", "-v", "--version=long", "pwd",
    "echo hi", "cd /", "self-test", "exit", "quit", ["server-list; uri"],
    ["server-list ; bad ; uri"], ["server-list; server-threadpool-info nosuch; uri"],
    "nosuchcmd", "--badopt", "-d 9 uri", "-d x uri", "-c",
    "-c foo:///system server-list", "-c libvirtd:///foo server-list",
    "-c libvirtd:///system?foo=bar server-list",
    "-c libvirtd:///system?socket=/nonexistent server-list", "-c /some/path server-list",
    ["-c", "", "server-list"], "-c libvirtd+ssh://host/system server-list",
    "-c libvirtd://otherhost/system?socket={socket} uri",
    "-c x-test:///?socket={socket} server-list", "-c qemu:///system server-list",
    "connect libvirtd:///system?socket={socket}", "connect foo",
    "connect --name libvirtd:///system?socket=/nonexistent")

STEPS = (LEVEL_GROUND + READING + THREADPOOL + LIMITS + FILTERS + OUTPUTS + DAEMON + CLIENTS +
         CLIENT_SIDE)

DENIED_SETTING = r"error: Unable to change daemon logging settings\n"
POOL_REFUSED = r"error: Unable to change server workerpool parameters\n"
LIMIT_REFUSED = r"error: Unable to change server's client-related configuration limits\n"

ALLOWED = {
    "version": Allowed(
        "the libvirt release whose admin protocol is served", 0,
        r"(.*\n){2}Running against daemon: 11\.2\.0\n\n", ""),
    "client-info admin {silent}": Allowed(
        "improvement: a silent client has an identity", 0,
        r"id\s*: ID\nconnection_time: TIME\ntransport\s*: unix\nreadonly\s*: no\n"
        r"unix_user_id\s*: \d+\n(unix_user_name\s*: .*\n)?unix_group_id\s*: \d+\n"
        r"(unix_group_name\s*: .*\n)?unix_process_id\s*: PID\n(selinux_context\s*: .*\n)?\n",
        ""),
    "server-threadpool-set libvirtd --max-workers 4294967295": Allowed(
        "bound of the contract: a value that starts threads is bounded", 1, r"\n",
        POOL_REFUSED + r"error: invalid argument: .*4294967295.*1000.*\n"),
    "server-clients-set libvirtd --max-clients 4294967295": Allowed(
        "bound of the contract", 1, r"\n",
        LIMIT_REFUSED + r"error: invalid argument: .*4294967295.*1000000.*\n"),
    "not UTF-8": Allowed(
        "SNMP serves the same text and needs UTF-8", 1, r"\n",
        DENIED_SETTING + r"error: invalid argument: .* not valid UTF-8\n"),
    "default outputs": Allowed(
        "computed at start from what there is: a journal, a terminal, the level", 0,
        r" Logging outputs: \d:(stderr|journald|syslog:\S+|file:\S+)\n\n", ""),
    "outputs after blanks": Allowed(
        "improvement: blanks mean the default outputs; a stock daemon cannot read its own any more",
        0, r" Logging outputs: \d:\S+\n\n", ""),
    "empty path": Allowed(
        "an empty path is refused before it is opened", 1, r"\n",
        DENIED_SETTING + r"error: invalid argument: Log output '1:file:' does not meet the format "
        r"requirements for destination type 'file'\n"),
    "FIFO": Allowed(
        "improvement: a FIFO cannot block a worker; the stock daemon would lose one for good", 1,
        r"\n", DENIED_SETTING + r"error: .*DIR/fifo.*\n", False),
}


class Normaliser:
    """Makes outputs of two daemons comparable."""

    RULES = [(re.compile(pattern, re.M), text) for pattern, text in [
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d{4}", "TIME"),
        (r"^(id\s*: )\d+$", r"\1ID"),
        (r"^(unix_process_id\s*: )\d+$", r"\1PID"),
        # They follow the load, and stock pools never shrink by themselves.
        (r"^(nWorkers|freeWorkers)(\s*): \d+$", r"\1\2: N"),
        # Other clients of either daemon come and go.
        (r"^(nclients|nclients_unauth)(\s*): \d+$", r"\1\2: N"),
        # The sentence of 9.0, which is ours, says the opposite of the rule; later ones do not.
        (r"(?<=The overall maximum number of clients )must not be less than the number of "
         r"clients waiting for authentication$",
         "waiting for authentication must not be less than the overall maximum number of clients"),
        (r"-{4,}", "----"),
        (r"[ \t]+$", ""),
    ]]

    def __init__(self, side):
        self.side = side

    def text(self, text, args):
        text = text.replace(f"failed to open {self.side.cwd}: Is a", "failed to open CWD: Is a")
        for value, name in self.side.secrets():
            text = text.replace(value, name)
        for pattern, replacement in self.RULES:
            text = pattern.sub(replacement, text)
        if any("-list" in word for word in args) and "help" not in args:
            text = self.table(text)
        return text

    @staticmethod
    def table(text):
        """Columns by one blank, ids as ID, rows in one order: that of servers is random."""
        lines = [re.sub(r"\s{2,}", " ", line) for line in text.split("\n")]
        rows = sorted(re.sub(r"^ \d+", " ID", line) for line in lines if re.match(r" \d+ ", line))
        rest = [line for line in lines if not re.match(r" \d+ ", line)]
        return "\n".join(rest[:2] + rows + rest[2:])


class Side:
    """One of the two daemons, and the connections that are held to it."""

    def __init__(self, name, path, place):
        self.name, self.path = name, path
        self.dir = os.path.join(place, name)
        os.mkdir(self.dir)
        self.fifo = os.path.join(self.dir, "fifo")
        os.mkfifo(self.fifo)
        self.held = self.silent = None
        self.held_id = self.silent_id = 0
        self.cwd = self.find_cwd()
        # in a chroot /proc may show the folder from outside: not to be counted in ".."
        self.relative = "../" * 20 + self.dir.lstrip("/")
        self.normaliser = Normaliser(self)

    def find_cwd(self):
        """Working directory of the daemon: what it makes relative paths absolute against."""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(self.path)
            pid = struct.unpack("3i", probe.getsockopt(
                socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))[0]
        return os.readlink(f"/proc/{pid}/cwd")

    def secrets(self):
        """Texts that only this side has, longest first, and what to call them."""
        return [(os.path.join(self.cwd, self.relative), "DIR"), (self.relative, "RELATIVE"),
                (self.dir, "DIR"), (self.path, "SOCKET"),
                *((f"{word} '{number}'", f"{word} '{name}'") for word in ("id", "ID", "Client")
                  for number, name in ((self.held_id, "HELD"), (self.silent_id, "SILENT")))]

    def words(self, args):
        values = {"dir": self.dir, "fifo": self.fifo, "socket": self.path, "held": self.held_id,
                  "silent": self.silent_id, "relative": self.relative}
        return [re.sub(r"\{(\w+)\}", lambda found: str(values[found[1]]), word) for word in args]

    def run(self, args):
        """(status, normalised stdout, normalised stderr) of one virt-admin."""
        words = self.words(args)
        if "-c" not in words:
            words = ["-c", f"libvirtd:///system?socket={self.path}"] + words
        try:
            done = subprocess.run(["virt-admin"] + words, capture_output=True, text=True,
                                  errors="surrogateescape", stdin=subprocess.DEVNULL, check=False,
                                  timeout=TIMEOUT, env={**os.environ, "LC_ALL": "C"})
        except subprocess.TimeoutExpired:
            return "timeout", "", ""
        return (done.returncode, self.normaliser.text(done.stdout, args),
                self.normaliser.text(done.stderr, args))

    def ids(self):
        done = subprocess.run(["virt-admin", "-q", "-c",
                               f"libvirtd:///system?socket={self.path}", "client-list", "admin"],
                              capture_output=True, text=True, timeout=TIMEOUT, check=True)
        return [int(line.split()[0]) for line in done.stdout.splitlines() if line.strip()]

    def connect(self, speak):
        """A connection that stays, and its id: the one before that of the virt-admin that
        asks."""
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(TIMEOUT)
        sock.connect(self.path)
        if speak:
            sock.sendall(struct.pack(">IIIiIIII", 32, ADMIN_PROGRAM, 1, 1, 0, 0, 0, 0))
            sock.recv(28)
        return sock, self.ids()[-2]

    def hold(self):
        self.close(self.held)
        self.held, self.held_id = self.connect(True)

    def hold_silent(self):
        self.close(self.silent)
        self.silent, self.silent_id = self.connect(False)

    @staticmethod
    def close(sock):
        if sock:
            sock.close()

    def held_is_gone(self):
        return self.ended(self.held)

    def silent_is_gone(self):
        return self.ended(self.silent)

    @staticmethod
    def ended(sock):
        try:
            return "" if sock.recv(1) == b"" else "the disconnected client was sent something"
        except ConnectionResetError:
            return ""
        except socket.timeout:
            return "the disconnected client is still connected"

    def save(self):
        """The commands that put the settings of now back."""
        commands = []
        for server in ("libvirtd", "admin"):
            pool, limits = (dict(re.findall(r"^(\w+)\s*: (\d+)$", self.raw(command, server), re.M))
                            for command in ("server-threadpool-info", "server-clients-info"))
            commands += [
                ("server-threadpool-set", server, "--min-workers", pool["minWorkers"],
                 "--max-workers", pool["maxWorkers"], "--priority-workers", pool["prioWorkers"]),
                ("server-clients-set", server, "--max-clients", limits["nclients_max"],
                 "--max-unauth-clients", limits["nclients_unauth_max"])]
        filters = re.sub(r":\*(\S*)\*", r":\1", self.raw("-q", "daemon-log-filters")).strip()
        outputs = self.raw("-q", "daemon-log-outputs").strip()
        return commands + [("daemon-log-filters", filters), ("daemon-log-outputs", outputs),
                           ("daemon-timeout", "--timeout", "0")]

    def raw(self, *args):
        return subprocess.run(["virt-admin", "-c", f"libvirtd:///system?socket={self.path}",
                               *args], capture_output=True, text=True, timeout=TIMEOUT,
                              check=True).stdout

    def restore(self, commands):
        self.close(self.held)
        self.close(self.silent)
        for command in commands:
            self.raw(*command)


def check_allowed(allowed, got):
    status, out, err = got
    return (status == allowed.status and re.fullmatch(allowed.out, out) is not None and
            re.fullmatch(allowed.err, err) is not None)


def run_step(step, ours, theirs):
    """Returns (passed, note, what each side gave). Workers that retire are still counted for a
    moment, so what differs is read again."""
    deadline = time.monotonic() + SETTLE
    while True:
        passed, note, results = run_once(step, ours, theirs)
        reading = any(word.endswith("-info") for word in step.args) and not step.after
        if passed or not reading or time.monotonic() > deadline:
            return passed, note, results
        time.sleep(0.1)


def run_once(step, ours, theirs):
    allowed = ALLOWED.get(step.allowed or " ".join(step.args))
    results, notes = [], []
    for side in (ours, theirs):
        if side is theirs and allowed and not allowed.theirs:
            results.append(("not run", "", ""))
            continue
        if step.before:
            getattr(side, step.before)()
        results.append(side.run(step.args))
        if step.after:
            notes.append(f"{side.name}: {getattr(side, step.after)()}")
    notes = [note for note in notes if not note.endswith(": ")]
    if allowed:
        return check_allowed(allowed, results[0]) and not notes, allowed.reason, results
    return results[0] == results[1] and not notes, "; ".join(notes), results


def show(result):
    status, out, err = result
    return "".join(f"      {line}\n" for line in
                   [f"exit {status}"] + out.split("\n") + ["-- stderr --"] + err.split("\n"))


def report(step, passed, note, results, out):
    line = " ".join(repr(word) if " " in word or not word else word for word in step.args)
    line = line.encode("ascii", "backslashreplace").decode()
    print(f"{'ok     ' if passed else 'differs'} virt-admin {line[:120]}"
          f"{f'  [{note}]' if note else ''}", file=out, flush=True)
    if not passed:
        text = "   ours:\n" + show(results[0]) + "   theirs:\n" + show(results[1])
        print(text.encode("ascii", "backslashreplace").decode(), file=out, flush=True)


def knows_shutdown():
    """virt-admin 9.0.0 refuses the command; one that knows it would end both daemons."""
    return subprocess.run(["virt-admin", "help", "daemon-shutdown"], capture_output=True,
                          check=False).returncode == 0


def compare(our_socket, their_socket, out=sys.stdout):
    """Runs all; returns (number passed, number failed)."""
    passed = failed = 0
    with contextlib.ExitStack() as stack:
        place = tempfile.mkdtemp(prefix="vadm-compare.")
        stack.callback(shutil.rmtree, place, ignore_errors=True)
        sides = [Side("ours", our_socket, place), Side("theirs", their_socket, place)]
        for side in sides:
            stack.callback(side.restore, side.save())
            side.hold()
            side.hold_silent()
        for step in STEPS:
            if list(step.args) == ["daemon-shutdown"] and knows_shutdown():
                continue
            good, note, results = run_step(step, *sides)
            report(step, good, note, results, out)
            passed, failed = passed + good, failed + (not good)
    print(f"{passed} passed, {failed} failed", file=out, flush=True)
    return passed, failed


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    return 1 if compare(sys.argv[1], sys.argv[2])[1] else 0


if __name__ == "__main__":
    sys.exit(main())
