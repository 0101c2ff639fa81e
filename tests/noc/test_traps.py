# SPDX-License-Identifier: LGPL-2.1-or-later
"""From the event to the operator, by the configuration that we ship and the tools that it is for:
virtadmd or virtadm-agent, Debian's snmpd with the drop-in, snmptrapd, snmptt, Zabbix's trap file."""

import os
import re
import signal
import stat
import time
import unittest

import harness
import host
import receivers
import traps
from harness import ROOT_OID, oid, wait_for
from stock import NOCADMIN, StockSnmpd

SERVER = 2
GET_TYPE = 3
ALL = ";".join(traps.BITS)


def load_events():
    """{name: (OID, severity, text)}"""
    lines = receivers.read(receivers.SHIPPED, "events.txt").splitlines()
    fields = [line.split("\t") for line in lines if line.startswith("event\t")]
    return {name: (number, severity, text) for _, number, name, severity, text in fields}


EVENTS = load_events()


def severities():
    """The table of docs/traps.md: (severity, level in syslog, [names])."""
    page = receivers.read(harness.SOURCE, "docs", "traps.md")
    rows = re.findall(r"^\| ([A-Z]\w+)\b[^|]*\| (\w+) \| (lva.*) \|$", page, re.M)
    return [(severity, level, names.split(", ")) for severity, level, names in rows]


def wait_for_event(receiver, name, pattern):
    """It is in snmptt's log and in Zabbix's file, with the severity that it has in the MIB."""
    number, severity, _ = EVENTS[name]

    def in_snmptt():
        return [line for line in receiver.snmptt.lines() if line[:2] == (number, severity)
                and re.fullmatch(pattern, line[3])]

    def in_zabbix():
        return [line for line in receiver.told()
                if re.fullmatch(f"{name} {severity} {pattern}", line)]
    wait_for(in_zabbix, lambda: f"{name} {pattern} in Zabbix's file: {receiver.told()}")
    wait_for(in_snmptt, lambda: f"{name} {pattern} in snmptt's log: {receiver.snmptt.lines()}")


