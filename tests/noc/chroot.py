# SPDX-License-Identifier: LGPL-2.1-or-later
"""A small Debian of its own, as this one is, with systemd as its first process: for tests of packages,
and of what documentation tells people to do. It has namespaces of its own for mounts, processes and
network, so that it neither meets the services of this system nor leaves anything behind.

    system = Chroot(place)                     # below place; 3 s, or two minutes the first time
    system.boot()                              # systemd runs; nothing but loopback is there
    system.install(*debs)                      # apt-get install, as an administrator would
    status, out, err = system.run("snmpget", "-v2c", ...)
    out = system.ok("sh", "-c", "...")         # the same, and it must succeed
    system.write("/etc/snmp/snmpd.conf.d/x.conf", text); system.read("/etc/hosts")
    system.wait_active("virtadmd")             # a service that systemd calls active

Beside Debian's minimum it has snmpd, snmp, snmptrapd and libvirtd with its clients, all as Debian configures them;
they run once it is booted. Commands run as root, with LC_ALL=C.UTF-8 and no network but its own
loopback. Packages that are to be there, too, are downloaded before: Chroot(place, more=("snmptrapd",)).
Needs root, and what .ci/setup.sh calls packages_noc."""

import contextlib
import fcntl
import glob
import hashlib
import os
import re
import shutil
import subprocess

import harness
from harness import BUILD, tool, wait_for

# As apt would install them beside our packages.
PACKAGES = ("snmp", "snmpd", "snmptrapd", "libvirt-daemon-system", "libvirt-clients")
BASE = ("systemd", "systemd-sysv", "dbus", "ca-certificates")
CACHE = os.path.join(BUILD, "test-output", "chroot")
# No network is there for them, nobody at the console.
MASKED = ("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer",
          "console-getty.service", "getty.target")
# How this system reaches the archive.
APT = ("sources.list", "sources.list.d", "apt.conf", "apt.conf.d", "auth.conf", "auth.conf.d",
       "keyrings", "trusted.gpg.d")
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
               "LC_ALL": "C.UTF-8", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}
# Runs a command in a mount namespace of its own, $1 is an empty folder. In a chroot / may be no mount
# point, and what moves mounts refuses that: there the command gets a / that is one.
ALONE = """
outer=$1; shift
mount --make-rprivate / 2>/dev/null && exec "$@"
mount --rbind / "$outer" || exit 1
if grep -q " $outer [^-]* shared:" /proc/self/mountinfo; then
    umount -l "$outer"
    echo "mounts on $outer are shared with the system around this chroot: first" \
        "mount --bind --make-private the chroot's folder on itself" >&2
    exit 1
fi
mount --make-rprivate "$outer" && exec chroot "$outer" "$@"
"""
# systemd-nspawn keeps its own notes in /run/systemd; here they go with it. $1: how many folders of
# control groups follow, which it is to be in.
NSPAWN = """
count=$1; shift
while [ "$count" -gt 0 ]; do
    echo $$ >"$1/cgroup.procs" || exit 1
    shift; count=$((count - 1))
done
mkdir -p /run/systemd && mount -t tmpfs tmpfs /run/systemd || exit 1
exec systemd-nspawn "$@"
"""
OPTIONS = ("--quiet", "--register=no", "--keep-unit", "--settings=no", "--link-journal=no",
           "--resolv-conf=off", "--timezone=off", "--console=pipe")


def release():
    with open("/etc/os-release", encoding="utf-8") as lines:
        for line in lines:
            key, _, value = line.strip().partition("=")
            if key == "VERSION_CODENAME":
                return value.strip('"')
    raise AssertionError("/etc/os-release names no release")


def mirror(suite):
    """Where apt has this release from."""
    _, out, _ = harness.run("apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)",
                            "Identifier: Packages")
    found = [line.split()[1] for line in out.splitlines() if line.split()[:1] == [suite]]
    return next((uri for uri in found if uri.startswith("http")), "http://deb.debian.org/debian")


