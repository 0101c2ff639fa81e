# SPDX-License-Identifier: LGPL-2.1-or-later
"""The line that Debian's snmptt writes to syslog for each severity."""

import os
import re
import socket
import unittest

import harness
import receivers
from harness import oid
from test_traps import EVENTS, severities

# Fails when what is mounted on /dev would be seen outside of this mount namespace: in a chroot whose
# mounts are shared, or of which that cannot be seen.
NOT_SHARED = r"""
set -e
mount --make-rprivate / 2>/dev/null || :
awk '$5 == "/" || $5 == "/dev" { shared = 0; found = 1
         for (i = 7; $i != "-"; i++) if ($i ~ /^shared:/) shared = 1 }
     END { exit !found || shared }' /proc/self/mountinfo
"""
# snmptt with a /dev of its own, in which log is the socket $1; $0 is an empty folder.
PRIVATE_DEV = NOT_SHARED + r"""
mount -t tmpfs -o mode=0755 private "$0"
for node in null zero random urandom; do
    : >"$0/$node"
    mount --bind "/dev/$node" "$0/$node"
done
: >"$0/log"
mount --bind "$1" "$0/log"
mount --rbind "$0" /dev
shift
exec "$@"
"""
UNSHARED = ("unshare", "--mount", "--propagation", "unchanged", "sh", "-c")


@harness.needs_root
class Syslog(unittest.TestCase):
    NUMBERS = {"crit": 2, "err": 3, "warning": 4, "notice": 5, "info": 6}
    LOCAL0 = 16

    def test_levels(self):
        """The line of each severity, with the level that docs/traps.md has snmptt.ini give it."""
        levels = {severity: level for severity, level, _ in severities()}
        if harness.run(*UNSHARED, NOT_SHARED)[0] != 0:
            self.skipTest("mounts on /dev would not stay in a namespace")
        place = harness.Place()
        self.addCleanup(place.close)
        os.makedirs(place.path("dev"))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.bind(place.path("log"))
            log.settimeout(harness.PATIENCE)
            receiver = receivers.Receiver(place, syslog=levels, snmptt_in=(
                *UNSHARED, PRIVATE_DEV, place.path("dev"), place.path("log")))
            for _, _, names in severities():
                number, severity, _ = EVENTS[names[0]]
                receiver.send(number, oid("lvaDaemonName"), "s", "virtadmd")
                priority = self.LOCAL0 * 8 + self.NUMBERS[levels[severity]]
                self.assertRegex(log.recv(8192).decode(), rf"^<{priority}>\w+ +\d+ [\d:]+ snmptt"
                                 rf'\[\d+\]: {re.escape(number)} {severity} "[\w ]+" \S+ - virtadmd: ')


if __name__ == "__main__":
    unittest.main()
