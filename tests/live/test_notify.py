# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each notification of the linked-in daemon: when it comes, what it says, and to whom."""

import os
import re
import signal
import struct
import subprocess
import unittest

import ber
import harness
import traps
from harness import Raw, Subagent, oid, open_payload
from test_relay import GET_TYPE, OPEN, SUPPORTS_FEATURE

CLIENT, ADMINISTRATOR, KEEPALIVE, PROTOCOL_ERROR, AUTH_FAILURE, SHUTDOWN, UNKNOWN = \
    range(1, 8)
ADMIN_RPC, SNMP, RELOAD, ROLLBACK = range(2, 6)
COMMIT_FAILED = 14


class Decoder(unittest.TestCase):
    """What is wrong with a notification is seen; else the tests below would prove nothing."""

    GOOD = (("lvaDaemonName", "0", ber.octets("virtadmd")),
            ("lvaServerName", "2", ber.octets("libvirtd")),
            ("lvaClientTransport", "2.7", ber.integer(1)),
            ("lvaClientPeer", "2.7", ber.octets("unix:pid=12,uid=0")))

    def tell(self, binds, name="lvaClientConnected", number=None):
        number = number or harness.OIDS[name]
        found = [(traps.UP_TIME, ber.integer(1, 0x43)), (traps.TRAP_OID, ber.encode_oid(number))]
        found += [(f"{harness.OIDS[key]}.{index}", value) for key, index, value in binds]
        body = b"".join(ber.tlv(0x30, ber.encode_oid(key) + value) for key, value in found)
        pdu = ber.integer(1) + ber.integer(0) + ber.integer(0) + ber.tlv(0x30, body)
        return traps.tell(0, *traps.parse(ber.tlv(
            0x30, ber.integer(1) + ber.octets("public") + ber.tlv(traps.TRAP_V2, pdu))))

    def test_right(self):
        told = self.tell(self.GOOD)
        self.assertEqual((told.name, told.index), ("lvaClientConnected", (2, 7)))
        self.assertEqual(told.values["lvaClientPeer"], "unix:pid=12,uid=0")
        self.assertIsNone(self.tell((), number="1.3.6.1.6.3.1.1.5.1"))

    def test_wrong(self):
        good = list(self.GOOD)
        for what, binds in {
                "lacks": good[:3], "has one more": good + good[3:],
                "order": [good[1], good[0], *good[2:]],
                "type": good[:2] + [("lvaClientTransport", "2.7", ber.unsigned(1)), good[3]],
                "column": good[:3] + [("lvaClientPeer", "2", good[3][2])],
                "scalar": [("lvaDaemonName", "2", good[0][2]), *good[1:]],
                "other server": [good[0], ("lvaServerName", "3", good[1][2]), *good[2:]],
                "other client": good[:3] + [("lvaClientPeer", "2.8", good[3][2])]}.items():
            with self.subTest(what), self.assertRaises(AssertionError):
                self.tell(binds)
        with self.assertRaises(AssertionError):
            self.tell(good, number=harness.ROOT_OID + ".0.77")


