# SPDX-License-Identifier: LGPL-2.1-or-later
"""Receivers of notifications: a socket of our own, which sees types and times, and a private
snmptrapd with a traphandle, which sees what operators see."""

import contextlib
import os
import re
import socket
import struct
import threading
import time
import unittest
from typing import NamedTuple

import ber
import harness

TYPES = {"INTEGER": 2, "OCTET_STR": 4, "COUNTER32": 0x41, "GAUGE": 0x42,
         "UNSIGNED": 0x42, "COUNTER64": 0x46}
UP_TIME, TRAP_OID = "1.3.6.1.2.1.1.3.0", "1.3.6.1.6.3.1.1.4.1.0"
TRAP_V1, INFORM, TRAP_V2, RESPONSE = 0xa4, 0xa6, 0xa7, 0xa2
ENTERPRISE_SPECIFIC = 6

# lvaNotifyEnable
CLIENT_LIMIT, UNAUTH_LIMIT, CLIENT_HIGH, CLIENT_CONNECT, CLIENT_DISCONNECT, WORKERS, CONFIG, \
    DAEMON, AUTH_FAILURE, UPSTREAM = range(10)
BITS = ("clientLimit", "unauthLimit", "clientHigh", "clientConnect", "clientDisconnect", "workers",
        "config", "daemon", "authFailure", "upstream")


def bits(*numbers):
    """lvaNotifyEnable with these bits, as a SET takes it."""
    word = sum(0x8000 >> number for number in numbers)
    return ber.octets(word.to_bytes(2, "big"))


def load_interface():
    """From the list of the MIB's public interface: the objects of each notification, in order, and
    for each object its type and how many indexes its instances have."""
    notifications, types, indexes, labels = {}, {}, {}, {}
    path = os.path.join(harness.SOURCE, "tests", "unit", "mib-interface.txt")
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            arc, name, kind, *rest = line.split() + [""] * 3
            rest = rest[:-3]
            if kind == "notification:":
                notifications[name] = tuple(rest)
            elif kind == "entry:":
                indexes[arc] = len(rest) - 1
            elif kind in TYPES:
                types[name] = TYPES[kind], indexes.get(arc.rpartition(".")[0], 0)
            if kind == "INTEGER" or name == "INTEGER":
                there = {int(value): word for word, value in re.findall(r"(\w+)\((\d+)\)", line)}
                labels[arc if name == "INTEGER" else name] = there or rest[1]
    return notifications, types, labels


NOTIFICATIONS, OBJECTS, LABELS = load_interface()
NAMES = {harness.OIDS[name]: name for name in NOTIFICATIONS}


def label(name, value):
    """A value as net-snmp's quick output has it."""
    labels = LABELS.get(name, {})
    if isinstance(labels, str):  # those of a textual convention
        labels = LABELS.get(labels, {})
    return labels.get(value, str(value))


class Told(NamedTuple):
    """One notification of ours. index: of its server or client, () when it is about the daemon."""
    at: float
    kind: int
    name: str
    index: tuple
    values: dict

    def __str__(self):
        values = " ".join(f"{name[3:]}={value}" for name, value in self.values.items()
                          if name not in ("lvaDaemonName", "lvaServerName"))
        return f"{self.name}{list(self.index)} {values}"


def value_of(tag, body, errors="strict"):
    if tag == 2:
        return int.from_bytes(body, "big", signed=True)
    if tag in (0x41, 0x42, 0x43, 0x46):
        return int.from_bytes(body, "big")
    if tag == 6:
        return ".".join(map(str, ber.decode_oid(body)))
    return body.decode(errors=errors)


def varbinds(body):
    found, at = [], 0
    while at < len(body):
        _, bind, at = ber.split(body, at)
        _, name, value_at = ber.split(bind)
        tag, value, _ = ber.split(bind, value_at)
        found.append((".".join(map(str, ber.decode_oid(name))), tag, value_of(tag, value)))
    return found


