# SPDX-License-Identifier: LGPL-2.1-or-later
"""As much of a master agent (AgentX, RFC 2741) as it takes to send a subagent the phases of SETs in
any order, and several at once: what snmpd does only when others die at the right moment."""

import os
import socket
import struct
import threading

import harness

OPEN, CLOSE, GET, TESTSET, COMMITSET, UNDOSET, CLEANUPSET, NOTIFY, PING, RESPONSE = \
    1, 2, 5, 8, 9, 10, 11, 12, 13, 18
NETWORK_BYTE_ORDER = 0x10
INTEGER, OCTETS, GAUGE = 2, 4, 66


def encode_oid(text):
    arcs = [int(arc) for arc in text.split(".")]
    return struct.pack(f">BBBB{len(arcs)}I", len(arcs), 0, 0, 0, *arcs)


def varbind(name, kind, value):
    if kind == OCTETS:
        data = harness.xdr_string(value)
    else:
        data = struct.pack(">i" if kind == INTEGER else ">I", value)
    return struct.pack(">HH", kind, 0) + encode_oid(name) + data


def decode_oid(order, data):
    """(text, how many octets it took)"""
    n, prefix = data[0], data[1]
    arcs = struct.unpack(f"{order}{n}I", data[4:4 + 4 * n])
    return ".".join(map(str, ((1, 3, 6, 1, prefix) if prefix else ()) + arcs)), 4 + 4 * n


def decode_notify(order, payload):
    """snmpTrapOID.0, which comes first: sysUpTime.0 is left to the master."""
    name, took = decode_oid(order, payload[4:])
    assert name == "1.3.6.1.6.3.1.1.4.1.0", name
    return decode_oid(order, payload[4 + took:])[0]


class Master:
    """Accepts one subagent after another, and all that it registers. For harness.Virtadmd it
    stands where a Snmpd would."""

    def __init__(self, place):
        self.agentx = place.path("agentx-master")
        self.process = self
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.agentx)
        self.listener.listen(5)
        self.changed = threading.Condition()
        self.peer = None      # under changed, like all below
        self.session = 0
        self.packet = 1000
        self.answers = {}     # by packet: error
        self.deaf = False     # pings are not answered
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        place.callback(self.end)

    @staticmethod
    def alive():
        return False  # nobody need ask an snmpd whether the agent is there

    def end(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.drop()
        self.thread.join()
        self.listener.close()
        os.unlink(self.agentx)

    def drop(self):
        """Ends the session as a master that dies does."""
        with self.changed:
            if self.peer:
                self.peer.shutdown(socket.SHUT_RDWR)

    def serve(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with self.changed:
                self.session += 1
            try:
                self.serve_one(peer)
            except OSError:
                pass
            with self.changed:
                self.peer = None
                self.changed.notify_all()
            peer.close()

    def serve_one(self, peer):
        with peer.makefile("rb") as stream:
            while len(header := stream.read(20)) == 20:
                order = ">" if header[2] & NETWORK_BYTE_ORDER else "<"
                _, transaction, packet, length = struct.unpack(order + "4I", header[4:])
                payload = stream.read(length)
                with self.changed:
                    if header[1] == RESPONSE:
                        self.answers[packet] = struct.unpack(order + "H", payload[4:6])[0]
                        self.changed.notify_all()
                        continue
                    if self.deaf and header[1] == PING:
                        continue
                    if header[1] == NOTIFY:
                        self.take(peer, decode_notify(order, payload), transaction, packet)
                        continue
                    peer.sendall(self.pdu(RESPONSE, transaction, packet, bytes(8)))
                    # the last thing that it does when it comes
                    if header[1] == 16:
                        self.peer = peer
                        self.changed.notify_all()

    def take(self, peer, name, transaction, packet):
        """A notification has come. Under changed."""
        peer.sendall(self.pdu(RESPONSE, transaction, packet, bytes(8)))

    def pdu(self, kind, transaction, packet, payload=b""):
        return struct.pack(">BBBB4I", 1, kind, NETWORK_BYTE_ORDER, 0, self.session, transaction,
                           packet, len(payload)) + payload

    def wait_for_agent(self):
        with self.changed:
            assert self.changed.wait_for(lambda: self.peer, harness.PATIENCE), "no subagent"

    def send(self, transaction, *phases, payload=b""):
        """All in one write; the payload is that of TestSet and Get. Returns their packets."""
        return self.send_all([(transaction, phase) for phase in phases], payload)

    def send_all(self, phases, payload=b""):
        """The same of several transactions: [(transaction, phase), ...]."""
        data, packets = b"", []
        with self.changed:
            for transaction, phase in phases:
                self.packet += 1
                packets.append(self.packet)
                data += self.pdu(phase, transaction, self.packet,
                                 payload if phase in (GET, TESTSET) else b"")
            self.peer.sendall(data)
        return packets

    def receive(self, packet):
        with self.changed:
            assert self.changed.wait_for(lambda: packet in self.answers or not self.peer,
                                         harness.PATIENCE), f"no answer to packet {packet}"
            return self.answers.get(packet)
