# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the live tests share: private daemons on unix sockets and loopback, in one temporary
folder each, that wait for readiness and end what they started, by pid."""

import contextlib
import glob
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

BUILD = os.environ.get("VADM_BUILD_DIR", os.getcwd())
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# The sanitizers slow everything down; a time limit is only ever there to end a hang.
PATIENCE = float(os.environ.get("VADM_TEST_PATIENCE", "20"))
READ, WRITE = "public", "private"

# The paths of sockets have at most 107 octets: a long TMPDIR leaves no room for them.
TEMPORARY = tempfile.gettempdir() if len(os.fsencode(tempfile.gettempdir())) < 50 else "/tmp"
# For tests in which a SET has to be stored: it has 0.8 s for that, and another test's files may
# keep the disk busy for longer.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else TEMPORARY


def load_oids():
    """Objects by name, without the instance, from the list that is generated with the MIB:
    it knows which root this build has."""
    with open(os.path.join(BUILD, "mib", "lva-oids.txt"), encoding="ascii") as lines:
        return {name: number.lstrip(".") for name, number in map(str.split, lines)}


OIDS = load_oids()
ROOT_OID = OIDS["lvaMIB"]


def oid(name, *index):
    """oid("lvaServerWorkersMin", 2); scalars get their .0 by themselves."""
    return ".".join([OIDS[name]] + [str(i) for i in (index or (0,))])


def wait_for(condition, what, timeout=None):
    """Polls until condition() is true and returns its value; fails with what it waited for, a
    text or a function that makes it then."""
    deadline = time.monotonic() + (timeout or PATIENCE)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain for: {what() if callable(what) else what}")
        time.sleep(0.02)


def own_port_range():
    """Those below the ports that the kernel gives to who asks for any."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as bounds:
        low, high = map(int, bounds.read().split())
    return range(12000, low) if low >= 14000 else range(high + 1, 65536)


def free_port(kind=socket.SOCK_DGRAM):
    """A port of loopback for a daemon that is started, and at times stopped and started again,
    while others look for ports, too. No program that has one chosen by the kernel, as each snmpget
    does, gets it meanwhile, and no other test: the name of an abstract socket is taken as long as
    this process lives."""
    ports = own_port_range()
    while True:
        port = random.choice(ports)
        claim = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, kind) as probe:
            claim.bind(f"\0virtadm-test-port-{port}")
            probe.bind(("127.0.0.1", port))
            CLAIMS.append(claim)
            return port
        claim.close()


CLAIMS = []


def run(*argv, timeout=60, stdin=None, env=None):
    """Runs a program; returns (status, stdout, stderr)."""
    env = env_for_jobs(argv, env)
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          errors="replace", env=env) as process:
        try:
            out, err = process.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            where = whereabouts(process.pid)
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"not done after {timeout} s: {argv}\nit wrote {out!r}, {err!r}"
                                 f"\nits threads:\n{where}") from None
        except BaseException:
            process.kill()
            raise
        return process.returncode, out, err


def whereabouts(pid):
    """What each thread of a process that hangs waits for."""
    lines = []
    for task in sorted(glob.glob(f"/proc/{pid}/task/*")):
        facts = []
        for fact in "comm", "wchan", "syscall":
            with contextlib.suppress(OSError), open(f"{task}/{fact}", encoding="ascii",
                                                    errors="replace") as text:
                facts.append(text.read().strip())
        lines.append(" ".join([os.path.basename(task)] + facts))
    return "\n".join(lines)


def env_for_jobs(argv, env):
    """virsh's commands that run a job hang at times, with any daemon: tools/virsh-jobs.c."""
    if os.path.basename(argv[0]) != "virsh" or not re.search(
            r"\b(save|managedsave|dump)\b", " ".join(argv[1:])):
        return env
    library = os.path.join(BUILD, "tests/live/tools/.libs/virsh-jobs.so")
    if not os.path.exists(library):  # LD_PRELOAD would only warn
        raise AssertionError(f"{library} is missing; 'make' makes it")
    return {**(os.environ if env is None else env), "LD_PRELOAD": library}


def tool(name):
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    if not path:
        raise AssertionError(f"the tool {name} is missing; .ci/setup.sh lists the packages")
    return path


