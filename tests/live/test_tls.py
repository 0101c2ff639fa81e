# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients over TLS: the real virsh with certificates of all kinds, what virt-admin and SNMP say of it
next to what they say of a libvirtd that listens on TLS, SASL inside TLS, and certificates that are
renewed under way."""

import contextlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
import unittest

import certificates
import harness
import test_sasl
import test_tcp
import traps
from harness import Raw, oid, open_payload, wait_for

TLS, SASL = 3, 2
AUTH_FAILURE = 5
AUTH_LIST, OPEN = 66, 1
DN = 'cn = "Anna Example"\norganization = "virtadm"\nlocality = "Berlin"\ncountry = DE'


def wrap(sock, folder):
    """TLS around it, with the certificate in a folder: by Python's library, which is not GnuTLS."""
    context = ssl.create_default_context(cafile=os.path.join(folder, "cacert.pem"))
    context.load_cert_chain(os.path.join(folder, "clientcert.pem"),
                            os.path.join(folder, "clientkey.pem"))
    return context.wrap_socket(sock, server_hostname="localhost")


class TlsRaw(Raw):
    def __init__(self, address, folder):
        super().__init__(address, Raw.REMOTE)
        self.sock = wrap(self.sock, folder)

    def enter(self):
        assert self.sock.recv(1) == b"\1"
        return self


class Case(traps.Case):
    """A virtadmd with TLS on one port, and with SASL inside on another; self.pki: folders of
    clients."""

    @classmethod
    def setUpClass(cls):
        cls.prepared = harness.Place()
        cls.addClassCleanup(cls.prepared.close)
        cls.ca = certificates.Authority(cls.prepared.path("ca"))
        cls.server_dir = cls.ca.issue_server()
        cls.anna = cls.ca.issue("anna", DN)

    def setUp(self):
        self.live = self.prepared.path(self.id())  # what the daemon reads
        shutil.copytree(self.server_dir, self.live)
        self.port, self.sasl_port, self.port6 = (harness.free_port(socket.SOCK_STREAM)
                                                 for _ in range(3))

    def run_virtadmd(self, keys="", listen="", env=None, **how):
        self.start(f"""\
listen = unix:libvirt-sock;tls:127.0.0.1:{self.port};{listen}
ca_file = {self.live}/cacert.pem
cert_file = {self.live}/servercert.pem
key_file = {self.live}/serverkey.pem
{keys}""", upstream=True, env=env, **how)

    def uri(self, folder, port=None, host="127.0.0.1", more="&no_sanity=1"):
        return f"test+tls://{host}:{port or self.port}/default?pkipath={folder}{more}"

    def virsh(self, uri, *args, env=None):
        return harness.run(harness.tool("virsh"), "-c", uri, *(args or ("list", "--all")), env=env)

    @contextlib.contextmanager
    def interactive(self, uri, name):
        """A virsh that stays; yields what runs a command in it and returns what it then says."""
        path = self.place.path(name + ".out")
        with open(path, "ab") as out, subprocess.Popen(
                [harness.tool("virsh"), "-q", "-c", uri], stdin=subprocess.PIPE, stdout=out,
                stderr=out) as process:
            def ask(command, answer):
                before = len(self.place.read(name + ".out"))
                process.stdin.write(command.encode() + b"\n")
                process.stdin.flush()
                wait_for(lambda: re.search(answer, self.place.read(name + ".out")[before:]),
                         lambda: f"{answer} in {self.place.read(name + '.out')[before:]}")
            try:
                yield ask
            finally:
                process.stdin.close()
                process.wait(harness.PATIENCE)

    def info(self, admin, number=None):
        """(transport, info without what differs) of the newest client."""
        listed = harness.virt_admin(admin, "client-list", "libvirtd")[1]
        number, transport = re.findall(r"^ (\d+) +(\w+) ", listed, re.M)[-1] if number is None else \
            (number, re.search(rf"^ {number} +(\w+) ", listed, re.M)[1])
        out = harness.virt_admin(admin, "client-info", "libvirtd", str(number))[1]
        out = re.sub(r"^(id|connection_time) *: .*\n", "", out, flags=re.M)
        return transport, re.sub(r"127\.0\.0\.1:\d+", "PEER", out)