def cgroups():
    """The folders of the control groups that this process is in, as far as systemd uses them."""
    found = []
    with open("/proc/self/cgroup", encoding="ascii") as lines:
        for line in lines:
            _, names, path = line.strip().split(":", 2)
            tops = {"": ("/sys/fs/cgroup/unified", "/sys/fs/cgroup"),
                    "name=systemd": ("/sys/fs/cgroup/systemd",)}.get(names, ())
            for top in tops:
                folder = os.path.join(top, path.lstrip("/"))
                if os.path.exists(os.path.join(folder, "cgroup.procs")):
                    found.append(folder)
                    break
    return found


class Chroot:
    def __init__(self, place, more=(), packages=PACKAGES):
        self.place, self.leader, self.process = place, None, None
        self.root = place.path("root")
        self.cgroups = []
        place.callback(self.remove_cgroups)
        # what may be in the name of a machine
        self.name = re.sub(r"[^a-z0-9]+", "-", os.path.basename(place.dir)).strip("-")
        for top in cgroups():
            self.cgroups.append(os.path.join(top, self.name))
            os.mkdir(self.cgroups[-1])
        self.unpack(tuple(packages) + tuple(more))

    # ---- the folder ----

    def unpack(self, packages):
        """From what another test, or the last run, has left in the build folder."""
        key = hashlib.sha256(repr((release(), BASE, packages, MASKED)).encode()).hexdigest()[:16]
        archive = os.path.join(CACHE, f"{release()}-{key}.tar")
        os.makedirs(CACHE, exist_ok=True)
        with open(archive + ".lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.path.exists(archive):
                self.make(packages)
                self.tar("-cf", archive + ".new", "-C", self.root, ".")
                os.rename(archive + ".new", archive)
                return
        os.mkdir(self.root)
        self.tar("-xf", archive, "-C", self.root)

    @staticmethod
    def tar(*args):
        subprocess.run([tool("tar"), "--numeric-owner", "--xattrs", *args], check=True)

    def make(self, packages):
        suite = release()
        with open(self.place.path("debootstrap.log"), "w", encoding="utf-8") as log:
            # what it mounts goes with its namespace
            done = subprocess.run(
                [*self.alone("--pid", "--fork"), tool("debootstrap"), "--variant=minbase",
                 "--include=" + ",".join(BASE), suite, self.root, mirror(suite)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            raise AssertionError(f"debootstrap: {self.place.read('debootstrap.log')[-2000:]}")
        self.borrow_apt()
        self.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
        # the lists that there are may do where one source cannot be reached
        self.inside("apt-get", "-q", "update", timeout=600, network=True)
        self.ok("apt-get", "-q", "-y", "-o", "Dpkg::Use-Pty=0", "--no-install-recommends", "install",
                *packages, timeout=1200, network=True)
        self.ok("apt-get", "clean")
        os.unlink(self.path("/usr/sbin/policy-rc.d"))
        self.ok("systemctl", "mask", *MASKED)
        self.write("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")

    def borrow_apt(self):
        for name in APT:
            source, target = os.path.join("/etc/apt", name), self.path("/etc/apt/" + name)
            if os.path.isdir(source):
                shutil.copytree(source, target, dirs_exist_ok=True)
            elif os.path.exists(source):
                shutil.copy(source, target)
        # debootstrap's own, if the system has its sources in the new form only
        if not os.path.exists("/etc/apt/sources.list"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path("/etc/apt/sources.list"))
        shutil.copytree("/usr/share/keyrings", self.path("/usr/share/keyrings"),
                        dirs_exist_ok=True)
        shutil.copy("/etc/resolv.conf", self.path("/etc/resolv.conf"))

    def path(self, name):
        """A file of the system, as seen from outside."""
        return self.root + name

    def write(self, name, text, mode=0o644):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(self.path(name), mode)

    def read(self, name):
        with open(self.path(name), encoding="utf-8", errors="replace") as text:
            return text.read()

    def copy(self, file, folder="/root"):
        """Returns: the name of the copy inside."""
        shutil.copy(file, self.path(folder))
        return os.path.join(folder, os.path.basename(file))

    def files(self, *without):
        """All files and folders, but for those in without and what is below them."""
        found = set()
        for folder, names, others in os.walk(self.root):
            inside = folder[len(self.root):] or "/"
            names[:] = [name for name in names if os.path.join(inside, name) not in without]
            found.update(os.path.join(inside, name) for name in names + others)
        return found - set(without)

    # ---- the system ----

    def alone(self, *options):
        """The beginning of a command whose mounts end with it."""
        os.makedirs(self.place.path("outer"), exist_ok=True)
        return [tool("unshare"), "--mount", *options, "--propagation", "unchanged", "/bin/sh", "-c",
                ALONE, "alone", self.place.path("outer")]

    def nspawn(self, *options):
        return [*self.alone(), "/bin/sh", "-c", NSPAWN, "nspawn", str(len(self.cgroups)),
                *self.cgroups, *OPTIONS, f"--machine={self.name}", f"--directory={self.root}",
                *options]

    def inside(self, *argv, timeout=60, stdin=None, network=False):
        """Before the boot. Everything that a command starts ends with it."""
        options = [] if network else ["--private-network"]
        options += [f"--setenv={key}={value}" for key, value in ENVIRONMENT.items()]
        return harness.run(*self.nspawn(*options), "--as-pid2", *argv, timeout=timeout, stdin=stdin,
                           env={**os.environ, "SYSTEMD_NSPAWN_LOCK": "0"})

    def boot(self):
        self.process = self.place.spawn("boot", self.nspawn("--private-network", "--boot"),
                                        {"SYSTEMD_NSPAWN_LOCK": "0"})
        self.leader = wait_for(self.find_leader, self.explain, 60)
        wait_for(lambda: self.run("systemctl", "is-system-running")[1].strip() in
                 ("running", "degraded"), self.explain, 120)

    def explain(self):
        return f"systemd in {self.root}: {self.process.output()[-2000:]}"

    def find_leader(self):
        """Its first process is the child of systemd-nspawn, when it has become systemd."""
        if not self.process.alive():
            raise AssertionError(self.explain())
        children = glob.glob(f"/proc/{self.process.pid}/task/*/children")
        for name in children:
            with contextlib.suppress(OSError), open(name, encoding="ascii") as text:
                for pid in text.read().split():
                    with open(f"/proc/{pid}/comm", encoding="ascii") as comm:
                        if comm.read().strip() == "systemd":
                            return int(pid)
        return None

    def shut_down(self):
        """As poweroff would."""
        self.process.end()
        self.leader = None

    def command(self, *argv):
        """Of a program inside, as one outside that subprocess or Place.spawn can start."""
        return [tool("nsenter"), "--target", str(self.leader), "--root", "--mount", "--uts",
                "--ipc", "--net", "--pid", "--cgroup", "--", "/usr/bin/env", "-i", "--chdir=/root",
                *(f"{key}={value}" for key, value in ENVIRONMENT.items()), *argv]

    def run(self, *argv, timeout=60, stdin=None, network=False):
        """(status, stdout, stderr)."""
        if self.leader is None:
            return self.inside(*argv, timeout=timeout, stdin=stdin, network=network)
        return harness.run(*self.command(*argv), timeout=timeout, stdin=stdin)

    def ok(self, *argv, **how):
        """stdout of a command that must succeed."""
        status, out, err = self.run(*argv, **how)
        if status != 0:
            raise AssertionError(f"{' '.join(argv)}: status {status}: {out[-3000:]}{err[-3000:]}")
        return out

    def install(self, *debs, options=()):
        """Packages from files of this system."""
        names = [self.copy(deb) for deb in debs]
        return self.ok("apt-get", "-q", "-y", "-o", "Dpkg::Use-Pty=0", "--no-install-recommends", *options,
                       "install", *names, timeout=300)

    def wait_active(self, *units):
        """Until systemd calls them active."""
        def active():
            return all(self.run("systemctl", "is-active", unit)[1].strip() == "active"
                       for unit in units)
        wait_for(active, lambda: self.run("systemctl", "--no-pager", "-l", "status", *units)[1], 60)

    def remove_cgroups(self):
        """The last processes in them may still be on their way out."""
        wait_for(lambda: not any([*map(stays, self.cgroups)]), "the end of its processes")


def stays(top):
    """Removes a control group and those in it. Returns: whether it is still there"""
    for folder, _, _ in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    return os.path.exists(top)
