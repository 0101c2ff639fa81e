# SPDX-License-Identifier: LGPL-2.1-or-later
"""A SET that is refused: which error, on which varbind, for which reason, and that nothing has
changed. The invalid classes are those of the tests that libvirt's administration API was
designed with. Requests are made by hand, as snmpset checks values itself and cannot repeat an
instance."""

import os
import unittest

import ber
import harness
from harness import READ, oid
from test_transaction import STAMP, WRITABLE

SCALE = float(os.environ.get("VADM_TEST_SCALE", "1"))

# error-status of RFC 3416 section 3, and that of SNMPv1 which stands for it (RFC 3584 section 4.4)
NO_SUCH_NAME, BAD_VALUE, GEN_ERR = 2, 3, 5
WRONG_TYPE, WRONG_LENGTH, WRONG_VALUE, NO_CREATION, INCONSISTENT, RESOURCE = 7, 8, 10, 11, 12, 13
NOT_WRITABLE = 17
IN_V1 = {WRONG_TYPE: BAD_VALUE, WRONG_LENGTH: BAD_VALUE, WRONG_VALUE: BAD_VALUE,
         INCONSISTENT: BAD_VALUE, NO_CREATION: NO_SUCH_NAME, NOT_WRITABLE: NO_SUCH_NAME,
         RESOURCE: GEN_ERR}

LEVEL, FILTERS, OUTPUTS = "lvaLogLevel", "lvaLogFilters", "lvaLogOutputs"
PRIORITY = "lvaServerWorkersPriority"
LOW, HIGH = "lvaServerWorkersMin", "lvaServerWorkersMax"
CLIENTS, UNAUTH = "lvaServerClientsMax", "lvaServerClientsUnauthMax"
NULL = b"\x05\0"


def bind(name, value, server=2):
    """(OID, encoded value); a server's column or a scalar; value: a number, a text or BER."""
    index = (server,) if name.startswith("lvaServer") else (0,)
    if isinstance(value, str):
        value = ber.octets(value)
    elif isinstance(value, int):
        signed = name in (LEVEL, "lvaConfigLock", "lvaConfigStorage")
        value = ber.integer(value) if signed else ber.unsigned(value)
    return oid(name, *index), value


