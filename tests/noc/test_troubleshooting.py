# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/troubleshooting.md: the messages that it is looked up by are those of real programs."""

import os
import re
import signal
import unittest

import harness
from harness import oid, wait_for
from stock import AUTH, NOC, NOCADMIN, PRIV, V2C, StockSnmpd, replaced

PAGE = os.path.join(harness.SOURCE, "docs", "troubleshooting.md")
NAME = oid("lvaDaemonName")
SERVER = 2


def user(name, auth=AUTH, priv=PRIV):
    return ("-v", "3", "-u", name, "-l", "authPriv", "-a", "SHA-256", "-A", auth, "-x", "AES", "-X", priv)


class Symptoms(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(PAGE, encoding="utf-8") as text:
            cls.page = re.sub(r"\s+", " ", text.read())
        cls.place = harness.Place()
        cls.addClassCleanup(cls.place.close)
        # an operator who has left the line for the community out
        cls.snmpd = StockSnmpd(cls.place, lambda text: replaced(text, r"^view systemonly .*", ""))
        cls.libvirtd = harness.Libvirtd(cls.place)
        cls.agent = harness.Agent(cls.place, cls.snmpd, ("libvirtd", cls.libvirtd.admin))
        cls.wait_for_state(1)

    @classmethod
    def wait_for_state(cls, state):
        wait_for(lambda: cls.snmpd.get1("lvaDaemonState") == state, f"state {state}", 60)

    def shows(self, message, found):
        """A message that the page has, and a program has printed."""
        self.assertIn(message, self.page)
        self.assertIn(message, re.sub(r"\s+", " ", found))

    def ask(self, who, *args, tool="snmpget", timeout=5):
        return self.snmpd.ask(tool, who, *args, timeout=timeout)[1]

    def test_reading(self):
        self.shows("No Such Object available on this agent at this OID", self.ask(V2C, NAME))
        self.shows("No more variables left in this MIB View",
                   self.ask(V2C, harness.ROOT_OID, tool="snmpbulkwalk"))
        for name in (harness.OIDS["lvaDaemonName"], oid("lvaServerName", 9),
                     oid("lvaServerUpstreamState", SERVER)):
            self.shows("No Such Instance currently exists at this OID", self.ask(NOC, name))
        self.shows("Unknown Object Identifier (Sub-id not found: (top) -> lvaServerName)",
                   self.ask(NOC, "lvaServerName.2"))

    def test_who_asks(self):
        silence = "Timeout: No Response from"
        self.shows(silence, self.ask(("-v", "2c", "-c", "wrong"), NAME, timeout=1))
        self.shows(silence, self.ask((*NOC, "-n", "misspelt"), NAME, timeout=1))
        self.shows(silence, self.ask(user("noc", priv="another word"), NAME, timeout=1))
        self.shows("Unknown user name", self.ask(user("nobody"), NAME))
        self.shows("Authentication failure (incorrect password, community or key)",
                   self.ask(user("noc", auth="another word"), NAME))
        self.shows("authorizationError (access denied to that object)", self.ask(
            ("-v", "3", "-u", "noc", "-l", "authNoPriv", "-a", "SHA-256", "-A", AUTH), NAME))

    def test_user_created_while_snmpd_runs(self):
        self.snmpd.create_users("late")
        self.snmpd.process.end()
        self.snmpd.start()
        self.shows("Unknown user name", self.ask(user("late"), NAME))
        wait_for(self.snmpd.has_agent, "the agent to be back")

    def test_sets(self):
        low, high = oid("lvaServerWorkersMin", SERVER), oid("lvaServerWorkersMax", SERVER)
        for who, args, error in (
                (NOC, (high, "u", 9), "noAccess"), (V2C, (high, "u", 9), "noAccess"),
                (NOCADMIN, (oid("lvaConfigConfirmTimeout"), "u", 9), "notWritable"),
                (NOCADMIN, (high, "i", 9), "wrongType"), (NOCADMIN, (oid("lvaLogLevel"), "i", 9), "wrongValue"),
                (NOCADMIN, (oid("lvaServerWorkersMax", 9), "u", 9), "noCreation"),
                (NOCADMIN, (low, "u", 900), "inconsistentValue"),
                (NOCADMIN, (oid("lvaConfigLock"), "i", 1, high, "u", 9), "inconsistentValue")):
            found = self.ask(who, *map(str, args), tool="snmpset")
            self.assertIn("Reason: " + error, found)
            self.assertIn(f"| {error}", self.page)
        self.assertIn("the lock is stale", self.ask(NOC, oid("lvaConfigLastError")))
        self.assertIn("the lock is stale", self.page)

    def test_hung_agent(self):
        self.agent.process.kill(signal.SIGSTOP)
        try:
            self.shows("(genError) A general failure occured", self.ask(NOC, NAME, timeout=10))
            self.shows("No Such Object available on this agent at this OID", self.ask(NOC, NAME))
        finally:
            self.agent.process.kill(signal.SIGCONT)
        wait_for(self.snmpd.has_agent, "the agent to be back")

    def test_two_agents(self):
        log = self.place.path("second.log")
        self.place.write("second.conf", f"[log]\noutputs = 1:file:{log}\n[snmp]\nmaster = unix:"
                         f"{self.snmpd.agentx}\n[source other]\nuri = libvirtd:///system?socket=/none\n")
        self.place.spawn("second", [os.path.join(harness.BUILD, "virtadm-agent"), "--config",
                                    self.place.path("second.conf")])
        wait_for(lambda: os.path.exists(log) and all(
            text in self.place.read("second.log") for text in
            ("refuses to register", "No such file or directory")), "the refusal")
        for part in "refuses to register the MIB in the default context (does another agent serve it?); " \
                    "trying again every 2 s", "No such file or directory":
            self.shows(part, self.place.read("second.log"))

    def test_unreachable(self):
        self.libvirtd.process.kill(signal.SIGSTOP)
        try:
            self.wait_for_state(2)
            wait_for(lambda: "it does not answer" in self.agent.log_text(), self.agent.log_text)
            self.shows("it does not answer", self.agent.log_text())
            found = self.ask(NOCADMIN, oid("lvaServerWorkersMax", SERVER), "u", "9", tool="snmpset")
            self.shows('This is likely a out-of-memory failure', found)
        finally:
            self.libvirtd.process.kill(signal.SIGCONT)
        self.wait_for_state(1)
        # a connection with a request that it has not read yet ends with another error
        text = "End of file while reading data"
        for _ in range(5):
            self.libvirtd.process.end()
            self.wait_for_state(2)
            self.libvirtd.start()
            self.wait_for_state(1)
            if text in self.agent.log_text():
                break
        self.shows(text, self.agent.log_text())
