# SPDX-License-Identifier: LGPL-2.1-or-later
"""Starting, reloading and ending, with good and bad configurations."""

import io
import os
import re
import signal
import socket
import unittest

import harness
from harness import Raw, oid


class Start(unittest.TestCase):
    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        self.binary = os.path.join(harness.BUILD, "virtadmd")

    def run_with(self, text, *options, name="test.conf"):
        path = self.place.write(name, text)
        return harness.run(self.binary, "--config", path, *options)

    def test_bad_files(self):
        """Exit status 2, and stderr names file, group, key, value and rule."""
        long = "/" + "d" * 120
        cases = (
            ("[daemon]\nnmae = x\n", r"test\.conf.*daemon.*nmae"),
            ("[nonsense]\nkey = 1\n", r"test\.conf.*nonsense"),
            ("[daemon\nname = x\n", r"test\.conf"),
            ("name = x\n", r"test\.conf"),
            ("[daemon]\nshutdown_timeout = soon\n", r"shutdown_timeout.*soon"),
            ("[daemon]\nruntime_dir = relative\n", r"runtime_dir.*relative"),
            ("[log]\nlevel = 9\n", r"log.*level.*9"),
            ("[log]\nfilters = 9:bad\n", r"9:bad"),
            ("[log]\noutputs = 1:nowhere\n", r"nowhere"),
            ("[log]\noutputs = 1:file:/nonexistent/x.log\n", r"/nonexistent/x\.log"),
            ("[snmp]\nmaster = tcp:192.0.2.1:705\n", r"master.*192\.0\.2\.1"),
            ("[snmp]\nmaster = tcp:127.0.0.1:7050\n", r"master.*7050"),
            ("[snmp]\nwritable = maybe\n", r"writable.*maybe"),
            ("[notify]\nenable = clientLimit;nosuch\n", r"enable.*nosuch"),
            ("[notify]\nmin_interval = 3601\n", r"min_interval.*3601"),
            ("[server libvirtd]\nmin_workers = 30\n", r"min.*workers|minWorkers"),
            ("[server libvirtd]\nmax_workers = 1001\n", r"max_workers.*1001"),
            ("[server libvirtd]\nmax_workers = -1\n", r"max_workers.*-1"),
            ("[server libvirtd]\nmax_workers = 0\nmin_workers = 0\n", r"max_workers.*0"),
            ("[server libvirtd]\nmax_clients = 10\n", r"max_clients|maximum number of clients"),
            ("[server libvirtd]\nmax_client_requests = 0\n", r"max_client_requests.*0"),
            ("[server libvirtd]\nprogram = web\n", r"program.*web"),
            ("[server libvirtd]\nlisten = carrier-pigeon:/x\n", r"listen.*carrier-pigeon"),
            ("[server libvirtd]\nlisten = tls:[::]:16514\n", r"ca_file.*tls:\[::\]:16514"),
            ("[server libvirtd]\nlisten = tcp:localhost:16509\n", r"listen.*'localhost'.*numeric"),
            ("[server admin]\nlisten = tcp:127.0.0.1:16509\n", r"server admin.*listen.*relay"),
            ("[server libvirtd]\nauth_timeout = 0\n", r"auth_timeout.*0"),
            (f"[server libvirtd]\nlisten = unix:{long}\n", r"listen.*(long|107|108)"),
            ("[server libvirtd]\nsocket_mode = 0999\n", r"socket_mode.*0999"),
            ("[server libvirtd]\nsocket_group = nosuchgroup\n", r"socket_group.*nosuchgroup"),
            ("[server a]\nlisten = unix:a\nupstream = unix:/x\n[server b]\nlisten = unix:b\n"
             "upstream = unix:/x\n", r"server b.*index"),
            ("[server other]\nprogram = relay\n", r"server other.*listen"),
            ("[server libvirtd]\nindex = 1\n", r"index"),
            ("[server libvirtd]\nlisten = unix:a\n[server admin]\nlisten = unix:a\n", r"listen"),
        )
        for text, pattern in cases:
            with self.subTest(text=text[:60]):
                status, out, err = self.run_with(text, "--check-config")
                self.assertEqual(status, 2, out + err)
                self.assertRegex(err.replace("\n", " "), pattern)

    def test_unreadable_file(self):
        status, _, err = harness.run(self.binary, "--config", "/nonexistent.conf")
        self.assertEqual(status, 2)
        self.assertIn("/nonexistent.conf", err)
        status, _, err = harness.run(self.binary, "--config", self.place.dir)
        self.assertEqual(status, 2)
        self.assertIn(self.place.dir, err)

    def test_options(self):
        for options in (["--nosuch"], ["extra"], ["--log-level", "9"], ["--log-level"]):
            with self.subTest(options=options):
                status, _, err = harness.run(self.binary, *options)
                self.assertEqual(status, 2)
                self.assertIn(options[0].lstrip("-"), err)
        self.assertRegex(harness.run(self.binary, "--version")[1], r"^virtadmd \d+\.\d+")
        self.assertIn("--config", harness.run(self.binary, "--help")[1])
        self.assertEqual(self.run_with("", "--check-config")[0], 0)

    def test_printed_configuration_loads(self):
        status, printed, err = self.run_with("[server libvirtd]\nmax_workers = 33\n",
                                             "--print-config")
        self.assertEqual(status, 0, err)
        self.assertIn("max_workers = 33", printed.replace("=", " = ").replace("  ", " "))
        values = [line for line in printed.splitlines() if not line.startswith("#")]
        again = self.run_with(printed, "--print-config", name="again.conf")[1].splitlines()
        self.assertEqual([line for line in again if not line.startswith("#")], values)

    def test_documents_have_the_keys(self):
        """virtadmd.conf(5) and docs/configuration.md: each key of each group, and its default."""
        group, printed = None, {}
        for line in self.run_with("", "--print-config")[1].splitlines():
            if line.startswith("["):
                group = re.sub(r" .*", " NAME", line[1:-1])
            elif line and not line.startswith("#"):
                key, _, value = line.partition("=")
                printed.setdefault((group, key), []).append(value.strip().rstrip(";"))

        def compare(name, head, row, unquote):
            group, found = None, {}
            with open(os.path.join(harness.SOURCE, name), encoding="utf-8") as text:
                for line in map(unquote, text):
                    if re.match(head, line):
                        group = re.match(head, line)[1]
                    elif group and re.match(row, line):
                        keys, default = re.match(row, line).groups()
                        for key in re.findall(r"[a-z_]+", keys):
                            found[group, key] = default or ""
            self.assertEqual(set(found), set(printed), name)
            for key, default in found.items():
                numbers = set(re.findall(r"(?<![\w:])\d+(?![\w:])", default))
                wanted = {value for value in printed[key] if value.isdigit()} - \
                    ({"1", "2"} if key[1] == "index" else set())
                self.assertLessEqual(wanted, numbers, (name, key, default))
        compare("docs/configuration.md", r"## (?:\[(.*)\])?",
                r"\| (?!key )([a-z_, ]+) \| .* \| (.*) \| \w+ \|$", lambda line: line)
        compare("man/virtadmd.conf.5", r"\.SH (?:\[(.*)\])?",
                r"\.BR? ([a-z_ ,]+?)(?: +\((.*)\).*)?$",
                lambda line: re.sub(r'["\\]', "", line))

    def test_sockets_in_the_way(self):
        """A file, a live socket and a missing folder are errors; a stale socket is replaced."""
        run = self.place.path("run")
        os.mkdir(run)
        text = f"[daemon]\nruntime_dir = {run}\n[snmp]\nenabled = false\n"
        path = os.path.join(run, "virtadm-admin-sock")
        with open(path, "w", encoding="ascii") as file:
            file.write("precious")
        status, _, err = self.run_with(text)
        self.assertEqual(status, 1)
        self.assertIn(path, err)
        with open(path, encoding="ascii") as file:
            self.assertEqual(file.read(), "precious")
        os.unlink(path)
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(path)
            other.listen(1)
            status, _, err = self.run_with(text)
            self.assertEqual(status, 1)
            self.assertIn(path, err)
            self.assertIn("in use", err)
        # now it is stale: nobody listens
        daemon = harness.Virtadmd(self.place)
        self.assertEqual(daemon.virt_admin("server-list")[0], 0)
        status, _, err = self.run_with(text)
        self.assertEqual(status, 1)
        self.assertIn("in use", err)
        self.assertEqual(daemon.virt_admin("server-list")[0], 0)
        missing = text + "[server libvirtd]\nlisten = unix:/nonexistent/dir/sock\n"
        status, _, err = self.run_with(missing.replace(run, self.place.path("run2")))
        self.assertEqual(status, 1)
        self.assertIn("/nonexistent/dir/sock", err)

    def test_own_socket_by_another_name(self):
        """A relay to itself would call itself until nothing is left."""
        run, alias = self.place.path("run"), self.place.path("alias")
        os.mkdir(run)
        os.symlink(run, alias)
        text = f"[daemon]\nruntime_dir = {run}\n[snmp]\nenabled = false\n" \
               f"[server libvirtd]\nupstream = unix:{alias}/libvirt-sock\n"
        status, _, err = self.run_with(text)
        self.assertEqual(status, 1)
        self.assertRegex(err, f"libvirtd.*{alias}/libvirt-sock.*own")
        self.assertEqual(os.listdir(run), [])

    def test_modes_of_sockets(self):
        daemon = harness.Virtadmd(self.place, server="socket_mode = 0660\nsocket_mode_ro = 0666")
        modes = [os.stat(path).st_mode & 0o777
                 for path in (daemon.socket, daemon.socket_ro, daemon.admin)]
        self.assertEqual(modes, [0o660, 0o666, 0o600])

    def test_ends_cleanly(self):
        for number in signal.SIGTERM, signal.SIGINT:
            daemon = harness.Virtadmd(self.place)
            with Raw(daemon.admin) as client:
                client.call(1, b"\0\0\0\0")
                daemon.process.kill(number)
                self.assertEqual(daemon.process.wait(), 0)
                self.assertIsNone(client.receive())
            self.assertEqual(os.listdir(daemon.dir), [])

    def test_readiness(self):
        manager = harness.Manager(self.place)
        daemon = harness.Virtadmd(self.place, env=manager.env)
        self.assertEqual(manager.next(), ["READY=1"])
        self.assertEqual(manager.next(), ["STATUS=SNMP is switched off"])
        daemon.stop()
        # the time limit of the manager is no shorter than shutdown_timeout (5) and some more
        self.assertEqual(manager.next(), ["STOPPING=1", "EXTEND_TIMEOUT_USEC=15000000"])

    def test_environment(self):
        daemon = harness.Virtadmd(self.place, env={"VIRTADM_DEBUG": "1",
                                                   "VIRTADM_LOG_FILTERS": "4:rpc"})
        self.assertEqual(daemon.virt_admin("daemon-log-filters")[1],
                         " Logging filters: 4:*rpc* \n\n")
        harness.wait_for(lambda: ": debug :" in daemon.log_text(), "debug messages")


