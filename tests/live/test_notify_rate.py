# SPDX-License-Identifier: LGPL-2.1-or-later
"""How often notifications come: never as a flood, and the last state always; and what is told again
after master or daemon were away."""

import os
import re
import signal
import socket
import threading
import time

import ber
import harness
import traps
from harness import oid
from test_relay import AUTH_LIST

SCALE = float(os.environ.get("VADM_TEST_SCALE", "1"))
INTERVAL = 1  # second: the least that can be set
# A notification that was late by so much makes the next one look early.
JITTER = 0.3 if SCALE == 1 else 0.7
NO_ANONYMOUS = "max_anonymous_clients = 0\n"
LIMIT_KINDS = ("lvaClientsFull", "lvaClientsHigh", "lvaClientsNormal")


class Flapper(threading.Thread):
    """Clients that come and go around a limit as fast as they can: so many at a time."""

    def __init__(self, path, at_a_time=1):
        super().__init__()
        self.path, self.at_a_time = path, at_a_time
        self.over, self.rounds = threading.Event(), 0
        self.start()

    def run(self):
        while not self.over.is_set():
            clients = [socket.socket(socket.AF_UNIX) for _ in range(self.at_a_time)]
            for client in clients:
                client.connect(self.path)
            for client in clients:
                client.close()
            self.rounds += 1

    def stop(self):
        """When the daemon has seen all of them, too: those in its backlog have gone already."""
        self.over.set()
        self.join()
        with traps.connect(self.path) as last:
            assert last.call(AUTH_LIST)[5] == 0