class Limits(traps.Case):
    def test_full_high_normal(self):
        """T = 5 for high (50 % of 10), 10 for full; cleared at 4 and 9."""
        self.start("max_clients = 10\nmax_anonymous_clients = 0\nclients_high_percent = 50",
                   enable=("clientLimit", "clientHigh"))
        row = {"DaemonName": "virtadmd", "ServerName": "libvirtd", "ServerClientsMax": 10}
        crowd = self.crowd(4)
        self.settle()
        crowd += self.crowd(1)
        self.agree(self.watch.expect("lvaClientsHigh", 2, ServerClientsCurrent=5,
                                     ServerClientsHighPercent=50, **row))
        crowd += self.crowd(4)
        self.settle()
        crowd += self.crowd(1)
        self.agree(self.watch.expect("lvaClientsFull", 2, ServerClientsCurrent=10, **row))
        self.leave(crowd, 1)
        self.agree(self.watch.expect("lvaClientsHigh", 2, ServerClientsCurrent=9,
                                     ServerClientsHighPercent=50, **row))
        self.leave(crowd, 4)
        self.settle()
        self.leave(crowd, 1)
        self.agree(self.watch.expect("lvaClientsNormal", 2, ServerClientsCurrent=4, **row))
        self.leave(crowd, 4)
        self.settle()
        self.assertEqual(self.counters(), (4, 0))

    def leave(self, crowd, number):
        left = self.get1("lvaServerClientsCurrent", 2) - number
        for _ in range(number):
            crowd.pop().sock.close()
        self.wait_for_clients(left)

    def test_the_limit_moves(self):
        """It is the limit that changes, not the clients, and of both servers in one change."""
        self.start("clients_high_percent = 0", enable=("clientLimit", "clientHigh"))
        self.crowd(2)
        self.set((oid("lvaServerClientsUnauthMax", 2), ber.unsigned(0)),
                 (oid("lvaServerClientsMax", 2), ber.unsigned(2)))
        self.agree(self.watch.expect("lvaClientsFull", 2, ServerClientsCurrent=2,
                                     ServerClientsMax=2))
        self.set((oid("lvaServerClientsMax", 2), ber.unsigned(20)))
        self.watch.expect("lvaClientsNormal", 2, ServerClientsCurrent=2, ServerClientsMax=20)
        self.set((oid("lvaServerClientsHighPercent", 2), ber.unsigned(10)))
        self.watch.expect("lvaClientsHigh", 2, ServerClientsCurrent=2, ServerClientsMax=20,
                          ServerClientsHighPercent=10)
        self.set((oid("lvaServerClientsMax", 2), ber.unsigned(0)))
        self.watch.expect("lvaClientsFull", 2, ServerClientsMax=0)
        self.settle()


class Clients(traps.Case):
    """Clients come and go, for each reason that there is."""

    def come(self, path=None):
        client = self.connect(path)
        told = self.watch.expect("lvaClientConnected", 2, DaemonName="virtadmd",
                                 ServerName="libvirtd", ClientTransport=1,
                                 ClientPeer=f"unix:pid={os.getpid()},uid={os.geteuid()}")
        self.agree(told)
        return client, told

    def gone(self, told, reason):
        """The one that told is about is, and the same is told of it."""
        told = told._replace(values={**told.values, "lvaClientDisconnectReason": reason})
        found = self.watch.expect("lvaClientDisconnected", *told.index)
        self.assertEqual(found.values, told.values)

    def test_reasons(self):
        self.start("keepalive_interval = 1\nkeepalive_count = 1", enable=self.CLIENTS_ONLY)
        client, told = self.come()
        client.sock.close()
        self.gone(told, CLIENT)
        client, told = self.come(self.daemon.socket_ro)
        client.sock.close()
        self.gone(told, CLIENT)
        client, told = self.come()
        self.set((oid("lvaClientAdminStatus", *told.index), ber.integer(2)))
        self.gone(told, ADMINISTRATOR)
        client, told = self.come()
        status, _, err = self.daemon.virt_admin("client-disconnect", "libvirtd",
                                                str(self.get1("lvaClientId", *told.index)))
        self.assertEqual(status, 0, err)
        self.gone(told, ADMINISTRATOR)
        client, told = self.come()
        client.sock.sendall(b"GET / HTTP/1.0\r\n\r\n" * 10)
        self.gone(told, PROTOCOL_ERROR)
        client, told = self.come()
        self.assertEqual(client.call(SUPPORTS_FEATURE, struct.pack(">I", 10))[5], 0)
        self.gone(told, KEEPALIVE)  # from now on it is pinged, and does not answer
        self.settle()
        self.assertEqual(self.counters()[1], 0)

    def test_shutdown(self):
        """More than fit into what is sent at a time."""
        self.start("max_anonymous_clients = 0", enable=self.CLIENTS_ONLY)
        for _ in range(300):
            self.connect()
        harness.wait_for(lambda: len(self.watch.unread()) == 300, "300 clients")
        came = {told.index: told for told in self.watch.unread()}
        self.watch.skip()
        self.assertEqual(self.daemon.stop(), 0)
        for _ in range(300):
            told = self.watch.next()
            self.assertEqual(told.name, "lvaClientDisconnected")
            self.assertEqual(told.values, {**came.pop(told.index).values,
                                           "lvaClientDisconnectReason": SHUTDOWN})
        self.watch.nothing()

    def test_each_in_order(self):
        """Each connection is told once, and its end, once, behind it."""
        self.start(enable=self.CLIENTS_ONLY)
        for _ in range(200):
            self.connect().sock.close()
        harness.wait_for(lambda: len(self.watch.unread()) == 400, lambda: "400 notifications, not "
                         f"{len(self.watch.unread())}")
        found = [(told.name, told.index) for told in self.watch.unread()]
        self.watch.skip()
        self.settle()
        came = [index for name, index in found if name == "lvaClientConnected"]
        gone = [index for name, index in found if name == "lvaClientDisconnected"]
        self.assertEqual(came, sorted(set(came)))
        self.assertEqual((len(came), sorted(gone)), (200, came))
        for index in came:
            self.assertLess(found.index(("lvaClientConnected", index)),
                            found.index(("lvaClientDisconnected", index)))
        self.assertEqual(self.counters()[1], 0)


