# SPDX-License-Identifier: LGPL-2.1-or-later
"""Receivers of notifications as operators have them: the configuration that we ship, without the
comment signs of the lines that are wanted; snmptrapd, snmptt, and the file that Zabbix reads."""

import contextlib
import os
import re
import shutil
import subprocess

import harness
from harness import tool, wait_for
from stock import AUTH, ENGINE_ID, PRIV, drop_in, replaced

SHIPPED = os.path.join(harness.BUILD, "noc", "traps")
SOURCE = os.path.join(harness.SOURCE, "noc", "traps")
SNMPTT_INI = "/etc/snmp/snmptt.ini"


def read(*path):
    with contextlib.suppress(FileNotFoundError), open(
            os.path.join(*path), encoding="utf-8", errors="replace") as text:
        return text.read()
    return ""


def install(folder):
    """The receivers as they are installed: all in one folder, with the list of events."""
    os.makedirs(folder, exist_ok=True)
    for path in (*(os.path.join(SOURCE, name) for name in (
            "VirtadmTraps.pm", "nagios-traps.pl", "zabbix-traps.pl")),
            os.path.join(SHIPPED, "events.txt")):
        shutil.copy(path, folder)
    return folder


def with_passwords(text):
    return text.replace("AUTHPASSWORD", AUTH).replace("PRIVPASSWORD", PRIV)


def sending_to(port, kinds=("trap2sink", "trapsess -v", "trapsess -Ci")):
    """An edit of snmpd's drop-in: its lines of these kinds, sent to a port of this machine."""
    def edit(text):
        for kind in kinds:
            line = re.search(rf"^#({re.escape(kind)} .*)$", drop_in(), re.M)
            if not line:
                raise AssertionError(f"the drop-in has no line {kind}")
            text += with_passwords(line[1]).replace("192.0.2.7:162", f"127.0.0.1:{port}") + "\n"
        return text
    return edit


class Snmptt:
    """Debian's snmptt.ini and our events. Of the first only files and waiting times are others.
    syslog: the level of each severity, else there is none; wrapper: a command to run it with."""

    def __init__(self, place, syslog=None, wrapper=()):
        self.spool, self.log_path = place.path("spool") + "/", place.path("snmptt.log")
        os.makedirs(self.spool)
        text = read(SNMPTT_INI)
        for key, value in (
                ("daemon_fork", "0"), ("daemon_uid", ""), ("pid_file", place.path("snmptt.pid")),
                ("spool_directory", self.spool), ("sleep", "1"), ("log_file", self.log_path),
                ("log_system_file", place.path("snmptt-system.log")), ("syslog_enable", "1" if syslog else "0"),
                ("unknown_trap_log_enable", "1"),
                ("unknown_trap_log_file", place.path("snmptt-unknown.log")),
                ("syslog_system_enable", "0")):
            text = replaced(text, rf"^{key} *=.*$", f"{key} = {value}")
        text = replaced(text, r"^/etc/snmptt/snmptt.conf$", os.path.join(SHIPPED, "snmptt.conf"))
        for severity, level in (syslog or {}).items():
            key = f"syslog_level_{level} = <<END"
            text = replaced(text, rf"^{key}$", f"{key}\n{severity}")
        self.ini = place.write("snmptt.ini", text)
        # snmptthandler makes a file in the spool and then writes it; snmptt reads, and removes, what is
        # there, be it empty yet. Out of another folder the file comes whole.
        handed = place.path("handed")
        os.makedirs(handed)
        own = place.write("handler.ini", replaced(text, r"^spool_directory = .*$",
                                                  f"spool_directory = {handed}/"))
        self.handler = "/bin/sh " + place.write("handler.sh", f"""\
{tool('snmptthandler')} --ini={own} && exec mv {handed}/* {self.spool}
""")
        self.process = place.spawn("snmptt", [
            *wrapper, tool("snmptt"), "--daemon", f"--ini={self.ini}"], {"MIBS": ""})

    def lines(self):
        """(OID, severity, category, text) of each event."""
        return re.findall(r'^\w+ \w+ +\d+ [\d:]+ \d+ (\S+) (\S+) "([^"]*)" \S+ - (.*)$',
                          read(self.log_path), re.M)


