# SPDX-License-Identifier: LGPL-2.1-or-later
"""The comparison of virtadm-agent with virt-admin itself: it finds no difference where there is
none, and each that there can be."""

import unittest

import remote_compare
import traps
from harness import OIDS
from remote_compare import Subject

URI = "libvirtd:///system?socket=/run/admin-sock"
SUBJECT = Subject("libvirtd", URI, 80, (("libvirtd", URI), ("log", "virtlogd:///system")))
NOW = 1795260839  # 2026-11-21 11:33:59 UTC
SINCE = b"\x07\xea\x0b\x15\x0b\x21\x3b\x00+\0\0"

UNIX = """\
unix_user_id   : {}
unix_user_name : {}
unix_group_id  : 0
unix_group_name: root
unix_process_id: {}
"""


def table(*lines):
    return "\n".join((" Id   Name", "-----------", *lines, "", ""))


def pool(*values):
    names = ("minWorkers", "maxWorkers", "nWorkers", "freeWorkers", "prioWorkers", "jobQueueDepth")
    return "".join(f"{name:15}: {value}\n" for name, value in zip(names, values)) + "\n"


def limits(*values):
    names = ("nclients_max", "nclients", "nclients_unauth_max", "nclients_unauth")
    return "".join(f"{name:20}: {value}\n" for name, value in zip(names, values)) + "\n"


def info(number, transport, rest, readonly="no"):
    return (f"id             : {number}\nconnection_time: 2026-11-21 12:33:59+0100\n"
            f"transport      : {transport}\nreadonly       : {readonly}\n{rest}\n")


def client(number, transport):
    return f" {number}    {transport}        2026-11-21 12:33:59+0100"


ANSWERS = {
    "server-list": table(" 0    zebra", " 1    libvirtd", " 2    Ärger", " 3    admin"),
    "version": "Compiled against library: libvirt 9.0.0\nUsing library: libvirt 9.0.0\n"
               "Running against daemon: 9.0.1\n\n",
    "uri": URI + "\n\n",
    "daemon-log-filters": " Logging filters: 1:*qemu* 3:*+rpc* 2:*** 4:*** 4:**late** \n\n",
    "daemon-log-outputs": " Logging outputs: 3:file:/var/log/a b.log 1:stderr\n\n",
    "server-threadpool-info admin": pool(1, 5, 5, 4, 0, 0),
    "server-clients-info admin": limits(50, 2, 0, 0),
    "client-list admin": table(client(7, "unix"), client(9, "unix")),
    "client-info admin 7": info(7, "unix", UNIX.format(0, "root", 4711)),
    "client-info admin 9": info(9, "unix", UNIX.format(0, "root", 4712)),
    "server-threadpool-info libvirtd": pool(5, 20, 6, 3, 4, 2),
    "server-clients-info libvirtd": limits(5, 4, 20, 1),
    "client-list libvirtd": table(client(4294967298, "unix"), client(14, "tcp"), client(15, "tls"),
                                  client(16, "unix"), client(17, "pipe")),
    "client-info libvirtd 4294967298": info(4294967298, "unix", UNIX.format(-2, "no body", 42) +
                                            "selinux_context: system_u:x\n", "yes"),
    "client-info libvirtd 14": info(14, "tcp", "sasl_user_name : jane\n"
                                               "sock_addr      : 192.0.2.7:52110\n"),
    "client-info libvirtd 15": info(15, "tls", "sock_addr      : [2001:db8::1]:52111\n"
                                               "tls_x509_dname : C=DE,CN=host\n"),
    "client-info libvirtd 16": "error: failed to retrieve client identity information for client "
                               "'16' connected to server 'libvirtd'\nerror: internal error: No "
                               "identity information available for client\n\n",
    "client-info libvirtd 17": "error: Client not found: No client with matching ID '17'\n\n",
    "server-threadpool-info zebra": pool(0, 0, 0, 0, 0, 0),
    "server-clients-info zebra": limits(0, 0, 7, 0),
    "client-list zebra": table(),
    "server-threadpool-info Ärger": pool(1, 2, 2, 2, 3, 0),
    "server-clients-info Ärger": limits(100, 0, 7, 7),
    "client-list Ärger": table(),
}