class Virsh(Case):
    def test_like_libvirtd(self):
        """virsh, virt-admin and SNMP on what comes through TLS; IPv6, and SASL inside."""
        folder = self.prepared.path("sasl")
        os.makedirs(folder)
        self.prepared.write("sasl/virtadmd.conf", f"""\
mech_list: {test_sasl.MECHANISM}
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {folder}/sasldb2
""")
        status, _, err = harness.run(harness.tool("saslpasswd2"), "-f", f"{folder}/sasldb2", "-c",
                                     "-p", "-u", "example", "fred", stdin="words")
        self.assertEqual(status, 0, err)
        hosts = [host for host in test_tcp.hosts() if host == "::1"]
        listen = f"tls+sasl:127.0.0.1:{self.sasl_port}" + \
            "".join(f";tls:[{host}]:{self.port6}" for host in hosts)
        self.run_virtadmd(listen=listen, env={"SASL_CONF_PATH": folder},
                          enable=traps.Case.CLIENTS_ONLY)
        want = harness.virsh(self.libvirtd.socket, "list", "--all")
        uri = self.uri(self.anna, more="")
        self.assertEqual(self.virsh(uri), want)
        self.assertIn("<name>test</name>", self.virsh(uri, "dumpxml", "test")[1])
        for host in hosts:
            self.assertEqual(self.virsh(self.uri(self.anna, self.port6, f"[{host}]", "")), want)
        self.wait_for_clients(0)
        self.compare(uri)
        self.through_sasl(want)

    def compare(self, uri):
        port = harness.free_port(socket.SOCK_STREAM)
        libvirtd = harness.Libvirtd(self.place, name="tls-libvirtd", options=("--listen",), extra=f"""\
listen_tls = 1
listen_tcp = 0
listen_addr = "127.0.0.1"
tls_port = "{port}"
auth_tls = "none"
ca_file = "{self.live}/cacert.pem"
cert_file = "{self.live}/servercert.pem"
key_file = "{self.live}/serverkey.pem"
tls_allowed_dn_list = ["*CN=Anna Example"]
""")
        self.watch.skip()
        with self.interactive(uri, "here") as here, \
                self.interactive(self.uri(self.anna, port, more=""), "there") as there:
            here("uri", "test")
            there("uri", "test")
            got = self.info(self.daemon.admin)
            self.assertEqual(got, self.info(libvirtd.admin))
            self.assertEqual(got[0], "tls")
            self.assertIn("CN=Anna Example", got[1])
            told = self.watch.expect("lvaClientConnected", 2, ClientTransport=TLS)
            dn = re.search(r"x509_dname *: (.*)", got[1])[1]
            self.assertEqual(self.get(*(oid("lvaClient" + name, *told.index) for name in (
                "X509DistinguishedName", "Authenticated", "Transport"))), [dn, 1, TLS])
        self.wait_for_clients(0)

    def through_sasl(self, want):
        """Without a layer of its own: TLS is one."""
        env = {**os.environ, "LIBVIRT_AUTH_FILE": self.place.write("auth", """\
[credentials-test]
authname=fred@example
password=words
[auth-libvirt-127.0.0.1]
credentials=test
""")}
        uri = self.uri(self.anna, self.sasl_port, more="")
        self.assertEqual(self.virsh(uri, env=env), want)
        with TlsRaw(("127.0.0.1", self.sasl_port), self.anna) as client:
            client.enter()
            self.assertEqual(client.call(OPEN, open_payload())[5], 1)  # authentication required
            self.assertEqual(self.get1("lvaServerClientsUnauthCurrent", 2), 1)
        self.wait_for_clients(0)
        self.assertEqual(self.get1("lvaServiceAuth", 2, 3), SASL)
        self.assertEqual(self.get1("lvaServerAuthFailures", 2), 0)


class Strict(Case):
    """A daemon that lets in Anna alone."""

    ENV = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        other = certificates.Authority(cls.prepared.path("other"), "Other CA")
        revoked = cls.ca.issue("revoked", 'cn = "Anna Revoked"')
        stranger = other.issue("stranger", 'cn = "Anna Stranger"')
        shutil.copy(cls.ca.cert, stranger)  # whom it trusts is its own matter
        nobody = cls.prepared.path("nobody")
        os.makedirs(nobody)
        shutil.copy(cls.ca.cert, nobody)
        cls.crl = cls.ca.revoke(revoked)
        cls.cases = {
            "it has shown no certificate": nobody,
            "'CN=Anna Stranger' is not trusted": stranger,
            "expired": cls.ca.issue("late", 'cn = "Anna Late"', lines="""\
activation_date = "2001-01-01 00:00:00"
expiration_date = "2002-01-01 00:00:00"
"""),
            "revoked": revoked,
            "tls_allowed_dn_list does not allow 'CN=Bob'": cls.ca.issue("bob", 'cn = "Bob"'),
        }

    def setUp(self):
        super().setUp()
        self.run_virtadmd(f"crl_file = {self.crl}\ntls_allowed_dn_list = *CN=Anna*\n",
                          enable=("authFailure",), env=self.ENV)

    def expect_failure(self, number, reason):
        told = self.watch.expect("lvaClientAuthFailure", 2, ServerAuthFailures=number,
                                 ClientTransport=TLS)
        self.assertEqual(self.get1("lvaServerAuthFailures", 2), number)
        wait_for(lambda: re.search(f"no TLS with it: .*{re.escape(reason)}", self.daemon.log_text()),
                 lambda: f"{reason} in {self.daemon.log_text()[-1500:]}")
        return told


