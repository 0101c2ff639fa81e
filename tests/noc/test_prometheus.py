# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real prometheus-snmp-exporter and Prometheus, configured by what is shipped, watch a real
virtadmd and a real virtadm-agent behind an snmpd as Debian and our drop-in configure it.

The rules are the shipped ones, but do not take minutes: in a copy each "for:" is three seconds, and
each range of time ([5m]) twenty. Of the shipped configuration of Prometheus the hosts, the address
of the exporter and the intervals are put in place; of the exporter's, the secrets."""

import calendar
import contextlib
import json
import re
import signal
import socket
import struct
import unittest
import urllib.error
import urllib.parse
import urllib.request

import yaml
from selenium.webdriver.common.by import By

import harness
from browser import Browser
from harness import Raw, free_port, open_payload, tool, wait_for
from host import RELAY, Host, shipped
from stock import AUTH, PRIV, StockSnmpd
from test_prometheus_files import NEW, load, readable_by_installed

PATIENCE = 90
CONFIG = {NEW: "prometheus.yml"}.get(readable_by_installed(), "prometheus-before-0.23.yml")


def fetch(url):
    """The text behind a URL on loopback; an error of the server has its text, too."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=60) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()


class Exporter:
    """With the shipped file for its release, in which only the secrets were changed."""

    def __init__(self, place):
        self.port = free_port(socket.SOCK_STREAM)
        self.form = readable_by_installed()
        with open(shipped("prometheus", self.form), encoding="utf-8") as shape:
            text = shape.read()
        for secret, mine in (("change-me-authentication", AUTH), ("change-me-privacy", PRIV)):
            if secret not in text:
                raise AssertionError(f"{secret} is not in {self.form}")
            text = text.replace(secret, mine)
        self.process = place.spawn("snmp-exporter", [
            tool("prometheus-snmp-exporter"), "--config.file=" + place.write("snmp.yml", text),
            f"--web.listen-address=127.0.0.1:{self.port}"])
        wait_for(lambda: self.process.alive() and self.answers(),
                 lambda: f"the exporter: {self.process.output()[-800:]}")

    def answers(self):
        with contextlib.suppress(OSError):
            return "SNMP Exporter" in fetch(f"http://127.0.0.1:{self.port}/")

    def scrape(self, target, module, auth):
        """[(name, {label: value}, number), ...], without what is about the exporter itself. auth: of
        the newer form, virtadm_v2 or virtadm_v3; in the older one it is a part of the module."""
        query = {"target": target, "module": module}
        if self.form == NEW:
            query["auth"] = auth
        elif auth != "virtadm_v2":
            query["module"] = module + auth.removeprefix("virtadm")
        text = fetch(f"http://127.0.0.1:{self.port}/snmp?{urllib.parse.urlencode(query)}")
        found = []
        for line in text.splitlines():
            if line.startswith(("#", "snmp_")):
                continue
            parts = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            if not parts:
                raise AssertionError(f"the exporter says: {text[:1000]}")
            labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', parts[2] or ""))
            found.append((parts[1], {name: value.replace(r"\\", "\\").replace(r"\"", '"')
                                     for name, value in labels.items() if value}, float(parts[3])))
        return found


class Prometheus:
    """With the shipped rules, made quick, and the shipped configuration. targets: (address, context)
    of the hosts, context empty for the default one."""

    def __init__(self, place, exporter, *targets):
        self.port = free_port(socket.SOCK_STREAM)
        for name in ("virtadm.rules.yml", "virtadm-settings.rules.yml"):
            with open(shipped("prometheus", name), encoding="utf-8") as rules:
                text = re.sub(r"\bfor: \d+m$", "for: 3s", rules.read(), flags=re.M)
            place.write(name, re.sub(r"\[\d+m\]", "[20s]", text))
        config = load(CONFIG)
        config["global"] = {"evaluation_interval": "1s"}
        (job,) = config["scrape_configs"]
        job["scrape_interval"] = job["scrape_timeout"] = "5s"
        job["static_configs"] = [
            {"targets": [address], **({"labels": {"context": context}} if context else {})}
            for address, context in targets]
        job["relabel_configs"][-1]["replacement"] = f"127.0.0.1:{exporter.port}"
        self.process = place.spawn("prometheus", [
            tool("prometheus"), "--config.file=" + place.write("prometheus.yml", yaml.dump(config)),
            "--storage.tsdb.path=" + place.path("prometheus-data"),
            f"--web.listen-address=127.0.0.1:{self.port}"])
        wait_for(lambda: self.process.alive() and self.ready(),
                 lambda: f"Prometheus: {self.process.output()[-1500:]}", PATIENCE)

    def url(self, path, **query):
        return f"http://127.0.0.1:{self.port}/{path}" + \
            ("?" + urllib.parse.urlencode(query) if query else "")

    def ready(self):
        with contextlib.suppress(OSError):
            return "Ready" in fetch(self.url("-/ready"))

    def ask(self, path, **query):
        answer = json.loads(fetch(self.url("api/v1/" + path, **query)))
        if answer["status"] != "success":
            raise AssertionError(f"{path} {query}: {answer}")
        return answer["data"]

    def query(self, expression):
        """[(labels, value), ...]"""
        found = self.ask("query", query=expression)["result"]
        return [(row["metric"], float(row["value"][1])) for row in found]

    def firing(self):
        """The alerts that fire, as "name severity label of what it is about"."""
        return sorted(" ".join(
            [alert["labels"]["alertname"], alert["labels"]["severity"]]
            + [alert["labels"][name] for name in ("lvaServerName", "daemon", "context")
               if name in alert["labels"]])
            for alert in self.ask("alerts")["alerts"] if alert["state"] == "firing")

    def wait_for_alerts(self, *expected):
        """Until these fire and no others."""
        wait_for(lambda: self.firing() == sorted(expected),
                 lambda: f"the alerts {expected}, not {self.firing()}: {self.state()}", PATIENCE)

    def state(self):
        targets = [(target["labels"], target["health"], target["lastError"])
                   for target in self.ask("targets")["activeTargets"]]
        return f"{targets}, alerts {self.ask('alerts')['alerts']}"


# ---------------------------------------------------------------------------------------------
# What the exporter should say of what snmpbulkwalk says: written from the MIB's point of view.

SERVER_ROWS = {"lvaServerTable": (), "lvaServiceTable": ("lvaServiceIndex", "lvaServiceListen"),
               "lvaClientTable": ("lvaClientIndex", "lvaClientPeer")}


def objects(walk):
    """{(object, its table or None): {index: value}} of a walk of the whole MIB."""
    tables = {name: harness.OIDS[name] for name in (
        *SERVER_ROWS, "lvaLogStatsTable", "lvaContextTable")}
    names = {number: name for name, number in harness.OIDS.items()}
    found = {}
    for number, value in walk:
        table = next((name for name, start in tables.items()
                      if number.startswith(start + ".")), None)
        column = ".".join(number.split(".")[:harness.OIDS[table].count(".") + 3]) if table else \
            number.removesuffix(".0")
        index = tuple(map(int, number[len(column) + 1:].split(".")))
        found.setdefault((names[column], table), {})[index] = value
    return found


def labels_of(found, table, index, enums):
    """How the index of a row is shown."""
    if table is None:
        return {}
    if table == "lvaLogStatsTable":
        return {"lvaLogStatsLevel": enums["lvaLogStatsLevel"][index[0]]}
    if table == "lvaContextTable":
        return {"lvaContextName": "".join(map(chr, index[1:]))}
    labels = {"lvaServerName": found["lvaServerName", "lvaServerTable"][index[:1]]}
    if SERVER_ROWS[table]:
        second, text = SERVER_ROWS[table]
        labels |= {second: str(index[1]), text: found[text, table][index]}
    return labels


def series_of(metric, labels, value):
    """The time series of one value."""
    name, kind = metric["name"], metric["type"]
    enum = metric.get("enum_values", {})
    if kind in ("gauge", "counter"):
        return [(name, labels, float(value))]
    if kind == "EnumAsInfo":
        return [(name + "_info", {**labels, name: enum[value]}, 1.0)]
    if kind == "EnumAsStateSet":
        return [(name, {**labels, name: label}, float(number == value))
                for number, label in enum.items()]
    data = value.encode("latin-1")
    if kind == "Bits":
        return [(name, {**labels, name: label}, float(data[bit // 8] >> (7 - bit % 8) & 1))
                for bit, label in enum.items()]
    if kind == "DateAndTime":
        year, *rest = struct.unpack(">HBBBBB", data[:7])
        return [(name, labels, float(calendar.timegm((year, *rest))))]
    if kind == "InetAddress":
        value = ".".join(map(str, data))
    return [(name, {**labels, **({name: value} if value else {})}, 1.0)]


def expected(module, walk):
    """All that the exporter should show."""
    found = objects(walk)
    metrics = {metric["name"]: metric for metric in load(NEW)["modules"][module]["metrics"]}
    enums = {name: metric.get("enum_values") for name, metric in metrics.items()}
    return [series for (name, table), rows in found.items() if name in metrics
            for index, value in rows.items()
            for series in series_of(metrics[name], labels_of(found, table, index, enums), value)]


def comparable(series):
    return {(name, tuple(sorted(labels.items()))): value for name, labels, value in series}


class Watched(unittest.TestCase):
    """A place with snmpd, exporter, Prometheus and what subclasses put into it."""

    @classmethod
    def setUpClass(cls):
        cls.place = harness.Place()
        cls.addClassCleanup(cls.place.close)
        cls.snmpd = StockSnmpd(cls.place)
        cls.address = f"127.0.0.1:{cls.snmpd.port}"
        cls.watch()

    def same_as_walked(self, module, auth):
        """What the exporter says is what snmpbulkwalk says before and after; returns the names of
        the time series compared."""
        def compare():
            before = comparable(expected(module, self.snmpd.walk()))
            scraped = comparable(self.exporter.scrape(self.address, module, auth))
            after = comparable(expected(module, self.snmpd.walk()))
            if sorted(scraped) != sorted(before):
                self.off = set(scraped) ^ set(before)
                return False
            low = {key: value for key, value in before.items() if value <= after[key]}
            self.off = {key: (value, scraped[key], after[key]) for key, value in low.items()
                        if not value <= scraped[key] <= after[key]}
            self.steady = {key[0] for key, value in before.items() if value == after[key]}
            return not self.off
        wait_for(compare, lambda: f"what is walked: {self.off}", PATIENCE)
        return self.steady


class Virtadmd(Watched):
    @classmethod
    def watch(cls):
        cls.port = free_port(socket.SOCK_STREAM)
        cls.host = Host(cls.place, snmpd=cls.snmpd, server="listen = unix:libvirt-sock;"
                        f"unix-ro:libvirt-sock-ro;tcp:127.0.0.1:{cls.port}\n")
        cls.exporter = Exporter(cls.place)
        cls.prometheus = Prometheus(cls.place, cls.exporter, (cls.address, ""))

    def values(self, expression):
        return {labels["lvaServerName"]: value for labels, value in self.prometheus.query(expression)}

    def test_values(self):
        """By SNMPv2c and by SNMPv3; states, times, texts, bits and addresses."""
        for auth in ("virtadm_v2", "virtadm_v3"):
            steady = self.same_as_walked("virtadm", auth)
            self.assertLessEqual({
                "lvaDaemonName", "lvaDaemonState", "lvaDaemonStartTime", "lvaConfigLastOrigin_info",
                "lvaLogStatsDropped", "lvaServerClientsMax", "lvaServerClientsState",
                "lvaServerUpstreamState", "lvaServiceAddress", "lvaServicePort",
                "lvaServiceAccepting", "lvaNotifyEnable", "lvaContextState", "lvaClientNumber",
            }, steady)
        listens = {labels["lvaServiceListen"]: labels.get("lvaServiceAddress") for name, labels, _
                   in self.exporter.scrape(self.address, "virtadm", "virtadm_v3")
                   if name == "lvaServiceAddress"}
        self.assertIn("127.0.0.1", listens.values())

    def test_clients(self):
        """The rows of clients, when they are asked for."""
        with Raw(("127.0.0.1", self.port), program=Raw.REMOTE) as client, self.host.clients(2):
            self.assertEqual(client.call(1, open_payload())[5], 0)
            steady = self.same_as_walked("virtadm_clients", "virtadm_v3")
            self.assertLessEqual({"lvaClientId", "lvaClientTransport_info", "lvaClientAddress",
                                  "lvaClientConnectedSince", "lvaClientUnixUserName",
                                  "lvaClientAuthenticated_info"}, steady)
            peers = {labels.get("lvaClientPeer") for _, labels, _ in
                     self.exporter.scrape(self.address, "virtadm_clients", "virtadm_v3")}
            mine = "{}:{}".format(*client.sock.getsockname())
            self.assertIn(mine, peers)

    def test_polled_alert(self):
        """Clients in use: what is recorded, the alert, and its end; pictures of both."""
        self.prometheus.wait_for_alerts()
        for name in ("lvaServerClientsMax", "lvaServerWorkersMax", "lvaServerClientsCurrent"):
            wait_for(lambda: self.values(name).get("libvirtd") == self.snmpd.get1(name, RELAY),
                     lambda: f"{name}: {self.values(name)}", PATIENCE)
        with self.host.clients(17 - self.host.clients_now()):
            self.prometheus.wait_for_alerts("VirtadmClientsHigh warning libvirtd")
            wait_for(lambda: self.values("virtadm:clients_used:percent").get("libvirtd") == 85,
                     lambda: self.values("virtadm:clients_used:percent"), PATIENCE)
            browser = Browser(self.place, width=1000, height=980)
            self.look_at_alerts(browser)
        self.prometheus.wait_for_alerts()
        self.look_at_graph(browser)

    def panels(self):
        """What the dashboard for Grafana asks: (title, expression)."""
        with open(shipped("prometheus", "grafana-virtadm.json"), encoding="utf-8") as dashboard:
            for panel in json.load(dashboard)["panels"]:
                for target in panel["targets"]:
                    expression = target["expr"].replace("$__rate_interval", "20s")
                    yield panel["title"], expression.replace("$instance", ".*")

    def panel(self, wanted):
        return [value for title, expression in self.panels() if title == wanted
                for _, value in self.prometheus.query(expression)]

    def test_dashboard(self):
        """Each panel has something to show; but for clients that have not authenticated, of whom
        there are none, and times of calls, of which there may be none."""
        for title, expression in self.panels():
            if "Unauth" in expression or "seconds5m" in expression:
                self.prometheus.query(expression)
            else:
                wait_for(lambda: self.prometheus.query(expression), f"{title}: {expression}",
                         PATIENCE)
        wait_for(lambda: self.panel("Daemons") == self.panel("SNMP and agent") == [1],
                 lambda: f"the daemon and its agent: {self.prometheus.state()}", PATIENCE)

    def look_at_alerts(self, browser):
        """Debian's Prometheus has the classic pages only."""
        browser.wait_for_text("VirtadmClientsHigh (1 active)", "VirtadmAgentGone (0 active)",
                              again=self.prometheus.url("classic/alerts"))
        browser.driver.find_element(By.XPATH, "//label[contains(., 'Inactive')]").click()
        # the first of its two rules fires: its head opens it
        head = browser.driver.find_element(
            By.XPATH, "//tr[contains(@class, 'alert_header')][contains(., 'VirtadmClientsHigh')]")
        head.click()
        browser.driver.find_element(By.CSS_SELECTOR, "button.show-annotations").click()
        browser.wait_for_text("FIRING", 'lvaServerName="libvirtd"', "85% of lvaServerClientsMax")
        browser.driver.execute_script("arguments[0].scrollIntoView()", head)
        browser.picture("prometheus-alerts")

    def look_at_graph(self, browser):
        page = self.prometheus.url("classic/graph", **{
            "g0.expr": '{__name__=~"virtadm:clients_used.*percent", lvaServerName="libvirtd"}',
            "g0.tab": 0, "g0.range_input": "20s"})
        browser.open(page)
        browser.wait_for_text("virtadm:clients_used:percent{", 'lvaServerName="libvirtd"',
                              "virtadm:clients_used_warning:percent{", "Load time")
        browser.picture("prometheus-graph")

    def test_the_agent_is_gone(self):
        self.prometheus.wait_for_alerts()
        self.host.kill_agent()
        try:
            self.prometheus.wait_for_alerts("VirtadmAgentGone critical")
            wait_for(lambda: self.prometheus.query('up{job="virtadm"}')[0][1] == 1 and
                     self.panel("Daemons") + self.panel("SNMP and agent") == [0],
                     self.prometheus.state, PATIENCE)
        finally:
            self.host.restart_agent()
        self.prometheus.wait_for_alerts()


    def test_the_agent_hangs(self):
        """snmpd gives it up after two seconds, and takes it back."""
        self.prometheus.wait_for_alerts()
        process = self.host.virtadmd.process
        process.kill(signal.SIGSTOP)
        try:
            self.prometheus.wait_for_alerts("VirtadmAgentGone critical")
        finally:
            process.kill(signal.SIGCONT)
        self.prometheus.wait_for_alerts()