SCALARS = {
    "DaemonName": b"libvirtd", "DaemonVersion": b"9.0.1", "DaemonUri": URI.encode(),
    "DaemonState": 1, "ConfigLock": 77, "ConfigGeneration": 1, "ConfigLastChange": SINCE,
    "ConfigLastOrigin": 1, "ConfigAge": 9, "ConfigLastError": b"", "LogLevel": 2,
    "LogFilters": b"1:qemu 3:++rpc 4:*late*", "LogOutputs": b"3:file:/var/log/a b.log 1:stderr",
    "NotifyEnable": b"\xe7\xc0", "NotifyMinInterval": 5, "NotifySent": 0, "NotifySuppressed": 0,
    "NotifyDiscontinuityTime": SINCE, "ServerNumber": 4, "ServiceNumber": 0, "ClientNumber": 6,
    "ContextNumber": 2}
SERVER = ("Name", "WorkersMin", "WorkersMax", "WorkersPriority", "WorkersCurrent", "WorkersFree",
          "JobQueueDepth", "ClientsMax", "ClientsCurrent", "ClientsUnauthMax",
          "ClientsUnauthCurrent", "ClientsHighPercent", "ClientsState", "ClientsUnauthState",
          "ClientsFullEvents")
SERVERS = {
    1: (b"admin", 1, 5, 0, 5, 2, 1, 50, 2, 0, 0, 80, 1, 1, 0),
    2: (b"libvirtd", 5, 20, 4, 6, 3, 2, 5, 4, 20, 1, 80, 2, 1, 3),
    3: (b"zebra", 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 80, 3, 1, 1),
    4: ("Ärger".encode(), 1, 2, 3, 2, 2, 0, 100, 0, 7, 7, 80, 1, 3, 0)}
NOBODY = (1 << 32) - 1
CLIENT = ("Id", "Transport", "ConnectedSince", "AdminStatus", "Peer", "Age", "ReadOnly",
          "AddressType", "Address", "Port", "SaslUserName", "X509DistinguishedName", "UnixUserId",
          "UnixUserName", "UnixGroupId", "UnixGroupName", "UnixProcessId", "SelinuxContext")
CLIENTS = {
    (1, 7): (7, 1, SINCE, 1, b"unix:pid=4711,uid=0", 8, 2, 0, b"", 0, b"", b"", 0, b"root", 0,
             b"root", 4711, b""),
    (1, 9): (9, 1, SINCE, 1, b"unix:pid=4712,uid=0", 8, 2, 0, b"", 0, b"", b"", 0, b"root", 0,
             b"root", 4712, b""),
    (2, 2): (4294967298, 1, SINCE, 1, b"unix:pid=42,uid=4294967294", 8, 1, 0, b"", 0, b"", b"",
             NOBODY - 1, b"no body", 0, b"root", 42, b"system_u:x"),
    (2, 14): (14, 2, SINCE, 1, b"192.0.2.7:52110", 8, 2, 1, b"\xc0\0\x02\x07", 52110, b"jane", b"",
              NOBODY, b"", NOBODY, b"", 0, b""),
    (2, 15): (15, 3, SINCE, 1, b"[2001:db8::1]:52111", 8, 2, 2,
              bytes.fromhex("20010db8000000000000000000000001"), 52111, b"", b"C=DE,CN=host",
              NOBODY, b"", NOBODY, b"", 0, b""),
    (2, 16): (16, 1, SINCE, 1, b"unix", 8)}  # it never spoke
CONTEXT = {"ContextDaemonName": (b"libvirtd", b"log"), "ContextState": (1, 2),
           "ContextUri": (URI.encode(), b"virtlogd:///system")}
CONTEXT_INDEX = ((8, *b"libvirtd"), (3, *b"log"))

# Any other value is as good.
AGENTS_OWN = {"lvaConfigLock", "lvaConfigGeneration", "lvaConfigLastChange", "lvaConfigLastOrigin",
              "lvaConfigAge", "lvaConfigLastError", "lvaNotifyEnable", "lvaNotifyMinInterval",
              "lvaNotifySent", "lvaNotifySuppressed", "lvaNotifyDiscontinuityTime",
              "lvaServerClientsFullEvents", "lvaClientAge", "lvaContextState"}