def parse(datagram):
    """(PDU type, snmpTrapOID, [(OID, tag, value), ...]) of a notification in v1 or v2c; what v1 has
    in its header is turned into the OID as RFC 2576, section 3.1 says."""
    _, message, _ = ber.split(datagram)
    _, version, at = ber.split(message)
    _, _, at = ber.split(message, at)
    kind, pdu, _ = ber.split(message, at)
    fields, at = [], 0
    while at < len(pdu):
        tag, body, at = ber.split(pdu, at)
        fields.append((tag, body))
    if kind == TRAP_V1:
        assert version == b"\0", version
        enterprise, generic, specific = (value_of(*fields[i]) for i in (0, 2, 3))
        if generic != ENTERPRISE_SPECIFIC:
            return kind, f"1.3.6.1.6.3.1.1.5.{generic + 1}", varbinds(fields[5][1])
        return kind, f"{enterprise}.0.{specific}", varbinds(fields[5][1])
    assert kind in (TRAP_V2, INFORM) and version == b"\1", (kind, version)
    found = varbinds(fields[3][1])
    assert [bind[:2] for bind in found[:2]] == [(UP_TIME, 0x43), (TRAP_OID, 6)], found[:2]
    return kind, found[1][2], found[2:]


def tell(at, kind, number, binds):
    """A Told, when the MIB knows all that it has; AssertionError says what is wrong with it. Not
    ours: None."""
    if not number.startswith(harness.ROOT_OID + "."):
        return None
    name = NAMES.get(number)
    assert name, f"{number} is no notification of the MIB"
    wanted = NOTIFICATIONS[name]
    assert len(binds) == len(wanted), f"{name} has {len(binds)} varbinds: {binds}"
    values, longest = {}, ()
    for (found, tag, value), object_ in zip(binds, wanted):
        head, (kind_of, n_indexes) = harness.OIDS[object_], OBJECTS[object_]
        assert found.startswith(head + "."), f"{name}: {found} where {object_} belongs"
        index = tuple(map(int, found[len(head) + 1:].split(".")))
        assert tag == kind_of, f"{name}: {object_} is of type {tag:#x}"
        if n_indexes == 0:
            assert index == (0,), f"{name}: {found} is not the instance of a scalar"
        else:
            assert len(index) == n_indexes and all(index), f"{name}: {found} is no instance"
            short = min(len(index), len(longest))
            assert index[:short] == longest[:short], f"{name}: instances of several rows: {binds}"
            longest = max(longest, index, key=len)
        values[object_] = value
    return Told(at, kind, name, longest, values)


