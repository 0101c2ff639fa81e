# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian packages of this tree, as dpkg-buildpackage makes them of what make dist packs, and other
versions of them for upgrades."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess

import harness
from harness import BUILD, tool

CACHE = os.path.join(BUILD, "test-output", "packages")
NAMES = ("libvirtadm-dev", "libvirtadm0", "virtadm-agent", "virtadm-common", "virtadmd")


def fingerprint(top):
    """Of names and contents: what a build is made of."""
    found = hashlib.sha256()
    for folder, folders, files in os.walk(top):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(folder, name)
            with open(path, "rb") as content:
                found.update(f"{os.path.relpath(path, top)}\0".encode())
                found.update(hashlib.sha256(content.read()).digest())
    return found.hexdigest()[:16]


# Of whoever runs the tests, and nothing to those who build a package.
STRANGE = ("CC", "CFLAGS", "CI", "CPPFLAGS", "LDFLAGS", "MAKEFLAGS")


def must(*argv, cwd=None, env=None, timeout=1800):
    own = {key: value for key, value in os.environ.items() if key not in STRANGE}
    done = subprocess.run(argv, cwd=cwd, env={**own, **(env or {})}, check=False, text=True,
                          errors="replace", timeout=timeout, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(argv)}: status {done.returncode}: {done.stdout[-4000:]}")
    return done.stdout


def build(place):
    """Returns: the folder with the .deb and .changes files, which stays for the next test."""
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        source = place.path("virtadm")
        must(tool("make"), "-s", "-C", BUILD, "distdir", f"distdir={source}")
        found = os.path.join(CACHE, fingerprint(source))
        if not os.path.exists(found):
            make(place, source, found)
    return found


def make(place, source, target):
    env = {"DEB_BUILD_OPTIONS": f"nocheck parallel={os.cpu_count()}"}
    must(tool("dpkg-buildpackage"), "-us", "-uc", "-b", cwd=source, env=env)
    made = place.path("made")
    os.mkdir(made)
    for name in os.listdir(place.dir):
        if name.endswith((".deb", ".changes", ".buildinfo")):
            shutil.move(place.path(name), made)
    for old in os.listdir(CACHE):
        if os.path.isdir(os.path.join(CACHE, old)):
            shutil.rmtree(os.path.join(CACHE, old))
    shutil.copytree(made, target + ".new")
    os.rename(target + ".new", target)


def debs(folder, *names):
    """The packages, by name; all, if none is named."""
    return [os.path.join(folder, file) for file in sorted(os.listdir(folder))
            if file.endswith(".deb") and file.split("_")[0] in (names or NAMES)]


def field(deb, name):
    return must(tool("dpkg-deb"), "--field", deb, name).strip()


def next_version(place, folder, change):
    """The same packages with a higher version, after change(name, its files' folder). Returns: their
    folder"""
    target = place.path("next")
    os.mkdir(target)
    for deb in debs(folder):
        name, version = field(deb, "Package"), field(deb, "Version")
        top = place.path("next", name)
        must(tool("dpkg-deb"), "--raw-extract", deb, top)
        change(name, top)
        control = os.path.join(top, "DEBIAN", "control")
        with open(control, encoding="utf-8") as text:
            changed = text.read().replace(f"Version: {version}\n", f"Version: {version}+1\n")
        with open(control, "w", encoding="utf-8") as out:
            out.write(changed.replace(f"(= {version})", f"(= {version}+1)"))
        must(tool("dpkg-deb"), "--root-owner-group", "--build", top, target)
        shutil.rmtree(top)
    return target


@contextlib.contextmanager
def unpacked(place, *packages):
    """The files of some packages, in one folder."""
    top = place.path("unpacked")
    for deb in packages:
        must(tool("dpkg-deb"), "--extract", deb, top)
    try:
        yield top
    finally:
        shutil.rmtree(top)


def listing(deb):
    """{path: mode and owner} of the files (not the folders) of a package."""
    found = {}
    for line in must(tool("dpkg-deb"), "--contents", deb).splitlines():
        mode, owner, _, _, _, path = line.split(None, 5)
        if not mode.startswith("d"):
            found[path.split(" -> ")[0].lstrip(".")] = f"{mode} {owner}"
    return found


def conffiles(deb):
    status, out, _ = harness.run(tool("dpkg-deb"), "--info", deb, "conffiles")
    return out.split() if status == 0 else []
