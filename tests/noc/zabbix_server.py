# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private Zabbix: PostgreSQL, server and frontend of Debian's packages, on loopback and free ports,
with all their state in a Place, ended by pid. Nothing of the system's own Zabbix, PostgreSQL, PHP
or locales is changed."""

import glob
import gzip
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.request

import harness
from harness import wait_for

PAGES = "/usr/share/zabbix"
TABLES = "/usr/share/zabbix-server-pgsql"
FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
USER, PASSWORD = "Admin", "zabbix"
# The first start makes 170 tables on a machine that does other things, too.
LONG = max(180, harness.PATIENCE)


def as_user(name):
    """What to put before a command that refuses to run as root."""
    if os.geteuid() != 0:
        return []
    return [harness.tool("setpriv"), f"--reuid={name}", f"--regid={name}", "--clear-groups"]


def low_port():
    """Zabbix wants its server's port below 32768, where the kernel gives none by itself."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def give(path, name):
    if os.geteuid() == 0:
        shutil.chown(path, name, name)
    return path


def group_of(place, name, argv, env=None, number=signal.SIGTERM):
    """A process with children: setsid gives it a group, which gets the signal when the place is left,
    and what is left of it then is killed."""
    process = place.spawn(name, [harness.tool("setsid"), *argv], env)

    def tell(what):
        try:
            os.killpg(process.pid, what)
        except ProcessLookupError:
            pass

    def end():
        tell(number)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            pass
        tell(signal.SIGKILL)
    place.callback(end)
    return process


class Database:
    """PostgreSQL, whichever version is installed."""

    def __init__(self, place):
        self.place, self.port = place, harness.free_port(socket.SOCK_STREAM)
        programs = max(glob.glob("/usr/lib/postgresql/*/bin/initdb"),
                       key=lambda path: [int(n) for n in re.findall(r"\d+", path)], default=None)
        if not programs:
            raise AssertionError("PostgreSQL is missing; .ci/setup.sh lists the packages")
        self.programs = os.path.dirname(programs)
        self.folder = place.path("postgres")
        os.mkdir(self.folder, 0o700)
        give(self.folder, "postgres")
        self.do(os.path.join(self.programs, "initdb"), "-D", self.folder, "-U", "postgres", "-A", "trust",
                "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", user="postgres")
        self.process = group_of(place, "postgres-server", [
            *as_user("postgres"), os.path.join(self.programs, "postgres"), "-D", self.folder,
            "-p", str(self.port), "-h", "127.0.0.1", "-k", self.folder,
            *(word for setting in ("fsync=off", "synchronous_commit=off", "full_page_writes=off",
                                   "autovacuum=off", "jit=off", "max_connections=60",
                                   "dynamic_shared_memory_type=mmap")
              for word in ("-c", setting))], number=signal.SIGINT)
        wait_for(lambda: self.query("select 1", user="postgres", strict=False) == "1",
                 lambda: f"PostgreSQL: {self.process.output()[-1000:]}", LONG)
        self.query("create role zabbix login", user="postgres")
        self.query("create database zabbix owner zabbix", user="postgres")
        script = b"".join(gzip.open(os.path.join(TABLES, part + ".sql.gz")).read()
                          for part in ("schema", "images", "data"))
        self.psql("-d", "zabbix", "-1", stdin=script)
        self.query("analyze")  # there is no autovacuum, and without it linking a template takes minutes

    def do(self, *argv, user=None, stdin=b"", strict=True):
        done = subprocess.run([*(as_user(user) if user else []), *argv], input=stdin, cwd="/",
                              capture_output=True, timeout=LONG, check=False)
        if strict and done.returncode != 0:
            raise AssertionError(f"{argv}: {done.stdout[-500:]}{done.stderr[-1500:]}")
        return done.stdout.decode()

    def psql(self, *options, user="zabbix", **how):
        return self.do(os.path.join(self.programs, "psql"), "-X", "-q", "-A", "-t", "-h", "127.0.0.1",
                       "-p", str(self.port), "-U", user, "-v", "ON_ERROR_STOP=1", *options, **how)

    def query(self, text, user="zabbix", strict=True):
        return self.psql("-d", "postgres" if user == "postgres" else "zabbix", "-c", text, user=user,
                         strict=strict).strip()


