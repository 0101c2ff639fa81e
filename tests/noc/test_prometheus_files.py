# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is shipped for Prometheus, without a daemon: the exporter's configuration against its own
generator and its own idea of a file, the rules against promtool, and each against the other."""

import glob
import json
import os
import re
import shutil
import unittest

import yaml

import harness
from harness import run, tool
from host import shipped

OLD, NEW = "snmp-before-0.23.yml", "snmp.yml"
HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(harness.SOURCE, "mib", "LIBVIRT-ADMIN-MIB.txt.in")
IMPORTED = ("SNMPv2-SMI", "SNMPv2-TC", "SNMPv2-CONF", "SNMP-FRAMEWORK-MIB", "HCNUM-TC",
            "INET-ADDRESS-MIB")
# What no time series is made of: texts that change, what another one shows, what only notifications
# have.
LEFT_OUT = {"lvaServerName", "lvaServiceListen", "lvaConfigLastError", "lvaLogFilters",
            "lvaLogOutputs", "lvaConfigLock", "lvaServiceAddressType", "lvaClientPeer",
            "lvaClientAdminStatus", "lvaClientAddressType", "lvaClientDisconnectReason"}


def load(name):
    with open(shipped("prometheus", name), encoding="utf-8") as text:
        return yaml.safe_load(text)


def modules(name):
    """Of either form: what is asked and how it is shown, without how to ask."""
    found = load(name)
    found = found["modules"] if "modules" in found else found
    return {module: {key: value for key, value in said.items() if key not in ("version", "auth")}
            for module, said in found.items()}


def exporter_release():
    """Of the installed exporter: (0, 21)."""
    _, out, err = run(tool("prometheus-snmp-exporter"), "--version")
    return tuple(map(int, re.search(r"version (\d+)\.(\d+)", out + err).groups()))


def readable_by_installed():
    """The form that the installed exporter reads."""
    return OLD if exporter_release() < (0, 23) else NEW


# ---------------------------------------------------------------------------------------------
# The shape of snmp.yml: the structures that snmp_exporter reads it into (config/config.go of its
# releases 0.21, 0.23 and 0.28, which refuse unknown keys), with the rules that it checks.

OID = r"[0-2](\.\d+)+"
NAME = r"[a-zA-Z_][a-zA-Z0-9_]*"
INDEX_TYPES = ("gauge", "counter", "OctetString", "DisplayString", "InetAddress", "EnumAsInfo",
               "PhysAddress48", "InetAddressIPv4", "InetAddressIPv6", "InetAddressMissingSize")
METRIC_TYPES = INDEX_TYPES + ("DateAndTime", "EnumAsStateSet", "Bits", "Float", "Double")


def text(pattern=".*"):
    def check(value, where):
        if not isinstance(value, str) or not re.fullmatch(pattern, value, re.S):
            raise ValueError(f"{where}: {value!r} is no text like {pattern}")
    return check


def number(low, high=2**32 - 1):
    def check(value, where):
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"{where}: {value!r} is no number from {low} to {high}")
    return check


def boolean(value, where):
    if type(value) is not bool:
        raise ValueError(f"{where}: {value!r} is neither true nor false")


def one_of(*choices):
    return text("|".join(map(re.escape, choices)))


def list_of(item):
    def check(value, where):
        if not isinstance(value, list):
            raise ValueError(f"{where}: {value!r} is no list")
        for count, part in enumerate(value):
            item(part, f"{where}[{count}]")
    return check


def map_of(key, item):
    def check(value, where):
        if not isinstance(value, dict):
            raise ValueError(f"{where}: {value!r} is no mapping")
        for name, part in value.items():
            key(name, f"{where}, a key")
            item(part, f"{where}.{name}")
    return check


def structure(needed, **fields):
    def check(value, where):
        map_of(one_of(*fields), lambda *_: None)(value, where)
        for name in needed.split():
            if name not in value:
                raise ValueError(f"{where}: {name} is missing")
        for name, part in value.items():
            fields[name](part, f"{where}.{name}")
    return check


ENUM = map_of(number(0), text(r"[a-z][A-Za-z0-9]*"))
AUTH_FIELDS = {
    "community": text(), "username": text(".+"), "password": text(".{8,}"),
    "priv_password": text(".{8,}"), "context_name": text(),
    "security_level": one_of("noAuthNoPriv", "authNoPriv", "authPriv"),
    "auth_protocol": one_of("MD5", "SHA", "SHA224", "SHA256", "SHA384", "SHA512"),
    "priv_protocol": one_of("DES", "AES", "AES192", "AES192C", "AES256", "AES256C")}
VERSION = number(1, 3)
INDEX = structure("labelname type", labelname=text(NAME), type=one_of(*INDEX_TYPES),
                  fixed_size=number(0), implied=boolean, enum_values=ENUM)
LOOKUP = structure("labels labelname", labels=list_of(text(NAME)), labelname=text(NAME),
                   oid=text(OID), type=one_of(*INDEX_TYPES))
METRIC = structure("name oid type help", name=text(NAME), oid=text(OID),
                   type=one_of(*METRIC_TYPES), help=text(".+"), indexes=list_of(INDEX),
                   lookups=list_of(LOOKUP), enum_values=ENUM)
MODULE_FIELDS = {
    "walk": list_of(text(OID)), "get": list_of(text(OID)), "metrics": list_of(METRIC),
    "max_repetitions": number(1), "retries": number(0), "timeout": text(r"\d+(ms|s)"),
    "use_unconnected_udp_socket": boolean, "allow_nonincreasing_oids": boolean}
SHAPE = {
    OLD: map_of(text(NAME), structure("metrics", **MODULE_FIELDS, version=VERSION,
                                      auth=structure("", **AUTH_FIELDS))),
    NEW: structure("auths modules", version=number(0),
                   auths=map_of(text(NAME), structure("version", version=VERSION, **AUTH_FIELDS)),
                   modules=map_of(text(NAME), structure("metrics", **MODULE_FIELDS)))}


def check_auth(version, auth):
    """As the exporter does."""
    level = auth.get("security_level", "noAuthNoPriv")
    needed = {"authPriv": ("username", "password", "priv_password"),
              "authNoPriv": ("username", "password"), "noAuthNoPriv": ("username",)}[level]
    if version == 3 and (missing := set(needed) - set(auth)):
        raise ValueError(f"SNMPv3 with {level} needs {missing}")


def check_module(name, module):
    """What the parts must be to each other; else the exporter panics or shows nonsense."""
    metrics = {metric["name"]: metric for metric in module["metrics"]}
    oids = {metric["oid"] for metric in module["metrics"]}
    if len(metrics) != len(module["metrics"]) or len(oids) != len(metrics):
        raise ValueError(f"{name}: a metric is there twice")

    def walked(oid):
        return any((oid + ".").startswith(start + ".") for start in module["walk"])
    for metric in module["metrics"]:
        where = f"{name}.{metric['name']}"
        labels = [index["labelname"] for index in metric.get("indexes", [])]
        if len(labels) != len(set(labels)):
            raise ValueError(f"{where}: an index is there twice")
        for typed in [metric, *metric.get("indexes", [])]:
            if typed["type"].startswith(("Enum", "Bits")) and not typed.get("enum_values"):
                raise ValueError(f"{where}: {typed['type']} without labels")
        for lookup in metric.get("lookups", []):
            if not set(lookup["labels"] or [lookup["labelname"]]) <= set(labels):
                raise ValueError(f"{where}: the lookup {lookup} has no such index")
            if lookup["labels"] and not walked(lookup["oid"]):
                raise ValueError(f"{where}: the lookup {lookup} is not walked")
        if not walked(metric["oid"]):
            raise ValueError(f"{where} is not walked")


# ---------------------------------------------------------------------------------------------

def mibs():
    """The folders with the modules that ours imports; None, and why, where they are not."""
    wanted = os.environ.get("VADM_MIBDIRS", "").split(":") + [
        os.path.join(harness.SOURCE, "..", "shared", "mibs"), "/usr/share/snmp/mibs",
        "/var/lib/mibs/ietf", "/usr/share/mibs/ietf"]
    found = [place for place in wanted if place and os.path.isdir(place)]
    for module in IMPORTED:
        if not any(glob.glob(os.path.join(place, module + end))
                   for place in found for end in ("", ".txt", ".mib", ".my")):
            print(f"{module} was found nowhere (VADM_MIBDIRS is a list of folders): the generator "
                  "is left out")
            return None
    return found


def mkmib(root, option):
    status, out, err = run(tool("perl"), os.path.join(harness.SOURCE, "mib", "mkmib.pl"),
                           f"--root={root}", option, SOURCE)
    if status != 0:
        raise AssertionError(err)
    return out


class Files(unittest.TestCase):
    def setUp(self):
        self.place = harness.Place()
        self.addCleanup(self.place.close)

    def check(self, *argv, expected=0):
        status, out, err = run(*argv)
        self.assertEqual(status, expected, f"{argv}: {out}{err}")
        return out + err

    def test_shape(self):
        for name, shape in SHAPE.items():
            found = load(name)
            shape(found, name)
            for module, said in modules(name).items():
                check_module(f"{name}.{module}", said)
            auths = found["auths"].values() if name == NEW else \
                [{"version": module["version"], **module.get("auth", {})}
                 for module in found.values()]
            for auth in auths:
                check_auth(auth["version"], auth)
            # SNMPv2c with public, and SNMPv3 with everything, without and with a context
            self.assertEqual(
                {(auth["version"], auth.get("security_level"), auth.get("auth_protocol"),
                  auth.get("priv_protocol"), auth.get("context_name"), auth.get("username"))
                 for auth in auths},
                {(2, None, None, None, None, None),
                 (3, "authPriv", "SHA256", "AES", None, "noc"),
                 (3, "authPriv", "SHA256", "AES", "virtlogd", "noc")})

    def test_shape_is_strict(self):
        """The checker sees what the exporter would refuse or stumble over."""
        def broken(change):
            found = load(NEW)
            change(found, next(metric for metric in found["modules"]["virtadm"]["metrics"]
                               if metric["name"] == "lvaServerClientsState"))
            with self.assertRaises(ValueError):
                SHAPE[NEW](found, "snmp.yml")
                check_module("virtadm", found["modules"]["virtadm"])
                check_auth(3, found["auths"]["virtadm_v3"])
        for change in (
                lambda found, metric: found.update(module={}),
                lambda found, metric: found["modules"]["virtadm"].update(version=2),
                lambda found, metric: found["auths"]["virtadm_v3"].update(auth_protocol="SHA-256"),
                lambda found, metric: found["auths"]["virtadm_v3"].pop("priv_password"),
                lambda found, metric: metric.pop("help"),
                lambda found, metric: metric.update(type="integer"),
                lambda found, metric: metric.update(type="Bits", enum_values={}),
                lambda found, metric: metric.update(enum_values={1: True}),
                lambda found, metric: metric.update(enum_values={"up": 1}),
                lambda found, metric: metric.update(oid="." + metric["oid"]),
                lambda found, metric: metric.update(oid="1.3.6.1.2.1.1.3"),
                lambda found, metric: metric.update(unit="s"),
                lambda found, metric: metric["indexes"][0].update(labelname="lvaOther")):
            broken(change)

    def test_forms_say_the_same(self):
        old, new = modules(OLD), modules(NEW)
        for name, module in new.items():
            for ending in ("", "_v3", "_v3_virtlogd"):
                self.assertEqual(old.pop(name + ending), module)
        self.assertEqual(old, {})

    def test_every_object(self):
        """Each object that has a value is a metric, or left out on purpose."""
        with open(os.path.join(harness.BUILD, "mib", "lva-objects.inc"), encoding="ascii") as lines:
            objects = set(re.findall(r"^LVA_OBJECT\((\w+), ", lines.read(), re.M))
        metrics = {metric["name"]: metric for module in load(NEW)["modules"].values()
                   for metric in module["metrics"]}
        self.assertGreater(len(objects), 70)
        self.assertEqual(objects - set(metrics), LEFT_OUT)
        for name, metric in metrics.items():
            self.assertEqual(metric["oid"], harness.OIDS[name])
        self.assertEqual(
            {name: metrics[name]["type"] for name in (
                "lvaDaemonState", "lvaServerClientsState", "lvaDaemonStartTime", "lvaNotifyEnable",
                "lvaServiceAddress", "lvaClientId", "lvaServerJobWaitTime", "lvaClientSelinuxContext",
                "lvaServerClientsMax", "lvaConfigLastOrigin")},
            {"lvaDaemonState": "EnumAsStateSet", "lvaServerClientsState": "EnumAsStateSet",
             "lvaDaemonStartTime": "DateAndTime", "lvaNotifyEnable": "Bits",
             "lvaServiceAddress": "InetAddress", "lvaClientId": "gauge",
             "lvaServerJobWaitTime": "counter", "lvaClientSelinuxContext": "DisplayString",
             "lvaServerClientsMax": "gauge", "lvaConfigLastOrigin": "EnumAsInfo"})

    def test_clients_are_apart(self):
        """No row of a client where nobody asks for them."""
        for name in (OLD, NEW):
            for module, said in modules(name).items():
                rows = [metric["name"] for metric in said["metrics"]
                        if metric["oid"].startswith(harness.OIDS["lvaClientTable"] + ".")]
                self.assertEqual(bool(rows), module.startswith("virtadm_clients"), module)
                walks = [oid for oid in said["walk"]
                         if (harness.OIDS["lvaClientTable"] + ".").startswith(oid + ".")]
                self.assertEqual(bool(walks), bool(rows), module)

    def test_generator(self):
        """The exporter's own generator makes the same, for any root."""
        folders = mibs()
        if folders is None:
            return
        old = exporter_release() < (0, 23)
        form, asked = (OLD, "generator-before-0.23") if old else (NEW, "generator")
        for root in (harness.ROOT_OID, "1.3.6.1.4.1.55555.8"):
            work = self.place.path(root)
            os.makedirs(os.path.join(work, "mibs"))
            # a folder of their own: the generator reads whatever is there
            for module in IMPORTED:
                source = next(path for folder in folders for end in ("", ".txt", ".mib", ".my")
                              for path in glob.glob(os.path.join(folder, module + end)))
                shutil.copy(source, os.path.join(work, "mibs", module + ".txt"))
            self.place.write(f"{root}/mibs/LIBVIRT-ADMIN-MIB.txt", mkmib(root, "--mib"))
            self.place.write(f"{root}/generator.yml", mkmib(root, f"--prometheus={asked}"))
            status, out, err = run(
                "sh", "-c", 'cd "$1" && exec "$2" --fail-on-parse-errors generate', "sh", work,
                tool("prometheus-snmp-generator"),
                env={**os.environ, "MIBDIRS": os.path.join(work, "mibs")})
            self.assertEqual(status, 0, out + err)
            made = yaml.safe_load(self.place.read(f"{root}/snmp.yml"))
            ours = yaml.safe_load(mkmib(root, f"--prometheus={form.removesuffix('.yml')}"))
            if not old:
                # the generator writes what the exporter takes for granted
                ours["auths"] = {name: {
                    "community": "public", "security_level": "noAuthNoPriv", "auth_protocol": "MD5",
                    "priv_protocol": "DES", **auth} for name, auth in ours["auths"].items()}
            self.maxDiff = 4000
            self.assertEqual(made, ours)
            self.assertEqual(sorted(ours), sorted(load(form)))

    def test_exporter(self):
        """It reads its form, and refuses the other one."""
        mine = readable_by_installed()
        for name in (OLD, NEW):
            self.check(tool("prometheus-snmp-exporter"), "--dry-run",
                       "--config.file=" + shipped("prometheus", name),
                       expected=0 if name == mine else 1)

    def test_another_context(self):
        """The module for a further context, as the documentation has it, for exporters up to 0.22."""
        if readable_by_installed() != OLD:
            return
        with open(os.path.join(harness.SOURCE, "docs", "prometheus.md"), encoding="utf-8") as page:
            added = re.search(r"^      virtadm_v3_virtnetworkd:\n(?:        .*\n)+", page.read(), re.M)[0]
        with open(shipped("prometheus", OLD), encoding="utf-8") as shape:
            text_ = shape.read() + re.sub(r"^      ", "", added, flags=re.M).replace(
                "password: ...", "password: eight letters")
        self.check(tool("prometheus-snmp-exporter"), "--dry-run",
                   "--config.file=" + self.place.write("snmp.yml", text_))
        found = yaml.safe_load(text_)
        self.assertEqual(found["virtadm_v3_virtnetworkd"]["metrics"], found["virtadm"]["metrics"])
        self.assertEqual(found["virtadm_v3_virtnetworkd"]["auth"]["context_name"], "virtnetworkd")

    def copy_rules(self):
        for name in ("virtadm.rules.yml", "virtadm-settings.rules.yml", "prometheus.yml",
                     "prometheus-before-0.23.yml"):
            shutil.copy(shipped("prometheus", name), self.place.path(name))

    def test_rules(self):
        self.copy_rules()
        promtool = tool("promtool")
        for name in ("virtadm.rules.yml", "virtadm-settings.rules.yml"):
            self.check(promtool, "check", "rules", self.place.path(name))
        for name in ("prometheus.yml", "prometheus-before-0.23.yml"):
            self.check(promtool, "check", "config", self.place.path(name))
        shutil.copy(os.path.join(HERE, "prometheus-rules.test.yml"), self.place.path("test.yml"))
        self.check(promtool, "test", "rules", self.place.path("test.yml"))

    def test_exceptions(self):
        """A threshold of one host, as virtadm-settings.rules.yml says."""
        self.copy_rules()
        settings = self.place.read("virtadm-settings.rules.yml")
        exception = re.search(r'^#   expr: (lvaServerClientsMax\{.*)$', settings, re.M)[1]
        changed = settings.replace("expr: lvaServerClientsMax * 0 + 80", "expr: " + exception)
        self.assertNotEqual(changed, settings)
        self.place.write("virtadm-settings.rules.yml", changed)
        special = re.search(r'instance="([^"]*)"', exception)[1]
        series = "\n".join(
            f"      - {{series: '{name}{{job=\"virtadm\", instance=\"{host}\", lvaServerName=\"s\"}}',"
            f" values: '{value}x40'}}" for host in (special, "other")
            for name, value in (("lvaServerClientsCurrent", 85), ("lvaServerClientsMax", 100)))
        self.place.write("test.yml", f"""
rule_files: [virtadm-settings.rules.yml, virtadm.rules.yml]
evaluation_interval: 30s
tests:
  - interval: 30s
    input_series:
{series}
    promql_expr_test:
      - expr: count by (alertname, instance) (ALERTS{{alertstate="firing"}})
        eval_time: 15m
        exp_samples: [{{labels: '{{alertname="VirtadmClientsHigh", instance="other"}}', value: 1}}]
""")
        self.check(tool("promtool"), "test", "rules", self.place.path("test.yml"))

    def used_metrics(self, expression):
        """Names in it, each with what it asks of labels; and those that are recorded."""
        found = set()
        for name in re.finditer(r"\b(lva\w+)(?:\{([^}]*)\})?", expression):
            before = expression[:name.start()]
            # names of labels stand in lists and quotes
            if not before.endswith('"') and \
                    not re.search(r"(on|by|without|group_left) \([^()]*$", before):
                found.add((name[1], tuple(re.findall(r'(lva\w+)="(\w+)"', name[2] or ""))))
        return found, set(re.findall(r"\bvirtadm:[\w:]+", expression))

    def assert_known(self, expression):
        """Each metric and label value in it is one that the exporter gives."""
        if not hasattr(self, "known"):
            self.known = {
                metric["name"] + ("_info" if metric["type"] == "EnumAsInfo" else ""): metric
                for module in load(NEW)["modules"].values() for metric in module["metrics"]}
        metrics, recorded = self.used_metrics(expression)
        for name, labels in metrics:
            self.assertIn(name, self.known, expression)
            for label, value in labels:
                self.assertEqual(label, name)
                self.assertIn(value, self.known[label]["enum_values"].values())
        return len(metrics) + len(recorded), recorded

    def test_rules_know_the_metrics(self):
        recorded = set()
        rules = [rule for name in ("virtadm-settings.rules.yml", "virtadm.rules.yml")
                 for group in load(name)["groups"] for rule in group["rules"]]
        for rule in rules:
            recorded.add(rule.get("record"))
            _, used = self.assert_known(rule["expr"])
            self.assertLessEqual(used, recorded)
        alerts = [rule for rule in rules if "alert" in rule]
        self.assertEqual(len(alerts), 14)
        for rule in alerts:
            self.assertIn(rule["labels"]["severity"], ("critical", "warning", "info"))
            self.assertEqual(set(rule["annotations"]), {"summary", "description", "runbook"})

    def test_dashboard(self):
        """Grafana is not in Debian, so what it would ask is looked at: each expression parses, and
        each metric is one that the exporter or a rule gives."""
        with open(shipped("prometheus", "grafana-virtadm.json"), encoding="utf-8") as dashboard:
            found = json.load(dashboard)
        recorded = {rule.get("record") for name in ("virtadm-settings.rules.yml", "virtadm.rules.yml")
                    for group in load(name)["groups"] for rule in group["rules"]}
        panels = found["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        asked = [target["expr"] for panel in panels for target in panel["targets"]]
        asked += [note["expr"] for note in found["annotations"]["list"]]
        for expression in asked:
            if "ALERTS" not in expression:
                count, used = self.assert_known(expression)
                self.assertGreater(count, 0, expression)
                self.assertLessEqual(used, recorded)
        kinds = {panel["type"] for panel in panels}
        self.assertLessEqual(kinds, {needed["id"] for needed in found["__requires"]})
        for one in panels:
            place = one["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24)
        rules = [{"record": f"d:x{number}", "expr":
                  text_.replace("$__rate_interval", "5m").replace("$instance", ".*")}
                 for number, text_ in enumerate(asked)]
        self.check(tool("promtool"), "check", "rules", self.place.write(
            "dashboard.yml", yaml.dump({"groups": [{"name": "dashboard", "rules": rules}]})))
