# SPDX-License-Identifier: LGPL-2.1-or-later
"""The drop-in for snmpd, in Debian's snmpd.conf as it comes: who may read and write what, what a
subagent that hangs costs, several daemons in contexts."""

import os
import re
import signal
import stat
import time
import unittest

import harness
from harness import ROOT_OID, oid, wait_for
from receivers import sending_to
from stock import AUTH, NOC, NOCADMIN, PRIV, V2C, StockSnmpd, drop_in, replaced

SERVER = 2
SYSTEM, HOST_RESOURCES, ENGINE_ID = "1.3.6.1.2.1.1", "1.3.6.1.2.1.25", "1.3.6.1.6.3.10.2.1.1.0"
SYS_UP_TIME = SYSTEM + ".3.0"


def writable():
    """Names of the read-write objects, from the list of the public interface."""
    path = os.path.join(harness.SOURCE, "tests", "unit", "mib-interface.txt")
    with open(path, encoding="utf-8") as lines:
        return {line.split()[1] for line in lines if " read-write:" in line}


def user(name, level="authPriv"):
    options = {"noAuthNoPriv": (), "authNoPriv": ("-a", "SHA-256", "-A", AUTH),
               "authPriv": ("-a", "SHA-256", "-A", AUTH, "-x", "AES", "-X", PRIV)}[level]
    return ("-v", "3", "-u", name, "-l", level, *options)