class Upstream(traps.Case):
    """What a libvirtd that hangs or is gone means to those who wait for it."""

    def call_late(self, client):
        """One that is not answered yet."""
        client.send(GET_TYPE)

    def test_workers(self):
        self.start("min_workers = 1\nmax_workers = 1\nprio_workers = 0", enable=("workers",),
                   upstream=True)
        client = self.connect()
        self.assertEqual(client.call(OPEN, open_payload())[5], 0)
        self.libvirtd.process.kill(signal.SIGSTOP)
        for _ in range(3):
            self.call_late(client)
        told = self.watch.expect("lvaWorkersExhausted", 2, DaemonName="virtadmd",
                                 ServerName="libvirtd", ServerWorkersMax=1,
                                 ServerJobQueueDepth=2)
        self.agree(told)
        self.settle()
        # more workers take what waits, whatever becomes of it
        self.set((oid("lvaServerWorkersMax", 2), ber.unsigned(10)))
        harness.wait_for(lambda: self.get1("lvaServerJobQueueDepth", 2) == 0, "no queue")
        self.settle()  # it has just become empty
        self.agree(self.watch.expect("lvaWorkersAvailable", 2, ServerWorkersMax=10,
                                     ServerJobQueueDepth=0))
        self.libvirtd.process.kill(signal.SIGCONT)
        for _ in range(3):
            self.assertEqual(client.receive()[5], 0)
        self.set((oid("lvaServerWorkersMax", 2), ber.unsigned(1)))
        harness.wait_for(lambda: self.get1("lvaServerWorkersCurrent", 2) == 1, "one worker")
        # full for less than a second is not exhausted
        self.libvirtd.process.kill(signal.SIGSTOP)
        for _ in range(3):
            self.call_late(client)
        harness.wait_for(lambda: self.get1("lvaServerJobQueueDepth", 2) == 2, "a queue")
        self.libvirtd.process.kill(signal.SIGCONT)
        for _ in range(3):
            self.assertEqual(client.receive()[5], 0)
        self.settle()
        self.assertEqual(self.counters(), (2, 0))

    def test_workers_and_the_master_agent(self):
        """Exhausted ones are raised once again when it is back; that they are not any more is told
        then, too."""
        self.start("min_workers = 1\nmax_workers = 1\nprio_workers = 0", enable=("workers",),
                   upstream=True)
        # while there is no master the log is who tells
        self.assertEqual(self.daemon.virt_admin("daemon-log-filters", "--filters",
                                                "2:daemon.workers")[0], 0)
        client = self.connect()
        self.assertEqual(client.call(OPEN, open_payload())[5], 0)
        self.libvirtd.process.kill(signal.SIGSTOP)
        for _ in range(2):
            self.call_late(client)
        self.watch.expect("lvaWorkersExhausted", 2)
        self.kill_master()
        self.start_master()
        self.agree(self.watch.expect("lvaWorkersExhausted", 2, ServerJobQueueDepth=1))
        self.settle()
        self.kill_master()
        self.libvirtd.process.kill(signal.SIGCONT)
        for _ in range(2):
            self.assertEqual(client.receive()[5], 0)
        harness.wait_for(lambda: "no job of server 'libvirtd' waits" in self.daemon.log_text(),
                         "available workers")
        self.start_master()
        self.agree(self.watch.expect("lvaWorkersAvailable", 2, ServerJobQueueDepth=0))
        self.settle()

    def kill_master(self):
        self.snmpd.process.kill(signal.SIGKILL)
        self.snmpd.process.wait()

    def start_master(self):
        self.snmpd.start()
        harness.wait_for(self.snmpd.has_agent, "the agent to be back")

    def test_upstream(self):
        self.start(enable=("upstream",), upstream=True)
        self.assertEqual(harness.virsh(self.daemon.socket, "uri")[0], 0)
        self.settle()  # that the first one is up is no news
        client = self.connect()
        self.assertEqual(client.call(OPEN, open_payload())[5], 0)
        self.set((oid("lvaNotifyEnable"), traps.bits(traps.UPSTREAM, traps.CLIENT_DISCONNECT)))
        self.libvirtd.process.kill(signal.SIGKILL)
        self.libvirtd.process.wait()
        self.watch.expect("lvaClientDisconnected", 2, ClientDisconnectReason=UNKNOWN)
        self.set((oid("lvaNotifyEnable"), traps.bits(traps.UPSTREAM)))
        self.assertEqual(harness.virsh(self.daemon.socket, "uri")[0], 1)
        self.agree(self.watch.expect("lvaUpstreamDown", 2, DaemonName="virtadmd",
                                     ServerName="libvirtd", ServerUpstreamState=3))
        self.assertEqual(harness.virsh(self.daemon.socket, "uri")[0], 1)
        self.settle()
        self.libvirtd.start()
        self.assertEqual(harness.virsh(self.daemon.socket, "uri")[0], 0)
        self.agree(self.watch.expect("lvaUpstreamUp", 2, ServerUpstreamState=2))
        self.assertEqual(harness.virsh(self.daemon.socket, "uri")[0], 0)
        self.settle()
        self.assertEqual(self.counters(), (3, 0))


