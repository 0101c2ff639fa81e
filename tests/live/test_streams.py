# SPDX-License-Identifier: LGPL-2.1-or-later
"""Streams and events through the relay, with the real virsh and libvirtd's storage driver."""

import os
import signal
import threading
import unittest

import harness

ROOT = os.geteuid() == 0
DRIVER = f"storage+unix:///{'system' if ROOT else 'session'}"
MIB = 1 << 20
SIZE = 20 * MIB + 12345
# docs/relay.md, "Buffers": 1 MiB and a message for each; all of them together sent 220 MiB.
PATIENT_KIB = 16 * 1024


class Streams(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = harness.Place()
        cls.addClassCleanup(cls.place.close)
        cls.libvirtd = harness.Libvirtd(cls.place)
        cls.daemon = harness.Virtadmd(cls.place, cls.libvirtd)
        cls.data = os.urandom(MIB) * (SIZE // MIB) + os.urandom(SIZE % MIB)
        with open(cls.place.path("data"), "wb") as out:
            out.write(cls.data)
        os.mkdir(cls.place.path("volumes"))
        cls.place.write("pool.xml", "<pool type='dir'><name>volumes</name><target><path>"
                        f"{cls.place.path('volumes')}</path></target></pool>")
        cls.make_pool()
        for number in range(5):
            cls.storage(f"vol-create-as volumes up{number} {SIZE}")
        cls.storage(f"vol-create-as volumes half {SIZE}")
        cls.storage(f"vol-create-as volumes whole {SIZE}")
        cls.storage(f"vol-upload whole {cls.place.path('data')} --pool volumes")

    @classmethod
    def make_pool(cls):
        cls.storage(f"pool-create {cls.place.path('pool.xml')}", cls.libvirtd.socket)

    @classmethod
    def storage(cls, command, path=None):
        answer = harness.virsh(path or cls.daemon.socket, command, driver=DRIVER)
        if answer[0] != 0:
            raise AssertionError((command, answer))

    def spawn(self, name, command):
        return self.place.spawn(name, [harness.tool("virsh"), "-q", "-c",
                                       f"{DRIVER}?socket={self.daemon.socket}", command])

    def fifo(self, name):
        path = self.place.path(name)
        os.mkfifo(path)
        return path

    def read(self, *names):
        with open(self.place.path(*names), "rb") as file:
            return file.read()

    def begin_download(self, name):
        """A virsh that downloads as far as it is read from. Returns: it, and what to read from."""
        path = self.fifo(name + ".fifo")
        virsh = self.spawn(name, f"vol-download whole {path} --pool volumes")
        outlet = open(path, "rb")
        self.addCleanup(outlet.close)
        self.assertEqual(outlet.read(MIB), self.data[:MIB])
        return virsh, outlet

    def begin_upload(self, name):
        path = self.fifo(name + ".fifo")
        virsh = self.spawn(name, f"vol-upload half {path} --pool volumes")
        inlet = open(path, "wb", buffering=0)
        self.addCleanup(inlet.close)
        inlet.write(self.data[:5 * MIB])
        return virsh, inlet

    def assert_nothing_left(self, before):
        harness.wait_for(lambda: self.daemon.process.descriptors() <= before,
                         "the connections to end")

    def test_ten_at_once(self):
        """Five up, five down, beside a virsh that is stopped within its download: that costs the
        others nothing and the daemon little, and goes on where it was."""
        self.storage("vol-download whole /dev/null --pool volumes")
        resident = self.daemon.process.resident()
        stopped, outlet = self.begin_download("stopped")
        stopped.kill(signal.SIGSTOP)
        threads, failures = [], []

        def transfer(command):
            try:
                self.storage(command)
            except AssertionError as error:
                failures.append(error)
        for number in range(5):
            for command in (f"vol-upload up{number} {self.place.path('data')} --pool volumes",
                            f"vol-download whole {self.place.path(f'down{number}')} --pool volumes"):
                threads.append(threading.Thread(target=transfer, args=(command,)))
                threads[-1].start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        for number in range(5):
            self.assertTrue(self.read("volumes", f"up{number}") == self.data)
            self.assertTrue(self.read(f"down{number}") == self.data)
        held = self.daemon.process.resident() - resident
        print(f"{held} KiB more for one that is stopped", end=" ... ")
        if "VADM_SANITIZER_ENV" not in os.environ:  # which keeps what is freed for a while
            self.assertLess(held, PATIENT_KIB)
        self.assertTrue(stopped.alive())
        stopped.kill(signal.SIGCONT)
        self.assertTrue(outlet.read() == self.data[MIB:])
        self.assertEqual(stopped.wait(), 0)

    def test_holes(self):
        """Sparse both ways: what comes is equal, and holes stay holes."""
        path = self.place.path("sparse")
        with open(path, "wb") as out:
            out.write(self.data[:MIB])
            out.seek(16 * MIB, os.SEEK_CUR)
            out.write(self.data[:MIB])
            out.truncate(20 * MIB)
        self.storage(f"vol-create-as volumes sparse {20 * MIB} --allocation 0")
        self.storage(f"vol-upload sparse {path} --pool volumes --sparse")
        self.storage(f"vol-download sparse {path}.back --pool volumes --sparse")
        for name in ("volumes", "sparse"), ("sparse.back",):
            self.assertTrue(self.read(*name) == self.read("sparse"))
            self.assertLess(os.stat(self.place.path(*name)).st_blocks * 512, 4 * MIB)

    def test_aborted(self):
        """By virsh, which cannot write what it gets: as without the relay."""
        answers = [harness.virsh(path, "vol-download whole /dev/full --pool volumes", driver=DRIVER)
                   for path in (self.libvirtd.socket, self.daemon.socket)]
        self.assertEqual(*answers)
        self.assertEqual(answers[0][0], 1)

    def test_killed_clients(self):
        """Within an upload, and within a download: all that belongs to them goes."""
        before = self.daemon.process.descriptors()
        uploading, inlet = self.begin_upload("uploading")
        downloading, _ = self.begin_download("downloading")
        for virsh in uploading, downloading:
            virsh.kill(signal.SIGKILL)
            virsh.wait()
        inlet.close()
        self.assert_nothing_left(before)
        # nobody has the volume in use any more
        harness.wait_for(lambda: harness.virsh(
            self.daemon.socket, f"vol-upload half {self.place.path('data')} --pool volumes",
            driver=DRIVER)[0] == 0, "the volume to be free")
        self.assertTrue(self.read("volumes", "half") == self.data)

    def test_upstream_dies(self):
        """Within streams both ways: virsh ends with an error that says what has happened."""
        before = self.daemon.process.descriptors()
        # A virsh that is about to ask for more when the error comes, and the end behind it, says only
        # that its connection is gone; one that writes, be it to take leave, may be ended by that. So
        # it is with or without a relay.
        for attempt in range(5):
            told = self.cut_streams(attempt)
            self.assert_nothing_left(before)
            self.libvirtd.start()
            self.make_pool()
            if f"error: upstream '{self.libvirtd.socket}' closed" in told:
                break
        else:
            self.fail(told)
        self.storage(f"vol-download whole {self.place.path('again')} --pool volumes")
        self.assertTrue(self.read("again") == self.data)

    def cut_streams(self, attempt):
        """By the end of libvirtd. Returns what the virsh that downloads has said."""
        uploading, inlet = self.begin_upload(f"cut-up-{attempt}")
        downloading, outlet = self.begin_download(f"cut-down-{attempt}")
        self.libvirtd.process.kill(signal.SIGKILL)
        self.libvirtd.process.wait()
        outlet.read()
        try:
            while uploading.alive():
                inlet.write(self.data[:MIB])
        except BrokenPipeError:
            pass
        for virsh in uploading, downloading:
            self.assertIn(virsh.wait(), (1, -signal.SIGPIPE))
        return downloading.output()


class Events(unittest.TestCase):
    def test_several_clients(self):
        """Four virsh that listen to all events see a domain go and come back, each in that order."""
        with harness.Place() as place:
            libvirtd = harness.Libvirtd(place)
            daemon = harness.Virtadmd(place, libvirtd)
            names = [f"listener{number}" for number in range(4)]
            listeners = [place.spawn(name, [
                harness.tool("virsh"), "-c", f"test+unix:///default?socket={daemon.socket}",
                "event --all --loop --timestamp"]) for name in names]

            def seen(name, word):
                return place.read(name + ".out").count(word)
            # they have registered when they hear of it; until then it is said again
            harness.wait_for(lambda: harness.virsh(
                daemon.socket, "suspend test; resume test")[0] == 0 and
                all(seen(name, "Resumed") for name in names), "all to listen")
            for _ in range(20):
                self.assertEqual(harness.virsh(daemon.socket, "destroy test; start test")[0], 0)
            harness.wait_for(lambda: all(seen(name, "Started") == 20 for name in names),
                             "all events to arrive")
            for name in names:
                lines = [line for line in place.read(name + ".out").splitlines()
                         if "Stopped" in line or "Started" in line]
                self.assertEqual([line.split("'test': ")[1] for line in lines],
                                 ["Stopped Destroyed", "Started Booted"] * 20)
            for listener in listeners:
                self.assertTrue(listener.alive())
                listener.kill(signal.SIGINT)


if __name__ == "__main__":
    unittest.main()
