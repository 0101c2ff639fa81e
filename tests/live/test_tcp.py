# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients over TCP: the real virsh, and what virt-admin and SNMP say of it, next to what they say of a
libvirtd that listens on TCP. IPv6 where the host has it: where not, that is printed."""

import os
import re
import socket
import struct
import unittest

import harness
import traps
from harness import Raw, oid
from test_notify import ADMINISTRATOR
from test_relay import OPEN

AUTH_LIST = 66
TCP, IPV4, IPV6, IPV6Z, FALSE = 2, 1, 2, 4, 2
STREAM = socket.SOCK_STREAM


def hosts():
    """Addresses of this host that are only its own, as socket.connect() takes them."""
    found = ["127.0.0.1"]
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        found.append("::1")
        with open("/proc/net/if_inet6", encoding="ascii") as lines:
            for address, _, _, scope, _, interface in map(str.split, lines):
                if scope == "20":
                    text = socket.inet_ntop(socket.AF_INET6, bytes.fromhex(address))
                    return [*found, f"{text}%{interface}"]
        print("no link-local address here: nothing is tested about zones")
    except OSError as error:
        print(f"no [::1] here: nothing is tested about IPv6 ({error})")
    return found


def bracketed(host):
    return f"[{host}]" if ":" in host else host


def uri(host, port):
    return f"test+tcp://{bracketed(host.replace('%', '%25'))}:{port}/default"


def virsh(host, port, *args, options=()):
    return harness.run(harness.tool("virsh"), *options, "-c", uri(host, port), *args)


def inet(host):
    """(InetAddressType, InetAddress)"""
    address, _, zone = host.partition("%")
    if ":" not in host:
        return IPV4, socket.inet_pton(socket.AF_INET, host)
    octets = socket.inet_pton(socket.AF_INET6, address)
    if not zone:
        return IPV6, octets
    return IPV6Z, octets + struct.pack(">I", socket.if_nametoindex(zone))


def peer_of(client, host):
    return f"{bracketed(host)}:{client.sock.getsockname()[1]}"


class Clients(traps.Case):
    def setUp(self):
        self.port, self.hosts = harness.free_port(STREAM), hosts()
        self.listens = [f"tcp:{bracketed(host)}:{self.port}" for host in self.hosts]
        self.start(f"listen = unix:libvirt-sock;{';'.join(self.listens)}",
                   enable=self.CLIENTS_ONLY, upstream=True)

    def octets(self, name, *index):
        return self.get1(name, *index).encode("utf-8", "surrogateescape")

    def address(self, row, *index):
        return self.get1(f"lva{row}AddressType", *index), self.octets(f"lva{row}Address", *index)

    def enter(self, host):
        client = Raw((host, self.port), Raw.REMOTE)
        self.addCleanup(client.sock.close)
        self.assertEqual(client.call(AUTH_LIST)[6], struct.pack(">II", 1, 0))
        return client

    def test_virsh(self):
        """What it prints is what it prints of the upstream."""
        want = [harness.virsh(self.libvirtd.socket, "list", "--all", options=options)
                for options in ((), ("-r",))]
        self.assertEqual(want[0][0], 0, want)
        for host in self.hosts:
            with self.subTest(host):
                got = [virsh(host, self.port, "list", "--all", options=options)
                       for options in ((), ("-r",))]
                self.assertEqual(got, want)
                status, out, err = virsh(host, self.port, "dumpxml", "test")
                self.assertEqual((status, "<name>test</name>" in out), (0, True), err)
        self.wait_for_clients(0)

    def test_rows(self):
        """Of services and clients; notifications; and an end by the administrator."""
        for index, (host, listen) in enumerate(zip(self.hosts, self.listens), 2):
            with self.subTest(host):
                self.assertEqual(self.get(*(oid(f"lvaService{name}", 2, index) for name in (
                    "Transport", "Port", "Listen", "ReadOnly"))),
                    [TCP, self.port, listen, FALSE])
                self.assertEqual(self.address("Service", 2, index), inet(host))
                client = self.enter(host)
                peer = peer_of(client, host)
                told = self.watch.expect("lvaClientConnected", 2, ClientTransport=TCP,
                                         ClientPeer=peer)
                self.agree(told)
                self.assertEqual(self.address("Client", *told.index), inet(host))
                self.assertEqual(self.get(*(oid(f"lvaClient{name}", *told.index) for name in (
                    "Port", "UnixUserId", "UnixUserName", "UnixGroupId", "UnixProcessId",
                    "ReadOnly"))),
                    [client.sock.getsockname()[1], 2**32 - 1, "", 2**32 - 1, 0, FALSE])
                self.assertEqual(client.call(OPEN, harness.open_payload())[5], 0)
                status, _, err = self.daemon.virt_admin(
                    "client-disconnect", "libvirtd", str(self.get1("lvaClientId", *told.index)))
                self.assertEqual(status, 0, err)
                self.assertIsNone(client.receive())
                self.watch.expect("lvaClientDisconnected", *told.index, ClientPeer=peer,
                                  ClientDisconnectReason=ADMINISTRATOR)

    def info(self, admin, peer):
        """What virt-admin says of the client from there."""
        def found():
            listed = harness.virt_admin(admin, "client-list", "libvirtd")[1]
            for number, transport in re.findall(r"^ (\d+) +(\w+)  ", listed, re.M):
                out = harness.virt_admin(admin, "client-info", "libvirtd", number)[1]
                if peer in out:
                    out = re.sub(r"^(id|connection_time) *: .*\n", "", out, flags=re.M)
                    return transport, out.replace(peer, "PEER")
            return None
        return harness.wait_for(found, f"the client from {peer}")

    def test_like_libvirtd(self):
        """virt-admin sees no difference."""
        for host in self.hosts:
            if "%" in host:
                continue  # libvirtd takes no zone there
            libvirtd = harness.Libvirtd(
                self.place, name=f"libvirtd-{len(host)}", options=("--listen",), extra=f"""\
