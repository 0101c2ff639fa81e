# SPDX-License-Identifier: LGPL-2.1-or-later
"""virsh through virtadmd is virsh: byte for byte what the same command prints without it."""

import grp
import os
import pwd
import re
import struct
import subprocess
import threading
import time
import unittest

import harness
from harness import Raw, oid, open_payload, xdr_string

# Each starts from the test driver's default state, because that lives as long as a connection.
COMMANDS = (
    "list --all",
    "list --uuid",
    "list --title",
    "domstate test --reason",
    "dumpxml test",
    "domid test",
    "domuuid test",
    "domname 1",
    "vcpucount test",
    "dommemstat test",
    "domstats test",
    "domblklist test",
    "domiflist test",
    "domblkinfo test vda",
    "suspend test; domstate test; resume test; domstate test",
    "shutdown test; domstate test; start test; list",
    "destroy test; list --all",
    "reboot test; domstate test",
    "define dom.xml; list --all; dumpxml fresh; undefine fresh; list --all",
    "create dom.xml; list; destroy fresh",
    "define dom.xml; start fresh; setvcpus fresh 1; vcpucount fresh; destroy fresh",
    "save test saved.img; list --all; restore saved.img; list",
    "managedsave test; list --all; start test; list",
    "net-list --all",
    "net-info default",
    "net-dumpxml default",
    "net-define net.xml; net-start n2; net-list --all; net-destroy n2; net-undefine n2; "
    "net-list --all",
    "net-create net.xml; net-autostart n2; net-destroy n2",
    "pool-list --all",
    "pool-info default-pool",
    "pool-dumpxml default-pool",
    "pool-define pool.xml; pool-build p2; pool-start p2; pool-list --all; "
    "pool-destroy p2; pool-delete p2; pool-undefine p2",
    "vol-list default-pool",
    "vol-create default-pool vol.xml; vol-list default-pool; vol-info v1 default-pool; "
    "vol-dumpxml v1 default-pool; vol-path v1 default-pool; vol-delete v1 default-pool",
    "vol-create-as default-pool v2 1M; vol-clone v2 v3 default-pool; "
    "vol-list default-pool --details",
    "iface-list --all",
    "iface-dumpxml eth1",
    "iface-define iface.xml; iface-list --all; iface-start eth9; iface-destroy eth9; "
    "iface-undefine eth9",
    "nodedev-list",
    "nodedev-dumpxml computer",
    "secret-list",
    "nodeinfo",
    "nodememstats",
    "freecell --all",
    "capabilities",
    "domcapabilities",
    "sysinfo",
    "hostname",
    "version --daemon",
    "maxvcpus",
    "cpu-models x86_64",
    "cpu-compare /nonexistent",
    "domstate nosuch",
    "start test",
    "undefine test",
    "net-info nosuch",
    "screenshot test shot.ppm",
    "desc test",
    "desc test --config \"some words\"; desc test --config",
    "metadata test http://x",
    "domfsinfo test",
    "domjobinfo test",
    "schedinfo test",
    "blkdeviotune test vda",
    "iothreadinfo test",
    "numatune test",
    "domdisplay test",
    "domhostname test",
    "send-key test KEY_A",
    "dump test core.out",
    "attach-device test dom.xml",
    "detach-disk test vda",
    "event --list",
    "event test --event lifecycle --timeout 1",
    "event --all --timeout 1",
    "net-event --event lifecycle --timeout 1",
    "nodesuspend mem 60",
    "checkpoint-list test",
    "snapshot-create test snap.xml; snapshot-list test --name; snapshot-current test --name; "
    "snapshot-delete test s1; snapshot-list test --name",
    "define dom.xml; setmem fresh 32768 --config; dumpxml fresh",
    "autostart test; list --all --autostart",
)