class Ended(KeyboardInterrupt):
    """By a signal. unittest takes any other exception, also SystemExit, for the end of one test."""

    def __init__(self, number):
        super().__init__(f"signal {number}")
        self.status = 128 + number


SIGNALS = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


def end_in_order():
    """SIGTERM and SIGHUP (the terminal is gone) end what was started, as Ctrl-C does."""
    def end(number, _):
        # what ends now ends whole
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Ended(number)
    # Whoever was started in the background ignores SIGINT, and so would all that is started here.
    for number in SIGNALS:
        signal.signal(number, end)


def needs_root(test):
    return unittest.skipUnless(os.geteuid() == 0, "needs root")(test)


class Place(contextlib.ExitStack):
    """A temporary folder and the processes that live in it."""

    open = []

    def __init__(self, parent=TEMPORARY):
        super().__init__()
        self.open.append(self)
        self.callback(self.open.remove, self)
        self.dir = tempfile.mkdtemp(prefix="vadm.", dir=parent)
        self.callback(shutil.rmtree, self.dir, ignore_errors=True)

    @classmethod
    def close_all(cls):
        """What an interrupted test has left: unittest does no cleanups then."""
        for place in reversed(cls.open[:]):
            with contextlib.suppress(Exception):
                place.close()

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as out:
            out.write(text)
        return self.path(name)

    def read(self, name):
        with open(self.path(name), encoding="utf-8", errors="replace") as text:
            return text.read()

    def spawn(self, name, argv, env=None):
        process = Process(self, name, argv, env)
        self.callback(process.end)
        return process

    def virsh_socket(self):
        return self.path("run", "libvirt-sock")


class Manager:
    """A service manager's end of sd_notify(3); env is for whom it starts."""

    def __init__(self, place, watchdog_us=0):
        self.socket = place.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self.socket.bind(place.path("notify"))
        self.env = {"NOTIFY_SOCKET": place.path("notify")}
        if watchdog_us:
            self.env["WATCHDOG_USEC"] = str(watchdog_us)

    def next(self, timeout=None):
        """The next message, as a list of its lines."""
        self.socket.settimeout(timeout or PATIENCE)
        return self.socket.recv(4096).decode().splitlines()

    def forget(self):
        """What has come until now."""
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.socket.recv(4096)

    def wait_for(self, line, timeout=None):
        """timeout: for each message."""
        while line not in self.next(timeout):
            pass


class Tail:
    """What is written to a file from now on: what stands in it already is of an earlier test, or of
    a program that had the name before. Of a file that takes its place, all."""

    def __init__(self, path):
        self.path = path
        self.inode, self.start = None, 0
        with contextlib.suppress(FileNotFoundError):
            there = os.stat(path)
            self.inode, self.start = there.st_ino, there.st_size

    def text(self, whole=False):
        with open(self.path, "rb") as file:
            there = os.fstat(file.fileno())
            if not whole and there.st_ino == self.inode and there.st_size >= self.start:
                file.seek(self.start)
            return file.read().decode(errors="replace")


class Process:
    def __init__(self, place, name, argv, env=None):
        self.name, self.argv = name, argv
        self.log = place.path(name + ".out")
        self.tail = Tail(self.log)
        with open(self.log, "ab") as out:
            self.popen = subprocess.Popen(argv, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                          env={**os.environ, **(env or {})}, cwd=place.dir)
        self.pid = self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def kill(self, number):
        if self.alive():
            os.kill(self.pid, number)

    def wait(self, timeout=None):
        return self.popen.wait(timeout or PATIENCE)

    def output(self, whole=False):
        """whole: with that of processes that had the same name before."""
        return self.tail.text(whole)

    def end(self):
        if self.alive():
            self.kill(signal.SIGCONT)
            self.kill(signal.SIGTERM)
            try:
                self.popen.wait(10)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()

    # what a leak shows in
    def threads(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def resident(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])


def in_context(name):
    """The community of Snmpd that leads to an SNMP context."""
    return "in-" + name