class Config(traps.Case):
    def changed(self, origin):
        """One is told, with the next generation."""
        told = self.watch.expect("lvaConfigChanged", DaemonName="virtadmd",
                                 ConfigGeneration=self.get1("lvaConfigGeneration"),
                                 ConfigLastOrigin=origin)
        self.agree(told)
        self.settle()
        return told.values["lvaConfigGeneration"]

    def test_of_an_agent_in_a_context(self):
        """It is not in the default context, nothing can be set, and notifications are as ever."""
        self.start(enable=("config",))
        self.assertEqual(self.daemon.stop(), 0)
        self.place.write("virtadmd.conf", self.daemon.text.replace(
            "[snmp]\n", "[snmp]\nwritable = false\ncontext = first\n"))
        self.daemon.snmpd = None  # it does not see the agent
        self.daemon.start()
        self.assertEqual(self.daemon.virt_admin("server-clients-set", "libvirtd",
                                                "--max-clients", "77")[0], 0)
        self.watch.expect("lvaConfigChanged", DaemonName="virtadmd", ConfigGeneration=2,
                          ConfigLastOrigin=ADMIN_RPC)
        self.watch.nothing()

    def test_origins(self):
        self.start(enable=("config",))
        self.settle()  # nothing has changed yet
        status, _, err = self.daemon.virt_admin("server-clients-set", "libvirtd",
                                                "--max-clients", "77")
        self.assertEqual(status, 0, err)
        self.assertEqual(self.changed(ADMIN_RPC), 2)
        self.set((oid("lvaServerWorkersMax", 2), ber.unsigned(30)),
                 (oid("lvaServerWorkersMax", 1), ber.unsigned(30)))
        self.assertEqual(self.changed(SNMP), 3)
        self.place.write("virtadmd.conf", self.daemon.text.replace(
            "[server libvirtd]\n", "[server libvirtd]\nclients_high_percent = 66\n"))
        self.daemon.process.kill(signal.SIGHUP)
        harness.wait_for(lambda: self.get1("lvaServerClientsHighPercent", 2) == 66, "the reload")
        self.assertEqual(self.changed(RELOAD), 4)
        self.set((oid("lvaServerWorkersMax", 2), ber.unsigned(31)),
                 (oid("lvaConfigConfirmTimeout"), ber.unsigned(1)))
        self.watch.expect("lvaConfigChanged", ConfigGeneration=5, ConfigLastOrigin=SNMP)
        harness.wait_for(lambda: self.get1("lvaConfigLastOrigin") == ROLLBACK, "the rollback")
        self.assertEqual(self.changed(ROLLBACK), 6)
        self.assertEqual(self.counters(), (5, 0))

    def test_what_is_no_change(self):
        """The same values again, a lock, a confirmation, a refused change, one taken back."""
        self.start(enable=("config",))
        other = Subagent(self.place, self.snmpd)
        lock = self.get1("lvaConfigLock")
        self.set((oid("lvaServerWorkersMax", 2), ber.unsigned(20)))
        self.set((oid("lvaConfigLock"), ber.integer(lock)))
        self.set((oid("lvaConfigConfirmTimeout"), ber.unsigned(0)))
        self.assertNotEqual(self.session.set_all([
            (oid("lvaServerWorkersMin", 2), ber.unsigned(1000))]), (0, 0))
        before = self.get1("lvaConfigGeneration")
        failed = self.session.set_all([
            (oid("lvaServerWorkersMax", 2), ber.unsigned(33)),
            (other.behind, ber.integer(Subagent.code("ACTION", "fails")))])
        self.assertEqual((failed[0], self.get1("lvaConfigGeneration")), (COMMIT_FAILED, before))
        self.settle()
        self.assertEqual(self.counters(), (0, 0))
        self.set((oid("lvaServerWorkersMax", 2), ber.unsigned(34)))
        self.changed(SNMP)


