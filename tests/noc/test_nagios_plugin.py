# SPDX-License-Identifier: LGPL-2.1-or-later
"""check_virtadm: thresholds and odd answers with tools of net-snmp that say what they are told to;
contexts, names and silence with the real ones."""

import contextlib
import os
import re
import signal
import socket
import threading
import unittest

import harness
from harness import Agent, Helper, Libvirtd, Place, Snmpd, Virtadmd, in_context, oid, run, wait_for
from nagios import AUTH, PRIV, USER, plugin, snmpd_v3

OK, WARNING, CRITICAL, UNKNOWN = range(4)
TEXT = re.compile(r"^VIRTADM(?: [A-Z]+)? (OK|WARNING|CRITICAL|UNKNOWN) - ([^|\n]+?)(?: \| (.*))?\n$")
PLUGINS = "/usr/lib/nagios/plugins"
MODES = ("agent", "daemons", "clients", "full", "unauth", "workers", "queue", "auth", "config")

# A tool that prints the file of its context and of the first object asked for, and keeps what it was
# called with.
FAKE = """\
#!/bin/sh
printf '%s\\n' "$0 $*" >>{dir}/calls
context=
while [ $# -gt 0 ]; do
    [ "$1" = -n ] && context=$2
    case "$1" in
    udp*)
        host=$1
        first=$2
        break
        ;;
    esac
    shift
done
file={dir}/$context-$first
if [ ! -e "$file" ]; then
    echo "Timeout: No Response from $host" >&2
    exit 1
fi
cat "$file"
[ ! -e "$file.hangs" ] || exec sleep 1000
[ ! -e "$file.fails" ]
"""


def octets(text):
    """A string as -Ox prints it: sixteen octets in a line."""
    data = text if isinstance(text, bytes) else text.encode()
    lines = [" ".join(f"{octet:02X}" for octet in data[at:at + 16]) + " "
             for at in range(0, len(data), 16)]
    return "Hex-STRING: " + "\n".join(lines) if data else '""'


def shown(value):
    if isinstance(value, (str, bytes)):
        return octets(value)
    return "No Such Instance currently exists at this OID" if value is None else f"Gauge32: {value}"


class Case(unittest.TestCase):
    def check(self, *args, env=None):
        """Runs the plugin; returns status, text and performance data as {label: rest}. Whatever happens
        it prints one line that belongs to its status."""
        status, out, err = run(self.plugin, *args, env=env)
        self.assertEqual(err, "")
        found = TEXT.match(out)
        self.assertTrue(found, out)
        self.assertEqual(("OK", "WARNING", "CRITICAL", "UNKNOWN").index(found[1]), status, out)
        parts = [part.split("=", 1) for part in (found[3] or "").split(" ") if part]
        perf = dict(parts)
        self.assertEqual(len(perf), len(parts), out)
        for label, value in perf.items():
            self.assertRegex(label, r"^[\w.-]+$", out)
            self.assertRegex(value, r"^[\d.]+[cs]?(;[\d.]*){0,4}$", out)
        return status, found[2], perf


