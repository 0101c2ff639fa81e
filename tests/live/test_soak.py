# SPDX-License-Identifier: LGPL-2.1-or-later
"""After very many requests and connections: threads and descriptors as before, memory too."""

import os
import random
import socket
import unittest

import ber
import harness
from harness import oid

SCALE = float(os.environ.get("VADM_TEST_SCALE", "1"))


class Soak(unittest.TestCase):
    def test_no_growth(self):
        with harness.Place() as place:
            snmpd = harness.Snmpd(place)
            libvirtd = harness.Libvirtd(place)
            # every open connection of this test is a client; the log stays small
            daemon = harness.Virtadmd(place, libvirtd, snmpd)
            session = ber.Session(snmpd.port)
            instances = [name for name, _ in snmpd.walk()]
            columns = [oid(name, 2) for name in
                       ("lvaServerName", "lvaServerWorkersMin", "lvaServerJobsDone")]
            minimum = oid("lvaServerWorkersMin", 2)

            def requests(count):
                dice = random.Random(count)
                for turn in range(count):
                    kind = dice.randrange(10)
                    if kind < 4:
                        answer = session.get(*dice.sample(instances, 4))
                    elif kind < 7:
                        answer = session.getnext(*dice.sample(instances, 4))
                    elif kind < 8:
                        answer = session.bulk(dice.choice(instances), repetitions=10)
                    elif kind < 9:
                        answer = session.set(minimum, ber.integer(1 + turn % 5, 0x42))
                    else:
                        answer = session.set(minimum, ber.integer(21 + turn % 5, 0x42))
                        self.assertEqual(answer[0], 12, answer)  # inconsistentValue
                        continue
                    self.assertEqual(answer[0], 0, answer)
                self.assertEqual(len(session.get(*columns)[2]), 3)

            def connects(count):
                for turn in range(count):
                    with socket.socket(socket.AF_UNIX) as client:
                        client.connect(daemon.socket if turn % 4 else daemon.admin)
                        if turn % 50 == 0:
                            harness.virt_admin(daemon.admin, "server-list")
                            harness.virsh(daemon.socket, "list")
                harness.wait_for(lambda: snmpd.get1("lvaClientNumber") == 0, "all to be gone")

            def settled():
                harness.wait_for(lambda: snmpd.get1("lvaServerWorkersFree", 2) ==
                                 snmpd.get1("lvaServerWorkersCurrent", 2), "idle workers")
                process = daemon.process
                # the pool grows by load and does not shrink by itself
                workers = sum(snmpd.get(oid("lvaServerWorkersCurrent", 1),
                                        oid("lvaServerWorkersCurrent", 2)))
                return process.threads() - workers, process.descriptors(), process.resident()
            requests(int(10000 * SCALE))
            connects(int(1000 * SCALE))
            before = settled()
            requests(int(100000 * SCALE))
            connects(int(10000 * SCALE))
            after = settled()
            print(f"\n   threads but for workers, descriptors, kB resident: {before} before, {after} after", end="")
            self.assertEqual(after[1], before[1], "descriptors")
            self.assertEqual(after[0], before[0], "threads")
            if SCALE == 1:  # a sanitizer's quarantine grows
                self.assertLessEqual(after[2], before[2] * 1.05, "resident memory")
            session.close()


if __name__ == "__main__":
    unittest.main()