class Flapping(traps.Case):
    def check_pace(self, watch, seconds):
        """At most one in the interval, since the last look; returns how many."""
        told = watch.unread()
        for before, after in zip(told, told[1:]):
            self.assertGreater(after.at - before.at, INTERVAL - JITTER, f"{before}, {after}")
        self.assertLessEqual(len(told), seconds / INTERVAL + 2)
        return len(told)

    def wait_for_last(self, watch, name, **values):
        def is_last():
            told = watch.unread()
            return told and told[-1].name == name and \
                all(told[-1].values["lva" + key] == value for key, value in values.items())
        harness.wait_for(is_last, lambda: f"{name}, but {[str(t) for t in watch.unread()[-3:]]}")

    def start_two(self):
        """Servers 2 and 3, that allow 1 and 10 clients; {server: (its socket, limit, watch)}."""
        self.start(NO_ANONYMOUS + "max_clients = 1\nclients_high_percent = 0", interval=INTERVAL,
                   enable=("clientLimit", "clientHigh"), extra=f"""\
[server second]
index = 3
upstream = unix:/nowhere
upstream_ro = unix:/nowhere
listen = unix:second-sock
{NO_ANONYMOUS}max_clients = 10
clients_high_percent = 0""")
        second = os.path.join(self.daemon.dir, "second-sock")
        return {server: (path, limit, self.look(
            lambda told, server=server: told.index == (server,)))
            for server, path, limit in ((2, self.daemon.socket, 1), (3, second, 10))}

    def flap(self, servers, seconds):
        """Around the limits of both at the same time; returns when it began."""
        for _, _, watch in servers.values():
            watch.skip()
        began = time.monotonic()
        flappers = [Flapper(path) for path, _, _ in servers.values()]
        time.sleep(seconds)
        for flapper in flappers:
            flapper.stop()
        return began

    def full_events(self, servers):
        return sum(self.get1("lvaServerClientsFullEvents", server) for server in servers)

    def test_around_the_limits(self):
        """Servers do not wait for each other, and each one's last state comes, whatever it is."""
        servers = self.start_two()
        crowds = {server: [self.connect(path) for _ in range(limit - 1)]
                  for server, (path, limit, _) in servers.items()}
        for server, (_, limit, _) in servers.items():
            self.wait_for_clients(limit - 1, server)
        seconds = 1.5 * INTERVAL

        before, edges = self.counters(), self.full_events(servers)
        began = self.flap(servers, seconds)
        for server, (path, limit, watch) in servers.items():
            crowds[server].append(self.connect(path))
            self.wait_for_last(watch, "lvaClientsFull", ServerClientsCurrent=limit)
            self.assertLess(watch.unread()[0].at - began, 0.8 * INTERVAL)
            self.check_pace(watch, time.monotonic() - began)
        edges = self.full_events(servers) - edges
        sent, suppressed = (now - then for now, then in zip(self.counters(), before))
        print(f"\n   around 1 and 10: {edges} times full in {seconds} s, {sent} sent, "
              f"{suppressed} suppressed", end="")
        self.assertGreater(edges, 5 * sent)
        self.assertGreaterEqual(sent + suppressed, 2 * edges - 2)

        for crowd in crowds.values():
            crowd.pop().sock.close()
        began = self.flap(servers, seconds)
        for server, (_, limit, watch) in servers.items():
            self.wait_for_clients(limit - 1, server)
            self.wait_for_last(watch, "lvaClientsNormal", ServerClientsCurrent=limit - 1)
            self.check_pace(watch, time.monotonic() - began)
        time.sleep(2.5 * INTERVAL)  # who came and went last may be due when the interval ends
        for _, limit, watch in servers.values():
            self.wait_for_last(watch, "lvaClientsNormal", ServerClientsCurrent=limit - 1)
            watch.skip()
        self.watch.skip()
        time.sleep(1.5 * INTERVAL)
        self.settle()
        for _, _, watch in servers.values():
            watch.nothing()  # what is settled is not told again

    def test_full_and_high_are_one(self):
        """From below high to full and back: the three count together."""
        self.start(NO_ANONYMOUS + "max_clients = 10\nclients_high_percent = 50", interval=INTERVAL,
                   enable=("clientLimit", "clientHigh"))
        self.crowd(4)
        began = time.monotonic()
        flapper = Flapper(self.daemon.socket, 6)
        time.sleep(1.5 * INTERVAL)
        flapper.stop()
        self.wait_for_last(self.watch, "lvaClientsNormal", ServerClientsCurrent=4)
        self.assertGreater(self.check_pace(self.watch, time.monotonic() - began), 1)
        self.assertGreater(self.counters()[1], 10)

    def test_failures_to_authenticate(self):
        """The first at once, of those behind it within the interval the last. The interval is long until
        all have been refused, which may take a busy machine seconds."""
        self.start(self.SASL_LISTEN, interval=3600, enable=("authFailure",))
        for _ in range(10):
            client = self.connect()
            traps.Sasl.log_in(client, "wrong-words")
            client.sock.close()
        first = self.watch.expect("lvaClientAuthFailure", 2, ServerAuthFailures=1)
        harness.wait_for(lambda: self.counters() == (1, 9), self.counters)
        self.set((oid("lvaNotifyMinInterval"), ber.unsigned(INTERVAL)))
        last = self.watch.expect("lvaClientAuthFailure", 2, ServerAuthFailures=10)
        self.assertEqual(last.index[1] - first.index[1], 9)
        self.assertGreater(last.at - first.at, INTERVAL - JITTER)
        self.settle()
        self.assertEqual(self.counters(), (2, 9))

    def test_interval_is_set(self):
        """What a long interval holds back comes when it is over, or is made shorter."""
        self.start(NO_ANONYMOUS + "max_clients = 1\nclients_high_percent = 0", interval=3600,
                   enable=("clientLimit", "clientHigh"))
        client = self.connect()
        self.watch.expect("lvaClientsFull", 2)
        client.sock.close()
        self.wait_for_clients(0)
        self.settle()
        self.assertEqual(self.counters(), (1, 1))
        self.set((oid("lvaNotifyMinInterval"), ber.unsigned(INTERVAL)))
        self.watch.expect("lvaClientsNormal", 2, ServerClientsCurrent=0)
        self.set((oid("lvaNotifyMinInterval"), ber.unsigned(0)))
        for _ in range(20):
            client = self.connect()
            self.wait_for_clients(1)
            client.sock.close()
            self.wait_for_clients(0)
        for _ in range(20):
            self.watch.expect("lvaClientsFull", 2, ServerClientsCurrent=1)
            self.watch.expect("lvaClientsNormal", 2, ServerClientsCurrent=0)
        self.settle()