# What the admin server shows of itself depends on who asks.
ASKING = {("lvaServerWorkersFree", (1,)), ("lvaServerJobQueueDepth", (1,))}
FOREIGN = ("DaemonStartTime", "DaemonProcessId", "DaemonUpTime", "ConfigStorage",
           "ConfigConfirmTimeout", "LogStatsEmitted", "ServerClientsAccepted",
           "ServerAuthFailures", "ServerClientRequestsMax", "ServerClientRequestsDelayed",
           "ServerJobsDone", "ServerJobsFailed", "ServerJobWaitTime", "ServerJobRunTime",
           "ServerUpstreamState", "ServiceTransport", "ClientAuthenticated", "ClientRequests",
           "ClientRequestsInFlight", "ClientIdleTime")


def instances():
    """By name and index."""
    found = {("lva" + name, (0,)): value for name, value in SCALARS.items()}
    found |= {("lvaServer" + name, (index,)): value for index, row in SERVERS.items()
              for name, value in zip(SERVER, row)}
    found |= {("lvaClient" + name, index): value for index, row in CLIENTS.items()
              for name, value in zip(CLIENT, row)}
    return found | {("lva" + name, index): value for name, column in CONTEXT.items()
                    for index, value in zip(CONTEXT_INDEX, column)}


def printed(found):
    """As snmpwalk prints them."""
    def line(key, value):
        number = ".".join([OIDS[key[0]], *map(str, key[1])])
        kind = remote_compare.KINDS[traps.OBJECTS[key[0]][0]][-1]
        if isinstance(value, bytes):
            shown = f"{kind}: {value.hex(' ').upper()} " if value else '""'
        else:
            shown = f"{kind}: {value}"
        return [int(arc) for arc in number.split(".")], f".{number} = {shown}\n"
    return "".join(text for _, text in sorted(line(*one) for one in found.items()))


class Canned:
    """In the place of VirtAdmin."""

    def __init__(self, answers):
        self.answers = answers

    def ask(self, *words):
        text = self.answers[" ".join(words)]
        return not text.startswith("error:"), text


def said(**changed):
    return remote_compare.ask_all(Canned(ANSWERS | changed))


def compare(text, *saids):
    return remote_compare.differences(remote_compare.parse(text), (NOW + 7.5, NOW + 8.5),
                                      saids or (said(), said()), SUBJECT)


