# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares all that virtadm-agent serves about a daemon with all that the stock virt-admin prints
about it, value by value and in both directions.

    differences = remote_compare.compare(snmpd, "libvirtd:///system?socket=...", "libvirtd")

One virt-admin stays connected while it is asked. It is a client of the admin server then, like the
agent, and so a row that both sides have, instead of another one with each question. What comes and
goes all the same is seen by asking twice: the walk must agree with what virt-admin said before or
after it, and of what was said both times nothing may be missing."""

import calendar
import ipaddress
import os
import re
import select
import socket
import subprocess
import time
from typing import NamedTuple, Optional

import harness
import traps

# At the same time the agent asks as much as this, which the workers of the admin server show.
IN_FLIGHT = 4
DEFAULT_LEVEL = 5  # lvaLogLevel, daemonDefault
TRANSPORTS = {"unix": 1, "tcp": 2, "tls": 3}
NORMAL, HIGH, FULL = 1, 2, 3
TRUE, FALSE = 1, 2
UINT32 = range(1 << 32)
TEXT, TIME = "a text", "a time"  # of the agent itself: whatever they are

POOL = {"minWorkers": "WorkersMin", "maxWorkers": "WorkersMax", "prioWorkers": "WorkersPriority",
        "nWorkers": "WorkersCurrent", "freeWorkers": "WorkersFree",
        "jobQueueDepth": "JobQueueDepth"}
LIMITS = {"nclients_max": "ClientsMax", "nclients": "ClientsCurrent",
          "nclients_unauth_max": "ClientsUnauthMax", "nclients_unauth": "ClientsUnauthCurrent"}
# Fields of client-info: the columns, and what they are without the field.
NAMES = {"sasl_user_name": "SaslUserName", "tls_x509_dname": "X509DistinguishedName",
         "unix_user_name": "UnixUserName", "unix_group_name": "UnixGroupName",
         "selinux_context": "SelinuxContext"}
NUMBERS = {"unix_user_id": ("UnixUserId", 0xffffffff), "unix_group_id": ("UnixGroupId", 0xffffffff),
           "unix_process_id": ("UnixProcessId", 0)}
OWN_FIELDS = {"id", "connection_time", "transport"}  # as in client-list
INFO_FIELDS = OWN_FIELDS | {"readonly", "sock_addr", *NAMES, *NUMBERS}


class Client(NamedTuple):
    transport: str
    since: int              # seconds since the epoch
    info: Optional[dict]    # None: the daemon knows nothing of it


class Server(NamedTuple):
    pool: dict
    limits: dict
    clients: dict  # by id


class Said(NamedTuple):
    """All that virt-admin prints about a daemon."""
    version: str
    uri: str
    filters: str
    outputs: str
    servers: dict  # by name


class Subject(NamedTuple):
    """What the agent knows of a daemon by its own configuration. contexts: of lvaContextTable, name
    and URI of each daemon; it is in the default context only."""
    name: str
    uri: str
    high_percent: int = 90
    contexts: tuple = ()


# ---- what virt-admin says ----

class VirtAdmin:
    """A virt-admin at its prompt."""

    PROMPT = "virt-admin # "

    def __init__(self, uri):
        self.process = subprocess.Popen(
            [harness.tool("virt-admin"), "-c", uri], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env={**os.environ, "TERM": "dumb", "LC_ALL": "C.UTF-8"})
        self.pid = self.process.pid
        try:
            self.answer("the connection")
        except AssertionError:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(harness.PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def answer(self, question):
        deadline, text = time.monotonic() + harness.PATIENCE, ""
        while not text.endswith("\n" + self.PROMPT):
            ready, _, _ = select.select([self.process.stdout], [], [],
                                        max(deadline - time.monotonic(), 0))
            more = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not more:
                raise AssertionError(f"virt-admin, {question}: {text}")
            text += more.decode(errors="surrogateescape")
        return text[:-len(self.PROMPT)]

    def ask(self, *words):
        """(TRUE when it worked, what it printed)"""
        question = " ".join(words)
        self.process.stdin.write((question + "\n").encode(errors="surrogateescape"))
        self.process.stdin.flush()
        echo, _, text = self.answer(question).partition("\n")  # as readline does without a terminal
        assert echo == question, (echo, question)
        return not text.startswith("error:"), text


def seconds(text):
    """Of a time as virt-admin prints it."""
    when, sign, hours, minutes = re.fullmatch(r"(.*)([+-])(\d\d)(\d\d)", text).groups()
    shift = (int(hours) * 60 + int(minutes)) * 60
    return calendar.timegm(time.strptime(when, "%Y-%m-%d %H:%M:%S")) + \
        (shift if sign == "-" else -shift)


def must(admin, *words):
    worked, text = admin.ask(*words)
    assert worked, (words, text)
    return text


def fields(text):
    return dict(re.findall(r"^(\w+) *: ?(.*)$", text, re.M))


def numbers(text, known):
    found = {name: int(value) for name, value in fields(text).items()}
    assert set(found) == set(known), f"virt-admin prints {sorted(found)}"
    return found


def rows(text):
    """Of a table, without its two lines of heading."""
    return [line.split(maxsplit=2) for line in text.split("\n")[2:] if line.strip()]


def ask_client(admin, server, row):
    """None: it has gone since."""
    number, transport, since = row
    worked, text = admin.ask("client-info", server, number)
    if "No identity information" in text:
        return Client(transport, seconds(since), None)
    if not worked:
        assert "Client not found" in text or "No network socket" in text, text
        return None
    info = fields(text)
    assert OWN_FIELDS | {"readonly"} <= set(info) <= INFO_FIELDS, \
        f"virt-admin prints {sorted(info)}"
    assert (info["id"], info["transport"], info["connection_time"]) == (number, transport, since)
    return Client(transport, seconds(since), {key: value for key, value in info.items()
                                              if key not in OWN_FIELDS})


def ask_server(admin, name):
    listed = rows(must(admin, "client-list", name))
    clients = {int(row[0]): ask_client(admin, name, row) for row in listed}
    return Server(numbers(must(admin, "server-threadpool-info", name), POOL),
                  numbers(must(admin, "server-clients-info", name), LIMITS),
                  {number: client for number, client in clients.items() if client})


def ask_all(admin):
    names = [row[1] for row in rows(must(admin, "server-list"))]
    return Said(re.search(r"^Running against daemon: (.*)$", must(admin, "version"), re.M)[1],
                must(admin, "uri").strip(),
                must(admin, "daemon-log-filters").partition("Logging filters:")[2].strip(),
                must(admin, "daemon-log-outputs").partition("Logging outputs:")[2].strip(),
                {name: ask_server(admin, name) for name in names})


# ---- what the walk must have for that ----

def level_and_filters(text):
    """lvaLogLevel and lvaLogFilters: the first filter that matches everything is the level."""
    level, shown = DEFAULT_LEVEL, []
    for word in text.split():
        priority, _, match = word.partition(":")
        if match.strip("*"):
            inner = match[1:-1]
            # a plus in front is dropped by the daemon that is given it
            shown.append(f"{priority}:{'+' if inner.startswith('+') else ''}{inner}")
        elif level == DEFAULT_LEVEL:
            level = int(priority)
    return level, " ".join(shown)


def server_indexes(names, own):
    """own: names of which one is the daemon's main server."""
    first = {name: 1 if name == "admin" else 2 for name in names if name == "admin" or name in own}
    rest = sorted((name for name in names if name not in first), key=str.encode)
    return first | {name: 3 + place for place, name in enumerate(rest)}