class Live(unittest.TestCase):
    def start(self, kinds):
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        self.receiver = receivers.Receiver(self.place)
        self.snmpd = StockSnmpd(self.place, receivers.sending_to(self.receiver.port, kinds))

    def expect(self, name, pattern):
        wait_for_event(self.receiver, name, pattern)

    def test_virtadmd(self):
        """Its events, as v2c traps."""
        self.start(["trap2sink"])
        libvirtd = harness.Libvirtd(self.place)
        daemon = harness.Virtadmd(
            self.place, libvirtd, self.snmpd, extra=f"[notify]\nenable = {ALL}\nmin_interval = 0\n",
            server="max_clients = 3\nmax_anonymous_clients = 3\nclients_high_percent = 60\n")
        clients = [harness.Raw(daemon.socket, harness.Raw.REMOTE) for _ in range(3)]
        self.expect("lvaClientConnected", r"virtadmd: server libvirtd: client connected "
                    r"\(unix unix:pid=\d+,uid=\d+\)")
        self.expect("lvaClientsHigh", r"virtadmd: server libvirtd is filling up: 2 of 3 clients "
                    r"\(threshold 60 percent\)")
        self.expect("lvaClientsFull", "virtadmd: server libvirtd is full: 3 of 3 clients")
        for client in clients:
            client.sock.close()
        self.expect("lvaClientsNormal", "virtadmd: server libvirtd is below its thresholds again: "
                    "[01] of 3 clients")
        self.expect("lvaClientDisconnected", r"virtadmd: server libvirtd: client gone "
                    r"\(unix unix:pid=\d+,uid=\d+, client\)")
        status, out = self.snmpd.ask("snmpset", NOCADMIN, oid("lvaServerWorkersMax", SERVER), "u", "21")
        self.assertEqual(status, 0, out)
        self.expect("lvaConfigChanged", r"virtadmd: configuration 2 in force \(origin snmp\)")
        libvirtd.process.end()
        self.assertNotEqual(harness.virsh(daemon.socket, "uri")[0], 0)  # it is the attempt that tells
        self.expect("lvaUpstreamDown", "virtadmd: server libvirtd: its upstream daemon cannot be reached")
        libvirtd.start()
        self.assertEqual(harness.virsh(daemon.socket, "uri")[0], 0)
        self.expect("lvaUpstreamUp",
                    "virtadmd: server libvirtd: its upstream daemon can be reached again")

    def test_virtadmd_trouble(self):
        """Clients that do not say who they are, that say something wrong, and whose calls hang."""
        self.start(["trap2sink"])
        libvirtd = harness.Libvirtd(self.place)
        daemon = harness.Virtadmd(
            self.place, libvirtd, self.snmpd, extra=f"[notify]\nenable = {ALL}\nmin_interval = 0\n",
            env=traps.Sasl(self.place).env, server=traps.Case.SASL_LISTEN + """\
max_anonymous_clients = 2
auth_timeout = 3600
keepalive_interval = -1
min_workers = 1
max_workers = 1
prio_workers = 0
""")

        def connect():
            return self.enterContext(harness.Raw(daemon.socket, harness.Raw.REMOTE))
        one, two = connect(), connect()
        self.expect("lvaUnauthFull", "virtadmd: server libvirtd is full of unauthenticated clients: 2 of 2")
        self.assertEqual(traps.Sasl.log_in(one, traps.Sasl.PASSWORD)[5], 0)
        self.expect("lvaUnauthNormal", "virtadmd: server libvirtd has room for unauthenticated clients "
                    "again: 1 of 2")
        reply = traps.Sasl.log_in(two, "wrong-words")
        self.assertTrue(reply is None or reply[5] == 1)
        self.expect("lvaClientAuthFailure", r"virtadmd: server libvirtd: client refused "
                    rf"\(unix unix:pid={os.getpid()},uid={os.geteuid()}\), 1 so far")
        self.assertEqual(one.call(host.PROC_CONNECT_OPEN, harness.open_payload())[5], 0)
        libvirtd.process.kill(signal.SIGSTOP)
        for _ in range(3):
            one.send(GET_TYPE)
        self.expect("lvaWorkersExhausted", "virtadmd: server libvirtd: all 1 workers busy, 2 jobs wait")
        libvirtd.process.kill(signal.SIGCONT)
        for _ in range(3):
            self.assertEqual(one.receive()[5], 0)
        self.expect("lvaWorkersAvailable", r"virtadmd: server libvirtd: workers \(of 1\) are free again, "
                    "0 jobs wait")

    def test_virtadm_agent(self):
        """A daemon that goes and comes back, as v3 traps and informs."""
        self.start(["trapsess -v", "trapsess -Ci"])
        libvirtd = harness.Libvirtd(self.place)
        harness.Agent(self.place, self.snmpd, ("libvirtd", libvirtd.admin))
        wait_for(lambda: self.snmpd.get1("lvaDaemonState") == 1, "the daemon to be reached")
        libvirtd.process.end()
        # snmptt leaves out the question mark, as all that is special to a shell
        uri = r"\(libvirtd:///system\??socket=" + re.escape(libvirtd.admin) + r"\)"
        self.expect("lvaDaemonUnreachable", f"libvirtd: daemon unreachable {uri}")
        libvirtd.start()
        self.expect("lvaDaemonReachable", f"libvirtd: daemon reachable {uri}")
        for how in "TRAP2, SNMP v3, user noc", "INFORM, SNMP v3, user noc":
            for name in "lvaDaemonUnreachable", "lvaDaemonReachable":
                self.assertRegex(self.receiver.log(), rf"{how}.*{re.escape(EVENTS[name][0])}\b")
        self.assertNotIn("Timeout", self.snmpd.process.output())


