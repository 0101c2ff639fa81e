# SPDX-License-Identifier: LGPL-2.1-or-later
"""Notifications and a master agent that does not answer them as it should. What was told last is
true in the end, and nothing is told twice within a session."""

import contextlib
import struct
import time
import unittest

import agentx
import harness
import traps

NOT_OPEN = 257  # RFC 2741, section 6.2.16
WINDOW = 64     # so many are sent ahead of the answers (VADM_NOTIFY_WINDOW)
ANSWER = 1      # second: an answer is late then


class Odd(agentx.Master):
    """What it does with a notification is said by how: one of the methods below. A list for each
    session has their names."""

    def __init__(self, place):
        self.told, self.how, self.held = [], Odd.right, []
        super().__init__(place)

    def take(self, peer, name, transaction, packet):
        while len(self.told) < self.session:
            self.told.append([])
        self.told[-1].append(traps.NAMES[name])
        self.how(self, peer, transaction, packet)
        self.changed.notify_all()

    def answer(self, peer, transaction, packet, error=0, session=None):
        answer = self.pdu(agentx.RESPONSE, transaction, packet, struct.pack(">IHH", 0, error, 0))
        if session is not None:
            answer = answer[:4] + struct.pack(">I", session) + answer[8:]
        peer.sendall(answer)

    def right(self, peer, *number):
        self.answer(peer, *number)

    def refused(self, peer, *number):
        self.answer(peer, *number, error=NOT_OPEN)

    def never(self, peer, *number):
        pass

    def twice(self, peer, *number):
        self.answer(peer, *number)
        self.answer(peer, *number)

    def other_session(self, peer, *number):
        self.answer(peer, *number, session=4711)

    def other_packet(self, peer, transaction, packet):
        self.answer(peer, transaction, packet ^ 0x40000000)

    def later(self, peer, *number):
        """When the test says so: answer_held()."""
        self.held.append((peer, *number))

    def answer_held(self):
        """The newest first."""
        with self.changed:
            while self.held:
                with contextlib.suppress(OSError):  # some came when the session had ended
                    self.answer(*self.held.pop())

    def all(self):
        with self.changed:
            return [list(session) for session in self.told]

    def last(self, number):
        """The last ones of the session."""
        return (self.all() or [[]])[-1][-number:]


