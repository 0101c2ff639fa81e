# SPDX-License-Identifier: LGPL-2.1-or-later
"""Both sides of libvirt's RPC with descriptors, and an upstream daemon that does as it is told."""

import array
import contextlib
import os
import socket
import struct
import threading

import harness

AUTH_LIST, OPEN, CLOSE, SUPPORTS_FEATURE, SET_IDENTITY = 66, 1, 2, 60, 419
CALL, REPLY, EVENT, STREAM, CALL_WITH_FDS, REPLY_WITH_FDS = range(6)
OK, ERROR = 0, 1
MESSAGE_MAX = 32 << 20  # without the length word
PAYLOAD_MAX = MESSAGE_MAX - 24


class Message:
    """As it came: the head's words, the payload without the word that counts descriptors, and
    the descriptors, which are closed with it."""

    def __init__(self, head, payload, fds):
        (self.program, self.version, self.procedure, self.type, self.serial, self.status) = head
        self.payload, self.fds = payload, fds

    def close(self):
        while self.fds:
            os.close(self.fds.pop())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Speaker:
    """One end of a connection. It reads and writes as libvirt does: the message, then one octet with
    each descriptor, and never reads beyond the end of what it expects."""

    def __init__(self, sock):
        self.sock, self.serial = sock, 0

    @classmethod
    def connect(cls, path, timeout=None):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout or harness.PATIENCE)
        sock.connect(path)
        return cls(sock)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def read(self, length):
        """Returns: None at the end."""
        data = bytearray(length)
        view, done = memoryview(data), 0
        while done < length:
            try:
                got = self.sock.recv_into(view[done:])
            except ConnectionError:
                return None
            if not got:
                return None
            done += got
        return data

    def read_fd(self):
        octet, fds, flags, _ = socket.recv_fds(self.sock, 1, 1)
        assert octet == b"\0" and not flags & socket.MSG_CTRUNC and len(fds) == 1, (octet, flags)
        return fds[0]

    def receive(self):
        """Returns: a Message, None at the end; keepalive is answered."""
        while True:
            word = self.read(4)
            if not word:
                return None
            data = self.read(struct.unpack(">I", word)[0] - 4)
            if data is None:
                return None
            head, payload, fds = struct.unpack(">IIiIII", data[:24]), data[24:], []
            if head[3] in (CALL_WITH_FDS, REPLY_WITH_FDS):
                fds = [self.read_fd() for _ in range(struct.unpack(">I", payload[:4])[0])]
                payload = payload[4:]
            if head[0] != harness.Raw.KEEPALIVE:
                return Message(head, payload, fds)
            if head[2] == 1:
                self.send_head((harness.Raw.KEEPALIVE, 1, 2, EVENT, 0, OK))

    def send_head(self, head, payload=b"", length=None):
        """length: what the length word says, where that is not the truth."""
        self.sock.sendall(struct.pack(">IIIiIII", length or 28 + len(payload), *head))
        if payload:  # the peer may have closed behind a head that is wrong
            self.sock.sendall(payload)

    def send_octet(self, fds):
        self.sock.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])

    def send(self, procedure, payload=b"", kind=CALL, serial=None, status=OK, fds=None):
        if serial is None:
            self.serial += 1
            serial = self.serial
        if fds is not None:
            kind += {CALL: CALL_WITH_FDS, REPLY: REPLY_WITH_FDS - REPLY}[kind]
            payload = struct.pack(">I", len(fds)) + payload
        self.send_head((harness.Raw.REMOTE, 1, procedure, kind, serial, status), payload)
        for fd in fds or ():
            self.send_octet([fd])
        return serial

    def call(self, procedure, payload=b"", fds=None):
        """Returns: the reply."""
        serial = self.send(procedure, payload, fds=fds)
        reply = self.receive()
        assert reply is None or reply.serial == serial, (reply.serial, serial)
        return reply

    def open(self):
        reply = self.call(OPEN, harness.open_payload())
        assert reply.status == OK, reply.payload
        return self

    def ended(self):
        """Whatever comes yet, the end comes behind it."""
        while True:
            message = self.receive()
            if message is None:
                return True
            message.close()


class Upstream:
    """Listens at PATH as a libvirtd; serve(speaker, message) answers all that is not about getting
    in, in a thread of each connection."""

    def __init__(self, place, serve, name="upstream"):
        self.path, self.serve = place.path(name), serve
        self.calls, self.ends = [], 0
        self.changed = threading.Condition()
        self.speakers = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()
        place.callback(self.close)

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            speaker = Speaker(sock)
            with self.changed:
                self.speakers.append(speaker)
            threading.Thread(target=self.talk, args=(speaker,), daemon=True).start()

    def close(self):
        self.listener.close()
        for speaker in self.speakers:
            with contextlib.suppress(OSError):
                speaker.sock.shutdown(socket.SHUT_RDWR)
            speaker.close()

    def talk(self, speaker):
        with contextlib.suppress(OSError), speaker:
            while message := speaker.receive():
                with message:
                    self.answer(speaker, message)
        with self.changed:
            self.ends += 1
            self.changed.notify_all()

    def answer(self, speaker, message):
        known = {AUTH_LIST: struct.pack(">II", 1, 0), OPEN: b"", SET_IDENTITY: b"", CLOSE: b"",
                 SUPPORTS_FEATURE: struct.pack(">I", 1)}
        if message.type == CALL and message.procedure in known:
            speaker.send(message.procedure, known[message.procedure], REPLY, message.serial)
            return
        with self.changed:
            self.calls.append(message.procedure)
            self.changed.notify_all()
        self.serve(speaker, message)
