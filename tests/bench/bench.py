#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the benchmarks: bench.py [NAME ...], see docs/benchmarks.md. What is slow is reported, never
a failure: only a benchmark that does not work is one. Every figure that depends on the machine
stands next to a yardstick of the same run."""

import ctypes
import os
import re
import shutil
import statistics
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "live"))
sys.dont_write_bytecode = True

import harness  # noqa: E402
from harness import Raw  # noqa: E402
from test_master import Stopped  # noqa: E402
from test_relay import AUTH_LIST, OPEN, open_payload  # noqa: E402

SCALE = float(os.environ.get("BENCH_SCALE", "1"))
MAX_CLIENTS = "max_clients = 10000"


def program(name, *args, wrapper=()):
    argv = [*wrapper, os.path.join(harness.BUILD, "tests", "bench", name), *map(str, args)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(argv)}: {done.stderr[-1000:]}")
    return done.stdout, done.stderr


def say(*columns):
    print("   " + "".join(f"{column:>12}" if i else f"{column:36}"
                          for i, column in enumerate(columns)), flush=True)


def cost(mode, clients, count, *more):
    """Of one request: instructions (callgrind's, exact) and nanoseconds of processor time."""
    time = float(program("bench-handler", mode, clients, count, *more)[0])
    if not shutil.which("valgrind"):
        return None, time
    out = program("bench-handler", mode, clients, count, *more, wrapper=(
        "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
        "--toggle-collect=bench_measured"))[1]
    return int(re.search(r"Collected : (\d+)", out)[1]) / count, time


def handler():
    """A GETNEXT in the handler by the number of clients, next to a handler that does nothing."""
    count = int(2000 * SCALE)
    say("instructions (ns)", "null", "getnext", "walk/varbind", "getnext/null")
    for clients in (10, 100, 1000, 10000, 100000):
        costs = [cost(mode, clients, count) for mode in ("null", "getnext", "walk")]
        unit = 0 if costs[0][0] else 1
        say(f"{clients} clients", *(f"{(c[0] or 0):.0f} ({c[1]:.0f})" for c in costs),
            f"{costs[1][unit] / costs[0][unit]:.1f}")


def by_turns(mode, clients, count, libvirtd, daemon, what):
    """libvirtd does everything twice: asked directly, and by virtadmd."""
    pids, rounds, count = (libvirtd.process.pid, daemon.process.pid), 11, int(count * SCALE)
    before = [processor_time(pid) for pid in pids]
    out = program("bench-relay", mode, clients, rounds, count, libvirtd.socket, daemon.socket)[0]
    spent = [(processor_time(pid) - start) / (1e3 * clients * rounds * count)
             for pid, start in zip(pids, before)]
    for line in out.splitlines():
        name, *figures = line.split()
        say(f"{what}, {clients} client(s), {name}", *figures)
    say(f"{what}, {clients} client(s), cpu_us", f"{spent[0] / 2:.1f}", f"+{spent[1]:.1f}")


def idle_clients(count):
    with harness.Place() as place:
        libvirtd = harness.Libvirtd(place, extra=MAX_CLIENTS)
        daemon = harness.Virtadmd(place, libvirtd, server=MAX_CLIENTS)
        say(f"kB for each of {count} clients", "virtadmd", "libvirtd")
        out = program("bench-relay", "idle", count, daemon.socket, daemon.process.pid,
                      libvirtd.process.pid)[0]
        for line in out.splitlines():
            name, *figures = line.split()
            say(name, *figures)


def relay():
    """Calls and sessions by way of virtadmd next to the same directly; memory of an idle client."""
    idle_clients(1000)
    with harness.Place() as place:
        libvirtd = harness.Libvirtd(place)
        daemon = harness.Virtadmd(place, libvirtd)
        say("", "direct", "relayed", "ratio")
        for clients, count in ((1, 1000), (8, 400)):
            by_turns("call", clients, count, libvirtd, daemon, "GET_HOSTNAME")
        for clients, count in ((1, 200), (8, 50)):
            by_turns("session", clients, count, libvirtd, daemon, "session")


def connects():
    """Connect, identity, AUTH_LIST, close."""
    with harness.Place() as place:
        libvirtd = harness.Libvirtd(place)
        daemon = harness.Virtadmd(place, libvirtd)
        say("", "libvirtd", "virtadmd", "ratio")
        for clients in (1, 8):
            by_turns("connect", clients, 200, libvirtd, daemon, "connect")


def processor_time(pid, thread=None):
    """Nanoseconds of a process, or of its thread of that name."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/comm", encoding="utf-8") as comm, \
                open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as stat:
            if thread in (None, comm.read().strip()):
                total += int(stat.read().split()[0])
    return total


def sets_through_master(place, snmpd, daemon, blocks, note=""):
    """Round trips of the SET and of the null SET by turns, and the processor time of each in the
    thread, or the process, that its handler runs in."""
    null = place.spawn("null", [os.path.join(harness.BUILD, "tests", "bench", "bench-set"), "null",
                                f"unix:{snmpd.agentx}"])
    harness.wait_for(lambda: "ready" in null.output(), "the null subagent")
    for varbinds in (1, 3, 10):
        before = processor_time(null.pid), processor_time(daemon.process.pid, "snmp")
        out = program("bench-set", "run", f"127.0.0.1:{snmpd.port}", harness.WRITE, varbinds,
                      blocks)[0]
        after = processor_time(null.pid), processor_time(daemon.process.pid, "snmp")
        for line in out.splitlines():
            name, *figures = line.split()
            say(f"{varbinds} varbind(s){note}, {name}", *figures)
        spent = [(end - start) / blocks / 1e5 for start, end in zip(before, after)]
        say(f"{varbinds} varbind(s){note}, cpu_us", *(f"{each:.1f}" for each in spent),
            f"{spent[1] / spent[0]:.2f}")
    null.end()


def sets():
    """A SET through the master next to one that a subagent takes and forgets; in the handler."""
    blocks = max(1, int(10 * SCALE))
    say("", "null", "set", "ratio")
    with harness.Place() as place:
        snmpd = harness.Snmpd(place)
        daemon = harness.Virtadmd(place, None, snmpd)
        sets_through_master(place, snmpd, daemon, blocks)
        storage = (harness.oid("lvaConfigStorage"), "i", 3)  # nonVolatile
        if snmpd.set(storage)[0] == 0:
            sets_through_master(place, snmpd, daemon, blocks, " kept")
    for varbinds in (1, 3, 10):
        (null, null_time), (ours, time) = (cost(mode, 10, int(500 * SCALE), varbinds)
                                           for mode in ("nullset", "set"))
        say(f"{varbinds} varbind(s), handler", f"{null or 0:.0f} instr", f"{ours or 0:.0f}",
            f"{ours / null:.1f}" if null else "")
        say(f"{varbinds} varbind(s), handler", f"{null_time:.0f} ns", f"{time:.0f}",
            f"{time / null_time:.1f}")


def patient_client(path):
    """A connection, as soon as the daemon's backlog has room."""
    def attempt():
        try:
            return Raw(path, Raw.REMOTE)
        except BlockingIOError:
            return None
    return harness.wait_for(attempt, "room in the backlog")


def memory():
    """Resident memory for each idle client: connected only, and with a connection upstream."""
    for count in (1000, 3000):
        idle_clients(count)


def stopped():
    """Calls while the master agent is stopped, next to calls to a daemon whose master runs."""
    with harness.Place() as place:
        snmpd = harness.Snmpd(place)
        libvirtd = harness.Libvirtd(place)
        with Stopped(place, snmpd, libvirtd) as result:
            result.run(5 * SCALE, 10 * SCALE, int(1000 * SCALE))
            print(result)


class Ways:
    """Notifications by a subagent that does nothing else, and by virtadmd, to one UDP port. A way
    to make them happen: a socket, how it is used, and how many each use makes."""

    def __init__(self, place):
        self.port = harness.free_port()
        self.snmpd = harness.Snmpd(place, f"trap2sink udp:127.0.0.1:{self.port} public")
        self.daemon = harness.Virtadmd(place, None, self.snmpd,
                                       server="max_clients = 100000\nmax_anonymous_clients = 0")
        bare = place.path("bare-socket")
        process = self.subagent = place.spawn("bare", [
            os.path.join(harness.BUILD, "tests", "bench", "bench-traps"), "bare",
            f"unix:{self.snmpd.agentx}", bare])
        harness.wait_for(lambda: "ready" in process.output(), "the bare subagent")
        self.enable("1000")
        self.bare, self.one = (bare, "bytes", 1), (self.daemon.socket, "connect", 1)
        self.both = (self.daemon.socket, "connect", 2)

    def enable(self, bits):
        status, text = self.snmpd.set((harness.oid("lvaNotifyEnable"), "x", bits))
        assert status == 0, text

    def latency(self, count):
        return program("bench-traps", "latency", self.port, count, self.bare[0], self.one[0])[0]

    def rate(self, way, rate, seconds):
        """(how many came, in how many seconds) or None when one was lost"""
        out = program("bench-traps", "rate", self.port, *way, rate, seconds)[0]
        asked, came, took = out.split()
        return (int(came), float(took)) if asked == came else None

    def highest(self, way, seconds):
        """Notifications a second of the last rate before one is lost, or before asking for more
        brings no more."""
        best, rate = 0, 4000
        while True:
            # one that was lost to what else the machine does is not lost again
            done = self.rate(way, rate, seconds) or self.rate(way, rate, seconds)
            if not done and best == 0:
                assert rate > 100, "notifications are lost at any rate"
                rate /= 2
                continue
            if not done:
                return best
            achieved = done[0] / done[1]
            if achieved < 1.05 * best:
                return max(best, achieved)
            best, rate = achieved, rate * 1.25


    def cost(self, way, count):
        """Microseconds of processor time for each, in the thread or process that sends."""
        who = (self.subagent.pid,) if way is self.bare else (self.daemon.process.pid, "snmp")
        before = processor_time(*who)
        assert self.rate(way, 2000, count / 2000), "notifications are lost at 2,000 a second"
        return (processor_time(*who) - before) / count / 1e3


def notify():
    """From connect() to the datagram of lvaClientConnected; notifications a second without loss."""
    with harness.Place() as place:
        ways = Ways(place)
        say("", "bare", "virtadmd", "ratio")
        for line in ways.latency(int(1000 * SCALE)).splitlines():
            name, *figures = line.split()
            say(f"connect() to datagram, {name}", *figures)
        bare, one = (ways.cost(way, int(4000 * SCALE)) for way in (ways.bare, ways.one))
        say("sending thread, cpu_us", f"{bare:.1f}", f"{one:.1f}", f"{one / bare:.2f}")
        bare = ways.highest(ways.bare, SCALE)
        one = ways.highest(ways.one, SCALE)
        ways.enable("1800")
        both = ways.highest(ways.both, SCALE)
        bare = max(bare, ways.highest(ways.bare, SCALE))
        say("a second, connected", f"{bare:.0f}", f"{one:.0f}", f"{one / bare:.2f}")
        say("a second, and disconnected", f"{bare:.0f}", f"{both:.0f}", f"{both / bare:.2f}")


class Stock:
    """The distribution's libvirt-admin, which waits for the answer to each call."""

    class Parameter(ctypes.Structure):
        _fields_ = [("field", ctypes.c_char * 80), ("type", ctypes.c_int), ("value", ctypes.c_uint64)]

    def __init__(self, path):
        self.lib = ctypes.CDLL("libvirt-admin.so.0")
        for name in "virAdmConnectOpen", "virAdmConnectLookupServer":
            getattr(self.lib, name).restype = ctypes.c_void_p
        self.conn = ctypes.c_void_p(self.lib.virAdmConnectOpen(
            f"libvirtd:///system?socket={path}".encode(), 0))
        assert self.conn, "the stock library does not connect"

    def parameters(self, get, thing):
        found, count = ctypes.POINTER(self.Parameter)(), ctypes.c_int()
        assert get(thing, ctypes.byref(found), ctypes.byref(count), 0) >= 0

    def identities(self, name):
        """(number of clients, milliseconds for who they are, for the rest)"""
        lib, clients = self.lib, ctypes.POINTER(ctypes.c_void_p)()
        begun = time.monotonic()
        server = ctypes.c_void_p(lib.virAdmConnectLookupServer(self.conn, name.encode(), 0))
        self.parameters(lib.virAdmServerGetThreadPoolParameters, server)
        self.parameters(lib.virAdmServerGetClientLimits, server)
        count = lib.virAdmServerListClients(server, ctypes.byref(clients), 0)
        listed = time.monotonic()
        for each in clients[:count]:
            self.parameters(lib.virAdmClientGetInfo, ctypes.c_void_p(each))
        done = time.monotonic()
        return count, (done - listed) * 1e3, (listed - begun) * 1e3


def remote():
    """Reading a daemon with 500 clients next to the stock library; a walk of it through a master."""
    with harness.Place() as place:
        libvirtd = harness.Libvirtd(place, extra=MAX_CLIENTS)
        clients = [patient_client(libvirtd.socket) for _ in range(500)]
        for client in clients:
            assert client.call(AUTH_LIST)[5] == 0
        stock = Stock(libvirtd.admin)
        rounds = [stock.identities("libvirtd") for _ in range(int(5 * SCALE))]
        time.sleep(3)  # who has just come is asked about twice
        say("ms", "who they are", "the rest", "calls")
        count, who, rest = (statistics.median(column) for column in zip(*rounds))
        say("stock library, one by one", f"{who:.1f}", f"{rest:.1f}", count + 4)
        say("", "first", "p50 later", "p99 later")
        spent = processor_time(libvirtd.process.pid)
        out = program("bench-remote", libvirtd.admin, int(20 * SCALE))[0]
        spent = processor_time(libvirtd.process.pid) - spent
        for line in out.splitlines():
            name, *figures = line.split()
            say(name.replace("_", " "), *figures)
        say("ms of libvirtd's processor", "", "", f"{spent / 1e6:.0f} in all")
        agent_walk(place, libvirtd)
        for client in clients:
            client.sock.close()


def agent_walk(place, libvirtd):
    """All that the agent shows, by GETBULK of 50, through a master."""
    snmpd = harness.Snmpd(place)
    agent = harness.Agent(place, snmpd, ("libvirtd", libvirtd.admin))
    harness.wait_for(lambda: (snmpd.get1("lvaClientNumber") or 0) >= 500, agent.log_text)
    walks = []
    for _ in range(int(5 * SCALE)):
        begun = time.monotonic()
        found = len(snmpd.walk())
        walks.append((time.monotonic() - begun) * 1e3)
    say("walk through the master", f"{statistics.median(walks):.0f} ms", f"{found} values")


BENCHMARKS = {"handler": handler, "relay": relay, "set": sets, "memory": memory,
              "connects": connects, "stopped": stopped, "notify": notify,
              "remote": remote}


def main():
    names = sys.argv[1:] or list(BENCHMARKS)
    for name in names:
        if name not in BENCHMARKS:
            sys.exit(f"no benchmark '{name}'; there are: {', '.join(BENCHMARKS)}")
    for name in names:
        print(f"{name}: {BENCHMARKS[name].__doc__.splitlines()[0]}", flush=True)
        BENCHMARKS[name]()


if __name__ == "__main__":
    main()
