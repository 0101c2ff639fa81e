# SPDX-License-Identifier: LGPL-2.1-or-later
"""An snmpd as operators have it: Debian's own snmpd.conf with what we ship in its snmpd.conf.d, and
the SNMPv3 users that it names."""

import hashlib
import os
import re
import unittest

import harness
from harness import run, tool, wait_for

STOCK = "/etc/snmp/snmpd.conf"
AUTH, PRIV = "authentic-words", "private-words"
ENGINE_ID = "0x80001f8880a1b2c3d4e5f60718"
# As command line options. noc reads, nocadmin writes, too.
NOC, NOCADMIN = (("-v", "3", "-u", user, "-l", "authPriv", "-a", "SHA-256", "-A", AUTH,
                  "-x", "AES", "-X", PRIV) for user in ("noc", "nocadmin"))
V2C = ("-v", "2c", "-c", "public")


def stock_conf():
    """Debian's snmpd.conf, unless somebody has changed it."""
    status, listed, _ = run("dpkg-query", "-W", "-f=${Conffiles}", "snmpd")
    found = re.search(rf"{STOCK} (\w{{32}})", listed)
    if status != 0 or not found:
        raise unittest.SkipTest("this is no Debian: there is no stock snmpd.conf")
    if not os.access(STOCK, os.R_OK):
        raise unittest.SkipTest(f"{STOCK} cannot be read by this user")
    with open(STOCK, "rb") as text:
        data = text.read()
    if hashlib.md5(data, usedforsecurity=False).hexdigest() != found[1]:
        raise unittest.SkipTest(f"{STOCK} is not Debian's any more")
    return data.decode()


def drop_in():
    with open(os.path.join(harness.BUILD, "noc", "snmpd", "virtadm.conf"), encoding="utf-8") as text:
        return text.read()


def replaced(text, old, new):
    """text with old, which it must have, in the form that fits a test."""
    if not re.search(old, text, re.M):
        raise AssertionError(f"{old} is nowhere in {text}")
    return re.sub(old, lambda _: new, text, flags=re.M)


class StockSnmpd(harness.Snmpd):
    """Debian's snmpd.conf and our drop-in. Of the first only where it listens and looks for
    drop-ins is another place; edit: a function that does to the drop-in what an operator would."""

    def __init__(self, place, edit=lambda text: text, users=("noc", "nocadmin")):
        self.place = place
        self.port = harness.free_port()
        self.agentx = place.path("agentx")
        self.state = place.path("snmp")
        os.makedirs(self.state, exist_ok=True)
        self.etc = place.path("etc-snmp")
        drop_ins = os.path.join(self.etc, "snmpd.conf.d")
        os.makedirs(drop_ins, exist_ok=True)
        text = replaced(stock_conf(), r"^agentaddress .*", f"agentaddress udp:127.0.0.1:{self.port}")
        text = replaced(text, r"^includeDir .*", f"includeDir {drop_ins}")
        self.conf = place.write("etc-snmp/snmpd.conf", text)
        place.write("etc-snmp/snmpd.conf.d/virtadm.conf", edit(drop_in()))
        self.create_users(*users)
        self.process = None
        self.start()

    def create_users(self, *users):
        """As the drop-in says; snmpd must not run."""
        path = os.path.join(self.state, "snmpd.conf")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w",
                  encoding="utf-8") as conf:
            conf.write(f"oldEngineID {ENGINE_ID}\n")  # of an earlier start: receivers must know it
            conf.write("".join(f'createUser {user} SHA-256 "{AUTH}" AES "{PRIV}"\n'
                               for user in users))

    def start(self):
        env = {"SNMPCONFPATH": f"{self.etc}:{self.state}", "SNMP_PERSISTENT_DIR": self.state,
               "MIBS": ""}
        self.process = self.place.spawn("snmpd", [
            tool("snmpd"), "-LOw", "-I", "-smux,mteTrigger,mteTriggerConf", "-f",
            "-x", self.agentx], env)
        wait_for(self.ready, lambda: f"snmpd on port {self.port}: {self.process.output()[-500:]}")

    def ask(self, name, who, *args, options=(), timeout=5):
        """A tool of net-snmp with the options of who; (status, what it printed)."""
        env = {**os.environ, "MIBS": "", "SNMPCONFPATH": self.place.path("no-configuration"),
               "SNMP_PERSISTENT_DIR": self.place.path("manager")}
        status, out, err = run(
            tool(name), *who, "-t", str(timeout), "-r", "0", "-On", "-Oe", "-Ot", "-OU", *options,
            f"127.0.0.1:{self.port}", *args, timeout=timeout * 40 + 60, env=env)
        return status, out + err

    def tool(self, name, *args, community=None, timeout=5, version=None, options=()):
        """For what Snmpd's own methods ask: who may do all that can be done here."""
        who = NOCADMIN if community is None else ("-v", version or "2c", "-c", community)
        status, out = self.ask(name, who, *args, options=options, timeout=timeout)
        return status, out, "" if status == 0 else out
