#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the live tests: run.py [--dir DIR] [--jobs N] [NAME ...], each NAME a test_NAME.py of this folder
or DIR, its class or method as unittest spells it. A missing tool is a failure. Tests that need root are
left out for another user, and say so; in CI that is a failure, too. With --jobs N classes run at the same
time, each in a process of its own, whose output comes when it ends. SIGINT, SIGTERM and SIGHUP end all
of it: nothing that was started stays."""

import concurrent.futures
import os
import re
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
FOLDER = os.path.abspath(sys.argv[2]) if sys.argv[1:2] == ["--dir"] else HERE
sys.path.insert(0, FOLDER)
sys.dont_write_bytecode = True
import harness


class Result(unittest.TextTestResult):
    def startTest(self, test):
        self.began = time.monotonic()
        super().startTest(test)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.stream.writeln(f"   {time.monotonic() - self.began:.1f} s")


# They take longest, so they begin first.
LONG = ("test_relay.Relay", "test_load.Strangers", "test_load.Slow", "test_master.Master",
        "test_agent_life.Life", "test_soak.Soak", "test_agent_walk.Walk", "test_phases.Phases",
        "test_notify_master.OddMaster", "test_watchdog.Watchdog", "test_start.Compared",
        "test_state.Crash", "test_remote_set.Set", "test_torn.Torn", "test_sasl.Sasl")


def load(names):
    loader = unittest.defaultTestLoader
    if names:
        return loader.loadTestsFromNames(
            [name if name.startswith("test_") else "test_" + name for name in names])
    return loader.discover(FOLDER, "test_*.py")


def classes(suite):
    """The names of the classes of all tests, each once."""
    if not isinstance(suite, unittest.TestSuite):
        return [suite.id().rpartition(".")[0]]
    return list(dict.fromkeys(name for part in suite for name in classes(part)))


def run_class(name, running):
    """Returns: its output, the seconds it took. running: where its process is kept meanwhile."""
    began = time.monotonic()
    with subprocess.Popen([sys.executable, os.path.abspath(__file__), "--dir", FOLDER, name],
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        running.append(process)
        text = process.communicate()[0]
        running.remove(process)
    return text, time.monotonic() - began


def run_together(jobs, suite):
    order = sorted(classes(suite), key=lambda name: (LONG + (name,)).index(name))
    passed = failed = 0
    took = {}
    running = []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        runs = {pool.submit(run_class, name, running): name for name in order}
        try:
            for done in concurrent.futures.as_completed(runs):
                (text, took[runs[done]]), counts = done.result(), None
                print(text, flush=True)
                for counts in re.finditer(r"^(\d+) passed, (\d+) failed$", text, re.M):
                    pass
                passed += int(counts[1]) if counts else 0
                failed += int(counts[2]) if counts else 1
        except harness.Ended:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(running):
                process.terminate()
            raise
    longest = sorted(took, key=took.get, reverse=True)[:12]
    print("longest: " + ", ".join(f"{name} {took[name]:.0f} s" for name in longest))
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


def main():
    harness.end_in_order()
    names = sys.argv[3:] if sys.argv[1:2] == ["--dir"] else sys.argv[1:]
    if names[:1] == ["--jobs"]:
        return run_together(int(names[1]), load(names[2:]))
    suite = load(names)
    runner = unittest.TextTestRunner(verbosity=2, resultclass=Result, stream=sys.stdout)
    result = runner.run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    left_out = len(result.skipped)
    passed = max(result.testsRun - failed - left_out, 0)
    if left_out:
        reasons = sorted({reason for _, reason in result.skipped})
        print(f"{left_out} left out: {', '.join(reasons)}")
    if os.environ.get("CI"):
        failed += left_out
    if result.testsRun == 0:
        failed += 1
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except harness.Ended as ended:
        harness.Place.close_all()
        sys.exit(ended.status)