class Enabled(traps.Case):
    BIT_OF = {"lvaClientsFull": traps.CLIENT_LIMIT, "lvaClientsNormal": traps.CLIENT_LIMIT,
              "lvaClientsHigh": traps.CLIENT_HIGH, "lvaClientConnected": traps.CLIENT_CONNECT,
              "lvaClientDisconnected": traps.CLIENT_DISCONNECT, "lvaConfigChanged": traps.CONFIG,
              "lvaUpstreamDown": traps.UPSTREAM, "lvaUpstreamUp": traps.UPSTREAM}

    def provoke(self, round_):
        """Each of BIT_OF; upstream goes and comes by the name of its socket."""
        os.rename(self.libvirtd.socket, self.libvirtd.socket + ".away")
        crowd = self.crowd(2)
        self.assertEqual(crowd[0].call(1, harness.open_payload())[5], 1)
        os.rename(self.libvirtd.socket + ".away", self.libvirtd.socket)
        self.assertEqual(crowd[0].call(1, harness.open_payload())[5], 0)
        for client in crowd:
            client.sock.close()
        self.wait_for_clients(0)
        self.set((oid("lvaServerWorkersMax", 2), ber.unsigned(30 + round_)))

    def test_each_bit(self):
        self.start(NO_ANONYMOUS + "max_clients = 2\nclients_high_percent = 50", upstream=True)
        for without in range(len(traps.BITS)):
            with self.subTest(traps.BITS[without]):
                wanted = [bit for bit in range(len(traps.BITS)) if bit != without]
                self.set((oid("lvaNotifyEnable"), traps.bits(*wanted)))
                self.watch.skip()
                self.provoke(without)
                harness.wait_for(lambda: self.came() == self.counters()[0], "all to come")
                self.assertEqual({told.name for told in self.watch.unread()},
                                 {name for name, bit in self.BIT_OF.items() if bit != without})

    def test_rolled_back(self):
        """What is sent is part of the transaction: with all else it comes back."""
        self.start(enable=self.CLIENTS_ONLY + ("config",))
        self.connect().sock.close()
        self.watch.expect("lvaClientConnected", 2)
        self.watch.expect("lvaClientDisconnected", 2)
        self.set((oid("lvaNotifyEnable"), traps.bits(traps.CONFIG)),
                 (oid("lvaServerWorkersMax", 2), ber.unsigned(33)),
                 (oid("lvaConfigConfirmTimeout"), ber.unsigned(1)))
        self.watch.expect("lvaConfigChanged", ConfigGeneration=2, ConfigLastOrigin=3)
        self.connect().sock.close()
        self.wait_for_clients(0)
        self.watch.expect("lvaConfigChanged", ConfigGeneration=3, ConfigLastOrigin=5)
        self.assertEqual(self.get1("lvaServerWorkersMax", 2), 20)
        self.connect().sock.close()
        self.watch.expect("lvaClientConnected", 2)
        self.watch.expect("lvaClientDisconnected", 2)


