# SPDX-License-Identifier: LGPL-2.1-or-later
"""TLS where descriptors are short: GLib ends a process that has none left for the handshakes that are
under way."""

import contextlib
import socket
import ssl
import unittest

import harness
import test_tls
from harness import wait_for

LIMIT, CROWD = 100, 200


def hello():
    out = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out,
                                              server_hostname="localhost").do_handshake()
    return out.read()


class Short(test_tls.Case):
    def test_short(self):
        """Strangers take all that they can get, and all begin a handshake: the others wait, and come in
        when they are gone. Who administers comes in at once."""
        self.run_virtadmd("max_anonymous_clients = 0\n", descriptors=f"{LIMIT}:{LIMIT}")
        crowd = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(CROWD)]
        for sock in crowd:
            self.addCleanup(sock.close)
        wait_for(lambda: self.get1("lvaServiceAccepting", 2, 2) == 2, "the pause")
        first = hello()
        for sock in crowd:
            sock.sendall(first)
        self.assertEqual(self.daemon.virt_admin("client-list", "libvirtd")[0], 0)
        wait_for(lambda: self.get1("lvaServerAuthFailures", 2) >= 8, "those who are silent to go")
        self.assertTrue(self.daemon.process.alive())
        self.assertLess(self.daemon.process.descriptors(), LIMIT)
        self.assertIn("Too many open files", self.daemon.log_text())
        for sock in crowd:
            sock.close()
        self.assertEqual(self.virsh(self.uri(self.anna))[0], 0)
        self.wait_for_clients(0)


if __name__ == "__main__":
    unittest.main()
