# SPDX-License-Identifier: LGPL-2.1-or-later
"""A Kerberos realm of a test's own: a KDC on loopback, run by whoever runs the test."""

import os

import harness
from harness import tool, wait_for

REALM = "VADM.TEST"
# What virsh asks for at a unix socket, and at the host of its URI. A host without /etc/hosts knows no
# other name of itself.
SERVICES = f"libvirt/localhost@{REALM}", f"libvirt/127.0.0.1@{REALM}"


class Kdc:
    """users: names in the realm, who have tickets by ticket(). The keytab has SERVICES."""

    def __init__(self, place, *users):
        self.place, self.dir = place, place.path("kdc")
        os.makedirs(self.dir)
        self.keytab = os.path.join(self.dir, "keytab")
        self.env = {"KRB5_CONFIG": os.path.join(self.dir, "krb5.conf"),
                    "KRB5_KDC_PROFILE": os.path.join(self.dir, "kdc.conf"),
                    "KRB5RCACHEDIR": self.dir}
        self.configure()
        self.run("kdb5_util", "create", "-s", "-r", REALM, "-P", "master")
        self.kadmin(*(f"addprinc -pw {user}-secret {user}" for user in users),
                    *(f"addprinc -randkey {service}" for service in SERVICES),
                    *(f"ktadd -k {self.keytab} {service}" for service in SERVICES))
        self.process = None
        self.start()

    def configure(self):
        """The server's host has a name of its own, which is not localhost: it takes what the keytab
        has."""
        port = harness.free_port()
        self.place.write("kdc/krb5.conf", f"""\
[libdefaults]
    default_realm = {REALM}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_canonicalize_hostname = false
    rdns = false
    ignore_acceptor_hostname = true
    kdc_timeout = 5
[realms]
    {REALM} = {{
        kdc = 127.0.0.1:{port}
    }}
[domain_realm]
    localhost = {REALM}
""")
        self.place.write("kdc/kdc.conf", f"""\
[kdcdefaults]
    kdc_listen = 127.0.0.1:{port}
    kdc_tcp_listen = 127.0.0.1:{port}
[realms]
    {REALM} = {{
        database_name = {self.dir}/principal
        key_stash_file = {self.dir}/stash
        acl_file = {self.dir}/acl
    }}
[logging]
    kdc = FILE:{self.dir}/kdc.log
    admin_server = FILE:{self.dir}/kadmin.log
    default = FILE:{self.dir}/krb5.log
""")

    def run(self, name, *args, stdin=None, env=None):
        status, out, err = harness.run(tool(name), *args, stdin=stdin,
                                       env={**os.environ, **self.env, **(env or {})})
        if status != 0:
            raise AssertionError(f"{name}: {out}{err}")
        return out

    def kadmin(self, *commands):
        """Each would take a process of its own, and a third of a second, as an argument."""
        self.run("kadmin.local", "-r", REALM, stdin="\n".join(commands) + "\n")

    def start(self):
        """The port may be somebody's by now, or somebody's for TCP."""
        argv = [tool("krb5kdc"), "-n", "-r", REALM, "-P", os.path.join(self.dir, "pid")]
        for left in range(9, -1, -1):
            self.process = self.place.spawn("krb5kdc", argv, self.env)
            wait_for(lambda: self.ready() or not self.process.alive(), self.log)
            if self.process.alive():
                return
            assert left, self.log()
            self.configure()

    def log(self):
        path = os.path.join(self.dir, "kdc.log")
        return self.place.read("kdc/kdc.log") if os.path.exists(path) else ""

    def ready(self):
        return "commencing operation" in self.log().rpartition("shutting down")[2]

    def ticket(self, user, *options):
        """The environment of a client of that user."""
        env = {**self.env, "KRB5CCNAME": f"FILE:{self.dir}/{user}.ccache"}
        self.run("kinit", *options, user, stdin=f"{user}-secret\n", env=env)
        return {**os.environ, **env}

    def no_ticket(self):
        return {**os.environ, **self.env, "KRB5CCNAME": f"FILE:{self.dir}/none.ccache"}
