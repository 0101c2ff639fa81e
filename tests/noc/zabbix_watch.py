# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an operator does with Zabbix: import the template, add hosts, look at values and problems."""

import itertools
import time
import urllib.parse

import harness
import host
import zabbix_server
from browser import Browser

TEMPLATE = host.shipped("zabbix", "libvirt-daemon-snmp.yaml")
KINDS = ("templates", "items", "triggers", "graphs", "discoveryRules", "valueMaps",
         "templateDashboards")
AUTH, PRIV = "authentication", "privacy-of-it"  # passwords of the SNMPv3 user noc
# Zabbix takes its time for what is configured, discovered, polled and escalated.
LONG = max(120, harness.PATIENCE)
CREATE_USER = f'createUser noc SHA-256 "{AUTH}" AES "{PRIV}"\n'


def wait_for(condition, what):
    """With a pause between the looks, each of which makes PHP work."""
    def look():
        found = condition()
        if not found:
            time.sleep(0.25)
        return found
    return harness.wait_for(look, what, LONG)


def v3(context=""):
    """SNMP of a host as the API wants it: SHA-256 is 3, AES-128 is 1."""
    return {"version": 3, "bulk": 1, "securityname": "noc", "securitylevel": 2, "authprotocol": 3,
            "authpassphrase": AUTH, "privprotocol": 1, "privpassphrase": PRIV, "contextname": context}


