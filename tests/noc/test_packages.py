# SPDX-License-Identifier: LGPL-2.1-or-later
"""The life of the Debian packages, in a Debian of their own with systemd, stock snmpd and stock
libvirtd: what they have in them, installation, what runs then and behind which walls, upgrade, removal,
purge."""

import os
import re
import shutil
import unittest

import harness
import packages
from certificates import Authority
from chroot import Chroot
from harness import oid, wait_for

SOCKETS = "/run/virtadm"
DROP_IN = "/usr/share/virtadm/snmpd/virtadm.conf"
# What others write while the packages come and go: logs and state of dpkg, apt, systemd, snmpd, libvirt; the
# backups of /etc/group and of what goes with users.
OTHERS = ("/proc", "/sys", "/dev", "/run", "/tmp", "/root", "/var/tmp", "/var/cache", "/var/lib/apt",
          "/var/lib/dpkg", "/var/lib/systemd", "/var/lib/snmp", "/var/lib/libvirt", "/var/log/journal",
          "/var/log/apt", "/var/log/libvirt", "/etc/libvirt", "/etc/.pwd.lock", "/etc/group-",
          "/etc/gshadow-", "/etc/passwd-", "/etc/shadow-", "/etc/subuid-", "/etc/subgid-")


@harness.needs_root
class Contents(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = harness.Place()
        cls.addClassCleanup(cls.place.close)
        cls.folder = packages.build(cls.place)
        cls.debs = {packages.field(deb, "Package"): deb for deb in packages.debs(cls.folder)}

    def test_lintian(self):
        changes = [name for name in os.listdir(self.folder) if name.endswith(".changes")]
        self.assertEqual(len(changes), 1)
        status, out, err = harness.run(
            harness.tool("lintian"), "--allow-root", "--fail-on", "error,warning",
            os.path.join(self.folder, changes[0]), timeout=300,
            env={**os.environ, "TMPDIR": self.place.dir})
        self.assertEqual(status, 0, out + err)

    def test_files(self):
        self.assertEqual(tuple(self.debs), packages.NAMES)
        seen = {}
        for name, deb in self.debs.items():
            for path, mode in packages.listing(deb).items():
                self.assertNotIn(path, seen, f"{path} is in {seen.get(path)} and {name}")
                seen[path] = name
                self.assertRegex(mode, r"^(-rw-r--r--|-rwxr-xr-x|lrwxrwxrwx) root/root$", path)
        for path, name in {"/usr/sbin/virtadmd": "virtadmd",
                           "/usr/sbin/virtadm-agent": "virtadm-agent",
                           "/usr/share/snmp/mibs/LIBVIRT-ADMIN-MIB.txt": "virtadm-common",
                           DROP_IN: "virtadm-common",
                           "/usr/share/virtadm/lva-names.sed": "virtadm-common",
                           "/usr/include/virtadm/libvirt/libvirt-admin.h": "libvirtadm-dev"}.items():
            self.assertEqual(seen.get(path), name, path)
        self.assertEqual(packages.conffiles(self.debs["virtadmd"]), ["/etc/virtadm/virtadmd.conf"])
        self.assertEqual(packages.conffiles(self.debs["virtadm-agent"]),
                         ["/etc/virtadm/virtadm-agent.conf"])
        self.assertEqual(packages.conffiles(self.debs["virtadm-common"]), [])

    def test_dependencies(self):
        """Those that linking brings, on libraries of Debian; a daemon needs nothing of the other."""
        def depends(name):
            return re.findall(r"(?:^|[,|] *)([a-z0-9.+-]+)",
                              packages.field(self.debs[name], "Depends"))
        self.assertIn("libsnmp40", " ".join(depends("virtadmd")))
        self.assertIn("libsnmp40", " ".join(depends("virtadm-agent")))
        self.assertNotIn("virtadmd", depends("virtadm-agent"))
        self.assertNotIn("virtadm-agent", depends("virtadmd"))
        self.assertNotIn("virtadm-common", depends("libvirtadm0"))
        self.assertEqual(depends("libvirtadm-dev"), ["libvirtadm0"])
        self.assertEqual(packages.field(self.debs["libvirtadm0"], "Multi-Arch"), "same")

    def test_links(self):
        """Of a page to another one, in the folder where both are installed."""
        with packages.unpacked(self.place, self.debs["virtadm-common"]) as top:
            folder = os.path.join(top, "usr/share/doc/virtadm-common")
            pages = [name for name in os.listdir(folder) if name.endswith(".md")]
            self.assertGreater(len(pages), 20)
            for name in pages:
                with open(os.path.join(folder, name), encoding="utf-8") as text:
                    links = re.findall(r"\]\(([^)#:]+\.(?:md|png|svg))[)#]", text.read())
                self.assertEqual([link for link in links if not os.path.exists(
                    os.path.join(folder, link))], [], name)

    def test_no_traces_of_the_build(self):
        """The folder of the build is in no file: it would be another one each time."""
        with packages.unpacked(self.place, *self.debs.values()) as top:
            for word in self.place.dir, harness.BUILD, harness.SOURCE:
                status, out, _ = harness.run("grep", "-rlF", word, top)
                self.assertEqual((status, out), (1, ""), word)


@harness.needs_root
class Life(unittest.TestCase):
    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        self.folder = packages.build(self.place)
        # what "apt install" brings along as recommended
        self.system = Chroot(self.place, more=("glib-networking",))
        self.system.boot()

    # ---- what a step looks at ----

    def show(self, unit, key):
        return self.system.ok("systemctl", "show", "--value", "-p", key, unit).strip()

    def journal(self, unit):
        self.system.run("journalctl", "--sync")
        return self.system.ok("journalctl", "--no-pager", "-o", "cat", "-u", unit)

    def restart(self, unit):
        """Returns: the status. systemd refuses the sixth start within ten seconds, also (newer ones) with a
        daemon-reload in between: a test can be that quick."""
        self.system.ok("systemctl", "reset-failed", unit)
        return self.system.run("systemctl", "restart", unit)[0]

    def snmp(self, name, *index):
        """As an administrator would ask, on the host itself."""
        _, out, _ = self.system.run("snmpget", "-v2c", "-cpublic", "-On", "-Oe", "-r0", "-t2",
                                    "127.0.0.1", oid(name, *index))
        found = harness.parse(out)
        return found[0][1] if found else None

    def wait_for_snmp(self, value, name, *index):
        wait_for(lambda: self.snmp(name, *index) == value,
                 lambda: f"{name} {value}: {self.snmp(name, *index)}; " +
                 self.journal("virtadmd") + self.journal("virtadm-agent"), 60)

    def edit(self, path, old, new):
        text = self.system.read(path)
        self.assertIn(old, text)
        self.system.write(path, text.replace(old, new))

    def add_to_unit(self, unit, text):
        self.system.write(f"/etc/systemd/system/{unit}.service.d/test.conf", f"[Service]\n{text}\n")
        self.system.ok("systemctl", "daemon-reload")
        self.assertEqual(self.restart(unit), 0, self.journal(unit)[-3000:])
        self.system.wait_active(unit)

    def virsh(self, uri, user=None):
        argv = ["virsh", "-c", uri, "list", "--name"]
        return self.system.run(*(["runuser", "-u", user, "--", *argv] if user else argv))

    # ---- the steps ----

    def test_life(self):
        before = self.system.files(*OTHERS)
        self.install()
        self.sockets()
        self.walk()
        self.library()
        self.walls()
        self.tls()
        self.watchdog()
        self.upgrade()
        self.downgrade()
        self.remove()
        self.purge()
        left = self.system.files(*OTHERS) ^ before
        # what the test has added, and the folders that are elsewhere
        left -= {"/etc/snmp/snmpd.conf.d/virtadm.conf", "/etc/virtadm", "/srv/virtadm",
                 "/var/lib/virtadm"}
        self.assertEqual(left, set())

    def install(self):
        """Nothing but the packages: both run, and say so."""
        self.system.install(*packages.debs(self.folder))
        self.system.wait_active("virtadmd", "virtadm-agent")
        for unit in "virtadmd", "virtadm-agent":
            self.assertEqual(self.show(unit, "UnitFileState"), "enabled")
            self.assertEqual(self.show(unit, "NRestarts"), "0")
            self.assertNotIn("capabilities cannot", self.journal(unit))
            wait_for(lambda unit=unit: self.show(unit, "StatusText") ==
                     "Connected to the master agent", f"{unit} to have found snmpd", 60)

    def sockets(self):
        """The members of the group libvirt may connect, and nobody else."""
        self.assertEqual(self.system.ok("stat", "-c", "%A %U %G %n", SOCKETS + "/libvirt-sock",
                                        SOCKETS + "/libvirt-sock-ro",
                                        SOCKETS + "/virtadm-admin-sock").splitlines(),
                         [f"srw-rw---- root libvirt {SOCKETS}/libvirt-sock",
                          f"srw-rw---- root libvirt {SOCKETS}/libvirt-sock-ro",
                          f"srw------- root root {SOCKETS}/virtadm-admin-sock"])
        self.system.ok("useradd", "-M", "-N", "-G", "libvirt", "member")
        self.system.ok("useradd", "-M", "-N", "stranger")
        uri = f"test+unix:///default?socket={SOCKETS}/libvirt-sock"
        status, out, err = self.virsh(uri, "member")
        self.assertEqual((status, out.split()), (0, ["test"]), err)
        self.assertIn("Permission denied", self.virsh(uri, "stranger")[2])
        status, out, err = self.virsh(f"qemu:///system?socket={SOCKETS}/libvirt-sock", "member")
        # where there is no qemu, libvirtd says so, and not virtadmd
        self.assertIn(status, (0, 1), err)
        self.assertEqual(self.system.run(
            "virt-admin", "-c", f"libvirtd:///system?socket={SOCKETS}/virtadm-admin-sock",
            "server-list")[0], 0)
        for user in "member", "stranger":
            self.system.ok("userdel", user)

    def walk(self):
        """One file for snmpd; virtadmd has the default context, and virtadm-agent when it is gone."""
        self.assertIsNone(self.snmp("lvaDaemonName"))
        self.system.ok("cp", DROP_IN, "/etc/snmp/snmpd.conf.d/")
        self.system.ok("systemctl", "restart", "snmpd")
        # whoever is the first after a restart
        self.system.ok("systemctl", "stop", "virtadm-agent")
        self.wait_for_snmp("virtadmd", "lvaDaemonName")
        self.assertEqual(self.snmp("lvaServerName", 2), "libvirtd")
        self.assertEqual(self.snmp("lvaServerClientsMax", 2), 5000)
        out = self.system.ok("sh", "-c", "snmpbulkwalk -v2c -cpublic -On localhost ."
                             f"{harness.ROOT_OID} | sed -f /usr/share/virtadm/lva-names.sed")
        self.assertIn('lvaServerName.2 = STRING: "libvirtd"', out)
        self.system.ok("systemctl", "stop", "virtadmd")
        self.assertFalse(os.path.exists(self.system.path(SOCKETS)))
        self.system.ok("systemctl", "start", "virtadm-agent")
        self.wait_for_snmp("libvirtd", "lvaDaemonName")
        self.wait_for_snmp(1, "lvaDaemonState")
        self.system.ok("systemctl", "start", "virtadmd")
        self.system.wait_active("virtadmd")

    def library(self):
        """A program that is compiled with the packages runs with them."""
        with packages.unpacked(self.place, *packages.debs(self.folder, "libvirtadm0",
                                                          "libvirtadm-dev")) as top:
            pc = harness.run("find", top, "-name", "libvirtadm.pc")[1].strip()
            flags = packages.must(
                harness.tool("pkg-config"), "--cflags", "--libs", "libvirtadm",
                env={"PKG_CONFIG_PATH": os.path.dirname(pc), "PKG_CONFIG_SYSROOT_DIR": top}).split()
            program = self.place.path("servers")
            packages.must("cc", os.path.join(
                top, "usr/share/doc/libvirtadm-dev/examples/servers.c"), "-o", program, *flags)
        name = self.system.copy(program)
        out = self.system.ok(name, f"libvirtd:///system?socket={SOCKETS}/virtadm-admin-sock")
        self.assertIn("libvirtd", out)

    def walls(self):
        """No powers but those that the job takes; files are where the unit lets them be."""
        for unit, powers in ("virtadmd", 1), ("virtadm-agent", 0):
            status = self.system.ok("cat", f"/proc/{self.show(unit, 'MainPID')}/status")
            self.assertEqual([int(word, 16) for word in
                              re.findall(r"^Cap(?:Prm|Eff|Bnd):\s+(\w+)", status, re.M)],
                             [powers] * 3, unit)
            self.assertIn("NoNewPrivs:\t1\n", status)
            self.assertIn("Seccomp:\t2\n", status)
        conf = "/etc/virtadm/virtadmd.conf"
        self.edit(conf, "# outputs = 1:journald",
                  "outputs = 1:journald 1:file:/var/log/virtadm/virtadmd.log")
        self.system.ok("systemctl", "reload", "virtadmd")
        wait_for(lambda: os.path.exists(self.system.path("/var/log/virtadm/virtadmd.log")),
                 lambda: self.journal("virtadmd"))
        self.edit(conf, "/var/log/virtadm/virtadmd.log", "/srv/virtadmd.log")
        self.system.ok("systemctl", "reload", "virtadmd")
        wait_for(lambda: "Read-only file system" in self.journal("virtadmd"),
                 lambda: self.journal("virtadmd"))
        self.add_to_unit("virtadmd", "ReadWritePaths=/srv")
        wait_for(lambda: os.path.exists(self.system.path("/srv/virtadmd.log")),
                 lambda: self.journal("virtadmd"))
        os.unlink(self.system.path("/srv/virtadmd.log"))
        self.edit(conf, "1:journald 1:file:/srv/virtadmd.log", "1:journald")

    def tls(self):
        """Within the walls, with files where libvirt has them, and then in /root."""
        authority = Authority(self.place.path("ca"))
        server = authority.issue_server()
        client = authority.issue("client", 'cn = "client"')
        for folder, where in (server, "/etc/pki/virtadm"), (server, "/root/pki"), \
                (client, "/etc/pki/client"):
            shutil.copytree(folder, self.system.path(where))
        self.system.ok("chmod", "-R", "go=", "/etc/pki/virtadm", "/root/pki")
        self.edit("/etc/virtadm/virtadmd.conf", "# listen = ", "listen = ")
        self.edit("/etc/virtadm/virtadmd.conf", "# max_clients", "\n".join(
            f"{key}_file = /etc/pki/virtadm/{name}.pem" for key, name in
            (("ca", "cacert"), ("cert", "servercert"), ("key", "serverkey"))) + "\n# max_clients")
        self.assertEqual(self.restart("virtadmd"), 0, self.journal("virtadmd")[-3000:])
        self.system.wait_active("virtadmd")
        uri = "test+tls://localhost:16514/default?pkipath=/etc/pki/client"
        status, out, err = self.virsh(uri)
        self.assertEqual((status, out.split()), (0, ["test"]), err + self.journal("virtadmd"))
        self.edit("/etc/virtadm/virtadmd.conf", "/etc/pki/virtadm", "/root/pki")
        self.assertNotEqual(self.restart("virtadmd"), 0)
        self.assertIn("'/root/pki/cacert.pem': cannot be read", self.journal("virtadmd"))
        self.add_to_unit("virtadmd", "ProtectHome=read-only")
        self.assertEqual(self.virsh(uri)[0], 0)

    def watchdog(self):
        """Who does not go round any more is ended, and started anew."""
        for unit in "virtadmd", "virtadm-agent":
            self.add_to_unit(unit, "ProtectHome=read-only\nWatchdogSec=2")
            pid = self.show(unit, "MainPID")
            self.system.ok("kill", "-STOP", pid)
            wait_for(lambda unit=unit: self.show(unit, "NRestarts") == "1",
                     lambda unit=unit: self.journal(unit)[-1000:], 60)
            self.system.wait_active(unit)
            self.assertNotEqual(self.show(unit, "MainPID"), pid)
            self.assertIn("Watchdog timeout", self.journal(unit))
        shutil.rmtree(self.system.path("/etc/systemd/system/virtadm-agent.service.d"))

    def upgrade(self):
        """What the administrator has changed stays; what only the package has changed is new; what
        runs is the new version."""
        mine = self.system.read("/etc/virtadm/virtadmd.conf")

        def change(name, top):
            if name == "virtadm-agent":
                with open(os.path.join(top, "etc/virtadm/virtadm-agent.conf"), "a",
                          encoding="utf-8") as out:
                    out.write("# new\n")
        pids = [self.show(unit, "MainPID") for unit in ("virtadmd", "virtadm-agent")]
        self.system.install(*packages.debs(packages.next_version(self.place, self.folder, change)))
        self.system.wait_active("virtadmd", "virtadm-agent")
        for unit, pid in zip(("virtadmd", "virtadm-agent"), pids):
            self.assertNotEqual(self.show(unit, "MainPID"), pid)
            self.assertRegex(self.system.ok("dpkg-query", "-W", unit), r"\+1$")
        self.assertEqual(self.system.read("/etc/virtadm/virtadmd.conf"), mine)
        self.assertIn("# new", self.system.read("/etc/virtadm/virtadm-agent.conf"))
        self.wait_for_snmp(5000, "lvaServerClientsMax", 2)

    def downgrade(self):
        """Back to the version before, as one does when the new one disappoints."""
        mine = self.system.read("/etc/virtadm/virtadmd.conf")
        self.system.install(*packages.debs(self.folder), options=("--allow-downgrades",))
        self.system.wait_active("virtadmd", "virtadm-agent")
        for unit in "virtadmd", "virtadm-agent":
            self.assertNotRegex(self.system.ok("dpkg-query", "-W", unit), r"\+1$")
        self.assertEqual(self.system.read("/etc/virtadm/virtadmd.conf"), mine)
        self.wait_for_snmp(5000, "lvaServerClientsMax", 2)

    def remove(self):
        """Nothing runs; what was configured stays, and what was stored."""
        shutil.rmtree(self.system.path("/etc/systemd/system/virtadmd.service.d"))
        self.system.write("/var/log/virtadm/kept.log", "kept\n")
        self.system.ok("apt-get", "-q", "-y", "-o", "Dpkg::Use-Pty=0", "remove", *packages.NAMES)
        self.assertFalse(self.system.run("pidof", "virtadmd", "virtadm-agent")[1])
        for path in ("/etc/virtadm/virtadmd.conf", "/etc/virtadm/virtadm-agent.conf",
                     "/var/lib/virtadm", "/var/log/virtadm/kept.log"):
            self.assertTrue(os.path.exists(self.system.path(path)), path)

    def purge(self):
        """Also where an administrator has put the folders elsewhere: these stay, empty."""
        shutil.rmtree(self.system.path("/etc/pki"))
        self.system.ok("mv", "/etc/virtadm", "/srv/virtadm")
        self.system.ok("ln", "-s", "/srv/virtadm", "/etc/virtadm")
        self.system.ok("mount", "-t", "tmpfs", "none", "/var/lib/virtadm")
        self.system.ok("apt-get", "-q", "-y", "-o", "Dpkg::Use-Pty=0", "purge", "virtadmd",
                       "virtadm-agent")
        self.assertEqual(self.system.run("dpkg-query", "-W", *packages.NAMES)[1], "")
        self.assertEqual(self.system.ok("ls", "-A", "/srv/virtadm", "/var/lib/virtadm").split(),
                         ["/srv/virtadm:", "/var/lib/virtadm:"])


@harness.needs_root
class Smoke(unittest.TestCase):
    """The test that comes with the source package, as autopkgtest runs it: with what its control file
    asks for."""

    def test_smoke(self):
        place = harness.Place()
        self.addCleanup(place.close)
        with open(os.path.join(harness.SOURCE, "debian/tests/control"), encoding="utf-8") as control:
            depends = re.search(r"^Depends: (.*(?:\n .*)*)", control.read(), re.M)[1]
        wanted = re.findall(r"[a-z0-9.+-]+", depends)
        system = Chroot(place, packages=[name for name in wanted if name not in packages.NAMES])
        system.boot()
        system.install(*packages.debs(packages.build(place)))
        out = system.ok("/bin/sh", system.copy(os.path.join(harness.SOURCE, "debian/tests/smoke")),
                        timeout=300)
        self.assertIn("active\nactive\n", out)
        self.assertIn("libvirtd", out)
