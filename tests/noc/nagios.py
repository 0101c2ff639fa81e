# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private Nagios 4 with the objects of noc/nagios, and its web pages; the plugin ready to run."""

import contextlib
import http.server
import os
import pwd
import re
import shutil
import subprocess
import threading
import urllib.parse

import harness
from harness import tool, wait_for
from host import shipped

USER, AUTH, PRIV = "noc", "noc-auth-secret", "noc-priv-secret"
STATES = {"0": "OK", "1": "WARNING", "2": "CRITICAL", "3": "UNKNOWN"}
SERVICES = ("agent", "daemons", "clients", "full", "unauthenticated", "workers", "queue",
            "authentication", "configuration")
DEBIAN = "/etc/nagios4"

# In the place of Debian's, which send mail.
CONTACTS = """\
define command {{
    command_name  keep
    command_line  /bin/echo '$SERVICEDESC$ $SERVICESTATE$' >>{dir}/notified
}}
define contact {{
    use                            generic-contact
    contact_name                   somebody
    host_notification_commands     keep
    service_notification_commands  keep
}}
define contactgroup {{
    contactgroup_name  admins
    alias              those who are told
    members            somebody
}}
define command {{
    command_name  always-up
    command_line  /bin/echo up
}}
"""


def documented(begin, port):
    """What docs/nagios.md shows from a line that begins so, up to the line with the closing brace, for a
    host with our passwords on a port of this machine; port is the line to add that says which."""
    with open(os.path.join(harness.SOURCE, "docs", "nagios.md"), encoding="utf-8") as page:
        text = re.search(rf"^( *){re.escape(begin)}.*?^\1\}}\n", page.read(), re.M | re.S)[0]
    for shown, ours in (("192.0.2.10", "127.0.0.1"), ("AUTHPASSWORD", AUTH),
                        ("PRIVPASSWORD", PRIV)):
        if shown not in text:
            raise AssertionError(f"no {shown} in {text}")
        text = text.replace(shown, ours)
    return re.sub(r"\}\s*$", f"{port}\n}}\n", text)


def snmpd_v3():
    """What the documentation has an operator do to snmpd: the drop-in, and the user who reads."""
    with open(shipped("snmpd", "virtadm.conf"), encoding="utf-8") as dropin:
        return f"createUser {USER} SHA-256 {AUTH} AES {PRIV}\n" + dropin.read()


def copied(place, path):
    """The same file where the user of a daemon can read it: the build may be where it may not go."""
    copy = shutil.copy(path, place.dir)
    os.chmod(copy, 0o644)
    return copy


def plugin(place):
    """check_virtadm, as an operator installs it, in a folder that other users can read."""
    os.chmod(place.dir, 0o755)
    folder = place.path("plugins")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "check_virtadm")
    shutil.copy(shipped("nagios", "check_virtadm"), path)
    os.chmod(path, 0o755)
    return path


def status_of(text):
    """status.dat as {service: {key: value}}, of the one host."""
    found = {}
    for block in re.findall(r"^servicestatus \{\n(.*?)^\s*\}", text, re.M | re.S):
        pairs = dict(line.strip().split("=", 1) for line in block.splitlines() if "=" in line)
        found[pairs["service_description"].removeprefix("libvirt ")] = pairs
    return found