class Snmpd:
    """A private master agent: v2c communities public (read) and private (write), and one for each
    of the contexts."""

    def __init__(self, place, extra="", contexts=()):
        if contexts:
            extra += "".join(f"com2sec -Cn {name} sec{n} default {in_context(name)}\n"
                             f"group anybody v2c sec{n}\n" for n, name in enumerate(contexts))
            extra += "view everything included .1\n"
            extra += 'access anybody "" any noauth prefix everything everything none\n'
        self.place = place
        self.port = free_port()
        self.agentx = place.path("agentx")
        os.makedirs(place.path("snmp"), exist_ok=True)
        self.conf = place.write("snmpd.conf", f"""\
master agentx
agentXSocket unix:{self.agentx}
agentXTimeout 2
agentXRetries 0
maxGetbulkResponses 1000
[snmp] serverSendBuf 4194304
[snmp] persistentDir {place.path("snmp")}
rocommunity {READ} 127.0.0.1
rwcommunity {WRITE} 127.0.0.1
{extra}
""")
        self.process = None
        self.start()

    def start(self):
        env = {"SNMPCONFPATH": self.place.dir, "SNMP_PERSISTENT_DIR": self.place.path("snmp")}
        self.process = self.place.spawn("snmpd", [
            tool("snmpd"), "-f", "-Lo", "-C", "-c", self.conf, "-I", "-smux",
            f"udp:127.0.0.1:{self.port}"], env)
        wait_for(self.ready, lambda: f"snmpd on port {self.port}: {self.process.output()[-500:]}")

    def ready(self):
        return self.process.alive() and os.path.exists(self.agentx) and \
            self.tool("snmpget", ".1.3.6.1.2.1.1.3.0", timeout=1)[0] == 0

    def tool(self, name, *args, community=WRITE, timeout=5, version="2c", options=()):
        """snmpget, snmpset, ... with numeric output that scripts can compare."""
        env = {**os.environ, "MIBS": "", "SNMPCONFPATH": self.place.dir,
               "SNMP_PERSISTENT_DIR": self.place.path("snmp")}
        return run(tool(name), "-v", version, "-c", community, "-t", str(timeout), "-r", "0",
                   "-On", "-Oe", "-Ot", "-OU", *options, f"127.0.0.1:{self.port}", *args,
                   timeout=timeout * 40 + 60, env=env)

    def get(self, *oids, **how):
        """Values of some instances, in order: int, str, or None for no such object/instance."""
        status, out, err = self.tool("snmpget", *oids, **how)
        if status != 0:
            raise AssertionError(f"snmpget {oids}: {out}{err}")
        return [value for _, value in parse(out)]

    def get1(self, name, *index, **how):
        return self.get(oid(name, *index), **how)[0]

    def walk(self, start=ROOT_OID, bulk=True, options=(), **how):
        how.setdefault("timeout", 30)
        status, out, err = self.tool("snmpbulkwalk" if bulk else "snmpwalk", start,
                                     options=(*options, "-Cc") + (("-Cr50",) if bulk else ()), **how)
        if status != 0:
            raise AssertionError(f"walk of {start}: {out[-300:]}{err}")
        return [(name, value) for name, value in parse(out) if value is not None]

    def set(self, *triples, **how):
        """set((oid, type, value), ...) -> (status, error text as snmpset prints it)."""
        args = [str(word) for triple in triples for word in triple]
        status, out, err = self.tool("snmpset", *args, **how)
        return status, out + err

    def has_agent(self):
        status, out, _ = self.tool("snmpget", oid("lvaDaemonName"), timeout=2)
        return status == 0 and "No Such" not in out


def parse(out):
    """Lines of -On output; a value that goes over several lines is put together."""
    found = []
    for line in out.splitlines():
        head = re.match(r"^(\.[\d.]+) = (.*)$", line)
        if head:
            found.append([head[1].lstrip("."), head[2]])
        elif found:
            found[-1][1] += "\n" + line
    return [(name, value_of(text)) for name, text in found]


def value_of(text):
    if text.startswith(("No Such", "No more variables")):
        return None
    if text == '""':
        return ""
    if text.isdigit():
        return int(text)
    kind, _, rest = text.partition(": ")
    if kind in ("INTEGER", "Gauge32", "Counter32", "Counter64", "Timeticks", "UInteger32"):
        return int(rest.split()[0])
    if kind == "STRING":
        return rest[1:-1] if rest.startswith('"') else rest
    if kind == "Hex-STRING":
        return bytes.fromhex(rest.replace("\n", " ")).decode("latin-1")
    return rest