class Zabbix:
    """Server and frontend. self.traps is the file that the receiver of traps writes to."""

    def __init__(self, place):
        self.place = place
        os.chmod(place.dir, 0o711)  # the users postgres and zabbix pass through, and see no names
        self.database = Database(place)
        self.traps = place.write("zabbix-traps.log", "")
        os.chmod(self.traps, 0o644)
        self.port = low_port()
        self.web_port = harness.free_port(socket.SOCK_STREAM)
        self.url = f"http://127.0.0.1:{self.web_port}/"
        self.start_server()
        self.start_frontend()
        self.token = None
        self.token = self.call("user.login", {"username": USER, "password": PASSWORD})

    def start_server(self):
        folder = self.place.path("zabbix")
        os.mkdir(folder, 0o755)
        give(folder, "zabbix")
        settings = f"""\
ListenIP=127.0.0.1
ListenPort={self.port}
LogType=console
PidFile={folder}/pid
SocketDir={folder}
DBHost=127.0.0.1
DBPort={self.database.port}
DBName=zabbix
DBUser=zabbix
StartPollers=3
StartPollersUnreachable=1
StartTrappers=2
StartPreprocessors=1
StartLLDProcessors=1
StartHistoryPollers=1
StartDBSyncers=2
StartPingers=0
StartDiscoverers=0
StartHTTPPollers=0
StartODBCPollers=0
StartEscalators=1
StartAlerters=1
StartTimers=1
StartSNMPTrapper=1
SNMPTrapperFile={self.traps}
CacheUpdateFrequency=1
HousekeepingFrequency=0
UnreachablePeriod=5
UnreachableDelay=3
UnavailableDelay=3
Timeout=3
FpingLocation=/bin/false
AlertScriptsPath={folder}
ExternalScripts={folder}
"""
        conf = self.place.write("zabbix_server.conf", settings)
        os.chmod(conf, 0o644)
        self.server = group_of(self.place, "zabbix-server", [
            *as_user("zabbix"), harness.tool("zabbix_server"), "-c", conf, "-f"], {"MIBS": ""})

    def start_frontend(self):
        """A copy, because Debian's reads its configuration from /etc, and links a font relatively."""
        folder = self.place.path("frontend")
        shutil.copytree(PAGES, folder, symlinks=True)
        for font in "assets/fonts", "fonts":
            os.unlink(os.path.join(folder, font, "DejaVuSans.ttf"))
            shutil.copy(FONT, os.path.join(folder, font))
        source = os.path.join(folder, "include/classes/core/CConfigFile.php")
        with open(source, encoding="utf-8") as text:
            code = text.read()
        conf = os.path.join(folder, "zabbix.conf.php")
        with open(source, "w", encoding="utf-8") as text:
            text.write(code.replace("/etc/zabbix/zabbix.conf.php", conf))
        with open(conf, "w", encoding="utf-8") as text:
            text.write(f"""<?php
$DB['TYPE'] = 'POSTGRESQL'; $DB['SERVER'] = '127.0.0.1'; $DB['PORT'] = '{self.database.port}';
$DB['DATABASE'] = 'zabbix'; $DB['USER'] = 'zabbix'; $DB['PASSWORD'] = ''; $DB['SCHEMA'] = '';
$DB['ENCRYPTION'] = false; $DB['KEY_FILE'] = ''; $DB['CERT_FILE'] = ''; $DB['CA_FILE'] = '';
$DB['VERIFY_HOST'] = false; $DB['CIPHER_LIST'] = ''; $DB['VAULT_URL'] = '';
$DB['VAULT_DB_PATH'] = ''; $DB['VAULT_TOKEN'] = ''; $DB['DOUBLE_IEEE754'] = true;
$ZBX_SERVER = '127.0.0.1'; $ZBX_SERVER_PORT = '{self.port}'; $ZBX_SERVER_NAME = 'NOC';
$IMAGE_FORMAT_DEFAULT = IMAGE_FORMAT_PNG;
""")
        # Without this locale each page begins with a warning, and graphs stay empty.
        locales = self.place.path("locales")
        os.mkdir(locales, 0o755)
        self.database.do(harness.tool("localedef"), "-i", "en_US", "-f", "UTF-8", "--no-archive",
                         os.path.join(locales, "en_US.UTF-8"))
        sessions = self.place.path("sessions")
        os.mkdir(sessions, 0o700)
        give(sessions, "zabbix")
        values = {"post_max_size": "16M", "max_execution_time": "300", "max_input_time": "300",
                  "memory_limit": "256M", "date.timezone": "UTC", "session.save_path": sessions}
        self.frontend = group_of(self.place, "zabbix-frontend", [
            *as_user("zabbix"), harness.tool("php"),
            *(word for name, value in values.items() for word in ("-d", f"{name}={value}")),
            "-S", f"127.0.0.1:{self.web_port}", "-t", folder],
            {"PHP_CLI_SERVER_WORKERS": "4", "LOCPATH": locales})
        wait_for(self.ready, lambda: f"Zabbix: {self.server.output()[-1500:]}"
                 f"{self.frontend.output()[-500:]}", LONG)

    def ready(self):
        for process in self.server, self.frontend:
            if not process.alive():
                raise AssertionError(f"{process.name} ended: {process.output()[-1500:]}")
        try:
            self.call("apiinfo.version", {})
        except OSError:
            return False
        return "server #0 started" in self.server.output()

    def call(self, method, params):
        """A call of the API."""
        body = {"jsonrpc": "2.0", "method": method, "params": params, "id": 1}
        if method not in ("apiinfo.version", "user.login"):
            body["auth"] = self.token
        request = urllib.request.Request(self.url + "api_jsonrpc.php", json.dumps(body).encode(),
                                         {"Content-Type": "application/json-rpc"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=LONG) as answer:
            found = json.load(answer)
        if "error" in found:
            raise ApiError(f"{method}: {found['error']}")
        return found["result"]


class ApiError(AssertionError):
    """The API refused a call."""