class Watch:
    def __init__(self, place):
        self.place = place
        self.zabbix = zabbix_server.Zabbix(place)
        self.call = self.zabbix.call
        self.browser = None
        self.hosts = {}
        for found in self.call("host.get", {"output": ["hostid"]}):  # an example, which has no agent
            self.call("host.update", {"hostid": found["hostid"], "status": 1})

    def import_template(self):
        with open(TEMPLATE, encoding="utf-8") as text:
            source = text.read()
        rules = {kind: {"createMissing": True, "updateExisting": True} for kind in KINDS}
        version = [int(part) for part in self.call("apiinfo.version", {}).split(".")]
        rules["template_groups" if version >= [6, 2] else "groups"] = {
            "createMissing": True, "updateExisting": False}
        return self.call("configuration.import", {"format": "yaml", "rules": rules, "source": source})

    def add_host(self, name, port, snmp, macros=None):
        group = self.call("hostgroup.get", {"filter": {"name": "Hypervisors"}})[0]["groupid"]
        template = self.call("template.get", {"filter": {"host": "Libvirt daemon by SNMP"}})[0]
        self.hosts[name] = self.call("host.create", {
            "host": name, "groups": [{"groupid": group}],
            "templates": [{"templateid": template["templateid"]}],
            "interfaces": [{"type": 2, "main": 1, "useip": 1, "ip": "127.0.0.1", "dns": "",
                            "port": str(port), "details": snmp}],
            "macros": [{"macro": "{$LIBVIRT.%s}" % macro, "value": value}
                       for macro, value in (macros or {}).items()]})["hostids"][0]

    def move_host(self, name, port):
        """Another port for its SNMP."""
        found = self.call("hostinterface.get", {"hostids": self.hosts[name]})[0]
        self.call("hostinterface.update", {"interfaceid": found["interfaceid"], "port": str(port)})

    def set_macro(self, name, macro, value):
        """Another value of one that the host has."""
        found, = self.call("usermacro.get", {"hostids": self.hosts[name],
                                             "filter": {"macro": "{$LIBVIRT.%s}" % macro}})
        self.call("usermacro.update", {"hostmacroid": found["hostmacroid"], "value": value})

    def items(self, name):
        """{key: item} of a host, what was discovered and can have values included."""
        return {item["key_"]: item for item in self.call("item.get", {
            "hostids": self.hosts[name], "monitored": True,
            "output": ["key_", "name", "lastvalue", "lastclock", "state", "error", "type", "value_type"]})}

    def value(self, name, key):
        """The last value of an item as text; None as long as there is none."""
        item = self.items(name).get(key)
        return item["lastvalue"] if item and item["lastclock"] != "0" else None

    def wait_for_value(self, name, key, value):
        wait_for(lambda: self.value(name, key) == str(value),
                 lambda: f"{key} = {value}: {self.items(name).get(key)}")

    def history(self, item):
        """The last values of one of items, as text, and their times; the newest is first."""
        found = self.call("history.get", {
            "itemids": [item["itemid"]], "history": item["value_type"], "limit": 100,
            "sortfield": "clock", "sortorder": "DESC"})
        return [(one["value"], int(one["clock"])) for one in found]

    def wait_until_lasting(self, name, key, value, seconds):
        """So long an item has had nothing but this value, by the times of its values."""
        item = self.items(name)[key]

        def lasts():
            times = [at for _, at in itertools.takewhile(
                lambda one: one[0] == str(value), self.history(item))]
            return times and times[0] - times[-1] >= seconds
        wait_for(lasts, lambda: f"{key} = {value} for {seconds} s: {self.history(item)}")

    def wait_for_told(self, name, item_name, text):
        """A notification, maybe not the last one, with this text in an item of that name."""
        def told():
            item, = (item for item in self.items(name).values() if item["name"] == item_name)
            return [value for value, _ in self.history(item)]
        wait_for(lambda: any(text in value for value in told()),
                 lambda: f"{text} in {item_name}: {told()}")

    def unsupported(self, name):
        """What cannot be read: items, and rules of discovery."""
        found = list(self.items(name).values()) + self.call("discoveryrule.get", {
            "hostids": self.hosts[name], "output": ["key_", "state", "error"]})
        return {item["key_"]: item["error"] for item in found if item["state"] == "1"}

    def problems(self, name):
        """Names of the problems of a host, as they stand."""
        found = self.call("problem.get", {"hostids": self.hosts[name], "output": ["name"]})
        return {problem["name"] for problem in found}

    def began(self, name):
        """[(time, name)] of all problems that a host ever had, those included that are over."""
        found = self.call("event.get", {"hostids": self.hosts[name], "source": 0, "object": 0, "value": 1,
                                        "output": ["clock", "ns", "name"]})
        return sorted((int(one["clock"]) + int(one["ns"]) / 1e9, one["name"]) for one in found)

    def wait_for_problem(self, name, *texts):
        """All of them at the same time."""
        self.wait_for_problems(name, lambda found: found.issuperset(texts), ", ".join(texts))

    def wait_for_end(self, name, *texts):
        self.wait_for_problems(name, lambda found: found.isdisjoint(texts),
                               f"the end of: {', '.join(texts)}")

    def wait_for_problems(self, name, good, what):
        wait_for(lambda: good(self.problems(name)),
                 lambda: f"{what}: {self.problems(name)}, {self.unsupported(name)}")

    # the pages

    def look(self, page, **query):
        """Opens a page of the frontend, logged in."""
        if not self.browser:
            self.browser = Browser(self.place, width=1300, height=1000)
            self.browser.open(self.zabbix.url)
            for field, text in (("name", zabbix_server.USER), ("password", zabbix_server.PASSWORD)):
                self.browser.driver.find_element("id", field).send_keys(text)
            self.browser.driver.find_element("id", "enter").click()
            self.browser.wait_for_text("Global view", timeout=LONG)
        self.browser.open(self.zabbix.url + page + "?" + urllib.parse.urlencode(query, doseq=True))
        return self.browser

    def picture(self, name, height):
        """Of the page without what stands around the data."""
        driver = self.browser.driver
        driver.execute_script(
            "document.querySelectorAll('.sidebar, .filter-container, .action-buttons, footer, .notif')"
            ".forEach(part => part.style.display = 'none');")
        driver.set_window_size(1300, height)
        wait_for(lambda: driver.execute_script(
            "return Array.from(document.images).every(one => one.complete) &&"
            " !document.querySelector('.is-loading')"), "the graphs of the page")
        self.browser.picture(name)