class Refused(traps.Case):
    @harness.needs_root  # to be somebody else
    def test_stranger_at_the_admin_socket(self):
        self.start(enable=("authFailure", *self.CLIENTS_ONLY))
        watch = traps.Watch(self.receiver, lambda told: told.name == "lvaClientAuthFailure")
        os.chmod(self.place.dir, 0o755)
        os.chmod(self.daemon.dir, 0o755)
        os.chmod(self.daemon.admin, 0o777)
        strangers = []
        for failures in 1, 2:
            uid, pid = self.stranger()
            told = watch.expect("lvaClientAuthFailure", 1, DaemonName="virtadmd",
                                ServerName="admin", ClientTransport=1,
                                ClientPeer=f"unix:pid={pid},uid={uid}",
                                ServerAuthFailures=failures)
            self.assertEqual(self.get1("lvaServerAuthFailures", 1), failures)
            self.assertGreater(told.index[1], 0)
            strangers.append(told.index)
        # who is turned away at the door never was a client: it neither comes nor goes
        self.assertEqual(self.daemon.virt_admin("uri")[0], 0)
        last = max(strangers)[1] + 1
        harness.wait_for(lambda: (1, last) in self.clients_told(), self.clients_told)
        self.assertEqual(self.clients_told().intersection(strangers), set())

    def clients_told(self):
        return {one.index for one in self.receiver.told()
                if one.name in ("lvaClientConnected", "lvaClientDisconnected")}

    def stranger(self):
        code = ("import os,socket,sys;s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1]);"
                "s.settimeout(10);print(os.getuid(),os.getpid(),len(s.recv(10)))")
        done = subprocess.run(["python3", "-S", "-c", code, self.daemon.admin], user="nobody",
                              capture_output=True, text=True, timeout=30, check=False, cwd="/")
        uid, pid, octets = map(int, done.stdout.split())
        self.assertEqual(octets, 0)
        return uid, pid