class Told(Case):
    """With tools that say what they are told to."""

    def setUp(self):
        self.place = Place()
        self.addCleanup(self.place.close)
        self.plugin = plugin(self.place)
        self.tools = self.place.path("tools")
        os.makedirs(self.tools)
        for name in ("snmpget", "snmpbulkwalk"):
            path = self.place.write(f"tools/{name}", FAKE.format(dir=self.tools))
            os.chmod(path, 0o755)

    def says(self, first, text, context=""):
        data = text if isinstance(text, bytes) else text.encode()
        with open(os.path.join(self.tools, f"{context}-{first}"), "wb") as out:
            out.write(data)

    def agent(self, context="", name="virtadmd", state=1, uptime=1000, generation=1, origin=1):
        scalars = {"lvaDaemonName": name, "lvaDaemonUri": "libvirt:" + (context or name),
                   "lvaDaemonState": state, "lvaDaemonUpTime": uptime, "lvaDaemonVersion": "1.0",
                   "lvaServerNumber": 1, "lvaClientNumber": 5}
        self.says(oid("lvaDaemonName"), self.lines(
            {oid(key): value for key, value in scalars.items()}), context)
        self.says(oid("lvaConfigGeneration"), self.lines(
            {oid("lvaConfigGeneration"): generation, oid("lvaConfigLastOrigin"): origin}), context)

    @staticmethod
    def lines(values):
        return "".join(f".{name} = {shown(value)}\n" for name, value in values.items())

    def contexts(self, *rows):
        """(name, state), ..."""
        values = {}
        for name, state in rows:
            index = (len(name), *name.encode())
            values[oid("lvaContextUri", *index)] = "libvirt:" + name
            values[oid("lvaContextState", *index)] = state
        self.says(harness.OIDS["lvaContextTable"], self.lines(values))

    @staticmethod
    def server(name="libvirtd", **columns):
        usual = {"WorkersMin": 2, "WorkersMax": 4, "WorkersPriority": 1, "WorkersCurrent": 2,
                 "WorkersFree": 2, "JobQueueDepth": 0, "ClientsMax": 100, "ClientsCurrent": 5,
                 "ClientsUnauthMax": 20, "ClientsUnauthCurrent": 0, "ClientsHighPercent": 90,
                 "ClientsState": 1, "ClientsUnauthState": 1, "ClientsFullEvents": 0,
                 "AuthFailures": 0, "UpstreamState": 2}
        return {"Name": name, **usual, **columns}

    def servers(self, *rows, context=""):
        """Rows get the indexes from 2 on; a column that is None is not there."""
        values = {oid("lvaServer" + key, number): value
                  for number, row in enumerate(rows, 2)
                  for key, value in row.items() if value is not None}
        self.says(harness.OIDS["lvaServerTable"], self.lines(values), context)

    def all(self, *rows):
        self.agent()
        self.contexts(("virtadmd", 1))
        self.servers(*rows)

    def ask(self, mode, *args, host="host.example"):
        env = {**os.environ, "PATH": self.tools + ":/usr/bin:/bin"}
        return self.check("-H", host, "-m", mode, *args, env=env)

    def one(self, mode, *args, **columns):
        self.all(self.server(**columns))
        return self.ask(mode, *args)

    def calls(self):
        return self.place.read("tools/calls")

    def test_percent(self):
        for current, limit, state in ((0, 100, OK), (79, 100, OK), (80, 100, WARNING),
                                      (94, 100, WARNING), (95, 100, CRITICAL), (15, 20, OK),
                                      (16, 20, WARNING), (19, 20, CRITICAL), (2, 3, OK),
                                      (3, 3, CRITICAL), (7, 3, CRITICAL), (0, 1, OK),
                                      (1, 1, CRITICAL), (799999, 1000000, OK),
                                      (800000, 1000000, WARNING)):
            got = self.one("clients", ClientsCurrent=current, ClientsMax=limit)
            self.assertEqual(got[0], state, got)
            self.assertIn(f"libvirtd {current} of {limit} (", got[1])
        self.assertEqual(got[2], {"libvirtd_clients": "800000;800000;950000;0;1000000"})
        got = self.one("clients", ClientsCurrent=1, ClientsMax=3)
        self.assertEqual(got, (OK, "libvirtd 1 of 3 (33.3%)", {"libvirtd_clients": "1;3;3;0;3"}))

    def test_no_limit(self):
        """Nothing is divided by zero."""
        got = self.one("clients", ClientsMax=0, ClientsState=3)
        self.assertEqual(got, (OK, "libvirtd 5 (no further one is let in)",
                               {"libvirtd_clients": "5;;;0;0"}))
        self.assertEqual(self.one("full", ClientsMax=0, ClientsState=3)[0], CRITICAL)
        got = self.one("unauth", ClientsUnauthMax=0, ClientsUnauthCurrent=7)
        self.assertEqual(got, (OK, "libvirtd 7 (no limit)", {"libvirtd_unauth": "7;;;0"}))
        self.assertEqual(self.one("workers", WorkersMax=0, WorkersCurrent=0, WorkersFree=0)[0], OK)

    def test_states(self):
        for mode, columns, state in (
                ("full", {"ClientsState": 2}, OK), ("full", {"ClientsState": 3}, CRITICAL),
                ("unauth", {"ClientsUnauthCurrent": 15}, OK),
                ("unauth", {"ClientsUnauthCurrent": 16}, WARNING),
                ("unauth", {"ClientsUnauthCurrent": 20}, WARNING),
                ("unauth", {"ClientsUnauthCurrent": 19, "ClientsUnauthState": 3}, CRITICAL),
                ("workers", {"WorkersCurrent": 4, "WorkersFree": 1}, OK),
                ("workers", {"WorkersCurrent": 2, "WorkersFree": 0}, OK),
                ("workers", {"WorkersCurrent": 4, "WorkersFree": 0}, WARNING),
                ("workers", {"WorkersCurrent": 9, "WorkersFree": 0}, WARNING),
                ("queue", {"JobQueueDepth": 9}, OK), ("queue", {"JobQueueDepth": 10}, WARNING),
                ("queue", {"JobQueueDepth": 99}, WARNING),
                ("queue", {"JobQueueDepth": 100}, CRITICAL),
                ("daemons", {"UpstreamState": 1}, OK), ("daemons", {"UpstreamState": 2}, OK),
                ("daemons", {"UpstreamState": 3}, CRITICAL)):
            got = self.one(mode, **columns)
            self.assertEqual(got[0], state, (mode, columns, got))

    def test_thresholds(self):
        for args, state in ((("-w", "5", "-c", "6"), WARNING), (("-w", "4", "-c", "5"), CRITICAL),
                            (("-w", "off", "-c", "off"), OK), (("-w", "off", "-c", "5"), CRITICAL),
                            (("-w", "4.9"), WARNING), (("-w", "5.1"), OK), (("-w", ""), OK),
                            (("-w", "$_HOSTVIRTADM_CLIENTS_WARN$"), OK),
                            (("-w", "5%"), UNKNOWN), (("-w", "-1"), UNKNOWN), (("-c", "x"), UNKNOWN),
                            (("-w", "1e3"), UNKNOWN)):
            self.assertEqual(self.one("clients", *args)[0], state, args)
        self.assertEqual(self.one("clients", "-w", "off", "-c", "off")[2],
                         {"libvirtd_clients": "5;;;0;100"})
        self.assertEqual(self.one("queue", "-w", "1", JobQueueDepth=1)[2],
                         {"libvirtd_queue": "1;1;100;0"})

    def test_worst_first(self):
        self.all(self.server("a"), self.server("b", ClientsCurrent=85),
                 self.server("c", ClientsCurrent=99))
        got = self.ask("clients")
        self.assertEqual(got[:2], (CRITICAL, "c 99 of 100 (99%), b 85 of 100 (85%), a 5 of 100 (5%)"))
        self.assertEqual(list(got[2]), ["a_clients", "b_clients", "c_clients"])
        self.assertEqual(self.ask("clients", "-s", "b", "-s", "a")[0], WARNING)
        self.assertEqual(self.ask("clients", "-s", "")[0], CRITICAL)
        self.assertEqual(self.ask("clients", "-s", "d")[:2], (UNKNOWN, "no server is called d"))

    def test_rate(self):
        for last, now, uptime, state, rate in (
                ("", 7, 1000, OK, None),
                ("libvirtd_refused=1c libvirtd_uptime=940s", 7, 1000, OK, "0.1;0.1;;0"),
                ("libvirtd_refused=1c libvirtd_uptime=941s", 7, 1000, WARNING, "0.102;0.1;;0"),
                ("libvirtd_refused=1c libvirtd_uptime=939s", 7, 1000, OK, "0.098;0.1;;0"),
                ("libvirtd_refused=7c libvirtd_uptime=999s x=1", 7, 1000, OK, "0;0.1;;0"),
                ("a=1;2;3 libvirtd_refused=1c;; libvirtd_uptime=999s", 20001, 1000, WARNING,
                 "20000;0.1;;0"),
                # it wraps around
                ("libvirtd_refused=4294967295c libvirtd_uptime=990s", 9, 1000, WARNING,
                 "1;0.1;;0"),
                # twice in a second; a restart in between; another server of a longer name
                ("libvirtd_refused=1c libvirtd_uptime=1000s", 7, 1000, OK, None),
                ("libvirtd_refused=1c libvirtd_uptime=5000s", 7, 1000, OK, None),
                ("xlibvirtd_refused=1c xlibvirtd_uptime=940s", 7, 1000, OK, None),
                ("xlibvirtd_refused=1c libvirtd_uptime=940s", 7, 1000, OK, None),
                ("libvirtd_refused=c libvirtd_uptime=s", 7, 1000, OK, None),
                ("$SERVICEPERFDATA$", 7, 1000, OK, None)):
            self.agent(uptime=uptime)
            self.contexts(("virtadmd", 1))
            self.servers(self.server(AuthFailures=now))
            got = self.ask("auth", "--last", last)
            self.assertEqual(got[0], state, (last, got))
            self.assertEqual(got[2].get("libvirtd_refused_rate"), rate, got)
            self.assertEqual(got[2]["libvirtd_refused"], f"{now}c")

    def test_odd_names(self):
        names = ["a|b", "a b", "it's \"quoted\"", "two\nlines\r", "$(id) `id` $USER1$;", "gr\u00fc\u00df",
                 b"\xff\xfe\x00\x01", "=;=", "", "x" * 255, "<b>",
                 "\x9b31m", "\u202ekcab"]
        self.all(*(self.server(name) for name in names))
        for mode in ("clients", "full", "unauth", "workers", "queue", "daemons", "auth"):
            status, text, perf = self.ask(mode)
            self.assertEqual(status, OK)
            self.assertNotRegex(text, "[\n\x00-\x1f\x80-\x9f\u202a-\u202e]")
            self.assertGreaterEqual(len(perf), len(names))
        text, perf = self.ask("clients")[1:]
        for name in ("it's \"quoted\"", "gr\u00fc\u00df", "x" * 255, "a b"):
            self.assertIn(name, text)
        self.assertEqual(list(perf)[:3], ["a_b_clients", "a_b_3_clients", "it_s__quoted__clients"])
        self.assertEqual(self.ask("clients", "-s", "a|b")[2], {"a_b_clients": "5;80;95;0;100"})

    def test_without_what_stock_daemons_cannot_tell(self):
        absent = {key: None for key in ("AuthFailures", "UpstreamState")}
        self.agent(uptime=None)
        self.contexts(("libvirtd", 1))
        self.servers(self.server(**absent))
        for mode in MODES:
            self.assertEqual(self.ask(mode)[0], OK, mode)
        self.assertEqual(self.ask("auth")[1], "this agent cannot know")

    def test_missing(self):
        """What every agent has and is not there is never OK."""
        for column in ("Name", "WorkersMax", "WorkersFree", "JobQueueDepth", "ClientsMax",
                       "ClientsCurrent", "ClientsState", "ClientsUnauthMax"):
            got = self.one("clients", **{column: None})
            self.assertEqual(got[:2], (UNKNOWN, f"virtadmd: server 2: lvaServer{column} is missing, "
                                                "or not what it should be"))
        self.all()
        self.assertEqual(self.ask("clients")[:2], (UNKNOWN, "the agent lists no servers"))

    def test_garbage(self):
        """From the network, from a tool, from an agent: none of it is OK, none of it breaks the line."""
        first, table = oid("lvaDaemonName"), harness.OIDS["lvaServerTable"]
        good = self.lines({oid("lvaDaemonName"): "virtadmd", oid("lvaDaemonState"): 1})
        junk = ("", "\n", "|||\n=\n= =\n", "\x00\xff\n".encode("latin-1"), "." * 5000,
                f".{first} = \n", f".{first} = Wrong Type (should be INTEGER): OID: .1.3\n",
                good.replace("32: 1", "32: -1"), good.replace("32: 1", "32: " + "1" * 30),
                f".{oid('lvaDaemonState')} = STRING: \"up\"\n",
                f".{first} = No Such Object available on this agent at this OID\n",
                "Error in packet\nReason: authorizationError (access denied to that object)\n")
        for text in junk:
            self.says(first, text)
            self.assertEqual(self.ask("agent")[0], CRITICAL, text)
            self.assertEqual(self.ask("clients")[0], UNKNOWN, text)
        rows = self.lines({oid("lvaServerName", 2): "x", oid("lvaServerClientsMax", 2): 5})
        for text in (*junk, rows, rows.replace("5", "five"), rows.replace("5", "-5"),
                     f".{table} = No Such Object available on this agent at this OID\n",
                     f".{table}.1.999.1 = INTEGER: 1\n.{table}.1.2.x = INTEGER: 1\n"):
            self.says(first, good)
            self.contexts(("virtadmd", 1))
            self.says(table, text)
            self.assertEqual(self.ask("clients")[0], UNKNOWN, text)

    def test_failing_tool(self):
        self.all(self.server())
        self.says(f"{oid('lvaDaemonName')}.fails", "")
        self.assertEqual(self.ask("agent")[0], CRITICAL)
        self.assertEqual(self.ask("clients")[0], UNKNOWN)

    def test_no_tool(self):
        env = {**os.environ, "PATH": self.place.path("nowhere")}
        for mode, status in (("agent", CRITICAL), ("clients", UNKNOWN)):
            got = self.check("-H", "h", "-m", mode, env=env)
            self.assertEqual(got[0], status)
            self.assertIn("snmpget: No such file or directory (package snmp)", got[1])

    def test_hanging_tool(self):
        self.all(self.server())
        self.says(f"{oid('lvaDaemonName')}.hangs", "")
        with open(self.plugin, encoding="utf-8") as source:
            text = source.read()
        self.assertIn("alarm 45;", text)
        self.plugin = self.place.write("plugins/hasty", text.replace("alarm 45;", "alarm 1;"))
        os.chmod(self.plugin, 0o755)
        self.assertEqual(self.ask("agent")[0], CRITICAL)
        self.assertEqual(self.ask("clients")[0], UNKNOWN)

    def test_endless_answers(self):
        """do not fill the memory: the tool that brings them is ended."""
        self.all(self.server())
        path = self.place.write("tools/snmpbulkwalk", "#!/bin/sh\nexec yes '.1.3.6.1 = Gauge32: 1'\n")
        os.chmod(path, 0o755)
        status, text, _ = self.ask("clients")
        self.assertEqual(status, UNKNOWN)
        self.assertIn("do not end", text)

    def test_usage(self):
        self.all(self.server())
        env = {**os.environ, "PATH": self.tools + ":/usr/bin:/bin"}
        for args in ((), ("-H", "h"), ("-m", "agent"), ("-H", "h", "-m", "nope"), ("-H", "h", "-m"),
                     ("-H", "h", "-m", "agent", "more"), ("-H", "-V", "-m", "agent"),
                     ("-H", "a b", "-m", "agent"), ("-H", "h", "-m", "agent", "-p", "x"),
                     ("-H", "h", "-m", "agent", "-t", "0"), ("-H", "h", "-m", "agent", "--nope"),
                     ("-H", "h", "-m", "$_SERVICEMODE$")):
            self.assertEqual(self.check(*args, env=env)[0], UNKNOWN, args)
        self.assertFalse(os.path.exists(os.path.join(self.tools, "calls")))
        status, out, _ = run(self.plugin, "-h")
        self.assertEqual(status, 0)
        for mode in MODES:
            self.assertRegex(out, f"(?m)^  {mode} ")

    def test_credentials(self):
        self.all(self.server())
        self.ask("agent", "-C", "secret", "-U", "", "-A", "$_HOSTSNMPAUTHPASS$", "-p", "")
        self.assertIn("-v 2c -c secret udp:host.example:161 ", self.calls())
        self.ask("agent", "-C", "public", "-U", "noc", "-A", "a1", "-X", "x1", "-p", "1161", "-t", "3",
                 "-e", "0", host="2001:db8::1")
        self.assertIn("-t 3 -r 0 -v 3 -u noc -l authPriv -a SHA-256 -A a1 -x AES -X x1 "
                      "udp6:[2001:db8::1]:1161 ", self.calls())
        self.ask("agent", "-U", "noc", "-L", "authNoPriv", "-a", "SHA", "-A", "a1")
        self.assertIn("-v 3 -u noc -l authNoPriv -a SHA -A a1 udp:", self.calls())
        self.ask("agent", "-U", "noc")
        self.assertIn("-v 3 -u noc -l authPriv udp:", self.calls())
        self.ask("agent")
        self.assertRegex(self.calls(), r"-r 1 udp:host.example:161 [\d. ]+\n$")

    def test_daemons(self):
        """One is unreachable, one does not answer in its context: neither hides the other."""
        self.agent(name="virtqemud")
        self.contexts(("virtqemud", 1), ("virtlogd", 1), ("virtlockd", 2), ("gone", 1))
        self.servers(self.server("admin"), self.server("virtqemud"))
        self.agent("virtlogd", name="virtlogd")
        self.servers(self.server("admin", ClientsCurrent=90), self.server("virtlogd"),
                     context="virtlogd")
        # by communities the others cannot be asked
        status, text, perf = self.ask("daemons", "-C", "public")
        self.assertEqual(status, CRITICAL)
        self.assertTrue(text.startswith("virtlockd unreachable, "), text)
        self.assertEqual([label for label in perf if label.endswith("_up")],
                         ["virtqemud_up", "gone_up", "virtlockd_up", "virtlogd_up"])
        self.assertEqual(perf["virtlockd_up"], "0;;;0;1")
        status, text, perf = self.ask("clients", "-C", "public")
        self.assertEqual((status, list(perf)), (UNKNOWN, ["admin_clients", "virtqemud_clients"]))
        # by a user they can
        self.says("1.3.6.1.2.1.1.3.0", "")
        status, text, perf = self.ask("clients", "-U", "noc")
        self.assertEqual(status, WARNING)
        self.assertEqual(list(perf), ["admin_clients", "virtqemud_clients", "virtlogd_admin_clients",
                                      "virtlogd_clients"])
        self.assertTrue(text.startswith("virtlogd/admin 90 of 100 (90%), "), text)
        self.assertIn("virtlockd is unreachable for the agent", text)
        self.assertIn("gone: snmpd answers, but nobody serves the context gone", text)
        self.assertEqual(self.ask("daemons", "-U", "noc")[0], CRITICAL)
        self.assertEqual(self.ask("clients", "-U", "noc", "-N", "virtlogd")[0], WARNING)
        self.assertEqual(self.ask("agent", "-U", "noc", "-N", "gone")[0], CRITICAL)
        status, text, perf = self.ask("config", "-U", "noc")
        self.assertEqual((status, list(perf)),
                         (UNKNOWN, ["virtqemud_generation", "virtlogd_generation"]))

    def test_configuration(self):
        self.all(self.server())
        first = self.ask("config")
        self.assertEqual(first[:2], (OK, "virtadmd generation 1 by startup"))
        self.agent(generation=2, origin=3)
        self.assertEqual(self.ask("config"), (OK, "virtadmd generation 2 by snmp",
                                              {"virtadmd_generation": "2;;;0"}))
        self.agent(generation=2, origin=77)
        self.assertEqual(self.ask("config")[1], "virtadmd generation 2 by unknown")