class Subagent:
    """Another subagent at the same master (tools/subagent.c): INTEGERs, one of which sorts before
    our MIB and one behind. What is written to them says what goes wrong when: code(PHASE, FAULT)."""

    PHASES = ("RESERVE1", "RESERVE2", "ACTION", "COMMIT", "UNDO", "FREE")
    FAULTS = ("fails", "hangs", "dies")

    def __init__(self, place, snmpd):
        self.place, self.snmpd = place, snmpd
        parent, last = ROOT_OID.rsplit(".", 1)
        self.before, self.behind = (f"{parent}.{int(last) + step}.1.0" for step in (-1, 1))
        self.process = None
        self.start()

    @classmethod
    def code(cls, phase, fault):
        return 10 * (cls.PHASES.index(phase) + 1) + cls.FAULTS.index(fault) + 1

    def start(self):
        self.process = self.place.spawn("subagent", [
            os.path.join(BUILD, "tests", "live", "tools", "subagent"),
            f"unix:{self.snmpd.agentx}", self.before, self.behind])
        self.skip = 0
        wait_for(self.ready, lambda: f"the other subagent: {self.process.output()[-500:]}")

    def ready(self):
        status, out, _ = self.snmpd.tool("snmpget", self.before, self.behind, timeout=1)
        return status == 0 and "No Such" not in out

    def phases(self):
        """What has come since the start: [(phase, OID, value), ...]."""
        lines = self.process.output()[self.skip:].splitlines()
        found = [line.split() for line in lines if line.startswith(self.PHASES)]
        return [(phase, name, int(value)) for phase, name, value in found]

    def wait_for_phase(self, phase):
        wait_for(lambda: phase in {found[0] for found in self.phases()},
                 f"{phase} in the other subagent")

    def go_on(self):
        """Ends the waiting of fault "hangs"."""
        self.process.kill(signal.SIGUSR1)

    def restart(self):
        """One that died or hangs is replaced."""
        if self.process.alive():
            self.process.kill(signal.SIGKILL)
        self.process.wait()
        wait_for(lambda: self.snmpd.get(self.before) == [None], "the master to notice its end")
        self.start()


# Runs a libvirtd as root so that it neither meets nor marks the system's own. $0 is its folder.
# In a chroot / may be no mount point and cannot be made private then: each mount is looked at,
# lest it stays behind in the system around the chroot. The qemu driver wants its user to exist,
# whatever its configuration says; Debian makes it in another package.
ALONE = r"""
mount --make-rprivate / 2>/dev/null
covered() { # covered PLACE MOUNT-ARGUMENTS...
    place=$1
    shift
    mount "$@" "$place" || exit 1
    if grep -q " $place [^-]* shared:" /proc/self/mountinfo; then
        umount "$place"
        echo "mounts on $place are shared with the system around this chroot: first" \
            "mount --bind --make-private the chroot's folder on itself" >&2
        exit 1
    fi
}
for dir in /run/libvirt /var/lib/libvirt /var/cache/libvirt /etc/libvirt; do
    mkdir -p "$dir"
    covered "$dir" -t tmpfs -o mode=0755 private
done
printf 'user = "root"\ngroup = "root"\n' >/etc/libvirt/qemu.conf
for what in passwd group; do
    getent "$what" libvirt-qemu >/dev/null && continue
    { cat /etc/$what; echo "libvirt-qemu:x:64055:$([ $what = group ] || echo 64055::/:/bin/false)"
    } >"$0/$what"
    covered /etc/$what --bind "$0/$what"
done
exec "$@"
"""


