# SPDX-License-Identifier: LGPL-2.1-or-later
"""Events all the time, of all kinds, while the master agent is killed, stopped and started again.
When it is quiet, what was told last is what GET says, of each server and kind."""

import datetime
import os
import random
import re
import signal
import threading
import time

import ber
import harness
import traps
from harness import oid
from test_notify_rate import NO_ANONYMOUS, Flapper

SCALE = float(os.environ.get("VADM_TEST_SCALE", "1"))
SECONDS = float(os.environ.get("VADM_TEST_STORM", "8")) * min(SCALE, 1)
SEED = int(os.environ.get("VADM_TEST_SEED", "1"))
INTERVAL = 1
LONGEST = 4  # seconds: for which the master is stopped
SERVERS = (1, 2, 3)
CONDITIONS = {"lvaServerClientsState": {1: "lvaClientsNormal", 2: "lvaClientsHigh",
                                        3: "lvaClientsFull"},
              "lvaServerClientsUnauthState": {1: "lvaUnauthNormal", 3: "lvaUnauthFull"}}
WANTED = (traps.CLIENT_LIMIT, traps.CLIENT_HIGH, traps.UNAUTH_LIMIT, traps.CONFIG, traps.AUTH_FAILURE)


class Often(threading.Thread):
    """Calls something again and again, as long as the storm lasts."""

    def __init__(self, what, pause):
        super().__init__()
        self.what, self.pause, self.over, self.done = what, pause, threading.Event(), 0
        self.failure = None
        self.start()

    def run(self):
        try:
            while not self.over.wait(self.pause):
                self.what()
                self.done += 1
        except Exception as failure:  # the test tells it
            self.failure = failure

    def stop(self):
        self.over.set()
        self.join()
        if self.failure:
            raise self.failure