@contextlib.contextmanager
def answers(payload):
    """A port where each datagram is answered by the payload, or not at all."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(0.1)
        over = threading.Event()

        def serve():
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    peer = sock.recvfrom(65536)[1]
                    if payload is not None:
                        sock.sendto(payload, peer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield sock.getsockname()[1]
        over.set()
        thread.join()


class Real(Case):
    """With the tools, snmpd and agents themselves."""

    V3 = ("-U", USER, "-A", AUTH, "-X", PRIV)

    def setUp(self):
        self.place = Place()
        self.addCleanup(self.place.close)
        self.plugin = plugin(self.place)

    def ask(self, port, mode, *args):
        env = {**os.environ, "SNMPCONFPATH": self.place.dir}
        return self.check("-H", "127.0.0.1", "-p", str(port), "-t", "5", "-e", "1", "-m", mode, *args,
                          env=env)

    def test_silence_and_garbage(self):
        for payload in (None, b"", b"\x30", os.urandom(40), b"\x30\x82\xff\xff" + bytes(100)):
            with answers(payload) as port:
                for mode, status, how in (("agent", CRITICAL, self.V3),
                                          ("clients", UNKNOWN, ("-C", "public"))):
                    got = self.ask(port, mode, "-t", "1", "-e", "0", *how)
                    self.assertEqual(got[:2], (status, "SNMP does not answer"), payload)

    def test_local(self):
        """virtadmd, whose servers have odd names."""
        snmpd = Snmpd(self.place, snmpd_v3())
        libvirtd = Libvirtd(self.place)
        long = "a name of more than sixteen octets"
        virtadmd = Virtadmd(self.place, libvirtd, snmpd, extra=f"""