class Unauthenticated(traps.Case):
    """Clients that have to say who they are, by SASL."""

    def test_silent_clients(self):
        """T = 2: cleared at 1."""
        self.start(self.SASL_LISTEN + "max_clients = 10\nmax_anonymous_clients = 2",
                   enable=("unauthLimit", "clientLimit"))
        row = {"DaemonName": "virtadmd", "ServerName": "libvirtd", "ServerClientsUnauthMax": 2}
        first = self.connect()
        self.wait_for_clients(1)
        self.settle()
        second = self.connect()
        self.agree(self.watch.expect("lvaUnauthFull", 2, ServerClientsUnauthCurrent=2, **row))
        self.assertEqual(traps.Sasl.log_in(first, traps.Sasl.PASSWORD)[5], 0)
        self.agree(self.watch.expect("lvaUnauthNormal", 2, ServerClientsUnauthCurrent=1, **row))
        third = self.connect()
        self.agree(self.watch.expect("lvaUnauthFull", 2, ServerClientsUnauthCurrent=2, **row))
        for client in second, third:
            client.sock.close()
        self.watch.expect("lvaUnauthNormal", 2, ServerClientsUnauthCurrent=1, **row)
        self.wait_for_clients(1)
        self.settle()
        self.assertEqual(self.counters(), (4, 0))

    def test_wrong_password(self):
        self.start(self.SASL_LISTEN, enable=("authFailure", *self.CLIENTS_ONLY))
        for failures in 1, 2:
            client = self.connect()
            came = self.watch.expect("lvaClientConnected", 2)
            reply = traps.Sasl.log_in(client, "wrong-words")
            self.assertTrue(reply is None or reply[5] == 1)
            self.watch.expect("lvaClientAuthFailure", *came.index, DaemonName="virtadmd",
                              ServerName="libvirtd", ClientTransport=1,
                              ClientPeer=came.values["lvaClientPeer"],
                              ServerAuthFailures=failures)
            self.assertEqual(self.get1("lvaServerAuthFailures", 2), failures)
            client.sock.close()
            self.watch.expect("lvaClientDisconnected", *came.index,
                              ClientDisconnectReason=AUTH_FAILURE)
        client = self.connect()
        self.watch.expect("lvaClientConnected", 2)
        self.assertEqual(traps.Sasl.log_in(client, traps.Sasl.PASSWORD)[5], 0)
        self.settle()


