# SPDX-License-Identifier: LGPL-2.1-or-later
"""SASL on unix sockets: the real virsh with SCRAM-SHA-256 against a database of users, and what a
libvirtd with SASL says at the same moment."""

import base64
import hashlib
import hmac
import os
import random
import re
import socket
import struct
import unittest

import harness
from harness import Raw, oid, open_payload, wait_for, xdr_string

MECHANISM = "SCRAM-SHA-256"
USERS = {"fred@example": "frEd-s3cret", "anna@example": "anna-s3cret"}
LISTEN = "listen = unix+sasl:libvirt-sock;unix-ro+sasl:libvirt-sock-ro"
VERSION, FEATURE, LIST, INIT, START, STEP, POLKIT = 4, 60, 66, 67, 68, 69, 70
REQUIRED = (39, 7, "authentication required")
FAILED = (45, 7, "authentication failed: authentication failed")
NO_POLKIT = (1, 7, "Library function returned error but did not set virError")
FULL = 3
SCALE = float(os.environ.get("VADM_TEST_SCALE", "1"))


def octets(data):
    """An XDR array of char: each octet is an integer of its own."""
    return struct.pack(f">I{len(data)}i", len(data),
                       *(octet - 256 if octet > 127 else octet for octet in data))


def start(data, mechanism=MECHANISM, nil=0):
    return xdr_string(mechanism) + struct.pack(">i", nil) + octets(data)


def step(data, nil=0):
    return struct.pack(">i", nil) + octets(data)


def said(reply):
    """(complete, data) of the reply to START or STEP; an error is a failure."""
    if reply is None or reply[5] != 0:
        raise AssertionError(f"the server refused: {reply and harness.error_of(reply)}")
    complete, _, length = struct.unpack(">iiI", reply[6][:12])
    return complete, bytes(value & 255 for value in struct.unpack_from(f">{length}i", reply[6], 12))


def answer(client, *call):
    """Newer libvirtds count in the formats of errors; here they are as in an older one's reply."""
    reply = client.call(*call)
    if reply is None:
        return None
    *head, payload = reply
    for text in set(re.findall(rb"[a-z ]+: %1\$s", payload)):
        payload = payload.replace(xdr_string(text), xdr_string(text.replace(b"%1$s", b"%s")))
    return *head, payload


class Scram:
    """The client's side of RFC 7677."""

    def __init__(self, user, password):
        self.password = password.encode()
        self.bare = f"n={user},r={base64.b64encode(os.urandom(18)).decode()}"

    def first(self):
        return b"n,," + self.bare.encode()

    def final(self, challenge):
        challenge = challenge.decode()
        nonce, salt, rounds = (part[2:] for part in challenge.split(",")[:3])
        salted = hashlib.pbkdf2_hmac("sha256", self.password, base64.b64decode(salt), int(rounds))
        key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(key).digest(),
                                f"{self.bare},{challenge},c=biws,r={nonce}".encode(), "sha256")
        proof = bytes(one ^ two for one, two in zip(key, signature))
        return f"c=biws,r={nonce},p={base64.b64encode(proof).decode()}".encode()


def enter(client, user="fred@example", password=None):
    """Authenticates a Raw client; returns the last reply."""
    scram = Scram(user, password or USERS[user])
    client.call(INIT)
    _, challenge = said(client.call(START, start(scram.first())))
    return client.call(STEP, step(scram.final(challenge)))


class SaslLibvirtd(harness.Libvirtd):
    def answers(self):
        return os.path.exists(self.socket)


class Case(unittest.TestCase):
    """A place with users."""

    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        folder = self.place.path("sasl")
        os.makedirs(folder)
        for application in "virtadmd", "libvirt":
            self.place.write(f"sasl/{application}.conf", f"""\
mech_list: {MECHANISM}
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {folder}/sasldb2
""")
        for user, password in USERS.items():
            name, realm = user.split("@")
            status, out, err = harness.run(harness.tool("saslpasswd2"), "-f", f"{folder}/sasldb2",
                                           "-c", "-p", "-u", realm, name, stdin=password)
            self.assertEqual(status, 0, out + err)
        self.env = {"SASL_CONF_PATH": folder}

    def run_libvirtd(self):
        """One that asks for SASL itself."""
        return SaslLibvirtd(self.place, name="sasl-libvirtd", env=self.env,
                            extra='auth_unix_rw = "sasl"\nauth_unix_ro = "sasl"')

    def credentials(self, user, password=None):
        """The environment of a virsh of @user."""
        path = self.place.write("auth." + user, f"""\
[credentials-test]
authname={user}
password={password or USERS.get(user, "none")}
[auth-libvirt-localhost]
credentials=test
""")
        return {**os.environ, "LIBVIRT_AUTH_FILE": path}