# One bad value: (class, object, value, error, what lvaConfigLastError says: the thing and the rule).
# None: the master refuses it itself, and the agent never sees it.
ONE = (
    ("level below", LEVEL, 0, WRONG_VALUE, "lvaLogLevel.0 = 0: must be between 1 and"),
    ("level above", LEVEL, 5, WRONG_VALUE, r"lvaLogLevel.0 = 5: .*from 1 to 4"),
    ("level far above", LEVEL, 6, WRONG_VALUE, "lvaLogLevel.0 = 6: must be between 1 and 5"),
    ("level negative", LEVEL, -1, WRONG_VALUE, "lvaLogLevel.0 = -1: must be between 1 and 5"),
    ("level no integer", LEVEL, "3", WRONG_TYPE, "lvaLogLevel.0 = \"3\": wrong type"),
    ("level NULL", LEVEL, NULL, WRONG_TYPE, None),

    ("filters: no number", FILTERS, "x:util", WRONG_VALUE, "Invalid priority 'x' for filter 'x:util'"),
    ("filters: level below", FILTERS, "0:util", WRONG_VALUE, "Invalid priority '0' for filter"),
    ("filters: level above", FILTERS, "5:util", WRONG_VALUE, "Invalid priority '5' for filter"),
    ("filters: no colon", FILTERS, "1util", WRONG_VALUE, "Malformed format for filter '1util'"),
    ("filters: empty match", FILTERS, "1:", WRONG_VALUE, "Invalid match string ''"),
    ("filters: second is bad", FILTERS, "1:util 7:rpc", WRONG_VALUE, "Invalid priority '7'.*'7:rpc'"),
    ("filters: NULL", FILTERS, NULL, WRONG_TYPE, None),
    ("filters: NUL", FILTERS, ber.octets(b"1:a\0b"), WRONG_VALUE, "must not contain a NUL"),
    ("filters: no UTF-8", FILTERS, ber.octets(b"1:\xff\xfe"), WRONG_VALUE, "must be UTF-8"),
    ("filters: too long", FILTERS, "1:" + "a" * 4095, WRONG_LENGTH, "4097 octets, at most 4096"),

    ("outputs: no number", OUTPUTS, "x:stderr", WRONG_VALUE, "Invalid log priority 'x'.*'x:stderr'"),
    ("outputs: level below", OUTPUTS, "0:stderr", WRONG_VALUE, "Invalid log priority '0'"),
    ("outputs: level above", OUTPUTS, "5:stderr", WRONG_VALUE, "Invalid log priority '5'"),
    ("outputs: no colon", OUTPUTS, "1stderr", WRONG_VALUE, "Malformed format for log output"),
    ("outputs: unknown", OUTPUTS, "1:nowhere", WRONG_VALUE, "Invalid log destination 'nowhere'"),
    ("outputs: data to stderr", OUTPUTS, "1:stderr:x", WRONG_VALUE, "destination type 'stderr'"),
    ("outputs: data to journald", OUTPUTS, "1:journald:x", WRONG_VALUE, "type 'journald'"),
    ("outputs: no data", OUTPUTS, "1:syslog", WRONG_VALUE, "'1:syslog' does not meet"),
    ("outputs: empty data", OUTPUTS, "1:file:", WRONG_VALUE, "'1:file:' does not meet"),
    ("outputs: no colon before data", OUTPUTS, "1:file/x", WRONG_VALUE, "destination 'file/x'"),
    ("outputs: relative path", OUTPUTS, "1:file:log/x", WRONG_VALUE, "log/x"),
    ("outputs: not allowed path", OUTPUTS, "1:file:/etc/virtadm.log", WRONG_VALUE,
     "/etc/virtadm.log"),
    ("outputs: other separator", OUTPUTS, "1:stderr,2:journald", WRONG_VALUE, "stderr,2"),
    ("outputs: second is bad", OUTPUTS, "1:stderr 1:nowhere", WRONG_VALUE, "'nowhere'"),
    ("outputs: NULL", OUTPUTS, NULL, WRONG_TYPE, None),

    ("workers: wrong type", LOW, ber.integer(7), WRONG_TYPE, "WorkersMin.2 = 7: wrong type"),
    ("workers: text", HIGH, "7", WRONG_TYPE, "WorkersMax.2 = \"7\": wrong type"),
    ("workers: NULL", LOW, NULL, WRONG_TYPE, None),
    ("workers: max 0", HIGH, 0, WRONG_VALUE, "WorkersMax.2 = 0: .*zero to non-zero"),
    ("workers: max above", HIGH, 1001, WRONG_VALUE, "WorkersMax.2 = 1001: .*from 1 to 1000"),
    ("workers: min above", LOW, 1001, WRONG_VALUE, "WorkersMin.2 = 1001: .*from 0 to 1000"),
    ("workers: prio above", PRIORITY, 1001, WRONG_VALUE, "WorkersPriority.2 = 1001: .*to 1000"),
    ("workers: 32 bits", LOW, 4294967295, WRONG_VALUE, "WorkersMin.2 = 4294967295: "),
    ("workers: min > max", LOW, 21, INCONSISTENT,
     "WorkersMin.2 = 21: minWorkers cannot be larger than maxWorkers"),
    ("workers: max < min", HIGH, 4, INCONSISTENT,
     "WorkersMax.2 = 4: minWorkers cannot be larger than maxWorkers"),
    ("workers: read-only parameter", "lvaServerWorkersCurrent", 3, NOT_WRITABLE,
     "WorkersCurrent.2 = 3: is read-only"),

    ("clients: max above", CLIENTS, 1000001, WRONG_VALUE, "ClientsMax.2 = 1000001: .*to 1000000"),
    ("clients: wrong type", CLIENTS, ber.integer(10), WRONG_TYPE, "ClientsMax.2 = 10: wrong type"),
    ("clients: max < unauth", CLIENTS, 19, INCONSISTENT,
     "ClientsMax.2 = 19: The overall maximum number of clients waiting for authentication"),
    ("clients: unauth > max", UNAUTH, 5001, INCONSISTENT, "ClientsUnauthMax.2 = 5001: The overall"),
    ("clients: percent", "lvaServerClientsHighPercent", 101, WRONG_VALUE,
     "ClientsHighPercent.2 = 101: must be between 0 and 100"),
    ("clients: requests", "lvaServerClientRequestsMax", 0, WRONG_VALUE,
     "ClientRequestsMax.2 = 0: "),
    ("clients: read-only parameter", "lvaServerClientsCurrent", 0, NOT_WRITABLE, "is read-only"),

    ("lock: negative", "lvaConfigLock", -1, WRONG_VALUE, "lvaConfigLock.0 = -1: "),
    ("lock: wrong type", "lvaConfigLock", "1", WRONG_TYPE, "lvaConfigLock.0 = \"1\": wrong type"),
    ("notify: undefined bit", "lvaNotifyEnable", ber.octets(b"\0\x20"), WRONG_VALUE,
     "lvaNotifyEnable.0 = .*bit 10"),
    ("notify: interval", "lvaNotifyMinInterval", 3601, WRONG_VALUE, "between 0 and 3600"),
)