class Receivers(traps.Case):
    """The same to v1 and v2c, and to snmptrapd: v1, v2c, v3, as traps and as informs."""

    WAYS = ("TRAP, SNMP v1, community one", "TRAP2, SNMP v2c, community two",
            "INFORM, SNMP v2c, community informs", "TRAP2, SNMP v3, user traps, context",
            "INFORM, SNMP v3, user traps, context")

    def start_all(self):
        self.beside = harness.Place()
        self.addCleanup(self.beside.close)
        self.v1, self.informs = traps.Receiver(self.beside), traps.Receiver(self.beside)
        self.trapd = traps.Snmptrapd(self.beside)
        self.start("max_clients = 3\nmax_anonymous_clients = 0\nclients_high_percent = 60",
                   sinks=f"trapsink udp:127.0.0.1:{self.v1.port} public\n"
                         f"informsink udp:127.0.0.1:{self.informs.port} public\n"
                         + self.trapd.sinks())

    def provoke(self):
        """One of each that takes neither time nor a libvirtd."""
        crowd = [self.connect() for _ in range(3)]
        self.wait_for_clients(3)
        for client in crowd:
            client.sock.close()
        self.wait_for_clients(0)
        self.set((oid("lvaServerWorkersMax", 2), ber.unsigned(21)))
        client = self.connect()
        client.call(OPEN, open_payload())  # there is no upstream
        client.sock.close()
        self.wait_for_clients(0)
        harness.wait_for(lambda: self.came() == self.counters()[0], "all to come")
        self.watch.skip()
        self.settle()
        return self.receiver.told()

    def test_all_ways(self):
        self.start_all()
        sent = self.provoke()
        self.assertEqual({told.name for told in sent}, {
            "lvaClientsHigh", "lvaClientsFull", "lvaClientsNormal", "lvaClientConnected",
            "lvaClientDisconnected", "lvaConfigChanged", "lvaUpstreamDown"})
        self.check_raw(self.v1, traps.TRAP_V1, sent)
        self.check_raw(self.informs, traps.INFORM, sent)
        self.check_v1_header()
        arrivals = harness.wait_for(lambda: self.arrived(5 * len(sent)), lambda: "all to come to "
                                    f"snmptrapd: {len(sent)} of {self.trapd.arrivals()}")
        for way in self.WAYS:
            found = [name for how, name in arrivals if how.strip() == way]
            self.assertEqual(sorted(found), sorted(told.name for told in sent), way)
        self.check_handled(sent)

    def arrived(self, number):
        arrivals = self.trapd.arrivals()
        return len(arrivals) == number == len(self.trapd.handled()) and arrivals

    def check_raw(self, receiver, kind, sent):
        harness.wait_for(lambda: len(receiver.told()) == len(sent), "all of them")
        self.assertEqual({told.kind for told in receiver.told()}, {kind})
        self.assertEqual([told[2:] for told in receiver.told()], [told[2:] for told in sent])

    def check_v1_header(self):
        """RFC 2576, 3.2: as the last arc but one is 0, the enterprise is what is before it."""
        for _, data in self.v1.raw:
            _, message, _ = ber.split(data)
            _, pdu, _ = ber.split(message, ber.split(message, ber.split(message)[2])[2])
            fields, at = [], 0
            while at < len(pdu):
                tag, body, at = ber.split(pdu, at)
                fields.append(body)
            if fields[2] == b"\6":
                self.assertEqual(".".join(map(str, ber.decode_oid(fields[0]))), harness.ROOT_OID)
                self.assertIn(fields[3][0], range(1, 16))

    def check_handled(self, sent):
        """The traphandle saw each with the MIB's names and labels, five times."""
        wanted = []
        for told in sent:
            binds = {}
            for name, value in told.values.items():
                index = told.index[:traps.OBJECTS[name][1]] or (0,)
                binds[".".join([name, *map(str, index)])] = traps.label(name, value)
            wanted.append((told.name, sorted(binds.items())))
        handled = [(one.name, sorted((key, value.strip('"')) for key, value in one.binds.items()))
                   for one in self.trapd.handled()]
        self.assertEqual(sorted(handled), sorted(5 * wanted))
        by_v1 = [one for one in self.trapd.handled() if one.community]
        self.assertEqual({one.community for one in by_v1}, {"one"})
        self.assertEqual(len(by_v1), len(sent))


if __name__ == "__main__":
    unittest.main()