class Tools(unittest.TestCase):
    """What comes from elsewhere: here snmptrap, with the OIDs of the list."""

    @classmethod
    def setUpClass(cls):
        cls.place = harness.Place()
        cls.addClassCleanup(cls.place.close)
        cls.receiver = receivers.Receiver(cls.place)

    def setUp(self):
        self.before = len(self.receiver.records())

    def binds(self, name, values):
        """Arguments of snmptrap: the objects of a notification with their instances."""
        arguments = []
        for object_, value in zip(traps.NOTIFICATIONS[name], values):
            tag, n_indexes = traps.OBJECTS[object_]
            kind = {2: "i", 4: "s", 0x41: "c", 0x42: "u"}[tag]
            arguments += [oid(object_, *range(2, 2 + n_indexes) or (0,)), kind, value]
        return arguments

    def new_records(self, count=1):
        wait_for(lambda: len(self.receiver.records()) >= self.before + count,
                 lambda: f"{count} records: {self.receiver.records()[self.before:]}; "
                         f"{self.receiver.log()[-1000:]}")
        records = self.receiver.records()[self.before:]
        self.assertEqual(len(records), count, records)
        return records

    def test_every_notification(self):
        self.assertEqual(set(EVENTS), set(traps.NOTIFICATIONS))
        expected = []
        for n, (name, (number, _, text)) in enumerate(sorted(EVENTS.items())):
            objects = traps.NOTIFICATIONS[name]
            values = [f"daemon{n}" if object_ == "lvaDaemonName" else
                      str(i + 1) if traps.OBJECTS[object_][0] != 4 else f"text{n}-{i}"
                      for i, object_ in enumerate(objects)]
            said = [traps.label(object_, int(value)) if value.isdigit() else value
                    for object_, value in zip(objects, values)]
            self.receiver.send(number, *self.binds(name, values))
            expected.append((name, re.sub(r"%(\d+)", lambda at, said=said: said[int(at[1]) - 1], text)))
        for name, text in expected:
            self.assertNotIn("%", text)
            wait_for_event(self.receiver, name, re.escape(text))

    def test_record(self):
        """What Zabbix finds: time and address for itself, the OIDs for regular expressions."""
        name = "lvaClientsFull"
        self.receiver.send(EVENTS[name][0], *self.binds(name, ["virtadmd", "libvirtd", "20", "20"]))
        (when, address, text), = self.new_records()
        self.assertRegex(when, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}$")
        self.assertLess(abs(time.time() - time.mktime(time.strptime(when[:19], "%Y-%m-%dT%H:%M:%S"))),
                        3600)
        self.assertEqual(address, "127.0.0.1")
        lines = text.splitlines()
        self.assertEqual(lines[0], "lvaClientsFull Major virtadmd: server libvirtd is full: "
                                   "20 of 20 clients")
        self.assertRegex(lines[1], r"^  \.1\.3\.6\.1\.2\.1\.1\.3\.0 type=67 value=Timeticks: \(1\)")
        self.assertEqual(lines[2:], [
            f"  .1.3.6.1.6.3.1.1.4.1.0 type=6 value=OID: {EVENTS[name][0]}",
            f'  .{oid("lvaDaemonName")} type=4 value=STRING: "virtadmd"',
            f'  .{oid("lvaServerName", 2)} type=4 value=STRING: "libvirtd"',
            f'  .{oid("lvaServerClientsCurrent", 2)} type=66 value=Gauge32: 20',
            f'  .{oid("lvaServerClientsMax", 2)} type=66 value=Gauge32: 20'])
        self.assertEqual(stat.S_IMODE(os.stat(self.receiver.zabbix_file).st_mode) & 0o137, 0)

    def test_page(self):
        """What docs/traps.md shows is what comes, but for times and addresses."""
        page = receivers.read(harness.SOURCE, "docs", "traps.md")
        page = page.replace("1.3.6.1.4.1.8072.9999.9999.6906", ROOT_OID)
        record = re.search(r"^    \S+ ZBXTRAP (\S+ .*\n(?:      .*\n)+)", page, re.M)[1]
        record = re.sub(r"(?m)^    ", "", record.replace("192.0.2.20", "127.0.0.1"))
        lines = re.findall(r"^    \w+ \w+ \d+ [\d:]+ \d+ (\S+) (\S+) \"(.*)\" \S+ - (.*)$", page, re.M)
        self.assertEqual(len(lines), 2)
        for name, clients in ("lvaClientsFull", "20"), ("lvaClientsNormal", "16"):
            self.receiver.send(EVENTS[name][0], *self.binds(
                name, ["virtadmd", "libvirtd", clients, "20"]))
        (_, address, text), _ = self.new_records(2)
        shown = re.sub(r"Timeticks: .*", "Timeticks", f"{address} {text}\n")
        self.assertEqual(shown, re.sub(r"Timeticks: .*", "Timeticks", record))
        wait_for(lambda: set(lines) <= set(self.receiver.snmptt.lines()),
                 lambda: f"{lines} in {self.receiver.snmptt.lines()}")

    def test_severities_of_the_page(self):
        found = {name: severity for severity, _, names in severities() for name in names}
        self.assertEqual(found, {name: severity for name, (_, severity, _) in EVENTS.items()})

    def test_severities_of_polling(self):
        """What is critical to Prometheus is critical or major here, what is a warning a warning: receivers
        make CRITICAL of the former."""
        rules = receivers.read(host.shipped("prometheus", "virtadm.rules.yml"))
        for name, alert in (("lvaClientsFull", "ClientsFull"), ("lvaUnauthFull", "UnauthClientsFull"),
                            ("lvaWorkersExhausted", "WorkersExhausted"),
                            ("lvaDaemonUnreachable", "DaemonUnreachable"),
                            ("lvaUpstreamDown", "UpstreamUnreachable"),
                            ("lvaClientAuthFailure", "AuthFailures")):
            severity = re.search(rf"alert: Virtadm{alert}\n.*?severity: (\w+)", rules, re.S)[1]
            self.assertEqual(EVENTS[name][1] in ("Critical", "Major"), severity == "critical", name)

    def test_v1(self):
        """The same record: enterprise and number are put together, the community is left out."""
        name = "lvaConfigChanged"
        self.receiver.send(None, *self.binds(name, ["v1daemon", "7", "2"]), version="1",
                           v1=(ROOT_OID, 10))
        wait_for_event(self.receiver, name, r"v1daemon: configuration 7 in force \(origin adminRpc\)")
        (_, address, text), = self.new_records()
        self.assertEqual(address, "127.0.0.1")  # not the one that the sender claims
        self.assertNotIn("public", text)

    def test_of_others(self):
        self.receiver.send("1.3.6.1.4.1.32473.0.1", "1.3.6.1.4.1.32473.1.0", "s", "x")
        (_, _, text), = self.new_records()
        self.assertEqual(text.splitlines()[0], ".1.3.6.1.4.1.32473.0.1")
        # not in snmptt's log: the handler is called for ours alone
        self.assertEqual(receivers.read(self.place.path("snmptt-unknown.log")), "")

    HOSTILE = {
        "line break": ("a\n2026-01-01T00:00:00+0000 ZBXTRAP 192.0.2.66 lvaClientsFull Major b",
                       "a 2026-01-01T00:00:00+0000 ZBX_TRAP 192.0.2.66 lvaClientsFull Major b"),
        "keyword": ("xZBXTRAPx ZBXTRAP\t192.0.2.66", "xZBX_TRAPx ZBX_TRAP 192.0.2.66"),
        "quotes": ('a" b\\" c"', 'a" b\\" c"'),
        "quote and break": ('a"\n.1.3.6.1.6.3.1.1.4.1.0 .1.3', 'a" .1.3.6.1.6.3.1.1.4.1.0 .1.3'),
        "format": ("%s %1 %n $1 $(id) `id` |", "%s %1 %n $1 $(id) `id` |"),
        "not ASCII": ("Grüße, 世界", "Grüße, 世界"),
        "direction": ("a\u202ekcab\u2069", "a\\x{202e}kcab\\x{2069}"),
        "empty": ("", ""),
    }

    def test_hostile_values(self):
        """One record each, of the sender's address, with the value in one line."""
        for what, (value, shown) in self.HOSTILE.items():
            self.before = len(self.receiver.records())
            self.receiver.send(EVENTS["lvaDaemonUnreachable"][0], *self.binds(
                "lvaDaemonUnreachable", [value, "uri-of-" + what.replace(" ", "-")]))
            (_, address, text), = self.new_records()
            self.assertEqual(address, "127.0.0.1", what)
            self.assertEqual(text.splitlines()[0], f"lvaDaemonUnreachable Critical {shown}: daemon "
                             f"unreachable (uri-of-{what.replace(' ', '-')})", what)
            self.assertEqual(len(text.splitlines()), 5, what)
        # snmptt has one line, too, whatever it leaves out of the value
        for what in self.HOSTILE:
            lines = wait_for(lambda: [line for line in self.receiver.snmptt.lines() if line[3].endswith(
                f"(uri-of-{what.replace(' ', '-')})")], f"snmptt: {what}")
            self.assertEqual([line[:3] for line in lines], [
                (EVENTS["lvaDaemonUnreachable"][0], "Critical", "Status Events")], what)

    def test_backslash_at_the_end(self):
        """snmptt takes the next value for a part of this one. The event is told nevertheless."""
        name = "lvaDaemonUnreachable"
        self.receiver.send(EVENTS[name][0], *self.binds(name, ["ends-so\\", "uri"]))
        (_, _, text), = self.new_records()
        self.assertEqual(text.splitlines()[0], f"{name} Critical ends-so\\: daemon unreachable (uri)")
        wait_for(lambda: [line for line in self.receiver.snmptt.lines() if "ends-so" in line[3]
                          and line[:2] == (EVENTS[name][0], "Critical")], "snmptt")

    def test_odd_octets(self):
        """Neither text nor printable: hexadecimal, in one line."""
        name = "lvaDaemonReachable"
        for octets in "ff00fe", "c3", "1b5b324a", "41" * 40 + "00", "00":
            self.before = len(self.receiver.records())
            self.receiver.send(EVENTS[name][0], oid("lvaDaemonName"), "x", octets,
                               oid("lvaDaemonUri"), "s", "u")
            (_, _, text), = self.new_records()
            shown = " ".join(re.findall("..", octets.upper()))
            self.assertIn(f"value=Hex-STRING: {shown}\n", text)
            self.assertEqual(len(text.splitlines()), 5)
            self.assertTrue(text.replace("\n", "").isprintable(), text)

    def test_large(self):
        """Long values and many of them: cut, which is said, and below what Zabbix reads at a time."""
        number = "1.3.6.1.4.1.32473.0.2"
        self.receiver.send(number, "1.3.6.1.4.1.32473.1.0", "s", "a" * 5000)
        (_, _, text), = self.new_records()
        self.assertRegex(text, r'value=STRING: "a{1015}\.\.\. \(5010 characters\)$')
        self.before = len(self.receiver.records())
        self.receiver.send(number, *(word for n in range(900) for word in (
            f"1.3.6.1.4.1.32473.{n}.0", "s", f"value{n} with some more words behind it")))
        (_, _, text), = self.new_records()
        self.assertLess(len(text), 33 * 1024)
        self.assertRegex(text, r"\n  \.\.\. \d+ more$")
        left = int(re.search(r"(\d+) more$", text)[1])
        self.assertEqual(len(text.splitlines()) - 2 + left, 902)

    def test_who_may_send(self):
        self.receiver.send(EVENTS["lvaUpstreamUp"][0], community="private")
        user = ("-u", "noc", "-e", receivers.ENGINE_ID, "-a", "SHA-256", "-A", receivers.AUTH,
                "-x", "AES", "-X", receivers.PRIV)
        for level in "noAuthNoPriv", "authNoPriv":
            self.v3(user, level, "lvaUpstreamDown")
        self.v3(user, "authPriv", "lvaUpstreamUp")
        (_, _, text), = self.new_records()
        self.assertIn("lvaUpstreamUp", text)

    def v3(self, user, level, name):
        env = {**os.environ, "MIBS": "", "SNMP_PERSISTENT_DIR": self.place.path("sender")}
        status, out, err = harness.run(
            harness.tool("snmptrap"), "-v", "3", "-l", level, *user, f"127.0.0.1:{self.receiver.port}",
            "1", EVENTS[name][0], env=env)
        self.assertEqual(status, 0, out + err)

    def test_rotation(self):
        """The file is moved away: the next record begins a new one."""
        name = "lvaUpstreamUp"
        binds = self.binds(name, ["d", "s", "2"])
        self.receiver.send(EVENTS[name][0], *binds)
        self.new_records()
        old = self.receiver.zabbix_file + ".1"
        os.rename(self.receiver.zabbix_file, old)
        self.before = 0
        self.receiver.send(EVENTS[name][0], *binds)
        self.new_records()
        self.assertNotEqual(receivers.read(old), "")