class Reload(unittest.TestCase):
    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        self.snmpd = harness.Snmpd(self.place)
        self.daemon = harness.Virtadmd(self.place, snmpd=self.snmpd)

    def hangup(self, text):
        self.place.write("virtadmd.conf", text)
        self.daemon.process.kill(signal.SIGHUP)

    def generation(self):
        return self.snmpd.get1("lvaConfigGeneration")

    def test_five_changes_are_one_generation(self):
        before = self.generation()
        self.hangup(self.daemon.text
                    .replace("[server libvirtd]\n", "[server libvirtd]\nmin_workers = 7\n"
                             "max_workers = 27\nprio_workers = 3\nclients_high_percent = 80\n")
                    .replace("[log]\n", "[log]\nlevel = 2\n"))
        harness.wait_for(lambda: self.generation() != before, "the reload")
        self.assertEqual(self.generation(), before + 1)
        self.assertEqual(self.snmpd.get1("lvaConfigLastOrigin"), 4)
        self.assertEqual(self.snmpd.get(*(oid("lvaServer" + name, 2) for name in (
            "WorkersMin", "WorkersMax", "WorkersPriority", "ClientsHighPercent"))), [7, 27, 3, 80])
        self.assertEqual(self.snmpd.get1("lvaLogLevel"), 2)

    def test_bad_file_changes_nothing(self):
        before = self.generation()
        for text in ("[nonsense]\n", self.daemon.text.replace(
                "[server libvirtd]\n", "[server libvirtd]\nmin_workers = 8\nmax_workers = 3\n")):
            count = self.daemon.log_text().count("error :")
            self.hangup(text)
            harness.wait_for(lambda: self.daemon.log_text().count("error :") > count, "a message")
        self.assertEqual(self.generation(), before)
        self.assertEqual(self.snmpd.get1("lvaServerWorkersMin", 2), 5)

    def test_rotation_keeps_what_operators_set(self):
        """SIGHUP reopens the log file, loses no message, and undoes no change made at runtime."""
        self.daemon.virt_admin("server-threadpool-set", "libvirtd", "--max-workers", "44")
        self.snmpd.set((oid("lvaLogLevel"), "i", 1))
        log = os.path.join(self.daemon.logdir, "virtadmd.log")
        os.rename(log, log + ".1")
        self.daemon.process.kill(signal.SIGHUP)
        harness.wait_for(lambda: os.path.exists(log), "the new log file")
        self.daemon.virt_admin("server-list")
        harness.wait_for(lambda: re.search("debug :", self.daemon.log_text()), "messages in it")
        self.assertEqual(self.snmpd.get1("lvaServerWorkersMax", 2), 44)
        self.assertEqual(self.snmpd.get1("lvaLogLevel"), 1)


