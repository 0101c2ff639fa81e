# SPDX-License-Identifier: LGPL-2.1-or-later
"""Certificates as docs/configuration.md makes them, by certtool, each in a folder as libvirt's pkipath
has it: cacert.pem, clientcert.pem, clientkey.pem (servercert.pem, serverkey.pem)."""

import os
import shutil

import harness

CLIENT, SERVER = "tls_www_client", "tls_www_server"


class Authority:
    def __init__(self, folder, name="Test CA"):
        self.dir, self.serial = folder, 1
        os.makedirs(folder, exist_ok=True)
        self.cert, self.key = (os.path.join(folder, file) for file in ("cacert.pem", "cakey.pem"))
        self.make_key(self.key)
        self.tool("--generate-self-signed", "--load-privkey", self.key, "--outfile", self.cert,
                  template=f'cn = "{name}"\nca\ncert_signing_key\ncrl_signing_key\nserial = 1\n'
                           "expiration_days = 100\n")

    def tool(self, *args, template=None):
        if template is not None:
            path = os.path.join(self.dir, "template")
            with open(path, "w", encoding="utf-8") as out:
                out.write(template)
            args = (*args, "--template", path)
        status, out, err = harness.run(harness.tool("certtool"), *args)
        assert status == 0, out + err

    def make_key(self, path):
        # libvirt 9 wants key encipherment, which certtool says of RSA keys only
        self.tool("--generate-privkey", "--key-type=rsa", "--bits=2048", "--outfile", path)

    def issue(self, name, dn, kind=CLIENT, lines="expiration_days = 100\n"):
        """dn: lines of a template. Returns: the folder"""
        folder = os.path.join(self.dir, name)
        os.makedirs(folder, exist_ok=True)
        stem = "server" if kind == SERVER else "client"
        key, cert = (os.path.join(folder, f"{stem}{what}.pem") for what in ("key", "cert"))
        self.serial += 1
        self.make_key(key)
        self.tool("--generate-certificate", "--load-privkey", key, "--load-ca-certificate",
                  self.cert, "--load-ca-privkey", self.key, "--outfile", cert,
                  template=f"{dn}\nserial = {self.serial}\n{kind}\nsigning_key\nencryption_key\n{lines}")
        shutil.copy(self.cert, os.path.join(folder, "cacert.pem"))
        return folder

    def issue_server(self, name="server", lines="expiration_days = 100\n"):
        return self.issue(name, 'cn = "localhost"\ndns_name = "localhost"\n'
                          'ip_address = "127.0.0.1"\nip_address = "::1"', SERVER, lines)

    def issue_circle(self, name="circle"):
        """Two certificates that have issued each other, both in clientcert.pem. Returns: the folder"""
        folder = os.path.join(self.dir, name)
        os.makedirs(folder)

        def path(file):
            return os.path.join(folder, file)

        def sign(who, issuer=None):
            how = ("--generate-self-signed",) if issuer is None else \
                ("--generate-certificate", "--load-ca-certificate", path(issuer + ".pem"),
                 "--load-ca-privkey", path(issuer + ".key"))
            self.tool(*how, "--load-privkey", path(who + ".key"), "--outfile", path(who + ".pem"),
                      template=f'cn = "{who}"\nca\ncert_signing_key\nsigning_key\n{CLIENT}\n')

        for who in "one", "two":
            self.make_key(path(who + ".key"))
        sign("two")
        sign("one", "two")
        sign("two", "one")
        with open(path("clientcert.pem"), "wb") as out:
            for who in "one", "two":
                with open(path(who + ".pem"), "rb") as cert:
                    out.write(cert.read())
        shutil.copy(path("one.key"), path("clientkey.pem"))
        shutil.copy(self.cert, folder)
        return folder

    def revoke(self, *folders):
        """Returns: the path of the list."""
        path = os.path.join(self.dir, "cacrl.pem")
        certs = os.path.join(self.dir, "revoked.pem")
        with open(certs, "wb") as out:
            for folder in folders:
                with open(os.path.join(folder, "clientcert.pem"), "rb") as cert:
                    out.write(cert.read())
        self.tool("--generate-crl", "--load-ca-certificate", self.cert, "--load-ca-privkey",
                  self.key, "--load-certificate", certs, "--outfile", path,
                  template="crl_next_update = 30\ncrl_number = 1\n")
        return path