class Reconnect(traps.Case):
    """The master dies and comes back; the receiver is always there."""

    ALL_BAD = ("lvaClientsFull", "lvaUnauthFull", "lvaUpstreamDown")

    def away(self):
        self.snmpd.process.kill(signal.SIGKILL)
        self.snmpd.process.wait()

    def back(self):
        self.snmpd.start()
        harness.wait_for(self.snmpd.has_agent, "the agent to be back")

    def only(self, *names, agree=True):
        """These come, in any order, each once; and nothing else."""
        harness.wait_for(lambda: len(self.watch.unread()) >= len(names),
                         lambda: f"{names}: {[str(told) for told in self.watch.unread()]}")
        found = self.watch.unread()
        self.assertEqual(sorted(told.name for told in found), sorted(names),
                         [str(told) for told in found])
        for told in found:
            if agree:
                self.agree(told)
        self.watch.skip()
        return found

    def nothing_more(self):
        time.sleep(1.1 * INTERVAL)  # what an interval held back would come now
        self.settle()

    def start_with_all_bad(self):
        """Full, one of two clients unauthenticated, which is as many as may be, upstream down."""
        self.start(self.SASL_LISTEN + "max_clients = 2\nmax_anonymous_clients = 1\n"
                   "clients_high_percent = 0", interval=INTERVAL,
                   enable=("clientLimit", "unauthLimit", "clientHigh", "workers", "config",
                           "daemon", "authFailure", "upstream"))
        known = self.connect()
        self.assertEqual(traps.Sasl.log_in(known, traps.Sasl.PASSWORD)[5], 0)
        self.assertEqual(known.call(1, harness.open_payload())[5], 1)
        crowd = [known, self.connect()]
        harness.wait_for(lambda: {told.name for told in self.watch.unread()} >= set(self.ALL_BAD),
                         "all to be bad")
        self.wait_for_the_interval()
        return crowd

    def wait_for_the_interval(self):
        """What is told next is told at once."""
        time.sleep(1.1 * INTERVAL)
        self.watch.skip()

    def test_what_holds_is_raised_again(self):
        crowd = self.start_with_all_bad()
        self.away()
        self.back()
        self.only(*self.ALL_BAD)
        self.wait_for_the_interval()
        for client in crowd:
            client.sock.close()
        told = self.only("lvaClientsNormal", "lvaUnauthNormal", agree=False)
        self.assertEqual({one.values["lvaServerClientsCurrent"] for one in told
                          if one.name == "lvaClientsNormal"}, {1})
        self.nothing_more()

    def test_what_cleared_meanwhile(self):
        """Full is no longer, upstream still is down, the configuration is another one."""
        crowd = self.start_with_all_bad()
        suppressed = self.counters()[1]
        self.away()
        for client in crowd:
            client.sock.close()
        for number in "70", "71":
            self.assertEqual(self.daemon.virt_admin("server-clients-set", "libvirtd",
                                                    "--max-clients", number)[0], 0)
        self.back()
        self.only("lvaClientsNormal", "lvaUnauthNormal", "lvaUpstreamDown", "lvaConfigChanged")
        self.assertGreaterEqual(self.counters()[1], suppressed + 4)
        self.away()
        self.back()
        self.only("lvaUpstreamDown")
        self.nothing_more()

    def test_what_never_arrived(self):
        """The master dies with the end of a condition and a change in its socket, unread."""
        self.start(NO_ANONYMOUS + "max_clients = 2\nclients_high_percent = 0", interval=0,
                   enable=("clientLimit", "config"))
        crowd = self.crowd(2)
        self.only("lvaClientsFull")
        before = self.counters()[0]
        self.snmpd.process.kill(signal.SIGSTOP)
        crowd.pop().sock.close()
        self.assertEqual(self.daemon.virt_admin("server-clients-set", "libvirtd",
                                                "--max-clients", "70")[0], 0)
        self.away()
        self.back()
        self.only("lvaClientsNormal", "lvaConfigChanged")
        self.assertEqual(self.counters()[0], before + 4)  # two of them in vain

    def test_what_began_meanwhile(self):
        self.start(NO_ANONYMOUS + "max_clients = 2\nclients_high_percent = 0", interval=INTERVAL)
        self.set((oid("lvaNotifyMinInterval"), ber.unsigned(0)))
        self.away()
        watch = self.look(lambda told: told.name in LIMIT_KINDS)
        crowd = [self.connect() for _ in range(2)]
        harness.wait_for(lambda: re.search(r"nclients\s*: 2", self.daemon.virt_admin(
            "server-clients-info", "libvirtd")[1]), "two clients")
        self.back()
        watch.expect("lvaClientsFull", 2, ServerClientsCurrent=2)
        crowd.pop().sock.close()
        watch.expect("lvaClientsNormal", 2, ServerClientsCurrent=1)

    def test_killed_with_notifications_under_way(self):
        """As many as may be, again and again: none of their places is lost with a session."""
        self.start(NO_ANONYMOUS, interval=0, enable=self.CLIENTS_ONLY)
        for _ in range(2):
            self.snmpd.process.kill(signal.SIGSTOP)
            for client in [self.connect() for _ in range(100)]:
                client.sock.close()
            self.away()
            self.back()
        self.watch.skip()
        before = self.counters()
        for client in self.crowd(100):
            client.sock.close()
        self.wait_for_clients(0)
        harness.wait_for(lambda: len(self.watch.unread()) == 200,
                         lambda: f"200, not {len(self.watch.unread())}")
        self.assertEqual(self.counters(), (before[0] + 200, before[1]))

    def test_daemon_restarts(self):
        """It counts anew, and says so; what holds from the start on is told. Where all is well the
        return of the master is no news."""
        self.start(interval=INTERVAL, enable=[bit for bit in traps.BITS
                                              if bit not in self.CLIENTS_ONLY])
        self.set((oid("lvaServerClientsHighPercent", 2), ber.unsigned(50)))
        self.only("lvaConfigChanged")
        self.away()
        self.back()
        self.nothing_more()
        before = self.get1("lvaNotifyDiscontinuityTime")
        self.place.write("virtadmd.conf", self.daemon.text.replace(
            "[server libvirtd]\n", f"[server libvirtd]\n{NO_ANONYMOUS}max_clients = 0\n"))
        self.restart()
        self.only("lvaClientsFull")
        self.nothing_more()
        self.assertEqual(self.counters(), (1, 0))
        now = self.get1("lvaNotifyDiscontinuityTime")
        self.assertNotEqual(now, before)
        self.assertEqual(len(now), 11)


if __name__ == "__main__":
    import unittest
    unittest.main()
