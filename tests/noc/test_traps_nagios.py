# SPDX-License-Identifier: LGPL-2.1-or-later
"""Notifications reach Nagios 4: as the result of a passive service, and by making it look at once at
what they are about; what senders put into them does not become a command."""

import os
import re
import select
import unittest

import harness
import receivers
from harness import oid, wait_for
from nagios import Nagios, copied
from test_traps import EVENTS

# A host whose services would be looked at in days, but for notifications.
HOST = """\
define hostgroup {
    hostgroup_name  virtadm
}
define host {
    use             generic-host
    host_name       kvm01
    address         127.0.0.1
    hostgroups      virtadm
    contact_groups  admins
    max_check_attempts 3
}
define command {
    command_name  count
    command_line  /bin/sh -c 'echo looked >>%s'
}
define service {
    use                    generic-service
    host_name              kvm01
    service_description    libvirt daemons
    check_command          count
    max_check_attempts     3
    check_interval         10000
    retry_interval         10000
    contact_groups         admins
}
"""


class Told(unittest.TestCase):
    @staticmethod
    def read(pipe):
        """What is there: nothing, too, when nobody has it open for writing."""
        return os.read(pipe, 65536) if select.select([pipe], [], [], 0)[0] else b""

    def send(self, name, *values):
        arguments = [word for object_, value in zip((oid("lvaDaemonName"), oid("lvaDaemonUri")), values)
                     for word in (object_, "s", value)]
        self.receiver.send(EVENTS[name][0], *arguments)

    def test_nagios(self):
        place = harness.Place()
        self.addCleanup(place.close)
        os.chmod(place.dir, 0o755)
        looked = place.path("nagios", "looked")
        nagios = Nagios(place, HOST % looked)
        events = copied(place, os.path.join(receivers.SOURCE, "nagios-events.cfg"))
        conf = receivers.replaced(place.read("nagios.cfg"), r"^cfg_file=.*virtadm\.cfg$",
                                  f"cfg_file={events}")
        conf = receivers.replaced(conf, r"^check_external_commands=0", "check_external_commands=1")
        place.write("nagios.cfg", conf)
        status, text = nagios.verify()
        self.assertEqual(status, 0, text)
        nagios.start()
        pipe = os.path.join(nagios.dir, "nagios.cmd")
        wait_for(lambda: os.path.exists(pipe), "the pipe of Nagios", 60)
        wait_for(lambda: os.path.exists(looked), "the first look", 60)
        self.receiver = receivers.Receiver(place, nagios=(pipe, "kvm01"))
        for name, state in ("lvaDaemonUnreachable", "CRITICAL"), ("lvaDaemonReachable", "OK"):
            before = receivers.read(looked)
            self.send(name, "libvirtd", "x|y;z")
            nagios.wait_for_hard(events=state)
            # a bar would begin performance data; the semicolon is Nagios' own doing
            word = "un" if state == "CRITICAL" else ""
            self.assertEqual(nagios.status()["events"]["plugin_output"],
                             f"{name}: libvirtd: daemon {word}reachable (x!y:z)")
            wait_for(lambda: len(receivers.read(looked)) > len(before), "another look")
            self.assertEqual(nagios.hard()["events"], state)

    def start_reader(self):
        """A receiver, and somebody in Nagios' place. Returns: what the commands can be read from."""
        place = harness.Place()
        self.addCleanup(place.close)
        pipe = place.path("nagios.cmd")
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        self.receiver = receivers.Receiver(place, nagios=(pipe, "kvm01"))
        return reader

    def test_commands(self):
        """Exactly two for each notification of ours, whatever is in it."""
        reader = self.start_reader()
        self.receiver.send("1.3.6.1.4.1.32473.0.1")  # not ours: no command
        for value, shown in (
                ("a\n[1] SHUTDOWN_PROGRAM\n", "a [1] SHUTDOWN_PROGRAM "), ("Grüße", "Grüße"),
                ("x" * 5000, '"' + "x" * 900)):
            self.send("lvaDaemonUnreachable", value, "u")
            text = wait_for(lambda: self.read(reader), "commands").decode()
            shown += ": daemon unreachable (u)" if len(value) < 1000 else ""
            self.assertRegex(text, r"^\[\d+\] PROCESS_SERVICE_CHECK_RESULT;kvm01;libvirt events;2;"
                             + re.escape(f"lvaDaemonUnreachable: {shown}") + r"[^\n]*\n"
                             r"\[\d+\] SCHEDULE_FORCED_SVC_CHECK;kvm01;libvirt daemons;\d+\n$")
            self.assertLess(len(text), 1500)

    def test_what_they_are_about(self):
        """Each is about services that noc/nagios has, and none is looked at for the beginning of what must
        last for minutes: the look would count as one of them."""
        full, configuration = "libvirt full", "libvirt configuration"
        expected = {
            "lvaClientsFull": {full}, "lvaClientsHigh": {full}, "lvaClientsNormal": {full, "libvirt clients"},
            "lvaUnauthFull": set(), "lvaUnauthNormal": {"libvirt unauthenticated"},
            "lvaWorkersExhausted": set(), "lvaWorkersAvailable": {"libvirt workers", "libvirt queue"},
            "lvaConfigChanged": {configuration}, "lvaClientConnected": set(),
            "lvaClientDisconnected": set(), "lvaClientAuthFailure": set(),
            **{name: {"libvirt daemons"} for name in (
                "lvaDaemonUnreachable", "lvaDaemonReachable", "lvaUpstreamDown", "lvaUpstreamUp")}}
        known = set(re.findall(r"^ *service_description +(.*)$", receivers.read(
            harness.BUILD, "noc", "nagios", "virtadm.cfg"), re.M))
        self.assertIn("libvirt daemons", known)
        reader = self.start_reader()
        for name in EVENTS:
            self.send(name)
            text = wait_for(lambda: self.read(reader), "commands").decode()
            about = set(re.findall(r"SCHEDULE_FORCED_SVC_CHECK;kvm01;(.*);\d+$", text, re.M))
            self.assertLessEqual(about, known, name)
            self.assertEqual(about, expected[name], name)

    def test_no_pipe(self):
        """Nagios is away, or something else is in the place: nothing is made there, nothing waits."""
        place = harness.Place()
        self.addCleanup(place.close)
        pipe = place.path("nagios.cmd")
        self.receiver = receivers.Receiver(place, nagios=(pipe, "kvm01"))
        for prepare in (lambda: None, lambda: os.mkfifo(pipe), lambda: place.write("nagios.cmd", "")):
            if os.path.exists(pipe):
                os.unlink(pipe)
            prepare()
            self.send("lvaDaemonUnreachable", "d", "u")
            self.send("lvaDaemonReachable", "d", "u")
            told = self.receiver.log().count("nagios-traps.pl: ")
            wait_for(lambda: self.receiver.told()[-1:] == [
                "lvaDaemonReachable Normal d: daemon reachable (u)"], "the record for Zabbix")
            os.unlink(self.receiver.zabbix_file)
            self.assertLessEqual(told, 3)
        self.assertEqual(receivers.read(pipe), "")
        self.assertEqual(self.receiver.log().count("nagios-traps.pl: "), 3, self.receiver.log())


if __name__ == "__main__":
    unittest.main()