FILES = {
    "dom.xml": "<domain type='test'><name>fresh</name>"
               "<uuid>11111111-2222-3333-4444-555555555555</uuid>"
               "<memory unit='KiB'>65536</memory><vcpu>2</vcpu><os><type>hvm</type></os></domain>",
    "net.xml": "<network><name>n2</name><uuid>11111111-2222-3333-4444-555555555556</uuid>"
               "<bridge name='br9'/><ip address='10.9.0.1' netmask='255.255.255.0'/></network>",
    "pool.xml": "<pool type='dir'><name>p2</name>"
                "<uuid>11111111-2222-3333-4444-555555555557</uuid>"
                "<target><path>/p2</path></target></pool>",
    "vol.xml": "<volume><name>v1</name><capacity>1048576</capacity></volume>",
    "snap.xml": "<domainsnapshot><name>s1</name><description>first</description>"
                "</domainsnapshot>",
    "iface.xml": "<interface type='ethernet' name='eth9'><start mode='none'/></interface>",
}

# Commands that leave the state as it was and print no time: ten clients may mix them at will.
MIXED = ("list --all", "dumpxml test", "net-list --all", "pool-list --all", "vol-list default-pool",
         "capabilities", "nodeinfo", "iface-dumpxml eth1", "net-dumpxml default", "domstats test",
         "sysinfo", "domstate nosuch")

OPEN, SUPPORTS_FEATURE, AUTH_LIST, GET_TYPE, HOSTNAME, SET_IDENTITY = 1, 60, 66, 3, 59, 419
LOOKUP_BY_NAME, SAVE = 23, 55


