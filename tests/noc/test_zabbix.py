# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a real Zabbix makes of our template, with virtadmd and virtadm-agent."""

import contextlib
import itertools
import os
import re
import threading
import time
import unittest

import harness
import receivers
import zabbix_watch
from harness import Raw, oid, open_payload
from host import PROC_CONNECT_OPEN, RELAY, shipped
from trouble import SOME, MANY, ODD, PROC_GET_TYPE, TroubledHost
from zabbix_watch import wait_for

# So that a test needs seconds where an operator wants minutes.
FAST = {"INTERVAL": "2s", "STATE.INTERVAL": "1s", "INVENTORY.INTERVAL": "5s", "LLD.INTERVAL": "5s",
        "TIME": "6s", "FULL.TIME": "6s", "DOWN.TIME": "6s", "SNMP.TIME": "30s", "CONFIG.TIME": "20s",
        "RESTART.TIME": "10m"}
LASTING = 10  # of a value, so that a trigger of 6 seconds has seen it
LATE = 2  # how much later than a notification polling can be and still have been first in Zabbix's eyes
WARN, CRIT = (f"Server libvirtd: {percent} % or more of the client limit used" for percent in (80, 95))
HIGH_BY_TRAP = "Server libvirtd: clients reach the early warning (told by trap)"
GONE = "Libvirt: the agent is gone"
SILENT = "Libvirt: SNMP does not answer"
LOST = "Libvirt: daemon unreachable"
RESTARTED = "Libvirt: daemon restarted"
CHANGED = "Libvirt: configuration changed"
TO_CONFIRM = "Libvirt: a change of the configuration waits for its confirmation"
BY_TRAP = " (told by trap)"
FULL = "Server libvirtd: client limit reached"
UPSTREAM = "Server libvirtd: upstream daemon unreachable"
UNAUTH_FULL = f"Server {MANY}: limit of unauthenticated clients reached"
BUSY, WAITING = f"Server {SOME}: all workers busy", f"Server {SOME}: jobs wait for workers"
NOTHING, USUAL = "0000", "E7C0"  # lvaNotifyEnable


class Load(threading.Thread):
    """A client that makes calls all the time."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.over = path, threading.Event()
        self.start()

    def run(self):
        while not self.over.is_set():
            try:
                with Raw(self.path, program=Raw.REMOTE) as client:
                    client.call(PROC_CONNECT_OPEN, open_payload())
                    while client.call(PROC_GET_TYPE) and not self.over.wait(0.05):
                        pass
            except OSError:
                self.over.wait(0.5)  # virtadmd is killed and comes again

    def end(self):
        self.over.set()
        self.join()


@harness.needs_root
class Zabbix(unittest.TestCase):
    """One Zabbix, and a host with virtadmd in the default context and virtadm-agent in context libvirtd,
    for each of which it has a host: kvm01, and kvm01-libvirtd. The tests follow one another."""

    @classmethod
    def setUpClass(cls):
        cls.place = cls.enterClassContext(harness.Place())
        cls.watch = watch = zabbix_watch.Watch(cls.place)
        watch.import_template()
        watch.import_template()  # the next release over it
        sink = harness.free_port()
        cls.start_trapd(sink)
        with open(shipped("snmpd", "virtadm.conf"), encoding="utf-8") as drop_in:
            snmpd = harness.Snmpd(cls.place, drop_in.read() + zabbix_watch.CREATE_USER +
                                  f"trap2sink udp:127.0.0.1:{sink} public\n")
        cls.host = TroubledHost(cls.place, snmpd)
        cls.agent = harness.Agent(cls.place, snmpd, ("libvirtd", cls.host.libvirtd.admin),
                                  snmp="context = libvirtd", notify="min_interval = 0")
        watch.add_host("kvm01", snmpd.port, zabbix_watch.v3(), {**FAST, "DAEMON": "virtadmd"})
        watch.add_host("kvm01-libvirtd", snmpd.port, zabbix_watch.v3("libvirtd"),
                       {**FAST, "DAEMON": "libvirtd"})
        # nobody is there yet
        watch.add_host("kvm02", harness.free_port(), {"version": 2, "community": "public"},
                       {**FAST, "DAEMON": "nobody"})
        cls.load = Load(cls.host.virtadmd.socket)
        cls.addClassCleanup(cls.load.end)

    @classmethod
    def start_trapd(cls, port):
        folder = receivers.install(cls.place.path("traps"))
        conf = cls.place.write("snmptrapd.conf", f"""\
