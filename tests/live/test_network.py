# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the relay carries for clients of the network, TLS and TCP: commands, streams, the longest
messages, readers that stop; and those who get through TLS and then say nothing."""

import os
import signal
import socket
import time
import unittest

import certificates
import harness
import test_bulk
import test_relay
import test_tls
import upstream
from test_streams import DRIVER, MIB
from upstream import PAYLOAD_MAX, Speaker

PATH = DRIVER.rpartition("/")[2]
SIZE = 8 * MIB + 12345
DEADLINE = 3


class Network(unittest.TestCase):
    """One daemon: a relay to a libvirtd, one to what answers as a test says, and one that asks for SASL
    behind TLS."""

    @classmethod
    def setUpClass(cls):
        cls.place = harness.Place()
        cls.addClassCleanup(cls.place.close)
        ca = certificates.Authority(cls.place.path("ca"))
        files, cls.pki = ca.issue_server(), ca.issue("guest", 'cn = "Guest"')
        keys = (f"ca_file = {files}/cacert.pem\ncert_file = {files}/servercert.pem\n"
                f"key_file = {files}/serverkey.pem\n")
        cls.ports = [harness.free_port(socket.SOCK_STREAM) for _ in range(5)]
        cls.echo = upstream.Upstream(cls.place, test_bulk.serve)
        cls.snmpd = harness.Snmpd(cls.place)
        cls.libvirtd = harness.Libvirtd(cls.place)
        cls.daemon = harness.Virtadmd(cls.place, cls.libvirtd, cls.snmpd, server=f"""\
listen = unix:libvirt-sock;tls:127.0.0.1:{cls.ports[0]};tcp:127.0.0.1:{cls.ports[1]}
{keys}
[server echo]
index = 3
upstream = unix:{cls.echo.path}
listen = tls:127.0.0.1:{cls.ports[2]};tcp:127.0.0.1:{cls.ports[3]}
{keys}
[server strangers]
index = 4
upstream = unix:{cls.echo.path}
listen = tls+sasl:127.0.0.1:{cls.ports[4]}
auth_timeout = {DEADLINE}
{keys}""")
        cls.uris = [cls.uri(transport, "storage", PATH) for transport in ("tls", "tcp")]

    @classmethod
    def uri(cls, transport, driver, path):
        tls = transport == "tls"
        return (f"{driver}+{transport}://127.0.0.1:{cls.ports[0 if tls else 1]}/{path}" +
                (f"?pkipath={cls.pki}" if tls else ""))

    def virsh(self, uri, command):
        answer = harness.run(harness.tool("virsh"), "-q", "-c", uri, command)
        self.assertEqual(answer[0], 0, (command, answer))

    def read(self, *names):
        with open(self.place.path(*names), "rb") as file:
            return file.read()

    def test_commands(self):
        """Many calls of one virsh, and their errors, are answered as without us."""
        command = "; ".join(test_relay.MIXED)
        expected = harness.virsh(self.libvirtd.socket, command)
        self.assertGreater(len(expected[1]), 5000)
        for transport in "tls", "tcp":
            with self.subTest(transport):
                self.assertEqual(harness.run(harness.tool("virsh"), "-c",
                                             self.uri(transport, "test", "default"), command),
                                 expected)

    def test_streams(self):
        """Volumes up and down, beside a virsh that is stopped within its download."""
        data = os.urandom(MIB) * (SIZE // MIB) + os.urandom(SIZE % MIB)
        with open(self.place.path("data"), "wb") as out:
            out.write(data)
        os.mkdir(self.place.path("volumes"))
        pool = self.place.write("pool.xml", "<pool type='dir'><name>volumes</name><target><path>"
                                f"{self.place.path('volumes')}</path></target></pool>")
        self.virsh(self.uris[0], f"pool-create {pool}")
        self.virsh(self.uris[0], f"vol-create-as volumes whole {SIZE}")
        self.virsh(self.uris[0], f"vol-upload whole {self.place.path('data')} --pool volumes")

        def begin(number, uri):
            path = self.place.path(f"fifo{number}")
            os.mkfifo(path)
            stopped = self.place.spawn(f"stopped{number}", [
                harness.tool("virsh"), "-c", uri, f"vol-download whole {path} --pool volumes"])
            outlet = open(path, "rb")
            self.addCleanup(outlet.close)
            self.assertEqual(outlet.read(1000), data[:1000])
            stopped.kill(signal.SIGSTOP)
            return stopped, outlet
        stopped = [begin(*one) for one in enumerate(self.uris)]

        def transfer(name, uri):
            for command in (f"vol-create-as volumes {name} {SIZE}",
                            f"vol-upload {name} {self.place.path('data')} --pool volumes",
                            f"vol-download {name} {self.place.path(name)} --pool volumes"):
                self.virsh(uri, command)
        names = [f"{name}{number}" for name in ("tls", "tcp") for number in range(2)]
        test_bulk.together(*(lambda name=name: transfer(name, self.uris[name[:3] == "tcp"])
                             for name in names))
        for name in names:
            self.assertTrue(self.read("volumes", name) == self.read(name) == data, name)
        for virsh, outlet in stopped:
            self.assertTrue(virsh.alive())
            virsh.kill(signal.SIGCONT)
            self.assertTrue(outlet.read() == data[1000:])
            self.assertEqual(virsh.wait(), 0)

    def speak(self, number):
        sock = socket.create_connection(("127.0.0.1", self.ports[number]), harness.PATIENCE)
        if number != 3:
            sock = test_tls.wrap(sock, self.pki)
            self.assertEqual(sock.recv(1), b"\1")
        speaker = Speaker(sock)
        self.addCleanup(speaker.close)
        return speaker

    def test_longest_messages(self):
        """There and back; and the answers to somebody who does not read wait for him."""
        late = [self.speak(number).open() for number in (2, 3)]
        speakers = [self.speak(number).open() for number in (2, 2, 3)]
        before = self.daemon.process.resident()
        data = os.urandom(3 * MIB)
        for speaker in late:
            for _ in range(3):
                speaker.send(test_bulk.ECHO, data)
        for length in MIB, PAYLOAD_MAX:
            test_bulk.together(*(lambda one=one: test_bulk.echo(self, one, length)
                                 for one in speakers))
        for speaker in late:
            for serial in range(2, 5):
                reply = speaker.receive()
                self.assertEqual(reply.serial, serial)
                self.assertTrue(reply.payload == data)
        harness.wait_for(lambda: self.snmpd.get1("lvaServerWorkersFree", 3) ==
                         self.snmpd.get1("lvaServerWorkersCurrent", 3), "all workers to be free")
        print(f"{self.daemon.process.resident() - before} KiB more", end=" ... ")
        if "VADM_SANITIZER_ENV" not in os.environ:  # which keeps what is freed for a while
            self.assertLess(self.daemon.process.resident() - before, 16 * 1024)

    def test_silent_behind_tls(self):
        """A good certificate is not enough where SASL is asked for, and time is short."""
        began = time.monotonic()
        silent = self.speak(4)
        self.assertEqual(self.snmpd.get1("lvaServerClientsUnauthCurrent", 4), 1)
        self.assertTrue(silent.ended())
        self.assertGreater(time.monotonic() - began, DEADLINE - 0.1)
        self.assertEqual(self.snmpd.get1("lvaServerAuthFailures", 4), 1)
        self.assertIn(f"not authenticated after {DEADLINE} seconds", self.daemon.log_text())


if __name__ == "__main__":
    unittest.main()