class VirtadmAgent(Watched):
    """Two stock daemons, each in its SNMP context; what this agent cannot know is missed by nobody."""

    @classmethod
    def watch(cls):
        cls.libvirtd = harness.Libvirtd(cls.place)
        cls.virtlogd = harness.Helper(cls.place)
        cls.agent = harness.Agent(cls.place, cls.snmpd, ("libvirtd", cls.libvirtd.admin),
                                  ("virtlogd", cls.virtlogd.admin))
        cls.exporter = Exporter(cls.place)
        cls.agent.wait_for_state("up", PATIENCE)
        cls.agent.wait_for_state("up", PATIENCE, options=("-n", "virtlogd"))
        cls.prometheus = Prometheus(cls.place, cls.exporter, (cls.address, ""),
                                    (cls.address, "virtlogd"))

    def daemons(self):
        return sorted((labels.get("context", ""), labels["lvaDaemonName"])
                      for labels, _ in self.prometheus.query("lvaDaemonName"))

    def test_contexts(self):
        wait_for(lambda: self.daemons() == [("", "libvirtd"), ("virtlogd", "virtlogd")],
                 lambda: f"both daemons: {self.daemons()} {self.prometheus.state()}", PATIENCE)
        steady = self.same_as_walked("virtadm", "virtadm_v3")
        self.assertIn("lvaServerClientsState", steady)
        self.assertNotIn("lvaServerUpstreamState", steady)
        self.prometheus.wait_for_alerts()

        # one alert, although both contexts tell of it
        self.virtlogd.process.end()
        self.prometheus.wait_for_alerts("VirtadmDaemonUnreachable critical virtlogd")
        self.virtlogd.start()
        self.prometheus.wait_for_alerts()

        self.assertEqual(self.agent.stop(), 0)
        self.prometheus.wait_for_alerts("VirtadmAgentGone critical",
                                        "VirtadmAgentGone critical virtlogd")
        self.agent.start()
        self.prometheus.wait_for_alerts()
