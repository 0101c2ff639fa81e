# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtadm-agent as a program: options, configuration, --discover, signals, capabilities."""

import os
import re
import signal
import socket
import threading
import time
import unittest

import harness
from harness import oid

SCALE = float(os.environ.get("VADM_TEST_SCALE", "1"))
SLACK = 0 if SCALE == 1 else 3  # sanitizers
CAPABILITY_SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


class Options(unittest.TestCase):
    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        self.binary = os.path.join(harness.BUILD, "virtadm-agent")

    def run_with(self, text, *options, name="test.conf", env=None):
        path = self.place.write(name, text)
        return harness.run(self.binary, "--config", path, *options,
                           env={**os.environ, **(env or {})})

    def test_bad_files(self):
        """Exit status 2, and stderr names file, group, key, value and rule."""
        cases = (
            ("[daemon]\nname = x\n", r"test\.conf.*\[daemon\].*\[source NAME\]"),
            ("[server libvirtd]\n", r"test\.conf.*server libvirtd.*\[source NAME\]"),
            ("[source a]\nurl = x\n", r"source a.*url.*uri, refresh_interval"),
            ("[source a]\nuri = foo:///system\n", r"source a.*uri.*Unsupported URI scheme 'foo'"),
            ("[source foo]\n", r"source foo.*uri.*Unsupported URI scheme 'foo'"),
            ("[source a]\nuri = libvirtd:///nowhere\n", r"Invalid URI path '/nowhere'"),
            ("[source a]\nuri = libvirtd:///system?sockt=/x\n", r"Unknown URI parameter 'sockt'"),
            ("[source a]\nuri = libvirtd:///system\n[source libvirtd]\n",
             r"source libvirtd.*uri.*libvirt-admin-sock.*source a"),
            ("[source virtlogd]\n[source virtlogd]\n", r"source virtlogd.*twice"),
            ("[source virtlogd]\nrefresh_interval = 0\n", r"refresh_interval.*'0'.*1 to 3600"),
            ("[source a]\nuri = libvirtd://other/system\n", r"source a.*uri.*names a host"),
            ("[source a]\nuri = libvirtd:///system?socket=x\n", r"source a.*uri.*absolute path"),
            ("[log]\nfilters = 9:x\n", r"test\.conf.*\[log\], key filters: value '9:x': Invalid"),
            ("[log]\noutputs = 1:file:/nonexistent/x.log\n",
             r"\[log\], key outputs: value '1:file:/nonexistent/x\.log': failed to open"),
            ("".join(f"[source s{n}]\nuri = libvirtd:///system?socket=/s{n}\n" for n in range(65)),
             r"source s64.*64 sources"),
        )
        for text, pattern in cases:
            with self.subTest(text=text[:60]):
                status, out, err = self.run_with(text, "--check-config")
                self.assertEqual(status, 2, out + err)
                self.assertRegex(err.replace("\n", " "), pattern)
        for name in "FILTERS", "OUTPUTS":
            with self.subTest(name=name):
                status, _, err = self.run_with("", "--check-config",
                                               env={"VIRTADM_LOG_" + name: "9:x"})
                self.assertEqual(status, 2)
                self.assertRegex(err, f"environment VIRTADM_LOG_{name}: '9:x': [A-Z]")
        for options in (["--nosuch"], ["extra"], ["--log-level", "9"]):
            status, _, err = harness.run(self.binary, *options)
            self.assertEqual(status, 2)
            self.assertIn(options[0].lstrip("-"), err)

    def test_good_options(self):
        self.assertRegex(harness.run(self.binary, "--version")[1], r"^virtadm-agent \d+\.\d+")
        self.assertIn("--discover", harness.run(self.binary, "--help")[1])
        self.assertEqual(self.run_with("", "--check-config"), (0, "", ""))

    def test_printed_configuration_loads(self):
        text = "[source virtlogd]\nrefresh_interval = 9\n[source virtqemud]\n"
        status, printed, err = self.run_with(text, "--print-config", "--log-level", "2",
                                             env={"VIRTADM_LOG_FILTERS": "1:agent"})
        self.assertEqual(status, 0, err)
        self.assertIn("# file\nrefresh_interval=9", printed)
        self.assertIn("# default\nuri=virtqemud:///system", printed)
        self.assertIn("# option --log-level\nlevel=2", printed)
        self.assertIn("# environment VIRTADM_LOG_FILTERS\nfilters=1:agent", printed)
        self.assertLess(printed.index("[source virtlogd]"), printed.index("[source virtqemud]"))
        values = [line for line in printed.splitlines() if not line.startswith("#")]
        again = self.run_with(printed, "--print-config", name="again.conf")[1].splitlines()
        self.assertEqual([line for line in again if not line.startswith("#")], values)

    def test_documents_have_the_keys(self):
        """virtadm-agent.conf(5): each key of each group, and its default. The example loads."""
        printed, found, group = {}, {}, None
        for line in self.run_with("", "--print-config")[1].splitlines():
            if line.startswith("["):
                group = re.sub(r" .*", " NAME", line[1:-1])
            elif line and not line.startswith("#"):
                key, _, value = line.partition("=")
                printed[group, key] = value.strip().rstrip(";")
        with open(os.path.join(harness.SOURCE, "man", "virtadm-agent.conf.5"),
                  encoding="utf-8") as text:
            for line in (re.sub(r'["\\]', "", line) for line in text):
                head = re.match(r"\.SH (?:\[(.*)\])?", line)
                row = re.match(r"\.BR? ([a-z_ ,]+?)(?: +\((.*)\).*)?$", line)
                if head:
                    group = head[1]
                elif group and row:
                    found[group, row[1]] = row[2] or ""
        self.assertEqual({key: value.replace("libvirtd", "NAME") if key[1] == "uri" else value
                          for key, value in printed.items()}, found)
        example = os.path.join(harness.SOURCE, "docs", "virtadm-agent.conf.example")
        self.assertEqual(harness.run(self.binary, "--config", example, "--check-config"),
                         (0, "", ""))


