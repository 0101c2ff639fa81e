# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every order of the phases of a SET that a master agent could send to the real daemon, one by one
and all in one write (agentx.py)."""

import itertools
import os
import unittest

import agentx
import harness
from agentx import CLEANUPSET, COMMITSET, GET, TESTSET, UNDOSET
from harness import Raw, oid

SCALE = float(os.environ.get("VADM_TEST_SCALE", "1"))
NAMES = {TESTSET: "T", COMMITSET: "C", UNDOSET: "U", CLEANUPSET: "L"}


def is_new(phases):
    """Whether the change must be in force in the end; None: either may be. The transaction is open
    from its TestSet on; one that is committed stays so if no more comes."""
    committed = opened = False
    for phase in phases:
        if phase == TESTSET:
            if opened:
                return None  # a repetition, in whatever phase the first was
            opened, was = True, committed
            committed = False
        elif not opened:
            continue
        elif phase == COMMITSET:
            if committed:
                return None
            committed = True
        elif phase == UNDOSET:
            committed, opened = was, False
        else:
            committed, opened = committed or was, False
    return committed or (opened and was)


class Phases(unittest.TestCase):
    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        self.master = agentx.Master(self.place)
        # memory that is freed is overwritten, as it would be some day
        self.daemon = harness.Virtadmd(self.place, snmpd=self.master, env={"MALLOC_PERTURB_": "165"})
        self.addCleanup(self.daemon.process.end)
        self.level = Raw(self.daemon.admin, Raw.EXTENSION)
        self.addCleanup(self.level.sock.close)
        self.admin = Raw(self.daemon.admin)
        self.addCleanup(self.admin.sock.close)
        self.admin.call(1, b"\0\0\0\0")
        self.master.wait_for_agent()
        self.transaction = 1

    def payload(self, level, filters):
        return agentx.varbind(oid("lvaLogLevel"), agentx.INTEGER, level) + \
            agentx.varbind(oid("lvaLogFilters"), agentx.OCTETS, filters)

    def seen(self):
        """(level, filters) by the admin program."""
        level = self.level.call(1, b"\0\0\0\0")[6][-1]
        filters = self.admin.call(15, b"\0\0\0\0\0\0\0\0")
        self.assertEqual(filters[5], 0)
        return level, filters[6][8:].rstrip(b"\0").decode()[:-1].strip("\0")

    def set(self, level, filters):
        """A SET as it should be: it works at once, so nobody has the token."""
        self.transaction += 1
        for phase in TESTSET, COMMITSET, CLEANUPSET:
            packet, = self.master.send(self.transaction, phase,
                                       payload=self.payload(level, filters))
            self.assertEqual(self.master.receive(packet), 0)

    def one(self, phases, at_once):
        self.set(3, "")
        old = self.seen()
        self.transaction += 1
        send = self.master.send
        payload = self.payload(4, "4:new")
        groups = [phases] if at_once else [[phase] for phase in phases]
        for group in groups:
            packets = send(self.transaction, *group, payload=payload)
            if group[-1] != CLEANUPSET or len(group) == 1:
                # CleanupSet is not answered when it comes at the wrong time
                if group != [CLEANUPSET]:
                    self.master.receive(packets[-1])
        # another transaction settles what is left
        self.transaction += 1
        last = send(self.transaction, TESTSET, CLEANUPSET, payload=self.payload(1, "4:never"))
        self.assertEqual(self.master.receive(last[0]), 0)
        self.master.receive(last[1])
        now = self.seen()
        self.assertTrue(self.daemon.process.alive())
        new = (4, now[1])
        self.assertIn(now, (old, new))
        self.assertEqual("new" in now[1], now[0] == 4, now)
        wanted = is_new(phases)
        if wanted is not None:
            self.assertEqual(now[0] == 4, wanted, now)

    def test_orders(self):
        longest = 4 if SCALE == 1 else 3
        for length in range(1, longest + 1):
            for phases in itertools.product(NAMES, repeat=length):
                for at_once in True, False:
                    with self.subTest("".join(NAMES[phase] for phase in phases), at_once=at_once):
                        self.one(phases, at_once)
        self.assertEqual(self.daemon.stop(), 0)

    def test_transactions_in_one_write(self):
        """A CleanupSet on its way, a phase of another transaction that is answered at once, and then
        the first transaction again."""
        payload = self.payload(4, "4:new")
        for late in COMMITSET, UNDOSET, CLEANUPSET:
            for again in UNDOSET, CLEANUPSET:
                for _ in range(10):
                    self.set(3, "")
                    one, other = self.transaction + 1, self.transaction + 2
                    self.transaction = other
                    packet, = self.master.send(one, TESTSET, payload=payload)
                    self.assertEqual(self.master.receive(packet), 0)
                    self.master.send_all([(one, CLEANUPSET), (other, late), (one, again)])
        self.set(3, "")
        self.assertEqual(self.daemon.stop(), 0)

    def test_session_dies_with_phases_under_way(self):
        self.die_with_phases_under_way()
        self.die_with_requests_under_way()
        self.assertEqual(self.daemon.stop(), 0)

    def test_session_dies_after_a_ping_that_failed(self):
        """Then net-snmp has opened its internal session anew: what is set for it holds still."""
        session = self.master.session
        self.master.deaf = True
        harness.wait_for(lambda: self.master.session > session, "the agent to give up")
        self.master.deaf = False
        self.master.wait_for_agent()
        self.die_with_phases_under_way()
        self.die_with_requests_under_way()
        self.assertEqual(self.daemon.stop(), 0)

    def die_with_phases_under_way(self):
        """Phases and the end of the session at once: the agent comes back, in one of the two
        states, and the token is free."""
        every = ((TESTSET, COMMITSET), (TESTSET, CLEANUPSET), (TESTSET,),
                 (TESTSET, COMMITSET, UNDOSET), (TESTSET, COMMITSET, CLEANUPSET))
        for phases in every if SCALE == 1 else every[:2]:
            with self.subTest("".join(NAMES[phase] for phase in phases)):
                self.set(3, "")
                self.transaction += 1
                self.master.send(self.transaction, *phases, payload=self.payload(4, "4:new"))
                self.master.drop()
                harness.wait_for(lambda: self.master.peer is None, "the end of the session")
                self.master.wait_for_agent()
                level, filters = self.seen()
                self.assertIn((level, "new" in filters), ((3, False), (4, True)))
                self.set(3, "")

    def die_with_requests_under_way(self):
        """As many requests as make the end of the session come while some are on their way through
        net-snmp's internal pipes."""
        search = agentx.encode_oid(oid("lvaLogLevel")) + bytes(4)
        for number in range(1, 11):
            self.transaction += 1
            self.master.send(self.transaction, *[GET] * number, payload=search)
            self.master.drop()
            harness.wait_for(lambda: self.master.peer is None, "the end of the session")
            self.master.wait_for_agent()
            self.set(3, "")

    def test_late_phases_of_a_dead_session(self):
        """A session dies with a transaction in each state; the next one uses its number again."""
        for phases, level in (((TESTSET,), 3), ((TESTSET, COMMITSET), 4)):
            for late in (COMMITSET, UNDOSET, CLEANUPSET) if SCALE == 1 else (UNDOSET,):
                with self.subTest(phases=phases, late=late):
                    self.set(3, "")
                    number = self.transaction + 1
                    packets = self.master.send(number, *phases, payload=self.payload(4, "4:new"))
                    self.assertEqual(self.master.receive(packets[-1]), 0)
                    self.master.drop()
                    harness.wait_for(lambda: self.master.peer is None, "the end of the session")
                    self.master.wait_for_agent()
                    packet, = self.master.send(number, late)
                    self.master.receive(packet)
                    self.assertEqual(self.seen()[0], level)
                    self.transaction = number
                    self.set(3, "")
        self.assertEqual(self.daemon.stop(), 0)


if __name__ == "__main__":
    unittest.main()