class Storm(traps.Case):
    def setUp(self):
        self.random = random.Random(SEED)
        self.disturbed = 0

    def change_limits(self):
        """By the admin program, for which the master need not be there."""
        server, limit = self.random.choice(("libvirtd", "second")), self.random.choice((1, 2, 4))
        silent = self.random.randint(1, limit) if server == "libvirtd" else 0
        status, _, err = self.daemon.virt_admin(
            "server-clients-set", server, "--max-clients", str(limit), "--max-unauth-clients",
            str(silent))
        # the other one may have a SET under way, or may have set the same
        self.assertTrue(status == 0 or "configuration" in err, err)

    def change_notifying(self):
        """What is notified, and how often; some of it together with what another refuses."""
        more = [bit for bit in (traps.CLIENT_CONNECT, traps.CLIENT_DISCONNECT)
                if self.random.random() < 0.5]
        self.ask(lambda session: session.set_all([
            (oid("lvaNotifyEnable"), traps.bits(*WANTED, *more)),
            (oid("lvaNotifyMinInterval"), ber.unsigned(self.random.choice((0, 1, 3600))))]))

    def fail_to_log_in(self):
        with traps.connect(self.daemon.socket) as client:
            traps.Sasl.log_in(client, "wrong-words")

    def walk(self):
        self.ask(lambda session: session.get(*(oid(name, server) for server in SERVERS
                                               for name in CONDITIONS)))

    def ask(self, what):
        """Whether or not there is an answer."""
        session = ber.Session(self.snmpd.port, timeout=0.3)
        try:
            what(session)
        except (OSError, AssertionError):
            pass
        finally:
            session.close()

    def reload(self):
        self.place.write("virtadmd.conf", self.daemon.text.replace(
            "max_workers = 20", f"max_workers = {self.random.randint(20, 90)}"))
        self.daemon.process.kill(signal.SIGHUP)

    def disturb(self):
        how, pause = self.random.choice(((signal.SIGKILL, 0), (signal.SIGSTOP, 0.3),
                                         (signal.SIGSTOP, 1.5), (signal.SIGSTOP, LONGEST)))
        self.disturbed += 1
        self.snmpd.process.kill(how)
        if how == signal.SIGKILL:
            self.snmpd.process.wait()
            self.snmpd.start()
        else:
            time.sleep(pause)
            self.snmpd.process.kill(signal.SIGCONT)
        harness.wait_for(self.snmpd.has_agent, "the agent to be back")

    def test_storm(self):
        second = f"""[server second]
index = 3
listen = unix:second-sock
upstream = unix:/nowhere
{NO_ANONYMOUS}max_clients = 2
"""
        self.start(self.SASL_LISTEN + "max_clients = 2\nmax_anonymous_clients = 1\n"
                   "max_workers = 20\n", interval=INTERVAL, extra=second,
                   enable=("clientLimit", "clientHigh", "unauthLimit", "config",
                                               "authFailure"), log="filters = 2:agent.snmp")
        descriptors = self.daemon.process.descriptors()
        flappers = [Flapper(self.daemon.socket, 2),
                    Flapper(os.path.join(self.daemon.dir, "second-sock"), 3)]
        threads = [Often(self.change_limits, 0.1), Often(self.change_notifying, 0.15),
                   Often(self.walk, 0.01), Often(self.reload, 0.5), Often(self.fail_to_log_in, 0.05)]
        end = time.monotonic() + SECONDS
        try:
            while time.monotonic() < end:
                time.sleep(self.random.choice((0.1, 1.2)))
                self.disturb()
        finally:
            for one in threads + flappers:
                one.stop()
        self.watch.skip()
        self.ask_until(lambda: self.set((oid("lvaNotifyMinInterval"), ber.unsigned(INTERVAL))))
        self.be_quiet()
        print(f"\n   {self.disturbed} times disturbed, {self.came()} notifications, "
              f"{self.counters()} counted since the start, {[one.done for one in threads]} calls, "
              f"{[one.rounds for one in flappers]} rounds", end="")
        self.check_last()
        self.check_order()
        self.assertEqual(self.daemon.process.descriptors(), descriptors)

    def ask_until(self, what):
        def attempt():
            try:
                what()
            except (OSError, AssertionError):
                return False
            return True
        harness.wait_for(attempt, "a SET to pass")

    def be_quiet(self):
        """No notification for more than an interval."""
        def is_quiet():
            there = len(self.receiver.raw)
            time.sleep(1.5 * INTERVAL)
            return len(self.receiver.raw) == there
        harness.wait_for(is_quiet, "silence")

    def told(self, names, server=None):
        return [told for told in self.receiver.told()
                if told.name in names and (server is None or told.index == (server,))]

    def check_last(self):
        for server in SERVERS:
            for column, names in CONDITIONS.items():
                last = self.told(names.values(), server)[-1:]
                state = names[self.get1(column, server)]
                if state.endswith("Normal") and not last:
                    continue
                self.assertEqual([told.name for told in last], [state], (server, column))
        last = self.told(("lvaClientAuthFailure",))[-1]
        self.assertEqual(last.values["lvaServerAuthFailures"],
                         self.get1("lvaServerAuthFailures", 2))
        last = self.told(("lvaConfigChanged",))[-1]
        self.assertEqual(last.values["lvaConfigGeneration"], self.get1("lvaConfigGeneration"))

    def check_order(self):
        """Generations and failures only grow; a state is only told again if the session may have been
        another."""
        failures = [told.values["lvaServerAuthFailures"]
                    for told in self.told(("lvaClientAuthFailure",))]
        self.assertEqual(failures, sorted(failures))
        generations = self.told(("lvaConfigChanged",))
        for before, after in zip(generations, generations[1:]):
            grew = after.values["lvaConfigGeneration"] - before.values["lvaConfigGeneration"]
            self.assertGreaterEqual(grew, 0, f"{before}, {after}")
            if grew == 0:
                self.assert_new_session(before, after)
        for server in SERVERS:
            for names in CONDITIONS.values():
                told = self.told(names.values(), server)
                for before, after in zip(told, told[1:]):
                    if before.name == after.name:
                        self.assert_new_session(before, after)

    def sessions(self):
        """When each began, on the clock of the notifications."""
        offset = time.time() - time.monotonic()
        stamps = re.findall(r"^(\S+ \S+): .* connected to the master agent", self.daemon.log_text(),
                            re.M)
        return [datetime.datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S.%f%z").timestamp() - offset
                for stamp in stamps]

    def assert_new_session(self, before, after):
        """One has begun in between; what was sent in the last one may have been on its way for as
        long as the master was stopped."""
        began = self.sessions()
        self.assertTrue([at for at in began if before.at - LONGEST - 1 < at < after.at],
                        f"at {before.at}: {before}, at {after.at}: {after}, sessions: {began}")


if __name__ == "__main__":
    import unittest
    unittest.main()