class Access(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = harness.Place()
        cls.addClassCleanup(cls.place.close)
        cls.snmpd = StockSnmpd(cls.place)
        cls.libvirtd = harness.Libvirtd(cls.place)
        cls.daemon = harness.Virtadmd(cls.place, cls.libvirtd, cls.snmpd)
        cls.client = harness.Raw(cls.daemon.socket)
        cls.addClassCleanup(cls.client.sock.close)

    def get(self, who, name=oid("lvaDaemonName")):
        return self.snmpd.ask("snmpget", who, name)

    def walk(self, who, start=".1"):
        """The OIDs that a walk of all finds."""
        status, out = self.snmpd.ask("snmpbulkwalk", who, start, options=("-Cr50",), timeout=30)
        self.assertEqual(status, 0, out)
        return [name for name, value in harness.parse(out) if value is not None]

    def assert_seen(self, who, *subtrees):
        """The MIB and these subtrees are seen, and nothing else."""
        seen = self.walk(who)
        for subtree in (ROOT_OID, *subtrees):
            self.assertTrue([name for name in seen if name.startswith(subtree + ".")], subtree)
        self.assertEqual([name for name in seen if not name.startswith(
            tuple(subtree + "." for subtree in (ROOT_OID, *subtrees)))], [])

    def set(self, who, name, kind, value):
        """The reason why not, or None."""
        status, out = self.snmpd.ask("snmpset", who, name, kind, str(value))
        if status == 0:
            return None
        found = re.search(r"^Reason: \(?(\w+)", out, re.M)
        self.assertTrue(found, out)
        return found[1]

    def test_community_reads(self):
        for version in "1", "2c":
            status, out = self.get(("-v", version, "-c", "public"))
            self.assertEqual((status, "virtadmd" in out), (0, True), out)
        # what Debian's view has, and the MIB
        self.assert_seen(V2C, SYSTEM, HOST_RESOURCES + ".1")

    def test_community_does_not_write(self):
        self.assertEqual(self.set(V2C, oid("lvaServerWorkersMax", SERVER), "u", 21), "noAccess")
        for version in "1", "2c":
            status, out = self.snmpd.ask("snmpset", ("-v", version, "-c", "private"),
                                         oid("lvaServerWorkersMax", SERVER), "u", "21", timeout=1)
            self.assertIn("Timeout", out)
            self.assertNotEqual(status, 0)

    def test_users_read(self):
        for who in NOC, NOCADMIN:
            self.assert_seen(who, SYSTEM, ENGINE_ID.rsplit(".", 2)[0])

    def test_weaker_levels_are_refused(self):
        for name in "noc", "nocadmin":
            for level in "noAuthNoPriv", "authNoPriv":
                status, out = self.get(user(name, level))
                self.assertNotEqual(status, 0, (name, level))
                self.assertIn("authorizationError", out, (name, level))

    def test_wrong_passwords_and_users(self):
        for wrong in (AUTH, "another password"), (PRIV, "another password"):
            who = tuple(wrong[1] if word == wrong[0] else word for word in NOC)
            status, out = self.snmpd.ask("snmpget", who, oid("lvaDaemonName"), timeout=1)
            self.assertNotEqual(status, 0, out)
        status, out = self.snmpd.ask("snmpget", user("nobody"), oid("lvaDaemonName"), timeout=1)
        self.assertIn("Unknown user name", out)
        # Debian's own user is not created, and its view alone would not be enough for the MIB
        status, out = self.snmpd.ask("snmpget", user("authPrivUser"), SYS_UP_TIME, timeout=1)
        self.assertIn("Unknown user name", out)

    def test_reader_writes_nothing(self):
        for name in writable():
            index = (SERVER,) if name.startswith("lvaServer") else (SERVER, 1) \
                if name.startswith("lvaClient") else ()
            kind = "s" if name in ("lvaLogFilters", "lvaLogOutputs") else "x" \
                if name == "lvaNotifyEnable" else "i"
            self.assertEqual(self.set(NOC, oid(name, *index), kind, "00" if kind == "x" else 1),
                             "noAccess", name)

    def test_writer_writes(self):
        for value in 21, 20:
            self.assertIsNone(self.set(NOCADMIN, oid("lvaServerWorkersMax", SERVER), "u", value))
        self.assertIsNone(self.set(NOCADMIN, oid("lvaNotifyMinInterval"), "u", 5))
        self.assertIsNone(self.set(NOCADMIN, oid("lvaLogFilters"), "s", ""))
        number = self.snmpd.get1("lvaClientNumber")
        client = harness.Raw(self.daemon.socket)
        self.addCleanup(client.sock.close)
        wait_for(lambda: self.snmpd.get1("lvaClientNumber") == number + 1, "the client's row")
        rows = [name for name in self.walk(NOCADMIN, oid("lvaClientAdminStatus", SERVER))]
        self.assertIsNone(self.set(NOCADMIN, rows[-1], "i", 2))
        wait_for(lambda: self.snmpd.get1("lvaClientNumber") == number, "the client to be gone")

    def test_writer_writes_nothing_else(self):
        """Each object that is not read-write is outside of the view: noAccess, where a subagent
        would have said notWritable. So are those of others."""
        names, allowed = set(), writable()
        for row in self.walk(NOCADMIN, ROOT_OID):
            name = next((name for name, number in harness.OIDS.items() if row.startswith(
                number + ".") and (name + "Table" not in harness.OIDS)
                and not [other for other in harness.OIDS.values()
                         if other.startswith(number + ".")]), None)
            self.assertTrue(name, row)
            if name in names or name in allowed:
                continue
            names.add(name)
            self.assertEqual(self.set(NOCADMIN, row, "i", 1), "noAccess", name)
        self.assertGreater(len(names), 40)
        for other in SYSTEM + ".5.0", ENGINE_ID, "1.3.6.1.2.1.11.30.0":
            self.assertEqual(self.set(NOCADMIN, other, "i", 1), "noAccess", other)

    def test_passwords_become_keys(self):
        """As the drop-in says: what creates the users is gone, and the file is snmpd's alone."""
        path = os.path.join(self.snmpd.state, "snmpd.conf")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        with open(path, encoding="utf-8") as text:
            state = text.read()
        self.assertIn('usmUser', state)
        self.assertNotIn(AUTH, state)
        self.assertNotIn(PRIV, state)

    def test_snmpd_has_nothing_to_complain_about(self):
        self.assertNotRegex(self.snmpd.process.output(), r"(?i)error|warning|unknown|bad")


class Users(unittest.TestCase):
    def test_new_password(self):
        """as the drop-in says, and what becomes of it when snmpd was not stopped."""
        place = harness.Place()
        self.addCleanup(place.close)
        snmpd = StockSnmpd(place)
        state = os.path.join(snmpd.state, "snmpd.conf")
        new = tuple("new-words" if word == AUTH else word for word in NOC)

        def create():
            with open(state, "a", encoding="utf-8") as conf:
                conf.write(f'createUser noc SHA-256 "new-words" AES "{PRIV}"\n')

        def stop():
            snmpd.process.kill(signal.SIGTERM)
            snmpd.process.wait()

        def works(who):
            return snmpd.ask("snmpget", who, SYS_UP_TIME, timeout=2)[0] == 0
        create()
        stop()
        snmpd.start()
        self.assertEqual((works(NOC), works(new)), (True, False))
        stop()
        create()
        snmpd.start()
        self.assertEqual((works(NOC), works(new)), (False, True))
        self.assertTrue(works(NOCADMIN))
        self.assertEqual(stat.S_IMODE(os.stat(state).st_mode), 0o600)


class Sheet(unittest.TestCase):
    """The commands of the sheet of OIDs, as a shell runs them."""

    def test_commands(self):
        place = harness.Place()
        self.addCleanup(place.close)
        snmpd = StockSnmpd(place)
        daemon = harness.Virtadmd(place, harness.Libvirtd(place), snmpd)
        client = harness.Raw(daemon.socket)
        self.addCleanup(client.sock.close)
        wait_for(lambda: snmpd.get1("lvaServerClientsCurrent", SERVER) == 1, "the client")
        _, out = snmpd.ask("snmpbulkwalk", NOC, oid("lvaClientPeer", SERVER))
        row = harness.parse(out)[0][0].rpartition(".")[2]
        with open(os.path.join(harness.BUILD, "docs", "oids.txt"), encoding="utf-8") as text:
            sheet = text.read()
        sheet = replaced(sheet, r"\blocalhost\b", f"127.0.0.1:{snmpd.port}")
        sheet = replaced(sheet, r"\.CLIENT i 2", f".{row} i 2").replace("AUTHPASSWORD", AUTH)
        sheet = replaced(sheet.replace("PRIVPASSWORD", PRIV), r"/usr/share/virtadm/lva-names.sed",
                         os.path.join(harness.BUILD, "mib", "lva-names.sed"))
        readers = re.findall(r"^    (READ=.*)$", sheet, re.M)
        writer, = re.findall(r"^    (WRITE=.*)$", sheet, re.M)
        self.assertEqual(len(readers), 2)
        commands = re.findall(r"^    ((snmp\w+) .*)$", sheet, re.M)
        self.assertGreater(len(commands), 20)
        env = {**os.environ, "MIBS": "", "SNMPCONFPATH": place.path("none"),
               "SNMP_PERSISTENT_DIR": place.path("manager")}
        for reader in readers:
            for command, tool in commands:
                if tool == "snmpset" and reader != readers[-1]:
                    continue
                status, out, err = harness.run(
                    "bash", "-o", "pipefail", "-c", f"{reader}\n{writer}\n{command}", env=env)
                self.assertEqual((status, err), (0, ""), f"{command}: {out}")
                self.assertNotIn("No Such", out, command)
                self.assertNotEqual(out, "", command)
                if "sed" in command:
                    self.assertIn('lvaServerName.2 = STRING: "libvirtd"', out)
                    self.assertIn("lvaServerClientsState.2 = INTEGER: normal(1)", out)
        wait_for(lambda: snmpd.get1("lvaServerClientsCurrent", SERVER) == 0, "its disconnection")


class Hung(unittest.TestCase):
    def test_a_subagent_that_hangs(self):
        """costs one request less than 3 s and nobody else anything; without the drop-in, 6."""
        place = harness.Place()
        self.addCleanup(place.close)
        snmpd = StockSnmpd(place)
        daemon = harness.Virtadmd(place, None, snmpd)
        daemon.process.kill(signal.SIGSTOP)
        began = time.monotonic()
        status, out = snmpd.ask("snmpget", NOC, oid("lvaDaemonName"), timeout=30)
        cost = time.monotonic() - began
        self.assertNotEqual(status, 0)
        self.assertIn("genError", out)
        # 3 s are promised; what more it is comes from a machine that is busy
        self.assertLess(cost, 5, "agentXTimeout or agentXRetries of the drop-in have no effect")
        print(f"a subagent that hangs costs {cost:.2f} s", flush=True)
        for who in V2C, NOC:
            status, out = snmpd.ask("snmpget", who, SYS_UP_TIME, oid("lvaDaemonName"), timeout=30)
            self.assertEqual(status, 0, out)
            self.assertRegex(out, r"\.1\.3\.0 = \d+\n.*No Such Object")
        daemon.process.kill(signal.SIGCONT)
        wait_for(snmpd.has_agent, "the subagent to be back")


class ReceiverAway(unittest.TestCase):
    def test_inform(self):
        """to a receiver that does not answer holds snmpd up for less than agentXTimeout: the
        subagent is not lost, and a SET goes through."""
        place = harness.Place()
        self.addCleanup(place.close)
        snmpd = StockSnmpd(place, sending_to(harness.free_port(), ["trapsess -Ci"]))
        daemon = harness.Virtadmd(place, None, snmpd, extra="[notify]\nmin_interval = 0\n")
        for value in 21, 22, 23:
            status, out = snmpd.ask("snmpset", NOCADMIN, oid("lvaServerWorkersMax", SERVER), "u",
                                    str(value), timeout=30)
            self.assertEqual(status, 0, out)
        harness.wait_for(lambda: "send_trap: Timeout" in snmpd.process.output(), snmpd.process.output)
        self.assertNotIn("lost", daemon.log_text())


class Contexts(unittest.TestCase):
    """The lines of the drop-in for several daemons, without their comment signs."""

    def test_two_daemons(self):
        place = harness.Place()
        self.addCleanup(place.close)
        snmpd = StockSnmpd(place, lambda text: replaced(
            text, r"^#(?=(com2sec|group|access) )", ""))
        names = re.findall(r"^#com2sec -Cn (\S+) ", drop_in(), re.M)
        self.assertEqual(names, ["virtqemud", "virtlogd"])
        daemons = harness.Libvirtd(place), harness.Helper(place)
        harness.Agent(place, snmpd, *((name, daemon.admin) for name, daemon in zip(names, daemons)))
        for name, context in (names[0], ""), *((name, name) for name in names):
            for who in NOC, NOCADMIN:
                self.answers(snmpd, name, who, options=("-n", context))
        self.answers(snmpd, names[0], V2C)
        for name in names:
            for version in "1", "2c":
                self.answers(snmpd, name, ("-v", version, "-c", "public-" + name))
            status, out = snmpd.ask("snmpset", ("-v", "2c", "-c", "public-" + name),
                                    oid("lvaNotifyMinInterval"), "u", "5")
            self.assertIn("noAccess", out)
        status, out = snmpd.ask("snmpset", NOCADMIN, oid("lvaNotifyMinInterval"), "u", "5",
                                options=("-n", names[1]))
        self.assertEqual(status, 0, out)
        status, out = snmpd.ask("snmpset", NOC, oid("lvaNotifyMinInterval"), "u", "5",
                                options=("-n", names[1]))
        self.assertIn("noAccess", out)

    def answers(self, snmpd, name, who, options=()):
        status, out = snmpd.ask("snmpget", who, oid("lvaDaemonName"), options=options)
        self.assertEqual(status, 0, out)
        self.assertIn(f'"{name}"', out, (who, options))


if __name__ == "__main__":
    unittest.main()
