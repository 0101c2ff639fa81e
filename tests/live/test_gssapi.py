# SPDX-License-Identifier: LGPL-2.1-or-later
"""SASL by Kerberos: the real virsh with a ticket, on unix sockets, inside TLS, and on plain TCP behind
the security layer that both have agreed on; somebody in between who listens and meddles."""

import os
import socket
import struct
import subprocess
import threading
import unittest

import certificates
import harness
import kerberos
import traps
from harness import Raw, oid, wait_for, xdr_string

VERSION, LIST, INIT, START, STEP = 4, 66, 67, 68, 69
REQUIRED = (39, 7, "authentication required")
FAILED = (45, 7, "authentication failed: authentication failed")
UNIX, TCP, TLS = 1, 2, 3
PROTOCOL_ERROR, AUTH_FAILURE = 4, 5


def message(proc):
    return struct.pack(">IIIiIII", 28, Raw.REMOTE, 1, proc, 0, 77, 0)


class Meddler:
    """Between a client and the daemon. It passes all on, and once the daemon has let the client in it
    keeps what goes each way, and has what the client says first go through meddle()."""

    def __init__(self, place, port, meddle=None, early=b""):
        self.port, self.target = harness.free_port(socket.SOCK_STREAM), port
        self.meddle, self.early = meddle or bytes, early
        self.up = self.down = b""  # behind the exchange
        self.layered, self.steps, self.threads = False, 0, []
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.start(self.serve)
        place.callback(self.end)

    def start(self, run, *args):
        thread = threading.Thread(target=run, args=args, daemon=True)
        self.threads.append(thread)
        thread.start()

    def end(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join()

    def serve(self):
        try:
            client = self.listener.accept()[0]
        except OSError:
            return
        daemon = socket.create_connection(("127.0.0.1", self.target))
        self.start(self.pass_on, client, daemon, True)
        self.start(self.pass_on, daemon, client, False)

    def pass_on(self, from_, to, upwards):
        """Ends both when one has ended."""
        clear = b""
        try:
            while data := from_.recv(65536):
                if self.layered:
                    data = self.keep(data, upwards)
                else:
                    clear = self.look(clear + data, upwards)
                    if upwards and self.steps == 2:
                        data += self.early
                to.sendall(data)
        except OSError:
            pass
        for end in from_, to:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def keep(self, data, upwards):
        if not upwards:
            self.down += data
            return data
        if not self.up:
            data = self.meddle(data)
        self.up += data
        return data

    def look(self, clear, upwards):
        """Is it the answer that lets the client in? Then nothing comes behind it until the client
        has seen it. Returns: what is no whole message yet."""
        while len(clear) >= 28 and len(clear) >= struct.unpack(">I", clear[:4])[0]:
            length = struct.unpack(">I", clear[:4])[0]
            proc, kind, _, status, complete = struct.unpack(
                ">iIIIi", (clear[:length] + bytes(4))[12:32])
            if upwards and proc == STEP:
                self.steps += 1
            if not upwards and proc in (START, STEP) and kind == 1 and status == 0 and complete:
                self.layered = True
            clear = clear[length:]
        return clear


class Tcp(Raw):
    def __init__(self, port):  # not the parent's: that one connects to a unix socket
        self.program, self.serial, self.buffer = self.REMOTE, 0, b""
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.settimeout(harness.PATIENCE)


class Gssapi(unittest.TestCase):
    """One KDC, one daemon."""

    @classmethod
    def setUpClass(cls):
        cls.place = harness.Place()
        cls.addClassCleanup(cls.place.close)
        cls.kdc = kerberos.Kdc(cls.place, "fred", "anna")
        # what the daemon has no key for
        cls.kdc.kadmin(f"addprinc -randkey libvirt/127.0.0.2@{kerberos.REALM}")
        os.makedirs(cls.place.path("sasl"))
        cls.place.write("sasl/virtadmd.conf", f"""\
mech_list: gssapi scram-sha-256 plain
keytab: {cls.kdc.keytab}
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {cls.place.path("sasl")}/sasldb2
""")
        cls.env = {"SASL_CONF_PATH": cls.place.path("sasl"), **cls.kdc.env}
        cls.port, cls.tls_port = (harness.free_port(socket.SOCK_STREAM) for _ in range(2))
        authority = certificates.Authority(cls.place.path("ca"))
        server, cls.pki = authority.issue_server(), authority.issue("fred", 'cn = "fred"')
        cls.receiver = traps.Receiver(cls.place)
        cls.snmpd = harness.Snmpd(
            cls.place, f"trap2sink udp:127.0.0.1:{cls.receiver.port} public\n")
        cls.upstream = harness.Libvirtd(cls.place)
        cls.daemon = harness.Virtadmd(
            cls.place, cls.upstream, cls.snmpd, env=cls.env, server=f"""\
listen = unix+sasl:libvirt-sock;tcp+sasl:127.0.0.1:{cls.port};tcp+sasl:127.0.0.2:{cls.port};tls+sasl:127.0.0.1:{cls.tls_port}
ca_file = {server}/cacert.pem
cert_file = {server}/servercert.pem
key_file = {server}/serverkey.pem
sasl_allowed_username_list = fred
""", extra="[notify]\nenable = authFailure;clientDisconnect\nmin_interval = 0\n")
        cls.fred = cls.kdc.ticket("fred")

    def setUp(self):
        self.watch = traps.Watch(self.receiver, lambda told: told.index[:1] == (2,))
        self.quiet()
        self.watch.skip()

    def quiet(self):
        """Who was there has gone, and all that was to be told of it is here."""
        wait_for(lambda: self.snmpd.get1("lvaServerClientsCurrent", 2) == 0, "all to be gone")
        wait_for(lambda: self.snmpd.get1("lvaNotifySent") == len(self.receiver.told()),
                 "the notifications")

    def tcp(self, port=None, driver="test", host="127.0.0.1", path="default"):
        return f"{driver}+tcp://{host}:{port or self.port}/{path}"

    def unix(self):
        return f"test+unix:///default?socket={self.daemon.socket}"

    def virsh(self, uri, *args, env=None):
        return harness.run(harness.tool("virsh"), "-c", uri, *args, env=env or self.fred)

    def failures(self):
        return self.snmpd.get1("lvaServerAuthFailures", 2)

    def test_virsh(self):
        """With a ticket it is served as without SASL, and known by name."""
        expected = harness.virsh(self.upstream.socket, "dumpxml test; list --all; net-list; pool-list")
        tls = f"test+tls://127.0.0.1:{self.tls_port}/default?pkipath={self.pki}&no_sanity=1"
        for uri, transport in (self.unix(), UNIX), (self.tcp(), TCP), (tls, TLS):
            with self.subTest(uri=uri):
                self.assertEqual(self.virsh(uri, "dumpxml test; list --all; net-list; pool-list"),
                                 expected)
                self.quiet()  # the row of the one before is gone
                argv = [harness.tool("virsh"), "-q", "-c", uri]
                with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                      env=self.fred) as idle:
                    rows = wait_for(lambda: [
                        number.rsplit(".", 1)[1] for number, value in self.snmpd.walk(
                            harness.OIDS["lvaClientSaslUserName"]) if value == "fred"], "the row")
                    index = int(rows[0])
                    self.assertEqual(self.snmpd.get1("lvaClientTransport", 2, index), transport)
                    self.assertEqual(self.snmpd.get1("lvaClientAuthenticated", 2, index), 1)
                    ident = self.daemon.virt_admin("client-list", "libvirtd")[1].split("\n")[2] \
                        .split()[0]
                    info = self.daemon.virt_admin("client-info", "libvirtd", ident)[1]
                    self.assertRegex(info, r"sasl_user_name *: fred\n")
                    idle.stdin.close()

    def test_offer(self):
        """On plain TCP only what has a layer."""
        for client, offer in ((Raw(self.daemon.socket, Raw.REMOTE), "GSSAPI,SCRAM-SHA-256,PLAIN"),
                              (Tcp(self.port), "GSSAPI")):
            with client:
                self.assertEqual(harness.error_of(client.call(VERSION)), REQUIRED)
                self.assertEqual(client.call(LIST)[6], struct.pack(">II", 1, 1))
                self.assertEqual(client.call(INIT)[6], xdr_string(offer))
        self.quiet()
        before = self.failures()
        with Tcp(self.port) as client:
            client.call(INIT)
            reply = client.call(START, xdr_string("SCRAM-SHA-256") + struct.pack(">ii", 1, 0))
            self.assertEqual(harness.error_of(reply), FAILED)
            self.assertIsNone(client.receive())
        self.assertEqual(self.failures(), before + 1)

    def test_nothing_in_clear(self):
        """Big answers, too, are what they are without us, and nobody in between can read them."""
        meddler = Meddler(self.place, self.port)
        command = "; ".join(["dumpxml test"] * 200 + ["capabilities"] * 20)
        self.assertEqual(self.virsh(self.tcp(meddler.port), command),
                         harness.virsh(self.upstream.socket, command))
        self.assertGreater(len(meddler.down), 200 * 1000)
        for text in b"test:///default", b"<domain", b"capabilities", bytes(12):
            self.assertNotIn(text, meddler.up + meddler.down)

    def test_streams(self):
        """Volumes up and down by three clients at once, and an event."""
        data = os.urandom(3 << 20) + bytes(1 << 20) + os.urandom((1 << 20) + 13)
        source = self.place.path("data")
        with open(source, "wb") as out:
            out.write(data)
        os.mkdir(self.place.path("volumes"))
        pool = self.place.write("volumes.xml", "<pool type='dir'><name>volumes</name><target><path>"
                                f"{self.place.path('volumes')}</path></target></pool>")
        uri = self.tcp(driver="storage", path="system" if os.geteuid() == 0 else "session")
        argv = [harness.tool("virsh"), "-c", uri, "pool-event", "--event", "lifecycle", "--loop",
                "--timeout", "120"]
        events = self.place.spawn("events", argv, self.fred)
        wait_for(lambda: self.snmpd.get1("lvaServerClientsCurrent", 2) == 1, "the listener")
        answers = []

        def transfer(name):
            back = self.place.path("back-" + name)
            for command in (f"vol-create-as volumes {name} {len(data)}",
                            f"vol-upload {name} {source} --pool volumes",
                            f"vol-download {name} {back} --pool volumes"):
                answers.append(self.virsh(uri, command))
            with open(back, "rb") as file, \
                    open(self.place.path("volumes", name), "rb") as volume:
                answers.append((0 if data == file.read() == volume.read() else 1, name))
        self.assertEqual(self.virsh(uri, f"pool-create {pool}")[0], 0)
        threads = [threading.Thread(target=transfer, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([answer for answer in answers if answer[0] != 0], [])
        self.assertEqual(len(answers), 12)
        self.assertEqual(self.virsh(uri, "pool-destroy volumes")[0], 0)
        wait_for(lambda: "volumes: Stopped" in events.output(), events.output)
        events.end()

    def test_refused(self):
        """A ticket for somebody whose key is not here; somebody who is not allowed; no ticket at
        all, which is found out by virsh itself."""
        before = self.failures()
        for host, env in ("127.0.0.2", self.fred), ("127.0.0.1", self.kdc.ticket("anna")):
            with self.subTest(host=host):
                status, _, err = self.virsh(self.tcp(host=host), "list", env=env)
                before += 1
                self.assertEqual(status, 1)
                self.assertIn(FAILED[2], err)
                told = self.watch.expect("lvaClientAuthFailure", 2, ClientTransport=TCP,
                                         ServerAuthFailures=before)
                self.assertTrue(told.values["lvaClientPeer"].startswith("127.0.0.1:"))
                self.watch.expect("lvaClientDisconnected", *told.index,
                                  ClientDisconnectReason=AUTH_FAILURE)
        self.assertIn("sasl_allowed_username_list does not allow 'anna'", self.daemon.log_text())
        status, _, err = self.virsh(self.tcp(), "list", env=self.kdc.no_ticket())
        self.assertEqual(status, 1)
        self.assertIn("No Kerberos credentials available", err)
        self.assertEqual(self.failures(), before)

    def test_broken_layer(self):
        """Who is in and then speaks in clear, or has his octets altered, is put out: what came is
        nobody's word."""
        def alter(data):
            return data[:20] + bytes([data[20] ^ 1]) + data[21:]
        cases = {"clear": (lambda data: 2 * message(VERSION), b""),
                 "altered": (alter, b""),
                 "too long": (lambda data: b"\0\1\0\1" + data[4:], b""),
                 "longest": (lambda data: b"\xff\xff\xff\xff" + data[4:], b""),
                 "garbage": (lambda data: os.urandom(3) + b"\xff" + os.urandom(5000), b""),
                 "too early": (None, message(VERSION)),
                 "too early, in part": (None, message(VERSION)[:10])}
        for name, (meddle, early) in cases.items():
            with self.subTest(name):
                meddler = Meddler(self.place, self.port, meddle, early)
                status, _, err = self.virsh(self.tcp(meddler.port), "list")
                self.assertNotEqual(status, 0, err)  # that of libvirt 9.0.0 may even crash
                self.watch.expect("lvaClientDisconnected", 2,
                                  ClientDisconnectReason=PROTOCOL_ERROR)
        self.assertEqual(self.virsh(self.tcp(), "list")[0], 0)

    def test_other_realm(self):
        """Users of a realm that is not the daemon's own have it in their name."""
        with open(self.kdc.env["KRB5_CONFIG"], encoding="utf-8") as conf:
            text = conf.read().replace(f"default_realm = {kerberos.REALM}",
                                       "default_realm = ELSEWHERE.TEST")
        place = harness.Place()
        self.addCleanup(place.close)
        env = {**self.env, "KRB5_CONFIG": place.write("krb5.conf", text)}
        daemon = harness.Virtadmd(place, self.upstream, env=env, server=f"""\
listen = unix+sasl:libvirt-sock
sasl_allowed_username_list = *@{kerberos.REALM}
""")
        status, _, err = harness.virsh(daemon.socket, "list", env=self.fred)
        self.assertEqual(status, 0, err)


if __name__ == "__main__":
    unittest.main()