outputOption n
authCommunity log,execute public
perl $Virtadm::Zabbix::file = "{cls.watch.zabbix.traps}"
perl do "{folder}/zabbix-traps.pl" or die $@ || $!
""")
        cls.trapd = cls.place.spawn("snmptrapd", [
            harness.tool("snmptrapd"), "-f", "-C", "-c", conf, "-Lo", f"udp:127.0.0.1:{port}"],
            {"MIBS": "", "SNMPCONFPATH": folder, "SNMP_PERSISTENT_DIR": folder})
        harness.wait_for(lambda: "NET-SNMP version" in cls.trapd.output(),
                         lambda: f"snmptrapd: {cls.trapd.output()}")

    def wait_for_items(self, name, *keys):
        def missing():
            items = self.watch.items(name)
            return [key for key in keys if items.get(key, {"lastclock": "0"})["lastclock"] == "0"]
        wait_for(lambda: not missing(), lambda: f"values on {name} of {missing()}; "
                 f"{self.watch.unsupported(name)}")

    def wait_for_all(self, name):
        """Nothing that cannot be read. What is calculated is not at first: a rate needs two values, and
        a mean of rates is calculated again only after an interval."""
        wait_for(lambda: not self.watch.unsupported(name),
                 lambda: f"all of {name} to be read: {self.watch.unsupported(name)}")

    def clients(self, count):
        """So many in all, with the one that makes the load."""
        wait_for(lambda: self.host.clients_now() == 1, "the load alone")
        return self.host.clients(count - 1)

    def wait_for_peace(self, name):
        """Nothing stays red."""
        self.watch.wait_for_problems(name, lambda found: not found, "no problems")

    def told(self, name):
        """How often, in the file that Zabbix reads."""
        return len(re.findall(rf"ZBXTRAP \S+ {name} ", self.place.read("zabbix-traps.log")))

    def assert_told_once(self, told, *polled):
        """After the notification polling has raised nothing of it. Before, it may have, on a machine where
        notifications take as long as triggers."""
        began = self.watch.began("kvm01")
        when = max(at for at, name in began if name == told)
        self.assertEqual([one for one in began if one[1] in polled and one[0] > when + LATE], [],
                         f"since {when}")

    def test_1_discovery(self):
        """virtadmd: all that it has gets values, and they are right."""
        self.wait_for_items(
            "kvm01", "libvirt.daemon.version", "libvirt.clients", "libvirt.log.outputs",
            *(f"libvirt.server.{column}[{server}]" for server in ("admin", "libvirtd") for column in (
                "clients", "clients.max", "clients.pused", "clients.state", "unauth.pused", "workers",
                "workers.exhausted", "queue", "jobs.rate", "jobs.run.mean", "auth.failures.rate",
                "upstream.state")),
            "libvirt.process.uptime[0]", "libvirt.config.storage[0]", "libvirt.log.emitted.rate[warning]",
            "libvirt.context.state[virtadmd]",
            f'libvirt.service.accepting["unix:{self.host.virtadmd.socket}"]')
        watch, snmpd = self.watch, self.host.snmpd
        for key, value in {
                "daemon.name": "virtadmd", "daemon.state": 1, "server.clients.max[libvirtd]": 20,
                "server.workers.max[libvirtd]": snmpd.get1("lvaServerWorkersMax", RELAY),
                "server.clients[libvirtd]": 1}.items():  # that of the load
            watch.wait_for_value("kvm01", "libvirt." + key, value)
        wait_for(lambda: float(watch.value("kvm01", "libvirt.server.jobs.rate[libvirtd]")) > 1, "load")
        self.wait_for_all("kvm01")
        watch.wait_for_problem("kvm01", RESTARTED)
        self.assertFalse([key for key in watch.items("kvm01") if "libvirt.client." in key])
        quoted = ODD.replace('"', '\\"')
        self.wait_for_items("kvm01", *(f'libvirt.server.{column}["{quoted}"]' for column in (
            "clients", "clients.pused", "workers.exhausted", "upstream.state")))
        self.assertIn(f"Server {ODD}: clients", [item["name"] for item in watch.items("kvm01").values()])

    def test_2_clients(self):
        """The rows of clients are off, as the test before has seen; switched on they have values."""
        watch = self.watch
        rule, = watch.call("discoveryrule.get", {"hostids": watch.hosts["kvm01"],
                                                 "filter": {"key_": "libvirt.client.discovery"}})
        watch.call("discoveryrule.update", {"itemid": rule["itemid"], "status": 0})
        wait_for(lambda: [item for key, item in watch.items("kvm01").items() if "client.age" in key and
                          item["lastclock"] != "0" and f"pid={os.getpid()}" in item["name"]],
                 "the client that makes the load")
        watch.call("discoveryrule.update", {"itemid": rule["itemid"], "status": 1})

    def test_2_agent(self):
        """virtadm-agent, in an SNMP context: less is there, and nothing is missing."""
        self.wait_for_items(
            "kvm01-libvirtd", "libvirt.daemon.version", "libvirt.clients", "libvirt.log.filters",
            *(f"libvirt.server.{column}[{server}]" for server in ("admin", "libvirtd") for column in (
                "clients", "clients.max", "clients.pused", "unauth.pused", "workers.exhausted")))
        watch = self.watch
        watch.wait_for_value("kvm01-libvirtd", "libvirt.daemon.name", "libvirtd")
        self.wait_for_all("kvm01-libvirtd")
        self.assertFalse([key for key in watch.items("kvm01-libvirtd")
                          if re.search(r"process|service|emitted|jobs|upstream|auth\.f", key)])
        self.wait_for_peace("kvm01-libvirtd")

    def test_3_polled(self):
        """16 of 20 clients: 80 percent, from which on it is a problem, and less than the 90 that a
        notification tells of, which takes 18."""
        with self.clients(16):
            self.watch.wait_for_problem("kvm01", WARN)
            self.watch.wait_for_value("kvm01", "libvirt.server.clients[libvirtd]", 16)
            with self.host.clients(2):
                self.watch.wait_for_problem("kvm01", HIGH_BY_TRAP)
            self.watch.wait_for_end("kvm01", HIGH_BY_TRAP)
        self.watch.wait_for_end("kvm01", WARN)

    def test_4_trap(self):
        """20 of 20: what the notification raises, polling does not raise again."""
        if "VADM_PICTURES" in os.environ:
            self.some_life()
        watch, normal = self.watch, self.told("lvaClientsNormal")
        with self.clients(20):
            watch.wait_for_problem("kvm01", FULL + BY_TRAP)
            watch.wait_for_told("kvm01", "Notifications: all of LIBVIRT-ADMIN-MIB", "lvaClientsFull")
            watch.wait_until_lasting("kvm01", "libvirt.server.clients.state[libvirtd]", 3, LASTING)
            watch.wait_until_lasting("kvm01", "libvirt.server.clients.pused[libvirtd]", 100, LASTING)
            self.pages()
            self.assert_told_once(FULL + BY_TRAP, FULL, CRIT, WARN)
        # on the way down it is "only high" for a moment; normal ends that, too, long before 15 minutes
        wait_for(lambda: self.told("lvaClientsNormal") > normal, "lvaClientsNormal")
        watch.wait_for_problems("kvm01", lambda found: not any(BY_TRAP in name for name in found),
                                "the end of what was told by trap")
        # the other daemon of the same address was not meant
        self.assertFalse([name for _, name in watch.began("kvm01-libvirtd") if BY_TRAP in name])
        self.wait_for_peace("kvm01-libvirtd")

    def test_5_agent_gone(self):
        self.host.kill_agent()
        self.watch.wait_for_problem("kvm01", GONE)
        self.watch.wait_for_value("kvm01", "libvirt.daemon.state", 0)
        self.host.restart_agent()
        self.watch.wait_for_end("kvm01", GONE)
        self.wait_for_all("kvm01")

    def test_6_daemon_gone(self):
        """A libvirtd ends and comes back: virtadm-agent has lost its daemon, virtadmd its upstream."""
        libvirtd, watch = self.host.libvirtd, self.watch
        libvirtd.process.end()
        watch.wait_for_problem("kvm01-libvirtd", LOST + BY_TRAP)
        watch.wait_for_value("kvm01-libvirtd", "libvirt.daemon.state", 2)
        watch.wait_for_problem("kvm01", UPSTREAM + BY_TRAP)
        watch.wait_until_lasting("kvm01", "libvirt.server.upstream.state[libvirtd]", 3, LASTING)
        self.assert_told_once(UPSTREAM + BY_TRAP, UPSTREAM)
        libvirtd.start()
        watch.wait_for_end("kvm01-libvirtd", LOST + BY_TRAP)
        # a value from before can be evaluated behind the notification
        watch.wait_for_end("kvm01-libvirtd", LOST)
        watch.wait_for_end("kvm01", UPSTREAM + BY_TRAP, UPSTREAM)
        self.assertFalse([name for _, name in watch.began("kvm01") if name.startswith(LOST)])

    def enable(self, what, confirm):
        """Notifications of these bits; confirm: within how many seconds that has to be confirmed."""
        status, said = self.host.snmpd.set((oid("lvaNotifyEnable"), "x", what),
                                           (oid("lvaConfigConfirmTimeout"), "u", confirm))
        self.assertEqual(status, 0, said)

    @contextlib.contextmanager
    def without_notifications(self):
        """Those of virtadmd; meanwhile a change of its configuration is not confirmed."""
        self.enable(NOTHING, confirm=3600)
        try:
            yield
        finally:
            self.enable(USUAL, confirm=0)

    def test_7_polled(self):
        """What polling tells alone, of several servers at once: no notification keeps it back."""
        watch, host = self.watch, self.host
        expected = (
            CRIT, TO_CONFIRM, UNAUTH_FULL, BUSY, f"Server {MANY}: client limit reached",
            f"Server {SOME}: 80 % or more of the limit of unauthenticated clients used",
            f"Server {SOME}: 10 or more jobs wait", f"Server {MANY}: 100 or more jobs wait",
            f"Server {ODD}: upstream daemon unreachable",
            f"Server {ODD}: more than 0.1 refused authentications per second")
        with self.without_notifications(), self.clients(19), host.silent(SOME, 8), host.silent(MANY, 5), \
                host.nobody_behind(), host.stuck({SOME: 10, MANY: 100}), host.guesses(ODD):
            watch.wait_for_problem("kvm01", *expected)
            wait_for(lambda: CHANGED in [name for _, name in watch.began("kvm01")], CHANGED)
        watch.wait_for_end("kvm01", *expected)

    def test_8_told(self):
        """What is told by notifications is not told by polling as well."""
        watch, host = self.watch, self.host
        host.guess(SOME)
        watch.wait_for_told("kvm01", f"Server {SOME}: notifications, refused authentications",
                            "lvaClientAuthFailure")
        with host.silent(MANY, 5), host.stuck({SOME: 1}):
            watch.wait_for_problem("kvm01", UNAUTH_FULL + BY_TRAP, WAITING + BY_TRAP)
            watch.wait_until_lasting("kvm01", f"libvirt.server.unauth.state[{MANY}]", 3, LASTING)
            watch.wait_until_lasting("kvm01", f"libvirt.server.workers.exhausted[{SOME}]", 1, LASTING)
            self.assert_told_once(UNAUTH_FULL + BY_TRAP, UNAUTH_FULL)
            self.assert_told_once(WAITING + BY_TRAP, BUSY)
        # as before, polling may see the end later
        watch.wait_for_end("kvm01", UNAUTH_FULL + BY_TRAP, WAITING + BY_TRAP, UNAUTH_FULL, BUSY)
        watch.set_macro("kvm01", "RESTART.TIME", "1s")
        watch.wait_for_end("kvm01", CHANGED, RESTARTED)

    def test_9_silent(self):
        """A host that does not answer at all; one problem, which ends when it does."""
        self.watch.wait_for_problem("kvm02", SILENT)
        self.assertEqual(self.watch.problems("kvm02"), {SILENT})
        self.watch.move_host("kvm02", self.host.snmpd.port)
        self.watch.wait_for_end("kvm02", SILENT)

    def some_life(self):
        """For the documentation: its graphs show some minutes."""
        until = time.monotonic() + 280
        for count in itertools.cycle((2, 5, 9, 12, 8, 14, 6, 3)):
            if time.monotonic() > until:
                break
            with self.host.clients(count):
                time.sleep(10)

    def pages(self):
        """With a server that is full: Latest data, problems and dashboard show it."""
        hostid = self.watch.hosts["kvm01"]
        period = {"from": "now-5m", "to": "now"}
        page = self.watch.look("zabbix.php", action="latest.view", **{"hostids[]": hostid}, filter_set=1,
                               name="Server libvirtd", show_details=0)
        page.wait_for_text("Server libvirtd: clients, state of the limit", "full (3)", "100 %", "workers",
                           timeout=zabbix_watch.LONG)
        self.watch.picture("zabbix-latest", 700)
        page = self.watch.look("zabbix.php", action="problem.view", **{"hostids[]": hostid}, filter_set=1,
                               show_tags=0)
        page.wait_for_text(FULL + BY_TRAP, "High", "kvm01", timeout=zabbix_watch.LONG)
        self.watch.picture("zabbix-problems", 373)
        page = self.watch.look("zabbix.php", action="host.dashboard.view", hostid=hostid, **period)
        page.wait_for_text("Libvirt daemon", "up (1)", "Server libvirtd: clients",
                           "Server libvirtd: workers and jobs that wait", timeout=zabbix_watch.LONG)
        self.watch.picture("zabbix-dashboard", 1100)


if __name__ == "__main__":
    unittest.main()