listen_tls = 0
listen_tcp = 1
listen_addr = "{host}"
tcp_port = "{harness.free_port(STREAM)}"
auth_tcp = "none"
""")
            with open(libvirtd.conf, encoding="utf-8") as conf:
                port = int(re.search(r'tcp_port = "(\d+)"', conf.read())[1])
            with self.subTest(host), Raw((host, port), Raw.REMOTE) as there:
                here = self.enter(host)
                there.call(AUTH_LIST)
                got = self.info(self.daemon.admin, peer_of(here, host))
                self.assertEqual(got, self.info(libvirtd.admin, peer_of(there, host)))
                self.assertEqual(got[0], "tcp")

    def test_restart(self):
        """Clients that are connected do not keep the next daemon from their port."""
        left = [self.enter(host) for host in self.hosts]
        self.restart()
        for client in left:
            self.assertIsNone(client.receive())
        for host in self.hosts:
            self.enter(host)


class Start(unittest.TestCase):
    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)

    def refuse(self, listen, rule, before=()):
        conf = self.place.write("refused.conf", f"""\
[daemon]
runtime_dir = {self.place.path("refused")}
state_dir = {self.place.path("state")}
[snmp]
enabled = false
[server libvirtd]
listen = {listen}
""")
        status, out, err = harness.run(*before, os.path.join(harness.BUILD, "virtadmd"),
                                       "--config", conf)
        self.assertIn(f"address '{listen}': {rule}", err)
        self.assertEqual(status, 1, out)
        self.assertEqual(os.listdir(self.place.path("refused")), [])

    def test_refused(self):
        """What cannot be listened on is named."""
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            self.refuse(f"tcp:127.0.0.1:{port}", "already in use")
            self.refuse(f"tcp:0.0.0.0:{port}", "already in use")
        self.refuse(f"tcp:203.0.113.77:{port}", "this host does not have it")

    @harness.needs_root
    def test_no_ipv6(self):
        """In a network namespace without any address."""
        self.refuse(f"tcp:[::1]:{harness.free_port(STREAM)}", "this host does not have it",
                    (harness.tool("unshare"), "--net"))

    def test_warning(self):
        """Who lets in everybody from everywhere is told so, and nobody else; and so is who has a list of
        those who may come in, and asks nobody who he is."""
        ports = [harness.free_port(STREAM) for _ in range(3)]
        daemon = harness.Virtadmd(self.place, server=f"""\
listen = tcp:0.0.0.0:{ports[0]};tcp:127.0.0.2:{ports[1]};tcp+sasl:0.0.0.0:{ports[2]}
sasl_allowed_username_list = fred
tls_allowed_dn_list = CN=fred""")
        harness.wait_for(lambda: "keeps nobody out" in daemon.log_text() and
                         "is let in" in daemon.log_text(), daemon.log_text)
        self.assertEqual(re.findall("Server 'libvirtd': (.*) keeps nobody out", daemon.log_text()),
                         ["tls_allowed_dn_list"])
        warned = re.findall(r"warning : .*Whoever reaches '(.*)' is let in", daemon.log_text())
        self.assertEqual(warned, [f"tcp:0.0.0.0:{ports[0]}"])