# Faults that several varbinds make: (class, the binds of which the last that takes part is at
# fault, counted from 1 among them, error, rule). Around them go varbinds that are right.
SEVERAL = (
    ("min > max", ((LOW, 50), (HIGH, 40)), 2, INCONSISTENT, "WorkersMax.2 = 40: minWorkers cannot"),
    ("max < min", ((HIGH, 40), (LOW, 50)), 2, INCONSISTENT, "WorkersMin.2 = 50: minWorkers cannot"),
    ("min > max, others between", ((LOW, 50), (PRIORITY, 6), (HIGH, 40), (LEVEL, 2)), 3,
     INCONSISTENT, "WorkersMax.2 = 40: minWorkers cannot"),
    ("unauth > max", ((UNAUTH, 30), (CLIENTS, 25)), 2, INCONSISTENT, "ClientsMax.2 = 25: "),
    ("max < unauth", ((CLIENTS, 25), (LEVEL, 2), (UNAUTH, 30)), 3, INCONSISTENT,
     "ClientsUnauthMax.2 = 30: "),
    ("twice", ((PRIORITY, 6), (LEVEL, 2), (PRIORITY, 7)), 3, INCONSISTENT,
     "WorkersPriority.2 = 7: the request has another value"),
    ("twice the same", ((PRIORITY, 6), (PRIORITY, 6)), 2, INCONSISTENT,
     "WorkersPriority.2 = 6: the request has another value"),
    ("filters twice", ((FILTERS, "1:a"), (FILTERS, "2:b")), 2, INCONSISTENT, "another value"),
    ("good outputs, bad filters", ((FILTERS, "9:a"), (OUTPUTS, "1:stderr")), 1, WRONG_VALUE,
     "lvaLogFilters.0 = \"9:a\": Invalid priority"),
    ("good filters, bad outputs", ((OUTPUTS, "9:stderr"), (FILTERS, "1:a"), (LEVEL, 2)), 1,
     WRONG_VALUE, "lvaLogOutputs.0 = \"9:stderr\": Invalid log priority"),
)

RIGHT = (bind("lvaServerClientRequestsMax", 17, server=1), bind("lvaNotifyMinInterval", 77),
         bind(HIGH, 17, server=1))


