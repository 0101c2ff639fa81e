# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an operator does over SNMP, with the real tools against the real daemon."""

import os
import re
import signal
import struct
import unittest

import harness
from harness import READ, Raw, oid


class Snmp(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = harness.Place()
        cls.addClassCleanup(cls.place.close)
        cls.snmpd = harness.Snmpd(cls.place)
        cls.libvirtd = harness.Libvirtd(cls.place)

    def setUp(self):
        self.daemon = harness.Virtadmd(self.place, self.libvirtd, self.snmpd)
        self.addCleanup(self.daemon.process.end)

    def workers(self):
        return tuple(self.snmpd.get(oid("lvaServerWorkersMin", 2), oid("lvaServerWorkersMax", 2)))

    @harness.needs_root  # another user's libvirtd has no read-only socket
    def test_walks_agree(self):
        """snmpwalk and snmpbulkwalk see the same instances, strictly increasing, and snmpget each
        of them; the servers are the ones that virt-admin lists."""
        with harness.idle_virsh(self.place, self.daemon.socket), \
                harness.idle_virsh(self.place, self.daemon.socket_ro, "ro", True):
            harness.wait_for(lambda: self.snmpd.get1("lvaServerClientsCurrent", 2) == 2,
                             "two clients")
            walk = self.snmpd.walk(bulk=False)
            bulk = self.snmpd.walk()
        names = [name for name, _ in walk]
        self.assertEqual(names, [name for name, _ in bulk])
        arcs = [[int(arc) for arc in name.split(".")] for name in names]
        self.assertEqual(arcs, sorted(arcs))
        self.assertEqual(len(names), len(set(names)))
        self.assertGreater(len(names), 120)
        for name, value in walk:
            if ".1.6." not in name[len(harness.ROOT_OID):]:  # clients have left
                self.assertIsNotNone(self.snmpd.get(name)[0], name)
        rows = {name: value for name, value in walk}
        self.assertEqual(rows[oid("lvaServerName", 1)], "admin")
        self.assertEqual(rows[oid("lvaServerName", 2)], "libvirtd")
        clients = [value for name, value in walk if name.startswith(oid("lvaClientId", 2) + ".")]
        self.assertEqual(len(clients), 2)
        self.assertEqual({rows[oid("lvaClientReadOnly", 2, id_)] for id_ in clients}, {1, 2})
        self.assertEqual({rows[oid("lvaClientUnixUserId", 2, id_)] for id_ in clients},
                         {os.geteuid()})
        self.assertEqual(rows[oid("lvaClientNumber")], 2)

    def test_rows_are_what_virt_admin_says(self):
        _, out, _ = self.daemon.virt_admin("server-threadpool-info", "libvirtd")
        said = {key: int(value) for key, value in re.findall(r"(\w+)\s*: (\d+)", out)}
        for column, field in (("WorkersMin", "minWorkers"), ("WorkersMax", "maxWorkers"),
                              ("WorkersCurrent", "nWorkers"), ("WorkersFree", "freeWorkers"),
                              ("WorkersPriority", "prioWorkers"),
                              ("JobQueueDepth", "jobQueueDepth")):
            self.assertEqual(self.snmpd.get1("lvaServer" + column, 2), said[field], column)
        _, out, _ = self.daemon.virt_admin("server-clients-info", "libvirtd")
        said = {key: int(value) for key, value in re.findall(r"(\w+)\s*: (\d+)", out)}
        for column, field in (("ClientsMax", "nclients_max"), ("ClientsCurrent", "nclients"),
                              ("ClientsUnauthMax", "nclients_unauth_max"),
                              ("ClientsUnauthCurrent", "nclients_unauth")):
            self.assertEqual(self.snmpd.get1("lvaServer" + column, 2), said[field], column)

    def test_pool_in_either_order(self):
        low, high = oid("lvaServerWorkersMin", 2), oid("lvaServerWorkersMax", 2)
        for order in ((low, 30), (high, 40)), ((high, 40), (low, 30)):
            self.assertEqual(self.workers(), (5, 20))
            before = self.snmpd.get1("lvaConfigGeneration")
            status, text = self.snmpd.set(*((name, "u", value) for name, value in order))
            self.assertEqual(status, 0, text)
            self.assertEqual(self.workers(), (30, 40))
            self.assertEqual(self.snmpd.get1("lvaServerWorkersCurrent", 2), 30)
            self.assertEqual(self.snmpd.get1("lvaConfigGeneration"), before + 1)
            self.assertEqual(self.snmpd.get1("lvaConfigLastOrigin"), 3)
            _, out, _ = self.daemon.virt_admin("server-threadpool-info", "libvirtd")
            self.assertRegex(out, r"minWorkers\s*: 30\nmaxWorkers\s*: 40\nnWorkers\s*: 30")
            self.assertEqual(self.daemon.virt_admin("server-threadpool-set", "libvirtd",
                                                    "--min-workers", "5", "--max-workers", "20")[0],
                             0)
            self.assertEqual(self.snmpd.get1("lvaConfigLastOrigin"), 2)
            harness.wait_for(lambda: self.snmpd.get1("lvaServerWorkersCurrent", 2) == 20,
                             "surplus workers to retire")

    def test_contradiction_changes_nothing(self):
        before = self.snmpd.get1("lvaConfigGeneration")
        status, text = self.snmpd.set((oid("lvaServerWorkersMin", 2), "u", 50),
                                      (oid("lvaServerWorkersMax", 2), "u", 40))
        self.assertNotEqual(status, 0)
        self.assertIn("inconsistentValue", text)
        self.assertEqual(self.workers(), (5, 20))
        self.assertEqual(self.snmpd.get1("lvaConfigGeneration"), before)
        self.assertRegex(self.snmpd.get1("lvaConfigLastError"), "minWorkers.*maxWorkers")

    def test_error_names_its_varbind(self):
        """A level together with a bad filter: wrongValue on the filter, the level unchanged."""
        status, text = self.snmpd.set((oid("lvaLogLevel"), "i", 1),
                                      (oid("lvaLogFilters"), "s", "9:bad"))
        self.assertNotEqual(status, 0)
        self.assertIn("wrongValue", text)
        self.assertIn(oid("lvaLogFilters"), text)
        self.assertNotIn(oid("lvaLogLevel") + "\n", text)
        self.assertEqual(self.snmpd.get1("lvaLogLevel"), 3)
        self.assertEqual(self.snmpd.get1("lvaLogFilters"), "")
        self.assertIn("9:bad", self.snmpd.get1("lvaConfigLastError"))

    def test_bad_values(self):
        """Each gets its error, says why, and changes nothing."""
        cases = (
            ("lvaServerWorkersMin", (2,), "i", 7, "wrongType"),
            ("lvaServerWorkersMin", (2,), "u", 4294967295, "wrongValue"),
            ("lvaServerWorkersMax", (2,), "u", 1001, "wrongValue"),
            ("lvaServerWorkersMax", (2,), "u", 0, "wrongValue"),
            ("lvaServerWorkersMin", (7,), "u", 1, "noCreation"),
            ("lvaServerClientsMax", (2,), "u", 1000001, "wrongValue"),
            ("lvaServerClientsMax", (2,), "u", 10, "inconsistentValue"),
            ("lvaServerClientsHighPercent", (2,), "u", 101, "wrongValue"),
            ("lvaServerClientRequestsMax", (2,), "u", 0, "wrongValue"),
            ("lvaServerName", (2,), "s", "other", "notWritable"),
            ("lvaServerWorkersCurrent", (2,), "u", 3, "notWritable"),
            ("lvaLogLevel", (0,), "i", 6, "wrongValue"),
            ("lvaLogLevel", (0,), "i", 0, "wrongValue"),
            ("lvaLogLevel", (0,), "s", "debug", "wrongType"),
            ("lvaLogFilters", (0,), "x", "313a61006200", "wrongValue"),
            ("lvaLogFilters", (0,), "x", "313afffe", "wrongValue"),
            ("lvaLogFilters", (0,), "s", "1:" + "a" * 4095, "wrongLength"),
            ("lvaLogOutputs", (0,), "s", "1:nowhere", "wrongValue"),
            ("lvaLogOutputs", (0,), "s", "1:file:relative", "wrongValue"),
            ("lvaClientAdminStatus", (2, 99999), "i", 2, "noCreation"),
            ("lvaClientAdminStatus", (2, 2147483648), "i", 2, "noCreation"),
            ("lvaClientAdminStatus", (2, 4294967295), "i", 2, "noCreation"),
            ("lvaConfigLock", (0,), "i", -1, "wrongValue"),
        )
        def state():
            return [(name, value) for name, value in self.snmpd.walk()
                    if name in watched]
        watched = {oid(name, *index) for name, index, *_ in cases} - {oid("lvaConfigLock")}
        before = state()
        for name, index, kind, value, error in cases:
            with self.subTest(name=name, value=str(value)[:20]):
                status, text = self.snmpd.set((oid(name, *index), kind, value))
                self.assertNotEqual(status, 0, text)
                self.assertIn(error, text)
                self.assertNotEqual(self.snmpd.get1("lvaConfigLastError"), "")
        self.assertEqual(state(), before)
        self.assertTrue(self.daemon.process.alive())

    def test_log_files_of_a_manager(self):
        """Only regular files below [log] directories, not through links, FIFOs or devices."""
        log = self.daemon.logdir
        os.makedirs(os.path.join(log, "real"), exist_ok=True)
        os.symlink(os.path.join(log, "real"), os.path.join(log, "linked"))
        os.symlink("/tmp/elsewhere", os.path.join(log, "link.log"))
        os.mkfifo(os.path.join(log, "fifo"))
        outputs = oid("lvaLogOutputs")
        before = self.snmpd.get(outputs)
        for path in ("/etc/virtadm-stray.log", f"{log}/../stray.log", f"{log}/linked/a.log",
                     f"{log}/link.log", f"{log}/fifo", "/dev/null", f"{log}/real"):
            with self.subTest(path=path):
                status, text = self.snmpd.set((outputs, "s", f"1:file:{path}"))
                self.assertNotEqual(status, 0)
                self.assertIn("wrongValue", text)
                self.assertIn(path, self.snmpd.get1("lvaConfigLastError"))
        status, text = self.snmpd.set((outputs, "s", f"1:file:{log}/missing/a.log"))
        self.assertNotEqual(status, 0)
        self.assertRegex(text, "wrongValue|resourceUnavailable")
        self.assertEqual(self.snmpd.get(outputs), before)
        self.assertFalse(os.path.exists("/etc/virtadm-stray.log"))
        status, text = self.snmpd.set((outputs, "s", f"1:file:{log}/new.log"),
                                      (oid("lvaLogLevel"), "i", 1))
        self.assertEqual(status, 0, text)
        self.daemon.virt_admin("server-list")
        harness.wait_for(lambda: "debug :" in open(f"{log}/new.log", encoding="utf-8").read(),
                         "debug messages in the new file")
        for name in ("linked", "link.log", "fifo"):
            os.unlink(os.path.join(log, name))

    def test_disconnect_one_client(self):
        """AdminStatus ends exactly that virsh; the others do not notice."""
        def ids():
            _, out, _ = self.daemon.virt_admin("client-list", "libvirtd")
            return [int(i) for i in re.findall(r"^ (\d+) ", out, re.M)]
        with harness.idle_virsh(self.place, self.daemon.socket, "v1") as one, \
                harness.idle_virsh(self.place, self.daemon.socket, "v2") as two, \
                harness.idle_virsh(self.place, self.daemon.socket, "v3") as three:
            harness.wait_for(lambda: len(ids()) == 3, "three clients")
            pids = {self.snmpd.get1("lvaClientUnixProcessId", 2, i): i for i in ids()}
            self.assertEqual(set(pids), {one.pid, two.pid, three.pid})
            victim = pids[two.pid]
            status, text = self.snmpd.set((oid("lvaClientAdminStatus", 2, victim), "i", 2))
            self.assertEqual(status, 0, text)
            harness.wait_for(lambda: victim not in ids(), "the client to go")
            self.assertEqual(set(ids()), {pids[one.pid], pids[three.pid]})
            for process in one, three:
                process.stdin.write(b"hostname\n")
                process.stdin.flush()
            harness.wait_for(lambda: all(self.place.read(f"{v}.out").strip() for v in ("v1", "v3")),
                             "answers to the other two")
        self.assertNotIn("error", self.place.read("v1.out") + self.place.read("v3.out"))

    def test_keepalive_is_no_activity(self):
        with Raw(self.daemon.admin) as client:
            client.call(1, b"\0\0\0\0")
            index = self.snmpd.walk(oid("lvaClientId", 1))[0][1]
            def idle():
                return self.snmpd.get1("lvaClientIdleTime", 1, index)
            harness.wait_for(lambda: idle() >= 4, "the client to be idle")
            client.send(1, kind=2, program=Raw.KEEPALIVE, serial=0)
            self.assertEqual(client.receive()[:3], (Raw.KEEPALIVE, 1, 2))
            self.assertGreaterEqual(idle(), 4)
            client.call(4, struct.pack(">II", 1, 0))
            self.assertLess(idle(), 4)

    def test_lock(self):
        lock = self.snmpd.get1("lvaConfigLock")
        status, text = self.snmpd.set((oid("lvaConfigLock"), "i", lock),
                                      (oid("lvaServerWorkersMin", 2), "u", 6))
        self.assertEqual(status, 0, text)
        self.assertEqual(self.snmpd.get1("lvaConfigLock"), (lock + 1) % 2147483648)
        status, text = self.snmpd.set((oid("lvaConfigLock"), "i", lock),
                                      (oid("lvaServerWorkersMin", 2), "u", 7))
        self.assertIn("inconsistentValue", text)
        self.assertEqual(self.workers()[0], 6)

    def test_notify_is_configuration(self):
        """A change of what is notified counts as any other; SIGHUP puts in force what the file
        changed, and keeps what was set where it did not."""
        enable, interval = oid("lvaNotifyEnable"), oid("lvaNotifyMinInterval")
        self.assertEqual(self.snmpd.get(enable, interval), ["\xe7\xc0", 5])
        before = self.snmpd.get1("lvaConfigGeneration")
        status, text = self.snmpd.set((enable, "x", "8000"), (interval, "u", 60))
        self.assertEqual(status, 0, text)
        self.assertEqual(self.snmpd.get(enable, interval), ["\x80\0", 60])
        self.assertEqual(self.snmpd.get1("lvaConfigGeneration"), before + 1)
        self.assertEqual(self.snmpd.get1("lvaConfigLastOrigin"), 3)
        self.place.write("virtadmd.conf", self.daemon.text + "[notify]\nmin_interval = 7\n")
        self.daemon.process.kill(signal.SIGHUP)
        harness.wait_for(lambda: self.snmpd.get(interval) == [7], "the interval of the file")
        self.assertEqual(self.snmpd.get(enable), ["\x80\0"])
        self.assertEqual(self.snmpd.get1("lvaConfigGeneration"), before + 2)
        self.assertEqual(self.snmpd.get1("lvaConfigLastOrigin"), 4)

    def test_read_community_cannot_write(self):
        status, _ = self.snmpd.set((oid("lvaServerWorkersMin", 2), "u", 6), community=READ)
        self.assertNotEqual(status, 0)
        self.assertEqual(self.workers()[0], 5)

    def test_v1(self):
        status, out, err = self.snmpd.tool("snmpget", oid("lvaServerWorkersMin", 2), version="1")
        self.assertEqual(status, 0, err)
        self.assertIn("5", out)
        status, text = self.snmpd.set((oid("lvaServerWorkersMin", 2), "u", 5000), version="1")
        self.assertNotEqual(status, 0)
        self.assertIn("badValue", text)


class Contexts(unittest.TestCase):
    V3 = ("-u", "operator", "-l", "authPriv", "-a", "SHA", "-A", "authentic!", "-x", "AES",
          "-X", "private!!")

    def test_named_context(self):
        """The daemon is in the default context and in the one of its name (here for a user of
        SNMPv3); only the default one lists the contexts."""
        with harness.Place() as place:
            snmpd = harness.Snmpd(place, "createUser operator SHA authentic! AES private!!\n"
                                         "group operators usm operator\n"
                                         "view all included .1\n"
                                         "access operators \"\" usm priv prefix all all all\n")
            daemon = harness.Virtadmd(place, snmpd=snmpd)
            named = {"version": "3", "options": self.V3 + ("-n", "virtadmd")}
            status, text = snmpd.set((oid("lvaServerWorkersMin", 2), "u", 6), **named)
            self.assertEqual(status, 0, text)
            row = [len("virtadmd"), *b"virtadmd"]
            asked = (oid("lvaDaemonName"), oid("lvaServerWorkersMin", 2), oid("lvaContextNumber"),
                     oid("lvaContextDaemonName", *row))
            self.assertEqual(snmpd.get(*asked, version="3", options=self.V3),
                             ["virtadmd", 6, 1, "virtadmd"])
            self.assertEqual(snmpd.get(*asked, **named), ["virtadmd", 6, 0, None])
            status, _, text = snmpd.tool("snmpget", asked[0], version="3", timeout=1,
                                         options=self.V3 + ("-n", "other"))
            self.assertNotEqual(status, 0, text)
            snmpd.process.end()
            snmpd.start()
            harness.wait_for(snmpd.has_agent, "the agent to be back")
            self.assertEqual(snmpd.get(*asked, **named), ["virtadmd", 6, 0, None])
            self.assertEqual(daemon.stop(), 0)


class Undo(unittest.TestCase):
    OTHER = "1.3.6.1.4.1.8072.9999.9999.1.0"  # of an agent that refuses late, in CommitSet

    def test_other_agent_refuses(self):
        """One PDU for two agents: what ours has committed is taken back when the other fails."""
        with harness.Place() as place:
            script = place.write("other.sh", f"""\
case "$1" in
-s) echo wrong-value ;;
-g) printf '.{self.OTHER}\\ninteger\\n3\\n' ;;
esac
""")
            snmpd = harness.Snmpd(place, f"pass .{self.OTHER[:-2]} /bin/sh {script}\n")
            daemon = harness.Virtadmd(place, snmpd=snmpd)
            ours = [oid("lvaServerWorkersMin", 2), oid("lvaNotifyMinInterval"),
                    oid("lvaConfigLock"), oid("lvaConfigGeneration")]
            before = snmpd.get(*ours)
            change = [(ours[0], "u", 9), (ours[1], "u", 99), (ours[2], "i", before[2]),
                      (self.OTHER, "i", 4)]
            for triples in change, change[::-1]:
                status, text = snmpd.set(*triples)
                self.assertNotEqual(status, 0)
                self.assertRegex(text, f"wrongValue(.|\n)*{self.OTHER}")
                self.assertEqual(snmpd.get(*ours), before)
            harness.wait_for(lambda: "configuration 2 is taken back" in daemon.log_text(),
                             "the warning")
            status, text = snmpd.set(change[0])
            self.assertEqual(status, 0, text)
            self.assertEqual(daemon.stop(), 0)


class NotWritable(unittest.TestCase):
    def test_configured_read_only(self):
        with harness.Place() as place:
            snmpd = harness.Snmpd(place)
            daemon = harness.Virtadmd(place, snmpd=snmpd, extra="")
            daemon.process.end()
            text = daemon.text.replace("[snmp]\n", "[snmp]\nwritable = false\ncontext = first\n")
            place.write("virtadmd.conf", text)
            snmpd.process.end()
            with open(snmpd.conf, "a", encoding="utf-8") as conf:
                conf.write("com2sec -Cn first inctx default inctx\ngroup g v2c inctx\n"
                           "view all included .1\naccess g first any noauth exact all all all\n")
            snmpd.start()
            daemon.snmpd = None
            daemon.start()
            harness.wait_for(lambda: snmpd.tool("snmpget", oid("lvaDaemonName"),
                                                community="inctx", timeout=1)[1].find("virtadmd") > 0,
                             "the agent in its context")
            self.assertIsNone(snmpd.get1("lvaDaemonName"))
            status, text = snmpd.set((oid("lvaServerWorkersMin", 2), "u", 6), community="inctx")
            self.assertNotEqual(status, 0)
            self.assertIn("notWritable", text)


if __name__ == "__main__":
    unittest.main()