class Admin(unittest.TestCase):
    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        self.daemon = harness.Virtadmd(self.place)

    def test_shutdown_replies_first(self):
        with Raw(self.daemon.admin) as client:
            client.call(1, b"\0\0\0\0")
            reply = client.call(20, b"\0\0\0\0")
            self.assertIsNotNone(reply)
            self.assertEqual(reply[3:6], (1, 1, 0))
            self.assertIsNone(client.receive())
        self.assertEqual(self.daemon.process.wait(), 0)

    def test_timeout_ends_an_idle_daemon(self):
        self.assertEqual(self.daemon.virt_admin("daemon-timeout", "--timeout", "1")[0], 0)
        self.assertEqual(self.daemon.process.wait(), 0)

    def test_level_by_extension(self):
        with Raw(self.daemon.admin, Raw.EXTENSION) as client:
            self.assertEqual(client.call(1, b"\0\0\0\0")[5:], (0, b"\0\0\0\3"))
            self.assertEqual(client.call(2, b"\0\0\0\1\0\0\0\0")[5], 0)
            self.assertEqual(client.call(1, b"\0\0\0\0")[5:], (0, b"\0\0\0\1"))
            reply = client.call(2, b"\0\0\0\5\0\0\0\0")
            self.assertEqual((reply[5], harness.error_of(reply)[0]), (1, 8))

    def test_fifo_blocks_nobody(self):
        fifo = self.place.path("fifo")
        os.mkfifo(fifo)
        for _ in range(10):  # upstream loses a worker to each
            status, _, err = self.daemon.virt_admin("daemon-log-outputs", f"1:file:{fifo}",
                                                    timeout=10)
            self.assertEqual(status, 1)
            self.assertIn(fifo, err)
        self.assertEqual(self.daemon.virt_admin("server-list")[0], 0)

    def test_blank_outputs_mean_default(self):
        self.assertEqual(self.daemon.virt_admin("daemon-log-outputs", "  ")[0], 0)
        self.assertEqual(self.daemon.virt_admin("daemon-log-outputs")[1],
                         " Logging outputs: 1:stderr\n\n")


class Compared(unittest.TestCase):
    def test_virt_admin_side_by_side(self):
        """Every command of virt-admin, right and wrong, here and on a real libvirtd."""
        import virt_admin_compare
        with harness.Place() as place:
            libvirtd = harness.Libvirtd(place)
            daemon = harness.Virtadmd(place, libvirtd)
            lines = io.StringIO()
            passed, failed = virt_admin_compare.compare(daemon.admin, libvirtd.admin, lines)
            differs = [line for line in lines.getvalue().splitlines() if not line.startswith("ok ")]
            self.assertEqual(failed, 0, "\n".join(differs))
            self.assertGreater(passed, 80)


if __name__ == "__main__":
    unittest.main()