class Refused(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = harness.Place()
        cls.addClassCleanup(cls.place.close)
        cls.snmpd = harness.Snmpd(cls.place)
        cls.daemon = harness.Virtadmd(cls.place, snmpd=cls.snmpd)
        cls.addClassCleanup(cls.daemon.process.end)
        cls.sessions = {version: ber.Session(cls.snmpd.port, version=version,
                                             timeout=harness.PATIENCE) for version in (1, 2)}
        for session in cls.sessions.values():
            cls.addClassCleanup(session.close)

    def setUp(self):
        self.before = self.state()

    def state(self):
        """All that can be written, and the stamp; not the lock, which only its own SET moves."""
        names = [oid(name, *index) for name, index in WRITABLE + STAMP] + [oid("lvaConfigLock")]
        status, _, binds = self.sessions[2].get(*names)
        self.assertEqual(status, 0)
        return binds

    def last_error(self):
        return self.sessions[2].get(oid("lvaConfigLastError"))[2][0][2].decode()

    def refuse(self, binds, at, error, rule):
        """Both versions of SNMP say so, the text is there, and nothing has changed."""
        for version, session in self.sessions.items():
            got = session.set_all(binds)
            self.assertEqual(got, (error if version == 2 else IN_V1[error], at), f"v{version}")
        if rule:
            self.assertRegex(self.last_error(), rule)
        self.assertEqual(self.state(), self.before)

    def test_one_bad_varbind(self):
        for what, name, value, error, rule in ONE:
            bad = bind(name, value)
            for at in 1, 2, 4:
                with self.subTest(what, at=at):
                    binds = [*RIGHT[:at - 1], bad, *RIGHT[at - 1:]]
                    self.refuse(binds, at, error, rule)

    def test_no_such_instance(self):
        cases = ((oid(LOW, 7), ber.unsigned(1), NO_CREATION, "WorkersMin.7 = 1: no such instance"),
                 (oid(LOW, 0), ber.unsigned(1), NO_CREATION, "WorkersMin.0 = 1: no such instance"),
                 (oid(LOW, 2, 1), ber.unsigned(1), NO_CREATION, "no such instance"),
                 (oid("lvaClientAdminStatus", 2, 99), ber.integer(2), NO_CREATION,
                  "AdminStatus.2.99 = 2: no such instance"),
                 (oid("lvaServerName", 2), ber.octets("x"), NOT_WRITABLE, "is read-only"),
                 (harness.ROOT_OID + ".1.99.0", ber.integer(1), NOT_WRITABLE,
                  "lvaMIB.1.99.0 = 1: no such object"))
        for name, value, error, rule in cases:
            for at in 1, 3, 4:
                with self.subTest(name, at=at):
                    binds = [*RIGHT[:at - 1], (name, value), *RIGHT[at - 1:]]
                    self.refuse(binds, at, error, rule)

    def test_several_varbinds(self):
        """The index is that of the last varbind that takes part."""
        for what, parts, at, error, rule in SEVERAL:
            binds = [bind(name, value) for name, value in parts]
            for front in 0, 2:
                with self.subTest(what, front=front):
                    self.refuse([*RIGHT[:front], *binds, *RIGHT[front:]], front + at, error, rule)

    def test_stale_lock(self):
        """Wherever it stands: the lock is the varbind at fault."""
        lock = self.snmpd.get1("lvaConfigLock")
        for stale in (lock + 1) % 2147483648, (lock - 1) % 2147483648:
            for at in 1, 2, 4:
                with self.subTest(stale=stale, at=at):
                    binds = [*RIGHT[:at - 1], bind("lvaConfigLock", stale), *RIGHT[at - 1:]]
                    self.refuse(binds, at, INCONSISTENT, f"lvaConfigLock.0 = {stale}: ")

    def test_lowest_index_of_two(self):
        """Two bad varbinds: the first is told."""
        bad = [bind(LEVEL, 9), bind(LOW, "x")]
        self.refuse([RIGHT[0], *bad], 2, WRONG_VALUE, "lvaLogLevel")
        self.refuse([RIGHT[0], *bad[::-1]], 2, WRONG_TYPE, "WorkersMin")

    def test_longer_than_agentx(self):
        """A PDU of more than 64 KiB of AgentX is more than net-snmp can take: refused at once, and
        the session with the master stays. It takes no more than leave to read."""
        name, value = bind(HIGH, 17)
        log = len(self.daemon.log_text())
        for version, session in self.sessions.items():
            self.assertEqual(session.set_all([(name, value)] * 1300), (GEN_ERR, 1), f"v{version}")
            # 1300: the answer is too long, 1500: the request is
            for number in 1300, 1500:
                session.send(ber.GET, [name] * number)
                self.assertEqual(session.receive()[0], GEN_ERR if version == 2 else NO_SUCH_NAME)
        self.assertEqual(self.state(), self.before)
        self.assertNotIn("lost the master", self.daemon.log_text()[log:])
        self.assertEqual(self.sessions[2].set_all([bind(HIGH, 21)]), (0, 0))
        self.assertEqual(self.sessions[2].set_all([bind(HIGH, 20)]), (0, 0))

    def test_file_that_cannot_be(self):
        """A file that cannot be opened is no bad value: resourceUnavailable, on its varbind."""
        os.makedirs(os.path.join(self.daemon.logdir, "here"), exist_ok=True)
        missing = bind(OUTPUTS, f"1:file:{self.daemon.logdir}/here/{'x' * 256}")
        self.refuse([RIGHT[0], missing, RIGHT[1]], 2, RESOURCE, "x{60}")

    def test_read_community(self):
        for version in 1, 2:
            with ber.Session(self.snmpd.port, READ, version=version) as session:
                status, index = session.set_all([RIGHT[0], bind(LEVEL, 1)])
                # v2c: noAccess(6)
                self.assertEqual((status, index), (6 if version == 2 else NO_SUCH_NAME, 1))
        self.assertEqual(self.state(), self.before)


class Races(unittest.TestCase):
    def test_lock(self):
        """Two managers with one value of the lock: exactly one wins, every time."""
        rounds = max(int(1000 * SCALE), 100)
        with harness.Place() as place:
            snmpd = harness.Snmpd(place)
            daemon = harness.Virtadmd(place, snmpd=snmpd)
            lock, limit = oid("lvaConfigLock"), oid("lvaServerClientRequestsMax", 2)
            generation = oid("lvaConfigGeneration")
            wins = [0, 0]
            with ber.Session(snmpd.port) as one, ber.Session(snmpd.port) as two:
                managers = [one, two]

                def read(*names):
                    values = []
                    for manager in managers:
                        manager.send(ber.GET, names)
                    for manager in managers:
                        values.append([int.from_bytes(body, "big", signed=tag == 2)
                                       for _, tag, body in manager.receive()[2]])
                    self.assertEqual(*values)
                    return values[0]
                for turn in range(rounds):
                    seen, before = read(lock, generation)
                    # each in turn is the first to send: the master takes them as they come
                    order = managers[::1 if turn % 2 else -1]
                    wanted = [2 * turn + 10, 2 * turn + 11]
                    for manager, value in zip(order, wanted):
                        manager.send(ber.SET, [lock, limit],
                                     [ber.integer(seen), ber.unsigned(value % 900 + 10)])
                    answers = [manager.receive()[:2] for manager in order]
                    self.assertEqual(sorted(answers), [(0, 0), (INCONSISTENT, 1)], turn)
                    winner = answers.index((0, 0))
                    wins[managers.index(order[winner])] += 1
                    now, after, value = read(lock, generation, limit)
                    self.assertEqual((now, after, value),
                                     ((seen + 1) % 2147483648, before + 1,
                                      wanted[winner] % 900 + 10))
            self.assertEqual(sum(wins), rounds)
            self.assertTrue(all(wins), wins)
            print(f"\n   {rounds} races, won by the two managers: {wins}", end="")
            self.assertEqual(daemon.stop(), 0)


if __name__ == "__main__":
    unittest.main()
