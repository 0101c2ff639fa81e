# SPDX-License-Identifier: LGPL-2.1-or-later
"""As much SNMPv2c (RFC 3416) and SNMPv1 (RFC 1157) as the tests and a load generator need: the
tools of net-snmp start a process for each request, wait for its answer, and check what they send."""

import random
import socket

GET, GETNEXT, SET, BULK = 0xa0, 0xa1, 0xa3, 0xa5


def tlv(tag, body):
    size = len(body)
    if size < 128:
        return bytes((tag, size)) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def integer(number, tag=2):
    return tlv(tag, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def unsigned(number):
    return integer(number, 0x42)


def octets(text):
    return tlv(4, text.encode() if isinstance(text, str) else text)


def encode_oid(text):
    arcs = [int(arc) for arc in text.strip(".").split(".")]
    body = bytearray((arcs[0] * 40 + arcs[1],))
    for arc in arcs[2:]:
        chunk = [arc & 127]
        while arc := arc >> 7:
            chunk.append(128 | arc & 127)
        body += bytes(reversed(chunk))
    return tlv(6, bytes(body))


def split(data, at=0):
    """(tag, body, where the next one starts)"""
    tag, size, at = data[at], data[at + 1], at + 2
    if size & 0x80:
        count = size & 0x7f
        size = int.from_bytes(data[at:at + count], "big")
        at += count
    return tag, data[at:at + size], at + size


def decode_oid(body):
    arcs, arc = [body[0] // 40, body[0] % 40], 0
    for octet in body[1:]:
        arc = arc << 7 | octet & 127
        if not octet & 128:
            arcs.append(arc)
            arc = 0
    return tuple(arcs)


class Session:
    def __init__(self, port, community="private", timeout=10, version=2):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.settimeout(timeout)
        self.sock.connect(("127.0.0.1", port))
        self.community = community.encode()
        self.version = {1: 0, 2: 1}[version]  # RFC 1157 and 1901: as on the wire
        self.request_id = random.randrange(1 << 20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, pdu, oids, values=None, non_repeaters=0, repetitions=0):
        """Does not wait for the answer: receive() does."""
        self.request_id += 1
        binds = b"".join(tlv(0x30, encode_oid(oid) + (values[i] if values else b"\x05\0"))
                         for i, oid in enumerate(oids))
        body = integer(self.request_id) + integer(non_repeaters) + integer(repetitions) + \
            tlv(0x30, binds)
        self.sock.send(tlv(0x30, integer(self.version) + tlv(4, self.community) + tlv(pdu, body)))

    def receive(self):
        """The answer to what was sent last: (error status, error index, [(oid, tag, body), ...])."""
        while True:
            answer = self.sock.recv(65536)
            got, result = self.decode(answer)
            if got == self.request_id:
                return result

    def request(self, *what, **how):
        self.send(*what, **how)
        return self.receive()

    @staticmethod
    def decode(answer):
        _, message, _ = split(answer)
        _, _, at = split(message)
        _, _, at = split(message, at)
        _, pdu, _ = split(message, at)
        _, request_id, at = split(pdu)
        _, status, at = split(pdu, at)
        _, index, at = split(pdu, at)
        _, binds, _ = split(pdu, at)
        found, at = [], 0
        while at < len(binds):
            _, bind, at = split(binds, at)
            _, name, value_at = split(bind)
            tag, value, _ = split(bind, value_at)
            found.append((decode_oid(name), tag, value))
        return int.from_bytes(request_id, "big"), (int.from_bytes(status, "big"),
                                                   int.from_bytes(index, "big"), found)

    def get(self, *oids):
        return self.request(GET, oids)

    def getnext(self, *oids):
        return self.request(GETNEXT, oids)

    def bulk(self, *oids, repetitions=20):
        return self.request(BULK, oids, repetitions=repetitions)

    def set(self, oid, value):
        return self.request(SET, [oid], [value])

    def set_all(self, binds):
        """binds: (oid, encoded value), ...; returns (error status, error index)."""
        return self.request(SET, *zip(*binds))[:2]

    def walk(self, start, repetitions=50):
        """All instances below start, by GETBULK."""
        root = tuple(int(arc) for arc in start.strip(".").split("."))
        at, found = root, []
        while True:
            status, _, binds = self.bulk(".".join(map(str, at)), repetitions=repetitions)
            assert status == 0, status
            for name, tag, body in binds:
                if name[:len(root)] != root or tag == 0x82:
                    return found
                assert name > at, f"not increasing: {at} then {name}"
                found.append((name, body))
                at = name