class Compare(unittest.TestCase):
    def found(self, differences, key):
        self.assertTrue(any(remote_compare.show(key) in text for text in differences),
                        f"{key}: {differences}")

    def test_no_difference(self):
        self.assertEqual(compare(printed(instances())), [])

    def test_each_value(self):
        for key, value in instances().items():
            if key[0] in AGENTS_OWN or key in ASKING:
                continue
            for other in ((value + 1, value + 256) if isinstance(value, int)
                          else (value + b"x", b"x" + value, value.swapcase())):
                if other != value:
                    self.found(compare(printed(instances() | {key: other})), key)

    def test_bounds(self):
        for key, bad in ((("lvaServerWorkersFree", (1,)), (0, 5)),
                         (("lvaServerJobQueueDepth", (1,)), (4,)),
                         (("lvaClientAge", (2, 14)), (5, 11, 4294967295)),
                         (("lvaConfigGeneration", (0,)), (0,)),
                         (("lvaConfigLastOrigin", (0,)), (0, 4, 5)),
                         (("lvaConfigLastChange", (0,)), (b"", SINCE[:8])),
                         (("lvaServerClientsState", (2,)), (1, 3))):
            for value in bad:
                self.found(compare(printed(instances() | {key: value})), key)

    def test_each_missing(self):
        for key in instances():
            left = instances()
            del left[key]
            self.found(compare(printed(left)), key)

    def test_each_too_many(self):
        indexes = {0: (0,), 1: (1,), 2: (2, 14)}
        for name in FOREIGN:
            key = "lva" + name, indexes[traps.OBJECTS["lva" + name][1]]
            self.assertNotIn(key, instances())
            self.found(self.with_another(key), key)
        for key in (("lvaClientId", (2, 17)), ("lvaServerName", (5,)),
                    ("lvaClientReadOnly", (2, 16)), ("lvaContextState", (3, 1, 2, 3))):
            self.found(self.with_another(key), key)

    def with_another(self, key):
        value = b"x" if traps.OBJECTS[key[0]][0] == traps.TYPES["OCTET_STR"] else 1
        return compare(printed(instances() | {key: value}))

    def test_unknown_column(self):
        number = OIDS["lvaClientAge"].rsplit(".", 1)[0] + ".99.2.14"
        self.found(compare(printed(instances()) + f".{number} = INTEGER: 1\n"), (number, ()))

    def test_types(self):
        text = printed(instances())
        for kind, other in (("INTEGER", "Gauge32"), ("Gauge32", "INTEGER"),
                            ("Counter64", "Counter32"), ("Counter32", "Counter64")):
            self.assertIn(f"{kind}: ", text)
            self.assertTrue(compare(text.replace(f"{kind}: ", f"{other}: ", 1)), kind)

    def test_order(self):
        lines = printed(instances()).splitlines(keepends=True)
        lines[7:9] = reversed(lines[7:9])
        self.assertTrue(compare("".join(lines)))
        self.assertTrue(compare("".join(lines[:3] + lines[2:3] + lines[3:])))

    def test_each_answer(self):
        """Whatever virt-admin prints is compared, so a change of it is found."""
        for question, answer in ANSWERS.items():
            lines = answer.splitlines()
            for number, line in enumerate(lines):
                if not line or line.startswith(("Compiled", "Using", "error:", " Id", "---")):
                    continue
                if "libvirtd 17" in question or line.startswith(" 17"):
                    continue  # that one has gone
                changed = lines[:number] + lines[number + 1:] + [""]
                with self.subTest(question, without=line):
                    self.assertTrue(self.differs({question: "\n".join(changed) + "\n"}))

    def differs(self, changed):
        try:
            one = said(**changed)
        except (AssertionError, KeyError, TypeError):
            return True  # not as virt-admin prints it
        return compare(printed(instances()), one, one)

    def test_each_number(self):
        for question, answer in ANSWERS.items():
            if not question.endswith(("admin", "zebra", "Ärger", "libvirtd")) or "list" in question:
                continue
            for line in answer.splitlines():
                if line and not ("admin" in question and line.startswith(("free", "jobQ"))):
                    name, _, value = line.partition(":")
                    other = answer.replace(line, f"{name}: {int(value) + 1}")
                    with self.subTest(question, line=line):
                        self.assertTrue(self.differs({question: other}))

    def test_unknown_field(self):
        """What a later virt-admin prints is not passed over in silence."""
        for question in ("client-info admin 7", "server-threadpool-info libvirtd",
                         "server-clients-info libvirtd"):
            answer = ANSWERS[question].rstrip("\n") + "\nnews           : 1\n"
            with self.assertRaisesRegex(AssertionError, "news"):
                said(**{question: answer})

    def test_who_comes(self):
        """One that is there the second time only may be in the walk or not; not half of it."""
        later = ANSWERS["client-list zebra"].rstrip("\n") + "\n" + client(3, "unix") + "\n\n"
        after = said(**{"client-list zebra": later, "server-clients-info zebra": limits(0, 1, 7, 0),
                        "client-info zebra 3": ANSWERS["client-info libvirtd 16"]})
        self.assertEqual(compare(printed(instances()), said(), after), [])
        row = {("lvaClient" + name, (3, 3)): value for name, value in
               zip(CLIENT, (3, *CLIENTS[2, 16][1:]))}
        there = instances() | row | {("lvaServerClientsCurrent", (3,)): 1,
                                     ("lvaClientNumber", (0,)): 7}
        self.assertEqual(compare(printed(there), said(), after), [])
        for key in row:
            if key[0] != "lvaClientAge":
                self.found(compare(printed(there | {key: 99}), said(), after), key)
        self.found(compare(printed(instances()), after, after), ("lvaClientId", (3, 3)))
        self.found(compare(printed(there)), ("lvaClientId", (3, 3)))

    def test_wrong_daemon(self):
        self.assertIn("virt-admin is connected to", "".join(self.differs({"uri": "x:///\n\n"})))


if __name__ == "__main__":
    unittest.main()