class Refused(Strict):
    def test_refused(self):
        """Each is turned away without a word of why, counted, notified and in the log; and nobody
        else notices."""
        number = 0
        with self.interactive(self.uri(self.anna), "good") as ask:
            ask("uri", "test")
            for reason, folder in self.cases.items():
                with self.subTest(reason):
                    number += 1
                    status, _, err = self.virsh(self.uri(folder))
                    self.assertEqual(status, 1)
                    self.assertNotRegex(err, "revoked|allowed|expired|trusted")
                    self.expect_failure(number, reason)
            with self.subTest("plain"):
                number += 1
                status, _, err = harness.run(harness.tool("virsh"), "-c",
                                             f"test+tcp://127.0.0.1:{self.port}/default", "list")
                self.assertEqual(status, 1, err)
                self.expect_failure(number, "does not speak TLS")
            with self.subTest("garbage"), socket.create_connection(("127.0.0.1", self.port)) as sock:
                number += 1
                sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
                self.expect_failure(number, "does not speak TLS")
            with self.subTest("a look at the port"):
                socket.create_connection(("127.0.0.1", self.port)).close()
            ask("list --all", "test")
        self.wait_for_clients(0)
        self.assertEqual(self.virsh(self.uri(self.anna))[0], 0)
        self.assertEqual(self.get1("lvaServerAuthFailures", 2), number)
        self.settle()

    def test_crowd(self):
        """All places of strangers are taken by those who say nothing, some behind a part of their
        first message: they are disconnected, and then the others come in."""
        began = time.monotonic()
        silent = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(60)]
        for sock in silent:
            self.addCleanup(sock.close)
        for sock in silent[::2]:
            sock.sendall(b"\x16\x03\x01")
        harness.wait_for(lambda: self.get1("lvaServerClientsUnauthCurrent", 2) == 20, "a full house")
        threads = self.daemon.process.threads()
        numbers = re.findall(r"^ (\d+) ", self.daemon.virt_admin("client-list", "libvirtd")[1], re.M)
        for number in numbers[:5]:  # in the handshake, too
            self.assertEqual(self.daemon.virt_admin("client-disconnect", "libvirtd", number)[0], 0)
        for sock in silent:
            sock.close()
        self.assertEqual(self.virsh(self.uri(self.anna))[0], 0)
        self.wait_for_clients(0)
        self.assertLess(time.monotonic() - began, 3 * harness.PATIENCE)
        self.assertLess(self.daemon.process.threads(), threads + 24)

    def test_end(self):
        """The daemon ends while handshakes are under way."""
        silent = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(10)]
        hello = ssl.MemoryBIO()
        with contextlib.suppress(ssl.SSLWantReadError):
            ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), hello,
                                                  server_hostname="localhost").do_handshake()
        data = hello.read()
        for number, sock in enumerate(silent):
            self.addCleanup(sock.close)
            sock.sendall(data[:len(data) // (1 + number % 2)])
        harness.wait_for(lambda: self.get1("lvaServerClientsUnauthCurrent", 2) == 10, "all of them")
        self.assertEqual(self.daemon.stop(), 0)


class Circle(Strict):
    # glib-networking before 2.90 does not free such certificates
    ENV = {"ASAN_OPTIONS": "detect_leaks=0"}

    def test_circle(self):
        """More than there are places show certificates that have issued each other: all are refused,
        no thread goes on with them, and the next one comes in."""
        folder = self.ca.issue_circle()
        for number in range(1, 11):
            with socket.create_connection(("127.0.0.1", self.port), harness.PATIENCE) as sock:
                try:
                    with wrap(sock, folder) as client:
                        self.assertEqual(client.recv(1), b"")
                except TimeoutError:
                    self.fail(f"client {number} is not answered")
                except OSError:
                    pass
            self.expect_failure(number, "not trusted")
        self.assertEqual(self.virsh(self.uri(self.anna))[0], 0)
        self.wait_for_clients(0)
        self.settle()


class Update(Case):
    def fingerprint(self):
        with socket.create_connection(("127.0.0.1", self.port)) as sock, \
                wrap(sock, self.anna) as client:
            return client.getpeercert()["serialNumber"]

    def update(self):
        return self.daemon.virt_admin("server-update-tls", "libvirtd")

    def test_update(self):
        """Old sessions go on, new ones get the new certificate; bad files change nothing, and what
        is wrong with them is said."""
        self.run_virtadmd(enable=("authFailure",))
        renewed = self.ca.issue_server("renewed", "expiration_days = 10\n")
        with self.interactive(self.uri(self.anna), "old") as ask:
            ask("uri", "test")
            before = self.fingerprint()
            for name in "servercert.pem", "serverkey.pem":
                shutil.copy(os.path.join(renewed, name), self.live)
            self.assertEqual(self.fingerprint(), before)  # until it is told
            status, out, err = self.update()
            self.assertEqual(status, 0, out + err)
            after = self.fingerprint()
            self.assertNotEqual(after, before)
            ask("list --all", "test")
            for line in f"TLS files have been read again.* serial {after.lower()}", \
                        "servercert.pem': the certificate expires at 20":
                harness.wait_for(lambda line=line: re.search(line, self.daemon.log_text()), line)
            self.bad_files(renewed)
            harness.wait_for(lambda: "TLS files are left as they were: server " in
                             self.daemon.log_text(), "what was wrong, in the log")
            self.assertEqual(self.fingerprint(), after)
            ask("dominfo test", "Id:")
        self.assertEqual(self.virsh(self.uri(self.anna))[0], 0)
        status, _, err = self.daemon.virt_admin("server-update-tls", "admin")
        self.assertEqual((status, "internal error: no tls service found, unable to update tls files"
                          in err), (1, True), err)

    def bad_files(self, good):
        other = certificates.Authority(self.prepared.path("other"), "Other CA").issue_server()
        late = self.ca.issue_server("late", 'activation_date = "2001-01-01 00:00:00"\n'
                                    'expiration_date = "2002-01-01 00:00:00"\n')
        cert, key = (os.path.join(self.live, name) for name in ("servercert.pem", "serverkey.pem"))
        for source, target, fault in (
                (f"{other}/servercert.pem", cert, f"cert_file '{cert}': the certificate is not signed"),
                (f"{late}/servercert.pem", cert, f"cert_file '{cert}': the certificate has expired"),
                (f"{other}/serverkey.pem", key, f"key_file '{key}': the private key is not that of"),
                (None, key, f"key_file '{key}': cannot be read"),
                (os.devnull, f"{self.live}/cacert.pem", "ca_file '")):
            with self.subTest(fault):
                kept = target + ".kept"
                os.rename(target, kept)
                if source:
                    with open(source, "rb") as text, open(target, "wb") as out:
                        out.write(text.read())
                status, _, err = self.update()
                self.assertEqual(status, 1)
                self.assertIn(f"operation failed: server 'libvirtd': {fault}", err)
                os.rename(kept, target)
        self.assertEqual(self.update()[0], 0)


class Start(Case):
    def test_refused(self):
        """It does not start without a file, or without TLS in GIO, and says what is wrong; so does
        --check-config."""
        key = os.path.join(self.live, "serverkey.pem")
        conf = self.prepared.write("virtadmd.conf", f"""\
[daemon]
runtime_dir = {self.prepared.path("run")}
state_dir = {self.prepared.path("state")}
[snmp]
enabled = false
[server libvirtd]
listen = tls:127.0.0.1:{self.port}
ca_file = {self.live}/cacert.pem
cert_file = {self.live}/servercert.pem
key_file = {key}
""")
        daemon = os.path.join(harness.BUILD, "virtadmd"), "--config", conf
        status, _, err = harness.run(*daemon, env={**os.environ, "GIO_USE_TLS": "dummy"})
        self.assertEqual(status, 1, err)
        self.assertIn("GIO has no TLS here: its module is missing (package glib-networking)", err)
        self.assertEqual(harness.run(*daemon, "--check-config"), (0, "", ""))
        os.remove(key)
        for options, want in ((), 1), (("--check-config",), 2):
            status, _, err = harness.run(*daemon, *options)
            self.assertEqual(status, want, err)
            self.assertIn(f"server 'libvirtd': key_file '{key}': cannot be read: ", err)


if __name__ == "__main__":
    unittest.main()