class Offer(unittest.TestCase):
    def test_nothing(self):
        """A socket at which nobody can get in is named at the start: what its clients need is not
        installed, or no mechanism that may be used on plain TCP."""
        tcp = f"tcp+sasl:127.0.0.1:{harness.free_port(socket.SOCK_STREAM)}"
        for plugins, silent in (True, [tcp]), (False, ["unix+sasl:{run}/libvirt-sock", tcp]):
            with self.subTest(plugins=plugins), harness.Place() as place:
                place.write("virtadmd.conf", f"mech_list: {MECHANISM}\n")
                env = {"SASL_CONF_PATH": place.dir}
                if not plugins:
                    env["SASL_PATH"] = place.dir
                daemon = harness.Virtadmd(place, env=env, server=f"""\
listen = unix+sasl:libvirt-sock;{tcp}""", name="daemon")
                harness.wait_for(lambda: daemon.log_text().count("Nobody can") >= len(silent),
                                 daemon.log_text)
                self.assertEqual(re.findall("Nobody can authenticate at '(.*)': there is no mechanism",
                                            daemon.log_text()),
                                 [where.format(run=daemon.dir) for where in silent])


class Sasl(Case):
    def run_virtadmd(self, server="", snmp=False, listen=LISTEN, upstream_extra=""):
        self.upstream = harness.Libvirtd(self.place, extra=upstream_extra)
        self.snmpd = harness.Snmpd(self.place) if snmp else None
        self.daemon = harness.Virtadmd(self.place, self.upstream, self.snmpd, env=self.env,
                                       server=f"{listen}\n{server}")

    def client(self, path=None):
        client = Raw(path or self.daemon.socket, Raw.REMOTE)
        self.addCleanup(client.sock.close)
        return client

    def test_virsh(self):
        """Who has the password is served as without SASL, on both sockets, and is known by name:
        to virt-admin, to SNMP, and to the upstream."""
        debug = self.place.path("debug.log")
        self.run_virtadmd(snmp=True, upstream_extra=f"""\
log_filters = "1:daemon.remote"
log_outputs = "1:file:{debug}"
""")
        env = self.credentials("fred@example")
        for command in "list --all", "dumpxml test", "net-list --all":
            self.assertEqual(harness.virsh(self.daemon.socket, *command.split(), env=env),
                             harness.virsh(self.upstream.socket, *command.split()))
        if os.geteuid() == 0:
            self.assertEqual(
                harness.virsh(self.daemon.socket_ro, "list", options=("-r",), env=env),
                harness.virsh(self.upstream.socket_ro, "list", options=("-r",)))
        with harness.idle_virsh(self.place, self.daemon.socket, env=env):
            index = wait_for(self.only_client, "the client")
            info = wait_for(lambda: re.search(r"^sasl_user_name *: *(\S+)$", self.daemon.virt_admin(
                "client-info", "libvirtd", str(index))[1], re.MULTILINE), "its name")
            self.assertEqual(info[1], "fred@example")
            self.assertEqual(self.snmpd.get1("lvaClientSaslUserName", 2, index), "fred@example")
            self.assertEqual(self.snmpd.get1("lvaClientAuthenticated", 2, index), 1)
            self.assertEqual(self.snmpd.get1("lvaServerClientsUnauthCurrent", 2), 0)
        self.assertEqual([self.snmpd.get1("lvaServiceAuth", 2, i) for i in (1, 2)], [2, 2])
        self.assertEqual(self.snmpd.get1("lvaServiceListen", 2, 1),
                         f"unix+sasl:{self.daemon.socket}")
        self.assertEqual(self.snmpd.get1("lvaServerAuthFailures", 2), 0)
        self.assertIn('params["sasl-user-name"]=(string)fred@example', self.place.read("debug.log"))

    def only_client(self):
        rows = self.daemon.virt_admin("client-list", "libvirtd")[1].splitlines()[2:]
        rows = [row.split() for row in rows if row.strip()]
        return int(rows[0][0]) if len(rows) == 1 else 0

    def test_wrong_credentials(self):
        """virsh says what it says of a libvirtd; each attempt is counted, and ends the client."""
        self.run_virtadmd(snmp=True)
        libvirtd = self.run_libvirtd()
        attempts = (self.credentials("fred@example", "a-wr0ng-one"),
                    self.credentials("nobody@example"))
        for number, env in enumerate(attempts, 1):
            status, out, err = harness.virsh(self.daemon.socket, "list", env=env)
            self.assertNotEqual(status, 0)
            self.assertIn("authentication failed", err)
            self.assertEqual((status, out, err), harness.virsh(libvirtd.socket, "list", env=env))
            self.assertEqual(self.snmpd.get1("lvaServerAuthFailures", 2), number)
        self.assertEqual(harness.virsh(self.daemon.socket, "list"),
                         harness.virsh(libvirtd.socket, "list"))
        wait_for(lambda: self.snmpd.get1("lvaServerClientsCurrent", 2) == 0, "all to be gone")
        wait_for(lambda: "authentication failure" in self.daemon.log_text(), "the warning")
        for secret in "a-wr0ng-one", *USERS.values():
            self.assertNotIn(secret, self.daemon.log_text())
        self.assertEqual(
            harness.virsh(self.daemon.socket, "list", env=self.credentials("anna@example"))[0], 0)

    def test_answers_of_libvirtd(self):
        """In whatever order the procedures come, the answer is libvirtd's. (STEP behind INIT is
        left out: libvirtd 9.0.0 leaves that to Cyrus SASL, which is not made for it.)"""
        garbage = start(b"garbage")
        sequences = (
            [(VERSION, b"")], [(1, open_payload())], [(FEATURE, struct.pack(">i", 10))],
            [(419, b"\0" * 8)], [(LIST, b"")],
            [(INIT, b""), (INIT, b"")], [(START, garbage)], [(STEP, step(b"x"))],
            [(INIT, b""), (START, start(b"x", "NOSUCH"))],
            [(INIT, b""), (START, start(b"x", "ANONYMOUS"))],
            [(INIT, b""), (START, start(b"", ""))],
            [(INIT, b""), (START, start(b"x", "A" * 1000))],
            [(INIT, b""), (START, garbage)],
            [(INIT, b""), (START, start(b"", nil=1)), (STEP, step(b"", nil=1))],
            [(INIT, b""), (START, start(b"", nil=0))],
            [(INIT, b""), (START, start(b"x" * 65536))],
            [(INIT, b""), (START, start(b"x" * 65537)), (LIST, b"")],
            [(INIT, b""), (START, b"\0"), (LIST, b"")],
            [(INIT, b"\0\0\0\0")],
        )
        self.run_virtadmd()
        libvirtd = self.run_libvirtd()
        for sequence in sequences:
            answers = []
            for path in self.daemon.socket, libvirtd.socket:
                with self.client(path) as client:
                    answers.append([answer(client, *call) for call in sequence])
            self.assertEqual(*answers, sequence)
        answers = []
        for path in self.daemon.socket, libvirtd.socket:
            client = self.client(path)
            self.assertEqual(said(enter(client))[0], 1)
            answers.append([answer(client, *call) for call in (
                (LIST, b""), (INIT, b""), (START, garbage), (STEP, step(b"x")))])
        self.assertEqual(*answers)

    def test_the_gate(self):
        """Nobody gets past it without a name, and a failed attempt ends the connection."""
        self.run_virtadmd()
        client = self.client()
        self.assertEqual(harness.error_of(client.call(VERSION)), REQUIRED)
        self.assertEqual(harness.error_of(client.call(1, program=0x20008087)), REQUIRED)
        # libvirtd's text where the worker has had no error before, which it would repeat
        self.assertEqual(harness.error_of(client.call(POLKIT)), NO_POLKIT)
        client.call(INIT)
        self.assertEqual(harness.error_of(client.call(VERSION)), REQUIRED)
        scram = Scram("fred@example", USERS["fred@example"])
        _, challenge = said(client.call(START, start(scram.first())))
        self.assertEqual(harness.error_of(client.call(VERSION)), REQUIRED)
        self.assertEqual(said(client.call(STEP, step(scram.final(challenge))))[0], 1)
        self.assertEqual(client.call(1, open_payload())[5], 0)
        self.assertEqual(client.call(VERSION)[5], 0)

        # all at once, and answered one by one
        client = self.client()
        scram = Scram("anna@example", USERS["anna@example"])
        for call in (LIST, b""), (INIT, b""), (START, start(scram.first())), (LIST, b""):
            client.send(*call)
        replies = [client.receive() for _ in range(4)]
        self.assertEqual([reply[2] for reply in replies], [LIST, INIT, START, LIST])
        client.send(STEP, step(scram.final(said(replies[2])[1])))
        client.send(LIST)
        client.send(1, open_payload())
        replies = [client.receive() for _ in range(3)]
        self.assertEqual([(reply[2], reply[5]) for reply in replies], [(STEP, 0), (LIST, 0), (1, 0)])
        self.assertEqual(replies[1][6], b"\0\0\0\1\0\0\0\0")

        for calls in ([(STEP, step(b"x"))], [(INIT, b""), (STEP, step(b"x"))],
                      [(INIT, b""), (START, start(b"garbage"))]):
            client = self.client()
            reply = [client.call(*call) for call in calls][-1]
            self.assertEqual(harness.error_of(reply), FAILED)
            self.assertIsNone(client.receive())

    def test_silent_clients(self):
        """Those who have not said who they are have a limit of their own; then others wait, and
        come in as soon as one goes."""
        self.run_virtadmd("max_anonymous_clients = 3", snmp=True)
        env = self.credentials("fred@example")
        with harness.idle_virsh(self.place, self.daemon.socket, env=env):
            wait_for(lambda: self.snmpd.get1("lvaServerClientsCurrent", 2) == 1 and
                     self.snmpd.get1("lvaServerClientsUnauthCurrent", 2) == 0, "virsh to be in")
            silent = [self.client() for _ in range(3)]
            wait_for(lambda: self.snmpd.get1("lvaServerClientsUnauthCurrent", 2) == 3,
                     "the silent ones")
            self.assertEqual(self.snmpd.get1("lvaServerClientsUnauthState", 2), FULL)
            self.assertEqual(self.snmpd.get1("lvaServiceAccepting", 2, 1), 2)
            late = self.client()
            late.send(LIST)
            late.sock.settimeout(0.3)
            with self.assertRaises(TimeoutError):
                late.receive()
            late.sock.settimeout(harness.PATIENCE)
            self.assertEqual(said(enter(silent[0]))[0], 1)
            self.assertEqual(struct.unpack(">II", late.receive()[6]), (1, 1))
            self.assertEqual(self.snmpd.get1("lvaServerClientsCurrent", 2), 5)
            self.assertEqual(self.snmpd.get1("lvaServerClientsUnauthCurrent", 2), 3)
            info = self.daemon.virt_admin("server-clients-info", "libvirtd")[1]
            self.assertRegex(info, r"nclients_unauth *: 3\b")
            for client in silent[1:]:
                client.sock.close()
            self.assertEqual(harness.virsh(self.daemon.socket, "list", env=env)[0], 0)

    def test_allowed_users(self):
        self.run_virtadmd("sasl_allowed_username_list = anna@*;b?b@example")
        status, _, err = harness.virsh(self.daemon.socket, "list",
                                       env=self.credentials("fred@example"))
        self.assertNotEqual(status, 0)
        self.assertIn(FAILED[2], err)
        wait_for(lambda: "does not allow 'fred@example'" in self.daemon.log_text(), "the warning")
        self.assertEqual(
            harness.virsh(self.daemon.socket, "list", env=self.credentials("anna@example"))[0], 0)

    def test_back_end_that_hangs(self):
        """saslauthd does not answer: those who asked wait, and nobody else; they can be disconnected, and
        the daemon can be ended."""
        mux = socket.socket(socket.AF_UNIX)
        self.addCleanup(mux.close)
        mux.bind(self.place.path("mux"))
        mux.listen(8)
        self.place.write("sasl/virtadmd.conf", f"""\
mech_list: plain
pwcheck_method: saslauthd
saslauthd_path: {self.place.path("mux")}
""")
        self.run_virtadmd(listen="listen = unix:plain;unix+sasl:libvirt-sock")
        plain = os.path.join(self.daemon.dir, "plain")
        waiting, held = [self.client() for _ in range(5)], []
        for client in waiting:
            client.call(INIT)
            client.send(START, start(b"\0fred@example\0password", "PLAIN"))
            client.send(LIST)
            held.append(mux.accept()[0])
            self.addCleanup(held[-1].close)
        self.assertEqual(harness.virsh(plain, "list")[0], 0)
        ids = re.findall(r"^ *(\d+)", self.daemon.virt_admin("client-list", "libvirtd")[1],
                         re.MULTILINE)
        self.assertEqual(len(ids), len(waiting))
        waiting[0].sock.close()
        self.assertEqual(self.daemon.virt_admin("client-disconnect", "libvirtd", ids[1])[0], 0)
        self.assertIsNone(waiting[1].receive())
        wait_for(lambda: len(re.findall(r"^ *(\d+)", self.daemon.virt_admin(
            "client-list", "libvirtd")[1], re.MULTILINE)) == 3, "two to be gone")
        for one, answer in zip(held, (b"\0\2OK", b"\0\2OK", b"\0\2OK", b"\0\2NO")):
            one.sendall(answer)
            one.close()
        self.assertEqual(said(waiting[2].receive())[0], 1)
        self.assertEqual(waiting[2].receive()[6], b"\0\0\0\1\0\0\0\0")
        self.assertEqual(harness.error_of(waiting[3].receive()), FAILED)
        self.assertIsNone(waiting[3].receive())
        self.assertEqual(self.daemon.stop(), 0)

    def take_part(self, client, scram, stage):
        """The next step of a client, well done or not; returns its stage, None: it has gone."""
        choice = self.random.random()
        if choice < 0.15:
            client.sock.close()
            return None
        if choice < 0.25:  # several at once, nobody waits for an answer, and some go at once
            for call in (INIT, b""), (START, start(scram.first())), (LIST, b""), (VERSION, b""):
                client.send(*call)
            if self.random.random() < 0.5:
                client.sock.close()
                return None
            return "lost"
        if stage == "lost" or choice < 0.3:
            client.send(self.random.choice((INIT, START, STEP, LIST, VERSION, POLKIT)),
                        self.random.randbytes(self.random.randrange(40)))
            return "lost"
        if stage is None:
            return "listed" if client.call(INIT) else None
        if stage == "listed":
            return said(client.call(START, start(scram.first())))[1]
        if stage == "in":
            client.call(LIST)
            return "in"
        password = scram.password
        if choice > 0.7:
            scram.password = b"wrong"
        answer = step(scram.final(stage))
        scram.password = password
        reply = client.call(STEP, answer)
        return "in" if reply and reply[5] == 0 else None

    def test_any_order(self):
        """Clients in all stages, good and bad, come and go beside each other and beside one who is in,
        and when the daemon ends."""
        self.random = random.Random(48)
        self.run_virtadmd("max_anonymous_clients = 12\nmax_clients = 30")
        user, guests = self.client(), []
        self.assertEqual(said(enter(user))[0], 1)
        self.assertEqual(user.call(1, open_payload())[5], 0)
        for turn in range(int(2000 * SCALE)):
            if len(guests) < 10:
                guests.append([self.client(), Scram("fred@example", USERS["fred@example"]), None])
            guest = self.random.choice(guests)
            try:
                stage = self.take_part(*guest)
            except (OSError, AttributeError, TypeError):  # the daemon had enough of it
                stage = None
            if stage is None:
                guest[0].sock.close()
                guests.remove(guest)
            else:
                guest[2] = stage
            if turn % 50 == 0:
                self.assertEqual(user.call(VERSION)[5], 0)
        for guest in guests[::2]:
            guest[0].sock.close()

        def counts():
            return re.findall(r"^nclients(?:_unauth)? *: (\d+)", self.daemon.virt_admin(
                "server-clients-info", "libvirtd")[1], re.MULTILINE)
        del guests[::2]
        wait_for(lambda: int(counts()[0]) <= 1 + len(guests), "those who left to be gone")
        for guest in guests:
            guest[0].sock.close()
        wait_for(lambda: counts() == ["1", "0"], "the others to be gone")
        last = [self.client() for _ in range(8)]
        for client in last:
            client.send(INIT)
            client.send(START, start(Scram("fred@example", "").first()))
        self.assertEqual(self.daemon.stop(), 0)

    def test_beside_a_plain_socket(self):
        """Each socket asks for its own: one may be for root, without SASL."""
        self.run_virtadmd(listen="listen = unix:plain;unix+sasl:libvirt-sock", snmp=True)
        plain = os.path.join(self.daemon.dir, "plain")
        self.assertEqual(harness.virsh(plain, "list")[0], 0)
        self.assertEqual(harness.error_of(self.client(plain).call(INIT)), FAILED)
        self.assertEqual(harness.error_of(self.client().call(VERSION)), REQUIRED)
        self.assertEqual(self.snmpd.get(oid("lvaServiceAuth", 2, 1), oid("lvaServiceAuth", 2, 2)),
                         [1, 2])


if __name__ == "__main__":
    unittest.main()
