# SPDX-License-Identifier: LGPL-2.1-or-later
"""The form of the Zabbix template, without Zabbix."""

import re
import unittest
import uuid

import yaml

import harness
import zabbix_watch

NAME = "Libvirt daemon by SNMP"


class Template(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(zabbix_watch.TEMPLATE, encoding="utf-8") as text:
            cls.text = text.read()
        cls.all = yaml.safe_load(cls.text)["zabbix_export"]
        cls.template, = cls.all["templates"]

    def every(self, key, where=None):
        """All values of a key, wherever it is."""
        where = self.all if where is None else where
        if isinstance(where, list):
            return [value for part in where for value in self.every(key, part)]
        if not isinstance(where, dict):
            return []
        found = [value for name, part in where.items() if name != key
                 for value in self.every(key, part)]
        return found + ([where[key]] if key in where else [])

    def lists(self, *keys):
        return [thing for key in keys for each in self.every(key) for thing in each]

    def items(self):
        return self.lists("items", "item_prototypes")

    def triggers(self):
        """Those below an item stand in the item."""
        found = []

        def collect(where):
            for name, part in where.items() if isinstance(where, dict) else enumerate(where):
                if name in ("triggers", "trigger_prototypes"):
                    found.extend(part)
                if isinstance(part, (dict, list)):
                    collect(part)
        collect(self.all)
        return found

    def test_uuids(self):
        found = self.every("uuid")
        self.assertGreater(len(found), 100)
        self.assertEqual(len(set(found)), len(found))
        for text in found:
            self.assertRegex(text, "^[0-9a-f]{32}$")
            self.assertEqual((uuid.UUID(text).version, uuid.UUID(text).variant), (4, uuid.RFC_4122))

    def test_oids(self):
        """Each is one of the MIB, and has an instance."""
        objects = {number: name for name, number in harness.OIDS.items()}
        for text in self.every("snmp_oid"):
            discovery = re.fullmatch(r"discovery\[(.*)\]", text)
            if discovery:
                for number in discovery[1].split(",")[1::2]:
                    self.assertIn(number, objects)
                continue
            number = re.fullmatch(r"([\d.]+)\.(0|\{#SNMPINDEX\})", text)
            self.assertTrue(number, text)
            self.assertIn(number[1], objects)

    def test_nothing_left_to_fill(self):
        self.assertNotRegex(self.text, r"@\w+(:|@)")
        for item in self.items():
            self.assertTrue(item.get("description", "").strip(), item["name"])

    def test_keys(self):
        keys = [item["key"] for item in self.items()]
        self.assertEqual(len(set(keys)), len(keys))
        for where in self.lists("graph_items"):
            self.assertIn(where["item"]["key"], keys)
        for item in self.items():
            for key in re.findall(r"//(libvirt\.[a-z.]+(?:\[[^]]*\])?)", item.get("params", "")):
                self.assertIn(key, keys)

    def test_triggers(self):
        keys = [item["key"] for item in self.items()]
        triggers = self.triggers()
        self.assertGreater(len(triggers), 15)
        known = {(trigger["name"], trigger["expression"]) for trigger in triggers}
        self.assertEqual(len({trigger["name"] for trigger in triggers}), len(triggers))
        for trigger in triggers:
            rest = trigger["expression"]
            for key in sorted(keys, key=len, reverse=True):
                rest = rest.replace(f"/{NAME}/{key}", "()")
            self.assertNotIn("/", rest, "an item that is not there")
            # Zabbix 7.0 takes it for an escape in arguments, and keys are gone from the text.
            self.assertNotIn("\\", rest)
            for other in trigger.get("dependencies", []):
                self.assertIn((other["name"], other["expression"]), known)
            self.assertIn("scope", [tag["tag"] for tag in trigger["tags"]])

    def test_thresholds(self):
        """The same verdicts as those of the plugin for Nagios and of the rules for Prometheus: from the
        number on, but refused authentications when they are more."""
        expressions = " ".join(trigger["expression"] for trigger in self.triggers())
        for macro in ("CLIENTS.WARN", "CLIENTS.CRIT", "UNAUTH.WARN", "QUEUE.WARN", "QUEUE.CRIT"):
            self.assertEqual(set(re.findall(r"([<>=]+)\{\$LIBVIRT\.%s:" % macro, expressions)), {">="})
        self.assertRegex(expressions, r"\)>\{\$LIBVIRT\.AUTH\.RATE")

    def test_told_once(self):
        """What a notification tells is kept back of polling, and ends when both say so."""
        triggers = {trigger["name"]: trigger for trigger in self.triggers()}
        for told, polled in (
                ("client limit reached", "client limit reached"),
                ("limit of unauthenticated clients reached", "limit of unauthenticated clients reached"),
                ("jobs wait for workers", "all workers busy"),
                ("upstream daemon unreachable", "upstream daemon unreachable")):
            told = f"Server {{#SERVER}}: {told} (told by trap)"
            self.assertIn(told, [other["name"] for other in
                                 triggers[f"Server {{#SERVER}}: {polled}"]["dependencies"]])
            self.assertRegex(triggers[told]["expression"],
                             r" and \(nodata\(.*\{\$LIBVIRT\.TRAP\.TIME\}\)=0 or last\([^()]*\)=\d\)$")

    def test_macros(self):
        """Each one used is there, each one there is used."""
        used = set(re.findall(r"\{\$LIBVIRT\.([A-Z._]+)(?::\"|\})", self.text))
        there = [macro["macro"][len("{$LIBVIRT."):-1] for macro in self.template["macros"]]
        self.assertEqual(set(there), used)
        self.assertEqual(sorted(there), there)
        for macro in there:
            self.assertGreater(self.text.count("{$LIBVIRT.%s" % macro), 1, macro)

    def test_value_maps(self):
        maps = {each["name"]: each["mappings"] for each in self.template["valuemaps"]}
        self.assertEqual({each["name"] for each in self.every("valuemap")}, set(maps))
        self.assertIn({"value": "2", "newvalue": "unreachable"}, maps["LIBVIRT-ADMIN-MIB::LvaReachability"])
        self.assertIn({"value": "3", "newvalue": "full"}, maps["LIBVIRT-ADMIN-MIB::LvaLimitState"])

    def test_clients_are_off(self):
        rule, = (rule for rule in self.template["discovery_rules"] if "client" in rule["key"])
        self.assertEqual((rule["status"], rule["lifetime"]), ("DISABLED", "1h"))


if __name__ == "__main__":
    unittest.main()