[server a|b's]
index = 7
program = relay
upstream = unix:{libvirtd.socket}
listen = unix:odd-sock
max_clients = 0
max_anonymous_clients = 0
[server {long}]
index = 8
program = relay
upstream = unix:{libvirtd.socket}
listen = unix:long-sock
max_clients = 10
max_anonymous_clients = 0
""")
        for how in (self.V3, ("-C", "public")):
            for mode in MODES:
                got = self.ask(snmpd.port, mode, *how)
                self.assertEqual(got[0], CRITICAL if mode == "full" else OK, got)
        status, text, perf = self.ask(snmpd.port, "clients", *self.V3)
        self.assertIn(f"a b's 0 (no further one is let in), {long} 0 of 10 (0%)", text)
        self.assertEqual(list(perf)[2:], ["a_b_s_clients", long.replace(" ", "_") + "_clients"])
        self.assertEqual(self.ask(snmpd.port, "full", *self.V3, "-s", long)[0], OK)
        self.refused(snmpd)
        self.by_configuration(snmpd)
        self.hangs(snmpd, virtadmd)
        self.without_the_plugin(snmpd, virtadmd)

    def refused(self, snmpd):
        for how, why in ((("-U", USER, "-A", AUTH + "x", "-X", PRIV), "Authentication failure"),
                         (("-U", "nobody", "-A", AUTH, "-X", PRIV), "Unknown user name"),
                         (("-U", USER, "-A", "short", "-X", PRIV), "passphrase chosen is below"),
                         (("-U", USER, "-L", "noAuthNoPriv"), "authorizationError"),
                         (("-U", USER, "-a", "NOPE", "-A", AUTH), "nvalid authentication protocol")):
            for mode, status in (("agent", CRITICAL), ("clients", UNKNOWN)):
                got = self.ask(snmpd.port, mode, *how)
                self.assertEqual(got[0], status)
                self.assertIn(why, got[1])
                self.assertNotIn(AUTH, got[1])

    def by_configuration(self, snmpd):
        """Secrets in snmp.conf, none in any command line; and settings there that change output."""
        self.place.write("snmp.conf", f"""\
defVersion 3
defSecurityName {USER}
defSecurityLevel authPriv
defAuthType SHA-256
defAuthPassphrase {AUTH}
defPrivType AES
defPrivPassphrase {PRIV}
quickPrinting yes
printNumericEnums yes
mibs +ALL
""")
        expected = "admin 0 of 50 (0%), libvirtd 0 of 5000 (0%), a b's 0"
        for how in ((), ("-U", USER)):
            got = self.ask(snmpd.port, "clients", *how)
            self.assertEqual(got[0], OK)
            self.assertTrue(got[1].startswith(expected), got[1])

    def hangs(self, snmpd, virtadmd):
        """A stopped subagent costs one request two seconds, and is CRITICAL until it goes on."""
        virtadmd.process.kill(signal.SIGSTOP)
        for mode, status in (("agent", CRITICAL), ("clients", UNKNOWN), ("agent", CRITICAL)):
            self.assertEqual(self.ask(snmpd.port, mode, *self.V3)[0], status)
        virtadmd.process.kill(signal.SIGCONT)
        wait_for(snmpd.has_agent, "the subagent to be back", 60)
        self.assertEqual(self.ask(snmpd.port, "agent", *self.V3)[0], OK)

    def without_the_plugin(self, snmpd, virtadmd):
        """The commands of the documentation: a subagent that is gone is CRITICAL."""
        with open(os.path.join(harness.SOURCE, "docs", "nagios.md"), encoding="utf-8") as page:
            commands = re.findall(r"^    (negate .*)$", page.read(), re.M)
        self.assertEqual(len(commands), 2)
        for shown, ours in (("192.0.2.10", f"127.0.0.1 -p {snmpd.port}"), ("AUTHPASSWORD", AUTH),
                            ("PRIVPASSWORD", PRIV), ("1.3.6.1.4.1.8072.9999.9999.6906",
                                                     harness.ROOT_OID),
                            ("negate", f"{PLUGINS}/negate"),
                            ("check_snmp", f"{PLUGINS}/check_snmp")):
            commands = [command.replace(shown, ours) for command in commands]
        for command, label in zip(commands, ("daemon_state=1;", "clients_state=1;")):
            status, out, _ = run(*command.split())
            self.assertEqual(status, OK, out)
            self.assertIn(label, out)
        virtadmd.stop()
        wait_for(lambda: not snmpd.has_agent(), "snmpd to notice")
        for command in commands:
            status, out, _ = run(*command.split())
            self.assertEqual(status, CRITICAL, out)

    def test_beside_stock_daemons(self):
        """virtadm-agent with two daemons; then one daemon, then the agent is gone."""
        snmpd = Snmpd(self.place, snmpd_v3(), contexts=["virtlogd"])
        libvirtd, virtlogd = Libvirtd(self.place), Helper(self.place)
        agent = Agent(self.place, snmpd, ("libvirtd", libvirtd.admin), ("virtlogd", virtlogd.admin))
        agent.wait_for_state("up")
        agent.wait_for_state("up", community=in_context("virtlogd"))
        for how in (self.V3, ("-C", "public"), (*self.V3, "-N", "virtlogd"),
                    ("-C", in_context("virtlogd"))):
            for mode in MODES:
                got = self.ask(snmpd.port, mode, *how)
                self.assertEqual(got[0], OK, got)
        perf = self.ask(snmpd.port, "clients", *self.V3)[2]
        self.assertEqual(list(perf), ["admin_clients", "libvirtd_clients", "virtlogd_admin_clients",
                                      "virtlogd_clients"])
        self.assertEqual(self.ask(snmpd.port, "agent", *self.V3, "-N", "nope", "-t", "1", "-e", "0")[0],
                         CRITICAL)
        virtlogd.process.kill(9)
        virtlogd.process.wait()
        agent.wait_for_state("unreachable", community=in_context("virtlogd"))
        for how in (self.V3, ("-C", "public"), ("-C", in_context("virtlogd"))):
            self.assertEqual(self.ask(snmpd.port, "daemons", *how)[0], CRITICAL, how)
            self.assertEqual(self.ask(snmpd.port, "clients", *how)[0], UNKNOWN, how)
        self.assertEqual(agent.stop(), 0)
        wait_for(lambda: not snmpd.has_agent(), "snmpd to notice")
        for how in (self.V3, ("-C", "public"), (*self.V3, "-N", "virtlogd"),
                    ("-C", in_context("virtlogd"))):
            short = (*how, "-t", "1", "-e", "0")
            for mode in MODES if how == self.V3 else ("agent", "clients"):
                status = CRITICAL if mode == "agent" else UNKNOWN
                self.assertEqual(self.ask(snmpd.port, mode, *short)[0], status, (mode, how))


if __name__ == "__main__":
    unittest.main()
