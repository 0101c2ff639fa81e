# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host on which things go wrong: clients that do not say who they are or guess passwords, calls that
hang, a daemon behind a server that is not there. Each lasts as long as its context."""

import contextlib
import os
import signal
import threading

import harness
import host
from harness import Raw, open_payload, wait_for
from traps import Sasl

SOME, MANY = "some", "many"
ODD = 'zw\u00f6lf, "12"'  # what has to be quoted, and is not ASCII
INDEX = {ODD: 7, SOME: 8, MANY: 9}
LISTEN = {ODD: "odd", SOME: SOME, MANY: MANY}
CLIENTS_MAX = {ODD: 100, SOME: 100, MANY: 6}
UNAUTH_MAX = {ODD: 20, SOME: 10, MANY: 5}
WORKERS = 2  # of each of them
PROC_GET_TYPE = 3
UP, UNREACHABLE = 2, 3


class TroubledHost(host.Host):
    """With a server for some trouble, one for more, and an odd one, which have a libvirtd of their own; a
    client can connect with and without SASL."""

    def __init__(self, place, snmpd):
        self.behind = harness.Libvirtd(place, "behind")
        self.elsewhere = place.path("elsewhere")
        os.symlink(self.behind.socket, self.elsewhere)
        super().__init__(place, snmpd=snmpd, env=Sasl(place).env,
                         server="".join(self.section(name) for name in INDEX))

    def section(self, name):
        upstream = self.elsewhere if name == ODD else self.behind.socket
        return f"""\
[server {name}]
index = {INDEX[name]}
upstream = unix:{upstream}
listen = unix:{LISTEN[name]};unix+sasl:{LISTEN[name]}-sasl
max_clients = {CLIENTS_MAX[name]}
max_anonymous_clients = {UNAUTH_MAX[name]}
auth_timeout = 3600
keepalive_interval = -1
max_client_requests = 1000
min_workers = {WORKERS}
max_workers = {WORKERS}
prio_workers = 0
"""

    def client(self, name, sasl=False):
        return Raw(os.path.join(self.virtadmd.dir, LISTEN[name] + ("-sasl" if sasl else "")), Raw.REMOTE)

    def wait_for(self, column, name, value):
        def found():
            return self.snmpd.get1(column, INDEX[name])
        wait_for(lambda: found() == value, lambda: f"{column} of {name}: {value}, not {found()}")

    @contextlib.contextmanager
    def silent(self, name, count):
        """So many clients that do not say who they are."""
        with contextlib.ExitStack() as stack:
            for _ in range(count):
                stack.enter_context(self.client(name, sasl=True))
            self.wait_for("lvaServerClientsUnauthCurrent", name, count)
            yield

    @contextlib.contextmanager
    def stuck(self, jobs):
        """The libvirtd behind is stopped; jobs: how many wait for the workers of which server."""
        with contextlib.ExitStack() as stack:
            clients = {name: stack.enter_context(self.client(name)) for name in jobs}
            for name, client in clients.items():
                reply = client.call(host.PROC_CONNECT_OPEN, open_payload())
                if reply is None or reply[5] != 0:
                    raise AssertionError(f"{name} does not open a connection: {reply}")
            stack.callback(self.behind.process.kill, signal.SIGCONT)
            self.behind.process.kill(signal.SIGSTOP)
            for name, client in clients.items():
                for _ in range(WORKERS + jobs[name]):
                    client.send(PROC_GET_TYPE)
                self.wait_for("lvaServerJobQueueDepth", name, jobs[name])
            yield

    @contextlib.contextmanager
    def nobody_behind(self):
        """The odd server's upstream daemon is not there, which a client finds; virtadmd looks itself
        whether it is back."""
        os.unlink(self.elsewhere)
        with self.client(ODD) as client:
            client.call(host.PROC_CONNECT_OPEN, open_payload())
        self.wait_for("lvaServerUpstreamState", ODD, UNREACHABLE)
        try:
            yield
        finally:
            os.symlink(self.behind.socket, self.elsewhere)
        self.wait_for("lvaServerUpstreamState", ODD, UP)

    def guess(self, name):
        """A wrong password."""
        with self.client(name, sasl=True) as client:
            reply = Sasl.log_in(client, "a guess")
            if reply and reply[5] == 0:
                raise AssertionError(f"{name} takes any password")

    @contextlib.contextmanager
    def guesses(self, name):
        """Wrong passwords all the time."""
        over = threading.Event()

        def run():
            while not over.wait(0.2):
                self.guess(name)
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