class Receiver:
    """snmptrapd with all that the shipped snmptrapd.conf offers."""

    def __init__(self, place, port=None, extra="", zabbix_file=None, nagios=None, syslog=None,
                 snmptt_in=()):
        """nagios: (its command pipe, the host_name of this machine). syslog, snmptt_in: of Snmptt."""
        self.place, self.port = place, port or harness.free_port()
        self.zabbix_file = zabbix_file or place.path("zabbix-traps")
        self.snmptt = Snmptt(place, syslog, snmptt_in)
        scripts = install(place.path("traps"))
        text = replaced(read(SHIPPED, "snmptrapd.conf"), r"^#(?=\S)", "")
        text = replaced(with_passwords(text), r"0x80001F888011223344556677", ENGINE_ID)
        text = replaced(text, r"/usr/sbin/snmptthandler$", self.snmptt.handler)
        text = replaced(text, r"/var/log/snmptrap/snmptrap.log\"$", self.zabbix_file + '"')
        text = replaced(text, r"/var/lib/nagios4/rw/nagios.cmd\"$",
                        f'{nagios[0] if nagios else place.path("no-nagios.cmd")}"')
        text = replaced(text, r'\{"192.0.2.7"\} = "virt1"$',
                        f'{{"127.0.0.1"}} = "{nagios[1] if nagios else "virt1"}"')
        text = replaced(text, r'^perl do "/usr/share/virtadm/traps/', f'perl do "{scripts}/')
        self.etc = place.path("etc-snmptrapd")
        os.makedirs(self.etc)
        place.write("etc-snmptrapd/snmptrapd.conf", text + "format1 %P %q %v\\n\n"
                    "format2 %P %v\\n\n" + extra)
        self.process = None
        self.start()

    def start(self):
        self.process = self.place.spawn("snmptrapd", [
            tool("snmptrapd"), "-Lo", "-f", f"udp:127.0.0.1:{self.port}"],
            {"SNMPCONFPATH": self.etc, "SNMP_PERSISTENT_DIR": self.place.path("snmptrapd-state"),
             "MIBS": ""})
        wait_for(self.listens, lambda: f"snmptrapd: {self.process.output()}")

    def listens(self):
        if not self.process.alive():
            raise AssertionError(f"snmptrapd ended: {self.process.output()}")
        return f"0100007F:{self.port:04X} " in read("/proc/net/udp")

    def log(self):
        return self.process.output()

    def records(self, text=None):
        """The records of Zabbix's file, as its server finds them: each begins in the line, and at
        once ends, where ZBXTRAP is, whatever that is a part of. (time, address, text)"""
        text = read(self.zabbix_file) if text is None else text
        found = [(at.start(), at[1]) for at in re.finditer(r"ZBXTRAP\s+(\S+)", text)]
        begins = [text.rfind("\n", 0, start) + 1 for start, _ in found] + [len(text)]
        records = []
        for (start, address), begin, end in zip(found, begins, begins[1:]):
            behind = text.index(address, start) + len(address)
            records.append((text[begin:start].strip(), address, text[behind:end].strip()))
        return records

    def told(self):
        """Of each record what stands in its first line, behind the address."""
        return [text.partition("\n")[0] for _, _, text in self.records()]

    def send(self, trap, *binds, version="2c", community="public", v1=None):
        """snmptrap with numbers for names. binds: OID, type, value, ...; v1: (enterprise, specific)
        in place of trap."""
        what = ["1", trap] if version != "1" else [v1[0], "192.0.2.9", "6", str(v1[1]), "1"]
        status, _, err = run_raw(
            tool("snmptrap"), "-v", version, "-c", community, "-On",
            f"127.0.0.1:{self.port}", *what, *binds, env={**os.environ, "MIBS": ""})
        if status != 0:
            raise AssertionError(f"snmptrap {trap}: {err}")


def run_raw(*argv, env):
    """Arguments may have any octets, as bytes."""
    done = subprocess.run(argv, capture_output=True, timeout=60, env=env, check=False,
                          stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr
