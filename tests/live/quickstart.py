#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The main job, shown: what ./quickstart runs after the build."""

import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness
import traps
from harness import READ, WRITE, oid

ROLLBACK = 5  # of lvaConfigLastOrigin

BOLD, PLAIN = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")


class Show:
    """Runs an operator's command and prints it, with the names of the MIB put in: stock Debian
    cannot resolve them, for want of the IETF's modules."""

    def __init__(self, snmpd):
        self.snmpd = snmpd
        self.sed = os.path.join(harness.BUILD, "mib", "lva-names.sed")

    def named(self, text):
        return subprocess.run(["sed", "-f", self.sed], input=text, text=True, check=True,
                              stdout=subprocess.PIPE).stdout

    def snmp(self, name, community, *args, only=None, ok=True):
        command = f"{name} -v2c -c {community} -On 127.0.0.1:{self.snmpd.port} " + " ".join(args)
        print(f"{BOLD}$ {self.named(command).strip()}{PLAIN}")
        status, out, err = self.snmpd.tool(name, *args, community=community)
        lines = self.named(out).splitlines()
        if only:
            lines = [line for line in lines if re.match(only, line)]
        print("\n".join("    " + line for line in lines + self.named(err).split("\n") if line.strip()),
              flush=True)
        if ok != (status == 0):
            raise SystemExit(f"quickstart: that command should have {'worked' if ok else 'failed'}")

    def plain(self, *argv):
        print(f"{BOLD}$ {' '.join(argv)}{PLAIN}")
        status, out, err = harness.run(harness.tool(argv[0]), *argv[1:])
        print("\n".join("    " + line for line in (out + err).strip().splitlines()), flush=True)
        if status:
            raise SystemExit("quickstart: that command should have worked")


def title(text):
    print(f"\n{BOLD}== {text}{PLAIN}", flush=True)


def show_traps(receiver, name):
    harness.wait_for(lambda: any(told.name == name for told in receiver.handled()), name)
    print(f"{BOLD}snmptrapd:{PLAIN}")
    for told in receiver.handled():
        print("\n".join(["    " + told.name] + [f"        {bind} = {value}" for bind, value in
                                                told.binds.items()]), flush=True)


def demonstrate(show, daemon, receiver):
    title("The servers and their worker pools, over SNMP")
    show.snmp("snmpbulkwalk", READ, "." + oid("lvaServerName").rsplit(".", 3)[0])
    title("The clients: the virsh processes that are connected now")
    show.snmp("snmpbulkwalk", READ, "." + oid("lvaClientId").rsplit(".", 3)[0],
              only=r".*lvaClient(Id|Peer|UnixUserName|ReadOnly|Requests|Age)\.")
    minimum = "." + oid("lvaServerWorkersMin", 2)
    maximum = "." + oid("lvaServerWorkersMax", 2)
    title("A SET of two varbinds is one change: from 5..20 workers to 30..40")
    show.snmp("snmpset", WRITE, minimum, "u", "30", maximum, "u", "40")
    show.plain("virt-admin", "-c", f"libvirtd:///system?socket={daemon.admin}",
               "server-threadpool-info", "libvirtd")
    title("A SET that contradicts itself is refused as a whole, and says why")
    show.snmp("snmpset", WRITE, minimum, "u", "50", maximum, "u", "40", ok=False)
    show.snmp("snmpget", READ, "." + oid("lvaConfigLastError"), minimum, maximum)
    title("A limit that is reached is told to the receivers of traps")
    limit, unauth = "." + oid("lvaServerClientsMax", 2), "." + oid("lvaServerClientsUnauthMax", 2)
    show.snmp("snmpset", WRITE, limit, "u", "3", unauth, "u", "3")
    show_traps(receiver, "lvaClientsFull")
    print("    (that it is over is told 5 s later, lvaNotifyMinInterval, at the earliest)")
    show.snmp("snmpset", WRITE, limit, "u", "5000", unauth, "u", "20")
    title("A SET that nobody confirms within its time is rolled back")
    timeout, origin = "." + oid("lvaConfigConfirmTimeout"), "." + oid("lvaConfigLastOrigin")
    show.snmp("snmpset", WRITE, maximum, "u", "99", timeout, "u", "1")
    harness.wait_for(lambda: show.snmpd.get1("lvaConfigLastOrigin") == ROLLBACK, "the rollback")
    show.snmp("snmpget", READ, maximum, origin, timeout)


def demonstrate_agent(show, place, upstream):
    title("The same for the libvirtd that is as it was, by virtadm-agent in a context of its own")
    agent = harness.Agent(place, show.snmpd, (upstream.name, upstream.admin),
                          snmp=f"context = {upstream.name}")
    community = harness.in_context(upstream.name)
    agent.wait_for_state("up", community=community)
    maximum = "." + oid("lvaServerWorkersMax", 2)
    show.snmp("snmpget", community, "." + oid("lvaDaemonName"), "." + oid("lvaDaemonVersion"),
              "." + oid("lvaServerClientsCurrent", 2), maximum)
    show.snmp("snmpset", community, maximum, "u", "25")
    show.plain("virt-admin", "-c", f"libvirtd:///system?socket={upstream.admin}",
               "server-threadpool-info", "libvirtd")


def stay(place, snmpd, daemon, receiver):
    root = "." + harness.ROOT_OID
    title("It all stays up until Ctrl-C. Try, in another terminal:")
    try:
        print(f"""\
    snmpbulkwalk -v2c -c {READ} -On 127.0.0.1:{snmpd.port} {root} | sed -f {os.path.join(harness.BUILD, 'mib', 'lva-names.sed')}
    virsh -c 'test+unix:///default?socket={daemon.socket}' list --all
    virt-admin -c 'libvirtd:///system?socket={daemon.admin}' client-list libvirtd
    snmpset -v2c -c {WRITE} -On 127.0.0.1:{snmpd.port} .{oid("lvaLogLevel")} i 1
    snmpbulkwalk -v2c -c {harness.in_context("libvirtd")} -On 127.0.0.1:{snmpd.port} {root}    # by virtadm-agent
    snmpset -v2c -c {WRITE} -On 127.0.0.1:{snmpd.port} .{oid("lvaConfigStorage")} i 3
    tail -f {daemon.logdir}/virtadmd.log
    tail -f {receiver.handled_path}    # the traps
everything is below {place.dir} and is removed at the end""", flush=True)
        daemon.process.popen.wait()
        print("virtadmd has ended:\n" + daemon.process.output()[-1000:])
    except KeyboardInterrupt:
        print()


def main():
    harness.end_in_order()
    with harness.Place() as place:
        title("Starting a private master agent, a private libvirtd, and virtadmd between them")
        receiver = traps.Snmptrapd(place)
        snmpd = harness.Snmpd(place, f"trap2sink udp:127.0.0.1:{receiver.port} "
                              f"{receiver.COMMUNITIES[0]}\n", contexts=["libvirtd"])
        upstream = harness.Libvirtd(place)
        daemon = harness.Virtadmd(place, upstream, snmpd)
        print(f"    snmpd on udp 127.0.0.1:{snmpd.port}, libvirtd on {upstream.socket}")
        print(f"    virtadmd on {daemon.socket} and {daemon.admin}; its traps go to snmptrapd")
        for number, readonly in enumerate((False, False, os.geteuid() == 0)):
            place.enter_context(harness.idle_virsh(place, daemon.socket_ro if readonly else
                                                   daemon.socket, f"virsh{number}", readonly))
        harness.wait_for(lambda: snmpd.get1("lvaClientNumber") >= 3, "three virsh clients")
        print("    Stock tools know no names of the MIB. They are put in for the numbers, also in the\n"
              f"    commands shown, by {harness.BUILD}/mib/lva-names.sed;\n"
              "    the numbers to type are in lva-oids.txt beside it.", flush=True)
        demonstrate(Show(snmpd), daemon, receiver)
        demonstrate_agent(Show(snmpd), place, upstream)
        if "--once" not in sys.argv[1:]:
            stay(place, snmpd, daemon, receiver)
    print("\ndone; nothing is left running", flush=True)


if __name__ == "__main__":
    try:
        main()
    except AssertionError as error:
        raise SystemExit(f"quickstart: {error}") from None
    except harness.Ended as ended:
        raise SystemExit(ended.status) from None