class Libvirtd:
    """A private libvirtd, unmodified, on sockets of its own; extra goes over what is set here (of two
    settings the first one counts). As
    root it runs in a mount namespace with empty state folders, so that it neither meets nor marks
    the system's own. As another user it has no read-only socket: libvirt offers none there."""

    def __init__(self, place, name="libvirtd", extra="", env=None, options=()):
        self.place, self.name, self.env, self.options = place, name, env, options
        self.dir = place.path(name)
        # Another user's libvirtd has no admin socket where unix_sock_dir is set: there it is
        # XDG_RUNTIME_DIR that leads to both.
        root = os.geteuid() == 0
        sockets = self.dir if root else os.path.join(self.dir, "libvirt")
        os.makedirs(self.dir, exist_ok=True)
        self.socket = os.path.join(sockets, "libvirt-sock")
        self.socket_ro = os.path.join(sockets, "libvirt-sock-ro")
        self.admin = os.path.join(sockets, "libvirt-admin-sock")
        self.conf = place.write(name + ".conf", f"""\
{f'unix_sock_dir = "{self.dir}"' if root else ""}
{extra}
auth_unix_rw = "none"
auth_unix_ro = "none"
log_outputs = "3:file:{place.path(name + '.log')}"
""")
        self.process = None
        self.start()

    def start(self):
        daemon = [tool("libvirtd"), "-f", self.conf, "-p", os.path.join(self.dir, "pid"),
                  *self.options]
        env = dict(self.env or {})
        if os.geteuid() == 0:
            daemon = ["unshare", "--mount", "--propagation", "unchanged", "sh", "-c", ALONE,
                      self.dir, *daemon]
        else:
            env |= {"HOME": self.dir, "XDG_RUNTIME_DIR": self.dir}
            env |= {f"XDG_{kind}_HOME": self.dir for kind in ("CONFIG", "CACHE", "DATA")}
        self.process = self.place.spawn(self.name, daemon, env)
        wait_for(self.ready, lambda: f"libvirtd: {self.process.output()[-500:]}", 60)

    def ready(self):
        if not self.process.alive():
            raise AssertionError(f"libvirtd ended: {self.process.output()[-800:]}")
        return os.path.exists(self.admin) and self.answers()

    def answers(self):
        return virsh(self.socket, "uri")[0] == 0


class Helper:
    """A private virtlogd or virtlockd, which take no option that says where their sockets are: as root
    in a mount namespace whose /run/libvirt is a folder of ours."""

    def __init__(self, place, name="virtlogd", extra=""):
        self.place, self.name = place, name
        self.dir = place.path(name)
        sockets = os.path.join(self.dir, "libvirt")
        os.makedirs(sockets, exist_ok=True)
        self.socket = os.path.join(sockets, name + "-sock")
        self.admin = os.path.join(sockets, name + "-admin-sock")
        self.conf = place.write(name + ".conf", f"""\
{extra}
log_outputs = "3:file:{place.path(name + '.log')}"
""")
        self.process = None
        self.start()

    def start(self):
        daemon = [tool(self.name), "-f", self.conf, "-p", os.path.join(self.dir, "pid")]
        env = {}
        if os.geteuid() == 0:
            daemon = ["unshare", "--mount", "--propagation", "unchanged", "sh", "-c", ALONE,
                      self.dir, "sh", "-c", 'mount --bind "$0/libvirt" /run/libvirt && exec "$@"',
                      self.dir, *daemon]
        else:
            env = {"HOME": self.dir, "XDG_RUNTIME_DIR": self.dir}
            env |= {f"XDG_{kind}_HOME": self.dir for kind in ("CONFIG", "CACHE", "DATA")}
        self.process = self.place.spawn(self.name, daemon, env)
        wait_for(self.ready, lambda: f"{self.name}: {self.process.output()[-500:]}", 60)

    def ready(self):
        if not self.process.alive():
            raise AssertionError(f"{self.name} ended: {self.process.output()[-800:]}")
        return os.path.exists(self.admin) and virt_admin(self.admin, "uri")[0] == 0


