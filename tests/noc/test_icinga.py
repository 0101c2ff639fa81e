# SPDX-License-Identifier: LGPL-2.1-or-later
"""Icinga 2, as Debian has it, watches a host with the objects and the plugin of noc/nagios."""

import contextlib
import json
import os
import socket
import unittest

from harness import Place, Snmpd, run, tool, wait_for
from host import Host, shipped
from nagios import SERVICES, STATES, documented, plugin, snmpd_v3

# What Debian's icinga2.conf has, as far as it is needed.
CONFIGURATION = """\
include <itl>
include <plugins>
const PluginDir = "{plugins}"
const NodeName = "here"
object Endpoint NodeName {{ }}
object Zone NodeName {{ endpoints = [ NodeName ] }}
object CheckerComponent "checker" {{ }}
object NotificationComponent "notification" {{ }}
object LivestatusListener "status" {{
  socket_type = "unix"
  socket_path = "{dir}/status"
}}
object User "somebody" {{ }}
object NotificationCommand "keep" {{
  command = [ "/bin/sh", "-c", "echo \\"$$0 $$1\\" >>{dir}/notified", "$service.name$",
              "$service.state$" ]
}}
apply Notification "all" to Service {{
  command = "keep"
  users = [ "somebody" ]
  interval = 0
  assign where true
}}
template Host "generic-host" {{
  check_command = "dummy"
}}
{host}
object Host "kvm02" {{
  check_command = "dummy"
  address = "127.0.0.1"
}}
include "{shipped}"
"""
COLUMNS = ("description", "state", "state_type", "has_been_checked", "perf_data", "plugin_output")


class Icinga:
    """A minute has two seconds."""

    def __init__(self, place, port):
        self.place = place
        self.dir = place.path("icinga")
        for name in ("data", "cache", "log", "spool", "run"):
            os.makedirs(os.path.join(self.dir, name))
        with open(shipped("nagios", "virtadm.conf"), encoding="utf-8") as objects:
            quick = place.write("virtadm.conf", objects.read().replace(" = 1m\n", " = 2s\n"))
        self.conf = place.write("icinga2.conf", CONFIGURATION.format(
            plugins=os.path.dirname(plugin(place)), dir=self.dir, shipped=quick,
            host=documented('object Host "kvm01" {',
                            f"vars.snmp_port = {port}\nvars.virtadm_queue_warn = 7")))
        # as whoever runs this
        user, group = (run("id", option)[1].strip() for option in ("-un", "-gn"))
        constants = {"DataDir": "data", "CacheDir": "cache", "LogDir": "log", "SpoolDir": "spool",
                     "InitRunDir": "run"}
        defined = [f"{name}={self.dir}/{folder}" for name, folder in constants.items()]
        defined += [f"RunAsUser={user}", f"RunAsGroup={group}"]
        self.argv = [tool("icinga2"), "daemon", "-c", self.conf,
                     *(word for value in defined for word in ("-D", value))]

    def verify(self):
        """What icinga2 daemon -C says to the configuration: (status, text)."""
        status, out, err = run(*self.argv, "-C", timeout=120)
        return status, out + err

    def start(self):
        self.process = self.place.spawn("icinga2", self.argv)

    def status(self):
        """{service: {column: value}}, asked by Livestatus: what all releases since 2.13 have."""
        with contextlib.suppress(FileNotFoundError, ConnectionError, json.JSONDecodeError), \
                socket.socket(socket.AF_UNIX) as asked:
            asked.settimeout(30)
            asked.connect(os.path.join(self.dir, "status"))
            asked.sendall(b"GET services\nColumns: " + " ".join(COLUMNS).encode() +
                          b"\nOutputFormat: json\n\n")
            rows = json.loads(b"".join(iter(lambda: asked.recv(65536), b"")))
            return {row[0].removeprefix("libvirt "): dict(zip(COLUMNS, row)) for row in rows}
        return {}

    def notified(self):
        with contextlib.suppress(FileNotFoundError):
            return self.place.read("icinga/notified").replace("libvirt ", "").splitlines()
        return []

    def wait_for_hard(self, **states):
        def hard():
            return {name: STATES[str(row["state"])] for name, row in self.status().items()
                    if row["has_been_checked"] and row["state_type"]}
        wait_for(lambda: states.items() <= hard().items(),
                 lambda: f"{states}: {hard()} {self.status()}\n{self.process.output()[-3000:]}", 180)


class Watched(unittest.TestCase):
    def test_hard_states_and_back(self):
        with Place() as place:
            host = Host(place, snmpd=Snmpd(place, snmpd_v3()))
            icinga = Icinga(place, host.snmpd.port)
            status, text = icinga.verify()
            self.assertEqual(status, 0, text)
            self.assertIn("Instantiated 9 Services.", text)
            self.assertNotIn("warning/config", text.lower())
            icinga.start()
            icinga.wait_for_hard(**{name: "OK" for name in SERVICES})
            for service, expected in (("queue", "libvirtd_queue=0;7;100;0"),
                                      ("clients", "libvirtd_clients=0;14;19;0;20")):
                self.assertIn(expected, icinga.status()[service]["perf_data"].split())
            wait_for(lambda: "libvirtd_refused_rate=0;0.1" in
                     icinga.status()["authentication"]["perf_data"],
                     lambda: f"a rate: {icinga.status()['authentication']}", 60)
            with host.clients(20):
                icinga.wait_for_hard(clients="CRITICAL", full="CRITICAL")
            icinga.wait_for_hard(clients="OK", full="OK")
            self.gone(host, icinga)

    def gone(self, host, icinga):
        wait_for(lambda: "full OK" in icinga.notified() and "clients OK" in icinga.notified(),
                 icinga.notified)
        already = len(icinga.notified())
        host.kill_agent()
        icinga.wait_for_hard(agent="CRITICAL",
                             **{name: "UNKNOWN" for name in SERVICES if name != "agent"})
        host.restart_agent()
        icinga.wait_for_hard(**{name: "OK" for name in SERVICES})
        wait_for(lambda: "agent OK" in icinga.notified()[already:], icinga.notified)
        told = icinga.notified()[already:]
        self.assertEqual(told.count("agent CRITICAL"), 1, told)
        # the others are not told about. Those with two attempts may come to their HARD state before
        # the agent is looked at, on a machine that is late with everything.
        self.assertFalse([line for line in told if "UNKNOWN" in line and
                          not line.startswith(("daemons", "full", "configuration"))], told)


if __name__ == "__main__":
    unittest.main()