class Trouble(unittest.TestCase):
    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        self.receiver = receivers.Receiver(self.place)

    def send(self, text):
        self.receiver.send(EVENTS["lvaDaemonReachable"][0], oid("lvaDaemonName"), "s", text,
                           oid("lvaDaemonUri"), "s", "u")

    def test_reload(self):
        """A SIGHUP for a new configuration: still one record for each notification."""
        for n in range(2):
            loaded = self.receiver.log().count("restarted")
            self.receiver.process.kill(signal.SIGHUP)
            wait_for(lambda: self.receiver.log().count("restarted") > loaded, "the reload")
            self.send(f"n{n}")
            wait_for_event(self.receiver, "lvaDaemonReachable", rf"n{n}: daemon reachable \(u\)")
            self.assertEqual(len(self.receiver.told()), n + 1)
        self.assertNotRegex(self.receiver.log(), r" at \S+ line \d+")

    def test_no_place_to_write(self):
        """The others get it nevertheless; it is said once; and works again by itself."""
        target, sent = self.place.path("target"), 0
        for times, block in enumerate((lambda path: os.symlink(target, path), os.mkfifo), 1):
            block(self.receiver.zabbix_file)
            for _ in range(3):
                self.send(f"n{sent}")
                sent += 1
            wait_for(lambda: len(self.receiver.snmptt.lines()) == sent, "snmptt")
            self.assertEqual(self.receiver.log().count("zabbix-traps.pl: "), times,
                             self.receiver.log())
            os.unlink(self.receiver.zabbix_file)
        self.assertFalse(os.path.exists(target))
        self.send("again")
        wait_for_event(self.receiver, "lvaDaemonReachable", r"again: daemon reachable \(u\)")
        self.assertEqual(len(self.receiver.told()), 1)


if __name__ == "__main__":
    unittest.main()