class Agent:
    """virtadm-agent beside daemons: sources are (NAME, path of the admin socket)."""

    def __init__(self, place, snmpd, *sources, refresh=1, log="", snmp="", notify="", each="",
                 name="virtadm-agent", env=None):
        self.place, self.snmpd, self.name, self.env = place, snmpd, name, env
        self.logdir = place.path(name + ".logs")
        os.makedirs(self.logdir, mode=0o755, exist_ok=True)
        self.log = os.path.join(self.logdir, "agent.log")
        self.tail = Tail(self.log)
        groups = "".join(f"""\
[source {source}]
uri = libvirtd:///system?socket={path}
refresh_interval = {refresh}
{each}
""" for source, path in sources)
        self.text = f"""\
[log]
outputs = 1:file:{self.log}
{"" if "directories =" in log else f"directories = {self.logdir}"}
{log}
[snmp]
{"" if "master =" in snmp else f"master = unix:{snmpd.agentx}"}
retry_interval = 1
{snmp}
[notify]
{notify}
{groups}"""
        self.conf = place.write(name + ".conf", self.text)
        self.process = None
        place.callback(self.check_end)
        self.start()

    def start(self, *options):
        argv = [os.path.join(BUILD, "virtadm-agent"), "--config", self.conf, *options]
        if "VADM_SANITIZER_ENV" in os.environ:
            argv.insert(0, os.environ["VADM_SANITIZER_ENV"])
        self.process = self.place.spawn(self.name, argv, self.env)
        if self.snmpd and self.snmpd.process.alive():
            wait_for(self.ready, lambda: f"the agent at the master: {self.process.output()[-800:]}"
                     f"{self.log_text()[-800:]}")

    def ready(self):
        if not self.process.alive():
            raise AssertionError(f"virtadm-agent ended: {self.process.output()[-1500:]}")
        return self.snmpd.has_agent()

    def log_text(self):
        """What it has logged since it was made, over all its starts."""
        with contextlib.suppress(FileNotFoundError):
            return self.tail.text()
        return ""

    def state(self, **how):
        """lvaDaemonState: "up", "unreachable" or None; snmpd does not answer for a context in which
        there is no agent yet."""
        how.setdefault("timeout", 5)
        _, out, _ = self.snmpd.tool("snmpget", oid("lvaDaemonState"), **how)
        return {1: "up", 2: "unreachable"}.get(parse(out)[0][1]) if out else None

    def wait_for_state(self, state, timeout=None, **how):
        wait_for(lambda: self.state(timeout=1, **how) == state,
                 lambda: f"lvaDaemonState {state}: {self.log_text()[-1500:]}", timeout)

    # the same as of virtadmd
    check_end, stop = None, None


class Virtadmd:
    """virtadmd in front of a libvirtd, with the subagent linked in."""

    def __init__(self, place, upstream=None, snmpd=None, server="", admin="", extra="",
                 upstream_path=None, upstream_ro_path=None, name="virtadmd", env=None, log="",
                 descriptors=None, retry=1):
        """descriptors: the limit that it is started with, as prlimit takes it, SOFT:HARD.
        retry: seconds between attempts to reach the master agent, and between pings."""
        self.place, self.name, self.env = place, name, env
        self.descriptors = descriptors
        self.dir = place.path("run")
        self.socket = os.path.join(self.dir, "libvirt-sock")
        self.socket_ro = os.path.join(self.dir, "libvirt-sock-ro")
        self.admin = os.path.join(self.dir, "virtadm-admin-sock")
        self.logdir = place.path("log")
        os.makedirs(self.logdir, exist_ok=True)
        self.tail = Tail(os.path.join(self.logdir, "virtadmd.log"))
        up = upstream_path or (upstream.socket if upstream else place.path("absent"))
        up_ro = upstream_ro_path or (upstream.socket_ro if upstream else place.path("absent-ro"))
        snmp = f"master = unix:{snmpd.agentx}\nretry_interval = {retry}" if snmpd else "enabled = false"
        self.text = f"""\
[daemon]
runtime_dir = {self.dir}
state_dir = {place.path("state")}
[log]
outputs = 1:file:{self.tail.path}
directories = {self.logdir}
{log}
[snmp]
{snmp}
[server libvirtd]
upstream = unix:{up}
upstream_ro = unix:{up_ro}
{server}
[server admin]
{admin}
{extra}
"""
        self.conf = place.write(name + ".conf", self.text)
        self.snmpd = snmpd
        self.process = None
        place.callback(self.check_end)
        self.start()

    def start(self, *options):
        argv = [os.path.join(BUILD, "virtadmd"), "--config", self.conf, *options]
        if "VADM_SANITIZER_ENV" in os.environ:
            argv.insert(0, os.environ["VADM_SANITIZER_ENV"])
        if self.descriptors:
            argv[:0] = [tool("prlimit"), f"--nofile={self.descriptors}"]
        self.process = self.place.spawn(self.name, argv, self.env)
        wait_for(self.ready, lambda: f"virtadmd: {self.process.output()[-500:]}")
        if self.snmpd and self.snmpd.process.alive():
            wait_for(self.snmpd.has_agent, "the subagent at the master")

    def ready(self):
        if not self.process.alive():
            raise AssertionError(f"virtadmd ended: {self.process.output()[-1500:]}")
        return self.virt_admin("uri")[0] == 0

    def virt_admin(self, *args, timeout=30):
        return virt_admin(self.admin, *args, timeout=timeout)

    def log_text(self):
        """What it has logged since it was made, over all its starts."""
        return self.tail.text()

    def check_end(self):
        """However a test ended it, it must have ended well."""
        text = self.process.output(whole=True)
        if re.search(r"Sanitizer|runtime error", text) or self.process.popen.returncode:
            raise AssertionError(f"{self.name}, status {self.process.popen.returncode}: "
                                 f"{text[-6000:]}")

    def stop(self):
        """SIGTERM; returns the exit status."""
        self.process.kill(signal.SIGTERM)
        return self.process.wait()