def client_indexes(numbers_):
    found = {}
    for number in sorted(numbers_):
        index = number & 0xffffffff
        while index == 0 or index in found.values():
            index = (index + 1) & 0xffffffff
        found[number] = index
    return found


def alarm(current, threshold):
    """Whether an alarm at a threshold may be, and may not be: in between, both."""
    return (current > min(threshold - 1, 9 * threshold // 10), current < threshold)


def limit_states(current, limit, percent):
    full, not_full = alarm(current, limit)
    found = {FULL} if full else set()
    if not_full:
        threshold = -(-limit * percent // 100)
        high, not_high = alarm(current, threshold) if percent else (False, True)
        found |= ({HIGH} if high else set()) | ({NORMAL} if not_high else set())
    return found


def of_server(server, name, percent):
    """By column: what may stand there."""
    found = {column: {server.pool[field]} for field, column in POOL.items()}
    found |= {column: {server.limits[field]} for field, column in LIMITS.items()}
    if name == "admin" and server.pool["maxWorkers"]:
        # it serves the question itself: one of virt-admin, some of the agent
        busy = server.pool["nWorkers"]
        found["WorkersFree"] = range(max(busy - IN_FLIGHT, 0), busy)
        found["JobQueueDepth"] = range(IN_FLIGHT)
    limits = server.limits
    unauth_max, unauth = limits["nclients_unauth_max"], limits["nclients_unauth"]
    return found | {
        "Name": {name},
        "ClientsHighPercent": {percent},
        "ClientsState": limit_states(limits["nclients"], limits["nclients_max"], percent),
        "ClientsUnauthState": limit_states(unauth, unauth_max, 0) if unauth_max else {NORMAL},
        "ClientsFullEvents": UINT32,
    }


def inet(text):
    """(type, octets, port) of sock_addr"""
    if not text:
        return 0, b"", 0
    host, _, port = text.rpartition(":")
    address, _, zone = host.strip("[]").partition("%")
    octets = ipaddress.ip_address(address).packed
    kind = 1 if len(octets) == 4 else 2
    if zone:
        number = int(zone) if zone.isdigit() else socket.if_nametoindex(zone)
        kind, octets = 4, octets + number.to_bytes(4, "big")
    return kind, octets, int(port)


def peer(client):
    info = client.info or {}
    if "sock_addr" in info:
        return info["sock_addr"]
    if "unix_process_id" in info:
        user = int(info.get("unix_user_id", -1)) & 0xffffffff
        return f"unix:pid={info['unix_process_id']},uid={user}"
    return client.transport


def of_identity(info):
    kind, octets, port = inet(info.get("sock_addr"))
    found = {"ReadOnly": {TRUE if info["readonly"] == "yes" else FALSE},
             "AddressType": {kind}, "Address": {octets}, "Port": {port}}
    found |= {column: {info.get(field, "")} for field, column in NAMES.items()}
    return found | {column: {int(info.get(field, none)) & 0xffffffff}
                    for field, (column, none) in NUMBERS.items()}


def of_client(number, client, walked):
    found = of_identity(client.info) if client.info is not None else {}
    if client.transport in TRANSPORTS:
        found["Transport"] = {TRANSPORTS[client.transport]}
    began, ended = walked
    return found | {
        "Id": {number}, "ConnectedSince": {date_and_time(client.since)}, "AdminStatus": {1},
        "Peer": {peer(client)},
        "Age": range(max(int(began) - client.since - 1, 0), int(ended) - client.since + 2),
    }


def date_and_time(when):
    """The eleven octets of DateAndTime."""
    year, month, day, hour, minute, second = time.gmtime(when)[:6]
    return year.to_bytes(2, "big") + bytes((month, day, hour, minute, second, 0)) + b"+\0\0"


def of_agent(subject):
    """What the agent tells of itself, by name."""
    return {
        "lvaDaemonName": {subject.name}, "lvaDaemonUri": {subject.uri}, "lvaDaemonState": {1},
        "lvaConfigLock": range(1 << 31), "lvaConfigGeneration": range(1, 1 << 32),
        "lvaConfigLastChange": TIME, "lvaConfigLastOrigin": {1, 2, 3}, "lvaConfigAge": UINT32,
        "lvaConfigLastError": TEXT,
        "lvaNotifyEnable": TEXT, "lvaNotifyMinInterval": range(3601), "lvaNotifySent": UINT32,
        "lvaNotifySuppressed": UINT32, "lvaNotifyDiscontinuityTime": TIME,
        "lvaServiceNumber": {0}, "lvaContextNumber": {len(subject.contexts)}}


def of_context(name, uri):
    index = (len(name), *name.encode())
    return {("lvaContextDaemonName", index): {name}, ("lvaContextState", index): {1, 2},
            ("lvaContextUri", index): {uri}}


def expected(said, subject, walked):
    """By name and index of each instance: what it may be. walked: when the walk began and ended,
    seconds since the epoch."""
    level, filters = level_and_filters(said.filters)
    scalars = of_agent(subject) | {
        "lvaDaemonVersion": {said.version}, "lvaLogLevel": {level}, "lvaLogFilters": {filters},
        "lvaLogOutputs": {said.outputs}, "lvaServerNumber": {len(said.servers)},
        "lvaClientNumber": {sum(len(server.clients) for server in said.servers.values())}}
    found = {(name, (0,)): value for name, value in scalars.items()}
    for name, uri in subject.contexts:
        found |= of_context(name, uri)
    indexes = server_indexes(said.servers, (subject.name, subject.uri.partition(":")[0]))
    for name, server in said.servers.items():
        index = indexes[name]
        found |= {("lvaServer" + column, (index,)): value for column, value in
                  of_server(server, name, subject.high_percent).items()}
        for number, client_index in client_indexes(server.clients).items():
            found |= {("lvaClient" + column, (index, client_index)): value for column, value in
                      of_client(number, server.clients[number], walked).items()}
    return found


# ---- the walk ----

KINDS = {2: ("INTEGER",), 4: ("STRING", "Hex-STRING"), 0x41: ("Counter32",), 0x42: ("Gauge32",),
         0x46: ("Counter64",)}
COLUMNS = {harness.OIDS[name]: name for name in traps.OBJECTS if name in harness.OIDS}


def parse(text):
    """[(OID, kind, value), ...] of what snmpwalk -On -Ox prints; strings are octets."""
    found = []
    for line in text.splitlines():
        head = re.match(r"^\.([\d.]+) = (.*)$", line)
        if head:
            found.append([head[1], head[2]])
        elif found:
            found[-1][1] += " " + line
    return [(name, *value_of(value)) for name, value in found
            if not value.startswith(("No Such", "No more"))]


def value_of(text):
    if text == '""':
        return "STRING", b""
    kind, _, rest = text.partition(": ")
    if kind == "Hex-STRING":
        return kind, bytes.fromhex(rest)
    return kind, int(rest)


def walk(snmpd, program, community):
    options = ("-Cc", "-Ox") + (("-Cr50",) if program == "snmpbulkwalk" else ())
    began = time.time()
    status, out, err = snmpd.tool(program, harness.ROOT_OID, options=options, community=community,
                                  timeout=30)
    assert status == 0, f"{program}: {out[-300:]}{err}"
    return parse(out), (began, time.time())


def name_of(number):
    """("lvaClientId", (2, 14)) of an OID."""
    head, tail = number, ()
    while head and head not in COLUMNS:
        head, _, arc = head.rpartition(".")
        tail = (int(arc), *tail)
    return (COLUMNS[head], tail) if head else (number, ())


# ---- the comparison ----

def fits(value, wanted):
    if wanted == TEXT:
        return isinstance(value, bytes)
    if wanted == TIME:
        return isinstance(value, bytes) and len(value) == 11
    return value in [text.encode(errors="surrogateescape") if isinstance(text, str) else text
                     for text in wanted] if isinstance(wanted, set) else value in wanted


def show(key):
    return ".".join([key[0], *map(str, key[1])])


def odd_walk(found):
    """What is wrong with a walk whatever the daemon says: its order, and the types."""
    arcs = [tuple(map(int, number.split("."))) for number, _, _ in found]
    for one, two in zip(arcs, arcs[1:]):
        if one >= two:
            yield f"{'.'.join(map(str, two))} does not belong behind {'.'.join(map(str, one))}"
    for number, kind, _ in found:
        name, _ = name_of(number)
        if name in traps.OBJECTS and kind not in KINDS[traps.OBJECTS[name][0]]:
            yield f"{name} is of type {kind}"


def differences(found, walked, saids, subject):
    """found: as parse() has it; walked: when it began and ended; saids: what virt-admin said before
    and after."""
    texts = list(odd_walk(found))
    there = {name_of(number): value for number, _, value in found}
    wishes = [expected(said, subject, walked) for said in saids]
    for key in sorted(set().union(*wishes)):
        wanted = [wish[key] for wish in wishes if key in wish]
        if key not in there:
            if len(wanted) == len(wishes):
                texts.append(f"{show(key)} is missing: {wanted}")
        elif not any(fits(there[key], wish) for wish in wanted):
            texts.append(f"{show(key)} is {there[key]!r}, not {wanted}")
    for key in there:
        if not any(key in wish for wish in wishes):
            texts.append(f"{show(key)} is {there[key]!r}: nobody says so")
    for said in saids:
        if said.uri != subject.uri:
            texts.append(f"virt-admin is connected to {said.uri}, the agent to {subject.uri}")
    return texts


def compare_once(snmpd, admin, subject, community):
    before = ask_all(admin)
    walks = [walk(snmpd, program, community) for program in ("snmpbulkwalk", "snmpwalk")]
    saids = (before, ask_all(admin))
    return [text for found, walked in walks
            for text in differences(found, walked, saids, subject)]


def compare(snmpd, uri, name, community=harness.READ, high_percent=90, contexts=(), patience=None):
    """The differences between the agent's source @name, whose configuration has @uri, and the
    daemon. What the agent serves is some seconds old, so they are those of the last attempt.
    @community: leads to the context of the source. @contexts: ((name, URI), ...) of all sources,
    when that is the default context."""
    subject = Subject(name, uri, high_percent, tuple(contexts))
    deadline = time.monotonic() + (patience or harness.PATIENCE)
    with VirtAdmin(uri) as admin:
        while True:
            found = compare_once(snmpd, admin, subject, community)
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.2)