class OddMaster(unittest.TestCase):
    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        self.master = Odd(self.place)

    def start(self, enable="clientLimit;config", interval=0):
        self.daemon = harness.Virtadmd(
            self.place, None, self.master, server="max_clients = 1\nmax_anonymous_clients = 0\n"
            "clients_high_percent = 0", extra=f"""\
[notify]
enable = {enable}
min_interval = {interval}
""")
        self.master.wait_for_agent()

    def connect(self):
        client = traps.connect(self.daemon.socket)
        self.addCleanup(client.sock.close)
        return client

    def expect(self, *names):
        """The last ones of the session."""
        harness.wait_for(lambda: self.master.last(len(names)) == list(names),
                         lambda: f"{names}, but {self.master.all()}")

    def heard(self):
        """By the session that there is now."""
        with self.master.changed:
            return list(self.master.told[-1]) if len(self.master.told) == self.master.session \
                else []

    def nothing_more(self, seconds=1.2 * ANSWER):
        before = self.master.all()
        time.sleep(seconds)
        self.assertEqual(self.master.all(), before)

    def drop(self):
        """The session ends, and another one begins."""
        with self.master.changed:
            session = self.master.session
        self.master.drop()
        harness.wait_for(lambda: self.master.session > session, "another session")
        self.master.wait_for_agent()

    def test_refused(self):
        """As if it had not been sent, in the next session; in this one it is not tried again."""
        self.start()
        client = self.connect()
        self.expect("lvaClientsFull")
        self.master.how = Odd.refused
        client.sock.close()
        self.expect("lvaClientsFull", "lvaClientsNormal")
        self.nothing_more()
        self.master.how = Odd.right
        self.drop()
        self.expect("lvaClientsNormal")
        harness.wait_for(lambda: "refuses a notification: error 257" in self.daemon.log_text(),
                         "the warning")
        self.drop()
        self.nothing_more()

    def never_answered(self, how):
        """One at a time goes on, so that it is seen when it answers again. The next session hears
        the state, as nobody knows whether this one has."""
        self.master.how = how
        self.start()
        for _ in range(2 * WINDOW):
            self.connect().sock.close()
        harness.wait_for(lambda: self.master.all() and len(self.master.all()[-1]) == WINDOW,
                         lambda: f"the window to end: {self.master.all()}")
        client = self.connect()
        self.expect("lvaClientsFull")
        told = self.master.all()[-1]
        self.assertNotIn(True, [one == two for one, two in zip(told, told[1:])], told)
        client.sock.close()
        self.expect("lvaClientsNormal")
        self.nothing_more(3 * ANSWER)
        self.master.how = Odd.right
        self.drop()
        harness.wait_for(lambda: len(self.master.all()) == 2, "the next session to hear of it")
        self.nothing_more()
        self.assertEqual(self.master.all()[-1], ["lvaClientsNormal"])

    def test_never(self):
        self.never_answered(Odd.never)

    def test_other_packet(self):
        self.never_answered(Odd.other_packet)

    def strangely_answered(self, how):
        self.master.how = how
        self.start()
        for _ in range(WINDOW):
            client = self.connect()
            self.expect("lvaClientsFull")
            client.sock.close()
            self.expect("lvaClientsNormal")
        self.assertEqual(len(self.master.all()[-1]), 2 * WINDOW)
        self.drop()
        self.nothing_more()

    def test_twice(self):
        self.strangely_answered(Odd.twice)

    def test_other_session(self):
        self.strangely_answered(Odd.other_session)

    def test_late(self):
        """Later than they count, and the newest first."""
        self.master.how = Odd.later
        self.start()
        client = self.connect()
        self.expect("lvaClientsFull")
        client.sock.close()
        self.expect("lvaClientsFull", "lvaClientsNormal")
        self.nothing_more()
        self.master.answer_held()
        self.nothing_more()
        client = self.connect()
        self.expect("lvaClientsFull")
        self.master.how = Odd.right
        self.master.answer_held()
        client.sock.close()
        self.expect("lvaClientsNormal")
        self.nothing_more()
        self.assertEqual(len(self.master.all()), 1)  # one session, all the time
        self.assertEqual(len(self.master.all()[-1]), 4)

    def fill_window(self):
        """In both halves of it a client is seen to fill the server: one that comes and goes between
        two looks does not. Each tells four times at most."""
        clients = self.heard().count("lvaClientConnected")

        def seen():
            states = [name for name in self.heard() if name.startswith("lvaClients")]
            return states[-1:] == ["lvaClientsFull"] and \
                self.heard().count("lvaClientConnected") == clients

        for others in WINDOW // 4 - 2, WINDOW:
            client = self.connect()
            clients += 1
            harness.wait_for(seen, self.heard)
            client.sock.close()
            for _ in range(others):
                self.connect().sock.close()
            clients += others
        harness.wait_for(lambda: len(self.master.held) >= WINDOW, "a window of them")

    def test_dies_within_the_window(self):
        """The master has answered some of a flood, in their order: nobody knows of the rest."""
        self.start("clientConnect;clientDisconnect;clientLimit")
        for lived in 0, 1, WINDOW // 2:
            with self.subTest(lived):
                self.drop()
                self.master.how = Odd.later
                with self.master.changed:
                    self.master.held.clear()
                self.fill_window()
                with self.master.changed:
                    for number in self.master.held[:lived]:
                        self.master.answer(*number)
                self.drop()
                harness.wait_for(lambda: "lvaClientsNormal" in self.heard(), self.heard)
                self.master.how = Odd.right
                self.master.answer_held()
                self.nothing_more(0.3)


class LastWords(traps.Case):
    def test_what_was_held_back(self):
        """Full was told, and nobody would ever say that it is over."""
        self.start("max_clients = 1\nmax_anonymous_clients = 0\nclients_high_percent = 0",
                   enable=("clientLimit", "config"), interval=3600)
        client = self.connect()
        self.watch.expect("lvaClientsFull", 2)
        for number in "70", "1":
            self.assertEqual(self.daemon.virt_admin("server-clients-set", "libvirtd",
                                                    "--max-clients", number)[0], 0)
        self.watch.expect("lvaConfigChanged", ConfigGeneration=2)
        self.watch.nothing()
        began = time.monotonic()
        self.assertEqual(self.daemon.stop(), 0)
        self.assertLess(time.monotonic() - began, 2 * harness.PATIENCE / 20)
        found = {self.watch.next().name, self.watch.next().name}
        self.assertEqual(found, {"lvaClientsNormal", "lvaConfigChanged"})
        self.watch.nothing()
        client.sock.close()


if __name__ == "__main__":
    unittest.main()
