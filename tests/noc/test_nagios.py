# SPDX-License-Identifier: LGPL-2.1-or-later
"""Nagios 4, as Debian has it, watches a host with the objects and the plugin of noc/nagios: alarms come
to a HARD state and go, and a subagent that is gone is CRITICAL."""

import contextlib
import os
import signal
import subprocess
import unittest

from browser import Browser
from harness import Place, Raw, Snmpd, oid, open_payload, wait_for
from host import PROC_CONNECT_OPEN, Host
from nagios import SERVICES, Nagios, Pages, documented, snmpd_v3

# What the documentation's host builds on, without a ping.
TEMPLATE = """\
define host {
    use                 generic-host
    name                linux-server-here
    register            0
    check_command       always-up
    max_check_attempts  3
    contact_groups      admins
}
"""


PROC_GET_VERSION = 4
# Somebody whom the admin server refuses, again and again.
STRANGER = """\
import socket, sys, time
while True:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(sys.argv[1])
        sock.recv(1)
    time.sleep(0.2)
"""


@contextlib.contextmanager
def strangers(place, host):
    os.chmod(place.dir, 0o755)
    os.chmod(host.virtadmd.dir, 0o755)
    os.chmod(host.virtadmd.admin, 0o777)
    with subprocess.Popen(["python3", "-S", "-c", STRANGER, host.virtadmd.admin], user="nobody",
                          cwd="/") as process:
        try:
            yield
        finally:
            process.kill()


@contextlib.contextmanager
def stopped(daemon):
    daemon.process.kill(signal.SIGSTOP)
    try:
        yield
    finally:
        daemon.process.kill(signal.SIGCONT)


class Watched(unittest.TestCase):
    def test_hard_states_and_back(self):
        with Place() as place:
            # A stopped libvirtd is to be waited for, however long this takes.
            host = Host(place, snmpd=Snmpd(place, snmpd_v3()), server="keepalive_interval = 600\n")
            text = documented("define host {", f"_SNMPPORT {host.snmpd.port}\n_VIRTADM_QUEUE_WARN 7")
            nagios = Nagios(place, TEMPLATE + text.replace("linux-server", "linux-server-here"))
            status, text = nagios.verify()
            self.assertEqual(status, 0, text)
            self.assertIn("Total Warnings: 0", text)
            nagios.start()
            nagios.wait_for_hard(**{name: "OK" for name in SERVICES})
            self.performance_data(nagios)
            self.change(host, nagios)
            self.alarms(place, host, nagios)
            self.gone(host, nagios)

    def performance_data(self, nagios):
        status = nagios.status()
        self.assertEqual(set(status), set(SERVICES))
        for service, expected in {
                "agent": "servers=2;;;0",
                "daemons": "virtadmd_up=1;;;0;1",
                "clients": "libvirtd_clients=0;16;19;0;20",
                "full": "libvirtd_full_events=0c",
                "unauthenticated": "libvirtd_unauth=0;16;;0;20",
                "workers": "libvirtd_workers_free=2;;;0;4",
                "queue": "libvirtd_queue=0;7;100;0",
                "configuration": "virtadmd_generation=1;;;0"}.items():
            self.assertIn(expected, status[service]["performance_data"].split(), service)
        # the second look, which knows what the first one saw
        wait_for(lambda: "libvirtd_refused_rate=0;0.1" in
                 nagios.status()["authentication"]["performance_data"],
                 lambda: f"a rate: {nagios.status()['authentication']}", 60)

    def change(self, host, nagios):
        """A change of the configuration is no problem, but is in the log."""
        status, text = host.snmpd.set((oid("lvaServerClientsHighPercent", 2), "u", 85))
        self.assertEqual(status, 0, text)
        wait_for(lambda: "virtadmd generation 2 by snmp" in nagios.log(), nagios.outputs, 60)
        self.assertEqual(nagios.hard()["configuration"], "OK")

    def alarms(self, place, host, nagios):
        with contextlib.ExitStack() as stack:
            if os.geteuid() == 0:
                stack.enter_context(strangers(place, host))
            clients = [stack.enter_context(Raw(host.virtadmd.socket, program=Raw.REMOTE))
                       for _ in range(17)]
            for client in clients:
                self.assertEqual(client.call(PROC_CONNECT_OPEN, open_payload())[5], 0)
            with stopped(host.libvirtd):
                for client in clients:
                    client.send(PROC_GET_VERSION)
                expected = {"clients": "WARNING", "full": "OK", "workers": "WARNING",
                            "queue": "WARNING"}
                if os.geteuid() == 0:
                    expected["authentication"] = "WARNING"
                nagios.wait_for_hard(**expected)
            nagios.wait_for_hard(workers="OK", queue="OK")
            stack.enter_context(host.clients(3))
            nagios.wait_for_hard(clients="CRITICAL", full="CRITICAL")
            self.assertIn("libvirtd 20 of 20 (100%)", nagios.status()["clients"]["plugin_output"])
            self.picture(place, nagios)
            self.told_once(nagios, "clients WARNING", "clients CRITICAL", "full CRITICAL",
                           "workers WARNING", "workers OK", "queue WARNING", "queue OK")
        # they do not go all at once: clients may be WARNING once more
        nagios.wait_for_hard(**{name: "OK" for name in SERVICES})
        self.told_once(nagios, "clients OK", "full OK", "clients CRITICAL", "full CRITICAL",
                       *["authentication OK"] * (os.geteuid() == 0))

    def told_once(self, nagios, *lines):
        """What is to be told comes a little later than the state, and then once."""
        wait_for(lambda: set(lines) <= set(nagios.notified()), nagios.notified)
        told = nagios.notified()
        for line in lines:
            self.assertEqual(told.count(line), 1, told)

    def picture(self, place, nagios):
        pages = Pages(place, nagios)
        browser = Browser(place, 1250, 570)
        browser.wait_for_text("libvirt clients", "CRITICAL", "libvirtd 20 of 20 (100%)",
                              again=pages.url("status.cgi?host=kvm01&style=detail"))
        browser.picture("nagios-services")

    def gone(self, host, nagios):
        already = len(nagios.notified())
        host.kill_agent()
        nagios.wait_for_hard(agent="CRITICAL",
                             **{name: "UNKNOWN" for name in SERVICES if name != "agent"})
        self.assertIn("the agent does not run", nagios.status()["agent"]["plugin_output"])
        host.restart_agent()
        nagios.wait_for_hard(**{name: "OK" for name in SERVICES})
        # of nine services one is told about
        wait_for(lambda: len(nagios.notified()) >= already + 2, nagios.notified)
        self.assertEqual(nagios.notified()[already:], ["agent CRITICAL", "agent OK"])


if __name__ == "__main__":
    unittest.main()