class Nagios:
    """Nagios 4 with Debian's templates, one host with all services of noc/nagios. A minute has as
    many seconds as said."""

    def __init__(self, place, host, minute=2):
        self.place = place
        plugin(place)
        self.dir = place.path("nagios")
        os.makedirs(self.dir)
        if os.geteuid() == 0:
            user = pwd.getpwnam("nagios")
            os.chown(self.dir, user.pw_uid, user.pw_gid)
        place.write("resource.cfg", f"$USER1$={place.path('plugins')}\n")
        place.write("host.cfg", host + CONTACTS.format(dir=self.dir))
        self.conf = place.write("nagios.cfg", f"""\
resource_file={place.path("resource.cfg")}
cfg_file={DEBIAN}/objects/commands.cfg
cfg_file={DEBIAN}/objects/timeperiods.cfg
cfg_file={DEBIAN}/objects/templates.cfg
cfg_file={copied(place, shipped("nagios", "virtadm.cfg"))}
cfg_file={place.path("host.cfg")}
log_file={self.dir}/nagios.log
object_cache_file={self.dir}/objects.cache
precached_object_file={self.dir}/objects.precache
status_file={self.dir}/status.dat
status_update_interval=1
nagios_user=nagios
nagios_group=nagios
enable_flap_detection=0
check_external_commands=0
command_file={self.dir}/nagios.cmd
query_socket={self.dir}/nagios.qh
lock_file={self.dir}/nagios.pid
temp_file={self.dir}/nagios.tmp
temp_path={self.dir}
log_archive_path={self.dir}
check_result_path={self.dir}
state_retention_file={self.dir}/retention.dat
service_inter_check_delay_method=n
max_service_check_spread=1
service_interleave_factor=1
check_result_reaper_frequency=1
illegal_macro_output_chars=`~$&|'"<>
interval_length={minute}
check_for_updates=0
use_syslog=0
use_retained_scheduling_info=0
""")

    def verify(self):
        """What nagios4 -v says to the configuration: (status, text)."""
        status, out, err = harness.run(tool("nagios4"), "-v", self.conf)
        return status, out + err

    def start(self):
        self.process = self.place.spawn("nagios4", [tool("nagios4"), self.conf])
        wait_for(lambda: os.path.exists(os.path.join(self.dir, "status.dat")),
                 lambda: f"nagios4: {self.process.output()[-1000:]}", 60)

    def log(self):
        return self.place.read("nagios/nagios.log")

    def status(self):
        # it is a new file each time, and for a moment there may be none
        with contextlib.suppress(FileNotFoundError):
            return status_of(self.place.read("nagios/status.dat"))
        return {}

    def hard(self):
        """Of services that have been looked at and are in a HARD state: what state."""
        return {name: STATES[pairs["current_state"]] for name, pairs in self.status().items()
                if pairs["has_been_checked"] == "1" and pairs["state_type"] == "1"}

    def wait_for_hard(self, **states):
        """Until those services are in these HARD states."""
        wait_for(lambda: states.items() <= self.hard().items(),
                 lambda: f"{states}: {self.outputs()}\n{self.log()[-3000:]}", 180)

    def notified(self):
        """What those who are told have been told so far, in order: "clients WARNING", ..."""
        with contextlib.suppress(FileNotFoundError):
            return self.place.read("nagios/notified").replace("libvirt ", "").splitlines()
        return []

    def outputs(self):
        return {name: (pairs["current_state"], pairs["state_type"], pairs["plugin_output"])
                for name, pairs in self.status().items()}


class Pages:
    """Nagios' web pages, on loopback."""

    PREFIXES = {"/nagios4/stylesheets/": f"{DEBIAN}/stylesheets",
                "/nagios4/": "/usr/share/nagios4/htdocs"}
    CGI, CGI_FOLDER = "/cgi-bin/nagios4/", "/usr/lib/cgi-bin/nagios4"

    def __init__(self, place, nagios):
        self.conf = place.write("cgi.cfg", f"""\
main_config_file={nagios.conf}
physical_html_path=/usr/share/nagios4/htdocs
url_html_path=/nagios4
use_authentication=0
default_user_name=guest
refresh_rate=90
enable_page_tour=0
""")
        # what CGIs read of the main configuration
        os.chmod(place.path("resource.cfg"), 0o644)
        pages = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                pages.answer(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        place.callback(self.server.server_close)
        place.callback(self.server.shutdown)

    def url(self, page):
        return f"http://127.0.0.1:{self.server.server_port}{self.CGI}{page}"

    def answer(self, request):
        path, _, query = request.path.partition("?")
        path = os.path.normpath(urllib.parse.unquote(path))
        if path.startswith(self.CGI):
            env = {**os.environ, "NAGIOS_CGI_CONFIG": self.conf, "REQUEST_METHOD": "GET",
                   "QUERY_STRING": query, "REMOTE_USER": "guest", "SCRIPT_NAME": path}
            program = os.path.join(self.CGI_FOLDER, os.path.basename(path))
            out = subprocess.run([program], env=env, capture_output=True, check=False).stdout
            head, _, body = out.replace(b"\r\n", b"\n").partition(b"\n\n")
            kind = re.search(rb"(?im)^content-type: *(.*)$", head)
            return self.send(request, 200, kind[1].decode() if kind else "text/html", body)
        for prefix, folder in self.PREFIXES.items():
            file = os.path.join(folder, path.removeprefix(prefix))
            if path.startswith(prefix) and os.path.isfile(file):
                with open(file, "rb") as content:
                    kind = {".css": "text/css", ".js": "text/javascript",
                            ".html": "text/html"}.get(os.path.splitext(file)[1], "image/*")
                    return self.send(request, 200, kind, content.read())
        return self.send(request, 404, "text/plain", b"")

    @staticmethod
    def send(request, status, kind, body):
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