Agent.check_end, Agent.stop = Virtadmd.check_end, Virtadmd.stop


def virt_admin(path, *args, timeout=30):
    return run(tool("virt-admin"), "-c", f"libvirtd:///system?socket={path}", *args,
               timeout=timeout)


def virsh(path, *args, timeout=60, driver="test+unix:///default", options=(), env=None):
    return run(tool("virsh"), *options, "-c", f"{driver}?socket={path}", *args, timeout=timeout,
               env=env)


@contextlib.contextmanager
def idle_virsh(place, path, name="virsh", readonly=False, env=None):
    """A real virsh that stays connected: interactive, its input held open."""
    argv = [tool("virsh"), "-q"] + (["-r"] if readonly else []) + \
        ["-c", f"test+unix:///default?socket={path}"]
    with open(place.path(name + ".out"), "ab") as out, \
            subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=out, stderr=out, env=env) as process:
        try:
            yield process
        finally:
            process.stdin.close()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


class Raw:
    """A client of libvirt's RPC that says exactly what it is told to; path is one of a unix socket, or
    (host, port)."""

    REMOTE, ADMIN, KEEPALIVE, EXTENSION = 0x20008086, 0x06900690, 0x6b656570, 0x76616478

    def __init__(self, path, program=ADMIN, timeout=None):
        self.program, self.serial, self.buffer = program, 0, b""
        if isinstance(path, tuple):
            self.sock = socket.create_connection(path, timeout or PATIENCE)
        else:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout or PATIENCE)
            self.sock.connect(path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, proc, payload=b"", kind=0, status=0, program=None, version=1, serial=None):
        if serial is None:
            serial = self.serial
            self.serial += 1
        self.sock.sendall(struct.pack(">IIIiIII", 28 + len(payload), program or self.program,
                                      version, proc, kind, serial, status) + payload)
        return serial

    def receive(self):
        """(program, version, procedure, type, serial, status, payload), or None at the end."""
        try:
            while len(self.buffer) < 4 or len(self.buffer) < struct.unpack(
                    ">I", self.buffer[:4])[0]:
                more = self.sock.recv(65536)
                if not more:
                    return None
                self.buffer += more
        except (ConnectionResetError, BrokenPipeError):
            return None
        length = struct.unpack(">I", self.buffer[:4])[0]
        message, self.buffer = self.buffer[:length], self.buffer[length:]
        return struct.unpack(">IIiIII", message[4:28]) + (message[28:],)

    def call(self, proc, payload=b"", **how):
        self.send(proc, payload, **how)
        while True:
            got = self.receive()
            if got is None or got[0] != self.KEEPALIVE:
                return got
            if got[2] == 1:
                self.send(2, kind=2, program=self.KEEPALIVE, serial=0)


def xdr_string(text):
    data = text.encode() if isinstance(text, str) else text
    return struct.pack(">I", len(data)) + data + b"\0" * (-len(data) % 4)


def open_payload(name="test:///default", flags=0):
    """The arguments of the remote program's OPEN."""
    return struct.pack(">I", 1) + xdr_string(name) + struct.pack(">I", flags)


def error_of(reply):
    """(code, domain, text) of an error reply."""
    payload = reply[6]
    code, domain, there = struct.unpack(">iiI", payload[:12])
    if not there:
        return code, domain, ""
    length = struct.unpack(">I", payload[12:16])[0]
    return code, domain, payload[16:16 + length].decode()


if __name__ == "__main__":
    sys.exit("this is a module; run tests/live/run.py")
