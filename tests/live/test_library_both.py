# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt.so and libvirtadm.so in one process that talks to a daemon with both."""

import os
import subprocess
import unittest

import harness

LIBRARY = os.path.join(harness.BUILD, ".libs")


def flags(*options):
    return subprocess.check_output(["pkg-config", *options, "libvirt"], text=True).split()


def sanitizers():
    """The library's, which a program has to have, too.

    They look for the xdr_ functions that they stand before when the program begins, and call
    nothing at all where libtirpc is loaded only later.
    """
    with open(os.path.join(harness.BUILD, "Makefile"), encoding="utf-8") as makefile:
        for line in makefile:
            if line.startswith("SAN_CFLAGS = ") and line.split()[2:]:
                return [*line.split()[2:], "-Wl,--no-as-needed", "-ltirpc"]
    return []


class Library(unittest.TestCase):
    def compile(self, place, libraries):
        program = place.path("coexist")
        subprocess.run(
            [os.environ.get("CC", "cc"), *sanitizers(), "-I" + os.path.join(harness.SOURCE, "lib", "public"),
             *flags("--cflags"), "-o", program,
             os.path.join(harness.SOURCE, "tests", "unit", "library-coexist.c"), "-Wl,--no-as-needed",
             "-L" + LIBRARY, *libraries, "-ldl", "-pthread"], check=True)
        return program

    def check(self, mode, libraries):
        with harness.Place() as place:
            daemon = harness.Libvirtd(place)
            code, out, err = harness.run(
                self.compile(place, libraries), mode,
                "libvirtd:///system?socket=" + daemon.admin,
                env={**os.environ, "LD_LIBRARY_PATH": LIBRARY})
            self.assertEqual((code, out), (0, "well\n"), err)

    def test_libvirt_linked_first(self):
        self.check("linked", [*flags("--libs"), "-lvirtadm"])

    def test_libvirtadm_linked_first(self):
        self.check("linked", ["-lvirtadm", *flags("--libs")])

    def test_libvirt_loaded_first(self):
        self.check("libvirt-first", [])

    def test_libvirtadm_loaded_first(self):
        self.check("libvirtadm-first", [])