class Receiver:
    """A UDP socket that takes whatever comes, with the time, from the start on. Decoding is for
    later: it must not lose what comes meanwhile. Informs are answered."""

    def __init__(self, place, size=16 << 20):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with contextlib.suppress(PermissionError):
            self.sock.setsockopt(socket.SOL_SOCKET, 33, size)  # SO_RCVBUFFORCE
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.raw, self.decoded, self.ours = [], 0, []
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        place.callback(self.end)

    def end(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join()
        self.sock.close()

    def serve(self):
        while True:
            data, peer = self.sock.recvfrom(65536)
            if not data:
                return
            self.raw.append((time.monotonic(), data))
            self.answer(data, peer)

    def answer(self, data, peer):
        _, message, _ = ber.split(data)
        _, _, at = ber.split(message)
        _, _, at = ber.split(message, at)
        kind, pdu, _ = ber.split(message, at)
        if kind == INFORM:
            self.sock.sendto(ber.tlv(0x30, message[:at] + ber.tlv(RESPONSE, pdu)), peer)

    def told(self):
        """All of ours so far, in the order in which they came; each has been checked."""
        while self.decoded < len(self.raw):
            at, data = self.raw[self.decoded]
            self.decoded += 1
            one = tell(at, *parse(data))
            if one:
                self.ours.append(one)
        return self.ours


class Watch:
    """Goes through what a receiver gets, in order: what nobody asks for must not come."""

    def __init__(self, receiver, wanted=lambda told: True):
        self.receiver, self.wanted, self.at = receiver, wanted, 0

    def unread(self):
        return [told for told in self.receiver.told()[self.at:] if self.wanted(told)]

    def skip(self):
        """Forgets what came until now."""
        self.at = len(self.receiver.told())

    def next(self, timeout=None):
        harness.wait_for(self.unread, "a notification", timeout)
        while True:
            told = self.receiver.told()[self.at]
            self.at += 1
            if self.wanted(told):
                return told

    def expect(self, name, *index, timeout=None, **values):
        """The next one: what it is, of which row (or of any client of that server), and some of
        its values, by their names without the prefix that all have."""
        with_name = f"{name}{list(index)} {values}"
        try:
            told = self.next(timeout)
        except AssertionError:
            raise AssertionError(f"waited in vain for {with_name}") from None
        assert (told.name, told.index[:len(index)]) == (name, index), f"{told}, not {with_name}"
        for key, value in values.items():
            found = told.values["lva" + key]
            assert found == value, f"{told}: {key} is not {value!r}"
        return told

    def nothing(self):
        left = self.unread()
        assert not left, "\n".join(map(str, left))


# What of the IETF's modules ours needs, for where they are not installed: Debian cannot ship them.
STANDINS = {
    "SNMPv2-SMI": """
org OBJECT IDENTIFIER ::= { iso 3 }
dod OBJECT IDENTIFIER ::= { org 6 }
internet OBJECT IDENTIFIER ::= { dod 1 }
mgmt OBJECT IDENTIFIER ::= { internet 2 }
mib-2 OBJECT IDENTIFIER ::= { mgmt 1 }
experimental OBJECT IDENTIFIER ::= { internet 3 }
private OBJECT IDENTIFIER ::= { internet 4 }
enterprises OBJECT IDENTIFIER ::= { private 1 }
snmpV2 OBJECT IDENTIFIER ::= { internet 6 }
snmpModules OBJECT IDENTIFIER ::= { snmpV2 3 }""",
    "SNMPv2-TC": """
TruthValue ::= TEXTUAL-CONVENTION STATUS current DESCRIPTION ""
    SYNTAX INTEGER { true(1), false(2) }
TestAndIncr ::= TEXTUAL-CONVENTION STATUS current DESCRIPTION "" SYNTAX INTEGER (0..2147483647)
StorageType ::= TEXTUAL-CONVENTION STATUS current DESCRIPTION ""
    SYNTAX INTEGER { volatile(2), nonVolatile(3) }
DateAndTime ::= TEXTUAL-CONVENTION DISPLAY-HINT "2d-1d-1d,1d:1d:1d.1d,1a1d:1d" STATUS current
    DESCRIPTION "" SYNTAX OCTET STRING (SIZE (8 | 11))""",
    "SNMPv2-CONF": "",
    "SNMPv2-MIB": """IMPORTS mib-2, snmpModules FROM SNMPv2-SMI;
system OBJECT IDENTIFIER ::= { mib-2 1 }
sysUpTime OBJECT-TYPE SYNTAX TimeTicks MAX-ACCESS read-only STATUS current DESCRIPTION ""
    ::= { system 3 }
snmpMIBObjects OBJECT IDENTIFIER ::= { snmpModules 1 1 }
snmpTrap OBJECT IDENTIFIER ::= { snmpMIBObjects 4 }
snmpTrapOID OBJECT-TYPE SYNTAX OBJECT IDENTIFIER MAX-ACCESS accessible-for-notify STATUS current
    DESCRIPTION "" ::= { snmpTrap 1 }""",
    "SNMP-FRAMEWORK-MIB": """
SnmpAdminString ::= TEXTUAL-CONVENTION DISPLAY-HINT "255t" STATUS current DESCRIPTION ""
    SYNTAX OCTET STRING (SIZE (0..255))""",
    "HCNUM-TC": """
CounterBasedGauge64 ::= TEXTUAL-CONVENTION STATUS current DESCRIPTION "" SYNTAX Counter64""",
    "INET-ADDRESS-MIB": """
InetAddressType ::= TEXTUAL-CONVENTION STATUS current DESCRIPTION ""
    SYNTAX INTEGER { unknown(0), ipv4(1), ipv6(2), ipv4z(3), ipv6z(4), dns(16) }
InetAddress ::= TEXTUAL-CONVENTION STATUS current DESCRIPTION ""
    SYNTAX OCTET STRING (SIZE (0..255))
InetPortNumber ::= TEXTUAL-CONVENTION DISPLAY-HINT "d" STATUS current DESCRIPTION ""
    SYNTAX Unsigned32 (0..65535)""",
}


def mib_dirs(place):
    """Folders with the modules that ours imports: those of the IETF, where there are any."""
    candidates = os.environ.get("VADM_MIBDIRS", "").split(":") + [
        os.path.join(harness.SOURCE, "..", "shared", "mibs"), "/usr/share/snmp/mibs/ietf",
        "/var/lib/mibs/ietf", "/usr/share/mibs/ietf"]
    for folder in filter(os.path.isdir, candidates):
        stems = {name.partition(".")[0] for name in os.listdir(folder)}
        if stems.issuperset(STANDINS):
            return [folder]
    os.makedirs(place.path("mibs"), exist_ok=True)
    for name, text in STANDINS.items():
        place.write(os.path.join("mibs", name + ".txt"),
                    f"{name} DEFINITIONS ::= BEGIN\n{text}\nEND\n")
    return [place.path("mibs")]


class Handled(NamedTuple):
    """What the traphandle was told: names and values as snmptrapd prints them."""
    name: str
    community: str  # of a trap in v1; else None
    binds: dict


class Snmptrapd:
    """A private snmptrapd. It takes v1 and v2c with any of COMMUNITIES, and v3 with a user."""

    USER, PASSWORDS, ENGINE = "traps", ("authentic-words", "private-words"), "0x8000000001020304"
    COMMUNITIES = ("one", "two", "informs")

    def __init__(self, place):
        self.place, self.port = place, harness.free_port()
        self.dir = place.path("snmptrapd")
        state = os.path.join(self.dir, "state")  # net-snmp removes a snmptrapd.conf that is there
        os.makedirs(state, exist_ok=True)
        self.handled_path = os.path.join(self.dir, "handled")
        self.log_path = os.path.join(self.dir, "log")
        handler = os.path.join(harness.SOURCE, "tests", "live", "tools", "traphandle.sh")
        user = f'{self.USER} SHA "{self.PASSWORDS[0]}" AES "{self.PASSWORDS[1]}"'
        allowed = "\n".join(f"authCommunity log,execute {name}" for name in self.COMMUNITIES)
        conf = place.write("snmptrapd/snmptrapd.conf", f"""\
[snmp] persistentDir {state}
{allowed}
createUser -e {self.ENGINE} {user}
createUser {user}
authUser log,execute {self.USER} priv
format1 %P: %q %v\\n
format2 %P: %v\\n
traphandle default /bin/sh {handler} {self.handled_path}
""")
        dirs = [os.path.join(harness.BUILD, "mib")] + mib_dirs(place)
        self.process = place.spawn("trapd", [
            harness.tool("snmptrapd"), "-f", "-C", "-c", conf, "-n", "-t", "-OU",
            "-M", ":".join(dirs),
            "-m", "SNMPv2-MIB:LIBVIRT-ADMIN-MIB", "-Lf", self.log_path,
            f"udp:127.0.0.1:{self.port}"],
            {"SNMPCONFPATH": self.dir, "SNMP_PERSISTENT_DIR": state, "MIBS": ""})
        harness.wait_for(self.listens, lambda: f"snmptrapd: {self.log()}")

    def log(self):
        with contextlib.suppress(FileNotFoundError), open(self.log_path, encoding="utf-8") as text:
            return text.read()
        return ""

    def arrivals(self):
        """How each of ours came, in order: ("TRAP2, SNMP v3, user traps, context ", name)."""
        return re.findall(r"^(\w+, SNMP .*?): .*?\bLIBVIRT-ADMIN-MIB::(lva\w+)", self.log(), re.M)

    def listens(self):
        assert self.process.alive(), f"snmptrapd ended: {self.process.output()} {self.log()}"
        with open("/proc/net/udp", encoding="ascii") as sockets:
            return f"0100007F:{self.port:04X} " in sockets.read()

    def sinks(self):
        """Lines for snmpd.conf: all that it can send, to here; v3 as a trap and as an inform. On a
        busy machine the answer to an inform is late, and snmpd would send it again after a second."""
        to = f"udp:127.0.0.1:{self.port}"
        user = f'-v 3 -u {self.USER} -l authPriv -a SHA -A {self.PASSWORDS[0]} ' \
            f'-x AES -X {self.PASSWORDS[1]}'
        one, two, informs = self.COMMUNITIES
        return f"""\
exactEngineID {self.ENGINE}
trapsink {to} {one}
trap2sink {to} {two}
trapsess -Ci -t {int(harness.PATIENCE)} -v 2c -c {informs} {to}
trapsess -e {self.ENGINE} {user} {to}
trapsess -Ci -t {int(harness.PATIENCE)} {user} {to}
"""

    def handled(self):
        """Ours, in the order in which they came."""
        if not os.path.exists(self.handled_path):
            return []
        with open(self.handled_path, encoding="utf-8") as text:
            blocks = text.read().split("\n\n")[:-1]
        return [told for told in map(self.parse_handled, blocks) if told]

    @staticmethod
    def parse_handled(block):
        # the host's name and its address come first
        binds = dict(line.partition(" ")[::2] for line in block.splitlines()[2:])
        name = binds.pop("SNMPv2-MIB::snmpTrapOID.0")
        module, _, name = name.partition("::")
        if module != "LIBVIRT-ADMIN-MIB":
            return None
        binds.pop("SNMPv2-MIB::sysUpTime.0")
        # what snmptrapd adds to a trap that came in v1 (RFC 2576, 3.1)
        added = {key: binds.pop(key) for key in list(binds) if re.search(
            r"(\b18\.1\.[34]|snmpTrap\.3|snmpTrap(Address|Community|Enterprise))\.0$", key)}
        community = next((value for key, value in added.items()
                          if key.endswith(("18.1.4.0", "Community.0"))), None)
        unknown = [key for key in binds if not re.match(r"LIBVIRT-ADMIN-MIB::lva\w+(\.\d+)+$", key)]
        assert not unknown, f"unknown to the MIB: {unknown}"
        return Handled(name, community and community.strip('"'), {
            key.partition("::")[2]: value for key, value in binds.items()})


def connect(path):
    """A client, as soon as the daemon's backlog has room."""
    def attempt():
        try:
            return harness.Raw(path, harness.Raw.REMOTE)
        except BlockingIOError:
            return None
    return harness.wait_for(attempt, "room in the backlog")


class Sasl:
    """A user and a password that virtadmd knows, in a database of its own; and a client of the
    mechanism PLAIN (RFC 4616), which needs no library."""

    USER, REALM, PASSWORD = "fred", "example", "right-words"
    SASL_INIT, SASL_START = 67, 68

    def __init__(self, place):
        folder = place.path("sasl")
        os.makedirs(folder, exist_ok=True)
        database = os.path.join(folder, "sasldb2")
        place.write("sasl/virtadmd.conf", "mech_list: PLAIN\npwcheck_method: auxprop\n"
                    f"auxprop_plugin: sasldb\nsasldb_path: {database}\n")
        status, _, err = harness.run(harness.tool("saslpasswd2"), "-c", "-p", "-f", database,
                                     "-u", self.REALM, self.USER, stdin=self.PASSWORD)
        assert status == 0, err
        self.env = {"SASL_CONF_PATH": folder}

    @classmethod
    def log_in(cls, client, password):
        """The answer, or None when the connection ends."""
        said = f"\0{cls.USER}@{cls.REALM}\0{password}".encode()
        data = b"".join(struct.pack(">i", octet) for octet in said)  # an array of char in XDR
        assert client.call(cls.SASL_INIT)[5] == 0
        return client.call(cls.SASL_START, harness.xdr_string("PLAIN") + struct.pack(
            ">iI", 0, len(said)) + data)


class Case(unittest.TestCase):
    """A virtadmd whose notifications come to self.watch, those about clients of its admin socket
    left out: the tests themselves are such clients."""

    CLIENTS_ONLY = ("clientConnect", "clientDisconnect")

    # one that a client can use before it has said who it is
    SASL_LISTEN = "listen = unix+sasl:libvirt-sock\n"

    def start(self, server="", enable=BITS, interval=0, upstream=False, sinks="", extra="", **how):
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        if self.SASL_LISTEN in server:
            how["env"] = Sasl(self.place).env
        self.receiver = Receiver(self.place)
        self.snmpd = harness.Snmpd(
            self.place, f"trap2sink udp:127.0.0.1:{self.receiver.port} public\n{sinks}")
        self.libvirtd = harness.Libvirtd(self.place) if upstream else None
        self.daemon = harness.Virtadmd(
            self.place, self.libvirtd, self.snmpd, server=server, extra=f"""\
[notify]
enable = {";".join(enable)}
min_interval = {interval}
{extra}""", **how)
        self.session = ber.Session(self.snmpd.port, timeout=harness.PATIENCE)
        self.addCleanup(self.session.close)
        self.watch = self.look()
        self.forgotten = 0

    def restart(self):
        """It counts anew."""
        self.assertEqual(self.daemon.stop(), 0)
        self.forgotten = len(self.receiver.told())
        self.watch.skip()
        self.daemon.start()

    def look(self, wanted=lambda told: True):
        """A watch of its own, for one kind of notification beside others."""
        return Watch(self.receiver, lambda told: told.index[:1] != (1,) and wanted(told))

    def get(self, *oids):
        status, _, binds = self.session.get(*oids)
        self.assertEqual(status, 0)
        return [value_of(tag, body, "surrogateescape") if tag < 0x80 else None
                for _, tag, body in binds]

    def get1(self, name, *index):
        return self.get(harness.oid(name, *index))[0]

    def set(self, *binds):
        self.assertEqual(self.session.set_all(binds), (0, 0),
                         lambda: self.get1("lvaConfigLastError"))

    def counters(self):
        """(lvaNotifySent, lvaNotifySuppressed)"""
        return tuple(self.get(harness.oid("lvaNotifySent"), harness.oid("lvaNotifySuppressed")))

    def came(self):
        return len(self.receiver.told()) - self.forgotten

    def settle(self):
        """What was sent has come, all of it and each once, and nobody has overlooked any."""
        def all_is_there():
            sent = self.counters()[0]
            return sent == self.came() == self.counters()[0]
        harness.wait_for(all_is_there, lambda: f"{self.counters()[0]} notifications; "
                         f"{self.came()} came")
        self.watch.nothing()

    def agree(self, told):
        """It says what a GET says."""
        for name, value in told.values.items():
            index = told.index[:OBJECTS[name][1]]
            self.assertEqual(self.get1(name, *index), value, name)

    def connect(self, path=None):
        client = connect(path or self.daemon.socket)
        self.addCleanup(client.sock.close)
        return client

    def crowd(self, number, server=2):
        """So many clients, when the daemon knows of all."""
        before = self.get1("lvaServerClientsCurrent", server)
        clients = [self.connect() for _ in range(number)]
        self.wait_for_clients(before + number, server)
        return clients

    def wait_for_clients(self, number, server=2):
        harness.wait_for(lambda: self.get1("lvaServerClientsCurrent", server) == number,
                         f"{number} clients")