class Discover(unittest.TestCase):
    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        self.run_dir, self.session_dir = self.place.path("run"), self.place.path("session")
        for folder in self.run_dir, self.session_dir:
            os.makedirs(os.path.join(folder, "libvirt"))

    def link(self, path, name, folder=None):
        os.symlink(path, os.path.join(folder or self.run_dir, "libvirt", name))

    def discover(self):
        env = {**os.environ, "VIRTADM_RUNSTATEDIR": self.run_dir, "XDG_RUNTIME_DIR": self.session_dir}
        binary = os.path.join(harness.BUILD, "virtadm-agent")
        status, out, err = harness.run(binary, "--discover", env=env)
        self.assertEqual((status, err), (0, ""))
        path = self.place.write("found.conf", out)
        self.assertEqual(harness.run(binary, "--config", path, "--check-config", env=env),
                         (0, "", ""), out)
        return out

    def test_nothing(self):
        os.rmdir(os.path.join(self.session_dir, "libvirt"))
        out = self.discover()
        self.assertNotIn("\n[", out)
        self.assertIn("None of them answers", out)

    def test_all_kinds(self):
        """Daemons that answer, one that is stopped, a dead socket, a closed door, what is none, and
        names that no context can have."""
        libvirtd = harness.Libvirtd(self.place)
        virtlogd = harness.Helper(self.place, "virtlogd")
        virtlockd = harness.Helper(self.place, "virtlockd")
        self.link(libvirtd.admin, "libvirt-admin-sock")
        self.link(virtlogd.admin, "virtlogd-admin-sock", self.session_dir)
        self.link(virtlockd.admin, "virtlockd-admin-sock")
        virtlockd.process.kill(signal.SIGSTOP)
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(os.path.join(self.run_dir, "libvirt", "virtqemud-admin-sock"))
        with open(os.path.join(self.run_dir, "libvirt", "file-admin-sock"), "wb"):
            pass
        self.link(libvirtd.admin, "two\nlines-admin-sock")
        self.link(libvirtd.admin, "n" * 33 + "-admin-sock")
        began = time.monotonic()
        with self.closing_socket("virtnetworkd-admin-sock"):
            out = self.discover()
        self.assertLess(time.monotonic() - began, 10)
        groups = re.findall(r"^#?\[source .*\]$", out, re.M)
        self.assertEqual(groups, ["[source libvirtd]", "#[source virtqemud]",
                                  "#[source virtnetworkd]", "#[source virtlockd]",
                                  "[source virtlogd-session]"])
        self.assertRegex(out, r"# libvirt \d+\.\d+\.\d+, servers: admin, libvirtd\n\[source libvirtd")
        self.assertRegex(out, r"virtqemud-admin-sock.*does not answer:.*refused")
        self.assertRegex(out, r"virtlockd-admin-sock.*does not answer:.*2000 ms")
        self.assertRegex(out, "virtnetworkd-admin-sock.*reset by peer" +
                         (r" \(.*belongs to user id 12345.*\)" if os.geteuid() == 0 else ""))
        self.assertIn("uri = virtlogd:///session", out)
        self.assertIn(r"two\nlines-admin-sock: its name cannot be", out)
        self.assertIn("n" * 33 + "-admin-sock: its name cannot be", out)
        # it took leave: who does not is an error in the daemon's log
        for log in "libvirtd.log", "virtlogd.log":
            self.assertNotIn("End of file", self.place.read(log))

    def closing_socket(self, name):
        """As a daemon of another user: it accepts and closes."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(os.path.join(self.run_dir, "libvirt", name))
        listener.listen(5)
        if os.geteuid() == 0:
            os.chown(listener.getsockname(), 12345, 12345)
            os.chmod(listener.getsockname(), 0o777)
        done = threading.Event()

        def serve():
            listener.settimeout(0.1)
            while not done.is_set():
                try:
                    listener.accept()[0].close()
                except TimeoutError:
                    pass
            listener.close()
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()

        class Closing:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                done.set()
                thread.join()
        return Closing()


class Program(unittest.TestCase):
    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)
        self.snmpd = harness.Snmpd(self.place)

    def capabilities(self, task):
        with open(f"{task}/status", encoding="ascii") as status:
            return dict(re.findall(r"^(Cap\w+|NoNewPrivs):\t(\w+)$", status.read(), re.M))

    def test_capabilities(self):
        """No thread has any, and with none of them everything works: the admin socket, the master
        agent's, opening log files anew."""
        libvirtd = harness.Libvirtd(self.place)
        agent = harness.Agent(self.place, self.snmpd, ("libvirtd", libvirtd.admin),
                              log="level = 1")
        agent.wait_for_state("up")
        tasks = f"/proc/{agent.process.pid}/task"
        self.assertGreater(len(os.listdir(tasks)), 2)
        for task in os.listdir(tasks):
            found = self.capabilities(os.path.join(tasks, task))
            self.assertEqual(found["NoNewPrivs"], "1")
            sets = CAPABILITY_SETS if os.geteuid() == 0 else CAPABILITY_SETS[:3]
            self.assertEqual({found[name] for name in sets}, {"0" * 16}, (task, found))
        os.rename(agent.log, agent.log + ".1")
        agent.process.kill(signal.SIGHUP)
        harness.wait_for(lambda: os.path.exists(agent.log), "the log file")
        libvirtd.process.kill(signal.SIGKILL)
        agent.wait_for_state("unreachable")
        libvirtd.process.wait()
        libvirtd.start()
        agent.wait_for_state("up")
        harness.wait_for(lambda: "unreachable" in agent.log_text(), "messages in the new file")

    def reload(self, agent, text, *, answer, log):
        """Gives it another file, and waits for what it says about it."""
        before = self.place.read(log).count(answer) if os.path.exists(log) else 0
        self.place.write(os.path.basename(agent.conf), text)
        agent.process.kill(signal.SIGHUP)
        harness.wait_for(lambda: os.path.exists(log) and
                         self.place.read(log).count(answer) > before, answer)
        return self.place.read(log)

    def test_reload(self):
        """The log is reloaded, what cannot be is named; a bad file changes nothing."""
        agent = harness.Agent(self.place, self.snmpd, ("libvirtd", self.place.path("absent")))
        self.assertNotIn(" info : ", agent.log_text().split("hostname", 1)[-1])
        other = os.path.join(agent.logdir, "other.log")
        text = self.reload(agent, agent.text.replace(
            "[log]", "[log]\nlevel = 1").replace(agent.log, other).replace(
                "refresh_interval = 1", "refresh_interval = 9"), answer="take a restart", log=other)
        self.assertIn("[log] level 3 -> 1", text)
        self.assertIn("these take a restart: [source libvirtd] refresh_interval\n", text)
        text = self.reload(agent, "[log]\nlevel = 8\n[notify]\nmin_interval = 7\n",
                           answer="nothing is changed", log=other)
        self.assertIn("value '8'", text)
        self.assertEqual(self.snmpd.get1("lvaNotifyMinInterval"), 5)

    def test_reload_notify(self):
        """[notify] of every daemon; what the file did not change keeps what SNMP has set."""
        agent = harness.Agent(self.place, self.snmpd, ("one", self.place.path("absent1")),
                              ("two", self.place.path("absent2")), log="level = 1")
        harness.wait_for(self.snmpd.has_agent, agent.log_text)
        interval = lambda: self.snmpd.get1("lvaNotifyMinInterval")
        notify = lambda text: agent.text.replace("[notify]", "[notify]\n" + text)
        text = self.reload(agent, notify("min_interval = 7\nenable = daemon"),
                           answer="two: lvaNotifyEnable", log=agent.log)
        self.assertIn("one: lvaNotifyMinInterval 5 -> 7 (reload)", text)
        self.assertNotIn("restart", text)
        self.assertEqual(interval(), 7)
        status, out = self.snmpd.set((oid("lvaNotifyMinInterval"), "u", 9))
        self.assertEqual(status, 0, out)
        text = self.reload(agent, notify("min_interval = 7\nenable = daemon;config"),
                           answer="two: lvaNotifyEnable", log=agent.log)
        self.assertNotIn("two: lvaNotifyMinInterval 7", text)
        self.assertEqual(interval(), 9)
        self.reload(agent, notify("min_interval = 8\nenable = daemon;config"),
                    answer="one: lvaNotifyMinInterval", log=agent.log)
        self.assertEqual(interval(), 8)

    def test_last_word(self):
        """At the level of the default the log says that a thing is back as well as that it was gone:
        who reads the last line knows how it is now."""
        libvirtd = harness.Libvirtd(self.place)
        agent = harness.Agent(self.place, self.snmpd, ("libvirtd", libvirtd.admin))
        agent.wait_for_state("up")
        self.assertNotRegex(agent.log_text(), r" (info|warning) : vadm")
        libvirtd.process.kill(signal.SIGKILL)
        libvirtd.process.wait()
        agent.wait_for_state("unreachable")
        libvirtd.start()
        agent.wait_for_state("up")
        harness.wait_for(lambda: re.search(r"(?s)libvirtd: unreachable at .*libvirtd: reachable at ",
                                           agent.log_text()), agent.log_text)
        self.snmpd.process.kill(signal.SIGKILL)
        self.snmpd.process.wait()
        harness.wait_for(lambda: "lost the master agent" in agent.log_text(), agent.log_text)
        self.snmpd.start()
        harness.wait_for(self.snmpd.has_agent, "the agent")
        harness.wait_for(lambda: re.search(r"(?s)lost the master .*connected to the master agent",
                                           agent.log_text()), agent.log_text)

    def ends(self, agent, number=signal.SIGTERM):
        began = time.monotonic()
        agent.process.kill(number)
        self.assertEqual(agent.process.wait(), 0)
        self.assertLess(time.monotonic() - began, 2 + SLACK)

    @staticmethod
    def wait_for_start(agent, starts=0):
        """The log says so once more than starts times; before that a signal ends any process."""
        harness.wait_for(lambda: agent.log_text().count(" is ready") > starts, agent.log_text)

    def test_ends_in_every_state(self):
        """Daemon and master agent alive, stopped, dead, or never there: within 2 s, status 0."""
        libvirtd = harness.Libvirtd(self.place)
        agent = harness.Agent(self.place, self.snmpd, ("libvirtd", libvirtd.admin), log="level = 2")
        processes = {"daemon": libvirtd, "master": self.snmpd}
        agent.wait_for_state("up")
        self.ends(agent, signal.SIGINT)
        # it took leave: who does not is an error in the daemon's log
        self.assertNotIn("End of file", self.place.read("libvirtd.log"))
        for what, subject in processes.items():
            for number in signal.SIGSTOP, signal.SIGKILL:
                with self.subTest(what=what, number=number):
                    agent.start()
                    agent.wait_for_state("up")
                    subject.process.kill(number)
                    self.ends(agent)
                    if number == signal.SIGSTOP:  # and started while it is stopped
                        starts = agent.log_text().count(" is ready")
                        agent.process = self.place.spawn(agent.name, agent.process.argv)
                        self.wait_for_start(agent, starts)
                        self.ends(agent)
                        subject.process.kill(signal.SIGCONT)
                    else:
                        subject.process.wait()
                        subject.start()
        agent = harness.Agent(self.place, None, ("absent", self.place.path("absent")),
                              name="lonely", snmp=f"master = unix:{self.place.path('nowhere')}",
                              log="level = 2")
        self.wait_for_start(agent)
        self.ends(agent)

    def test_readiness(self):
        """READY=1 although nobody is there, STOPPING=1."""
        manager = harness.Manager(self.place)
        agent = harness.Agent(self.place, None, ("libvirtd", self.place.path("absent")),
                              snmp=f"master = unix:{self.place.path('nowhere')}", env=manager.env)
        self.assertEqual(manager.next(), ["READY=1"])
        self.assertEqual(manager.next(), ["STATUS=Waiting for the master agent"])
        self.ends(agent)
        manager.wait_for("STOPPING=1")

    @harness.needs_root
    def test_other_user(self):
        """A daemon of another user closes the connection: it is unreachable, and the log says what to
        do."""
        libvirtd = harness.Libvirtd(self.place)
        agent = harness.Agent(self.place, self.snmpd, ("libvirtd", libvirtd.admin))
        agent.wait_for_state("up")
        self.ends(agent)
        for folder in self.place.dir, agent.logdir, os.path.dirname(libvirtd.admin):
            os.chmod(folder, 0o777)
        for path in libvirtd.admin, self.snmpd.agentx:
            os.chmod(path, 0o777)
        os.unlink(agent.log)
        agent.process = self.place.spawn("stranger", [
            harness.tool("setpriv"), "--reuid=12345", "--regid=12345", "--clear-groups",
            os.path.join(harness.BUILD, "virtadm-agent"), "--config", agent.conf])
        harness.wait_for(self.snmpd.has_agent, agent.log_text)
        self.assertEqual(agent.state(), "unreachable")
        harness.wait_for(lambda: re.search("libvirtd: unreachable.*user id 0, and this program runs as "
                                           "12345", agent.log_text()), agent.log_text)


if __name__ == "__main__":
    unittest.main()