class Relay(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = harness.Place()
        cls.addClassCleanup(cls.place.close)
        for name, text in FILES.items():
            cls.place.write(name, text)
        cls.addClassCleanup(os.chdir, os.getcwd())
        os.chdir(cls.place.dir)
        cls.libvirtd = harness.Libvirtd(cls.place)
        cls.snmpd = harness.Snmpd(cls.place)
        cls.daemon = harness.Virtadmd(cls.place, cls.libvirtd, cls.snmpd)

    def compare(self, command, readonly=False):
        options = ("-r",) if readonly else ()
        ways = [(self.libvirtd.socket, self.daemon.socket),
                (self.libvirtd.socket_ro, self.daemon.socket_ro)][readonly]
        direct, relayed = (harness.virsh(path, command, options=options) for path in ways)
        scrub = [tuple(str(part).replace(path, "SOCKET") for part in answer)
                 for answer, path in zip((direct, relayed), ways)]
        self.assertEqual(scrub[0], scrub[1])

    def test_commands_are_equal(self):
        self.assertGreaterEqual(len(COMMANDS), 40)
        for command in COMMANDS:
            with self.subTest(command=command):
                self.compare(command)

    def test_jobs_of_a_late_virsh(self):
        """Ends, which is not to be taken for granted: tools/virsh-jobs.c."""
        for command in ("managedsave test; start test", "dump test core.late",
                        "save test late.img; restore late.img"):
            with self.subTest(command=command):
                status, _, err = harness.virsh(self.libvirtd.socket, command, timeout=30, env={
                    **os.environ, "VADM_VIRSH_LATE": "200"})
                self.assertEqual((status, err), (0, ""))

    @harness.needs_root  # another user's libvirtd has no read-only socket
    def test_read_only_is_equal(self):
        for command in ("list --all", "dumpxml test", "destroy test", "net-list --all",
                        "define dom.xml", "pool-destroy default-pool"):
            with self.subTest(command=command):
                self.compare(command, readonly=True)

    def test_screenshot_stream_is_equal(self):
        shots = []
        for path, name in ((self.libvirtd.socket, "a.png"), (self.daemon.socket, "b.png")):
            self.assertEqual(harness.virsh(path, f"screenshot test {name}")[0], 0)
            with open(name, "rb") as shot:
                shots.append(shot.read())
        self.assertGreater(len(shots[0]), 100)
        self.assertEqual(shots[0], shots[1])

    def test_ten_clients_for_a_minute(self):
        """Every answer of ten mixed clients equals the direct one, without one difference."""
        expected = {command: harness.virsh(self.libvirtd.socket, command) for command in MIXED}
        scale = float(os.environ.get("VADM_TEST_SCALE", "1"))
        end = time.monotonic() + max(60 * scale, 5)
        wrong, counts = [], [0] * 10

        def client(number):
            turn = number
            while time.monotonic() < end and not wrong:
                command = MIXED[turn % len(MIXED)]
                turn += 1
                answer = harness.virsh(self.daemon.socket, command)
                if answer != expected[command]:
                    wrong.append((command, answer, expected[command]))
                counts[number] += 1
        threads = [threading.Thread(target=client, args=(number,)) for number in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertGreater(min(counts), 1)

    def test_identity_cannot_be_forged(self):
        with Raw(self.daemon.socket, Raw.REMOTE) as client:
            self.assertEqual(client.call(AUTH_LIST)[5:], (0, struct.pack(">Ii", 1, 0)))
            self.assertEqual(client.call(OPEN, open_payload())[5], 0)
            forged = struct.pack(">I", 1) + xdr_string("unix-user-name") + \
                struct.pack(">i", 7) + xdr_string("root") + struct.pack(">I", 0)
            reply = client.call(SET_IDENTITY, forged)
            self.assertEqual(reply[5], 1)
            self.assertEqual(harness.error_of(reply)[0], 88)
            # the connection is still good for honest calls
            self.assertEqual(client.call(GET_TYPE)[5:], (0, xdr_string("TEST")))

    def test_features_answered_here(self):
        with Raw(self.daemon.socket, Raw.REMOTE) as client:
            keepalive = client.call(SUPPORTS_FEATURE, struct.pack(">i", 10))
            self.assertEqual(keepalive[5:], (0, struct.pack(">i", 1)))
            self.assertEqual(client.call(OPEN, open_payload())[5], 0)
            fds = client.call(SUPPORTS_FEATURE, struct.pack(">i", 8))
            self.assertEqual(fds[5:], (0, struct.pack(">i", 1)))
            events = client.call(SUPPORTS_FEATURE, struct.pack(">i", 14))
            self.assertEqual(events[5:], (0, struct.pack(">i", 1)))

    def test_events_arrive(self):
        with harness.idle_virsh(self.place, self.daemon.socket, "events") as watcher:
            watcher.stdin.write(b"event test --event lifecycle --timeout 20\n")
            watcher.stdin.flush()
            # registered when the relay has carried the call that registers
            harness.wait_for(lambda: self.requests_of(watcher.pid) >= 6, "the registration")
            self.assertEqual(harness.virsh(self.daemon.socket, "suspend test")[0], 0)
            harness.wait_for(lambda: "Suspended" in self.place.read("events.out"), "the event")

    def requests_of(self, pid):
        rows = self.snmpd.walk(oid("lvaClientUnixProcessId", 2))
        index = [name.rsplit(".", 1)[1] for name, value in rows if value == pid]
        return self.snmpd.get1("lvaClientRequests", 2, index[0]) or 0 if index else 0


class Upstream(unittest.TestCase):
    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)

    def test_identity_arrives(self):
        """libvirtd is told who the client is, before the client's first call."""
        if os.geteuid() != 0:
            self.fail("this test needs root, to be somebody else")
        log = self.place.path("debug.log")
        libvirtd = harness.Libvirtd(self.place, extra=f"""\
log_filters = "1:daemon.remote"
log_outputs = "1:file:{log}"
""")
        daemon = harness.Virtadmd(self.place, libvirtd, server="socket_mode = 0666")
        for folder in self.place.dir, daemon.dir:
            os.chmod(folder, 0o755)
        nobody = pwd.getpwnam("nobody")
        with subprocess.Popen(
                [harness.tool("virsh"), "-q", "-c",
                 f"test+unix:///default?socket={daemon.socket}"], user=nobody.pw_uid,
                group=nobody.pw_gid, extra_groups=[], cwd="/", env={"HOME": "/"},
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL) as client:
            harness.wait_for(lambda: "params[\"process-time\"]" in self.place.read("debug.log"),
                             "the identity")
            with open(f"/proc/{client.pid}/stat", encoding="ascii") as stat:
                started = stat.read().rpartition(")")[2].split()[19]
            client.stdin.close()
        told = dict(re.findall(r'params\["(.*)"\]=(.*)', self.place.read("debug.log")))
        self.assertEqual(told, {
            "user-name": "(string)nobody", "unix-user-id": f"(ullong){nobody.pw_uid}",
            "group-name": f"(string){grp.getgrgid(nobody.pw_gid).gr_name}",
            "unix-group-id": f"(ullong){nobody.pw_gid}",
            "process-id": f"(llong){client.pid}", "process-time": f"(ullong){started}"})

    def test_absent_then_there(self):
        """No upstream: an error at once that names it, and SNMP says so; served when it is back."""
        snmpd = harness.Snmpd(self.place)
        libvirtd = harness.Libvirtd(self.place)
        daemon = harness.Virtadmd(self.place, libvirtd, snmpd)
        self.assertEqual(harness.virsh(daemon.socket, "list")[0], 0)
        self.assertEqual(snmpd.get1("lvaServerUpstreamState", 2), 2)
        self.assertEqual(snmpd.get1("lvaServerUpstreamState", 1), 1)
        with harness.idle_virsh(self.place, daemon.socket) as idle:
            # it makes six calls and is idle; one whose connection ends before ends, too
            harness.wait_for(lambda: any(
                number >= 6 for name, number in snmpd.walk(oid("lvaClientRequests", 2))),
                "a client that is served")
            libvirtd.process.end()
            harness.wait_for(lambda: snmpd.get1("lvaServerClientsCurrent", 2) == 0,
                             "the client to be closed with its upstream")
            self.assertIsNone(idle.poll())
        status, _, err = harness.virsh(daemon.socket, "list", timeout=15)
        self.assertEqual(status, 1)
        self.assertIn(libvirtd.socket, err)
        self.assertEqual(snmpd.get1("lvaServerUpstreamState", 2), 3)
        libvirtd.start()
        self.assertEqual(harness.virsh(daemon.socket, "list")[0], 0)
        self.assertEqual(snmpd.get1("lvaServerUpstreamState", 2), 2)

    def test_not_libvirt(self):
        """An upstream that answers garbage gives an error, and the daemon lives."""
        import socket
        path = self.place.path("fake")
        with socket.socket(socket.AF_UNIX) as fake:
            fake.bind(path)
            fake.listen(5)

            def babble():
                while True:
                    try:
                        peer, _ = fake.accept()
                    except OSError:
                        return
                    with peer:
                        peer.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
            thread = threading.Thread(target=babble, daemon=True)
            thread.start()
            daemon = harness.Virtadmd(self.place, upstream_path=path, upstream_ro_path=path)
            status, _, err = harness.virsh(daemon.socket, "list", timeout=15)
            self.assertEqual(status, 1)
            self.assertIn("error:", err)
            self.assertTrue(daemon.process.alive())
            self.assertEqual(daemon.virt_admin("server-list")[0], 0)

    def test_silent_upstream(self):
        """A full upstream accepts and says nothing: an error within the relay's 10 s."""
        import socket
        path = self.place.path("silent")
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(path)
            silent.listen(5)
            daemon = harness.Virtadmd(self.place, upstream_path=path, upstream_ro_path=path)
            began = time.monotonic()
            status, _, err = harness.virsh(daemon.socket, "list", timeout=25)
            self.assertEqual(status, 1)
            self.assertIn(path, err)
            self.assertLess(time.monotonic() - began, 15)

    def test_busy_upstream(self):
        """A libvirtd that does not read, because of as many calls as it takes at once, is not dead."""
        libvirtd = harness.Libvirtd(self.place, extra="max_client_requests = 5\n")
        daemon = harness.Virtadmd(self.place, libvirtd,
                                  server="keepalive_interval = 1\nkeepalive_count = 1")
        os.mkfifo(path := self.place.path("saved"))
        with Raw(daemon.socket, Raw.REMOTE) as client:
            client.call(AUTH_LIST)
            client.call(OPEN, open_payload())
            domain = client.call(LOOKUP_BY_NAME, xdr_string("test"))[6]
            # the first one holds the domain and waits for a reader, the others wait for the domain
            serials = {client.send(SAVE, domain + xdr_string(path)) for _ in range(5)}
            client.sock.settimeout(6)  # thrice what a dead one is given
            try:
                with self.assertRaises(TimeoutError):
                    self.fail(f"ended the wait: {client.receive()}")
            finally:
                reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
                self.addCleanup(os.close, reader)
            client.sock.settimeout(harness.PATIENCE)
            replies = [client.receive() for _ in serials]
            self.assertEqual({reply[4] for reply in replies}, serials)
            # nobody can save it twice
            self.assertEqual(sorted(reply[5] for reply in replies), [0, 1, 1, 1, 1])
            self.assertEqual(client.call(GET_TYPE)[5], 0)


if __name__ == "__main__":
    unittest.main()
